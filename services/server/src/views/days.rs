//! How many events each tenant recorded on each day, UTC.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::file::{signed, unsigned};

pub(super) const SCHEMA: &str = "
    CREATE TABLE days(tenant TEXT NOT NULL, day INTEGER NOT NULL, events INTEGER NOT NULL,
        PRIMARY KEY (tenant, day)) STRICT, WITHOUT ROWID;";

/// What a batch has of each tenant and day.
#[derive(Debug, Default)]
pub(super) struct Days(BTreeMap<(String, i64), u64>);

impl Days {
    pub(super) fn count(&mut self, tenant: &str, day: i64) {
        *self.0.entry((tenant.to_owned(), day)).or_default() += 1;
    }
}

pub(super) fn write(tx: &Transaction<'_>, days: &Days) -> rusqlite::Result<()> {
    let mut add = tx.prepare_cached(
        "INSERT INTO days VALUES (?1, ?2, ?3)
         ON CONFLICT (tenant, day) DO UPDATE SET events = events + excluded.events",
    )?;
    for ((tenant, day), events) in &days.0 {
        add.execute(params![tenant, day, signed(*events)])?;
    }
    Ok(())
}

pub fn events_of(db: &Connection, tenant: &str, day: i64) -> rusqlite::Result<u64> {
    let events = db
        .prepare_cached("SELECT events FROM days WHERE tenant = ?1 AND day = ?2")?
        .query_row(params![tenant, day], |row| unsigned(row, 0))
        .optional()?;
    Ok(events.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_events_of_two_days_in_any_order_then_each_day_of_a_tenant_is_counted_across_batches() {
        let mut db = Connection::open_in_memory().unwrap();
        db.execute_batch(SCHEMA).unwrap();
        for batch in [&[1, 1][..], &[1, 2, 2], &[2], &[1]] {
            let mut days = Days::default();
            batch.iter().for_each(|day| days.count("acme", *day));
            let tx = db.transaction().unwrap();
            write(&tx, &days).unwrap();
            tx.commit().unwrap();
        }
        assert_eq!(events_of(&db, "acme", 1).unwrap(), 4);
        assert_eq!(events_of(&db, "acme", 2).unwrap(), 3);
        assert_eq!(events_of(&db, "acme", 3).unwrap(), 0);
        assert_eq!(events_of(&db, "other", 2).unwrap(), 0);
    }
}
