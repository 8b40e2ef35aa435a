//! A screen that is used, for the tests: what the user does and hears, and what comes of it.

mod keys;
mod session;

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

use super::{
    Effect, HostChoice, Model, Msg, Now, Popup, Start,
    room::{OutgoingState, Scroll},
    timeline::{ENTRIES_MAX, Entry},
    update,
};
use crate::{
    client::event::{
        Command, Delivery, Entered, Event, Link, LocalId, Received, Restored, RoomOpened, Summary,
    },
    protocol::{
        Nickname, RoomName, UserId,
        frame::{Departure, Member, Reset},
    },
    text::{Body, Line},
    tui::key::{Code, Key},
};

const ESC: Key = Key::plain(Code::Esc);
const ENTER: Key = Key::plain(Code::Enter);
const PAGE_UP: Key = Key::plain(Code::PageUp);
const CTRL_C: Key = Key::ctrl(Code::Char('c'));

fn nickname(name: &str) -> Nickname {
    Nickname::parse(name).unwrap()
}

fn user(name: &str) -> UserId {
    let mut bytes = [0; 12];
    bytes
        .iter_mut()
        .zip(name.bytes())
        .for_each(|(to, from)| *to = from);
    UserId::from_bytes(bytes)
}

fn member(name: &str) -> Member {
    Member {
        user: user(name),
        nickname: nickname(name),
        since: Timestamp::UNIX_EPOCH,
    }
}

/// A screen that is used.
struct Desk {
    model: Model,
    /// What was to be done since it was last looked at.
    effects: Vec<Effect>,
}

impl Desk {
    fn new() -> Self {
        let start = Start {
            now: Now {
                wall: Timestamp::UNIX_EPOCH,
                elapsed: Duration::ZERO,
            },
            zone: TimeZone::UTC,
            width: 60,
            height: 20,
            host: "localhost:10500".to_owned(),
            nickname: nickname("carol"),
            hosting: false,
            restored: Restored::default(),
        };
        Self {
            model: Model::new(start),
            effects: Vec::new(),
        }
    }

    /// In, with others.
    fn online() -> Self {
        let mut desk = Self::new();
        desk.heard(Event::Link(Link::Online))
            .heard(Event::Entered(Entered {
                user: Some(user("carol")),
                nickname: nickname("carol"),
                server: None,
                limits: None,
            }))
            .opened(1, None)
            .heard(Event::Members {
                room: RoomName::lobby(),
                members: ["carol", "bob", "bert"].map(member).to_vec(),
            });
        desk
    }

    fn msg(&mut self, msg: Msg) -> &mut Self {
        self.effects.extend(update(&mut self.model, msg));
        self
    }

    fn heard(&mut self, event: Event) -> &mut Self {
        self.msg(Msg::Session(event))
    }

    fn key(&mut self, key: Key) -> &mut Self {
        self.msg(Msg::Key(key))
    }

    fn typed(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            self.key(Key::plain(Code::Char(c)));
        }
        self
    }

    fn pasted(&mut self, text: &str) -> &mut Self {
        self.msg(Msg::Pasted(text.to_owned()))
    }

    fn passes(&mut self, elapsed: Duration) -> &mut Self {
        let wall = Timestamp::UNIX_EPOCH;
        self.msg(Msg::Now(Now { wall, elapsed }))
    }

    fn opened(&mut self, next: u64, reset: Option<Reset>) -> &mut Self {
        self.heard(Event::Room(RoomOpened {
            room: RoomName::lobby(),
            topic: None,
            first: 1,
            head: 0,
            next,
            reset,
        }))
    }

    fn message(&mut self, seq: u64, who: &str, text: &str) -> &mut Self {
        self.echo(seq, who, text, None)
    }

    fn echo(&mut self, seq: u64, who: &str, text: &str, local: Option<u64>) -> &mut Self {
        self.heard(Event::Message(Received {
            room: RoomName::lobby(),
            seq: Some(seq),
            id: None,
            user: Some(user(who)),
            nickname: nickname(who),
            time: Timestamp::UNIX_EPOCH,
            body: Body::inert(text),
            local: local.map(LocalId),
        }))
    }

    fn outbox(&mut self, local: u64, text: &str, delivery: Delivery) -> &mut Self {
        self.heard(Event::Outbox {
            local: LocalId(local),
            room: RoomName::lobby(),
            body: Body::inert(text),
            delivery,
        })
    }

    /// Many messages, so that there is something to scroll through.
    fn full() -> Self {
        let mut desk = Self::online();
        for seq in 1..=100 {
            desk.message(seq, "bob", &format!("message {seq}"));
        }
        desk
    }

    fn done(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    fn sent(&mut self) -> Vec<String> {
        self.done()
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Command(Command::Send { body, .. }) => Some(body.as_str().to_owned()),
                _ => None,
            })
            .collect()
    }

    fn text(&self) -> &str {
        self.model.writing().text()
    }

    /// The text on top of what is shown.
    fn on_top(&self) -> String {
        let layout = self.model.layout();
        let room = self.model.room();
        let (place, _) = room.top_place(&layout.columns, layout.messages.height);
        room.timeline.get(place.index).unwrap().text().to_owned()
    }

    fn follows(&self) -> bool {
        self.model.room().scroll == Scroll::Follow
    }

    /// The scrollback in a few words an entry.
    fn entries(&self) -> Vec<String> {
        let room = self.model.room();
        let log = room.timeline.iter().map(|entry| match entry {
            Entry::Day(_) => "day".to_owned(),
            Entry::Message(message) => match message.own {
                None => message.body.as_str().to_owned(),
                Some(own) => format!("{} {own:?}", message.body.as_str()),
            },
            other => other.text().to_owned(),
        });
        let outbox = room.outbox.iter().map(|outgoing| {
            let state = match &outgoing.state {
                OutgoingState::Failed(why) => format!("Failed({why})"),
                other => format!("{other:?}"),
            };
            format!("{} {state}", outgoing.body.as_str())
        });
        log.chain(outbox).filter(|text| text != "day").collect()
    }
}

fn leaves() -> Vec<Effect> {
    vec![Effect::Command(Command::Leave)]
}

fn refuse_nickname(desk: &mut Desk) {
    desk.heard(Event::NicknameRefused {
        nickname: nickname("carol"),
        why: Line::inert("Nickname already in use"),
        waiting: true,
    });
}
