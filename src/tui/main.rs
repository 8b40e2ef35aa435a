//! `chat-tui`: joins a chat, and hosts a server if asked to.

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    process::ExitCode,
};

use chat_tui::{
    client::{
        Host, identity,
        session::Credentials,
        store::{self, OpenError, Profile},
        transport::{self, Backlog, ClientConfig, ClientHandle, Reach, StoreChoice},
        trust::{self, Policy},
    },
    protocol::{RoomId, RoomName},
    stderr,
    text::Line,
    tui::{
        AtJoin, Launch,
        args::{Args, Invocation},
        exit_summary,
        last_chat::LastChat,
        line_mode, secrets,
        serve::{self, HostControl},
        shell,
        signals::Signals,
        status,
    },
};

/// A failure without a number of its own.
const EXIT_FAILURE: u8 = 1;
/// Wrong arguments, or the server to host could not be started.
const EXIT_USAGE: u8 = 2;
/// Nothing is known of what is unread.
const EXIT_UNKNOWN: u8 = 5;

fn main() -> ExitCode {
    #[cfg(feature = "server")]
    if std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == serve::SERVER_ARGUMENT)
    {
        let name = std::iter::once("chat-server".into());
        return chat_tui::server::main_with(name.chain(std::env::args_os().skip(2)));
    }
    let (args, status) = match Invocation::from_command_line() {
        Invocation::Chat(args) => (*args, false),
        Invocation::Status(args) => (*args, true),
        Invocation::Forget {
            host,
            port,
            state_dir,
        } => return forget(&host, port, state_dir),
    };
    let is_stored = |directory| store::exists(&profile(&args, directory));
    if status && !directory(&args).is_some_and(is_stored) {
        return nothing_known(&args);
    }
    // A prompt must not wait for a passphrase.
    let ask = |key: &Path| {
        if status {
            Ok(None)
        } else {
            secrets::passphrase(key)
        }
    };
    let who = match local_identity(&args, ask) {
        Ok(who) => who,
        Err(why) => return fail(&why, if status { EXIT_UNKNOWN } else { EXIT_FAILURE }),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("Can't start: {error}"), EXIT_FAILURE),
    };
    let code = if status {
        runtime.block_on(tell_status(args, who))
    } else {
        runtime.block_on(run(args, who))
    };
    // A pending name lookup or read of the input must not delay the end.
    runtime.shutdown_background();
    code
}

/// The user's credentials, and notices about them.
struct LocalIdentity {
    credentials: Credentials,
    notices: Vec<Line>,
}

/// Finds the user's key, or makes one, and reads their other credentials. `Err` is one plain
/// sentence.
fn local_identity(
    args: &Args,
    mut ask: impl FnMut(&Path) -> io::Result<Option<String>>,
) -> Result<LocalIdentity, String> {
    let options = &args.options;
    let mut notices = Vec::new();
    if let Some(name) = args.host.unicode() {
        notices.push(Line::inert(&format!(
            "{name} is looked up as {}",
            args.host
        )));
    }
    let identity = match (&options.identity, directory(args)) {
        (Some(file), _) => {
            let key = identity::of_file(file, &mut ask);
            Some(key.map_err(|why| why.to_string())?)
        }
        (None, Some(directory)) => {
            match identity::of_nickname(&directory, &args.nickname, &mut ask) {
                Ok(identity) => Some(identity),
                Err(why) if why.is_missing_directory() => {
                    let comes = if lets_in(args) {
                        "Your key can't be kept"
                    } else {
                        "You join without a key"
                    };
                    notices.push(Line::inert(&format!("{comes}: {why}")));
                    None
                }
                Err(why) => return Err(why.to_string()),
            }
        }
        (None, None) => None,
    };
    let identity = match identity {
        // Invites, codes and passwords are for a key: make one for this run, if none can be stored.
        None if lets_in(args) => {
            notices.push(Line::inert(
                "Your key is kept for this run only: the next start is a new user, who must be \
                 admitted again",
            ));
            Some(identity::of_this_run().map_err(|why| format!("Can't make a key: {why}"))?)
        }
        identity => identity,
    };
    let password = options.password_file.as_deref().map(secrets::password);
    let code = options
        .device_code_file
        .as_deref()
        .map(secrets::device_code);
    Ok(LocalIdentity {
        credentials: Credentials {
            identity,
            invite: args.invite.clone(),
            password: password.transpose()?,
            code: code.transpose()?.or(options.device_code),
        },
        notices,
    })
}

/// Whether the user gave an invite, a code or a password.
fn lets_in(args: &Args) -> bool {
    let options = &args.options;
    args.invite.is_some()
        || options.device_code.is_some()
        || options.device_code_file.is_some()
        || options.password_file.is_some()
}

async fn run(args: Args, mut who: LocalIdentity) -> ExitCode {
    let directory = directory(&args);
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return fail(&format!("Can't start: {error}"), EXIT_FAILURE),
    };
    let host = if args.options.serve {
        let rooms = rooms(&args);
        let started = tokio::select! {
            biased;
            // A server that is being started ends, too.
            by = signals.next() => return ExitCode::from(by),
            started = serve::start(args.host.as_str(), args.port, &rooms, directory.as_deref()) => {
                started
            }
        };
        match started {
            Ok(host) => host,
            Err(error) => return fail(&error.to_string(), EXIT_USAGE),
        }
    } else {
        None
    };
    if let Some(host) = &host {
        who.notices.extend_from_slice(host.told());
    }
    let on_terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
    let plain = args.options.plain || args.options.reader || args.options.json;
    let lines = plain || !on_terminal || stderr::is_dumb_terminal();
    if lines && !plain && on_terminal {
        stderr::complain(
            "chat-tui",
            "This terminal can't show the full screen (TERM is \"dumb\" or not set): this is line \
             mode, as with --plain",
        );
    }
    // Runs of a script may overlap: a later one leaves the device's lease to the earlier one.
    let script = lines && !io::stdin().is_terminal();
    let backlog = if lines {
        // Older messages are read page by page.
        Backlog::Last(0)
    } else {
        Backlog::Resume
    };
    let config = config(&args, who, backlog, script);
    let keep = open_store(&args, script && !args.options.follow);
    let session = transport::spawn(config, keep);
    let mut session = match session {
        Ok(session) => session,
        Err(error) => {
            if let Some(host) = host {
                host.stop().await;
            }
            return fail(&format!("Can't start: {error}"), EXIT_FAILURE);
        }
    };
    let flush = session.flush();
    let (code, room) = if lines {
        let (code, room) = line_mode::run(&args, session, host, signals).await;
        // A script is no place where a user was.
        (code, room.filter(|_| !script))
    } else {
        full_screen(&args, session, host, signals).await
    };
    flush.wait().await;
    if let Some(room) = room
        && let Err(error) = keep_chat(&args, room)
    {
        stderr::complain(
            "chat-tui",
            &format!("The next start without arguments can't open this chat: {error}"),
        );
    }
    code
}

/// What the session is to do. `yields`: it leaves the device's lease to another process.
fn config(args: &Args, who: LocalIdentity, backlog: Backlog, yields: bool) -> ClientConfig {
    ClientConfig {
        host: args.host.clone(),
        port: args.port,
        nickname: args.nickname.clone(),
        client_id: args.client_id.clone(),
        enter: rooms(args),
        backlog,
        credentials: who.credentials,
        notices: who.notices,
        reach: Reach::Network(Policy {
            directory: directory(args),
            plaintext: args.options.plaintext,
            accept: args.options.trust,
            invited: args.invite.as_ref().map(|invite| invite.fingerprint),
        }),
        command_line: args.command_line.clone(),
        yields,
    }
}

/// Prints what is unread.
async fn tell_status(args: Args, who: LocalIdentity) -> ExitCode {
    let json = args.options.json;
    let config = config(&args, who, Backlog::Last(0), true);
    let mut session = match transport::spawn(config, open_store(&args, true)) {
        Ok(session) => session,
        Err(error) => return fail(&format!("Can't start: {error}"), EXIT_FAILURE),
    };
    let flush = session.flush();
    let unread = status::ask(&mut session).await;
    let code = if !unread.is_known() {
        nothing_known(&args)
    } else if json {
        print(&format!("{}\n", unread.json()))
    } else {
        print(&format!("{}\n", unread.line()))
    };
    status::leave(session).await;
    flush.wait().await;
    code
}

fn nothing_known(args: &Args) -> ExitCode {
    let server = args.server();
    let why = format!("Nothing is known of {} at {server}", args.nickname);
    fail(&why, EXIT_UNKNOWN)
}

/// Keeps where the user was, for a start without arguments.
fn keep_chat(args: &Args, room: RoomId) -> io::Result<()> {
    let Some(directory) = directory(args) else {
        return Ok(());
    };
    let chat = LastChat {
        host: args.host.clone(),
        port: args.port,
        nickname: args.nickname.clone(),
        client_id: args.client_id.clone(),
        room,
    };
    chat.keep(&directory)
}

/// The rooms to ask the server for: none for the lobby alone, which everybody joins.
fn rooms(args: &Args) -> Vec<RoomName> {
    let rooms = &args.options.rooms;
    if rooms.iter().all(|room| *room == RoomName::lobby()) {
        return Vec::new();
    }
    rooms.clone()
}

/// The state directory, unless nothing is to be stored or there is none.
fn directory(args: &Args) -> Option<PathBuf> {
    let options = &args.options;
    if options.no_state {
        return None;
    }
    options.state_dir.clone().or_else(store::default_directory)
}

fn forget(host: &Host, port: u16, state_dir: Option<PathBuf>) -> ExitCode {
    let Some(directory) = state_dir.or_else(store::default_directory) else {
        return fail(
            &format!("Can't forget it: {}", OpenError::NoDirectory),
            EXIT_FAILURE,
        );
    };
    let server = host.with_port(port);
    let words = match trust::forget(&directory, host, port) {
        Ok(true) => {
            format!("The key of {server} is forgotten: the next start is a first connection again")
        }
        Ok(false) => format!("No key was stored for {server}"),
        Err(why) => return fail(why.as_str(), EXIT_FAILURE),
    };
    print(&format!("{words}\n"))
}

/// Prints to standard output.
fn print(text: &str) -> ExitCode {
    match stderr::print("chat-tui", text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stderr::Unprinted) => ExitCode::from(EXIT_FAILURE),
    }
}

fn profile(args: &Args, directory: PathBuf) -> Profile {
    Profile {
        directory,
        server: args.server(),
        nickname: args.nickname.clone(),
        client_id: args.client_id.clone(),
    }
}

/// Opens the client's store; `standby`: leaves the lease to another process that holds it.
fn open_store(args: &Args, standby: bool) -> StoreChoice {
    if args.options.no_state {
        return StoreChoice::Off;
    }
    let Some(directory) = directory(args) else {
        return StoreChoice::Unavailable(OpenError::NoDirectory);
    };
    let profile = profile(args, directory);
    let opened = if standby {
        store::open_on_standby(&profile)
    } else {
        store::open(&profile)
    };
    match opened {
        Ok(opened) => StoreChoice::Open(Box::new(opened)),
        Err(why) => StoreChoice::Unavailable(why),
    }
}

/// Runs the full screen. Returns the exit status, and the room where the user was at the end, if they
/// joined.
async fn full_screen(
    args: &Args,
    session: ClientHandle,
    host: Option<HostControl>,
    signals: Signals,
) -> (ExitCode, Option<RoomId>) {
    let kept = session.kept;
    let chat = args.clone();
    // An error is reported at the end.
    let keep = move |room| drop(keep_chat(&chat, room));
    let launch = Launch {
        at_join: AtJoin(Box::new(keep)),
        host_label: args.server(),
        nickname: args.nickname.clone(),
        room: args.options.room(),
        place: args.place,
        theme: args.options.theme,
        no_color: args.options.no_color
            || std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty()),
        host,
        signals,
        key: session.key,
        restored: session.restored,
        commands: session.commands,
        events: session.events,
    };
    let (ended, stopped) = shell::run(launch).await;
    let room = ended.as_ref().ok().and_then(|summary| summary.room);
    let code = match ended {
        Ok(summary) => print(&exit_summary::of_screen(&summary, kept)),
        // The terminal is gone, so that errors are expected.
        Err(_) if stopped.is_some() => ExitCode::from(EXIT_FAILURE),
        Err(error) => fail(&format!("{error:#}"), EXIT_FAILURE),
    };
    (stopped.map_or(code, ExitCode::from), room)
}

fn fail(why: &str, code: u8) -> ExitCode {
    stderr::complain("chat-tui", why);
    ExitCode::from(code)
}
