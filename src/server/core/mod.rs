//! The core of the server: decides who is present, what users may do and what connections are sent.
//!
//! Pure: no socket, no clock, no randomness. Time arrives as a [`Now`](crate::time::Now), secrets
//! arrive with the requests, and effects leave as data. The shell around it is [`super::net`]; a
//! simulation can be another.
//!
//! # The parts, and how to drive them
//!
//! ```text
//!  bytes -> Endpoint::poll_request -> requests -> Hub::handle_event
//!             (one a connection)                  Hub::poll_effects -> effects
//!                                                                        |
//!    Effect::Append(batch) -> LogWriter::append -> Event::Committed -> Hub::handle_event
//!    Effect::Publish(publication) -> Replica::publish (every replica)
//!    Effect::Command { connection, command } -> Endpoint::handle_command
//!
//!  Endpoint::poll_turn(replica) -> bytes to write: Endpoint::handle_written(n)
//!                               -> a page to fetch: LogReader::read -> Endpoint::handle_page
//!  Endpoint::poll_query -> LogQuery::read(reader) -> Endpoint::handle_query_result
//! ```
//!
//! - [`access`] decides who may join and who may do what. Its parts keep their own records:
//!   [`accounts`], [`moderation`], [`rooms`], [`ignores`], [`invites`], [`rate_limit`]. [`admin`] runs admin
//!   commands.
//! - [`hub`] knows users, sessions, nicknames, rooms. One for the server.
//! - [`replica`] holds the latest messages and member lists, for the subscribers. One for each
//!   worker.
//! - [`client`] describes a client: how it is connected, and what it can do.
//! - [`endpoint`] is one connection: its heartbeat, its pending requests, and its dialect.
//! - [`dialect`] is the trait of the dialects: it turns bytes into requests, and frames for the
//!   client into bytes. The dialects are in [`front`](super::front).
//! - [`subscriber`] reads the rooms for one connection: cursors into the replica and nothing more.
//! - [`log_query`] is a query of a room's log that a client asked for: history or a search.
//! - [`segment`](super::log::segment) is the unit of a replica: numbered frames in contiguous runs
//!   of bytes.
//!
//! The driver follows these rules:
//!
//! 1. A turn is any number of [`Hub::handle_event`](hub::Hub::handle_event) calls, then one
//!    [`Hub::poll_effects`](hub::Hub::poll_effects). While [`Hub::has_room`](hub::Hub::has_room) is
//!    false, it hands in no requests.
//! 2. Effects are carried out in their order; those for one replica (its publications and the
//!    commands for its connections) reach it in that order. Nothing else is ordered.
//! 3. One [`Effect::Append`](event::Effect::Append) is in progress at a time; its outcome returns
//!    as [`Event::Committed`](event::Event::Committed), however much later.
//! 4. Every request of a connection is answered ([`ConnectionCommand`](event::ConnectionCommand)
//!    says which commands count as an answer), or the connection is closed. Nothing is handed in
//!    behind a join that is not answered. [`Endpoint`](endpoint::Endpoint) ensures both.
//! 5. When the time of a [paused](endpoint::Endpoint::paused) endpoint has come, the driver calls
//!    [`Endpoint::handle_time`](endpoint::Endpoint::handle_time).

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
pub mod ignores;
pub mod invites;
pub mod log_event;
pub mod log_query;
pub mod member_list;
pub mod moderation;
pub mod persist;
pub mod rate_limit;
pub mod replica;
mod resume;
pub mod room_map;
pub mod rooms;
pub mod subscriber;

#[cfg(test)]
pub(super) mod testing;

/// The number of a connection, unique while the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(u64);

impl ConnectionId {
    const WORKER_SHIFT: u32 = 56;

    /// The `number`th connection (below 2⁵⁶), served by this worker.
    pub fn new(worker: u8, number: u64) -> Self {
        debug_assert!(number < 1 << Self::WORKER_SHIFT);
        Self(u64::from(worker) << Self::WORKER_SHIFT | number)
    }

    /// The number without the worker.
    pub fn number(self) -> u64 {
        self.0 & ((1 << Self::WORKER_SHIFT) - 1)
    }

    /// The index of the worker that serves it.
    pub fn worker(self) -> usize {
        usize::from((self.0 >> Self::WORKER_SHIFT) as u8)
    }
}
