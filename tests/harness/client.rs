//! Somebody who calls. A request is written as it reads, `alice.post(path, body).key("k").await`, and
//! every answer is checked before a test sees it.

use std::future::{Future, IntoFuture};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::answer::{self, Answer};

#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    addr: SocketAddr,
    authorization: Option<Arc<str>>,
}

#[derive(Clone)]
pub struct Request {
    client: Client,
    pub method: Method,
    pub path: String,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
}

impl Client {
    pub fn new(http: reqwest::Client, addr: SocketAddr, authorization: Option<String>) -> Self {
        Self { http, addr, authorization: authorization.map(Into::into) }
    }

    pub fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }

    pub fn post(&self, path: &str, body: Value) -> Request {
        self.post_bytes(path, serde_json::to_vec(&body).unwrap())
    }

    /// A command without a body.
    pub fn post_nothing(&self, path: &str) -> Request {
        self.request(Method::POST, path)
    }

    /// A body that is perhaps not JSON.
    pub fn post_bytes(&self, path: &str, body: impl Into<Vec<u8>>) -> Request {
        let mut request = self.request(Method::POST, path).header("content-type", "application/json");
        request.body = Some(body.into());
        request
    }

    pub fn request(&self, method: Method, path: &str) -> Request {
        let path = path.to_owned();
        Request { client: self.clone(), method, path, headers: HeaderMap::new(), body: None }
    }
}

impl Request {
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        self
    }

    pub fn without(mut self, name: &'static str) -> Self {
        self.headers.remove(name);
        self
    }

    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// `If-Match` with the ETag of a revision.
    pub fn if_match(self, revision: u64) -> Self {
        self.header("if-match", &format!("\"r{revision}\""))
    }

    /// Sends it and checks what every answer has to keep; fails when the connection does.
    pub async fn send(self) -> Answer {
        let what = format!("{} {}", self.method, self.path);
        let follow = self.client.clone();
        let answer = self.try_send().await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        if let Some(location) = answer.created_at() {
            answer::check_found(&answer, &follow.get(&location).try_send().await.unwrap());
        }
        answer
    }

    /// The same without looking after a `Location`; an error is one of the connection.
    pub async fn try_send(self) -> Result<Answer, reqwest::Error> {
        let url = format!("http://{}{}", self.client.addr, self.path);
        let mut request = self.client.http.request(self.method.clone(), url).headers(self.headers);
        if let Some(authorization) = &self.client.authorization {
            request = request.header("authorization", authorization.as_ref());
        }
        if let Some(body) = self.body {
            request = request.body(body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await?.to_vec();
        let answer = Answer { method: self.method, path: self.path, status, headers, body };
        answer::check(&answer);
        Ok(answer)
    }
}

impl IntoFuture for Request {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
