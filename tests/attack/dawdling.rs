//! Clients that send a byte a second: each kind is closed at the documented time, and not before.

use std::{
    io::{ErrorKind, Read, Write},
    thread,
    time::{Duration, Instant},
};

use chat_tui::protocol::limits::{GONE_AFTER, JOIN_WITHIN, LINE_WITHIN};
use rustls::version::TLS13;
use serde_json::{Value, json};

use crate::{
    bounds,
    pair::Pair,
    peer::{
        PATIENCE, PROXIED, PROXY, Peer, client_hello, connect, connect_from, header, join, somebody,
    },
    process::Server,
};

/// Clients of each kind.
const EACH: usize = 20;
const SECOND: Duration = Duration::from_secs(1);
/// The server checks once a second; the machine may be busy.
const LATER: Duration = Duration::from_secs(4);

/// The kind of a slow client.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Silent,
    Join,
    Hello,
    Introduction,
    Proof,
    Frame,
    FrameOfBasic,
    FrameInRecords,
    Record,
    Unheard,
}

use Kind::{
    Frame, FrameInRecords, FrameOfBasic, Hello, Introduction, Join, Proof, Record, Silent, Unheard,
};

const ALL: [Kind; 10] = [
    Silent,
    Join,
    Hello,
    Introduction,
    Proof,
    Frame,
    FrameOfBasic,
    FrameInRecords,
    Record,
    Unheard,
];

impl Kind {
    /// The time until its end, and the errors it gets.
    fn due(self) -> (Duration, &'static [&'static str]) {
        match self {
            Silent | Join | Hello | Introduction | Proof => (JOIN_WITHIN, &[]),
            Frame | FrameOfBasic | FrameInRecords => (LINE_WITHIN, &["malformed"]),
            Record | Unheard => (GONE_AFTER, &[]),
        }
    }

    /// Connects a slow client; returns it with all bytes that it will send, and the start of its
    /// time.
    fn begin(self, server: &Server, number: usize) -> (Peer, Vec<u8>, Instant) {
        let to = server.address;
        let name = format!("{self:?}{number}");
        let now = Instant::now();
        let fresh = || Peer::plain(to);
        let long = br#"{"type":"message","message":"what was never said to its end"}"#;
        let wish = join(&name).to_string().into_bytes();
        match self {
            Silent => (fresh(), Vec::new(), now),
            Join => (fresh(), wish, now),
            Hello => (fresh(), client_hello(&TLS13), now),
            Introduction => {
                let stream = connect_from(PROXY, to).unwrap();
                (Peer::over(stream), header("192.168.1.7"), now)
            }
            Proof => {
                let mut peer = Peer::secure(to);
                peer.challenged(&join(&name), &somebody(100 + number as u64));
                (peer, vec![b' '; 60], now)
            }
            FrameOfBasic => {
                let mut peer = fresh();
                peer.send(&json!({"type": "join", "nickname": name, "clientID": "3"}));
                (peer, long.to_vec(), Instant::now())
            }
            Frame | FrameInRecords | Record | Unheard => {
                let mut peer = match self {
                    Frame => fresh(),
                    _ => Peer::secured(connect(to).unwrap(), &TLS13).unwrap(),
                };
                peer.send(&join(&name));
                peer.next("members");
                let words = match self {
                    Unheard => Vec::new(),
                    // It looks like one long record.
                    Record => [&b"\x17\x03\x03\x40\x00"[..], &[7; 60]].concat(),
                    _ => long.to_vec(),
                };
                (peer, words, Instant::now())
            }
        }
    }
}

/// Sends a byte a second until the connection ends: returns how long that took, and the errors.
fn dawdle(kind: Kind, mut peer: Peer, words: &[u8], since: Instant) -> (Duration, Vec<String>) {
    let (mut codes, mut basic) = (Vec::new(), Vec::new());
    let mut words = words.iter();
    let mut said: Option<Instant> = None;
    loop {
        if said.is_none_or(|said| said.elapsed() >= SECOND) {
            said = Some(Instant::now());
            if let Some(byte) = words.next() {
                // It may have ended already.
                let _ = match kind {
                    Record => peer.socket.write_all(&[*byte]),
                    _ => peer.try_write([*byte]),
                };
            }
        }
        peer.socket.set_read_timeout(Some(SECOND)).unwrap();
        let waiting = peer.socket.peek(&mut [0]);
        peer.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        match waiting {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                assert!(
                    since.elapsed() < 2 * GONE_AFTER,
                    "{kind:?} goes on for ever"
                );
            }
            Ok(1..) if matches!(kind, FrameOfBasic) => {
                let mut object = [0; 1024];
                let count = peer.socket.read(&mut object).unwrap();
                basic.extend_from_slice(&object[..count]);
            }
            Ok(1..) => match peer.try_frame() {
                Some(frame) if frame["type"] == "error" => {
                    codes.push(frame["code"].as_str().unwrap().to_owned());
                }
                Some(_) => {}
                None => return (since.elapsed(), codes),
            },
            Ok(0) | Err(_) => break,
        }
    }
    // A legacy client gets no code, and its objects have no newline.
    let took = since.elapsed();
    let objects = serde_json::Deserializer::from_slice(&basic).into_iter::<Value>();
    let errors = objects
        .map(Result::unwrap)
        .filter(|object| object["type"] == "error");
    codes.extend(errors.map(|_| "malformed".to_owned()));
    (took, codes)
}

#[test]
fn a_client_that_sends_a_byte_a_second_is_closed_in_time() {
    let mut server = Server::start(&PROXIED);
    let pair = Pair::start(server.address);
    let mut dawdlers = Vec::new();
    for number in 0..EACH {
        for kind in ALL {
            let (peer, words, since) = kind.begin(&server, number);
            let ending = thread::spawn(move || dawdle(kind, peer, &words, since));
            dawdlers.push((kind, ending));
        }
    }
    let mut told = Vec::new();
    for (kind, ending) in dawdlers {
        let (took, codes) = ending.join().unwrap();
        let (due, words) = kind.due();
        let in_time = took + SECOND >= due && took < due + LATER;
        assert!(in_time, "{kind:?}: {took:?}");
        // A client that writes after the end resets the connection, and may lose its answer by
        // that.
        if !codes.is_empty() {
            assert_eq!(codes, words, "{kind:?}");
            told.push(format!("{kind:?}"));
        }
    }
    for kind in ALL {
        let silent = kind.due().1.is_empty();
        assert!(silent || told.contains(&format!("{kind:?}")), "{kind:?}");
    }
    pair.ends_unharmed("dawdlers");
    server.has_borne_it("dawdlers", bounds::NEWCOMING);
}
