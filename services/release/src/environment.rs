//! An environment of a product: which release holds it, what runs in it, and what ran before.
//!
//! Stream `environment-{tenant}.{product}.{environment}`. What must be exclusive is reserved here
//! first, by an append that expects the revision it read, and then recorded in the release; of two
//! releases that race, the second one meets the lease of the first.

mod decide;
mod exception;

pub(crate) use decide::MAY_LEASE;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::aggregate::{Aggregate, Context};
use crate::command::{AssignException, DisposeException, commands};
use crate::directory::People;
use crate::event::{
    ChangeClass, EnvironmentEvent, EnvironmentPurpose, Fact, Governance, Input, LeasePurpose, Sighting,
};
use crate::evidence::Artifact;
use crate::observation::{RecordObservation, version_of};
use crate::release::{Exception, ExceptionRef};
use crate::value::{ActorId, GitSha, Line, List, Prose, ReleaseId, Version};

/// How much of what ran is kept.
pub const MAX_HISTORY: usize = 50;

/// Everything that can be asked of an environment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum EnvironmentCommand {
    Reserve(ReserveEnvironment),
    ConfirmReservation(ConfirmReservation),
    ReleaseReservation(ReleaseReservation),
    HandOver(HandOverEnvironment),
    ExpireReservation(ExpireReservation),
    RecordRunning(RecordRunning),
    RecordObservation(RecordObservation),
    AssignException { exception: ExceptionRef, body: AssignException },
    DisposeException { exception: ExceptionRef, body: DisposeException },
}

commands! {
    /// The environment for one release. Asked again by its holder, it renews the lease.
    ReserveEnvironment {
        release: ReleaseId,
        purpose: LeasePurpose,
        /// When a reservation that nobody confirms lapses, and a confirmed lease should be over.
        expires_at: Timestamp,
    } optional {
        /// Why an emergency takes the environment from the release that holds it.
        preempt_reason: Prose,
    };

    /// The release has recorded what it holds the environment for: the lease no longer lapses.
    ConfirmReservation { release: ReleaseId, } optional {
        /// When the confirmed lease should be over; unchanged when absent.
        expires_at: Timestamp,
    };

    ReleaseReservation { release: ReleaseId, } optional { reason: Prose, };

    HandOverEnvironment { to: ReleaseId, reason: Prose, } optional {
        /// Unchanged when absent.
        expires_at: Timestamp,
    };

    ExpireReservation { release: ReleaseId, };

    /// What was seen to run. An observation: it is recorded whatever it says, once.
    RecordRunning {
        /// As the environment or its deploy tool states it.
        version: Line,
    } optional {
        commit_sha: GitSha,
        /// The release that deployed it; without one it is an orphan.
        release: ReleaseId,
        deployment: Uuid,
        /// When it began to run, or was seen; now when absent.
        observed_at: Timestamp,
    } defaulted {
        artifacts: List<Artifact, 100>,
        /// A machine compared the digests of what runs with these and found them equal.
        verified: bool,
    };
}

/// What a decision reads besides the environment. Observations read only its purpose.
#[derive(Clone, Default)]
pub struct EnvironmentAround {
    /// What the product's settings say it is for; absent when they name no such environment.
    pub purpose: Option<EnvironmentPurpose>,
    /// The class of the release that the command names; absent when the product has no such open release.
    pub class: Option<ChangeClass>,
    /// The snapshots these were read from.
    pub inputs: Vec<Input>,
    pub people: People,
}

impl LeasePurpose {
    /// The environments that can be leased for it.
    pub fn takes(self) -> EnvironmentPurpose {
        match self {
            Self::StagingValidation => EnvironmentPurpose::Staging,
            Self::ProductionDeployment => EnvironmentPurpose::Production,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Environment {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<Running>,
    /// What ran before, oldest first.
    #[cfg_attr(feature = "openapi", schema(max_items = 50))]
    pub history: Vec<Running>,
    /// What went another way than the procedure says, oldest first; listed under a URL of its own.
    #[serde(skip)]
    pub exceptions: Vec<Exception>,
    /// How many events the stream holds.
    pub events: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Lease {
    pub lease: Uuid,
    /// Who holds it.
    pub release: ReleaseId,
    pub class: ChangeClass,
    pub purpose: LeasePurpose,
    pub since: Timestamp,
    pub by: ActorId,
    pub expires_at: Timestamp,
    /// The event that set `expires_at`.
    #[serde(skip)]
    pub expiry_set_by: Uuid,
    /// Set once the release has recorded what it holds the environment for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Timestamp>,
}

impl Lease {
    /// A reservation lapses; a confirmed lease ends by being released, handed over or preempted,
    /// because time alone must not free an environment in the middle of a deployment.
    pub fn holds_at(&self, instant: Timestamp) -> bool {
        self.confirmed_at.is_some() || instant < self.expires_at
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Running {
    pub version: Line,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_sha: Option<GitSha>,
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    pub artifacts: Vec<Artifact>,
    pub since: Timestamp,
    /// When something else began to run; absent while it runs, or when the end is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Uuid>,
    pub governance: Governance,
    /// A machine compared the digests of what runs with these.
    pub verified: bool,
}

impl Running {
    /// The version it belongs to, where what it calls itself is one or a candidate of one.
    pub fn release_version(&self) -> Option<Version> {
        version_of(self.version.as_str())
    }
}

impl Environment {
    /// The lease that keeps others out at an instant.
    pub fn held_at(&self, instant: Timestamp) -> Option<&Lease> {
        self.lease.as_ref().filter(|lease| lease.holds_at(instant))
    }

    fn end_lease(&mut self, lease: Uuid) {
        self.lease.take_if(|held| held.lease == lease);
    }

    fn keep(&mut self, ran: Running) {
        let place = self.history.partition_point(|earlier| earlier.since <= ran.since);
        self.history.insert(place, ran);
        if self.history.len() > MAX_HISTORY {
            // What was verified may be needed to roll back to, so it goes last.
            let least = self.history.iter().position(|ran| !ran.verified).unwrap_or(0);
            self.history.remove(least);
        }
    }
}

impl Aggregate for Environment {
    type Event = EnvironmentEvent;
    type Command = EnvironmentCommand;
    type Around = EnvironmentAround;

    fn evolve(&mut self, fact: &Fact<EnvironmentEvent>) {
        self.events = fact.revision.saturating_add(1);
        self.updated_at = Some(fact.recorded_at);
        self.derive_exceptions(fact);
        match &fact.event {
            EnvironmentEvent::ObservationRecorded(_) => {}
            EnvironmentEvent::ExceptionAssigned(event) => exception::assigned(&mut self.exceptions, event),
            EnvironmentEvent::ExceptionDisposed(event) => {
                exception::disposed(&mut self.exceptions, fact, event);
            }
            EnvironmentEvent::EnvironmentReserved(reserved) => {
                match self.lease.as_mut().filter(|held| held.lease == reserved.lease) {
                    Some(renewed) => {
                        renewed.class = reserved.class;
                        renewed.expires_at = reserved.expires_at;
                        renewed.expiry_set_by = fact.id;
                    }
                    None => {
                        self.lease = Some(Lease {
                            lease: reserved.lease,
                            release: reserved.release.clone(),
                            class: reserved.class,
                            purpose: reserved.purpose,
                            since: fact.recorded_at,
                            by: fact.by.id.clone(),
                            expires_at: reserved.expires_at,
                            expiry_set_by: fact.id,
                            confirmed_at: None,
                        });
                    }
                }
            }
            EnvironmentEvent::EnvironmentReservationConfirmed(confirmed) => {
                if let Some(held) = self.lease.as_mut().filter(|held| held.lease == confirmed.lease) {
                    held.confirmed_at = held.confirmed_at.or(Some(fact.recorded_at));
                    if let Some(expires_at) = confirmed.expires_at {
                        held.expires_at = expires_at;
                        held.expiry_set_by = fact.id;
                    }
                }
            }
            EnvironmentEvent::EnvironmentHandedOver(handed) => {
                if let Some(held) = self.lease.as_mut().filter(|held| held.lease == handed.lease) {
                    held.release = handed.to.clone();
                    held.class = handed.class;
                    held.since = fact.recorded_at;
                    held.by = fact.by.id.clone();
                    held.expires_at = handed.expires_at;
                    held.expiry_set_by = fact.id;
                }
            }
            EnvironmentEvent::EnvironmentReleased(released) => self.end_lease(released.lease),
            EnvironmentEvent::EnvironmentPreempted(preempted) => self.end_lease(preempted.lease),
            EnvironmentEvent::EnvironmentReservationExpired(expired) => self.end_lease(expired.lease),
            EnvironmentEvent::EnvironmentRunningRecorded(recorded) => {
                let mut seen = Running {
                    version: recorded.version.clone(),
                    commit_sha: recorded.commit_sha.clone(),
                    artifacts: recorded.artifacts.clone(),
                    since: recorded.since,
                    until: None,
                    release: recorded.release.clone(),
                    deployment: recorded.deployment,
                    governance: recorded.governance,
                    verified: recorded.verified,
                };
                match recorded.sighting {
                    Sighting::Started => {
                        if let Some(mut ran) = self.running.replace(seen) {
                            ran.until = Some(recorded.since);
                            self.keep(ran);
                        }
                    }
                    Sighting::Seen => self.running = Some(seen),
                    Sighting::Earlier => {
                        seen.until = None;
                        self.keep(seen);
                    }
                }
            }
        }
    }

    fn decide(&self, command: &EnvironmentCommand, ctx: &Context<'_, EnvironmentAround>) -> decide::Decision {
        decide::decide(self, command, ctx)
    }
}
