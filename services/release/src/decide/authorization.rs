//! The roll-call, and the decision to go: one start of a production deployment.

use jiff::Timestamp;
use uuid::Uuid;

use super::approval::{QUORUM_AFTER_REJECTION, digest_input, hash, item_row, rejections};
use super::judge::fresh;
use super::{
    Around, Context, Decision, break_glass, current_candidate, is_system, may_preempt, moving, not_ended,
    one, person, refuse, role, whole,
};
use crate::actor::Role;
use crate::command::{AmendAnswer, AnswerRollCall, AuthorizeProduction, RevokeAuthorization};
use crate::event::{
    Answer, AuthorizationRevoked, EnvironmentPurpose, ProductionAuthorized, RevocationCause, RollCallAmended,
    RollCallAnswered,
};
use crate::refusal::{Refusal, RefusalCode};
use crate::release::{Approval, ApprovalStatus, Authorization, AuthorizationStatus, ItemStatus, Release};
use crate::verdict::{Cause, Row, Verdict};

/// The version of the rule of Gate 4 that recorded verdicts name.
const RULE_VERSION: u32 = 1;

/// A no-go is taken in any state; a go is about one candidate and window.
pub fn answer(release: &Release, body: &AnswerRollCall, ctx: &Context<'_>) -> Decision {
    not_ended(release)?;
    let roles = &ctx.around.procedure.roll_call;
    if !roles.contains(&body.role) {
        return refuse(RefusalCode::RollCallRoleUnknown, format!("{} is not asked", body.role.as_str()));
    }
    role(ctx, &[body.role])?;
    person(ctx)?;
    let candidate = release.current_candidate().map(|candidate| candidate.number);
    let window = release.open_window();
    if body.answer == Answer::Go {
        moving(release)?;
        current_candidate(release)?;
        if window.is_none() {
            return refuse(RefusalCode::WindowRequired, "no window is set");
        }
    }
    let before = release.answers().find(|entry| entry.role == body.role && entry.by == ctx.actor.id);
    if before.is_some_and(|entry| entry.answer == body.answer && entry.reason == body.reason) {
        return refuse(RefusalCode::NothingChanged, format!("the answer is {}", body.answer.as_str()));
    }
    one(RollCallAnswered {
        role: body.role,
        answer: body.answer,
        candidate,
        window,
        reason: body.reason.clone(),
        signed_as: None,
    })
}

/// A go is personal, so nobody makes one of somebody else's answer; to stop, one is enough.
pub fn amend(release: &Release, id: Uuid, body: &AmendAnswer, ctx: &Context<'_>) -> Decision {
    not_ended(release)?;
    person(ctx)?;
    let Some(entry) = release.roll_call.iter().find(|entry| entry.entry == id) else {
        return refuse(RefusalCode::AnswerUnknown, format!("no answer {id}"));
    };
    let own = entry.by == ctx.actor.id;
    if body.answer == Some(Answer::Go) {
        if !own {
            return refuse(RefusalCode::RoleMissing, format!("only {} can make it a go", entry.by));
        }
        role(ctx, &[entry.role])?;
    } else if !own {
        role(ctx, &[Role::ReleaseManager])?;
    }
    let before = (!entry.withdrawn).then_some(entry.answer);
    if before == body.answer {
        return refuse(RefusalCode::NothingChanged, "the answer is the recorded one");
    }
    one(RollCallAmended { entry: id, why: body.why.clone(), answer: body.answer, signed_as: None })
}

/// The decision to go, judged: every row, and the name of the rule behind each.
#[derive(Default)]
pub struct Go {
    pub rows: Vec<Row>,
    pub codes: Vec<RefusalCode>,
}

impl Go {
    pub fn basis(&self) -> crate::value::Sha256Hex {
        hash(&self.rows)
    }

    /// Names every row that does not hold, by the rule of the first.
    pub fn refused(&self) -> Result<(), Refusal> {
        let failing = || self.rows.iter().zip(&self.codes).filter(|(row, _)| !row.ok);
        let Some((first, code)) = failing().next() else { return Ok(()) };
        let detail = format!("{}: expected {}, is {}", first.input, first.expected, first.observed);
        Err(Refusal::new(*code, detail).with_rows(failing().map(|(row, _)| row.clone()).collect()))
    }

    fn row(
        &mut self,
        code: RefusalCode,
        input: impl Into<String>,
        holds: bool,
        expected: &str,
        observed: String,
    ) {
        let (rule, input, expected) = (code.as_str(), input.into(), expected.to_owned());
        self.codes.push(code);
        self.rows.push(if holds {
            Row::ok(rule, &whole(), input, expected, observed)
        } else {
            Row::failed(rule, &whole(), input, expected, observed, Cause::Value)
        });
    }
}

/// Gate 4, read now: the items, the candidate, the window, the approval, freezes, the roll-call and
/// the environment.
pub fn go(release: &Release, around: &Around, now: Timestamp) -> Go {
    let mut go = Go::default();
    let procedure = &around.procedure;
    go.row(
        RefusalCode::GoNotInProcedure,
        "procedure",
        procedure.approval_item().is_some(),
        "an item that closes by approval",
        procedure.approval_item().map_or("none".into(), |item| format!("item {}", item.number)),
    );
    for item in procedure.items().filter(|item| procedure.is_before_go(item.number)) {
        let mut row = item_row("gate_closed", release, item.number);
        // A waiver whose time is up holds no longer, even before its expiry is recorded.
        if matches!(release.status(item.number), ItemStatus::Waived { valid_until, .. } if *valid_until <= now)
        {
            row.ok = false;
            row.cause = Some(Cause::Stale);
        }
        let too_old = release.items.get(&item.number).and_then(|state| state.valid_until);
        if too_old.is_some_and(|until| until <= now) {
            row.ok = false;
            row.cause = Some(Cause::Stale);
        }
        go.rows.push(row);
        go.codes.push(RefusalCode::GateClosed);
    }
    for row in fresh(release, procedure, now, |_| true) {
        go.rows.push(row);
        go.codes.push(RefusalCode::GateClosed);
    }
    let candidate = release.current_candidate();
    go.row(
        RefusalCode::CandidateRequired,
        "candidate",
        candidate.is_some_and(|candidate| candidate.is_bound()),
        "current, with its artifacts",
        candidate.map_or("none".into(), |candidate| candidate.tag.to_string()),
    );
    let window = release.open_window();
    go.row(
        RefusalCode::WindowNotOpen,
        "window",
        window.is_some_and(|window| window.contains(now)),
        "open now",
        window.map_or("none".into(), |window| window.to_string()),
    );
    let approval = effective(release);
    go.row(
        RefusalCode::ApprovalMissing,
        "approval",
        approval.is_some(),
        "granted, not used",
        approval.map_or("none".into(), |approval| approval.request.to_string()),
    );
    for (digest, why) in candidate.map(|candidate| rejections(release, candidate, around)).unwrap_or_default()
    {
        let signed = approval.map_or(0, |approval| around.people.count(approval.approvers()));
        go.row(
            RefusalCode::DigestRejected,
            digest_input(digest),
            signed >= QUORUM_AFTER_REJECTION as usize,
            "two approvers",
            format!("{signed} approvers, {why}"),
        );
    }
    for freeze in around.snapshots.freezes.iter().filter(|freeze| freeze.span.contains(now)) {
        let input = format!("freeze/{}", freeze.freeze);
        let excepted =
            approval.is_some_and(|approval| approval.rows.iter().any(|row| row.ok && row.input == input));
        go.row(
            RefusalCode::FreezeActive,
            input,
            excepted,
            "an approved exception",
            if excepted { "excepted".into() } else { format!("in force {}", freeze.span) },
        );
    }
    roll_call(release, around, &mut go);
    reservation(release, around, &mut go);
    go
}

/// The approval that counts: of the current candidate, for the open window, given and not used.
pub fn effective(release: &Release) -> Option<&Approval> {
    release.live_approval().filter(|approval| {
        matches!(approval.status, ApprovalStatus::Granted { .. })
            && Some(approval.window) == release.open_window()
            && release.current_candidate().is_some_and(|candidate| candidate.number == approval.candidate)
    })
}

pub fn roll_call(release: &Release, around: &Around, go: &mut Go) {
    for role in &around.procedure.roll_call {
        let said = |answer| release.answers().any(|entry| entry.role == *role && entry.answer == answer);
        let input = format!("roll_call/{}", role.as_str());
        let (code, holds, observed) = match (said(Answer::NoGo), said(Answer::Go)) {
            (true, _) => (RefusalCode::RollCallNoGo, false, "no_go"),
            (false, true) => (RefusalCode::RollCallIncomplete, true, "go"),
            (false, false) => (RefusalCode::RollCallIncomplete, false, "none"),
        };
        go.row(code, input, holds, "go", observed.into());
    }
    if !around.procedure.roll_call.is_empty() {
        let count = around.people.count(release.answers().map(|entry| &entry.by));
        go.row(
            RefusalCode::RollCallIncomplete,
            "roll_call/people",
            count >= 2,
            "at least two people",
            count.to_string(),
        );
    }
}

pub fn reservation(release: &Release, around: &Around, go: &mut Go) {
    let mine = release.id();
    let mut production = around
        .snapshots
        .environments
        .iter()
        .filter(|e| e.purpose == EnvironmentPurpose::Production)
        .peekable();
    if production.peek().is_none() {
        go.row(
            RefusalCode::EnvironmentNotReserved,
            "environments",
            false,
            "a production environment",
            "none".into(),
        );
    }
    for environment in production {
        let held = environment.held_by.as_ref();
        go.row(
            RefusalCode::EnvironmentNotReserved,
            format!("environment/{}", environment.name),
            held.is_some() && held == mine.as_ref(),
            "held by this release",
            held.map_or("nobody".into(), ToString::to_string),
        );
    }
}

/// One start is authorized at a time, and not while another runs.
pub fn none_live(release: &Release) -> Result<(), Refusal> {
    if let Some(given) = release.live_authorization() {
        return refuse(RefusalCode::AuthorizationLive, format!("{}", given.authorization));
    }
    if let Some(running) = release.production_deployments().find(|running| running.in_progress()) {
        return refuse(RefusalCode::DeploymentRunning, format!("deployment {}", running.deployment));
    }
    Ok(())
}

pub fn authorize(release: &Release, body: &AuthorizeProduction, ctx: &Context<'_>) -> Decision {
    moving(release)?;
    if let Some(glass) = &body.break_glass {
        return break_glass::authorize(release, body, glass, ctx);
    }
    role(ctx, &[Role::ReleaseManager])?;
    person(ctx)?;
    none_live(release)?;
    may_preempt(release, body.preempt_reason.as_ref())?;
    let go = go(release, ctx.around, ctx.now);
    let basis = go.basis();
    if body.basis.as_ref().is_some_and(|seen| *seen != basis) {
        let failing: Vec<_> = go.rows.iter().filter(|row| !row.ok).cloned().collect();
        let rows = if failing.is_empty() { go.rows } else { failing };
        return Err(Refusal::new(RefusalCode::BasisChanged, format!("the basis is {basis}")).with_rows(rows));
    }
    go.refused()?;
    let (candidate, Some(approval)) = (current_candidate(release)?, effective(release)) else {
        return refuse(RefusalCode::ApprovalMissing, "no approval is effective");
    };
    one(ProductionAuthorized {
        authorization: (ctx.event_id)(0),
        request: approval.request,
        candidate: candidate.number,
        commit_sha: candidate.commit_sha.clone(),
        artifacts: candidate.artifacts.clone(),
        expires_at: approval.window.to,
        basis,
        verdict: Verdict::of("go", RULE_VERSION, go.rows),
        inputs: ctx.around.snapshots.inputs.clone(),
        pipeline_digest: candidate.pipeline_digest.clone(),
        signed_as: None,
    })
}

/// By the release manager, or by the server when a freeze was declared after the decision.
pub fn revoke(release: &Release, id: Uuid, body: &RevokeAuthorization, ctx: &Context<'_>) -> Decision {
    not_ended(release)?;
    let given = live(release, id)?;
    let mut rows = Vec::new();
    let cause = if is_system(ctx) {
        let go = go(release, ctx.around, ctx.now);
        rows.extend(go.rows.into_iter().filter(|row| !row.ok && row.rule == "freeze_active"));
        if rows.is_empty() {
            return refuse(RefusalCode::NotDue, "no freeze is in force");
        }
        RevocationCause::FreezeDeclared
    } else {
        role(ctx, &[Role::ReleaseManager])?;
        RevocationCause::Withdrawn
    };
    let reason = Some(body.reason.clone());
    one(AuthorizationRevoked { authorization: given.authorization, cause, rows, reason })
}

/// The authorization, when it can still be used.
pub fn live(release: &Release, id: Uuid) -> Result<&Authorization, Refusal> {
    let Some(given) = release.authorizations.iter().find(|given| given.authorization == id) else {
        return refuse(RefusalCode::AuthorizationUnknown, format!("no authorization {id}"));
    };
    if given.status != AuthorizationStatus::Live {
        return refuse(
            RefusalCode::AuthorizationEnded,
            format!("authorization {id} is {}", given.status.as_str()),
        );
    }
    Ok(given)
}
