//! What a procedure must be for people to be able to follow it. Types bound each value; these rules
//! are about how the values stand together.

mod judgement;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::actor::Role;
use crate::procedure::{CandidateEffect, Item, Procedure, Rule, Thresholds};

/// How many steps a procedure may have.
pub const MAX_STEPS: usize = 20;
/// How many items a step may have.
pub const MAX_ITEMS: usize = 50;
/// How many approvals a class of change may ask for.
pub const MAX_QUORUM: u32 = 10;

const DAY_S: u64 = 24 * 3600;

/// One thing that has to be put right before the procedure can be published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LintFinding {
    /// A JSON pointer into the procedure.
    pub pointer: String,
    pub code: LintCode,
    pub detail: String,
}

macro_rules! lint_codes {
    ($($(#[$doc:meta])* $code:ident = $name:tt,)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum LintCode { $($(#[$doc])* #[serde(rename = $name)] $code,)* }

        impl LintCode {
            pub const ALL: &'static [Self] = &[$(Self::$code,)*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$code => $name,)* }
            }
        }
    };
}

lint_codes! {
    /// Versions count from 1.
    VersionNumber = "version_number",
    /// 1 to 20 steps.
    StepCount = "step_count",
    /// Steps are numbered 1, 2, 3, without a gap.
    StepNumber = "step_number",
    /// 1 to 50 items in a step.
    ItemCount = "item_count",
    /// Items are numbered by step and place, without a gap.
    ItemNumber = "item_number",
    /// A key names one step or one item.
    KeyRepeated = "key_repeated",
    /// Every item names the evidence that closes it.
    EvidenceMissing = "evidence_missing",
    /// A person can hold one of the roles.
    RoleMissing = "role_missing",
    /// The role reads or administers, or is a machine's, where a person has to act.
    RoleUnsuited = "role_unsuited",
    /// An entry stands twice in a list.
    EntryRepeated = "entry_repeated",
    /// An item that approvals close is an approver's alone, without a second signature.
    ApprovalRoles = "approval_roles",
    /// An effect that depends on digests names them.
    DigestMissing = "digest_missing",
    /// A limit is out of its range, or two limits contradict each other.
    Threshold = "threshold",
    /// A class of change asks for 1 to 10 approvals.
    Quorum = "quorum",
}

/// Everything that is wrong with it; nothing when it can be published.
pub fn lint(procedure: &Procedure) -> Vec<LintFinding> {
    let mut lint = Lint { findings: Vec::new(), keys: BTreeMap::new() };
    lint.whole(procedure);
    lint.judgement(procedure);
    for (index, step) in procedure.steps.iter().enumerate() {
        let pointer = format!("/steps/{index}");
        if usize::try_from(step.number) != Ok(index + 1) {
            let detail = format!("step {} stands at place {}", step.number, index + 1);
            lint.add(format!("{pointer}/number"), LintCode::StepNumber, detail);
        }
        lint.key(&pointer, step.key.as_str());
        lint.people(&format!("{pointer}/owners"), &step.owners);
        if !(1..=MAX_ITEMS).contains(&step.items.len()) {
            let detail = format!("{} items, 1 to {MAX_ITEMS} are allowed", step.items.len());
            lint.add(format!("{pointer}/items"), LintCode::ItemCount, detail);
        }
        for (place, item) in step.items.iter().enumerate() {
            let pointer = format!("{pointer}/items/{place}");
            let expected = format!("{}.{}", index + 1, place + 1);
            if item.number.to_string() != expected {
                let detail = format!("{} where {expected} is expected", item.number);
                lint.add(format!("{pointer}/number"), LintCode::ItemNumber, detail);
            }
            lint.item(&pointer, item);
        }
    }
    lint.findings
}

struct Lint<'p> {
    findings: Vec<LintFinding>,
    /// Where each key was used first.
    keys: BTreeMap<&'p str, String>,
}

impl<'p> Lint<'p> {
    fn add(&mut self, pointer: impl Into<String>, code: LintCode, detail: impl Into<String>) {
        self.findings.push(LintFinding { pointer: pointer.into(), code, detail: detail.into() });
    }

    fn whole(&mut self, procedure: &Procedure) {
        if procedure.version == 0 {
            self.add("/version", LintCode::VersionNumber, "0 is no version");
        }
        if !(1..=MAX_STEPS).contains(&procedure.steps.len()) {
            let detail = format!("{} steps, 1 to {MAX_STEPS} are allowed", procedure.steps.len());
            self.add("/steps", LintCode::StepCount, detail);
        }
        self.thresholds(&procedure.thresholds);
        let quorum = &procedure.approval_quorum;
        let by_class = [
            ("standard", quorum.standard),
            ("normal", quorum.normal),
            ("high_risk", quorum.high_risk),
            ("emergency", quorum.emergency),
        ];
        for (class, approvals) in by_class {
            if !(1..=MAX_QUORUM).contains(&approvals) {
                let detail = format!("{approvals} approvals, 1 to {MAX_QUORUM} are allowed");
                self.add(format!("/approval_quorum/{class}"), LintCode::Quorum, detail);
            }
        }
        self.people("/roll_call", &procedure.roll_call);
    }

    fn thresholds(&mut self, thresholds: &Thresholds) {
        let (least, most) = (thresholds.canary_weight_min_percent, thresholds.canary_weight_max_percent);
        if !(least > 0.0 && least <= most && most <= 100.0) {
            let detail = format!("{least} to {most} is no share between 0 and 100 percent");
            self.add("/thresholds/canary_weight_min_percent", LintCode::Threshold, detail);
        }
        let monitoring = &thresholds.monitoring_min_s;
        let longest = thresholds.monitoring_max_s;
        let kept = thresholds.rollback_environment_max_s;
        let ranges = [
            ("canary_min_s", thresholds.canary_min_s, 60, 7 * DAY_S),
            ("monitoring_max_s", longest, 60, 7 * DAY_S),
            ("monitoring_min_s/standard", monitoring.standard, 60, longest),
            ("monitoring_min_s/normal", monitoring.normal, 60, longest),
            ("monitoring_min_s/high_risk", monitoring.high_risk, 60, longest),
            ("monitoring_min_s/emergency", monitoring.emergency, 60, longest),
            ("rollback_environment_max_s", kept, 3600, 30 * DAY_S),
            ("rollback_environment_min_s", thresholds.rollback_environment_min_s, 3600, kept),
            ("waiver_max_s", thresholds.waiver_max_s, 3600, 366 * DAY_S),
            ("availability_after_window_s", thresholds.availability_after_window_s, 0, DAY_S),
        ];
        for (member, seconds, least, most) in ranges {
            if seconds < least || seconds > most {
                let detail = format!("{seconds} seconds, {least} to {most} are allowed");
                self.add(format!("/thresholds/{member}"), LintCode::Threshold, detail);
            }
        }
    }

    fn item(&mut self, pointer: &str, item: &'p Item) {
        self.key(pointer, item.key.as_str());
        if item.evidence.is_empty() {
            let detail = format!("item {} names no kind of evidence", item.number);
            self.add(format!("{pointer}/evidence"), LintCode::EvidenceMissing, detail);
        }
        if !item.roles.iter().any(|role| acts(*role)) {
            let detail = format!("no person can close item {}", item.number);
            self.add(format!("{pointer}/roles"), LintCode::RoleMissing, detail);
        }
        for role in item.roles.iter().filter(|role| reads(**role)) {
            self.add(format!("{pointer}/roles"), LintCode::RoleUnsuited, unsuited(*role));
        }
        for role in item.second.iter().filter(|role| !acts(**role)) {
            self.add(format!("{pointer}/second"), LintCode::RoleUnsuited, unsuited(*role));
        }
        self.repeated(&format!("{pointer}/evidence"), &item.evidence);
        self.repeated(&format!("{pointer}/roles"), &item.roles);
        self.repeated(&format!("{pointer}/second"), &item.second);
        self.repeated(&format!("{pointer}/not_applicable"), &item.not_applicable);
        let approvers_alone = item.roles == [Role::Approver] && item.second.is_empty();
        if item.rule == Rule::Approval && !approvers_alone {
            let detail = format!("item {} closes by approvals", item.number);
            self.add(format!("{pointer}/roles"), LintCode::ApprovalRoles, detail);
        }
        if let CandidateEffect::Conditional { equal, .. } = &item.on_new_candidate {
            if equal.is_empty() {
                let detail = format!("item {} compares no digest", item.number);
                self.add(format!("{pointer}/on_new_candidate/equal"), LintCode::DigestMissing, detail);
            }
            self.repeated(&format!("{pointer}/on_new_candidate/equal"), equal);
        }
    }

    /// Roles that people must hold: at least one, and none that only reads or is a machine's.
    fn people(&mut self, pointer: &str, roles: &[Role]) {
        if roles.is_empty() {
            self.add(pointer, LintCode::RoleMissing, "no role is named");
        }
        for role in roles.iter().filter(|role| !acts(**role)) {
            self.add(pointer, LintCode::RoleUnsuited, unsuited(*role));
        }
        self.repeated(pointer, roles);
    }

    fn repeated<T: PartialEq>(&mut self, pointer: &str, entries: &[T]) {
        for (place, entry) in entries.iter().enumerate() {
            if entries.iter().take(place).any(|earlier| earlier == entry) {
                self.add(format!("{pointer}/{place}"), LintCode::EntryRepeated, "stands there before");
            }
        }
    }

    fn key(&mut self, pointer: &str, key: &'p str) {
        let pointer = format!("{pointer}/key");
        if let Some(first) = self.keys.get(key) {
            let detail = format!("{key} is used at {first}");
            self.add(pointer, LintCode::KeyRepeated, detail);
        } else {
            self.keys.insert(key, pointer);
        }
    }
}

fn unsuited(role: Role) -> String {
    format!("{} does not act on releases as a person", role.as_str())
}

/// A person in this role acts on releases.
fn acts(role: Role) -> bool {
    role != Role::Machine && !reads(role)
}

fn reads(role: Role) -> bool {
    matches!(role, Role::Viewer | Role::Auditor | Role::Admin)
}
