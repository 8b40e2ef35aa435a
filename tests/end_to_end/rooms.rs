//! Rooms made while the server runs, and direct conversations, by the real programs.

use std::ffi::OsStr;

use tempfile::TempDir;

use crate::{admin::person, process::Server, terminal::Terminal};

/// A folder of the server, and one of each person.
struct Folders {
    data: TempDir,
    homes: [TempDir; 2],
}

impl Folders {
    fn new() -> Self {
        let folder = || tempfile::tempdir().expect("a folder");
        Self {
            data: folder(),
            homes: [folder(), folder()],
        }
    }

    fn server(&self, port: u16) -> Server {
        let kept: [&OsStr; 2] = ["--data-dir".as_ref(), self.data.path().as_ref()];
        Server::start_with(port, &kept)
    }

    fn alice(&self, server: &Server) -> Terminal {
        self.person(server, 0, "alice")
    }

    fn bob(&self, server: &Server) -> Terminal {
        self.person(server, 1, "bob")
    }

    fn person(&self, server: &Server, home: usize, nickname: &str) -> Terminal {
        let terminal = person(server, self.homes[home].path(), nickname);
        terminal.wait_for("● encrypted");
        terminal
    }
}

/// Waits until the room on the screen is this one: the title begins with its name.
fn wait_in(terminal: &Terminal, room: &str) {
    terminal.wait(&format!("the room {room}"), |screen| {
        let title = screen.contents_between(0, 0, 0, 40);
        title.trim_start().starts_with(room)
    });
}

#[test]
fn a_room_is_made_entered_left_and_there_again_after_a_crash() {
    let folders = Folders::new();
    let server = folders.server(0);
    let mut alice = folders.alice(&server);
    let mut bob = folders.bob(&server);
    alice.line("/create tea");
    wait_in(&alice, "#tea");
    alice.line("the kettle is on");
    alice.wait_for("✓");
    // Bob is not in it, and so gets nothing of it.
    bob.line("/join coffee");
    bob.wait_for("no such room");
    assert!(!bob.text().contains("# tea"), "{}", bob.text());
    bob.line("/join tea");
    wait_in(&bob, "#tea");
    bob.wait_for("the kettle is on");
    bob.line("two sugars");
    alice.wait_for("two sugars");
    bob.line("q!");
    bob.ended();
    alice.line("bob? it gets cold");
    alice.wait_for("it gets cold");
    alice.wait("the acknowledgement of it", |screen| {
        screen.contents().matches('✓').count() >= 2
    });
    let port = server.kill();
    let server = folders.server(port);
    // He is still in it, and hears what he has missed.
    let mut bob = folders.bob(&server);
    bob.wait_for("# tea");
    bob.keys("\u{7}");
    bob.line("tea");
    wait_in(&bob, "#tea");
    bob.wait_for("it gets cold");
    bob.line("/leave");
    bob.wait_gone("# tea");
    bob.wait_gone("it gets cold");
}

#[test]
fn a_private_room_is_seen_by_the_invited_only_and_from_then_on() {
    let folders = Folders::new();
    let server = folders.server(0);
    let mut alice = folders.alice(&server);
    let mut bob = folders.bob(&server);
    alice.line("/create private plans");
    wait_in(&alice, "#plans");
    alice.line("bob must not read this");
    alice.wait_for("✓");
    bob.line("/join plans");
    bob.wait_for("no such room");
    alice.line("/invite bob");
    bob.wait_for("# plans");
    alice.line("but this he may");
    bob.keys("\u{7}");
    bob.line("plans");
    wait_in(&bob, "#plans");
    bob.wait_for("but this he may");
    assert!(!bob.text().contains("must not"), "{}", bob.text());
    alice.line("/remove bob");
    bob.wait_gone("# plans");
    bob.wait_gone("but this he may");
}

#[test]
fn a_direct_message_waits_for_somebody_who_is_away() {
    let folders = Folders::new();
    let server = folders.server(0);
    let mut bob = folders.bob(&server);
    bob.line("q!");
    bob.ended();
    let mut alice = folders.alice(&server);
    alice.line("/msg bob");
    wait_in(&alice, "@bob");
    alice.line("call me");
    alice.wait_for("✓");
    let mut bob = folders.bob(&server);
    bob.wait_for("@ alice");
    bob.keys("\u{7}");
    bob.line("alice");
    wait_in(&bob, "@alice");
    bob.wait_for("call me");
    bob.line("in five minutes");
    alice.wait_for("in five minutes");
}
