//! Rows of the log, and the index, damaged from outside under a running server: each request is
//! answered, or the server ends and says why. It never runs without answering.

use std::{
    fs,
    io::{BufRead, BufReader, ErrorKind, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    time::Instant,
};

use rusqlite::Connection;
use serde_json::Value;

use crate::{PATIENCE, client::Client, process::Process};

/// Messages in the log that is damaged.
const HEAD: u64 = 120;

/// The state of a connection after a request.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    /// A frame of this type, or an error of this code.
    Frame(String),
    /// The connection closed, after such a frame if there was one.
    Closed(Option<String>),
}

/// Sends frames, one line each, and waits for the answer to the last one.
fn ask(address: SocketAddr, frames: &[&str], is_answer: impl Fn(&Value) -> bool) -> Heard {
    let Ok(mut output) = TcpStream::connect(address) else {
        return Heard::Closed(None);
    };
    output.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut input = BufReader::new(output.try_clone().unwrap());
    // It may have ended in the middle of it.
    let _ = output.write_all(format!("{}\n", frames.join("\n")).as_bytes());
    let mut last = None;
    loop {
        let mut line = Vec::new();
        match input.read_until(b'\n', &mut line) {
            Ok(_) if line.last() == Some(&b'\n') => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                panic!("alive and mute: {frames:?}, after {last:?}")
            }
            _ => return Heard::Closed(last),
        }
        let frame: Value = serde_json::from_slice(&line).expect("a frame that can be read");
        let kind = if frame["type"] == "error" {
            "code"
        } else {
            "type"
        };
        let kind = frame[kind].as_str().unwrap().to_owned();
        if is_answer(&frame) {
            return Heard::Frame(kind);
        }
        last = Some(kind);
    }
}

fn join(token: u8, more: &str) -> String {
    let token = format!("{token:02x}").repeat(32);
    format!(
        r#"{{"type":"join","protocol":2,"nickname":"n{}","clientID":"1","token":"{token}","last":0{more}}}"#,
        &token[..2]
    )
}

/// A log with messages in it, made by a server that was stopped.
fn filled() -> tempfile::TempDir {
    let data = tempfile::tempdir().unwrap();
    let server = Process::start(data.path(), |_| ());
    let mut client = Client::new(1);
    client.resume(server.address).unwrap();
    for _ in 0..HEAD {
        client.say();
    }
    while !client.is_quiet() {
        client.write().unwrap();
        client.read().unwrap();
    }
    server.stop();
    data
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = (entry.as_ref().unwrap().path(), entry.unwrap().file_name());
        if path.is_dir() {
            fs::create_dir_all(to.join(&name)).unwrap();
            copy(&path, &to.join(name));
        } else {
            fs::copy(path, to.join(name)).unwrap();
        }
    }
}

/// Makes SQLite forget the types of columns.
const LAX: &str = "PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = replace(replace(replace(sql,
        ', STRICT', ''), ') STRICT', ')'), ' NOT NULL', '') WHERE type = 'table';
    PRAGMA writable_schema = RESET;";

/// Damage to a log while a server has it open, and the outcome of a page then: the code of an
/// error, or `history` where the damage is elsewhere.
const DAMAGE: &[(&str, &str)] = &[
    ("UPDATE room SET first = head + 5", "unavailable"),
    ("UPDATE room SET first = 0", "unavailable"),
    ("UPDATE room SET first = -7", "unavailable"),
    ("UPDATE room SET head = -1", "unavailable"),
    ("UPDATE room SET head = 9223372036854775807", "unavailable"),
    ("UPDATE room SET head = head + 1000", "history"),
    ("UPDATE room SET last_time = 9223372036854775807", "history"),
    ("UPDATE room SET no = no + 7", "unavailable"),
    ("DELETE FROM room", "unavailable"),
    ("UPDATE entry SET frame = x'00ff7b'", "unavailable"),
    ("UPDATE entry SET frame = x''", "unavailable"),
    (
        "UPDATE entry SET frame = zeroblob(1000000) WHERE id % 50 = 0",
        "history",
    ),
    (
        "UPDATE entry SET frame = (SELECT frame FROM entry LIMIT 1 OFFSET 5)",
        "unavailable",
    ),
    (
        "UPDATE entry SET frame = CAST(replace(frame, 'e', char(27)) AS BLOB)",
        "unavailable",
    ),
    ("UPDATE entry SET time = 9223372036854775807", "history"),
    ("UPDATE entry SET device = -1", "history"),
    ("UPDATE entry SET counter = -counter", "history"),
    ("DELETE FROM entry", "unavailable"),
    ("DELETE FROM entry WHERE id % 7 = 0", "history"),
    (
        "DELETE FROM entry WHERE (id & 1048575) IN (1, 120)",
        "unavailable",
    ),
    ("UPDATE device SET counter = -1", "history"),
    ("UPDATE device SET counter = 9223372036854775807", "history"),
    ("UPDATE device SET id = x'00'", "history"),
    ("DELETE FROM device", "history"),
    ("DROP TABLE entry", "unavailable"),
    ("DROP TABLE room", "unavailable"),
    ("DROP TABLE device", "history"),
    (
        "DROP TABLE spent; DROP TABLE record; DROP TABLE meta",
        "history",
    ),
    (
        "LAX; UPDATE room SET first = NULL, head = 'x', last_time = x'00'",
        "unavailable",
    ),
    ("LAX; UPDATE entry SET frame = NULL", "unavailable"),
    (
        "LAX; UPDATE entry SET frame = 'text', time = 'x', counter = 'c' || counter",
        "unavailable",
    ),
    ("LAX; UPDATE device SET counter = 'x', id = 7", "history"),
];

/// Sends requests that read or write every part of the log, and checks the end of a server that
/// can't continue.
fn ask_all(server: Process, what: &str, page: &str) {
    let address = server.address;
    let answered = |reference: u64| move |frame: &Value| frame["ref"] == reference;
    let mut heard = Vec::new();
    let requests = [
        r#"{"type":"history","room":"lobby","from":1,"to":120,"ref":9}"#,
        r#"{"type":"history","room":"lobby","from":1,"to":120,"back":true,"ref":9}"#,
        r#"{"type":"history","room":"lobby","since":"2026-01-01T00:00:00Z","ref":9}"#,
        r#"{"type":"search","room":"lobby","query":"says","ref":9}"#,
        r#"{"type":"search","room":"lobby","query":"7*","after":"2026-01-01T00:00:00Z","ref":9}"#,
        r#"{"type":"search","room":"lobby","query":"\"client 1\"","before":"2036-01-01T00:00:00Z","ref":9}"#,
    ];
    for (token, request) in (20..).zip(requests) {
        heard.push(ask(address, &[&join(token, ""), request], answered(9)));
    }
    // Without some tables a join is refused with an error.
    if let Heard::Frame(heard) = &heard[0] {
        assert_eq!(heard, page, "{what}");
    }
    // The log's messages come, or an error says why not.
    let behind = join(30, "").replace(r#""last":0"#, r#""last":1000"#);
    let last = |frame: &Value| frame["seq"] == HEAD;
    heard.push(ask(address, &[&behind], last));
    // A known device; and a message of a new user.
    heard.push(ask(address, &[&join(1, "")], |frame| {
        frame["type"] == "welcome"
    }));
    let device = Client::new(31).message_id(1);
    let message =
        format!(r#"{{"type":"message","room":"lobby","id":"{device}","message":"still here"}}"#);
    heard.push(ask(address, &[&join(31, ""), &message], |frame| {
        frame["id"] == device
    }));
    let mute = heard.iter().any(|heard| {
        *heard == Heard::Closed(None) || heard == &Heard::Closed(Some("welcome".into()))
    });
    if mute {
        let (status, log) = server.ended();
        assert_eq!(status.code(), Some(1), "{what}: {heard:?}: {log}");
        assert!(!log.contains("panicked"), "{what}: {log}");
        return;
    }
    let log = server.stopped();
    assert!(!log.contains("panicked"), "{what}: {heard:?}: {log}");
    if page == "unavailable" && !what.contains("DROP") {
        assert!(log.contains(" WARN the log: "), "{what}: {log}");
    }
}

#[test]
fn with_damaged_rows_each_request_is_answered_or_the_server_ends() {
    let filled = filled();
    for (what, page) in DAMAGE {
        let data = tempfile::tempdir().unwrap();
        copy(filled.path(), data.path());
        // A fresh start: none of the log is in its memory.
        let server = Process::start(data.path(), |_| ());
        let log = Connection::open(data.path().join("log.db")).unwrap();
        log.busy_timeout(PATIENCE).unwrap();
        log.execute_batch(&what.replace("LAX;", LAX)).unwrap();
        drop(log);
        ask_all(server, what, page);
    }
}

/// Damages pages instead of rows.
#[test]
fn with_damaged_pages_each_request_is_answered_or_the_server_ends() {
    use std::os::unix::fs::FileExt;
    const PAGE: u64 = 4096;
    let filled = filled();
    for (from, byte) in [(1, 0xa5), (2, 0), (5, 0xff), (9, 0x0d)] {
        let data = tempfile::tempdir().unwrap();
        copy(filled.path(), data.path());
        let server = Process::start(data.path(), |_| ());
        let log = fs::File::options()
            .write(true)
            .open(data.path().join("log.db"));
        let log = log.unwrap();
        let pages = log.metadata().unwrap().len() / PAGE;
        assert!(pages > from + 2);
        let garbage = vec![byte; usize::try_from((pages - from) * PAGE).unwrap()];
        log.write_all_at(&garbage, from * PAGE).unwrap();
        ask_all(
            server,
            &format!("pages from {from} are {byte}"),
            "unavailable",
        );
    }
}

#[test]
fn with_a_damaged_index_each_request_is_answered_or_the_server_ends() {
    const CHANGES: &[&str] = &[
        "UPDATE rooms SET first = -1, indexed = -1",
        "UPDATE rooms SET first = 9223372036854775807",
        "UPDATE rooms SET indexed = 9223372036854775807",
        "UPDATE rooms SET id = -5",
        "DELETE FROM rooms",
        "UPDATE block_1_data SET block = zeroblob(length(block))",
        "UPDATE block_1_data SET block = randomblob(100000)",
        "DELETE FROM block_1_data",
        "UPDATE blocks SET id = -5",
        "UPDATE blocks SET entries = 9223372036854775807",
        "UPDATE blocks SET stage = 'x', stale = 1",
        "DELETE FROM blocks",
        "UPDATE spans SET first = 9, last = 3",
        "UPDATE spans SET last = 9223372036854775807",
        "UPDATE spans SET block = 77",
        "DELETE FROM spans",
        "DROP TABLE spans",
        "DROP TABLE rooms",
        "UPDATE log SET epoch = 'x'",
    ];
    let filled = filled();
    let start = || {
        let data = tempfile::tempdir().unwrap();
        copy(filled.path(), data.path());
        let server = Process::start(data.path(), |_| ());
        // It is there, and indexed.
        let found = ask(
            server.address,
            &[&join(19, ""), r#"{"type":"search","query":"says","ref":9}"#],
            |frame| frame["ref"] == 9,
        );
        assert_eq!(found, Heard::Frame("found".to_owned()));
        (data, server)
    };
    for what in CHANGES {
        let (data, server) = start();
        let index = Connection::open(data.path().join("index.db")).unwrap();
        index.busy_timeout(PATIENCE).unwrap();
        wait_for_block(&index);
        index.execute_batch(what).unwrap();
        drop(index);
        ask_all(server, what, "history");
    }
    // The file itself.
    for name in ["index.db", "index.db-wal"] {
        for what in ["overwritten", "cut off", "removed"] {
            let (data, server) = start();
            let path = data.path().join(name);
            if path.exists() {
                spoil(&path, what);
            }
            ask_all(server, &format!("{name} {what}"), "history");
        }
    }
}

/// Waits until the index has made a block.
fn wait_for_block(index: &Connection) {
    let began = Instant::now();
    let count = "SELECT count(*) FROM spans";
    while index.query_row(count, [], |row| row.get::<_, i64>(0)) != Ok(1) {
        assert!(began.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
}

fn spoil(path: &Path, how: &str) {
    let file = fs::File::options().write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    match how {
        "overwritten" => fs::write(path, vec![0xa5; usize::try_from(length).unwrap()]).unwrap(),
        "cut off" => file.set_len(length.min(5_000)).unwrap(),
        _ => fs::remove_file(path).unwrap(),
    }
}
