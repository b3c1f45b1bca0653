//! What is attached to releases, by its hash: who keeps a content, and what there is to look at.

use release::Release;
use release::value::Sha256Hex;
use rusqlite::{Connection, Transaction, params};

pub(super) const SCHEMA: &str = "
    CREATE TABLE attachments(sha256 TEXT NOT NULL, stream TEXT NOT NULL, kept INTEGER NOT NULL,
        lost INTEGER NOT NULL, PRIMARY KEY (sha256, stream)) STRICT, WITHOUT ROWID;";

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
}

pub(super) fn made(stream: &str, release: &Release) -> Vec<Made> {
    let attachments = release.attachments.iter().map(|attachment| Made {
        attached: KeptAttachment {
            sha256: attachment.sha256.clone(),
            stream: stream.to_owned(),
            lost: attachment.lost.is_some(),
        },
        kept: attachment.removed_at.is_none(),
    });
    attachments.collect()
}

pub(super) fn write(tx: &Transaction<'_>, made: &[Made]) -> rusqlite::Result<()> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO attachments VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (sha256, stream) DO UPDATE SET kept = excluded.kept, lost = excluded.lost
             WHERE kept != excluded.kept OR lost != excluded.lost",
    )?;
    for Made { attached, kept } in made {
        insert.execute(params![attached.sha256.as_str(), attached.stream, kept, attached.lost])?;
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
