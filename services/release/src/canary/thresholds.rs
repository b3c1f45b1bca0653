//! What a procedure says of the canary and of the monitoring after it, as data. Times in seconds,
//! rates and shares as fractions of 1.

use serde::{Deserialize, Serialize};

use crate::value::{Line, Name};

/// A closed set of words in a procedure.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $word:ident,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $word,)* }
    )*};
}

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $ty:ty,)* } $(optional { $($(#[$odoc:meta])* $ofield:ident: $oty:ty,)* })?;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$fdoc])* pub $field: $ty,)*
            $($($(#[$odoc])* #[serde(default, skip_serializing_if = "Option::is_none")] pub $ofield: Option<$oty>,)*)?
        }
    )*};
}

limits! {
    /// How a canary is judged (rules T1 to T5 and C1 to C8). The weight band and the least time are the
    /// procedure's `canary_weight_min_percent`, `canary_weight_max_percent` and `canary_min_s`.
    CanaryThresholds {
        /// How often each metric is expected.
        sample_interval_s: u32,
        /// The least share of the canary's time in which samples came as often as expected.
        coverage_min: f64,
        /// Without telemetry for longer the clock pauses.
        gap_pause_s: u32,
        /// Without telemetry for longer the canary is aborted.
        gap_abort_s: u32,
        /// Above the weight band for longer the clock starts again.
        weight_reset_s: u32,
        /// A measured weight is judged over this time, with an interval of this confidence.
        weight_window_s: u32,
        weight_confidence: f64,
        /// When errors are formally tested, by the canary's clock, each time with its own alpha.
        #[cfg_attr(feature = "openapi", schema(max_items = 10))]
        looks: Vec<Look>,
        /// What a marginal or insufficient verdict at the last look adds to the canary's time, how often,
        /// and the alpha of the look at its end.
        extension_s: u32,
        extensions_max: u32,
        extension_alpha: f64,
        /// With fewer canary requests the verdict is insufficient.
        requests_min: u64,
        detectable: Detectable,
        /// Mann-Whitney: the interval's confidence, and the tolerance as a fraction of the shift.
        rank_confidence: f64,
        rank_tolerance: f64,
        /// A score from here on passes; below `score_fail` it fails; between them it is marginal.
        score_pass: f64,
        score_fail: f64,
        groups: GroupWeights,
        intervals: IntervalLimits,
        critical: CriticalLimits,
        #[cfg_attr(feature = "openapi", schema(max_items = 24))]
        metrics: Vec<JudgedMetric>,
    } optional {
        /// What an insufficient verdict takes; `two_person` when absent.
        low_traffic: LowTraffic,
    };

    Look { at_s: u32, alpha: f64, };

    /// The increase of the error rate that the canary must be able to show.
    Detectable {
        /// Above this ratio to the control the verdict is insufficient.
        ratio_max: f64,
        alpha: f64,
        power: f64,
        /// A lower control rate counts as this one: smaller differences are not errors by rule T1.
        rate_floor: f64,
    };

    /// What each group adds to the score; 100 together. A group without data is left out.
    GroupWeights { errors: f64, latency: f64, database: f64, saturation: f64, };

    /// Rule T5: the canary by the minute.
    IntervalLimits {
        interval_s: u32,
        /// More failed intervals than this among `window` in a row fail the canary.
        failures_max: u32,
        window: u32,
        /// So many failed intervals one after the other fail it too.
        consecutive: u32,
        /// An interval's errors count as failed when the test says so with this alpha.
        alpha: f64,
        /// An interval with fewer canary requests is not judged.
        requests_min: u64,
    };

    /// Rules C1, C2, C5 and C6: what calls for a rollback at once.
    CriticalLimits {
        failed_probes: u32,
        restarts: u32,
        restarts_window_s: u32,
        /// C2: an error rate of at least `error_rate` and `error_ratio` times the control, in so many
        /// windows in a row with at least `requests_min` requests each.
        error_rate: f64,
        error_ratio: f64,
        error_window_s: u32,
        error_windows: u32,
        requests_min: u64,
        /// C5: how fast the error budget is used up, over a long and a short window, each with at least
        /// `requests_min` requests.
        error_budget: f64,
        burn_rate: f64,
        burn_long_s: u32,
        burn_short_s: u32,
        /// Severities of incidents that count as critical.
        #[cfg_attr(feature = "openapi", schema(max_items = 10))]
        severities: Vec<Line>,
    };

    /// One metric of the canary. Its limits are those of rule T1 for an error rate, T2 for ranks, T3 for means.
    JudgedMetric {
        /// The name under which samples are reported.
        metric: Line,
        test: MetricTest,
        /// Its failure fails the canary; it stands alone in its group.
        critical: bool,
        /// Without data the canary fails.
        must_have_data: bool,
        /// Recorded, never counted.
        muted: bool,
        nan: NanPolicy,
        direction: Direction,
    } optional {
        /// Without a group it is not part of the score.
        group: MetricGroup,
        /// Worse than this ratio to the control.
        ratio: f64,
        /// And worse by more than this.
        difference: f64,
        /// Where the control has 0, of which nothing is a ratio: worse by more than this.
        from_zero: f64,
        /// Or above this, whatever the control does.
        maximum: f64,
        /// With fewer canary requests it is not judged, and the verdict is insufficient.
        requests_min: u64,
    };

    /// How the time after the rollout is judged (items 6.4 to 6.8, rules P1 to P3 and L1).
    MonitoringThresholds {
        sample_interval_s: u32,
        coverage_min: f64,
        /// Without telemetry for longer the time does not count.
        gap_s: u32,
        /// Past the longest monitoring and this, a decision is overdue.
        overrun_s: u32,
        bucket_s: u32,
        /// P1: so many breached buckets one after the other propose a rollback.
        consecutive: u32,
        /// P2: so many breached buckets of any `window` in a row call for one.
        breached: u32,
        window: u32,
        /// P3: so many failed checks of one of `journeys`.
        journey_failures: u32,
        /// Keys of the items whose journeys P3 counts.
        #[cfg_attr(feature = "openapi", schema(max_items = 10))]
        journeys: Vec<Name>,
        #[cfg_attr(feature = "openapi", schema(max_items = 24))]
        metrics: Vec<MonitoredMetric>,
    } optional {
        /// So long people have to decide what a rule proposed.
        decide_within_s: u32,
        /// What becomes of a proposal that nobody decided in that time; `propose` when absent.
        undecided: UndecidedPolicy,
    };

    MonitoredMetric {
        metric: Line,
        /// The key of the item it belongs to.
        item: Name,
        /// Judged against the stricter of two baselines; the others against the looser.
        critical: bool,
        must_have_data: bool,
        muted: bool,
        /// Weighs each point by the requests it stands for.
        by_requests: bool,
        nan: NanPolicy,
        direction: Direction,
        bucket: MonitoringLimit,
    } optional {
        /// Of the whole interval, where it is stricter than a bucket's.
        whole: MonitoringLimit,
        /// The least that all values of the interval add up to.
        total_min: f64,
    };

    /// The most lenient of what is given with a baseline is allowed, never more than `maximum`.
    MonitoringLimit {} optional {
        ratio: f64,
        difference: f64,
        /// Allowed where the baseline is 0, of which nothing is a ratio.
        from_zero: f64,
        /// The objective of the service: within it nothing is a breach.
        objective: f64,
        maximum: f64,
    };
}

words! {
    MetricTest {
        /// Errors among requests.
        ErrorRate,
        /// The ranks of values, by Mann-Whitney.
        Rank,
        /// The mean of values.
        Mean,
        /// How often replicas restarted since the point before.
        Restarts,
    }
    MetricGroup { Errors, Latency, Database, Saturation, }
    LowTraffic {
        /// Two people who decide to proceed.
        TwoPerson,
        /// One, where the release planned for it before its approval; else two.
        Planned,
    }
    UndecidedPolicy {
        /// It waits for people.
        Propose,
        /// It is rolled back, unless the schema cannot go back.
        Auto,
    }
    /// What a point that is no number, such as a rate over no requests, counts as.
    NanPolicy { Remove, Zero, Fail, }
    /// In which direction a metric gets worse.
    Direction { Increase, Decrease, Either, }
}

impl GroupWeights {
    pub fn of(&self, group: MetricGroup) -> f64 {
        match group {
            MetricGroup::Errors => self.errors,
            MetricGroup::Latency => self.latency,
            MetricGroup::Database => self.database,
            MetricGroup::Saturation => self.saturation,
        }
    }
}

impl MetricGroup {
    pub const ALL: [Self; 4] = [Self::Errors, Self::Latency, Self::Database, Self::Saturation];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Latency => "latency",
            Self::Database => "database",
            Self::Saturation => "saturation",
        }
    }
}

impl JudgedMetric {
    /// It is held to the control, not to a maximum alone.
    pub fn compares(&self) -> bool {
        self.ratio.is_some() || self.difference.is_some()
    }
}

impl CanaryThresholds {
    /// The error rate that floors, looks and rules C2 and C5 read.
    pub fn error_rate(&self) -> Option<&JudgedMetric> {
        self.metrics.iter().find(|metric| metric.test == MetricTest::ErrorRate)
    }

    pub fn must_have(&self) -> impl Iterator<Item = &JudgedMetric> {
        self.metrics.iter().filter(|metric| metric.must_have_data && !metric.muted)
    }

    /// When the look of this number is due by the clock, and its alpha. The first is 1; those past the
    /// planned ones are at the ends of extensions.
    pub fn look(&self, number: u32) -> Option<Look> {
        let planned = u32::try_from(self.looks.len()).unwrap_or(u32::MAX);
        let (index, last) = (number.checked_sub(1)?, self.looks.last()?);
        if let Some(look) = usize::try_from(index).ok().and_then(|index| self.looks.get(index)) {
            return Some(look.clone());
        }
        let extension = number - planned;
        let at_s = last.at_s.saturating_add(extension.saturating_mul(self.extension_s));
        (extension <= self.extensions_max).then_some(Look { at_s, alpha: self.extension_alpha })
    }

    pub fn planned_looks(&self) -> u32 {
        u32::try_from(self.looks.len()).unwrap_or(u32::MAX)
    }
}
