//! What the cluster sends by itself. The client's subscription never returns when the server ends it with OK: it turns
//! in a loop that waits for nothing, warning each time that it received nothing. So it runs in a task of its
//! own in which that warning ends the task.

use std::panic::resume_unwind;
use std::sync::LazyLock;

use eventstore::{
    Client, Position, RecordedEvent, ResolvedEvent, StreamPosition, SubscribeToAllOptions, SubscriptionEvent,
    SubscriptionFilter,
};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::instrument::WithSubscriber;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

use super::positions::Commit;

/// Events on their way from the client; it reads no further while they wait.
const BUFFER: usize = 64;

/// Events of ours in the order of the cluster, each once.
pub(super) struct Subscription {
    events: mpsc::Receiver<Result<RecordedEvent, String>>,
    task: AbortHandle,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Subscription {
    pub(super) fn start(client: &Client, filter: SubscriptionFilter, after: Option<Commit>) -> Self {
        let position = after.map_or(StreamPosition::Start, |at| {
            StreamPosition::Position(Position { commit: at, prepare: at })
        });
        let options = SubscribeToAllOptions::default().position(position).filter(filter);
        let client = client.clone();
        let (sender, events) = mpsc::channel(BUFFER);
        let reading = async move {
            let mut subscription = client.subscribe_to_all(&options).await;
            loop {
                let event = match subscription.next_subscription_event().await {
                    Ok(SubscriptionEvent::EventAppeared(ResolvedEvent { event: Some(event), .. })) => {
                        Ok(event)
                    }
                    Ok(_) => continue,
                    Err(cause) => Err(cause.to_string()),
                };
                let ends = event.is_err();
                if sender.send(event).await.is_err() || ends {
                    return;
                }
            }
        };
        let task = tokio::spawn(reading.with_subscriber(Watchman::dispatch())).abort_handle();
        Self { events, task }
    }

    /// The next event, or why there is none; never called again behind an error.
    pub(super) async fn next(&mut self) -> Result<RecordedEvent, String> {
        self.events.recv().await.unwrap_or_else(|| Err("the cluster ended the subscription".to_owned()))
    }
}

/// Hears what the client says in its loop, and ends the task in which it says so.
struct Watchman;

impl Watchman {
    fn dispatch() -> Dispatch {
        static DISPATCH: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Watchman));
        DISPATCH.clone()
    }
}

impl Subscriber for Watchman {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() == Level::WARN && metadata.target() == "kurrentdb::commands"
    }

    /// No more than this is asked of the whole process.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn event(&self, _: &Event<'_>) {
        // Not a panic: nothing is printed. The runtime catches it at the edge of the task.
        resume_unwind(Box::new("the subscription ended"));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
