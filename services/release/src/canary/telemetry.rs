//! What the judgement needs of a deployment's telemetry, in bounded form. Raw points stay in the log.
//!
//! Whatever order observations arrive in, and however often, they add up to the same: each is kept under
//! its own time, a second one of that time changes nothing that the order could decide, and what is
//! beyond a bound is decided by time, not by arrival.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;

use super::statistics::{Errors, count};
use crate::event::{Probe, ProbeKind, Sample, SampleSeries};
use crate::value::Line;

/// At most this many metrics are kept for the judgement; the others are only counted.
pub const METRICS_MAX: usize = 24;
/// Every time is kept to the microsecond, as the server's clock has it, so that what happened at one instant
/// stays there whichever way it was seen.
const HOUR_US: i64 = 3_600_000_000;
/// The length of a slot.
const SLOT_US: i64 = 15_000_000;
/// A slot keeps this many points of a metric of a series, the earliest.
const POINTS_PER_SLOT: usize = 4;
/// Points are kept in shared pieces of this length, so that a copy of the state shares all but one.
const PIECE_US: i64 = 1_000_000 * COARSE_SLOT_S as i64;
/// So long after the start of the deployment every slot is kept.
pub const FINE_S: u64 = 8 * 3_600;
const FINE_US: i64 = 8 * HOUR_US;
/// After that a rollout takes days, and a slot is as long as a piece.
pub const COARSE_SLOT_S: u32 = 300;
/// Two, so that a source that sends one point in such a time and is a little late or early loses none.
const POINTS_PER_COARSE_SLOT: usize = 2;
/// Weights and probes are kept from an hour before the start, as clocks differ, until a week after it.
const EARLY_US: i64 = HOUR_US;
const LATE_US: i64 = 7 * 24 * HOUR_US;
/// How many observations of the weight are kept of the first 8 hours, the earliest: one every 15 seconds. After
/// that it is the earliest two of each coarse slot.
const WEIGHTS_MAX: usize = 1_920;
/// How many probes of each kind are kept, the latest.
const PROBES_MAX: usize = 240;

/// One value with what it stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub at: Timestamp,
    pub value: f64,
    /// Absent when the source did not say.
    pub count: Option<u64>,
}

impl Point {
    /// A rate over no observations is no number.
    pub fn is_number(&self) -> bool {
        self.value.is_finite() && self.count != Some(0)
    }
}

type Piece = BTreeMap<i64, (f64, Option<u64>)>;
type Points = BTreeMap<i64, Arc<Piece>>;
/// Replicas may answer at the same instant, so what was answered is part of the key.
type Probes = BTreeMap<ProbeKey, Probe>;
type ProbeKey = (i64, bool, [Option<String>; 2], [Option<u32>; 2], Option<u16>, Option<u64>);

fn key(probe: &Probe) -> ProbeKey {
    let version = probe.version.as_ref().map(ToString::to_string);
    let commit = probe.commit_sha.as_ref().map(ToString::to_string);
    let replicas = [probe.replicas_matched, probe.replicas_total];
    let latency = probe.latency_ms.map(f64::to_bits);
    (probe.at.as_microsecond(), probe.ok, [version, commit], replicas, probe.http_status, latency)
}

#[derive(Debug, Clone, PartialEq)]
pub struct Telemetry {
    start: i64,
    /// The metrics that are judged.
    metrics: Arc<[Line]>,
    points: BTreeMap<(SampleSeries, usize), Arc<Points>>,
    weights: Arc<BTreeMap<i64, u64>>,
    versions: Arc<Probes>,
    health: Arc<Probes>,
}

impl Telemetry {
    pub fn new(started_at: Timestamp, metrics: &[Line]) -> Self {
        Self {
            start: started_at.as_microsecond(),
            metrics: metrics.iter().take(METRICS_MAX).cloned().collect(),
            points: BTreeMap::new(),
            weights: Arc::default(),
            versions: Arc::default(),
            health: Arc::default(),
        }
    }

    pub fn sampled(&mut self, sample: &Sample) {
        let at = sample.at.as_microsecond();
        let Some(metric) = self.place(&sample.metric) else { return };
        if !(self.start..self.start + LATE_US).contains(&at) {
            return;
        }
        let (slot, most) = self.slot(at);
        let series = Arc::make_mut(self.points.entry((sample.series, metric)).or_default());
        let piece = Arc::make_mut(series.entry(at.div_euclid(PIECE_US)).or_default());
        let new = (sample.value, sample.count);
        piece.entry(at).and_modify(|known| *known = lesser(*known, new)).or_insert(new);
        let late = piece.range(slot).map(|(at, _)| *at).nth(most);
        if let Some(late) = late {
            piece.remove(&late);
        }
    }

    /// The slot of a point, and how many it keeps; fine and coarse ones meet 8 hours after the start.
    fn slot(&self, at: i64) -> (Range<i64>, usize) {
        let coarse = self.start.saturating_add(FINE_US);
        if at < coarse {
            let slot = at.div_euclid(SLOT_US) * SLOT_US;
            (slot..(slot + SLOT_US).min(coarse), POINTS_PER_SLOT)
        } else {
            let slot = at.div_euclid(PIECE_US) * PIECE_US;
            (slot.max(coarse)..slot + PIECE_US, POINTS_PER_COARSE_SLOT)
        }
    }

    /// A time far away is a mistake, and nothing could be counted from there.
    fn is_near(&self, at: Timestamp) -> bool {
        (self.start - EARLY_US..self.start + LATE_US).contains(&at.as_microsecond())
    }

    pub fn weighed(&mut self, at: Timestamp, percent: f64) {
        if !self.is_near(at) {
            return;
        }
        let at = at.as_microsecond();
        let coarse = self.start.saturating_add(FINE_US);
        let (slot, most) = self.slot(at);
        let weights = Arc::make_mut(&mut self.weights);
        let bits = percent.to_bits();
        let known = weights.entry(at).or_insert(bits);
        // Shares are not negative, so their bits are ordered as they are.
        *known = bits.min(*known);
        let late = match at < coarse {
            true if weights.len() <= WEIGHTS_MAX => None,
            true => weights.range(..coarse).nth(WEIGHTS_MAX),
            false => weights.range(slot).nth(most),
        };
        if let Some(late) = late.map(|(at, _)| *at) {
            weights.remove(&late);
        }
    }

    pub fn probed(&mut self, probe: &Probe) {
        if !self.is_near(probe.at) {
            return;
        }
        let probes = Arc::make_mut(match probe.kind {
            ProbeKind::Version => &mut self.versions,
            ProbeKind::Health => &mut self.health,
        });
        let at = instant(probe.at.as_microsecond());
        probes.insert(key(probe), Probe { at, ..probe.clone() });
        if probes.len() > PROBES_MAX {
            probes.pop_first();
        }
    }

    fn place(&self, metric: &Line) -> Option<usize> {
        self.metrics.iter().position(|judged| judged == metric)
    }

    pub fn has(&self, series: SampleSeries) -> bool {
        self.points.keys().any(|(of, _)| *of == series)
    }

    /// The points after `from`, up to and including `to`.
    pub fn points(
        &self,
        series: SampleSeries,
        metric: &Line,
        from: Timestamp,
        to: Timestamp,
    ) -> impl Iterator<Item = Point> {
        let (from, to) = (from.as_microsecond(), to.as_microsecond());
        let points = self.place(metric).and_then(|metric| self.points.get(&(series, metric)));
        let pieces = points.filter(|_| from < to).into_iter().flat_map(move |points| {
            points.range(from.div_euclid(PIECE_US)..=to.div_euclid(PIECE_US)).map(|(_, piece)| piece)
        });
        pieces.flat_map(move |piece| {
            piece.range((Excluded(from), Included(to))).map(|(at, (value, count))| Point {
                at: instant(*at),
                value: *value,
                count: *count,
            })
        })
    }

    /// Errors among the requests of an error rate: each point's rate times the requests it stands for.
    pub fn errors(&self, series: SampleSeries, metric: &Line, from: Timestamp, to: Timestamp) -> Errors {
        let points = self.points(series, metric, from, to).filter(Point::is_number);
        points.fold(Errors::default(), |sum, point| {
            let requests = point.count.unwrap_or(0);
            Errors {
                errors: sum.errors.saturating_add(rounded(point.value * count(requests)).min(requests)),
                requests: sum.requests.saturating_add(requests),
            }
        })
    }

    /// The times at which a metric of a series has a point, in order.
    pub fn times(&self, series: SampleSeries, metric: &Line) -> impl Iterator<Item = Timestamp> {
        let points = self.place(metric).and_then(|metric| self.points.get(&(series, metric)));
        points
            .into_iter()
            .flat_map(|points| points.values())
            .flat_map(|piece| piece.keys())
            .map(|at| instant(*at))
    }

    /// The latest point of any judged metric of a series.
    pub fn last(&self, series: SampleSeries) -> Option<Timestamp> {
        let of_series = self.points.range((series, 0)..=(series, usize::MAX));
        let last = of_series.filter_map(|(_, points)| points.values().next_back()?.keys().next_back());
        last.max().map(|at| instant(*at))
    }

    /// Configured weights, in percent, in the order of their time.
    pub fn weights(&self) -> impl DoubleEndedIterator<Item = (Timestamp, f64)> {
        self.weights.iter().map(|(at, bits)| (instant(*at), f64::from_bits(*bits)))
    }

    /// The configured weight at an instant: the last one until then.
    pub fn weight_at(&self, at: Timestamp) -> Option<f64> {
        self.weights.range(..=at.as_microsecond()).next_back().map(|(_, bits)| f64::from_bits(*bits))
    }

    pub fn versions(&self) -> impl DoubleEndedIterator<Item = &Probe> {
        self.versions.values()
    }

    pub fn health(&self) -> impl DoubleEndedIterator<Item = &Probe> {
        self.health.values()
    }
}

/// Two values of one instant contradict each other; which of them counts must not depend on the order.
fn lesser(one: (f64, Option<u64>), other: (f64, Option<u64>)) -> (f64, Option<u64>) {
    if one.0.total_cmp(&other.0).then_with(|| one.1.cmp(&other.1)).is_le() { one } else { other }
}

fn instant(us: i64) -> Timestamp {
    // It was made from a timestamp, so it is one.
    Timestamp::from_microsecond(us).unwrap_or_default()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float-to-int cast saturates")]
fn rounded(value: f64) -> u64 {
    value.round() as u64
}
