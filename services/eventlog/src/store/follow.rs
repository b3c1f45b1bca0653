//! What readers of an engine ask for, and how they follow its log: page after page as far as the head goes, then
//! waiting for it to move.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::watch;

use super::ReadError;
use crate::{Position, Recorded, Revision, StreamId};

/// The largest page for a subscription: it keeps one, and at most one event more.
pub(super) const PAGE_EVENTS: usize = 512;
pub(super) const PAGE_BYTES: usize = 1024 * 1024;
/// Pause before a page is asked for again that an engine which is away could not give.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug, Clone)]
pub(super) enum Wanted {
    Stream {
        stream: StreamId,
        from: Revision,
    },
    All {
        after: Option<Position>,
        /// The page ends early behind the event that reaches this size.
        max_bytes: usize,
    },
}

/// How far the log goes, as this process knows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tail {
    pub head: Option<Position>,
    /// Everything is released.
    pub closed: bool,
}

/// What an engine shares with its subscriptions.
pub(super) trait Followed: Send + Sync + 'static {
    fn tail(&self) -> watch::Receiver<Tail>;

    fn read(
        self: &Arc<Self>,
        what: Wanted,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Recorded>, ReadError>> + Send;
}

/// A place in the log that follows it. Catch-up and live are the same code: read behind `after` what
/// is there, wait for the head to move when nothing is. So there is no moment of switching over in
/// which an event could be missed or seen twice. While an engine is away it waits: who follows the log needs to know
/// of that no more than of a log that does not grow.
struct Subscription<E> {
    engine: Arc<E>,
    tail: watch::Receiver<Tail>,
    after: Option<Position>,
    /// Read but not yet handed out.
    page: VecDeque<Recorded>,
    ended: bool,
}

pub(super) fn subscribe<E: Followed>(
    engine: &Arc<E>,
    after: Option<Position>,
) -> BoxStream<'static, Result<Recorded, ReadError>> {
    let (engine, tail) = (Arc::clone(engine), engine.tail());
    let subscription = Subscription { engine, tail, after, page: VecDeque::new(), ended: false };
    let next = async |mut subscription: Subscription<E>| Some((subscription.next().await?, subscription));
    stream::unfold(subscription, next).boxed()
}

impl<E: Followed> Subscription<E> {
    async fn next(&mut self) -> Option<Result<Recorded, ReadError>> {
        while self.page.is_empty() && !self.ended {
            let after = self.after;
            if self.tail.wait_for(|tail| tail.closed || tail.head > after).await.ok()?.closed {
                return None;
            }
            match self.engine.read(Wanted::All { after, max_bytes: PAGE_BYTES }, PAGE_EVENTS).await {
                Ok(page) => self.page = page.into(),
                Err(ReadError::Closed) => return None,
                Err(ReadError::Unavailable(_)) => tokio::time::sleep(PAUSE).await,
                Err(cause) => {
                    self.ended = true;
                    return Some(Err(cause));
                }
            }
        }
        let event = self.page.pop_front()?;
        self.after = Some(event.position);
        Some(Ok(event))
    }
}
