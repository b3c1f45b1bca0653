//! One extractor for every endpoint: authenticate, then path, query, headers and body, in that order,
//! so that nobody learns anything before they are known.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderName};
use actix_web::web::{Bytes, BytesMut, Data, Path};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use eventlog::Revision;
use futures_util::StreamExt;
use jiff::Timestamp;
use release::strict::{self, Strict};
use release::value::{ActorId, ItemNumber, KeyId, Name, ReleaseId};
use release::{Actor, ActorKind, Role, role_missing};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::accept::{self, acceptable};
use super::problem::{Code, Problem};
use super::route::Route;
use crate::app::App;
use crate::auth::{AuthError, Principal, PrincipalKind};
use crate::command::Envelope;
use crate::limits::{Allowance, Exhausted};
use crate::quotas::{self, OverQuota, Quota, Turn};
use crate::telemetry::{self, TraceId};

/// Largest body of an ordinary request.
pub const BODY_LIMIT: usize = 1024 * 1024;
/// Largest body of a batch of metric samples.
pub const SAMPLES_LIMIT: usize = 8 * 1024 * 1024;
/// JSON numbers are exact up to 2^53 - 1.
pub const INTEGER_MAX: u64 = (1 << 53) - 1;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// A body that has not arrived by then is given up.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// A request by somebody known: path `P`, body `B`, query `Q`.
pub struct Call<P = (), B = NoBody, Q = NoQuery> {
    pub caller: Caller,
    pub path: P,
    pub body: B,
    pub query: Q,
}

/// Who calls, and what the headers say of repetition and preconditions.
pub struct Caller {
    pub principal: Arc<Principal>,
    /// By the machine's clock, as the token's times are.
    pub signed_in_s_ago: Option<u64>,
    pub idempotency_key: Option<String>,
    pub if_match: Option<Revision>,
    pub if_none_match: Option<String>,
    pub dry_run: bool,
    /// What a read has to include.
    pub min_position: Option<u64>,
    /// A quota of the tenant that has no room for what is asked.
    pub over_quota: Option<OverQuota>,
    pub path: String,
    pub request_id: Option<String>,
    pub trace: TraceId,
}

/// What the edge has found out about a request, for what is added to its answer.
pub struct Known {
    pub principal: Arc<Principal>,
    pub allowance: Option<Allowance>,
}

/// For endpoints that take no query parameters: any is refused.
#[derive(Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct NoQuery {}

/// Query of every command.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DryRun {
    #[serde(default)]
    pub dry_run: bool,
}

/// What a query string is made of.
pub trait FromQuery: DeserializeOwned + 'static {
    /// What the resource answers, in the order it prefers.
    const ANSWERS: &'static [&'static str] = &[accept::JSON];

    /// Whether the command is only to be decided.
    fn dry_run(&self) -> bool {
        false
    }
}

impl FromQuery for NoQuery {}

/// No query, of a resource that is a file; when it refuses, it says so in JSON.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfFile {}

impl FromQuery for OfFile {
    const ANSWERS: &'static [&'static str] = &[accept::FILE, accept::JSON];
}

impl FromQuery for DryRun {
    fn dry_run(&self) -> bool {
        self.dry_run
    }
}

/// What a body is made of.
pub trait FromBody: Sized + 'static {
    const LIMIT: usize = BODY_LIMIT;
    fn from_body(content_type: Option<&str>, bytes: &[u8]) -> Result<Self, Problem>;
}

/// For endpoints that take no body; an empty one, or an empty object, is accepted.
pub struct NoBody;

impl FromBody for NoBody {
    fn from_body(_: Option<&str>, bytes: &[u8]) -> Result<Self, Problem> {
        match bytes.trim_ascii() {
            b"" | b"{}" => Ok(Self),
            _ => Err(Problem::field(Code::InvalidBody, "", "this operation takes no body")),
        }
    }
}

/// A JSON body.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + 'static> FromBody for Json<T> {
    fn from_body(content_type: Option<&str>, bytes: &[u8]) -> Result<Self, Problem> {
        json_content(content_type)?;
        parse_json(bytes).map(Json)
    }
}

/// A JSON body that may be left out when every member is optional.
pub struct OptionalJson<T>(pub T);

impl<T: DeserializeOwned + 'static> FromBody for OptionalJson<T> {
    fn from_body(content_type: Option<&str>, bytes: &[u8]) -> Result<Self, Problem> {
        if bytes.trim_ascii().is_empty() {
            return parse_json(b"{}").map(OptionalJson);
        }
        json_content(content_type)?;
        parse_json(bytes).map(OptionalJson)
    }
}

/// A JSON body that may be as large as a batch of metric samples.
pub struct Samples<T>(pub T);

impl<T: DeserializeOwned + 'static> FromBody for Samples<T> {
    const LIMIT: usize = SAMPLES_LIMIT;
    fn from_body(content_type: Option<&str>, bytes: &[u8]) -> Result<Self, Problem> {
        Json::from_body(content_type, bytes).map(|Json(body)| Self(body))
    }
}

fn json_content(content_type: Option<&str>) -> Result<(), Problem> {
    let media_type = content_type.unwrap_or("application/json").split(';').next().unwrap_or_default();
    if media_type.trim().eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::new(Code::UnsupportedMediaType, format!("{media_type} is not application/json")))
}

/// Strict JSON: types bound their own content, unknown and duplicate members and trailing data are
/// refused, and the error points at the member.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Keeping track of the path costs as much again, so it is done only when there is something to point at.
    let value = match strict::from_slice(bytes) {
        Ok(value) => value,
        Err(_) => parse_with_path(bytes)?,
    };
    if let Some(offset) = inexact_integer(bytes) {
        let detail = format!("whole numbers are at most {INTEGER_MAX}");
        return Err(Problem::field(Code::InvalidBody, place_at(bytes, offset), detail));
    }
    Ok(value)
}

fn parse_with_path<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(Strict(&mut json)).map_err(|error| {
        let mut pointer = json_pointer(error.path());
        let inner = error.into_inner();
        match inner.classify() {
            serde_json::error::Category::Data => {
                let message = inner.to_string();
                // The path ends at the object that has it twice.
                if let Some(member) = duplicate(&message) {
                    push_segment(&mut pointer, member);
                }
                Problem::field(Code::InvalidBody, pointer, without_place(&message))
            }
            _ => Problem::field(Code::MalformedJson, "", inner.to_string()),
        }
    })?;
    json.end().map_err(|error| Problem::field(Code::MalformedJson, "", error.to_string()))?;
    Ok(value)
}

/// Where in valid JSON there is a whole number that some reader of it would round.
fn inexact_integer(json: &[u8]) -> Option<usize> {
    let mut rest = json;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'"' => {
                while let Some((&byte, after)) = rest.split_first() {
                    rest = if byte == b'\\' { after.get(1..).unwrap_or_default() } else { after };
                    if byte == b'"' {
                        break;
                    }
                }
            }
            b'0'..=b'9' => {
                let in_number = |b: &u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-');
                let start = json.len() - rest.len() - 1;
                let length = 1 + rest.iter().take_while(|b| in_number(b)).count();
                let (number, after) = json[start..].split_at(length);
                rest = after;
                let whole =
                    number.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(number)).transpose();
                if let Ok(Some(digits)) = whole
                    && digits.parse::<u64>().ok().is_none_or(|number| number > INTEGER_MAX)
                {
                    return Some(start);
                }
            }
            _ => {}
        }
    }
    None
}

/// RFC 6901 pointer to the value that stands at an offset of valid JSON.
fn place_at(json: &[u8], offset: usize) -> String {
    enum Within {
        Object(String),
        Array(usize),
    }
    let mut within = Vec::new();
    let mut at = 0;
    while at < offset {
        let rest = json.get(at..).unwrap_or_default();
        at += 1;
        match rest.first() {
            Some(b'{') => within.push(Within::Object(String::new())),
            Some(b'[') => within.push(Within::Array(0)),
            Some(b'}' | b']') => drop(within.pop()),
            Some(b',') => {
                if let Some(Within::Array(index)) = within.last_mut() {
                    *index += 1;
                }
            }
            Some(b'"') => {
                let mut strings = serde_json::Deserializer::from_slice(rest).into_iter::<String>();
                let text = strings.next().and_then(Result::ok).unwrap_or_default();
                at += strings.byte_offset().saturating_sub(1);
                // Of the strings on the way to a value of an object, the last one is its name.
                if let Some(Within::Object(name)) = within.last_mut() {
                    *name = text;
                }
            }
            _ => {}
        }
    }
    let mut pointer = String::new();
    for one in within {
        match one {
            Within::Object(name) => push_segment(&mut pointer, &name),
            Within::Array(index) => push_segment(&mut pointer, &index.to_string()),
        }
    }
    pointer
}

/// The member that serde says an object has twice.
fn duplicate(message: &str) -> Option<&str> {
    message.strip_prefix("duplicate field `")?.split('`').next()
}

/// A whole number of a query that every reader of JSON keeps exactly.
pub fn exact_integer<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let number = Option::<u64>::deserialize(deserializer)?;
    if number.is_some_and(|number| number > INTEGER_MAX) {
        return Err(serde::de::Error::custom(format!("whole numbers are at most {INTEGER_MAX}")));
    }
    Ok(number)
}

/// The same, of one that has to be there.
pub fn exact<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let missing = || serde::de::Error::custom("a whole number");
    exact_integer(deserializer)?.ok_or_else(missing)
}

/// serde_json appends a place in the text, which the pointer says better.
pub fn without_place(message: &str) -> &str {
    message.rsplit_once(" at line ").map_or(message, |(message, _)| message)
}

/// RFC 6901 pointer to where deserialising failed.
pub fn json_pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => push_segment(&mut pointer, &index.to_string()),
            Segment::Map { key } => push_segment(&mut pointer, key),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

fn push_segment(pointer: &mut String, segment: &str) {
    pointer.push('/');
    pointer.push_str(&segment.replace('~', "~0").replace('/', "~1"));
}

/// What a path's variables name.
pub trait FromPath: Sized + 'static {
    fn from_path(request: &HttpRequest) -> Result<Self, Problem>;
}

impl FromPath for () {
    fn from_path(_: &HttpRequest) -> Result<Self, Problem> {
        Ok(())
    }
}

fn segment<'r>(request: &'r HttpRequest, name: &str) -> &'r str {
    request.match_info().get(name).unwrap_or_default()
}

fn not_found(what: &str) -> Problem {
    Problem::new(Code::NotFound, what.to_owned())
}

impl FromPath for ReleaseId {
    fn from_path(request: &HttpRequest) -> Result<Self, Problem> {
        Self::new(segment(request, "release")).map_err(|error| not_found(error.0))
    }
}

impl FromPath for Name {
    fn from_path(request: &HttpRequest) -> Result<Self, Problem> {
        let name = request.match_info().iter().next().map_or("", |(_, value)| value);
        Self::new(name).map_err(|error| not_found(error.0))
    }
}

impl FromPath for (ReleaseId, ItemNumber) {
    fn from_path(request: &HttpRequest) -> Result<Self, Problem> {
        let item = ItemNumber::new(segment(request, "item")).map_err(|error| not_found(error.0))?;
        Ok((ReleaseId::from_path(request)?, item))
    }
}

impl FromPath for (ReleaseId, ItemNumber, Uuid) {
    fn from_path(request: &HttpRequest) -> Result<Self, Problem> {
        let (release, item) = FromPath::from_path(request)?;
        Ok((release, item, uuid(request)?))
    }
}

impl FromPath for (ReleaseId, Uuid) {
    fn from_path(request: &HttpRequest) -> Result<Self, Problem> {
        Ok((ReleaseId::from_path(request)?, uuid(request)?))
    }
}

impl FromPath for (ReleaseId, u32) {
    fn from_path(request: &HttpRequest) -> Result<Self, Problem> {
        Ok((ReleaseId::from_path(request)?, number(request)?))
    }
}

impl FromPath for (Name, Name) {
    fn from_path(request: &HttpRequest) -> Result<Self, Problem> {
        let environment = Name::new(segment(request, "environment")).map_err(|error| not_found(error.0))?;
        Ok((Name::from_path(request)?, environment))
    }
}

impl FromPath for (Uuid, Uuid) {
    fn from_path(request: &HttpRequest) -> Result<Self, Problem> {
        let report = segment(request, "report");
        let known = Uuid::try_parse(report).ok().filter(|id| is_canonical(id, report));
        let known = known.ok_or_else(|| not_found("an id is a UUID in lower case"))?;
        Ok((known, uuid(request)?))
    }
}

impl FromPath for ActorId {
    fn from_path(request: &HttpRequest) -> Result<Self, Problem> {
        // An id holds slashes and a #, which the router leaves encoded.
        let decoded = Path::<String>::from_request(request, &mut Payload::None).into_inner();
        let actor = decoded.ok().and_then(|actor| Self::new(&actor).ok());
        actor.ok_or_else(|| not_found("an actor is an issuer, # and a subject, percent-encoded"))
    }
}

impl FromPath for KeyId {
    fn from_path(request: &HttpRequest) -> Result<Self, Problem> {
        Self::new(last_segment(request)).map_err(|error| not_found(error.0))
    }
}

impl FromPath for Uuid {
    fn from_path(request: &HttpRequest) -> Result<Self, Problem> {
        uuid(request)
    }
}

impl FromPath for (Name, u32) {
    fn from_path(request: &HttpRequest) -> Result<Self, Problem> {
        Ok((Name::from_path(request)?, number(request)?))
    }
}

/// One thing has one URL, so only the form this service writes is taken.
pub fn is_canonical(value: &impl ToString, text: &str) -> bool {
    value.to_string() == text
}

fn last_segment(request: &HttpRequest) -> &str {
    request.match_info().iter().last().map_or("", |(_, value)| value)
}

/// The last variable of the path, as an id this service gave.
fn uuid(request: &HttpRequest) -> Result<Uuid, Problem> {
    let id = Uuid::try_parse(last_segment(request)).ok();
    id.filter(|id| is_canonical(id, last_segment(request)))
        .ok_or_else(|| not_found("an id is a UUID in lower case"))
}

/// The last variable of the path, as a number without a leading zero.
fn number(request: &HttpRequest) -> Result<u32, Problem> {
    let number = last_segment(request).parse().ok();
    number
        .filter(|number| is_canonical(number, last_segment(request)))
        .ok_or_else(|| not_found("a number from 1"))
}

impl<P: FromPath, B: FromBody, Q: FromQuery> FromRequest for Call<P, B, Q> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move {
            let read = async {
                let mut caller = authenticate(&request).await?;
                acceptable(&request, Q::ANSWERS)?;
                let path = P::from_path(&request)?;
                let (query, min_position) = of_query::<Q>(&request)?;
                (caller.dry_run, caller.min_position) = (query.dry_run(), min_position);
                let content_type =
                    request.headers().get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"));
                let bytes = body(&request, payload, B::LIMIT).await?;
                let body = B::from_body(content_type, &bytes)?;
                up_to_date(&request, min_position).await?;
                Ok(Self { caller, path, body, query })
            };
            read.await.map_err(|problem: Problem| problem.at(&request))
        })
    }
}

/// A command is decided on all that was recorded before it, on whichever node; a reader waits for the position that
/// they ask for, and is not told what is too old.
pub(super) async fn up_to_date(request: &HttpRequest, min_position: Option<u64>) -> Result<(), Problem> {
    let Some(app) = request.app_data::<Data<App>>() else { return Ok(()) };
    if !request.method().is_safe() {
        app.holds_all().await?;
    } else {
        app.is_current()?;
        if let Some(position) = min_position {
            app.reaches(position).await?;
        }
    }
    // Looked at last, because what was waited for may be what this program does not know.
    Ok(app.format.check()?)
}

/// For endpoints that read no body and check no path: just who calls.
pub(super) async fn authenticate(request: &HttpRequest) -> Result<Caller, Problem> {
    let app = request
        .app_data::<Data<App>>()
        .ok_or_else(|| Problem::new(Code::Internal, "the service is not set up"))?;
    let principal = verified(app, request).await.map_err(|error| refused_token(app, request, &error))?;
    let limited = |exhausted: Exhausted| {
        app.metrics.rate_limited(exhausted.kind);
        Problem::rate_limited(&app.limits, exhausted)
    };
    let route = Route::of(request);
    let allowance = if request.method().is_safe() {
        app.limits.read(&principal.id, &principal.tenant).map_err(limited)?
    } else if route.is_some_and(|route| route.unlimited) {
        None
    } else {
        app.limits.write(&principal.id, &principal.tenant).map_err(limited)?
    };
    request.extensions_mut().insert(Known { principal: Arc::clone(&principal), allowance });
    let over_quota = if request.method().is_safe() || route.is_some_and(|route| route.within_any_quota) {
        None
    } else {
        quotas::events(app, &principal.tenant).await
    };
    let now = app.clock.real();
    let ago = |at: Timestamp| u64::try_from(now.duration_since(at).as_secs()).unwrap_or(0);
    Ok(Caller {
        signed_in_s_ago: principal.auth_time.map(ago),
        principal,
        idempotency_key: idempotency_key(request)?,
        if_match: if_match(request)?,
        if_none_match: text_header(request, &header::IF_NONE_MATCH, 200)?.map(str::to_owned),
        dry_run: false,
        min_position: None,
        over_quota,
        path: request.path().to_owned(),
        request_id: text_header(request, &REQUEST_ID, 128)?.map(str::to_owned),
        trace: telemetry::request_trace(request),
    })
}

async fn verified(app: &App, request: &HttpRequest) -> Result<Arc<Principal>, AuthError> {
    let token = bearer(request).ok_or(AuthError::TokenMissing)?;
    let now = app.clock.real();
    if let Some(principal) = app.verifier.cached(token, now) {
        app.metrics.tokens_cached.inc();
        return Ok(principal);
    }
    let principal = app.verifier.verify(token, now).await?;
    app.metrics.tokens_verified.inc();
    Ok(principal)
}

/// Why nobody is known. Whoever keeps trying from one address is told to come back later; a good token is
/// looked at before that, so that nobody can lock out others behind the same address.
fn refused_token(app: &App, request: &HttpRequest, error: &AuthError) -> Problem {
    app.metrics.token_refused(error);
    let address = request.peer_addr().map(|peer| peer.ip());
    match error {
        AuthError::KeysUnavailable => return Problem::new(Code::KeysUnavailable, error.to_string()),
        _ => tracing::debug!(?address, reason = error.code(), "a request without a good token"),
    }
    if let Some(Err(exhausted)) = address.map(|address| app.limits.unauthenticated(address)) {
        app.metrics.rate_limited(exhausted.kind);
        return Problem::rate_limited(&app.limits, exhausted);
    }
    let detail = match error {
        AuthError::TokenMissing => "send Authorization: Bearer and a token".to_owned(),
        error => error.to_string(),
    };
    Problem::new(Code::Unauthenticated, detail)
}

fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?;
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn text_header<'r>(
    request: &'r HttpRequest,
    name: &HeaderName,
    max: usize,
) -> Result<Option<&'r str>, Problem> {
    let Some(value) = request.headers().get(name) else { return Ok(None) };
    match value.to_str() {
        Ok(text) if (1..=max).contains(&text.len()) => Ok(Some(text)),
        _ => {
            let detail = format!("1 to {max} visible ASCII characters");
            Err(Problem::field(Code::InvalidHeader, name.as_str(), detail))
        }
    }
}

/// Bare, or quoted as a structured-field string.
fn idempotency_key(request: &HttpRequest) -> Result<Option<String>, Problem> {
    let Some(text) = text_header(request, &IDEMPOTENCY_KEY, 255)? else { return Ok(None) };
    let key = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    if key.is_empty() || key.contains('"') {
        return Err(Problem::field(
            Code::InvalidHeader,
            "idempotency-key",
            "a key, bare or in double quotes",
        ));
    }
    Ok(Some(key.to_owned()))
}

fn if_match(request: &HttpRequest) -> Result<Option<Revision>, Problem> {
    let Some(text) = text_header(request, &header::IF_MATCH, 64)? else { return Ok(None) };
    let revision = text.strip_prefix("\"r").and_then(|rest| rest.strip_suffix('"')).map(str::parse);
    match revision {
        Some(Ok(revision)) => Ok(Some(Revision(revision))),
        _ => {
            Err(Problem::field(Code::InvalidHeader, "if-match", "one ETag of this service, \"r<revision>\""))
        }
    }
}

pub(super) fn query<Q: DeserializeOwned>(request: &HttpRequest) -> Result<Q, Problem> {
    read_query(request.query_string())
}

fn read_query<Q: DeserializeOwned>(query: &str) -> Result<Q, Problem> {
    let wrong = |name: &str, detail: String| Problem::field(Code::InvalidParameter, name, detail);
    let read = actix_web::web::Query::<Named<Q>>::from_query(query);
    let Named(read) = read.map_err(|error| wrong("query", error.to_string()))?.into_inner();
    read.map_err(|(name, detail)| wrong(&name, detail))
}

/// Every read takes `min_position`, beside what its own query is.
fn of_query<Q: DeserializeOwned>(request: &HttpRequest) -> Result<(Q, Option<u64>), Problem> {
    #[derive(Deserialize)]
    struct Waits {
        #[serde(default, deserialize_with = "exact_integer")]
        min_position: Option<u64>,
    }
    let query = request.query_string();
    if !request.method().is_safe() {
        return Ok((read_query(query)?, None));
    }
    let (waits, own): (Vec<_>, Vec<_>) =
        query.split('&').partition(|part| part.split('=').next() == Some("min_position"));
    let Waits { min_position } = read_query(&waits.join("&"))?;
    Ok((read_query(&own.join("&"))?, min_position))
}

/// A query, or the name of the parameter that is wrong and why.
struct Named<Q>(Result<Q, (String, String)>);

impl<'de, Q: Deserialize<'de>> Deserialize<'de> for Named<Q> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read = serde_path_to_error::deserialize(from).map_err(|error| {
            let path = error.path().to_string();
            let detail = error.into_inner().to_string();
            let name = duplicate(&detail).or(missing(&detail)).map_or(path, str::to_owned);
            (name, detail)
        });
        Ok(Self(read))
    }
}

/// The member that serde says is not there.
fn missing(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.split('`').next()
}

pub(crate) async fn body(
    request: &HttpRequest,
    mut payload: Payload,
    limit: usize,
) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(Code::BodyTooLarge, format!("at most {limit} bytes"));
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|length| length.parse::<usize>().ok())
        .unwrap_or(0);
    if announced > limit {
        return Err(too_large());
    }
    let read = async {
        let mut bytes = BytesMut::with_capacity(announced);
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| Problem::new(Code::MalformedJson, error.to_string()))?;
            if bytes.len() + chunk.len() > limit {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    };
    let mut read = std::pin::pin!(read);
    // Most bodies are here already and need no timer.
    if let std::task::Poll::Ready(bytes) = futures_util::poll!(read.as_mut()) {
        return bytes;
    }
    tokio::time::timeout(BODY_DEADLINE, read)
        .await
        .unwrap_or_else(|_| Err(Problem::new(Code::BodyTooSlow, "the body did not arrive in time")))
}

impl Caller {
    /// The caller with the roles that hold for one product.
    pub fn actor(&self, product: Option<&str>) -> Result<Actor, Problem> {
        Ok(Actor {
            id: ActorId::new(&self.principal.id)
                .map_err(|error| Problem::new(Code::Unauthenticated, error.to_string()))?,
            kind: match self.principal.kind {
                PrincipalKind::Person => ActorKind::Person,
                PrincipalKind::Machine => ActorKind::Machine,
            },
            roles: self.principal.roles_for(product),
            author_keys: Vec::new(),
            signed_in_s_ago: self.signed_in_s_ago,
        })
    }

    /// Everybody with a role for the product reads it.
    pub fn may_read(&self, product: Option<&str>) -> Result<(), Problem> {
        let held = self.principal.roles_for(product);
        if held.is_empty() { Err(role_missing(&Role::ALL, &held).into()) } else { Ok(()) }
    }

    /// What belongs to no product is read by everybody with any role.
    pub fn has_any_role(&self) -> Result<(), Problem> {
        if self.principal.roles.is_empty() { Err(role_missing(&Role::ALL, &[]).into()) } else { Ok(()) }
    }

    pub fn tenant(&self) -> &str {
        &self.principal.tenant
    }

    /// The envelope of a command on a stream of `product`.
    pub fn envelope(&self, operation: &'static str, product: Option<&str>) -> Result<Envelope, Problem> {
        if self.principal.ci.is_some() {
            self.require_idempotency_key()?;
        }
        Ok(Envelope {
            actor: self.actor(product)?,
            auth: Some(eventlog::header::Auth {
                issuer: self.principal.issuer.clone(),
                kid: self.principal.kid.clone(),
                jti_sha256: self.principal.jti_sha256.clone(),
                amr: self.principal.amr.clone(),
                auth_time: self.principal.auth_time,
            }),
            via: self.principal.via.clone(),
            operation,
            path: self.path.clone(),
            idempotency_key: self.idempotency_key.clone(),
            if_match: self.if_match,
            dry_run: self.dry_run,
            over_quota: self.over_quota.clone(),
            causation: None,
            correlation: self.request_id.clone(),
            trace: Some(self.trace.to_string()),
        })
    }

    /// Counts whether one more has room; nobody else of the tenant counts until the turn is over.
    pub async fn one_more<'a>(&mut self, app: &'a App, quota: Quota) -> Result<Turn<'a>, Problem> {
        let (turn, over) = quotas::one_more(app, self.tenant(), quota).await?;
        self.over_quota = self.over_quota.take().or(over);
        Ok(turn)
    }

    pub fn require_idempotency_key(&self) -> Result<(), Problem> {
        if self.idempotency_key.is_some() {
            return Ok(());
        }
        Err(Problem::field(
            Code::IdempotencyKeyRequired,
            "idempotency-key",
            "creation and CI tokens need an Idempotency-Key",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_beyond_two_to_the_53_are_found_wherever_they_stand() {
        for wrong in ["9007199254740992", "[1,-9007199254740992]", "{\"a\":{\"b\":99999999999999999999}}"] {
            assert!(inexact_integer(wrong.as_bytes()).is_some(), "{wrong}");
        }
        for right in [
            "9007199254740991",
            "1e300",
            "123456789012345678.5",
            "\"9007199254740992\"",
            "\"\\\"9007199254740992\"",
        ] {
            assert_eq!(inexact_integer(right.as_bytes()), None, "{right}");
        }
    }

    #[test]
    fn a_place_in_json_is_told_as_a_pointer() {
        for (json, pointer) in [
            ("9007199254740992", ""),
            (r#"{"a":1,"b":[0,{"c":"}","d":9007199254740992}]}"#, "/b/1/d"),
            (r#"{"a":[[1],[2]],"s\"/~":{"x":[1,9007199254740992]}}"#, "/s\"~1~0/x/1"),
        ] {
            let offset = inexact_integer(json.as_bytes()).unwrap();
            assert_eq!(place_at(json.as_bytes(), offset), pointer, "{json}");
        }
    }
}
