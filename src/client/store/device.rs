//! A device's data: outbox, counters, lease, drafts; and the profile's token and typed texts.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Owner, Profile, StoreFault};
use crate::{
    client::session::persist_types::{OutboxEntry, PersistedOutbox},
    protocol::{ClientId, Content, MessageId, RoomId, RoomName, Token, UserId},
    text::{Body, Line},
};

/// Texts stored for the input's history.
pub const TYPED_MAX: usize = 500;
/// Bytes of a draft that are stored; a longer one is cut.
pub const DRAFT_BYTES_MAX: usize = 64 * 1024;

/// The profile's token. If there is none, stores `fresh` as the token, and returns `true` with it.
pub(super) fn token(
    database: &Connection,
    profile: &Profile,
    fresh: Token,
) -> Result<(Token, bool), StoreFault> {
    let kept: Option<String> = database
        .query_row("SELECT token FROM profile", (), |row| row.get(0))
        .optional()?;
    if let Some(kept) = kept {
        return Token::parse(&kept)
            .map(|token| (token, false))
            .map_err(|_| StoreFault::Damaged);
    }
    set_token(database, profile, fresh)?;
    Ok((fresh, true))
}

/// The user's id on this server, as last reported.
pub(super) fn user(database: &Connection) -> Result<Option<UserId>, StoreFault> {
    let user: Option<Option<String>> = database
        .query_row("SELECT user FROM profile", (), |row| row.get(0))
        .optional()?;
    let user = user
        .flatten()
        .map(|user| UserId::parse(&user).map_err(|_| StoreFault::Damaged));
    user.transpose()
}

pub(super) fn set_user(database: &Connection, user: UserId) -> Result<(), StoreFault> {
    database
        .prepare_cached("UPDATE profile SET user = ?")?
        .execute([user.to_string()])?;
    Ok(())
}

pub(super) fn set_token(
    database: &Connection,
    profile: &Profile,
    token: Token,
) -> Result<(), StoreFault> {
    database.execute(
        "INSERT OR REPLACE INTO profile (id, server, nickname, token) VALUES (1, ?, ?, ?)",
        params![profile.server, profile.nickname.folded(), token.expose()],
    )?;
    Ok(())
}

/// Takes the lease from any holder.
pub(super) fn take_lease(
    database: &Connection,
    client: &ClientId,
    owner: Owner,
) -> Result<(), StoreFault> {
    database
        .prepare_cached(
            "INSERT INTO device (client, lease, next_counter, next_key) VALUES (?1, ?2, 1, 1)
             ON CONFLICT DO UPDATE SET lease = ?2",
        )?
        .execute(params![client.as_str(), owner])?;
    Ok(())
}

/// The outbox and counters that the lease protects, as its holder sees them.
pub(super) fn outbox(
    database: &Connection,
    client: &ClientId,
    owner: Owner,
) -> Result<PersistedOutbox, StoreFault> {
    let (next_counter, next_key) = database
        .prepare_cached("SELECT next_counter, next_key FROM device WHERE client = ?")?
        .query_row([client.as_str()], |row| {
            Ok((number(row, 0)?, number(row, 1)?))
        })?;
    Ok(PersistedOutbox {
        next_counter,
        next_key,
        entries: entries_from(database, client, 0, owner)?,
    })
}

/// The present or last holder of the lease; `None`: there never was one.
pub(super) fn holder(
    database: &Connection,
    client: &ClientId,
) -> Result<Option<Vec<u8>>, StoreFault> {
    let holder = database
        .prepare_cached("SELECT lease FROM device WHERE client = ?")?
        .query_row([client.as_str()], |row| row.get(0))
        .optional()?;
    Ok(holder)
}

/// Whether `owner` still has the lease.
pub(super) fn holds_lease(
    database: &Connection,
    client: &ClientId,
    owner: Owner,
) -> Result<bool, StoreFault> {
    let holder = holder(database, client)?;
    Ok(holder.is_some_and(|holder| holder == owner))
}

/// The entries of the outbox with keys from `key` on, as the run `owner` sees them.
pub(super) fn entries_from(
    database: &Connection,
    client: &ClientId,
    key: u64,
    owner: Owner,
) -> Result<Vec<OutboxEntry>, StoreFault> {
    let mut select = database.prepare_cached(
        "SELECT key, room, body, counter, withdrawn, unconfirmed, failed, enter, run, number, kind,
             target
         FROM outbox WHERE client = ? AND key >= ? ORDER BY key",
    )?;
    let mut rows = select.query(params![client.as_str(), signed(key)])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let mut entry = entry(row, content(row, 2, 10)?)?;
        let origin = origin(row, 8)?;
        entry.number = origin.and_then(|(run, number)| (run == owner).then_some(number));
        entries.push(entry);
    }
    Ok(entries)
}

/// The run that typed an entry, and its number there.
pub(super) type Origin = (Vec<u8>, u64);

/// Reads an origin from this column and the next; entries of older programs have none.
pub(super) fn origin(row: &Row<'_>, column: usize) -> Result<Option<Origin>, StoreFault> {
    Ok(match row.get::<_, Option<Vec<u8>>>(column)? {
        Some(run) => Some((run, number(row, column + 1)?)),
        None => None,
    })
}

/// The value of the column `kind` for an edit; a text has none.
const EDIT: &str = "edit";
/// The value for a redaction.
const REDACTION: &str = "redaction";

/// The columns `kind` and `target` of a content.
pub(super) fn kind(content: &Content) -> (Option<&'static str>, Option<String>) {
    let kind = match content {
        Content::Text(_) => None,
        Content::Edit { .. } => Some(EDIT),
        Content::Redaction { .. } => Some(REDACTION),
    };
    (kind, content.target().map(|target| target.to_string()))
}

/// Reads a content from its words in the column `words`, and from the column `kind` and the next.
pub(super) fn content(row: &Row<'_>, words: usize, kind: usize) -> Result<Content, StoreFault> {
    let words: String = row.get(words)?;
    let (kind, target): (Option<String>, Option<String>) = (row.get(kind)?, row.get(kind + 1)?);
    let target = target.as_deref().map(MessageId::parse);
    match (kind.as_deref(), target) {
        (None, None) => Ok(Content::Text(Body::inert(&words))),
        (Some(EDIT), Some(Ok(target))) => Ok(Content::Edit {
            target,
            body: Body::inert(&words),
        }),
        (Some(REDACTION), Some(Ok(target))) => Ok(Content::Redaction {
            target,
            reason: Some(Line::inert(&words)).filter(|_| !words.is_empty()),
        }),
        _ => Err(StoreFault::Damaged),
    }
}

/// Reads an entry with this content from the columns that [`entries_from`] selects.
pub(super) fn entry(row: &Row<'_>, content: Content) -> Result<OutboxEntry, StoreFault> {
    let room: String = row.get(1)?;
    let counter: Option<i64> = row.get(3)?;
    let counter = counter.map(|counter| u64::try_from(counter).map_err(|_| StoreFault::Damaged));
    let failed: Option<String> = row.get(6)?;
    let enter: Option<String> = row.get(7)?;
    let enter = enter.map(|name| RoomName::parse(&name).map_err(|_| StoreFault::Damaged));
    Ok(OutboxEntry {
        key: number(row, 0)?,
        number: None,
        room: RoomId::parse(&room).map_err(|_| StoreFault::Damaged)?,
        enter: enter.transpose()?,
        content,
        counter: counter.transpose()?,
        withdrawn: row.get(4)?,
        unconfirmed: row.get(5)?,
        failed: failed.map(|why| Line::inert(&why)),
    })
}

/// Inserts an entry, or updates the one with its key, whose origin stays.
pub(super) fn put(
    database: &Connection,
    client: &ClientId,
    entry: &OutboxEntry,
    origin: Option<(&[u8], u64)>,
) -> Result<(), StoreFault> {
    let counter = entry.counter.map(signed);
    let (run, which) = origin.unzip();
    let (kind, target) = kind(&entry.content);
    database
        .prepare_cached(
            "INSERT INTO outbox
             (client, key, room, enter, body, counter, withdrawn, unconfirmed, failed, run, number,
              kind, target)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET
                 room = excluded.room, enter = excluded.enter, body = excluded.body,
                 counter = excluded.counter, withdrawn = excluded.withdrawn,
                 unconfirmed = excluded.unconfirmed, failed = excluded.failed, kind = excluded.kind, target = excluded.target",
        )?
        .execute(params![
            client.as_str(),
            signed(entry.key),
            entry.room.to_string(),
            entry.enter.as_ref().map(RoomName::as_str),
            entry.content.words(),
            counter,
            entry.withdrawn,
            entry.unconfirmed,
            entry.failed.as_ref().map(Line::as_str),
            run,
            which.map(signed),
            kind,
            target,
        ])?;
    database
        .prepare_cached("UPDATE device SET next_key = max(next_key, ?2) WHERE client = ?1")?
        .execute(params![client.as_str(), signed(entry.key + 1)])?;
    Ok(())
}

pub(super) fn remove(database: &Connection, client: &ClientId, key: u64) -> Result<(), StoreFault> {
    database
        .prepare_cached("DELETE FROM outbox WHERE client = ? AND key = ?")?
        .execute(params![client.as_str(), signed(key)])?;
    Ok(())
}

pub(super) fn next_counter(
    database: &Connection,
    client: &ClientId,
    next: u64,
) -> Result<(), StoreFault> {
    database
        .prepare_cached("UPDATE device SET next_counter = max(next_counter, ?2) WHERE client = ?1")?
        .execute(params![client.as_str(), signed(next)])?;
    Ok(())
}

pub(super) fn draft(
    database: &Connection,
    client: &ClientId,
    room: RoomId,
    text: &str,
) -> Result<(), StoreFault> {
    if text.is_empty() {
        database
            .prepare_cached("DELETE FROM draft WHERE client = ? AND room = ?")?
            .execute([client.as_str(), &room.to_string()])?;
    } else {
        let text = &text[..text.floor_char_boundary(DRAFT_BYTES_MAX)];
        database
            .prepare_cached("INSERT OR REPLACE INTO draft (client, room, body) VALUES (?, ?, ?)")?
            .execute([client.as_str(), &room.to_string(), text])?;
    }
    Ok(())
}

/// Removes the unsent texts in a room, of all devices.
pub(super) fn forget_drafts(database: &Connection, room: RoomId) -> Result<(), StoreFault> {
    database
        .prepare_cached("DELETE FROM draft WHERE room = ?")?
        .execute([room.to_string()])?;
    Ok(())
}

/// The unsent text in a room.
pub(super) fn draft_of(
    database: &Connection,
    client: &ClientId,
    room: RoomId,
) -> Result<String, StoreFault> {
    let draft = database
        .prepare_cached("SELECT body FROM draft WHERE client = ? AND room = ?")?
        .query_row([client.as_str(), &room.to_string()], |row| row.get(0))
        .optional()?;
    Ok(draft.unwrap_or_default())
}

pub(super) fn add_typed(database: &Connection, text: &str) -> Result<(), StoreFault> {
    database
        .prepare_cached("INSERT INTO typed (body) VALUES (?)")?
        .execute([text])?;
    database
        .prepare_cached("DELETE FROM typed WHERE id <= (SELECT max(id) FROM typed) - ?")?
        .execute([signed(TYPED_MAX as u64)])?;
    Ok(())
}

/// The texts typed earlier, oldest first.
pub(super) fn typed(database: &Connection) -> Result<Vec<String>, StoreFault> {
    let mut select = database.prepare_cached("SELECT body FROM typed ORDER BY id")?;
    let texts = select.query_map((), |row| row.get(0))?;
    Ok(texts.collect::<Result<_, _>>()?)
}

/// Removes the typed texts and the drafts that hold exactly this text.
pub(super) fn forget_text(database: &Connection, text: &str) -> Result<(), StoreFault> {
    for forget in [
        "DELETE FROM typed WHERE body = ?",
        "DELETE FROM draft WHERE body = ?",
    ] {
        database.prepare_cached(forget)?.execute([text])?;
    }
    Ok(())
}

/// Reads an unsigned number.
pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

/// Converts a number for SQLite: the protocol's are below 2⁵³, and ours smaller.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
