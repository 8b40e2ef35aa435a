//! Limits of frames about rooms, at them and one beyond.

use super::*;

#[test]
fn a_query_for_a_list_has_a_limit_as_it_is_read() {
    let frame = |kind: &str, query: &str| {
        let frame = format!(r#"{{"type":"{kind}","query":"{query}","ref":7}}"#);
        parse_client(frame.as_bytes())
    };
    for kind in ["list_rooms", "list_people"] {
        let longest = frame(kind, &"x".repeat(LIST_QUERY_BYTES_MAX)).unwrap();
        assert_eq!(through_client(&longest), longest);
        let refusal = frame(kind, &"x".repeat(LIST_QUERY_BYTES_MAX + 1)).unwrap_err();
        assert_eq!(
            (refusal.code, refusal.reference),
            (ErrorCode::BadField, Some(7))
        );
        assert!(!refusal.fatal());
        // Each of these is written as three bytes.
        let fits = LIST_QUERY_BYTES_MAX / 3;
        let longest = frame(kind, &"\\u0001".repeat(fits)).unwrap();
        assert_eq!(through_client(&longest), longest);
        assert!(frame(kind, &"\\u0001".repeat(fits + 1)).is_err());
    }
}

#[test]
fn lists_hold_as_many_elements_as_their_limits_say() {
    let check = |count: usize, frame: &dyn Fn(String) -> String, element: &str| {
        let read = |count: usize| {
            let frame = frame(vec![element; count].join(","));
            parse_server(frame.as_bytes()).is_ok()
        };
        assert!(read(count), "{element}");
        assert!(!read(count + 1), "{element}");
    };
    let room = r#"{"room":"c3c3c3c3c3c3c3c3c3c3c3c3","name":"b","first":1,"head":0,"next":1}"#;
    let user = r#"{"user":"030303030303030303030303","nickname":"a"}"#;
    let of = |kind: &'static str, field: &'static str| {
        move |list: String| format!(r#"{{"type":"{kind}","{field}":[{list}]}}"#)
    };
    check(JOIN_ROOMS_MAX, &of("rooms", "rooms"), room);
    check(LIST_PAGE_MAX, &of("room_list", "list"), room);
    check(LIST_PAGE_MAX, &of("people", "list"), user);
    let people = |list: String| {
        format!(r#"{{"type":"room","info":{{"room":"lobby","kind":"direct","people":[{list}]}}}}"#)
    };
    check(DIRECT_PEOPLE_MAX, &people, user);
    let mut entry = Vec::new();
    encode_entry(&stored(1, "x"), &mut entry);
    let entry = String::from_utf8(entry).unwrap();
    check(HISTORY_PAGE_MAX, &of("inbox", "entries"), entry.trim_end());
    let watch = |count: usize| {
        let rooms = vec![r#"{"room":"lobby"}"#; count].join(",");
        parse_client(format!(r#"{{"type":"watch","rooms":[{rooms}]}}"#).as_bytes())
    };
    assert!(watch(JOIN_ROOMS_MAX).is_ok());
    assert!(watch(JOIN_ROOMS_MAX + 1).unwrap_err().fatal());
}

#[test]
fn a_count_above_the_limit_is_read_as_the_limit() {
    let frame = r#"{"type":"rooms","rooms":[{"room":"lobby","first":1,"head":9000,"next":1,"unread":9000,"mentioned":101}]}"#;
    let Ok(ServerFrame::Rooms(starts)) = parse_server(frame.as_bytes()) else {
        panic!("{frame}");
    };
    let read = starts[0].read;
    assert_eq!(
        (read.unread.to_string(), read.mentions),
        ("99+".to_owned(), read.unread)
    );
}

#[test]
fn rooms_that_do_not_fit_one_frame_come_in_more_of_them() {
    // Each `"` is written as two bytes: no room's start is longer.
    let long = |number: usize| {
        let mut room = start(
            RoomId::from_bytes([u8::try_from(number % 251).unwrap(); 12]),
            private(),
        );
        room.info.rules.topic = Some(Line::inert(&"\"".repeat(LINE_BYTES_MAX)));
        room.next = number as u64;
        room
    };
    let short = |number: usize| RoomStart {
        next: number as u64,
        ..start(ROOM, public())
    };
    let check = |frame: &ServerFrame, sent: &[RoomStart]| {
        let text = encoded(frame);
        let mut read = Vec::new();
        for (index, line) in text.lines().enumerate() {
            assert!(line.len() <= FRAME_BYTES_MAX);
            match parse_server(line.as_bytes()) {
                Ok(ServerFrame::Welcome(welcome)) if index == 0 => read.extend(welcome.rooms),
                Ok(ServerFrame::Rooms(rooms)) => read.extend(rooms),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(read, sent);
        text.lines().count()
    };
    let with = |rooms: &[RoomStart]| {
        ServerFrame::Welcome(Welcome {
            rooms: rooms.to_vec(),
            ..welcome()
        })
    };
    for (count, fits) in [
        (1, true),
        (JOIN_ROOMS_MAX, true),
        (JOIN_ROOMS_MAX + 1, false),
    ] {
        let rooms: Vec<_> = (1..=count).map(short).collect();
        let frames = check(&ServerFrame::Rooms(rooms.clone()), &rooms);
        assert_eq!(frames == 1, fits, "{count}");
        check(&with(&rooms), &rooms);
    }
    let rooms: Vec<_> = (1..=500).map(long).collect();
    assert!(check(&ServerFrame::Rooms(rooms.clone()), &rooms) > 500 / 32);
    assert!(check(&with(&rooms), &rooms) > 500 / 32);
}

#[test]
fn the_longest_frames_that_name_rooms_fit() {
    let longest = "\"".repeat(LINE_BYTES_MAX);
    let name = |number: usize| RoomName::parse(&format!("{number:x>ROOM_BYTES_MAX$}")).unwrap();
    let id = |number: usize| RoomId::from_bytes([u8::try_from(number).unwrap(); 12]);
    let join = ClientFrame::Join(Box::new(Join {
        protocol: Some(NUMBER_MAX),
        nickname: Nickname::parse(&"x".repeat(NICKNAME_GRAPHEMES_MAX)).unwrap(),
        keep_nickname: true,
        client_id: ClientId::parse(&"x".repeat(CLIENT_ID_BYTES_MAX)).unwrap(),
        token: Some(Token::from_bytes([1; 32])),
        key: Some(PublicKey::from_bytes([2; 32])),
        invite: None,
        password: Some(Password::parse(&"\"".repeat(PASSWORD_BYTES_MAX)).unwrap()),
        code: None,
        next: Some(NUMBER_MAX),
        epoch: Some(Epoch::from_bytes([3; 8])),
        enter: (0..JOIN_ROOMS_MAX).map(name).collect(),
        rooms: (0..JOIN_ROOMS_MAX)
            .map(|number| Position {
                room: id(number),
                seq: NUMBER_MAX,
                id: Some(MessageId {
                    device: DeviceId::from_bytes([4; 12]),
                    counter: NUMBER_MAX,
                }),
            })
            .collect(),
        last: Some(NUMBER_MAX),
        most: Some(NUMBER_MAX),
        can: Capabilities::ALL,
        agent: Some(Line::inert(&longest)),
    }));
    let watch = ClientFrame::Watch {
        rooms: (0..JOIN_ROOMS_MAX).map(id).collect(),
    };
    for frame in [join, watch] {
        let mut bytes = Vec::new();
        encode_client(&frame, &mut bytes);
        assert!(bytes.len() <= FRAME_BYTES_MAX, "{}", bytes.len());
        assert_eq!(through_client(&frame), frame);
    }
    let people = ServerFrame::PeopleList(ListPage {
        list: (0..LIST_PAGE_MAX)
            .map(|number| ListedPerson {
                person: Person {
                    user: UserId::from_bytes([u8::try_from(number).unwrap(); 12]),
                    nickname: Nickname::inert(&"\u{1f600}".repeat(NICKNAME_BYTES_MAX / 4)),
                },
                online: true,
                last_seen: Some(time()),
                moderator: true,
            })
            .collect(),
        more: true,
        reference: Some(NUMBER_MAX),
    });
    assert!(encoded(&people).len() <= FRAME_BYTES_MAX);
}
