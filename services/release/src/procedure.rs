//! The procedure as data: steps and items with what makes each true. A release pins one version and
//! its hash; this module only reads it.

use serde::{Deserialize, Serialize};

use crate::actor::Role;
use crate::canary::{CanaryThresholds, MonitoringThresholds};
use crate::event::ChangeClass;
use crate::evidence::EvidenceKind;
use crate::rule::Reads;
pub use crate::rule::Rule;
use crate::value::{ItemNumber, Line, Name, Prose, Sha256Hex};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Procedure {
    pub name: Name,
    pub version: u32,
    pub title: Line,
    pub description: Prose,
    pub purpose: Prose,
    pub policy: Policy,
    pub order: Order,
    pub thresholds: Thresholds,
    /// Approvals needed for 4.4 by change class.
    pub approval_quorum: ApprovalQuorum,
    /// Roles that answer the roll-call before production is authorized.
    #[cfg_attr(feature = "openapi", schema(max_items = 12))]
    pub roll_call: Vec<Role>,
    #[cfg_attr(feature = "openapi", schema(max_items = 20))]
    pub steps: Vec<Step>,
    /// Who approves signed in no longer ago than this; absent: whenever that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_in_max_age_s: Option<u64>,
    /// How an emergency goes to production before it is approved; absent: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlassRules>,
    /// A change of class standard that is small enough needs no approval of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing_approval: Option<StandingApproval>,
}

/// Given once, by whoever activated this version of the procedure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct StandingApproval {
    /// How the register of standard changes names it.
    pub reference: Line,
    /// How many merged changes are small enough.
    pub changes_max: u32,
}

/// What remains when an operator or the on-call authorizes alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BreakGlassRules {
    /// How long the authorization can be used.
    pub valid_s: u64,
    /// In what time an independent approver has to approve it afterwards.
    pub approve_within_s: u64,
    /// Keys of the items that are closed, or recorded as missing.
    #[cfg_attr(feature = "openapi", schema(max_items = 20))]
    pub items: Vec<Name>,
}

/// What a person may attest of an item that a machine could prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// A person may attest it with evidence of a listed kind; reports show it as attested.
    Guided,
    /// Only a machine closes it, or a waiver.
    Strict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// A step opens when the gate of the step before it is open.
    Enforced,
    /// Out-of-order work is recorded and raised as an exception.
    Advisory,
}

/// Limits the whole procedure shares; times in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    pub canary_weight_min_percent: f64,
    pub canary_weight_max_percent: f64,
    pub canary_min_s: u64,
    pub monitoring_min_s: MonitoringByClass,
    pub monitoring_max_s: u64,
    pub rollback_environment_min_s: u64,
    pub rollback_environment_max_s: u64,
    pub waiver_max_s: u64,
    pub availability_after_window_s: u64,
    /// How a canary is judged; without it none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryThresholds>,
    /// How the time after the rollout is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<MonitoringThresholds>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct MonitoringByClass {
    pub standard: u64,
    pub normal: u64,
    pub high_risk: u64,
    pub emergency: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ApprovalQuorum {
    pub standard: u32,
    pub normal: u32,
    pub high_risk: u32,
    pub emergency: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub number: u32,
    pub key: Name,
    pub name: Line,
    pub instructions: Prose,
    pub expected_output: Prose,
    /// Roles that own the step.
    #[cfg_attr(feature = "openapi", schema(max_items = 12))]
    pub owners: Vec<Role>,
    #[cfg_attr(feature = "openapi", schema(max_items = 50))]
    pub items: Vec<Item>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Item {
    pub number: ItemNumber,
    pub key: Name,
    /// As the procedure's source words it.
    pub name: Line,
    /// What has to hold, in one sentence.
    pub true_when: Prose,
    pub rule: Rule,
    /// More rules that have to hold as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(max_items = 5))]
    pub also: Vec<Rule>,
    /// A machine can prove it: an attestation by a person is shown as attested where verified was
    /// possible.
    pub machine: bool,
    /// A person signs it, whoever reports the facts.
    #[serde(default, skip_serializing_if = "is_false")]
    pub signed: bool,
    /// How old what was seen of it may be when a later gate opens, and when production is authorized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh: Option<Freshness>,
    /// Evidence kinds that may close it; at least one piece of one of these is required.
    #[cfg_attr(feature = "openapi", schema(max_items = 29))]
    pub evidence: Vec<EvidenceKind>,
    /// Roles that may attest it.
    #[cfg_attr(feature = "openapi", schema(max_items = 12))]
    pub roles: Vec<Role>,
    /// Roles of whom a second, different person must attest too.
    #[cfg_attr(feature = "openapi", schema(max_items = 12))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub second: Vec<Role>,
    pub waiver: WaiverCode,
    /// How it may be declared not applicable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(max_items = 2))]
    pub not_applicable: Vec<NotApplicableProof>,
    /// Closes only on a candidate whose artifacts are bound.
    #[serde(default, skip_serializing_if = "is_false")]
    pub needs_bound_candidate: bool,
    /// May be attested before its step opens; counts when it does.
    #[serde(default, skip_serializing_if = "is_false")]
    pub early: bool,
    /// Needed for `closed`, not for `completed`: its duty outlives the other items of its step.
    #[serde(default, skip_serializing_if = "is_false")]
    pub outlives_step: bool,
    pub on_new_candidate: CandidateEffect,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Freshness {
    /// The number of the step at whose end it counts.
    pub at_gate: u32,
    pub max_age_s: u64,
}

/// What a waiver of the item takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WaiverCode {
    Never,
    /// One independent approver.
    W1,
    /// Two people, one of them an approver.
    W2,
    /// Deferrable in an emergency, due 24 hours after the deployment.
    D24,
    /// Deferrable in an emergency, due 5 business days after the deployment.
    D5,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum NotApplicableProof {
    /// A machine reports the facts that show it.
    Machine,
    /// A person gives the reason and a second person confirms it.
    Justification,
}

/// What tagging a new candidate does to the item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "effect", rename_all = "snake_case", deny_unknown_fields)]
pub enum CandidateEffect {
    /// Judged again on the new commit's facts; what was attested alone needs a person to reaffirm it.
    Reevaluate,
    /// A person reaffirms it for the new candidate.
    Reaffirm,
    /// New evidence on the new candidate.
    Stale,
    /// Its approvals are revoked.
    Revoke,
    Unaffected,
    /// A person reaffirms it, unless it changes a risk area of the product: then new evidence.
    RiskAreas,
    /// New evidence on the features that it touches, a person's word for the rest; new evidence on all of
    /// them where nobody says which it touches.
    Features,
    /// One effect while the named digests are equal, stale otherwise.
    Conditional {
        #[cfg_attr(feature = "openapi", schema(max_items = 3))]
        equal: Vec<CandidateDigest>,
        then: EqualEffect,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CandidateDigest {
    MigrationSet,
    ConfigSchema,
    Pipeline,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EqualEffect {
    Reevaluate,
    Unaffected,
}

impl Item {
    /// Every rule that has to hold.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        std::iter::once(&self.rule).chain(&self.also)
    }

    /// Facts are judged; without, the item closes by what people or machines say of it.
    pub fn is_judged(&self) -> bool {
        self.rules().any(|rule| rule.judged().is_some())
    }

    /// What its rules read.
    pub fn reads(&self) -> Reads {
        let judges = self.rules().filter_map(Rule::judged);
        judges.fold(Reads::default(), |reads, judge| reads.and(judge.reads()))
    }

    /// What is left to do of a release that did not get to its end: whom it concerns is told, and what was
    /// learned is written down.
    pub fn follows_up(&self) -> bool {
        [STAKEHOLDERS_NOTIFIED, LESSONS_LEARNED_CAPTURED].contains(&self.key.as_str())
    }

    /// A machine's report closes it without anybody's signature.
    pub fn takes_machine(&self) -> bool {
        self.machine || self.roles.contains(&Role::Machine)
    }
}

impl Procedure {
    /// Facts are judged; without, gates are not recorded and items close by attestation alone.
    pub fn is_judged(&self) -> bool {
        self.items().any(Item::is_judged)
    }

    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.steps.iter().flat_map(|step| &step.items)
    }

    pub fn item(&self, number: ItemNumber) -> Option<&Item> {
        self.step(number.step())?.items.iter().find(|item| item.number == number)
    }

    pub fn item_by_key(&self, key: &str) -> Option<&Item> {
        self.items().find(|item| item.key.as_str() == key)
    }

    /// The item that closes by approval; its step ends in the decision to go.
    pub fn approval_item(&self) -> Option<&Item> {
        self.items().find(|item| item.rule == Rule::Approval)
    }

    /// Whether an approval binds the item: everything before the step of the decision, and what may
    /// be settled early in that step and belongs to the candidate.
    pub fn is_bound_by_approval(&self, item: &Item) -> bool {
        let Some(approval) = self.approval_item() else { return false };
        let (step, go) = (item.number.step(), approval.number.step());
        step < go || (step == go && item.early && item.on_new_candidate != CandidateEffect::Unaffected)
    }

    /// Whether the item is about what runs on staging: everything from the deployment there up to the step of
    /// the decision.
    pub fn is_shown_on_staging(&self, number: ItemNumber) -> bool {
        let from = self.item_by_key(STAGING_DEPLOYED).map(|item| item.number.step());
        let to = self.approval_item().map(|item| item.number.step());
        from.zip(to).is_some_and(|(from, to)| (from..to).contains(&number.step()))
    }

    /// Whether the decision to go rests on the item; a started deployment latches these.
    pub fn is_before_go(&self, number: ItemNumber) -> bool {
        self.approval_item().is_some_and(|approval| number.step() <= approval.number.step())
    }

    /// Whether the item is about what one deployment did in production and how it fares there.
    pub fn is_about_deployment(&self, number: ItemNumber) -> bool {
        let verified = self.item_by_key(ROLLBACK_NOT_NEEDED).map_or(u32::MAX, |item| item.number.step());
        !self.is_before_go(number) && number.step() <= verified
    }

    pub fn step(&self, number: u32) -> Option<&Step> {
        self.steps.iter().find(|step| step.number == number)
    }
}

/// Items with a duty of their own are known by their stable keys.
pub const STAGING_DEPLOYED: &str = "staging-deployed";
pub const ROLLBACK_NOT_NEEDED: &str = "rollback-not-needed";
pub const CANARY_MONITORED: &str = "canary-monitored";
pub const MONITORING_COMPLETED: &str = "monitoring-completed";
pub const STAKEHOLDERS_NOTIFIED: &str = "stakeholders-notified";
pub const LESSONS_LEARNED_CAPTURED: &str = "lessons-learned-captured";
pub const ROLLBACK_ENVIRONMENT_MAINTAINED: &str = "rollback-environment-maintained";

impl Thresholds {
    /// The metrics that a canary and the time after it are judged by; none when nothing is judged.
    pub fn judged_metrics(&self) -> Vec<Line> {
        let canary = self.canary.iter().flat_map(|canary| &canary.metrics).map(|judged| &judged.metric);
        let after = self.monitoring.iter().flat_map(|after| &after.metrics).map(|judged| &judged.metric);
        let mut metrics: Vec<Line> = Vec::new();
        for metric in canary.chain(after) {
            if !metrics.contains(metric) {
                metrics.push(metric.clone());
            }
        }
        metrics
    }
}

impl MonitoringByClass {
    pub fn of(&self, class: ChangeClass) -> u64 {
        match class {
            ChangeClass::Standard => self.standard,
            ChangeClass::Normal => self.normal,
            ChangeClass::HighRisk => self.high_risk,
            ChangeClass::Emergency => self.emergency,
        }
    }
}

impl ApprovalQuorum {
    pub fn of(&self, class: ChangeClass) -> u32 {
        match class {
            ChangeClass::Standard => self.standard,
            ChangeClass::Normal => self.normal,
            ChangeClass::HighRisk => self.high_risk,
            ChangeClass::Emergency => self.emergency,
        }
    }
}

/// One exact version of a procedure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ProcedureRef {
    pub name: Name,
    pub version: u32,
    /// SHA-256 over the stored JSON bytes of the version.
    pub hash: Sha256Hex,
}

/// The bytes of `product-release` version 1; their SHA-256 is the procedure's hash.
pub const PRODUCT_RELEASE_V1: &[u8] = include_bytes!("../procedures/product-release.v1.json");

/// The bytes of version 2, whose items are judged by facts.
pub const PRODUCT_RELEASE_V2: &[u8] = include_bytes!("../procedures/product-release.v2.json");

/// SHA-256 of the stored JSON bytes.
pub fn hash(bytes: &[u8]) -> Sha256Hex {
    crate::wire::sha256_hex(bytes)
}

fn is_false(value: &bool) -> bool {
    !value
}
