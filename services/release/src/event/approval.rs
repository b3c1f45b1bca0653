//! The window, who approved it, who answered the roll-call, and the authorization they add up to.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Assurance, ChangeClass, Input, Interval, SignedAs};
use crate::actor::Role;
use crate::evidence::Artifact;
use crate::value::{GitSha, ItemNumber, Line, Prose, Sha256Hex};
use crate::verdict::{Row, Verdict};

data! {
    /// Set, or moved from where it was.
    WindowSet { window: Interval, } optional { moved_from: Interval, };

    /// It ended; what it bounded ended with it.
    WindowClosed { window: Interval, };

    /// Asks for the approval of exactly these rows; `basis` is the hash of them.
    ApprovalRequested {
        request: Uuid,
        candidate: u32,
        window: Interval,
        class: ChangeClass,
        /// How many approvers have to sign.
        quorum: u32,
        basis: Sha256Hex,
        rows: Vec<Row>,
    } optional {
        note: Prose,
        /// Snapshots of other streams the decision read.
        inputs: Vec<Input>,
    };

    /// `effective` when the quorum is reached with it.
    ApprovalGranted {
        request: Uuid,
        meaning: Meaning,
        basis: Sha256Hex,
        /// What was read to tell that the approver is independent.
        independence: Vec<Row>,
        effective: bool,
    } optional {
        comment: Prose,
        /// How long before it the approver had signed in.
        signed_in_s_ago: u64,
        /// Snapshots of other streams the decision read.
        inputs: Vec<Input>,
        /// When the approver was first seen to act in that role for the product; absent where it is not known.
        role_first_used_at: Timestamp,
        signed_as: SignedAs,
    };

    /// The procedure's standing approval covers it, so nobody signs.
    StandingApprovalApplied { request: Uuid, reference: Line, rows: Vec<Row>, };

    /// The end of this request.
    ApprovalRejected { request: Uuid, reason: Prose, } optional { signed_as: SignedAs, };
    ApprovalWithdrawn { request: Uuid, reason: Prose, };

    /// What it approved is no longer so.
    ApprovalRevoked {
        request: Uuid,
        cause: RevocationCause,
        /// The bound rows that turned false, where that is the cause.
        rows: Vec<Row>,
        /// Items that rested on it.
        reopened: Vec<ItemNumber>,
    } optional { reason: Prose, };

    /// A deployment to production took it.
    ApprovalConsumed { request: Uuid, deployment: Uuid, };
    ApprovalExpired { request: Uuid, reopened: Vec<ItemNumber>, };

    /// A rule judged the item, without anybody attesting it.
    ItemJudged { item: ItemNumber, assurance: Assurance, verdict: Verdict, } optional {
        candidate: u32,
        /// The evidence that was read.
        rests_on: Vec<Uuid>,
        /// When the facts will be too old.
        valid_until: Timestamp,
        /// How an item that was closed stands now.
        reopens: Reopening,
    };

    /// The gate at the end of a step, when it opens or closes.
    GateEvaluated { gate: u32, verdict: Verdict, };

    /// Counts for this candidate and window only.
    RollCallAnswered { role: Role, answer: Answer, } optional {
        candidate: u32,
        window: Interval,
        reason: Prose,
        signed_as: SignedAs,
    };

    /// An answer that was recorded wrongly; without one, it was no answer in that role.
    RollCallAmended { entry: Uuid, why: Prose, } optional { answer: Answer, signed_as: SignedAs, };

    /// One start of a deployment to production, until it expires.
    ProductionAuthorized {
        authorization: Uuid,
        /// The approval it rests on.
        request: Uuid,
        candidate: u32,
        commit_sha: GitSha,
        artifacts: Vec<Artifact>,
        expires_at: Timestamp,
        basis: Sha256Hex,
        verdict: Verdict,
        /// Snapshots of other streams the decision read.
        inputs: Vec<Input>,
    } optional { pipeline_digest: Sha256Hex, signed_as: SignedAs, };

    /// One start in an emergency, by one person, without approval.
    BreakGlassAuthorized {
        authorization: Uuid,
        candidate: u32,
        commit_sha: GitSha,
        artifacts: Vec<Artifact>,
        incident: Line,
        reason: Prose,
        expires_at: Timestamp,
        /// Until when an independent approver approves it.
        approval_due_at: Timestamp,
        basis: Sha256Hex,
        /// The few items that an emergency rests on as well, and which of them are missing.
        verdict: Verdict,
        /// Snapshots of other streams the decision read.
        inputs: Vec<Input>,
    } optional { pipeline_digest: Sha256Hex, signed_as: SignedAs, };

    /// What one person started in an emergency; no item closes with it.
    ApprovedAfterStart { authorization: Uuid, independence: Vec<Row>, } optional {
        comment: Prose,
        signed_in_s_ago: u64,
        inputs: Vec<Input>,
        signed_as: SignedAs,
    };
    /// Nobody approved in time what was started in an emergency.
    ApprovalOverdue { authorization: Uuid, };

    AuthorizationRevoked { authorization: Uuid, cause: RevocationCause, rows: Vec<Row>, } optional { reason: Prose, };
    AuthorizationExpired { authorization: Uuid, };
}

words! {
    /// How an item stands whose facts no longer show it.
    Reopening {
        /// The facts say otherwise.
        Pending = "pending",
        /// The facts are about something older.
        Stale = "stale",
    }
    /// What an approver's signature says. `approved` alone counts towards the quorum.
    Meaning { Approved = "approved", Reviewed = "reviewed", Verified = "verified", }
    Answer { Go = "go", NoGo = "no_go", }
    /// Why an approval or an authorization no longer holds.
    RevocationCause {
        NewCandidate = "new_candidate",
        /// Digests were bound to the candidate that it did not have when it was approved.
        CandidateBound = "candidate_bound",
        CandidateRejected = "candidate_rejected",
        WindowMoved = "window_moved",
        /// A row that was bound, or that the authorization read, is no longer true.
        RowTurnedFalse = "row_turned_false",
        /// A bound row is still true, and not for what was approved.
        RowChanged = "row_changed",
        ClassRaised = "class_raised",
        /// It goes to a target that was not approved.
        ScopeRaised = "scope_raised",
        /// Somebody answered no-go.
        NoGo = "no_go",
        /// The approval it rested on ended.
        ApprovalEnded = "approval_ended",
        FreezeDeclared = "freeze_declared",
        /// An emergency took the environment.
        Preempted = "preempted",
        ReleaseAborted = "release_aborted",
        Withdrawn = "withdrawn",
    }
}
