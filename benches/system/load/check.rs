//! Whether all that was said was heard.

use std::{
    fmt,
    time::{Duration, Instant},
};

use super::{Load, PATIENCE};
use crate::client::Stage;

/// Nothing more comes when nothing has come for so long.
const QUIET: Duration = Duration::from_secs(2);

/// What came.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) deliveries: u64,
    pub(crate) bytes: u64,
    /// Numbers that were left out.
    pub(crate) lost: u64,
    /// Numbers that came late, or twice.
    pub(crate) disordered: u64,
    /// Connections that ended by themselves.
    pub(crate) dropped: u64,
}

/// What is wrong at the end.
#[derive(Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) lost: u64,
    pub(crate) disordered: u64,
    /// Did not come until more was said.
    pub(crate) stuck: u64,
    /// Never came.
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
    /// Messages that were said and have not come.
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

    /// Reads on until all has come, or nothing comes any more.
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

    /// What is wrong, once all has come to rest. What has not come by then has another chance when
    /// each publisher says one thing more.
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
