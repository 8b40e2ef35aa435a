//! Entries of every kind, alone and on pages.

use super::*;
use crate::protocol::{
    Person, RoomChange, RoomEvent,
    entry::{ContentError, Tombstone, UnknownKind},
    frame::ChangesPage,
    wire::{encode_entry, parse_entry},
};

const TARGET: &str = "a3f1c09b7d2e4f5a6b7c8d9e-3";

/// The envelope's fields of an entry.
fn envelope(seq: u64) -> String {
    let user = UserId::from_bytes([9; 12]);
    format!(
        r#""room":"lobby","id":"{ID}","user":"{user}","nickname":"a","timestamp":"2026-11-22T09:00:00Z","seq":{seq}"#
    )
}

fn entry(fields: &str) -> Entry {
    let frame = format!("{{{},{fields}}}", envelope(1));
    match parse_server(frame.as_bytes()) {
        Ok(ServerFrame::Entry(entry)) => entry,
        other => panic!("{frame}: {other:?}"),
    }
}

fn unknown(fields: &str) -> UnknownKind {
    match entry(fields).kind {
        EntryKind::Unknown(unknown) => *unknown,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_frame_with_a_kind_is_an_entry_whatever_its_type() {
    for kind in ["message", "entry", "poll", "joined", "welcome"] {
        let found = unknown(&format!(r#""type":"{kind}","kind":"poll""#));
        assert_eq!(found.name.as_str(), "poll");
    }
    // Without one, it is what its type says.
    let frame = format!(r#"{{"type":"poll",{}}}"#, envelope(1));
    assert_eq!(parse_server(frame.as_bytes()), Ok(ServerFrame::Unknown));
    // The envelope must be whole: else nobody could count it.
    let frame = format!(r#"{{"type":"entry","kind":"poll",{}}}"#, envelope(1));
    for field in ["room", "id", "user", "nickname", "timestamp", "seq"] {
        let frame = frame.replace(&format!("\"{field}\""), "\"x\"");
        assert!(parse_server(frame.as_bytes()).is_err(), "{frame}");
    }
}

#[test]
fn an_unknown_kind_is_kept_whole_alone_and_on_a_page() {
    let frame = format!(
        r#"{{"type":"entry","kind":"poll",{},"options":["tea",{{"deep":[[1]]}}],"é":"\u00e9"}}"#,
        envelope(7)
    );
    let Ok(ServerFrame::Entry(alone)) = parse_server(frame.as_bytes()) else {
        panic!("{frame}");
    };
    let mut written = Vec::new();
    encode_server(&ServerFrame::Entry(alone.clone()), &mut written);
    assert_eq!(written, format!("{frame}\n").as_bytes());
    let head = PageHead {
        room: RoomId::LOBBY,
        extent: Extent::new(1, 9),
        from: 1,
        to: 9,
        reference: None,
    };
    let mut page = Vec::new();
    encode_history(&head, [frame.as_bytes()], &mut page);
    let Ok(ServerFrame::History(page)) = parse_server(&page) else {
        panic!("no page");
    };
    assert_eq!(page.entries, [alone]);
}

#[test]
fn an_unknown_kind_is_written_as_one_line() {
    let line = format!(
        r#"{{"type":"entry", "kind":"poll",{},"text":"a\nb"}}"#,
        envelope(7)
    );
    let alone = parse_entry(line.as_bytes()).unwrap();
    let broken = format!("{}\r\n", line.replace(", ", ",\n"));
    for frame in [format!("{line}\n"), broken] {
        let Ok(ServerFrame::Entry(read)) = parse_server(frame.as_bytes()) else {
            panic!("{frame}");
        };
        assert_eq!(read, alone, "{frame}");
        let mut written = Vec::new();
        encode_entry(&read, &mut written);
        assert_eq!(written, format!("{line}\n").as_bytes());
    }
}

#[test]
fn generic_fields_mean_the_same_in_every_kind() {
    let plain = unknown(r#""type":"entry","kind":"poll""#);
    assert_eq!(
        (plain.target, plain.erases, plain.counts),
        (None, false, false)
    );
    let found = unknown(&format!(
        r#""type":"entry","kind":"poll","target":"{TARGET}","erases":true,"counts":true,"alt":"tea\u001b or milk?""#
    ));
    assert_eq!(found.target, MessageId::parse(TARGET).ok());
    assert!(found.erases && found.counts);
    // What is shown is harmless.
    let alt = found.alt.unwrap();
    assert!(!alt.as_str().contains('\u{1b}'), "{alt:?}");
    // A known kind that lacks what it needs is one that we don't know.
    for kind in ["edit", "redaction"] {
        let found = unknown(&format!(
            r#""type":"entry","kind":"{kind}","target":"no id""#
        ));
        assert_eq!((found.name.as_str(), found.target), (kind, None));
    }
}

#[test]
fn every_kind_is_read_as_it_was_written() {
    let target = MessageId::parse(TARGET).unwrap();
    let by = Some(Nickname::parse("mod").unwrap());
    let mentions = Mentions {
        users: vec![UserId::from_bytes([3; 12]), UserId::from_bytes([4; 12])],
        everyone: false,
    };
    let everyone = Mentions {
        users: Vec::new(),
        everyone: true,
    };
    for kind in [
        EntryKind::Text(Text {
            body: Body::inert("x"),
            mentions: mentions.clone(),
            edited: Some(9),
        }),
        EntryKind::Text(Text {
            body: Body::inert("x"),
            mentions: everyone.clone(),
            edited: None,
        }),
        EntryKind::Edit {
            target,
            body: Some(Body::inert("y\nz")),
            mentions: Mentions {
                everyone: true,
                ..mentions
            },
        },
        EntryKind::Edit {
            target,
            body: None,
            mentions: Mentions::NONE,
        },
        EntryKind::Redaction {
            target,
            reason: Some(Line::inert("wrong room")),
        },
        EntryKind::Redaction {
            target,
            reason: None,
        },
        EntryKind::Tombstone(Tombstone {
            redacted: 4,
            by: None,
            kind: None,
        }),
        EntryKind::Tombstone(Tombstone {
            redacted: 4,
            by,
            kind: Some(Line::inert("poll")),
        }),
    ] {
        let entry = Entry {
            kind,
            ..stored(3, "x")
        };
        let mut frame = Vec::new();
        encode_entry(&entry, &mut frame);
        assert_eq!(parse_entry(&frame), Ok(entry.clone()));
        let changes = ServerFrame::Changes(ChangesPage {
            head: PageHead {
                room: RoomId::LOBBY,
                extent: Extent::new(1, 9),
                from: 1,
                to: 3,
                reference: Some(1),
            },
            through: 9,
            more: true,
            entries: vec![entry],
        });
        assert_eq!(through_server(&changes), changes);
    }
}

#[test]
fn every_event_of_a_room_is_read_as_it_was_written() {
    let bob = || Person {
        user: UserId::from_bytes([3; 12]),
        nickname: Nickname::parse("bob \"b\"").unwrap(),
    };
    for change in [
        RoomChange::Joined,
        RoomChange::Left,
        RoomChange::Invited(bob()),
        RoomChange::Removed(bob()),
        RoomChange::Created,
        RoomChange::Renamed(RoomName::parse("build").unwrap()),
        RoomChange::Topic(Some(Line::inert("release day"))),
        RoomChange::Topic(None),
        RoomChange::Archived,
        RoomChange::Unarchived,
    ] {
        let kind = EntryKind::Event(Box::new(RoomEvent {
            change,
            alt: Line::inert("alice has done something"),
        }));
        let entry = Entry {
            kind,
            ..stored(3, "x")
        };
        let mut frame = Vec::new();
        encode_entry(&entry, &mut frame);
        assert_eq!(parse_entry(&frame), Ok(entry.clone()));
        assert_eq!(entry.words(), "alice has done something");
        assert!(entry.is_shown() && !entry.counts());
    }
}

#[test]
fn an_event_that_this_build_does_not_know_stays_whole() {
    let user = UserId::from_bytes([3; 12]);
    for (kind, fields) in [
        (
            "membership",
            r#""change":"knocked","alt":"bob knocked","door":1"#.to_owned(),
        ),
        (
            "room",
            r#""change":"painted","alt":"the room is blue","colour":"blue""#.to_owned(),
        ),
        // A change of the other kind.
        ("room", r#""change":"joined","alt":"x""#.to_owned()),
        ("membership", r#""change":"created","alt":"x""#.to_owned()),
        // A change without what it needs.
        ("membership", r#""alt":"x""#.to_owned()),
        (
            "membership",
            r#""change":"invited","alt":"x","name":"bob""#.to_owned(),
        ),
        (
            "membership",
            r#""change":"invited","alt":"x","who":"bob","name":"bob""#.to_owned(),
        ),
        (
            "membership",
            format!(r#""change":"removed","alt":"x","who":"{user}""#),
        ),
        ("room", r#""change":"renamed","alt":"x""#.to_owned()),
        (
            "room",
            r#""change":"renamed","alt":"x","name":"Not A Name""#.to_owned(),
        ),
        // Without words there would be nothing to show.
        ("membership", r#""change":"joined""#.to_owned()),
        ("membership", r#""change":"joined","alt":"""#.to_owned()),
    ] {
        let frame = format!(
            r#"{{"type":"entry","kind":"{kind}",{},{fields}}}"#,
            envelope(7)
        );
        let read = parse_entry(frame.as_bytes()).expect(&frame);
        assert!(matches!(read.kind, EntryKind::Unknown(_)), "{frame}");
        let mut written = Vec::new();
        encode_entry(&read, &mut written);
        assert_eq!(written, format!("{frame}\n").as_bytes());
    }
}

#[test]
fn an_event_shows_nothing_harmful() {
    let user = UserId::from_bytes([3; 12]);
    let found = entry(&format!(
        r#""type":"entry","kind":"membership","change":"invited","who":"{user}","name":"b\u001bob","alt":"a\u001b[2J invited bob""#
    ));
    let EntryKind::Event(event) = &found.kind else {
        panic!("{found:?}");
    };
    let RoomChange::Invited(person) = &event.change else {
        panic!("{event:?}");
    };
    assert_eq!(person.user, user);
    assert!(!person.nickname.as_str().contains('\u{1b}'));
    assert!(!found.words().contains('\u{1b}'));
}

#[test]
fn a_text_mentions_at_most_a_hundred_users_and_no_one_who_is_no_id() {
    let user = |n: usize| format!("\"{n:024x}\"");
    let frame = |users: &str| {
        format!(
            r#"{{"type":"message",{},"message":"x","mentions":[{users}]}}"#,
            envelope(1)
        )
    };
    let list = |count| (0..count).map(user).collect::<Vec<_>>().join(",");
    let read = parse_entry(frame(&list(MENTIONS_MAX)).as_bytes()).unwrap();
    assert_eq!(read.mentions().users.len(), MENTIONS_MAX);
    assert!(parse_entry(frame(&list(MENTIONS_MAX + 1)).as_bytes()).is_err());
    let read = parse_entry(frame(&format!("\"@bob\",{}", user(5))).as_bytes()).unwrap();
    let five = UserId::parse(user(5).trim_matches('"')).unwrap();
    assert_eq!(read.mentions().users, [five]);
    assert!(read.mentions().include(five) && !read.mentions().everyone);
    // What a client writes of its own is ignored: the server finds whom a text mentions.
    let sent = format!(
        r#"{{"type":"message","id":"{ID}","message":"x","mentions":[{}],"everyone":true}}"#,
        user(5)
    );
    let Ok(ClientFrame::Submit(submission)) = parse_client(sent.as_bytes()) else {
        panic!("{sent}");
    };
    assert_eq!(submission.content, Ok(Content::Text(Body::inert("x"))));
}

#[test]
fn nothing_of_an_erased_entry_is_in_its_frame() {
    let found = entry(r#""type":"message","message":"secret","redacted":4"#);
    let mut frame = Vec::new();
    encode_entry(&found, &mut frame);
    let frame = String::from_utf8(frame).unwrap();
    assert!(!frame.contains("secret"), "{frame}");
}

#[test]
fn what_carries_an_id_uses_up_its_counter_whatever_it_is() {
    for frame in [
        format!(r#"{{"type":"entry","kind":"poll","id":"{ID}"}}"#),
        format!(r#"{{"type":"dance","id":"{ID}"}}"#),
        format!(r#"{{"type":"entry","id":"{ID}"}}"#),
    ] {
        match parse_client(frame.as_bytes()) {
            Ok(ClientFrame::Submit(submission)) => {
                assert_eq!(submission.id, MessageId::parse(ID).ok());
                assert_eq!(submission.content, Err(ContentError::Kind), "{frame}");
            }
            other => panic!("{frame}: {other:?}"),
        }
    }
    let refused = parse_client(br#"{"type":"dance","ref":3}"#).unwrap_err();
    assert!(!refused.fatal());
}

#[test]
fn a_target_is_an_id() {
    for kind in ["edit", "redaction"] {
        let frame = format!(
            r#"{{"type":"entry","kind":"{kind}","id":"{ID}","target":"413","message":"x"}}"#
        );
        match parse_client(frame.as_bytes()) {
            Ok(ClientFrame::Submit(submission)) => {
                assert_eq!(submission.content, Err(ContentError::Target));
            }
            other => panic!("{frame}: {other:?}"),
        }
    }
}
