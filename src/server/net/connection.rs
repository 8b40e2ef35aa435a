//! A connection served by a worker: its socket, its [`Endpoint`], and its timers.
//!
//! It has no task and no timer of its own. The worker calls [`poll`](Connection::poll) when
//! something happens (the socket is ready, the hub sent a command, an alarm is due), and is told
//! what to wait for next. Most connections are idle most of the time, and an idle one takes only a
//! few hundred bytes. As a tokio task each took 0.7 KB more, for the task's state, its registration
//! with the reactor, and its future.

use std::{
    io,
    net::TcpStream,
    rc::{Rc, Weak},
    time::Duration,
};

use super::{
    Clock,
    conn_limit::Permit,
    hub_sender::HubSender,
    messages::{LoadGuard, Negotiated},
    sockets::Readiness,
    stream::{Intake, SCRATCH_BYTES, Sink, Stream},
    transport::Transport,
    unjoined::UnjoinedGuard,
};
use crate::{
    protocol::{RoomId, frame::Departure},
    server::{
        core::{
            ConnectionId,
            client::Abilities,
            endpoint::Pulse,
            event::{ConnectionCommand, Event, Request},
            log_query::{LogQuery, QueryResult},
            replica::{Replica, RoomSlot},
            subscriber::Turn,
        },
        front::Endpoint,
        log::{StoreError, segment::Segment},
    },
    time::Now,
};

/// Writes to one connection before others have their turn.
const WRITES_MAX: usize = 16;
/// Reads from one connection before others have their turn.
const READS_MAX: usize = 4;
/// The longest pause between two log queries of a connection. The pause is as long as the last
/// query took, so that no client keeps a reader to itself.
const QUERY_PAUSE_MAX: Duration = Duration::from_secs(1);
/// No alarm is set.
const NEVER: Duration = Duration::MAX;

/// State shared by all connections of one worker.
pub(super) struct WorkerContext {
    pub(super) clock: Clock,
    pub(super) replica: Replica,
    pub(super) hub: HubSender,
    /// Shared read buffer; it holds nothing between two reads.
    pub(super) scratch: Box<[u8; SCRATCH_BYTES]>,
    /// The server is stopping.
    pub(super) stopping: bool,
}

/// See the module's docs.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own; all combinations of them happen"
)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    stream: Stream<TcpStream>,
    endpoint: Endpoint,
    /// The socket may have something to read.
    readable: bool,
    /// The other end has closed: an end of input will follow whatever is still unread.
    hung_up: bool,
    /// The socket took no more, and has not become writable since.
    blocked: bool,
    /// It is in the worker's queue of turns.
    queued: bool,
    /// It is in the worker's list of connections that wait for room at the hub.
    held_up: bool,
    /// A page from the store was requested.
    fetching: bool,
    /// When it is to be polled even if nothing happens.
    alarm: Duration,
    /// Set once it has queried the log, or fetched a page.
    pending_reads: Option<Box<PendingReads>>,
    /// Why it is to end, if it is.
    end: Option<Departure>,
    /// Set until it has joined.
    unjoined_guard: Option<Box<UnjoinedGuard>>,
    guards: (Permit, LoadGuard),
}

/// State of a connection that reads from the store.
#[derive(Default)]
struct PendingReads {
    /// Lives as long as the connection.
    life: Rc<()>,
    /// The next log query does not start before this time.
    next_query: Duration,
}

/// The next event that a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Anything to happen.
    Rest,
    /// Anything to happen, or this time.
    Wait(Duration),
    /// Its next turn: it could do more.
    Turn,
    /// Room in the queue to the hub.
    Hub,
    /// A page of a room's log, from this number on.
    Page { room: RoomId, from: u64 },
    /// The other end's close: everything is written, for good.
    Close,
    /// Nothing: it has ended.
    Gone(Departure),
}

/// The result of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flushed {
    /// Everything is written, for now.
    Idle,
    /// More could be written, after others had their turn.
    More,
    Blocked,
    Fetch {
        room: RoomId,
        from: u64,
    },
    Wait(Duration),
    /// Everything is written, for good.
    Done,
    Broken,
}

impl Connection {
    /// Makes a connection, and returns its first request.
    pub(super) fn new(negotiated: Negotiated) -> (Self, Event) {
        let first = Event::Requests {
            connection: negotiated.id,
            requests: vec![negotiated.request],
        };
        let connection = Self {
            id: negotiated.id,
            readable: negotiated.stream.is_unread(),
            stream: negotiated.stream,
            endpoint: negotiated.endpoint,
            hung_up: false,
            blocked: false,
            queued: false,
            held_up: false,
            fetching: false,
            alarm: NEVER,
            pending_reads: None,
            end: None,
            unjoined_guard: Some(Box::new(negotiated.guards.unjoined_guard)),
            guards: (negotiated.guards.permit, negotiated.guards.place),
        };
        (connection, first)
    }

    pub(super) fn socket(&self) -> &Transport<TcpStream> {
        self.stream.socket()
    }

    /// A reference by which to tell whether the connection still lives.
    pub(super) fn life(&mut self) -> Weak<()> {
        Rc::downgrade(&self.pending_reads.get_or_insert_default().life)
    }

    /// Takes the parts that are still needed while it waits for the other end to close.
    pub(super) fn into_rest(self) -> (Stream<TcpStream>, (Permit, LoadGuard)) {
        (self.stream, self.guards)
    }

    /// Marks it as queued; false if it was already.
    pub(super) fn queue(&mut self) -> bool {
        !std::mem::replace(&mut self.queued, true)
    }

    /// Marks it as no longer queued: its turn has come.
    pub(super) fn unqueue(&mut self) {
        self.queued = false;
    }

    /// Marks it as waiting for the hub; false if it was already.
    pub(super) fn hold_up(&mut self) -> bool {
        !std::mem::replace(&mut self.held_up, true)
    }

    /// The hub has room again.
    pub(super) fn let_go(&mut self) {
        self.held_up = false;
    }

    /// Its socket is ready.
    pub(super) fn ready(&mut self, now: Now, readiness: Readiness) {
        self.readable |= readiness.readable;
        self.hung_up |= readiness.hung_up;
        if readiness.writable && std::mem::take(&mut self.blocked) {
            self.endpoint.handle_alive(now);
        }
    }

    /// Applies a command of the hub.
    pub(super) fn apply(&mut self, now: Now, replica: &mut Replica, command: ConnectionCommand) {
        self.endpoint.handle_command(now, replica, command);
    }

    /// The rooms that it reads.
    pub(super) fn rooms(&self) -> &[RoomSlot] {
        self.endpoint.rooms()
    }

    /// One of its rooms has messages from this number on.
    pub(super) fn wake(&mut self, room: RoomSlot, from: u64) {
        self.endpoint.wake(room, from);
    }

    /// It has joined, and can no longer be evicted for others.
    pub(super) fn set_joined(&mut self) {
        self.unjoined_guard = None;
    }

    /// Ends it if it has not joined: others wait to join.
    pub(super) fn make_room(&mut self) {
        if self.unjoined_guard.take().is_some() {
            self.end = Some(Departure::Lost);
        }
    }

    /// Ends it after a panic.
    pub(super) fn break_down(&mut self) {
        self.end = Some(Departure::Lost);
    }

    /// Checks its heartbeat, about once a second. Returns whether it has something to do now.
    pub(super) fn tick(&mut self, now: Now) -> bool {
        match self.endpoint.handle_tick(now) {
            Pulse::Fine => false,
            Pulse::Ping | Pulse::Late => true,
            Pulse::Gone => {
                self.end = Some(Departure::Timeout);
                true
            }
        }
    }

    /// Takes the page that it waited for.
    pub(super) fn take_page(
        &mut self,
        now: Now,
        replica: &Replica,
        room: RoomId,
        page: Result<Segment, StoreError>,
    ) {
        self.fetching = false;
        match page.map(|page| self.endpoint.handle_page(replica, room, page)) {
            Ok(true) => {}
            Ok(false) => self.end = Some(Departure::Lost),
            Err(error) => self.endpoint.handle_unreadable(now, error),
        }
    }

    /// Discards the rest of the page.
    pub(super) fn drop_page(&mut self) {
        self.endpoint.drop_page();
    }

    /// The client's abilities, as far as they are known.
    pub(super) fn abilities(&self) -> &'static Abilities {
        self.endpoint.abilities()
    }

    /// Whether it holds a page that its socket takes.
    pub(super) fn is_paging(&self) -> bool {
        self.endpoint.has_page() && !self.blocked && self.end.is_none()
    }

    /// The log query that is to start, if any, and its earliest time.
    pub(super) fn look(&mut self) -> Option<(LogQuery, Duration)> {
        let look = self.endpoint.poll_query()?;
        Some((look, self.pending_reads.get_or_insert_default().next_query))
    }

    /// Takes the result of the log query that was started at `begun`.
    pub(super) fn looked(
        &mut self,
        now: Now,
        begun: Duration,
        looked: &Result<QueryResult, StoreError>,
    ) {
        let took = now.mono.saturating_sub(begun).min(QUERY_PAUSE_MAX);
        self.pending_reads.get_or_insert_default().next_query = now.mono + took;
        self.endpoint.handle_query_result(now, looked);
    }

    /// Sets the alarm; false if one is set that is due no later.
    pub(super) fn wake_at(&mut self, at: Duration) -> bool {
        let sooner = at < self.alarm;
        if sooner {
            self.alarm = at;
        }
        sooner
    }

    /// Clears the alarm of this time; false if there is none.
    pub(super) fn ring(&mut self, at: Duration) -> bool {
        let rings = self.alarm == at;
        if rings {
            self.alarm = NEVER;
        }
        rings
    }

    /// Does what can be done now: reads, sends requests to the hub, writes.
    pub(super) fn poll(&mut self, context: &mut WorkerContext, now: Now) -> Next {
        if let Some(reason) = self.end {
            return Next::Gone(reason);
        }
        self.endpoint.handle_time(now);
        if let Err(reason) = self.read(context).and_then(|()| self.hand_over(context)) {
            return Next::Gone(reason);
        }
        let flushed = self.flush(context, now);
        let deadline = self.endpoint.deadline(self.blocked);
        if deadline.is_some_and(|deadline| now.mono >= deadline) {
            return Next::Gone(Departure::Lost);
        }
        let mut alarms = [deadline, self.endpoint.paused(), None];
        match flushed {
            Flushed::Broken => return Next::Gone(Departure::Lost),
            Flushed::Done => return Next::Close,
            Flushed::More => return Next::Turn,
            Flushed::Fetch { room, from } if !self.fetching => {
                self.fetching = true;
                return Next::Page { room, from };
            }
            Flushed::Wait(until) => alarms[2] = Some(until),
            Flushed::Fetch { .. } | Flushed::Idle | Flushed::Blocked => {}
        }
        // A connection that has not joined by now won't.
        if context.stopping && !self.endpoint.is_closing() {
            return Next::Gone(Departure::Shutdown);
        }
        // A client that sends no more may still want to read what could not be written yet.
        let is_written = matches!(flushed, Flushed::Idle | Flushed::Wait(_));
        if is_written && self.endpoint.is_over() {
            return Next::Gone(Departure::Lost);
        }
        // The writes may have made room to read or request more.
        if self.may_read() || self.endpoint.may_request() {
            return if context.hub.is_full() {
                Next::Hub
            } else {
                Next::Turn
            };
        }
        let alarm = alarms.into_iter().flatten().min();
        alarm.map_or(Next::Rest, Next::Wait)
    }

    fn may_read(&self) -> bool {
        self.readable && self.endpoint.may_read()
    }

    fn read(&mut self, context: &mut WorkerContext) -> Result<(), Departure> {
        for _ in 0..READS_MAX {
            if !self.may_read() || context.hub.is_full() {
                break;
            }
            let mut reading = Reading {
                endpoint: &mut self.endpoint,
                clock: context.clock,
            };
            let read = self.stream.read(&mut reading, &mut context.scratch);
            match read {
                Ok(intake) => {
                    reading.note(intake);
                    self.readable = match intake {
                        Intake::Some => true,
                        Intake::All => self.hung_up || self.stream.is_unread(),
                        Intake::End => false,
                    };
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Departure::Lost),
            }
            self.hand_over(context)?;
        }
        Ok(())
    }

    /// Sends the hub all requests that have arrived, as far as the limit of pending requests
    /// allows.
    fn hand_over(&mut self, context: &mut WorkerContext) -> Result<(), Departure> {
        if !self.endpoint.may_request() || context.hub.is_full() {
            return Ok(());
        }
        let next = || self.endpoint.poll_request(&context.replica, super::random);
        let requests: Vec<Request> = std::iter::from_fn(next).collect();
        let asked = requests.is_empty()
            || context.hub.tell(Event::Requests {
                connection: self.id,
                requests,
            });
        // The hub has ended, and so does the connection.
        asked.then_some(()).ok_or(Departure::Shutdown)
    }

    fn flush(&mut self, context: &mut WorkerContext, now: Now) -> Flushed {
        if self.blocked {
            return Flushed::Blocked;
        }
        for _ in 0..WRITES_MAX {
            match self.stream.settle() {
                Ok(true) => {}
                Ok(false) => return self.block(),
                Err(_) => return Flushed::Broken,
            }
            let written = match self.endpoint.poll_turn(now, &mut context.replica) {
                Turn::Write(gather) => self.stream.write(gather.slices()),
                Turn::Fetch { room, from } => return Flushed::Fetch { room, from },
                Turn::Wait(until) => return Flushed::Wait(until),
                Turn::Idle => return Flushed::Idle,
                Turn::Done => return Flushed::Done,
            };
            match written {
                Ok(0) => return Flushed::Broken,
                Ok(count) => {
                    // A pause is counted from when the bytes have left.
                    let now = if self.endpoint.abilities().is_spaced {
                        context.clock.now()
                    } else {
                        now
                    };
                    self.endpoint.handle_written(now, &context.replica, count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.block(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Flushed::Broken,
            }
        }
        Flushed::More
    }

    /// A connection whose socket is full holds no page.
    fn block(&mut self) -> Flushed {
        self.blocked = true;
        self.endpoint.drop_page();
        Flushed::Blocked
    }
}

/// An endpoint that reads from its stream.
pub(super) struct Reading<'a> {
    pub(super) endpoint: &'a mut Endpoint,
    pub(super) clock: Clock,
}

impl Reading<'_> {
    /// Notes the end of the input.
    pub(super) fn note(self, intake: Intake) {
        if intake == Intake::End {
            self.endpoint.handle_end_of_input();
        }
    }
}

impl Sink for Reading<'_> {
    fn is_drained(&self) -> bool {
        self.endpoint.is_drained()
    }

    fn feed(&mut self, bytes: &[u8]) {
        let count = self.endpoint.handle_bytes(self.clock.now(), bytes);
        debug_assert_eq!(count, bytes.len(), "there is space for a whole read");
    }

    fn space(&mut self) -> &mut [u8] {
        self.endpoint.space()
    }

    fn filled(&mut self, count: usize) {
        if count > 0 {
            self.endpoint.handle_received(self.clock.now(), count);
        }
    }
}
