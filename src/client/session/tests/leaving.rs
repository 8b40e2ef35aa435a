use super::*;

#[test]
fn leaving_says_so_and_waits_for_the_answer() {
    let mut run = TestSession::online();
    run.send("bye all");
    run.command(Command::Leave);
    run.wrote(&["1 bye all", "disconnect"]);
    run.say(echo(1, 1, "bye all"));
    run.events.clear();
    run.say(bye(Departure::Disconnect, None));
    run.told(&["ended: sent 1/7, received 0/0, unsent 0"]);
    assert!(!run.connected);
}

#[test]
fn a_server_that_does_not_answer_is_not_waited_for() {
    let mut run = TestSession::online();
    run.send("x");
    run.command(Command::Leave);
    run.events.clear();
    run.time();
    assert_eq!(run.elapsed, Duration::from_millis(700));
    run.told(&["ended: sent 0/0, received 0/0, unsent 1"]);
}

#[test]
fn a_connection_that_ends_while_leaving_is_an_end() {
    let mut run = TestSession::online();
    run.command(Command::Leave);
    run.close(&Closed::Eof);
    run.told(&["ended: sent 0/0, received 0/0, unsent 0"]);
}

#[test]
fn nothing_is_said_after_goodbye() {
    let mut run = TestSession::online();
    run.command(Command::Leave);
    run.frames();
    run.send("too late");
    run.say(ServerFrame::Ping { reference: None });
    run.wrote(&[]);
}

#[test]
fn a_second_wish_to_leave_is_an_urgent_one() {
    let mut run = TestSession::online();
    run.command(Command::Leave);
    run.events.clear();
    run.command(Command::Leave);
    run.told(&["ended: sent 0/0, received 0/0, unsent 0"]);
}

#[test]
fn leaving_without_a_connection_is_immediate() {
    let states: [fn(&mut TestSession); 3] = [
        |_| {},
        |run| run.close(&Closed::Refused),
        |run| {
            run.open();
            let refused = error(ErrorCode::NicknameInUse, "Nickname already in use");
            run.say(ServerFrame::Error(refused));
        },
    ];
    for state in states {
        let mut run = TestSession::new();
        state(&mut run);
        run.events.clear();
        run.command(Command::Leave);
        run.told(&["ended: sent 0/0, received 0/0, unsent 0"]);
        assert!(!run.connected);
    }
}

#[test]
fn after_the_end_nothing_happens() {
    let mut run = TestSession::new();
    run.command(Command::Leave);
    run.events.clear();
    run.send("x");
    run.command(Command::RetryNow);
    run.command(Command::Leave);
    run.told(&[]);
    assert_eq!(run.session.deadline(), None);
}
