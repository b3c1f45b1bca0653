//! The time after the rollout in buckets of five minutes, beside what was measured before the deployment. The
//! judgement of it is that of items 6.4 to 6.8; this shows what they looked at.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::super::Story;
use crate::canary::monitoring::Baselines;
use crate::event::{ReleaseEvent, SampleSeries};
use crate::release::Deployment;
use crate::value::Line;

shapes! {
    Monitoring {
        /// The full rollout, from which it counts.
        from: Timestamp,
        /// The end of the longest monitoring of the procedure; what came later is not shown.
        to: Timestamp,
        bucket_s: u32,
        #[cfg_attr(feature = "openapi", schema(max_items = 200))]
        metrics: Vec<MonitoredSeries>,
    };

    MonitoredSeries {
        metric: Line,
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        buckets: Vec<Bucket>,
    } nullable {
        /// The value before the deployment; null where it was not measured.
        baseline: f64,
        /// At the same hour a week before.
        baseline_week: f64,
    };

    Bucket { at: Timestamp, points: u64, min: f64, max: f64, } nullable { mean: f64, };
}

const BUCKET_S: u32 = 300;
/// So many metrics are shown, by name.
const METRICS_MAX: usize = 200;

pub(super) fn of(story: &Story<'_>, deployment: &Deployment, from: Timestamp) -> Option<Monitoring> {
    let longest = i64::try_from(story.material.procedure.thresholds.monitoring_max_s).unwrap_or(i64::MAX);
    let to = from.checked_add(SignedDuration::from_secs(longest)).unwrap_or(Timestamp::MAX);
    // A source that was not answered sends the same again, so each instant counts once.
    let mut points: BTreeMap<&Line, BTreeMap<Timestamp, f64>> = BTreeMap::new();
    for (fact, _) in story.events() {
        let ReleaseEvent::MetricsSampled(sampled) = &fact.event else { continue };
        if sampled.deployment != deployment.deployment {
            continue;
        }
        for sample in &sampled.samples {
            let shown = sample.series == SampleSeries::Production && from <= sample.at && sample.at < to;
            if shown && (points.contains_key(&sample.metric) || points.len() < METRICS_MAX) {
                points.entry(&sample.metric).or_default().entry(sample.at).or_insert(sample.value);
            }
        }
    }
    if points.is_empty() {
        return None;
    }
    let baselines = Baselines::of(story.release, deployment.started_at);
    let metrics = points.into_iter().map(|(metric, points)| MonitoredSeries {
        metric: metric.clone(),
        buckets: buckets(from, &points),
        baseline: baselines.recent.and_then(|before| before.value(metric)),
        baseline_week: baselines.weekly.and_then(|before| before.value(metric)),
    });
    Some(Monitoring { from, to, bucket_s: BUCKET_S, metrics: metrics.collect() })
}

fn buckets(from: Timestamp, points: &BTreeMap<Timestamp, f64>) -> Vec<Bucket> {
    let length = i64::from(BUCKET_S);
    let mut by_bucket: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (at, value) in points {
        by_bucket.entry(at.duration_since(from).as_secs() / length).or_default().push(*value);
    }
    let buckets = by_bucket.into_iter().map(|(number, values)| Bucket {
        at: from + SignedDuration::from_secs(number * length),
        points: values.len() as u64,
        min: values.iter().copied().fold(f64::INFINITY, f64::min),
        max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        mean: mean(values.iter().sum(), values.len() as u64),
    });
    buckets.collect()
}

/// Null where a number of JSON cannot say it.
#[expect(clippy::cast_precision_loss, reason = "so many points are never counted")]
pub(super) fn mean(sum: f64, points: u64) -> Option<f64> {
    Some(sum / points as f64).filter(|mean| mean.is_finite())
}
