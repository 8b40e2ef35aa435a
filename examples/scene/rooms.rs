//! Several rooms, some with something new.

use chat_tui::{
    client::event::Event,
    protocol::{Entry, Extent, ReadState, RoomId, RoomInfo, RoomName, frame::RoomStart},
};

use super::{ago, entries, log_message, member, nickname, user};

/// What was said: room, minutes ago, sender, text.
const SAID: &[(&str, i64, &str, &str)] = &[
    ("random", 700, "carol", "who has the key of the bike shed?"),
    ("ops", 300, "carol", "the backup ran"),
    ("build", 200, "carol", "starting run 88"),
    ("ops", 30, "erin", "@carol the nas is at 91 %"),
    ("build", 20, "gitea", "run 88 failed"),
    ("build", 12, "bob", "that was the flaky one"),
    ("build", 5, "gitea", "run 89 passed in 3 m 12 s"),
    ("lunch", 2, "dave", "noodles at half past twelve?"),
];

/// The events that open the rooms, and what is said in them.
pub(crate) fn events() -> Vec<Event> {
    let rooms = ["random", "ops", "build", "lunch", "off-topic"];
    let mut events: Vec<_> = rooms.into_iter().map(opened).collect();
    for (room, minutes, who, text) in SAID {
        let before = events.iter().filter(|event| is_in(event, room)).count();
        let seq = u64::try_from(before).unwrap_or(0) + 1;
        let mut entry = Entry {
            room: self::room(room),
            time: ago(-minutes),
            ..log_message(seq)
        };
        entry.author.user = user(who);
        entry.author.nickname = nickname(who);
        entry.kind = entries::text(text);
        events.push(Event::Message(entry.into()));
    }
    events.push(Event::Members {
        room: room("build"),
        members: ["bob", "carol", "gitea"].map(member).to_vec(),
    });
    events
}

fn opened(name: &str) -> Event {
    Event::Room(Box::new(RoomStart {
        changed: 0,
        redacted: 0,
        room: room(name),
        info: RoomInfo::public(name_of(name)),
        read: ReadState::default(),
        extent: Extent::new(1, 0),
        next: 1,
        reset: None,
    }))
}

fn is_in(event: &Event, name: &str) -> bool {
    matches!(event, Event::Message(received) if received.said.room() == room(name))
}

fn name_of(name: &str) -> RoomName {
    RoomName::parse(name).expect("a room's name")
}

fn room(name: &str) -> RoomId {
    RoomId::named(&name_of(name), 0)
}
