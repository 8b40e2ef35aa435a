//! Starts the threads, runs the hub, and stops them all.

use std::{
    fmt, future::Future, io, mem, net::SocketAddr, path::PathBuf, pin::pin, sync::Arc,
    time::Duration,
};

use jiff::tz::TimeZone;
use tokio::{
    sync::{mpsc, oneshot},
    task::LocalSet,
    time::{Instant, timeout_at},
};

use super::{
    Clock, accept,
    conn_limit::ConnectionLimiter,
    control::{self, Control, HubAnswer},
    damage,
    error::{RunError, StartError},
    gateway::GatewayWatch,
    handshake,
    listener::{self},
    messages::{HandshakeMsg, LoadCounter, WorkerMsg},
    passwords::Passwords,
    reload::Reload,
    store_threads::{self, Appender, Pages},
    tls::Credentials,
    until,
    worker::{self, Delivery},
};
use crate::{
    pipe,
    protocol::{InviteKey, OwnerCode, RoomId},
    server::{
        config::{Config, Storage},
        core::{
            access::{self, Access},
            event::{Effect, Event},
            hub::{Hub, Settings},
            replica::Replica,
            rooms,
        },
        event_log::EventLog,
        keys::Keys,
        log::{LogWriter, MemoryStore, Standing, Store, StoreError},
        store::{
            SqliteStore, fresh_epoch,
            sqlite::{self, Durability, paths::data_directory},
        },
        supervisor::Supervisor,
    },
    text::Line,
};

/// Events that may wait for the hub (an event holds requests of one connection); beyond it
/// connections wait.
const EVENTS_MAX: usize = 1024;
/// Events that the hub takes in one turn.
const EVENTS_A_TURN_MAX: usize = 512;
/// Deliveries held back for a worker without connections.
const HELD_BACK_MAX: usize = 64;
/// How long the store may take to finish when the server stops.
const DRAIN_WITHIN: Duration = Duration::from_millis(1_500);
/// How long stopping may take in all.
const STOP_WITHIN: Duration = Duration::from_millis(4_800);

/// A server that listens, but does not serve yet.
pub struct Bound {
    config: Config,
    listener: std::net::TcpListener,
    address: SocketAddr,
    store: Box<dyn Store>,
    /// The data directory, which the store has locked.
    directory: Option<PathBuf>,
    credentials: Credentials,
    invite_key: InviteKey,
    /// Set where a password admits clients.
    passwords: Option<Passwords>,
    connector: pipe::Connector,
    pipes: pipe::Listener,
}

impl fmt::Debug for Bound {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Bound")
            .field("config", &self.config)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Binds the port, so that clients can connect from now on, and opens the log and the keys.
/// [`Bound::run`] then serves them.
pub fn bind(config: Config) -> Result<Bound, StartError> {
    let listening = listener::listen(config.bind.as_ref(), config.port);
    let (listener, address) = listening.map_err(StartError::Bind)?;
    let (mut store, directory) = open_store(&config)?;
    damage::check(&config, &mut *store)?;
    let credentials = Credentials::open(&config.keys, &config.recorder);
    let credentials = credentials.map_err(StartError::Keys)?;
    let own = matches!(config.keys, Keys::Files { .. }).then(|| credentials.fingerprint());
    config.secrets.note_fingerprint(own, &config.recorder);
    let invite_key = config.secrets.invite_key(&config.recorder);
    let invite_key = invite_key.map_err(StartError::Secrets)?;
    let passwords = (config.access == Access::Password)
        .then(|| Passwords::open(&config.secrets, &config.recorder, &config.supervisor))
        .transpose()
        .map_err(StartError::Secrets)?;
    let (connector, pipes) = pipe::listen();
    Ok(Bound {
        config,
        listener,
        address,
        store,
        directory,
        credentials,
        invite_key,
        passwords,
        connector,
        pipes,
    })
}

/// Opens the store, and returns its directory if it is on disk.
fn open_store(config: &Config) -> Result<(Box<dyn Store>, Option<PathBuf>), StartError> {
    let Storage::Disk {
        directory,
        durability,
        index,
        compact,
    } = &config.storage
    else {
        let epoch = fresh_epoch().map_err(StartError::System)?;
        // Few expect this, so it is logged even with --quiet.
        config
            .recorder
            .warn("messages are kept in memory only, and lost when the server stops".to_owned());
        return Ok((Box::new(MemoryStore::new(epoch, config.memory)), None));
    };
    let directory = match directory {
        Some(directory) => directory.clone(),
        None => data_directory().map_err(StartError::Open)?,
    };
    let settings = sqlite::Settings {
        directory,
        durability: *durability,
        index: *index,
        compact: *compact,
        recorder: config.recorder.clone(),
        supervisor: config.supervisor.clone(),
    };
    let store = SqliteStore::open(&settings).map_err(StartError::Open)?;
    let held = store.standings().into_iter();
    let held = held.map(|(_, standing)| standing.extent.len());
    config.recorder.info(format!(
        "messages are kept in {}: {}",
        settings.directory.display(),
        if store.is_new() {
            "a new log".to_owned()
        } else {
            format!("{} are there", held.sum::<u64>())
        },
    ));
    if *durability == Durability::Relaxed {
        config.recorder.warn(
            "with --durability relaxed, a power failure may lose the last messages".to_owned(),
        );
    }
    Ok((Box::new(store), Some(settings.directory)))
}

impl Bound {
    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The key and certificate that it presents.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Makes connections from within this process, unencrypted. All limits apply to them as to
    /// clients on this machine.
    pub fn connector(&self) -> pipe::Connector {
        self.connector.clone()
    }

    /// Reloads the certificate and the password when the operator asks for it.
    pub fn reload(&self) -> Reload {
        Reload::new(&self.config, &self.credentials, self.passwords.as_ref())
    }

    /// Serves, on this thread and others of its own, until `shutdown` is ready. Then it notifies
    /// all clients, delivers what was accepted, and returns within 5 seconds whatever clients do.
    pub fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let supervisor = self.config.supervisor.clone();
        let serve = || LocalSet::new().block_on(&runtime, serve(self, shutdown));
        let outcome = supervisor.run("hub", serve);
        // Any other failure then is a consequence.
        match (supervisor.breakdown(), outcome) {
            (Some(breakdown), _) => Err(RunError::Breakdown(breakdown)),
            (None, outcome) => outcome.unwrap_or(Ok(())),
        }
    }
}

async fn serve(bound: Bound, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
    let Bound {
        config,
        listener,
        mut store,
        directory,
        credentials,
        invite_key,
        passwords,
        pipes,
        ..
    } = bound;
    let clock = Clock::start();
    let (epoch, standings, known) = (store.epoch(), store.standings(), store.known_times());
    let facts = store.state().map_err(|_| RunError::Store)?;
    let supervisor = config.supervisor.clone();
    let (appender, pages, closed) = store_threads::start(store, &supervisor)?;
    let (events, mut requests) = mpsc::channel(EVENTS_MAX);
    let limiter = ConnectionLimiter::new(config.per_site, config.recorder.clone());
    let fleet = Fleet::start(&config, clock, &standings, (&events, &pages))?;
    // The workers hold their own: the store is closed when the last of them is gone.
    drop(pages);
    let pools = start_handshakes(&config, |messages| handshake::Start {
        clock,
        credentials: credentials.clone(),
        plaintext: config.plaintext,
        limiter: limiter.clone(),
        passwords: passwords.clone(),
        messages,
        workers: fleet.messages.clone(),
        supervisor: supervisor.clone(),
    })?;
    drop(fleet.messages);
    let acceptor = accept::Start {
        pools,
        open: fleet
            .outlets
            .iter()
            .map(|outlet| outlet.open.clone())
            .collect(),
        clock,
        clients_max: config.clients_max,
        proxies: config.proxies.clone(),
        pipes,
        limiter,
        gateways: GatewayWatch::start(config.access, &config.recorder),
        recorder: config.recorder.clone(),
        supervisor: supervisor.clone(),
    };
    let accepting = accept::start(listener, acceptor)?;
    let control = match &directory {
        Some(directory) => control::start(directory, events, &config.recorder, &supervisor)?,
        None => None,
    };
    let settings = Settings {
        clients_max: config.clients_max,
        rooms: config.rooms,
        server: Line::inert(concat!("chat-tui ", env!("CARGO_PKG_VERSION"))),
        record_texts: config.log_text,
        keep: config.keep,
        access: access::Settings {
            access: config.access,
            limits: config.limits,
            invite_key,
            owner_code: OwnerCode::from_bytes(random()?),
            new_owner: config.new_owner,
            keep_accounts_days: config.keep_accounts_days,
            room_makers: config.room_makers,
            rooms_max: rooms::ROOMS_MAX_DEFAULT,
        },
    };
    let owner_code = settings.access.owner_code;
    config
        .recorder
        .info(settings.access.access.sentence().to_owned());
    let hub = Hub::new(settings, epoch, &standings, known, &facts, clock.now());
    if !hub.has_owner() {
        config.recorder.info(format!(
            "this server has no owner yet: to become its owner, type in the chat: /owner {owner_code}"
        ));
    }
    let driver = Driver {
        hub,
        clock,
        appender,
        workers: fleet.outlets,
        answers: control.as_ref().map(Control::answers),
        supervisor,
        recorder: config.recorder,
    };
    // The requests end with the workers: a client that asks during the stop still has to be
    // answered.
    let (outcome, deadline) = driver.run(&mut requests, shutdown).await;
    let _ = timeout_at(deadline, accepting.end()).await;
    if let Some(control) = control {
        let _ = timeout_at(deadline, control.end()).await;
    }
    for ended in fleet.ended {
        // The sender was dropped. A worker that takes too long is left behind.
        let _ = timeout_at(deadline, ended).await;
    }
    let _ = timeout_at(deadline, closed.wait()).await;
    outcome
}

/// Starts the handshake pools, and returns their queues.
fn start_handshakes(
    config: &Config,
    start: impl Fn(mpsc::Receiver<HandshakeMsg>) -> handshake::Start,
) -> io::Result<Vec<mpsc::Sender<HandshakeMsg>>> {
    let pools = (0..config.handshake_threads.get()).map(|number| {
        let (message, messages) = mpsc::channel(handshake::ACCEPTED_MAX);
        handshake::start(number, start(messages))?;
        Ok(message)
    });
    pools.collect()
}

/// Random bytes for secrets.
fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// The queues to the workers. The first worker is on the hub's own thread.
struct Fleet {
    outlets: Vec<Outlet>,
    messages: Vec<mpsc::Sender<WorkerMsg>>,
    ended: Vec<oneshot::Receiver<()>>,
}

impl Fleet {
    fn start(
        config: &Config,
        clock: Clock,
        standings: &[(RoomId, Standing)],
        (events, pages): (&mpsc::Sender<Event>, &Pages),
    ) -> io::Result<Self> {
        let mut fleet = Self {
            outlets: Vec::new(),
            messages: Vec::new(),
            ended: Vec::new(),
        };
        for number in 0..config.workers.get() {
            let (delivery, deliveries) = mpsc::channel(worker::DELIVERIES_MAX);
            let (message, messages) = mpsc::channel(worker::ARRIVALS_MAX);
            let (ended, end) = oneshot::channel();
            let rooms = standings.iter();
            let rooms = rooms.map(|(room, standing)| (*room, standing.extent.head));
            let mut replica = Replica::new(rooms, config.replica);
            replica.zone = TimeZone::system();
            let start = worker::Start {
                replica,
                clock,
                events: events.clone(),
                pages: pages.clone(),
                deliveries,
                messages,
                ended,
                supervisor: config.supervisor.clone(),
            };
            if number == 0 {
                worker::start_here(start)?;
            } else {
                worker::start(number, start)?;
            }
            fleet.outlets.push(Outlet::new(delivery));
            fleet.messages.push(message);
            fleet.ended.push(end);
        }
        Ok(fleet)
    }
}

/// The hub's queue to one worker.
struct Outlet {
    deliveries: mpsc::Sender<Vec<Delivery>>,
    /// The number of its connections.
    open: LoadCounter,
    /// The deliveries that it gets next.
    next: Vec<Delivery>,
    /// Set to flush even to an idle worker: the publication erases messages, and no replica may
    /// keep them.
    urgent: bool,
}

impl Outlet {
    fn new(deliveries: mpsc::Sender<Vec<Delivery>>) -> Self {
        Self {
            deliveries,
            open: LoadCounter::default(),
            next: Vec::new(),
            urgent: false,
        }
    }

    /// Sends the pending deliveries; false if the worker is gone. A worker without connections is
    /// not woken for each message: it only has to catch up before its next client.
    async fn send(&mut self) -> bool {
        let may_wait = self.open.count() == 0 && self.next.len() < HELD_BACK_MAX && !self.urgent;
        if self.next.is_empty() || may_wait {
            return true;
        }
        self.urgent = false;
        let next = mem::take(&mut self.next);
        self.deliveries.send(next).await.is_ok()
    }
}

/// Runs the hub: takes events in, carries effects out.
struct Driver {
    hub: Hub,
    clock: Clock,
    appender: Appender,
    workers: Vec<Outlet>,
    /// The answers to the operator, if there is a control socket.
    answers: Option<mpsc::Sender<HubAnswer>>,
    supervisor: Supervisor,
    recorder: EventLog,
}

impl Driver {
    /// Runs until the hub has stopped. Returns the outcome, and the deadline for the workers to
    /// end.
    async fn run(
        mut self,
        requests: &mut mpsc::Receiver<Event>,
        shutdown: impl Future<Output = ()>,
    ) -> (Result<(), RunError>, Instant) {
        let mut shutdown = pin!(shutdown);
        let mut stopping = None;
        let mut events = Vec::with_capacity(EVENTS_A_TURN_MAX);
        let mut effects = Vec::new();
        let outcome = loop {
            let wake = self.hub.wakes_at().map(|at| self.clock.instant(at));
            let drained = stopping.map(|since: Instant| since + DRAIN_WITHIN);
            tokio::select! {
                outcome = self.appender.outcome() => {
                    self.hub.handle_event(self.clock.now(), Event::Committed(outcome));
                }
                _ = requests.recv_many(&mut events, EVENTS_A_TURN_MAX), if self.hub.has_room() => {
                    let now = self.clock.now();
                    for event in events.drain(..) {
                        self.hub.handle_event(now, event);
                    }
                }
                () = &mut shutdown, if stopping.is_none() => {
                    stopping = Some(Instant::now());
                    self.hub.handle_event(self.clock.now(), Event::Stop);
                }
                () = self.supervisor.fallen() => break self.broken_down(),
                // The hub's timer is due: the turn may have something to do.
                () = until(wake) => {}
                // The store does not answer: the result of the last batch stays unknown.
                () = until(drained) => {
                    let unknown = Event::Committed(Err(StoreError::InDoubt));
                    self.hub.handle_event(self.clock.now(), unknown);
                }
            }
            if let Some(outcome) = self.end_turn(&mut effects).await {
                break outcome;
            }
        };
        let deadline = stopping.unwrap_or_else(Instant::now) + STOP_WITHIN;
        for worker in &mut self.workers {
            worker.next.push(Delivery::Stop);
            let next = mem::take(&mut worker.next);
            let _ = timeout_at(deadline, worker.deliveries.send(next)).await;
        }
        (outcome, deadline)
    }

    /// Ends the turn, and the further ones that it causes at once. Returns the hub's outcome if it
    /// has ended.
    async fn end_turn(&mut self, effects: &mut Vec<Effect>) -> Option<Result<(), RunError>> {
        loop {
            self.hub.poll_effects(self.clock.now(), effects);
            let ended = self.carry_out(effects).await;
            match self.appender.outcome_at_once() {
                Some(outcome) if ended.is_none() => {
                    self.hub
                        .handle_event(self.clock.now(), Event::Committed(outcome));
                }
                _ => return ended,
            }
        }
    }

    /// The error of an essential part that is gone.
    fn broken_down(&self) -> Result<(), RunError> {
        // A worker that ended without a report.
        let unknown = || {
            let why = "it has ended".to_owned();
            self.supervisor.give_up("worker", why);
        };
        if self.supervisor.breakdown().is_none() {
            unknown();
        }
        let breakdown = self.supervisor.breakdown();
        breakdown.map_or(Ok(()), |breakdown| Err(RunError::Breakdown(breakdown)))
    }

    async fn carry_out(&mut self, effects: &mut Vec<Effect>) -> Option<Result<(), RunError>> {
        let mut finished = None;
        for effect in effects.drain(..) {
            match effect {
                Effect::Command {
                    connection,
                    command,
                } => {
                    let worker = &mut self.workers[connection.worker()];
                    worker.next.push(Delivery::Command {
                        connection,
                        command,
                    });
                }
                Effect::Publish(publication) => {
                    for worker in &mut self.workers {
                        let publication = Arc::clone(&publication);
                        worker.urgent |=
                            !publication.firsts.is_empty() || !publication.rewritten.is_empty();
                        worker.next.push(Delivery::Publish(publication));
                    }
                }
                Effect::Append(batch) => self.appender.append(batch).await,
                Effect::Erased { number, result } => {
                    // If it is full, nobody waits for the answer any more.
                    let answers = self.answers.as_ref();
                    let _ = answers.map(|answers| answers.try_send((number, result)));
                }
                Effect::Log(event) => self.recorder.report(event),
                Effect::Finished { failed: false } => finished = Some(Ok(())),
                Effect::Finished { failed: true } => finished = Some(Err(RunError::Store)),
            }
        }
        for worker in &mut self.workers {
            if !worker.send().await {
                return Some(self.broken_down());
            }
        }
        finished
    }
}
