//! Typed, pasted and reported input, through a real terminal.

use crate::process::Server;

/// A terminal that does not mark pastes.
#[test]
fn lines_that_come_at_once_are_sent_when_their_user_has_seen_them() {
    let server = Server::start();
    let mut alice = server.client("alice", "1", 100, 30);
    alice.wait_for("● encrypted");
    alice.keys("one\rq!\rtwo\r");
    alice.wait_for("Several lines were pasted: Enter sends them");
    alice.wait_for("two");
    alice.keys("\r");
    let logged = server.logs("message from alice");
    assert!(logged.contains("10 bytes"), "not as one message: {logged}");
    alice.wait_for("✓");
}

/// Alt keys begin with the same byte as a terminal's reports, and no report is taken for one.
#[test]
fn alt_keys_swallow_nothing_and_reports_type_nothing() {
    let server = Server::start();
    let mut alice = server.client("alice", "1", 100, 30);
    alice.wait_for("● encrypted");
    let mut draft = String::new();
    for (number, opening) in "[O]P^_X".chars().enumerate() {
        alice.keys(&format!("\x1b{opening}"));
        let text = format!("z{number}");
        alice.keys(&text);
        draft.push_str(&text);
        alice.wait_for(&draft);
    }
    let long = "a".repeat(5_000);
    alice.keys(&format!("\x1b]52;c;{long}"));
    alice.keys(&format!("{long}\x1b\\ end"));
    alice.wait_for(&format!("{draft} end"));
}

/// Escape closes the search, and one Escape more does not leave.
#[test]
fn an_escape_too_many_does_not_leave() {
    let server = Server::start();
    let mut alice = server.client("alice", "1", 100, 30);
    alice.wait_for("Members 1");
    alice.keys("\x06");
    alice.wait_for("Enter search");
    alice.keys("\x1b\x1b");
    alice.wait_for("Esc again disconnects");
    alice.line("still here");
    server.logs("message from alice");
    alice.wait_for("✓");
}
