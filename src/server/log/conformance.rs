//! Conformance tests for stores: one table of checks, and long random runs on both that must agree.

use std::sync::Arc;

use super::*;
use crate::{
    protocol::{
        Content, DeviceId, Epoch, Extent, MessageId, RoomName,
        frame::{ErrorCode, Member, Part},
    },
    search::Query,
    server::store::{
        SqliteStore,
        sqlite::{Durability, Settings},
    },
    text::Body,
};
use crate::{
    protocol::{Nickname, Role, UserId, limits},
    server::{event_log::EventLog, supervisor::Supervisor},
};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

mod times;

pub(in crate::server) const LOBBY: RoomIndex = RoomIndex(0);
pub(in crate::server) const TEA: RoomIndex = RoomIndex(1);

pub(in crate::server) fn rooms() -> Vec<RoomName> {
    vec![RoomName::lobby(), RoomName::parse("tea").unwrap()]
}

pub(in crate::server) fn device(name: u8) -> DeviceId {
    DeviceId::from_bytes([name; 12])
}

pub(in crate::server) fn id(name: u8, counter: u64) -> MessageId {
    MessageId {
        device: device(name),
        counter,
    }
}

pub(in crate::server) fn message_in(
    room: RoomIndex,
    name: u8,
    counter: u64,
    text: &str,
) -> Operation {
    Operation::Append {
        id: id(name, counter),
        settled: 0,
        room,
        sender: Arc::new(Member {
            user: UserId::from_bytes([name; 12]),
            nickname: Nickname::parse(["alice", "bob", "carol"][usize::from(name) % 3]).unwrap(),
            since: Timestamp::UNIX_EPOCH,
            role: Role::Member,
        }),
        content: Content::Text(Body::inert(text)),
        moderates: false,
    }
}

pub(in crate::server) fn message(name: u8, counter: u64) -> Operation {
    message_in(LOBBY, name, counter, "text")
}

pub(in crate::server) fn spend(name: u8, counter: u64, refused: Option<ErrorCode>) -> Operation {
    Operation::Settle {
        id: id(name, counter),
        settled: 0,
        refused,
    }
}

/// A record of the kind `ban`; without a value, its removal.
pub(in crate::server) fn fact(key: &str, value: Option<&str>) -> StateRecord {
    StateRecord {
        kind: "ban".into(),
        key: key.to_owned(),
        value: value.map(str::to_owned),
    }
}

pub(in crate::server) fn open(name: u8, next: Option<u64>, look: &[(RoomIndex, u64)]) -> Operation {
    Operation::OpenDevice {
        device: device(name),
        owner: None,
        next,
        look: look.to_vec(),
    }
}

/// Opens a device for the user `user`, whose key alone was the user `before`.
fn open_as(name: u8, (user, before): (u8, u8), next: Option<u64>) -> Operation {
    let user_id = |name| UserId::from_bytes([name; 12]);
    Operation::OpenDevice {
        device: device(name),
        owner: Some(DeviceOwner {
            user: user_id(user),
            key_user: user_id(before),
        }),
        next,
        look: Vec::new(),
    }
}

pub(in crate::server) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(in crate::server) fn append(
    store: &mut dyn Store,
    second: i64,
    operations: impl Into<Vec<Operation>>,
) -> Committed {
    let operations = operations.into();
    let count = operations.len();
    let now = at(second);
    let committed = store.append(Batch::new(now, operations)).unwrap();
    assert_eq!(committed.results.len(), count);
    committed
}

pub(in crate::server) fn stored(seq: u64, second: i64) -> MessageOutcome {
    MessageOutcome::Stored {
        room: LOBBY,
        seq,
        time: at(second),
    }
}

fn seqs(frames: &[Bytes]) -> Vec<u64> {
    let seq = |frame: &Bytes| semantics::decode_entry(frame).unwrap().seq;
    frames.iter().map(seq).collect()
}

pub(in crate::server) fn memory() -> MemoryStore {
    MemoryStore::new(Epoch::from_bytes([1; 8]), &rooms(), MemoryLimits::default())
}

pub(in crate::server) fn settings(directory: &std::path::Path) -> Settings {
    Settings {
        directory: directory.to_owned(),
        durability: Durability::Full,
        index: false,
        recorder: EventLog::none(),
        supervisor: Supervisor::default(),
    }
}

/// Without syncs: no test here loses power, and a disk is slow.
fn unsynced(directory: &std::path::Path) -> Settings {
    Settings {
        durability: Durability::Relaxed,
        ..settings(directory)
    }
}

/// Runs a check on a new store of each kind.
fn each(check: impl Fn(&mut dyn Store)) {
    check(&mut memory());
    let directory = tempfile::tempdir().unwrap();
    check(&mut SqliteStore::open(&unsynced(directory.path()), &rooms()).unwrap());
}

#[test]
fn numbers_have_no_gaps_and_times_stand_still_where_the_clock_goes_back_a_little() {
    each(|store| {
        let first = append(store, 10, [message(1, 1), message(2, 1)]);
        let second = append(store, 5, [message(1, 1), message(1, 3), message(1, 2)]);
        assert_eq!(
            first.results,
            [OpResult::Done(stored(1, 10)), OpResult::Done(stored(2, 10))]
        );
        assert_eq!(
            second.results,
            [
                OpResult::Repeated(stored(1, 10)),
                OpResult::CounterGap { counter: 1 },
                OpResult::Done(stored(3, 10)),
            ]
        );
        assert_eq!(second.runs[0].segment.first(), 3);
        let empty = Extent::new(1, 0);
        assert_eq!(store.extents(), [Extent::new(1, 3), empty]);
    });
}

#[test]
fn a_repetition_in_one_batch_is_one() {
    each(|store| {
        let committed = append(store, 10, [message(1, 1), message(1, 1), message(1, 2)]);
        assert_eq!(
            committed.results,
            [
                OpResult::Done(stored(1, 10)),
                OpResult::Repeated(stored(1, 10)),
                OpResult::Done(stored(2, 10)),
            ]
        );
    });
}

#[test]
fn a_counter_can_be_used_up_for_nothing() {
    each(|store| {
        let refused = Some(ErrorCode::BadText);
        let batch = [
            spend(1, 1, refused),
            spend(1, 2, None),
            message(1, 1),
            message(1, 2),
        ];
        let committed = append(store, 1, batch);
        assert_eq!(
            committed.results,
            [
                OpResult::Done(MessageOutcome::Refused(ErrorCode::BadText)),
                OpResult::Done(MessageOutcome::Withdrawn),
                OpResult::Repeated(MessageOutcome::Refused(ErrorCode::BadText)),
                OpResult::Repeated(MessageOutcome::Withdrawn),
            ]
        );
        assert!(committed.runs.is_empty());
    });
}

#[test]
fn a_device_is_opened_to_its_owner_and_to_nobody_else() {
    each(|store| {
        let opened = |counter| OpResult::Opened {
            counter,
            ids: Vec::new(),
        };
        append(store, 1, [message(1, 1)]);
        for (opening, verdict) in [
            // Without an owner it is open to all, until a key is proven.
            (open(1, None, &[]), opened(1)),
            (open_as(1, (7, 7), None), opened(1)),
            (open(1, None, &[]), OpResult::Foreign),
            (open(1, Some(limits::NUMBER_MAX), &[]), OpResult::Foreign),
            (open_as(1, (8, 8), Some(5)), OpResult::Foreign),
            (open_as(1, (8, 9), Some(5)), OpResult::Foreign),
            (open_as(1, (7, 7), Some(5)), opened(4)),
            // The key now belongs to another user's account: it is the same device.
            (open_as(1, (8, 7), None), opened(4)),
            (open_as(1, (8, 9), None), OpResult::Foreign),
            // Another key of the user whose id is that of the first key.
            (open_as(1, (7, 9), None), opened(4)),
            (open_as(1, (7, 7), None), opened(4)),
            // A device that has sent nothing has an owner too.
            (open_as(2, (7, 7), None), opened(0)),
            (open(2, None, &[]), OpResult::Foreign),
        ] {
            let what = format!("{opening:?}");
            let committed = append(store, 1, [opening]);
            assert_eq!(committed.results, [verdict], "{what}");
        }
    });
}

#[test]
fn a_false_claim_uses_up_no_numbers_of_a_device() {
    each(|store| {
        let far = semantics::AHEAD_MAX + 1;
        for (next, verdict) in [
            (limits::NUMBER_MAX, None),
            (far + 1, None),
            (far, Some(far - 1)),
            (far, Some(far - 1)),
            (limits::NUMBER_MAX, None),
            (2 * far - 1, Some(2 * far - 2)),
        ] {
            let expected = verdict.map_or(OpResult::TooFarAhead, |counter| OpResult::Opened {
                counter,
                ids: Vec::new(),
            });
            let committed = append(store, 1, [open(1, Some(next), &[])]);
            assert_eq!(committed.results, [expected], "{next}");
        }
        let next = 2 * far - 1;
        let committed = append(store, 1, [message(1, next)]);
        assert_eq!(committed.results, [OpResult::Done(stored(1, 1))]);
    });
}

#[test]
fn a_device_is_told_where_it_stands() {
    each(|store| {
        append(store, 1, [message(1, 1), message(1, 2)]);
        for (opening, counter, ids) in [
            (open(1, None, &[(LOBBY, 2)]), 2, vec![Some(id(1, 2))]),
            (open(1, Some(2), &[(LOBBY, 3)]), 2, vec![None]),
            (
                open(2, None, &[(TEA, 1), (LOBBY, 1)]),
                0,
                vec![None, Some(id(1, 1))],
            ),
            // The device says that all below 8 is settled, and so it is.
            (open(2, Some(8), &[]), 7, vec![]),
            (open(2, None, &[(LOBBY, u64::MAX)]), 7, vec![None]),
        ] {
            let committed = append(store, 1, [opening]);
            assert_eq!(committed.results, [OpResult::Opened { counter, ids }]);
        }
        let repeated = append(store, 1, [message(2, 3), message(2, 8)]);
        assert_eq!(
            repeated.results,
            [
                OpResult::Repeated(MessageOutcome::Forgotten),
                OpResult::Done(stored(3, 1))
            ]
        );
    });
}

#[test]
fn no_message_has_a_number_that_nobody_can_read() {
    each(|store| {
        let last = limits::NUMBER_MAX;
        // The hub reminds a store that has forgotten the device.
        let mut message_of_one = message(1, last);
        if let Operation::Append { settled, .. } = &mut message_of_one {
            *settled = last - 1;
        }
        let committed = append(store, 1, [message_of_one, message(1, last + 1)]);
        assert_eq!(
            committed.results,
            [
                OpResult::Done(stored(1, 1)),
                OpResult::CounterGap { counter: last }
            ]
        );
        assert_eq!(store.extents()[0].head, 1);
    });
}

#[test]
fn rooms_count_for_themselves() {
    each(|store| {
        let batch = [
            message(1, 1),
            message_in(TEA, 1, 2, "hot"),
            message_in(TEA, 2, 1, "water"),
        ];
        let committed = append(store, 1, batch);
        let runs: Vec<_> = committed
            .runs
            .iter()
            .map(|run| (run.room, run.segment.first(), run.segment.next()))
            .collect();
        assert_eq!(runs, [(LOBBY, 1, 2), (TEA, 1, 3)]);
        let page = store.read(TEA, 1, 10_000).unwrap();
        assert_eq!(page.bytes(), committed.runs[1].segment.bytes());
        assert!(page.bytes().ends_with(b"\n"));
    });
}

#[test]
fn reading_goes_on_where_one_stands() {
    each(|store| {
        for counter in 1..=5 {
            append(store, 1, [message(1, counter)]);
        }
        let one = store.read(LOBBY, 1, 0).unwrap().bytes().len();
        for (from, bytes_max, expected) in [
            (1, 100_000, (1, 6)),
            (3, 100_000, (3, 6)),
            (0, 100_000, (1, 6)),
            (2, 0, (2, 3)),
            (2, 2 * one, (2, 4)),
            (2, 2 * one - 1, (2, 3)),
            (6, 100_000, (6, 6)),
            (100, 100_000, (6, 6)),
        ] {
            let read = store.read(LOBBY, from, bytes_max).unwrap();
            assert_eq!((read.first(), read.next()), expected, "{from}, {bytes_max}");
        }
    });
}

#[test]
fn a_page_is_a_part_of_the_log() {
    each(|store| {
        for counter in 1..=500 {
            let second = i64::try_from(counter).unwrap() * 10;
            append(store, second, [message(1, counter)]);
        }
        let forward = |from, to| Part::Forward { from, to };
        let backward = |from, to| Part::Backward { from, to };
        for (part, from, to) in [
            (forward(1, 3), 1, 3),
            (forward(0, u64::MAX), 1, 200),
            (forward(499, 600), 499, 500),
            (forward(501, 600), 501, 500),
            (forward(700, 600), 700, 699),
            (backward(1, 500), 301, 500),
            (backward(490, 500), 490, 500),
            (backward(1, 2), 1, 2),
            (backward(0, 0), 1, 0),
            (backward(1, u64::MAX), 301, 500),
            (Part::Since(at(0)), 1, 200),
            (Part::Since(at(4_990)), 499, 500),
            (Part::Since(at(4_991)), 500, 500),
            (Part::Since(at(5_001)), 501, 500),
        ] {
            let page = store.page(LOBBY, part).unwrap();
            assert_eq!((page.from, page.to), (from, to), "{part:?}");
            assert_eq!(seqs(&page.frames), (from..=to).collect::<Vec<_>>());
            assert_eq!(page.extent, Extent::new(1, 500));
        }
        let page = store.page(TEA, backward(1, 10)).unwrap();
        assert_eq!((page.from, page.to), (1, 0));
    });
}

#[test]
fn a_page_has_no_more_bytes_than_a_frame_takes() {
    each(|store| {
        let long = "x".repeat(limits::TEXT_BYTES_MAX);
        for counter in 1..=10 {
            append(store, 1, [message_in(LOBBY, 1, counter, &long)]);
        }
        for part in [
            Part::Forward { from: 2, to: 10 },
            Part::Backward { from: 1, to: 4 },
        ] {
            let page = store.page(LOBBY, part).unwrap();
            assert_eq!(seqs(&page.frames), [2, 3, 4]);
            let bytes: usize = page.frames.iter().map(Bytes::len).sum();
            assert!(bytes <= limits::HISTORY_BYTES_MAX);
        }
    });
}

#[test]
fn a_search_goes_from_the_newest_to_the_first() {
    each(|store| {
        let zone = jiff::tz::TimeZone::UTC;
        for counter in 1..=6_000 {
            let text = if counter % 10 == 0 { "hot tea" } else { "milk" };
            let text = if counter == 17 { "sugar" } else { text };
            append(store, 1, [message_in(LOBBY, 1, counter, text)]);
        }
        let tea = Query::parse("tea", &zone).unwrap();
        let found = store.search(LOBBY, &tea, u64::MAX).unwrap();
        assert_eq!(found.frames.len(), limits::HISTORY_PAGE_MAX);
        assert_eq!(seqs(&found.frames)[..3], [6_000, 5_990, 5_980]);
        assert_eq!((found.from, found.to), (4_010, 6_000));
        let found = store.search(LOBBY, &tea, 35).unwrap();
        assert_eq!(seqs(&found.frames), [30, 20, 10]);
        assert_eq!((found.from, found.to), (1, 35));

        // A rare term is found in bounded steps.
        let sugar = Query::parse("sugar from:bob", &zone).unwrap();
        let found = store.search(LOBBY, &sugar, 6_000).unwrap();
        assert_eq!((found.frames.len(), found.from), (0, 1_001));
        let found = store.search(LOBBY, &sugar, 1_000).unwrap();
        assert_eq!(seqs(&found.frames), [17]);
        assert_eq!(found.from, 1);
    });
}

#[test]
fn entries_beyond_retention_go_and_their_numbers_stay_used() {
    each(|store| {
        for counter in 1..=30 {
            let second = i64::try_from(counter).unwrap();
            append(store, second, [message(1, counter)]);
        }
        let keep = |keep_since, messages_max| {
            Operation::Retain(Retention {
                keep_since,
                messages_max,
                bytes_max: None,
            })
        };
        for (retention, first) in [
            (keep(None, None), 1),
            (keep(Some(at(5)), None), 5),
            (keep(Some(at(3)), None), 5),
            (keep(None, Some(20)), 11),
            (keep(Some(at(12)), Some(25)), 12),
            (keep(None, Some(0)), 31),
        ] {
            let before = store.extents()[0].first;
            let committed = append(store, 100, [retention]);
            assert_eq!(committed.results, [OpResult::Retained { more: false }]);
            let moved = (before != first).then_some((LOBBY, first));
            assert_eq!(committed.firsts, moved.into_iter().collect::<Vec<_>>());
            assert_eq!(store.extents()[0], Extent::new(first, 30));
            let read = store.read(LOBBY, 1, 1_000_000).unwrap();
            assert_eq!((read.first(), read.next()), (first, 31));
        }
        let committed = append(store, 101, [message(1, 31), message(1, 31), message(1, 40)]);
        assert_eq!(
            committed.results,
            [
                OpResult::Done(stored(31, 101)),
                OpResult::Repeated(stored(31, 101)),
                OpResult::CounterGap { counter: 31 }
            ]
        );
    });
}

#[test]
fn retention_goes_in_steps() {
    each(|store| {
        for counter in 1..=2_500 {
            append(store, 1, [message(1, counter)]);
        }
        let mut firsts = Vec::new();
        loop {
            let retain = Operation::Retain(Retention {
                keep_since: None,
                messages_max: Some(100),
                bytes_max: None,
            });
            let committed = append(store, 1, [retain]);
            firsts.push(committed.firsts[0].1);
            if committed.results == [OpResult::Retained { more: false }] {
                break;
            }
        }
        assert_eq!(firsts, [1_001, 2_001, 2_401]);
    });
}

#[test]
fn of_each_record_the_last_value_is_kept() {
    each(|store| {
        assert_eq!(store.state().unwrap(), []);
        let other = StateRecord {
            kind: "account".into(),
            ..fact("b", Some("9"))
        };
        let long = StateRecord {
            kind: "k".repeat(STATE_KIND_BYTES_MAX).into(),
            key: "é".repeat(STATE_KEY_BYTES_MAX / 2),
            value: Some("v".repeat(STATE_VALUE_BYTES_MAX)),
        };
        let gone = |key| fact(key, None);
        let is = |key, value| fact(key, Some(value));
        for (changes, left) in [
            (
                vec![is("b", "1"), is("a", "2")],
                vec![is("a", "2"), is("b", "1")],
            ),
            // The same key, but another kind.
            (
                vec![other.clone(), is("b", "\"'\\")],
                vec![other.clone(), is("a", "2"), is("b", "\"'\\")],
            ),
            (
                vec![is("a", "3"), gone("a"), is("c", ""), gone("nobody")],
                vec![other.clone(), is("b", "\"'\\"), is("c", "")],
            ),
            (
                vec![gone("b"), gone("c"), is("c", "4"), long.clone()],
                vec![other.clone(), is("c", "4"), long.clone()],
            ),
            (vec![], vec![other, is("c", "4"), long]),
        ] {
            let committed = append(store, 1, [Operation::PutState(changes)]);
            assert_eq!(committed.results, [OpResult::StatePut]);
            assert_eq!(store.state().unwrap(), left);
        }
    });
}

#[test]
fn records_and_messages_go_in_one_batch() {
    each(|store| {
        let remember = |key| Operation::PutState(vec![fact(key, Some("1"))]);
        let batch = [message(1, 1), remember("a"), message(1, 2), remember("b")];
        let committed = append(store, 1, batch);
        assert_eq!(
            committed.results,
            [
                OpResult::Done(stored(1, 1)),
                OpResult::StatePut,
                OpResult::Done(stored(2, 1)),
                OpResult::StatePut,
            ]
        );
        assert_eq!(store.state().unwrap().len(), 2);
        assert_eq!(store.extents()[0].head, 2);
    });
}

#[test]
#[should_panic(expected = "too long")]
fn a_record_that_is_too_long_is_a_bug() {
    let long = "x".repeat(STATE_KEY_BYTES_MAX + 1);
    append(
        &mut memory(),
        1,
        [Operation::PutState(vec![fact(&long, None)])],
    );
}

/// Compares what both stores must agree on. One may have forgotten an old id's outcome that the
/// other still knows.
fn assert_alike(one: &Committed, other: &Committed, context: &str) {
    for results in one.results.iter().zip(&other.results) {
        match results {
            (OpResult::Repeated(MessageOutcome::Forgotten), OpResult::Repeated(_))
            | (OpResult::Repeated(_), OpResult::Repeated(MessageOutcome::Forgotten)) => {}
            (one, other) => assert_eq!(one, other, "{context}"),
        }
    }
    assert_eq!(one.firsts, other.firsts, "{context}");
    assert_eq!(one.runs.len(), other.runs.len(), "{context}");
    for (one, other) in one.runs.iter().zip(&other.runs) {
        assert_eq!(one.room, other.room, "{context}");
        assert_eq!(one.segment.first(), other.segment.first(), "{context}");
        assert_eq!(one.segment.bytes(), other.segment.bytes(), "{context}");
    }
}

fn assert_read_alike(
    one: &mut dyn Reader,
    other: &mut dyn Reader,
    random: &mut fastrand::Rng,
    context: &str,
) {
    let room = RoomIndex(random.u32(..2));
    let (from, to) = (random.u64(..60), random.u64(..60));
    let (a, b) = (
        one.read(room, from, random.clone().usize(..4_000)).unwrap(),
        other.read(room, from, random.usize(..4_000)).unwrap(),
    );
    assert_eq!((a.first(), a.bytes()), (b.first(), b.bytes()), "{context}");
    let part = match random.u8(..3) {
        0 => Part::Forward { from, to },
        1 => Part::Backward { from, to },
        _ => Part::Since(at(random.i64(0..3_000))),
    };
    let (a, b) = (
        one.page(room, part).unwrap(),
        other.page(room, part).unwrap(),
    );
    assert_eq!(
        (a.extent, a.from, a.to, a.frames),
        (b.extent, b.from, b.to, b.frames),
        "{context}: {part:?}"
    );
    let query = Query::parse("tea", &jiff::tz::TimeZone::UTC).unwrap();
    let (a, b) = (
        one.search(room, &query, to).unwrap(),
        other.search(room, &query, to).unwrap(),
    );
    assert_eq!(
        (a.extent, a.from, a.to, a.frames),
        (b.extent, b.from, b.to, b.frames),
        "{context}"
    );
}

fn random_facts(random: &mut fastrand::Rng) -> Vec<StateRecord> {
    let mut one = |_| StateRecord {
        kind: ["ban", "role"][random.usize(..2)].into(),
        key: random.u8(..8).to_string(),
        value: (random.u8(..3) > 0).then(|| random.u8(..).to_string()),
    };
    (0..4).map(&mut one).collect()
}

fn random_operation(random: &mut fastrand::Rng, counters: &mut [u64; 4]) -> Operation {
    if random.u8(..10) == 0 {
        return Operation::PutState(random_facts(random));
    }
    let name = random.u8(1..4);
    let next = &mut counters[usize::from(name)];
    // Mostly the next, often an earlier one, sometimes one too many.
    let counter = match random.u8(..10) {
        0 | 1 => random.u64(1..=*next + 1),
        2 => *next + 2,
        _ => {
            *next += 1;
            *next
        }
    };
    let settled = if random.u8(..20) == 0 { counter } else { 0 };
    let mut operation = match random.u8(..10) {
        0 => spend(name, counter, None),
        1 => spend(name, counter, Some(ErrorCode::NoSuchRoom)),
        2 => {
            let next = random.bool().then_some(counter);
            *counters[usize::from(name)..].first_mut().unwrap() =
                counters[usize::from(name)].max(next.unwrap_or(1) - 1);
            open(name, next, &[(LOBBY, random.u64(..40)), (TEA, 1)])
        }
        _ => {
            let text = if random.bool() { "tea" } else { "milk" };
            message_in(RoomIndex(random.u32(..2)), name, counter, text)
        }
    };
    if let Operation::Append { settled: at, .. } | Operation::Settle { settled: at, .. } =
        &mut operation
    {
        *at = settled.saturating_sub(1);
    }
    operation
}

#[test]
fn both_come_out_of_random_runs_alike() {
    let directory = tempfile::tempdir().unwrap();
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut memory = memory();
        let settings = unsynced(&directory.path().join(seed.to_string()));
        let mut sqlite = SqliteStore::open(&settings, &rooms()).unwrap();
        let mut reader = sqlite.reader().unwrap().unwrap();
        let mut counters = [0; 4];
        let mut shift = 1_000;
        // The store in memory drops a whole batch at once.
        let retains = random.bool();
        for round in 0..60 {
            let context = format!("seed {seed}, round {round}");
            let count = if retains { 1 } else { random.usize(..12) };
            let operations = if retains && random.u8(..5) == 0 {
                vec![Operation::Retain(Retention {
                    keep_since: random.bool().then(|| at(random.i64(0..=round) + shift)),
                    messages_max: random.bool().then(|| random.u64(..20)),
                    bytes_max: None,
                })]
            } else {
                let mut operation = |_| random_operation(&mut random, &mut counters);
                (0..count).map(&mut operation).collect()
            };
            let correction = [0, 0, 0, 0, 0, 40, 500, -500][random.usize(..8)];
            shift += correction;
            let batch = Batch {
                now: at((round + shift + random.i64(-3..3)).max(0)),
                correction: SignedDuration::from_secs(correction),
                operations,
            };
            let expected = memory.append(batch.clone()).unwrap();
            let committed = sqlite.append(batch).unwrap();
            assert_alike(&expected, &committed, &context);
            assert_eq!(memory.extents(), sqlite.extents(), "{context}");
            assert_eq!(memory.state(), sqlite.state(), "{context}");
            if random.u8(..10) == 0 {
                let epoch = sqlite.epoch();
                drop((sqlite, reader));
                sqlite = SqliteStore::open(&settings, &rooms()).unwrap();
                reader = sqlite.reader().unwrap().unwrap();
                assert_eq!(sqlite.epoch(), epoch);
            }
            assert_read_alike(&mut memory, &mut sqlite, &mut random.clone(), &context);
            assert_read_alike(&mut memory, &mut *reader, &mut random, &context);
        }
    }
}
