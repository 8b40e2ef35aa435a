//! Conformance tests for stores: one table of checks, and long random runs on both that must agree.

use std::sync::Arc;

use super::*;
use crate::{
    protocol::{
        Content, DeviceId, Epoch, Extent, Mentions, MessageId, RoomId,
        frame::{ErrorCode, Member, Part},
    },
    search::Query,
    server::store::{
        SqliteStore,
        sqlite::{Compact, Durability, Settings},
    },
    text::Body,
};
use crate::{
    protocol::{Nickname, Role, UserId, limits},
    server::{event_log::EventLog, supervisor::Supervisor},
};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

mod changed;
mod entries;
mod erasing;
pub(in crate::server) mod mentions;
mod random;
mod reading;
mod records;
mod retention;
mod times;

pub(in crate::server) const LOBBY: RoomId = RoomId::LOBBY;
pub(in crate::server) const TEA: RoomId = RoomId::from_bytes([7; 12]);

/// Where a room's log stands.
pub(in crate::server) fn standing<S: LogWriter + ?Sized>(store: &S, room: RoomId) -> Standing {
    let mut standings = store.standings().into_iter();
    let found = standings.find(|(its, _)| *its == room);
    let empty = Standing {
        extent: Extent::EMPTY,
        revised: Revised::default(),
    };
    found.map_or(empty, |(_, standing)| standing)
}

/// The range that a room's log holds.
pub(in crate::server) fn extent<S: LogWriter + ?Sized>(store: &S, room: RoomId) -> Extent {
    standing(store, room).extent
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

pub(in crate::server) fn message_in(room: RoomId, name: u8, counter: u64, text: &str) -> Operation {
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
        mentions: Mentions::NONE,
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

pub(in crate::server) fn open(name: u8, next: Option<u64>, look: &[(RoomId, u64)]) -> Operation {
    Operation::OpenDevice {
        device: device(name),
        owner: None,
        next,
        look: look.to_vec(),
        unread: None,
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
        unread: None,
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
    MemoryStore::new(Epoch::from_bytes([1; 8]), MemoryLimits::default())
}

pub(in crate::server) fn settings(directory: &std::path::Path) -> Settings {
    Settings {
        directory: directory.to_owned(),
        durability: Durability::Full,
        index: false,
        compact: Compact::Never,
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
    check(&mut SqliteStore::open(&unsynced(directory.path())).unwrap());
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
        assert_eq!(store.extents(), [(LOBBY, Extent::new(1, 3))]);
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
            unread: Vec::new(),
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
                unread: Vec::new(),
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
            let unread = Vec::new();
            let opened = OpResult::Opened {
                counter,
                ids,
                unread,
            };
            assert_eq!(committed.results, [opened]);
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
        assert_eq!(extent(store, LOBBY).head, 1);
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
