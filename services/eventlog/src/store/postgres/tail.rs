//! The one task that follows what other nodes write, and tells whether the database is there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::link::{Connection, LISTEN, told};
use super::{Obstacle, Shared, Task, reader};
use crate::store::ReadError;
use crate::store::follow::{PAGE_BYTES, PAGE_EVENTS};

/// Pauses between attempts to connect, at first and at last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

pub(super) async fn run(shared: Arc<Shared>) {
    let mut closed = shared.tail.subscribe();
    let mut pause = PAUSES.0;
    loop {
        let following = async {
            let mut connection = shared.connect().await?;
            listen(&shared, &connection).await.map_err(Obstacle::Passing)?;
            shared.trouble(Task::Tail, None);
            pause = PAUSES.0;
            follow(&shared, &mut connection).await
        };
        let obstacle = tokio::select! {
            _ = closed.wait_for(|tail| tail.closed) => return,
            Err(obstacle) = following => obstacle,
        };
        match obstacle {
            Obstacle::Passing(reason) => shared.trouble(Task::Tail, Some(reason)),
            Obstacle::Broken(reason) => return shared.fail(&reason),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Notifications save waiting and are never relied on: some poolers between here and the server lose them.
async fn listen(shared: &Shared, connection: &Connection) -> Result<(), String> {
    let listening = connection.client.batch_execute(LISTEN);
    shared.link.within(async { listening.await.map_err(told) }).await
}

/// Ends only with the reason why it cannot go on.
async fn follow(shared: &Shared, connection: &mut Connection) -> Result<std::convert::Infallible, Obstacle> {
    loop {
        let last = shared.last();
        let after = last.map(|(position, _)| position);
        let moment = Instant::now();
        let asked = reader::page(&connection.client, after, PAGE_EVENTS, PAGE_BYTES);
        let asked = shared.link.within(async { asked.await.map_err(told) }).await;
        let next = after.map_or(0, |after| after.0.saturating_add(1));
        let page = reader::recorded(asked.map_err(Obstacle::Passing)?, Some(next));
        let page = page.map_err(|error| match error {
            ReadError::Damaged { .. } => Obstacle::Broken(error.to_string()),
            other => Obstacle::Passing(other.to_string()),
        })?;
        let bytes: usize = page.iter().map(|event| event.header.len() + event.data.len()).sum();
        let (empty, full) = (page.is_empty(), page.len() >= PAGE_EVENTS || bytes >= PAGE_BYTES);
        if !empty {
            shared.advance(page);
        }
        if !full {
            shared.knows_all_of(moment);
        }
        if !empty {
            continue;
        }
        let known = shared.last().map_or(0, |(last, _)| last.0.saturating_add(1));
        // This node's own appends are notified too, and are known already.
        let _ = tokio::time::timeout(shared.options.poll, connection.noticed.wait_for(|next| *next > known))
            .await;
    }
}
