//! A worker: one loop that serves its share of the connections.
//!
//! It owns them all, in a table, and all their events come through the loop: a socket is ready, the
//! hub sent news or a command, a page has arrived, an alarm is due. Then the connection does what
//! it can ([`Connection::poll`]), and the loop never waits for one of them. Waiting for the store,
//! or for the other end to close, is done by tasks beside the loop.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    io, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Weak,
    sync::Arc,
    time::Duration,
};

use slab::Slab;
use tokio::{
    sync::{
        OwnedSemaphorePermit, Semaphore,
        mpsc::{self, UnboundedReceiver, UnboundedSender},
        oneshot,
    },
    task::{LocalSet, spawn_local, yield_now},
    time::{Instant, Interval, MissedTickBehavior, interval, sleep_until, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Clock,
    connection::{Connection, Next, WorkerContext},
    hub_sender::HubSender,
    messages::{Negotiated, WorkerMsg},
    presence_throttle::PresenceThrottle,
    readers::Readers,
    sockets::{EVENTS_MAX, Readiness, Sockets},
    store_threads::Pages,
    stream::SCRATCH_BYTES,
    until,
};
use crate::protocol::RoomId;
use crate::{
    protocol::frame::Departure,
    server::{
        core::{
            ConnectionId,
            endpoint::CLOSE_WITHIN,
            event::{ConnectionCommand, Event, Publication},
            log_query::{LogQuery, QueryResult},
            replica::Replica,
        },
        log::{StoreError, segment::Segment},
        supervisor::Supervisor,
    },
    time::Now,
};

/// Turns of the hub that may wait for a worker; beyond it the hub waits.
pub(super) const DELIVERIES_MAX: usize = 64;
/// Connections that may wait for a worker; beyond it handshake pools wait.
pub(super) const ARRIVALS_MAX: usize = 256;
/// Pages from the store that the slow readers of one worker hold at one time.
const PAGES_AT_ONCE: usize = 8;
/// Log queries (history, searches) of one worker's clients at one time; the others wait, in order.
const QUERIES_AT_ONCE: usize = 4;
/// Turns of connections before the loop checks for other events.
const TURNS_IN_A_ROW: usize = 128;
/// How often the heartbeats are checked.
const TICK: Duration = Duration::from_secs(1);
/// The name of the worker on the hub's thread.
const FIRST: &str = "worker-0";
/// How long the connections may take to end when the server stops.
const STOP_WITHIN: Duration = CLOSE_WITHIN.saturating_add(Duration::from_millis(500));
/// How long a stopping server waits for the other ends to close, once everything is written. By
/// then it has arrived, or the network is so slow that the system sends it after the server's end.
const CLOSE_WAIT_MAX: Duration = Duration::from_millis(250);

/// One effect of the hub on a worker, carried out in order.
#[derive(Debug)]
pub(super) enum Delivery {
    Publish(Arc<Publication>),
    Command {
        connection: ConnectionId,
        command: ConnectionCommand,
    },
    /// Stop: nothing follows.
    Stop,
}

/// Arguments of a worker.
pub(super) struct Start {
    pub(super) replica: Replica,
    pub(super) clock: Clock,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) pages: Pages,
    pub(super) deliveries: mpsc::Receiver<Vec<Delivery>>,
    pub(super) messages: mpsc::Receiver<WorkerMsg>,
    /// Dropped when the worker has ended.
    pub(super) ended: oneshot::Sender<()>,
    pub(super) supervisor: Supervisor,
}

/// A worker; see the module's docs.
struct Worker {
    context: WorkerContext,
    pages: Pages,
    pages_at_once: Arc<Semaphore>,
    queries_at_once: Arc<Semaphore>,
    sockets: Sockets,
    table: Slab<Box<Connection>>,
    places: HashMap<ConnectionId, usize>,
    /// The readers of each room.
    readers: Readers,
    throttle: PresenceThrottle,
    /// Connections whose turn comes.
    queue: VecDeque<usize>,
    /// Connections that wait for room at the hub.
    held_up: Vec<usize>,
    alarms: BinaryHeap<Reverse<(Duration, ConnectionId)>>,
    /// Answers of the store: at most one page and one log query of each connection.
    answers: UnboundedSender<Answer>,
    /// Connections that wait for the other end to close.
    closing_tasks: TaskTracker,
    /// Cancels their wait.
    cancel_closing: CancellationToken,
    supervisor: Supervisor,
}

/// An answer of the store.
enum Answer {
    Page {
        connection: ConnectionId,
        room: RoomId,
        page: Result<Segment, StoreError>,
        /// Held until the page is written or discarded.
        permit: OwnedSemaphorePermit,
    },
    LogQuery {
        connection: ConnectionId,
        begun: Duration,
        looked: Result<QueryResult, StoreError>,
    },
}

/// Starts a worker on a thread of its own.
pub(super) fn start(number: usize, start: Start) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    let sockets = {
        let _guard = runtime.enter();
        Sockets::new()?
    };
    let supervisor = start.supervisor.clone();
    let run = move || LocalSet::new().block_on(&runtime, run(start, sockets));
    supervisor.start(format!("worker-{number}"), run)?;
    Ok(())
}

/// Starts a worker on the calling thread, beside its other tasks.
pub(super) fn start_here(start: Start) -> io::Result<()> {
    let sockets = Sockets::new()?;
    let supervisor = start.supervisor.clone();
    spawn_local(async move {
        let _alarm = supervisor.alarm(FIRST);
        if let Err(why) = run(start, sockets).await {
            supervisor.give_up(FIRST, why);
        }
    });
    Ok(())
}

async fn run(start: Start, sockets: Sockets) -> Result<(), String> {
    let (answers, answered) = mpsc::unbounded_channel();
    let worker = Worker {
        context: WorkerContext {
            clock: start.clock,
            replica: start.replica,
            hub: HubSender::new(start.events),
            scratch: Box::new([0; SCRATCH_BYTES]),
            stopping: false,
        },
        pages: start.pages,
        pages_at_once: Arc::new(Semaphore::new(PAGES_AT_ONCE)),
        queries_at_once: Arc::new(Semaphore::new(QUERIES_AT_ONCE)),
        sockets,
        table: Slab::new(),
        places: HashMap::new(),
        readers: Readers::default(),
        throttle: PresenceThrottle::default(),
        queue: VecDeque::new(),
        held_up: Vec::new(),
        alarms: BinaryHeap::new(),
        answers,
        closing_tasks: TaskTracker::new(),
        cancel_closing: CancellationToken::new(),
        supervisor: start.supervisor,
    };
    let served = worker
        .serve(start.deliveries, start.messages, answered)
        .await;
    drop(start.ended);
    served
}

impl Worker {
    async fn serve(
        mut self,
        mut deliveries: mpsc::Receiver<Vec<Delivery>>,
        mut messages: mpsc::Receiver<WorkerMsg>,
        mut answered: UnboundedReceiver<Answer>,
    ) -> Result<(), String> {
        let mut ticks = ticks();
        let mut turns = Vec::new();
        let mut found = Vec::new();
        let mut stop_at = None;
        let mut many_are_ready = false;
        while !(self.context.stopping && self.table.is_empty()) {
            let alarm = self.alarms.peek().map(|Reverse((at, _))| *at);
            let alarm = alarm.into_iter().chain(self.throttle.due()).min();
            let alarm = alarm.map(|at| self.context.clock.instant(at));
            let hub_is_full = self.context.hub.is_full();
            tokio::select! {
                count = deliveries.recv_many(&mut turns, DELIVERIES_MAX), if !self.context.stopping => {
                    if count == 0 {
                        self.stop();
                    }
                    for delivery in turns.drain(..).flatten() {
                        self.carry_out(delivery);
                    }
                }
                ready = self.sockets.ready(&mut found) => {
                    // Without it no connection can be served.
                    ready.map_err(|error| format!("it can't watch its sockets: {error}"))?;
                    many_are_ready = found.len() >= EVENTS_MAX;
                    let now = self.context.clock.now();
                    for (place, readiness) in found.drain(..) {
                        self.ready(now, place, readiness);
                    }
                }
                Some(message) = messages.recv(), if !hub_is_full => self.receive(message),
                Some(answer) = answered.recv() => self.hand_on(answer),
                () = self.context.hub.has_room(), if hub_is_full => {
                    for place in mem::take(&mut self.held_up) {
                        if let Some(connection) = self.table.get_mut(place) {
                            connection.let_go();
                        }
                        self.queue(place);
                    }
                }
                () = until(alarm) => self.ring(),
                _ = ticks.tick() => self.tick(),
                // The sockets, and other tasks of this thread, come before the next turns.
                () = yield_now(), if !self.queue.is_empty() => {}
                () = until(stop_at) => break,
            }
            self.take_turns();
            // Other tasks of this thread have their turn, however much the sockets bring.
            if mem::take(&mut many_are_ready) {
                yield_now().await;
            }
            if self.context.stopping && stop_at.is_none() {
                stop_at = Some(Instant::now() + STOP_WITHIN);
            }
        }
        self.closing_tasks.close();
        let until = Instant::now() + CLOSE_WAIT_MAX;
        if timeout_at(until, self.closing_tasks.wait()).await.is_err() {
            self.cancel_closing.cancel();
            self.closing_tasks.wait().await;
        }
        Ok(())
    }

    fn carry_out(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Publish(publication) => self.publish(&publication),
            Delivery::Command {
                connection,
                command,
            } => self.command(connection, command),
            Delivery::Stop => self.stop(),
        }
    }

    fn publish(&mut self, publication: &Publication) {
        self.context.replica.publish(publication);
        for run in &publication.runs {
            self.throttle.woken(run.room);
            self.wake(run.room, Some(run.segment.first()));
        }
        if publication.presence.is_empty() {
            return;
        }
        let now = self.context.clock.now().mono;
        for run in &publication.presence {
            let room = self.context.replica.slot(run.room);
            let readers = self.readers.count(room);
            if self.throttle.changed(now, run.room, readers) {
                self.wake(run.room, None);
            }
        }
    }

    /// Queues all readers of a room, which may have messages from a number on.
    fn wake(&mut self, room: RoomId, from: Option<u64>) {
        let room = self.context.replica.slot(room);
        for &place in self.readers.of(room) {
            let place = place as usize;
            let Some(reader) = self.table.get_mut(place) else {
                continue;
            };
            if let Some(from) = from {
                reader.wake(room, from);
            }
            if reader.queue() {
                self.queue.push_back(place);
            }
        }
    }

    fn command(&mut self, id: ConnectionId, command: ConnectionCommand) {
        let Some(&place) = self.places.get(&id) else {
            return;
        };
        let connection = &mut self.table[place];
        if matches!(command, ConnectionCommand::Admit(_)) {
            connection.set_joined();
        }
        let left = match command {
            ConnectionCommand::Leave(room) => Some(room),
            _ => None,
        };
        let before = connection.rooms().len();
        let (now, replica) = (self.context.clock.now(), &mut self.context.replica);
        catch_panic(connection, |connection| {
            connection.apply(now, replica, command);
        });
        let rooms = connection.rooms();
        for &room in rooms.get(before..).unwrap_or_default() {
            self.readers.enter(place, room);
        }
        if let Some(room) = left.and_then(|room| replica.find(room))
            && !rooms.contains(&room)
        {
            self.readers.leave(place, room);
        }
        self.queue(place);
    }

    fn stop(&mut self) {
        self.context.stopping = true;
        for (place, connection) in &mut self.table {
            if connection.queue() {
                self.queue.push_back(place);
            }
        }
    }

    fn ready(&mut self, now: Now, place: usize, readiness: Readiness) {
        if let Some(connection) = self.table.get_mut(place) {
            connection.ready(now, readiness);
            self.queue(place);
        }
    }

    fn receive(&mut self, message: WorkerMsg) {
        match message {
            WorkerMsg::Serve(negotiated) => self.take_in(*negotiated),
            WorkerMsg::Evict(id) => {
                if let Some(&place) = self.places.get(&id) {
                    self.table[place].make_room();
                    self.queue(place);
                }
            }
        }
    }

    fn take_in(&mut self, negotiated: Negotiated) {
        // A connection that can't be watched, or that arrives during the stop, is dropped.
        let place = self.table.vacant_key();
        let socket = negotiated.stream.socket();
        if self.context.stopping || self.sockets.add(socket, place).is_err() {
            return;
        }
        let (connection, first) = Connection::new(negotiated);
        if self.context.hub.tell(first) {
            self.places.insert(connection.id, place);
            self.table.insert(Box::new(connection));
            self.queue(place);
        }
    }

    fn hand_on(&mut self, answer: Answer) {
        let (Answer::Page { connection, .. } | Answer::LogQuery { connection, .. }) = answer;
        // The connection may have ended meanwhile.
        let Some(&place) = self.places.get(&connection) else {
            return;
        };
        match answer {
            Answer::Page {
                room, page, permit, ..
            } => {
                let (now, replica) = (self.context.clock.now(), &self.context.replica);
                catch_panic(&mut self.table[place], |connection| {
                    connection.take_page(now, replica, room, page);
                });
                // The whole page, as far as the socket takes it: others wait for the permit.
                while let Some(next) = self.turn(now, place) {
                    let connection = &mut self.table[place];
                    if next != Next::Turn || !connection.is_paging() {
                        connection.drop_page();
                        self.queue(place);
                        break;
                    }
                }
                drop(permit);
            }
            Answer::LogQuery { begun, looked, .. } => {
                let now = self.context.clock.now();
                catch_panic(&mut self.table[place], |connection| {
                    connection.looked(now, begun, &looked);
                });
                self.queue(place);
            }
        }
    }

    fn ring(&mut self) {
        let now = self.context.clock.now().mono;
        while let Some(&Reverse((at, id))) = self.alarms.peek() {
            if at > now {
                break;
            }
            self.alarms.pop();
            let place = self.places.get(&id).copied();
            if let Some(place) = place.filter(|&place| self.table[place].ring(at)) {
                self.queue(place);
            }
        }
        while let Some(room) = self.throttle.take_due(now, |room| {
            let room = self.context.replica.find(room);
            room.map_or(0, |room| self.readers.count(room))
        }) {
            self.wake(room, None);
        }
    }

    fn tick(&mut self) {
        self.context.replica.rest();
        let now = self.context.clock.now();
        self.context.replica.spaced_readers = 0;
        for (place, connection) in &mut self.table {
            let is_spaced = connection.abilities().is_spaced;
            self.context.replica.spaced_readers += u32::from(is_spaced);
            let is_due = catch_panic(connection, |connection| connection.tick(now)).unwrap_or(true);
            if is_due && connection.queue() {
                self.queue.push_back(place);
            }
        }
    }

    fn queue(&mut self, place: usize) {
        if self
            .table
            .get_mut(place)
            .is_some_and(|connection| connection.queue())
        {
            self.queue.push_back(place);
        }
    }

    fn take_turns(&mut self) {
        if self.queue.is_empty() {
            return;
        }
        let now = self.context.clock.now();
        for _ in 0..TURNS_IN_A_ROW {
            let Some(place) = self.queue.pop_front() else {
                return;
            };
            if self.table.contains(place) && self.turn(now, place) == Some(Next::Turn) {
                self.queue(place);
            }
        }
    }

    /// Polls a connection, and arranges what it waits for; `None` if it is gone.
    fn turn(&mut self, now: Now, place: usize) -> Option<Next> {
        let connection = &mut self.table[place];
        connection.unqueue();
        let context = &mut self.context;
        let gone_on = catch_panic(connection, |connection| {
            (connection.poll(context, now), connection.look())
        });
        let (next, look) = gone_on.unwrap_or((Next::Gone(Departure::Lost), None));
        let id = connection.id;
        match next {
            Next::Rest | Next::Turn => {}
            Next::Wait(until) => {
                if connection.wake_at(until) {
                    self.alarms.push(Reverse((until, id)));
                }
            }
            Next::Hub => {
                if connection.hold_up() {
                    self.held_up.push(place);
                }
            }
            Next::Page { room, from } => {
                self.fetch(place, room, from);
                // It may read on meanwhile, and has its deadlines.
                self.queue(place);
            }
            Next::Close => {
                self.close(place);
                return None;
            }
            Next::Gone(reason) => {
                self.remove(place, reason);
                return None;
            }
        }
        if let Some((look, due)) = look {
            let life = self.table[place].life();
            self.look(id, life, look, due);
        }
        Some(next)
    }

    /// Fetches a page for a connection once a permit is free, unless it has ended by then.
    fn fetch(&mut self, place: usize, room: RoomId, from: u64) {
        let connection = &mut self.table[place];
        let bytes_max = connection.abilities().page_bytes_max;
        let (connection, life) = (connection.id, connection.life());
        let (places, pages) = (Arc::clone(&self.pages_at_once), self.pages.clone());
        let answers = self.answers.clone();
        let alarm = self.supervisor.alarm("a page for a reader");
        spawn_local(async move {
            let _alarm = alarm;
            // The semaphore is never closed.
            let Ok(permit) = places.acquire_owned().await else {
                return;
            };
            if life.strong_count() == 0 {
                return;
            }
            let page = pages.read(room, from, bytes_max).await;
            let _ = answers.send(Answer::Page {
                connection,
                room,
                page,
                permit,
            });
        });
    }

    /// Starts a log query once it is due and a permit is free, unless the connection has ended by
    /// then.
    fn look(&self, connection: ConnectionId, life: Weak<()>, look: LogQuery, due: Duration) {
        let (places, pages) = (Arc::clone(&self.queries_at_once), self.pages.clone());
        let (answers, clock) = (self.answers.clone(), self.context.clock);
        let alarm = self.supervisor.alarm("a log query");
        spawn_local(async move {
            let _alarm = alarm;
            sleep_until(clock.instant(due)).await;
            // The semaphore is never closed.
            let Ok(_permit) = places.acquire_owned().await else {
                return;
            };
            if life.strong_count() == 0 {
                return;
            }
            let begun = clock.now().mono;
            let looked = pages.look(look).await;
            let _ = answers.send(Answer::LogQuery {
                connection,
                begun,
                looked,
            });
        });
    }

    /// Waits, beside the loop, for the other end to close.
    fn close(&mut self, place: usize) {
        let connection = self.remove(place, Departure::Disconnect);
        let (stream, guards) = connection.into_rest();
        if let Ok(stream) = stream.into_async() {
            let cancel_closing = self.cancel_closing.clone();
            self.closing_tasks.spawn_local(async move {
                let closing = stream.close(CLOSE_WITHIN);
                let _ = cancel_closing.run_until_cancelled_owned(closing).await;
                drop(guards);
            });
        }
    }

    fn remove(&mut self, place: usize, reason: Departure) -> Connection {
        let connection = self.table.remove(place);
        self.places.remove(&connection.id);
        for &room in connection.rooms() {
            self.readers.leave(place, room);
        }
        self.sockets.remove(connection.socket(), place);
        let closed = Event::Closed {
            connection: connection.id,
            reason,
        };
        // The hub may have ended already.
        let _ = self.context.hub.tell(closed);
        *connection
    }
}

/// Runs `deed` on a connection, which alone ends if it panics. (The panic itself is reported
/// elsewhere.)
fn catch_panic<T>(
    connection: &mut Connection,
    deed: impl FnOnce(&mut Connection) -> T,
) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(|| deed(&mut *connection)));
    if done.is_err() {
        connection.break_down();
    }
    done.ok()
}

fn ticks() -> Interval {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
