//! Recovers from an unreadable database: sets it aside, and copies the most important data.

use std::{
    fs,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::{Owner, Profile, StoreFault, device, device::Origin, handover, paths, schema};
use crate::{
    client::session::persist_types::OutboxEntry,
    protocol::{ClientId, Content, RoomId, RoomName, Token, UserId},
    text::Line,
};

/// A message that another process submitted: the device, the run, its number there, the room, the name
/// to enter that by, and the content.
type RescuedMessage = (ClientId, Vec<u8>, u64, RoomId, Option<RoomName>, Content);

/// The readable contents of a damaged database. Messages are left out: the server has them.
#[derive(Default)]
pub(super) struct Rescued {
    pub(super) token: Option<Token>,
    user: Option<UserId>,
    devices: Vec<(ClientId, Vec<u8>, i64, i64)>,
    outbox: Vec<(ClientId, OutboxEntry, Option<Origin>)>,
    submitted: Vec<RescuedMessage>,
    drafts: Vec<(String, String, String)>,
    typed: Vec<String>,
}

impl Rescued {
    /// Keeps the process that rescues it as the holder of the lease, with its unused counters and
    /// keys.
    pub(super) fn hold(&mut self, client: &ClientId, owner: Owner, next: (u64, u64)) {
        let mut next = (device::signed(next.0), device::signed(next.1));
        let own = |device: &(ClientId, Vec<u8>, i64, i64)| device.0 == *client;
        for (.., counter, key) in self.devices.extract_if(.., |device| own(device)) {
            next = (next.0.max(counter), next.1.max(key));
        }
        self.devices
            .push((client.clone(), owner.to_vec(), next.0, next.1));
    }
}

/// Renames the file, and reads it under its new name. Returns the readable contents and that name.
/// `Err` is the reason why it can't be renamed.
pub(super) fn set_aside(path: &Path) -> Result<(Rescued, PathBuf), String> {
    let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let aside = (0..100)
        .map(|n| match n {
            0 => path.with_extension(format!("damaged-{time}.db")),
            n => path.with_extension(format!("damaged-{time}-{n}.db")),
        })
        .find(|aside| !aside.exists())
        .ok_or("too many damaged files are there")?;
    fs::rename(path, &aside).map_err(|error| error.to_string())?;
    for end in ["-wal", "-shm"] {
        // There may be none.
        let _ = fs::rename(beside(path, end), beside(&aside, end));
    }
    let rescued = match schema::connect(&aside, super::BUSY_WITHIN) {
        Ok(database) => rescue(&database),
        Err(_) => Rescued::default(),
    };
    Ok((rescued, aside))
}

/// The notice about a file that was set aside; `known`: whether the user's token was read.
pub(super) fn notice(aside: &Path, known: bool) -> Line {
    Line::inert(&format!(
        "The data stored on this machine was damaged, and is set aside as {}; {}",
        aside.display(),
        if known {
            "messages come again from the server"
        } else {
            "nothing of it could be read, so you are a new member"
        }
    ))
}

/// The notice about a deleted file.
pub(super) fn deleted(path: &Path) -> Line {
    Line::inert(&format!(
        "{} was deleted while it was in use, and is made anew",
        path.display()
    ))
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Reads everything readable, after all writers have finished.
pub(super) fn rescue(database: &Connection) -> Rescued {
    let mut rescued = Rescued::default();
    // If the damage prevents the lock, reads without it.
    let _ = database.execute_batch("BEGIN IMMEDIATE");
    // Makes SQLite read on even if the file is truncated, among other things.
    let _ = database.execute_batch("PRAGMA writable_schema = ON");
    each(database, "SELECT token FROM profile", |row| {
        let token: String = row.get(0)?;
        rescued.token = Token::parse(&token).ok();
        Ok(())
    });
    each(database, "SELECT user FROM profile", |row| {
        let user: String = row.get(0)?;
        rescued.user = UserId::parse(&user).ok();
        Ok(())
    });
    let devices = "SELECT client, lease, next_counter, next_key FROM device";
    each(database, devices, |row| {
        let (lease, counter, key) = (row.get(1)?, row.get(2)?, row.get(3)?);
        rescued.devices.push((client(row, 0)?, lease, counter, key));
        Ok(())
    });
    // An older program's tables have texts only.
    let has_kinds = database.prepare("SELECT kind FROM outbox").is_ok();
    let kind = if has_kinds {
        "kind, target"
    } else {
        "NULL, NULL"
    };
    // They name rooms by what is entered.
    let has_ids = database.prepare("SELECT enter FROM outbox").is_ok();
    let enter = if has_ids {
        "enter"
    } else {
        "nullif(room, 'lobby')"
    };
    let outbox = format!(
        "SELECT key, room, body, counter, withdrawn, unconfirmed, failed, {enter}, client, run,
             number, {kind}
         FROM outbox ORDER BY client, key"
    );
    each(database, &outbox, |row| {
        let origin = device::origin(row, 9).unwrap_or_default();
        let entry = device::entry(row, device::content(row, 2, 11)?)?;
        rescued.outbox.push((client(row, 8)?, entry, origin));
        Ok(())
    });
    let submitted = format!(
        "SELECT client, run, number, room, body, {kind}, {enter} FROM submitted ORDER BY id"
    );
    each(database, &submitted, |row| {
        let room: String = row.get(3)?;
        let room = RoomId::parse(&room).map_err(|_| StoreFault::Damaged)?;
        let (run, number) = (row.get(1)?, device::number(row, 2)?);
        let content = device::content(row, 4, 5)?;
        let enter: Option<String> = row.get(7)?;
        let enter = enter.and_then(|name| RoomName::parse(&name).ok());
        rescued
            .submitted
            .push((client(row, 0)?, run, number, room, enter, content));
        Ok(())
    });
    each(database, "SELECT client, room, body FROM draft", |row| {
        let room: String = row.get(1)?;
        let room = RoomId::parse(&room).map_err(|_| StoreFault::Damaged)?;
        let draft = (row.get(0)?, room.to_string(), row.get(2)?);
        rescued.drafts.push(draft);
        Ok(())
    });
    each(database, "SELECT body FROM typed ORDER BY id", |row| {
        rescued.typed.push(row.get(0)?);
        Ok(())
    });
    let _ = database.execute_batch("ROLLBACK");
    rescued
}

fn client(row: &Row<'_>, column: usize) -> Result<ClientId, StoreFault> {
    let client: String = row.get(column)?;
    ClientId::parse(&client).map_err(|_| StoreFault::Damaged)
}

/// Passes on the rows of a query as far as they can be read; skips invalid rows.
fn each(
    database: &Connection,
    query: &str,
    mut take: impl FnMut(&Row<'_>) -> Result<(), StoreFault>,
) {
    let Ok(mut select) = database.prepare(query) else {
        return;
    };
    let Ok(mut rows) = select.query(()) else {
        return;
    };
    while let Ok(Some(row)) = rows.next() {
        let _ = take(row);
    }
}

/// Makes a new file with the rescued contents.
pub(super) fn start_anew(
    profile: &Profile,
    path: &Path,
    rescued: &Rescued,
) -> Result<(), StoreFault> {
    // If it can't be made, the next line fails with the same reason.
    let _ = paths::create(path);
    let mut database = schema::open(path, super::BUSY_WITHIN)?;
    database.pragma_update(None, "synchronous", "FULL")?;
    let transaction = database.transaction()?;
    if let Some(token) = rescued.token {
        device::set_token(&transaction, profile, token)?;
        if let Some(user) = rescued.user {
            device::set_user(&transaction, user)?;
        }
    }
    for (client, lease, next_counter, next_key) in &rescued.devices {
        transaction.execute(
            "INSERT OR REPLACE INTO device (client, lease, next_counter, next_key)
             VALUES (?, ?, ?, ?)",
            params![
                client.as_str(),
                lease,
                next_counter.max(&1),
                next_key.max(&1)
            ],
        )?;
    }
    // Without the token the entries' ids are invalid.
    for (client, entry, origin) in &rescued.outbox {
        let counter = entry.counter.filter(|_| rescued.token.is_some());
        let entry = OutboxEntry {
            counter,
            ..entry.clone()
        };
        let origin = origin.as_ref().map(|(run, number)| (&run[..], *number));
        device::put(&transaction, client, &entry, origin)?;
    }
    for (client, run, number, room, enter, content) in &rescued.submitted {
        handover::put(
            &transaction,
            client,
            run,
            *number,
            *room,
            enter.as_ref(),
            content,
        )?;
    }
    for (client, room, body) in &rescued.drafts {
        transaction.execute(
            "INSERT OR REPLACE INTO draft (client, room, body) VALUES (?, ?, ?)",
            params![client, room, body],
        )?;
    }
    for text in &rescued.typed {
        device::add_typed(&transaction, text)?;
    }
    transaction.commit()?;
    Ok(())
}
