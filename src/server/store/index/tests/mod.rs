//! A log of two rooms that tests write to, with the index that follows it.

mod erasing;
mod files;
mod searching;
mod sqlite;

use std::{
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};

use super::*;
use crate::{
    protocol::{
        Author, DeviceId, Entry, EntryKind, Extent, MessageId, Nickname, ServerFrame, UserId,
        entry::Text, wire::encode_server,
    },
    search::Query,
    server::log::{Found, Segment, StoreError, segment::SegmentBuilder},
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
    /// By how many minutes the clock is wrong.
    ahead: i64,
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

    /// Appends a message, one a minute.
    fn say(&self, room: RoomIndex, nickname: &str, text: &str) {
        let room = &mut self.0.lock().unwrap()[room.at()];
        let counter = room.entries.len() as u64 + 1;
        let nickname = Nickname::parse(nickname).unwrap();
        let minutes = i64::try_from(counter).unwrap() + room.ahead;
        let time = Timestamp::from_second(minutes * 60).unwrap();
        let frame = ServerFrame::Entry(Entry {
            room: RoomName::lobby(),
            seq: counter,
            id: MessageId {
                device: DeviceId::from_bytes([1; 12]),
                counter,
            },
            author: Author {
                user: UserId::from_bytes([1; 12]),
                nickname: nickname.clone(),
                proven: true,
            },
            time,
            clock_was: None,
            kind: EntryKind::Text(Text {
                body: Body::inert(text),
                edited: None,
            }),
        });
        let mut bytes = Vec::new();
        encode_server(&frame, &mut bytes);
        // As a stored text is returned.
        let text = Body::inert(text).as_str().to_owned();
        room.entries.push((nickname, time, text, bytes));
    }

    /// Sets the clock.
    fn set_clock(&self, room: RoomIndex, ahead: i64) {
        self.0.lock().unwrap()[room.at()].ahead = ahead;
    }

    fn drop_below(&self, room: RoomIndex, first: u64) {
        self.0.lock().unwrap()[room.at()].first = first;
    }

    fn head(&self, room: RoomIndex) -> u64 {
        self.0.lock().unwrap()[room.at()].entries.len() as u64
    }

    /// The numbers that a query finds, newest first.
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

impl IndexedLog for TestLog {
    fn marked(&mut self, room: RoomIndex, extent: Extent) -> Result<Vec<u64>, StoreError> {
        let room = &self.0.lock().unwrap()[room.at()];
        let goes_back = |pair: &[(Nickname, Timestamp, String, Vec<u8>)]| pair[0].1 > pair[1].1;
        let pairs = (2..).zip(room.entries.windows(2));
        let marked = pairs.filter(|(_, pair)| goes_back(pair));
        Ok(marked
            .map(|(seq, _)| seq)
            .filter(|seq| extent.numbers().contains(seq))
            .collect())
    }

    fn extent(&mut self, room: RoomIndex) -> Result<Extent, StoreError> {
        let room = &self.0.lock().unwrap()[room.at()];
        Ok(Extent::new(room.first, room.entries.len() as u64))
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
        let index = Index::start(&self.path(), epoch, &rooms, log, &Supervisor::default()).unwrap();
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

    /// All results of a search, page after page.
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
