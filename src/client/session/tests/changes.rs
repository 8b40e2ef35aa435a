//! Entries that were changed while the client was away, and entries that are no messages.

use std::collections::VecDeque;

use super::*;
use crate::{
    client::session::{
        persist_types::{LeaseStatus, PersistedOutbox, SaveError},
        requests::REQUESTS_MAX,
        write_buffer::UNSAVED_BYTES_MAX,
    },
    protocol::{
        entry::Tombstone,
        frame::{Capabilities, ChangesPage, PageHead, Part, Reset},
        wire::parse_entry,
    },
};

fn plain(seq: u64, text: &str) -> Entry {
    match message(seq, text) {
        ServerFrame::Entry(entry) => entry,
        _ => unreachable!(),
    }
}

fn edited(seq: u64, by: u64) -> Entry {
    Entry {
        kind: EntryKind::Text(Text {
            body: Body::inert("new"),
            mentions: Mentions::NONE,
            edited: Some(by),
        }),
        ..plain(seq, "")
    }
}

fn erased(seq: u64, by: u64) -> Entry {
    let tombstone = Tombstone {
        redacted: by,
        by: None,
        kind: None,
    };
    Entry {
        kind: EntryKind::Tombstone(tombstone),
        ..plain(seq, "")
    }
}

fn edit(seq: u64, target: u64) -> ServerFrame {
    ServerFrame::Entry(Entry {
        kind: EntryKind::Edit {
            target: plain(target, "").id,
            body: Some(Body::inert("new")),
            mentions: Mentions::NONE,
        },
        ..plain(seq, "")
    })
}

/// An answer of a log that ends at 20.
fn page(reference: u64, through: u64, more: bool, entries: Vec<Entry>) -> ChangesPage {
    ChangesPage {
        head: PageHead {
            room: RoomId::LOBBY,
            extent: Extent::new(1, 20),
            from: 1,
            to: 20,
            reference: Some(reference),
        },
        through,
        more,
        entries,
    }
}

fn changes(reference: u64, through: u64, more: bool, entries: Vec<Entry>) -> ServerFrame {
    ServerFrame::Changes(page(reference, through, more, entries))
}

/// A welcome to a room that ends at 20, with delivery from `next` on.
fn back(next: u64, changed: u64, redacted: u64) -> Welcome {
    Welcome {
        rooms: vec![RoomStart {
            changed,
            redacted,
            ..lobby(1, 20, next)
        }],
        ..welcome()
    }
}

/// A session that holds messages 1 to 3 and is away.
fn away() -> TestSession {
    let mut run = TestSession::online();
    for seq in 1..=3 {
        run.say(message(seq, "x"));
    }
    run.lose();
    run
}

/// The numbers and bounds of the saved changes.
fn saved(run: &TestSession) -> Vec<(Vec<u64>, u64, u64)> {
    let all = run.disk.saves.iter().flat_map(|save| &save.changes);
    let ours = all.filter_map(|change| match change {
        StoreChange::Changed(changed) => {
            let numbers = changed.entries.iter().map(|entry| entry.seq);
            Some((numbers.collect(), changed.since, changed.folded))
        }
        _ => None,
    });
    ours.collect()
}

#[test]
fn after_a_gap_erased_entries_are_asked_for_first_and_then_all_page_by_page() {
    let mut run = away();
    run.enter(back(19, 18, 12));
    run.events.clear();
    run.wrote(&["erased since 3 to 20"]);
    run.say(changes(1, 10, true, vec![erased(1, 9)]));
    run.told(&["changed [1]"]);
    run.wrote(&["erased since 10 to 20"]);
    run.say(changes(2, 20, false, vec![erased(2, 12)]));
    run.told(&["changed [2]"]);
    run.wrote(&["changes since 3 to 20"]);
    run.say(changes(3, 12, true, vec![erased(1, 9), erased(2, 12)]));
    run.wrote(&["changes since 12 to 20"]);
    run.told(&["changed [1, 2]"]);
    run.say(changes(4, 20, false, vec![edited(3, 18)]));
    run.told(&["changed [3]"]);
    run.wrote(&[]);
    // Only the second kind says how far all entries are known.
    assert_eq!(
        saved(&run),
        [
            (vec![1], 3, 3),
            (vec![2], 3, 3),
            (vec![1, 2], 3, 12),
            (vec![3], 12, 20),
        ]
    );
    // Nothing is missing from here on.
    run.say(message(19, "y"));
    run.say(message(20, "y"));
    run.say(message(21, "y"));
    run.lose();
    run.enter(back(22, 21, 21));
    run.wrote(&[]);
}

#[test]
fn where_nothing_was_erased_only_changes_are_asked_for() {
    let mut run = away();
    run.enter(back(19, 18, 3));
    run.wrote(&["changes since 3 to 20"]);
    run.events.clear();
    run.say(changes(1, 20, false, vec![]));
    run.told(&[]);
}

#[test]
fn nothing_is_asked_for_that_is_delivered_or_not_held_or_unchanged() {
    // Delivered.
    let mut run = away();
    run.enter(back(4, 18, 18));
    run.wrote(&[]);
    // Unchanged.
    let mut run = away();
    run.enter(back(19, 3, 2));
    run.wrote(&[]);
    run.say(message(19, "y"));
    run.lose();
    run.enter(back(20, 19, 19));
    run.wrote(&[]);
    // Not held.
    let mut run = TestSession::new();
    run.enter(back(19, 18, 18));
    run.wrote(&[]);
    // Of another log.
    let mut run = away();
    let mut reset = back(19, 18, 18);
    reset.rooms[0].reset = Some(Reset::Epoch);
    run.enter(reset);
    run.wrote(&[]);
}

#[test]
fn a_cache_of_an_earlier_run_is_brought_up_to_date() {
    // What it saved is folded to an unknown number.
    let (mut run, _) = TestSession::with(away().disk);
    run.enter(back(4, 2, 0));
    run.wrote(&["changes since 0 to 20"]);
    run.say(changes(1, 20, false, vec![]));
    let (mut run, _) = TestSession::with(run.disk);
    run.enter(back(21, 20, 20));
    run.wrote(&[]);
}

#[test]
fn entries_that_arrive_before_the_answer_count() {
    let mut run = away();
    run.enter(back(19, 18, 3));
    run.wrote(&["changes since 3 to 20"]);
    for seq in 19..=22 {
        run.say(message(seq, "y"));
    }
    run.say(changes(1, 20, false, vec![]));
    run.say(message(23, "y"));
    run.lose();
    run.enter(back(24, 23, 23));
    run.wrote(&[]);
}

#[test]
fn an_unanswered_request_is_begun_again_from_what_is_known() {
    let mut run = away();
    run.enter(back(19, 18, 3));
    run.say(changes(1, 10, true, vec![edited(1, 10)]));
    run.wrote(&["changes since 3 to 20", "changes since 10 to 20"]);
    run.lose();
    run.enter(back(19, 18, 3));
    run.wrote(&["changes since 10 to 20"]);
    // Nor does it wait for an answer for ever.
    run.pass(Duration::from_secs(16));
    run.say(changes(3, 20, false, vec![edited(1, 18)]));
    assert!(run.connected);
    run.lose();
    run.enter(back(19, 18, 3));
    run.wrote(&["changes since 10 to 20"]);
}

#[test]
fn changes_that_were_not_saved_are_saved_again() {
    let mut run = away();
    run.enter(back(19, 18, 3));
    run.disk.slow = Some(VecDeque::new());
    run.say(changes(1, 20, false, vec![edited(1, 18)]));
    run.say(message(19, "y"));
    run.disk_fails(SaveError::Failed(Line::inert("the disk is full")));
    assert_eq!(saved(&run), []);
    run.pass(Duration::from_secs(2));
    run.disk_done();
    assert_eq!(saved(&run), [(vec![1], 3, 20)]);
}

#[test]
fn of_changes_that_a_slow_disk_does_not_take_the_oldest_are_let_go_of() {
    let long = Body::inert(&"x".repeat(16 * 1024));
    let mut run = away();
    let mut far = back(2_000, 1_999, 3);
    far.rooms[0].extent = Extent::new(1, 2_000);
    run.enter(far);
    run.disk.slow = Some(VecDeque::new());
    let fit = UNSAVED_BYTES_MAX / (16 * 1024);
    // The first is being saved.
    for count in 1..=fit as u64 + 3 {
        let through = count + 3;
        let kind = EntryKind::Text(Text {
            body: long.clone(),
            mentions: Mentions::NONE,
            edited: Some(through),
        });
        let mut answer = page(
            count,
            through,
            true,
            vec![Entry {
                kind,
                ..plain(1, "")
            }],
        );
        answer.head.extent = Extent::new(1, 2_000);
        run.say(ServerFrame::Changes(answer));
    }
    assert!(run.connected);
    run.disk_done();
    run.disk_done();
    let saved = saved(&run);
    // The second and the third are missing: what follows does not go on from the first.
    assert_eq!(saved.len(), fit + 1);
    assert_eq!((saved[0].1, saved[0].2), (3, 4));
    assert_eq!((saved[1].1, saved[1].2), (6, 7));
}

fn refusal_of(reference: u64, retry_after_ms: Option<u64>) -> ServerFrame {
    ServerFrame::Error(ErrorFrame {
        reference: Some(reference),
        retry_after_ms,
        ..error(ErrorCode::RateLimited, "Slow down")
    })
}

#[test]
fn a_request_that_comes_too_soon_is_tried_again_however_often() {
    let mut run = away();
    run.enter(back(19, 18, 3));
    run.events.clear();
    run.wrote(&["changes since 3 to 20"]);
    for reference in 1..=6 {
        run.say(refusal_of(reference, Some(20_000)));
        run.wrote(&[]);
        run.pass(Duration::from_secs(21));
        let wrote: Vec<_> = run.frames().iter().map(frame_in_short).collect();
        let asked = wrote
            .iter()
            .filter(|frame| *frame == "changes since 3 to 20");
        assert_eq!(asked.count(), 1, "{wrote:?}");
    }
    // The user is told nothing of it.
    run.told(&[]);
    run.say(changes(7, 20, false, vec![edited(1, 18)]));
    run.told(&["changed [1]"]);
}

#[test]
fn a_refused_request_ends_and_the_user_is_told_nothing() {
    let mut run = away();
    run.enter(back(19, 18, 3));
    run.events.clear();
    run.wrote(&["changes since 3 to 20"]);
    run.say(refusal_of(1, None));
    run.told(&[]);
    run.pass(Duration::from_secs(16));
    assert!(run.connected);
}

#[test]
fn it_takes_no_place_of_the_users_requests() {
    let mut run = away();
    run.enter(back(19, 18, 3));
    run.events.clear();
    for _ in 0..REQUESTS_MAX {
        run.command(Command::Page {
            room: RoomId::LOBBY,
            part: Part::Backward { from: 1, to: 3 },
        });
    }
    run.told(&[]);
    run.command(Command::Leave);
    run.pass(Duration::from_secs(1));
    let refused = run
        .events
        .iter()
        .filter(|e| matches!(e, Event::Page { .. }));
    assert_eq!(refused.count(), REQUESTS_MAX);
}

#[test]
fn a_false_answer_ends_the_connection() {
    let right = page(1, 20, false, vec![]);
    let with_extent = |head| PageHead {
        extent: Extent::new(1, head),
        ..right.head.clone()
    };
    let elsewhere = PageHead {
        room: RoomId::parse("tea").unwrap(),
        ..right.head.clone()
    };
    for wrong in [
        page(1, 3, true, vec![]),
        page(1, 21, false, vec![]),
        page(1, 20, false, vec![edited(21, 22)]),
        ChangesPage {
            head: with_extent(19),
            through: 19,
            ..right.clone()
        },
        ChangesPage {
            head: elsewhere,
            ..right.clone()
        },
    ] {
        let mut run = away();
        run.enter(back(19, 18, 3));
        run.say(ServerFrame::Changes(wrong.clone()));
        assert!(!run.connected, "{wrong:?}");
    }
    // An answer to another request is one too; one to none is ignored.
    let mut run = away();
    run.enter(back(19, 18, 3));
    run.say(changes(9, 20, false, vec![]));
    assert!(run.connected);
}

#[test]
fn only_entries_that_count_are_in_the_summary() {
    let mut run = TestSession::online();
    run.say(message(1, "abc"));
    run.say(edit(2, 1));
    let poll = |seq: u64, fields: &str| {
        let entry = plain(seq, "");
        let frame = format!(
            r#"{{"type":"entry","kind":"poll","room":"lobby","seq":{seq},"id":"{}","user":"{}","nickname":"alice","timestamp":"{}"{fields}}}"#,
            entry.id, entry.author.user, entry.time
        );
        ServerFrame::Entry(parse_entry(frame.as_bytes()).unwrap())
    };
    run.say(poll(3, r#","alt":"a poll","counts":true"#));
    run.say(poll(4, r#","alt":"a poll""#));
    run.told(&[
        "1 alice: abc",
        "2 alice: ",
        "3 alice: a poll",
        "4 alice: a poll",
    ]);
    run.command(Command::Leave);
    run.close(&Closed::Lost);
    run.told(&["ended: sent 0/0, received 2/9, unsent 0"]);
}

#[test]
fn an_own_text_that_is_erased_before_its_echo_arrives_is_forgotten() {
    for is_acknowledged in [false, true] {
        let mut run = TestSession::online();
        run.send("secret");
        run.disk.saves.clear();
        if is_acknowledged {
            run.say(stored(1, 1));
        }
        let ServerFrame::Entry(sent) = echo(1, 1, "") else {
            unreachable!()
        };
        let kind = erased(1, 2).kind;
        run.events.clear();
        run.say(ServerFrame::Entry(Entry { kind, ..sent }));
        assert!(run.events.iter().any(|event| matches!(
            event,
            Event::Message(received) if received.local == Some(LocalId(1))
        )));
        let forgotten = StoreChange::Erased("secret".to_owned());
        let mut changes = run.disk.saves.iter().flat_map(|save| &save.changes);
        assert!(changes.any(|change| *change == forgotten));
    }
}

fn of(content: Content) -> Command {
    Command::Send {
        room: RoomId::LOBBY,
        content,
    }
}

fn an_edit() -> Content {
    Content::Edit {
        target: id(1),
        body: Body::inert("new"),
    }
}

fn a_redaction() -> Content {
    Content::Redaction {
        target: id(1),
        reason: None,
    }
}

#[test]
fn edits_and_redactions_go_out_and_come_back_like_texts() {
    let mut run = TestSession::online();
    run.send("a");
    run.command(of(an_edit()));
    run.command(of(a_redaction()));
    run.command(of(a_redaction()));
    run.wrote(&["1 a", "2 new", "3 ", "4 "]);
    run.events.clear();
    run.say(stored(1, 1));
    run.say(stored(2, 2));
    run.say(refusal(3, ErrorCode::Gone, None));
    run.say(ack(4, Outcome::Unchanged));
    run.told(&[
        "local 1 is 1",
        "local 2 is 2",
        "local 3 failed: No",
        "local 4 unchanged",
    ]);
    // Only the text is in the summary, and only the refused one is kept.
    let kept = run.disk.kept().outbox.entries;
    let contents: Vec<_> = kept.iter().map(|entry| &entry.content).collect();
    assert_eq!(contents, [&a_redaction()]);
    run.command(Command::Leave);
    run.close(&Closed::Lost);
    run.told(&["ended: sent 1/1, received 0/0, unsent 0"]);
}

#[test]
fn an_edit_without_an_answer_goes_again_under_the_same_id_after_a_restart() {
    let mut run = TestSession::online();
    run.command(of(an_edit()));
    run.wrote(&["1 new"]);
    let (mut run, restored) = TestSession::with(run.disk);
    assert_eq!(restored[0].content, an_edit());
    run.enter(welcome());
    let frames = run.frames();
    let [ClientFrame::Submit(submission)] = frames.as_slice() else {
        panic!("{frames:?}");
    };
    assert_eq!(submission.id, Some(id(1)));
    assert_eq!(submission.content, Ok(an_edit()));
}

#[test]
fn a_server_without_a_capability_is_not_sent_what_needs_it() {
    let mut run = TestSession::new();
    run.command(of(an_edit()));
    run.command(of(a_redaction()));
    run.send("a");
    run.events.clear();
    let can = Capabilities {
        edit: false,
        redact: true,
        rooms: true,
    };
    run.enter(Welcome { can, ..welcome() });
    run.told(&[
        "online",
        "entered as carol",
        "#lobby from 1",
        "local 1 failed: This server can't change messages that were sent",
    ]);
    run.wrote(&["1 ", "2 a"]);
    run.command(of(an_edit()));
    run.told(&["local 4 failed: This server can't change messages that were sent"]);
    run.wrote(&[]);
    // The content is kept, and can be sent to a server that takes it.
    run.lose();
    run.enter(Welcome {
        counter: 2,
        ..welcome()
    });
    run.frames();
    run.command(Command::SendAgain(LocalId(1)));
    run.wrote(&["3 new"]);
}

#[test]
fn a_legacy_server_gets_texts_only() {
    let mut run = TestSession::new();
    run.command(of(an_edit()));
    run.send("a");
    run.reach();
    run.written.clear();
    run.time();
    run.events.clear();
    // It may be a slow server that takes the edit after all.
    run.pass(Duration::from_secs(5));
    assert!(run.written.is_empty());
    // A new one is refused at once.
    run.command(of(a_redaction()));
    let why = "This older server can't change messages that were sent";
    run.told(&[&format!("local 3 failed: {why}")]);
    run.say_bytes(br#"{"type":"error","message":"Hm"}"#);
    run.told(&[
        "legacy",
        &format!("local 1 failed: {why}"),
        "notice: Hm",
        "local 2 unconfirmed",
    ]);
    let written = String::from_utf8(std::mem::take(&mut run.written)).unwrap();
    assert!(written.contains(r#""message":"a""#), "{written}");
    assert!(!written.contains("new"), "{written}");
}

#[test]
fn the_echo_of_an_edit_that_another_process_sent_is_this_runs() {
    let (mut run, _) = TestSession::with(Disk {
        yields: true,
        standby: true,
        ..Disk::default()
    });
    run.command(of(an_edit()));
    run.disk.leased = LeaseStatus {
        ours: true,
        outbox: Some(PersistedOutbox::default()),
        settled: vec![(1, Delivery::Sent { seq: Some(4) })],
        ..LeaseStatus::default()
    };
    run.time();
    run.enter(Welcome {
        counter: 2,
        rooms: vec![lobby(1, 3, 4)],
        ..welcome()
    });
    run.events.clear();
    let ServerFrame::Entry(sent) = echo(4, 2, "") else {
        unreachable!()
    };
    let Content::Edit { target, body } = an_edit() else {
        unreachable!()
    };
    let kind = EntryKind::Edit {
        target,
        body: Some(body),
        mentions: Mentions::NONE,
    };
    run.say(ServerFrame::Entry(Entry { kind, ..sent }));
    run.told(&["4 carol:  =local 1"]);
}
