//! Taking charge of what went another way, and saying what became of it. In any state: a release that has
//! ended may still have to be explained.

use super::{Decision, one, opened, person, refuse, role};
use crate::actor::Role;
use crate::aggregate::Context;
use crate::command::{AssignException, DisposeException};
use crate::directory::People;
use crate::event::{Disposition, ExceptionAssigned, ExceptionDisposed};
use crate::refusal::{Refusal, RefusalCode};
use crate::release::{Exception, ExceptionRef, Release};
use crate::value::ActorId;

pub fn assign(
    release: &Release,
    exception: ExceptionRef,
    body: &AssignException,
    ctx: &super::Context<'_>,
) -> Decision {
    opened(release)?;
    one(assigned(&release.exceptions, exception, body, ctx)?)
}

/// By an approver who did nothing else on the release.
pub fn dispose(
    release: &Release,
    exception: ExceptionRef,
    body: &DisposeException,
    ctx: &super::Context<'_>,
) -> Decision {
    opened(release)?;
    one(disposed(&release.exceptions, exception, body, ctx, &ctx.around.people, &release.participants)?)
}

pub(crate) fn assigned<A>(
    exceptions: &[Exception],
    exception: ExceptionRef,
    body: &AssignException,
    ctx: &Context<'_, A>,
) -> Result<ExceptionAssigned, Refusal> {
    role(ctx, &[Role::ReleaseManager, Role::Approver])?;
    person(ctx)?;
    open(exceptions, exception)?;
    Ok(ExceptionAssigned { exception, to: body.to.clone(), due_at: body.due_at })
}

/// By an approver who is none of those who took part.
pub(crate) fn disposed<'a, A>(
    exceptions: &'a [Exception],
    exception: ExceptionRef,
    body: &DisposeException,
    ctx: &Context<'_, A>,
    people: &People,
    participants: impl IntoIterator<Item = &'a ActorId>,
) -> Result<ExceptionDisposed, Refusal> {
    role(ctx, &[Role::Approver])?;
    person(ctx)?;
    let caused_by = &open(exceptions, exception)?.by;
    let mut involved = participants.into_iter().chain([caused_by]);
    if let Some(same) = involved.find(|other| people.same(other, &ctx.actor.id)) {
        return Err(crate::guard::second_person(ctx, same, "took part in what it is about"));
    }
    if body.disposition == Disposition::Remediated && body.link.is_none() {
        return refuse(RefusalCode::EvidenceRequired, "a link shows that it was put right");
    }
    Ok(ExceptionDisposed {
        exception,
        disposition: body.disposition,
        reason: body.reason.clone(),
        link: body.link.clone(),
        inputs: people.inputs(),
        signed_as: people.signed_as(ctx.actor),
    })
}

fn open(exceptions: &[Exception], which: ExceptionRef) -> Result<&Exception, Refusal> {
    let Some(exception) = which.of(exceptions) else {
        let detail = format!("no {} at revision {}", which.kind.as_str(), which.revision);
        return refuse(RefusalCode::ExceptionUnknown, detail);
    };
    match &exception.disposed {
        Some(disposed) => refuse(RefusalCode::ExceptionDecided, format!("disposed at {}", disposed.at)),
        None => Ok(exception),
    }
}
