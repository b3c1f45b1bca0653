//! Waivers: requested by whoever works on the item, granted by others, dead on a new candidate.

use jiff::SignedDuration;
use uuid::Uuid;

use super::deployment::is_latched;
use super::{
    Context, Decision, has_room, item_of, moving, not_ended, one, person, refuse, role, roles_of, system,
};
use crate::actor::Role;
use crate::command::{DenyWaiver, GrantWaiver, RequestWaiver};
use crate::event::{
    ChangeClass, ItemOverdue, ItemWaiverDenied, ItemWaiverExpired, ItemWaiverGranted, ItemWaiverRequested,
};
use crate::guard::second_person;
use crate::procedure::{Item, WaiverCode};
use crate::refusal::{Refusal, RefusalCode};
use crate::release::{Deferral, ItemStatus, Release, Waiver, WaiverStatus};
use crate::value::{ActorId, ItemNumber};

pub fn request(release: &Release, number: ItemNumber, body: &RequestWaiver, ctx: &Context<'_>) -> Decision {
    moving(release)?;
    has_room(release)?;
    let item = item_of(ctx, number)?;
    let mut may_ask = roles_of(item);
    may_ask.push(Role::ReleaseManager);
    role(ctx, &may_ask)?;
    person(ctx)?;
    allowed(release, item)?;
    if release.status(number).is_closed() {
        return refuse(
            RefusalCode::ItemClosed,
            format!("item {number} is {}", release.status(number).as_str()),
        );
    }
    let longest = i64::try_from(ctx.around.procedure.thresholds.waiver_max_s).unwrap_or(i64::MAX);
    let lasts = body.expires_at.duration_since(ctx.now);
    if lasts <= SignedDuration::ZERO || lasts.as_secs() > longest {
        return refuse(
            RefusalCode::WaiverExpiryInvalid,
            format!("{} is not within {longest} seconds after {}", body.expires_at, ctx.now),
        );
    }
    one(ItemWaiverRequested {
        waiver: (ctx.event_id)(0),
        item: number,
        reason: body.reason.clone(),
        compensating_control: body.compensating_control.clone(),
        expires_at: body.expires_at,
        candidate: release.current_candidate().map(|candidate| candidate.number),
    })
}

fn allowed(release: &Release, item: &Item) -> Result<(), Refusal> {
    match (item.waiver, release.class()) {
        (WaiverCode::W1 | WaiverCode::W2, _) | (WaiverCode::D24 | WaiverCode::D5, ChangeClass::Emergency) => {
            Ok(())
        }
        (WaiverCode::D24 | WaiverCode::D5, class) => refuse(
            RefusalCode::WaiverNotAllowed,
            format!("item {} is deferrable in an emergency, this change is {}", item.number, class.as_str()),
        ),
        (WaiverCode::Never, _) => {
            refuse(RefusalCode::WaiverNotAllowed, format!("item {} is never waived", item.number))
        }
    }
}

/// Complete when one approver signed, and under `W2` a second person of any deciding role besides.
pub fn grant(
    release: &Release,
    number: ItemNumber,
    id: Uuid,
    body: &GrantWaiver,
    ctx: &Context<'_>,
) -> Decision {
    moving(release)?;
    let item = item_of(ctx, number)?;
    let waiver = undecided(release, number, id)?;
    let two_people = item.waiver == WaiverCode::W2;
    let deciders: &[Role] =
        if two_people { &[Role::Approver, Role::ReleaseManager] } else { &[Role::Approver] };
    role(ctx, deciders)?;
    person(ctx)?;
    independent(waiver, ctx)?;
    if release.status(number).is_closed() {
        return refuse(
            RefusalCode::ItemClosed,
            format!("item {number} is {}", release.status(number).as_str()),
        );
    }
    if waiver.expires_at <= ctx.now {
        return refuse(RefusalCode::WaiverDecided, format!("the waiver expired at {}", waiver.expires_at));
    }
    let approver_signed = ctx.actor.has(Role::Approver)
        || waiver.grants.iter().any(|grant| grant.by.roles.contains(&Role::Approver));
    let people = waiver.grants.len() + 1;
    let effective = approver_signed && people >= if two_people { 2 } else { 1 };
    one(ItemWaiverGranted {
        waiver: id,
        item: number,
        effective,
        note: body.note.clone(),
        inputs: ctx.around.people.inputs(),
        signed_as: None,
    })
}

pub fn deny(
    release: &Release,
    number: ItemNumber,
    id: Uuid,
    body: &DenyWaiver,
    ctx: &Context<'_>,
) -> Decision {
    not_ended(release)?;
    item_of(ctx, number)?;
    let waiver = undecided(release, number, id)?;
    role(ctx, &[Role::Approver, Role::ReleaseManager])?;
    person(ctx)?;
    independent(waiver, ctx)?;
    one(ItemWaiverDenied { waiver: id, item: number, reason: body.reason.clone(), signed_as: None })
}

/// Sent by the reactor when the waiver's time is up.
pub fn expire(release: &Release, number: ItemNumber, id: Uuid, ctx: &Context<'_>) -> Decision {
    not_ended(release)?;
    system(ctx)?;
    let waiver = known(release, number, id)?;
    let live = matches!(waiver.status, WaiverStatus::Requested | WaiverStatus::Granted { .. });
    if !live || waiver.expires_at > ctx.now {
        return refuse(RefusalCode::WaiverDecided, "the waiver does not expire now");
    }
    if is_latched(release, number, &ctx.around.procedure) {
        return refuse(RefusalCode::ItemLatched, format!("a deployment rests on item {number}"));
    }
    one(ItemWaiverExpired { waiver: id, item: number })
}

/// Sent by the reactor when a duty that was put off is not done in time.
pub fn overdue(release: &Release, number: ItemNumber, ctx: &Context<'_>) -> Decision {
    not_ended(release)?;
    system(ctx)?;
    let deferral = release.items.get(&number).and_then(|state| state.deferred.as_ref());
    let waived = matches!(release.status(number), ItemStatus::Waived { .. });
    match deferral.filter(|deferral| waived && !deferral.overdue && deferral.due_at <= ctx.now) {
        Some(&Deferral { waiver, due_at, .. }) => one(ItemOverdue { item: number, waiver, due_at }),
        None => refuse(RefusalCode::NotDue, format!("item {number} is not overdue")),
    }
}

fn known(release: &Release, number: ItemNumber, id: Uuid) -> Result<&Waiver, Refusal> {
    release
        .waivers
        .get(&id)
        .filter(|waiver| waiver.item == number)
        .ok_or_else(|| Refusal::new(RefusalCode::WaiverUnknown, format!("item {number} has no waiver {id}")))
}

fn undecided(release: &Release, number: ItemNumber, id: Uuid) -> Result<&Waiver, Refusal> {
    let waiver = known(release, number, id)?;
    match waiver.status {
        WaiverStatus::Requested => Ok(waiver),
        _ => refuse(RefusalCode::WaiverDecided, format!("waiver {id} was decided before")),
    }
}

/// Neither who asked nor who has granted already.
fn independent(waiver: &Waiver, ctx: &Context<'_>) -> Result<(), Refusal> {
    let me = |other: &ActorId| ctx.around.people.same(other, &ctx.actor.id);
    if me(&waiver.requested_by) {
        return Err(second_person(ctx, &waiver.requested_by, "requested it"));
    }
    if let Some(grant) = waiver.grants.iter().find(|grant| me(&grant.by.id)) {
        return refuse(RefusalCode::AlreadySigned, format!("{} granted it before", grant.by.id));
    }
    Ok(())
}
