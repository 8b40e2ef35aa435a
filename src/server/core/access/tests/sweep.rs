//! Tests of the removal of unused accounts.

use std::collections::BTreeSet;

use super::*;
use crate::{
    protocol::UserId,
    server::{core::log_event::LogEvent, log::StateStore},
};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Lets time pass, with no clients.
fn pass(world: &mut World, time: Duration) {
    world.now.mono += time;
    world.now.wall += time;
    world.run();
}

/// Lets time pass until no more accounts are removed.
fn settle(world: &mut World) {
    for _ in 0..400 {
        pass(world, Duration::from_secs(1));
    }
}

/// A server that has run for an hour, so that it trusts its clock.
fn steady(facts: &[StateRecord]) -> World {
    let mut world = World::with_access(settings_for(Access::Open), facts);
    world.comes("first", FAR);
    world.cut("first");
    pass(&mut world, 2 * HOUR);
    pass(&mut world, 2 * HOUR);
    world
}

/// Joins, sends a message or none, and leaves.
fn visits(world: &mut World, name: &'static str, says: bool) {
    assert!(world.comes(name, FAR).starts_with("welcome"), "{name}");
    if says {
        world.say(name, &message(name, 1, "hello"));
    }
    world.cut(name);
}

fn known(world: &mut World) -> BTreeSet<UserId> {
    let facts = world.store.state().unwrap();
    let accounts = facts.iter().filter(|fact| &*fact.kind == "account");
    accounts
        .map(|fact| UserId::parse(&fact.key).unwrap())
        .collect()
}

fn is_known(world: &mut World, name: &str) -> bool {
    known(world).contains(&key(name).public().user())
}

fn nickname_is_free(world: &World, nickname: &str) -> bool {
    world
        .hub
        .access
        .accounts
        .nicknames
        .is_free_for(&nick(nickname), key("somebody").public().user())
}

#[test]
fn accounts_that_never_wrote_go_after_a_week_and_others_after_a_year() {
    let mut world = steady(&[]);
    visits(&mut world, "lurker", false);
    visits(&mut world, "carol", true);
    pass(&mut world, 6 * DAY);
    settle(&mut world);
    assert!(is_known(&mut world, "lurker") && is_known(&mut world, "carol"));
    pass(&mut world, 2 * DAY);
    settle(&mut world);
    assert!(!is_known(&mut world, "lurker") && is_known(&mut world, "carol"));
    assert!(nickname_is_free(&world, "lurker") && !nickname_is_free(&world, "carol"));
    // A session is enough to stay.
    pass(&mut world, 300 * DAY);
    visits(&mut world, "carol", false);
    pass(&mut world, 360 * DAY);
    settle(&mut world);
    assert!(is_known(&mut world, "carol") && !nickname_is_free(&world, "carol"));
    pass(&mut world, 6 * DAY);
    settle(&mut world);
    assert!(!is_known(&mut world, "carol") && nickname_is_free(&world, "carol"));
    // The same key is the same user, and its device the same device.
    let heard = world.comes("carol", FAR);
    assert!(heard.starts_with("welcome carol, counter 1"), "{heard}");
}

#[test]
fn some_stay_however_long_they_are_not_seen() {
    let mut world = steady(&[]);
    world.comes("alice", FAR);
    let code = access_settings().owner_code;
    world.orders("alice", AdminCommand::Own { code });
    for name in ["mod", "banned", "muted"] {
        world.comes(name, FAR);
    }
    let (seconds, reason) = (None, None);
    for command in [
        AdminCommand::Role {
            nickname: nick("mod"),
            role: Role::Moderator,
        },
        AdminCommand::Ban {
            nickname: nick("banned"),
            seconds,
            reason: reason.clone(),
        },
        AdminCommand::Mute {
            nickname: nick("muted"),
            seconds,
            reason,
        },
    ] {
        world.orders("alice", command);
    }
    let id = InviteId::from_bytes([1; 8]);
    let invite = InviteToken::mint(&access_settings().invite_key, id, 9_000_000_000, 0);
    let wish = Join {
        invite: Some(invite),
        ..join("invited")
    };
    world.comes_with("invited", "203.0.113.5", wish);
    for name in ["alice", "mod", "muted", "invited"] {
        world.cut(name);
    }
    pass(&mut world, 800 * DAY);
    settle(&mut world);
    for name in ["alice", "mod", "banned", "muted", "invited"] {
        assert!(is_known(&mut world, name), "{name}");
        // An admitted user stays admitted, and the nickname is free.
        assert_eq!(nickname_is_free(&world, name), name == "invited", "{name}");
    }
    let mut world = world.again(settings_for(Access::Invite));
    let heard = world.comes("invited", "203.0.113.5");
    assert!(heard.starts_with("welcome invited"), "{heard}");
    assert_eq!(world.comes("banned", FAR), "error banned");
}

#[test]
fn a_present_user_stays_and_is_seen_when_they_leave() {
    let mut world = steady(&[]);
    world.comes("lurker", FAR);
    // Signs of life keep them here.
    for _ in 0..9 {
        world.now.mono += DAY;
        world.now.wall += DAY;
        world.say("lurker", &ClientFrame::Pong { reference: None });
    }
    world.cut("lurker");
    settle(&mut world);
    pass(&mut world, DAY);
    settle(&mut world);
    assert!(is_known(&mut world, "lurker"));
    pass(&mut world, 7 * DAY);
    settle(&mut world);
    assert!(!is_known(&mut world, "lurker"));
}

#[test]
fn a_clock_that_is_wrong_makes_nobody_go_at_once() {
    let mut world = steady(&[]);
    visits(&mut world, "lurker", false);
    world.now.wall += 30 * DAY;
    settle(&mut world);
    pass(&mut world, HOUR / 2);
    settle(&mut world);
    assert!(is_known(&mut world, "lurker"));
    // The clock is corrected.
    world.now.wall -= 30 * DAY;
    pass(&mut world, 2 * HOUR);
    settle(&mut world);
    pass(&mut world, 2 * HOUR);
    settle(&mut world);
    assert!(is_known(&mut world, "lurker"));
    // Of the accounts that wrote, a share is removed in a day, even with a steady clock.
    let facts = crowd(3_000, |_| r#""wrote":1000000,"#);
    let mut world = steady(&facts);
    pass(&mut world, HOUR);
    settle(&mut world);
    let left = world.hub.access.accounts.count();
    assert!((2_600..2_800).contains(&left), "{left}");
}

/// Records of many accounts, long ago, with these JSON fields each.
fn crowd(count: usize, noted: impl Fn(usize) -> &'static str) -> Vec<StateRecord> {
    let account = |number: usize| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        let key = PublicKey::from_bytes(bytes);
        let value = format!(
            r#"{{"role":"member","admitted":false,"since":7,{}"keys":[{{"key":"{key}","added":7,"seen":7}}]}}"#,
            noted(number)
        );
        StateRecord {
            kind: "account".into(),
            key: key.user().to_string(),
            value: Some(value),
        }
    };
    (0..count).map(account).collect()
}

#[test]
fn unused_accounts_of_a_crowd_make_room_for_new_users_step_by_step() {
    let facts = crowd(STRANGERS_MAX, |_| r#""wrote":0,"#);
    let mut world = World::with_access(settings_for(Access::Open), &facts);
    let told = |world: &World| {
        let told = |record: &LogEvent| match record {
            LogEvent::ManyAccounts { known } => Some(*known),
            _ => None,
        };
        world.records.iter().filter_map(told).collect::<Vec<_>>()
    };
    world.comes("early", FAR);
    assert_eq!(told(&world), [STRANGERS_MAX]);
    assert_eq!(world.hub.role_of("early"), Some(Role::Unverified));
    world.cut("early");
    pass(&mut world, 2 * HOUR);
    world.hold_commits = true;
    pass(&mut world, HOUR);
    assert!(world.commits());
    world.hold_commits = false;
    world.commit();
    settle(&mut world);
    world.comes("carol", FAR);
    assert_eq!(world.hub.role_of("carol"), Some(Role::Member));
}

#[test]
fn accounts_of_an_older_server_count_as_having_written() {
    // Seen two months ago.
    let old = |noted| {
        let mut facts = crowd(50, |_| noted);
        for value in facts.iter_mut().filter_map(|fact| fact.value.as_mut()) {
            *value = value.replace("\"seen\":7", "\"seen\":1790000000");
        }
        let mut world = steady(&facts);
        settle(&mut world);
        world.hub.access.accounts.count()
    };
    // And the user who joined first in this test.
    assert_eq!((old(""), old(r#""wrote":0,"#)), (51, 1));
}
