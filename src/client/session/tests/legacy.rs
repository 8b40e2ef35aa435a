use super::*;
use crate::protocol::Content;
use crate::protocol::limits::LEGACY_PAUSE;
use crate::text::Body;

impl TestSession {
    /// A session on a server that has not answered in time.
    fn legacy() -> Self {
        let mut run = Self::new();
        run.reach();
        run.written.clear();
        run.time();
        run.told(&["connecting", "unidentified", "entered as carol"]);
        run
    }

    /// The objects written since the last call.
    fn objects(&mut self) -> Vec<serde_json::Value> {
        let bytes = std::mem::take(&mut self.written);
        serde_json::Deserializer::from_slice(&bytes)
            .into_iter()
            .collect::<Result<_, _>>()
            .unwrap()
    }

    fn texts(&mut self) -> Vec<String> {
        self.objects()
            .iter()
            .map(|object| object["message"].as_str().unwrap_or("-").to_owned())
            .collect()
    }
}

const HELLO: &[u8] =
    br#"{"type":"message","nickname":"alice","message":"hello","timestamp":"2026-11-22 09:22:23"}"#;

#[test]
fn a_server_that_does_not_answer_is_taken_for_a_basic_one() {
    let mut run = TestSession::legacy();
    assert_eq!(run.elapsed, Duration::from_secs(3));
    // It counts as legacy once it talks like one, and every connection must show that anew.
    run.say_bytes(HELLO);
    run.told(&["legacy", "- alice: hello"]);
    run.say_bytes(HELLO);
    run.told(&["- alice: hello"]);
    run.lose();
    run.reach();
    run.events.clear();
    run.time();
    run.told(&["unidentified", "entered as carol"]);
    run.say_bytes(br#"{"type":"error","message":"Hm"}"#);
    run.told(&["legacy", "notice: Hm"]);
}

#[test]
fn a_listener_without_signs_of_a_basic_server_stays_unidentified() {
    let mut run = TestSession::legacy();
    for says in [
        // An echo, and an unreadable frame.
        r#"{"type":"join","protocol":0,"nickname":"carol","clientID":"3"}"#,
        r#"{"type":"message","nickname":"carol","message":"mine","timestamp":""}"#,
        r#"{"hello":1}"#,
    ] {
        run.say_bytes(says.as_bytes());
        run.told(&[]);
    }
    run.send("hello?");
    run.pass(Duration::from_mins(1));
    run.told(&["local 1 pending", "local 1 unconfirmed"]);
}

/// The fields that would reveal our identity.
const SECRETS: [&str; 6] = ["token", "key", "invite", "password", "code", "next"];

#[test]
fn in_the_clear_nothing_is_shown_before_it_is_known_what_listens() {
    // Silence, a closed connection, garbage, a legacy server: none shows a modern server.
    let silent: &[u8] = b"";
    for says in [silent, b"{}", b"HTTP/1.1 400\r\n\r\n", HELLO] {
        let mut run = TestSession::new();
        for _ in 0..3 {
            run.reach();
            let join = &run.objects()[0];
            assert_eq!(join["type"], "join");
            assert_eq!(join["nickname"], "carol");
            assert_eq!(join["clientID"], "3");
            assert_eq!(join["protocol"], 0);
            run.say_bytes(says);
            run.send("hello");
            run.pass(Duration::from_secs(4));
            for object in run.objects() {
                let secret = SECRETS.iter().find(|field| object.get(**field).is_some());
                assert_eq!(secret, None, "{object}");
            }
            if run.connected {
                run.lose();
            } else {
                run.wait_for_connect();
            }
        }
    }
}

#[test]
fn a_modern_server_in_the_clear_is_known_by_its_answer_and_told_who_we_are() {
    let challenge = ServerFrame::Challenge {
        nonce: crate::protocol::Nonce::from_bytes([3; 32]),
        fingerprint: None,
    };
    // A server that checks the protocol, and those that do not.
    for answer in [unsupported(), challenge, ServerFrame::Welcome(welcome())] {
        let mut run = TestSession::new();
        for _ in 0..2 {
            run.reach();
            assert_eq!(run.join().token, None);
            run.events.clear();
            run.say(answer.clone());
            run.told(&[]);
            assert_eq!(run.session.should_probe_again(), Some(false));
            run.reach();
            assert_eq!(run.join().token, Some(token()));
            run.say(ServerFrame::Welcome(welcome()));
            run.told(&["online", "entered as carol", "#lobby from 1"]);
            // The listener of the next connection is probed again.
            run.lose();
        }
    }
}

#[test]
fn leaving_during_a_probe_ends_the_session() {
    let mut run = TestSession::new();
    run.reach();
    run.command(Command::Leave);
    run.say(unsupported());
    assert!(!run.connected);
    run.told(&["connecting", "ended: sent 0/0, received 0/0, unsent 0"]);
}

#[test]
fn a_frame_of_a_basic_server_identifies_it_at_once() {
    let mut run = TestSession::new();
    run.reach();
    run.events.clear();
    run.say_bytes(HELLO);
    run.told(&["legacy", "entered as carol", "- alice: hello"]);
}

/// A legacy server has no rooms: everybody would read a message for one.
#[test]
fn a_message_for_a_room_is_not_sent_to_the_lobby_of_a_basic_server() {
    let build = RoomId::parse("build").unwrap();
    let body = Body::parse("for the builders").unwrap();
    let mut run = TestSession::legacy();
    run.command(Command::Send {
        room: build,
        content: Content::Text(body),
    });
    run.send("for all");
    run.pass(LEGACY_PAUSE * 10);
    assert_eq!(
        run.texts(),
        [""; 0],
        "it may be a slow server that has rooms"
    );
    run.say_bytes(HELLO);
    run.pass(LEGACY_PAUSE * 10);
    assert_eq!(run.texts(), ["for all"], "it has none");
}

#[test]
fn messages_go_out_one_by_one_and_are_never_confirmed() {
    let mut run = TestSession::legacy();
    run.send("one");
    run.send("two");
    let object = &run.objects()[0];
    assert_eq!(object["type"], "message");
    assert_eq!(object["nickname"], "carol");
    assert_eq!(object["message"], "one");
    assert_eq!(object["timestamp"], "2027-01-15 08:00:03");
    run.told(&["local 1 pending", "local 1 unconfirmed", "local 2 pending"]);
    let before = run.elapsed;
    run.time();
    assert_eq!(run.since(before), LEGACY_PAUSE);
    assert_eq!(run.texts(), ["two"]);
    run.told(&["local 2 unconfirmed"]);
    assert_eq!(run.session.deadline(), None);
}

#[test]
fn a_long_text_goes_in_objects_that_a_basic_peer_can_read() {
    let mut run = TestSession::legacy();
    let text = "\"é\" ".repeat(1000);
    let text = text.trim_end();
    run.send(text);
    let mut all = String::new();
    loop {
        assert!(run.written.len() <= 1024);
        let [object] = run.objects().try_into().unwrap();
        assert!(object.get("id").is_none(), "a part is not the message");
        all += object["message"].as_str().unwrap();
        if run.session.deadline().is_none() {
            break;
        }
        run.time();
    }
    assert_eq!(all, text);
    run.told(&["local 1 pending", "local 1 unconfirmed"]);
}

#[test]
fn a_late_answer_ends_the_mode_and_all_goes_again_under_the_same_ids() {
    let mut run = TestSession::legacy();
    run.send("one");
    run.pass(Duration::from_secs(1));
    run.events.clear();
    run.written.clear();
    run.say(unsupported());
    run.told(&["connecting"]);
    assert_eq!(run.session.should_probe_again(), Some(true));
    run.reach();
    assert_eq!(run.join().token, Some(token()));
    run.say(ServerFrame::Welcome(welcome()));
    run.told(&["online", "entered as carol", "#lobby from 1"]);
    run.wrote(&["1 one"]);
    run.say(echo(1, 1, "one"));
    run.told(&["1 carol: one =local 1", "local 1 is 1"]);
    run.command(Command::Leave);
    run.say(bye(Departure::Disconnect, None));
    run.told(&["ended: sent 1/3, received 0/0, unsent 0"]);
}

#[test]
fn another_connection_to_a_basic_server_repeats_nothing() {
    let mut run = TestSession::legacy();
    run.send("one");
    run.pass(Duration::from_secs(1));
    run.lose();
    run.send("two");
    run.reach();
    run.written.clear();
    run.time();
    assert_eq!(run.texts(), ["two"]);
}

#[test]
fn messages_to_a_certainly_basic_server_are_not_sent_to_a_later_one() {
    let mut run = TestSession::legacy();
    run.send("one");
    run.say_bytes(HELLO);
    run.send("two");
    run.pass(Duration::from_secs(1));
    run.lose();
    run.send("three");
    let join = run.enter(Welcome {
        counter: 2,
        ..welcome()
    });
    assert_eq!(join.next, Some(3));
    run.wrote(&["3 three"]);
}

#[test]
fn a_long_talk_with_a_basic_server_does_not_fill_the_outbox() {
    let mut run = TestSession::legacy();
    for _ in 0..OUTBOX_MESSAGES_MAX + 10 {
        run.send("x");
        run.pass(Duration::from_millis(10));
    }
    assert!(!run.events.iter().any(|event| matches!(
        event,
        Event::Outbox(OutboxMessage {
            delivery: Delivery::Failed { .. },
            ..
        })
    )));
}

#[test]
fn a_server_that_was_modern_once_is_never_basic() {
    let mut run = TestSession::online();
    run.lose();
    run.reach();
    run.pass(Duration::from_secs(14));
    assert!(run.connected);
    run.events.clear();
    run.pass(Duration::from_secs(1));
    run.told(&["waiting: chat.lan:10500 accepted the connection but does not answer"]);
}

#[test]
fn a_welcome_that_has_begun_is_waited_for() {
    let mut run = TestSession::new();
    run.open();
    run.events.clear();
    let mut bytes = Vec::new();
    encode_server(&ServerFrame::Welcome(welcome()), &mut bytes);
    run.say_bytes(&bytes[..50]);
    run.pass(Duration::from_secs(5));
    run.told(&[]);
    run.say_bytes(&bytes[50..]);
    run.told(&["online", "entered as carol", "#lobby from 1"]);
}

#[test]
fn a_basic_server_refuses_a_nickname_in_its_own_words() {
    for wait in [0, 5] {
        let mut run = TestSession::new();
        run.reach();
        run.pass(Duration::from_secs(wait));
        run.events.clear();
        run.say_bytes(br#"{"type": "error", "message": "Nickname already in use"}"#);
        run.close(&Closed::Eof);
        run.told(&[
            "carol refused (Nickname already in use), waiting: true",
            "stopped: Nickname already in use",
        ]);
    }
}

#[test]
fn leaving_a_basic_server_says_so_in_its_own_words() {
    let mut run = TestSession::legacy();
    run.command(Command::Leave);
    let object = &run.objects()[0];
    assert_eq!(object["type"], "disconnect");
    assert_eq!(object["nickname"], "carol");
    assert_eq!(object["clientID"], "3");
    run.time();
    run.told(&["ended: sent 0/0, received 0/0, unsent 0"]);
}

#[test]
fn pending_messages_go_before_the_disconnect_as_far_as_time_allows() {
    let mut run = TestSession::legacy();
    for _ in 0..200 {
        run.send("x");
    }
    run.command(Command::Leave);
    run.pass(Duration::from_secs(2));
    let objects = run.objects();
    // As much as fits into nine tenths of a second, and the `disconnect`.
    assert!(
        objects.len() > 30 && objects.len() < 60,
        "{}",
        objects.len()
    );
    assert_eq!(objects.last().unwrap()["type"], "disconnect");
    assert!(matches!(run.events.last(), Some(Event::Ended(summary)) if summary.unsent > 90));
}

#[test]
fn a_new_nickname_on_a_basic_server_is_a_new_join() {
    let mut run = TestSession::legacy();
    run.command(Command::Nick(name("dave")));
    assert_eq!(run.objects()[0]["type"], "disconnect");
    run.close(&Closed::Eof);
    run.reach();
    assert_eq!(run.join().nickname.as_str(), "dave");
}

#[test]
fn a_ping_would_only_confuse_a_basic_server() {
    let mut run = TestSession::legacy();
    run.pass(Duration::from_mins(10));
    assert!(run.connected);
    assert!(run.written.is_empty());
}

#[test]
fn a_nickname_wished_for_before_the_server_turned_out_to_be_basic_is_a_new_join() {
    let mut run = TestSession::new();
    run.reach();
    run.command(Command::Nick(name("dave")));
    run.written.clear();
    run.time();
    assert_eq!(run.objects()[0]["type"], "disconnect");
    run.close(&Closed::Eof);
    run.reach();
    assert_eq!(run.join().nickname.as_str(), "dave");
}

#[test]
fn a_message_withdrawn_when_half_of_it_was_out_does_not_stay_for_ever() {
    let mut run = TestSession::legacy();
    run.say_bytes(HELLO);
    run.send(&"long ".repeat(1000));
    run.lose();
    run.command(Command::Withdraw(LocalId(1)));
    run.told(&["local 1 withdrawn"]);
    run.command(Command::Leave);
    run.told(&["ended: sent 0/0, received 1/5, unsent 0"]);
}
