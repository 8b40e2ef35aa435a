//! What every store does with old entries.

use super::{
    entries::{edit, submit},
    *,
};

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
            let before = extent(store, LOBBY).first;
            let committed = append(store, 100, [retention]);
            assert_eq!(committed.results, [OpResult::Retained { more: false }]);
            let moved = (before != first).then_some((LOBBY, first));
            assert_eq!(committed.firsts, moved.into_iter().collect::<Vec<_>>());
            assert_eq!(extent(store, LOBBY), Extent::new(first, 30));
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
fn a_long_run_of_edits_at_the_beginning_does_not_hold_retention_up() {
    each(|store| {
        append(store, 1, [message(1, 1)]);
        let edits: Vec<_> = (2..=12_001)
            .map(|counter| submit(1, (1, counter), edit(id(1, 1), &counter.to_string())))
            .collect();
        for batch in edits.chunks(1_000) {
            append(store, 1, batch);
        }
        append(store, 1, [message(1, 12_002)]);
        append(store, 1, [message(1, 12_003)]);
        let keep = |messages| {
            Operation::Retain(Retention {
                messages_max: Some(messages),
                ..Retention::default()
            })
        };
        assert_eq!(append(store, 2, [keep(3)]).firsts, []);
        append(store, 2, [keep(2)]);
        assert!((2..=1_002).contains(&extent(store, LOBBY).first));
        let mut steps = 0;
        while append(store, 2, [keep(1)]).results == [OpResult::Retained { more: true }] {
            steps += 1;
            assert!(steps < 20);
        }
        assert_eq!(extent(store, LOBBY), Extent::new(12_003, 12_003));
    });
}
