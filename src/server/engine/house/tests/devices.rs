//! A device is its owner's: neither a token that was seen nor a number that can't be takes it away.

use super::*;
use crate::protocol::{ClientId, limits};

/// With carol's token, but not with her key.
fn stolen(nickname: &'static str) -> Join {
    Join {
        nickname: nick(nickname),
        ..join("carol")
    }
}

#[test]
fn who_has_seen_a_token_takes_no_session_over_and_uses_no_numbers_up() {
    let mut world = open();
    world.comes("carol", FAR);
    world.say("carol", &message("carol", 1, "hello"));
    for next in [None, Some(1), Some(limits::NUMBER_MAX)] {
        let wish = Join {
            next,
            ..stolen("eve")
        };
        let keyless = world.join_as("eve", wish.clone());
        assert_eq!(keyless, ["error bad_id", "closed"], "{next:?}");
        assert_eq!(world.comes_with("eve", FAR, wish), "error bad_id");
    }
    // They heard nothing of it, and go on; also in another connection.
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
    // The same device: what they had not heard of can be sent again, and is there once.
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
    let code = world.result_of("carol", HouseCommand::AddDevice).code;
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
