//! Frames about rooms, markers and lists.

mod limits;

use super::*;
use crate::protocol::{
    Count, HistoryAccess, NotifyLevel, Person, Preferences, ReadMarker, ReadState, RoomInfo,
    RoomKind, RoomRules,
    room::{ListedPerson, ListedRoom},
};

const ROOM: RoomId = RoomId::from_bytes([0xc3; 12]);

fn time() -> Timestamp {
    "2026-11-22T09:00:00.5Z".parse().unwrap()
}

fn person(number: usize) -> Person {
    Person {
        user: UserId::from_bytes([u8::try_from(number).unwrap(); 12]),
        nickname: Nickname::parse(&format!("user{number} \"u\"")).unwrap(),
    }
}

fn preferences() -> Preferences {
    Preferences {
        notify: NotifyLevel::Nothing,
        quiet_until: Some(time()),
        favourite: true,
        hidden: true,
    }
}

/// A room of which every field has something to say.
fn private() -> RoomInfo {
    RoomInfo {
        kind: RoomKind::Private,
        name: RoomName::parse("build").ok(),
        rules: RoomRules {
            topic: Some(Line::inert("release \"day\"")),
            announce: true,
            slow_seconds: 10,
        },
        history: HistoryAccess::All,
        archived: true,
        moderator: true,
        members: 12,
        people: Vec::new(),
    }
}

fn direct(people: usize) -> RoomInfo {
    RoomInfo {
        kind: RoomKind::Direct,
        history: HistoryAccess::All,
        people: (0..people).map(person).collect(),
        ..RoomInfo::default()
    }
}

fn public() -> RoomInfo {
    RoomInfo {
        name: RoomName::parse("build").ok(),
        history: HistoryAccess::All,
        ..RoomInfo::default()
    }
}

fn start(room: RoomId, info: RoomInfo) -> RoomStart {
    RoomStart {
        room,
        info,
        read: ReadState::default(),
        extent: Extent::new(1, 0),
        next: 1,
        changed: 0,
        redacted: 0,
        reset: None,
    }
}

fn full_start() -> RoomStart {
    RoomStart {
        read: ReadState {
            marker: ReadMarker {
                seq: 40,
                generation: 3,
            },
            preferences: preferences(),
            unread: Count::new(17),
            mentions: Count::new(2),
        },
        extent: Extent::new(5, 57),
        next: 58,
        changed: 44,
        redacted: 43,
        reset: Some(Reset::Seq),
        ..start(ROOM, private())
    }
}

fn encoded(frame: &ServerFrame) -> String {
    let mut bytes = Vec::new();
    encode_server(frame, &mut bytes);
    String::from_utf8(bytes).unwrap()
}

fn welcome() -> Welcome {
    Welcome {
        protocol: PROTOCOL_VERSION,
        server: Line::inert("test 1"),
        user: UserId::from_bytes([1; 12]),
        device: DeviceId::from_bytes([2; 12]),
        token: Token::from_bytes([3; 32]),
        nickname: Nickname::parse("carol").unwrap(),
        role: Role::Moderator,
        counter: 7,
        epoch: Epoch::from_bytes([4; 8]),
        time: time(),
        rooms: vec![full_start()],
        can: Capabilities::ALL,
        limits: Limits {
            frame_bytes: 1,
            text_bytes: 2,
            nickname_graphemes: 3,
            unanswered_messages: 4,
            ping_after_ms: 5,
            gone_after_ms: 6,
            messages_per_minute: Some(7),
            messages_burst: None,
        },
    }
}

/// Reads the info of a frame `room` with these fields.
fn info(fields: &str) -> Result<RoomInfo, WireError> {
    let frame = format!(r#"{{"type":"room","info":{{{fields}}}}}"#);
    parse_server(frame.as_bytes()).map(|frame| match frame {
        ServerFrame::Room { info, .. } => *info,
        other => panic!("{other:?}"),
    })
}

#[test]
fn every_frame_of_a_client_about_rooms_arrives() {
    let query = || Line::inert("bu \"i\"");
    let plain = Preferences::default();
    let all = Preferences {
        notify: NotifyLevel::All,
        ..plain
    };
    for frame in [
        ClientFrame::Read {
            room: ROOM,
            marker: ReadMarker {
                seq: NUMBER_MAX,
                generation: NUMBER_MAX,
            },
        },
        ClientFrame::Read {
            room: RoomId::LOBBY,
            marker: ReadMarker::default(),
        },
        ClientFrame::Prefer {
            room: ROOM,
            preferences: preferences(),
        },
        ClientFrame::Prefer {
            room: ROOM,
            preferences: plain,
        },
        ClientFrame::Prefer {
            room: ROOM,
            preferences: all,
        },
        ClientFrame::Watch { rooms: Vec::new() },
        ClientFrame::Watch {
            rooms: vec![RoomId::LOBBY, ROOM],
        },
        ClientFrame::ListRooms(ListRequest {
            query: Line::inert(""),
            after: None,
            reference: None,
        }),
        ClientFrame::ListRooms(ListRequest {
            query: query(),
            after: Some(ROOM),
            reference: Some(7),
        }),
        ClientFrame::ListPeople {
            room: None,
            list: ListRequest {
                query: Line::inert(""),
                after: None,
                reference: None,
            },
        },
        ClientFrame::ListPeople {
            room: Some(ROOM),
            list: ListRequest {
                query: query(),
                after: Some(person(3).user),
                reference: Some(7),
            },
        },
        ClientFrame::Inbox {
            before: None,
            reference: None,
        },
        ClientFrame::Inbox {
            before: Some(9),
            reference: Some(7),
        },
    ] {
        assert_eq!(through_client(&frame), frame);
    }
}

#[test]
fn every_frame_of_a_server_about_rooms_arrives() {
    let listed = ListedRoom {
        room: ROOM,
        name: RoomName::parse("build").unwrap(),
        topic: Some(Line::inert("release day")),
        members: 4,
        joined: true,
        archived: true,
        private: true,
    };
    let lobby = ListedRoom {
        room: RoomId::LOBBY,
        name: RoomName::lobby(),
        topic: None,
        members: 0,
        joined: false,
        archived: false,
        private: false,
    };
    let seen = ListedPerson {
        person: person(3),
        online: false,
        last_seen: Some(time()),
        moderator: true,
    };
    let online = ListedPerson {
        person: person(4),
        online: true,
        last_seen: None,
        moderator: false,
    };
    for frame in [
        ServerFrame::Welcome(welcome()),
        ServerFrame::Rooms(Vec::new()),
        ServerFrame::Rooms(vec![
            full_start(),
            start(ROOM, public()),
            start(ROOM, direct(1)),
            start(ROOM, direct(DIRECT_PEOPLE_MAX)),
        ]),
        ServerFrame::Room {
            room: ROOM,
            info: Box::new(private()),
        },
        ServerFrame::Room {
            room: ROOM,
            info: Box::new(RoomInfo {
                history: HistoryAccess::Joined,
                ..private()
            }),
        },
        ServerFrame::RoomLeft {
            room: ROOM,
            by: None,
        },
        ServerFrame::RoomLeft {
            room: ROOM,
            by: Some(person(3).nickname),
        },
        ServerFrame::Read {
            room: ROOM,
            marker: full_start().read.marker,
            preferences: preferences(),
        },
        ServerFrame::Read {
            room: RoomId::LOBBY,
            marker: ReadMarker::default(),
            preferences: Preferences::default(),
        },
        ServerFrame::RoomList(ListPage {
            list: vec![listed, lobby],
            more: true,
            reference: Some(7),
        }),
        ServerFrame::PeopleList(ListPage {
            list: vec![seen, online],
            more: false,
            reference: None,
        }),
        ServerFrame::Ignored {
            users: vec![person(3).user, person(4).user],
        },
        ServerFrame::Ignored { users: Vec::new() },
        ServerFrame::Inbox(InboxPage {
            entries: vec![stored(9, "@carol"), stored(3, "@everybody")],
            next: Some(4),
            reference: Some(7),
        }),
        ServerFrame::Inbox(InboxPage {
            entries: Vec::new(),
            next: None,
            reference: None,
        }),
    ] {
        assert_eq!(through_server(&frame), frame);
    }
}

#[test]
fn what_is_left_out_has_its_usual_value() {
    let read = parse_server(
        br#"{"type":"rooms","rooms":[{"room":"c3c3c3c3c3c3c3c3c3c3c3c3","name":"build","first":1,"head":0,"next":1}]}"#,
    );
    assert_eq!(read, Ok(ServerFrame::Rooms(vec![start(ROOM, public())])));
    // What is usual is not written either.
    let written = encoded(&ServerFrame::Rooms(vec![start(ROOM, public())]));
    assert_eq!(
        written,
        "{\"type\":\"rooms\",\"rooms\":[{\"room\":\"c3c3c3c3c3c3c3c3c3c3c3c3\",\"name\":\"build\",\"first\":1,\"head\":0,\"next\":1}]}\n"
    );
    assert_eq!(
        parse_client(br#"{"type":"read"}"#),
        Ok(ClientFrame::Read {
            room: RoomId::LOBBY,
            marker: ReadMarker::default(),
        })
    );
    assert_eq!(
        parse_client(br#"{"type":"watch"}"#),
        Ok(ClientFrame::Watch { rooms: Vec::new() })
    );
}

#[test]
fn what_a_newer_server_says_in_other_words_is_read_as_the_usual() {
    let found = info(r#""room":"c3c3c3c3c3c3c3c3c3c3c3c3","kind":"space","name":"build""#);
    assert_eq!(found, Ok(public()));
    let found = info(r#""room":"c3c3c3c3c3c3c3c3c3c3c3c3","kind":"private","history":"some""#);
    assert_eq!(found.unwrap().history, HistoryAccess::Joined);
    let read = parse_server(br#"{"type":"read","seq":4,"notify":"louder","quiet_until":"soon"}"#);
    assert!(read.is_err(), "without a room");
    let read = parse_server(
        br#"{"type":"read","room":"lobby","seq":4,"notify":"louder","quiet_until":"soon"}"#,
    );
    let Ok(ServerFrame::Read { preferences, .. }) = read else {
        panic!("{read:?}");
    };
    assert_eq!(preferences, Preferences::default());
    let seen = r#"{"type":"people","list":[{"user":"030303030303030303030303","nickname":"a","last_seen":"long ago"}]}"#;
    let Ok(ServerFrame::PeopleList(page)) = parse_server(seen.as_bytes()) else {
        panic!("{seen}");
    };
    assert_eq!(page.list[0].last_seen, None);
    assert!(!page.more);
}

#[test]
fn only_of_a_private_room_is_the_history_told() {
    for (kind, fields, history) in [
        ("public", r#","history":"joined""#, HistoryAccess::All),
        ("direct", r#","history":"joined""#, HistoryAccess::All),
        ("private", r#","history":"all""#, HistoryAccess::All),
        ("private", r#","history":"joined""#, HistoryAccess::Joined),
        ("private", "", HistoryAccess::Joined),
    ] {
        let found = info(&format!(
            r#""room":"c3c3c3c3c3c3c3c3c3c3c3c3","kind":"{kind}"{fields}"#
        ));
        assert_eq!(found.unwrap().history, history, "{kind}{fields}");
    }
}

#[test]
fn a_room_of_an_older_server_has_its_name_in_the_ids_place() {
    let found = info(r#""room":"build""#).unwrap();
    assert_eq!(found.name, RoomName::parse("build").ok());
    assert_eq!(
        info(r#""room":"lobby""#).unwrap().name,
        Some(RoomName::lobby())
    );
    let found = info(r#""room":"c3c3c3c3c3c3c3c3c3c3c3c3""#).unwrap();
    assert_eq!(found.name, None);
}

#[test]
fn a_name_of_a_server_that_could_not_be_typed_is_an_error() {
    for name in [
        "",
        "Build",
        "b\\u001b[2J",
        "b b",
        "lö",
        "c3c3c3c3c3c3c3c3c3c3c3c3",
    ] {
        let fields = format!(r#""room":"c3c3c3c3c3c3c3c3c3c3c3c3","name":"{name}""#);
        assert!(info(&fields).is_err(), "{name}");
        let list = format!(r#"{{"type":"room_list","list":[{{{fields}}}]}}"#);
        assert!(parse_server(list.as_bytes()).is_err(), "{name}");
    }
    // Nicknames and topics are made harmless.
    let found = info(
        r#""room":"c3c3c3c3c3c3c3c3c3c3c3c3","kind":"direct","topic":"a\u001bb","people":[{"user":"030303030303030303030303","nickname":"a\u001bb"}]"#,
    )
    .unwrap();
    assert!(!format!("{found:?}").contains("\\u{1b}"), "{found:?}");
}

#[test]
fn settings_that_the_server_would_not_keep_are_refused() {
    for (fields, field) in [
        (r#""notify":"louder""#, "notify"),
        (r#""notify":"""#, "notify"),
        (r#""quiet_until":"soon""#, "quiet_until"),
        (r#""notify":"all","quiet_until":"""#, "quiet_until"),
    ] {
        let frame = format!(r#"{{"type":"prefer","room":"lobby",{fields}}}"#);
        let refusal = parse_client(frame.as_bytes()).expect_err(fields);
        assert_eq!(refusal.code, ErrorCode::BadField);
        assert!(refusal.message.starts_with(field), "{}", refusal.message);
        assert!(!refusal.fatal(), "{fields}");
    }
}

#[test]
fn a_request_about_a_room_that_is_no_room_is_refused_and_the_connection_goes_on() {
    for kind in ["read", "prefer", "list_people"] {
        let frame = format!(r#"{{"type":"{kind}","room":"No Room","ref":7}}"#);
        let refusal = parse_client(frame.as_bytes()).expect_err(kind);
        assert_eq!(
            (refusal.code, refusal.fatal()),
            (ErrorCode::NoSuchRoom, false)
        );
    }
    for frame in [
        r#"{"type":"watch","rooms":[{"room":"No Room"}]}"#,
        r#"{"type":"list_rooms","after":"No Room","ref":7}"#,
        r#"{"type":"list_people","after":"bob","ref":7}"#,
    ] {
        let refusal = parse_client(frame.as_bytes()).expect_err(frame);
        assert_eq!(
            (refusal.code, refusal.fatal()),
            (ErrorCode::BadField, false)
        );
        let reference = frame.contains("ref").then_some(7);
        assert_eq!(refusal.reference, reference, "{frame}");
    }
}
