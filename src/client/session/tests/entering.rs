use super::*;

#[test]
fn a_first_join_says_who_we_are_and_that_nothing_is_known() {
    let mut run = TestSession::new();
    run.told(&["connecting"]);
    run.open();
    let join = run.join();
    assert_eq!(join.protocol, Some(2));
    assert_eq!(join.nickname.as_str(), "carol");
    assert_eq!(join.client_id.as_str(), "3");
    assert_eq!(join.token, Some(token()));
    assert_eq!(join.next, Some(1));
    assert_eq!(join.epoch, None);
    assert!(join.rooms.is_empty());
}

#[test]
fn a_join_is_one_that_basic_servers_take() {
    let mut run = TestSession::new();
    run.open();
    let bytes = std::mem::take(&mut run.written);
    assert!(bytes.len() <= 1024);
    let join: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(join["type"], "join");
    assert_eq!(join["nickname"], "carol");
    assert_eq!(join["clientID"], "3");
    assert_eq!(join["timestamp"], "2027-01-15 08:00:00");
}

#[test]
fn a_welcome_lets_in_and_opens_the_rooms() {
    let mut run = TestSession::new();
    run.enter(Welcome {
        rooms: vec![lobby(1, 9, 7)],
        ..welcome()
    });
    run.told(&["connecting", "online", "entered as carol", "#lobby from 7"]);
    run.say(message(7, "hi"));
    run.told(&["7 alice: hi"]);
}

#[test]
fn a_refused_join_is_explained() {
    let check = |frame: ErrorFrame, told: &[&str]| {
        let mut run = TestSession::new();
        run.open();
        run.events.clear();
        run.say(ServerFrame::Error(frame));
        run.told(told);
        assert!(!run.connected);
    };
    check(
        error(ErrorCode::NicknameInUse, "Nickname already in use"),
        &[
            "carol refused (Nickname already in use), waiting: true",
            "stopped: Nickname already in use",
        ],
    );
    check(
        error(ErrorCode::BadNickname, "Too odd"),
        &["carol refused (Too odd), waiting: true", "stopped: Too odd"],
    );
    check(
        error(ErrorCode::UnsupportedProtocol, "No"),
        &[
            "stopped: This server speaks another version of the protocol: one of the two \
           programs needs an update",
        ],
    );
    check(
        error(ErrorCode::ServerFull, "Full"),
        &["waiting: chat.lan:10500 is full"],
    );
    check(
        error(ErrorCode::ShuttingDown, "Closing"),
        &["waiting: Closing"],
    );
    check(
        error(ErrorCode::BadField, "epoch: wrong"),
        &["stopped: The server refused the join: epoch: wrong"],
    );
    check(
        ErrorFrame {
            retry_after_ms: Some(100),
            ..error(ErrorCode::Other, "Come back")
        },
        &["waiting: Come back"],
    );
}

#[test]
fn a_full_server_is_asked_again_after_a_while() {
    let mut run = TestSession::new();
    run.open();
    run.say(ServerFrame::Error(error(ErrorCode::ServerFull, "Full")));
    run.wait_for_connect();
    assert!(run.elapsed >= Duration::from_secs(5));
}

#[test]
fn another_nickname_goes_out_at_once_when_one_was_refused() {
    let mut run = TestSession::new();
    run.open();
    let refused = error(ErrorCode::NicknameInUse, "Nickname already in use");
    run.say(ServerFrame::Error(refused));
    assert_eq!(run.session.deadline(), None, "nothing happens by itself");
    run.frames();
    run.command(Command::Nick(name("caroline")));
    run.open();
    assert_eq!(run.join().nickname.as_str(), "caroline");
}

#[test]
fn the_same_nickname_can_be_tried_again() {
    let mut run = TestSession::new();
    run.open();
    let refused = error(ErrorCode::NicknameInUse, "Nickname already in use");
    run.say(ServerFrame::Error(refused));
    run.frames();
    run.command(Command::RetryNow);
    run.open();
    assert_eq!(run.join().nickname.as_str(), "carol");
}

#[test]
fn a_nickname_wished_for_while_out_goes_with_the_next_join() {
    let mut run = TestSession::new();
    run.close(&Closed::Refused);
    run.command(Command::Nick(name("dave")));
    assert!(!run.connected, "a wish for a name is no wish to hurry");
    run.wait_for_connect();
    run.open();
    assert_eq!(run.join().nickname.as_str(), "dave");
}

#[test]
fn a_nickname_wished_for_during_the_join_follows_it() {
    let mut run = TestSession::new();
    run.open();
    run.command(Command::Nick(name("dave")));
    run.say(ServerFrame::Welcome(welcome()));
    run.wrote(&["join carol", "nick dave"]);
}

#[test]
fn a_nickname_is_changed_and_kept_for_the_next_join() {
    let mut run = TestSession::online();
    run.command(Command::Nick(name("dave")));
    run.wrote(&["nick dave"]);
    run.say(ServerFrame::Nick {
        nickname: name("dave"),
        reference: Some(1),
    });
    run.lose();
    run.open();
    assert_eq!(run.join().nickname.as_str(), "dave");
}

#[test]
fn a_nickname_refused_when_online_leaves_the_old_one() {
    let mut run = TestSession::online();
    run.command(Command::Nick(name("bob")));
    run.say(ServerFrame::Error(ErrorFrame {
        reference: Some(1),
        ..error(ErrorCode::NicknameInUse, "Nickname already in use")
    }));
    run.told(&["bob refused (Nickname already in use), waiting: false"]);
    run.lose();
    run.open();
    assert_eq!(run.join().nickname.as_str(), "carol");
}

#[test]
fn a_connection_that_fails_is_explained() {
    let check = |why: Closed, words: &str| {
        let mut run = TestSession::new();
        run.events.clear();
        run.close(&why);
        run.told(&[&format!("waiting: {words}")]);
    };
    check(
        Closed::UnknownHost,
        "No machine called chat.lan could be found",
    );
    check(
        Closed::NoLookUp,
        "The name chat.lan can't be looked up now: are you online?",
    );
    check(Closed::Refused, "Nothing is listening on chat.lan:10500");
    check(Closed::TimedOut, "chat.lan:10500 does not answer");
    check(
        Closed::Unreachable,
        "There is no route to chat.lan from here",
    );
    check(
        Closed::Other("Permission denied".to_owned()),
        "The connection to chat.lan:10500 failed: Permission denied",
    );
}

#[test]
fn an_attempt_that_takes_for_ever_is_given_up() {
    let mut run = TestSession::new();
    run.events.clear();
    run.time();
    run.told(&["waiting: chat.lan:10500 does not answer"]);
    assert!(!run.connected);
}

#[test]
fn a_nickname_wished_for_during_a_join_that_is_refused_is_tried_at_once() {
    let mut run = TestSession::new();
    run.open();
    run.command(Command::Nick(name("dave")));
    run.written.clear();
    run.events.clear();
    run.say(ServerFrame::Error(error(
        ErrorCode::NicknameInUse,
        "Nickname already in use",
    )));
    run.told(&["connecting"]);
    run.open();
    run.wrote(&["join dave"]);
}

fn build() -> RoomName {
    RoomName::parse("build").unwrap()
}

const NO_BUILD: &str = "stopped: chat.lan:10500 has no room build: leave --room out to join the \
lobby, and make the room there with /create build";

#[test]
fn a_room_that_is_wanted_is_entered() {
    let mut run = TestSession::wanting(Disk::default(), build());
    let join = run.enter(Welcome {
        rooms: vec![RoomStart {
            room: RoomId::named(&build(), 0),
            info: RoomInfo::public(build()),
            ..lobby(1, 9, 7)
        }],
        ..welcome()
    });
    assert_eq!(join.enter, [build()]);
    run.told(&["connecting", "online", "entered as carol", "#build from 7"]);
}

#[test]
fn a_room_that_is_not_there_is_told_with_what_to_do() {
    let mut run = TestSession::wanting(Disk::default(), build());
    run.open();
    let refused = error(ErrorCode::NoSuchRoom, "There is no room build here");
    run.say(ServerFrame::Error(refused));
    run.told(&["connecting", NO_BUILD]);
    assert_eq!(run.session.deadline(), None, "nothing happens by itself");
}

#[test]
fn joining_only_another_room_does_not_count() {
    let mut run = TestSession::wanting(Disk::default(), build());
    // A message waits for the lobby.
    run.send("hello");
    run.events.clear();
    let join = run.enter(welcome());
    assert_eq!(join.enter, [build()]);
    run.told(&[NO_BUILD]);
    run.wrote(&[]);
    assert!(!run.connected);
}

#[test]
fn an_older_server_has_no_room_but_one() {
    let mut run = TestSession::wanting(Disk::default(), build());
    run.reach();
    run.written.clear();
    run.time();
    run.told(&[
        "connecting",
        "stopped: chat.lan:10500 does not answer: an older server, if it is one, has no rooms: \
         leave --room out",
    ]);
    run.wrote(&[]);

    let mut run = TestSession::wanting(Disk::default(), build());
    run.reach();
    run.events.clear();
    run.say_bytes(br#"{"type":"message","nickname":"alice","message":"hello"}"#);
    let why = "chat.lan:10500 is an older server, which has no rooms: leave --room out";
    assert_eq!(
        event_in_short(&run.events[0]),
        format!("stopped: {why}"),
        "{:?}",
        run.events
    );
}
