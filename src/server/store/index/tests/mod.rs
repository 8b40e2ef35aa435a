//! A log of two rooms that tests write to, with the index that follows it.

mod changing;
mod erasing;
mod files;
mod gate;
mod searching;
mod sqlite;

use std::{
    collections::BTreeMap,
    fs,
    ops::RangeInclusive,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use jiff::{Timestamp, tz::TimeZone};

use self::gate::Gate;
use super::*;
use crate::{
    protocol::{
        Author, DeviceId, Entry, EntryKind, Extent, Mentions, MessageId, Nickname, ServerFrame,
        UserId,
        entry::{Text, Tombstone},
        wire::encode_server,
    },
    search::Query,
    server::log::{Found, Segment, StoreError, segment::SegmentBuilder},
    text::Body,
};

const PATIENCE: Duration = Duration::from_mins(1);
const ROOM: RoomId = RoomId::LOBBY;
const OTHER: RoomId = RoomId::from_bytes([7; 12]);

/// A room's place in [`TestLog`].
fn slot(room: RoomId) -> usize {
    usize::from(room == OTHER)
}

/// A log of two rooms that tests write to.
#[derive(Clone, Default)]
struct TestLog {
    rooms: Arc<Mutex<[Room; 2]>>,
    /// Stops the index's thread in the middle of its work.
    gate: Option<Arc<Gate>>,
}

#[derive(Default)]
struct Room {
    first: u64,
    /// By how many minutes the clock is wrong.
    ahead: i64,
    entries: Vec<TestEntry>,
    /// The lowest number ever read.
    lowest_read: Option<u64>,
}

struct TestEntry {
    nickname: Nickname,
    time: Timestamp,
    /// As a search sees it; `None` if it has no text.
    text: Option<String>,
    frame: Vec<u8>,
    /// The number of the later entry that changed it last.
    rev: Option<u64>,
    /// It can't be read.
    damaged: bool,
}

impl TestEntry {
    fn new(seq: u64, nickname: &Nickname, time: Timestamp, text: Option<&str>) -> Self {
        let body = text.map(Body::inert);
        let frame = ServerFrame::Entry(Entry {
            room: ROOM,
            seq,
            id: MessageId {
                device: DeviceId::from_bytes([1; 12]),
                counter: seq,
            },
            author: Author {
                user: UserId::from_bytes([1; 12]),
                nickname: nickname.clone(),
                proven: true,
            },
            time,
            clock_was: None,
            kind: match &body {
                Some(body) => EntryKind::Text(Text {
                    body: body.clone(),
                    mentions: Mentions::NONE,
                    edited: None,
                }),
                None => EntryKind::Tombstone(Tombstone {
                    redacted: seq + 1,
                    by: None,
                    kind: None,
                }),
            },
        });
        let mut bytes = Vec::new();
        encode_server(&frame, &mut bytes);
        Self {
            nickname: nickname.clone(),
            time,
            // As a stored text is returned.
            text: body.map(|body| body.as_str().to_owned()),
            frame: bytes,
            rev: None,
            damaged: false,
        }
    }
}

impl TestLog {
    fn new() -> Self {
        let log = Self::default();
        for room in log.rooms.lock().unwrap().iter_mut() {
            room.first = 1;
        }
        log
    }

    /// Appends a message, one a minute.
    fn say(&self, room: RoomId, nickname: &str, text: &str) {
        self.append(room, nickname, Some(text));
    }

    /// Appends an entry, one a minute. Returns its number.
    fn append(&self, room: RoomId, nickname: &str, text: Option<&str>) -> u64 {
        let room = &mut self.rooms.lock().unwrap()[slot(room)];
        let seq = room.entries.len() as u64 + 1;
        let nickname = Nickname::parse(nickname).unwrap();
        let minutes = i64::try_from(seq).unwrap() + room.ahead;
        let time = Timestamp::from_second(minutes * 60).unwrap();
        room.entries
            .push(TestEntry::new(seq, &nickname, time, text));
        seq
    }

    /// Appends an entry that gives an older one another text, or none.
    fn change(&self, room: RoomId, seq: u64, text: Option<&str>) {
        let rev = self.append(room, "alice", None);
        self.with_entry(room, seq, |entry| {
            *entry = TestEntry {
                rev: Some(rev),
                ..TestEntry::new(seq, &entry.nickname, entry.time, text)
            };
        });
    }

    fn with_entry(&self, room: RoomId, seq: u64, act: impl FnOnce(&mut TestEntry)) {
        let room = &mut self.rooms.lock().unwrap()[slot(room)];
        act(&mut room.entries[usize::try_from(seq - 1).unwrap()]);
    }

    fn pass_gate(&self) {
        if let Some(gate) = &self.gate {
            gate.pass();
        }
    }

    /// Sets the clock.
    fn set_clock(&self, room: RoomId, ahead: i64) {
        self.rooms.lock().unwrap()[slot(room)].ahead = ahead;
    }

    fn drop_below(&self, room: RoomId, first: u64) {
        self.rooms.lock().unwrap()[slot(room)].first = first;
    }

    fn head(&self, room: RoomId) -> u64 {
        self.rooms.lock().unwrap()[slot(room)].entries.len() as u64
    }

    /// The numbers that a query finds, newest first.
    fn matches(&self, room: RoomId, query: &Query) -> Vec<u64> {
        let room = &self.rooms.lock().unwrap()[slot(room)];
        let mut found: Vec<u64> = (1..)
            .zip(&room.entries)
            .filter(|(seq, entry)| {
                let text = entry.text.as_ref().filter(|_| *seq >= room.first);
                text.is_some_and(|text| query.matches(&entry.nickname, entry.time, text))
            })
            .map(|(seq, _)| seq)
            .collect();
        found.reverse();
        found
    }
}

impl IndexedLog for TestLog {
    fn marked(&mut self, room: RoomId, extent: Extent) -> Result<Vec<u64>, StoreError> {
        let room = &self.rooms.lock().unwrap()[slot(room)];
        let goes_back = |pair: &[TestEntry]| pair[0].time > pair[1].time;
        let pairs = (2..).zip(room.entries.windows(2));
        let marked = pairs.filter(|(_, pair)| goes_back(pair));
        Ok(marked
            .map(|(seq, _)| seq)
            .filter(|seq| extent.numbers().contains(seq))
            .collect())
    }

    fn extents(&mut self) -> Result<BTreeMap<RoomId, Extent>, StoreError> {
        self.pass_gate();
        let rooms = self.rooms.lock().unwrap();
        let extent = |room: RoomId| {
            let Room { first, entries, .. } = &rooms[slot(room)];
            (room, Extent::new(*first, entries.len() as u64))
        };
        Ok([ROOM, OTHER].map(extent).into())
    }

    fn extent(&mut self, room: RoomId) -> Result<Extent, StoreError> {
        self.pass_gate();
        let room = &self.rooms.lock().unwrap()[slot(room)];
        Ok(Extent::new(room.first, room.entries.len() as u64))
    }

    fn read(&mut self, room: RoomId, from: u64, bytes_max: usize) -> Result<Segment, StoreError> {
        self.pass_gate();
        let room = &mut self.rooms.lock().unwrap()[slot(room)];
        let from = from.max(room.first);
        room.lowest_read = Some(room.lowest_read.map_or(from, |lowest| lowest.min(from)));
        let mut run = SegmentBuilder::new(from);
        let start = usize::try_from(from - 1).unwrap().min(room.entries.len());
        for entry in &room.entries[start..] {
            if entry.damaged && run.is_empty() {
                return Err(StoreError::Damaged);
            }
            let fits = run.is_empty() || run.len() + entry.frame.len() <= bytes_max;
            if entry.damaged || !fits {
                break;
            }
            run.push(|out| out.extend_from_slice(&entry.frame));
        }
        Ok(run.finish())
    }

    fn changed(
        &mut self,
        room: RoomId,
        revs: RangeInclusive<u64>,
        max: usize,
    ) -> Result<Vec<(u64, u64)>, StoreError> {
        self.pass_gate();
        let room = &self.rooms.lock().unwrap()[slot(room)];
        let numbered = (1..).zip(&room.entries);
        let mut changed: Vec<(u64, u64)> = numbered
            .filter_map(|(seq, entry)| Some((entry.rev?, seq)))
            .filter(|(rev, _)| revs.contains(rev))
            .collect();
        changed.sort_unstable();
        changed.truncate(max);
        Ok(changed)
    }
}

struct World {
    folder: tempfile::TempDir,
    log: TestLog,
    index: Option<Index>,
    limits: Limits,
}

impl World {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            log: TestLog::new(),
            index: None,
            limits: Limits {
                rest_times: 0,
                ..Limits::default()
            },
        }
    }

    /// With blocks of so many entries, which are rebuilt in small steps.
    fn with_blocks(entries: u64) -> Self {
        let mut world = Self::new();
        world.limits.block_entries = entries;
        world.limits.rebuild_bytes_max = 1_000;
        world
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("index.db")
    }

    fn start(&mut self, epoch: u8) -> &Index {
        let epoch = Epoch::from_bytes([epoch; 8]);
        let log = Box::new(self.log.clone());
        let (path, supervisor) = (self.path(), Supervisor::default());
        let index = Index::start_within(self.limits, &path, epoch, log, &supervisor);
        self.index.insert(index.unwrap())
    }

    fn stop(&mut self) {
        self.index = None;
    }

    /// Lets the index catch up with the log.
    fn drain(&self) {
        let index = self.index.as_ref().unwrap();
        index.poke([ROOM, OTHER]);
        for room in [ROOM, OTHER] {
            assert!(index.wait(room, self.log.head(room), 0, PATIENCE));
        }
    }

    /// All results of a search, page after page.
    fn find(&self, room: RoomId, query: &Query, bounds: Bounds) -> Vec<u64> {
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

    fn check(&self, room: RoomId, written: &str) {
        let query = query(written);
        let expected = self.log.matches(room, &query);
        for bounds in [Bounds::default(), small()] {
            assert_eq!(self.find(room, &query, bounds), expected, "{written}");
        }
    }

    /// Takes over the files of another index as they are.
    fn copy_from(&self, other: &Self) {
        for file in fs::read_dir(other.folder.path()).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), self.folder.path().join(file.file_name())).unwrap();
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

    /// Reads a number from the file, beside the running index.
    fn ask(&self, sql: &str) -> i64 {
        let connection = rusqlite::Connection::open(self.path()).unwrap();
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn blocks(&self) -> i64 {
        self.ask("SELECT count(*) FROM blocks")
    }

    /// Whether no block holds words of an earlier text, and the WAL is empty.
    fn is_clean(&self) -> bool {
        let wal = fs::metadata(self.path().with_extension("db-wal"));
        self.ask("SELECT count(*) FROM blocks WHERE stale = 1 OR stage = 'unfinished'") == 0
            && wal.is_ok_and(|wal| wal.len() == 0)
    }

    fn clean(&self) {
        until(|| self.is_clean());
    }

    fn check_integrity(&self) {
        let connection = rusqlite::Connection::open(self.path()).unwrap();
        let tables: Vec<String> = connection
            .prepare("SELECT name FROM sqlite_schema WHERE sql LIKE '%USING fts5(%'")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert!(!tables.is_empty());
        for table in tables {
            let check = format!("INSERT INTO {table}({table}) VALUES ('integrity-check')");
            connection.execute(&check, []).unwrap();
        }
        let state: String = connection
            .pragma_query_value(None, "integrity_check", |row| row.get(0))
            .unwrap();
        assert_eq!(state, "ok");
    }
}

/// Repeats until it is so: the index works in the background.
fn until(mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
}

/// Bounds that every search reaches.
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
