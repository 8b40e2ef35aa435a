//! Every store's entries that change others: edits and redactions.

use super::*;
use crate::{
    protocol::{Entry, EntryKind},
    text::Line,
};

/// Submits a content to the lobby, from one of a user's devices.
pub(in crate::server) fn submit(
    user: u8,
    (name, counter): (u8, u64),
    content: Content,
) -> Operation {
    let mut operation = message(name, counter);
    if let Operation::Append {
        sender,
        content: submitted,
        ..
    } = &mut operation
    {
        Arc::make_mut(sender).user = UserId::from_bytes([user; 12]);
        *submitted = content;
    }
    operation
}

/// The same, from a moderator.
pub(super) fn moderated(mut operation: Operation) -> Operation {
    if let Operation::Append { moderates, .. } = &mut operation {
        *moderates = true;
    }
    operation
}

pub(in crate::server) fn edit(target: MessageId, text: &str) -> Content {
    Content::Edit {
        target,
        body: Body::inert(text),
    }
}

pub(in crate::server) fn redaction(target: MessageId) -> Content {
    Content::Redaction {
        target,
        reason: Some(Line::inert("because")),
    }
}

pub(super) fn held(store: &mut dyn Store, seq: u64) -> Entry {
    let read = store.read(LOBBY, seq, 0).unwrap();
    assert_eq!(read.first(), seq);
    semantics::decode_entry(read.frame(seq).unwrap()).unwrap()
}

/// What an entry says: its text and edit, its tombstone, or its text as an edit.
fn says(entry: &Entry) -> String {
    match &entry.kind {
        EntryKind::Text(text) => match text.edited {
            Some(edited) => format!("{} (edited {edited})", text.body.as_str()),
            None => text.body.as_str().to_owned(),
        },
        EntryKind::Edit { body, .. } => {
            let body = body.as_ref().map_or("-", Body::as_str);
            format!("edit: {body}")
        }
        EntryKind::Redaction { reason, .. } => {
            format!("redaction: {}", reason.as_ref().map_or("", Line::as_str))
        }
        EntryKind::Tombstone(tombstone) => {
            let by = tombstone.by.as_ref().map_or("its author", |by| by.as_str());
            format!("erased {} by {by}", tombstone.redacted)
        }
        EntryKind::Event(event) => event.alt.as_str().to_owned(),
        EntryKind::Unknown(unknown) => unknown.name.as_str().to_owned(),
    }
}

/// What all entries of the lobby say.
pub(super) fn all(store: &mut dyn Store) -> Vec<String> {
    let extent = extent(store, LOBBY);
    let numbers = extent.numbers();
    numbers.map(|seq| says(&held(store, seq))).collect()
}

fn rewritten(committed: &Committed) -> Vec<(u64, String)> {
    let one = |rewritten: &Rewritten| {
        assert_eq!(rewritten.room, LOBBY);
        let entry = semantics::decode_entry(&rewritten.frame).unwrap();
        assert_eq!(entry.seq, rewritten.seq);
        (entry.seq, says(&entry))
    };
    committed.rewritten.iter().map(one).collect()
}

fn revised(changed: u64, redacted: u64) -> Vec<(RoomId, Revised)> {
    vec![(LOBBY, Revised { changed, redacted })]
}

fn refused(code: ErrorCode) -> OpResult {
    OpResult::Done(MessageOutcome::Refused(code))
}

fn shown(store: &mut dyn Store) -> Vec<u64> {
    let all = Part::Forward {
        from: 1,
        to: u64::MAX,
    };
    let page = store.page(LOBBY, all).unwrap();
    assert_eq!((page.from, page.to), (page.extent.first, page.extent.head));
    seqs(&page.frames)
}

fn finds(store: &mut dyn Store, word: &str) -> Vec<u64> {
    let query = Query::parse(word, &jiff::tz::TimeZone::UTC).unwrap();
    seqs(&store.search(LOBBY, &query, u64::MAX).unwrap().frames)
}

#[test]
fn an_edit_gives_its_message_another_text_and_the_text_before_is_nowhere() {
    each(|store| {
        append(store, 1, [message_in(LOBBY, 1, 1, "milk"), message(2, 1)]);
        // From another of the author's devices.
        let first = append(store, 2, [submit(1, (5, 1), edit(id(1, 1), "tea"))]);
        assert_eq!(first.results, [OpResult::Done(stored(3, 2))]);
        assert_eq!(rewritten(&first), [(1, "tea (edited 3)".to_owned())]);
        assert_eq!(first.revised, revised(3, 0));
        assert_eq!(first.runs[0].segment.first(), 3);
        assert_eq!(all(store), ["tea (edited 3)", "text", "edit: tea"]);
        let second = append(store, 3, [submit(1, (1, 2), edit(id(1, 1), "juice"))]);
        let both = [
            (1, "juice (edited 4)".to_owned()),
            (3, "edit: -".to_owned()),
        ];
        assert_eq!(rewritten(&second), both);
        assert_eq!(second.revised, revised(4, 0));
        let now = ["juice (edited 4)", "text", "edit: -", "edit: juice"];
        assert_eq!(all(store), now);
        assert_eq!(shown(store), [1, 2]);
        for (word, found) in [("milk", vec![]), ("tea", vec![]), ("juice", vec![1])] {
            assert_eq!(finds(store, word), found, "{word}");
        }
        // Its envelope is as it was.
        let message = held(store, 1);
        assert_eq!((message.id, message.time), (id(1, 1), at(1)));
        assert_eq!(standing(store, LOBBY).revised.changed, 4);
    });
}

#[test]
fn a_redaction_erases_its_target_and_the_latest_edit() {
    each(|store| {
        append(store, 1, [message_in(LOBBY, 1, 1, "milk"), message(2, 1)]);
        append(store, 2, [submit(1, (1, 2), edit(id(1, 1), "tea"))]);
        let own = append(store, 3, [submit(1, (5, 1), redaction(id(1, 1)))]);
        let erased = [
            (1, "erased 4 by its author".to_owned()),
            (3, "edit: -".to_owned()),
        ];
        assert_eq!(rewritten(&own), erased);
        assert_eq!(own.revised, revised(4, 4));
        // A moderator may erase what others wrote.
        let redact = moderated(submit(3, (3, 1), redaction(id(2, 1))));
        let moderator = append(store, 4, [redact]);
        assert_eq!(rewritten(&moderator), [(2, "erased 5 by alice".to_owned())]);
        assert_eq!(moderator.revised, revised(5, 5));
        let now = [
            "erased 4 by its author",
            "erased 5 by alice",
            "edit: -",
            "redaction: because",
            "redaction: because",
        ];
        assert_eq!(all(store), now);
        assert_eq!(shown(store), [1, 2]);
        for word in ["milk", "tea", "text", "because"] {
            assert!(finds(store, word).is_empty(), "{word}");
        }
    });
}

#[test]
fn what_cannot_be_done_is_refused_for_good_and_uses_up_the_counter() {
    let gone = refused(ErrorCode::Gone);
    let not_allowed = refused(ErrorCode::NotAllowed);
    each(|store| {
        append(
            store,
            1,
            [
                message(1, 1),
                message_in(TEA, 1, 2, "tea"),
                submit(1, (1, 3), edit(id(1, 1), "new")),
                spend(1, 4, None),
                spend(1, 5, Some(ErrorCode::BadText)),
                message(1, 6),
                submit(1, (1, 7), redaction(id(1, 6))),
            ],
        );
        let before = all(store);
        let mut counter = 0;
        for (user, content, moderates, expected) in [
            // Nobody edits what others wrote, not even a moderator.
            (2, edit(id(1, 1), "mine"), false, &not_allowed),
            (2, edit(id(1, 1), "mine"), true, &not_allowed),
            (2, redaction(id(1, 1)), false, &not_allowed),
            (2, redaction(id(1, 6)), false, &not_allowed),
            // Never sent, not yet sent, or its own id.
            (1, edit(id(9, 1), "new"), false, &gone),
            (1, redaction(id(1, 8)), true, &gone),
            (1, edit(id(2, 7), "new"), false, &gone),
            // In another room, withdrawn, refused.
            (1, edit(id(1, 2), "new"), false, &gone),
            (1, redaction(id(1, 2)), true, &gone),
            (1, edit(id(1, 4), "new"), false, &gone),
            (1, redaction(id(1, 5)), true, &gone),
            // Erased; or not a message.
            (1, edit(id(1, 6), "new"), false, &gone),
            (1, edit(id(1, 3), "new"), false, &gone),
            (1, redaction(id(1, 3)), true, &gone),
            (1, redaction(id(1, 7)), true, &gone),
        ] {
            counter += 1;
            let what = format!("{content:?} by {user}, {moderates}");
            let mut operation = submit(user, (2, counter), content);
            if moderates {
                operation = moderated(operation);
            }
            let committed = append(store, 2, [operation.clone()]);
            assert_eq!(committed.results, std::slice::from_ref(expected), "{what}");
            assert!(committed.runs.is_empty() && committed.rewritten.is_empty());
            assert_eq!(committed.revised, [], "{what}");
            let OpResult::Done(outcome) = *expected else {
                unreachable!()
            };
            let again = append(store, 3, [operation]);
            assert_eq!(again.results, [OpResult::Repeated(outcome)], "{what}");
        }
        assert_eq!(all(store), before);
    });
}

#[test]
fn what_would_change_nothing_makes_no_entry() {
    each(|store| {
        append(store, 1, [message_in(LOBBY, 1, 1, "tea"), message(1, 2)]);
        append(store, 1, [submit(1, (1, 3), redaction(id(1, 2)))]);
        let batch = [
            submit(1, (1, 4), edit(id(1, 1), "tea")),
            submit(1, (1, 5), redaction(id(1, 2))),
            moderated(submit(3, (3, 1), redaction(id(1, 2)))),
        ];
        let before = (all(store), store.standings());
        let committed = append(store, 2, batch.clone());
        let unchanged = MessageOutcome::Unchanged;
        assert_eq!(committed.results, vec![OpResult::Done(unchanged); 3]);
        assert!(committed.runs.is_empty() && committed.rewritten.is_empty());
        let again = append(store, 3, batch);
        assert_eq!(again.results, vec![OpResult::Repeated(unchanged); 3]);
        assert_eq!((all(store), store.standings()), before);
        // After another text, the old one is a change again.
        append(store, 4, [submit(1, (1, 6), edit(id(1, 1), "milk"))]);
        append(store, 4, [submit(1, (1, 7), edit(id(1, 1), "tea"))]);
        assert_eq!(all(store)[0], "tea (edited 5)");
    });
}

#[test]
fn an_entry_earlier_in_the_batch_can_be_a_target() {
    each(|store| {
        append(store, 1, [message_in(LOBBY, 1, 1, "old")]);
        let committed = append(
            store,
            2,
            [
                message_in(LOBBY, 2, 1, "secret"),
                submit(2, (2, 2), edit(id(2, 1), "secret too")),
                submit(2, (2, 2), edit(id(2, 1), "secret too")),
                submit(2, (2, 3), edit(id(2, 1), "secret three")),
                submit(1, (1, 2), edit(id(1, 1), "new")),
                submit(1, (1, 3), edit(id(1, 1), "newer")),
                submit(2, (2, 4), redaction(id(2, 1))),
                submit(2, (2, 5), edit(id(2, 1), "secret four")),
                message_in(LOBBY, 2, 6, "tea"),
                submit(2, (2, 7), edit(id(2, 6), "tea")),
                submit(2, (2, 8), edit(id(2, 6), "hot tea")),
            ],
        );
        assert_eq!(
            committed.results,
            [
                OpResult::Done(stored(2, 2)),
                OpResult::Done(stored(3, 2)),
                OpResult::Repeated(stored(3, 2)),
                OpResult::Done(stored(4, 2)),
                OpResult::Done(stored(5, 2)),
                OpResult::Done(stored(6, 2)),
                OpResult::Done(stored(7, 2)),
                refused(ErrorCode::Gone),
                OpResult::Done(stored(8, 2)),
                OpResult::Done(MessageOutcome::Unchanged),
                OpResult::Done(stored(9, 2)),
            ]
        );
        // Only what an earlier batch made is rewritten, and once.
        assert_eq!(rewritten(&committed), [(1, "newer (edited 6)".to_owned())]);
        assert_eq!(committed.revised, revised(9, 7));
        let now = [
            "newer (edited 6)",
            "erased 7 by its author",
            "edit: -",
            "edit: -",
            "edit: -",
            "edit: newer",
            "redaction: because",
            "hot tea (edited 9)",
            "edit: hot tea",
        ];
        assert_eq!(all(store), now);
        let run = &committed.runs[0].segment;
        let read = store.read(LOBBY, 2, 100_000).unwrap();
        assert_eq!(run.bytes(), read.bytes(), "published as it is stored");
        let text = std::str::from_utf8(run.bytes()).unwrap();
        assert!(!text.contains("secret"), "{text}");
    });
}

#[test]
fn a_repeated_edit_changes_nothing_again() {
    each(|store| {
        append(store, 1, [message(1, 1)]);
        let first = submit(1, (1, 2), edit(id(1, 1), "one"));
        let second = submit(1, (1, 3), edit(id(1, 1), "two"));
        append(store, 2, [first.clone(), second]);
        let again = append(store, 3, [first]);
        assert_eq!(again.results, [OpResult::Repeated(stored(2, 2))]);
        assert!(again.runs.is_empty() && again.rewritten.is_empty());
        assert_eq!(all(store), ["two (edited 3)", "edit: -", "edit: two"]);
    });
}

#[test]
fn what_was_changed_is_the_same_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let reopen = || SqliteStore::open(&unsynced(directory.path())).unwrap();
    let mut store = reopen();
    append(&mut store, 1, [message(1, 1), message(1, 2)]);
    append(&mut store, 2, [submit(1, (1, 3), edit(id(1, 1), "one"))]);
    drop(store);
    let mut store = reopen();
    assert_eq!(standing(&store, LOBBY).revised, revised(3, 0)[0].1);
    append(&mut store, 3, [submit(1, (1, 4), edit(id(1, 1), "two"))]);
    append(&mut store, 3, [submit(1, (1, 5), redaction(id(1, 2)))]);
    append(&mut store, 3, [submit(1, (1, 6), redaction(id(1, 2)))]);
    let before = (all(&mut store), store.standings());
    assert_eq!(before.1[0].1.revised, revised(5, 5)[0].1);
    drop(store);
    let mut store = reopen();
    assert_eq!((all(&mut store), store.standings()), before);
    let again = append(
        &mut store,
        9,
        [
            submit(1, (1, 5), redaction(id(1, 2))),
            submit(1, (1, 6), redaction(id(1, 2))),
            submit(1, (1, 7), redaction(id(1, 2))),
            submit(1, (1, 8), redaction(id(1, 1))),
        ],
    );
    assert_eq!(
        again.results,
        [
            OpResult::Repeated(stored(5, 3)),
            OpResult::Repeated(MessageOutcome::Unchanged),
            OpResult::Done(MessageOutcome::Unchanged),
            OpResult::Done(stored(6, 9)),
        ]
    );
    assert_eq!(
        all(&mut store)[..4],
        [
            "erased 6 by its author",
            "erased 5 by its author",
            "edit: -",
            "edit: -"
        ]
    );
}
