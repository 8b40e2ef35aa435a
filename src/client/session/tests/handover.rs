//! Several processes with one client ID: one without the outbox submits messages to the one that
//! has it.

use super::*;
use crate::client::session::persist_types::{LeaseStatus, OutboxEntry, PersistedOutbox, SaveError};
use crate::protocol::Content;
use crate::text::Body;

/// A message that another process typed; the disk assigns its key.
fn submitted(text: &str, room: &str) -> OutboxEntry {
    OutboxEntry {
        key: 0,
        number: None,
        room: RoomId::parse(room).unwrap(),
        enter: RoomName::parse(room)
            .ok()
            .filter(|name| *name != RoomName::lobby()),
        content: Content::Text(Body::parse(text).unwrap()),
        counter: None,
        withdrawn: false,
        unconfirmed: false,
        failed: None,
    }
}

/// A session that starts on standby.
fn on_standby() -> TestSession {
    let (run, restored) = TestSession::with(Disk {
        yields: true,
        standby: true,
        ..Disk::default()
    });
    assert!(restored.is_empty());
    run
}

impl TestSession {
    /// Waits until the session queries the disk again.
    fn asks_again(&mut self) {
        let at = self.session.deadline().expect("it asks again");
        self.elapsed = self.elapsed.max(at);
        self.time();
    }
}

#[test]
fn a_session_on_standby_does_not_connect_and_submits_its_messages() {
    let mut run = on_standby();
    run.told(&["standby"]);
    assert!(!run.connected);
    run.send("a");
    run.send("b");
    run.told(&["local 1 pending", "local 2 pending"]);
    run.disk.leased = LeaseStatus {
        settled: vec![
            (1, Delivery::Sent { seq: Some(7) }),
            (
                2,
                Delivery::Failed {
                    why: Line::inert("No"),
                },
            ),
        ],
        ..LeaseStatus::default()
    };
    run.asks_again();
    run.told(&["local 1 is 7", "local 2 failed: No"]);
    assert!(!run.connected);
    run.command(Command::Leave);
    run.told(&["ended: sent 1/1, received 0/0, unsent 0"]);
}

#[test]
fn when_the_other_has_ended_its_place_is_taken_with_all_that_is_there() {
    let mut run = on_standby();
    run.send("ours");
    run.events.clear();
    let entry = |key, number, text: &str| OutboxEntry {
        key,
        number,
        ..submitted(text, "lobby")
    };
    run.disk.leased = LeaseStatus {
        ours: true,
        outbox: Some(PersistedOutbox {
            next_counter: 5,
            next_key: 9,
            entries: vec![entry(7, None, "theirs"), entry(8, Some(1), "ours")],
        }),
        ..LeaseStatus::default()
    };
    run.asks_again();
    run.told(&["local of others 0 pending", "connecting"]);
    run.enter(Welcome {
        counter: 4,
        ..welcome()
    });
    run.wrote(&["5 theirs", "6 ours"]);
    run.events.clear();
    run.say(echo(1, 5, "theirs"));
    run.say(echo(2, 6, "ours"));
    run.told(&[
        "1 carol: theirs =local of others 0",
        "local of others 0 is 1",
        "2 carol: ours =local 1",
        "local 1 is 2",
    ]);
    // The run that typed the message is told.
    let saved = run.disk.saves.iter().flat_map(|save| &save.changes);
    let told = |change: &&StoreChange| matches!(change, StoreChange::Settled { .. });
    let told: Vec<_> = saved.filter(told).collect();
    let delivery = Delivery::Sent { seq: Some(1) };
    assert_eq!(told, [&StoreChange::Settled { key: 7, delivery }]);
}

#[test]
fn submitted_messages_are_sent_behind_those_typed_before() {
    let mut run = TestSession::online();
    run.send("one");
    run.disk.submitted = vec![submitted("two", "lobby")];
    run.session.handle_store_news();
    run.settle();
    run.send("three");
    run.wrote(&["1 one", "2 two", "3 three"]);
    run.told(&[
        "local 1 pending",
        "local of others 0 pending",
        "local 2 pending",
    ]);
    // A permanent refusal is reported to the process that typed the message.
    run.say(refusal(2, ErrorCode::BadText, None));
    let saved = run.disk.saves.iter().flat_map(|save| &save.changes);
    let failed = saved.filter(|change| {
        matches!(
            change,
            StoreChange::Settled {
                delivery: Delivery::Failed { .. },
                ..
            }
        )
    });
    assert_eq!(failed.count(), 1);
}

#[test]
fn a_message_for_another_room_leads_to_another_join() {
    let mut run = TestSession::online();
    run.disk.submitted = vec![submitted("to build", "build")];
    run.session.handle_store_news();
    run.settle();
    run.told(&["local of others 0 pending", "connecting"]);
    run.open();
    let rooms: Vec<_> = run.join().enter.iter().map(RoomName::to_string).collect();
    assert_eq!(rooms, ["lobby", "build"]);
}

#[test]
fn a_session_that_is_taken_over_submits_and_returns_when_it_may() {
    let (mut run, _) = TestSession::with(Disk {
        yields: true,
        ..Disk::default()
    });
    run.open();
    run.say(ServerFrame::Welcome(welcome()));
    run.frames();
    run.events.clear();
    run.say(bye(Departure::Replaced, None));
    run.told(&["standby"]);
    run.send("still here");
    run.told(&["local 1 pending"]);
    run.disk.leased = LeaseStatus {
        ours: true,
        outbox: Some(PersistedOutbox {
            next_counter: 1,
            next_key: 2,
            entries: vec![OutboxEntry {
                key: 1,
                number: Some(1),
                ..submitted("still here", "lobby")
            }],
        }),
        ..LeaseStatus::default()
    };
    run.asks_again();
    run.told(&["connecting"]);
    run.enter(welcome());
    run.wrote(&["1 still here"]);
}

#[test]
fn a_session_replaced_from_another_disk_does_not_fight() {
    let (mut run, _) = TestSession::with(Disk {
        yields: true,
        ..Disk::default()
    });
    run.open();
    run.say(ServerFrame::Welcome(welcome()));
    run.frames();
    run.events.clear();
    run.say(bye(Departure::Replaced, None));
    run.told(&["standby"]);
    run.disk.leased = LeaseStatus {
        ours: true,
        unbroken: true,
        ..LeaseStatus::default()
    };
    run.asks_again();
    run.told(&["stopped: Another terminal took over: it joined with the same client ID"]);
    assert!(!run.connected);
}

#[test]
fn messages_typed_after_a_takeover_are_submitted_and_can_not_be_withdrawn() {
    let mut run = TestSession::online();
    run.say(bye(Departure::Replaced, None));
    run.events.clear();
    run.send("typed all the same");
    run.told(&["local 1 pending"]);
    run.command(Command::Withdraw(LocalId(1)));
    run.told(&[
        "notice: Another terminal has the message that you withdrew, and will send it",
        "local 1 pending",
    ]);
    assert!(!run.connected, "it does not come back by itself");
    run.disk.leased.settled = vec![(1, Delivery::Sent { seq: Some(3) })];
    run.asks_again();
    run.told(&["local 1 is 3"]);
    assert_eq!(run.session.deadline(), None, "nothing is left to be asked");
}

#[test]
fn a_disk_that_takes_nothing_for_the_other_either_is_told() {
    let mut run = on_standby();
    run.events.clear();
    run.disk.slow = Some(VecDeque::new());
    run.send("a");
    run.disk_fails(SaveError::Failed(Line::inert("the disk is full")));
    run.told(&["local 1 failed: It could not be saved here: the disk is full"]);
}
