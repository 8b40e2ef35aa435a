use std::time::Duration;

use super::*;
use crate::{
    protocol::{ClientFrame, limits::BASIC_FRAME_BYTES_MAX},
    server::{
        engine::{
            house::Rate,
            testing::{World, house_settings, id, message},
        },
        store::Reader,
    },
};

const JOIN: &[u8] =
    br#"{"type": "join", "nickname": "bob", "clientID": "4", "timestamp": "2026-11-22 09:22:21"}"#;

/// One object, as the older client reads it: `NICKNAME: MESSAGE`, or the error.
fn shown(object: &[u8]) -> String {
    assert!(object.len() <= BASIC_FRAME_BYTES_MAX);
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

fn basic() -> World {
    let mut world = World::new();
    world.join("alice");
    world.connect("bob");
    world.send("bob", JOIN);
    assert_eq!(
        pause(&mut world, BASIC_PAUSE),
        [""; 0],
        "a good join is not answered"
    );
    assert_eq!(world.hears("alice").last().unwrap(), "bob joined");
    world
}

#[test]
fn a_basic_client_talks_and_never_hears_itself() {
    let mut world = basic();
    let text = br#"{"type": "message", "nickname": "bob", "message": "hi", "timestamp": "x"}"#;
    world.send("bob", text);
    world.send("bob", text);
    assert_eq!(world.hears("alice"), ["1 bob: hi", "2 bob: hi"]);
    world.say("alice", &message("alice", 1, "hello"));
    assert_eq!(pause(&mut world, BASIC_PAUSE), ["alice: hello"]);
    let bye = br#"{"type": "disconnect", "nickname": "bob", "clientID": "4"}"#;
    assert_eq!(world.send("bob", bye).last().unwrap(), "closed");
    assert_eq!(pause(&mut world, BASIC_PAUSE), [""; 0]);
    assert_eq!(world.hears("alice"), ["bob left Disconnect"]);
}

#[test]
fn it_gets_one_object_at_a_time() {
    let mut world = basic();
    for counter in 1..=3 {
        world.say("alice", &message("alice", counter, &counter.to_string()));
    }
    assert_eq!(pause(&mut world, Duration::ZERO), ["alice: 1"]);
    assert_eq!(pause(&mut world, BASIC_PAUSE.saturating_sub(MS)), [""; 0]);
    assert_eq!(pause(&mut world, 1 * MS), ["alice: 2"]);
    assert_eq!(pause(&mut world, 100 * MS), ["alice: 3"]);
}

#[test]
fn a_long_text_comes_in_parts() {
    let mut world = basic();
    let text = "word ".repeat(500);
    world.say("alice", &message("alice", 1, &text));
    let mut got = String::new();
    for _ in 0..10 {
        for part in pause(&mut world, BASIC_PAUSE) {
            got += part.strip_prefix("alice: ").unwrap();
        }
    }
    assert_eq!(got, text);
}

#[test]
fn comings_and_goings_are_told_in_the_servers_name() {
    let mut world = basic();
    world.join("carol");
    assert_eq!(pause(&mut world, BASIC_PAUSE), ["server: carol joined"]);
    let nick = ClientFrame::Nick {
        nickname: "cc".parse().unwrap(),
        reference: None,
    };
    world.say("carol", &nick);
    assert_eq!(pause(&mut world, BASIC_PAUSE), ["server: carol is now cc"]);
    world.cut("carol");
    assert_eq!(
        pause(&mut world, BASIC_PAUSE),
        ["server: cc left: connection lost"]
    );
    world.stop();
    assert_eq!(
        pause(&mut world, BASIC_PAUSE),
        ["server: The server is stopping"]
    );
    assert!(world.client("bob").closed);
}

#[test]
fn one_line_says_how_many_were_left_out() {
    let check = |count: u64, expected: &[&str]| {
        let mut world = basic();
        // Nothing is begun while it still pauses.
        world.join("carol");
        pause(&mut world, Duration::ZERO);
        for counter in 1..=count {
            world.say("alice", &message("alice", counter, &counter.to_string()));
        }
        let mut got = Vec::new();
        for _ in 0..2 * BEHIND_MAX {
            got.extend(pause(&mut world, BASIC_PAUSE));
        }
        assert_eq!(got[..2], *expected, "{count} behind");
        assert_eq!(got.last().unwrap(), &format!("alice: {count}"));
    };
    // One of them is taken at once, to be told after the pause.
    check(BEHIND_MAX, &["alice: 1", "alice: 2"]);
    check(BEHIND_MAX + 1, &["alice: 1", "alice: 2"]);
    let left_out = BEHIND_MAX + 1 - KEPT;
    let line = format!("server: {left_out} messages were left out: you were too far behind");
    check(BEHIND_MAX + 2, &["alice: 1", &line]);
}

#[test]
fn a_refused_nickname_is_said_in_the_one_way_that_it_understands() {
    let mut world = World::new();
    world.join("Bob");
    world.connect("bob");
    world.send("bob", JOIN);
    assert_eq!(
        pause(&mut world, BASIC_PAUSE),
        ["error Nickname already in use"]
    );
    assert!(world.client("bob").closed);
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
    let page = world.store.read(RoomIndex::LOBBY, 1, 100_000).unwrap();
    let page = std::str::from_utf8(page.bytes()).unwrap().to_owned();
    assert!(page.contains("-3\""), "{page}");
}

#[test]
fn an_id_does_not_help_a_basic_client_past_what_holds_for_all() {
    let mut settings = house_settings();
    settings.limits.messages = Some(Rate::new(1, 2));
    let mut world = World::with_house(settings, Vec::new());
    world.join("alice");
    world.connect("bob");
    world.send("bob", JOIN);
    world.hears("alice");
    // One that is settled, as it seems.
    let id = id("mallory", 1);
    let text = format!(
        r#"{{"type": "message", "nickname": "bob", "message": "hi", "timestamp": "x", "id": "{id}"}}"#
    );
    for _ in 0..5 {
        world.send("bob", text.as_bytes());
    }
    assert_eq!(world.hears("alice"), ["1 bob: hi", "2 bob: hi"]);
}
