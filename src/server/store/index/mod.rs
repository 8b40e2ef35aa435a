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
//! One contentless FTS5 table. (`content=` names a table of the same database file; in the log's
//! file the index would share its writer, its WAL and its fsync.) An entry's row id is
//! `room << 40 | seq`: a room is a range of rows, and newest first is FTS5's own order backwards, so a search
//! reads only as much as it returns. Results are not ranked.
//!
//! The text is split into words by [`fold`](crate::search::fold), as for [`Query::matches`]; FTS5
//! gets them separated by spaces and keeps them as they are (its `ascii` tokenizer only splits at
//! spaces, given lower case). The first word of each entry stands for its sender.
//!
//! For prefixes of three letters FTS5 has a table of their own. For longer ones it would merge all
//! rows of all words with the prefix; instead the words are looked up first, and the query is for
//! any of them. Prefixes of very many words, and those of one or two letters, are common:
//! candidates are read from the log and filtered by [`Query::matches`], as are all results of FTS5.
//!
//! # Erasing
//!
//! FTS5 removes an entry when it gets the entry's old text, so this must happen while the log still
//! has it. Retention asks for it with [`Index::erase`], continues, and later removes from the log
//! only the entries that [`Index::erased`] reports as gone: from the table (`secure-delete`), from
//! signposts (`erase`), from free space (`secure_delete`) and from the WAL, which is emptied. If a
//! large part is to be erased, the index is rebuilt instead.
//!
//! SQLite's `secure_delete` has a gap: when rows move from one page to another, their old bytes
//! stay in the first page's free space until that is overwritten. A small file is rewritten after
//! each erasure; in a large one such bytes, words without order or number, may outlive their
//! message until the page is reused.
//!
//! # Limits
//!
//! Batches have [`BATCH_BYTES_MAX`] bytes of frames. FTS5's segments are merged a little with each
//! batch, so no merge takes long and few segments remain. A search stops after a time, and after a
//! number of entries read: [`Bounds`].

mod erase;
mod expression;
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
    protocol::{Epoch, RoomName},
    server::{log::RoomIndex, priority, supervisor::Supervisor},
};

pub use self::shared::IndexedLog;
use self::shared::{Shared, State, message};
#[cfg(doc)]
use crate::search::Query;
#[cfg(doc)]
use writer::BATCH_BYTES_MAX;

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
    /// is necessary before searches find anything. `rooms` in the order of [`RoomIndex`].
    ///
    /// # Errors
    /// If the thread can't be started.
    pub fn start(
        path: &Path,
        epoch: Epoch,
        rooms: &[RoomName],
        log: Box<dyn IndexedLog + Send>,
        supervisor: &Supervisor,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::new(rooms.len()));
        let writer = writer::Writer::new(path, epoch, rooms, log, Arc::clone(&shared));
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

    /// Tells the thread that the log has new entries. To be called after a commit; never waits.
    pub fn poke(&self) {
        self.shared.change(|state| state.poked = true);
    }

    /// Asks for all entries of a room below a number to be removed. Returns at once;
    /// [`erased`](Self::erased) tells when it is done. The log has to keep their texts until then.
    pub fn erase(&self, room: RoomIndex, below: u64) {
        self.shared.change(|state| {
            let room = &mut state.rooms[room.at()];
            room.erase_below = room.erase_below.max(below);
            state.poked = true;
        });
    }

    /// The lowest number of a room that the index may hold: no lower entry is in its files, or ever
    /// will be. 0 while that is not known.
    pub fn erased(&self, room: RoomIndex) -> u64 {
        self.shared.lock().rooms[room.at()].first
    }

    /// The number up to which a room is indexed.
    pub fn indexed(&self, room: RoomIndex) -> u64 {
        self.shared.lock().rooms[room.at()].indexed
    }

    /// Waits until a room is indexed up to a number and erased below another; false after
    /// `patience`. For tests and benchmarks.
    pub fn wait(&self, room: RoomIndex, indexed: u64, erased: u64, patience: Duration) -> bool {
        let done = |state: &mut State| {
            let room = state.rooms[room.at()];
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
