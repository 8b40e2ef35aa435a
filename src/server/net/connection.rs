//! One connection that a worker serves: its socket, its [`Endpoint`], and what it waits for.
//!
//! It has no task and no timer. The worker calls [`poll`](Connection::poll) when something has
//! happened to it (its socket is ready, the hub said something, an alarm rang), and is told what it
//! waits for next. Most connections are idle most of the time, and idle ones are only this: a few
//! hundred bytes. As a task of tokio's each took 0.7 KB more, for the task's state, its registration
//! with the reactor, and what its future might wait for.

use std::{
    io,
    net::TcpStream,
    rc::{Rc, Weak},
    time::Duration,
};

use smallvec::SmallVec;

use super::{
    Clock,
    conn_limit::Permit,
    hub_sender::HubSender,
    messages::{LoadGuard, Negotiated},
    readers::ReaderSlot,
    sockets::Readiness,
    stream::{Intake, SCRATCH_BYTES, Sink, Stream},
    transport::Transport,
    unjoined::UnjoinedGuard,
};
use crate::{
    protocol::frame::Departure,
    server::{
        core::{
            ConnectionId,
            client::Abilities,
            endpoint::Pulse,
            event::{ConnectionCommand, Event, Request},
            log_query::{LogQuery, QueryResult},
            replica::Replica,
            subscriber::Turn,
        },
        front::Endpoint,
        log::{RoomIndex, StoreError, segment::Segment},
    },
    time::Now,
};

/// Writes to one connection before others have their turn.
const WRITES_MAX: usize = 16;
/// Reads from one connection before others have their turn.
const READS_MAX: usize = 4;
/// A look into a log is followed by a pause as long as it took, and this at most, before the same
/// connection's next one begins: nobody has a reader for himself.
const LOOK_PAUSE_MAX: Duration = Duration::from_secs(1);
/// There is no alarm.
const NEVER: Duration = Duration::MAX;

/// What all connections of a worker go by.
pub(super) struct WorkerContext {
    pub(super) clock: Clock,
    pub(super) replica: Replica,
    pub(super) hub: HubSender,
    /// What nobody holds from one moment to another: where bytes are read to.
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
    /// The other end has closed: there is an end to be read, whatever comes before it.
    hung_up: bool,
    /// The socket took no more, and has not said since that it does.
    blocked: bool,
    /// It is among those whose turn comes.
    queued: bool,
    /// It is among those who wait for the hub to have room.
    held_up: bool,
    /// A page is on its way from the store.
    fetching: bool,
    /// When it is to have a turn though nothing happens.
    alarm: Duration,
    /// Once it has looked into a log, or fetched a page of one.
    pending_reads: Option<Box<PendingReads>>,
    /// Why it is to end, if it is.
    end: Option<Departure>,
    /// Where it stands among the readers of each of its rooms.
    pub(super) slots: SmallVec<[ReaderSlot; 1]>,
    /// Until it has joined.
    unjoined_guard: Option<Box<UnjoinedGuard>>,
    guards: (Permit, LoadGuard),
}

/// What others do for a connection.
#[derive(Default)]
struct PendingReads {
    /// Lives as long as the connection.
    life: Rc<()>,
    /// The next look into a log does not begin before this time.
    next_look: Duration,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Something to happen.
    Rest,
    /// That, or this time.
    Wait(Duration),
    /// For others to have their turn.
    Turn,
    /// For the hub to have room.
    Hub,
    /// A page of a room's log, from this number on.
    Page { room: RoomIndex, from: u64 },
    /// For the other end to close too: all is written, for good.
    Goodbye,
    /// Nothing: it has ended.
    Gone(Departure),
}

/// Where writing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flushed {
    /// All is written, for now.
    Idle,
    /// More could be, after others had their turn.
    More,
    Blocked,
    Fetch {
        room: RoomIndex,
        from: u64,
    },
    Wait(Duration),
    /// All is written, for good.
    Done,
    Broken,
}

impl Connection {
    /// Also gives its first request.
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
            slots: SmallVec::new(),
            unjoined_guard: Some(Box::new(negotiated.guards.unjoined_guard)),
            guards: (negotiated.guards.permit, negotiated.guards.place),
        };
        (connection, first)
    }

    pub(super) fn socket(&self) -> &Transport<TcpStream> {
        self.stream.socket()
    }

    /// Tells whether it still lives.
    pub(super) fn life(&mut self) -> Weak<()> {
        Rc::downgrade(&self.pending_reads.get_or_insert_default().life)
    }

    /// What is left of one that only waits for the other end to close too.
    pub(super) fn into_rest(self) -> (Stream<TcpStream>, (Permit, LoadGuard)) {
        (self.stream, self.guards)
    }

    // What has happened to it.

    /// Puts it among those whose turn comes; false if it is there already.
    pub(super) fn queue(&mut self) -> bool {
        !std::mem::replace(&mut self.queued, true)
    }

    /// Its turn has come.
    pub(super) fn unqueue(&mut self) {
        self.queued = false;
    }

    /// Puts it among those who wait for the hub; false if it is there already.
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
            self.endpoint.alive(now);
        }
    }

    /// The hub says this.
    pub(super) fn apply(&mut self, now: Now, replica: &Replica, command: ConnectionCommand) {
        self.endpoint.apply(now, replica, command);
    }

    /// It has joined: it need not make room for others any more.
    pub(super) fn settle_in(&mut self) {
        self.unjoined_guard = None;
    }

    /// Others want to join: if it has not, it ends.
    pub(super) fn make_room(&mut self) {
        if self.unjoined_guard.take().is_some() {
            self.end = Some(Departure::Lost);
        }
    }

    /// It broke down: it ends, and nobody else does.
    pub(super) fn break_down(&mut self) {
        self.end = Some(Departure::Lost);
    }

    /// About a second has passed; whether there is something to do now.
    pub(super) fn tick(&mut self, now: Now) -> bool {
        match self.endpoint.tick(now) {
            Pulse::Fine => false,
            Pulse::Ping | Pulse::Late => true,
            Pulse::Gone => {
                self.end = Some(Departure::Timeout);
                true
            }
        }
    }

    /// The page that it waited for.
    pub(super) fn take_page(
        &mut self,
        now: Now,
        room: RoomIndex,
        page: Result<Segment, StoreError>,
    ) {
        self.fetching = false;
        match page.map(|page| self.endpoint.take_page(room, page)) {
            Ok(true) => {}
            Ok(false) => self.end = Some(Departure::Lost),
            Err(error) => self.endpoint.unreadable(now, error),
        }
    }

    /// Gives up what is left of the page.
    pub(super) fn drop_page(&mut self) {
        self.endpoint.drop_page();
    }

    /// What the core has to know of its client, as far as is known.
    pub(super) fn abilities(&self) -> &'static Abilities {
        self.endpoint.abilities()
    }

    /// Whether it holds a page that its socket takes.
    pub(super) fn is_paging(&self) -> bool {
        self.endpoint.has_page() && !self.blocked && self.end.is_none()
    }

    /// The look into a log that is to begin now, if there is one, and not before when.
    pub(super) fn look(&mut self) -> Option<(LogQuery, Duration)> {
        let look = self.endpoint.look()?;
        Some((look, self.pending_reads.get_or_insert_default().next_look))
    }

    /// What the look found, which was begun at this time.
    pub(super) fn looked(
        &mut self,
        now: Now,
        begun: Duration,
        looked: &Result<QueryResult, StoreError>,
    ) {
        let took = now.mono.saturating_sub(begun).min(LOOK_PAUSE_MAX);
        self.pending_reads.get_or_insert_default().next_look = now.mono + took;
        self.endpoint.looked(now, looked);
    }

    /// Sets the alarm; false if it rings no later than that already.
    pub(super) fn wake_at(&mut self, at: Duration) -> bool {
        let sooner = at < self.alarm;
        if sooner {
            self.alarm = at;
        }
        sooner
    }

    /// The alarm for this time rings; false if there is none.
    pub(super) fn ring(&mut self, at: Duration) -> bool {
        let rings = self.alarm == at;
        if rings {
            self.alarm = NEVER;
        }
        rings
    }

    // What it does.

    /// Does what can be done now: reads, asks the hub, writes.
    pub(super) fn poll(&mut self, context: &mut WorkerContext, now: Now) -> Next {
        if let Some(reason) = self.end {
            return Next::Gone(reason);
        }
        self.endpoint.poll(now);
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
            Flushed::Done => return Next::Goodbye,
            Flushed::More => return Next::Turn,
            Flushed::Fetch { room, from } if !self.fetching => {
                self.fetching = true;
                return Next::Page { room, from };
            }
            Flushed::Wait(until) => alarms[2] = Some(until),
            Flushed::Fetch { .. } | Flushed::Idle | Flushed::Blocked => {}
        }
        // Nobody who has not joined by now will.
        if context.stopping && !self.endpoint.is_closing() {
            return Next::Gone(Departure::Shutdown);
        }
        // Who sends no more may still want to read what could not be written yet.
        let is_written = matches!(flushed, Flushed::Idle | Flushed::Wait(_));
        if is_written && self.endpoint.is_over() {
            return Next::Gone(Departure::Lost);
        }
        // What was written may have let more be read, or asked.
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

    /// Gives the hub all requests that have arrived, as far as that many may be under way.
    fn hand_over(&mut self, context: &mut WorkerContext) -> Result<(), Departure> {
        if !self.endpoint.may_request() || context.hub.is_full() {
            return Ok(());
        }
        let next = || self.endpoint.request(super::random);
        let requests: Vec<Request> = std::iter::from_fn(next).collect();
        let asked = requests.is_empty()
            || context.hub.tell(Event::Requests {
                connection: self.id,
                requests,
            });
        // The hub has ended: so do we.
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
            let written = match self.endpoint.turn(now, &mut context.replica) {
                Turn::Write(gather) => self.stream.write(gather.slices()),
                Turn::Fetch { room, from } => return Flushed::Fetch { room, from },
                Turn::Wait(until) => return Flushed::Wait(until),
                Turn::Idle => return Flushed::Idle,
                Turn::Done => return Flushed::Done,
            };
            match written {
                Ok(0) => return Flushed::Broken,
                Ok(count) => {
                    // A pause counts from when the bytes have left.
                    let now = if self.endpoint.abilities().is_spaced {
                        context.clock.now()
                    } else {
                        now
                    };
                    self.endpoint.wrote(now, &context.replica, count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.block(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Flushed::Broken,
            }
        }
        Flushed::More
    }

    /// Nobody keeps a page while his socket is full.
    fn block(&mut self) -> Flushed {
        self.blocked = true;
        self.endpoint.drop_page();
        Flushed::Blocked
    }
}

/// An endpoint that reads.
pub(super) struct Reading<'a> {
    pub(super) endpoint: &'a mut Endpoint,
    pub(super) clock: Clock,
}

impl Reading<'_> {
    /// What a read came to.
    pub(super) fn note(self, intake: Intake) {
        if intake == Intake::End {
            self.endpoint.end_of_input();
        }
    }
}

impl Sink for Reading<'_> {
    fn is_drained(&self) -> bool {
        self.endpoint.is_drained()
    }

    fn feed(&mut self, bytes: &[u8]) {
        let count = self.endpoint.feed(self.clock.now(), bytes);
        debug_assert_eq!(count, bytes.len(), "there is space for a whole read");
    }

    fn space(&mut self) -> &mut [u8] {
        self.endpoint.space()
    }

    fn filled(&mut self, count: usize) {
        if count > 0 {
            self.endpoint.received(self.clock.now(), count);
        }
    }
}
