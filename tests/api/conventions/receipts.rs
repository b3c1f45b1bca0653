//! `Prefer: wait=N` on a write: the answer comes with a receipt.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use eventlog::Header;
use eventlog::header::leaf;
use eventlog::proof::Proof;

use crate::harness::{Answer, World, bodies};

fn receipt(answer: &Answer) -> Proof {
    let receipt = answer.header("shiplog-receipt").unwrap_or_else(|| panic!("{answer}"));
    Proof::parse(&STANDARD.decode(receipt).unwrap()).unwrap()
}

/// It proves the last event of the answer, by itself.
fn check(answer: &Answer) {
    let proof = receipt(answer);
    let header = proof.extra.clone().unwrap();
    assert_eq!(proof.index, answer.position());
    assert_eq!(Header::parse(&header).unwrap().revision.0, answer.revision());
    proof.includes(&leaf(&header)).unwrap();
    let link = format!("</v1/events/{}/proof>; rel=\"receipt\"", answer.position());
    assert_eq!(answer.header("link"), Some(link.as_str()));
}

#[tokio::test]
async fn given_a_write_that_waits_when_a_checkpoint_covers_it_then_it_is_answered_with_its_receipt() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let comment = || world.bob().post(&opened.under("comments"), bodies::comment("on record")).key("k");
    let answer = comment().header("prefer", "wait=20").await.created();
    check(&answer);
    assert_eq!(answer.header("preference-applied"), Some("wait=20"));
    // The repetition is the first answer, with a receipt of the same event.
    let again = comment().header("prefer", "respond-async, wait=20").await.created();
    assert_eq!((&again.body, again.position(), again.replayed()), (&answer.body, answer.position(), true));
    check(&again);
    // Others get the proof where the link says.
    let link = format!("/v1/events/{}/proof", answer.position());
    let served = world.viewer().get(&link).await.ok();
    assert_eq!(Proof::parse(&served.body).unwrap().index, answer.position());
}

#[tokio::test]
async fn given_a_write_that_does_not_wait_then_nothing_is_added_to_its_answer() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let plain = [None, Some("return=minimal"), Some("wait=0"), Some("wait=soon")];
    for (n, prefer) in plain.into_iter().enumerate() {
        let request = world.bob().post(&opened.under("comments"), bodies::comment(&format!("{n}")));
        let request = if let Some(prefer) = prefer { request.header("prefer", prefer) } else { request };
        let answer = request.await.created();
        for header in ["shiplog-receipt", "preference-applied", "link"] {
            assert_eq!(answer.header(header), None, "{prefer:?}");
        }
    }
    // Nor to a dry run or a refusal, which recorded nothing.
    let preview = world.bob().post(&opened.under("comments?dry_run=true"), bodies::comment("dry"));
    assert_eq!(preview.header("prefer", "wait=20").await.ok().header("link"), None);
    let refused = world.viewer().post(&opened.under("hold"), serde_json::json!({"reason": "x"}));
    let refused = refused.header("prefer", "wait=20").await;
    assert_eq!((refused.status.as_u16(), refused.header("link")), (403, None));
}

#[tokio::test]
async fn given_no_checkpoint_in_time_then_the_write_is_answered_with_the_link_alone() {
    // The next checkpoint is a minute away.
    let world = World::configured(|config| config.tlog.interval_ms = 60_000).await;
    let opened = world.open("2.4.0").await;
    let answer = world.bob().post(&opened.under("comments"), bodies::comment("late"));
    let answer = answer.header("prefer", "wait=1").await.created();
    assert_eq!((answer.header("shiplog-receipt"), answer.header("preference-applied")), (None, None));
    assert!(answer.header("link").unwrap().ends_with("rel=\"receipt\""));
}
