//! The programs that chat-tui grew from, rebuilt from their observed behaviour on the socket: one
//! `recv(1024)` must return exactly one JSON object, nothing stands between objects, and any other
//! input silently ends their reading.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver},
    },
    thread,
    time::Duration,
};

use serde_json::{Value, json};

const RECV: usize = 1024;
const PATIENCE: Duration = Duration::from_secs(20);

/// A line that the seed's client shows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// `TIMESTAMP :: NICKNAME: MESSAGE`, without the time.
    Message {
        /// The sender.
        nickname: String,
        /// The text.
        message: String,
        /// The time as it came.
        timestamp: String,
    },
    /// It received exactly `Nickname already in use`, and asks for another.
    AsksForAnotherNickname,
    /// Its reading ended: end of stream, or input that it could not parse.
    Deaf {
        /// The input that it could not parse; empty at the end of the stream.
        bytes: Vec<u8>,
    },
}

/// The seed's client.
pub(crate) struct Client {
    stream: TcpStream,
    nickname: String,
    id: String,
    shown: Receiver<Shown>,
}

impl Client {
    /// Connects and joins; the server never answers a good join.
    pub(crate) fn join(server: SocketAddr, nickname: &str, client_id: &str) -> Self {
        let stream = TcpStream::connect(server).expect("the server listens");
        let (sender, shown) = mpsc::channel();
        let mut receiving = stream.try_clone().expect("a socket can be cloned");
        thread::spawn(move || {
            loop {
                let mut buffer = [0; RECV];
                let count = receiving.read(&mut buffer).unwrap_or(0);
                let shown = Self::take(&buffer[..count]);
                let deaf = matches!(shown, Shown::Deaf { .. });
                if sender.send(shown).is_err() || deaf {
                    break;
                }
            }
        });
        let mut client = Self {
            stream,
            nickname: nickname.into(),
            id: client_id.into(),
            shown,
        };
        client.send(&json!({
            "type": "join", "nickname": nickname, "clientID": client_id,
            "timestamp": "2026-11-22 09:22:21",
        }));
        client
    }

    /// One `recv(1024)`: exactly one object with `message`, then `type`, or the end.
    fn take(bytes: &[u8]) -> Shown {
        let deaf = || Shown::Deaf {
            bytes: bytes.to_vec(),
        };
        let Ok(info) = serde_json::from_slice::<Value>(bytes) else {
            return deaf();
        };
        let Some(message) = info["message"].as_str() else {
            return deaf();
        };
        if message == "Nickname already in use" {
            return Shown::AsksForAnotherNickname;
        }
        match (
            info["type"].as_str(),
            info["nickname"].as_str(),
            info["timestamp"].as_str(),
        ) {
            (Some("message"), Some(nickname), Some(timestamp)) => Shown::Message {
                nickname: nickname.into(),
                message: message.into(),
                timestamp: timestamp.into(),
            },
            _ => deaf(),
        }
    }

    fn send(&mut self, object: &Value) {
        self.stream
            .write_all(object.to_string().as_bytes())
            .expect("the server reads");
    }

    /// Sends a line as if typed.
    pub(crate) fn say(&mut self, message: &str) {
        self.send(&json!({
            "type": "message", "nickname": self.nickname, "message": message,
            "timestamp": "2026-11-22 09:22:23",
        }));
    }

    /// `q!`.
    pub(crate) fn quit(mut self) {
        self.send(&json!({
            "type": "disconnect", "nickname": self.nickname, "clientID": self.id,
        }));
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// The next thing shown.
    pub(crate) fn next(&self) -> Shown {
        self.shown
            .recv_timeout(PATIENCE)
            .expect("the client is shown something")
    }

    /// Reads until a message from `nickname` comes; also returns the lines before it.
    pub(crate) fn until_from(&self, nickname: &str) -> (Vec<Shown>, String) {
        let mut before = Vec::new();
        loop {
            match self.next() {
                Shown::Message {
                    nickname: from,
                    message,
                    ..
                } if from == nickname => {
                    return (before, message);
                }
                Shown::Deaf { bytes } => {
                    panic!("went deaf at {:?}", String::from_utf8_lossy(&bytes))
                }
                other => before.push(other),
            }
        }
    }
}

/// The seed's server: forwards the bytes that it reads to every other client.
pub(crate) struct Server {
    address: SocketAddr,
    peers: Arc<Mutex<HashMap<String, TcpStream>>>,
    heard: Receiver<Heard>,
}

/// What the seed's server logs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// `NICK: connected.`
    Connected(String),
    /// A message that it forwarded.
    Message {
        /// The nickname of the join.
        nickname: String,
        /// The text.
        message: String,
    },
    /// `NICK: disconnected.`
    Disconnected(String),
    /// The thread of a client ended with an exception: these bytes were not one object.
    Failed(Vec<u8>),
}

impl Server {
    /// Listens on a free port.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let peers = Arc::new(Mutex::new(HashMap::new()));
        let (sender, heard) = mpsc::channel();
        let all = Arc::clone(&peers);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { break };
                let (all, sender) = (Arc::clone(&all), sender.clone());
                thread::spawn(move || Self::serve(stream, &all, &sender));
            }
        });
        Self {
            address,
            peers,
            heard,
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next line of its log.
    pub(crate) fn next(&self) -> Heard {
        self.heard
            .recv_timeout(PATIENCE)
            .expect("the server hears something")
    }

    /// Breaks every connection, as a crash would.
    pub(crate) fn drop_all(&self) {
        for (_, stream) in self.peers.lock().expect("no panic").drain() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn serve(
        mut stream: TcpStream,
        peers: &Mutex<HashMap<String, TcpStream>>,
        heard: &mpsc::Sender<Heard>,
    ) {
        let mut nickname = String::new();
        loop {
            let mut buffer = [0; RECV];
            let count = stream.read(&mut buffer).unwrap_or(0);
            let bytes = &buffer[..count];
            let Ok(info) = serde_json::from_slice::<Value>(bytes) else {
                if count > 0 {
                    let _ = heard.send(Heard::Failed(bytes.to_vec()));
                }
                peers.lock().expect("no panic").remove(&nickname);
                return;
            };
            match info["type"].as_str() {
                Some("join") => {
                    let wanted = info["nickname"].as_str().unwrap_or_default().to_owned();
                    assert!(
                        info["clientID"].is_string(),
                        "a client ID is a string of digits"
                    );
                    let mut peers = peers.lock().expect("no panic");
                    if peers.contains_key(&wanted) {
                        let refusal =
                            json!({"type": "error", "message": "Nickname already in use"});
                        let _ = stream.write_all(refusal.to_string().as_bytes());
                        return;
                    }
                    nickname.clone_from(&wanted);
                    peers.insert(wanted.clone(), stream.try_clone().expect("a socket"));
                    let _ = heard.send(Heard::Connected(wanted));
                }
                Some("message") => {
                    let message = info["message"].as_str().unwrap_or_default().to_owned();
                    for (name, peer) in peers.lock().expect("no panic").iter_mut() {
                        if *name != nickname {
                            let _ = peer.write_all(bytes);
                        }
                    }
                    let _ = heard.send(Heard::Message {
                        nickname: nickname.clone(),
                        message,
                    });
                }
                Some("disconnect") => {
                    peers.lock().expect("no panic").remove(&nickname);
                    let _ = heard.send(Heard::Disconnected(nickname));
                    return;
                }
                _ => {}
            }
        }
    }
}
