//! Reads all that is attached again, now and then, and records what is not there any more or is something else.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use eventlog::StreamId;
use futures_util::TryStreamExt;
use release::Command;
use release::command::RecordLoss;
use release::event::AttachmentFound;
use release::value::Sha256Hex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::is_damage;
use crate::app::App;
use crate::command::{Envelope, handle};
use crate::names;
use crate::surroundings;
use crate::views::{self, KeptAttachment, View};

/// How many are asked for at once.
const PAGE: u32 = 200;
/// It rests so many times as long as it read, so that it takes a tenth of a disk at most.
const REST: u32 = 9;
const LONGEST_REST: Duration = Duration::from_secs(10);
/// How long it waits for lists that are being built.
const LISTS: Duration = Duration::from_secs(5);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs until the service stops; the first round begins with it.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    let every = Duration::from_secs(app.config.vault.check_hours.saturating_mul(3600));
    loop {
        let round = async {
            if let Err(error) = round(&app).await {
                tracing::error!(error, "the vault was not looked through to its end");
            }
            tokio::time::sleep(every).await;
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = round => {}
        }
    }
}

/// Whether the vault is that of the whole log, rather than of one node among others.
pub fn is_of_the_log(app: &App) -> bool {
    app.store.shared().is_none() || app.config.vault.dir.is_some()
}

async fn round(app: &App) -> Result<(), Failure> {
    // Other nodes keep and give up too.
    app.vault.count().await?;
    while app.views.ready(View::Releases, None).await.is_err() {
        tokio::time::sleep(LISTS).await;
    }
    let (mut after, mut lost) = (None, 0);
    loop {
        let place = after.take();
        let page = app.views.query(move |db| views::kept_attachments(db, place.as_ref(), PAGE)).await?;
        let Some(last) = page.last() else {
            app.metrics.vault_lost.set(lost);
            app.metrics.vault_checked.set(app.clock.real().as_second());
            return Ok(());
        };
        after = Some((last.sha256.clone(), last.stream.clone()));
        // The same content is attached in several places, and is read once.
        for same in page.chunk_by(|one, other| one.sha256 == other.sha256) {
            let Some(first) = same.first() else { continue };
            let began = Instant::now();
            let found = look(app, first).await?;
            if found.is_some() && is_of_the_log(app) {
                lost += i64::try_from(same.len()).unwrap_or(i64::MAX);
                // Told at once: a round may take hours.
                app.metrics.vault_lost.inner().fetch_max(lost, Ordering::Relaxed);
            }
            for one in same {
                if let Err(error) = tell(app, one, found).await {
                    tracing::error!(error, sha256 = %one.sha256, stream = one.stream, "what the vault has is not recorded");
                }
            }
            tokio::time::sleep((began.elapsed() * REST).min(LONGEST_REST)).await;
        }
    }
}

/// What there is in the place of the content; `None` when it is what was attached.
async fn look(app: &App, attached: &KeptAttachment) -> Result<Option<AttachmentFound>, Failure> {
    let Some(content) = app.vault.open(&attached.sha256).await? else {
        return Ok(Some(AttachmentFound::Missing));
    };
    match content.pieces.try_for_each(|_| std::future::ready(Ok(()))).await {
        Ok(()) => Ok(None),
        Err(error) if is_damage(&error) => Ok(Some(AttachmentFound::Changed)),
        Err(error) => Err(error.into()),
    }
}

async fn tell(app: &App, one: &KeptAttachment, found: Option<AttachmentFound>) -> Result<(), Failure> {
    if !is_of_the_log(app) {
        // What this node never had, another may have: that is no loss.
        if let Some(found) = found {
            let sha256 = &one.sha256;
            tracing::warn!(%sha256, stream = one.stream, ?found, "the vault of this node does not have what was attached");
        }
        return Ok(());
    }
    let (rule, command) = match (found, one.lost) {
        (None, false) => return Ok(()),
        (None, true) => ("attachment_restored", restored(&one.sha256)),
        (Some(found), _) => ("attachment_lost", lost(&one.sha256, found)),
    };
    let stream = StreamId::new(&one.stream)?;
    let Some((tenant, _)) = names::as_release(&stream) else { return Ok(()) };
    let release = app.releases.load(&stream).await?.committed();
    let Some(opened) = &release.state.opened else { return Ok(()) };
    let around = surroundings::of(app, tenant, opened, &command).await?;
    let key = format!("{rule}:{}:{}", one.sha256, app.clock.real());
    let envelope = Envelope::system(rule, &stream, key)?;
    if found.is_some() {
        tracing::error!(sha256 = %one.sha256, %stream, ?found, "the vault does not have what was attached");
    }
    drop(release);
    handle(app, &app.releases, &stream, &envelope, &command, &around, |_, _| ()).await?;
    Ok(())
}

fn lost(sha256: &Sha256Hex, found: AttachmentFound) -> Command {
    Command::RecordLoss(RecordLoss { sha256: sha256.clone(), found })
}

fn restored(sha256: &Sha256Hex) -> Command {
    Command::RecordRestored { sha256: sha256.clone() }
}
