//! Tests that records are stored before clients are told of them: a power failure undoes nothing
//! announced.

use std::time::Duration;

use super::*;
use crate::{
    protocol::RoomRules,
    server::{
        core::{
            accounts::nicknames::Owned,
            invites::Invite,
            moderation::{audit::AuditEntry, bans::Ban, mutes::Mute},
            persist::decode,
            rooms::{membership::Membership, record::RoomRecord},
        },
        log::StoreError,
    },
};

const DAY: Duration = Duration::from_hours(24);

fn wants(nickname: &str) -> ClientFrame {
    ClientFrame::Nick {
        nickname: nick(nickname),
        reference: Some(4),
    }
}

/// The server as it would start after a power failure now.
fn after_a_power_cut(world: &mut World) -> World {
    world.again(settings_for(Access::Open))
}

#[test]
fn a_welcomed_user_owns_their_nickname_also_after_a_power_cut() {
    let mut world = open();
    world.hold_commits = true;
    assert_eq!(world.comes("carol", FAR), "");
    // The store has read the device's state; carol's nickname is not stored yet.
    world.commit();
    assert_eq!(world.hears("carol"), [""; 0]);
    let mut cut = after_a_power_cut(&mut world);
    let other = Join {
        nickname: nick("carol"),
        ..join("mallory")
    };
    let heard = cut.comes_with("mallory", FAR, other.clone());
    assert!(heard.starts_with("welcome carol"), "{heard}");
    // Nobody else can take it in the meantime.
    assert_eq!(
        world.join_as("mallory", other.clone()),
        ["error nickname_in_use", "closed"]
    );
    world.commit();
    assert!(world.hears("carol")[0].starts_with("welcome carol"));
    let mut cut = after_a_power_cut(&mut world);
    assert_eq!(
        cut.comes_with("mallory", FAR, other),
        "error nickname_in_use"
    );
    assert!(cut.comes("carol", FAR).starts_with("welcome carol"));
}

#[test]
fn a_nickname_that_is_taken_is_told_to_nobody_before_it_is_stored() {
    let mut world = open();
    world.comes("carol", FAR);
    world.comes("dave", FAR);
    world.hears("carol");
    world.hold_commits = true;
    // In the order of the requests; the second nickname is theirs already.
    world.post_frame("carol", &wants("caroline"));
    world.post_frame("carol", &wants("carol"));
    assert_eq!(world.hears("carol"), [""; 0]);
    assert_eq!(world.hears("dave"), [""; 0]);
    world.hold_commits = false;
    world.commit();
    assert_eq!(
        world.hears("dave"),
        ["carol is caroline", "caroline is carol"]
    );
    assert_eq!(
        world.hears("carol"),
        [
            "nick caroline",
            "nick carol",
            "carol is caroline",
            "caroline is carol"
        ]
    );
    world.fail = Some(StoreError::Refused);
    assert_eq!(
        world.say("carol", &wants("cara")),
        ["error not_durable, try again"]
    );
    assert_eq!(world.hears("dave"), [""; 0]);
    assert_eq!(
        world.say("carol", &wants("cara")),
        ["nick cara", "carol is cara"]
    );
}

#[test]
fn effects_of_a_command_are_seen_once_it_is_stored() {
    let nickname = || nick("bob");
    let (seconds, reason) = (None, None);
    let kick = AdminCommand::Kick {
        nickname: nickname(),
        reason: None,
    };
    let ban = AdminCommand::Ban {
        nickname: nickname(),
        seconds,
        reason,
    };
    let role = AdminCommand::Role {
        nickname: nickname(),
        role: Role::Moderator,
    };
    let room = RoomId::LOBBY;
    let topic = AdminCommand::Topic {
        room,
        topic: Some(Line::inert("tea")),
    };
    for command in [kick, ban, role, topic] {
        let mut world = World::with_owner();
        world.comes("bob", FAR);
        world.comes("carol", FAR);
        for name in ["alice", "bob", "carol"] {
            world.hears(name);
        }
        world.hold_commits = true;
        assert_eq!(world.orders("alice", command.clone()), [""; 0]);
        let heard = [world.hears("bob"), world.hears("carol")];
        assert!(heard.concat().is_empty(), "{command:?}: {heard:?}");
        world.commit();
        let heard = [world.hears("bob"), world.hears("carol")];
        assert!(
            heard.iter().all(|h| !h.is_empty()),
            "{command:?}: {heard:?}"
        );
        assert!(!world.hears("alice").is_empty(), "{command:?}");
    }
}

#[test]
fn changes_that_the_store_refuses_are_in_force_and_seen_once_stored() {
    let mut world = World::with_owner();
    world.comes("bob", FAR);
    world.hears("alice");
    world.fail = Some(StoreError::Refused);
    let ban = AdminCommand::Ban {
        nickname: nick("bob"),
        seconds: None,
        reason: None,
    };
    assert_eq!(world.orders("alice", ban), ["error not_durable"]);
    world.hold_commits = true;
    let again = world.enter("again", &key("bob"), FAR, join("bob"));
    assert_eq!(again, ["error banned", "closed"]);
    world.advance(Duration::from_secs(2));
    assert_eq!(world.hears("bob"), [""; 0]);
    world.commit();
    assert_eq!(world.hears("bob"), ["bye Banned", "closed"]);
}

#[test]
fn two_changes_of_a_room_at_once_are_both_kept() {
    let mut world = World::with_owner();
    world.hold_commits = true;
    let room = || RoomId::LOBBY;
    let topic = Some(Line::inert("tea"));
    world.orders(
        "alice",
        AdminCommand::Topic {
            room: room(),
            topic: topic.clone(),
        },
    );
    world.orders(
        "alice",
        AdminCommand::Slow {
            room: room(),
            seconds: 5,
        },
    );
    world.hold_commits = false;
    world.commit();
    let expected = RoomRules {
        topic,
        slow_seconds: 5,
        ..RoomRules::default()
    };
    let lobby = world.hub.access.rooms.get(room());
    assert_eq!(lobby.map(|lobby| &lobby.rules), Some(&expected));
}

#[test]
fn a_user_who_cannot_be_stored_is_refused_and_can_retry() {
    let mut world = open();
    world.hold_commits = true;
    world.comes("carol", FAR);
    world.commit();
    world.fail = Some(StoreError::Refused);
    world.commit();
    assert_eq!(
        world.hears("carol"),
        ["error not_durable, try again", "closed"]
    );
    world.hold_commits = false;
    assert!(world.comes("carol", FAR).starts_with("welcome carol"));
    let mut cut = after_a_power_cut(&mut world);
    assert!(cut.comes("carol", FAR).starts_with("welcome carol"));
}

#[test]
fn a_known_user_waits_for_one_commit_and_joins_without_disk_space_too() {
    let mut world = open();
    world.comes("carol", FAR);
    world.cut("carol");
    world.hold_commits = true;
    // The server would note that they were seen today.
    world.now.wall += 2 * DAY;
    world.comes("carol", FAR);
    world.commit();
    assert!(world.hears("carol")[0].starts_with("welcome carol"));
    // Nothing can be written, so nothing is.
    world.fail = Some(StoreError::Refused);
    world.commit();
    assert!(!world.hears("carol").contains(&"closed".to_owned()));
}

#[test]
fn a_client_that_closes_before_it_is_stored_leaves_nothing_behind() {
    let mut world = open();
    world.hold_commits = true;
    world.comes("carol", FAR);
    world.commit();
    world.cut("carol");
    world.hold_commits = false;
    world.commit();
    assert_eq!(world.hub.present(), 0);
    assert!(world.comes("carol", FAR).starts_with("welcome carol"));
    world.stop();
    assert_eq!(world.finished, Some(false));
}

#[test]
fn records_are_written_as_they_were_before() {
    fn check<R: Record>(key: &str, value: &str) {
        let record = StateRecord {
            kind: R::KIND.into(),
            key: key.to_owned(),
            value: Some(value.to_owned()),
        };
        let (read_key, read) = decode::<R>(&record).expect(value);
        assert_eq!(
            (R::key(&read_key), read.encode()),
            (record.key, value.to_owned())
        );
    }
    let key = key("carol").public();
    let (user, number) = (key.user(), "00000000000000000007");
    check::<Account>(
        &user.to_string(),
        &format!(
            r#"{{"role":"moderator","admitted":true,"since":7,"wrote":null,"keys":[{{"key":"{key}","added":7,"seen":9}}]}}"#
        ),
    );
    check::<Owned>(
        "4c26d9074c27d89ede59270c0ac14b71",
        &format!(r#"{{"user":"{user}","nickname":"carol","used":7}}"#),
    );
    check::<Ban>(
        number,
        &format!(
            r#"{{"user":"{user}","nickname":"carol","sites":["192.0.2.1","2001:db8::"],"at":7,"until":null,"by":"alice","rank":"owner","reason":"spam","of":"{user}"}}"#
        ),
    );
    check::<Mute>(
        &user.to_string(),
        r#"{"nickname":"carol","sites":["192.0.2.1"],"at":7,"until":9,"rank":"moderator"}"#,
    );
    check::<RoomRecord>(
        "lobby",
        r#"{"topic":"tea","announce":true,"slow_seconds":5,"kind":"public","name":"lobby","archived":false,"made_at":0,"earlier":0}"#,
    );
    check::<Membership>(
        &format!("{user} lobby"),
        r#"{"spans":[[7,9],[12,null]],"read":7}"#,
    );
    check::<Invite>(
        "0101010101010101",
        &format!(
            r#"{{"expires":9,"uses":1,"used":0,"revoked":false,"by":"alice","by_user":"{user}"}}"#
        ),
    );
    check::<AuditEntry>(
        number,
        &format!(r#"{{"at":7,"user":"{user}","nickname":"alice","deed":"made the invite"}}"#),
    );
}
