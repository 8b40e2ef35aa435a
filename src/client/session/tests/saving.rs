use crate::protocol::{Content, EntryKind, MessageId};
use crate::text::Body;
use std::collections::VecDeque;

use super::*;
use crate::client::session::persist_types::{OutboxEntry, PersistedOutbox, SaveError, StoreChange};

impl TestSession {
    /// A session on a slow disk.
    fn slow() -> Self {
        let mut run = Self::online();
        run.disk.slow = Some(VecDeque::new());
        run
    }

    /// Makes the disk carry out one save.
    pub(super) fn disk_done(&mut self) {
        let slow = self.disk.slow.as_mut().expect("a slow disk");
        let save = slow.pop_front().expect("a save");
        self.disk.saves.push(save);
        let now = self.now();
        self.session.handle_saved(now, Ok(()));
        self.settle();
    }

    pub(super) fn disk_fails(&mut self, error: SaveError) {
        self.disk.slow.as_mut().unwrap().pop_front().unwrap();
        let now = self.now();
        self.session.handle_saved(now, Err(error));
        self.settle();
    }

    /// The changes of the current save, in short.
    fn saving(&self) -> Vec<String> {
        let slow = self.disk.slow.as_ref().unwrap();
        let saves = slow.iter().flat_map(|save| &save.changes);
        saves.map(in_short).collect()
    }
}

fn in_short(change: &StoreChange) -> String {
    match change {
        StoreChange::Entry(entry) => {
            let counter = entry.counter.map_or("-".to_owned(), |c| c.to_string());
            let failed = entry.failed.as_ref().map_or("", |_| " failed");
            format!("{} as {counter}{failed}", entry.content.words())
        }
        StoreChange::Remove(key) => format!("not {key}"),
        StoreChange::TakeBack(key) => format!("back {key}"),
        StoreChange::NextCounter(next) => format!("next {next}"),
        StoreChange::Room { start, .. } => format!("#{}", start.room),
        StoreChange::Entries(run) => {
            let numbers: Vec<_> = run.entries.iter().map(|m| m.seq.to_string()).collect();
            format!("messages {}", numbers.join(" "))
        }
        StoreChange::Changed(changed) => {
            let numbers: Vec<_> = changed.entries.iter().map(|m| m.seq.to_string()).collect();
            format!("changed {} to {}", numbers.join(" "), changed.folded)
        }
        StoreChange::Read { marker, .. } => format!("read {}", marker.seq),
        StoreChange::RoomInfo { .. } => "info".to_owned(),
        StoreChange::RoomLeft(room) => format!("left {room}"),
        StoreChange::Draft { text, .. } => format!("draft {text}"),
        StoreChange::Typed(text) => format!("typed {text}"),
        StoreChange::Erased(text) => format!("erased {text}"),
        StoreChange::User(user) => format!("user {user}"),
        StoreChange::Settled { key, delivery } => format!("{key} is {delivery:?}"),
        StoreChange::Submit {
            number, content, ..
        } => format!("submit {number} {}", content.words()),
    }
}

fn full() -> SaveError {
    SaveError::Failed(Line::inert("the disk is full"))
}

fn entry(key: u64, text: &str, counter: Option<u64>) -> OutboxEntry {
    OutboxEntry {
        key,
        number: None,
        room: RoomId::LOBBY,
        enter: None,
        content: Content::Text(Body::parse(text).unwrap()),
        counter,
        withdrawn: false,
        unconfirmed: false,
        failed: None,
    }
}

#[test]
fn a_message_is_pending_once_saved_and_leaves_once_its_counter_is() {
    let mut run = TestSession::slow();
    run.send("a");
    assert_eq!(run.saving(), ["a as 1", "next 2"]);
    run.told(&[]);
    run.wrote(&[]);
    run.disk_done();
    run.told(&["local 1 pending"]);
    run.wrote(&["1 a"]);
}

#[test]
fn another_processs_message_is_not_taken_for_one_whose_counter_is_not_saved() {
    let mut run = TestSession::slow();
    run.send("a");
    assert_eq!(run.saving(), ["a as 1", "next 2"]);
    run.say(echo(1, 1, "somebody else's"));
    run.told(&["1 carol: somebody else's"]);
    run.disk_done();
    run.told(&["local 1 pending"]);
}

#[test]
fn messages_typed_during_a_save_go_into_one_save() {
    let mut run = TestSession::slow();
    for text in ["a", "b", "c"] {
        run.send(text);
    }
    run.disk_done();
    assert_eq!(run.saving(), ["b as 2", "c as 3", "next 4"]);
    run.disk_done();
    run.told(&["local 1 pending", "local 2 pending", "local 3 pending"]);
    run.wrote(&["1 a", "2 b", "3 c"]);
}

#[test]
fn offline_no_counter_is_used_and_online_it_is_saved_before_it_leaves() {
    let mut run = TestSession::new();
    run.send("a");
    run.told(&["connecting", "local 1 pending"]);
    run.disk.slow = Some(VecDeque::new());
    run.enter(Welcome {
        counter: 6,
        ..welcome()
    });
    run.wrote(&[]);
    assert_eq!(run.saving(), ["a as 7", "next 8", "#lobby"]);
    run.disk_done();
    run.wrote(&["7 a"]);
}

#[test]
fn a_message_that_can_not_be_saved_fails_and_uses_no_counter() {
    let mut run = TestSession::slow();
    run.send("a");
    run.send("b");
    run.disk_fails(full());
    run.told(&["local 1 failed: It could not be saved here: the disk is full"]);
    run.disk_fails(full());
    run.told(&["local 2 failed: It could not be saved here: the disk is full"]);
    run.wrote(&[]);
    run.command(Command::SendAgain(LocalId(2)));
    run.disk_done();
    run.told(&["local 2 pending"]);
    run.wrote(&["1 b"]);
}

#[test]
fn a_failed_message_is_kept_until_it_is_sent_again_or_let_go_of() {
    let mut run = TestSession::online();
    run.send("bad");
    run.say(refusal(1, ErrorCode::BadText, None));
    let (mut run, outbox) = TestSession::with(run.disk);
    assert_eq!(outbox.len(), 1);
    assert!(matches!(outbox[0].delivery, Delivery::Failed { .. }));
    run.command(Command::SendAgain(outbox[0].local));
    let (mut run, outbox) = TestSession::with(run.disk);
    assert_eq!(outbox[0].delivery, Delivery::Pending);
    run.command(Command::Withdraw(outbox[0].local));
    assert_eq!(TestSession::with(run.disk).1, []);
}

#[test]
fn a_message_withdrawn_before_it_was_saved_leaves_nothing() {
    let mut run = TestSession::new();
    run.disk.slow = Some(VecDeque::new());
    run.send("a");
    run.send("b");
    run.command(Command::Withdraw(LocalId(1)));
    run.disk_done();
    assert_eq!(run.saving(), ["back 1", "b as -"]);
}

#[test]
fn a_message_is_taken_back_once_the_disk_has_let_go_of_it() {
    let mut run = TestSession::new();
    run.send("a");
    run.disk.slow = Some(VecDeque::new());
    run.events.clear();
    run.command(Command::Withdraw(LocalId(1)));
    assert_eq!(run.saving(), ["back 1"]);
    assert!(run.disk.slow.as_ref().unwrap()[0].is_durable());
    run.told(&[]);
    run.disk_fails(full());
    run.events.clear();
    run.time();
    assert_eq!(run.saving(), ["back 1"], "once more");
    run.disk_done();
    run.told(&["local 1 withdrawn"]);
}

#[test]
fn a_message_withdrawn_too_late_for_the_disk_is_pending_with_the_other_process() {
    let left = |entries| {
        Some(PersistedOutbox {
            next_counter: 1,
            next_key: 2,
            entries,
        })
    };
    for (entries, told) in [
        (vec![entry(1, "a", None)], &["connecting"][..]),
        (vec![], &["local 1 settled elsewhere", "connecting"]),
    ] {
        let mut run = TestSession::new();
        run.send("a");
        run.disk.slow = Some(VecDeque::new());
        run.events.clear();
        run.command(Command::Withdraw(LocalId(1)));
        run.disk_fails(SaveError::Lost);
        let why = "Another terminal took over: it joined with the same client ID";
        run.told(&[
            "notice: Another terminal has the message that you withdrew, and will send it",
            "local 1 pending",
            &format!("stopped: {why}"),
        ]);
        run.disk.slow = None;
        run.disk.left = left(entries);
        run.command(Command::RetryNow);
        run.told(told);
    }
}

#[test]
fn messages_are_saved_as_they_come_and_the_next_start_goes_on_behind_them() {
    let mut run = TestSession::slow();
    run.say(message(1, "a"));
    run.say(message(2, "b"));
    run.say(message(3, "c"));
    assert_eq!(run.saving(), ["messages 1"]);
    run.disk_done();
    assert_eq!(run.saving(), ["messages 2 3"]);
    // It ends before the second save.
    let (mut run, _) = TestSession::with(Disk {
        saves: run.disk.saves,
        ..Disk::default()
    });
    run.open();
    let join = run.join();
    assert_eq!(join.epoch, Some(welcome().epoch));
    assert_eq!(join.rooms[0].seq, 1);
    assert!(join.rooms[0].id.is_some());
}

#[test]
fn of_messages_that_a_slow_disk_does_not_take_the_oldest_are_let_go_of() {
    use crate::client::session::write_buffer::UNSAVED_BYTES_MAX;
    let long = "x".repeat(16 * 1024);
    let fit = (UNSAVED_BYTES_MAX / long.len()) as u64;
    for (more, first_kept) in [(0, 2), (1, 2 + (fit + 1).div_ceil(2))] {
        let mut run = TestSession::slow();
        for seq in 1..=1 + fit + more {
            run.say(message(seq, &long));
        }
        run.disk.saves.clear();
        run.disk_done();
        run.disk_done();
        let kept = run.disk.kept_numbers();
        // The first was being saved.
        assert_eq!(kept[..2], [1, first_kept]);
        assert_eq!(kept.last(), Some(&(1 + fit + more)));
    }
}

#[test]
fn of_cursors_and_drafts_only_the_latest_is_saved() {
    let mut run = TestSession::online();
    for seq in 1..4 {
        run.say(message(seq, "x"));
    }
    run.disk.slow = Some(VecDeque::new());
    let room = RoomId::LOBBY;
    run.command(Command::Typed("hi".to_owned()));
    for seq in 1..4 {
        run.command(Command::MarkRead { room, seq });
        let text = format!("draft {seq}");
        run.command(Command::Draft { room, text });
    }
    run.disk_done();
    assert_eq!(run.saving(), ["read 3", "draft draft 3"]);
}

#[test]
fn a_read_position_beyond_the_log_belongs_to_another_log() {
    let mut run = TestSession::online();
    run.say(message(1, "x"));
    run.disk.slow = Some(VecDeque::new());
    let room = RoomId::LOBBY;
    run.command(Command::MarkRead { room, seq: 5000 });
    assert_eq!(run.saving(), [""; 0]);
}

#[test]
fn a_disk_that_fails_is_told_of_once_and_tried_again() {
    let mut run = TestSession::slow();
    run.say(message(1, "a"));
    run.events.clear();
    run.disk_fails(full());
    run.told(&["notice: New messages are not being saved on this machine: the disk is full"]);
    run.say(message(2, "b"));
    run.events.clear();
    assert_eq!(run.saving(), [""; 0], "not at once");
    run.time();
    assert_eq!(run.saving(), ["messages 2"]);
    run.disk_fails(full());
    run.told(&[]);
}

#[test]
fn what_entries_change_on_a_disk_that_fails_is_changed_later() {
    let mut run = TestSession::slow();
    run.say(message(1, "a"));
    run.disk_done();
    let ServerFrame::Entry(mut erasure) = message(2, "") else {
        unreachable!("an entry")
    };
    erasure.kind = EntryKind::Redaction {
        target: MessageId {
            counter: 1,
            ..erasure.id
        },
        reason: None,
    };
    run.say(ServerFrame::Entry(erasure));
    run.say(message(3, "c"));
    assert_eq!(run.saving(), ["messages 2"]);
    run.disk_fails(full());
    run.time();
    assert_eq!(run.saving(), ["changed 2 to 0", "messages 3"]);
    run.disk_fails(full());
    run.time();
    assert_eq!(run.saving(), ["changed 2 to 0"]);
}

#[test]
fn leaving_waits_for_the_disk_and_not_for_ever() {
    let draft = || Command::Draft {
        room: RoomId::LOBBY,
        text: "later".to_owned(),
    };
    let mut run = TestSession::slow();
    run.lose();
    run.command(draft());
    run.command(Command::Leave);
    run.told(&[]);
    run.disk_done();
    run.told(&["ended: sent 0/0, received 0/0, unsent 0"]);

    let mut run = TestSession::slow();
    run.lose();
    run.command(draft());
    run.command(Command::Leave);
    let before = run.elapsed;
    run.time();
    assert_eq!(run.since(before), Duration::from_millis(700));
    run.told(&["ended: sent 0/0, received 0/0, unsent 0"]);
}

#[test]
fn answers_of_the_disk_after_the_end_are_not_reported() {
    let mut run = TestSession::slow();
    run.send("a");
    run.command(Command::Leave);
    run.command(Command::Leave);
    run.told(&["ended: sent 0/0, received 0/0, unsent 1"]);
    run.disk_done();
    run.told(&[]);
}

#[test]
fn the_last_word_goes_out_before_the_goodbye() {
    let mut run = TestSession::slow();
    run.send("bye all");
    run.command(Command::Leave);
    run.wrote(&[]);
    run.disk_done();
    run.wrote(&["1 bye all", "disconnect"]);
}

#[test]
fn a_session_that_lost_the_lease_stops_and_takes_it_back_on_demand() {
    let mut run = TestSession::online();
    run.send("mine");
    run.frames();
    run.disk.slow = Some(VecDeque::new());
    run.send("too late");
    run.events.clear();
    run.disk_fails(SaveError::Lost);
    let why = "Another terminal took over: it joined with the same client ID";
    run.told(&[&format!("stopped: {why}")]);
    assert!(!run.connected);
    // Messages typed too late for this process are submitted to the other one.
    assert_eq!(run.saving(), ["submit 2 too late"]);
    run.disk_done();
    run.told(&["local 2 pending"]);

    // The other one has sent ours, and typed one of its own.
    run.disk.slow = None;
    run.disk.left = Some(PersistedOutbox {
        next_counter: 3,
        next_key: 10,
        entries: vec![
            entry(8, "its own", Some(2)),
            OutboxEntry {
                number: Some(2),
                ..entry(9, "too late", None)
            },
        ],
    });
    run.command(Command::RetryNow);
    run.told(&[
        "local of others 0 pending",
        "local 1 settled elsewhere",
        "connecting",
    ]);
    let join = run.enter(Welcome {
        counter: 1,
        ..welcome()
    });
    assert_eq!(join.next, Some(2));
    run.wrote(&["2 its own", "3 too late"]);
}

/// A session that sent a message and lost the lease before that was saved; the other process has
/// the message as pending.
fn sent_and_taken_over(settled: ServerFrame) -> TestSession {
    let mut run = TestSession::online();
    run.send("mine");
    run.frames();
    run.disk.slow = Some(VecDeque::new());
    run.say(settled);
    run.disk_fails(SaveError::Lost);
    run.events.clear();
    run.disk.slow = None;
    run.disk.left = Some(PersistedOutbox {
        next_counter: 2,
        next_key: 2,
        entries: vec![entry(1, "mine", Some(1))],
    });
    run
}

#[test]
fn a_message_whose_leaving_the_disk_has_not_heard_of_stays_sent() {
    // Its echo is far behind, or has arrived.
    for settled in [stored(1, 1), echo(1, 1, "mine")] {
        let mut run = sent_and_taken_over(settled);
        run.command(Command::RetryNow);
        run.told(&["connecting"]);
        let gone = run.disk.saves.iter().flat_map(|save| &save.changes);
        assert!(
            gone.into_iter()
                .any(|change| *change == StoreChange::Remove(1))
        );
        run.enter(Welcome {
            counter: 1,
            ..welcome()
        });
        run.wrote(&[]);
    }
}

#[test]
fn a_message_that_was_sent_keeps_its_place_until_its_echo_comes() {
    let mut run = sent_and_taken_over(stored(1, 1));
    run.command(Command::RetryNow);
    run.enter(Welcome {
        counter: 1,
        ..welcome()
    });
    run.events.clear();
    run.say(echo(1, 1, "mine"));
    run.told(&["1 carol: mine =local 1"]);
}

#[test]
fn a_message_that_was_sent_is_not_settled_elsewhere_however_often_the_lease_is_lost() {
    let mut run = sent_and_taken_over(stored(1, 1));
    run.disk.slow = Some(VecDeque::new());
    run.command(Command::RetryNow);
    run.disk_fails(SaveError::Lost);
    run.events.clear();
    // By now the other one has sent it as well.
    run.disk.slow = None;
    run.disk.left = Some(PersistedOutbox {
        next_counter: 2,
        next_key: 2,
        entries: Vec::new(),
    });
    run.command(Command::RetryNow);
    run.told(&["connecting"]);
}

#[test]
fn a_message_that_was_never_on_disk_removes_no_other_process_s_message() {
    let mut run = TestSession::online();
    run.disk.slow = Some(VecDeque::new());
    run.send("mine");
    run.command(Command::Withdraw(LocalId(1)));
    run.disk_fails(SaveError::Lost);
    run.events.clear();
    // The other one has given the same key to a message of its own.
    run.disk.slow = None;
    run.disk.left = Some(PersistedOutbox {
        next_counter: 2,
        next_key: 2,
        entries: vec![entry(1, "its own", Some(1))],
    });
    run.command(Command::RetryNow);
    run.told(&["local of others 0 pending", "connecting"]);
}

#[test]
fn a_disk_that_does_not_give_the_lease_back_says_why() {
    let mut run = TestSession::online();
    run.say(bye(Departure::Replaced, None));
    run.events.clear();
    // As far as is known, no other process has changed our outbox.
    run.command(Command::RetryNow);
    run.told(&["connecting"]);
}

/// A server that settles counters in order, and the messages that it got.
#[derive(Default)]
struct Far {
    log: Vec<String>,
    settled: u64,
}

impl Far {
    /// Takes written frames; returns the answers.
    fn take(&mut self, frames: Vec<ClientFrame>) -> Vec<ServerFrame> {
        frames
            .into_iter()
            .filter_map(|frame| self.frame(frame))
            .collect()
    }

    fn frame(&mut self, frame: ClientFrame) -> Option<ServerFrame> {
        let (counter, text) = match frame {
            ClientFrame::Submit(submission) => {
                let text = submission.content.unwrap().words().to_owned();
                (submission.id.unwrap().counter, Some(text))
            }
            ClientFrame::Withdraw { id } => (id.counter, None),
            _ => return None,
        };
        if counter <= self.settled {
            return Some(ack(counter, Outcome::Settled));
        }
        assert_eq!(counter, self.settled + 1, "a hole before {text:?}");
        self.settled = counter;
        let Some(text) = text else {
            return Some(ack(counter, Outcome::Withdrawn));
        };
        self.log.push(text.clone());
        Some(echo(self.log.len() as u64, counter, &text))
    }

    fn lets_in(&self, run: &mut TestSession) {
        run.open();
        let join = run.join();
        let head = self.log.len() as u64;
        let after = join.rooms.first().map_or(head, |position| position.seq);
        run.say(ServerFrame::Welcome(Welcome {
            counter: self.settled,
            rooms: vec![lobby(1, head, after + 1)],
            ..welcome()
        }));
        for seq in after + 1..=head {
            let text = &self.log[usize::try_from(seq).unwrap() - 1];
            run.say(message(seq, text));
        }
    }

    fn hears(&mut self, run: &mut TestSession) {
        let frames = run.frames();
        for answer in self.take(frames) {
            run.say(answer);
        }
    }
}

/// Types, joins, loses the connection, withdraws a message, and joins again.
fn live(run: &mut TestSession, far: &mut Far) {
    run.send("a");
    run.send("b");
    far.lets_in(run);
    far.hears(run);
    run.send("c");
    // The answers to this never arrive.
    let lost = run.frames();
    far.take(lost);
    run.close(&Closed::Lost);
    run.written.clear();
    run.send("d");
    run.send("e");
    run.command(Command::Withdraw(LocalId(5)));
    run.wait_for_connect();
    far.lets_in(run);
    run.send("f");
    far.hears(run);
    run.send("g");
}

#[test]
fn a_crash_after_any_save_loses_nothing_pending_and_sends_nothing_twice() {
    for saves in 0..=40 {
        let mut far = Far::default();
        let (mut run, _) = TestSession::with(Disk {
            dies_after: Some(saves),
            ..Disk::default()
        });
        live(&mut run, &mut far);
        let told: Vec<_> = run
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Outbox(OutboxMessage {
                    content,
                    delivery: Delivery::Pending,
                    ..
                }) => Some(content.words().to_owned()),
                _ => None,
            })
            .collect();
        // Bytes on the wire when it died may still arrive.
        let last = run.frames();
        far.take(last);

        let (mut run, _) = TestSession::with(Disk {
            saves: run.disk.saves,
            ..Disk::default()
        });
        far.lets_in(&mut run);
        for _ in 0..5 {
            far.hears(&mut run);
        }
        run.command(Command::Leave);
        let unsent = |event: &Event| matches!(event, Event::Ended(summary) if summary.unsent > 0);
        run.say(bye(Departure::Disconnect, None));
        assert!(!run.events.iter().any(unsent), "after {saves}: not drained");
        let due: Vec<_> = told.into_iter().filter(|text| text != "e").collect();
        let sent: Vec<_> = far
            .log
            .iter()
            .filter(|text| *text != "e")
            .cloned()
            .collect();
        let doubled = far.log.len()
            - far
                .log
                .iter()
                .collect::<std::collections::BTreeSet<_>>()
                .len();
        assert_eq!(doubled, 0, "after {saves}: {:?}", far.log);
        assert_eq!(sent, due, "after {saves}");
    }
}
