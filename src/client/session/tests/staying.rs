use super::*;
use crate::text::Body;

#[test]
fn silence_is_broken_by_a_ping_and_then_by_another() {
    let mut run = TestSession::online();
    run.pass(Duration::from_secs(19));
    run.wrote(&[]);
    run.pass(Duration::from_secs(1));
    run.wrote(&["ping"]);
    run.pass(Duration::from_secs(20));
    run.wrote(&["ping"]);
}

#[test]
fn a_server_that_speaks_is_not_asked() {
    let mut run = TestSession::online();
    for seq in 1..=10 {
        run.pass(Duration::from_secs(19));
        run.say(message(seq, "x"));
    }
    run.wrote(&[]);
}

#[test]
fn a_ping_is_answered() {
    let mut run = TestSession::online();
    run.say(ServerFrame::Ping { reference: Some(9) });
    run.wrote(&["pong 9"]);
}

#[test]
fn a_server_that_says_nothing_is_gone_after_a_while() {
    let mut run = TestSession::online();
    run.pass(Duration::from_secs(44));
    assert!(run.connected);
    run.events.clear();
    run.pass(Duration::from_millis(1001));
    run.told(&["waiting: Nothing was heard from chat.lan:10500 for 45 s"]);
}

#[test]
fn a_server_that_answers_is_not_gone() {
    let mut run = TestSession::online();
    for _ in 0..10 {
        run.pass(Duration::from_secs(20));
        run.say(ServerFrame::Pong { reference: None });
    }
    assert!(run.connected);
}

#[test]
fn silence_that_we_did_not_listen_to_is_nobodys_fault() {
    let mut run = TestSession::online();
    for _ in 0..10 {
        run.elapsed += Duration::from_secs(40);
        let now = run.now();
        run.session.handle_unread(now);
        run.session.handle_time(now);
        run.settle();
    }
    assert!(run.connected);
}

#[test]
fn after_a_sleep_the_server_has_to_answer_soon() {
    let mut run = TestSession::online();
    let now = run.now();
    run.session.handle_woke(now);
    run.settle();
    run.wrote(&["ping"]);
    run.events.clear();
    run.time();
    assert_eq!(run.elapsed, Duration::from_secs(3));
    run.told(&["connecting"]);

    let mut run = TestSession::online();
    let now = run.now();
    run.session.handle_woke(now);
    run.settle();
    run.say(ServerFrame::Pong { reference: None });
    run.pass(Duration::from_secs(10));
    assert!(run.connected);
    run.told(&[]);
}

#[test]
fn after_a_sleep_nobody_waits_for_an_attempt() {
    let mut run = TestSession::new();
    run.close(&Closed::Refused);
    assert!(!run.connected);
    let now = run.now();
    run.session.handle_woke(now);
    run.settle();
    assert!(run.connected);
}

#[test]
fn waits_grow_and_a_connection_that_held_makes_them_short_again() {
    let mut run = TestSession::new();
    let mut longest = Duration::ZERO;
    for _ in 0..30 {
        run.close(&Closed::Refused);
        let before = run.elapsed;
        run.wait_for_connect();
        longest = longest.max(run.since(before));
    }
    assert!(longest > Duration::from_secs(8), "{longest:?}");
    run.enter(welcome());
    run.elapsed += Duration::from_secs(10);
    run.close(&Closed::Lost);
    let before = run.elapsed;
    run.wait_for_connect();
    assert!(run.since(before) <= Duration::from_millis(500));
}

#[test]
fn a_server_that_lets_in_and_drops_is_not_hammered() {
    let mut run = TestSession::new();
    let start = run.elapsed;
    for _ in 0..20 {
        run.enter(welcome());
        run.close(&Closed::Eof);
        run.wait_for_connect();
    }
    assert!(run.since(start) > Duration::from_secs(30));
}

#[test]
fn a_server_that_asks_for_next_to_nothing_is_not_hammered() {
    let check = |goes: fn(&mut TestSession)| {
        let mut run = TestSession::new();
        let start = run.elapsed;
        for _ in 0..20 {
            goes(&mut run);
            run.wait_for_connect();
        }
        assert!(run.since(start) > Duration::from_secs(30));
    };
    check(|run| {
        run.enter(welcome());
        run.say(bye(Departure::Shutdown, Some(1)));
    });
    check(|run| {
        run.open();
        run.say(ServerFrame::Error(ErrorFrame {
            retry_after_ms: Some(1),
            ..error(ErrorCode::RateLimited, "No")
        }));
    });
}

#[test]
fn an_attempt_from_before_a_sleep_is_made_again() {
    let check = |opened: bool| {
        let mut run = TestSession::new();
        if opened {
            run.open();
        }
        run.events.clear();
        let now = run.now();
        run.session.handle_woke(now);
        run.settle();
        run.told(&["connecting"]);
        run.written.clear();
        run.open();
        run.wrote(&["join carol"]);
    };
    check(false);
    check(true);
}

#[test]
fn the_user_can_cut_a_wait_short() {
    let mut run = TestSession::new();
    run.close(&Closed::Refused);
    run.command(Command::RetryNow);
    assert!(run.connected);
}

#[test]
fn a_server_that_goes_says_when_to_come_back() {
    let mut run = TestSession::online();
    run.say(bye(Departure::Shutdown, Some(4000)));
    run.told(&["notice: Bye", "waiting: Bye"]);
    let before = run.elapsed;
    run.wait_for_connect();
    let waited = run.since(before);
    assert!(waited >= Duration::from_secs(4) && waited <= Duration::from_millis(4500));
}

#[test]
fn a_server_that_sends_us_away_is_not_pestered() {
    let mut run = TestSession::online();
    run.say(bye(Departure::Disconnect, None));
    run.told(&["stopped: Bye"]);
    assert_eq!(run.session.deadline(), None);
}

#[test]
fn a_session_replaced_elsewhere_does_not_fight() {
    let mut run = TestSession::online();
    run.say(bye(Departure::Replaced, None));
    run.told(&["stopped: Another terminal took over: it joined with the same client ID"]);
    assert_eq!(run.session.deadline(), None);
    run.command(Command::RetryNow);
    assert!(run.connected);
}

#[test]
fn a_join_of_ours_that_comes_late_is_not_taken_for_somebody_else() {
    let mut run = TestSession::new();
    run.open();
    run.join();
    // The machine sleeps, and the connection with it.
    let now = run.now();
    run.session.handle_woke(now);
    run.settle();
    run.enter(welcome());
    run.events.clear();
    run.say(bye(Departure::Replaced, None));
    assert_eq!(
        run.session.deadline().map(|at| at > run.elapsed),
        Some(true)
    );
    run.wait_for_connect();
    run.enter(welcome());
    run.events.clear();
    run.say(bye(Departure::Replaced, None));
    run.told(&["stopped: Another terminal took over: it joined with the same client ID"]);
}

/// Commands that the server owes an answer to, and the answers.
fn owed() -> Vec<(&'static str, Command, ServerFrame)> {
    use crate::protocol::{
        Content,
        admin::{AdminCommand, AdminResult},
        frame::{HistoryPage, PageHead, Part},
    };
    let part = Part::Since(Timestamp::UNIX_EPOCH);
    let page = HistoryPage {
        head: PageHead {
            room: RoomId::LOBBY,
            extent: Extent::new(1, 0),
            from: 1,
            to: 0,
            reference: Some(1),
        },
        entries: Vec::new(),
    };
    let result = AdminResult {
        room: None,
        reference: Some(1),
        message: Line::inert("Done"),
        lines: Vec::new(),
        invite: None,
        code: None,
    };
    vec![
        (
            "a message",
            Command::Send {
                room: RoomId::LOBBY,
                content: Content::Text(Body::parse("hi").unwrap()),
            },
            echo(1, 1, "hi"),
        ),
        (
            "a page",
            Command::Page {
                room: RoomId::LOBBY,
                part,
            },
            ServerFrame::History(page),
        ),
        (
            "a command",
            Command::Admin {
                request: 1,
                command: AdminCommand::Devices,
            },
            ServerFrame::Result(result),
        ),
        (
            "a nickname",
            Command::Nick(name("dave")),
            ServerFrame::Nick {
                nickname: name("dave"),
                reference: Some(1),
            },
        ),
    ]
}

/// The events about whether the server answers.
fn health(run: &mut TestSession) -> Vec<String> {
    let about = run.events.drain(..).filter_map(|event| match event {
        Event::Unanswered(_) => Some(event_in_short(&event)),
        _ => None,
    });
    about.collect()
}

#[test]
fn a_server_that_owes_an_answer_and_says_nothing_is_told_of_after_three_seconds() {
    for (what, command, answer) in owed() {
        let mut run = TestSession::online();
        run.pass(Duration::from_secs(10));
        run.command(command);
        run.pass(Duration::from_millis(2_999));
        assert!(health(&mut run).is_empty(), "{what}");
        run.pass(Duration::from_millis(1));
        assert_eq!(health(&mut run), ["unanswered for 3 s"], "{what}");
        // Reported once, and over with the first frame.
        run.pass(Duration::from_secs(5));
        assert!(health(&mut run).is_empty(), "{what}");
        run.say(answer);
        assert_eq!(health(&mut run), ["answers"], "{what}");
        run.pass(Duration::from_secs(15));
        assert!(health(&mut run).is_empty(), "{what}");
    }
}

/// A deadline in the past would keep the driver busy, and the session from ending.
#[test]
fn leaving_a_server_that_owes_an_answer_waits_for_the_bye_alone() {
    let mut run = TestSession::online();
    run.send("hi");
    run.frames();
    run.pass(Duration::from_millis(2_900));
    run.command(Command::Leave);
    run.frames();
    run.elapsed += Duration::from_millis(200);
    run.session.handle_time(run.now());
    assert!(run.session.deadline() > Some(run.elapsed));
    run.pass(Duration::from_secs(1));
    assert!(run.session.is_over());
}

#[test]
fn a_server_that_freezes_while_nothing_is_said_is_told_of_after_the_next_ping() {
    let mut run = TestSession::online();
    run.pass(Duration::from_millis(22_999));
    assert!(health(&mut run).is_empty());
    run.pass(Duration::from_millis(1));
    assert_eq!(health(&mut run), ["unanswered for 3 s"]);
    run.say(ServerFrame::Pong { reference: None });
    assert_eq!(health(&mut run), ["answers"]);
}

#[test]
fn a_user_about_to_write_need_not_wait_for_the_next_ping() {
    let mut run = TestSession::online();
    run.pass(Duration::from_secs(10));
    run.command(Command::Probe);
    run.time();
    run.wrote(&["ping"]);
    run.pass(Duration::from_secs(3));
    assert_eq!(health(&mut run), ["unanswered for 3 s"]);
    // If the server was heard a moment ago, the ping goes out a moment later.
    let mut run = TestSession::online();
    run.command(Command::Probe);
    run.command(Command::Probe);
    run.pass(Duration::from_secs(5));
    run.wrote(&["ping"]);
    assert_eq!(health(&mut run), ["unanswered for 3 s"]);
    // And not at all if it has talked meanwhile, or if an answer is awaited already.
    let mut run = TestSession::online();
    run.command(Command::Probe);
    run.say(message(1, "x"));
    run.pass(Duration::from_secs(5));
    run.wrote(&[]);
    run.send("hi");
    run.command(Command::Probe);
    run.pass(Duration::from_secs(2));
    run.wrote(&["1 hi"]);
}

#[test]
fn a_slow_disk_a_slow_line_and_a_full_screen_are_no_silence() {
    let quiet = |mut run: TestSession| assert!(health(&mut run).is_empty());
    let mut slow_disk = TestSession::online();
    slow_disk.send("hi");
    slow_disk.pass(Duration::from_millis(2_500));
    slow_disk.say(echo(1, 1, "hi"));
    slow_disk.pass(Duration::from_secs(10));
    quiet(slow_disk);

    let mut slow_line = TestSession::online();
    slow_line.send("hi");
    let mut bytes = Vec::new();
    encode_server(&message(1, &"long ".repeat(500)), &mut bytes);
    for part in bytes.chunks(bytes.len() / 5) {
        slow_line.pass(Duration::from_millis(2_500));
        slow_line.say_bytes(part);
    }
    quiet(slow_line);

    let mut full = TestSession::online();
    full.send("hi");
    for _ in 0..10 {
        full.elapsed += Duration::from_secs(3);
        let now = full.now();
        full.session.handle_unread(now);
        full.session.handle_time(now);
        full.settle();
    }
    quiet(full);
}

#[test]
fn a_process_that_did_not_run_has_not_been_kept_waiting() {
    let mut run = TestSession::online();
    run.send("hi");
    // The process was stopped, and resumes before it has read what came meanwhile.
    run.elapsed += Duration::from_secs(40);
    let now = run.now();
    run.session.handle_time(now);
    run.settle();
    assert!(health(&mut run).is_empty());
    // From now on it counts.
    run.pass(Duration::from_secs(3));
    assert_eq!(health(&mut run), ["unanswered for 3 s"]);
}

#[test]
fn a_server_that_speaks_and_leaves_a_message_unanswered_is_told_of_too() {
    let mut run = TestSession::online();
    run.send("hi");
    let says = |run: &mut TestSession| run.say(ServerFrame::Pong { reference: None });
    for _ in 0..9 {
        run.pass(Duration::from_secs(2));
        says(&mut run);
    }
    assert!(health(&mut run).is_empty());
    run.pass(Duration::from_secs(2));
    assert_eq!(health(&mut run), ["unanswered for 20 s"]);
    says(&mut run);
    assert!(health(&mut run).is_empty(), "that is no answer");
    run.say(echo(1, 1, "hi"));
    assert_eq!(health(&mut run), ["answers"]);
}

#[test]
fn another_connection_owes_nothing_of_the_last() {
    let mut run = TestSession::online();
    run.send("hi");
    run.pass(Duration::from_secs(3));
    assert_eq!(health(&mut run), ["unanswered for 3 s"]);
    run.lose();
    run.enter(welcome());
    run.say(echo(1, 1, "hi"));
    run.pass(Duration::from_secs(10));
    assert!(health(&mut run).is_empty());
}
