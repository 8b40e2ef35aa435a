//! Signals that end the client, and signals that its parent has ignored.

use std::os::unix::process::ExitStatusExt;

use super::*;

/// Starts a client that follows, with these signals ignored.
fn ignoring(server: &Server, signals: &str, nickname: &str) -> Client {
    let script = format!("trap '' {signals}; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command
        .args(["-c", &script, env!("CARGO_BIN_EXE_chat-tui")])
        .args(["localhost", &server.port.to_string(), nickname, "1"])
        .args(["--follow", "--no-state"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let client = Client {
        input: child.stdin.take(),
        output: lines(child.stdout.take().unwrap()),
        status: lines(child.stderr.take().unwrap()),
        child,
    };
    client.status_with("Connected");
    client
}

#[test]
fn each_signal_ends_it_in_order_with_an_exit_status_of_its_own() {
    let server = Server::new();
    let watcher = server.follow("alice");
    for (signal, status) in [("-HUP", 129), ("-INT", 130), ("-TERM", 143)] {
        let mut client = server.follow("bot");
        watcher.status_with("bot joined");
        client.signal(signal);
        assert_eq!(client.end().code(), Some(status), "{signal}");
        watcher.status_with("bot left");
        // A script that still waits for its server.
        let mut waiting = Client::start(free_port(), "bot", &["--timeout", "3600"]);
        waiting.status_with("trying again");
        waiting.signal(signal);
        assert_eq!(waiting.end().code(), Some(status), "{signal}");
    }
}

#[test]
fn a_signal_that_is_ignored_stays_ignored() {
    let server = Server::new();
    let mut alice = server.follow("alice");
    for (ignored, signals, then, status) in [
        ("HUP", &["-HUP"][..], "-TERM", 143),
        ("HUP INT TERM", &["-HUP", "-INT", "-TERM"][..], "-KILL", -9),
        ("INT", &["-INT"][..], "-HUP", 129),
    ] {
        let mut client = ignoring(&server, ignored, "bob");
        alice.status_with("bob joined");
        for signal in signals {
            client.signal(signal);
        }
        alice.type_line("still there?");
        assert_eq!(said(&client.line()), "alice: still there?");
        client.signal(then);
        let ended = client.end();
        let by = ended.signal().map(|signal| -signal);
        assert_eq!(ended.code().or(by), Some(status), "{ignored}");
        alice.status_with("bob left");
    }
}

#[test]
fn a_server_heeds_no_signal_that_is_ignored_either() {
    let data = tempfile::tempdir().unwrap();
    let script = "trap '' HUP INT; exec \"$0\" \"$@\"";
    let mut server = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_chat-server")])
        .args(["0", "--ephemeral"])
        .env("XDG_DATA_HOME", data.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let line = lines(server.stdout.take().unwrap()).recv_timeout(PATIENCE);
    let port = line.unwrap().rsplit(':').next().unwrap().parse().unwrap();
    let log = lines(server.stderr.take().unwrap());
    let pid = server.id().to_string();
    for signal in ["-INT", "-HUP"] {
        assert!(kill(signal, &pid).success());
        assert_eq!(run(port, "bot", &[], b"still up\n").status, 0);
    }
    assert!(kill("-TERM", &pid).success());
    assert!(server.wait().unwrap().success());
    assert!(log.iter().any(|line| line.contains("stopping")));
}
