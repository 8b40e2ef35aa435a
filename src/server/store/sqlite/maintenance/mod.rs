//! The operator's commands on a log: back it up and restore it, export and import a room. (`erase`
//! is an operation of the log itself, which a running server can carry out.)
//!
//! Backup and export only read, and work beside a running server. All others change the log and
//! take the data directory's lock, which a server holds.
//!
//! In a data directory, and in the directory of a new file, root works as its owner ([`AsOwner`]).
//! Files to be read elsewhere are opened as root.

mod backup;
mod error;
mod export;
mod files;
mod held;
mod import;
mod replay;

use super::{
    OpenError,
    lock::take,
    open::{check, check_header, check_schema, check_version, open_database},
    open_error::refusal,
    owner::AsOwner,
    paths::{DATABASE, RESTORING, has_log, is_there, move_to, private, remove, sync_directory},
};

pub use self::error::{MaintenanceError, NamedRoom};
use self::error::{Result, of_file, of_sqlite};
pub use self::files::into_file;
use self::files::{Opened, Partial, create_new, look_into, open_or_make, parent, remove_index};
use self::replay::erase_again;
pub use self::{
    backup::{Restored, backup, restore},
    export::{Exported, export},
    held::{check_held, records},
    import::import,
    replay::ErasedAgain,
};
