//! Whom the texts of the log mention: one row for each user and entry.

use std::{collections::HashMap, ops::Range};

use bytes::Bytes;
use rusqlite::{Connection, Result, Row, Rows};

use super::{
    damage::Damages,
    read::{self, Served},
    schema::{entry_key, entry_of, number, number_at},
};
use crate::{
    protocol::{Count, UserId},
    server::log::{
        Inbox, Readable, Unread,
        plan::{EVERYONE, PlannedMentions},
        semantics::{InboxScan, MENTIONS_COUNTED_MAX, UnreadScan, holds, is_unread},
    },
};

/// Keeps whom a text mentions, in a room's row. Those whom its entry mentioned before keep their rows.
pub(super) fn put(connection: &Connection, room: i64, planned: &PlannedMentions) -> Result<()> {
    let mut insert =
        connection.prepare_cached("INSERT OR IGNORE INTO mention(user, entry) VALUES(?1, ?2)")?;
    let key = entry_key(room, planned.seq);
    for user in planned.users() {
        insert.execute((user.to_bytes(), key))?;
    }
    Ok(())
}

/// Removes the mentions in entries of a room.
pub(super) fn remove(connection: &Connection, room: i64, seqs: Range<u64>) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM mention WHERE entry >= ?1 AND entry < ?2")?
        .execute((entry_key(room, seqs.start), entry_key(room, seqs.end)))?;
    Ok(())
}

/// A row, as an inbox needs it.
struct Mention {
    no: u64,
    entry: i64,
    /// Whether it is of everyone, and not of the user too.
    everyone: bool,
}

/// The next row of a user's, or of everyone's.
fn next(rows: &mut Rows<'_>, everyone: bool) -> Result<Option<Mention>> {
    let mention = |row: &Row<'_>| {
        Ok(Mention {
            no: number_at(row, 0)?,
            entry: row.get(1)?,
            everyone,
        })
    };
    rows.next()?.map(mention).transpose()
}

/// Whether a user's own row names an entry.
fn is_named(connection: &Connection, user: UserId, entry: i64) -> Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM mention WHERE user = ?1 AND entry = ?2")?
        .exists((user.to_bytes(), entry))
}

/// See [`LogReader::inbox`](crate::server::log::LogReader::inbox). `rooms`: the rows of what may be
/// read.
pub(super) fn inbox(
    connection: &Connection,
    damages: &Damages,
    user: UserId,
    rooms: &HashMap<i64, &Readable>,
    before: Option<u64>,
) -> Result<Inbox> {
    const ROWS: &str = "SELECT no, entry FROM mention INDEXED BY mention_user
         WHERE user = ?1 AND no < ?2 ORDER BY no DESC";
    let before = number(before.unwrap_or(u64::MAX));
    let mut own = connection.prepare(ROWS)?;
    let mut own = own.query((user.to_bytes(), before))?;
    let mut all = connection.prepare(ROWS)?;
    let mut all = all.query((EVERYONE.to_bytes(), before))?;
    let mut heads = (next(&mut own, false)?, next(&mut all, true)?);
    let mut page = InboxScan::default();
    loop {
        let is_own = match &heads {
            (Some(own), Some(all)) => own.no > all.no,
            (own, _) => own.is_some(),
        };
        let taken = if is_own {
            std::mem::replace(&mut heads.0, next(&mut own, false)?)
        } else {
            std::mem::replace(&mut heads.1, next(&mut all, true)?)
        };
        let Some(mention) = taken else { break };
        if !page.look(mention.no) {
            break;
        }
        let frame = match wanted(connection, user, rooms, &mention) {
            // Another page would not have it either.
            Err(error) if damages.tell(&error) => None,
            frame => frame?,
        };
        if let Some(frame) = frame
            && !page.add(mention.no, &frame)
        {
            break;
        }
    }
    Ok(page.finish())
}

/// The frame of the entry with a mention, if the user may read it and is to be told of it.
fn wanted(
    connection: &Connection,
    user: UserId,
    rooms: &HashMap<i64, &Readable>,
    mention: &Mention,
) -> Result<Option<Bytes>> {
    let (no, seq) = entry_of(mention.entry);
    if !rooms.get(&no).is_some_and(|part| holds(&part.ranges, seq)) {
        return Ok(None);
    }
    if mention.everyone && is_named(connection, user, mention.entry)? {
        return Ok(None);
    }
    let room = Served::find(connection, no)?;
    let (entry, frame) = read::entry(connection, &room, seq)?;
    let is_own = mention.everyone && entry.author.user == user;
    Ok((!is_own).then_some(frame))
}

/// See [`LogReader::unread`](crate::server::log::LogReader::unread).
pub(super) fn unread(
    connection: &Connection,
    damages: &Damages,
    (user, ignored): (UserId, &[UserId]),
    (room, above): (i64, u64),
) -> Result<Unread> {
    let room = Served::find(connection, room)?;
    let extent = room.extent;
    let from = above.saturating_add(1).max(extent.first);
    if from > extent.head {
        return Ok(Unread::default());
    }
    let range = (entry_key(room.no, from), entry_key(room.no, extent.head));
    let entries = count(connection, (user, ignored), range)?;
    let named = connection
        .prepare_cached(
            "SELECT count(*) FROM (SELECT 1 FROM mention INDEXED BY mention_user_entry
             WHERE user = ?1 AND entry BETWEEN ?2 AND ?3 LIMIT ?4)",
        )?
        .query_row(
            (user.to_bytes(), range.0, range.1, MENTIONS_COUNTED_MAX),
            |row| number_at(row, 0),
        )?;
    let of = |user: UserId| {
        connection
            .prepare_cached(
                "SELECT entry FROM mention INDEXED BY mention_user_entry
                 WHERE user = ?1 AND entry BETWEEN ?2 AND ?3 ORDER BY entry DESC LIMIT ?4",
            )?
            .query_map(
                (user.to_bytes(), range.0, range.1, MENTIONS_COUNTED_MAX),
                |row| row.get(0),
            )?
            .collect::<Result<Vec<i64>>>()
    };
    let is_unread = |key: i64| match read::entry(connection, &room, entry_of(key).1) {
        Err(error) if damages.tell(&error) => Ok(false),
        found => found.map(|(entry, _)| is_unread(&entry, user, ignored)),
    };
    let mut mentions = 0;
    if ignored.is_empty() {
        // Their authors are others, so that the entries need not be read.
        mentions = named;
    } else {
        for key in of(user)? {
            mentions += u64::from(is_unread(key)?);
        }
    }
    for key in of(EVERYONE)? {
        if !is_named(connection, user, key)? {
            mentions += u64::from(is_unread(key)?);
        }
    }
    Ok(Unread {
        entries,
        mentions: Count::new(mentions),
    })
}

/// Counts unread entries in a range of rows.
fn count(
    connection: &Connection,
    (user, ignored): (UserId, &[UserId]),
    range: (i64, i64),
) -> Result<Count> {
    let mut scan = UnreadScan::new(user, ignored);
    // The frame is read only where the author is not known.
    let mut rows = connection.prepare_cached(
        "SELECT author, iif(author IS NULL, frame, NULL) FROM entry
         WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC",
    )?;
    let mut rows = rows.query(range)?;
    while let Some(row) = rows.next()? {
        let goes_on = match row.get_ref(0)?.as_blob() {
            Ok(author) => scan.count(author.try_into().ok().map(UserId::from_bytes)),
            Err(_) => scan.look(row.get_ref(1)?.as_blob().unwrap_or_default()),
        };
        if !goes_on {
            break;
        }
    }
    Ok(scan.finish())
}
