//! What lists share: whose rows, which page, and how fresh it must be.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use eventlog::Position;
use release::value::Name;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::answer::{Answer, committed, json};
use super::call::{Caller, FromQuery};
use super::problem::{Code, Problem};
use crate::app::App;
use crate::streams::Committed;
use crate::views::{NotReady, Scope, View};

pub const DEFAULT_LIMIT: u32 = 50;
pub const MAX_LIMIT: u32 = 200;

/// Which page of a list.
#[derive(Debug, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// How many rows at most; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1, max_length = 3200, pattern = "^[A-Za-z0-9_-]+$")]
    pub cursor: Option<String>,
}

impl FromQuery for Page {}

impl Page {
    pub fn turn<T>(
        &self,
        caller: &Caller,
        rows: impl IntoIterator<Item = T>,
    ) -> Result<(Vec<T>, Option<String>), Problem> {
        turn(rows, self.limit, self.cursor.as_deref()).map_err(|problem| problem.on(caller))
    }
}

/// The board and the inbox are asked for in the same way.
#[derive(Debug, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct InProgress {
    /// Every product the caller reads when absent.
    #[param(inline)]
    pub product: Option<Name>,
    /// How many releases at most; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1, max_length = 200, pattern = "^[A-Za-z0-9_-]+$")]
    pub cursor: Option<String>,
}

impl FromQuery for InProgress {}

pub fn limit(limit: Option<u32>) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::field(Code::InvalidParameter, "limit", format!("1 to {MAX_LIMIT}")));
    }
    Ok(limit as usize)
}

/// The place in a list that a page ended at, as a caller gets and sends it back.
fn cursor(key: impl ToString) -> String {
    URL_SAFE_NO_PAD.encode(key.to_string())
}

pub fn place<T>(cursor: Option<&str>, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Problem> {
    let Some(cursor) = cursor else { return Ok(None) };
    let decoded = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match decoded.and_then(|key| read(&key)) {
        Some(place) => Ok(Some(place)),
        None => Err(Problem::field(Code::InvalidParameter, "cursor", "a next_cursor of this list")),
    }
}

/// Drops the one row that was read beyond the page; whether there was one.
pub fn cut<T>(rows: &mut Vec<T>, limit: usize) -> bool {
    let more = rows.len() > limit;
    rows.truncate(limit);
    more
}

/// The caller's rows: of the product asked for, or of all products they have a role for.
pub fn scope(caller: &Caller, product: Option<&Name>) -> Result<Scope, Problem> {
    match product {
        Some(product) => caller.may_read(Some(product.as_str()))?,
        None => caller.has_any_role()?,
    }
    let mut products: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for grant in &caller.principal.roles {
        if let Some(product) = &grant.product {
            products.entry(product.clone()).or_default().push(grant.role);
        }
    }
    let everywhere = caller.principal.roles_for(None);
    Ok(Scope { tenant: caller.tenant().to_owned(), everywhere, products })
}

/// Waits until the view holds what the caller has to see; the position that the answer includes.
pub async fn ready(app: &App, view: View, wanted: Option<u64>) -> Result<Option<Position>, Problem> {
    app.views.ready(view, wanted).await.map_err(|not_ready| {
        let code = match not_ready {
            NotReady::CatchingUp(_) | NotReady::Stopped { .. } => Code::ViewsCatchingUp,
            NotReady::NotReached(_) => Code::PositionNotReached,
        };
        Problem::new(code, not_ready.to_string())
    })
}

pub async fn query<T: Send + 'static>(
    app: &App,
    query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    app.views.query(query).await.map_err(|error| Problem::internal(&error))
}

/// Whose rows are asked for, how many, and the position that they include.
pub struct Asked {
    pub scope: Scope,
    pub limit: usize,
    pub position: Option<Position>,
}

/// What every list begins with.
pub async fn asked(
    app: &App,
    caller: &Caller,
    view: View,
    product: Option<&Name>,
    count: Option<u32>,
) -> Result<Asked, Problem> {
    let scope = scope(caller, product)?;
    let limit = limit(count)?;
    let position = ready(app, view, caller.min_position).await?;
    Ok(Asked { scope, limit, position })
}

/// Makes a page of what was read, which is one row more when there is another page; where that begins.
pub fn next<T, K: ToString>(rows: &mut Vec<T>, limit: usize, key: impl FnOnce(&T) -> K) -> Option<String> {
    let more = cut(rows, limit);
    rows.last().filter(|_| more).map(|last| cursor(key(last)))
}

/// A page of rows that are all in memory and only gain more at their end, so that a place is how many come before
/// it; where the next one begins.
pub fn turn<T>(
    rows: impl IntoIterator<Item = T>,
    count: Option<u32>,
    from: Option<&str>,
) -> Result<(Vec<T>, Option<String>), Problem> {
    let limit = limit(count)?;
    let start = place(from, |key| key.parse::<usize>().ok())?.unwrap_or(0);
    let mut page: Vec<_> = rows.into_iter().skip(start).take(limit + 1).collect();
    let more = cut(&mut page, limit);
    Ok((page, more.then(|| cursor(start + limit))))
}

/// A page of a list that is read on by `cursor`.
pub fn page(
    caller: &Caller,
    query: &impl Serialize,
    page: &impl Serialize,
    position: Option<Position>,
    next_cursor: Option<&str>,
) -> Answer {
    answer(caller, query, page, position, next_cursor.map(|next| ("cursor", next)))
}

/// A page of a list that one aggregate holds.
pub fn page_of<A>(
    aggregate: &Committed<A>,
    caller: &Caller,
    query: &Page,
    page: &impl Serialize,
    next_cursor: Option<&str>,
) -> Answer {
    let response = committed(aggregate, page, caller.if_none_match.as_deref())?;
    Ok(linked(response, caller, query, next_cursor.map(|next| ("cursor", next))))
}

/// An answer of many rows, the position it was read at, and the way to the next one.
pub fn answer(
    caller: &Caller,
    asked: &impl Serialize,
    page: &impl Serialize,
    position: Option<Position>,
    next: Option<(&str, &str)>,
) -> Answer {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header((header::CACHE_CONTROL, "private, no-cache"));
    if let Some(position) = position {
        response.insert_header(("Shiplog-Position", position.to_string()));
    }
    Ok(linked(response.body(json(page)?), caller, asked, next))
}

/// The answer with the way to the next page, the parameter that changes and its value.
pub fn linked(
    mut response: HttpResponse,
    caller: &Caller,
    asked: &impl Serialize,
    next: Option<(&str, &str)>,
) -> HttpResponse {
    let link = next.and_then(|(name, value)| next_link(&caller.path, asked, name, value));
    if let Some(link) = link.and_then(|link| HeaderValue::try_from(link).ok()) {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}

/// The same request with one parameter changed.
fn next_link(path: &str, asked: &impl Serialize, name: &str, value: &str) -> Option<String> {
    let mut url = reqwest::Url::parse("http://service").ok()?;
    url.set_path(path);
    {
        let mut pairs = url.query_pairs_mut();
        for (known, asked) in serde_json::to_value(asked).ok()?.as_object()? {
            match asked {
                serde_json::Value::Null => {}
                _ if known == name => {}
                serde_json::Value::String(text) => drop(pairs.append_pair(known, text)),
                other => drop(pairs.append_pair(known, &other.to_string())),
            }
        }
        pairs.append_pair(name, value);
    }
    Some(format!("<{}?{}>; rel=\"next\"", url.path(), url.query().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_place_when_sent_back_then_it_is_the_same_and_nothing_else_is_taken() {
        let read = |key: &str| key.parse::<u64>().ok();
        assert_eq!(place(Some(&cursor(42)), read).unwrap(), Some(42));
        assert_eq!(place(None, read).unwrap(), None);
        for wrong in ["", "42", "NDI=", "!", &cursor("x"), "NDJ"] {
            assert_eq!(place(Some(wrong), read).unwrap_err().code, "invalid_parameter", "{wrong}");
        }
    }

    #[test]
    fn given_a_query_when_there_is_a_next_page_then_its_link_keeps_every_other_parameter() {
        let asked = serde_json::json!({"q": "a&b c", "limit": 2, "cursor": "old", "state": null});
        assert_eq!(
            next_link("/v1/releases", &asked, "cursor", "new").unwrap(),
            "</v1/releases?limit=2&q=a%26b+c&cursor=new>; rel=\"next\""
        );
    }
}
