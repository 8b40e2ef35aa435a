//! The server's end of one connection: turns received bytes into requests, and the hub's commands
//! into bytes to write.
//!
//! It owns the connection's [dialect](Dialect), the heartbeat, the count of pending requests, and
//! the one query of a log that may be among them. It knows no socket and no other connection.

use std::{mem, time::Duration};

use super::{
    client::{Abilities, Channel},
    dialect::Dialect,
    event::{ConnectionCommand, JoinRequest, Publication, Request},
    log_query::{LogQuery, QueryResult, unavailable},
    replica::{Replica, RoomSlot},
    subscriber::Turn,
};
use crate::{
    protocol::{
        Binding, ClientFrame, Nonce, PublicKey, RoomId, ServerFrame, Signature, Token,
        frame::{ErrorCode, ErrorFrame, Join},
        limits::{GONE_AFTER, JOIN_WITHIN, LINE_WITHIN, PING_AFTER},
        wire::Refusal,
    },
    server::log::{StoreError, segment::Segment},
    time::Now,
};

/// Most pending requests of one connection; beyond, it is not read.
pub const REQUESTS_MAX: u32 = 128;

/// After an error with `retry_after_ms` the client is not read for that long, at most for this
/// time. It limits clients that ignore the hint, and does not delay those that follow it.
pub const PAUSE_MAX: Duration = Duration::from_millis(100);

/// How long a connection that closes may take to write its backlog.
pub const CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// How long a closing connection may accept no byte: then the client does not read.
pub const STALLED_AFTER: Duration = Duration::from_millis(500);
/// The part at the end of [`CLOSE_WITHIN`] that is kept for a note about what is omitted.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How long a message over a rate limit may be held back, for a client that can't send it again.
pub const HOLD_BACK_MAX: Duration = Duration::from_secs(10);

/// Bytes that may be buffered for a client when it is told something that it has not asked for.
const UNREAD_BYTES_MAX: usize = 512 * 1024;

#[derive(Debug)]
enum State {
    /// No join was answered yet.
    New,
    /// The join named a key that is not proven yet.
    Challenged(Box<Challenged>),
    /// The client has joined.
    Joined,
    /// The connection is to close. `last`: the last frame, until it is queued.
    Closing {
        last: Option<Box<ServerFrame>>,
        deadline: Duration,
        /// When something was written last, or the close began.
        moved: Duration,
    },
}

/// A join that waits for the proof of its key.
#[derive(Debug)]
struct Challenged {
    join: Box<Join>,
    key: PublicKey,
    nonce: Nonce,
}

/// The state of a query. While there is one, no more requests are taken.
#[derive(Debug)]
enum QueryState {
    /// There is no query.
    None,
    /// The hub has not answered yet whether it is allowed.
    Asked,
    /// It is allowed, and begins once everything before it is written.
    Allowed(Box<LogQuery>),
    /// The log is being read.
    Reading(Box<LogQuery>),
}

/// The server's end of one connection; see the module's docs.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own; all combinations of them happen"
)]
pub struct Endpoint<D> {
    /// The channel, until the client has joined.
    channel: Option<Box<Channel>>,
    dialect: D,
    state: State,
    /// The number of requests without an answer.
    under_way: u32,
    /// The query among them.
    looking: QueryState,
    /// The decoder holds no complete frame.
    dry: bool,
    /// Until when no requests are taken, since the client was told to retry later.
    paused: Option<Duration>,
    /// Bytes of the welcome, until everything is written: it may be longer than what else may be
    /// buffered.
    welcome_bytes: usize,
    /// A request to make again after that.
    again: Option<Box<ClientFrame>>,
    /// A frame was malformed, so that nothing after it can be read.
    deaf: bool,
    /// The client sends no more.
    ended: bool,
    /// Time of the client's last sign of life; at first, of the connection's start.
    heard: Duration,
    /// Whether the client was pinged since then.
    pinged: bool,
    /// When bytes were last received.
    received: Duration,
    /// Since when an incomplete frame waits for its rest.
    begun: Option<Duration>,
    /// An incomplete frame waited for too long.
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
            welcome_bytes: 0,
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

    /// Whether more may be read: all complete frames have been requested, and not too many requests
    /// are pending.
    pub fn may_read(&self) -> bool {
        self.dry && !self.ended && self.again.is_none() && self.may_ask()
    }

    /// Whether another request may be taken: not too many are pending, answers are written, and
    /// joins and queries are answered before the next request.
    fn may_ask(&self) -> bool {
        let requests_max = match self.state {
            State::New | State::Challenged(_) => 1,
            // A held-back message is tried again before the next one.
            State::Joined if !self.abilities().sends_again => 1,
            State::Joined => REQUESTS_MAX,
            State::Closing { .. } => 0,
        };
        let looking = !matches!(self.looking, QueryState::None);
        let is_held_up = self.deaf || self.paused.is_some() || self.is_answering() || looking;
        !is_held_up && self.under_way < requests_max
    }

    /// Until when nothing is read; then call [`handle_time`](Self::handle_time).
    pub fn paused(&self) -> Option<Duration> {
        self.paused
    }

    /// Ends a pause that is over.
    pub fn handle_time(&mut self, now: Now) {
        self.paused = self.paused.filter(|until| *until > now.mono);
    }

    /// Whether an answer is still unwritten.
    pub fn is_answering(&self) -> bool {
        self.dialect.is_answering()
    }

    /// Whether the received bytes may contain a [request](Self::poll_request).
    pub fn may_request(&self) -> bool {
        self.may_ask() && (!self.dry || self.late || self.again.is_some())
    }

    /// The buffer to read into; then call [`handle_received`](Self::handle_received).
    pub fn space(&mut self) -> &mut [u8] {
        self.dialect.space()
    }

    /// Copies in bytes that were read elsewhere, as [`Dialect::handle_bytes`].
    pub fn handle_bytes(&mut self, now: Now, bytes: &[u8]) -> usize {
        let count = self.dialect.handle_bytes(bytes);
        self.heard_of(now);
        count
    }

    /// Whether no received bytes are buffered.
    pub fn is_drained(&self) -> bool {
        self.dialect.is_drained()
    }

    /// Notes that `count` bytes were read into [`space`](Self::space).
    pub fn handle_received(&mut self, now: Now, count: usize) {
        self.dialect.handle_filled(count);
        self.heard_of(now);
    }

    fn heard_of(&mut self, now: Now) {
        self.dry = false;
        self.received = now.mono;
        // Single bytes do not extend the time to join.
        if !matches!(self.state, State::New | State::Challenged(_)) {
            self.handle_alive(now);
        }
    }

    /// Notes a sign of life of the client: bytes were received, or could be written that could not
    /// before. (With a slow reader, full buffers may delay a `ping` for longer than the limit for
    /// its `pong`.)
    pub fn handle_alive(&mut self, now: Now) {
        self.heard = now.mono;
        self.pinged = false;
    }

    /// Notes that the client sends no more. Its requests are still answered.
    pub fn handle_end_of_input(&mut self) {
        self.ended = true;
    }

    /// Whether the client sends no more, and all its requests are answered (though the answers may
    /// be unwritten).
    pub fn is_over(&self) -> bool {
        let asks_no_more = self.ended && self.dry && self.again.is_none();
        asks_no_more && self.under_way == 0 && !self.is_closing()
    }

    /// The next request in the received bytes, if one more may be pending. `random` gives
    /// unpredictable bytes. A join that names a key is answered here, by a challenge: so there may
    /// be something to write when this gives nothing.
    pub fn poll_request(
        &mut self,
        replica: &Replica,
        random: impl FnOnce() -> [u8; 32],
    ) -> Option<Request> {
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
        let request = loop {
            break match self.dialect.poll_frame() {
                Ok(None) => {
                    self.dry = true;
                    if !self.is_drained() {
                        self.begun = Some(begun);
                    }
                    return None;
                }
                // It concerns nobody else.
                Ok(Some(ClientFrame::Watch { rooms })) if matches!(self.state, State::Joined) => {
                    self.dialect.watch(replica, &rooms);
                    continue;
                }
                Ok(Some(frame)) => self.ask(frame, random)?,
                Err(refusal) => {
                    self.deaf = refusal.fatal();
                    Request::Refused(refusal)
                }
            };
        };
        self.under_way += 1;
        Some(request)
    }

    /// The request of a frame; `None`: a challenge comes first.
    fn ask(&mut self, frame: ClientFrame, random: impl FnOnce() -> [u8; 32]) -> Option<Request> {
        let join = match frame {
            frame if matches!(self.state, State::Challenged(_)) => self.proven(&frame, random),
            ClientFrame::Join(mut join) => {
                if matches!(self.state, State::New) {
                    self.dialect.handle_join(&mut join);
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
                let looks = matches!(
                    frame,
                    ClientFrame::History(_)
                        | ClientFrame::Search(_)
                        | ClientFrame::Changes(_)
                        | ClientFrame::Inbox { .. }
                );
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

    /// Asks the client to prove that it holds a key.
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

    /// Checks the answer to a challenge, which is valid for one answer.
    fn proven(
        &mut self,
        frame: &ClientFrame,
        random: impl FnOnce() -> [u8; 32],
    ) -> Result<JoinRequest, Refusal> {
        let State::Challenged(challenged) = mem::replace(&mut self.state, State::New) else {
            return Err(Refusal::ending(
                ErrorCode::JoinExpected,
                "The first frame must be a join",
            ));
        };
        let ClientFrame::Proof { signature } = frame else {
            let words = "A challenge must be answered by a proof";
            return Err(Refusal::ending(ErrorCode::JoinExpected, words));
        };
        let Challenged { join, key, nonce } = *challenged;
        if !self.holds(&key, &nonce, signature) {
            let words = "The proof of your key is not valid for this connection";
            return Err(Refusal::ending(ErrorCode::BadProof, words));
        }
        self.entry(join, Some(key), random)
    }

    fn holds(&self, key: &PublicKey, nonce: &Nonce, signature: &Signature) -> bool {
        let channel = self.channel.as_ref();
        channel.is_some_and(|channel| key.proves(&channel.binding, nonce, signature))
    }

    /// A join; a second one is refused.
    fn entry(
        &self,
        join: Box<Join>,
        key: Option<PublicKey>,
        random: impl FnOnce() -> [u8; 32],
    ) -> Result<JoinRequest, Refusal> {
        let Some(channel) = &self.channel else {
            let words = "The first frame, and only the first, must be a join";
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
    pub fn handle_command(&mut self, now: Now, replica: &mut Replica, command: ConnectionCommand) {
        if self.is_closing() {
            return;
        }
        let answers = !matches!(
            command,
            ConnectionCommand::Tell(_)
                | ConnectionCommand::Enter { .. }
                | ConnectionCommand::Leave(_)
                | ConnectionCommand::Close { .. }
                | ConnectionCommand::Query(Ok(_))
        );
        if answers {
            self.under_way = self.under_way.saturating_sub(1);
        }
        match command {
            ConnectionCommand::Admit(joined) => {
                self.handle_alive(now);
                self.state = State::Joined;
                self.channel = None;
                self.dialect.attach(now, *joined, replica);
                self.welcome_bytes = self.dialect.held_bytes();
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
            ConnectionCommand::Tell(frame) => self.tell(now, &frame),
            ConnectionCommand::Enter { rooms, frame } => {
                self.tell(now, &frame);
                self.dialect.enter(replica, &rooms);
            }
            ConnectionCommand::Leave(room) => self.dialect.leave(replica, room),
            ConnectionCommand::Close { last, drain } => self.close(now, last, drain),
        }
    }

    /// Tells the client something that it has not asked for; closes the connection if it does not
    /// read.
    fn tell(&mut self, now: Now, frame: &ServerFrame) {
        if self.dialect.is_quiet() {
            self.welcome_bytes = 0;
        }
        if self.dialect.held_bytes() > UNREAD_BYTES_MAX + self.welcome_bytes {
            let words = "The client reads too slowly";
            let error = ErrorFrame::new(ErrorCode::Unavailable, words);
            return self.close(now, Some(Box::new(ServerFrame::Error(error))), false);
        }
        self.dialect.tell(frame);
    }

    /// Stops reading for a moment from a client that is told to retry later.
    fn pause(&mut self, now: Now, error: &ErrorFrame) {
        if let Some(wait) = error.retry_after_ms {
            let pause = Duration::from_millis(wait).min(PAUSE_MAX);
            self.paused = self.paused.max(Some(now.mono + pause));
        }
    }

    /// Whether a query is to begin now: everything before it is answered and written, so that its
    /// result is all that is buffered for the client.
    pub fn may_look(&self) -> bool {
        matches!(self.looking, QueryState::Allowed(_)) && self.dialect.is_quiet()
    }

    /// The query to run now; then call [`handle_query_result`](Self::handle_query_result).
    pub fn poll_query(&mut self) -> Option<LogQuery> {
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

    /// Queues the result of the query as its answer; it is discarded if the connection is to close.
    pub fn handle_query_result(&mut self, now: Now, looked: &Result<QueryResult, StoreError>) {
        if looked.is_err() {
            // As after an error with `retry_after_ms`.
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

    /// Closes the connection: after the backlog of messages (`drain`), or at once.
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

    /// Closes the connection with an error, since the client's position in a room's log can't be
    /// read.
    pub fn handle_unreadable(&mut self, now: Now, error: StoreError) {
        let error = unavailable(error, None);
        self.close(now, Some(Box::new(ServerFrame::Error(error))), false);
    }

    /// Until when everything must be written, if it is to close. `blocked`: the client accepts no
    /// bytes at the moment.
    pub fn deadline(&self, blocked: bool) -> Option<Duration> {
        match self.state {
            State::Closing {
                deadline, moved, ..
            } if blocked => Some(deadline.min(moved + STALLED_AFTER)),
            State::Closing { deadline, .. } => Some(deadline),
            State::New | State::Challenged(_) | State::Joined => None,
        }
    }

    /// The client's capabilities, as far as is known.
    pub fn abilities(&self) -> &'static Abilities {
        self.dialect.abilities()
    }

    /// Whether it is to close.
    pub fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing { .. })
    }

    /// The next thing to do.
    pub fn poll_turn<'a>(&'a mut self, now: Now, replica: &'a mut Replica) -> Turn<'a> {
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
        self.dialect.poll_turn(now, replica)
    }

    fn last_words(&mut self) -> Option<Box<ServerFrame>> {
        match &mut self.state {
            State::Closing { last, .. } => last.take(),
            State::New | State::Challenged(_) | State::Joined => None,
        }
    }

    fn is_caught_up(&mut self, now: Now, replica: &mut Replica) -> bool {
        matches!(self.dialect.poll_turn(now, replica), Turn::Idle)
    }

    /// Notes that `count` bytes of the last turn's [`Turn::Write`] were written. The replica must
    /// not have changed since.
    pub fn handle_written(&mut self, now: Now, replica: &Replica, count: usize) {
        if let State::Closing { moved, .. } = &mut self.state {
            *moved = now.mono;
        }
        self.dialect.handle_written(now, replica, count);
    }

    /// Takes the page that [`Turn::Fetch`] asked for. False: the log no longer holds the next
    /// message, so the connection has to be closed.
    #[must_use]
    pub fn handle_page(&mut self, replica: &Replica, room: RoomId, page: Segment) -> bool {
        self.dialect.handle_page(replica, room, page)
    }

    /// The rooms that it reads or, closing, read.
    pub fn rooms(&self) -> &[RoomSlot] {
        self.dialect.rooms()
    }

    /// Notes that one of its [rooms](Self::rooms) has messages from this number on. Call it for each
    /// new run of messages: what is not told here is not written.
    pub fn wake(&mut self, room: RoomSlot, from: u64) {
        self.dialect.wake(room, from);
    }

    /// [Wakes](Self::wake) it for a publication, whichever rooms it reads.
    pub fn handle_publication(&mut self, replica: &Replica, publication: &Publication) {
        for run in &publication.runs {
            if let Some(room) = replica.find(run.room)
                && self.rooms().contains(&room)
            {
                self.wake(room, run.segment.first());
            }
        }
    }

    /// Discards the page, unless it is small: the client does not read at the moment.
    pub fn drop_page(&mut self) {
        self.dialect.drop_page();
    }

    /// Whether it holds a page that [`drop_page`](Self::drop_page) would discard.
    pub fn has_page(&self) -> bool {
        self.dialect.has_page()
    }

    /// Bytes buffered for this client alone.
    pub fn held_bytes(&self) -> usize {
        self.dialect.held_bytes()
    }

    // Time.

    /// Checks for signs of life; call it about once a second.
    pub fn handle_tick(&mut self, now: Now) -> Pulse {
        self.handle_time(now);
        let silent = now.mono.saturating_sub(self.heard);
        if let Some(begun) = self.begun {
            if !self.may_read() {
                // The server does not read now: the time counts from when it does.
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
            // While requests are pending the server does not read, so silence proves nothing.
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

/// The client's state of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulse {
    /// Alive, as far as is known.
    Fine,
    /// Silent: a `ping` is to be written.
    Ping,
    /// A frame stays incomplete: there is a [request](Endpoint::poll_request).
    Late,
    /// Silent for too long: end it with
    /// [`Departure::Timeout`](crate::protocol::frame::Departure::Timeout).
    Gone,
}

#[cfg(test)]
mod tests;
