//! Delivery and flow of a period, out of facts of the log.

pub mod delivery;
pub mod flow;
mod prometheus;

use actix_web::HttpResponse;
use actix_web::http::header;
use jiff::{SignedDuration, Timestamp};
use release::event::Interval;
use release::value::Name;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answer::{Answer, POSITION, json};
use super::call::{Caller, FromQuery, exact_integer};
use super::lists;
use super::problem::{Code, Problem};
use crate::app::App;
use crate::views::View;
use crate::views::facts::FactQuery;

/// What is measured when nobody says.
const DEFAULT_PERIOD: SignedDuration = SignedDuration::from_hours(30 * 24);

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct MetricsQuery {
    /// Every product the caller reads when absent.
    #[param(inline)]
    pub product: Option<Name>,
    /// The period's beginning (RFC 3339); 30 days before its end when absent.
    #[param(example = "2026-10-01T00:00:00Z")]
    pub from: Option<Timestamp>,
    /// Its end, not included; now when absent.
    #[param(example = "2027-01-01T00:00:00Z")]
    pub to: Option<Timestamp>,
    /// The numbers by events up to this position of the log.
    #[param(minimum = 0, maximum = 9007199254740991_u64)]
    #[serde(default, deserialize_with = "exact_integer")]
    pub at_position: Option<u64>,
    /// `prometheus` answers the same as OpenMetrics text.
    #[param(inline)]
    pub format: Option<Format>,
}

impl FromQuery for MetricsQuery {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Json,
    Prometheus,
}

/// What was measured.
#[derive(Debug, Serialize, ToSchema)]
pub struct Measured {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<Name>,
    pub from: Timestamp,
    /// Not included.
    pub to: Timestamp,
    /// The last event that was read: the same question at this position has the same answer for ever.
    #[schema(maximum = 9007199254740991_u64)]
    pub position: u64,
}

/// The question with nothing left open, and whether its answer never changes.
struct Asked {
    measured: Measured,
    facts: FactQuery,
    settled: bool,
}

async fn asked(app: &App, caller: &Caller, query: &MetricsQuery) -> Result<Asked, Problem> {
    let scope = lists::scope(caller, query.product.as_ref())?;
    let to = query.to.unwrap_or_else(|| app.clock.now());
    let from = match query.from {
        Some(from) => from,
        None => to.checked_sub(DEFAULT_PERIOD).unwrap_or(Timestamp::MIN),
    };
    if from >= to {
        return Err(Problem::field(Code::InvalidParameter, "from", "a time before `to`"));
    }
    let wanted = query.at_position.max(caller.min_position);
    let reached = lists::ready(app, View::Facts, wanted).await?;
    let newest = reached.map_or(0, |position| position.0);
    let position = query.at_position.unwrap_or(newest);
    let products = match (&query.product, scope.everywhere.is_empty()) {
        (Some(product), _) => Some(vec![product.to_string()]),
        (None, true) => Some(scope.products.into_keys().collect()),
        (None, false) => None,
    };
    Ok(Asked {
        measured: Measured { product: query.product.clone(), from, to, position },
        facts: FactQuery { tenant: scope.tenant, products, period: Interval { from, to }, position },
        settled: query.at_position.is_some() && query.from.is_some() && query.to.is_some(),
    })
}

impl Asked {
    fn answer<M: Serialize>(
        self,
        format: Option<Format>,
        text: impl FnOnce(&Measured) -> Result<String, std::fmt::Error>,
        metrics: impl FnOnce(Measured) -> M,
    ) -> Answer {
        let mut response = HttpResponse::Ok();
        let caching = if self.settled { "private, immutable, max-age=31536000" } else { "private, no-cache" };
        response
            .insert_header((POSITION, self.measured.position.to_string()))
            .insert_header((header::CACHE_CONTROL, caching));
        if format == Some(Format::Prometheus) {
            let text = text(&self.measured).map_err(|error| Problem::internal(&error))?;
            return Ok(response.insert_header((header::CONTENT_TYPE, prometheus::CONTENT_TYPE)).body(text));
        }
        Ok(response
            .insert_header((header::CONTENT_TYPE, "application/json"))
            .body(json(&metrics(self.measured))?))
    }
}
