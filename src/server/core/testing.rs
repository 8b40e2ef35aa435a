//! A test world: the core with clients, a store in memory and a clock, for the tests of its parts.
//!
//! Clients have one-word names, which are also their nicknames unless a join says otherwise. The
//! frames that they get are shown in a short form, one string each.

use std::{collections::BTreeMap, mem, net::SocketAddr, time::Duration};

use super::{
    ConnectionId, access,
    client::Channel,
    endpoint::{PAUSE_MAX, Pulse},
    event::{Effect, EraseError, EraseRequest, Event},
    hub::{Hub, Keep, Settings},
    log_event::LogEvent,
    rate_limit::Limits,
    replica::{Replica, ReplicaLimits},
    rooms::RoomSettings,
    subscriber::Turn,
};
use crate::{
    protocol::{
        Binding, ClientFrame, ClientId, Content, DeviceId, Entry, EntryKind, Epoch, Fingerprint,
        Identity, InviteKey, MessageId, Nickname, OwnerCode, RoomId, RoomName, ServerFrame, Token,
        codec::Decoder,
        frame::{Change, Departure, Join, Outcome, Submission},
        wire::{ERROR_CODES, encode_client, parse_server},
    },
    server::{
        front::{AnyDialect, Endpoint},
        log::{
            Batch, KnownTimes, LogReader, LogWriter, MemoryLimits, MemoryStore, Standing,
            StateRecord, StateStore, StoreError,
        },
        network::ClientAddress,
    },
    text::{Body, Line},
    time::Now,
};

/// Bytes of a page of the store: a few messages.
const PAGE_BYTES_MAX: usize = 600;

pub(in crate::server) struct Client {
    id: ConnectionId,
    pub(in crate::server) endpoint: Endpoint,
    decoder: Decoder,
    /// Bytes that the client accepts; `usize::MAX`: any number.
    pub(in crate::server) window: usize,
    pub(in crate::server) heard: Vec<ServerFrame>,
    /// The received bytes of each write, for clients of other dialects.
    pub(in crate::server) raw: Vec<Vec<u8>>,
    pub(in crate::server) closed: bool,
}

pub(in crate::server) struct World {
    pub(in crate::server) now: Now,
    pub(in crate::server) hub: Hub,
    pub(in crate::server) store: MemoryStore,
    pub(in crate::server) replica: Replica,
    pub(in crate::server) clients: BTreeMap<&'static str, Client>,
    pub(in crate::server) records: Vec<LogEvent>,
    /// Answers to the operator.
    pub(in crate::server) erased: Vec<(u64, Result<u64, EraseError>)>,
    /// Whether commits wait for [`World::commit`].
    pub(in crate::server) hold_commits: bool,
    held: Option<Batch>,
    /// The error of the next commit.
    pub(in crate::server) fail: Option<StoreError>,
    /// Whether queries wait.
    pub(in crate::server) hold_looks: bool,
    /// Whether the log can't be read.
    pub(in crate::server) unreadable: bool,
    /// The number of queries so far.
    pub(in crate::server) looks: usize,
    pub(in crate::server) finished: Option<bool>,
    connections: u64,
}

pub(in crate::server) fn token(name: &str) -> Token {
    let mut bytes = [0; 32];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    Token::from_bytes(bytes)
}

/// The binding that a key signs, on an unencrypted connection.
pub(in crate::server) fn binding() -> Binding {
    Channel::plain(own_address(), fingerprint(), own_address()).binding
}

/// A client's address.
fn known(address: &str) -> ClientAddress {
    SocketAddr::new(address.parse().unwrap(), 7).into()
}

/// The server's address.
fn own_address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 200], 10500))
}

/// The server's fingerprint.
fn fingerprint() -> Fingerprint {
    Fingerprint::from_bytes([7; 32])
}

pub(in crate::server) fn client_id() -> ClientId {
    ClientId::parse("1").unwrap()
}

pub(in crate::server) fn id(name: &str, counter: u64) -> MessageId {
    MessageId {
        device: token(name).device(&client_id()),
        counter,
    }
}

/// Settings without limits: everybody may join.
pub(in crate::server) fn access_settings() -> access::Settings {
    access::Settings {
        access: access::Access::Open,
        limits: Limits::NONE,
        invite_key: InviteKey::from_bytes([0x1e; 32]),
        owner_code: OwnerCode::from_bytes([0x0c; 10]),
        new_owner: false,
        keep_accounts_days: 365,
        room_makers: access::RoomMakers::default(),
        rooms_max: crate::server::core::rooms::ROOMS_MAX_DEFAULT,
    }
}

pub(in crate::server) fn join(name: &str) -> Join {
    Join {
        can: crate::protocol::frame::Capabilities::ALL,
        protocol: Some(2),
        nickname: Nickname::parse(name).unwrap(),
        keep_nickname: false,
        client_id: client_id(),
        token: Some(token(name)),
        key: None,
        invite: None,
        password: None,
        code: None,
        next: None,
        epoch: None,
        enter: Vec::new(),
        rooms: Vec::new(),
        last: None,
        most: None,
        agent: None,
    }
}

pub(in crate::server) fn message(name: &str, counter: u64, text: &str) -> ClientFrame {
    ClientFrame::Submit(Submission {
        room: RoomId::LOBBY,
        id: Some(id(name, counter)),
        content: Ok(Content::Text(Body::inert(text))),
    })
}

pub(in crate::server) fn start() -> Now {
    Now {
        wall: "2026-11-22T09:00:00Z".parse().unwrap(),
        mono: Duration::from_secs(100),
    }
}

impl World {
    /// A server with these settings and records.
    pub(in crate::server) fn with_access(
        settings: access::Settings,
        records: &[StateRecord],
    ) -> Self {
        let mut world = Self::new();
        let store = &world.store;
        let hub = Settings {
            clients_max: 100,
            rooms: vec![RoomSettings {
                name: RoomName::lobby(),
                topic: None,
            }],
            server: Line::inert("test"),
            record_texts: false,
            keep: Keep::default(),
            access: settings,
        };
        let standings = store.standings();
        world.hub = Hub::new(
            hub,
            store.epoch(),
            &standings,
            KnownTimes::default(),
            records,
            start(),
        );
        world
    }

    pub(in crate::server) fn new() -> Self {
        Self::with(10, ReplicaLimits::default(), MemoryLimits::default())
    }

    pub(in crate::server) fn with(
        clients_max: usize,
        replica: ReplicaLimits,
        memory: MemoryLimits,
    ) -> Self {
        Self::keeping(Keep::default(), clients_max, replica, memory)
    }

    pub(in crate::server) fn keeping(
        keep: Keep,
        clients_max: usize,
        replica: ReplicaLimits,
        memory: MemoryLimits,
    ) -> Self {
        Self::with_rooms(&[RoomName::lobby()], keep, clients_max, replica, memory)
    }

    /// A server with these rooms.
    pub(in crate::server) fn with_rooms(
        rooms: &[RoomName],
        keep: Keep,
        clients_max: usize,
        replica: ReplicaLimits,
        memory: MemoryLimits,
    ) -> Self {
        let store = MemoryStore::new(Epoch::from_bytes([1; 8]), memory);
        let settings = Settings {
            clients_max,
            rooms: rooms
                .iter()
                .map(|name| RoomSettings {
                    name: name.clone(),
                    topic: None,
                })
                .collect(),
            server: Line::inert("test"),
            record_texts: false,
            keep,
            access: access_settings(),
        };
        Self {
            now: start(),
            hub: Hub::new(
                settings,
                store.epoch(),
                &store.standings(),
                KnownTimes::default(),
                &[],
                start(),
            ),
            store,
            replica: Replica::new([], replica),
            clients: BTreeMap::new(),
            records: Vec::new(),
            erased: Vec::new(),
            hold_commits: false,
            held: None,
            fail: None,
            hold_looks: false,
            unreadable: false,
            looks: 0,
            finished: None,
            connections: 0,
        }
    }

    /// Ends the server as a power failure does, and starts it again with what it has stored.
    pub(in crate::server) fn restart(&mut self) {
        let records = self.store.state().unwrap();
        self.hub = Hub::new(
            self.hub.settings.clone(),
            self.store.epoch(),
            &self.store.standings(),
            KnownTimes::default(),
            &records,
            self.now,
        );
        let heads = self.store.extents().into_iter();
        let heads = heads.map(|(room, extent)| (room, extent.head));
        self.replica = Replica::new(heads, ReplicaLimits::default());
        self.clients.clear();
        self.held = None;
    }

    /// Makes a connection with this name; an earlier one with the name remains, without it.
    pub(in crate::server) fn connect(&mut self, name: &'static str) -> &mut Client {
        self.connect_from(name, "192.0.2.1")
    }

    /// Makes a connection from an address.
    pub(in crate::server) fn connect_from(
        &mut self,
        name: &'static str,
        address: &str,
    ) -> &mut Client {
        self.connect_at(name, known(address))
    }

    /// Makes a connection from a client's address.
    pub(in crate::server) fn connect_at(
        &mut self,
        name: &'static str,
        address: ClientAddress,
    ) -> &mut Client {
        self.connections += 1;
        self.now.mono += Duration::from_secs(1);
        self.now.wall += Duration::from_secs(1);
        let channel = Channel::plain(address, fingerprint(), own_address());
        let client = Client {
            id: ConnectionId::new(0, self.connections),
            endpoint: Endpoint::new(channel, AnyDialect::json(), self.now),
            decoder: Decoder::new(),
            window: usize::MAX,
            heard: Vec::new(),
            raw: Vec::new(),
            closed: false,
        };
        self.clients.insert(name, client);
        self.client(name)
    }

    pub(in crate::server) fn client(&mut self, name: &str) -> &mut Client {
        self.clients.get_mut(name).unwrap()
    }

    /// Joins with a key, from an address.
    pub(in crate::server) fn enter(
        &mut self,
        name: &'static str,
        key: &Identity,
        address: &str,
        join: Join,
    ) -> Vec<String> {
        self.enter_at(name, key, known(address), join)
    }

    /// Joins with a key, from a client's address.
    pub(in crate::server) fn enter_at(
        &mut self,
        name: &'static str,
        key: &Identity,
        address: ClientAddress,
        join: Join,
    ) -> Vec<String> {
        self.connect_at(name, address);
        let join = Join {
            key: Some(key.public()),
            ..join
        };
        let mut bytes = Vec::new();
        encode_client(&ClientFrame::Join(Box::new(join)), &mut bytes);
        self.post(name, &bytes);
        let challenge = self.client(name).heard.pop();
        let Some(ServerFrame::Challenge { nonce, .. }) = challenge else {
            panic!("{challenge:?}");
        };
        let signature = key.prove(&binding(), &nonce);
        self.say(name, &ClientFrame::Proof { signature })
    }

    pub(in crate::server) fn join(&mut self, name: &'static str) -> Vec<String> {
        self.join_as(name, join(name))
    }

    pub(in crate::server) fn join_as(&mut self, name: &'static str, join: Join) -> Vec<String> {
        self.connect(name);
        self.say(name, &ClientFrame::Join(Box::new(join)))
    }

    /// Sends a frame, and leaves the answers for later.
    pub(in crate::server) fn post_frame(&mut self, name: &str, frame: &ClientFrame) {
        let mut bytes = Vec::new();
        encode_client(frame, &mut bytes);
        self.post(name, &bytes);
    }

    /// Sends a frame; returns the frames that the sender gets.
    pub(in crate::server) fn say(&mut self, name: &str, frame: &ClientFrame) -> Vec<String> {
        let mut bytes = Vec::new();
        encode_client(frame, &mut bytes);
        self.send(name, &bytes)
    }

    pub(in crate::server) fn send(&mut self, name: &str, bytes: &[u8]) -> Vec<String> {
        self.post(name, bytes);
        self.hears(name)
    }

    /// Sends bytes, and leaves the answers for later.
    pub(in crate::server) fn post(&mut self, name: &str, mut bytes: &[u8]) {
        let now = self.now;
        while !bytes.is_empty() {
            let client = self.clients.get_mut(name).unwrap();
            let space = client.endpoint.space();
            let count = space.len().min(bytes.len());
            space[..count].copy_from_slice(&bytes[..count]);
            client.endpoint.handle_received(now, count);
            bytes = &bytes[count..];
            self.run();
        }
    }

    /// The frames that a client got since the last call.
    pub(in crate::server) fn hears(&mut self, name: &str) -> Vec<String> {
        let client = self.client(name);
        let mut heard: Vec<_> = mem::take(&mut client.heard).iter().map(in_short).collect();
        if client.closed {
            heard.push("closed".to_owned());
        }
        heard
    }

    /// Breaks a connection.
    pub(in crate::server) fn cut(&mut self, name: &str) {
        let client = self.clients.remove(name).unwrap();
        self.close(client.id, Departure::Lost);
        self.run();
    }

    fn close(&mut self, connection: ConnectionId, reason: Departure) {
        self.hub
            .handle_event(self.now, Event::Closed { connection, reason });
    }

    pub(in crate::server) fn advance(&mut self, time: Duration) {
        self.now.mono += time;
        self.now.wall += time;
        let mut gone = Vec::new();
        for client in self.clients.values_mut() {
            if client.endpoint.handle_tick(self.now) == Pulse::Gone {
                gone.push(client.id);
                client.closed = true;
            }
        }
        for id in gone {
            self.close(id, Departure::Timeout);
        }
        self.run();
    }

    /// Carries out the held commit.
    pub(in crate::server) fn commit(&mut self) {
        let batch = self.held.take().expect("a commit is held");
        let outcome = match self.fail.take() {
            Some(error) => Err(error),
            None => self.store.append(batch),
        };
        self.hub.handle_event(self.now, Event::Committed(outcome));
        self.run();
    }

    /// Whether a commit is held.
    pub(in crate::server) fn commits(&self) -> bool {
        self.held.is_some()
    }

    /// Where the lobby's log stands.
    fn standing(&self) -> Option<Standing> {
        let standings = self.store.standings();
        let lobby = standings.iter().find(|(room, _)| *room == RoomId::LOBBY);
        lobby.map(|(_, standing)| *standing)
    }

    pub(in crate::server) fn store_head(&self) -> u64 {
        self.standing().map_or(0, |standing| standing.extent.head)
    }

    pub(in crate::server) fn store_first(&self) -> u64 {
        self.standing().map_or(1, |standing| standing.extent.first)
    }

    /// Has the hub erase entries for the operator.
    pub(in crate::server) fn erase(&mut self, number: u64, room: &RoomName, from: u64, to: u64) {
        let request = EraseRequest {
            number,
            room: room.clone(),
            from,
            to,
        };
        self.hub.handle_event(self.now, Event::Erase(request));
        self.run();
    }

    pub(in crate::server) fn stop(&mut self) {
        self.hub.handle_event(self.now, Event::Stop);
        self.run();
    }

    /// Runs until there is nothing more to do.
    pub(in crate::server) fn run(&mut self) {
        loop {
            let mut moved = false;
            for client in self.clients.values_mut() {
                // Short pauses are skipped; longer ones are waited for.
                let short = self.now.mono + PAUSE_MAX;
                let until = client.endpoint.paused().filter(|until| *until <= short);
                let mono = until.unwrap_or(self.now.mono);
                client.endpoint.handle_time(Now { mono, ..self.now });
                let requests: Vec<_> = std::iter::from_fn(|| {
                    client.endpoint.poll_request(&self.replica, || [0x5e; 32])
                })
                .collect();
                if !requests.is_empty() {
                    let connection = client.id;
                    let event = Event::Requests {
                        connection,
                        requests,
                    };
                    self.hub.handle_event(self.now, event);
                    moved = true;
                }
            }
            moved |= self.turn();
            moved |= self.look();
            let (now, replica, store) = (self.now, &mut self.replica, &mut self.store);
            let mut closed = Vec::new();
            for client in self.clients.values_mut().filter(|client| !client.closed) {
                moved |= write(client, now, replica, store);
                if client.closed {
                    closed.push(client.id);
                }
            }
            for id in closed {
                self.close(id, Departure::Lost);
            }
            if !moved {
                return;
            }
        }
    }

    /// Runs the queries that are due.
    fn look(&mut self) -> bool {
        let mut moved = false;
        for client in self.clients.values_mut().filter(|_| !self.hold_looks) {
            if let Some(look) = client.endpoint.poll_query() {
                let looked = if self.unreadable {
                    Err(StoreError::Refused)
                } else {
                    look.read(&mut self.store)
                };
                client.endpoint.handle_query_result(self.now, &looked);
                self.looks += 1;
                moved = true;
            }
        }
        moved
    }

    fn turn(&mut self) -> bool {
        let mut effects = Vec::new();
        self.hub.poll_effects(self.now, &mut effects);
        let moved = !effects.is_empty();
        for effect in effects {
            match effect {
                Effect::Command {
                    connection,
                    command,
                } => {
                    let mut clients = self.clients.values_mut();
                    if let Some(client) = clients.find(|client| client.id == connection) {
                        client
                            .endpoint
                            .handle_command(self.now, &mut self.replica, command);
                    }
                }
                Effect::Publish(publication) => {
                    self.replica.publish(&publication);
                    for client in self.clients.values_mut() {
                        client
                            .endpoint
                            .handle_publication(&self.replica, &publication);
                    }
                }
                Effect::Append(batch) => {
                    assert!(self.held.is_none(), "one append at a time");
                    self.held = Some(batch);
                    if !self.hold_commits {
                        self.commit();
                    }
                }
                Effect::Erased { number, result } => self.erased.push((number, result)),
                Effect::Log(record) => self.records.push(*record),
                Effect::Finished { failed } => self.finished = Some(failed),
            }
        }
        moved
    }
}

/// Writes as much as the client's window accepts.
fn write(client: &mut Client, now: Now, replica: &mut Replica, store: &mut MemoryStore) -> bool {
    let mut moved = false;
    loop {
        let written = match client.endpoint.poll_turn(now, replica) {
            Turn::Write(gather) => {
                let bytes: Vec<u8> = gather.slices().iter().flat_map(|s| s.to_vec()).collect();
                let count = bytes.len().min(client.window);
                bytes[..count].to_vec()
            }
            Turn::Fetch { room, from } => {
                if client.window == 0 {
                    return moved;
                }
                let page = store.read(room, from, PAGE_BYTES_MAX).unwrap();
                if client.endpoint.handle_page(replica, room, page) {
                    continue;
                }
                client.closed = true;
                return true;
            }
            Turn::Done => {
                client.closed = true;
                return true;
            }
            Turn::Idle | Turn::Wait(_) => return moved,
        };
        if written.is_empty() {
            client.endpoint.drop_page();
            return moved;
        }
        moved = true;
        client.endpoint.handle_written(now, replica, written.len());
        if client.window != usize::MAX {
            client.window -= written.len();
        }
        let mut bytes = &written[..];
        while !bytes.is_empty() {
            let count = client.decoder.feed(bytes);
            bytes = &bytes[count..];
            while let Some(frame) = client.decoder.next_frame().unwrap() {
                client.raw.push(frame.to_vec());
                client
                    .heard
                    .push(parse_server(frame).unwrap_or(ServerFrame::Unknown));
            }
        }
    }
}

fn entry_in_short(entry: &Entry) -> String {
    let (seq, name) = (entry.seq, &entry.author.nickname);
    let of = |target: &MessageId| format!("{}-{}", named(target.device), target.counter);
    match &entry.kind {
        EntryKind::Text(text) => {
            let edited = text.edited.map(|edit| format!(" (edited {edit})"));
            let edited = edited.unwrap_or_default();
            format!("{seq} {name}: {}{edited}", text.body.as_str())
        }
        EntryKind::Edit { target, body, .. } => {
            let text = body.as_ref().map(|body| format!(": {}", body.as_str()));
            format!(
                "{seq} {name} edits {}{}",
                of(target),
                text.unwrap_or_default()
            )
        }
        EntryKind::Redaction { target, .. } => format!("{seq} {name} erases {}", of(target)),
        EntryKind::Tombstone(tombstone) => {
            format!("{seq} {name} erased by {}", tombstone.redacted)
        }
        EntryKind::Event(event) => format!("{seq} {}", event.alt),
        EntryKind::Unknown(unknown) => format!("{seq} {name} {}", unknown.name),
    }
}

/// The name of the client that has a device.
fn named(device: DeviceId) -> &'static str {
    let names = ["alice", "bob", "carol", "dave", "eve", "mod"];
    let known = names.iter().find(|name| id(name, 1).device == device);
    known.copied().unwrap_or("somebody")
}

fn in_short(frame: &ServerFrame) -> String {
    let code = |code| ERROR_CODES.iter().find(|(of, _)| *of == code).unwrap().1;
    match frame {
        ServerFrame::Welcome(welcome) => {
            let room = &welcome.rooms[0];
            let reset = room
                .reset
                .map_or(String::new(), |reset| format!(" reset {reset:?}"));
            format!(
                "welcome {}, counter {}, {}..={}, next {}{reset}",
                welcome.nickname, welcome.counter, room.extent.first, room.extent.head, room.next
            )
        }
        ServerFrame::Members(page) => {
            let mut names: Vec<_> = page.members.iter().map(|m| m.nickname.as_str()).collect();
            names.sort_unstable();
            let start = if page.start { "members" } else { "and" };
            let more = if page.more { " …" } else { "" };
            format!("{start} {}{more}", names.join(" "))
        }
        ServerFrame::Presence(presence) => match &presence.change {
            Change::Joined => format!("{} joined", presence.nickname),
            Change::Left(reason) => format!("{} left {reason:?}", presence.nickname),
            Change::Renamed { was } => format!("{was} is {}", presence.nickname),
            Change::Promoted => format!("{} is {}", presence.nickname, presence.role),
            Change::Rules(rules) => format!("{} rules {rules:?}", presence.nickname),
        },
        ServerFrame::Entry(entry) => entry_in_short(entry),
        ServerFrame::History(page) => format!(
            "history {}..={} of {}..={}",
            page.head.from, page.head.to, page.head.extent.first, page.head.extent.head
        ),
        ServerFrame::Changes(page) => {
            let numbers: Vec<_> = page.entries.iter().map(|m| m.seq).collect();
            format!("changes {numbers:?} through {}", page.through)
        }
        ServerFrame::Found(page) => format!(
            "found {:?} in {}..={}",
            page.entries.iter().map(|m| m.seq).collect::<Vec<_>>(),
            page.head.from,
            page.head.to
        ),
        ServerFrame::Ack(ack) => match &ack.outcome {
            Outcome::Stored { seq, .. } => format!("ack {} stored {seq}", ack.id.counter),
            outcome => format!("ack {} {outcome:?}", ack.id.counter),
        },
        ServerFrame::Challenge { .. } => "challenge".to_owned(),
        ServerFrame::Result(result) => format!("result {}", result.message),
        ServerFrame::Nick { nickname, .. } => format!("nick {nickname}"),
        ServerFrame::Ping { .. } => "ping".to_owned(),
        ServerFrame::Pong { reference } => format!("pong {reference:?}"),
        ServerFrame::Error(error) => {
            let id = error
                .id
                .map_or(String::new(), |id| format!(" {}", id.counter));
            let retry = error.retry_after_ms.map_or("", |_| ", try again");
            format!("error {}{id}{retry}", code(error.code))
        }
        ServerFrame::Bye(bye) => format!("bye {:?}", bye.reason),
        ServerFrame::Rooms(starts) => {
            let names = starts.iter().map(|start| match &start.info.name {
                Some(name) => name.to_string(),
                None => "direct".to_owned(),
            });
            format!("in {}", names.collect::<Vec<_>>().join(" "))
        }
        ServerFrame::Room { info, .. } => match &info.name {
            Some(name) => format!("room {name}"),
            None => "room".to_owned(),
        },
        ServerFrame::RoomLeft { by, .. } => match by {
            Some(by) => format!("out, by {by}"),
            None => "out".to_owned(),
        },
        ServerFrame::Read { marker, .. } => format!("read {}.{}", marker.generation, marker.seq),
        ServerFrame::RoomList(page) => {
            let names = page.list.iter().map(|room| room.name.to_string());
            format!("rooms {}", names.collect::<Vec<_>>().join(" "))
        }
        ServerFrame::PeopleList(page) => {
            let names = page
                .list
                .iter()
                .map(|listed| listed.person.nickname.to_string());
            format!("people {}", names.collect::<Vec<_>>().join(" "))
        }
        ServerFrame::Inbox(page) => {
            let entries = page.entries.iter().map(entry_in_short);
            format!("inbox {}", entries.collect::<Vec<_>>().join(", "))
        }
        ServerFrame::Ignored { users } => format!("ignores {}", users.len()),
        ServerFrame::Unknown => "not a frame".to_owned(),
    }
}
