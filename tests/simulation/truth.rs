//! The truth: the commits of the store. Everything that a client shows is compared with it.

mod commit;
mod rule;

use std::collections::{BTreeMap, HashMap, HashSet};

use chat_tui::{
    protocol::{
        self, Content, DeviceId, Epoch, Extent, Mentions, MessageId, Nickname, RoomEvent, RoomId,
        RoomName, ServerFrame, UserId, wire::parse_server,
    },
    server::log::{Committed, StateRecord},
    text::Body,
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

/// The id of an entry of the server's own until its frame is seen. No device has it.
const NOT_KNOWN: MessageId = MessageId {
    device: DeviceId::from_bytes([0xff; 12]),
    counter: 0,
};

/// A broken rule, in words.
pub(crate) type Fault = String;

/// Returns the names of the operator's rooms.
pub(crate) fn room_names() -> [RoomName; 2] {
    [
        RoomName::lobby(),
        RoomName::parse("build").expect("a room's name"),
    ]
}

/// Returns the operator's rooms.
pub(crate) fn rooms() -> [RoomId; 2] {
    room_names().map(|name| RoomId::named(&name, 0))
}

/// The name of a content: no user here submits the same content twice.
pub(crate) fn key(content: &Content) -> String {
    match content {
        Content::Text(body) => body.as_str().to_owned(),
        Content::Edit { target, body } => format!("{target} becomes {}", body.as_str()),
        Content::Redaction { target, .. } => format!("{target} is erased, {}", content.words()),
    }
}

/// One committed entry, as it was submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: MessageId,
    pub(crate) user: UserId,
    pub(crate) nickname: Nickname,
    pub(crate) time: Timestamp,
    pub(crate) clock_was: Option<Timestamp>,
    pub(crate) unproven: bool,
    pub(crate) what: What,
}

/// What a committed entry holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// What a user submitted, and the users whom it mentions.
    Sent(Content, Mentions),
    /// What happened to its room.
    Noted(RoomEvent),
}

impl Entry {
    /// What a user submitted.
    pub(crate) fn content(&self) -> Option<&Content> {
        match &self.what {
            What::Sent(content, _) => Some(content),
            What::Noted(_) => None,
        }
    }

    /// The entry that it refers to.
    pub(crate) fn target(&self) -> Option<MessageId> {
        self.content()?.target()
    }

    /// The text that it brings.
    pub(crate) fn body(&self) -> Option<&Body> {
        self.content()?.body()
    }

    /// Its [`key`], if a user submitted it.
    pub(crate) fn key(&self) -> Option<String> {
        self.content().map(key)
    }
}

/// One log, including evicted entries.
#[derive(Debug, Default)]
struct Log {
    rooms: BTreeMap<RoomId, Room>,
    /// The numbers of entries by their [`key`].
    keys: HashMap<String, (RoomId, u64)>,
    ids: HashMap<MessageId, (RoomId, u64)>,
    /// The numbers of the lobby's messages, by the first words of all texts that they ever had.
    starts: HashMap<String, u64>,
    /// The numbers of the lobby's edits, by the first words of their texts.
    edit_starts: HashMap<String, u64>,
}

/// One room: entry `seq` is at index `seq` - 1.
#[derive(Debug, Default)]
struct Room {
    entries: Vec<Entry>,
    numbers: HashMap<MessageId, u64>,
    /// The numbers of the entries that refer to each entry.
    references: HashMap<MessageId, Vec<u64>>,
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
    /// The [`key`]s of contents that would have changed nothing, in whatever log.
    unchanged: HashSet<String>,
    /// Those that a user was told are refused for good.
    refused: HashSet<String>,
    /// The users who ever had a role by which they may erase what others wrote.
    moderators: HashSet<UserId>,
}

/// Nicknames that one user may own; beyond that the longest unused ones are released.
const NICKNAMES_MAX: usize = 4;

/// The part of a user's stored record that says what they may do.
#[derive(Deserialize)]
struct Account {
    role: String,
}

/// The part of a membership's stored record that says what the user may do in the room.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Member {
    moderator: bool,
}

/// The stored record of a nickname's owner.
#[derive(Deserialize)]
struct Owned {
    user: String,
    nickname: String,
}

impl Truth {
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
    pub(crate) fn begin(&mut self, epoch: Epoch, of: Epoch, extents: &[(RoomId, Extent)]) {
        let mut log = Log::default();
        for &(room, extent) in extents {
            for seq in 1..=extent.head {
                if let Some(entry) = self.entry(of, room, seq) {
                    log.add(room, seq, entry.clone());
                }
            }
            log.rooms.entry(room).or_default().evicted_below = extent.first;
        }
        self.logs.insert(epoch, log);
    }

    fn room(&self, epoch: Epoch, room: RoomId) -> Option<&Room> {
        self.logs.get(&epoch)?.rooms.get(&room)
    }

    /// Returns the entry with a number, as it was submitted.
    pub(crate) fn entry(&self, epoch: Epoch, room: RoomId, seq: u64) -> Option<&Entry> {
        self.room(epoch, room)?.entry(seq)
    }

    /// Returns all entries that a log ever held, as they were submitted, by room and number.
    pub(crate) fn entries(&self, epoch: Epoch) -> impl Iterator<Item = (RoomId, u64, &Entry)> {
        let rooms = self.logs.get(&epoch).into_iter().flat_map(|log| &log.rooms);
        rooms.flat_map(|(id, room)| {
            let entries = (1..).zip(&room.entries);
            entries.map(move |(seq, entry)| (*id, seq, entry))
        })
    }

    /// Returns the room and the number of an entry.
    pub(crate) fn place(&self, epoch: Epoch, id: MessageId) -> Option<(RoomId, u64)> {
        let (room, seq) = self.logs.get(&epoch)?.ids.get(&id)?;
        Some((*room, *seq))
    }

    /// Returns the number of a content, by its [`key`].
    pub(crate) fn find(&self, epoch: Epoch, key: &str) -> Option<u64> {
        let (_, seq) = self.logs.get(&epoch)?.keys.get(key)?;
        Some(*seq)
    }

    /// Whether any log ever held a content, by its [`key`].
    pub(crate) fn was_stored(&self, key: &str) -> bool {
        self.logs.values().any(|log| log.keys.contains_key(key))
    }

    /// Whether a user was told that a content, by its [`key`], was refused for good.
    pub(crate) fn was_refused(&self, key: &str) -> bool {
        self.refused.contains(key)
    }

    /// Records that a user was told of a refusal for good.
    pub(crate) fn refused(&mut self, key: String) {
        self.refused.insert(key);
    }

    /// Whether a content, by its [`key`], changed nothing when it was to be stored.
    pub(crate) fn was_unchanged(&self, key: &str) -> bool {
        self.unchanged.contains(key)
    }

    /// Returns the number of the lobby's message, or of the edit, whose text begins with the same
    /// word as what a legacy client is told: for parts.
    pub(crate) fn find_start(&self, epoch: Epoch, told: &str) -> Option<u64> {
        let log = self.logs.get(&epoch)?;
        let (starts, text) = match told.strip_prefix("(edited) ") {
            Some(text) => (&log.edit_starts, text),
            None => (&log.starts, told),
        };
        starts.get(text.split(' ').next()?).copied()
    }

    /// The highest number.
    pub(crate) fn head(&self, epoch: Epoch, room: RoomId) -> u64 {
        self.room(epoch, room).map_or(0, Room::head)
    }

    /// The lowest number still held.
    pub(crate) fn first(&self, epoch: Epoch, room: RoomId) -> u64 {
        self.room(epoch, room).map_or(1, Room::first)
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

impl Room {
    fn entry(&self, seq: u64) -> Option<&Entry> {
        let at = usize::try_from(seq).ok()?.checked_sub(1)?;
        self.entries.get(at)
    }

    fn head(&self) -> u64 {
        self.entries.len() as u64
    }

    /// The lowest number still held.
    fn first(&self) -> u64 {
        self.evicted_below.max(1)
    }
}

impl Log {
    /// Adds an entry; returns its key and the number under which it, or its id, was there before.
    fn add(&mut self, room: RoomId, seq: u64, entry: Entry) -> Option<(String, u64)> {
        let key = entry.key();
        let same_key = key
            .clone()
            .and_then(|key| self.keys.insert(key, (room, seq)));
        let known = entry.id != NOT_KNOWN;
        let same_id = known
            .then(|| self.ids.insert(entry.id, (room, seq)))
            .flatten();
        if room == RoomId::LOBBY
            && let Some(body) = entry.body()
            && let Some(start) = body.as_str().split(' ').next()
        {
            let message = entry.target().and_then(|id| self.ids.get(&id));
            let message = message.map_or(seq, |(_, message)| *message);
            self.starts.insert(start.to_owned(), message);
            if message != seq {
                self.edit_starts.insert(start.to_owned(), seq);
            }
        }
        let room = self.rooms.entry(room).or_default();
        if let Some(target) = entry.target() {
            room.references.entry(target).or_default().push(seq);
        }
        if known {
            room.numbers.insert(entry.id, seq);
        }
        room.entries.push(entry);
        let before = same_key.or(same_id).map(|(_, seq)| seq);
        before.map(|before| (key.unwrap_or_default(), before))
    }
}
