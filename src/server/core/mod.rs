//! The server's brain: who is present, what is allowed, what each connection is sent next.
//!
//! Pure: no socket, no clock, no randomness. Time comes in as a [`Now`](crate::time::Now), secrets come in with
//! the requests, and what is to be done goes out as data. The shell around it is
//! [`super::net`]; a simulation can be another.
//!
//! # The parts, and how to drive them
//!
//! ```text
//!  bytes -> Endpoint::request -> requests ---------> Hub::handle -> effects
//!             (one a connection)                     Hub::finish_turn   |
//!                                                                       |
//!    Effect::Append(batch) -> Store::append -> Event::Committed --------+--> Hub
//!    Effect::Publish(publication) -> Replica::publish  (every replica)    |
//!    Effect::Command { connection, command } -> Endpoint::apply <-----------+
//!
//!  Endpoint::turn(replica) -> bytes to write; Endpoint::wrote(n)
//!                        -> a page to fetch: Reader::read -> Endpoint::take_page
//!  Endpoint::look -> LogQuery::read(reader) -> Endpoint::looked
//! ```
//!
//! - [`access`] decides who may join and who may do what. Its parts keep their own records:
//!   [`accounts`], [`moderation`], [`invites`], [`rate_limit`]. [`admin`] runs admin commands.
//! - [`hub`] knows users, sessions, nicknames, rooms. One for the server.
//! - [`replica`] holds what the readers of the rooms need. One for each worker.
//! - [`client`] is what is known of a client: how it is connected, and what it can do.
//! - [`endpoint`] is one connection: its heartbeat, its requests under way, and its dialect.
//! - [`dialect`] says what a dialect is: bytes to requests, and what a client is told to bytes. The
//!   dialects are in [`front`](super::front).
//! - [`subscriber`] is one reader of the rooms: cursors into the replica and nothing more.
//! - [`log_query`] is what a connection reads of a log because it was asked to: history, searches.
//! - [`segment`](super::log::segment) is what a replica is made of: numbered frames in contiguous runs of bytes.
//!
//! The driver keeps these rules:
//!
//! 1. Any number of [`Hub::handle`](hub::Hub::handle) calls, then one
//!    [`Hub::finish_turn`](hub::Hub::finish_turn), make a turn. While
//!    [`Hub::has_room`](hub::Hub::has_room) is false no requests are handed in.
//! 2. Effects are carried out in their order; those for one replica (its publications and the
//!    commands for its connections) reach it in that order. Nothing else is ordered.
//! 3. One [`Effect::Append`](event::Effect::Append) is under way at a time; its outcome comes
//!    back as [`Event::Committed`](event::Event::Committed), however much later.
//! 4. Each batch of requests of a connection is answered in full (as many are counted by
//!    [`ConnectionCommand::Answer`](event::ConnectionCommand) and its kin), or the connection is closed. Nothing is handed
//!    in behind a join that is not answered ([`Endpoint`](endpoint::Endpoint) sees to both).
//! 5. An endpoint that is [paused](endpoint::Endpoint::paused) is told when that time has come, by
//!    [`Endpoint::poll`](endpoint::Endpoint::poll).

#![deny(clippy::disallowed_methods)]

pub mod access;
pub mod accounts;
pub mod admin;
pub mod client;
mod command;
pub mod dialect;
pub mod endpoint;
pub mod event;
mod format;
pub mod hub;
pub mod invites;
pub mod log_event;
pub mod log_query;
pub mod member_list;
pub mod moderation;
pub mod persist;
pub mod rate_limit;
pub mod replica;
mod resume;
pub mod subscriber;

#[cfg(test)]
pub(super) mod testing;

/// One connection, for as long as the server runs: numbers are not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(u64);

impl ConnectionId {
    const WORKER_SHIFT: u32 = 56;

    /// The `number`th connection (below 2⁵⁶), which this worker serves.
    pub fn new(worker: u8, number: u64) -> Self {
        debug_assert!(number < 1 << Self::WORKER_SHIFT);
        Self(u64::from(worker) << Self::WORKER_SHIFT | number)
    }

    /// Which one it was.
    pub fn number(self) -> u64 {
        self.0 & ((1 << Self::WORKER_SHIFT) - 1)
    }

    /// Who serves it.
    pub fn worker(self) -> usize {
        usize::from((self.0 >> Self::WORKER_SHIFT) as u8)
    }
}
