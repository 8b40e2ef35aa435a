//! What an operator does with a log: back it up and restore it, export and import a room, erase
//! texts.
//!
//! Backup and export read, and so work beside a server that runs. All else changes the log and
//! takes the data directory's lock, which a server holds.
//!
//! Root works in a data directory, and in one that a new file is for, as its owner ([`AsOwner`]).
//! What is read from elsewhere is opened as root.

mod backup;
mod erase;
mod transfer;

use std::{
    fmt,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use super::{
    OpenError,
    lock::{Lock, take},
    open::{check, check_header, check_schema, check_version, make, make_lasting, open_database},
    open_error::{is_lasting, refusal},
    owner::AsOwner,
    paths::{
        DATABASE, INDEX, RESTORING, has_log, is_there, move_to, private, remove, sync_directory,
    },
    schema::connect_to_read,
};
use crate::protocol::RoomName;

pub use self::{
    backup::{Restored, backup, restore},
    erase::{TOMBSTONE, erase},
    transfer::{Exported, export, import},
};

/// Why something could not be done. Its text says what to do, in plain sentences. But for
/// [`Held`](Self::Held), the log is as it was.
#[derive(Debug)]
pub enum MaintenanceError {
    /// The log can't be opened.
    Open(OpenError),
    /// This is no backup that can be restored, and why.
    NoBackup(PathBuf, String),
    /// There is a file of that name.
    Exists(PathBuf),
    /// It is to be a file, and is a directory.
    Directory(PathBuf),
    /// A file can't be read or written.
    File(PathBuf, io::Error),
    /// What was to be read or written by a stream could not be.
    Stream(io::Error),
    /// It is done, but this file of the log still has what was there before, as long as another
    /// program reads it.
    Held(PathBuf),
    /// There is no such room in the log.
    NoRoom(RoomName),
    /// The room has, or had, messages.
    NotEmpty(RoomName),
    /// This line is not what it must be.
    Line(u64, String),
    /// The first number is higher than the last.
    Reversed(u64, u64),
    /// The room does not hold all of the messages asked for, but those from one number to another.
    NotHeld {
        /// The room.
        room: RoomName,
        /// The first and the last that were asked for.
        asked: (u64, u64),
        /// The lowest number held.
        first: u64,
        /// The highest; one less than `first` where there are none.
        head: u64,
    },
}

impl MaintenanceError {
    /// Whether the same may go well later, without anything being done about it.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Open(error) => error.may_pass(),
            Self::File(_, error) => !is_lasting(error),
            Self::Stream(_) | Self::Held(_) => true,
            _ => false,
        }
    }
}

impl fmt::Display for MaintenanceError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(OpenError::InUse(path, process)) => {
                write!(out, "{} is in use by a server", path.display())?;
                if let Some(process) = process {
                    write!(out, " (process {process})")?;
                }
                out.write_str(". Stop it first")
            }
            Self::Open(error) => error.fmt(out),
            Self::NoBackup(path, why) => write!(
                out,
                "{} can't be restored: {why}. Nothing was changed",
                path.display()
            ),
            Self::Exists(path) => write!(
                out,
                "There is a file {} already. Choose another name",
                path.display()
            ),
            Self::Directory(path) => write!(
                out,
                "{} is a directory. Say how the file in it is to be called",
                path.display()
            ),
            Self::File(path, error) => {
                let path = path.display();
                write!(out, "{path} can't be read or written: {error}. ")?;
                out.write_str(match error.kind() {
                    io::ErrorKind::NotFound => {
                        "LogQuery at the name, and whether its directory is there"
                    }
                    io::ErrorKind::PermissionDenied => {
                        "Choose a place that this user may use, or run this as the one who may"
                    }
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        "Make room, then try again"
                    }
                    _ => "LogQuery at the disk, or choose another place",
                })
            }
            Self::Stream(error) => write!(out, "It can't be read or written: {error}"),
            Self::Held(path) => write!(
                out,
                "Another program reads {} (a backup?), which keeps the old texts in the file. Run \
                 this again when it is done",
                path.display()
            ),
            Self::NoRoom(room) => write!(out, "There is no room {room} in the log"),
            Self::NotEmpty(room) => write!(
                out,
                "The room {room} has messages already. Import into an empty room only"
            ),
            Self::Line(number, why) => {
                write!(out, "Line {number}: {why}. Nothing was imported")
            }
            Self::Reversed(first, last) => write!(
                out,
                "From {first} to {last} there is nothing: say the lower number first"
            ),
            Self::NotHeld {
                room, first, head, ..
            } if first > head => write!(out, "The room {room} holds no messages"),
            Self::NotHeld {
                room,
                asked: (from, to),
                first,
                head,
            } => {
                write!(
                    out,
                    "The room {room} holds the messages {first} to {head}, "
                )?;
                if from == to {
                    write!(out, "and no {from}")
                } else {
                    write!(out, "not all from {from} to {to}")
                }
            }
        }
    }
}

impl std::error::Error for MaintenanceError {}

impl From<OpenError> for MaintenanceError {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

type Result<T> = std::result::Result<T, MaintenanceError>;

fn of_sqlite(path: &Path) -> impl Fn(rusqlite::Error) -> MaintenanceError {
    move |error| MaintenanceError::Open(refusal(path, error))
}

fn of_file(path: &Path) -> impl Fn(io::Error) -> MaintenanceError {
    move |error| MaintenanceError::File(path.to_owned(), error)
}

/// A log to be read, whether a server runs or not.
fn look_into(directory: &Path) -> Result<(Connection, PathBuf)> {
    let _owner = AsOwner::of(directory)?;
    refuse_half_restored(directory)?;
    let path = directory.join(DATABASE);
    if !has_log(directory)? {
        return Err(OpenError::Missing(path).into());
    }
    check_header(&path)?;
    let connection = connect_to_read(&path).map_err(of_sqlite(&path))?;
    check_version(&connection, &path)?;
    check_schema(&connection, &path)?;
    Ok((connection, path))
}

/// A log to be changed, while no server runs.
struct Opened {
    connection: Connection,
    path: PathBuf,
    /// Whether there was none before.
    is_new: bool,
    _lock: Lock,
    _owner: AsOwner,
}

fn open(directory: &Path) -> Result<Opened> {
    let _owner = AsOwner::of(directory)?;
    // Nothing is made where there is nothing.
    if !is_there(&directory.join(RESTORING))? && !has_log(directory)? {
        return Err(OpenError::Missing(directory.join(DATABASE)).into());
    }
    open_or_make(directory)
}

/// As [`open`], but where there is no log there is an empty one then.
fn open_or_make(directory: &Path) -> Result<Opened> {
    let owner = AsOwner::of(directory)?;
    let path = directory.join(DATABASE);
    let lock = take(directory)?;
    refuse_half_restored(directory)?;
    let is_new = !has_log(directory)?;
    if is_new {
        make(directory, None)?;
    }
    let connection = open_database(&path, None)?;
    make_lasting(&connection, &path)?;
    check(&connection, &path)?;
    Ok(Opened {
        connection,
        path,
        is_new,
        _lock: lock,
        _owner: owner,
    })
}

fn refuse_half_restored(directory: &Path) -> Result<()> {
    if is_there(&directory.join(RESTORING))? {
        return Err(OpenError::Restoring(directory.to_owned()).into());
    }
    Ok(())
}

/// A file that only this user may read, and that was not there.
fn create_new(path: &Path) -> Result<File> {
    let mut options = File::options();
    let options = options.write(true).create_new(true);
    private(options).open(path).map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            MaintenanceError::Exists(path.to_owned())
        } else {
            MaintenanceError::File(path.to_owned(), error)
        }
    })
}

/// A file on its way: under another name until it is complete, and gone if it never is.
struct Partial {
    file: File,
    path: PathBuf,
    name: PathBuf,
}

impl Partial {
    /// For a file of this name, of which there must be none.
    fn begin(name: &Path) -> Result<Self> {
        let _owner = AsOwner::of(parent(name))?;
        if name.is_dir() {
            return Err(MaintenanceError::Directory(name.to_owned()));
        }
        if name.symlink_metadata().is_ok() {
            return Err(MaintenanceError::Exists(name.to_owned()));
        }
        let mut path = name.as_os_str().to_owned();
        path.push(format!(".part-{}", std::process::id()));
        let path = PathBuf::from(path);
        let file = create_new(&path).map_err(|error| match error {
            // Whoever reads it has never heard of the other name.
            MaintenanceError::File(_, error) => of_file(name)(error),
            error => error,
        })?;
        Ok(Self {
            file,
            path,
            name: name.to_owned(),
        })
    }

    /// Complete: from now on it has its name, and lasts.
    fn finish(self) -> Result<()> {
        let refuse = of_file(&self.name);
        let _owner = AsOwner::of(parent(&self.name))?;
        self.file.sync_all().map_err(&refuse)?;
        match move_to(&self.path, &self.name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(MaintenanceError::Exists(self.name.clone()));
            }
            moved => moved.map_err(&refuse)?,
        }
        sync_directory(parent(&self.name)).map_err(&refuse)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // What can't be removed can be seen by its name to be incomplete.
        let _ = AsOwner::of(parent(&self.name)).map(|_owner| remove(&self.path));
    }
}

/// The directory of a file.
fn parent(name: &Path) -> &Path {
    name.parent().unwrap_or(Path::new("."))
}

/// The index holds words of what is gone: it is made anew by the next start.
fn remove_index(directory: &Path) -> Result<()> {
    let path = directory.join(INDEX);
    remove(&path).map_err(of_file(&path))
}

/// Writes a file that is not there yet: it has its name when it is complete.
pub fn into_file<T>(name: &Path, write: impl FnOnce(&mut dyn io::Write) -> Result<T>) -> Result<T> {
    let partial = Partial::begin(name)?;
    let mut out = io::BufWriter::new(&partial.file);
    let written = write(&mut out)?;
    out.into_inner()
        .map_err(|error| MaintenanceError::File(name.to_owned(), error.into_error()))?;
    partial.finish()?;
    Ok(written)
}
