//! The client's store: the state that outlives a run, in one SQLite database for each *profile*,
//! which is a server and the nickname given at the start. The only part of the client that knows
//! SQL.
//!
//! | what | whose | |
//! |---|---|---|
//! | token | the profile's | made at the first start: identifies the user |
//! | rooms, entries | the profile's | gap-free ranges of a log, each entry as it stands now; all devices write, duplicates are harmless |
//! | what each room is, its marker, its settings | the profile's | as the server told last, and what was read since; removed with the entries when the user leaves the room |
//! | typed texts | the profile's | |
//! | outbox, counters, lease | a device's (a client ID's) | only the holder of the lease changes them |
//! | messages submitted, outcomes | a device's | exchanged between the holder of the lease and processes without it |
//! | drafts | a device's | |
//!
//! **The lease** makes two processes with one client ID safe. Opening takes it, by writing a random
//! value; every transaction that touches the outbox or the counters checks that the value still
//! stands. [`open`] takes it from any holder, as a user expects who opens a second screen; the
//! former holder notices within [`NEWS_EVERY`]. [`open_on_standby`] takes it only if no running
//! process has it ([`liveness`]), as scripts need whose runs overlap.
//!
//! **Handover.** A process without the lease puts its messages into a table of their own
//! ([`handover`]), from which the present or next holder moves them to the outbox. Each entry
//! records which run typed it: its outcome is stored for that run, if that is not the holder
//! itself, and the run fetches it.
//!
//! **Durability.** The database is in WAL mode. A transaction with an outbox entry or a counter is
//! committed with `synchronous=FULL`: it is on the disk when it counts as saved. Messages and
//! cursors are not worth an `fsync` each (`NORMAL`): after a power failure the latest may be
//! missing, and then they come again from the server.
//!
//! **Limits.** [`CACHE_MESSAGES_MAX`] messages of a room, [`CACHE_BYTES_MAX`] for all profiles, and
//! a reserve of free disk space; [`TYPED_MAX`] texts. The oldest are dropped. On a full disk,
//! messages are dropped before anything of an outbox is refused. Messages that the server has
//! erased, or of a log that no longer exists, are dropped too: a few with each save.
//!
//! **Erasure.** The transaction that stores what erases an entry removes its text: from the entry's
//! row and those of its edits, and, if it was this user's, the typed texts and the drafts that hold
//! exactly it. Deleted rows and free pages are overwritten (`secure_delete`), and the write-ahead log
//! is emptied at once. What can remain: earlier texts of an edited message, among the typed texts;
//! traces within pages that are in use; and what the disk keeps of the file's earlier contents. A
//! text that an edit replaced is removed from its row, and may stay in the write-ahead log until
//! that is next emptied.
//!
//! **Damage.** A file that SQLite can't read is set aside under a name with the time in it, and a
//! new one is made. The token, the outboxes and the drafts are copied as far as they can be read;
//! messages come again from the server. A schema newer than this program is left alone. One process
//! at a time does this, under a lock, and only to the file that it has open itself; if another
//! process was quicker, it opens the new file. A process that still has the old file open notices
//! before it commits to an outbox: each such transaction checks that its file is still the one at
//! the path, and rescued data is read under the write lock.

mod budget;
mod cache;
mod device;
mod fault;
mod handover;
mod liveness;
mod pages;
mod paths;
mod profile;
mod recovery;
mod restored;
mod rows;
mod save;
mod schema;
#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, TransactionBehavior};

use super::{
    event::RestoredRoom,
    session::persist_types::{
        ADOPTED_MAX, CacheQuery, CacheResult, LeaseClaim, LeaseStatus, OutboxEntry,
        PersistedOutbox, PersistedState,
    },
};
use crate::{
    protocol::{ClientId, Token},
    text::Line,
};

use self::{budget::Budget, liveness::LivenessLock};

use self::fault::{BUSY_WITHIN, OPEN_BUSY_WITHIN, StoreFault};
pub(crate) use self::paths::{is_nowhere, lock, write_private};
use self::profile::Owner;
pub use self::profile::Profile;
pub use self::restored::RESTORED_MESSAGES_MAX;
pub use self::{
    budget::CACHE_BYTES_MAX,
    cache::CACHE_MESSAGES_MAX,
    device::{DRAFT_BYTES_MAX, TYPED_MAX},
    pages::SEARCH_MESSAGES_MAX,
    paths::{create_private, default_directory},
};

/// How often to call [`Store::has_news`].
pub const NEWS_EVERY: Duration = Duration::from_millis(200);
/// How soon a busy database is tried again. SQLite waits by itself, except where two processes that
/// open it for the first time would wait for each other.
const BUSY_EVERY: Duration = Duration::from_millis(20);

/// An open store, and its contents.
#[derive(Debug)]
pub struct OpenedStore {
    /// The store.
    pub store: Store,
    /// The secret that identifies the user.
    pub token: Token,
    /// The state that the session starts from.
    pub kept: PersistedState,
    /// The rooms, with their latest messages.
    pub rooms: Vec<RestoredRoom>,
    /// Texts sent earlier, oldest first.
    pub typed: Vec<String>,
    /// Notices to the user, each one plain sentence.
    pub notices: Vec<Line>,
}

/// Why there is no store. Displays as one plain sentence.
#[derive(Debug)]
pub enum OpenError {
    /// There is no directory for it.
    NoDirectory,
    /// A newer program made it.
    Newer(PathBuf),
    /// It can't be read or written now.
    Unusable {
        /// The file or directory.
        path: PathBuf,
        /// The reason, in the system's words.
        why: String,
    },
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoDirectory => {
                out.write_str("there is no home directory: name one with --state-dir")
            }
            Self::Newer(path) => write!(out, "{} was made by a newer chat-tui", path.display()),
            Self::Unusable { path, why } => {
                write!(out, "{} can't be used: {why}", path.display())
            }
        }
    }
}

impl std::error::Error for OpenError {}

/// An open store. All its methods block on the disk: it belongs on a thread of its own.
#[derive(Debug)]
pub struct Store {
    database: Connection,
    /// Identity of the open file.
    file: Option<FileId>,
    path: PathBuf,
    profile: Profile,
    token: Token,
    owner: Owner,
    /// Whether we had the lease when last checked.
    held: bool,
    /// Our lock file while we have the lease.
    liveness: Option<LivenessLock>,
    /// SQLite's `data_version` at the last check for news.
    seen: Option<i64>,
    /// The lowest unused counter and key, as far as is known here.
    next: (u64, u64),
    /// [`CACHE_MESSAGES_MAX`], except in tests.
    cache_messages_max: u64,
    budget: Budget,
    /// Whether transactions are set to wait for the disk.
    durable: bool,
    notices: Vec<Line>,
}

/// Whether a profile has a store.
pub fn exists(profile: &Profile) -> bool {
    paths::file(profile).is_file()
}

/// Opens a profile's store, and takes the device's lease. Makes a new store if there is none or it
/// is damaged.
///
/// # Errors
/// If there is no usable store, why; the session can run without.
pub fn open(profile: &Profile) -> Result<OpenedStore, OpenError> {
    open_with(profile, LeaseClaim::Take, OPEN_BUSY_WITHIN)
}

/// As [`open`], but leaves the lease to another running process that has it.
///
/// # Errors
/// As for [`open`].
pub fn open_on_standby(profile: &Profile) -> Result<OpenedStore, OpenError> {
    open_with(profile, LeaseClaim::IfFree, BUSY_WITHIN)
}

fn open_with(
    profile: &Profile,
    claim: LeaseClaim,
    busy_within: Duration,
) -> Result<OpenedStore, OpenError> {
    let path = paths::file(profile);
    let unusable = |why: String| OpenError::Unusable {
        path: path.clone(),
        why,
    };
    paths::prepare(&profile.directory, &path).map_err(|(path, error)| OpenError::Unusable {
        path,
        why: error.to_string(),
    })?;
    let until = Instant::now() + busy_within;
    let attempt = || loop {
        match Store::open_file(profile, path.clone(), claim, busy_within) {
            Err(fault) if fault.is_busy() && Instant::now() < until => thread::sleep(BUSY_EVERY),
            other => return other,
        }
    };
    let first = attempt();
    let first = match first {
        Err(StoreFault::Damaged) => {
            let _lock = lock(&path).map_err(|error| unusable(error.to_string()))?;
            // Another process may have repaired it meanwhile.
            match attempt() {
                Err(StoreFault::Damaged) => {
                    if schema::is_newer(&path) {
                        return Err(OpenError::Newer(path));
                    }
                    let (rescued, aside) = recovery::set_aside(&path).map_err(&unusable)?;
                    let notice = recovery::notice(&aside, rescued.token.is_some());
                    recovery::start_anew(profile, &path, &rescued)
                        .and_then(|()| attempt())
                        .map(|mut opened| {
                            opened.notices.push(notice);
                            opened
                        })
                }
                other => other,
            }
        }
        other => other,
    };
    first.map_err(|fault| match fault {
        StoreFault::Failed(_) if !fault.is_busy() && schema::is_newer(&path) => {
            OpenError::Newer(path.clone())
        }
        fault => unusable(fault.words()),
    })
}

impl Store {
    fn open_file(
        profile: &Profile,
        path: PathBuf,
        claim: LeaseClaim,
        busy_within: Duration,
    ) -> Result<OpenedStore, StoreFault> {
        let (mut database, file) = open_database(&path, busy_within)?;
        let mut owner = Owner::default();
        let mut fresh = [0; 32];
        if getrandom::fill(&mut owner).is_err() || getrandom::fill(&mut fresh).is_err() {
            return Err(other("the system gives no randomness".to_owned()));
        }
        // The lease need not survive a power failure: that ends all processes.
        let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (token, made) = device::token(&transaction, profile, Token::from_bytes(fresh))?;
        let leased = take_lease(&transaction, &profile.client_id, owner, &path, claim)?;
        transaction.commit()?;
        let (outbox, liveness) = leased.unzip();
        if made {
            // The token must survive a power failure.
            schema::sync(&database)?;
        }
        // One consistent snapshot: another process may be changing ranges.
        let transaction = database.transaction()?;
        let rooms = restored::restore(&transaction, &profile.client_id)?;
        let typed = device::typed(&transaction)?;
        let user = device::user(&transaction)?;
        drop(transaction);
        database.busy_timeout(BUSY_WITHIN)?;
        let held = outbox.is_some();
        let kept = PersistedState {
            standby: !held,
            outbox: outbox.unwrap_or_default(),
            rooms: rooms.iter().map(|(kept, _)| kept.clone()).collect(),
            user,
        };
        let store = Self {
            database,
            file,
            path,
            profile: profile.clone(),
            token,
            owner,
            held,
            liveness: liveness.flatten(),
            seen: None,
            next: (kept.outbox.next_counter, kept.outbox.next_key),
            cache_messages_max: CACHE_MESSAGES_MAX,
            budget: Budget::default(),
            durable: false,
            notices: Vec::new(),
        };
        Ok(OpenedStore {
            store,
            token,
            kept,
            rooms: rooms.into_iter().map(|(_, room)| room).collect(),
            typed,
            notices: Vec::new(),
        })
    }

    /// Answers a query.
    pub fn query(&mut self, look: &CacheQuery) -> CacheResult {
        let looked = self.soundly(|store| store.try_query(look));
        looked.unwrap_or_else(|fault| {
            let why = format!(
                "The data stored on this machine can't be read: {}",
                fault.words()
            );
            let why = Line::inert(&why);
            match look {
                CacheQuery::Page { .. } => CacheResult::Page(Err(why)),
                CacheQuery::Search { .. } => CacheResult::Found(Err(why)),
                CacheQuery::Lease(_) => CacheResult::Lease(Err(why)),
                CacheQuery::Adopt { .. } => CacheResult::Adopted(Err(why)),
            }
        })
    }

    fn try_query(&mut self, look: &CacheQuery) -> Result<CacheResult, StoreFault> {
        Ok(match look {
            CacheQuery::Page {
                room,
                epoch,
                part,
                offline,
            } => {
                // Ranges and messages of one snapshot: another process may be dropping some.
                let moment = self.database.transaction()?;
                CacheResult::Page(Ok(pages::page(&moment, *room, *epoch, *part, *offline)?))
            }
            CacheQuery::Search {
                room,
                epoch,
                query,
                to,
            } => {
                let moment = self.database.transaction()?;
                CacheResult::Found(Ok(pages::search(&moment, *room, *epoch, query, *to)?))
            }
            CacheQuery::Lease(claim) => CacheResult::Lease(Ok(self.lease(*claim)?)),
            CacheQuery::Adopt { key } => CacheResult::Adopted(Ok(self.adopt(*key)?)),
        })
    }

    fn lease(&mut self, claim: LeaseClaim) -> Result<LeaseStatus, StoreFault> {
        let (client, owner) = (&self.profile.client_id, self.owner);
        let settled = handover::settled(&self.database, owner)?;
        let holder = device::holder(&self.database, client)?;
        let free = || is_free(&self.path, owner, holder.as_deref());
        let take = claim == LeaseClaim::Take || claim == LeaseClaim::IfFree && free();
        if take && holder.as_deref() != Some(&owner) {
            // The old lock file is obsolete, and the next one has the same name.
            self.liveness = None;
        }
        if !take && settled.is_empty() {
            // Avoids a write transaction, since this is asked often.
            return Ok(LeaseStatus::default());
        }
        let transaction = self
            .database
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        if has_moved(self.file, &self.path) {
            return Err(StoreFault::Moved);
        }
        let settled = handover::settled(&transaction, owner)?;
        handover::told(&transaction, owner)?;
        let claim = if take { claim } else { LeaseClaim::No };
        let leased = take_lease(&transaction, client, owner, &self.path, claim)?;
        transaction.commit()?;
        let (outbox, liveness) = leased.unzip();
        if let Some(outbox) = &outbox {
            self.held = true;
            self.liveness = liveness.flatten().or_else(|| self.liveness.take());
            self.next.0 = self.next.0.max(outbox.next_counter);
            self.next.1 = self.next.1.max(outbox.next_key);
        }
        Ok(LeaseStatus {
            ours: outbox.is_some(),
            unbroken: outbox.is_some() && holder.as_deref() == Some(&self.owner),
            outbox,
            settled,
        })
    }

    fn adopt(&mut self, key: u64) -> Result<Option<Vec<OutboxEntry>>, StoreFault> {
        let (client, owner) = (&self.profile.client_id, self.owner);
        let transaction = self
            .database
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        if has_moved(self.file, &self.path) {
            return Err(StoreFault::Moved);
        }
        if !device::holds_lease(&transaction, client, owner)? {
            self.held = false;
            return Ok(None);
        }
        let next = handover::adopt(&transaction, client, key, ADOPTED_MAX)?;
        let entries = device::entries_from(&transaction, client, key, owner)?;
        transaction.commit()?;
        self.next.1 = self.next.1.max(next);
        Ok(Some(entries))
    }

    /// Whether another process has submitted a message, or taken the lease. Cheap while no process
    /// writes.
    pub fn has_news(&mut self) -> bool {
        let version = self
            .database
            .pragma_query_value(None, "data_version", |row| row.get(0));
        // A failed read is retried the next time, or reported by a save.
        let Ok(version) = version else { return false };
        if !self.held || self.seen.replace(version) == Some(version) {
            return false;
        }
        let client = &self.profile.client_id;
        let lost = device::holds_lease(&self.database, client, self.owner).map(|held| !held);
        lost.and_then(|lost| Ok(lost || handover::is_waiting(&self.database, client)?))
            .unwrap_or(false)
    }

    /// Notices to the user since the last call, each one plain sentence.
    pub fn take_notices(&mut self) -> Vec<Line> {
        std::mem::take(&mut self.notices)
    }

    /// Runs `act`; if the file is damaged or was replaced, once more with a usable one.
    fn soundly<T>(
        &mut self,
        act: impl Fn(&mut Self) -> Result<T, StoreFault>,
    ) -> Result<T, StoreFault> {
        let first = act(self);
        if !matches!(first, Err(StoreFault::Damaged | StoreFault::Moved)) {
            return first;
        }
        let _lock = lock(&self.path).map_err(|error| other(error.to_string()))?;
        if !self.path.exists() {
            self.rebuild()?;
        } else if has_moved(self.file, &self.path) {
            self.reopen()?;
        }
        match act(self) {
            Err(StoreFault::Damaged) => {
                self.rebuild()?;
                act(self)
            }
            other => other,
        }
    }

    /// Replaces a damaged or deleted file by a new one.
    fn rebuild(&mut self) -> Result<(), StoreFault> {
        let (mut rescued, notice) = if self.path.exists() {
            let (rescued, aside) = recovery::set_aside(&self.path).map_err(other)?;
            (rescued, recovery::notice(&aside, true))
        } else {
            (
                recovery::rescue(&self.database),
                recovery::deleted(&self.path),
            )
        };
        rescued.token = Some(self.token);
        if self.held {
            rescued.hold(&self.profile.client_id, self.owner, self.next);
        }
        recovery::start_anew(&self.profile, &self.path, &rescued)?;
        self.reopen()?;
        self.notices.push(notice);
        Ok(())
    }

    /// Opens the file that is now at the path.
    fn reopen(&mut self) -> Result<(), StoreFault> {
        (self.database, self.file) = open_database(&self.path, BUSY_WITHIN)?;
        self.durable = false;
        Ok(())
    }
}

/// Takes the lease if allowed. Returns the outbox, and our lock file unless we already hold the
/// lease or it can't be made.
fn take_lease(
    database: &Connection,
    client: &ClientId,
    owner: Owner,
    path: &Path,
    claim: LeaseClaim,
) -> Result<Option<(PersistedOutbox, Option<LivenessLock>)>, StoreFault> {
    let holder = device::holder(database, client)?;
    let before = holder.as_deref().filter(|holder| **holder != owner);
    let may = match claim {
        LeaseClaim::Take => true,
        LeaseClaim::IfFree => is_free(path, owner, holder.as_deref()),
        LeaseClaim::No => false,
    };
    if !may {
        return Ok(None);
    }
    // The lock file must exist before another process looks for it.
    let ours = holder.is_some() && before.is_none();
    let liveness = if ours {
        None
    } else {
        LivenessLock::sign(path, owner)
    };
    device::take_lease(database, client, owner)?;
    handover::adopt_all(database, client)?;
    let outbox = device::outbox(database, client, owner)?;
    if let Some(before) = before {
        liveness::forget(path, before);
    }
    Ok(Some((outbox, liveness)))
}

/// Whether no other running process has the lease.
fn is_free(path: &Path, owner: Owner, holder: Option<&[u8]>) -> bool {
    holder.is_none_or(|holder| holder == owner || !liveness::is_alive(path, holder))
}

/// Identity of a file, independent of its name.
type FileId = (u64, u64);

fn file_id(path: &Path) -> Option<FileId> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let file = std::fs::metadata(path).ok()?;
        Some((file.dev(), file.ino()))
    }
    // On other systems an open file can't be renamed.
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// Whether the file at the path is another one, or gone.
fn has_moved(file: Option<FileId>, path: &Path) -> bool {
    file.is_some() && file_id(path) != file
}

/// Opens the file at the path; also returns its identity.
fn open_database(
    path: &Path,
    busy_within: Duration,
) -> Result<(Connection, Option<FileId>), StoreFault> {
    let file = file_id(path);
    let database = schema::open(path, busy_within)?;
    if has_moved(file, path) {
        // Another process has just replaced it.
        return Ok((schema::open(path, busy_within)?, file_id(path)));
    }
    Ok((database, file))
}

/// Wraps a failure that does not come from SQLite.
fn other(why: String) -> StoreFault {
    let why = std::io::Error::other(why);
    StoreFault::Failed(rusqlite::Error::ToSqlConversionFailure(Box::new(why)))
}
