//! The report of one release: what happened from its first event to one position of the log, who did it, what it
//! rests on, what went another way, and how all of it is verified.
//!
//! It has shapes of its own, not those of the state: another field in a state must not change what was reported.
//! Whatever changes these bytes for events that are recorded already takes another [`SCHEMA`].

mod approvals;
mod candidates;
mod changes;
mod departures;
mod deployments;
mod integrity;
mod items;
mod summary;
mod timeline;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::Role;
use crate::event::{ChangeClass, Fact, ReleaseEvent, SettingsRef};
use crate::procedure::{Policy, Procedure, ProcedureRef};
use crate::release::{Exception, Release};
use crate::report::controls::{ControlMappingRef, ControlRow, PinnedMapping, Subject, matrix};
use crate::value::{ActorId, ItemNumber, Link, Name, Prose, ReleaseId, Sha256Hex, Version};
use crate::verdict::Row;

pub use approvals::*;
pub use candidates::*;
pub use changes::*;
pub use departures::*;
pub use deployments::*;
pub use integrity::*;
pub use items::*;
pub use summary::*;
pub use timeline::*;

/// The shape of a release's report, and how it is derived from events.
pub const SCHEMA: u32 = 1;

/// One event of the release, with what its header says beside the fact.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub fact: Fact<ReleaseEvent>,
    pub provenance: Provenance,
}

/// How an event came into the log, and the hashes that bind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Provenance {
    pub event_type: String,
    pub schema: u32,
    pub operation: String,
    pub authentication: Option<Authentication>,
    /// Who acted on the actor's behalf.
    pub via: Option<String>,
    pub causation: Option<Uuid>,
    /// The hash of the event's leaf in the tree.
    pub leaf: Sha256Hex,
    pub data_length: u64,
    pub data_sha256: Sha256Hex,
}

/// All that a report is made of.
pub struct Material<'a> {
    pub tenant: &'a str,
    pub stream: &'a str,
    /// The version that the release pinned.
    pub procedure: &'a Procedure,
    /// Which controls are looked at.
    pub controls: &'a PinnedMapping,
    /// How long records are kept, which no event of a release says.
    pub retention_months: u32,
    /// From the first event of the release on, in the order of the log; a command's events are all there or none.
    pub entries: &'a [Entry],
    /// Of the last entry.
    pub position: u64,
    /// The root of the log at the size that ends with this position.
    pub root: Sha256Hex,
    /// The RFC 6962 root over the leaves of the entries.
    pub stream_root: Sha256Hex,
}

shapes! {
    /// The compliance report of one release. Its canonical bytes depend on query, position and schema alone; people
    /// are named by the ids of their identity provider. What the log does not know is null.
    ReleaseReport {
        report: ReportKind,
        query: ReleaseQuery,
        /// Of the last event of the release that is included; later ones of other streams change nothing here.
        position: u64,
        /// When that event was recorded.
        as_of: Timestamp,
        summary: ReportSummary,
        header: ReportHeader,
        /// What went another way than the procedure says; what is open and grave comes first.
        #[cfg_attr(feature = "openapi", schema(max_items = 10_000))]
        exceptions: Vec<ReportedException>,
        #[cfg_attr(feature = "openapi", schema(max_items = 1_000))]
        items: Vec<ReportedItem>,
        #[cfg_attr(feature = "openapi", schema(max_items = 20))]
        gates: Vec<ReportedGate>,
        approvals: Approvals,
        #[cfg_attr(feature = "openapi", schema(max_items = 10_000))]
        candidates: Vec<ReportedCandidate>,
        changes: ChangesIncluded,
        deployments: ReportedDeployments,
        departures: Departures,
        /// What the release shows for each control of the mapping.
        #[cfg_attr(feature = "openapi", schema(max_items = 500))]
        controls: Vec<ControlRow>,
        #[cfg_attr(feature = "openapi", schema(max_items = 10_000))]
        timeline: Vec<TimelineRow>,
        integrity: Integrity,
    };

    /// Which report it is, and the version of its shape.
    ReportKind {
        #[cfg_attr(feature = "openapi", schema(max_length = 20))]
        kind: &'static str,
        schema: u32,
    };

    /// What was asked: everything outside of the release's own events that the report depends on.
    ReleaseQuery {
        #[cfg_attr(feature = "openapi", schema(max_length = 63))]
        tenant: String,
        #[cfg_attr(feature = "openapi", schema(value_type = ReleaseId))]
        release: String,
        control_mapping: ControlMappingRef,
        /// How long records are kept.
        retention_months: u32,
    };

    /// What was released, as it was opened and amended since.
    ReportHeader {
        product: Name,
        version: Version,
        class: ChangeClass,
        reason: Prose,
        procedure: ProcedureRef,
        /// Of the procedure; a product's settings may ask for more.
        policy: Policy,
        settings: SettingsRef,
        #[cfg_attr(feature = "openapi", schema(max_items = 20))]
        targets: Vec<Name>,
        opened_at: Timestamp,
        opened_by: ActorId,
        /// 1, and one more for each reopening.
        attempt: u32,
        last_revision: u64,
    } nullable {
        /// What ran in production before; null for a first release.
        previous: Version,
        security_impact: Prose,
        ticket: Link,
    };

    ReportedException {
        /// `{stream}:{kind}:{revision of the cause}`.
        #[cfg_attr(feature = "openapi", schema(max_length = 400))]
        id: String,
        #[cfg_attr(feature = "openapi", schema(max_length = 64))]
        kind: &'static str,
        #[cfg_attr(feature = "openapi", schema(max_length = 10))]
        severity: &'static str,
        /// The event that shows it.
        event: Uuid,
        revision: u64,
        at: Timestamp,
        by: ActorId,
        due_at: Timestamp,
        #[cfg_attr(feature = "openapi", schema(max_items = 5000))]
        rows: Vec<Row>,
    } nullable {
        item: ItemNumber,
        /// Who takes charge of it.
        owner: ActorId,
        disposed: ReportedDisposition,
    };

    ReportedDisposition {
        #[cfg_attr(feature = "openapi", schema(max_length = 20))]
        disposition: &'static str,
        reason: Prose,
        at: Timestamp,
        by: ActorId,
    } nullable { link: Link, };

    /// Who did it, by id, and in which roles at that time.
    ReportedActor {
        id: ActorId,
        #[cfg_attr(feature = "openapi", schema(max_length = 10))]
        kind: &'static str,
        #[cfg_attr(feature = "openapi", schema(max_items = 12))]
        roles: Vec<Role>,
    };
}

impl ReportedActor {
    fn of(by: &crate::Signatory) -> Self {
        Self { id: by.id.clone(), kind: by.kind.as_str(), roles: by.roles.clone() }
    }
}

/// What the parts are made of: the entries and what they add up to.
struct Story<'a> {
    material: &'a Material<'a>,
    release: &'a Release,
}

impl Story<'_> {
    /// Every event with what its header says.
    fn events(&self) -> impl Iterator<Item = (&Fact<ReleaseEvent>, &Provenance)> {
        self.material.entries.iter().map(|entry| (&entry.fact, &entry.provenance))
    }
}

/// `None` where the entries open no release.
pub fn report(material: &Material<'_>) -> Option<ReleaseReport> {
    let mut release = Release::default();
    let timeline = timeline::told(material, &mut release);
    let story = Story { material, release: &release };
    let opened = release.opened.as_ref()?;
    let last = &material.entries.last()?.fact;
    let approvals = approvals::of(&story);
    let deployments = deployments::of(&story);
    let items = items::of(&story);
    let summary = summary::of(&release, &items, &approvals, &deployments);
    let header = ReportHeader {
        product: opened.product.clone(),
        version: opened.version.clone(),
        class: opened.class,
        reason: opened.reason.clone(),
        procedure: opened.procedure.clone(),
        policy: material.procedure.policy,
        settings: opened.settings.clone(),
        targets: opened.targets.clone(),
        opened_at: release.opened_at?,
        opened_by: release.opened_by.as_ref()?.id.clone(),
        attempt: release.attempt,
        last_revision: last.revision,
        previous: opened.previous.clone(),
        security_impact: opened.security_impact.clone(),
        ticket: opened.ticket.clone(),
    };
    let id = ReleaseId::of(&opened.product, &opened.version).to_string();
    Some(ReleaseReport {
        report: ReportKind { kind: "release", schema: SCHEMA },
        query: ReleaseQuery {
            tenant: material.tenant.to_owned(),
            release: id,
            control_mapping: material.controls.reference.clone(),
            retention_months: material.retention_months,
        },
        position: material.position,
        as_of: last.recorded_at,
        summary,
        header,
        exceptions: exceptions(&story),
        items,
        gates: items::gates(&story),
        approvals,
        candidates: candidates::of(&story),
        changes: changes::of(&story),
        deployments,
        departures: departures::of(&story),
        controls: controls(&story),
        timeline,
        integrity: integrity::of(&story),
    })
}

fn controls(story: &Story<'_>) -> Vec<ControlRow> {
    let material = story.material;
    let facts: Vec<_> = material.entries.iter().map(|entry| &entry.fact).collect();
    let subject = Subject {
        release: story.release,
        procedure: material.procedure,
        facts: &facts,
        retention_months: material.retention_months,
    };
    matrix(&material.controls.mapping, &subject)
}

fn exceptions(story: &Story<'_>) -> Vec<ReportedException> {
    let mut shown: Vec<&Exception> = story.release.exceptions.iter().collect();
    shown.sort_by_key(|known| {
        (known.disposed.is_some(), std::cmp::Reverse(known.severity), known.revision, known.kind)
    });
    let event = |revision: u64| {
        let entry = usize::try_from(revision).ok().and_then(|at| story.material.entries.get(at));
        entry.map_or(Uuid::nil(), |entry| entry.fact.id)
    };
    let one = |known: &Exception| ReportedException {
        id: known.id(story.material.stream),
        kind: known.kind.as_str(),
        severity: known.severity.as_str(),
        event: event(known.revision),
        revision: known.revision,
        at: known.at,
        by: known.by.clone(),
        due_at: known.due_at,
        rows: known.rows.clone(),
        item: known.item,
        owner: known.owner.clone(),
        disposed: known.disposed.as_ref().map(|disposed| ReportedDisposition {
            disposition: disposed.disposition.as_str(),
            reason: disposed.reason.clone(),
            at: disposed.at,
            by: disposed.by.clone(),
            link: disposed.link.clone(),
        }),
    };
    shown.into_iter().map(one).collect()
}
