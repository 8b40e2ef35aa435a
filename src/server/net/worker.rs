//! One thread that serves its share of the connections.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    io::IoSlice,
    rc::Rc,
    sync::Arc,
    thread,
    time::Duration,
};

use jiff::tz::TimeZone;
use tokio::{
    net::TcpStream,
    sync::{
        Notify, Semaphore,
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    task::{AbortHandle, LocalSet, yield_now},
    time::{MissedTickBehavior, interval, timeout, timeout_at},
};

use super::{
    Clock,
    accept::{Accepted, Visit},
    connection::{Connection, Tickets},
    gate::Gate,
    greeting::{Greeted, greet},
    listener,
    passwords::Passwords,
    readers::Readers,
    storage::Pages,
    stream::SCRATCH_BYTES,
    tls::Credentials,
};
use crate::{
    protocol::{ServerFrame, limits::JOIN_WITHIN, wire::encode_server},
    server::{
        config::Plaintext,
        engine::{
            ConnectionId,
            endpoint::CLOSE_WITHIN,
            event::{Event, Order, Publication},
            view::Views,
        },
    },
};

/// Turns of the hub that may wait for a worker; then the hub waits.
pub(super) const DELIVERIES_MAX: usize = 64;
/// Connections that may wait for a worker; then no more are accepted.
pub(super) const ACCEPTED_MAX: usize = 256;
/// Pages from the store that the slow readers of one worker hold at one time.
const PAGES_AT_ONCE: usize = 8;
/// Looks into a log (history, searches) that the clients of one worker have at one time; the others
/// wait for their turn, in the order of their asking.
const LOOKS_AT_ONCE: usize = 4;
/// Handshakes that one worker reckons at before others have their turn; each takes it a third of a
/// millisecond.
const HANDSHAKES_AT_ONCE: usize = 4;
/// So many connections are written to before others get to read.
const WRITES_IN_A_ROW: usize = 128;
/// How often the heartbeats are looked at.
const TICK: Duration = Duration::from_secs(1);
/// How long the connections may take to end when the server stops.
const STOP_WITHIN: Duration = CLOSE_WITHIN.saturating_add(Duration::from_millis(500));

/// What a turn of the hub means for a worker: to be carried out in order.
#[derive(Debug)]
pub(super) enum Delivery {
    Publish(Arc<Publication>),
    Order {
        connection: ConnectionId,
        order: Order,
    },
    /// Nothing follows.
    Stop,
}

/// What a worker is given at its start.
pub(super) struct Start {
    pub(super) views: Views,
    pub(super) clock: Clock,
    pub(super) credentials: Credentials,
    pub(super) plaintext: Plaintext,
    pub(super) gate: Gate,
    pub(super) passwords: Option<Passwords>,
    pub(super) zone: TimeZone,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) pages: Pages,
    pub(super) deliveries: mpsc::Receiver<Vec<Delivery>>,
    pub(super) visits: mpsc::Receiver<Visit>,
    /// Told by being dropped: the worker has ended.
    pub(super) ended: oneshot::Sender<()>,
}

/// What the tasks of one worker share.
pub(super) struct Worker {
    pub(super) clock: Clock,
    pub(super) credentials: Credentials,
    pub(super) plaintext: Plaintext,
    pub(super) gate: Gate,
    /// Where a password lets people in.
    pub(super) passwords: Option<Passwords>,
    pub(super) views: RefCell<Views>,
    events: mpsc::Sender<Event>,
    pub(super) pages: Pages,
    pub(super) pages_at_once: Semaphore,
    pub(super) looks_at_once: Semaphore,
    pub(super) handshakes_at_once: Semaphore,
    /// What nobody holds from one moment to another: where encrypted bytes are read to.
    pub(super) scratch: RefCell<Box<[u8; SCRATCH_BYTES]>>,
    zone: TimeZone,
    /// Those of whom it is not known yet how they speak.
    strangers: RefCell<HashMap<ConnectionId, AbortHandle>>,
    connections: RefCell<HashMap<ConnectionId, Rc<Connection>>>,
    /// Those who read each room.
    readers: RefCell<Readers>,
    stopping: Cell<bool>,
    /// Told when the last connection is gone.
    empty: Notify,
}

/// Starts a worker's thread.
pub(super) fn start(number: usize, start: Start) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    thread::Builder::new()
        .name(format!("worker-{number}"))
        .spawn(move || LocalSet::new().block_on(&runtime, run(start)))?;
    Ok(())
}

async fn run(start: Start) {
    let worker = Rc::new(Worker {
        clock: start.clock,
        credentials: start.credentials,
        plaintext: start.plaintext,
        gate: start.gate,
        passwords: start.passwords,
        views: RefCell::new(start.views),
        events: start.events,
        pages: start.pages,
        pages_at_once: Semaphore::new(PAGES_AT_ONCE),
        looks_at_once: Semaphore::new(LOOKS_AT_ONCE),
        handshakes_at_once: Semaphore::new(HANDSHAKES_AT_ONCE),
        scratch: RefCell::new(Box::new([0; SCRATCH_BYTES])),
        zone: start.zone,
        strangers: RefCell::default(),
        connections: RefCell::default(),
        readers: RefCell::default(),
        stopping: Cell::new(false),
        empty: Notify::new(),
    });
    let accepting = tokio::task::spawn_local(Rc::clone(&worker).accept(start.visits));
    let ticking = tokio::task::spawn_local(Rc::clone(&worker).tick());
    worker.deliver(start.deliveries).await;
    accepting.abort();
    ticking.abort();
    let _ = timeout(STOP_WITHIN, worker.until_empty()).await;
    drop(start.ended);
}

impl Worker {
    async fn accept(self: Rc<Self>, mut visits: mpsc::Receiver<Visit>) {
        while let Some(visit) = visits.recv().await {
            match visit {
                Visit::Come(accepted) => {
                    let id = accepted.id;
                    let greeting = Rc::clone(&self).greet(accepted);
                    let greeting = tokio::task::spawn_local(greeting).abort_handle();
                    self.strangers.borrow_mut().insert(id, greeting);
                }
                Visit::Go(id) => self.send_away(id),
            }
        }
    }

    /// One that had not joined is to go, unless it has meanwhile.
    fn send_away(&self, id: ConnectionId) {
        if let Some(stranger) = self.strangers.borrow_mut().remove(&id) {
            stranger.abort();
        } else if let Some(connection) = self.connections.borrow().get(&id) {
            connection.make_room();
        }
    }

    /// Finds out how somebody speaks, and then talks to him, or tells him why not.
    async fn greet(self: Rc<Self>, accepted: Box<Accepted>) {
        let Accepted { id, since, .. } = *accepted;
        let until = self.clock.instant(since.mono + JOIN_WITHIN);
        let greeted = timeout_at(until, self.meet(accepted)).await;
        self.strangers.borrow_mut().remove(&id);
        if let Ok(Some(connection)) = greeted {
            let connection = Rc::new(connection);
            let known = Rc::clone(&connection);
            self.connections.borrow_mut().insert(id, known);
            // In a task of its own: what was needed until now is given back.
            tokio::task::spawn_local(connection.run(Rc::clone(&self)));
        }
    }

    async fn meet(&self, accepted: Box<Accepted>) -> Option<Connection> {
        let socket = TcpStream::from_std(accepted.stream).ok()?;
        listener::prepare(&socket);
        let greeted = greet(self, socket, accepted.address, accepted.verdict).await;
        let Greeted {
            stream,
            channel,
            first,
            outcome,
        } = greeted.ok()?;
        match outcome {
            Ok(pass) => {
                let tickets = Tickets {
                    place: accepted.place,
                    newcomer: accepted.newcomer,
                    pass,
                };
                let begin = (accepted.since, &first[..]);
                Some(Connection::new(
                    accepted.id,
                    stream,
                    channel,
                    begin,
                    tickets,
                ))
            }
            Err(refusal) => {
                let now = self.clock.now().mono;
                self.gate.turned_away(channel.address, &refusal, now);
                let mut words = Vec::new();
                encode_server(&ServerFrame::Error(refusal.frame()), &mut words);
                // Best effort: an empty socket buffer takes so little at once.
                let _ = stream.write(&[IoSlice::new(&words)]);
                Box::pin(stream.close(CLOSE_WITHIN)).await;
                None
            }
        }
    }

    /// Tells the hub, if it has room for it; false if it has ended.
    pub(super) fn try_tell(&self, event: Event) -> Result<bool, Event> {
        match self.events.try_send(event) {
            Ok(()) => Ok(true),
            Err(TrySendError::Full(event)) => Err(event),
            Err(TrySendError::Closed(_)) => Ok(false),
        }
    }

    /// Tells the hub, once it has room for it; false if it has ended.
    pub(super) fn tell(&self, event: Event) -> impl Future<Output = bool> + '_ {
        // Seldom: whoever waits for it need not have the room for that all the time.
        let told = self.try_tell(event);
        let told = told.map_err(|event| Box::pin(self.events.send(event)));
        async {
            match told {
                Ok(told) => told,
                Err(sending) => sending.await.is_ok(),
            }
        }
    }

    /// A connection has ended.
    pub(super) fn forget(&self, id: ConnectionId) {
        let mut connections = self.connections.borrow_mut();
        if let Some(connection) = connections.remove(&id) {
            self.readers.borrow_mut().remove(&connection);
        }
        if connections.is_empty() {
            self.empty.notify_one();
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Carries out what the hub says, until it says no more.
    async fn deliver(&self, mut deliveries: mpsc::Receiver<Vec<Delivery>>) {
        let mut turns = Vec::new();
        let mut touched = Vec::new();
        while deliveries.recv_many(&mut turns, DELIVERIES_MAX).await > 0 {
            for delivery in turns.drain(..).flatten() {
                match delivery {
                    Delivery::Publish(publication) => {
                        self.views.borrow_mut().publish(&publication);
                        let readers = self.readers.borrow();
                        for room in publication.rooms() {
                            touched
                                .extend(readers.of(room).filter(|reader| reader.touch()).cloned());
                        }
                    }
                    Delivery::Order { connection, order } => {
                        let connection = self.apply(connection, order);
                        touched.extend(connection.filter(|connection| connection.touch()));
                    }
                    Delivery::Stop => self.stopping.set(true),
                }
            }
            if self.is_stopping() {
                touched.clear();
                touched.extend(self.connections.borrow().values().cloned());
            }
            self.write_to(&touched).await;
            touched.clear();
            if self.is_stopping() {
                return;
            }
        }
    }

    fn apply(&self, id: ConnectionId, order: Order) -> Option<Rc<Connection>> {
        let connection = self.connections.borrow().get(&id).cloned()?;
        if let Order::Admit(admission) = &order {
            connection.settle_in();
            let rooms = admission.rooms.iter().map(|(room, _)| *room);
            self.readers.borrow_mut().enter(&connection, rooms);
        }
        let mut endpoint = connection.endpoint.borrow_mut();
        endpoint.apply(self.clock.now(), &self.views.borrow(), order, &self.zone);
        drop(endpoint);
        Some(connection)
    }

    async fn write_to(&self, connections: &[Rc<Connection>]) {
        for some in connections.chunks(WRITES_IN_A_ROW) {
            let now = self.clock.now();
            for connection in some {
                connection.untouch();
                connection.flush_or_wake(self, now);
            }
            yield_now().await;
        }
    }

    async fn tick(self: Rc<Self>) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.views.borrow_mut().rest();
            let connections: Vec<_> = self.connections.borrow().values().cloned().collect();
            let now = self.clock.now();
            for connection in &connections {
                connection.tick(&self, now);
            }
        }
    }

    async fn until_empty(&self) {
        while !self.connections.borrow().is_empty() {
            self.empty.notified().await;
        }
    }
}
