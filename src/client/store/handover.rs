//! Exchange between processes with one client ID: messages for the holder of the lease to send, and
//! their outcomes.

use rusqlite::{Connection, params};

use super::{
    Owner, StoreFault,
    device::{self, number, signed},
};
use crate::{
    client::{
        event::Delivery,
        session::persist_types::ADOPTED_MAX,
        session::{OUTBOX_BYTES_MAX, OUTBOX_FULL, OUTBOX_MESSAGES_MAX},
    },
    protocol::{ClientId, Content, RoomId, RoomName},
    text::Line,
};

/// Outcomes that no run has fetched yet; beyond, the oldest are dropped, because their runs have
/// probably ended.
const SETTLED_MAX: u64 = 10_000;

/// Submits a message to the holder of the lease. If there are too many, refuses it by an outcome.
pub(super) fn submit(
    database: &Connection,
    client: &ClientId,
    owner: Owner,
    which: u64,
    room: RoomId,
    enter: Option<&RoomName>,
    content: &Content,
) -> Result<(), StoreFault> {
    let (count, bytes) = database
        .prepare_cached(
            "SELECT count(*), ifnull(sum(length(CAST(body AS BLOB))), 0)
             FROM submitted WHERE client = ?",
        )?
        .query_row([client.as_str()], |row| {
            Ok((number(row, 0)?, number(row, 1)?))
        })?;
    let bytes = bytes + content.bytes() as u64;
    if count >= OUTBOX_MESSAGES_MAX as u64 || bytes > OUTBOX_BYTES_MAX as u64 {
        let why = Line::inert(OUTBOX_FULL);
        return settle(database, owner, which, &Delivery::Failed { why });
    }
    put(database, client, &owner, which, room, enter, content)
}

/// Adds a message of a run to those that wait for the holder of the lease.
pub(super) fn put(
    database: &Connection,
    client: &ClientId,
    run: &[u8],
    which: u64,
    room: RoomId,
    enter: Option<&RoomName>,
    content: &Content,
) -> Result<(), StoreFault> {
    let (kind, target) = device::kind(content);
    database
        .prepare_cached(
            "INSERT INTO submitted (client, run, number, room, enter, body, kind, target)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            client.as_str(),
            run,
            signed(which),
            room.to_string(),
            enter.map(RoomName::as_str),
            content.words(),
            kind,
            target,
        ])?;
    Ok(())
}

/// Whether a message waits for the holder.
pub(super) fn is_waiting(database: &Connection, client: &ClientId) -> Result<bool, StoreFault> {
    let waits = database
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM submitted WHERE client = ?)")?
        .query_row([client.as_str()], |row| row.get(0))?;
    Ok(waits)
}

/// Moves submitted messages to the outbox, at most `most`, under keys from `key` on. Returns the
/// lowest key that is free then.
pub(super) fn adopt(
    database: &Connection,
    client: &ClientId,
    mut key: u64,
    most: u64,
) -> Result<u64, StoreFault> {
    let ids: Vec<i64> = {
        let mut select = database
            .prepare_cached("SELECT id FROM submitted WHERE client = ? ORDER BY id LIMIT ?")?;
        let ids = select.query_map(params![client.as_str(), signed(most)], |row| row.get(0))?;
        ids.collect::<Result<_, _>>()?
    };
    for id in ids {
        database
            .prepare_cached(
                "INSERT INTO outbox
                 (client, key, room, enter, body, withdrawn, unconfirmed, run, number, kind, target)
                 SELECT client, ?, room, enter, body, 0, 0, run, number, kind, target
                 FROM submitted WHERE id = ?",
            )?
            .execute(params![signed(key), id])?;
        database
            .prepare_cached("DELETE FROM submitted WHERE id = ?")?
            .execute([id])?;
        key += 1;
    }
    database
        .prepare_cached("UPDATE device SET next_key = max(next_key, ?2) WHERE client = ?1")?
        .execute(params![client.as_str(), signed(key)])?;
    Ok(key)
}

/// Moves all submitted messages.
pub(super) fn adopt_all(database: &Connection, client: &ClientId) -> Result<(), StoreFault> {
    let mut key = database
        .prepare_cached("SELECT next_key FROM device WHERE client = ?")?
        .query_row([client.as_str()], |row| number(row, 0))?;
    loop {
        let next = adopt(database, client, key, ADOPTED_MAX)?;
        if next < key + ADOPTED_MAX {
            return Ok(());
        }
        key = next;
    }
}

/// Records the outcome of an entry, if another run than `owner` typed it.
pub(super) fn settle_entry(
    database: &Connection,
    client: &ClientId,
    owner: Owner,
    key: u64,
    delivery: &Delivery,
) -> Result<(), StoreFault> {
    let whose = {
        let mut select = database.prepare_cached(
            "SELECT run, number FROM outbox
             WHERE client = ? AND key = ? AND run IS NOT NULL AND run <> ?",
        )?;
        let mut rows = select.query(params![client.as_str(), signed(key), owner])?;
        match rows.next()? {
            Some(row) => Some((row.get::<_, Owner>(0)?, number(row, 1)?)),
            None => None,
        }
    };
    whose.map_or(Ok(()), |(run, which)| {
        settle(database, run, which, delivery)
    })
}

fn settle(
    database: &Connection,
    run: Owner,
    which: u64,
    delivery: &Delivery,
) -> Result<(), StoreFault> {
    let (state, seq, why) = match delivery {
        Delivery::Sent { seq } => ("sent", seq.map(signed), None),
        Delivery::Withdrawn => ("withdrawn", None, None),
        Delivery::Unchanged => ("unchanged", None, None),
        Delivery::Unconfirmed => ("unconfirmed", None, None),
        Delivery::Failed { why } => ("failed", None, Some(why.as_str())),
        Delivery::Pending | Delivery::SettledElsewhere => return Ok(()),
    };
    database
        .prepare_cached(
            "INSERT OR REPLACE INTO settled (run, number, state, seq, why) VALUES (?, ?, ?, ?, ?)",
        )?
        .execute(params![run, signed(which), state, seq, why])?;
    database
        .prepare_cached("DELETE FROM settled WHERE id <= (SELECT max(id) FROM settled) - ?")?
        .execute([signed(SETTLED_MAX)])?;
    Ok(())
}

/// The outcomes of a run's own messages that it was not told yet.
pub(super) fn settled(
    database: &Connection,
    run: Owner,
) -> Result<Vec<(u64, Delivery)>, StoreFault> {
    let mut select = database
        .prepare_cached("SELECT number, state, seq, why FROM settled WHERE run = ? ORDER BY id")?;
    let mut rows = select.query([run])?;
    let mut settled = Vec::new();
    while let Some(row) = rows.next()? {
        let state: String = row.get(1)?;
        let why: Option<String> = row.get(3)?;
        let delivery = match state.as_str() {
            "sent" => Delivery::Sent {
                seq: match row.get::<_, Option<i64>>(2)? {
                    Some(_) => Some(number(row, 2)?),
                    None => None,
                },
            },
            "withdrawn" => Delivery::Withdrawn,
            "unchanged" => Delivery::Unchanged,
            "unconfirmed" => Delivery::Unconfirmed,
            "failed" => Delivery::Failed {
                why: Line::inert(why.as_deref().unwrap_or_default()),
            },
            _ => return Err(StoreFault::Damaged),
        };
        settled.push((number(row, 0)?, delivery));
    }
    Ok(settled)
}

/// Removes a run's outcomes, once it was told.
pub(super) fn told(database: &Connection, run: Owner) -> Result<(), StoreFault> {
    database
        .prepare_cached("DELETE FROM settled WHERE run = ?")?
        .execute([run])?;
    Ok(())
}
