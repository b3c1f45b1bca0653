//! A release that people signed by their names: its report, its envelope, and what is known of the names.

use rendering::{Names, Printed, References};
use sha2::{Digest, Sha256};

pub const SIGNED: &[u8] = include_bytes!("../../../release/tests/golden-reports/signed.json");
/// The entry that gave Grace another name after she signed.
const GRACE_NOW: &str = "7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a";

pub fn envelope() -> Vec<u8> {
    let sha256: String = Sha256::digest(SIGNED).iter().map(|byte| format!("{byte:02x}")).collect();
    let told = serde_json::json!({
        "report": "0190a6e2-7c1b-7d3e-8f42-5b6c7d8e9f01",
        "sha256": sha256,
        "size": SIGNED.len(),
        "build": "0.1.0",
        "generated_at": "2026-11-24T09:00:00Z",
        "generated_by": "https://id.example#audrey",
        "simulated_clock": false,
        "checkpoint": "shiplog.example/log\n1043\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "names": [{"actor": "https://id.example#grace", "revision": 9, "name_sha256": GRACE_NOW}],
    });
    told.to_string().into_bytes()
}

/// As the directory would say: `of` is asked for what is printed for an actor.
pub fn names(of: impl Fn(&str) -> Printed) -> Names {
    let mut names = Names::looked_up();
    for (actor, sha256) in References::of(SIGNED, Some(&envelope())).iter() {
        let who = actor.rsplit('#').next().unwrap_or_default();
        names.insert(sha256, if sha256 == GRACE_NOW { name("Grace Brewster Hopper") } else { of(who) });
    }
    names
}

pub fn everybody(who: &str) -> Printed {
    match who {
        "alice" => name("Alice Recoque"),
        "bob" => name("Bob Kahn"),
        "carol" => name("Carol Shaw"),
        "dave" => name("Dave Cutler"),
        "grace" => name("Grace Murray Hopper"),
        _ => Printed::Missing,
    }
}

/// Carol asked to be erased.
pub fn without_carol(who: &str) -> Printed {
    if who == "carol" { Printed::Erased } else { everybody(who) }
}

pub fn name(name: &str) -> Printed {
    Printed::Name(name.to_owned())
}
