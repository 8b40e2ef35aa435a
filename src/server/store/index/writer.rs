//! The thread that maintains the index: it follows the log, erases, and rebuilds.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use rusqlite::ErrorCode;
use tracing::{info, warn};

use super::{
    IndexedLog, Shared,
    database::{Database, Step},
    failure::{Failure, Trouble},
    limits::Limits,
    schema,
};
use crate::{
    protocol::{Epoch, Extent},
    server::{log::StoreError, store::disk_space},
};

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
    log: Box<dyn IndexedLog + Send>,
    limits: Limits,
    shared: Arc<Shared>,
    database: Option<Database>,
    failures: u32,
    /// Consecutive failures that were the disk's. Others (no space, no permission, another program
    /// in the way) pass, and the file is good.
    broken: u32,
}

/// What the thread does after a step.
enum Next {
    /// The next step.
    Step,
    /// Nothing until it is poked, or until a time.
    Wait(Option<Instant>),
}

impl Writer {
    pub(super) fn new(
        path: &Path,
        epoch: Epoch,
        log: Box<dyn IndexedLog + Send>,
        limits: Limits,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            path: path.to_owned(),
            epoch,
            log,
            limits,
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
                Ok(next) => {
                    (self.failures, self.broken) = (0, 0);
                    match next {
                        Next::Step => {
                            // The log's writer comes first.
                            std::thread::yield_now();
                            self.shared.pause(Duration::ZERO)
                        }
                        Next::Wait(until) => self.shared.wait(until) && self.shared.pause(GATHER),
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
            Failure::Log(_) => None,
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
            && let Err(error) = self.renew(&why)
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

    /// Removes the file, so that it is made anew.
    fn renew(&mut self, why: &str) -> std::io::Result<()> {
        info!("rebuilding the search index: {why}");
        self.database = None;
        schema::remove(&self.path)
    }

    /// Does the next step. Returns how to go on.
    fn step(&mut self) -> Result<Next, Failure> {
        let damaged = std::mem::take(&mut self.shared.lock().damaged);
        if damaged {
            return Err(Trouble::Useless("it is damaged".to_owned()).into());
        }
        let log = &mut *self.log;
        let database = match &mut self.database {
            Some(database) => database,
            none => {
                let (connection, rooms) = schema::open(&self.path, self.epoch)?;
                let mut database = Database::new(connection, rooms, self.limits)?;
                database.compare(log)?;
                let mut extents = log.extents()?;
                for room in database.known() {
                    // Of a room that the log does not have it must have nothing.
                    extents.entry(room).or_insert(Extent::EMPTY);
                }
                database.meet(&self.shared, &extents)?;
                self.shared.lock().generation += 1;
                none.insert(database)
            }
        };
        let news = std::mem::take(&mut self.shared.lock().news);
        let met = news
            .iter()
            .map(|room| Ok((*room, log.extent(*room)?)))
            .collect::<Result<_, StoreError>>()
            .map_err(Failure::from)
            .and_then(|extents| database.meet(&self.shared, &extents));
        if met.is_err() {
            self.shared.lock().news.extend(news);
        }
        met?;
        let erased = database.erase()?;
        // New messages don't wait until everything is erased.
        let followed = database.follow(log)?;
        database.publish(&self.shared);
        let cleaned = database.clean(log)?;
        database.publish(&self.shared);
        Ok(if [erased, followed, cleaned].contains(&Step::More) {
            Next::Step
        } else {
            Next::Wait(database.wakes_at()?)
        })
    }
}
