//! The full-text index: which entries of the log hold which words.
//!
//! It follows the log at a distance, on a thread and in a file of its own, so that no
//! acknowledgement ever waits for it. It holds nothing that the log doesn't: where its file is
//! missing, damaged, of another epoch, of another copy of the log (of each room the last entry is
//! known again by a mark) or of another version of the program, it is made anew behind the running
//! server, and until then a search looks through the log's end and says how far the
//! index reaches.
//!
//! # What is kept
//!
//! One FTS5 table without content of its own. (`content=` names a table of the same database file;
//! in the log's file the index would share its writer, its WAL and its fsync.) An entry's row is
//! `room << 40 | seq`: a room is a range of rows, and newest first is FTS5's own order backwards,
//! so a search reads only as much as it shows. Nothing is ranked.
//!
//! The text is cut into words by [`fold`](crate::search::fold), as when [`Query::matches`] looks
//! for them; FTS5 gets them parted by spaces and passes them through (its `ascii` tokenizer parts
//! at spaces and leaves all else alone, being handed lower case). The first word of each entry
//! stands for its sender.
//!
//! FTS5 finds the beginnings of three letters by a table of their own. For longer ones it would
//! merge all rows of all words that begin so, however many; here the words themselves are looked
//! up first, and the search is for any of these. Beginnings that very many words have, and those
//! of one or two letters, are common: candidates are read from the log and judged by
//! [`Query::matches`]. So is whatever FTS5 finds.
//!
//! # Erasing
//!
//! FTS5 removes an entry when it is told the entry's old text, so it must happen while the log
//! still has it. Who drops the beginning of a room asks for it with [`Index::erase`], goes on with
//! other things, and drops from the log only what [`Index::erased`] says is gone here: from the
//! table (`secure-delete`), from signposts (`erase`), from free space (`secure_delete`) and from
//! the WAL, which is emptied. Where a good part is to go, the index is made anew instead.
//!
//! SQLite's `secure_delete` has a gap: where rows move from one page to another, their old bytes
//! stay in the first page's free space until something else is written there. A small file is
//! written anew after each erasing; in a large one such bytes, words without any order or number,
//! may outlive their message until the page is used again.
//!
//! # Limits
//!
//! Batches have [`BATCH_BYTES_MAX`] bytes of frames; the levels of FTS5's segments are merged a
//! little with each batch, so none of them takes long and few segments stay. A search stops after
//! a time, and after a number of entries read: [`Bounds`].

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

/// The index, and the thread that keeps it. Dropping it stops the thread, and waits for that: the
/// length of one batch.
#[derive(Debug)]
pub struct Index {
    shared: Arc<Shared>,
    path: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl Index {
    /// Begins to keep the index of a log in a file. Returns at once; whatever must be done before
    /// searches find anything is done behind. `rooms` in the order of [`RoomIndex`].
    ///
    /// # Errors
    /// If there can be no further thread.
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

    /// To be called after a commit: there is something new in the log. Never waits.
    pub fn poke(&self) {
        self.shared.change(|state| state.poked = true);
    }

    /// Asks for all entries of a room below a number to be removed. Returns at once;
    /// [`erased`](Self::erased) tells when it is done. The log keeps their texts until then.
    pub fn erase(&self, room: RoomIndex, below: u64) {
        self.shared.change(|state| {
            let room = &mut state.rooms[room.at()];
            room.erase_below = room.erase_below.max(below);
            state.poked = true;
        });
    }

    /// The lowest number of a room that the index may hold: nothing of what is below is left in
    /// its files, or ever will be. 0 while that is not known.
    pub fn erased(&self, room: RoomIndex) -> u64 {
        self.shared.lock().rooms[room.at()].first
    }

    /// The number up to which a room is indexed.
    pub fn indexed(&self, room: RoomIndex) -> u64 {
        self.shared.lock().rooms[room.at()].indexed
    }

    /// Waits until a room is indexed up to a number and erased below another; false if it takes
    /// longer than `patience`. For tests and measurements.
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
            // If it panicked, that was said.
            let _ = thread.join();
        }
    }
}
