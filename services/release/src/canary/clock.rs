//! The canary's clock (item 5.3). It is computed from what was recorded, so samples that come late or
//! in another order give the same clock.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::statistics::{Errors, share_interval};
use super::{Limits, Subject, Telemetry};
use crate::event::{Interval, PauseCause, ResetCause, SampleSeries};
use crate::procedure::Thresholds;
use crate::release::{Deployment, Release};
use crate::value::Line;

#[derive(Debug, Clone, PartialEq)]
pub struct Clock {
    /// Which run it is, from 1: another one after each reset.
    pub run: u32,
    pub phase: ClockPhase,
    /// The first sample of the run.
    pub started_at: Option<Timestamp>,
    /// The time that counts, in order and apart from each other.
    pub counted: Vec<Interval>,
    /// Every reset, with the time that counted until then.
    pub resets: Vec<Reset>,
    pub last_sample: Option<Timestamp>,
    /// Each time without telemetry that was too long, the last one up to now.
    pub gaps: Vec<Interval>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockPhase {
    /// No sample yet at a weight of the band, from the candidate.
    Waiting,
    Running,
    Paused(PauseCause),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reset {
    pub at: Timestamp,
    pub cause: ResetCause,
    pub elapsed_s: u64,
}

/// Where the weight lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    Unknown,
    Below,
    InBand,
    Above,
}

/// What happened at one instant.
#[derive(Debug, Clone, Copy, Default)]
struct Tick {
    sample: bool,
    /// Whether it is the candidate that answered, where a version was seen.
    candidate: Option<bool>,
}

/// The clock as far as `now`, which only tells how long nothing came.
pub fn clock(telemetry: &Telemetry, subject: &Subject, limits: &Limits<'_>, now: Timestamp) -> Clock {
    let canary = limits.canary;
    let mut ticks: BTreeMap<Timestamp, Tick> = BTreeMap::new();
    for at in sample_times(telemetry, limits, SampleSeries::Canary) {
        ticks.entry(at).or_default().sample = true;
    }
    for (at, _) in telemetry.weights() {
        ticks.entry(at).or_default();
    }
    for probe in telemetry.versions() {
        if let Some(candidate) = subject.is_candidate(probe) {
            let tick = ticks.entry(probe.at).or_default();
            tick.candidate = Some(tick.candidate.unwrap_or(true) && candidate);
        }
    }
    let mut walk = Walk::new();
    for (at, tick) in ticks.range(..=now) {
        let weight = weight(telemetry, limits, *at);
        walk.step(*at, *tick, weight, canary.gap_pause_s, canary.weight_reset_s);
    }
    walk.end(now, canary.gap_pause_s)
}

/// When the canary is heard of: at each point of a metric that has to have data.
pub fn sample_times(
    telemetry: &Telemetry,
    limits: &Limits<'_>,
    series: SampleSeries,
) -> impl Iterator<Item = Timestamp> {
    let metrics: Vec<&Line> = limits.canary.must_have().map(|metric| &metric.metric).collect();
    metrics.into_iter().flat_map(move |metric| telemetry.times(series, metric))
}

/// What is configured, or else what the requests of the last minutes show: outside of the band only if
/// their whole interval is.
fn weight(telemetry: &Telemetry, limits: &Limits<'_>, at: Timestamp) -> Weight {
    let (least, most) = limits.band;
    let place = |low: f64, high: f64| match () {
        () if low > most => Weight::Above,
        () if high < least => Weight::Below,
        () => Weight::InBand,
    };
    if let Some(percent) = telemetry.weight_at(at) {
        return place(percent, percent);
    }
    let Some(metric) = limits.canary.error_rate() else { return Weight::Unknown };
    let from = at - seconds(limits.canary.weight_window_s);
    let requests = |series| telemetry.errors(series, &metric.metric, from, at);
    let all = [SampleSeries::Canary, SampleSeries::Control, SampleSeries::Production]
        .map(|series| requests(series).requests);
    let canary = requests(SampleSeries::Canary);
    match share(canary, all.iter().sum(), limits.canary.weight_confidence) {
        Some((low, high)) => place(100.0 * low, 100.0 * high),
        None => Weight::Unknown,
    }
}

fn share(canary: Errors, all: u64, confidence: f64) -> Option<(f64, f64)> {
    share_interval(canary.requests, all, confidence).filter(|_| canary.requests < all)
}

struct Walk {
    clock: Clock,
    /// Since the last sample; they count when the next one comes in time.
    pending: Vec<Interval>,
    last: Option<Timestamp>,
    weight: Weight,
    above_since: Option<Timestamp>,
    is_candidate: Option<bool>,
}

impl Walk {
    fn new() -> Self {
        let clock = Clock {
            run: 1,
            phase: ClockPhase::Waiting,
            started_at: None,
            counted: Vec::new(),
            resets: Vec::new(),
            last_sample: None,
            gaps: Vec::new(),
        };
        Self {
            clock,
            pending: Vec::new(),
            last: None,
            weight: Weight::Unknown,
            above_since: None,
            is_candidate: None,
        }
    }

    fn runs(&self) -> bool {
        self.weight == Weight::InBand && self.is_candidate == Some(true)
    }

    fn step(&mut self, at: Timestamp, tick: Tick, weight: Weight, gap_s: u32, reset_s: u32) {
        if let Some(from) = self.last.filter(|_| self.clock.started_at.is_some() && self.runs()) {
            self.pending.push(Interval { from, to: at });
        }
        let above_for = self.above_since.map(|since| at.duration_since(since));
        if above_for.is_some_and(|long| long > seconds(reset_s)) {
            self.reset(at, ResetCause::Weight);
        }
        if tick.sample {
            self.heard(at, gap_s);
        }
        self.weight = weight;
        self.above_since = (weight == Weight::Above).then(|| self.above_since.unwrap_or(at));
        self.is_candidate = tick.candidate.or(self.is_candidate);
        if self.is_candidate == Some(false) {
            self.reset(at, ResetCause::Version);
        }
        if tick.sample && self.clock.started_at.is_none() && self.runs() {
            self.clock.started_at = Some(at);
        }
        self.last = Some(at);
    }

    fn heard(&mut self, at: Timestamp, gap_s: u32) {
        let in_time = self.silence(at, gap_s).is_none() && self.clock.last_sample.is_some();
        for part in self.pending.drain(..).filter(|part| in_time && part.from < part.to) {
            match self.clock.counted.last_mut() {
                Some(last) if last.to == part.from => last.to = part.to,
                _ => self.clock.counted.push(part),
            }
        }
        self.clock.last_sample = Some(at);
    }

    /// The time since the last sample, where it is too long.
    fn silence(&mut self, until: Timestamp, gap_s: u32) -> Option<Interval> {
        let silence = Interval { from: self.clock.last_sample?, to: until };
        let silence = Some(silence).filter(|silence| long(silence) > seconds(gap_s));
        if self.clock.started_at.is_some() {
            self.clock.gaps.extend(silence);
        }
        silence
    }

    /// Only a clock that was started is reset.
    fn reset(&mut self, at: Timestamp, cause: ResetCause) {
        self.pending.clear();
        if self.clock.started_at.take().is_some() {
            let elapsed_s = self.clock.elapsed_s();
            self.clock.resets.push(Reset { at, cause, elapsed_s });
            self.clock.run += 1;
            self.clock.counted.clear();
            self.clock.gaps.clear();
        }
    }

    fn end(mut self, now: Timestamp, gap_s: u32) -> Clock {
        let silence = self.silence(now, gap_s);
        self.clock.phase = if self.clock.started_at.is_none() {
            ClockPhase::Waiting
        } else if silence.is_some() {
            ClockPhase::Paused(PauseCause::TelemetryGap)
        } else if self.runs() {
            ClockPhase::Running
        } else {
            ClockPhase::Paused(PauseCause::Weight)
        };
        self.clock
    }
}

impl Clock {
    /// The clock of a deployment that goes out as a canary; none where none is judged.
    pub fn of(
        release: &Release,
        deployment: &Deployment,
        thresholds: &Thresholds,
        now: Timestamp,
    ) -> Option<Self> {
        let (canary, limits) = (deployment.canary.as_ref()?, Limits::of(thresholds)?);
        Some(clock(&canary.telemetry, &Subject::of(release, deployment), &limits, now))
    }

    pub fn elapsed(&self) -> SignedDuration {
        total(&self.counted)
    }

    pub fn elapsed_s(&self) -> u64 {
        u64::try_from(self.elapsed().as_secs()).unwrap_or(0)
    }

    /// The instant at which so much had been counted.
    pub fn reached(&self, time: SignedDuration) -> Option<Timestamp> {
        let mut left = time;
        for part in &self.counted {
            if left <= long(part) {
                return Some(part.from + left);
            }
            left -= long(part);
        }
        None
    }

    /// What was counted until an instant.
    pub fn counted_until(&self, until: Timestamp) -> Vec<Interval> {
        let parts = self.counted.iter().filter(|part| part.from < until);
        parts.map(|part| Interval { from: part.from, to: part.to.min(until) }).collect()
    }
}

/// The share of the time in which a metric came as often as expected: a point stands for the time since
/// the point before it, where that is not more than half as long again as it should be.
pub fn coverage(times: impl Iterator<Item = Timestamp>, counted: &[Interval], interval_s: u32) -> f64 {
    let expected = seconds(interval_s);
    let tolerated = expected + expected / 2;
    let mut covered = SignedDuration::ZERO;
    let mut parts = counted.iter().peekable();
    let mut last: Option<Timestamp> = None;
    for at in times {
        while parts.next_if(|part| part.to < at).is_some() {
            last = None;
        }
        let Some(part) = parts.peek() else { break };
        if at < part.from {
            continue;
        }
        let since = at.duration_since(last.unwrap_or(part.from));
        covered += if since <= tolerated { since } else { expected };
        last = Some(at);
    }
    let all = total(counted).as_secs_f64();
    if all > 0.0 { (covered.as_secs_f64() / all).min(1.0) } else { 0.0 }
}

pub fn total(parts: &[Interval]) -> SignedDuration {
    parts.iter().map(long).fold(SignedDuration::ZERO, |sum, part| sum + part)
}

pub fn long(part: &Interval) -> SignedDuration {
    part.to.duration_since(part.from)
}

pub fn seconds(seconds: u32) -> SignedDuration {
    SignedDuration::from_secs(i64::from(seconds))
}
