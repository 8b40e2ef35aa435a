//! Tests of admission: access, invites, codes, a crowd of new keys.

use super::*;

#[test]
fn a_proof_is_good_for_one_challenge_only() {
    let mut world = open();
    let carol = key("carol");
    world.connect("carol");
    let wish = Join {
        key: Some(carol.public()),
        ..join("carol")
    };
    assert_eq!(
        world.say("carol", &ClientFrame::Join(Box::new(wish.clone()))),
        ["challenge"]
    );
    // The proof of another nonce.
    let binding = crate::server::core::testing::binding();
    let signature = carol.prove(&binding, &crate::protocol::Nonce::from_bytes([0; 32]));
    assert_eq!(
        world.say("carol", &ClientFrame::Proof { signature }),
        ["error bad_proof", "closed"]
    );
    // Any other frame in its place.
    world.connect("carol");
    world.say("carol", &ClientFrame::Join(Box::new(wish)));
    assert_eq!(
        world.say("carol", &message("carol", 1, "hello?")),
        ["error join_expected", "closed"]
    );
    // A proof without a challenge.
    world.join("bob");
    assert_eq!(
        world.say("bob", &ClientFrame::Proof { signature }),
        ["error join_expected", "closed"]
    );
    assert_eq!(world.hub.present(), 0);
}

#[test]
fn admission_follows_the_operators_choice() {
    let cases = [
        (Access::Local, LAN, true, true),
        (Access::Local, "127.0.0.1", true, true),
        (Access::Local, FAR, false, false),
        (Access::Open, FAR, true, true),
        (Access::Invite, "127.0.0.1", false, false),
        (Access::Password, "127.0.0.1", false, false),
    ];
    for (access, address, keyed, legacy) in cases {
        let mut world = World::with_access(settings_for(access), &[]);
        let heard = world.comes("carol", address);
        assert_eq!(heard.starts_with("welcome"), keyed, "{access:?}: {heard}");
        world.connect_from("bob", address);
        let heard = world.say("bob", &ClientFrame::Join(Box::new(join("bob"))));
        assert_eq!(
            heard[0].starts_with("welcome"),
            legacy,
            "{access:?}: {heard:?}"
        );
        let expected = match access {
            Access::Password => "error password_required",
            _ => "error access_denied",
        };
        if !keyed {
            assert_eq!(world.comes("carol", address), expected);
        }
    }
}

#[test]
fn an_invite_lets_in_for_good_and_so_many_times() {
    let settings = settings_for(Access::Invite);
    let now = 1_795_338_000;
    let mint = |id: u8, expires: u64, uses: u16| {
        InviteToken::mint(
            &settings.invite_key,
            InviteId::from_bytes([id; 8]),
            expires,
            uses,
        )
    };
    let with = |name: &'static str, token: InviteToken| Join {
        invite: Some(token),
        ..join(name)
    };
    let mut world = World::with_access(settings.clone(), &[]);
    let good = mint(1, now + 86_400, 2);
    for name in ["carol", "bob"] {
        let heard = world.comes_with(name, FAR, with(name, good));
        assert!(heard.starts_with("welcome"), "{heard}");
    }
    assert_eq!(
        world.comes_with("eve", FAR, with("eve", good)),
        "error bad_invite"
    );
    let old = mint(2, now - 86_400, 0);
    assert_eq!(
        world.comes_with("eve", FAR, with("eve", old)),
        "error bad_invite"
    );
    let forged = InviteToken::mint(
        &crate::protocol::InviteKey::from_bytes([0; 32]),
        InviteId::from_bytes([3; 8]),
        now + 86_400,
        0,
    );
    assert_eq!(
        world.comes_with("eve", FAR, with("eve", forged)),
        "error bad_invite"
    );
    // Without a key the user could not be recognized later.
    world.connect("eve");
    let keyless = with("eve", mint(4, now + 86_400, 0));
    let heard = world.say("eve", &ClientFrame::Join(Box::new(keyless)));
    assert_eq!(heard, ["error access_denied", "closed"]);
    // An admitted user needs no invite any more; a used invite stays used.
    let mut world = world.again(settings);
    assert!(world.comes("carol", FAR).starts_with("welcome"));
    assert_eq!(
        world.comes_with("eve", FAR, with("eve", good)),
        "error bad_invite"
    );
}

#[test]
fn another_device_comes_in_by_a_code_once() {
    let mut world = open();
    world.comes("carol", FAR);
    let code = world.result_of("carol", AdminCommand::AddDevice).code;
    let phone = Join {
        client_id: crate::protocol::ClientId::parse("phone").unwrap(),
        nickname: nick("carol"),
        code,
        ..join("phone")
    };
    let heard = world.enter("phone", &key("phone"), FAR, phone.clone());
    assert!(heard[0].starts_with("welcome carol"), "{heard:?}");
    // One member, with two sessions.
    assert_eq!(world.hub.present(), 2);
    let lines = world.result_of("carol", AdminCommand::Devices).lines;
    assert_eq!(lines.len(), 2);
    // The code works once.
    let heard = world.enter("eve", &key("eve"), FAR, phone);
    assert_eq!(heard, ["error bad_code", "closed"]);
    // The device is revoked again.
    let tag = |key: PublicKey| key.tag();
    let key_of_phone = tag(key("phone").public());
    world.hears("phone");
    let heard = world.orders(
        "carol",
        AdminCommand::RevokeDevice {
            key: key_of_phone,
            block: false,
        },
    );
    assert!(heard[0].contains("is revoked"), "{heard:?}");
    assert_eq!(world.hears("phone"), ["bye Kicked", "closed"]);
    let heard = world.comes_with(
        "phone",
        FAR,
        Join {
            nickname: nick("carol"),
            ..join("phone")
        },
    );
    assert_eq!(heard, "error nickname_in_use");
    let own = tag(key("carol").public());
    let heard = world.orders(
        "carol",
        AdminCommand::RevokeDevice {
            key: own,
            block: false,
        },
    );
    assert!(heard.contains(&"error not_allowed".to_owned()), "{heard:?}");
}

#[test]
fn codes_expire_and_guessing_is_slowed_down() {
    let mut settings = settings_for(Access::Open);
    settings.limits.mistakes = Some(Rate::new(1, 3));
    let mut world = World::with_access(settings, &[]);
    world.comes("carol", FAR);
    let code = world.result_of("carol", AdminCommand::AddDevice).code;
    world.advance(Duration::from_secs(601));
    let with = |code| Join {
        nickname: nick("carol"),
        code,
        ..join("phone")
    };
    assert_eq!(world.comes_with("phone", FAR, with(code)), "error bad_code");
    let wrong = Some(crate::protocol::DeviceCode::from_bytes([9; 5]));
    for _ in 0..2 {
        assert_eq!(
            world.comes_with("phone", FAR, with(wrong)),
            "error bad_code"
        );
    }
    assert_eq!(
        world.comes_with("phone", FAR, with(wrong)),
        "error rate_limited, try again"
    );
}

#[test]
fn a_crowd_of_new_keys_keeps_nobody_out() {
    let account = |number: usize| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        let user = PublicKey::from_bytes(bytes).user();
        let account = Account {
            keys: Vec::new(),
            role: Role::Member,
            admitted: false,
            since: 7,
            wrote: None,
        };
        StateRecord {
            kind: Account::KIND.into(),
            key: Account::key(&user),
            value: Some(account.encode()),
        }
    };
    let facts: Vec<_> = (0..STRANGERS_MAX).map(account).collect();
    let mut world = World::with_access(settings_for(Access::Open), &facts);
    // A stranger joins, and owns nothing.
    assert!(world.comes("carol", FAR).starts_with("welcome carol"));
    assert_eq!(world.hub.role_of("carol"), Some(Role::Unverified));
    world.cut("carol");
    let other = Join {
        nickname: nick("carol"),
        ..join("mallory")
    };
    let heard = world.comes_with("mallory", FAR, other);
    assert!(heard.starts_with("welcome carol"), "{heard}");
    // There is room for an invited user.
    let token = InviteToken::mint(
        &access_settings().invite_key,
        InviteId::from_bytes([1; 8]),
        u64::MAX >> 11,
        1,
    );
    let invited = Join {
        invite: Some(token),
        ..join("bob")
    };
    let heard = world.comes_with("bob", FAR, invited);
    assert!(heard.starts_with("welcome bob"), "{heard}");
    assert_eq!(world.hub.role_of("bob"), Some(Role::Member));
}

/// A world in which carol has a phone, and has used it to revoke her first device.
fn without_her_first_device() -> World {
    let mut world = open();
    world.comes("carol", FAR);
    let code = world.result_of("carol", AdminCommand::AddDevice).code;
    let phone = Join {
        client_id: crate::protocol::ClientId::parse("phone").unwrap(),
        nickname: nick("carol"),
        code,
        ..join("phone")
    };
    world.enter("phone", &key("phone"), FAR, phone);
    let first = key("carol").public().tag();
    world.hears("carol");
    world.orders(
        "phone",
        AdminCommand::RevokeDevice {
            key: first,
            block: false,
        },
    );
    assert_eq!(world.hears("carol"), ["bye Kicked", "closed"]);
    world
}

#[test]
fn the_first_device_stays_out_once_it_is_revoked() {
    let mut world = without_her_first_device();
    assert_eq!(world.comes("carol", FAR), "error access_denied");
    // Nor does a code admit it.
    let code = world.result_of("phone", AdminCommand::AddDevice).code;
    let with_code = Join {
        code,
        ..join("carol")
    };
    let heard = world.comes_with("carol", FAR, with_code);
    assert_eq!(heard, "error access_denied");
    let lines = world.result_of("phone", AdminCommand::Devices).lines;
    assert_eq!(lines.len(), 1, "{lines:?}");
    let mut world = world.again(settings_for(Access::Open));
    assert_eq!(world.comes("carol", FAR), "error access_denied");
    let phone = Join {
        nickname: nick("carol"),
        ..join("phone")
    };
    let heard = world.comes_with("phone", FAR, phone);
    assert!(heard.starts_with("welcome carol"), "{heard}");
}

#[test]
fn unknown_invites_that_are_revoked_do_not_fill_the_table_for_good() {
    let mut world = World::with_owner();
    let now = 1_795_338_000;
    let key = access_settings().invite_key;
    let good = InviteToken::mint(&key, InviteId::from_bytes([1; 8]), now + 86_400, 1);
    let with = |name: &'static str| Join {
        invite: Some(good),
        ..join(name)
    };
    assert!(
        world
            .comes_with("bob", FAR, with("bob"))
            .starts_with("welcome")
    );
    for number in 0..INVITES_MAX as u64 + 10 {
        let invite = InviteId::from_bytes((number + 1_000).to_le_bytes());
        world.hears("alice");
        let heard = world.orders("alice", AdminCommand::Revoke { invite });
        assert!(
            heard[0].starts_with("result The invite is revoked"),
            "{number}: {heard:?}"
        );
    }
    // There is room for new ones, and used ones are still known.
    let make = AdminCommand::Invite {
        uses: 1,
        seconds: None,
    };
    let fresh = world.result_of("alice", make).invite;
    let with_fresh = Join {
        invite: fresh,
        ..join("carol")
    };
    let mut world = world.again(settings_for(Access::Invite));
    assert!(
        world
            .comes_with("carol", FAR, with_fresh)
            .starts_with("welcome")
    );
    assert_eq!(
        world.comes_with("eve", FAR, with("eve")),
        "error bad_invite"
    );
}

#[test]
fn a_clock_that_was_far_ahead_makes_no_used_invite_good_again() {
    let settings = settings_for(Access::Invite);
    let now = 1_795_338_000;
    let mint = |id: u8, after: u64| {
        InviteToken::mint(
            &settings.invite_key,
            InviteId::from_bytes([id; 8]),
            now + after,
            1,
        )
    };
    let with = |name: &'static str, token| Join {
        invite: Some(token),
        ..join(name)
    };
    let mut world = World::with_access(settings.clone(), &[]);
    let used = mint(1, 86_400);
    assert!(
        world
            .comes_with("bob", FAR, with("bob", used))
            .starts_with("welcome")
    );
    world.now.wall += Duration::from_hours(40 * 24);
    let later = mint(2, 80 * 86_400);
    assert!(
        world
            .comes_with("carol", FAR, with("carol", later))
            .starts_with("welcome")
    );
    // The server restarts with a corrected clock.
    let mut world = world.again(settings);
    assert_eq!(
        world.comes_with("eve", FAR, with("eve", used)),
        "error bad_invite"
    );
}
