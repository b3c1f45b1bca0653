//! Who may ask: the checks that every aggregate makes in the same way.

use crate::actor::{ActorKind, Role};
use crate::aggregate::{Context, Decided};
use crate::refusal::{Refusal, RefusalCode};
use crate::value::{ActorId, Name};
use crate::verdict::{Cause, Row};

pub(crate) fn one<E>(event: impl Into<E>) -> Result<Vec<Decided<E>>, Refusal> {
    Ok(vec![Decided::now(event)])
}

pub(crate) fn refuse<T>(code: RefusalCode, detail: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(code, detail))
}

/// A row about the thing as a whole, not about one of its targets.
pub(crate) fn failed(
    rule: &str,
    input: impl Into<String>,
    expected: impl Into<String>,
    observed: impl Into<String>,
    cause: Cause,
) -> Row {
    Row::failed(rule, &Name::default_target(), input.into(), expected.into(), observed.into(), cause)
}

pub(crate) fn role<A>(ctx: &Context<'_, A>, any_of: &[Role]) -> Result<(), Refusal> {
    if ctx.actor.has_any(any_of) {
        return Ok(());
    }
    Err(role_missing(any_of, &ctx.actor.roles))
}

/// The refusal of somebody who holds `held` where any of other roles is asked for.
pub fn role_missing(any_of: &[Role], held: &[Role]) -> Refusal {
    let names = |roles: &[Role]| roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
    let expected = format!("any of: {}", names(any_of));
    let observed = names(held);
    let cause = if observed.is_empty() { Cause::Absent } else { Cause::Mismatch };
    let row = failed("role", "actor/roles", expected.clone(), observed, cause);
    Refusal::new(RefusalCode::RoleMissing, expected).with_rows(vec![row])
}

/// The refusal of whoever did one half of what two people do, as the directory knows them.
pub(crate) fn second_person<A>(ctx: &Context<'_, A>, first: &ActorId, did: &str) -> Refusal {
    let code = RefusalCode::SecondPersonRequired;
    let expected = format!("another person than {first}");
    let row = failed(code.as_str(), "actor", expected, ctx.actor.id.as_str(), Cause::Mismatch);
    Refusal::new(code, format!("{first} {did}")).with_rows(vec![row])
}

/// The server acts on time and on other streams without holding a role.
pub(crate) fn role_or_system<A>(ctx: &Context<'_, A>, any_of: &[Role]) -> Result<(), Refusal> {
    if is_system(ctx) { Ok(()) } else { role(ctx, any_of) }
}

pub(crate) fn is_system<A>(ctx: &Context<'_, A>) -> bool {
    ctx.actor.kind == ActorKind::System
}

pub(crate) fn person<A>(ctx: &Context<'_, A>) -> Result<(), Refusal> {
    if ctx.actor.is_person() {
        return Ok(());
    }
    refuse(RefusalCode::PersonRequired, format!("the caller is a {}", ctx.actor.kind.as_str()))
}

/// Whoever signs showed lately who they are, where the procedure asks for that.
pub(crate) fn fresh_sign_in<A>(ctx: &Context<'_, A>, max_age_s: Option<u64>) -> Result<(), Refusal> {
    let Some(limit) = max_age_s else { return Ok(()) };
    let observed = match ctx.actor.signed_in_s_ago {
        Some(ago) if ago <= limit => return Ok(()),
        Some(ago) => format!("{ago} seconds ago"),
        None => "not known".to_owned(),
    };
    let cause = if ctx.actor.signed_in_s_ago.is_none() { Cause::Absent } else { Cause::Stale };
    let code = RefusalCode::SignInTooOld;
    let expected = format!("at most {limit} seconds ago");
    let row = failed(code.as_str(), "actor/signed_in", expected.clone(), observed.clone(), cause);
    let detail = format!("signed in {expected} is asked for, it was {observed}");
    Err(Refusal::new(code, detail).with_rows(vec![row]))
}

/// A list that a fold keeps in memory ends somewhere.
pub(crate) fn room(what: &str, held: usize, limit: usize) -> Result<(), Refusal> {
    if held < limit {
        return Ok(());
    }
    refuse(RefusalCode::LimitReached, format!("{held} of {limit} {what}"))
}
