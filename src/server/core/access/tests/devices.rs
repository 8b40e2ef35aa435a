//! Tests that a device stays its owner's: neither a stolen token nor an impossible number takes it
//! away.

use super::*;
use crate::protocol::{ClientId, limits};

/// A join with carol's token, but without her key.
fn stolen(nickname: &'static str) -> Join {
    Join {
        nickname: nick(nickname),
        ..join("carol")
    }
}

#[test]
fn a_stolen_token_takes_over_no_session_and_uses_up_no_numbers() {
    let mut world = open();
    world.comes("carol", FAR);
    world.say("carol", &message("carol", 1, "hello"));
    for next in [None, Some(1), Some(limits::NUMBER_MAX)] {
        let wish = Join {
            next,
            ..stolen("eve")
        };
        let keyless = Join {
            nickname: nick("nobody"),
            ..wish.clone()
        };
        let keyless = world.join_as("nobody", keyless);
        assert_eq!(keyless, ["error bad_id", "closed"], "{next:?}");
        // A thief with a key gets a device of their own.
        let heard = world.comes_with("eve", FAR, wish);
        let own = heard.starts_with("welcome eve, counter 0");
        assert!(own || next == Some(limits::NUMBER_MAX), "{next:?}: {heard}");
    }
    // Carol's session continues; also on another connection.
    assert!(!world.hears("carol").contains(&"closed".to_owned()));
    let heard = world.say("carol", &message("carol", 2, "still here"));
    assert_eq!(heard, ["2 carol: still here"]);
    let heard = world.comes("carol", FAR);
    assert!(heard.starts_with("welcome carol, counter 2"), "{heard}");
}

#[test]
fn a_device_of_before_is_its_owners_from_their_next_proof_on() {
    let mut world = open();
    world.join("carol");
    world.say("carol", &message("carol", 1, "without a key"));
    world.cut("carol");
    // The same device: messages without an acknowledgement can be sent again, and are stored once.
    let heard = world.comes("carol", FAR);
    assert!(heard.starts_with("welcome carol, counter 1"), "{heard}");
    let heard = world.say("carol", &message("carol", 1, "without a key"));
    assert!(heard.contains(&"ack 1 stored 1".to_owned()), "{heard:?}");
    world.cut("carol");
    let wish = stolen("eve");
    assert_eq!(world.join_as("eve", wish), ["error bad_id", "closed"]);
}

#[test]
fn a_device_that_came_by_a_code_comes_without_it_afterwards() {
    let mut world = open();
    world.comes("carol", FAR);
    let code = world.result_of("carol", AdminCommand::AddDevice).code;
    let wish = Join {
        nickname: nick("carol"),
        client_id: ClientId::parse("2").unwrap(),
        code,
        ..join("tablet")
    };
    assert!(
        world
            .comes_with("tablet", FAR, wish.clone())
            .starts_with("welcome carol")
    );
    let again = Join { code: None, ..wish };
    let heard = world.comes_with("tablet", FAR, again);
    assert!(heard.starts_with("welcome carol"), "{heard}");
}

/// A world in which carol has added a phone by a code.
fn with_phone() -> World {
    let mut world = World::with_owner();
    world.comes("carol", FAR);
    let code = world.result_of("carol", AdminCommand::AddDevice).code;
    let phone = Join {
        nickname: nick("carol"),
        client_id: ClientId::parse("phone").unwrap(),
        code,
        ..join("phone")
    };
    let heard = world.comes_with("phone", FAR, phone);
    assert!(heard.starts_with("welcome carol"), "{heard}");
    world
}

fn revoke(block: bool) -> AdminCommand {
    AdminCommand::RevokeDevice {
        key: key("phone").public().tag(),
        block,
    }
}

#[test]
fn a_revoked_device_comes_as_somebody_new_unless_it_is_blocked() {
    for block in [false, true] {
        let mut world = with_phone();
        let said = world.result_of("carol", revoke(block)).message;
        let said = said.as_str();
        assert!(said.contains("is revoked"), "{said}");
        let goes_on = if block { "/unban key-" } else { "ID block" };
        assert!(said.contains(goes_on), "{said}");
        assert!(world.hears("phone").contains(&"closed".to_owned()));
        let mut world = world.again(settings_for(Access::Open));
        let heard = world.comes_with("phone", "203.0.113.9", join("phone"));
        let expected = if block {
            "error banned"
        } else {
            "welcome phone"
        };
        assert!(heard.starts_with(expected), "{block}: {heard}");
        // Nobody else is blocked.
        assert!(world.comes("carol", FAR).starts_with("welcome carol"));
        assert!(world.comes("dave", FAR).starts_with("welcome dave"));
    }
}

#[test]
fn a_blocked_device_is_listed_and_let_back_by_the_owner_only() {
    let mut world = with_phone();
    world.orders("carol", revoke(true));
    world.comes("mod", FAR);
    let role = AdminCommand::Role {
        nickname: nick("mod"),
        role: Role::Moderator,
    };
    world.orders("alice", role);
    let lines = world.result_of("alice", AdminCommand::Bans).lines;
    let name = format!("key-{}", key("phone").public().tag());
    assert!(lines[0].as_str().starts_with(&name), "{lines:?}");
    let unban = AdminCommand::Unban {
        nickname: Nickname::parse(&name).unwrap(),
    };
    world.hears("mod");
    assert_eq!(world.orders("mod", unban.clone()), ["error not_allowed"]);
    // Nor does a code admit it.
    let code = world.result_of("carol", AdminCommand::AddDevice).code;
    let wish = Join {
        nickname: nick("carol"),
        client_id: ClientId::parse("again").unwrap(),
        code,
        ..join("phone")
    };
    assert_eq!(world.comes_with("phone", FAR, wish.clone()), "error banned");
    world.orders("alice", unban);
    let heard = world.comes_with("phone", FAR, wish);
    assert!(heard.starts_with("welcome carol"), "{heard}");
}
