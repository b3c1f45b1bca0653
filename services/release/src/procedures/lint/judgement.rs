//! What the thresholds of canary and monitoring must be for a judgement to be possible.

use super::{Lint, LintCode};
use crate::canary::{
    COARSE_SLOT_S, CanaryThresholds, FINE_S, Limits, METRICS_MAX, MetricGroup, MetricTest,
    MonitoringThresholds,
};
use crate::procedure::{CANARY_MONITORED, Procedure, Thresholds};

const CANARY: &str = "/thresholds/canary";
const MONITORING: &str = "/thresholds/monitoring";
/// Ranks need so many points to say anything (Kayenta).
const POINTS_MIN: u64 = 50;
/// The longest stretch of time that a threshold may name.
const DAY_S: u32 = 24 * 3_600;

impl<'p> Lint<'p> {
    pub(super) fn judgement(&mut self, procedure: &'p Procedure) {
        let thresholds = &procedure.thresholds;
        if let Some(canary) = &thresholds.canary {
            self.canary(canary, thresholds);
            if procedure.item_by_key(CANARY_MONITORED).is_none() {
                self.threshold(
                    CANARY,
                    format!("no item has the key {CANARY_MONITORED}, whose time it counts"),
                );
            }
        }
        if let Some(monitoring) = &thresholds.monitoring {
            if Limits::of(thresholds).is_none() {
                self.threshold(MONITORING, "without a canary there is nothing to monitor".into());
            }
            self.monitoring(monitoring, procedure);
        }
        let metrics = thresholds.judged_metrics().len();
        if metrics > METRICS_MAX {
            self.threshold(CANARY, format!("{metrics} metrics, {METRICS_MAX} are kept"));
        }
    }

    fn threshold(&mut self, pointer: &str, detail: String) {
        self.add(pointer, LintCode::Threshold, detail);
    }

    fn spans(&mut self, base: &str, spans: &[(&str, u32)]) {
        for (member, seconds) in spans {
            if !(1..=DAY_S).contains(seconds) {
                self.threshold(
                    &format!("{base}/{member}"),
                    format!("{seconds} seconds, 1 to {DAY_S} are allowed"),
                );
            }
        }
    }

    fn fractions(&mut self, base: &str, fractions: &[(&str, f64)]) {
        for (member, fraction) in fractions {
            if !(*fraction > 0.0 && *fraction < 1.0) {
                self.threshold(&format!("{base}/{member}"), format!("{fraction} is not between 0 and 1"));
            }
        }
    }

    fn counts(&mut self, base: &str, counts: &[(&str, u32)]) {
        for (member, count) in counts {
            if !(1..=100).contains(count) {
                self.threshold(&format!("{base}/{member}"), format!("{count}, 1 to 100 are allowed"));
            }
        }
    }

    fn canary(&mut self, canary: &CanaryThresholds, thresholds: &Thresholds) {
        self.spans(
            CANARY,
            &[
                ("sample_interval_s", canary.sample_interval_s),
                ("gap_pause_s", canary.gap_pause_s),
                ("gap_abort_s", canary.gap_abort_s),
                ("weight_reset_s", canary.weight_reset_s),
                ("weight_window_s", canary.weight_window_s),
                ("extension_s", canary.extension_s),
                ("intervals/interval_s", canary.intervals.interval_s),
                ("critical/restarts_window_s", canary.critical.restarts_window_s),
                ("critical/error_window_s", canary.critical.error_window_s),
                ("critical/burn_long_s", canary.critical.burn_long_s),
                ("critical/burn_short_s", canary.critical.burn_short_s),
            ],
        );
        self.fractions(
            CANARY,
            &[
                ("coverage_min", canary.coverage_min),
                ("weight_confidence", canary.weight_confidence),
                ("extension_alpha", canary.extension_alpha),
                ("rank_confidence", canary.rank_confidence),
                ("detectable/alpha", canary.detectable.alpha),
                ("detectable/power", canary.detectable.power),
                ("detectable/rate_floor", canary.detectable.rate_floor),
                ("intervals/alpha", canary.intervals.alpha),
                ("critical/error_rate", canary.critical.error_rate),
                ("critical/error_budget", canary.critical.error_budget),
            ],
        );
        self.counts(
            CANARY,
            &[
                ("intervals/window", canary.intervals.window),
                ("intervals/consecutive", canary.intervals.consecutive),
                ("critical/failed_probes", canary.critical.failed_probes),
                ("critical/restarts", canary.critical.restarts),
                ("critical/error_windows", canary.critical.error_windows),
            ],
        );
        if canary.gap_abort_s < canary.gap_pause_s {
            self.threshold(&format!("{CANARY}/gap_abort_s"), "shorter than the gap that pauses".into());
        }
        if canary.extensions_max > 10 {
            let detail = format!("{} extensions, 10 are allowed", canary.extensions_max);
            self.threshold(&format!("{CANARY}/extensions_max"), detail);
        }
        self.looks(canary, thresholds);
        let (fail, pass) = (canary.score_fail, canary.score_pass);
        if !(0.0 <= fail && fail <= pass && pass <= 100.0) {
            self.threshold(
                &format!("{CANARY}/score_fail"),
                format!("{fail} and {pass} are no scores in order"),
            );
        }
        let weights = MetricGroup::ALL.map(|group| canary.groups.of(group));
        let sum: f64 = weights.iter().sum();
        if weights.iter().any(|weight| *weight < 0.0) || (sum - 100.0).abs() > 1e-6 {
            self.threshold(&format!("{CANARY}/groups"), format!("the weights add up to {sum}, not to 100"));
        }
        self.judged_metrics(canary);
    }

    fn looks(&mut self, canary: &CanaryThresholds, thresholds: &Thresholds) {
        let in_order =
            canary.looks.windows(2).all(|pair| pair.is_sorted_by(|one, other| one.at_s < other.at_s));
        let first = canary.looks.first().is_some_and(|look| look.at_s > 0);
        let last = canary.looks.last().map(|look| u64::from(look.at_s));
        if !in_order || !first || last != Some(thresholds.canary_min_s) {
            let detail = format!("the last of ascending looks is at {} seconds", thresholds.canary_min_s);
            self.threshold(&format!("{CANARY}/looks"), detail);
        }
        for (place, look) in canary.looks.iter().enumerate() {
            self.fractions(&format!("{CANARY}/looks/{place}"), &[("alpha", look.alpha)]);
        }
        if thresholds.canary_min_s < POINTS_MIN * u64::from(canary.sample_interval_s) {
            let detail = format!("fewer than {POINTS_MIN} samples in {} seconds", thresholds.canary_min_s);
            self.threshold(&format!("{CANARY}/sample_interval_s"), detail);
        }
        let extended = u64::from(canary.extension_s) * u64::from(canary.extensions_max);
        if thresholds.canary_min_s + extended > FINE_S {
            let monitoring =
                thresholds.monitoring.as_ref().map(|rules| (MONITORING, rules.sample_interval_s));
            for (at, interval) in [(CANARY, canary.sample_interval_s)].into_iter().chain(monitoring) {
                if interval < COARSE_SLOT_S {
                    let detail = format!("past {FINE_S} seconds one sample in {COARSE_SLOT_S} is kept");
                    self.threshold(&format!("{at}/sample_interval_s"), detail);
                }
            }
        }
    }

    fn judged_metrics(&mut self, canary: &CanaryThresholds) {
        let pointer = format!("{CANARY}/metrics");
        let names: Vec<_> = canary.metrics.iter().map(|metric| &metric.metric).collect();
        self.repeated(&pointer, &names);
        let rates = canary.metrics.iter().filter(|metric| metric.test == MetricTest::ErrorRate).count();
        if rates != 1 {
            self.threshold(&pointer, format!("{rates} error rates, one is needed"));
        }
        if canary.must_have().next().is_none() {
            self.threshold(&pointer, "no metric has to have data, so none keeps the clock".into());
        }
        for (place, metric) in canary.metrics.iter().enumerate() {
            let company =
                canary.metrics.iter().filter(|other| other.group.is_some() && other.group == metric.group);
            if metric.critical && company.count() > 1 {
                self.threshold(
                    &format!("{pointer}/{place}/critical"),
                    "a critical metric stands alone in its group".into(),
                );
            }
            let limits = [metric.ratio, metric.difference, metric.maximum];
            if limits
                .into_iter()
                .chain([metric.from_zero])
                .flatten()
                .any(|limit| limit.is_nan() || limit < 0.0)
            {
                self.threshold(&format!("{pointer}/{place}"), "a limit is below 0".into());
            }
            let judged = metric.group.is_some() && limits.iter().all(Option::is_none);
            if judged {
                self.threshold(&format!("{pointer}/{place}"), "a metric of a group has a limit".into());
            }
        }
    }

    fn monitoring(&mut self, monitoring: &MonitoringThresholds, procedure: &'p Procedure) {
        self.spans(
            MONITORING,
            &[
                ("sample_interval_s", monitoring.sample_interval_s),
                ("gap_s", monitoring.gap_s),
                ("bucket_s", monitoring.bucket_s),
            ],
        );
        self.fractions(MONITORING, &[("coverage_min", monitoring.coverage_min)]);
        self.counts(
            MONITORING,
            &[
                ("consecutive", monitoring.consecutive),
                ("breached", monitoring.breached),
                ("window", monitoring.window),
                ("journey_failures", monitoring.journey_failures),
            ],
        );
        let names: Vec<_> = monitoring.metrics.iter().map(|metric| &metric.metric).collect();
        self.repeated(&format!("{MONITORING}/metrics"), &names);
        let unknown = |key: &str| procedure.item_by_key(key).is_none();
        for (place, metric) in monitoring.metrics.iter().enumerate().filter(|(_, m)| unknown(m.item.as_str()))
        {
            let pointer = format!("{MONITORING}/metrics/{place}/item");
            self.threshold(&pointer, format!("no item has the key {}", metric.item));
        }
        for (place, key) in monitoring.journeys.iter().enumerate().filter(|(_, key)| unknown(key.as_str())) {
            self.threshold(&format!("{MONITORING}/journeys/{place}"), format!("no item has the key {key}"));
        }
    }
}
