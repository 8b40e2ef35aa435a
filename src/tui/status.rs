//! `chat-tui status`: what is unread, in one line, for a prompt or a status bar. The server is asked,
//! within a limit; if it does not answer in time, or another process of the device is connected,
//! the figures are those of the client's own store.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use tokio::time::{Instant, timeout, timeout_at};

use super::user_text;
use crate::{
    client::{
        Command, Event,
        event::{ConnectionStatus, Restored},
        transport::ClientHandle,
    },
    protocol::{NotifyLevel, ReadState, RoomId, RoomInfo, RoomKind, UserId},
};

/// How long the server may take to answer.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(300);
/// How long leaving may take.
const LEAVE_WITHIN: Duration = Duration::from_millis(200);

/// What is unread.
#[derive(Clone, Debug, Default)]
pub struct Unread {
    user: Option<UserId>,
    rooms: BTreeMap<RoomId, (RoomInfo, ReadState)>,
    /// The rooms that the server has told of, and whether these are all.
    told: BTreeMap<RoomId, (RoomInfo, ReadState)>,
    complete: bool,
}

/// What is unread in one room.
#[derive(Clone, Debug)]
struct UnreadRoom<'a> {
    id: RoomId,
    info: &'a RoomInfo,
    read: &'a ReadState,
}

impl UnreadRoom<'_> {
    /// How many messages are for the user: in a direct conversation, all are.
    fn for_user(&self) -> u64 {
        match self.info.kind {
            RoomKind::Direct => self.read.unread.get(),
            RoomKind::Public | RoomKind::Private => self.read.mentions.get(),
        }
    }

    fn is_muted(&self) -> bool {
        self.read.preferences.notify == NotifyLevel::Nothing
    }
}

impl Unread {
    /// The figures of the client's own store.
    pub fn stored(restored: &Restored) -> Self {
        let rooms = restored.rooms.iter();
        Self {
            user: restored.user,
            rooms: rooms
                .map(|room| (room.room, (room.info.clone(), room.read)))
                .collect(),
            ..Self::default()
        }
    }

    /// Takes an event of the session. Returns whether no more need be waited for.
    fn event(&mut self, event: Event) -> bool {
        match event {
            Event::Entered(entered) => self.user = entered.user,
            Event::Room(start) => {
                self.told.insert(start.room, (start.info, start.read));
            }
            // The rooms come before anything that is in them.
            Event::Members { .. } | Event::Message(_) if !self.told.is_empty() => {
                self.complete = true;
                self.rooms = std::mem::take(&mut self.told);
            }
            Event::Connection(ConnectionStatus::Standby | ConnectionStatus::Stopped { .. })
            | Event::Ended(_) => return true,
            _ => {}
        }
        self.complete
    }

    /// Whether anything is known.
    pub fn is_known(&self) -> bool {
        self.complete || !self.rooms.is_empty()
    }

    /// The rooms with something unread: those first in which the user is meant. Muted rooms are left
    /// out unless the user is meant.
    fn unread(&self) -> Vec<UnreadRoom<'_>> {
        let rooms = self.rooms.iter();
        let mut rooms: Vec<_> = rooms
            .map(|(id, (info, read))| UnreadRoom {
                id: *id,
                info,
                read,
            })
            .filter(|room| room.for_user() > 0 || !room.read.unread.is_zero() && !room.is_muted())
            .collect();
        rooms.sort_by_cached_key(|room| (room.for_user() == 0, self.name(room)));
        rooms
    }

    fn name(&self, room: &UnreadRoom<'_>) -> String {
        let title = user_text::room_title(room.info, self.user);
        title.trim_start_matches(['#', '@']).to_owned()
    }

    /// The line: `bob @1 · ops @1 · build 4`, with `(stored)` behind it if the server has not
    /// answered.
    pub fn line(&self) -> String {
        let rooms = self.unread();
        let mut parts: Vec<_> = rooms
            .iter()
            .map(|room| {
                let name = self.name(room);
                let count = match (room.for_user(), room.info.kind) {
                    (0, _) => room.read.unread.to_string(),
                    (_, RoomKind::Direct) => format!("@{}", room.read.unread),
                    _ => format!("@{}", room.read.mentions),
                };
                format!("{name} {count}")
            })
            .collect();
        if !self.complete {
            let last = parts.pop();
            let last = last.map_or_else(String::new, |last| format!("{last} "));
            parts.push(format!("{last}(stored)"));
        }
        parts.join(" · ")
    }

    /// The same as a JSON object. Counts reach 100, which stands for that many or more.
    pub fn json(&self) -> String {
        let rooms: Vec<_> = self
            .unread()
            .iter()
            .map(|room| {
                json!({
                    "room": room.id.to_string(),
                    "name": self.name(room),
                    "direct": room.info.kind == RoomKind::Direct,
                    "unread": room.read.unread.get(),
                    "mentions": room.for_user(),
                })
            })
            .collect();
        json!({ "stored": !self.complete, "rooms": rooms }).to_string()
    }
}

/// Asks the server what is unread; the answer is that of the client's own store if it takes too
/// long.
pub async fn ask(session: &mut ClientHandle) -> Unread {
    let mut unread = Unread::stored(&session.restored);
    let until = Instant::now() + ANSWER_WITHIN;
    while let Ok(Some(event)) = timeout_at(until, session.events.recv()).await {
        if unread.event(event) {
            break;
        }
    }
    unread
}

/// Leaves, within a limit.
pub async fn leave(mut session: ClientHandle) {
    let leaving = async {
        if session.commands.send(Command::Leave).await.is_ok() {
            while session.events.recv().await.is_some() {}
        }
    };
    // The server notices the end of the connection anyway.
    let _ = timeout(LEAVE_WITHIN, leaving).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        client::event::{Entered, Page, RestoredRoom},
        protocol::{
            Count, Extent, Nickname, Person, Preferences, Role, RoomName, frame::RoomStart,
        },
    };

    fn user(byte: u8) -> UserId {
        UserId::from_bytes([byte; 12])
    }

    fn room(byte: u8) -> RoomId {
        RoomId::parse(&format!("{byte:02x}").repeat(12)).unwrap()
    }

    fn named(name: &str) -> RoomInfo {
        RoomInfo::public(RoomName::parse(name).unwrap())
    }

    fn with_bob() -> RoomInfo {
        let person = |byte, name| Person {
            user: user(byte),
            nickname: Nickname::parse(name).unwrap(),
        };
        RoomInfo {
            kind: RoomKind::Direct,
            people: vec![person(1, "bob"), person(7, "carol")],
            ..RoomInfo::default()
        }
    }

    fn read(unread: u64, mentions: u64) -> ReadState {
        ReadState {
            unread: Count::new(unread),
            mentions: Count::new(mentions),
            ..ReadState::default()
        }
    }

    fn stored(rooms: &[(RoomId, RoomInfo, ReadState)]) -> Unread {
        let rooms = rooms.iter().map(|(room, info, read)| RestoredRoom {
            room: *room,
            info: info.clone(),
            page: Page {
                extent: Extent::EMPTY,
                from: 1,
                to: 0,
                entries: Vec::new(),
                offline: true,
            },
            read: *read,
            draft: String::new(),
        });
        Unread::stored(&Restored {
            user: Some(user(7)),
            rooms: rooms.collect(),
            ..Restored::default()
        })
    }

    fn start(room: RoomId, info: RoomInfo, read: ReadState) -> Event {
        Event::Room(Box::new(RoomStart {
            changed: 0,
            redacted: 0,
            room,
            info,
            read,
            extent: Extent::EMPTY,
            next: 1,
            reset: None,
        }))
    }

    fn answered(unread: &mut Unread, rooms: Vec<Event>) {
        unread.event(Event::Entered(Entered {
            user: Some(user(7)),
            nickname: Nickname::parse("carol").unwrap(),
            role: Role::Member,
            server: None,
            limits: None,
        }));
        for event in rooms {
            assert!(!unread.event(event), "more may come");
        }
        assert!(unread.event(Event::Members {
            room: RoomId::LOBBY,
            members: Vec::new(),
        }));
    }

    #[test]
    fn a_line_has_the_rooms_with_something_unread() {
        let mut unread = Unread::default();
        let muted = |read| ReadState {
            preferences: Preferences {
                notify: NotifyLevel::Nothing,
                ..Preferences::default()
            },
            ..read
        };
        answered(
            &mut unread,
            vec![
                start(RoomId::LOBBY, named("lobby"), read(0, 0)),
                start(room(1), named("build"), read(4, 0)),
                start(room(2), named("ops"), read(250, 1)),
                start(room(3), with_bob(), read(1, 0)),
                start(room(4), named("random"), muted(read(9, 0))),
                start(room(5), named("alerts"), muted(read(9, 2))),
                start(room(6), named("news"), read(250, 0)),
            ],
        );
        let line = "alerts @2 · bob @1 · ops @1 · build 4 · news 99+";
        assert_eq!(unread.line(), line);
        let json: serde_json::Value = serde_json::from_str(&unread.json()).unwrap();
        assert_eq!(json["stored"], false);
        assert_eq!(
            json["rooms"][1],
            json!({
                "room": room(3).to_string(),
                "name": "bob",
                "direct": true,
                "unread": 1,
                "mentions": 1,
            })
        );
    }

    #[test]
    fn figures_of_the_store_are_marked() {
        let mut unread = stored(&[
            (room(1), named("build"), read(4, 0)),
            (RoomId::LOBBY, named("lobby"), read(2, 0)),
        ]);
        assert!(unread.is_known());
        assert_eq!(unread.line(), "build 4 · lobby 2 (stored)");
        assert!(unread.event(Event::Connection(ConnectionStatus::Standby)));
        let read_all = stored(&[(room(1), named("build"), read(0, 0))]);
        assert_eq!(read_all.line(), "(stored)");
        assert!(!stored(&[]).is_known());
        // A part of the server's answer is no answer: rooms would be missing.
        assert!(!unread.event(start(room(1), named("build"), read(7, 0))));
        assert_eq!(unread.line(), "build 4 · lobby 2 (stored)");
        // The whole answer replaces all of it.
        answered(
            &mut unread,
            vec![start(room(1), named("build"), read(5, 0))],
        );
        assert_eq!(unread.line(), "build 5");
    }

    #[test]
    fn nothing_unread_is_an_empty_line() {
        let mut unread = stored(&[(room(1), named("build"), read(4, 0))]);
        answered(
            &mut unread,
            vec![start(room(1), named("build"), read(0, 0))],
        );
        assert_eq!(unread.line(), "");
    }
}
