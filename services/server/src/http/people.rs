//! The directory: which accounts and author keys belong to one person. No names, no addresses.

pub mod get;
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

/// Where a person is read: an id holds slashes and a #.
fn location(actor: &ActorId) -> String {
    let url = reqwest::Url::parse("http://service/v1/people").ok().and_then(|mut url| {
        url.path_segments_mut().ok()?.push(actor.as_str());
        Some(url)
    });
    url.map_or_else(|| "/v1/people".to_owned(), |url| url.path().to_owned())
}
