//! `chat-tui`: joins a chat, and hosts a server if asked to.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
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
    protocol::RoomName,
    stderr,
    text::Line,
    tui::{
        Launch,
        args::{Args, Invocation},
        exit_summary, line_mode, secrets,
        serve::{self, HostControl},
        shell,
        signals::Signals,
    },
};

/// A failure without a number of its own.
const EXIT_FAILURE: u8 = 1;
/// Wrong arguments, or the server to host could not be started.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    #[cfg(feature = "server")]
    if std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == serve::SERVER_ARGUMENT)
    {
        let name = std::iter::once("chat-server".into());
        return chat_tui::server::main_with(name.chain(std::env::args_os().skip(2)));
    }
    let args = match Invocation::from_command_line() {
        Invocation::Chat(args) => *args,
        Invocation::Forget {
            host,
            port,
            state_dir,
        } => return forget(&host, port, state_dir),
    };
    let who = match local_identity(&args) {
        Ok(who) => who,
        Err(why) => return fail(&why, EXIT_FAILURE),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("Can't start: {error}"), EXIT_FAILURE),
    };
    let code = runtime.block_on(run(args, who));
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
fn local_identity(args: &Args) -> Result<LocalIdentity, String> {
    let options = &args.options;
    let mut notices = Vec::new();
    if let Some(name) = args.host.unicode() {
        notices.push(Line::inert(&format!(
            "{name} is looked up as {}",
            args.host
        )));
    }
    let mut ask = secrets::passphrase;
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
        let room = rooms(&args);
        let started = tokio::select! {
            biased;
            // A server that is being started ends, too.
            by = signals.next() => return ExitCode::from(by),
            started = serve::start(args.host.as_str(), args.port, room.first(), directory.as_deref()) => {
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
    let lines = args.options.plain || !on_terminal || stderr::is_dumb_terminal();
    if lines && !args.options.plain && on_terminal {
        stderr::complain(
            "chat-tui",
            "This terminal can't show the full screen (TERM is \"dumb\" or not set): this is line \
             mode, as with --plain",
        );
    }
    // Runs of a script may overlap: a later one leaves the device's lease to the earlier one.
    let script = lines && !io::stdin().is_terminal();
    let config = ClientConfig {
        host: args.host.clone(),
        port: args.port,
        nickname: args.nickname.clone(),
        client_id: args.client_id.clone(),
        enter: rooms(&args),
        backlog: if lines {
            // Older messages are read page by page.
            Backlog::Last(0)
        } else {
            Backlog::Resume
        },
        credentials: who.credentials,
        notices: who.notices,
        reach: Reach::Network(Policy {
            directory,
            plaintext: args.options.plaintext,
            accept: args.options.trust,
            invited: args.invite.as_ref().map(|invite| invite.fingerprint),
        }),
        command_line: args.command_line.clone(),
        yields: script,
    };
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
    let code = if lines {
        line_mode::run(&args, session, host, signals).await
    } else {
        full_screen(args, session, host, signals).await
    };
    flush.wait().await;
    code
}

/// The room to ask the server for: none for the lobby, which everybody joins.
fn rooms(args: &Args) -> Vec<RoomName> {
    let room = Some(args.options.room.clone());
    room.filter(|room| *room != RoomName::lobby())
        .into_iter()
        .collect()
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

/// Opens the client's store; `standby`: leaves the lease to another process that holds it.
fn open_store(args: &Args, standby: bool) -> StoreChoice {
    if args.options.no_state {
        return StoreChoice::Off;
    }
    let Some(directory) = directory(args) else {
        return StoreChoice::Unavailable(OpenError::NoDirectory);
    };
    let profile = Profile {
        directory,
        server: args.server(),
        nickname: args.nickname.clone(),
        client_id: args.client_id.clone(),
    };
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

async fn full_screen(
    args: Args,
    session: ClientHandle,
    host: Option<HostControl>,
    signals: Signals,
) -> ExitCode {
    let kept = session.kept;
    let launch = Launch {
        host_label: args.server(),
        nickname: args.nickname,
        room: args.options.room,
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
    let code = match ended {
        Ok(summary) => print(&exit_summary::of_screen(&summary, kept)),
        // The terminal is gone, so that errors are expected.
        Err(_) if stopped.is_some() => ExitCode::from(EXIT_FAILURE),
        Err(error) => fail(&format!("{error:#}"), EXIT_FAILURE),
    };
    stopped.map_or(code, ExitCode::from)
}

fn fail(why: &str, code: u8) -> ExitCode {
    stderr::complain("chat-tui", why);
    ExitCode::from(code)
}
