//! The server's event log: human-readable lines on stderr.
//!
//! The server's threads hand over typed reports and go on; a thread of its own formats and writes
//! them. When it can't keep up (its terminal may be paused), reports are dropped and counted rather
//! than waited for.

use std::{
    fmt,
    io::{self, IsTerminal},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    time::Duration,
};

use jiff::Zoned;
pub use tracing::Level;
use tracing::{info, warn};
use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    fmt::{
        format::{Writer, debug_fn},
        time::FormatTime,
    },
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use super::supervisor::Supervisor;
use crate::{stderr, text};

/// Reports that may wait to be written.
const RECORDS_MAX: usize = 8 * 1024;

/// An event for the log. It is formatted by the thread that writes it.
pub trait Report: fmt::Display + fmt::Debug + Send {
    /// The severity.
    fn level(&self) -> Level;
}

/// A report that is text already: about the program itself, not about clients.
#[derive(Debug)]
struct Words(Level, String);

impl fmt::Display for Words {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.1)
    }
}

impl Report for Words {
    fn level(&self) -> Level {
        self.0
    }
}

/// Takes reports, and never waits for them to be written. Cheap to clone.
#[derive(Clone, Debug)]
pub struct EventLog {
    records: Option<SyncSender<Box<dyn Report>>>,
    left_out: Arc<AtomicU64>,
}

impl EventLog {
    /// A log that discards everything.
    pub fn none() -> Self {
        Self {
            records: None,
            left_out: Arc::default(),
        }
    }

    /// Starts the log. Also returns a handle that tells when everything is written, once all clones
    /// of the log are gone.
    pub fn start(supervisor: &Supervisor) -> io::Result<(Self, Written)> {
        let (records, waiting) = sync_channel(RECORDS_MAX);
        let left_out = Arc::default();
        let counted = Arc::clone(&left_out);
        let (end, ended) = sync_channel(0);
        supervisor.start("log", move || {
            write_all(&waiting, &counted);
            drop(end);
            Ok(())
        })?;
        let recorder = Self {
            records: Some(records),
            left_out,
        };
        Ok((recorder, Written(ended)))
    }

    /// Queues a report.
    pub(super) fn report(&self, report: Box<dyn Report>) {
        self.write(report);
    }

    pub(super) fn info(&self, words: String) {
        self.write(Box::new(Words(Level::INFO, words)));
    }

    pub(super) fn warn(&self, words: String) {
        self.write(Box::new(Words(Level::WARN, words)));
    }

    /// Queues a report without waiting, unless it is below the level.
    fn write(&self, report: Box<dyn Report>) {
        if let Some(records) = &self.records
            && report.level() <= LevelFilter::current()
            && let Err(TrySendError::Full(_)) = records.try_send(report)
        {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Tells when a log is complete.
#[derive(Debug)]
pub struct Written(Receiver<()>);

impl Written {
    /// Waits until everything is written, at most this long: its terminal may be paused. Returns
    /// false on timeout; then nothing more should be written there.
    pub fn wait(&self, at_most: Duration) -> bool {
        // The other end only ever disconnects.
        self.0.recv_timeout(at_most) == Err(RecvTimeoutError::Disconnected)
    }
}

fn write_all(waiting: &Receiver<Box<dyn Report>>, left_out: &AtomicU64) {
    for report in waiting {
        if report.level() == Level::WARN {
            warn!("{report}");
        } else {
            info!("{report}");
        }
        let missing = left_out.swap(0, Ordering::Relaxed);
        if missing > 0 {
            warn!("{missing} lines are missing from the log: it could not be written fast enough");
        }
    }
}

/// Local time in a readable format.
struct LocalTime;

impl FormatTime for LocalTime {
    fn format_time(&self, out: &mut Writer<'_>) -> fmt::Result {
        write!(out, "{}", Zoned::now().strftime("%Y-%m-%d %H:%M:%S"))
    }
}

/// Logs to stderr: less for each `quiet`, more for each `verbose`. Only the first call in a process
/// has an effect.
pub(super) fn show(quiet: u8, verbose: u8) {
    let level = match (quiet, verbose) {
        (2.., _) => LevelFilter::OFF,
        (1, _) => Level::WARN.into(),
        (0, 0) => Level::INFO.into(),
        (0, 1) => Level::DEBUG.into(),
        (0, 2..) => Level::TRACE.into(),
    };
    // `RUST_LOG` is ignored: the operator chooses the level by options, not the environment.
    let colours = io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none()
        && !stderr::is_dumb_terminal();
    // Messages of libraries are for developers, except warnings.
    let ours = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(env!("CARGO_CRATE_NAME"), level)
        // It warns about anything a peer may send.
        .with_target("rustls", LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .with_timer(LocalTime)
        // Paths and system errors may hold control characters: each record becomes one inert line.
        .fmt_fields(debug_fn(|out, _, words| {
            out.write_str(&text::inert_line(&format!("{words:?}")))
        }))
        // If stderr is gone, reporting that on stderr would end the thread.
        .log_internal_errors(false)
        .with_filter(ours);
    let _ = tracing_subscriber::registry().with(lines).try_init();
}
