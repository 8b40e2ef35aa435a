//! Settings of the log on disk.

use crate::server::{event_log::EventLog, supervisor::Supervisor};
use std::path::PathBuf;

/// When a commit may be acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Durability {
    /// Once it is on the disk: it survives a power failure.
    #[default]
    Full,
    /// Once the system has it: it survives the server's end, but a power failure may lose the last
    /// ones.
    Relaxed,
}

/// Settings of a log on disk.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The data directory.
    pub directory: PathBuf,
    /// When a commit may be acknowledged.
    pub durability: Durability,
    /// Whether to keep an index for searches. Without it they read only the latest part of the log.
    pub index: bool,
    /// The server's event log.
    pub recorder: EventLog,
    /// Starts and watches the threads.
    pub supervisor: Supervisor,
}
