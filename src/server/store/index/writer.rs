//! The thread that maintains the index: it adds the log's new entries, and erases.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, params};
use tracing::{info, warn};

use super::{
    IndexedLog, Shared, erase, message,
    schema::{self, Kept, Trouble},
};
use crate::{
    protocol::{Epoch, RoomName},
    server::{
        log::{RoomIndex, StoreError},
        store::disk_space,
    },
    text::Body,
};

/// Bytes of frames that are indexed in one transaction: about 1,000 messages, about 20 ms.
pub(super) const BATCH_BYTES_MAX: usize = 256 * 1024;
/// Entries that are erased in one transaction.
const ERASE_MAX: u64 = 100;
/// Entries that are always erased one by one; for more, rebuilding the index may be less work.
const ERASE_SINGLY_MAX: u64 = 10_000;
/// Rebuilding is preferred if it indexes fewer entries than this for each one to be erased. It is
/// faster up to a hundred, but searches find less meanwhile.
const RENEWED_FOR_ONE: u64 = 20;
/// The largest file that is rewritten after an erasure: about 100 ms.
const VACUUM_BYTES_MAX: i64 = 16 * 1024 * 1024;
/// How long to wait for more entries after a commit of the log: many small transactions would
/// create many small segments to merge.
const GATHER: Duration = Duration::from_millis(50);
/// The pause after a failure, doubled with each further one.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_mins(1);
/// Consecutive failures of the disk after which the file is replaced by a new one.
const BROKEN_MAX: u32 = 5;

/// See the module's docs.
pub(super) struct Writer {
    path: PathBuf,
    epoch: Epoch,
    names: Vec<RoomName>,
    log: Box<dyn IndexedLog + Send>,
    shared: Arc<Shared>,
    database: Option<Database>,
    failures: u32,
    /// Consecutive failures that were the disk's. Others (no space, no permission, another program
    /// in the way) pass, and the file is good.
    broken: u32,
}

struct Database {
    connection: Connection,
    rooms: Vec<Kept>,
    /// The room that comes first in the next batch.
    turn: usize,
    /// Whether `secure-delete` is on.
    secure: bool,
    /// Whether the WAL may hold erased texts.
    unsettled: bool,
    /// Whether something was erased since it was opened or settled.
    erased: bool,
}

/// Whether there is more to do at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    More,
    Drained,
}

/// Why a step failed.
enum Failure {
    Index(Trouble),
    Log,
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self::Index(trouble)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Index(error.into())
    }
}

impl From<StoreError> for Failure {
    fn from(_: StoreError) -> Self {
        Self::Log
    }
}

impl Writer {
    pub(super) fn new(
        path: &Path,
        epoch: Epoch,
        rooms: &[RoomName],
        log: Box<dyn IndexedLog + Send>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            path: path.to_owned(),
            epoch,
            names: rooms.to_vec(),
            log,
            shared,
            database: None,
            failures: 0,
            broken: 0,
        }
    }

    /// Works until it is stopped.
    pub(super) fn run(mut self) {
        loop {
            let go_on = match self.step() {
                Ok(step) => {
                    (self.failures, self.broken) = (0, 0);
                    match step {
                        Step::More => {
                            // The log's writer comes first.
                            std::thread::yield_now();
                            self.shared.pause(Duration::ZERO)
                        }
                        Step::Drained => self.shared.wait() && self.shared.pause(GATHER),
                    }
                }
                Err(failure) => self.fail(failure),
            };
            if !go_on {
                return;
            }
        }
    }

    /// Handles a failure: a useless file is removed; anything else is retried later. Returns false
    /// if the thread is to stop.
    fn fail(&mut self, failure: Failure) -> bool {
        self.failures += 1;
        let useless = match failure {
            Failure::Log => None,
            Failure::Index(Trouble::Useless(why)) => Some(why),
            Failure::Index(Trouble::Later(error)) => {
                if self.failures == 1 {
                    warn!("the search index can't be written at the moment: {error}");
                }
                self.broken += u32::from(self.is_broken(&error));
                (self.broken > BROKEN_MAX).then(|| error.to_string())
            }
        };
        if let Some(why) = useless
            && let Err(error) = self.renew(&why, &[])
        {
            warn!("the search index can't be removed: {error}");
        }
        if self.failures <= 1 {
            return self.shared.pause(Duration::ZERO);
        }
        let doublings = (self.failures - 2).min(16);
        self.shared
            .pause((RETRY_MIN * (1 << doublings)).min(RETRY_MAX))
    }

    /// Whether an error is from a failing disk rather than a full one.
    fn is_broken(&self, error: &rusqlite::Error) -> bool {
        error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
            && !self.path.parent().is_some_and(disk_space::is_refused)
    }

    /// Removes the file, so that it is rebuilt, with rooms that begin at `firsts`.
    fn renew(&mut self, why: &str, firsts: &[u64]) -> std::io::Result<()> {
        info!("rebuilding the search index: {why}");
        self.database = None;
        schema::remove(&self.path)?;
        if firsts.is_empty() {
            return Ok(());
        }
        // If this fails, the rooms begin where the log does, and are erased again.
        if let Ok((connection, rooms)) = schema::open(&self.path, self.epoch, &self.names) {
            for (room, &first) in rooms.iter().zip(firsts) {
                let indexed = first.saturating_sub(1);
                let room = Kept {
                    id: room.id,
                    first,
                    indexed,
                    mark: None,
                };
                if let Err(error) = schema::keep(&connection, room) {
                    warn!("the rebuilt search index still has to erase old entries: {error}");
                }
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Step, Failure> {
        let damaged = std::mem::take(&mut self.shared.lock().damaged);
        if damaged {
            return Err(Trouble::Useless("it is damaged".to_owned()).into());
        }
        let database = match &mut self.database {
            Some(database) => database,
            none => {
                let (connection, rooms) = schema::open(&self.path, self.epoch, &self.names)?;
                let database = Database::new(connection, rooms);
                database.compare(&mut *self.log)?;
                self.shared.lock().generation += 1;
                none.insert(database)
            }
        };
        database.check(&mut *self.log)?;
        let firsts = database.wanted_firsts(&self.shared);
        if database.is_cheaper_made_anew(&firsts) {
            let renewed = self.renew("a large part of it is to be erased", &firsts);
            renewed.map_err(|error| schema::cannot_open(&error))?;
            return Ok(Step::More);
        }
        let step = if let Some(room) = database.first_to_erase(&firsts) {
            database.erase(&mut *self.log, room, firsts[room])?;
            // New messages don't wait until everything is erased.
            database.follow(&mut *self.log)?;
            Step::More
        } else if database.unsettled {
            database.settle()?;
            Step::More
        } else {
            database.follow(&mut *self.log)?
        };
        database.publish(&self.shared);
        Ok(step)
    }
}

impl Database {
    fn new(connection: Connection, rooms: Vec<Kept>) -> Self {
        Self {
            connection,
            rooms,
            turn: 0,
            // Remains of the last run have to be cleaned up.
            secure: true,
            unsettled: true,
            erased: false,
        }
    }

    /// Publishes how far the rooms are indexed and, once no remains are left, erased.
    fn publish(&self, shared: &Shared) {
        let mut state = shared.lock();
        for (state, kept) in state.rooms.iter_mut().zip(&self.rooms) {
            state.id = kept.id;
            state.indexed = kept.indexed;
            if !self.unsettled {
                state.first = kept.first;
            }
        }
        drop(state);
        shared.moved.notify_all();
    }

    /// Fails if the log lost indexed entries, which then can't be erased one by one, or ends before
    /// the index, so that its next entries would get numbers in use.
    fn check(&self, log: &mut dyn IndexedLog) -> Result<(), Failure> {
        for (index, room) in (0..).map(RoomIndex).zip(&self.rooms) {
            let extent = log.extent(index)?;
            if room.count() > 0 && extent.first > room.first || extent.head < room.indexed {
                let why = "the log no longer has its entries".to_owned();
                return Err(Trouble::Useless(why).into());
            }
        }
        Ok(())
    }

    /// Fails if a room's last indexed entry is another one in the log: then an older copy of the
    /// log was put in its place, and continued from there.
    fn compare(&self, log: &mut dyn IndexedLog) -> Result<(), Failure> {
        for (index, room) in (0..).map(RoomIndex).zip(&self.rooms) {
            let Some(mark) = room.mark else { continue };
            let segment = log.read(index, room.indexed, 0)?;
            if segment.frame(room.indexed).map(schema::mark) != Some(mark) {
                let why = "it belongs to another copy of the log".to_owned();
                return Err(Trouble::Useless(why).into());
            }
        }
        Ok(())
    }

    /// The number at which each room is to begin.
    fn wanted_firsts(&self, shared: &Shared) -> Vec<u64> {
        let state = shared.lock();
        let rooms = state.rooms.iter().zip(&self.rooms);
        rooms
            .map(|(room, kept)| room.erase_below.max(kept.first))
            .collect()
    }

    fn first_to_erase(&self, firsts: &[u64]) -> Option<usize> {
        let mut rooms = firsts.iter().zip(&self.rooms);
        rooms.position(|(&first, room)| first > room.first)
    }

    /// Indexes the next entries of the log in one transaction. Rooms take turns, so that none waits
    /// for another's long history. Within a transaction they come in the order of their rows, which
    /// FTS5 takes without a flush in between.
    fn follow(&mut self, log: &mut dyn IndexedLog) -> Result<Step, Failure> {
        let transaction = self.connection.transaction()?;
        let mut kept = self.rooms.clone();
        let mut left = BATCH_BYTES_MAX;
        let mut turn = self.turn;
        {
            let mut insert =
                transaction.prepare_cached("INSERT INTO entries(rowid, words) VALUES (?1, ?2)")?;
            let mut text = String::new();
            while turn < kept.len() && left > 0 {
                let room = &mut kept[turn];
                let index = RoomIndex(u32::try_from(turn).unwrap_or(u32::MAX));
                let segment = log.read(index, room.indexed + 1, left)?;
                if !segment.is_empty() {
                    if room.count() == 0 {
                        room.first = room.first.max(segment.first());
                    }
                    for seq in segment.first()..segment.next() {
                        let Some(message) = segment.frame(seq).and_then(message) else {
                            continue;
                        };
                        let body = message.text().map_or("", Body::as_str);
                        schema::entry(&message.author.nickname, body, &mut text, |_| {});
                        insert.execute(params![schema::row(room.id, seq), text])?;
                    }
                    room.indexed = segment.next() - 1;
                    room.mark = segment.frame(room.indexed).map(schema::mark);
                    schema::keep(&transaction, *room)?;
                    left = left.saturating_sub(segment.bytes().len());
                }
                turn += 1;
            }
        }
        transaction.commit()?;
        let whole_round = self.turn == 0 && turn == kept.len();
        self.turn = if turn == kept.len() { 0 } else { turn };
        self.rooms = kept;
        Ok(if whole_round && left > BATCH_BYTES_MAX / 2 {
            Step::Drained
        } else {
            Step::More
        })
    }

    /// Whether so much is to be erased that rebuilding the index is less work.
    fn is_cheaper_made_anew(&self, firsts: &[u64]) -> bool {
        let all: u64 = self.rooms.iter().map(|room| room.count()).sum();
        let gone = firsts
            .iter()
            .zip(&self.rooms)
            .map(|(&first, room)| first.saturating_sub(room.first).min(room.count()));
        let gone: u64 = gone.sum();
        gone > ERASE_SINGLY_MAX && (all - gone) / gone < RENEWED_FOR_ONE
    }

    /// Removes a room's lowest entries below a number, in one transaction.
    fn erase(&mut self, log: &mut dyn IndexedLog, room: usize, below: u64) -> Result<(), Failure> {
        if !self.secure {
            self.configure_secure(true)?;
        }
        let mut kept = self.rooms[room];
        let transaction = self.connection.transaction()?;
        let last = kept.indexed.min(below - 1);
        let mut next = kept.first;
        let end = last.saturating_add(1).min(next.saturating_add(ERASE_MAX));
        let mut words = HashSet::new();
        while next < end {
            let index = RoomIndex(u32::try_from(room).unwrap_or(u32::MAX));
            let segment = log.read(index, next, BATCH_BYTES_MAX)?;
            if segment.first() > next || segment.is_empty() {
                let why = "the log no longer has the entries to be erased".to_owned();
                return Err(Trouble::Useless(why).into());
            }
            erase::entries(&transaction, kept.id, &segment, next..end, &mut words)?;
            next = segment.next().min(end);
        }
        if next > last {
            // Entries below it that are not indexed yet never will be.
            next = below;
            kept.indexed = kept.indexed.max(below - 1);
            if kept.indexed < below {
                kept.mark = None;
            }
        }
        kept.first = next;
        erase::words(&transaction, &words)?;
        schema::keep(&transaction, kept)?;
        transaction.commit()?;
        self.unsettled = true;
        self.erased = true;
        self.rooms[room] = kept;
        Ok(())
    }

    fn configure_secure(&mut self, on: bool) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("INSERT INTO entries(entries, rank) VALUES ('secure-delete', ?1)")?
            .execute([i64::from(on)])?;
        self.secure = on;
        Ok(())
    }

    /// Empties the WAL, and makes everything durable. A small file is rewritten too, since SQLite
    /// leaves bytes behind when it moves rows between pages.
    fn settle(&mut self) -> Result<(), Failure> {
        if self.secure {
            self.configure_secure(false)?;
        }
        let bytes: i64 = self.connection.query_row(
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
            [],
            |row| row.get(0),
        )?;
        if self.erased && bytes <= VACUUM_BYTES_MAX {
            self.connection.execute_batch("VACUUM")?;
        }
        let busy: bool =
            self.connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
            return Err(rusqlite::Error::SqliteFailure(code, None).into());
        }
        self.unsettled = false;
        self.erased = false;
        Ok(())
    }
}
