//! Paths of stores, and private files and directories.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use etcetera::{BaseStrategy, choose_base_strategy};
use sha2::{Digest, Sha256};

use super::Profile;

/// Characters of a file name that identify the profile to people.
const READABLE_MAX: usize = 48;
/// How long to wait for another process's lock.
const LOCK_WITHIN: Duration = Duration::from_secs(2);
/// How often to retry the lock.
const LOCK_EVERY: Duration = Duration::from_millis(20);

/// The directory of all stores: `chat-tui` in the system's directory for state (`$XDG_STATE_HOME`,
/// or `~/.local/state`). `None` if there is no home directory.
pub fn default_directory() -> Option<PathBuf> {
    let base = choose_base_strategy().ok()?;
    let state = base.state_dir().unwrap_or_else(|| base.data_dir());
    Some(state.join("chat-tui"))
}

/// A profile's file. The name shows server and nickname as far as a file name can; the digest
/// behind them makes it unique.
pub(super) fn file(profile: &Profile) -> PathBuf {
    let nickname = profile.nickname.folded();
    let mut hash = Sha256::new();
    hash.update(profile.server.to_lowercase());
    hash.update([0]);
    hash.update(&nickname);
    let digest = hash.finalize();
    let digest = u64::from_be_bytes(std::array::from_fn(|at| digest[at]));
    let readable: String = format!("{}-{nickname}", profile.server)
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(READABLE_MAX)
        .collect();
    profile
        .directory
        .join(format!("{readable}-{digest:016x}.db"))
}

/// Makes the directory and the file, readable by their owner only, if they are missing.
pub(super) fn prepare(directory: &Path, file: &Path) -> Result<(), (PathBuf, io::Error)> {
    create_private(directory).map_err(|error| (directory.to_owned(), error))?;
    create(file).map_err(|error| (file.to_owned(), error))
}

/// Makes a directory and its missing parents, readable by their owner only; an existing one stays
/// as it is.
pub fn create_private(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let missing = directory.ancestors().take_while(|place| !place.exists());
    let made: Vec<_> = missing.collect();
    builder.create(directory)?;
    made.iter()
        .filter_map(|place| place.parent())
        .for_each(sync);
    Ok(())
}

/// Makes an empty file, unless there is one; an existing one becomes private. SQLite gives its
/// other files the same mode.
pub(super) fn create(file: &Path) -> io::Result<()> {
    if file.exists() {
        tighten(file);
        return Ok(());
    }
    let mut options = File::options();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file).map(drop)
}

/// Whether an error means that there is no such file, and can't be.
pub(crate) fn is_nowhere(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Replaces a file atomically: a reader finds the old one or the new one. Only its owner can read
/// it. The caller must hold a [`lock`].
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension(format!("{}.new", std::process::id()));
    let written = write_new(&new, bytes).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // It may never have been made.
        let _ = fs::remove_file(&new);
    } else if let Some(directory) = path.parent() {
        sync(directory);
    }
    written
}

/// Waits until a directory's entries are on the disk. On systems where directories can't be synced,
/// that does nothing.
fn sync(directory: &Path) {
    let is_here = directory.as_os_str().is_empty();
    let directory = if is_here { Path::new(".") } else { directory };
    if let Ok(directory) = File::open(directory) {
        let _ = directory.sync_all();
    }
}

/// Writes a file and waits until it is on the disk.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Left behind by a process with the same id.
    let _ = fs::remove_file(path);
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Removes other users' access to a file. If that fails (another user owns it, or the file system
/// has no modes), the file is used as it is.
fn tighten(file: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if fs::metadata(file).is_ok_and(|file| file.permissions().mode() & 0o077 != 0) {
            let _ = fs::set_permissions(file, fs::Permissions::from_mode(0o600));
        }
    }
    #[cfg(not(unix))]
    let _ = file;
}

/// Locks a file against other processes that would replace it; released on drop. On a file system
/// without locks, `None`: everything works if no other process is there.
///
/// # Errors
/// If another process does not release it in time.
pub(crate) fn lock(file: &Path) -> io::Result<Option<File>> {
    let path = file.with_extension("lock");
    if create(&path).is_err() {
        return Ok(None);
    }
    let Ok(lock) = File::options().append(true).open(path) else {
        return Ok(None);
    };
    let until = Instant::now() + LOCK_WITHIN;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(Some(lock)),
            Err(TryLockError::Error(_)) => return Ok(None),
            Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(LOCK_EVERY),
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::other("another program keeps it locked"));
            }
        }
    }
}
