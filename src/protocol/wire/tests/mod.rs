//! Tests round trips, refusals, and invalid bytes.

mod admin;
mod entries;
mod rooms;

use super::*;
use crate::{
    protocol::{
        Author, Content, Entry, EntryKind, Extent, Mentions, admin::*, entry::Text, frame::*,
        invite::*, key::*, limits::*, name::*,
    },
    search::{QUERY_BYTES_MAX, Query, TERMS_MAX, Words},
    text::{Body, Line},
};
use jiff::Timestamp;
use proptest::prelude::*;
const ID: &str = "0123456789abcdef01234567-7";

/// Parses a frame's own encoding.
fn through_client(frame: &ClientFrame) -> ClientFrame {
    let mut bytes = Vec::new();
    encode_client(frame, &mut bytes);
    assert_eq!(bytes.pop(), Some(b'\n'));
    parse_client(&bytes).expect("what we write we read")
}

fn through_server(frame: &ServerFrame) -> ServerFrame {
    let mut bytes = Vec::new();
    encode_server(frame, &mut bytes);
    assert_eq!(bytes.pop(), Some(b'\n'));
    parse_server(&bytes).expect("what we write we read")
}

#[test]
fn every_field_of_a_join_arrives() {
    let join = ClientFrame::Join(Box::new(Join {
        can: Capabilities::ALL,
        protocol: Some(1),
        nickname: Nickname::parse("Zoë \"z\"").unwrap(),
        keep_nickname: true,
        client_id: ClientId::parse("3").unwrap(),
        token: Some(Token::from_bytes([0xa5; 32])),
        key: Some(PublicKey::from_bytes([0xb6; 32])),
        invite: Some(InviteToken::mint(
            &InviteKey::from_bytes([1; 32]),
            InviteId::from_bytes([2; 8]),
            1_800_000_000,
            1,
        )),
        password: Some(Password::parse("tea at 4").unwrap()),
        code: Some(DeviceCode::from_bytes([3; 5])),
        next: Some(8),
        epoch: Some(Epoch::from_bytes([1; 8])),
        enter: vec![RoomName::lobby(), RoomName::parse("build").unwrap()],
        rooms: vec![Position {
            room: RoomId::LOBBY,
            seq: 12,
            id: Some(MessageId::parse(ID).unwrap()),
        }],
        last: Some(200),
        most: Some(500),
        agent: Some(Line::inert("test 1")),
    }));
    assert_eq!(through_client(&join), join);
}

#[test]
fn the_two_joins_of_the_seed_and_of_today_are_told_apart() {
    let check = |frame: &str, protocol: Option<u64>| match parse_client(frame.as_bytes()) {
        Ok(ClientFrame::Join(join)) => {
            assert_eq!(join.protocol, protocol);
            assert_eq!(join.nickname.as_str(), "carol");
            assert_eq!(join.client_id.as_str(), "3");
        }
        other => panic!("{frame}: {other:?}"),
    };
    check(
        r#"{"type": "join", "nickname": "carol", "clientID": "3", "timestamp": "2026-11-22 09:22:21"}"#,
        None,
    );
    check(
        r#"{"type":"join","protocol":2,"nickname":" carol ","clientID":"3"}"#,
        Some(2),
    );
}

#[test]
fn a_frame_that_a_client_may_not_send_is_answered() {
    use ErrorCode::*;

    let check = |frame: &str, code: ErrorCode, fatal: bool| match parse_client(frame.as_bytes()) {
        Err(refusal) => {
            assert_eq!((refusal.code, refusal.fatal()), (code, fatal), "{frame}");
            assert!(!refusal.message.is_empty());
        }
        Ok(taken) => panic!("{frame} was taken as {taken:?}"),
    };
    check(r#"{"nickname":"x"}"#, Malformed, true);
    check(r#"{"type":"ping","type":"pong"}"#, Malformed, true);
    check(r#"{"type":"ping","ref":-1}"#, Malformed, true);
    check(r#"{"type":"ping","ref":1.0}"#, Malformed, true);
    check(r#"{"type":"ping","ref":9007199254740992}"#, Malformed, true);
    check(r#"{"type":"ping",}"#, Malformed, true);
    check(r#"{"type":7}"#, Malformed, true);
    check(r#"{"type":"message","message":{}}"#, Malformed, true);
    check(r#"{"type":"dance"}"#, UnknownType, false);
    check(
        r#"{"type":"join","nickname":"","clientID":"3"}"#,
        BadNickname,
        true,
    );
    check(
        r#"{"type":"join","nickname":"a\u001bb","clientID":"3"}"#,
        BadNickname,
        true,
    );
    check(
        r#"{"type":"join","nickname":"a","clientID":""}"#,
        BadField,
        true,
    );
    check(
        r#"{"type":"join","nickname":"a","clientID":"3","token":"5"}"#,
        BadField,
        true,
    );
    check(r#"{"type":"nick","nickname":""}"#, BadNickname, false);
    check(r#"{"type":"withdraw"}"#, BadField, true);
    check(
        r#"{"type":"message","id":"7","message":"x"}"#,
        BadField,
        true,
    );
    check(
        &format!(r#"{{"type":"message","id":"{ID}","room":"No Room","message":"x"}}"#),
        NoSuchRoom,
        false,
    );
    let rooms = |count: usize| vec![r#"{"room":"a"}"#; count].join(",");
    let join = |count| {
        format!(
            r#"{{"type":"join","nickname":"a","clientID":"3","rooms":[{}]}}"#,
            rooms(count)
        )
    };
    assert!(parse_client(join(JOIN_ROOMS_MAX).as_bytes()).is_ok());
    check(&join(JOIN_ROOMS_MAX + 1), Malformed, true);
    assert_eq!(
        parse_client(b"{\"type\":\"\xff\"}").unwrap_err().code,
        Malformed
    );
}

#[test]
fn numbers_at_the_limit_are_taken() {
    assert_eq!(
        parse_client(br#"{"type":"ping","ref":9007199254740991}"#),
        Ok(ClientFrame::Ping {
            reference: Some(NUMBER_MAX)
        })
    );
}

#[test]
fn nicknames_are_counted_in_graphemes() {
    let join = |nickname: &str| {
        let frame = format!(r#"{{"type":"join","nickname":"{nickname}","clientID":"3"}}"#);
        parse_client(frame.as_bytes())
            .map(drop)
            .map_err(|refusal| refusal.code)
    };
    assert_eq!(join(&"e\u{301}".repeat(NICKNAME_GRAPHEMES_MAX)), Ok(()));
    assert_eq!(
        join(&"x".repeat(NICKNAME_GRAPHEMES_MAX + 1)),
        Err(ErrorCode::BadNickname)
    );
}

#[test]
fn a_refused_text_keeps_its_id() {
    let frame = format!(r#"{{"type":"message","id":"{ID}","message":"a\u001b[2Jb"}}"#);
    match parse_client(frame.as_bytes()) {
        Ok(ClientFrame::Submit(submission)) => {
            assert_eq!(submission.id, MessageId::parse(ID).ok());
            assert!(submission.content.is_err());
        }
        other => panic!("{other:?}"),
    }
    // A message without an id is from a legacy client, and made visible instead.
    match parse_client(br#"{"type":"message","message":"a\u001b[2Jb"}"#) {
        Ok(ClientFrame::Submit(submission)) => {
            assert!(!submission.content.unwrap().words().contains('\u{1b}'));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn unknown_fields_and_types_of_a_server_are_ignored() {
    assert_eq!(
        parse_server(br#"{"type":"pong","ref":5,"mood":{"a":[1]}}"#),
        Ok(ServerFrame::Pong { reference: Some(5) })
    );
    assert_eq!(
        parse_server(br#"{"type":"dance"}"#),
        Ok(ServerFrame::Unknown)
    );
}

#[test]
fn every_code_and_reason_has_its_own_name() {
    for (code, name) in ERROR_CODES {
        assert_eq!(error_code(name), *code);
        assert_eq!(code.to_string(), *name);
    }
    for (reason, name) in DEPARTURES {
        assert_eq!(departure(name), *reason);
        assert_eq!(reason.to_string(), *name);
    }
}

#[test]
fn a_wish_for_history_arrives() {
    let check = |words: &str, part: Part| {
        let frame = format!(r#"{{"type":"history",{words}"ref":7}}"#);
        let wish = ClientFrame::History(HistoryRequest {
            room: RoomId::LOBBY,
            part,
            reference: Some(7),
        });
        assert_eq!(parse_client(frame.as_bytes()), Ok(wish.clone()), "{words}");
        assert_eq!(through_client(&wish), wish);
    };
    let (from, to) = (3, 9);
    check(r#""from":3,"to":9,"#, Part::Forward { from, to });
    check(
        r#""from":3,"to":9,"back":false,"#,
        Part::Forward { from, to },
    );
    check(
        r#""from":3,"to":9,"back":true,"#,
        Part::Backward { from, to },
    );
    let end = NUMBER_MAX;
    check("", Part::Forward { from: 1, to: end });
    check(r#""back":true,"#, Part::Backward { from: 1, to: end });
    check(r#""from":9,"to":3,"#, Part::Forward { from: 9, to: 3 });
    let most = r#""from":9007199254740991,"to":0,"back":true,"#;
    check(most, Part::Backward { from: end, to: 0 });
    let since = Part::Since("2026-11-22T09:00:00Z".parse().unwrap());
    check(r#""since":"2026-11-22T09:00:00Z","#, since);
    check(
        r#""since":"2026-11-22T10:00:00+01:00","from":3,"back":true,"#,
        since,
    );
}

#[test]
fn a_search_arrives() {
    let query = |words: &str| Query {
        words: Words::parse(words).unwrap(),
        sender: None,
        after: None,
        before: None,
    };
    let check = |fields: &str, query: Query, to: Option<u64>| {
        let frame = format!(r#"{{"type":"search",{fields}"ref":7}}"#);
        let wish = ClientFrame::Search(SearchRequest {
            room: RoomId::LOBBY,
            query,
            to,
            reference: Some(7),
        });
        assert_eq!(parse_client(frame.as_bytes()), Ok(wish.clone()), "{fields}");
        assert_eq!(through_client(&wish), wish);
    };
    check("", query(""), None);
    check(r#""query":"Build  gre*","#, query("build gre*"), None);
    check(r#""query":"x","to":0,"#, query("x"), Some(0));
    check(
        r#""sender":"Carol","after":"2026-11-01T00:00:00Z","before":"2026-11-22T00:00:00.5Z","to":9,"#,
        Query {
            sender: Some(Nickname::parse("Carol").unwrap()),
            after: Some("2026-11-01T00:00:00Z".parse().unwrap()),
            before: Some("2026-11-22T00:00:00.5Z".parse().unwrap()),
            ..query("")
        },
        Some(9),
    );
}

#[test]
fn a_wish_that_makes_no_sense_is_refused_by_its_ref_and_the_connection_goes_on() {
    let check = |frame: &str, code: ErrorCode| {
        let refusal = parse_client(frame.as_bytes()).unwrap_err();
        let found = (refusal.code, refusal.reference, refusal.fatal());
        assert_eq!(found, (code, Some(7), false), "{frame}");
    };
    for time in [
        "",
        "yesterday",
        "2026-11-22",
        "2026-13-22T09:00:00Z",
        "99999999-01-01T00:00:00Z",
    ] {
        let history = format!(r#"{{"type":"history","since":"{time}","ref":7}}"#);
        check(&history, ErrorCode::BadField);
        let search = format!(r#"{{"type":"search","before":"{time}","ref":7}}"#);
        check(&search, ErrorCode::BadField);
        let search = format!(r#"{{"type":"search","after":"{time}","ref":7}}"#);
        check(&search, ErrorCode::BadField);
    }
    check(
        r#"{"type":"history","room":"No Room","ref":7}"#,
        ErrorCode::NoSuchRoom,
    );
    check(
        r#"{"type":"search","room":"","ref":7}"#,
        ErrorCode::NoSuchRoom,
    );
    check(
        r#"{"type":"search","sender":"a\u001bb","ref":7}"#,
        ErrorCode::BadNickname,
    );
    let search = |query: &str| format!(r#"{{"type":"search","query":"{query}","ref":7}}"#);
    let words = |count: usize| search(&vec!["x"; count].join(" "));
    assert!(parse_client(words(TERMS_MAX).as_bytes()).is_ok());
    check(&words(TERMS_MAX + 1), ErrorCode::BadField);
    assert!(parse_client(search(&"x".repeat(QUERY_BYTES_MAX)).as_bytes()).is_ok());
    check(
        &search(&"x".repeat(QUERY_BYTES_MAX + 1)),
        ErrorCode::BadField,
    );
    // An invalid number or one over the limit makes the frame malformed.
    for from in ["-1", "1.5", "\"1\"", "9007199254740992", "[]"] {
        let frame = format!(r#"{{"type":"history","from":{from}}}"#);
        assert!(
            parse_client(frame.as_bytes()).unwrap_err().fatal(),
            "{from}"
        );
    }
    let back = parse_client(br#"{"type":"history","back":1}"#);
    assert!(back.unwrap_err().fatal());
}

fn stored(seq: u64, text: &str) -> Entry {
    Entry {
        room: RoomId::LOBBY,
        seq,
        id: MessageId::parse(ID).unwrap(),
        author: Author {
            user: UserId::from_bytes([9; 12]),
            nickname: Nickname::parse("Zoë \"z\"").unwrap(),
            proven: true,
        },
        time: "2026-11-22T09:00:00.123Z".parse().unwrap(),
        clock_was: None,
        kind: EntryKind::Text(Text {
            body: Body::inert(text),
            mentions: Mentions::NONE,
            edited: None,
        }),
    }
}

#[test]
fn pages_are_spliced_as_they_would_be_encoded() {
    for count in [0, 1, 3] {
        let messages: Vec<_> = (1..=count)
            .map(|seq| stored(seq, "a \"b\"\n\\ ✓"))
            .collect();
        let frames: Vec<Vec<u8>> = messages
            .iter()
            .map(|message| {
                let mut frame = Vec::new();
                encode_server(&ServerFrame::Entry(message.clone()), &mut frame);
                frame
            })
            .collect();
        let frames = || frames.iter().map(Vec::as_slice);
        for reference in [None, Some(7)] {
            let head = PageHead {
                room: RoomId::LOBBY,
                extent: Extent::new(1, 99),
                from: 1,
                to: count,
                reference,
            };
            let mut spliced = b"before".to_vec();
            encode_history(&head, frames(), &mut spliced);
            let page = ServerFrame::History(HistoryPage {
                head: head.clone(),
                entries: messages.clone(),
            });
            same_value(&page, &spliced["before".len()..]);
            let mut spliced = Vec::new();
            encode_found(&head, 42, frames(), &mut spliced);
            let page = ServerFrame::Found(FoundPage {
                head,
                indexed: 42,
                entries: messages.clone(),
            });
            same_value(&page, &spliced);
        }
    }
}

#[test]
fn whether_a_key_was_proven_is_said_where_it_was_not_alone_and_on_pages() {
    let head = PageHead {
        room: RoomId::LOBBY,
        extent: Extent::new(1, 2),
        from: 1,
        to: 2,
        reference: None,
    };
    let unproven = Entry {
        author: Author {
            proven: false,
            ..stored(2, "x").author
        },
        ..stored(2, "x")
    };
    let messages = vec![stored(1, "x"), unproven.clone()];
    let page = ServerFrame::History(HistoryPage {
        head: head.clone(),
        entries: messages.clone(),
    });
    let found = ServerFrame::Found(FoundPage {
        head,
        indexed: 2,
        entries: messages,
    });
    for (frame, says) in [
        (ServerFrame::Entry(stored(1, "x")), 0),
        (ServerFrame::Entry(unproven), 1),
        (page, 1),
        (found, 1),
    ] {
        let mut bytes = Vec::new();
        encode_server(&frame, &mut bytes);
        let text = std::str::from_utf8(&bytes).unwrap();
        assert_eq!(text.matches("proven").count(), says, "{text}");
        assert_eq!(text.matches(r#""proven":false"#).count(), says, "{text}");
        assert_eq!(through_server(&frame), frame);
    }
    // Any other value means unknown, or is malformed.
    let of = |proven: &str| {
        parse_server(
            format!(
                r#"{{"type":"message","room":"lobby","id":"{ID}","user":"{}","nickname":"a","message":"x","timestamp":"2026-11-22T09:00:00Z",{proven}"seq":1}}"#,
                UserId::from_bytes([9; 12])
            )
            .as_bytes(),
        )
    };
    for proven in ["", r#""proven":true,"#, r#""proven":null,"#] {
        match of(proven) {
            Ok(ServerFrame::Entry(message)) => assert!(message.author.proven, "{proven}"),
            other => panic!("{proven}: {other:?}"),
        }
    }
    for proven in [
        r#""proven":"false","#,
        r#""proven":0,"#,
        r#""proven":[],"#,
        r#""proven":false,"proven":true,"#,
    ] {
        assert!(of(proven).is_err(), "{proven}");
    }
}

/// Checks that the spliced frame equals the encoded one, and is one line.
fn same_value(frame: &ServerFrame, spliced: &[u8]) {
    let mut encoded = Vec::new();
    encode_server(frame, &mut encoded);
    let value = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
    assert_eq!(value(spliced), value(&encoded));
    assert_eq!(
        spliced.iter().position(|&byte| byte == b'\n'),
        Some(spliced.len() - 1)
    );
    assert_eq!(
        parse_server(&spliced[..spliced.len() - 1]).as_ref(),
        Ok(frame)
    );
    assert_eq!(through_server(frame), *frame);
}

#[test]
fn a_page_with_one_message_too_many_or_without_its_numbers_is_no_page() {
    let message = {
        let mut frame = Vec::new();
        encode_server(&ServerFrame::Entry(stored(1, "x")), &mut frame);
        String::from_utf8(frame).unwrap()
    };
    let page = |count: usize, numbers: &str| {
        let messages = vec![message.trim_end(); count].join(",");
        parse_server(
            format!(r#"{{"type":"history","room":"lobby",{numbers}"entries":[{messages}]}}"#)
                .as_bytes(),
        )
    };
    let numbers = r#""first":1,"head":9,"from":1,"to":9,"#;
    assert!(page(HISTORY_PAGE_MAX, numbers).is_ok());
    assert!(page(HISTORY_PAGE_MAX + 1, numbers).is_err());
    assert!(page(1, r#""first":1,"head":9,"from":1,"#).is_err());
    assert!(page(1, r#""first":1,"head":9,"to":1,"#).is_err());
    assert!(
        parse_server(br#"{"type":"history","room":"lobby","first":1,"head":9,"from":1,"to":9}"#)
            .is_err()
    );
}

#[test]
fn any_nickname_from_a_log_is_read_and_harmless() {
    for (sent, shown) in [
        // Valid by older rules.
        ("c\u{430}rol", "c\u{430}rol"),
        ("\u{e0b0}", "\u{e0b0}"),
        // Never valid.
        ("\u{1b}[2Jcarol", "␛[2Jcarol"),
        ("", "?"),
    ] {
        let mut frame = Vec::new();
        encode_server(&ServerFrame::Entry(stored(1, "hello")), &mut frame);
        let mut frame: serde_json::Value = serde_json::from_slice(&frame).unwrap();
        frame["nickname"] = sent.into();
        let Ok(ServerFrame::Entry(message)) = parse_server(frame.to_string().as_bytes()) else {
            panic!("{sent:?} is not read");
        };
        assert_eq!(message.author.nickname.as_str(), shown);
    }
}

#[test]
fn our_own_frames_nest_less_than_the_limit() {
    // The deepest is `rooms`: frame, array, room, array of people, person.
    const { assert!(FRAME_DEPTH_MAX > 5) };
}

proptest! {
    #[test]
    fn any_text_arrives_as_it_was_sent(text in any::<String>(), counter in 1..=NUMBER_MAX) {
        let Ok(body) = Body::visible(&text) else { return Ok(()) };
        let device = DeviceId::from_bytes([7; 12]);
        let id = MessageId { device, counter };
        let sent = ClientFrame::Submit(Submission {
            room: RoomId::LOBBY,
            id: Some(id),
            content: Ok(Content::Text(body.clone())),
        });
        prop_assert_eq!(through_client(&sent), sent);
        let echoed = ServerFrame::Entry(Entry {
            room: RoomId::LOBBY,
            seq: counter,
            id,
            author: Author {
                user: UserId::from_bytes([9; 12]),
                nickname: Nickname::parse("carol").unwrap(),
                proven: true,
            },
            time: Timestamp::from_millisecond(1_795_339_341_123).unwrap(),
            clock_was: None,
            kind: EntryKind::Text(Text {
                body,
                mentions: Mentions::NONE,
                edited: None,
            }),
        });
        prop_assert_eq!(through_server(&echoed), echoed);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in ".*") {
        let _ = parse_client(&bytes);
        let _ = parse_server(&bytes);
        let _ = parse_client(format!("{{\"type\":{text}}}").as_bytes());
    }
}
