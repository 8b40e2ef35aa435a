//! The rooms of a user: what is heard of them, and the commands that go from one to another.

use super::*;

/// A line of the errors or the status that contains this.
fn has(text: &str, part: &str) -> bool {
    text.lines().any(|line| line.contains(part))
}

#[test]
fn messages_of_all_rooms_are_heard_and_say_where() {
    let server = Server::new();
    let lobby = server.follow("alice");
    let build = Client::start(server.port, "bob", &["--follow", "--room", "build"]);
    build.status_with("Connected");
    let sender = server.feed("bot", &["--room", "build"], b"214 tests, 0 failures\n");
    assert_eq!(sender.status, 0, "{}", sender.errors);
    assert_eq!(said(&build.line()), "bot: 214 tests, 0 failures");
    let sender = server.feed("bot", &[], b"hello lobby\n");
    assert_eq!(sender.status, 0, "{}", sender.errors);
    assert_eq!(
        said(&lobby.line()),
        "bot: hello lobby",
        "and nothing of a room that she is not in"
    );
    assert_eq!(said(&build.line()), "#lobby bot: hello lobby");
}

#[test]
fn lines_go_to_the_first_room_and_go_changes_it() {
    let server = Server::new();
    let reader = Client::start(server.port, "bob", &["--follow", "--room", "build"]);
    reader.status_with("Connected");
    let rooms = ["--room", "lobby", "--room", "build", "--commands"];
    let input = b"one\n/go build\ntwo\n/go nowhere\nthree\n/go lobby\nfour\n";
    let sender = server.feed("bot", &rooms, input);
    assert_eq!(sender.status, 3, "{}", sender.errors);
    assert!(
        has(&sender.errors, "in no room nowhere"),
        "{}",
        sender.errors
    );
    assert!(
        has(&sender.errors, "Line 5 was not sent"),
        "{}",
        sender.errors
    );
    for line in ["#lobby bot: one", "bot: two", "#lobby bot: four"] {
        assert_eq!(said(&reader.line()), line);
    }
}

#[test]
fn a_room_is_made_written_to_and_left_by_a_script() {
    let server = Server::new();
    let _alice = server.follow("alice");
    let input = b"/create ops\nhello ops\n/topic on call\n/members\n/rooms\n/leave\nfor ops\n";
    let maker = server.feed("bot", &["--commands"], input);
    assert_eq!(maker.status, 3, "{}", maker.errors);
    assert!(
        has(&maker.errors, "@bot: here, moderator"),
        "{}",
        maker.errors
    );
    assert!(
        has(&maker.errors, "#ops: 1 member, joined"),
        "{}",
        maker.errors
    );
    assert!(has(&maker.errors, "#build: "), "{}", maker.errors);
    assert!(
        has(&maker.errors, "Line 7 was not sent"),
        "{}",
        maker.errors
    );
    // Its messages and topic are there for those who enter it later.
    let input = b"/join ops\n/topic\n/leave\n";
    let other = server.feed("dave", &["--commands"], input);
    assert_eq!(other.status, 0, "{}", other.errors);
    assert!(has(&other.errors, "Topic: on call"), "{}", other.errors);
    let refused = server.feed("dave", &["--commands"], b"/join cellar\nhello\n");
    assert_eq!(refused.status, 3, "{}", refused.errors);
}

#[test]
fn a_text_for_a_person_reaches_them_alone() {
    let server = Server::new();
    let alice = server.follow("alice");
    let bob = server.follow("bob");
    let sender = server.feed("bot", &["--commands"], b"/msg bob psst, alice\nhello all\n");
    assert_eq!(sender.status, 0, "{}", sender.errors);
    // Rooms are independent: one may be ahead of the other.
    let mut heard = [bob.line(), bob.line()].map(|line| said(&line).to_owned());
    heard.sort();
    assert_eq!(heard, ["@bot: psst, alice", "bot: hello all"]);
    assert_eq!(said(&alice.line()), "bot: hello all");
}

#[test]
fn mentions_are_listed_and_rooms_marked() {
    let server = Server::new();
    let seen = server.feed("bot", &[], b"here I am\n");
    assert_eq!(seen.status, 0, "{}", seen.errors);
    let sender = server.feed("alice", &[], b"@bot look\nand again\n");
    assert_eq!(sender.status, 0, "{}", sender.errors);
    let input = b"/inbox\n/mark read\n/notify none 2h\n/notify\n";
    let reader = server.feed("bot", &["--commands"], input);
    assert_eq!(reader.status, 0, "{}", reader.errors);
    assert!(
        has(&reader.errors, "#lobby #2 alice: @bot look"),
        "{}",
        reader.errors
    );
    assert!(has(&reader.errors, "but not before"), "{}", reader.errors);
}

/// Runs `chat-tui status` for a user.
fn status(port: u16, options: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_chat-tui"))
        .args(["status", "localhost", &port.to_string(), "bot", "1"])
        .args(options)
        .env(
            "XDG_STATE_HOME",
            STATE.with(|state| state.path().to_owned()),
        )
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ended {
        status: output.status.code().expect("an exit status"),
        output: String::from_utf8(output.stdout).unwrap(),
        errors: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn the_status_tells_what_is_unread() {
    let server = Server::new();
    let unknown = status(server.port, &[]);
    assert_eq!((unknown.status, &*unknown.output), (5, ""));
    assert!(
        has(&unknown.errors, "Nothing is known of bot"),
        "{}",
        unknown.errors
    );
    let seen = server.feed("bot", &["--commands"], b"here I am\n/mark read\n/who\n");
    assert_eq!(seen.status, 0, "{}", seen.errors);
    let input = b"one\n@bot two\n/msg bot psst\n";
    let sender = server.feed("alice", &["--commands"], input);
    assert_eq!(sender.status, 0, "{}", sender.errors);
    let told = status(server.port, &[]);
    assert_eq!(told.status, 0, "{}", told.errors);
    // A busy machine may not answer in time.
    if !told.output.contains("(stored)") {
        assert_eq!(told.output, "alice @1 · lobby @1\n");
    }
    let told = status(server.port, &["--json"]);
    assert_eq!(told.status, 0, "{}", told.errors);
    let json: serde_json::Value = serde_json::from_str(&told.output).unwrap();
    assert!(json["rooms"].is_array() && json["stored"].is_boolean());
    // Without a server, what is stored is told, and marked.
    let port = server.port;
    drop(server);
    let told = status(port, &[]);
    assert_eq!(told.status, 0, "{}", told.errors);
    assert!(told.output.ends_with("(stored)\n"), "{}", told.output);
}

#[test]
fn alone_in_a_pipe_it_says_what_to_type() {
    let output = Command::new(env!("CARGO_BIN_EXE_chat-tui"))
        .env(
            "XDG_STATE_HOME",
            STATE.with(|state| state.path().to_owned()),
        )
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.contains("Type chat-tui HOST PORT NICKNAME CLIENTID"),
        "{errors}"
    );
    assert_eq!(errors.lines().count(), 1, "{errors}");
}
