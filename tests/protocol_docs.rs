//! `docs/PROTOCOL.md` agrees with the code: its examples are parsed and encoded again, and its
//! tables name every code, reason and limit.

use std::{
    collections::BTreeMap,
    mem::{Discriminant, discriminant},
};

use chat_tui::{
    protocol::{
        Author, Binding, Entry, EntryKind, Fingerprint, Identity, Invite, InviteId, InviteKey,
        InviteToken, MessageId, Nickname, Nonce, Person, RoomChange, RoomEvent, RoomId, RoomName,
        UserId, admin, legacy, limits,
        wire::{
            DEPARTURES, ERROR_CODES, encode_client, encode_entry, encode_server, parse_client,
            parse_server,
        },
    },
    search,
    text::Line,
};
use serde_json::Value;

const PAGE: &str = include_str!("../docs/PROTOCOL.md");

/// The lines of all blocks fenced as `json WHO`.
fn examples(who: &str) -> Vec<&'static str> {
    let fence = format!("```json {who}\n");
    let blocks = PAGE.split(fence.as_str()).skip(1);
    let lines: Vec<_> = blocks
        .flat_map(|block| block.split("```").next().unwrap_or_default().lines())
        .collect();
    assert!(!lines.is_empty(), "no example is fenced as {who}");
    lines
}

fn same(example: &str, written: &[u8]) {
    let example_value: Value = serde_json::from_str(example).expect(example);
    let written_value: Value = serde_json::from_slice(written).expect(example);
    assert_eq!(example_value, written_value, "{example}");
}

#[test]
fn client_examples_are_what_a_client_writes() {
    for example in examples("client") {
        let frame = parse_client(example.as_bytes()).expect(example);
        let mut written = Vec::new();
        encode_client(&frame, &mut written);
        same(example, &written);
    }
}

#[test]
fn server_examples_are_what_a_server_writes() {
    for example in examples("server") {
        let frame = parse_server(example.as_bytes()).expect(example);
        let mut written = Vec::new();
        encode_server(&frame, &mut written);
        same(example, &written);
    }
}

#[test]
fn a_fields_name_stands_for_one_kind_of_value() {
    fn visit(value: &Value, kinds: &mut BTreeMap<String, Discriminant<Value>>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let kind = *kinds.entry(name.clone()).or_insert(discriminant(value));
                    assert!(kind == discriminant(value), "{name}: {value}");
                    visit(value, kinds);
                }
            }
            Value::Array(list) => list.iter().for_each(|value| visit(value, kinds)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut kinds = BTreeMap::new();
    for example in examples("client").into_iter().chain(examples("server")) {
        visit(&serde_json::from_str(example).expect(example), &mut kinds);
    }
}

#[test]
fn every_type_has_an_example() {
    let (client, server) = (examples("client").join(""), examples("server").join(""));
    for kind in ["read", "inbox"] {
        for side in [&client, &server] {
            assert!(side.contains(&format!(r#"{{"type":"{kind}""#)), "{kind}");
        }
    }
    let all = client + &server;
    for kind in [
        "join",
        "challenge",
        "proof",
        "command",
        "result",
        "promoted",
        "rules",
        "message",
        "entry",
        "changes",
        "withdraw",
        "nick",
        "ping",
        "pong",
        "disconnect",
        "welcome",
        "history",
        "search",
        "found",
        "members",
        "joined",
        "left",
        "renamed",
        "ack",
        "error",
        "bye",
        "rooms",
        "room",
        "room_left",
        "watch",
        "read",
        "prefer",
        "list_rooms",
        "room_list",
        "list_people",
        "people",
        "inbox",
    ] {
        assert!(
            all.contains(&format!(r#"{{"type":"{kind}""#)),
            "{kind} has no example"
        );
    }
}

#[test]
fn basic_examples_are_read() {
    for example in examples("legacy-client") {
        parse_client(example.as_bytes()).expect(example);
    }
    for example in examples("legacy-server") {
        let object = legacy::parse_from_server(example.as_bytes()).expect(example);
        let value: Value = serde_json::from_str(example).expect(example);
        let field = |name: &str| value[name].as_str().expect(example);
        let written = match object {
            legacy::FromServer::Message { .. } => {
                legacy::to_client(field("nickname"), field("message"), field("timestamp")).remove(0)
            }
            legacy::FromServer::Error { message } => legacy::error_to_client(message.as_str()),
        };
        same(example, &written);
    }
}

/// Returns the values of a block fenced as `vector WHAT`, by their names.
fn vector(what: &str) -> impl Fn(&str) -> &'static str {
    let fence = format!("```vector {what}\n");
    let block = PAGE.split(fence.as_str()).nth(1).expect("a vector");
    let block = block.split("```").next().unwrap_or_default();
    move |name| {
        let value = |line: &'static str| {
            let (found, value) = line.split_once(' ')?;
            (found == name).then_some(value.trim())
        };
        block.lines().find_map(value).expect("a value")
    }
}

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    let pair = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hexadecimal");
    assert_eq!(hex.len(), 2 * N, "{hex}");
    std::array::from_fn(pair)
}

#[test]
fn the_test_vectors_are_what_the_programs_make() {
    let proof = vector("proof");
    let identity = Identity::from_seed(bytes(proof("seed")));
    assert_eq!(identity.public().to_string(), proof("key"));
    let nonce = Nonce::from_bytes(bytes(proof("nonce")));
    let over_tls = Binding::Exporter(bytes(proof("exporter")));
    let signature = identity.prove(&over_tls, &nonce);
    assert_eq!(signature.to_string(), proof("signature"));
    let in_the_clear = Binding::Plain {
        server: Fingerprint::from_bytes(bytes(proof("server"))),
        address: proof("address").parse().expect("an address"),
    };
    let signature = identity.prove(&in_the_clear, &nonce);
    assert_eq!(signature.to_string(), proof("signature2"));

    let invite = vector("invite");
    let key = InviteKey::from_bytes(bytes(invite("secret")));
    let number = |name| invite(name).parse::<u64>().expect("a number");
    let uses = u16::try_from(number("uses")).expect("a small number");
    let id = InviteId::from_bytes(bytes(invite("id")));
    let token = InviteToken::mint(&key, id, number("expires"), uses);
    assert_eq!(token.expose(), invite("token"));
    let whole = Invite {
        host: "chat.example.org".to_owned(),
        port: 10_500,
        fingerprint: Fingerprint::from_bytes(bytes(invite("fingerprint"))),
        token,
    };
    assert_eq!(whole.expose(), invite("invite"));
}

#[test]
fn the_ids_of_rooms_are_what_the_programs_compute() {
    let rooms = vector("rooms");
    let name = RoomName::parse(rooms("name")).expect("a name");
    let user = |name| UserId::parse(rooms(name)).expect("an id");
    let (one, other) = (user("one"), user("other"));
    for (what, id) in [
        ("first", RoomId::named(&name, 0)),
        ("second", RoomId::named(&name, 1)),
        ("direct", RoomId::direct(&[other, one])),
        ("notes", RoomId::direct(&[one])),
    ] {
        assert_eq!(id.to_string(), rooms(what), "{what}");
    }
}

#[test]
fn the_table_of_events_names_every_change() {
    let person = || Person {
        user: UserId::from_bytes([1; 12]),
        nickname: Nickname::parse("carol").expect("a nickname"),
    };
    let name = RoomName::parse("build").expect("a name");
    for change in [
        RoomChange::Joined,
        RoomChange::Left,
        RoomChange::Invited(person()),
        RoomChange::Removed(person()),
        RoomChange::Created,
        RoomChange::Renamed(name),
        RoomChange::Topic(Some(Line::inert("x"))),
        RoomChange::Archived,
        RoomChange::Unarchived,
    ] {
        let event = RoomEvent {
            change,
            alt: Line::inert("x"),
        };
        let entry = Entry {
            room: RoomId::LOBBY,
            seq: 1,
            id: MessageId::parse("010101010101010101010101-1").expect("an id"),
            author: Author {
                user: UserId::from_bytes([1; 12]),
                nickname: Nickname::parse("carol").expect("a nickname"),
                proven: true,
            },
            time: jiff::Timestamp::UNIX_EPOCH,
            clock_was: None,
            kind: EntryKind::Event(Box::new(event)),
        };
        let mut frame = Vec::new();
        encode_entry(&entry, &mut frame);
        let frame: Value = serde_json::from_slice(&frame).expect("JSON");
        let field = |name: &str| frame[name].as_str().expect(name).to_owned();
        let fields = ["who", "name", "topic"].map(|name| format!("`{name}`"));
        let fields = fields
            .iter()
            .filter(|name| frame.get(name.trim_matches('`')).is_some());
        let fields: Vec<_> = fields.map(String::as_str).collect();
        let fields = match &*fields {
            [] => " ".to_owned(),
            some => format!(" {} ", some.join(", ")),
        };
        let row = format!("\n| `{}` | `{}` |{fields}|", field("kind"), field("change"));
        assert!(PAGE.contains(&row), "the table of events lacks {row}");
    }
}

#[test]
fn tables_name_every_code_and_reason() {
    for (_, name) in ERROR_CODES {
        assert!(
            PAGE.contains(&format!("\n| `{name}` |")),
            "the table of errors lacks {name}"
        );
    }
    for (_, name) in DEPARTURES {
        assert!(
            PAGE.contains(&format!("\n| `{name}` |")),
            "the table of reasons lacks {name}"
        );
    }
}

#[test]
fn the_table_of_admin_commands_is_the_one_in_the_program() {
    let table = admin::markdown();
    assert!(PAGE.contains(&table), "docs/PROTOCOL.md lacks:\n{table}");
}

/// Checks that the table of limits has this row.
fn check(row: &str, limit: impl std::fmt::Display) {
    assert!(
        PAGE.contains(&format!("\n| {row} | {limit} |")),
        "{row}: {limit}"
    );
}

/// A number as the page writes it.
fn number(n: usize) -> String {
    let digits = n.to_string();
    let split = digits.len().saturating_sub(3);
    if split == 0 {
        digits
    } else {
        format!("{},{}", &digits[..split], &digits[split..])
    }
}

#[test]
fn tables_give_the_limits_in_force() {
    check("bytes of a frame", number(limits::FRAME_BYTES_MAX));
    check("levels of a frame", number(limits::FRAME_DEPTH_MAX));
    check("bytes of a message's text", number(limits::TEXT_BYTES_MAX));
    check(
        "combining marks in a row",
        number(limits::COMBINING_MARKS_MAX),
    );
    check(
        "grapheme clusters of a nickname",
        number(limits::NICKNAME_GRAPHEMES_MAX),
    );
    check("bytes of a nickname", number(limits::NICKNAME_BYTES_MAX));
    check("bytes of a room's name", number(limits::ROOM_BYTES_MAX));
    check("bytes of a client ID", number(limits::CLIENT_ID_BYTES_MAX));
    check(
        "bytes of any other string for people",
        number(limits::LINE_BYTES_MAX),
    );
    check(
        "messages given by `last`",
        number(limits::LAST_MESSAGES_MAX.try_into().expect("small")),
    );
    check(
        "entries in a page of `history`, `changes` or `found`",
        number(limits::HISTORY_PAGE_MAX),
    );
    check(
        "bytes of the entries in such a page",
        number(limits::HISTORY_BYTES_MAX),
    );
    check("words of a `query`", number(search::TERMS_MAX));
    check("bytes of a `query`", number(search::QUERY_BYTES_MAX));
    check("members in a page", number(limits::MEMBERS_PAGE_MAX));
    check("lines of a `result`", number(limits::RESULT_LINES_MAX));
    check("bytes of a password", number(limits::PASSWORD_BYTES_MAX));
    check("bytes of an invite", number(limits::INVITE_BYTES_MAX));
    check(
        "from a frame's first byte to its last",
        format!("{} s", limits::LINE_WITHIN.as_secs()),
    );
    check(
        "messages of a device without an outcome",
        number(limits::UNANSWERED_MESSAGES_MAX),
    );
    check(
        "silence before a `ping`",
        format!("{} s", limits::PING_AFTER.as_secs()),
    );
    check(
        "silence before the other is taken for gone",
        format!("{} s", limits::GONE_AFTER.as_secs()),
    );
    check(
        "from connecting to `join`",
        format!("{} s", limits::JOIN_WITHIN.as_secs()),
    );
    check(
        "bytes of an object to or from a legacy peer",
        number(limits::LEGACY_FRAME_BYTES_MAX),
    );
    check(
        "pause between two objects to a legacy peer",
        format!("{} ms", limits::LEGACY_PAUSE.as_millis()),
    );
    check(
        "more for each other legacy client",
        format!("{} ms", limits::LEGACY_PAUSE_FOR_EACH.as_secs_f64() * 1e3),
    );
    check(
        "the same on a busy machine",
        format!("{} ms", limits::LEGACY_PAUSE_MAX.as_millis()),
    );
    check(
        "silence towards a legacy client after its `join`",
        format!("{} s", limits::LEGACY_QUIET.as_secs()),
    );
    check(
        "waiting for `welcome` before taking a server for a legacy one",
        format!("{} s", limits::LEGACY_SERVER_AFTER.as_secs()),
    );
}

#[test]
fn tables_give_the_limits_of_rooms_in_force() {
    check("rooms named in one frame", number(limits::JOIN_ROOMS_MAX));
    check("rooms of a user", number(limits::USER_ROOMS_MAX));
    check(
        "people in a direct conversation",
        number(limits::DIRECT_PEOPLE_MAX),
    );
    check("users that a text mentions", number(limits::MENTIONS_MAX));
    check(
        "exact counts of unread entries",
        format!("below {}", limits::UNREAD_COUNT_MAX),
    );
    check(
        "elements of a page of rooms or people",
        number(limits::LIST_PAGE_MAX),
    );
    check(
        "bytes of the `query` of such a page",
        number(limits::LIST_QUERY_BYTES_MAX),
    );
}
