//! Every store's erasures for the operator.

use super::{
    entries::{all, edit, held, redaction, submit},
    *,
};

fn erase(from: u64, to: u64) -> Operation {
    Operation::Erase {
        room: LOBBY,
        from,
        to,
    }
}

fn erased(count: u64) -> OpResult {
    OpResult::Erased { count }
}

#[test]
fn the_server_erases_what_can_be_erased_and_is_not() {
    each(|store| {
        append(
            store,
            1,
            [
                message_in(LOBBY, 1, 1, "one"),
                message_in(LOBBY, 2, 1, "two"),
                submit(1, (1, 2), edit(id(1, 1), "One")),
                message_in(LOBBY, 2, 2, "four"),
                submit(2, (2, 3), redaction(id(2, 2))),
            ],
        );
        let committed = append(store, 2, [erase(1, 5)]);
        assert_eq!(committed.results, [erased(2)]);
        let now = [
            "erased 6 by server",
            "erased 7 by server",
            "edit: -",
            "erased 5 by its author",
            "redaction: because",
            "redaction: ",
            "redaction: ",
        ];
        assert_eq!(all(store), now);
        let made = held(store, 6);
        assert_eq!((made.target(), made.time), (Some(id(1, 1)), at(2)));
        assert_eq!(made.author.user, SERVER_USER);
        assert!(made.author.proven);
        assert_eq!(made.id.to_string(), format!("{SERVER_DEVICE}-1"));
        assert_eq!(committed.runs[0].segment.first(), 6);
        let frames = committed.rewritten.iter().map(|entry| entry.seq);
        assert_eq!(frames.collect::<Vec<_>>(), [1, 2, 3]);
        let revised = committed.revised[0].1;
        assert_eq!((revised.changed, revised.redacted), (7, 7));
        // There is nothing left.
        assert_eq!(append(store, 3, [erase(1, 7)]).results, [erased(0)]);
        assert_eq!(extent(store, LOBBY).head, 7);
    });
}

#[test]
fn an_erasure_takes_the_held_numbers_of_its_range_and_so_many_at_most() {
    each(|store| {
        for (from, to) in [(1, 5), (0, 0), (7, 3), (0, u64::MAX)] {
            let committed = append(store, 1, [erase(from, to)]);
            assert_eq!(committed.results, [erased(0)], "{from} to {to}");
            assert!(committed.runs.is_empty());
        }
        let most = ERASE_MAX;
        for part in 0..=most / 500 {
            let messages = (1..=500).map(|number| message(1, part * 500 + number));
            append(store, 1, messages.collect::<Vec<_>>());
        }
        let head = extent(store, LOBBY).head;
        assert_eq!(
            append(store, 2, [erase(head, u64::MAX)]).results,
            [erased(1)]
        );
        assert_eq!(append(store, 2, [erase(0, head)]).results, [erased(most)]);
        let left = head - 1 - most;
        assert_eq!(append(store, 2, [erase(1, most)]).results, [erased(0)]);
        let more = append(store, 2, [erase(most + 1, head)]);
        assert_eq!(more.results, [erased(left)]);
    });
}

#[test]
fn an_erasure_sees_what_comes_before_it_in_its_batch() {
    each(|store| {
        let batch = [
            message_in(LOBBY, 1, 1, "secret"),
            erase(1, 9),
            message_in(LOBBY, 1, 2, "after"),
            erase(1, 2),
        ];
        let committed = append(store, 1, batch);
        let done = |seq| OpResult::Done(stored(seq, 1));
        assert_eq!(committed.results, [done(1), erased(1), done(3), erased(0)]);
        assert_eq!(all(store), ["erased 2 by server", "redaction: ", "after"]);
        let frames = committed.runs[0].segment.bytes();
        assert!(memchr::memmem::find(frames, b"secret").is_none());
        // Its counters go on over batches.
        append(store, 2, [erase(1, 3)]);
        assert_eq!(held(store, 4).id.counter, 2);
    });
}
