//! Errors with which a server does not start, or ends.

use crate::server::{
    keys::KeyError, net::listener::BindError, secrets::SecretError, store::sqlite::OpenError,
    supervisor::Breakdown,
};
use std::{fmt, io};

/// An error at the start. Its text says what to do, in plain sentences.
#[derive(Debug)]
pub enum StartError {
    /// It can't listen.
    Bind(BindError),
    /// It can't open the log.
    Open(OpenError),
    /// The number of damaged records of accounts, bans and the like, and the names of some.
    Damaged(usize, Vec<String>),
    /// The store can't be read.
    Unreadable,
    /// The server's key can't be read or made.
    Keys(KeyError),
    /// The secrets (invite key, password) can't be read or made.
    Secrets(SecretError),
    /// The system gave no random bytes.
    System(io::Error),
}

impl StartError {
    /// Whether a later attempt may succeed without a change by the operator.
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
                "{count} records of accounts, bans and the like are damaged ({}): a banned user \
                 could join, or another user become the owner. Restore a backup \
                 (chat-server restore FILE), or start with --drop-damaged, which deletes them",
                names.join(", ")
            ),
            Self::Unreadable => out.write_str("The server can't read its log. Try again"),
            Self::Keys(error) => error.fmt(out),
            Self::Secrets(error) => error.fmt(out),
            Self::System(error) => RunError::fmt_system(error, out),
        }
    }
}

impl std::error::Error for StartError {}

/// An error at the start, or one that ended the server.
#[derive(Debug)]
pub enum RunError {
    /// The system refused something essential: a thread, a poll, random bytes.
    System(io::Error),
    /// The store failed: pending messages may or may not have been stored.
    Store,
    /// A part of the server panicked or failed.
    Breakdown(Breakdown),
}

impl RunError {
    pub(super) fn fmt_system(error: &io::Error, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "The system refused something that the server needs: {error}"
        )
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
