//! Commands from a pipe: each runs when what it needs is there; and terminals that can't be drawn
//! on.

use super::*;

#[test]
fn commands_wait_until_what_they_need_is_there_and_keep_their_order() {
    let server = Server::new();
    let reader = server.follow("alice");
    let script = server.feed("bot", &["--commands"], b"/who");
    assert_eq!(script.status, 0, "{}", script.errors);
    let lists = |errors: &str, names: [&str; 2]| {
        let list = errors.lines().find(|line| line.starts_with("member: "));
        names
            .iter()
            .all(|name| list.is_some_and(|list| list.contains(name)))
    };
    assert!(
        script.errors.starts_with("#lobby has 2 here\n"),
        "{}",
        script.errors
    );
    assert!(lists(&script.errors, ["alice", "bot"]), "{}", script.errors);

    let input = b"before\n/nick robot\nbetween\n/device\n/security\n/who\n//after\n";
    let script = server.feed("bot", &["--commands"], input);
    assert_eq!(script.status, 0, "{}", script.errors);
    for line in ["bot: before", "robot: between", "robot: /after"] {
        assert_eq!(said(&reader.line()), line);
    }
    assert!(
        lists(&script.errors, ["alice", "robot"]),
        "{}",
        script.errors
    );
    assert!(
        !script.errors.contains("Not connected"),
        "{}",
        script.errors
    );
}

#[test]
fn a_command_without_effect_gets_an_exit_status_of_its_own() {
    let server = Server::new();
    let _reader = server.follow("alice");
    for (command, says) in [
        ("/nick alice", "Nickname already in use"),
        ("/nick", "/nick NAME"),
        ("/search x", "works in the full screen only"),
        ("/topic x", "moderator"),
        ("/nonsense", "There is no command"),
    ] {
        let input = format!("{command}\nhello\n");
        let script = server.feed("bot", &["--commands"], input.as_bytes());
        assert_eq!(script.status, 3, "{command}: {}", script.errors);
        assert!(script.errors.contains(says), "{command}: {}", script.errors);
    }
}

#[test]
fn commands_wait_for_a_server_that_is_not_there_yet() {
    let port = free_port();
    let mut script = Client::start(port, "bot", &["--commands", "--timeout", "60"]);
    script.type_line("/who");
    script.input = None;
    script.status_with("trying again");
    let server = Server::start(port);
    script.status_with("#lobby has 1 here");
    assert_eq!(script.end().code(), Some(0));
    drop(server);
}

/// Runs a shell's line on a terminal, types something once it prints this, and returns all output:
/// util-linux's `script` makes terminals.
fn on_terminal(
    term: Option<&str>,
    line: &str,
    says: &str,
    state: &std::path::Path,
) -> Option<String> {
    let mut command = Command::new("script");
    command
        .args(["-qec", line, "/dev/null"])
        .env("XDG_STATE_HOME", state)
        .env("TZ", "UTC")
        .env_remove("TERM")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some(term) = term {
        command.env("TERM", term);
    }
    let Ok(mut child) = command.spawn() else {
        assert!(std::env::var_os("CI").is_none(), "there is no script");
        println!("skipped: there is no script (util-linux)");
        return None;
    };
    let mut input = child.stdin.take().unwrap();
    let output = lines(child.stdout.take().unwrap());
    let mut all = String::new();
    while let Ok(line) = output.recv_timeout(PATIENCE) {
        all.push_str(&line);
        all.push('\n');
        if line.contains(says) {
            // It may have ended by itself.
            let _ = writeln!(input, "hello");
        }
        if line.contains("hello") {
            let _ = writeln!(input, "q!");
        }
    }
    child.wait().unwrap();
    Some(all)
}

#[test]
fn a_terminal_that_can_not_be_drawn_on_gets_lines_and_no_escape_sequence() {
    let server = Server::new();
    let alice = server.follow("alice");
    let state = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_chat-tui");
    let line = format!("{program} localhost {} bob 1", server.port);
    for term in [Some("dumb"), Some(""), None] {
        let Some(output) = on_terminal(term, &line, "Connected", state.path()) else {
            return;
        };
        assert!(output.contains("this is line mode"), "{output}");
        assert!(!output.contains('\u{1b}'), "{output:?}");
        assert_eq!(said(&alice.line()), "bob: hello");
        let help = format!("{program} --help; {program} --nonsense; true");
        let output = on_terminal(term, &help, "nothing of this", state.path()).unwrap();
        assert!(output.contains("Exit status"), "{output}");
        assert!(!output.contains('\u{1b}'), "{output:?}");
    }
}
