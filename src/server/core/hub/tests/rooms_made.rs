//! Tests of rooms that users make: who is told what of them, and who is not.

use super::{people::*, *};
use crate::{
    protocol::{
        HistoryAccess, Preferences, RoomId, RoomKind, ServerFrame,
        admin::AdminCommand,
        frame::{ChangesRequest, HistoryRequest, Part, SearchRequest},
    },
    search::{Query, Words},
    server::core::rooms::membership::Membership,
};

#[test]
fn a_public_room_is_made_found_entered_and_left() {
    let mut world = with(&["alice", "bob"]);
    let build = world.makes("alice", "build", false);
    assert_eq!(world.hears("alice"), ["in build", "1 alice made the room"],);
    assert_eq!(world.hears("bob"), [""; 0]);
    assert_eq!(world.finds("bob", ""), ["build", "lobby"]);
    let taken = AdminCommand::Create {
        private: false,
        name: room_name("build"),
    };
    assert_eq!(world.commands("bob", taken), ["error not_allowed"]);

    assert_eq!(
        world.commands("bob", into("build")),
        [
            "in build",
            "result You are in #build",
            "1 alice made the room",
            "2 bob joined"
        ]
    );
    assert_eq!(world.hears("alice"), ["2 bob joined"]);
    assert_eq!(
        world.say("bob", &says("bob", 1, build, "hi")),
        ["3 bob: hi"]
    );
    assert_eq!(world.hears("alice"), ["3 bob: hi"]);
    assert_eq!(world.people_in("alice", build), ["alice", "bob"]);

    let left = AdminCommand::Leave { room: build };
    assert_eq!(
        world.commands("bob", left),
        ["out", "result You have left the room"]
    );
    let heard = world.hears("alice");
    assert!(heard.contains(&"4 bob left".to_owned()), "{heard:?}");
    assert_eq!(
        world.say("bob", &says("bob", 2, build, "me again")),
        ["error no_such_room 2"]
    );
    assert_eq!(world.people_in("alice", build), ["alice"]);
}

#[test]
fn a_private_room_does_not_exist_for_others() {
    let mut world = with(&["alice", "bob", "carol"]);
    let room = world.makes("alice", "surprise", true);
    world.commands("alice", invites(room, "carol"));
    world.say("alice", &says("alice", 1, room, "a cake for bob"));
    world.hears("bob");
    assert_eq!(world.finds("bob", ""), ["lobby"]);
    assert_eq!(world.finds("carol", "sur"), ["surprise"]);
    assert_eq!(
        world.commands("bob", into("surprise")),
        ["error no_such_room"]
    );
    let list = ClientFrame::ListPeople {
        room: Some(room),
        list: list(""),
    };
    for frame in [list, history(room), search(room, "cake"), changes(room)] {
        assert_eq!(
            world.say("bob", &frame),
            ["error no_such_room"],
            "{frame:?}"
        );
    }
    for command in [
        invites(room, "bob"),
        AdminCommand::Leave { room },
        AdminCommand::Archive { room },
    ] {
        assert_eq!(world.commands("bob", command), ["error no_such_room"]);
    }
    // Its name is free for another one.
    let other = world.makes("bob", "surprise", false);
    assert_ne!(other, room);
}

#[test]
fn a_member_reads_what_was_said_while_they_were_one() {
    let mut world = with(&["alice", "bob"]);
    let room = world.makes("alice", "surprise", true);
    world.say("alice", &says("alice", 1, room, "before"));
    world.hears("bob");
    world.commands("alice", invites(room, "bob"));
    assert_eq!(world.hears("bob"), ["in surprise", "3 alice invited bob"]);
    world.say("alice", &says("alice", 2, room, "during"));
    assert_eq!(world.hears("bob"), ["4 alice: during"]);
    assert_eq!(world.pages("bob", &history(room)), [3, 4]);
    assert_eq!(world.pages("bob", &search(room, "before")), [0; 0]);
    assert_eq!(world.pages("bob", &search(room, "during")), [4]);
    let removed = removes(room, "bob");
    world.commands("alice", removed);
    assert_eq!(world.hears("bob"), ["out, by alice"]);
    world.say("alice", &says("alice", 3, room, "after"));
    assert_eq!(world.hears("bob"), [""; 0]);
    assert_eq!(world.say("bob", &history(room)), ["error no_such_room"]);
    world.commands("alice", invites(room, "bob"));
    world.hears("bob");
    // A page ends where what they may read does, and the next one goes on behind.
    assert_eq!(world.pages("bob", &history(room)), [3, 4]);
    assert_eq!(world.pages("bob", &history_from(room, 5)), [7]);
    let open = AdminCommand::History {
        room,
        history: HistoryAccess::All,
    };
    world.commands("alice", open);
    world.say("alice", &says("alice", 4, room, "for all"));
    world.commands("alice", invites(room, "carol"));
    world.arrives("carol");
    world.commands("alice", invites(room, "carol"));
    world.hears("carol");
    assert_eq!(world.pages("carol", &history(room)), [8, 9]);
}

#[test]
fn who_is_removed_before_their_invitation_is_stored_is_sent_nothing() {
    let mut world = with(&["alice", "bob"]);
    let room = world.makes("alice", "surprise", true);
    world.hears("bob");
    world.hold_commits = true;
    let removed = removes(room, "bob");
    world.post_frame("alice", &command(invites(room, "bob")));
    world.post_frame("alice", &command(removed.clone()));
    world.post_frame("alice", &says("alice", 1, room, "not for bob"));
    while world.commits() {
        world.commit();
        let heard = world.hears("bob");
        assert!(
            !heard.iter().any(|line| line.contains("surprise")),
            "{heard:?}"
        );
        assert!(!heard.iter().any(|line| line.contains("bob")), "{heard:?}");
    }
    // Nor do they read it when they are invited again, all in one commit.
    world.post_frame("alice", &command(invites(room, "bob")));
    world.post_frame("alice", &command(removed));
    world.post_frame("alice", &says("alice", 2, room, "nor this"));
    world.post_frame("alice", &command(invites(room, "bob")));
    world.post_frame("alice", &says("alice", 3, room, "for bob"));
    while world.commits() {
        world.commit();
    }
    world.hold_commits = false;
    let heard = world.hears("bob").join("\n");
    assert!(
        heard.contains("for bob") && !heard.contains("nor this"),
        "{heard}"
    );
    assert_eq!(world.pages("bob", &search(room, "bob")).len(), 1);
    assert_eq!(world.pages("bob", &search(room, "this")), [0; 0]);
}

#[test]
fn who_is_invited_does_not_see_what_waits_for_its_commit() {
    let mut world = with(&["alice", "bob"]);
    let room = world.makes("alice", "surprise", true);
    world.hears("bob");
    world.hold_commits = true;
    world.post_frame("alice", &says("alice", 1, room, "not for bob"));
    world.post_frame("alice", &says("alice", 2, room, "nor this"));
    // A message again that is stored already gets no number.
    world.post_frame("alice", &says("alice", 1, room, "not for bob"));
    world.post_frame("alice", &command(invites(room, "bob")));
    world.post_frame("alice", &says("alice", 3, room, "for bob"));
    // Of a marker, no device may see it go back.
    let read = world.has_read("bob", room);
    assert_eq!(read, 1, "only what was stored when they were invited");
    while world.commits() {
        world.commit();
    }
    assert_eq!(world.has_read("bob", room), read);
    world.hold_commits = false;
    let heard = world.hears("bob");
    assert_eq!(
        heard,
        ["in surprise", "4 alice invited bob", "5 alice: for bob"]
    );
    assert_eq!(world.pages("bob", &history(room)), [4, 5]);
    world.restart();
    world.arrives("bob");
    assert_eq!(world.pages("bob", &history(room)), [4, 5]);
}

#[test]
fn who_is_removed_gets_nothing_behind_it_not_even_of_the_same_commit() {
    let mut world = with(&["alice", "bob"]);
    let room = world.makes("alice", "surprise", true);
    world.commands("alice", invites(room, "bob"));
    world.hears("bob");
    world.hold_commits = true;
    let removed = removes(room, "bob");
    world.post_frame("alice", &says("alice", 1, room, "before"));
    world.post_frame("alice", &command(removed));
    world.post_frame("alice", &says("alice", 2, room, "now that bob is gone"));
    while world.commits() {
        world.commit();
    }
    let heard = world.hears("bob");
    let hears_of_it = heard.iter().any(|frame| frame.contains("bob is gone"));
    assert!(!hears_of_it, "{heard:?}");
    assert_eq!(heard.last().unwrap(), "out, by alice");
}

#[test]
fn what_somebody_sends_just_before_they_leave_is_answered() {
    let leave = |room| command(AdminCommand::Leave { room });
    // Who reads at once has the echo. Who does not, or leaves with the same commit, does not get it
    // any more: they are no member.
    for reads in [true, false] {
        for commits in [1, 2] {
            let mut world = with(&["alice", "bob"]);
            let room = world.makes("alice", "build", false);
            world.say("bob", &command(into("build")));
            world.hears("bob");
            if !reads {
                world.client("bob").window = 0;
            }
            world.hold_commits = commits == 1;
            world.post_frame("bob", &says("bob", 1, room, "bye"));
            world.post_frame("bob", &leave(room));
            while world.commits() {
                world.commit();
            }
            world.hold_commits = false;
            world.client("bob").window = usize::MAX;
            world.run();
            let heard = world.hears("bob");
            let answers = heard
                .iter()
                .filter(|heard| heard.contains("bob: bye") || heard.starts_with("ack 1 stored"));
            assert_eq!(answers.count(), 1, "{reads} {commits}: {heard:?}");
        }
    }
}

#[test]
fn a_room_is_renamed_and_archived_for_all_its_members() {
    let mut world = with(&["alice", "bob"]);
    let room = world.makes("alice", "build", false);
    world.commands("bob", into("build"));
    world.hears("alice");
    let rename = AdminCommand::RenameRoom {
        room,
        name: room_name("ci"),
    };
    assert_eq!(world.commands("bob", rename.clone()), ["error not_allowed"]);
    world.commands("alice", rename);
    let heard = world.hears("bob");
    assert!(heard.contains(&"room ci".to_owned()), "{heard:?}");
    assert!(heard.contains(&"3 alice renamed the room to #ci".to_owned()));
    world.commands("alice", AdminCommand::Archive { room });
    world.hears("bob");
    assert_eq!(
        world.say("bob", &says("bob", 1, room, "too late")),
        ["error not_allowed 1"]
    );
    assert_eq!(world.pages("bob", &history(room)), [1, 2, 3, 4]);
    world.commands("alice", AdminCommand::Unarchive { room });
    world.hears("bob");
    assert_eq!(world.say("bob", &says("bob", 2, room, "hi")), ["6 bob: hi"]);
}

#[test]
fn a_conversation_reaches_those_who_are_away_when_they_join() {
    let mut world = with(&["alice", "bob"]);
    world.cut("bob");
    let room = world.talks("alice", &["bob"]);
    world.say("alice", &says("alice", 1, room, "are you there?"));
    assert_eq!(world.talks("alice", &["bob"]), room);
    let start = world.joins("bob").into_iter().find(|it| it.room == room);
    let start = start.expect("the conversation");
    assert_eq!(start.info.kind, RoomKind::Direct);
    assert_eq!(start.info.people.len(), 2);
    assert_eq!((start.read.unread.get(), start.read.mentions.get()), (1, 0));
    assert_eq!(world.pages("bob", &history(room)), [1]);
    // Somebody else can't even name it.
    world.arrives("carol");
    assert_eq!(world.say("carol", &history(room)), ["error no_such_room"]);
}

#[test]
fn a_hidden_conversation_comes_back_with_a_message() {
    let mut world = with(&["alice", "bob"]);
    let room = world.talks("alice", &["bob"]);
    let hide = ClientFrame::Prefer {
        room,
        preferences: Preferences {
            hidden: true,
            ..Preferences::default()
        },
    };
    for name in ["alice", "bob"] {
        world.say(name, &hide);
    }
    assert!(world.hides("alice", room) && world.hides("bob", room));
    world.talks("alice", &["bob"]);
    assert!(!world.hides("alice", room) && world.hides("bob", room));
    world.say("alice", &hide);
    world.hears("bob");
    world.say("bob", &says("bob", 1, room, "hi"));
    assert_eq!(world.hears("alice"), ["read 0.0", "1 bob: hi"]);
    assert!(!world.hides("alice", room) && !world.hides("bob", room));
}

#[test]
fn all_devices_of_a_user_enter_and_leave_together() {
    let mut world = with(&["alice", "bob"]);
    let room = world.makes("alice", "build", false);
    world.comes_as("phone", "bob", |join| Join {
        client_id: ClientId::parse("phone").unwrap(),
        ..join
    });
    world.comes_as("old", "bob", |join| Join {
        client_id: ClientId::parse("old").unwrap(),
        can: crate::protocol::frame::Capabilities::default(),
        ..join
    });
    for name in ["phone", "old"] {
        world.hears(name);
    }
    world.commands("bob", into("build"));
    assert_eq!(
        world.hears("phone"),
        ["in build", "1 alice made the room", "2 bob joined"]
    );
    assert_eq!(world.hears("old"), [""; 0], "it is not told of rooms");
    world.commands("phone", AdminCommand::Leave { room });
    assert_eq!(world.hears("bob").last().unwrap(), "out");
    assert_eq!(world.hears("old"), [""; 0]);
}

#[test]
fn a_guest_without_a_key_is_in_a_public_room_for_a_session() {
    let mut world = with(&["alice"]);
    let room = world.makes("alice", "build", false);
    world.join("dave");
    let heard = world.commands("dave", into("build"));
    assert!(heard.contains(&"in build".to_owned()), "{heard:?}");
    assert_eq!(
        world.say("dave", &says("dave", 1, room, "hi")),
        ["2 dave: hi"]
    );
    world.cut("dave");
    world.join("dave");
    assert_eq!(
        world.say("dave", &says("dave", 2, room, "me again")),
        ["error no_such_room 2"]
    );
    assert_eq!(world.people_in("alice", room), ["alice"]);
}

#[test]
fn rooms_are_there_after_a_restart() {
    let mut world = with(&["alice", "bob"]);
    let build = world.makes("alice", "build", false);
    let secret = world.makes("alice", "surprise", true);
    world.commands("alice", invites(secret, "bob"));
    let talk = world.talks("alice", &["bob"]);
    world.restart();
    let mut rooms: Vec<_> = world.joins("bob").iter().map(|it| it.room).collect();
    let mut expected = vec![RoomId::LOBBY, secret, talk];
    rooms.sort_unstable();
    expected.sort_unstable();
    assert_eq!(rooms, expected);
    let starts = world.joins("alice");
    let made = starts.iter().find(|it| it.room == build).unwrap();
    assert!(made.info.moderator && made.extent.head == 1);
    assert_eq!(world.finds("bob", "bui"), ["build"]);
}

#[test]
fn a_list_does_not_tell_of_a_room_that_a_power_failure_may_undo() {
    let mut world = with(&["alice"]);
    let create = AdminCommand::Create {
        private: true,
        name: room_name("secret"),
    };
    world.hold_commits = true;
    world.post_frame("alice", &command(create));
    world.post_frame("alice", &ClientFrame::ListRooms(list("")));
    assert_eq!(world.hears("alice"), [""; 0]);
    while world.commits() {
        world.commit();
    }
    let heard = world.hears("alice");
    assert!(
        heard
            .iter()
            .any(|heard| heard.starts_with("rooms") && heard.contains("secret")),
        "{heard:?}"
    );
    // With nothing to store it waits for nothing.
    world.post_frame("alice", &ClientFrame::ListRooms(list("")));
    assert_eq!(world.hears("alice").len(), 1);
    assert!(!world.commits());
}

#[test]
fn a_room_that_can_not_be_stored_is_made_once_it_can() {
    let mut world = with(&["alice"]);
    world.fail = Some(StoreError::Refused);
    let create = AdminCommand::Create {
        private: false,
        name: room_name("build"),
    };
    assert_eq!(world.commands("alice", create), ["error not_durable"]);
    world.advance(Duration::from_secs(2));
    assert_eq!(world.hears("alice"), ["in build", "1 alice made the room"]);
    world.restart();
    world.arrives("alice");
    assert_eq!(world.finds("alice", "build"), ["build"]);
}

#[test]
fn a_log_without_a_record_is_a_public_room_of_its_own() {
    let mut world = with(&["alice"]);
    let room = world.makes("alice", "build", false);
    world.say("alice", &says("alice", 1, room, "hi"));
    world.restart_without_records();
    world.arrives("bob");
    let name = format!("room-{room}");
    assert_eq!(world.finds("bob", ""), ["lobby", &name]);
    let other = world.makes("bob", "build", false);
    assert_ne!(other, room, "nobody takes its log over");
    world.commands("bob", into(&name));
    assert_eq!(world.pages("bob", &history(room)), [1, 2, 3]);
    // The operator names it again.
    world.restart_without_records();
    world.restart_with_rooms(&["lobby", "build"]);
    world.arrives("bob");
    assert_eq!(world.finds("bob", "bui"), ["build"]);
    assert_eq!(
        world.hub.access.rooms.named(&room_name("build")),
        Some(room)
    );
}

#[test]
fn somebody_always_moderates_a_private_room() {
    let mut world = with(&["alice", "bob", "carol"]);
    let room = world.makes("alice", "surprise", true);
    for name in ["carol", "bob"] {
        world.commands("alice", invites(room, name));
    }
    world.hears("carol");
    world.commands("alice", AdminCommand::Leave { room });
    let heard = world.hears("carol");
    assert!(heard.contains(&"room surprise".to_owned()), "{heard:?}");
    let topic = AdminCommand::Topic {
        room,
        topic: Some(Line::inert("tea")),
    };
    assert_eq!(world.commands("bob", topic.clone()), ["error not_allowed"]);
    let heard = world.commands("carol", topic);
    assert!(heard.contains(&"result Done".to_owned()), "{heard:?}");
}

// Requests.

fn invites(room: RoomId, name: &str) -> AdminCommand {
    AdminCommand::InviteTo {
        room,
        nickname: nickname(name),
    }
}

fn removes(room: RoomId, name: &str) -> AdminCommand {
    AdminCommand::Remove {
        room,
        nickname: nickname(name),
        reason: None,
    }
}

fn into(name: &str) -> AdminCommand {
    AdminCommand::Enter {
        name: room_name(name),
    }
}

fn search(room: RoomId, words: &str) -> ClientFrame {
    ClientFrame::Search(SearchRequest {
        room,
        query: Query {
            words: Words::parse(words).unwrap(),
            sender: None,
            after: None,
            before: None,
        },
        to: None,
        reference: None,
    })
}

fn changes(room: RoomId) -> ClientFrame {
    ClientFrame::Changes(ChangesRequest {
        room,
        since: 0,
        to: NUMBER_MAX,
        erased: false,
        reference: None,
    })
}

fn history(room: RoomId) -> ClientFrame {
    history_from(room, 1)
}

fn history_from(room: RoomId, from: u64) -> ClientFrame {
    let part = Part::Forward { from, to: 99 };
    ClientFrame::History(HistoryRequest {
        room,
        part,
        reference: None,
    })
}

impl World {
    /// Makes a direct conversation, or finds it.
    fn talks(&mut self, name: &str, others: &[&str]) -> RoomId {
        let nicknames = others.iter().map(|other| nickname(other)).collect();
        self.gets_room(name, AdminCommand::Direct { nicknames })
    }

    /// The numbers of the entries on a page.
    fn pages(&mut self, name: &str, frame: &ClientFrame) -> Vec<u64> {
        self.hears(name);
        self.post_frame(name, frame);
        let heard = mem::take(&mut self.client(name).heard);
        match heard.into_iter().next() {
            Some(ServerFrame::History(page)) => page.entries.iter().map(|it| it.seq).collect(),
            Some(ServerFrame::Found(page)) => page.entries.iter().map(|it| it.seq).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn finds(&mut self, name: &str, query: &str) -> Vec<String> {
        self.hears(name);
        let heard = self.say(name, &ClientFrame::ListRooms(list(query)));
        words(&heard[0], "rooms")
    }

    fn people_in(&mut self, name: &str, room: RoomId) -> Vec<String> {
        self.hears(name);
        let list = list("");
        let room = Some(room);
        let heard = self.say(name, &ClientFrame::ListPeople { room, list });
        let mut names = words(&heard[0], "people");
        names.sort_unstable();
        names
    }

    /// What is kept about a user in a room.
    fn keeps(&self, name: &str, room: RoomId) -> &Membership {
        let user = key(name).public().user();
        self.hub.access.rooms.membership(user, room).unwrap()
    }

    fn has_read(&self, name: &str, room: RoomId) -> u64 {
        self.keeps(name, room).marker.seq
    }

    fn hides(&self, name: &str, room: RoomId) -> bool {
        self.keeps(name, room).preferences().hidden
    }
}

fn words(heard: &str, what: &str) -> Vec<String> {
    let mut words = heard.split_whitespace().map(str::to_owned);
    assert_eq!(words.next().as_deref(), Some(what), "{heard}");
    words.collect()
}
