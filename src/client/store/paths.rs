//! Where stores are, and who may read them.

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

/// Characters of a file's name that say whose it is.
const READABLE_MAX: usize = 48;
/// How long another process may take over setting a file aside.
const LOCK_WITHIN: Duration = Duration::from_secs(2);
/// How often that is looked at.
const LOCK_EVERY: Duration = Duration::from_millis(20);

/// The directory of all stores: `chat-tui` in the system's directory for state
/// (`$XDG_STATE_HOME`, or `~/.local/state`). `None` where there is no home.
pub fn default_directory() -> Option<PathBuf> {
    let base = choose_base_strategy().ok()?;
    let state = base.state_dir().unwrap_or_else(|| base.data_dir());
    Some(state.join("chat-tui"))
}

/// A profile's file. Its name can be read, as far as a file's name may hold what the profile is
/// called; what tells profiles apart is the digest behind it.
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

/// Makes the directory and the file, for nobody else to read, if they are not there.
pub(super) fn prepare(directory: &Path, file: &Path) -> Result<(), (PathBuf, io::Error)> {
    create_private(directory).map_err(|error| (directory.to_owned(), error))?;
    create(file).map_err(|error| (file.to_owned(), error))
}

/// Makes a directory, and those that it is in, for nobody else to read; one that is there stays
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

/// Makes an empty file, unless there is one; one that is there is nobody else's to read any more.
/// SQLite gives its other files the same mode.
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

/// Whether an error says that there is no such file, and can't be.
pub(crate) fn is_nowhere(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Puts a file in the place of the one that is there, if there is one, at once: whoever looks finds
/// the old one or the new one. Nobody else can read it. Who calls this holds a [`lock`].
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

/// Waits until what a directory holds is on the disk. Where directories can't be synced, what they
/// hold is as safe as that system makes it.
fn sync(directory: &Path) {
    let is_here = directory.as_os_str().is_empty();
    let directory = if is_here { Path::new(".") } else { directory };
    if let Ok(directory) = File::open(directory) {
        let _ = directory.sync_all();
    }
}

/// Writes a file and waits until it is on the disk.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // One that a process of the same number has left behind.
    let _ = fs::remove_file(path);
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Takes what others may do with a file away from them. Where that can't be done (it is somebody
/// else's, or on a file system that knows no modes), it is used as it is.
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

/// Keeps other processes from setting the same file aside; given back when the value goes. Without
/// it (a file system that knows no locks) all goes on as well, if nobody else is there.
///
/// # Errors
/// If another process does not give it back in time.
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
