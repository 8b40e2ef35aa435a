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
mod error;
mod files;
mod transfer;

use super::{
    OpenError,
    lock::take,
    open::{check, check_header, check_schema, check_version, open_database},
    open_error::refusal,
    owner::AsOwner,
    paths::{DATABASE, RESTORING, has_log, is_there, move_to, private, remove, sync_directory},
};

pub use self::error::MaintenanceError;
use self::error::{Result, of_file, of_sqlite};
pub use self::files::into_file;
use self::files::{
    Opened, Partial, create_new, look_into, open, open_or_make, parent, remove_index,
};
pub use self::{
    backup::{Restored, backup, restore},
    erase::{TOMBSTONE, erase},
    transfer::{Exported, export, import},
};
