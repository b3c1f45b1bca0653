//! What a caller may be: the closed set of roles and a grant of one of them, everywhere or for one product.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use release::Role;

/// A role held everywhere (`release_manager`) or for one product only (`release_manager:checkout`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleGrant {
    pub role: Role,
    /// `None` holds for every product.
    pub product: Option<String>,
}

impl RoleGrant {
    pub fn everywhere(role: Role) -> Self {
        Self { role, product: None }
    }

    pub fn for_product(role: Role, product: impl Into<String>) -> Self {
        Self { role, product: Some(product.into()) }
    }

    /// A question about the whole installation (`None`) is answered only by a grant that holds everywhere.
    pub fn covers(&self, product: Option<&str>) -> bool {
        match &self.product {
            None => true,
            Some(own) => product == Some(own.as_str()),
        }
    }
}

/// The text names no role of the closed set, or a product that cannot be a product's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a role, or not a role of a product")]
pub struct UnknownRole;

impl FromStr for RoleGrant {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let (name, product) = match text.split_once(':') {
            Some((name, product)) => (name, Some(product)),
            None => (text, None),
        };
        // Serde owns the spelling of a role, so a role added to the enum is known here at once.
        let role = Role::deserialize(de::value::StrDeserializer::<de::value::Error>::new(name))
            .map_err(|_| UnknownRole)?;
        match product {
            Some(product) if !is_name(product) => Err(UnknownRole),
            product => Ok(Self { role, product: product.map(str::to_owned) }),
        }
    }
}

impl fmt::Display for RoleGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.role.as_str())?;
        match &self.product {
            Some(product) => write!(f, ":{product}"),
            None => Ok(()),
        }
    }
}

impl Serialize for RoleGrant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RoleGrant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Whether a text may name a tenant or a product: `[a-z0-9][a-z0-9-]{0,62}`, the rule of stream names.
pub(super) fn is_name(text: &str) -> bool {
    let lower_or_digit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= 63
        && text.bytes().next().is_some_and(lower_or_digit)
        && text.bytes().all(|byte| lower_or_digit(byte) || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Role; 12] = [
        Role::Viewer,
        Role::Engineer,
        Role::Qa,
        Role::Operator,
        Role::OnCall,
        Role::ProductOwner,
        Role::Approver,
        Role::Auditor,
        Role::ReleaseManager,
        Role::Dba,
        Role::Machine,
        Role::Admin,
    ];

    #[test]
    fn given_any_role_when_written_then_serde_and_as_str_agree_and_it_reads_back() {
        for role in ALL {
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
            assert_eq!(role.as_str().parse(), Ok(RoleGrant::everywhere(role)));
        }
    }

    #[test]
    fn given_a_role_of_a_product_when_read_then_it_covers_that_product_only() {
        let grant: RoleGrant = "release_manager:checkout".parse().unwrap();
        assert_eq!(grant, RoleGrant::for_product(Role::ReleaseManager, "checkout"));
        assert!(grant.covers(Some("checkout")));
        assert!(!grant.covers(Some("checkout-2")));
        assert!(!grant.covers(None));
        assert_eq!(grant.to_string(), "release_manager:checkout");
    }

    #[test]
    fn given_a_role_without_product_when_asked_then_it_covers_everything() {
        let grant = RoleGrant::everywhere(Role::Auditor);
        assert!(grant.covers(Some("checkout")));
        assert!(grant.covers(None));
    }

    #[test]
    fn given_a_text_outside_the_closed_set_when_read_then_it_is_unknown() {
        for text in
            ["", "root", "Admin", "admin:", "admin:Checkout", "admin:a:b", ":checkout", " admin", "admin:-a"]
        {
            assert_eq!(text.parse::<RoleGrant>(), Err(UnknownRole), "{text:?}");
        }
    }

    #[test]
    fn given_names_when_tested_then_the_rule_of_stream_names_holds() {
        assert!(is_name("a") && is_name("0-x") && is_name(&"a".repeat(63)));
        assert!(
            !is_name("") && !is_name("-a") && !is_name("A") && !is_name("a.b") && !is_name(&"a".repeat(64))
        );
    }
}
