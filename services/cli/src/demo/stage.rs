//! Where the story is played: every act is one HTTP request with a token, a key and an answer that is
//! checked before the next.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, civil};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::cast::{Cast, EMIL, OMAR, ROSA, Who, name_of, with_names};
use super::facts::RELEASE;
use super::screen::Screen;

/// More than any answer of a service on the same machine takes.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a request is sent to one node after the other, and the pause after all of them.
const ATTEMPTS: usize = 300;
const PAUSE: Duration = Duration::from_millis(250);

#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("{act} answered {problem}")]
    Unexpected { act: String, problem: String },
    #[error("{act} answered {problem}, but {expected} was expected")]
    NotRefused { act: String, problem: String, expected: &'static str },
    #[error("{act} was answered without {missing}")]
    Incomplete { act: String, missing: String },
    #[error("{0}")]
    Check(String),
    #[error("the service did not answer: {0}")]
    Http(#[from] reqwest::Error),
    #[error("an answer could not be read: {0}")]
    Json(#[from] serde_json::Error),
    #[error("an event could not be read: {0}")]
    Event(#[from] release::wire::WireError),
    #[error("a time could not be reckoned: {0}")]
    Time(#[from] jiff::Error),
    #[error("the screen: {0}")]
    Screen(#[from] std::io::Error),
}

pub type Played<T = ()> = Result<T, DemoError>;

/// An answer, with the request that it answers.
pub struct Answer {
    act: String,
    pub status: StatusCode,
    pub etag: Option<String>,
    pub replayed: bool,
    position: Option<u64>,
    pub bytes: Vec<u8>,
    pub body: Value,
}

impl Answer {
    async fn read(act: String, response: Response) -> Played<Self> {
        let status = response.status();
        let header = |name: &str| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let etag = header("etag");
        let replayed = header("idempotent-replayed").is_some();
        let position = header("shiplog-position").and_then(|position| position.parse().ok());
        let bytes = response.bytes().await?.to_vec();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes)? };
        Ok(Self { act, status, etag, replayed, position, bytes, body })
    }

    /// The text at a JSON pointer.
    pub fn text(&self, pointer: &str) -> Played<String> {
        self.body
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| self.without(pointer))
    }

    pub fn number(&self, pointer: &str) -> Played<u64> {
        self.body.pointer(pointer).and_then(Value::as_u64).ok_or_else(|| self.without(pointer))
    }

    pub fn list(&self, pointer: &str) -> Played<&[Value]> {
        let list = self.body.pointer(pointer).and_then(Value::as_array);
        list.map(Vec::as_slice).ok_or_else(|| self.without(pointer))
    }

    fn without(&self, pointer: &str) -> DemoError {
        DemoError::Incomplete { act: self.act.clone(), missing: pointer.to_owned() }
    }

    /// Status, code and detail of a problem, and the rows that do not hold.
    fn problem(&self) -> String {
        let code = self.body["code"].as_str().unwrap_or("without a code");
        let detail = self.body["detail"].as_str().unwrap_or_default();
        let mut text = format!("{} {code}: {detail}", self.status.as_u16());
        for error in self.body["errors"].as_array().into_iter().flatten() {
            let of = |member: &str| error[member].as_str().unwrap_or_default().to_owned();
            text.push_str(&format!("\n  {}: {}", of("pointer"), of("detail")));
        }
        for (input, observed) in failing(&self.body) {
            text.push_str(&format!("\n  {input} is {observed}"));
        }
        text
    }
}

/// The rows of a refusal that do not hold, each as input and what was observed.
fn failing(problem: &Value) -> Vec<(String, String)> {
    let of = |row: &Value, member: &str| row[member].as_str().unwrap_or_default().to_owned();
    let rows = problem["rows"].as_array().into_iter().flatten().filter(|row| row["ok"] == false);
    rows.map(|row| (of(row, "input"), of(row, "observed"))).collect()
}

/// The detail of a refusal; where that only counts or names a rule, with what was read.
fn reason(detail: &str, rows: &[(String, String)]) -> String {
    let read: Vec<_> = rows
        .iter()
        .filter_map(|(input, observed)| {
            if let Some(item) = input.strip_prefix("item/") {
                return Some(format!("{item} is {observed}"));
            }
            let by = input.rsplit_once('/').filter(|(_, last)| last.ends_with("_by")).map(|(_, last)| last);
            match by {
                Some(by) => Some(format!("{} {}", by.replace('_', " "), name_of(observed))),
                None if input == "actor/roles" => Some(format!("the caller is {observed}")),
                None => None,
            }
        })
        .collect();
    if read.is_empty() { detail.to_owned() } else { format!("{detail}: {}", read.join(", ")) }
}

/// One of the services that have the log.
struct Node {
    base: String,
    /// Its clock says what the story does.
    in_time: Cell<bool>,
}

pub struct Stage {
    http: reqwest::Client,
    nodes: Vec<Node>,
    /// Which of them had the last request.
    turn: Cell<usize>,
    /// The newest position of an answer, which a reader on another node waits for.
    position: Cell<Option<u64>>,
    cast: Cast,
    /// How many commands were sent; each has its own key.
    sent: u32,
    /// The service's simulated time.
    pub now: Timestamp,
    pub screen: Screen,
    /// The procedure's items by number.
    names: BTreeMap<String, String>,
}

impl Stage {
    pub fn new(bases: Vec<String>, cast: Cast, screen: Screen) -> Played<Self> {
        // The service is on this machine, whatever proxy the environment names.
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        let node =
            |base: String| Node { base: base.trim_end_matches('/').to_owned(), in_time: Cell::new(true) };
        let nodes = bases.into_iter().map(node).collect();
        let (turn, position, names) = (Cell::default(), Cell::default(), BTreeMap::new());
        Ok(Self { http, nodes, turn, position, cast, sent: 0, now: Timestamp::UNIX_EPOCH, screen, names })
    }

    /// The story begins on the next Tuesday at nine, so that it reads the same on every day.
    pub async fn begin(&mut self) -> Played {
        self.pass_seconds(0).await?;
        let now = self.now.to_zoned(TimeZone::UTC);
        let tuesday = now.date().nth_weekday(1, civil::Weekday::Tuesday)?;
        let begin = tuesday.at(9, 0, 0, 0).to_zoned(TimeZone::UTC)?.timestamp();
        self.wait_until(begin).await
    }

    // Requests

    /// A command that succeeds.
    pub async fn post(&mut self, who: Who, path: &str, body: &Value) -> Played<Answer> {
        let key = self.next_key();
        let answer = self.post_with_key(who, path, body, &key).await?;
        expect_success(answer)
    }

    pub async fn post_with_key(&self, who: Who, path: &str, body: &Value, key: &str) -> Played<Answer> {
        let answer = self.send(who, Method::POST, path, Some((key, body))).await?;
        self.screen.trace(&format!("key {key}"))?;
        Ok(answer)
    }

    pub fn next_key(&mut self) -> String {
        self.sent += 1;
        format!("demo-{:03}", self.sent)
    }

    pub async fn get(&self, who: Who, path: &str) -> Played<Answer> {
        expect_success(self.send(who, Method::GET, path, None).await?)
    }

    /// To one node after the other, until one answers.
    async fn send(
        &self,
        who: Who,
        method: Method,
        path: &str,
        command: Option<(&str, &Value)>,
    ) -> Played<Answer> {
        let what = format!("{method} {path}");
        let mut attempt = 0;
        let answer = loop {
            attempt += 1;
            let patient = self.nodes.len() > 1 && attempt < ATTEMPTS;
            let node = self.next_node();
            match self.send_to(node, who, &what, &method, path, command).await {
                Ok(answer) if patient && answer.status == StatusCode::SERVICE_UNAVAILABLE => {}
                Err(DemoError::Http(_)) if patient => {}
                ended => break ended?,
            }
            if attempt.is_multiple_of(self.nodes.len()) {
                tokio::time::sleep(PAUSE).await;
            }
        };
        self.position.set(self.position.get().max(answer.position));
        let etag = answer.etag.as_deref().unwrap_or_default();
        self.screen.trace(&format!("{what}  {} {etag}", answer.status.as_u16()))?;
        Ok(answer)
    }

    fn next_node(&self) -> &Node {
        let turn = (self.turn.get() + 1) % self.nodes.len();
        self.turn.set(turn);
        &self.nodes[turn]
    }

    async fn send_to(
        &self,
        node: &Node,
        who: Who,
        what: &str,
        method: &Method,
        path: &str,
        command: Option<(&str, &Value)>,
    ) -> Played<Answer> {
        if !node.in_time.get() {
            self.tell_time(node).await?;
        }
        let mut url = format!("{}{path}", node.base);
        if let Some(position) = self.position.get().filter(|_| self.nodes.len() > 1 && command.is_none()) {
            let mark = if path.contains('?') { '&' } else { '?' };
            url.push_str(&format!("{mark}min_position={position}"));
        }
        let mut request = self.http.request(method.clone(), url);
        if let Some((key, body)) = command {
            request = request.header("idempotency-key", key).json(body);
        }
        let response = request.bearer_auth(self.cast.token(who)).send().await?;
        Answer::read(format!("{who}: {what}"), response).await
    }

    /// A command that the service refuses for one named reason; what is shown is what it answered.
    pub async fn refused(
        &mut self,
        who: Who,
        path: &str,
        body: &Value,
        expected: &'static str,
        what: &str,
    ) -> Played {
        let key = self.next_key();
        let answer = self.post_with_key(who, path, body, &key).await?;
        if answer.body["code"] != expected {
            return Err(DemoError::NotRefused { problem: answer.problem(), act: answer.act, expected });
        }
        let refusal = format!("{} {expected}", answer.status.as_u16());
        let why = with_names(&reason(&answer.text("/detail")?, &failing(&answer.body)));
        Ok(self.screen.refused(self.now, who, what, &refusal, &why)?)
    }

    // Words

    /// The path of something under the release.
    pub fn path(&self, under: &str) -> String {
        format!("/v1/releases/{RELEASE}/{under}")
    }

    pub fn name(&self, item: &str) -> &str {
        self.names.get(item).map_or("", String::as_str)
    }

    /// An item as a line names it, outside the columns.
    pub fn named(&self, item: &str) -> String {
        format!("{item} {}", self.name(item))
    }

    // Time

    pub async fn pass(&mut self, minutes: u32) -> Played {
        self.pass_seconds(60 * minutes).await
    }

    /// To the second at or after the instant, so that no line shows the minute before it.
    pub async fn wait_until(&mut self, instant: Timestamp) -> Played {
        let wait = instant.duration_since(self.now).max(SignedDuration::ZERO);
        let seconds = wait.as_secs() + i64::from(wait.subsec_nanos() > 0);
        self.pass_seconds(u32::try_from(seconds).unwrap_or(u32::MAX)).await
    }

    pub async fn pass_seconds(&mut self, seconds: u32) -> Played {
        if self.nodes.len() > 1 {
            return self.pass_seconds_everywhere(seconds).await;
        }
        let key = self.next_key();
        let answer = self.post_with_key(OMAR, "/dev/clock", &json!({"advance_s": seconds}), &key).await?;
        self.now = expect_success(answer)?.text("/now")?.parse()?;
        Ok(())
    }

    /// Each node has a clock of its own; one that is away is told when it is back.
    async fn pass_seconds_everywhere(&mut self, seconds: u32) -> Played {
        self.now = self.now.checked_add(i64::from(seconds).seconds())?;
        let mut latest = Timestamp::UNIX_EPOCH;
        for node in &self.nodes {
            match self.tell_time(node).await {
                Ok(now) => latest = latest.max(now),
                Err(DemoError::Http(_) | DemoError::Unexpected { .. }) => node.in_time.set(false),
                Err(error) => return Err(error),
            }
        }
        if latest > self.now {
            // The story begins at the latest of their clocks.
            self.now = latest;
            for node in &self.nodes {
                self.tell_time(node).await?;
            }
        }
        Ok(())
    }

    async fn tell_time(&self, node: &Node) -> Played<Timestamp> {
        let request = self.http.request(Method::POST, format!("{}/dev/clock", node.base));
        let request = request.json(&json!({"to": self.now})).bearer_auth(self.cast.token(OMAR));
        let answer = Answer::read(format!("{OMAR}: POST /dev/clock"), request.send().await?).await?;
        let now = expect_success(answer)?.text("/now")?.parse()?;
        node.in_time.set(true);
        Ok(now)
    }

    /// A time of the next day.
    pub fn tomorrow_at(&self, hour: i8, minute: i8) -> Played<Timestamp> {
        let tomorrow = self.now.to_zoned(TimeZone::UTC).date().checked_add(1.day())?;
        Ok(tomorrow.at(hour, minute, 0, 0).to_zoned(TimeZone::UTC)?.timestamp())
    }

    // Steps

    /// Learns the items' names, once there is a release to ask.
    pub async fn read_procedure(&mut self) -> Played {
        let checklist = self.get(ROSA, &self.path("checklist")).await?;
        for item in
            checklist.list("/steps")?.iter().flat_map(|step| step["items"].as_array().into_iter().flatten())
        {
            if let (Some(number), Some(name)) = (item["number"].as_str(), item["name"].as_str()) {
                self.names.insert(number.to_owned(), name.to_owned());
            }
        }
        Ok(())
    }

    /// Shows that a step is done, or fails because it is not.
    pub async fn gate(&mut self, step: usize) -> Played {
        let checklist = self.get(EMIL, &self.path("checklist")).await?;
        let at = |member: &str| format!("/steps/{}/{member}", step - 1);
        let (closed, total) = (checklist.number(&at("closed"))?, checklist.number(&at("total"))?);
        let output = checklist.text(&at("expected_output"))?;
        if closed != total {
            let why = self.missing(&format!("gate={step}")).await?.join("\n  ");
            return Err(DemoError::Check(format!(
                "step {step} has {closed} of {total} items closed:\n  {why}"
            )));
        }
        Ok(self.screen.good(&format!("Gate {step}: {closed} of {total}. {output}"))?)
    }
}

fn expect_success(answer: Answer) -> Played<Answer> {
    if answer.status.is_success() {
        return Ok(answer);
    }
    Err(DemoError::Unexpected { problem: answer.problem(), act: answer.act })
}
