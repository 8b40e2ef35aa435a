//! Why a server does not start, or ends.

use crate::server::{
    keys::KeyError, net::listener::BindError, secrets::SecretError, store::sqlite::OpenError,
    supervisor::Breakdown,
};
use std::{fmt, io};

/// Why a server could not start. Its text says what to do, in plain sentences.
#[derive(Debug)]
pub enum StartError {
    /// It can't listen.
    Bind(BindError),
    /// It can't keep messages.
    Open(OpenError),
    /// So many records of accounts, bans and the like can't be read, among them these.
    Damaged(usize, Vec<String>),
    /// The store can't be read.
    Unreadable,
    /// It has no key to be known by.
    Keys(KeyError),
    /// It has no secrets to let people in by.
    Secrets(SecretError),
    /// The system gave no random bytes.
    System(io::Error),
}

impl StartError {
    /// Whether the same may go well later, without anything being done about it.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Bind(error) => error.may_pass(),
            Self::Keys(_) | Self::Secrets(_) | Self::Damaged(..) => false,
            Self::Open(error) => error.may_pass(),
            Self::Unreadable | Self::System(_) => true,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(error) => error.fmt(out),
            Self::Open(error) => error.fmt(out),
            Self::Damaged(count, names) => write!(
                out,
                "{count} records of accounts, bans and the like are damaged ({}): somebody who is \
                 banned could come in, or somebody else become the owner. Restore a backup \
                 (chat-server restore FILE), or start with --drop-damaged, which deletes them",
                names.join(", ")
            ),
            Self::Unreadable => out.write_str("The server can't read what it keeps: try again"),
            Self::Keys(error) => error.fmt(out),
            Self::Secrets(error) => error.fmt(out),
            Self::System(error) => RunError::fmt_system(error, out),
        }
    }
}

impl std::error::Error for StartError {}

/// Why a server could not start, or ended other than by being told to.
#[derive(Debug)]
pub enum RunError {
    /// The system refused what every server needs: a thread, a poll, random bytes.
    System(io::Error),
    /// The store failed: what was in flight may or may not have been stored.
    Store,
    /// A part of the server broke down, or can't go on.
    Breakdown(Breakdown),
}

impl RunError {
    pub(super) fn fmt_system(error: &io::Error, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "The system refused what a server needs: {error}")
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(error) => Self::fmt_system(error, out),
            Self::Store => out.write_str(
                "Messages can't be stored any more; the server stopped rather than lose them",
            ),
            Self::Breakdown(breakdown) => breakdown.fmt(out),
        }
    }
}

impl std::error::Error for RunError {}

impl From<io::Error> for RunError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}
