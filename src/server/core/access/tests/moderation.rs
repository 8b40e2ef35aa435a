//! Tests of moderation: kicks, bans, mutes, and the rules of rooms.

use super::*;

#[test]
fn moderators_kick_users_below_them() {
    let mut world = World::with_owner();
    for name in ["bob", "carol", "dave"] {
        world.comes(name, FAR);
    }
    for name in ["bob", "carol"] {
        let nickname = nick(name);
        let role = Role::Moderator;
        world.orders("alice", AdminCommand::Role { nickname, role });
    }
    for name in ["alice", "bob", "carol", "dave"] {
        world.hears(name);
    }
    let kick = |name: &str| AdminCommand::Kick {
        nickname: nick(name),
        reason: Some(Line::inert("too loud")),
    };
    assert_eq!(world.orders("dave", kick("bob")), ["error not_allowed"]);
    assert_eq!(world.orders("bob", kick("alice")), ["error not_allowed"]);
    assert_eq!(world.orders("bob", kick("carol")), ["error not_allowed"]);
    assert_eq!(world.orders("bob", kick("bob")), ["error not_allowed"]);
    assert_eq!(world.orders("bob", kick("nobody")), ["error not_found"]);
    let heard = world.orders("bob", kick("dave"));
    assert_eq!(heard, ["result dave was kicked", "dave left Kicked"]);
    assert_eq!(world.hears("dave"), ["bye Kicked", "closed"]);
    // A kicked user may join again.
    assert!(world.comes("dave", FAR).starts_with("welcome"));
}

#[test]
fn a_ban_keeps_the_key_out_and_strangers_from_there() {
    let mut world = World::with_owner();
    world.comes("bob", "203.0.113.7");
    world.comes("carol", "203.0.113.7");
    world.cut("carol");
    world.hears("alice");
    let ban = AdminCommand::Ban {
        nickname: nick("bob"),
        seconds: Some(3_600),
        reason: None,
    };
    world.advance(Duration::from_secs(1));
    let heard = world.orders("alice", ban);
    assert!(
        heard.contains(&"result bob is banned for 1 hour".to_owned()),
        "{heard:?}"
    );
    assert!(world.hears("bob").contains(&"bye Banned".to_owned()));
    assert_eq!(world.comes("bob", FAR), "error banned");
    assert_eq!(world.comes("eve", "203.0.113.7"), "error banned");
    // A user with an older account is not affected by their neighbour's ban.
    assert!(world.comes("carol", "203.0.113.7").starts_with("welcome"));
    assert!(world.comes("eve", FAR).starts_with("welcome"));
    let mut after = world.again(settings_for(Access::Open));
    assert_eq!(after.comes("bob", FAR), "error banned");
    after.advance(Duration::from_secs(3_700));
    assert!(after.comes("bob", FAR).starts_with("welcome"));
    world.hears("alice");
    let nickname = nick("bob");
    world.orders("alice", AdminCommand::Unban { nickname });
    assert!(world.comes("bob", "203.0.113.7").starts_with("welcome"));
}

#[test]
fn the_muted_and_a_room_for_announcements_refuse_messages_for_good() {
    let mut world = World::with_owner();
    world.comes("bob", FAR);
    let nickname = || nick("bob");
    let mute = AdminCommand::Mute {
        nickname: nickname(),
        seconds: None,
        reason: None,
    };
    world.orders("alice", mute);
    world.hears("bob");
    assert_eq!(
        world.say("bob", &message("bob", 1, "but…")),
        ["error not_allowed 1"]
    );
    world.orders(
        "alice",
        AdminCommand::Unmute {
            nickname: nickname(),
        },
    );
    world.hears("bob");
    assert_eq!(
        world.say("bob", &message("bob", 2, "thanks")),
        ["1 bob: thanks"]
    );
    let room = RoomId::LOBBY;
    world.orders("alice", AdminCommand::Announce { room, on: true });
    world.hears("bob");
    assert_eq!(
        world.say("bob", &message("bob", 3, "oh")),
        ["error not_allowed 3"]
    );
    world.hears("alice");
    assert_eq!(
        world.say("alice", &message("alice", 1, "release at 4")),
        ["2 alice: release at 4"]
    );
}

/// A world in which bob may send a message every 30 s.
fn slow() -> World {
    let mut world = World::with_owner();
    world.comes("bob", FAR);
    let slow = AdminCommand::Slow {
        room: RoomId::LOBBY,
        seconds: 30,
    };
    world.orders("alice", slow);
    world
}

#[test]
fn in_a_slow_room_a_message_is_refused_and_nothing_waits_for_it() {
    let mut world = slow();
    world.hears("bob");
    assert_eq!(world.say("bob", &message("bob", 1, "one")), ["1 bob: one"]);
    assert_eq!(
        world.say("bob", &message("bob", 2, "two")),
        ["error not_allowed 2"]
    );
    // Elsewhere they go on, and here once the time is over.
    // A stored message is acknowledged at once.
    assert_eq!(
        world.say("bob", &message("bob", 1, "one")),
        ["ack 1 stored 1"]
    );
    world.advance(Duration::from_secs(31));
    world.hears("bob");
    assert_eq!(world.say("bob", &message("bob", 3, "two")), ["2 bob: two"]);
}

#[test]
fn a_message_that_waits_for_its_commit_counts_in_a_slow_room() {
    let mut world = slow();
    world.hears("bob");
    world.hold_commits = true;
    assert_eq!(world.say("bob", &message("bob", 1, "one")), [""; 0]);
    world.say("bob", &message("bob", 2, "two"));
    world.hold_commits = false;
    while world.commits() {
        world.commit();
    }
    assert_eq!(world.hears("bob"), ["error not_allowed 2", "1 bob: one"]);
}

#[test]
fn rules_are_told_and_outlive_the_server() {
    let mut world = World::with_owner();
    world.comes("bob", FAR);
    world.hears("bob");
    let topic = AdminCommand::Topic {
        room: RoomId::LOBBY,
        topic: Some(Line::inert("tea at 4")),
    };
    let heard = world.orders("alice", topic);
    assert!(
        heard.iter().any(|heard| heard.contains("tea at 4")),
        "{heard:?}"
    );
    let heard = world.hears("bob");
    assert!(
        heard.iter().any(|heard| heard.contains("tea at 4")),
        "{heard:?}"
    );
    let mut world = world.again(settings_for(Access::Open));
    world.enter("bob", &key("bob"), FAR, join("bob"));
    let client = world.client("bob");
    client.heard.clear();
    world.cut("bob");
    world.connect("bob");
    let mut bytes = Vec::new();
    crate::protocol::wire::encode_client(&ClientFrame::Join(Box::new(join("x"))), &mut bytes);
    world.post("bob", &bytes);
    let rules = world
        .client("bob")
        .heard
        .iter()
        .find_map(|frame| match frame {
            ServerFrame::Members(page) => page.rules.clone(),
            _ => None,
        });
    assert_eq!(rules.unwrap().topic, Some(Line::inert("tea at 4")));
}

#[test]
fn sanctions_of_a_higher_role_cannot_be_lifted() {
    let mut world = with_moderators();
    world.comes("dave", FAR);
    world.comes("eve", FAR);
    for command in [mute("bob"), mute("dave"), ban("eve")] {
        world.orders("alice", command);
    }
    let mut world = world.again(settings_for(Access::Open));
    for name in ["alice", "bob", "carol", "dave"] {
        world.comes(name, FAR);
    }
    let unmute = |name| AdminCommand::Unmute {
        nickname: nick(name),
    };
    let unban = AdminCommand::Unban {
        nickname: nick("eve"),
    };
    let briefly = AdminCommand::Ban {
        nickname: nick("eve"),
        seconds: Some(1),
        reason: None,
    };
    for (who, command) in [
        ("bob", unmute("bob")),
        ("carol", unmute("bob")),
        ("carol", unmute("dave")),
        ("carol", mute("dave")),
        ("carol", unban.clone()),
        ("carol", briefly),
    ] {
        world.hears(who);
        let heard = world.orders(who, command.clone());
        assert_eq!(heard, ["error not_allowed"], "{who}: {command:?}");
    }
    for command in [unmute("bob"), unmute("dave"), unban] {
        world.hears("alice");
        let heard = world.orders("alice", command);
        assert!(heard[0].starts_with("result"), "{heard:?}");
    }
    // A moderator lifts the ban or mute of another moderator.
    world.orders("bob", mute("dave"));
    world.hears("carol");
    let heard = world.orders("carol", unmute("dave"));
    assert!(heard[0].starts_with("result"), "{heard:?}");
}

#[test]
fn a_user_who_has_just_left_can_be_banned() {
    let there = "203.0.113.7";
    let mut world = World::with_owner();
    // Without a key, and with one.
    world.connect_from("bob", there);
    world.say("bob", &ClientFrame::Join(Box::new(join("bob"))));
    world.cut("bob");
    world.hears("alice");
    let kick = AdminCommand::Kick {
        nickname: nick("bob"),
        reason: None,
    };
    assert_eq!(world.orders("alice", kick), ["error not_found"]);
    let heard = world.orders("alice", ban("bob"));
    assert!(heard[0].starts_with("result bob is banned"), "{heard:?}");
    assert_eq!(world.comes("eve", there), "error banned");
    assert!(world.comes("dave", "203.0.113.8").starts_with("welcome"));
    world.cut("dave");
    world.orders("alice", ban("dave"));
    assert_eq!(world.comes("eve", "203.0.113.8"), "error banned");
    // An hour later the name is forgotten.
    world.connect_from("mallory", FAR);
    world.say("mallory", &ClientFrame::Join(Box::new(join("mallory"))));
    world.cut("mallory");
    world.cut("alice");
    world.advance(Duration::from_hours(1));
    world.comes("alice", FAR);
    world.hears("alice");
    assert_eq!(world.orders("alice", ban("mallory")), ["error not_found"]);
}

#[test]
fn a_fresh_key_or_none_does_not_end_a_mute() {
    let there = "203.0.113.7";
    let mut world = World::with_owner();
    world.comes("carol", there);
    world.comes("bob", there);
    world.advance(Duration::from_secs(1));
    world.orders("alice", mute("bob"));
    world.cut("bob");
    assert!(world.comes("eve", there).starts_with("welcome"));
    world.hears("eve");
    let heard = world.say("eve", &message("eve", 1, "it is me"));
    assert_eq!(heard, ["error not_allowed 1"]);
    world.connect_from("dave", there);
    world.say("dave", &ClientFrame::Join(Box::new(join("dave"))));
    world.hears("dave");
    let heard = world.say("dave", &message("dave", 1, "it is me"));
    assert_eq!(heard, ["error not_allowed 1"]);
    // A user with an older account is not affected by their neighbour's mute, also after a restart.
    world.hears("carol");
    let heard = world.say("carol", &message("carol", 1, "hi"));
    assert_eq!(heard, ["1 carol: hi"]);
    let mut after = world.again(settings_for(Access::Open));
    after.advance(Duration::from_mins(1));
    after.comes("frank", there);
    after.hears("frank");
    let heard = after.say("frank", &message("frank", 1, "it is me"));
    assert_eq!(heard, ["error not_allowed 1"]);
    // Nobody is affected once it is lifted.
    let nickname = nick("bob");
    world.orders("alice", AdminCommand::Unmute { nickname });
    world.hears("eve");
    let heard = world.say("eve", &message("eve", 2, "thanks"));
    assert_eq!(heard, ["2 eve: thanks"]);
}

#[test]
fn no_list_is_longer_than_a_frame() {
    let mut world = World::with_owner();
    let room = RoomId::LOBBY;
    let topic = "\"\\".repeat(500);
    for _ in 0..250 {
        let topic = Some(Line::inert(&topic));
        world.orders("alice", AdminCommand::Topic { room, topic });
    }
    let result = world.result_of("alice", AdminCommand::Audit { before: None });
    let (told, message) = (result.lines.len(), result.message.as_str());
    let lines: Vec<_> = result.lines.iter().map(Line::as_str).collect();
    let bytes = serde_json::to_string(&lines).unwrap().len();
    let most = crate::protocol::limits::FRAME_BYTES_MAX - 2_048;
    assert!(bytes < most, "{bytes}");
    assert!(told > 50, "{told}");
    let expected = format!("Audit trail, newest first: the first {told} of 251");
    assert_eq!(message, expected);
}
