//! Tests of the effects that erasing old messages has on connected and joining clients.

use std::{num::NonZeroU64, time::Duration};

use crate::{
    protocol::{
        ClientFrame, RoomId,
        frame::{HistoryRequest, Join, Part, Position},
    },
    server::{
        core::{
            hub::Keep,
            log_event::LogEvent,
            replica::ReplicaLimits,
            testing::{World, join, message},
        },
        log::{MemoryLimits, StoreError},
    },
};

const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

fn keeping(days: u64, messages: u64) -> World {
    let keep = Keep {
        days: NonZeroU64::new(days),
        messages: NonZeroU64::new(messages),
        bytes: None,
    };
    let mut world = World::keeping(keep, 10, ReplicaLimits::default(), MemoryLimits::default());
    world.join("alice");
    world
}

fn say(world: &mut World, counters: std::ops::RangeInclusive<u64>) {
    for counter in counters {
        world.say("alice", &message("alice", counter, "x"));
    }
    world.hears("alice");
}

/// Lets time pass, in steps in which all clients give signs of life.
fn pass(world: &mut World, time: Duration) {
    let step = MINUTE / 6;
    for _ in 0..time.as_secs() / step.as_secs() {
        world.advance(step);
        let names: Vec<_> = world.clients.keys().copied().collect();
        for name in names {
            world.say(name, &ClientFrame::Pong { reference: None });
        }
    }
}

fn page(from: u64, to: u64) -> ClientFrame {
    ClientFrame::History(HistoryRequest {
        room: RoomId::LOBBY,
        part: Part::Forward { from, to },
        reference: None,
    })
}

fn erased(world: &World) -> Vec<(u64, u64)> {
    let erased = |record: &LogEvent| match record {
        LogEvent::Erased { from, to, .. } => Some((*from, *to)),
        _ => None,
    };
    world.records.iter().filter_map(erased).collect()
}

#[test]
fn of_more_messages_than_are_kept_the_oldest_go_and_all_are_told_where_history_begins() {
    let mut world = keeping(0, 3);
    say(&mut world, 1..=5);
    assert_eq!(world.say("alice", &page(1, 9)), ["history 1..=5 of 1..=5"]);
    pass(&mut world, 2 * MINUTE);
    assert_eq!(erased(&world), [(1, 2)]);
    assert_eq!(world.say("alice", &page(1, 9)), ["history 3..=5 of 3..=5"]);
    assert_eq!(
        world.join("bob"),
        [
            "welcome bob, counter 0, 3..=5, next 3",
            "members alice bob",
            "3 alice: x",
            "4 alice: x",
            "5 alice: x"
        ]
    );
    // New messages continue the numbers.
    world.hears("alice");
    assert_eq!(
        world.say("alice", &message("alice", 6, "x")),
        ["6 alice: x"]
    );
}

#[test]
fn a_client_that_resumes_at_erased_messages_sees_the_gap() {
    let mut world = keeping(0, 2);
    say(&mut world, 1..=5);
    pass(&mut world, 2 * MINUTE);
    let position = |seq| Join {
        epoch: Some(world.hub.epoch),
        rooms: vec![Position {
            room: RoomId::LOBBY,
            seq,
            id: None,
        }],
        ..join("bob")
    };
    let (inside, edge) = (position(1), position(3));
    assert_eq!(
        world.join_as("bob", inside)[0],
        "welcome bob, counter 0, 4..=5, next 4"
    );
    assert_eq!(
        world.join_as("bob", edge)[0],
        "welcome bob, counter 0, 4..=5, next 4"
    );
}

#[test]
fn a_client_that_reads_erased_messages_is_closed_and_resumes() {
    let mut world = keeping(0, 2);
    world.join("sleeper");
    world.client("sleeper").window = 0;
    say(&mut world, 1..=5);
    world.advance(MINUTE);
    world.client("sleeper").window = usize::MAX;
    world.run();
    let heard = world.hears("sleeper");
    // It got nothing out of order, and nothing erased.
    assert_eq!(
        heard.last().map(String::as_str),
        Some("closed"),
        "{heard:?}"
    );
    assert!(
        !heard.iter().any(|said| said.contains("alice: x")),
        "{heard:?}"
    );
    assert_eq!(
        world.join("sleeper")[0],
        "welcome sleeper, counter 0, 4..=5, next 4"
    );
}

#[test]
fn old_messages_go_and_young_ones_stay() {
    let mut world = keeping(1, 0);
    say(&mut world, 1..=3);
    pass(&mut world, Duration::from_hours(23));
    say(&mut world, 4..=5);
    assert_eq!(erased(&world), []);
    pass(&mut world, 130 * MINUTE);
    assert_eq!(erased(&world), [(1, 3)]);
    assert_eq!(world.say("alice", &page(1, 9)), ["history 4..=5 of 4..=5"]);
    // The last messages are erased as well; the numbers do not start anew.
    pass(&mut world, DAY);
    assert_eq!(world.say("alice", &page(1, 9)), ["history 6..=5 of 6..=5"]);
    assert_eq!(
        world.say("alice", &message("alice", 6, "x")),
        ["6 alice: x"]
    );
}

#[test]
fn a_clock_that_jumps_erases_nothing() {
    let mut world = keeping(1, 0);
    say(&mut world, 1..=3);
    pass(&mut world, 10 * MINUTE);
    world.now.wall += 10 * DAY;
    pass(&mut world, 30 * MINUTE);
    // The clock is corrected.
    world.now.wall -= 10 * DAY;
    pass(&mut world, 180 * MINUTE);
    assert_eq!(erased(&world), []);
    let jumps = world.records.iter().filter(|r| {
        matches!(
            r,
            LogEvent::ClockCorrected {
                stops_erasing: true,
                ..
            }
        )
    });
    assert_eq!(jumps.count(), 2);
    assert_eq!(world.say("alice", &page(1, 9)), ["history 1..=3 of 1..=3"]);
}

#[test]
fn a_step_holds_nothing_up() {
    let mut world = keeping(0, 2);
    say(&mut world, 1..=5);
    world.hold_commits = true;
    pass(&mut world, 2 * MINUTE);
    // The step is in progress; new messages go into the next commit.
    assert!(world.say("alice", &message("alice", 6, "x")).is_empty());
    world.commit();
    world.commit();
    assert_eq!(world.hears("alice"), ["6 alice: x"]);
    assert_eq!(erased(&world), [(1, 3)]);
}

#[test]
fn a_step_that_fails_is_taken_later_and_no_message_fails_with_it() {
    let mut world = keeping(0, 2);
    say(&mut world, 1..=5);
    world.hold_commits = true;
    pass(&mut world, MINUTE);
    world.say("alice", &message("alice", 6, "x"));
    world.fail = Some(StoreError::Refused);
    world.commit();
    world.commit();
    assert_eq!(world.hears("alice"), ["6 alice: x"]);
    assert_eq!(erased(&world), []);
    world.hold_commits = false;
    pass(&mut world, 2 * MINUTE);
    assert_eq!(erased(&world), [(1, 4)]);
}

#[test]
fn messages_that_fail_do_not_keep_a_step_from_being_taken() {
    let mut world = keeping(0, 2);
    say(&mut world, 1..=5);
    world.hold_commits = true;
    world.say("alice", &message("alice", 6, "x"));
    world.say("alice", &message("alice", 7, "y"));
    pass(&mut world, 2 * MINUTE);
    for fail in [true, false, true] {
        world.fail = fail.then_some(StoreError::Refused);
        world.commit();
    }
    assert_eq!(
        world.hears("alice"),
        [
            "error not_durable 6, try again",
            "error not_durable 7, try again"
        ]
    );
    assert_eq!(erased(&world), [(1, 3)]);
}

#[test]
fn a_server_that_stops_erases_nothing_more() {
    let mut world = keeping(0, 2);
    say(&mut world, 1..=5);
    world.now.mono += 2 * MINUTE;
    world.stop();
    assert_eq!(world.finished, Some(false));
    assert_eq!(erased(&world), []);
}
