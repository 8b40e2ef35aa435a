//! The client's screen: 100 columns, 30 rows, and a lobby with a conversation.

use std::{hint::black_box, time::Duration};

use chat_tui::{
    client::event::{ConnectionStatus, Entered, Event, Restored},
    protocol::{
        Author, DeviceId, Entry, EntryKind, Extent, Mentions, MessageId, Nickname, ReadState, Role,
        RoomId, RoomInfo, RoomName, RoomRules, UserId,
        entry::Text,
        frame::{self, Member, RoomStart},
        limits::TEXT_BYTES_MAX,
    },
    text::{Body, Line, wrap::wrap},
    time::Now,
    tui::{
        app::{Model, Msg, Start, update},
        view::{
            draw,
            palette::{Depth, Ground, Palette},
        },
    },
};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{Path, TEXT};

const COLUMNS: u16 = 100;
const ROWS: u16 = 30;
/// Messages that are loaded.
const LOADED: u64 = 500;
/// Messages that arrive together.
const COME: u64 = 64;
const NAMES: [&str; 6] = ["alice", "bob", "carol", "erin", "春子", "مریم"];
const WORDS: [&str; 5] = [
    TEXT,
    "yes",
    "see https://example.org/a/path?query=1234567890#fragment",
    "全角と half width が混ざっても列がずれないはずです。長い文でも言葉の途中で変なところで折り返さない。",
    "👩‍👩‍👧‍👦 family, 🏳️‍🌈 flag, e\u{301}a\u{300}o\u{302} marks; @carol can you have a look at it, once there is time?",
];

fn pick<T: Copy>(list: &[T], number: u64) -> T {
    list[usize::try_from(number).unwrap() % list.len()]
}

fn user(number: usize) -> UserId {
    UserId::from_bytes([u8::try_from(number).unwrap(); 12])
}

fn message(seq: u64) -> Event {
    let who = usize::try_from(seq / 3).unwrap() % NAMES.len();
    let minutes = i64::try_from(seq).unwrap();
    let message = Entry {
        room: RoomId::LOBBY,
        seq,
        id: MessageId {
            device: DeviceId::from_bytes([9; 12]),
            counter: seq,
        },
        author: Author {
            user: user(who),
            nickname: Nickname::parse(NAMES[who]).unwrap(),
            proven: true,
        },
        time: Timestamp::UNIX_EPOCH + minutes.minutes(),
        clock_was: None,
        kind: EntryKind::Text(Text {
            body: Body::inert(pick(&WORDS, seq)),
            mentions: Mentions::NONE,
            edited: None,
        }),
    };
    Event::Message(message.into())
}

/// Returns a model of a client in the lobby, with its latest messages loaded.
fn model() -> Model {
    let mut model = Model::new(Start {
        now: Now {
            wall: Timestamp::UNIX_EPOCH + 24.hours(),
            mono: Duration::ZERO,
        },
        zone: TimeZone::UTC,
        width: COLUMNS,
        height: ROWS,
        host: "chat.lan:10500".to_owned(),
        nickname: Nickname::parse("carol").unwrap(),
        room: RoomName::lobby(),
        hosting: false,
        key: None,
        restored: Restored::default(),
    });
    let members = NAMES.iter().enumerate().map(|(number, name)| Member {
        user: user(number),
        nickname: Nickname::parse(name).unwrap(),
        since: Timestamp::UNIX_EPOCH,
        role: Role::Member,
    });
    let entered = [
        Event::Connection(ConnectionStatus::Online),
        Event::Entered(Entered {
            user: Some(user(2)),
            nickname: Nickname::parse("carol").unwrap(),
            role: Role::Member,
            server: None,
            limits: None,
        }),
        Event::Room(Box::new(RoomStart {
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
            extent: Extent::new(1, LOADED),
            next: 1,
            reset: None::<frame::Reset>,
        })),
        Event::Members {
            room: RoomId::LOBBY,
            members: members.collect(),
        },
    ];
    for event in entered.into_iter().chain((1..=LOADED).map(message)) {
        update(&mut model, Msg::Session(event));
    }
    model
}

/// Breaks the longest message into the rows of a screen.
pub(crate) struct Wrap(String);

impl Path for Wrap {
    const NAME: &'static str = "text::wrap to 80 columns";
    const UNIT: &'static str = "message of 16 KiB";
    const UNITS: u64 = 1;

    fn new() -> Self {
        let mut text = WORDS.join(" ").repeat(50);
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        Self(text)
    }

    fn run(&mut self) {
        black_box(wrap(black_box(&self.0), 80));
    }
}

/// Handles received messages.
pub(crate) struct Receive {
    model: Model,
    next: u64,
    come: Vec<Event>,
}

impl Path for Receive {
    const NAME: &'static str = "tui::app::update";
    const UNIT: &'static str = "message that comes";
    const UNITS: u64 = COME;

    fn new() -> Self {
        Self {
            model: model(),
            next: LOADED + 1,
            come: Vec::new(),
        }
    }

    fn prepare(&mut self) {
        self.come = (self.next..self.next + COME).map(message).collect();
        self.next += COME;
    }

    fn run(&mut self) {
        for event in self.come.drain(..) {
            black_box(update(&mut self.model, Msg::Session(event)));
        }
    }
}

/// Draws the whole screen.
pub(crate) struct Draw {
    model: Model,
    palette: Palette,
    buffer: Buffer,
}

impl Path for Draw {
    const NAME: &'static str = "tui::view::draw";
    const UNIT: &'static str = "screen of 100x30";
    const UNITS: u64 = 1;

    fn new() -> Self {
        Self {
            model: model(),
            palette: Palette::new(Depth::Many, Ground::Dark),
            buffer: Buffer::empty(Rect::new(0, 0, COLUMNS, ROWS)),
        }
    }

    fn run(&mut self) {
        self.buffer.reset();
        black_box(draw(&self.model, &self.palette, &mut self.buffer)).unwrap();
        black_box(&self.buffer);
    }
}
