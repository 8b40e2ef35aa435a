//! Round trips, refusals, and bytes that mean nothing.

use super::*;
use crate::{
    protocol::{frame::*, limits::*, name::*},
    text::{Body, Line},
};
use jiff::Timestamp;
use proptest::prelude::*;
const ID: &str = "0123456789abcdef01234567-7";

/// The frame as it comes back from its own bytes.
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
    let join = ClientFrame::Join(Join {
        protocol: Some(1),
        nickname: Nickname::parse("Zoë \"z\"").unwrap(),
        client_id: ClientId::parse("3").unwrap(),
        token: Some(Token::from_bytes([0xa5; 32])),
        next: Some(8),
        epoch: Some(Epoch::from_bytes([1; 8])),
        rooms: vec![Position {
            room: RoomName::lobby(),
            seq: 12,
            id: Some(MessageId::parse(ID).unwrap()),
        }],
        last: Some(200),
        most: Some(500),
        agent: Some(Line::inert("test 1")),
    });
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
        r#"{"type":"join","protocol":1,"nickname":" carol ","clientID":"3"}"#,
        Some(1),
    );
}

#[test]
fn what_a_client_may_not_send_is_answered() {
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
        Ok(ClientFrame::Message(submission)) => {
            assert_eq!(submission.id, MessageId::parse(ID).ok());
            assert!(submission.body.is_err());
        }
        other => panic!("{other:?}"),
    }
    // Without an id it is a basic client's, and made visible instead.
    match parse_client(br#"{"type":"message","message":"a\u001b[2Jb"}"#) {
        Ok(ClientFrame::Message(submission)) => {
            assert!(!submission.body.unwrap().as_str().contains('\u{1b}'));
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
fn our_own_frames_nest_less_than_the_limit() {
    // The deepest are `welcome`, `members` and `join`: frame, array, element.
    const { assert!(FRAME_DEPTH_MAX > 3) };
}

proptest! {
    #[test]
    fn any_text_arrives_as_it_was_sent(text in any::<String>(), counter in 1..=NUMBER_MAX) {
        let Ok(body) = Body::visible(&text) else { return Ok(()) };
        let device = DeviceId::from_bytes([7; 12]);
        let id = MessageId { device, counter };
        let sent = ClientFrame::Message(Submission {
            room: RoomName::lobby(),
            id: Some(id),
            body: Ok(body.clone()),
        });
        prop_assert_eq!(through_client(&sent), sent);
        let echoed = ServerFrame::Message(Message {
            room: RoomName::lobby(),
            seq: counter,
            id,
            user: UserId::from_bytes([9; 12]),
            nickname: Nickname::parse("carol").unwrap(),
            time: Timestamp::from_millisecond(1_795_339_341_123).unwrap(),
            body,
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
