//! Tests of joining and leaving rooms.

use super::*;
use crate::{
    protocol::{
        ClientId, Content, RoomName,
        frame::{HistoryRequest, Part},
    },
    server::core::hub::Keep,
};

fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

/// A server with a lobby and two more rooms.
fn world() -> World {
    World::with_rooms(
        &["lobby", "build", "tea"].map(room),
        Keep::default(),
        10,
        ReplicaLimits::default(),
        MemoryLimits::default(),
    )
}

fn into(name: &str, rooms: &[&str]) -> Join {
    Join {
        enter: rooms.iter().map(|name| room(name)).collect(),
        ..join(name)
    }
}

fn says(name: &str, counter: u64, to: &str) -> ClientFrame {
    ClientFrame::Submit(Submission {
        room: room(to),
        id: Some(id(name, counter)),
        content: Ok(Content::Text(Body::inert(to))),
    })
}

#[test]
fn each_client_gets_what_happens_in_its_rooms_and_nothing_else() {
    let mut world = world();
    world.join("alice");
    let heard = world.join_as("bob", into("bob", &["build", "tea"]));
    assert_eq!(heard[1..], ["members bob", "members bob"]);
    assert_eq!(world.hears("alice"), [""; 0], "bob is not in the lobby");
    world.join_as("carol", into("carol", &["tea", "lobby", "tea"]));
    assert_eq!(world.hears("alice"), ["carol joined"]);
    assert_eq!(world.hears("bob"), ["carol joined"]);

    assert_eq!(world.say("bob", &says("bob", 1, "tea")), ["1 bob: tea"]);
    assert_eq!(world.hears("carol"), ["1 bob: tea"]);
    assert_eq!(world.hears("alice"), [""; 0]);
    assert_eq!(world.say("bob", &says("bob", 2, "build")), ["1 bob: build"]);
    assert_eq!(world.hears("carol"), [""; 0]);

    world.cut("bob");
    assert_eq!(world.hears("carol"), ["bob left Lost"]);
    assert_eq!(world.hears("alice"), [""; 0]);
}

#[test]
fn a_room_is_closed_to_those_who_are_not_in_it() {
    let mut world = world();
    world.join("alice");
    world.join_as("bob", into("bob", &["build"]));
    assert_eq!(
        world.say("bob", &says("bob", 1, "lobby")),
        ["error no_such_room 1"]
    );
    let history = |name: &str| {
        ClientFrame::History(HistoryRequest {
            room: room(name),
            part: Part::Forward { from: 1, to: 9 },
            reference: None,
        })
    };
    // The same error as for a missing room: outsiders do not learn which rooms exist.
    for name in ["lobby", "tea", "cellar"] {
        assert_eq!(world.say("bob", &history(name)), ["error no_such_room"]);
    }
    // A message refused permanently has used its number.
    assert_eq!(world.say("bob", &says("bob", 2, "build")), ["1 bob: build"]);
    let heard = world.join_as("carol", into("carol", &["cellar", "build"]));
    assert_eq!(heard[1..], ["members bob carol", "1 bob: build"]);
    assert_eq!(
        world.join_as("dave", into("dave", &["cellar"])),
        ["error no_such_room", "closed"]
    );
}

#[test]
fn a_user_is_in_a_room_as_long_as_one_of_their_sessions_is() {
    let mut world = world();
    world.join("alice");
    world.join_as("carol", into("carol", &["lobby"]));
    let phone = Join {
        client_id: ClientId::parse("phone").unwrap(),
        ..into("carol", &["lobby", "tea"])
    };
    world.join_as("bob", into("bob", &["tea"]));
    world.hears("alice");
    world.join_as("phone", phone);
    assert_eq!(world.hears("alice"), [""; 0], "she is there already");
    assert_eq!(world.hears("bob"), ["carol joined"]);
    world.cut("phone");
    assert_eq!(world.hears("bob"), ["carol left Lost"]);
    assert_eq!(world.hears("alice"), [""; 0], "she is there still");
    world.cut("carol");
    assert_eq!(world.hears("alice"), ["carol left Lost"]);
}
