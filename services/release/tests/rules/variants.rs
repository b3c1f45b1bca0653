//! What teams need besides the procedure itself, each as the data that differs.

use std::sync::Arc;

use jiff::SignedDuration;
use release::RefusalCode as No;
use release::command::{FinishDeployment, MarkNotApplicable, OpenRelease, RequestApproval, SetWindow};
use release::decide::Around;
use release::event::{
    ApprovalRequested, CanaryVerdict, ChangeClass, DeploymentOutcome, ReleaseEvent, Sample, SampleSeries,
};
use release::procedure::{Procedure, WaiverCode};
use release::procedures::{VARIANTS, lint, variant};
use release::release::{ApprovalStatus, Release};
use release::spec::judged::{self, honest, patched};
use release::spec::release::{authorize, bind, deploy, go, item, list, prose, tag, window};
use release::spec::{Spec, alice, bob, carol, dave, erin, frank, grace, heidi, nothing, robot, who_is};
use release::{Actor, Command};
use serde_json::{Value, json};

use crate::rules::samples::{FINE, Load, of_canary};

type Story = Spec<Release>;

fn procedure(name: &str) -> Procedure {
    variant(name).unwrap().unwrap()
}

fn around(name: &str) -> Around {
    Around { procedure: Arc::new(procedure(name)), ..judged::around() }
}

/// Told by one variant.
struct Told {
    story: Story,
    around: Around,
}

impl Told {
    fn by(name: &str, class: ChangeClass) -> Self {
        Self::opened(around(name), OpenRelease { class: Some(class), ..release::spec::release::open() })
    }

    fn opened(around: Around, open: OpenRelease) -> Self {
        let told = Self { story: nothing(), around };
        let told = told.act(alice(), Command::Open(open)).act(bob(), Command::TagCandidate(tag(1)));
        told.act(robot(), Command::BindCandidate { number: 1, body: bind('1') }).later(1)
    }

    #[track_caller]
    fn act(mut self, who: Actor, command: Command) -> Self {
        self.story = self.story.when(who, command, &self.around).accepted();
        self
    }

    fn later(mut self, minutes: i64) -> Self {
        self.story = self.story.minutes_later(minutes);
        self
    }

    #[track_caller]
    fn refused(self, who: Actor, command: Command, why: No) -> Self {
        let story = self.story.when(who, command, &self.around).then_refused(why).story;
        Self { story, ..self }
    }

    fn report(self, number: &str, facts: Value) -> Self {
        self.act(robot(), judged::record(number, facts))
    }

    #[track_caller]
    fn made_true(self, number: &str) -> Self {
        self.made_true_with(number, &json!({}))
    }

    /// What honest machines report, changed in this way, and who signs it.
    #[track_caller]
    fn made_true_with(self, number: &str, patch: &Value) -> Self {
        let facts = honest(number, &self.story);
        let told = facts.into_iter().fold(self, |told, facts| told.report(number, patched(facts, patch)));
        let of = told.around.procedure.item(item(number)).unwrap().clone();
        let told = judged::signers(&of).into_iter().fold(told, |told, who| {
            let closed = told.story.state.status(item(number)).is_closed();
            if closed { told } else { told.act(who, judged::sign(number)) }
        });
        assert!(told.closed(number), "{number}: {:?}", told.story.state.status(item(number)));
        told.later(1)
    }

    fn closed(&self, number: &str) -> bool {
        self.story.state.status(item(number)).is_closed()
    }

    #[track_caller]
    fn all_true(self, numbers: &[&str]) -> Self {
        numbers.iter().fold(
            self,
            |told, number| {
                if told.closed(number) { told } else { told.made_true(number) }
            },
        )
    }

    fn step(self, step: u32) -> Self {
        let items = self.around.procedure.step(step).unwrap().items.iter();
        let numbers: Vec<String> = items.map(|item| item.number.to_string()).collect();
        self.all_true(&numbers.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// A machine shows that the item does not apply.
    fn not_applicable(self, number: &str) -> Self {
        let body = MarkNotApplicable { justification: None, evidence: list(vec![]) };
        self.act(robot(), Command::MarkNotApplicable { item: item(number), body })
    }

    /// One person gives a reason, another confirms it.
    fn not_applicable_by(self, number: &str, one: Actor, other: Actor) -> Self {
        let body = MarkNotApplicable {
            justification: Some(prose("There is nothing to split.")),
            evidence: list(vec![]),
        };
        let told = self.act(one, Command::MarkNotApplicable { item: item(number), body });
        told.act(other, Command::ConfirmNotApplicable { item: item(number) })
    }

    fn windowed(self) -> Self {
        self.act(alice(), Command::SetWindow(window()))
    }

    fn requested(self) -> Self {
        self.act(alice(), Command::RequestApproval(RequestApproval { note: None }))
    }

    fn approved_by(self, who: Actor) -> Self {
        let grant = release::spec::release::grant(&self.story);
        self.act(who, grant)
    }

    /// The window is open, staging was seen again, everybody said go, and production is started.
    fn started(mut self) -> Self {
        let opens = window().from + SignedDuration::from_mins(1);
        self.story.now = self.story.now.max(opens);
        let told = self.report_again("2.2").report_again("2.5");
        let roles = told.around.procedure.roll_call.clone();
        let told = roles.into_iter().fold(told, |told, role| told.act(who_is(role), go(role)));
        let told = told.act(alice(), authorize());
        let start = deploy("production", Some(told.story.authorization()));
        told.act(robot(), start)
    }

    fn report_again(self, number: &str) -> Self {
        let facts = honest(number, &self.story);
        facts.into_iter().fold(self, |told, facts| told.report(number, facts))
    }

    fn proceeding(self, who: Actor) -> Self {
        let reason = prose("Looked at it.");
        let decision = release::event::ProceedDecision::Proceed;
        let body = release::command::DecideProceed { decision, reason, basis: None };
        let deployment = self.story.deployment();
        self.act(who, Command::DecideProceed { deployment, body })
    }

    fn finished(self) -> Self {
        let body = FinishDeployment { outcome: DeploymentOutcome::Succeeded, note: None };
        let deployment = self.story.deployment();
        self.act(robot(), Command::FinishDeployment { deployment, body })
    }

    /// Samples at this interval for so many seconds, and what time makes due.
    fn sampled(mut self, seconds: i64, every: i64, points: impl Fn(jiff::Timestamp) -> Vec<Sample>) -> Self {
        let mut waiting = Vec::new();
        for n in 1..=seconds / every {
            self.story.now += SignedDuration::from_secs(every);
            waiting.extend(points(self.story.now));
            if waiting.len() > 900 || n == seconds / every {
                let deployment = self.story.deployment();
                let body = release::command::RecordSamples { samples: list(std::mem::take(&mut waiting)) };
                self = self.act(robot(), Command::RecordSamples { deployment, body });
            }
        }
        self
    }

    fn canary_out(mut self, points: impl Fn(jiff::Timestamp) -> Vec<Sample>) -> Self {
        self = self.weighed(5.0);
        let deployment = self.story.deployment();
        let probe = release::event::Probe {
            kind: release::event::ProbeKind::Version,
            at: self.story.now,
            ok: true,
            version: Some(release::spec::release::line("2.4.0-rc.1")),
            commit_sha: Some(release::spec::release::commit('1')),
            replicas_matched: None,
            replicas_total: None,
            http_status: None,
            latency_ms: None,
        };
        let body = release::command::RecordProbes { probes: list(vec![probe]) };
        self = self.act(robot(), Command::RecordProbes { deployment, body });
        let body = release::command::RecordSamples { samples: list(points(self.story.now)) };
        self.act(robot(), Command::RecordSamples { deployment, body })
    }

    fn verdict(&self) -> Option<CanaryVerdict> {
        let canary = self.story.state.deployments.last()?.canary.as_ref()?;
        Some(canary.evaluations.last()?.evaluated.verdict)
    }

    fn weighed(self, weight_percent: f64) -> Self {
        let (deployment, at) = (self.story.deployment(), Some(self.story.now));
        let body = release::command::ObserveTraffic { weight_percent, at };
        self.act(robot(), Command::ObserveTraffic { deployment, body })
    }
}

const FOURTH: [&str; 6] = ["4.1", "4.2", "4.3", "4.5", "4.6", "4.7"];

#[test]
fn given_every_variant_it_can_be_published_as_it_is() {
    for (name, _) in VARIANTS {
        let procedure = procedure(name);
        assert_eq!(lint(&procedure), [], "{name}");
        assert_eq!((procedure.name.as_str(), procedure.version), (*name, 1));
        assert_eq!(procedure.items().count(), 49, "{name}");
        let json = serde_json::to_string(&procedure).unwrap();
        assert!(release::SentJson::new(&json).is_ok(), "{name}");
    }
    assert!(variant("unheard-of").is_none());
}

#[test]
fn given_a_variant_that_names_what_is_not_there_it_does_not_read() {
    // Every entry that a variant names is one of version 2: none adds a step, an item or a metric.
    let two = judged::procedure();
    for (name, _) in VARIANTS {
        let variant = procedure(name);
        let keys = |procedure: &Procedure| -> Vec<String> {
            procedure.items().map(|item| item.key.to_string()).collect()
        };
        assert_eq!(keys(&variant), keys(&two), "{name}");
        assert_eq!(variant.thresholds.judged_metrics(), two.thresholds.judged_metrics(), "{name}");
    }
}

fn no_migrations() -> Value {
    json!({"expected": [], "applied": []})
}

/// Everything before the decision of a standard change with so many merged changes.
fn standard(class: ChangeClass, merged: u32, migrations: bool) -> Told {
    let told = Told::by("standard-change", class);
    let changes = json!({"changes": {"merged": merged, "covered": merged, "exempt": 0}});
    let told = told.all_true(&["1.1", "1.2"]).made_true_with("1.3", &changes);
    let told = told.step(1).all_true(&["2.1", "2.2"]);
    let none = if migrations { json!({}) } else { no_migrations() };
    told.made_true_with("2.3", &none).step(2).step(3).windowed().all_true(&FOURTH).requested()
}

#[test]
fn standard_change_a_small_change_is_covered_by_the_standing_approval() {
    let told = standard(ChangeClass::Standard, 20, false);
    let approval = told.story.state.approvals.last().unwrap();
    assert!(matches!(approval.status, ApprovalStatus::Granted { .. }));
    assert_eq!(approval.standing.as_ref().unwrap().as_str(), "standard-change");
    assert!(told.closed("4.4"));
    let told = told.started();
    assert!(told.story.state.in_production().is_some());
}

#[test]
fn standard_change_what_is_larger_is_approved_as_any_other() {
    for (class, merged, migrations) in [
        (ChangeClass::Standard, 21, false),
        (ChangeClass::Standard, 20, true),
        (ChangeClass::Normal, 20, false),
    ] {
        let told = standard(class, merged, migrations);
        assert!(!told.closed("4.4"), "{class:?} {merged} {migrations}");
        let asked = told.story.facts.last().unwrap();
        assert!(matches!(&asked.event, ReleaseEvent::ApprovalRequested(ApprovalRequested { .. })));
        assert!(told.approved_by(grace()).closed("4.4"));
    }
}

#[test]
fn emergency_change_five_minutes_of_canary_and_one_approver_are_enough() {
    let told = Told::by("emergency-change", ChangeClass::Emergency).step(1).step(2).step(3);
    let told = told.windowed().all_true(&FOURTH).requested().approved_by(grace());
    let told = told.started().all_true(&["5.1", "5.2"]);
    let points = |at| of_canary(FINE, at);
    let told = told.canary_out(points).sampled(295, 5, points);
    assert!(!told.closed("5.3"));
    let told = told.sampled(5, 5, points);
    assert_eq!(told.verdict(), Some(CanaryVerdict::Pass));
    assert!(told.closed("5.3"));
    assert!(told.proceeding(dave()).closed("5.4"));
}

#[test]
fn emergency_change_what_is_never_skipped_takes_no_waiver() {
    let procedure = procedure("emergency-change");
    for number in ["1.5", "2.1", "2.2", "4.4", "5.1", "5.6", "6.9"] {
        assert_eq!(procedure.item(item(number)).unwrap().waiver, WaiverCode::Never, "{number}");
    }
    assert_eq!(procedure.item(item("7.7")).unwrap().waiver, WaiverCode::D24);
    assert_eq!(procedure.approval_quorum.of(ChangeClass::Emergency), 1);
}

/// Nothing runs in production yet.
fn first() -> Told {
    let mut around = around("first-release");
    if let Some(opening) = &mut around.opening {
        opening.in_production = None;
    }
    Told::opened(around, release::spec::release::open())
}

#[test]
fn first_release_what_needs_a_previous_version_does_not_apply() {
    let told = first().step(1).step(2).all_true(&["3.1", "3.2", "3.3", "3.4", "3.5"]);
    let told = told.not_applicable("3.6").all_true(&["3.7"]).not_applicable("4.2").windowed();
    let told = told.all_true(&["4.1", "4.3", "4.5", "4.6", "4.7"]).requested().approved_by(grace());
    assert_eq!(told.story.state.status(item("4.2")).as_str(), "not_applicable");
    let told = told.started();
    // Nobody serves beside it: it is held to limits of its own.
    let alone = |load: Load| {
        move |at| {
            let mut points = of_canary(load, at);
            points.retain(|point| point.series == SampleSeries::Canary);
            points
        }
    };
    let told = told.all_true(&["5.1"]);
    let good = Told { story: told.story.clone(), around: first().around };
    let good = good.canary_out(alone(FINE)).sampled(900, 15, alone(FINE));
    assert_eq!(good.verdict(), Some(CanaryVerdict::Pass));
    let bad = Load { errors: 0.02, ..FINE };
    let bad = told.canary_out(alone(bad)).sampled(900, 15, alone(bad));
    assert_eq!(bad.verdict(), Some(CanaryVerdict::Fail));
    let told = good.proceeding(dave()).finished();
    assert!(told.story.state.leases.is_empty());
    for number in ["5.5", "7.6"] {
        let body = MarkNotApplicable { justification: None, evidence: list(vec![]) };
        let command = Command::MarkNotApplicable { item: item(number), body };
        let asked = told.story.ask(&robot(), &command, &told.around);
        // Gates before it may be open still; what counts is that facts show it.
        assert!(!matches!(asked, Err(ref refusal) if refusal.code == No::RuleNotSatisfied), "{number}");
    }
}

#[test]
fn first_release_with_a_previous_version_nothing_is_left_out() {
    let told = Told::by("first-release", ChangeClass::Normal).step(1).step(2);
    let body = MarkNotApplicable { justification: None, evidence: list(vec![]) };
    let command = Command::MarkNotApplicable { item: item("4.2"), body };
    told.refused(robot(), command, No::RuleNotSatisfied);
}

#[test]
fn no_traffic_splitting_without_a_canary_two_people_proceed_and_an_hour_is_watched() {
    let told = Told::by("no-traffic-splitting", ChangeClass::Normal).step(1).step(2).step(3);
    let told = told.windowed().all_true(&FOURTH).requested().approved_by(grace());
    let told = told.started().all_true(&["5.1", "5.2"]);
    let told = told.not_applicable_by("5.3", dave(), release::spec::olivia());
    assert_eq!(told.story.state.status(item("5.3")).as_str(), "not_applicable");
    let told = told.proceeding(dave());
    assert!(!told.closed("5.4"));
    let told = told.proceeding(alice());
    assert!(told.closed("5.4"));
    let told = told.finished();
    let monitoring = told.story.state.timers.last().unwrap();
    assert_eq!(monitoring.elapses_at - SignedDuration::from_mins(60), monitoring.started_at);
}

#[test]
fn staged_store_rollout_six_hours_at_five_percent_pass() {
    let told = Told::by("staged-store-rollout", ChangeClass::Normal).step(1).step(2).step(3);
    // The window holds the six hours and the monitoring after them.
    let to = window().to + SignedDuration::from_hours(5);
    let told = told.act(alice(), Command::SetWindow(SetWindow { to, ..window() }));
    let kept = json!({"retained_until": to + SignedDuration::from_hours(48)});
    let told = told.made_true_with("4.1", &kept);
    let told = told.made_true_with("4.6", &json!({"to": to + SignedDuration::from_hours(1)}));
    let told = told.all_true(&FOURTH).requested().approved_by(grace()).started();
    let told = told.all_true(&["5.1", "5.2"]);
    let points = |at| of_canary(FINE, at);
    let told = told.canary_out(points).sampled(21_540, 60, points);
    assert!(!told.closed("5.3"));
    let told = told.sampled(60, 60, points);
    assert_eq!(told.verdict(), Some(CanaryVerdict::Pass));
    assert!(told.closed("5.3"));
}

#[test]
fn blue_green_the_idle_colour_is_the_version_that_is_kept() {
    let told = Told::by("blue-green", ChangeClass::Normal).step(1).step(2).step(3);
    let told = told.windowed().all_true(&FOURTH).requested().approved_by(grace()).started();
    let told = told.all_true(&["5.1", "5.2"]);
    let points = |at| of_canary(FINE, at);
    let told = told.canary_out(points).sampled(900, 15, points).proceeding(dave());
    let told = told.weighed(100.0).finished().all_true(&["5.5", "5.6", "5.7"]);
    assert!(told.story.state.gates[&5].verdict.satisfied);
    let kept = told.around.procedure.item(item("5.5")).unwrap();
    assert!(kept.true_when.as_str().contains("idle colour"));
}

#[test]
fn config_only_there_is_nothing_to_migrate_and_two_people_say_that_no_backup_is_needed() {
    let told = Told::by("config-only", ChangeClass::Normal).step(1).all_true(&["2.1", "2.2"]);
    let none = patched(honest("2.3", &told.story).remove(0), &no_migrations());
    let told = told.report("2.3", none);
    let told = if told.closed("2.3") { told } else { told.not_applicable("2.3") };
    let told = told.step(2).step(3).windowed().not_applicable_by("4.1", dave(), release::spec::ivan());
    assert_eq!(told.story.state.status(item("4.1")).as_str(), "not_applicable");
    let told = told.all_true(&["4.2", "4.3", "4.5", "4.6", "4.7"]).requested().approved_by(grace()).started();
    let told = told.all_true(&["5.1"]).not_applicable("5.2");
    assert_eq!(told.story.state.status(item("5.2")).as_str(), "not_applicable");
}

#[test]
fn multi_service_train_two_approvers_sign_and_the_product_owner_says_go() {
    let told = Told::by("multi-service-train", ChangeClass::Standard).step(1).step(2).step(3).windowed();
    let owner = json!({"person": "frank", "role": "product_owner"});
    let available = patched(honest("4.6", &told.story).remove(0), &owner);
    let told = told.report("4.6", available).all_true(&FOURTH).requested().approved_by(grace());
    assert!(!told.closed("4.4"));
    let told = told.approved_by(heidi());
    assert!(told.closed("4.4"));
    let before = told.story.clone();
    let opens = before.at(window().from + SignedDuration::from_mins(1));
    let told = Told { story: opens, around: told.around }.report_again("2.2").report_again("2.5");
    let four = [(alice(), 0), (dave(), 1), (erin(), 2), (carol(), 3)];
    let roles = told.around.procedure.roll_call.clone();
    let told = four.into_iter().fold(told, |told, (who, n)| told.act(who, go(roles[n])));
    let told = told.refused(alice(), authorize(), No::RollCallIncomplete);
    told.act(frank(), go(roles[4])).act(alice(), authorize());
}
