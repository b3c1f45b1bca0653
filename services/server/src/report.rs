//! The report of a release from stored events: here from the log, in the command line from a bundle, with the same
//! bytes.

pub mod making;
pub mod period;
pub mod rows;
pub mod scratch;

use bytes::Bytes;
use eventlog::header::leaf;
use eventlog::tree::{Hash, Peaks};
use eventlog::{Header, Recorded, StreamId};
use release::Procedure;
use release::event::ReportQuery;
use release::report::canonical;
use release::report::controls::PinnedMapping;
use release::report::release::{Authentication, Entry, Material, Provenance, ReleaseReport, SCHEMA, report};
use release::value::{ReleaseId, Sha256Hex};
use release::wire::{Formats, hex, sha256_hex};

use crate::streams::{self, LoadError};

/// The events of one release, from its first on, as a report takes them.
#[derive(Default)]
pub struct Events {
    entries: Vec<Entry>,
    leaves: Peaks,
}

impl Events {
    pub fn push(&mut self, formats: &Formats, recorded: &Recorded) -> Result<(), LoadError> {
        let (fact, header) = streams::fact(formats, recorded)?;
        let leaf = Hash::of_leaf(&leaf(&recorded.header));
        self.leaves.push(leaf);
        self.entries.push(Entry { fact, provenance: provenance(header, &leaf, recorded)? });
        Ok(())
    }
}

fn provenance(header: Header, leaf: &Hash, recorded: &Recorded) -> Result<Provenance, LoadError> {
    let wrong = |error: release::value::InvalidValue| LoadError::Header {
        stream: recorded.stream.clone(),
        revision: recorded.revision,
        error: error.to_string(),
    };
    Ok(Provenance {
        event_type: header.event_type,
        schema: header.schema,
        operation: header.request.operation,
        authentication: header.auth.map(|auth| Authentication {
            issuer: auth.issuer,
            key: auth.kid,
            methods: auth.amr,
            signed_in_at: auth.auth_time,
        }),
        via: header.actor.via,
        causation: header.causation,
        leaf: sha256(leaf),
        data_length: header.data.length,
        data_sha256: Sha256Hex::new(&header.data.sha256).map_err(wrong)?,
    })
}

/// A hash of the tree, as the domain writes hashes.
pub fn sha256(hash: &Hash) -> Sha256Hex {
    // 64 hexadecimal digits by construction.
    Sha256Hex::new(&hex(&hash.0)).unwrap_or_else(|_| unreachable!("hex of 32 bytes"))
}

/// What a report depends on besides the events.
pub struct Asked<'a> {
    pub tenant: &'a str,
    pub stream: &'a StreamId,
    /// The version that the release pinned.
    pub procedure: &'a Procedure,
    pub controls: &'a PinnedMapping,
    pub retention_months: u32,
    /// Of the last event.
    pub position: u64,
    /// Of the log, where it ends with that event.
    pub root: Hash,
}

/// A report, and the bytes that it is known by.
pub struct Made {
    pub report: ReleaseReport,
    pub bytes: Bytes,
    pub sha256: Sha256Hex,
    pub query: ReportQuery,
    pub position: u64,
    pub root: Sha256Hex,
    pub schema: u32,
}

/// `None` where the events open no release.
pub fn of_release(events: &Events, asked: &Asked<'_>) -> serde_json::Result<Option<Made>> {
    let root = sha256(&asked.root);
    let made = report(&Material {
        tenant: asked.tenant,
        stream: asked.stream.as_str(),
        procedure: asked.procedure,
        controls: asked.controls,
        retention_months: asked.retention_months,
        entries: &events.entries,
        position: asked.position,
        root: root.clone(),
        stream_root: sha256(&events.leaves.root()),
    });
    let Some(report) = made else { return Ok(None) };
    let bytes = Bytes::from(canonical(&report)?);
    Ok(Some(Made {
        sha256: sha256_hex(&bytes),
        query: ReportQuery::Release {
            release: ReleaseId::of(&report.header.product, &report.header.version),
            control_mapping: asked.controls.reference.clone(),
            retention_months: asked.retention_months,
        },
        position: asked.position,
        root,
        schema: SCHEMA,
        bytes,
        report,
    }))
}
