//! Tests of every property of a client's address, over both families.

use super::*;
use crate::server::log::StateStore;

/// This machine, as a socket may tell it.
const THIS_MACHINE: [&str; 4] = ["127.0.0.1", "127.0.0.9", "::1", "::ffff:127.0.0.1"];
/// Two machines of one private network.
const NEIGHBOURS: [[&str; 2]; 5] = [
    ["192.168.1.20", "192.168.1.21"],
    ["::ffff:10.0.0.1", "::ffff:10.0.0.2"],
    ["fd00:1:2:3::1", "fd00:1:2:3::2"],
    ["fe80::1", "fe80::2"],
    ["169.254.1.1", "169.254.1.2"],
];
/// Addresses that admit nobody under `local`.
const ELSEWHERE: [&str; 7] = [
    FAR,
    "2001:db8::1",
    "::",
    "::2",
    "::127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1",
];

#[test]
fn near_clients_are_admitted_over_both_families() {
    let near = THIS_MACHINE
        .into_iter()
        .chain(NEIGHBOURS.into_iter().flatten());
    let cases = near
        .map(|address| (address, true))
        .chain(ELSEWHERE.map(|address| (address, false)));
    for (address, is_near) in cases {
        let mut world = World::with_access(settings_for(Access::Local), &[]);
        let heard = world.comes("carol", address);
        assert_eq!(heard.starts_with("welcome"), is_near, "{address}: {heard}");
        world.connect_from("bob", address);
        let heard = world.say("bob", &ClientFrame::Join(Box::new(join("bob"))));
        assert_eq!(
            heard[0].starts_with("welcome"),
            is_near,
            "{address}: {heard:?}"
        );
    }
}

#[test]
fn a_client_that_a_proxy_does_not_name_needs_an_invite_even_if_the_proxy_is_on_this_machine() {
    let settings = settings_for(Access::Local);
    let mut world = World::with_access(settings.clone(), &[]);
    let id = InviteId::from_bytes([1; 8]);
    let invite = InviteToken::mint(&settings.invite_key, id, u64::MAX, 1);
    let invited = Join {
        invite: Some(invite),
        ..join("carol")
    };
    for proxy in ["127.0.0.1:9", "[::1]:9", "192.168.1.1:9"] {
        let hidden = ClientAddress::Hidden(proxy.parse().unwrap());
        let heard = world.enter_at("bob", &key("bob"), hidden, join("bob"));
        assert_eq!(heard, ["error access_denied", "closed"], "{proxy}");
        world.connect_at("eve", hidden);
        let heard = world.say("eve", &ClientFrame::Join(Box::new(join("eve"))));
        assert_eq!(heard, ["error access_denied", "closed"], "{proxy}");
        let heard = world.enter_at("carol", &key("carol"), hidden, invited.clone());
        assert!(heard[0].starts_with("welcome"), "{proxy}: {heard:?}");
    }
}

/// The records after alice has banned or muted bob, who joined from this address.
fn kept(sanction: fn(&str) -> AdminCommand, address: &str) -> Vec<StateRecord> {
    let mut world = World::with_owner();
    world.comes("bob", address);
    world.hears("alice");
    world.advance(Duration::from_secs(1));
    let heard = world.orders("alice", sanction("bob"));
    assert!(heard.iter().any(|line| line.starts_with("result bob is")));
    world.store.state().unwrap()
}

/// A server started with these records.
fn after(facts: &[StateRecord]) -> World {
    let mut world = World::with_access(settings_for(Access::Open), facts);
    world.advance(Duration::from_mins(1));
    world
}

#[test]
fn a_ban_closes_the_place_of_the_banned_and_no_other() {
    let closed_and_open = NEIGHBOURS
        .map(|[one, other]| (one, one, other))
        .into_iter()
        .chain([
            ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"),
            (FAR, FAR, "192.0.2.2"),
            (
                "64:ff9b::192.0.2.1",
                "64:ff9b::192.0.2.1",
                "64:ff9b::192.0.2.2",
            ),
        ]);
    for (banned, closed, open) in closed_and_open {
        let mut world = after(&kept(ban, banned));
        assert_eq!(world.comes("bob", open), "error banned", "{banned}");
        assert_eq!(world.comes("eve", closed), "error banned", "{banned}");
        let heard = world.comes("eve", open);
        assert!(heard.starts_with("welcome"), "{banned} {open}: {heard}");
        let mut world = after(&kept(mute, banned));
        for (name, from, hears) in [
            ("eve", closed, "error not_allowed 1"),
            ("dora", open, "1 dora: x"),
        ] {
            let heard = world.comes(name, from);
            assert!(heard.starts_with("welcome"), "{banned} {from}: {heard}");
            world.hears(name);
            assert_eq!(world.say(name, &message(name, 1, "x")), [hears], "{from}");
        }
    }
}

#[test]
fn a_ban_on_this_machine_closes_it_to_the_banned_only() {
    for banned in THIS_MACHINE {
        let mut world = after(&kept(ban, banned));
        for here in THIS_MACHINE {
            assert_eq!(world.comes("bob", here), "error banned", "{banned}");
            let heard = world.comes("eve", here);
            assert!(heard.starts_with("welcome"), "{banned} {here}: {heard}");
            world.cut("eve");
        }
    }
}

/// Older servers stored `::1` as `::`, and the /64 of a network for each of its machines.
#[test]
fn sites_of_this_machine_from_older_servers_block_nothing() {
    let mut facts = kept(ban, "2001:db8::1");
    for fact in &mut facts {
        let value = fact.value.take();
        fact.value = value.map(|value| value.replace("2001:db8::", "::"));
    }
    let ban = facts.iter().find(|fact| &*fact.kind == "ban").unwrap();
    assert!(ban.value.as_ref().unwrap().contains(r#"["::"]"#), "{ban:?}");
    let mut world = after(&facts);
    for address in ["::1", "::2", "127.0.0.1", FAR] {
        assert_eq!(world.comes("bob", address), "error banned", "{address}");
        let heard = world.comes("eve", address);
        assert!(heard.starts_with("welcome"), "{address}: {heard}");
        world.cut("eve");
    }
}

/// From this machine any number of new users may join, with a key or without. From any other site
/// two new keys, and four attempts of strangers in all.
#[test]
fn limits_of_one_place_hold_for_each_place_and_not_for_this_machine() {
    let limits = Limits {
        newcomers: Some(Rate::new(1, 2)),
        joins: Some(Rate::new(1, 4)),
        ..Limits::NONE
    };
    let settings = || Settings {
        limits,
        ..settings_for(Access::Open)
    };
    let came = |world: &mut World, address: &str| {
        let keyed = ["anna", "bert", "cleo"].map(|name| world.comes(name, address));
        let keyless = ["dave", "emma", "finn"].map(|name| {
            world.connect_from(name, address);
            world.say(name, &ClientFrame::Join(Box::new(join(name))))[0].clone()
        });
        [keyed, keyless].map(|heard| {
            let came = heard.iter().filter(|heard| heard.starts_with("welcome"));
            came.count()
        })
    };
    for address in THIS_MACHINE {
        let mut world = World::with_access(settings(), &[]);
        assert_eq!(came(&mut world, address), [3, 3], "{address}");
    }
    for [one, other] in NEIGHBOURS {
        let mut world = World::with_access(settings(), &[]);
        assert_eq!(came(&mut world, one), [2, 1], "{one}");
        let heard = world.comes("gina", other);
        assert!(heard.starts_with("welcome"), "{other}: {heard}");
    }
    let mut world = World::with_access(settings(), &[]);
    assert_eq!(came(&mut world, "2001:db8::1"), [2, 1]);
    let heard = world.comes("gina", "2001:db8::2");
    assert_eq!(heard, "error rate_limited, try again");
}
