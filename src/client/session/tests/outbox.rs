use super::*;

#[test]
fn messages_go_out_in_order_and_their_echo_settles_them() {
    let mut run = TestSession::online();
    run.send("one");
    run.send("two");
    run.wrote(&["1 one", "2 two"]);
    run.told(&["local 1 pending", "local 2 pending"]);
    run.say(echo(1, 1, "one"));
    run.say(echo(2, 2, "two"));
    run.told(&[
        "1 carol: one =local 1",
        "local 1 is 1",
        "2 carol: two =local 2",
        "local 2 is 2",
    ]);
}

#[test]
fn messages_typed_offline_wait_and_go_when_online() {
    let mut run = TestSession::new();
    run.send("one");
    run.send("two");
    run.open();
    run.wrote(&["join carol"]);
    run.say(ServerFrame::Welcome(welcome()));
    run.wrote(&["1 one", "2 two"]);
}

#[test]
fn all_without_an_outcome_goes_again_under_the_same_ids() {
    let mut run = TestSession::online();
    for text in ["one", "two", "three"] {
        run.send(text);
    }
    run.say(echo(1, 1, "one"));
    run.lose();
    run.send("four");
    let join = run.enter(Welcome {
        counter: 2,
        rooms: vec![lobby(1, 2, 2)],
        ..welcome()
    });
    assert_eq!(join.next, Some(2));
    run.wrote(&["2 two", "3 three", "4 four"]);
    run.events.clear();
    run.say(stored(2, 2));
    run.say(echo(2, 2, "two"));
    run.say(echo(3, 3, "three"));
    run.told(&[
        "local 2 is 2",
        "2 carol: two =local 2",
        "3 carol: three =local 3",
        "local 3 is 3",
    ]);
}

#[test]
fn an_echo_before_its_acknowledgement_settles_once() {
    let mut run = TestSession::online();
    run.send("one");
    run.events.clear();
    run.say(echo(1, 1, "one"));
    run.say(stored(1, 1));
    run.told(&["1 carol: one =local 1", "local 1 is 1"]);
}

#[test]
fn a_message_settled_long_ago_counts_as_sent() {
    let mut run = TestSession::online();
    run.send("one");
    run.events.clear();
    run.say(ack(1, Outcome::Settled));
    run.told(&["local 1 sent"]);
}

#[test]
fn no_more_are_out_than_the_server_allows() {
    let mut run = TestSession::online();
    for text in ["a", "b", "c", "d", "e", "f"] {
        run.send(text);
    }
    run.wrote(&["1 a", "2 b", "3 c", "4 d"]);
    run.say(echo(1, 1, "a"));
    run.wrote(&["5 e"]);
}

#[test]
fn a_limit_of_nothing_still_lets_one_out() {
    let mut run = TestSession::new();
    run.enter(Welcome {
        limits: Limits {
            unanswered_messages: 0,
            ..welcome().limits
        },
        ..welcome()
    });
    run.send("a");
    run.send("b");
    run.wrote(&["1 a"]);
}

#[test]
fn a_refusal_for_good_fails_the_message_and_the_next_goes_on() {
    let mut run = TestSession::online();
    run.send("bad");
    run.send("good");
    run.wrote(&["1 bad", "2 good"]);
    run.events.clear();
    run.say(refusal(1, ErrorCode::BadText, None));
    run.say(echo(1, 2, "good"));
    run.told(&[
        "local 1 failed: No",
        "1 carol: good =local 2",
        "local 2 is 1",
    ]);
    run.command(Command::SendAgain(LocalId(1)));
    run.wrote(&["3 bad"]);
    run.told(&["local 1 pending"]);
}

#[test]
fn a_refusal_that_may_pass_holds_all_and_goes_on_by_itself() {
    let mut run = TestSession::online();
    for text in ["a", "b", "c"] {
        run.send(text);
    }
    run.frames();
    run.events.clear();
    run.say(echo(1, 1, "a"));
    run.say(refusal(2, ErrorCode::RateLimited, Some(3000)));
    run.say(refusal(3, ErrorCode::HeldBack, Some(3000)));
    run.send("d");
    run.wrote(&[]);
    run.told(&[
        "1 carol: a =local 1",
        "local 1 is 1",
        "notice: No",
        "local 4 pending",
    ]);
    run.time();
    assert_eq!(run.elapsed, Duration::from_secs(3));
    // One by one, until it is known that the refusal has passed.
    run.wrote(&["2 b"]);
    run.say(refusal(2, ErrorCode::RateLimited, Some(1000)));
    run.time();
    run.wrote(&["2 b"]);
    run.say(echo(2, 2, "b"));
    run.wrote(&["3 c"]);
    // The user is told once, not for each message that has to wait.
    run.events.clear();
    run.say(refusal(3, ErrorCode::RateLimited, Some(1000)));
    run.told(&[]);
    run.time();
    run.wrote(&["3 c"]);
    run.say(echo(3, 3, "c"));
    run.wrote(&["4 d"]);
    run.say(echo(4, 4, "d"));
    run.send("e");
    run.wrote(&["5 e"]);
    run.events.clear();
    run.say(refusal(5, ErrorCode::RateLimited, Some(1000)));
    run.told(&["notice: No"]);
}

#[test]
fn a_message_not_yet_out_is_withdrawn_and_leaves_no_hole() {
    let mut run = TestSession::new();
    for text in ["a", "b", "c"] {
        run.send(text);
    }
    run.events.clear();
    run.command(Command::Withdraw(LocalId(2)));
    run.told(&["local 2 withdrawn"]);
    run.enter(welcome());
    run.wrote(&["1 a", "2 c"]);
}

#[test]
fn a_message_that_is_out_is_withdrawn_by_asking() {
    let check = |answer: ServerFrame, told: &[&str]| {
        let mut run = TestSession::online();
        run.send("a");
        run.frames();
        run.events.clear();
        run.command(Command::Withdraw(LocalId(1)));
        run.wrote(&["withdraw 1"]);
        run.told(&[]);
        run.say(answer);
        run.told(told);
    };
    check(ack(1, Outcome::Withdrawn), &["local 1 withdrawn"]);
    check(stored(1, 1), &["local 1 is 1"]);
    check(echo(1, 1, "a"), &["1 carol: a =local 1", "local 1 is 1"]);
    check(refusal(1, ErrorCode::BadText, None), &["local 1 withdrawn"]);
}

#[test]
fn a_message_withdrawn_while_out_uses_up_its_place_on_the_way_back() {
    let mut run = TestSession::online();
    run.send("a");
    run.send("b");
    run.lose();
    run.command(Command::Withdraw(LocalId(1)));
    run.enter(welcome());
    run.wrote(&["withdraw 1", "2 b"]);
}

#[test]
fn withdrawing_what_is_held_frees_what_waits_behind_it() {
    let mut run = TestSession::online();
    run.send("a");
    run.send("b");
    run.frames();
    run.say(refusal(1, ErrorCode::RateLimited, Some(50_000)));
    run.say(refusal(2, ErrorCode::HeldBack, Some(50_000)));
    run.command(Command::Withdraw(LocalId(1)));
    run.wrote(&["withdraw 1"]);
    run.say(ack(1, Outcome::Withdrawn));
    run.wrote(&["2 b"]);
}

#[test]
fn an_id_that_the_server_does_not_take_is_never_given_up() {
    let mut run = TestSession::online();
    run.send("a");
    run.send("b");
    run.say(refusal(2, ErrorCode::BadId, None));
    assert!(!run.connected);
    run.written.clear();
    run.wait_for_connect();
    run.enter(welcome());
    run.wrote(&["1 a", "2 b"]);
}

#[test]
fn unsent_counters_move_behind_those_the_server_has() {
    let mut run = TestSession::new();
    run.send("a");
    run.send("b");
    run.enter(Welcome {
        counter: 40,
        ..welcome()
    });
    run.wrote(&["41 a", "42 b"]);
    run.send("c");
    run.wrote(&["43 c"]);
}

#[test]
fn a_sent_message_keeps_its_id_whatever_the_server_has() {
    let mut run = TestSession::online();
    run.send("a");
    run.lose();
    run.send("b");
    run.enter(Welcome {
        counter: 40,
        ..welcome()
    });
    run.wrote(&["1 a", "41 b"]);
}

#[test]
fn a_full_outbox_refuses_and_the_text_can_be_sent_again() {
    let mut run = TestSession::new();
    for _ in 0..OUTBOX_MESSAGES_MAX {
        run.send("x");
    }
    run.events.clear();
    run.send("one too many");
    let [
        Event::Outbox(OutboxMessage {
            local, delivery, ..
        }),
    ] = run.events.as_slice()
    else {
        panic!("{:?}", run.events);
    };
    assert!(matches!(delivery, Delivery::Failed { .. }));
    let local = *local;
    run.enter(welcome());
    run.say(echo(1, 1, "x"));
    run.events.clear();
    run.command(Command::SendAgain(local));
    run.told(&[&format!("local {} pending", local.0)]);
}

#[test]
fn the_outbox_is_bounded_in_bytes_too() {
    let mut run = TestSession::new();
    let long = "x".repeat(16 * 1024);
    for _ in 0..OUTBOX_BYTES_MAX / long.len() {
        run.send(&long);
    }
    run.events.clear();
    run.send("x");
    assert!(matches!(
        run.events.as_slice(),
        [Event::Outbox(OutboxMessage {
            delivery: Delivery::Failed { .. },
            ..
        })]
    ));
}

#[test]
fn a_place_settled_before_the_one_in_front_of_it_is_used_up_again() {
    let mut run = TestSession::online();
    for text in ["a", "bad", "c"] {
        run.send(text);
    }
    // The refusal comes at once, the echo of the first never; then the server loses its log.
    run.say(refusal(2, ErrorCode::BadText, None));
    run.lose();
    let join = run.enter(welcome());
    assert_eq!(join.next, Some(1));
    run.wrote(&["1 a", "withdraw 2", "3 c"]);
    // It may have to be sent again like any other.
    run.say(echo(1, 1, "a"));
    run.say(refusal(2, ErrorCode::NotDurable, Some(1000)));
    run.say(refusal(3, ErrorCode::HeldBack, Some(1000)));
    run.time();
    run.wrote(&["withdraw 2", "3 c"]);
}
