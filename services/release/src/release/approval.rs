//! The window, the approvals bound to it, the roll-call, and the authorization to deploy.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{Deployment, Release};
use crate::actor::Role;
use crate::event::{
    Answer, ChangeClass, Fact, Interval, Meaning, ReleaseEvent, RevocationCause, RollCallAmended,
    RollCallAnswered, Signatory,
};
use crate::evidence::Artifact;
use crate::value::{ActorId, ItemNumber, Line, Prose, Sha256Hex};
use crate::verdict::Row;

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Window {
    #[serde(flatten)]
    pub span: Interval,
    pub set_at: Timestamp,
    pub set_by: ActorId,
    /// The event that set it.
    #[serde(skip)]
    pub set_in: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Approval {
    pub request: Uuid,
    pub candidate: u32,
    pub window: Interval,
    pub class: ChangeClass,
    pub quorum: u32,
    /// The hash of the rows that are approved, and the rows.
    pub basis: Sha256Hex,
    #[cfg_attr(feature = "openapi", schema(max_items = 5000))]
    pub rows: Vec<Row>,
    pub requested_by: ActorId,
    pub requested_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<Prose>,
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub grants: Vec<ApprovalGrant>,
    /// The standing approval that covers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standing: Option<Line>,
    #[serde(flatten)]
    pub status: ApprovalStatus,
}

impl Approval {
    /// Asked for or given, and neither used nor ended.
    pub fn is_live(&self) -> bool {
        matches!(self.status, ApprovalStatus::Requested | ApprovalStatus::Granted { .. })
    }

    /// Who approved it; who reviewed or verified it is not among them.
    pub fn approvers(&self) -> impl Iterator<Item = &ActorId> {
        self.grants.iter().filter(|grant| grant.meaning == Meaning::Approved).map(|grant| &grant.by.id)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovalGrant {
    pub by: Signatory,
    pub at: Timestamp,
    pub meaning: Meaning,
    /// What was read to tell that the approver is independent.
    #[cfg_attr(feature = "openapi", schema(max_items = 5000))]
    pub independence: Vec<Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<Prose>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_in_s_ago: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum ApprovalStatus {
    Requested,
    Granted { at: Timestamp },
    Rejected { at: Timestamp, by: ActorId, reason: Prose },
    Withdrawn { at: Timestamp, by: ActorId, reason: Prose },
    Revoked { at: Timestamp, cause: RevocationCause },
    Consumed { at: Timestamp, deployment: Uuid },
    Expired { at: Timestamp },
}

impl ApprovalStatus {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Granted { .. } => "granted",
            Self::Rejected { .. } => "rejected",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Revoked { .. } => "revoked",
            Self::Consumed { .. } => "consumed",
            Self::Expired { .. } => "expired",
        }
    }
}

/// One person's answer in one role, for one candidate and window.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RollCallEntry {
    /// The id of the answer.
    pub entry: Uuid,
    pub role: Role,
    pub by: ActorId,
    pub at: Timestamp,
    pub answer: Answer,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Prose>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Interval>,
    /// It was no answer in that role.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
    /// The last correction; what was recorded before it is in the history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amended: Option<Amendment>,
}

/// Who corrected what was recorded, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Amendment {
    pub at: Timestamp,
    pub by: ActorId,
    pub why: Prose,
}

impl Amendment {
    pub(super) fn of(fact: &Fact<ReleaseEvent>, why: &Prose) -> Self {
        Self { at: fact.recorded_at, by: fact.by.id.clone(), why: why.clone() }
    }
}

/// One start of a deployment to production.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Authorization {
    pub authorization: Uuid,
    /// The approval it rests on; absent when it was given by break-glass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlassUse>,
    pub candidate: u32,
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    pub artifacts: Vec<Artifact>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline_digest: Option<Sha256Hex>,
    pub basis: Sha256Hex,
    pub authorized_by: ActorId,
    pub authorized_at: Timestamp,
    pub expires_at: Timestamp,
    #[serde(flatten)]
    pub status: AuthorizationStatus,
}

/// How production was authorized without an approval, and what became of that.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BreakGlassUse {
    pub incident: Line,
    pub reason: Prose,
    /// Items that it should have rested on and that were open.
    #[cfg_attr(feature = "openapi", schema(max_items = 20))]
    pub missing: Vec<ItemNumber>,
    pub approval_due_at: Timestamp,
    /// Nobody approved it until then.
    pub overdue: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_after_start: Option<ApprovalAfterStart>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovalAfterStart {
    pub by: ActorId,
    pub at: Timestamp,
    #[cfg_attr(feature = "openapi", schema(max_items = 5000))]
    pub independence: Vec<Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<Prose>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_in_s_ago: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum AuthorizationStatus {
    Live,
    Consumed { at: Timestamp, deployment: Uuid },
    Revoked { at: Timestamp, cause: RevocationCause },
    Expired { at: Timestamp },
}

impl AuthorizationStatus {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Consumed { .. } => "consumed",
            Self::Revoked { .. } => "revoked",
            Self::Expired { .. } => "expired",
        }
    }
}

impl Release {
    /// The window that was set and has not ended.
    pub fn open_window(&self) -> Option<Interval> {
        self.window.as_ref().filter(|window| window.closed_at.is_none()).map(|window| window.span)
    }

    /// The one request that is neither used nor ended.
    pub fn live_approval(&self) -> Option<&Approval> {
        self.approvals.iter().rev().find(|approval| approval.is_live())
    }

    pub fn approval(&self, request: Uuid) -> Option<&Approval> {
        self.approvals.iter().find(|approval| approval.request == request)
    }

    pub fn live_authorization(&self) -> Option<&Authorization> {
        self.authorizations.iter().rev().find(|given| given.status == AuthorizationStatus::Live)
    }

    pub fn authorization(&self, id: Uuid) -> Option<&Authorization> {
        self.authorizations.iter().find(|given| given.authorization == id)
    }

    fn break_glass_mut(&mut self, id: Uuid) -> Option<&mut BreakGlassUse> {
        self.authorizations.iter_mut().find(|given| given.authorization == id)?.break_glass.as_mut()
    }

    /// How the deployment was authorized, when that was by break-glass.
    pub fn break_glass_of(&self, deployment: &Deployment) -> Option<&BreakGlassUse> {
        self.authorization(deployment.authorization?)?.break_glass.as_ref()
    }

    /// What is in production was started by break-glass, and approved since.
    pub fn approved_after_start(&self) -> bool {
        let used = self.in_production().and_then(|deployment| self.break_glass_of(deployment));
        used.is_some_and(|used| used.approved_after_start.is_some())
    }

    /// The answers that count: for the current candidate and the open window.
    pub fn answers(&self) -> impl Iterator<Item = &RollCallEntry> {
        let candidate = self.current_candidate().map(|candidate| candidate.number);
        let window = self.open_window();
        let counts = move |entry: &&RollCallEntry| entry.candidate == candidate && entry.window == window;
        self.roll_call.iter().filter(|entry| !entry.withdrawn).filter(counts)
    }

    fn answered(&mut self, fact: &Fact<ReleaseEvent>, answered: &RollCallAnswered) {
        self.roll_call.retain(|entry| entry.role != answered.role || entry.by != fact.by.id);
        self.roll_call.push(RollCallEntry {
            entry: fact.id,
            role: answered.role,
            by: fact.by.id.clone(),
            at: fact.recorded_at,
            answer: answered.answer,
            reason: answered.reason.clone(),
            candidate: answered.candidate,
            window: answered.window,
            withdrawn: false,
            amended: None,
        });
    }

    fn answer_amended(&mut self, fact: &Fact<ReleaseEvent>, amended: &RollCallAmended) {
        if let Some(entry) = self.roll_call.iter_mut().find(|entry| entry.entry == amended.entry) {
            entry.answer = amended.answer.unwrap_or(entry.answer);
            entry.withdrawn = amended.answer.is_none();
            entry.amended = Some(Amendment::of(fact, &amended.why));
        }
    }

    fn end_authorization(&mut self, id: Uuid, status: AuthorizationStatus) {
        if let Some(given) = self.authorizations.iter_mut().find(|given| given.authorization == id) {
            given.status = status;
        }
    }

    pub(super) fn consume_authorization(&mut self, id: Uuid, at: Timestamp, deployment: Uuid) {
        self.end_authorization(id, AuthorizationStatus::Consumed { at, deployment });
    }

    pub(super) fn copy_go(&mut self, fact: &Fact<ReleaseEvent>) {
        let at = fact.recorded_at;
        match &fact.event {
            ReleaseEvent::WindowSet(set) => {
                self.window = Some(Window {
                    span: set.window,
                    set_at: at,
                    set_by: fact.by.id.clone(),
                    set_in: fact.id,
                    closed_at: None,
                });
            }
            ReleaseEvent::WindowClosed(_) => {
                if let Some(window) = &mut self.window {
                    window.closed_at = Some(at);
                }
            }
            ReleaseEvent::RollCallAnswered(answered) => self.answered(fact, answered),
            ReleaseEvent::RollCallAmended(amended) => self.answer_amended(fact, amended),
            ReleaseEvent::ProductionAuthorized(given) => self.authorizations.push(Authorization {
                authorization: given.authorization,
                request: Some(given.request),
                break_glass: None,
                candidate: given.candidate,
                artifacts: given.artifacts.clone(),
                pipeline_digest: given.pipeline_digest.clone(),
                basis: given.basis.clone(),
                authorized_by: fact.by.id.clone(),
                authorized_at: at,
                expires_at: given.expires_at,
                status: AuthorizationStatus::Live,
            }),
            ReleaseEvent::BreakGlassAuthorized(given) => {
                let open = given.verdict.rows.iter().filter(|row| !row.ok);
                let missing = open.filter_map(|row| ItemNumber::new(row.input.strip_prefix("item/")?).ok());
                self.authorizations.push(Authorization {
                    authorization: given.authorization,
                    request: None,
                    break_glass: Some(BreakGlassUse {
                        incident: given.incident.clone(),
                        reason: given.reason.clone(),
                        missing: missing.collect(),
                        approval_due_at: given.approval_due_at,
                        overdue: false,
                        approved_after_start: None,
                    }),
                    candidate: given.candidate,
                    artifacts: given.artifacts.clone(),
                    pipeline_digest: given.pipeline_digest.clone(),
                    basis: given.basis.clone(),
                    authorized_by: fact.by.id.clone(),
                    authorized_at: at,
                    expires_at: given.expires_at,
                    status: AuthorizationStatus::Live,
                });
            }
            ReleaseEvent::ApprovedAfterStart(approved) => {
                if let Some(used) = self.break_glass_mut(approved.authorization) {
                    used.approved_after_start = Some(ApprovalAfterStart {
                        by: fact.by.id.clone(),
                        at,
                        independence: approved.independence.clone(),
                        comment: approved.comment.clone(),
                        signed_in_s_ago: approved.signed_in_s_ago,
                    });
                }
            }
            ReleaseEvent::ApprovalOverdue(overdue) => {
                if let Some(used) = self.break_glass_mut(overdue.authorization) {
                    used.overdue = true;
                }
            }
            ReleaseEvent::AuthorizationRevoked(revoked) => {
                let status = AuthorizationStatus::Revoked { at, cause: revoked.cause };
                self.end_authorization(revoked.authorization, status);
            }
            ReleaseEvent::AuthorizationExpired(expired) => {
                self.end_authorization(expired.authorization, AuthorizationStatus::Expired { at });
            }
            _ => {}
        }
    }

    fn end_approval(&mut self, request: Uuid, status: ApprovalStatus) {
        if let Some(approval) = self.approvals.iter_mut().find(|approval| approval.request == request) {
            approval.status = status;
        }
    }

    pub(super) fn copy_approval(&mut self, fact: &Fact<ReleaseEvent>) {
        let at = fact.recorded_at;
        let by = || fact.by.id.clone();
        match &fact.event {
            ReleaseEvent::ApprovalRequested(requested) => self.approvals.push(Approval {
                request: requested.request,
                candidate: requested.candidate,
                window: requested.window,
                class: requested.class,
                quorum: requested.quorum,
                basis: requested.basis.clone(),
                rows: requested.rows.clone(),
                requested_by: by(),
                requested_at: at,
                note: requested.note.clone(),
                grants: Vec::new(),
                standing: None,
                status: ApprovalStatus::Requested,
            }),
            ReleaseEvent::ApprovalGranted(granted) => {
                if let Some(approval) = self.approvals.iter_mut().find(|a| a.request == granted.request) {
                    approval.grants.push(ApprovalGrant {
                        by: fact.by.clone(),
                        at,
                        meaning: granted.meaning,
                        independence: granted.independence.clone(),
                        comment: granted.comment.clone(),
                        signed_in_s_ago: granted.signed_in_s_ago,
                    });
                    if granted.effective {
                        approval.status = ApprovalStatus::Granted { at };
                    }
                }
            }
            ReleaseEvent::StandingApprovalApplied(applied) => {
                if let Some(approval) = self.approvals.iter_mut().find(|a| a.request == applied.request) {
                    approval.standing = Some(applied.reference.clone());
                    approval.status = ApprovalStatus::Granted { at };
                }
            }
            ReleaseEvent::ApprovalRejected(rejected) => {
                let reason = rejected.reason.clone();
                self.end_approval(rejected.request, ApprovalStatus::Rejected { at, by: by(), reason });
            }
            ReleaseEvent::ApprovalWithdrawn(withdrawn) => {
                let reason = withdrawn.reason.clone();
                self.end_approval(withdrawn.request, ApprovalStatus::Withdrawn { at, by: by(), reason });
            }
            ReleaseEvent::ApprovalRevoked(revoked) => {
                self.end_approval(revoked.request, ApprovalStatus::Revoked { at, cause: revoked.cause });
                self.reopen(&revoked.reopened, fact.revision);
            }
            ReleaseEvent::ApprovalConsumed(consumed) => {
                let deployment = consumed.deployment;
                self.end_approval(consumed.request, ApprovalStatus::Consumed { at, deployment });
            }
            ReleaseEvent::ApprovalExpired(expired) => {
                self.end_approval(expired.request, ApprovalStatus::Expired { at });
                self.reopen(&expired.reopened, fact.revision);
            }
            _ => {}
        }
    }
}
