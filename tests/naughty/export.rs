//! An old log, with everything that older rules accepted, exported.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{CHAT_SERVER, corpus, judge, terminal::Terminal};

fn server(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(CHAT_SERVER);
    command
        .env("HOME", data)
        .args(arguments)
        .arg("--data-dir")
        .arg(data);
    command
}

fn message(seq: usize, nickname: &str, text: &str) -> Value {
    json!({
        "type": "message", "room": "lobby", "id": format!("a3f1c09b7d2e4f5a6b7c8d9e-{seq}"),
        "user": "1b2c3d4e5f60718293a4b5c6", "nickname": nickname, "message": text,
        "timestamp": "2026-11-22T09:22:23.456Z", "seq": seq
    })
}

/// Writes a log that contains just these frames, against any rule.
fn log_of(data: &Path, frames: &[Vec<u8>]) {
    let lines = data.join("lines");
    let harmless = (1..=frames.len()).map(|seq| format!("{}\n", message(seq, "alice", "hello")));
    fs::write(&lines, harmless.collect::<String>()).unwrap();
    let imported = server(data, &["import"]).arg(&lines).output().unwrap();
    assert!(imported.status.success(), "{imported:?}");
    let database = data.join("log.db");
    let database = rusqlite::Connection::open(database).unwrap();
    let mut keys = database
        .prepare("SELECT id FROM entry ORDER BY id")
        .unwrap();
    let keys: Vec<i64> = keys
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(keys.len(), frames.len());
    for (key, frame) in keys.iter().zip(frames) {
        let put = "UPDATE entry SET frame = ?2 WHERE id = ?1";
        database.execute(put, (key, &frame[..])).unwrap();
    }
}

#[test]
fn a_log_is_written_so_that_it_can_be_read_on_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let texts = corpus::all();
    let frames: Vec<Vec<u8>> = (1..)
        .zip(&texts)
        .map(|(seq, text)| format!("{}\n", message(seq, text, text)).into_bytes())
        .collect();
    log_of(folder.path(), &frames);
    let output = server(folder.path(), &["export"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    judge::plain("an export", &output.stdout);
    judge::plain("an export, standard error", &output.stderr);
    // The export loses nothing: parsed as JSON it equals the log.
    let lines = String::from_utf8(output.stdout).unwrap();
    let read = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    for (seq, (frame, text)) in (1..).zip(read.zip(&texts)) {
        assert_eq!(frame, message(seq, text, text));
    }
    assert_eq!(lines.lines().count(), texts.len());
}

#[test]
fn a_log_with_bytes_that_are_no_text_does_no_harm_either() {
    let folder = tempfile::tempdir().unwrap();
    let spoilt: [&[u8]; 4] = [
        b"\x9b2J\n",
        b"{\"\x1b]0;PWNED\x07\":\xff}\n",
        b"\x90q",
        b"\n",
    ];
    log_of(folder.path(), &spoilt.map(<[u8]>::to_vec));
    let output = server(folder.path(), &["export"]).output().unwrap();
    judge::plain("an export", &output.stdout);
    judge::plain("an export, standard error", &output.stderr);
    let program = folder.path().to_str().unwrap();
    let mut terminal = Terminal::start(CHAT_SERVER, &["export", "--data-dir", program], 200, 50);
    terminal.ended();
    judge::terminal("an export on a terminal", &terminal.raw());
}

#[test]
fn errors_in_imported_lines_are_told_in_plain_words() {
    for text in corpus::few() {
        let folder = tempfile::tempdir().unwrap();
        let lines = folder.path().join("lines");
        let room = message(1, "alice", "hello")
            .to_string()
            .replace("lobby", &text);
        for line in [text.clone(), room, message(1, &text, "\u{1b}").to_string()] {
            fs::write(&lines, line + "\n").unwrap();
            let mut import = server(folder.path(), &["import"]);
            let output = import.arg(&lines).stdin(Stdio::null()).output().unwrap();
            judge::plain("an import", &output.stderr);
        }
    }
}
