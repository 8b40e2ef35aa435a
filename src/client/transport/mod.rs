//! The session's driver: one task that owns the connection, reads the clocks and makes random
//! numbers, but knows nothing of the protocol.
//!
//! All waiting is here, in one place: for a command, the socket, the timer, or room in the channel
//! of events. If the user interface does not take events, the driver stops reading, so that the
//! server's limits apply; the connection is kept alive meanwhile.

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
        persist_types::PersistedState, stored_read_state,
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

/// Events that may wait before the driver stops reading.
const EVENTS_MAX: usize = 1024;
/// Commands that may wait for the driver.
const COMMANDS_MAX: usize = 256;
/// How often the two clocks are compared. A machine that wakes from sleep is noticed within this.
const CLOCKS_EVERY: Duration = Duration::from_secs(3);
/// By how much the wall clock must have run ahead to count as a sleep.
const SLEEP_MIN: Duration = Duration::from_secs(5);

/// The configuration of a client: the server, the user, and how to connect.
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
    /// The rooms to join; none: the lobby.
    pub enter: Vec<RoomName>,
    /// The messages to get on joining.
    pub backlog: Backlog,
    /// The user's key and credentials.
    pub credentials: Credentials,
    /// How the server is reached.
    pub reach: Reach,
    /// How the user started this program, for suggested commands.
    pub command_line: CommandLine,
    /// Notices to show first, each one plain sentence.
    pub notices: Vec<Line>,
    /// Whether to yield this device to another process that has it: see [`Config::yields`].
    pub yields: bool,
}

/// How a server is reached.
#[derive(Clone, Debug)]
pub enum Reach {
    /// Over the network, with this trust policy.
    Network(Policy),
    /// In this process. Host and port are only for texts.
    Memory(pipe::Connector),
}

/// The messages to get on joining.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backlog {
    /// Those missed since the last run, or, if many, the latest [`MISSED_MAX`]; the rest can be
    /// requested. Stored messages are shown before the server answers.
    Resume,
    /// This many of the latest, even if earlier runs had them; and then all new ones, without a
    /// gap.
    Last(u64),
}

/// Missed messages that are delivered on joining.
pub const MISSED_MAX: u64 = 500;

/// A running session.
#[derive(Debug)]
pub struct ClientHandle {
    /// Commands from the user. Dropping it makes the session leave.
    pub commands: mpsc::Sender<Command>,
    /// Events; [`Event::Ended`] is the last. Dropping it ends the session at once.
    pub events: mpsc::Receiver<Event>,
    /// State stored by earlier runs.
    pub restored: Restored,
    /// Whether there is a store: the next session sends what this one did not.
    pub kept: bool,
    /// The tag of the user's key, which tells their devices apart; `None`: no key.
    pub key: Option<KeyTag>,
    task: Option<JoinHandle<()>>,
}

impl ClientHandle {
    /// Returns the wait for the store's closing, for use before the process exits, after
    /// [`Event::Ended`] or when no more events are taken.
    pub fn flush(&mut self) -> Flush {
        Flush(self.task.take())
    }
}

/// The closing of a session's store, which continues after [`Event::Ended`], so that the summary
/// need not wait for it.
#[derive(Debug)]
pub struct Flush(Option<JoinHandle<()>>);

impl Flush {
    /// Waits, within a time limit: saved data is safe either way.
    pub async fn wait(self) {
        if let Some(task) = self.0 {
            let _ = timeout(FLUSH_WITHIN, task).await;
        }
    }
}

/// The store of a session.
#[derive(Debug)]
pub enum StoreChoice {
    /// This store.
    Open(Box<store::OpenedStore>),
    /// None, because the user wants none.
    Off,
    /// None, because it can't be opened.
    Unavailable(store::OpenError),
}

/// Starts a session in a task of its own on the current runtime.
///
/// # Errors
/// If the system provides no randomness.
pub fn spawn(config: ClientConfig, store: StoreChoice) -> io::Result<ClientHandle> {
    let mut secret = [0; 32];
    let mut seed = [0; 8];
    getrandom::fill(&mut seed)?;
    let mut kept = PersistedState::default();
    let mut restored = Restored::default();
    let mut notices = config.notices;
    if let StoreChoice::Unavailable(why) = &store {
        let notice = format!(
            "Nothing is saved on this machine in this run, and you join as a new member: {why}"
        );
        notices.push(Line::inert(&notice));
    }
    let (token, store) = if let StoreChoice::Open(opened) = store {
        kept = opened.kept;
        restored.user = kept
            .user
            .or_else(|| Some(config.credentials.likely_user(&opened.token)));
        restored.rooms = opened.rooms;
        if let Some(user) = restored.user {
            for room in &mut restored.rooms {
                let kept = kept.rooms.iter();
                let mut kept = kept.filter(|kept| kept.position.room == room.room);
                if let Some(kept) = kept.next() {
                    room.read = stored_read_state(kept, user);
                }
            }
        }
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
    /// Whether the last opened connection joined, or was asked for another nickname.
    understood: bool,
    clocks: Clocks,
    session: Session,
    store_thread: StoreThread,
    events: mpsc::Sender<Event>,
    /// Notices to send before any other event.
    notices: Vec<Line>,
    /// An event that found no room in the channel.
    held: Option<Event>,
    ended: bool,
    dialling: Option<Dialling>,
    /// The task that stores the server's key.
    pinning: Option<Pinning>,
    transport: Option<Box<dyn Transport>>,
    /// Bytes to write; `out[..written]` are written.
    out: Vec<u8>,
    written: usize,
}

/// Why the driver woke up.
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
            StoreReply::CacheResult(id, result) => {
                self.session.handle_cache_result(now, id, result);
            }
            StoreReply::News => self.session.handle_store_news(),
            StoreReply::Notice(notice) => self.notices.push(notice),
        }
    }

    /// Carries out the session's saves and queries.
    fn run_store_requests(&mut self) {
        let now = self.clocks.now();
        while let Some(save) = self.session.poll_save(now) {
            if let Some(saved) = self.store_thread.save(save) {
                self.session.handle_saved(now, saved);
            }
        }
        while let Some((id, query)) = self.session.poll_cache_query() {
            if let Some(result) = self.store_thread.query(id, query) {
                self.session.handle_cache_result(now, id, result);
            }
        }
    }

    /// Carries out the session's actions.
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

    /// Sends events while there is room. `Err`: the receiver was dropped.
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

    /// Handles the result of storing the server's key, which fails if another process has stored
    /// another one meanwhile.
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
            // Bytes that came while the process was stopped were heard, not missed.
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
            // The server's last frames, such as its reason for closing, may still be unread.
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
        // The task does not panic.
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

/// The monotonic clock and the wall clock. The first stops while the machine sleeps; the difference
/// reveals a sleep.
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
