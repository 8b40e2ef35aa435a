//! Line mode, in a pipe and in a terminal.

use std::{
    fs::File,
    process::{Command, Output, Stdio},
    thread,
};

use serde_json::json;

use crate::{CHAT_TUI, corpus, host::Host, judge};

fn client(host: &Host, options: &[&str]) -> Command {
    let mut command = Command::new(CHAT_TUI);
    command
        .args(["localhost", &host.port(), "carol", "3", "--no-state"])
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn judged(what: &str, output: &Output) {
    judge::plain(&format!("{what}, standard output"), &output.stdout);
    judge::plain(&format!("{what}, standard error"), &output.stderr);
}

#[test]
fn texts_of_a_server_are_printed_as_plain_lines() {
    let host = Host::new();
    let child = client(&host, &["--follow"]).spawn().unwrap();
    let reader = thread::spawn(|| child.wait_with_output().unwrap());
    let mut guest = host.join();
    guest.welcome("\u{1b}]0;PWNED\u{7}");
    let texts = corpus::all();
    for text in &texts {
        guest.say_everywhere(text);
    }
    guest.say(&json!({"type": "bye", "reason": "replaced", "message": "\u{1b}[2Jbye\u{9b}2J"}));
    let output = reader.join().unwrap();
    judged("line mode", &output);
    // All texts were read: each began a line.
    let lines = output.stdout.split(|&byte| byte == b'\n').count();
    assert!(lines > texts.len(), "{lines}");
}

#[test]
fn a_refusal_is_told_in_plain_words() {
    let host = Host::new();
    let texts = corpus::few();
    for (number, text) in texts.iter().enumerate() {
        let child = client(&host, &["--timeout", "1"]).spawn().unwrap();
        let reader = thread::spawn(|| child.wait_with_output().unwrap());
        let mut guest = host.join();
        let codes = [
            "nickname_in_use",
            "bad_nickname",
            "banned",
            "access_denied",
            text,
        ];
        let code = codes[number % codes.len()];
        guest.say(&json!({"type": "error", "code": code, "message": text}));
        drop(guest);
        judged("a refusal", &reader.join().unwrap());
    }
}

#[test]
fn an_answer_outside_the_protocol_is_not_repeated() {
    let host = Host::new();
    for bytes in [
        &b"\x1b]0;PWNED\x07 HTTP/1.1 400\r\n\r\n"[..],
        b"{\"type\":\"\x1b[2J\"}",
        b"{\"type\":\"welcome\",\"\x9b2J\":\x1b}",
        b"{\"type\":\"welcome\",\"user\":\"\\u001b[2J\"}\n",
        b"{\"type\":\"error\",\"message\":5,\"code\":\"\\u009b2J\"}\n",
        b"\x90q\x9c",
    ] {
        let child = client(&host, &["--timeout", "1"]).spawn().unwrap();
        let reader = thread::spawn(|| child.wait_with_output().unwrap());
        host.join().say_bytes(bytes);
        judged("a broken server", &reader.join().unwrap());
    }
}

#[test]
fn an_input_that_is_no_text_is_not_repeated() {
    let host = Host::new();
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    let lines: Vec<u8> = corpus::few()
        .iter()
        .flat_map(|text| format!("/nick {text}\n/{text}\n{text}\n").into_bytes())
        .chain(*b"\xff\x9b2J\n")
        .collect();
    std::fs::write(&script, lines).unwrap();
    let child = client(&host, &["--commands", "--timeout", "2"])
        .stdin(File::open(&script).unwrap())
        .spawn()
        .unwrap();
    let reader = thread::spawn(|| child.wait_with_output().unwrap());
    let mut guest = host.join();
    guest.welcome("hello");
    let mut refused = 0;
    while let Some(frame) = guest.hear() {
        if frame["type"] == "message" {
            refused += 1;
            guest.say(&json!({
                "type": "error", "code": "bad_text", "id": frame["id"], "message": "\u{1b}[2Jno\u{9b}2J"
            }));
        } else if frame["type"] == "nick" {
            guest.say(&json!({
                "type": "error", "code": "nickname_in_use", "ref": frame["ref"],
                "message": "\u{1b}[2Jno\u{9b}2J"
            }));
        }
    }
    assert!(refused > 20, "{refused}");
    judged("a script", &reader.join().unwrap());
}

#[test]
fn files_that_cannot_be_had_are_named_in_plain_words() {
    let folder = tempfile::tempdir().unwrap();
    let start = |text: String| {
        // A directory can't be made in a file; nor is there a server.
        let file = folder.path().join(text.replace('/', ""));
        std::fs::write(&file, "").unwrap();
        Command::new(CHAT_TUI)
            .args(["localhost", "1", "carol", "3", "--timeout", "1"])
            .arg("--state-dir")
            .arg(file.join("state"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let started: Vec<_> = corpus::few().into_iter().map(start).collect();
    for child in started {
        let output = child.wait_with_output().unwrap();
        assert!(!output.stderr.is_empty());
        judged("a state directory", &output);
    }
}
