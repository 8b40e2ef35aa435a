//! The client's own store with a million messages of one room: time from the start of the program
//! to the conversation on the screen, and its parts.
//!
//!     cargo bench --bench client_store
//!
//! Nothing listens where the client connects to, so the painted messages come from the store alone.
//! Each figure is the median of its rounds, with the 95th percentile and the maximum after it. The
//! file has just been written, so it is read from the system's cache.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench prints, and stops when it can't go on"
)]

use std::{
    fs,
    net::TcpListener,
    path::Path,
    time::{Duration, Instant},
};

use chat_tui::{
    client::{
        session::persist_types::{CacheQuery, EntryRange, OutboxEntry, Save, StoreChange},
        store::{self, CACHE_MESSAGES_MAX, Profile, Store},
    },
    protocol::{
        Author, ClientId, Content, DeviceId, Entry, EntryKind, Epoch, Extent, Mentions, MessageId,
        Nickname, ReadState, RoomId, RoomInfo, RoomName, UserId,
        entry::Text,
        frame::{Part, RoomStart},
    },
    search::{Query, Words},
    text::Body,
};
use jiff::Timestamp;

#[allow(dead_code, reason = "shared with the tests, which use more of it")]
#[path = "../tests/end_to_end/terminal.rs"]
mod terminal;

use terminal::Terminal;

const CHAT_TUI: &str = env!("CARGO_BIN_EXE_chat-tui");
const MESSAGES: u64 = CACHE_MESSAGES_MAX;
const ROUNDS: u64 = 40;
/// Messages of one save while the store is filled.
const RUN: u64 = 5_000;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let profile = Profile {
        directory: folder.path().to_owned(),
        server: format!("localhost:{port}"),
        nickname: Nickname::parse("carol").unwrap(),
        client_id: ClientId::parse("3").unwrap(),
    };
    fill(&profile);
    opening(&profile);
    looking(&profile);
    saving(&profile);
    starting(folder.path(), port);
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn epoch() -> Epoch {
    Epoch::from_bytes([1; 8])
}

fn message(seq: u64) -> Entry {
    let words = ["build", "green", "lunch", "red", "release", "tests"];
    let word = words[usize::try_from(seq * 7919 % 6).unwrap()];
    Entry {
        room: RoomId::LOBBY,
        seq,
        id: MessageId {
            device: DeviceId::from_bytes([2; 12]),
            counter: seq,
        },
        author: Author {
            user: UserId::from_bytes([2; 12]),
            nickname: Nickname::parse("alice").unwrap(),
            proven: true,
        },
        time: Timestamp::from_second(1_700_000_000 + i64::try_from(seq).unwrap()).unwrap(),
        clock_was: None,
        kind: EntryKind::Text(Text {
            body: Body::inert(&format!("the {word} of today is number {seq}, as it seems")),
            mentions: Mentions::NONE,
            edited: None,
        }),
    }
}

fn messages(from: u64, to: u64) -> Save {
    let run = EntryRange::of(RoomId::LOBBY, epoch(), (from..=to).map(message).collect());
    Save {
        changes: vec![StoreChange::Entries(run)],
    }
}

fn open(profile: &Profile) -> Store {
    store::open(profile).unwrap().store
}

fn fill(profile: &Profile) {
    let mut store = open(profile);
    let start = RoomStart {
        changed: 0,
        redacted: 0,
        room: RoomId::LOBBY,
        info: RoomInfo::public(RoomName::lobby()),
        read: ReadState::default(),
        extent: Extent::new(1, MESSAGES),
        next: MESSAGES + 1,
        reset: None,
    };
    let opened = Save {
        changes: vec![StoreChange::Room {
            epoch: epoch(),
            folded: 0,
            start,
        }],
    };
    store.save(&opened).unwrap();
    let start = Instant::now();
    for from in (1..=MESSAGES).step_by(usize::try_from(RUN).unwrap()) {
        let to = (from + RUN - 1).min(MESSAGES);
        store.save(&messages(from, to)).unwrap();
    }
    let time = start.elapsed();
    drop(store);
    let files = fs::read_dir(&profile.directory).unwrap();
    let bytes: u64 = files.map(|f| f.unwrap().metadata().unwrap().len()).sum();
    println!(
        "{MESSAGES} messages, {} MiB, saved in {:.1} s by runs of {RUN}",
        bytes >> 20,
        time.as_secs_f64()
    );
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let at = |share: usize| ms(times[(times.len() * share / 100).min(times.len() - 1)]);
    println!(
        "{what:<48} median {:>7.2} ms   p95 {:>7.2} ms   worst {:>7.2} ms   ({} rounds)",
        at(50),
        at(95),
        ms(times[times.len() - 1]),
        times.len()
    );
}

/// Measures `round`; its result is dropped outside the measured time.
fn measure<T>(what: &str, mut round: impl FnMut(u64) -> T) {
    let mut times = Vec::new();
    for n in 0..ROUNDS {
        let start = Instant::now();
        let left = round(n);
        times.push(start.elapsed());
        drop(left);
    }
    report(what, times);
}

fn opening(profile: &Profile) {
    let mut last = None;
    measure("open, and read what is shown at first", |_| {
        // The previous store is closed outside the measured time, except for the first.
        last = Some(store::open(profile).unwrap());
    });
    let shown = last.unwrap().rooms[0].page.entries.len();
    assert_eq!(shown, store::RESTORED_MESSAGES_MAX);
}

fn looking(profile: &Profile) {
    let mut store = open(profile);
    let room = RoomId::LOBBY;
    measure("a page somewhere in the past", |n| {
        let to = (n + 1) * (MESSAGES / (ROUNDS + 1));
        store.query(&CacheQuery::Page {
            room,
            epoch: Some(epoch()),
            part: Part::Backward { from: 1, to },
            offline: false,
        });
    });
    measure("a page from a time on", |n| {
        let second = 1_700_000_000 + i64::try_from((n + 1) * 20_000).unwrap();
        store.query(&CacheQuery::Page {
            room,
            epoch: Some(epoch()),
            part: Part::Since(Timestamp::from_second(second).unwrap()),
            offline: true,
        });
    });
    for (what, words) in [
        ("a step of a search that finds much", "release"),
        ("a step of a search that finds nothing", "nowhere"),
    ] {
        measure(what, |n| {
            store.query(&CacheQuery::Search {
                room,
                epoch: Some(epoch()),
                query: Query {
                    words: Words::parse(words).unwrap(),
                    sender: None,
                    after: None,
                    before: None,
                },
                to: Some(MESSAGES - n * 20_000),
            });
        });
    }
}

fn saving(profile: &Profile) {
    let mut store = open(profile);
    measure("a message typed, until it is on the disk", |n| {
        let entry = OutboxEntry {
            number: Some(1),
            key: n + 1,
            room: RoomId::LOBBY,
            enter: None,
            content: Content::Text(Body::inert("as long as people write, mostly")),
            counter: Some(n + 1),
            withdrawn: false,
            unconfirmed: false,
            failed: None,
        };
        let changes = vec![StoreChange::Entry(entry), StoreChange::NextCounter(n + 2)];
        store.save(&Save { changes }).unwrap();
    });
    let changes = (1..=ROUNDS).map(StoreChange::Remove).collect();
    store.save(&Save { changes }).unwrap();
    measure("a message that came, kept among a million", |n| {
        store
            .save(&messages(MESSAGES + n + 1, MESSAGES + n + 1))
            .unwrap();
    });
}

fn starting(directory: &Path, port: u16) {
    let last = format!("number {}", MESSAGES + ROUNDS);
    let (directory, port) = (directory.to_str().unwrap(), port.to_string());
    let who = ["localhost", &port, "carol", "3"];
    let start = |options: &[&str], wait: &str| {
        measure(&format!("start to {wait:?} with {options:?}"), |_| {
            let arguments = [&who, options].concat();
            let screen = Terminal::start(CHAT_TUI, &arguments, 100, 30);
            screen.wait_for(wait);
            screen
        });
    };
    start(&["--no-state"], "type a message");
    start(&["--state-dir", directory], &last);
}
