//! The built-in procedure says what its source says, word for word, and its rules are the agreed ones.

use std::collections::BTreeSet;

use release::actor::Role;
use release::evidence::EvidenceKind;
use release::procedure::{
    CandidateDigest, CandidateEffect, EqualEffect, Item, NotApplicableProof, Order, PRODUCT_RELEASE_V1,
    PRODUCT_RELEASE_V2, Policy, Procedure, Rule, Thresholds, WaiverCode, hash,
};

const SOURCE: &str = include_str!("../procedures/product-release.txt");

/// A published version never changes: whoever needs another rule publishes version 2.
const PUBLISHED_SHA256: &str = "21ac875d62da1e03f0a00aaa26649795b0b45123905914ef386d8bc8b06dd3b2";

#[test]
fn given_the_published_version_its_bytes_never_change() {
    assert_eq!(hash(PRODUCT_RELEASE_V1).as_str(), PUBLISHED_SHA256);
}

#[test]
fn given_the_source_every_word_of_it_is_in_the_procedure() {
    let source = Source::parse(SOURCE);
    let procedure = procedure();
    assert_eq!(procedure.title.as_str(), source.title);
    assert_eq!(procedure.description.as_str(), source.description);
    assert_eq!(procedure.purpose.as_str(), source.purpose);

    assert_eq!(source.steps.len(), 7);
    assert_eq!(procedure.steps.len(), 7);
    for (step, source) in procedure.steps.iter().zip(&source.steps) {
        assert_eq!(step.name.as_str(), source.name);
        assert_eq!(step.instructions.as_str(), source.instructions);
        assert_eq!(step.expected_output.as_str(), source.expected_output);
        let names: Vec<&str> = step.items.iter().map(|item| item.name.as_str()).collect();
        assert_eq!(names, source.items, "step {}", step.number);
    }
    let counts: Vec<usize> = source.steps.iter().map(|step| step.items.len()).collect();
    assert_eq!(counts, [7, 5, 7, 7, 7, 9, 7]);
    assert_eq!(procedure.items().count(), 49);
}

#[test]
fn given_version_2_it_says_the_same_and_judges_facts() {
    let (one, two) = (procedure(), version_2());
    assert_eq!((two.version, &two.roll_call), (2, &one.roll_call));
    // Version 2 adds how canary and monitoring are judged; what version 1 says of them stays.
    assert!(two.thresholds.canary.is_some() && two.thresholds.monitoring.is_some());
    let shared = Thresholds { canary: None, monitoring: None, ..two.thresholds.clone() };
    assert_eq!(shared, one.thresholds);
    assert_eq!((two.policy, two.order), (one.policy, one.order));
    for (one, two) in one.steps.iter().zip(&two.steps) {
        assert_eq!((&one.name, &one.instructions), (&two.name, &two.instructions));
        assert_eq!((&one.expected_output, &one.owners), (&two.expected_output, &two.owners));
    }
    for (one, two) in one.items().zip(two.items()) {
        assert_eq!((one.number, &one.key, &one.name), (two.number, &two.key, &two.name));
        assert_eq!(
            (&one.true_when, one.machine, one.waiver),
            (&two.true_when, two.machine, two.waiver),
            "{}",
            one.number
        );
        assert_eq!((&one.roles, &one.second), (&two.roles, &two.second), "{}", one.number);
    }
    let attested: Vec<_> =
        two.items().filter(|item| !item.is_judged()).map(|i| i.number.to_string()).collect();
    assert_eq!(attested, ["4.4"]);
    assert!(!one.is_judged());
    assert_eq!(release::procedures::lint(&two), []);
}

#[expect(clippy::expect_used, reason = "the clippy exception for tests covers only test functions")]
fn version_2() -> Procedure {
    serde_json::from_slice(PRODUCT_RELEASE_V2).expect("the built-in procedure is a procedure")
}

#[test]
fn given_the_source_its_punctuation_survives() {
    let procedure = procedure();
    let names: Vec<&str> =
        procedure.items().map(|item| item.name.as_str()).filter(|name| !name.is_ascii()).collect();
    assert_eq!(
        names,
        [
            "Performance check — no regressions",
            "Deployment started — communicated to team",
            "No error spikes — proceed to full rollout",
            "Deployment complete — communicated to team",
        ]
    );
}

#[test]
fn given_the_steps_when_numbered_they_and_their_items_are_in_order() {
    for (step, number) in procedure().steps.iter().zip(1..) {
        assert_eq!(step.number, number);
        for (item, place) in step.items.iter().zip(1..) {
            assert_eq!(item.number.to_string(), format!("{number}.{place}"));
        }
    }
}

#[test]
fn given_all_keys_none_is_used_twice() {
    let procedure = procedure();
    let steps = procedure.steps.iter().map(|step| &step.key);
    let mut seen = BTreeSet::new();
    for key in steps.chain(procedure.items().map(|item| &item.key)) {
        assert!(seen.insert(key), "{key} is used twice");
    }
    assert_eq!(seen.len(), 7 + 49);
}

#[test]
fn given_guided_policy_a_person_can_close_every_item_with_evidence() {
    let procedure = procedure();
    assert_eq!((procedure.policy, procedure.order), (Policy::Guided, Order::Enforced));
    for item in procedure.items() {
        assert!(!item.evidence.is_empty(), "{} takes no evidence", item.number);
        assert!(item.roles.iter().any(|role| acts(*role)), "{} has no role of a person", item.number);
        // A machine cannot be the second person.
        assert!(item.second.iter().all(|role| acts(*role)), "{} lets a machine be second", item.number);
        assert_eq!(unique(&item.evidence), item.evidence.len(), "{} repeats a kind", item.number);
        assert_eq!(unique(&item.roles), item.roles.len(), "{} repeats a role", item.number);
    }
}

#[test]
fn given_a_signed_statement_only_three_items_take_it() {
    assert_eq!(numbers(|item| item.evidence.contains(&EvidenceKind::Declaration)), ["1.4", "3.7", "6.9"]);
}

#[test]
fn given_an_approver_only_the_deployment_window_is_theirs() {
    assert_eq!(numbers(|item| item.rule == Rule::Approval), ["4.4"]);
    assert_eq!(numbers(|item| item.roles.contains(&Role::Approver)), ["4.4"]);
}

#[test]
fn given_a_decision_a_machine_cannot_take_it() {
    for number in ["4.4", "4.5", "5.4", "6.9"] {
        assert!(
            numbers(|item| !item.roles.contains(&Role::Machine)).contains(&number.to_owned()),
            "{number}"
        );
    }
}

#[test]
fn given_the_rollback_environment_only_its_duty_outlives_the_step() {
    assert_eq!(numbers(|item| item.outlives_step), ["7.6"]);
}

/// Number, waiver code, effect of a new candidate, then what else sets the item apart: whether a
/// machine can prove it, whether it may be attested early, how it may not apply, who signs second.
const RULES: &str = "
1.1 w1    unaffected machine
1.2 w1    reevaluate machine
1.3 w1    reevaluate machine
1.4 w2    reevaluate second=release_manager
1.5 never reevaluate machine
1.6 w2    stale machine
1.7 d5    reaffirm early
2.1 never stale machine
2.2 never stale machine
2.3 w2    reevaluate:migration_set machine na=machine
2.4 w1    reevaluate:config_schema machine
2.5 w1    stale machine
3.1 w2    stale machine
3.2 w2    stale machine
3.3 w1    stale
3.4 w2    stale na=machine second=product_owner
3.5 w1    reaffirm
3.6 w2    stale machine
3.7 w2    reevaluate machine
4.1 w2    unaffected machine na=machine
4.2 w2    unaffected:migration_set+pipeline early second=operator+release_manager
4.3 w1    reaffirm
4.4 never revoke
4.5 w1    unaffected machine
4.6 w1    unaffected early
4.7 w1    reevaluate machine early na=machine
5.1 never stale machine
5.2 never stale machine na=machine
5.3 w2    stale machine
5.4 never stale machine
5.5 w2    stale machine
5.6 never stale machine
5.7 d24   stale machine
6.1 w1    stale
6.2 w1    stale
6.3 w1    stale na=machine
6.4 w2    stale machine
6.5 w2    stale machine
6.6 w2    stale machine na=machine
6.7 w1    stale machine na=machine
6.8 never stale machine
6.9 never stale second=on_call
7.1 w1    stale machine
7.2 never stale machine
7.3 d5    stale machine
7.4 d5    stale
7.5 d5    stale machine
7.6 w2    stale machine
7.7 d5    stale
";

#[test]
fn given_the_table_of_rules_every_item_has_its_row() {
    let rows: Vec<String> = procedure().items().map(row).collect();
    let table: Vec<&str> = RULES.trim().lines().collect();
    assert_eq!(table.len(), 49);
    for (row, expected) in rows.iter().zip(&table) {
        assert_eq!(
            row.split_whitespace().collect::<Vec<_>>(),
            expected.split_whitespace().collect::<Vec<_>>()
        );
    }
    assert_eq!(rows.len(), table.len());
}

#[test]
fn when_a_candidate_is_tagged_each_item_is_affected_as_agreed() {
    let on = |effect: CandidateEffect| numbers(|item| item.on_new_candidate == effect);
    let equal = |digests: &[CandidateDigest], then| {
        on(CandidateEffect::Conditional { equal: digests.to_vec(), then })
    };

    assert_eq!(on(CandidateEffect::Reevaluate), ["1.2", "1.3", "1.4", "1.5", "3.7", "4.7"]);
    assert_eq!(on(CandidateEffect::Reaffirm), ["1.7", "3.5", "4.3"]);
    assert_eq!(on(CandidateEffect::Unaffected), ["1.1", "4.1", "4.5", "4.6"]);
    assert_eq!(on(CandidateEffect::Revoke), ["4.4"]);
    assert_eq!(equal(&[CandidateDigest::MigrationSet], EqualEffect::Reevaluate), ["2.3"]);
    assert_eq!(equal(&[CandidateDigest::ConfigSchema], EqualEffect::Reevaluate), ["2.4"]);
    assert_eq!(
        equal(&[CandidateDigest::MigrationSet, CandidateDigest::Pipeline], EqualEffect::Unaffected),
        ["4.2"]
    );

    // What production showed about one candidate says nothing about the next.
    let (before, production): (Vec<_>, Vec<_>) = procedure()
        .items()
        .filter(|item| item.on_new_candidate == CandidateEffect::Stale)
        .map(|item| (item.number.step(), item.number.to_string()))
        .partition(|(step, _)| *step < 5);
    let before: Vec<&str> = before.iter().map(|(_, number)| number.as_str()).collect();
    assert_eq!(before, ["1.6", "2.1", "2.2", "2.5", "3.1", "3.2", "3.3", "3.4", "3.6"]);
    assert_eq!(production.len(), 7 + 9 + 7);
}

#[test]
fn given_the_thresholds_they_are_those_the_source_states() {
    let procedure = procedure();
    let thresholds = &procedure.thresholds;
    assert_eq!((thresholds.canary_weight_min_percent, thresholds.canary_weight_max_percent), (1.0, 5.0));
    assert_eq!(thresholds.canary_min_s, minutes(15));
    let monitoring = &thresholds.monitoring_min_s;
    assert_eq!((monitoring.standard, monitoring.normal), (minutes(30), minutes(45)));
    assert_eq!((monitoring.high_risk, monitoring.emergency), (minutes(60), minutes(30)));
    assert_eq!(thresholds.monitoring_max_s, minutes(60));
    assert_eq!(thresholds.rollback_environment_min_s, hours(24));
    assert_eq!(thresholds.rollback_environment_max_s, hours(48));
    assert_eq!(thresholds.availability_after_window_s, hours(1));
    assert_eq!(thresholds.waiver_max_s, 14 * hours(24));

    let quorum = &procedure.approval_quorum;
    assert_eq!((quorum.standard, quorum.normal, quorum.high_risk, quorum.emergency), (1, 1, 2, 1));
    assert_eq!(procedure.roll_call, [Role::ReleaseManager, Role::Operator, Role::OnCall, Role::Qa]);
}

struct Source<'a> {
    title: &'a str,
    description: &'a str,
    purpose: &'a str,
    steps: Vec<SourceStep<'a>>,
}

struct SourceStep<'a> {
    name: &'a str,
    instructions: &'a str,
    items: Vec<&'a str>,
    expected_output: &'a str,
}

impl<'a> Source<'a> {
    /// Every line of the text has a place, so none is skipped unread.
    fn parse(text: &'a str) -> Self {
        let mut lines = text.lines();
        let mut line = move || lines.next();
        let title = line().unwrap_or_default();
        let description = line().unwrap_or_default();
        assert_eq!(line(), Some("Purpose"));
        let purpose = line().unwrap_or_default();
        assert_eq!(line(), Some("Steps (7)"));

        let mut steps = Vec::new();
        while let Some(name) = line() {
            let instructions = line().unwrap_or_default();
            assert_eq!(line(), Some("Checklist"));
            let mut items = Vec::new();
            let mut next = line();
            while let Some(item) = next.and_then(|line| line.strip_prefix("- ")) {
                items.push(item);
                next = line();
            }
            assert_eq!(next, Some("Expected Output"));
            steps.push(SourceStep { name, instructions, items, expected_output: line().unwrap_or_default() });
        }
        Self { title, description, purpose, steps }
    }
}

#[expect(clippy::expect_used, reason = "the clippy exception for tests covers only test functions")]
fn procedure() -> Procedure {
    serde_json::from_slice(PRODUCT_RELEASE_V1).expect("the built-in procedure is a procedure")
}

fn numbers(wanted: impl Fn(&Item) -> bool) -> Vec<String> {
    procedure().items().filter(|item| wanted(item)).map(|item| item.number.to_string()).collect()
}

fn row(item: &Item) -> String {
    let mut row = format!("{} {} {}", item.number, waiver(item.waiver), effect(&item.on_new_candidate));
    if item.machine {
        row += " machine";
    }
    if item.early {
        row += " early";
    }
    for proof in &item.not_applicable {
        row += match proof {
            NotApplicableProof::Machine => " na=machine",
            NotApplicableProof::Justification => " na=justification",
        };
    }
    if !item.second.is_empty() {
        let roles: Vec<&str> = item.second.iter().map(|role| role.as_str()).collect();
        row += &format!(" second={}", roles.join("+"));
    }
    row
}

fn waiver(code: WaiverCode) -> &'static str {
    match code {
        WaiverCode::Never => "never",
        WaiverCode::W1 => "w1",
        WaiverCode::W2 => "w2",
        WaiverCode::D24 => "d24",
        WaiverCode::D5 => "d5",
    }
}

fn effect(effect: &CandidateEffect) -> String {
    match effect {
        CandidateEffect::Reevaluate => "reevaluate".to_owned(),
        CandidateEffect::Reaffirm => "reaffirm".to_owned(),
        CandidateEffect::Stale => "stale".to_owned(),
        CandidateEffect::Revoke => "revoke".to_owned(),
        CandidateEffect::Unaffected => "unaffected".to_owned(),
        CandidateEffect::Features => "features".into(),
        CandidateEffect::RiskAreas => "risk_areas".to_owned(),
        CandidateEffect::Conditional { equal, then } => {
            let then = match then {
                EqualEffect::Reevaluate => "reevaluate",
                EqualEffect::Unaffected => "unaffected",
            };
            let equal: Vec<&str> = equal.iter().map(|digest| digest_name(*digest)).collect();
            format!("{then}:{}", equal.join("+"))
        }
    }
}

fn digest_name(digest: CandidateDigest) -> &'static str {
    match digest {
        CandidateDigest::MigrationSet => "migration_set",
        CandidateDigest::ConfigSchema => "config_schema",
        CandidateDigest::Pipeline => "pipeline",
    }
}

/// A person in this role acts on releases; viewers and auditors only read.
fn acts(role: Role) -> bool {
    !matches!(role, Role::Machine | Role::Viewer | Role::Auditor | Role::Admin)
}

fn unique<T: Ord>(entries: &[T]) -> usize {
    entries.iter().collect::<BTreeSet<_>>().len()
}

fn minutes(n: u64) -> u64 {
    n * 60
}

fn hours(n: u64) -> u64 {
    n * 3600
}
