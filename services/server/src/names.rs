//! The names of streams.

use eventlog::{InvalidStreamId, StreamId};
use release::value::{Name, ReleaseId};

pub fn release(tenant: &str, id: &ReleaseId) -> Result<StreamId, InvalidStreamId> {
    StreamId::new(&format!("release-{tenant}.{id}"))
}

/// The tenant and the release that a stream is of; `None` for every other stream.
pub fn as_release(stream: &StreamId) -> Option<(&str, ReleaseId)> {
    let (tenant, id) = stream.as_str().strip_prefix("release-")?.split_once('.')?;
    Some((tenant, ReleaseId::new(id).ok()?))
}

pub fn product(tenant: &str, product: &Name) -> Result<StreamId, InvalidStreamId> {
    StreamId::new(&format!("product-{tenant}.{product}"))
}

pub fn environment(tenant: &str, product: &Name, environment: &Name) -> Result<StreamId, InvalidStreamId> {
    StreamId::new(&format!("environment-{tenant}.{product}.{environment}"))
}

/// The tenant, the product and the name of the environment that a stream is of; `None` for every other stream.
pub fn as_environment(stream: &StreamId) -> Option<(&str, &str, &str)> {
    let mut parts = stream.as_str().strip_prefix("environment-")?.splitn(3, '.');
    Some((parts.next()?, parts.next()?, parts.next()?))
}

pub fn calendar(tenant: &str) -> Result<StreamId, InvalidStreamId> {
    StreamId::new(&format!("calendar-{tenant}"))
}

pub fn retention(tenant: &str) -> Result<StreamId, InvalidStreamId> {
    StreamId::new(&format!("retention-{tenant}"))
}

pub fn directory(tenant: &str) -> Result<StreamId, InvalidStreamId> {
    StreamId::new(&format!("directory-{tenant}"))
}

/// The tenant whose directory a stream is; `None` for every other stream.
pub fn as_directory(stream: &StreamId) -> Option<&str> {
    stream.as_str().strip_prefix("directory-")
}

/// The control mappings of a tenant.
pub fn controls(tenant: &str) -> Result<StreamId, InvalidStreamId> {
    StreamId::new(&format!("controls-{tenant}"))
}

pub fn report(tenant: &str, report: uuid::Uuid) -> Result<StreamId, InvalidStreamId> {
    StreamId::new(&format!("report-{tenant}.{report}"))
}

pub fn installation() -> Result<StreamId, InvalidStreamId> {
    StreamId::new("installation")
}

/// One stream a month, so that none grows for ever.
pub fn access(tenant: &str, at: jiff::Timestamp) -> Result<StreamId, InvalidStreamId> {
    let month = at.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m").to_string();
    StreamId::new(&format!("access-{tenant}-{month}"))
}

/// The tenant whose denials and reads a stream holds; `None` for every other stream.
pub fn as_access(stream: &StreamId) -> Option<&str> {
    let (rest, _month) = stream.as_str().strip_prefix("access-")?.rsplit_once('-')?;
    Some(rest.rsplit_once('-')?.0)
}

/// Whose stream it is; `None` for what is of no tenant, and for what is told of a tenant's callers.
pub fn tenant(stream: &StreamId) -> Option<&str> {
    let (kind, rest) = stream.as_str().split_once('-')?;
    match kind {
        "release" | "product" | "environment" | "procedure" | "report" => Some(rest.split_once('.')?.0),
        "calendar" | "retention" | "directory" | "controls" => Some(rest),
        _ => None,
    }
}

pub fn procedure(tenant: &str, name: &Name) -> Result<StreamId, InvalidStreamId> {
    StreamId::new(&format!("procedure-{tenant}.{name}"))
}
