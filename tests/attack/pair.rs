//! Two honest members: encrypted, with keys, their messages with ids. Whatever happens around them,
//! they receive every message, once and in order, and stay connected.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::peer::{PATIENCE, Peer, join, somebody};

/// Pause between two rounds: half of what each may send.
const PAUSE: Duration = Duration::from_millis(100);

/// A pair that chats until it is stopped.
pub(crate) struct Pair {
    stop: Arc<AtomicBool>,
    talking: JoinHandle<Talk>,
}

/// The result.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Talk {
    pub(crate) messages: u64,
    /// The longest time of a message from one to the other.
    pub(crate) worst: Duration,
}

impl Pair {
    /// Joins two members, and starts their chat.
    pub(crate) fn start(address: SocketAddr) -> Self {
        Self::of([
            Person::enter(Peer::secure(address), "anna", 1),
            Person::enter(Peer::secure(address), "bert", 2),
        ])
    }

    /// Starts the chat of these two.
    pub(crate) fn of(mut people: [Person; 2]) -> Self {
        let devices = people.each_ref().map(|person| person.device.clone());
        for person in &mut people {
            person.pair.clone_from(&devices);
        }
        let stop = Arc::<AtomicBool>::default();
        let asked = Arc::clone(&stop);
        let talking = thread::spawn(move || {
            let mut talk = Talk::default();
            while !asked.load(Ordering::Relaxed) || talk.messages == 0 {
                for turn in 0..2 {
                    let since = Instant::now();
                    let said = people[turn].say();
                    people[1 - turn].hear(&said);
                    talk.worst = talk.worst.max(since.elapsed());
                    people[turn].hear(&said);
                    talk.messages += 1;
                }
                thread::sleep(PAUSE);
            }
            talk
        });
        Self { stop, talking }
    }

    /// Ends the chat, and checks the result.
    pub(crate) fn ends_unharmed(self, what: &str) {
        self.stop.store(true, Ordering::Relaxed);
        let talk = self.talking.join().unwrap_or_else(|_| {
            panic!("{what}: two who only wanted to chat could not");
        });
        eprintln!(
            "{what}: {} messages got through, the slowest in {:?}",
            talk.messages, talk.worst
        );
        assert!(talk.worst < PATIENCE / 2, "{what}: {talk:?}");
    }
}

/// One member of the pair.
pub(crate) struct Person {
    peer: Peer,
    device: String,
    /// Both nicknames.
    pair: [String; 2],
    counter: u64,
    /// The `seq` of the last received message.
    seq: u64,
}

impl Person {
    /// Joins.
    pub(crate) fn enter(mut peer: Peer, nickname: &str, key: u64) -> Self {
        let welcome = peer.enter(&join(nickname), &somebody(key));
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        Self {
            peer,
            device: welcome["device"].as_str().unwrap().to_owned(),
            pair: Default::default(),
            counter: 0,
            seq: welcome["rooms"][0]["next"].as_u64().unwrap() - 1,
        }
    }

    /// Sends the next message, and returns it.
    fn say(&mut self) -> Value {
        self.counter += 1;
        let said = json!({
            "type": "message", "room": "lobby", "message": format!("line {}", self.counter),
            "id": format!("{}-{}", self.device, self.counter),
        });
        self.peer.send(&said);
        said
    }

    /// Receives all messages up to this one.
    fn hear(&mut self, said: &Value) {
        loop {
            let frame = self.peer.frame();
            match frame["type"].as_str().unwrap() {
                "message" => {}
                "error" | "bye" => panic!("told {frame}"),
                _ => continue,
            }
            self.seq += 1;
            assert_eq!(frame["seq"], self.seq, "one is missing: {frame}");
            let id = frame["id"].as_str().unwrap();
            if frame["id"] == said["id"] {
                assert_eq!(frame["message"], said["message"]);
                return;
            }
            let (device, _) = id.split_once('-').unwrap();
            assert!(!self.pair.iter().any(|own| own == device), "twice: {frame}");
        }
    }
}
