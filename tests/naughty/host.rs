//! A hostile server, or one that passes on a hostile user's texts.

use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
};

use chat_tui::protocol::{ClientId, Token};
use serde_json::{Value, json};

use crate::terminal::PATIENCE;

/// The server's listener.
pub(crate) struct Host(TcpListener);

/// A joined client.
pub(crate) struct Guest {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
    /// Its `join`.
    pub(crate) join: Value,
    seq: u64,
    version: u64,
}

const TIME: &str = "2026-11-22T09:22:21Z";
const MALLORY: &str = "0101010101010101010101aa";

impl Host {
    pub(crate) fn new() -> Self {
        Self(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
    }

    pub(crate) fn port(&self) -> String {
        self.0.local_addr().unwrap().port().to_string()
    }

    /// Waits for a client that uses plain TCP; refuses TLS, and answers a probe.
    pub(crate) fn join(&self) -> Guest {
        loop {
            let (mut stream, _) = self.0.accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut first = [0];
            if stream.peek(&mut first).unwrap_or(0) == 0 || first != *b"{" {
                continue;
            }
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            let Some(join) = read(&mut lines) else {
                continue;
            };
            if join["protocol"] == 0 {
                let answer = json!({
                    "type": "error", "code": "unsupported_protocol", "message": "No such protocol"
                });
                let _ = writeln!(stream, "{answer}");
                continue;
            }
            return Guest {
                stream,
                lines,
                join,
                seq: 0,
                version: 0,
            };
        }
    }
}

fn read(lines: &mut BufReader<TcpStream>) -> Option<Value> {
    let mut line = String::new();
    lines.read_line(&mut line).ok()?;
    serde_json::from_str(&line).ok()
}

impl Guest {
    /// Sends a frame; a client that has left is noticed elsewhere.
    pub(crate) fn say(&mut self, frame: &Value) {
        let _ = writeln!(self.stream, "{frame}");
    }

    /// Sends bytes as they are.
    pub(crate) fn say_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Returns the client's next request, pings apart; `None` when it has left.
    pub(crate) fn hear(&mut self) -> Option<Value> {
        loop {
            let frame = read(&mut self.lines)?;
            match frame["type"].as_str() {
                Some("ping") => self.say(&json!({"type": "pong", "ref": frame["ref"]})),
                Some("pong") => {}
                Some("disconnect") => return None,
                _ => return Some(frame),
            }
        }
    }

    /// Admits it, with this text in every field.
    pub(crate) fn welcome(&mut self, text: &str) {
        self.welcome_to(text, 0);
    }

    /// The same, with this many messages in the log.
    pub(crate) fn welcome_to(&mut self, text: &str, head: u64) {
        let token = Token::parse(self.join["token"].as_str().unwrap()).unwrap();
        let client_id = ClientId::parse(self.join["clientID"].as_str().unwrap()).unwrap();
        let (user, device) = (token.user(), token.device(&client_id));
        self.say(&json!({
            "type": "welcome", "server": text, "user": user.to_string(),
            "device": device.to_string(), "token": self.join["token"],
            "nickname": self.join["nickname"], "timestamp": TIME, "epoch": "00c0ffee00c0ffee",
            "rooms": [{"room": "lobby", "topic": text, "first": 1, "head": head, "next": head + 1}],
            "protocol": 2, "counter": 0, "limits": {
                "frame_bytes": 65536, "text_bytes": 16384, "nickname_graphemes": 32,
                "unanswered_messages": 1000, "ping_after_ms": 20000, "gone_after_ms": 45000
            }
        }));
        self.say(&json!({
            "type": "members", "room": "lobby", "version": 0, "start": true, "more": false,
            "members": [
                {"user": user.to_string(), "nickname": "carol", "since": TIME},
                {"user": MALLORY, "nickname": text, "since": TIME}
            ]
        }));
        (self.seq, self.version) = (head, 0);
    }

    /// Sends a text in every field of every frame.
    pub(crate) fn say_everywhere(&mut self, text: &str) {
        for (kind, more) in [
            ("left", json!({"reason": text})),
            ("joined", json!({})),
            ("renamed", json!({"was": text})),
            ("promoted", json!({"role": text})),
            ("promoted", json!({"role": "moderator"})),
            ("rules", json!({"topic": text, "announce": true})),
        ] {
            self.version += 1;
            let mut frame = json!({
                "type": kind, "room": "lobby", "user": MALLORY, "nickname": text,
                "timestamp": TIME, "version": self.version
            });
            frame
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            self.say(&frame);
        }
        self.message(text, text);
        self.say(&json!({"type": "error", "code": text, "message": text}));
        self.say(&json!({"type": "error", "code": "not_allowed", "message": text}));
        self.say(&json!({"type": text, "message": text, text: text}));
    }

    /// Changes the room's topic.
    pub(crate) fn topic(&mut self, topic: &str) {
        self.version += 1;
        self.say(&json!({
            "type": "rules", "room": "lobby", "user": MALLORY, "nickname": "alice",
            "timestamp": TIME, "version": self.version, "topic": topic
        }));
    }

    /// Sends a message.
    pub(crate) fn message(&mut self, nickname: &str, text: &str) {
        self.seq += 1;
        let frame = logged(self.seq, nickname, text);
        self.say(&frame);
    }
}

/// Returns a message of the log.
pub(crate) fn logged(seq: u64, nickname: &str, text: &str) -> Value {
    json!({
        "type": "message", "room": "lobby", "id": format!("{MALLORY}-{seq}"), "user": MALLORY,
        "nickname": nickname, "message": text, "timestamp": TIME, "seq": seq
    })
}
