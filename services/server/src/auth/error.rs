//! Why a caller is not believed: one named answer per rule, never holding a byte of the token.

/// A refusal of a token, or the reason why no answer can be given now.
///
/// Claim names in here come from configuration or from this code, never from the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("no token was sent")]
    TokenMissing,
    #[error("the token is larger than 8 KiB")]
    TokenTooLarge,
    #[error("the token is not a signed JSON Web Token in compact form")]
    Malformed,
    #[error("the token's header or claims name the same member twice")]
    DuplicateMember,
    #[error("the token's issuer is not configured here")]
    IssuerUnknown,
    #[error("the token's header has no usable `kid`")]
    KidMissing,
    #[error("the issuer publishes no usable key with the token's `kid`")]
    KeyUnknown,
    #[error("the token's algorithm is not the key's, or is not allowed for the issuer")]
    AlgorithmNotAllowed,
    #[error("the token's signature does not verify")]
    SignatureInvalid,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token was issued in the future")]
    IssuedInFuture,
    #[error("the token lives longer than its issuer may grant")]
    LifetimeTooLong,
    #[error("the token is meant for another audience")]
    AudienceMismatch,
    #[error("the claim `{claim}` is missing")]
    ClaimMissing { claim: String },
    #[error("the claim `{claim}` has the wrong type or an unacceptable value")]
    ClaimInvalid { claim: String },
    #[error("the token's `typ` is not the one configured for its issuer")]
    TypMismatch,
    #[error("the token's header has critical extensions, and none is supported")]
    CritUnsupported,
    #[error("the pipeline is refused: {}", .reason.code())]
    CiRefused { reason: CiRefusal },
    #[error("the token's `jti` was first used by another run")]
    JtiReused,
    #[error("the issuer's keys cannot be read at the moment")]
    KeysUnavailable,
}

impl AuthError {
    /// A stable name for problem details, metrics and the security log.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TokenMissing => "token_missing",
            Self::TokenTooLarge => "token_too_large",
            Self::Malformed => "malformed",
            Self::DuplicateMember => "duplicate_member",
            Self::IssuerUnknown => "issuer_unknown",
            Self::KidMissing => "kid_missing",
            Self::KeyUnknown => "key_unknown",
            Self::AlgorithmNotAllowed => "algorithm_not_allowed",
            Self::SignatureInvalid => "signature_invalid",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::IssuedInFuture => "issued_in_future",
            Self::LifetimeTooLong => "lifetime_too_long",
            Self::AudienceMismatch => "audience_mismatch",
            Self::ClaimMissing { .. } => "claim_missing",
            Self::ClaimInvalid { .. } => "claim_invalid",
            Self::TypMismatch => "typ_mismatch",
            Self::CritUnsupported => "crit_unsupported",
            Self::CiRefused { .. } => "ci_refused",
            Self::JtiReused => "jti_reused",
            Self::KeysUnavailable => "keys_unavailable",
        }
    }

    pub(super) fn missing(claim: &str) -> Self {
        Self::ClaimMissing { claim: claim.to_owned() }
    }

    pub(super) fn invalid(claim: &str) -> Self {
        Self::ClaimInvalid { claim: claim.to_owned() }
    }
}

/// Why a pipeline's token, although genuine, may not be used here.
///
/// The order is that of the checks: of several bindings for one repository, the one that came furthest names the
/// refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CiRefusal {
    /// The run was started by a pull request, whose author may be anybody.
    PullRequest,
    /// The run was started by a merge request, whose author may be anybody.
    MergeRequest,
    /// The run's own ref is not protected.
    RefUnprotected,
    /// No binding names the repository or project.
    RepositoryNotBound,
    /// The repository is bound under another owner.
    OwnerMismatch,
    /// The workflow or pipeline definition is not the bound one.
    WorkflowNotAllowed,
    /// The workflow or pipeline definition was not read from a protected ref.
    WorkflowRefNotProtected,
    /// The job does not run in a bound environment.
    EnvironmentNotAllowed,
    /// More runs are live than can be remembered; forgetting one would let its `jti` be bound again.
    TooManyLiveRuns,
}

impl CiRefusal {
    pub const fn code(self) -> &'static str {
        match self {
            Self::PullRequest => "pull_request",
            Self::MergeRequest => "merge_request",
            Self::RefUnprotected => "ref_unprotected",
            Self::RepositoryNotBound => "repository_not_bound",
            Self::OwnerMismatch => "owner_mismatch",
            Self::WorkflowNotAllowed => "workflow_not_allowed",
            Self::WorkflowRefNotProtected => "workflow_ref_not_protected",
            Self::EnvironmentNotAllowed => "environment_not_allowed",
            Self::TooManyLiveRuns => "too_many_live_runs",
        }
    }
}
