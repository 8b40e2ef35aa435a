//! Long random runs on both stores, which must agree, and with a reader who folds what it gets.

use std::collections::BTreeMap;

use super::{
    entries::{edit, moderated, redaction, submit},
    mentions::{inbox, joined, mentioning, user},
    *,
};
use crate::protocol::{Entry, fold::Fold};

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
    let frames = |committed: &Committed| {
        let rewritten = committed.rewritten.iter();
        let frame = |entry: &Rewritten| (entry.room, entry.seq, entry.frame.clone());
        rewritten.map(frame).collect::<Vec<_>>()
    };
    assert_eq!(frames(one), frames(other), "{context}");
    assert_eq!(one.revised, other.revised, "{context}");
}

fn assert_read_alike(
    one: &mut dyn Reader,
    other: &mut dyn Reader,
    random: &mut fastrand::Rng,
    context: &str,
) {
    let room = [LOBBY, TEA][random.usize(..2)];
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
    let wanted = ChangedSince {
        since: random.u64(..60),
        to: random.u64(..100),
        erased: random.bool(),
    };
    let (a, b) = (
        one.changed(room, wanted).unwrap(),
        other.changed(room, wanted).unwrap(),
    );
    assert_eq!(
        (a.extent, a.through, a.more, a.frames),
        (b.extent, b.through, b.more, b.frames),
        "{context}: {wanted:?}"
    );
    let name = random.u8(1..4);
    assert_eq!(inbox(one, name), inbox(other, name), "{context}");
    let ranges = vec![from..=to, to + 3..=to + 5];
    let some = [Readable { room, ranges }];
    let (a, b) = (
        one.inbox(user(name), &some, None).unwrap(),
        other.inbox(user(name), &some, None).unwrap(),
    );
    assert_eq!(a.frames, b.frames, "{context}: {some:?}");
    let (a, b) = (
        one.unread(user(name), &[user(1)], room, from).unwrap(),
        other.unread(user(name), &[user(1)], room, from).unwrap(),
    );
    assert_eq!(a, b, "{context}: above {from}");
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
    if random.u8(..20) == 0 {
        return joined([LOBBY, TEA][random.usize(..2)], random.u8(1..4));
    }
    if random.u8(..40) == 0 {
        let from = random.u64(..60);
        return Operation::Erase {
            room: [LOBBY, TEA][random.usize(..2)],
            from,
            to: from + random.u64(..4),
        };
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
        kind => {
            let text = ["tea", "milk", "juice"][random.usize(..3)];
            // Mostly one's own, and often a late one.
            let author = if random.u8(..4) > 0 {
                name
            } else {
                random.u8(1..4)
            };
            let newest = counters[usize::from(author)] + 1;
            let target = id(author, newest.saturating_sub(random.u64(..12)));
            let in_room = [LOBBY, TEA][random.usize(..2)];
            let mut operation = match kind {
                3..=5 => submit(name, (name, counter), edit(target, text)),
                6 => submit(name, (name, counter), redaction(target)),
                _ => message_in(in_room, name, counter, text),
            };
            if random.bool() {
                operation = moderated(operation);
            }
            if let Operation::Append { room, .. } = &mut operation {
                *room = in_room;
            }
            if random.bool() {
                let users = [random.u8(..4), random.u8(..4)];
                operation = mentioning(operation, &users[..random.usize(1..3)]);
            }
            operation
        }
    };
    if let Operation::Append { settled: at, .. } | Operation::Settle { settled: at, .. } =
        &mut operation
    {
        *at = settled.saturating_sub(1);
    }
    operation
}

/// A reader who gets every entry live and folds it.
#[derive(Default)]
struct Client {
    entries: BTreeMap<(RoomId, u64), Entry>,
    folds: BTreeMap<RoomId, Fold>,
}

impl Client {
    fn take(&mut self, committed: &Committed) {
        for run in &committed.runs {
            let fold = self.folds.entry(run.room).or_default();
            for seq in run.segment.first()..run.segment.next() {
                let entry = semantics::decode_entry(run.segment.frame(seq).unwrap()).unwrap();
                fold.take(&entry);
                self.entries.insert((run.room, seq), entry);
            }
        }
    }

    /// Compares what it sees with what the log holds.
    fn compare(&mut self, store: &mut dyn Store, context: &str) {
        for ((room, seq), entry) in &mut self.entries {
            self.folds[room].apply(entry);
            let read = store.read(*room, *seq, 0).unwrap();
            let held = semantics::decode_entry(read.frame(*seq).unwrap()).unwrap();
            assert_eq!(*entry, held, "{context}");
        }
    }
}

#[test]
fn both_come_out_of_random_runs_alike() {
    let directory = tempfile::tempdir().unwrap();
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut memory = memory();
        let settings = unsynced(&directory.path().join(seed.to_string()));
        let mut sqlite = SqliteStore::open(&settings).unwrap();
        let mut reader = sqlite.reader().unwrap().unwrap();
        let mut counters = [0; 4];
        let mut client = Client::default();
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
            assert_eq!(memory.standings(), sqlite.standings(), "{context}");
            client.take(&committed);
            assert_eq!(memory.state(), sqlite.state(), "{context}");
            if random.u8(..10) == 0 {
                let epoch = sqlite.epoch();
                drop((sqlite, reader));
                sqlite = SqliteStore::open(&settings).unwrap();
                reader = sqlite.reader().unwrap().unwrap();
                assert_eq!(sqlite.epoch(), epoch);
            }
            assert_read_alike(&mut memory, &mut sqlite, &mut random.clone(), &context);
            assert_read_alike(&mut memory, &mut *reader, &mut random, &context);
        }
        if !retains {
            client.compare(&mut sqlite, &format!("seed {seed}"));
        }
    }
}
