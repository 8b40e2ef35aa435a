//! What the user does and hears, and what comes of it.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

use super::{
    Effect, HostChoice, Model, Msg, Now, Popup, Start,
    room::{OutgoingState, Scroll},
    timeline::{ENTRIES_MAX, Entry},
    update,
};
use crate::{
    client::event::{
        Command, Delivery, Entered, Event, Link, LocalId, Received, RoomOpened, Summary,
    },
    protocol::{
        Nickname, RoomName, UserId,
        frame::{Departure, Member, Reset},
    },
    text::{Body, Line},
    tui::key::{Code, Key},
};

const ESC: Key = Key::plain(Code::Esc);
const ENTER: Key = Key::plain(Code::Enter);
const PAGE_UP: Key = Key::plain(Code::PageUp);
const CTRL_C: Key = Key::ctrl(Code::Char('c'));

fn nickname(name: &str) -> Nickname {
    Nickname::parse(name).unwrap()
}

fn user(name: &str) -> UserId {
    let mut bytes = [0; 12];
    bytes
        .iter_mut()
        .zip(name.bytes())
        .for_each(|(to, from)| *to = from);
    UserId::from_bytes(bytes)
}

fn member(name: &str) -> Member {
    Member {
        user: user(name),
        nickname: nickname(name),
        since: Timestamp::UNIX_EPOCH,
    }
}

/// A screen that is used.
struct Desk {
    model: Model,
    /// What was to be done since it was last looked at.
    effects: Vec<Effect>,
}

impl Desk {
    fn new() -> Self {
        let start = Start {
            now: Now {
                wall: Timestamp::UNIX_EPOCH,
                elapsed: Duration::ZERO,
            },
            zone: TimeZone::UTC,
            width: 60,
            height: 20,
            host: "localhost:10500".to_owned(),
            nickname: nickname("carol"),
            hosting: false,
        };
        Self {
            model: Model::new(start),
            effects: Vec::new(),
        }
    }

    /// In, with others.
    fn online() -> Self {
        let mut desk = Self::new();
        desk.heard(Event::Link(Link::Online))
            .heard(Event::Entered(Entered {
                user: Some(user("carol")),
                nickname: nickname("carol"),
                server: None,
                limits: None,
            }))
            .opened(1, None)
            .heard(Event::Members {
                room: RoomName::lobby(),
                members: ["carol", "bob", "bert"].map(member).to_vec(),
            });
        desk
    }

    fn msg(&mut self, msg: Msg) -> &mut Self {
        self.effects.extend(update(&mut self.model, msg));
        self
    }

    fn heard(&mut self, event: Event) -> &mut Self {
        self.msg(Msg::Session(event))
    }

    fn key(&mut self, key: Key) -> &mut Self {
        self.msg(Msg::Key(key))
    }

    fn typed(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            self.key(Key::plain(Code::Char(c)));
        }
        self
    }

    fn pasted(&mut self, text: &str) -> &mut Self {
        self.msg(Msg::Pasted(text.to_owned()))
    }

    fn passes(&mut self, elapsed: Duration) -> &mut Self {
        let wall = Timestamp::UNIX_EPOCH;
        self.msg(Msg::Now(Now { wall, elapsed }))
    }

    fn opened(&mut self, next: u64, reset: Option<Reset>) -> &mut Self {
        self.heard(Event::Room(RoomOpened {
            room: RoomName::lobby(),
            topic: None,
            first: 1,
            head: 0,
            next,
            reset,
        }))
    }

    fn message(&mut self, seq: u64, who: &str, text: &str) -> &mut Self {
        self.echo(seq, who, text, None)
    }

    fn echo(&mut self, seq: u64, who: &str, text: &str, local: Option<u64>) -> &mut Self {
        self.heard(Event::Message(Received {
            room: RoomName::lobby(),
            seq: Some(seq),
            id: None,
            user: Some(user(who)),
            nickname: nickname(who),
            time: Timestamp::UNIX_EPOCH,
            body: Body::inert(text),
            local: local.map(LocalId),
        }))
    }

    fn outbox(&mut self, local: u64, text: &str, delivery: Delivery) -> &mut Self {
        self.heard(Event::Outbox {
            local: LocalId(local),
            room: RoomName::lobby(),
            body: Body::inert(text),
            delivery,
        })
    }

    /// Many messages, so that there is something to scroll through.
    fn full() -> Self {
        let mut desk = Self::online();
        for seq in 1..=100 {
            desk.message(seq, "bob", &format!("message {seq}"));
        }
        desk
    }

    fn done(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    fn sent(&mut self) -> Vec<String> {
        self.done()
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Command(Command::Send { body, .. }) => Some(body.as_str().to_owned()),
                _ => None,
            })
            .collect()
    }

    fn text(&self) -> &str {
        self.model.writing().text()
    }

    /// The text on top of what is shown.
    fn on_top(&self) -> String {
        let layout = self.model.layout();
        let room = self.model.room();
        let (place, _) = room.top_place(&layout.columns, layout.messages.height);
        room.timeline.get(place.index).unwrap().text().to_owned()
    }

    fn follows(&self) -> bool {
        self.model.room().scroll == Scroll::Follow
    }

    /// The scrollback in a few words an entry.
    fn entries(&self) -> Vec<String> {
        let room = self.model.room();
        let log = room.timeline.iter().map(|entry| match entry {
            Entry::Day(_) => "day".to_owned(),
            Entry::Message(message) => match message.own {
                None => message.body.as_str().to_owned(),
                Some(own) => format!("{} {own:?}", message.body.as_str()),
            },
            other => other.text().to_owned(),
        });
        let outbox = room.outbox.iter().map(|outgoing| {
            let state = match &outgoing.state {
                OutgoingState::Failed(why) => format!("Failed({why})"),
                other => format!("{other:?}"),
            };
            format!("{} {state}", outgoing.body.as_str())
        });
        log.chain(outbox).filter(|text| text != "day").collect()
    }
}

fn leaves() -> Vec<Effect> {
    vec![Effect::Command(Command::Leave)]
}

#[test]
fn escape_closes_what_is_open_before_it_disconnects() {
    let mut desk = Desk::full();
    desk.typed("@b").key(Key::plain(Code::Tab));
    assert!(desk.model.composer.completion.is_some());
    desk.key(PAGE_UP).key(Key::plain(Code::F(1)));

    desk.key(ESC);
    assert_eq!(desk.model.popup, None, "the help closes first");
    desk.key(ESC);
    assert_eq!(desk.model.composer.completion, None, "then the completion");
    assert!(!desk.follows());
    desk.key(ESC);
    assert!(desk.follows(), "then the view scrolled back");
    assert_eq!(desk.text(), "@bert ");
    desk.key(ESC);
    assert_eq!(desk.text(), "", "then the draft is put aside");
    assert_eq!(desk.done(), []);
    desk.key(ESC);
    assert_eq!(desk.done(), leaves(), "and then it disconnects");
    desk.key(ESC);
    assert_eq!(desk.done(), [Effect::Quit], "at once, if asked again");
}

#[test]
fn a_draft_put_aside_comes_back() {
    let mut desk = Desk::online();
    desk.typed("half a thought")
        .key(ESC)
        .key(Key::plain(Code::Up));
    assert_eq!(desk.text(), "half a thought");
}

#[test]
fn q_and_exclamation_mark_disconnects_and_nothing_else_does() {
    for (typed, expected) in [
        ("q!", leaves()),
        ("/quit", leaves()),
        ("q", vec![]),
        ("q! ", vec![]),
    ] {
        let mut desk = Desk::online();
        desk.typed(typed).key(ENTER);
        let mut done = desk.done();
        done.retain(|effect| !matches!(effect, Effect::Command(Command::Send { .. })));
        assert_eq!(done, expected, "{typed:?}");
    }
    let mut desk = Desk::new();
    refuse_nickname(&mut desk);
    desk.key(Key::ctrl(Code::Char('u'))).typed("q!").key(ENTER);
    assert_eq!(desk.done(), leaves(), "from anywhere");
}

#[test]
fn ctrl_c_clears_the_input_and_twice_leaves() {
    let mut desk = Desk::online();
    desk.typed("text").key(CTRL_C);
    assert_eq!((desk.done(), desk.text()), (vec![], ""));
    desk.typed("x").key(CTRL_C);
    assert_eq!(
        (desk.done(), desk.text()),
        (vec![], ""),
        "another key between"
    );
    desk.key(CTRL_C);
    assert_eq!(desk.done(), leaves());
}

#[test]
fn leaving_takes_a_second_at_most() {
    let mut desk = Desk::online();
    desk.passes(Duration::from_secs(10)).key(ESC);
    desk.done();
    desk.passes(Duration::from_millis(10_900));
    assert_eq!(desk.done(), []);
    assert_eq!(desk.model.wakes_in(), Some(Duration::from_millis(100)));
    desk.passes(Duration::from_secs(11));
    assert_eq!(desk.done(), [Effect::Quit]);

    let mut desk = Desk::online();
    desk.key(ESC).done();
    desk.heard(Event::Ended(Summary::default()));
    assert_eq!(desk.done(), [Effect::Quit]);
}

#[test]
fn a_host_is_asked_what_becomes_of_the_server() {
    for (key, expected) in [
        ('k', vec![Effect::Host(HostChoice::KeepRunning)]),
        ('e', vec![Effect::Host(HostChoice::Stop)]),
    ] {
        let mut desk = Desk::online();
        desk.model.hosting = true;
        desk.key(ESC);
        assert_eq!(desk.model.popup, Some(Popup::Host { others: 2 }));
        desk.key(ESC);
        assert_eq!((desk.done(), &desk.model.popup), (vec![], &None), "stays");
        desk.key(ESC).key(Key::plain(Code::Char(key)));
        assert_eq!(desk.done(), [expected, leaves()].concat());
    }
    let mut alone = Desk::new();
    alone.model.hosting = true;
    alone.key(ESC);
    let stop = vec![Effect::Host(HostChoice::Stop)];
    assert_eq!(alone.done(), [stop, leaves()].concat());
}

#[test]
fn what_is_typed_is_sent_as_it_was_typed() {
    let mut desk = Desk::online();
    desk.typed("hello ").key(ENTER);
    desk.typed("  two")
        .key(Key::alt(Code::Enter))
        .typed("lines")
        .key(ENTER);
    desk.typed("//nick").key(ENTER).typed("   ").key(ENTER);
    assert_eq!(desk.sent(), ["hello", "  two\nlines", "/nick"]);
    assert_eq!(desk.text(), "");
}

#[test]
fn an_unknown_command_is_kept_and_not_sent() {
    let mut desk = Desk::online();
    desk.typed("/etc/hosts is missing").key(ENTER);
    assert_eq!(desk.sent(), Vec::<String>::new());
    assert_eq!(desk.text(), "/etc/hosts is missing");
    assert!(desk.model.flash.is_some());
}

#[test]
fn a_pasted_newline_never_sends_and_a_large_paste_asks() {
    let mut desk = Desk::online();
    desk.pasted("one\r\ntwo\r");
    assert_eq!(desk.text(), "one\ntwo\n");
    assert_eq!(desk.done(), []);

    let large = "line\n".repeat(11);
    for (key, expected) in [(ENTER, large.as_str()), (ESC, "")] {
        let mut desk = Desk::online();
        desk.pasted(&large);
        assert_eq!(desk.text(), "", "asks first");
        desk.typed("x").key(key);
        assert_eq!(desk.text(), expected);
        assert_eq!(desk.done(), []);
    }
    let mut desk = Desk::online();
    desk.pasted(&"x".repeat(3000));
    assert!(matches!(desk.model.popup, Some(Popup::Paste { .. })));
    let mut desk = Desk::online();
    desk.pasted(&"x".repeat(20_000)).key(ENTER);
    assert_eq!(desk.text(), "", "more than a message can hold");
    assert!(desk.model.flash.is_some());
}

#[test]
fn a_view_scrolled_back_keeps_its_place() {
    let mut desk = Desk::full();
    desk.key(PAGE_UP).key(PAGE_UP);
    let place = desk.on_top();
    desk.message(101, "bob", "new")
        .message(102, "bert", "newer");
    desk.echo(103, "carol", "ours from elsewhere", None);
    assert_eq!(desk.on_top(), place, "whatever arrives");
    assert_eq!(desk.model.room().new_below(), 2);
    desk.msg(Msg::Resized {
        width: 35,
        height: 12,
    });
    assert_eq!(desk.on_top(), place, "whatever the size");
    desk.key(Key::plain(Code::End));
    assert!(desk.follows());
    assert_eq!(desk.model.room().new_below(), 0);
}

#[test]
fn pages_and_rows_go_there_and_back() {
    for (back, forth) in [
        (PAGE_UP, Key::plain(Code::PageDown)),
        (Key::ctrl(Code::Up), Key::ctrl(Code::Down)),
        (Key::ctrl(Code::Home), Key::ctrl(Code::End)),
        (Key::plain(Code::Home), Key::plain(Code::End)),
    ] {
        let mut desk = Desk::full();
        desk.key(back);
        assert!(!desk.follows(), "{back}");
        desk.key(forth);
        assert!(desk.follows(), "{forth}");
    }
    let mut desk = Desk::full();
    desk.typed("text").key(Key::plain(Code::Home));
    assert!(desk.follows(), "Home moves in the text, if there is one");
    desk.key(Key::ctrl(Code::Home));
    assert_eq!(desk.on_top(), "", "the first day's line");
}

#[test]
fn sending_goes_back_to_the_end() {
    let mut desk = Desk::full();
    desk.key(PAGE_UP).typed("here").key(ENTER);
    assert!(desk.follows());
}

#[test]
fn the_oldest_go_when_the_scrollback_is_full() {
    let mut desk = Desk::full();
    desk.key(Key::ctrl(Code::Home));
    for seq in 101..=(ENTRIES_MAX as u64 + 50) {
        desk.message(seq, "bob", "more");
    }
    assert_eq!(desk.model.room().timeline.len(), ENTRIES_MAX);
    assert!(desk.model.room().timeline.dropped());
    assert_eq!(desk.on_top(), "message 51", "what was looked at is gone");
}

#[test]
fn the_unread_line_stands_above_what_was_not_seen() {
    let mut desk = Desk::full();
    desk.msg(Msg::Focus(false)).message(101, "bob", "first");
    desk.message(102, "bob", "second");
    assert_eq!(desk.model.room().unread(), 2);
    desk.msg(Msg::Focus(true)).message(103, "bob", "seen");
    desk.msg(Msg::Focus(false)).msg(Msg::Focus(true));
    assert_eq!(desk.model.room().unread(), 0, "gone once it was looked at");
    desk.key(PAGE_UP).message(104, "bob", "below");
    assert_eq!(
        desk.model.room().unread(),
        1,
        "scrolled back is not looking"
    );
}

#[test]
fn a_message_of_ours_is_shown_from_typing_to_its_echo() {
    let mut desk = Desk::online();
    desk.outbox(1, "one", Delivery::Pending);
    desk.outbox(2, "two", Delivery::Pending);
    assert_eq!(desk.entries(), ["one Pending", "two Pending"]);
    desk.message(1, "bob", "hi")
        .echo(2, "carol", "one", Some(1));
    assert_eq!(desk.entries(), ["hi", "one Sent", "two Pending"]);
    desk.outbox(1, "one", Delivery::Sent { seq: Some(2) });
    assert_eq!(
        desk.entries(),
        ["hi", "one Sent", "two Pending"],
        "echo first"
    );
    desk.outbox(2, "two", Delivery::Sent { seq: Some(3) });
    assert_eq!(desk.entries(), ["hi", "one Sent", "two Sent"], "ack first");
    desk.echo(3, "carol", "two", Some(2));
    assert_eq!(desk.entries(), ["hi", "one Sent", "two Sent"]);
    assert!(desk.model.room().outbox.is_empty());
    desk.outbox(3, "three", Delivery::Pending);
    desk.outbox(3, "three", Delivery::Unconfirmed);
    assert_eq!(desk.entries()[3..], ["three Unconfirmed"]);
}

#[test]
fn what_failed_can_be_sent_again_or_taken_back() {
    let failed = || Delivery::Failed {
        why: Line::inert("too long"),
    };
    let mut desk = Desk::online();
    desk.outbox(1, "one", Delivery::Pending)
        .outbox(1, "one", failed());
    assert_eq!(desk.entries(), ["one Failed(too long)"]);
    desk.key(Key::alt(Code::Char('s')));
    let again = Effect::Command(Command::SendAgain(LocalId(1)));
    assert_eq!(desk.done(), [again]);
    assert_eq!(desk.entries(), ["one Pending"]);

    desk.key(Key::alt(Code::Char('x')));
    let withdraw = Effect::Command(Command::Withdraw(LocalId(1)));
    assert_eq!(desk.done(), [withdraw]);
    assert_eq!(desk.text(), "", "not before it is known to be in time");
    desk.outbox(1, "one", Delivery::Withdrawn);
    assert_eq!((desk.entries(), desk.text()), (vec![], "one"));

    let mut desk = Desk::online();
    desk.outbox(1, "one", failed())
        .key(Key::alt(Code::Char('x')));
    assert_eq!((desk.entries(), desk.text()), (vec![], "one"));
    assert_eq!(desk.done(), []);
}

fn refuse_nickname(desk: &mut Desk) {
    desk.heard(Event::NicknameRefused {
        nickname: nickname("carol"),
        why: Line::inert("Nickname already in use"),
        waiting: true,
    });
}

#[test]
fn another_nickname_is_asked_for_in_place() {
    let mut desk = Desk::new();
    desk.typed("a draft");
    refuse_nickname(&mut desk);
    assert_eq!(desk.text(), "carol", "the one refused, to be changed");
    let status = desk.model.status().unwrap();
    assert!(status.contains("Nickname already in use"), "{status}");
    desk.typed("2").key(ENTER);
    assert_eq!(
        desk.done(),
        [Effect::Command(Command::Nick(nickname("carol2")))]
    );
    assert_eq!(desk.text(), "a draft");

    let mut desk = Desk::new();
    refuse_nickname(&mut desk);
    desk.key(Key::ctrl(Code::Char('u'))).key(ENTER);
    assert_eq!(desk.done(), []);
    let status = desk.model.status().unwrap();
    assert!(status.contains("can't be empty"), "{status}");
    desk.key(ESC);
    assert_eq!(desk.done(), leaves());
}

#[test]
fn breaks_and_gaps_are_shown() {
    let mut desk = Desk::online();
    desk.message(1, "bob", "one").message(2, "bob", "two");
    desk.opened(3, None).message(3, "bob", "three");
    desk.opened(8, None).message(8, "bob", "eight");
    desk.opened(1, Some(Reset::Epoch)).message(1, "bob", "anew");
    let expected = [
        "one",
        "two",
        "three",
        "4 messages are missing here",
        "eight",
        "the server has started anew: its history begins here",
        "anew",
    ];
    assert_eq!(desk.entries(), expected);
}

#[test]
fn comings_and_goings_are_folded() {
    let mut desk = Desk::online();
    let room = RoomName::lobby;
    for name in ["dave", "erin"] {
        desk.heard(Event::Joined {
            room: room(),
            member: member(name),
        });
    }
    desk.heard(Event::Joined {
        room: room(),
        member: member("bob"),
    });
    desk.heard(Event::Left {
        room: room(),
        user: user("dave"),
        nickname: nickname("dave"),
        time: Timestamp::UNIX_EPOCH,
        reason: Departure::Lost,
    });
    desk.heard(Event::Renamed {
        room: room(),
        user: user("carol"),
        was: nickname("carol"),
        nickname: nickname("caroline"),
        time: Timestamp::UNIX_EPOCH,
    });
    let expected = "dave came and left · erin joined · carol is now caroline";
    assert_eq!(desk.entries(), [expected], "who was in has not come");
    assert_eq!(desk.model.nickname, nickname("caroline"));
    let members = desk.model.room().members.iter();
    let names: Vec<&str> = members.map(|member| member.nickname.as_str()).collect();
    assert_eq!(names, ["bert", "bob", "caroline", "erin"]);
}

#[test]
fn somebody_on_a_bad_line_is_told_of_once() {
    let mut desk = Desk::online();
    for (coming, expected) in [
        (false, "bob left (connection lost)"),
        (true, "bob left and came back"),
        (false, "bob left (connection lost)"),
        (true, "bob left and came back"),
    ] {
        let room = RoomName::lobby();
        desk.heard(if coming {
            Event::Joined {
                room,
                member: member("bob"),
            }
        } else {
            Event::Left {
                room,
                user: user("bob"),
                nickname: nickname("bob"),
                time: Timestamp::UNIX_EPOCH,
                reason: Departure::Lost,
            }
        });
        assert_eq!(desk.entries(), [expected]);
    }
}

#[test]
fn what_was_said_before_we_came_is_not_new() {
    let mut desk = Desk::new();
    desk.msg(Msg::Focus(false));
    desk.heard(Event::Room(RoomOpened {
        room: RoomName::lobby(),
        topic: None,
        first: 1,
        head: 2,
        next: 1,
        reset: None,
    }));
    desk.message(1, "bob", "old").message(2, "bob", "old");
    assert_eq!(desk.model.room().unread(), 0);
    desk.message(3, "bob", "new");
    assert_eq!(desk.model.room().unread(), 1);
}

#[test]
fn nicknames_and_commands_are_completed() {
    let tab = Key::plain(Code::Tab);
    for (typed, tabs, expected) in [
        ("be", 1, "bert: "),
        ("hi @be", 1, "hi @bert "),
        ("b", 1, "bert: "),
        ("b", 2, "bob: "),
        ("b", 3, "bert: "),
        ("ca", 1, "ca"),
        ("/n", 1, "/nick "),
        ("hi /n", 1, "hi /n"),
        ("", 1, ""),
    ] {
        let mut desk = Desk::online();
        desk.typed(typed);
        for _ in 0..tabs {
            desk.key(tab);
        }
        assert_eq!(desk.text(), expected, "{typed:?} with {tabs}");
    }
}

#[test]
fn the_way_to_the_next_attempt_is_counted_down() {
    let mut desk = Desk::new();
    desk.passes(Duration::from_secs(5));
    desk.heard(Event::Link(Link::Waiting {
        why: Line::inert("Connection refused"),
        retry_in: Duration::from_millis(3500),
    }));
    for (millis, shown, wakes) in [(5000, 4, 500), (5600, 3, 900), (8000, 1, 500)] {
        desk.passes(Duration::from_millis(millis));
        assert_eq!(
            desk.model.retry_in(),
            Duration::from_secs(shown),
            "{millis}"
        );
        assert_eq!(
            desk.model.wakes_in(),
            Some(Duration::from_millis(wakes)),
            "{millis}"
        );
    }
    desk.passes(Duration::from_secs(9));
    assert_eq!(desk.model.wakes_in(), None);
    desk.key(Key::ctrl(Code::Char('r')));
    assert_eq!(desk.done(), [Effect::Command(Command::RetryNow)]);
}
