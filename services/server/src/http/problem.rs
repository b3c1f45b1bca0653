//! Every answer that is not a success: RFC 9457 problem details. The only file that knows status
//! codes of refusals.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, DerefMut};

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use eventlog::signer::Refused;
use eventlog::{ReadError, Revision};
use release::value::Name;
use release::verdict::{Cause, Row};
use release::wire::WireError;
use release::{Refusal, RefusalClass, RefusalCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::call::Caller;
use super::headers::{RATE_LIMIT, RATE_LIMIT_POLICY};
use crate::command::CommandError;
use crate::following::Behind;
use crate::format::Outdated;
use crate::join::JoinError;
use crate::limits::{Exhausted, Limits};
use crate::printed_names::NamesError;
use crate::quotas::OverQuota;
use crate::reserve::ReserveError;
use crate::streams::LoadError;
use crate::surroundings::SurroundingsError;
use crate::telemetry;
use crate::vault::{KeepError, PutError};

/// No text of a problem has more characters.
const TEXT_MAX: usize = 4000;

/// Problem details, `application/problem+json` (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Problem, title = "Problem", example = json!({
    "type": "/problems/gate_closed",
    "title": "Gate is closed",
    "status": 409,
    "detail": "step 2 opens when 1 earlier items are closed",
    "code": "gate_closed",
    "rows": [{"rule": "gate", "target": "default", "input": "item/1.3", "expected": "closed",
              "observed": "pending", "ok": false, "cause": "absent"}]
}))]
pub struct Details {
    /// A page of this service that explains the problem.
    #[serde(rename = "type")]
    #[schema(max_length = 74, pattern = "^/problems/[a-z_]{1,64}$")]
    pub kind: String,
    #[schema(max_length = 100)]
    pub title: Cow<'static, str>,
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    #[schema(max_length = 4000)]
    pub detail: String,
    /// The path of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 65_536)]
    pub instance: Option<String>,
    /// The stable name of the problem: for a refusal the name of the rule.
    #[schema(max_length = 64, pattern = "^[a-z_]{1,64}$")]
    pub code: &'static str,
    /// The W3C trace id of the request, found again in the server's log and traces.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 32, max_length = 32, pattern = "^[0-9a-f]{32}$")]
    pub trace_id: Option<String>,
    /// What went wrong inside, for the server's log alone.
    #[serde(skip)]
    pub cause: Option<String>,
    /// For bad input: where it is wrong. For a refused batch: which of its commands was refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 100)]
    pub errors: Vec<FieldError>,
    /// For a refusal: what the rule read, row by row.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 5000)]
    pub rows: Vec<Row>,
    /// For a quota: which, what is used, and what is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<OverQuota>,
    /// In a signer's answers alone: how many events it signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub signed: Option<u64>,
    #[serde(skip)]
    #[schema(ignore)]
    pub headers: Vec<(header::HeaderName, String)>,
}

/// An answer that is not a success; boxed, so that results stay small.
#[derive(Debug, Clone)]
pub struct Problem(Box<Details>);

impl Deref for Problem {
    type Target = Details;
    fn deref(&self) -> &Details {
        &self.0
    }
}

impl DerefMut for Problem {
    fn deref_mut(&mut self) -> &mut Details {
        &mut self.0
    }
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FieldError {
    /// RFC 6901 JSON Pointer into the body, or the name of a parameter or header.
    #[schema(max_length = 4000)]
    pub pointer: String,
    #[schema(max_length = 64, pattern = "^[a-z_]{1,64}$")]
    pub code: &'static str,
    #[schema(max_length = 4000)]
    pub detail: String,
}

/// Problems of the edge, beside the domain's refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    MalformedJson,
    MalformedYaml,
    InvalidBody,
    InvalidParameter,
    InvalidHeader,
    IdempotencyKeyRequired,
    IdempotencyKeyReused,
    IdempotencyInProgress,
    PreconditionFailed,
    Unauthenticated,
    KeysUnavailable,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    BodyTooLarge,
    BodyTooSlow,
    BodyCutShort,
    UnsupportedMediaType,
    RateLimited,
    QuotaExceeded,
    Contended,
    Busy,
    LogUnavailable,
    OutcomeUnknown,
    ShuttingDown,
    NodeOutdated,
    LogUnreadable,
    PositionNotReached,
    ViewsCatchingUp,
    PagesBusy,
    ReportsBusy,
    CheckpointPending,
    SignerOrigin,
    SignerSmaller,
    SignerBehind,
    SignerFork,
    SignerInconsistent,
    SignerClock,
    SignerUnable,
    ReleaseNotSealed,
    VaultFull,
    ContentRemoved,
    ContentLost,
    Internal,
}

impl Code {
    pub const ALL: &'static [Self] = &[
        Self::MalformedJson,
        Self::MalformedYaml,
        Self::InvalidBody,
        Self::InvalidParameter,
        Self::InvalidHeader,
        Self::IdempotencyKeyRequired,
        Self::IdempotencyKeyReused,
        Self::IdempotencyInProgress,
        Self::PreconditionFailed,
        Self::Unauthenticated,
        Self::KeysUnavailable,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::NotAcceptable,
        Self::BodyTooLarge,
        Self::BodyTooSlow,
        Self::BodyCutShort,
        Self::UnsupportedMediaType,
        Self::RateLimited,
        Self::QuotaExceeded,
        Self::Contended,
        Self::Busy,
        Self::LogUnavailable,
        Self::OutcomeUnknown,
        Self::ShuttingDown,
        Self::NodeOutdated,
        Self::LogUnreadable,
        Self::PositionNotReached,
        Self::ViewsCatchingUp,
        Self::PagesBusy,
        Self::ReportsBusy,
        Self::CheckpointPending,
        Self::SignerOrigin,
        Self::SignerSmaller,
        Self::SignerBehind,
        Self::SignerFork,
        Self::SignerInconsistent,
        Self::SignerClock,
        Self::SignerUnable,
        Self::ReleaseNotSealed,
        Self::VaultFull,
        Self::ContentRemoved,
        Self::ContentLost,
        Self::Internal,
    ];

    /// Name, status, title, explanation.
    pub fn entry(self) -> (&'static str, u16, &'static str, &'static str) {
        match self {
            Self::MalformedJson => (
                "malformed_json",
                400,
                "Body is not JSON",
                "The body could not be parsed. The error names line and column; data after its end is refused too.",
            ),
            Self::MalformedYaml => (
                "malformed_yaml",
                400,
                "Body is not YAML",
                "The body could not be parsed, or says what JSON cannot: an anchor, a tag, several documents. The error names line and column.",
            ),
            Self::InvalidBody => (
                "invalid_body",
                422,
                "Body does not fit the schema",
                "The body is JSON but a member is missing, unknown, there twice, of the wrong type or out of bounds. Each error points at the member.",
            ),
            Self::InvalidParameter => (
                "invalid_parameter",
                400,
                "Parameter is not valid",
                "A query or path parameter is unknown, repeated, or out of bounds. Each error names it.",
            ),
            Self::InvalidHeader => (
                "invalid_header",
                400,
                "Header is not valid",
                "A header this service reads has a value it cannot take. Each error names the header.",
            ),
            Self::IdempotencyKeyRequired => (
                "idempotency_key_required",
                400,
                "Idempotency-Key is required",
                "Creation, and every write with a CI token, needs an Idempotency-Key header so that it is safe to repeat.",
            ),
            Self::IdempotencyKeyReused => (
                "idempotency_key_reused",
                422,
                "Idempotency-Key was used before",
                "The key was recorded with another request by the same caller on the same stream. Use a new key for a new request.",
            ),
            Self::IdempotencyInProgress => (
                "idempotency_in_progress",
                409,
                "The same request is being recorded",
                "Another request with this key is still on its way to the log. Repeat it in a moment to get its answer.",
            ),
            Self::PreconditionFailed => (
                "precondition_failed",
                412,
                "What you read has changed",
                "If-Match names a revision older than the last decision, or one that does not exist. The rows are the events since then, at most 100. Read again, then decide.",
            ),
            Self::Unauthenticated => (
                "unauthenticated",
                401,
                "Not authenticated",
                "The request carries no bearer token that this service can verify. The detail names the rule that failed.",
            ),
            Self::KeysUnavailable => (
                "keys_unavailable",
                503,
                "Signing keys are not available",
                "The issuer's keys could not be read, so no token of it can be verified now. Repeat the request later.",
            ),
            Self::NotFound => (
                "not_found",
                404,
                "Not found",
                "There is nothing at this path, or it does not exist at the position or time asked for.",
            ),
            Self::MethodNotAllowed => (
                "method_not_allowed",
                405,
                "Method not allowed",
                "The resource does not take this method. The Allow header lists those it takes.",
            ),
            Self::NotAcceptable => (
                "not_acceptable",
                406,
                "Not acceptable",
                "The resource is not available in a media type the Accept header allows.",
            ),
            Self::BodyTooLarge => (
                "body_too_large",
                413,
                "Body is too large",
                "The body exceeds the limit of the resource (1 MiB, 8 MiB for samples, 32 MiB for attachments unless configured otherwise), or what it says does not fit one event of 256 KiB. Send it in parts.",
            ),
            Self::BodyTooSlow => {
                ("body_too_slow", 408, "Body came too slowly", "The body did not arrive within 30 seconds.")
            }
            Self::BodyCutShort => (
                "body_cut_short",
                400,
                "Body ended too early",
                "The connection ended, or broke, before all of the body had arrived. Nothing was stored; send it again.",
            ),
            Self::UnsupportedMediaType => (
                "unsupported_media_type",
                415,
                "Unsupported media type",
                "The body must be application/json in UTF-8; a procedure may also be application/yaml, an attachment anything that Content-Type names.",
            ),
            Self::RateLimited => (
                "rate_limited",
                429,
                "Too many requests",
                "The caller's share is used up, or that of its tenant. Retry-After says when the next request is taken.",
            ),
            Self::QuotaExceeded => (
                "quota_exceeded",
                409,
                "A quota of the tenant is used up",
                "The tenant has all that it may have of what `quota` names, and nothing was recorded. The detail says what makes room; an operator raises it in `[quotas]`. What stops a release, reports a fact or is done for an emergency is taken all the same.",
            ),
            Self::Contended => (
                "contended",
                503,
                "Too many writers",
                "The stream changed under every attempt to decide. Nothing was recorded; repeat the request.",
            ),
            Self::Busy => (
                "busy",
                503,
                "The log is busy",
                "The writer's queue is full. Nothing was recorded; repeat the request after Retry-After.",
            ),
            Self::LogUnavailable => (
                "log_unavailable",
                503,
                "The log cannot be reached",
                "The database that holds the log is away. Nothing was recorded; repeat the request after Retry-After. The node goes on by itself when it is back.",
            ),
            Self::OutcomeUnknown => (
                "outcome_unknown",
                503,
                "Outcome unknown",
                "It is not known whether the request was recorded. Repeat it with the same Idempotency-Key to find out and to finish it.",
            ),
            Self::ShuttingDown => (
                "shutting_down",
                503,
                "Shutting down",
                "This node is stopping. Nothing was recorded; repeat the request on another node or in a moment.",
            ),
            Self::NodeOutdated => (
                "node_outdated",
                503,
                "This node is older than the log",
                "The log has a format, or an event, that this node's program does not know, so it decides and answers nothing on it. Nothing was recorded; repeat the request on another node. An operator replaces this node's program with a newer one.",
            ),
            Self::LogUnreadable => (
                "log_unreadable",
                503,
                "The log cannot be read",
                "Reading the log failed on this node. Nothing was recorded; an operator finds the cause in the server's log.",
            ),
            Self::PositionNotReached => (
                "position_not_reached",
                503,
                "Position not reached",
                "This node has not read the log up to min_position yet, or up to what another node recorded before the request. Repeat it.",
            ),
            Self::ViewsCatchingUp => (
                "views_catching_up",
                503,
                "Lists are being rebuilt",
                "The read models have not caught up with the log since this node started. Single releases can be read.",
            ),
            Self::PagesBusy => (
                "pages_busy",
                503,
                "Pages are being set",
                "Reports are set as PDF one after the other, and this one waited for its turn in vain. Repeat the request, or read another form.",
            ),
            Self::ReportsBusy => (
                "reports_busy",
                503,
                "Reports of periods are being made",
                "Reports of periods are made one after the other, and eight wait already. Nothing was begun; repeat the request with its key after the time that Retry-After says.",
            ),
            Self::CheckpointPending => (
                "checkpoint_pending",
                503,
                "Not under a checkpoint yet",
                "What is asked for is recorded, and no published checkpoint covers it yet: it is not signed yet, or witnesses have not cosigned it. Repeat the request in a second, or wait with Prefer.",
            ),
            Self::SignerOrigin => (
                "signer_origin",
                409,
                "Checkpoint of another log",
                "A signer signs for the one log that its key is of.",
            ),
            Self::SignerSmaller => (
                "signer_smaller",
                409,
                "Fewer events than were signed",
                "The log was cut, or an older copy was put in its place. `signed` is how many events were signed.",
            ),
            Self::SignerBehind => (
                "signer_behind",
                409,
                "The proof begins elsewhere",
                "The proof has to begin at what was signed last, and `signed` is its size. Repeat it from there.",
            ),
            Self::SignerFork => (
                "signer_fork",
                409,
                "Another log of the same size was signed",
                "As many events were signed with another root: the log was rewritten.",
            ),
            Self::SignerInconsistent => (
                "signer_inconsistent",
                422,
                "The log does not begin with what was signed",
                "The proof does not lead from the root that was signed to the one that is asked for.",
            ),
            Self::SignerClock => (
                "signer_clock",
                503,
                "The signer's clock went back",
                "Nothing is signed at an earlier time than the last checkpoint. Set the signer's clock right.",
            ),
            Self::SignerUnable => (
                "signer_unable",
                503,
                "The signer cannot keep what it signs",
                "What was signed has to be durable before anybody has it. The detail names what failed.",
            ),
            Self::ReleaseNotSealed => (
                "release_not_sealed",
                409,
                "The release is not sealed",
                "A release is sealed when it is closed, aborted or superseded. Until then its events can be read one by one, and are not complete.",
            ),
            Self::VaultFull => (
                "vault_full",
                503,
                "The vault is full",
                "There is no room for more content. Nothing was stored; an operator raises `vault.quota_mib`.",
            ),
            Self::ContentRemoved => (
                "content_removed",
                410,
                "Content is past its retention",
                "The content was given up when its retention was over. Its hash, and who attached it, stay on record.",
            ),
            Self::ContentLost => (
                "content_lost",
                503,
                "Content is not in the vault",
                "The vault does not have what was attached, or has something else in its place. Attach the same content again, or have an operator restore it.",
            ),
            Self::Internal => (
                "internal",
                500,
                "Internal error",
                "Something failed that should not. The trace id finds it in the server's log.",
            ),
        }
    }
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let (name, status, title, _) = code.entry();
        Self(Box::new(Details {
            kind: format!("/problems/{name}"),
            title: title.into(),
            status,
            detail: bounded(detail.into()),
            instance: None,
            code: name,
            trace_id: None,
            cause: None,
            errors: Vec::new(),
            rows: Vec::new(),
            quota: None,
            signed: None,
            headers: if status == 503 { vec![(header::RETRY_AFTER, "1".to_owned())] } else { Vec::new() },
        }))
    }

    pub fn field(code: Code, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let detail = bounded(detail.into());
        let mut problem = Self::new(code, detail.clone());
        let code = problem.code;
        problem.errors.push(FieldError { pointer: bounded(pointer.into()), code, detail });
        problem
    }

    /// 429, with what the caller needs to come back in time.
    pub fn rate_limited(limits: &Limits, exhausted: Exhausted) -> Self {
        let Exhausted { kind, retry_after_s } = exhausted;
        let detail = format!("the limit of {} requests is reached", kind.as_str());
        Self::new(Code::RateLimited, detail)
            .with_header(header::RETRY_AFTER, retry_after_s.to_string())
            .with_header(RATE_LIMIT_POLICY, String::from_utf8_lossy(limits.policy(kind)))
            .with_header(RATE_LIMIT, format!("\"{}\";r=0;t={retry_after_s}", kind.as_str()))
    }

    pub fn with_header(mut self, name: header::HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same problem, saying which request it answers.
    pub fn at(mut self, request: &HttpRequest) -> Self {
        self.instance = Some(request.path().to_owned());
        self.trace_id = Some(telemetry::request_trace(request).to_string());
        self
    }

    /// The same problem, saying whose request it answers.
    pub fn on(mut self, caller: &Caller) -> Self {
        self.instance = Some(caller.path.clone());
        self.trace_id = Some(caller.trace.to_string());
        self
    }

    pub fn internal(error: &dyn fmt::Display) -> Self {
        Self::new(Code::Internal, "see the server's log").because(error)
    }

    /// The detail is what the database, or the way to it, said; it holds no secret.
    pub fn log_unavailable(reason: impl Into<String>) -> Self {
        Self::new(Code::LogUnavailable, reason).with_header(header::RETRY_AFTER, "1")
    }

    fn because(mut self, cause: &dyn fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }
}

/// A detail may quote what the caller sent, which may be long.
fn bounded(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(TEXT_MAX) {
        text.truncate(end);
    }
    text
}

/// The status code of every refusal; the domain knows only what kind of no it is.
pub fn status(refusal: RefusalCode) -> StatusCode {
    match refusal.class() {
        RefusalClass::Unknown => StatusCode::NOT_FOUND,
        RefusalClass::Forbidden => StatusCode::FORBIDDEN,
        RefusalClass::State => StatusCode::CONFLICT,
        RefusalClass::Content => StatusCode::UNPROCESSABLE_ENTITY,
        RefusalClass::Precondition => StatusCode::PRECONDITION_FAILED,
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let entry = refusal.entry.map(|entry| FieldError {
            pointer: format!("/commands/{entry}"),
            code: refusal.code.as_str(),
            detail: bounded(refusal.detail.clone()),
        });
        Self(Box::new(Details {
            kind: format!("/problems/{}", refusal.code),
            title: refusal.code.title().into(),
            status: status(refusal.code).as_u16(),
            detail: bounded(refusal.detail),
            instance: None,
            code: refusal.code.as_str(),
            trace_id: None,
            cause: None,
            errors: entry.into_iter().collect(),
            rows: refusal.rows,
            quota: None,
            signed: None,
            headers: Vec::new(),
        }))
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let (code, signed) = match refused {
            Refused::Origin { .. } => (Code::SignerOrigin, None),
            Refused::Smaller { signed, .. } => (Code::SignerSmaller, Some(signed)),
            Refused::Behind { signed } => (Code::SignerBehind, Some(signed)),
            Refused::Fork { size } => (Code::SignerFork, Some(size)),
            Refused::Inconsistent { signed, .. } => (Code::SignerInconsistent, Some(signed)),
            Refused::Clock { .. } => (Code::SignerClock, None),
            Refused::State(_) | Refused::Told(_) | Refused::Unanswered(_) => (Code::SignerUnable, None),
        };
        let mut problem = Self::new(code, refused.to_string());
        problem.signed = signed;
        problem
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Closed => Self::new(Code::ShuttingDown, "the log is closed"),
            ReadError::Unavailable(reason) => Self::log_unavailable(reason),
            ReadError::Engine(_) | ReadError::Damaged { .. } => {
                Self::new(Code::LogUnreadable, "see the server's log").because(&error)
            }
        }
    }
}

impl From<Behind> for Problem {
    fn from(error: Behind) -> Self {
        match error {
            Behind::Read(error) => error.into(),
            Behind::NotReached(_) => Self::new(Code::PositionNotReached, error.to_string()),
            Behind::Stale(_) => Self::log_unavailable(error.to_string()),
        }
    }
}

impl From<Outdated> for Problem {
    fn from(outdated: Outdated) -> Self {
        Self::new(Code::NodeOutdated, outdated.to_string())
    }
}

impl From<LoadError> for Problem {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Event { error: unknown @ WireError::Unknown { .. }, .. } => {
                Self::new(Code::NodeOutdated, unknown.to_string())
            }
            LoadError::Read(error @ (ReadError::Unavailable(_) | ReadError::Closed)) => error.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<SurroundingsError> for Problem {
    fn from(error: SurroundingsError) -> Self {
        match error {
            SurroundingsError::Load(error) => error.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<KeepError> for Problem {
    fn from(error: KeepError) -> Self {
        match error {
            KeepError::Full => Self::new(Code::VaultFull, "the vault's quota is used up"),
            KeepError::Io(error) => Self::internal(&error),
        }
    }
}

impl From<NamesError> for Problem {
    fn from(error: NamesError) -> Self {
        match error {
            NamesError::Load(error) => error.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<PutError<Problem>> for Problem {
    fn from(error: PutError<Problem>) -> Self {
        match error {
            PutError::TooLarge(limit) => Self::new(Code::BodyTooLarge, format!("at most {limit} bytes")),
            PutError::Content(problem) => problem,
            PutError::Keep(error) => error.into(),
        }
    }
}

impl From<OverQuota> for Problem {
    fn from(over: OverQuota) -> Self {
        let mut problem = Self::new(Code::QuotaExceeded, over.to_string());
        problem.headers.extend(over.retry_after_s.map(|s| (header::RETRY_AFTER, s.to_string())));
        problem.quota = Some(over);
        problem
    }
}

impl From<JoinError> for Problem {
    fn from(error: JoinError) -> Self {
        Self::internal(&error)
    }
}

impl From<ReserveError> for Problem {
    fn from(error: ReserveError) -> Self {
        match error {
            ReserveError::Command(error) => error.into(),
            ReserveError::Surroundings(error) => error.into(),
        }
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Refused(refusal) => refusal.into(),
            CommandError::PreconditionFailed { current, given, since } => {
                let current = current.map_or_else(|| "none".to_owned(), |revision| format!("r{revision}"));
                let mut problem = Self::new(
                    Code::PreconditionFailed,
                    format!("If-Match says r{given}; the last decision is {current}"),
                );
                let row = |(revision, event_type): (Revision, String)| {
                    let input = format!("event/r{revision}");
                    let expected = format!("nothing after r{given}");
                    let target = Name::default_target();
                    Row::failed("if_match", &target, input, expected, event_type, Cause::Stale)
                };
                problem.rows = since.into_iter().map(row).collect();
                problem.with_header(header::ETAG, format!("\"{current}\""))
            }
            CommandError::KeyReused => {
                Self::new(Code::IdempotencyKeyReused, "the key was recorded with another request")
            }
            CommandError::OverQuota(over) => over.into(),
            CommandError::DuplicateInFlight => {
                Self::new(Code::IdempotencyInProgress, "the first request is still being recorded")
                    .with_header(header::RETRY_AFTER, "1")
            }
            CommandError::Contended => Self::new(Code::Contended, "decided 8 times against a moving stream"),
            CommandError::Busy => Self::new(Code::Busy, "the writer's queue is full"),
            CommandError::Unavailable(reason) => Self::log_unavailable(reason),
            CommandError::OutcomeUnknown(reason) => {
                Self::new(Code::OutcomeUnknown, "the log did not confirm the request").because(&reason)
            }
            CommandError::Closed => Self::new(Code::ShuttingDown, "the log is closed"),
            CommandError::Outdated(outdated) => outdated.into(),
            CommandError::Load(error) => error.into(),
            CommandError::TooLarge(detail) => Self::new(Code::BodyTooLarge, detail),
            CommandError::Unwritable(error) => Self::internal(&error),
        }
    }
}

/// The code of the problem that a command ends with.
pub fn code_of(error: &CommandError) -> &'static str {
    let code = match error {
        CommandError::Refused(refusal) => return refusal.code.as_str(),
        CommandError::PreconditionFailed { .. } => Code::PreconditionFailed,
        CommandError::KeyReused => Code::IdempotencyKeyReused,
        CommandError::OverQuota(_) => Code::QuotaExceeded,
        CommandError::DuplicateInFlight => Code::IdempotencyInProgress,
        CommandError::Contended => Code::Contended,
        CommandError::Busy => Code::Busy,
        CommandError::Unavailable(_) | CommandError::Load(LoadError::Read(ReadError::Unavailable(_))) => {
            Code::LogUnavailable
        }
        CommandError::OutcomeUnknown(_) => Code::OutcomeUnknown,
        CommandError::Closed => Code::ShuttingDown,
        CommandError::TooLarge(_) => Code::BodyTooLarge,
        CommandError::Outdated(_)
        | CommandError::Load(LoadError::Event { error: WireError::Unknown { .. }, .. }) => Code::NodeOutdated,
        CommandError::Load(_) | CommandError::Unwritable(_) => Code::Internal,
    };
    code.entry().0
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.code, self.detail)
    }
}

/// What of a problem is not in the answer's head, for whoever sees only the answer.
#[derive(Debug, Clone)]
pub struct Said {
    pub code: &'static str,
    pub trace_id: Option<String>,
    pub cause: Option<String>,
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        for (name, value) in &self.headers {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.insert_header((name.clone(), value));
            }
        }
        if self.status == StatusCode::UNAUTHORIZED.as_u16() {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        let (trace_id, cause) = (self.trace_id.clone(), self.cause.clone());
        response.extensions_mut().insert(Said { code: self.code, trace_id, cause });
        // Nothing in a problem fails to serialise; an empty body still carries the status.
        response.body(serde_json::to_vec(&self.0).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use eventlog::Position;

    use super::*;

    #[test]
    fn only_a_closed_log_is_called_shutting_down() {
        let damaged = ReadError::Damaged { position: Position(7), what: "hash".to_owned() };
        for (error, code) in [
            (ReadError::Closed, "shutting_down"),
            (ReadError::Engine("disk".to_owned()), "log_unreadable"),
            (ReadError::Unavailable("network".to_owned()), "log_unavailable"),
            (damaged, "log_unreadable"),
        ] {
            assert_eq!(Problem::from(error).code, code);
        }
    }
}
