//! How releases move through their steps.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::durations::Collected;
use super::{Durations, ReleaseFacts};
use crate::event::Interval;
use crate::value::ItemNumber;

/// How releases moved in a period.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Flow {
    /// By number. A release is in the first step whose gate does not hold; who goes back is there twice.
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    pub steps: Vec<StepTime>,
    pub approval_wait: ApprovalWait,
    pub waivers: Waivers,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepTime {
    pub step: u32,
    /// Of the stays that ended in the period.
    pub time: Durations,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovalWait {
    /// From the request to the signature that completed its quorum, of those completed in the period.
    pub approved: Durations,
    /// Requests that ended in the period without having been approved.
    pub not_approved: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Waivers {
    /// Whose first deployment to production was started in the period.
    pub releases: u64,
    /// Of these, with at least one waiver.
    pub with_waivers: u64,
    /// Items that were waived, by number.
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub items: Vec<ItemWaivers>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ItemWaivers {
    pub item: ItemNumber,
    pub waived: u64,
    /// Of the releases.
    pub rate: f64,
}

#[derive(Debug)]
pub struct FlowCount {
    period: Interval,
    steps: BTreeMap<u32, Collected>,
    approved: Collected,
    not_approved: u64,
    releases: u64,
    with_waivers: u64,
    waived: BTreeMap<ItemNumber, u64>,
}

impl FlowCount {
    pub fn of(period: Interval) -> Self {
        Self {
            period,
            steps: BTreeMap::new(),
            approved: Collected::default(),
            not_approved: 0,
            releases: 0,
            with_waivers: 0,
            waived: BTreeMap::new(),
        }
    }

    pub fn add(&mut self, release: &ReleaseFacts) {
        for (step, from, to) in stays(release) {
            if self.period.contains(to) {
                self.steps.entry(step).or_default().add(from, to);
            }
        }
        for approval in &release.approvals {
            match (approval.approved_at, approval.ended_at) {
                (Some(at), _) if self.period.contains(at) => self.approved.add(approval.requested_at, at),
                (None, Some(at)) if self.period.contains(at) => self.not_approved += 1,
                _ => {}
            }
        }
        let first = release.deployments.first().map(|first| first.started_at);
        if first.is_some_and(|at| self.period.contains(at)) {
            self.releases += 1;
            self.with_waivers += u64::from(!release.waived.is_empty());
            for item in release.waived.keys() {
                *self.waived.entry(*item).or_default() += 1;
            }
        }
    }

    pub fn finish(self) -> Flow {
        let releases = self.releases;
        let rate = |waived: u64| if releases > 0 { waived as f64 / releases as f64 } else { 0.0 };
        let items = self.waived.into_iter();
        Flow {
            steps: self
                .steps
                .into_iter()
                .map(|(step, time)| StepTime { step, time: time.finish() })
                .collect(),
            approval_wait: ApprovalWait { approved: self.approved.finish(), not_approved: self.not_approved },
            waivers: Waivers {
                releases,
                with_waivers: self.with_waivers,
                items: items.map(|(item, waived)| ItemWaivers { item, waived, rate: rate(waived) }).collect(),
            },
        }
    }
}

/// Which step the release was in, from when to when; the stay it is in has not ended.
fn stays(release: &ReleaseFacts) -> Vec<(u32, Timestamp, Timestamp)> {
    let Some(mut since) = release.opened_at else { return Vec::new() };
    let mut open = BTreeSet::new();
    let mut step = 1;
    let mut stays = Vec::new();
    for (at, gate, satisfied) in &release.gates {
        if *satisfied {
            open.insert(*gate);
        } else {
            open.remove(gate);
        }
        let now = (1..).find(|gate| !open.contains(gate)).unwrap_or(step);
        if now != step {
            stays.push((step, since, *at));
            (step, since) = (now, *at);
        }
    }
    stays
}
