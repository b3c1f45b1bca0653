//! The format of the log, as this node sees it: what is enabled, what its program knows, and whether the log went
//! beyond that. Then the node answers nothing that rests on the log, until a newer program takes its place.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use eventlog::{Header, Recorded, header};
use release::event::{EventData, Fact, InstallationEvent};
use release::wire::{EncodeError, Encoded, FIRST_FORMAT, Formats, WireError};

use crate::ids;
use crate::streams::{self, LoadError};

pub struct Format {
    formats: &'static Formats,
    /// Only goes up.
    enabled: AtomicU32,
    outdated: OnceLock<Outdated>,
}

/// What the log has and this program does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Outdated {
    #[error("the log has format {enabled}, this program knows formats up to {newest}: run a newer one")]
    Format { enabled: u32, newest: u32 },
    #[error(
        "this program does not know what was recorded at position {position}, {event_type} with schema {schema}: \
         run a newer one"
    )]
    Event { position: u64, event_type: String, schema: u32 },
}

impl Format {
    pub fn new(formats: &'static Formats) -> Self {
        Self { formats, enabled: AtomicU32::new(FIRST_FORMAT), outdated: OnceLock::new() }
    }

    pub fn formats(&self) -> &'static Formats {
        self.formats
    }

    /// What may be written.
    pub fn enabled(&self) -> u32 {
        self.enabled.load(Ordering::Acquire)
    }

    /// What the log has and this program does not know, if there is such a thing.
    pub fn outdated(&self) -> Option<&Outdated> {
        self.outdated.get()
    }

    /// Whether this program may go on with the log.
    pub fn check(&self) -> Result<(), Outdated> {
        self.outdated.get().map_or(Ok(()), |outdated| Err(outdated.clone()))
    }

    /// The log has this format from here on.
    pub fn enable(&self, format: u32) {
        self.enabled.fetch_max(format, Ordering::AcqRel);
        let newest = self.formats.newest();
        if format > newest {
            self.went_beyond(Outdated::Format { enabled: format, newest });
        }
    }

    /// The next event of the log, before anything that is kept of it moves on: what it enables, and whether this
    /// program can go on behind it.
    pub fn notice(&self, recorded: &Recorded) -> Result<(), Outdated> {
        let event_type = header::event_type(&recorded.header);
        let Some((event_type, schema)) = event_type.zip(header::event_schema(&recorded.header)) else {
            // A header that cannot be read stops whoever reads the rest of it.
            return Ok(());
        };
        if !self.formats.knows(event_type, schema) {
            let (position, event_type) = (recorded.position.0, event_type.to_owned());
            let outdated = Outdated::Event { position, event_type, schema };
            self.went_beyond(outdated.clone());
            return Err(outdated);
        }
        if event_type == ENABLED
            && let Ok((fact, _)) = self.fact::<InstallationEvent>(recorded)
            && let InstallationEvent::FormatEnabled(enabled) = fact.event
        {
            self.enable(enabled.format);
            let newest = self.formats.newest();
            if enabled.format > newest {
                return Err(Outdated::Format { enabled: enabled.format, newest });
            }
        }
        Ok(())
    }

    /// A stored event as the fold takes it. One that is not known is not passed over: this node has met it.
    pub fn fact<E: EventData>(&self, recorded: &Recorded) -> Result<(Fact<E>, Header), LoadError> {
        let read = streams::fact(self.formats, recorded);
        if let Err(LoadError::Event { error: WireError::Unknown { event_type, schema }, .. }) = &read {
            let (position, event_type) = (recorded.position.0, event_type.clone());
            self.went_beyond(Outdated::Event { position, event_type, schema: *schema });
        }
        read
    }

    /// An event as this log may have it now.
    pub fn encode<E: EventData>(&self, event: E) -> Result<Encoded<E>, EncodeError> {
        self.formats.encode(event, self.enabled(), ids::random())
    }

    fn went_beyond(&self, outdated: Outdated) {
        if self.outdated.set(outdated.clone()).is_ok() {
            tracing::error!(%outdated, "the log went beyond this program, and is not served by it any more");
        }
    }
}

/// The event that enables a format.
const ENABLED: &str = "format.enabled";

#[cfg(test)]
mod tests;
