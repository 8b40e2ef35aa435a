//! The command line of `chat-tui`.

use std::{io::Write, path::PathBuf};

use clap::{Parser, ValueEnum};

use crate::{
    client::session::server_label,
    protocol::{
        ClientId, Nickname,
        limits::{LAST_MESSAGES_MAX, NICKNAME_GRAPHEMES_MAX},
    },
};

const EXAMPLES: &str = "\
Examples:
  chat-tui localhost 10500 carol 3 --serve      host a chat on this machine, and join it
  chat-tui 192.168.1.20 10500 carol 3           join a chat
  echo \"deploy done\" | chat-tui localhost 10500 bot 9
  chat-tui localhost 10500 watcher 1 --follow < /dev/null >> chat.log

In a pipe, chat-tui works line by line: each line of its input is sent as a message, each message
that arrives becomes a line of its output. See --plain.

What is not sent when it ends is sent by the next start with the same server, nickname and client
ID, so a script need not send it again; with --no-state it is lost.

Exit status:
  0  everything was sent, or you left
  1  something went wrong that the other numbers do not tell
  2  wrong arguments, or --serve could not start the server
  3  some messages were not delivered
  4  the nickname was refused
  5  the server can't be reached, or does not let you in
Numbers 3 to 5 come from line mode only: the full screen waits, asks, and tries again.";

/// Chat in the terminal.
///
/// Connects to a chat server and opens the full screen; if the connection breaks, it comes back by
/// itself and nothing is lost. Leave with Esc, with Ctrl-C twice, or with q! and Enter.
#[derive(Clone, Debug, Parser)]
#[allow(
    clippy::struct_excessive_bools,
    clippy::doc_markdown,
    reason = "switches are switches, and these docs are the help's text"
)]
#[command(name = "chat-tui", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Args {
    /// The server: a name, an IPv4 or an IPv6 address.
    #[arg(value_parser = host)]
    pub host: String,

    /// Its port, 1 to 65535; servers use 10500 unless told otherwise.
    #[arg(value_parser = port, allow_negative_numbers = true)]
    pub port: u16,

    /// What you are called; nobody else present may have the same name.
    #[arg(value_parser = nickname)]
    pub nickname: Nickname,

    /// Which of your devices or sessions this is: a number, or a word.
    #[arg(value_name = "CLIENTID")]
    pub client_id: ClientId,

    /// Host the chat on this machine, if nobody does so yet: HOST must be localhost.
    #[arg(long)]
    pub serve: bool,

    /// No full screen: a line for each message, no escape sequences. For pipes, scripts and screen
    /// readers; by itself when input or output is not a terminal.
    #[arg(long)]
    pub plain: bool,

    /// In line mode: stay and read when the input ends.
    #[arg(long)]
    pub follow: bool,

    /// In line mode: lines that begin with / are commands, and q! leaves, even if the input is
    /// not a terminal.
    #[arg(long)]
    pub commands: bool,

    /// In line mode: print the last N messages on coming in.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=LAST_MESSAGES_MAX))]
    pub history: u64,

    /// In line mode: how long to try to get in, and how long to wait at the end of the input until
    /// something more of what was sent arrives.
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,

    /// Where to keep messages, drafts and what is not sent yet, instead of the system's directory
    /// for state: $XDG_STATE_HOME/chat-tui, or ~/.local/state/chat-tui.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// Keep nothing on this machine: what is not sent when this ends is lost, and the next start
    /// is a new member.
    #[arg(long, conflicts_with = "state_dir")]
    pub no_state: bool,

    /// The terminal's background; auto asks the terminal.
    #[arg(long, value_enum, default_value_t = Theme::Auto)]
    pub theme: Theme,

    /// No colours; the environment variable NO_COLOR does the same.
    #[arg(long)]
    pub no_color: bool,
}

/// The one line that shows how it is done, for whoever got it wrong.
const EXAMPLE: &str = "chat-tui localhost 10500 carol 3";

impl Args {
    /// The server as people write it: `localhost:10500`, `[::1]:10500`.
    pub fn server(&self) -> String {
        server_label(&self.host, self.port)
    }

    /// Reads this process's arguments. Prints help or version, or what is wrong and an example of
    /// what is right, and ends the process (status 2) if there is nothing to go on with.
    pub fn from_command_line() -> Self {
        Self::try_parse().unwrap_or_else(|error| {
            let status = error.exit_code();
            // Nobody is left to be told that it could not be printed.
            let _ = error.print();
            if status != 0 {
                let _ = writeln!(std::io::stderr(), "Example: {EXAMPLE}");
            }
            std::process::exit(status)
        })
    }
}

/// What the colours have to stand out from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Theme {
    /// Found out from the terminal.
    #[default]
    Auto,
    /// Light text on a dark background.
    Dark,
    /// Dark text on a light background.
    Light,
}

fn host(text: &str) -> Result<String, String> {
    let text = text.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    if bare.is_empty() {
        return Err("name a machine, such as localhost".to_owned());
    }
    if bare
        .chars()
        .any(|c| c.is_whitespace() || c.is_control() || matches!(c, '/' | '[' | ']' | '@'))
    {
        return Err("this is no name or address of a machine, such as localhost".to_owned());
    }
    Ok(bare.to_owned())
}

fn port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a port is a number from 1 to 65535, such as 10500".to_owned()),
        Ok(port) => Ok(port),
    }
}

fn nickname(text: &str) -> Result<Nickname, String> {
    let nickname = Nickname::parse(text).map_err(|wrong| wrong.to_string())?;
    if nickname.is_reserved() {
        return Err(format!(
            "\"{nickname}\" is the server's own name; choose another of up to \
             {NICKNAME_GRAPHEMES_MAX} characters"
        ));
    }
    Ok(nickname)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, error::ErrorKind};

    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_seeds_command_line_is_taken() {
        let args = parse("chat-tui localhost 10500 carol 3").unwrap();
        assert_eq!(args.host, "localhost");
        assert_eq!(args.port, 10500);
        assert_eq!(args.nickname.as_str(), "carol");
        assert_eq!(args.client_id.as_str(), "3");
        assert!(!args.serve && !args.plain && !args.follow && !args.commands && !args.no_color);
    }

    #[test]
    fn addresses_are_taken_as_people_write_them() {
        let check = |given: &str, host: &str| {
            let args = parse(&format!("chat-tui {given} 10500 carol 3")).unwrap();
            assert_eq!(args.host, host);
        };
        check("127.0.0.1", "127.0.0.1");
        check("::1", "::1");
        check("[::1]", "::1");
        check("fe80::1%eth0", "fe80::1%eth0");
        check("chat.example.org", "chat.example.org");
    }

    #[test]
    fn what_is_wrong_is_said_and_shown_how_it_is_right() {
        let check = |line: &str, says: &str| {
            let error = parse(line).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(says), "{line}: {text}");
            assert_eq!(error.exit_code(), 2, "{line}");
        };
        check("chat-tui", "CLIENTID");
        check("chat-tui localhost", "PORT");
        check("chat-tui localhost 0 carol 3", "from 1 to 65535");
        check("chat-tui localhost 65536 carol 3", "from 1 to 65535");
        check("chat-tui localhost -5 carol 3", "from 1 to 65535");
        check("chat-tui localhost ten carol 3", "from 1 to 65535");
        check(
            "chat-tui http://localhost 10500 carol 3",
            "such as localhost",
        );
        check("chat-tui localhost 10500 Server 3", "server's own name");
        check("chat-tui localhost 10500 a\u{202e}b 3", "U+202E");
        check("chat-tui localhost 10500 carol a/b", "letters, digits");
        check("chat-tui localhost 10500 carol 3 4", "unexpected");
    }

    #[test]
    fn help_names_every_exit_status_and_an_example() {
        let error = parse("chat-tui --help").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DisplayHelp);
        let text = error.to_string();
        assert!(
            text.contains("chat-tui localhost 10500 carol 3 --serve"),
            "{text}"
        );
        assert!(text.contains("\n  5 "), "{text}");
    }
}
