//! The server's end of one connection: bytes in, requests out; commands in, bytes out.
//!
//! It owns the connection's [dialect](Dialect), the heartbeat, the count of requests under way, and the
//! one query of a log that may be among them. It knows no socket and no other connection.

use std::{mem, time::Duration};

use super::{
    client::{Abilities, Channel},
    dialect::Dialect,
    event::{ConnectionCommand, JoinRequest, Request},
    log_query::{LogQuery, QueryResult, unavailable},
    replica::Replica,
    subscriber::Turn,
};
use crate::server::log::{RoomIndex, segment::Segment};
use crate::{
    protocol::{
        Binding, ClientFrame, Nonce, PublicKey, ServerFrame, Signature, Token,
        frame::{ErrorCode, ErrorFrame, Join},
        limits::{GONE_AFTER, JOIN_WITHIN, LINE_WITHIN, PING_AFTER},
        wire::Refusal,
    },
    server::log::StoreError,
    time::Now,
};

/// Requests of one connection that may be under way; then it is read no further.
pub const REQUESTS_MAX: u32 = 128;

/// Whoever is told to come back later is not read for as long, but for no longer than this: so that
/// somebody who does not heed it costs others little. Not to be felt by who does.
pub const PAUSE_MAX: Duration = Duration::from_millis(100);

/// How long a connection that is to close may take to write what it still has to.
pub const CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// How long it may take no byte meanwhile: then nobody reads at the other end.
pub const STALLED_AFTER: Duration = Duration::from_millis(500);
/// Before the end of that time: kept for saying what will not be told.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How long a message may be held back for the limits' sake where a client can't send it again.
pub const HOLD_BACK_MAX: Duration = Duration::from_secs(10);

#[derive(Debug)]
enum State {
    /// No join was answered yet.
    New,
    /// The join named a key; that it is held is yet to be proven.
    Challenged(Box<Challenged>),
    /// Let in.
    Joined,
    /// To be closed; these are the last words, until they are on their way.
    Closing {
        last: Option<Box<ServerFrame>>,
        deadline: Duration,
        /// When something was written last, or the end was decided.
        moved: Duration,
    },
}

/// A join that waits for its proof.
#[derive(Debug)]
struct Challenged {
    join: Box<Join>,
    key: PublicKey,
    nonce: Nonce,
}

/// Where a look into a log stands. While there is one, nothing more is asked.
#[derive(Debug)]
enum QueryState {
    /// There is none.
    None,
    /// Whether it is allowed is not answered yet.
    Asked,
    /// It is allowed, and begins when everything before it is written.
    Allowed(Box<LogQuery>),
    /// The log is being read.
    Reading(Box<LogQuery>),
}

/// See the module's docs.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own; all combinations of them happen"
)]
pub struct Endpoint<D> {
    /// Until it is in: nothing of it is needed later.
    channel: Option<Box<Channel>>,
    dialect: D,
    state: State,
    /// Requests that are not answered yet.
    under_way: u32,
    /// The one among them that looks into a log.
    looking: QueryState,
    /// All whole frames that were received have been requested.
    dry: bool,
    /// Nothing is asked until then: what was asked came too early.
    paused: Option<Duration>,
    /// What is to be asked once more after that.
    again: Option<Box<ClientFrame>>,
    /// A frame could not be read, so that nothing after it can be.
    deaf: bool,
    /// The other end sends no more.
    ended: bool,
    /// When the other end last gave a sign of life; at first, when the connection was made.
    heard: Duration,
    /// Whether it was pinged since then.
    pinged: bool,
    /// When bytes came last.
    received: Duration,
    /// Since when the rest of a frame is waited for.
    begun: Option<Duration>,
    /// It was waited for too long.
    late: bool,
}

impl<D: Dialect> Endpoint<D> {
    /// A fresh connection.
    pub fn new(channel: Channel, dialect: D, now: Now) -> Self {
        Self {
            channel: Some(Box::new(channel)),
            dialect,
            state: State::New,
            under_way: 0,
            looking: QueryState::None,
            dry: true,
            paused: None,
            again: None,
            deaf: false,
            ended: false,
            heard: now.mono,
            pinged: false,
            received: now.mono,
            begun: None,
            late: false,
        }
    }

    // Reading.

    /// Whether more may be read: what was read before is under way, and that is not too much.
    pub fn may_read(&self) -> bool {
        self.dry && !self.ended && self.again.is_none() && self.may_ask()
    }

    /// Whether another request may be under way: there are not too many, answers get written, and
    /// a join, and a look into a log, are answered before anything else is asked.
    fn may_ask(&self) -> bool {
        let requests_max = match self.state {
            State::New | State::Challenged(_) => 1,
            // What has to wait is asked again, before what follows it.
            State::Joined if !self.abilities().sends_again => 1,
            State::Joined => REQUESTS_MAX,
            State::Closing { .. } => 0,
        };
        let looking = !matches!(self.looking, QueryState::None);
        let is_held_up = self.deaf || self.paused.is_some() || self.is_answering() || looking;
        !is_held_up && self.under_way < requests_max
    }

    /// Until when nothing is read; then call [`poll`](Self::poll).
    pub fn paused(&self) -> Option<Duration> {
        self.paused
    }

    /// Ends a pause that is over.
    pub fn poll(&mut self, now: Now) {
        self.paused = self.paused.filter(|until| *until > now.mono);
    }

    /// Whether an answer is not written yet.
    pub fn is_answering(&self) -> bool {
        self.dialect.is_answering()
    }

    /// Whether there may be a [`request`](Self::request) in what was received.
    pub fn may_request(&self) -> bool {
        self.may_ask() && (!self.dry || self.late || self.again.is_some())
    }

    /// Where to read to; then call [`received`](Self::received).
    pub fn space(&mut self) -> &mut [u8] {
        self.dialect.space()
    }

    /// Bytes that were read elsewhere: as [`Dialect::feed`].
    pub fn feed(&mut self, now: Now, bytes: &[u8]) -> usize {
        let count = self.dialect.feed(bytes);
        self.heard_of(now);
        count
    }

    /// Whether nothing is held of what was read.
    pub fn is_drained(&self) -> bool {
        self.dialect.is_drained()
    }

    /// So many bytes were read into [`space`](Self::space).
    pub fn received(&mut self, now: Now, count: usize) {
        self.dialect.filled(count);
        self.heard_of(now);
    }

    fn heard_of(&mut self, now: Now) {
        self.dry = false;
        self.received = now.mono;
        // The time to join is not stretched by sending a byte now and then.
        if !matches!(self.state, State::New | State::Challenged(_)) {
            self.alive(now);
        }
    }

    /// The other end gave a sign of life: bytes came, or bytes could be written that could not
    /// be before. (What lies in the buffers before a slow reader may keep a `ping` waiting for
    /// longer than anybody waits for the `pong`.)
    pub fn alive(&mut self, now: Now) {
        self.heard = now.mono;
        self.pinged = false;
    }

    /// The other end will send no more. What it asked for is still answered.
    pub fn end_of_input(&mut self) {
        self.ended = true;
    }

    /// Whether the other end sends no more, and all that it asked for is answered (though the
    /// answers may not be written).
    pub fn is_over(&self) -> bool {
        let asks_no_more = self.ended && self.dry && self.again.is_none();
        asks_no_more && self.under_way == 0 && !self.is_closing()
    }

    /// The next request among what was received, if one more may be under way. `random` gives
    /// bytes that nobody can guess. A join that names a key is answered here, by a challenge: so
    /// there may be something to write when this gives nothing.
    pub fn request(&mut self, random: impl FnOnce() -> [u8; 32]) -> Option<Request> {
        if !self.may_ask() {
            return None;
        }
        if let Some(frame) = self.again.take() {
            self.under_way += 1;
            return Some(Request::Frame(*frame));
        }
        if mem::take(&mut self.late) {
            self.deaf = true;
            self.under_way += 1;
            let words = format!(
                "A frame has to be complete within {} seconds",
                LINE_WITHIN.as_secs()
            );
            return Some(Request::Refused(Refusal::malformed(words)));
        }
        let begun = self.begun.take().unwrap_or(self.received);
        let request = match self.dialect.next_frame() {
            Ok(None) => {
                self.dry = true;
                if !self.is_drained() {
                    self.begun = Some(begun);
                }
                return None;
            }
            Ok(Some(frame)) => self.ask(frame, random)?,
            Err(refusal) => {
                self.deaf = refusal.fatal();
                Request::Refused(refusal)
            }
        };
        self.under_way += 1;
        Some(request)
    }

    /// The request that a frame makes; `None`: a challenge is due first.
    fn ask(&mut self, frame: ClientFrame, random: impl FnOnce() -> [u8; 32]) -> Option<Request> {
        let join = match frame {
            frame if matches!(self.state, State::Challenged(_)) => self.proven(&frame, random),
            ClientFrame::Join(mut join) => {
                if matches!(self.state, State::New) {
                    self.dialect.begin(&mut join);
                    if let Some(key) = join.key {
                        self.challenge(join, key, Nonce::from_bytes(random()));
                        return None;
                    }
                }
                self.entry(join, None, random)
            }
            ClientFrame::Command(command) => {
                return Some(Request::Admin(Box::new(command), Box::new(random())));
            }
            frame => {
                let looks = matches!(frame, ClientFrame::History(_) | ClientFrame::Search(_));
                if looks && matches!(self.state, State::Joined) {
                    self.looking = QueryState::Asked;
                }
                return Some(Request::Frame(frame));
            }
        };
        Some(match join {
            Ok(join) => Request::Join(Box::new(join)),
            Err(refusal) => {
                self.deaf = true;
                Request::Refused(refusal)
            }
        })
    }

    /// Asks for the proof that a key is held.
    fn challenge(&mut self, join: Box<Join>, key: PublicKey, nonce: Nonce) {
        let challenge = ServerFrame::Challenge {
            nonce,
            fingerprint: match self.channel.as_ref().map(|channel| &channel.binding) {
                Some(Binding::Plain { server, .. }) => Some(*server),
                Some(Binding::Exporter(_)) | None => None,
            },
        };
        self.dialect.challenge(&challenge);
        self.state = State::Challenged(Box::new(Challenged { join, key, nonce }));
    }

    /// Looks at the answer to a challenge, which is good for one.
    fn proven(
        &mut self,
        frame: &ClientFrame,
        random: impl FnOnce() -> [u8; 32],
    ) -> Result<JoinRequest, Refusal> {
        let State::Challenged(challenged) = mem::replace(&mut self.state, State::New) else {
            return Err(Refusal::ending(
                ErrorCode::JoinExpected,
                "A join comes first",
            ));
        };
        let ClientFrame::Proof { signature } = frame else {
            let words = "A challenge is answered by a proof";
            return Err(Refusal::ending(ErrorCode::JoinExpected, words));
        };
        let Challenged { join, key, nonce } = *challenged;
        if !self.holds(&key, &nonce, signature) {
            let words = "The proof of who you are does not hold for this connection";
            return Err(Refusal::ending(ErrorCode::BadProof, words));
        }
        self.entry(join, Some(key), random)
    }

    fn holds(&self, key: &PublicKey, nonce: &Nonce, signature: &Signature) -> bool {
        let channel = self.channel.as_ref();
        channel.is_some_and(|channel| key.proves(&channel.binding, nonce, signature))
    }

    /// A wish to enter; nobody enters twice.
    fn entry(
        &self,
        join: Box<Join>,
        key: Option<PublicKey>,
        random: impl FnOnce() -> [u8; 32],
    ) -> Result<JoinRequest, Refusal> {
        let Some(channel) = &self.channel else {
            let words = "The first frame, and only the first, is a join";
            return Err(Refusal::ending(ErrorCode::JoinExpected, words));
        };
        Ok(JoinRequest {
            token: join.token.unwrap_or_else(|| Token::from_bytes(random())),
            join,
            key,
            password: false,
            channel: **channel,
            abilities: self.abilities(),
            own_device: false,
        })
    }

    // Writing.

    /// Carries out a command of the hub.
    pub fn apply(&mut self, now: Now, replica: &Replica, command: ConnectionCommand) {
        if self.is_closing() {
            return;
        }
        let answers = !matches!(
            command,
            ConnectionCommand::Close { .. } | ConnectionCommand::Query(Ok(_))
        );
        if answers {
            self.under_way = self.under_way.saturating_sub(1);
        }
        match command {
            ConnectionCommand::Admit(joined) => {
                self.alive(now);
                self.state = State::Joined;
                self.channel = None;
                self.dialect.attach(now, *joined, replica);
            }
            ConnectionCommand::Answer(None) => {}
            ConnectionCommand::Retry { frame, wait } => {
                self.again = Some(frame);
                self.paused = self.paused.max(Some(now.mono + wait));
            }
            ConnectionCommand::Answer(Some(frame)) => {
                if let ServerFrame::Error(error) = &*frame {
                    self.pause(now, error);
                }
                self.dialect.answer(now, replica, &frame);
            }
            ConnectionCommand::Stored(ack) => self.dialect.stored(replica, *ack),
            ConnectionCommand::Query(Ok(look)) => self.looking = QueryState::Allowed(look),
            ConnectionCommand::Query(Err(refusal)) => {
                self.looking = QueryState::None;
                self.pause(now, &refusal);
                let refusal = ServerFrame::Error(*refusal);
                self.dialect.answer(now, replica, &refusal);
            }
            ConnectionCommand::Close { last, drain } => self.close(now, last, drain),
        }
    }

    /// Who is told to come back later is not read for a moment.
    fn pause(&mut self, now: Now, error: &ErrorFrame) {
        if let Some(wait) = error.retry_after_ms {
            let pause = Duration::from_millis(wait).min(PAUSE_MAX);
            self.paused = self.paused.max(Some(now.mono + pause));
        }
    }

    /// Whether a look into a log is to begin now: everything before it is answered and written, so
    /// that what it finds is all that is held for the other end.
    pub fn may_look(&self) -> bool {
        matches!(self.looking, QueryState::Allowed(_)) && self.dialect.is_quiet()
    }

    /// The look that is to begin now; then call [`looked`](Self::looked).
    pub fn look(&mut self) -> Option<LogQuery> {
        if !self.may_look() {
            return None;
        }
        match mem::replace(&mut self.looking, QueryState::None) {
            QueryState::Allowed(look) => {
                let begun = LogQuery::clone(&look);
                self.looking = QueryState::Reading(look);
                Some(begun)
            }
            other => {
                self.looking = other;
                None
            }
        }
    }

    /// What the look found: its answer. Nobody wants it any more if the connection is to close.
    pub fn looked(&mut self, now: Now, looked: &Result<QueryResult, StoreError>) {
        if looked.is_err() {
            // So is who asks for what can't be read at the moment.
            self.paused = self.paused.max(Some(now.mono + PAUSE_MAX));
        }
        match mem::replace(&mut self.looking, QueryState::None) {
            QueryState::Reading(look) => {
                self.under_way = self.under_way.saturating_sub(1);
                self.dialect.answer_query(&look, looked);
            }
            other => self.looking = other,
        }
    }

    /// Ends the connection: behind the messages that its rooms still hold for it (`drain`), or at
    /// once.
    pub fn close(&mut self, now: Now, last: Option<Box<ServerFrame>>, drain: bool) {
        self.dialect.close(now, drain);
        self.looking = QueryState::None;
        self.again = None;
        self.state = State::Closing {
            last,
            deadline: now.mono + CLOSE_WITHIN,
            moved: now.mono,
        };
    }

    /// A room's log can't be read where the other end is: nothing can follow, and it is told why.
    pub fn unreadable(&mut self, now: Now, error: StoreError) {
        let error = unavailable(error, None);
        self.close(now, Some(Box::new(ServerFrame::Error(error))), false);
    }

    /// Until when everything must be written, if it is to close. `blocked`: the other end takes nothing
    /// at the moment.
    pub fn deadline(&self, blocked: bool) -> Option<Duration> {
        match self.state {
            State::Closing {
                deadline, moved, ..
            } if blocked => Some(deadline.min(moved + STALLED_AFTER)),
            State::Closing { deadline, .. } => Some(deadline),
            State::New | State::Challenged(_) | State::Joined => None,
        }
    }

    /// What the core has to know of the client, as far as is known.
    pub fn abilities(&self) -> &'static Abilities {
        self.dialect.abilities()
    }

    /// Whether it was told to close.
    pub fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing { .. })
    }

    /// What to do next.
    pub fn turn<'a>(&'a mut self, now: Now, replica: &'a mut Replica) -> Turn<'a> {
        if let State::Closing { deadline, .. } = self.state
            && now.mono + LAST_WORDS >= deadline
        {
            self.dialect.give_up(replica);
        }
        while self.is_closing() && self.is_caught_up(now, replica) {
            match self.last_words() {
                Some(last) => self.dialect.answer(now, replica, &last),
                None => return Turn::Done,
            }
        }
        self.dialect.turn(now, replica)
    }

    fn last_words(&mut self) -> Option<Box<ServerFrame>> {
        match &mut self.state {
            State::Closing { last, .. } => last.take(),
            State::New | State::Challenged(_) | State::Joined => None,
        }
    }

    fn is_caught_up(&mut self, now: Now, replica: &mut Replica) -> bool {
        matches!(self.dialect.turn(now, replica), Turn::Idle)
    }

    /// So many bytes of the last turn's offer were written. The replica must be as it was.
    pub fn wrote(&mut self, now: Now, replica: &Replica, count: usize) {
        if let State::Closing { moved, .. } = &mut self.state {
            *moved = now.mono;
        }
        self.dialect.wrote(now, replica, count);
    }

    /// The page that [`Turn::Fetch`] asked for. False if the connection has to be closed: the log
    /// no longer holds what comes next here.
    #[must_use]
    pub fn take_page(&mut self, room: RoomIndex, page: Segment) -> bool {
        self.dialect.take_page(room, page)
    }

    /// Gives up the page, unless it is small: the other end does not read at the moment.
    pub fn drop_page(&mut self) {
        self.dialect.drop_page();
    }

    /// Whether it holds a page that would be given up.
    pub fn has_page(&self) -> bool {
        self.dialect.has_page()
    }

    /// Bytes held for the other end alone, that it has not read.
    pub fn held_bytes(&self) -> usize {
        self.dialect.held_bytes()
    }

    // Time.

    /// To be called about once a second: looks whether the other end still gives signs of life.
    pub fn tick(&mut self, now: Now) -> Pulse {
        self.poll(now);
        let silent = now.mono.saturating_sub(self.heard);
        if let Some(begun) = self.begun {
            if !self.may_read() {
                // It is we who do not read: the time counts from when we do.
                self.begun = Some(now.mono);
            } else if now.mono.saturating_sub(begun) >= LINE_WITHIN {
                self.begun = None;
                self.late = true;
                return Pulse::Late;
            }
        }
        let answers = self.abilities().answers_ping;
        match self.state {
            State::New | State::Challenged(_) if silent >= JOIN_WITHIN => Pulse::Gone,
            // While requests are under way it is we who are late: nothing is read.
            State::Joined if answers && silent >= GONE_AFTER && self.under_way == 0 => Pulse::Gone,
            State::Joined if answers && silent >= PING_AFTER && !self.pinged => {
                self.dialect.ping();
                self.pinged = true;
                Pulse::Ping
            }
            State::New | State::Challenged(_) | State::Joined | State::Closing { .. } => {
                Pulse::Fine
            }
        }
    }
}

/// How the other end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulse {
    /// Alive, as far as is known.
    Fine,
    /// Silent: there is a `ping` to be written.
    Ping,
    /// It has begun a frame and does not end it: there is a [`request`](Endpoint::request).
    Late,
    /// Silent for too long: to be given up, for [`Departure::Timeout`](crate::protocol::frame::Departure::Timeout).
    Gone,
}

#[cfg(test)]
mod tests;
