//! Delays that a user notices, measured on the real programs: from the start to the first painted
//! screen, from a key to its letter on the screen, from Enter to the text on another user's screen,
//! and the same between two bare connections.
//!
//!     cargo bench --bench latency
//!
//! Loopback, one server process, each client in a PTY of 100×30 that is read at once. Each figure
//! is the median of its rounds, with the 95th percentile and the maximum after it. The times are
//! measured from outside: they include the PTY, both processes' scheduling, and the reader here.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench prints, and stops when it can't go on"
)]

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

#[allow(dead_code, reason = "shared with the tests, which use more of it")]
#[path = "../tests/end_to_end/terminal.rs"]
mod terminal;

use terminal::Terminal;

const CHAT_TUI: &str = env!("CARGO_BIN_EXE_chat-tui");
const STARTS: usize = 20;
const KEYS: usize = 200;
const MESSAGES: usize = 200;

struct Server {
    child: Child,
    port: String,
    _data: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_chat-server"))
            .args(["0", "--bind", "127.0.0.1", "-qq", "--data-dir"])
            .arg(data.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let port = line.trim().rsplit(':').next().unwrap().to_owned();
        Self {
            child,
            port,
            _data: data,
        }
    }

    fn screen(&self, nickname: &str) -> Terminal {
        Terminal::start(CHAT_TUI, &["127.0.0.1", &self.port, nickname, "1"], 100, 30)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let at = |share: usize| ms(times[(times.len() * share / 100).min(times.len() - 1)]);
    println!(
        "{what:<48} median {:>7.2} ms   p95 {:>7.2} ms   worst {:>7.2} ms   ({} rounds)",
        at(50),
        at(95),
        ms(times[times.len() - 1]),
        times.len()
    );
}

/// From starting the process to a painted input line, and to the joined room.
fn starts(server: &Server) {
    let (mut painted, mut joined) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let start = Instant::now();
        let mut screen = server.screen("alice");
        screen.wait_for("type a message");
        painted.push(start.elapsed());
        screen.wait_for("● connected");
        joined.push(start.elapsed());
        screen.line("q!");
        screen.ended();
    }
    report("start to first painted screen", painted);
    report("start to being in", joined);
}

/// From a key to its letter on the screen.
fn keys(server: &Server) {
    let mut screen = server.screen("alice");
    screen.wait_for("● connected");
    let mut times = Vec::new();
    let mut typed = String::new();
    for letter in ('a'..='z').cycle().take(KEYS) {
        if typed.len() == 40 {
            screen.keys("\x15");
            screen.wait_gone(&typed);
            typed.clear();
        }
        typed.push(letter);
        // A fast typist's pause: nobody sees more than a hundred frames a second.
        thread::sleep(Duration::from_millis(30));
        let start = Instant::now();
        screen.keys(&letter.to_string());
        screen.wait_for(&typed);
        times.push(start.elapsed());
    }
    report("key press to painted screen", times);
}

/// From Enter on one screen to the text on another.
fn screens(server: &Server) {
    let mut alice = server.screen("alice");
    alice.wait_for("● connected");
    let bob = server.screen("bob");
    bob.wait_for("● connected");
    let mut times = Vec::new();
    for number in 0..MESSAGES {
        let text = format!("message {number}.");
        alice.keys(&text);
        alice.wait_for(&text);
        // Long enough that Enter does not count as part of a paste.
        thread::sleep(Duration::from_millis(30));
        let start = Instant::now();
        alice.keys("\r");
        bob.wait_for(&text);
        times.push(start.elapsed());
    }
    report("Enter to the other screen", times);
}

/// A client without a screen, which reads lines.
struct Bare {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
    device: String,
}

impl Bare {
    fn join(server: &Server, nickname: &str) -> Self {
        let stream = TcpStream::connect(format!("127.0.0.1:{}", server.port)).unwrap();
        stream.set_nodelay(true).unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap());
        let mut bare = Self {
            stream,
            lines,
            device: String::new(),
        };
        bare.send(&format!(
            r#"{{"type":"join","protocol":2,"nickname":"{nickname}","clientID":"1","last":0}}"#
        ));
        let welcome = bare.until("welcome");
        let value: serde_json::Value = serde_json::from_str(&welcome).unwrap();
        value["device"]
            .as_str()
            .unwrap()
            .clone_into(&mut bare.device);
        bare
    }

    fn send(&mut self, line: &str) {
        self.stream
            .write_all(format!("{line}\n").as_bytes())
            .unwrap();
    }

    fn until(&mut self, kind: &str) -> String {
        let wanted = format!(r#""type":"{kind}""#);
        loop {
            let mut line = String::new();
            assert!(
                self.lines.read_line(&mut line).unwrap() > 0,
                "the server closed"
            );
            if line.contains(&wanted) {
                return line;
            }
        }
    }
}

/// From sending on one connection to receiving on another.
fn connections(server: &Server) {
    let mut alice = Bare::join(server, "carol");
    let mut bob = Bare::join(server, "dave");
    let mut times = Vec::new();
    for counter in 1..=MESSAGES {
        let line = format!(
            r#"{{"type":"message","room":"lobby","id":"{}-{counter}","message":"hello"}}"#,
            alice.device
        );
        let start = Instant::now();
        alice.send(&line);
        bob.until("message");
        times.push(start.elapsed());
    }
    report("send to receive, two bare connections", times);
}

fn main() {
    let server = Server::start();
    starts(&server);
    keys(&server);
    screens(&server);
    connections(&server);
}
