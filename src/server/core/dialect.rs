//! A dialect: turns the bytes of one connection into requests, and frames for its client into
//! bytes.
//!
//! An [`Endpoint`](super::endpoint::Endpoint) drives one. Neither the endpoint nor the hub asks
//! which one it is: [`Abilities`] has what they need to know. Anything else that a client can't
//! express or receive, the dialect itself omits, refuses, or expresses in its own way. The server's
//! dialects are in [`server::front`](crate::server::front).

use std::fmt;

use super::{
    client::Abilities,
    event::Joined,
    log_query::{LogQuery, QueryResult},
    replica::{Replica, RoomSlot},
    subscriber::Turn,
};
use crate::{
    protocol::{
        ClientFrame, RoomId, ServerFrame,
        frame::{Ack, Join},
        wire::Refusal,
    },
    server::log::{StoreError, segment::Segment},
    time::Now,
};

/// One connection's dialect; see the module's docs.
pub trait Dialect: fmt::Debug {
    /// The client's capabilities.
    fn abilities(&self) -> &'static Abilities;

    // From the client.

    /// The buffer to read into; then call [`handle_filled`](Self::handle_filled). Empty: take requests first.
    fn space(&mut self) -> &mut [u8];

    /// Notes that `count` bytes were read into [`space`](Self::space).
    fn handle_filled(&mut self, count: usize);

    /// Copies in bytes that were read elsewhere, as far as there is space; returns how many.
    fn handle_bytes(&mut self, bytes: &[u8]) -> usize;

    /// Whether no received bytes are buffered.
    fn is_drained(&self) -> bool;

    /// The next request in the received bytes; `None`: read more first. It is not called again
    /// after a [fatal](Refusal::fatal) error.
    fn poll_frame(&mut self) -> Result<Option<ClientFrame>, Refusal>;

    /// Called before the client's first join is handled. The dialect removes from it what its
    /// clients can't mean, and changes into another dialect that is recognized by its join only.
    fn handle_join(&mut self, join: &mut Join);

    // To the client.

    /// Asks the client to prove that it holds the key that its join named.
    fn challenge(&mut self, challenge: &ServerFrame);

    /// Sends a `ping`, to clients that [answer](Abilities::answers_ping).
    fn ping(&mut self);

    /// Queues an answer.
    fn answer(&mut self, now: Now, replica: &Replica, frame: &ServerFrame);

    /// Queues the answer to a query of a log.
    fn answer_query(&mut self, query: &LogQuery, result: &Result<QueryResult, StoreError>);

    /// Acknowledges a message that was just stored, if nothing else does.
    fn stored(&mut self, replica: &Replica, ack: Ack);

    /// Whether an answer is still unwritten: then no more requests are taken.
    fn is_answering(&self) -> bool;

    /// Whether nothing is queued or partly written.
    fn is_quiet(&self) -> bool;

    // From the rooms.

    /// Starts reading the rooms of a client that has joined.
    fn attach(&mut self, now: Now, joined: Joined, replica: &mut Replica);

    /// Tells the client something that it has not asked for.
    fn tell(&mut self, frame: &ServerFrame);

    /// Starts reading more rooms, each from a number on.
    fn enter(&mut self, replica: &mut Replica, rooms: &[(RoomId, u64)]);

    /// Stops reading a room; a frame that was begun is finished.
    fn leave(&mut self, replica: &Replica, room: RoomId);

    /// Reads the member lists of these rooms, and of no others.
    fn watch(&mut self, replica: &Replica, rooms: &[RoomId]);

    /// The rooms that it reads or, closing, read.
    fn rooms(&self) -> &[RoomSlot];

    /// Notes that one of its rooms has messages from this number on. Call it for each new message or
    /// run of them.
    fn wake(&mut self, room: RoomSlot, from: u64);

    /// Starts closing the connection. It reads no more member changes, and the backlog of messages
    /// only if `drain`. A frame that was begun is finished.
    fn close(&mut self, now: Now, drain: bool);

    /// Called when the time to close runs out before the backlog is written: the dialect may queue
    /// a note about what it omits.
    fn give_up(&mut self, replica: &Replica);

    /// The next thing to do.
    fn poll_turn<'a>(&'a mut self, now: Now, replica: &'a mut Replica) -> Turn<'a>;

    /// Notes that `count` bytes of the last turn's [`Turn::Write`] were written. The replica must
    /// not have changed since.
    fn handle_written(&mut self, now: Now, replica: &Replica, count: usize);

    /// Takes the page that [`Turn::Fetch`] asked for. False: the log no longer holds the next
    /// message, so the connection has to be closed.
    #[must_use]
    fn handle_page(&mut self, replica: &Replica, room: RoomId, page: Segment) -> bool;

    /// Discards the page, unless it is small: the client does not read at the moment.
    fn drop_page(&mut self);

    /// Whether it holds a page that [`drop_page`](Self::drop_page) would discard.
    fn has_page(&self) -> bool;

    /// Bytes buffered for this client alone.
    fn held_bytes(&self) -> usize;
}
