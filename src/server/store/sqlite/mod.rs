//! The log on disk: one SQLite database, which holds everything that the server has acknowledged.
//!
//! This module owns `log.db` in the data directory, and the lock that keeps other servers out. Only
//! this module (and the index beside it) uses SQL.
//!
//! # Durability
//!
//! A batch is one transaction. The write-ahead log is synced with each commit (`synchronous=FULL`),
//! before anyone sees the batch. With [`Durability::Relaxed`] it is not: then a power failure may
//! lose the last commits, and their numbers could be used for other messages; so a mark is set
//! while such a server runs, and a start that finds it begins a new epoch.
//!
//! Numbers, times and counters in memory change only after `COMMIT` has returned: a rollback uses
//! up none.
//!
//! # Failures
//!
//! | failure | result |
//! |---|---|
//! | the system refuses, before or in `COMMIT`: no space, a used-up quota, read-only, can't open, another program in the way | rolled back, [`StoreError::Refused`]; the next batch tries again |
//! | before `COMMIT`, the disk fails to read or to write, or the database is damaged | [`StoreError::Fatal`], and so is every batch after it |
//! | a read, or the lookup of a device, finds a damaged row | [`StoreError::Damaged`], [`OpResult::Damaged`](crate::server::log::OpResult::Damaged): that request is refused, the operator is told, and all others are answered |
//! | any other error in `COMMIT`: a failed write or sync | [`StoreError::InDoubt`], and after it [`StoreError::Fatal`] |
//! | an I/O error while a checkpoint copies | [`StoreError::Fatal`], reported to the server at once: nothing was lost, but the disk can't be trusted |
//!
//! After a failed sync the system may treat pages as written that are not. So memory is not trusted
//! then: the process ends and leaves the files as they are. The next start copies the whole
//! write-ahead log into the database and syncs it, before it answers any request. If that is
//! impossible (the disk is full, a reader sees an older state), it rewrites the write-ahead log in
//! place, which needs no space, and syncs it. So even on a full disk messages can be read.
//!
//! # Files
//!
//! Private to the user (directory 0700, files 0600). A new database is made under another name and
//! renamed when it is complete, so that `log.db` is always one of ours; its directory is synced. It
//! is made only if there is certainly none, nor a part of one: not if `log.db` can't be examined,
//! is a link, or has left its write-ahead log behind, which SQLite would apply to the new one.
//! Nothing is ever renamed over another file. Pages are read through SQLite's cache instead of
//! memory mapping: an I/O error in a mapping is a signal that ends the process, in a read it is an
//! error.

mod append;
mod checkpoint;
mod compact;
mod damage;
mod devices;
mod failure;
mod ledger;
pub(in crate::server) mod lock;
mod lookup;
pub mod maintenance;
mod mentions;
mod open;
mod open_error;
pub(in crate::server) mod owner;
pub(in crate::server) mod paths;
mod read;
mod retain;
mod rooms;
mod schema;
mod settings;
mod state;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Zoned;
use rusqlite::{Connection, Error, config::DbConfig};

pub use self::compact::CompactError;
pub use self::open_error::OpenError;
use self::rooms::{Refusals, Room, Rooms};
pub use self::settings::{Compact, Durability, Settings};
use self::{
    checkpoint::Checkpoints,
    compact::Compaction,
    damage::Damages,
    devices::Devices,
    failure::{Failed, reason, wants_space},
    ledger::Ledger,
    lock::Lock,
    paths::INDEX,
    read::{NO_ROW, SqliteLog, SqliteReader, within},
};
use super::index::Index;
use crate::server::log::{
    Batch, Changed, ChangedSince, Committed, Found, Inbox, KnownTimes, LogReader, LogWriter,
    Operation, Page, Readable, Reader, SearchIndex, Standing, StateRecord, StateStore, Store,
    StoreError, Unread,
};
use crate::{
    protocol::{Epoch, RoomId, UserId, frame::Part},
    search::Query,
    server::{event_log::EventLog, log::segment::Segment},
};

/// Steps of retention that the index may block before a warning.
const BLOCKED_MAX: u32 = 3;

/// The shortest time between two warnings about refused batches.
const REFUSED_SAID_EVERY: Duration = Duration::from_secs(10);

/// The store in SQLite; see the module's docs.
pub struct SqliteStore {
    // Declared in this order so that the threads end before the connection closes, and the lock is
    // released last.
    index: Option<Index>,
    checkpoints: Option<Checkpoints>,
    connection: Connection,
    path: PathBuf,
    epoch: Epoch,
    rooms: Rooms,
    devices: Devices,
    durability: Durability,
    recorder: EventLog,
    damages: Damages,
    /// Set once the disk has failed: nothing more is done.
    failed: Arc<Failed>,
    refusals: Refusals,
    /// Steps of retention that the index has blocked.
    blocked: u32,
    /// Entries were removed whose text is still in the write-ahead log.
    removing: bool,
    compaction: Compaction,
    ledger: Ledger,
    is_new: bool,
    /// `None` if the caller has locked the directory.
    _lock: Option<Lock>,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SqliteStore")
            .field("path", &self.path)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Whether the log was newly created.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    fn say_refused(&mut self, error: &Error) {
        let refusals = &mut self.refusals;
        refusals.refusing = true;
        let lately = |at: Instant| at.elapsed() < REFUSED_SAID_EVERY;
        if refusals.told || refusals.told_at.is_some_and(lately) {
            return;
        }
        refusals.told = true;
        refusals.told_at = Some(Instant::now());
        let why = reason(error);
        self.recorder.warn(format!(
            "messages can't be stored: {why}; they are refused for the time being, and clients \
             send them again"
        ));
        // Emptying the write-ahead log may free some space.
        if wants_space(error)
            && let Some(checkpoints) = &self.checkpoints
        {
            checkpoints.empty();
        }
    }

    /// Reports that batches are stored again.
    fn say_stored(&mut self) {
        self.refusals.refusing = false;
        if std::mem::take(&mut self.refusals.told) {
            self.recorder.info("messages are stored again".to_owned());
        }
    }

    /// The directory of the database.
    fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// Does nothing more from now on, and tells the operator why. Returns the error.
    fn fail(&self, error: StoreError, what: &str) -> StoreError {
        self.failed.set();
        let pending = match error {
            StoreError::InDoubt => "may or may not be stored",
            StoreError::Refused | StoreError::Fatal | StoreError::Damaged => "are not stored",
        };
        self.recorder
            .warn(format!("{what}; pending messages {pending}"));
        error
    }

    fn has_failed(&self) -> bool {
        self.failed.is_set()
    }

    /// Warns if the index keeps blocking retention. At a start it takes a moment.
    fn count_blocked(&mut self, blocked: bool) {
        if blocked {
            self.blocked += 1;
            if self.blocked == BLOCKED_MAX {
                self.recorder.warn(format!(
                    "old messages are not erased: the index, {INDEX}, can't be opened; it may be \
                     removed"
                ));
            }
        }
    }

    /// Empties the write-ahead log once retention has removed all it should, and after an erasure:
    /// the texts must be gone everywhere.
    fn empty_when_removed(&mut self, committed: &Committed, erased: bool) {
        use crate::server::log::OpResult::Retained;
        self.removing |= !committed.firsts.is_empty() || erased;
        let more = |verdict: &_| matches!(verdict, Retained { more: true });
        if self.removing && !committed.results.iter().any(more) {
            self.removing = false;
            if let Some(checkpoints) = &self.checkpoints {
                checkpoints.empty();
            }
        }
    }

    /// Removes the mark of a relaxed run, and leaves one complete file unless a reader is active: a
    /// clean end does not need that, and must not wait for it.
    fn close(&mut self) -> rusqlite::Result<()> {
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        if self.durability == Durability::Relaxed {
            // Its commit syncs the whole write-ahead log.
            schema::set_meta(&self.connection, open::RELAXED, None)?;
        }
        self.connection.busy_timeout(Duration::ZERO)?;
        checkpoint::step(&self.connection, "TRUNCATE").map(drop)
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.index = None;
        self.checkpoints = None;
        if self.has_failed() {
            // The files stay as they are: later writes can't be relied on either.
            let keep = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
            let _ = self.connection.set_db_config(keep, true);
        } else if let Err(error) = self.close() {
            // Nothing is lost by that.
            self.recorder.warn(format!(
                "the log could not be copied into the database: {}; the next start does it",
                reason(&error)
            ));
        }
    }
}

impl LogWriter for SqliteStore {
    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn standings(&self) -> Vec<(RoomId, Standing)> {
        let standing = |room: &Room| Standing {
            extent: room.state.extent,
            revised: room.state.revised,
        };
        let rooms = self.rooms.all();
        rooms.map(|room| (room.id, standing(room))).collect()
    }

    fn known_times(&self) -> KnownTimes {
        // A value that can't be read counts as missing, since the last entry's time suffices.
        let believed = schema::meta(&self.connection, retain::BELIEVED)
            .ok()
            .flatten();
        let times = self.rooms.all().filter_map(|room| room.state.last_time);
        KnownTimes {
            believed: believed.and_then(|time| time.parse().ok()),
            last: times.max(),
        }
    }

    fn append(&mut self, batch: Batch) -> Result<Committed, StoreError> {
        let writing = self.checkpoints.as_ref().map(Checkpoints::begin);
        if self.has_failed() {
            return Err(StoreError::Fatal);
        }
        let only_opens = |batch: &Batch| {
            let mut operations = batch.operations.iter();
            operations.all(|operation| matches!(operation, Operation::OpenDevice { .. }))
        };
        let readable = only_opens(&batch).then(|| batch.clone());
        if self.refusals.refusing && readable.is_some() {
            return self.answer(batch);
        }
        let done = match (self.transact(batch), readable) {
            (Err(StoreError::Refused), Some(batch)) => return self.answer(batch),
            (done, _) => done?,
        };
        drop(writing);
        let changed: Vec<_> = done.rooms.iter().map(|room| room.id).collect();
        for room in done.rooms {
            self.rooms.put(room);
        }
        self.devices.keep(done.devices);
        if done.wrote {
            self.say_stored();
        }
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.committed(done.bytes, !done.committed.firsts.is_empty());
        }
        if let Some(index) = &self.index {
            index.poke(changed);
        }
        self.count_blocked(done.blocked);
        if !done.committed.runs.is_empty() {
            self.compaction
                .committed(!done.committed.revised.is_empty());
        }
        self.note_erasures(&done.erased);
        self.empty_when_removed(&done.committed, !done.erased.is_empty());
        Ok(done.committed)
    }

    fn on_failure(&mut self, tell: Box<dyn FnOnce() + Send>) {
        self.failed.on_told(tell);
    }
}

impl StateStore for SqliteStore {
    fn state(&mut self) -> Result<Vec<StateRecord>, StoreError> {
        state::read(&self.connection).map_err(|_| StoreError::Refused)
    }
}

impl Store for SqliteStore {
    fn idle(&mut self) {
        self.complete_ledger();
        self.compact_at_night(&Zoned::now());
    }

    fn reader(&self) -> Result<Option<Box<dyn Reader>>, StoreError> {
        let rooms = self.rooms.rows();
        let damages = self.damages.clone();
        let log = SqliteLog::open(&self.path, rooms, damages).map_err(|_| StoreError::Refused)?;
        let index = self.index.as_ref().map(Index::reader);
        Ok(Some(Box::new(SqliteReader { log, index })))
    }
}

impl SqliteStore {
    fn read_here<T>(
        &self,
        room: RoomId,
        read: impl FnOnce(&Connection, i64) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let no = self.rooms.get(room).map_or(NO_ROW, |room| room.no);
        within(&self.connection, &self.damages, || {
            read(&self.connection, no)
        })
    }
}

impl LogReader for SqliteStore {
    fn read(&mut self, room: RoomId, from: u64, bytes_max: usize) -> Result<Segment, StoreError> {
        self.read_here(room, |connection, no| {
            read::segment(connection, no, from, bytes_max)
        })
    }

    fn page(&mut self, room: RoomId, part: Part) -> Result<Page, StoreError> {
        self.read_here(room, |connection, no| read::page(connection, no, part))
    }

    fn changed(&mut self, room: RoomId, wanted: ChangedSince) -> Result<Changed, StoreError> {
        self.read_here(room, |connection, no| read::changed(connection, no, wanted))
    }

    fn inbox(
        &mut self,
        user: UserId,
        readable: &[Readable],
        before: Option<u64>,
    ) -> Result<Inbox, StoreError> {
        let row = |part: &Readable| self.rooms.get(part.room).map_or(NO_ROW, |room| room.no);
        let rooms = readable.iter().map(|part| (row(part), part)).collect();
        within(&self.connection, &self.damages, || {
            mentions::inbox(&self.connection, &self.damages, user, &rooms, before)
        })
    }

    fn unread(
        &mut self,
        user: UserId,
        ignored: &[UserId],
        room: RoomId,
        above: u64,
    ) -> Result<Unread, StoreError> {
        self.read_here(room, |connection, no| {
            mentions::unread(connection, &self.damages, (user, ignored), (no, above))
        })
    }
}

impl SearchIndex for SqliteStore {
    fn search(&mut self, room: RoomId, query: &Query, to: u64) -> Result<Found, StoreError> {
        self.read_here(room, |connection, no| {
            read::search(connection, no, query, to)
        })
    }
}
