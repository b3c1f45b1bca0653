//! What a decision takes with it: an approval or an authorization that no longer holds ends in the
//! same append as what ended it, whichever command that was.

use super::approval::{BINDING, CLASS, bound, item_row, resting_on};
use super::authorization::{Go, roll_call};
use super::{Context, Decided, ahead};
use crate::event::{Answer, ApprovalRevoked, AuthorizationRevoked, EventData, ReleaseEvent, RevocationCause};
use crate::procedure::Procedure;
use crate::release::{Approval, Life, Release};
use crate::verdict::Row;

pub fn of(
    release: &Release,
    after: Option<&Release>,
    decided: &[Decided<ReleaseEvent>],
    ctx: &Context<'_>,
) -> Vec<Decided<ReleaseEvent>> {
    let nothing_at_stake = release.live_approval().is_none() && release.live_authorization().is_none();
    if nothing_at_stake || decided.iter().all(|decided| decided.event.is_telemetry()) {
        return Vec::new();
    }
    let procedure = &ctx.around.procedure;
    let folded = if after.is_none() { Some(ahead(release, decided, ctx)) } else { None };
    let Some(after) = after.or(folded.as_ref()) else { return Vec::new() };
    let mut follows = Vec::new();
    let approval = after.live_approval();
    let ended = approval.and_then(|approval| no_longer(release, after, approval, procedure));
    if let (Some(approval), Some((cause, rows))) = (approval, &ended) {
        follows.push(Decided::now(ApprovalRevoked {
            request: approval.request,
            cause: *cause,
            rows: rows.clone(),
            reopened: resting_on(after, approval, procedure),
            reason: None,
        }));
    }
    if let Some(given) = after.live_authorization() {
        let open = || rows_of(after, procedure, |number| procedure.is_before_go(number));
        let same = release.authorization(given.authorization).is_some_and(|before| {
            after.current_candidate().is_some_and(|candidate| candidate.number == before.candidate)
        });
        let cause = if given.break_glass.is_some() {
            let why = match after.life {
                Life::Aborted { .. } => Some(RevocationCause::ReleaseAborted),
                _ if !same => Some(RevocationCause::NewCandidate),
                _ => None,
            };
            why.map(|why| (why, Vec::new()))
        } else if approval.is_none_or(|approval| Some(approval.request) != given.request) {
            Some((RevocationCause::ApprovalEnded, Vec::new()))
        } else if ended.is_some() {
            ended
        } else if after.answers().any(|entry| entry.answer == Answer::NoGo) {
            Some((RevocationCause::NoGo, Vec::new()))
        } else if decided.iter().any(|one| matches!(one.event, ReleaseEvent::RollCallAmended(_))) {
            let mut go = Go::default();
            roll_call(after, ctx.around, &mut go);
            let unsaid: Vec<_> = go.rows.into_iter().filter(|row| !row.ok).collect();
            Some(unsaid).filter(|rows| !rows.is_empty()).map(|rows| (RevocationCause::RowTurnedFalse, rows))
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
    before: &Release,
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
    let targets = |release: &Release| release.opened.as_ref().map(|opened| opened.targets.clone());
    let approved = targets(before).unwrap_or_default();
    if targets(after).unwrap_or_default().iter().any(|target| !approved.contains(target)) {
        return because(RevocationCause::ScopeRaised);
    }
    // A class that was lowered asks for no more than what was approved.
    let differs = |row: &Row| row.input != CLASS && !approval.rows.iter().any(|seen| same_verdict(seen, row));
    let changed: Vec<_> = bound(after, procedure).into_iter().filter(differs).collect();
    let open: Vec<_> = changed.iter().filter(|row| !row.ok).cloned().collect();
    if !open.is_empty() {
        return Some((RevocationCause::RowTurnedFalse, open));
    }
    let of_candidate = |row: &Row| row.input.starts_with("candidate/");
    match changed.first() {
        None => None,
        Some(first) if of_candidate(first) => Some((RevocationCause::CandidateBound, changed)),
        Some(_) => Some((RevocationCause::RowChanged, changed)),
    }
}

/// Whether a person says so or a machine shows it, what was approved is the verdict.
fn same_verdict(seen: &Row, row: &Row) -> bool {
    let verdict = |row: &Row| match row.observed.as_str() {
        "verified" | "attested" => "satisfied".to_owned(),
        other => other.to_owned(),
    };
    seen.input == row.input && seen.ok == row.ok && verdict(seen) == verdict(row)
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
        .map(|item| item_row(BINDING, after, item.number))
        .collect()
}
