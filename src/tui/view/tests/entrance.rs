//! Screens before joining, at usual sizes.

use super::Screen;
use crate::{
    client::event::{
        ConnectionStatus, CredentialWanted, Event, ExplanationPart, Security, VerifiedBy,
    },
    protocol::Fingerprint,
    text::Line,
    tui::key::{Code, Key},
};

fn stopped(width: u16, height: u16, wants: Option<CredentialWanted>, why: &str) -> Screen {
    let mut screen = Screen::new(width, height);
    let why = Line::inert(why);
    screen.heard(Event::Connection(ConnectionStatus::Stopped {
        why,
        brief: "Not let in!",
        wants,
    }));
    screen
}

fn password(width: u16, height: u16) -> Screen {
    let why = "This server wants a password from whoever comes for the first time";
    let mut screen = stopped(width, height, Some(CredentialWanted::Password), why);
    screen.typed("correct horse");
    screen
}

fn changed(width: u16, height: u16) -> Screen {
    let mut screen = Screen::new(width, height);
    let (before, now) = (
        Fingerprint::from_bytes([0xa7; 32]),
        Fingerprint::from_bytes([0x3c; 32]),
    );
    let words = |text: &str| ExplanationPart::Words(Line::inert(text));
    let key = |label: &str, key| ExplanationPart::Key {
        label: Line::inert(label),
        key,
    };
    let command = format!("chat-tui --trust {now} localhost 10500 carol 3");
    screen.heard(Event::Distrusted(vec![
        words(
            "localhost:10500 has another key than before. Either it was set up anew, or somebody \
             else answers in its place and would read all that is said.",
        ),
        key("Its key since 2026-11-02", before),
        key("The key offered now", now),
        words(
            "Ask whoever runs it, by another way than this chat, which key it shows when it \
             starts. If that is the one offered now, this command accepts it:",
        ),
        ExplanationPart::Command(Line::inert(&command)),
    ]));
    let why = "localhost:10500 has another key than before, so nothing was sent to it";
    screen.heard(Event::Connection(ConnectionStatus::Stopped {
        brief: "Another key!",
        why: Line::inert(why),
        wants: None,
    }));
    screen
}

#[test]
fn a_password_is_drawn_as_dots() {
    password(100, 30).check(
        r"
 #lobby                                                               localhost:10500  ○ not joined
























 ? This server wants a password from whoever comes for the first time. What is the password? It is
   not shown.
────────────────────────────────────────────────────────────────────────────────────────────────────
 › •••••••••••••
 Enter try it   Esc cancel   Ctrl-U clear it
",
    );
}

#[test]
fn a_password_is_drawn_as_dots_on_a_usual_screen() {
    password(80, 24).check(
        r"
 #lobby                                           localhost:10500  ○ not joined


















 ? This server wants a password from whoever comes for the first time. What is
   the password? It is not shown.
────────────────────────────────────────────────────────────────────────────────
 › •••••••••••••
 Enter try it   Esc cancel   Ctrl-U clear it
",
    );
}

#[test]
fn a_password_is_drawn_as_dots_on_a_small_screen() {
    password(40, 12).check(
        r"
 #lobby   localhost:10500  ○ not joined





 ? This server wants a password from
   whoever comes for the first time.
   Password?
────────────────────────────────────────
 › •••••••••••••
 Enter try it   Esc cancel
",
    );
}

#[test]
fn a_password_is_drawn_as_dots_on_a_tiny_screen() {
    let screen = password(20, 5);
    screen.check(
        r"
#lobby  ○ not joined


? Password?
› •••••••••••••
",
    );
    let (_, cursor) = screen.buffer();
    assert_eq!(cursor, Some((15, 4)), "behind the last dot");
}

#[test]
fn an_invite_is_asked_for() {
    let why = "Only people who are invited come in here from elsewhere";
    stopped(80, 12, Some(CredentialWanted::Invite), why).check(
        r"
 #lobby                                           localhost:10500  ○ not joined






 ? Only people who are invited come in here from elsewhere. Paste an invite, or
   type the code that another device of yours shows after /device add.
────────────────────────────────────────────────────────────────────────────────
 › paste an invite, or type a code
 Enter try it   Esc cancel   Ctrl-U clear it
",
    );
}

#[test]
fn an_invite_is_asked_for_on_a_small_screen() {
    let why = "Only people who are invited come in here from elsewhere";
    stopped(40, 12, Some(CredentialWanted::Invite), why).check(
        r"
 #lobby   localhost:10500  ○ not joined






 ? Only people who are invited come in
   here from elsewhere. Invite or code?
────────────────────────────────────────
 › paste an invite, or type a code
 Enter try it   Esc cancel
",
    );
}

#[test]
fn an_invite_is_asked_for_on_a_tiny_screen() {
    let why = "Only people who are invited come in here from elsewhere";
    stopped(20, 5, Some(CredentialWanted::Invite), why).check(
        r"
#lobby  ○ not joined


? Invite or code?
› invite or code
",
    );
}

#[test]
fn a_banned_user_is_told_so() {
    let why = "You are banned from this server until 2026-11-29 09:30 UTC: too loud";
    stopped(60, 10, None, why).check(
        r"
 #lobby                          localhost:10500  ○ offline




 ✗ You are banned from this server until 2026-11-29 09:30:
   too loud. Ctrl-R tries again.
────────────────────────────────────────────────────────────
 › type a message; it is sent once connected
 Ctrl-R connect now   F1 help   Esc disconnect
",
    );
}

#[test]
fn a_changed_key_is_explained_where_it_can_be_read() {
    changed(100, 30).check(
        r"
 #lobby                                                                  localhost:10500  ○ offline








 ─────────────────────────────────────── Sunday 22 November ───────────────────────────────────────
 09:45                │ localhost:10500 has another key than before. Either it was set up anew,
                      │ or somebody else answers in its place and would read all that is said.
                      │ Its key since 2026-11-02:
                      │   u6t2-pj5h-u6t2-pj5h
                      │   u6t2-pj5h-u6t2-pj5h
                      │   u6t2-pj5h-u6t2-pj5h
                      │   u6tq
                      │ The key offered now:
                      │   hq6d-ypb4-hq6d-ypb4
                      │   hq6d-ypb4-hq6d-ypb4
                      │   hq6d-ypb4-hq6d-ypb4
                      │   hq6a
                      │ Ask whoever runs it, by another way than this chat, which key it shows
                      │ when it starts. If that is the one offered now, this command accepts it:
 chat-tui --trust hq6d-ypb4-hq6d-ypb4-hq6d-ypb4-hq6d-ypb4-hq6d-ypb4-hq6d-ypb4-hq6a localhost 10500
 carol 3
 ✗ localhost:10500 has another key than before, so nothing was sent to it. Ctrl-R tries again.
────────────────────────────────────────────────────────────────────────────────────────────────────
 › type a message; it is sent once connected
 Ctrl-R connect now   Alt-C copy   F1 help   Esc disconnect   Tab complete   Alt-Enter new line
",
    );
}

#[test]
fn a_changed_key_is_explained_on_a_usual_screen() {
    changed(80, 24).check(
        r"
 #lobby                                              localhost:10500  ○ offline
 09:45             │ localhost:10500 has another key than before. Either it
                   │ was set up anew, or somebody else answers in its place
                   │ and would read all that is said.
                   │ Its key since 2026-11-02:
                   │   u6t2-pj5h-u6t2-pj5h
                   │   u6t2-pj5h-u6t2-pj5h
                   │   u6t2-pj5h-u6t2-pj5h
                   │   u6tq
                   │ The key offered now:
                   │   hq6d-ypb4-hq6d-ypb4
                   │   hq6d-ypb4-hq6d-ypb4
                   │   hq6d-ypb4-hq6d-ypb4
                   │   hq6a
                   │ Ask whoever runs it, by another way than this chat,
                   │ which key it shows when it starts. If that is the one
                   │ offered now, this command accepts it:
 chat-tui --trust hq6d-ypb4-hq6d-ypb4-hq6d-ypb4-hq6d-ypb4-hq6d-ypb4-hq6d-ypb4-h
 q6a localhost 10500 carol 3
 ✗ localhost:10500 has another key than before, so nothing was sent to it.
   Ctrl-R tries again.
────────────────────────────────────────────────────────────────────────────────
 › type a message; it is sent once connected
 Ctrl-R connect now   Alt-C copy   F1 help   Esc disconnect   Tab complete
",
    );
}

#[test]
fn a_changed_key_is_explained_on_a_small_screen() {
    changed(40, 12).check(
        r"
 #lobby      localhost:10500  ○ offline
          │ localhost:10500 has
          │ another key than before.
          │ Either it was set up
          │ anew, or somebody else
          │ answers in its place and
 ✗ localhost:10500 has another key than
   before, so nothing was sent to it.
   Ctrl-R tries again.
───────────────────── more below · End ─
 › type a message
 Ctrl-R connect now   F1 help
",
    );
}

#[test]
fn the_command_that_accepts_another_key_is_offered_where_it_is_shown() {
    let mut screen = changed(40, 12);
    screen.key(Key::ctrl(Code::End));
    screen.check(
        r"
 #lobby      localhost:10500  ○ offline
          │ is the one offered now,
          │ this command accepts it:
 chat-tui --trust hq6d-ypb4-hq6d-ypb4-h
 q6d-ypb4-hq6d-ypb4-hq6d-ypb4-hq6d-ypb4
 -hq6a localhost 10500 carol 3
 ✗ localhost:10500 has another key than
   before, so nothing was sent to it.
   Ctrl-R tries again.
────────────────────────────────────────
 › type a message
 Ctrl-R connect now   Alt-C copy
",
    );
}

#[test]
fn a_changed_key_is_explained_on_a_tiny_screen() {
    changed(20, 5).check(
        r"
#lobby     ○ offline
 localhost:10500
── more below · End
✗ Another key!
› type a message
",
    );
}

#[test]
fn a_new_server_is_told_with_its_key() {
    let screen = {
        let mut screen = Screen::new(60, 16);
        screen.desk.is_on("chat.lan:10500");
        screen.heard(Event::Security(Security::Encrypted {
            verified_by: VerifiedBy::FirstUse,
            fingerprint: Fingerprint::from_bytes([0xa7; 32]),
        }));
        screen.heard(Event::Connection(ConnectionStatus::Online));
        screen
    };
    screen.check(
        r"
 #lobby                         chat.lan:10500  ● encrypted

 ─────────────────── Sunday 22 November ───────────────────
 09:45           │ First connection to chat.lan:10500.
                 │ From now on it must have this key:
                 │   u6t2-pj5h-u6t2-pj5h
                 │   u6t2-pj5h-u6t2-pj5h
                 │   u6t2-pj5h-u6t2-pj5h
                 │   u6tq
                 │ Compare it with the key that the
                 │ server shows when it starts, to be
                 │ sure that nobody else answered in its
                 │ place. /security shows it again.
────────────────────────────────────────────────────────────
 › type a message
 Alt-C copy   F1 help   Esc disconnect   Tab complete
",
    );
}

/// A prompt for a password on an unencrypted connection.
fn in_clear(width: u16, height: u16) -> Screen {
    let mut screen = Screen::new(width, height);
    screen.desk.is_on("chat.lan:10500");
    screen.heard(Event::Security(Security::Plain));
    screen.heard(Event::Connection(ConnectionStatus::Stopped {
        why: Line::inert("This server wants a password"),
        brief: "Not let in!",
        wants: Some(CredentialWanted::Password),
    }));
    screen.typed("correct horse");
    screen
}

#[test]
fn a_prompt_for_a_password_says_that_nothing_is_encrypted() {
    in_clear(80, 24).check(
        r"
 #lobby                             chat.lan:10500  ○ not joined  not encrypted















 ───────────────────────────── Sunday 22 November ─────────────────────────────
 09:45             │ Not encrypted: everybody between you and the server can
                   │ read and change the messages.
 ? This server wants a password. What is the password? Not encrypted: others on
   the network can read it.
────────────────────────────────────────────────────────────────────────────────
 › •••••••••••••
 Enter try it   Esc cancel   Ctrl-U clear it
",
    );
}

#[test]
fn a_prompt_for_a_password_says_that_nothing_is_encrypted_on_the_smallest_screen() {
    in_clear(20, 5).check(
        r"
#lobby ○ unencrypted
 change the
 messages.
? Password in clear?
› •••••••••••••
",
    );
}
