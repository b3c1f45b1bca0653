//! The one task that follows the cluster: it counts every event of ours, answers who waits for one, and tells whether
//! the cluster is there.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::time::{MissedTickBehavior, interval};

use super::link::Numbered;
use super::positions::Commit;
use super::reader::{self, Failed};
use super::subscription::Subscription;
use super::{Obstacle, Shared, Task};

/// Pauses between attempts, at first and at last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(25), Duration::from_secs(1));
/// A subscription that lasted so long did not fail at once.
const LASTED: Duration = Duration::from_secs(2);

pub(super) async fn run(shared: Arc<Shared>) {
    let mut closed = shared.tail.subscribe();
    let mut pause = PAUSES.0;
    loop {
        let (started, before) = (Instant::now(), shared.feed(|feed| feed.reached));
        let obstacle = tokio::select! {
            _ = closed.wait_for(|tail| tail.closed) => return,
            Err(obstacle) = follow(&shared) => obstacle,
        };
        match obstacle {
            Obstacle::Passing(reason) => shared.trouble(Task::Tail, Some(reason)),
            Obstacle::Broken(reason) => return shared.fail(&reason),
        }
        // However often a subscription ends at once, it is asked for again at a measured pace.
        if started.elapsed() > LASTED || shared.feed(|feed| feed.reached) > before {
            pause = PAUSES.0;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Ends only with the reason why it cannot go on.
async fn follow(shared: &Arc<Shared>) -> Result<Infallible, Obstacle> {
    let numbered = shared.link.client().await.map_err(Obstacle::Passing)?;
    let failed = |obstacle: Obstacle| {
        shared.link.lost(numbered.number);
        obstacle
    };
    // A server that took over without everything that was acknowledged is noticed before anything is counted.
    let mut ahead = Some(look(shared, &numbered).await?);
    let mut subscription =
        Subscription::start(&numbered.client, shared.ours(), shared.feed(|feed| feed.reached));
    shared.trouble(Task::Tail, None);
    let mut ticks = interval(shared.options.poll);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset();
    let mut looking = None;
    let mut behind = None;
    loop {
        let reached = shared.feed(|feed| feed.reached);
        if let Some(Looked { asked, .. }) = ahead.take_if(|looked| looked.end <= reached) {
            shared.latest.knows_all_of(asked);
        }
        tokio::select! {
            event = subscription.next() => {
                let event = event.map_err(|reason| failed(Obstacle::Passing(reason)))?;
                shared.take(event)?;
            }
            _ = ticks.tick(), if looking.is_none() => {
                let (shared, numbered) = (Arc::clone(shared), numbered.clone());
                looking = Some(async move { look(&shared, &numbered).await }.boxed());
            }
            // Looked at beside the subscription, so that no event waits for it.
            found = async { match &mut looking { Some(looking) => looking.await, None => std::future::pending().await } } => {
                looking = None;
                let reached = shared.feed(|feed| feed.reached);
                let looked = found?;
                let missing = looked.next.filter(|next| Some(*next) > reached);
                if missing.is_some() && missing == behind {
                    return Err(failed(Obstacle::Passing("the subscription has fallen silent".to_owned())));
                }
                behind = missing;
                // The older one is come to first.
                ahead.get_or_insert(looked);
            }
        }
    }
}

/// What the cluster holds behind what was counted.
struct Looked {
    next: Option<Commit>,
    /// Everything of `asked` is known when this is counted.
    end: Option<Commit>,
    asked: Instant,
}

/// Asks whether what was counted last is still there, and what follows it.
async fn look(shared: &Shared, numbered: &Numbered) -> Result<Looked, Obstacle> {
    let obstacle = |failed| match failed {
        Failed::Lost(lost) => {
            shared.link.failed(numbered.number, &lost);
            Obstacle::Passing(lost.reason)
        }
        Failed::Refused(error) => Obstacle::Broken(error.to_string()),
    };
    let asked = Instant::now();
    let last = shared.feed(|feed| feed.positions.last());
    let commit = last.map(|(_, commit, _)| commit);
    let (id, next) = reader::around(shared, numbered.client.clone(), commit).await.map_err(obstacle)?;
    if let Some((position, _, own)) = last.filter(|(.., own)| id != Some(*own)) {
        return Err(Obstacle::Broken(format!(
            "the cluster does not hold the event {own} at position {position}: it is not the same log any more"
        )));
    }
    let end = match next {
        Some(_) => reader::end(shared, numbered.client.clone()).await.map_err(obstacle)?,
        None => commit,
    };
    Ok(Looked { next, end, asked })
}
