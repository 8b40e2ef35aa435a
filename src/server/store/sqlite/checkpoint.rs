//! Copies the write-ahead log into the database, beside the writer.
//!
//! A checkpoint in SQLite's passive mode holds nobody up. But it copies only what was there when it
//! began; the writer goes on meanwhile, and begins the log anew only when it finds all of it
//! copied. Under steady load that never happens, and the log grows without end. So the last step
//! is done in a pause of the writer: once passive passes have left little to copy, the writer is
//! stopped between two batches, the rest is copied, and the next batch begins the log anew, over
//! what was there.
//!
//! # How long the log gets
//!
//! A checkpoint begins at [`DUE_FRAMES`] (16 MiB). The pause comes when at most [`REST_FRAMES`]
//! (4 MiB) are left, or after [`PASSES_MAX`] passes. So the log holds 16 MiB and what is written
//! during those passes: measured under full load, 20 MB. The writer pays with the time that it
//! takes to copy what is left, as a rule 4 MiB at the most, and to sync it.
//!
//! Somebody who reads holds the log up too: it can't begin anew while he sees an older state of
//! the database. The server's own readers take a second at the most; a backup or somebody with
//! another tool takes as long as he takes, and the log then grows by all that is written meanwhile.
//! It is cut back afterwards.
//!
//! # Emptied
//!
//! After entries were removed, their text still stands in the log; and when the disk is full, the
//! log may hold its last space. Then the pause comes whatever is left, and the log is emptied
//! (`TRUNCATE`), or that is tried again until it is.

use std::{
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use rusqlite::{Connection, Result, config::DbConfig};

use super::{
    failure::{self, Failed},
    schema::connect,
};
use crate::server::{event_log::EventLog, store::disk_space::Watch, supervisor::Supervisor};

/// Frames (pages of 4 KiB) of the log at which it is copied.
const DUE_FRAMES: i64 = 4_096;
/// Frames that may be left for the writer's pause.
const REST_FRAMES: i64 = 1_024;
/// Passive passes before the pause, however much they leave.
const PASSES_MAX: usize = 4;
/// Bytes of frames that the writer appends between two looks at the log's length, or
const LOOK_BYTES: usize = 256 * 1024;
/// so many commits.
const LOOK_COMMITS: usize = 64;
/// How often the disk's space is looked at, if nothing is written.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// When to try again after somebody was in the way, or the disk was full.
const RETRY: Duration = Duration::from_millis(250);

/// The thread, and the writer's side of it.
pub(super) struct Checkpoints {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Since the thread was last asked to look.
    bytes: usize,
    commits: usize,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is set by one side and waited for by another"
)]
struct State {
    /// The writer is in a batch.
    writing: bool,
    /// The writer is to wait before its next batch.
    paused: bool,
    /// The thread is to look at the log's length.
    look: bool,
    /// The log is to be emptied.
    empty: bool,
    /// The thread is at it.
    working: bool,
    stopped: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No state is left half changed by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changed.notify_all();
        changed
    }

    fn wait_while(&self, condition: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        self.changed
            .wait_while(self.lock(), |state| condition(state))
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, but not for longer than this.
    fn wait_while_for(
        &self,
        time: Duration,
        condition: impl Fn(&State) -> bool,
    ) -> MutexGuard<'_, State> {
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), time, |state| condition(state));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits so long, or less if the thread is to stop.
    fn sleep(&self, time: Duration) {
        let _ = self
            .changed
            .wait_timeout_while(self.lock(), time, |state| !state.stopped);
    }
}

impl Checkpoints {
    /// Starts the thread, with a connection of its own. `failed` is set when the disk fails it.
    pub(super) fn start(
        connection: Connection,
        failed: Arc<Failed>,
        recorder: EventLog,
        supervisor: &Supervisor,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let keeper = Checkpointer {
            connection,
            shared: Arc::clone(&shared),
            failed,
            recorder,
            space: Watch::default(),
            warned: false,
        };
        let thread = supervisor.start("checkpoint", move || {
            keeper.run();
            Ok(())
        })?;
        Ok(Self {
            shared,
            thread: Some(thread),
            bytes: 0,
            commits: 0,
        })
    }

    /// The writer begins a batch: at once, or after the pause under way.
    pub(super) fn begin(&self) -> Writing {
        self.shared.wait_while(|state| state.paused).writing = true;
        Writing(Arc::clone(&self.shared))
    }

    /// The writer has committed so many bytes, or removed entries: what that writes is not known.
    pub(super) fn committed(&mut self, bytes: usize, removed: bool) {
        self.bytes += bytes;
        self.commits += 1;
        if removed || self.bytes >= LOOK_BYTES || self.commits >= LOOK_COMMITS {
            (self.bytes, self.commits) = (0, 0);
            self.shared.change(|state| state.look = true);
        }
    }

    /// The log is to be emptied: there are texts in it that shall be nowhere, or it takes the disk's
    /// last space.
    pub(super) fn empty(&self) {
        self.shared.change(|state| state.empty = true);
    }

    /// Waits until nothing is left to be done.
    #[cfg(test)]
    pub(super) fn settle(&self) {
        let busy = |state: &State| state.look || state.empty || state.working;
        drop(self.shared.wait_while(busy));
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.shared.change(|state| state.stopped = true);
        if let Some(thread) = self.thread.take() {
            // If it panicked, that was said.
            let _ = thread.join();
        }
    }
}

/// Opens a connection for [`Checkpoints`].
pub(super) fn connect_to_copy(path: &Path) -> Result<Connection> {
    let connection = connect(path, None)?;
    // Readers are not waited for while the writer waits.
    connection.busy_timeout(Duration::ZERO)?;
    // The store does that.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// While the writer is in a batch.
pub(super) struct Writing(Arc<Shared>);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.change(|state| state.writing = false);
    }
}

/// While the writer waits.
struct Pause<'a>(&'a Shared);

impl<'a> Pause<'a> {
    /// Begins with the end of the batch under way.
    fn begin(shared: &'a Shared) -> Self {
        shared.change(|state| state.paused = true);
        let pause = Self(shared);
        drop(shared.wait_while(|state| state.writing));
        pause
    }
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.paused = false);
    }
}

/// How far a checkpoint has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// Somebody was in the way.
    pub(super) busy: bool,
    /// Frames in the log.
    pub(super) frames: i64,
    /// Of these, frames that are copied.
    pub(super) copied: i64,
}

/// A step of a checkpoint: `PASSIVE`, `RESTART`, `TRUNCATE`, or `NOOP` to have a look.
pub(super) fn step(connection: &Connection, mode: &str) -> Result<Progress> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        Ok(Progress {
            busy: row.get(0)?,
            frames: row.get(1)?,
            copied: row.get(2)?,
        })
    })
}

struct Checkpointer {
    connection: Connection,
    shared: Arc<Shared>,
    failed: Arc<Failed>,
    recorder: EventLog,
    space: Watch,
    /// Whether it was said that the disk is full.
    warned: bool,
}

impl Checkpointer {
    fn run(mut self) {
        loop {
            self.watch_space();
            let empty = {
                let idle = |state: &State| !(state.look || state.empty || state.stopped);
                let mut state = self.shared.wait_while_for(WATCH_EVERY, idle);
                if state.stopped {
                    return;
                }
                if idle(&state) {
                    continue;
                }
                state.look = false;
                state.working = true;
                // Asked for again meanwhile, it is done again.
                std::mem::take(&mut state.empty)
            };
            let done = self.checkpoint(empty).or_else(|error| {
                let may_pass = self.may_pass(&error);
                may_pass.then_some(false).ok_or(())
            });
            self.shared.change(|state| {
                state.working = false;
                state.empty |= empty && done == Ok(false);
                state.stopped |= done.is_err();
            });
            if done == Ok(false) {
                self.shared.sleep(RETRY);
            }
        }
    }

    /// Others may fill the disk while nothing is written here.
    fn watch_space(&mut self) {
        let directory = self.connection.path().map(Path::new);
        let said = directory
            .and_then(Path::parent)
            .and_then(|directory| self.space.look(directory));
        match said {
            Some((true, words)) => self.recorder.warn(words),
            Some((false, words)) => self.recorder.info(words),
            None => {}
        }
    }

    /// False if somebody was in the way of what was to be done.
    fn checkpoint(&mut self, empty: bool) -> Result<bool> {
        if !empty && step(&self.connection, "NOOP")?.frames < DUE_FRAMES {
            return Ok(true);
        }
        for _ in 0..PASSES_MAX {
            let Progress { frames, copied, .. } = step(&self.connection, "PASSIVE")?;
            if frames - copied <= REST_FRAMES {
                break;
            }
        }
        let _pause = Pause::begin(&self.shared);
        let mode = if empty { "TRUNCATE" } else { "RESTART" };
        let busy = step(&self.connection, mode)?.busy;
        self.warned = false;
        Ok(!busy)
    }

    /// Nothing is lost by a checkpoint that could not be: it can be done again. But a disk that
    /// fails to write or to sync is not to be trusted with anything more.
    fn may_pass(&mut self, error: &rusqlite::Error) -> bool {
        let directory = self.connection.path().map(Path::new);
        let directory = directory.and_then(Path::parent);
        if !directory.is_some_and(|directory| failure::may_pass(error, directory)) {
            self.failed.set();
            self.recorder.warn(format!(
                "the log can't be copied into the database: {error}"
            ));
            self.failed.tell();
            return false;
        }
        if failure::wants_space(error) && !self.warned {
            self.warned = true;
            self.recorder.warn(
                "the disk is full: the log can't be copied into the database; it is tried again"
                    .to_owned(),
            );
        }
        true
    }
}
