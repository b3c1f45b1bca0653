//! What was deployed where, whether it is what was built and approved, how the canary and the time after the rollout
//! went, and what was rolled back.

mod monitoring;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::Story;
use crate::event::{
    CanaryEvaluated, DeploymentOutcome, EnvironmentPurpose, Governance, Interval, ProceedDecision,
    ReleaseEvent, RollbackDecision, RollbackMode, RollbackStep,
};
use crate::evidence::{Artifact, Facts, Migration};
use crate::observation::Seen;
use crate::release::{
    Deployment, LeaseStatus, ProbeAggregate, Rollback, RollbackStatus, TimerStatus, same_artifacts,
};
use crate::value::{ActorId, ItemNumber, Line, Link, Name, Prose, Sha256Hex, Version};

pub use monitoring::*;

shapes! {
    ReportedDeployments {
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        deployments: Vec<ReportedDeployment>,
        /// What other tools reported of deployments, as evidence.
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        reported: Vec<DeploymentReport>,
        /// What was seen from outside.
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        observed: Vec<DeploymentSighting>,
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        migrations: Vec<MigrationReport>,
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        timers: Vec<ReportedTimer>,
        /// How long the previous version was kept.
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        leases: Vec<ReportedLease>,
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        triggers: Vec<ReportedTrigger>,
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        proposals: Vec<ReportedProposal>,
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        rollbacks: Vec<ReportedRollback>,
    } nullable {
        /// Production applied the migrations that were applied before, with the same checksums; null where one side
        /// was not reported.
        migrations_equal: bool,
    };

    ReportedDeployment {
        deployment: Uuid,
        environment: Name,
        production: bool,
        started_at: Timestamp,
        started_by: ActorId,
        /// `running`, `succeeded`, `failed`, `rolling_back` or `rolled_back`.
        #[cfg_attr(feature = "openapi", schema(max_length = 20))]
        state: &'static str,
        #[cfg_attr(feature = "openapi", schema(max_items = 100))]
        artifacts: Vec<Artifact>,
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        decisions: Vec<ReportedDecision>,
        version_probes: ReportedProbes,
        health_probes: ReportedProbes,
        #[cfg_attr(feature = "openapi", schema(max_items = 200))]
        series: Vec<ReportedSeries>,
        /// Samples that were received, those included that `series` does not hold.
        samples: u64,
    } nullable {
        candidate: u32,
        /// The single-use authorization that its start used up.
        authorization: Uuid,
        /// Of its start; null for what was found running.
        revision: u64,
        finished_at: Timestamp,
        rollback: Uuid,
        pipeline_digest: Sha256Hex,
        url: Link,
        /// The same artifacts as the candidate; null where one side is not known, as below.
        digests_equal_candidate: bool,
        digests_equal_staging: bool,
        pipeline_equal_candidate: bool,
        pipeline_equal_staging: bool,
        /// The window that was set when it started.
        window: Interval,
        started_in_window: bool,
        finished_in_window: bool,
        /// The last share of traffic that was observed.
        weight_percent: f64,
        /// Null where the procedure judges no canary.
        canary: ReportedCanary,
        /// Null where nothing was sampled after the rollout.
        monitoring: Monitoring,
        note: Prose,
        /// Why what was recorded of it was corrected.
        amended: Prose,
    };

    DeploymentReport {
        evidence: Uuid,
        environment: Name,
        #[cfg_attr(feature = "openapi", schema(max_length = 20))]
        status: &'static str,
        #[cfg_attr(feature = "openapi", schema(max_items = 100))]
        artifacts: Vec<Artifact>,
        at: Timestamp,
    } nullable { digests_equal_candidate: bool, pipeline_digest: Sha256Hex, };

    DeploymentSighting {
        observation: Uuid,
        revision: u64,
        #[cfg_attr(feature = "openapi", schema(max_length = 20))]
        kind: &'static str,
        at: Timestamp,
    } nullable {
        environment: Name,
        deployment: Uuid,
        /// Whether a release answers for it.
        governance: Governance,
    };

    MigrationReport {
        environment: Name,
        production: bool,
        tool: Line,
        #[cfg_attr(feature = "openapi", schema(max_items = 500))]
        applied: Vec<Migration>,
        pending: u32,
        failed: u32,
        at: Timestamp,
        revision: u64,
    } nullable {
        /// The previous version runs on the new schema; null where nobody said.
        backward_compatible: bool,
        evidence: Uuid,
        deployment: Uuid,
    };

    ReportedDecision { decision: ProceedDecision, at: Timestamp, by: ActorId, reason: Prose, basis: Sha256Hex, } nullable {
        also_by: ActorId,
    };

    ReportedProbes { total: u64, ok: u64, };

    ReportedSeries {
        /// `canary/error_rate`.
        #[cfg_attr(feature = "openapi", schema(max_length = 300))]
        name: String,
        points: u64,
        /// How many observations the points stand for.
        count: u64,
        min: f64,
        max: f64,
        last: f64,
        first_at: Timestamp,
        last_at: Timestamp,
    } nullable { mean: f64, };

    ReportedCanary {
        /// How often it was evaluated.
        evaluations: u64,
        /// Looks by the plan of the sequential test.
        looks: u32,
    } nullable {
        at: Timestamp,
        /// The last evaluation with its rows; `minimum_detectable_ratio` says what it had the power to show.
        last: CanaryEvaluated,
    };

    ReportedTimer {
        timer: Uuid,
        deployment: Uuid,
        item: ItemNumber,
        started_at: Timestamp,
        elapses_at: Timestamp,
        resets: u32,
        #[cfg_attr(feature = "openapi", schema(max_length = 20))]
        status: &'static str,
    } nullable { ended_at: Timestamp, };

    ReportedLease {
        lease: Uuid,
        version: Version,
        opened_at: Timestamp,
        not_before_release: Timestamp,
        probes: u64,
        healthy: u64,
        #[cfg_attr(feature = "openapi", schema(max_length = 20))]
        status: &'static str,
    } nullable { ended_at: Timestamp, };

    ReportedTrigger { trigger: Uuid, rule: Line, detail: Prose, at: Timestamp, by: ActorId, } nullable {
        deployment: Uuid,
        metric: Line,
    };

    ReportedProposal {
        proposal: Uuid,
        reason: Prose,
        at: Timestamp,
        by: ActorId,
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        decisions: Vec<ProposalAnswer>,
    } nullable { deployment: Uuid, trigger: Uuid, };

    ProposalAnswer { decision: RollbackDecision, at: Timestamp, by: ActorId, reason: Prose, effective: bool, };

    ReportedRollback {
        rollback: Uuid,
        deployment: Uuid,
        reason: Prose,
        mode: RollbackMode,
        started_at: Timestamp,
        started_by: ActorId,
        #[cfg_attr(feature = "openapi", schema(max_items = 3))]
        steps: Vec<ReportedStep>,
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        incidents: Vec<Line>,
        #[cfg_attr(feature = "openapi", schema(max_length = 20))]
        status: &'static str,
    } nullable {
        candidate: u32,
        to: Version,
        triggered_at: Timestamp,
        ended_at: Timestamp,
        /// From its start to its end.
        duration_s: u64,
        loss_window_s: u64,
        failure: Prose,
    };

    ReportedStep { step: RollbackStep, at: Timestamp, };
}

pub(super) fn of(story: &Story<'_>) -> ReportedDeployments {
    let release = story.release;
    let reported = reported(story);
    let migrations = migrations(story);
    ReportedDeployments {
        deployments: release.deployments.iter().map(|one| deployment(story, one, &reported)).collect(),
        observed: observed(story),
        timers: release.timers.iter().map(timer).collect(),
        leases: release.leases.iter().map(lease).collect(),
        triggers: release
            .triggers
            .iter()
            .map(|trigger| ReportedTrigger {
                trigger: trigger.trigger,
                rule: trigger.rule.clone(),
                detail: trigger.detail.clone(),
                at: trigger.at,
                by: trigger.by.clone(),
                deployment: trigger.deployment,
                metric: trigger.metric.clone(),
            })
            .collect(),
        proposals: release
            .proposals
            .iter()
            .map(|proposal| ReportedProposal {
                proposal: proposal.proposal,
                reason: proposal.reason.clone(),
                at: proposal.at,
                by: proposal.by.clone(),
                decisions: proposal
                    .decisions
                    .iter()
                    .map(|answer| ProposalAnswer {
                        decision: answer.decision,
                        at: answer.at,
                        by: answer.by.clone(),
                        reason: answer.reason.clone(),
                        effective: answer.effective,
                    })
                    .collect(),
                deployment: proposal.deployment,
                trigger: proposal.trigger,
            })
            .collect(),
        rollbacks: release.rollbacks.iter().map(rollback).collect(),
        migrations_equal: equal(&migrations),
        reported,
        migrations,
    }
}

fn deployment(story: &Story<'_>, one: &Deployment, reported: &[DeploymentReport]) -> ReportedDeployment {
    let candidate = one.candidate.and_then(|number| story.release.candidate(number));
    let (staged, staged_by) = staging(story, one, reported);
    let start = story.events().find_map(|(fact, _)| match &fact.event {
        ReleaseEvent::DeploymentStarted(started) if started.deployment == one.deployment => Some(fact),
        _ => None,
    });
    let window = start.and_then(|start| window_at(story, start.revision));
    let finished = finished(story, one.deployment);
    let inside = |at: Timestamp| window.map(|window| window.contains(at));
    let production = one.is_production();
    ReportedDeployment {
        deployment: one.deployment,
        environment: one.environment.clone(),
        production,
        started_at: one.started_at,
        started_by: one.started_by.clone(),
        state: one.status.as_str(),
        artifacts: one.artifacts.clone(),
        decisions: one
            .decisions
            .iter()
            .map(|decided| ReportedDecision {
                decision: decided.decision,
                at: decided.at,
                by: decided.by.clone(),
                reason: decided.reason.clone(),
                basis: decided.basis.clone(),
                also_by: decided.also_by.clone(),
            })
            .collect(),
        version_probes: probes(&one.version_probes),
        health_probes: probes(&one.health_probes),
        series: one
            .series
            .iter()
            .map(|(name, series)| ReportedSeries {
                name: name.clone(),
                points: series.points,
                count: series.count,
                min: series.min,
                max: series.max,
                last: series.last,
                first_at: series.first_at,
                last_at: series.last_at,
                mean: monitoring::mean(series.sum, series.points),
            })
            .collect(),
        samples: one.samples,
        candidate: one.candidate,
        authorization: one.authorization,
        revision: start.map(|start| start.revision),
        finished_at: finished.map(|(at, _)| at),
        rollback: story
            .release
            .rollbacks
            .iter()
            .rev()
            .find(|back| back.deployment == one.deployment)
            .map(|back| back.rollback),
        pipeline_digest: one.pipeline_digest.clone(),
        url: one.url.clone(),
        digests_equal_candidate: candidate.and_then(|candidate| same(&candidate.artifacts, &one.artifacts)),
        digests_equal_staging: staged.filter(|_| production).and_then(|staged| same(staged, &one.artifacts)),
        pipeline_equal_candidate: agree(
            candidate.and_then(|candidate| candidate.pipeline_digest.as_ref()),
            one.pipeline_digest.as_ref(),
        ),
        pipeline_equal_staging: agree(staged_by.filter(|_| production), one.pipeline_digest.as_ref()),
        window: window.filter(|_| production),
        started_in_window: inside(one.started_at).filter(|_| production),
        finished_in_window: finished.and_then(|(at, _)| inside(at)).filter(|_| production),
        weight_percent: one.weight.as_ref().map(|weight| weight.percent),
        canary: one.canary.as_ref().map(|canary| {
            let last = canary.evaluations.last();
            ReportedCanary {
                evaluations: canary.evaluations.len() as u64,
                looks: canary.evaluations.iter().map(|one| one.evaluated.look).max().unwrap_or(0),
                at: last.map(|last| last.at),
                last: last.map(|last| CanaryEvaluated::clone(&last.evaluated)),
            }
        }),
        monitoring: finished
            .filter(|(_, outcome)| production && *outcome == DeploymentOutcome::Succeeded)
            .and_then(|(at, _)| monitoring::of(story, one, at)),
        note: one.note.clone(),
        amended: one.amended.as_ref().map(|amended| amended.why.clone()),
    }
}

/// What staging had of the same candidate, as it was deployed here or reported last: artifacts and pipeline.
fn staging<'a>(
    story: &'a Story<'_>,
    of: &Deployment,
    reported: &'a [DeploymentReport],
) -> (Option<&'a [Artifact]>, Option<&'a Sha256Hex>) {
    let mut here = story.release.deployments.iter().rev();
    let here =
        here.find(|one| !one.is_production() && one.candidate.is_some() && one.candidate == of.candidate);
    let elsewhere = |known: &&DeploymentReport| {
        known.environment != of.environment && known.digests_equal_candidate.is_some()
    };
    let told = reported.iter().rev().find(elsewhere);
    let artifacts = here.map(|one| &one.artifacts[..]).filter(|artifacts| !artifacts.is_empty());
    let pipeline = here.and_then(|one| one.pipeline_digest.as_ref());
    (
        artifacts.or(told.map(|told| &told.artifacts[..])),
        pipeline.or(told.and_then(|told| told.pipeline_digest.as_ref())),
    )
}

/// Null where one side is not known.
fn same(one: &[Artifact], other: &[Artifact]) -> Option<bool> {
    (!one.is_empty() && !other.is_empty()).then(|| same_artifacts(one, other))
}

fn agree<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> Option<bool> {
    Some(one? == other?)
}

/// The window as it was set last before a revision.
fn window_at(story: &Story<'_>, revision: u64) -> Option<Interval> {
    let before = story.events().take_while(|(fact, _)| fact.revision < revision);
    let set = before.filter_map(|(fact, _)| match &fact.event {
        ReleaseEvent::WindowSet(set) => Some(set.window),
        _ => None,
    });
    set.last()
}

fn finished(story: &Story<'_>, deployment: Uuid) -> Option<(Timestamp, DeploymentOutcome)> {
    story.events().find_map(|(fact, _)| match &fact.event {
        ReleaseEvent::DeploymentFinished(finished) if finished.deployment == deployment => {
            Some((fact.recorded_at, finished.outcome))
        }
        _ => None,
    })
}

fn probes(of: &ProbeAggregate) -> ReportedProbes {
    ReportedProbes { total: of.total, ok: of.ok }
}

/// Evidence of deployments that was not retracted, oldest first by when it was recorded.
fn reported(story: &Story<'_>) -> Vec<DeploymentReport> {
    let mut found: Vec<_> =
        story.release.evidence.values().filter(|known| known.retracted.is_none()).collect();
    found.sort_by_key(|known| known.revision);
    let current = |number: u32| story.release.candidate(number);
    let reports = found.into_iter().filter_map(|known| {
        let Facts::Deployment(facts) = &known.recorded.facts else { return None };
        let artifacts: Vec<_> = facts.artifacts.iter().flat_map(|list| list.iter()).cloned().collect();
        let candidate = match known.recorded.subject {
            crate::evidence::Subject::Candidate { number } => current(number),
            _ => None,
        };
        Some(DeploymentReport {
            evidence: known.recorded.evidence,
            environment: facts.environment.clone(),
            status: match facts.status {
                crate::evidence::DeploymentStatus::Started => "started",
                crate::evidence::DeploymentStatus::Succeeded => "succeeded",
                crate::evidence::DeploymentStatus::Failed => "failed",
            },
            at: known.occurred_at,
            digests_equal_candidate: candidate.and_then(|candidate| same(&candidate.artifacts, &artifacts)),
            pipeline_digest: facts.pipeline_digest.clone(),
            artifacts,
        })
    });
    reports.collect()
}

fn observed(story: &Story<'_>) -> Vec<DeploymentSighting> {
    let sightings = story.events().filter_map(|(fact, _)| match &fact.event {
        ReleaseEvent::ObservationRecorded(seen) => Some(DeploymentSighting {
            observation: seen.observation,
            revision: fact.revision,
            kind: seen.seen.kind(),
            at: fact.occurred_at,
            environment: match &seen.seen {
                Seen::Deployment(seen) => Some(seen.environment.clone()),
                _ => None,
            },
            deployment: seen.deployment,
            governance: seen.governance,
        }),
        _ => None,
    });
    sightings.collect()
}

fn migrations(story: &Story<'_>) -> Vec<MigrationReport> {
    let production = |name: &Name| story.release.production_deployments().any(|one| one.environment == *name);
    let runs = story.events().filter_map(|(fact, _)| match &fact.event {
        ReleaseEvent::MigrationReported(run) => {
            let deployment = story.release.deployment(run.deployment)?;
            Some(MigrationReport {
                environment: deployment.environment.clone(),
                production: deployment.purpose == EnvironmentPurpose::Production,
                tool: run.tool.clone(),
                applied: run.applied.clone(),
                pending: run.pending,
                failed: run.failed,
                at: fact.occurred_at,
                revision: fact.revision,
                backward_compatible: run.backward_compatible,
                evidence: None,
                deployment: Some(run.deployment),
            })
        }
        ReleaseEvent::EvidenceRecorded(recorded) => {
            let Facts::MigrationRun(run) = &recorded.facts else { return None };
            let retracted = |known: &crate::release::Evidence| known.retracted.is_some();
            if story.release.evidence.get(&recorded.evidence).is_some_and(|known| retracted(known)) {
                return None;
            }
            Some(MigrationReport {
                environment: run.environment.clone(),
                production: production(&run.environment),
                tool: run.tool.clone(),
                applied: run.applied.iter().cloned().collect(),
                pending: run.pending,
                failed: run.failed,
                at: fact.occurred_at,
                revision: fact.revision,
                backward_compatible: run.backward_compatible,
                evidence: Some(recorded.evidence),
                deployment: None,
            })
        }
        _ => None,
    });
    runs.collect()
}

/// By the last run of each side: an earlier one may have been of another candidate.
fn equal(migrations: &[MigrationReport]) -> Option<bool> {
    let applied = |production: bool| {
        let last = migrations.iter().rev().find(|run| run.production == production)?;
        let pairs: BTreeSet<_> =
            last.applied.iter().map(|one| (one.id.clone(), one.checksum.clone())).collect();
        Some(pairs)
    };
    Some(applied(true)? == applied(false)?)
}

fn timer(timer: &crate::release::Timer) -> ReportedTimer {
    let (status, ended_at) = match timer.status {
        TimerStatus::Running => ("running", None),
        TimerStatus::Paused { .. } => ("paused", None),
        TimerStatus::Reset { .. } => ("reset", None),
        TimerStatus::Elapsed { at } => ("elapsed", Some(at)),
        TimerStatus::Cancelled { at, .. } => ("cancelled", Some(at)),
    };
    ReportedTimer {
        timer: timer.timer,
        deployment: timer.deployment,
        item: timer.item,
        started_at: timer.started_at,
        elapses_at: timer.elapses_at,
        resets: timer.resets,
        status,
        ended_at,
    }
}

fn lease(lease: &crate::release::RollbackLease) -> ReportedLease {
    let ended_at = match &lease.status {
        LeaseStatus::Held => None,
        LeaseStatus::Released { at, .. }
        | LeaseStatus::Broken { at, .. }
        | LeaseStatus::Consumed { at, .. } => Some(*at),
    };
    ReportedLease {
        lease: lease.lease,
        version: lease.version.clone(),
        opened_at: lease.opened_at,
        not_before_release: lease.not_before_release,
        probes: lease.probes,
        healthy: lease.healthy,
        status: lease.status.as_str(),
        ended_at,
    }
}

fn rollback(back: &Rollback) -> ReportedRollback {
    let (ended_at, duration_s, failure) = match &back.status {
        RollbackStatus::Running => (None, None, None),
        RollbackStatus::Completed { at, duration_s } => (Some(*at), Some(*duration_s), None),
        RollbackStatus::Failed { at, reason } => (Some(*at), None, Some(reason.clone())),
    };
    ReportedRollback {
        rollback: back.rollback,
        deployment: back.deployment,
        reason: back.reason.clone(),
        mode: back.mode,
        started_at: back.started_at,
        started_by: back.started_by.clone(),
        steps: back.steps.iter().map(|done| ReportedStep { step: done.step, at: done.at }).collect(),
        incidents: back.incidents.iter().map(|linked| linked.incident.clone()).collect(),
        status: back.status.as_str(),
        candidate: back.candidate,
        to: back.to.clone(),
        triggered_at: back.triggered_at,
        ended_at,
        duration_s,
        loss_window_s: back.loss_window_s,
        failure,
    }
}
