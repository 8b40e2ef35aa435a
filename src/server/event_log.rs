//! The server's log: one line for people each, on stderr.
//!
//! The hub hands typed records over and goes on; a thread of its own puts them into words. When
//! that can't keep up (somebody paused the terminal that it writes to), records are left out and
//! counted rather than waited for.
//!
//! Every string from a peer is a [`Line`], a [`Nickname`](crate::protocol::Nickname) or an id, all
//! of which are harmless to a terminal; a message's text becomes one line here.

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
use tracing::{Level, info, warn};
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

use super::{
    config::Args,
    core::{
        event::LogEvent,
        house::{ACCOUNTS_MAX, STRANGERS_MAX},
    },
    network::ClientAddress,
    supervisor::Supervisor,
};
use crate::{
    protocol::{frame::Departure, wire::DEPARTURES},
    stderr,
    text::{self, Line},
};

/// Records that may wait to be written.
const RECORDS_MAX: usize = 8 * 1024;

/// One line of the log.
#[derive(Debug)]
enum LogLine {
    LogEvent(LogEvent),
    /// In words already: of the program itself, not of what clients do.
    Said(Level, String),
}

impl LogLine {
    fn level(&self) -> Level {
        match self {
            Self::LogEvent(
                LogEvent::Refused { .. }
                | LogEvent::ClockCorrected { .. }
                | LogEvent::ClockBehindLog { .. }
                | LogEvent::ClockDoubted { .. }
                | LogEvent::ManyAccounts { .. }
                | LogEvent::StoreRefused { .. }
                | LogEvent::StoreFailed,
            ) => Level::WARN,
            Self::LogEvent(_) => Level::INFO,
            Self::Said(level, _) => *level,
        }
    }
}

/// Where the hub's records go, and all that is said while the server runs: the thread that says
/// it never waits for stderr. Cheap to clone.
#[derive(Clone, Debug)]
pub struct EventLog {
    records: Option<SyncSender<LogLine>>,
    left_out: Arc<AtomicU64>,
}

impl EventLog {
    /// To nowhere.
    pub fn none() -> Self {
        Self {
            records: None,
            left_out: Arc::default(),
        }
    }

    /// To the log. Gives also what tells when all is written, once the last recorder is gone.
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

    pub(super) fn record(&self, record: LogEvent) {
        self.write(LogLine::LogEvent(record));
    }

    pub(super) fn info(&self, words: String) {
        self.write(LogLine::Said(Level::INFO, words));
    }

    pub(super) fn warn(&self, words: String) {
        self.write(LogLine::Said(Level::WARN, words));
    }

    /// Never waits, and wakes nobody for what is not to be written.
    fn write(&self, entry: LogLine) {
        if let Some(records) = &self.records
            && entry.level() <= LevelFilter::current()
            && let Err(TrySendError::Full(_)) = records.try_send(entry)
        {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Tells when a log is complete.
#[derive(Debug)]
pub struct Written(Receiver<()>);

impl Written {
    /// Waits until everything is written, but not for ever: somebody may have paused whatever it
    /// is written to. False when it took too long: then nothing more should be written there.
    pub fn wait(&self, at_most: Duration) -> bool {
        // The other end only ever goes away.
        self.0.recv_timeout(at_most) == Err(RecvTimeoutError::Disconnected)
    }
}

fn write_all(waiting: &Receiver<LogLine>, left_out: &AtomicU64) {
    for entry in waiting {
        let level = entry.level();
        match (entry, level) {
            (LogLine::LogEvent(record), Level::WARN) => warn!("{}", InWords(&record)),
            (LogLine::LogEvent(record), _) => info!("{}", InWords(&record)),
            (LogLine::Said(_, words), Level::WARN) => warn!("{words}"),
            (LogLine::Said(_, words), _) => info!("{words}"),
        }
        let missing = left_out.swap(0, Ordering::Relaxed);
        if missing > 0 {
            warn!("{missing} lines were left out of the log: it could not be written fast enough");
        }
    }
}

/// A record in words.
struct InWords<'a>(&'a LogEvent);

impl fmt::Display for InWords<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            LogEvent::Joined {
                nickname,
                user,
                client_id,
                address,
                key,
                encrypted,
                agent,
                legacy,
                present,
            } => {
                write!(
                    out,
                    "{nickname} joined: user {user}, client ID {client_id}, from {address}"
                )?;
                match key {
                    Some(key) => write!(out, ", key {key}")?,
                    None => out.write_str(", unverified")?,
                }
                if !encrypted {
                    out.write_str(", not encrypted")?;
                }
                match (agent, legacy) {
                    (Some(agent), _) => write!(out, ", with {agent}")?,
                    (None, true) => out.write_str(", with a legacy client")?,
                    (None, false) => {}
                }
                write!(out, "; {present} in now")
            }
            LogEvent::Message { .. } => self.message(out),
            LogEvent::Renamed {
                was,
                nickname,
                user,
            } => write!(out, "{was} is now {nickname}: user {user}"),
            LogEvent::Left {
                nickname,
                user,
                client_id,
                address,
                reason,
                present,
            } => write!(
                out,
                "{nickname} left ({}): user {user}, client ID {client_id}, from {address}; \
                 {present} in now",
                name(*reason)
            ),
            LogEvent::Refused {
                nickname,
                address,
                message,
            } => write!(out, "{nickname} refused, from {address}: {message}"),
            LogEvent::Erased { room, from, to } => {
                write!(out, "erased the messages {from} to {to} of {room}")
            }
            LogEvent::ClockCorrected { .. }
            | LogEvent::ClockBehindLog { .. }
            | LogEvent::ClockDoubted { .. } => self.clock(out),
            LogEvent::ManyAccounts { known } => write!(
                out,
                "{known} people are known by a key, of {ACCOUNTS_MAX} at the most; from \
                 {STRANGERS_MAX} on newcomers come in unverified. Those who never wrote are \
                 forgotten sooner now; see docs/OPERATING.md, Limits"
            ),
            LogEvent::StoreRefused { operations } => write!(
                out,
                "the store refused {operations} operations; clients will try again"
            ),
            LogEvent::StoreFailed => out.write_str("the store failed: the server stops"),
        }
    }
}

impl InWords<'_> {
    fn clock(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            LogEvent::ClockCorrected {
                by,
                was,
                now,
                stops_erasing,
            } => {
                let length = text::span(by.unsigned_abs());
                if by.is_negative() {
                    write!(out, "the clock was set back by {length}")?;
                } else {
                    write!(
                        out,
                        "the clock went ahead by {length}, because it was set or the machine slept"
                    )?;
                }
                write!(
                    out,
                    ": it showed {was:.0} and now shows {now:.0}; messages get the new times, each \
                     room's next one is marked"
                )?;
                if *stops_erasing {
                    out.write_str(", and no messages are erased by age for an hour")?;
                }
                out.write_str("; see that the clock is right")
            }
            LogEvent::ClockBehindLog { last, now } => write!(
                out,
                "the last message was stored at {last:.0}, but the clock shows {now:.0}: one of \
                 them is wrong; new messages get the clock's time and are marked, so see that the \
                 clock is right"
            ),
            LogEvent::ClockDoubted { by } => write!(
                out,
                "the clock is {} h {} the time that the log knows of: no messages are erased by \
                 age for a day; see that the clock is right",
                by.as_hours().unsigned_abs(),
                if by.is_negative() {
                    "behind"
                } else {
                    "ahead of"
                },
            ),
            _ => Ok(()),
        }
    }

    fn message(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LogEvent::Message {
            sender,
            address,
            id,
            room,
            seq,
            bytes,
            time,
            receivers,
            text,
        } = self.0
        else {
            return Ok(());
        };
        write!(
            out,
            "message from {} to #{room}: number {seq}, id {id}, {bytes} bytes, from {}, at {time}, \
             to {receivers} clients",
            sender.nickname,
            WhereFrom(*address),
        )?;
        match text {
            Some(text) => write!(out, ": {}", Line::inert(text.as_str())),
            None => Ok(()),
        }
    }
}

struct WhereFrom(Option<ClientAddress>);

impl fmt::Display for WhereFrom {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => write!(out, "{address}"),
            None => out.write_str("somebody who has left"),
        }
    }
}

fn name(reason: Departure) -> &'static str {
    let named = DEPARTURES.iter().find(|(of, _)| *of == reason);
    named.map_or("unknown", |(_, name)| name)
}

/// Local time, as people read it.
struct LocalTime;

impl FormatTime for LocalTime {
    fn format_time(&self, out: &mut Writer<'_>) -> fmt::Result {
        write!(out, "{}", Zoned::now().strftime("%Y-%m-%d %H:%M:%S"))
    }
}

/// Sends what is logged to stderr. Only the first call in a process counts.
pub(super) fn show(args: &Args) {
    let level = match (args.quiet, args.verbose) {
        (2.., _) => LevelFilter::OFF,
        (1, _) => Level::WARN.into(),
        (0, 0) => Level::INFO.into(),
        (0, 1) => Level::DEBUG.into(),
        (0, 2..) => Level::TRACE.into(),
    };
    // `RUST_LOG` is not heeded: what is logged is for the operator to say, not for whatever the
    // environment happens to hold.
    let colours = io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none()
        && !stderr::is_dumb_terminal();
    // What libraries say is for their authors, unless something is wrong.
    let ours = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(env!("CARGO_CRATE_NAME"), level)
        // It warns of what any peer may send.
        .with_target("rustls", LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .with_timer(LocalTime)
        // Whatever was said of paths, or by the system: each record is one line, and inert.
        .fmt_fields(debug_fn(|out, _, words| {
            out.write_str(&text::inert_line(&format!("{words:?}")))
        }))
        // Where stderr is gone, telling so on stderr would end the thread that tries.
        .log_internal_errors(false)
        .with_filter(ours);
    let _ = tracing_subscriber::registry().with(lines).try_init();
}
