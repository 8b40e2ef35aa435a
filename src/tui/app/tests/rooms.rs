//! Tests of several rooms: their order and counts, and going from one to another.

use super::*;
use crate::{
    client::event::OutboxMessage,
    protocol::{
        Content, Count, Extent, NotifyLevel, Preferences, ReadMarker, ReadState, RoomInfo,
        RoomName,
        admin::AdminResult,
        frame::{Part, RoomStart},
    },
    tui::{
        app::{
            pane::{Counts, timeline::TimelineKey},
            room_list::News,
        },
        testing::room,
    },
};

const fn ctrl(c: char) -> Key {
    Key::ctrl(Code::Char(c))
}

const fn alt(c: char) -> Key {
    Key::alt(Code::Char(c))
}

const MUTED: Preferences = Preferences {
    notify: NotifyLevel::Nothing,
    quiet_until: None,
    favourite: false,
    hidden: false,
};
const FAVOURITE: Preferences = Preferences {
    notify: NotifyLevel::Mentions,
    quiet_until: None,
    favourite: true,
    hidden: false,
};

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

impl Desk {
    /// A screen with the lobby and three other rooms, the last of which has the latest message.
    fn in_rooms() -> Self {
        let mut desk = Self::online();
        desk.message(1, "bob", "good morning");
        for (name, time) in [("ops", 100), ("random", 200), ("build", 300)] {
            desk.opens_room(name, 0);
            desk.hears_in(name, 1, second(time), "carol", "it is quiet here");
        }
        desk.done();
        desk
    }

    fn hears(&mut self, name: &str, seq: u64, time: i64, text: &str) -> &mut Self {
        self.hears_in(name, seq, second(time), "bob", text)
    }

    /// The names of the rooms in the order of the list.
    fn listed(&self) -> Vec<String> {
        let rooms = self.model.rooms();
        rooms.into_iter().map(|row| row.name).collect()
    }

    fn news(&self, name: &str) -> News {
        let rooms = self.model.rooms();
        rooms.iter().find(|row| row.name == name).unwrap().news
    }

    /// The room on the screen.
    fn here(&self) -> String {
        self.model.room_title()
    }

    fn told_why(&self) -> &str {
        self.model.remark().unwrap_or_default()
    }
}

#[test]
fn rooms_are_listed_by_what_is_new_in_them() {
    let mut desk = Desk::in_rooms();
    assert_eq!(
        desk.listed(),
        ["build", "random", "ops", "lobby"],
        "the latest first"
    );
    desk.prefers("ops", FAVOURITE);
    assert_eq!(
        desk.listed(),
        ["ops", "build", "random", "lobby"],
        "favourites"
    );
    desk.hears("random", 2, 400, "who has the key?");
    assert_eq!(desk.listed(), ["random", "ops", "build", "lobby"], "unread");
    desk.hears("build", 2, 350, "@carol can you look?");
    assert_eq!(
        desk.listed(),
        ["build", "random", "ops", "lobby"],
        "mentions"
    );
    desk.prefers("random", MUTED);
    assert_eq!(desk.listed(), ["build", "ops", "random", "lobby"], "muted");
    assert_eq!(desk.news("random"), News::Muted);
    desk.hears("random", 3, 500, "@carol, the key?");
    assert_eq!(
        desk.news("random"),
        News::Mentions(1),
        "a mention is told all the same"
    );
}

#[test]
fn what_is_new_is_counted_until_it_was_on_the_screen() {
    let mut desk = Desk::in_rooms();
    desk.hears("build", 2, 400, "run 88 failed")
        .hears("build", 3, 401, "@carol, is that you?")
        .hears_in("build", 4, second(402), "carol", "from my other computer")
        .hears("build", 5, 403, "run 89 passed");
    let counts = Counts {
        unread: 3,
        mentions: 1,
    };
    assert_eq!(desk.pane_in("build").counts(), counts);
    assert_eq!(desk.news("build"), News::Mentions(1));
    desk.msg(Msg::Focus(false)).key(alt('a'));
    assert_eq!(desk.here(), "#build");
    assert_eq!(desk.news("build"), News::Mentions(1), "nobody looks at it");
    desk.msg(Msg::Focus(true));
    assert_eq!(desk.news("build"), News::Nothing);
    let read = desk
        .done()
        .into_iter()
        .any(|effect| matches!(effect, Effect::Command(Command::MarkRead { seq, .. }) if seq == 5));
    assert!(!read, "saved a moment later");
    desk.passes(Duration::from_secs(3)).key(alt('/'));
    assert_eq!(desk.here(), "#lobby");
    let read = Effect::Command(Command::MarkRead {
        room: room("build"),
        seq: 5,
    });
    assert!(desk.done().contains(&read));
}

#[test]
fn a_long_absence_is_counted_until_the_reader_has_gone_through_it() {
    let mut desk = Desk::in_rooms();
    for seq in 2..=60 {
        desk.hears("build", seq, 400, "one more");
    }
    assert_eq!(desk.news("build"), News::Unread(59));
    desk.key(alt('a'));
    assert_eq!(desk.here(), "#build");
    assert_eq!(
        desk.news("build"),
        News::Unread(59),
        "the line is above the screen"
    );
    desk.key(alt('u'));
    for _ in 0..60 {
        desk.key(Key::plain(Code::PageDown));
    }
    assert_eq!(desk.news("build"), News::Nothing);
}

#[test]
fn a_direct_conversation_counts_as_mentions() {
    let mut desk = Desk::in_rooms();
    desk.pane_in("ops").info.kind = crate::protocol::RoomKind::Direct;
    desk.hears("ops", 2, 400, "got a minute?");
    assert_eq!(desk.news("ops"), News::Mentions(1));
    desk.prefers("ops", MUTED);
    assert_eq!(desk.news("ops"), News::Muted);
}

/// A new device has nothing of the room; the server says what is unread.
#[test]
fn a_new_device_shows_what_the_server_counts() {
    let mut desk = Desk::online();
    let read = ReadState {
        marker: ReadMarker {
            seq: 40,
            generation: 2,
        },
        unread: Count::new(12),
        mentions: Count::new(2),
        ..ReadState::default()
    };
    desk.heard(Event::Room(Box::new(RoomStart {
        changed: 0,
        redacted: 0,
        room: room("build"),
        info: RoomInfo::public(RoomName::parse("build").unwrap()),
        read,
        extent: Extent::new(1, 60),
        next: 61,
        reset: None,
    })));
    assert_eq!(desk.news("build"), News::Mentions(2));
    let counts = Counts {
        unread: 12,
        mentions: 2,
    };
    assert_eq!(desk.pane_in("build").counts(), counts);
    desk.done();
    desk.key(alt('a'));
    let part = desk.asked();
    assert_eq!(part, Some(Part::Backward { from: 1, to: 60 }), "at once");
    let from = desk.model.pane().unread_from();
    assert_eq!(
        from.map(TimelineKey::number),
        Some(41),
        "where one left off"
    );
}

#[test]
fn the_members_of_the_room_on_the_screen_are_asked_for() {
    let watched = |desk: &mut Desk| -> Vec<Vec<RoomId>> {
        let effects = desk.done().into_iter();
        let watched = effects.filter_map(|effect| match effect {
            Effect::Command(Command::Watch(rooms)) => Some(rooms),
            _ => None,
        });
        watched.collect()
    };
    let mut desk = Desk::in_rooms();
    assert_eq!(watched(&mut desk), Vec::<Vec<_>>::new());
    desk.key(alt('1'));
    assert_eq!(watched(&mut desk), [[room("build")]]);
    desk.typed("hello");
    assert_eq!(watched(&mut desk), Vec::<Vec<_>>::new(), "once");
    // Who hosts the server must know who would lose it.
    desk.model.hosting = true;
    desk.key(alt('3'));
    assert_eq!(watched(&mut desk), [[room("ops"), RoomId::LOBBY]]);
    desk.key(alt('4'));
    assert_eq!(watched(&mut desk), [[RoomId::LOBBY]]);
}

impl Desk {
    /// The commands that say how far the reader has read.
    fn marks(&mut self) -> Vec<Command> {
        let effects = self.done().into_iter();
        let marks = effects.filter_map(|effect| match effect {
            Effect::Command(command @ (Command::MarkRead { .. } | Command::SetMarker { .. })) => {
                Some(command)
            }
            _ => None,
        });
        marks.collect()
    }

    fn runs(&mut self, command: &str) -> &mut Self {
        self.typed(command).key(ENTER)
    }
}

#[test]
fn a_room_is_marked_read_by_a_key_and_unread_again() {
    let mut desk = Desk::in_rooms();
    for seq in 2..=60 {
        desk.hears("build", seq, 400, "one more");
    }
    desk.passes(Duration::from_secs(20)).key(alt('a')).done();
    assert_eq!(desk.news("build"), News::Unread(59));
    desk.key(alt('r'));
    let room = room("build");
    assert_eq!(desk.marks(), [Command::MarkRead { room, seq: 60 }]);
    assert_eq!(desk.news("build"), News::Nothing);
    desk.passes(Duration::from_secs(29)).key(alt('r'));
    assert_eq!(desk.marks(), [Command::SetMarker { room, seq: 0 }]);
    assert_eq!(desk.news("build"), News::Unread(59));
    assert_eq!(desk.told_why(), "Unread again");
    desk.key(alt('r')).passes(Duration::from_secs(40)).done();
    desk.key(alt('r'));
    assert_eq!(desk.marks(), [], "that is too late");
    assert_eq!(desk.told_why(), "Everything here was read already");
    assert_eq!(desk.news("build"), News::Nothing);
}

/// The room on the screen stays unread until the reader comes back to it.
#[test]
fn a_room_on_the_screen_is_marked_unread() {
    let mut desk = Desk::in_rooms();
    desk.hears("build", 2, 400, "first")
        .hears("build", 3, 401, "second")
        .hears_in("build", 4, second(402), "carol", "from my other computer")
        .key(alt('a'))
        .passes(Duration::from_secs(3))
        .done();
    assert_eq!(desk.news("build"), News::Nothing);
    desk.runs("/mark unread");
    let build = room("build");
    assert_eq!(
        desk.marks(),
        [Command::SetMarker {
            room: build,
            seq: 2
        }]
    );
    desk.passes(Duration::from_secs(9)).key(PAGE_UP);
    assert_eq!(desk.news("build"), News::Unread(1));
    desk.msg(Msg::Focus(false)).msg(Msg::Focus(true));
    desk.key(alt('/')).passes(Duration::from_secs(19));
    assert_eq!(desk.here(), "#lobby");
    assert_eq!(desk.marks(), [], "nothing undoes it");
    assert_eq!(desk.news("build"), News::Unread(1));
    desk.key(alt('a')).passes(Duration::from_secs(29));
    let from = desk.model.pane().unread_from();
    assert_eq!(from.map(TimelineKey::number), Some(3));
    desk.key(alt('/'));
    assert_eq!(desk.news("build"), News::Nothing);
}

#[test]
fn all_rooms_are_marked_read_at_once() {
    let mut desk = Desk::in_rooms();
    desk.hears("build", 2, 400, "news")
        .hears("ops", 2, 400, "@carol?")
        .done();
    desk.runs("/mark all");
    assert_eq!(desk.told_why(), "Marked 2 rooms as read");
    assert_eq!(desk.news("ops"), News::Nothing);
    assert_eq!(desk.news("build"), News::Nothing);
    desk.runs("/mark all");
    assert_eq!(desk.told_why(), "Everything was read already");
    desk.runs("/mark everything");
    assert_eq!(
        desk.told_why(),
        "Mark what? /mark read, /mark unread or /mark all"
    );
}

#[test]
fn keys_go_from_mention_to_mention() {
    let mut desk = Desk::in_rooms();
    desk.hears("random", 2, 400, "lunch?")
        .hears("ops", 2, 500, "@carol one")
        .hears("build", 2, 600, "@carol two");
    assert_eq!(desk.listed(), ["build", "ops", "random", "lobby"]);
    for (key, there) in [
        (alt('p'), "#ops"),
        (alt('p'), "#build"),
        (alt('n'), "#build"),
    ] {
        desk.key(key);
        assert_eq!(desk.here(), there);
    }
    assert_eq!(
        desk.told_why(),
        "No unread message in other rooms mentions you"
    );
    assert_eq!(desk.listed(), ["build", "ops", "random", "lobby"]);
}

#[test]
fn keys_go_from_room_to_room() {
    // From the lobby, which is the last of build, random, ops, lobby.
    for (keys, there) in [
        (vec![ctrl('n')], "#build"),
        (vec![ctrl('p')], "#ops"),
        (vec![ctrl('n'), ctrl('n')], "#random"),
        (vec![ctrl('n'), ctrl('p')], "#lobby"),
        (vec![alt('1')], "#build"),
        (vec![alt('3')], "#ops"),
        (vec![alt('4')], "#lobby"),
        (vec![alt('5')], "#lobby"),
        (vec![alt('0')], "#lobby"),
        (vec![alt('/')], "#lobby"),
        (vec![alt('1'), alt('3'), alt('/')], "#build"),
        (vec![alt('1'), alt('3'), alt('/'), alt('/')], "#ops"),
        (vec![alt('a')], "#lobby"),
    ] {
        let mut desk = Desk::in_rooms();
        for &key in &keys {
            desk.key(key);
        }
        assert_eq!(desk.here(), there, "{keys:?}");
    }
}

#[test]
fn a_key_that_goes_nowhere_says_so() {
    let mut desk = Desk::online();
    for (key, words) in [
        (ctrl('n'), "This is the only room"),
        (alt('3'), "This is the only room"),
        (alt('/'), "No other room was open before"),
        (alt('a'), "Nothing new in other rooms"),
    ] {
        desk.key(key);
        assert_eq!(desk.told_why(), words, "{key}");
    }
    let mut desk = Desk::in_rooms();
    desk.key(alt('0'));
    assert_eq!(desk.told_why(), "There are 4 rooms");
}

#[test]
fn mentions_are_visited_before_other_unread_messages() {
    let mut desk = Desk::in_rooms();
    desk.hears("random", 2, 900, "lunch?")
        .hears("ops", 2, 500, "@carol please reboot nas");
    desk.key(alt('a'));
    assert_eq!(desk.here(), "#ops");
    desk.key(alt('a'));
    assert_eq!(desk.here(), "#random");
    desk.key(alt('a'));
    assert_eq!(desk.here(), "#random");
    assert_eq!(desk.told_why(), "Nothing new in other rooms");
}

/// Rooms that are visited lose their place in the list; who steps through it must still come by all
/// of them.
#[test]
fn the_order_stays_while_the_user_steps_through_the_list() {
    let mut desk = Desk::in_rooms();
    desk.hears("ops", 2, 400, "@carol one")
        .hears("random", 2, 401, "two");
    assert_eq!(desk.listed(), ["ops", "random", "build", "lobby"]);
    let mut visited = Vec::new();
    for _ in 0..4 {
        desk.key(ctrl('n'));
        desk.hears("lobby", 2 + visited.len() as u64, 900, "meanwhile");
        visited.push(desk.here());
        assert_eq!(desk.listed(), ["ops", "random", "build", "lobby"]);
    }
    assert_eq!(visited, ["#ops", "#random", "#build", "#lobby"]);
    desk.opens_room("later", 0);
    assert_eq!(desk.listed(), ["ops", "random", "build", "lobby", "later"]);
    desk.typed("x");
    assert_eq!(desk.listed(), ["lobby", "random", "ops", "build", "later"]);
}

#[test]
fn every_room_keeps_its_draft_and_its_place() {
    let mut desk = Desk::full();
    desk.opens_room("build", 0);
    desk.key(PAGE_UP).typed("half a thought");
    let on_top = desk.on_top();
    assert!(!desk.follows());
    desk.done();
    desk.key(ctrl('n'));
    assert_eq!((desk.here(), desk.text()), ("#build".to_owned(), ""));
    let saved = desk.done().into_iter().any(|effect| {
        matches!(effect, Effect::Command(Command::Draft { text, .. }) if text == "half a thought")
    });
    assert!(saved, "a draft is saved when the user goes elsewhere");
    desk.typed("another");
    let rows = desk.model.rooms();
    let waits: Vec<_> = rows.iter().filter(|row| row.draft).collect();
    assert_eq!(waits.len(), 1);
    assert_eq!(waits[0].name, "lobby");
    desk.key(ctrl('n'));
    assert_eq!(desk.text(), "half a thought");
    assert_eq!(desk.on_top(), on_top);
    desk.key(ENTER);
    assert_eq!(desk.sent(), ["half a thought"]);
    desk.key(ctrl('n'));
    assert_eq!(desk.text(), "another");
}

#[test]
fn the_unread_line_is_above_what_came_meanwhile() {
    let mut desk = Desk::in_rooms();
    desk.hears("build", 2, 400, "first").key(alt('a'));
    assert_eq!(desk.here(), "#build");
    let line = |desk: &Desk| {
        let from = desk.model.pane().unread_from();
        from.map(TimelineKey::number)
    };
    assert_eq!(line(&desk), Some(2), "it stays while the room is read");
    desk.hears("build", 3, 401, "second");
    assert_eq!(line(&desk), Some(2));
    desk.key(alt('/'))
        .hears("build", 4, 402, "third")
        .key(alt('a'));
    assert_eq!(line(&desk), Some(4));
    desk.key(alt('/')).key(alt('/'));
    assert_eq!(line(&desk), None, "nothing came meanwhile");
}

#[test]
fn going_elsewhere_closes_a_search() {
    let mut desk = Desk::full();
    desk.opens_room("build", 0).key(ctrl('f')).key(ctrl('n'));
    assert_eq!(desk.here(), "#lobby", "Ctrl-N goes through the results");
    desk.key(alt('2'));
    assert_eq!(desk.here(), "#build");
    assert!(desk.model.layers.search().is_none());
    desk.key(alt('/'));
    assert!(desk.follows());
}

#[test]
fn the_column_is_shown_and_hidden() {
    let mut desk = Desk::in_rooms();
    for (width, shown) in [(100, true), (80, false)] {
        desk.msg(Msg::Resized { width, height: 30 });
        for expected in [shown, !shown, shown] {
            assert_eq!(!desk.model.layout().rooms.is_empty(), expected, "{width}");
            desk.key(Key::plain(Code::F(4)));
        }
        desk.model.side = None;
    }
    desk.msg(Msg::Resized {
        width: 59,
        height: 30,
    });
    desk.key(alt('m'));
    assert_eq!(desk.told_why(), "The screen is too narrow for a column");
}

#[test]
fn a_click_on_a_room_goes_there() {
    let mut desk = Desk::in_rooms();
    desk.hears("ops", 2, 400, "@carol?");
    desk.msg(Msg::Resized {
        width: 100,
        height: 30,
    });
    // Below the title: ops, build, random, lobby.
    desk.msg(Msg::Clicked { column: 4, row: 3 });
    assert_eq!(desk.here(), "#random");
    assert_eq!(desk.listed(), ["ops", "build", "random", "lobby"]);
    desk.msg(Msg::Clicked { column: 4, row: 1 });
    assert_eq!(desk.here(), "#ops");
    assert_eq!(
        desk.listed(),
        ["ops", "build", "random", "lobby"],
        "it holds still"
    );
    desk.msg(Msg::Clicked { column: 40, row: 9 });
    assert_eq!(desk.listed(), ["ops", "build", "random", "lobby"]);
    desk.hears("build", 2, 500, "news").msg(Msg::Resized {
        width: 80,
        height: 24,
    });
    // "#ops · #build 1" in the hot list.
    desk.msg(Msg::Clicked { column: 9, row: 1 });
    assert_eq!(desk.here(), "#build");
}

#[test]
fn a_hosted_server_is_needed_by_people_in_any_room() {
    let mut desk = Desk::in_rooms();
    desk.model.hosting = true;
    desk.key(alt('1')).typed("q!").key(ENTER);
    let asked = desk.dialog().unwrap();
    assert!(asked.contains("others: 2"), "{asked}");
}

/// The answer to a command that made, entered or found a room.
fn found(name: &str) -> Event {
    Event::Admin {
        request: 0,
        answer: Ok(AdminResult {
            message: Line::inert("Done"),
            lines: Vec::new(),
            invite: None,
            code: None,
            room: Some(room(name)),
            reference: None,
        }),
    }
}

#[test]
fn a_room_that_was_entered_is_gone_to_as_soon_as_it_is_open() {
    let mut desk = Desk::in_rooms();
    assert_eq!(desk.here(), "#lobby");
    desk.heard(found("ops"));
    assert_eq!(desk.here(), "#ops");
    desk.heard(found("new"));
    assert_eq!(desk.here(), "#ops");
    desk.opens_room("new", 0);
    assert_eq!(desk.here(), "#new");
    // Others open without being gone to.
    desk.opens_room("newer", 0);
    assert_eq!(desk.here(), "#new");
}

#[test]
fn a_room_that_was_left_is_gone_from_the_screen() {
    let mut desk = Desk::in_rooms();
    desk.heard(found("ops"));
    let left = |name: &str, by: Option<&str>| Event::RoomLeft {
        room: room(name),
        by: by.map(nickname),
    };
    desk.heard(left("random", None));
    assert_eq!(
        (desk.here().as_str(), desk.told_why()),
        ("#ops", "You have left #random")
    );
    desk.heard(left("ops", Some("bob")));
    assert_eq!(desk.told_why(), "bob removed you from #ops");
    assert_eq!(desk.here(), "#lobby");
    assert_eq!(desk.listed(), ["build", "lobby"]);
    // The outcome of a message to it is shown where the reader is.
    desk.heard(Event::Outbox(OutboxMessage {
        local: LocalId(9),
        room: room("ops"),
        content: Content::Text(Body::inert("too late")),
        delivery: Delivery::Failed {
            why: Line::inert("no such room"),
        },
    }));
    assert_eq!(desk.listed(), ["build", "lobby"]);
    assert_eq!(desk.model.pane().outbox.len(), 1);
}

#[test]
fn a_conversation_has_the_present_nicknames_of_its_people() {
    let mut desk = Desk::in_rooms();
    let bob = member("bob").user;
    let pane = desk.pane_in("ops");
    pane.info = RoomInfo {
        kind: crate::protocol::RoomKind::Direct,
        name: None,
        people: vec![crate::protocol::Person {
            user: bob,
            nickname: nickname("bob"),
        }],
        ..pane.info.clone()
    };
    desk.heard(Event::Renamed {
        room: RoomId::LOBBY,
        user: bob,
        was: nickname("bob"),
        nickname: nickname("robert"),
        time: Timestamp::UNIX_EPOCH,
    });
    desk.heard(found("ops"));
    assert_eq!(desk.here(), "@robert");
}

/// On whichever device that was said, and for what is on the screen already.
#[test]
fn what_an_ignored_user_writes_is_not_shown_until_they_are_ignored_no_more() {
    let mut desk = Desk::in_rooms();
    desk.message(2, "bob", "@carol buy now");
    desk.message(3, "bert", "no, thanks");
    let users = [member("bob").user].into();
    desk.heard(Event::Ignored(users));
    let hidden = "bob wrote something: you ignore them";
    assert_eq!(desk.entries()[1..], [hidden, "no, thanks"]);
    desk.message(4, "bob", "https://example.org @carol");
    assert_eq!(desk.entries()[1..], [hidden, "no, thanks", hidden]);
    desk.heard(Event::Ignored([].into()));
    assert_eq!(
        desk.entries()[1..],
        ["@carol buy now", "no, thanks", "https://example.org @carol"]
    );
}

#[test]
fn a_message_to_somebody_known_waits_for_the_connection_and_another_is_not_begun() {
    let mut desk = Desk::in_rooms();
    let pane = desk.pane_in("ops");
    pane.info.kind = crate::protocol::RoomKind::Direct;
    pane.info.people = ["carol", "bob"]
        .map(|name| crate::protocol::Person {
            user: member(name).user,
            nickname: nickname(name),
        })
        .into();
    desk.model.server.user = Some(member("carol").user);
    desk.heard(Event::Connection(ConnectionStatus::Connecting));
    desk.typed("/msg bob are you there?").key(ENTER);
    assert_eq!(desk.sent(), ["are you there?"]);
    assert_eq!(desk.model.pane().key.room, room("ops"));
    desk.typed("/msg dave are you there?").key(ENTER);
    assert_eq!(desk.sent(), [""; 0]);
    assert_eq!(desk.told_why(), "Not connected: try again once you are");
}

/// What is being typed there, and what was not sent, goes nowhere else by itself.
#[test]
fn what_was_not_sent_to_a_room_that_is_gone_comes_back_by_up_and_goes_nowhere_unasked() {
    let mut desk = Desk::in_rooms();
    desk.heard(found("ops"));
    desk.typed("not sent").key(ENTER);
    desk.heard(Event::Outbox(OutboxMessage {
        local: LocalId(1),
        room: room("ops"),
        content: Content::Text(Body::inert("not sent")),
        delivery: Delivery::Pending,
    }));
    desk.done();
    desk.typed("my password is ");
    desk.heard(Event::RoomLeft {
        room: room("ops"),
        by: Some(nickname("bob")),
    });
    assert_eq!(
        desk.told_why(),
        "bob removed you from #ops. Up brings back what you had not sent"
    );
    let commands = desk.done();
    assert!(commands.contains(&Effect::Command(Command::Withdraw(LocalId(1)))));
    for text in ["not sent", "my password is "] {
        let typed = Effect::Command(Command::Typed(text.to_owned()));
        assert!(commands.contains(&typed), "{text}: the next start has it");
    }
    assert_eq!(desk.here(), "#lobby");
    desk.typed("hunter2").key(ENTER);
    assert_eq!(desk.sent(), [""; 0]);
    assert_eq!(
        desk.told_why(),
        "You are in #lobby now: Enter sends it here"
    );
    desk.key(ctrl('u')).key(Key::plain(Code::Up));
    assert_eq!(desk.text(), "my password is ");
    desk.key(Key::plain(Code::Up));
    assert_eq!(desk.text(), "not sent");
    desk.key(ENTER);
    assert_eq!(desk.sent(), ["not sent"]);
}

#[test]
fn a_room_gets_its_new_name_and_the_screen_shows_it() {
    let mut desk = Desk::in_rooms();
    desk.heard(found("ops"));
    desk.heard(Event::RoomInfo {
        room: room("ops"),
        info: Box::new(RoomInfo::public(RoomName::parse("operations").unwrap())),
    });
    assert_eq!(desk.here(), "#operations");
}

#[test]
fn what_another_device_has_read_is_read_here() {
    let mut desk = Desk::in_rooms();
    for seq in 2..=4 {
        desk.hears("ops", seq, 400, "hello");
    }
    assert_eq!(desk.news("ops"), News::Unread(3));
    let read = |seq, generation, unread| Event::ReadState {
        room: room("ops"),
        read: ReadState {
            marker: ReadMarker { seq, generation },
            preferences: Preferences {
                favourite: true,
                ..Preferences::default()
            },
            unread: Count::new(unread),
            mentions: Count::new(0),
        },
    };
    desk.heard(read(4, 0, 0));
    assert_eq!(desk.news("ops"), News::Nothing);
    assert!(desk.pane_in("ops").read_state.preferences.favourite);
    // One that comes late changes nothing; one set by hand does.
    desk.heard(read(2, 0, 2));
    assert_eq!(desk.pane_in("ops").read, 4);
    desk.heard(read(1, 1, 3));
    assert_eq!(desk.pane_in("ops").read, 1);
    assert_eq!(desk.news("ops"), News::Unread(3));
}
