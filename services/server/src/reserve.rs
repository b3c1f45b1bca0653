//! The first of two writes: an environment is reserved in its own stream, by expected revision, before
//! the release records what it holds it for. A reservation whose release event never follows lapses.

use jiff::SignedDuration;
use release::command::Command;
use release::environment::{EnvironmentAround, EnvironmentCommand, ReserveEnvironment};
use release::event::{EnvironmentPurpose, LeasePurpose, ReleaseOpened};
use release::value::{Prose, ReleaseId};
use release::{Aggregate, Context, Refusal, RefusalCode};

use crate::app::App;
use crate::command::{self, CommandError, Envelope, handle};
use crate::names;
use crate::surroundings::{self, SurroundingsError, input};

/// How long a reservation waits for the release's own event.
const LAPSES_AFTER: SignedDuration = SignedDuration::from_mins(2);

#[derive(Debug, thiserror::Error)]
pub enum ReserveError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Surroundings(#[from] SurroundingsError),
}

/// Reserves what the command needs: production for an authorization, its environment for a deployment.
/// A command that would be refused even so, and one that was recorded before, reserve nothing.
pub async fn for_command(
    app: &App,
    tenant: &str,
    id: &ReleaseId,
    opened: &ReleaseOpened,
    envelope: &Envelope,
    command: &Command,
) -> Result<(), ReserveError> {
    let stream = names::release(tenant, id).map_err(SurroundingsError::from)?;
    let slot = app.releases.load(&stream).await.map_err(CommandError::from)?;
    if command::is_recorded(&slot, envelope) {
        return Ok(());
    }
    let mut around = surroundings::of(app, tenant, opened, command).await?;
    around.snapshots.reserve_for(id, preempt_reason(command).is_some());
    let event_id = |_| uuid::Uuid::nil();
    let ctx = Context { now: app.clock.now(), actor: &envelope.actor, event_id: &event_id, around: &around };
    slot.committed().state.decide(command, &ctx).map_err(CommandError::from)?;

    let product = names::product(tenant, &opened.product).map_err(SurroundingsError::from)?;
    let known = app.products.load(&product).await.map_err(CommandError::from)?.committed().revision;
    let product = input(&product, known);
    for environment in surroundings::environments(app, tenant, opened).await? {
        let needed = match command {
            Command::AuthorizeProduction(_) => environment.purpose == EnvironmentPurpose::Production,
            Command::StartDeployment(body) => environment.name == body.environment,
            _ => false,
        };
        if !needed {
            continue;
        }
        let stream = names::environment(tenant, &opened.product, &environment.name)
            .map_err(SurroundingsError::from)?;
        let state = app.environments.load(&stream).await.map_err(CommandError::from)?.committed();
        // A confirmed lease of this release needs no renewal.
        if state.state.lease.as_ref().is_some_and(|held| held.release == *id && held.confirmed_at.is_some()) {
            continue;
        }
        let purpose = match environment.purpose {
            EnvironmentPurpose::Staging => LeasePurpose::StagingValidation,
            EnvironmentPurpose::Production => LeasePurpose::ProductionDeployment,
        };
        let reservation = EnvironmentCommand::Reserve(ReserveEnvironment {
            release: id.clone(),
            purpose,
            expires_at: app.clock.now() + LAPSES_AFTER,
            preempt_reason: preempt_reason(command).cloned(),
        });
        let around = EnvironmentAround {
            purpose: Some(environment.purpose),
            class: Some(opened.class),
            inputs: vec![product.clone()],
            ..EnvironmentAround::default()
        };
        // The key belongs to the release's event; the reservation is found again by its holder.
        let envelope = Envelope { idempotency_key: None, if_match: None, ..envelope.clone() };
        let reserved =
            handle(app, &app.environments, &stream, &envelope, &reservation, &around, |_, _| ()).await;
        match reserved {
            Ok(_) => {}
            // Confirmed between reading it and asking, the lease already lasts longer than a reservation.
            Err(CommandError::Refused(Refusal {
                code: RefusalCode::NothingChanged | RefusalCode::LeaseExpiryInvalid,
                ..
            })) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Why the command takes environments from whoever holds them, when it does.
pub fn preempt_reason(command: &Command) -> Option<&Prose> {
    match command {
        Command::AuthorizeProduction(body) => body.preempt_reason.as_ref(),
        Command::StartDeployment(body) => body.preempt_reason.as_ref(),
        _ => None,
    }
}
