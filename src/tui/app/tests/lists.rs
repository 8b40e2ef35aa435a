//! Tests of the lists that the server sends: rooms, people, messages that mention the user; and of
//! going to rooms and people by name.

use super::*;
use crate::{
    client::event::{InboxEntries, ListedPage},
    protocol::{
        Entry, NotifyLevel, Person, Preferences, RoomName,
        admin::{AdminCommand, AdminResult},
        frame::Part,
        room::{ListedPerson, ListedRoom},
    },
    tui::{app::layers::picker::PickerEntry, testing::room},
};

const DOWN: Key = Key::plain(Code::Down);

fn found(name: &str) -> ListedRoom {
    ListedRoom {
        room: room(name),
        name: RoomName::parse(name).unwrap(),
        topic: None,
        members: 3,
        joined: false,
        archived: false,
        private: false,
    }
}

fn person(name: &str, online: bool) -> ListedPerson {
    ListedPerson {
        person: Person {
            user: user(name),
            nickname: nickname(name),
        },
        online,
        last_seen: None,
        moderator: false,
    }
}

impl Desk {
    /// A screen with the lobby and build.
    fn with_build() -> Self {
        let mut desk = Self::online();
        desk.opens_room("build", 0).done();
        desk
    }

    fn enters_command(&mut self, command: &str) -> &mut Self {
        self.typed(command).key(ENTER)
    }

    /// The requests for lists, and other commands for the session.
    fn requests(&mut self) -> Vec<Command> {
        let effects = self.did().into_iter();
        let commands = effects.filter_map(|effect| match effect {
            Effect::Command(command) => Some(command),
            _ => None,
        });
        commands.collect()
    }

    /// The number of the last request for a list.
    fn request(&mut self) -> u64 {
        let commands = self.requests().into_iter();
        let mut numbers = commands.filter_map(|command| match command {
            Command::ListRooms { request, .. }
            | Command::ListPeople { request, .. }
            | Command::Inbox { request, .. } => Some(request),
            _ => None,
        });
        numbers.next_back().expect("a list was asked for")
    }

    fn lists_rooms(&mut self, request: u64, names: &[&str], more: bool) -> &mut Self {
        self.heard(Event::RoomList {
            request,
            rooms: Ok(ListedPage {
                list: names.iter().map(|name| found(name)).collect(),
                more,
            }),
        })
    }

    fn names(&self) -> Vec<String> {
        let picker = self.model.layers.picker().expect("the list is open");
        let row = |(entry, chosen): (&PickerEntry, bool)| {
            let mark = if chosen { "▌" } else { "" };
            format!("{mark}{}", entry.name)
        };
        picker.rows(50).map(row).collect()
    }

    fn title(&self) -> String {
        self.model.room_title()
    }
}

#[test]
fn rooms_are_listed_page_by_page_and_for_what_is_typed() {
    let mut desk = Desk::with_build();
    desk.enters_command("/rooms");
    let asked = desk.requests();
    let [
        Command::ListRooms {
            request,
            query,
            after: None,
        },
    ] = &asked[..]
    else {
        panic!("{asked:?}");
    };
    assert_eq!(query.as_str(), "");
    let names: Vec<_> = (0..30).map(|n| format!("room-{n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    desk.lists_rooms(*request, &names, true);
    assert_eq!(desk.requests(), [], "nobody has scrolled yet");
    for _ in 0..3 {
        desk.key(Key::plain(Code::PageDown));
    }
    let asked = desk.requests();
    let [
        Command::ListRooms {
            request,
            after: Some(after),
            ..
        },
    ] = &asked[..]
    else {
        panic!("{asked:?}");
    };
    assert_eq!(*after, room("room-29"));
    let chosen = |desk: &Desk| desk.names().into_iter().find(|name| name.contains('▌'));
    let before = chosen(&desk);
    desk.lists_rooms(*request, &["last"], false);
    assert_eq!(chosen(&desk), before, "it stays where it is");
    desk.typed("la");
    assert_eq!(desk.names(), ["▌last"]);
    assert_eq!(desk.requests(), [], "all of them are here");
}

#[test]
fn the_server_is_asked_again_for_what_is_typed() {
    let mut desk = Desk::with_build();
    desk.enters_command("/rooms");
    let names: Vec<_> = (0..30).map(|n| format!("room-{n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let request = desk.request();
    desk.lists_rooms(request, &names, true).typed("bu");
    let asked = desk.requests();
    let words = asked.iter().filter_map(|command| match command {
        Command::ListRooms { query, .. } => Some(query.as_str()),
        _ => None,
    });
    assert_eq!(words.collect::<Vec<_>>(), ["b"], "one waits for the other");
    assert_eq!(desk.names(), Vec::<String>::new());
    desk.lists_rooms(request + 1, &["base"], false);
    assert_eq!(desk.names(), Vec::<String>::new());
    let request = desk.request();
    desk.lists_rooms(request, &["build", "build-arm"], false);
    assert_eq!(desk.names(), ["▌build", "build-arm"]);
}

#[test]
fn a_listed_room_is_joined_or_gone_to() {
    let mut desk = Desk::with_build();
    desk.enters_command("/list b");
    let request = desk.request();
    desk.lists_rooms(request, &["build", "bar"], false)
        .key(ENTER);
    assert_eq!(desk.title(), "#build");
    desk.enters_command("/rooms b");
    let request = desk.request();
    desk.lists_rooms(request, &["bar"], false).key(ENTER);
    let joined = desk.requests().into_iter().any(|command| {
        matches!(
            command,
            Command::Admin { command: AdminCommand::Enter { name }, .. } if name.as_str() == "bar"
        )
    });
    assert!(joined);
}

#[test]
fn a_list_that_fails_says_why() {
    let mut desk = Desk::with_build();
    desk.enters_command("/rooms");
    let request = desk.request();
    assert_eq!(desk.model.layers.picker().unwrap().nothing(), "loading …");
    desk.heard(Event::RoomList {
        request,
        rooms: Err(Line::inert("Not connected")),
    });
    let picker = desk.model.layers.picker().unwrap();
    assert_eq!(picker.nothing(), "Not connected");
    assert_eq!(desk.requests(), [], "it is not asked for again and again");
}

#[test]
fn members_are_listed_whether_they_are_connected_or_not() {
    let mut desk = Desk::with_build();
    desk.enters_command("/members");
    let asked = desk.requests();
    let [
        Command::ListPeople {
            request,
            room: Some(RoomId::LOBBY),
            ..
        },
    ] = &asked[..]
    else {
        panic!("{asked:?}");
    };
    desk.heard(Event::PeopleList {
        request: *request,
        people: Ok(ListedPage {
            list: vec![person("carol", true), person("erin", false)],
            more: false,
        }),
    });
    assert_eq!(desk.names(), ["▌carol", "erin"]);
    desk.key(DOWN).key(ENTER);
    assert!(wrote_to(&desk.requests(), "erin"));
}

fn wrote_to(commands: &[Command], name: &str) -> bool {
    commands.iter().any(|command| {
        matches!(
            command,
            Command::Admin { command: AdminCommand::Direct { nicknames }, .. }
                if *nicknames == [nickname(name)]
        )
    })
}

#[test]
fn people_who_are_not_connected_can_be_gone_to() {
    let mut desk = Desk::with_build();
    desk.key(Key::ctrl(Code::Char('g')));
    let request = desk.request();
    desk.heard(Event::PeopleList {
        request,
        people: Ok(ListedPage {
            list: ["bob", "carol", "erin"]
                .map(|name| person(name, false))
                .into(),
            more: false,
        }),
    });
    assert_eq!(desk.names(), ["▌lobby", "build", "bert", "bob", "erin"]);
    desk.typed("er").key(ENTER);
    assert_eq!(desk.title(), "#lobby");
    assert!(wrote_to(&desk.requests(), "erin"), "the best match");
}

#[test]
fn the_inbox_leads_to_the_message_in_its_room() {
    let mut desk = Desk::with_build();
    for seq in 1..=100 {
        let text = format!("message {seq}");
        desk.hears_in("build", seq, Timestamp::UNIX_EPOCH, "bob", &text);
    }
    desk.done();
    desk.key(Key::plain(Code::F(3)));
    let request = desk.request();
    let entry = |seq, text: &str| Entry {
        room: room("build"),
        ..logged(seq, Timestamp::UNIX_EPOCH, "bob", text)
    };
    desk.heard(Event::Inbox {
        request,
        inbox: Ok(InboxEntries {
            entries: vec![entry(90, "@carol first"), entry(7, "@carol second")],
            next: Some(40),
        }),
    });
    let asked = desk.requests();
    assert!(
        matches!(
            &asked[..],
            [Command::Inbox {
                before: Some(40),
                ..
            }]
        ),
        "{asked:?}"
    );
    desk.typed("second");
    assert_eq!(desk.names(), ["▌build"]);
    desk.key(ENTER);
    assert_eq!(desk.title(), "#build");
    let pane = desk.model.pane();
    assert_eq!(pane.found, Some(pane.timeline.key_of(7)));
    assert!(!desk.follows());
    desk.key(Key::plain(Code::F(3))).key(Key::plain(Code::F(3)));
    assert!(desk.model.layers.picker().is_none(), "it closes, too");
}

#[test]
fn rooms_and_people_are_gone_to_by_name() {
    for (typed, there) in [
        ("/go build", "#build"),
        ("/go #BUILD", "#build"),
        ("/go ops", "#lobby"),
        ("/peek build", "#build"),
        ("/peek bob", "#lobby"),
    ] {
        let mut desk = Desk::with_build();
        desk.enters_command(typed);
        assert_eq!(desk.title(), there, "{typed}");
    }
    let mut desk = Desk::with_build();
    desk.enters_command("/go bob");
    assert!(wrote_to(&desk.requests(), "bob"));
    desk.enters_command("/go");
    assert!(desk.model.layers.picker().is_some());
}

#[test]
fn who_only_peeks_reads_nothing() {
    let mut desk = Desk::with_build();
    let hears = |desk: &mut Desk, seq| {
        desk.hears_in("build", seq, Timestamp::UNIX_EPOCH, "bob", "news");
    };
    hears(&mut desk, 1);
    desk.enters_command("/peek build");
    hears(&mut desk, 2);
    desk.passes(Duration::from_secs(5))
        .key(Key::alt(Code::Char('/')));
    assert_eq!(desk.pane_in("build").counts().unread, 2);
    desk.enters_command("/go build");
    assert_eq!(desk.pane_in("build").counts().unread, 0);
}

#[test]
fn settings_of_a_room_are_set_by_commands() {
    let mut desk = Desk::with_build();
    let mut set = |typed: &str| {
        desk.enters_command(typed);
        let commands = desk.requests().into_iter();
        let mut set = commands.filter_map(|command| match command {
            Command::Prefer { preferences, .. } => Some(preferences),
            _ => None,
        });
        set.next()
    };
    let default = Preferences::default();
    for (typed, expected) in [
        ("/notify", None),
        (
            "/notify all",
            Some(Preferences {
                notify: NotifyLevel::All,
                ..default
            }),
        ),
        (
            "/favourite",
            Some(Preferences {
                notify: NotifyLevel::All,
                favourite: true,
                ..default
            }),
        ),
        (
            "/notify none 2h",
            Some(Preferences {
                notify: NotifyLevel::All,
                favourite: true,
                quiet_until: Timestamp::from_second(7_200).ok(),
                ..default
            }),
        ),
        (
            "/notify None",
            Some(Preferences {
                notify: NotifyLevel::Nothing,
                favourite: true,
                ..default
            }),
        ),
        (
            "/favorite",
            Some(Preferences {
                notify: NotifyLevel::Nothing,
                ..default
            }),
        ),
    ] {
        assert_eq!(set(typed), expected, "{typed}");
    }
    for wrong in ["/notify all 2h", "/notify some", "/notify none soon"] {
        let mut desk = Desk::with_build();
        desk.enters_command(wrong);
        assert_eq!(desk.requests(), [], "{wrong}");
        assert_eq!(desk.text(), wrong, "it can be corrected");
    }
}

#[test]
fn a_text_after_a_name_is_sent_to_the_conversation() {
    let mut desk = Desk::with_build();
    desk.enters_command("/msg bob did you see bert's mail?");
    let commands = desk.requests();
    assert!(wrote_to(&commands, "bob"), "{commands:?}");
    let request = commands.iter().find_map(|command| match command {
        Command::Admin { request, .. } => Some(*request),
        _ => None,
    });
    desk.heard(Event::Admin {
        request: request.unwrap(),
        answer: Ok(AdminResult {
            message: Line::inert("Done"),
            lines: Vec::new(),
            invite: None,
            code: None,
            room: Some(room("build")),
            reference: None,
        }),
    });
    assert_eq!(desk.title(), "#build");
    let sent = desk
        .requests()
        .into_iter()
        .find_map(|command| match command {
            Command::Send { room, content } => Some((room, content.words().to_owned())),
            _ => None,
        });
    let text = "did you see bert's mail?".to_owned();
    assert_eq!(sent, Some((room("build"), text)));
    assert_eq!(desk.model.pane().outbox.len(), 1);
}

#[test]
fn names_of_rooms_are_completed_after_commands_that_go_to_one() {
    for (typed, expected) in [
        ("/join bu", "/join build "),
        ("/go #bu", "/go build "),
        ("/go bo", "/go bob "),
        ("say bu", "say bu"),
        ("bu", "bu"),
    ] {
        let mut desk = Desk::with_build();
        desk.typed(typed).key(Key::plain(Code::Tab));
        assert_eq!(desk.text(), expected, "{typed}");
    }
}

/// Nothing of a room that was never on the screen is here; it is asked for as it is gone to.
#[test]
fn a_room_of_which_nothing_is_loaded_is_loaded_at_once() {
    let mut desk = Desk::online();
    desk.opens_room("build", 60).done();
    desk.enters_command("/go build");
    assert_eq!(desk.asked(), Some(Part::Backward { from: 1, to: 60 }));
}
