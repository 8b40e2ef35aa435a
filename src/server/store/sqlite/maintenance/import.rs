//! Imports a room from lines of JSON, as an export writes them.
//!
//! Edits and redactions are applied to what they refer to, by the same rules as a client applies
//! them ([`fold`]). In an export they are applied already; in a file of live frames they are not.

use std::{
    io::{BufRead, Read},
    path::Path,
};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::{MaintenanceError, NamedRoom, Opened, Result, of_sqlite, open_or_make, remove};
use crate::{
    protocol::{
        Entry, EntryKind, MessageId, RoomId, fold,
        limits::{FRAME_DEPTH_MAX, HISTORY_BYTES_MAX},
        wire::{encode_entry, parse_entry},
    },
    server::{
        log::{
            Revised,
            plan::{Change, PlannedEntry, PlannedMentions},
            semantics::decode_entry,
        },
        store::sqlite::{
            append::{insert, put_change, rewrite},
            checkpoint,
            devices::{Changes, Device, Devices},
            mentions, rooms,
            schema::{SEQ_MAX, entry_key, entry_of, number},
        },
    },
    text::Body,
};

/// Bytes of an entry: it has to fit into a page of history.
const ENTRY_BYTES_MAX: usize = HISTORY_BYTES_MAX;
/// Bytes of a line: an entry, and the end of a line in two bytes.
const LINE_BYTES_MAX: u64 = ENTRY_BYTES_MAX as u64 + 2;
/// Levels of an entry: a page of history puts two around it.
const ENTRY_DEPTH_MAX: usize = FRAME_DEPTH_MAX - 2;

/// Imports entries, as [`export`](super::export()) writes them, into a room that never had any;
/// returns their number. They keep number, id, author and time. If any line is invalid, nothing is
/// imported, and no log is left where there was none.
pub fn import(directory: &Path, named: &NamedRoom, input: &mut dyn BufRead) -> Result<u64> {
    let opened = open_or_make(directory)?;
    let imported = import_into(&opened, named, input);
    if imported.is_err() && opened.is_new {
        drop(opened.connection);
        // An empty log left behind is harmless.
        let _ = remove(&opened.path);
    }
    imported
}

fn import_into(opened: &Opened, named: &NamedRoom, input: &mut dyn BufRead) -> Result<u64> {
    let Opened {
        connection, path, ..
    } = opened;
    let refuse = of_sqlite(path);
    let transaction = connection.unchecked_transaction().map_err(&refuse)?;
    let room = match rooms::find(connection, named.id).map_err(&refuse)? {
        Some(room) => room,
        None => rooms::make(connection, named.id).map_err(&refuse)?,
    };
    if room.state.extent.head > 0 {
        return Err(MaintenanceError::NotEmpty(named.clone()));
    }
    let mut importing = Import {
        connection,
        path,
        room: room.no,
        id: room.id,
        last: None,
        count: 0,
        unshown: 0,
        revised: Revised::default(),
        latest_change: None,
        devices: Changes::default(),
        known: Devices::default(),
        frame: Vec::new(),
    };
    let mut line = Vec::new();
    let mut empty = None;
    for number in 1.. {
        line.clear();
        let read = (&mut *input)
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line);
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

/// Levels of brackets and braces in valid JSON.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

struct Import<'a> {
    connection: &'a Connection,
    path: &'a Path,
    room: i64,
    id: RoomId,
    /// The first number, the last number, and the last time.
    last: Option<(u64, u64, Timestamp)>,
    count: u64,
    /// Entries without a place of their own.
    unshown: u64,
    revised: Revised,
    /// The highest number of an entry that is said to have changed another, and the other's line.
    latest_change: Option<(u64, u64)>,
    devices: Changes,
    known: Devices,
    frame: Vec<u8>,
}

impl Import<'_> {
    fn take(&mut self, number: u64, line: &[u8]) -> Result<()> {
        let refuse = |why: String| MaintenanceError::Line(number, why);
        let is_cut = line.len() as u64 == LINE_BYTES_MAX && !line.ends_with(b"\n");
        let line = line.trim_ascii_end();
        if is_cut || line.len() > ENTRY_BYTES_MAX {
            return Err(refuse(format!("it has more than {ENTRY_BYTES_MAX} bytes")));
        }
        let entry = parse_entry(line).map_err(|error| refuse(error.to_string()))?;
        if depth(line) > ENTRY_DEPTH_MAX {
            let why = format!("it nests more than {ENTRY_DEPTH_MAX} levels");
            return Err(refuse(why));
        }
        self.check(&entry).map_err(refuse)?;
        let rev = entry.rev();
        if self.latest_change.is_none_or(|(latest, _)| rev > latest) {
            self.latest_change = Some((rev, number));
        }
        self.add(entry)
            .map_err(|error| match error.sqlite_error_code() {
                Some(rusqlite::ErrorCode::ConstraintViolation) => {
                    refuse("its id is in the log already".to_owned())
                }
                _ => of_sqlite(self.path)(error),
            })
    }

    fn check(&self, entry: &Entry) -> std::result::Result<(), String> {
        if entry.room != self.id {
            return Err("it belongs to another room".to_owned());
        }
        if let Some((_, seq, time)) = self.last {
            if entry.seq != seq + 1 {
                return Err(format!("its number is not {}", seq + 1));
            }
            if to_millisecond(entry.time) < time
                && entry.clock_was.is_none_or(|was| was <= entry.time)
            {
                return Err(
                    "it is older than the entry before it, and no clock_was says that the clock \
                     was set back"
                        .to_owned(),
                );
            }
        }
        if !(1..=SEQ_MAX).contains(&entry.seq) {
            return Err("its number is out of range".to_owned());
        }
        let rev = entry.rev();
        if rev > 0 && rev <= entry.seq {
            return Err(no_such_change(rev));
        }
        match entry.body() {
            Some(text) => Body::parse(text.as_str())
                .map(drop)
                .map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }

    fn add(&mut self, entry: Entry) -> rusqlite::Result<()> {
        let mut entry = Entry {
            time: to_millisecond(entry.time),
            clock_was: entry.clock_was.map(to_millisecond),
            ..entry
        };
        let change = match self.fold(&mut entry)? {
            Some(change) => Some(change),
            None => own_change(&entry),
        };
        let mentions = PlannedMentions::of(&entry).filter(|_| entry.is_shown());
        let (seq, id) = (entry.seq, entry.id);
        let device = self.devices.get(self.connection, &self.known, id.device)?;
        let counter = id.counter.max(device.counter);
        let device = Device { counter, ..device };
        let no = self.devices.put(self.connection, id.device, device)?;
        self.frame.clear();
        encode_entry(&entry, &mut self.frame);
        let planned = PlannedEntry::of(&entry);
        insert(self.connection, (self.room, Some(no)), planned, &self.frame)?;
        if let Some(mentions) = mentions {
            mentions::put(self.connection, self.room, &mentions)?;
        }
        if let Some(change) = change {
            self.note(seq, change)?;
        }
        self.unshown += u64::from(!planned.shown);
        let first = self.last.map_or(seq, |(first, ..)| first);
        self.last = Some((first, seq, entry.time));
        self.count += 1;
        Ok(())
    }

    /// Applies an entry to its target, if the room has that. Returns what the target's later changes
    /// have done to the entry, if it is an edit.
    fn fold(&mut self, entry: &mut Entry) -> rusqlite::Result<Option<Change>> {
        let Some(mut target) = entry.target().map_or(Ok(None), |id| self.find(id))? else {
            return Ok(None);
        };
        if matches!(entry.kind, EntryKind::Edit { .. }) && target.rev() > entry.seq {
            entry.take_edit();
            return Ok(own_change(&target).map(|change| Change {
                edited: None,
                ..change
            }));
        }
        let edit = target.edited();
        if !fold::apply(&mut target, entry) {
            return Ok(None);
        }
        self.rewrite(&target, entry)?;
        if let Some(mentions) = PlannedMentions::of(&target) {
            mentions::put(self.connection, self.room, &mentions)?;
        }
        if let Some(mut edit) = edit.map_or(Ok(None), |seq| self.at(entry_key(self.room, seq)))?
            && edit.target() == entry.target()
            && fold::scrub(&mut edit, entry)
        {
            self.rewrite(&edit, entry)?;
        }
        Ok(None)
    }

    /// Stores what `by` has made of an entry.
    fn rewrite(&mut self, entry: &Entry, by: &Entry) -> rusqlite::Result<()> {
        self.frame.clear();
        encode_entry(entry, &mut self.frame);
        rewrite(self.connection, self.room, entry.seq, &self.frame)?;
        let change = Change {
            rev: by.seq,
            edited: entry.edited(),
            redacted: by.erases().then_some(by.seq),
        };
        self.note(entry.seq, change)
    }

    fn note(&mut self, seq: u64, change: Change) -> rusqlite::Result<()> {
        let Revised { changed, redacted } = &mut self.revised;
        *changed = change.rev.max(*changed);
        *redacted = change.redacted.unwrap_or(0).max(*redacted);
        put_change(self.connection, self.room, seq, change)
    }

    /// An entry of the room by its id.
    fn find(&mut self, id: MessageId) -> rusqlite::Result<Option<Entry>> {
        let device = self.devices.get(self.connection, &self.known, id.device)?;
        let key = self
            .connection
            .prepare_cached("SELECT id FROM entry WHERE device = ?1 AND counter = ?2")?
            .query_row((device.no, number(id.counter)), |row| row.get(0))
            .optional()?;
        match key.filter(|key| entry_of(*key).0 == self.room) {
            Some(key) => self.at(key),
            None => Ok(None),
        }
    }

    /// The entry of a row.
    fn at(&self, key: i64) -> rusqlite::Result<Option<Entry>> {
        self.connection
            .prepare_cached("SELECT frame FROM entry WHERE id = ?1")?
            .query_row([key], |row| Ok(decode_entry(row.get_ref(0)?.as_blob()?)))
            .optional()
            .map(Option::flatten)
    }

    fn finish(self) -> Result<u64> {
        let Some((first, head, time)) = self.last else {
            return Ok(0);
        };
        if let Some((rev, line)) = self.latest_change.filter(|(rev, _)| *rev > head) {
            return Err(MaintenanceError::Line(line, no_such_change(rev)));
        }
        let write = || {
            self.devices.write(self.connection)?;
            self.connection.execute(
                "UPDATE room SET first = ?2, head = ?3, last_time = ?4, changed = ?5,
                     redacted = ?6, unshown = ?7
                 WHERE no = ?1",
                (
                    self.room,
                    number(first),
                    number(head),
                    time.as_millisecond(),
                    number(self.revised.changed),
                    number(self.revised.redacted),
                    number(self.unshown),
                ),
            )
        };
        write().map_err(of_sqlite(self.path))?;
        Ok(self.count)
    }
}

fn no_such_change(rev: u64) -> String {
    format!("it says that entry {rev} changed it, and no later entry has that number")
}

/// What an entry says that later ones have done to it.
fn own_change(entry: &Entry) -> Option<Change> {
    let rev = entry.rev();
    let redacted = entry.is_erased();
    (rev > 0).then(|| Change {
        rev,
        edited: entry.edited(),
        redacted: redacted.then_some(rev),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_are_no_levels() {
        for (json, levels) in [
            ("{}", 1),
            (r#"{"a":[1,{"b":2}],"c":{}}"#, 3),
            (r#"{"a":"[[[{{{"}"#, 1),
            (r#"{"a":"\"[[","b":[]}"#, 2),
            (r#"{"a":"\\","b":[[]]}"#, 3),
        ] {
            assert_eq!(depth(json.as_bytes()), levels, "{json}");
        }
    }
}
