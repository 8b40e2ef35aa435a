//! History is there: after a restart, far up, and for searches.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    io::Write,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    conversation::signal,
    families::over_both,
    process::{CHAT_TUI, Server},
    terminal::Terminal,
};

const PAGE_UP: &str = "\x1b[5~";
const CTRL_END: &str = "\x1b[1;5F";
const CTRL_F: &str = "\x06";
const ESC: &str = "\x1b";

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

/// Fills the lobby with numbered lines; one of them holds a unique word.
fn fill(server: &Server, lines: u64) {
    let state = directory();
    let mut alice = Command::new(CHAT_TUI)
        .args(["127.0.0.1", &server.port(), "alice", "1", "--timeout", "60"])
        .env("XDG_STATE_HOME", state.path())
        .stdin(Stdio::piped())
        .spawn()
        .expect("the client starts");
    let mut input = alice.stdin.take().expect("its input");
    for line in 1..=lines {
        let more = match line {
            517 => "with the needle",
            _ if line % 7 == 0 => "and a text so long that it takes more than one row of a screen",
            _ => "",
        };
        writeln!(input, "line {line}: {more}").expect("it reads");
    }
    drop(input);
    assert!(alice.wait().expect("it ends").success());
}

/// The numbers of the lines on the screen.
fn numbers(text: &str) -> BTreeSet<u64> {
    let parts = text.split("line ").skip(1);
    parts
        .filter_map(|part| part.split(':').next()?.parse().ok())
        .collect()
}

#[test]
fn the_conversation_the_draft_and_what_waits_survive_restarts() {
    over_both(|address| {
        let data = directory();
        let kept: [&OsStr; 2] = ["--data-dir".as_ref(), data.path().as_ref()];
        let server = Server::start_at(address, 0, &kept);
        let mut alice = server.client("alice", "1", 80, 24);
        alice.wait_for("● encrypted");
        alice.line("said before");
        alice.wait_for("✓");
        alice.line("q!");
        alice.ended();
        let port = server.kill();

        // No server: the screen shows the client's own copy.
        let start = || {
            let (host, port) = (address.to_string(), port.to_string());
            Terminal::start(CHAT_TUI, &[&host, &port, "alice", "1"], 80, 24)
        };
        let mut alice = start();
        alice.wait_for("said before");
        alice.line("typed in the dark");
        alice.wait_for("│ typed in the dark");
        alice.keys("half a thought");
        alice.wait_for("half a thought");
        signal(alice.pid(), "TERM");
        alice.ended();

        let mut alice = start();
        alice.wait("all is back", |screen| {
            let text = screen.contents();
            text.contains("said before")
                && text.contains("typed in the dark")
                && text.contains("› half a thought")
        });
        let server = Server::start_at(address, port, &kept);
        alice.keys("\x12"); // Ctrl-R: connect now.
        alice.wait_for("● encrypted");
        server.logs("message from alice");
        alice.wait("it is sent", |screen| {
            let text = screen.contents();
            text.matches('✓').count() >= 1 && !text.contains("  …")
        });
        alice.keys("\r");
        server.logs("message from alice");
        // The input's history offers sent lines again, in a later run too.
        alice.line("q!");
        alice.ended();
        let mut alice = server.client("alice", "1", 80, 24);
        alice.wait_for("● encrypted");
        alice.keys("\x1b[A\x1b[A");
        alice.wait_for("› typed in the dark");

        let bob = server.client("bob", "2", 80, 24);
        bob.wait_for("half a thought");
        let text = bob.text();
        for said in ["said before", "typed in the dark", "half a thought"] {
            assert_eq!(text.matches(said).count(), 1, "{said}:\n{text}");
        }
    });
}

#[test]
fn a_thousand_messages_are_scrolled_through_and_searched() {
    let data = directory();
    let server = Server::start_keeping(0, data.path());
    fill(&server, 1_000);
    let mut carol = server.client("carol", "3", 100, 30);
    carol.wait_for("line 1000:");
    let mut seen = numbers(&carol.text());
    assert!(seen.len() > 15, "the last screenful is there at once");
    // The typed letter shows that the screen was painted since the key: two keys in one frame would
    // show one page only.
    for (page, typed) in ["x", "\x7f"].into_iter().cycle().enumerate() {
        if carol.text().contains("history begins here") {
            break;
        }
        assert!(page < 200, "no end of pages");
        carol.keys(PAGE_UP);
        carol.keys(typed);
        carol.wait("the page, loaded", |screen| {
            let text = screen.contents();
            seen.extend(numbers(&text));
            text.contains("› x") == (page % 2 == 0) && !text.contains("loading")
        });
    }
    carol.keys("\x15"); // Ctrl-U: nothing stays of it.
    carol.wait_gone("› x");
    let missing: Vec<u64> = (1..=1_000).filter(|line| !seen.contains(line)).collect();
    assert!(missing.is_empty(), "never shown: {missing:?}");

    carol.keys(CTRL_END);
    carol.wait_for("line 1000:");
    carol.keys(CTRL_F);
    carol.wait_for("Search #lobby");
    carol.line("needle from:alice");
    carol.wait_for("1 found");
    carol.wait_for("line 517: with the needle");
    carol.keys("\r");
    carol.wait("the hit in its place", |screen| {
        let text = screen.contents();
        text.contains("line 516:") && text.contains("line 517:") && text.contains("line 518:")
    });
    carol.keys(ESC);
    carol.wait_for("1 found");
    carol.keys(ESC);
    carol.wait_for("line 1000:");
    carol.wait_gone("1 found");

    // Offline the client finds the same in its own copy.
    server.kill();
    carol.wait_for("Trying again");
    carol.line("/search needle");
    carol.wait_for("offline: 1 found");
}
