//! Two terminals with one client ID, and a script beside a screen: no line is lost.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use crate::{
    conversation::signal,
    process::{CHAT_TUI, Server},
};

#[test]
fn lines_typed_in_a_replaced_screen_are_sent_by_its_replacement() {
    let server = Server::start();
    let mut first = server.client("alice", "1", 80, 24);
    first.wait_for("● encrypted");
    let second = server.client("alice", "1", 80, 24);
    second.wait_for("● encrypted");
    first.wait_for("Another terminal took over");
    first.line("typed in the first one");
    second.wait_for("typed in the first one");
    // The user who typed it sees that it is sent.
    first.wait("the message is sent", |screen| {
        let shown = screen.contents();
        let line = shown
            .lines()
            .find(|line| line.contains("typed in the first"));
        line.is_some_and(|line| line.contains('✓'))
    });
}

#[test]
fn a_script_beside_a_screen_is_heard_and_does_not_replace_it() {
    let server = Server::start();
    let mut screen = server.client("alice", "1", 80, 24);
    screen.wait_for("● encrypted");
    let mut script = Command::new(CHAT_TUI)
        .args(["localhost", &server.port(), "alice", "1"])
        .env("XDG_STATE_HOME", crate::terminal::state())
        .stdin(Stdio::piped())
        .spawn()
        .expect("the client starts");
    let mut input = script.stdin.take().expect("its input");
    writeln!(input, "deploy done").expect("it reads");
    drop(input);
    assert_eq!(script.wait().expect("it ends").code(), Some(0));
    screen.wait_for("deploy done");
    assert!(screen.text().contains("● encrypted"), "{}", screen.text());
    signal(screen.pid(), "TERM");
    assert_eq!(screen.ended().exit_code(), 143);
}
