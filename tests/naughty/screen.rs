//! The full screen, in a real terminal.

use std::{process::Command, thread};

use serde_json::{Value, json};

use crate::{
    CHAT_TUI, corpus,
    host::{Guest, Host, logged},
    judge,
    terminal::Terminal,
};

/// Texts that are sent before the test waits until all of them were drawn.
const AT_ONCE: usize = 25;
/// Lines that mark their end.
const END_LINES: usize = 20;

fn client(host: &Host) -> (Terminal, Guest) {
    let port = host.port();
    let arguments = ["localhost", &port, "carol", "3", "--no-state"];
    let terminal = Terminal::start(CHAT_TUI, &arguments, 160, 100);
    let mut guest = host.join();
    guest.welcome("hello");
    terminal.wait_for("● not encrypted");
    (terminal, guest)
}

/// Leaves, and judges all output, the exit summary included.
fn leave(mut terminal: Terminal) -> String {
    terminal.keys("\x03\x03");
    terminal.ended();
    judge::terminal("the screen", &terminal.raw());
    String::from_utf8(terminal.raw()).unwrap()
}

/// Ends it in any state.
fn end(terminal: &mut Terminal) {
    let kill = format!("kill -TERM {}", terminal.pid());
    let killed = Command::new("sh").args(["-c", &kill]).status();
    assert!(killed.unwrap().success());
    terminal.ended();
    judge::terminal("the screen", &terminal.raw());
}

#[test]
fn texts_of_a_server_are_not_obeyed_by_the_terminal() {
    let host = Host::new();
    let (terminal, mut guest) = client(&host);
    for (number, texts) in corpus::all().chunks(AT_ONCE).enumerate() {
        for text in texts {
            guest.say_everywhere(text);
        }
        // The end is on the screen, whatever height the texts have, and in several lines: the
        // tests' terminal takes some clusters for wider than they are, and may have shifted the
        // text beside one.
        let end = format!("that was part {number}.");
        guest.message("alice", &[&*end; END_LINES].join("\n"));
        terminal.wait_for(&end);
    }
    guest.say(&json!({"type": "bye", "reason": "disconnect", "message": "\u{1b}[2Jbye\u{9b}2J"}));
    leave(terminal);
}

#[test]
fn texts_before_admission_are_not_obeyed() {
    let host = Host::new();
    let port = host.port();
    let arguments = ["localhost", &port, "carol", "3", "--no-state"];
    for text in corpus::few() {
        for code in ["nickname_in_use", "password_required", "access_denied"] {
            let mut terminal = Terminal::start(CHAT_TUI, &arguments, 100, 30);
            let mut guest = host.join();
            guest.say(
                &json!({"type": "error", "code": code, "message": format!("{text} and so on")}),
            );
            terminal.wait_for("and so on");
            end(&mut terminal);
        }
    }
}

#[test]
fn pasted_and_refused_texts_are_not_obeyed() {
    let host = Host::new();
    let (mut terminal, guest) = client(&host);
    drop(host);
    drop(guest);
    terminal.wait_for("offline");
    for (number, text) in corpus::few().iter().step_by(2).enumerate() {
        let mark = format!("mark{number}.");
        for (before, after) in [("", "\x03"), ("/nick ", "\r\x03"), ("/no", "\r\x03")] {
            terminal.keys(&format!("\x1b[200~{before}{text} {mark}\x1b[201~"));
            terminal.wait_for(&mark);
            terminal.keys(after);
            terminal.wait_gone(&mark);
        }
        terminal.keys(&format!("\x1b[200~/search {text} {mark}\x1b[201~\r"));
        terminal.wait_for("searched");
        terminal.keys("\x1b");
        terminal.wait_gone(&mark);
        // It can't be sent, which the exit summary reports.
        terminal.keys(&format!("\x1b[200~{text} sent{number}.\x1b[201~\r"));
        terminal.wait_for(&format!("sent{number}."));
    }
    let farewell = "were not delivered";
    assert!(leave(terminal).contains(farewell));
}

#[test]
fn texts_in_the_log_are_not_obeyed_when_shown() {
    let host = Host::new();
    let port = host.port();
    let arguments = ["localhost", &port, "carol", "3", "--no-state"];
    let mut terminal = Terminal::start(CHAT_TUI, &arguments, 160, 100);
    let texts = corpus::few();
    let head = texts.len() as u64;
    let server = thread::spawn(move || {
        let mut guest = host.join();
        guest.welcome_to("hello", head);
        while let Some(asked) = guest.hear() {
            let mut messages: Vec<Value> = (1..)
                .zip(&texts)
                .map(|(seq, text)| logged(seq, text, text))
                .collect();
            let kind = match asked["type"].as_str() {
                Some("history") => "history",
                Some("search") => {
                    messages.reverse();
                    "found"
                }
                _ => continue,
            };
            guest.say(&json!({
                "type": kind, "room": "lobby", "entries": messages, "first": 1, "head": head,
                "from": 1, "to": head, "indexed": head, "ref": asked["ref"]
            }));
        }
    });
    terminal.wait_for("● not encrypted");
    // By hand, and by a search, whose results are shown in a list and then in their place.
    terminal.keys("\x1b[5~");
    terminal.wait_for("history begins here");
    terminal.keys("/search PWNED\r");
    terminal.wait_for("in 30 messages");
    terminal.keys("\r");
    terminal.wait_for("back to the results");
    end(&mut terminal);
    server.join().unwrap();
}
