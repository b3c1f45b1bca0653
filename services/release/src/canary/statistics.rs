//! The arithmetic of the judgement. Distributions and the exact test come from a library; what is
//! written here is what no small library has, each checked against R in `tests/statistics/`.

use statrs::distribution::{ContinuousCDF as _, Normal};
use statrs::stats_tests::{Alternative, fishers_exact};

/// Below this expected count in any cell the normal approximation misleads and the exact test decides.
const SMALL: f64 = 5.0;
/// Halvings of the search for a detectable ratio: more than a double can tell apart.
const HALVINGS: u32 = 60;

/// Errors among requests.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Errors {
    pub errors: u64,
    pub requests: u64,
}

impl Errors {
    pub fn rate(self) -> Option<f64> {
        (self.requests > 0).then(|| count(self.errors) / count(self.requests))
    }

    fn fine(self) -> u64 {
        self.requests.saturating_sub(self.errors)
    }
}

/// The probability of at least this many more errors in the canary when both serve equally well; 1
/// when there is nothing to compare.
pub fn more_errors(canary: Errors, control: Errors) -> f64 {
    let (n, m) = (count(canary.requests), count(control.requests));
    if canary.requests == 0 || control.requests == 0 {
        return 1.0;
    }
    let pooled = (count(canary.errors) + count(control.errors)) / (n + m);
    let smallest = n.min(m) * pooled.min(1.0 - pooled);
    if smallest < SMALL {
        // Asked from the control's side, so that few errors make a short sum.
        let table = [control.errors, control.fine(), canary.errors, canary.fine()];
        return fishers_exact(&table, Alternative::Less).map_or(1.0, |p| p.clamp(0.0, 1.0));
    }
    let deviation = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
    let z = (count(canary.errors) / n - count(control.errors) / m) / deviation;
    1.0 - Normal::standard().cdf(z)
}

/// The smallest ratio to the baseline rate that a one-sided comparison of so many requests would show
/// with this power; none when not even every request failing would.
pub fn detectable_ratio(rate: f64, canary: u64, control: u64, alpha: f64, power: f64) -> Option<f64> {
    let detects = |ratio: f64| excess(rate, ratio, count(canary), count(control), alpha, power) >= 0.0;
    let most = 1.0 / rate;
    if canary == 0 || control == 0 || !(rate > 0.0 && rate < 1.0) || !detects(most) {
        return None;
    }
    let (mut blind, mut seen) = (1.0, most);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(blind, seen);
        if detects(middle) { seen = middle } else { blind = middle }
    }
    Some(seen)
}

/// How far the difference lies beyond what is needed to see it: pooled variance under equality,
/// separate variances under the difference.
fn excess(rate: f64, ratio: f64, n: f64, m: f64, alpha: f64, power: f64) -> f64 {
    let higher = (rate * ratio).min(1.0);
    let pooled = (higher * n + rate * m) / (n + m);
    let equal = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
    let different = (higher * (1.0 - higher) / n + rate * (1.0 - rate) / m).sqrt();
    (higher - rate) - quantile(1.0 - alpha) * equal - quantile(power) * different
}

/// Wilson's interval of a share.
pub fn share_interval(part: u64, whole: u64, confidence: f64) -> Option<(f64, f64)> {
    if whole == 0 {
        return None;
    }
    let (n, z) = (count(whole), quantile(f64::midpoint(1.0, confidence)));
    let share = (count(part) / n).min(1.0);
    let squared = z * z / n;
    let centre = (share + squared / 2.0) / (1.0 + squared);
    let half = z * (share * (1.0 - share) / n + squared / (4.0 * n)).sqrt() / (1.0 + squared);
    Some(((centre - half).max(0.0), (centre + half).min(1.0)))
}

/// By how much the values of one group lie above those of another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    pub low: f64,
    pub high: f64,
    /// Hodges and Lehmann: the median of all differences.
    pub estimate: f64,
}

/// The Mann-Whitney interval as Kayenta computes it: two-sided, by the normal approximation with
/// continuity correction and ties. The test statistic only changes at a difference of two values, so
/// the limits are found among the differences and need no root finder.
pub fn shift(canary: &[f64], control: &[f64], confidence: f64) -> Option<Shift> {
    let mut differences: Vec<f64> =
        canary.iter().flat_map(|x| control.iter().map(move |y| x - y)).filter(|d| d.is_finite()).collect();
    if differences.is_empty() {
        return None;
    }
    differences.sort_by(f64::total_cmp);
    let (n, m) = (size(canary), size(control));
    let (all, pairs) = (n + m, n * m);
    let tied = ties(canary) + ties(control);
    let deviation = (pairs / 12.0 * ((all + 1.0) - tied / (all * (all - 1.0)))).sqrt();
    let z = quantile(f64::midpoint(1.0, confidence));
    let limit = |z: f64| {
        let crossed = |below: usize| {
            let above = pairs / 2.0 - size_of(below);
            let corrected = above - if above == 0.0 { 0.0 } else { 0.5 * above.signum() };
            corrected / deviation <= z
        };
        let counts: Vec<usize> = (1..=differences.len()).collect();
        let at = counts.partition_point(|below| !crossed(*below)).min(differences.len() - 1);
        differences.get(at).copied()
    };
    let middle = differences.len() / 2;
    let upper = differences.get(middle).copied()?;
    let estimate = if differences.len().is_multiple_of(2) {
        f64::midpoint(differences.get(middle.checked_sub(1)?).copied()?, upper)
    } else {
        upper
    };
    Some(Shift { low: limit(z)?, high: limit(-z)?, estimate })
}

impl Shift {
    /// Kayenta's tolerance: the whole interval lies beyond a fraction of the estimated shift.
    pub fn is_high(&self, tolerance: f64) -> bool {
        self.low > tolerance * self.estimate.abs()
    }

    pub fn is_low(&self, tolerance: f64) -> bool {
        self.high < -tolerance * self.estimate.abs()
    }
}

/// The sum of t³ - t over the groups of equal values.
fn ties(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
        .chunk_by(|one, other| one == other)
        .map(|tied| {
            let t = size(tied);
            t * t * t - t
        })
        .sum()
}

pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / size(values))
}

/// The quantile of the standard normal; at the ends of its range it stays finite.
fn quantile(p: f64) -> f64 {
    if p.is_nan() {
        return 0.0;
    }
    Normal::standard().inverse_cdf(p.clamp(1e-12, 1.0 - 1e-12))
}

fn size(values: &[f64]) -> f64 {
    size_of(values.len())
}

fn size_of(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::from(u32::MAX), f64::from)
}

/// Counts of requests lie far below 2^53.
#[expect(clippy::cast_precision_loss, reason = "counts of requests lie far below 2^53")]
pub fn count(n: u64) -> f64 {
    n as f64
}
