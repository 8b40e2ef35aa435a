//! The attackers: this program once more, in a process of its own.

use std::{
    env,
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    panic,
    process::{self, Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustls::version::{TLS12, TLS13};
use serde_json::json;

use crate::{
    member::Member,
    peer::{Peer, client_hello, connect, join, slam},
};

/// The attack that the process runs, and the server that it attacks.
const NAME: &str = "ATTACK_NAME";
const ON: &str = "ATTACK_ON";

/// Descriptors that an attack may need.
const DESCRIPTORS: u64 = 16_000;
/// Threads for attacks by connections.
const THREADS: usize = 8;
/// Half-open connections: four times as many as the server allows.
const HALVES: usize = 4_000;
const SPEAKERS: u64 = 50;
const FLOODERS: u64 = 8;
const LOOKERS: u64 = 10;
/// Pause between two messages or requests of a member.
const PACE: Duration = Duration::from_millis(100);
/// How long to wait for the answer to garbage.
const LINGER: Duration = Duration::from_millis(50);

/// One way to attack.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) words: &'static str,
    /// The unit of its count.
    pub(crate) unit: &'static str,
    /// Begins the attack; threads do the rest.
    begin: fn(&Front),
}

pub(crate) const ATTACKS: [Attack; 8] = [
    Attack {
        name: "handshakes",
        words: "TLS handshakes, none resumed",
        unit: "handshakes",
        begin: |front| front.storm(&handshake),
    },
    Attack {
        name: "halves",
        words: "4,000 half-open handshakes, renewed",
        unit: "connections",
        begin: halves,
    },
    Attack {
        name: "hellos",
        words: "client hellos, reset at the answer",
        unit: "hellos",
        begin: |front| front.storm(&hello),
    },
    Attack {
        name: "garbage",
        words: "garbage",
        unit: "connections",
        begin: |front| front.storm(&garbage),
    },
    Attack {
        name: "storm",
        words: "connect and reset",
        unit: "connections",
        begin: |front| front.storm(&|_| true),
    },
    Attack {
        name: "speakers",
        words: "50 members, 10 messages/s each",
        unit: "messages",
        begin: speakers,
    },
    Attack {
        name: "flood",
        words: "8 strangers, messages without end",
        unit: "messages",
        begin: flood,
    },
    Attack {
        name: "lookers",
        words: "10 members, 10 pages or searches/s",
        unit: "answers",
        begin: lookers,
    },
];

/// The attackers' process, killed on drop.
pub(crate) struct Attackers(Child);

impl Attackers {
    /// Starts the attackers; returns once they are at work.
    pub(crate) fn start(attack: &Attack, on: SocketAddr, core: Option<&str>) -> Self {
        let itself = env::current_exe().unwrap();
        let mut command = match core {
            Some(core) => {
                let mut taskset = Command::new("taskset");
                taskset.args(["-c", core]).arg(itself);
                taskset
            }
            None => Command::new(itself),
        };
        let mut child = command
            .env(NAME, attack.name)
            .env(ON, on.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0];
        let said = child.stdout.as_mut().unwrap().read_exact(&mut ready);
        said.expect("the attackers begin");
        Self(child)
    }

    /// Ends the attack, and returns the count per second.
    pub(crate) fn end(mut self) -> u64 {
        drop(self.0.stdin.take());
        let mut rate = String::new();
        let mut said = BufReader::new(self.0.stdout.take().unwrap());
        said.read_line(&mut rate).unwrap();
        rate.trim().parse().expect("the attackers held out")
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether this process is the attackers' one.
pub(crate) fn are_meant() -> bool {
    env::var_os(NAME).is_some()
}

/// Runs the attack until the server is gone.
pub(crate) fn attack() {
    // A weaker attack than claimed would flatter the server.
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |what| {
        report(what);
        process::exit(1);
    }));
    let _ = rlimit::increase_nofile_limit(DESCRIPTORS);
    let name = env::var(NAME).unwrap();
    let attack = ATTACKS.iter().find(|attack| attack.name == name).unwrap();
    let count = Arc::<AtomicU64>::default();
    (attack.begin)(&Front {
        to: env::var(ON).unwrap().parse().unwrap(),
        count: Arc::clone(&count),
    });
    let (since, before) = (Instant::now(), count.load(Ordering::Relaxed));
    print!(".");
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read(&mut [0]);
    let done = count.load(Ordering::Relaxed) - before;
    println!("{:.0}", done as f64 / since.elapsed().as_secs_f64());
    process::exit(0);
}

/// State shared by all attackers.
#[derive(Clone)]
struct Front {
    to: SocketAddr,
    /// The count of attacks so far.
    count: Arc<AtomicU64>,
}

impl Front {
    fn note(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Connects, calls `deed` and disconnects, repeatedly; counts successes.
    fn storm(&self, deed: &'static (impl Fn(&TcpStream) -> bool + Sync)) {
        for _ in 0..THREADS {
            let front = self.clone();
            thread::spawn(move || {
                loop {
                    // The machine lacks descriptors or ports for it.
                    let Ok(stream) = connect(front.to) else {
                        continue;
                    };
                    let done = deed(&stream);
                    slam(&stream);
                    if done {
                        front.note();
                    }
                }
            });
        }
    }
}

fn handshake(stream: &TcpStream) -> bool {
    Peer::secured(stream.try_clone().unwrap(), &TLS13).is_ok()
}

/// Sends a client hello and resets: it costs the attacker only bytes, and the server a whole
/// flight.
fn hello(mut stream: &TcpStream) -> bool {
    thread_local! {
        static HELLO: Vec<u8> = client_hello(&TLS13);
    }
    let _ = HELLO.with(|hello| stream.write_all(hello));
    stream.read(&mut [0]).is_ok_and(|count| count > 0)
}

/// Garbage: neither TLS nor JSON, or something that begins like one of them.
fn garbage(mut stream: &TcpStream) -> bool {
    let mut bytes = [0; 4096];
    fastrand::fill(&mut bytes);
    let starts: [&[u8]; 4] = [
        b"\xff",
        b" \r\n{",
        b"\x16\x03\x01\x10",
        b"\x16\x03\x03\x00\x40\x01\x00\x00\x3c\x03\x03",
    ];
    let start = starts[fastrand::usize(..starts.len())];
    bytes[..start.len()].copy_from_slice(start);
    let _ = stream.set_read_timeout(Some(LINGER));
    let _ = stream.write_all(&bytes);
    while stream.read(&mut bytes).is_ok_and(|count| count > 0) {}
    true
}

/// Half-open connections, each renewed when the server closes it.
fn halves(front: &Front) {
    let hello = client_hello(&TLS13);
    let older = client_hello(&TLS12);
    let kinds = [
        Vec::new(),
        b"\x16".to_vec(),
        hello[..hello.len() / 2].to_vec(),
        hello,
        older,
    ];
    let begin = move |number: usize, front: &Front| {
        let mut stream = connect(front.to).ok()?;
        let _ = stream.write_all(&kinds[number % kinds.len()]);
        stream.set_nonblocking(true).unwrap();
        front.note();
        Some(stream)
    };
    for _ in 0..THREADS {
        let (front, begin) = (front.clone(), begin.clone());
        thread::spawn(move || {
            let mut crowd: Vec<Option<TcpStream>> = Vec::new();
            crowd.resize_with(HALVES / THREADS, || None);
            loop {
                for (number, place) in crowd.iter_mut().enumerate() {
                    if place.as_ref().is_none_or(is_closed) {
                        place.iter().for_each(slam);
                        *place = begin(number, &front);
                    }
                }
                // Bounds the loop if no connection had to be renewed.
                thread::sleep(Duration::from_millis(1));
            }
        });
    }
}

fn is_closed(mut stream: &TcpStream) -> bool {
    loop {
        match stream.read(&mut [0; 4096]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
    }
}

/// Members that send at their limit, and receive everything.
fn speakers(front: &Front) {
    let enter = |number| Member::enter(front.to, &format!("speaker{number}"), number);
    let members: Vec<_> = (0..SPEAKERS).map(enter).collect();
    for (number, member) in members.into_iter().enumerate() {
        let front = front.clone();
        let mut member = [member];
        thread::spawn(move || {
            let mut due = Instant::now() + PACE.mul_f64(number as f64 / SPEAKERS as f64);
            loop {
                while due > Instant::now() {
                    Member::wait(&member, due);
                    while member[0].arrived().is_some() {}
                }
                member[0].say("a line as long as those that people say to each other");
                front.note();
                due += PACE;
            }
        });
    }
}

/// Unknown clients without encryption that send as fast as the server reads: most messages are
/// refused.
fn flood(front: &Front) {
    for number in 0..FLOODERS {
        let mut peer = Peer::plain(front.to);
        peer.send(&join(&format!("flooder{number}")));
        let device = peer.next("welcome")["device"].as_str().unwrap().to_owned();
        let mut from = peer.socket.try_clone().unwrap();
        thread::spawn(move || {
            let mut sink = vec![0; 64 * 1024];
            while from.read(&mut sink).is_ok_and(|count| count > 0) {}
            panic!("a flooder was cut off");
        });
        let front = front.clone();
        thread::spawn(move || {
            for counter in 1_u64.. {
                let id = format!("{device}-{counter}");
                let frame = json!({"type": "message", "id": id, "message": "spam"});
                peer.send(&frame);
                front.note();
            }
        });
    }
}

/// Members that request history pages or searches at their limit.
fn lookers(front: &Front) {
    let enter = |number| Member::enter(front.to, &format!("looker{number}"), 500 + number);
    let members: Vec<_> = (0..LOOKERS).map(enter).collect();
    for (number, member) in members.into_iter().enumerate() {
        let front = front.clone();
        let mut member = [member];
        thread::spawn(move || {
            let question = if number % 2 == 0 {
                json!({"type": "history", "room": "lobby", "ref": 1})
            } else {
                json!({"type": "search", "room": "lobby", "query": "long line", "ref": 1})
            };
            loop {
                let due = Instant::now() + PACE;
                member[0].send(&question);
                let mut answered = false;
                while !answered || due > Instant::now() {
                    let patience = Instant::now() + PACE;
                    Member::wait(&member, if answered { due } else { patience });
                    while let Some(frame) = member[0].arrived() {
                        answered |= [&br#""type":"history""#[..], br#""type":"found""#]
                            .iter()
                            .any(|kind| {
                                frame.windows(kind.len()).take(64).any(|part| part == *kind)
                            });
                        assert!(
                            !frame.starts_with(br#"{"type":"error""#),
                            "a looker was told {}",
                            String::from_utf8_lossy(&frame)
                        );
                    }
                }
                front.note();
            }
        });
    }
}
