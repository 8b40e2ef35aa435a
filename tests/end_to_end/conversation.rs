//! Two users chat, through failures of the network, the server and the terminal.

use std::process::Command;

use crate::{
    families::over_both,
    process::{CHAT_TUI, Server},
    seed,
    terminal::Terminal,
};

/// Every exit must undo the alternate screen, the hidden cursor, bracketed paste, and lines without
/// wrapping.
pub(crate) fn assert_restored(terminal: &Terminal) {
    let raw = terminal.raw();
    let last = |sequence: &[u8]| {
        raw.windows(sequence.len())
            .rposition(|window| window == sequence)
    };
    for (on, off) in [
        (&b"\x1b[?1049h"[..], &b"\x1b[?1049l"[..]),
        (b"\x1b[?25l", b"\x1b[?25h"),
        (b"\x1b[?2004h", b"\x1b[?2004l"),
        (b"\x1b[?7l", b"\x1b[?7h"),
    ] {
        assert!(
            last(on) < last(off),
            "{:?} was not undone",
            String::from_utf8_lossy(on)
        );
    }
}

pub(crate) fn signal(pid: u32, name: &str) {
    // The shell's own `kill`: not every machine has the program.
    let kill = format!("kill -{name} {pid}");
    let status = Command::new("sh").args(["-c", &kill]).status();
    assert!(status.expect("there is a shell").success());
}

#[test]
fn two_people_talk_and_one_leaves() {
    over_both(|address| {
        let server = Server::start_at(address, 0, &["--ephemeral".as_ref()]);
        let mut alice = server.client("alice", "1", 100, 30);
        alice.wait_for("● encrypted");
        let mut bob = server.client("bob", "2", 80, 24);
        bob.wait_for("● encrypted");
        alice.wait_for("Members 2");

        alice.line("good morning, 日本語 👋🏽");
        // The tests' terminal gives the skin tone columns of its own, which belong to other cells.
        bob.wait_for("good morning, 日本語 👋");
        let waves = "👋🏽".as_bytes();
        bob.wait_raw("a toned hand", |raw| {
            raw.windows(waves.len()).any(|part| part == waves)
        });
        alice.wait_for("✓");
        bob.line("and to you");
        alice.wait_for("and to you");
        server.logs("message from bob");

        bob.keys("\x1b");
        let status = bob.ended();
        assert!(status.success(), "{status:?}");
        assert_restored(&bob);
        let farewell = bob.text();
        for part in ["1 message", "10 characters"] {
            assert!(
                farewell.contains(part),
                "{part} is not in the farewell:\n{farewell}"
            );
        }
        alice.wait_for("bob left");
        alice.wait_for("Members 1");

        alice.line("q!");
        assert!(alice.ended().success());
        assert_restored(&alice);
    });
}

#[test]
fn a_resize_loses_nothing() {
    let server = Server::start();
    let mut alice = server.client("alice", "1", 100, 30);
    alice.wait_for("● encrypted");
    alice.line("one two three four five six seven eight nine ten eleven twelve thirteen");
    alice.wait_for("✓");
    alice.keys("a draft");
    alice.wait_for("a draft");

    alice.resize(40, 12);
    alice.wait_gone("Members");
    alice.wait_for("a draft");
    alice.wait("the text, in several rows", |screen| {
        let text = screen.contents();
        let row = text.lines().find(|row| row.contains("one two"));
        text.contains("thirteen") && row.is_some_and(|row| !row.contains("thirteen"))
    });
    alice.resize(20, 5);
    alice.wait_for("a draft");
    alice.keys(" goes on\r");
    alice.wait_for("a draft");
    server.logs("15 bytes");
    alice.resize(120, 40);
    alice.wait_for("Members 1");
    alice.wait_for("a draft goes on");
    alice.wait_for("one two three");
}

#[test]
fn lines_typed_while_the_server_is_away_arrive_when_it_is_back() {
    over_both(|address| {
        let server = Server::start_at(address, 0, &["--ephemeral".as_ref()]);
        let mut alice = server.client("alice", "1", 100, 30);
        alice.wait_for("● encrypted");
        alice.line("before");
        alice.wait_for("✓");

        let port = server.kill();
        alice.wait_for("Trying again");
        alice.line("typed in the dark");
        alice.wait_for("typed in the dark");
        alice.wait_for("…");

        let server = Server::start_at(address, port, &["--ephemeral".as_ref()]);
        alice.keys("\x12"); // Ctrl-R: connect now.
        alice.wait_for("● encrypted");
        server.logs("message from alice");
        alice.wait("the break is marked", |screen| {
            let text = screen.contents();
            text.contains("before")
                && text.contains("history was reset")
                && text.contains("typed in the dark")
        });
        let mut bob = server.client("bob", "2", 80, 24);
        bob.wait_for("typed in the dark");
        bob.line("got it");
        alice.wait_for("got it");
        let once = alice.text().matches("typed in the dark").count();
        assert_eq!(once, 1, "{}", alice.text());
    });
}

#[test]
fn a_refused_connection_is_reported_in_words_and_the_screen_stays() {
    // A port that was free a moment ago.
    let port = Server::start().kill().to_string();
    let mut alice = Terminal::start(CHAT_TUI, &["127.0.0.1", &port, "alice", "1"], 80, 24);
    alice.wait_for("Nothing is listening on");
    alice.wait_for("Trying again");
    alice.line("q!");
    assert!(alice.ended().success());
    assert_restored(&alice);
}

#[test]
fn an_unknown_host_is_reported_in_words() {
    let mut alice = Terminal::start(
        CHAT_TUI,
        &["no-such-host.invalid", "10500", "alice", "1"],
        80,
        24,
    );
    alice.wait_for("no-such-host.invalid could be found");
    alice.keys("\x03\x03");
    assert!(alice.ended().success());
}

#[test]
fn a_nickname_in_use_is_asked_for_anew_in_place() {
    let server = Server::start();
    let alice = server.client("alice", "1", 80, 24);
    alice.wait_for("● encrypted");
    // Another user, without alice's state.
    let arguments = ["localhost", &server.port(), "Alice", "2", "--no-state"];
    let mut other = Terminal::start(CHAT_TUI, &arguments, 80, 24);
    other.wait_for("Nickname already in use");
    other.keys("\x15"); // Ctrl-U: whatever the question suggests.
    other.line("bob");
    other.wait_for("● encrypted");
    alice.wait_for("Members 2");
}

#[test]
fn no_text_harms_the_terminal() {
    let server = Server::start();
    let alice = server.client("alice", "1", 80, 24);
    alice.wait_for("● encrypted");
    let mut eve = seed::Client::join(server.address(), "eve", "66");
    alice.wait_for("Members 2");
    eve.say("\u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}[31m\u{202e}evil\u{9b}5m\u{7f} done");
    alice.wait_for("done");
    let raw = String::from_utf8_lossy(&alice.raw()).into_owned();
    for harm in ["\u{1b}]0;owned", "\u{7f}", "\u{202e}", "\u{9b}"] {
        assert!(!raw.contains(harm), "{harm:?} reached the terminal");
    }
    alice.wait_for("␛]0;owned");
    alice.wait_for("‹U+202E›evil");
}

#[test]
fn signals_restore_the_terminal() {
    let server = Server::start();
    for name in ["TERM", "HUP"] {
        let mut alice = server.client("alice", "1", 80, 24);
        alice.wait_for("● encrypted");
        signal(alice.pid(), name);
        alice.ended();
        assert_restored(&alice);
        server.logs("alice left");
    }
}

#[test]
fn the_stopping_server_says_so() {
    let server = Server::start();
    let alice = server.client("alice", "1", 80, 24);
    alice.wait_for("● encrypted");
    signal(server.pid(), "TERM");
    alice.wait_for("stopp");
}
