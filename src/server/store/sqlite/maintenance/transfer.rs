//! Exports a room as lines of JSON, in the wire's format, and imports them.

use std::{
    io::{BufRead, Read, Write},
    path::Path,
};

use jiff::Timestamp;
use rusqlite::Connection;

use super::{MaintenanceError, Opened, Result, look_into, of_sqlite, open_or_make, remove};
use crate::{
    protocol::{
        Entry, RoomName,
        limits::FRAME_BYTES_MAX,
        wire::{encode_entry, parse_entry},
    },
    server::store::sqlite::{
        checkpoint,
        devices::{Changes, Device, Devices},
        open::{find_room, make_room},
        read,
        schema::{SEQ_MAX, entry_key, number},
    },
    text::{self, Body},
};

/// Bytes of a log that are read at a time.
const PAGE_BYTES: usize = 1024 * 1024;

/// The results of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The number of messages written.
    pub messages: u64,
    /// The number of messages that retention removed during the export, before they were written.
    /// They are a gap in the output.
    pub missed: u64,
}

/// Writes a room's messages to `out`, one object a line, whether a server runs or not. It reads in
/// many short transactions, so that the log does not grow while the output is slow.
pub fn export(directory: &Path, name: &RoomName, out: &mut dyn Write) -> Result<Exported> {
    let (connection, path) = look_into(directory)?;
    let found = find_room(&connection, name).map_err(of_sqlite(&path))?;
    let room = found.ok_or_else(|| MaintenanceError::NoRoom(name.clone()))?;
    let mut next = room.state.extent.first;
    let (mut messages, mut missed) = (0, 0);
    // Later messages are not exported.
    while next <= room.state.extent.head {
        let page = read::segment(&connection, room.no, next, PAGE_BYTES);
        let page = page.map_err(of_sqlite(&path))?;
        if page.is_empty() {
            break;
        }
        for frame in (page.first()..page.next()).filter_map(|seq| page.frame(seq)) {
            // The output may be a terminal, and older logs may hold control characters.
            let line = String::from_utf8_lossy(frame.strip_suffix(b"\n").unwrap_or(frame));
            let written = writeln!(out, "{}", text::inert_json(&line));
            written.map_err(MaintenanceError::Stream)?;
        }
        if messages > 0 {
            missed += page.first() - next;
        }
        messages += page.next() - page.first();
        next = page.next();
    }
    out.flush().map_err(MaintenanceError::Stream)?;
    Ok(Exported { messages, missed })
}

/// Imports messages, as [`export`] writes them, into a room that never had any; returns their
/// number. They keep number, id, sender and time. If any line is invalid, nothing is imported, and
/// no log is left where there was none.
pub fn import(directory: &Path, name: &RoomName, input: &mut dyn BufRead) -> Result<u64> {
    let opened = open_or_make(directory)?;
    let imported = import_into(&opened, name, input);
    if imported.is_err() && opened.is_new {
        drop(opened.connection);
        // An empty log left behind is harmless.
        let _ = remove(&opened.path);
    }
    imported
}

fn import_into(opened: &Opened, name: &RoomName, input: &mut dyn BufRead) -> Result<u64> {
    let Opened {
        connection, path, ..
    } = opened;
    let refuse = of_sqlite(path);
    let transaction = connection.unchecked_transaction().map_err(&refuse)?;
    let room = match find_room(connection, name).map_err(&refuse)? {
        Some(room) => room,
        None => make_room(connection, name).map_err(&refuse)?,
    };
    if room.state.extent.head > 0 {
        return Err(MaintenanceError::NotEmpty(name.clone()));
    }
    let mut importing = Import {
        connection,
        path,
        room: room.no,
        name,
        last: None,
        count: 0,
        changes: Changes::default(),
        known: Devices::default(),
        frame: Vec::new(),
    };
    let mut line = Vec::new();
    let mut empty = None;
    for number in 1.. {
        line.clear();
        let most = FRAME_BYTES_MAX as u64 + 2;
        let read = (&mut *input).take(most).read_until(b'\n', &mut line);
        if read.map_err(MaintenanceError::Stream)? == 0 {
            break;
        }
        if line.trim_ascii().is_empty() && line.ends_with(b"\n") {
            empty.get_or_insert(number);
            continue;
        }
        if let Some(number) = empty {
            return Err(MaintenanceError::Line(number, "it is empty".to_owned()));
        }
        importing.take(number, &line)?;
    }
    let count = importing.finish()?;
    transaction.commit().map_err(&refuse)?;
    checkpoint::step(connection, "TRUNCATE").map_err(&refuse)?;
    Ok(count)
}

/// Rounds to milliseconds, as in the log.
fn to_millisecond(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

struct Import<'a> {
    connection: &'a Connection,
    path: &'a Path,
    room: i64,
    name: &'a RoomName,
    /// The first number, the last number, and the last time.
    last: Option<(u64, u64, Timestamp)>,
    count: u64,
    changes: Changes,
    known: Devices,
    frame: Vec<u8>,
}

impl Import<'_> {
    fn take(&mut self, number: u64, line: &[u8]) -> Result<()> {
        let refuse = |why: String| MaintenanceError::Line(number, why);
        let entry = parse_entry(line).map_err(|error| refuse(error.to_string()))?;
        self.check(&entry).map_err(refuse)?;
        let insert = self.insert(entry);
        insert.map_err(|error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::ConstraintViolation) => {
                refuse("its id is in the log already".to_owned())
            }
            _ => of_sqlite(self.path)(error),
        })
    }

    fn check(&self, entry: &Entry) -> std::result::Result<(), String> {
        if entry.room != *self.name {
            return Err(format!("it belongs to the room {}", entry.room));
        }
        if let Some((_, seq, time)) = self.last {
            if entry.seq != seq + 1 {
                return Err(format!("its number is not {}", seq + 1));
            }
            if to_millisecond(entry.time) < time
                && entry.clock_was.is_none_or(|was| was <= entry.time)
            {
                return Err(
                    "it is older than the message before it, and no clock_was says that \
                            the clock was set back"
                        .to_owned(),
                );
            }
        }
        if !(1..=SEQ_MAX).contains(&entry.seq) {
            return Err("its number is out of range".to_owned());
        }
        match entry.text() {
            Some(text) => Body::parse(text.as_str())
                .map(drop)
                .map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }

    fn insert(&mut self, entry: Entry) -> rusqlite::Result<()> {
        let (seq, id) = (entry.seq, entry.id);
        let time = to_millisecond(entry.time);
        let clock_was = entry.clock_was.map(to_millisecond);
        let device = self.changes.get(self.connection, &self.known, id.device)?;
        let counter = id.counter.max(device.counter);
        let no = self
            .changes
            .put(self.connection, id.device, Device { counter, ..device })?;
        self.frame.clear();
        let entry = Entry {
            time,
            clock_was,
            ..entry
        };
        encode_entry(&entry, &mut self.frame);
        self.connection
            .prepare_cached(
                "INSERT INTO entry(id, time, clock_was, device, counter, frame)
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute((
                entry_key(self.room, seq),
                time.as_millisecond(),
                clock_was.map(Timestamp::as_millisecond),
                no,
                number(id.counter),
                &self.frame[..],
            ))?;
        let first = self.last.map_or(seq, |(first, ..)| first);
        self.last = Some((first, seq, time));
        self.count += 1;
        Ok(())
    }

    fn finish(self) -> Result<u64> {
        let write = || {
            self.changes.write(self.connection)?;
            if let Some((first, head, time)) = self.last {
                self.connection.execute(
                    "UPDATE room SET first = ?2, head = ?3, last_time = ?4 WHERE no = ?1",
                    (
                        self.room,
                        number(first),
                        number(head),
                        time.as_millisecond(),
                    ),
                )?;
            }
            Ok(())
        };
        write().map_err(of_sqlite(self.path))?;
        Ok(self.count)
    }
}
