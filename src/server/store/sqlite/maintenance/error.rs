//! Errors of the operator's commands.

use crate::{
    protocol::{Extent, RoomId, RoomName},
    server::store::sqlite::{
        CompactError, OpenError,
        open_error::{is_lasting, refusal},
    },
};
use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// A room, and what the operator calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedRoom {
    /// The room.
    pub id: RoomId,
    /// The name, for errors.
    pub name: String,
}

impl From<&RoomName> for NamedRoom {
    /// The first room that was made with this name.
    fn from(name: &RoomName) -> Self {
        Self {
            id: RoomId::named(name, 0),
            name: name.to_string(),
        }
    }
}

impl fmt::Display for NamedRoom {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.name)
    }
}

/// An error of a command. Its text says what to do, in plain sentences. The log is unchanged.
#[derive(Debug)]
pub enum MaintenanceError {
    /// The log can't be opened.
    Open(OpenError),
    /// The file is no backup that can be restored, and why.
    NoBackup(PathBuf, String),
    /// The file exists already.
    Exists(PathBuf),
    /// The path is a directory, not a file.
    Directory(PathBuf),
    /// A file can't be read or written.
    File(PathBuf, io::Error),
    /// The input or output stream failed.
    Stream(io::Error),
    /// What was erased since a backup could not be erased again in its copy, and why.
    NotErased(PathBuf, Option<CompactError>),
    /// There is no such room in the log.
    NoRoom(NamedRoom),
    /// The room has, or had, messages.
    NotEmpty(NamedRoom),
    /// This line can't be imported, and why.
    Line(u64, String),
    /// The first number is higher than the last.
    Reversed(u64, u64),
    /// The room does not hold all of the requested messages.
    NotHeld {
        /// The room.
        room: NamedRoom,
        /// The first and last requested numbers.
        asked: (u64, u64),
        /// The numbers held.
        extent: Extent,
    },
}

impl MaintenanceError {
    /// Whether a later attempt may succeed without a change by the operator.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Open(error) => error.may_pass(),
            Self::File(_, error) => !is_lasting(error),
            Self::Stream(_) | Self::NotErased(..) => true,
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
                "The file {} exists already. Choose another name",
                path.display()
            ),
            Self::Directory(path) => write!(
                out,
                "{} is a directory. Give the name of a file in it",
                path.display()
            ),
            Self::File(path, error) => {
                let path = path.display();
                write!(out, "{path} can't be read or written: {error}. ")?;
                out.write_str(match error.kind() {
                    io::ErrorKind::NotFound => "Check the name, and whether its directory exists",
                    io::ErrorKind::PermissionDenied => {
                        "Choose a path that this user may use, or run this as another user"
                    }
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        "Free some space, then try again"
                    }
                    _ => "Check the disk, or choose another path",
                })
            }
            Self::Stream(error) => write!(out, "The input or output failed: {error}"),
            Self::NotErased(path, why) => {
                let path = path.display();
                write!(
                    out,
                    "What was erased since the backup can't be erased in {path}"
                )?;
                if let Some(why) = why {
                    write!(out, ": {why}")?;
                }
                out.write_str(". Nothing was changed; check the disk and its space, and try again")
            }
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
                "{first} is higher than {last}. Give the lower number first"
            ),
            Self::NotHeld { room, extent, .. } if extent.is_empty() => {
                write!(out, "The room {room} holds no messages")
            }
            Self::NotHeld {
                room,
                asked: (from, to),
                extent: Extent { first, head },
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
