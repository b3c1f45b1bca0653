//! What went another way than the procedure says, in releases and in environments.

pub mod assign;
pub mod dispose;
pub mod get;
pub mod list;

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use eventlog::StreamId;
use release::command::{AssignException, DisposeException};
use release::environment::{EnvironmentAround, EnvironmentCommand};
use release::release::{Exception, ExceptionKind, ExceptionRef};
use release::value::{Name, ReleaseId};
use release::{Command, Environment, Refusal, RefusalCode};

use super::aggregate::{self, Recording};
use super::answer::{self, Answer, View};
use super::call::{Call, Caller, FromBody, FromPath, FromQuery, is_canonical};
use super::problem::Problem;
use super::releases;
use crate::app::App;
use crate::names;
use crate::streams::Committed;
use crate::surroundings;
use crate::views::ExceptionRow;

/// Which exception, as its id says: `{stream}:{kind}:{revision}`.
pub struct ExceptionId {
    stream: StreamId,
    tenant: String,
    place: Place,
    which: ExceptionRef,
}

#[derive(Clone)]
enum Place {
    Release(ReleaseId),
    Environment { product: Name, environment: Name },
}

impl Place {
    fn product(&self) -> &str {
        match self {
            Self::Release(release) => release.product(),
            Self::Environment { product, .. } => product.as_str(),
        }
    }
}

impl FromPath for ExceptionId {
    fn from_path(request: &HttpRequest) -> Result<Self, Problem> {
        let text = request.match_info().get("exception").unwrap_or_default();
        parse(text).ok_or_else(|| unknown(text))
    }
}

fn parse(text: &str) -> Option<ExceptionId> {
    let mut parts = text.rsplitn(3, ':');
    let (revision, kind, stream) = (parts.next()?, parts.next()?, parts.next()?);
    let number = revision.parse::<u64>().ok().filter(|number| is_canonical(number, revision))?;
    let kind = *ExceptionKind::ALL.iter().find(|known| known.as_str() == kind)?;
    let stream = StreamId::new(stream).ok()?;
    let (tenant, place) = match (names::as_release(&stream), names::as_environment(&stream)) {
        (Some((tenant, release)), _) => (tenant.to_owned(), Place::Release(release)),
        (None, Some((tenant, product, environment))) => {
            let (product, environment) = (Name::new(product).ok()?, Name::new(environment).ok()?);
            (tenant.to_owned(), Place::Environment { product, environment })
        }
        (None, None) => return None,
    };
    Some(ExceptionId { stream, tenant, place, which: ExceptionRef { kind, revision: number } })
}

fn unknown(id: &str) -> Problem {
    Refusal::new(RefusalCode::ExceptionUnknown, format!("no exception {id}")).into()
}

impl ExceptionId {
    fn row<'a>(&self, exceptions: &'a [Exception]) -> Result<ExceptionRow<'a>, Problem> {
        let stream = self.stream.as_str();
        let Some(shown) = self.which.of(exceptions) else {
            return Err(unknown(&format!("{stream}:{}:{}", self.which.kind.as_str(), self.which.revision)));
        };
        Ok(match &self.place {
            Place::Release(release) => ExceptionRow::of_release(stream, release, shown),
            Place::Environment { product, environment } => {
                ExceptionRow::of_environment(stream, product.as_str(), environment.as_str(), shown)
            }
        })
    }

    fn view(&self, exceptions: &[Exception]) -> Result<View, Problem> {
        let row = self.row(exceptions)?;
        let location = format!("/v1/exceptions/{}", row.id);
        View::new(&row, location)
    }

    /// What another tenant has does not exist for the caller.
    fn within(&self, caller: &Caller) -> Result<(), Problem> {
        caller.may_read(Some(self.place.product()))?;
        if self.tenant == caller.tenant() { Ok(()) } else { Err(unknown(self.stream.as_str())) }
    }
}

/// What a command on an exception says.
enum Asked {
    Assign(AssignException),
    Dispose(DisposeException),
}

/// Records it in the release or in the environment that the exception is of.
async fn record<B: FromBody, Q: FromQuery>(
    app: &App,
    call: &Call<ExceptionId, B, Q>,
    operation: &'static str,
    asked: Asked,
) -> Answer {
    let (caller, id) = (&call.caller, &call.path);
    id.within(caller).map_err(|problem| problem.on(caller))?;
    let exception = id.which;
    match &id.place {
        Place::Release(release) => {
            let command = match asked {
                Asked::Assign(body) => Command::AssignException { exception, body },
                Asked::Dispose(body) => Command::DisposeException { exception, body },
            };
            releases::record(app, caller, operation, release, command, StatusCode::OK, |state, _, _| {
                id.view(&state.exceptions)
            })
            .await
        }
        Place::Environment { product, .. } => {
            let command = match asked {
                Asked::Assign(body) => EnvironmentCommand::AssignException { exception, body },
                Asked::Dispose(body) => EnvironmentCommand::DisposeException { exception, body },
            };
            let people = surroundings::people(app, caller.tenant()).await.map_err(Problem::from);
            let people = people.map_err(|problem| problem.on(caller))?;
            let recording = Recording {
                streams: &app.environments,
                stream: Ok(id.stream.clone()),
                operation,
                product: Some(product.as_str()),
                command,
                around: EnvironmentAround { people, ..EnvironmentAround::default() },
                status: StatusCode::OK,
            };
            recording.answer(app, caller, |state, _| id.view(&state.exceptions)).await
        }
    }
}

/// The exception as its stream has it now.
async fn read(app: &App, caller: &Caller, id: &ExceptionId) -> Answer {
    id.within(caller).map_err(|problem| problem.on(caller))?;
    let known = caller.if_none_match.as_deref();
    let answer = match &id.place {
        Place::Release(release) => {
            let snapshot = releases::read(app, caller, release, &releases::AsOf::default()).await?;
            id.row(&snapshot.release.state.exceptions)
                .and_then(|row| answer::committed(&snapshot.release, &row, known))
        }
        Place::Environment { product, .. } => {
            let stream = Ok(id.stream.clone());
            let state: Arc<Committed<Environment>> =
                aggregate::read(&app.environments, stream, caller, Some(product.as_str())).await?;
            id.row(&state.state.exceptions).and_then(|row| answer::committed(&state, &row, known))
        }
    };
    answer.map_err(|problem| problem.on(caller))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Auditors read there where each comes from.
    #[test]
    fn every_kind_is_in_the_table_for_auditors() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/AUDIT.md");
        let table = std::fs::read_to_string(path).unwrap();
        let missing: Vec<_> = ExceptionKind::ALL
            .iter()
            .map(|kind| kind.as_str())
            .filter(|kind| !table.contains(&format!("`{kind}`")))
            .collect();
        assert!(missing.is_empty(), "deploy/AUDIT.md does not name {missing:?}");
    }
}
