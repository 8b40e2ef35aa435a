//! The log on disk: SQLite stores what [`log`](super::log) defines, and a full-text index is kept
//! beside it.

mod deadline;
mod disk_space;
pub mod index;
pub mod sqlite;

pub use sqlite::SqliteStore;

use crate::protocol::Epoch;

/// A new random epoch.
///
/// # Errors
/// If the system gives no random bytes.
pub fn fresh_epoch() -> std::io::Result<Epoch> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(Epoch::from_bytes(bytes))
}
