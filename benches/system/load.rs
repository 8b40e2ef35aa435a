//! Many clients on one thread: who is to be written to and read, who says what, and whether all
//! hear it.
//!
//! What is said has 100 bytes: `~~`, the room (5 digits), which of its publishers (2), the number of
//! what he says there (9), when it was due (14 digits of nanoseconds since the start), and `x` to
//! the end. Nothing else that comes has two tildes.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    ops::Range,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use memchr::{memchr, memmem};
use rustix::event::{
    PollFd, PollFlags, Timespec,
    epoll::{self, CreateFlags, Event, EventData, EventFlags},
    poll,
};

use crate::client::{Client, Stage, Way};

const PAYLOAD: usize = 100;
const MARK: &[u8] = b"~~";
const ROOM: Range<usize> = 2..7;
const PUBLISHER: Range<usize> = 7..9;
const NUMBER: Range<usize> = 9..18;
const DUE: Range<usize> = 18..32;

/// Bytes that are read from one connection before others have their turn.
const READ_MAX: usize = 256 * 1024;
/// A line is no longer.
const LINE_MAX: usize = 80 * 1024;
/// Connections that have something, looked at in one round.
const EVENTS_MAX: usize = 512;
/// Connections that are begun before others are served.
const BURST: usize = 64;
/// Nothing more comes when nothing has come for so long.
const QUIET: Duration = Duration::from_secs(2);
/// How long anything that must happen may take.
const PATIENCE: Duration = Duration::from_mins(5);

/// A room, as the generator has it.
#[derive(Default)]
pub(crate) struct Room {
    /// Who reads it, without those who came into the middle.
    pub(crate) members: Vec<usize>,
    /// Who says something there, and how much each has said.
    pub(crate) publishers: Vec<usize>,
    pub(crate) sent: Vec<u64>,
    /// Whose turn it is.
    turn: usize,
    touched: bool,
}

impl Room {
    fn said(&self) -> u64 {
        self.sent.iter().sum()
    }
}

/// What came.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) deliveries: u64,
    pub(crate) bytes: u64,
    /// Numbers that were left out.
    pub(crate) lost: u64,
    /// Numbers that came late, or twice.
    pub(crate) disordered: u64,
    /// Connections that ended by themselves.
    pub(crate) dropped: u64,
}

/// What is wrong at the end.
#[derive(Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) lost: u64,
    pub(crate) disordered: u64,
    /// Did not come until more was said.
    pub(crate) stuck: u64,
    /// Never came.
    pub(crate) missing: u64,
    pub(crate) dropped: u64,
}

impl std::fmt::Display for Faults {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            lost,
            disordered,
            stuck,
            missing,
            dropped,
        } = self;
        if lost + disordered + stuck + missing + dropped == 0 {
            return out.write_str("none");
        }
        write!(
            out,
            "LOST {lost}, DISORDERED {disordered}, STUCK {stuck}, MISSING {missing}, DROPPED {dropped}"
        )
    }
}

/// See the module's docs.
pub(crate) struct Load {
    to: SocketAddr,
    begin: Instant,
    epoll: OwnedFd,
    events: Vec<Event>,
    buffer: Vec<u8>,
    pub(crate) clients: Vec<Client>,
    pub(crate) rooms: Vec<Room>,
    /// Rooms in which somebody heard something since they were last filled.
    touched: Vec<usize>,
    pub(crate) counts: Counts,
    /// Of those who are in.
    pub(crate) joined: usize,
    /// How long messages took, in nanoseconds, in the rooms before this one, if it is asked for.
    pub(crate) latencies: Option<(usize, Vec<u64>)>,
    /// Whether positions are kept, to resume by.
    pub(crate) keeps_positions: bool,
    /// Whom the members' lists tell of is noted for so many.
    pub(crate) notes: usize,
    /// Those who have been told of all.
    pub(crate) complete: usize,
    /// What the last search said: how far the index reaches, and how far the log.
    pub(crate) found: Option<(u64, u64)>,
    /// Kinds of errors that came, each with its first one.
    pub(crate) errors: BTreeSet<String>,
}

impl Load {
    pub(crate) fn new(to: SocketAddr, rooms: usize) -> Self {
        Self {
            to,
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
            found: None,
            errors: BTreeSet::new(),
        }
    }

    /// Nanoseconds since the start.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_nanos()).unwrap()
    }

    /// One more begins to come in. It is held to hear everything from now on, unless others speak
    /// while it comes in.
    pub(crate) fn connect(&mut self, way: &Way, rooms: Range<usize>, into_the_middle: bool) {
        let number = self.clients.len();
        let mut client = Client::connect(number, self.to, way, rooms.clone())
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

    /// Lets so many more in, each into these rooms, at most `at_once` of them on their way at one
    /// time.
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

    /// Lets these in again, who were in before.
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

    /// These speak in a room.
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

    /// Goes on until something is so.
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

    /// Serves whoever has something, once; waits for that, at most so long.
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
            // Its own time-outs are in milliseconds; these are exact.
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

    /// Ends a connection without a word.
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

    /// One that was in comes in again; its rooms' publishers go on counting.
    pub(crate) fn reconnect(&mut self, number: usize) {
        let client = &mut self.clients[number];
        client.reconnect(self.to).unwrap();
        let interest = EventFlags::IN | EventFlags::OUT;
        let data = EventData::new_u64(number as u64);
        epoll::add(&self.epoll, &client.socket, data, interest).unwrap();
    }

    /// It reads nothing any more, but stays.
    pub(crate) fn deafen(&mut self, number: usize) {
        let client = &mut self.clients[number];
        client.deaf = true;
        epoll::delete(&self.epoll, &client.socket).unwrap();
        for room in client.rooms.clone() {
            self.rooms[room].members.retain(|&member| member != number);
        }
    }

    /// Writes what the connection takes.
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

    /// Hears all complete lines; where they end.
    fn lines(&mut self, number: usize, bytes: &[u8]) -> usize {
        let now = self.now();
        let mut at = 0;
        while let Some(length) = memchr(b'\n', &bytes[at..]) {
            let line = &bytes[at..at + length];
            at += length + 1;
            if line.starts_with(br#"{"type":"message""#) {
                self.heard(number, line, now);
            } else {
                self.told(number, line);
            }
        }
        at
    }

    fn heard(&mut self, number: usize, line: &[u8], now: u64) {
        let Some(at) = memmem::find(line, MARK) else {
            return;
        };
        let payload = &line[at..at + PAYLOAD];
        let [room, publisher, said, due] =
            [ROOM, PUBLISHER, NUMBER, DUE].map(|part| figure(&payload[part]));
        let room = usize::try_from(room).unwrap();
        self.counts.deliveries += 1;
        if let Some((before, times)) = &mut self.latencies
            && room < *before
        {
            times.push(now.saturating_sub(due));
        }
        let client = &mut self.clients[number];
        let slot = &mut client.slots[room - client.rooms.start];
        let next = &mut slot.next[usize::try_from(publisher).unwrap()];
        match *next {
            Some(expected) if said < expected => self.counts.disordered += 1,
            Some(expected) => self.counts.lost += said - expected,
            None => {}
        }
        if next.is_none_or(|next| said >= next) {
            *next = Some(said + 1);
        }
        if self.keeps_positions {
            let seq = memmem::rfind(line, br#""seq":"#).unwrap();
            let digits = line[seq + 6..].split(|byte| !byte.is_ascii_digit()).next();
            let seq = figure(digits.unwrap());
            if slot.seq > 0 {
                // By the server's own count, too.
                self.counts.lost += seq.saturating_sub(slot.seq + 1);
                self.counts.disordered += u64::from(seq <= slot.seq);
            }
            slot.seq = seq;
            let id = memmem::find(line, br#""id":""#).unwrap() + 6;
            let id = line[id..].split(|&byte| byte == b'"').next().unwrap();
            slot.id.clear();
            slot.id.push_str(std::str::from_utf8(id).unwrap());
        }
        let room_number = room;
        let room = &mut self.rooms[room];
        if !room.touched {
            room.touched = true;
            self.touched.push(room_number);
        }
    }

    fn told(&mut self, number: usize, line: &[u8]) {
        let client = &mut self.clients[number];
        let is = |kind: &str| line.starts_with(format!(r#"{{"type":"{kind}""#).as_bytes());
        if line.starts_with(br#"{"type":"joined""#) {
            client.changes += 1;
            self.note(number, line);
        } else if is("members") {
            client.pages += 1;
            self.note(number, line);
        } else if is("left") {
            client.changes += 1;
        } else if is("ping") {
            client.out.extend_from_slice(b"{\"type\":\"pong\"}\n");
        } else if is("challenge") {
            client.challenged(line);
        } else if is("welcome") {
            client.welcomed(line);
            self.joined += 1;
        } else if is("found") {
            let found: serde_json::Value = serde_json::from_slice(line).unwrap();
            let number = |field: &str| found[field].as_u64().unwrap();
            self.found = Some((number("indexed"), number("head")));
        } else if is("error") || is("bye") {
            let error: serde_json::Value = serde_json::from_slice(line).unwrap();
            self.errors.insert(error["message"].to_string());
        }
    }

    /// Notes whom a frame tells of.
    fn note(&mut self, number: usize, line: &[u8]) {
        let client = &mut self.clients[number];
        if client.told.is_empty() {
            return;
        }
        for at in memmem::find_iter(line, br#""nickname":"u"#) {
            let digits = line[at + 13..].split(|byte| !byte.is_ascii_digit()).next();
            let who = usize::try_from(figure(digits.unwrap())).unwrap();
            if !std::mem::replace(&mut client.told[who], true) {
                client.told_count += 1;
                self.complete += usize::from(client.told_count == self.notes);
            }
        }
    }

    /// The next publisher of a room says one thing more, which was due then.
    pub(crate) fn say(&mut self, room: usize, due: u64) -> usize {
        let number = room;
        let room = &mut self.rooms[room];
        let publisher = room.turn % room.publishers.len();
        room.turn += 1;
        let mut text = [b'x'; PAYLOAD];
        text[..MARK.len()].copy_from_slice(MARK);
        put(&mut text[ROOM], number as u64);
        put(&mut text[PUBLISHER], publisher as u64);
        put(&mut text[NUMBER], room.sent[publisher]);
        put(&mut text[DUE], due);
        room.sent[publisher] += 1;
        let client = room.publishers[publisher];
        self.clients[client].publish(number, &text);
        client
    }

    /// As [`say`](Self::say), and at once.
    pub(crate) fn say_now(&mut self, room: usize) {
        let client = self.say(room, self.now());
        self.flush(client);
    }

    /// In each room in which something was heard, says more until the slowest member is `window`
    /// messages behind; at least an eighth of that at a time.
    pub(crate) fn refill(&mut self, window: u64) {
        for number in std::mem::take(&mut self.touched) {
            self.rooms[number].touched = false;
            self.refill_room(number, window);
        }
    }

    /// The same in one room, whatever was heard.
    pub(crate) fn refill_room(&mut self, number: usize, window: u64) {
        let free = window.saturating_sub(
            self.rooms[number]
                .said()
                .saturating_sub(self.slowest(number)),
        );
        if free == 0 || free < window / 8 {
            return;
        }
        for _ in 0..free {
            self.say(number, 0);
        }
        for publisher in self.rooms[number].publishers.clone() {
            self.flush(publisher);
        }
    }

    /// Before the first refill: nobody has heard anything yet.
    pub(crate) fn touch_all(&mut self) {
        for (number, room) in self.rooms.iter_mut().enumerate() {
            if !room.touched && !room.publishers.is_empty() {
                room.touched = true;
                self.touched.push(number);
            }
        }
    }

    /// What the slowest member of a room has heard.
    fn slowest(&self, number: usize) -> u64 {
        let room = &self.rooms[number];
        let members = room.members.iter().map(|&member| &self.clients[member]);
        members
            .filter(|client| client.stage != Stage::Gone)
            .map(|client| {
                let slot = &client.slots[number - client.rooms.start];
                slot.next.iter().flatten().sum()
            })
            .min()
            .unwrap_or(u64::MAX)
    }

    /// Messages that were said and have not come.
    pub(crate) fn missing(&self) -> u64 {
        let clients = self
            .clients
            .iter()
            .filter(|client| client.stage != Stage::Gone && !client.deaf);
        let missing = clients.flat_map(|client| {
            client
                .slots
                .iter()
                .zip(client.rooms.clone())
                .map(|(slot, number)| {
                    let pairs = self.rooms[number].sent.iter().zip(&slot.next);
                    pairs
                        .map(|(&sent, next)| next.map_or(0, |next| sent.saturating_sub(next)))
                        .sum::<u64>()
                })
        });
        missing.sum::<u64>()
    }

    /// Reads on until all has come, or nothing comes any more.
    fn settle(&mut self) {
        let mut last = (Instant::now(), self.counts.bytes);
        let begin = Instant::now();
        loop {
            self.poll(Duration::from_millis(10));
            if self.counts.bytes != last.1 {
                last = (Instant::now(), self.counts.bytes);
            } else if self.missing() == 0 || last.0.elapsed() > QUIET {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "it does not come to rest");
        }
    }

    /// What is wrong, once all has come to rest. What has not come by then has another chance when
    /// each publisher says one thing more.
    pub(crate) fn faults(&mut self) -> Faults {
        self.settle();
        let open = self.missing();
        if open > 0 {
            for room in 0..self.rooms.len() {
                for _ in 0..self.rooms[room].publishers.len() {
                    self.say_now(room);
                }
            }
            self.settle();
        }
        let missing = self.missing();
        if !self.errors.is_empty() {
            eprintln!("errors: {:?}", self.errors);
        }
        Faults {
            lost: self.counts.lost,
            disordered: self.counts.disordered,
            stuck: open.saturating_sub(missing),
            missing,
            dropped: self.counts.dropped,
        }
    }

    /// Talks for so long with full windows.
    pub(crate) fn talk(&mut self, window: u64, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.refill(window);
            self.poll(Duration::from_millis(10));
        }
    }

    /// Talks for so long at a steady rate, in these rooms in turn, whoever is late; what else is to
    /// be done in a round is done, too. How late the generator itself was at the most.
    pub(crate) fn beat(
        &mut self,
        rooms: Range<usize>,
        per_second: u64,
        time: Duration,
        mut besides: impl FnMut(&mut Self),
    ) -> Duration {
        let pause = 1_000_000_000 / per_second;
        let mut due = self.now();
        let end = due + u64::try_from(time.as_nanos()).unwrap();
        let mut room = rooms.clone().cycle();
        let mut late = 0;
        while due < end {
            let now = self.now();
            if due <= now {
                late = late.max(now - due);
                let client = self.say(room.next().unwrap(), due);
                self.flush(client);
                due += pause;
            }
            besides(self);
            let left = due.saturating_sub(self.now());
            self.poll(Duration::from_nanos(left));
        }
        Duration::from_nanos(late)
    }
}

fn figure(digits: &[u8]) -> u64 {
    digits
        .iter()
        .fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

fn put(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap();
        number /= 10;
    }
}
