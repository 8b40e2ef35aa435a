//! The screen beside a stalled server, and beside a listener that has never answered.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use crate::{
    conversation::signal,
    process::{CHAT_TUI, Server},
    terminal::{PATIENCE, Terminal},
};

/// Whether the title, or a member's sign, is green, as with a healthy connection.
fn looks_well(screen: &vt100::Screen) -> bool {
    // The palette's colour for a good state, on any background.
    const GOOD: [u8; 3] = [28, 114, 22];
    let (rows, columns) = screen.size();
    let (rows, columns) = (u16::from(rows), u16::from(columns));
    let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
    cells
        .filter_map(|(row, column)| Some((row, screen.cell(row, column)?)))
        .filter(|(row, cell)| *row == 0 || cell.contents() == "●")
        .any(|(_, cell)| match cell.fgcolor() {
            vt100::Color::Idx(color) => GOOD.contains(&color),
            _ => false,
        })
}

fn title(screen: &vt100::Screen) -> String {
    screen
        .contents()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn a_stalled_server_is_reported_and_so_is_its_return() {
    let server = Server::start();
    let mut carol = server.client("carol", "3", 80, 24);
    carol.wait("all is well", |screen| {
        title(screen).contains("● encrypted") && looks_well(screen)
    });
    signal(server.pid(), "STOP");
    let stopped = Instant::now();
    carol.line("is anybody there?");
    carol.wait("no answer", |screen| {
        title(screen).contains("no answer for") && !looks_well(screen)
    });
    assert!(
        stopped.elapsed() >= Duration::from_secs(3),
        "that was hasty: {:?}",
        stopped.elapsed()
    );
    carol.wait_for("…");
    signal(server.pid(), "CONT");
    carol.wait("all is well again", |screen| {
        title(screen).contains("● encrypted") && looks_well(screen)
    });
    carol.wait_for("✓");
}

/// The received bytes, and a notification of more.
#[derive(Default)]
struct Heard {
    bytes: Mutex<Vec<u8>>,
    more: Condvar,
}

/// Accepts connections, writes `greeting` on each, and records the bytes that it receives. It never
/// answers.
struct Listener {
    address: SocketAddr,
    heard: Arc<Heard>,
}

impl Listener {
    fn start(greeting: &'static [u8], hangs_up: bool) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let heard = Arc::new(Heard::default());
        let kept = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let kept = Arc::clone(&kept);
                thread::spawn(move || listen(stream, greeting, hangs_up, &kept));
            }
        });
        Self { address, heard }
    }

    /// Returns all received bytes, once they contain this.
    #[track_caller]
    fn heard(&self, words: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut bytes = self.heard.bytes.lock().expect("no panic");
        loop {
            let heard = String::from_utf8_lossy(&bytes).into_owned();
            if heard.contains(words) {
                return heard;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{words} was not heard: {heard}");
            bytes = self
                .heard
                .more
                .wait_timeout(bytes, left)
                .expect("no panic")
                .0;
        }
    }

    fn client(&self, columns: u16, rows: u16, options: &[&str]) -> Terminal {
        let port = self.address.port().to_string();
        let arguments = [options, &["127.0.0.1", &port, "carol", "3"]].concat();
        Terminal::start(CHAT_TUI, &arguments, columns, rows)
    }
}

fn listen(mut stream: TcpStream, greeting: &[u8], hangs_up: bool, kept: &Heard) {
    let mut bytes = [0; 4096];
    let _ = stream.write_all(greeting);
    while let Ok(count) = stream.read(&mut bytes) {
        if count == 0 {
            return;
        }
        let mut heard = kept.bytes.lock().expect("no panic");
        heard.extend(&bytes[..count]);
        drop(heard);
        kept.more.notify_all();
        if hangs_up {
            return;
        }
    }
}

/// The fields that only a chat server may get without encryption.
#[track_caller]
fn shows_no_secret(heard: &str) {
    for field in ["token", "key", "password", "invite", "code"] {
        assert!(!heard.contains(&format!("\"{field}\"")), "{heard}");
    }
}

#[test]
fn a_silent_listener_is_not_shown_as_connected() {
    for options in [&[][..], &["--plaintext"], &["--no-state"]] {
        let listener = Listener::start(b"", false);
        let mut carol = listener.client(100, 30, options);
        carol.wait("no answer yet", |screen| {
            title(screen).contains("no answer yet: an older server, or none")
        });
        carol.line("hello?");
        carol.wait("an unconfirmed message", |screen| {
            let text = screen.contents();
            text.contains('~') && !text.contains('✓') && !looks_well(screen)
        });
        let heard = listener.heard("hello?");
        assert!(heard.contains("\"join\""), "{heard}");
        shows_no_secret(&heard);
    }
}

#[test]
fn a_listener_that_hangs_up_or_answers_otherwise_never_gets_a_secret() {
    for (greeting, hangs_up) in [(&b""[..], true), (b"220 mail.lan ESMTP\r\n", false)] {
        let listener = Listener::start(greeting, hangs_up);
        let mut carol = listener.client(80, 24, &["--plaintext"]);
        for _ in 0..3 {
            carol.wait_for("offline");
            assert!(!looks_well_now(&carol));
            carol.keys("\x12");
        }
        shows_no_secret(&listener.heard("\"join\""));
    }
}

fn looks_well_now(terminal: &Terminal) -> bool {
    let mut well = false;
    terminal.wait("the screen", |screen| {
        well = looks_well(screen);
        true
    });
    well
}

#[test]
fn without_encryption_a_modern_server_recognizes_a_returning_user() {
    let server = Server::start();
    let port = server.port();
    let alice = server.client("alice", "1", 80, 24);
    alice.wait_for("● encrypted");
    let home = tempfile::tempdir().expect("a folder");
    let state = home.path().to_str().expect("a path");
    let arguments = [
        "--plaintext",
        "--state-dir",
        state,
        "127.0.0.1",
        &port,
        "carol",
        "3",
    ];
    for said in ["first", "second"] {
        let mut carol = Terminal::start(CHAT_TUI, &arguments, 80, 24);
        carol.wait_for("● not encrypted");
        // If she had joined as another user, the first message would not be hers.
        carol.line(said);
        carol.wait("confirmed", |screen| {
            let text = screen.contents();
            text.matches('✓').count() == if said == "first" { 1 } else { 2 }
        });
        carol.line("q!");
        assert!(carol.ended().success());
    }
    alice.wait_for("second");
    // The probe is not announced as a join.
    let text = alice.text();
    assert_eq!(text.matches("first").count(), 1, "{text}");
}
