//! A request whose body is content: who calls, and the content piece by piece.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest};
use futures_util::{Stream, StreamExt, stream};
use release::value::MediaType;
use tokio::time::{Instant, timeout_at};

use super::accept::{JSON, acceptable};
use super::call::{self, Caller, FromPath, FromQuery};
use super::problem::{Code, Problem};

/// Between two pieces.
const PIECE_DEADLINE: Duration = Duration::from_secs(30);
/// For all of them.
const DEADLINE: Duration = Duration::from_secs(600);

pub struct Upload<P, Q> {
    pub caller: Caller,
    pub path: P,
    pub query: Q,
    pub media_type: MediaType,
    /// How long it says it is.
    pub length: Option<u64>,
    payload: Payload,
}

impl<P: FromPath, Q: FromQuery> FromRequest for Upload<P, Q> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move {
            let read = async {
                let mut caller = call::authenticate(&request).await?;
                acceptable(&request, &[JSON])?;
                let path = P::from_path(&request)?;
                let query: Q = call::query(&request)?;
                caller.dry_run = query.dry_run();
                let media_type = media_type(&request)?;
                call::up_to_date(&request, None).await?;
                let length = request.headers().get(header::CONTENT_LENGTH);
                let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
                Ok(Self { caller, path, query, media_type, length, payload })
            };
            read.await.map_err(|problem: Problem| problem.at(&request))
        })
    }
}

impl<P, Q> Upload<P, Q> {
    /// The content as it arrives; one that stalls, or takes too long, ends with a problem.
    pub fn pieces(&mut self) -> impl Stream<Item = Result<Bytes, Problem>> + use<P, Q> {
        let payload = std::mem::replace(&mut self.payload, Payload::None);
        let end = Instant::now() + DEADLINE;
        stream::try_unfold(payload, move |mut payload| async move {
            let piece = timeout_at(end.min(Instant::now() + PIECE_DEADLINE), payload.next()).await;
            let slow = || Problem::new(Code::BodyTooSlow, "the body did not arrive in time");
            match piece.map_err(|_| slow())? {
                None => Ok(None),
                Some(Ok(piece)) => Ok(Some((piece, payload))),
                Some(Err(error)) => Err(Problem::new(Code::BodyCutShort, error.to_string())),
            }
        })
    }
}

/// Without parameters, which say nothing of what is kept.
fn media_type(request: &HttpRequest) -> Result<MediaType, Problem> {
    let given = request.headers().get(header::CONTENT_TYPE);
    let given = given.map_or(Ok("application/octet-stream"), |given| given.to_str());
    let essence = given.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    MediaType::new(&essence.to_ascii_lowercase())
        .map_err(|error| Problem::new(Code::UnsupportedMediaType, format!("Content-Type is not {error}")))
}
