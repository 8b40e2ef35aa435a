//! Errors of the commands.

use std::{fmt, io, path::PathBuf};

use crate::server::{
    keys::KeyError,
    net::control::ControlError,
    secrets::SecretError,
    store::sqlite::{CompactError, maintenance::MaintenanceError},
};

/// An error of a command. Its text says what to do, in plain sentences.
#[derive(Debug)]
pub(in crate::server) enum CommandError {
    Maintenance(MaintenanceError),
    Keys(KeyError),
    Secrets(SecretError),
    /// No server was ever started with this data directory.
    NoServer(PathBuf),
    /// This machine has no address that others could reach, or this host is not valid.
    Host(Option<String>),
    /// The log could not be written.
    NotStored,
    /// The entries are erased, but the log's file was not compacted.
    NotCompacted(CompactError),
    /// The running server did not do it.
    Control(ControlError),
    /// The input can't be used, and why.
    Input(String),
    /// The user interrupted it.
    Interrupted,
    /// The input or output failed.
    Output(io::Error),
}

impl CommandError {
    /// Whether the reader of the output has closed it.
    pub(in crate::server) fn is_closed_pipe(&self) -> bool {
        let (Self::Output(error) | Self::Maintenance(MaintenanceError::Stream(error))) = self
        else {
            return false;
        };
        error.kind() == io::ErrorKind::BrokenPipe
    }

    /// Whether a later attempt may succeed without a change by the operator.
    pub(in crate::server) fn may_pass(&self) -> bool {
        match self {
            Self::Maintenance(error) => error.may_pass(),
            Self::Control(error) => error.may_pass(),
            Self::NotStored
            | Self::NotCompacted(_)
            | Self::Output(_)
            | Self::Secrets(SecretError::System(_)) => true,
            Self::Keys(_)
            | Self::Secrets(_)
            | Self::NoServer(_)
            | Self::Host(_)
            | Self::Input(_)
            | Self::Interrupted => false,
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Maintenance(error) => error.fmt(out),
            Self::Keys(error) => error.fmt(out),
            Self::Secrets(error) => error.fmt(out),
            Self::NoServer(directory) => write!(
                out,
                "No server was ever started with {}, so nobody could join with an invite made \
                 there. Give the server's data directory with --data-dir DIR, or start the server \
                 first",
                directory.display()
            ),
            Self::Host(None) => out.write_str(
                "This machine has no address by which others could reach it. Give one with --host \
                 NAME",
            ),
            Self::Host(Some(host)) => write!(
                out,
                "{host:?} is not a host name or address. Give with --host NAME how people \
                 reach this one: chat.example.org, 192.0.2.7, 2001:db8::7",
            ),
            Self::NotStored => out.write_str(
                "The log can't be written. Check the disk and its space, then run this again",
            ),
            Self::NotCompacted(error) => write!(
                out,
                "The entries are erased, but their texts may still be in the log's file, which \
                 can't be compacted: {error}. Run this again later, or leave it to the server, \
                 which does it at night"
            ),
            Self::Control(error) => error.fmt(out),
            Self::Input(why) => write!(out, "{why}. Nothing was changed; try again"),
            Self::Interrupted => out.write_str("Nothing was changed"),
            Self::Output(error) => write!(out, "The input or output failed: {error}"),
        }
    }
}

impl std::error::Error for CommandError {}

impl From<MaintenanceError> for CommandError {
    fn from(error: MaintenanceError) -> Self {
        Self::Maintenance(error)
    }
}

impl From<KeyError> for CommandError {
    fn from(error: KeyError) -> Self {
        Self::Keys(error)
    }
}

impl From<SecretError> for CommandError {
    fn from(error: SecretError) -> Self {
        Self::Secrets(error)
    }
}
