//! Tests of connections, and of a server, that end while something is pending.

use crate::{
    protocol::{ClientFrame, wire::encode_client},
    server::core::testing::{World, id, message},
};

fn post(world: &mut World, frames: &[ClientFrame]) {
    let mut bytes = Vec::new();
    for frame in frames {
        encode_client(frame, &mut bytes);
    }
    world.post("bob", &bytes);
}

#[test]
fn nothing_is_kept_of_a_connection_that_is_gone() {
    let mut world = World::new();
    world.join("bob");
    world.hold_commits = true;
    // The client says goodbye, and its connection breaks before that can be answered.
    post(
        &mut world,
        &[message("bob", 1, "x"), ClientFrame::Disconnect],
    );
    world.cut("bob");
    world.hold_commits = false;
    world.commit();
    assert_eq!((world.hub.present(), world.hub.closing.len()), (0, 0));
    // The connection breaks, and the client joins again before its message is stored.
    world.join("bob");
    world.hold_commits = true;
    post(&mut world, &[message("bob", 2, "x")]);
    world.cut("bob");
    world.join("bob");
    world.hold_commits = false;
    world.commit();
    assert_eq!((world.hub.present(), world.hub.closing.len()), (1, 0));
}

#[test]
fn a_stopping_server_ends_whatever_clients_ask() {
    let mut world = World::new();
    world.join("bob");
    world.hold_commits = true;
    world.say("bob", &message("bob", 1, "accepted"));
    world.stop();
    let unknown = format!("{{\"type\":\"frob\",\"id\":\"{}\"}}", id("bob", 3));
    world.post("bob", unknown.as_bytes());
    let withdraw = ClientFrame::Withdraw { id: id("bob", 2) };
    post(&mut world, &[withdraw, message("bob", 2, "late")]);
    world.commit();
    assert_eq!(world.finished, Some(false), "nothing more was staged");
    assert_eq!(
        world.hears("bob"),
        [
            "error shutting_down 3, try again",
            "error shutting_down 2, try again",
            "error shutting_down 2, try again",
            "1 bob: accepted",
            "bye Shutdown",
            "closed",
        ]
    );
}
