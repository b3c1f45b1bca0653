//! Who approved what, in which role, how long before it started, and how independent they are of it.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{ReportedActor, Story};
use crate::Role;
use crate::event::{
    Answer, ChangeClass, EnvironmentPurpose, Fact, Interval, Meaning, ReleaseEvent, RevocationCause,
};
use crate::release::{Approval, ApprovalStatus, Authorization, AuthorizationStatus};
use crate::value::{ActorId, ItemNumber, Line, Prose, Sha256Hex};
use crate::verdict::{Cause, Row};

shapes! {
    Approvals {
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        requests: Vec<ReportedApproval>,
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        authorizations: Vec<ReportedAuthorization>,
        /// The last answer of each person in each role.
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        roll_call: Vec<ReportedAnswer>,
        /// As they were set and moved, oldest first.
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        windows: Vec<ReportedWindow>,
    };

    ReportedApproval {
        request: Uuid,
        candidate: u32,
        window: Interval,
        class: ChangeClass,
        /// How many approvers had to sign.
        quorum: u32,
        /// The hash of the rows that were approved.
        basis: Sha256Hex,
        /// How many rows those are.
        rows: u32,
        requested_at: Timestamp,
        requested_by: ActorId,
        #[cfg_attr(feature = "openapi", schema(max_length = 20))]
        status: &'static str,
        #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
        grants: Vec<ReportedGrant>,
    } nullable {
        note: Prose,
        /// The standing approval that covers it, in place of signatures.
        standing: Line,
        ended: ReportedEnd,
        /// The deployment to production that it was used for.
        deployment: Uuid,
    };

    /// How a request ended without being used.
    ReportedEnd { at: Timestamp, } nullable { by: ActorId, reason: Prose, cause: RevocationCause, };

    ReportedGrant {
        by: ReportedActor,
        at: Timestamp,
        revision: u64,
        meaning: Meaning,
        /// The hash that the approver signed.
        basis: Sha256Hex,
        independence: Independence,
    } nullable {
        comment: Prose,
        /// How long before it the approver had signed in; null where the issuer does not say.
        signed_in_s_ago: u64,
        /// When the approver was first seen in that role; null where it is not known.
        role_first_used_at: Timestamp,
        /// Whether it lies before the start of the deployment in the log; null while nothing was started.
        before_start: bool,
        /// How many seconds before the start; less than 0 where it lies behind it.
        #[cfg_attr(feature = "openapi", schema(minimum = -9007199254740991_i64))]
        lead_s: i64,
    };

    /// Whether the approver is independent of the change: of everybody who is named here.
    Independence {
        #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
        checks: Vec<IndependenceCheck>,
    } nullable {
        /// Null where one of them is not established and none is against it.
        independent: bool,
    };

    IndependenceCheck {
        /// `requester`, `tagger`, `deployer` or `commit_authors`.
        #[cfg_attr(feature = "openapi", schema(max_length = 20))]
        of: &'static str,
        /// Who that is, or how many of the authors are the approver.
        #[cfg_attr(feature = "openapi", schema(max_length = 16_384))]
        observed: String,
        /// Read when it was approved; otherwise compared by id with who started the deployment afterwards.
        at_decision: bool,
    } nullable {
        /// Null where it is not established.
        independent: bool,
    };

    ReportedAuthorization {
        authorization: Uuid,
        candidate: u32,
        basis: Sha256Hex,
        authorized_at: Timestamp,
        authorized_by: ActorId,
        expires_at: Timestamp,
        /// `live`, `consumed`, `revoked` or `expired`.
        #[cfg_attr(feature = "openapi", schema(max_length = 20))]
        status: &'static str,
    } nullable {
        /// The approval it rests on.
        request: Uuid,
        /// The deployment that used it up.
        deployment: Uuid,
        revoked: RevocationCause,
        break_glass: ReportedBreakGlass,
    };

    /// One person authorized it in an emergency, without an approval.
    ReportedBreakGlass {
        incident: Line,
        reason: Prose,
        /// Items that it should have rested on and that were open.
        #[cfg_attr(feature = "openapi", schema(max_items = 20))]
        missing: Vec<ItemNumber>,
        approval_due_at: Timestamp,
        overdue: bool,
    } nullable { approved_after_start: ReportedApprovalAfterStart, };

    ReportedApprovalAfterStart {
        by: ActorId,
        at: Timestamp,
        /// Before `approval_due_at`.
        in_time: bool,
        independence: Independence,
    } nullable { comment: Prose, signed_in_s_ago: u64, };

    ReportedAnswer { role: Role, by: ActorId, at: Timestamp, answer: Answer, withdrawn: bool, } nullable {
        candidate: u32,
        window: Interval,
        reason: Prose,
        /// Why it was corrected.
        amended: Prose,
    };

    ReportedWindow { window: Interval, set_at: Timestamp, set_by: ActorId, revision: u64, } nullable {
        moved_from: Interval,
    };
}

/// The start of a deployment to production.
struct Start {
    pub deployment: Uuid,
    pub revision: u64,
    pub at: Timestamp,
    pub by: ActorId,
    pub authorization: Option<Uuid>,
}

fn starts(story: &Story<'_>) -> Vec<Start> {
    let start = |fact: &Fact<ReleaseEvent>| match &fact.event {
        ReleaseEvent::DeploymentStarted(started) if started.purpose == EnvironmentPurpose::Production => {
            Some(Start {
                deployment: started.deployment,
                revision: fact.revision,
                at: fact.recorded_at,
                by: fact.by.id.clone(),
                authorization: started.authorization,
            })
        }
        _ => None,
    };
    story.events().filter_map(|(fact, _)| start(fact)).collect()
}

pub(super) fn of(story: &Story<'_>) -> Approvals {
    let starts = starts(story);
    let release = story.release;
    Approvals {
        requests: release.approvals.iter().map(|approval| request(story, approval, &starts)).collect(),
        authorizations: release.authorizations.iter().map(authorization).collect(),
        roll_call: release
            .roll_call
            .iter()
            .map(|entry| ReportedAnswer {
                role: entry.role,
                by: entry.by.clone(),
                at: entry.at,
                answer: entry.answer,
                withdrawn: entry.withdrawn,
                candidate: entry.candidate,
                window: entry.window,
                reason: entry.reason.clone(),
                amended: entry.amended.as_ref().map(|amended| amended.why.clone()),
            })
            .collect(),
        windows: windows(story),
    }
}

fn windows(story: &Story<'_>) -> Vec<ReportedWindow> {
    let set = story.events().filter_map(|(fact, _)| match &fact.event {
        ReleaseEvent::WindowSet(set) => Some(ReportedWindow {
            window: set.window,
            set_at: fact.recorded_at,
            set_by: fact.by.id.clone(),
            revision: fact.revision,
            moved_from: set.moved_from,
        }),
        _ => None,
    });
    set.collect()
}

fn request(story: &Story<'_>, approval: &Approval, starts: &[Start]) -> ReportedApproval {
    let rests_on_it = |id: Uuid| {
        story.release.authorization(id).is_some_and(|given| given.request == Some(approval.request))
    };
    let start = starts.iter().find(|start| start.authorization.is_some_and(rests_on_it));
    ReportedApproval {
        request: approval.request,
        candidate: approval.candidate,
        window: approval.window,
        class: approval.class,
        quorum: approval.quorum,
        basis: approval.basis.clone(),
        rows: u32::try_from(approval.rows.len()).unwrap_or(u32::MAX),
        requested_at: approval.requested_at,
        requested_by: approval.requested_by.clone(),
        status: approval.status.as_str(),
        grants: grants(story, approval.request, start),
        note: approval.note.clone(),
        standing: approval.standing.clone(),
        ended: ended(&approval.status),
        deployment: start.map(|start| start.deployment),
    }
}

fn ended(status: &ApprovalStatus) -> Option<ReportedEnd> {
    let end = |at: &Timestamp| ReportedEnd { at: *at, by: None, reason: None, cause: None };
    match status {
        ApprovalStatus::Requested | ApprovalStatus::Granted { .. } | ApprovalStatus::Consumed { .. } => None,
        ApprovalStatus::Rejected { at, by, reason } | ApprovalStatus::Withdrawn { at, by, reason } => {
            Some(ReportedEnd { by: Some(by.clone()), reason: Some(reason.clone()), ..end(at) })
        }
        ApprovalStatus::Revoked { at, cause } => Some(ReportedEnd { cause: Some(*cause), ..end(at) }),
        ApprovalStatus::Expired { at } => Some(end(at)),
    }
}

/// Whether it was approved before it started is told by places in the log, never by anybody's clock.
fn grants(story: &Story<'_>, request: Uuid, start: Option<&Start>) -> Vec<ReportedGrant> {
    let granted = story.events().filter_map(|(fact, _)| match &fact.event {
        ReleaseEvent::ApprovalGranted(granted) if granted.request == request => Some((fact, granted)),
        _ => None,
    });
    granted
        .map(|(fact, granted)| ReportedGrant {
            by: ReportedActor::of(&fact.by),
            at: fact.recorded_at,
            revision: fact.revision,
            meaning: granted.meaning,
            basis: granted.basis.clone(),
            independence: independence(&granted.independence, &fact.by.id, start),
            comment: granted.comment.clone(),
            signed_in_s_ago: granted.signed_in_s_ago,
            role_first_used_at: granted.role_first_used_at,
            before_start: start.map(|start| fact.revision < start.revision),
            lead_s: start.map(|start| start.at.duration_since(fact.recorded_at).as_secs()),
        })
        .collect()
}

/// What was read when it was approved, and who started the deployment after that.
fn independence(rows: &[Row], approver: &ActorId, start: Option<&Start>) -> Independence {
    let mut checks: Vec<_> = rows
        .iter()
        .map(|row| IndependenceCheck {
            of: whom(&row.input),
            observed: row.observed.clone(),
            at_decision: true,
            independent: match row.cause {
                Some(Cause::Absent) => None,
                _ => Some(row.ok),
            },
        })
        .collect();
    checks.extend(start.map(|start| IndependenceCheck {
        of: "deployer",
        observed: start.by.to_string(),
        at_decision: false,
        independent: Some(start.by != *approver),
    }));
    let against = checks.iter().any(|check| check.independent == Some(false));
    let established = checks.iter().all(|check| check.independent.is_some());
    let independent = if against { Some(false) } else { established.then_some(true) };
    Independence { checks, independent }
}

/// By what the row read.
fn whom(input: &str) -> &'static str {
    if input.ends_with("/tagged_by") {
        "tagger"
    } else if input.ends_with("/started_by") {
        "deployer"
    } else if input.ends_with("/authors") {
        "commit_authors"
    } else {
        "requester"
    }
}

fn authorization(given: &Authorization) -> ReportedAuthorization {
    let (deployment, revoked) = match &given.status {
        AuthorizationStatus::Consumed { deployment, .. } => (Some(*deployment), None),
        AuthorizationStatus::Revoked { cause, .. } => (None, Some(*cause)),
        AuthorizationStatus::Live | AuthorizationStatus::Expired { .. } => (None, None),
    };
    ReportedAuthorization {
        authorization: given.authorization,
        candidate: given.candidate,
        basis: given.basis.clone(),
        authorized_at: given.authorized_at,
        authorized_by: given.authorized_by.clone(),
        expires_at: given.expires_at,
        status: given.status.as_str(),
        request: given.request,
        deployment,
        revoked,
        break_glass: given.break_glass.as_ref().map(|used| ReportedBreakGlass {
            incident: used.incident.clone(),
            reason: used.reason.clone(),
            missing: used.missing.clone(),
            approval_due_at: used.approval_due_at,
            overdue: used.overdue,
            approved_after_start: used.approved_after_start.as_ref().map(|approved| {
                ReportedApprovalAfterStart {
                    by: approved.by.clone(),
                    at: approved.at,
                    in_time: approved.at <= used.approval_due_at,
                    independence: independence(&approved.independence, &approved.by, None),
                    comment: approved.comment.clone(),
                    signed_in_s_ago: approved.signed_in_s_ago,
                }
            }),
        }),
    }
}
