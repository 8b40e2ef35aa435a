//! Every store's behaviour when the clock is corrected.

use super::{
    entries::{edit, submit},
    *,
};
use crate::{
    protocol::{Entry, frame::Part},
    search::Query,
};
use jiff::{SignedDuration, Timestamp};

/// Appends one message at each of these times, after a correction of the clock.
fn say(store: &mut dyn Store, said: &[(i64, i64)]) -> Vec<Entry> {
    let mut head = extent(store, LOBBY).head;
    for &(second, correction) in said {
        head += 1;
        let batch = Batch {
            now: at(second),
            correction: SignedDuration::from_secs(correction),
            operations: vec![message(1, head)],
        };
        store.append(batch).unwrap();
    }
    let all = store.read(LOBBY, 1, 10_000_000).unwrap();
    let numbers = all.first()..all.next();
    numbers
        .map(|seq| semantics::decode_entry(all.frame(seq).unwrap()).unwrap())
        .collect()
}

fn times(messages: &[Entry]) -> Vec<(i64, Option<i64>)> {
    let time = |message: &Entry| {
        let was = message.clock_was.map(Timestamp::as_second);
        (message.time.as_second(), was)
    };
    messages.iter().map(time).collect()
}

#[test]
fn times_go_on_from_the_right_clock_and_the_first_after_a_correction_is_marked() {
    // Each message's time, and the time by the old clock where a correction is marked.
    for (said, expected) in [
        // No correction is known, and the step is small: times stand still.
        (
            &[(1_000, 0), (940, 0), (1_001, 0)][..],
            &[(1_000, None), (1_000, None), (1_001, None)][..],
        ),
        // No server ran, so no correction was seen; but a message had been stored.
        (
            &[(1_000, 0), (939, 0), (940, 0)],
            &[(1_000, None), (939, Some(1_000)), (940, None)],
        ),
        (
            &[(1_000, 0), (8_210, 7_200), (8_220, 0), (1_030, -7_200)],
            &[
                (1_000, None),
                (8_210, Some(1_010)),
                (8_220, None),
                (1_030, Some(8_230)),
            ],
        ),
        // The last message is long ago: no time goes back, although less time passes between the
        // two.
        (
            &[(1_000, 0), (9_000, -7_200)],
            &[(1_000, None), (9_000, Some(16_200))],
        ),
        // Corrections before the first message, or small ones, are not marked.
        (&[(1_000, 0), (1_010, 0)], &[(1_000, None), (1_010, None)]),
        (&[(1_000, 0), (1_100, 60)], &[(1_000, None), (1_100, None)]),
        (
            &[(1_000, 0), (1_100, 61)],
            &[(1_000, None), (1_100, Some(1_039))],
        ),
        // Set forward, and still behind the times stored by an earlier server.
        (
            &[(90_000, 0), (8_000, 7_000)],
            &[(90_000, None), (8_000, Some(90_000))],
        ),
        // The first message of a room has none to be compared with.
        (
            &[(1_000, -7_200), (1_001, 0)],
            &[(1_000, None), (1_001, None)],
        ),
    ] {
        each(|store| {
            assert_eq!(times(&say(store, said)), expected, "{said:?}");
        });
    }
}

#[test]
fn a_correction_waits_for_the_next_message_of_each_room() {
    each(|store| {
        append(store, 10, [message(1, 1), message_in(TEA, 2, 1, "tea")]);
        let mut correct = |now, by, operations| {
            let correction = SignedDuration::from_secs(by);
            let batch = Batch {
                now: at(now),
                correction,
                operations,
            };
            let committed = store.append(batch).unwrap();
            let run = &committed.runs[0];
            let frame = run.segment.frame(run.segment.first());
            let message = semantics::decode_entry(frame.unwrap()).unwrap();
            message.clock_was.map(Timestamp::as_second)
        };
        assert_eq!(correct(110, 90, vec![message(1, 2)]), Some(20));
        assert_eq!(correct(130, 0, vec![message(1, 3)]), None);
        assert_eq!(correct(230, 90, vec![message(1, 4)]), Some(140));
        let tea = message_in(TEA, 2, 2, "tea");
        assert_eq!(correct(240, 0, vec![tea]), Some(60));
    });
}

#[test]
fn a_page_since_a_time_begins_with_the_least_time_from_then_on() {
    // Right; two hours ahead; right again; far behind; right.
    let said = [
        (100, 0),
        (200, 0),
        (7_500, 7_200),
        (7_600, 0),
        (500, -7_200),
        (600, 0),
        (10, -690),
        (20, 0),
        (900, 760),
    ];
    each(|store| {
        say(store, &said);
        for (since, from) in [
            (0, 7),
            (11, 8),
            (21, 1),
            (101, 2),
            (201, 5),
            (501, 6),
            (601, 9),
            (901, 3),
            (7_501, 4),
            (7_601, 10),
        ] {
            let page = store.page(LOBBY, Part::Since(at(since))).unwrap();
            assert_eq!((page.from, page.to), (from, 9), "since {since}");
        }
    });
}

#[test]
fn a_search_by_time_judges_each_message_by_its_own() {
    let said = [
        (100_000, 0),
        (200_000, 90_000),
        (110_000, -100_000),
        (120_000, 0),
    ];
    each(|store| {
        say(store, &said);
        for (query, found) in [
            ("after:1970-01-03", vec![2]),
            ("before:1970-01-03", vec![4, 3, 1]),
            ("text after:1970-01-02", vec![4, 3, 2, 1]),
        ] {
            let query = Query::parse(query, &jiff::tz::TimeZone::UTC).unwrap();
            let page = store.search(LOBBY, &query, u64::MAX).unwrap();
            assert_eq!((seqs(&page.frames), page.from), (found, 1), "{query:?}");
        }
    });
}

#[test]
fn young_messages_are_kept_and_a_time_to_come_holds_nothing_up() {
    let keep = |since| {
        Operation::Retain(Retention {
            keep_since: Some(at(since)),
            messages_max: None,
            bytes_max: None,
        })
    };
    let ahead = &[(100, 0), (900_000, 0), (200, 0), (300, 0)][..];
    let behind = &[(500, 0), (600, 0), (10, 0), (20, 0), (700, 670)];
    for (said, now, since, first) in [
        (ahead, 400, 50, 1),
        // The message from the future goes together with the one stored after it.
        (ahead, 400, 101, 2),
        (ahead, 400, 201, 4),
        (ahead, 400, 301, 5),
        // A time that is no longer in the future counts.
        (ahead, 900_000, 301, 2),
        // Messages stamped by a clock that was behind take no young ones with them.
        (behind, 800, 450, 1),
        (behind, 800, 550, 2),
        (behind, 800, 650, 5),
        (behind, 800, 750, 6),
        // All messages may be from the future.
        (&[(900_000, 0), (900_001, 0)], 400, 300, 1),
    ] {
        each(|store| {
            say(store, said);
            append(store, now, [keep(since)]);
            let extent = extent(store, LOBBY);
            assert_eq!(extent.first, first, "{said:?} since {since} at {now}");
            let read = store.read(LOBBY, 1, 1_000_000).unwrap();
            assert_eq!((read.first(), read.next()), (first, extent.head + 1));
        });
    }
}

#[test]
fn however_often_a_clock_was_corrected_the_latest_and_the_oldest_are_found() {
    let max = i64::try_from(crate::search::times::CORRECTIONS_MAX).unwrap();
    each(|store| {
        // The clock goes ahead and back, again and again.
        let said = (1..=max + 100).flat_map(|n| [(n * 10 + 5_000, 0), (n * 10, 0)]);
        let said: Vec<_> = said.collect();
        say(store, &said);
        let head = said.len() as u64;
        let since = store.page(LOBBY, Part::Since(at(max * 10))).unwrap();
        // Of two messages of one time, the first, although its clock was ahead.
        assert_eq!((since.from, since.extent.head), (999, head));
        let retain = Operation::Retain(Retention {
            keep_since: Some(at(201)),
            messages_max: None,
            bytes_max: None,
        });
        append(store, 300, [retain]);
        assert_eq!(extent(store, LOBBY).first, 41);
    });
}

#[test]
fn a_page_bears_the_mark_of_the_clock_even_where_nothing_is_shown() {
    each(|store| {
        append(store, 10_000, [message(1, 1)]);
        let batch = Batch {
            now: at(1_000),
            correction: SignedDuration::from_secs(-9_000),
            operations: vec![submit(1, (1, 2), edit(id(1, 1), "marked"))],
        };
        store.append(batch).unwrap();
        let other = submit(1, (1, 3), edit(id(1, 1), "not marked"));
        append(store, 1_001, [other, message(1, 4)]);
        let page = store.page(LOBBY, Part::Forward { from: 1, to: 9 }).unwrap();
        assert_eq!((page.from, page.to), (1, 4));
        assert_eq!(seqs(&page.frames), [1, 2, 4]);
    });
}
