//! The command line of `chat-tui`.

use std::{
    ffi::OsString,
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
};

use clap::{CommandFactory, Parser, ValueEnum, error::ErrorKind};

use crate::{
    client::{Host, session::CommandLine, store},
    protocol::{
        ClientId, DeviceCode, Fingerprint, Invite, Nickname, RoomId, RoomName,
        limits::{JOIN_ROOMS_MAX, NICKNAME_GRAPHEMES_MAX},
    },
    stderr,
    text::Line,
    tui::{last_chat::LastChat, secrets},
};

const EXAMPLES: &str = "\
Examples:
  chat-tui localhost 10500 carol 3 --serve      host a chat on this machine, and join it
  chat-tui 192.168.1.20 10500 carol 3           join a chat
  chat-tui                                      open the last chat again, where you were
  chat-tui ci.lan 10500 carol 3 --room build    in another room than the lobby
  chat-tui status                               what is unread, in one line
  echo \"deploy done\" | chat-tui localhost 10500 bot 9
  chat-tui localhost 10500 watcher 1 --follow < /dev/null >> chat.log

In a pipe, chat-tui works line by line: each line of its input is sent as a message, each message
that arrives becomes a line of its output. See --plain.

What is not sent when it ends is sent by the next start with the same server, nickname and client
ID, so a script need not send it again; with --no-state it is lost. Runs may overlap: a run with
the client ID of one that is still connected hands its lines to that one, and ends when they are
delivered.

Exit status, of a run's own lines:
    0  everything was sent, or you left
    1  any other failure, such as an output that can't be written
    2  wrong arguments, or --serve could not start the server
    3  some messages were not delivered
    4  the nickname was refused
    5  the server can't be reached, or does not admit you
    6  sent, but not confirmed: an older server, or none, received it
  129, 130, 143  ended by SIGHUP, SIGINT, SIGTERM, after a goodbye
Numbers 3 to 6 come from line mode only: the full screen waits, asks, and tries again.";

/// Chat in the terminal.
///
/// Connects to a chat server and opens the full screen; if the connection breaks, it comes back by
/// itself and nothing is lost. Leave with Esc, with Ctrl-C twice, or with q! and Enter.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "chat-tui",
    version,
    after_help = EXAMPLES,
    max_term_width = 100,
    override_usage = USAGE
)]
struct RawArgs {
    /// The server: a name, an IPv4 or an IPv6 address. Or an invite, and then no PORT.
    #[arg(value_name = "HOST")]
    host: Option<String>,

    /// Its port, 1 to 65535; servers use 10500 unless told otherwise.
    #[arg(value_name = "PORT", allow_negative_numbers = true)]
    port: Option<String>,

    /// Your nickname; no other member who is connected may have it. With an invite, your user name if
    /// left out.
    #[arg(value_name = "NICKNAME")]
    nickname: Option<String>,

    /// Which of your devices or sessions this is: a number, or a word. With an invite, 1 if left
    /// out.
    #[arg(value_name = "CLIENTID")]
    client_id: Option<String>,

    #[command(flatten)]
    options: Options,
}

/// The options, besides server and user.
#[derive(Clone, Debug, clap::Args)]
#[allow(
    clippy::struct_excessive_bools,
    clippy::doc_markdown,
    reason = "switches are switches, and these docs are the help's text"
)]
pub struct Options {
    /// Start a server on this machine if none runs yet, and join it: HOST must be localhost. Others on
    /// your network can join, too.
    #[arg(long)]
    pub serve: bool,

    /// A room to enter, if the server has it; may be given several times. The first one is shown, and in
    /// line mode written to. Without any, that is the lobby.
    #[arg(long = "room", value_name = "NAME", value_parser = RoomName::parse)]
    pub rooms: Vec<RoomName>,

    /// No full screen: a line for each message, no escape sequences. For pipes, scripts and screen
    /// readers; chosen by itself when input or output is not a terminal, or TERM is dumb or not set.
    #[arg(long)]
    pub plain: bool,

    /// Line mode for a screen reader: words in place of signs, one thing on a line, and no columns.
    /// /next goes to the next room with something new, /where says where you are, and /say-again says
    /// the last message again.
    #[arg(long)]
    pub reader: bool,

    /// In line mode: stay connected and print messages when the input ends.
    #[arg(long)]
    pub follow: bool,

    /// In line mode: lines that begin with / are commands, and q! leaves, even if the input is
    /// not a terminal. Each line then waits until the one before it is carried out.
    #[arg(long)]
    pub commands: bool,

    /// In line mode: print the last N messages after joining.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub history: u64,

    /// In line mode: how long to try to join, and, at the end of the input, how long to wait for the
    /// next message to be delivered.
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,

    /// Where to keep messages, drafts and unsent messages, instead of the system's directory for
    /// state: $XDG_STATE_HOME/chat-tui, or ~/.local/state/chat-tui.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// Keep nothing on this machine: messages that are not sent when this ends are lost, and the next
    /// start is a new member.
    #[arg(long, conflicts_with = "state_dir")]
    pub no_state: bool,

    /// Your key, instead of the one that is made for each nickname at its first start: an Ed25519 key
    /// in OpenSSH's format. If it is encrypted, you are asked for the passphrase.
    #[arg(long, value_name = "FILE")]
    pub identity: Option<PathBuf>,

    /// The code that /device add showed on another device of yours: it makes this device another of
    /// the same member's.
    #[arg(long, value_name = "CODE", value_parser = DeviceCode::parse)]
    pub device_code: Option<DeviceCode>,

    /// Reads the device code from a file, so that the machine's list of processes does not show it: the
    /// first line of FILE, or of the input if FILE is -; the rest of the input is sent.
    #[arg(long, value_name = "FILE", conflicts_with = "device_code")]
    pub device_code_file: Option<PathBuf>,

    /// Reads an invite, which replaces HOST and PORT, from a file: the first line of FILE, or of the
    /// input if FILE is -; the rest of the input is sent.
    #[arg(long, value_name = "FILE")]
    pub invite_file: Option<PathBuf>,

    /// Reads the server's password from a file: the first line of FILE, or of the input if FILE is -.
    /// It is sent to a server that asks for it.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,

    /// Accept this key of the server and no other, instead of the one that is stored for it.
    #[arg(long, value_name = "FINGERPRINT", value_parser = Fingerprint::parse, conflicts_with = "plaintext")]
    pub trust: Option<Fingerprint>,

    /// Do not encrypt: for an older server, on a network that you trust. Your key is then not used,
    /// except on this machine, where this option is not needed. A server that is known to encrypt is
    /// refused.
    #[arg(long)]
    pub plaintext: bool,

    /// Forget the key that is stored for HOST PORT, and end: the next start accepts the server's key as
    /// on a first connection.
    #[arg(long, conflicts_with_all = ["nickname", "client_id", "invite_file", "trust", "plaintext", "serve", "no_state"])]
    forget: bool,

    /// The terminal's background; auto asks the terminal.
    #[arg(long, value_enum, default_value_t = Theme::Auto)]
    pub theme: Theme,

    /// Line mode for programs: each line of the input and of the output is a JSON object of the
    /// protocol, as docs/BOTS.md says. With status: print a JSON object.
    #[arg(long, conflicts_with_all = ["reader", "commands"])]
    pub json: bool,

    /// No colours; the environment variable NO_COLOR does the same.
    #[arg(long)]
    pub no_color: bool,
}

impl Options {
    /// The room that is shown, and in line mode written to.
    pub fn room(&self) -> RoomName {
        self.rooms.first().cloned().unwrap_or_else(RoomName::lobby)
    }
}

/// The usage lines.
const USAGE: &str = "\
chat-tui [OPTIONS] HOST PORT NICKNAME CLIENTID
       chat-tui [OPTIONS]
       chat-tui [OPTIONS] INVITE [NICKNAME [CLIENTID]]
       chat-tui [OPTIONS] --invite-file FILE [NICKNAME [CLIENTID]]
       chat-tui status [--json] [HOST PORT NICKNAME CLIENTID]
       chat-tui --forget HOST PORT";

/// The kind of the error that there is no last chat to go back to.
const NO_LAST_CHAT: ErrorKind = ErrorKind::MissingSubcommand;

/// What to type where there is none.
const WHAT_TO_TYPE: &str = "Type chat-tui HOST PORT NICKNAME CLIENTID, such as chat-tui localhost \
                            10500 carol 3; at a terminal, chat-tui alone then opens that chat again";

/// The example that follows an error about the arguments.
const EXAMPLE: &str = "chat-tui localhost 10500 carol 3";

/// The purpose of this run.
#[derive(Clone, Debug)]
pub enum Invocation {
    /// Join a chat.
    Chat(Box<Args>),
    /// Print what is unread.
    Status(Box<Args>),
    /// Forget the stored key of a server.
    Forget {
        /// The server's name or address.
        host: Host,
        /// Its port.
        port: u16,
        /// The directory of the stored keys, if it was given.
        state_dir: Option<PathBuf>,
    },
}

/// The server, the user, and the options.
#[derive(Clone, Debug)]
pub struct Args {
    /// The server's name or address.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// The user's nickname.
    pub nickname: Nickname,
    /// The client ID: which of the user's devices or sessions this is.
    pub client_id: ClientId,
    /// The invite, if that is how the server was named.
    pub invite: Option<Invite>,
    /// The room to go to in place of that of the options, if the user is in it.
    pub place: Option<RoomId>,
    /// All other options.
    pub options: Options,
    /// The command line, for texts that tell the user what to type.
    pub command_line: CommandLine,
}

impl Args {
    /// The server as people write it: `localhost:10500`, `[::1]:10500`.
    pub fn server(&self) -> String {
        self.host.with_port(self.port)
    }
}

impl Invocation {
    /// Reads this process's arguments. Prints the help or version, or an error with an example, and
    /// exits (status 2 for errors) if there is nothing to run.
    pub fn from_command_line() -> Self {
        let user = ["USER", "LOGNAME", "USERNAME"]
            .into_iter()
            .find_map(|name| std::env::var(name).ok());
        let arguments: Vec<_> = std::env::args_os().collect();
        let status = is_status(&arguments);
        Self::parse(arguments, user.as_deref(), secrets::invite, last_chat).unwrap_or_else(
            |error| {
                let in_a_sentence = |status| {
                    stderr::complain("chat-tui", error.to_string().trim_start_matches("error: "));
                    std::process::exit(status)
                };
                match error.kind() {
                    ErrorKind::Io => in_a_sentence(1),
                    NO_LAST_CHAT if status => in_a_sentence(5),
                    NO_LAST_CHAT => in_a_sentence(2),
                    _ => {}
                }
                let status = stderr::answer("chat-tui", &error);
                if error.exit_code() != 0 {
                    let _ = writeln!(std::io::stderr(), "Example: {EXAMPLE}");
                }
                std::process::exit(status)
            },
        )
    }

    /// `user`: the system's name of the user. `read`: reads an invite from a file; the error is one
    /// plain sentence. `last`: the last chat; `true`: to ask for its status.
    fn parse(
        arguments: Vec<OsString>,
        user: Option<&str>,
        read: impl FnOnce(&Path) -> Result<String, String>,
        last: impl FnOnce(&Options, bool) -> Option<LastChat>,
    ) -> Result<Self, clap::Error> {
        let mut arguments = arguments;
        let status = is_status(&arguments);
        if status {
            arguments.remove(1);
        }
        let mut again = again(arguments.iter().skip(1));
        let mut typed = RawArgs::try_parse_from(arguments)?;
        typed.read_input_once()?;
        let place = if typed.names_nobody() {
            let last = last(&typed.options, status)
                .ok_or_else(|| clap::Error::raw(NO_LAST_CHAT, format!("{WHAT_TO_TYPE}\n")))?;
            again = typed.go_back(&last, &again);
            typed.options.rooms.is_empty().then_some(last.room)
        } else {
            None
        };
        if let Some(file) = typed.options.invite_file.take() {
            typed.put_invite(&file, read)?;
        }
        if typed.options.rooms.len() > JOIN_ROOMS_MAX {
            let why = format!("--room can be given {JOIN_ROOMS_MAX} times");
            return Err(RawArgs::command().error(ErrorKind::TooManyValues, why));
        }
        let mut words = PositionalParser::default();
        let invite = match typed.host.as_deref() {
            Some(text) if Invite::looks_like_one(text) => {
                let Some(invite) = words.read("INVITE", Some(text), invite) else {
                    return Err(words.wrong());
                };
                typed.follow_invite(&invite, user)?;
                Some(invite)
            }
            _ => None,
        };
        let host = words.read("HOST", typed.host.as_deref(), host);
        let port = words.read("PORT", typed.port.as_deref(), port);
        if typed.options.forget {
            if words.wrong.is_some() {
                return Err(words.wrong());
            }
            let state_dir = typed.options.state_dir;
            return match (host, port) {
                (Some(host), Some(port)) => Ok(Self::Forget {
                    host,
                    port,
                    state_dir,
                }),
                _ => Err(words.missing()),
            };
        }
        let nickname = words.read("NICKNAME", typed.nickname.as_deref(), nickname);
        let client_id = words.read("CLIENTID", typed.client_id.as_deref(), |text| {
            ClientId::parse(text).map_err(|wrong| wrong.to_string())
        });
        if words.wrong.is_some() {
            return Err(words.wrong());
        }
        let (Some(host), Some(port), Some(nickname), Some(client_id)) =
            (host, port, nickname, client_id)
        else {
            return Err(words.missing());
        };
        let mut server = vec![host.to_string(), port.to_string()];
        if let Some(directory) = &typed.options.state_dir {
            server.extend(["--state-dir".to_owned(), directory.to_string_lossy().into()]);
        }
        let server: Vec<_> = server.iter().map(|word| shell_word(word)).collect();
        let args = Box::new(Args {
            host,
            port,
            nickname,
            client_id,
            invite,
            place,
            options: typed.options,
            command_line: CommandLine {
                again,
                server: server.join(" "),
            },
        });
        Ok(if status {
            Self::Status(args)
        } else {
            Self::Chat(args)
        })
    }
}

/// The word in the place of HOST that asks for the status.
const STATUS: &str = "status";

/// Whether the status is asked for. Before a port, the word is a host.
fn is_status(arguments: &[OsString]) -> bool {
    let number = |word: &OsString| {
        word.to_str()
            .is_some_and(|word| word.parse::<u64>().is_ok())
    };
    arguments.get(1).is_some_and(|word| word == STATUS) && !arguments.get(2).is_some_and(number)
}

/// Reads the last chat of the user. To join it they must sit at a terminal: the lines of a script
/// must not go to a place that it does not name.
fn last_chat(options: &Options, status: bool) -> Option<LastChat> {
    if options.no_state || !status && !std::io::stdin().is_terminal() {
        return None;
    }
    let directory = options.state_dir.clone();
    LastChat::read(&directory.or_else(store::default_directory)?)
}

impl RawArgs {
    /// Whether neither a server nor a user was named.
    fn names_nobody(&self) -> bool {
        self.host.is_none() && self.options.invite_file.is_none() && !self.options.forget
    }

    /// Goes back to the last chat. Returns the command line with its arguments.
    fn go_back(&mut self, last: &LastChat, options: &str) -> String {
        let words = [
            last.host.to_string(),
            last.port.to_string(),
            last.nickname.to_string(),
            last.client_id.to_string(),
        ];
        let typed = words.iter().map(|word| shell_word(word));
        let options = Some(options.to_owned()).filter(|options| !options.is_empty());
        let again: Vec<_> = options.into_iter().chain(typed).collect();
        let [host, port, nickname, client_id] = words.map(Some);
        (self.host, self.port) = (host, port);
        (self.nickname, self.client_id) = (nickname, client_id);
        again.join(" ")
    }

    /// Refuses to read two secrets from the input, which has only one first line.
    fn read_input_once(&self) -> Result<(), clap::Error> {
        let options = &self.options;
        let files = [
            &options.invite_file,
            &options.device_code_file,
            &options.password_file,
        ];
        let from_input = files
            .into_iter()
            .flatten()
            .filter(|file| *file == Path::new(secrets::INPUT));
        if from_input.count() > 1 {
            let why = "only one FILE can be -, the input: put the others into files";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, why));
        }
        Ok(())
    }

    /// Puts the invite from a file where it would have been typed.
    fn put_invite(
        &mut self,
        file: &Path,
        read: impl FnOnce(&Path) -> Result<String, String>,
    ) -> Result<(), clap::Error> {
        let conflict = |why: &str| Self::command().error(ErrorKind::ArgumentConflict, why);
        if self.host.as_deref().is_some_and(Invite::looks_like_one) {
            return Err(conflict(
                "--invite-file and INVITE are both given: leave one out",
            ));
        }
        if self.client_id.is_some() || self.nickname.is_some() {
            return Err(conflict(
                "an invite names host and port itself: with --invite-file, leave HOST and PORT out",
            ));
        }
        let invite = read(file).map_err(|why| Self::command().error(ErrorKind::Io, why))?;
        if !Invite::looks_like_one(&invite) {
            let file = Line::inert(&file.to_string_lossy());
            let why = format!("there is no invite in {file}: chat-tui://HOST:PORT/… is expected");
            return Err(Self::command().error(ErrorKind::ValueValidation, why));
        }
        self.nickname = self.port.take();
        self.port = self.host.take();
        self.host = Some(invite);
        Ok(())
    }

    /// Replaces an invite and what follows it by the positional arguments that it stands for.
    fn follow_invite(&mut self, invite: &Invite, user: Option<&str>) -> Result<(), clap::Error> {
        if let Some(more) = &self.client_id {
            let more = Line::inert(more);
            let why = format!("unexpected argument '{more}': an invite names host and port itself");
            return Err(Self::command().error(ErrorKind::UnknownArgument, why));
        }
        if self.options.plaintext {
            let why = "an invite names the server's key, which only an encrypted connection shows: \
                       leave --plaintext out, or name HOST and PORT instead";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, why));
        }
        let given = self.options.trust;
        if given.is_some_and(|key| key != invite.fingerprint) {
            let why = "--trust and the invite name two keys, and a server has one: ask which is \
                       right, and leave the other out";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, why));
        }
        let nickname = self.port.take();
        let client_id = self.nickname.take();
        self.host = Some(invite.host.clone());
        self.port = Some(invite.port.to_string());
        self.nickname = nickname.or_else(|| user.and_then(own_name));
        self.client_id = Some(client_id.unwrap_or_else(|| "1".to_owned()));
        Ok(())
    }
}

/// The system's name of the user, changed to be a valid nickname if possible.
fn own_name(user: &str) -> Option<String> {
    let fits = |name: &str| nickname(name).is_ok().then(|| name.to_owned());
    fits(user).or_else(|| {
        let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let name: String = user
            .chars()
            .filter(plain)
            .take(NICKNAME_GRAPHEMES_MAX)
            .collect();
        fits(&name)
    })
}

/// Parses positional arguments, and remembers which are wrong or missing.
#[derive(Default)]
struct PositionalParser {
    missing: Vec<&'static str>,
    wrong: Option<String>,
}

impl PositionalParser {
    fn read<T>(
        &mut self,
        name: &'static str,
        text: Option<&str>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let Some(text) = text else {
            self.missing.push(name);
            return None;
        };
        let parsed = parse(text);
        parsed
            .map_err(|why| {
                let shown = Line::inert(text);
                let wrong = format!("invalid value '{shown}' for '{name}': {why}");
                self.wrong.get_or_insert(wrong);
            })
            .ok()
    }

    /// The error for wrong arguments.
    fn wrong(&self) -> clap::Error {
        let wrong = self.wrong.as_deref().unwrap_or_default();
        RawArgs::command().error(ErrorKind::ValueValidation, wrong)
    }

    /// The error for missing arguments.
    fn missing(&self) -> clap::Error {
        let missing = self.missing.join(" ");
        let why = format!("the following arguments are missing: {missing}");
        RawArgs::command().error(ErrorKind::MissingRequiredArgument, why)
    }
}

/// The arguments as shell words, without `--trust` and its key.
fn again<'a>(mut arguments: impl Iterator<Item = &'a OsString>) -> String {
    let mut words = Vec::new();
    while let Some(argument) = arguments.next() {
        let argument = argument.to_string_lossy();
        if argument == "--" {
            // Arguments after `--` are not options.
            words.push(argument.into_owned());
            words.extend(arguments.map(|rest| shell_word(&rest.to_string_lossy())));
            break;
        }
        if argument == "--trust" {
            arguments.next();
        } else if !argument.starts_with("--trust=") {
            words.push(shell_word(&argument));
        }
    }
    words.join(" ")
}

/// Quotes a text for a shell, if it must be quoted.
pub(super) fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// The background that the colours must contrast with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Theme {
    /// Asks the terminal.
    #[default]
    Auto,
    /// Light text on a dark background.
    Dark,
    /// Dark text on a light background.
    Light,
}

fn host(text: &str) -> Result<Host, String> {
    Host::parse(text).map_err(|wrong| wrong.to_string())
}

fn port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a port is a number from 1 to 65535, such as 10500".to_owned()),
        Ok(port) => Ok(port),
    }
}

fn invite(text: &str) -> Result<Invite, String> {
    Invite::parse(text).map_err(|wrong| wrong.to_string())
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
    use super::*;

    fn invocation(line: &str) -> Result<Invocation, clap::Error> {
        let arguments = line.split(' ').map(OsString::from).collect();
        let read = |file: &Path| match file.to_str() {
            Some("invite") => Ok(invite().expose()),
            Some("empty") => Ok(String::new()),
            _ => Err("it can't be read".to_owned()),
        };
        Invocation::parse(arguments, Some("carol"), read, |_, _| None)
    }

    fn parse(line: &str) -> Result<Args, clap::Error> {
        match invocation(line)? {
            Invocation::Chat(args) => Ok(*args),
            Invocation::Status(_) | Invocation::Forget { .. } => panic!("{line}"),
        }
    }

    #[test]
    fn the_definition_is_valid() {
        RawArgs::command().debug_assert();
    }

    #[test]
    fn the_seeds_command_line_is_taken() {
        let args = parse("chat-tui localhost 10500 carol 3").unwrap();
        assert_eq!(args.host.as_str(), "localhost");
        assert_eq!(args.port, 10500);
        assert_eq!(args.nickname.as_str(), "carol");
        assert_eq!(args.client_id.as_str(), "3");
        let options = args.options;
        assert!(!options.serve && !options.plain && !options.follow && !options.commands);
        assert!(!options.no_color && !options.plaintext && options.trust.is_none());
    }

    #[test]
    fn addresses_are_taken_as_people_write_them() {
        let check = |given: &str, host: &str| {
            let args = parse(&format!("chat-tui {given} 10500 carol 3")).unwrap();
            assert_eq!(args.host.as_str(), host);
            assert_eq!(args.server(), args.host.with_port(10500));
        };
        check("127.0.0.1", "127.0.0.1");
        check("::1", "::1");
        check("[::1]", "::1");
        check("LOCALHOST.", "localhost");
        check("::ffff:127.0.0.1", "127.0.0.1");
        check("bücher.example", "xn--bcher-kva.example");
        check("fe80::1%eth0", "fe80::1%eth0");
        check("chat.example.org", "chat.example.org");
    }

    #[test]
    fn errors_come_with_an_example() {
        let check = |line: &str, says: &str| {
            let error = parse(line).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(says), "{line}: {text}");
            assert_eq!(error.exit_code(), 2, "{line}");
        };
        check("chat-tui", "Type chat-tui HOST PORT NICKNAME CLIENTID");
        check("chat-tui --plain", "Type chat-tui HOST PORT");
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
    fn the_command_line_is_repeated_with_another_key() {
        let key = Fingerprint::from_bytes([1; 32]);
        for (line, again, server) in [
            ("localhost 10500 carol 3", None, "localhost 10500"),
            (
                "--state-dir /a/b [::1] 10500 carol 3 --plain",
                Some("--state-dir /a/b '[::1]' 10500 carol 3 --plain"),
                "::1 10500 --state-dir /a/b",
            ),
            (
                "--plain -- localhost 10500 --trust 3",
                None,
                "localhost 10500",
            ),
            (
                "localhost 10500 O'Hara 3",
                Some("localhost 10500 'O'\\''Hara' 3"),
                "localhost 10500",
            ),
        ] {
            let again = again.unwrap_or(line);
            for trust in [
                String::new(),
                format!("--trust {key} "),
                format!("--trust={key} "),
            ] {
                let args = parse(&format!("chat-tui {trust}{line}")).unwrap();
                assert_eq!(args.command_line.again, again);
                assert_eq!(args.command_line.server, server);
                assert_eq!(args.options.trust.is_some(), !trust.is_empty());
            }
        }
        let error = parse("chat-tui --trust abcd localhost 10500 carol 3").unwrap_err();
        assert!(error.to_string().contains("13 groups"), "{error}");
    }

    #[test]
    fn a_room_is_the_lobby_unless_another_is_named() {
        let room = |line: &str| parse(line).unwrap().options.room();
        assert_eq!(room("chat-tui localhost 10500 carol 3"), RoomName::lobby());
        let named = "chat-tui localhost 10500 carol 3 --room build";
        assert_eq!(room(named).as_str(), "build");
        let again = parse(named).unwrap().command_line.again;
        assert_eq!(again, "localhost 10500 carol 3 --room build");
        let more = parse("chat-tui h 1 carol 3 --room build --room ops").unwrap();
        assert_eq!(more.options.room().as_str(), "build", "the first");
        assert_eq!(more.options.rooms.len(), 2);
        let many = "chat-tui h 1 carol 3".to_owned() + &" --room x".repeat(JOIN_ROOMS_MAX + 1);
        assert!(parse(&many).is_err(), "a join has no space for more");
        let error = parse("chat-tui localhost 10500 carol 3 --room Build").unwrap_err();
        assert!(error.to_string().contains("lower-case"), "{error}");
    }

    fn invite() -> Invite {
        let key = crate::protocol::InviteKey::from_bytes([9; 32]);
        let id = crate::protocol::InviteId::from_bytes([1; 8]);
        Invite {
            host: "chat.lan".to_owned(),
            port: 10777,
            fingerprint: Fingerprint::from_bytes([1; 32]),
            token: crate::protocol::InviteToken::mint(&key, id, 1_800_000_000, 1),
        }
    }

    #[test]
    fn an_invite_is_enough() {
        let shown = invite().expose();
        for (rest, nickname, client_id) in [
            ("", "carol", "1"),
            (" alice", "alice", "1"),
            (" alice 7", "alice", "7"),
            (" --plain alice 7 --no-color", "alice", "7"),
        ] {
            let args = parse(&format!("chat-tui {shown}{rest}")).unwrap();
            assert_eq!((args.host.as_str(), args.port), ("chat.lan", 10777));
            assert_eq!(args.nickname.as_str(), nickname, "{rest}");
            assert_eq!(args.client_id.as_str(), client_id, "{rest}");
            assert_eq!(args.invite, Some(invite()));
        }
        for (line, says) in [
            (format!("{shown} alice 7 8"), "host and port itself"),
            (shown[..shown.len() - 1].to_owned(), "not a whole invite"),
            (format!("{shown} server"), "server's own name"),
            (format!("--plaintext {shown}"), "leave --plaintext out"),
            (
                format!("--trust {} {shown}", Fingerprint::from_bytes([2; 32])),
                "name two keys",
            ),
        ] {
            let error = parse(&format!("chat-tui {line}")).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[test]
    fn an_invite_may_come_from_a_file() {
        for (rest, nickname, client_id) in [
            ("--invite-file invite", "carol", "1"),
            ("--invite-file invite alice", "alice", "1"),
            ("alice 7 --invite-file=invite --plain", "alice", "7"),
        ] {
            let args = parse(&format!("chat-tui {rest}")).unwrap();
            assert_eq!((args.host.as_str(), args.port), ("chat.lan", 10777));
            assert_eq!(args.nickname.as_str(), nickname, "{rest}");
            assert_eq!(args.client_id.as_str(), client_id, "{rest}");
            assert_eq!(args.invite, Some(invite()));
            assert_eq!(args.command_line.again, rest);
        }
        let shown = invite().expose();
        for (rest, says) in [
            ("--invite-file nowhere", "it can't be read"),
            ("--invite-file empty", "no invite in empty"),
            ("--invite-file invite chat.lan 10777 alice 7", "leave HOST"),
            ("--invite-file invite alice 7 8", "leave HOST"),
            (&format!("--invite-file invite {shown}"), "leave one out"),
            ("--invite-file - --password-file -", "only one FILE"),
            ("--plaintext --invite-file invite", "leave --plaintext out"),
            ("--forget --invite-file invite", "cannot be used with"),
            (
                "--device-code mfrg-gzdf --device-code-file x h 1 a 1",
                "cannot be used with",
            ),
        ] {
            let error = parse(&format!("chat-tui {rest}")).unwrap_err();
            assert!(error.to_string().contains(says), "{rest}: {error}");
            assert!(!error.to_string().contains(&shown), "it is shown: {error}");
        }
    }

    #[test]
    fn the_default_nickname_with_an_invite_is_the_system_user() {
        let line = vec!["chat-tui".into(), invite().expose().into()];
        for (user, nickname) in [
            (Some("carol"), Some("carol")),
            (Some("car\u{202e}ol"), Some("carol")),
            (Some("zoë"), Some("zoë")),
            (Some("server"), None),
            (Some("\u{202e}"), None),
            (Some(""), None),
            (None, None),
        ] {
            let parsed = Invocation::parse(
                line.clone(),
                user,
                |_| unreachable!(),
                |_, _| unreachable!(),
            );
            match (parsed, nickname) {
                (Ok(Invocation::Chat(args)), Some(nickname)) => {
                    assert_eq!(args.nickname.as_str(), nickname);
                }
                (Err(error), None) => assert!(error.to_string().contains("NICKNAME"), "{error}"),
                (other, _) => panic!("{user:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn alone_it_goes_back_to_the_last_chat() {
        let last = LastChat {
            host: Host::parse("chat.lan").unwrap(),
            port: 10777,
            nickname: Nickname::parse("O'Hara").unwrap(),
            client_id: ClientId::parse("7").unwrap(),
            room: RoomId::parse("build").unwrap(),
        };
        for (line, place, again) in [
            ("chat-tui", Some(last.room), "chat.lan 10777 'O'\\''Hara' 7"),
            (
                "chat-tui --plain",
                Some(last.room),
                "--plain chat.lan 10777 'O'\\''Hara' 7",
            ),
            (
                "chat-tui --room ops",
                None,
                "--room ops chat.lan 10777 'O'\\''Hara' 7",
            ),
        ] {
            let arguments = line.split(' ').map(OsString::from).collect();
            let last = |_: &Options, _| Some(last.clone());
            let parsed = Invocation::parse(arguments, None, |_| unreachable!(), last);
            let Ok(Invocation::Chat(args)) = parsed else {
                panic!("{line}: {parsed:?}");
            };
            assert_eq!(args.server(), "chat.lan:10777");
            assert_eq!(args.nickname.as_str(), "O'Hara");
            assert_eq!(args.client_id.as_str(), "7");
            assert_eq!(args.place, place, "{line}");
            assert_eq!(args.command_line.again, again);
        }
        // Whoever names a part of it names all of it.
        let error = parse("chat-tui chat.lan").unwrap_err();
        assert!(error.to_string().contains("PORT"), "{error}");
    }

    #[test]
    fn status_is_a_word_in_the_place_of_a_host() {
        for line in [
            "chat-tui status localhost 10500 carol 3",
            "chat-tui status --json localhost 10500 carol 3",
        ] {
            let Ok(Invocation::Status(args)) = invocation(line) else {
                panic!("{line}");
            };
            assert_eq!(args.server(), "localhost:10500");
            assert_eq!(args.options.json, line.contains("--json"));
        }
        let args = parse("chat-tui status 10500 carol 3").unwrap();
        assert_eq!(args.host.as_str(), "status");
        assert!(invocation("chat-tui status").is_err(), "of which chat?");
    }

    #[test]
    fn forget_needs_no_nickname() {
        let Invocation::Forget { host, port, .. } =
            invocation("chat-tui --forget ::1 10500").unwrap()
        else {
            panic!("it chats");
        };
        assert_eq!((host.as_str(), port), ("::1", 10500));
        for line in [
            "chat-tui --forget localhost",
            "chat-tui --forget localhost 0",
            "chat-tui --forget localhost 10500 carol 3",
        ] {
            assert_eq!(invocation(line).unwrap_err().exit_code(), 2, "{line}");
        }
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
        for status in ["\n    5 ", "\n    6 ", "\n  129, 130, 143 "] {
            assert!(text.contains(status), "{text}");
        }
    }
}
