//! The load generator: many clients on one thread.

mod check;
mod hear;
mod speak;

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    ops::Range,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::event::{
    PollFd, PollFlags, Timespec,
    epoll::{self, CreateFlags, Event, EventData, EventFlags},
    poll,
};

use self::check::Counts;
use crate::client::{Client, Sources, Stage, Way};

/// Bytes read from one connection before others have their turn.
const READ_MAX: usize = 256 * 1024;
/// The longest line.
const LINE_MAX: usize = 80 * 1024;
/// Ready connections that are served in one round.
const EVENTS_MAX: usize = 512;
/// Connections that are begun before others are served.
const BURST: usize = 64;
/// How long anything that must happen may take.
const PATIENCE: Duration = Duration::from_mins(5);

/// A room of the generator.
#[derive(Default)]
pub(crate) struct Room {
    /// Its readers, except for those that joined during the traffic.
    pub(crate) members: Vec<usize>,
    /// Its publishers, and the number of messages of each.
    pub(crate) publishers: Vec<usize>,
    pub(crate) sent: Vec<u64>,
    /// The next publisher.
    turn: usize,
    touched: bool,
}

impl Room {
    fn said(&self) -> u64 {
        self.sent.iter().sum()
    }
}

/// See the module's docs.
pub(crate) struct Load {
    to: SocketAddr,
    sources: Sources,
    begin: Instant,
    epoll: OwnedFd,
    events: Vec<Event>,
    buffer: Vec<u8>,
    pub(crate) clients: Vec<Client>,
    pub(crate) rooms: Vec<Room>,
    /// Rooms in which a message has arrived since their last refill.
    touched: Vec<usize>,
    pub(crate) counts: Counts,
    /// The number of joined clients.
    pub(crate) joined: usize,
    /// The clients whose latencies are measured (all before this one), and the latencies in
    /// nanoseconds.
    pub(crate) latencies: Option<(usize, Vec<u64>)>,
    /// Whether positions are kept, for resuming.
    pub(crate) keeps_positions: bool,
    /// The number of members that are noted from member lists.
    pub(crate) notes: usize,
    /// Clients that know all members.
    pub(crate) complete: usize,
    /// The kinds of errors received, each with its first one.
    pub(crate) errors: BTreeSet<String>,
}

impl Load {
    pub(crate) fn new(to: SocketAddr, rooms: usize) -> Self {
        Self {
            to,
            sources: Sources::new(),
            begin: Instant::now(),
            epoll: epoll::create(CreateFlags::CLOEXEC).unwrap(),
            events: Vec::with_capacity(EVENTS_MAX),
            buffer: vec![0; LINE_MAX + READ_MAX],
            clients: Vec::new(),
            rooms: (0..rooms).map(|_| Room::default()).collect(),
            touched: Vec::new(),
            counts: Counts::default(),
            joined: 0,
            latencies: None,
            keeps_positions: false,
            notes: 0,
            complete: 0,
            errors: BTreeSet::new(),
        }
    }

    /// Nanoseconds since the start.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_nanos()).unwrap()
    }

    /// Begins to connect one more client. It must receive every message from now on, unless it
    /// joins `into_the_middle` of the traffic.
    pub(crate) fn connect(&mut self, way: &Way, rooms: Range<usize>, into_the_middle: bool) {
        let number = self.clients.len();
        let mut client = Client::connect(number, self.sources, self.to, way, rooms.clone())
            .unwrap_or_else(|error| panic!("connection {number}: {error}"));
        client.told = vec![false; self.notes];
        for (slot, room) in client.slots.iter_mut().zip(rooms) {
            let room = &mut self.rooms[room];
            if into_the_middle {
                slot.next = vec![None; room.publishers.len()];
            } else {
                slot.next = room.sent.iter().map(|&sent| Some(sent)).collect();
                room.members.push(number);
            }
        }
        self.watch(number, client);
    }

    fn watch(&mut self, number: usize, client: Client) {
        let interest = EventFlags::IN | EventFlags::OUT;
        let data = EventData::new_u64(number as u64);
        epoll::add(&self.epoll, &client.socket, data, interest).unwrap();
        self.clients.push(client);
    }

    /// Joins this many more clients, each into these rooms, at most `at_once` at a time.
    pub(crate) fn join(
        &mut self,
        count: usize,
        at_once: usize,
        way: impl Fn() -> Way,
        rooms: impl Fn(usize) -> Range<usize>,
    ) {
        self.enter(count, at_once, |load, number| {
            load.connect(&way(), rooms(number), false);
        });
    }

    /// Reconnects these clients.
    pub(crate) fn rejoin(&mut self, who: &[usize], at_once: usize) {
        self.enter(who.len(), at_once, |load, number| {
            load.reconnect(who[number]);
        });
    }

    fn enter(&mut self, count: usize, at_once: usize, mut start: impl FnMut(&mut Self, usize)) {
        let before = self.joined;
        let mut begun = 0;
        self.until("all are in", |load| {
            for _ in 0..BURST {
                if begun < count && begun < load.joined - before + at_once {
                    start(load, begun);
                    begun += 1;
                }
            }
            load.joined - before == count
        });
    }

    /// Makes these clients the publishers of a room.
    pub(crate) fn set_publishers(&mut self, room: usize, publishers: Vec<usize>) {
        let count = publishers.len();
        let room = &mut self.rooms[room];
        room.publishers = publishers;
        room.sent = vec![0; count];
        for &member in &room.members {
            for slot in &mut self.clients[member].slots {
                slot.next.resize(count, Some(0));
            }
        }
    }

    /// Polls until `done` is true.
    pub(crate) fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let begin = Instant::now();
        while !done(self) {
            self.poll(Duration::from_millis(20));
            assert!(
                begin.elapsed() < PATIENCE,
                "waited too long until {what}; {} are in, {} dropped, errors: {:?}",
                self.joined,
                self.counts.dropped,
                self.errors
            );
        }
    }

    /// Serves every ready connection once; waits for one, at most this long.
    pub(crate) fn poll(&mut self, time: Duration) -> usize {
        let mut events = std::mem::take(&mut self.events);
        let look = |events: &mut Vec<Event>| {
            events.clear();
            let none = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            let room = rustix::buffer::spare_capacity(events);
            epoll::wait(&self.epoll, room, Some(&none)).unwrap_or(0)
        };
        if look(&mut events) == 0 && !time.is_zero() {
            // epoll's own time-outs are in milliseconds; these are exact.
            let mut descriptor = [PollFd::new(&self.epoll, PollFlags::IN)];
            let _ = poll(&mut descriptor, Some(&Timespec::try_from(time).unwrap()));
            look(&mut events);
        }
        for event in &events {
            let number = usize::try_from(event.data.u64()).unwrap();
            let flags = event.flags;
            if self.clients[number].stage == Stage::Gone {
                continue;
            }
            if flags.contains(EventFlags::OUT) && self.clients[number].stage == Stage::Connecting {
                if !matches!(self.clients[number].socket.take_error(), Ok(None)) {
                    self.drop_client(number);
                    continue;
                }
                self.clients[number].connected();
            }
            if flags.intersects(EventFlags::IN | EventFlags::ERR | EventFlags::HUP) {
                self.read(number);
            }
            self.flush(number);
        }
        let count = events.len();
        self.events = events;
        count
    }

    fn drop_client(&mut self, number: usize) {
        self.counts.dropped += 1;
        self.leave(number);
    }

    /// Closes a connection without `disconnect`.
    pub(crate) fn leave(&mut self, number: usize) {
        let client = &mut self.clients[number];
        if client.stage == Stage::In {
            self.joined -= 1;
        }
        if client.stage != Stage::Gone {
            client.stage = Stage::Gone;
            let _ = epoll::delete(&self.epoll, &client.socket);
            let _ = client.socket.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Reconnects one client; its rooms' publishers continue their count.
    pub(crate) fn reconnect(&mut self, number: usize) {
        let client = &mut self.clients[number];
        client.reconnect(self.to).unwrap();
        let interest = EventFlags::IN | EventFlags::OUT;
        let data = EventData::new_u64(number as u64);
        epoll::add(&self.epoll, &client.socket, data, interest).unwrap();
    }

    /// Stops reading from a connection, and keeps it open.
    pub(crate) fn deafen(&mut self, number: usize) {
        let client = &mut self.clients[number];
        client.deaf = true;
        epoll::delete(&self.epoll, &client.socket).unwrap();
        for room in client.rooms.clone() {
            self.rooms[room].members.retain(|&member| member != number);
        }
    }

    /// Writes as much as the connection takes.
    pub(crate) fn flush(&mut self, number: usize) {
        let client = &mut self.clients[number];
        if matches!(client.stage, Stage::Gone | Stage::Connecting) {
            return;
        }
        if client.write().is_err() {
            return self.drop_client(number);
        }
        let blocked = client.has_more();
        if blocked != client.blocked {
            client.blocked = blocked;
            let data = EventData::new_u64(number as u64);
            let mut interest = EventFlags::IN;
            interest.set(EventFlags::OUT, blocked);
            epoll::modify(&self.epoll, &client.socket, data, interest).unwrap();
        }
    }

    fn read(&mut self, number: usize) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let kept = self.clients[number].tail.len();
        buffer[..kept].copy_from_slice(&self.clients[number].tail);
        match self.clients[number].read(&mut buffer[kept..]) {
            Ok(count) => {
                self.clients[number].shaken();
                if count > 0 {
                    self.counts.bytes += count as u64;
                    let all = kept + count;
                    let done = self.lines(number, &buffer[..all]);
                    let tail = &mut self.clients[number].tail;
                    tail.clear();
                    tail.extend_from_slice(&buffer[done..all]);
                    if tail.is_empty() {
                        *tail = Vec::new();
                    }
                }
            }
            Err(_) => self.drop_client(number),
        }
        self.buffer = buffer;
    }
}
