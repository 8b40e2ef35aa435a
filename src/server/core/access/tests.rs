//! Tests of access control through the whole core: joins, messages and commands.

use std::time::Duration;

use super::{Access, Settings};
use crate::{
    protocol::{
        ClientFrame, Identity, InviteId, InviteToken, Nickname, PublicKey, Role, RoomId,
        ServerFrame,
        admin::{AdminCommand, AdminRequest},
        frame::{HistoryRequest, Join, Part},
    },
    server::{
        core::{
            accounts::{STRANGERS_MAX, account::Account},
            invites::INVITES_MAX,
            persist::Record,
            rate_limit::{Limits, Rate},
            testing::{World, access_settings, join, message},
        },
        log::{StateRecord, StateStore},
        network::ClientAddress,
    },
    text::Line,
};

mod addresses;
mod admission;
mod changing;
mod devices;
mod moderation;
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

fn settings_for(access: Access) -> Settings {
    Settings {
        access,
        ..access_settings()
    }
}

fn open() -> World {
    World::with_access(settings_for(Access::Open), &[])
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

    /// The last result that a client got.
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

    /// A server whose owner is alice.
    fn with_owner() -> Self {
        let mut world = open();
        world.comes("alice", FAR);
        let code = access_settings().owner_code;
        let heard = world.orders("alice", AdminCommand::Own { code });
        assert!(heard.contains(&"alice is owner".to_owned()), "{heard:?}");
        world
    }

    /// Restarts the server with its stored records.
    fn again(&mut self, settings: Settings) -> Self {
        let facts: Vec<StateRecord> = self.store.state().unwrap();
        Self::with_access(settings, &facts)
    }
}

#[test]
fn a_nickname_belongs_to_the_first_key_that_used_it() {
    let mut world = open();
    assert!(world.comes("carol", FAR).starts_with("welcome carol"));
    world.cut("carol");
    // Other users: with another key, without one, and with a name that looks the same.
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
    // Nobody takes it later by a rename.
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
    // Its owner still has it later, also after a restart.
    assert!(world.comes("carol", FAR).starts_with("welcome carol"));
    let mut world = world.again(settings_for(Access::Open));
    assert_eq!(
        world.comes_with("mallory", FAR, other("carol")),
        "error nickname_in_use"
    );
    assert!(world.comes("carol", FAR).starts_with("welcome carol"));
}

#[test]
fn a_user_without_a_key_owns_nothing_and_is_marked() {
    let mut world = open();
    world.join("bob");
    assert_eq!(world.hub.role_of("bob"), Some(Role::Unverified));
    world.cut("bob");
    assert!(world.comes("bob", FAR).starts_with("welcome bob"));
    assert_eq!(world.hub.role_of("bob"), Some(Role::Member));
}

#[test]
fn messages_without_a_key_stay_marked_whoever_has_the_name_later() {
    let mut world = open();
    world.comes("carol", FAR);
    // Yesterday there was an alice without a key, and one with an older program.
    let called_alice = |name: &'static str, protocol| Join {
        protocol,
        nickname: nick("alice"),
        ..join(name)
    };
    world.join_as("mallory", called_alice("mallory", Some(2)));
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
            ServerFrame::Entry(message) => vec![message],
            ServerFrame::History(page) => page.entries,
            ServerFrame::Found(page) => page.entries,
            _ => Vec::new(),
        });
        messages
            .map(|message| (message.words().to_owned(), !message.author.proven))
            .collect()
    };
    let expected = [
        ("from mallory".to_owned(), true),
        ("from an older program".to_owned(), true),
        ("from alice".to_owned(), false),
    ];
    // As it is delivered, and in the history.
    assert_eq!(
        said(std::mem::take(&mut world.client("carol").heard)),
        expected
    );
    let page = ClientFrame::History(HistoryRequest {
        room: RoomId::LOBBY,
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
    // The first one was released for the fifth.
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
    assert!(heard[0].starts_with("result robert is free"), "{heard:?}");
    assert!(
        world
            .comes_with("eve", FAR, wish("robert"))
            .starts_with("welcome robert")
    );
}

#[test]
fn the_first_user_with_the_code_becomes_the_owner_and_no_other() {
    let mut world = open();
    world.comes("alice", FAR);
    world.comes("bob", FAR);
    world.join("eve");
    let code = access_settings().owner_code;
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
    let mut world = world.again(settings_for(Access::Open));
    assert!(world.hub.has_owner());
    world.comes("alice", FAR);
    assert_eq!(world.hub.role_of("alice"), Some(Role::Owner));
}

#[test]
fn an_owner_who_lost_their_keys_is_followed_by_another() {
    let mut world = World::with_owner();
    let mut world = world.again(Settings {
        new_owner: true,
        ..settings_for(Access::Open)
    });
    assert!(!world.hub.has_owner());
    world.comes("alice", FAR);
    assert_eq!(world.hub.role_of("alice"), Some(Role::Member));
    world.comes("bob", FAR);
    let code = access_settings().owner_code;
    world.orders("bob", AdminCommand::Own { code });
    let mut world = world.again(settings_for(Access::Open));
    world.comes("bob", FAR);
    assert_eq!(world.hub.role_of("bob"), Some(Role::Owner));
}

#[test]
fn a_user_over_a_rate_limit_waits_and_loses_nothing() {
    let settings = Settings {
        limits: Limits {
            messages: Some(Rate::new(60, 2)),
            looks: Some(Rate::new(60, 1)),
            nicks: Some(Rate::new(60, 1)),
            commands: Some(Rate::new(60, 1)),
            joins: Some(Rate::new(6, 2)),
            ..Limits::NONE
        },
        ..settings_for(Access::Open)
    };
    let mut world = World::with_access(settings, &[]);
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
    // Repeated joins of the same user.
    let mut last = String::new();
    for _ in 0..4 {
        last = world.comes("bob", FAR);
    }
    assert_eq!(last, "error rate_limited, try again");
}

#[test]
fn the_audit_trail_lists_commands_for_the_owner() {
    let mut world = World::with_owner();
    world.comes("bob", FAR);
    let nickname = nick("bob");
    let reason = Some(Line::inert("too loud"));
    world.orders("alice", AdminCommand::Kick { nickname, reason });
    let lines = world
        .result_of("alice", AdminCommand::Audit { before: None })
        .lines;
    assert!(
        lines[0].as_str().contains("alice kicked bob: too loud"),
        "{lines:?}"
    );
    assert!(
        lines[1].as_str().contains("alice became the owner"),
        "{lines:?}"
    );
    let mut world = world.again(settings_for(Access::Open));
    world.comes("alice", FAR);
    let again = world
        .result_of("alice", AdminCommand::Audit { before: None })
        .lines;
    assert_eq!(lines, again);
}

#[test]
fn records_that_cannot_be_stored_are_reported_and_retried() {
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
    let mut world = world.again(settings_for(Access::Open));
    assert_eq!(world.comes("bob", FAR), "error banned");
}

#[test]
fn records_stored_late_have_their_latest_values() {
    let mut world = World::with_owner();
    world.comes("bob", FAR);
    let role = |role| AdminCommand::Role {
        nickname: nick("bob"),
        role,
    };
    // A commit is in progress, and is refused after two more changes.
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
    let mut after = world.again(settings_for(Access::Open));
    after.comes("bob", FAR);
    assert_eq!(after.hub.role_of("bob"), Some(Role::Owner));
}

#[test]
fn waiting_records_are_retried_once_more_at_the_end() {
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
    let mut world = world.again(settings_for(Access::Open));
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
