//! What the period's report reads of one release: its starts and rollbacks in production with the five answers, each
//! by what was recorded up to the start, and how often each item of its procedure operated.

use std::collections::BTreeMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Answer, Answered, ChangeException, ChangeRelease, LateApproval, Sheet, UndeployedRelease, WaivedItem,
};
use crate::actor::{ActorKind, Role};
use crate::aggregate::Aggregate;
use crate::event::{DeploymentStarted, EnvironmentPurpose, Fact, Interval, Meaning, Outcome, ReleaseEvent};
use crate::procedure::Procedure;
use crate::release::{ExceptionKind, ItemStatus, Release, same_artifacts};
use crate::value::{ActorId, Digest, GitSha, ItemNumber, Line, Name, ReleaseId};
use crate::verdict::{Cause, Row};

/// Items that show that the version was tested, by their keys in the built-in procedures.
const TESTING: [&str; 8] = [
    "ci-passing",
    "e2e-tests-passing",
    "integration-tests-passing",
    "smoke-tests-completed",
    "new-features-tested",
    "edge-cases-tested",
    "performance-check",
    "bugs-fixed-and-retagged",
];

/// An event of a release, and where it is in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    pub position: u64,
    pub fact: Fact<ReleaseEvent>,
}

/// Everything that the report says of one release.
#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseRecord {
    pub release: ReleaseId,
    pub product: Name,
    /// The position of the event that opened it.
    pub opened: u64,
    opened_at: Timestamp,
    /// Without what belongs to one deployment.
    standing: ChangeRelease,
    starts: Vec<Shown>,
    rollbacks: Vec<Shown>,
    /// How each deployment or rollback stood at the position.
    states: BTreeMap<Uuid, (Option<&'static str>, Option<LateApproval>)>,
    /// The event that completed each rollback.
    completed: BTreeMap<Uuid, Uuid>,
    pub operations: Vec<ItemOperation>,
    /// Events of the period whose source's clock ran ahead.
    pub clock_skews: u64,
    pub waived_in_period: u64,
}

/// A deployment or a rollback, by its id.
#[derive(Debug, Clone, PartialEq)]
struct Shown {
    id: Uuid,
    deployment: Uuid,
    sheet: Sheet,
    version: Option<Line>,
    commit_sha: Option<GitSha>,
    digests: Vec<Digest>,
    by: ActorId,
    candidate: Option<u32>,
    waived: Vec<WaivedItem>,
    lead_s: Option<i64>,
    authorization: Option<Uuid>,
}

/// How often one item was judged or signed in the period.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ItemOperation {
    pub procedure: Name,
    pub item: ItemNumber,
    pub key: Name,
    pub operated: u64,
    pub failed: u64,
    pub waived: u64,
    pub not_applicable: u64,
    pub manual_fallback: u64,
}

/// What the report tells of one change of a release.
pub struct OfRelease {
    pub sheet: Sheet,
    pub release: ChangeRelease,
    pub version: Option<Line>,
    pub commit_sha: Option<GitSha>,
    pub digests: Vec<Digest>,
}

/// `None` where the entries open no release. They are all of the release up to the report's position.
pub fn record(
    stream: &str,
    entries: &[Placed],
    procedure: &Procedure,
    period: Interval,
) -> Option<ReleaseRecord> {
    let mut folding = Folding {
        procedure,
        period,
        state: Release::default(),
        positions: Vec::with_capacity(entries.len()),
        grants: BTreeMap::new(),
        starts: Vec::new(),
        rollbacks: Vec::new(),
        completed: BTreeMap::new(),
        operations: BTreeMap::new(),
        waived_in_period: 0,
    };
    for entry in entries {
        folding.take(entry);
    }
    folding.finish(stream, entries)
}

struct Folding<'a> {
    procedure: &'a Procedure,
    period: Interval,
    /// Before the event that is being taken.
    state: Release,
    /// Of each revision.
    positions: Vec<u64>,
    /// Signatures of each request, with what was read of the approver.
    grants: BTreeMap<Uuid, Vec<Signed>>,
    starts: Vec<Shown>,
    rollbacks: Vec<Shown>,
    completed: BTreeMap<Uuid, Uuid>,
    operations: BTreeMap<ItemNumber, ItemOperation>,
    waived_in_period: u64,
}

#[derive(Debug, Clone)]
struct Signed {
    position: u64,
    at: Timestamp,
    by: ActorId,
    is_approver: bool,
    counts: bool,
    effective: bool,
    independence: Vec<Row>,
}

impl Folding<'_> {
    fn take(&mut self, entry: &Placed) {
        let Placed { position, fact } = entry;
        self.positions.push(*position);
        match &fact.event {
            ReleaseEvent::ApprovalGranted(granted) => {
                self.grants.entry(granted.request).or_default().push(Signed {
                    position: *position,
                    at: fact.recorded_at,
                    by: fact.by.id.clone(),
                    is_approver: fact.by.roles.contains(&Role::Approver),
                    counts: granted.meaning == Meaning::Approved,
                    effective: granted.effective,
                    independence: granted.independence.clone(),
                });
            }
            ReleaseEvent::DeploymentStarted(started) if started.purpose == EnvironmentPurpose::Production => {
                let shown = self.started(entry, started);
                self.starts.push(shown);
            }
            ReleaseEvent::RollbackStarted(started) => {
                let reason = Answer::new(Answered::Pass, vec![*position], "the reason is in the rollback");
                let asked = |note: &str| Answer::new(Answered::NotAsked, Vec::new(), note);
                self.rollbacks.push(Shown {
                    id: started.rollback,
                    deployment: started.deployment,
                    sheet: Sheet {
                        request_and_reason: reason,
                        approved_before_start: asked("going back needs no approval"),
                        tested_version: asked("it goes back to what ran before"),
                        duties_segregated: asked("whoever sees the fault goes back"),
                        deployed_as_approved: asked("it goes back to what ran before"),
                    },
                    version: started.to.as_ref().and_then(|to| Line::new(to.as_str()).ok()),
                    commit_sha: None,
                    digests: Vec::new(),
                    by: fact.by.id.clone(),
                    candidate: started.candidate,
                    waived: Vec::new(),
                    lead_s: None,
                    authorization: None,
                });
            }
            ReleaseEvent::RollbackCompleted(done) => {
                self.completed.insert(done.rollback, fact.id);
            }
            _ => {}
        }
        if self.period.contains(super::super::fact::at(fact)) {
            self.operated(fact);
        }
        self.state.evolve(fact);
    }

    /// The state is what it was before the start.
    fn started(&self, entry: &Placed, started: &DeploymentStarted) -> Shown {
        let by = &entry.fact.by.id;
        let (approval, lead_s) = self.approval(entry, started);
        let waived = self.state.items.iter();
        let waived = waived.filter(|(_, state)| matches!(state.status, ItemStatus::Waived { .. }));
        let waived = waived.map(|(item, state)| WaivedItem {
            item: *item,
            event: state.changed_at_revision.map_or(0, |revision| self.position(revision)),
        });
        let version = self.state.candidate(started.candidate).map(|candidate| candidate.tag.as_str());
        Shown {
            id: started.deployment,
            deployment: started.deployment,
            sheet: Sheet {
                request_and_reason: self.request(),
                approved_before_start: approval,
                tested_version: self.testing(started),
                duties_segregated: self.duties(entry, started),
                deployed_as_approved: self.artifact(entry, started),
            },
            version: version.and_then(|tag| Line::new(tag).ok()),
            commit_sha: Some(started.commit_sha.clone()),
            digests: started.artifacts.iter().map(|artifact| artifact.digest.clone()).collect(),
            by: by.clone(),
            candidate: Some(started.candidate),
            waived: waived.collect(),
            lead_s,
            authorization: started.authorization,
        }
    }

    fn position(&self, revision: u64) -> u64 {
        usize::try_from(revision).ok().and_then(|at| self.positions.get(at)).copied().unwrap_or(0)
    }

    fn request(&self) -> Answer {
        let by = self.state.opened_by.as_ref().map_or_else(String::new, |by| by.id.to_string());
        Answer::new(Answered::Pass, vec![self.position(0)], format!("opened by {by}"))
    }

    /// Before and after are told by places in the log, never by anybody's clock.
    fn approval(&self, entry: &Placed, started: &DeploymentStarted) -> (Answer, Option<i64>) {
        let given = started.authorization.and_then(|id| self.state.authorization(id));
        let Some(given) = given else {
            return (
                Answer::new(Answered::Fail, vec![entry.position], "started without authorization"),
                None,
            );
        };
        if let Some(used) = &given.break_glass {
            let note = format!("one person authorized it for {}, without an approval", used.incident);
            return (Answer::new(Answered::Fail, vec![entry.position], note), None);
        }
        let Some(request) = given.request else {
            return (Answer::new(Answered::Fail, vec![entry.position], "no approval is named"), None);
        };
        let approval = self.state.approvals.iter().find(|approval| approval.request == request);
        if let Some(reference) = approval.and_then(|approval| approval.standing.as_ref()) {
            let note = format!("standing approval {reference}");
            return (Answer::new(Answered::Pass, vec![entry.position], note), None);
        }
        let none = Vec::new();
        let signed = self.grants.get(&request).unwrap_or(&none);
        let counting: Vec<_> = signed.iter().filter(|one| one.counts).collect();
        let quorum = approval.map_or(1, |approval| approval.quorum);
        let lead = counting.iter().find(|one| one.effective);
        let lead_s = lead.map(|one| entry.fact.recorded_at.duration_since(one.at).as_secs());
        let mut events: Vec<_> = counting.iter().map(|one| one.position).collect();
        events.push(entry.position);
        let (answer, note) = if lead.is_none() || (counting.len() as u64) < u64::from(quorum) {
            (Answered::Fail, format!("{} of {quorum} approvals", counting.len()))
        } else if let Some(other) = counting.iter().find(|one| !one.is_approver) {
            (Answered::Fail, format!("{} signed without the role of an approver", other.by))
        } else {
            let (answer, note) = independent(&counting);
            (answer, format!("{} of {quorum} approvals; {note}", counting.len()))
        };
        (Answer::new(answer, events, note), lead_s)
    }

    fn testing(&self, started: &DeploymentStarted) -> Answer {
        let mut events = Vec::new();
        let mut open = Vec::new();
        let mut asked = 0;
        for item in self.procedure.items().filter(|item| TESTING.contains(&item.key.as_str())) {
            asked += 1;
            let state = self.state.items.get(&item.number);
            let at =
                state.and_then(|state| state.changed_at_revision).map(|revision| self.position(revision));
            let of_another = |candidate: Option<u32>| candidate.is_some_and(|of| of != started.candidate);
            match state.map(|state| &state.status) {
                Some(ItemStatus::Satisfied { candidate, .. }) if !of_another(*candidate) => events.extend(at),
                Some(ItemStatus::NotApplicable { .. }) => events.extend(at),
                Some(ItemStatus::Waived { .. }) => {
                    events.extend(at);
                    open.push(format!("{} waived", item.number));
                }
                other => {
                    let status = other.map_or("pending", ItemStatus::as_str);
                    open.push(format!("{} {status}", item.number));
                }
            }
        }
        match (asked, open.is_empty()) {
            (0, _) => {
                let note = "the procedure names no item that is known to be about testing";
                Answer::new(Answered::NotEstablished, events, note)
            }
            (_, true) => {
                Answer::new(Answered::Pass, events, format!("{asked} items closed before the start"))
            }
            (_, false) => Answer::new(Answered::Fail, events, open.join(", ")),
        }
    }

    fn duties(&self, entry: &Placed, started: &DeploymentStarted) -> Answer {
        let given = started.authorization.and_then(|id| self.state.authorization(id));
        let none = Vec::new();
        let signed = given.and_then(|given| given.request).and_then(|request| self.grants.get(&request));
        let counting: Vec<_> = signed.unwrap_or(&none).iter().filter(|one| one.counts).collect();
        let candidate = self.state.candidate(started.candidate);
        let mut events: Vec<_> = counting.iter().map(|one| one.position).collect();
        events.extend(candidate.map(|candidate| self.position(candidate.tagged_at_revision)));
        events.push(entry.position);
        let deployer = &entry.fact.by;
        let standing = given.and_then(|given| given.request).is_some_and(|request| {
            self.state.approvals.iter().any(|one| one.request == request && one.standing.is_some())
        });
        let (answer, note) = if let Some(both) = counting.iter().find(|one| one.by == deployer.id) {
            (Answered::Fail, format!("{} approved and deployed", both.by))
        } else if deployer.kind == ActorKind::Person
            && candidate.is_some_and(|candidate| candidate.tagged_by == deployer.id)
        {
            (Answered::Fail, format!("{} tagged and deployed", deployer.id))
        } else if counting.is_empty() && !standing {
            (Answered::Fail, "nobody approved it before the start".to_owned())
        } else {
            match independent(&counting) {
                (Answered::Pass, _) if deployer.kind == ActorKind::Person => {
                    let note = format!(
                        "approvers wrote no commit of it; whether {} did is not recorded",
                        deployer.id
                    );
                    (Answered::NotEstablished, note)
                }
                (Answered::Pass, _) => {
                    (Answered::Pass, "approvers wrote no commit of it; a machine deployed".to_owned())
                }
                other => other,
            }
        };
        Answer::new(answer, events, note)
    }

    fn artifact(&self, entry: &Placed, started: &DeploymentStarted) -> Answer {
        let candidate = self.state.candidate(started.candidate);
        let given = started.authorization.and_then(|id| self.state.authorization(id));
        let mut events: Vec<_> =
            candidate.map(|candidate| self.position(candidate.tagged_at_revision)).into_iter().collect();
        events.push(entry.position);
        let of_candidate = candidate.is_some_and(|candidate| {
            candidate.commit_sha == started.commit_sha
                && same_artifacts(&candidate.artifacts, &started.artifacts)
        });
        let of_authorization = given.is_some_and(|given| {
            given.candidate == started.candidate && same_artifacts(&given.artifacts, &started.artifacts)
        });
        let digests = started.artifacts.len();
        let (answer, note) = match (given.is_some(), of_candidate && of_authorization) {
            (false, _) => (Answered::Fail, "nothing was authorized".to_owned()),
            (true, false) => (Answered::Fail, "other digests than those that were authorized".to_owned()),
            (true, true) if digests == 0 => (Answered::NotEstablished, "no digest is recorded".to_owned()),
            (true, true) => (Answered::Pass, format!("{digests} digests as tagged, authorized and started")),
        };
        Answer::new(answer, events, note)
    }

    fn operated(&mut self, fact: &Fact<ReleaseEvent>) {
        let (number, change): (_, fn(&mut ItemOperation)) = match &fact.event {
            ReleaseEvent::ItemJudged(judged) if judged.verdict.satisfied => {
                (judged.item, |one| one.operated += 1)
            }
            ReleaseEvent::ItemJudged(judged) => (judged.item, |one| {
                one.operated += 1;
                one.failed += 1;
            }),
            ReleaseEvent::ItemAttested(attested) if attested.manual_fallback.is_some() => {
                (attested.item, |one| {
                    one.operated += 1;
                    one.manual_fallback += 1;
                })
            }
            ReleaseEvent::ItemAttested(attested) => (attested.item, |one| one.operated += 1),
            ReleaseEvent::ItemReaffirmed(reaffirmed) => (reaffirmed.item, |one| one.operated += 1),
            ReleaseEvent::ItemMarkedNotApplicable(marked) => (marked.item, |one| one.not_applicable += 1),
            ReleaseEvent::ItemWaiverGranted(granted) if granted.effective => {
                self.waived_in_period += 1;
                (granted.item, |one| one.waived += 1)
            }
            _ => return,
        };
        let Some(item) = self.procedure.item(number) else { return };
        let one = self.operations.entry(number).or_insert_with(|| ItemOperation {
            procedure: self.procedure.name.clone(),
            item: number,
            key: item.key.clone(),
            operated: 0,
            failed: 0,
            waived: 0,
            not_applicable: 0,
            manual_fallback: 0,
        });
        change(one);
    }

    fn finish(self, stream: &str, entries: &[Placed]) -> Option<ReleaseRecord> {
        let state = &self.state;
        let opened = state.opened.as_ref()?;
        let release = ReleaseId::of(&opened.product, &opened.version);
        let skewed =
            |kind: ExceptionKind, at: Timestamp| kind == ExceptionKind::ClockSkew && self.period.contains(at);
        let skews = state.exceptions.iter().filter(|one| skewed(one.kind, one.at)).count();
        Some(
            ReleaseRecord {
                product: opened.product.clone(),
                opened: entries.first()?.position,
                opened_at: state.opened_at?,
                standing: ChangeRelease {
                    release: release.clone(),
                    class: opened.class,
                    last_event: entries.last()?.position,
                    life: state.life.as_str(),
                    reason: opened.reason.clone(),
                    procedure: opened.procedure.name.to_string(),
                    procedure_version: opened.procedure.version,
                    waived: Vec::new(),
                    exceptions: state
                        .exceptions
                        .iter()
                        .map(|one| ChangeException {
                            id: one.id(stream),
                            severity: one.severity.as_str(),
                            open: one.disposed.is_none(),
                        })
                        .collect(),
                    outcome: state.outcome.map(Outcome::as_str),
                    deployment: None,
                    deployment_state: None,
                    deployed_by: None,
                    candidate: None,
                    approval_lead_s: None,
                    approval_after_start: None,
                },
                starts: self.starts.into_iter().map(|shown| patched(shown, state)).collect(),
                rollbacks: self.rollbacks.into_iter().map(|shown| patched(shown, state)).collect(),
                states: BTreeMap::new(),
                completed: self.completed,
                operations: self.operations.into_values().collect(),
                clock_skews: skews as u64,
                waived_in_period: self.waived_in_period,
                release,
            }
            .with_states(state),
        )
    }
}

/// What came after the start does not change the answers, only their notes.
fn patched(mut shown: Shown, state: &Release) -> Shown {
    let used = shown.authorization.and_then(|id| state.authorization(id)?.break_glass.as_ref());
    if let Some(after) = used.and_then(|used| used.approved_after_start.as_ref()) {
        let note = &mut shown.sheet.approved_before_start.note;
        note.push_str(&format!("; {} approved it after the start", after.by));
    }
    shown
}

/// The worst of what was read of the approvers.
fn independent(signed: &[&Signed]) -> (Answered, String) {
    let rows = || signed.iter().flat_map(|one| one.independence.iter().map(move |row| (one, row)));
    if let Some((one, row)) = rows().find(|(_, row)| !row.ok && row.cause != Some(Cause::Absent)) {
        return (Answered::Fail, format!("{} is not independent of {}", one.by, row.observed));
    }
    if let Some((one, row)) = rows().find(|(_, row)| !row.ok) {
        return (Answered::NotEstablished, format!("{}: {}", one.by, row.observed));
    }
    (Answered::Pass, "independent of who asked, tagged and wrote it".to_owned())
}

impl ReleaseRecord {
    fn with_states(mut self, state: &Release) -> Self {
        let at = |shown: &Shown| -> (Option<&'static str>, Option<LateApproval>) {
            let deployment = state.deployment(shown.deployment);
            let used = deployment.and_then(|deployment| state.break_glass_of(deployment));
            let late = used.map(|used| {
                let approved = used.approved_after_start.as_ref();
                LateApproval {
                    due_at: used.approval_due_at,
                    in_time: approved.is_some_and(|approved| approved.at <= used.approval_due_at),
                    at: approved.map(|approved| approved.at),
                    by: approved.map(|approved| approved.by.clone()),
                }
            });
            (deployment.map(|deployment| deployment.status.as_str()), late)
        };
        self.states = self.starts.iter().chain(&self.rollbacks).map(|shown| (shown.id, at(shown))).collect();
        self
    }

    /// A deployment to production that was started.
    pub fn of_start(&self, deployment: Uuid) -> Option<OfRelease> {
        self.starts.iter().find(|shown| shown.id == deployment).map(|shown| self.of(shown))
    }

    pub fn of_rollback(&self, rollback: Uuid) -> Option<OfRelease> {
        self.rollbacks.iter().find(|shown| shown.id == rollback).map(|shown| self.of(shown))
    }

    /// Of something that the release did not put there.
    pub fn of_orphan(&self) -> ChangeRelease {
        self.standing.clone()
    }

    pub fn completion(&self, rollback: Uuid) -> Option<Uuid> {
        self.completed.get(&rollback).copied()
    }

    fn of(&self, shown: &Shown) -> OfRelease {
        let (state, late) = self.states.get(&shown.id).cloned().unwrap_or_default();
        OfRelease {
            sheet: shown.sheet.clone(),
            release: ChangeRelease {
                waived: shown.waived.clone(),
                deployment: Some(shown.deployment),
                deployment_state: state,
                deployed_by: Some(shown.by.clone()),
                candidate: shown.candidate,
                approval_lead_s: shown.lead_s,
                approval_after_start: late,
                ..self.standing.clone()
            },
            version: shown.version.clone(),
            commit_sha: shown.commit_sha.clone(),
            digests: shown.digests.clone(),
        }
    }

    pub fn undeployed(&self) -> UndeployedRelease {
        UndeployedRelease {
            release: self.release.clone(),
            product: self.product.clone(),
            opened: self.opened,
            opened_at: self.opened_at,
            class: self.standing.class,
            life: self.standing.life,
            outcome: self.standing.outcome,
        }
    }
}
