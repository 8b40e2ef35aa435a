//! A conversation with edited and deleted messages, and entries of an unknown kind.

use chat_tui::{
    protocol::{
        Author, Content, DeviceId, Entry, EntryKind, Mentions, MessageId, RoomId,
        entry::{Text, UnknownKind},
    },
    text::{Body, Line},
};

/// The number of the last entry.
pub(crate) const HEAD: u64 = 19;

/// The entries of the conversation, in order.
pub(crate) fn conversation() -> Vec<Entry> {
    let text = |seq, minutes, who, text| entry(seq, minutes, who, self::text(text));
    let edit = |seq, minutes, who, target, text| {
        let (target, body) = (id(target), Some(Body::inert(text)));
        entry(
            seq,
            minutes,
            who,
            EntryKind::Edit {
                target,
                body,
                mentions: Mentions::NONE,
            },
        )
    };
    let delete = |seq, minutes, who, target| {
        let (target, reason) = (id(target), None);
        entry(seq, minutes, who, EntryKind::Redaction { target, reason })
    };
    vec![
        text(1, -90, "alice", "morning! did the release build pass?"),
        text(2, -89, "bob", "yes: 213 tests, 0 failures"),
        text(3, -89, "bob", "the token is 8f14e45fceea167a"),
        text(4, -60, "erin", "BUY CHEAP PILLS http://pills.example/"),
        text(5, -50, "春子", "日本語の表示も問題ないです"),
        text(6, -50, "春子", "全角と half width"),
        poll(
            7,
            -40,
            "alice",
            Some("poll: when do we tag it? (3 answers)"),
        ),
        poll(8, -39, "maximilian_van_der_berg", None),
        text(9, -20, "alice", "@carol can you tag it?"),
        text(10, -19, "bob", "fn main() {\n    println!(\"helo\");\n}"),
        text(11, -3, "carol", "on it"),
        text(12, -2, "carol", "dnoe, and pushed"),
        text(13, -2, "carol", "wrong window, sorry"),
        edit(
            14,
            -2,
            "bob",
            2,
            "yes: 214 tests, 0 failures; the log is at https://ci.lan/run/88",
        ),
        delete(15, -2, "bob", 3),
        delete(16, -2, "alice", 4),
        edit(
            17,
            -2,
            "春子",
            6,
            "全角と half width が混ざっても列がずれないはずです。長い文でも言葉の途中で変なところで折り返さない。",
        ),
        edit(
            18,
            -1,
            "bob",
            10,
            "fn main() {\n    println!(\"hello\");\n}",
        ),
        delete(HEAD, -1, "carol", 13),
    ]
}

/// The entry of an edit or deletion that was just made.
pub(crate) fn change(seq: u64, content: &Content) -> Option<Entry> {
    let kind = match content.clone() {
        Content::Text(_) => return None,
        Content::Edit { target, body } => EntryKind::Edit {
            target,
            body: Some(body),
            mentions: Mentions::NONE,
        },
        Content::Redaction { target, reason } => EntryKind::Redaction { target, reason },
    };
    Some(entry(seq, 0, "carol", kind))
}

fn entry(seq: u64, minutes: i64, who: &str, kind: EntryKind) -> Entry {
    Entry {
        room: RoomId::LOBBY,
        seq,
        id: id(seq),
        author: Author {
            user: super::user(who),
            nickname: super::nickname(who),
            proven: true,
        },
        time: super::ago(minutes),
        clock_was: None,
        kind,
    }
}

fn id(seq: u64) -> MessageId {
    MessageId {
        device: DeviceId::from_bytes([1; 12]),
        counter: seq,
    }
}

/// A message's text.
pub(crate) fn text(text: &str) -> EntryKind {
    EntryKind::Text(Text {
        body: Body::inert(text),
        mentions: Mentions::NONE,
        edited: None,
    })
}

fn poll(seq: u64, minutes: i64, who: &str, alt: Option<&str>) -> Entry {
    let kind = EntryKind::Unknown(Box::new(UnknownKind {
        name: Line::inert("poll"),
        target: None,
        erases: false,
        counts: true,
        alt: alt.map(Line::inert),
        raw: "{}".into(),
    }));
    entry(seq, minutes, who, kind)
}
