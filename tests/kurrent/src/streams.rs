//! Reading and appending, as the protocol has it.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prost::bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Code, Request, Response, Status, Streaming};
use uuid::Uuid;

use crate::log::{Expected, Log, Proposed, Record, Refused, Written};
use crate::node::{Service, not_leader};
use crate::protocol::event_store::client::streams::{
    AppendReq, AppendResp, BatchAppendReq, BatchAppendResp, DeleteReq, DeleteResp, ReadReq, ReadResp,
    TombstoneReq, TombstoneResp, append_req, append_resp, batch_append_req, batch_append_resp, read_req,
    read_resp, streams_server,
};
use crate::protocol::event_store::client::{
    self as client, AllStreamPosition, Empty, StreamIdentifier, Uuid as WireUuid, uuid as wire_uuid,
};
use crate::protocol::google::rpc;
use crate::{Answer, Drop, Fault, Shared, lock};

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Records that a subscription is given before it looks again.
const PAGE: usize = 256;

#[tonic::async_trait]
impl streams_server::Streams for Service {
    type ReadStream = Answers<ReadResp>;
    type BatchAppendStream = Answers<BatchAppendResp>;

    async fn read(&self, request: Request<ReadReq>) -> Result<Response<Self::ReadStream>, Status> {
        self.called();
        self.lead(&request)?;
        let missing = || Status::invalid_argument("an option is missing");
        let options = request.into_inner().options.ok_or_else(missing)?;
        let backwards = options.read_direction == read_req::options::ReadDirection::Backwards as i32;
        let filter = Filter::of(options.filter_option)?;
        let count = match options.count_option.ok_or_else(missing)? {
            read_req::options::CountOption::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
            read_req::options::CountOption::Subscription(_) => {
                let Some(read_req::options::StreamOption::All(all)) = options.stream_option else {
                    return Err(Status::unimplemented("only $all is subscribed to here"));
                };
                let (answers, stream) = mpsc::channel(16);
                self.shared.seen.subscriptions.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(subscription(Arc::clone(&self.shared), all, filter, answers));
                return Ok(Response::new(Box::pin(ReceiverStream::new(stream))));
            }
        };
        let failing = &self.shared.failing_reads;
        if failing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            return Err(Status::unavailable("the node is going down"));
        }
        let log = lock(&self.shared.log);
        let answers: Vec<ReadResp> = match options.stream_option.ok_or_else(missing)? {
            read_req::options::StreamOption::Stream(stream) => read_stream(&log, stream, backwards, count)?,
            read_req::options::StreamOption::All(all) => read_all(&log, all, &filter, backwards, count)?,
        };
        Ok(Response::new(Box::pin(tokio_stream::iter(answers.into_iter().map(Ok)))))
    }

    async fn append(&self, request: Request<Streaming<AppendReq>>) -> Result<Response<AppendResp>, Status> {
        self.called();
        self.shared.seen.appends.fetch_add(1, Ordering::Relaxed);
        self.lead(&request)?;
        let mut requests = request.into_inner();
        let (mut target, mut events) = (None, Vec::new());
        while let Some(request) = requests.next().await {
            match request?.content {
                Some(append_req::Content::Options(options)) => target = Some(options),
                Some(append_req::Content::ProposedMessage(message)) => {
                    events.push(proposed(
                        message.id,
                        message.metadata,
                        message.custom_metadata,
                        message.data,
                    )?);
                }
                None => {}
            }
        }
        let target = target.ok_or_else(|| Status::invalid_argument("no stream"))?;
        let expected = match target.expected_stream_revision {
            Some(append_req::options::ExpectedStreamRevision::Revision(revision)) => {
                Expected::Exact(revision)
            }
            Some(append_req::options::ExpectedStreamRevision::NoStream(_)) => Expected::NoStream,
            Some(append_req::options::ExpectedStreamRevision::StreamExists(_)) => Expected::StreamExists,
            Some(append_req::options::ExpectedStreamRevision::Any(_)) => Expected::Any,
            None => return Err(Status::invalid_argument("no expected revision")),
        };
        let fault = lock(&self.shared.faults).pop_front();
        let stream = name(target.stream_identifier)?;
        let decided = match fault {
            Some(Fault { written: false, .. }) => Err(None),
            _ => self.shared.append(&stream, expected, events).map_err(Some),
        };
        if let Some(Fault { answer, .. }) = fault {
            return Err(self.ended_by(answer).unwrap_or_else(|| Status::aborted("Operation timed out")));
        }
        use append_resp::wrong_expected_version as wrong;
        let result = match decided {
            Ok(written) => append_resp::Result::Success(append_resp::Success {
                current_revision_option: Some(append_resp::success::CurrentRevisionOption::CurrentRevision(
                    written.revision,
                )),
                position_option: Some(append_resp::success::PositionOption::Position(
                    append_resp::Position {
                        commit_position: written.position,
                        prepare_position: written.position,
                    },
                )),
            }),
            Err(Some(Refused::WrongExpectedVersion { current })) => {
                append_resp::Result::WrongExpectedVersion(append_resp::WrongExpectedVersion {
                    current_revision_option: Some(match current {
                        Some(current) => wrong::CurrentRevisionOption::CurrentRevision(current),
                        None => wrong::CurrentRevisionOption::CurrentNoStream(Empty {}),
                    }),
                    expected_revision_option: Some(match expected {
                        Expected::Exact(revision) => {
                            wrong::ExpectedRevisionOption::ExpectedRevision(revision)
                        }
                        Expected::NoStream => wrong::ExpectedRevisionOption::ExpectedNoStream(Empty {}),
                        Expected::StreamExists => {
                            wrong::ExpectedRevisionOption::ExpectedStreamExists(Empty {})
                        }
                        Expected::Any => wrong::ExpectedRevisionOption::ExpectedAny(Empty {}),
                    }),
                    ..Default::default()
                })
            }
            Err(Some(Refused::TooLarge) | None) => {
                return Err(Status::invalid_argument("Maximum Append Size Exceeded"));
            }
        };
        Ok(Response::new(AppendResp { result: Some(result) }))
    }

    async fn delete(&self, _: Request<DeleteReq>) -> Result<Response<DeleteResp>, Status> {
        Err(Status::unimplemented("nothing is deleted here"))
    }

    async fn tombstone(&self, _: Request<TombstoneReq>) -> Result<Response<TombstoneResp>, Status> {
        Err(Status::unimplemented("nothing is deleted here"))
    }

    async fn batch_append(
        &self,
        request: Request<Streaming<BatchAppendReq>>,
    ) -> Result<Response<Self::BatchAppendStream>, Status> {
        self.called();
        self.shared.seen.sessions.fetch_add(1, Ordering::Relaxed);
        let leads = self.lead(&request);
        let (answers, stream) = mpsc::channel(64);
        let (service, mut requests) = (self.clone(), request.into_inner());
        // A follower takes the call and refuses the first append, before it said anything.
        if let Err(status) = leads {
            requests.message().await?;
            return Err(status);
        }
        tokio::spawn(async move {
            let mut partial = HashMap::new();
            while let Some(Ok(request)) = requests.next().await {
                let answer = match service.batch(request, &mut partial) {
                    Ok(None) => continue,
                    Ok(Some(answer)) => Ok(answer),
                    Err(None) => return,
                    Err(Some(status)) => Err(status),
                };
                let ends = answer.is_err();
                if answers.send(answer).await.is_err() || ends {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

type Partial = HashMap<Uuid, (batch_append_req::Options, Vec<Proposed>)>;

impl Service {
    /// One append of a session. `Err` ends the session, with a status or well.
    fn batch(
        &self,
        request: BatchAppendReq,
        partial: &mut Partial,
    ) -> Result<Option<BatchAppendResp>, Option<Status>> {
        let correlation = uuid(request.correlation_id.clone()).map_err(Some)?;
        if let Some(options) = request.options {
            partial.insert(correlation, (options, Vec::new()));
        }
        let Some((_, events)) = partial.get_mut(&correlation) else { return Ok(None) };
        for message in request.proposed_messages {
            events.push(
                proposed(message.id, message.metadata, message.custom_metadata, message.data)
                    .map_err(Some)?,
            );
        }
        if !request.is_final {
            return Ok(None);
        }
        let Some((options, events)) = partial.remove(&correlation) else { return Ok(None) };
        self.shared.seen.batch_appends.fetch_add(1, Ordering::Relaxed);

        use batch_append_req::options::ExpectedStreamPosition as Position;
        let expected = match options.expected_stream_position {
            Some(Position::StreamPosition(revision)) => Expected::Exact(revision),
            Some(Position::NoStream(())) => Expected::NoStream,
            Some(Position::StreamExists(())) => Expected::StreamExists,
            Some(Position::Any(())) => Expected::Any,
            None => return Err(Some(Status::invalid_argument("no expected revision"))),
        };
        let stream = name(options.stream_identifier.clone()).map_err(Some)?;
        let fault = lock(&self.shared.faults).pop_front();
        let decided = match fault {
            Some(Fault { written: false, .. }) => None,
            _ => Some(self.shared.append(&stream, expected, events)),
        };
        let failed = |code: rpc::Code, message: &str| {
            batch_append_resp::Result::Error(rpc::Status {
                code: code.into(),
                message: message.to_owned(),
                details: None,
            })
        };
        let result = match fault.map(|fault| fault.answer) {
            Some(Answer::Ended) => return Err(None),
            Some(Answer::Silence) => return Ok(None),
            Some(Answer::TimedOut) => failed(rpc::Code::DeadlineExceeded, "Timeout"),
            // The server leaves the code out.
            Some(Answer::Busy) => failed(rpc::Code::Ok, "Server Is Busy"),
            Some(answer @ (Answer::NotLeader | Answer::Unavailable | Answer::Aborted)) => {
                return Err(self.ended_by(answer));
            }
            Some(Answer::NoPosition) | None => match decided {
                Some(Ok(written)) => success(written, fault.is_none()),
                Some(Err(Refused::WrongExpectedVersion { .. })) => {
                    failed(rpc::Code::AlreadyExists, "WrongExpectedVersion")
                }
                Some(Err(Refused::TooLarge)) | None => {
                    failed(rpc::Code::InvalidArgument, "MaximumAppendSizeExceeded")
                }
            },
        };
        Ok(Some(BatchAppendResp {
            correlation_id: request.correlation_id,
            result: Some(result),
            stream_identifier: options.stream_identifier,
            expected_stream_position: None,
        }))
    }

    /// How a whole call ends.
    fn ended_by(&self, answer: Answer) -> Option<Status> {
        match answer {
            Answer::NotLeader => {
                let members = lock(&self.shared.members);
                Some(not_leader(members.iter().find(|member| member.leader)))
            }
            Answer::Unavailable => Some(Status::unavailable("the node is going down")),
            Answer::Aborted => Some(Status::new(Code::Aborted, "Operation timed out")),
            _ => None,
        }
    }
}

fn success(written: Written, told: bool) -> batch_append_resp::Result {
    use batch_append_resp::success::{CurrentRevisionOption, PositionOption};
    let position =
        AllStreamPosition { commit_position: written.position, prepare_position: written.position };
    batch_append_resp::Result::Success(batch_append_resp::Success {
        current_revision_option: Some(CurrentRevisionOption::CurrentRevision(written.revision)),
        position_option: Some(if told {
            PositionOption::Position(position)
        } else {
            PositionOption::NoPosition(())
        }),
    })
}

/// Which records are wanted.
struct Filter {
    by_stream: bool,
    prefixes: Vec<String>,
}

impl Filter {
    fn of(option: Option<read_req::options::FilterOption>) -> Result<Option<Self>, Status> {
        use read_req::options::filter_options::Filter as By;
        let Some(read_req::options::FilterOption::Filter(options)) = option else { return Ok(None) };
        let (by_stream, expression) = match options.filter {
            Some(By::StreamIdentifier(expression)) => (true, expression),
            Some(By::EventType(expression)) => (false, expression),
            None => return Ok(None),
        };
        if !expression.regex.is_empty() {
            return Err(Status::unimplemented("only prefixes are known here"));
        }
        Ok(Some(Self { by_stream, prefixes: expression.prefix }))
    }

    fn takes(filter: &Option<Self>, record: &Record) -> bool {
        let Some(Self { by_stream, prefixes }) = filter else { return true };
        let subject = if *by_stream { &record.stream } else { &record.event.event_type };
        prefixes.iter().any(|prefix| subject.starts_with(prefix))
    }
}

fn read_stream(
    log: &Log,
    wanted: read_req::options::StreamOptions,
    backwards: bool,
    count: usize,
) -> Result<Vec<ReadResp>, Status> {
    use read_req::options::stream_options::RevisionOption;
    let stream = name(wanted.stream_identifier)?;
    let Some(records) = log.stream(&stream) else {
        let stream_identifier = Some(StreamIdentifier { stream_name: stream.into_bytes().into() });
        let missing = read_resp::Content::StreamNotFound(read_resp::StreamNotFound { stream_identifier });
        return Ok(vec![ReadResp { content: Some(missing) }]);
    };
    let (from, to) = match wanted.revision_option {
        Some(RevisionOption::Revision(revision)) => (revision, revision),
        Some(RevisionOption::Start(_)) | None => (0, 0),
        Some(RevisionOption::End(_)) => (u64::MAX, u64::MAX),
    };
    Ok(if backwards {
        records.rev().filter(|record| record.revision <= to).take(count).map(answer).collect()
    } else {
        records.filter(|record| record.revision >= from).take(count).map(answer).collect()
    })
}

fn read_all(
    log: &Log,
    wanted: read_req::options::AllOptions,
    filter: &Option<Filter>,
    backwards: bool,
    count: usize,
) -> Result<Vec<ReadResp>, Status> {
    use read_req::options::all_options::AllOption;
    let at = match wanted.all_option {
        Some(AllOption::Position(position)) => position.commit_position,
        Some(AllOption::Start(_)) | None => 0,
        Some(AllOption::End(_)) => u64::MAX,
    };
    let records = log.records().iter();
    let takes = |record: &&Record| Filter::takes(filter, record);
    Ok(if backwards {
        // A position names the gap before its record.
        records.rev().filter(|record| record.position < at).filter(takes).take(count).map(answer).collect()
    } else {
        records.filter(|record| record.position >= at).filter(takes).take(count).map(answer).collect()
    })
}

/// Everything behind a position, then what comes, until somebody ends it.
async fn subscription(
    shared: Arc<Shared>,
    wanted: read_req::options::AllOptions,
    filter: Option<Filter>,
    answers: mpsc::Sender<Result<ReadResp, Status>>,
) {
    use read_req::options::all_options::AllOption;
    let (mut grown, mut dropped) = (shared.grown.subscribe(), shared.dropped.subscribe());
    dropped.mark_unchanged();
    if *shared.ending.borrow() {
        return;
    }
    let mut next = match wanted.all_option {
        Some(AllOption::Position(position)) => {
            let log = lock(&shared.log);
            log.records().partition_point(|record| record.position <= position.commit_position)
        }
        Some(AllOption::Start(_)) | None => 0,
        Some(AllOption::End(_)) => lock(&shared.log).len(),
    };
    let content = |content| Ok(ReadResp { content: Some(content) });
    let confirmation = read_resp::SubscriptionConfirmation { subscription_id: crate::next_id().to_string() };
    if answers.send(content(read_resp::Content::Confirmation(confirmation))).await.is_err() {
        return;
    }
    let mut live = false;
    loop {
        grown.mark_unchanged();
        let page: Vec<Record> = {
            let log = lock(&shared.log);
            log.records().iter().skip(next).take(PAGE).cloned().collect()
        };
        next += page.len();
        let last = page.last().map(|record| record.position);
        for record in page.iter().filter(|record| Filter::takes(&filter, record)) {
            if answers.send(Ok(answer(record))).await.is_err() {
                return;
            }
        }
        if let Some(position) = last.filter(|_| filter.is_some()) {
            let checkpoint = read_resp::Checkpoint {
                commit_position: position,
                prepare_position: position,
                timestamp: None,
            };
            if answers.send(content(read_resp::Content::Checkpoint(checkpoint))).await.is_err() {
                return;
            }
            continue;
        }
        if last.is_some() {
            continue;
        }
        if !live {
            live = true;
            let caught_up = read_resp::CaughtUp { timestamp: None, stream_revision: None, position: None };
            if answers.send(content(read_resp::Content::CaughtUp(caught_up))).await.is_err() {
                return;
            }
        }
        tokio::select! {
            _ = grown.changed() => {}
            () = answers.closed() => return,
            _ = dropped.changed() => {
                let (_, how) = *dropped.borrow_and_update();
                match how {
                    Drop::Ended => return,
                    Drop::Cut => {
                        let _ = answers.send(Err(Status::unavailable("the subscription was dropped"))).await;
                        return;
                    }
                    Drop::Silent => return answers.closed().await,
                }
            }
        }
    }
}

fn answer(record: &Record) -> ReadResp {
    let Record { position, stream, revision, event } = record;
    let kind = if event.json { "application/json" } else { "application/octet-stream" };
    let metadata = [
        ("type", event.event_type.clone()),
        ("content-type", kind.to_owned()),
        // Ticks of a hundred nanoseconds.
        ("created", "17000000000000000".to_owned()),
    ];
    let recorded = read_resp::read_event::RecordedEvent {
        id: Some(WireUuid { value: Some(wire_uuid::Value::String(event.id.to_string())) }),
        stream_identifier: Some(StreamIdentifier { stream_name: stream.clone().into_bytes().into() }),
        stream_revision: *revision,
        prepare_position: *position,
        commit_position: *position,
        metadata: metadata.map(|(key, value)| (key.to_owned(), value)).into(),
        custom_metadata: event.metadata.clone(),
        data: event.data.clone(),
    };
    let event = read_resp::ReadEvent {
        event: Some(recorded),
        link: None,
        position: Some(read_resp::read_event::Position::CommitPosition(*position)),
    };
    ReadResp { content: Some(read_resp::Content::Event(event)) }
}

fn proposed(
    id: Option<client::Uuid>,
    mut metadata: HashMap<String, String>,
    custom_metadata: Bytes,
    data: Bytes,
) -> Result<Proposed, Status> {
    let required = |field: &str| Status::invalid_argument(format!("required field {field} not set"));
    let event_type = metadata.remove("type").ok_or_else(|| required("type"))?;
    let kind = metadata.remove("content-type").ok_or_else(|| required("content-type"))?;
    Ok(Proposed {
        id: uuid(id)?,
        event_type,
        json: kind == "application/json",
        data,
        metadata: custom_metadata,
    })
}

fn name(identifier: Option<StreamIdentifier>) -> Result<String, Status> {
    let invalid = || Status::invalid_argument("a stream needs a name");
    let name = identifier.ok_or_else(invalid)?.stream_name;
    String::from_utf8(name.to_vec()).ok().filter(|name| !name.is_empty()).ok_or_else(invalid)
}

fn uuid(id: Option<client::Uuid>) -> Result<Uuid, Status> {
    let invalid = || Status::invalid_argument("an id is missing");
    match id.and_then(|id| id.value).ok_or_else(invalid)? {
        wire_uuid::Value::String(text) => text.parse().map_err(|_| invalid()),
        wire_uuid::Value::Structured(halves) => {
            let (high, low) = (halves.most_significant_bits as u64, halves.least_significant_bits as u64);
            Ok(Uuid::from_u64_pair(high, low))
        }
    }
}
