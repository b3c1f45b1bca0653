//! Which content the log names: what a vault has to hold.

use std::collections::{BTreeMap, BTreeSet};

use eventlog::{Recorded, StreamId, header};
use release::event::{ReleaseEvent, ReportEvent};
use release::value::Sha256Hex;
use release::wire::FORMATS;

use crate::streams::{LoadError, fact, known};

/// Content by its hash, and where it is attached.
#[derive(Debug, Default)]
pub struct Named {
    attached: BTreeSet<(Sha256Hex, StreamId)>,
    /// Reports and what was compared with them; their bytes can be made again.
    reports: BTreeSet<Sha256Hex>,
}

impl Named {
    /// Takes in the next event of the log. One that is not known may name content as well.
    pub fn event(&mut self, event: &Recorded) -> Result<(), LoadError> {
        known(&FORMATS, event)?;
        let subject = header::event_type(&event.header).and_then(|event_type| event_type.split_once('.'));
        match subject.map(|(subject, _)| subject) {
            Some("attachment") => match fact::<ReleaseEvent>(&FORMATS, event)?.0.event {
                ReleaseEvent::AttachmentStored(stored) => {
                    self.attached.insert((stored.sha256, event.stream.clone()));
                }
                ReleaseEvent::AttachmentRemoved(removed) => {
                    for sha256 in removed.attachments {
                        self.attached.remove(&(sha256, event.stream.clone()));
                    }
                }
                _ => {}
            },
            Some("report") => match fact::<ReportEvent>(&FORMATS, event)?.0.event {
                ReportEvent::ReportGenerated(generated) => {
                    self.reports.insert(generated.sha256);
                }
                ReportEvent::ReportReconciled(reconciled) => {
                    self.reports.insert(reconciled.result_sha256);
                }
                ReportEvent::ReportSampled(_) => {}
            },
            _ => {}
        }
        Ok(())
    }

    /// Each content once, and whether it is attached: then nothing else has it.
    pub fn all(&self) -> BTreeMap<Sha256Hex, bool> {
        let mut all: BTreeMap<_, _> = self.reports.iter().map(|sha256| (sha256.clone(), false)).collect();
        all.extend(self.attached.iter().map(|(sha256, _)| (sha256.clone(), true)));
        all
    }
}
