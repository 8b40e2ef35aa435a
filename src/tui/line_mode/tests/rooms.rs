//! Tests of the user's rooms.

use super::*;
use crate::{
    client::event::{InboxEntries, ListedPage, RestoredRoom},
    protocol::{
        Count, NotifyLevel, Person, Preferences, ReadMarker, RoomKind,
        admin::{AdminCommand, AdminResult},
        entry::{RoomChange, RoomEvent},
        room::{ListedPerson, ListedRoom},
    },
};

fn build() -> RoomId {
    RoomId::parse("build").unwrap()
}

fn named(room: &str) -> RoomInfo {
    RoomInfo::public(RoomName::parse(room).unwrap())
}

fn private(room: &str) -> RoomInfo {
    RoomInfo {
        kind: RoomKind::Private,
        ..named(room)
    }
}

fn user(byte: u8) -> UserId {
    UserId::from_bytes([byte; 12])
}

/// A conversation of ours with these people.
fn direct(others: &[(u8, &str)]) -> RoomInfo {
    let people = others.iter().chain(&[(7, "bot")]);
    RoomInfo {
        kind: RoomKind::Direct,
        people: people
            .map(|(byte, nickname)| Person {
                user: user(*byte),
                nickname: name(nickname),
            })
            .collect(),
        ..RoomInfo::default()
    }
}

fn open(model: &mut Model, room: RoomId, info: RoomInfo) {
    model.event(Event::Room(Box::new(RoomStart {
        changed: 0,
        redacted: 0,
        room,
        info,
        read: ReadState::default(),
        extent: Extent::new(1, 7),
        next: 8,
        reset: None,
    })));
}

fn said(room: RoomId, seq: u64, nickname: &str, text: &str) -> Event {
    let entry = logged(seq, 0, text);
    Event::Message(
        Entry {
            room,
            author: Author {
                user: user(1),
                nickname: name(nickname),
                ..entry.author
            },
            ..entry
        }
        .into(),
    )
}

fn private_room(byte: u8) -> RoomId {
    RoomId::parse(&format!("{byte:02x}").repeat(12)).unwrap()
}

#[test]
fn a_message_of_another_room_names_it() {
    let mut model = model(FOLLOWER);
    open(&mut model, build(), named("build"));
    let (bob, both) = (private_room(1), private_room(2));
    open(&mut model, bob, direct(&[(1, "bob")]));
    open(&mut model, both, direct(&[(1, "bob"), (2, "carol")]));
    for event in [
        said(RoomId::LOBBY, 1, "bob", "in the lobby"),
        said(build(), 8, "bob", "it is\nred"),
        said(bob, 8, "bob", "psst"),
        said(bob, 9, "bot", "from my phone"),
        said(both, 8, "bob", "you two"),
    ] {
        model.event(event);
    }
    assert_eq!(
        model.output,
        [
            "00:00 bob: in the lobby\n",
            "00:00 #build bob: it is\n      red\n",
            "00:00 @bob: psst\n",
            "00:00 @bob bot: from my phone\n",
            "00:00 @bob, carol bob: you two\n",
        ]
    );
    line(&mut model, "hello");
    let sent = model.commands.pop_front();
    assert!(
        matches!(sent, Some(Command::Send { room, .. }) if room == RoomId::LOBBY),
        "{sent:?}"
    );
}

#[test]
fn rooms_of_the_same_name_are_told_apart() {
    let mut model = model(FOLLOWER);
    let (one, two) = (private_room(0xa1), private_room(0xb2));
    open(&mut model, one, private("ops"));
    model.event(said(one, 8, "bob", "x"));
    open(&mut model, two, private("ops"));
    model.event(said(one, 9, "bob", "x"));
    model.event(said(two, 8, "bob", "x"));
    assert_eq!(
        model.output,
        [
            "00:00 #ops bob: x\n",
            "00:00 #ops~a1a1a1 bob: x\n",
            "00:00 #ops~b2b2b2 bob: x\n",
        ]
    );
}

#[test]
fn a_nickname_can_not_pass_for_a_room() {
    let mut model = model(FOLLOWER);
    model.event(said(RoomId::LOBBY, 1, "#build bob", "x"));
    open(&mut model, build(), named("build"));
    model.event(said(RoomId::LOBBY, 2, "#build bob", "x"));
    assert_eq!(
        model.output,
        ["00:00 #build bob: x\n", "00:00 #lobby #build bob: x\n"]
    );
}

#[test]
fn what_happens_to_a_room_is_a_status() {
    let event = |room, seq, change, alt: &str| {
        let entry = Entry {
            room,
            kind: EntryKind::Event(Box::new(RoomEvent {
                change,
                alt: Line::inert(alt),
            })),
            ..logged(seq, 0, "x")
        };
        Event::Message(entry.into())
    };
    for (options, told) in [
        (FOLLOWER, &["alice joined\n", "#build: alice left\n"][..]),
        (SCRIPT, &[]),
    ] {
        let mut model = model(options);
        open(&mut model, build(), named("build"));
        model.event(event(RoomId::LOBBY, 1, RoomChange::Joined, "alice joined"));
        model.event(event(build(), 8, RoomChange::Left, "alice left"));
        assert!(model.output.is_empty(), "{:?}", model.output);
        assert_eq!(model.status, told);
    }
}

#[test]
fn edits_and_deletions_of_another_room_name_it() {
    let mut model = model(FOLLOWER);
    open(&mut model, build(), named("build"));
    model.event(said(build(), 8, "bob", "x"));
    model.output.clear();
    let target = logged(8, 0, "x").id;
    let change = |seq, kind| {
        let entry = Entry {
            room: build(),
            kind,
            ..logged(seq, 0, "x")
        };
        Event::Message(entry.into())
    };
    model.event(change(
        9,
        EntryKind::Edit {
            target,
            body: Some(Body::inert("y")),
            mentions: Mentions::NONE,
        },
    ));
    model.event(change(
        10,
        EntryKind::Redaction {
            target,
            reason: None,
        },
    ));
    assert_eq!(
        model.output,
        [
            "00:00 #build alice (edited): y\n",
            "-- #build: a message of bob (00:00) was deleted --\n",
        ]
    );
}

#[test]
fn a_script_never_writes_to_a_room_that_it_did_not_name() {
    let mut model = in_build(SCRIPT);
    open(&mut model, RoomId::LOBBY, named("lobby"));
    model.event(Event::RoomLeft {
        room: build(),
        by: Some(name("carol")),
    });
    assert_eq!(model.status, ["carol removed you from #build\n"]);
    line(&mut model, "for the build");
    model.input_ended(None);
    let commands = commands(&mut model);
    assert_eq!(commands, ["send for the build", "Leave"]);
    model.event(ended(1));
    assert_eq!(model.exit_status(), ExitStatus::NotDelivered);
}

#[test]
fn the_room_to_write_to_goes_by_its_name_until_its_id_is_known() {
    let mut model = started_in(SCRIPT, "build");
    model.event(Event::Connection(ConnectionStatus::Online));
    open(&mut model, private_room(3), private("build"));
    assert_eq!(
        model.room,
        build(),
        "a private room of that name is another"
    );
    open(&mut model, private_room(4), named("build"));
    line(&mut model, "hello");
    let sent = model.commands.pop_front();
    assert!(
        matches!(sent, Some(Command::Send { room, .. }) if room == private_room(4)),
        "{sent:?}"
    );
}

const COMMANDS: LineModeOptions = LineModeOptions {
    commands: true,
    ..SCRIPT
};

fn result(room: Option<RoomId>) -> AdminResult {
    AdminResult {
        message: Line::inert("Done"),
        lines: Vec::new(),
        invite: None,
        code: None,
        room,
        reference: None,
    }
}

fn answer(model: &mut Model, request: u64, answer: Result<AdminResult, &str>) {
    model.event(Event::Admin {
        request,
        answer: answer.map_err(Line::inert),
    });
}

/// The rooms and texts of what was sent since the last call.
fn sent(model: &mut Model) -> Vec<(RoomId, String)> {
    let sent = model
        .commands
        .drain(..)
        .filter_map(|command| match command {
            Command::Send { room, content } => Some((room, content.words().to_owned())),
            _ => None,
        });
    sent.collect()
}

#[test]
fn go_changes_where_lines_go_and_which_rooms_are_named() {
    let mut model = model(COMMANDS);
    open(&mut model, build(), named("build"));
    let bob = private_room(1);
    open(&mut model, bob, direct(&[(1, "Bob")]));
    for name in ["build", "#build", "#BUILD"] {
        line(&mut model, &format!("/go {name}"));
        assert_eq!(model.room, build(), "{name}");
        members(&mut model);
        line(&mut model, "/go lobby");
        assert_eq!(model.room, RoomId::LOBBY);
        members(&mut model);
    }
    model.commands.clear();
    line(&mut model, "/go bob");
    let watched = Command::Watch(vec![bob]);
    assert!(model.commands.contains(&watched), "{:?}", model.commands);
    line(&mut model, "hello");
    assert_eq!(sent(&mut model), [(bob, "hello".to_owned())]);
    model.event(said(RoomId::LOBBY, 1, "carol", "x"));
    model.event(said(bob, 8, "Bob", "y"));
    assert_eq!(model.output, ["00:00 #lobby carol: x\n", "00:00 Bob: y\n"]);
    assert_eq!(model.undelivered(), 0);
}

#[test]
fn lines_for_a_room_that_a_script_can_not_go_to_go_to_no_other() {
    let mut model = model(COMMANDS);
    open(&mut model, build(), named("build"));
    for text in ["/go ops", "for ops", "/go build", "for the build"] {
        line(&mut model, text);
    }
    members(&mut model);
    assert_eq!(sent(&mut model), [(build(), "for the build".to_owned())]);
    assert!(
        model.status[0].contains("in no room ops"),
        "{:?}",
        model.status
    );
    assert!(
        model.status[1].contains("Line 2 was not sent"),
        "{:?}",
        model.status
    );
    assert_eq!(model.undelivered(), 2);
    // A user sees it, and goes on.
    let mut model = super::model(PERSON);
    line(&mut model, "/go ops");
    line(&mut model, "hello");
    assert_eq!(sent(&mut model).len(), 1);
}

#[test]
fn rooms_of_the_same_name_are_named_apart_to_go_there() {
    let mut model = model(PERSON);
    open(&mut model, private_room(0xa1), private("ops"));
    open(&mut model, private_room(0xb2), private("ops"));
    line(&mut model, "/go ops");
    let told = model.status.pop_back().unwrap();
    assert_eq!(told, "Which one: #ops~a1a1a1, #ops~b2b2b2?\n");
    line(&mut model, "/go #ops~b2b2b2");
    assert_eq!(model.room, private_room(0xb2));
}

#[test]
fn lines_after_a_room_was_entered_wait_until_it_is_open() {
    let mut model = model(COMMANDS);
    for text in ["/join build", "hello"] {
        line(&mut model, text);
    }
    assert!(sent(&mut model).is_empty());
    answer(&mut model, 0, Ok(result(Some(build()))));
    assert!(sent(&mut model).is_empty(), "it is not open yet");
    model.event(Event::Room(Box::new(RoomStart {
        changed: 0,
        redacted: 0,
        room: build(),
        info: named("build"),
        read: ReadState::default(),
        extent: Extent::new(1, 7),
        next: 7,
        reset: None,
    })));
    assert_eq!(sent(&mut model), [(build(), "hello".to_owned())]);
    // What was said before is not printed, as at the start.
    model.event(said(build(), 7, "bob", "before"));
    model.event(said(build(), 8, "bob", "after"));
    assert_eq!(model.output, ["00:00 bob: after\n"]);
    // One that is refused.
    let mut refused = super::model(COMMANDS);
    for text in ["/join build", "hello"] {
        line(&mut refused, text);
    }
    refused.input_ended(None);
    answer(&mut refused, 0, Err("There is no such room"));
    assert!(sent(&mut refused).is_empty(), "not to the lobby");
    refused.event(ended(0));
    assert_eq!(refused.exit_status(), ExitStatus::NotDelivered);
}

#[test]
fn a_text_for_a_person_goes_to_the_conversation_with_them() {
    let mut model = model(COMMANDS);
    line(&mut model, "/msg bob hello there");
    let asked = model.commands.pop_front();
    let Some(Command::Admin {
        request,
        command: AdminCommand::Direct { nicknames },
    }) = asked
    else {
        panic!("{asked:?}");
    };
    assert_eq!(nicknames, [name("bob")]);
    line(&mut model, "for the lobby");
    answer(&mut model, request, Ok(result(Some(private_room(1)))));
    assert_eq!(
        sent(&mut model),
        [
            (private_room(1), "hello there".to_owned()),
            (RoomId::LOBBY, "for the lobby".to_owned()),
        ]
    );
}

#[test]
fn who_leaves_a_room_does_not_write_to_it() {
    let mut model = in_build(COMMANDS);
    open(&mut model, RoomId::LOBBY, named("lobby"));
    line(&mut model, "/leave");
    model.event(Event::RoomLeft {
        room: build(),
        by: None,
    });
    answer(&mut model, 0, Ok(result(None)));
    members(&mut model);
    assert_eq!(model.status, ["Done\n"]);
    line(&mut model, "for the build");
    assert!(sent(&mut model).is_empty());
    line(&mut model, "/go lobby");
    line(&mut model, "for the lobby");
    assert_eq!(
        sent(&mut model),
        [(RoomId::LOBBY, "for the lobby".to_owned())]
    );
    assert_eq!(model.undelivered(), 1);
    // A user is in the lobby then.
    let mut model = in_build(PERSON);
    open(&mut model, RoomId::LOBBY, named("lobby"));
    line(&mut model, "/leave");
    model.event(Event::RoomLeft {
        room: build(),
        by: None,
    });
    line(&mut model, "hello");
    assert_eq!(sent(&mut model), [(RoomId::LOBBY, "hello".to_owned())]);
}

#[test]
fn lists_are_read_to_their_end() {
    let listed = |byte: u8, members| ListedRoom {
        room: private_room(byte),
        name: RoomName::parse(&format!("room-{byte}")).unwrap(),
        topic: (byte == 1).then(|| Line::inert("green again")),
        members,
        joined: byte == 1,
        archived: false,
        private: byte == 2,
    };
    let mut model = model(COMMANDS);
    line(&mut model, "/rooms");
    line(&mut model, "after");
    model.input_ended(None);
    let page = |request, list: &[ListedRoom], more| Event::RoomList {
        request,
        rooms: Ok(ListedPage {
            list: list.to_vec(),
            more,
        }),
    };
    model.event(page(0, &[listed(1, 1204), listed(2, 1)], true));
    let asked = model.commands.pop_back();
    assert_eq!(
        asked,
        Some(Command::ListRooms {
            request: 1,
            query: Line::inert(""),
            after: Some(private_room(2)),
        })
    );
    assert!(sent(&mut model).is_empty(), "more is to come");
    model.event(page(1, &[listed(3, 0)], false));
    assert_eq!(
        model.status,
        [
            "#room-1: 1,204 members, joined. Topic: green again\n",
            "#room-2: 1 member, private\n",
            "#room-3: for everybody\n",
        ]
    );
    assert_eq!(sent(&mut model).len(), 1);
    // An end that is missing makes no loop.
    let mut model = super::model(COMMANDS);
    line(&mut model, "/rooms x");
    model.event(page(0, &[], true));
    assert_eq!(model.status, ["No room was found\n"]);
    assert_eq!(model.commands.len(), 1, "it is not asked for again");
}

#[test]
fn members_and_mentions_are_lines() {
    let mut model = model(COMMANDS);
    open(&mut model, build(), named("build"));
    line(&mut model, "/members");
    let person = |byte, nickname: &str, online, moderator| ListedPerson {
        person: Person {
            user: user(byte),
            nickname: name(nickname),
        },
        online,
        last_seen: (byte == 2).then_some(Timestamp::UNIX_EPOCH),
        moderator,
    };
    model.event(Event::PeopleList {
        request: 0,
        people: Ok(ListedPage {
            list: vec![
                person(1, "bob", true, true),
                person(2, "carol", false, false),
                person(3, "dave", false, false),
            ],
            more: false,
        }),
    });
    line(&mut model, "/inbox");
    let entry = Entry {
        room: build(),
        ..logged(412, 0, "bot: look\nhere")
    };
    model.event(Event::Inbox {
        request: 1,
        inbox: Ok(InboxEntries {
            entries: vec![entry],
            next: None,
        }),
    });
    let told: Vec<_> = model.status.iter().map(|line| line.trim_end()).collect();
    assert_eq!(told[0], "@bob: here, moderator");
    assert!(told[1].starts_with("@carol: last here "), "{told:?}");
    assert_eq!(told[2], "@dave: away");
    assert!(
        told[3].ends_with("#build #412 alice: bot: look\n      here"),
        "{told:?}"
    );
}

#[test]
fn rooms_are_marked_read_and_unread() {
    let mut model = model(COMMANDS);
    open(&mut model, build(), named("build"));
    model.event(message(1, 0, "x"));
    model.event(message(2, 0, "x"));
    for (typed, expected) in [
        (
            "/mark read",
            vec![Command::MarkRead {
                room: RoomId::LOBBY,
                seq: 2,
            }],
        ),
        (
            "/mark unread",
            vec![Command::SetMarker {
                room: RoomId::LOBBY,
                seq: 1,
            }],
        ),
        (
            "/mark unread #1",
            vec![Command::SetMarker {
                room: RoomId::LOBBY,
                seq: 0,
            }],
        ),
        (
            "/mark all",
            vec![
                Command::MarkRead {
                    room: RoomId::LOBBY,
                    seq: 2,
                },
                Command::MarkRead {
                    room: build(),
                    seq: 7,
                },
            ],
        ),
        ("/mark", vec![]),
        ("/mark unread bob", vec![]),
    ] {
        line(&mut model, typed);
        let asked: Vec<_> = model.commands.drain(..).collect();
        assert_eq!(asked, expected, "{typed}");
    }
    assert_eq!(model.undelivered(), 2);
}

#[test]
fn notifications_are_set_for_the_room() {
    let mut model = model(COMMANDS);
    for (typed, notify, quiet) in [
        ("/notify all", NotifyLevel::All, None),
        ("/notify none 2h", NotifyLevel::All, Some(7_200)),
        ("/notify none", NotifyLevel::Nothing, None),
        ("/notify mentions", NotifyLevel::Mentions, None),
    ] {
        line(&mut model, typed);
        let asked = model.commands.pop_front();
        let preferences = Preferences {
            notify,
            quiet_until: quiet.map(|second| Timestamp::from_second(second).unwrap()),
            ..Preferences::default()
        };
        let expected = Command::Prefer {
            room: RoomId::LOBBY,
            preferences,
        };
        assert_eq!(asked, Some(expected), "{typed}");
    }
    model.status.clear();
    line(&mut model, "/notify");
    assert_eq!(model.status, ["#lobby notifies you of mentions\n"]);
    for wrong in ["/notify some", "/notify all 2h", "/notify none soon"] {
        line(&mut model, wrong);
    }
    assert!(model.commands.is_empty());
    assert_eq!(model.undelivered(), 3);
}

#[test]
fn a_user_goes_back_to_where_they_were() {
    let start = |restored: &[RoomId]| {
        let mut model = started(PERSON);
        model.going = Some(build());
        let restored = restored.iter().map(|room| RestoredRoom {
            room: *room,
            info: named("build"),
            page: Page {
                extent: Extent::EMPTY,
                from: 1,
                to: 0,
                entries: Vec::new(),
                offline: true,
            },
            read: ReadState::default(),
            draft: String::new(),
        });
        model.restored(&Restored {
            rooms: restored.collect(),
            ..Restored::default()
        });
        model
    };
    // The room is known, and written to before the server answers.
    let mut known = start(&[build()]);
    line(&mut known, "hello");
    assert_eq!(sent(&mut known), [(build(), "hello".to_owned())]);
    // It is not: once it is open.
    let mut unknown = start(&[]);
    open(&mut unknown, RoomId::LOBBY, named("lobby"));
    assert_eq!(unknown.room, RoomId::LOBBY);
    open(&mut unknown, build(), named("build"));
    assert_eq!(unknown.room, build());
    // The user is no longer in it, and leaves from the lobby.
    let mut gone = start(&[]);
    open(&mut gone, RoomId::LOBBY, named("lobby"));
    members(&mut gone);
    gone.input_ended(None);
    assert!(gone.commands.contains(&Command::Leave));
}

fn unread(model: &mut Model, room: RoomId, unread: u64, mentions: u64) {
    model.event(Event::ReadState {
        room,
        read: ReadState {
            unread: Count::new(unread),
            mentions: Count::new(mentions),
            marker: ReadMarker {
                seq: 4,
                generation: 0,
            },
            ..ReadState::default()
        },
    });
}

#[test]
fn next_goes_where_something_is_unread_and_prints_it() {
    let mut model = model(PERSON);
    let bob = private_room(1);
    open(&mut model, build(), named("build"));
    open(&mut model, bob, direct(&[(1, "bob")]));
    line(&mut model, "/next");
    assert_eq!(
        model.status.pop_back().unwrap(),
        "Nothing new in other rooms\n"
    );
    unread(&mut model, build(), 3, 0);
    unread(&mut model, bob, 2, 0);
    line(&mut model, "/where");
    let told: Vec<_> = model.status.drain(..).collect();
    assert_eq!(
        told,
        [
            "Your lines go to #lobby\n",
            "@bob: 2 new, 2 for you\n",
            "#build: 3 new\n",
        ]
    );
    line(&mut model, "/next");
    assert_eq!(model.room, bob, "they are for the user");
    let part = Part::Forward { from: 5, to: 7 };
    let asked: Vec<_> = model.commands.drain(..).collect();
    assert!(
        asked.contains(&Command::Page { room: bob, part }),
        "{asked:?}"
    );
    assert!(
        asked.contains(&Command::MarkRead { room: bob, seq: 7 }),
        "{asked:?}"
    );
    let entry = |seq| Entry {
        room: bob,
        ..logged(seq, 0, "psst")
    };
    model.event(Event::Page {
        room: bob,
        part,
        page: Ok(Page {
            extent: Extent::new(1, 7),
            from: 5,
            to: 7,
            entries: vec![entry(5), entry(7)],
            offline: false,
        }),
    });
    assert_eq!(model.output, ["00:00 alice: psst\n", "00:00 alice: psst\n"]);
    model.output.clear();
    unread(&mut model, bob, 0, 0);
    line(&mut model, "/next");
    assert_eq!(model.room, build());
}

#[test]
fn the_last_message_is_said_again() {
    let mut model = model(PERSON);
    line(&mut model, "/say-again");
    assert_eq!(model.status, ["No message was printed yet\n"]);
    model.event(said(RoomId::LOBBY, 1, "bob", "x"));
    model.event(said(RoomId::LOBBY, 2, "bob", "y"));
    model.output.clear();
    line(&mut model, "/say-again");
    assert_eq!(model.output, ["00:00 bob: y\n"]);
}

#[test]
fn a_screen_reader_gets_words_in_place_of_signs() {
    let mut model = model(LineModeOptions {
        reader: true,
        ..PERSON
    });
    let (bob, both) = (private_room(1), private_room(2));
    open(&mut model, build(), named("build"));
    open(&mut model, bob, direct(&[(1, "bob")]));
    open(&mut model, both, direct(&[(1, "bob"), (2, "carol")]));
    for event in [
        said(RoomId::LOBBY, 1, "bob", "x"),
        said(build(), 8, "bob", "x"),
        said(bob, 8, "bob", "x"),
        said(both, 8, "bob", "x"),
    ] {
        model.event(event);
    }
    let guest = Entry {
        author: Author {
            proven: false,
            ..logged(2, 0, "x").author
        },
        ..logged(2, 86_400, "x")
    };
    model.event(Event::Message(guest.into()));
    assert_eq!(
        model.output,
        [
            "00:00 bob: x\n",
            "00:00 bob in build: x\n",
            "00:00 bob to you: x\n",
            "00:00 bob to carol and you: x\n",
            "1970-01-02\n",
            "00:00 alice without a key: x\n",
        ]
    );
    line(&mut model, "/help");
    assert!(model.status.iter().all(|line| !line.contains("   ")));
}
