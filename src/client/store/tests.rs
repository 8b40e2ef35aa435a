//! Tests the store on real files.

mod disk;
mod entries;
mod folding;
mod rooms;

use std::{
    fs::{self, OpenOptions},
    io::{Seek, SeekFrom, Write},
    path::Path,
};

use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::{
    client::{
        event::Delivery,
        session::persist_types::{
            EntryRange, OutboxEntry, PersistedOutbox, Save, SaveError, StoreChange,
        },
    },
    protocol::{
        Author, Content, DeviceId, Entry, EntryKind, Epoch, Extent, Mentions, MessageId, Nickname,
        Preferences, ReadMarker, ReadState, RoomId, RoomInfo, RoomName, RoomRules, UserId,
        entry::Text,
        frame::{Part, Reset, RoomStart},
    },
    search::{Query, Words},
    text::Body,
};

/// A temporary directory of stores.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn profile(&self, nickname: &str, client: &str) -> Profile {
        Profile {
            directory: self.0.path().join("state"),
            server: "localhost:10500".to_owned(),
            nickname: Nickname::parse(nickname).unwrap(),
            client_id: ClientId::parse(client).unwrap(),
        }
    }

    fn open(&self) -> OpenedStore {
        self.open_as("carol", "3")
    }

    fn open_as(&self, nickname: &str, client: &str) -> OpenedStore {
        open(&self.profile(nickname, client)).unwrap()
    }

    fn file(&self) -> PathBuf {
        paths::file(&self.profile("carol", "3"))
    }

    fn files_with(&self, part: &str) -> usize {
        let files = fs::read_dir(self.0.path().join("state")).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| name.contains(part) && name.ends_with("db"))
            .count()
    }
}

fn lobby() -> RoomId {
    RoomId::LOBBY
}

fn read_to(seq: u64) -> ReadMarker {
    ReadMarker { seq, generation: 0 }
}

fn epoch(number: u8) -> Epoch {
    Epoch::from_bytes([number; 8])
}

fn message(seq: u64, text: &str) -> Entry {
    Entry {
        room: lobby(),
        seq,
        id: MessageId {
            device: DeviceId::from_bytes([1; 12]),
            counter: seq,
        },
        author: Author {
            user: UserId::from_bytes([1; 12]),
            nickname: Nickname::parse("alice").unwrap(),
            proven: true,
        },
        time: time(seq),
        clock_was: None,
        kind: EntryKind::Text(Text {
            body: Body::inert(text),
            mentions: Mentions::NONE,
            edited: None,
        }),
    }
}

/// The time of message `seq`.
fn time(seq: u64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + i64::try_from(seq).unwrap()).unwrap()
}

fn opened(number: u8, first: u64, head: u64) -> StoreChange {
    StoreChange::Room {
        epoch: epoch(number),
        folded: 0,
        start: RoomStart {
            changed: 0,
            redacted: 0,
            room: lobby(),
            info: RoomInfo {
                rules: RoomRules {
                    topic: Some(Line::inert("a topic")),
                    ..RoomRules::default()
                },
                ..RoomInfo::public(RoomName::lobby())
            },
            read: ReadState::default(),
            extent: Extent::new(first, head),
            next: head + 1,
            reset: None,
        },
    }
}

fn messages(number: u8, from: u64, to: u64) -> StoreChange {
    StoreChange::Entries(EntryRange::of(
        lobby(),
        epoch(number),
        (from..=to)
            .map(|seq| message(seq, &format!("text {seq}")))
            .collect(),
    ))
}

fn entry(key: u64, text: &str, counter: Option<u64>) -> OutboxEntry {
    OutboxEntry {
        key,
        number: None,
        room: lobby(),
        enter: None,
        content: Content::Text(Body::parse(text).unwrap()),
        counter,
        withdrawn: false,
        unconfirmed: false,
        failed: None,
    }
}

impl Store {
    #[track_caller]
    fn keep(&mut self, changes: Vec<StoreChange>) {
        assert_eq!(self.save(&Save { changes }), Ok(()));
    }

    fn ranges(&self) -> Vec<(u64, u64)> {
        let mut select = self
            .database
            .prepare("SELECT range.first, last FROM range JOIN room USING (log) ORDER BY 1")
            .unwrap();
        let rows = select.query_map((), |row| {
            Ok((device::number(row, 0)?, device::number(row, 1)?))
        });
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }

    fn count(&self) -> i64 {
        let count = "SELECT count(*) FROM message";
        self.database
            .query_row(count, (), |row| row.get(0))
            .unwrap()
    }

    /// The first and last number of a page.
    fn page(&mut self, part: Part, offline: bool) -> Option<(u64, u64)> {
        let look = CacheQuery::Page {
            room: lobby(),
            epoch: None,
            part,
            offline,
        };
        let CacheResult::Page(page) = self.query(&look) else {
            panic!("not a page");
        };
        page.unwrap().map(|page| {
            let numbers = page.entries.iter().map(|message| message.seq);
            assert!(numbers.eq(page.from..=page.to));
            (page.from, page.to)
        })
    }

    fn ask(&mut self, claim: LeaseClaim) -> LeaseStatus {
        match self.query(&CacheQuery::Lease(claim)) {
            CacheResult::Lease(Ok(leased)) => leased,
            other => panic!("{other:?}"),
        }
    }

    fn take(&mut self) -> PersistedOutbox {
        self.ask(LeaseClaim::Take).outbox.unwrap()
    }
}

#[test]
fn stored_state_comes_back() {
    let home = Home::new();
    let mut first = home.open();
    assert_eq!(first.kept, PersistedState::default());
    let failed = OutboxEntry {
        failed: Some(Line::inert("No")),
        ..entry(2, "bad", Some(8))
    };
    first.store.keep(vec![
        StoreChange::Entry(entry(1, "one", Some(7))),
        StoreChange::Entry(failed.clone()),
        StoreChange::Entry(entry(3, "gone", None)),
        StoreChange::NextCounter(9),
        StoreChange::Remove(3),
        opened(1, 1, 3),
        messages(1, 1, 3),
        StoreChange::Read {
            room: lobby(),
            epoch: epoch(1),
            marker: read_to(2),
            preferences: Preferences::default(),
        },
        StoreChange::Draft {
            room: lobby(),
            text: "half a".to_owned(),
        },
        StoreChange::Typed("earlier".to_owned()),
    ]);
    drop(first.store);

    let second = home.open();
    assert_eq!(second.token, first.token);
    assert_eq!(
        second.kept.outbox,
        PersistedOutbox {
            next_counter: 9,
            next_key: 4,
            entries: vec![entry(1, "one", Some(7)), failed],
        }
    );
    let [room] = second.rooms.as_slice() else {
        panic!("{:?}", second.rooms);
    };
    assert_eq!((room.read.marker.seq, room.draft.as_str()), (2, "half a"));
    assert_eq!(
        (room.page.from, room.page.to, room.page.extent.head),
        (1, 3, 3)
    );
    let StoreChange::Entries(run) = messages(1, 1, 3) else {
        unreachable!()
    };
    for (shown, kept) in room.page.entries.iter().zip(&run.entries) {
        assert_eq!(shown.words(), kept.words());
        assert_eq!((shown.id, shown.author.user), (kept.id, kept.author.user));
        assert_eq!(
            (&shown.author.nickname, shown.time),
            (&kept.author.nickname, kept.time)
        );
    }
    assert_eq!(second.kept.rooms[0].position.seq, 3);
    assert_eq!(second.kept.rooms[0].position.id, Some(run.entries[2].id));
    assert_eq!(second.kept.rooms[0].epoch, epoch(1));
    assert_eq!(second.typed, ["earlier"]);
    assert!(second.notices.is_empty());
}

#[test]
fn the_token_belongs_to_server_and_nickname() {
    let home = Home::new();
    let carol = home.open_as("carol", "3");
    assert_eq!(home.open_as("CAROL", "4").token, carol.token);
    assert_ne!(home.open_as("bob", "3").token, carol.token);
    // Names that would share a file if only letters and digits counted.
    assert_ne!(
        home.open_as("c.d", "1").token,
        home.open_as("c-d", "1").token
    );
    let odd = home.open_as("👩\u{200d}🚀", "1");
    assert_eq!(home.open_as("👩\u{200d}🚀", "1").token, odd.token);
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_the_store() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let mut opened = home.open();
    opened.store.keep(vec![StoreChange::Typed("x".to_owned())]);
    drop(opened);
    // As another program may have left it.
    fs::set_permissions(home.file(), fs::Permissions::from_mode(0o644)).unwrap();
    let mut opened = home.open();
    opened.store.keep(vec![StoreChange::Typed("y".to_owned())]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let directory = home.0.path().join("state");
    assert_eq!(mode(&directory), 0o700);
    for file in fs::read_dir(directory).unwrap() {
        let file = file.unwrap().path();
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn ranges_that_touch_become_one() {
    let check = |puts: &[(u64, u64)], expected: &[(u64, u64)]| {
        let home = Home::new();
        let mut store = home.open().store;
        store.keep(vec![opened(1, 1, 100)]);
        for &(from, to) in puts {
            store.keep(vec![messages(1, from, to)]);
        }
        assert_eq!(store.ranges(), expected, "{puts:?}");
        let held: u64 = expected.iter().map(|(from, to)| to - from + 1).sum();
        assert_eq!(store.count(), i64::try_from(held).unwrap(), "{puts:?}");
    };
    check(&[(5, 6)], &[(5, 6)]);
    check(&[(5, 6), (7, 7)], &[(5, 7)]);
    check(&[(5, 6), (4, 4)], &[(4, 6)]);
    check(&[(5, 6), (8, 9)], &[(5, 6), (8, 9)]);
    check(&[(5, 6), (8, 9), (7, 7)], &[(5, 9)]);
    check(&[(1, 3), (5, 6), (8, 9), (2, 8)], &[(1, 9)]);
    check(&[(1, 9), (3, 4)], &[(1, 9)]);
    check(&[(1, 3), (5, 7), (9, 9), (4, 5)], &[(1, 7), (9, 9)]);
}

#[test]
fn a_page_is_what_one_range_has_from_the_end_that_counts() {
    let home = Home::new();
    let mut store = home.open().store;
    store.keep(vec![
        opened(1, 1, 600),
        messages(1, 1, 10),
        messages(1, 101, 600),
    ]);
    let back = |from, to| Part::Backward { from, to };
    let on = |from, to| Part::Forward { from, to };
    for (part, online, offline) in [
        (back(1, 600), Some((401, 600)), Some((401, 600))),
        (back(500, 600), Some((500, 600)), Some((500, 600))),
        (back(1, 105), Some((101, 105)), Some((101, 105))),
        (back(1, 100), None, Some((1, 10))),
        (back(20, 100), None, None),
        (back(1, 10), Some((1, 10)), Some((1, 10))),
        (on(1, 600), Some((1, 10)), Some((1, 10))),
        (on(11, 600), None, Some((101, 300))),
        (on(11, 90), None, None),
        (on(550, 600), Some((550, 600)), Some((550, 600))),
        (on(601, 900), None, None),
        (Part::Since(time(5)), Some((5, 10)), Some((5, 10))),
        (Part::Since(time(50)), Some((101, 300)), Some((101, 300))),
        (Part::Since(time(700)), None, None),
    ] {
        assert_eq!(store.page(part, false), online, "{part:?}");
        assert_eq!(store.page(part, true), offline, "{part:?} offline");
    }
}

/// Messages from this number on, each with its time and the uncorrected clock.
fn said(from: u64, times: &[(u64, Option<u64>)]) -> StoreChange {
    let of = |(seq, (at, was)): (u64, &(u64, Option<u64>))| Entry {
        time: time(*at),
        clock_was: was.map(time),
        ..message(seq, "text")
    };
    StoreChange::Entries(EntryRange::of(
        lobby(),
        epoch(1),
        (from..).zip(times).map(of).collect(),
    ))
}

#[test]
fn a_day_is_found_whatever_the_server_s_clock_did() {
    let home = Home::new();
    let mut store = home.open().store;
    store.keep(vec![
        opened(1, 1, 200),
        // The clock was ahead for one message.
        said(
            1,
            &[
                (10, None),
                (20, None),
                (9_000, Some(25)),
                (30, Some(9_010)),
                (40, None),
            ],
        ),
        // Behind for two; the message that marks the correction is not held.
        said(101, &[(1, None), (2, None), (50, Some(3)), (60, None)]),
    ]);
    drop(store);
    let mut store = home.open().store;
    for (since, found) in [
        (0, Some((101, 104))),
        (3, Some((1, 5))),
        (21, Some((4, 5))),
        (41, Some((103, 104))),
        (61, Some((3, 5))),
        (9_001, None),
    ] {
        for offline in [false, true] {
            assert_eq!(
                store.page(Part::Since(time(since)), offline),
                found,
                "{since}"
            );
        }
    }
    let look = CacheQuery::Page {
        room: lobby(),
        epoch: None,
        part: Part::Forward { from: 1, to: 5 },
        offline: false,
    };
    let CacheResult::Page(page) = store.query(&look) else {
        panic!("not a page");
    };
    let page = page.unwrap().unwrap().entries;
    let marks: Vec<_> = page.iter().map(|message| message.clock_was).collect();
    assert_eq!(marks, [None, None, Some(time(25)), Some(time(9_010)), None]);
}

#[test]
fn messages_sent_without_a_key_are_stored_as_such() {
    let home = Home::new();
    let mut store = home.open().store;
    let unproven = Entry {
        author: Author {
            proven: false,
            ..message(2, "text 2").author
        },
        ..message(2, "text 2")
    };
    store.keep(vec![
        opened(1, 1, 3),
        StoreChange::Entries(EntryRange::of(
            lobby(),
            epoch(1),
            vec![message(1, "text 1"), unproven, message(3, "text 3")],
        )),
    ]);
    drop(store);
    // Messages that an earlier program stored are not marked.
    let database = Connection::open(home.file()).unwrap();
    let forget = "UPDATE message SET proven = NULL WHERE seq = 3";
    assert_eq!(database.execute(forget, ()).unwrap(), 1);
    drop(database);
    let mut opened = home.open();
    let shown = |messages: &[Entry]| -> Vec<_> {
        let of = |message: &Entry| (message.seq, !message.author.proven);
        messages.iter().map(of).collect()
    };
    let [room] = opened.rooms.as_slice() else {
        panic!("{:?}", opened.rooms);
    };
    let kept = [(1, false), (2, true), (3, false)];
    assert_eq!(shown(&room.page.entries), kept);
    let look = CacheQuery::Search {
        room: lobby(),
        epoch: None,
        query: Query {
            words: Words::parse("text").unwrap(),
            sender: None,
            after: None,
            before: None,
        },
        to: None,
    };
    let CacheResult::Found(found) = opened.store.query(&look) else {
        panic!("not found");
    };
    let mut found = shown(&found.unwrap().entries);
    found.reverse();
    assert_eq!(found, kept);
}

#[test]
fn another_log_is_not_mixed_with_the_old_one() {
    let home = Home::new();
    let mut store = home.open().store;
    let read = StoreChange::Read {
        room: lobby(),
        epoch: epoch(1),
        marker: read_to(9),
        preferences: Preferences::default(),
    };
    store.keep(vec![opened(1, 1, 9), messages(1, 1, 9), read]);
    // The same log again changes nothing.
    store.keep(vec![opened(1, 1, 9)]);
    assert_eq!(store.ranges(), [(1, 9)]);
    store.keep(vec![opened(2, 1, 3)]);
    assert_eq!(store.ranges(), []);
    assert_eq!(home.open_as("carol", "5").rooms[0].read.marker.seq, 0);
    // A process that does not know of it yet saves messages of the old log.
    store.keep(vec![messages(1, 10, 12)]);
    assert_eq!(store.ranges(), []);
    store.keep(vec![messages(2, 1, 3)]);
    assert_eq!(store.ranges(), [(1, 3)]);
    assert_eq!(store.count(), 3, "the old log's messages are gone");
    let reset = StoreChange::Room {
        epoch: epoch(2),
        folded: 0,
        start: RoomStart {
            changed: 0,
            redacted: 0,
            room: lobby(),
            info: RoomInfo::public(RoomName::lobby()),
            read: ReadState::default(),
            extent: Extent::new(1, 2),
            next: 2 + 1,
            reset: Some(Reset::Id),
        },
    };
    store.keep(vec![reset]);
    assert_eq!(store.ranges(), []);
}

#[test]
fn messages_that_the_server_erased_are_dropped() {
    let home = Home::new();
    let mut store = home.open().store;
    store.keep(vec![
        opened(1, 1, 20),
        messages(1, 1, 5),
        messages(1, 8, 20),
    ]);
    store.keep(vec![opened(1, 11, 20)]);
    assert_eq!(store.ranges(), [(11, 20)]);
    assert_eq!(store.count(), 10);
}

#[test]
fn of_too_many_messages_the_oldest_go_a_bounded_number_at_a_time() {
    let home = Home::new();
    let mut store = home.open().store;
    store.cache_messages_max = 100;
    store.keep(vec![
        opened(1, 1, 100),
        messages(1, 1, 40),
        messages(1, 51, 110),
    ]);
    assert_eq!(store.ranges(), [(1, 40), (51, 110)], "at the limit");
    store.keep(vec![messages(1, 111, 111)]);
    assert_eq!(store.ranges(), [(2, 40), (51, 111)], "one past it");
    store.keep(vec![messages(1, 112, 160)]);
    assert_eq!(store.ranges(), [(61, 160)]);
    assert_eq!(store.count(), 100);

    let step = cache::DROP_STEP;
    store.cache_messages_max = u64::MAX;
    store.keep(vec![messages(1, 161, 160 + step)]);
    store.cache_messages_max = 10;
    store.keep(vec![messages(1, 161 + step, 161 + step)]);
    assert_eq!(store.ranges(), [(61 + step, 161 + step)]);
    store.keep(vec![messages(1, 162 + step, 162 + step)]);
    assert_eq!(store.count(), 10);
}

#[test]
fn a_search_goes_newest_first_and_says_how_far() {
    let home = Home::new();
    let mut store = home.open().store;
    store.keep(vec![
        opened(1, 1, 300),
        messages(1, 1, 20),
        messages(1, 31, 300),
    ]);
    let mut search = |words: &str, to| {
        let query = Query {
            words: Words::parse(words).unwrap(),
            sender: None,
            after: None,
            before: None,
        };
        let room = lobby();
        let CacheResult::Found(Ok(found)) = store.query(&CacheQuery::Search {
            room,
            epoch: None,
            query,
            to,
        }) else {
            panic!("not found");
        };
        let numbers: Vec<_> = found.entries.iter().map(|m| m.seq).collect();
        (numbers, found.from, found.to)
    };
    assert_eq!(search("7", None), (vec![7], 1, 300));
    assert_eq!(search("7", Some(6)), (vec![], 1, 6));
    let (numbers, from, to) = search("text", None);
    assert_eq!((numbers.len(), numbers[0], from, to), (200, 300, 101, 300));
    assert_eq!(search("text", Some(100)).0.len(), 90);
}

#[test]
fn who_was_taken_over_does_not_replace_what_the_other_stored() {
    let home = Home::new();
    let mut first = home.open().store;
    first.keep(vec![opened(1, 1, 3), messages(1, 1, 3)]);
    let mut second = home.open().store;
    second.keep(vec![opened(2, 1, 2), messages(2, 1, 2)]);
    let late = Save {
        changes: vec![opened(1, 1, 3), messages(1, 1, 3)],
    };
    assert_eq!(first.save(&late), Err(SaveError::Lost));
    assert_eq!(second.ranges(), [(1, 2)]);
    // It can again once it has the lease.
    first.take();
    first.keep(late.changes);
    assert_eq!(second.ranges(), [(1, 3)]);
}

#[test]
fn the_last_process_to_open_holds_the_lease() {
    let home = Home::new();
    let mut first = home.open().store;
    first.keep(vec![StoreChange::Entry(entry(1, "one", None))]);
    let mut second = home.open();
    assert_eq!(second.kept.outbox.entries.len(), 1);
    let late = Save {
        changes: vec![
            StoreChange::Entry(entry(2, "late", Some(1))),
            StoreChange::NextCounter(2),
            StoreChange::Typed("kept all the same".to_owned()),
        ],
    };
    assert_eq!(first.save(&late), Err(SaveError::Lost));
    second.store.keep(vec![
        StoreChange::Entry(entry(2, "two", Some(1))),
        StoreChange::NextCounter(2),
    ]);
    let outbox = first.take();
    assert_eq!(outbox.next_counter, 2);
    let texts: Vec<_> = outbox
        .entries
        .iter()
        .map(|entry| entry.content.words())
        .collect();
    assert_eq!(texts, ["one", "two"]);
    let remove = Save {
        changes: vec![StoreChange::Remove(1)],
    };
    assert_eq!(second.store.save(&remove), Err(SaveError::Lost));
    assert_eq!(first.save(&remove), Ok(()));
    // Another device has another lease.
    let mut other = home.open_as("carol", "4");
    assert_eq!(other.typed, ["kept all the same"]);
    other
        .store
        .keep(vec![StoreChange::Entry(entry(1, "x", None))]);
    first.keep(vec![StoreChange::Remove(2)]);
    assert_eq!(other.store.take().entries.len(), 1);
}

/// A message of a process without the lease.
fn submit(number: u64, text: &str) -> StoreChange {
    StoreChange::Submit {
        number,
        room: lobby(),
        enter: None,
        content: Content::Text(Body::parse(text).unwrap()),
    }
}

fn texts(entries: &[OutboxEntry]) -> Vec<(u64, Option<u64>, &str)> {
    let in_short = entries
        .iter()
        .map(|entry| (entry.key, entry.number, entry.content.words()));
    in_short.collect()
}

#[test]
fn a_process_beside_the_holder_submits_and_is_told() {
    let home = Home::new();
    let mut holder = home.open().store;
    let profile = home.profile("carol", "3");
    let mut first = open_on_standby(&profile).unwrap();
    let mut second = open_on_standby(&profile).unwrap();
    assert!(first.kept.standby && second.kept.standby);
    holder.keep(vec![StoreChange::Entry(entry(1, "its own", None))]);
    assert!(!holder.has_news());
    first.store.keep(vec![submit(1, "a"), submit(2, "b")]);
    second.store.keep(vec![submit(1, "c")]);
    assert!(holder.has_news());
    let CacheResult::Adopted(Ok(Some(adopted))) = holder.query(&CacheQuery::Adopt { key: 10 })
    else {
        panic!("not taken over");
    };
    let expected = [(10, None, "a"), (11, None, "b"), (12, None, "c")];
    assert_eq!(texts(&adopted), expected);

    let sent = Delivery::Sent { seq: Some(4) };
    let failed = Delivery::Failed {
        why: Line::inert("No"),
    };
    for (key, delivery) in [(10, &sent), (12, &failed), (1, &sent)] {
        let delivery = delivery.clone();
        holder.keep(vec![
            StoreChange::Settled { key, delivery },
            StoreChange::Remove(key),
        ]);
    }
    assert_eq!(first.store.ask(LeaseClaim::IfFree).settled, [(1, sent)]);
    assert_eq!(
        first.store.ask(LeaseClaim::IfFree),
        LeaseStatus::default(),
        "told once"
    );
    assert_eq!(second.store.ask(LeaseClaim::IfFree).settled, [(1, failed)]);

    // Messages that still wait when the holder ends go to the next one.
    second.store.keep(vec![submit(2, "d")]);
    drop(holder);
    let leased = first.store.ask(LeaseClaim::IfFree);
    assert!(leased.ours);
    let outbox = leased.outbox.unwrap();
    assert_eq!(
        texts(&outbox.entries),
        [(11, Some(2), "b"), (13, None, "d")]
    );
    assert_eq!(outbox.next_key, 14);
    assert!(!second.store.ask(LeaseClaim::IfFree).ours, "one has it");
    assert!(
        second.store.ask(LeaseClaim::Take).ours,
        "a user may want it"
    );
    assert!(!first.store.ask(LeaseClaim::IfFree).ours);
}

#[test]
fn a_store_that_is_given_back_is_free_and_nothing_is_left_beside_it() {
    let home = Home::new();
    let profile = home.profile("carol", "3");
    drop(open_on_standby(&profile).unwrap());
    let again = open_on_standby(&profile).unwrap();
    assert!(!again.kept.standby);
    // A process that was taken over and takes the lease back counts as alive.
    let mut other = home.open();
    let mut store = again.store;
    store.take();
    assert!(!other.store.ask(LeaseClaim::IfFree).ours);
    // A killed process leaves its lock file.
    fs::write(home.file().with_extension("00.run"), b"").unwrap();
    assert!(!liveness::is_alive(&home.file(), &[0]));
    drop((store, other));
    let signs = fs::read_dir(home.0.path().join("state")).unwrap();
    let signs = signs.map(|file| file.unwrap().path());
    let is_sign = |path: &PathBuf| path.extension().is_some_and(|end| end == "run");
    assert_eq!(signs.filter(is_sign).count(), 1);
}

#[test]
fn more_than_the_outbox_holds_is_refused_to_who_submits_it() {
    let home = Home::new();
    let holder = home.open();
    let mut other = open_on_standby(&home.profile("carol", "3")).unwrap().store;
    let long = "x".repeat(crate::protocol::limits::TEXT_BYTES_MAX);
    let most = crate::client::session::OUTBOX_BYTES_MAX / long.len();
    let all = (1..=most as u64 + 1).map(|number| submit(number, &long));
    other.keep(all.collect());
    let settled = other.ask(LeaseClaim::No).settled;
    let [(number, Delivery::Failed { .. })] = settled[..] else {
        panic!("{settled:?}");
    };
    assert_eq!(number, most as u64 + 1);
    drop(holder);
}

#[test]
fn submitted_messages_outlive_damage() {
    let home = Home::new();
    filled(&home);
    let mut holder = home.open().store;
    let mut other = open_on_standby(&home.profile("carol", "3")).unwrap().store;
    other.keep(vec![submit(1, "handed over")]);
    fs::remove_file(home.file()).unwrap();
    holder.keep(vec![StoreChange::NextCounter(1)]);
    let entries = holder.take().entries;
    let last = entries.last().unwrap();
    assert_eq!(last.content.words(), "handed over");
    let key = last.key;
    let sent = Delivery::Sent { seq: None };
    let delivery = sent.clone();
    holder.keep(vec![
        StoreChange::Settled { key, delivery },
        StoreChange::Remove(key),
    ]);
    // It finds the new file with its next save.
    other.keep(vec![submit(2, "another")]);
    assert_eq!(other.ask(LeaseClaim::No).settled, [(1, sent)]);
}

#[test]
fn two_devices_fill_one_cache() {
    let home = Home::new();
    let mut one = home.open_as("carol", "3").store;
    let mut other = home.open_as("carol", "4").store;
    one.keep(vec![opened(1, 1, 5), messages(1, 1, 5)]);
    other.keep(vec![opened(1, 1, 7), messages(1, 4, 7)]);
    one.keep(vec![messages(1, 6, 8)]);
    assert_eq!(other.ranges(), [(1, 8)]);
    assert_eq!(other.count(), 8);
}

#[test]
fn of_texts_typed_the_latest_are_kept() {
    let home = Home::new();
    let mut store = home.open().store;
    let typed = |n: usize| StoreChange::Typed(n.to_string());
    store.keep((0..TYPED_MAX + 3).map(typed).collect());
    let typed = home.open_as("carol", "9").typed;
    assert_eq!(typed.len(), TYPED_MAX);
    assert_eq!(
        (typed[0].as_str(), typed.last().unwrap().as_str()),
        ("3", "502")
    );
}

#[test]
fn a_draft_is_cut_between_characters_and_an_empty_one_is_none() {
    let home = Home::new();
    let mut store = home.open().store;
    let draft = |text: String| StoreChange::Draft {
        room: lobby(),
        text,
    };
    store.keep(vec![opened(1, 1, 0), draft("é".repeat(DRAFT_BYTES_MAX))]);
    drop(store);
    let mut again = home.open();
    assert_eq!(again.rooms[0].draft.len(), DRAFT_BYTES_MAX);
    again.store.keep(vec![draft(String::new())]);
    assert_eq!(home.open().rooms[0].draft, "");
}

/// Fills and closes a store with an outbox, a draft and many messages.
fn filled(home: &Home) -> Token {
    let mut opened_now = home.open();
    let store = &mut opened_now.store;
    store.keep(vec![
        StoreChange::Entry(entry(1, "pending", Some(5))),
        StoreChange::NextCounter(6),
        StoreChange::Draft {
            room: lobby(),
            text: "half a".to_owned(),
        },
        opened(1, 1, 5000),
    ]);
    for from in (1..5000).step_by(500) {
        store.keep(vec![messages(1, from, from + 499)]);
    }
    opened_now.token
}

/// Overwrites two of the pages that hold messages.
fn spoil_messages(file: &Path) {
    let database = Connection::open(file).unwrap();
    let size: u64 = database
        .query_row("PRAGMA page_size", (), |row| device::number(row, 0))
        .unwrap();
    drop(database);
    let bytes = fs::read(file).unwrap();
    let mut out = OpenOptions::new().write(true).open(file).unwrap();
    let chunk = usize::try_from(size).unwrap();
    let pages = bytes.chunks(chunk).enumerate();
    let has_text = |page: &[u8]| {
        page.windows(9)
            .any(|window| window == b"text 2222" || window == b"text 3333")
    };
    let spoilt: Vec<_> = pages
        .filter(|(_, page)| has_text(page))
        .map(|(at, _)| at)
        .collect();
    assert!(!spoilt.is_empty());
    for at in &spoilt {
        out.seek(SeekFrom::Start(*at as u64 * size)).unwrap();
        out.write_all(&vec![0xa5; chunk]).unwrap();
    }
}

#[test]
fn damaged_messages_cost_messages_only() {
    let home = Home::new();
    let token = filled(&home);
    spoil_messages(&home.file());
    // The messages shown at the start are intact; the damage is met further back.
    let mut opened_now = home.open();
    assert_eq!(opened_now.token, token);
    let store = &mut opened_now.store;
    for to in (200..=5000).rev().step_by(200) {
        store.page(Part::Backward { from: 1, to }, false);
    }
    let notices = store.take_notices();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].as_str().contains("set aside"), "{notices:?}");
    assert_eq!(home.files_with("damaged"), 1);
    // The session continues in the new file, with its lease.
    store.keep(vec![StoreChange::Entry(entry(2, "more", Some(6)))]);
    drop(opened_now);
    let again = home.open();
    assert_eq!(again.token, token);
    let texts: Vec<_> = again
        .kept
        .outbox
        .entries
        .iter()
        .map(|e| e.content.words())
        .collect();
    assert_eq!(texts, ["pending", "more"]);
    assert!(again.notices.is_empty());
}

#[test]
fn a_file_that_is_damaged_at_the_start_is_set_aside_and_a_new_one_made() {
    let check = |spoil: &dyn Fn(&Path), rescued: bool| {
        let home = Home::new();
        let token = filled(&home);
        spoil(&home.file());
        let mut opened_now = home.open();
        assert_eq!(home.files_with("damaged"), 1);
        assert_eq!(opened_now.notices.len(), 1);
        assert_eq!(opened_now.token == token, rescued);
        let outbox = &opened_now.kept.outbox;
        assert_eq!(outbox.entries.len(), usize::from(rescued));
        assert_eq!(outbox.next_counter, if rescued { 6 } else { 1 });
        assert_eq!(opened_now.rooms.len(), 0, "messages come from the server");
        opened_now
            .store
            .keep(vec![opened(1, 1, 9), messages(1, 1, 9)]);
        drop(opened_now);
        assert!(home.open().notices.is_empty());
    };
    // No database at all.
    check(
        &|file| fs::write(file, "not a database, by far ".repeat(100)).unwrap(),
        false,
    );
    // Truncated.
    check(
        &|file| {
            let length = fs::metadata(file).unwrap().len();
            let file = OpenOptions::new().write(true).open(file).unwrap();
            file.set_len(length / 2).unwrap();
        },
        true,
    );
    // A table is missing.
    check(
        &|file| {
            let database = Connection::open(file).unwrap();
            database.execute_batch("DROP TABLE room").unwrap();
        },
        true,
    );
    // A row is invalid.
    check(
        &|file| {
            let database = Connection::open(file).unwrap();
            let spoil = "UPDATE message SET id = char(27) WHERE seq > 4990";
            database.execute_batch(spoil).unwrap();
        },
        true,
    );
}

#[test]
fn an_empty_file_is_a_new_store() {
    let home = Home::new();
    drop(home.open());
    fs::write(home.file(), "").unwrap();
    let opened_now = home.open();
    assert!(opened_now.notices.is_empty());
    assert_eq!(home.files_with("damaged"), 0);
}

#[test]
fn a_newer_programs_store_is_left_alone() {
    let home = Home::new();
    drop(home.open());
    let database = Connection::open(home.file()).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    let before = fs::read(home.file()).unwrap();
    let error = open(&home.profile("carol", "3")).unwrap_err();
    assert!(matches!(error, OpenError::Newer(_)), "{error:?}");
    assert!(error.to_string().contains("newer chat-tui"), "{error}");
    assert_eq!(fs::read(home.file()).unwrap(), before);
    assert_eq!(home.files_with("damaged"), 0);
}

#[test]
fn a_locked_store_is_reported_and_can_be_opened_later() {
    let home = Home::new();
    let token = home.open().token;
    let other = Connection::open(home.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = open(&home.profile("carol", "3")).unwrap_err();
    assert!(error.to_string().contains("keeps it locked"), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(home.open().token, token);

    // And a process that takes too long to set it aside.
    let lock = lock(&home.file()).unwrap();
    fs::write(home.file(), "no database").unwrap();
    let error = open(&home.profile("carol", "3")).unwrap_err();
    assert!(error.to_string().contains("keeps it locked"), "{error}");
    assert_eq!(home.files_with("damaged"), 0);
    drop(lock);
    assert_eq!(home.open().notices.len(), 1);
}

#[test]
fn a_place_that_is_no_place_is_said() {
    let home = Home::new();
    fs::write(home.0.path().join("state"), "a file").unwrap();
    let error = open(&home.profile("carol", "3")).unwrap_err();
    assert!(matches!(error, OpenError::Unusable { .. }), "{error:?}");
}

#[test]
fn a_full_disk_saves_nothing_and_goes_on_when_there_is_room() {
    let home = Home::new();
    let mut store = home.open().store;
    store.keep(vec![opened(1, 1, 9), messages(1, 1, 2)]);
    let pages: i64 = store
        .database
        .query_row("PRAGMA page_count", (), |row| row.get(0))
        .unwrap();
    let limit = |store: &Store, pages: i64| {
        store
            .database
            .pragma_update(None, "max_page_count", pages)
            .unwrap();
    };
    limit(&store, pages);
    let long = "x".repeat(16_000);
    let save = Save {
        changes: vec![
            messages(1, 3, 4),
            StoreChange::Entry(entry(1, &long, Some(1))),
        ],
    };
    let full = SaveError::Failed(Line::inert("there is no room left on the disk"));
    assert_eq!(store.save(&save), Err(full));
    // The latest message stays; the others were dropped, which did not make enough room.
    assert_eq!(store.ranges(), [(2, 2)], "all or nothing");
    assert_eq!(
        store.page(Part::Forward { from: 2, to: 9 }, false),
        Some((2, 2))
    );
    limit(&store, 100_000);
    assert_eq!(store.save(&save), Ok(()));
    assert_eq!(store.ranges(), [(2, 4)]);
}

#[test]
fn two_processes_that_meet_the_same_damage_make_one_new_file() {
    let home = Home::new();
    filled(&home);
    spoil_messages(&home.file());
    let mut one = home.open_as("carol", "3").store;
    let mut other = home.open_as("carol", "4").store;
    let look = |store: &mut Store| {
        for to in (200..=5000).rev().step_by(200) {
            store.page(Part::Backward { from: 1, to }, false);
        }
    };
    look(&mut one);
    one.keep(vec![
        StoreChange::Entry(entry(2, "after it", Some(6))),
        StoreChange::NextCounter(7),
    ]);
    look(&mut other);
    other.keep(vec![StoreChange::Entry(entry(1, "of the other", Some(1)))]);
    assert_eq!(home.files_with("damaged"), 1);
    assert_eq!(one.take_notices().len(), 1);
    assert_eq!(other.take_notices(), [], "for this one nothing was lost");
    one.keep(vec![StoreChange::Entry(entry(3, "still ours", Some(7)))]);
    drop((one, other));
    let texts = |client| {
        let entries = home.open_as("carol", client).kept.outbox.entries;
        let texts = entries
            .into_iter()
            .map(|entry| entry.content.words().to_owned());
        texts.collect::<Vec<_>>()
    };
    assert_eq!(texts("3"), ["pending", "after it", "still ours"]);
    assert_eq!(texts("4"), ["of the other"]);
}

#[test]
fn saves_go_to_the_file_that_replaced_ours() {
    let home = Home::new();
    filled(&home);
    let mut idle = home.open_as("carol", "4").store;
    spoil_messages(&home.file());
    let mut quick = home.open_as("carol", "3").store;
    for to in (200..=5000).rev().step_by(200) {
        quick.page(Part::Backward { from: 1, to }, false);
    }
    assert_eq!(home.files_with("damaged"), 1);
    idle.keep(vec![StoreChange::Entry(entry(1, "late", Some(1)))]);
    drop((idle, quick));
    assert_eq!(home.open_as("carol", "4").kept.outbox.entries.len(), 1);
}

#[test]
fn damage_in_a_running_client_costs_neither_the_token_nor_the_lease_nor_the_counters() {
    let home = Home::new();
    let mut opened_now = home.open();
    let store = &mut opened_now.store;
    store.keep(vec![
        StoreChange::Entry(entry(1, "sent", Some(1))),
        StoreChange::NextCounter(9),
    ]);
    // Neither the token nor the used counters can be read.
    let spoil = "DROP TABLE profile; DROP TABLE device;";
    store.database.execute_batch(spoil).unwrap();
    store.keep(vec![StoreChange::Entry(entry(2, "more", Some(9)))]);
    let notices = store.take_notices();
    assert_eq!(notices.len(), 1);
    assert!(!notices[0].as_str().contains("new member"), "{notices:?}");
    let token = opened_now.token;
    drop(opened_now);
    let again = home.open();
    assert_eq!(again.token, token);
    assert_eq!(again.kept.outbox.next_counter, 9);
    assert_eq!(again.kept.outbox.entries.len(), 2);
}

#[cfg(unix)]
#[test]
fn a_file_that_is_deleted_while_it_is_open_is_made_anew() {
    let home = Home::new();
    let mut opened_now = home.open();
    let store = &mut opened_now.store;
    store.keep(vec![StoreChange::Entry(entry(1, "one", None))]);
    fs::remove_file(home.file()).unwrap();
    store.keep(vec![StoreChange::Entry(entry(2, "two", None))]);
    assert!(store.take_notices()[0].as_str().contains("was deleted"));
    let token = opened_now.token;
    drop(opened_now);
    let again = home.open();
    assert_eq!(again.token, token);
    assert_eq!(again.kept.outbox.entries.len(), 2);
}

#[test]
fn messages_dropped_by_another_process_are_not_taken_for_damage() {
    let home = Home::new();
    let mut reader = home.open_as("carol", "4").store;
    let mut writer = home.open().store;
    writer.cache_messages_max = 20;
    writer.keep(vec![opened(1, 1, 5000)]);
    let writing = thread::spawn(move || {
        for seq in 1..400 {
            writer.keep(vec![messages(1, seq, seq)]);
        }
    });
    while !writing.is_finished() {
        reader.page(Part::Backward { from: 1, to: 5000 }, true);
    }
    writing.join().unwrap();
    assert_eq!(reader.take_notices(), []);
    assert_eq!(home.files_with("damaged"), 0);
}

#[test]
fn of_another_log_nothing_is_given_and_nothing_is_read() {
    let home = Home::new();
    let mut store = home.open().store;
    store.keep(vec![opened(1, 1, 30), messages(1, 1, 30)]);
    let look = |number| CacheQuery::Page {
        room: lobby(),
        epoch: Some(epoch(number)),
        part: Part::Backward { from: 1, to: 30 },
        offline: true,
    };
    assert!(matches!(
        store.query(&look(1)),
        CacheResult::Page(Ok(Some(_)))
    ));
    assert_eq!(store.query(&look(2)), CacheResult::Page(Ok(None)));
    let read = |number, seq| StoreChange::Read {
        room: lobby(),
        epoch: epoch(number),
        marker: read_to(seq),
        preferences: Preferences::default(),
    };
    for (change, expected) in [(read(2, 9), 0), (read(1, 9), 9), (read(1, 5000), 30)] {
        store.keep(vec![change]);
        assert_eq!(home.open().rooms[0].read.marker.seq, expected);
    }
}

#[test]
fn erased_messages_are_not_shown_before_they_are_dropped() {
    let home = Home::new();
    let mut store = home.open().store;
    store.keep(vec![opened(1, 1, 30), messages(1, 1, 30)]);
    let first = |store: &Store, first: i64| {
        let set = "UPDATE room SET first = ?";
        store.database.execute(set, [first]).unwrap();
    };
    first(&store, 21);
    let part = Part::Backward { from: 1, to: 30 };
    assert_eq!(store.page(part, true), Some((21, 30)));
    let room = home.open().rooms.remove(0);
    assert_eq!((room.page.from, room.page.entries.len()), (21, 10));
    first(&store, 31);
    assert_eq!(store.page(part, true), None);
    let again = home.open();
    assert_eq!(again.rooms[0].page.entries, []);
    assert_eq!(
        again.kept.rooms[0].position.seq, 30,
        "it goes on where it was"
    );
}
