//! Administration by the real programs: access, ownership, kicks.

use std::{
    ffi::OsStr,
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    families::over_both,
    process::{CHAT_SERVER, CHAT_TUI, Server},
    terminal::Terminal,
};

/// Opens a client with a home directory of its own, and so another user.
pub(crate) fn person(server: &Server, home: &Path, nickname: &str) -> Terminal {
    let port = server.port();
    let home = home.to_str().expect("a path");
    let arguments = [server.host(), &port, nickname, "1", "--state-dir", home];
    Terminal::start(CHAT_TUI, &arguments, 100, 30)
}

/// Whether a file in a directory contains a text.
fn is_kept(directory: &Path, text: &str) -> bool {
    fs::read_dir(directory)
        .expect("a folder")
        .flatten()
        .any(|entry| {
            let path = entry.path();
            if path.is_dir() {
                return is_kept(&path, text);
            }
            let bytes = fs::read(&path).unwrap_or_default();
            bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        })
}

#[test]
fn the_owner_moderates_the_room() {
    over_both(|address| {
        let (place, homes) = (
            tempfile::tempdir().expect("a folder"),
            [(); 3].map(|()| tempfile::tempdir().expect("a folder")),
        );
        let kept: [&OsStr; 2] = ["--data-dir".as_ref(), place.path().as_ref()];
        let server = Server::start_at(address, 0, &kept);
        let log = server.logs("/owner ");
        let code = log
            .split_once("/owner ")
            .expect("a code")
            .1
            .trim()
            .to_owned();
        let mut alice = person(&server, homes[0].path(), "alice");
        alice.wait_for("● encrypted");
        let mut bob = person(&server, homes[1].path(), "bob");
        bob.wait_for("● encrypted");
        alice.wait_for("Members 2");
        bob.line("/topic mine");
        bob.wait_for("Only moderators can do that");

        alice.line(&format!("/owner {code}"));
        alice.wait_for("You are the owner of this server now");
        bob.wait_for("alice is the owner now");
        alice.line("/topic tea at 4");
        bob.wait_for("alice set the topic: tea");
        bob.wait_for("#lobby  tea at 4");
        alice.line("/announce on");
        bob.wait_for("only moderators can write here");
        alice.line("/announce off");
        // Text with more text right behind it counts as pasted, not typed.
        bob.wait_gone("only moderators can write here");
        alice.line("/kick bob too loud");
        bob.wait_for("alice kicked you: too loud. Ctrl-R tries again.");
        alice.wait_for("Members 1");
        bob.keys("\x12");
        bob.wait_for("● encrypted");
        alice.line("/ban bob 1h enough");
        bob.wait_for("banned");
        bob.wait_for("enough");

        alice.line("/invite");
        alice.wait_for("chat-tui INVITE");
        let shown = alice.text();
        let lines: Vec<_> = shown.lines().map(str::trim).collect();
        let at = lines
            .iter()
            .position(|line| line.starts_with("chat-tui://"))
            .expect("an invite");
        let part = |line: &str| line.split('│').next().unwrap_or("").trim().to_owned();
        let invite = part(lines[at]) + &part(lines[at + 1]);
        let home = homes[2].path().to_str().expect("a path");
        let arguments = [&invite, "carol", "--state-dir", home];
        let carol = Terminal::start(CHAT_TUI, &arguments, 100, 30);
        carol.wait_for("● encrypted");
        alice.wait_for("carol joined");
    });
}

#[test]
fn a_password_is_asked_for_and_stored_nowhere() {
    over_both(|address| {
        let (place, home) = (
            tempfile::tempdir().expect("a folder"),
            tempfile::tempdir().expect("a folder"),
        );
        let directory = place.path().to_str().expect("a path");
        let mut set = Command::new(CHAT_SERVER)
            .args(["password", "--data-dir", directory])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut input = set.stdin.take().expect("its input");
        input.write_all(b"correct horse\n").expect("it reads");
        drop(input);
        assert!(set.wait().expect("it ran").success());

        let arguments = ["--data-dir", directory, "--access", "password"];
        let server = Server::start_at(address, 0, &arguments.map(AsRef::as_ref));
        let mut alice = person(&server, home.path(), "alice");
        alice.wait_for("What is the password?");
        alice.line("battery staple");
        alice.wait_for("That is not this server's password");
        alice.line("correct horse");
        alice.wait_for("● encrypted");
        alice.keys("\x1b[A"); // Up: what was sent before.
        alice.line("/security");
        alice.wait_for("You: alice, a member");
        alice.line("q!");
        assert!(alice.ended().success());
        let raw = String::from_utf8_lossy(&alice.raw()).into_owned();
        for secret in ["correct", "horse", "battery", "staple"] {
            assert!(!raw.contains(secret), "{secret} was shown");
            assert!(!is_kept(home.path(), secret), "{secret} was kept");
        }

        let again = person(&server, home.path(), "alice");
        again.wait_for("● encrypted");
    });
}
