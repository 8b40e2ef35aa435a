//! The truth: the commits of the store. Everything that a client shows is compared with it.

use std::collections::{HashMap, HashSet};

use chat_tui::{
    protocol::{
        DeviceId, EntryKind, Epoch, Extent, MessageId, Nickname, RoomName, ServerFrame, UserId,
        wire::parse_server,
    },
    server::log::{Committed, StateRecord},
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

/// A broken rule, in words.
pub(crate) type Fault = String;

/// Returns the server's rooms, in its order.
pub(crate) fn rooms() -> [RoomName; 2] {
    [
        RoomName::lobby(),
        RoomName::parse("build").expect("a room's name"),
    ]
}

/// One committed entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: MessageId,
    pub(crate) user: UserId,
    pub(crate) nickname: Nickname,
    pub(crate) time: Timestamp,
    pub(crate) clock_was: Option<Timestamp>,
    pub(crate) unproven: bool,
    pub(crate) text: String,
}

/// One log, including evicted entries.
#[derive(Debug, Default)]
struct Log {
    rooms: HashMap<RoomName, Room>,
    texts: HashMap<String, (RoomName, u64)>,
    ids: HashMap<MessageId, u64>,
    /// The numbers of the lobby's texts, by their first words.
    starts: HashMap<String, u64>,
}

/// One room: entry `seq` is at index `seq` - 1.
#[derive(Debug, Default)]
struct Room {
    entries: Vec<Entry>,
    /// Entries below this number were evicted.
    evicted_below: u64,
}

/// All commits so far.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    logs: HashMap<Epoch, Log>,
    /// The nickname that each user was last told is theirs, and the log's epoch.
    nicknames: HashMap<UserId, (Epoch, Nickname)>,
    /// The devices with which users with a key joined, and the log's epoch.
    devices: HashSet<(Epoch, DeviceId)>,
}

/// Nicknames that one user may own; beyond that the longest unused ones are released.
const NICKNAMES_MAX: usize = 4;

/// The stored record of a nickname's owner.
#[derive(Deserialize)]
struct Owned {
    user: String,
    nickname: String,
}

impl Truth {
    /// Records a commit, and checks its numbers and ids.
    pub(crate) fn commit(&mut self, epoch: Epoch, committed: &Committed) -> Result<(), Fault> {
        let names = rooms();
        let log = self.logs.entry(epoch).or_default();
        for run in &committed.runs {
            let name = &names[run.room.at()];
            for seq in run.segment.first()..run.segment.next() {
                let frame = run.segment.frame(seq).ok_or("a run has a hole")?;
                log.take(name, seq, frame)?;
            }
        }
        for (room, first) in &committed.firsts {
            let room = log.rooms.entry(names[room.at()].clone()).or_default();
            if *first <= room.evicted_below || *first > room.entries.len() as u64 + 1 {
                return Err(format!("history begins at {first} all at once"));
            }
            room.evicted_below = *first;
        }
        Ok(())
    }

    /// Checks that messages have the time of the clock, whatever it showed before: `now`, when they
    /// were given to the store.
    pub(crate) fn check_times(committed: &Committed, now: Timestamp) -> Result<(), Fault> {
        for run in &committed.runs {
            for seq in run.segment.first()..run.segment.next() {
                let frame = run.segment.frame(seq).ok_or("a run has a hole")?;
                if let Ok(ServerFrame::Entry(message)) = parse_server(frame)
                    && !within_two_minutes(message.time, now)
                {
                    let time = message.time;
                    return Err(format!("{seq} was said at {now}, and is of {time}"));
                }
            }
        }
        Ok(())
    }

    /// Records that a user with a key was told that a nickname is theirs.
    pub(crate) fn owns(&mut self, epoch: Epoch, user: UserId, nickname: Nickname) {
        self.nicknames.insert(user, (epoch, nickname));
    }

    /// Records that a user with a key joined with a device.
    pub(crate) fn owns_device(&mut self, epoch: Epoch, device: DeviceId) {
        self.devices.insert((epoch, device));
    }

    /// Whether a user with a key joined with a device, in this log.
    pub(crate) fn is_owned(&self, epoch: Epoch, device: DeviceId) -> bool {
        self.devices.contains(&(epoch, device))
    }

    /// Checks that announced owners of nicknames are stored.
    pub(crate) fn check_nicknames(&self, epoch: Epoch, facts: &[StateRecord]) -> Result<(), Fault> {
        let facts = facts.iter().filter(|fact| &*fact.kind == "nickname");
        let owned = facts.filter_map(|fact| serde_json::from_str(fact.value.as_ref()?).ok());
        let owned: Vec<Owned> = owned.collect();
        for (user, (of, nickname)) in &self.nicknames {
            let user = user.to_string();
            let own = owned.iter().filter(|owned| owned.user == user);
            let own: Vec<_> = own.map(|owned| owned.nickname.as_str()).collect();
            if *of == epoch && own.len() < NICKNAMES_MAX && !own.contains(&nickname.as_str()) {
                return Err(format!(
                    "{user} was told to own {nickname}, kept is {own:?}"
                ));
            }
        }
        Ok(())
    }

    /// Begins another log with the first entries of this one, as far as `extents` go.
    pub(crate) fn begin(&mut self, epoch: Epoch, of: Epoch, extents: &[Extent]) {
        let mut log = Log::default();
        for (name, extent) in rooms().into_iter().zip(extents) {
            for seq in 1..=extent.head {
                if let Some(entry) = self.entry(of, &name, seq) {
                    log.add(&name, seq, entry.clone());
                }
            }
            log.rooms.entry(name).or_default().evicted_below = extent.first;
        }
        self.logs.insert(epoch, log);
    }

    fn room(&self, epoch: Epoch, room: &RoomName) -> Option<&Room> {
        self.logs.get(&epoch)?.rooms.get(room)
    }

    /// Returns the entry with a number.
    pub(crate) fn entry(&self, epoch: Epoch, room: &RoomName, seq: u64) -> Option<&Entry> {
        let at = usize::try_from(seq).ok()?.checked_sub(1)?;
        self.room(epoch, room)?.entries.get(at)
    }

    /// Returns all entries that a log ever held.
    pub(crate) fn entries(&self, epoch: Epoch) -> impl Iterator<Item = (&RoomName, &Entry)> {
        let rooms = self.logs.get(&epoch).into_iter().flat_map(|log| &log.rooms);
        rooms.flat_map(|(name, room)| room.entries.iter().map(move |entry| (name, entry)))
    }

    /// Returns the number of a text; no text is typed twice.
    pub(crate) fn find(&self, epoch: Epoch, text: &str) -> Option<u64> {
        let (_, seq) = self.logs.get(&epoch)?.texts.get(text)?;
        Some(*seq)
    }

    /// Whether any log ever held a text.
    pub(crate) fn was_stored(&self, text: &str) -> bool {
        self.logs.values().any(|log| log.texts.contains_key(text))
    }

    /// Returns the number of the lobby's message whose text begins with the same word: for parts.
    pub(crate) fn find_start(&self, epoch: Epoch, text: &str) -> Option<u64> {
        let start = text.split(' ').next()?;
        self.logs.get(&epoch)?.starts.get(start).copied()
    }

    /// The highest number.
    pub(crate) fn head(&self, epoch: Epoch, room: &RoomName) -> u64 {
        self.room(epoch, room)
            .map_or(0, |room| room.entries.len() as u64)
    }

    /// The lowest number still held.
    pub(crate) fn first(&self, epoch: Epoch, room: &RoomName) -> u64 {
        self.room(epoch, room)
            .map_or(1, |room| room.evicted_below.max(1))
    }

    /// Checks that one device's messages keep the order of their typing.
    pub(crate) fn check_order(&self) -> Result<(), Fault> {
        for room in self.logs.values().flat_map(|log| log.rooms.values()) {
            let mut latest: HashMap<_, u64> = HashMap::new();
            for (seq, entry) in (1..).zip(&room.entries) {
                let MessageId { device, counter } = entry.id;
                let before = latest.insert(device, counter).unwrap_or(0);
                if counter <= before {
                    return Err(format!(
                        "number {seq} has the counter {counter} after {before}"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The tolerance of a time against the clock's. Each of two clocks may stand still for a minute:
/// the server's and, over a restart, the room's.
fn within_two_minutes(one: Timestamp, other: Timestamp) -> bool {
    one.duration_since(other).abs() <= SignedDuration::from_mins(2)
}

/// The correction up to which a clock that goes back stands still.
fn within_a_minute(one: Timestamp, other: Timestamp) -> bool {
    one.duration_since(other).abs() <= SignedDuration::from_mins(1)
}

impl Log {
    fn take(&mut self, name: &RoomName, seq: u64, frame: &[u8]) -> Result<(), Fault> {
        let Ok(ServerFrame::Entry(message)) = parse_server(frame) else {
            return Err(format!("number {seq} of the log is no message"));
        };
        let room = self.rooms.entry(name.clone()).or_default();
        let head = room.entries.len() as u64;
        if message.seq != seq || seq != head + 1 || message.room != *name {
            return Err(format!("number {seq} of #{name} follows {head} in the log"));
        }
        let chat_tui::protocol::Entry {
            id,
            time,
            clock_was,
            author,
            kind,
            ..
        } = message;
        let set_back = clock_was.is_some_and(|was| was > time);
        if room.entries.last().is_some_and(|last| last.time > time) && !set_back {
            return Err(format!("the time of {seq} is before that of {head}"));
        }
        if clock_was.is_some_and(|was| within_a_minute(was, time)) {
            return Err(format!("{seq} is marked for next to nothing"));
        }
        let EntryKind::Text(text) = kind else {
            return Err(format!("number {seq} of the log is no message"));
        };
        let text = text.body.as_str().to_owned();
        let unproven = !author.proven;
        let chat_tui::protocol::Author { user, nickname, .. } = author;
        let entry = Entry {
            id,
            user,
            nickname,
            time,
            clock_was,
            unproven,
            text,
        };
        self.add(name, seq, entry).map_or(Ok(()), |(text, before)| {
            Err(format!("{text:?} is in the log as {before} and as {seq}"))
        })
    }

    /// Adds an entry; returns its text and the number under which it, or its id, was there before.
    fn add(&mut self, name: &RoomName, seq: u64, entry: Entry) -> Option<(String, u64)> {
        let text = entry.text.clone();
        let same_text = self.texts.insert(text.clone(), (name.clone(), seq));
        let same_id = self.ids.insert(entry.id, seq);
        if *name == RoomName::lobby()
            && let Some(start) = text.split(' ').next()
        {
            self.starts.insert(start.to_owned(), seq);
        }
        self.rooms
            .entry(name.clone())
            .or_default()
            .entries
            .push(entry);
        let before = same_text.map(|(_, seq)| seq).or(same_id);
        before.map(|before| (text, before))
    }
}
