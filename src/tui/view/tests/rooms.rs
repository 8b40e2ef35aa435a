//! Screens with several rooms.

use ratatui::style::Modifier;

use super::{Depth, Ground, Palette, Screen, member, time};
use crate::{
    protocol::{NotifyLevel, Preferences},
    tui::key::{Code, Key},
};

/// The lobby on a morning, and five other rooms.
fn rooms(width: u16, height: u16) -> Screen {
    let mut screen = Screen::entered(width, height);
    let said = [
        ("09:41:03", "alice", "morning! did the release build pass?"),
        ("09:41:40", "bob", "yes: 214 tests, 0 failures"),
        ("09:42:08", "bob", "the log: https://ci.lan/run/88"),
        (
            "09:43:30",
            "alice",
            "wonderful 🎉 then let's tag it before lunch",
        ),
        (
            "09:44:10",
            "dave",
            "wait, one open: the importer chokes on 日本語 names. Two lines and a test, give me ten \
             minutes",
        ),
        (
            "09:46:00",
            "bob",
            "no rush. @carol can you tag it once dave is done?",
        ),
        ("09:46:20", "carol", "on it"),
        ("09:58:00", "dave", "fixed"),
    ];
    for (seq, (at, who, text)) in (1..).zip(said) {
        screen
            .desk
            .hears_in("lobby", seq, time(&format!("22T{at}")), who, text);
    }
    for (name, at) in [
        ("build", "08:00:00"),
        ("ops", "08:10:00"),
        ("random", "08:20:00"),
        ("bob", "08:30:00"),
        ("off-topic", "08:40:00"),
    ] {
        screen.desk.opens_room(name, 0);
        screen
            .desk
            .hears_in(name, 1, time(&format!("22T{at}")), "carol", "hello");
    }
    for seq in 2..=5 {
        let at = time("22T10:02:00");
        screen
            .desk
            .hears_in("build", seq, at, "gitea", "run 89 passed");
    }
    let at = time("22T09:50:00");
    screen
        .desk
        .hears_in("ops", 2, at, "erin", "@carol the nas is at 91 %")
        .hears_in("bob", 2, at, "bob", "got a minute?")
        .hears_in("off-topic", 2, at, "erin", "has anybody seen the film?");
    screen.desk.talks_with("bob");
    let muted = Preferences {
        notify: NotifyLevel::Nothing,
        ..Preferences::default()
    };
    screen.desk.prefers("off-topic", muted);
    let draft = "did you see".to_owned();
    let _fits = screen.desk.pane_in("random").composer.set(&draft);
    screen
        .desk
        .members(&["carol", "alice", "bob", "dave", "erin"].map(member));
    screen
}

#[test]
fn a_large_screen_lists_rooms_above_members() {
    rooms(100, 30).check(
        r"
 #lobby  welcome to the lab                                            localhost:10500  ● encrypted
 @ bob       @1 │
 # ops       @1 │
 # build      4 │
▌# lobby        │
 # off-topic  — │
 # random     ✎ │
                │
 Members 5      │
 ● alice        │
 ● bob          │
 ● carol you    │
 ● dave         │
 ● erin         │
                │
                │
                │ ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ history begins here ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄
                │ ────────────────────────────── Sunday 22 November ───────────────────────────────
                │ 09:41    alice │ morning! did the release build pass?
                │            bob │ yes: 214 tests, 0 failures
                │ 09:42          │ the log: https://ci.lan/run/88
                │ 09:43    alice │ wonderful 🎉 then let's tag it before lunch
                │ 09:44     dave │ wait, one open: the importer chokes on 日本語 names. Two lines
                │                │ and a test, give me ten minutes
                │ 09:46      bob ┃ no rush. @carol can you tag it once dave is done?
                │          carol │ on it                                                          ✓
                │ 09:58     dave │ fixed
────────────────┴───────────────────────────────────────────────────────────────────────────────────
 › type a message
 Ctrl-G go to   F1 help   Esc disconnect   Tab complete   Alt-Enter new line   Ctrl-F search
",
    );
}

#[test]
fn a_usual_screen_has_a_hot_list() {
    rooms(80, 24).check(
        r"
 #lobby  welcome to the lab                5 here  localhost:10500  ● encrypted
 #lobby · bob @1 · #ops @1 · #build 4                                    Ctrl-G








 ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ history begins here ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄
 ───────────────────────────── Sunday 22 November ─────────────────────────────
 09:41   alice │ morning! did the release build pass?
           bob │ yes: 214 tests, 0 failures
 09:42         │ the log: https://ci.lan/run/88
 09:43   alice │ wonderful 🎉 then let's tag it before lunch
 09:44    dave │ wait, one open: the importer chokes on 日本語 names. Two
               │ lines and a test, give me ten minutes
 09:46     bob ┃ no rush. @carol can you tag it once dave is done?
         carol │ on it                                                        ✓
 09:58    dave │ fixed
────────────────────────────────────────────────────────────────────────────────
 › type a message
 Ctrl-G go to   F1 help   Esc disconnect   Tab complete   Alt-Enter new line
",
    );
}

#[test]
fn a_column_that_was_asked_for_replaces_the_hot_list() {
    let mut screen = rooms(80, 16);
    screen.key(Key::plain(Code::F(4)));
    screen.check(
        r"
 #lobby  welcome to the lab                        localhost:10500  ● encrypted
 @ bob       @1 │ 09:41     alice │ morning! did the release build pass?
 # ops       @1 │             bob │ yes: 214 tests, 0 failures
 # build      4 │ 09:42           │ the log: https://ci.lan/run/88
▌# lobby        │ 09:43     alice │ wonderful 🎉 then let's tag it before
 # off-topic  — │                 │ lunch
 # random     ✎ │ 09:44      dave │ wait, one open: the importer chokes on 日
 Members 5      │                 │ 本語 names. Two lines and a test, give me
 ● alice        │                 │ ten minutes
 ● bob          │ 09:46       bob ┃ no rush. @carol can you tag it once dave
 ● carol you    │                 ┃ is done?
 ● dave         │           carol │ on it                                     ✓
 ● erin         │ 09:58      dave │ fixed
────────────────┴───────────────────────────────────────────────────────────────
 › type a message
 Ctrl-G go to   F1 help   Esc disconnect   Tab complete   Alt-Enter new line
",
    );
}

#[test]
fn a_narrow_screen_counts_in_the_title() {
    rooms(40, 12).check(
        r"
 #lobby @2 4        5 here  ● encrypted
     dave │ wait, one open: the
          │ importer chokes on 日本語
          │ names. Two lines and a
          │ test, give me ten minutes
      bob ┃ no rush. @carol can you
          ┃ tag it once dave is done?
    carol │ on it                     ✓
     dave │ fixed
────────────────────────────────────────
 › type a message
 Ctrl-G go to   F1 help
",
    );
    rooms(20, 5).check(
        r"
#lobby @2 4        ●
 on it             ✓
dave
 fixed
› type a message
",
    );
}

#[test]
fn a_wide_screen_has_a_column_for_each() {
    rooms(132, 12).check(
        r"
 #lobby  welcome to the lab                                                                            localhost:10500  ● encrypted
 @ bob       @1 │ 09:41            bob │ yes: 214 tests, 0 failures                                             │ Members 5
 # ops       @1 │ 09:42                │ the log: https://ci.lan/run/88                                         │ ● alice
 # build      4 │ 09:43          alice │ wonderful 🎉 then let's tag it before lunch                            │ ● bob
▌# lobby        │ 09:44           dave │ wait, one open: the importer chokes on 日本語 names. Two lines and a   │ ● carol you
 # off-topic  — │                      │ test, give me ten minutes                                              │ ● dave
 # random     ✎ │ 09:46            bob ┃ no rush. @carol can you tag it once dave is done?                      │ ● erin
                │                carol │ on it                                                                ✓ │
                │ 09:58           dave │ fixed                                                                  │
────────────────┴───────────────────────────────────────────────────────────────────────────────────────────────┴───────────────────
 › type a message
 Ctrl-G go to   F1 help   Esc disconnect   Tab complete   Alt-Enter new line   Ctrl-F search   PgUp scroll
",
    );
}

#[test]
fn rooms_that_have_no_row_are_counted() {
    let mut screen = rooms(100, 12);
    for index in 1..=20 {
        screen
            .desk
            .opens_room(&format!("project-number-{index}"), 0);
    }
    screen.check(
        r"
 #lobby  welcome to the lab                                            localhost:10500  ● encrypted
 @ bob       @1 │ 09:41      bob │ yes: 214 tests, 0 failures
 # ops       @1 │ 09:42          │ the log: https://ci.lan/run/88
 # build      4 │ 09:43    alice │ wonderful 🎉 then let's tag it before lunch
▌# lobby        │ 09:44     dave │ wait, one open: the importer chokes on 日本語 names. Two lines
 # off-topic  — │                │ and a test, give me ten minutes
 … 21 more      │ 09:46      bob ┃ no rush. @carol can you tag it once dave is done?
 Members 5      │          carol │ on it                                                          ✓
 … 5 more       │ 09:58     dave │ fixed
────────────────┴───────────────────────────────────────────────────────────────────────────────────
 › type a message
 Ctrl-G go to   F1 help   Esc disconnect   Tab complete   Alt-Enter new line   Ctrl-F search
",
    );
}

/// One weight for each meaning: bold is unread and nothing else.
#[test]
fn the_name_of_a_room_is_bold_if_something_is_unread() {
    let screen = rooms(100, 30);
    let (buffer, _) = screen.buffer();
    let palette = Palette::new(Depth::Many, Ground::Dark);
    let bold = |row: u16| buffer[(3, row)].modifier.contains(Modifier::BOLD);
    let rows: Vec<_> = (1..=6).map(bold).collect();
    assert_eq!(rows, [true, true, true, false, false, false]);
    let color = |column, row| Some(buffer[(column, row)].fg);
    assert_eq!(color(13, 1), palette.mention.fg);
    assert_eq!(color(3, 5), palette.quiet.fg, "a muted room is dim");
}

#[test]
fn what_does_not_fit_into_the_hot_list_is_counted() {
    let mut screen = rooms(62, 12);
    for index in 1..=6 {
        let name = format!("project-{index}");
        screen.desk.opens_room(&name, 0);
        let at = time("22T10:03:00");
        screen.desk.hears_in(&name, 1, at, "erin", "has begun");
    }
    let text = screen.text();
    let hot = text.lines().nth(1).unwrap();
    assert_eq!(
        hot,
        " #lobby · bob @1 · #ops @1 · #project-1 1 · +6         Ctrl-G"
    );
}

/// The screen with the list to go somewhere, narrowed down by a text.
fn going(width: u16, height: u16, typed: &str) -> Screen {
    let mut screen = rooms(width, height);
    screen.key(Key::ctrl(Code::Char('g')));
    for c in typed.chars() {
        screen.key(Key::plain(Code::Char(c)));
    }
    screen
}

#[test]
fn the_list_to_go_somewhere_is_a_box() {
    going(100, 30, "").check(
        r"
 #lobby  welcome to the lab                                            localhost:10500  ● encrypted
 @ bob       @1 │
 # ops       @1 │
 # build      4 │
▌# lobby        │
 # off-topic  ┌ Go to ───────────────────────────────────────────────────────────────┐
 # random     │ › type a part of a name                                              │
              ├──────────────────────────────────────────────────────────────────────┤
 Members 5    │▌@ bob        1 for you  bob: got a minute?                     09:50 │
 ● alice      │ # ops        1 for you  erin: @carol the nas is at 91 %        09:50 │
 ● bob        │ # build      4 new      gitea: run 89 passed                   10:02 │
 ● carol you  │ # lobby                 dave: fixed                            09:58 │
 ● dave       │ # off-topic  —          muted                                  09:50 │
 ● erin       │ # random                carol: hello                           08:20 │
              │ @ alice                 write to them                                │
              │ @ dave                  write to them                                │
              │ @ erin                  write to them                                │┄┄┄┄┄┄┄┄┄┄┄┄┄
              ├──────────────────────────────────────────────────────────────────────┤─────────────
              │ # rooms  @ people  > commands                                        │
              └──────────────────────────────────────────────────────────────────────┘
                │ 09:42          │ the log: https://ci.lan/run/88
                │ 09:43    alice │ wonderful 🎉 then let's tag it before lunch
                │ 09:44     dave │ wait, one open: the importer chokes on 日本語 names. Two lines
                │                │ and a test, give me ten minutes
                │ 09:46      bob ┃ no rush. @carol can you tag it once dave is done?
                │          carol │ on it                                                          ✓
                │ 09:58     dave │ fixed
────────────────┴───────────────────────────────────────────────────────────────────────────────────
 › type a message
 Enter go there   Esc back   Down next   Up previous
",
    );
}

#[test]
fn the_box_keeps_its_size_as_one_types() {
    going(80, 24, "bu").check(
        r"
 #lobby  welcome to the lab                5 here  localhost:10500  ● encrypted
 #lobby · bob @1 · #ops @1 · #build 4                                    Ctrl-G

    ┌ Go to ───────────────────────────────────────────────────────────────┐
    │ › bu                                                                 │
    ├──────────────────────────────────────────────────────────────────────┤
    │▌# build  4 new  gitea: run 89 passed                           10:02 │
    │                                                                      │
    │                                                                      │
    │                                                                      │
 ┄┄┄│                                                                      │┄┄┄
 ───│                                                                      │───
 09:│                                                                      │
    │                                                                      │
 09:│                                                                      │
 09:├──────────────────────────────────────────────────────────────────────┤
 09:│ # rooms  @ people  > commands                                        │
    └──────────────────────────────────────────────────────────────────────┘
 09:46     bob ┃ no rush. @carol can you tag it once dave is done?
         carol │ on it                                                        ✓
 09:58    dave │ fixed
────────────────────────────────────────────────────────────────────────────────
 › type a message
 Enter go there   Esc back   Down next   Up previous
",
    );
}

#[test]
fn commands_are_listed_after_their_sign() {
    going(80, 24, ">un").check(
        r"
 #lobby  welcome to the lab                5 here  localhost:10500  ● encrypted
 #lobby · bob @1 · #ops @1 · #build 4                                    Ctrl-G

    ┌ Go to ───────────────────────────────────────────────────────────────┐
    │ › >un                                                                │
    ├──────────────────────────────────────────────────────────────────────┤
    │▌> /unfold                     show all of a long message             │
    │ > /unarchive                  let people write in it again           │
    │ > /unignore NAME              stop ignoring a user                   │
    │ > /unban NAME                 lift a ban                             │
 ┄┄┄│ > /unmute NAME                lift a mute                            │┄┄┄
 ───│ > /mark read|unread|all       mark rooms as read or unread           │───
 09:│ > /mute NAME [TIME] [REASON]  refuse a user's messages               │
    │ > /announce on|off            let only moderators write              │
 09:│ > /audit [NUMBER]             list admin actions, newest first       │
 09:├──────────────────────────────────────────────────────────────────────┤
 09:│ # rooms  @ people  > commands                                        │
    └──────────────────────────────────────────────────────────────────────┘
 09:46     bob ┃ no rush. @carol can you tag it once dave is done?
         carol │ on it                                                        ✓
 09:58    dave │ fixed
────────────────────────────────────────────────────────────────────────────────
 › type a message
 Enter go there   Esc back   Down next   Up previous
",
    );
}

#[test]
fn on_a_narrow_screen_the_list_is_a_view_of_its_own() {
    going(40, 12, "").check(
        r"
 Go to
 › type a part of a name
▌@ bob        @1  bob: got a minute?
 # ops        @1  erin: @carol the nas…
 # build      4   gitea: run 89 passed
 # lobby          dave: fixed
 # off-topic  —   muted
 # random         carol: hello
 @ alice          write to them
 @ dave           write to them
 # rooms  @ people  > commands
 Enter go there   Esc back   Down next
",
    );
}

#[test]
fn on_a_tiny_screen_the_list_is_all_there_is() {
    going(20, 5, "").check(
        r"
 › type a part of …
▌@ bob    @1
 # ops    @1
 # build  4
 # lobby
",
    );
}

#[test]
fn a_name_that_nobody_has_finds_nothing() {
    going(40, 8, "zzz").check(
        r"
 Go to
 › zzz
 Nothing has such a name




 Enter go there   Esc back   Down next
",
    );
}

/// What is behind the box is quiet, and nothing there is bold; the cursor is in the box.
#[test]
fn the_conversation_behind_the_box_is_dimmed() {
    let screen = going(100, 30, "bu");
    let (buffer, cursor) = screen.buffer();
    let palette = Palette::new(Depth::Many, Ground::Dark);
    for (column, row) in [(1, 0), (3, 1), (13, 1), (20, 25)] {
        let cell = &buffer[(column, row)];
        assert_eq!(Some(cell.fg), palette.quiet.fg, "{column} {row}");
        assert!(!cell.modifier.contains(Modifier::BOLD), "{column} {row}");
    }
    let (column, row) = cursor.unwrap();
    assert_eq!(buffer[(column - 1, row)].symbol(), "u");
}

#[test]
fn a_long_text_in_the_list_shows_the_part_before_the_cursor() {
    let screen = going(20, 5, "a text that is much longer than the row");
    let text = screen.text();
    assert!(text.starts_with(" › er than the row\n"), "{text}");
}
