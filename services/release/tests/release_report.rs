//! The report of a release, byte by byte: four releases as files, and what each part says.
//!
//! Where a report is meant to say something else, its schema gets another number, and the files are written again
//! with `SHIPLOG_WRITE_GOLDEN=1`. The same number never stands for other bytes.

use std::sync::LazyLock;

use jiff::SignedDuration;
use release::command::{
    AmendRelease, ApproveAfterStart, AuthorizeProduction, BreakGlass, CompleteRollback, DecideRollback,
    GrantApproval, GrantWaiver, ObserveRollback, RequestApproval, RequestWaiver, RollbackObservation,
    VerifyRollback,
};
use release::event::{ChangeClass, Meaning, RollbackDecision};
use release::report::canonical;
use release::report::release::ReleaseReport;
use release::spec::judged::{around, honest, procedure, tagged, through};
use release::spec::release::{deploy, item, line, list, prose};
use release::spec::report::reported;
use release::spec::{Spec, alice, dave, erin, grace, monday, robot, rupert};
use release::wire::{decode, sha256_hex};
use release::{Actor, Command, EventData as _, Release};
use serde_json::{Value, json};

use crate::rules::samples::{BROKEN, canary_out, minutes, of_canary};
use crate::rules::walk::sampled;

type Story = Spec<Release>;

fn act(story: Story, who: Actor, command: Command) -> Story {
    story.when(who, command, &around()).accepted()
}

/// Approved by somebody whose commits would be known.
fn approved(story: Story) -> Story {
    let story = story.before_item("4.1").made_true("4.1").made_true("4.2").made_true("4.7");
    let story = act(story, alice(), Command::RequestApproval(RequestApproval { note: None }));
    let body =
        GrantApproval { meaning: Meaning::Approved, basis: None, comment: Some(prose("Seen on staging")) };
    let request = story.request();
    let approver = Actor { author_keys: vec!["github:204".into()], signed_in_s_ago: Some(90), ..grace() };
    act(story, approver, Command::GrantApproval { request, body }).minutes_later(1).step_reported(4)
}

/// Everything went as the procedure says.
fn clean() -> Story {
    static TOLD: LazyLock<Story> = LazyLock::new(|| {
        let story = act(sampled(approved(through(3))), alice(), Command::Complete);
        act(story, alice(), Command::Close)
    });
    TOLD.clone()
}

fn waived(story: Story, number: &str) -> Story {
    let body = RequestWaiver {
        reason: prose("The tool that shows it is down until Thursday"),
        compensating_control: prose("Read line by line by two engineers"),
        expires_at: monday() + SignedDuration::from_hours(7 * 24),
    };
    let story = act(story, rupert(), Command::RequestWaiver { item: item(number), body });
    let waiver = story.state.waivers.values().find(|waiver| waiver.item == item(number)).unwrap().waiver;
    let grant = |note: &str| Command::GrantWaiver {
        item: item(number),
        waiver,
        body: GrantWaiver { note: Some(prose(note)) },
    };
    let story = act(story, grace(), grant("Seen the lines"));
    if story.state.status(item(number)).is_closed() {
        return story.minutes_later(1);
    }
    act(story, alice(), grant("So have I")).minutes_later(1)
}

/// One item waived by one approver, another by two people.
fn waivers() -> Story {
    static TOLD: LazyLock<Story> = LazyLock::new(|| {
        let story = ["1.3", "3.6"].into_iter().fold(tagged(), waived);
        let story = approved((1..=3).fold(story, |story, step| story.step_reported(step)));
        let learned = |key| json!({"kind": "ticket", "key": key, "status": "open"});
        let story = (5..=7).fold(story, |story, step| story.step_reported(step));
        let story =
            story.reported("7.7", learned("REL-13")).reported("7.7", learned("REL-14")).made_true("7.7");
        let story = act(story, alice(), Command::Complete);
        act(story, alice(), Command::Close)
    });
    TOLD.clone()
}

/// The canary fails, it is taken back, and the release is closed on what was learned.
fn rolled_back() -> Story {
    static TOLD: LazyLock<Story> = LazyLock::new(|| {
        let story =
            canary_out(approved(through(3)).before_item("5.1").made_true("5.1").made_true("5.2"), BROKEN);
        let story = minutes(story, 3, |at| of_canary(BROKEN, at));
        let proposed = story.state.proposals.first().unwrap().proposal;
        let body = DecideRollback {
            decision: RollbackDecision::Rollback,
            reason: prose("Every eleventh request fails"),
        };
        let story = act(story, erin(), Command::DecideRollback { proposal: proposed, body }).minutes_later(1);
        let rollback = story.rollback();
        let seen = |observation| Command::ObserveRollback {
            rollback,
            body: ObserveRollback { observation, at: None },
        };
        let incident = RollbackObservation::IncidentLinked { incident: line("INC-118"), url: None };
        let story = act(story, erin(), seen(incident));
        let story = act(story, robot(), seen(RollbackObservation::TrafficShifted { weight_percent: 0.0 }));
        let story =
            act(story, robot(), seen(RollbackObservation::SchemaKept { note: None })).minutes_later(8);
        let body = VerifyRollback {
            version: line("2.3.1"),
            healthy_probes: 30,
            at: None,
            url: None,
            note: None,
            artifacts: list(vec![]),
        };
        let story = act(story, robot(), Command::VerifyRollback { rollback, body }).minutes_later(1);
        let done = Command::CompleteRollback { rollback, body: CompleteRollback { note: None } };
        let story = act(story, dave(), done).minutes_later(10);
        let learned = json!({"kind": "ticket", "key": "REL-13", "status": "open"});
        let story = story.made_true("7.4").reported("7.7", learned).made_true("7.7").minutes_later(1);
        act(story, alice(), Command::Close)
    });
    TOLD.clone()
}

/// On-call goes to production alone; what was missing is shown afterwards, and an approver signs after the fact.
fn emergency() -> Story {
    static TOLD: LazyLock<Story> = LazyLock::new(|| {
        let amend = AmendRelease {
            why: prose("Nobody can pay"),
            previous: None,
            class: Some(ChangeClass::Emergency),
            reason: None,
            security_impact: Some(prose("None: the fix touches no access or keys")),
            ticket: None,
            targets: None,
        };
        let story = act(tagged(), alice(), Command::Amend(amend));
        let glass = BreakGlass { incident: line("INC-7"), reason: prose("Nobody can pay.") };
        let alone = AuthorizeProduction { basis: None, preempt_reason: None, break_glass: Some(glass) };
        let story = act(story, erin(), Command::AuthorizeProduction(alone));
        let start = deploy("production", Some(story.authorization()));
        let story = act(story, robot(), start);
        let told = honest("5.1", &story).remove(0);
        let story = story.reported("5.1", told).minutes_later(5);
        let story = (1..=3).fold(story, |story, step| story.step_reported(step));
        let body = ApproveAfterStart { comment: Some(prose("Reviewed the diff and the incident")) };
        let authorization = story.authorization();
        let story = act(story, grace(), Command::ApproveAfterStart { authorization, body });
        let story = ["4.1", "4.2", "4.3", "4.5", "4.6", "4.7"].into_iter().fold(story, |story, number| {
            let story = if number == "4.1" { story.before_item(number) } else { story };
            story.made_true(number).minutes_later(1)
        });
        let story = story.signed("5.1").made_true("5.2").minutes_later(15).made_true("5.3");
        let story = (5..=7).fold(story, |story, step| story.step_reported(step));
        let story = act(story, alice(), Command::Complete);
        act(story, alice(), Command::Close)
    });
    TOLD.clone()
}

fn report_of(story: &Story) -> ReleaseReport {
    reported(story, &procedure()).unwrap()
}

#[track_caller]
fn is_golden(name: &str, story: &Story) {
    let bytes = canonical(&report_of(story)).unwrap();
    let file = format!("{}/tests/golden-reports/{name}.json", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("SHIPLOG_WRITE_GOLDEN").is_some() {
        std::fs::write(&file, &bytes).unwrap();
    }
    let golden = std::fs::read(&file).unwrap();
    let same = golden == bytes;
    assert!(same, "{name} is reported in other bytes now: another schema, or a mistake");
}

#[test]
fn given_a_clean_release_its_report_is_these_bytes() {
    is_golden("clean", &clean());
}

#[test]
fn given_waivers_its_report_is_these_bytes() {
    is_golden("waivers", &waivers());
}

#[test]
fn given_a_rollback_its_report_is_these_bytes() {
    is_golden("rolled-back", &rolled_back());
}

#[test]
fn given_an_emergency_its_report_is_these_bytes() {
    is_golden("emergency", &emergency());
}

/// Those of the directory, by the place where it names them; whoever is not here has no name in it.
const NAMED: [&str; 5] = ["alice", "bob", "carol", "dave", "grace"];

/// The same release, signed by people whom the directory had a name of.
fn signed() -> Story {
    let mut story = waivers();
    for fact in &mut story.facts {
        let place = NAMED.iter().position(|name| fact.by.id.as_str().ends_with(&format!("#{name}")));
        let event_type = fact.event.event_type();
        let is_signature = std::fs::exists(format!(
            "{}/tests/golden/{event_type}.v1.signed.json",
            env!("CARGO_MANIFEST_DIR")
        ));
        let (Some(place), true) = (place, is_signature.unwrap()) else { continue };
        let mut data = Vec::new();
        fact.event.write_json(&mut data).unwrap();
        let mut data: Value = serde_json::from_slice(&data).unwrap();
        data["signed_as"] = json!({"revision": place, "name_sha256": sha256_hex(NAMED[place].as_bytes())});
        let data = serde_json::to_vec(&data).unwrap();
        fact.event = decode(event_type, fact.event.schema(), &data).unwrap();
    }
    story
}

#[test]
fn given_signatures_with_names_the_report_names_the_entries_and_nothing_else_is_another() {
    is_golden("signed", &signed());
    let (mut with, without) = (value(&signed()), value(&waivers()));
    let mut named = 0;
    for row in with["timeline"].as_array_mut().unwrap() {
        named += u32::from(row.as_object_mut().unwrap().remove("signed_as").is_some());
    }
    assert_eq!(named, 20);
    // The events have other bytes, of which the appendix has the hashes.
    with["integrity"] = without["integrity"].clone();
    assert_eq!(with, without);
}

fn value(story: &Story) -> Value {
    serde_json::to_value(report_of(story)).unwrap()
}

#[test]
fn given_the_same_events_the_bytes_are_the_same_and_name_no_time_but_theirs() {
    let story = clean();
    let bytes = canonical(&report_of(&story)).unwrap();
    assert_eq!(bytes, canonical(&report_of(&story)).unwrap());
    // RFC 8785 has one way to write it: whoever reads and writes it again by that has the same bytes.
    let again: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(canonical(&again).unwrap(), bytes);
    assert_eq!(again["as_of"], json!(story.facts.last().unwrap().recorded_at));
}

#[test]
fn given_a_clean_release_its_first_page_says_so() {
    let report = value(&clean());
    let summary = &report["summary"];
    assert_eq!(summary["standing"], "clean", "{}", report["exceptions"]);
    for answer in [
        "approved_before_start",
        "approvers_independent",
        "digests_equal",
        "migrations_equal",
        "started_in_window",
    ] {
        assert_eq!(summary[answer], true, "{answer}");
    }
    assert_eq!((&summary["items"]["total"], &summary["items"]["closed"]), (&json!(49), &json!(49)));
    let grant = &report["approvals"]["requests"][0]["grants"][0];
    assert_eq!((&grant["before_start"], &grant["lead_s"]), (&json!(true), &json!(2_460)));
    let of: Vec<_> =
        grant["independence"]["checks"].as_array().unwrap().iter().map(|check| &check["of"]).collect();
    assert_eq!(of, ["requester", "tagger", "commit_authors", "deployer"]);
}

#[test]
fn given_an_approval_after_the_start_the_report_says_by_their_places_in_the_log() {
    let report = value(&emergency());
    assert_eq!(report["summary"]["standing"], "with_exceptions");
    assert_eq!(report["summary"]["approved_before_start"], false);
    let glass = &report["approvals"]["authorizations"][0]["break_glass"];
    assert_eq!(glass["approved_after_start"]["in_time"], true);
    assert_eq!(report["departures"]["break_glass"].as_array().unwrap().len(), 1);
}

#[test]
fn given_a_release_that_nobody_sealed_the_report_says_how_far_it_came() {
    let report = value(&through(2));
    assert_eq!(
        (&report["summary"]["standing"], &report["integrity"]["seal"]),
        (&json!("in_progress"), &Value::Null)
    );
    // What did not happen is null, and never a good answer.
    for answer in ["approved_before_start", "approvers_independent", "digests_equal", "canary"] {
        assert_eq!(report["summary"][answer], Value::Null, "{answer}");
    }
    assert_eq!(report["items"].as_array().unwrap().len(), 49);
}

#[test]
fn given_any_release_every_event_of_it_is_in_the_appendix_and_every_decision_in_the_timeline() {
    for story in [through(1), waivers(), rolled_back(), emergency()] {
        let report = report_of(&story);
        assert_eq!(report.integrity.events.len(), story.facts.len());
        for row in &report.timeline {
            let fact = &story.facts[usize::try_from(row.revision).unwrap()];
            assert_eq!((row.event, &row.by.id), (fact.id, &fact.by.id));
        }
        let closed = report.items.iter().filter(|item| item.closed).count();
        let told = report
            .timeline
            .iter()
            .flat_map(|row| &row.changes)
            .filter(|change| change.what.starts_with("item/"));
        assert!(told.count() >= closed);
        assert_eq!(report.summary.sealed, report.integrity.seal.is_some());
    }
}
