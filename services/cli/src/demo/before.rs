//! Before the release: the product and its strict policy, who wrote commits, and the opening.

use serde_json::json;

use super::cast::{ADMIN, EMIL, PETRA, ROSA, id_of};
use super::facts::{self, FLOWS, PREVIOUS, PRODUCT, RELEASE, VERSION};
use super::stage::{DemoError, Played, Stage};

pub async fn play(stage: &mut Stage) -> Played {
    stage.screen.heading("Before the release")?;
    register_product(stage).await?;
    link_authors(stage).await?;
    open_twice(stage).await
}

async fn register_product(stage: &mut Stage) -> Played {
    let body = json!({"name": PRODUCT, "settings": facts::settings()});
    stage.post(ADMIN, "/v1/products", &body).await?;
    let what = format!(
        "registers {PRODUCT}: staging, production, 1 database, {} critical flows, policy strict",
        FLOWS.len()
    );
    stage.screen.act(stage.now, ADMIN, &what)?;
    Ok(stage.screen.more("Strict: what a machine can prove, only a machine closes. People sign the rest.")?)
}

/// Nobody approves a commit of their own, so the accounts behind commits are linked to people.
async fn link_authors(stage: &mut Stage) -> Played {
    for (who, key) in [(EMIL, "git-example:5831"), (ROSA, "git-example:6044"), (PETRA, "git-example:6201")] {
        let body = json!({"actor": id_of(who), "keys": [key]});
        stage.post(ADMIN, "/v1/people", &body).await?;
    }
    let what = "links git accounts to 3 people, so that nobody approves a commit of their own";
    Ok(stage.screen.act(stage.now, ADMIN, what)?)
}

/// The connection might have been lost after the first request: sending it again is always safe.
async fn open_twice(stage: &mut Stage) -> Played {
    let key = stage.next_key();
    let body = json!({
        "product": PRODUCT,
        "version": VERSION,
        "previous": PREVIOUS,
        "class": "normal",
        "reason": "Pay by instalments, saved cards and 14 fixes",
        "security_impact": "Card tokens are kept by the payment provider; no card data is stored",
        "ticket": "https://tickets.example/REL-240",
    });
    let first = stage.post_with_key(ROSA, "/v1/releases", &body, &key).await?;
    let second = stage.post_with_key(ROSA, "/v1/releases", &body, &key).await?;
    if !first.status.is_success() || first.bytes != second.bytes || first.replayed || !second.replayed {
        let (one, two) = (first.status, second.status);
        return Err(DemoError::Check(format!("opening twice with one key answered {one}, then {two}")));
    }
    let procedure = first.number("/procedure/version")?;
    let what = format!(
        "opens {RELEASE}, a normal change that replaces {PREVIOUS}, by procedure version {procedure}"
    );
    stage.screen.act(stage.now, ROSA, &what)?;
    stage.screen.more(&format!(
        "Sent again with the same Idempotency-Key ({key}): the same answer, recorded once."
    ))?;
    stage.read_procedure().await
}
