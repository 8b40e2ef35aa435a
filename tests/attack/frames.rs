//! Frames of valid JSON with wrong contents: ten thousand of each kind. Each gets its answer, and
//! no other client is affected.

use std::{
    collections::BTreeMap,
    io::Write,
    net::Shutdown,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use serde_json::{Value, json};

use crate::{
    bounds,
    pair::Pair,
    peer::{Peer, join},
    process::Server,
};

/// Frames of each kind that one connection can carry.
const EACH: usize = 10_000;
/// Connections in all that one frame ends.
const ENDED: usize = 10_000;

/// Frames after which a member's connection stays open, with their answers.
fn borne() -> Vec<(Value, &'static str)> {
    let command = |name: &str| json!({"type": "command", "command": name, "nickname": "anna"});
    vec![
        (json!({"type": "frob"}), "unknown_type"),
        (json!({"type": ""}), "unknown_type"),
        (json!({"type": "x".repeat(1_000)}), "unknown_type"),
        (json!({"type": "JOIN"}), "unknown_type"),
        (
            json!({"type": "welcome", "nickname": "eve"}),
            "unknown_type",
        ),
        (json!({"type": "members", "members": []}), "unknown_type"),
        (json!({"type": "nick"}), "bad_nickname"),
        (
            json!({"type": "nick", "nickname": "a\u{202e}b"}),
            "bad_nickname",
        ),
        (
            json!({"type": "nick", "nickname": "server"}),
            "nickname_in_use",
        ),
        (
            json!({"type": "nick", "nickname": "Anna"}),
            "nickname_in_use",
        ),
        (json!({"type": "message"}), "bad_text"),
        (json!({"type": "message", "message": " \n\t "}), "bad_text"),
        (
            json!({"type": "message", "room": "cellar", "message": "x"}),
            "no_such_room",
        ),
        (
            json!({"type": "message", "room": "NO ROOM", "message": "x"}),
            "no_such_room",
        ),
        (json!({"type": "history", "room": "cellar"}), "no_such_room"),
        (
            json!({"type": "history", "since": "yesterday"}),
            "bad_field",
        ),
        (
            json!({"type": "search", "query": "a b c d e f g h i"}),
            "bad_field",
        ),
        (
            json!({"type": "search", "query": "x", "after": "then"}),
            "bad_field",
        ),
        (
            json!({"type": "search", "query": "x", "sender": "\u{0}"}),
            "bad_nickname",
        ),
        (json!({"type": "command"}), "unknown_type"),
        (command("frob"), "unknown_type"),
        (command("kick"), "not_allowed"),
        (command("ban"), "not_allowed"),
        (command("role"), "bad_field"),
        (
            json!({"type": "command", "command": "own", "code": "aaaa-bbbb-cccc-dddd"}),
            "not_allowed",
        ),
    ]
}

/// The same for a member whose messages have ids.
fn borne_with_ids(device: &str) -> Vec<(Value, &'static str)> {
    let message = |id: String| json!({"type": "message", "id": id, "message": "x"});
    let other = "0".repeat(24);
    vec![
        (message(format!("{other}-1")), "bad_id"),
        (message(format!("{device}-3")), "bad_id"),
        (message(format!("{device}-9007199254740991")), "bad_id"),
        (json!({"type": "message", "message": "x"}), "bad_id"),
        (
            json!({"type": "withdraw", "id": format!("{other}-1")}),
            "bad_id",
        ),
        (
            json!({"type": "withdraw", "id": format!("{device}-3")}),
            "bad_id",
        ),
    ]
}

/// Frames that end a connection: before a join (or as one), and after one.
fn ending() -> Vec<(bool, String, &'static str)> {
    let mut all = Vec::new();
    let mut both = |frame: &str, code| {
        all.push((false, frame.to_owned(), code));
        all.push((true, frame.to_owned(), code));
    };
    for frame in [
        "{}",
        "{\"type\":null}",
        "{\"type\":7}",
        "{\"type\":true}",
        "{\"type\":[\"ping\"]}",
        "{\"type\":{\"ping\":1}}",
        "{\"Type\":\"ping\"}",
        "{\"type\":\"ping\",\"type\":\"ping\"}",
        "{\"type\":\"ping\",\"ref\":-1}",
        "{\"type\":\"ping\",\"ref\":1.5}",
        "{\"type\":\"ping\",\"ref\":1e3}",
        "{\"type\":\"ping\",\"ref\":\"1\"}",
        "{\"type\":\"ping\",\"ref\":9007199254740992}",
        "{\"type\":\"message\",\"message\":7}",
        "{\"type\":\"message\",\"message\":[\"x\"]}",
        "{\"type\":\"history\",\"back\":\"yes\"}",
        "{\"type\":\"history\",\"from\":{}}",
        "{\"type\":\"join\",\"rooms\":{}}",
        "{\"type\":\"join\",\"rooms\":[7]}",
        "{\"type\":\"join\",\"rooms\":[{\"seq\":1}]}",
        "[\"type\",\"ping\"]",
        "\"ping\"",
        "ping",
        "7",
        "null",
    ] {
        both(frame, "malformed");
    }
    both("{\"type\":\"withdraw\",\"id\":\"x-1\"}", "bad_field");
    both(
        "{\"type\":\"message\",\"id\":\"\",\"message\":\"x\"}",
        "bad_field",
    );
    both("{\"type\":\"proof\"}", "bad_field");
    let proof = format!(
        "{{\"type\":\"proof\",\"signature\":\"{}\"}}",
        "0".repeat(128)
    );
    both(&proof, "join_expected");
    for frame in [
        "{\"type\":\"ping\"}",
        "{\"type\":\"pong\"}",
        "{\"type\":\"message\",\"message\":\"x\"}",
        "{\"type\":\"history\"}",
        "{\"type\":\"search\",\"query\":\"x\"}",
        "{\"type\":\"nick\",\"nickname\":\"eve\"}",
        "{\"type\":\"command\",\"command\":\"bans\"}",
    ] {
        all.push((false, frame.to_owned(), "join_expected"));
    }
    all.push((true, join("eve").to_string(), "join_expected"));
    let mut wrong = |field: &str, value: Value, code| {
        let mut wish = join("eve");
        // Each joins as a new user.
        wish["token"] = Value::Null;
        wish[field] = value;
        all.push((false, wish.to_string(), code));
    };
    wrong("protocol", 0.into(), "unsupported_protocol");
    wrong("protocol", 1.into(), "unsupported_protocol");
    wrong("protocol", "1".into(), "malformed");
    wrong("nickname", Value::Null, "bad_nickname");
    wrong("nickname", "server".into(), "nickname_in_use");
    wrong("clientID", Value::Null, "bad_field");
    wrong("clientID", "a b".into(), "bad_field");
    wrong("token", "0".repeat(63).into(), "bad_field");
    wrong("token", "G".repeat(64).into(), "bad_field");
    wrong("key", "0".repeat(62).into(), "bad_field");
    wrong("code", "x".into(), "bad_field");
    wrong("invite", "x".into(), "bad_field");
    wrong("password", "".into(), "bad_field");
    wrong("epoch", "x".into(), "bad_field");
    wrong("rooms", json!([{"room": "NO ROOM"}]), "bad_field");
    wrong("rooms", json!([{"room": "lobby", "id": "x"}]), "bad_field");
    all
}

fn joined(server: &Server, name: &str) -> (Peer, String) {
    let mut peer = Peer::plain(server.address);
    peer.send(&join(name));
    let device = peer.frame()["device"].as_str().unwrap().to_owned();
    peer.next("members");
    (peer, device)
}

/// Sends a frame ten thousand times and counts the answers.
fn flood(mut peer: Peer, frame: &Value, code: &str) {
    let words = format!("{frame}\n").repeat(EACH);
    let mut into = peer.socket.try_clone().unwrap();
    let writing = thread::spawn(move || into.write_all(words.as_bytes()).unwrap());
    let mut told = BTreeMap::<String, usize>::new();
    for _ in 0..EACH {
        let error = peer.next("error");

        *told
            .entry(error["code"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    writing.join().unwrap();
    // Some exceed a rate limit; the connection stays open.
    let first = told.remove(code).unwrap_or(0);
    told.retain(|code, _| !["rate_limited", "held_back"].contains(&&**code));
    assert!(first > 0 && told.is_empty(), "{frame}: {first} {told:?}");
    peer.send(&json!({"type": "ping", "ref": 7}));
    assert_eq!(peer.next("pong")["ref"], 7, "{frame}");
}

#[test]
fn frames_of_every_wrong_kind() {
    let mut server = Server::start(&[]);
    let pair = Pair::start(server.address);
    let next = AtomicUsize::new(0);
    let borne = borne();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let name = format!("fred{at}");
                    if let Some((frame, code)) = borne.get(at) {
                        flood(joined(&server, &name).0, frame, code);
                    } else {
                        let (mut peer, device) = joined(&server, &name);
                        let with_ids = borne_with_ids(&device);
                        let Some((frame, code)) = with_ids.get(at - borne.len()) else {
                            return;
                        };
                        let first = format!("{device}-1");
                        peer.send(&json!({"type": "message", "id": first, "message": "x"}));
                        flood(peer, frame, code);
                    }
                }
            });
        }
    });
    pair.ends_unharmed("wrong frames");
    server.has_borne_it("wrong frames", bounds::FEW);
}

#[test]
fn frames_that_end_a_connection() {
    let mut server = Server::start(&[]);
    let pair = Pair::start(server.address);
    let ending = ending();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 0..4 {
            let (next, ending, server) = (&next, &ending, &server);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= ENDED {
                        return;
                    }
                    let (is_joined, frame, code) = &ending[at % ending.len()];
                    let mut peer = if *is_joined {
                        joined(server, &format!("greg{number}")).0
                    } else {
                        Peer::plain(server.address)
                    };
                    peer.write(frame);
                    let _ = peer.socket.shutdown(Shutdown::Write);
                    peer.is_refused(code, (is_joined, frame));
                }
            });
        }
    });
    pair.ends_unharmed("last frames");
    server.has_borne_it("last frames", bounds::FEW);
}
