//! The full-text index: which entries of the log contain which words.
//!
//! It follows the log asynchronously, on a thread and in a file of its own, so that no
//! acknowledgement waits for it. It holds nothing that the log doesn't: if its file is missing,
//! damaged, of another epoch, of another copy of the log (each room's last entry is identified by a
//! hash) or of another version of the program, it is rebuilt while the server runs. Until then a
//! search reads the latest part of the log and says how far the index reaches.
//!
//! # Contents
//!
//! The entries of all rooms are in blocks, in the order in which they were indexed. A block is a
//! contentless FTS5 table of at most [`BLOCK_ENTRIES`] entries. (`content=` names a table of the
//! same database file; in the log's file the index would share its writer, its WAL and its fsync.)
//! A table of spans tells which runs of a room's entries each block holds. Blocks are not per room:
//! a server may have many rooms with few entries.
//!
//! An entry's row id is `room << 40 | seq`, so a room's entries in a block are a range of rows, and
//! newest first is FTS5's own order backwards. A search asks the blocks of the room's spans, newest
//! first, and reads only as much as it returns. Results are not ranked.
//!
//! The text is split into words by [`fold`](crate::search::fold), as for [`Query::matches`]; FTS5
//! gets them separated by spaces and keeps them as they are (its `ascii` tokenizer only splits at
//! spaces, given lower case). The first word of each entry stands for its sender. An entry that is
//! no text, or can't be read, has no words.
//!
//! For prefixes of three letters FTS5 has a table of their own. For longer ones it would merge all
//! rows of all words with the prefix; instead the words are looked up first, and the query is for
//! any of them. Prefixes of very many words, and those of one or two letters, are common:
//! candidates are read from the log and filtered by [`Query::matches`], as are all results of FTS5.
//!
//! # Changes
//!
//! A later entry may change an older one's text, or remove it. When the index comes to the later
//! entry, the present text of the older one goes into the overlay of its block, a small FTS5 table
//! of its own, so that it is found at once. A hit for a former text does not match as the log has
//! it, and is left out. The block is stale until it is rebuilt.
//!
//! # Erasing
//!
//! FTS5 could remove an entry's words only by their old text, and would leave traces in other pages.
//! So nothing is removed from a block. A block all of whose entries are to be erased is dropped; one
//! that also holds others, or is stale, is rebuilt from what the log holds at present: in bounded
//! steps in a new block beside it, which then takes its place. Small remains of several blocks are
//! joined. Retention asks for an erasure with [`Index::erase`], continues, and later removes from
//! the log only the entries that [`Index::erased`] reports as gone: from the tables, from their
//! pages, which SQLite overwrites (`secure_delete`), and from the WAL, which is emptied.
//!
//! A rebuilt block rests for many times as long as the rebuild took. What is to be erased or changes
//! in small steps meanwhile shares the next rebuild.
//!
//! # Limits
//!
//! Batches have [`BATCH_BYTES_MAX`] bytes of frames. FTS5's segments are merged a little with each
//! batch, and those of a full block to one, in steps, so no merge takes long. A search stops after a
//! time, and after a number of entries read: [`Bounds`].

mod blocks;
mod database;
mod expression;
mod failure;
mod limits;
mod rebuild;
mod rooms;
mod schema;
mod search;
mod shared;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

pub use self::search::{Bounds, IndexReader};
use crate::{
    protocol::{Epoch, RoomId},
    server::{priority, supervisor::Supervisor},
};

pub use self::shared::IndexedLog;
use self::{
    limits::Limits,
    shared::{RoomState, Shared, State, message},
};
#[cfg(doc)]
use crate::search::Query;
#[cfg(doc)]
use limits::{BATCH_BYTES_MAX, BLOCK_ENTRIES};

/// The index, with the thread that maintains it. Dropping it stops the thread, and waits for its
/// current batch.
#[derive(Debug)]
pub struct Index {
    shared: Arc<Shared>,
    path: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl Index {
    /// Starts to maintain the index of a log in a file. Returns at once; the thread does all that
    /// is necessary before searches find anything.
    ///
    /// # Errors
    /// If the thread can't be started.
    pub fn start(
        path: &Path,
        epoch: Epoch,
        log: Box<dyn IndexedLog + Send>,
        supervisor: &Supervisor,
    ) -> std::io::Result<Self> {
        Self::start_within(Limits::default(), path, epoch, log, supervisor)
    }

    fn start_within(
        limits: Limits,
        path: &Path,
        epoch: Epoch,
        log: Box<dyn IndexedLog + Send>,
        supervisor: &Supervisor,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::new());
        let writer = writer::Writer::new(path, epoch, log, limits, Arc::clone(&shared));
        let thread = supervisor.start("index", move || {
            priority::behind_talk();
            writer.run();
            Ok(())
        })?;
        Ok(Self {
            shared,
            path: path.to_owned(),
            thread: Some(thread),
        })
    }

    /// Tells the thread that the log has new entries in these rooms, or dropped some. To be called after
    /// a commit; never waits.
    pub fn poke(&self, rooms: impl IntoIterator<Item = RoomId>) {
        self.shared.change(|state| {
            state.news.extend(rooms);
            state.poked = true;
        });
    }

    /// Asks for all entries of a room below a number to be removed. Returns at once;
    /// [`erased`](Self::erased) tells when it is done.
    pub fn erase(&self, room: RoomId, below: u64) {
        self.shared.change(|state| {
            let of = state.rooms.entry(room).or_default();
            if of.erase_below < below {
                of.erase_below = below;
                state.news.insert(room);
                state.poked = true;
            }
        });
    }

    /// The lowest number of a room that the index may hold: no lower entry is in its files, or ever
    /// will be. 0 while that is not known.
    pub fn erased(&self, room: RoomId) -> u64 {
        self.state(room).first
    }

    /// The number up to which a room is indexed.
    pub fn indexed(&self, room: RoomId) -> u64 {
        self.state(room).indexed
    }

    fn state(&self, room: RoomId) -> RoomState {
        let state = self.shared.lock().rooms.get(&room).copied();
        state.unwrap_or_default()
    }

    /// Waits until a room is indexed up to a number and erased below another; false after
    /// `patience`. For tests and benchmarks.
    pub fn wait(&self, room: RoomId, indexed: u64, erased: u64, patience: Duration) -> bool {
        let done = |state: &mut State| {
            let room = state.rooms.get(&room).copied().unwrap_or_default();
            room.indexed >= indexed && room.first >= erased
        };
        let waited = self
            .shared
            .moved
            .wait_timeout_while(self.shared.lock(), patience, |state| !done(state));
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// A reader for another thread.
    pub fn reader(&self) -> IndexReader {
        IndexReader::new(&self.path, Arc::clone(&self.shared))
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.shared.change(|state| state.stopped = true);
        if let Some(thread) = self.thread.take() {
            // A panic was reported already.
            let _ = thread.join();
        }
    }
}
