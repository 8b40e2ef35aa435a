//! A hundred of the older programs at once, over real sockets.
//!
//! Each takes one `recv(1024)` for exactly one object. Whether two objects meet in one `recv`
//! depends on when its process runs, which no server decides; so this measures the server's part:
//! the objects, their order, and the pauses between them.

use std::{
    io::Read,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use chat_tui::protocol::{
    codec::Decoder,
    limits::{LEGACY_FRAME_BYTES_MAX, LEGACY_PAUSE, LEGACY_QUIET},
};
use serde_json::{Value, json};

use crate::{Basic, Server};

const CLIENTS: usize = 100;
const EACH: usize = 5;
/// A limit for everything: the pause grows on a busy machine.
const WITHIN: Duration = Duration::from_mins(4);

/// The objects that one client received.
#[derive(Default)]
struct Received {
    /// The times of its first and last object.
    first: Option<Instant>,
    last: Option<Instant>,
    objects: u32,
    /// Texts of messages, in their order.
    texts: Vec<String>,
    /// Notices in the server's own name.
    news: Vec<String>,
}

impl Received {
    fn take(&mut self, frame: &[u8]) {
        assert!(
            frame.len() <= LEGACY_FRAME_BYTES_MAX,
            "{} bytes",
            frame.len()
        );
        let object: Value = serde_json::from_slice(frame).unwrap();
        assert_eq!(object.as_object().unwrap().len(), 4, "{object}");
        assert_eq!(object["type"], "message", "{object}");
        let now = Instant::now();
        self.first.get_or_insert(now);
        self.last = Some(now);
        self.objects += 1;
        let text = object["message"].as_str().unwrap().to_owned();
        if object["nickname"] == "server" {
            self.news.push(text);
        } else {
            self.texts.push(text);
        }
    }

    /// Returns the mean pause between the objects.
    fn pace(&self) -> Option<Duration> {
        let (first, last) = self.first.zip(self.last)?;
        let between = self.objects.checked_sub(1).filter(|count| *count > 0)?;
        Some(last.duration_since(first) / between)
    }
}

/// Reads until all texts have come.
fn listen(mut socket: std::net::TcpStream, texts: usize) -> Received {
    let mut told = Received::default();
    let mut decoder = Decoder::new();
    while told.texts.len() < texts {
        let mut bytes = [0; 1024];
        let count = socket.read(&mut bytes).expect("the server goes on");
        assert!(count > 0, "the server closed after {:?}", told.texts.last());
        let mut bytes = &bytes[..count];
        while !bytes.is_empty() {
            let fed = decoder.feed(bytes);
            bytes = &bytes[fed..];
            while let Some(frame) = decoder.next_frame().unwrap() {
                told.take(frame);
            }
        }
    }
    told
}

#[test]
fn a_hundred_older_clients_hear_everything_that_the_others_say() {
    let server = Server::start();
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| Basic::connect(&server)).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.join(&format!("u{number}"));
    }
    // A joined client receives every later message: once this one has them all, the others have
    // joined.
    let mut witness = server.connect();
    witness.send(&crate::join("witness"));
    let mut present = std::collections::HashSet::new();
    while present.len() < CLIENTS {
        let frame = witness.frame();
        let name = |member: &Value| member["nickname"].as_str().unwrap().to_owned();
        match frame["type"].as_str() {
            Some("members") => {
                present.extend(frame["members"].as_array().unwrap().iter().map(name));
            }
            Some("joined") => present.extend([name(&frame)]),
            _ => {}
        }
        present.remove("witness");
    }
    let (told, heard) = mpsc::channel();
    for client in &clients {
        let socket = client.0.try_clone().unwrap();
        let told = told.clone();
        thread::spawn(move || told.send(listen(socket, EACH * (CLIENTS - 1))));
    }
    let since = Instant::now();
    for round in 0..EACH {
        for (number, client) in clients.iter_mut().enumerate() {
            // An older server, too, takes one `recv` for one object, so its users leave time
            // between two. Ours does not need it.
            client.say(&format!("u{number}"), &format!("u{number} {round}"));
        }
    }
    for _ in 0..CLIENTS {
        let told = heard.recv_timeout(WITHIN).expect("one fell silent");
        let mut count = std::collections::HashMap::new();
        for text in &told.texts {
            let (who, round) = text.split_once(' ').unwrap();
            let next = count.entry(who.to_owned()).or_insert(0);
            assert_eq!(round, next.to_string(), "{who}'s are in order and whole");
            *next += 1;
        }
        assert_eq!(count.len(), CLIENTS - 1, "never its own");
        let left_out = told.news.iter().find(|line| line.contains("left out"));
        assert_eq!(left_out, None);
        assert!(told.news.len() <= 4, "summed up: {:?}", told.news);
        // A reader that was late for the first object, and in time for the last, is excused.
        let pace = told.pace().unwrap();
        assert!(pace >= LEGACY_PAUSE * 4 / 5, "{pace:?} apart");
        assert!(since.elapsed() < WITHIN);
    }
}

#[test]
fn an_older_client_hears_nothing_for_a_second_after_its_join() {
    let server = Server::start();
    let mut alice = server.join("alice");
    let mut bob = Basic::connect(&server);
    let joined = Instant::now();
    bob.join("bob");
    assert_eq!(alice.next("joined")["nickname"], "bob");
    alice.send(&crate::message("alice", 1, "hello"));
    let mut others: Vec<_> = (0..5).map(|n| server.join(&format!("u{n}"))).collect();
    let mut heard = vec![bob.line()];
    assert!(joined.elapsed() >= LEGACY_QUIET, "{:?}", joined.elapsed());
    // Five join within a second, unless this machine is busy.
    let all = |line: &String| line.contains("u4") || line.contains("others");
    while heard.len() < 2 || !heard.iter().any(all) {
        heard.push(bob.line());
    }
    assert!(heard.contains(&"alice: hello".to_owned()), "{heard:?}");
    assert!(heard.len() <= 6, "{heard:?}");
    for other in &mut others {
        other.send(&json!({"type": "disconnect"}));
    }
    assert!(bob.line().ends_with("left"));
}
