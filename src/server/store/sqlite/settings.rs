//! How the log on disk is kept.

use crate::server::{event_log::EventLog, supervisor::Supervisor};
use std::path::PathBuf;

/// When a commit may be acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Durability {
    /// When it is on the medium: it survives the machine losing power.
    #[default]
    Full,
    /// When the system has it: it survives the server's end, but the last ones may not survive the
    /// machine losing power.
    Relaxed,
}

/// Where a log is kept, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The data directory.
    pub directory: PathBuf,
    /// When a commit may be acknowledged.
    pub durability: Durability,
    /// Whether an index is kept for searches. Without one they look through the log's end only.
    pub index: bool,
    /// Where the operator is told what he should know.
    pub recorder: EventLog,
    /// What starts the threads.
    pub supervisor: Supervisor,
}
