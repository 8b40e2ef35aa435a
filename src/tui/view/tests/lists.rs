//! Screens with the lists that the server sends.

use super::*;
use crate::{
    client::event::{Command, InboxEntries, ListedPage},
    protocol::{
        Entry, Person,
        room::{ListedPerson, ListedRoom},
    },
    tui::{app::Effect, testing::room},
};

fn found(name: &str, topic: Option<&str>, members: u64, joined: bool) -> ListedRoom {
    ListedRoom {
        room: room(name),
        name: RoomName::parse(name).unwrap(),
        topic: topic.map(Line::inert),
        members,
        joined,
        archived: false,
        private: false,
    }
}

impl Screen {
    /// Types a command, and returns the number of the request for a list that it makes.
    fn asks(&mut self, command: &str) -> u64 {
        self.desk.done();
        self.typed(command).key(Key::plain(Code::Enter));
        let commands = self.desk.done().into_iter();
        let mut numbers = commands.filter_map(|effect| match effect {
            Effect::Command(
                Command::ListRooms { request, .. }
                | Command::ListPeople { request, .. }
                | Command::Inbox { request, .. },
            ) => Some(request),
            _ => None,
        });
        numbers.next_back().expect("a list was asked for")
    }

    /// The screen with the rooms that can be found.
    fn finds_rooms(width: u16, height: u16) -> Self {
        let mut screen = Self::entered(width, height);
        let request = screen.asks("/rooms");
        let ops = ListedRoom {
            private: true,
            ..found("ops", Some("who carries the pager"), 4, false)
        };
        let old = ListedRoom {
            archived: true,
            ..found("old-build", None, 1, false)
        };
        screen.heard(Event::RoomList {
            request,
            rooms: Ok(ListedPage {
                list: vec![
                    found("build", Some("what the machines say"), 12, true),
                    found("lobby", Some("welcome to the lab"), 0, true),
                    old,
                    ops,
                    found("random", None, 31, false),
                ],
                more: false,
            }),
        });
        screen
    }
}

#[test]
fn rooms_that_can_be_found() {
    Screen::finds_rooms(80, 24).check(
        r"
 #lobby  welcome to the lab                        localhost:10500  ● encrypted
                                                            │ Members 3
    ┌ Rooms ───────────────────────────────────────────────────────────────┐
    │ › type a part of a name                                              │
    ├──────────────────────────────────────────────────────────────────────┤
    │▌# build      joined · what the machines say               12 members │
    │ # lobby      joined · welcome to the lab                             │
    │ # old-build  archived                                       1 member │
    │ # ops        private · who carries the pager               4 members │
    │ # random                                                  31 members │
    │                                                                      │
    │                                                                      │
    │                                                                      │
    │                                                                      │
    │                                                                      │
    │                                                                      │
    │                                                                      │
    └──────────────────────────────────────────────────────────────────────┘
                                                            │
                                                            │
                                                            │
────────────────────────────────────────────────────────────┴───────────────────
 › type a message
 Enter join or go there   Esc back   Down next   Up previous
",
    );
}

#[test]
fn rooms_that_can_be_found_on_a_narrow_screen() {
    Screen::finds_rooms(40, 12).check(
        r"
 Rooms
 › type a part of a name
▌# build      joined · what the machin…
 # lobby      joined · welcome to the …
 # old-build  archived
 # ops        private · who carries th…
 # random




 Enter join or go there   Esc back
",
    );
}

#[test]
fn members_of_a_room() {
    let mut screen = Screen::entered(80, 24);
    let request = screen.asks("/members");
    let person = |name: &str, online, last_seen: Option<&str>| ListedPerson {
        person: Person {
            user: user(name),
            nickname: nickname(name),
        },
        online,
        last_seen: last_seen.map(time),
        moderator: name == "alice",
    };
    screen.heard(Event::PeopleList {
        request,
        people: Ok(ListedPage {
            list: vec![
                person("alice", true, None),
                person("bob", true, None),
                person("carol", true, None),
                person("dave", false, Some("22T08:15:00")),
                person("erin", false, Some("19T17:40:00")),
                person("frank", false, None),
            ],
            more: false,
        }),
    });
    screen.check(
        r"
 #lobby  welcome to the lab                        localhost:10500  ● encrypted
                                                            │ Members 3
    ┌ Members ─────────────────────────────────────────────────────────────┐
    │ › type a part of a name                                              │
    ├──────────────────────────────────────────────────────────────────────┤
    │▌● alice  moderator · here                                            │
    │ ● bob    here                                                        │
    │ ● carol  you · here                                                  │
    │ ○ dave   last seen 08:15                                             │
    │ ○ erin   last seen 19 Nov 17:40                                      │
    │ ○ frank                                                              │
    │                                                                      │
    │                                                                      │
    │                                                                      │
    │                                                                      │
    │                                                                      │
    │                                                                      │
    └──────────────────────────────────────────────────────────────────────┘
                                                            │
                                                            │
                                                            │
────────────────────────────────────────────────────────────┴───────────────────
 › type a message
 Enter write to them   Esc back   Down next   Up previous
",
    );
}

#[test]
fn messages_that_mention_one() {
    let mut screen = Screen::entered(80, 24);
    screen.desk.opens_room("ops", 0);
    screen.desk.talks_with("bob");
    let request = screen.asks("/inbox");
    screen.check(
        r"
 #lobby  welcome to the lab                3 here  localhost:10500  ● encrypted
 #lobby                                                                  Ctrl-G
    ┌ Messages that mention you ───────────────────────────────────────────┐
    │ › type a part of a room, name or text                                │
    ├──────────────────────────────────────────────────────────────────────┤
    │ loading …                                                            │
    │                                                                      │
    │                                                                      │
    │                                                                      │
    │                                                                      │
    │                                                                      │
    │                                                                      │
    │                                                                      │
    │                                                                      │
    │                                                                      │
    │                                                                      │
    │                                                                      │
    └──────────────────────────────────────────────────────────────────────┘



────────────────────────────────────────────────────────────────────────────────
 › type a message
 Enter go there   Esc back   Down next   Up previous
",
    );
    let entry = |name: &str, at: &str, who: &str, text: &str| Entry {
        room: room(name),
        ..logged(1, time(at), who, text)
    };
    screen.heard(Event::Inbox {
        request,
        inbox: Ok(InboxEntries {
            entries: vec![
                entry(
                    "ops",
                    "22T09:31:00",
                    "erin",
                    "@carol the nas is at 91 %, and it grows by one percent each day",
                ),
                entry("bob", "22T09:02:00", "bob", "got a minute?"),
                entry("lobby", "20T16:00:00", "alice", "thanks @carol!\nsee you"),
            ],
            next: None,
        }),
    });
    screen.check(
        r"
 #lobby  welcome to the lab                3 here  localhost:10500  ● encrypted
 #lobby                                                                  Ctrl-G
    ┌ Messages that mention you ───────────────────────────────────────────┐
    │ › type a part of a room, name or text                                │
    ├──────────────────────────────────────────────────────────────────────┤
    │▌# ops    erin: @carol the nas is at 91 %, and it grows by o…   09:31 │
    │ @ bob    bob: got a minute?                                    09:02 │
    │ # lobby  alice: thanks @carol!                                20 Nov │
    │                                                                      │
    │                                                                      │
    │                                                                      │
    │                                                                      │
    │                                                                      │
    │                                                                      │
    │                                                                      │
    │                                                                      │
    │                                                                      │
    └──────────────────────────────────────────────────────────────────────┘



────────────────────────────────────────────────────────────────────────────────
 › type a message
 Enter go there   Esc back   Down next   Up previous
",
    );
}
