//! The signals that ask the program to end.
//!
//! A signal that our parent process has ignored stays ignored: `nohup` and shells' background jobs
//! rely on it.

use std::io;

/// The exit status of a program that was ended by a signal, as shells report it: 128 plus its
/// number.
pub type Stopped = u8;

/// Listens for Ctrl-C, SIGTERM and SIGHUP. No signal after [`new`](Self::new) is missed.
#[derive(Debug)]
#[cfg(unix)]
pub struct Signals([Option<tokio::signal::unix::Signal>; 3]);

#[cfg(unix)]
const NUMBERS: [rustix::process::Signal; 3] = [
    rustix::process::Signal::INT,
    rustix::process::Signal::TERM,
    rustix::process::Signal::HUP,
];

#[cfg(unix)]
impl Signals {
    /// Starts to listen.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |number: i32| {
            let heeded = !crate::stderr::is_ignored(number);
            heeded
                .then(|| signal(SignalKind::from_raw(number)))
                .transpose()
        };
        let [interrupt, terminate, hangup] = NUMBERS.map(|signal| listen(signal.as_raw()));
        Ok(Self([interrupt?, terminate?, hangup?]))
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> Stopped {
        let [interrupt, terminate, hangup] = &mut self.0;
        let at = tokio::select! {
            () = heard(interrupt) => 0,
            () = heard(terminate) => 1,
            () = heard(hangup) => 2,
        };
        u8::try_from(128 + NUMBERS[at].as_raw()).unwrap_or(u8::MAX)
    }
}

#[cfg(unix)]
async fn heard(signal: &mut Option<tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Listens for Ctrl-C.
#[cfg(not(unix))]
#[derive(Debug)]
pub struct Signals;

#[cfg(not(unix))]
impl Signals {
    /// Starts to listen.
    ///
    /// # Errors
    /// None.
    pub fn new() -> io::Result<Self> {
        Ok(Self)
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> Stopped {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
        130
    }
}
