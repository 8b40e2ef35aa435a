//! Every documented limit: a value at it is accepted, one past it is refused.

use chat_tui::protocol::limits::{
    CLIENT_ID_BYTES_MAX, COMBINING_MARKS_MAX, EMOJI_JOINERS_MAX, FRAME_BYTES_MAX, FRAME_DEPTH_MAX,
    INVITE_BYTES_MAX, JOIN_ROOMS_MAX, LINE_BYTES_MAX, NICKNAME_BYTES_MAX, NICKNAME_GRAPHEMES_MAX,
    NUMBER_MAX, PASSWORD_BYTES_MAX, ROOM_BYTES_MAX, TEXT_BYTES_MAX,
};
use serde_json::{Value, json};

use crate::{
    bounds,
    pair::Pair,
    peer::{Peer, join},
    process::Server,
};

/// Builds a frame of a length.
type Build = fn(usize) -> String;

/// Builds a field's value of a length.
type Field = fn(usize) -> Value;

/// The answer to a frame.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// A frame of this type.
    Type(&'static str),
    /// An error after which the connection stays open.
    Error(&'static str),
    /// An error that ends the connection.
    End(&'static str),
}

use Answer::{End, Error, Type};

fn x(count: usize) -> String {
    "x".repeat(count)
}

/// A member's frames: the limit, and the answers at it and past it.
const FRAMES: &[(&str, usize, Build, Answer, Answer)] = &[
    (
        "frame bytes",
        FRAME_BYTES_MAX,
        |bytes| {
            let around = r#"{"type":"ping","x":""}"#.len();
            format!(r#"{{"type":"ping","x":"{}"}}"#, x(bytes - around))
        },
        Type("pong"),
        End("malformed"),
    ),
    (
        "blanks in a frame",
        FRAME_BYTES_MAX,
        |bytes| {
            let around = r#"{"type":"ping"}"#.len();
            format!(r#"{{"type":"ping"{}}}"#, " ".repeat(bytes - around))
        },
        Type("pong"),
        End("malformed"),
    ),
    (
        "levels",
        FRAME_DEPTH_MAX,
        |levels| {
            let inner = levels - 1;
            let (open, close) = ("[".repeat(inner), "]".repeat(inner));
            format!(r#"{{"type":"ping","x":{open}{close}}}"#)
        },
        Type("pong"),
        End("malformed"),
    ),
    (
        "numbers",
        0,
        |over| format!(r#"{{"type":"ping","ref":{}}}"#, NUMBER_MAX + over as u64),
        Type("pong"),
        End("malformed"),
    ),
    (
        "bytes of a text",
        TEXT_BYTES_MAX,
        |bytes| json!({"type": "message", "message": x(bytes)}).to_string(),
        Type("message"),
        Error("bad_text"),
    ),
    (
        "bytes of a nickname",
        NICKNAME_BYTES_MAX,
        |bytes| {
            // Letters of four bytes, and of one.
            let name = format!("{}{}", "𐌰".repeat(bytes / 4), x(bytes % 4));
            json!({"type": "nick", "nickname": name}).to_string()
        },
        Type("nick"),
        Error("bad_nickname"),
    ),
    (
        "clusters of a nickname",
        NICKNAME_GRAPHEMES_MAX,
        |count| json!({"type": "nick", "nickname": x(count)}).to_string(),
        Type("nick"),
        Error("bad_nickname"),
    ),
    (
        "bytes of a room",
        ROOM_BYTES_MAX,
        |bytes| json!({"type": "history", "room": x(bytes)}).to_string(),
        Error("no_such_room"),
        Error("no_such_room"),
    ),
    (
        "words of a query",
        8,
        |count| json!({"type": "search", "query": "a ".repeat(count)}).to_string(),
        Type("found"),
        Error("bad_field"),
    ),
    (
        "bytes of a query",
        256,
        |bytes| json!({"type": "search", "query": x(bytes)}).to_string(),
        Type("found"),
        Error("bad_field"),
    ),
    (
        "bytes of a reason",
        LINE_BYTES_MAX,
        |bytes| {
            let reason = x(bytes);
            json!({"type": "command", "command": "kick", "nickname": "anna", "reason": reason})
                .to_string()
        },
        Error("not_allowed"),
        Error("not_allowed"),
    ),
    (
        "bytes of a topic",
        LINE_BYTES_MAX,
        |bytes| json!({"type": "command", "command": "topic", "topic": x(bytes)}).to_string(),
        Error("not_allowed"),
        Error("not_allowed"),
    ),
];

/// Fields of a join: the limit, and the value.
const JOINS: &[(&str, &str, usize, Field, Answer)] = &[
    (
        "client ID",
        "clientID",
        CLIENT_ID_BYTES_MAX,
        |bytes| x(bytes).into(),
        End("bad_field"),
    ),
    (
        "nickname",
        "nickname",
        NICKNAME_GRAPHEMES_MAX,
        |count| x(count).into(),
        End("bad_nickname"),
    ),
    (
        "agent",
        "agent",
        LINE_BYTES_MAX,
        |bytes| x(bytes).into(),
        Type("welcome"),
    ),
    (
        "rooms",
        "rooms",
        JOIN_ROOMS_MAX,
        |count| {
            (0..count)
                .map(|n| json!({"room": format!("r{n}"), "seq": 1}))
                .collect()
        },
        End("malformed"),
    ),
    ("last", "last", 1_000, |last| last.into(), Type("welcome")),
    (
        "next",
        "next",
        0,
        // One more than a device may be ahead of the log.
        |over| ((1 << 24) + 1 + over as u64).into(),
        End("bad_id"),
    ),
    (
        "password",
        "password",
        PASSWORD_BYTES_MAX,
        |bytes| x(bytes).into(),
        End("bad_field"),
    ),
    (
        "token",
        "token",
        64,
        |digits| "a".repeat(digits).into(),
        End("bad_field"),
    ),
    (
        "epoch",
        "epoch",
        16,
        |digits| "a".repeat(digits).into(),
        End("bad_field"),
    ),
];

fn check(peer: &mut Peer, answer: Answer, why: &str) {
    match answer {
        Type(kind) => {
            let frame = loop {
                let frame = peer.frame();
                if frame["type"] == kind || frame["type"] == "error" {
                    break frame;
                }
            };
            assert_eq!(frame["type"], kind, "{why}: {frame:.300}");
        }
        Error(code) => {
            assert_eq!(peer.next("error")["code"], code, "{why}");
            peer.send(&json!({"type": "ping", "ref": 77}));
            assert_eq!(peer.next("pong")["ref"], 77, "{why}");
        }
        End(code) => peer.is_refused(code, why),
    }
}

#[test]
fn at_every_limit_and_one_past_it() {
    let mut server = Server::start(&[]);
    let pair = Pair::start(server.address);
    // Each is another user: the one before may not have left yet.
    let mut count_of = 0_u32;
    let mut otto = || {
        count_of += 1;
        join(&format!("otto{count_of}"))
    };
    let joined = |secure: bool, wish: &Value| {
        let to = server.address;
        let mut peer = if secure {
            Peer::secure(to)
        } else {
            Peer::plain(to)
        };
        peer.send(wish);
        peer.next("members");
        peer
    };
    for secure in [false, true] {
        for (what, limit, build, at, past) in FRAMES {
            for (count, answer) in [(*limit, at), (limit + 1, past)] {
                let mut peer = joined(secure, &otto());
                peer.write(build(count));
                check(&mut peer, *answer, &format!("{what}: {count}"));
            }
        }
    }
    for (what, field, limit, build, past) in JOINS {
        for (count, answer) in [(*limit, &Type("welcome")), (limit + 1, past)] {
            let mut peer = Peer::plain(server.address);
            let mut wish = otto();
            wish[*field] = build(count);
            peer.send(&wish);
            check(&mut peer, *answer, &format!("{what} of a join: {count}"));
        }
    }
    // No invite's token is that long.
    for bytes in [INVITE_BYTES_MAX, INVITE_BYTES_MAX + 1] {
        let mut peer = Peer::plain(server.address);
        let mut wish = join("otto");
        wish["invite"] = x(bytes).into();
        peer.send(&wish);
        peer.is_refused("bad_field", bytes);
    }
    // A text of a message with an id is refused for its contents.
    let mut peer = Peer::plain(server.address);
    peer.send(&join("otto"));
    let device = peer.frame()["device"].as_str().unwrap().to_owned();
    let marks = |count| format!("x{}", "\u{301}".repeat(count));
    let joined = |joiners| format!("👩{}", "\u{200d}👩".repeat(joiners));
    let texts = [
        (x(TEXT_BYTES_MAX), x(TEXT_BYTES_MAX + 1)),
        (marks(COMBINING_MARKS_MAX), marks(COMBINING_MARKS_MAX + 1)),
        (joined(EMOJI_JOINERS_MAX), joined(EMOJI_JOINERS_MAX + 1)),
    ];
    let mut counter = 0;
    for (fit, unfit) in texts {
        for (text, answer) in [(fit, Type("message")), (unfit, Error("bad_text"))] {
            counter += 1;
            let id = format!("{device}-{counter}");
            peer.send(&json!({"type": "message", "id": id, "message": text}));
            check(&mut peer, answer, &id);
        }
    }
    pair.ends_unharmed("oversize");
    server.has_borne_it("oversize", bounds::FEW);
}
