//! Several processes with one client ID: they share an outbox, and none replaces another unasked.

use super::*;

/// Returns the texts in the room, without times and nicknames.
fn all_said(server: &Server) -> Vec<String> {
    let reader = server.feed("reader", &["--no-state", "--history", "100000"], b"");
    assert_eq!(reader.status, 0, "{}", reader.errors);
    let lines = reader.output.lines();
    lines
        .map(|line| said(line).split_once(": ").unwrap().1.to_owned())
        .collect()
}

/// Returns the texts of one run, in their order.
fn of_run<'a>(all: &'a [String], run: &str) -> Vec<&'a str> {
    let own = all.iter().map(String::as_str);
    own.filter(|text| text.starts_with(run)).collect()
}

#[test]
fn all_of_many_runs_at_once_deliver_their_lines_and_end_well() {
    const RUNS: usize = 10;
    let server = Server::new();
    for round in 0..3 {
        let runs: Vec<_> = (0..RUNS)
            .map(|run| {
                let mut client = Client::start(server.port, "bot", &[]);
                for line in 0..3 {
                    client.type_line(&format!("{round}.{run} {line}"));
                }
                client.input = None;
                client
            })
            .collect();
        for mut client in runs {
            let code = client.end().code();
            assert_eq!(code, Some(0), "round {round}");
            let printed: Vec<_> = client.output.iter().collect();
            assert!(
                printed.is_empty(),
                "nobody else has said anything: {printed:?}"
            );
        }
        let all = all_said(&server);
        assert_eq!(
            all.len(),
            (round + 1) * RUNS * 3,
            "none is lost, none doubled: {all:?}"
        );
        for run in 0..RUNS {
            let run = format!("{round}.{run}");
            let due: Vec<_> = (0..3).map(|line| format!("{run} {line}")).collect();
            assert_eq!(of_run(&all, &format!("{run} ")), due, "each in its order");
        }
    }
}

#[test]
fn a_run_that_is_killed_takes_nothing_of_the_others_with_it() {
    let server = Server::new();
    let reader = server.follow("alice");
    let mut first = Client::start(server.port, "bot", &[]);
    first.type_line("first 0");
    assert_eq!(said(&reader.line()), "bot: first 0", "it has the place");
    let mut others: Vec<_> = (0..5)
        .map(|run| {
            let mut client = Client::start(server.port, "bot", &[]);
            client.type_line(&format!("{run} a"));
            client
        })
        .collect();
    first.type_line("first 1");
    // Some lines are handed over already, some are on their way; then the reader is killed.
    let mut seen: Vec<String> = vec![said(&reader.line()).to_owned()];
    first.child.kill().unwrap();
    for client in &mut others {
        client.type_line("and b");
        client.input = None;
    }
    for client in &mut others {
        assert_eq!(client.end().code(), Some(0));
    }
    let after = server.feed("bot", &[], b"the end\n");
    assert_eq!(after.status, 0, "{}", after.errors);
    while seen.last().is_none_or(|last| last != "bot: the end") {
        seen.push(said(&reader.line()).to_owned());
    }
    for run in 0..5 {
        let own = format!("bot: {run} a");
        assert_eq!(
            seen.iter().filter(|line| **line == own).count(),
            1,
            "{seen:?}"
        );
    }
    assert_eq!(seen.iter().filter(|line| *line == "bot: and b").count(), 5);
    let first = seen.iter().filter(|line| *line == "bot: first 1").count();
    assert!(first <= 1, "{seen:?}");
}

#[test]
fn a_script_hands_its_lines_to_a_reader_and_leaves_it_in_its_place() {
    let server = Server::new();
    let mut alice = server.follow("alice");
    let logger = server.follow("bot");
    for number in 1..=3 {
        let sender = server.feed("bot", &[], format!("line {number}\n").as_bytes());
        assert_eq!((sender.status, sender.errors.as_str()), (0, ""));
        assert_eq!(said(&alice.line()), format!("bot: line {number}"));
        // The reader itself did not write it, and so prints it.
        assert_eq!(said(&logger.line()), format!("bot: line {number}"));
    }
    alice.type_line("still there?");
    assert_eq!(said(&logger.line()), "alice: still there?");

    // The room of a line, and its outcome, belong to the run that sent it.
    let build = Client::start(server.port, "carol", &["--follow", "--room", "build"]);
    build.status_with("Connected");
    let sender = server.feed("bot", &["--room", "build"], b"214 tests\n");
    assert_eq!((sender.status, sender.errors.as_str()), (0, ""));
    assert_eq!(said(&build.line()), "bot: 214 tests");
    let sender = server.feed("bot", &["--room", "cellar"], b"hello\n");
    assert_eq!(sender.status, 3, "{}", sender.errors);
    let words = "Message 1 was not delivered";
    assert!(sender.errors.contains(words), "{}", sender.errors);
    alice.type_line("and now?");
    // The reader hears the room, too, that its user is in now.
    assert_eq!(said(&logger.line()), "#build bot: 214 tests");
    assert_eq!(said(&logger.line()), "alice: and now?");
}

#[test]
fn handed_over_lines_wait_while_the_other_process_has_no_server() {
    let server = Server::new();
    let port = server.port;
    let logger = server.follow("bot");
    drop(server);
    logger.status_with("trying again");
    let late = run(port, "bot", &["--timeout", "1"], b"handed over\n");
    assert_eq!(late.status, 3, "{}", late.errors);
    let words = "another process uses this client ID";
    assert!(late.errors.contains(words), "{}", late.errors);
    let server = Server::start(port);
    logger.status_with("Connected");
    let reader = server.follow("alice");
    let last = server.feed("bot", &[], b"the end\n");
    assert_eq!(last.status, 0, "{}", last.errors);
    while said(&reader.line()) != "bot: the end" {}
    assert_eq!(all_said(&server), ["handed over", "the end"]);
}

#[test]
fn when_the_other_is_killed_its_place_is_taken() {
    let server = Server::new();
    let port = server.port;
    let mut logger = server.follow("bot");
    drop(server);
    logger.status_with("trying again");
    let mut script = Client::start(port, "bot", &[]);
    script.type_line("whoever sends it");
    script.input = None;
    let server = Server::start(port);
    logger.child.kill().unwrap();
    logger.child.wait().unwrap();
    assert_eq!(script.end().code(), Some(0));
    assert_eq!(all_said(&server), ["whoever sends it"]);
}

#[test]
fn a_replaced_run_hands_over_and_continues_when_the_other_has_ended() {
    let server = Server::new();
    let mut alice = server.follow("alice");
    let mut first = server.follow("bot");
    let mut second = server.follow("bot");
    first.status_with("same client ID");
    first.type_line("typed after it was taken over");
    assert_eq!(said(&alice.line()), "bot: typed after it was taken over");
    let typed_elsewhere = "bot: typed after it was taken over";
    assert_eq!(said(&second.line()), typed_elsewhere);
    alice.type_line("only one hears this at once");
    assert_eq!(said(&second.line()), "alice: only one hears this at once");
    second.child.kill().unwrap();
    second.child.wait().unwrap();
    // It has missed nothing.
    assert_eq!(said(&first.line()), "alice: only one hears this at once");
}

#[test]
fn commands_are_refused_in_words_while_another_process_keeps_the_connection() {
    let server = Server::new();
    let _logger = server.follow("bot");
    for (options, input) in [
        (&["--history", "5", "--timeout", "1"][..], &b""[..]),
        (&["--commands", "--timeout", "1"][..], b"/who\n"),
    ] {
        let ended = server.feed("bot", options, input);
        assert_eq!(ended.status, 5, "{}", ended.errors);
        let words = "give this one another client ID";
        assert!(ended.errors.contains(words), "{}", ended.errors);
    }
}
