//! What is attached to releases, by its hash: who keeps a content, and what there is to look at.

use release::Release;
use release::value::Sha256Hex;
use rusqlite::{Connection, Transaction, params};

use super::file::{signed, unsigned};

pub(super) const SCHEMA: &str = "
    CREATE TABLE attachments(sha256 TEXT NOT NULL, stream TEXT NOT NULL, kept INTEGER NOT NULL,
        lost INTEGER NOT NULL, tenant TEXT NOT NULL, size INTEGER NOT NULL, PRIMARY KEY (sha256, stream)) STRICT, WITHOUT ROWID;
    CREATE INDEX attachments_tenant ON attachments(tenant, sha256, size) WHERE kept;";

/// An attachment whose content is not given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAttachment {
    pub sha256: Sha256Hex,
    /// The release it is attached to.
    pub stream: String,
    /// It is recorded that the vault does not have it.
    pub lost: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Made {
    attached: KeptAttachment,
    kept: bool,
    size: u64,
}

pub(super) fn made(stream: &str, release: &Release) -> Vec<Made> {
    let attachments = release.attachments.iter().map(|attachment| Made {
        attached: KeptAttachment {
            sha256: attachment.sha256.clone(),
            stream: stream.to_owned(),
            lost: attachment.lost.is_some(),
        },
        kept: attachment.removed_at.is_none(),
        size: attachment.size,
    });
    attachments.collect()
}

pub(super) fn write(tx: &Transaction<'_>, tenant: &str, made: &[Made]) -> rusqlite::Result<()> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO attachments VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (sha256, stream) DO UPDATE SET kept = excluded.kept, lost = excluded.lost
             WHERE kept != excluded.kept OR lost != excluded.lost",
    )?;
    for Made { attached, kept, size } in made {
        let (sha256, size) = (attached.sha256.as_str(), signed(*size));
        insert.execute(params![sha256, attached.stream, kept, attached.lost, tenant, size])?;
    }
    Ok(())
}

/// Those after a place, in the order of their hashes.
pub fn kept_attachments(
    db: &Connection,
    after: Option<&(Sha256Hex, String)>,
    limit: u32,
) -> rusqlite::Result<Vec<KeptAttachment>> {
    let (sha256, stream) = after.map_or(("", ""), |(sha256, stream)| (sha256.as_str(), stream));
    let mut select = db.prepare_cached(
        "SELECT sha256, stream, lost FROM attachments WHERE (sha256, stream) > (?1, ?2) AND kept
         ORDER BY sha256, stream LIMIT ?3",
    )?;
    let rows = select.query_map(params![sha256, stream, limit], |row| {
        let sha256: String = row.get(0)?;
        let sha256 = Sha256Hex::new(&sha256).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into())
        })?;
        Ok(KeptAttachment { sha256, stream: row.get(1)?, lost: row.get(2)? })
    })?;
    rows.collect()
}

/// Whether any release still keeps the content.
pub fn is_kept(db: &Connection, sha256: &Sha256Hex) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT EXISTS (SELECT 1 FROM attachments WHERE sha256 = ?1 AND kept)")?
        .query_row([sha256.as_str()], |row| row.get(0))
}

/// Whether any release of the tenant keeps it.
pub fn is_kept_of(db: &Connection, tenant: &str, sha256: &Sha256Hex) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT EXISTS (SELECT 1 FROM attachments WHERE tenant = ?1 AND sha256 = ?2 AND kept)")?
        .query_row([tenant, sha256.as_str()], |row| row.get(0))
}

/// How many bytes the releases of a tenant keep; content that several have counts once.
pub fn attached_bytes_of(db: &Connection, tenant: &str) -> rusqlite::Result<u64> {
    db.prepare_cached(
        "SELECT coalesce(sum(size), 0) FROM
             (SELECT DISTINCT sha256, size FROM attachments WHERE tenant = ?1 AND kept)",
    )?
    .query_row([tenant], |row| unsigned(row, 0))
}
