//! Programs that take part: `--json`, as `docs/BOTS.md` says.

use serde_json::{Value, json};

use super::*;
use crate::skip::skip;

const PAGE: &str = include_str!("../../docs/BOTS.md");

/// The page's bot.
fn bot() -> &'static str {
    let (_, rest) = PAGE.split_once("```python bot\n").expect("a bot");
    rest.split_once("```").expect("its end").0
}

#[test]
fn the_bot_of_the_page_has_ten_lines_and_answers() {
    assert!(bot().lines().count() <= 10);
    let server = Server::new();
    let python = Command::new("python3").arg("--version").output();
    if !python.is_ok_and(|python| python.status.success()) {
        return skip("the bot of docs/BOTS.md: there is no python3");
    }
    let home = tempfile::tempdir().unwrap();
    let alice = server.follow("alice");
    let mut child = Command::new("python3")
        .args(["-c", bot(), env!("CARGO_BIN_EXE_chat-tui")])
        .args(["localhost", &server.port.to_string(), "echo", "1"])
        .env("HOME", home.path())
        .env("XDG_STATE_HOME", home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    alice.status_with("echo joined");
    let sender = server.feed("bob", &[], b"!echo hello \xf0\x9f\x91\x8b\nnot for it\n");
    assert_eq!(sender.status, 0, "{}", sender.errors);
    let mut heard: Vec<_> = (0..3).map(|_| said(&alice.line()).to_owned()).collect();
    heard.sort();
    assert_eq!(
        heard,
        ["bob: !echo hello 👋", "bob: not for it", "echo: hello 👋"]
    );
    drop(server);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn objects_make_a_room_write_there_and_read_what_is_there() {
    let server = Server::new();
    let mut child = command(server.port, "bot", &["--json"])
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut until = |kind: &str| -> Value {
        loop {
            let line = lines.next().expect("more").unwrap();
            let object: Value = serde_json::from_str(&line).expect("an object");
            if object["type"] == kind {
                return object;
            }
        }
    };
    let mut write = |object: Value| writeln!(input, "{object}").unwrap();
    let me = until("welcome")["user"].clone();
    write(json!({"type": "command", "command": "create", "name": "ops", "ref": 1}));
    let made = until("result");
    assert_eq!(made["ref"], 1);
    let room = made["room"].clone();
    write(json!({"type": "message", "room": room, "message": "one\ntwo", "ref": 2}));
    let said = until("message");
    assert_eq!((&said["message"], &said["user"]), (&json!("one\ntwo"), &me));
    let ack = until("ack");
    assert_eq!((&ack["ref"], &ack["seq"]), (&json!(2), &said["seq"]));
    // A page may come from what the client has stored, which lacks the latest for a moment.
    let has_it = (0..10_000).any(|_| {
        write(json!({"type": "history", "room": room, "ref": 3}));
        let page = until("history");
        assert_eq!(page["ref"], 3);
        let mut entries = page["entries"].as_array().unwrap().iter();
        entries.any(|entry| entry["message"] == "one\ntwo")
    });
    assert!(has_it);
    write(json!({"type": "message", "room": "ee".repeat(12), "message": "nowhere", "ref": 4}));
    assert_eq!(until("error")["ref"], 4);
    write(json!({"type": "disconnect"}));
    assert_eq!(
        child.wait().unwrap().code(),
        Some(3),
        "one was not delivered"
    );
}
