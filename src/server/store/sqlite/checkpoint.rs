//! Copies the write-ahead log into the database, on a thread beside the writer.
//!
//! A checkpoint in SQLite's passive mode blocks nobody. But it copies only what was there when it
//! began; the writer continues meanwhile, and restarts the log only when it finds all of it copied.
//! Under steady load that never happens, and the log grows without end. So the last step is done in
//! a pause of the writer: once passive passes have left little to copy, the writer waits between
//! two batches, the rest is copied, and the next batch restarts the log, overwriting it from its
//! beginning.
//!
//! # The length of the log
//!
//! A checkpoint begins at [`DUE_FRAMES`] (16 MiB). The pause comes when at most [`REST_FRAMES`] (4
//! MiB) are left, or after [`PASSES_MAX`] passes. So the log holds 16 MiB plus what is written
//! during those passes: measured under full load, 20 MB. The writer waits for the rest to be
//! copied, usually at most 4 MiB, and synced.
//!
//! Readers delay this too: the log can't restart while one of them sees an older state of the
//! database. The server's own readers take at most a second. A backup or another program may take
//! longer, and the log then grows by everything written meanwhile. It is truncated afterwards.
//!
//! # Emptying
//!
//! Text of removed entries is still in the log; and when the disk is full, the log may hold its
//! last space. In these cases the writer pauses whatever is left, and the log is emptied
//! (`TRUNCATE`), with retries until it is.

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

/// Frames (pages of 4 KiB) of the log at which a checkpoint begins.
const DUE_FRAMES: i64 = 4_096;
/// Frames that may be left for the writer's pause.
const REST_FRAMES: i64 = 1_024;
/// Passive passes before the pause, however much they leave.
const PASSES_MAX: usize = 4;
/// Bytes of frames that the writer appends between two checks of the log's length, or
const LOOK_BYTES: usize = 256 * 1024;
/// this many commits.
const LOOK_COMMITS: usize = 64;
/// How often the disk's space is checked if nothing is written.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// When to retry after a reader was in the way, or the disk was full.
const RETRY: Duration = Duration::from_millis(250);

/// The checkpoint thread, as the writer controls it.
pub(super) struct Checkpoints {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Bytes since the thread was last asked to check.
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
    /// The thread is to check the log's length.
    look: bool,
    /// The log is to be emptied.
    empty: bool,
    /// The thread is checkpointing.
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

    /// Like [`wait_while`](Self::wait_while), but at most this long.
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

    /// Sleeps this long, or less if the thread is to stop.
    fn sleep(&self, time: Duration) {
        let _ = self
            .changed
            .wait_timeout_while(self.lock(), time, |state| !state.stopped);
    }
}

impl Checkpoints {
    /// Starts the thread, with a connection of its own. It sets `failed` if the disk fails.
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

    /// Begins a batch of the writer, after the current pause if there is one.
    pub(super) fn begin(&self) -> Writing {
        self.shared.wait_while(|state| state.paused).writing = true;
        Writing(Arc::clone(&self.shared))
    }

    /// Notes a commit of so many bytes; or one that removed entries, whose size is not known.
    pub(super) fn committed(&mut self, bytes: usize, removed: bool) {
        self.bytes += bytes;
        self.commits += 1;
        if removed || self.bytes >= LOOK_BYTES || self.commits >= LOOK_COMMITS {
            (self.bytes, self.commits) = (0, 0);
            self.shared.change(|state| state.look = true);
        }
    }

    /// Asks for the log to be emptied: it holds erased texts, or the disk's last space.
    pub(super) fn empty(&self) {
        self.shared.change(|state| state.empty = true);
    }

    /// Waits until nothing is left to do.
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
            // A panic was reported already.
            let _ = thread.join();
        }
    }
}

/// Opens a connection for [`Checkpoints`].
pub(super) fn connect_to_copy(path: &Path) -> Result<Connection> {
    let connection = connect(path, None)?;
    // It must not wait for readers while the writer waits for it.
    connection.busy_timeout(Duration::ZERO)?;
    // The store checkpoints when it closes.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// A batch of the writer, as long as it lives.
pub(super) struct Writing(Arc<Shared>);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.change(|state| state.writing = false);
    }
}

/// A pause of the writer, as long as it lives.
struct Pause<'a>(&'a Shared);

impl<'a> Pause<'a> {
    /// Waits for the current batch to end.
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

/// The progress of a checkpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// A reader or writer was in the way.
    pub(super) busy: bool,
    /// Frames in the log.
    pub(super) frames: i64,
    /// Frames that are copied.
    pub(super) copied: i64,
}

/// One step of a checkpoint: `PASSIVE`, `RESTART`, `TRUNCATE`, or `NOOP` to read the progress.
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
    /// Whether a full disk was reported.
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
                // A request that arrives meanwhile is done next.
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

    /// Checks the disk's space: other programs may fill it while nothing is written here.
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

    /// Does a checkpoint if one is due. Returns false if a reader was in the way.
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

    /// Whether to continue after an error. A failed checkpoint loses nothing and can be repeated;
    /// but a disk that fails to write or to sync can't be trusted any more.
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
                "the disk is full: the log can't be copied into the database; the server keeps trying"
                    .to_owned(),
            );
        }
        true
    }
}
