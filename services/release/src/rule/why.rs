//! Why not? The facts that are missing, each with what would show it and who can supply it.

use serde::Serialize;

use super::Reading;
use crate::actor::Role;
use crate::decide::judge::fresh;
use crate::decide::{Around, authorization};
use crate::evidence::EvidenceKind;
use crate::procedure::{Item, Policy, Rule};
use crate::release::{ItemStatus, Release};
use crate::value::{ItemNumber, Name};
use crate::verdict::{Cause, Row};

/// What somebody wants to know the obstacles of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    Item(ItemNumber),
    /// The gate at the end of this step.
    Gate(u32),
    /// The decision to deploy to production.
    Authorize,
}

/// One fact that stands in the way.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MissingFact {
    /// The item that needs it; absent when no item does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<ItemNumber>,
    pub target: Name,
    /// What was looked at, what it has to be, and what it is.
    #[cfg_attr(feature = "openapi", schema(max_length = 16_384))]
    pub fact: String,
    #[cfg_attr(feature = "openapi", schema(max_length = 16_384))]
    pub expected: String,
    #[cfg_attr(feature = "openapi", schema(max_length = 16_384))]
    pub observed: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// The kind of evidence that would show it; absent when it takes a signature or another act.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceKind>,
    #[cfg_attr(feature = "openapi", schema(max_items = 12))]
    pub roles: Vec<Role>,
}

/// The smallest set of facts without which it does not hold; nothing when it does.
pub fn why(release: &Release, around: &Around, now: jiff::Timestamp, question: Question) -> Vec<MissingFact> {
    let procedure = &around.procedure;
    let of_step = |step: u32| procedure.step(step).into_iter().flat_map(|step| &step.items);
    let mut missing = match question {
        Question::Item(number) => {
            let Some(item) = procedure.item(number) else { return Vec::new() };
            // What is ahead of its step comes first, unless the item waits for nothing.
            let waits = !release.is_reached(item, procedure);
            let ahead = release.open_before(number.step(), procedure).filter(|_| waits);
            let mut missing: Vec<_> = ahead.flat_map(|item| of_item(release, around, now, item)).collect();
            missing.extend(of_item(release, around, now, item));
            missing
        }
        Question::Gate(step) => {
            let items = of_step(step).filter(|item| !item.outlives_step);
            let mut missing: Vec<_> = items.flat_map(|item| of_item(release, around, now, item)).collect();
            let open = release.gates.get(&step).is_some_and(|gate| gate.verdict.satisfied);
            let stale = fresh(release, procedure, now, |fresh| fresh.at_gate == step && !open);
            missing.extend(
                stale.into_iter().filter(|row| !row.ok).map(|row| of_row(release, around, None, row)),
            );
            missing
        }
        Question::Authorize => {
            let go = authorization::go(release, around, now);
            let before = procedure.items().filter(|item| procedure.is_before_go(item.number));
            let mut missing: Vec<_> = before.flat_map(|item| of_item(release, around, now, item)).collect();
            let other = go
                .rows
                .into_iter()
                .filter(|row| !row.ok && (row.rule != "gate_closed" || !row.input.starts_with("item/")));
            missing.extend(other.map(|row| of_row(release, around, None, row)));
            missing
        }
    };
    let mut seen = Vec::new();
    missing.retain(|one| {
        let new = !seen.contains(one);
        if new {
            seen.push(one.clone());
        }
        new
    });
    missing
}

fn of_item(release: &Release, around: &Around, now: jiff::Timestamp, item: &Item) -> Vec<MissingFact> {
    if release.status(item.number).is_closed() {
        return Vec::new();
    }
    let reading = Reading {
        release,
        procedure: &around.procedure,
        item,
        settings: &around.settings,
        policy: around.policy(),
        now,
        target: None,
    };
    let mut rows = Vec::new();
    if item.is_judged() {
        let outcome = super::judge(&reading);
        rows.extend(outcome.verdict.rows.into_iter().filter(|row| !row.ok));
        // Facts of a machine need no signature, so that is not missing while facts are.
        let facts_missing = rows.iter().any(|row| row.rule != "signature");
        let by_machine = item.machine && !item.signed && item.second.is_empty();
        rows.retain(|row| row.rule != "signature" || !(by_machine && facts_missing));
    }
    if rows.is_empty() {
        let (rule, expected) = match (&item.rule, release.status(item.number)) {
            (Rule::Approval, _) => ("approval", "approvals by the quorum of the change class"),
            (_, ItemStatus::Stale { reaffirmable: true, .. }) => {
                ("reaffirmation", "a person's word for the candidate")
            }
            (_, ItemStatus::Failed { .. }) => ("failed", "another deployment"),
            _ => ("attestation", "an attestation with evidence"),
        };
        let target = Name::default_target();
        let observed = release.status(item.number).as_str().to_owned();
        rows.push(Row::failed(
            rule,
            &target,
            format!("item/{}", item.number),
            expected.into(),
            observed,
            Cause::Absent,
        ));
    }
    rows.into_iter().map(|row| of_row(release, around, Some(item), row)).collect()
}

fn of_row(release: &Release, around: &Around, item: Option<&Item>, row: Row) -> MissingFact {
    let number = row.input.strip_prefix("item/").and_then(|rest| rest.split('/').next());
    let item = item.or_else(|| around.procedure.item(ItemNumber::new(number?).ok()?));
    let evidence = kind_of(release, item, &row.input);
    let machine_only = around.policy() == Policy::Strict && item.is_some_and(|item| item.machine);
    let roles = match (item, evidence) {
        (_, None) if row.input.starts_with("candidate") => {
            vec![Role::Engineer, Role::ReleaseManager, Role::Machine]
        }
        (_, None) if row.input.starts_with("window") => vec![Role::ReleaseManager],
        // A decision is for people, whatever else is reported of the deployment.
        (Some(item), None) if row.input.ends_with("/decisions") => item.roles.clone(),
        (_, None) if row.input.starts_with("deployment") => vec![Role::Operator, Role::Machine],
        (_, None) if row.input.starts_with("roll_call/") => around
            .procedure
            .roll_call
            .iter()
            .copied()
            .filter(|role| row.input.ends_with(role.as_str()))
            .collect(),
        (Some(_), Some(_)) if machine_only => vec![Role::Machine],
        (Some(item), found) => {
            let mut roles = item.roles.clone();
            roles.extend(item.second.iter().filter(|role| !item.roles.contains(role)));
            if found.is_some() && !roles.contains(&Role::Machine) {
                roles.push(Role::Machine);
            }
            roles
        }
        (None, _) => vec![Role::ReleaseManager],
    };
    MissingFact {
        item: item.map(|item| item.number),
        target: row.target,
        fact: row.input,
        expected: row.expected,
        observed: row.observed,
        cause: row.cause,
        evidence,
        roles,
    }
}

/// The kind of evidence that the path of a row speaks of.
fn kind_of(release: &Release, item: Option<&Item>, input: &str) -> Option<EvidenceKind> {
    let mut parts = input.split('/');
    match (parts.next()?, parts.next()?, parts.next(), parts.next()) {
        ("evidence", id, _, _) => release.evidence.get(&id.parse().ok()?).map(|evidence| evidence.kind()),
        ("item", _, Some("evidence"), Some(kind)) => {
            let named = EvidenceKind::ALL.iter().copied().find(|known| known.as_str() == kind);
            named.or_else(|| item?.evidence.first().copied())
        }
        _ => None,
    }
}
