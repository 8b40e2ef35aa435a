//! Tests the commands about rooms: what they answer, and the effects that they hand to the hub.

use std::net::SocketAddr;

use super::{Actor, AdminEffect, Context, room_of, run};
use crate::{
    protocol::{
        HistoryAccess, Identity, InviteKey, Nickname, OwnerCode, Role, RoomId, RoomName, UserId,
        admin::AdminCommand,
    },
    server::core::{
        access::{Access, AccessControl, Requester, RoomMakers, Settings},
        accounts::Admission,
        rate_limit::Limits,
        rooms::{ROOMS_MAX_DEFAULT, RoomSettings},
    },
    text::Line,
    time::Now,
};

const PEOPLE: [&str; 5] = ["alice", "mod", "bob", "carol", "guest"];

/// Access control with alice, an owner; mod, a moderator; bob and carol, members; and guest, who has
/// no key.
struct World {
    access: AccessControl,
    /// The number of each room's last entry.
    head: u64,
    now: Now,
}

fn identity(name: &str) -> Identity {
    let mut seed = [0; 32];
    seed[..name.len()].copy_from_slice(name.as_bytes());
    Identity::from_seed(seed)
}

fn user(name: &str) -> UserId {
    identity(name).public().user()
}

fn nickname(name: &str) -> Nickname {
    Nickname::parse(name).unwrap()
}

fn name(text: &str) -> RoomName {
    RoomName::parse(text).unwrap()
}

impl World {
    fn new(room_makers: RoomMakers) -> Self {
        let settings = Settings {
            access: Access::Open,
            limits: Limits::NONE,
            invite_key: InviteKey::from_bytes([1; 32]),
            owner_code: OwnerCode::from_bytes([2; 10]),
            new_owner: false,
            keep_accounts_days: 365,
            room_makers,
            rooms_max: ROOMS_MAX_DEFAULT,
        };
        let lobby = RoomSettings {
            name: RoomName::lobby(),
            topic: None,
        };
        let mut access = AccessControl::new(settings, &[lobby], &[]);
        let now = Now {
            mono: std::time::Duration::from_secs(1),
            wall: "2026-11-30T09:00:00Z".parse().unwrap(),
        };
        for (name, role) in [
            ("alice", Role::Owner),
            ("mod", Role::Moderator),
            ("bob", Role::Member),
            ("carol", Role::Member),
        ] {
            let admission = Admission {
                user: user(name),
                key: identity(name).public(),
                for_good: false,
                code: None,
            };
            access.accounts.admit(admission, 1);
            access.accounts.claim(user(name), &nickname(name), now);
            access.accounts.set_role(user(name), role);
        }
        Self {
            access,
            head: 10,
            now,
        }
    }

    fn name_of(id: UserId) -> &'static str {
        PEOPLE.into_iter().find(|name| user(name) == id).unwrap()
    }

    /// Runs a command. The answer and the effects, in short.
    fn does(&mut self, who: &str, command: &AdminCommand) -> String {
        self.does_in_session(who, false, command)
    }

    fn does_in_session(&mut self, who: &str, in_session: bool, command: &AdminCommand) -> String {
        let actor = Actor {
            requester: Requester {
                user: user(who),
                role: self.access.accounts.role(user(who)),
                address: SocketAddr::from(([192, 0, 2, 1], 7)).into(),
            },
            nickname: nickname(who),
        };
        let room = room_of(&self.access, user(who), command);
        let mut random = [0; 32];
        random[..8].copy_from_slice(&(self.access.rooms.count() as u64).to_be_bytes());
        let context = Context {
            access: &mut self.access,
            actor: &actor,
            target: None,
            in_session: in_session && room.is_some(),
            head: self.head,
            ahead: self.head,
            random: &random,
            now: self.now,
        };
        let reply = match run(context, command) {
            Ok(reply) => reply,
            Err(error) => return format!("{}: {}", error.code, error.message),
        };
        let effects = reply.effects.iter().map(|effect| match effect {
            AdminEffect::Entered { user, .. } => format!("{} enters", Self::name_of(*user)),
            AdminEffect::Left { user, by, .. } => {
                let by = by.as_ref().map_or(String::new(), |by| format!(" by {by}"));
                format!("{} leaves{by}", Self::name_of(*user))
            }
            AdminEffect::RoomChanged { .. } => "changed".to_owned(),
            AdminEffect::Event { event, .. } => format!("entry: {}", event.alt),
            AdminEffect::SetRules { .. } => "rules".to_owned(),
            other => panic!("{other:?}"),
        });
        let effects: Vec<_> = effects.collect();
        [&[reply.result.message.as_str().to_owned()], &effects[..]]
            .concat()
            .join(" | ")
    }

    fn room(&self, who: &str, text: &str) -> RoomId {
        let room = self.access.rooms.named_for(user(who), &name(text));
        room.unwrap()
    }

    fn create(&mut self, who: &str, private: bool, text: &str) -> RoomId {
        let name = name(text);
        self.does(who, &AdminCommand::Create { private, name });
        self.room(who, text)
    }

    fn audit(&self) -> Vec<String> {
        let lines = self.access.moderation.audit.lines(None);
        lines.map(|line| line.as_str().to_owned()).collect()
    }
}

fn create(private: bool, text: &str) -> AdminCommand {
    AdminCommand::Create {
        private,
        name: name(text),
    }
}

fn enter(text: &str) -> AdminCommand {
    AdminCommand::Enter { name: name(text) }
}

fn invite(room: RoomId, who: &str) -> AdminCommand {
    AdminCommand::InviteTo {
        room,
        nickname: nickname(who),
    }
}

fn remove(room: RoomId, who: &str) -> AdminCommand {
    AdminCommand::Remove {
        room,
        nickname: nickname(who),
        reason: Some(Line::inert("too loud")),
    }
}

fn direct(who: &[&str]) -> AdminCommand {
    AdminCommand::Direct {
        nicknames: who.iter().map(|name| nickname(name)).collect(),
    }
}

const NO_SUCH_ROOM: &str = "no_such_room: There is no such room, or you are not in it";

#[test]
fn a_public_room_is_made_entered_and_left() {
    let mut world = World::new(RoomMakers::Members);
    assert_eq!(
        world.does("bob", &create(false, "build")),
        "#build is made | bob enters | entry: bob made the room"
    );
    assert_eq!(
        world.does("carol", &create(false, "build")),
        "not_allowed: There is a room of that name already"
    );
    assert_eq!(
        world.does("carol", &enter("build")),
        "You are in #build | carol enters | entry: carol joined"
    );
    assert_eq!(
        world.does("carol", &enter("build")),
        "You are in #build | carol enters"
    );
    assert_eq!(world.does("carol", &enter("test")), NO_SUCH_ROOM);
    let room = world.room("bob", "build");
    let rooms = &world.access.rooms;
    assert_eq!(
        rooms.membership(user("carol"), room).unwrap().marker.seq,
        10
    );
    let leave = AdminCommand::Leave { room };
    assert_eq!(
        world.does("carol", &leave),
        "You have left the room | entry: carol left | carol leaves"
    );
    assert_eq!(world.does("carol", &leave), NO_SUCH_ROOM);
    let room = RoomId::LOBBY;
    assert_eq!(
        world.does("carol", &AdminCommand::Leave { room }),
        "not_allowed: That can't be done in the lobby, which everybody is in"
    );
}

#[test]
fn a_guest_is_in_a_public_room_for_a_session() {
    let mut world = World::new(RoomMakers::Members);
    let room = world.create("bob", false, "build");
    world.create("bob", true, "secret");
    assert_eq!(
        world.does("guest", &enter("build")),
        "You are in #build | guest enters"
    );
    assert!(!world.access.rooms.is_member(user("guest"), room));
    let leave = AdminCommand::Leave { room };
    assert_eq!(world.does("guest", &leave), NO_SUCH_ROOM);
    assert_eq!(
        world.does_in_session("guest", true, &leave),
        "You have left the room | guest leaves"
    );
    assert_eq!(world.does("guest", &enter("secret")), NO_SUCH_ROOM);
    let key = "not_allowed: This is for users with a key, and your client sent none";
    assert_eq!(world.does("guest", &create(false, "test")), key);
    assert_eq!(world.does("guest", &direct(&["bob"])), key);
    assert_eq!(world.does("guest", &invite(room, "bob")), key);
}

#[test]
fn the_operator_decides_who_makes_rooms() {
    for (makers, who) in [
        (RoomMakers::Members, ["bob", "mod", "alice"].as_slice()),
        (RoomMakers::Moderators, &["mod", "alice"]),
        (RoomMakers::Owner, &["alice"]),
    ] {
        let mut world = World::new(makers);
        for (number, name) in PEOPLE.into_iter().enumerate() {
            let answer = world.does(name, &create(number % 2 == 0, &format!("r{number}")));
            let is_maker = who.contains(&name) || name == "carol" && who.contains(&"bob");
            assert_eq!(answer.contains("is made"), is_maker, "{makers:?}: {answer}");
        }
        // Conversations are no rooms in that sense.
        let answer = world.does("bob", &direct(&["carol"]));
        assert!(answer.starts_with("This conversation is new"), "{answer}");
    }
}

#[test]
fn a_private_room_is_for_those_who_were_invited() {
    let mut world = World::new(RoomMakers::Members);
    let room = world.create("bob", true, "secret");
    for who in ["carol", "mod", "alice"] {
        assert_eq!(world.does(who, &enter("secret")), NO_SUCH_ROOM);
        assert_eq!(world.does(who, &invite(room, who)), NO_SUCH_ROOM);
        assert_eq!(world.does(who, &remove(room, "bob")), NO_SUCH_ROOM);
        // Nor does the name tell of it.
        world.does("bob", &create(true, "secret"));
    }
    assert_eq!(
        world.does("bob", &invite(room, "carol")),
        "carol is in the room now | carol enters | entry: bob invited carol"
    );
    assert_eq!(
        world.does("bob", &invite(room, "carol")),
        "carol is in the room already"
    );
    assert_eq!(
        world.does("bob", &invite(room, "guest")),
        "not_found: There is no user guest with a key here"
    );
    assert_eq!(
        world.does("carol", &remove(room, "bob")),
        "not_allowed: Only moderators can do that"
    );
    world.does("carol", &invite(room, "alice"));
    world.head = 20;
    assert_eq!(
        world.does("bob", &remove(room, "carol")),
        "carol is no longer in the room | entry: bob removed carol: too loud | carol leaves by bob | changed"
    );
    assert_eq!(
        world.does("bob", &remove(room, "carol")),
        "not_found: carol is not in this room"
    );
    assert_eq!(
        world.does("bob", &remove(room, "bob")),
        "not_allowed: You can't do that to yourself"
    );
    // An owner who is a member moderates it, and ranks above its moderators.
    assert_eq!(
        world.does("bob", &remove(room, "alice")),
        "not_allowed: alice is owner"
    );
    let answer = world.does("alice", &remove(room, "bob"));
    assert!(
        answer.ends_with("bob leaves by alice | changed"),
        "{answer}"
    );
    // The audit trail is read by owners who are not in it.
    let audit = world.audit();
    assert!(
        audit
            .iter()
            .any(|line| line.contains("removed carol from a private room"))
    );
    assert!(
        !audit.iter().any(|line| line.contains("secret")),
        "{audit:?}"
    );
}

#[test]
fn a_room_is_renamed_and_archived() {
    let mut world = World::new(RoomMakers::Members);
    let room = world.create("bob", false, "build");
    let rename = |text| AdminCommand::RenameRoom {
        room,
        name: name(text),
    };
    world.does("carol", &enter("build"));
    let denied = "not_allowed: Only moderators can do that";
    assert_eq!(world.does("carol", &rename("ci")), denied);
    assert_eq!(world.does("carol", &AdminCommand::Archive { room }), denied);
    assert_eq!(
        world.does("bob", &rename("ci")),
        "The room is called #ci | changed | entry: bob renamed the room to #ci"
    );
    assert_eq!(world.does("bob", &rename("ci")), "The room is called #ci");
    assert_eq!(
        world.does("bob", &rename("lobby")),
        "not_allowed: There is a room of that name already"
    );
    // A moderator of the server who is not in it.
    assert_eq!(
        world.does("mod", &AdminCommand::Archive { room }),
        "The room is archived | changed | entry: mod archived the room"
    );
    let archived = "not_allowed: This room is archived: it can only be read";
    assert_eq!(world.does("bob", &rename("test")), archived);
    assert_eq!(world.does("bob", &invite(room, "alice")), archived);
    assert_eq!(
        world.does("bob", &AdminCommand::Unarchive { room }),
        "The room is unarchived | changed | entry: bob took the room out of the archive"
    );
    let audit = world.audit();
    assert!(
        audit
            .iter()
            .any(|line| line.contains("bob renamed #build to #ci")),
        "{audit:?}"
    );
    for room in [RoomId::LOBBY, RoomId::from_bytes([9; 12])] {
        let answer = world.does("alice", &AdminCommand::Archive { room });
        assert!(
            answer.contains("lobby") || answer == NO_SUCH_ROOM,
            "{answer}"
        );
    }
}

#[test]
fn a_rooms_moderators_set_its_rules_and_appoint_others() {
    let mut world = World::new(RoomMakers::Members);
    let room = world.create("bob", false, "build");
    let topic = AdminCommand::Topic {
        room,
        topic: Some(Line::inert("tea")),
    };
    assert_eq!(
        world.does("bob", &topic),
        "Done | rules | changed | entry: bob set the topic: tea"
    );
    assert_eq!(world.does("bob", &topic), "Done | rules | changed");
    assert_eq!(world.does("carol", &topic), NO_SUCH_ROOM);
    world.does("carol", &enter("build"));
    let denied = "not_allowed: Only moderators can do that";
    assert_eq!(world.does("carol", &topic), denied);
    let appoint = |who, on| AdminCommand::AppointModerator {
        room,
        nickname: nickname(who),
        on,
    };
    assert_eq!(
        world.does("bob", &appoint("alice", true)),
        "not_found: alice is not in this room"
    );
    assert_eq!(
        world.does("bob", &appoint("carol", true)),
        "carol moderates the room now | changed"
    );
    let announce = AdminCommand::Announce { room, on: true };
    assert_eq!(world.does("carol", &announce), "Done | rules | changed");
    assert_eq!(
        world.does("mod", &AdminCommand::Slow { room, seconds: 9 }),
        "Done | rules | changed"
    );
    let rules = &world.access.rooms.get(room).unwrap().rules;
    assert_eq!((rules.announce, rules.slow_seconds), (true, 9));
    assert_eq!(rules.topic, Some(Line::inert("tea")));
    assert_eq!(
        world.does("carol", &appoint("bob", false)),
        "bob is no longer a moderator of the room | changed"
    );
    assert_eq!(world.does("bob", &announce), denied);
    let history = |room, history| AdminCommand::History { room, history };
    assert_eq!(
        world.does("carol", &history(room, HistoryAccess::Joined)),
        "not_allowed: All of a public room can be read by everybody who enters it"
    );
    let secret = world.create("carol", true, "secret");
    assert_eq!(
        world.does("carol", &history(secret, HistoryAccess::All)),
        "New members may read everything that is written from now on | changed"
    );
    world.head = 30;
    world.does("carol", &invite(secret, "bob"));
    let seen = world.access.rooms.visible(user("bob"), secret);
    assert!(!seen.contains(10) && seen.contains(11));
}

#[test]
fn a_conversation_is_found_or_made() {
    let mut world = World::new(RoomMakers::Members);
    let answer = world.does("bob", &direct(&["carol", "alice"]));
    assert!(
        answer.starts_with("This conversation is new | "),
        "{answer}"
    );
    for who in ["alice", "bob", "carol"] {
        assert!(answer.contains(&format!("{who} enters")), "{answer}");
    }
    assert_eq!(
        world.does("alice", &direct(&["bob", "carol"])),
        "This conversation exists | alice enters"
    );
    assert_eq!(
        world.does("alice", &direct(&["alice"])),
        "This conversation is new | alice enters"
    );
    assert_eq!(
        world.does("bob", &direct(&["carol", "guest"])),
        "not_found: There is no user guest with a key here"
    );
    let room = RoomId::direct(&[user("alice"), user("bob"), user("carol")]);
    let refused = "not_allowed: That can't be done in a direct conversation";
    let topic = AdminCommand::Topic { room, topic: None };
    for command in [
        AdminCommand::Leave { room },
        invite(room, "mod"),
        remove(room, "bob"),
        topic,
    ] {
        assert_eq!(world.does("alice", &command), refused, "{command:?}");
        assert_eq!(world.does("mod", &command), NO_SUCH_ROOM, "{command:?}");
    }
}
