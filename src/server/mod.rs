//! The server: hosts the rooms.
//!
//! - [`core`] decides (pure).
//! - [`store`] keeps the log.
//! - [`net`] has the sockets and threads and drives both.
//! - [`keys`] has what clients know the server by, [`secrets`] what they are let in by.
//! - [`supervisor`] starts every thread, and ends the server when one breaks down.
//! - [`config`] and [`event_log`] are the operator's side.
//!
//! Other programs start one in a process with [`bind`] and [`Bound::run`], or become one with
//! [`main_with`]. Nothing here knows the client's half.

use std::{
    ffi::OsString,
    io::{self, IsTerminal, Write},
    net::SocketAddr,
    process::ExitCode,
    time::Duration,
};

use tracing::{error, info, warn};

pub mod args;
mod commands;
pub mod config;
pub mod core;
pub mod event_log;
mod files;
pub mod front;
pub mod keys;
pub mod log;
pub mod net;
pub mod network;
mod priority;
pub mod secrets;
pub mod store;
pub mod supervisor;

use crate::stderr;

pub use config::{Config, Storage};
pub use net::{BindError, Bound, Credentials, Reload, RunError, StartError, bind};

use args::Args;
use event_log::EventLog;
use store::sqlite::owner;
use supervisor::Supervisor;

/// The operator asked for what can't be: the arguments, the data directory, or what a command is to
/// do. What may pass by itself (a port in use, an address that is not there yet, a full disk) is a
/// mere failure, so that a supervisor tries again.
const EXIT_USAGE: u8 = 2;
/// Descriptors besides those of clients: other connections, files, polls.
const DESCRIPTORS_BESIDES: u64 = net::SPARE_CONNECTIONS as u64 + 64;
/// How long the last lines of the log may take.
const LOG_WITHIN: Duration = Duration::from_millis(150);

/// The whole program `chat-server`: arguments (the program's name first) to exit code. Returns
/// after Ctrl-C or SIGTERM, when everyone was told.
///
/// Prints two lines to stdout, `listening on ADDRESS` and `fingerprint FINGERPRINT`, as soon as
/// clients can connect; not to a terminal, whose user has read both in the log just now.
pub fn main_with(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let args = match Args::read(args) {
        Ok(args) => args,
        Err(answer) => {
            return stderr::answer("chat-server", &answer)
                .try_into()
                .map_or(ExitCode::FAILURE, |code: u8| code.into());
        }
    };
    if let Some(command) = &args.command {
        return match commands::run(command, args.data_dir.as_deref()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
            Err(error) if error.may_pass() => fail(&error, ExitCode::FAILURE),
            Err(error) => fail(&error, EXIT_USAGE.into()),
        };
    }
    // It has the keys of a server that keeps no messages, too.
    let data = secrets::directory(args.data_dir.as_deref());
    if let Ok(data) = data
        && let Err(error) = owner::check(&data, true)
    {
        return fail(&error, EXIT_USAGE.into());
    }
    event_log::show(args.quiet, args.verbose);
    raise_descriptor_limit(args.max_clients);
    let supervisor = Supervisor::default();
    let (recorder, written) = match EventLog::start(&supervisor) {
        Ok(started) => started,
        Err(error) => return fail(&RunError::from(error), ExitCode::FAILURE),
    };
    let config = Config {
        recorder: recorder.clone(),
        supervisor: supervisor.clone(),
        ..Config::from(&args)
    };
    let bound = match bind(config) {
        Ok(bound) => bound,
        Err(error) if error.may_pass() => return fail(&error, ExitCode::FAILURE),
        Err(error) => return fail(&error, EXIT_USAGE.into()),
    };
    let address = bound.local_addr();
    let credentials = bound.credentials().clone();
    let quiet = args.quiet > 0;
    let reload = bound.reload();
    let outcome = bound.run(async move {
        let signals = Signals::new();
        let hung_up = hung_up(reload, supervisor);
        announce(address, &credentials, quiet, &recorder);
        told_to_stop(signals, hung_up, recorder).await;
    });
    // A stderr that takes no more must not keep the process from ending.
    let can_say = written.wait(LOG_WITHIN);
    match outcome {
        Ok(()) => {
            if can_say {
                info!("stopped");
            }
            ExitCode::SUCCESS
        }
        Err(error) if can_say => fail(&error, ExitCode::FAILURE),
        Err(_) => ExitCode::FAILURE,
    }
}

fn fail(error: &dyn std::error::Error, code: ExitCode) -> ExitCode {
    stderr::complain("chat-server", &error.to_string());
    code
}

/// Says where the server listens. What is said holds from then on: that clients can connect, and
/// that a signal stops it in good order.
fn announce(address: SocketAddr, credentials: &Credentials, quiet: bool, recorder: &EventLog) {
    let port = address.port();
    let fingerprint = credentials.fingerprint();
    recorder.info(format!("clients know this server by {fingerprint}"));
    recorder.info(format!(
        "listening on {address}; join with: chat-tui HOST {port} NICKNAME CLIENTID; stop: Ctrl-C"
    ));
    if quiet || !io::stdout().is_terminal() {
        let words = format!("listening on {address}\nfingerprint {fingerprint}\n");
        let mut out = io::stdout().lock();
        let written = out.write_all(words.as_bytes()).and_then(|()| out.flush());
        // Whoever started us may not care to read it.
        if let Err(error) = written
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            recorder.info(format!("the address can't be written to stdout: {error}"));
        }
    }
}

/// Every connection takes a descriptor, and systems allow a process few unless it asks for more.
fn raise_descriptor_limit(clients_max: u32) {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) if limit < u64::from(clients_max) + DESCRIPTORS_BESIDES => warn!(
            "this system allows {limit} open connections: too few for --max-clients {clients_max}"
        ),
        Ok(_) => {}
        Err(error) => error!("can't raise the limit of open connections: {error}"),
    }
}

/// Ready at Ctrl-C, at SIGTERM or once `hung_up` is. A second signal ends the process at once.
async fn told_to_stop(
    signals: io::Result<Signals>,
    hung_up: impl Future<Output = ()>,
    recorder: EventLog,
) {
    let Ok(mut signals) = signals else {
        // Then it ends as a process without handlers ends.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = signals.next() => {}
        () = hung_up => {}
    }
    recorder.info("stopping: telling everyone".to_owned());
    tokio::spawn(async move {
        std::process::exit(signals.next().await);
    });
}

/// Reads what the operator may have changed at every SIGHUP. Where the server was started in a
/// terminal, a hang-up says that this was closed: then it is ready, unless whoever started it wants
/// that ignored (`nohup`).
fn hung_up(reload: Reload, supervisor: Supervisor) -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    // Once it is closed it is none any more.
    let terminal = io::stderr().is_terminal();
    let ignored = stderr::is_ignored(rustix::process::Signal::HUP.as_raw());
    let hang_up = (!terminal || !ignored).then(|| signal(SignalKind::hangup()));
    async move {
        if let Some(Ok(mut hang_up)) = hang_up {
            while hang_up.recv().await.is_some() {
                if terminal {
                    return;
                }
                let reload = reload.clone();
                // One that broke down has changed nothing, and stderr has it.
                let _ = supervisor.blocking("reload", move || reload.read()).await;
            }
        }
        std::future::pending::<()>().await;
    }
}

/// Ctrl-C and SIGTERM. One that whoever started us has ignored stays so.
struct Signals([Option<tokio::signal::unix::Signal>; 2]);

impl Signals {
    const NUMBERS: [i32; 2] = [
        rustix::process::Signal::INT.as_raw(),
        rustix::process::Signal::TERM.as_raw(),
    ];

    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |number| {
            let heeded = !stderr::is_ignored(number);
            heeded
                .then(|| signal(SignalKind::from_raw(number)))
                .transpose()
        };
        let [interrupt, terminate] = Self::NUMBERS.map(listen);
        Ok(Self([interrupt?, terminate?]))
    }

    /// The exit status of a program that the next one ends, as shells report it.
    async fn next(&mut self) -> i32 {
        let [interrupt, terminate] = &mut self.0;
        let number = tokio::select! {
            () = heard(interrupt) => Self::NUMBERS[0],
            () = heard(terminate) => Self::NUMBERS[1],
        };
        128 + number
    }
}

async fn heard(signal: &mut Option<tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
