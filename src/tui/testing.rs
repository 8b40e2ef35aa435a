//! A screen in use, for the tests of the model and the view: the user's input and the session's
//! events go in, effects come out.

use std::{collections::BTreeMap, time::Duration};

use jiff::{Timestamp, tz::TimeZone};

use super::{
    app::{
        Effect, Model, Msg, Start,
        pane::{Pane, PaneKey},
        update,
    },
    key::Key,
};
use crate::{
    client::event::{
        Command, ConnectionStatus, Delivery, Entered, Event, LocalId, OutboxMessage, Page,
        Received, Restored, Said, Security, VerifiedBy,
    },
    protocol::{
        Author, Content, Count, DeviceId, Entry, EntryKind, Extent, Fingerprint, KeyTag, Mentions,
        MessageId, Nickname, Person, Preferences, ReadState, Role, RoomId, RoomInfo, RoomKind,
        RoomName, UserId,
        entry::{RoomChange, RoomEvent, Text, UnknownKind},
        frame::{Member, Part, Reset, RoomStart},
    },
    text::{Body, Line},
    time::Now,
};

/// A nickname.
pub(super) fn nickname(name: &str) -> Nickname {
    Nickname::parse(name).unwrap()
}

/// The id of the user with this name.
pub(super) fn user(name: &str) -> UserId {
    let mut bytes = [0; 12];
    bytes
        .iter_mut()
        .zip(name.bytes())
        .for_each(|(to, from)| *to = from);
    UserId::from_bytes(bytes)
}

/// The room with this name.
pub(super) fn room(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

/// A member who has been here since the start.
pub(super) fn member(name: &str) -> Member {
    Member {
        user: user(name),
        nickname: nickname(name),
        since: Timestamp::UNIX_EPOCH,
        role: Role::Member,
    }
}

/// A message of the lobby's log.
pub(super) fn logged(seq: u64, time: Timestamp, who: &str, text: &str) -> Entry {
    Entry {
        room: RoomId::LOBBY,
        seq,
        id: id(seq),
        author: Author {
            user: user(who),
            nickname: nickname(who),
            proven: true,
        },
        time,
        clock_was: None,
        kind: EntryKind::Text(Text {
            body: Body::inert(text),
            mentions: Mentions::NONE,
            edited: None,
        }),
    }
}

/// The id of the lobby's entry with this number.
pub(super) fn id(seq: u64) -> MessageId {
    MessageId {
        device: DeviceId::from_bytes([9; 12]),
        counter: seq,
    }
}

/// An edit of the lobby's entry `target`.
pub(super) fn edit(seq: u64, time: Timestamp, who: &str, target: u64, text: &str) -> Entry {
    Entry {
        kind: EntryKind::Edit {
            target: id(target),
            body: Some(Body::inert(text)),
            mentions: Mentions::NONE,
        },
        ..logged(seq, time, who, "")
    }
}

/// A deletion of the lobby's entry `target`.
pub(super) fn redaction(seq: u64, time: Timestamp, who: &str, target: u64) -> Entry {
    Entry {
        kind: EntryKind::Redaction {
            target: id(target),
            reason: None,
        },
        ..logged(seq, time, who, "")
    }
}

/// An entry that says what happened to the lobby.
pub(super) fn happened(seq: u64, time: Timestamp, who: &str, alt: &str) -> Entry {
    Entry {
        kind: EntryKind::Event(Box::new(RoomEvent {
            change: RoomChange::Joined,
            alt: Line::inert(alt),
        })),
        ..logged(seq, time, who, "")
    }
}

/// An entry of an unknown kind.
pub(super) fn poll(seq: u64, time: Timestamp, who: &str, alt: Option<&str>) -> Entry {
    Entry {
        kind: EntryKind::Unknown(Box::new(UnknownKind {
            name: Line::inert("poll"),
            target: None,
            erases: false,
            counts: true,
            alt: alt.map(Line::inert),
            raw: "{}".into(),
        })),
        ..logged(seq, time, who, "")
    }
}

/// The start values of a screen of this size, at `wall`.
pub(super) fn start(width: u16, height: u16, wall: Timestamp) -> Start {
    Start {
        now: Now {
            wall,
            mono: Duration::ZERO,
        },
        zone: TimeZone::UTC,
        width,
        height,
        host: "localhost:10500".to_owned(),
        nickname: nickname("carol"),
        room: RoomName::lobby(),
        hosting: false,
        key: KeyTag::parse("5a17c388").ok(),
        restored: Restored::default(),
    }
}

/// A screen in use.
pub(super) struct Desk {
    /// What it shows.
    pub(super) model: Model,
    /// The effects since they were last taken.
    effects: Vec<Effect>,
    /// What the session knows of what is unread in each room.
    reads: BTreeMap<RoomId, KnownRead>,
}

/// What a session knows of what is unread in a room.
#[derive(Default)]
struct KnownRead {
    state: ReadState,
    head: u64,
    /// The entries that have come: whether each counts, and whether it mentions the user.
    seen: BTreeMap<u64, (bool, bool)>,
}

impl KnownRead {
    fn see(&mut self, entry: &Entry) {
        let counts = entry.counts() && entry.author.user != user("carol");
        let mentions = entry.mentions().include(user("carol")) || entry.words().contains("@carol");
        self.seen.insert(entry.seq, (counts, counts && mentions));
        self.head = self.head.max(entry.seq);
    }

    /// Counts what is above the marker. Numbers that have not come count.
    fn count(&mut self) {
        let above = self.state.marker.seq + 1;
        let seen = || self.seen.range(above..).map(|(_, seen)| seen);
        let missing = (self.head + 1).saturating_sub(above) - seen().count() as u64;
        let unread = seen().filter(|(counts, _)| *counts).count() as u64 + missing;
        let mentions = seen().filter(|(_, mentions)| *mentions).count() as u64;
        self.state.unread = Count::new(unread);
        self.state.mentions = Count::new(mentions);
    }
}

impl Desk {
    /// The screen before anything has happened.
    pub(super) fn start(start: Start) -> Self {
        let mut reads = BTreeMap::new();
        for room in &start.restored.rooms {
            let known: &mut KnownRead = reads.entry(room.room).or_default();
            known.state = room.read;
            room.page.entries.iter().for_each(|entry| known.see(entry));
        }
        Self {
            model: Model::new(start),
            effects: Vec::new(),
            reads,
        }
    }

    /// Sets the server's address.
    pub(super) fn is_on(&mut self, server: &str) {
        server.clone_into(&mut self.model.server.name);
        server.clone_into(&mut self.model.panes.focused_mut().key.server);
    }

    /// Applies a message.
    pub(super) fn msg(&mut self, msg: Msg) -> &mut Self {
        let effects = update(&mut self.model, msg);
        for effect in &effects {
            match effect {
                Effect::Command(Command::MarkRead { room, seq }) => {
                    self.reads(*room, |known| {
                        let marker = &mut known.state.marker;
                        marker.seq = marker.seq.max(*seq);
                    });
                }
                Effect::Command(Command::SetMarker { room, seq }) => {
                    self.reads(*room, |known| {
                        known.state.marker = known.state.marker.set(*seq);
                    });
                }
                Effect::Command(Command::Prefer { room, preferences }) => {
                    self.reads(*room, |known| known.state.preferences = *preferences);
                }
                _ => {}
            }
        }
        self.effects.extend(effects);
        self
    }

    /// Applies an event of the session, which keeps what is unread.
    pub(super) fn heard(&mut self, mut event: Event) -> &mut Self {
        match &mut event {
            Event::Room(start) => {
                let is_new = !self.reads.contains_key(&start.room);
                let known = self.reads.entry(start.room).or_default();
                if start.reset.is_some() {
                    *known = KnownRead::default();
                } else if start.read != ReadState::default() {
                    known.state = start.read;
                } else if is_new {
                    // A member has read what was there before.
                    known.state.marker.seq = start.extent.head;
                }
                known.head = start.extent.head;
                if start.read == ReadState::default() {
                    known.count();
                }
                start.read = known.state;
            }
            Event::ReadState { room, read } => {
                self.reads.entry(*room).or_default().state = *read;
            }
            _ => {}
        }
        let said = match &event {
            Event::Message(Received {
                said: Said::Logged(entry),
                ..
            }) => Some(entry.clone()),
            _ => None,
        };
        self.msg(Msg::Session(event));
        if let Some(entry) = said {
            self.reads(entry.room, |known| known.see(&entry));
        }
        self
    }

    /// Changes what the session knows, and tells the screen what is unread now.
    fn reads(&mut self, room: RoomId, change: impl FnOnce(&mut KnownRead)) {
        let known = self.reads.entry(room).or_default();
        let before = known.state;
        change(known);
        known.count();
        let read = known.state;
        if read != before {
            self.msg(Msg::Session(Event::ReadState { room, read }));
        }
    }

    /// Sets the user's settings of a room, as another device does.
    pub(super) fn prefers(&mut self, name: &str, preferences: Preferences) {
        self.reads(room(name), |known| known.state.preferences = preferences);
    }

    /// Presses a key.
    pub(super) fn key(&mut self, key: Key) -> &mut Self {
        self.msg(Msg::Key(key))
    }

    /// Pastes a text.
    pub(super) fn pasted(&mut self, text: &str) -> &mut Self {
        self.msg(Msg::Pasted(text.to_owned()))
    }

    /// Lets time pass, counted from the start.
    pub(super) fn passes(&mut self, elapsed: Duration) -> &mut Self {
        let wall = self.model.now.wall;
        self.msg(Msg::Now(Now {
            wall,
            mono: elapsed,
        }))
    }

    /// Joins the server.
    pub(super) fn enters(&mut self) -> &mut Self {
        self.heard(Event::Security(Security::Encrypted {
            verified_by: VerifiedBy::Pin,
            fingerprint: Fingerprint::from_bytes([0xa7; 32]),
        }))
        .heard(Event::Connection(ConnectionStatus::Online))
        .heard(Event::Entered(Entered {
            user: Some(user("carol")),
            nickname: nickname("carol"),
            role: Role::Member,
            server: None,
            limits: None,
        }))
    }

    /// Opens the lobby, whose log has the numbers from `first` to `head`; messages come from `next`
    /// on.
    pub(super) fn opens(&mut self, first: u64, head: u64, next: u64) -> &mut Self {
        self.heard(opened(first, head, next, None))
    }

    /// Sends the lobby's member list.
    pub(super) fn members(&mut self, members: &[Member]) -> &mut Self {
        self.heard(Event::Members {
            room: RoomId::LOBBY,
            members: members.to_vec(),
        })
    }

    /// Changes the state of one of our messages.
    pub(super) fn outbox(&mut self, local: u64, text: &str, delivery: Delivery) -> &mut Self {
        self.heard(Event::Outbox(OutboxMessage {
            local: LocalId(local),
            room: RoomId::LOBBY,
            content: Content::Text(Body::inert(text)),
            delivery,
        }))
    }

    /// Opens a room whose log ends at `head`; messages come after that.
    pub(super) fn opens_room(&mut self, name: &str, head: u64) -> &mut Self {
        self.heard(Event::Room(Box::new(RoomStart {
            changed: 0,
            redacted: 0,
            room: room(name),
            info: RoomInfo::public(RoomName::parse(name).unwrap()),
            read: ReadState::default(),
            extent: Extent::new(1, head),
            next: head + 1,
            reset: None,
        })))
    }

    /// Receives a message in a room.
    pub(super) fn hears_in(
        &mut self,
        name: &str,
        seq: u64,
        time: Timestamp,
        who: &str,
        text: &str,
    ) -> &mut Self {
        let entry = Entry {
            room: room(name),
            ..logged(seq, time, who, text)
        };
        self.heard(Event::Message(entry.into()))
    }

    /// The pane of a room.
    pub(super) fn pane_in(&mut self, name: &str) -> &mut Pane {
        let server = self.model.server.name.clone();
        let key = PaneKey {
            server,
            room: room(name),
        };
        let at = self.model.panes.open(&key);
        &mut self.model.panes[at]
    }

    /// Makes a room a conversation with the member of its name.
    pub(super) fn talks_with(&mut self, name: &str) {
        let person = |name| Person {
            user: user(name),
            nickname: nickname(name),
        };
        self.pane_in(name).info = RoomInfo {
            kind: RoomKind::Direct,
            people: vec![person("carol"), person(name)],
            ..RoomInfo::default()
        };
    }

    /// The effects since this was last called.
    pub(super) fn done(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// The page that was requested since this or [`Self::done`] was last called.
    pub(super) fn asked(&mut self) -> Option<Part> {
        self.done().into_iter().find_map(|effect| match effect {
            Effect::Command(Command::Page { part, .. }) => Some(part),
            _ => None,
        })
    }

    /// Answers all requests for pages from a log, until there are no more.
    pub(super) fn loads(&mut self, log: &Log) -> &mut Self {
        while let Some(part) = self.asked() {
            self.paged(part, log.page(part));
        }
        self
    }

    /// Sends a page, requested or not.
    pub(super) fn paged(&mut self, part: Part, page: Page) -> &mut Self {
        self.model.panes.focused_mut().paging.asked = Some(part);
        self.heard(Event::Page {
            room: RoomId::LOBBY,
            part,
            page: Ok(page),
        })
    }
}

/// The event that opens the lobby.
pub(super) fn opened(first: u64, head: u64, next: u64, reset: Option<Reset>) -> Event {
    Event::Room(Box::new(RoomStart {
        changed: 0,
        redacted: 0,
        room: RoomId::LOBBY,
        info: RoomInfo::public(RoomName::lobby()),
        read: ReadState::default(),
        extent: Extent::new(first, head),
        next,
        reset,
    }))
}

/// A screen that has joined, with the latest `shown` messages of a log.
pub(super) fn joined(log: &Log, shown: u64) -> Desk {
    let mut desk = Desk::start(start(60, 20, Timestamp::UNIX_EPOCH));
    desk.enters()
        .opens(log.first, log.head, log.head + 1 - shown);
    for seq in log.head + 1 - shown..=log.head {
        desk.heard(Event::Message(Log::message(seq).into()));
    }
    desk
}

/// A log as a server stores it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Log {
    /// The lowest number.
    pub(super) first: u64,
    /// The highest number.
    pub(super) head: u64,
    /// The most messages of a page.
    pub(super) page: u64,
}

impl Log {
    /// One of its messages: runs of one sender, some long texts, several days.
    pub(super) fn message(seq: u64) -> Entry {
        let who = ["alice", "bob", "dave"][usize::try_from(seq / 3 % 3).unwrap()];
        let minutes = i64::try_from(seq).unwrap() * 20;
        let time = Timestamp::from_second(minutes * 60).unwrap();
        let more = "and so on ".repeat(usize::try_from(seq % 13).unwrap());
        let text = format!("message {seq} {more}");
        logged(seq, time, who, text.trim_end())
    }

    /// The answer to a request for a part.
    pub(super) fn page(&self, part: Part) -> Page {
        let (from, to) = match part {
            Part::Forward { from, to } => {
                let from = from.max(self.first);
                (from, to.min(self.head).min(from + self.page - 1))
            }
            Part::Backward { from, to } => {
                let to = to.min(self.head);
                (
                    from.max(self.first).max((to + 1).saturating_sub(self.page)),
                    to,
                )
            }
            Part::Since(time) => {
                let mut numbers = self.first..=self.head;
                let from = numbers
                    .find(|&seq| Self::message(seq).time >= time)
                    .unwrap_or(self.head + 1);
                (from, self.head.min(from + self.page - 1))
            }
        };
        Page {
            extent: Extent::new(self.first, self.head),
            from,
            to,
            entries: (from..=to).map(Self::message).collect(),
            offline: false,
        }
    }
}
