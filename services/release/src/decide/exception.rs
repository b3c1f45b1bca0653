//! Taking charge of what went another way, and saying what became of it. In any state: a release that has
//! ended may still have to be explained.

use super::{Context, Decision, one, opened, person, refuse, role};
use crate::actor::Role;
use crate::command::{AssignException, DisposeException};
use crate::event::{Disposition, ExceptionAssigned, ExceptionDisposed};
use crate::refusal::{Refusal, RefusalCode};
use crate::release::{Exception, ExceptionRef, Release};

pub fn assign(
    release: &Release,
    exception: ExceptionRef,
    body: &AssignException,
    ctx: &Context<'_>,
) -> Decision {
    opened(release)?;
    role(ctx, &[Role::ReleaseManager, Role::Approver])?;
    person(ctx)?;
    open(release, exception)?;
    one(ExceptionAssigned { exception, to: body.to.clone(), due_at: body.due_at })
}

/// By an approver who did not cause it, approve what it belongs to, or sign anything of the release.
pub fn dispose(
    release: &Release,
    exception: ExceptionRef,
    body: &DisposeException,
    ctx: &Context<'_>,
) -> Decision {
    opened(release)?;
    role(ctx, &[Role::Approver])?;
    person(ctx)?;
    let open = open(release, exception)?;
    if open.by == ctx.actor.id || took_part(release, ctx) {
        return refuse(
            RefusalCode::SecondPersonRequired,
            format!("{} took part in the release", ctx.actor.id),
        );
    }
    if body.disposition == Disposition::Remediated && body.link.is_none() {
        return refuse(RefusalCode::EvidenceRequired, "a link shows that it was put right");
    }
    one(ExceptionDisposed {
        exception,
        disposition: body.disposition,
        reason: body.reason.clone(),
        link: body.link.clone(),
    })
}

fn took_part(release: &Release, ctx: &Context<'_>) -> bool {
    let me = &ctx.actor.id;
    let signed = release.items.values().flat_map(|item| &item.attestations).any(|a| a.by.id == *me);
    let approved = release.approvals.iter().any(|approval| {
        approval.requested_by == *me || approval.grants.iter().any(|grant| grant.by.id == *me)
    });
    let waived = release
        .waivers
        .values()
        .any(|waiver| waiver.requested_by == *me || waiver.grants.iter().any(|grant| grant.by.id == *me));
    let built = release.candidates.iter().any(|candidate| candidate.tagged_by == *me);
    let deployed = release.deployments.iter().any(|deployment| deployment.started_by == *me);
    let reported = release.evidence.values().any(|evidence| evidence.by.id == *me);
    signed || approved || waived || built || deployed || reported
}

fn open(release: &Release, which: ExceptionRef) -> Result<&Exception, Refusal> {
    let Some(exception) = release.exception(which) else {
        let detail = format!("no {} at revision {}", which.kind.as_str(), which.revision);
        return refuse(RefusalCode::ExceptionUnknown, detail);
    };
    match &exception.disposed {
        Some(disposed) => refuse(RefusalCode::ExceptionDecided, format!("disposed at {}", disposed.at)),
        None => Ok(exception),
    }
}
