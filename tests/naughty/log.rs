//! The server's log, in a file and on a terminal, while hostile clients send texts.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpStream},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use chat_tui::protocol::{ClientId, Token};
use serde_json::{Value, json};

use crate::{
    CHAT_SERVER, corpus, judge,
    terminal::{PATIENCE, Terminal},
};

/// Every client comes through a proxy, from its own address, so that no rate limit applies.
const OPTIONS: &[&str] = &[
    "--bind",
    "127.0.0.1",
    "--ephemeral",
    "--log-text",
    "-v",
    "--proxy",
    "127.0.0.1",
    "--allow-plaintext",
];

/// Sends a text in every field of every client frame, each over a connection of its own: most are
/// refused.
fn say_everywhere(port: u16, number: usize, text: &str) {
    let token = Token::from_bytes([7; 32]);
    let client_id = ClientId::parse(&number.to_string()).unwrap();
    let device = token.device(&client_id);
    let join = |field: &str| {
        let mut join = json!({
            "type": "join", "protocol": 2, "nickname": "peer", "clientID": client_id.as_str(),
            "token": token.expose(), "agent": text
        });
        join[field] = text.into();
        join
    };
    for field in [
        "nickname", "clientID", "token", "key", "epoch", "type", text,
    ] {
        say(port, &[join(field)]);
    }
    for frame in [
        json!({"type": "message", "room": "lobby", "id": format!("{device}-1"), "message": text}),
        json!({"type": "message", "room": text, "id": format!("{device}-2"), "message": "hello"}),
        json!({"type": "message", "room": "lobby", "id": text, "message": "hello"}),
        json!({"type": "nick", "nickname": text}),
        json!({"type": "history", "room": text, "from": text}),
        json!({"type": "search", "query": text, "sender": text}),
        json!({"type": "command", "command": text, "room": text}),
        json!({"type": "command", "command": "ban", "nickname": text, "reason": text}),
        json!({"type": text}),
    ] {
        say(port, &[join("agent"), frame]);
    }
    // The reserved nickname, a legacy client, and bytes that are no frame.
    let reserved = json!({"nickname": "Server", "clientID": "1", "type": "join", "agent": text});
    say(port, &[reserved]);
    say(
        port,
        &[json!({"type": "join", "nickname": text, "clientID": text})],
    );
    say_bytes(port, text.as_bytes());
    say_bytes(port, format!("{{\"type\":\"{text}").as_bytes());
}

fn say(port: u16, frames: &[Value]) {
    let lines: Vec<String> = frames.iter().map(Value::to_string).collect();
    say_bytes(port, (lines.join("\n") + "\n").as_bytes());
}

/// Sends bytes and leaves, once the server has answered.
fn say_bytes(port: u16, bytes: &[u8]) {
    static PEERS: AtomicU32 = AtomicU32::new(0);
    let peer = PEERS.fetch_add(1, Ordering::Relaxed);
    let address = Ipv4Addr::from_bits(u32::from_be_bytes([10, 0, 0, 1]) + peer);
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = write!(stream, "PROXY TCP4 {address} 127.0.0.1 1024 {port}\r\n");
    let _ = stream.write_all(bytes);
    let _ = stream.write_all(b"{\"type\":\"disconnect\"}\n");
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
}

fn stop(pid: u32) {
    let kill = format!("kill -TERM {pid}");
    assert!(
        Command::new("sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success()
    );
}

fn start(topic: &str) -> (Child, u16) {
    let folder = env!("CARGO_TARGET_TMPDIR");
    let mut child = Command::new(CHAT_SERVER)
        .args(["0", "--topic", topic])
        .args(OPTIONS)
        .env("XDG_DATA_HOME", folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let port = line.trim().rsplit(':').next().unwrap().parse().unwrap();
    (child, port)
}

#[test]
fn texts_from_clients_are_logged_in_plain_lines() {
    let (mut child, port) = start("\u{1b}]0;PWNED\u{7}");
    let mut log = child.stderr.take().unwrap();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        log.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let mut texts = corpus::few();
    texts.extend(corpus::all().into_iter().step_by(23));
    for (number, text) in texts.iter().enumerate() {
        say_everywhere(port, number, text);
    }
    stop(child.id());
    let log = reader.join().unwrap();
    child.wait().unwrap();
    judge::plain("the log", &log);
    let said = String::from_utf8(log).unwrap();
    for part in ["joined", "refused", "message from", "stopped"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // No line is a client's alone: each begins with its time.
    for line in said.lines() {
        assert!(line.starts_with("20"), "{line:?}");
    }
}

#[test]
fn a_log_on_a_terminal_has_no_colours_but_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    let options = [&["0"][..], OPTIONS].concat();
    let terminal = Terminal::start_in(CHAT_SERVER, &options, 200, 50, &[("XDG_DATA_HOME", home)]);
    terminal.wait_for("listening on 127.0.0.1:");
    let screen = terminal.text();
    let port = screen.split("listening on 127.0.0.1:").nth(1).unwrap();
    let port = port.split(';').next().unwrap().parse().unwrap();
    for (number, text) in corpus::few().iter().enumerate() {
        say_everywhere(port, number, text);
    }
    stop(terminal.pid());
    let mut terminal = terminal;
    terminal.ended();
    judge::terminal("the log", &terminal.raw());
}
