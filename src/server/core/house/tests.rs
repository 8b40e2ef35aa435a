//! The house as its people meet it: joins, messages and commands go through the whole core.

use std::time::Duration;

use super::{Access, Limits, Rate, Settings};
use crate::{
    protocol::{
        ClientFrame, Identity, InviteId, InviteToken, Nickname, PublicKey, Role, RoomName,
        ServerFrame,
        admin::{AdminCommand, AdminRequest},
        frame::{HistoryRequest, Join, Part},
    },
    server::{
        core::testing::{World, house_settings, join, message},
        log::{StateRecord, StateStore},
        network::ClientAddress,
    },
    text::Line,
};

mod addresses;
mod devices;
mod outcasts;
mod stored;
mod sweep;

const LAN: &str = "192.168.1.20";
const FAR: &str = "192.0.2.1";

fn key(name: &str) -> Identity {
    let mut seed = [7; 32];
    seed[..name.len()].copy_from_slice(name.as_bytes());
    Identity::from_seed(seed)
}

fn nick(name: &str) -> Nickname {
    Nickname::parse(name).unwrap()
}

fn house(access: Access) -> Settings {
    Settings {
        access,
        ..house_settings()
    }
}

fn open() -> World {
    World::with_house(house(Access::Open), Vec::new())
}

impl World {
    fn comes(&mut self, name: &'static str, address: &str) -> String {
        let heard = self.enter(name, &key(name), address, join(name));
        heard.into_iter().next().unwrap_or_default()
    }

    fn comes_with(&mut self, name: &'static str, address: &str, wish: Join) -> String {
        let heard = self.enter(name, &key(name), address, wish);
        heard.into_iter().next().unwrap_or_default()
    }

    fn orders(&mut self, name: &str, command: AdminCommand) -> Vec<String> {
        let request = AdminRequest {
            command,
            reference: Some(9),
        };
        self.say(name, &ClientFrame::Command(request))
    }

    /// The last result that somebody got.
    fn result_of(
        &mut self,
        name: &str,
        command: AdminCommand,
    ) -> crate::protocol::admin::AdminResult {
        let request = AdminRequest {
            command,
            reference: Some(9),
        };
        let mut bytes = Vec::new();
        crate::protocol::wire::encode_client(&ClientFrame::Command(request), &mut bytes);
        self.hears(name);
        self.post(name, &bytes);
        let heard = std::mem::take(&mut self.client(name).heard);
        heard
            .into_iter()
            .find_map(|frame| match frame {
                ServerFrame::Result(result) => Some(result),
                _ => None,
            })
            .expect("a result")
    }

    /// Alice owns the server.
    fn with_owner() -> Self {
        let mut world = open();
        world.comes("alice", FAR);
        let code = house_settings().owner_code;
        let heard = world.orders("alice", AdminCommand::Own { code });
        assert!(heard.contains(&"alice is owner".to_owned()), "{heard:?}");
        world
    }

    /// The server stops and starts again, with what it had kept.
    fn again(&mut self, settings: Settings) -> Self {
        let facts: Vec<StateRecord> = self.store.state().unwrap();
        Self::with_house(settings, facts)
    }
}

#[test]
fn a_nickname_belongs_to_the_first_key_that_used_it() {
    let mut world = open();
    assert!(world.comes("carol", FAR).starts_with("welcome carol"));
    world.cut("carol");
    // Somebody else, with another key, without one, and with a name that looks the same.
    let other = |name: &'static str| Join {
        nickname: nick(name),
        ..join("mallory")
    };
    assert_eq!(
        world.comes_with("mallory", FAR, other("carol")),
        "error nickname_in_use"
    );
    assert_eq!(
        world.join_as("mallory", other("Carol")),
        ["error nickname_in_use", "closed"]
    );
    assert_eq!(
        world.comes_with("mallory", FAR, other("caro1")),
        "error nickname_in_use"
    );
    // And nobody takes it later on.
    assert!(world.join("bob")[0].starts_with("welcome bob"));
    let nickname = nick("carol");
    let wish = ClientFrame::Nick {
        nickname,
        reference: None,
    };
    assert!(
        world
            .say("bob", &wish)
            .contains(&"error nickname_in_use".to_owned())
    );
    // Its owner comes back to it, also after a restart.
    assert!(world.comes("carol", FAR).starts_with("welcome carol"));
    let mut world = world.again(house(Access::Open));
    assert_eq!(
        world.comes_with("mallory", FAR, other("carol")),
        "error nickname_in_use"
    );
    assert!(world.comes("carol", FAR).starts_with("welcome carol"));
}

#[test]
fn who_brings_no_key_owns_nothing_and_is_marked() {
    let mut world = open();
    world.join("bob");
    assert_eq!(world.hub.role_of("bob"), Some(Role::Unverified));
    world.cut("bob");
    assert!(world.comes("bob", FAR).starts_with("welcome bob"));
    assert_eq!(world.hub.role_of("bob"), Some(Role::Member));
}

#[test]
fn what_is_said_without_a_key_says_so_whoever_has_its_name_later() {
    let mut world = open();
    world.comes("carol", FAR);
    // Yesterday there was an alice without a key, and one with an older program.
    let called_alice = |name: &'static str, protocol| Join {
        protocol,
        nickname: nick("alice"),
        ..join(name)
    };
    world.join_as("mallory", called_alice("mallory", Some(1)));
    world.post_frame("mallory", &message("mallory", 1, "from mallory"));
    world.cut("mallory");
    world.join_as("eve", called_alice("eve", None));
    world.post_frame("eve", &message("eve", 1, "from an older program"));
    world.cut("eve");
    // Today there is one with a key.
    assert!(world.comes("alice", FAR).starts_with("welcome alice"));
    world.post_frame("alice", &message("alice", 1, "from alice"));
    let said = |frames: Vec<ServerFrame>| -> Vec<(String, bool)> {
        let messages = frames.into_iter().flat_map(|frame| match frame {
            ServerFrame::Message(message) => vec![message],
            ServerFrame::History(page) => page.messages,
            ServerFrame::Found(page) => page.messages,
            _ => Vec::new(),
        });
        messages
            .map(|message| (message.body.as_str().to_owned(), message.unproven))
            .collect()
    };
    let expected = [
        ("from mallory".to_owned(), true),
        ("from an older program".to_owned(), true),
        ("from alice".to_owned(), false),
    ];
    // As it is said, and read later.
    assert_eq!(
        said(std::mem::take(&mut world.client("carol").heard)),
        expected
    );
    let page = ClientFrame::History(HistoryRequest {
        room: RoomName::lobby(),
        part: Part::Forward { from: 1, to: 3 },
        reference: Some(1),
    });
    world.post_frame("carol", &page);
    assert_eq!(
        said(std::mem::take(&mut world.client("carol").heard)),
        expected
    );
}

#[test]
fn a_user_owns_few_nicknames_and_the_owner_can_release_one() {
    let mut world = World::with_owner();
    world.comes("bob", FAR);
    for name in ["bob2", "bobby", "robert", "rob"] {
        world.advance(Duration::from_secs(1));
        let nickname = nick(name);
        world.say(
            "bob",
            &ClientFrame::Nick {
                nickname,
                reference: None,
            },
        );
    }
    // The first one was let go for the fifth.
    let wish = |name: &'static str| Join {
        nickname: nick(name),
        ..join("eve")
    };
    assert!(
        world
            .comes_with("eve", FAR, wish("bob"))
            .starts_with("welcome bob")
    );
    world.cut("eve");
    assert_eq!(
        world.comes_with("eve", FAR, wish("robert")),
        "error nickname_in_use"
    );
    let release = AdminCommand::Release {
        nickname: nick("robert"),
    };
    world.hears("bob");
    assert_eq!(world.orders("bob", release.clone()), ["error not_allowed"]);
    world.hears("alice");
    let heard = world.orders("alice", release);
    assert!(
        heard[0].starts_with("result robert is anybody's"),
        "{heard:?}"
    );
    assert!(
        world
            .comes_with("eve", FAR, wish("robert"))
            .starts_with("welcome robert")
    );
}

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
    // Whatever else is said instead.
    world.connect("carol");
    world.say("carol", &ClientFrame::Join(Box::new(wish)));
    assert_eq!(
        world.say("carol", &message("carol", 1, "hello?")),
        ["error join_expected", "closed"]
    );
    // A proof that nobody asked for.
    world.join("bob");
    assert_eq!(
        world.say("bob", &ClientFrame::Proof { signature }),
        ["error join_expected", "closed"]
    );
    assert_eq!(world.hub.present(), 0);
}

#[test]
fn who_may_enter_follows_the_operators_choice() {
    let cases = [
        (Access::Local, LAN, true, true),
        (Access::Local, "127.0.0.1", true, true),
        (Access::Local, FAR, false, false),
        (Access::Open, FAR, true, true),
        (Access::Invite, "127.0.0.1", false, false),
        (Access::Password, "127.0.0.1", false, false),
    ];
    for (access, address, keyed, legacy) in cases {
        let mut world = World::with_house(house(access), Vec::new());
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
    let settings = house(Access::Invite);
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
    let mut world = World::with_house(settings.clone(), Vec::new());
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
    // Without a key nobody could be known again.
    world.connect("eve");
    let keyless = with("eve", mint(4, now + 86_400, 0));
    let heard = world.say("eve", &ClientFrame::Join(Box::new(keyless)));
    assert_eq!(heard, ["error access_denied", "closed"]);
    // Who was let in needs no invite any more; one that was used up stays so.
    let mut world = world.again(settings);
    assert!(world.comes("carol", FAR).starts_with("welcome"));
    assert_eq!(
        world.comes_with("eve", FAR, with("eve", good)),
        "error bad_invite"
    );
}

#[test]
fn the_owner_is_who_knows_the_code_and_nobody_after_him() {
    let mut world = open();
    world.comes("alice", FAR);
    world.comes("bob", FAR);
    world.join("eve");
    let code = house_settings().owner_code;
    let wrong = crate::protocol::OwnerCode::from_bytes([0; 10]);
    assert_eq!(
        world.orders("eve", AdminCommand::Own { code })[0],
        "error not_allowed",
    );
    assert!(!world.hub.has_owner());
    world.hears("alice");
    assert_eq!(
        world.orders("alice", AdminCommand::Own { code: wrong }),
        ["error bad_code"]
    );
    let heard = world.orders("alice", AdminCommand::Own { code });
    assert!(heard.contains(&"alice is owner".to_owned()), "{heard:?}");
    world.hears("bob");
    assert_eq!(
        world.orders("bob", AdminCommand::Own { code }),
        ["error bad_code"]
    );
    let mut world = world.again(house(Access::Open));
    assert!(world.hub.has_owner());
    world.comes("alice", FAR);
    assert_eq!(world.hub.role_of("alice"), Some(Role::Owner));
}

#[test]
fn an_owner_who_lost_his_keys_is_followed_by_another() {
    let mut world = World::with_owner();
    let mut world = world.again(Settings {
        new_owner: true,
        ..house(Access::Open)
    });
    assert!(!world.hub.has_owner());
    world.comes("alice", FAR);
    assert_eq!(world.hub.role_of("alice"), Some(Role::Member));
    world.comes("bob", FAR);
    let code = house_settings().owner_code;
    world.orders("bob", AdminCommand::Own { code });
    let mut world = world.again(house(Access::Open));
    world.comes("bob", FAR);
    assert_eq!(world.hub.role_of("bob"), Some(Role::Owner));
}

#[test]
fn moderators_send_away_whom_they_may() {
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
    assert_eq!(heard, ["result dave was sent away", "dave left Kicked"]);
    assert_eq!(world.hears("dave"), ["bye Kicked", "closed"]);
    // For now only.
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
    // Who was known before is not to blame for his neighbour.
    assert!(world.comes("carol", "203.0.113.7").starts_with("welcome"));
    assert!(world.comes("eve", FAR).starts_with("welcome"));
    let mut after = world.again(house(Access::Open));
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
    let room = RoomName::lobby();
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

/// Bob may say something every 30 s.
fn slow() -> World {
    let mut world = World::with_owner();
    world.comes("bob", FAR);
    let slow = AdminCommand::Slow {
        room: RoomName::lobby(),
        seconds: 30,
    };
    world.orders("alice", slow);
    world
}

#[test]
fn in_a_slow_room_messages_wait_and_none_is_lost() {
    let mut world = slow();
    world.hears("bob");
    assert_eq!(world.say("bob", &message("bob", 1, "one")), ["1 bob: one"]);
    assert_eq!(
        world.say("bob", &message("bob", 2, "two")),
        ["error rate_limited 2, try again"]
    );
    assert_eq!(
        world.say("bob", &message("bob", 3, "three")),
        ["error held_back 3, try again"]
    );
    // What is in the log already is answered at once.
    assert_eq!(
        world.say("bob", &message("bob", 1, "one")),
        ["ack 1 stored 1"]
    );
    world.advance(Duration::from_secs(31));
    world.hears("bob");
    assert_eq!(world.say("bob", &message("bob", 2, "two")), ["2 bob: two"]);
}

#[test]
fn what_follows_a_message_that_waited_is_counted_as_well() {
    let mut world = slow();
    world.say("bob", &message("bob", 1, "one"));
    world.say("bob", &message("bob", 2, "two"));
    world.advance(Duration::from_secs(31));
    world.hears("bob");
    // The one that waited, and others behind it before it is stored.
    world.hold_commits = true;
    assert_eq!(world.say("bob", &message("bob", 2, "two")), [""; 0]);
    assert_eq!(
        world.say("bob", &message("bob", 3, "three")),
        ["error rate_limited 3, try again"]
    );
    assert_eq!(
        world.say("bob", &message("bob", 4, "four")),
        ["error held_back 4, try again"]
    );
    world.hold_commits = false;
    world.commit();
    assert_eq!(world.hears("bob"), ["2 bob: two"]);
}

#[test]
fn rules_are_told_and_outlive_the_server() {
    let mut world = World::with_owner();
    world.comes("bob", FAR);
    world.hears("bob");
    let topic = AdminCommand::Topic {
        room: RoomName::lobby(),
        topic: Some(Line::inert("tea at 4")),
    };
    let heard = world.orders("alice", topic);
    assert!(
        heard.iter().any(|heard| heard.contains("tea at 4")),
        "{heard:?}"
    );
    assert!(world.hears("bob")[0].contains("tea at 4"));
    let mut world = world.again(house(Access::Open));
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
    // Not twice.
    let heard = world.enter("eve", &key("eve"), FAR, phone);
    assert_eq!(heard, ["error bad_code", "closed"]);
    // And out again.
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
    assert!(heard[0].contains("does not come in any more"), "{heard:?}");
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
    let mut settings = house(Access::Open);
    settings.limits.mistakes = Some(Rate::new(1, 3));
    let mut world = World::with_house(settings, Vec::new());
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
fn who_does_too_much_waits_and_nothing_of_it_is_lost() {
    let settings = Settings {
        limits: Limits {
            messages: Some(Rate::new(60, 2)),
            looks: Some(Rate::new(60, 1)),
            nicks: Some(Rate::new(60, 1)),
            commands: Some(Rate::new(60, 1)),
            joins: Some(Rate::new(6, 2)),
            ..Limits::NONE
        },
        ..house(Access::Open)
    };
    let mut world = World::with_house(settings, Vec::new());
    world.comes("bob", FAR);
    world.hears("bob");
    for counter in 1..=2 {
        world.say("bob", &message("bob", counter, "x"));
    }
    assert_eq!(
        world.say("bob", &message("bob", 3, "x")),
        ["error rate_limited 3, try again"]
    );
    world.advance(Duration::from_secs(2));
    assert_eq!(world.say("bob", &message("bob", 3, "x")), ["3 bob: x"]);
    let nickname = nick("rob");
    let nick_wish = ClientFrame::Nick {
        nickname,
        reference: None,
    };
    world.say("bob", &nick_wish);
    assert!(
        world
            .say("bob", &nick_wish)
            .contains(&"error rate_limited, try again".to_owned())
    );
    world.orders("bob", AdminCommand::Devices);
    assert_eq!(
        world.orders("bob", AdminCommand::Devices),
        ["error rate_limited, try again"]
    );
    // Coming in again and again, as the same one.
    let mut last = String::new();
    for _ in 0..4 {
        last = world.comes("bob", FAR);
    }
    assert_eq!(last, "error rate_limited, try again");
}

#[test]
fn what_was_done_is_written_down_for_the_owner() {
    let mut world = World::with_owner();
    world.comes("bob", FAR);
    let nickname = nick("bob");
    let reason = Some(Line::inert("too loud"));
    world.orders("alice", AdminCommand::Kick { nickname, reason });
    let lines = world
        .result_of("alice", AdminCommand::Audit { before: None })
        .lines;
    assert!(
        lines[0].as_str().contains("alice sent bob away: too loud"),
        "{lines:?}"
    );
    assert!(
        lines[1].as_str().contains("alice became the owner"),
        "{lines:?}"
    );
    let mut world = world.again(house(Access::Open));
    world.comes("alice", FAR);
    let again = world
        .result_of("alice", AdminCommand::Audit { before: None })
        .lines;
    assert_eq!(lines, again);
}

#[test]
fn what_can_not_be_written_down_is_said_and_tried_again() {
    let mut world = World::with_owner();
    world.comes("bob", FAR);
    world.hears("alice");
    world.fail = Some(crate::server::log::StoreError::Refused);
    let ban = AdminCommand::Ban {
        nickname: nick("bob"),
        seconds: None,
        reason: None,
    };
    let heard = world.orders("alice", ban);
    assert!(heard.contains(&"error not_durable".to_owned()), "{heard:?}");
    assert_eq!(world.comes("bob", FAR), "error banned");
    world.advance(Duration::from_secs(2));
    let mut world = world.again(house(Access::Open));
    assert_eq!(world.comes("bob", FAR), "error banned");
}

#[test]
fn a_crowd_of_new_keys_keeps_nobody_out() {
    let account = |number: usize| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        let user = PublicKey::from_bytes(bytes).user();
        let account = super::Account {
            keys: Vec::new(),
            role: Role::Member,
            admitted: false,
            since: 7,
            wrote: None,
        };
        super::persist::of_account(user, &account)
    };
    let facts = (0..super::STRANGERS_MAX).map(account).collect();
    let mut world = World::with_house(house(Access::Open), facts);
    // A stranger is let in, and owns nothing.
    assert!(world.comes("carol", FAR).starts_with("welcome carol"));
    assert_eq!(world.hub.role_of("carol"), Some(Role::Unverified));
    world.cut("carol");
    let other = Join {
        nickname: nick("carol"),
        ..join("mallory")
    };
    let heard = world.comes_with("mallory", FAR, other);
    assert!(heard.starts_with("welcome carol"), "{heard}");
    // There is room for who is invited.
    let token = InviteToken::mint(
        &house_settings().invite_key,
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

/// Carol has a phone too, and from there revokes the device that she came with first.
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
    // Not by a code either.
    let code = world.result_of("phone", AdminCommand::AddDevice).code;
    let with_code = Join {
        code,
        ..join("carol")
    };
    let heard = world.comes_with("carol", FAR, with_code);
    assert_eq!(heard, "error access_denied");
    let lines = world.result_of("phone", AdminCommand::Devices).lines;
    assert_eq!(lines.len(), 1, "{lines:?}");
    let mut world = world.again(house(Access::Open));
    assert_eq!(world.comes("carol", FAR), "error access_denied");
    let phone = Join {
        nickname: nick("carol"),
        ..join("phone")
    };
    let heard = world.comes_with("phone", FAR, phone);
    assert!(heard.starts_with("welcome carol"), "{heard}");
}

#[test]
fn what_is_written_down_late_is_what_holds() {
    let mut world = World::with_owner();
    world.comes("bob", FAR);
    let role = |role| AdminCommand::Role {
        nickname: nick("bob"),
        role,
    };
    // A commit is under way, and is refused after two more changes.
    world.hold_commits = true;
    world.orders("alice", role(Role::Moderator));
    world.orders("alice", role(Role::Member));
    world.fail = Some(crate::server::log::StoreError::Refused);
    world.commit();
    world.orders("alice", role(Role::Owner));
    world.hold_commits = false;
    while world.commits() {
        world.commit();
    }
    world.advance(Duration::from_secs(2));
    let mut after = world.again(house(Access::Open));
    after.comes("bob", FAR);
    assert_eq!(after.hub.role_of("bob"), Some(Role::Owner));
}

#[test]
fn what_waits_to_be_written_down_is_tried_once_more_at_the_end() {
    let mut world = World::with_owner();
    world.comes("bob", FAR);
    world.fail = Some(crate::server::log::StoreError::Refused);
    let ban = AdminCommand::Ban {
        nickname: nick("bob"),
        seconds: None,
        reason: None,
    };
    world.orders("alice", ban);
    world.stop();
    assert_eq!(world.finished, Some(false));
    let mut world = world.again(house(Access::Open));
    assert_eq!(world.comes("bob", FAR), "error banned");
}

/// Bob and carol are moderators.
fn with_moderators() -> World {
    let mut world = World::with_owner();
    for name in ["bob", "carol"] {
        world.comes(name, FAR);
        let nickname = nick(name);
        let role = Role::Moderator;
        world.orders("alice", AdminCommand::Role { nickname, role });
    }
    world
}

fn mute(name: &str) -> AdminCommand {
    AdminCommand::Mute {
        nickname: nick(name),
        seconds: None,
        reason: None,
    }
}

fn ban(name: &str) -> AdminCommand {
    AdminCommand::Ban {
        nickname: nick(name),
        seconds: None,
        reason: None,
    }
}

#[test]
fn nobody_lifts_what_somebody_above_him_has_set() {
    let mut world = with_moderators();
    world.comes("dave", FAR);
    world.comes("eve", FAR);
    for command in [mute("bob"), mute("dave"), ban("eve")] {
        world.orders("alice", command);
    }
    let mut world = world.again(house(Access::Open));
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
    // What a moderator has set, another one lifts.
    world.orders("bob", mute("dave"));
    world.hears("carol");
    let heard = world.orders("carol", unmute("dave"));
    assert!(heard[0].starts_with("result"), "{heard:?}");
}

#[test]
fn who_goes_quickly_is_banned_all_the_same() {
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
    // Not for ever: an hour later nobody knows who that was.
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
    // Who was known before is not to blame for his neighbour, also after a restart.
    world.hears("carol");
    let heard = world.say("carol", &message("carol", 1, "hi"));
    assert_eq!(heard, ["1 carol: hi"]);
    let mut after = world.again(house(Access::Open));
    after.advance(Duration::from_mins(1));
    after.comes("frank", there);
    after.hears("frank");
    let heard = after.say("frank", &message("frank", 1, "it is me"));
    assert_eq!(heard, ["error not_allowed 1"]);
    // And nobody any more once it is lifted.
    let nickname = nick("bob");
    world.orders("alice", AdminCommand::Unmute { nickname });
    world.hears("eve");
    let heard = world.say("eve", &message("eve", 2, "thanks"));
    assert_eq!(heard, ["2 eve: thanks"]);
}

#[test]
fn no_list_is_longer_than_a_frame() {
    let mut world = World::with_owner();
    let room = RoomName::lobby();
    let topic = "\"\\".repeat(500);
    for _ in 0..250 {
        let topic = Some(Line::inert(&topic));
        let room = room.clone();
        world.orders("alice", AdminCommand::Topic { room, topic });
    }
    let result = world.result_of("alice", AdminCommand::Audit { before: None });
    let (told, message) = (result.lines.len(), result.message.as_str());
    let lines: Vec<_> = result.lines.iter().map(Line::as_str).collect();
    let bytes = serde_json::to_string(&lines).unwrap().len();
    let most = crate::protocol::limits::FRAME_BYTES_MAX - 2_048;
    assert!(bytes < most, "{bytes}");
    assert!(told > 50, "{told}");
    let expected = format!("What was done, newest first: the first {told} of 251");
    assert_eq!(message, expected);
}

#[test]
fn unknown_invites_that_are_revoked_do_not_fill_the_table_for_good() {
    let mut world = World::with_owner();
    let now = 1_795_338_000;
    let key = house_settings().invite_key;
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
    for number in 0..super::INVITES_MAX as u64 + 10 {
        let invite = InviteId::from_bytes((number + 1_000).to_le_bytes());
        world.hears("alice");
        let heard = world.orders("alice", AdminCommand::Revoke { invite });
        assert!(
            heard[0].starts_with("result Nobody comes in"),
            "{number}: {heard:?}"
        );
    }
    // There is room for new ones still, and what was used is known.
    let make = AdminCommand::Invite {
        uses: 1,
        seconds: None,
    };
    let fresh = world.result_of("alice", make).invite;
    let with_fresh = Join {
        invite: fresh,
        ..join("carol")
    };
    let mut world = world.again(house(Access::Invite));
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
    let settings = house(Access::Invite);
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
    let mut world = World::with_house(settings.clone(), Vec::new());
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
    // The server starts again with the clock put right.
    let mut world = world.again(settings);
    assert_eq!(
        world.comes_with("eve", FAR, with("eve", used)),
        "error bad_invite"
    );
}
