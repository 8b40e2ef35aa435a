//! Tests that muted, banned and demoted users find no way round it.

use super::*;
use crate::server::log::StateStore;

/// A server whose owner, alice, has muted bob.
fn with_muted_bob(address: &str) -> World {
    let mut world = World::with_owner();
    world.comes("bob", address);
    let mute = AdminCommand::Mute {
        nickname: nick("bob"),
        seconds: None,
        reason: None,
    };
    world.orders("alice", mute);
    world.hears("alice");
    world
}

fn wants(nickname: &str) -> ClientFrame {
    ClientFrame::Nick {
        nickname: nick(nickname),
        reference: None,
    }
}

#[test]
fn a_muted_user_says_nothing_by_nicknames() {
    let mut world = with_muted_bob("198.51.100.7");
    world.hears("bob");
    assert_eq!(
        world.say("bob", &wants("alice is a fool")),
        ["error not_allowed"]
    );
    // Nor by a second session, by joining again, or as a user without an account.
    let other = |name| Join {
        nickname: nick("alice is a fool"),
        ..join(name)
    };
    let heard = world.enter("again", &key("bob"), FAR, other("bob"));
    assert_eq!(heard, ["error not_allowed", "closed"]);
    world.cut("bob");
    let heard = world.enter("bob", &key("bob"), FAR, other("bob"));
    assert_eq!(heard, ["error not_allowed", "closed"]);
    assert!(world.comes("bob", FAR).starts_with("welcome bob"));
    world.comes("eve", "198.51.100.7");
    assert!(
        world
            .say("eve", &wants("fools"))
            .contains(&"error not_allowed".to_owned())
    );
    // Other users may.
    world.comes("carol", FAR);
    assert_eq!(
        world.say("carol", &wants("cara")),
        ["nick cara", "carol is cara"]
    );
    assert!(
        !world
            .hears("alice")
            .iter()
            .any(|heard| heard.contains("fool"))
    );
}

#[test]
fn a_muted_user_joins_rarely() {
    let place = "198.51.100.7";
    let limits = Limits {
        muted_joins: Limits::default().muted_joins,
        ..Limits::NONE
    };
    let settings = Settings {
        limits,
        ..settings_for(Access::Open)
    };
    let mut world = with_muted_bob(place).again(settings);
    let come = |world: &mut World, name: &'static str| {
        let heard = world.comes(name, place);
        let came = heard.starts_with("welcome");
        assert!(came || heard == "error rate_limited, try again", "{heard}");
        came
    };
    assert_eq!(
        [(); 6].map(|()| come(&mut world, "bob")),
        [true, true, true, false, false, false]
    );
    // Fresh keys from the same site count as one.
    let names = ["e1", "e2", "e3", "e4", "e5"];
    assert_eq!(
        names.map(|name| come(&mut world, name)),
        [true, true, true, false, false]
    );
    world.advance(Duration::from_mins(1));
    assert_eq!(
        ["f1", "f2"].map(|name| come(&mut world, name)),
        [true, false]
    );
    for _ in 0..10 {
        assert!(world.comes("carol", FAR).starts_with("welcome"));
    }
}

#[test]
fn a_muted_moderator_changes_nothing_that_all_read() {
    let mut world = World::with_owner();
    world.comes("bob", FAR);
    world.comes("carol", FAR);
    let nickname = nick("bob");
    let role = Role::Moderator;
    world.orders("alice", AdminCommand::Role { nickname, role });
    let mute = AdminCommand::Mute {
        nickname: nick("bob"),
        seconds: None,
        reason: None,
    };
    world.orders("alice", mute);
    world.hears("bob");
    let topic = AdminCommand::Topic {
        room: RoomId::LOBBY,
        topic: Some(Line::inert("alice is a fool")),
    };
    let kick = AdminCommand::Kick {
        nickname: nick("carol"),
        reason: Some(Line::inert("alice is a fool")),
    };
    for command in [topic, kick] {
        assert_eq!(world.orders("bob", command), ["error not_allowed"]);
    }
    assert!(world.orders("bob", AdminCommand::Devices)[0].starts_with("result"));
}

#[test]
fn a_demoted_or_banned_user_leaves_no_invite_behind() {
    let role = |role| AdminCommand::Role {
        nickname: nick("bob"),
        role,
    };
    let ban = AdminCommand::Ban {
        nickname: nick("bob"),
        seconds: Some(60),
        reason: None,
    };
    let invite = AdminCommand::Invite {
        uses: 0,
        seconds: None,
    };
    for end in [role(Role::Member), ban] {
        let mut world = World::with_owner();
        world.comes("bob", FAR);
        world.orders("alice", role(Role::Moderator));
        let theirs = world.result_of("bob", invite.clone()).invite.unwrap();
        // An invite of the operator's command.
        let id = InviteId::from_bytes([1; 8]);
        let operators = InviteToken::mint(&access_settings().invite_key, id, 9_000_000_000, 0);
        // Another user has the name under which they made it.
        world.say("bob", &wants("robert"));
        let end = match end {
            AdminCommand::Role { role, .. } => AdminCommand::Role {
                nickname: nick("robert"),
                role,
            },
            _ => AdminCommand::Ban {
                nickname: nick("robert"),
                seconds: Some(60),
                reason: None,
            },
        };
        let message = world.result_of("alice", end).message;
        assert!(message.as_str().contains("(1) were revoked"), "{message}");
        let audit = world.result_of("alice", AdminCommand::Audit { before: None });
        let said = |line: &Line| line.as_str().contains("revoked 1 invite of robert");
        assert!(audit.lines.iter().any(said), "{:?}", audit.lines);
        let mut world = world.again(settings_for(Access::Invite));
        let with = |invite| Join {
            invite: Some(invite),
            ..join("eve")
        };
        assert_eq!(
            world.comes_with("eve", "203.0.113.5", with(theirs)),
            "error bad_invite"
        );
        assert!(
            world
                .comes_with("eve", "203.0.113.5", with(operators))
                .starts_with("welcome")
        );
    }
}

#[test]
fn an_invite_of_an_older_server_is_known_by_its_makers_nickname() {
    let mut world = World::with_owner();
    world.comes("bob", FAR);
    let value = r#"{"expires":9000000000,"uses":0,"used":2,"revoked":false,"by":"bob"}"#;
    let mut facts = world.store.state().unwrap();
    facts.push(StateRecord {
        kind: "invite".into(),
        key: InviteId::from_bytes([1; 8]).to_string(),
        value: Some(value.to_owned()),
    });
    let mut world = World::with_access(settings_for(Access::Open), &facts);
    world.comes("alice", FAR);
    let ban = AdminCommand::Ban {
        nickname: nick("bob"),
        seconds: None,
        reason: None,
    };
    let message = world.result_of("alice", ban).message;
    assert!(
        message.as_str().contains("2 people have joined with them"),
        "{message}"
    );
}
