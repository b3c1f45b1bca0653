//! Which record an answer showed, for what is on record of reads by auditors: a release with all that is derived of
//! it, or the report of a period. Lists, metrics and the log as a whole show no single one.

use actix_web::HttpResponse;
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use eventlog::StreamId;
use release::Role;
use release::event::AccessedRecord;
use release::value::ReleaseId;
use uuid::Uuid;

use super::answer::POSITION;
use super::call::Known;
use super::route::Route;
use crate::access::reads::Read;
use crate::app::App;
use crate::names;

/// The stream that an answer shows something of, where its path does not name a release.
struct Shown(StreamId);

/// Says which stream an answer shows something of.
pub fn shows(mut answer: HttpResponse, stream: &StreamId) -> HttpResponse {
    answer.extensions_mut().insert(Shown(stream.clone()));
    answer
}

/// What an auditor read with this request; nothing is noted of an answer without content of a record.
pub fn read<B>(app: &App, response: &ServiceResponse<B>, route: &Route, known: &Known) -> Option<Read> {
    let request = response.request();
    let read = request.method().is_safe()
        && matches!(
            response.status(),
            StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED
        );
    if !read || !known.principal.roles.iter().any(|grant| grant.role == Role::Auditor) {
        return None;
    }
    // Who reads who read it is shown nothing of the release.
    if route.pattern.ends_with("/accesses") {
        return None;
    }
    let segment = |name| request.match_info().get(name);
    let own = |record| (known.principal.tenant.clone(), record);
    let (tenant, record) = if let Some(Shown(stream)) = response.response().extensions().get() {
        let (tenant, release) = names::as_release(stream)?;
        (tenant.to_owned(), AccessedRecord::Release(release))
    } else if route.pattern.starts_with("/v1/releases/{release}") {
        own(AccessedRecord::Release(ReleaseId::new(segment("release")?).ok()?))
    } else if route.pattern.starts_with("/v1/reports/{report}") {
        own(AccessedRecord::Report(Uuid::try_parse(segment("report")?).ok()?))
    } else {
        return None;
    };
    let position = response.headers().get(POSITION).and_then(|position| position.to_str().ok()?.parse().ok());
    Some(Read {
        principal: known.principal.clone(),
        tenant,
        record,
        at: app.clock.now(),
        operation: format!("{} {}", request.method(), route.pattern),
        position,
    })
}
