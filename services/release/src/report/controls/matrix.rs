//! The control matrix of one release.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use uuid::Uuid;

use super::{Control, ControlMapping, Proof, checks, items};
use crate::event::{EventData, Fact, ReleaseEvent};
use crate::procedure::Procedure;
use crate::release::Release;
use crate::value::{Line, Name};

/// What a matrix is made from: a release, and the events that it is the fold of.
pub struct Subject<'a> {
    pub release: &'a Release,
    pub procedure: &'a Procedure,
    /// Every event of the release's stream, in order.
    pub facts: &'a [&'a Fact<ReleaseEvent>],
    /// How long records are kept.
    pub retention_months: u32,
}

/// What one control comes to for a release.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ControlRow {
    pub framework: Name,
    pub control: Line,
    pub title: Line,
    pub status: ControlStatus,
    /// What it is proven by, in the mapping's order.
    #[cfg_attr(feature = "openapi", schema(max_items = 5000))]
    pub proofs: Vec<ProofRow>,
    /// Every event that a proof rests on, by revision.
    #[cfg_attr(feature = "openapi", schema(max_items = 10000))]
    pub events: Vec<EventRef>,
}

/// One thing that a control is proven by.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProofRow {
    /// `item 1.6 ci-passing`, `gate 4`, `check independent_approval`.
    #[cfg_attr(feature = "openapi", schema(max_length = 16_384))]
    pub proof: String,
    pub status: ControlStatus,
    /// What was found, in one sentence.
    #[cfg_attr(feature = "openapi", schema(max_length = 16_384))]
    pub reason: String,
    /// The revisions of the events it rests on.
    #[cfg_attr(feature = "openapi", schema(max_items = 10000))]
    pub revisions: Vec<u64>,
}

/// The worst comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ControlStatus {
    /// There was nothing to control, or a report for a period shows it.
    NotApplicable,
    Met,
    /// Nothing speaks against it, and not everything is there that would show it.
    NotDemonstrated,
    /// Something went another way.
    Exception,
}

impl ControlStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotApplicable => "not_applicable",
            Self::Met => "met",
            Self::NotDemonstrated => "not_demonstrated",
            Self::Exception => "exception",
        }
    }
}

/// An event by its place in the release and its id, by which `/v1/events/{event}/proof` proves it. Its place in the
/// log is in the proof: whoever has one sealed release only does not know it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventRef {
    pub revision: u64,
    pub event: Uuid,
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(max_length = 64))]
    pub event_type: String,
}

impl EventRef {
    pub fn of<E: EventData>(fact: &Fact<E>) -> Self {
        Self { revision: fact.revision, event: fact.id, event_type: fact.event.event_type().to_owned() }
    }
}

/// What was found, and the indexes of the events that show it.
pub(super) struct Found {
    pub status: ControlStatus,
    pub reason: String,
    pub events: Vec<usize>,
}

impl Found {
    pub fn new(status: ControlStatus, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into(), events: Vec::new() }
    }

    pub fn met(reason: impl Into<String>) -> Self {
        Self::new(ControlStatus::Met, reason)
    }

    pub fn exception(reason: impl Into<String>) -> Self {
        Self::new(ControlStatus::Exception, reason)
    }

    pub fn not_demonstrated(reason: impl Into<String>) -> Self {
        Self::new(ControlStatus::NotDemonstrated, reason)
    }

    pub fn not_applicable(reason: impl Into<String>) -> Self {
        Self::new(ControlStatus::NotApplicable, reason)
    }

    pub fn by(mut self, events: impl IntoIterator<Item = usize>) -> Self {
        self.events.extend(events);
        self
    }

    /// The worst of several, with what each of those as bad says.
    pub fn together(all: Vec<Self>) -> Self {
        let status = all.iter().map(|found| found.status).max().unwrap_or(ControlStatus::NotApplicable);
        let mut reasons: Vec<&str> = Vec::new();
        for found in all.iter().filter(|found| found.status == status) {
            if !reasons.contains(&found.reason.as_str()) {
                reasons.push(&found.reason);
            }
        }
        let reason = reasons.join("; ");
        Self { status, reason, events: all.iter().flat_map(|found| found.events.iter().copied()).collect() }
    }
}

/// The events of a release, findable by what they are about.
pub(super) struct Index<'a> {
    pub subject: &'a Subject<'a>,
    evidence: BTreeMap<Uuid, usize>,
    ids: BTreeMap<Uuid, usize>,
}

impl<'a> Index<'a> {
    fn new(subject: &'a Subject<'a>) -> Self {
        let mut evidence = BTreeMap::new();
        let mut ids = BTreeMap::new();
        for (index, fact) in subject.facts.iter().enumerate() {
            ids.insert(fact.id, index);
            if let ReleaseEvent::EvidenceRecorded(recorded) = &fact.event {
                evidence.insert(recorded.evidence, index);
            }
        }
        Self { subject, evidence, ids }
    }

    pub fn evidence(&self, id: Uuid) -> Option<usize> {
        self.evidence.get(&id).copied()
    }

    pub fn event(&self, id: Uuid) -> Option<usize> {
        self.ids.get(&id).copied()
    }

    /// Revisions are dense from 0, so they are indexes; a cut-off history has fewer.
    pub fn revision(&self, revision: u64) -> Option<usize> {
        usize::try_from(revision).ok().filter(|index| *index < self.subject.facts.len())
    }

    pub fn of(&self, wanted: impl Fn(&ReleaseEvent) -> bool) -> Vec<usize> {
        let all = self.subject.facts.iter().enumerate();
        all.filter(|(_, fact)| wanted(&fact.event)).map(|(index, _)| index).collect()
    }

    fn of_types(&self, types: &[&str]) -> Vec<usize> {
        self.of(|event| types.contains(&event.event_type()))
    }

    fn row(&self, proof: String, found: Found) -> ProofRow {
        let Found { status, reason, events } = found;
        let facts = events.iter().filter_map(|index| self.subject.facts.get(*index));
        let revisions: BTreeSet<u64> = facts.map(|fact| fact.revision).collect();
        ProofRow { proof, status, reason, revisions: revisions.into_iter().collect() }
    }
}

/// What the release shows for every control, in the mapping's order.
pub fn matrix(mapping: &ControlMapping, subject: &Subject<'_>) -> Vec<ControlRow> {
    let index = Index::new(subject);
    let refs: BTreeMap<u64, EventRef> =
        subject.facts.iter().map(|fact| (fact.revision, EventRef::of(fact))).collect();
    mapping.controls.iter().map(|control| row(control, &index, &refs)).collect()
}

fn row(control: &Control, index: &Index<'_>, refs: &BTreeMap<u64, EventRef>) -> ControlRow {
    let proofs: Vec<ProofRow> = control.proven_by.iter().flat_map(|proof| proofs(proof, index)).collect();
    let status = proofs.iter().map(|proof| proof.status).max().unwrap_or(ControlStatus::NotDemonstrated);
    let revisions: BTreeSet<u64> = proofs.iter().flat_map(|proof| proof.revisions.iter().copied()).collect();
    ControlRow {
        framework: control.framework.clone(),
        control: control.id.clone(),
        title: control.title.clone(),
        status,
        events: revisions.iter().filter_map(|revision| refs.get(revision).cloned()).collect(),
        proofs,
    }
}

fn proofs(proof: &Proof, index: &Index<'_>) -> Vec<ProofRow> {
    match proof {
        Proof::Items { items: keys } => keys
            .iter()
            .map(|key| {
                let item = index.subject.procedure.item_by_key(key.as_str());
                let label =
                    item.map_or_else(|| format!("item {key}"), |item| format!("item {} {key}", item.number));
                index.row(label, items::item(item, index))
            })
            .collect(),
        Proof::Gates { steps } => {
            steps.iter().map(|step| index.row(format!("gate {step}"), items::gate(*step, index))).collect()
        }
        Proof::Events { any_of } => {
            let types: Vec<&str> = any_of.iter().map(Line::as_str).collect();
            let events = index.of_types(&types);
            let found = match events.len() {
                0 if index.subject.release.has_ended() => Found::not_demonstrated("none was recorded"),
                0 => Found::not_demonstrated("none was recorded yet"),
                1 => Found::met("1 event"),
                count => Found::met(format!("{count} events")),
            };
            vec![index.row(format!("events {}", types.join(", ")), found.by(events))]
        }
        Proof::NoExceptions { kinds } => {
            let names: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
            vec![index.row(format!("no exceptions {}", names.join(", ")), items::exceptions(kinds, index))]
        }
        Proof::Check { check } => {
            vec![index.row(format!("check {}", check.as_str()), checks::found(*check, index))]
        }
        Proof::Retention { months_min } => {
            let months = index.subject.retention_months;
            let reason = format!("records are kept for {months} months, {months_min} are asked for");
            let found = if months >= *months_min { Found::met(reason) } else { Found::exception(reason) };
            vec![index.row(format!("retention {months_min} months"), found)]
        }
        Proof::Period { report } => {
            let found = Found::not_applicable("shown by a report for a period");
            vec![index.row(report.to_string(), found)]
        }
    }
}
