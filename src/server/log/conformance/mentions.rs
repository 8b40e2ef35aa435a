//! Every store's events of rooms, mentions, and counts of what is unread.

pub(in crate::server) use super::entries::{edit, redaction, submit};
use super::{entries::moderated, *};
use crate::{
    protocol::{Entry, EntryKind, Mentions, RoomChange, RoomEvent},
    text::Line,
};

pub(super) fn user(name: u8) -> UserId {
    UserId::from_bytes([name; 12])
}

/// The same operation, whose text mentions users; 0 is everyone.
pub(in crate::server) fn mentioning(mut operation: Operation, names: &[u8]) -> Operation {
    if let Operation::Append { mentions, .. } = &mut operation {
        *mentions = Mentions {
            users: names.iter().filter(|n| **n > 0).map(|n| user(*n)).collect(),
            everyone: names.contains(&0),
        };
    }
    operation
}

pub(super) fn joined(room: RoomId, name: u8) -> Operation {
    let Operation::Append { sender: by, .. } = message(name, 1) else {
        unreachable!()
    };
    let alt = Line::inert("alice joined");
    let change = RoomChange::Joined;
    let event = RoomEvent { change, alt };
    Operation::Note { room, by, event }
}

pub(super) fn readable(room: RoomId) -> Readable {
    let ranges = vec![1..=u64::MAX];
    Readable { room, ranges }
}

fn entries(inbox: &Inbox) -> Vec<(RoomId, u64)> {
    let entry = |frame: &Bytes| semantics::decode_entry(frame).unwrap();
    let frames = inbox.frames.iter().map(entry);
    frames.map(|entry| (entry.room, entry.seq)).collect()
}

/// A user's whole inbox in both rooms, page after page.
pub(in crate::server) fn inbox<R: Reader + ?Sized>(store: &mut R, name: u8) -> Vec<(RoomId, u64)> {
    let rooms = [readable(LOBBY), readable(TEA)];
    let mut all = Vec::new();
    let mut before = None;
    loop {
        let page = store.inbox(user(name), &rooms, before).unwrap();
        all.extend(entries(&page));
        let Some(next) = page.next else { return all };
        assert!(before.is_none_or(|before| next < before));
        before = Some(next);
    }
}

pub(in crate::server) fn unread<R: Reader + ?Sized>(
    store: &mut R,
    name: u8,
    above: u64,
) -> (u64, u64) {
    let Unread { entries, mentions } = store.unread(user(name), &[], LOBBY, above).unwrap();
    (entries.get(), mentions.get())
}

#[test]
fn an_event_is_an_entry_of_its_author_with_an_id_of_the_servers_own() {
    each(|store| {
        let batch = [
            message(1, 1),
            joined(LOBBY, 2),
            joined(TEA, 2),
            joined(LOBBY, 1),
        ];
        let committed = append(store, 5, batch);
        let in_tea = MessageOutcome::Stored {
            room: TEA,
            seq: 1,
            time: at(5),
        };
        assert_eq!(
            committed.results,
            [
                OpResult::Done(stored(1, 5)),
                OpResult::Done(stored(2, 5)),
                OpResult::Done(in_tea),
                OpResult::Done(stored(3, 5)),
            ]
        );
        append(store, 6, [joined(TEA, 3)]);
        for (room, seq, counter, name) in [
            (LOBBY, 2, 1, 2),
            (TEA, 1, 2, 2),
            (LOBBY, 3, 3, 1),
            (TEA, 2, 4, 3),
        ] {
            let read = store.read(room, seq, 0).unwrap();
            let entry: Entry = semantics::decode_entry(read.frame(seq).unwrap()).unwrap();
            assert_eq!((entry.room, entry.author.user), (room, user(name)));
            assert_eq!(
                (entry.id.device, entry.id.counter),
                (SERVER_DEVICE, counter)
            );
            assert!(
                matches!(entry.kind, EntryKind::Event(event) if event.change == RoomChange::Joined)
            );
        }
        // It is shown, does not count, and can't be erased.
        let shown = store.page(TEA, Part::Forward { from: 1, to: 9 }).unwrap();
        assert_eq!(seqs(&shown.frames), [1, 2]);
        assert_eq!(unread(store, 2, 0), (1, 0));
        let target = MessageId {
            device: SERVER_DEVICE,
            counter: 1,
        };
        let late = moderated(submit(1, (1, 2), redaction(target)));
        let gone = OpResult::Done(MessageOutcome::Refused(ErrorCode::Gone));
        assert_eq!(append(store, 6, [late]).results, [gone]);
        let (from, to) = (1, 9);
        let erased = append(
            store,
            6,
            [Operation::Erase {
                room: TEA,
                from,
                to,
            }],
        );
        assert_eq!(erased.results, [OpResult::Erased { count: 0 }]);
    });
}

#[test]
fn an_inbox_has_what_others_say_to_its_user_and_to_everyone_newest_first() {
    each(|store| {
        append(store, 1, [mentioning(message(1, 1), &[2])]);
        append(
            store,
            1,
            [mentioning(message_in(TEA, 1, 2, "hot"), &[3, 0, 2])],
        );
        append(
            store,
            1,
            [
                message(1, 3),
                mentioning(message(1, 4), &[0]),
                mentioning(message(2, 1), &[0, 2, 1]),
            ],
        );
        assert_eq!(inbox(store, 1), [(LOBBY, 4)]);
        assert_eq!(inbox(store, 2), [(LOBBY, 3), (TEA, 1), (LOBBY, 1)]);
        assert_eq!(inbox(store, 4), [(LOBBY, 4), (LOBBY, 3), (TEA, 1)]);
        // Only what the user may read.
        for (ranges, expected) in [
            (vec![], vec![]),
            (vec![1..=1], vec![(LOBBY, 1)]),
            (vec![2..=3, 4..=9], vec![(LOBBY, 3)]),
        ] {
            let room = LOBBY;
            let some = [Readable { room, ranges }];
            let page = store.inbox(user(2), &some, None).unwrap();
            assert_eq!((entries(&page), page.next), (expected, None));
        }
        // As it stands now.
        append(store, 2, [submit(1, (1, 5), edit(id(1, 1), "milk"))]);
        let page = store.inbox(user(2), &[readable(LOBBY)], None).unwrap();
        let oldest = semantics::decode_entry(page.frames.last().unwrap()).unwrap();
        assert_eq!(oldest.text().unwrap().as_str(), "milk");
    });
}

#[test]
fn an_edit_tells_only_those_whom_the_message_did_not_mention_before() {
    each(|store| {
        append(store, 1, [mentioning(message(1, 1), &[2])]);
        append(store, 1, [mentioning(message(1, 2), &[2])]);
        let late = mentioning(submit(1, (1, 3), edit(id(1, 1), "new")), &[3, 2]);
        append(store, 1, [late]);
        assert_eq!(inbox(store, 2), [(LOBBY, 2), (LOBBY, 1)]);
        assert_eq!(inbox(store, 3), [(LOBBY, 1)]);
        assert_eq!((unread(store, 3, 0), unread(store, 3, 1)), ((2, 1), (1, 0)));
        // In one batch with its message; and an edit that is refused tells nobody.
        let batch = [
            message(1, 4),
            mentioning(submit(1, (1, 5), edit(id(1, 4), "newer")), &[4]),
            mentioning(submit(2, (2, 1), edit(id(1, 4), "no")), &[5]),
        ];
        append(store, 1, batch);
        assert_eq!(
            (inbox(store, 4), inbox(store, 5)),
            (vec![(LOBBY, 4)], vec![])
        );
    });
}

#[test]
fn what_is_erased_or_dropped_is_in_no_inbox() {
    each(|store| {
        for counter in 1..=4 {
            append(store, 1, [mentioning(message(1, counter), &[2, 0])]);
        }
        append(store, 1, [submit(1, (1, 5), redaction(id(1, 2)))]);
        // In one batch with its message.
        let batch = [
            mentioning(message(1, 6), &[2]),
            submit(1, (1, 7), redaction(id(1, 6))),
        ];
        append(store, 1, batch);
        assert_eq!(inbox(store, 2), [(LOBBY, 4), (LOBBY, 3), (LOBBY, 1)]);
        assert_eq!(inbox(store, 3), [(LOBBY, 4), (LOBBY, 3), (LOBBY, 1)]);
        assert_eq!(unread(store, 2, 0), (3, 3));
        let mut steps = 0;
        while store.standings()[0].1.extent.first <= 3 {
            let retain = Operation::Retain(Retention {
                messages_max: Some(2),
                ..Retention::default()
            });
            append(store, 1, [retain]);
            steps += 1;
            assert!(steps < 10);
        }
        assert_eq!(
            (inbox(store, 2), unread(store, 2, 0)),
            (vec![(LOBBY, 4)], (1, 1))
        );
    });
}

#[test]
fn pages_of_an_inbox_are_bounded_and_have_all_of_it() {
    each(|store| {
        let long = "x".repeat(9_000);
        for counter in 1..=250 {
            let text = if counter > 240 { &long } else { "short" };
            let room = if counter % 2 == 0 { TEA } else { LOBBY };
            let users: &[u8] = if counter % 3 == 0 { &[0] } else { &[2] };
            append(
                store,
                1,
                [mentioning(message_in(room, 1, counter, text), users)],
            );
        }
        let rooms = [readable(LOBBY), readable(TEA)];
        let page = store.inbox(user(2), &rooms, None).unwrap();
        let bytes: usize = page.frames.iter().map(Bytes::len).sum();
        assert!(page.next.is_some() && bytes <= limits::HISTORY_BYTES_MAX);
        let page = store.inbox(user(2), &rooms, page.next).unwrap();
        assert!(page.frames.len() <= limits::HISTORY_PAGE_MAX);
        let all = inbox(store, 2);
        let expected = (1..=125_u64)
            .rev()
            .flat_map(|seq| [(TEA, seq), (LOBBY, seq)]);
        assert_eq!(all, expected.collect::<Vec<_>>());
        assert_eq!(inbox(store, 3).len(), 83);
        assert_eq!(unread(store, 2, 0), (100, 100));
        assert_eq!(unread(store, 3, 100), (25, 9));
    });
}

#[test]
fn what_is_unread_counts_is_by_others_and_is_above_the_marker() {
    each(|store| {
        assert_eq!(unread(store, 1, 0), (0, 0));
        let batch = [
            message(1, 1),
            message(2, 1),
            mentioning(message(2, 2), &[1]),
            submit(2, (2, 3), edit(id(2, 1), "new")),
            joined(LOBBY, 2),
            mentioning(message(2, 4), &[0]),
            submit(2, (2, 5), redaction(id(2, 2))),
        ];
        append(store, 1, batch);
        for (name, above, expected) in [
            (1, 0, (2, 1)),
            (1, 2, (1, 1)),
            (1, 5, (1, 1)),
            (1, 6, (0, 0)),
            (1, 7, (0, 0)),
            (1, u64::MAX, (0, 0)),
            (2, 0, (1, 0)),
            (3, 0, (3, 1)),
        ] {
            assert_eq!(unread(store, name, above), expected, "{name} {above}");
        }
        // The entries that don't count may be many.
        for counter in 2..=300 {
            append(store, 1, [message(1, counter)]);
        }
        assert_eq!(unread(store, 1, 0), (2, 1));
        assert_eq!(unread(store, 2, 0), (100, 0));
    });
}

#[test]
fn an_opened_device_is_told_what_its_user_has_not_read_at_the_end_of_the_batch() {
    each(|store| {
        let opening = |name, rooms: &[(RoomId, u64)]| {
            let mut opening = open(9, None, &[]);
            if let Operation::OpenDevice { unread, .. } = &mut opening {
                *unread = Some(Markers {
                    user: user(name),
                    ignored: Vec::new(),
                    rooms: rooms.to_vec(),
                });
            }
            opening
        };
        let counted = |committed: Committed, at: usize| {
            let OpResult::Opened { unread, .. } = &committed.results[at] else {
                panic!("{committed:?}");
            };
            let in_short = |it: &Counted| {
                let Unread { entries, mentions } = it.unread;
                (it.room, it.above, entries.get(), mentions.get())
            };
            unread.iter().map(in_short).collect::<Vec<_>>()
        };
        let nothing = append(store, 1, [opening(1, &[(LOBBY, 0), (TEA, 0)])]);
        assert_eq!(counted(nothing, 0), []);
        // What comes behind it in the same batch counts, and what that erases does not.
        let batch = [
            message(2, 1),
            opening(1, &[(LOBBY, 0), (TEA, 0)]),
            mentioning(message(2, 2), &[1]),
            submit(2, (2, 3), redaction(id(2, 1))),
        ];
        assert_eq!(counted(append(store, 1, batch), 1), [(LOBBY, 0, 1, 1)]);
        for (name, above, expected) in [
            (1, 1, vec![(LOBBY, 1, 1, 1)]),
            (1, 2, vec![(LOBBY, 2, 0, 0)]),
            (1, 3, vec![]),
            (2, 0, vec![(LOBBY, 0, 0, 0)]),
        ] {
            let opened = append(store, 1, [opening(name, &[(LOBBY, above)])]);
            assert_eq!(counted(opened, 0), expected, "{name} {above}");
        }
    });
}

#[test]
fn what_somebody_writes_does_not_count_for_those_who_ignore_them() {
    each(|store| {
        let batch = [
            mentioning(message(2, 1), &[1]),
            mentioning(message(2, 2), &[0]),
            mentioning(message(3, 1), &[1]),
            mentioning(message(3, 2), &[0]),
            message(4, 1),
        ];
        append(store, 1, batch);
        let mut count = |ignored: &[u8]| {
            let ignored: Vec<_> = ignored.iter().map(|name| user(*name)).collect();
            let Unread { entries, mentions } = store.unread(user(1), &ignored, LOBBY, 0).unwrap();
            (entries.get(), mentions.get())
        };
        assert_eq!(count(&[]), (5, 4));
        assert_eq!(count(&[2]), (3, 2));
        assert_eq!(count(&[2, 4]), (2, 2));
        assert_eq!(count(&[2, 3, 4]), (0, 0));
    });
}
