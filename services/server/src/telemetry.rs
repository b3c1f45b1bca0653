//! Logs and traces, set up once for the process. Spans are made only while somebody samples them: their
//! level is `debug`, below what is logged, and the exporter has a filter of its own; with both closed a
//! span costs one comparison. A span holds routes, operations, codes and ids, never a token, a name or a body.

use actix_web::HttpMessage;
use actix_web::dev::ServiceRequest;
use actix_web::http::header::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, Sampler, SdkTracerProvider};
use quick_cache::sync::Cache;
use serde::Deserialize;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};
use uuid::Uuid;

pub use opentelemetry::TraceId;

/// The target of every span; the exporter takes this one and nothing else.
const SPANS: &str = "shiplog::span";
/// How many events of late are remembered with the span that caused them.
const REMEMBERED: usize = 4_096;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// What is logged: a level, or levels by module (`info,server::http=debug`).
    pub log: String,
    pub log_format: LogFormat,
    /// Base URL of an OTLP collector (HTTP, protobuf): spans go to `/v1/traces` below it. Without it there
    /// are no traces. `OTEL_EXPORTER_OTLP_HEADERS` holds what the collector wants to see, such as a key.
    pub otlp_endpoint: Option<String>,
    /// The share of traces begun here that is sent; the decision of a caller's `traceparent` is kept.
    pub sample_ratio: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// A line for people.
    Human,
    /// A JSON object a line.
    Json,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { log: "info".to_owned(), log_format: LogFormat::Human, otlp_endpoint: None, sample_ratio: 1.0 }
    }
}

impl std::str::FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err("human or json"),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("telemetry.log: {0}")]
    Log(#[from] tracing_subscriber::filter::ParseError),
    #[error("telemetry.otlp_endpoint: a URL that begins with http:// or https://")]
    Endpoint,
    #[error("telemetry.otlp_endpoint: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    #[error("logging was set up before: {0}")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// What has to be ended with the process, so that the last spans arrive.
#[derive(Debug)]
#[must_use = "the last spans are sent when it is stopped"]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Logs to standard error, and sends spans where the configuration says so. Once a process.
    pub fn start(config: &TelemetryConfig) -> Result<Self, TelemetryError> {
        let provider = config.otlp_endpoint.as_deref().map(|endpoint| provider(endpoint, config));
        let provider = provider.transpose()?;
        let layers = layers(config, provider.as_ref())?;
        tracing_subscriber::registry().with(layers).try_init()?;
        Ok(Self { provider })
    }

    /// Sends what is left; waits for the collector a bounded time.
    pub async fn stop(self) {
        let Some(provider) = self.provider else { return };
        let stopped = tokio::task::spawn_blocking(move || provider.shutdown()).await;
        if let Ok(Err(error)) = stopped {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}

type Layers = Vec<Box<dyn Layer<Registry> + Send + Sync>>;

/// Each with a filter of its own, so that what is traced does not depend on what is logged.
fn layers(config: &TelemetryConfig, provider: Option<&SdkTracerProvider>) -> Result<Layers, TelemetryError> {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match config.log_format {
        LogFormat::Human => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let mut layers = vec![lines.with_filter(EnvFilter::try_new(&config.log)?).boxed()];
    if let Some(provider) = provider {
        let spans = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("shiplog"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false);
        let only_spans = filter_fn(|metadata| metadata.is_span() && metadata.target() == SPANS);
        layers.push(spans.with_filter(only_spans).boxed());
    }
    Ok(layers)
}

fn provider(endpoint: &str, config: &TelemetryConfig) -> Result<SdkTracerProvider, TelemetryError> {
    if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
        return Err(TelemetryError::Endpoint);
    }
    let endpoint = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let exporter = SpanExporter::builder().with_http().with_endpoint(endpoint).build()?;
    let resource = Resource::builder()
        .with_service_name("shiplog")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sample_ratio)));
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build())
        .with_sampler(sampler)
        .build())
}

/// The span of a request, within the caller's trace if it names one. What is known only at the end is
/// recorded by [`answered`].
pub fn request_span(request: &ServiceRequest) -> Span {
    let span = tracing::debug_span!(
        target: SPANS,
        "request",
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = request.method().as_str(),
        http.route = Empty,
        http.response.status_code = Empty,
        shiplog.request_id = request_id(request),
        shiplog.principal_kind = Empty,
        shiplog.problem = Empty,
    );
    if span.is_disabled() {
        return span;
    }
    if let Some(parent) = caller_context(request.headers()) {
        // Fails only while nothing is exported.
        let _ = span.set_parent(parent);
    }
    if let Some(trace) = trace_of(&span) {
        request.extensions_mut().insert(trace);
    }
    span
}

fn request_id(request: &ServiceRequest) -> Option<&str> {
    // A longer one is refused later.
    request.headers().get("request-id").and_then(|id| id.to_str().ok()).filter(|id| id.len() <= 128)
}

/// What is known of a request when it has been answered.
pub struct Answered<'a> {
    pub method: &'a str,
    pub route: &'a str,
    pub status: u16,
    pub principal_kind: Option<&'static str>,
    pub problem: Option<&'static str>,
}

pub fn answered(span: &Span, answer: &Answered<'_>) {
    if span.is_disabled() {
        return;
    }
    span.context().span().update_name(format!("{} {}", answer.method, answer.route));
    span.record("http.route", answer.route);
    // The exporter keeps signed numbers as numbers, and makes text of others.
    span.record("http.response.status_code", i64::from(answer.status));
    span.record("shiplog.principal_kind", answer.principal_kind);
    span.record("shiplog.problem", answer.problem);
    if answer.status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
}

/// The span of one decision under a stream's lock.
pub fn decide_span(operation: &'static str) -> Span {
    tracing::debug_span!(target: SPANS, "decide", shiplog.operation = operation)
}

/// The span of one append, from its place in the queue until it is durable.
pub fn append_span(operation: &'static str, events: usize) -> Span {
    tracing::debug_span!(target: SPANS, "append", shiplog.operation = operation, shiplog.events = i64::try_from(events).unwrap_or(i64::MAX))
}

/// The span of what the reactor does about an event.
pub fn react_span(event_type: &str) -> Span {
    tracing::debug_span!(target: SPANS, "react", shiplog.event_type = event_type)
}

/// The span of what the reactor does when a time has come.
pub fn due_span(rule: &'static str) -> Span {
    tracing::debug_span!(target: SPANS, "due", shiplog.rule = rule)
}

/// The trace of the request: that of its span, else the one its caller names, else a new one.
pub fn request_trace(request: &actix_web::HttpRequest) -> TraceId {
    if let Some(trace) = request.extensions().get::<TraceId>() {
        return *trace;
    }
    let named = caller_context(request.headers()).map(|context| context.span().span_context().trace_id());
    named.unwrap_or_else(|| RandomIdGenerator::default().new_trace_id())
}

/// The trace that the current span belongs to, while anything is traced.
pub fn current_trace() -> Option<TraceId> {
    trace_of(&Span::current())
}

fn trace_of(span: &Span) -> Option<TraceId> {
    span_context(span).map(|context| context.trace_id())
}

fn span_context(span: &Span) -> Option<SpanContext> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context().span().span_context().clone();
    context.is_valid().then_some(context)
}

/// The W3C context of a request; one that is not well-formed is ignored, as the standard asks.
fn caller_context(headers: &HeaderMap) -> Option<Context> {
    if !headers.contains_key("traceparent") {
        return None;
    }
    let context =
        TraceContextPropagator::new().extract_with_context(&Context::new(), &RequestHeaders(headers));
    context.has_active_span().then_some(context)
}

struct RequestHeaders<'a>(&'a HeaderMap);

impl Extractor for RequestHeaders<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}

/// Events of late with the span that caused them, so that what the reactor does about one joins its trace.
pub struct Causes(Option<Cache<Uuid, SpanContext>>);

impl Causes {
    /// Remembers nothing while nothing is traced.
    pub fn new(config: &TelemetryConfig) -> Self {
        Self(config.otlp_endpoint.is_some().then(|| Cache::new(REMEMBERED)))
    }

    /// The current span caused these events.
    pub fn remember(&self, events: &[Uuid]) {
        let Some(spans) = &self.0 else { return };
        if let Some(context) = span_context(&Span::current()) {
            events.iter().for_each(|event| spans.insert(*event, context.clone()));
        }
    }

    /// Makes the span one of the trace in which the event was caused, when that is still known.
    pub fn join(&self, span: Span, event: Uuid) -> Span {
        if let Some(context) = self.0.as_ref().and_then(|spans| spans.get(&event)) {
            // Fails only while nothing is exported.
            let _ = span.set_parent(Context::new().with_remote_span_context(context));
        }
        span
    }
}

/// An error of the HTTP client names its cause only in its sources.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    /// Whether a request and what is below it make spans.
    fn traced(log: &str, provider: Option<&SdkTracerProvider>) -> [bool; 3] {
        let config = TelemetryConfig { log: log.to_owned(), ..TelemetryConfig::default() };
        let subscriber = tracing_subscriber::registry().with(layers(&config, provider).unwrap());
        tracing::subscriber::with_default(subscriber, || {
            let request = TestRequest::default().to_srv_request();
            let spans = [request_span(&request), decide_span("openRelease"), append_span("openRelease", 1)];
            assert_eq!(request.extensions().contains::<TraceId>(), provider.is_some());
            spans.map(|span| !span.is_disabled())
        })
    }

    #[test]
    fn nothing_is_made_of_a_request_unless_somebody_samples_it_or_logs_at_debug() {
        let provider = SdkTracerProvider::builder().build();
        assert_eq!(traced("info", None), [false; 3]);
        assert_eq!(traced("off", None), [false; 3]);
        assert_eq!(traced("off", Some(&provider)), [true; 3]);
        assert_eq!(traced("debug", None), [true; 3]);
    }

    #[test]
    fn what_cannot_be_set_up_is_named() {
        let start = |log: &str, endpoint: Option<&str>| {
            let otlp_endpoint = endpoint.map(str::to_owned);
            let config = TelemetryConfig { log: log.to_owned(), otlp_endpoint, ..TelemetryConfig::default() };
            Telemetry::start(&config).unwrap_err().to_string()
        };
        assert!(start("info,=", None).starts_with("telemetry.log: "));
        for wrong in ["localhost:4318", "grpc://localhost:4317", "http://not a host"] {
            assert!(start("info", Some(wrong)).starts_with("telemetry.otlp_endpoint: "), "{wrong}");
        }
    }
}
