//! Records are stored before anybody is told of them: a power failure undoes nothing that was told.

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

/// What this server would know after a power failure now.
fn after_a_power_cut(world: &mut World) -> World {
    world.again(settings_for(Access::Open))
}

#[test]
fn who_is_welcome_under_a_nickname_owns_it_also_after_a_power_cut() {
    let mut world = open();
    world.hold_commits = true;
    assert_eq!(world.comes("carol", FAR), "");
    // The store said where the device stands; that carol owns her nickname is not stored yet.
    world.commit();
    assert_eq!(world.hears("carol"), [""; 0]);
    let mut cut = after_a_power_cut(&mut world);
    let other = Join {
        nickname: nick("carol"),
        ..join("mallory")
    };
    let heard = cut.comes_with("mallory", FAR, other.clone());
    assert!(heard.starts_with("welcome carol"), "{heard}");
    // It is nobody else's meanwhile.
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
    // In the order of asking, the second of them known already.
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
fn what_a_command_does_to_others_is_seen_once_it_is_stored() {
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
    let room = RoomName::lobby();
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
fn what_the_store_refuses_is_in_force_and_seen_when_it_is_stored() {
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
    let room = RoomName::lobby;
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
    assert_eq!(
        world.hub.access.moderation.rules.get(&room()),
        Some(&expected)
    );
}

#[test]
fn who_could_not_be_noted_is_not_let_in_and_comes_back() {
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
fn who_is_known_waits_for_one_commit_and_comes_in_without_space_too() {
    let mut world = open();
    world.comes("carol", FAR);
    world.cut("carol");
    world.hold_commits = true;
    // It would be noted that they were here today.
    world.now.wall += 2 * DAY;
    world.comes("carol", FAR);
    world.commit();
    assert!(world.hears("carol")[0].starts_with("welcome carol"));
    // Nothing can be written, and so nothing is.
    world.fail = Some(StoreError::Refused);
    world.commit();
    assert!(!world.hears("carol").contains(&"closed".to_owned()));
}

#[test]
fn who_closes_before_they_are_noted_leaves_nothing_behind() {
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
    check::<RoomRules>(
        "lobby",
        r#"{"topic":"tea","announce":true,"slow_seconds":5}"#,
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
