//! The blocks of the index: the tables with the words, and which entries each holds.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    schema::{self, number},
    shared::message,
};

/// Pages of 4 KB that one step of a merge writes.
const MERGE_PAGES: i64 = 64;

/// A run of a room's entries that a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// The room's id in row ids.
    pub(super) room: i64,
    pub(super) first: u64,
    pub(super) last: u64,
}

impl Span {
    /// The number of its entries.
    pub(super) fn count(self) -> u64 {
        (self.last + 1).saturating_sub(self.first)
    }
}

/// The latest span of a room below a number, and its block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) block: i64,
    pub(super) first: u64,
    pub(super) last: u64,
    /// Whether the block has an overlay.
    pub(super) stale: bool,
}

/// The stages of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// New entries are added to it; at most one block is in this stage.
    Filling,
    /// It is full, or was full once. Its segments are still to be merged into one.
    Full,
    /// It is as it stays.
    Closed,
    /// A rebuild fills it; it has no spans yet. A file that is opened has none.
    Unfinished,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Filling => "filling",
            Self::Full => "full",
            Self::Closed => "closed",
            Self::Unfinished => "unfinished",
        }
    }
}

/// A block, with the number of entries that were added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) id: i64,
    pub(super) entries: u64,
}

/// Creates an empty block.
pub(super) fn create(connection: &Connection, stage: Stage) -> rusqlite::Result<Block> {
    connection.execute(
        "INSERT INTO blocks(entries, stage, stale) VALUES (0, ?1, 0)",
        [stage.name()],
    )?;
    let id = connection.last_insert_rowid();
    connection.execute_batch(&format!(
        "CREATE VIRTUAL TABLE block_{id} USING fts5(
             words, content='', columnsize=0, prefix='3', tokenize='ascii');
         CREATE VIRTUAL TABLE words_{id} USING fts5vocab(block_{id}, instance);"
    ))?;
    Ok(Block { id, entries: 0 })
}

/// Drops a block with all that belongs to it. SQLite overwrites the pages.
pub(super) fn drop(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "DROP TABLE words_{id};
         DROP TABLE IF EXISTS overlay_{id};
         DROP TABLE block_{id};"
    ))?;
    connection.execute("DELETE FROM spans WHERE block = ?1", [id])?;
    connection.execute("DELETE FROM blocks WHERE id = ?1", [id])?;
    Ok(())
}

/// Drops what an interrupted rebuild has left.
pub(super) fn drop_unfinished(connection: &Connection) -> rusqlite::Result<()> {
    for block in in_stage(connection, Stage::Unfinished)? {
        drop(connection, block.id)?;
    }
    Ok(())
}

/// The blocks in a stage, oldest first.
pub(super) fn in_stage(connection: &Connection, stage: Stage) -> rusqlite::Result<Vec<Block>> {
    connection
        .prepare_cached("SELECT id, entries FROM blocks WHERE stage = ?1 ORDER BY id")?
        .query_map([stage.name()], |row| {
            Ok(Block {
                id: row.get(0)?,
                entries: number(row, 1)?,
            })
        })?
        .collect()
}

/// Merges a block's segments a little, in a transaction; the fewer there are, the fewer pages a
/// search reads. Returns whether there is more to merge.
pub(super) fn merge(connection: &Connection, id: i64) -> rusqlite::Result<bool> {
    let before = connection.total_changes();
    connection
        .prepare_cached(&format!(
            "INSERT INTO block_{id}(block_{id}, rank) VALUES ('merge', ?1)"
        ))?
        .execute([-MERGE_PAGES])?;
    // The statement itself counts as one.
    Ok(connection.total_changes() - before > 1)
}

/// The block that is being filled.
pub(super) fn filling(connection: &Connection) -> rusqlite::Result<Option<Block>> {
    Ok(in_stage(connection, Stage::Filling)?.pop())
}

/// The blocks that hold words of entries that have changed since.
pub(super) fn stale(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    connection
        .prepare_cached("SELECT id FROM blocks WHERE stale = 1 ORDER BY id")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Stores a block's stage, and how many entries were added to it.
pub(super) fn keep(connection: &Connection, block: Block, stage: Stage) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE blocks SET entries = ?2, stage = ?3 WHERE id = ?1")?
        .execute(params![block.id, block.entries.cast_signed(), stage.name()])?;
    Ok(())
}

/// Marks a block as stale, and gives it an overlay for the present texts of changed entries.
pub(super) fn mark_stale(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    let marked = connection
        .prepare_cached("UPDATE blocks SET stale = 1 WHERE id = ?1 AND stale = 0")?
        .execute([id])?;
    if marked > 0 {
        connection.execute_batch(&format!(
            "CREATE VIRTUAL TABLE overlay_{id} USING fts5(
                 words, content='', contentless_delete=1, tokenize='ascii')"
        ))?;
    }
    Ok(())
}

/// Adds entries to a block, in the order of their rows. An entry without a text has no words.
pub(super) fn add<'a>(
    connection: &Connection,
    id: i64,
    entries: impl Iterator<Item = (i64, Option<&'a [u8]>)>,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(&format!(
        "INSERT INTO block_{id}(rowid, words) VALUES (?1, ?2)"
    ))?;
    let mut words = String::new();
    for (row, frame) in entries {
        if has_words(frame, &mut words) {
            insert.execute(params![row, words])?;
        }
    }
    Ok(())
}

/// Puts the present words of a changed entry into the overlay of its block.
pub(super) fn change(
    connection: &Connection,
    id: i64,
    row: i64,
    frame: Option<&[u8]>,
) -> rusqlite::Result<()> {
    mark_stale(connection, id)?;
    let mut words = String::new();
    if has_words(frame, &mut words) {
        connection
            .prepare_cached(&format!(
                "INSERT OR REPLACE INTO overlay_{id}(rowid, words) VALUES (?1, ?2)"
            ))?
            .execute(params![row, words])?;
    } else {
        connection
            .prepare_cached(&format!("DELETE FROM overlay_{id} WHERE rowid = ?1"))?
            .execute([row])?;
    }
    Ok(())
}

/// Puts an entry's words into `out`, if it has a text.
fn has_words(frame: Option<&[u8]>, out: &mut String) -> bool {
    let Some(entry) = frame.and_then(message) else {
        return false;
    };
    let Some(text) = entry.text() else {
        return false;
    };
    schema::words(&entry.author.nickname, text.as_str(), out);
    true
}

/// What a block holds, in the order of its rows.
pub(super) fn spans(connection: &Connection, id: i64) -> rusqlite::Result<Vec<Span>> {
    connection
        .prepare_cached(
            "SELECT room, first, last FROM spans WHERE block = ?1 ORDER BY room, first",
        )?
        .query_map([id], |row| {
            let (first, last) = range(row)?;
            let room = row.get(0)?;
            Ok(Span { room, first, last })
        })?
        .collect()
}

/// Records that a block holds a run of entries. A run that continues the room's latest span in the
/// same block extends it.
pub(super) fn hold(connection: &Connection, id: i64, span: Span) -> rusqlite::Result<()> {
    let before = last_from(connection, span.room, schema::SEQ_MAX)?;
    let first = match before {
        Some(held) if held.block == id && held.last + 1 == span.first => held.first,
        _ => span.first,
    };
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO spans(room, first, last, block) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            span.room,
            first.cast_signed(),
            span.last.cast_signed(),
            id
        ])?;
    Ok(())
}

/// The latest span of a room that begins at or below a number.
pub(super) fn last_from(
    connection: &Connection,
    room: i64,
    seq: u64,
) -> rusqlite::Result<Option<Held>> {
    connection
        .prepare_cached(
            "SELECT block, first, last, stale FROM spans LEFT JOIN blocks ON blocks.id = block
             WHERE room = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1",
        )?
        .query_row(params![room, seq.cast_signed()], held)
        .optional()
}

fn held(row: &Row<'_>) -> rusqlite::Result<Held> {
    let (first, last) = range(row)?;
    Ok(Held {
        block: row.get(0)?,
        first,
        last,
        stale: row.get(3)?,
    })
}

/// The first and last number of a span, in columns 1 and 2.
fn range(row: &Row<'_>) -> rusqlite::Result<(u64, u64)> {
    let (first, last) = (number(row, 1)?, number(row, 2)?);
    if first == 0 || first > last {
        return Err(rusqlite::Error::IntegralValueOutOfRange(2, row.get(2)?));
    }
    Ok((first, last))
}

/// The block that holds an entry.
pub(super) fn of_entry(
    connection: &Connection,
    room: i64,
    seq: u64,
) -> rusqlite::Result<Option<i64>> {
    let held = last_from(connection, room, seq)?;
    Ok(held.filter(|held| seq <= held.last).map(|held| held.block))
}

/// The lowest number of a room that any block holds.
pub(super) fn lowest(connection: &Connection, room: i64) -> rusqlite::Result<Option<u64>> {
    connection
        .prepare_cached("SELECT first FROM spans WHERE room = ?1 ORDER BY first LIMIT 1")?
        .query_row([room], |row| number(row, 0))
        .optional()
}

/// The blocks that hold entries of a room below a number.
pub(super) fn below(connection: &Connection, room: i64, seq: u64) -> rusqlite::Result<Vec<i64>> {
    connection
        .prepare_cached("SELECT DISTINCT block FROM spans WHERE room = ?1 AND first < ?2")?
        .query_map(params![room, seq.cast_signed()], |row| row.get(0))?
        .collect()
}

/// The first word in a block from this one on, in byte order. Reads one page of each segment.
pub(super) fn next_word(
    connection: &Connection,
    id: i64,
    from: &str,
) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached(&format!(
            "SELECT term FROM words_{id} WHERE term >= ?1 LIMIT 1"
        ))?
        .query_row([from], |row| row.get(0))
        .optional()
}
