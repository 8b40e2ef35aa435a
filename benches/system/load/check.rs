//! Checks that every client received every message.

use std::{
    fmt,
    time::{Duration, Instant},
};

use super::{Load, PATIENCE};
use crate::client::Stage;

/// After this silence nothing more is expected.
const QUIET: Duration = Duration::from_secs(2);

/// Counts of a measurement.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) deliveries: u64,
    pub(crate) bytes: u64,
    /// Skipped numbers.
    pub(crate) lost: u64,
    /// Numbers that came late, or twice.
    pub(crate) disordered: u64,
    /// Connections that ended by themselves.
    pub(crate) dropped: u64,
}

/// Faults at the end of a measurement.
#[derive(Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) lost: u64,
    pub(crate) disordered: u64,
    /// Messages that came only after another was sent.
    pub(crate) stuck: u64,
    /// Messages that never came.
    pub(crate) missing: u64,
    pub(crate) dropped: u64,
}

impl fmt::Display for Faults {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            lost,
            disordered,
            stuck,
            missing,
            dropped,
        } = self;
        if lost + disordered + stuck + missing + dropped == 0 {
            return out.write_str("none");
        }
        write!(
            out,
            "LOST {lost}, DISORDERED {disordered}, STUCK {stuck}, MISSING {missing}, DROPPED {dropped}"
        )
    }
}

impl Load {
    /// Returns the number of sent messages that have not arrived.
    pub(crate) fn missing(&self) -> u64 {
        let clients = self
            .clients
            .iter()
            .filter(|client| client.stage != Stage::Gone && !client.deaf);
        let missing = clients.flat_map(|client| {
            client
                .slots
                .iter()
                .zip(client.rooms.clone())
                .map(|(slot, number)| {
                    let pairs = self.rooms[number].sent.iter().zip(&slot.next);
                    pairs
                        .map(|(&sent, next)| next.map_or(0, |next| sent.saturating_sub(next)))
                        .sum::<u64>()
                })
        });
        missing.sum::<u64>()
    }

    /// Reads until all messages have arrived, or nothing comes any more.
    fn settle(&mut self) {
        let mut last = (Instant::now(), self.counts.bytes);
        let begin = Instant::now();
        loop {
            self.poll(Duration::from_millis(10));
            if self.counts.bytes != last.1 {
                last = (Instant::now(), self.counts.bytes);
            } else if self.missing() == 0 || last.0.elapsed() > QUIET {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "it does not come to rest");
        }
    }

    /// Returns the faults once everything is quiet. A message that has not come by then has another
    /// chance when each publisher sends one more.
    pub(crate) fn faults(&mut self) -> Faults {
        self.settle();
        let open = self.missing();
        if open > 0 {
            for room in 0..self.rooms.len() {
                for _ in 0..self.rooms[room].publishers.len() {
                    self.say_now(room);
                }
            }
            self.settle();
        }
        let missing = self.missing();
        if !self.errors.is_empty() {
            eprintln!("errors: {:?}", self.errors);
        }
        Faults {
            lost: self.counts.lost,
            disordered: self.counts.disordered,
            stuck: open.saturating_sub(missing),
            missing,
            dropped: self.counts.dropped,
        }
    }
}
