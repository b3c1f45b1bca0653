//! What lies exactly on a limit, and what lies just beyond it, item by item.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use release::command::{CaptureBaseline, ReportMigrations};
use release::decide::Around;
use release::event::Assurance;
use release::evidence::Metric;
use release::procedure::Policy;
use release::product::ProductSettings;
use release::release::{ItemStatus, LeaseStatus, Release};
use release::rule::{Findings, Judge, VersionNumbers};
use release::spec::judged::{
    Case, around, case, honest, patched, record, report, sign, strict, tagged, through,
};
use release::spec::release::{commit, item, line, list, name, version, window};
use release::spec::{Spec, bob, carol, dave, grace, robot};
use release::verdict::Cause::{Absent, Empty, Mismatch, Stale, Value};
use release::{Actor, Command};
use serde_json::{Value as Json, json};

type Story = Spec<Release>;

fn secs(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn ago(story: &Story, seconds: i64) -> Timestamp {
    story.now - secs(seconds)
}

/// What honest machines report, the nth of it changed in this way.
fn with(story: &Story, number: &str, nth: usize, patch: Json) -> Vec<Json> {
    let mut facts = honest(number, story);
    facts[nth] = patched(facts[nth].clone(), &patch);
    facts
}

fn settings(change: Json) -> Around {
    let settings = serde_json::to_value(&*around().settings).unwrap();
    let changed: ProductSettings = serde_json::from_value(patched(settings, &change)).unwrap();
    Around { settings: Arc::new(changed), ..around() }
}

/// The rows that fail once these were reported, by the end of what they read.
fn failing_by(around: &Around, story: &Story, number: &str, facts: Vec<Json>) -> Vec<String> {
    let tell = |story: Story, facts| story.when(robot(), record(number, facts), around).accepted();
    let story = facts.into_iter().fold(story.clone(), tell);
    let reading = story.reading(around, number).unwrap();
    let rows = release::rule::facts(&reading).rows.into_iter().filter(|row| !row.ok);
    rows.map(|row| row.input.rsplit('/').next().unwrap().to_owned()).collect()
}

/// Reported of a moment before now.
fn seen_at(story: Story, number: &str, facts: Json, at: Timestamp) -> Story {
    let mut body = report(facts);
    body.occurred_at = Some(at);
    story.when(robot(), Command::RecordEvidence { items: vec![item(number)], body }, &around()).accepted()
}

/// When what is on staging was there.
fn on_staging(story: &Story) -> Timestamp {
    let id = *story.state.items[&item("2.1")].evidence.last().unwrap();
    let recorded = serde_json::to_value(&story.state.evidence.get(&id).unwrap().recorded.facts).unwrap();
    recorded["finished_at"].as_str().unwrap().parse().unwrap()
}

fn first_of(mut story: Story) -> Story {
    story.state.opened.as_mut().unwrap().previous = None;
    story
}

#[test]
fn step_1() {
    // A repository is known by its whole address, by its end, or by its provider's id of it.
    for same in ["https://git.example/acme/checkout", "https://git.example/acme/checkout.git/", "checkout"] {
        case("1.1").holds_with(json!({"repository": same}));
    }
    case("1.1").fails(json!({"repository": "heckout"}), &[("repository", Mismatch)]);
    let by_id = settings(json!({"repository": {"provider_id": "4711"}}));
    let named = |id| with(&tagged(), "1.1", 0, json!({"repository": id}));
    assert!(failing_by(&by_id, &tagged(), "1.1", named("4711")).is_empty());
    assert_eq!(failing_by(&by_id, &tagged(), "1.1", named("4712")), ["repository"]);
    case("1.1").holds_with(json!({"deleted": false, "contains_candidate": true}));
    // A release for one target says so in its rows, also of what holds for the whole.
    let mut europe = tagged();
    europe.state.opened.as_mut().unwrap().targets = vec![name("eu")];
    assert!(europe.failing("1.1").iter().all(|row| row.target == name("eu")));

    // The version is after the previous one, and by a major step where something breaks and 1.0.0 was reached.
    let broken = |from: &str, to: &str, breaks: u32| {
        let mut story = tagged();
        let opened = story.state.opened.as_mut().unwrap();
        (opened.previous, opened.version) = (Some(version(from)), version(to));
        let declared = json!({"kind": "declaration", "statement": "It breaks.", "count": breaks});
        let story = story.reported("1.4", declared);
        let of_version = |row: &release::verdict::Row| row.input == "release/version";
        story.failing("1.2").iter().filter(|row| of_version(row)).count()
    };
    for (from, to, breaks, failing) in [
        ("2.3.1", "2.3.2", 0, 0),
        ("2.3.1", "2.3.1", 0, 1),
        ("2.3.2", "2.3.1", 0, 1),
        ("1.4.0", "1.5.0", 1, 1),
        ("1.4.0", "2.0.0", 1, 0),
        ("0.4.0", "0.5.0", 1, 0),
    ] {
        assert_eq!(broken(from, to, breaks), failing, "{from} {to} {breaks}");
    }
    let story = first_of(tagged());
    assert!(story.reported("1.2", honest("1.2", &tagged()).remove(0)).failing("1.2").is_empty());
    // Whether a manifest may say the candidate's version is for the procedure to say.
    let story = tagged().reported(
        "1.2",
        with(
            &tagged(),
            "1.2",
            0,
            json!({"manifests": [
        {"path": "Cargo.toml", "value": "2.4.0-rc.1"}, {"path": "chart/Chart.yaml", "value": "2.4.0"}]}),
        )
        .remove(0),
    );
    for (candidate_suffix, failing) in [(true, 0), (false, 1)] {
        let mut findings = Findings::default();
        let around = around();
        VersionNumbers { candidate_suffix }.judge(&story.reading(&around, "1.2").unwrap(), &mut findings);
        assert_eq!(findings.rows.iter().filter(|row| !row.ok).count(), failing);
    }

    case("1.3").holds_with(json!({"changes": {"missing": []}}));
    assert!(
        first_of(tagged())
            .reported("1.3", with(&tagged(), "1.3", 0, json!({"range_from": null})).remove(0))
            .failing("1.3")
            .is_empty()
    );

    // As many are documented as there are; what a document says by name is documented.
    let declared = |count: u32| json!({"kind": "declaration", "statement": "Some.", "count": count});
    let document = |mentions: Json| json!({"kind": "document", "title": "What breaks", "mentions": mentions});
    case("1.4")
        .closes(vec![honest("1.4", &tagged()).remove(0), declared(0)])
        .closes(vec![declared(1), patched(document(json!([])), &json!({"mentions": null}))])
        .closes(vec![declared(2), document(json!(["PAY-1", "PAY-2"]))])
        .stays_open(vec![declared(3), document(json!(["PAY-1", "PAY-2"]))], &[("count", Value)]);
    let found =
        with(&tagged(), "1.4", 0, json!({"breaking_changes": [{"key": "PAY-1", "migration_note": true}]}));
    case("1.4")
        .closes(vec![document(json!(["PAY-1"])), found[0].clone()])
        .closes(vec![document(json!(["PAY-1"])), found[0].clone(), declared(1)])
        .stays_open(vec![document(json!(["PAY-2"])), found[0].clone()], &[("documentation", Absent)])
        .stays_open(vec![document(json!(["PAY-1"])), found[0].clone(), declared(0)], &[("count", Mismatch)]);

    for (signature, valid) in [(json!("unsigned"), true), (json!(null), true), (json!("invalid"), false)] {
        let facts = with(&tagged(), "1.5", 0, json!({"signature": signature}));
        assert_eq!(failing_by(&around(), &tagged(), "1.5", facts).is_empty(), valid);
    }

    // A workflow may build a part of what the candidate is, and nothing else.
    let mut story = tagged();
    let mut other = story.state.candidates[0].artifacts[0].clone();
    other.name = line("chart");
    story.state.candidates[0].artifacts.push(other.clone());
    let built = |artifacts: Json| with(&tagged(), "1.6", 0, json!({"artifacts": artifacts}));
    assert!(failing_by(&around(), &story, "1.6", built(json!([other.clone()]))).is_empty());
    other.name = line("docs");
    assert_eq!(failing_by(&around(), &story, "1.6", built(json!([other]))), ["artifacts"]);
    // Where none is required every one counts; where one is, no other.
    let docs = || {
        let docs = json!({"workflow": "docs", "conclusion": "failure"});
        vec![honest("1.6", &tagged()).remove(0), patched(honest("1.6", &tagged()).remove(0), &docs)]
    };
    assert!(failing_by(&around(), &tagged(), "1.6", docs()).is_empty());
    assert_eq!(
        failing_by(&settings(json!({"required_workflows": []})), &tagged(), "1.6", docs()),
        ["conclusion"]
    );
    let none = failing_by(&settings(json!({"required_workflows": []})), &tagged(), "1.6", vec![]);
    assert_eq!(none, ["ci_run"]);
    // The latest run is the one that ended last, not the one that was reported last; another commit's is none.
    let (early, late) = (ago(&tagged(), 60), tagged().now);
    let run = |at: Timestamp, conclusion: &str, sha: char| {
        let told = json!({"completed_at": at, "conclusion": conclusion, "head_sha": commit(sha)});
        with(&tagged(), "1.6", 0, told).remove(0)
    };
    case("1.6")
        .closes(vec![run(late, "success", '1'), run(early, "failure", '1')])
        .closes(vec![run(early, "success", '1'), run(late, "failure", '9')])
        .stays_open(vec![run(late, "failure", '1'), run(early, "success", '1')], &[("conclusion", Value)]);
    let once = tagged().reported("1.6", run(late, "success", '1'));
    let verdict = once.state.items[&item("1.6")].verdict.as_deref().unwrap();
    assert!(verdict.rows.iter().all(|row| !row.observed.contains("attempt")), "{verdict:#?}");

    case("1.7").holds_with(json!({"bytes": 1})).holds_with(json!({"bytes": null}));
}

#[test]
fn step_2() {
    let story = through(1);
    let tagged_at = story.state.candidates[0].tagged_at;
    case("2.1")
        .holds_with(json!({"started_at": tagged_at}))
        .holds_with(json!({"commit_sha": null}))
        .fails(json!({"started_at": tagged_at - secs(1)}), &[("started_at", Stale)]);
    // Two were reported; what started last is what is there.
    let (earlier, later) = (ago(&story, 20), ago(&story, 10));
    let deployed = |at: Timestamp, status: &str| {
        with(&story, "2.1", 0, json!({"started_at": at, "finished_at": at, "status": status})).remove(0)
    };
    case("2.1")
        .closes(vec![deployed(later, "succeeded"), deployed(earlier, "failed")])
        .stays_open(vec![deployed(later, "failed"), deployed(earlier, "succeeded")], &[("status", Value)]);
    let mut unknown = story.clone();
    unknown.state.candidates[0].pipeline_digest = None;
    assert!(failing_by(&around(), &unknown, "2.1", honest("2.1", &story)).is_empty());
    let unbound = |mut story: Story| {
        story.state.candidates[0].artifacts.clear();
        story
    };
    let facts = honest("2.1", &story);
    assert_eq!(failing_by(&around(), &unbound(story), "2.1", facts), ["artifacts", "artifacts"]);

    // Seen at the very end of the deployment, and a second before.
    let story = case("2.2").story();
    let there = on_staging(&story);
    let probe = honest("2.2", &story).remove(0);
    assert!(seen_at(story.clone(), "2.2", probe.clone(), there).state.status(item("2.2")).is_closed());
    seen_at(story, "2.2", probe, there - secs(1)).fails("2.2", &[("occurred_at", Stale)]);
    case("2.2")
        .holds_with(json!({"http_status": null}))
        .holds_with(json!({"replicas_matched": 1, "replicas_total": 1}))
        .fails(json!({"http_status": 201}), &[("http_status", Value)]);

    case("2.3").fails(json!({"environment": "production"}), &[("evidence/migration_run", Absent)]);
    let mut unknown = case("2.3").story();
    unknown.state.candidates[0].migration_set_digest = None;
    let facts = with(&unknown, "2.3", 0, json!({"migration_set_digest": null}));
    assert!(failing_by(&around(), &unknown, "2.3", facts).is_empty());

    case("2.4")
        .holds_with(json!({"required": 0, "present": 0}))
        .holds_with(json!({"extra": []}))
        .fails(json!({"present": 13}), &[("present", Value)]);
    let mut unknown = case("2.4").story();
    unknown.state.candidates[0].config_schema_digest = None;
    let facts = with(&unknown, "2.4", 0, json!({"config_schema_digest": null}));
    assert!(failing_by(&around(), &unknown, "2.4", facts).is_empty());

    let story = case("2.5").story();
    let (now, there) = (story.now, on_staging(&story));
    case("2.5")
        .holds_with(json!({"last_at": now + secs(20)}))
        .fails(json!({"last_at": now + secs(19)}), &[("last_at", Value)])
        .holds_with(json!({"first_at": there}))
        .fails(json!({"first_at": there - secs(1)}), &[("first_at", Stale)])
        .holds_with(json!({"http_status": null}))
        .holds_with(json!({"version": "2.4.0-rc.1"}))
        .fails(json!({"version": "2.3.1"}), &[("evidence/health_probe", Absent)])
        .fails(json!({"environment": "production"}), &[("evidence/health_probe", Absent)])
        .fails(json!({"replicas_healthy": 0, "replicas_total": 0}), &[("replicas_healthy", Empty)])
        .holds_with(json!({"replicas_healthy": 1, "replicas_total": 1}));
    let story = first_of(story);
    assert!(failing_by(&around(), &story, "2.5", honest("2.5", &story)).is_empty());
}

#[test]
fn step_3() {
    let there = on_staging(&case("3.1").story());
    case("3.1")
        .holds_with(json!({"total": 114, "passed": 114, "skipped": 0}))
        .fails(json!({"total": 113, "passed": 113, "skipped": 0}), &[("total", Value)])
        .holds_with(json!({"total": 115, "passed": 115, "skipped": 0, "previous_total": 121}))
        .fails(json!({"total": 114, "passed": 114, "skipped": 0, "previous_total": 121}), &[("total", Value)])
        .holds_with(json!({"total": 1, "passed": 1, "skipped": 0, "previous_total": 0}))
        .holds_with(json!({"passed": 114, "skipped": 6}))
        .fails(json!({"passed": 113, "skipped": 7}), &[("skipped", Value)])
        .holds_with(json!({"head_sha": null}))
        .holds_with(json!({"started_at": there}))
        .fails(json!({"started_at": there - secs(1)}), &[("started_at", Stale)])
        .fails(json!({"version_at_end": "2.4.0"}), &[("version_at_end", Mismatch)]);
    let story = first_of(case("3.1").story());
    let facts = with(&story, "3.1", 0, json!({"previous_total": null}));
    assert!(failing_by(&around(), &story, "3.1", facts).is_empty());
    // How often it was tried is stated.
    let facts = with(&case("3.1").story(), "3.1", 0, json!({"attempts": 2, "flaky": 1})).remove(0);
    let story = case("3.1").story().reported("3.1", facts);
    let verdict = story.state.items[&item("3.1")].verdict.as_deref().unwrap();
    assert!(verdict.rows.iter().any(|row| row.observed == "2 attempts, 1 flaky"));

    let story = case("3.3").story();
    let tried = |cases: Json| patched(honest("3.3", &story).remove(0), &json!({"cases": cases}));
    let one = |name: &str, result: &str| json!({"name": name, "result": result, "executor": "carol", "at": story.now});
    let (card, invoice) = ("pay by card", "pay by invoice");
    case("3.3")
        .holds_with(json!({"environment": null}))
        .holds_with(json!({"version": "2.4.0"}))
        .holds_with(json!({"version": "v2.4.0-rc.1"}))
        // The last try of a case counts, and a case that nobody asked for does not.
        .closes(vec![
            tried(json!([one(card, "fail"), one(invoice, "pass")])),
            tried(json!([one(card, "pass")])),
        ])
        .closes(vec![tried(json!([one(card, "pass"), one(invoice, "pass"), one("pay by cheque", "fail")]))])
        .stays_open(
            vec![tried(json!([one(card, "pass"), one(invoice, "pass")])), tried(json!([one(card, "fail")]))],
            &[("result", Value)],
        );
    let none_listed = settings(json!({"critical_flows": []}));
    let cheque = |result| vec![tried(json!([one("pay by cheque", result)]))];
    assert!(failing_by(&none_listed, &story, "3.3", cheque("pass")).is_empty());
    assert_eq!(failing_by(&none_listed, &story, "3.3", cheque("fail")), ["result"]);
    let at = |at: Timestamp| {
        let mut cases = honest("3.3", &story).remove(0)["cases"].clone();
        cases[0]["at"] = json!(at);
        json!({"cases": cases})
    };
    let there = on_staging(&story);
    case("3.3").holds_with(at(there)).fails(at(there - secs(1)), &[("at", Stale)]);

    let story = case("3.4").story();
    case("3.4")
        .closes(with(&story, "3.4", 1, json!({"criteria_passed": 5})))
        .closes(with(&story, "3.4", 1, json!({"criteria_passed": 1, "criteria_total": 1})))
        .closes(with(&story, "3.4", 1, json!({"done": null})))
        .closes(with(&story, "3.4", 0, json!({"features": []})));

    let story = case("3.5").story().made_true("3.4");
    Case::given("3.5", story)
        .fails(json!({"passed": 4, "errored": 1}), &[("filed", Absent)])
        .holds_with(json!({"passed": 3, "failed": 1, "errored": 1, "filed": 2}))
        .fails(json!({"passed": 3, "failed": 1, "errored": 1, "filed": 1}), &[("filed", Value)])
        .holds_with(json!({"total": 1, "passed": 1}))
        .fails(json!({"suite": "e2e"}), &[("evidence/test_report", Absent)]);

    case("3.6")
        .holds_with(json!({"samples": 30, "duration_s": 0}))
        .holds_with(json!({"samples": 29, "duration_s": 600}))
        .fails(json!({"head_sha": null}), &[("head_sha", Absent)])
        .fails(json!({"samples": 0, "duration_s": 0}), &[("samples", Empty)]);

    let story = case("3.7").story();
    let defect = |more: Json| {
        let defect = honest("3.7", &story).remove(0)["defects"][0].clone();
        json!({"defects": [patched(defect, &more)]})
    };
    case("3.7")
        .holds_with(defect(json!({"found_in": null})))
        .holds_with(defect(json!({"fixed_in": null})))
        .fails(defect(json!({"fixed_in": 0})), &[("fixed_in", Value)])
        .fails(
            defect(json!({"status": "deferred", "deferred_by": ["product_owner"]})),
            &[("deferred_by/release_manager", Value)],
        );
    // That none was found is QA's word.
    let none = with(&story, "3.7", 0, json!({"defects": []}));
    let story = none.into_iter().fold(story, |story, facts| story.reported("3.7", facts));
    let word = json!({"kind": "declaration", "statement": "We found none.", "count": 0});
    let by = |who: Actor| story.clone().when(who, record("3.7", word.clone()), &around()).accepted();
    by(bob()).fails("3.7", &[("evidence/declaration", Absent)]);
    assert!(by(carol()).state.status(item("3.7")).is_closed());
}

#[test]
fn step_4() {
    let story = case("4.1").story();
    let hours = |hours: i64| secs(hours * 3600);
    let needed = window().to + hours(48);
    let taken = |before: SignedDuration| {
        let at = story.now - before;
        json!({"started_at": at - secs(60), "completed_at": at})
    };
    case("4.1")
        .holds_with(json!({"retained_until": needed}))
        .fails(json!({"retained_until": needed - secs(1)}), &[("retained_until", Value)])
        .holds_with(taken(hours(4) - secs(1)))
        .fails(taken(hours(4)), &[("completed_at", Stale)])
        .holds_with(json!({"bytes": 1}))
        .holds_with(json!({"deleted": false}));
    // Another database's backup says nothing; where none is listed every one counts.
    let bad = || {
        let other = json!({"database": "reports", "verified": false});
        vec![honest("4.1", &story).remove(0), patched(honest("4.1", &story).remove(0), &other)]
    };
    assert!(failing_by(&around(), &story, "4.1", bad()).is_empty());
    let unlisted = settings(json!({"databases": []}));
    assert_eq!(failing_by(&unlisted, &story, "4.1", bad()), ["verified"]);
    assert_eq!(failing_by(&unlisted, &story, "4.1", vec![]), ["backup"]);
    // It was taken after the last change of the schema in production, if one was made.
    let migrating = case("5.2").story();
    let taken_at = migrating.state.items[&item("4.1")].verdict.as_deref().unwrap();
    let taken_at: Timestamp = taken_at
        .rows
        .iter()
        .find(|row| row.input.ends_with("completed_at"))
        .unwrap()
        .observed
        .parse()
        .unwrap();
    for (applied, after_s, stale) in [(1, 0, 1), (1, -1, 0), (1, 1, 1), (0, 1, 0)] {
        let mut story = migrating.clone();
        let deployment = story.deployment();
        let body = ReportMigrations {
            tool: line("sqlx"),
            applied: list(
                (0..applied)
                    .map(|n| release::evidence::Migration {
                        id: line(&format!("m{n}")),
                        checksum: line("9f2c"),
                        duration_ms: None,
                    })
                    .collect(),
            ),
            pending: 0,
            failed: 0,
            at: None,
            from_version: None,
            to_version: None,
            backward_compatible: None,
            url: None,
        };
        story = story.when(robot(), Command::ReportMigrations { deployment, body }, &around()).accepted();
        let run = story.state.deployments.last_mut().unwrap().migrations.last_mut().unwrap();
        run.at = taken_at + secs(after_s);
        let old = |row: &release::verdict::Row| row.expected.starts_with("after the schema");
        assert_eq!(story.failing("4.1").iter().filter(|row| old(row)).count(), stale, "{applied} {after_s}");
    }

    let story = case("4.2").story();
    let drill = |from: i64, to: i64, objective: Json| {
        let (started_at, finished_at) = (ago(&story, from), ago(&story, to));
        let times = json!({"started_at": started_at, "finished_at": finished_at});
        patched(times, &json!({"recovery_time_objective_s": objective}))
    };
    let day = 86_400;
    for (patch, failing) in [
        (drill(300, 0, json!(300)), 0),
        (drill(301, 0, json!(300)), 1),
        (drill(900, 0, json!(null)), 0),
        (drill(901, 0, json!(null)), 1),
        (drill(30 * day, 30 * day - 1, json!(300)), 0),
        (drill(30 * day + 1, 30 * day, json!(300)), 1),
    ] {
        // A member that is taken away is one that nobody reports.
        let mut facts = honest("4.2", &story);
        let null = patch["recovery_time_objective_s"].is_null();
        facts[1] = patched(facts[1].clone(), &patch);
        if null {
            facts[1].as_object_mut().unwrap().remove("recovery_time_objective_s");
        }
        assert_eq!(failing_by(&around(), &story, "4.2", facts).len(), failing, "{patch}");
    }
    let first = first_of(story.clone());
    let facts = with(&story, "4.2", 1, json!({"to_version": "1.0.0"}));
    assert!(failing_by(&around(), &first, "4.2", facts).is_empty());

    let story = case("4.3").story();
    let set_at = story.state.window.as_ref().unwrap().set_at;
    let answered = |at: Timestamp| json!({"acknowledgements": [{"person": "erin", "at": at}]});
    case("4.3")
        .holds_with(json!({"sent_at": set_at}))
        .fails(json!({"sent_at": set_at - secs(1)}), &[("sent_at", Stale)])
        .holds_with(json!({"sent_at": window().from - secs(1)}))
        .fails(json!({"sent_at": window().from}), &[("sent_at", Value)])
        .holds_with(answered(window().from - secs(1)))
        .fails(answered(window().from), &[("acknowledgements/erin", Value)])
        .fails(json!({"on_call": []}), &[("on_call", Absent)]);
    let all =
        json!({"acknowledgements": [{"person": "erin", "at": set_at}, {"person": "mallory", "at": set_at}]});
    assert_eq!(strict().policy(), Policy::Strict);
    assert!(failing_by(&strict(), &story, "4.3", with(&story, "4.3", 0, all)).is_empty());
    assert_eq!(failing_by(&strict(), &story, "4.3", honest("4.3", &story)), ["mallory"]);

    let story = case("4.5").story();
    let baseline = |from: i64, to: i64| json!({"from": ago(&story, from), "to": ago(&story, to)});
    case("4.5")
        .holds_with(json!({"last_sample_at": ago(&story, 30)}))
        .fails(json!({"last_sample_at": ago(&story, 31)}), &[("last_sample_at", Stale)])
        .closes(with(&story, "4.5", 1, baseline(3600, 0)))
        .nth_fails(1, baseline(3599, 0), &[("facts/from", Value)])
        .closes(with(&story, "4.5", 1, baseline(7200, 3599)))
        .nth_fails(1, baseline(7200, 3600), &[("facts/to", Stale)]);
    let shown = settings(json!({"metric_queries": [{"name": "error_rate", "query": "up"}]}));
    let board = |shows: Json| with(&story, "4.5", 0, json!({"shows": shows}));
    assert!(failing_by(&shown, &story, "4.5", board(json!(["error_rate"]))).is_empty());
    assert_eq!(failing_by(&shown, &story, "4.5", board(json!(["latency"]))), ["shows"]);
    // Of two baselines the later one counts, whoever captured it.
    let captured = |from: i64, to: i64| {
        let metric = Metric { name: line("error_rate"), value: 0.001, unit: None, baseline: None };
        let (from, to) = (ago(&story, from), ago(&story, to));
        let body =
            CaptureBaseline { source: line("prometheus"), from, to, metrics: list(vec![metric]), url: None };
        story.clone().when(robot(), Command::CaptureBaseline(body), &around()).accepted()
    };
    let short = || with(&story, "4.5", 1, baseline(70, 10));
    for (own, reported, failing) in [
        (captured(3600, 0), vec![honest("4.5", &story).remove(0)], 0),
        (captured(3700, 10), short(), 0),
        (captured(3700, 9), short(), 0),
        (captured(3700, 11), short(), 1),
    ] {
        assert_eq!(failing_by(&around(), &own, "4.5", reported).len(), failing);
    }

    let story = case("4.6").story();
    let said = |nth, patch| with(&story, "4.6", nth, patch);
    // An operator may stand in for the DBA, and one of several people is enough.
    let without_dba = said(4, json!({"role": "viewer"}));
    assert!(failing_by(&around(), &story, "4.6", without_dba).is_empty());
    let no_operator = patched(honest("4.6", &story)[1].clone(), &json!({"role": "viewer"}));
    let mut neither = said(4, json!({"role": "viewer"}));
    neither[1] = no_operator;
    assert_eq!(failing_by(&around(), &story, "4.6", neither), ["operator", "dba"]);
    let mut twice = honest("4.6", &story);
    let away = json!({"person": "another", "from": window().to});
    twice.push(patched(twice[0].clone(), &patched(away, &json!({"to": window().to + secs(9000)}))));
    assert!(failing_by(&around(), &story, "4.6", twice).is_empty());
    let until = window().to + secs(3600);
    case("4.6")
        .holds_with(json!({"from": window().from, "to": until}))
        .fails(json!({"to": until - secs(1)}), &[("to", Value)])
        .fails(json!({"from": window().from + secs(1)}), &[("to", Value)])
        .holds_with(json!({"withdrawn": false}));
    let mut no_migrations = story.clone();
    no_migrations.state.candidates[0].migration_set_digest = None;
    let mut without = honest("4.6", &story);
    without.remove(4);
    let mut alone = without.clone();
    alone.remove(1);
    assert_eq!(failing_by(&around(), &no_migrations, "4.6", alone.clone()), ["operator"]);
    let no_databases = settings(json!({"databases": []}));
    assert_eq!(failing_by(&no_databases, &story, "4.6", alone), ["operator"]);

    let flag = |more: Json| {
        let flag = honest("4.7", &case("4.7").story()).remove(0)["flags"][0].clone();
        json!({"flags": [patched(flag, &more)]})
    };
    case("4.7")
        .holds_with(flag(json!({"added": false, "planned": "on", "actual": "on"})))
        .holds_with(flag(json!({"added": null, "planned": "on", "actual": "on"})))
        .holds_with(flag(json!({"planned": "0 %", "actual": "0 %"})))
        .holds_with(json!({"referenced": []}));
}

#[test]
fn step_5() {
    let story = case("5.1").story();
    let started = story.state.deployments.last().unwrap().started_at;
    let sent = |seconds: i64| json!({"sent_at": started + secs(seconds)});
    case("5.1")
        .holds_with(sent(-600))
        .fails(sent(-601), &[("sent_at", Stale)])
        .holds_with(sent(300))
        .fails(sent(301), &[("sent_at", Value)])
        // Of several messages the one near the start counts.
        .closes(vec![with(&story, "5.1", 0, sent(0)).remove(0), with(&story, "5.1", 0, sent(900)).remove(0)]);

    let story = case("5.2").story();
    let started = story.state.deployments.last().unwrap().started_at;
    let facts = honest("5.2", &story);
    let ran = |at: Timestamp| {
        let run = seen_at(story.clone(), "5.2", facts[0].clone(), at);
        run.reported("5.2", facts[1].clone()).failing("5.2").len()
    };
    assert_eq!((ran(started), ran(started - secs(1))), (0, 1));
    case("5.2")
        .closes(with(&story, "5.2", 1, json!({"last_at": story.now + secs(120)})))
        .nth_fails(1, json!({"probes": 0, "healthy": 0}), &[("healthy", Value)])
        .closes(with(&story, "5.2", 1, json!({"version": "v2.3.1"})))
        .nth_fails(1, json!({"environment": "staging"}), &[("evidence/health_probe", Absent)]);

    let story = case("5.3").story();
    let started = story.state.deployments.last().unwrap().started_at;
    let (from, to) = (ago(&story, 900), story.now);
    case("5.3")
        .holds_with(json!({"weight_min_percent": 1.0, "weight_max_percent": 5.0}))
        .holds_with(json!({"coverage": 0.95, "longest_gap_s": 120, "requests": 500}))
        .holds_with(json!({"from": from, "to": to}))
        .fails(json!({"from": from + secs(1), "to": to}), &[("/to", Value)])
        .holds_with(json!({"from": started}))
        .fails(json!({"from": started - secs(1)}), &[("/from", Stale)]);

    let judged = |patch: Json| {
        let story = case("5.3").story();
        let facts = patched(honest("5.3", &story).remove(0), &patch);
        let story = story.reported("5.3", facts).proceeding(dave());
        story.state.status(item("5.4")).is_closed()
    };
    // The wider of ratio and difference is the limit.
    for (ours, control, passes) in [
        (0.003, 0.002, true),
        (0.003_01, 0.002, false),
        (0.015, 0.01, true),
        (0.015_01, 0.01, false),
        (0.001, 0.0, true),
    ] {
        assert_eq!(
            judged(json!({"error_rate": ours, "control_error_rate": control})),
            passes,
            "{ours} {control}"
        );
    }
    assert!(judged(json!({"requests": 500})) && !judged(json!({"requests": 499})));

    let story = case("5.5").story();
    let started = story.state.deployments.last().unwrap().started_at;
    let facts = honest("5.5", &story);
    let probed = |at: Timestamp| {
        let seen = seen_at(story.clone(), "5.5", facts[0].clone(), at);
        seen.reported("5.5", facts[1].clone()).failing("5.5").len()
    };
    assert_eq!((probed(started), probed(started - secs(1))), (0, 1));
    let reported = facts.iter().fold(story.clone(), |story, facts| story.reported("5.5", facts.clone()));
    let lease = |change: &dyn Fn(&mut release::release::RollbackLease)| {
        let mut story = reported.clone();
        change(story.state.leases.last_mut().unwrap());
        story.failing("5.5").len()
    };
    let released = |after_s: i64| {
        lease(&|lease| {
            let at = lease.not_before_release + secs(after_s);
            lease.status = LeaseStatus::Released { at, by: dave().id };
        })
    };
    assert_eq!((released(0), released(-1)), (0, 1));
    assert_eq!(lease(&|lease| lease.version = version("2.3.0")), 1);

    let story = case("5.6").story();
    let weighed = |percent: f64| {
        let story = crate::rules::samples::weighed(story.clone(), percent);
        honest("5.6", &story)
            .into_iter()
            .fold(story, |story, facts| story.reported("5.6", facts))
            .failing("5.6")
            .len()
    };
    assert_eq!((weighed(100.0), weighed(99.9)), (0, 1));

    let story = case("5.7").story();
    let done = story.state.deployments.last().unwrap().succeeded_at().unwrap();
    case("5.7")
        .holds_with(json!({"sent_at": done}))
        .fails(json!({"sent_at": done - secs(1)}), &[("sent_at", Stale)]);
    let early = with(&story, "5.7", 0, json!({"sent_at": done - secs(60)})).remove(0);
    let told = honest("5.7", &story).remove(0);
    case("5.7").closes(vec![early.clone(), told.clone()]).closes(vec![told, early]);
}

#[test]
fn step_6() {
    let story = case("6.1").story();
    let done = story.state.deployments.last().unwrap().succeeded_at().unwrap();
    let at = |at: Timestamp| {
        let mut cases = honest("6.1", &story).remove(0)["cases"].clone();
        cases[0]["at"] = json!(at);
        json!({"cases": cases})
    };
    case("6.1")
        .holds_with(at(done))
        .fails(at(done - secs(1)), &[("at", Stale)])
        .holds_with(json!({"version": "2.4.0"}));

    let story = case("6.4").story();
    let done = story.state.deployments.last().unwrap().succeeded_at().unwrap();
    let rate = |value: f64, base: f64| json!({"metrics": [{"name": "error_rate", "value": value, "baseline": base}]});
    let needed = 2700;
    case("6.4")
        // 1.1 times the baseline, or 0.0005 more where that is more.
        .holds_with(rate(0.0025, 0.002))
        .fails(rate(0.002_51, 0.002), &[("error_rate", Value)])
        .holds_with(rate(0.011, 0.01))
        .fails(rate(0.011_1, 0.01), &[("error_rate", Value)])
        .holds_with(json!({"coverage": 0.95}))
        .fails(json!({"coverage": 0.949}), &[("coverage", Value)])
        .holds_with(json!({"from": done, "to": done + secs(needed)}))
        .fails(json!({"from": done - secs(1)}), &[("from", Stale)])
        .fails(json!({"from": done, "to": done + secs(needed - 1)}), &[("/to", Value)])
        .fails(
            json!({"metrics": [{"name": "requests", "value": 1}]}),
            &[("error_rate", Absent), ("metric_window", Absent)],
        );

    let story = case("6.8").story();
    let from = story.state.deployments.last().unwrap().succeeded_at().unwrap();
    case("6.8")
        .holds_with(json!({"coverage": 0.95}))
        .holds_with(json!({"from": from, "to": from + secs(needed)}))
        .fails(json!({"from": from, "to": from + secs(needed - 1)}), &[("/to", Value)])
        .fails(json!({"from": from - secs(1)}), &[("/from", Stale)]);
}

#[test]
fn step_7() {
    let story = case("7.2").story();
    let tree = |sha: char| json!({"commit_sha": commit('e'), "tree_sha": commit(sha)});
    case("7.2").fails(tree('d'), &[("commit_sha", Mismatch)]);
    // The tag of the candidate says which files it has.
    let candidates = patched(honest("1.5", &story).remove(0), &json!({"tree_sha": commit('d')}));
    let known = story.clone().reported("1.5", candidates);
    let final_tag = |sha: char| with(&story, "7.2", 0, tree(sha));
    assert!(failing_by(&around(), &known, "7.2", final_tag('d')).is_empty());
    assert_eq!(failing_by(&around(), &known, "7.2", final_tag('c')), ["commit_sha"]);
    let no_tree = with(&story, "7.2", 0, json!({"commit_sha": commit('e')}));
    assert_eq!(failing_by(&around(), &known, "7.2", no_tree), ["commit_sha"]);

    case("7.1").holds_with(json!({"ref_name": "refs/heads/main"}));
    case("7.3")
        .holds_with(json!({"version": "v2.4.0"}))
        .fails(json!({"http_status": 204}), &[("http_status", Value)]);

    let story = case("7.4").story();
    let published = story.state.items[&item("7.3")].evidence.last().copied().unwrap();
    let published =
        serde_json::to_value(&story.state.evidence.get(&published).unwrap().recorded.facts).unwrap();
    let published: Timestamp = published["published_at"].as_str().unwrap().parse().unwrap();
    case("7.4")
        .holds_with(json!({"sent_at": published}))
        .fails(json!({"sent_at": published - secs(1)}), &[("sent_at", Stale)])
        .holds_with(json!({"audience": null}))
        .holds_with(json!({"recipients": ["everybody"]}))
        .fails(json!({"audience": null, "recipients": ["everybody"]}), &[("notification/support", Absent)]);
    let nobody_listed = settings(json!({"notification_groups": []}));
    assert_eq!(failing_by(&nobody_listed, &story, "7.4", vec![]), ["notification"]);
    let somebody = with(&story, "7.4", 0, json!({"audience": null, "recipients": ["everybody"]}));
    assert!(failing_by(&nobody_listed, &story, "7.4", somebody).is_empty());

    let story = case("7.5").story();
    let verified = story.state.gates[&6].at;
    case("7.5")
        .holds_with(json!({"at": verified}))
        .fails(json!({"at": verified - secs(1)}), &[("at", Stale)])
        .fails(json!({"at": null}), &[("/at", Absent)])
        .fails(json!({"open_children": null}), &[("open_children", Absent)]);

    // 19 of 20 probes are 95 %.
    let story = case("7.6").story();
    let kept = |probes: u64, healthy: u64| {
        let mut story = story.clone();
        let lease = story.state.leases.last_mut().unwrap();
        (lease.probes, lease.healthy) = (probes, healthy);
        story.failing("7.6").len()
    };
    assert_eq!([kept(20, 19), kept(20, 18), kept(1, 1), kept(0, 0)], [0, 1, 0, 1]);
    let released = |after_s: i64| {
        let mut story = story.clone();
        let lease = story.state.leases.last_mut().unwrap();
        let at = lease.not_before_release + secs(after_s);
        lease.status = LeaseStatus::Released { at, by: dave().id };
        story.failing("7.6").len()
    };
    assert_eq!((released(0), released(-1)), (0, 1));
    let lease = story.state.leases.last().unwrap().clone();
    let (from, to) = (lease.opened_at, lease.not_before_release);
    let told = |patch: Json| {
        let whole = json!({"kind": "lease", "environment": "production", "version": "2.3.1", "from": from, "to": to,
            "probes": 20, "healthy": 19});
        let facts = vec![patched(whole, &patch)];
        failing_by(&around(), &story, "7.6", facts)
    };
    assert!(told(json!({})).is_empty());
    assert_eq!(told(json!({"from": from + secs(1)})), ["to"]);
    assert_eq!(told(json!({"to": to - secs(1)})), ["to"]);
    assert_eq!(told(json!({"version": "2.3.0"})), ["version"]);
    assert_eq!(told(json!({"healthy": 18})), ["healthy"]);
}

#[test]
fn assurance() {
    // One signature in a role that does not count, and one in a role that does.
    let story = case("3.3").story();
    let story = honest("3.3", &story).into_iter().fold(story, |story, facts| story.reported("3.3", facts));
    story.clone().when(grace(), sign("3.3"), &around()).then_refused(release::RefusalCode::RoleMissing);
    let signed = story.when(carol(), sign("3.3"), &around()).accepted();
    let attested = matches!(
        signed.state.status(item("3.3")),
        ItemStatus::Satisfied { assurance: Assurance::Attested, .. }
    );
    assert!(attested);
    // A person's fact beside a machine's makes it no machine's word.
    let story = case("2.4").story();
    let facts = honest("2.4", &story).remove(0);
    let by_person = story.clone().when(dave(), record("2.4", facts.clone()), &around()).accepted();
    assert!(!by_person.state.status(item("2.4")).is_closed());
    let by_machine = story.when(robot(), record("2.4", facts), &around()).accepted();
    let verified = matches!(
        by_machine.state.status(item("2.4")),
        ItemStatus::Satisfied { assurance: Assurance::Verified, .. }
    );
    assert!(verified);
}
