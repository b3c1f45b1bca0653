//! Evaluating a gate on request: its items are judged as of now, and the verdict is recorded whatever it is.

use super::deployment::is_latched;
use super::{Context, Decision, has_room, judge, moving, refuse, role};
use crate::actor::Role;
use crate::refusal::{Refusal, RefusalCode};
use crate::release::Release;

pub fn evaluate(release: &Release, gate: u32, ctx: &Context<'_>) -> Decision {
    moving(release)?;
    role(ctx, &[Role::Machine, Role::ReleaseManager])?;
    has_room(release)?;
    let procedure = &ctx.around.procedure;
    let (name, version) = (&procedure.name, procedure.version);
    let Some(step) = procedure.step(gate) else {
        return refuse(RefusalCode::StepUnknown, format!("{name} version {version} has no step {gate}"));
    };
    if !procedure.is_judged() {
        let detail = format!("{name} version {version} judges nothing: a gate is what its items say");
        return Err(Refusal::new(RefusalCode::GateNotJudged, detail));
    }
    if let Some(latched) = step.items.iter().find(|item| is_latched(release, item.number, procedure)) {
        let detail = format!("a deployment rests on item {}", latched.number);
        return refuse(RefusalCode::ItemLatched, detail);
    }
    Ok(judge::evaluate(release, step, ctx))
}
