//! Edits, deletions, and entries of a kind that this version does not know, in a real terminal.

use std::{
    ffi::OsStr,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    families::over_both,
    process::{CHAT_TUI, Server},
    terminal::Terminal,
};

/// A log of a later version: a message, a poll, and a vote in it.
const LATER: &str = concat!(
    r#"{"type":"message","room":"lobby","id":"0101010101010101010101ab-1","user":"0101010101010101010101ab","nickname":"zoe","message":"what shall we drink?","timestamp":"2026-11-20T09:00:00Z","seq":1}"#,
    "\n",
    r#"{"type":"entry","kind":"poll","room":"lobby","id":"0101010101010101010101ab-2","user":"0101010101010101010101ab","nickname":"zoe","timestamp":"2026-11-20T09:01:00Z","seq":2,"alt":"a poll: tea or coffee","options":["tea","coffee"]}"#,
    "\n",
    r#"{"type":"entry","kind":"vote","room":"lobby","id":"0101010101010101010101ab-3","user":"0101010101010101010101ab","nickname":"zoe","timestamp":"2026-11-20T09:02:00Z","seq":3,"target":"0101010101010101010101ab-2","option":1}"#,
    "\n",
);

fn command(data: &Path, arguments: &[&str], input: &str) -> String {
    use std::io::Write;

    let mut server = Command::new(env!("CARGO_BIN_EXE_chat-server"))
        .args([OsStr::new("--data-dir"), data.as_os_str()])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let mut pipe = server.stdin.take().expect("its input");
    pipe.write_all(input.as_bytes()).expect("it reads");
    drop(pipe);
    let output = server.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn an_edit_and_a_deletion_reach_the_other_screen_and_the_next_start() {
    over_both(|address| {
        let data = tempfile::tempdir().expect("a directory");
        let kept: [&OsStr; 2] = ["--data-dir".as_ref(), data.path().as_ref()];
        let server = Server::start_at(address, 0, &kept);
        let mut alice = server.client("alice", "1", 80, 24);
        alice.wait_for("● encrypted");
        let mut bob = server.client("bob", "2", 60, 16);
        bob.wait_for("● encrypted");
        alice.line("the build is gren");
        bob.wait_for("the build is gren");
        alice.wait_for("✓");
        alice.line("/edit the build is green");
        bob.wait_for("the build is green (edited)");
        alice.wait_for("the build is green (edited)");
        bob.wait_gone("gren ");
        alice.line("my password is hunter2");
        bob.wait_for("hunter2");
        alice.wait_for("hunter2");
        alice.line("/delete");
        bob.wait_for("message deleted");
        bob.wait_gone("hunter2");
        alice.wait_gone("hunter2");
        bob.line("q!");
        bob.ended();
        let port = server.kill();
        // Nothing of it is left in the client's own copy.
        let (host, port) = (address.to_string(), port.to_string());
        let again = Terminal::start(CHAT_TUI, &[&host, &port, "bob", "2"], 60, 16);
        again.wait_for("the build is green (edited)");
        again.wait_for("message deleted");
        assert!(!again.text().contains("hunter2"), "{}", again.text());
    });
}

#[test]
fn entries_of_a_kind_that_nobody_knows_pass_through_everything() {
    let data = tempfile::tempdir().expect("a directory");
    command(data.path(), &["import", "--room", "lobby"], LATER);
    let exported = command(data.path(), &["export"], "");
    assert_eq!(exported, LATER, "imported and exported as it was");
    let kept: [&OsStr; 2] = ["--data-dir".as_ref(), data.path().as_ref()];
    let server = Server::start_with(0, &kept);
    let mut alice = server.client("alice", "1", 80, 24);
    // The vote has no place of its own; it is no gap either.
    alice.wait_for("what shall we drink?");
    alice.wait_for("a poll: tea or coffee");
    assert!(!alice.text().contains("not loaded"), "{}", alice.text());
    // Live entries go on behind them, and a search passes over them.
    alice.line("tea, please");
    alice.wait_for("✓");
    alice.keys("\x06");
    alice.keys("tea\r");
    alice.wait_for("1 found");
    alice.wait_for("tea, please");
    alice.keys("\x1b");
    alice.wait_gone("1 found");
    alice.wait_for("› type a message");
    alice.line("q!");
    alice.ended();
    // A script reads them as lines.
    let state = tempfile::tempdir().expect("a directory");
    let read = Command::new(CHAT_TUI)
        .args([
            server.host(),
            &server.port(),
            "carol",
            "3",
            "--plain",
            "--history",
            "9",
        ])
        .env("XDG_STATE_HOME", state.path())
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let lines = String::from_utf8_lossy(&read.stdout).into_owned();
    assert!(lines.contains("a poll: tea or coffee"), "{lines}");
    assert!(lines.contains("alice: tea, please"), "{lines}");
    // Without a server they come from the client's own copy.
    let port = server.kill().to_string();
    let mut alice = Terminal::start(CHAT_TUI, &["localhost", &port, "alice", "1"], 80, 24);
    alice.wait_for("a poll: tea or coffee");
    alice.wait_for("tea, please");
    alice.line("q!");
    alice.ended();
    // The operator erases one of them; its envelope stays.
    command(data.path(), &["erase", "--room", "lobby", "2"], "");
    let exported = command(data.path(), &["export"], "");
    assert!(!exported.contains("coffee"), "{exported}");
    assert!(exported.contains(r#""kind":"poll""#), "{exported}");
}
