//! Why a command of the operator fails.

use crate::{
    protocol::RoomName,
    server::store::sqlite::{
        OpenError,
        open_error::{is_lasting, refusal},
    },
};
use std::{
    fmt, io,
    path::{Path, PathBuf},
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

pub(super) type Result<T> = std::result::Result<T, MaintenanceError>;

pub(super) fn of_sqlite(path: &Path) -> impl Fn(rusqlite::Error) -> MaintenanceError {
    move |error| MaintenanceError::Open(refusal(path, error))
}

pub(super) fn of_file(path: &Path) -> impl Fn(io::Error) -> MaintenanceError {
    move |error| MaintenanceError::File(path.to_owned(), error)
}
