//! Every store's pages over entries that have no place of their own, and its answers to what was
//! changed.

use super::{
    entries::{edit, redaction, submit},
    *,
};
use crate::protocol::limits::HISTORY_PAGE_MAX;

/// Fills the lobby with messages and edits them: `edits` are the edited messages' counters.
fn fill(store: &mut dyn Store, messages: u64, edits: impl Iterator<Item = u64>) {
    let texts: Vec<_> = (1..=messages).map(|counter| message(1, counter)).collect();
    append(store, 1, texts);
    let edits: Vec<_> = (messages + 1..)
        .zip(edits)
        .map(|(counter, target)| {
            let text = format!("text {counter}");
            submit(1, (1, counter), edit(id(1, target), &text))
        })
        .collect();
    for batch in edits.chunks(500) {
        append(store, 2, batch);
    }
}

#[test]
fn a_page_passes_over_long_runs_of_edits_in_steps() {
    each(|store| {
        fill(store, 3, (0..5_000).map(|number| number % 3 + 1));
        append(store, 3, [message(1, 5_004)]);
        let extent = extent(store, LOBBY);
        assert_eq!(extent, Extent::new(1, 5_004));
        let (mut next, mut found, mut pages) = (1, Vec::new(), 0);
        while next <= extent.head {
            let part = Part::Forward {
                from: next,
                to: extent.head,
            };
            let page = store.page(LOBBY, part).unwrap();
            assert_eq!(page.from, next);
            assert!(page.to >= next, "no page is without progress");
            assert!(page.to - page.from < 2_100, "{page:?}");
            found.extend(seqs(&page.frames));
            (next, pages) = (page.to + 1, pages + 1);
        }
        assert_eq!((found, pages), (vec![1, 2, 3, 5_004], 3));
        let (mut to, mut found, mut pages) = (extent.head, Vec::new(), 0);
        while to >= 1 {
            let page = store.page(LOBBY, Part::Backward { from: 1, to }).unwrap();
            assert_eq!(page.to, to);
            assert!(page.from <= to, "no page is without progress");
            let mut older = seqs(&page.frames);
            older.append(&mut found);
            found = older;
            (to, pages) = (page.from - 1, pages + 1);
        }
        assert_eq!((found, pages), (vec![1, 2, 3, 5_004], 3));
    });
}

#[test]
fn a_page_has_as_many_shown_entries_as_one_without_edits() {
    each(|store| {
        // Each message is followed by an edit of it.
        let mut batch = Vec::new();
        for number in 0..300 {
            batch.push(message(1, 2 * number + 1));
            let target = id(1, 2 * number + 1);
            batch.push(submit(1, (1, 2 * number + 2), edit(target, "new")));
        }
        append(store, 1, batch);
        let page = store.page(LOBBY, Part::Forward { from: 1, to: 600 });
        let page = page.unwrap();
        assert_eq!(page.frames.len(), HISTORY_PAGE_MAX);
        assert_eq!((page.from, page.to), (1, 400));
        let page = store.page(LOBBY, Part::Backward { from: 1, to: 600 });
        let page = page.unwrap();
        assert_eq!(page.frames.len(), HISTORY_PAGE_MAX);
        // The edit before the first of them is passed over too.
        assert_eq!((page.from, page.to), (200, 600));
        assert_eq!(seqs(&page.frames)[..2], [201, 203]);
    });
}

/// Asks for all that was changed, page by page; returns the entries' numbers and the count of
/// pages.
fn ask(store: &mut dyn Store, mut wanted: ChangedSince) -> (Vec<u64>, usize) {
    let (mut found, mut pages) = (Vec::new(), 0);
    loop {
        let page = store.changed(LOBBY, wanted).unwrap();
        assert!(page.through > wanted.since || !page.more);
        assert!(page.frames.len() <= HISTORY_PAGE_MAX);
        found.extend(seqs(&page.frames));
        pages += 1;
        if !page.more {
            assert_eq!(page.through, page.extent.head);
            return (found, pages);
        }
        wanted.since = page.through;
    }
}

fn since(since: u64) -> ChangedSince {
    ChangedSince {
        since,
        to: u64::MAX,
        erased: false,
    }
}

#[test]
fn what_was_changed_comes_once_in_the_order_of_changes() {
    each(|store| {
        assert_eq!(ask(store, since(0)), (vec![], 1));
        // From the newest to the oldest, so the order is not that of the numbers.
        fill(store, 300, (1..=300).rev());
        assert_eq!(ask(store, since(0)), ((1..=300).rev().collect(), 2));
        assert_eq!(ask(store, since(590)), ((1..=10).rev().collect(), 1));
        assert_eq!(ask(store, since(600)), (vec![], 1));
        // Only what the client holds.
        let held = ChangedSince {
            to: 5,
            ..since(400)
        };
        assert_eq!(ask(store, held), (vec![5, 4, 3, 2, 1], 1));
        // Changed again, an entry is the last.
        append(store, 3, [submit(1, (1, 601), edit(id(1, 7), "again"))]);
        append(store, 3, [submit(1, (1, 602), redaction(id(1, 9)))]);
        // The edits that lost their texts come with what took it.
        let latest = ask(store, since(600));
        assert_eq!(latest, (vec![7, 594, 9, 592], 1));
        assert_eq!(ask(store, since(0)).0.len(), 302);
        let erased = |since| ChangedSince {
            since,
            to: u64::MAX,
            erased: true,
        };
        assert_eq!(ask(store, erased(0)), (vec![9, 592], 1));
        assert_eq!(ask(store, erased(602)), (vec![], 1));
        assert_eq!(store.changed(TEA, since(0)).unwrap().frames.len(), 0);
    });
}

#[test]
fn a_page_of_changes_ends_between_two_entries_that_made_them() {
    each(|store| {
        // The second edit of a message changes two entries: the message, and the first edit.
        fill(store, 401, (1..=401).chain(1..=401));
        let (found, pages) = ask(store, since(802));
        let expected: Vec<u64> = (1..=401).flat_map(|seq| [seq, seq + 401]).collect();
        assert_eq!((found, pages), (expected, 5));
        // An odd one before them: a page of 200 would split the last pair.
        let (found, pages) = ask(store, since(801));
        assert_eq!((found.len(), pages), (802, 5));
        let page = store.changed(LOBBY, since(0)).unwrap();
        assert_eq!(
            (page.frames.len(), page.through, page.more),
            (200, 902, true)
        );
    });
}

#[test]
fn a_page_of_changes_keeps_to_the_size_of_a_frame_and_to_bounded_work() {
    each(|store| {
        fill(store, 1, std::iter::repeat_n(1, 6_000));
        // Few of them are held by the client, so the page ends for the work.
        let wanted = ChangedSince { to: 1, ..since(0) };
        let page = store.changed(LOBBY, wanted).unwrap();
        assert_eq!((page.frames.len(), page.more), (0, true));
        assert!((4_000..6_000).contains(&page.through), "{}", page.through);
        assert_eq!(ask(store, wanted), (vec![1], 2));

        let long = "x".repeat(limits::TEXT_BYTES_MAX - 1);
        for number in 0..8 {
            let target = message(2, 2 * number + 1);
            let new = edit(id(2, 2 * number + 1), &format!("{long}{number}"));
            append(store, 3, [target, submit(2, (2, 2 * number + 2), new)]);
        }
        let page = store.changed(LOBBY, since(6_001)).unwrap();
        assert_eq!((page.frames.len(), page.more), (3, true));
        assert_eq!(ask(store, since(6_001)).0.len(), 8);
    });
}

fn keep(messages: u64) -> Operation {
    Operation::Retain(Retention {
        messages_max: Some(messages),
        ..Retention::default()
    })
}

#[test]
fn retention_counts_what_is_shown_and_a_text_goes_with_its_message() {
    each(|store| {
        for counter in 1..=10 {
            append(store, 1, [message(1, counter)]);
        }
        for (counter, target) in (11..).zip([2, 3, 8]) {
            let new = edit(id(1, target), &format!("secret {target}"));
            append(store, 2, [submit(1, (1, counter), new)]);
        }
        append(store, 2, [submit(1, (1, 14), redaction(id(1, 1)))]);
        append(store, 3, [message(1, 15)]);
        // Eleven messages are shown.
        let none = append(store, 4, [keep(11)]);
        assert_eq!((none.firsts, none.rewritten.len()), (vec![], 0));
        let committed = append(store, 4, [keep(8)]);
        assert_eq!(committed.firsts, [(LOBBY, 4)]);
        let frames: Vec<_> = committed
            .rewritten
            .iter()
            .map(|entry| (entry.seq, String::from_utf8(entry.frame.to_vec()).unwrap()))
            .collect();
        assert_eq!(
            frames.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(),
            [11, 12]
        );
        assert!(frames.iter().all(|(_, frame)| !frame.contains("secret")));
        let read = store.read(LOBBY, 1, 100_000).unwrap();
        let text = String::from_utf8(read.bytes().to_vec()).unwrap();
        assert_eq!(text.matches("secret").count(), 2, "{text}");
        assert_eq!(
            text.matches("secret 8").count(),
            2,
            "the message, and its edit"
        );
        assert_eq!(ask(store, since(0)), (vec![8], 1));
        // What was dropped can't be edited.
        let gone = OpResult::Done(MessageOutcome::Refused(ErrorCode::Gone));
        let late = append(store, 5, [submit(1, (1, 16), edit(id(1, 3), "new"))]);
        assert_eq!(late.results, [gone]);
        // The last entry is a message, and all before it may go; edits have no room of their own.
        append(store, 5, [keep(1)]);
        assert_eq!(extent(store, LOBBY).first, 11);
        append(store, 5, [keep(0)]);
        assert_eq!(extent(store, LOBBY).first, 16);
        // How far the room was revised stays known.
        let revised = standing(store, LOBBY).revised;
        assert_eq!((revised.changed, revised.redacted), (14, 14));
    });
}

#[test]
fn retention_comes_first_in_its_batch() {
    each(|store| {
        append(store, 1, [message(1, 1)]);
        append(store, 1, [message(1, 2)]);
        let late = submit(1, (1, 3), edit(id(1, 1), "new"));
        let committed = append(store, 2, [late, message(1, 4), keep(1)]);
        assert_eq!(
            committed.results,
            [
                OpResult::Done(MessageOutcome::Refused(ErrorCode::Gone)),
                OpResult::Done(stored(3, 2)),
                OpResult::Retained { more: false },
            ]
        );
        assert_eq!(committed.firsts, [(LOBBY, 2)]);
        assert_eq!(extent(store, LOBBY), Extent::new(2, 3));
    });
}
