//! Entries of every kind in the store: pages over the numbers that are not shown, and folding.

use super::*;
use crate::{
    client::session::persist_types::ChangedEntries,
    protocol::{
        entry::Tombstone, fold, frame::Position, limits::HISTORY_PAGE_MAX, wire::parse_entry,
    },
};

const OURS: u8 = 9;

fn id(seq: u64) -> MessageId {
    message(seq, "").id
}

fn of(seq: u64, user: u8, kind: EntryKind) -> Entry {
    let author = Author {
        user: UserId::from_bytes([user; 12]),
        nickname: Nickname::parse(&format!("user{user}")).unwrap(),
        proven: true,
    };
    Entry {
        author,
        kind,
        ..message(seq, "")
    }
}

pub(super) fn text(seq: u64, user: u8, body: &str) -> Entry {
    let body = Body::inert(body);
    of(
        seq,
        user,
        EntryKind::Text(Text {
            body,
            mentions: Mentions::NONE,
            edited: None,
        }),
    )
}

pub(super) fn edit(seq: u64, user: u8, target: u64, body: &str) -> Entry {
    let (target, body) = (id(target), Some(Body::inert(body)));
    of(
        seq,
        user,
        EntryKind::Edit {
            target,
            body,
            mentions: Mentions::NONE,
        },
    )
}

pub(super) fn redaction(seq: u64, user: u8, target: u64) -> Entry {
    let (target, reason) = (id(target), Some(Line::inert("a reason")));
    of(seq, user, EntryKind::Redaction { target, reason })
}

/// An entry of a kind that this build does not know, with these fields besides the envelope's.
pub(super) fn unknown(seq: u64, user: u8, fields: &str) -> Entry {
    let entry = text(seq, user, "");
    let frame = format!(
        r#"{{"type":"entry","kind":"poll","room":"lobby","seq":{seq},"id":"{}","user":"{}","nickname":"user{user}","timestamp":"{}","choices":["tea","café"]{fields}}}"#,
        entry.id, entry.author.user, entry.time
    );
    parse_entry(frame.as_bytes()).unwrap()
}

/// An unknown kind that erases its target.
pub(super) fn vanish(seq: u64, user: u8, target: u64) -> Entry {
    unknown(
        seq,
        user,
        &format!(r#","target":"{}","erases":true"#, id(target)),
    )
}

fn tombstone(seq: u64, user: u8, redacted: u64) -> Entry {
    let tombstone = Tombstone {
        redacted,
        by: None,
        kind: None,
    };
    of(seq, user, EntryKind::Tombstone(tombstone))
}

pub(super) fn live(entries: Vec<Entry>) -> StoreChange {
    StoreChange::Entries(EntryRange::of(lobby(), epoch(1), entries))
}

pub(super) fn page(from: u64, to: u64, entries: Vec<Entry>) -> StoreChange {
    StoreChange::Entries(EntryRange {
        from,
        to,
        ..EntryRange::of(lobby(), epoch(1), entries)
    })
}

pub(super) fn changed(since: u64, folded: u64, entries: Vec<Entry>) -> StoreChange {
    StoreChange::Changed(ChangedEntries {
        room: lobby(),
        epoch: epoch(1),
        entries,
        since,
        folded,
    })
}

/// As the server tells of a room that an entry has changed last.
pub(super) fn opened_changed(head: u64, next: u64, changed: u64) -> StoreChange {
    StoreChange::Room {
        epoch: epoch(1),
        folded: 0,
        start: RoomStart {
            room: lobby(),
            info: RoomInfo::public(RoomName::lobby()),
            read: ReadState::default(),
            extent: Extent::new(1, head),
            next,
            changed,
            redacted: 0,
            reset: None,
        },
    }
}

/// Two processes with one client ID: what the other has stored was changed meanwhile.
#[test]
fn what_nobody_would_bring_up_to_date_is_dropped() {
    let changed_at_5 = |asked_from| {
        let StoreChange::Room { epoch, start, .. } = opened_changed(6, 7, 5) else {
            unreachable!()
        };
        StoreChange::Room {
            epoch,
            start,
            folded: asked_from,
        }
    };
    for (asked_from, kept) in [(0, 4), (4, 4), (5, 0), (6, 0)] {
        let home = Home::new();
        let mut store = home.open().store;
        store.keep(vec![
            opened(1, 1, 4),
            page(1, 4, (1..=4).map(|seq| text(seq, 1, "a")).collect()),
        ]);
        store.keep(vec![changed_at_5(asked_from)]);
        assert_eq!(store.rows().len(), kept, "asked from {asked_from}");
        assert_eq!(store.folded(), if kept > 0 { 4 } else { 6 });
    }
}

impl Store {
    /// All stored entries.
    pub(super) fn rows(&self) -> Vec<Entry> {
        let select = format!(
            "SELECT {} FROM message JOIN room USING (log) ORDER BY seq",
            rows::COLUMNS
        );
        let mut select = self.database.prepare(&select).unwrap();
        let mut rows = select.query(()).unwrap();
        let mut entries = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            entries.push(rows::read(lobby(), row).unwrap());
        }
        entries
    }

    pub(super) fn folded(&self) -> u64 {
        let folded = "SELECT folded FROM room";
        self.database
            .query_row(folded, (), |row| device::number(row, 0))
            .unwrap()
    }

    /// A page's range, and the numbers in it.
    fn shown(&mut self, part: Part) -> Option<(u64, u64, Vec<u64>)> {
        let look = CacheQuery::Page {
            room: lobby(),
            epoch: None,
            part,
            offline: false,
        };
        let CacheResult::Page(page) = self.query(&look) else {
            panic!("not a page");
        };
        let page = page.unwrap()?;
        let numbers = page.entries.iter().map(|entry| entry.seq);
        Some((page.from, page.to, numbers.collect()))
    }
}

#[test]
fn entries_of_all_kinds_come_back_whole() {
    let home = Home::new();
    let mut store = home.open().store;
    let edited = Entry {
        kind: EntryKind::Text(Text {
            body: Body::inert("a text"),
            mentions: Mentions::NONE,
            edited: Some(9),
        }),
        ..text(1, 1, "")
    };
    let by = Tombstone {
        redacted: 12,
        by: Some(Nickname::parse("user2").unwrap()),
        kind: Some(Line::inert("poll")),
    };
    let entries = vec![
        edited,
        edit(2, 1, 50, "a new text"),
        redaction(3, 2, 51),
        unknown(
            4,
            2,
            r#","alt":"a poll","counts":true,"nested":{"deep":[1,2.50]}"#,
        ),
        of(5, 1, EntryKind::Tombstone(by)),
        of(
            6,
            1,
            EntryKind::Edit {
                target: id(52),
                body: None,
                mentions: Mentions::NONE,
            },
        ),
        vanish(7, 1, 53),
    ];
    store.keep(vec![opened(1, 1, 7), live(entries.clone())]);
    drop(store);
    let opened = home.open();
    assert_eq!(opened.store.rows(), entries);
    // The start shows those that have a place of their own.
    let shown: Vec<_> = opened.rooms[0].page.entries.iter().collect();
    assert_eq!(shown, [&entries[0], &entries[3], &entries[4]]);
    assert_eq!((opened.rooms[0].page.from, opened.rooms[0].page.to), (1, 7));
    // The position is the latest entry, whatever its kind.
    assert_eq!(
        opened.kept.rooms[0].position,
        Position {
            room: lobby(),
            seq: 7,
            id: Some(id(7)),
        }
    );
    let EntryKind::Unknown(poll) = &opened.store.rows()[3].kind else {
        panic!("the poll is another kind now");
    };
    assert!(poll.raw.contains(r#""nested":{"deep":[1,2.50]}"#));
}

#[test]
fn pages_cover_numbers_that_are_not_shown() {
    let home = Home::new();
    let mut store = home.open().store;
    store.keep(vec![
        opened(1, 1, 12),
        // A page without the numbers 2, 5 and 6, and then live entries.
        page(
            1,
            6,
            vec![text(1, 1, "a"), text(3, 1, "b"), text(4, 1, "c")],
        ),
        live(vec![
            edit(7, 1, 3, "B"),
            edit(8, 1, 3, "BB"),
            text(9, 1, "d"),
            redaction(10, 1, 4),
        ]),
    ]);
    let all = Some((1, 10, vec![1, 3, 4, 9]));
    assert_eq!(store.shown(Part::Forward { from: 1, to: 10 }), all);
    assert_eq!(store.shown(Part::Backward { from: 1, to: 10 }), all);
    let part = Part::Backward { from: 1, to: 6 };
    assert_eq!(store.shown(part), Some((1, 6, vec![1, 3, 4])));
    let part = Part::Forward { from: 5, to: 8 };
    assert_eq!(store.shown(part), Some((5, 8, vec![])));
    // A day begins with the first entry that is held of it.
    let since = |second| Part::Since(time(second));
    assert_eq!(store.shown(since(2)), Some((2, 10, vec![3, 4, 9])));
    assert_eq!(store.shown(since(5)), Some((5, 10, vec![9])));
    assert_eq!(store.shown(since(10)), Some((10, 10, vec![])));
    assert_eq!(store.shown(since(11)), None);
}

#[test]
fn a_range_that_ends_with_left_out_numbers_has_its_times_found() {
    let home = Home::new();
    let mut store = home.open().store;
    store.keep(vec![
        opened(1, 1, 30),
        page(1, 6, vec![text(2, 1, "a"), text(4, 1, "b")]),
        page(11, 12, vec![]),
        page(21, 26, vec![text(23, 1, "c")]),
    ]);
    let since = |second| Part::Since(time(second));
    assert_eq!(store.shown(since(3)), Some((3, 6, vec![4])));
    assert_eq!(store.shown(since(5)), Some((21, 26, vec![23])));
    assert_eq!(store.shown(since(24)), None);
}

#[test]
fn a_page_passes_over_many_edits() {
    let home = Home::new();
    let mut store = home.open().store;
    let most = HISTORY_PAGE_MAX as u64;
    let texts: Vec<_> = (1..=most + 1).map(|seq| text(seq, 1, "a")).collect();
    let head = most + 300;
    let edits = (most + 2..=head).map(|seq| edit(seq, 1, 1, &format!("edit {seq}")));
    let entries: Vec<_> = texts.into_iter().chain(edits).collect();
    store.keep(vec![opened(1, 1, head), live(entries)]);
    let (from, to, numbers) = store.shown(Part::Backward { from: 1, to: head }).unwrap();
    assert_eq!((from, to), (2, head));
    assert!(numbers.iter().copied().eq(2..=most + 1));
    let (from, to, numbers) = store.shown(Part::Forward { from: 1, to: head }).unwrap();
    assert_eq!((from, to), (1, most));
    assert!(numbers.iter().copied().eq(1..=most));
}

#[test]
fn the_next_start_resumes_at_an_entry_that_is_held() {
    let home = Home::new();
    let mut store = home.open().store;
    store.keep(vec![
        opened(1, 1, 9),
        page(1, 9, vec![text(3, 1, "a"), text(7, 1, "b")]),
    ]);
    drop(store);
    let mut opened_again = home.open();
    let position = &opened_again.kept.rooms[0].position;
    assert_eq!((position.seq, position.id), (7, Some(id(7))));
    // It stays, however little room there is.
    let store = &mut opened_again.store;
    while cache::evict(&store.database, 1).unwrap() > 0 {}
    assert_eq!(store.rows(), [text(7, 1, "b")]);
    assert_eq!(store.ranges(), [(7, 9)]);
}

#[test]
fn a_room_of_which_nothing_more_can_go_does_not_keep_others_from_it() {
    let home = Home::new();
    let mut store = home.open().store;
    let other = RoomId::parse("tea").unwrap();
    let elsewhere = |seq| Entry {
        room: other,
        ..text(seq, 1, "a")
    };
    let StoreChange::Room {
        epoch,
        start,
        folded,
    } = opened(1, 1, 500)
    else {
        unreachable!()
    };
    let start = RoomStart {
        room: other,
        ..start
    };
    let run = EntryRange::of(other, epoch, vec![elsewhere(1), elsewhere(2)]);
    store.keep(vec![
        opened(1, 1, 500),
        page(1, 500, vec![text(1, 1, "a")]),
        StoreChange::Room {
            epoch,
            start,
            folded,
        },
        StoreChange::Entries(run),
    ]);
    assert_eq!(cache::evict(&store.database, 10).unwrap(), 1);
    assert_eq!(cache::evict(&store.database, 10).unwrap(), 0);
}

#[test]
fn a_search_finds_texts_as_they_stand() {
    let home = Home::new();
    let mut store = home.open().store;
    store.keep(vec![
        opened(1, 1, 9),
        live(vec![
            text(1, 1, "apple tea"),
            text(2, 1, "black tea"),
            edit(3, 1, 1, "apple cake"),
            redaction(4, 1, 2),
            text(5, 1, "green tea"),
            unknown(6, 1, r#","alt":"tea or coffee?""#),
        ]),
    ]);
    let mut find = |words: &str| -> Vec<u64> {
        let look = CacheQuery::Search {
            room: lobby(),
            epoch: None,
            query: Query {
                words: Words::parse(words).unwrap(),
                sender: None,
                after: None,
                before: None,
            },
            to: None,
        };
        let CacheResult::Found(found) = store.query(&look) else {
            panic!("not found");
        };
        found
            .unwrap()
            .entries
            .iter()
            .map(|entry| entry.seq)
            .collect()
    };
    assert_eq!(find("tea"), [5]);
    assert_eq!(find("cake"), [1]);
    assert_eq!(find("apple"), [1]);
}

/// Whether any of the store's files holds a text.
fn is_on_disk(home: &Home, text: &str) -> bool {
    let files = fs::read_dir(home.0.path().join("state")).unwrap();
    let mut files = files.map(|file| fs::read(file.unwrap().path()).unwrap());
    files.any(|bytes| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    })
}

#[test]
fn an_erased_text_is_nowhere() {
    for (erased_by, is_live) in [
        (redaction(6, 1, 2), true),
        (vanish(6, 1, 2), true),
        (redaction(6, 1, 2), false),
    ] {
        let home = Home::new();
        let mut store = home.open().store;
        let draft = |room: &str, text: &str| StoreChange::Draft {
            room: RoomId::parse(room).unwrap(),
            text: text.to_owned(),
        };
        store.keep(vec![
            opened(1, 1, 5),
            StoreChange::User(UserId::from_bytes([OURS; 12])),
            StoreChange::Typed("something else".to_owned()),
            StoreChange::Typed("the secret word".to_owned()),
            draft("lobby", "the secret word"),
            draft("tea", "another word"),
            live(vec![
                text(1, 1, "something else"),
                text(2, OURS, "the first word"),
                edit(3, OURS, 2, "the second word"),
                edit(4, OURS, 2, "the secret word"),
                text(5, 2, "a word"),
            ]),
        ]);
        drop(store);
        assert!(is_on_disk(&home, "the secret word"));
        let mut store = home.open().store;
        store.keep(vec![if is_live {
            live(vec![erased_by.clone()])
        } else {
            changed(5, 6, vec![tombstone(2, OURS, 6)])
        }]);
        let texts: Vec<_> = store.rows().iter().map(|e| e.words().to_owned()).collect();
        assert_eq!(texts[..5], ["something else", "", "", "", "a word"]);
        drop(store);
        for gone in ["the secret word", "the second word", "the first word"] {
            assert!(!is_on_disk(&home, gone), "{gone} by {erased_by:?}");
        }
        assert!(is_on_disk(&home, "another word"));
        let opened = home.open();
        assert_eq!(opened.typed, ["something else"]);
        assert_eq!(opened.rooms[0].draft, "");
    }
}

#[test]
fn an_older_copy_that_arrives_later_is_brought_up_to_date() {
    let home = Home::new();
    let mut store = home.open().store;
    let changes = vec![
        edit(10, 1, 2, "new"),
        edit(11, 1, 2, "newer"),
        redaction(12, 1, 3),
        vanish(13, 1, 4),
        redaction(14, 1, 3),
    ];
    store.keep(vec![opened(1, 1, 14), live(changes)]);
    drop(store);
    let mut store = home.open().store;
    let texts = (2..=5).map(|seq| text(seq, 1, "old")).collect();
    store.keep(vec![page(1, 5, texts)]);
    let rows = store.rows();
    let words: Vec<_> = rows[..4].iter().map(Entry::words).collect();
    assert_eq!(words, ["newer", "", "", "old"]);
    let revs: Vec<_> = rows[..4].iter().map(Entry::rev).collect();
    assert_eq!(revs, [11, 12, 13, 0]);
}

#[test]
fn an_edit_of_what_is_known_as_erased_or_edited_later_is_stored_without_its_text() {
    let home = Home::new();
    let mut store = home.open().store;
    let mut edited = text(3, 1, "newest");
    fold::apply(&mut edited, &edit(30, 1, 3, "newest"));
    store.keep(vec![
        opened(1, 1, 11),
        page(1, 3, vec![tombstone(2, 1, 20), edited]),
        live(vec![edit(10, 1, 2, "secret"), edit(11, 1, 3, "old")]),
    ]);
    let empty = |entry: &Entry| matches!(entry.kind, EntryKind::Edit { body: None, .. });
    assert!(store.rows()[2..].iter().all(empty), "{:?}", store.rows());
}

#[test]
fn an_erased_text_that_was_never_stored_as_an_entry_is_forgotten() {
    let home = Home::new();
    let mut store = home.open().store;
    let draft = StoreChange::Draft {
        room: lobby(),
        text: "secret".to_owned(),
    };
    store.keep(vec![
        opened(1, 1, 1),
        StoreChange::Typed("secret".to_owned()),
        StoreChange::Typed("no secret".to_owned()),
        draft,
    ]);
    store.keep(vec![StoreChange::Erased("secret".to_owned())]);
    drop(store);
    let opened = home.open();
    assert_eq!(opened.typed, ["no secret"]);
    assert_eq!(opened.rooms[0].draft, "");
}

#[test]
fn another_users_erased_text_stays_in_what_this_user_typed() {
    let home = Home::new();
    let mut store = home.open().store;
    store.keep(vec![
        opened(1, 1, 2),
        StoreChange::User(UserId::from_bytes([OURS; 12])),
        StoreChange::Typed("hello".to_owned()),
        live(vec![text(1, 1, "hello"), redaction(2, 1, 1)]),
    ]);
    drop(store);
    assert_eq!(home.open().typed, ["hello"]);
}

#[test]
fn a_text_that_an_edit_has_replaced_leaves_what_was_typed_too() {
    let home = Home::new();
    let mut store = home.open().store;
    store.keep(vec![
        opened(1, 1, 2),
        StoreChange::User(UserId::from_bytes([OURS; 12])),
        StoreChange::Typed("seccret".to_owned()),
        StoreChange::Typed("secret".to_owned()),
        live(vec![text(1, OURS, "seccret"), edit(2, OURS, 1, "secret")]),
    ]);
    drop(store);
    assert_eq!(home.open().typed, ["secret"]);
}

#[test]
fn an_erasure_takes_effect_even_if_the_cache_takes_no_more() {
    let home = Home::new();
    let mut store = home.open().store;
    store.keep(vec![
        opened(1, 1, 2),
        live(vec![text(1, 1, "secret"), text(2, 1, "b")]),
    ]);
    store.budget.disk = Some((0, 1 << 40));
    store.keep(vec![live(vec![redaction(3, 1, 1)])]);
    assert!(store.rows().iter().all(|entry| entry.words() != "secret"));
    // What was not stored is asked for again.
    assert_eq!(store.folded(), 2);
}

#[test]
fn how_far_entries_are_folded_is_known_over_restarts() {
    let home = Home::new();
    let mut store = home.open().store;
    // Nothing is held, so nothing of it was changed.
    store.keep(vec![opened_changed(10, 9, 8)]);
    assert_eq!(store.folded(), 8);
    store.keep(vec![live(vec![text(9, 1, "a"), text(10, 1, "b")])]);
    assert_eq!(store.folded(), 10);
    // A page may leave out entries that change others.
    store.keep(vec![page(1, 8, vec![text(1, 1, "c")])]);
    store.keep(vec![page(11, 12, vec![text(11, 1, "d")])]);
    assert_eq!(store.folded(), 10);
    drop(store);
    let opened = home.open();
    assert_eq!(opened.kept.rooms[0].folded, 10);
    let mut store = opened.store;
    // After a gap in which there was a change: only the server's answer settles it.
    store.keep(vec![
        opened_changed(30, 21, 15),
        live(vec![text(21, 1, "e")]),
    ]);
    assert_eq!(store.folded(), 10);
    // An answer that goes on from what is missing here.
    store.keep(vec![changed(15, 30, vec![])]);
    assert_eq!(store.folded(), 10);
    let mut after = text(9, 1, "A");
    fold::apply(&mut after, &edit(15, 1, 9, "A"));
    store.keep(vec![changed(10, 30, vec![after.clone()])]);
    assert_eq!(store.folded(), 30);
    assert!(store.rows().contains(&after));
    // A gap without a change.
    store.keep(vec![opened_changed(40, 39, 15)]);
    assert_eq!(store.folded(), 38);
    // Another log begins anew.
    let start = |number| StoreChange::Room {
        epoch: epoch(number),
        folded: 0,
        start: RoomStart {
            room: lobby(),
            info: RoomInfo::public(RoomName::lobby()),
            read: ReadState::default(),
            extent: Extent::new(1, 5),
            next: 4,
            changed: 5,
            redacted: 5,
            reset: Some(Reset::Epoch),
        },
    };
    store.keep(vec![start(2)]);
    assert_eq!(store.folded(), 3);
}

#[test]
fn a_store_of_an_earlier_program_is_migrated() {
    let home = Home::new();
    let mut store = home.open().store;
    store.keep(vec![
        opened(1, 1, 2),
        live(vec![text(1, 1, "a"), text(2, 1, "b")]),
        StoreChange::Entry(entry(1, "pending", Some(1))),
    ]);
    drop(store);
    let database = Connection::open(home.file()).unwrap();
    database
        .execute_batch(
            "ALTER TABLE room RENAME COLUMN room TO name;
             ALTER TABLE room DROP COLUMN info;
             ALTER TABLE room DROP COLUMN state;
             ALTER TABLE room ADD COLUMN topic TEXT;
             ALTER TABLE room ADD COLUMN read INTEGER NOT NULL DEFAULT 0;
             ALTER TABLE outbox DROP COLUMN enter;
             ALTER TABLE submitted DROP COLUMN enter;
             ALTER TABLE message DROP COLUMN mentions;
             DROP INDEX message_id;
             DROP INDEX message_target;
             ALTER TABLE message DROP COLUMN kind;
             ALTER TABLE message DROP COLUMN target;
             ALTER TABLE message DROP COLUMN rev;
             ALTER TABLE room DROP COLUMN folded;
             ALTER TABLE outbox DROP COLUMN kind;
             ALTER TABLE outbox DROP COLUMN target;
             ALTER TABLE submitted DROP COLUMN kind;
             ALTER TABLE submitted DROP COLUMN target;
             PRAGMA user_version = 5;",
        )
        .unwrap();
    drop(database);
    let opened = home.open();
    assert_eq!(opened.store.rows(), [text(1, 1, "a"), text(2, 1, "b")]);
    assert_eq!(opened.kept.outbox.entries, [entry(1, "pending", Some(1))]);
    assert_eq!(opened.kept.rooms[0].folded, 0);
    let mut store = opened.store;
    store.keep(vec![live(vec![edit(3, 1, 1, "A")])]);
    assert_eq!(store.rows()[0].words(), "A");
}

#[test]
fn an_outbox_of_all_kinds_comes_back() {
    let home = Home::new();
    let mut store = home.open().store;
    let with = |key, content| OutboxEntry {
        content,
        ..entry(key, "x", None)
    };
    let entries = vec![
        entry(1, "a text", Some(1)),
        with(
            2,
            Content::Edit {
                target: id(7),
                body: Body::inert("new"),
            },
        ),
        with(
            3,
            Content::Redaction {
                target: id(8),
                reason: Some(Line::inert("spam")),
            },
        ),
        with(
            4,
            Content::Redaction {
                target: id(9),
                reason: None,
            },
        ),
    ];
    store.keep(entries.iter().cloned().map(StoreChange::Entry).collect());
    drop(store);
    let opened = home.open();
    assert_eq!(opened.kept.outbox.entries, entries);
    // Another process hands over the same kinds, and damage costs none of them.
    let mut standby = open_on_standby(&home.profile("carol", "3")).unwrap().store;
    let submit = |number, entry: &OutboxEntry| StoreChange::Submit {
        number,
        room: lobby(),
        enter: None,
        content: entry.content.clone(),
    };
    standby.keep(
        (1..)
            .zip(&entries)
            .map(|(number, entry)| submit(number, entry))
            .collect(),
    );
    let mut holder = opened.store;
    fs::remove_file(home.file()).unwrap();
    holder.keep(vec![StoreChange::NextCounter(2)]);
    let contents = |entries: &[OutboxEntry]| -> Vec<Content> {
        entries.iter().map(|entry| entry.content.clone()).collect()
    };
    let CacheResult::Adopted(Ok(Some(adopted))) = holder.query(&CacheQuery::Adopt { key: 10 })
    else {
        panic!("not adopted");
    };
    assert_eq!(contents(&adopted), contents(&entries));
    assert_eq!(contents(&holder.take().entries[..4]), contents(&entries));
}
