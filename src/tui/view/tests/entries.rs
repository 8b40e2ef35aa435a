//! Edited, deleted and unknown entries on the screen.

use super::*;
use crate::{
    protocol::{Content, Entry},
    tui::testing::{edit, happened, id, poll, redaction},
};

impl Screen {
    fn entry(&mut self, entry: Entry) -> &mut Self {
        self.heard(Event::Message(entry.into()))
    }

    /// A conversation with an edited message, one deleted by its author and one by a moderator, and
    /// an entry of an unknown kind.
    fn changed(width: u16, height: u16) -> Self {
        let mut screen = Self::entered(width, height);
        let at = |seconds: &str| time(&format!("22T09:4{seconds}"));
        screen
            .entry(logged(
                1,
                at("1:03"),
                "alice",
                "did teh release build pass?",
            ))
            .entry(logged(2, at("1:40"), "bob", "yes: 214 tests"))
            .entry(logged(3, at("2:08"), "bob", "the password is swordfish"))
            .entry(logged(4, at("2:30"), "alice", "buy cheap pills now"))
            .entry(poll(5, at("3:00"), "bob", Some("poll: pizza or soup?")))
            .entry(poll(6, at("3:10"), "bob", None))
            .entry(logged(7, at("4:20"), "carol", "on it"))
            .entry(edit(
                8,
                at("4:30"),
                "alice",
                1,
                "did the release build pass, and on all of the machines?",
            ))
            .entry(redaction(9, at("4:40"), "bob", 3))
            .entry(redaction(10, at("4:50"), "dave", 4))
            .entry(edit(
                11,
                at("4:55"),
                "carol",
                7,
                "on it: https://ci.lan/run/88",
            ));
        screen
    }
}

#[test]
fn changed_entries_on_a_large_screen() {
    Screen::changed(100, 30).check(
        r"
 #lobby  welcome to the lab                                            localhost:10500  ● encrypted
                                                                                │ Members 3
                                                                                │ ● alice
                                                                                │ ● bob
                                                                                │ ● carol you
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
 ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ history begins here ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ │
 ───────────────────────────── Sunday 22 November ───────────────────────────── │
 09:41       alice │ did the release build pass, and on all of the machines?    │
                   │ (edited)                                                   │
               bob │ yes: 214 tests                                             │
 09:42             │ message deleted                                            │
             alice │ message deleted by dave                                    │
 09:43         bob │ poll: pizza or soup?                                       │
                   │ an entry of a kind that this version does not know         │
                   │ (poll)                                                     │
 09:44       carol │ on it: https://ci.lan/run/88 (edited)                    ✓ │
────────────────────────────────────────────────────────────────────────────────┴───────────────────
 › type a message
 F1 help   Esc disconnect   Tab complete   Alt-Enter new line   Ctrl-F search   PgUp scroll
",
    );
}

#[test]
fn changed_entries_on_a_usual_screen() {
    Screen::changed(80, 24).check(
        r"
 #lobby  welcome to the lab                        localhost:10500  ● encrypted
                                                            │ Members 3
                                                            │ ● alice
                                                            │ ● bob
                                                            │ ● carol you
                                                            │
                                                            │
                                                            │
                                                            │
                                                            │
 ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ history begins here ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ │
 ─────────────────── Sunday 22 November ─────────────────── │
 09:41     alice │ did the release build pass, and on all   │
                 │ of the machines? (edited)                │
             bob │ yes: 214 tests                           │
 09:42           │ message deleted                          │
           alice │ message deleted by dave                  │
 09:43       bob │ poll: pizza or soup?                     │
                 │ an entry of a kind that this version     │
                 │ does not know (poll)                     │
 09:44     carol │ on it: https://ci.lan/run/88 (edited)  ✓ │
────────────────────────────────────────────────────────────┴───────────────────
 › type a message
 F1 help   Esc disconnect   Tab complete   Alt-Enter new line   Ctrl-F search
",
    );
}

#[test]
fn changed_entries_on_a_small_screen() {
    Screen::changed(40, 12).check(
        r"
 #lobby    localhost:10500  ● encrypted
    alice │ message deleted by dave
      bob │ poll: pizza or soup?
          │ an entry of a kind that
          │ this version does not
          │ know (poll)
    carol │ on it:
          │ https://ci.lan/run/88
          │ (edited)                  ✓
────────────────────────────────────────
 › type a message
 F1 help   Esc disconnect
",
    );
}

#[test]
fn the_input_while_a_message_is_edited() {
    let mut screen = Screen::changed(80, 24);
    screen.typed("/edit").key(Key::plain(Code::Enter)).check(
        r"
 #lobby  welcome to the lab                        localhost:10500  ● encrypted
                                                            │ Members 3
                                                            │ ● alice
                                                            │ ● bob
                                                            │ ● carol you
                                                            │
                                                            │
                                                            │
                                                            │
                                                            │
 ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ history begins here ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ │
 ─────────────────── Sunday 22 November ─────────────────── │
 09:41     alice │ did the release build pass, and on all   │
                 │ of the machines? (edited)                │
             bob │ yes: 214 tests                           │
 09:42           │ message deleted                          │
           alice │ message deleted by dave                  │
 09:43       bob │ poll: pizza or soup?                     │
                 │ an entry of a kind that this version     │
                 │ does not know (poll)                     │
 09:44     carol ┃ on it: https://ci.lan/run/88 (edited)  ✓ │
────────────────────────────────────────────────────────────┴───────────────────
 › on it: https://ci.lan/run/88
 Editing your message of 09:44 · Enter saves · Esc cancels
",
    );
}

#[test]
fn the_input_while_a_message_is_edited_on_a_small_screen() {
    let mut screen = Screen::changed(40, 12);
    screen.typed("/edit").key(Key::plain(Code::Enter)).check(
        r"
 #lobby    localhost:10500  ● encrypted
    alice │ message deleted by dave
      bob │ poll: pizza or soup?
          │ an entry of a kind that
          │ this version does not
          │ know (poll)
    carol ┃ on it:
          ┃ https://ci.lan/run/88
          ┃ (edited)                  ✓
────────────────────────────────────────
 › on it: https://ci.lan/run/88
 Editing · Enter saves · Esc cancels
",
    );
}

#[test]
fn a_refused_edit_and_deletion() {
    let mut screen = Screen::changed(80, 24);
    let why = Line::inert("You are muted until 10:00");
    for (local, content) in [
        (
            7,
            Content::Edit {
                target: id(7),
                body: Body::inert("on it now"),
            },
        ),
        (
            8,
            Content::Redaction {
                target: id(2),
                reason: None,
            },
        ),
    ] {
        screen.heard(Event::Outbox(OutboxMessage {
            local: LocalId(local),
            room: RoomId::LOBBY,
            content,
            delivery: Delivery::Failed { why: why.clone() },
        }));
    }
    screen.check(
        r"
 #lobby  welcome to the lab                        localhost:10500  ● encrypted
                                                            │ Members 3
                                                            │ ● alice
                                                            │ ● bob
                                                            │ ● carol you
 ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ history begins here ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ │
 ─────────────────── Sunday 22 November ─────────────────── │
 09:41     alice │ did the release build pass, and on all   │
                 │ of the machines? (edited)                │
             bob │ yes: 214 tests                           │
 09:42           │ message deleted                          │
           alice │ message deleted by dave                  │
 09:43       bob │ poll: pizza or soup?                     │
                 │ an entry of a kind that this version     │
                 │ does not know (poll)                     │
 09:44     carol │ on it: https://ci.lan/run/88 (edited)  ✓ │
                 │ on it now                              ✗ │
                 │ your message of 09:44 was not changed:   │
                 │ You are muted until 10:00                │
                 │ delete bob's message of 09:41          ✗ │
                 │ not deleted: You are muted until 10:00   │
────────────────────────────────────────────────────────────┴───────────────────
 › type a message
 Alt-S send again   Alt-X take back   F1 help   Esc disconnect   Tab complete
",
    );
}

/// The rows of the screen that show messages.
fn rows(screen: &Screen, count: usize) -> String {
    let text = screen.text();
    let rows: Vec<&str> = text.lines().filter(|row| row.contains('│')).collect();
    rows[rows.len().saturating_sub(count)..].join("\n")
}

#[test]
fn numbers_are_shown_while_a_command_asks_for_one() {
    let mut screen = Screen::changed(60, 16);
    screen.typed("/delete #");
    let expected = r"
 #1        alice │ did the release build pass, and on all
                 │ of the machines? (edited)
 #2          bob │ yes: 214 tests
 09:42           │ message deleted
           alice │ message deleted by dave
 #5          bob │ poll: pizza or soup?
 #6              │ an entry of a kind that this version
                 │ does not know (poll)
 #7        carol │ on it: https://ci.lan/run/88 (edited)  ✓";
    assert_eq!(format!("\n{}", rows(&screen, 9)), expected);
    let mut screen = Screen::changed(40, 16);
    screen.typed("/edit");
    let text = screen.text();
    assert!(
        text.contains(" #5   bob │ poll: pizza or soup?\n"),
        "{text}"
    );
    let mut screen = Screen::entered(60, 12);
    let at = time("22T09:41:03");
    screen
        .entry(logged(123_456, at, "alice", "hello"))
        .entry(logged(123_457, at, "maximilian_van_der_berg", "hello"))
        .typed("/delete ");
    assert_eq!(
        rows(&screen, 2),
        " #123456   alice │ hello\n #123457 maximi… │ hello"
    );
    let mut screen = Screen::changed(30, 12);
    screen.typed("/delete");
    let text = screen.text();
    let heads: Vec<&str> = text.lines().filter(|row| row.contains('#')).collect();
    assert_eq!(
        heads[1..],
        [
            "bob                         #5",
            "carol                       #7"
        ]
    );
    screen.key(Key::plain(Code::Backspace));
    assert!(!screen.text().contains("#7"));
}

/// Nobody said it: it has neither a name nor a state, and breaks no run of a sender into two looks.
#[test]
fn what_happened_to_the_room_is_a_dim_row() {
    let screen = |width| {
        let mut screen = Screen::entered(width, 12);
        let at = time("22T09:41:00");
        screen
            .entry(happened(1, at, "carol", "carol made the room"))
            .entry(logged(2, at, "carol", "hello"))
            .entry(happened(3, at, "carol", "carol invited dave"))
            .entry(happened(4, at, "dave", "dave joined"))
            .entry(logged(5, at, "dave", "thanks"));
        screen
    };
    screen(60).check(
        r"
 #lobby  welcome to …  3 here  localhost:10500  ● encrypted

 ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ history begins here ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄
 ─────────────────── Sunday 22 November ───────────────────
 09:41           │ carol made the room
           carol │ hello                                  ✓
                 │ carol invited dave
                 │ dave joined
            dave │ thanks
────────────────────────────────────────────────────────────
 › type a message
 F1 help   Esc disconnect   Tab complete
",
    );
    screen(30).check(
        r"
#lobby     3 here  ● encrypted
───── Sunday 22 November ─────
 carol made the room
carol
 hello                       ✓
 carol invited dave
 dave joined
dave
 thanks
──────────────────────────────
› type a message
F1 help   Esc disconnect
",
    );
    let screen = screen(60);
    let (buffer, _) = screen.buffer();
    let palette = Palette::new(Depth::Many, Ground::Dark);
    let row = (0..12).find(|row| {
        let row = (0..60).map(|column| buffer[(column, *row)].symbol());
        row.collect::<String>().contains("dave joined")
    });
    let row = row.unwrap();
    let text = (0..60).find(|column| buffer[(*column, row)].symbol() == "d");
    assert_eq!(Some(buffer[(text.unwrap(), row)].fg), palette.quiet.fg);
}
