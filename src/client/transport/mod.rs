//! The session's driver: one task that owns the connection, reads the clocks, draws the chance, and
//! knows nothing of what is said.
//!
//! Everything that waits, waits here, in one place: for a command, for the socket, for the one
//! timer, for room in the channel of events. A user who does not take events stops the reading,
//! so that the server's own bounds apply; the connection itself is kept up meanwhile.

mod dial;
mod open;
mod secure;
mod store_thread;
mod stream;
#[cfg(test)]
mod tests;

use std::{
    future::{Future, poll_fn},
    io,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, spawn_blocking},
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};

use self::{
    open::OpenConnection,
    store_thread::{FLUSH_WITHIN, StoreReply, StoreThread},
    stream::Transport,
};
use super::{
    Host,
    event::{Command, Event, Restored},
    session::{
        Closed, CommandLine, Config, Credentials, Distrust, KeyVerdict, Session, SocketAction,
        persist_types::PersistedState,
    },
    store,
    trust::{Policy, Trust},
};
use crate::{
    pipe,
    protocol::{ClientId, KeyTag, Nickname, RoomName, Token},
    text::Line,
    time::Now,
};

/// Events that may wait for the user before the driver stops reading.
const EVENTS_MAX: usize = 1024;
/// Commands that may wait for the driver.
const COMMANDS_MAX: usize = 256;
/// How often the two clocks are compared. A machine that wakes from sleep is noticed within this.
const CLOCKS_EVERY: Duration = Duration::from_secs(3);
/// How far the clock on the wall must have run ahead for that to have been a sleep.
const SLEEP_MIN: Duration = Duration::from_secs(5);

/// Where to go, and as whom.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The server's name or address.
    pub host: Host,
    /// The port.
    pub port: u16,
    /// The nickname wanted.
    pub nickname: Nickname,
    /// Which of the user's devices or sessions this is.
    pub client_id: ClientId,
    /// The rooms to be in; none: the lobby.
    pub enter: Vec<RoomName>,
    /// How it comes in.
    pub backlog: Backlog,
    /// Who comes in, and by what.
    pub credentials: Credentials,
    /// How the server is reached.
    pub reach: Reach,
    /// How the user started this, for the commands that are told.
    pub command_line: CommandLine,
    /// What the user should know first, each one plain sentence.
    pub notices: Vec<Line>,
    /// Whether it leaves this device's place to another process that has it, and takes it when that
    /// one has ended: see [`Config::yields`].
    pub yields: bool,
}

/// How a server is reached.
#[derive(Clone, Debug)]
pub enum Reach {
    /// Over the network, trusting so.
    Network(Policy),
    /// In this process. Host and port are for words only.
    Memory(pipe::Connector),
}

/// Which messages are wanted on coming in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backlog {
    /// Those missed since the last run, or, of many, the latest [`MISSED_MAX`]: the rest can be
    /// asked for. What was kept is shown before the network answers.
    Resume,
    /// So many of the latest, whatever earlier runs have seen; and then all, without a gap.
    Last(u64),
}

/// Messages missed that are delivered by themselves on coming in.
pub const MISSED_MAX: u64 = 500;

/// A running session.
#[derive(Debug)]
pub struct ClientHandle {
    /// What the user wants. Dropping it is the wish to leave.
    pub commands: mpsc::Sender<Command>,
    /// What happened; [`Event::Ended`] is the last. Dropping it ends the session at once.
    pub events: mpsc::Receiver<Event>,
    /// What earlier runs have left.
    pub restored: Restored,
    /// Whether there is a store: what is not sent when the session ends is sent by the next one.
    pub kept: bool,
    /// The user's own key, as he tells his devices apart; `None`: he comes in without.
    pub key: Option<KeyTag>,
    task: Option<JoinHandle<()>>,
}

impl ClientHandle {
    /// What a process waits for before it ends, once it has heard [`Event::Ended`] or takes no
    /// more events.
    pub fn flush(&mut self) -> Flush {
        Flush(self.task.take())
    }
}

/// The closing of a session's store, which goes on after [`Event::Ended`]: nobody waits for it to
/// read the farewell.
#[derive(Debug)]
pub struct Flush(Option<JoinHandle<()>>);

impl Flush {
    /// Waits for it, within a time: what was saved is safe either way.
    pub async fn wait(self) {
        if let Some(task) = self.0 {
            let _ = timeout(FLUSH_WITHIN, task).await;
        }
    }
}

/// The store of a session.
#[derive(Debug)]
pub enum StoreChoice {
    /// This one.
    Open(Box<store::OpenedStore>),
    /// None, because the user wants none.
    Off,
    /// None, because it can't be had.
    Unavailable(store::OpenError),
}

/// Starts a session in a task of its own on the current runtime.
///
/// # Errors
/// If the system gives no randomness.
pub fn spawn(config: ClientConfig, store: StoreChoice) -> io::Result<ClientHandle> {
    let mut secret = [0; 32];
    let mut seed = [0; 8];
    getrandom::fill(&mut seed)?;
    let mut kept = PersistedState::default();
    let mut restored = Restored::default();
    let mut notices = config.notices;
    if let StoreChoice::Unavailable(why) = &store {
        let notice = format!(
            "Nothing is kept on this machine in this run, and you come in as a new member: {why}"
        );
        notices.push(Line::inert(&notice));
    }
    let (token, store) = if let StoreChoice::Open(opened) = store {
        kept = opened.kept;
        restored.user = kept
            .user
            .or_else(|| Some(config.credentials.likely_user(&opened.token)));
        restored.rooms = opened.rooms;
        restored.typed = opened.typed;
        notices.extend(opened.notices);
        (opened.token, Some(opened.store))
    } else {
        getrandom::fill(&mut secret)?;
        (Token::from_bytes(secret), None)
    };
    let key = config.credentials.identity.as_ref();
    let key = key.map(|identity| identity.public().tag());
    let is_kept = store.is_some();
    let (last, most) = match config.backlog {
        Backlog::Resume => (None, Some(MISSED_MAX)),
        Backlog::Last(last) => {
            kept.rooms.clear();
            (Some(last), None)
        }
    };
    let (policy, connector) = match config.reach {
        Reach::Network(policy) => (policy, None),
        Reach::Memory(connector) => (Policy::default(), Some(connector)),
    };
    let trust = Trust::new(&config.host, config.port, policy);
    let config = Config {
        host: config.host,
        port: config.port,
        nickname: config.nickname,
        client_id: config.client_id,
        token,
        enter: config.enter,
        last,
        most,
        credentials: config.credentials,
        command_line: config.command_line,
        yields: config.yields,
        zone: TimeZone::system(),
        seed: u64::from_le_bytes(seed),
    };
    let clocks = Clocks::new();
    let host = config.host.clone();
    let port = config.port;
    let (session, outbox) = Session::resume(config, kept, clocks.now());
    restored.outbox = outbox;
    let (commands, command_queue) = mpsc::channel(COMMANDS_MAX);
    let (event_queue, events) = mpsc::channel(EVENTS_MAX);
    let driver = Driver {
        host,
        port,
        trust: Arc::new(trust),
        connector,
        understood: true,
        clocks,
        session,
        store_thread: StoreThread::start(store),
        events: event_queue,
        notices,
        held: None,
        ended: false,
        dialling: None,
        pinning: None,
        transport: None,
        out: Vec::new(),
        written: 0,
    };
    let task = tokio::spawn(driver.run(command_queue));
    Ok(ClientHandle {
        commands,
        events,
        restored,
        kept: is_kept,
        key,
        task: Some(task),
    })
}

type Pinning = JoinHandle<Result<Option<Line>, Distrust>>;
type Dialling = Pin<Box<dyn Future<Output = Result<OpenConnection, Closed>> + Send>>;

struct Driver {
    host: Host,
    port: u16,
    trust: Arc<Trust>,
    /// Makes the connections to a server in this process.
    connector: Option<pipe::Connector>,
    /// Whether on the last connection that was opened we were let in, or asked for another name.
    understood: bool,
    clocks: Clocks,
    session: Session,
    store_thread: StoreThread,
    events: mpsc::Sender<Event>,
    /// What is to be told before anything else.
    notices: Vec<Line>,
    /// An event that found no room.
    held: Option<Event>,
    ended: bool,
    dialling: Option<Dialling>,
    /// The server's key, while it is written down.
    pinning: Option<Pinning>,
    transport: Option<Box<dyn Transport>>,
    /// What is being written; `out[..written]` is.
    out: Vec<u8>,
    written: usize,
}

/// What the driver woke up for.
enum WakeReason {
    Command(Option<Command>),
    EventsRoom,
    Dialled(Result<OpenConnection, Closed>),
    Pinned(Result<Option<Line>, Distrust>),
    Socket,
    Time,
    Store(StoreReply),
}

impl Driver {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut tick = interval(CLOCKS_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut commanded = true;
        loop {
            self.act();
            if self.pass_on().is_err() || (self.ended && self.held.is_none()) {
                break;
            }
            let deadline = self.session.deadline().map(|at| self.clocks.start + at);
            let room = self.held.is_none();
            let patient = room || self.session.events_waiting() < EVENTS_MAX;
            let woke = tokio::select! {
                command = commands.recv(), if commanded && patient => WakeReason::Command(command),
                permit = self.events.reserve(), if !room => match permit {
                    Ok(_) => WakeReason::EventsRoom,
                    Err(_) => break,
                },
                dialled = dialled(self.dialling.as_mut()) => WakeReason::Dialled(dialled),
                pinned = pinned(self.pinning.as_mut()) => WakeReason::Pinned(pinned),
                () = ready(self.transport.as_deref(), room, self.written < self.out.len()) => WakeReason::Socket,
                () = until(deadline) => WakeReason::Time,
                _ = tick.tick() => WakeReason::Time,
                reply = self.store_thread.recv() => WakeReason::Store(reply),
            };
            if self.clocks.slept() {
                self.session.handle_woke(self.clocks.now());
            }
            match woke {
                WakeReason::Command(Some(command)) => {
                    self.session.handle_command(self.clocks.now(), command);
                }
                WakeReason::Command(None) => {
                    commanded = false;
                    self.session
                        .handle_command(self.clocks.now(), Command::Leave);
                }
                WakeReason::Dialled(dialled) => self.dialled(dialled),
                WakeReason::Pinned(pinned) => self.pinned(pinned),
                WakeReason::Socket => self.move_bytes(),
                WakeReason::Time => self.time(),
                WakeReason::Store(reply) => self.handle_store_reply(reply),
                WakeReason::EventsRoom => {}
            }
        }
        if let Some(pinning) = self.pinning {
            let _ = pinning.await;
        }
        self.store_thread.close().await;
    }

    fn handle_store_reply(&mut self, reply: StoreReply) {
        let now = self.clocks.now();
        match reply {
            StoreReply::Saved(saved) => self.session.handle_saved(now, saved),
            StoreReply::CacheResult(result) => self.session.handle_cache_result(now, result),
            StoreReply::News => self.session.handle_store_news(),
            StoreReply::Notice(notice) => self.notices.push(notice),
        }
    }

    /// Has saved and looked up what the session wants.
    fn run_store_requests(&mut self) {
        let now = self.clocks.now();
        while let Some(save) = self.session.poll_save(now) {
            if let Some(saved) = self.store_thread.save(save) {
                self.session.handle_saved(now, saved);
            }
        }
        while let Some(query) = self.session.poll_cache_query() {
            if let Some(result) = self.store_thread.query(query) {
                self.session.handle_cache_result(now, result);
            }
        }
    }

    /// Does what the session wants done.
    fn act(&mut self) {
        self.run_store_requests();
        match self.session.poll_key_verdict() {
            Some(KeyVerdict::Keep) if self.trust.is_at_first_sight() => {
                let trust = Arc::clone(&self.trust);
                self.pinning = Some(spawn_blocking(move || trust.let_in()));
            }
            Some(KeyVerdict::Doubt) => self.trust.doubt(),
            Some(KeyVerdict::Keep) | None => {}
        }
        while let Some(action) = self.session.poll_action() {
            self.dialling = None;
            self.transport = None;
            self.out.clear();
            self.written = 0;
            if action == SocketAction::Connect {
                if self
                    .session
                    .should_probe_again()
                    .unwrap_or(!self.understood)
                {
                    self.trust.ask_again();
                }
                let (host, trust) = (self.host.clone(), Arc::clone(&self.trust));
                self.dialling = Some(match &self.connector {
                    None => Box::pin(open::open(host, self.port, trust)),
                    Some(connector) => Box::pin(open::open_pipe(connector.clone())),
                });
            }
        }
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
            self.session.poll_write(self.clocks.now(), &mut self.out);
        }
    }

    /// Passes events on while there is room. `Err`: nobody takes them any more.
    fn pass_on(&mut self) -> Result<(), ()> {
        while let Some(event) = self.held.take().or_else(|| self.next_event()) {
            let last = matches!(event, Event::Ended(_));
            match self.events.try_send(event) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(event)) => {
                    self.held = Some(event);
                    self.ended |= last;
                    return Ok(());
                }
                Err(mpsc::error::TrySendError::Closed(_)) => return Err(()),
            }
            self.ended |= last;
        }
        Ok(())
    }

    fn next_event(&mut self) -> Option<Event> {
        if !self.notices.is_empty() {
            return Some(Event::Notice(self.notices.remove(0)));
        }
        let event = self.session.poll_event();
        self.understood |= matches!(
            event,
            Some(Event::Entered(_) | Event::NicknameRefused { .. })
        );
        event
    }

    fn dialled(&mut self, dialled: Result<OpenConnection, Closed>) {
        self.dialling = None;
        let now = self.clocks.now();
        match dialled {
            Ok(opened) => {
                self.understood = false;
                self.transport = Some(opened.transport);
                self.notices.extend(opened.notice);
                self.session.handle_opened(now, opened.channel);
            }
            Err(why) => self.session.handle_closed(now, &why),
        }
    }

    /// The server's key is written down, unless another process has met another one meanwhile.
    fn pinned(&mut self, pinned: Result<Option<Line>, Distrust>) {
        self.pinning = None;
        match pinned {
            Ok(notice) => self.notices.extend(notice),
            Err(distrust) => self.closed(self.clocks.now(), &Closed::Distrusted(distrust)),
        }
    }

    fn time(&mut self) {
        let now = self.clocks.now();
        if self.held.is_some() {
            self.session.handle_unread(now);
        } else {
            // What has come while the process stood still was heard, not missed.
            self.read(now);
        }
        self.session.handle_time(now);
    }

    fn move_bytes(&mut self) {
        let now = self.clocks.now();
        self.write(now);
        if self.held.is_none() {
            self.read(now);
        }
    }

    fn write(&mut self, now: Now) {
        let Some(transport) = &mut self.transport else {
            return;
        };
        if self.written == self.out.len() && !transport.holds_output() {
            return;
        }
        match transport.try_write(&self.out[self.written..]) {
            Ok(count) => self.written += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // What the server said last may still lie here to be read: why it hung up, say.
            Err(_) => {
                self.read(now);
                self.closed(now, &Closed::Lost);
            }
        }
    }

    fn read(&mut self, now: Now) {
        let Some(transport) = &mut self.transport else {
            return;
        };
        let space = self.session.space();
        if space.is_empty() {
            return;
        }
        match transport.try_read(space) {
            Ok(0) => self.closed(now, &Closed::Eof),
            Ok(count) => self.session.handle_filled(now, count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => self.closed(now, &dial::lost(&error)),
        }
    }

    fn closed(&mut self, now: Now, why: &Closed) {
        if self.transport.take().is_some() {
            self.session.handle_closed(now, why);
        }
    }
}

async fn dialled(dialling: Option<&mut Dialling>) -> Result<OpenConnection, Closed> {
    match dialling {
        Some(dialling) => dialling.await,
        None => std::future::pending().await,
    }
}

async fn pinned(pinning: Option<&mut Pinning>) -> Result<Option<Line>, Distrust> {
    match pinning {
        // It has nothing that could break down.
        Some(pinning) => pinning.await.unwrap_or(Ok(None)),
        None => std::future::pending().await,
    }
}

async fn ready(transport: Option<&dyn Transport>, read: bool, write: bool) {
    match transport {
        Some(transport) => poll_fn(|cx| transport.poll_ready(cx, read, write)).await,
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The clock that only goes forward, and the one on the wall. The first stands still while the
/// machine sleeps; the difference tells.
struct Clocks {
    start: Instant,
    compared: (Instant, Timestamp),
}

impl Clocks {
    fn new() -> Self {
        let start = Instant::now();
        Self {
            start,
            compared: (start, Timestamp::now()),
        }
    }

    fn now(&self) -> Now {
        Now {
            mono: self.start.elapsed(),
            wall: Timestamp::now(),
        }
    }

    /// Whether the machine slept since the last call. A clock that was set forward looks the same
    /// and costs one `ping`.
    fn slept(&mut self) -> bool {
        let (instant, wall) = (Instant::now(), Timestamp::now());
        let forward = instant.saturating_duration_since(self.compared.0);
        let on_the_wall = wall.duration_since(self.compared.1);
        self.compared = (instant, wall);
        Duration::try_from(on_the_wall).is_ok_and(|wall| wall > forward + SLEEP_MIN)
    }
}
