//! The keys that sign the log's checkpoints. They are made and rotated where the signer is, never through the API.

pub mod compromise;
pub mod get;
pub mod list;

use std::borrow::Cow;

use release::installation::{Installation, SigningKey};
use release::value::{KeyId, VerifierKey};
use release::{Refusal, RefusalCode};

use super::problem::Problem;
use super::tlog::tree;
use crate::app::App;

/// The keys as they are recorded. The first key is in no event before something happens to it.
fn known<'a>(app: &App, state: &'a Installation) -> Result<Cow<'a, [SigningKey]>, Problem> {
    if !state.signing_keys.is_empty() {
        return Ok(Cow::Borrowed(&state.signing_keys));
    }
    let keys = tree(app)?.keys();
    let first = keys.borrow().iter().next().map(|log| log.key.to_string());
    let first = first.and_then(|key| VerifierKey::new(&key).ok());
    Ok(Cow::Owned(first.map(|key| SigningKey::new(key, 0)).into_iter().collect()))
}

fn found<'a>(keys: &'a [SigningKey], id: &KeyId) -> Result<&'a SigningKey, Problem> {
    let key = keys.iter().find(|key| key.id.as_ref() == Some(id));
    let unknown = || Refusal::new(RefusalCode::SigningKeyUnknown, format!("no key {id} signed this log"));
    Ok(key.ok_or_else(unknown)?)
}
