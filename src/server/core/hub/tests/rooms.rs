//! Tests of joining and leaving rooms.

use super::*;
use crate::{
    protocol::{
        ClientId, Content, Identity, RoomId, RoomName,
        admin::{AdminCommand, AdminRequest},
        frame::{HistoryRequest, Part},
    },
    server::core::hub::Keep,
};

fn room_name(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

fn room(of: &str) -> RoomId {
    RoomId::named(&room_name(of), 0)
}

/// A server with a lobby and two more rooms.
fn world() -> World {
    World::with_rooms(
        &["lobby", "build", "tea"].map(room_name),
        Keep::default(),
        10,
        ReplicaLimits::default(),
        MemoryLimits::default(),
    )
}

fn into(name: &str, rooms: &[&str]) -> Join {
    Join {
        enter: rooms.iter().map(|room| room_name(room)).collect(),
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

/// The device is opened in one commit, and the conversation is stored with the next one.
#[test]
fn a_device_that_joins_while_a_conversation_is_made_is_in_it() {
    let mut world = world();
    let (alice, bob) = (Identity::from_seed([1; 32]), Identity::from_seed([2; 32]));
    world.enter("alice", &alice, "192.0.2.1", join("alice"));
    world.enter("bob", &bob, "192.0.2.2", join("bob"));
    world.hold_commits = true;
    let phone = Join {
        client_id: ClientId::parse("phone").unwrap(),
        ..join("alice")
    };
    world.enter("phone", &alice, "192.0.2.1", phone);
    let direct = AdminCommand::Direct {
        nicknames: vec![Nickname::parse("bob").unwrap()],
    };
    let request = AdminRequest {
        command: direct,
        reference: None,
    };
    world.say("alice", &ClientFrame::Command(request));
    world.commit();
    world.hold_commits = false;
    world.commit();
    world.hears("phone");
    let submission = Submission {
        room: RoomId::direct(&[alice.public().user(), bob.public().user()]),
        id: Some(id("bob", 1)),
        content: Ok(Content::Text(Body::inert("hi"))),
    };
    world.say("bob", &ClientFrame::Submit(submission));
    assert_eq!(world.hears("phone"), ["1 bob: hi"]);
}
