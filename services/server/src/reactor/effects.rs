//! What an event of a release means for its product and the environments of it.

use eventlog::{Header, Recorded};
use release::ReleaseEvent;
use release::command::{Command, LoseEnvironment};
use release::environment::{
    ConfirmReservation, EnvironmentAround, EnvironmentCommand, RecordRunning, ReleaseReservation,
};
use release::event::{
    DeploymentOutcome, DirectoryEvent, EnvironmentEvent, EnvironmentPurpose, Governance, ReleaseOpened,
};
use release::observation::Seen;
use release::product::settings::EnvironmentSettings;
use release::product::{ProductCommand, RejectDigest};
use release::release::{CandidateStatus, Life, Release as State};
use release::value::{Line, List, Name, ReleaseId};

use super::{ReactorError, envelope, header, settle};
use crate::app::App;
use crate::command::{CommandError, Envelope, handle};
use crate::names;
use crate::surroundings::{self, SurroundingsError};
use crate::views::{View, is_kept};

/// What kind of event it is, as far as others than its release care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The release recorded what it holds an environment for.
    Holds,
    /// Something else runs now.
    Runs,
    /// The release no longer needs what it held.
    LetsGo,
    /// An emergency took an environment from a release.
    Preempts,
    /// Something of the release was seen to run that it did not put there.
    Seen,
    /// A candidate was rejected, or a rejected one turns out to hold these digests.
    Rejects,
    /// The retention of what is attached is over.
    GivesUp,
    /// The names of a person are to be destroyed.
    Erases,
}

/// Which events others care about.
pub const EFFECTS: [(&str, Effect); 16] = [
    ("production.authorized", Effect::Holds),
    ("production.break_glass_authorized", Effect::Holds),
    ("deployment.started", Effect::Holds),
    ("deployment.finished", Effect::Runs),
    ("rollback.completed", Effect::Runs),
    ("production.authorization_revoked", Effect::LetsGo),
    ("production.authorization_expired", Effect::LetsGo),
    ("release.completed", Effect::LetsGo),
    ("release.closed", Effect::LetsGo),
    ("release.aborted", Effect::LetsGo),
    ("candidate.rejected", Effect::Rejects),
    ("candidate.bound", Effect::Rejects),
    ("environment.preempted", Effect::Preempts),
    ("attachment.removed", Effect::GivesUp),
    ("observation.recorded", Effect::Seen),
    ("person.erased", Effect::Erases),
];

pub fn of(event_type: &str) -> Option<Effect> {
    EFFECTS.iter().find(|(name, _)| *name == event_type).map(|(_, effect)| *effect)
}

pub async fn carry_out(app: &App, effect: Effect, recorded: &Recorded) -> Result<(), ReactorError> {
    if effect == Effect::Preempts {
        return preempts(app, recorded).await;
    }
    if effect == Effect::Erases {
        return erases(app, recorded).await;
    }
    let Some((tenant, id)) = names::as_release(&recorded.stream) else { return Ok(()) };
    let release =
        app.releases.at_least(&recorded.stream, recorded.revision).await.map_err(CommandError::from)?;
    let Some(opened) = &release.state.opened else { return Ok(()) };
    let header = header(recorded)?;
    let cause = Cause { app, tenant, id: &id, opened, recorded, header: &header };
    match effect {
        Effect::Rejects => return cause.reject(&release.state, &cause.event()?).await,
        Effect::Seen => return cause.seen(&cause.event()?).await,
        Effect::GivesUp => return cause.give_up(&cause.event()?).await,
        _ => {}
    }
    let environments = surroundings::environments(app, tenant, opened).await?;
    match effect {
        Effect::Rejects | Effect::Preempts | Effect::Seen | Effect::GivesUp | Effect::Erases => Ok(()),
        Effect::Holds => cause.hold(&environments, &cause.event()?).await,
        Effect::Runs => {
            cause.runs(&release.state, &cause.event()?).await?;
            // What was kept for a deployment in progress goes with its end.
            let over = matches!(
                release.state.life,
                Life::Aborted { .. } | Life::Completed { .. } | Life::Closed { .. }
            );
            if over { cause.let_go(&environments, &release.state).await } else { Ok(()) }
        }
        Effect::LetsGo => cause.let_go(&environments, &release.state).await,
    }
}

/// The release that held the environment hears of it.
async fn preempts(app: &App, recorded: &Recorded) -> Result<(), ReactorError> {
    let Some((tenant, _, environment)) = names::as_environment(&recorded.stream) else { return Ok(()) };
    let Ok(environment) = Name::new(environment) else { return Ok(()) };
    let header = header(recorded)?;
    let event: EnvironmentEvent = app
        .format
        .formats()
        .decode(&header.event_type, header.schema, &recorded.data)
        .map_err(|error| ReactorError::Unreadable(error.to_string()))?;
    let EnvironmentEvent::EnvironmentPreempted(preempted) = event else { return Ok(()) };
    let stream = names::release(tenant, &preempted.release).map_err(SurroundingsError::from)?;
    let release = app.releases.load(&stream).await.map_err(CommandError::from)?.committed();
    let Some(opened) = &release.state.opened else { return Ok(()) };
    let around = surroundings::whole(app, tenant, opened).await?;
    let command = Command::LoseEnvironment(LoseEnvironment {
        environment,
        by: preempted.by.clone(),
        reason: preempted.reason.clone(),
    });
    let rule = "environment_lost";
    let own = envelope(rule, &stream, format!("{rule}:{}", recorded.id))?;
    let envelope = Envelope {
        causation: Some(recorded.id),
        correlation: header.correlation.clone(),
        trace: own.trace.clone().or_else(|| header.trace.clone()),
        ..own
    };
    settle(handle(app, &app.releases, &stream, &envelope, &command, &around, |_, _| ()).await)
}

/// Whoever asked for it may have gone before the names were destroyed.
async fn erases(app: &App, recorded: &Recorded) -> Result<(), ReactorError> {
    let header = header(recorded)?;
    let event: DirectoryEvent = app
        .format
        .formats()
        .decode(&header.event_type, header.schema, &recorded.data)
        .map_err(|error| ReactorError::Unreadable(error.to_string()))?;
    let DirectoryEvent::PersonErased(erased) = event else { return Ok(()) };
    let _alone = app.attaching.write().await;
    for sha256 in &erased.names {
        app.vault.remove(sha256).await?;
    }
    Ok(())
}

/// The event that makes something necessary, and where.
struct Cause<'a> {
    app: &'a App,
    tenant: &'a str,
    id: &'a ReleaseId,
    opened: &'a ReleaseOpened,
    recorded: &'a Recorded,
    header: &'a Header,
}

impl Cause<'_> {
    fn event(&self) -> Result<ReleaseEvent, ReactorError> {
        self.app
            .format
            .formats()
            .decode(&self.header.event_type, self.header.schema, &self.recorded.data)
            .map_err(|error| ReactorError::Unreadable(error.to_string()))
    }

    /// The release holds the environment since before the event: an event of the past says nothing of a
    /// lease that was taken after it.
    async fn holds(&self, environment: &Name) -> Result<bool, ReactorError> {
        let stream = names::environment(self.tenant, &self.opened.product, environment)
            .map_err(SurroundingsError::from)?;
        let state = self.app.environments.load(&stream).await.map_err(CommandError::from)?.committed();
        Ok(state
            .state
            .lease
            .as_ref()
            .is_some_and(|lease| lease.release == *self.id && lease.since <= self.header.recorded_at))
    }

    /// The reservation no longer lapses; production takes over from staging.
    async fn hold(
        &self,
        environments: &[EnvironmentSettings],
        event: &ReleaseEvent,
    ) -> Result<(), ReactorError> {
        for environment in environments {
            let (holds, leaves) = match event {
                ReleaseEvent::ProductionAuthorized(_) | ReleaseEvent::BreakGlassAuthorized(_) => {
                    (environment.purpose == EnvironmentPurpose::Production, false)
                }
                ReleaseEvent::DeploymentStarted(started) => (
                    environment.name == started.environment,
                    started.purpose == EnvironmentPurpose::Production
                        && environment.purpose == EnvironmentPurpose::Staging,
                ),
                _ => (false, false),
            };
            if holds && self.holds(&environment.name).await? {
                let command = ConfirmReservation { release: self.id.clone(), expires_at: None };
                self.send(
                    &environment.name,
                    "reservation_confirmed",
                    EnvironmentCommand::ConfirmReservation(command),
                )
                .await?;
            }
            if leaves {
                self.give_back(&environment.name).await?;
            }
        }
        Ok(())
    }

    async fn runs(&self, state: &State, event: &ReleaseEvent) -> Result<(), ReactorError> {
        let (deployment, version, from_candidate) = match event {
            ReleaseEvent::DeploymentFinished(finished)
                if finished.outcome == DeploymentOutcome::Succeeded =>
            {
                (finished.deployment, self.opened.version.to_string(), true)
            }
            ReleaseEvent::RollbackCompleted(completed) => {
                let Some(rollback) = state.rollback(completed.rollback) else { return Ok(()) };
                let Some(to) = &rollback.to else { return Ok(()) };
                (rollback.deployment, to.to_string(), false)
            }
            _ => return Ok(()),
        };
        let Some(deployment) = state.deployment(deployment) else { return Ok(()) };
        let line = |text: &str| Line::new(text).map_err(|error| ReactorError::Unreadable(error.to_string()));
        let candidate = deployment.candidate.and_then(|number| state.candidate(number));
        // In staging it is still a candidate that runs.
        let version = match candidate {
            Some(candidate) if deployment.purpose == EnvironmentPurpose::Staging => candidate.tag.to_string(),
            _ => version,
        };
        let artifacts = if from_candidate { deployment.artifacts.clone() } else { Vec::new() };
        let command = RecordRunning {
            version: line(&version)?,
            commit_sha: candidate.filter(|_| from_candidate).map(|candidate| candidate.commit_sha.clone()),
            release: from_candidate.then(|| self.id.clone()),
            deployment: from_candidate.then_some(deployment.deployment),
            observed_at: Some(self.header.occurred_at),
            artifacts: List::new(artifacts).map_err(|error| ReactorError::Unreadable(error.to_string()))?,
            verified: false,
        };
        self.send(&deployment.environment, "running_recorded", EnvironmentCommand::RecordRunning(command))
            .await
    }

    /// The environment runs the release's build, and nobody answers for how it came there. What a deployment of the
    /// release put there, its end reports.
    async fn seen(&self, event: &ReleaseEvent) -> Result<(), ReactorError> {
        let ReleaseEvent::ObservationRecorded(recorded) = event else { return Ok(()) };
        let Seen::Deployment(seen) = &recorded.seen else { return Ok(()) };
        let Some(version) = seen.label().filter(|_| recorded.governance == Some(Governance::Orphan)) else {
            return Ok(());
        };
        let command = RecordRunning {
            version,
            commit_sha: seen.commit_sha.clone(),
            release: Some(self.id.clone()),
            deployment: None,
            observed_at: Some(self.header.occurred_at),
            artifacts: seen.artifacts.clone(),
            verified: false,
        };
        self.send(&seen.environment, "running_recorded", EnvironmentCommand::RecordRunning(command)).await
    }

    /// What is deployed at this moment is kept until it has ended.
    async fn let_go(&self, environments: &[EnvironmentSettings], state: &State) -> Result<(), ReactorError> {
        // An authorization is for production; staging is kept for as long as the release is validated.
        let production_only = self.header.event_type.starts_with("production.");
        for environment in environments {
            if production_only && environment.purpose != EnvironmentPurpose::Production {
                continue;
            }
            let busy = state.deployments.iter().any(|d| d.environment == environment.name && d.in_progress());
            if !busy {
                self.give_back(&environment.name).await?;
            }
        }
        Ok(())
    }

    async fn give_back(&self, environment: &Name) -> Result<(), ReactorError> {
        if !self.holds(environment).await? {
            return Ok(());
        }
        let command = ReleaseReservation { release: self.id.clone(), reason: None };
        self.send(environment, "reservation_released", EnvironmentCommand::ReleaseReservation(command)).await
    }

    /// From now on every release of the product knows the digests.
    async fn reject(&self, state: &State, event: &ReleaseEvent) -> Result<(), ReactorError> {
        let number = match event {
            ReleaseEvent::CandidateRejected(rejected) => rejected.number,
            ReleaseEvent::CandidateBound(bound) => bound.number,
            _ => return Ok(()),
        };
        let Some(candidate) = state.candidate(number) else { return Ok(()) };
        let CandidateStatus::Rejected { reason, .. } = &candidate.status else { return Ok(()) };
        let stream = names::product(self.tenant, &self.opened.product).map_err(SurroundingsError::from)?;
        for artifact in &candidate.artifacts {
            let rule = "digest_rejected";
            let key = format!("{rule}:{}:{}", self.recorded.id, artifact.digest);
            let command = ProductCommand::RejectDigest(RejectDigest {
                digest: artifact.digest.clone(),
                reason: reason.clone(),
                release: Some(self.id.clone()),
            });
            let envelope = envelope(rule, &stream, key)?;
            settle(handle(self.app, &self.app.products, &stream, &envelope, &command, &(), |_, _| ()).await)?;
        }
        Ok(())
    }

    /// The vault keeps what another release still has attached, or the same one again.
    async fn give_up(&self, event: &ReleaseEvent) -> Result<(), ReactorError> {
        let ReleaseEvent::AttachmentRemoved(removed) = event else { return Ok(()) };
        // Nothing is attached meanwhile, so the view knows everybody who keeps it.
        let _alone = self.app.attaching.write().await;
        let _elsewhere = self.app.vault.giving_up().await?;
        self.app.holds_all().await?;
        let head = self.app.store.head().map(|head| head.0);
        self.app.views.ready(View::Releases, head).await?;
        for sha256 in &removed.attachments {
            let asked = sha256.clone();
            if !self.app.views.query(move |db| is_kept(db, &asked)).await? {
                self.app.vault.remove(sha256).await?;
            }
        }
        Ok(())
    }

    async fn send(
        &self,
        environment: &Name,
        rule: &'static str,
        command: EnvironmentCommand,
    ) -> Result<(), ReactorError> {
        let stream = names::environment(self.tenant, &self.opened.product, environment)
            .map_err(SurroundingsError::from)?;
        let own = envelope(rule, &stream, format!("{rule}:{}", self.recorded.id))?;
        let envelope = Envelope {
            causation: Some(self.recorded.id),
            correlation: self.header.correlation.clone(),
            trace: own.trace.clone().or_else(|| self.header.trace.clone()),
            ..own
        };
        let around = EnvironmentAround::default();
        settle(
            handle(self.app, &self.app.environments, &stream, &envelope, &command, &around, |_, _| ()).await,
        )
    }
}
