//! The output: files, full disks, closed pipes, the length of the history; and servers that never
//! confirm.

use std::fs::File;

use super::*;

const WORDS: &str = "The output can't be written: No space left on device";

/// Whether there is [`full`]; otherwise the test is skipped.
fn has_full_disk() -> bool {
    let there = std::path::Path::new("/dev/full").exists();
    if !there {
        assert!(std::env::var_os("CI").is_none(), "there is no /dev/full");
        println!("skipped: there is no /dev/full");
    }
    there
}

/// Opens a file on a full device.
fn full() -> Stdio {
    File::options()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .into()
}

fn is_told(child: Child, status: i32, words: &str) {
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{errors}");
    assert!(errors.contains(words), "{errors}");
}

#[test]
fn an_output_that_can_not_be_written_is_reported() {
    if !has_full_disk() {
        return;
    }
    let server = Server::new();
    let mut alice = server.follow("alice");
    let mut follower = command(server.port, "bob", &["--follow"]);
    let follower = follower
        .stdin(Stdio::null())
        .stdout(full())
        .spawn()
        .unwrap();
    alice.status_with("bob joined");
    alice.type_line("nobody can write this down");
    is_told(follower, 1, WORDS);

    let mut reader = command(server.port, "carol", &["--history", "1"]);
    let reader = reader.stdin(Stdio::null()).stdout(full()).spawn().unwrap();
    is_told(reader, 1, WORDS);

    for (program, arguments) in [
        (env!("CARGO_BIN_EXE_chat-tui"), &["--help"][..]),
        (env!("CARGO_BIN_EXE_chat-tui"), &["--version"][..]),
        (
            env!("CARGO_BIN_EXE_chat-tui"),
            &["--forget", "localhost", "1"][..],
        ),
        (env!("CARGO_BIN_EXE_chat-server"), &["--help"][..]),
    ] {
        let mut command = Command::new(program);
        let state = tempfile::tempdir().unwrap();
        command.env("XDG_STATE_HOME", state.path());
        let command = command
            .args(arguments)
            .stdout(full())
            .stderr(Stdio::piped());
        is_told(command.spawn().unwrap(), 1, WORDS);
    }
}

#[test]
fn a_server_whose_output_can_not_be_written_says_so() {
    if !has_full_disk() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let program = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chat-server"));
        command.env("XDG_DATA_HOME", data.path());
        command
    };
    let mut server = program();
    let server = server.arg("0").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = server.spawn().unwrap();
    let line = lines(server.stdout.take().unwrap()).recv_timeout(PATIENCE);
    let port = line.unwrap().rsplit(':').next().unwrap().parse().unwrap();
    assert_eq!(run(port, "bot", &[], b"to be exported\n").status, 0);
    server.kill().unwrap();
    server.wait().unwrap();
    for arguments in [&["export"][..], &["invite"][..]] {
        let mut command = program();
        let command = command
            .args(arguments)
            .stdout(full())
            .stderr(Stdio::piped());
        is_told(command.spawn().unwrap(), 1, "No space left on device");
        // A reader that closed the pipe wants no more, and no message about it.
        let mut command = program();
        let command = command.args(arguments).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{errors}");
        assert!(!errors.contains("written"), "{errors}");
    }
}

#[test]
fn history_is_printed_as_far_back_as_the_log_goes() {
    const LINES: usize = 3000;
    let server = Server::new();
    let input: Vec<_> = (1..=LINES).map(|line| format!("line {line}\n")).collect();
    let input = input.concat();
    let sender = server.feed("bot", &["--timeout", "60"], input.as_bytes());
    assert_eq!(sender.status, 0, "{}", sender.errors);
    for (wanted, from) in [("2500", LINES - 2499), ("1000000", 1), ("1", LINES)] {
        let ended = server.feed("late", &["--history", wanted], b"");
        assert_eq!(ended.status, 0, "{}", ended.errors);
        let lines: Vec<_> = ended.output.lines().map(said).collect();
        let due: Vec<_> = (from..=LINES)
            .map(|line| format!("bot: line {line}"))
            .collect();
        assert_eq!(lines, due);
    }
    // Messages that arrive while the history is read come once, after it.
    let mut late = Client::start(server.port, "late", &["--history", "3000", "--follow"]);
    late.status_with("Connected");
    let sender = server.feed("bot", &[], b"line 3001\n");
    assert_eq!(sender.status, 0);
    for line in 1..=LINES + 1 {
        assert_eq!(said(&late.line()), format!("bot: line {line}"));
    }
    late.input = None;
}

#[test]
fn a_silent_listener_is_no_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // It reads everything, and never answers.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
            });
        }
    });
    let ended = run(port, "bot", &["--plaintext"], b"is anybody there?\n");
    assert_eq!(ended.status, 6, "{}", ended.errors);
    let words = "1 message was sent, but not confirmed: an older server, or none, received it.";
    assert!(ended.errors.contains(words), "{}", ended.errors);
    let ended = run(port, "eve", &["--plaintext"], b"");
    assert_eq!(ended.status, 6, "{}", ended.errors);
    assert!(ended.errors.contains("No answer from"), "{}", ended.errors);
}
