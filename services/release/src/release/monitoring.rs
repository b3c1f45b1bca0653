//! What is compared with, what has to run, and what is kept so that going back stays possible.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::Release;
use crate::event::{Fact, PauseCause, ReleaseEvent, ResetCause, TimerCause};
use crate::evidence::Metric;
use crate::value::{ActorId, ItemNumber, Line, Prose, Version};

/// Metrics from before a deployment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Baseline {
    pub baseline: Uuid,
    pub at: Timestamp,
    pub by: ActorId,
    pub source: Line,
    pub from: Timestamp,
    pub to: Timestamp,
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    pub metrics: Vec<Metric>,
}

/// A time that has to pass. The API knows it by another name than the evidence of that name.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = DeploymentTimer))]
pub struct Timer {
    pub timer: Uuid,
    pub deployment: Uuid,
    pub item: ItemNumber,
    pub started_at: Timestamp,
    pub elapses_at: Timestamp,
    /// How often it started again from nothing.
    #[serde(skip_serializing_if = "is_zero")]
    pub resets: u32,
    #[serde(flatten)]
    pub status: TimerStatus,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum TimerStatus {
    Running,
    /// What passes now does not count. A timer that was reset has nothing to its credit.
    Paused {
        since: Timestamp,
        cause: PauseCause,
        elapsed_s: u64,
    },
    Reset {
        since: Timestamp,
        cause: ResetCause,
    },
    Elapsed {
        at: Timestamp,
    },
    Cancelled {
        at: Timestamp,
        cause: TimerCause,
    },
}

/// The previous version, kept ready.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RollbackLease {
    pub lease: Uuid,
    pub deployment: Uuid,
    pub version: Version,
    pub opened_at: Timestamp,
    pub not_before_release: Timestamp,
    pub remind_at: Timestamp,
    /// The event that set `remind_at`.
    #[serde(skip)]
    pub remind_set_by: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reminded_at: Option<Timestamp>,
    pub probes: u64,
    pub healthy: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_probe_at: Option<Timestamp>,
    #[serde(flatten)]
    pub status: LeaseStatus,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum LeaseStatus {
    Held,
    Released {
        at: Timestamp,
        by: ActorId,
    },
    Broken {
        at: Timestamp,
        reason: Prose,
    },
    /// A rollback went back to it.
    Consumed {
        at: Timestamp,
        rollback: Uuid,
    },
}

impl LeaseStatus {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Released { .. } => "released",
            Self::Broken { .. } => "broken",
            Self::Consumed { .. } => "consumed",
        }
    }
}

impl Release {
    /// Timers that have not come to an end, paused ones among them.
    pub fn open_timers(&self) -> impl Iterator<Item = &Timer> {
        self.timers.iter().filter(|timer| {
            !matches!(timer.status, TimerStatus::Elapsed { .. } | TimerStatus::Cancelled { .. })
        })
    }

    pub fn running_timers(&self) -> impl Iterator<Item = &Timer> {
        self.timers.iter().filter(|timer| timer.status == TimerStatus::Running)
    }

    pub fn held_leases(&self) -> impl Iterator<Item = &RollbackLease> {
        self.leases.iter().filter(|lease| lease.status == LeaseStatus::Held)
    }

    pub(super) fn lease_mut(&mut self, id: Uuid) -> Option<&mut RollbackLease> {
        self.leases.iter_mut().find(|lease| lease.lease == id)
    }

    fn set_timer(&mut self, id: Uuid, status: TimerStatus) {
        if let Some(timer) = self.timer_mut(id) {
            timer.status = status;
        }
    }

    fn timer_mut(&mut self, id: Uuid) -> Option<&mut Timer> {
        self.timers.iter_mut().find(|timer| timer.timer == id)
    }

    pub(super) fn copy_monitoring(&mut self, fact: &Fact<ReleaseEvent>) {
        let at = fact.recorded_at;
        match &fact.event {
            ReleaseEvent::BaselineCaptured(captured) => self.baselines.push(Baseline {
                baseline: captured.baseline,
                at,
                by: fact.by.id.clone(),
                source: captured.source.clone(),
                from: captured.from,
                to: captured.to,
                metrics: captured.metrics.clone(),
            }),
            ReleaseEvent::TimerStarted(started) => self.timers.push(Timer {
                timer: started.timer,
                deployment: started.deployment,
                item: started.item,
                started_at: started.started_at,
                elapses_at: started.elapses_at,
                resets: 0,
                status: TimerStatus::Running,
            }),
            ReleaseEvent::TimerPaused(paused) => {
                let (cause, elapsed_s) = (paused.cause, paused.elapsed_s);
                self.set_timer(paused.timer, TimerStatus::Paused { since: at, cause, elapsed_s });
            }
            ReleaseEvent::TimerResumed(resumed) => {
                if let Some(timer) = self.timer_mut(resumed.timer) {
                    if matches!(timer.status, TimerStatus::Reset { .. }) {
                        timer.started_at = fact.occurred_at;
                    }
                    timer.status = TimerStatus::Running;
                    timer.elapses_at = resumed.elapses_at;
                }
            }
            ReleaseEvent::TimerReset(reset) => {
                if let Some(timer) = self.timer_mut(reset.timer) {
                    timer.status = TimerStatus::Reset { since: at, cause: reset.cause };
                    timer.resets += 1;
                }
            }
            ReleaseEvent::TimerElapsed(elapsed) => self.set_timer(elapsed.timer, TimerStatus::Elapsed { at }),
            ReleaseEvent::TimerCancelled(cancelled) => {
                self.set_timer(cancelled.timer, TimerStatus::Cancelled { at, cause: cancelled.cause });
            }
            ReleaseEvent::MonitoringOverrun(overrun) => {
                if let Some(deployment) = self.deployment_mut(overrun.deployment) {
                    deployment.monitoring_overran = true;
                }
            }
            ReleaseEvent::LeaseOpened(opened) => self.leases.push(RollbackLease {
                lease: opened.lease,
                deployment: opened.deployment,
                version: opened.version.clone(),
                opened_at: at,
                not_before_release: opened.not_before_release,
                remind_at: opened.remind_at,
                remind_set_by: fact.id,
                reminded_at: None,
                probes: 0,
                healthy: 0,
                last_probe_at: None,
                status: LeaseStatus::Held,
            }),
            ReleaseEvent::LeaseProbed(probed) => {
                if let Some(lease) = self.lease_mut(probed.lease) {
                    lease.probes += 1;
                    lease.healthy += u64::from(probed.healthy);
                    lease.last_probe_at = lease.last_probe_at.max(Some(fact.occurred_at));
                }
            }
            ReleaseEvent::LeaseExtended(extended) => {
                if let Some(lease) = self.lease_mut(extended.lease) {
                    lease.not_before_release = extended.not_before_release;
                    lease.remind_at = extended.remind_at;
                    lease.remind_set_by = fact.id;
                    lease.reminded_at = None;
                }
            }
            ReleaseEvent::LeaseReminded(reminded) => {
                if let Some(lease) = self.lease_mut(reminded.lease) {
                    lease.reminded_at = Some(at);
                }
            }
            ReleaseEvent::LeaseReleased(released) => {
                if let Some(lease) = self.lease_mut(released.lease) {
                    lease.status = LeaseStatus::Released { at, by: fact.by.id.clone() };
                }
            }
            ReleaseEvent::LeaseBroken(broken) => {
                if let Some(lease) = self.lease_mut(broken.lease) {
                    lease.status = LeaseStatus::Broken { at, reason: broken.reason.clone() };
                }
                self.apply(&broken.effects, fact);
            }
            _ => {}
        }
    }
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}
