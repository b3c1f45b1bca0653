//! Production without an approval, in an emergency: one person starts it and says what is missing, and an
//! independent one approves it afterwards. It is an exception from its first event on.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::approval::{digest_input, hash, independence, item_row, people_against, rejections};
use super::authorization::{Go, live, none_live, reservation};
use super::{
    Context, Decision, current_candidate, may_preempt, not_ended, one, opened, person, refuse, role, system,
};
use crate::actor::Role;
use crate::command::{ApproveAfterStart, AuthorizeProduction, BreakGlass};
use crate::event::{
    ApprovalOverdue, ApprovedAfterStart, AuthorizationExpired, BreakGlassAuthorized, ChangeClass,
};
use crate::guard::{failed, fresh_sign_in};
use crate::procedure::BreakGlassRules;
use crate::refusal::{Refusal, RefusalCode};
use crate::release::{Authorization, AuthorizationStatus, BreakGlassUse, Release};
use crate::verdict::{Cause, Verdict};

/// The version of this rule that recorded verdicts name.
const RULE_VERSION: u32 = 1;

pub fn authorize(
    release: &Release,
    body: &AuthorizeProduction,
    glass: &BreakGlass,
    ctx: &Context<'_>,
) -> Decision {
    role(ctx, &[Role::Operator, Role::OnCall])?;
    person(ctx)?;
    let rules = allowed(release, ctx)?;
    none_live(release)?;
    may_preempt(release, body.preempt_reason.as_ref())?;
    let candidate = current_candidate(release)?;
    if !candidate.is_bound() {
        return refuse(RefusalCode::CandidateNotBound, format!("{} has no artifacts", candidate.tag));
    }
    // What was rejected takes two approvers, and here there is none.
    if let Some((digest, why)) = rejections(release, candidate, ctx.around).into_iter().next() {
        let code = RefusalCode::DigestRejected;
        let row = failed(code.as_str(), digest_input(digest), "two approvers", why, Cause::Value);
        return Err(Refusal::new(code, format!("{} was rejected", candidate.tag)).with_rows(vec![row]));
    }
    let mut held = Go::default();
    reservation(release, ctx.around, &mut held);
    held.refused()?;
    let procedure = &ctx.around.procedure;
    let items = rules.items.iter().filter_map(|key| procedure.item_by_key(key.as_str()));
    let rows: Vec<_> = items.map(|item| item_row("break_glass", release, item.number)).collect();
    let basis = hash(&rows);
    if body.basis.as_ref().is_some_and(|seen| *seen != basis) {
        return Err(Refusal::new(RefusalCode::BasisChanged, format!("the basis is {basis}")).with_rows(rows));
    }
    one(BreakGlassAuthorized {
        authorization: (ctx.event_id)(0),
        candidate: candidate.number,
        commit_sha: candidate.commit_sha.clone(),
        artifacts: candidate.artifacts.clone(),
        incident: glass.incident.clone(),
        reason: glass.reason.clone(),
        expires_at: after(ctx.now, rules.valid_s),
        approval_due_at: after(ctx.now, rules.approve_within_s),
        basis,
        verdict: Verdict::of("break_glass", RULE_VERSION, rows),
        inputs: ctx.around.snapshots.inputs.clone(),
        pipeline_digest: candidate.pipeline_digest.clone(),
        signed_as: None,
    })
}

/// The procedure knows it, and the release is an emergency.
fn allowed<'p>(release: &Release, ctx: &'p Context<'_>) -> Result<&'p BreakGlassRules, Refusal> {
    let code = RefusalCode::BreakGlassNotAllowed;
    let Some(rules) = &ctx.around.procedure.break_glass else {
        let row = failed(code.as_str(), "procedure/break_glass", "allowed", "not allowed", Cause::Absent);
        return Err(Refusal::new(code, "the procedure does not know it").with_rows(vec![row]));
    };
    let class = release.class();
    if class != ChangeClass::Emergency {
        let row = failed(code.as_str(), "release/class", "emergency", class.as_str(), Cause::Value);
        let detail = format!("the release is of class {}", class.as_str());
        return Err(Refusal::new(code, detail).with_rows(vec![row]));
    }
    Ok(rules)
}

fn after(now: Timestamp, seconds: u64) -> Timestamp {
    now + SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX / 4))
}

/// By an approver who neither authorized nor tagged nor deployed it. Item 4.4 stays open: it was approved
/// after it was started, and nothing makes that the same.
pub fn approve(release: &Release, id: Uuid, body: &ApproveAfterStart, ctx: &Context<'_>) -> Decision {
    not_ended(release)?;
    role(ctx, &[Role::Approver])?;
    person(ctx)?;
    fresh_sign_in(ctx, ctx.around.procedure.sign_in_max_age_s)?;
    let (given, used) = known(release, id)?;
    if let Some(approved) = &used.approved_after_start {
        return refuse(
            RefusalCode::ApprovalDecided,
            format!("{} approved it at {}", approved.by, approved.at),
        );
    }
    let candidate = release.candidate(given.candidate).ok_or_else(|| {
        Refusal::new(RefusalCode::CandidateUnknown, format!("no candidate rc.{}", given.candidate))
    })?;
    let input = format!("authorization/{id}/authorized_by");
    let independence = independence(release, (input, &given.authorized_by), candidate, ctx);
    people_against(&independence, ctx)?;
    one(ApprovedAfterStart {
        authorization: id,
        independence,
        comment: body.comment.clone(),
        signed_in_s_ago: ctx.actor.signed_in_s_ago,
        inputs: ctx.around.people.inputs(),
        signed_as: None,
    })
}

fn known(release: &Release, id: Uuid) -> Result<(&Authorization, &BreakGlassUse), Refusal> {
    let given = release.authorization(id);
    given.and_then(|given| Some((given, given.break_glass.as_ref()?))).ok_or_else(|| {
        Refusal::new(RefusalCode::AuthorizationUnknown, format!("no break-glass authorization {id}"))
    })
}

/// Authorizations by break-glass that nobody used until now end at this instant.
pub fn expiring(release: &Release) -> Option<(Timestamp, Uuid)> {
    let given = release.live_authorization().filter(|given| given.break_glass.is_some())?;
    Some((given.expires_at, given.authorization))
}

pub fn expire(release: &Release, id: Uuid, ctx: &Context<'_>) -> Decision {
    opened(release)?;
    system(ctx)?;
    let given = live(release, id)?;
    if given.break_glass.is_none() || given.expires_at > ctx.now {
        return refuse(RefusalCode::NotDue, format!("authorization {id} does not expire now"));
    }
    one(AuthorizationExpired { authorization: id })
}

/// What was started and not approved yet, with the instant at which that is overdue.
pub fn unapproved(release: &Release) -> impl Iterator<Item = (Timestamp, Uuid)> {
    release.authorizations.iter().filter_map(|given| {
        let used = given.break_glass.as_ref()?;
        let started = matches!(given.status, AuthorizationStatus::Consumed { .. });
        let open = started && used.approved_after_start.is_none() && !used.overdue;
        open.then_some((used.approval_due_at, given.authorization))
    })
}

pub fn overdue(release: &Release, id: Uuid, ctx: &Context<'_>) -> Decision {
    opened(release)?;
    system(ctx)?;
    known(release, id)?;
    if !unapproved(release).any(|(at, of)| of == id && at <= ctx.now) {
        return refuse(RefusalCode::NotDue, format!("the approval of {id} is not overdue"));
    }
    one(ApprovalOverdue { authorization: id })
}
