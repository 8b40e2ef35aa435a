//! Line mode with the real programs: as used by scripts, pipes and screen readers.

#![cfg(all(unix, feature = "tui", feature = "server"))]
#![allow(
    clippy::unwrap_used,
    reason = "a test that can't go on has failed, and says where"
)]
#![allow(clippy::print_stdout, reason = "what is skipped is said")]

mod bots;
mod commands;
mod output;
mod overlapping;
mod rooms;
mod signals;
#[path = "../families/skip.rs"]
mod skip;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);

thread_local! {
    /// The state directory of all clients of one test.
    static STATE: tempfile::TempDir = tempfile::tempdir().unwrap();
}

/// A server on a port of its own, killed on drop.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(port: u16) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_chat-server"))
            .args([&port.to_string(), "--ephemeral"])
            .args(["--room", "build"])
            // Some tests write faster than people do.
            .args(["--messages-per-minute", "0"])
            .env("XDG_DATA_HOME", env!("CARGO_TARGET_TMPDIR"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let line = lines(child.stdout.take().unwrap());
        let line = line.recv_timeout(PATIENCE).expect("the server listens");
        let port = line.rsplit(':').next().unwrap().parse().unwrap();
        Self { child, port }
    }

    fn new() -> Self {
        Self::start(0)
    }

    /// Runs a client with this input, to its end.
    fn feed(&self, nickname: &str, options: &[&str], input: &[u8]) -> Ended {
        run(self.port, nickname, options, input)
    }

    /// Starts a client that follows; it has joined when this returns.
    fn follow(&self, nickname: &str) -> Client {
        let client = Client::start(self.port, nickname, &["--follow"]);
        client.status_with("Connected");
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The shell's own `kill`: not every machine has the program.
fn kill(signal: &str, pid: &str) -> ExitStatus {
    let kill = format!("kill {signal} {pid}");
    Command::new("sh").args(["-c", &kill]).status().unwrap()
}

/// A running client, killed on drop.
struct Client {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<String>,
    status: Receiver<String>,
}

impl Client {
    fn start(port: u16, nickname: &str, options: &[&str]) -> Self {
        let mut child = command(port, nickname, options).spawn().unwrap();
        Self {
            input: child.stdin.take(),
            output: lines(child.stdout.take().unwrap()),
            status: lines(child.stderr.take().unwrap()),
            child,
        }
    }

    /// Sends it a signal, by the name that `kill` takes.
    fn signal(&self, name: &str) {
        assert!(kill(name, &self.child.id().to_string()).success());
    }

    fn type_line(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
    }

    /// Returns the next line of output.
    fn line(&self) -> String {
        self.output.recv_timeout(PATIENCE).expect("a line")
    }

    /// Waits for a line on standard error that contains this.
    fn status_with(&self, part: &str) -> String {
        loop {
            let line = self.status.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("never said: {part}"));
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Waits for the exit, which must come in time: standard error closes with it.
    fn end(&mut self) -> ExitStatus {
        while let Ok(line) = self.status.recv_timeout(PATIENCE) {
            assert!(!line.contains("panicked"), "{line}");
        }
        assert!(
            self.status.recv_timeout(Duration::ZERO) == Err(mpsc::RecvTimeoutError::Disconnected),
            "it does not end"
        );
        self.child.wait().unwrap()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client's exit status and its output.
struct Ended {
    status: i32,
    output: String,
    errors: String,
}

fn command(port: u16, nickname: &str, options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat-tui"));
    command
        .args(["localhost", &port.to_string(), nickname, "1"])
        .args(options)
        .env("TZ", "UTC")
        .env(
            "XDG_STATE_HOME",
            STATE.with(|state| state.path().to_owned()),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(port: u16, nickname: &str, options: &[&str], input: &[u8]) -> Ended {
    let mut child = command(port, nickname, options).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = thread::spawn(move || {
        // A client that gave up reads no further.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Ended {
        status: output.status.code().expect("an exit status"),
        output: String::from_utf8(output.stdout).unwrap(),
        errors: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The lines of a stream, as they come.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            if sender.send(line.unwrap()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Strips the time, which is given in full.
fn said(line: &str) -> &str {
    let (time, rest) = line.split_once(' ').unwrap();
    let parsed = time.parse::<jiff::Timestamp>();
    assert!(
        parsed.is_ok()
            && time.ends_with("+00:00")
            && time.len() == "2026-11-22T09:42:07+00:00".len(),
        "a time before {line:?}"
    );
    rest
}

#[test]
fn a_line_is_delivered_and_acknowledged() {
    let server = Server::new();
    let reader = server.follow("alice");
    let sender = server.feed("bot", &[], b"deploy done\n");
    assert_eq!(sender.status, 0, "{}", sender.errors);
    assert_eq!(sender.output, "");
    assert_eq!(sender.errors, "", "all went well: nothing to say");
    assert_eq!(said(&reader.line()), "bot: deploy done");
}

#[test]
fn many_lines_arrive_once_and_in_order() {
    let server = Server::new();
    let reader = server.follow("alice");
    let input = (0..1500)
        .map(|n| format!("line {n}\n"))
        .collect::<Vec<_>>()
        .concat();
    let sender = server.feed("bot", &["--timeout", "60"], input.as_bytes());
    assert_eq!(sender.status, 0, "{}", sender.errors);
    for n in 0..1500 {
        assert_eq!(said(&reader.line()), format!("bot: line {n}"));
    }
}

#[test]
fn input_is_literal_unless_commands_are_asked_for() {
    let server = Server::new();
    let reader = server.follow("alice");
    let literal = server.feed("bot", &[], b"/nick other\nq!\n\n   \n//\nlast");
    assert_eq!(literal.status, 0, "{}", literal.errors);
    for text in ["/nick other", "q!", "//", "last"] {
        assert_eq!(said(&reader.line()), format!("bot: {text}"));
    }
    let commanded = server.feed("bot", &["--commands"], b"//a\nq!\nnever sent\n");
    assert_eq!(commanded.status, 0, "{}", commanded.errors);
    assert_eq!(said(&reader.line()), "bot: /a");
    let after = server.feed("bot", &[], b"after\n");
    assert_eq!(after.status, 0);
    assert_eq!(said(&reader.line()), "bot: after");
}

#[test]
fn control_characters_are_printed_inert() {
    let server = Server::new();
    let reader = server.follow("alice");
    let input = "\u{1b}[31mred\u{7}\u{202e}\u{9b}2J\r\nbad \u{fffd}".as_bytes();
    let sender = server.feed("bot", &[], &[input, b"\xff\n"].concat());
    assert_eq!(sender.status, 0, "{}", sender.errors);
    assert!(sender.errors.contains("Line 2 is not UTF-8"));
    for expected in ["[31mred", "bad"] {
        let line = reader.line();
        assert!(line.contains(expected), "{line:?}");
        let harmful = |c: char| c.is_control() || c == '\u{202e}';
        assert!(!line.contains(harmful), "{line:?}");
    }
}

#[test]
fn a_line_that_is_too_long_is_refused_and_the_others_go() {
    let server = Server::new();
    let reader = server.follow("alice");
    let long = "x".repeat(100_000);
    let sender = server.feed("bot", &[], format!("a\n{long}\nb\n").as_bytes());
    assert_eq!(sender.status, 3);
    assert!(
        sender.errors.contains("Line 2 was not sent"),
        "{}",
        sender.errors
    );
    assert_eq!(said(&reader.line()), "bot: a");
    assert_eq!(said(&reader.line()), "bot: b");
}

#[test]
fn a_nickname_in_use_is_an_exit_status_of_its_own() {
    let server = Server::new();
    let _holder = server.follow("alice");
    // Another user, without her state.
    let sender = server.feed("Alice", &["--no-state"], b"hello\n");
    assert_eq!(sender.status, 4);
    assert!(
        sender.errors.contains("Nickname already in use"),
        "{}",
        sender.errors
    );
}

#[test]
fn no_server_is_an_exit_status_of_its_own() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let sender = run(port, "bot", &["--timeout", "1"], b"hello\n");
    assert_eq!(sender.status, 5);
    let words = format!("Nothing is listening on localhost:{port}");
    assert!(sender.errors.contains(&words), "{}", sender.errors);
    assert!(sender.errors.contains("not delivered"), "{}", sender.errors);
}

#[test]
fn a_room_that_does_not_exist_refuses_the_join() {
    let server = Server::new();
    let sender = server.feed("bot", &["--room", "cellar"], b"hello\n");
    assert_eq!(sender.status, 5, "{}", sender.errors);
    let words = "has no room cellar: leave --room out";
    assert!(sender.errors.contains(words), "{}", sender.errors);
    // Its waiting message keeps nobody out of the lobby, and is not sent there.
    let reader = server.follow("alice");
    let sender = server.feed("bot", &[], b"hello lobby\n");
    // Its own line was delivered; it reports the other.
    assert_eq!(sender.status, 0, "{}", sender.errors);
    let told = "A message of an earlier run, for a room that you are not in, was not delivered and is not kept";
    assert!(sender.errors.contains(told), "{}", sender.errors);
    assert!(sender.errors.contains("\n  hello\n"), "{}", sender.errors);
    assert_eq!(said(&reader.line()), "bot: hello lobby");
    let sender = server.feed("bot", &[], b"and again\n");
    assert_eq!(
        (sender.status, sender.errors.as_str()),
        (0, ""),
        "told once"
    );
}

#[test]
fn wrong_arguments_get_an_example() {
    let ended = run(0, "bot", &[], b"");
    assert_eq!(ended.status, 2);
    assert!(ended.errors.contains("from 1 to 65535"), "{}", ended.errors);
    let example = "Example: chat-tui localhost 10500 carol 3";
    assert!(ended.errors.contains(example), "{}", ended.errors);
}

#[test]
fn history_is_printed_only_as_far_as_asked_for() {
    let server = Server::new();
    assert_eq!(server.feed("bot", &[], b"a\nb\nc\n").status, 0);
    let none = server.feed("late", &[], b"");
    assert_eq!((none.status, none.output.as_str()), (0, ""));
    let two = server.feed("late", &["--history", "2"], b"");
    let texts: Vec<_> = two.output.lines().map(said).collect();
    assert_eq!(texts, ["bot: b", "bot: c"]);
}

#[test]
fn a_closed_output_ends_it_quietly_and_at_once() {
    let server = Server::new();
    let mut child = command(server.port, "alice", &["--follow"])
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut reader = Client {
        input: child.stdin.take(),
        output: mpsc::channel().1,
        status: lines(child.stderr.take().unwrap()),
        child,
    };
    assert_eq!(reader.end().code(), Some(0));
}

#[test]
fn messages_typed_while_the_server_is_away_arrive_when_it_is_back() {
    let server = Server::new();
    let port = server.port;
    let mut sender = Client::start(port, "bot", &["--follow"]);
    sender.status_with("Connected");
    drop(server);
    sender.status_with("trying again");
    sender.type_line("still here");
    let server = Server::start(port);
    sender.status_with("Connected");
    let mut reader = server.follow("alice");
    // It came before alice did, or after: then her history has it.
    reader.type_line("thanks");
    assert_eq!(said(&sender.line()), "alice: thanks");
    let history = server.feed("late", &["--history", "10"], b"");
    let texts: Vec<_> = history.output.lines().map(said).collect();
    assert_eq!(texts, ["bot: still here", "alice: thanks"]);
}

#[test]
fn an_older_server_gets_its_line_too() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let older = thread::spawn(move || {
        // At the TLS handshake it closes the connection: it can't parse that.
        drop(listener.accept().unwrap());
        let (mut stream, _) = listener.accept().unwrap();
        let mut objects = Vec::new();
        let mut buffer = [0; 1024];
        loop {
            let count = stream.read(&mut buffer).unwrap();
            if count == 0 {
                return objects;
            }
            let object: serde_json::Value =
                serde_json::from_slice(&buffer[..count]).expect("one object a read");
            if object["type"] == "join" {
                let hello = br#"{"type": "message", "nickname": "alice", "message": "hi", "timestamp": "2026-11-22 09:22:23"}"#;
                stream.write_all(hello).unwrap();
            }
            let over = object["type"] == "disconnect";
            objects.push(object);
            if over {
                return objects;
            }
        }
    });
    let ended = run(port, "bot", &[], b"one\ntwo\n");
    assert_eq!(ended.status, 6, "{}", ended.errors);
    let words = "2 messages were sent, but not confirmed: an older server, or none, received them.";
    assert!(ended.errors.contains(words), "{}", ended.errors);
    assert_eq!(said(ended.output.trim_end()), "alice: hi");
    let kinds: Vec<_> = older
        .join()
        .unwrap()
        .iter()
        .map(|object| format!("{} {}", object["type"], object["message"]))
        .collect();
    assert_eq!(
        kinds,
        [
            r#""join" null"#,
            r#""message" "one""#,
            r#""message" "two""#,
            r#""disconnect" null"#
        ]
    );
}

/// A free port on this machine.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn host(port: u16, state: &std::path::Path) -> Client {
    let mut command = command(port, "host", &["--serve", "--follow"]);
    command.env("XDG_STATE_HOME", state);
    command.env("XDG_DATA_HOME", state);
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
fn a_host_alone_stops_the_server_on_leaving() {
    let state = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut client = host(port, state.path());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    assert!(
        state
            .path()
            .join(format!("chat-tui/server-{port}.log"))
            .is_file()
    );
    client.signal("-INT");
    assert_eq!(client.end().code(), Some(130));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn a_host_leaves_the_server_running_for_other_members() {
    let state = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut client = host(port, state.path());
    let mut guest = Client::start(port, "guest", &["--follow"]);
    guest.status_with("Connected");
    client.status_with("guest joined");
    client.signal("-INT");
    let how = client.status_with("The server goes on; stop it with: kill ");
    let pid = how.rsplit(' ').next().unwrap().to_owned();
    assert_eq!(client.end().code(), Some(130));
    let late = Client::start(port, "late", &["--follow"]);
    late.status_with("Connected");
    guest.type_line("we go on");
    assert_eq!(said(&late.line()), "guest: we go on");
    assert!(kill("-TERM", &pid).success());
    late.status_with("trying again");
}

#[test]
fn serve_joins_where_a_server_listens_already() {
    let server = Server::new();
    let state = tempfile::tempdir().unwrap();
    let mut reader = server.follow("alice");
    let mut client = host(server.port, state.path());
    reader.type_line("one server is enough");
    assert_eq!(said(&client.line()), "alice: one server is enough");
    client.signal("-INT");
    assert_eq!(client.end().code(), Some(130));
    assert_eq!(server.feed("bot", &[], b"still up\n").status, 0);
}

#[test]
fn hosting_at_another_machines_address_is_refused() {
    let ended = Command::new(env!("CARGO_BIN_EXE_chat-tui"))
        .args(["192.0.2.1", "10500", "carol", "3", "--serve"])
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(2));
    let errors = String::from_utf8(ended.stderr).unwrap();
    assert!(errors.contains("HOST must be localhost"), "{errors}");
}
