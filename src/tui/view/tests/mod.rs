//! Draws screens after some events, for the tests to check.

mod admin;
mod entrance;
mod entries;
mod fold;
mod health;
mod history;
mod lists;
mod rooms;
mod screens;

use jiff::Timestamp;
use proptest::prelude::*;
use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    draw,
    palette::{Depth, Ground, Palette},
};
use crate::{
    client::event::{
        ConnectionStatus, CredentialWanted, Delivery, Event, LocalId, OutboxMessage, Received,
        Said, Unlogged,
    },
    protocol::{
        Extent, ReadState, RoomId, RoomInfo, RoomName, RoomRules,
        frame::{Departure, Member, RoomStart},
    },
    text::{Body, Line},
    tui::{
        key::{Code, Key},
        testing::{self, Desk, logged, nickname, start, user},
    },
};

fn time(text: &str) -> Timestamp {
    format!("2026-11-{text}Z").parse().unwrap()
}

fn member(name: &str) -> Member {
    Member {
        since: time("22T09:00:00"),
        ..testing::member(name)
    }
}

/// A screen that takes events.
struct Screen {
    desk: Desk,
}

impl Screen {
    fn new(width: u16, height: u16) -> Self {
        Self {
            desk: Desk::start(start(width, height, time("22T09:45:00"))),
        }
    }

    fn heard(&mut self, event: Event) -> &mut Self {
        self.desk.heard(event);
        self
    }

    fn key(&mut self, key: Key) -> &mut Self {
        self.desk.key(key);
        self
    }

    fn typed(&mut self, text: &str) -> &mut Self {
        self.desk.pasted(text);
        self
    }

    fn entered(width: u16, height: u16) -> Self {
        let mut screen = Self::new(width, height);
        screen.desk.enters();
        screen
            .heard(Event::Room(Box::new(RoomStart {
                changed: 0,
                redacted: 0,
                room: RoomId::LOBBY,
                info: RoomInfo {
                    rules: RoomRules {
                        topic: Some(Line::inert("welcome to the lab")),
                        ..RoomRules::default()
                    },
                    ..RoomInfo::public(RoomName::lobby())
                },
                read: ReadState::default(),
                extent: Extent::new(1, 0),
                next: 1,
                reset: None,
            })))
            .desk
            .members(&["carol", "alice", "bob"].map(member));
        screen
    }

    fn message(&mut self, at: &str, who: &str, text: &str) -> &mut Self {
        self.heard(Event::Message(Received {
            said: Said::Unlogged(Unlogged {
                room: RoomId::LOBBY,
                user: Some(user(who)),
                nickname: nickname(who),
                time: time(at),
                body: Body::inert(text),
            }),
            local: None,
        }))
    }

    fn numbered(&mut self, seq: u64, text: &str) -> &mut Self {
        let at = time("22T09:45:00");
        self.heard(Event::Message(logged(seq, at, "bob", text).into()))
    }

    fn sending(&mut self, local: u64, text: &str, delivery: Delivery) -> &mut Self {
        self.desk.outbox(local, text, delivery);
        self
    }

    /// A morning in the lab.
    fn conversation(width: u16, height: u16) -> Self {
        let mut screen = Self::entered(width, height);
        screen
            .message("21T18:30:12", "bob", "see you tomorrow")
            .message(
                "22T09:41:03",
                "alice",
                "morning! did the release build pass?",
            )
            .message("22T09:41:40", "bob", "yes: 214 tests, 0 failures")
            .message("22T09:42:08", "bob", "log: https://ci.lan/run/88")
            .heard(Event::Left {
                room: RoomId::LOBBY,
                user: user("dave"),
                nickname: nickname("dave"),
                time: time("22T09:42:30"),
                reason: Departure::Lost,
            })
            .heard(Event::Joined {
                room: RoomId::LOBBY,
                member: Member {
                    since: time("22T09:43:00"),
                    ..member("春子")
                },
            })
            .message("22T09:43:30", "春子", "おはよう 👩‍👩‍👧‍👦 e\u{301}")
            .message("22T09:44:00", "alice", "@carol can you tag it?")
            .message("22T09:44:20", "carol", "on it")
            .sending(1, "tagged", Delivery::Pending);
        screen
    }

    fn buffer(&self) -> (Buffer, Option<(u16, u16)>) {
        let mut buffer = Buffer::empty(Rect::new(
            0,
            0,
            self.desk.model.width,
            self.desk.model.height,
        ));
        let palette = Palette::new(Depth::Many, Ground::Dark);
        let cursor = draw(&self.desk.model, &palette, &mut buffer);
        (buffer, cursor.map(|at| (at.x, at.y)))
    }

    /// The screen as text; rows without blanks at their end.
    fn text(&self) -> String {
        let (buffer, _) = self.buffer();
        let mut text = String::new();
        for y in 0..self.desk.model.height {
            let mut row = String::new();
            let mut x = 0;
            while x < self.desk.model.width {
                let symbol = buffer[(x, y)].symbol();
                row.push_str(symbol);
                x += u16::try_from(crate::text::width(symbol).max(1)).unwrap();
            }
            text.push_str(row.trim_end());
            text.push('\n');
        }
        text
    }

    /// Fails with both screens if they differ.
    #[track_caller]
    fn check(&self, expected: &str) {
        let found = self.text();
        let expected = expected.strip_prefix('\n').unwrap_or(expected);
        assert!(found == expected, "expected:\n{expected}\nfound:\n{found}");
    }
}

proptest! {
    #[test]
    fn any_size_can_be_drawn(
        width in 0..=250_u16,
        height in 0..=250_u16,
        scrolled in 0..4_usize,
        typed in "[a-z \n世]{0,200}",
        help: bool,
        asked: bool,
        rooms in 0..30_usize,
        goes: bool,
    ) {
        let mut screen = Screen::conversation(width, height);
        admin::furnish(&mut screen);
        for room in 0..rooms {
            let name = "x".repeat(room);
            let name = format!("room{room}{name}");
            screen.desk.opens_room(&name, 0);
            screen.desk.hears_in(&name, 1, time("22T09:50:00"), "bob", "@carol 日本語");
        }
        if asked {
            screen.heard(Event::Connection(ConnectionStatus::Stopped {
                brief: "Not let in!",
                why: Line::inert("This server wants a password"),
                wants: Some(CredentialWanted::Password),
            }));
        }
        screen.typed(&typed);
        for _ in 0..scrolled {
            screen.key(Key::plain(Code::PageUp));
        }
        if help {
            screen.key(Key::plain(Code::F(1)));
        } else if goes {
            screen.key(Key::ctrl(Code::Char('g')));
        }
        let (_, cursor) = screen.buffer();
        if let Some((x, y)) = cursor {
            prop_assert!(x < width && y < height);
        }
    }
}

#[test]
fn the_smallest_sizes_can_be_drawn() {
    for width in 0..24 {
        for height in 0..12 {
            let mut screen = Screen::conversation(width, height);
            screen
                .typed("one\ntwo")
                .key(Key::plain(Code::PageUp))
                .buffer();
            screen.desk.opens_room("build", 0);
            screen.key(Key::ctrl(Code::Char('g'))).typed("build");
            let (_, cursor) = screen.buffer();
            let (x, y) = cursor.unwrap_or((0, 0));
            assert!(
                cursor.is_none() || x < width && y < height,
                "{width}x{height}"
            );
        }
    }
}
