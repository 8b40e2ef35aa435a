//! A screen in use, for the tests of the model and the view: the user's input and the session's
//! events go in, effects come out.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

use super::{
    app::{Effect, Model, Msg, Start, update},
    key::Key,
};
use crate::{
    client::event::{
        Command, ConnectionStatus, Delivery, Entered, Event, LocalId, OutboxMessage, Page,
        Restored, Security, VerifiedBy,
    },
    protocol::{
        Author, Content, DeviceId, Entry, EntryKind, Extent, Fingerprint, KeyTag, MessageId,
        Nickname, Role, RoomName, UserId,
        entry::{Text, UnknownKind},
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
        room: RoomName::lobby(),
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
}

impl Desk {
    /// The screen before anything has happened.
    pub(super) fn start(start: Start) -> Self {
        Self {
            model: Model::new(start),
            effects: Vec::new(),
        }
    }

    /// Sets the server's address.
    pub(super) fn is_on(&mut self, server: &str) {
        server.clone_into(&mut self.model.server.name);
        server.clone_into(&mut self.model.panes.focused_mut().key.server);
    }

    /// Applies a message.
    pub(super) fn msg(&mut self, msg: Msg) -> &mut Self {
        self.effects.extend(update(&mut self.model, msg));
        self
    }

    /// Applies an event of the session.
    pub(super) fn heard(&mut self, event: Event) -> &mut Self {
        self.msg(Msg::Session(event))
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
            room: RoomName::lobby(),
            members: members.to_vec(),
        })
    }

    /// Changes the state of one of our messages.
    pub(super) fn outbox(&mut self, local: u64, text: &str, delivery: Delivery) -> &mut Self {
        self.heard(Event::Outbox(OutboxMessage {
            local: LocalId(local),
            room: RoomName::lobby(),
            content: Content::Text(Body::inert(text)),
            delivery,
        }))
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
            room: RoomName::lobby(),
            part,
            page: Ok(page),
        })
    }
}

/// The event that opens the lobby.
pub(super) fn opened(first: u64, head: u64, next: u64, reset: Option<Reset>) -> Event {
    Event::Room(RoomStart {
        changed: 0,
        redacted: 0,
        room: RoomName::lobby(),
        topic: None,
        extent: Extent::new(first, head),
        next,
        reset,
    })
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
