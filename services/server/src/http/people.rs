//! The directory: which accounts and author keys belong to one person. No names, no addresses.

pub mod link;
pub mod list;
pub mod unlink;

use release::directory::Identity;
use release::value::ActorId;
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub struct Person<'a> {
    pub actor: &'a ActorId,
    /// Absent when the directory holds nothing of the actor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<&'a Identity>,
}
