//! What a decision takes with it: an approval or an authorization that no longer holds ends in the
//! same append as what ended it, whichever command that was.

use super::approval::{item_row, resting_on};
use super::{Context, Decided, ahead};
use crate::event::{Answer, ApprovalRevoked, AuthorizationRevoked, EventData, ReleaseEvent, RevocationCause};
use crate::procedure::Procedure;
use crate::release::{Approval, Life, Release};
use crate::verdict::Row;

pub fn of(
    release: &Release,
    decided: &[Decided<ReleaseEvent>],
    ctx: &Context<'_>,
) -> Vec<Decided<ReleaseEvent>> {
    let nothing_at_stake = release.live_approval().is_none() && release.live_authorization().is_none();
    if nothing_at_stake || decided.iter().all(|decided| decided.event.is_telemetry()) {
        return Vec::new();
    }
    let procedure = &ctx.around.procedure;
    let after = ahead(release, decided, ctx);
    let mut follows = Vec::new();
    let approval = after.live_approval();
    let ended = approval.and_then(|approval| no_longer(&after, approval, procedure));
    if let (Some(approval), Some((cause, rows))) = (approval, &ended) {
        follows.push(Decided::now(ApprovalRevoked {
            request: approval.request,
            cause: *cause,
            rows: rows.clone(),
            reopened: resting_on(&after, approval, procedure),
            reason: None,
        }));
    }
    if let Some(given) = after.live_authorization() {
        let open = || rows_of(&after, procedure, |number| procedure.is_before_go(number));
        let cause = if approval.is_none_or(|approval| approval.request != given.request) {
            Some((RevocationCause::ApprovalEnded, Vec::new()))
        } else if ended.is_some() {
            ended
        } else if after.answers().any(|entry| entry.answer == Answer::NoGo) {
            Some((RevocationCause::NoGo, Vec::new()))
        } else {
            Some(open()).filter(|rows| !rows.is_empty()).map(|rows| (RevocationCause::RowTurnedFalse, rows))
        };
        if let Some((cause, rows)) = cause {
            let authorization = given.authorization;
            follows.push(Decided::now(AuthorizationRevoked { authorization, cause, rows, reason: None }));
        }
    }
    follows
}

/// Why what was approved is no longer so, if it is not.
fn no_longer(
    after: &Release,
    approval: &Approval,
    procedure: &Procedure,
) -> Option<(RevocationCause, Vec<Row>)> {
    let because = |cause| Some((cause, Vec::new()));
    if matches!(after.life, Life::Aborted { .. }) {
        return because(RevocationCause::ReleaseAborted);
    }
    match after.current_candidate() {
        None => return because(RevocationCause::CandidateRejected),
        Some(candidate) if candidate.number != approval.candidate => {
            return because(RevocationCause::NewCandidate);
        }
        Some(_) => {}
    }
    if after.open_window() != Some(approval.window) {
        return because(RevocationCause::WindowMoved);
    }
    if after.class() > approval.class {
        return because(RevocationCause::ClassRaised);
    }
    let bound = |number| procedure.item(number).is_some_and(|item| procedure.is_bound_by_approval(item));
    let open = rows_of(after, procedure, bound);
    if open.is_empty() { None } else { Some((RevocationCause::RowTurnedFalse, open)) }
}

/// The rows that are not true, of the items in question.
fn rows_of(
    after: &Release,
    procedure: &Procedure,
    in_question: impl Fn(crate::value::ItemNumber) -> bool,
) -> Vec<Row> {
    procedure
        .items()
        .filter(|item| in_question(item.number) && !after.status(item.number).is_closed())
        .map(|item| item_row("binding", after, item.number))
        .collect()
}
