//! The time in which production may be changed.

use super::approval::resting_on;
use super::{Context, Decided, Decision, moving, not_ended, one, person, refuse, role, system, whole};
use crate::actor::Role;
use crate::command::SetWindow;
use crate::event::{
    ApprovalExpired, AuthorizationExpired, ChangeClass, Interval, ReleaseEvent, WindowClosed, WindowSet,
};
use crate::refusal::{Refusal, RefusalCode};
use crate::release::Release;
use crate::verdict::{Cause, Row};

pub fn set(release: &Release, body: &SetWindow, ctx: &Context<'_>) -> Decision {
    moving(release)?;
    role(ctx, &[Role::ReleaseManager])?;
    person(ctx)?;
    let window = Interval { from: body.from, to: body.to };
    if release.open_window() == Some(window) {
        return refuse(RefusalCode::NothingChanged, format!("the window is {window}"));
    }
    let thresholds = &ctx.around.procedure.thresholds;
    let canary = if release.class() == ChangeClass::Emergency { 0 } else { thresholds.canary_min_s };
    let least = canary + release.monitoring_s(thresholds);
    let lasts = window.to.duration_since(window.from).as_secs();
    let mut rows = Vec::new();
    let mut check = |input: &str, holds: bool, expected: String, observed: String| {
        if !holds {
            let input = format!("window/{input}");
            rows.push(Row::failed("window", &whole(), input, expected, observed, Cause::Value));
        }
    };
    check("to", window.to > window.from, format!("after {}", window.from), window.to.to_string());
    check("to", window.to > ctx.now, format!("after {}", ctx.now), window.to.to_string());
    check(
        "duration_s",
        lasts <= 0 || u64::try_from(lasts).is_ok_and(|lasts| lasts >= least),
        format!("at least {least}"),
        lasts.to_string(),
    );
    if !rows.is_empty() {
        return Err(Refusal::new(RefusalCode::WindowInvalid, format!("{window}")).with_rows(rows));
    }
    one(WindowSet { window, moved_from: release.open_window() })
}

/// What the window bounded ends with it.
pub fn close(release: &Release, ctx: &Context<'_>) -> Decision {
    not_ended(release)?;
    system(ctx)?;
    let Some(window) = release.open_window().filter(|window| window.to <= ctx.now) else {
        return refuse(RefusalCode::NotDue, "no window is over");
    };
    let mut events: Vec<Decided<ReleaseEvent>> = vec![Decided::now(WindowClosed { window })];
    if let Some(approval) = release.live_approval() {
        let reopened = resting_on(release, approval, &ctx.around.procedure);
        events.push(Decided::now(ApprovalExpired { request: approval.request, reopened }));
    }
    // One that was given by break-glass never rested on a window.
    if let Some(given) = release.live_authorization().filter(|given| given.break_glass.is_none()) {
        events.push(Decided::now(AuthorizationExpired { authorization: given.authorization }));
    }
    Ok(events)
}
