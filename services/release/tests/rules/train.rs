//! One release of three services: a new candidate that replaces one of them leaves alone what was seen of the
//! other two.

use std::sync::{Arc, LazyLock, OnceLock};

use jiff::SignedDuration;
use release::RefusalCode as No;
use release::command::{AmendRelease, AttestItem, BindCandidate, TagCandidate};
use release::decide::{Around, Context, PreviewRow, preview};
use release::event::EffectKind;
use release::evidence::{Artifact, Subject};
use release::procedures::variant;
use release::product::ProductSettings;
use release::release::{ItemStatus, Release};
use release::spec::judged::{self, honest, patched, report, sign, signers};
use release::spec::release::{commit, item, line, list, name, open, prose, sha256, tag};
use release::spec::{Spec, alice, bob, carol, id, nothing, robot};
use release::value::{Digest, Name};
use release::verdict::{Cause, Row};
use release::{Actor, Command};
use serde_json::{Value, json};

type Story = Spec<Release>;

const SERVICES: [&str; 3] = ["cart", "mail", "pay"];

/// Seen of each service: these hold service by service.
const OF_EACH: [&str; 11] = ["1.6", "2.1", "2.2", "2.3", "2.4", "2.5", "3.1", "3.2", "3.3", "3.6", "4.7"];

fn built(service: &str, digit: char) -> Artifact {
    Artifact { name: line(service), digest: Digest::new(&format!("sha256:{}", sha256(digit))).unwrap() }
}

fn services() -> Vec<Name> {
    SERVICES.map(name).to_vec()
}

fn around() -> &'static Around {
    static AROUND: LazyLock<Around> = LazyLock::new(|| {
        let artifacts: Vec<_> =
            SERVICES.iter().map(|service| json!({"name": service, "targets": [service]})).collect();
        let mut settings: Value = serde_json::to_value(judged::settings()).unwrap();
        settings["targets"] = json!(SERVICES);
        settings["artifacts"] = json!(artifacts);
        let mut around = judged::around();
        around.settings = Arc::new(serde_json::from_value::<ProductSettings>(settings).unwrap());
        around.procedure = Arc::new(variant("multi-service-train").unwrap().unwrap());
        around.opening.as_mut().unwrap().targets = services();
        around
    });
    &AROUND
}

fn act(story: Story, who: Actor, command: Command) -> Story {
    story.when(who, command, around()).accepted()
}

/// A candidate of these builds of cart, mail and pay.
fn of_builds(n: u32, digits: [char; 3]) -> TagCandidate {
    let artifacts = SERVICES.iter().zip(digits).map(|(service, digit)| built(service, digit)).collect();
    TagCandidate { artifacts: list(artifacts), ..tag(n) }
}

fn closed(story: &Story, number: &str) -> bool {
    story.state.status(item(number)).is_closed()
}

/// What a machine sees of one service.
fn seen(story: Story, service: &str, number: &str, facts: Value) -> Story {
    let mut body = report(facts);
    body.target = Some(name(service));
    act(story, robot(), Command::RecordEvidence { items: vec![item(number)], body })
}

/// What honest machines report of the service, and of the artifact that is its own.
fn shown_by(mut story: Story, service: &str, number: &str) -> Story {
    for facts in honest(number, &story) {
        let patch = match facts.get("artifacts") {
            Some(_) => {
                let candidate = story.state.current_candidate().unwrap();
                json!({"artifacts": candidate.artifacts.iter().filter(|a| a.name.as_str() == service).collect::<Vec<_>>()})
            }
            None => json!({}),
        };
        story = seen(story, service, number, patched(facts, &patch));
    }
    story
}

fn signed(story: Story, number: &str) -> Story {
    let of = around().procedure.item(item(number)).unwrap().clone();
    signers(&of)
        .into_iter()
        .fold(story, |story, who| if closed(&story, number) { story } else { act(story, who, sign(number)) })
}

/// The item is shown by these services, or once for the whole.
fn made_true(story: Story, number: &str, services: &[&str]) -> Story {
    let story = if OF_EACH.contains(&number) {
        services.iter().fold(story, |story, service| shown_by(story, service, number))
    } else {
        let whole = |story, facts| act(story, robot(), judged::record(number, facts));
        honest(number, &story).into_iter().fold(story, whole)
    };
    signed(story, number).minutes_later(1)
}

/// Every open item of the step, shown by these services where it holds service by service.
#[track_caller]
fn step(story: Story, step: u32, services: &[&str]) -> Story {
    let items = around().procedure.step(step).unwrap().items.clone();
    items.iter().map(|item| item.number.to_string()).fold(story, |story, number| {
        if closed(&story, &number) {
            return story;
        }
        let story = made_true(story, &number, services);
        assert!(closed(&story, &number), "{number}: {:#?}", failing(&story, &number));
        story
    })
}

fn opened() -> Story {
    act(nothing(), alice(), Command::Open(open()))
}

/// Candidate 1 of the three, as far as the end of this step.
fn through(last: u32) -> Story {
    static TOLD: [OnceLock<Story>; 4] = [const { OnceLock::new() }; 4];
    let tell = || match last {
        0 => act(opened(), bob(), Command::TagCandidate(of_builds(1, ['1', '1', '1']))).minutes_later(1),
        _ => step(through(last - 1), last, &SERVICES),
    };
    TOLD[usize::try_from(last).unwrap()].get_or_init(tell).clone()
}

fn failing(story: &Story, number: &str) -> Vec<Row> {
    let reading = story.reading(around(), number).unwrap();
    release::rule::facts(&reading).rows.into_iter().filter(|row| !row.ok).collect()
}

/// The services because of which the item is open, with the causes.
fn because_of(story: &Story, number: &str) -> Vec<(String, Cause)> {
    let mut rows: Vec<_> =
        failing(story, number).into_iter().map(|row| (row.target.to_string(), row.cause.unwrap())).collect();
    rows.sort();
    rows.dedup();
    rows
}

fn absent(services: &[&str]) -> Vec<(String, Cause)> {
    services.iter().map(|service| ((*service).to_owned(), Cause::Absent)).collect()
}

#[track_caller]
fn foreseen(story: &Story, new: &TagCandidate) -> Vec<PreviewRow> {
    let next = u64::try_from(story.facts.len()).unwrap();
    let event_id = |n: usize| id(next + u64::try_from(n).unwrap());
    let ctx = Context { now: story.now, actor: &bob(), event_id: &event_id, around: around() };
    preview(&story.state, new, &ctx).unwrap()
}

/// Item, effect, and the services it concerns where these are not all.
fn effects(rows: &[PreviewRow]) -> Vec<String> {
    let word = |effect| match effect {
        EffectKind::Unaffected => "-",
        EffectKind::Reaffirm => "RA",
        EffectKind::Stale => "ST",
        EffectKind::Reevaluate => "RE",
        EffectKind::Revoked => "REV",
        EffectKind::Failed => "FAILED",
    };
    let row = |row: &PreviewRow| {
        let targets: Vec<_> = row.targets.iter().flatten().map(Name::as_str).collect();
        format!("{} {} {}", row.item, word(row.effect), targets.join(" ")).trim_end().to_owned()
    };
    rows.iter().filter(|row| row.item.step() <= 3).map(row).collect()
}

const REPLACES_PAY: [&str; 19] = [
    "1.1 -",
    "1.2 RE",
    "1.3 RE",
    "1.4 RA",
    "1.5 RE",
    "1.6 ST pay",
    "1.7 RA",
    "2.1 ST pay",
    "2.2 ST pay",
    "2.3 RE",
    "2.4 RE",
    "2.5 ST pay",
    "3.1 ST pay",
    "3.2 ST pay",
    "3.3 ST pay",
    "3.4 ST",
    "3.5 RA",
    "3.6 ST pay",
    "3.7 RE",
];

#[test]
fn given_flags_of_each_service_those_of_the_others_are_judged_at_once() {
    let story = made_true(through(3), "4.7", &SERVICES);
    let story = act(story, bob(), Command::TagCandidate(of_builds(2, ['1', '1', '2'])));
    assert_eq!(because_of(&story, "4.7"), absent(&["pay"]));
    assert!(closed(&shown_by(story, "pay", "4.7"), "4.7"));
}

#[test]
fn given_flags_that_are_reported_late_they_count_for_the_build_that_they_are_about() {
    let about = |story: Story, number: u32| {
        let mut body = report(honest("4.7", &story).remove(0));
        (body.target, body.subject) = (Some(name("pay")), Some(Subject::Candidate { number }));
        act(story, robot(), Command::RecordEvidence { items: vec![item("4.7")], body })
    };
    let story = made_true(through(3), "4.7", &SERVICES);
    let story = act(story, bob(), Command::TagCandidate(of_builds(2, ['1', '1', '2'])));
    // The third has the second's build of it, and not the first's.
    let third = |story| act(story, bob(), Command::TagCandidate(of_builds(3, ['1', '3', '2'])));
    assert_eq!(because_of(&third(about(story.clone(), 1)), "4.7"), absent(&["mail", "pay"]));
    assert_eq!(because_of(&third(about(story.clone(), 2)), "4.7"), absent(&["mail"]));
    assert_eq!(because_of(&about(third(story), 2), "4.7"), absent(&["mail"]));
}

#[test]
fn given_commits_of_each_service_a_new_candidate_is_another_commit_to_all() {
    let story = act(opened(), bob(), Command::TagCandidate(of_builds(1, ['1', '1', '1']))).minutes_later(1);
    let commits = ["1.2", "1.5"];
    let shown = |story: Story, number: &&str| {
        SERVICES.iter().fold(story, |story, service| shown_by(story, service, number))
    };
    let story = commits.iter().fold(story, shown);
    assert!(commits.iter().all(|number| closed(&story, number)));
    let story = act(story, bob(), Command::TagCandidate(of_builds(2, ['1', '1', '2'])));
    for number in commits {
        assert_eq!(because_of(&story, number), absent(&SERVICES), "{number}");
    }
}

#[test]
fn given_a_run_that_was_reported_before_its_commit_was_tagged_it_counts_as_long_as_that_build_does() {
    let runs = |story: Story, sha: char, patch: Value| {
        let facts = patched(honest("1.6", &story).remove(0), &json!({"head_sha": commit(sha)}));
        seen(story, "pay", "1.6", patched(facts, &patch))
    };
    let story = through(1);
    let story = runs(story, '2', json!({"artifacts": [built("pay", '2')]})).minutes_later(1);
    let story = act(story, bob(), Command::TagCandidate(of_builds(2, ['1', '1', '2']))).minutes_later(1);
    assert!(closed(&story, "1.6"));
    let story = act(story, bob(), Command::TagCandidate(of_builds(3, ['1', '3', '2'])));
    assert_eq!(because_of(&story, "1.6"), absent(&["mail"]));
}

/// The items that are about what runs.
const ABOUT_THE_BUILD: [&str; 8] = ["1.6", "2.1", "2.2", "2.5", "3.1", "3.2", "3.3", "3.6"];

#[test]
fn given_a_candidate_that_replaces_one_service_the_preview_names_it_and_tagging_records_the_same() {
    let story = through(3);
    let new = of_builds(2, ['1', '1', '2']);
    let rows = foreseen(&story, &new);
    assert_eq!(effects(&rows), REPLACES_PAY);
    let tagged = act(story, bob(), Command::TagCandidate(new));
    let recorded = tagged.facts.iter().rev().find_map(|fact| match &fact.event {
        release::ReleaseEvent::CandidateTagged(tagged) => Some(tagged.effects.clone()),
        _ => None,
    });
    let foreseen: Vec<_> = rows.iter().map(|row| (row.item, row.effect, row.targets.clone())).collect();
    let recorded: Vec<_> = recorded.unwrap().into_iter().map(|e| (e.item, e.effect, e.targets)).collect();
    assert_eq!(foreseen, recorded);
    for row in rows {
        assert_eq!(row.after, *tagged.state.status(row.item), "{}", row.item);
    }
}

#[test]
fn given_one_replaced_service_only_that_one_is_shown_again() {
    let story = act(through(3), bob(), Command::TagCandidate(of_builds(2, ['1', '1', '2']))).minutes_later(1);
    for number in ABOUT_THE_BUILD {
        assert!(!closed(&story, number), "{number}");
        assert_eq!(because_of(&story, number), absent(&["pay"]), "{number}");
    }
    let story = (1..=3).fold(story, |story, number| step(story, number, &["pay"]));
    // What runs is seen once more before the gate opens, whoever was replaced.
    let again = |story, service: &&str| shown_by(shown_by(story, service, "2.2"), service, "2.5");
    let story = SERVICES.iter().fold(story, again);
    let story = act(story, alice(), Command::EvaluateGate { gate: 3 });
    assert!((1..=3).all(|gate| story.state.gates[&gate].verdict.satisfied));
    // The verdict has a row for each service, whichever candidate it was seen of.
    for number in ABOUT_THE_BUILD {
        let verdict = story.state.items[&item(number)].verdict.clone().unwrap();
        let mut targets: Vec<_> = verdict.rows.iter().map(|row| row.target.to_string()).collect();
        targets.retain(|target| target != "default");
        targets.sort();
        targets.dedup();
        assert_eq!(targets, SERVICES, "{number}");
    }
}

#[test]
fn given_one_replaced_service_what_was_seen_of_it_before_closes_nothing() {
    let story = act(through(3), bob(), Command::TagCandidate(of_builds(2, ['1', '1', '2']))).minutes_later(1);
    let story = step(story, 1, &["pay"]);
    // The others once more do not help it.
    let story = ["cart", "mail"].iter().fold(story, |story, service| shown_by(story, service, "2.1"));
    assert_eq!(because_of(&story, "2.1"), absent(&["pay"]));
    // Nor does the old build of it.
    let old = patched(honest("2.1", &story).remove(0), &json!({"artifacts": [built("pay", '1')]}));
    let story = seen(story, "pay", "2.1", old);
    assert_eq!(because_of(&story, "2.1"), [("pay".to_owned(), Cause::Mismatch)]);
    // Nor what another one is built of.
    let other = patched(honest("2.1", &story).remove(0), &json!({"artifacts": [built("cart", '1')]}));
    let story = seen(story.minutes_later(1), "pay", "2.1", other);
    assert_eq!(because_of(&story, "2.1"), [("pay".to_owned(), Cause::Mismatch)]);
    assert!(closed(&shown_by(story.minutes_later(1), "pay", "2.1"), "2.1"));
}

#[test]
fn given_a_service_that_was_not_replaced_it_still_answers_with_the_candidate_it_was_built_for() {
    let story = act(through(3), bob(), Command::TagCandidate(of_builds(2, ['1', '1', '2']))).minutes_later(1);
    let story = step(story, 1, &["pay"]);
    let story = step(story, 2, &["pay"]);
    let answers = |story: &Story, digit: char, version: &str| {
        let patch = json!({"commit_sha": commit(digit), "version": version});
        patched(honest("2.2", story).remove(0), &patch)
    };
    let probe = answers(&story, '1', "2.4.0-rc.1");
    let cart = seen(story.clone(), "cart", "2.2", probe.clone());
    assert!(closed(&cart, "2.2"));
    let pay = seen(story.clone(), "pay", "2.2", probe);
    assert_eq!(because_of(&pay, "2.2"), [("pay".to_owned(), Cause::Mismatch)]);
    // A commit of no candidate is nobody's.
    let other = answers(&story, '9', "2.4.0-rc.1");
    let cart = seen(story, "cart", "2.2", other);
    assert_eq!(because_of(&cart, "2.2"), [("cart".to_owned(), Cause::Mismatch)]);
}

#[test]
fn given_a_change_of_something_shared_every_service_is_shown_again() {
    let story = through(3);
    let same = || of_builds(2, ['1', '1', '1']);
    let shared = [
        TagCandidate { migration_set_digest: Some(sha256('9')), ..same() },
        TagCandidate { config_schema_digest: Some(sha256('9')), ..same() },
        TagCandidate { pipeline_digest: Some(sha256('9')), ..same() },
        // A library that none of them has to itself.
        TagCandidate {
            artifacts: list(same().artifacts.iter().cloned().chain([built("sidecar", '1')]).collect()),
            ..same()
        },
        // What it is built of is not known yet.
        TagCandidate { artifacts: list(vec![]), ..same() },
    ];
    for new in shared {
        let rows = foreseen(&story, &new);
        for number in ABOUT_THE_BUILD {
            let row = rows.iter().find(|row| row.item == item(number)).unwrap();
            assert_eq!((row.effect, &row.targets), (EffectKind::Stale, &None), "{number} {new:?}");
            assert!(!row.after.is_closed());
        }
        let tagged = act(story.clone(), bob(), Command::TagCandidate(new)).minutes_later(1);
        for number in ABOUT_THE_BUILD {
            let services: Vec<_> =
                because_of(&tagged, number).into_iter().map(|(service, _)| service).collect();
            assert!(SERVICES.iter().all(|service| services.iter().any(|one| one == service)), "{number}");
        }
    }
}

#[test]
fn given_a_candidate_with_every_build_as_it_was_what_machines_saw_stands_and_people_reaffirm() {
    let story = through(3);
    let new = of_builds(2, ['1', '1', '1']);
    let rows = foreseen(&story, &new);
    for number in ABOUT_THE_BUILD {
        let row = rows.iter().find(|row| row.item == item(number)).unwrap();
        let expected = if number == "3.3" { EffectKind::Reaffirm } else { EffectKind::Unaffected };
        assert_eq!((row.effect, &row.targets), (expected, &None), "{number}");
    }
    let story = act(story, bob(), Command::TagCandidate(new)).minutes_later(1);
    let story = step(step(story, 1, &[]), 2, &[]);
    assert!(matches!(story.state.status(item("3.3")), ItemStatus::Stale { reaffirmable: true, .. }));
    let body = release::command::ReaffirmItem { statement: None };
    let story = act(story, carol(), Command::ReaffirmItem { item: item("3.3"), body });
    assert!(closed(&story, "3.3"));
}

#[test]
fn given_builds_that_are_bound_later_what_was_seen_of_the_same_ones_counts_from_then_on() {
    let unbound = TagCandidate { artifacts: list(vec![]), ..tag(2) };
    let story = act(through(3), bob(), Command::TagCandidate(unbound)).minutes_later(1);
    let services = |story: &Story| -> Vec<String> {
        because_of(story, "2.1").into_iter().map(|(service, _)| service).collect()
    };
    assert_eq!(services(&story), SERVICES);
    let artifacts = of_builds(2, ['1', '1', '2']).artifacts;
    let (migration_set_digest, config_schema_digest, pipeline_digest) = (None, None, None);
    let body = BindCandidate { artifacts, migration_set_digest, config_schema_digest, pipeline_digest };
    let story = act(story, robot(), Command::BindCandidate { number: 2, body });
    assert_eq!(services(&story), ["pay"]);
    (1..=3).fold(story.minutes_later(1), |story, number| step(story, number, &["pay"]));
}

#[test]
fn given_a_service_that_went_back_to_an_older_build_it_is_shown_again() {
    let story = act(through(3), bob(), Command::TagCandidate(of_builds(2, ['1', '1', '2']))).minutes_later(1);
    let story = (1..=3).fold(story, |story, number| step(story, number, &["pay"]));
    // What runs on staging is the second build of it, whatever was seen of the first.
    let story = act(story, bob(), Command::TagCandidate(of_builds(3, ['1', '1', '1']))).minutes_later(1);
    for number in ABOUT_THE_BUILD {
        assert_eq!(because_of(&story, number), absent(&["pay"]), "{number}");
    }
    // The other two were last shown two candidates ago.
    (1..=3).fold(story, |story, number| step(story, number, &["pay"]));
}

#[test]
fn given_a_report_on_the_whole_a_new_candidate_of_one_service_makes_all_of_it_stale() {
    let story = through(1);
    let whole = honest("2.1", &story).remove(0);
    let artifacts = json!({"artifacts": story.state.current_candidate().unwrap().artifacts});
    let story = act(story, robot(), judged::record("2.1", patched(whole, &artifacts))).minutes_later(1);
    assert!(closed(&story, "2.1"));
    let rows = foreseen(&story, &of_builds(2, ['1', '1', '2']));
    let row = rows.iter().find(|row| row.item == item("2.1")).unwrap();
    assert_eq!((row.effect, &row.targets), (EffectKind::Stale, &None));
    let story = act(story, bob(), Command::TagCandidate(of_builds(2, ['1', '1', '2'])));
    assert_eq!(because_of(&story, "2.1"), absent(&SERVICES));
}

#[test]
fn given_a_later_report_on_the_whole_what_one_service_showed_before_does_not_come_back() {
    let story = ["2.1"].iter().fold(through(1), |story, number| made_true(story, number, &SERVICES));
    let failed = patched(honest("2.1", &story).remove(0), &json!({"status": "failed"}));
    let story = act(story, robot(), judged::record("2.1", failed)).minutes_later(1);
    assert!(!closed(&story, "2.1"));
    let evidence = *story.state.items[&item("2.1")].evidence.last().unwrap();
    let next = act(story.clone(), bob(), Command::TagCandidate(of_builds(2, ['1', '1', '2'])));
    assert_eq!(because_of(&next, "2.1"), absent(&SERVICES));
    // What is said of it in another way outdates nothing.
    let other = made_true(made_true(through(2), "3.1", &SERVICES), "3.2", &SERVICES);
    let run = honest("1.6", &other).remove(0);
    let other = act(other, robot(), judged::record("3.1", run)).minutes_later(1);
    let other = act(other, bob(), Command::TagCandidate(of_builds(2, ['1', '1', '2'])));
    assert_eq!(because_of(&other, "3.1"), absent(&["pay"]));
    // It was reported by mistake.
    let body = release::command::RetractEvidence { reason: release::spec::release::prose("another cluster") };
    let story = act(story, robot(), Command::RetractEvidence { evidence, body });
    let story = act(story, bob(), Command::TagCandidate(of_builds(2, ['1', '1', '2'])));
    assert_eq!(because_of(&story, "2.1"), absent(&["pay"]));
}

#[test]
fn given_a_feature_that_the_candidate_touches_it_is_tested_again_on_every_service() {
    let story = made_true(through(2), "3.1", &SERVICES);
    let whole = |number: &str, nth: usize, story: &Story| honest(number, story).remove(nth);
    let features = |story: Story| {
        let facts = whole("3.4", 0, &story);
        act(story, robot(), judged::record("3.4", facts))
    };
    let accepted = |story: Story, service: &&str| {
        let ticket = whole("3.4", 1, &story);
        seen(story, service, "3.4", ticket)
    };
    let story = SERVICES.iter().fold(features(story), accepted);
    assert!(failing(&story, "3.4").is_empty());
    let touching = |touched: &str| {
        let touched_features = Some(list(vec![line(touched)]));
        TagCandidate { touched_features, ..of_builds(2, ['1', '1', '2']) }
    };
    let tagged = |new| features(act(story.clone(), bob(), Command::TagCandidate(new)));
    assert_eq!(because_of(&tagged(touching("PAY-5")), "3.4"), absent(&SERVICES));
    assert_eq!(because_of(&tagged(touching("PAY-9")), "3.4"), []);
}

#[test]
fn given_regions_that_run_the_same_build_a_new_candidate_is_new_to_each() {
    // Nothing is listed: an artifact is for all targets.
    let mut settings = ProductSettings::clone(&around().settings);
    settings.artifacts = list(vec![]);
    let procedure = around().procedure.clone();
    let regions = Around { settings: Arc::new(settings), procedure, ..judged::around() };
    let story = through(2);
    let next = u64::try_from(story.facts.len()).unwrap();
    let event_id = |n: usize| id(next + u64::try_from(n).unwrap());
    let ctx = Context { now: story.now, actor: &bob(), event_id: &event_id, around: &regions };
    let rows = preview(&story.state, &of_builds(2, ['1', '1', '1']), &ctx).unwrap();
    let row = rows.iter().find(|row| row.item == item("2.1")).unwrap();
    assert_eq!((row.effect, &row.targets), (EffectKind::Stale, &None));
}

#[test]
fn given_reports_by_service_on_what_holds_for_all_each_service_has_to_have_one() {
    let story = through(2);
    let story = shown_by(shown_by(story, "cart", "3.2"), "mail", "3.2");
    assert_eq!(because_of(&story, "3.2"), absent(&["pay"]));
    let red = patched(honest("3.2", &story).remove(0), &json!({"failed": 1, "passed": 117}));
    let story = seen(story, "pay", "3.2", red);
    assert_eq!(because_of(&story, "3.2"), [("pay".to_owned(), Cause::Value)]);
    let story = shown_by(story.minutes_later(1), "pay", "3.2");
    assert!(failing(&story, "3.2").is_empty());
    // What was retracted, or is about a service that the release is not for, is told of none of its own.
    let two = AmendRelease {
        why: prose("Pay goes out by itself."),
        previous: None,
        class: None,
        reason: None,
        security_impact: None,
        ticket: None,
        targets: Some(list(vec![name("cart"), name("mail")])),
    };
    let two = act(through(2), alice(), Command::Amend(two));
    let aside = seen(two, "pay", "3.2", honest("3.2", &story).remove(0));
    assert_eq!(because_of(&aside, "3.2"), [("default".to_owned(), Cause::Absent)]);
    let cart = shown_by(through(2), "cart", "3.2");
    assert_eq!(because_of(&cart, "3.2"), absent(&["mail", "pay"]));
    let evidence = *cart.state.items[&item("3.2")].evidence.last().unwrap();
    let body = release::command::RetractEvidence { reason: prose("another suite") };
    let none = act(cart, robot(), Command::RetractEvidence { evidence, body });
    assert_eq!(because_of(&none, "3.2"), [("default".to_owned(), Cause::Absent)]);
    // One report on all of them says as much of each.
    let facts = honest("3.6", &story).remove(0);
    let story = act(story, robot(), judged::record("3.6", facts));
    assert!(failing(&story, "3.6").is_empty());
}

#[test]
fn given_one_service_without_migrations_the_item_still_applies_to_the_others() {
    let none = json!({"expected": [], "applied": []});
    let story = shown_by(made_true(through(1), "2.1", &SERVICES), "cart", "2.3");
    let facts = patched(honest("2.3", &story).remove(0), &none);
    let story = seen(story, "pay", "2.3", facts);
    let body = release::command::MarkNotApplicable { justification: None, evidence: list(vec![]) };
    let asked = story.when(robot(), Command::MarkNotApplicable { item: item("2.3"), body }, around());
    let refused = asked.then_refused(No::RuleNotSatisfied);
    let because: Vec<_> = refused.refusal.rows.iter().map(|row| (row.target.as_str(), row.cause)).collect();
    assert_eq!(because, [("cart", Some(Cause::Value)), ("mail", Some(Cause::Absent))]);
    // Applied where there are some, nothing to apply where there are none.
    assert!(closed(&shown_by(refused.story, "mail", "2.3"), "2.3"));
}

#[test]
fn given_a_fact_of_one_service_it_is_as_fresh_as_its_own_last_probe() {
    let before = ["3.1", "3.2", "3.3", "3.4", "3.5", "3.6"];
    let story = before.iter().fold(through(2), |story, number| made_true(story, number, &SERVICES));
    // Half an hour later one service is seen again, and Gate 3 would open.
    let story = story.after(SignedDuration::from_mins(30));
    let story = ["2.2", "2.5"].iter().fold(story, |story, number| shown_by(story, "cart", number));
    let story = made_true(story, "3.7", &SERVICES);
    let fresh = |story: &Story| -> Vec<(String, String, bool)> {
        let rows = story.state.gates[&3].verdict.rows.iter().filter(|row| row.rule == "fresh");
        let of = |row: &Row| row.input.split('/').nth(1).unwrap().to_owned();
        rows.map(|row| (of(row), row.target.to_string(), row.ok)).collect()
    };
    let each = |ok: &dyn Fn(&str) -> bool| -> Vec<_> {
        let of = |number: &str| SERVICES.map(|service| (number.to_owned(), service.to_owned(), ok(service)));
        ["2.2", "2.5"].into_iter().flat_map(of).collect()
    };
    assert_eq!(fresh(&story), each(&|service| service == "cart"));
    let again = |story, service: &&str| shown_by(shown_by(story, service, "2.2"), service, "2.5");
    let others = ["mail", "pay"].iter().fold(story.clone(), again);
    let evaluate = || Command::EvaluateGate { gate: 3 };
    assert_eq!(fresh(&act(others, alice(), evaluate())), each(&|_| true));
    // A probe of all of them is one of each.
    let probe = |story: Story, number: &&str| {
        let facts = honest(number, &story).remove(0);
        act(story, robot(), judged::record(number, facts))
    };
    let whole = ["2.2", "2.5"].iter().fold(story, probe);
    assert_eq!(fresh(&act(whole, alice(), evaluate())), each(&|_| true));
}

#[test]
fn given_one_case_tried_on_the_whole_the_other_cases_of_an_unchanged_service_stay_tried() {
    let story = act(through(3), bob(), Command::TagCandidate(of_builds(2, ['1', '1', '2']))).minutes_later(1);
    let story = step(step(story, 1, &["pay"]), 2, &["pay"]);
    let mut facts = honest("3.3", &story).remove(0);
    facts["cases"].as_array_mut().unwrap().truncate(1);
    let story = act(story, robot(), judged::record("3.3", facts));
    assert_eq!(because_of(&story, "3.3"), absent(&["pay"]));
}

#[test]
fn given_a_version_that_was_tried_on_an_unchanged_service_it_is_still_the_one_that_runs() {
    let tried = |story: Story, service: &&str| {
        let version = story.state.current_candidate().unwrap().version().to_owned();
        let facts = patched(honest("3.3", &story).remove(0), &json!({"version": version}));
        seen(story, service, "3.3", facts)
    };
    let story = SERVICES.iter().fold(through(2), tried);
    let story = act(story, bob(), Command::TagCandidate(of_builds(2, ['1', '1', '2']))).minutes_later(1);
    let story = step(step(story, 1, &["pay"]), 2, &["pay"]);
    assert_eq!(because_of(&story, "3.3"), absent(&["pay"]));
    assert!(failing(&tried(story, &"pay"), "3.3").is_empty());
}

#[test]
fn given_evidence_of_an_unchanged_service_a_person_may_sign_on_it() {
    let story = act(through(3), bob(), Command::TagCandidate(of_builds(2, ['1', '1', '2']))).minutes_later(1);
    let of = |story: &Story, service: &str| {
        let known = story.state.items[&item("3.3")].evidence.clone();
        let named =
            |id: &uuid::Uuid| story.state.evidence.get(id).unwrap().recorded.target == Some(name(service));
        known.into_iter().find(named).unwrap()
    };
    let cite = |evidence| {
        let body = AttestItem {
            statement: None,
            manual_fallback: None,
            evidence: list(vec![evidence]),
            new_evidence: list(vec![]),
        };
        Command::AttestItem { item: item("3.3"), body }
    };
    let story = step(step(story, 1, &["pay"]), 2, &["pay"]);
    let (cart, pay) = (of(&story, "cart"), of(&story, "pay"));
    let story = story.when(carol(), cite(pay), around()).then_refused(No::EvidenceStale).story;
    let story = shown_by(story, "pay", "3.3");
    assert!(closed(&act(story, carol(), cite(cart)), "3.3"));
}

#[test]
fn given_evidence_about_the_environment_it_is_of_the_candidate_that_was_there_then() {
    let about = |story: Story, service: &str| {
        let mut body = report(honest("2.5", &story).remove(0));
        body.target = Some(name(service));
        body.subject = Some(Subject::Environment { name: name("staging") });
        act(story, robot(), Command::RecordEvidence { items: vec![item("2.5")], body })
    };
    let story =
        ["2.1", "2.2", "2.3", "2.4"].iter().fold(through(1), |story, n| made_true(story, n, &SERVICES));
    let story = SERVICES.iter().fold(story, |story, service| about(story, service)).minutes_later(1);
    assert!(closed(&story, "2.5"));
    let story = act(story, bob(), Command::TagCandidate(of_builds(2, ['1', '1', '2'])));
    assert_eq!(because_of(&story, "2.5"), absent(&["pay"]));
}
