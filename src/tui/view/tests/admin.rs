//! Screens of a moderated room, at usual sizes.

use jiff::tz::TimeZone;

use super::{Screen, member, time};
use crate::{
    client::event::{ConnectionStatus, Event, SearchPage, Security},
    protocol::{
        Author, DeviceCode, Entry, InviteId, InviteKey, InviteToken, Role, RoomId, RoomRules,
        admin::AdminResult, frame::Member,
    },
    text::Line,
    tui::{
        app::Msg,
        key::{Code, Key},
        testing::{logged, nickname, user},
    },
};

const ENTER: Key = Key::plain(Code::Enter);

fn with_role(name: &str, role: Role) -> Member {
    Member {
        role,
        ..member(name)
    }
}

fn result(message: &str, lines: &[&str]) -> AdminResult {
    AdminResult {
        message: Line::inert(message),
        lines: lines.iter().map(|line| Line::inert(line)).collect(),
        invite: None,
        code: None,
        room: None,
        reference: None,
    }
}

impl Screen {
    /// Types a command and answers it.
    fn answered(&mut self, typed: &str, answer: AdminResult) -> &mut Self {
        self.typed(typed).key(ENTER).heard(Event::Admin {
            request: 0,
            answer: Ok(answer),
        })
    }

    fn ruled(&mut self, rules: RoomRules) -> &mut Self {
        self.heard(Event::Rules {
            room: RoomId::LOBBY,
            rules,
            by: Some(nickname("alice")),
        })
    }
}

/// An owner, a moderator, a member (ourselves) and a user without a key; a topic; an invite.
fn house(width: u16, height: u16) -> Screen {
    let mut screen = Screen::entered(width, height);
    furnish(&mut screen);
    screen
}

/// The events that make a screen show a moderated room.
pub(super) fn furnish(screen: &mut Screen) {
    screen.desk.members(&[
        with_role("alice", Role::Owner),
        with_role("bob", Role::Moderator),
        member("carol"),
        with_role("maximilian_the_third", Role::Unverified),
    ]);
    screen.ruled(RoomRules {
        topic: Some(Line::inert("release day: no merges until the tag is out")),
        announce: false,
        slow_seconds: 30,
    });
    screen.message("22T09:44:00", "alice", "can you invite dave?");
    let key = InviteKey::from_bytes([9; 32]);
    let token = InviteToken::mint(&key, InviteId::from_bytes([5; 8]), 1_800_000_000, 1);
    screen.answered(
        "/invite",
        AdminResult {
            invite: Some(token),
            ..result(
                "One may come in by this invite, until 2027-01-15 08:00 UTC",
                &[],
            )
        },
    );
}

/// The text of the whole screen, with wrapped rows joined.
fn in_one(screen: &Screen) -> String {
    let text = screen.text();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn all_times_are_in_the_readers_zone_and_change_with_it() {
    let zone = |name| Msg::Zone(TimeZone::get(name).unwrap());
    let mut screen = Screen::entered(140, 40);
    screen.desk.msg(zone("Pacific/Auckland"));
    screen.message("22T10:30:00", "alice", "before midnight");
    screen.message("22T11:30:00", "alice", "after midnight");
    screen.answered(
        "/audit",
        result(
            "What was done, newest first: 1",
            &["1  2026-11-22 09:30 UTC  alice became the owner"],
        ),
    );
    let shown = in_one(&screen);
    for part in [
        "23:30 alice │ before midnight",
        "Monday 23 November",
        "00:30 alice │ after midnight",
        "2026-11-22 22:30 alice became the owner",
    ] {
        assert!(shown.contains(part), "{part}: {}", screen.text());
    }
    screen.desk.msg(zone("Asia/Kolkata"));
    screen.heard(Event::NicknameRefused {
        nickname: nickname("dave"),
        why: Line::inert("It is taken until 2026-11-22 09:50 UTC"),
        waiting: false,
    });
    let shown = in_one(&screen);
    for part in [
        "16:00 alice │ before midnight",
        "17:00 alice │ after midnight",
        "2026-11-22 15:00 alice became the owner",
        "taken until 2026-11-22 15:20",
    ] {
        assert!(shown.contains(part), "{part}: {}", screen.text());
    }
    assert!(!shown.contains("Monday"), "{}", screen.text());
    assert!(!shown.contains("UTC"), "{}", screen.text());
}

#[test]
fn an_invite_stands_alone_on_its_rows() {
    house(100, 30).check(
        r"
 #lobby  release day: no merges until the tag is out                   localhost:10500  ● encrypted
                                                                                │ Members 4
                                                                                │ ● alice         ◆
                                                                                │ ● bob           ◇
                                                                                │ ● carol you
                                                                                │ ● maximilian_t… ?
                                                                                │
                                                                                │
                                                                                │
                                                                                │
                                                                                │
                                                                                │
                                                                                │
                                                                                │
                                                                                │
                                                                                │
                                                                                │
 ───────────────────────────── Sunday 22 November ───────────────────────────── │
 09:45             │ alice set the topic: release day: no merges until the      │
                   │ tag is out · alice set slow mode: one message every 30s    │
 09:44       alice │ can you invite dave?                                       │
 09:45     /invite │ One may come in by this invite, until 2027-01-15 08:00     │
 chat-tui://localhost:10500/Aaenp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enBQUFBQU │
 FBQUAAAAAa0nSAAAB4Mc6yHQCRhQPwggIGQUoMw                                        │
                   │ They join with: chat-tui INVITE                            │
                   │ For other machines, replace localhost by this machine's    │
                   │ name or address.                                           │
────────────────────────────────────────────────────────────────────────────────┴───────────────────
 › type a message; one every 30s
 Alt-C copy   F1 help   Esc disconnect   Tab complete   Alt-Enter new line   Ctrl-F search
",
    );
}

#[test]
fn an_invite_stands_alone_on_a_usual_screen() {
    house(80, 24).check(
        r"
 #lobby  release day: no merges until the tag is…  localhost:10500  ● encrypted
                                                            │ Members 4
                                                            │ ● alice         ◆
                                                            │ ● bob           ◇
                                                            │ ● carol you
                                                            │ ● maximilian_t… ?
                                                            │
                                                            │
 ─────────────────── Sunday 22 November ─────────────────── │
 09:45           │ alice set the topic: release day: no     │
                 │ merges until the tag is out · alice      │
                 │ set slow mode: one message every 30s     │
 09:44     alice │ can you invite dave?                     │
 09:45   /invite │ One may come in by this invite, until    │
                 │ 2027-01-15 08:00                         │
 chat-tui://localhost:10500/Aaenp6enp6enp6enp6enp6enp6enp6e │
 np6enp6enp6enBQUFBQUFBQUAAAAAa0nSAAAB4Mc6yHQCRhQPwggIGQUoM │
 w                                                          │
                 │ They join with: chat-tui INVITE          │
                 │ For other machines, replace localhost    │
                 │ by this machine's name or address.       │
────────────────────────────────────────────────────────────┴───────────────────
 › type a message; one every 30s
 Alt-C copy   F1 help   Esc disconnect   Tab complete   Alt-Enter new line
",
    );
}

#[test]
fn an_invite_stands_alone_on_a_small_screen() {
    house(40, 12).check(
        r"
 #lobby    localhost:10500  ● encrypted
 QUFBQUAAAAAa0nSAAAB4Mc6yHQCRhQPwggIGQU
 oMw
          │ They join with: chat-tui
          │ INVITE
          │ For other machines,
          │ replace localhost by this
          │ machine's name or
          │ address.
────────────────────────────────────────
 › type a message; one every 30s
 Alt-C copy   F1 help   Esc disconnect
",
    );
}

#[test]
fn an_invite_stands_alone_on_a_tiny_screen() {
    house(20, 5).check(
        r"
#lobby   ● encrypted
 localhost by this
 machine's name or
 address.
› one every 30s
",
    );
}

#[test]
fn a_device_is_added_by_what_stands_out() {
    let screen = {
        let mut screen = Screen::entered(60, 16);
        screen.answered(
            "/device add",
            AdminResult {
                code: Some(DeviceCode::parse("mfrg-gzdf").unwrap()),
                ..result("Another device of yours may come in with this code", &[])
            },
        );
        screen
    };
    screen.check(
        r"
 #lobby  welcome to …  3 here  localhost:10500  ● encrypted


 ─────────────────── Sunday 22 November ───────────────────
 09:45   /device │ Another device of yours may come in
                 │ with this code
                 │
                 │   mfrg-gzdf
                 │
                 │ On the other device:
 chat-tui --device-code mfrg-gzdf --trust u6t2-pj5h-u6t2-pj
 5h-u6t2-pj5h-u6t2-pj5h-u6t2-pj5h-u6t2-pj5h-u6tq HOST 10500
 carol 1
────────────────────────────────────────────────────────────
 › type a message
 Alt-C copy   F1 help   Esc disconnect   Tab complete
",
    );
}

#[test]
fn where_only_moderators_write_the_input_says_so() {
    let screen = {
        let mut screen = Screen::entered(40, 12);
        screen.ruled(RoomRules {
            topic: None,
            announce: true,
            slow_seconds: 0,
        });
        screen
    };
    screen.check(
        r"
 #lobby    localhost:10500  ● encrypted




 ───────── Sunday 22 November ─────────
          │ alice removed the topic ·
          │ alice lets only
          │ moderators write here
────────────────────────────────────────
 › only moderators can write here
 F1 help   Esc disconnect
",
    );
}

#[test]
fn a_connection_in_the_clear_is_told_at_every_size() {
    let title = |width| {
        let mut screen = Screen::entered(width, 10);
        screen.heard(Event::Security(Security::Plain));
        screen.text().lines().next().unwrap().to_owned()
    };
    for (width, expected) in [
        (
            80,
            " #lobby  welcome to the lab                    localhost:10500  ● not encrypted",
        ),
        (40, " #lobby         3 here  ● not encrypted"),
        (20, "#lobby ● unencrypted"),
        (18, "#lo… ● unencrypted"),
    ] {
        assert_eq!(title(width), expected);
    }
}

#[test]
fn the_encryption_can_be_asked_for() {
    let screen = {
        let mut screen = Screen::entered(60, 18);
        screen.typed("/security").key(ENTER);
        screen
    };
    screen.check(
        r"
 #lobby  welcome to …  3 here  localhost:10500  ● encrypted
 ─────────────────── Sunday 22 November ───────────────────
 09:45 /security │ Server: localhost:10500
                 │ Encrypted: nobody between you and the
                 │ server can read the messages; the
                 │ server itself can.
                 │ Its key:
                 │   u6t2-pj5h-u6t2-pj5h
                 │   u6t2-pj5h-u6t2-pj5h
                 │   u6t2-pj5h-u6t2-pj5h
                 │   u6tq
                 │ It is the key that the server had
                 │ before, or that you were given.
                 │ You: carol, a member, with the key
                 │ 5a17c388
────────────────────────────────────────────────────────────
 › type a message
 Alt-C copy   F1 help   Esc disconnect   Tab complete
",
    );
}

#[test]
fn a_remark_that_does_not_fit_the_hints_is_above_the_input() {
    let screen = {
        let mut screen = Screen::entered(40, 12);
        screen.typed("/ban bob 3 strikes").key(ENTER);
        screen
    };
    screen.check(
        r"
 #lobby    localhost:10500  ● encrypted



            No messages yet.


 ! 3 is not a duration (10m, 2h, 3d and
   1w are): /ban NAME [TIME] [REASON]
────────────────────────────────────────
 › /ban bob 3 strikes
 F1 help   Esc put aside   Tab complete
",
    );
}

#[test]
fn texts_of_a_hostile_server_are_drawn_inert_and_in_their_area() {
    let evil = "\u{1b}[31m\u{1b}]52;c;eA==\u{7}\u{202e}\u{200b}\u{9b}5m evil\r\n\t";
    for (width, height) in [(100, 30), (80, 24), (40, 12), (20, 5)] {
        let mut screen = Screen::entered(width, height);
        let calm = screen.text();
        screen.ruled(RoomRules {
            topic: Some(Line::inert(&evil.repeat(40))),
            announce: true,
            slow_seconds: u64::MAX,
        });
        screen.answered("/bans", result(evil, &[evil, "", evil]));
        screen.heard(Event::Admin {
            request: 1,
            answer: Err(Line::inert(evil)),
        });
        let why = Line::inert(&format!("{evil} sent you away"));
        screen.heard(Event::Connection(ConnectionStatus::Stopped {
            why,
            brief: "Another key!",
            wants: None,
        }));
        let (buffer, _) = screen.buffer();
        for cell in &buffer.content {
            let harmless = |c: char| !c.is_control() && !matches!(c, '\u{202e}' | '\u{200b}');
            assert!(cell.symbol().chars().all(harmless), "{:?}", cell.symbol());
        }
        let rows = |text: &str| text.lines().count();
        assert_eq!(rows(&screen.text()), rows(&calm));
    }
}

/// A user without a key, whose name is as long as there is room for, and one with a key send
/// messages.
fn stranger_speaks(width: u16, height: u16) -> Screen {
    let mut screen = Screen::entered(width, height);
    let long = "visitor from far away";
    let members = vec![member("carol"), with_role("guest", Role::Unverified)];
    screen.desk.heard(Event::Members {
        room: RoomId::LOBBY,
        members: [members, vec![with_role(long, Role::Unverified)]].concat(),
    });
    screen
        .message("22T09:41:03", "guest", "hello")
        .message("22T09:41:10", "guest", "is anybody in?")
        .message("22T09:41:30", long, "I am")
        .message("22T09:41:40", "carol", "we all are");
    screen
}

#[test]
fn a_sender_without_a_key_is_marked() {
    stranger_speaks(60, 10).check(
        r"
 #lobby  welcome to …  3 here  localhost:10500  ● encrypted

 ─────────────────── Sunday 22 November ───────────────────
 09:41    ?guest │ hello
                 │ is anybody in?
       ?visitor… │ I am
           carol │ we all are                             ✓
────────────────────────────────────────────────────────────
 › type a message
 F1 help   Esc disconnect   Tab complete
",
    );
}

/// Of two users called alice, one without a key wrote yesterday, and the other writes today; and
/// the other way round.
fn two_of_a_name(width: u16, height: u16, unverified_today: bool) -> Screen {
    let mut screen = Screen::entered(width, height);
    let unverified = user("alice without a key");
    let said = |seq, at, unproven| Entry {
        author: Author {
            user: if unproven { unverified } else { user("alice") },
            proven: !unproven,
            ..logged(seq, time(at), "alice", "merge it").author
        },
        ..logged(seq, time(at), "alice", "merge it")
    };
    let today = Member {
        user: if unverified_today {
            unverified
        } else {
            user("alice")
        },
        ..if unverified_today {
            with_role("alice", Role::Unverified)
        } else {
            member("alice")
        }
    };
    screen.desk.opens(1, 3, 1);
    screen.heard(Event::Members {
        room: RoomId::LOBBY,
        members: vec![today, member("carol")],
    });
    for message in [
        said(1, "21T09:41:00", !unverified_today),
        said(2, "22T09:41:00", unverified_today),
        said(3, "22T09:41:20", !unverified_today),
    ] {
        screen.heard(Event::Message(message.into()));
    }
    screen
}

#[test]
fn a_sender_without_a_key_stays_marked_and_a_later_user_of_the_name_is_not() {
    for (unverified_today, yesterday, today) in
        [(false, "?alice", " alice"), (true, " alice", "?alice")]
    {
        let screen = two_of_a_name(60, 12, unverified_today);
        let shown = screen.text();
        let names: Vec<_> = shown
            .lines()
            .filter(|line| line.contains("merge it"))
            .map(|line| line.split('│').next().unwrap_or_default())
            .map(|names| &names.trim_end()[names.trim_end().len() - 6..])
            .collect();
        assert_eq!(names, [yesterday, today, yesterday], "{shown}");
    }
}

#[test]
fn a_sender_without_a_key_is_marked_among_search_results() {
    for (width, marked) in [(60, "?alice │ merge it"), (24, "?alice")] {
        let mut screen = two_of_a_name(width, 12, false);
        screen
            .key(Key::ctrl(Code::Char('f')))
            .typed("merge")
            .key(ENTER);
        let found = |seq, unproven: bool| Entry {
            author: Author {
                proven: !unproven,
                ..logged(seq, time("21T09:41:00"), "alice", "merge it").author
            },
            ..logged(seq, time("21T09:41:00"), "alice", "merge it")
        };
        screen.heard(Event::Found {
            search: 1,
            room: RoomId::LOBBY,
            found: Ok(SearchPage {
                first: 1,
                from: 1,
                to: 3,
                entries: vec![found(2, false), found(1, true)],
                indexed: None,
                offline: false,
            }),
        });
        let shown = screen.text();
        assert_eq!(shown.matches("alice").count(), 2, "{shown}");
        assert_eq!(shown.matches(marked).count(), 1, "{shown}");
        assert_eq!(shown.matches('?').count(), 1, "{shown}");
    }
}

#[test]
fn a_sender_without_a_key_is_marked_on_a_narrow_screen() {
    stranger_speaks(20, 12).check(
        r"
#lobby   ● encrypted
─ Sunday 22 Novem… ─
?guest
 hello
 is anybody in?
?visitor from far a…
 I am
carol
 we all are        ✓
────────────────────
› type a message
F1 help
",
    );
}
