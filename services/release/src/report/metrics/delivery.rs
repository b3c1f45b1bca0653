//! DORA's five metrics.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::durations::Collected;
use super::{DeploymentFacts, Durations, ReleaseFacts};
use crate::event::Interval;
use crate::value::Version;

/// DORA's five metrics of a period.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Delivery {
    pub deployment_frequency: DeploymentFrequency,
    /// From the first candidate's tag to the first deployment of the release that succeeded, of those that
    /// succeeded in the period.
    pub lead_time_for_changes: Durations,
    pub change_failure_rate: Share,
    pub failed_deployment_recovery_time: RecoveryTime,
    pub deployment_rework_rate: Share,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeploymentFrequency {
    /// To production, which succeeded in the period.
    pub deployments: u64,
    pub per_day: f64,
    /// Days (UTC) with at least one.
    pub days_with_deployments: u64,
}

/// How many of the deployments to production that were started in the period.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Share {
    pub of: u64,
    pub count: u64,
    /// Absent when there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecoveryTime {
    #[serde(flatten)]
    pub recovered: Durations,
    /// Failed, and not known to have recovered.
    pub not_recovered: u64,
}

impl Share {
    pub(super) fn of(count: u64, of: u64) -> Self {
        Self { of, count, rate: (of > 0).then(|| count as f64 / of as f64) }
    }
}

/// Takes in releases one by one; what is kept of each is a few instants.
#[derive(Debug)]
pub struct DeliveryCount {
    period: Interval,
    deployments: u64,
    days: BTreeSet<Date>,
    lead: Collected,
    started: Vec<Started>,
    /// Emergencies by what they put right: product and version.
    hotfixes: BTreeMap<(String, Version), Vec<Hotfix>>,
    reworked: u64,
}

/// A deployment to production that was started in the period.
#[derive(Debug)]
struct Started {
    product: String,
    version: Option<Version>,
    at: Timestamp,
    /// The release's last one, so that an emergency of the next version can only mean this.
    last: bool,
    failed_at: Option<Timestamp>,
    recovered_at: Option<Timestamp>,
}

#[derive(Debug)]
struct Hotfix {
    opened_at: Timestamp,
    started_at: Timestamp,
    succeeded_at: Option<Timestamp>,
}

impl DeliveryCount {
    pub fn of(period: Interval) -> Self {
        Self {
            period,
            deployments: 0,
            days: BTreeSet::new(),
            lead: Collected::default(),
            started: Vec::new(),
            hotfixes: BTreeMap::new(),
            reworked: 0,
        }
    }

    pub fn add(&mut self, product: &str, release: &ReleaseFacts) {
        for (place, (_, at)) in release.succeeded().enumerate() {
            if !self.period.contains(at) {
                continue;
            }
            self.deployments += 1;
            self.days.insert(at.to_zoned(TimeZone::UTC).date());
            if let Some(tagged_at) = release.first_tagged_at.filter(|_| place == 0) {
                self.lead.add(tagged_at, at);
            }
        }
        let emergency = release.is_emergency();
        for (place, deployment) in release.deployments.iter().enumerate() {
            if !self.period.contains(deployment.started_at) {
                continue;
            }
            self.reworked += u64::from(emergency || deployment.break_glass);
            let failed_at = failed_at(deployment);
            self.started.push(Started {
                product: product.to_owned(),
                version: release.version.clone(),
                at: deployment.started_at,
                last: place + 1 == release.deployments.len(),
                failed_at,
                recovered_at: failed_at
                    .and_then(|_| recovered_at(deployment, &release.deployments[place + 1..])),
            });
        }
        if let (true, Some(previous), Some(opened_at), Some(first)) =
            (emergency, &release.previous, release.opened_at, release.deployments.first())
        {
            let hotfix = Hotfix {
                opened_at,
                started_at: first.started_at,
                succeeded_at: release.succeeded().next().map(|(_, at)| at),
            };
            self.hotfixes.entry((product.to_owned(), previous.clone())).or_default().push(hotfix);
        }
    }

    pub fn finish(self) -> Delivery {
        let mut recovery = Collected::default();
        let (mut failed, mut not_recovered) = (0, 0);
        for one in &self.started {
            let hotfix = || {
                let fixes = self.hotfixes.get(&(one.product.clone(), one.version.clone()?))?;
                fixes
                    .iter()
                    .filter(|fix| one.last && fix.started_at >= one.at)
                    .min_by_key(|fix| fix.started_at)
            };
            let (failed_at, recovered_at) = match one.failed_at {
                Some(at) => (at, one.recovered_at.or_else(|| hotfix()?.succeeded_at)),
                None => match hotfix() {
                    Some(fix) => (fix.opened_at, fix.succeeded_at),
                    None => continue,
                },
            };
            failed += 1;
            match recovered_at {
                Some(at) => recovery.add(failed_at, at),
                None => not_recovered += 1,
            }
        }
        let of = self.started.len() as u64;
        let days = self.period.to.duration_since(self.period.from).as_secs_f64() / 86_400.0;
        Delivery {
            deployment_frequency: DeploymentFrequency {
                deployments: self.deployments,
                per_day: if days > 0.0 { self.deployments as f64 / days } else { 0.0 },
                days_with_deployments: self.days.len() as u64,
            },
            lead_time_for_changes: self.lead.finish(),
            change_failure_rate: Share::of(failed, of),
            failed_deployment_recovery_time: RecoveryTime { recovered: recovery.finish(), not_recovered },
            deployment_rework_rate: Share::of(self.reworked, of),
        }
    }
}

/// When it was first known to have failed: what a rule or a person saw, else that it was rolled back or ended badly.
fn failed_at(deployment: &DeploymentFacts) -> Option<Timestamp> {
    let rolled_back = deployment.rollbacks.first().map(|back| back.triggered_at.unwrap_or(back.started_at));
    let ended = deployment.finished.filter(|end| !end.succeeded).map(|end| end.at);
    rolled_back.into_iter().chain(ended).min()
}

/// When it was put right: the version before it served again, or a later deployment of the release succeeded.
fn recovered_at(deployment: &DeploymentFacts, later: &[DeploymentFacts]) -> Option<Timestamp> {
    let back = deployment.rollbacks.iter().filter_map(|back| back.verified_at.or(back.completed_at)).min();
    let forward =
        || later.iter().filter_map(|next| next.finished.filter(|end| end.succeeded).map(|end| end.at)).min();
    back.or_else(forward)
}
