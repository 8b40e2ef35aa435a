//! The house's facts, as rows.

use rusqlite::{Connection, Result};

use crate::server::store::Fact;

/// Carries changes out, in their order, and says how many bytes they have.
pub(super) fn write(connection: &Connection, facts: &[Fact]) -> Result<usize> {
    let mut bytes = 0;
    for fact in facts {
        fact.assert_bounded();
        let Fact { kind, key, value } = fact;
        match value {
            Some(value) => connection
                .prepare_cached(
                    "INSERT INTO house(kind, key, value) VALUES(?1, ?2, ?3)
                     ON CONFLICT(kind, key) DO UPDATE SET value = excluded.value",
                )?
                .execute((kind, key, value))?,
            None => connection
                .prepare_cached("DELETE FROM house WHERE kind = ?1 AND key = ?2")?
                .execute((kind, key))?,
        };
        bytes += kind.len() + key.len() + value.as_ref().map_or(0, String::len);
    }
    Ok(bytes)
}

/// All that is known, by kind and key.
pub(super) fn read(connection: &Connection) -> Result<Vec<Fact>> {
    connection
        .prepare("SELECT kind, key, value FROM house ORDER BY kind, key")?
        .query_map([], |row| {
            Ok(Fact {
                kind: row.get(0)?,
                key: row.get(1)?,
                value: Some(row.get(2)?),
            })
        })?
        .collect()
}
