//! Deployments, and the aggregates of what was observed of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{Amendment, Release, replace};
use crate::actor::ActorKind;
use crate::canary::Telemetry;
use crate::event::{
    CanaryEvaluated, DeploymentOutcome, EnvironmentPurpose, Fact, Probe, ProbeKind, ProceedDecision,
    ReleaseEvent, Sample,
};
use crate::evidence::{Artifact, Migration};
use crate::shared::Shared;
use crate::value::{ActorId, Line, Link, Name, Prose, Sha256Hex};

/// Samples of more series than this are counted, and kept in the log only.
pub const SERIES_MAX: usize = 200;
/// So many instants of a series are remembered, the latest, so that what is sent again is not counted again.
const REMEMBERED: usize = 240;

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Deployment {
    pub deployment: Uuid,
    pub environment: Name,
    pub purpose: EnvironmentPurpose,
    /// Absent when it was found running and nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<u32>,
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    pub artifacts: Vec<Artifact>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline_digest: Option<Sha256Hex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Link>,
    /// The authorization it used up; absent for staging and for what was found running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Uuid>,
    pub started_at: Timestamp,
    #[serde(skip)]
    pub started_at_revision: u64,
    pub started_by: ActorId,
    /// Whether machines alone reported it, or a person too.
    #[serde(skip)]
    pub origin: DeploymentOrigin,
    #[serde(flatten)]
    pub status: DeploymentState,
    /// The last observed share of traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<Weight>,
    /// By series and metric: `canary/error_rate`.
    pub series: BTreeMap<String, SeriesAggregate>,
    /// Samples that were not known before.
    pub samples: u64,
    /// Of these, samples of series beyond the number that is kept, or so late that nobody remembers whether
    /// they were known.
    pub samples_not_aggregated: u64,
    pub version_probes: ProbeAggregate,
    pub health_probes: ProbeAggregate,
    #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
    pub migrations: Vec<MigrationSummary>,
    #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
    pub decisions: Vec<ProceedRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<Prose>,
    /// The last correction; what was recorded before it is in the history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amended: Option<Amendment>,
    /// The longest monitoring has long passed, and nobody said how it ended.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub monitoring_overran: bool,
    /// What the canary was found to be, oldest first; absent when it is not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
}

/// A canary that is judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Canary {
    #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
    pub evaluations: Vec<Evaluation>,
    #[serde(skip)]
    pub telemetry: Telemetry,
    /// Whether machines alone reported what it is judged by, or a person too.
    #[serde(skip)]
    pub origin: DeploymentOrigin,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Evaluation {
    pub at: Timestamp,
    #[serde(flatten)]
    #[cfg_attr(feature = "openapi", schema(value_type = CanaryEvaluated))]
    pub evaluated: Arc<CanaryEvaluated>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DeploymentState {
    Running,
    /// In production this instant is T0, from which monitoring and lease count.
    Succeeded {
        at: Timestamp,
    },
    Failed {
        at: Timestamp,
    },
    RollingBack {
        at: Timestamp,
        rollback: Uuid,
    },
    RolledBack {
        at: Timestamp,
        rollback: Uuid,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeploymentOrigin {
    Machine,
    Person,
}

impl DeploymentOrigin {
    fn of(fact: &Fact<ReleaseEvent>) -> Self {
        if fact.by.kind == ActorKind::Person { Self::Person } else { Self::Machine }
    }
}

impl DeploymentState {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded { .. } => "succeeded",
            Self::Failed { .. } => "failed",
            Self::RollingBack { .. } => "rolling_back",
            Self::RolledBack { .. } => "rolled_back",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Weight {
    pub percent: f64,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SeriesAggregate {
    pub points: u64,
    /// How many observations the points stand for.
    pub count: u64,
    pub sum: f64,
    pub min: f64,
    pub max: f64,
    pub last: f64,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
    #[serde(skip)]
    remembered: Shared<BTreeSet<Timestamp>>,
}

/// Whether a point of a series was there before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sighting {
    New,
    Known,
    Forgotten,
}

impl SeriesAggregate {
    fn starting_with(sample: &Sample) -> Self {
        Self {
            points: 0,
            count: 0,
            sum: 0.0,
            min: sample.value,
            max: sample.value,
            last: sample.value,
            first_at: sample.at,
            last_at: sample.at,
            remembered: Shared::default(),
        }
    }

    /// A source that was not answered sends the same again.
    fn sighting(&mut self, at: Timestamp) -> Sighting {
        if self.remembered.contains(&at) {
            return Sighting::Known;
        }
        let full = self.remembered.len() >= REMEMBERED;
        if full && self.remembered.first().is_some_and(|earliest| at < *earliest) {
            return Sighting::Forgotten;
        }
        self.remembered.insert(at);
        if full {
            self.remembered.pop_first();
        }
        Sighting::New
    }

    fn add(&mut self, sample: &Sample) {
        self.points += 1;
        self.count = self.count.saturating_add(sample.count.unwrap_or(1));
        self.sum += sample.value;
        self.min = self.min.min(sample.value);
        self.max = self.max.max(sample.value);
        self.first_at = self.first_at.min(sample.at);
        if sample.at >= self.last_at {
            self.last_at = sample.at;
            self.last = sample.value;
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProbeAggregate {
    pub total: u64,
    pub ok: u64,
    /// How many of the last in a row answered as they should, or did not.
    pub ok_in_a_row: u64,
    pub failed_in_a_row: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Probe>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MigrationSummary {
    pub at: Timestamp,
    pub tool: Line,
    pub applied: u64,
    pub pending: u32,
    pub failed: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backward_compatible: Option<bool>,
    /// What was applied, to compare with what is applied elsewhere.
    #[serde(skip)]
    pub checksums: Vec<Migration>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProceedRecord {
    pub decision: ProceedDecision,
    pub at: Timestamp,
    pub by: ActorId,
    pub reason: Prose,
    pub basis: Sha256Hex,
    /// Somebody else who decided to proceed before, with nothing else decided in between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub also_by: Option<ActorId>,
}

impl Canary {
    fn reported(&mut self, fact: &Fact<ReleaseEvent>) {
        if DeploymentOrigin::of(fact) == DeploymentOrigin::Person {
            self.origin = DeploymentOrigin::Person;
        }
    }
}

impl Deployment {
    pub fn is_production(&self) -> bool {
        self.purpose == EnvironmentPurpose::Production
    }

    /// T0, from which monitoring and lease count.
    pub fn succeeded_at(&self) -> Option<Timestamp> {
        if let DeploymentState::Succeeded { at } = self.status { Some(at) } else { None }
    }

    /// Started and not at its end: no new candidate meanwhile.
    pub fn started_before(&self, revision: u64) -> bool {
        self.started_at_revision < revision
    }

    pub fn in_progress(&self) -> bool {
        matches!(self.status, DeploymentState::Running | DeploymentState::RollingBack { .. })
    }

    /// Serves, or may serve, what it deployed.
    pub fn is_live(&self) -> bool {
        matches!(
            self.status,
            DeploymentState::Running
                | DeploymentState::Succeeded { .. }
                | DeploymentState::RollingBack { .. }
        )
    }

    fn sampled(&mut self, sample: &Sample) {
        if let Some(canary) = &mut self.canary {
            canary.telemetry.sampled(sample);
        }
        let key = format!("{}/{}", sample.series.as_str(), sample.metric);
        if !self.series.contains_key(&key) && self.series.len() >= SERIES_MAX {
            self.samples += 1;
            self.samples_not_aggregated += 1;
            return;
        }
        let aggregate = self.series.entry(key).or_insert_with(|| SeriesAggregate::starting_with(sample));
        match aggregate.sighting(sample.at) {
            Sighting::Known => {}
            Sighting::New => {
                self.samples += 1;
                aggregate.add(sample);
            }
            Sighting::Forgotten => {
                self.samples += 1;
                self.samples_not_aggregated += 1;
            }
        }
    }

    fn probed(&mut self, probe: &Probe) {
        let aggregate = match probe.kind {
            ProbeKind::Version => &mut self.version_probes,
            ProbeKind::Health => &mut self.health_probes,
        };
        aggregate.total += 1;
        if probe.ok {
            aggregate.ok += 1;
            aggregate.ok_in_a_row += 1;
            aggregate.failed_in_a_row = 0;
        } else {
            aggregate.failed_in_a_row += 1;
            aggregate.ok_in_a_row = 0;
        }
        aggregate.last = Some(probe.clone());
        if let Some(canary) = &mut self.canary {
            canary.telemetry.probed(probe);
        }
    }
}

impl Release {
    pub fn deployment(&self, id: Uuid) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.deployment == id)
    }

    pub fn production_deployments(&self) -> impl DoubleEndedIterator<Item = &Deployment> {
        self.deployments.iter().filter(|deployment| deployment.is_production())
    }

    /// What of this release is in production, as far as it is known here.
    pub fn in_production(&self) -> Option<&Deployment> {
        self.production_deployments().rev().find(|deployment| deployment.is_live())
    }

    pub(super) fn deployment_mut(&mut self, id: Uuid) -> Option<&mut Deployment> {
        self.deployments.iter_mut().find(|deployment| deployment.deployment == id)
    }

    pub(super) fn copy_deployment(&mut self, fact: &Fact<ReleaseEvent>) {
        let at = fact.recorded_at;
        let begun = |deployment: Uuid, environment: &Name, purpose: EnvironmentPurpose| Deployment {
            deployment,
            environment: environment.clone(),
            purpose,
            candidate: None,
            artifacts: Vec::new(),
            pipeline_digest: None,
            url: None,
            authorization: None,
            started_at: at,
            started_at_revision: fact.revision,
            started_by: fact.by.id.clone(),
            origin: DeploymentOrigin::of(fact),
            status: DeploymentState::Running,
            weight: None,
            series: BTreeMap::new(),
            samples: 0,
            samples_not_aggregated: 0,
            version_probes: ProbeAggregate::default(),
            health_probes: ProbeAggregate::default(),
            migrations: Vec::new(),
            decisions: Vec::new(),
            note: None,
            amended: None,
            monitoring_overran: false,
            canary: None,
        };
        match &fact.event {
            ReleaseEvent::DeploymentStarted(started) => {
                if let Some(authorization) = started.authorization {
                    self.consume_authorization(authorization, at, started.deployment);
                }
                self.apply(&started.effects, fact);
                if started.purpose == EnvironmentPurpose::Production {
                    self.outcome = None;
                }
                self.deployments.push(Deployment {
                    candidate: Some(started.candidate),
                    artifacts: started.artifacts.clone(),
                    pipeline_digest: started.pipeline_digest.clone(),
                    url: started.url.clone(),
                    authorization: started.authorization,
                    ..begun(started.deployment, &started.environment, started.purpose)
                });
            }
            ReleaseEvent::LowTrafficPlanned(planned) => self.low_traffic = Some(planned.clone()),
            ReleaseEvent::CanaryPlanned(planned) => {
                if let Some(deployment) = self.deployment_mut(planned.deployment) {
                    let telemetry = Telemetry::new(deployment.started_at, &planned.metrics);
                    let origin = DeploymentOrigin::Machine;
                    deployment.canary = Some(Canary { evaluations: Vec::new(), telemetry, origin });
                }
            }
            ReleaseEvent::CanaryEvaluated(evaluated) => {
                let evaluation = Evaluation { at, evaluated: Arc::new(evaluated.clone()) };
                let canary = self.deployment_mut(evaluated.deployment).and_then(|d| d.canary.as_mut());
                canary.into_iter().for_each(|canary| canary.evaluations.push(evaluation.clone()));
            }
            ReleaseEvent::DeploymentObserved(observed) => self.deployments.push(Deployment {
                candidate: observed.candidate,
                ..begun(observed.deployment, &observed.environment, observed.purpose)
            }),
            ReleaseEvent::DeploymentFinished(finished) => {
                self.apply(&finished.effects, fact);
                let failed = finished.outcome == DeploymentOutcome::Failed;
                if failed && self.production_deployments().any(|d| d.deployment == finished.deployment) {
                    self.undone_at_revision = Some(fact.revision);
                }
                if let Some(deployment) = self.deployment_mut(finished.deployment) {
                    deployment.note.clone_from(&finished.note);
                    if DeploymentOrigin::of(fact) == DeploymentOrigin::Person {
                        deployment.origin = DeploymentOrigin::Person;
                    }
                    deployment.status = match finished.outcome {
                        DeploymentOutcome::Succeeded => DeploymentState::Succeeded { at },
                        DeploymentOutcome::Failed => DeploymentState::Failed { at },
                    };
                }
            }
            ReleaseEvent::DeploymentAmended(amended) => {
                if let Some(deployment) = self.deployment_mut(amended.deployment) {
                    if let Some(artifacts) = &amended.artifacts {
                        deployment.artifacts.clone_from(artifacts);
                    }
                    replace(&mut deployment.pipeline_digest, &amended.pipeline_digest);
                    replace(&mut deployment.url, &amended.url);
                    deployment.amended = Some(Amendment::of(fact, &amended.why));
                    if DeploymentOrigin::of(fact) == DeploymentOrigin::Person {
                        deployment.origin = DeploymentOrigin::Person;
                    }
                }
            }
            ReleaseEvent::TrafficObserved(observed) => {
                let at = fact.occurred_at;
                let Some(deployment) = self.deployment_mut(observed.deployment) else { return };
                if let Some(canary) = &mut deployment.canary {
                    canary.reported(fact);
                    canary.telemetry.weighed(at, observed.weight_percent);
                }
                if deployment.weight.as_ref().is_none_or(|weight| weight.at <= at) {
                    deployment.weight = Some(Weight { percent: observed.weight_percent, at });
                }
            }
            ReleaseEvent::MetricsSampled(sampled) => {
                if let Some(deployment) = self.deployment_mut(sampled.deployment) {
                    deployment.canary.iter_mut().for_each(|canary| canary.reported(fact));
                    sampled.samples.iter().for_each(|sample| deployment.sampled(sample));
                }
            }
            ReleaseEvent::ProbeRecorded(recorded) => {
                if let Some(deployment) = self.deployment_mut(recorded.deployment) {
                    deployment.canary.iter_mut().for_each(|canary| canary.reported(fact));
                    recorded.probes.iter().for_each(|probe| deployment.probed(probe));
                }
            }
            ReleaseEvent::MigrationReported(reported) => {
                if let Some(deployment) = self.deployment_mut(reported.deployment) {
                    deployment.migrations.push(MigrationSummary {
                        at: fact.occurred_at,
                        tool: reported.tool.clone(),
                        applied: u64::try_from(reported.applied.len()).unwrap_or(u64::MAX),
                        pending: reported.pending,
                        failed: reported.failed,
                        backward_compatible: reported.backward_compatible,
                        checksums: reported.applied.clone(),
                    });
                }
            }
            ReleaseEvent::ProceedDecided(decided) => {
                if let Some(deployment) = self.deployment_mut(decided.deployment) {
                    deployment.decisions.push(ProceedRecord {
                        decision: decided.decision,
                        at,
                        by: fact.by.id.clone(),
                        reason: decided.reason.clone(),
                        basis: decided.basis.clone(),
                        also_by: decided.also_by.clone(),
                    });
                }
            }
            _ => {}
        }
    }
}
