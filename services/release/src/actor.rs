//! Who acts, and in which role.

use serde::{Deserialize, Serialize};

use crate::value::ActorId;

/// The closed set of roles; a token grants them, for every product or for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Viewer,
    Engineer,
    Qa,
    Operator,
    OnCall,
    ProductOwner,
    Approver,
    Auditor,
    ReleaseManager,
    Dba,
    Machine,
    Admin,
}

impl Role {
    pub const ALL: [Self; 12] = [
        Self::Viewer,
        Self::Engineer,
        Self::Qa,
        Self::Operator,
        Self::OnCall,
        Self::ProductOwner,
        Self::Approver,
        Self::Auditor,
        Self::ReleaseManager,
        Self::Dba,
        Self::Machine,
        Self::Admin,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Engineer => "engineer",
            Self::Qa => "qa",
            Self::Operator => "operator",
            Self::OnCall => "on_call",
            Self::ProductOwner => "product_owner",
            Self::Approver => "approver",
            Self::Auditor => "auditor",
            Self::ReleaseManager => "release_manager",
            Self::Dba => "dba",
            Self::Machine => "machine",
            Self::Admin => "admin",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    Person,
    Machine,
    /// The server itself, acting on time or on another stream.
    System,
}

impl ActorKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Machine => "machine",
            Self::System => "system",
        }
    }
}

/// Who sends a command, with the roles that hold for the product it concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Actor {
    pub id: ActorId,
    pub kind: ActorKind,
    pub roles: Vec<Role>,
    /// The commit author keys this person is known by (decided independence of approvers).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub author_keys: Vec<String>,
    /// How long ago this person signed in, as far as the issuer says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_in_s_ago: Option<u64>,
}

impl Actor {
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    pub fn has_any(&self, roles: &[Role]) -> bool {
        roles.iter().any(|role| self.has(*role))
    }

    pub fn is_person(&self) -> bool {
        self.kind == ActorKind::Person
    }
}
