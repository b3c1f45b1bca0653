//! The domain said no: one name per rule, and the rows that were read.

use crate::verdict::Row;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Refusal {
    pub code: RefusalCode,
    pub detail: String,
    pub rows: Vec<Row>,
    /// Which command of a batch was refused, from 0.
    pub entry: Option<usize>,
}

/// What kind of no it is; the edge decides how to say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalClass {
    /// The thing named does not exist.
    Unknown,
    /// The actor's roles or identity do not allow it.
    Forbidden,
    /// The state does not allow it now.
    State,
    /// The content breaks a rule of its own.
    Content,
    /// What the caller saw is not what is so now.
    Precondition,
}

macro_rules! refusals {
    ($($variant:ident = $code:literal, $class:ident, $title:literal, $explanation:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum RefusalCode { $($variant,)* }

        impl RefusalCode {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            pub fn class(self) -> RefusalClass {
                match self { $(Self::$variant => RefusalClass::$class,)* }
            }

            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// What the rule is and how to satisfy it, for the page of the problem type.
            pub fn explanation(self) -> &'static str {
                match self { $(Self::$variant => $explanation,)* }
            }
        }
    };
}

refusals! {
    ReleaseUnknown = "release_unknown", Unknown, "No such release",
        "No release with this id was opened. Open it first, or check product and version in the id.";
    StepUnknown = "step_unknown", Unknown, "No such step",
        "The procedure this release is pinned to has no step with this number, so it has no gate after it.";
    ItemUnknown = "item_unknown", Unknown, "No such item",
        "The procedure this release is pinned to has no item with this number. The release's checklist lists all items.";
    TargetUnknown = "target_unknown", Content, "No such target",
        "A release is for targets of its product, each named once, and evidence is about one of them or about all. The rows name those that are none.";
    AnswerUnknown = "answer_unknown", Unknown, "No such answer",
        "No answer with this id was given in the roll-call of this release.";
    CandidateUnknown = "candidate_unknown", Unknown, "No such candidate",
        "The release has no candidate with this number.";
    EvidenceUnknown = "evidence_unknown", Unknown, "No such evidence",
        "No evidence with this id was recorded on this release.";
    WaiverUnknown = "waiver_unknown", Unknown, "No such waiver",
        "No waiver with this id was requested for this item.";
    ExceptionUnknown = "exception_unknown", Unknown, "No such exception",
        "No recorded event of this release or environment shows an exception of this kind at this revision.";
    ExceptionDecided = "exception_decided", State, "Exception was disposed",
        "Somebody has said what became of it.";
    CommentUnknown = "comment_unknown", Unknown, "No such comment",
        "No comment with this id was added to this release.";
    AttachmentUnknown = "attachment_unknown", Unknown, "No such attachment",
        "Nothing with this hash was attached to this release.";
    AttachmentRemoved = "attachment_removed", State, "Attachment is past its retention",
        "Its content was given up when its retention was over. Its hash, and who attached it, stay on record.";
    HoldUnknown = "hold_unknown", Unknown, "No such legal hold",
        "No legal hold with this id was placed.";
    HoldLifted = "hold_lifted", State, "Legal hold was lifted",
        "It was lifted before. Place another one where content still has to be kept.";
    HoldScopeInvalid = "hold_scope_invalid", Content, "Release and product do not go together",
        "Name the release alone, or the product that it is a release of.";
    LegalHold = "legal_hold", State, "On legal hold",
        "Nothing that a legal hold concerns is given up before it is lifted.";
    RetentionOutOfRange = "retention_out_of_range", Content, "Retention is out of range",
        "Attachments are kept for 12 to 1,200 months after the end of their release.";
    RoleMissing = "role_missing", Forbidden, "Role missing",
        "The caller's token grants none of the roles that may do this for this product. The rows name the roles.";
    PersonRequired = "person_required", Forbidden, "A person must decide",
        "This is a decision; a machine's token never decides. Send it with a person's token.";
    SecondPersonRequired = "second_person_required", Forbidden, "A different person must do this",
        "Segregation of duties: the person who asked or signed first may not also decide or sign second.";
    ReleaseExists = "release_exists", State, "Release exists",
        "A release of this product and version was opened before. An aborted one is reopened, not opened again.";
    ReleaseHeld = "release_held", State, "Release is on hold",
        "What moves a release on waits while it is on hold: candidates, signatures, waivers, window, approvals, go, deployments. Evidence, observations, comments, no-go, whatever is taken back, rollback, resume and abort are taken.";
    ReleaseNotHeld = "release_not_held", State, "Release is not on hold",
        "Only a release on hold can be resumed.";
    ReleaseEnded = "release_ended", State, "Release has ended",
        "The release was aborted or closed. An aborted release may be reopened; a closed one is history.";
    ReleaseNotAborted = "release_not_aborted", State, "Release was not aborted",
        "Only an aborted release can be reopened.";
    ReleaseNotCompleted = "release_not_completed", State, "Release is not completed",
        "A release is closed after it is completed.";
    ReleaseCompleted = "release_completed", State, "Release is completed",
        "The release was completed before; only the duties that outlive it and closing remain.";
    ReleaseFull = "release_full", State, "Release is full",
        "Past 9,000 events a release takes only decisions, observations and rollback.";
    GateClosed = "gate_closed", State, "Gate is closed",
        "Items of earlier steps are still open. The rows name each open item.";
    ItemClosed = "item_closed", State, "Item is closed already",
        "The item is closed on the current candidate. Retract it first to close it again.";
    ItemNotAttested = "item_not_attested", State, "Item has no attestation",
        "There is no attestation to retract.";
    ItemNotReaffirmable = "item_not_reaffirmable", State, "Item cannot be reaffirmed",
        "Only an item that a new candidate made stale and that takes a reaffirmation can be reaffirmed; others need new evidence.";
    ItemNotAttestable = "item_not_attestable", State, "Item is not closed by attestation",
        "The item closes by its own rule, for instance by the quorum of approvals.";
    AlreadySigned = "already_signed", State, "Signed already",
        "This person has signed the item for this candidate; another person has to sign.";
    CandidateRequired = "candidate_required", State, "A candidate is required",
        "The item is bound to one exact candidate. Tag the first candidate before closing it.";
    CandidateNotBound = "candidate_not_bound", State, "Candidate has no artifacts",
        "Items that rest on what was built close, and a deployment starts, only with a candidate whose artifacts are bound. Bind them, or report the CI run that built them.";
    CandidateNumberUsed = "candidate_number_used", State, "Candidate number is not new",
        "A candidate's number exceeds every number used before on this release; gaps are allowed.";
    CandidateSame = "candidate_same", State, "Candidate is the current one",
        "The current candidate has the same commit.";
    CandidateRejected = "candidate_rejected", State, "Candidate was rejected",
        "The candidate was rejected before.";
    DigestRejected = "digest_rejected", State, "A digest was rejected before",
        "A candidate with this digest was rejected, in this release or in another one of the product. It goes to production only when two approvers sign the request; the rows name the digest and why it was rejected. Withdraw the approval and ask for another: it asks for two.";
    CandidateDigestMismatch = "candidate_digest_mismatch", State, "Digest differs from the bound one",
        "Bound values never change: a different value means a different build. The rows show both sides.";
    EvidenceRetracted = "evidence_retracted", State, "Evidence was retracted",
        "Retracted evidence closes nothing. Record new evidence.";
    EvidenceStale = "evidence_stale", State, "Evidence is about another candidate",
        "The item needs evidence on the current candidate.";
    RuleNotSatisfied = "rule_not_satisfied", State, "Facts say otherwise",
        "A signature does not outweigh a recorded fact, and an item is not applicable only when facts show it. The rows name each fact, what was expected and what was seen.";
    EvidenceRequired = "evidence_required", Content, "Evidence is required",
        "The item needs evidence of at least one listed kind. The rows name the kinds.";
    EvidenceKindNotAccepted = "evidence_kind_not_accepted", Content, "Evidence kind is not accepted",
        "The item does not take evidence of this kind. The rows name the kinds it takes.";
    EvidenceHasNoItem = "evidence_has_no_item", Content, "No item takes this evidence",
        "No item of the procedure that the caller may report on takes evidence of this kind.";
    EvidenceFactsInvalid = "evidence_facts_invalid", Content, "Facts contradict themselves",
        "The facts of the evidence cannot all be true. The rows name the fields.";
    OccurredInFuture = "occurred_in_future", Content, "Time lies in the future",
        "A command's occurred_at may not be later than the server's clock by more than 2 minutes.";
    LateEntryReasonRequired = "late_entry_reason_required", Content, "Late entry needs a reason",
        "A fact more than 24 hours old is accepted with late_entry_reason.";
    CandidateTagMismatch = "candidate_tag_mismatch", Content, "Tag does not name this version",
        "A candidate's tag is v, the release's version, -rc. and its number.";
    VersionNotAfterPrevious = "version_not_after_previous", Content, "Version is not after the previous one",
        "By semantic versioning the release's version must be greater than the previous version.";
    NothingChanged = "nothing_changed", Content, "Nothing would change",
        "The command states what is recorded already.";
    WaiverNotAllowed = "waiver_not_allowed", State, "Item cannot be waived",
        "The procedure does not allow a waiver of this item, or not for this change class.";
    WaiverDecided = "waiver_decided", State, "Waiver was decided",
        "The waiver was granted, denied, expired or revoked before.";
    WaiverExpiryInvalid = "waiver_expiry_invalid", Content, "Expiry is out of range",
        "A waiver expires in the future and within the procedure's longest waiver.";
    NotApplicableNotAllowed = "not_applicable_not_allowed", State, "Item cannot be not applicable",
        "The procedure does not allow this item to be declared not applicable in this way.";
    NotApplicableNotProposed = "not_applicable_not_proposed", State, "Nothing to confirm",
        "Nobody has proposed that this item is not applicable.";
    CandidateFrozen = "candidate_frozen", State, "A production deployment is in progress",
        "Between the start of a production deployment and its end no candidate is tagged. Finish the deployment or roll it back first.";
    GateNotJudged = "gate_not_judged", State, "Gate is not judged",
        "The procedure this release is pinned to has no rules. Its gates are what its items say, and nothing is to be evaluated.";
    ItemLatched = "item_latched", State, "Item is frozen for the deployment",
        "Production was started on this item's verdict. It stays as authorized until the deployment fails or a new candidate is tagged.";
    ItemFailed = "item_failed", State, "Item has failed for this deployment",
        "A rollback, or the early end of the previous version, failed the item for good. The next production deployment starts it again; a waiver may stand in where the procedure takes one.";
    MachineRequired = "machine_required", Forbidden, "Only a machine closes this item",
        "Under a strict procedure an item that a machine can prove is closed by a machine's token, or waived.";
    ProductionTouched = "production_touched", State, "Production was touched",
        "An aborted release is reopened only when it never started a production deployment. Open a new version.";
    NotDue = "not_due", State, "Its time has not come",
        "Time alone does this: the server sends it when the recorded instant has passed, once.";
    WindowRequired = "window_required", State, "A deployment window is required",
        "No window is set, or the one that was set is over. The release manager sets one.";
    WindowInvalid = "window_invalid", Content, "Window is out of range",
        "A window ends after it begins, ends in the future, and is long enough for the canary and the monitoring time of the change class. The rows name what is not so.";
    WindowNotOpen = "window_not_open", State, "Outside the deployment window",
        "Production is changed only inside the approved window. The rows name it.";
    ApprovalUnknown = "approval_unknown", Unknown, "No such request for approval",
        "No request for approval with this id was made on this release.";
    ApprovalOpen = "approval_open", State, "A request for approval is open",
        "One request is open or granted at a time. Withdraw it to ask again.";
    ApprovalDecided = "approval_decided", State, "Request for approval has ended",
        "The request was granted, rejected, withdrawn, revoked, used or expired before. Ask again.";
    ApprovalMissing = "approval_missing", State, "No effective approval",
        "Production needs an approval of this candidate and window by the quorum of the change class, not used before.";
    ApproverNotIndependent = "approver_not_independent", Forbidden, "Approver is not independent",
        "Who requested the approval, tagged the candidate, deployed it or, under a strict procedure, wrote a commit of it may not approve it. The rows name which.";
    SignInTooOld = "sign_in_too_old", Forbidden, "Sign in again",
        "The procedure asks whoever approves to have signed in lately. Sign in again, so that the token's auth_time is newer, and send the same request.";
    BreakGlassNotAllowed = "break_glass_not_allowed", State, "Break-glass is not allowed",
        "Only a release of class emergency goes to production without an approval, and only where its procedure says how. The row names what is not so.";
    LowTrafficNotPlanned = "low_traffic_not_planned", State, "Low traffic cannot be planned so",
        "A procedure may let a release plan for a canary that few requests reach, with a share inside the band. The row names what is not so.";
    BasisChanged = "basis_changed", Precondition, "What you saw has changed",
        "The basis is the hash of the rows the caller saw, and they are not what holds now. The rows are those that differ; read again, then decide.";
    RollCallRoleUnknown = "roll_call_role_unknown", Content, "Role is not in the roll-call",
        "The procedure's roll-call does not ask this role.";
    RollCallNoGo = "roll_call_no_go", State, "Somebody said no-go",
        "One no-go for this candidate and window stops. The same person may answer go later.";
    RollCallIncomplete = "roll_call_incomplete", State, "Roll-call is incomplete",
        "Every role of the roll-call answers go for this candidate and window, by at least two people in total. The rows name the roles.";
    FreezeActive = "freeze_active", State, "A freeze is in force",
        "A freeze covers the environment and the approval names no exception from it. Lift it, wait, or ask for an approval that names it where the freeze allows exceptions.";
    EnvironmentNotReserved = "environment_not_reserved", State, "Environment is not held by this release",
        "An environment is first reserved for the release. The rows name it and who holds it. Wait, have a release manager hand it over, or give preempt_reason in an emergency.";
    GoNotInProcedure = "go_not_in_procedure", State, "Procedure has no approval",
        "The procedure this release is pinned to has no item that closes by approval, so production is neither approved nor authorized through it.";
    AuthorizationUnknown = "authorization_unknown", Unknown, "No such authorization",
        "No authorization with this id was given on this release.";
    AuthorizationRequired = "authorization_required", State, "An authorization is required",
        "A production deployment starts with a live authorization. The release manager authorizes when Gate 4 is satisfied.";
    AuthorizationLive = "authorization_live", State, "An authorization is live",
        "Production was authorized and the authorization is not used yet.";
    AuthorizationEnded = "authorization_ended", State, "Authorization has ended",
        "The authorization was used, revoked or has expired. Authorize again.";
    DeploymentUnknown = "deployment_unknown", Unknown, "No such deployment",
        "No deployment with this id was recorded on this release.";
    DeploymentRunning = "deployment_running", State, "A deployment is in progress",
        "A deployment to this environment was started and has not ended. Finish it or roll it back first.";
    DeploymentEnded = "deployment_ended", State, "Deployment has ended",
        "The deployment succeeded, failed or was rolled back before.";
    ObservationInvalid = "observation_invalid", Content, "Observation is out of range",
        "What was reported cannot be so: a share outside 0 to 100, an empty batch, an interval that ends before it begins. The rows name it.";
    TimerUnknown = "timer_unknown", Unknown, "No such timer",
        "No timer with this id was started on this release.";
    LeaseUnknown = "lease_unknown", Unknown, "No such lease",
        "No lease of the previous version with this id was opened on this release.";
    LeaseEnded = "lease_ended", State, "Lease has ended",
        "The previous version was released, lost or rolled back to before.";
    LeaseTooEarly = "lease_too_early", State, "Previous version has to be kept longer",
        "The previous version is kept at least 24 hours after the full rollout. Released earlier it needs a waiver of the item; if it is gone already, report it as broken.";
    ProposalUnknown = "proposal_unknown", Unknown, "No such proposal",
        "No rollback was proposed with this id on this release.";
    ProposalDecided = "proposal_decided", State, "Proposal was decided",
        "The proposed rollback was decided before.";
    RollbackUnknown = "rollback_unknown", Unknown, "No such rollback",
        "No rollback with this id was started on this release.";
    RollbackRunning = "rollback_running", State, "A rollback is running",
        "A rollback was started and has neither completed nor failed. Report its steps on that one.";
    RollbackEnded = "rollback_ended", State, "Rollback has ended",
        "The rollback was completed or has failed before.";
    BatchInvalid = "batch_invalid", Content, "Batch is not valid",
        "A batch has 1 to 100 commands. It holds no other batch, and no command that first reserves an environment in a stream of its own: authorize and start deployments one by one.";
    ProcedureUnknown = "procedure_unknown", Unknown, "No such procedure",
        "No procedure of this name and version exists.";
    ProcedureNotAllowed = "procedure_not_allowed", Content, "Product does not allow the procedure",
        "The product's settings name the procedures its releases may use and the weakest policy they may have. Choose one of them, or publish new settings.";
    ProductUnknown = "product_unknown", Unknown, "No such product",
        "No product of this name is registered.";
    SettingsVersionUnknown = "settings_version_unknown", Unknown, "No such version of the settings",
        "The product has no settings of this number.";
    ProductExists = "product_exists", State, "Product exists",
        "A product of this name was registered before. Publish a new version of its settings instead.";
    SettingsInvalid = "settings_invalid", Content, "Settings contradict themselves",
        "Names repeat, or an entry points to nothing. The rows name each entry.";
    EnvironmentUnknown = "environment_unknown", Unknown, "No such environment",
        "The product's settings name no environment of this name.";
    EnvironmentLeased = "environment_leased", State, "Environment is leased",
        "Another release holds the environment. The rows name it and when its lease expires. Wait, have a release manager hand it over, or give preempt_reason in an emergency; an emergency is not preempted.";
    EnvironmentNotLeased = "environment_not_leased", State, "Environment is not leased",
        "The release named does not hold the environment, or nobody does.";
    LeasePurposeMismatch = "lease_purpose_mismatch", Content, "Environment is for something else",
        "A staging environment is leased for staging_validation, a production environment for production_deployment.";
    LeaseExpiryInvalid = "lease_expiry_invalid", Content, "Expiry is out of range",
        "A lease expires in the future and within 30 days, and is renewed to a later time only.";
    ReservationNotDue = "reservation_not_due", State, "Reservation does not expire now",
        "Its time is not up, or the release confirmed it.";
    PreemptionNotAllowed = "preemption_not_allowed", State, "Preemption is for emergencies",
        "Only a release of class emergency may take an environment from its holder.";
    FormatUnknown = "format_unknown", Content, "No such format",
        "A log is given a format only by a node whose program knows it, because an older program does not serve it any more. Run a newer program on every node, then enable the format.";
    FormatNotEnabled = "format_not_enabled", State, "Format is not enabled",
        "What is asked for would be recorded in a way that an older program cannot read. An admin enables the format with POST /v1/format/enable once every node runs a program that knows it.";
    SigningKeyUnknown = "signing_key_unknown", Unknown, "No such signing key",
        "No key with this id signed checkpoints of this log. The list of signing keys has them all.";
    FreezeUnknown = "freeze_unknown", Unknown, "No such freeze",
        "No freeze with this id was declared.";
    FreezeOver = "freeze_over", State, "Freeze is over",
        "The freeze was lifted before, or its time has passed.";
    FreezeIntervalInvalid = "freeze_interval_invalid", Content, "Interval is out of range",
        "A freeze begins now or later, ends after it begins, and lasts at most 366 days.";
    ProcedureReserved = "procedure_reserved", State, "Name is reserved",
        "The versions of product-release come with the program. Publish your own procedure under another name.";
    ProcedureInvalid = "procedure_invalid", Content, "Procedure cannot be followed",
        "The procedure has findings. The rows name each one by JSON pointer.";
    ProcedureVersionNotNext = "procedure_version_not_next", State, "Version is not the next one",
        "Versions are published in order without a gap. The procedure's own version says which one it is.";
    ProcedureNotActive = "procedure_not_active", State, "Version was not activated",
        "A published version is proposed until an approver who did not publish it activates it.";
    ProcedureSuperseded = "procedure_superseded", State, "A newer version is in force",
        "A version older than the one in force is not activated any more. Publish its content as the next version.";
    ProcedureRetired = "procedure_retired", State, "Procedure was retired",
        "No release is opened from a retired procedure, and nothing is published or activated under its name.";
    ControlMappingUnknown = "control_mapping_unknown", Unknown, "No such control mapping",
        "No control mapping of this name and version is built in or was published.";
    ControlMappingReserved = "control_mapping_reserved", State, "Name is reserved",
        "The versions of common-frameworks come with the program. Publish your own control mapping under another name.";
    ControlMappingInvalid = "control_mapping_invalid", Content, "Control mapping cannot be followed",
        "The control mapping has findings. The rows name each one by JSON pointer.";
    ControlMappingVersionNotNext = "control_mapping_version_not_next", State, "Version is not the next one",
        "Versions are published in order without a gap. The mapping's own version says which one it is.";
    ReportHasNoPopulation = "report_has_no_population", State, "Report has no population",
        "Samples are drawn from, and lists are compared with, the report of a period. Generate one and use its id.";
    PeriodInvalid = "period_invalid", Content, "Period cannot be reported",
        "A period begins before it ends.";
    SampleInvalid = "sample_invalid", Content, "Sample cannot be drawn",
        "A sample has 1 to 1,000 rows, and with all that is included at most 10,000.";
    IdentityUnknown = "identity_unknown", Unknown, "No such entry",
        "The directory has no entry for this actor.";
    IdentityTaken = "identity_taken", State, "Key belongs to somebody else",
        "An account or author key is linked to one person. Unlink it there first, or give both actors the same directory_ref if they are one person.";
    LimitReached = "limit_reached", State, "Limit reached",
        "What one stream can hold of these is bounded. The detail says how many there are.";
    TooLarge = "too_large", Content, "Too large to record",
        "One event holds 256 KiB. Say it in fewer words, or in several parts.";
}

impl std::fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Refusal {
    pub fn new(code: RefusalCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), rows: Vec::new(), entry: None }
    }

    pub fn with_rows(mut self, rows: Vec<Row>) -> Self {
        self.rows = rows;
        self
    }

    /// The stable name of the rule: `gate_closed`.
    pub fn name(&self) -> &'static str {
        self.code.as_str()
    }
}
