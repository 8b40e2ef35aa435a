//! Tests of erasures for the operator.

use crate::{
    protocol::{ClientFrame, RoomName},
    server::{
        core::{
            event::EraseError,
            log_event::LogEvent,
            moderation::audit::Audit,
            testing::{World, message},
        },
        log::{StateStore, StoreError},
    },
};

fn audit(world: &mut World) -> Vec<String> {
    let records = world.store.state().unwrap();
    let audit = Audit::load(&records);
    audit
        .lines(None)
        .map(|line| line.as_str().to_owned())
        .collect()
}

#[test]
fn all_who_are_connected_see_an_erasure_and_the_audit_trail_names_it() {
    let mut world = World::new();
    world.join("bob");
    world.join("alice");
    world.say("bob", &message("bob", 1, "secret"));
    world.say("bob", &message("bob", 2, "open"));
    world.hears("alice");
    world.erase(7, &RoomName::lobby(), 1, 1);
    assert_eq!(world.erased, [(7, Ok(1))]);
    for name in ["alice", "bob"] {
        assert_eq!(world.hears(name), ["3 server erases bob-1"], "{name}");
    }
    let said = audit(&mut world);
    assert!(
        said[0].contains("server erased the entry 1 of lobby"),
        "{said:?}"
    );
    let told = world
        .records
        .iter()
        .any(|record| matches!(record, LogEvent::ErasedByOperator { count: 1, .. }));
    assert!(told);
    // A client that joins now gets the tombstone.
    let heard = world.join("carol");
    assert!(
        !heard.iter().any(|line| line.contains("secret")),
        "{heard:?}"
    );
    // What is erased already makes no further entry anywhere.
    let entries = audit(&mut world).len();
    world.erase(8, &RoomName::lobby(), 1, 1);
    assert_eq!(world.erased.last(), Some(&(8, Ok(0))));
    assert_eq!(audit(&mut world).len(), entries);
}

#[test]
fn an_erasure_that_is_not_possible_is_refused() {
    let mut world = World::new();
    world.join("bob");
    world.say("bob", &message("bob", 1, "secret"));
    world.erase(1, &RoomName::parse("nowhere").unwrap(), 1, 1);
    world.fail = Some(StoreError::Refused);
    world.erase(2, &RoomName::lobby(), 1, 1);
    world.fail = None;
    world.erase(3, &RoomName::lobby(), 1, 1);
    world.hold_commits = true;
    world.post_frame("bob", &message("bob", 2, "last"));
    world.stop();
    world.erase(4, &RoomName::lobby(), 2, 2);
    let refused = Err(EraseError::Unavailable);
    assert_eq!(
        world.erased,
        [
            (1, Err(EraseError::NoRoom)),
            (2, refused),
            (3, Ok(1)),
            (4, refused)
        ]
    );
}

#[test]
fn an_erasure_is_answered_once_it_is_committed() {
    let mut world = World::new();
    world.join("bob");
    world.say("bob", &message("bob", 1, "secret"));
    world.hold_commits = true;
    world.erase(1, &RoomName::lobby(), 1, 1);
    assert!(world.erased.is_empty() & world.hears("bob").is_empty());
    // Those who leave meanwhile don't matter.
    world.post_frame("bob", &ClientFrame::Disconnect);
    world.hold_commits = false;
    world.commit();
    assert_eq!(world.erased, [(1, Ok(1))]);
}
