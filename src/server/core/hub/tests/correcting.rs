//! Tests of the times shown when the clock is corrected while the server runs, or was wrong before.

use crate::server::log::LogWriter;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::{
    protocol::{Entry, ServerFrame, frame::Welcome},
    server::{
        core::{
            event::Effect,
            hub::Hub,
            log_event::LogEvent,
            testing::{World, message},
        },
        log::{KnownTimes, StoreError},
    },
};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Sends a message; returns it as the members get it.
fn said(world: &mut World, counter: u64) -> Entry {
    world.client("alice").heard.clear();
    world.post_frame("alice", &message("alice", counter, "x"));
    let heard = world.client("alice").heard.pop();
    match heard {
        Some(ServerFrame::Entry(message)) => message,
        other => panic!("{other:?}"),
    }
}

fn welcome(world: &mut World, name: &'static str) -> Welcome {
    world.connect(name);
    world.post_frame(name, &super::join_frame(name));
    let heard = world.client(name).heard.first().cloned();
    match heard {
        Some(ServerFrame::Welcome(welcome)) => welcome,
        other => panic!("{other:?}"),
    }
}

fn corrections(world: &World) -> Vec<i64> {
    let by = |record: &LogEvent| match record {
        LogEvent::ClockCorrected {
            by,
            stops_erasing: false,
            ..
        } => Some(by.as_secs()),
        _ => None,
    };
    world.records.iter().filter_map(by).collect()
}

#[test]
fn a_message_from_a_clock_that_was_ahead_freezes_no_later_times() {
    for ahead in [2 * HOUR, 19 * 365 * 24 * HOUR] {
        let mut world = World::new();
        world.join("alice");
        let first = said(&mut world, 1);
        world.now.wall += ahead;
        let wrong = said(&mut world, 2);
        world.now.wall -= ahead;
        let right = said(&mut world, 3);
        let next = said(&mut world, 4);
        let now = world.now.wall;
        assert_eq!((first.time, first.clock_was), (now, None));
        assert_eq!((wrong.time, wrong.clock_was), (now + ahead, Some(now)));
        assert_eq!((right.time, right.clock_was), (now, Some(now + ahead)));
        assert_eq!((next.time, next.clock_was), (now, None));
        let by = ahead.as_secs();
        assert_eq!(corrections(&world), [by, -by]);
        // A client that joins gets the right time, too.
        let welcome = welcome(&mut world, "bob");
        assert_eq!(welcome.time, world.now.wall);
    }
}

#[test]
fn within_a_minute_what_is_told_never_goes_back_in_time() {
    let mut world = World::new();
    world.join("alice");
    let first = said(&mut world, 1);
    world.now.wall -= SignedDuration::from_secs(50);
    let second = said(&mut world, 2);
    assert_eq!((second.time, second.clock_was), (first.time, None));
    let welcome = welcome(&mut world, "bob");
    assert!(welcome.time >= first.time);
    assert!(corrections(&world).is_empty());
}

#[test]
fn a_correction_is_not_forgotten_where_the_store_refuses_a_message() {
    let mut world = World::new();
    world.join("alice");
    said(&mut world, 1);
    world.hold_commits = true;
    world.now.wall += HOUR;
    world.say("alice", &message("alice", 2, "x"));
    // Again while it is being committed.
    world.now.wall += HOUR;
    world.fail = Some(StoreError::Refused);
    world.commit();
    world.hold_commits = false;
    let again = said(&mut world, 2);
    let was = Some(again.time - 2 * HOUR);
    assert_eq!((again.time, again.clock_was), (world.now.wall, was));
    assert_eq!(said(&mut world, 3).clock_was, None);
}

#[test]
fn a_correction_is_told_though_nothing_happens() {
    let mut world = World::new();
    // The start is reported at once, then once a minute.
    assert!(world.hub.wakes_at().unwrap() <= world.now.mono);
    world.run();
    let wakes = world.hub.wakes_at().unwrap();
    assert_eq!(wakes, world.now.mono + Duration::from_mins(1));
    world.advance(Duration::from_mins(1));
    world.now.wall -= HOUR;
    world.advance(Duration::from_mins(1));
    assert_eq!(corrections(&world), [-3_600]);
}

#[test]
fn a_start_behind_the_log_is_told() {
    let world = World::new();
    let now = world.now.wall;
    for (last, told) in [
        (now + SignedDuration::from_secs(61), true),
        (now + SignedDuration::from_secs(60), false),
        (now - HOUR, false),
        (Timestamp::MAX, true),
    ] {
        let known = KnownTimes {
            believed: Some(now),
            last: Some(last),
        };
        let hub = &world.hub;
        let standings = world.store.standings();
        let settings = hub.settings.clone();
        let mut hub = Hub::new(settings, hub.epoch, &standings, known, &[], world.now);
        let mut effects = Vec::new();
        hub.poll_effects(world.now, &mut effects);
        let tells = |effect: &Effect| match effect {
            Effect::Log(record) => matches!(
                **record,
                LogEvent::ClockBehindLog { last: of, now: at } if of == last && at == now
            ),
            _ => false,
        };
        assert_eq!(effects.iter().any(tells), told, "{last}");
    }
}
