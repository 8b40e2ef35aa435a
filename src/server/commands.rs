//! The commands that run instead of hosting: see [`maintenance`], [`invite`] and [`password`].

use std::{
    fmt,
    fs::File,
    io::{self, BufReader, BufWriter},
    path::{Path, PathBuf},
};

use super::{
    keys::KeyError,
    secrets::{self, SecretError},
    store::sqlite::{
        maintenance::{
            self, Exported, MaintenanceError, Restored, TOMBSTONE, backup, erase, export, import,
            restore,
        },
        owner,
    },
};
use crate::server::args::Command;
use crate::stderr;

mod invite;
mod password;

/// An error of a command. Its text says what to do, in plain sentences.
#[derive(Debug)]
pub(super) enum CommandError {
    Maintenance(MaintenanceError),
    Keys(KeyError),
    Secrets(SecretError),
    /// No server was ever started with this data directory.
    NoServer(PathBuf),
    /// This machine has no address that others could reach, or this host is not valid.
    Host(Option<String>),
    /// The input can't be used, and why.
    Input(String),
    /// The user interrupted it.
    Interrupted,
    /// The input or output failed.
    Output(io::Error),
}

impl CommandError {
    /// Whether the reader of the output has closed it.
    pub(super) fn is_closed_pipe(&self) -> bool {
        let (Self::Output(error) | Self::Maintenance(MaintenanceError::Stream(error))) = self
        else {
            return false;
        };
        error.kind() == io::ErrorKind::BrokenPipe
    }

    /// Whether a later attempt may succeed without a change by the operator.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Maintenance(error) => error.may_pass(),
            Self::Output(_) | Self::Secrets(SecretError::System(_)) => true,
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

/// Runs a command and reports on stderr what was done; stdout is for the command's output.
pub(super) fn run(command: &Command, directory: Option<&Path>) -> Result<(), CommandError> {
    let directory = secrets::directory(directory)?;
    owner::check(&directory, false).map_err(MaintenanceError::Open)?;
    match command {
        Command::Invite(wanted) => return invite::run(&directory, wanted),
        Command::Password(wanted) => return password::run(&directory, *wanted),
        Command::Backup { file } => {
            let messages = backup(&directory, file)?;
            say(&format!("{messages} messages are in {}", file.display()));
        }
        Command::Restore { file } => {
            let Restored { messages, aside } = restore(&directory, file)?;
            say(&format!(
                "{messages} messages are in {}",
                directory.display()
            ));
            if let Some(aside) = aside {
                say(&format!("the old log is in {}", aside.display()));
            }
        }
        Command::Export { room, output } => {
            let Exported { messages, missed } = match output {
                Some(file) => maintenance::into_file(file, |out| export(&directory, room, out))?,
                None => export(&directory, room, &mut BufWriter::new(io::stdout().lock()))?,
            };
            say(&format!("{messages} messages of {room} were exported"));
            if missed > 0 {
                say(&format!(
                    "{missed} in between are missing: retention removed them, and all before \
                     them, meanwhile. Export again to get the rest"
                ));
            }
        }
        Command::Import { room, file } => {
            let messages = match file {
                Some(path) => {
                    let refuse = |error| MaintenanceError::File(path.clone(), error);
                    let file = File::open(path).map_err(refuse)?;
                    import(&directory, room, &mut BufReader::new(file))?
                }
                None => import(&directory, room, &mut io::stdin().lock())?,
            };
            say(&format!("{messages} messages of {room} were imported"));
        }
        Command::Erase { room, first, last } => {
            let last = last.unwrap_or(*first);
            erase(&directory, room, *first, last)?;
            say(&format!(
                "the messages {first} to {last} of {room} now read {TOMBSTONE}; backups, and \
                 clients that have them, keep their texts"
            ));
        }
    }
    Ok(())
}

fn say(words: &str) {
    stderr::complain("chat-server", words);
}
