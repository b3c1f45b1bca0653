//! What a new candidate does to each item, and what is judged at once on facts about its commit.

use release::command::TagCandidate;
use release::decide::{Context, preview};
use release::event::EffectKind;
use release::release::ItemStatus;
use release::spec::judged::{around, honest, patched, through};
use release::spec::release::{bind, commit, item, line, list, sha256, tag};
use release::spec::{Spec, bob, id, robot};
use release::{Command, Release};
use serde_json::json;

/// Item, effect while the digests are equal, effect when each of them differs.
const EFFECTS: &str = "
1.1 - -
1.2 RE RE
1.3 RE RE
1.4 RA RA
1.5 RE RE
1.6 ST ST
1.7 RA RA
2.1 ST ST
2.2 ST ST
2.3 RE ST
2.4 RE ST
2.5 ST ST
3.1 ST ST
3.2 ST ST
3.3 ST ST
3.4 ST ST
3.5 RA RA
3.6 ST ST
3.7 RE RE
4.1 - -
4.2 - ST
4.3 RA RA
4.4 REV REV
4.5 - -
4.6 - -
4.7 RE RE
5.1 - -
5.2 - -
5.3 - -
5.4 - -
5.5 - -
5.6 - -
5.7 - -
6.1 - -
6.2 - -
6.3 - -
6.4 - -
6.5 - -
6.6 - -
6.7 - -
6.8 - -
6.9 - -
7.1 - -
7.2 - -
7.3 - -
7.4 - -
7.5 - -
7.6 - -
7.7 - -
";

fn word(effect: EffectKind) -> &'static str {
    match effect {
        EffectKind::Unaffected => "-",
        EffectKind::Reaffirm => "RA",
        EffectKind::Stale => "ST",
        EffectKind::Reevaluate => "RE",
        EffectKind::Revoked => "REV",
        EffectKind::Failed => "FAILED",
    }
}

#[track_caller]
fn rows(story: &Spec<Release>, new: &TagCandidate) -> Vec<release::decide::PreviewRow> {
    let around = around();
    let next = u64::try_from(story.facts.len()).unwrap();
    let event_id = |n: usize| id(next + u64::try_from(n).unwrap());
    let ctx = Context { now: story.now, actor: &bob(), event_id: &event_id, around: &around };
    preview(&story.state, new, &ctx).unwrap()
}

#[test]
fn given_everything_closed_when_a_candidate_is_tagged_each_item_has_its_effect() {
    let story = through(4);
    let changed = TagCandidate {
        migration_set_digest: Some(sha256('9')),
        config_schema_digest: Some(sha256('9')),
        pipeline_digest: Some(sha256('9')),
        ..tag(2)
    };
    let table: Vec<_> = rows(&story, &tag(2))
        .iter()
        .zip(rows(&story, &changed))
        .map(|(equal, changed)| format!("{} {} {}", equal.item, word(equal.effect), word(changed.effect)))
        .collect();
    assert_eq!(table, EFFECTS.trim().lines().collect::<Vec<_>>());
    assert_eq!(table.len(), 49);
}

#[test]
fn given_a_preview_it_says_what_tagging_then_does_and_records_nothing() {
    let story = through(4);
    let foreseen = rows(&story, &tag(2));
    let tagged = story.clone().when(bob(), Command::TagCandidate(tag(2)), &around()).accepted();
    for row in &foreseen {
        assert_eq!(row.before, *story.state.status(row.item));
        assert_eq!(row.after, *tagged.state.status(row.item), "{}", row.item);
    }
    // Gates shut with their items, the approval is gone.
    let shut: Vec<_> =
        tagged.state.gates.iter().map(|(gate, state)| (*gate, state.verdict.satisfied)).collect();
    assert_eq!(shut, [(1, false), (2, false), (3, false), (4, false)]);
    assert!(tagged.state.live_approval().is_none());
}

#[test]
fn given_facts_about_a_commit_when_it_is_tagged_they_are_judged_at_once() {
    // CI and the checks of the commit ran before anybody tagged it.
    let mut story = through(1);
    for number in ["1.2", "1.3", "1.4", "1.6"] {
        let about = json!({"commit_sha": commit('2'), "head_sha": commit('2')});
        let mut facts = honest(number, &story).remove(0);
        let key = if number == "1.6" { "head_sha" } else { "commit_sha" };
        facts = patched(facts, &json!({key: about[key].clone()}));
        story = story.reported(number, facts);
        // About the current candidate it says nothing.
        assert!(story.state.status(item(number)).is_closed(), "{number}");
    }
    let asked = story.when(bob(), Command::TagCandidate(tag(2)), &around());
    let story = asked.accepted();
    for number in ["1.2", "1.3"] {
        let status = story.state.status(item(number));
        assert!(matches!(status, ItemStatus::Satisfied { candidate: Some(2), .. }), "{number} is {status:?}");
    }
    // The run counts when what it built is bound.
    assert!(!story.state.status(item("1.6")).is_closed());
    let story =
        story.when(robot(), Command::BindCandidate { number: 2, body: bind('1') }, &around()).accepted();
    assert!(story.state.status(item("1.6")).is_closed());
    // Nothing is known of the tag yet.
    assert_eq!(story.state.status(item("1.5")).as_str(), "pending");
}

#[test]
fn given_facts_of_any_kind_that_name_a_commit_they_count_for_the_candidate_that_is_tagged_there() {
    let of = |number: &str, key: &str, digit: char| {
        let story = through(3);
        let facts = patched(honest(number, &story).remove(0), &json!({key: commit(digit)}));
        let story = story.reported(number, facts).minutes_later(1);
        story.when(bob(), Command::TagCandidate(tag(2)), &around()).accepted().failing(number)
    };
    for (number, key) in [
        ("2.1", "commit_sha"),
        ("2.2", "commit_sha"),
        ("3.1", "head_sha"),
        ("3.2", "head_sha"),
        ("3.3", "commit_sha"),
        ("3.6", "head_sha"),
    ] {
        // Of another commit it is as if nothing had been said.
        assert_ne!(of(number, key, '2'), of(number, key, '9'), "{number}");
    }
}

#[test]
fn given_equal_digests_the_rollback_that_was_rehearsed_still_counts() {
    let story = through(4).when(bob(), Command::TagCandidate(tag(2)), &around()).accepted();
    assert!(story.state.status(item("4.2")).is_closed());
    // Judged again, it reads the same drill.
    let document = json!({"kind": "document", "title": "Rollback of checkout, second edition"});
    let story = story.reported("4.2", document);
    assert!(story.state.status(item("4.2")).is_closed(), "{:#?}", story.failing("4.2"));
}

#[test]
fn given_changed_paths_in_a_risk_area_the_edge_cases_are_run_again() {
    let story = through(3);
    let effect = |paths: &[&str]| {
        let changed_paths = list(paths.iter().map(|path| line(path)).collect());
        let new = TagCandidate { changed_paths, ..tag(2) };
        let rows = rows(&story, &new);
        rows.into_iter().find(|row| row.item == item("3.5")).map(|row| word(row.effect))
    };
    assert_eq!(effect(&["src/tax/vat.rs"]), Some("ST"));
    assert_eq!(effect(&["src/basket.rs"]), Some("RA"));
    assert_eq!(effect(&[]), Some("RA"));
}

#[test]
fn when_a_person_reaffirms_the_facts_have_to_hold_still() {
    let story = through(1).when(bob(), Command::TagCandidate(tag(2)), &around()).accepted();
    assert_eq!(story.state.status(item("1.7")).as_str(), "stale");
    let body = release::command::ReaffirmItem { statement: None };
    let reaffirm = Command::ReaffirmItem { item: item("1.7"), body };
    let frank = release::spec::frank();
    let again = story.clone().when(frank.clone(), reaffirm.clone(), &around()).accepted();
    assert!(again.state.status(item("1.7")).is_closed());
    // Notes that were published meanwhile are no draft.
    let published = patched(honest("1.7", &story).remove(0), &json!({"status": "published"}));
    story
        .reported("1.7", published)
        .when(frank, reaffirm, &around())
        .then_refused(release::RefusalCode::RuleNotSatisfied);
}

#[test]
fn given_a_message_that_a_machine_sent_a_person_confirms_it_for_the_new_candidate() {
    // Everything is in place for the second candidate but the word that it is still the same plan.
    let story = through(4).when(bob(), Command::TagCandidate(tag(2)), &around()).accepted();
    let story =
        story.when(robot(), Command::BindCandidate { number: 2, body: bind('1') }, &around()).accepted();
    let story = (1..=3).fold(story.minutes_later(1), |story, step| story.step_reported(step));
    assert!(matches!(story.state.status(item("4.3")), ItemStatus::Stale { reaffirmable: true, .. }));
    let body = release::command::ReaffirmItem { statement: None };
    let reaffirm = Command::ReaffirmItem { item: item("4.3"), body };
    let story = story.when(release::spec::alice(), reaffirm, &around()).accepted();
    assert!(story.state.status(item("4.3")).is_closed());
}

/// Two features were accepted for the first candidate.
fn two_features() -> Spec<Release> {
    let story = through(2);
    let both = patched(honest("3.4", &story).remove(0), &json!({"features": ["PAY-5", "PAY-6"]}));
    let ticket = honest("3.4", &story).remove(1);
    let other = patched(ticket.clone(), &json!({"key": "PAY-6"}));
    let story = story.reported("3.4", both).reported("3.4", ticket).reported("3.4", other).signed("3.4");
    assert!(story.state.status(item("3.4")).is_closed(), "{:#?}", story.failing("3.4"));
    story.minutes_later(1)
}

/// The second candidate, which says what it touches, up to Gate 2.
fn touching(story: Spec<Release>, touched: Option<&[&str]>) -> Spec<Release> {
    let touched_features = touched.map(|touched| list(touched.iter().map(|key| line(key)).collect()));
    let new = TagCandidate { touched_features, ..tag(2) };
    let bind = Command::BindCandidate { number: 2, body: bind('1') };
    let story = story.when(bob(), Command::TagCandidate(new), &around()).accepted();
    let story = story.when(robot(), bind, &around()).accepted().minutes_later(1);
    (1..=2).fold(story, |story, step| story.step_reported(step))
}

fn features_of_the_commit(story: Spec<Release>) -> Spec<Release> {
    let both = patched(honest("3.4", &story).remove(0), &json!({"features": ["PAY-5", "PAY-6"]}));
    story.reported("3.4", both)
}

#[test]
fn given_a_candidate_that_touches_one_feature_that_one_is_tested_again_and_people_sign_for_the_rest() {
    let story = features_of_the_commit(touching(two_features(), Some(&["PAY-5"])));
    story.fails("3.4", &[("ticket/PAY-5", release::verdict::Cause::Absent)]);
    let ticket = honest("3.4", &story).remove(1);
    let story = story.reported("3.4", ticket);
    // What was seen of the other still counts, with the word of both for the new candidate.
    assert!(!story.state.status(item("3.4")).is_closed());
    let story = story.signed("3.4");
    assert!(story.state.status(item("3.4")).is_closed());
}

#[test]
fn given_a_candidate_that_touches_no_feature_people_reaffirm_and_nothing_is_tested_again() {
    let story = touching(two_features(), Some(&[]));
    assert!(matches!(story.state.status(item("3.4")), ItemStatus::Stale { reaffirmable: true, .. }));
    let body = || release::command::ReaffirmItem { statement: None };
    let reaffirm = || Command::ReaffirmItem { item: item("3.4"), body: body() };
    let story = story.when(release::spec::carol(), reaffirm(), &around()).accepted();
    assert!(!story.state.status(item("3.4")).is_closed());
    let story = story.when(release::spec::frank(), reaffirm(), &around()).accepted();
    assert!(story.state.status(item("3.4")).is_closed());
}

#[test]
fn given_a_candidate_that_does_not_say_what_it_touches_everything_is_tested_again() {
    let story = features_of_the_commit(touching(two_features(), None));
    let absent = release::verdict::Cause::Absent;
    story.fails("3.4", &[("ticket/PAY-5", absent), ("ticket/PAY-6", absent)]);
}

#[test]
fn given_a_feature_that_an_earlier_candidate_touched_it_is_not_accepted_by_a_later_one_that_does_not() {
    let story = touching(two_features(), Some(&["PAY-6"]));
    let new = TagCandidate { touched_features: Some(list(vec![])), ..tag(3) };
    let bind = Command::BindCandidate { number: 3, body: bind('1') };
    let story = story.when(bob(), Command::TagCandidate(new), &around()).accepted();
    let story = story.when(robot(), bind, &around()).accepted().minutes_later(1);
    let story = features_of_the_commit((1..=2).fold(story, |story, step| story.step_reported(step)));
    story.fails("3.4", &[("ticket/PAY-6", release::verdict::Cause::Absent)]);
}
