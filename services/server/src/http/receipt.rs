//! `Prefer: wait=N` on a write: the answer is given once the last event behind it is under a checkpoint, with the proof
//! of that. The command is recorded before anybody waits, so nobody waits for somebody else.

use actix_web::dev::ServiceResponse;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use eventlog::{EventStore, Position, Recorded};

use super::answer::POSITION;
use super::prefer::{prove, wait_s};
use crate::app::App;

const RECEIPT: HeaderName = HeaderName::from_static("shiplog-receipt");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// Longest receipt that is given as a header; proxies take 8 KiB for all of them.
const MAX_RECEIPT: usize = 6 * 1024;

/// Waits where the caller asks for it, and adds where the receipt is read; the receipt itself, and that the wish was
/// granted, only when a checkpoint came in time.
pub async fn give<B>(app: &App, response: &mut ServiceResponse<B>) {
    let request = response.request();
    if request.method() != Method::POST || !response.status().is_success() {
        return;
    }
    let wait_s = wait_s(request.headers()).unwrap_or(0);
    let position = response.headers().get(POSITION).and_then(|position| position.to_str().ok()?.parse().ok());
    let Some(position) = position.map(Position).filter(|_| wait_s > 0) else { return };
    let receipt = receipt(app, position, wait_s).await;
    let headers = response.headers_mut();
    let mut add = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    };
    add(header::LINK, format!("</v1/events/{position}/proof>; rel=\"receipt\""));
    if let Some(receipt) = receipt {
        add(PREFERENCE_APPLIED, format!("wait={wait_s}"));
        if receipt.len() <= MAX_RECEIPT {
            add(RECEIPT, receipt);
        }
    }
}

async fn receipt(app: &App, position: Position, wait_s: u64) -> Option<String> {
    let event = at(app.store.as_ref(), position).await?;
    // Not in time, or no checkpoint is signed at all: the write is recorded all the same.
    let proof = prove(app, &event, wait_s).await.ok()?;
    Some(STANDARD.encode(proof.to_string()))
}

async fn at(store: &dyn EventStore, position: Position) -> Option<Recorded> {
    store.read_all(position.0.checked_sub(1).map(Position), 1).await.ok()?.pop()
}
