//! The directory: which accounts and author keys belong to one person, and by which names people are printed. The log
//! has no names and no addresses.

pub mod erase;
pub mod get;
pub mod link;
pub mod list;
pub mod name;
pub mod unlink;

use release::Directory;
use release::directory::{GivenName, Identity};
use release::value::{ActorId, PersonName};
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub struct Person<'a> {
    pub actor: &'a ActorId,
    /// Absent when the directory holds nothing of the actor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<&'a Identity>,
    /// By which name the person is printed; absent when they have none, or it was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a GivenName>,
    /// The name itself, where one person is read. Absent too when what is kept is not what the log has the hash of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<PersonName>)]
    pub printed_name: Option<String>,
}

impl<'a> Person<'a> {
    fn of(directory: &'a Directory, actor: &'a ActorId) -> Self {
        let (identity, name) = (directory.identity(actor), directory.name(actor));
        Self { actor, identity, name, printed_name: None }
    }
}

/// Where a person is read: an id holds slashes and a #.
fn location(actor: &ActorId) -> String {
    let url = reqwest::Url::parse("http://service/v1/people").ok().and_then(|mut url| {
        url.path_segments_mut().ok()?.push(actor.as_str());
        Some(url)
    });
    url.map_or_else(|| "/v1/people".to_owned(), |url| url.path().to_owned())
}
