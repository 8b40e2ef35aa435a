//! The command line of `chat-server`, and the configuration made from it.

use std::{collections::HashSet, ffi::OsString, num::NonZeroU64, path::PathBuf};

use clap::{
    ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind,
    parser::ValueSource,
};

use super::{
    core::{hub::Keep, rooms::RoomSettings},
    network::BindAddress,
    secrets::Secrets,
    store::sqlite::{Compact, Durability},
};
use crate::server::config::{CLIENTS_MAX_DEFAULT, Config, PORT_DEFAULT, Storage};
use crate::server::log::MemoryLimits;
use crate::{protocol::RoomName, text::Line};

mod access;
mod limits;
mod network;

pub use access::{AccessArgs, InviteArgs, PasswordArgs};
pub use limits::LimitArgs;
pub use network::NetworkArgs;

/// The smallest limit for the log's size: it also holds accounts, devices and the outcomes of ids.
const RETAIN_BYTES_MIN: u64 = 16 << 20;

const EXAMPLES: &str = "\
Examples:
  chat-server                      host on port 10500, for this machine and private networks
  chat-server --access invite      for people with an invite, from anywhere
  chat-server 10600                on another port
  chat-server --bind 127.0.0.1     for this machine only
  chat-server --topic 'tea at 4'   with a topic for the lobby
  chat-server --retain-days 90     erase messages older than 90 days
  chat-server invite               make an invite for one person, to send to them
  chat-server backup chat.db       copy all messages into one file, even while the server runs
  chat-server erase 413            erase message 413 of the lobby, even while the server runs

People join with:  chat-tui HOST PORT NICKNAME CLIENTID
Ctrl-C notifies everyone and stops the server; a second Ctrl-C stops it at once.";

/// Hosts a chat. Every message is on disk before anyone sees it.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "chat-server",
    version,
    after_help = EXAMPLES,
    max_term_width = 100,
    disable_help_subcommand = true,
    override_usage = "chat-server [OPTIONS] [PORT]\n       chat-server [--data-dir DIR] COMMAND"
)]
pub struct Args {
    /// A command to run instead of hosting.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The port to listen on; 0 takes a free one and prints it
    #[arg(default_value_t = PORT_DEFAULT, value_parser = port)]
    pub port: u16,
    /// The address to listen on; all of this machine's by default
    #[arg(long, value_name = "ADDR")]
    pub bind: Option<BindAddress>,
    /// Clients that may be connected at one time; further ones are refused
    #[arg(
        long,
        value_name = "N",
        default_value_t = CLIENTS_MAX_DEFAULT as u32,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    pub max_clients: u32,
    /// The lobby's topic, shown to everyone who joins
    #[arg(long, value_name = "TEXT")]
    pub topic: Option<String>,
    /// A room besides the lobby, which people join with chat-tui --room NAME; can be given more
    /// than once
    #[arg(long, value_name = "NAME", value_parser = RoomName::parse)]
    pub room: Vec<RoomName>,
    /// The directory of the messages and the server's key [default: chat-server in ~/.local/share,
    /// the XDG data directory]
    #[arg(long, value_name = "DIR", global = true)]
    pub data_dir: Option<PathBuf>,
    /// Keep messages in memory only: they are lost when the server stops
    #[arg(long, conflicts_with = "durability")]
    pub ephemeral: bool,
    /// When a message counts as sent: full: once it is on the disk; relaxed: once the system has
    /// it, so the last ones may be lost in a power failure
    #[arg(
        long,
        value_name = "HOW",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    pub durability: Durability,
    /// Don't index messages for search; searches then read the latest part of the log
    #[arg(long, conflicts_with = "ephemeral")]
    pub no_index: bool,
    /// When to compact the log after messages were erased, so that nothing of them is left in its
    /// file: in the two hours from this time of day on, after a minute without messages; or
    /// never
    #[arg(
        long,
        value_name = "HH:MM",
        default_value_t,
        conflicts_with = "ephemeral"
    )]
    pub compact: Compact,
    /// Address, encryption and proxies.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Who may join.
    #[command(flatten)]
    pub access: AccessArgs,
    /// Rate limits.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Erase messages older than this
    #[arg(long, value_name = "DAYS")]
    pub retain_days: Option<NonZeroU64>,
    /// Erase the oldest messages of a room that has more than this
    #[arg(long, value_name = "N")]
    pub retain_messages: Option<NonZeroU64>,
    /// Erase the oldest messages while the log of all rooms takes more than this: bytes, or with K,
    /// M or G; at least 16M
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub retain_bytes: Option<NonZeroU64>,
    /// Write the texts of messages to the server's event log too
    #[arg(long)]
    pub log_text: bool,
    /// Log warnings and errors only; twice: nothing
    #[arg(short, long, action = ArgAction::Count, conflicts_with = "verbose")]
    pub quiet: u8,
    /// Log more; twice: everything
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}

/// Parses a port. The error lists the commands, for a user who mistyped one.
fn port(text: &str) -> Result<u16, String> {
    text.parse()
        .map_err(|_| format!("a port is a number up to 65535; {}", commands()))
}

/// Parses a number of bytes, with an optional binary unit.
fn bytes(text: &str) -> Result<NonZeroU64, String> {
    let trimmed = text.strip_suffix(['b', 'B']).unwrap_or(text);
    let (digits, unit) = match trimmed.to_ascii_uppercase().chars().last() {
        Some('K') => (&trimmed[..trimmed.len() - 1], 1 << 10),
        Some('M') => (&trimmed[..trimmed.len() - 1], 1 << 20),
        Some('G') => (&trimmed[..trimmed.len() - 1], 1 << 30),
        Some('T') => (&trimmed[..trimmed.len() - 1], 1 << 40),
        _ => (text, 1),
    };
    let number = digits.parse::<u64>().ok();
    let number = number.filter(|_| digits.bytes().all(|digit| digit.is_ascii_digit()));
    let bytes = number
        .ok_or("give a number of bytes, such as 500M or 20G")?
        .checked_mul(unit)
        .ok_or("no disk has so many bytes: give a smaller number")?;
    let least = RETAIN_BYTES_MIN >> 20;
    NonZeroU64::new(bytes)
        .filter(|bytes| bytes.get() >= RETAIN_BYTES_MIN)
        .ok_or_else(|| format!("the log needs at least {least}M"))
}

/// Lists the commands.
fn commands() -> String {
    let commands = Command::augment_subcommands(clap::Command::new(""));
    let names: Vec<_> = commands
        .get_subcommands()
        .map(clap::Command::get_name)
        .collect();
    format!("the commands are: {}", names.join(", "))
}

impl Args {
    /// Reads a command line, the program's name first. Options for hosting are refused together
    /// with a command, which would ignore them.
    ///
    /// # Errors
    /// What to print, and to exit with.
    pub fn read(
        line: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        let mut parser = Self::command();
        let found = parser.try_get_matches_from_mut(line).map_err(|error| {
            if error.kind() == ErrorKind::InvalidSubcommand {
                // clap would name the word behind the misspelled one.
                let words = format!("there is no such command; {}", commands());
                Self::command().error(ErrorKind::InvalidSubcommand, words)
            } else {
                error
            }
        })?;
        if let Some(command) = found.subcommand_name() {
            let idle = parser.get_arguments().find(|argument| {
                let name = argument.get_id().as_str();
                !["data_dir", "help", "version"].contains(&name)
                    && found.value_source(name) == Some(ValueSource::CommandLine)
            });
            if let Some(idle) = idle {
                let words =
                    format!("'{idle}' is an option for hosting: it can't be used with '{command}'");
                return Err(parser.error(ErrorKind::ArgumentConflict, words));
            }
        }
        Self::from_arg_matches(&found).map_err(|error| error.format(&mut parser))
    }
}

impl Args {
    /// The limits of a log in memory. It is kept to its size with each message, without retention.
    fn memory(&self) -> MemoryLimits {
        let usual = MemoryLimits::default();
        let bytes = self.retain_bytes.map(NonZeroU64::get);
        let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok());
        MemoryLimits {
            total_bytes_max: bytes.map_or(usual.total_bytes_max, |b| b.min(usual.total_bytes_max)),
            ..usual
        }
    }
}

/// The commands. Optional paths are files that are made or read.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Make an invite: one line that a person joins with; works whether the server runs or not
    Invite(InviteArgs),
    /// Set the password of a server with --access password: type it, or pipe in one line
    Password(PasswordArgs),
    /// Copy all messages into one file, whether the server runs or not
    Backup {
        /// The file; it must not exist yet
        file: PathBuf,
    },
    /// Replace all messages with a backup, and erase again what was erased since; the old ones are
    /// kept in a file beside it
    Restore {
        /// The backup
        file: PathBuf,
    },
    /// Write the messages of a room as lines of JSON, whether the server runs or not
    Export {
        /// The room
        #[arg(long, default_value = RoomName::LOBBY, value_parser = RoomName::parse)]
        room: RoomName,
        /// The file; it must not exist yet [default: standard output]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Read the messages of a room, as export writes them, into an empty room
    Import {
        /// The room
        #[arg(long, default_value = RoomName::LOBBY, value_parser = RoomName::parse)]
        room: RoomName,
        /// The file [default: standard input]
        file: Option<PathBuf>,
    },
    /// Erase messages for everyone, whether the server runs or not; numbers, senders and times stay
    Erase {
        /// The room
        #[arg(long, default_value = RoomName::LOBBY, value_parser = RoomName::parse)]
        room: RoomName,
        /// The message's number
        first: u64,
        /// The last message's number, to erase all from FIRST to LAST
        last: Option<u64>,
    },
}

/// The lobby and the other rooms, each once.
fn rooms(topic: Option<Line>, others: &[RoomName]) -> Vec<RoomSettings> {
    let mut seen = HashSet::from([RoomName::lobby()]);
    let lobby = RoomSettings {
        name: RoomName::lobby(),
        topic,
    };
    let others = others
        .iter()
        .filter(|name| seen.insert(RoomName::clone(name)));
    let others = others.map(|name| RoomSettings {
        name: name.clone(),
        topic: None,
    });
    [lobby].into_iter().chain(others).collect()
}

impl From<&Args> for Config {
    fn from(args: &Args) -> Self {
        let topic = args.topic.as_deref().map(Line::inert);
        Self {
            bind: args.bind.clone(),
            port: args.port,
            clients_max: args.max_clients as usize,
            rooms: rooms(topic, &args.room),
            log_text: args.log_text,
            storage: if args.ephemeral {
                Storage::Ephemeral
            } else {
                Storage::Disk {
                    directory: args.data_dir.clone(),
                    durability: args.durability,
                    index: !args.no_index,
                    compact: args.compact,
                }
            },
            keys: args.network.keys(args.data_dir.as_deref(), args.ephemeral),
            plaintext: args.network.plaintext(),
            proxies: args.network.proxy.clone(),
            per_site: args.network.per_site(),
            secrets: Secrets::Kept {
                directory: args.data_dir.clone(),
                or_memory: args.ephemeral,
            },
            access: args.access.access,
            new_owner: args.access.new_owner,
            drop_damaged: args.access.drop_damaged,
            keep_accounts_days: u64::from(args.access.keep_accounts),
            room_makers: args.access.rooms_by,
            limits: args.limits.limits(),
            keep: Keep {
                days: args.retain_days,
                messages: args.retain_messages,
                bytes: args.retain_bytes,
            },
            memory: args.memory(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_with_their_units_and_what_is_wrong_is_said() {
        for (text, expected) in [
            ("16777216", 16 << 20),
            ("16M", 16 << 20),
            ("500m", 500 << 20),
            ("20G", 20 << 30),
            ("20GB", 20 << 30),
            ("2T", 2 << 40),
            ("20000K", 20_000 << 10),
        ] {
            assert_eq!(bytes(text).map(NonZeroU64::get), Ok(expected), "{text}");
        }
        for (text, why) in [
            ("", "a number"),
            ("G", "a number"),
            ("much", "a number"),
            ("-5G", "a number"),
            ("+5G", "a number"),
            ("1.5G", "a number"),
            ("5 G", "a number"),
            ("5GG", "a number"),
            ("5é", "a number"),
            ("5P", "a number"),
            ("0", "at least 16M"),
            ("15M", "at least 16M"),
            ("16777215", "at least 16M"),
            ("99999999999999999999", "a number"),
            ("99999999999999G", "smaller"),
        ] {
            let error = bytes(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
