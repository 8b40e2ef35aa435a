//! A dialect: how the bytes of one connection become requests, and how what its client is told
//! becomes bytes.
//!
//! An [`Endpoint`](super::endpoint::Endpoint) drives one. Neither the endpoint nor the hub asks which
//! one it is: [`Abilities`] says what they have to know of its clients. Anything else that a client
//! can't say or can't be told, the dialect itself leaves out, refuses, or says in its own way. The
//! dialects that the server speaks stand in [`server::front`](crate::server::front).

use std::fmt;

use super::{
    client::Abilities,
    event::Joined,
    log_query::{LogQuery, QueryResult},
    replica::Replica,
    subscriber::Turn,
};
use crate::{
    protocol::{
        ClientFrame, ServerFrame,
        frame::{Ack, Join},
        wire::Refusal,
    },
    server::log::{RoomIndex, StoreError, segment::Segment},
    time::Now,
};

/// See the module's docs.
pub trait Dialect: fmt::Debug {
    /// What the core has to know of this client.
    fn abilities(&self) -> &'static Abilities;

    // What the client sends.

    /// Where to read to; then call [`filled`](Self::filled). Empty: requests have to be taken first.
    fn space(&mut self) -> &mut [u8];

    /// So many bytes were read into [`space`](Self::space).
    fn filled(&mut self, count: usize);

    /// Takes bytes that were read elsewhere, as far as there is space, and says how many.
    fn feed(&mut self, bytes: &[u8]) -> usize;

    /// Whether nothing is held of what was read.
    fn is_drained(&self) -> bool;

    /// The next request among what was read; `None`: more has to be read first. Nothing is asked any
    /// more after an error that is [fatal](Refusal::fatal).
    fn next_frame(&mut self) -> Result<Option<ClientFrame>, Refusal>;

    /// The client's first join is to be asked. The dialect takes from it what its clients can't mean,
    /// and turns into another one if it is known by the join only.
    fn begin(&mut self, join: &mut Join);

    // What the client is told.

    /// Asks for the proof that the key is held that the join named.
    fn challenge(&mut self, challenge: &ServerFrame);

    /// Asks for a sign of life, where clients [answer](Abilities::answers_ping).
    fn ping(&mut self);

    /// Adds an answer.
    fn answer(&mut self, now: Now, replica: &Replica, frame: &ServerFrame);

    /// Adds the answer to a query of a log.
    fn answer_query(&mut self, query: &LogQuery, result: &Result<QueryResult, StoreError>);

    /// The client's message was stored just now: says so if nothing else does.
    fn stored(&mut self, replica: &Replica, ack: Ack);

    /// Whether an answer is not written yet: then no more is asked.
    fn is_answering(&self) -> bool;

    /// Whether nothing at all is on its way.
    fn is_quiet(&self) -> bool;

    // What its rooms have for it.

    /// The client is let in: begins to read its rooms.
    fn attach(&mut self, now: Now, joined: Joined, replica: &Replica);

    /// The connection is to close. No member changes are read any more, and messages only if the client
    /// is to be sent what its rooms still hold (`drain`). What was begun is finished.
    fn close(&mut self, now: Now, drain: bool);

    /// There is no time left for what a closing connection was not told: if the dialect has words
    /// for that, they come next.
    fn give_up(&mut self, replica: &Replica);

    /// What to do next.
    fn turn<'a>(&'a mut self, now: Now, replica: &'a mut Replica) -> Turn<'a>;

    /// So many bytes of the last turn's offer were written. The replica must be as it was.
    fn wrote(&mut self, now: Now, replica: &Replica, count: usize);

    /// The page that [`Turn::Fetch`] asked for. False if the connection has to be closed: the log no
    /// longer holds what comes next here.
    #[must_use]
    fn take_page(&mut self, room: RoomIndex, page: Segment) -> bool;

    /// The other end does not read at the moment: gives up a page, unless it is small.
    fn drop_page(&mut self);

    /// Whether it holds a page that would be given up.
    fn has_page(&self) -> bool;

    /// Bytes held for this client alone, that it has not read.
    fn held_bytes(&self) -> usize;
}
