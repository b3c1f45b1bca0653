//! The same product released by version 2 of the procedure, whose items are judged by facts: for every
//! item the evidence that makes it true, as honest machines report it.

use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};

use super::release::{Written, artifact, commit, deploy, item, sha256, tag, version};
use super::{Spec, alice, bob, nothing, robot, who_is};
use crate::Actor;
use crate::command::{AttestItem, Command};
use crate::decide::Around;
use crate::evidence::NewEvidence;
use crate::procedure::{Item, PRODUCT_RELEASE_V2, Policy, Procedure, ProcedureRef, hash};
use crate::product::ProductSettings;
use crate::release::Release;
use crate::rule::{self, Reading};
use crate::value::List;
use crate::verdict::{Cause, Row};

pub fn procedure() -> Arc<Procedure> {
    static BUILT_IN: OnceLock<Arc<Procedure>> = OnceLock::new();
    BUILT_IN.get_or_init(|| Arc::new(serde_json::from_slice(PRODUCT_RELEASE_V2).written())).clone()
}

pub fn settings() -> ProductSettings {
    serde_json::from_value(json!({
        "repository": {"url": "https://git.example/acme/checkout"},
        "required_workflows": ["ci"],
        "manifests": [{"path": "Cargo.toml"}, {"path": "chart/Chart.yaml"}],
        "databases": [{"name": "checkout"}],
        "critical_flows": ["pay by card", "pay by invoice"],
        "risk_areas": [{"name": "tax", "paths": ["src/tax/*"]}],
        "notification_groups": [{"name": "support"}, {"name": "sales"}],
    }))
    .written()
}

/// As the story of version 1, by version 2.
pub fn around() -> Around {
    let mut around = super::release::around();
    around.procedure = procedure();
    around.settings = Arc::new(settings());
    if let Some(opening) = &mut around.opening {
        let reference = ProcedureRef {
            name: around.procedure.name.clone(),
            version: around.procedure.version,
            hash: hash(PRODUCT_RELEASE_V2),
        };
        opening.procedure = reference;
    }
    around
}

/// Only machines close what machines can prove.
pub fn strict() -> Around {
    let mut around = around();
    let settings = ProductSettings { minimum_policy: Policy::Strict, ..settings() };
    around.settings = Arc::new(settings);
    around
}

/// Nothing is said of manifests, workflows, flows and the like.
pub fn unconfigured() -> Around {
    Around { settings: Arc::default(), ..around() }
}

pub fn opened() -> Spec<Release> {
    nothing().when(alice(), Command::Open(super::release::open()), &around()).accepted()
}

/// Candidate 1 is tagged, its artifacts are bound.
pub fn tagged() -> Spec<Release> {
    opened()
        .when(bob(), Command::TagCandidate(tag(1)), &around())
        .accepted()
        .when(robot(), Command::BindCandidate { number: 1, body: super::release::bind('1') }, &around())
        .accepted()
        .minutes_later(1)
}

/// Every item of the steps as far as this one is closed by the facts that honest machines report.
pub fn through(step: u32) -> Spec<Release> {
    (1..=step).fold(tagged(), |story, step| story.step_reported(step))
}

/// Evidence with these facts.
pub fn report(facts: Value) -> NewEvidence {
    NewEvidence {
        facts: serde_json::from_value(facts).written(),
        url: Some(super::release::link("https://ci.example/run/881")),
        sha256: Some(sha256('d')),
        occurred_at: None,
        late_entry_reason: None,
        subject: None,
        source: None,
        target: None,
    }
}

/// The facts that make the item true at this place of the story.
pub fn honest(number: &str, story: &Spec<Release>) -> Vec<Value> {
    let candidate = story.state.current_candidate();
    let sha = candidate.map_or_else(|| commit('1'), |candidate| candidate.commit_sha.clone());
    let tag_name = candidate.map_or_else(String::new, |candidate| candidate.tag.to_string());
    let tag_object = candidate.map_or_else(|| commit('f'), |candidate| candidate.tag_object_sha.clone());
    let digit = candidate
        .and_then(|c| c.artifacts.first())
        .map_or_else(|| artifact('1').digest.to_string(), |artifact| artifact.digest.to_string());
    let artifacts = json!([{"name": "checkout", "digest": digit}]);
    match number {
        "1.1" => vec![json!({"kind": "git_ref", "repository": "acme/checkout", "ref_name": "release/2.4.0",
            "head_sha": sha, "base_sha": commit('0'), "protected": true})],
        "1.2" => vec![json!({"kind": "commit", "repository": "acme/checkout", "commit_sha": sha,
            "manifests": [{"path": "Cargo.toml", "value": "2.4.0"}, {"path": "chart/Chart.yaml", "value": "2.4.0"}]})],
        "1.3" => vec![json!({"kind": "commit", "repository": "acme/checkout", "commit_sha": sha,
            "changelog_section_sha256": sha256('e'), "range_from": commit('0'),
            "changes": {"merged": 12, "covered": 11, "exempt": 1}})],
        "1.4" => vec![json!({"kind": "commit", "repository": "acme/checkout", "commit_sha": sha,
            "breaking_changes": []})],
        "1.5" => vec![json!({"kind": "semver_tag", "name": tag_name, "tag_object_sha": tag_object,
            "commit_sha": sha, "annotated": true, "signature": "valid", "branch_head_sha": sha})],
        "1.6" => vec![json!({"kind": "ci_run", "provider": "github", "run_id": "881", "attempt": 1,
            "workflow": "ci", "head_sha": sha, "conclusion": "success", "started_at": story.now,
            "completed_at": story.now, "artifacts": artifacts})],
        "1.7" => {
            vec![json!({"kind": "document", "title": "Checkout 2.4.0", "status": "draft", "bytes": 2048,
            "mentions": ["2.4.0"]})]
        }
        _ => Vec::new(),
    }
}

/// Replaces members of the facts; `null` takes one away.
pub fn patched(mut facts: Value, patch: &Value) -> Value {
    merge(&mut facts, patch);
    facts
}

fn merge(into: &mut Value, patch: &Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    into.remove(key);
                } else {
                    merge(into.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (into, patch) => *into = patch.clone(),
    }
}

pub fn record(number: &str, facts: Value) -> Command {
    Command::RecordEvidence { items: vec![item(number)], body: report(facts) }
}

/// A signature that rests on what is recorded.
pub fn sign(number: &str) -> Command {
    let (evidence, new_evidence) = (List::default(), List::default());
    let body = AttestItem { statement: None, manual_fallback: None, evidence, new_evidence };
    Command::AttestItem { item: item(number), body }
}

/// Who signs the item by version 2, in the order of their signatures.
pub fn signers(of: &Item) -> Vec<Actor> {
    let mut signers: Vec<Actor> =
        of.roles.iter().map(|role| who_is(*role)).find(Actor::is_person).into_iter().collect();
    if !of.second.is_empty() {
        let others = of.second.iter().map(|role| who_is(*role));
        signers.extend(others.into_iter().find(|who| !signers.iter().any(|signer| signer.id == who.id)));
    }
    signers
}

impl Spec<Release> {
    pub fn reading<'a>(&'a self, around: &'a Around, number: &str) -> Option<Reading<'a>> {
        Some(Reading {
            release: &self.state,
            procedure: &around.procedure,
            item: around.procedure.item(item(number))?,
            settings: &around.settings,
            policy: around.policy(),
            now: self.now,
            target: None,
        })
    }

    /// The rows of the item's rules that do not hold now, without those of signatures.
    pub fn failing(&self, number: &str) -> Vec<Row> {
        let around = around();
        let findings = self.reading(&around, number).map(|reading| rule::facts(&reading)).unwrap_or_default();
        findings.rows.into_iter().filter(|row| !row.ok).collect()
    }

    /// A machine reports these facts on the item.
    #[track_caller]
    pub fn reported(self, number: &str, facts: Value) -> Self {
        self.when(robot(), record(number, facts), &around()).accepted()
    }

    /// Machines report what makes the item true, and people sign where it takes them.
    #[track_caller]
    pub fn made_true(self, number: &str) -> Self {
        let mut story = self;
        for facts in honest(number, &story) {
            story = story.reported(number, facts);
        }
        story.signed(number)
    }

    #[track_caller]
    pub fn signed(self, number: &str) -> Self {
        let mut story = self;
        let procedure = procedure();
        for signer in procedure.item(item(number)).map(signers).unwrap_or_default() {
            if !story.state.status(item(number)).is_closed() {
                story = story.when(signer, sign(number), &around()).accepted();
            }
        }
        story
    }

    #[track_caller]
    pub fn step_reported(self, step: u32) -> Self {
        let mut story = self;
        for of in procedure().step(step).into_iter().flat_map(|step| &step.items) {
            let number = of.number.to_string();
            if !story.state.status(of.number).is_closed() {
                story = story.before_item(&number).made_true(&number).minutes_later(1);
            }
        }
        story
    }

    /// What people do besides reporting, so that the item can become true.
    #[track_caller]
    fn before_item(self, _number: &str) -> Self {
        let _ = deploy;
        let _ = version;
        self
    }
}

/// One item, and a place in the story where it is not true yet.
pub struct Case {
    number: &'static str,
    story: Spec<Release>,
}

/// The item, after everything of the steps before it.
pub fn case(number: &'static str) -> Case {
    let step = item(number).step();
    Case { number, story: if step == 1 { tagged() } else { through(step - 1) } }
}

#[expect(clippy::panic, reason = "a case that is otherwise fails its test here")]
impl Case {
    pub fn given(number: &'static str, story: Spec<Release>) -> Self {
        Self { number, story }
    }

    pub fn story(&self) -> Spec<Release> {
        self.story.clone()
    }

    /// With what honest machines report, the item closes.
    #[track_caller]
    pub fn holds(&self) -> &Self {
        self.holds_with(json!({}))
    }

    /// With the first report changed in this way, the item still closes.
    #[track_caller]
    pub fn holds_with(&self, patch: Value) -> &Self {
        self.closes(self.changed(0, &patch))
    }

    #[track_caller]
    pub fn closes(&self, reports: Vec<Value>) -> &Self {
        let mut story = self.story();
        for facts in reports {
            story = story.reported(self.number, facts);
        }
        assert_eq!(story.failing(self.number), Vec::<Row>::new());
        let story = story.signed(self.number);
        let status = story.state.status(item(self.number));
        assert!(status.is_closed(), "{} is {status:?}", self.number);
        self
    }

    /// With the first report changed in this way, exactly these rows fail.
    #[track_caller]
    pub fn fails(&self, patch: Value, expected: &[(&str, Cause)]) -> &Self {
        self.nth_fails(0, patch, expected)
    }

    #[track_caller]
    pub fn nth_fails(&self, nth: usize, patch: Value, expected: &[(&str, Cause)]) -> &Self {
        self.stays_open(self.changed(nth, &patch), expected)
    }

    /// With these reports, exactly these rows fail and the item stays open, whoever signs.
    #[track_caller]
    pub fn stays_open(&self, reports: Vec<Value>, expected: &[(&str, Cause)]) -> &Self {
        let mut story = self.story();
        for facts in reports {
            story = story.reported(self.number, facts);
        }
        story.fails(self.number, expected);
        self
    }

    fn changed(&self, nth: usize, patch: &Value) -> Vec<Value> {
        let mut reports = honest(self.number, &self.story);
        if let Some(facts) = reports.get_mut(nth) {
            merge(facts, patch);
        }
        reports
    }

    /// Nothing was reported at all.
    #[track_caller]
    pub fn absent(&self, expected: &[(&str, Cause)]) -> &Self {
        self.stays_open(Vec::new(), expected)
    }

    /// Closed, and then this happens: exactly these rows fail and the item is open again.
    #[track_caller]
    pub fn reopens(
        &self,
        then: impl FnOnce(Spec<Release>) -> Spec<Release>,
        expected: &[(&str, Cause)],
    ) -> &Self {
        let story = self.story().made_true(self.number).minutes_later(1);
        if !story.state.status(item(self.number)).is_closed() {
            panic!(
                "{} is {:?}: {:#?}",
                self.number,
                story.state.status(item(self.number)),
                story.failing(self.number)
            );
        }
        then(story).fails(self.number, expected);
        self
    }
}

impl Spec<Release> {
    /// The item is open because of exactly these rows; each is named by the end of what it read.
    #[track_caller]
    pub fn fails(&self, number: &str, expected: &[(&str, Cause)]) {
        let failing = self.failing(number);
        let found: Vec<_> = failing.iter().map(|row| (row.input.as_str(), row.cause)).collect();
        let same = found.len() == expected.len()
            && found
                .iter()
                .zip(expected)
                .all(|((input, found), (end, cause))| input.ends_with(end) && *found == Some(*cause));
        assert!(same, "{number}: expected {expected:?}, found {found:#?}");
        let status = self.state.status(item(number));
        assert!(!status.is_closed(), "{number} is {status:?}");
    }
}
