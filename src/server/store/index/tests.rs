//! The index against a linear look through the log, and through whatever can happen to its file.

use std::{
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};

use super::*;
use crate::{
    protocol::{DeviceId, MessageId, Nickname, UserId, wire::encode_server},
    search::Query,
    server::{engine::tail::SegmentBuilder, store::Found},
    text::Body,
};

const PATIENCE: Duration = Duration::from_mins(1);
const ROOM: RoomIndex = RoomIndex(0);
const OTHER: RoomIndex = RoomIndex(1);

/// A log of two rooms that tests write to.
#[derive(Clone, Default)]
struct TestLog(Arc<Mutex<[Room; 2]>>);

#[derive(Default)]
struct Room {
    first: u64,
    entries: Vec<(Nickname, Timestamp, String, Vec<u8>)>,
    /// The lowest number ever read.
    lowest_read: Option<u64>,
}

impl TestLog {
    fn new() -> Self {
        let log = Self::default();
        for room in log.0.lock().unwrap().iter_mut() {
            room.first = 1;
        }
        log
    }

    /// Everybody says one thing a minute.
    fn say(&self, room: RoomIndex, nickname: &str, text: &str) {
        let room = &mut self.0.lock().unwrap()[room.at()];
        let counter = room.entries.len() as u64 + 1;
        let nickname = Nickname::parse(nickname).unwrap();
        let time = Timestamp::from_second(i64::try_from(counter).unwrap() * 60).unwrap();
        let frame = ServerFrame::Message(Message {
            room: RoomName::lobby(),
            seq: counter,
            id: MessageId {
                device: DeviceId::from_bytes([1; 12]),
                counter,
            },
            user: UserId::from_bytes([1; 12]),
            nickname: nickname.clone(),
            time,
            body: Body::inert(text),
        });
        let mut bytes = Vec::new();
        encode_server(&frame, &mut bytes);
        // As it comes back from there.
        let text = Body::inert(text).as_str().to_owned();
        room.entries.push((nickname, time, text, bytes));
    }

    fn drop_below(&self, room: RoomIndex, first: u64) {
        self.0.lock().unwrap()[room.at()].first = first;
    }

    fn head(&self, room: RoomIndex) -> u64 {
        self.0.lock().unwrap()[room.at()].entries.len() as u64
    }

    /// What a query finds, newest first.
    fn matches(&self, room: RoomIndex, query: &Query) -> Vec<u64> {
        let room = &self.0.lock().unwrap()[room.at()];
        let mut found: Vec<u64> = (1..)
            .zip(&room.entries)
            .filter(|(seq, (nickname, time, text, _))| {
                *seq >= room.first && query.matches(nickname, *time, text)
            })
            .map(|(seq, _)| seq)
            .collect();
        found.reverse();
        found
    }
}

impl Log for TestLog {
    fn extent(&mut self, room: RoomIndex) -> Result<Extent, StoreError> {
        let room = &self.0.lock().unwrap()[room.at()];
        Ok(Extent {
            first: room.first,
            head: room.entries.len() as u64,
        })
    }

    fn read(
        &mut self,
        room: RoomIndex,
        from: u64,
        bytes_max: usize,
    ) -> Result<Segment, StoreError> {
        let room = &mut self.0.lock().unwrap()[room.at()];
        let from = from.max(room.first);
        room.lowest_read = Some(room.lowest_read.map_or(from, |lowest| lowest.min(from)));
        let mut run = SegmentBuilder::new(from);
        let start = usize::try_from(from - 1).unwrap().min(room.entries.len());
        for (.., frame) in &room.entries[start..] {
            if !run.is_empty() && run.len() + frame.len() > bytes_max {
                break;
            }
            run.push(|out| out.extend_from_slice(frame));
        }
        Ok(run.finish())
    }
}

struct World {
    folder: tempfile::TempDir,
    log: TestLog,
    index: Option<Index>,
}

impl World {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            log: TestLog::new(),
            index: None,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("index.db")
    }

    fn start(&mut self, epoch: u8) -> &Index {
        let rooms = [RoomName::lobby(), RoomName::parse("other").unwrap()];
        let epoch = Epoch::from_bytes([epoch; 8]);
        let log = Box::new(self.log.clone());
        let index = Index::start(&self.path(), epoch, &rooms, log).unwrap();
        self.index.insert(index)
    }

    fn stop(&mut self) {
        self.index = None;
    }

    /// Lets the index catch up with the log.
    fn drain(&self) {
        let index = self.index.as_ref().unwrap();
        index.poke();
        for room in [ROOM, OTHER] {
            assert!(index.wait(room, self.log.head(room), 0, PATIENCE));
        }
    }

    /// All that a search finds, page after page.
    fn find(&self, room: RoomIndex, query: &Query, bounds: Bounds) -> Vec<u64> {
        let mut reader = self.index.as_ref().unwrap().reader().with_bounds(bounds);
        let mut log = self.log.clone();
        let mut found = Vec::new();
        let mut to = u64::MAX;
        loop {
            let page: Found = reader.search(&mut log, room, query, to).unwrap();
            let numbers: Vec<u64> = page
                .frames
                .iter()
                .map(|frame| message(frame).unwrap().seq)
                .collect();
            assert!(
                numbers
                    .iter()
                    .all(|seq| (page.from..=page.to).contains(seq))
            );
            assert!(numbers.is_sorted_by(|a, b| a > b));
            assert!(numbers.len() <= bounds.found_max);
            found.extend(numbers);
            if page.from <= page.extent.first {
                return found;
            }
            assert!(page.from <= page.to, "a page goes on: {page:?}");
            to = page.from - 1;
        }
    }

    fn check(&self, room: RoomIndex, written: &str) {
        let query = query(written);
        let expected = self.log.matches(room, &query);
        for bounds in [Bounds::default(), small()] {
            assert_eq!(self.find(room, &query, bounds), expected, "{written}");
        }
    }

    /// All bytes of the index's files.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for entry in fs::read_dir(self.folder.path()).unwrap() {
            bytes.extend(fs::read(entry.unwrap().path()).unwrap());
        }
        bytes
    }

    fn check_integrity(&self) {
        let connection = rusqlite::Connection::open(self.path()).unwrap();
        connection
            .execute(
                "INSERT INTO entries(entries) VALUES ('integrity-check')",
                [],
            )
            .unwrap();
        let state: String = connection
            .pragma_query_value(None, "integrity_check", |row| row.get(0))
            .unwrap();
        assert_eq!(state, "ok");
    }
}

/// Bounds that every search runs into.
fn small() -> Bounds {
    Bounds {
        found_max: 3,
        time_max: PATIENCE,
        tail_max: 10,
        scanned_max: 600,
        window: 7,
    }
}

fn query(written: &str) -> Query {
    Query::parse(written, &TimeZone::UTC).unwrap()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}

const NAMES: [&str; 4] = ["alice", "Zoë", "bob the 2nd", "東"];
const SCRIPTS: [&str; 10] = [
    "abcde",
    "abcdeé",
    "АБгде",
    "東京都大阪",
    "ひらがかカ",
    "한국어ㅋ",
    "กขาิ่",
    "कखािंु",
    "אבגּד",
    "12👍❤-",
];

fn word(random: &mut fastrand::Rng) -> String {
    let letters: Vec<char> = random.choice(SCRIPTS).unwrap().chars().collect();
    (0..random.usize(1..7))
        .map(|_| random.choice(&letters).unwrap())
        .collect()
}

fn text(random: &mut fastrand::Rng) -> String {
    let words: Vec<String> = (0..random.usize(1..6)).map(|_| word(random)).collect();
    words.join(random.choice([" ", " ", " ", "", ", ", "-"]).unwrap())
}

/// A query that may find something in such texts.
fn question(random: &mut fastrand::Rng, said: &[String]) -> String {
    let mut parts = Vec::new();
    for _ in 0..random.usize(1..3) {
        let text = random.choice(said).unwrap();
        let chars: Vec<char> = text.chars().collect();
        let start = random.usize(..chars.len());
        let end = random.usize(start..chars.len()) + 1;
        let piece: String = chars[start..end.min(start + 20)].iter().collect();
        let star = if random.bool() { "*" } else { "" };
        parts.push(match random.u8(..6) {
            0 | 1 => format!("\"{piece}\"{star}"),
            2 => format!("from:\"{}\"", random.choice(NAMES).unwrap()),
            _ => format!("{}{star}", piece.split(' ').next_back().unwrap_or("a")),
        });
    }
    parts.join(" ")
}

#[test]
fn a_search_finds_what_a_look_through_the_log_finds() {
    for seed in 0..4 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = World::new();
        let mut said = Vec::new();
        for _ in 0..400 {
            let text = text(&mut random);
            let room = if random.u8(..4) == 0 { OTHER } else { ROOM };
            world.log.say(room, random.choice(NAMES).unwrap(), &text);
            said.push(text);
        }
        world.start(1);
        world.drain();
        let mut asked = 0;
        while asked < 150 {
            let written = question(&mut random, &said);
            let Ok(query) = Query::parse(&written, &TimeZone::UTC) else {
                continue;
            };
            asked += 1;
            let room = if random.u8(..4) == 0 { OTHER } else { ROOM };
            let expected = world.log.matches(room, &query);
            let bounds = if random.bool() {
                small()
            } else {
                Bounds::default()
            };
            let found = world.find(room, &query, bounds);
            assert_eq!(found, expected, "seed {seed}: {written}");
        }
        // What is not indexed yet is found too, if it is not much.
        for _ in 0..9 {
            world.log.say(ROOM, "alice", &text(&mut random));
        }
        world.check(ROOM, "from:alice");
        world.stop();
        world.check_integrity();
    }
}

#[test]
fn beginnings_of_any_length_are_found() {
    let mut world = World::new();
    for number in 0..300_u32 {
        world.log.say(
            ROOM,
            "alice",
            &format!("common{number} konto{}", number % 7),
        );
        world
            .log
            .say(ROOM, "bob", &format!("über{number} the same"));
    }
    world.start(1);
    world.drain();
    for written in [
        "c*",
        "co*",
        "com*",
        "comm*",
        "common*",
        "common2*",
        "common29*",
        "common299*",
        "konto3*",
        "konto9*",
        "üb*",
        "übe*",
        "über1*",
        "\"common7 ko\"*",
        "\"common7 konto\"*",
        "from:bob t*",
        "k* common29*",
        "\"the s\"*",
    ] {
        world.check(ROOM, written);
    }
}

#[test]
fn times_bound_a_search() {
    let mut world = World::new();
    for number in 0..5_000 {
        world
            .log
            .say(ROOM, "alice", &format!("entry {}", number % 50));
    }
    world.start(1);
    world.drain();
    for written in [
        "entry after:1970-01-02 before:1970-01-03",
        "after:1970-01-04 3",
        "before:1970-01-02 entry",
        "after:1970-01-02 before:1970-01-03",
        "after:1971-01-01 entry",
        "before:1960-01-01 entry",
    ] {
        world.check(ROOM, written);
    }
}

#[test]
fn the_index_goes_on_where_it_was() {
    let mut world = World::new();
    for number in 0..100 {
        world.log.say(ROOM, "alice", &format!("one {number}"));
    }
    world.start(1);
    world.drain();
    world.stop();
    world.log.say(ROOM, "alice", "one more");
    world.log.0.lock().unwrap()[0].lowest_read = None;
    world.start(1);
    world.drain();
    assert_eq!(world.log.0.lock().unwrap()[0].lowest_read, Some(101));
    world.check(ROOM, "one");
}

#[test]
fn a_file_that_is_of_no_use_is_made_anew() {
    let damage = |path: &Path, change: fn(&mut Vec<u8>)| {
        let mut bytes = fs::read(path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    };
    for (what, change) in [
        ("missing", None),
        ("empty", Some((|bytes| bytes.clear()) as fn(&mut Vec<u8>))),
        ("not SQLite's", Some(|bytes| bytes[..100].fill(b'x'))),
        ("cut", Some(|bytes| bytes.truncate(bytes.len() / 2))),
        ("overwritten", Some(|bytes| bytes[4096..].fill(0x55))),
        ("newer", Some(|bytes| bytes[60..64].fill(7))),
    ] {
        let mut world = World::new();
        for number in 0..500 {
            world.log.say(ROOM, "alice", &format!("one {number}"));
        }
        world.start(1);
        world.drain();
        world.stop();
        match change {
            None => fs::remove_file(world.path()).unwrap(),
            Some(change) => damage(&world.path(), change),
        }
        world.log.say(ROOM, "alice", "one more");
        world.start(1);
        world.drain();
        world.check(ROOM, "one");
        world.check(ROOM, "43*");
        world.stop();
        world.check_integrity();
        eprintln!("{what}: made anew");
    }
}

#[test]
fn damage_that_a_search_comes_upon_mends_itself() {
    let mut world = World::new();
    for number in 0..2_000 {
        world.log.say(ROOM, "alice", &format!("one {number}"));
    }
    world.start(1);
    world.drain();
    world.stop();
    world.start(1);
    world.drain();
    // All pages but the first few, under the feet of the running server.
    let mut bytes = fs::read(world.path()).unwrap();
    bytes[8 * 4096..].fill(0x55);
    fs::write(world.path(), bytes).unwrap();
    let query = query("one");
    let expected = world.log.matches(ROOM, &query);
    // Found one way or the other, now and after.
    assert_eq!(world.find(ROOM, &query, Bounds::default()), expected);
    world.drain();
    assert_eq!(world.find(ROOM, &query, Bounds::default()), expected);
}

#[test]
fn another_log_has_another_index() {
    let mut world = World::new();
    world.log.say(ROOM, "alice", "former secret");
    world.start(1);
    world.drain();
    world.stop();
    world.log = TestLog::new();
    world.log.say(ROOM, "bob", "latter secret");
    world.start(2);
    world.drain();
    world.check(ROOM, "secret");
    world.stop();
    assert!(!contains(&world.bytes(), "former"));
}

#[test]
fn what_is_erased_is_in_no_file() {
    let mut world = World::new();
    let secret = |number: u64| {
        let mut random = fastrand::Rng::with_seed(number);
        format!("{}{}", word(&mut random), random.u64(1_000_000..))
    };
    // Of what begins so, a part may be left that others have too.
    let telling = |number| {
        let secret = secret(number);
        let folded = query(&secret).words.terms()[0]
            .words()
            .last()
            .unwrap()
            .clone();
        folded[..folded.len() - 8].to_owned()
    };
    for number in 0..600 {
        world
            .log
            .say(ROOM, "alice", &format!("one {} secret", secret(number)));
        world.log.say(OTHER, "bob", &format!("one other{number}z"));
    }
    world.start(1);
    world.drain();
    let bytes = world.bytes();
    assert!((0..600).any(|number| contains(&bytes, &telling(number))));
    let index = world.index.as_ref().unwrap();
    for end in [1, 2, 51, 201, 551] {
        index.erase(ROOM, end);
        assert!(index.wait(ROOM, 0, end, PATIENCE));
        assert_eq!((index.erased(ROOM), index.erased(OTHER)), (end, 1));
        let bytes = world.bytes();
        for number in 0..end - 1 {
            assert!(!contains(&bytes, &telling(number)), "{}", secret(number));
        }
        world.log.drop_below(ROOM, end);
        for written in ["one", "o*", "secret", "from:alice", "other19*"] {
            world.check(ROOM, written);
            world.check(OTHER, written);
        }
    }
    // Asked for before it was indexed: it never comes in.
    world.log.say(ROOM, "alice", "unseensecret");
    index.erase(ROOM, 602);
    assert!(index.wait(ROOM, 601, 602, PATIENCE));
    world.log.drop_below(ROOM, 602);
    world.log.say(ROOM, "alice", "one at last");
    world.drain();
    world.check(ROOM, "one");
    world.stop();
    world.check_integrity();
    let bytes = world.bytes();
    assert!(!contains(&bytes, "secret") && contains(&bytes, "other"));
}

#[test]
fn an_index_that_loses_much_of_itself_is_made_anew() {
    let mut world = World::new();
    for number in 0..12_000 {
        world.log.say(ROOM, "alice", &format!("one {number}"));
    }
    world.start(1);
    world.drain();
    let index = world.index.as_ref().unwrap();
    index.erase(ROOM, 11_901);
    assert!(index.wait(ROOM, 12_000, 11_901, PATIENCE));
    assert!(!contains(&world.bytes(), "11234"));
    world.log.drop_below(ROOM, 11_901);
    world.check(ROOM, "one");
    world.check(ROOM, "119*");
}

#[test]
fn a_log_that_lost_entries_without_a_word_gets_a_new_index() {
    let mut world = World::new();
    for number in 0..100 {
        world.log.say(ROOM, "alice", &format!("one secret{number}"));
    }
    world.start(1);
    world.drain();
    world.stop();
    world.log.drop_below(ROOM, 51);
    let index = world.start(1);
    assert!(index.wait(ROOM, 100, 51, PATIENCE));
    world.check(ROOM, "one");
    world.stop();
    assert!(!contains(&world.bytes(), "secret49"));
}

#[test]
fn a_search_works_while_there_is_no_index() {
    let mut world = World::new();
    for number in 0..3_000 {
        world.log.say(ROOM, "alice", &format!("one {number}"));
    }
    // A folder in the place of the file: nothing can be opened.
    fs::create_dir(world.path()).unwrap();
    world.start(1);
    world.check(ROOM, "29*");
    world.check(ROOM, "one after:1970-01-02");
}
