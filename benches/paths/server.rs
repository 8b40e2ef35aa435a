//! The server without its sockets and its disk: the hub, the log in memory, the subscribers'
//! output.

use std::{hint::black_box, mem, net::SocketAddr, sync::Arc, time::Duration};

use chat_tui::{
    protocol::{
        ClientFrame, ClientId, Content, DeviceId, Epoch, Fingerprint, InviteKey, Mentions,
        MessageId, Nickname, OwnerCode, Role, RoomId, RoomName, Token, UserId,
        frame::{self, Capabilities, Departure, Member, Submission},
    },
    server::{
        core::{
            ConnectionId, access,
            client::Channel,
            event::{ConnectionCommand, Effect, Event, JoinRequest, Publication, Request},
            hub::{Hub, Keep, Settings},
            rate_limit::Limits,
            replica::{Replica, ReplicaLimits},
            rooms::RoomSettings,
            subscriber::{Subscriber, Turn},
        },
        front::Json,
        log::{Batch, KnownTimes, LogReader, LogWriter, MemoryLimits, MemoryStore, Operation},
    },
    text::{Body, Line},
    time::Now,
};
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::{Path, TEXT};

/// Members that send at the same time, and so share a commit.
const SENDERS: u64 = 64;
const READERS: u64 = 100;
/// Messages that a returning client has missed.
const MISSED: u64 = 1_000;
const MEMBERS: u64 = 1_000;
/// Bytes that the server fetches from the log at once.
const PAGE_BYTES: usize = 64 * 1024;

fn at(mono: Duration) -> Now {
    let seconds = i64::try_from(mono.as_secs()).unwrap();
    Now {
        wall: Timestamp::UNIX_EPOCH + seconds.seconds(),
        mono,
    }
}

fn client_id() -> ClientId {
    ClientId::parse("1").unwrap()
}

/// The token of a user by number.
fn token(number: u64) -> Token {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Token::from_bytes(bytes)
}

fn store() -> MemoryStore {
    let epoch = Epoch::from_bytes([1; 8]);
    MemoryStore::new(epoch, MemoryLimits::default())
}

fn replica() -> Replica {
    Replica::new([(RoomId::LOBBY, 0)], ReplicaLimits::default())
}

/// Returns the next message of one device, as a batch for the store.
fn said(counter: u64, sender: &Arc<Member>) -> Batch {
    let id = MessageId {
        device: DeviceId::from_bytes([1; 12]),
        counter,
    };
    Batch {
        now: Timestamp::UNIX_EPOCH,
        correction: SignedDuration::ZERO,
        operations: vec![Operation::Append {
            id,
            settled: counter - 1,
            room: RoomId::LOBBY,
            sender: Arc::clone(sender),
            content: Content::Text(Body::inert(TEXT)),
            mentions: Mentions::NONE,
            moderates: false,
        }],
    }
}

fn alice() -> Arc<Member> {
    Arc::new(Member {
        user: UserId::from_bytes([2; 12]),
        nickname: Nickname::parse("alice").unwrap(),
        since: Timestamp::UNIX_EPOCH,
        role: Role::Member,
    })
}

/// Appends a batch, and returns its publication.
fn append(store: &mut MemoryStore, batch: Batch) -> Publication {
    let committed = store.append(batch).unwrap();
    Publication {
        runs: committed.runs,
        ..Publication::default()
    }
}

/// Writes all available output of a subscriber, and returns its size in bytes.
fn read(peer: &mut Subscriber, replica: &mut Replica, store: Option<&mut MemoryStore>) -> usize {
    let mut store = store;
    let mut bytes = 0;
    loop {
        let count = match peer.poll_turn(replica) {
            Turn::Write(gather) => gather.slices().iter().map(|slice| slice.len()).sum(),
            Turn::Fetch { room, from } => {
                let store = store.as_mut().expect("the tail holds everything");
                let page = store.read(room, from, PAGE_BYTES).unwrap();
                assert!(peer.handle_page(replica, room, page));
                continue;
            }
            Turn::Idle | Turn::Wait(_) | Turn::Done => return bytes,
        };
        bytes += count;
        peer.handle_written(replica, count);
    }
}

/// Returns a subscriber of the lobby that reads from this message on.
fn reader(replica: &mut Replica, message: u64) -> Subscriber {
    let mut peer = Subscriber::new();
    peer.attach(replica, &[(RoomId::LOBBY, message)], &[RoomId::LOBBY]);
    peer
}

/// A hub, the log in memory, and one replica.
struct World {
    now: Duration,
    hub: Hub,
    store: MemoryStore,
    replica: Replica,
    effects: Vec<Effect>,
    /// Where each admitted connection begins to read.
    admitted: Vec<Vec<(RoomId, u64)>>,
}

impl World {
    fn new() -> Self {
        let store = store();
        let settings = Settings {
            clients_max: usize::MAX,
            rooms: vec![RoomSettings {
                name: RoomName::lobby(),
                topic: None,
            }],
            server: Line::inert("bench"),
            record_texts: false,
            keep: Keep::default(),
            access: access::Settings {
                access: access::Access::Open,
                limits: Limits::NONE,
                invite_key: InviteKey::from_bytes([3; 32]),
                owner_code: OwnerCode::from_bytes([4; 10]),
                new_owner: false,
                keep_accounts_days: 365,
                room_makers: access::RoomMakers::default(),
                rooms_max: chat_tui::server::core::rooms::ROOMS_MAX_DEFAULT,
            },
        };
        let now = Duration::from_secs(100);
        let hub = Hub::new(
            settings,
            store.epoch(),
            &store.standings(),
            KnownTimes::default(),
            &[],
            at(now),
        );
        Self {
            now,
            hub,
            store,
            replica: replica(),
            effects: Vec::new(),
            admitted: Vec::new(),
        }
    }

    /// Returns a world with this many members.
    fn with(members: u64) -> Self {
        let mut world = Self::new();
        for number in 1..=members {
            world.handle(enters(number));
        }
        world.turn();
        assert_eq!(world.hub.present(), usize::try_from(members).unwrap());
        world
    }

    fn handle(&mut self, event: Event) {
        self.hub.handle_event(at(self.now), event);
    }

    /// Runs the hub until it is idle, and returns the number of connections that it notified.
    fn turn(&mut self) -> u64 {
        let mut orders = 0;
        loop {
            self.hub.poll_effects(at(self.now), &mut self.effects);
            if self.effects.is_empty() {
                return orders;
            }
            for effect in mem::take(&mut self.effects) {
                match effect {
                    Effect::Append(batch) => {
                        let outcome = self.store.append(batch);
                        self.hub
                            .handle_event(at(self.now), Event::Committed(outcome));
                    }
                    Effect::Publish(publication) => self.replica.publish(&publication),
                    Effect::Command { command, .. } => {
                        orders += 1;
                        if let ConnectionCommand::Admit(admission) = command {
                            self.admitted.push(admission.rooms);
                        }
                    }
                    Effect::Log(record) => drop(black_box(record)),
                    Effect::Erased { .. } | Effect::Finished { .. } => {
                        unreachable!("there is no operator")
                    }
                }
            }
        }
    }
}

/// Returns the event of a member's join.
fn enters(number: u64) -> Event {
    let address = SocketAddr::from(([192, 0, 2, 1], 7));
    let own = SocketAddr::from(([192, 0, 2, 2], 10500));
    let entry = JoinRequest {
        join: Box::new(frame::Join {
            can: Capabilities::ALL,
            protocol: Some(2),
            nickname: Nickname::parse(&format!("member{number}")).unwrap(),
            keep_nickname: false,
            client_id: client_id(),
            token: Some(token(number)),
            key: None,
            invite: None,
            password: None,
            code: None,
            next: Some(1),
            epoch: None,
            enter: Vec::new(),
            rooms: Vec::new(),
            last: None,
            most: None,
            agent: None,
        }),
        token: token(number),
        key: None,
        password: false,
        channel: Channel::plain(address, Fingerprint::from_bytes([7; 32]), own),
        abilities: &Json::ABILITIES,
        own_device: false,
    };
    Event::Requests {
        connection: ConnectionId::new(0, number),
        requests: vec![Request::Join(Box::new(entry))],
    }
}

/// Appends one message to the log in memory, in a commit of its own.
pub(crate) struct Append {
    store: MemoryStore,
    sender: Arc<Member>,
    next: u64,
    batches: Vec<Batch>,
}

impl Path for Append {
    const NAME: &'static str = "MemoryStore::append, one by one";
    const UNIT: &'static str = "message";
    const UNITS: u64 = 64;

    fn new() -> Self {
        Self {
            store: store(),
            sender: alice(),
            next: 1,
            batches: Vec::new(),
        }
    }

    fn prepare(&mut self) {
        let counters = self.next..self.next + Self::UNITS;
        self.next = counters.end;
        self.batches = counters
            .map(|counter| said(counter, &self.sender))
            .collect();
    }

    fn run(&mut self) {
        for batch in self.batches.drain(..) {
            black_box(self.store.append(batch)).unwrap();
        }
    }
}

/// Takes messages through the hub: accepted, committed together, acknowledged, published.
pub(crate) struct Decide {
    world: World,
    next: u64,
    events: Vec<Event>,
}

impl Path for Decide {
    const NAME: &'static str = "hub and log, 64 in a commit";
    const UNIT: &'static str = "message";
    const UNITS: u64 = SENDERS;

    fn new() -> Self {
        Self {
            world: World::with(SENDERS),
            next: 1,
            events: Vec::new(),
        }
    }

    fn prepare(&mut self) {
        let counter = self.next;
        self.next += 1;
        let event = |number| Event::Requests {
            connection: ConnectionId::new(0, number),
            requests: vec![Request::Frame(ClientFrame::Submit(Submission {
                room: RoomId::LOBBY,
                id: Some(MessageId {
                    device: token(number).device(&client_id()),
                    counter,
                }),
                content: Ok(Content::Text(Body::inert(TEXT))),
            }))],
        };
        self.events = (1..=SENDERS).map(event).collect();
    }

    fn run(&mut self) {
        for event in self.events.drain(..) {
            self.world.handle(event);
        }
        assert_eq!(self.world.turn(), SENDERS);
    }
}

/// Writes one message for all readers of the room, up to the bytes for a socket.
pub(crate) struct FanOut {
    store: MemoryStore,
    sender: Arc<Member>,
    replica: Replica,
    peers: Vec<Subscriber>,
    next: u64,
    news: Publication,
}

impl Path for FanOut {
    const NAME: &'static str = "fan-out without sockets";
    const UNIT: &'static str = "message for 100 readers";
    const UNITS: u64 = 1;

    fn new() -> Self {
        let mut replica = replica();
        let mut peers: Vec<_> = (0..READERS).map(|_| reader(&mut replica, 1)).collect();
        for peer in &mut peers {
            read(peer, &mut replica, None);
        }
        Self {
            store: store(),
            sender: alice(),
            replica,
            peers,
            next: 1,
            news: Publication::default(),
        }
    }

    fn prepare(&mut self) {
        self.news = append(&mut self.store, said(self.next, &self.sender));
        self.next += 1;
    }

    fn run(&mut self) {
        self.replica.publish(&self.news);
        let lobby = self.replica.slot(RoomId::LOBBY);
        let first = self.news.runs[0].segment.first();
        for peer in &mut self.peers {
            peer.wake(lobby, first);
            assert!(read(peer, &mut self.replica, None) > TEXT.len());
        }
    }
}

/// Returns a room with many messages, each in a commit of its own.
fn talked() -> (MemoryStore, Vec<Publication>) {
    let (mut store, sender) = (store(), alice());
    let news = (1..=MISSED)
        .map(|counter| append(&mut store, said(counter, &sender)))
        .collect();
    (store, news)
}

/// A client resumes, and the replica still holds its missed messages.
pub(crate) struct ResumeFromTail {
    replica: Replica,
    peer: Subscriber,
}

impl Path for ResumeFromTail {
    const NAME: &'static str = "resume from the replica, without sockets";
    const UNIT: &'static str = "message of 1,000";
    const UNITS: u64 = MISSED;

    fn new() -> Self {
        let mut replica = replica();
        for news in talked().1 {
            replica.publish(&news);
        }
        Self {
            replica,
            peer: Subscriber::new(),
        }
    }

    fn prepare(&mut self) {
        self.peer = reader(&mut self.replica, 1);
    }

    fn run(&mut self) {
        let bytes = read(&mut self.peer, &mut self.replica, None);
        assert!(bytes > TEXT.len() * usize::try_from(MISSED).unwrap());
    }
}

/// A client resumes, and its missed messages come from the log.
pub(crate) struct ResumeFromLog {
    store: MemoryStore,
    replica: Replica,
    peer: Subscriber,
}

impl Path for ResumeFromLog {
    const NAME: &'static str = "resume from the log in memory, without sockets";
    const UNIT: &'static str = "message of 1,000";
    const UNITS: u64 = MISSED;

    fn new() -> Self {
        Self {
            store: talked().0,
            replica: Replica::new([(RoomId::LOBBY, MISSED)], ReplicaLimits::default()),
            peer: Subscriber::new(),
        }
    }

    fn prepare(&mut self) {
        self.peer = reader(&mut self.replica, 1);
    }

    fn run(&mut self) {
        let bytes = read(&mut self.peer, &mut self.replica, Some(&mut self.store));
        assert!(bytes > TEXT.len() * usize::try_from(MISSED).unwrap());
    }
}

/// A client joins a large room, and reads the member list.
pub(crate) struct Join {
    world: World,
    /// Joins so far.
    came: u64,
    event: Option<Event>,
}

impl Path for Join {
    const NAME: &'static str = "join, with the member list";
    const UNIT: &'static str = "join of 1,000 members";
    const UNITS: u64 = 1;

    fn new() -> Self {
        Self {
            world: World::with(MEMBERS - 1),
            came: MEMBERS - 1,
            event: None,
        }
    }

    /// Lets the former member leave, and so much time pass that no page of the list is cached.
    fn prepare(&mut self) {
        if self.came >= MEMBERS {
            self.world.handle(Event::Closed {
                connection: ConnectionId::new(0, self.came),
                reason: Departure::Lost,
            });
            self.world.turn();
        }
        self.world.now += Duration::from_secs(10);
        self.world.admitted.clear();
        self.came += 1;
        self.event = Some(enters(self.came));
    }

    fn run(&mut self) {
        self.world.handle(self.event.take().unwrap());
        self.world.turn();
        let mut peer = Subscriber::new();
        peer.attach(
            &mut self.world.replica,
            &self.world.admitted.pop().expect("let in"),
            &[RoomId::LOBBY],
        );
        let bytes = read(&mut peer, &mut self.world.replica, None);
        assert!(bytes > usize::try_from(MEMBERS).unwrap() * 50);
    }
}
