//! Limits the disk space of the caches: a number of bytes for all profiles together, and a reserve
//! of free space, so that the user's own messages can always be stored.
//!
//! Beyond, messages are dropped from the room with the most, oldest first. The latest message of
//! each room stays, because it marks the position to resume from. Idle profiles are emptied before
//! the one in use.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rusqlite::Connection;

use super::{StoreFault, cache, paths, schema};

/// Bytes of cached messages in the stores of all profiles in a directory.
pub const CACHE_BYTES_MAX: u64 = 256 << 20;
/// Bytes of the disk that caches leave free, or
const FREE_BYTES_MIN: u64 = 64 << 20;
/// this share of it, if that is less.
const FREE_SHARE: u64 = 20;
/// A profile that was not written to for this long is idle.
const IDLE_AFTER: Duration = Duration::from_hours(1);
/// How long to wait for a locked idle profile.
const IDLE_BUSY_WITHIN: Duration = Duration::from_millis(50);
/// Messages dropped at a time when the disk is nearly full, and when it is full: dropping takes
/// space too.
const LOW_STEP: u64 = 500;
const FULL_STEP: u64 = 100;
/// How often that is repeated for one save.
const STEPS_MAX: u32 = 64;
const FULL_STEPS: u32 = 8;
/// A file beside the stores that is removed when the disk is full, and its size.
const RESERVE: &str = "reserve.bin";
const RESERVE_BYTES: usize = 2 << 20;

/// The limits of the caches in a directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// See [`CACHE_BYTES_MAX`].
    pub(super) bytes_max: u64,
    /// The disk's free and total bytes; `None`: ask the system. For tests.
    pub(super) disk: Option<(u64, u64)>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            bytes_max: CACHE_BYTES_MAX,
            disk: cfg!(test).then_some((u64::MAX, u64::MAX)),
        }
    }
}

/// The size of a database.
#[derive(Clone, Copy, Debug)]
struct DatabaseSize {
    /// Bytes of its file, without its write-ahead log.
    file: u64,
    /// Bytes of the pages in use.
    live: u64,
}

impl DatabaseSize {
    fn of(database: &Connection) -> Result<Self, StoreFault> {
        let number = |name| -> Result<u64, StoreFault> {
            let value: i64 = database.pragma_query_value(None, name, |row| row.get(0))?;
            Ok(u64::try_from(value).unwrap_or(0))
        };
        let (page, pages) = (number("page_size")?, number("page_count")?);
        Ok(Self {
            file: pages * page,
            live: pages.saturating_sub(number("freelist_count")?) * page,
        })
    }
}

impl Budget {
    /// Bytes that this store may take, given the others.
    fn allowance(self, path: &Path) -> u64 {
        let others: u64 = others(path).iter().map(|other| other.bytes).sum();
        self.bytes_max.saturating_sub(others)
    }

    /// Bytes that may be written before the reserve of free space is touched.
    fn spare(self, path: &Path) -> u64 {
        let (free, all) = self.disk.or_else(|| space(path)).unwrap_or((u64::MAX, 0));
        free.saturating_sub(FREE_BYTES_MIN.min(all / FREE_SHARE))
    }

    /// Before a transaction that adds messages of `bytes`: makes room on the disk by dropping older
    /// ones if needed. Returns whether there is room.
    pub(super) fn has_room(self, database: &Connection, path: &Path, bytes: u64) -> bool {
        // They go to the write-ahead log and to the file, with overhead.
        let wanted = bytes.saturating_mul(3);
        for _ in 0..STEPS_MAX {
            if self.spare(path) >= wanted {
                return true;
            }
            if !matches!(evict_step(database, LOW_STEP), Ok(evicted) if evicted > 0) {
                break;
            }
        }
        self.spare(path) >= wanted
    }

    /// Within a transaction that has added messages: drops those over the limit.
    pub(super) fn keep(self, database: &Connection, path: &Path) -> Result<(), StoreFault> {
        let allowance = self.allowance(path);
        while DatabaseSize::of(database)?.live > allowance
            && cache::evict(database, cache::DROP_STEP)? > 0
        {}
        Ok(())
    }

    /// Between transactions: returns free pages of a file over the limit to the disk, and empties
    /// an idle profile if all together are over the limit.
    pub(super) fn give_back(self, database: &Connection, path: &Path) -> Result<(), StoreFault> {
        let DatabaseSize { file, live } = DatabaseSize::of(database)?;
        if file > live && file > self.allowance(path) {
            shrink(database)?;
        }
        let reserve = reserve(path);
        if !reserve.exists() && self.spare(path) > RESERVE_BYTES as u64 {
            // Without the reserve a full disk is harder to handle.
            let _ = paths::write_private(&reserve, &vec![0; RESERVE_BYTES]);
        }
        let others = others(path);
        let all: u64 = others.iter().map(|other| other.bytes).sum::<u64>() + live;
        if all > self.bytes_max
            && let Some(idle) = others.iter().find(|other| other.is_idle())
        {
            // It may be in use after all, damaged, or of another version: then it stays.
            let _ = empty(&idle.path);
        }
        Ok(())
    }
}

/// Makes some room on a full disk; returns whether there may be some now.
pub(super) fn make_room(database: &Connection, path: &Path) -> bool {
    // The next steps need some space themselves for a moment.
    let mut made = fs::remove_file(reserve(path)).is_ok();
    // Moves the write-ahead log's contents to the file and truncates it.
    made |= checkpoint(database);
    let steps = (0..FULL_STEPS).map(|_| evict_step(database, FULL_STEP));
    let evicted: u64 = steps
        .map_while(Result::ok)
        .take_while(|count| *count > 0)
        .sum();
    made || evicted > 0
}

/// Drops some messages, and returns their space to the disk.
fn evict_step(database: &Connection, count: u64) -> Result<u64, StoreFault> {
    let transaction = database.unchecked_transaction()?;
    let evicted = cache::evict(&transaction, count)?;
    transaction.commit()?;
    if evicted > 0 {
        shrink(database)?;
    }
    Ok(evicted)
}

/// The file that reserves space for making room.
fn reserve(path: &Path) -> PathBuf {
    path.with_file_name(RESERVE)
}

/// Empties the write-ahead log; returns whether that worked.
pub(super) fn checkpoint(database: &Connection) -> bool {
    let emptied =
        |row: &rusqlite::Row<'_>| Ok(row.get::<_, i64>(0)? == 0 && row.get::<_, i64>(1)? > 0);
    let done = database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), emptied);
    done.unwrap_or(false)
}

/// Returns free pages of the file to the disk.
fn shrink(database: &Connection) -> Result<(), StoreFault> {
    let mut step = database.prepare("PRAGMA incremental_vacuum")?;
    let mut rows = step.query(())?;
    while rows.next()?.is_some() {}
    drop(rows);
    drop(step);
    checkpoint(database);
    Ok(())
}

/// Empties the cache of an idle profile.
fn empty(path: &Path) -> Result<(), StoreFault> {
    if schema::is_other(path) {
        return Ok(());
    }
    let mut database = schema::connect(path, IDLE_BUSY_WITHIN)?;
    let transaction = database.transaction()?;
    while cache::evict(&transaction, cache::DROP_STEP)? > 0 {}
    transaction.commit()?;
    shrink(&database)
}

/// Another profile's store.
#[derive(Debug)]
struct OtherProfile {
    path: PathBuf,
    bytes: u64,
    written: SystemTime,
}

impl OtherProfile {
    fn is_idle(&self) -> bool {
        let idle = self.written.elapsed().is_ok_and(|time| time > IDLE_AFTER);
        // An emptied one still has its outbox and the latest messages.
        idle && self.bytes > 1 << 20
    }
}

/// The other stores in a store's directory, those first that were not written to for longest.
/// Damaged ones that were set aside are the user's, and not counted.
fn others(path: &Path) -> Vec<OtherProfile> {
    let Some(Ok(entries)) = path.parent().map(fs::read_dir) else {
        return Vec::new();
    };
    let store = |entry: fs::DirEntry| {
        let other = entry.path();
        let name = other.file_name()?.to_str()?;
        if other == path
            || other.extension().is_none_or(|end| end != "db")
            || name.contains(".damaged-")
        {
            return None;
        }
        let mut log = other.as_os_str().to_owned();
        log.push("-wal");
        let (file, log) = (entry.metadata().ok()?, fs::metadata(log).ok());
        let written = log.as_ref().and_then(|log| log.modified().ok());
        Some(OtherProfile {
            bytes: file.len() + log.map_or(0, |log| log.len()),
            written: file
                .modified()
                .ok()?
                .max(written.unwrap_or(SystemTime::UNIX_EPOCH)),
            path: other,
        })
    };
    let mut others: Vec<_> = entries.flatten().filter_map(store).collect();
    others.sort_by_key(|other| other.written);
    others
}

/// Free and total bytes of a file's disk, if the system tells.
fn space(path: &Path) -> Option<(u64, u64)> {
    #[cfg(unix)]
    {
        let disk = rustix::fs::statvfs(path).ok()?;
        Some((
            disk.f_bavail.saturating_mul(disk.f_frsize),
            disk.f_blocks.saturating_mul(disk.f_frsize),
        ))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}
