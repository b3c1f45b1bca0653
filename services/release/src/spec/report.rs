//! The report of a story, as if its events were alone in a log. Their hashes stand for those of leaves, because
//! only who stores an event makes its header.

use super::Spec;
use crate::actor::ActorKind;
use crate::event::{EventData as _, Fact, ReleaseEvent};
use crate::procedure::Procedure;
use crate::release::Release;
use crate::report::controls::{COMMON_FRAMEWORKS_V1, PinnedMapping};
use crate::report::release::{Authentication, Entry, Material, Provenance, ReleaseReport, report};
use crate::wire;

/// The report of everything that happened in the story.
pub fn reported(story: &Spec<Release>, procedure: &Procedure) -> Option<ReleaseReport> {
    let entries: Vec<_> = story.facts.iter().map(entry).collect();
    report(&Material {
        tenant: "default",
        stream: "release-default.checkout-2.4.0",
        procedure,
        controls: &PinnedMapping::parse(COMMON_FRAMEWORKS_V1).ok()?,
        retention_months: 84,
        entries: &entries,
        position: story.facts.last()?.revision,
        root: wire::sha256_hex(b"root"),
        stream_root: wire::sha256_hex(b"stream root"),
    })
}

fn entry(fact: &Fact<ReleaseEvent>) -> Entry {
    let data = wire::encode(&fact.event, [7; 16]).unwrap_or_default();
    let signed_in = fact.by.kind == ActorKind::Person;
    let authentication = Authentication {
        issuer: "https://id.example".into(),
        key: "k1".into(),
        methods: if signed_in { vec!["mfa".into()] } else { Vec::new() },
        signed_in_at: signed_in.then(super::monday),
    };
    Entry {
        fact: fact.clone(),
        provenance: Provenance {
            event_type: fact.event.event_type().to_owned(),
            schema: fact.event.schema(),
            operation: "told".into(),
            authentication: (fact.by.kind != ActorKind::System).then_some(authentication),
            via: None,
            causation: None,
            leaf: wire::sha256_hex(fact.id.as_bytes()),
            data_length: data.len() as u64,
            data_sha256: wire::sha256_hex(&data),
        },
    }
}
