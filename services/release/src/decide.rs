//! From a command and the state to events, or to a refusal that names the rule. Deciding reads
//! nothing but its arguments.

pub mod approval;
mod attachment;
pub mod authorization;
mod batch;
pub mod break_glass;
pub(crate) mod candidate;
mod comment;
mod consequence;
pub mod deployment;
mod evidence;
pub(crate) mod exception;
mod gate;
mod item;
pub mod judge;
pub mod judgement;
mod life;
pub mod monitoring;
mod observation;
mod preempted;
pub mod preview;
pub mod rollback;
pub mod seal;
mod signature;
mod waiver;
mod window;

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::actor::Role;
use crate::aggregate::Aggregate as _;
use crate::command::Command;
use crate::directory::People;
use crate::environment::Running;
use crate::event::{
    ChangeClass, EnvironmentPurpose, Fact, Input, Interval, Outcome, ReleaseEvent, ReleaseOpened,
    SettingsRef, Signatory,
};
use crate::guard::{failed, is_system, one, person, refuse, role};
use crate::procedure::{Item, Order, Policy, Procedure, ProcedureRef};
use crate::product::ProductSettings;
use crate::product::readiness::Roles;
use crate::refusal::{Refusal, RefusalCode};
use crate::release::{Candidate, FULL_AT, Life, Release};
use crate::retention::Keeping;
use crate::value::{Digest, ItemNumber, Name, Prose, ReleaseId, Version};
use crate::verdict::{Cause, Row};

pub use crate::aggregate::Decided;
pub use batch::BATCH_MAX;
pub use preview::{PreviewRow, preview};

/// The context of a command on a release.
pub type Context<'a> = crate::aggregate::Context<'a, Around>;

/// What a decision reads besides the release itself.
pub struct Around {
    /// The procedure version the release is pinned to, or will be.
    pub procedure: Arc<Procedure>,
    /// The version of the product's settings the release is pinned to, or will be.
    pub settings: Arc<ProductSettings>,
    /// Other streams, read for opening.
    pub opening: Option<Opening>,
    /// Other streams, read for production and deployments.
    pub snapshots: Snapshots,
    pub people: People,
}

impl Around {
    /// The procedure's own policy, or the stricter one that the product asks for.
    pub fn policy(&self) -> Policy {
        match self.settings.minimum_policy {
            Policy::Strict => Policy::Strict,
            Policy::Guided => self.procedure.policy,
        }
    }
}

/// Other streams as they were read. Empty for commands that read none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshots {
    /// Freezes of the product's production that are not over.
    pub freezes: Vec<FreezeSnapshot>,
    pub environments: Vec<EnvironmentSnapshot>,
    /// Digests of the product that only two approvers can send to production.
    pub rejected: Vec<RejectedDigest>,
    /// When whoever approves was first seen to act as an approver of the product.
    pub role_first_used: Option<Timestamp>,
    /// How long what is attached to it is kept.
    pub keeping: Option<Keeping>,
    /// The streams they were read from.
    pub inputs: Vec<Input>,
}

impl Snapshots {
    /// As they are once the release has reserved what nobody else holds.
    pub fn reserve_for(&mut self, release: &ReleaseId, preempting: bool) {
        for environment in &mut self.environments {
            if preempting || environment.held_by.is_none() {
                environment.held_by = Some(release.clone());
            }
        }
    }

    /// What events say of them that rest on them.
    pub fn inputs(&self) -> Option<Vec<Input>> {
        Some(self.inputs.clone()).filter(|inputs| !inputs.is_empty())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct RejectedDigest {
    pub digest: Digest,
    pub reason: Prose,
    /// The release whose candidate was rejected.
    pub release: Option<ReleaseId>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FreezeSnapshot {
    pub freeze: Uuid,
    pub span: Interval,
    /// An approval that names the freeze may make an exception from it.
    pub exceptions_allowed: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct EnvironmentSnapshot {
    pub name: Name,
    pub purpose: EnvironmentPurpose,
    /// The release that holds it now.
    pub held_by: Option<ReleaseId>,
    /// What is known to run there.
    pub runs: Option<Running>,
}

/// What opening a release reads of the product, its procedure and its environments.
#[derive(Debug, Clone, PartialEq)]
pub struct Opening {
    pub procedure: ProcedureRef,
    pub settings: SettingsRef,
    pub targets: Vec<Name>,
    /// What runs in production now.
    pub in_production: Option<Version>,
    /// The roles of everybody who is known to have one for the product; `None` when that could not be read.
    pub people: Option<Vec<Roles>>,
    pub inputs: Vec<Input>,
}

pub type Decision = Result<Vec<Decided<ReleaseEvent>>, Refusal>;

pub fn decide(release: &Release, command: &Command, ctx: &Context<'_>) -> Decision {
    // Each command of a batch brought its own consequences.
    if let Command::Batch { commands } = command {
        return batch::decide_all(release, commands, ctx);
    }
    let mut decided = act(release, command, ctx)?;
    signature::sign(&mut decided, ctx);
    decided.extend(judgement::of(release, &decided, ctx));
    let after = judge::follow(release, &mut decided, ctx);
    let follows = consequence::of(release, after.as_ref(), &decided, ctx);
    // What ends with it may shut a gate, whether or not a rule read what happened; so may an emergency that takes
    // staging, which leaves what was shown there stale.
    let lost = decided.iter().any(|one| matches!(one.event, ReleaseEvent::ReleasePreempted(_)));
    let judges = ctx.around.procedure.is_judged() && (lost || !follows.is_empty());
    if let Some(mut after) = judges.then(|| after.unwrap_or_else(|| ahead(release, &decided, ctx))) {
        let from = decided.len();
        decided.extend(follows);
        fold_ahead(&mut after, &decided, from, ctx);
        judge::gates(&mut after, &mut decided, ctx);
    } else {
        decided.extend(follows);
    }
    Ok(decided)
}

fn act(release: &Release, command: &Command, ctx: &Context<'_>) -> Decision {
    match command {
        Command::Open(body) => life::open(release, body, ctx),
        Command::Amend(body) => life::amend(release, body, ctx),
        Command::Hold(body) => life::hold(release, body, ctx),
        Command::Resume(body) => life::resume(release, body, ctx),
        Command::Abort(body) => life::abort(release, body, ctx),
        Command::Reopen(body) => life::reopen(release, body, ctx),
        Command::Complete => life::complete(release, ctx),
        Command::Close => life::close(release, ctx),
        Command::Seal => seal::now(ctx),
        Command::TagCandidate(body) => candidate::tag(release, body, ctx),
        Command::BindCandidate { number, body } => candidate::bind(release, *number, body, ctx),
        Command::RejectCandidate { number, body } => candidate::reject(release, *number, body, ctx),
        Command::RecordEvidence { items, body } => evidence::record(release, items, body, ctx),
        Command::RetractEvidence { evidence, body } => evidence::retract(release, *evidence, body, ctx),
        Command::Attach(body) => attachment::store(release, body, ctx),
        Command::RecordLoss(body) => attachment::lose(release, body, ctx),
        Command::RecordRestored { sha256 } => attachment::restore(release, sha256, ctx),
        Command::RemoveAttachments => attachment::remove(release, ctx),
        Command::AttestItem { item, body } => item::attest(release, *item, body, ctx),
        Command::ReaffirmItem { item, body } => item::reaffirm(release, *item, body, ctx),
        Command::RetractItem { item, body } => item::retract(release, *item, body, ctx),
        Command::AssignItem { item, body } => item::assign(release, *item, body, ctx),
        Command::ClaimItem { item } => item::claim(release, *item, ctx),
        Command::RequestWaiver { item, body } => waiver::request(release, *item, body, ctx),
        Command::GrantWaiver { item, waiver, body } => waiver::grant(release, *item, *waiver, body, ctx),
        Command::DenyWaiver { item, waiver, body } => waiver::deny(release, *item, *waiver, body, ctx),
        Command::ExpireEvidence { item } => evidence::expire(release, *item, ctx),
        Command::MarkOverdue { item } => waiver::overdue(release, *item, ctx),
        Command::ExpireWaiver { item, waiver } => waiver::expire(release, *item, *waiver, ctx),
        Command::MarkNotApplicable { item, body } => item::mark_not_applicable(release, *item, body, ctx),
        Command::ConfirmNotApplicable { item } => item::confirm_not_applicable(release, *item, ctx),
        Command::Comment(body) => comment::add(release, body, ctx),
        Command::LoseEnvironment(body) => preempted::lose(release, body, ctx),
        Command::SetWindow(body) => window::set(release, body, ctx),
        Command::CloseWindow => window::close(release, ctx),
        Command::RequestApproval(body) => approval::request(release, body, ctx),
        Command::GrantApproval { request, body } => approval::grant(release, *request, body, ctx),
        Command::RejectApproval { request, body } => approval::reject(release, *request, body, ctx),
        Command::WithdrawApproval { request, body } => approval::withdraw(release, *request, body, ctx),
        Command::AnswerRollCall(body) => authorization::answer(release, body, ctx),
        Command::AmendAnswer { entry, body } => authorization::amend(release, *entry, body, ctx),
        Command::AuthorizeProduction(body) => authorization::authorize(release, body, ctx),
        Command::ApproveAfterStart { authorization, body } => {
            break_glass::approve(release, *authorization, body, ctx)
        }
        Command::ExpireAuthorization { authorization } => break_glass::expire(release, *authorization, ctx),
        Command::MarkApprovalOverdue { authorization } => break_glass::overdue(release, *authorization, ctx),
        Command::RevokeAuthorization { authorization, body } => {
            authorization::revoke(release, *authorization, body, ctx)
        }
        Command::StartDeployment(body) => deployment::start(release, body, ctx),
        Command::FinishDeployment { deployment, body } => deployment::finish(release, *deployment, body, ctx),
        Command::AmendDeployment { deployment, body } => deployment::amend(release, *deployment, body, ctx),
        Command::DecideProceed { deployment, body } => deployment::proceed(release, *deployment, body, ctx),
        Command::ObserveTraffic { deployment, body } => monitoring::traffic(release, *deployment, body, ctx),
        Command::RecordSamples { deployment, body } => monitoring::samples(release, *deployment, body, ctx),
        Command::RecordProbes { deployment, body } => monitoring::probes(release, *deployment, body, ctx),
        Command::ReportMigrations { deployment, body } => {
            monitoring::migrations(release, *deployment, body, ctx)
        }
        Command::PlanLowTraffic(body) => deployment::plan_low_traffic(release, body, ctx),
        Command::CaptureBaseline(body) => monitoring::baseline(release, body, ctx),
        Command::ElapseTimer { timer } => monitoring::elapse(release, *timer, ctx),
        Command::MarkMonitoringOverrun { deployment } => monitoring::overrun(release, *deployment, ctx),
        Command::JudgeDeployment { deployment } => judgement::now(release, *deployment, ctx),
        Command::ProbeLease { lease, body } => monitoring::probe_lease(release, *lease, body, ctx),
        Command::ExtendLease { lease, body } => monitoring::extend_lease(release, *lease, body, ctx),
        Command::ReleaseLease { lease, body } => monitoring::release_lease(release, *lease, body, ctx),
        Command::BreakLease { lease, body } => monitoring::break_lease(release, *lease, body, ctx),
        Command::RemindLease { lease } => monitoring::remind_lease(release, *lease, ctx),
        Command::TriggerRollback(body) => rollback::trigger(release, body, ctx),
        Command::ProposeRollback(body) => rollback::propose(release, body, ctx),
        Command::DecideRollback { proposal, body } => rollback::decide(release, *proposal, body, ctx),
        Command::RollBackUndecided { proposal } => rollback::undecided(release, *proposal, ctx),
        Command::StartRollback(body) => rollback::start(release, body, ctx),
        Command::ObserveRollback { rollback, body } => rollback::observe(release, *rollback, body, ctx),
        Command::VerifyRollback { rollback, body } => rollback::verify(release, *rollback, body, ctx),
        Command::FailRollback { rollback, body } => rollback::fail(release, *rollback, body, ctx),
        Command::CompleteRollback { rollback, body } => rollback::complete(release, *rollback, body, ctx),
        Command::EvaluateGate { gate } => gate::evaluate(release, *gate, ctx),
        Command::RecordObservation(body) => observation::record(release, body, ctx),
        Command::AssignException { exception, body } => exception::assign(release, *exception, body, ctx),
        Command::DisposeException { exception, body } => exception::dispose(release, *exception, body, ctx),
        Command::Batch { commands } => batch::decide_all(release, commands, ctx),
    }
}

/// The state that the events lead to, before the log has them.
fn ahead(release: &Release, decided: &[Decided<ReleaseEvent>], ctx: &Context<'_>) -> Release {
    let mut after = release.clone();
    fold_ahead(&mut after, decided, 0, ctx);
    after
}

/// Folds the decided events from a place on.
fn fold_ahead(after: &mut Release, decided: &[Decided<ReleaseEvent>], from: usize, ctx: &Context<'_>) {
    let by = Signatory { id: ctx.actor.id.clone(), kind: ctx.actor.kind, roles: ctx.actor.roles.clone() };
    let recorded_at = after.updated_at.map_or(ctx.now, |last| last.max(ctx.now));
    for (n, Decided { event, occurred_at, .. }) in decided.iter().enumerate().skip(from) {
        after.evolve(&Fact {
            id: (ctx.event_id)(n),
            revision: after.events,
            recorded_at,
            occurred_at: occurred_at.unwrap_or(recorded_at),
            by: by.clone(),
            event: event.clone(),
        });
    }
}

/// Time alone does this.
fn system(ctx: &Context<'_>) -> Result<(), Refusal> {
    if is_system(ctx) {
        return Ok(());
    }
    refuse(RefusalCode::RoleMissing, "the server does this when its time has come")
}

/// The target of rows that speak of the release as a whole.
fn whole() -> Name {
    Name::default_target()
}

fn opened(release: &Release) -> Result<&ReleaseOpened, Refusal> {
    release
        .opened
        .as_ref()
        .ok_or_else(|| Refusal::new(RefusalCode::ReleaseUnknown, "no such release was opened"))
}

/// The release takes facts: it was opened and has not ended.
fn not_ended(release: &Release) -> Result<&ReleaseOpened, Refusal> {
    let opened = opened(release)?;
    match &release.life {
        Life::Aborted { at, .. } => refuse(RefusalCode::ReleaseEnded, format!("aborted at {at}")),
        Life::Closed { at, .. } => refuse(RefusalCode::ReleaseEnded, format!("closed at {at}")),
        _ if release.outcome == Some(Outcome::Superseded) => {
            refuse(RefusalCode::ReleaseEnded, "superseded by an emergency")
        }
        Life::NotOpened | Life::Open | Life::Held { .. } | Life::Completed { .. } => Ok(opened),
    }
}

/// What is learned from a release that ended early is written down after its end.
fn takes_facts<'r>(
    release: &'r Release,
    items: &[ItemNumber],
    ctx: &Context<'_>,
) -> Result<&'r ReleaseOpened, Refusal> {
    let ends = |number: &ItemNumber| ctx.around.procedure.item(*number).is_some_and(Item::follows_up);
    let closed = matches!(release.life, Life::Closed { .. });
    if release.ended_early() && !closed && !items.is_empty() && items.iter().all(ends) {
        return opened(release);
    }
    not_ended(release)
}

/// The release moves: it has not ended and is not on hold.
fn moving(release: &Release) -> Result<&ReleaseOpened, Refusal> {
    let opened = not_ended(release)?;
    not_held(release)?;
    Ok(opened)
}

fn not_held(release: &Release) -> Result<(), Refusal> {
    match &release.life {
        Life::Held { since, reason, .. } => {
            refuse(RefusalCode::ReleaseHeld, format!("on hold since {since}: {reason}"))
        }
        _ => Ok(()),
    }
}

/// Only what cannot wait takes an environment from its holder.
fn may_preempt(release: &Release, reason: Option<&Prose>) -> Result<(), Refusal> {
    let class = release.class();
    if reason.is_some() && class != ChangeClass::Emergency {
        let code = RefusalCode::PreemptionNotAllowed;
        let row = failed(code.as_str(), "release/class", "emergency", class.as_str(), Cause::Value);
        return Err(
            Refusal::new(code, format!("the release is of class {}", class.as_str())).with_rows(vec![row])
        );
    }
    Ok(())
}

/// Facts stop at the limit; decisions and life-cycle commands do not come here.
fn has_room(release: &Release) -> Result<(), Refusal> {
    if release.events >= FULL_AT {
        return refuse(RefusalCode::ReleaseFull, format!("{} of {FULL_AT} events", release.events));
    }
    Ok(())
}

fn item_of<'p>(ctx: &'p Context<'_>, number: ItemNumber) -> Result<&'p Item, Refusal> {
    ctx.around.procedure.item(number).ok_or_else(|| {
        Refusal::new(
            RefusalCode::ItemUnknown,
            format!(
                "{} version {} has no item {number}",
                ctx.around.procedure.name, ctx.around.procedure.version
            ),
        )
    })
}

/// Every role that may report on the item or sign it.
fn roles_of(item: &Item) -> Vec<Role> {
    let mut roles = item.roles.clone();
    roles.extend(item.second.iter().filter(|role| !item.roles.contains(role)));
    roles
}

/// All items of the earlier steps are closed on the current candidate.
fn gate_open(release: &Release, item: &Item, ctx: &Context<'_>) -> Result<(), Refusal> {
    if ctx.around.procedure.order == Order::Advisory || item.early || release.follows_up_rollback(item) {
        return Ok(());
    }
    let step = item.number.step();
    let mut rows: Vec<_> = release
        .open_before(step, &ctx.around.procedure)
        .map(|open| {
            let status = release.status(open.number);
            let cause = match status {
                crate::release::ItemStatus::Stale { .. } => Cause::Stale,
                _ => Cause::Absent,
            };
            Row::failed(
                "gate",
                &whole(),
                format!("item/{}", open.number),
                "closed".into(),
                status.as_str().into(),
                cause,
            )
        })
        .collect();
    let shut = release.shut_before(step).flat_map(|(_, gate)| &gate.verdict.rows);
    rows.extend(shut.filter(|row| !row.ok && row.rule != "gate").cloned());
    if rows.is_empty() {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalCode::GateClosed,
        format!("step {step} opens when {} earlier rows hold", rows.len()),
    )
    .with_rows(rows))
}

fn current_candidate(release: &Release) -> Result<&Candidate, Refusal> {
    release
        .current_candidate()
        .ok_or_else(|| Refusal::new(RefusalCode::CandidateRequired, "no candidate is current"))
}
