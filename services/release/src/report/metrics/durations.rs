//! How long things took, as numbers that no reader rounds another way.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

/// Whole seconds; a percentile is the smallest value that at least so many percent are not above (nearest rank).
/// Without a value there is none to tell.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Durations {
    pub count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_s: Option<u64>,
}

/// How often each duration was there: as much as there are different ones, not as there are releases.
#[derive(Debug, Clone, Default)]
pub struct Collected(BTreeMap<u64, u64>);

impl Collected {
    /// What ended before it began took no time.
    pub fn add(&mut self, from: Timestamp, to: Timestamp) {
        self.seconds(to.duration_since(from).as_secs());
    }

    pub fn seconds(&mut self, seconds: i64) {
        *self.0.entry(u64::try_from(seconds).unwrap_or(0)).or_default() += 1;
    }

    pub fn finish(self) -> Durations {
        let values = &self.0;
        let count: u64 = values.values().sum();
        let rank = |percent: u64| {
            let mut before = (percent * count).div_ceil(100).max(1);
            values.iter().find_map(|(value, times)| {
                let here = before <= *times;
                before = before.saturating_sub(*times);
                here.then_some(*value)
            })
        };
        let sum: u128 = values.iter().map(|(value, times)| u128::from(*value) * u128::from(*times)).sum();
        let mean = sum.checked_div(u128::from(count));
        Durations {
            count,
            mean_s: mean.and_then(|mean| u64::try_from(mean).ok()),
            median_s: rank(50),
            p90_s: rank(90),
            max_s: values.last_key_value().map(|(value, _)| *value),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn of(seconds: &[i64]) -> Durations {
        let mut collected = Collected::default();
        let from = Timestamp::UNIX_EPOCH;
        seconds.iter().for_each(|s| collected.add(from, from + SignedDuration::from_secs(*s)));
        collected.finish()
    }

    #[test]
    fn a_percentile_is_a_value_that_was_there() {
        assert_eq!(of(&[]), Durations::default());
        let told = |d: Durations| {
            (d.count, d.mean_s.unwrap(), d.median_s.unwrap(), d.p90_s.unwrap(), d.max_s.unwrap())
        };
        assert_eq!(told(of(&[7])), (1, 7, 7, 7, 7));
        assert_eq!(told(of(&[40, 10, 30, 20])), (4, 25, 20, 40, 40));
        assert_eq!(told(of(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10])), (10, 5, 5, 9, 10));
        assert_eq!(told(of(&[5, 1, 5, 5, 1, 9])), (6, 4, 5, 9, 9));
        assert_eq!(told(of(&[-5])), (1, 0, 0, 0, 0));
    }
}
