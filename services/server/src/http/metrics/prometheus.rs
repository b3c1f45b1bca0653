//! Metrics of a period as OpenMetrics text: gauges, because a period that moves on takes away as well as it adds.

use std::fmt;
use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use release::report::metrics::Durations;

use super::Measured;

pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub struct Gauges(Registry);

impl Gauges {
    /// Named `shiplog_{of}_…`, with the product as a label where one was asked for.
    pub fn of(of: &str, measured: &Measured) -> Self {
        let product = measured.product.as_ref().map(|name| ("product".into(), name.to_string().into()));
        let mut gauges = Self(Registry::with_prefix_and_labels(format!("shiplog_{of}"), product.into_iter()));
        gauges.count("position", "The last event that was read", measured.position);
        let from = measured.from.as_second() as f64;
        let to = measured.to.as_second() as f64;
        gauges.seconds("period_from", "The period's beginning, since the epoch", from);
        gauges.seconds("period_to", "The period's end, not included, since the epoch", to);
        gauges
    }

    pub fn count(&mut self, name: &str, help: &str, value: u64) {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        self.0.register(name, help, gauge);
    }

    pub fn ratio(&mut self, name: &str, help: &str, value: f64) {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(value);
        self.0.register_with_unit(name, help, Unit::Ratios, gauge);
    }

    /// What has no value is left out, so that nobody reads it as none.
    pub fn durations(&mut self, name: &str, help: &str, durations: &Durations) {
        self.count(&format!("{name}_count"), &format!("{help}: how many"), durations.count);
        let values = [
            ("mean", durations.mean_s),
            ("median", durations.median_s),
            ("p90", durations.p90_s),
            ("max", durations.max_s),
        ];
        for (which, value) in values {
            if let Some(value) = value {
                self.seconds(&format!("{name}_{which}"), &format!("{help}: {which}"), value as f64);
            }
        }
    }

    fn seconds(&mut self, name: &str, help: &str, value: f64) {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(value);
        self.0.register_with_unit(name, help, Unit::Seconds, gauge);
    }

    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.0)?;
        Ok(text)
    }
}
