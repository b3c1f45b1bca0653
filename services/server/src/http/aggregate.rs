//! What the endpoints of the smaller aggregates share: record a command, read a state.

use std::sync::Arc;

use actix_web::http::StatusCode;
use eventlog::{InvalidStreamId, StreamId};
use release::Aggregate;
use uuid::Uuid;

use super::answer::{self, Answer, View};
use super::call::Caller;
use super::problem::Problem;
use crate::app::App;
use crate::command::handle;
use crate::streams::{Committed, Streams};

/// A command on its way to a stream that is not a release's.
pub struct Recording<'a, A: Aggregate> {
    pub streams: &'a Streams<A>,
    pub stream: Result<StreamId, InvalidStreamId>,
    pub operation: &'static str,
    /// Whose roles count; `None` asks for roles that hold everywhere.
    pub product: Option<&'a str>,
    pub command: A::Command,
    pub around: A::Around,
    pub status: StatusCode,
}

impl<A: Aggregate> Recording<'_, A> {
    /// Records it and answers with `view` of the state it led to and the ids of its events.
    pub async fn answer(
        self,
        app: &App,
        caller: &Caller,
        view: impl Fn(&A, &[Uuid]) -> Result<View, Problem>,
    ) -> Answer {
        let record = async {
            match self.product {
                Some(product) => caller.may_read(Some(product))?,
                None => caller.has_any_role()?,
            }
            let stream = self.stream.map_err(|error| Problem::internal(&error))?;
            let envelope = caller.envelope(self.operation, self.product)?;
            let handled =
                handle(app, self.streams, &stream, &envelope, &self.command, &self.around, view).await?;
            answer::recorded(handled, self.status)
        };
        record.await.map_err(|problem: Problem| problem.on(caller))
    }
}

/// The durable state of a stream for somebody who may read it.
pub async fn read<A: Aggregate>(
    streams: &Streams<A>,
    stream: Result<StreamId, InvalidStreamId>,
    caller: &Caller,
    product: Option<&str>,
) -> Result<Arc<Committed<A>>, Problem> {
    let read = async {
        caller.may_read(product)?;
        let stream = stream.map_err(|error| Problem::internal(&error))?;
        Ok(streams.load(&stream).await?.committed())
    };
    read.await.map_err(|problem: Problem| problem.on(caller))
}

/// The durable state of a stream that belongs to no product: anybody with any role reads it.
pub async fn read_known_to_all<A: Aggregate>(
    streams: &Streams<A>,
    stream: Result<StreamId, InvalidStreamId>,
    caller: &Caller,
) -> Result<Arc<Committed<A>>, Problem> {
    let read = async {
        caller.has_any_role()?;
        let stream = stream.map_err(|error| Problem::internal(&error))?;
        Ok(streams.load(&stream).await?.committed())
    };
    read.await.map_err(|problem: Problem| problem.on(caller))
}
