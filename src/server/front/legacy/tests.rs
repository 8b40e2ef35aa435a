use std::time::Duration;

use super::{presence_summary::GATHER, *};
use crate::{
    protocol::{
        ClientFrame, Identity, RoomId,
        limits::{LEGACY_FRAME_BYTES_MAX, LEGACY_PAUSE},
    },
    server::{
        core::{
            endpoint::{CLOSE_WITHIN, HOLD_BACK_MAX},
            rate_limit::Rate,
            replica::ReplicaLimits,
            testing::{World, access_settings, id, join, message},
        },
        log::{LogReader, MemoryLimits},
    },
};

const JOIN: &[u8] =
    br#"{"type": "join", "nickname": "bob", "clientID": "4", "timestamp": "2026-11-22 09:22:21"}"#;

/// One object, as the older client reads it: `NICKNAME: MESSAGE`, or the error.
fn shown(object: &[u8]) -> String {
    assert!(object.len() <= LEGACY_FRAME_BYTES_MAX);
    let value: serde_json::Value = serde_json::from_slice(object).unwrap();
    let field = |name: &str| value[name].as_str().unwrap_or("-").to_owned();
    match field("type").as_str() {
        "message" => {
            assert_eq!(value.as_object().unwrap().len(), 4, "{value}");
            assert_eq!(field("timestamp").len(), "2026-11-22 09:22:23".len());
            format!("{}: {}", field("nickname"), field("message"))
        }
        _ => format!("error {}", field("message")),
    }
}

const MS: Duration = Duration::from_millis(1);

fn pause(world: &mut World, time: Duration) -> Vec<String> {
    world.now.mono += time;
    world.run();
    let raw = std::mem::take(&mut world.client("bob").raw);
    raw.iter().map(|object| shown(object)).collect()
}

/// Lets time pass in steps of one pause, until a step brings nothing.
fn all(world: &mut World) -> Vec<String> {
    let mut all = pause(world, LEGACY_PAUSE);
    loop {
        let next = pause(world, LEGACY_PAUSE);
        assert!(next.len() <= 1, "one at a time: {next:?}");
        if next.is_empty() {
            return all;
        }
        all.extend(next);
    }
}

/// Lets alice and bob join, bob with a legacy program.
fn fresh(mut world: World) -> World {
    world.join("alice");
    world.connect("bob");
    world.send("bob", JOIN);
    assert_eq!(world.hears("alice").last().unwrap(), "bob joined");
    world
}

fn basic_in(world: World) -> World {
    let mut world = fresh(world);
    let heard = pause(&mut world, LEGACY_QUIET);
    assert_eq!(heard, [""; 0], "a good join is not answered");
    world
}

fn legacy() -> World {
    basic_in(World::new())
}

/// Alice says numbers.
fn say_many(world: &mut World, numbers: std::ops::RangeInclusive<u64>) {
    for counter in numbers {
        world.say("alice", &message("alice", counter, &counter.to_string()));
    }
}

fn numbers(range: std::ops::RangeInclusive<u64>) -> Vec<String> {
    range.map(|number| format!("alice: {number}")).collect()
}

/// A replica that holds next to nothing.
const LITTLE: ReplicaLimits = ReplicaLimits {
    messages_bytes_max: 1_000,
    presence_bytes_max: 1_000,
    total_bytes_max: 2_000,
};

#[test]
fn a_basic_client_talks_and_never_hears_itself() {
    let mut world = legacy();
    let text = br#"{"type": "message", "nickname": "bob", "message": "hi", "timestamp": "x"}"#;
    world.send("bob", text);
    world.send("bob", text);
    assert_eq!(world.hears("alice"), ["1 bob: hi", "2 bob: hi"]);
    world.say("alice", &message("alice", 1, "hello"));
    assert_eq!(pause(&mut world, LEGACY_PAUSE), ["alice: hello"]);
    let bye = br#"{"type": "disconnect", "nickname": "bob", "clientID": "4"}"#;
    assert_eq!(world.send("bob", bye).last().unwrap(), "closed");
    assert_eq!(pause(&mut world, LEGACY_PAUSE), [""; 0]);
    assert_eq!(world.hears("alice"), ["bob left Disconnect"]);
}

#[test]
fn it_gets_one_object_at_a_time() {
    let mut world = legacy();
    say_many(&mut world, 1..=3);
    assert_eq!(pause(&mut world, Duration::ZERO), ["alice: 1"]);
    assert_eq!(pause(&mut world, LEGACY_PAUSE.saturating_sub(MS)), [""; 0]);
    assert_eq!(pause(&mut world, 1 * MS), ["alice: 2"]);
    assert_eq!(pause(&mut world, 100 * MS), ["alice: 3"]);
}

#[test]
fn a_client_that_has_just_come_is_told_nothing_for_a_second() {
    let mut world = fresh(World::new());
    say_many(&mut world, 1..=3);
    let nick = ClientFrame::Nick {
        nickname: "al".parse().unwrap(),
        reference: None,
    };
    world.say("alice", &nick);
    let almost = LEGACY_QUIET.saturating_sub(MS);
    assert_eq!(pause(&mut world, almost), [""; 0]);
    let news = ["server: alice is now al"];
    assert_eq!(pause(&mut world, 1 * MS), news);
    assert_eq!(all(&mut world), numbers(1..=3));
}

#[test]
fn a_long_text_comes_in_parts() {
    let mut world = legacy();
    let text = "word ".repeat(500);
    world.say("alice", &message("alice", 1, &text));
    let mut got = String::new();
    for _ in 0..10 {
        for part in pause(&mut world, LEGACY_PAUSE) {
            got += part.strip_prefix("alice: ").unwrap();
        }
    }
    assert_eq!(got, text);
}

#[test]
fn comings_and_goings_are_told_in_the_servers_name() {
    let mut world = legacy();
    world.join("carol");
    assert_eq!(pause(&mut world, GATHER.saturating_sub(MS)), [""; 0]);
    assert_eq!(pause(&mut world, 1 * MS), ["server: carol joined"]);
    let nick = ClientFrame::Nick {
        nickname: "cc".parse().unwrap(),
        reference: None,
    };
    world.say("carol", &nick);
    assert_eq!(pause(&mut world, GATHER), ["server: carol is now cc"]);
    world.cut("carol");
    assert_eq!(
        pause(&mut world, GATHER),
        ["server: cc left: connection lost"]
    );
    world.stop();
    assert_eq!(
        pause(&mut world, LEGACY_PAUSE),
        ["server: The server is stopping"]
    );
    assert!(world.client("bob").closed);
}

#[test]
fn a_crowd_that_comes_and_goes_is_one_line() {
    let mut world = basic_in(World::with(
        200,
        ReplicaLimits::default(),
        MemoryLimits::default(),
    ));
    let presence_summary: Vec<&'static str> = (0..100).map(|n| &*format!("u{n}").leak()).collect();
    let now = world.now.mono;
    for name in &presence_summary {
        // At the same time: connecting takes a second here.
        world.now.mono = now;
        world.join(name);
    }
    let line = "server: u0, u1 and 98 others joined";
    assert_eq!(pause(&mut world, GATHER), [line]);
    for name in &presence_summary[1..] {
        world.cut(name);
    }
    let line = "server: u1, u2 and 97 others left: connection lost";
    assert_eq!(pause(&mut world, GATHER), [line]);
    assert_eq!(all(&mut world), [""; 0]);
}

#[test]
fn changes_that_the_replica_lost_are_counted() {
    let mut world = basic_in(World::with(200, LITTLE, MemoryLimits::default()));
    // The client does not run in the meantime.
    let bob = world.clients.remove("bob").unwrap();
    for number in 0..50 {
        world.join(format!("u{number}").leak());
    }
    world.clients.insert("bob", bob);
    let mut heard = pause(&mut world, Duration::ZERO);
    heard.extend(pause(&mut world, GATHER));
    let [line] = heard.try_into().unwrap();
    assert!(
        line.contains("joins and departures were left out"),
        "{line}"
    );
    assert!(line.ends_with("and u49 joined"), "{line}");
}

#[test]
fn messages_that_the_replica_no_longer_holds_come_from_the_log() {
    let mut world = basic_in(World::with(10, LITTLE, MemoryLimits::default()));
    say_many(&mut world, 1..=500);
    let mut held = 0;
    let mut got = pause(&mut world, Duration::ZERO);
    while got.len() < 500 {
        let heard = pause(&mut world, LEGACY_PAUSE);
        assert_eq!(heard.len(), 1, "it has a turn with each pause");
        got.extend(heard);
        held = held.max(world.client("bob").endpoint.held_bytes());
    }
    assert_eq!(got, numbers(1..=500));
    assert!(
        held > 0 && held < 2 * Legacy::ABILITIES.page_bytes_max,
        "{held} bytes"
    );
    assert_eq!(world.client("bob").endpoint.held_bytes(), 0);
}

#[test]
fn one_line_says_how_many_were_left_out() {
    let check = |count: u64, expected: &[&str], rest: std::ops::RangeInclusive<u64>| {
        let mut world = basic_in(World::with(10, LITTLE, MemoryLimits::default()));
        // The client accepts nothing in the meantime.
        world.client("bob").window = 0;
        say_many(&mut world, 1..=count);
        world.client("bob").window = usize::MAX;
        let got = all(&mut world);
        let begun = expected.len();
        assert_eq!(got[..begun], *expected, "{count} behind");
        assert_eq!(got[begun..], numbers(rest), "{count} behind");
    };
    // One of them was begun.
    check(BEHIND_MAX + 1, &["alice: 1"], 2..=BEHIND_MAX + 1);
    let left_out = BEHIND_MAX + 1 - KEPT;
    let line = format!("server: {left_out} messages were left out: you were too far behind");
    let expected = ["alice: 1", &line];
    check(BEHIND_MAX + 2, &expected, left_out + 2..=BEHIND_MAX + 2);
}

#[test]
fn messages_that_the_log_lost_are_left_out_and_counted() {
    let memory = MemoryLimits {
        room_bytes_max: 5_000,
        ..MemoryLimits::default()
    };
    let mut world = basic_in(World::with(10, LITTLE, memory));
    say_many(&mut world, 1..=200);
    let first = world.store_first();
    assert!(first > 2);
    let got = all(&mut world);
    assert_eq!(got[0], "alice: 1");
    let line = format!(
        "server: {} messages were left out: you were too far behind",
        first - 2
    );
    assert_eq!(got[1], line);
    assert_eq!(got[2..], numbers(first..=200));
}

#[test]
fn a_server_that_stops_says_what_it_has_no_time_for() {
    let mut world = legacy();
    say_many(&mut world, 1..=500);
    let since = world.now.mono;
    world.stop();
    let got = all(&mut world);
    let told = got.len() as u64 - 2;
    assert_eq!(got[..got.len() - 2], numbers(1..=told));
    let line = format!(
        "server: {} messages were left out: you were too far behind",
        500 - told
    );
    let stopping = "server: The server is stopping";
    assert_eq!(got[got.len() - 2..], [line.as_str(), stopping]);
    assert!(world.client("bob").closed);
    assert!(world.now.mono.saturating_sub(since) < CLOSE_WITHIN);
}

#[test]
fn a_client_that_has_just_come_is_told_the_end_all_the_same() {
    let mut world = fresh(World::new());
    world.stop();
    let stopping = "server: The server is stopping";
    assert_eq!(pause(&mut world, LEGACY_PAUSE), [stopping]);
    assert!(world.client("bob").closed);
}

#[test]
fn a_refused_nickname_is_said_in_the_one_way_that_it_understands() {
    let mut world = World::new();
    world.join("Bob");
    world.connect("bob");
    world.send("bob", JOIN);
    assert_eq!(
        pause(&mut world, LEGACY_PAUSE),
        ["error Nickname already in use"]
    );
    assert!(world.client("bob").closed);
}

#[test]
fn a_client_is_a_legacy_one_by_its_first_join_only() {
    let mut world = World::new();
    world.join("alice");
    // It has joined as a client of the own dialect already, and remains one.
    let refused = ["error join_expected", "closed"];
    assert_eq!(world.send("alice", JOIN), refused);
    assert!(
        world
            .client("alice")
            .raw
            .last()
            .unwrap()
            .starts_with(b"{\"type\":\"error\",\"code\"")
    );
    // It does not become one while its key is to be proven, either.
    world.connect("carol");
    let join = Join {
        key: Some(Identity::from_seed([3; 32]).public()),
        ..join("carol")
    };
    world.say("carol", &ClientFrame::Join(Box::new(join)));
    assert_eq!(world.send("carol", JOIN), refused);
}

#[test]
fn a_basic_client_has_no_say_in_the_numbers_of_its_messages() {
    let mut world = World::new();
    world.join("alice");
    world.connect("bob");
    let last = br#"{"type":"join","nickname":"bob","clientID":"4","timestamp":"x","next":9007199254740991}"#;
    world.send("bob", last);
    let text = br#"{"type": "message", "nickname": "bob", "message": "hi", "timestamp": "x"}"#;
    world.hears("alice");
    for seq in 1..=3 {
        world.send("bob", text);
        assert_eq!(world.hears("alice"), [format!("{seq} bob: hi")]);
    }
    let page = world.store.read(RoomId::LOBBY, 1, 100_000).unwrap();
    let page = std::str::from_utf8(page.bytes()).unwrap().to_owned();
    assert!(page.contains("-3\""), "{page}");
}

#[test]
fn an_id_does_not_help_a_basic_client_past_what_holds_for_all() {
    let mut settings = access_settings();
    settings.limits.messages = Some(Rate::new(1, 2));
    let mut world = World::with_access(settings, &[]);
    world.join("alice");
    world.connect("bob");
    world.send("bob", JOIN);
    world.hears("alice");
    // An id that seems to have an outcome.
    let id = id("mallory", 1);
    let text = format!(
        r#"{{"type": "message", "nickname": "bob", "message": "hi", "timestamp": "x", "id": "{id}"}}"#
    );
    for _ in 0..5 {
        world.send("bob", text.as_bytes());
    }
    assert_eq!(world.hears("alice"), ["1 bob: hi", "2 bob: hi"]);
}

/// Sends these messages of bob at once.
fn say_at_once(world: &mut World, texts: std::ops::RangeInclusive<u64>) {
    let object = |text| {
        format!(
            r#"{{"type": "message", "nickname": "bob", "message": "{text}", "timestamp": "x"}}"#
        )
    };
    let objects: String = texts.map(object).collect();
    world.send("bob", objects.as_bytes());
}

#[test]
fn messages_over_the_limit_wait_and_keep_their_order() {
    let mut settings = access_settings();
    settings.limits.messages = Some(Rate::new(60, 2));
    let mut world = fresh(World::with_access(settings, &[]));
    say_at_once(&mut world, 1..=5);
    assert_eq!(world.hears("alice"), ["1 bob: 1", "2 bob: 2"]);
    for number in 3..=5 {
        assert_eq!(world.hears("alice"), [""; 0]);
        pause(&mut world, Duration::from_millis(1_001));
        assert_eq!(world.hears("alice"), [format!("{number} bob: {number}")]);
    }
    assert_eq!(all(&mut world), [""; 0], "it is told of nothing");
}

#[test]
fn a_message_that_would_have_to_wait_for_long_is_refused_in_words() {
    let mut settings = access_settings();
    settings.limits.messages = Some(Rate::new(1, 2));
    let mut world = fresh(World::with_access(settings, &[]));
    say_at_once(&mut world, 1..=3);
    assert_eq!(world.hears("alice"), ["1 bob: 1", "2 bob: 2"]);
    assert!(HOLD_BACK_MAX < Duration::from_mins(1));
    let line = "server: You write too fast: try again in 1 minute";
    assert_eq!(pause(&mut world, LEGACY_QUIET), [line]);
}
