//! The server: hosts the rooms.
//!
//! - [`core`] decides (pure).
//! - [`store`] keeps the log.
//! - [`net`] has the sockets and threads and drives both.
//! - [`keys`] holds the key by which clients recognize the server, [`secrets`] the invite key and
//!   the password.
//! - [`supervisor`] starts every thread, and ends the server when one panics.
//! - [`config`] and [`event_log`] are for the operator.
//!
//! Other programs run one in their process with [`bind`] and [`Bound::run`], or become one with
//! [`main_with`]. Nothing here depends on the client.

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

/// Exit code for errors that the operator has to fix: in the arguments, the data directory, or a
/// command's input. Errors that may pass by themselves (a port in use, an address that is not up
/// yet, a full disk) are plain failures, so that a service manager tries again.
const EXIT_USAGE: u8 = 2;
/// Descriptors for other uses than joined clients: other connections, files, polls.
const DESCRIPTORS_BESIDES: u64 = net::SPARE_CONNECTIONS as u64 + 64;
/// How long to wait for the last lines of the log.
const LOG_WITHIN: Duration = Duration::from_millis(150);

/// The whole program `chat-server`, from arguments (the program's name first) to exit code. Returns
/// after Ctrl-C or SIGTERM, once all clients were notified.
///
/// Prints two lines to stdout, `listening on ADDRESS` and `fingerprint FINGERPRINT`, as soon as
/// clients can connect; not to a terminal, where the log has just shown both.
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
    // Even a server without stored messages keeps its keys there.
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
    // A stuck stderr must not keep the process from ending.
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

/// Logs where the server listens. From then on clients can connect, and a signal stops the server
/// cleanly.
fn announce(address: SocketAddr, credentials: &Credentials, quiet: bool, recorder: &EventLog) {
    let port = address.port();
    let fingerprint = credentials.fingerprint();
    recorder.info(format!(
        "clients recognize this server by the fingerprint {fingerprint}"
    ));
    recorder.info(format!(
        "listening on {address}; join with: chat-tui HOST {port} NICKNAME CLIENTID; stop: Ctrl-C"
    ));
    if quiet || !io::stdout().is_terminal() {
        let words = format!("listening on {address}\nfingerprint {fingerprint}\n");
        let mut out = io::stdout().lock();
        let written = out.write_all(words.as_bytes()).and_then(|()| out.flush());
        // The parent process may have closed stdout.
        if let Err(error) = written
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            recorder.info(format!("the address can't be written to stdout: {error}"));
        }
    }
}

/// Raises the limit of descriptors: each connection takes one, and the default is often low.
fn raise_descriptor_limit(clients_max: u32) {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) if limit < u64::from(clients_max) + DESCRIPTORS_BESIDES => warn!(
            "this system allows {limit} open connections: too few for --max-clients {clients_max}"
        ),
        Ok(_) => {}
        Err(error) => error!("can't raise the limit of open connections: {error}"),
    }
}

/// Completes on Ctrl-C, on SIGTERM or with `hung_up`. A second signal ends the process at once.
async fn told_to_stop(
    signals: io::Result<Signals>,
    hung_up: impl Future<Output = ()>,
    recorder: EventLog,
) {
    let Ok(mut signals) = signals else {
        // Then a signal ends the process as by default.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = signals.next() => {}
        () = hung_up => {}
    }
    recorder.info("stopping: notifying all clients".to_owned());
    tokio::spawn(async move {
        std::process::exit(signals.next().await);
    });
}

/// Reloads the certificate and the password on every SIGHUP. If the server was started in a
/// terminal, SIGHUP means that the terminal was closed: then it completes, unless the signal is
/// ignored (`nohup`).
fn hung_up(reload: Reload, supervisor: Supervisor) -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    // Checked now, since a closed terminal is no longer one.
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
                // A panic has changed nothing, and was reported on stderr.
                let _ = supervisor.blocking("reload", move || reload.read()).await;
            }
        }
        std::future::pending::<()>().await;
    }
}

/// Ctrl-C and SIGTERM. A signal that was ignored at the start stays ignored.
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

    /// Waits for a signal, and returns the exit status for it, as shells report it.
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
