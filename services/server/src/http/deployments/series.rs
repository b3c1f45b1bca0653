//! `GET /v1/releases/{release}/deployments/{deployment}/series`

use std::collections::BTreeMap;

use actix_web::web::Data;
use eventlog::{Revision, StreamId};
use jiff::Timestamp;
use release::event::{MetricsSampled, Sample, SampleSeries};
use release::value::{Line, ReleaseId};
use release::{Refusal, RefusalCode, ReleaseEvent};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::app::App;
use crate::http::answer::{Answer, json};
use crate::http::call::{Call, FromQuery, NoBody, exact_integer};
use crate::http::problem::{Code, Problem};
use crate::http::releases;
use crate::http::releases::{AsOf, read};

/// Points of one series at most; a longer time has wider steps.
const MAX_POINTS: i64 = 1_000;
const MAX_STEP_S: u32 = 86_400;
const PAGE: usize = 512;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SeriesQuery {
    #[param(inline, example = "error_rate")]
    pub metric: Line,
    /// Seconds of each point; as few as give at most 1,000 points when absent.
    #[param(minimum = 1, maximum = 86400)]
    pub step: Option<u32>,
    /// The series by events recorded at or before this time (RFC 3339).
    #[param(example = "2026-11-22T12:00:00Z")]
    pub as_of: Option<Timestamp>,
    /// The series by events up to this position of the log.
    #[param(minimum = 0, maximum = 9007199254740991_u64)]
    #[serde(default, deserialize_with = "exact_integer")]
    pub at_position: Option<u64>,
    /// The series by events up to this revision of the release.
    #[param(minimum = 0, maximum = 9007199254740991_u64)]
    #[serde(default, deserialize_with = "exact_integer")]
    pub at_revision: Option<u64>,
    /// Without samples of after this time (RFC 3339).
    #[param(example = "2026-11-22T12:00:00Z")]
    pub as_at: Option<Timestamp>,
}

impl FromQuery for SeriesQuery {}

impl SeriesQuery {
    fn when(&self) -> AsOf {
        let Self { as_of, at_position, at_revision, as_at, .. } = *self;
        AsOf { as_of, at_position, at_revision, as_at }
    }
}

#[derive(Serialize, ToSchema)]
pub struct SeriesView {
    pub metric: Line,
    /// Seconds of each point.
    pub step: u32,
    /// By name; those without a sample are left out.
    #[schema(max_items = 4)]
    pub series: Vec<OneSeries>,
}

#[derive(Serialize, ToSchema)]
pub struct OneSeries {
    pub series: SampleSeries,
    /// By time; steps without a sample are left out.
    #[schema(max_items = 1001)]
    pub points: Vec<Point>,
}

/// The samples of one step.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Point {
    /// The step's beginning.
    pub at: Timestamp,
    /// Weighted by what each sample stands for.
    pub mean: f64,
    pub min: f64,
    pub max: f64,
    pub samples: u64,
}

/// Read a metric for a chart
///
/// What was sampled of one metric during a deployment, in steps of equal length: canary, control, baseline and
/// production apart.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/deployments/{deployment}/series",
    operation_id = "getDeploymentSeries",
    tag = "Deployments",
    params(SeriesQuery),
    responses((status = 200, description = "The series", body = SeriesView, example = json!({
        "metric": "error_rate", "step": 60,
        "series": [{"series": "canary", "points": [
            {"at": "2026-11-24T09:00:00Z", "mean": 0.002, "min": 0.001, "max": 0.004, "samples": 6}
        ]}]
    }))),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), NoBody, SeriesQuery>) -> Answer {
    series(&app, &call).await.map_err(|problem| problem.on(&call.caller))
}

async fn series(app: &App, call: &Call<(ReleaseId, Uuid), NoBody, SeriesQuery>) -> Answer {
    let (id, deployment) = &call.path;
    if call.query.step.is_some_and(|step| !(1..=MAX_STEP_S).contains(&step)) {
        return Err(Problem::field(Code::InvalidParameter, "step", format!("1 to {MAX_STEP_S}")));
    }
    let snapshot = read(app, &call.caller, id, &call.query.when()).await?;
    let known = snapshot.release.state.deployment(*deployment);
    known
        .ok_or_else(|| Refusal::new(RefusalCode::DeploymentUnknown, "the release has no such deployment"))?;
    let stream = releases::stream(&call.caller, id)?;
    let mut samples = samples(app, &stream, snapshot.revision, *deployment, &call.query.metric).await?;
    samples.retain(|sample| call.query.as_at.is_none_or(|instant| sample.at <= instant));
    let view = bucket(&samples, call.query.metric.clone(), call.query.step)?;
    Ok(snapshot.answer(&call.caller, json(&view)?))
}

/// Points are kept in the log alone, so they are read from there.
async fn samples(
    app: &App,
    stream: &StreamId,
    until: Revision,
    deployment: Uuid,
    metric: &Line,
) -> Result<Vec<Sample>, Problem> {
    let mut found = Vec::new();
    let mut from = Revision(0);
    while from <= until {
        let page = app.store.read_stream(stream, from, PAGE).await.map_err(|e| Problem::internal(&e))?;
        let Some(last) = page.last() else { break };
        from = Revision(last.revision.0 + 1);
        for recorded in page.iter().filter(|recorded| recorded.revision <= until && tells(&recorded.header)) {
            let (fact, _) = app.format.fact::<ReleaseEvent>(recorded)?;
            if let ReleaseEvent::MetricsSampled(MetricsSampled { deployment: of, samples, .. }) = fact.event
                && of == deployment
            {
                found.extend(samples.into_iter().filter(|sample| sample.metric == *metric));
            }
        }
    }
    Ok(found)
}

/// Looked for in the bytes, because parsing every event of a release would cost most of the time.
fn tells(header: &[u8]) -> bool {
    const TYPE: &[u8] = b"\"metrics.sampled\"";
    header.windows(TYPE.len()).any(|part| part == TYPE)
}

fn bucket(samples: &[Sample], metric: Line, step: Option<u32>) -> Result<SeriesView, Problem> {
    let seconds = |sample: &Sample| sample.at.as_second();
    let first = samples.iter().map(seconds).min().unwrap_or(0);
    let last = samples.iter().map(seconds).max().unwrap_or(0);
    let fewest = ((last - first) / MAX_POINTS + 1).max(1);
    let step = step.map_or(fewest, i64::from);
    if step < fewest {
        let detail = format!("at least {fewest}, for at most {MAX_POINTS} points");
        return Err(Problem::field(Code::InvalidParameter, "step", detail));
    }
    let mut sums: BTreeMap<(&'static str, i64), (SampleSeries, Sum)> = BTreeMap::new();
    for sample in samples {
        let at = seconds(sample).div_euclid(step) * step;
        let (_, sum) = sums
            .entry((sample.series.as_str(), at))
            .or_insert((sample.series, Sum { min: sample.value, max: sample.value, ..Sum::default() }));
        sum.add(sample);
    }
    let mut series: Vec<OneSeries> = Vec::new();
    for ((_, at), (of, sum)) in sums {
        let point = sum.point(Timestamp::from_second(at).map_err(|error| Problem::internal(&error))?);
        match series.last_mut().filter(|last| last.series == of) {
            Some(last) => last.points.push(point),
            None => series.push(OneSeries { series: of, points: vec![point] }),
        }
    }
    Ok(SeriesView { metric, step: u32::try_from(step).unwrap_or(u32::MAX), series })
}

#[derive(Default)]
struct Sum {
    weighted: f64,
    weight: f64,
    min: f64,
    max: f64,
    samples: u64,
}

impl Sum {
    fn add(&mut self, sample: &Sample) {
        let weight = sample.count.unwrap_or(1) as f64;
        self.weighted += sample.value * weight;
        self.weight += weight;
        self.min = self.min.min(sample.value);
        self.max = self.max.max(sample.value);
        self.samples += 1;
    }

    fn point(&self, at: Timestamp) -> Point {
        // Samples of nothing have no mean; what lies between them stands for it.
        let mean =
            if self.weight > 0.0 { self.weighted / self.weight } else { f64::midpoint(self.min, self.max) };
        Point { at, mean, min: self.min, max: self.max, samples: self.samples }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(series: SampleSeries, second: i64, value: f64, count: u64) -> Sample {
        Sample {
            series,
            metric: Line::new("error_rate").unwrap(),
            at: Timestamp::from_second(second).unwrap(),
            value,
            count: Some(count),
        }
    }

    #[test]
    fn given_samples_when_bucketed_then_each_step_has_its_weighted_mean() {
        let samples = [
            sample(SampleSeries::Canary, 119, 1.0, 3),
            sample(SampleSeries::Canary, 60, 5.0, 1),
            sample(SampleSeries::Canary, 120, 7.0, 0),
            sample(SampleSeries::Control, 61, 2.0, 1),
        ];
        let view = bucket(&samples, Line::new("error_rate").unwrap(), Some(60)).unwrap();
        let points: Vec<_> = view
            .series
            .iter()
            .flat_map(|one| one.points.iter().map(|p| (one.series, p.at.as_second(), p.mean, p.samples)))
            .collect();
        assert_eq!(
            points,
            [
                (SampleSeries::Canary, 60, 2.0, 2),
                (SampleSeries::Canary, 120, 7.0, 1),
                (SampleSeries::Control, 60, 2.0, 1),
            ]
        );
    }

    #[test]
    fn given_a_long_time_when_bucketed_then_there_are_never_more_than_the_bound() {
        let samples: Vec<_> = (0..5_000).map(|n| sample(SampleSeries::Canary, n * 10, 1.0, 1)).collect();
        let metric = Line::new("error_rate").unwrap();
        let view = bucket(&samples, metric.clone(), None).unwrap();
        assert!(view.series[0].points.len() <= 1_001, "{}", view.series[0].points.len());
        assert_eq!(bucket(&samples, metric, Some(1)).err().unwrap().code, "invalid_parameter");
    }
}
