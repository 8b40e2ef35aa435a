//! The real server on a free port, spoken to over real sockets, byte by byte.

#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::mpsc::channel,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use chat_tui::{
    protocol::{ClientId, MessageId, Token, limits},
    server::{Config, RunError, bind, core::replica::ReplicaLimits},
};
use serde_json::{Value, json};

mod crowd;
#[path = "../families/mod.rs"]
mod families;
mod history;
#[cfg(feature = "client")]
mod in_memory;
mod older;
#[cfg(feature = "client")]
mod pace;
mod stopping;
mod tls;

/// How long anything that must happen may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

struct Server {
    address: SocketAddr,
    #[cfg(feature = "client")]
    connector: chat_tui::pipe::Connector,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    running: Option<JoinHandle<Result<(), RunError>>>,
}

impl Server {
    fn start() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        Self::at(Ipv4Addr::LOCALHOST.into(), config)
    }

    fn at(address: IpAddr, config: Config) -> Self {
        let bound = bind(Config {
            bind: Some(address.into()),
            port: 0,
            ..config
        })
        .unwrap();
        let address = bound.local_addr();
        #[cfg(feature = "client")]
        let connector = bound.connector();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let running = thread::spawn(move || {
            bound.run(async {
                let _ = stopped.await;
            })
        });
        Self {
            address,
            #[cfg(feature = "client")]
            connector,
            stop: Some(stop),
            running: Some(running),
        }
    }

    fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    fn join(&self, name: &str) -> Client {
        let mut client = self.connect();
        client.send(&join(name));
        assert_eq!(client.frame()["type"], "welcome");
        assert_eq!(client.frame()["type"], "members");
        client
    }

    /// Begins to stop the server.
    fn stop(&mut self) {
        drop(self.stop.take());
    }

    fn stopped(mut self) -> Result<(), RunError> {
        self.stop();
        self.running.take().unwrap().join().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        if let Some(running) = self.running.take() {
            let outcome = running.join();
            if !thread::panicking() {
                outcome.unwrap().unwrap();
            }
        }
    }
}

struct Client {
    stream: TcpStream,
    input: BufReader<TcpStream>,
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let input = BufReader::new(stream.try_clone().unwrap());
        Self { stream, input }
    }

    fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    fn send(&mut self, frame: &Value) {
        self.write(format!("{frame}\n"));
    }

    /// The next frame.
    fn frame(&mut self) -> Value {
        let mut line = String::new();
        self.input.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the connection ended: {line:?}");
        serde_json::from_str(&line).unwrap()
    }

    /// The next frame of this type.
    fn next(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.frame();
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// Whether the connection is closed, with nothing more in it.
    fn is_closed(&mut self) -> bool {
        match self.input.read(&mut [0; 1]) {
            Ok(count) => count == 0,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => true,
            Err(error) => panic!("it is still open: {error}"),
        }
    }

    fn is_refused(&mut self, code: &str) {
        let frame = self.next("error");
        assert_eq!(frame["code"], code, "{frame}");
        assert!(self.is_closed());
    }
}

fn token(name: &str) -> Token {
    let mut bytes = [0; 32];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    Token::from_bytes(bytes)
}

fn join(name: &str) -> Value {
    json!({
        "type": "join", "protocol": 2, "nickname": name, "clientID": "1",
        "token": token(name).expose(), "last": 0,
    })
}

fn message(name: &str, counter: u64, text: &str) -> Value {
    let device = token(name).device(&ClientId::parse("1").unwrap());
    let id = MessageId { device, counter };
    json!({"type": "message", "id": id.to_string(), "message": text})
}

#[test]
fn frames_may_be_cut_anywhere_and_follow_without_a_newline() {
    let server = Server::start();
    let mut alice = server.join("alice");
    let mut bob = server.connect();
    let words = format!(
        "{}{}{}",
        join("bob"),
        message("bob", 1, "one {\"}"),
        message("bob", 2, "two")
    );
    for byte in words.bytes() {
        bob.write([byte]);
    }
    for expected in ["one {\"}", "two"] {
        assert_eq!(alice.next("message")["message"], expected);
        assert_eq!(bob.next("message")["message"], expected);
    }
}

#[test]
fn more_requests_than_may_be_under_way_are_all_answered_in_order() {
    let server = Server::start();
    let mut bob = server.join("bob");
    let count = 1_000;
    let mut words = String::new();
    for counter in 1..=count {
        words += &message("bob", counter, &format!("number {counter}")).to_string();
    }
    let mut writer = bob.stream.try_clone().unwrap();
    let writing = thread::spawn(move || writer.write_all(words.as_bytes()).unwrap());
    for counter in 1..=count {
        let frame = bob.frame();
        assert_eq!(frame["seq"], counter);
        assert_eq!(frame["message"], format!("number {counter}"));
    }
    writing.join().unwrap();
}

#[test]
fn frames_outside_the_protocol_are_answered_and_the_connection_closes() {
    let server = Server::start();
    let long = format!("{{\"type\":\"{}", "x".repeat(limits::FRAME_BYTES_MAX));
    let deep = format!("{{\"type\":{}", "[".repeat(limits::FRAME_DEPTH_MAX));
    for words in ["hello\n", "{}", "{\"type\":7}", "[1]", "{]", &long, &deep] {
        let mut fresh = server.connect();
        fresh.write(words);
        fresh.is_refused("malformed");
        let mut joined = server.join("bob");
        joined.write(words);
        joined.is_refused("malformed");
    }
    let mut early = server.connect();
    early.send(&json!({"type": "ping"}));
    early.is_refused("join_expected");
    let mut joined = server.join("bob");
    joined.send(&json!({"type": "frob", "ref": 3}));
    assert_eq!(joined.next("error")["code"], "unknown_type");
    joined.send(&json!({"type": "ping", "ref": 4}));
    assert_eq!(joined.frame(), json!({"type": "pong", "ref": 4}));
}

#[test]
fn a_client_that_never_reads_delays_nobody_and_misses_nothing() {
    let little = ReplicaLimits {
        messages_bytes_max: 64 * 1024,
        presence_bytes_max: 16 * 1024,
        total_bytes_max: 80 * 1024,
    };
    let server = Server::with(Config {
        replica: little,
        ..Config::default()
    });
    let mut sleeper = server.join("sleeper");
    let mut alice = server.join("alice");
    // More than any socket buffer holds.
    let (count, text) = (2_000_u64, "x".repeat(8 * 1024));
    let mut writer = alice.stream.try_clone().unwrap();
    let said = text.clone();
    let writing = thread::spawn(move || {
        for counter in 1..=count {
            let words = message("alice", counter, &said).to_string();
            writer.write_all(words.as_bytes()).unwrap();
        }
    });
    for counter in 1..=count {
        assert_eq!(alice.next("message")["seq"], counter);
    }
    writing.join().unwrap();
    for counter in 1..=count {
        let frame = sleeper.next("message");
        assert_eq!(frame["seq"], counter);
        assert_eq!(frame["message"].as_str().map(str::len), Some(text.len()));
    }
}

#[test]
fn a_replaced_client_that_never_reads_is_closed() {
    let server = Server::start();
    let mut ghost = server.join("ghost");
    let mut alice = server.join("alice");
    let text = "x".repeat(limits::TEXT_BYTES_MAX);
    for counter in 1..=600 {
        alice.send(&message("alice", counter, &text));
        alice.next("message");
    }
    let _back = server.join("ghost");
    // The client never reads; only a failing write shows that the connection is gone.
    let error = ghost.stream.write_all(&vec![b' '; 64 << 20]).unwrap_err();
    let gone = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    assert!(gone.contains(&error.kind()), "{error}");
}

#[test]
fn one_client_more_than_the_limit_is_refused_in_words() {
    let server = Server::with(Config {
        clients_max: 1,
        ..Config::default()
    });
    let bob = server.join("bob");
    let mut modern = server.connect();
    modern.send(&join("carol"));
    modern.is_refused("server_full");
    let mut basic = Basic::connect(&server);
    basic.join("carol");
    let object = basic.object().unwrap();
    assert_eq!(object["type"], "error");
    assert!(
        object["message"].as_str().unwrap().contains("full"),
        "{object}"
    );
    assert_eq!(basic.object(), None);
    drop(bob);
    // The place is free as soon as the server has noticed.
    let since = Instant::now();
    loop {
        let mut carol = server.connect();
        carol.send(&join("carol"));
        if carol.frame()["type"] == "welcome" {
            return;
        }
        assert!(since.elapsed() < PATIENCE);
    }
}

#[test]
fn the_same_token_replaces_its_connection_at_once() {
    let server = Server::start();
    let mut alice = server.join("alice");
    let mut ghost = server.join("bob");
    assert_eq!(alice.frame()["type"], "joined");
    let mut bob = server.join("bob");
    assert_eq!(ghost.next("bye")["reason"], "replaced");
    assert!(ghost.is_closed());
    bob.send(&message("bob", 1, "back"));
    assert_eq!(
        alice.frame()["message"],
        "back",
        "nobody was told of a departure"
    );
    // No other user can have the nickname, whatever its case.
    let mut mallory = server.connect();
    let mut wish = join("mallory");
    wish["nickname"] = "BOB".into();
    mallory.send(&wish);
    let refusal = mallory.frame();
    assert_eq!(refusal["code"], "nickname_in_use");
    assert_eq!(refusal["message"], "Nickname already in use");
    assert!(mallory.is_closed());
}

#[test]
fn a_second_session_of_a_user_is_one_member() {
    let server = Server::start();
    let mut alice = server.join("alice");
    let bob = server.join("bob");
    let mut phone = server.connect();
    let mut wish = join("bob");
    wish["clientID"] = "phone".into();
    phone.send(&wish);
    assert_eq!(phone.frame()["type"], "welcome");
    assert_eq!(phone.frame()["members"].as_array().unwrap().len(), 2);
    drop(bob);
    phone.send(&json!({"type": "disconnect"}));
    assert_eq!(phone.next("bye")["reason"], "disconnect");
    assert!(phone.is_closed());
    assert_eq!(alice.frame()["type"], "joined");
    assert_eq!(alice.frame()["type"], "left");
}

#[test]
fn a_broken_link_is_resumed_where_it_broke() {
    let server = Server::start();
    let mut alice = server.join("alice");
    let mut bob = server.connect();
    bob.send(&join("bob"));
    let epoch = bob.frame()["epoch"].clone();
    alice.send(&message("alice", 1, "one"));
    let one = bob.next("message");
    drop(bob);
    assert_eq!(alice.next("message")["seq"], 1);
    assert_eq!(alice.next("left")["reason"], "lost");
    alice.send(&message("alice", 2, "two"));
    alice.send(&message("alice", 3, "three"));
    assert_eq!(alice.next("message")["seq"], 2);
    assert_eq!(alice.next("message")["seq"], 3);
    let mut bob = server.connect();
    let mut wish = join("bob");
    wish["epoch"] = epoch;
    wish["rooms"] = json!([{"room": "lobby", "seq": one["seq"], "id": one["id"]}]);
    bob.send(&wish);
    let room = bob.next("welcome")["rooms"][0].clone();
    assert_eq!((&room["next"], room.get("reset")), (&json!(2), None));
    assert_eq!(bob.next("message")["message"], "two");
    assert_eq!(bob.next("message")["message"], "three");
}

#[test]
fn a_client_that_closes_its_half_still_gets_its_answers() {
    let server = Server::start();
    let mut bob = server.connect();
    bob.write(format!(
        "{}{}{}",
        join("bob"),
        message("bob", 1, "over"),
        json!({"type": "disconnect"})
    ));
    bob.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(bob.next("message")["message"], "over");
    assert_eq!(bob.next("bye")["reason"], "disconnect");
    assert!(bob.is_closed());
}

#[test]
fn stopping_tells_everyone_within_its_time_limit() {
    let mut server = Server::start();
    let mut alice = server.join("alice");
    let mut bob = server.join("bob");
    let mut basic = Basic::connect(&server);
    basic.join("carol");
    assert_eq!(alice.next("joined")["nickname"], "bob");
    assert_eq!(alice.next("joined")["nickname"], "carol");
    let _silent = server.connect();
    // A client that does not read, with much to be read.
    let _sleeper = server.join("sleeper");
    let text = "x".repeat(16_000);
    for counter in 1..=500 {
        bob.send(&message("bob", counter, &text));
        bob.next("message");
    }
    bob.send(&message("bob", 501, "the last"));
    bob.next("message");
    let since = Instant::now();
    server.stop();
    loop {
        let frame = alice.frame();
        if frame["type"] == "bye" {
            assert_eq!(frame["reason"], "shutdown");
            break;
        }
        if frame["seq"] == 501 {
            assert_eq!(frame["message"], "the last");
        }
    }
    assert!(alice.is_closed());
    server.stopped().unwrap();
    assert!(since.elapsed() < Duration::from_secs(5));
}

// The older programs.

/// Takes one `recv(1024)` for exactly one object.
struct Basic(TcpStream);

impl Basic {
    fn connect(server: &Server) -> Self {
        Self::to(server.address)
    }

    fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    fn join(&mut self, nickname: &str) {
        let words = format!(
            r#"{{"type": "join", "nickname": "{nickname}", "clientID": "3", "timestamp": "2026-11-22 09:22:21"}}"#
        );
        self.0.write_all(words.as_bytes()).unwrap();
    }

    fn say(&mut self, nickname: &str, text: &str) {
        let words = format!(
            r#"{{"type": "message", "nickname": "{nickname}", "message": "{text}", "timestamp": "2026-11-22 09:22:23"}}"#
        );
        self.0.write_all(words.as_bytes()).unwrap();
    }

    fn object(&mut self) -> Option<Value> {
        let mut bytes = [0; 1024];
        match self.0.read(&mut bytes).unwrap() {
            0 => None,
            count => Some(serde_json::from_slice(&bytes[..count]).unwrap()),
        }
    }

    fn line(&mut self) -> String {
        let object = self.object().unwrap();
        let field = |name: &str| object[name].as_str().unwrap().to_owned();
        assert_eq!(object.as_object().unwrap().len(), 4);
        format!("{}: {}", field("nickname"), field("message"))
    }
}

#[test]
fn the_older_client_joins_talks_hears_and_leaves() {
    let server = Server::start();
    let mut alice = server.join("alice");
    let mut carol = Basic::connect(&server);
    carol.join("alice");
    let refusal = json!({"type": "error", "message": "Nickname already in use"});
    assert_eq!(carol.object(), Some(refusal));
    assert_eq!(carol.object(), None, "and the connection closes");
    let mut carol = Basic::connect(&server);
    carol.join("carol");
    assert_eq!(alice.next("joined")["nickname"], "carol");
    carol.say("carol", "hello");
    assert_eq!(alice.next("message")["message"], "hello");
    // Ten at once, and each arrives alone.
    for counter in 1..=10 {
        alice.send(&message("alice", counter, &format!("number {counter}")));
    }
    for counter in 1..=10 {
        assert_eq!(carol.line(), format!("alice: number {counter}"));
    }
    let mut bob = server.join("bob");
    assert_eq!(carol.line(), "server: bob joined");
    bob.send(&json!({"type": "disconnect"}));
    assert_eq!(carol.line(), "server: bob left");
    carol
        .0
        .write_all(br#"{"type": "disconnect", "nickname": "carol", "clientID": "3"}"#)
        .unwrap();
    assert_eq!(alice.next("left")["reason"], "disconnect");
    assert_eq!(carol.object(), None);
}

#[test]
fn two_older_clients_talk_to_each_other() {
    let mut server = Server::start();
    let mut alice = server.join("alice");
    let mut bob = Basic::connect(&server);
    bob.join("bob");
    alice.next("joined");
    let mut carol = Basic::connect(&server);
    carol.join("carol");
    assert_eq!(bob.line(), "server: carol joined");
    carol.say("carol", "hi");
    assert_eq!(bob.line(), "carol: hi");
    bob.say("bob", "hi yourself");
    assert_eq!(carol.line(), "bob: hi yourself");
    server.stop();
    assert_eq!(carol.line(), "server: The server is stopping");
    assert_eq!(carol.object(), None);
}

// The program itself.

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat-server"));
    command
        .args(arguments)
        .arg("--ephemeral")
        .env("XDG_DATA_HOME", env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A server that is stopped by a signal.
struct Running(Child, SocketAddr);

impl Running {
    fn start(arguments: &[&str]) -> Self {
        Self::spawn(&mut program(arguments))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap();
        let address: SocketAddr = address.parse().unwrap();
        assert_ne!(address.port(), 0);
        Self(child, address)
    }

    fn signal(&self, name: &str) {
        // The shell's own `kill`: not every machine has the program.
        let kill = format!("kill {name} {}", self.0.id());
        let status = Command::new("sh").args(["-c", &kill]).status();
        assert!(status.unwrap().success());
    }

    /// Returns the exit code and the log; fails if it takes longer than `within`.
    fn ended(mut self, within: Duration) -> (Option<i32>, String) {
        let mut stderr = self.0.stderr.take().unwrap();
        let (told, log) = channel();
        thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            let _ = told.send(text);
        });
        let log = log.recv_timeout(within);
        if log.is_err() {
            self.0.kill().unwrap();
        }
        let code = self.0.wait().unwrap().code();
        (code, log.expect("it ends in time"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn start_errors_are_one_sentence_and_the_exit_code_says_whether_to_retry() {
    let taken = TcpListener::bind(("::", 0)).or_else(|_| TcpListener::bind(("0.0.0.0", 0)));
    let taken = taken.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let check = |arguments: &[&str], code: i32, expected: &str| {
        let output = program(arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert!(!said.contains("panicked") && !said.contains("RUST_BACKTRACE"));
        said
    };
    let said = check(&[&port], 1, "already in use");
    assert_eq!(said.lines().count(), 1, "{said}");
    let said = check(&["--bind", "192.0.2.1", "0"], 1, "no address 192.0.2.1");
    assert_eq!(said.lines().count(), 1, "{said}");
    check(&["--bind", "nonsense"], 2, "nonsense");
    check(&["70000"], 2, "70000");
    check(&["port"], 2, "port");
    check(&["--max-clients", "0"], 2, "--max-clients");
    check(&["--frob"], 2, "--frob");
}

#[test]
fn help_shows_how_to_host_and_how_to_join() {
    let output = program(&["--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(help.contains("10500") && help.contains("chat-tui HOST PORT NICKNAME CLIENTID"));
}

#[cfg(unix)]
#[test]
fn sighup_does_not_end_a_server_without_files_to_read_again() {
    let server = Running::start(&["--bind", "127.0.0.1", "0"]);
    let mut bob = Client::connect(server.1);
    bob.send(&join("bob"));
    bob.next("welcome");
    server.signal("-HUP");
    bob.send(&message("bob", 1, "still here"));
    assert_eq!(bob.next("message")["seq"], 1);
    server.signal("-TERM");
    let (code, log) = server.ended(Duration::from_secs(5));
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("there is nothing to reload"), "{log}");
}

#[test]
fn the_log_records_actions_but_no_texts() {
    let server = Running::start(&["--bind", "127.0.0.1", "0"]);
    let mut bob = Client::connect(server.1);
    let mut wish = join("bob");
    wish["agent"] = "test 1.0".into();
    bob.send(&wish);
    bob.send(&message("bob", 1, "a secret"));
    assert_eq!(bob.next("message")["seq"], 1);
    bob.send(&json!({"type": "disconnect"}));
    bob.next("bye");
    server.signal("-TERM");
    let (code, log) = server.ended(Duration::from_secs(5));
    assert_eq!(code, Some(0), "{log}");
    let line = |words: &[&str]| {
        let found = log
            .lines()
            .any(|line| words.iter().all(|word| line.contains(word)));
        assert!(found, "no line with {words:?} in\n{log}");
    };
    line(&["bob joined", "client ID 1", "127.0.0.1", "test 1.0"]);
    line(&[
        "message from bob",
        "#lobby",
        "number 1",
        "8 bytes",
        "127.0.0.1",
        "1 clients",
    ]);
    line(&["bob left", "disconnect"]);
    line(&["stopped"]);
    assert!(!log.contains("a secret"), "{log}");
}

#[cfg(unix)]
#[test]
fn texts_are_logged_only_when_asked_for_and_quiet_is_quiet() {
    for (arguments, told) in [(&["--log-text"][..], true), (&["--log-text", "-q"], false)] {
        let server = Running::start(&[&["--bind", "127.0.0.1", "0"], arguments].concat());
        let mut bob = Client::connect(server.1);
        bob.send(&join("bob"));
        bob.send(&message("bob", 1, "said\naloud"));
        bob.next("message");
        server.signal("-INT");
        assert_eq!(bob.next("bye")["reason"], "shutdown");
        let (code, log) = server.ended(Duration::from_secs(5));
        assert_eq!(code, Some(0), "{log}");
        assert_eq!(log.contains("said"), told, "{log}");
        let one_line = |line: &str| line.contains("said") == line.contains("aloud");
        assert!(log.lines().all(one_line), "{log}");
    }
}

/// Runs the program with this file as its stderr.
#[cfg(unix)]
fn with_stderr(stderr: UnixStream) -> Running {
    let mut command = program(&["--bind", "127.0.0.1", "0"]);
    Running::spawn(command.stderr(std::os::fd::OwnedFd::from(stderr)))
}

/// Checks that it serves, and stops, whatever its stderr is.
#[cfg(unix)]
fn serves_and_stops(mut server: Running) {
    let mut bob = Client::connect(server.1);
    bob.send(&join("bob"));
    bob.send(&message("bob", 1, "hi"));
    assert_eq!(bob.next("message")["seq"], 1);
    let mut alice = Client::connect(server.1);
    alice.send(&join("alice"));
    assert_eq!(bob.next("joined")["nickname"], "alice");
    server.signal("-TERM");
    assert_eq!(bob.next("bye")["reason"], "shutdown");
    assert_eq!(alice.next("bye")["reason"], "shutdown");
    drop((alice, bob));
    let since = Instant::now();
    while since.elapsed() < PATIENCE {
        if let Some(status) = server.0.try_wait().unwrap() {
            assert_eq!(status.code(), Some(0));
            return;
        }
        thread::yield_now();
    }
    panic!("it did not end");
}

#[cfg(unix)]
#[test]
fn it_serves_and_stops_after_its_stderr_was_closed() {
    let (reader, writer) = UnixStream::pair().unwrap();
    drop(reader);
    serves_and_stops(with_stderr(writer));
}

#[cfg(unix)]
#[test]
fn it_serves_and_stops_while_its_stderr_is_full() {
    let (_reader, mut writer) = UnixStream::pair().unwrap();
    writer.set_nonblocking(true).unwrap();
    while writer.write(b"x").is_ok() {}
    writer.set_nonblocking(false).unwrap();
    serves_and_stops(with_stderr(writer));
}

#[cfg(unix)]
#[test]
fn a_second_interrupt_ends_it_at_once() {
    let server = Running::start(&["--bind", "127.0.0.1", "0"]);
    let mut bob = Client::connect(server.1);
    bob.send(&join("bob"));
    bob.next("members");
    // The goodbye to this client takes longer than the shell takes to start `kill`.
    let mut carol = Basic::to(server.1);
    carol.join("carol");
    bob.next("joined");
    for counter in 1..=190 {
        bob.send(&message("bob", counter, "x"));
        bob.next("message");
    }
    server.signal("-INT");
    assert_eq!(bob.next("bye")["reason"], "shutdown");
    server.signal("-INT");
    let (code, log) = server.ended(PATIENCE);
    assert_eq!(code, Some(130), "{log}");
}
