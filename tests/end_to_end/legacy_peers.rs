//! The older programs and ours, in both directions.

use crate::{
    process::{CHAT_TUI, Server},
    seed::{self, Heard, Shown},
    terminal::Terminal,
};

#[test]
fn the_older_client_talks_through_our_server() {
    let server = Server::start();
    let mut alice = server.client("alice", "1", 80, 24);
    alice.wait_for("● encrypted");
    let mut carol = seed::Client::join(server.address(), "carol", "3");
    alice.wait_for("Members 2");

    carol.say("hello from long ago");
    alice.wait_for("hello from long ago");
    alice.line("hello back");
    let (before, text) = carol.until_from("alice");
    assert_eq!(text, "hello back");
    // It gets neither its own join nor its own messages.
    for shown in before {
        assert!(!matches!(&shown, Shown::Message { nickname, .. } if nickname == "carol"));
    }

    // Longer than it can read at once: it comes in parts that together are the text.
    let long = "0123456789 ".repeat(200);
    alice.keys(&long);
    alice.keys("\r");
    let mut parts = String::new();
    while parts.trim_end().len() < long.trim_end().len() {
        parts.push_str(&carol.until_from("alice").1);
    }
    assert_eq!(parts.trim_end(), long.trim_end());

    // The server announces joins and departures as text.
    let bob = seed::Client::join(server.address(), "bob", "4");
    assert!(carol.until_from("server").1.contains("bob"));
    bob.quit();
    assert!(carol.until_from("server").1.contains("bob"));
    carol.quit();
    alice.wait_for("carol left");
}

#[test]
fn the_older_client_is_refused_a_nickname_as_it_expects() {
    let server = Server::start();
    let alice = server.client("alice", "1", 80, 24);
    alice.wait_for("● encrypted");
    let refused = seed::Client::join(server.address(), "ALICE", "9");
    assert_eq!(refused.next(), Shown::AsksForAnotherNickname);
    assert_eq!(refused.next(), Shown::Deaf { bytes: Vec::new() });
    let _other = seed::Client::join(server.address(), "bob", "9");
    alice.wait_for("Members 2");
}

#[test]
fn bursts_reach_the_older_client_one_object_at_a_time() {
    let server = Server::start();
    let carol = seed::Client::join(server.address(), "carol", "3");
    server.logs("carol joined");
    let mut dave = seed::Client::join(server.address(), "dave", "4");
    assert!(carol.until_from("server").1.contains("dave"));
    for number in 0..30 {
        dave.say(&format!("line {number}"));
        // The older client itself can't send two at once either: each must be read alone, which the
        // log shows.
        server.logs("message from dave");
    }
    for number in 0..30 {
        assert_eq!(carol.until_from("dave").1, format!("line {number}"));
    }
}

/// Our client asks once in a run whether a server encrypts; the older one can't parse that.
fn is_asked_to_encrypt(server: &seed::Server) {
    match server.next() {
        Heard::Failed(bytes) => assert_eq!(bytes[0], 22, "no TLS hello"),
        other => panic!("{other:?}"),
    }
}

fn open(server: &seed::Server, nickname: &str) -> Terminal {
    let port = server.address().port().to_string();
    let terminal = Terminal::start(CHAT_TUI, &["127.0.0.1", &port, nickname, "1"], 100, 30);
    is_asked_to_encrypt(server);
    assert_eq!(server.next(), Heard::Connected(nickname.into()));
    terminal.wait_for("no answer yet: an older server, or none");
    terminal
}

#[test]
fn our_client_talks_through_the_older_server() {
    let server = seed::Server::start();
    let mut alice = open(&server, "alice");
    let mut carol = seed::Client::join(server.address(), "carol", "3");
    assert_eq!(server.next(), Heard::Connected("carol".into()));

    alice.line("hello");
    let heard = |message: &str| Heard::Message {
        nickname: "alice".into(),
        message: message.into(),
    };
    assert_eq!(server.next(), heard("hello"));
    match carol.next() {
        Shown::Message {
            nickname,
            message,
            timestamp,
        } => {
            assert_eq!((nickname.as_str(), message.as_str()), ("alice", "hello"));
            assert_eq!(timestamp.len(), "2026-11-22 09:22:23".len());
        }
        other => panic!("{other:?}"),
    }
    carol.say("good day");
    assert_eq!(
        server.next(),
        Heard::Message {
            nickname: "carol".into(),
            message: "good day".into()
        }
    );
    alice.wait_for("good day");
    alice.wait_for("older server");

    // A long text leaves in parts that each fit, spaced so that each is read alone.
    let long = "abcdefghi ".repeat(250);
    alice.keys(&long);
    alice.keys("\r");
    let mut parts = String::new();
    while parts.trim_end().len() < long.trim_end().len() {
        match server.next() {
            Heard::Message { message, .. } => parts.push_str(&message),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(parts.trim_end(), long.trim_end());

    alice.line("q!");
    assert_eq!(server.next(), Heard::Disconnected("alice".into()));
    assert!(alice.ended().success());
}

#[test]
fn our_client_asks_anew_when_the_older_server_refuses_its_nickname() {
    let server = seed::Server::start();
    let _carol = seed::Client::join(server.address(), "carol", "3");
    assert_eq!(server.next(), Heard::Connected("carol".into()));
    let port = server.address().port().to_string();
    let mut ours = Terminal::start(CHAT_TUI, &["127.0.0.1", &port, "carol", "1"], 80, 24);
    is_asked_to_encrypt(&server);
    ours.wait_for("Nickname already in use");
    ours.keys("\x15");
    ours.line("caroline");
    assert_eq!(server.next(), Heard::Connected("caroline".into()));
    ours.wait_for("no answer yet");
}

#[test]
fn our_client_comes_back_to_the_older_server() {
    let server = seed::Server::start();
    let mut alice = open(&server, "alice");
    alice.line("first");
    assert!(matches!(server.next(), Heard::Message { .. }));
    server.drop_all();
    alice.keys("\x12");
    assert_eq!(server.next(), Heard::Connected("alice".into()));
    alice.line("second");
    // Lines that were written before are not sent twice.
    assert_eq!(
        server.next(),
        Heard::Message {
            nickname: "alice".into(),
            message: "second".into()
        }
    );
}
