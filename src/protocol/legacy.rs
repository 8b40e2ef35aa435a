//! The format of legacy clients and servers: JSON objects back to back, of four fields each.
//!
//! A legacy peer takes whatever one `recv(1024)` returns for exactly one object. So an object sent
//! to one has at most [`LEGACY_FRAME_BYTES_MAX`] bytes, and the sender leaves
//! [`super::limits::LEGACY_PAUSE`] between two ([`Spacing`]). [`super::wire::parse_client`] reads
//! the frames of legacy clients too.

use std::borrow::Cow;

use jiff::{Timestamp, tz::TimeZone};
use unicode_segmentation::UnicodeSegmentation;

use super::{
    limits::LEGACY_FRAME_BYTES_MAX,
    name::{ClientId, MessageId, Nickname},
    wire::{Flat, Str, read_flat, write},
};
use crate::text::{Body, Line};

mod spacing;
pub use spacing::Spacing;

/// The error that makes a legacy client ask for another nickname.
pub const NICKNAME_IN_USE: &str = "Nickname already in use";

/// A time as legacy programs write it: in the sender's zone, which it does not name.
pub fn timestamp(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone())
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// A message for a legacy client, split into as many objects as it needs.
pub fn to_client(nickname: &str, text: &str, timestamp: &str) -> Vec<Vec<u8>> {
    let frame = |text| Flat {
        nickname: Some(nickname.into()),
        message: Some(text),
        timestamp: Some(timestamp.into()),
        ..Flat::of("message")
    };
    let room = LEGACY_FRAME_BYTES_MAX.saturating_sub(encoded(&frame("".into())).len());
    split(text, room)
        .map(|part| encoded(&frame(part.into())))
        .collect()
}

/// An error for a legacy client, which understands only [`NICKNAME_IN_USE`].
pub fn error_to_client(message: &str) -> Vec<u8> {
    let empty = encoded(&Flat {
        message: Some("".into()),
        ..Flat::of("error")
    })
    .len();
    let message = split(message, LEGACY_FRAME_BYTES_MAX - empty)
        .next()
        .unwrap_or_default();
    encoded(&Flat {
        message: Some(message.into()),
        ..Flat::of("error")
    })
}

/// A message for a legacy server. The server relays the object unchanged, so it holds everything
/// that a legacy client reads. `id` is for a server that turns out to know ids; `None` where the
/// text is a part of a message, because such a server must not store a part as the whole.
///
/// The text must be one of the parts that [`split_for_server`] returns.
pub fn submission(
    id: Option<MessageId>,
    nickname: &Nickname,
    text: &str,
    timestamp: &str,
) -> Vec<u8> {
    let id = id.map(|id| id.to_string());
    encoded(&Flat {
        nickname: Some(nickname.as_str().into()),
        message: Some(text.into()),
        timestamp: Some(timestamp.into()),
        id: id.as_deref().map(Into::into),
        ..Flat::of("message")
    })
}

/// Splits a text into parts that fit into one object each for a legacy server, with any id and
/// nickname.
pub fn split_for_server(text: &str) -> impl Iterator<Item = &str> {
    // Escaping may double the longest nickname; the other fields have fixed lengths.
    const ENVELOPE: usize = 2 * super::limits::NICKNAME_BYTES_MAX + 160;
    split(text, LEGACY_FRAME_BYTES_MAX - ENVELOPE)
}

/// A `disconnect` for a legacy server.
pub fn disconnect(nickname: &Nickname, client_id: &ClientId) -> Vec<u8> {
    encoded(&Flat {
        nickname: Some(nickname.as_str().into()),
        client_id: Some(client_id.as_str().into()),
        ..Flat::of("disconnect")
    })
}

/// A frame from a legacy server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromServer {
    /// A user's message.
    Message {
        /// The sender's nickname; an invalid one is shown as `?`.
        nickname: Nickname,
        /// The text, inert.
        body: Body,
    },
    /// A refusal.
    Error {
        /// The server's sentence.
        message: Line,
    },
}

/// Reads an object from a legacy server: a `message` without a number, an `error` without a code.
/// `None` for anything else.
pub fn parse_from_server(frame: &[u8]) -> Option<FromServer> {
    let flat = read_flat(frame).ok()?;
    let message = flat.message.as_ref()?.as_str();
    match flat.kind.as_ref()?.as_str() {
        "message" if flat.seq.is_none() => Some(FromServer::Message {
            nickname: Nickname::inert(flat.nickname.as_ref().map_or("", Str::as_str)),
            body: Body::inert(message),
        }),
        "error" if flat.code.is_none() => Some(FromServer::Error {
            message: Line::inert(message),
        }),
        _ => None,
    }
}

fn encoded(flat: &Flat<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write(flat, &mut out);
    out.pop(); // The newline: these programs send none.
    out
}

/// Bytes that a character takes in a JSON string.
fn escaped_len(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\t' | '\r' | '\u{8}' | '\u{c}' => 2,
        c if c < ' ' => 6,
        c => c.len_utf8(),
    }
}

/// Splits a text into parts of at most `room` bytes once escaped, between grapheme clusters where
/// those fit, between characters otherwise. An empty text is one empty part.
fn split(text: &str, room: usize) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let end = part_end(text, room);
        if end < text.len() {
            rest = Some(&text[end..]);
        }
        Some(&text[..end])
    })
}

fn part_end(text: &str, room: usize) -> usize {
    let mut used = 0;
    for (at, cluster) in text.grapheme_indices(true) {
        let length: usize = cluster.chars().map(escaped_len).sum();
        if used + length > room {
            if at > 0 {
                return at;
            }
            return first_chars_end(cluster, room);
        }
        used += length;
    }
    text.len()
}

/// The end of the first part of a cluster that is longer than `room`; at least one character.
fn first_chars_end(cluster: &str, room: usize) -> usize {
    let mut used = 0;
    for (at, c) in cluster.char_indices() {
        used += escaped_len(c);
        if used > room && at > 0 {
            return at;
        }
    }
    cluster.len()
}

/// The text that tells a legacy client how many messages it missed.
pub fn left_out(count: u64) -> Cow<'static, str> {
    match count {
        1 => "1 message was left out: you were too far behind".into(),
        _ => format!("{count} messages were left out: you were too far behind").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads an object as a legacy client does: exactly the four fields.
    fn read(frame: &[u8]) -> (String, String, String) {
        assert!(
            frame.len() <= LEGACY_FRAME_BYTES_MAX,
            "{} bytes",
            frame.len()
        );
        let value: serde_json::Value = serde_json::from_slice(frame).unwrap();
        let object = value.as_object().unwrap();
        assert_eq!(object.len(), 4);
        assert_eq!(object["type"], "message");
        let field = |name: &str| object[name].as_str().unwrap().to_owned();
        (field("nickname"), field("message"), field("timestamp"))
    }

    #[test]
    fn a_short_message_is_one_object() {
        let frames = to_client("alice", "hello\n\"you\"", "2026-11-22 09:22:23");
        assert_eq!(frames.len(), 1);
        assert_eq!(
            read(&frames[0]),
            (
                "alice".into(),
                "hello\n\"you\"".into(),
                "2026-11-22 09:22:23".into()
            )
        );
    }

    #[test]
    fn times_are_local_and_without_a_zone() {
        let time = "2026-11-22T09:22:23.9Z".parse().unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(timestamp(time, &zone), "2026-11-22 11:22:23");
    }

    #[test]
    fn an_error_fits_and_keeps_its_words() {
        assert_eq!(
            error_to_client(NICKNAME_IN_USE),
            br#"{"type":"error","message":"Nickname already in use"}"#
        );
        assert!(error_to_client(&"x".repeat(5000)).len() <= LEGACY_FRAME_BYTES_MAX);
    }

    #[test]
    fn objects_of_a_legacy_server_are_read() {
        let check = |frame: &str, expected: Option<FromServer>| {
            assert_eq!(parse_from_server(frame.as_bytes()), expected, "{frame}");
        };
        let message = |nickname: &str, text: &str| {
            Some(FromServer::Message {
                nickname: Nickname::parse(nickname).unwrap(),
                body: Body::inert(text),
            })
        };
        check(
            r#"{"type": "message", "nickname": "alice", "message": "hello", "timestamp": "2026-11-22 09:22:23"}"#,
            message("alice", "hello"),
        );
        check(
            r#"{"type":"message","message":"hello"}"#,
            message("?", "hello"),
        );
        let long = "n".repeat(100);
        check(
            &format!(r#"{{"type":"message","nickname":"{long}","message":"hello"}}"#),
            message(&long[..32], "hello"),
        );
        check(
            r#"{"type": "error", "message": "Nickname already in use"}"#,
            Some(FromServer::Error {
                message: Line::inert(NICKNAME_IN_USE),
            }),
        );
        check(
            r#"{"type":"message","seq":1,"nickname":"a","message":"hello"}"#,
            None,
        );
        check(r#"{"type":"error","code":"malformed","message":"x"}"#, None);
        check(r#"{"type":"welcome"}"#, None);
        check("{", None);
    }

    proptest! {
        #[test]
        fn parts_put_together_are_the_text(text in any::<String>(), times in 1..50_usize) {
            let text = text.repeat(times);
            let frames = to_client("ali\"ce", &text, "2026-11-22 09:22:23");
            let parts: String = frames.iter().map(|frame| read(frame).1).collect();
            prop_assert_eq!(parts, text.as_str());

            let device = super::super::DeviceId::from_bytes([7; 12]);
            let id = MessageId { device, counter: super::super::limits::NUMBER_MAX };
            let nickname = Nickname::parse(&"\"".repeat(32)).unwrap();
            for part in split_for_server(&text) {
                let frame = submission(Some(id), &nickname, part, "2026-11-22 09:22:23");
                prop_assert!(frame.len() <= LEGACY_FRAME_BYTES_MAX);
            }
            prop_assert_eq!(split_for_server(&text).collect::<String>(), text);
        }
    }
}
