//! One connection to the server: plain or TLS, its join, and the lines that it receives.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use chat_tui::protocol::{Binding, Identity, Nonce};
use rustls::{ClientConfig, ClientConnection, HandshakeKind};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

/// Connections from one address: beyond some 14,000 the kernel takes long to find a free port.
const PER_SOURCE: usize = 10_000;

/// Local addresses for the clients of one server: ports of earlier clients are not free for a
/// while.
#[derive(Clone, Copy)]
pub(crate) struct Sources([u8; 2]);

impl Sources {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU8 = AtomicU8::new(0);
        // Other processes use other addresses.
        let process = 1 + u8::try_from(std::process::id() % 250).unwrap();
        Self([process, COUNT.fetch_add(1, Ordering::Relaxed)])
    }

    fn of(self, client: usize) -> Ipv4Addr {
        let last = u8::try_from(1 + client / PER_SOURCE).unwrap();
        Ipv4Addr::new(127, self.0[0], self.0[1], last)
    }
}

/// Returns the address for a client's next connection: while the ports of its first one rest, the
/// system takes long to find a free one beside them.
fn elsewhere(source: Ipv4Addr) -> Ipv4Addr {
    let [a, b, c, d] = source.octets();
    Ipv4Addr::new(a, b, c ^ 0x80, d)
}

/// A client's transport and identity.
#[derive(Clone)]
pub(crate) enum Way {
    /// Without encryption, as the user of its token, messages without ids.
    Plain,
    /// Encrypted, with a key of its own, messages with ids.
    Secure(Arc<ClientConfig>),
}

/// A connection's progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Connecting,
    Shaking,
    Joining,
    In,
    Gone,
}

/// A client's position in one of its rooms.
#[derive(Default)]
pub(crate) struct Slot {
    /// Each publisher's next number; `None` while it is unknown, for a client that joined during
    /// the traffic.
    pub(crate) next: Vec<Option<u64>>,
    /// The last message's `seq`, and its id.
    pub(crate) seq: u64,
    pub(crate) id: String,
}

/// See the module's docs.
pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    pub(crate) tls: Option<Box<ClientConnection>>,
    config: Option<Arc<ClientConfig>>,
    pub(crate) stage: Stage,
    /// Whether the connection waits for the socket to become writable.
    pub(crate) blocked: bool,
    /// It stops reading.
    pub(crate) deaf: bool,
    /// Plain bytes to be written.
    pub(crate) out: Vec<u8>,
    /// An incomplete line.
    pub(crate) tail: Vec<u8>,
    number: usize,
    source: Ipv4Addr,
    /// The numbers of its rooms.
    pub(crate) rooms: Range<usize>,
    pub(crate) slots: Vec<Slot>,
    /// For messages with ids: the device, and the last message's counter.
    pub(crate) device: String,
    counter: u64,
    pub(crate) epoch: String,
    /// Received frames about members: pages, and changes.
    pub(crate) pages: u64,
    pub(crate) changes: u64,
    /// The members that it was told of, by number, if noted.
    pub(crate) told: Vec<bool>,
    pub(crate) told_count: usize,
}

/// A room's name.
pub(crate) fn room_name(number: usize) -> String {
    format!("r{number}")
}

impl Client {
    /// Begins a connection.
    pub(crate) fn connect(
        number: usize,
        sources: Sources,
        to: SocketAddr,
        way: &Way,
        rooms: Range<usize>,
    ) -> io::Result<Self> {
        let source = sources.of(number);
        let mut client = Self {
            socket: open(source, to)?,
            tls: None,
            config: match way {
                Way::Plain => None,
                Way::Secure(config) => Some(Arc::clone(config)),
            },
            stage: Stage::Connecting,
            blocked: true,
            deaf: false,
            out: Vec::new(),
            tail: Vec::new(),
            number,
            source,
            slots: rooms.clone().map(|_| Slot::default()).collect(),
            rooms,
            device: String::new(),
            counter: 0,
            epoch: String::new(),
            pages: 0,
            changes: 0,
            told: Vec::new(),
            told_count: 0,
        };
        client.prepare();
        Ok(client)
    }

    /// Begins another connection, to resume.
    pub(crate) fn reconnect(&mut self, to: SocketAddr) -> io::Result<()> {
        self.source = elsewhere(self.source);
        self.socket = open(self.source, to)?;
        self.stage = Stage::Connecting;
        self.blocked = true;
        self.out.clear();
        self.tail.clear();
        self.prepare();
        Ok(())
    }

    fn prepare(&mut self) {
        self.tls = self.config.as_ref().map(|config| {
            let name = "chat-server".try_into().unwrap();
            let mut tls = ClientConnection::new(Arc::clone(config), name).unwrap();
            tls.set_buffer_limit(None);
            Box::new(tls)
        });
    }

    /// Handles the established TCP connection.
    pub(crate) fn connected(&mut self) {
        match self.tls {
            Some(_) => self.stage = Stage::Shaking,
            None => self.join(),
        }
    }

    /// Continues the TLS handshake.
    pub(crate) fn shaken(&mut self) {
        if self.stage == Stage::Shaking
            && self.tls.as_ref().is_some_and(|tls| !tls.is_handshaking())
        {
            self.join();
        }
    }

    pub(crate) fn is_resumed(&self) -> bool {
        let kind = self.tls.as_ref().and_then(|tls| tls.handshake_kind());
        kind == Some(HandshakeKind::Resumed)
    }

    fn identity(&self) -> Identity {
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&self.number.to_le_bytes());
        Identity::from_seed(seed)
    }

    fn join(&mut self) {
        self.stage = Stage::Joining;
        let rooms: Vec<_> = self.rooms.clone().map(room_name).collect();
        let mut wish = json!({
            "type": "join", "protocol": 2, "nickname": format!("u{}", self.number), "clientID": "1",
            "token": format!("{:064x}", self.number + 1), "last": 0, "enter": rooms,
        });
        if self.tls.is_some() {
            wish["key"] = self.identity().public().to_string().into();
        }
        if !self.epoch.is_empty() {
            wish["epoch"] = self.epoch.as_str().into();
            let positions = self
                .slots
                .iter()
                .zip(rooms)
                .filter(|(slot, _)| slot.seq > 0);
            wish["rooms"] = positions
                .map(|(slot, room)| json!({"room": room, "seq": slot.seq, "id": slot.id}))
                .collect();
        }
        self.say(&wish);
    }

    /// Answers the challenge.
    pub(crate) fn challenged(&mut self, line: &[u8]) {
        let challenge: Value = serde_json::from_slice(line).unwrap();
        let nonce = Nonce::parse(challenge["nonce"].as_str().unwrap()).unwrap();
        let tls = self.tls.as_ref().expect("it named a key over TLS only");
        let value = tls.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(&[]));
        let signature = self
            .identity()
            .prove(&Binding::Exporter(value.unwrap()), &nonce);
        self.say(&json!({"type": "proof", "signature": signature.to_string()}));
    }

    /// Handles the `welcome`.
    pub(crate) fn welcomed(&mut self, line: &[u8]) {
        let welcome: Value = serde_json::from_slice(line).unwrap();
        let text = |field: &str| welcome[field].as_str().unwrap().to_owned();
        (self.device, self.epoch) = (text("device"), text("epoch"));
        let rooms = welcome["rooms"].as_array().unwrap();
        assert_eq!(rooms.len(), self.rooms.len(), "{welcome}");
        self.stage = Stage::In;
    }

    pub(crate) fn say(&mut self, frame: &Value) {
        self.out.extend_from_slice(frame.to_string().as_bytes());
        self.out.push(b'\n');
    }

    /// Queues a message for the next flush.
    pub(crate) fn publish(&mut self, room: usize, text: &[u8]) {
        let out = &mut self.out;
        write!(out, r#"{{"type":"message","room":"r{room}","#).unwrap();
        if self.tls.is_some() {
            self.counter += 1;
            write!(out, r#""id":"{}-{}","#, self.device, self.counter).unwrap();
        }
        out.extend_from_slice(br#""message":""#);
        out.extend_from_slice(text);
        out.extend_from_slice(b"\"}\n");
    }

    /// Whether output is pending.
    pub(crate) fn has_more(&self) -> bool {
        !self.out.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Writes as much as the socket takes.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        if self.stage == Stage::Connecting {
            return Ok(());
        }
        let written = if let Some(tls) = &mut self.tls {
            if self.stage != Stage::Shaking && !self.out.is_empty() {
                tls.writer().write_all(&self.out)?;
                self.out.clear();
            }
            let mut written = Ok(0);
            while written.is_ok() && tls.wants_write() {
                written = tls.write_tls(&mut self.socket);
            }
            written.map(drop)
        } else {
            let mut done = 0;
            let mut written = Ok(());
            while written.is_ok() && done < self.out.len() {
                written = self
                    .socket
                    .write(&self.out[done..])
                    .map(|count| done += count);
            }
            self.out.drain(..done);
            written
        };
        match written {
            Err(error) if is_for_later(&error) => Ok(()),
            done => done,
        }
    }

    /// Reads available bytes into the buffer; 0 if there are none.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.tls {
            Some(tls) => {
                let mut read = Ok(0);
                while matches!(read, Ok(0)) {
                    match tls.read_tls(&mut self.socket) {
                        Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                        Ok(_) => {}
                        Err(error) => {
                            read = Err(error);
                            break;
                        }
                    }
                    tls.process_new_packets().map_err(io::Error::other)?;
                    if tls.is_handshaking() {
                        continue;
                    }
                    read = match tls.reader().read(buffer) {
                        Err(error) if is_for_later(&error) => Ok(0),
                        read => read,
                    };
                }
                read
            }
            None => match self.socket.read(buffer) {
                Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
                read => read,
            },
        };
        match read {
            Err(error) if is_for_later(&error) => Ok(0),
            read => read,
        }
    }
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Opens a non-blocking socket from one of this machine's addresses, and begins to connect it.
fn open(source: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    match socket.connect(&to.into()) {
        Err(error)
            if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
        connected => connected?,
    }
    Ok(socket.into())
}
