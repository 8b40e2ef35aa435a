//! Screens as text, at usual sizes.

#![allow(
    clippy::unicode_not_nfc,
    reason = "a letter and its mark apart are to be drawn too"
)]

use std::time::Duration;

use super::{Screen, member, nickname};
use crate::{
    client::event::{ConnectionStatus, Delivery, Event},
    protocol::{
        Extent, ReadState, RoomId, RoomInfo, RoomName,
        frame::{Reset, RoomStart},
    },
    text::Line,
    tui::{
        app::Msg,
        key::{Code, Key},
    },
};

#[test]
fn a_tiny_screen_still_chats() {
    let screen = Screen::conversation(20, 5);
    screen.check(
        r"
#lobby   ● encrypted
carol
 on it             ✓
 tagged            …
› type a message
",
    );
}

#[test]
fn a_small_screen_has_who_and_what() {
    let screen = Screen::conversation(40, 12);
    screen.check(
        r"
 #lobby    localhost:10500  ● encrypted
      bob │ log:
          │ https://ci.lan/run/88
          │ dave left (connection
          │ lost) · 春子 joined
     春子 │ おはよう 👩‍👩‍👧‍👦 é
    alice ┃ @carol can you tag it?
    carol │ on it                     ✓
          │ tagged                    …
────────────────────────────────────────
 › type a message
 F1 help   Esc disconnect
",
    );
}

#[test]
fn a_usual_screen_has_when_and_the_members_too() {
    let screen = Screen::conversation(80, 24);
    screen.check(
        r"
 #lobby  welcome to the lab                        localhost:10500  ● encrypted
                                                            │ Members 4
                                                            │ ● alice
                                                            │ ● bob
                                                            │ ● carol you
                                                            │ ● 春子
                                                            │
                                                            │
                                                            │
 ────────────────── Saturday 21 November ────────────────── │
 18:30       bob │ see you tomorrow                         │
 ─────────────────── Sunday 22 November ─────────────────── │
 09:41     alice │ morning! did the release build pass?     │
             bob │ yes: 214 tests, 0 failures               │
 09:42           │ log: https://ci.lan/run/88               │
                 │ dave left (connection lost) · 春子       │
                 │ joined                                   │
 09:43      春子 │ おはよう 👩‍👩‍👧‍👦 é                            │
 09:44     alice ┃ @carol can you tag it?                   │
           carol │ on it                                  ✓ │
                 │ tagged                                 … │
────────────────────────────────────────────────────────────┴───────────────────
 › type a message
 F1 help   Esc disconnect   Tab complete   Alt-Enter new line   Ctrl-F search
",
    );
}

#[test]
fn a_large_screen_has_more_of_it() {
    let screen = Screen::conversation(100, 30);
    screen.check(
        r"
 #lobby  welcome to the lab                                            localhost:10500  ● encrypted
                                                                                │ Members 4
                                                                                │ ● alice
                                                                                │ ● bob
                                                                                │ ● carol you
                                                                                │ ● 春子
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
 ──────────────────────────── Saturday 21 November ──────────────────────────── │
 18:30         bob │ see you tomorrow                                           │
 ───────────────────────────── Sunday 22 November ───────────────────────────── │
 09:41       alice │ morning! did the release build pass?                       │
               bob │ yes: 214 tests, 0 failures                                 │
 09:42             │ log: https://ci.lan/run/88                                 │
                   │ dave left (connection lost) · 春子 joined                  │
 09:43        春子 │ おはよう 👩‍👩‍👧‍👦 é                                              │
 09:44       alice ┃ @carol can you tag it?                                     │
             carol │ on it                                                    ✓ │
                   │ tagged                                                   … │
────────────────────────────────────────────────────────────────────────────────┴───────────────────
 › type a message
 F1 help   Esc disconnect   Tab complete   Alt-Enter new line   Ctrl-F search   PgUp scroll
",
    );
}

#[test]
fn a_huge_screen_is_not_torn_apart() {
    let screen = Screen::conversation(200, 60);
    screen.check(
        r"
 #lobby  welcome to the lab                                                                                                                                                localhost:10500  ● encrypted
                                                                                                                                            │ Members 4
                                                                                                                                            │ ● alice
                                                                                                                                            │ ● bob
                                                                                                                                            │ ● carol you
                                                                                                                                            │ ● 春子
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
                                                                                                                                            │
                                                                                                                                            │
                                                                                                                                            │
                                                                                                                                            │
                                                                                                                                            │
                                                                                                                                            │
                                                                                                                                            │
 ────────────────────────────────────────────────────────── Saturday 21 November ────────────────────────────────────────────────────────── │
 18:30            bob │ see you tomorrow                                                                                                    │
 ─────────────────────────────────────────────────────────── Sunday 22 November ─────────────────────────────────────────────────────────── │
 09:41          alice │ morning! did the release build pass?                                                                                │
                  bob │ yes: 214 tests, 0 failures                                                                                          │
 09:42                │ log: https://ci.lan/run/88                                                                                          │
                      │ dave left (connection lost) · 春子 joined                                                                           │
 09:43           春子 │ おはよう 👩‍👩‍👧‍👦 é                                                                                                       │
 09:44          alice ┃ @carol can you tag it?                                                                                              │
                carol │ on it                                                                                                             ✓ │
                      │ tagged                                                                                                            … │
────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────┴───────────────────────────────────────────────────────────
 › type a message
 F1 help   Esc disconnect   Tab complete   Alt-Enter new line   Ctrl-F search   PgUp scroll
",
    );
}

#[test]
fn the_first_screen_says_what_is_going_on() {
    let screen = Screen::new(60, 10);
    screen.check(
        r"
 #lobby                       localhost:10500  ◌ connecting





 ◌ Connecting to localhost:10500 …
────────────────────────────────────────────────────────────
 › type a message; it is sent once connected
 Ctrl-R connect now   F1 help   Esc disconnect
",
    );
}

#[test]
fn a_failed_attempt_is_told_with_the_time_to_the_next() {
    let screen = {
        let mut screen = Screen::new(60, 10);
        screen.heard(Event::Connection(ConnectionStatus::Waiting {
            why: Line::inert("Nothing is listening on localhost:10500"),
            retry_in: Duration::from_millis(3500),
        }));
        screen
    };
    screen.check(
        r"
 #lobby                          localhost:10500  ○ offline




 ✗ Nothing is listening on localhost:10500. Trying again in
   4 s; Ctrl-R tries now.
────────────────────────────────────────────────────────────
 › type a message; it is sent once connected
 Ctrl-R connect now   F1 help   Esc disconnect
",
    );
}

#[test]
fn a_tiny_screen_counts_down_too() {
    let screen = {
        let mut screen = Screen::new(20, 5);
        screen.heard(Event::Connection(ConnectionStatus::Waiting {
            why: Line::inert("Nothing is listening on localhost:10500"),
            retry_in: Duration::from_millis(3500),
        }));
        screen
    };
    screen.check(
        r"
#lobby     ○ offline


✗ Again in 4 s
› type a message
",
    );
}

#[test]
fn a_nickname_in_use_is_asked_about_in_place() {
    let screen = {
        let mut screen = Screen::new(60, 8);
        screen.heard(Event::NicknameRefused {
            nickname: nickname("carol"),
            why: Line::inert("Nickname already in use"),
            waiting: true,
        });
        screen
    };
    screen.check(
        r"
 #lobby                       localhost:10500  ○ not joined




 ? Nickname already in use: carol. Choose another nickname.
 › carol
 Enter try it   Esc disconnect   Ctrl-U clear it
",
    );
}

#[test]
fn a_lost_link_keeps_the_conversation_and_dims_the_members() {
    let screen = {
        let mut screen = Screen::conversation(80, 16);
        screen.heard(Event::Connection(ConnectionStatus::Waiting {
            why: Line::inert("The connection was lost."),
            retry_in: Duration::from_secs(2),
        }));
        screen
    };
    screen.check(
        r"
 #lobby  welcome to the lab                          localhost:10500  ○ offline
 18:30       bob │ see you tomorrow                         │ Members 4
 ─────────────────── Sunday 22 November ─────────────────── │ ○ alice
 09:41     alice │ morning! did the release build pass?     │ ○ bob
             bob │ yes: 214 tests, 0 failures               │ ○ carol you
 09:42           │ log: https://ci.lan/run/88               │ ○ 春子
                 │ dave left (connection lost) · 春子       │
                 │ joined                                   │
 09:43      春子 │ おはよう 👩‍👩‍👧‍👦 é                            │
 09:44     alice ┃ @carol can you tag it?                   │
           carol │ on it                                  ✓ │
                 │ tagged                                 … │
 ✗ The connection was lost. Trying again in 2 s; Ctrl-R tries now.
────────────────────────────────────────────────────────────────────────────────
 › type a message; it is sent once connected
 Ctrl-R connect now   Alt-X take back   F1 help   Esc disconnect   Tab complete
",
    );
}

#[test]
fn a_failed_message_says_why_and_what_to_do() {
    let screen = {
        let mut screen = Screen::entered(60, 10);
        let why = Line::inert("There is no room #ops");
        screen
            .sending(1, "is anybody there?", Delivery::Pending)
            .sending(1, "is anybody there?", Delivery::Failed { why })
            .sending(2, "next", Delivery::Pending);
        screen
    };
    screen.check(
        r"
 #lobby  welcome to …  3 here  localhost:10500  ● encrypted



           carol │ is anybody there?                      ✗
                 │ not sent: There is no room #ops
                 │ next                                   …
────────────────────────────────────────────────────────────
 › type a message
 Alt-S send again   Alt-X take back   F1 help
",
    );
}

#[test]
fn a_message_that_is_not_saved_yet_is_below_the_saved_ones() {
    let screen = {
        let mut screen = Screen::entered(60, 10);
        for c in "still being saved".chars() {
            screen.key(Key::plain(Code::Char(c)));
        }
        screen
            .key(Key::plain(Code::Enter))
            .sending(1, "on its way", Delivery::Pending);
        screen
    };
    screen.check(
        r"
 #lobby  welcome to …  3 here  localhost:10500  ● encrypted




           carol │ on its way                             …
                 │ still being saved                      ·
────────────────────────────────────────────────────────────
 › type a message
 F1 help   Esc disconnect   Tab complete
",
    );
}

#[test]
fn a_view_scrolled_back_tells_what_is_new_below() {
    let screen = {
        let mut screen = Screen::conversation(60, 10);
        screen
            .key(Key::plain(Code::PageUp))
            .message("22T09:45:00", "bob", "one")
            .message("22T09:45:10", "bob", "two");
        screen
    };
    screen.check(
        r"
 #lobby  welcome to …  4 here  localhost:10500  ● encrypted
 18:30       bob │ see you tomorrow
 ─────────────────── Sunday 22 November ───────────────────
 09:41     alice │ morning! did the release build pass?
             bob │ yes: 214 tests, 0 failures
 09:42           │ log: https://ci.lan/run/88
                 │ dave left (connection lost) · 春子
──────────────────────────────────────── 2 new below · End ─
 › type a message
 F1 help   Esc back to the end   Tab complete
",
    );
}

#[test]
fn a_tiny_screen_scrolled_back_says_so_on_a_row_of_its_own() {
    let screen = {
        let mut screen = Screen::conversation(20, 6);
        screen
            .key(Key::plain(Code::PageUp))
            .message("22T09:45:00", "bob", "one");
        screen
    };
    screen.check(
        r"
#lobby   ● encrypted
 おはよう 👩‍👩‍👧‍👦 é
alice
 @carol can you tag
─ 1 new below · End
› type a message
",
    );
}

#[test]
fn the_unread_stand_below_a_line() {
    let screen = {
        let mut screen = Screen::conversation(60, 12);
        screen.desk.msg(Msg::Focus(false));
        screen
            .message("22T09:44:50", "bob", "one")
            .message("22T09:45:10", "bob", "two");
        screen
    };
    screen.check(
        r"
 #lobby  welcome to …  4 here  localhost:10500  ● encrypted
 09:42           │ joined
 09:43      春子 │ おはよう 👩‍👩‍👧‍👦 é
 09:44     alice ┃ @carol can you tag it?
           carol │ on it                                  ✓
 ───────────────────── 2 new messages ─────────────────────
 09:44       bob │ one
 09:45           │ two
           carol │ tagged                                 …
────────────────────────────────────────────────────────────
 › type a message
 F1 help   Esc disconnect   Tab complete
",
    );
}

#[test]
fn missing_messages_and_another_log_are_marked() {
    let screen = {
        let mut screen = Screen::entered(60, 10);
        screen.numbered(1, "one").numbered(5, "five");
        let part = screen.desk.asked().unwrap();
        screen
            .heard(Event::Page {
                room: RoomId::LOBBY,
                part,
                page: Err(Line::inert("the server is busy")),
            })
            .heard(Event::Room(Box::new(RoomStart {
                changed: 0,
                redacted: 0,
                room: RoomId::LOBBY,
                info: RoomInfo::public(RoomName::lobby()),
                read: ReadState::default(),
                extent: Extent::new(1, 1),
                next: 1,
                reset: Some(Reset::Epoch),
            })))
            .numbered(1, "anew");
        screen
    };
    screen.check(
        r"
 #lobby                3 here  localhost:10500  ● encrypted
 ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ 3 messages no longer kept ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄
 09:45       bob │ five
                 ┊ the server's history was reset: it
                 ┊ begins here
 ───────────────────── 1 new message ──────────────────────
 09:45       bob │ anew
────────────────────────────────────────────────────────────
 › type a message
 F1 help   Esc disconnect   Tab complete
",
    );
}

#[test]
fn a_large_paste_is_asked_about() {
    let screen = {
        let mut screen = Screen::entered(60, 10);
        screen.key(Key::ctrl(Code::Char('c')));
        screen.typed(&"a line of a log\n".repeat(30));
        screen
    };
    screen.check(
        r"
 #lobby  welcome to …  3 here  localhost:10500  ● encrypted


                      No messages yet.


 ? Insert the pasted text: 30 lines, 1 KiB?
────────────────────────────────────────────────────────────
 › type a message
 Enter insert it   Esc discard it
",
    );
}

#[test]
fn a_host_is_asked_about_the_server() {
    let screen = {
        let mut screen = Screen::entered(60, 12);
        screen.desk.model.hosting = true;
        screen.key(Key::plain(Code::Esc));
        screen
    };
    screen.check(
        r"
 #lobby  welcome to …  3 here  localhost:10500  ● encrypted



                      No messages yet.


 ? 2 others are still here, on the server that you host.
   Keep it running (K), or end it (E)?
────────────────────────────────────────────────────────────
 › type a message
 K keep it running   E end it   Esc stay
",
    );
}

#[test]
fn a_draft_grows_and_the_conversation_gives_way() {
    let screen = {
        let mut screen = Screen::conversation(60, 12);
        screen.typed("first line\nsecond line\nthird\nfourth\nfifth");
        screen
    };
    screen.check(
        r"
 #lobby  welcome to …  4 here  localhost:10500  ● encrypted
 09:42           │ joined
 09:43      春子 │ おはよう 👩‍👩‍👧‍👦 é
 09:44     alice ┃ @carol can you tag it?
           carol │ on it                                  ✓
                 │ tagged                                 …
────────────────────────────────────────────────────────────
 › second line
   third
   fourth
   fifth
 F1 help   Esc put aside   Tab complete
",
    );
}

#[test]
fn completions_are_offered_in_the_last_line() {
    let screen = {
        let mut screen = Screen::conversation(60, 10);
        screen.heard(Event::Joined {
            room: RoomId::LOBBY,
            member: member("bert"),
        });
        screen.typed("b").key(Key::plain(Code::Tab));
        screen
    };
    screen.check(
        r"
 #lobby  welcome to …  5 here  localhost:10500  ● encrypted
 09:42           │ joined
 09:43      春子 │ おはよう 👩‍👩‍👧‍👦 é
 09:44     alice ┃ @carol can you tag it?
           carol │ on it                                  ✓
 09:00           │ bert joined
           carol │ tagged                                 …
────────────────────────────────────────────────────────────
 › bert:
 bert  bob
",
    );
}

#[test]
fn help_is_whole_on_a_small_screen_too() {
    let screen = {
        let mut screen = Screen::entered(40, 12);
        screen.key(Key::plain(Code::F(1)));
        screen
    };
    screen.check(
        r"
 #lobby    localhost:10500  ● encrypted
 Talk
 Enter           send
 Alt-Enter       new line
 Tab             complete a name or /
                 command
 Shift-Tab       the completion before
 Up              row up, or sent before
 Down            row down, or sent
────────────────────────────────────────
 › type a message
 Esc close   PgDn more
",
    );
    let screen = {
        let mut screen = Screen::entered(20, 8);
        screen.key(Key::plain(Code::F(1)));
        screen
    };
    screen.check(
        r"
#lobby   ● encrypted
Talk
Enter
  send
Alt-Enter
  new line
› type a message
Esc close
",
    );
}

#[test]
fn help_comes_from_the_tables() {
    let screen = {
        let mut screen = Screen::entered(60, 14);
        screen.key(Key::plain(Code::F(1)));
        screen
    };
    screen.check(
        r"
 #lobby  welcome to …  3 here  localhost:10500  ● encrypted
 Talk
 Enter                send
 Alt-Enter  Shift-Enter  Ctrl-J
                      new line
 Tab                  complete a name or /command
 Shift-Tab            the completion before
 Up                   row up, or sent before
 Down                 row down, or sent after
 Alt-S                send again what failed
 Alt-X                take back what is not sent
────────────────────────────────────────────────────────────
 › type a message
 Esc close   PgDn more
",
    );
}
