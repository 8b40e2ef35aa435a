//! The ledger of erasures: a file beside the database that names every erased entry.
//!
//! A backup made before an erasure still has the text. `restore` therefore erases again what the
//! ledger of the data directory names, before a server may serve it. So the ledger outlives the
//! log, and is not a part of it: `erasures.jsonl`, one JSON object a line.
//!
//! A line is appended and synced after the commit that erased the entry. What a crash, or a full
//! disk, kept from it is found in the table `change` at the next start, or once there is space.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result};
use serde::{Deserialize, Serialize};

use super::{
    SqliteStore,
    failure::reason,
    paths::{not_through_links, private, sync_directory},
    schema::{entry_key, entry_of, number_at, time_at},
};
use crate::protocol::{DeviceId, MessageId, RoomId};

/// The ledger, in the data directory.
const NAME: &str = "erasures.jsonl";
/// Bytes of a line: a room's id, an entry's, a time.
const LINE_BYTES_MAX: u64 = 512;

/// A line of the file.
#[derive(Debug, Deserialize, Serialize)]
struct Line {
    room: String,
    id: String,
    time: String,
}

/// An entry that was erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Erasure {
    pub(super) room: RoomId,
    pub(super) id: MessageId,
    /// When it was erased.
    time: Timestamp,
}

/// The ledger's contents.
#[derive(Debug, Default)]
pub(super) struct Erasures {
    pub(super) all: Vec<Erasure>,
    /// Lines that can't be read, except for a last one that was cut off.
    pub(super) unread: u64,
}

/// See the module's docs.
#[derive(Debug)]
pub(super) struct Ledger {
    path: PathBuf,
    /// Whether it may lack an erasure of this log.
    is_behind: bool,
}

impl Ledger {
    /// The ledger of a data directory; it may lack something until it is completed.
    pub(super) fn of(directory: &Path) -> Self {
        Self {
            path: directory.join(NAME),
            is_behind: true,
        }
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the whole file; nothing if there is none.
    pub(super) fn read(&self) -> io::Result<Erasures> {
        let mut erasures = Erasures::default();
        let mut options = File::options();
        let file = match not_through_links(options.read(true)).open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(erasures),
            file => file?,
        };
        let mut file = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = (&mut file)
                .take(LINE_BYTES_MAX)
                .read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(erasures);
            }
            match parse(&line) {
                Some(erasure) => erasures.all.push(erasure),
                // Behind a line that was cut off stands an empty one's end.
                None if line.ends_with(b"\n") || read as u64 == LINE_BYTES_MAX => {
                    erasures.unread += 1;
                }
                None => {}
            }
        }
    }

    /// Appends erasures, and syncs them.
    fn append(&self, erasures: &[Erasure]) -> io::Result<()> {
        if erasures.is_empty() {
            return Ok(());
        }
        let is_new = !self.path.exists();
        let mut options = File::options();
        options.read(true).append(true).create(true);
        let mut file = not_through_links(private(&mut options)).open(&self.path)?;
        let mut bytes = Vec::new();
        if !ends_with_newline(&mut file)? {
            bytes.push(b'\n');
        }
        for Erasure { room, id, time } in erasures {
            let line = Line {
                room: room.to_string(),
                id: id.to_string(),
                time: time.to_string(),
            };
            serde_json::to_writer(&mut bytes, &line)?;
            bytes.push(b'\n');
        }
        file.write_all(&bytes)?;
        file.sync_data()?;
        match self.path.parent() {
            Some(directory) if is_new => sync_directory(directory),
            _ => Ok(()),
        }
    }

    /// Appends all erasures of the log that it lacks.
    fn complete(&mut self, connection: &Connection) -> std::result::Result<(), String> {
        let erased = all(connection).map_err(|error| reason(&error))?;
        if !erased.is_empty() {
            let complete = || {
                let known = self.read()?.all.into_iter().map(|erasure| erasure.id);
                let known: HashSet<_> = known.collect();
                let lacking = erased.into_iter();
                let lacking = lacking.filter(|erasure| !known.contains(&erasure.id));
                self.append(&lacking.collect::<Vec<_>>())
            };
            complete().map_err(|error: io::Error| error.to_string())?;
        }
        self.is_behind = false;
        Ok(())
    }
}

impl SqliteStore {
    /// Adds the erasures of a commit to the ledger. The commit stands whatever becomes of that.
    pub(super) fn note_erasures(&mut self, erased: &[(RoomId, u64)]) {
        if erased.is_empty() {
            return;
        }
        if self.ledger.is_behind {
            return self.complete_ledger();
        }
        let rooms = &self.rooms;
        let places = erased.iter().filter_map(|(room, seq)| {
            let no = rooms.get(*room)?.no;
            Some((*room, entry_key(no, *seq)))
        });
        let found = places
            .filter_map(|(room, key)| erasure(&self.connection, room, key).transpose())
            .collect::<Result<Vec<_>>>();
        let noted = found.map_err(|error| reason(&error)).and_then(|found| {
            self.ledger
                .append(&found)
                .map_err(|error| error.to_string())
        });
        if let Err(why) = noted {
            self.ledger.is_behind = true;
            self.say_behind(&why);
        }
    }

    /// Adds to the ledger what it lacks, if it may lack something.
    pub(super) fn complete_ledger(&mut self) {
        if self.ledger.is_behind
            && let Err(why) = self.ledger.complete(&self.connection)
        {
            self.say_behind(&why);
        }
    }

    fn say_behind(&mut self, why: &str) {
        if std::mem::replace(&mut self.refusals.ledger_told, true) {
            return;
        }
        self.recorder.warn(format!(
            "erasures can't be noted in {NAME}: {why}; until they are, restoring an older backup \
             brings the erased texts back"
        ));
    }
}

/// All erased entries of a log.
fn all(connection: &Connection) -> Result<Vec<Erasure>> {
    let mut statement = connection.prepare(
        "SELECT change.entry, room.name FROM change
         JOIN room ON room.no = change.entry >> 40
         WHERE change.redacted IS NOT NULL ORDER BY change.rev",
    )?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(1)?;
        let Ok(room) = RoomId::parse(&name) else {
            continue;
        };
        all.extend(erasure(connection, room, row.get(0)?)?);
    }
    Ok(all)
}

/// The erasure of an entry; `None` if it is not erased, or not held. Edits, which lose their text with
/// their message, are left out.
fn erasure(connection: &Connection, room: RoomId, key: i64) -> Result<Option<Erasure>> {
    connection
        .prepare_cached(
            "SELECT device.id, entry.counter, redaction.time FROM change
             JOIN entry ON entry.id = change.entry
             JOIN device ON device.no = entry.device
             JOIN entry AS redaction ON redaction.id = ?2 + change.redacted
             WHERE change.entry = ?1 AND entry.shown",
        )?
        .query_row((key, entry_key(entry_of(key).0, 0)), |row| {
            Ok(Erasure {
                room,
                id: MessageId {
                    device: DeviceId::from_bytes(row.get(0)?),
                    counter: number_at(row, 1)?,
                },
                time: time_at(row, 2)?,
            })
        })
        .optional()
}

fn parse(line: &[u8]) -> Option<Erasure> {
    let Line { room, id, time } = serde_json::from_slice(line).ok()?;
    Some(Erasure {
        room: RoomId::parse(&room).ok()?,
        id: MessageId::parse(&id).ok()?,
        time: time.parse().ok()?,
    })
}

/// Whether a file is empty, or its last line is whole.
fn ends_with_newline(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;
    use crate::server::log::{
        Operation,
        conformance::{append, message_in, settings},
    };

    fn erasure(counter: u64) -> Erasure {
        Erasure {
            room: RoomId::LOBBY,
            id: MessageId {
                device: DeviceId::from_bytes([7; 12]),
                counter,
            },
            time: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_was_written_is_read_again_and_a_line_that_was_cut_off_harms_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::of(directory.path());
        assert!(ledger.read().unwrap().all.is_empty());
        ledger.append(&[]).unwrap();
        assert!(!ledger.path.exists());
        ledger.append(&[erasure(1), erasure(2)]).unwrap();
        let mode = ledger.path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let whole = fs::read(&ledger.path).unwrap();
        for cut in [1, 5, whole.len() / 4] {
            fs::write(&ledger.path, &whole[..whole.len() - cut]).unwrap();
            let read = ledger.read().unwrap();
            let kept = if cut == 1 { 2 } else { 1 };
            assert_eq!((read.all.len(), read.unread), (kept, 0), "{cut}");
            ledger.append(&[erasure(3)]).unwrap();
            let read = ledger.read().unwrap();
            assert_eq!(read.all.len(), kept + 1, "{cut}");
            assert_eq!(read.all.last(), Some(&erasure(3)));
            assert_eq!(read.all.first(), Some(&erasure(1)));
        }
    }

    #[test]
    fn lines_that_are_no_erasures_are_counted() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::of(directory.path());
        let long = "x".repeat(700);
        ledger.append(&[erasure(1)]).unwrap();
        let good = fs::read_to_string(&ledger.path).unwrap();
        let bad = format!("{{}}\n{good}{long}\n[1]\n{good}");
        fs::write(&ledger.path, bad).unwrap();
        let read = ledger.read().unwrap();
        assert_eq!(read.all, [erasure(1), erasure(1)]);
        assert!(read.unread >= 3, "{}", read.unread);
    }

    #[test]
    fn every_erasure_is_noted_once_and_what_is_missing_is_added_at_the_next_start() {
        let directory = tempfile::tempdir().unwrap();
        let open = || SqliteStore::open(&settings(directory.path())).unwrap();
        let room = RoomId::LOBBY;
        let noted = || {
            let read = Ledger::of(directory.path()).read().unwrap();
            assert_eq!(read.unread, 0);
            let counters = read.all.iter().map(|erasure| erasure.id.counter);
            counters.collect::<Vec<_>>()
        };
        let mut store = open();
        for counter in 1..=4 {
            append(&mut store, 1, [message_in(room, 1, counter, "text")]);
        }
        assert!(noted().is_empty());
        let erase = |from, to| Operation::Erase { room, from, to };
        append(&mut store, 2, [erase(2, 3)]);
        assert_eq!(noted(), [2, 3]);
        drop(store);
        drop(open());
        assert_eq!(noted(), [2, 3]);
        // The process was killed between the commit and the line.
        let path = directory.path().join(NAME);
        let whole = fs::read_to_string(&path).unwrap();
        let (first, _) = whole.split_once('\n').unwrap();
        fs::write(&path, format!("{first}\n")).unwrap();
        let mut store = open();
        assert_eq!(noted(), [2, 3]);
        append(&mut store, 3, [erase(1, 1)]);
        assert_eq!(noted(), [2, 3, 1]);
        // It can't be written for a while.
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        append(&mut store, 3, [erase(4, 4)]);
        fs::remove_dir(&path).unwrap();
        store.complete_ledger();
        assert_eq!(noted(), [2, 3, 1, 4]);
    }
}
