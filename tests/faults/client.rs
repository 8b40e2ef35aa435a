//! A client that records acknowledgements. It speaks the protocol and nothing else: the project's
//! own client must not hide the server's faults.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, ErrorKind, Write},
    net::{SocketAddr, TcpStream},
};

use chat_tui::{
    protocol::{
        ClientFrame, ClientId, Content, Entry, Epoch, MessageId, Nickname, RoomId, ServerFrame,
        Token,
        frame::{Join, Outcome, Position, Submission, Welcome},
        wire::{encode_client, parse_server},
    },
    text::Body,
};

use crate::PATIENCE;

/// Messages that it sends without waiting.
const WINDOW: usize = 32;

/// The connection ended, as it does when a server dies.
#[derive(Debug)]
pub(crate) struct Gone;

/// One device, over the lives of many servers.
pub(crate) struct Client {
    name: Nickname,
    token: Token,
    own_id: ClientId,
    /// The counter of its next message.
    next: u64,
    /// Messages without an outcome.
    pub(crate) pending: BTreeSet<u64>,
    /// Acknowledged messages, which the server has promised to keep, with their `seq` if it was
    /// told.
    pub(crate) promised: BTreeMap<u64, Option<u64>>,
    /// The log's epoch, and the position in it.
    pub(crate) epoch: Option<Epoch>,
    pub(crate) log: Vec<MessageId>,
    /// Temporary refusals since the last check.
    pub(crate) refusals: Vec<String>,
    connection: Option<Connection>,
}

struct Connection {
    output: TcpStream,
    input: BufReader<TcpStream>,
    /// Messages of this connection without an outcome.
    out: BTreeSet<u64>,
}

impl Client {
    pub(crate) fn new(number: u8) -> Self {
        Self {
            name: Nickname::parse(&format!("client {number}")).unwrap(),
            token: Token::from_bytes([number; 32]),
            own_id: ClientId::parse("1").unwrap(),
            next: 1,
            pending: BTreeSet::new(),
            promised: BTreeMap::new(),
            epoch: None,
            log: Vec::new(),
            refusals: Vec::new(),
            connection: None,
        }
    }

    fn id(&self, counter: u64) -> MessageId {
        MessageId {
            device: self.token.device(&self.own_id),
            counter,
        }
    }

    /// The id of its message with this counter, as written on the wire.
    pub(crate) fn message_id(&self, counter: u64) -> String {
        self.id(counter).to_string()
    }

    /// Connects and joins; returns the `welcome`.
    pub(crate) fn join(&mut self, address: SocketAddr) -> Result<Welcome, Gone> {
        self.connection = None;
        let output = TcpStream::connect(address).map_err(|_| Gone)?;
        output.set_nodelay(true).unwrap();
        output.set_read_timeout(Some(PATIENCE)).unwrap();
        output.set_write_timeout(Some(PATIENCE)).unwrap();
        let input = BufReader::new(output.try_clone().unwrap());
        self.connection = Some(Connection {
            output,
            input,
            out: BTreeSet::new(),
        });
        let next = self.pending.first().copied().unwrap_or(self.next);
        let join = ClientFrame::Join(Box::new(Join {
            can: chat_tui::protocol::frame::Capabilities::ALL,
            protocol: Some(2),
            nickname: self.name.clone(),
            keep_nickname: false,
            client_id: self.own_id.clone(),
            token: Some(self.token),
            key: None,
            invite: None,
            password: None,
            code: None,
            next: Some(next),
            epoch: self.epoch,
            enter: Vec::new(),
            rooms: Vec::from_iter(self.epoch.map(|_| Position {
                room: RoomId::LOBBY,
                seq: self.log.len() as u64,
                id: self.log.last().copied(),
            })),
            last: Some(0),
            most: None,
            agent: None,
        }));
        self.send(&[join])?;
        match self.frame()? {
            ServerFrame::Welcome(welcome) => Ok(welcome),
            // Its disk failed meanwhile.
            ServerFrame::Bye(_) => Err(Gone),
            other => panic!("instead of a welcome: {other:?}"),
        }
    }

    /// Resumes in the log that it knows; a new client reads it from its beginning.
    pub(crate) fn resume(&mut self, address: SocketAddr) -> Result<(), Gone> {
        if self.epoch.is_none() {
            self.epoch = Some(self.join(address)?.epoch);
        }
        let welcome = self.join(address)?;
        let room = &welcome.rooms[0];
        assert_eq!(
            room.reset,
            None,
            "{} was reset at {}",
            self.name,
            self.log.len()
        );
        assert_eq!(room.next, self.log.len() as u64 + 1);
        let promised = self.promised.last_key_value().map_or(0, |(last, _)| *last);
        assert!(
            welcome.counter >= promised,
            "{} was promised {promised}, but {} is all that is known",
            self.name,
            welcome.counter
        );
        Ok(())
    }

    /// Queues a new message.
    pub(crate) fn say(&mut self) {
        self.pending.insert(self.next);
        self.next += 1;
    }

    /// Whether it waits for nothing.
    pub(crate) fn is_quiet(&self) -> bool {
        self.pending.is_empty()
    }

    /// Writes pending output.
    pub(crate) fn write(&mut self) -> Result<(), Gone> {
        let Some(connection) = &mut self.connection else {
            return Err(Gone);
        };
        let due: Vec<u64> = self
            .pending
            .iter()
            .copied()
            .filter(|counter| !connection.out.contains(counter))
            .take(WINDOW.saturating_sub(connection.out.len()))
            .collect();
        connection.out.extend(&due);
        let frames: Vec<_> = due
            .into_iter()
            .map(|counter| {
                ClientFrame::Submit(Submission {
                    room: RoomId::LOBBY,
                    id: Some(self.id(counter)),
                    content: Ok(Content::Text(self.text(counter))),
                })
            })
            .collect();
        self.send(&frames)
    }

    fn text(&self, counter: u64) -> Body {
        Body::parse(&format!("{} says {counter} {}", self.name, "…".repeat(20))).unwrap()
    }

    fn send(&mut self, frames: &[ClientFrame]) -> Result<(), Gone> {
        let mut bytes = Vec::new();
        for frame in frames {
            encode_client(frame, &mut bytes);
        }
        let connection = self.connection.as_mut().ok_or(Gone)?;
        connection.output.write_all(&bytes).map_err(|_| Gone)
    }

    fn frame(&mut self) -> Result<ServerFrame, Gone> {
        let connection = self.connection.as_mut().ok_or(Gone)?;
        let mut line = Vec::new();
        match connection.input.read_until(b'\n', &mut line) {
            // A server that was killed may have written a part of a line.
            _ if line.last() != Some(&b'\n') => Err(Gone),
            Ok(_) => Ok(parse_server(line.trim_ascii_end()).unwrap()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("nothing came"),
            Err(_) => Err(Gone),
        }
    }

    /// Reads and handles one frame.
    pub(crate) fn read(&mut self) -> Result<(), Gone> {
        match self.frame()? {
            ServerFrame::Entry(message) => self.message(&message),
            ServerFrame::Ack(ack) => {
                let seq = match ack.outcome {
                    Outcome::Stored { seq, .. } => Some(seq),
                    Outcome::Settled => None,
                    Outcome::Withdrawn | Outcome::Unchanged => panic!("nothing was withdrawn"),
                };
                self.settle(ack.id, seq);
            }
            ServerFrame::Error(error) => {
                assert!(error.retry_after_ms.is_some(), "{error:?}");
                let id = error.id.unwrap();
                if let Some(connection) = &mut self.connection {
                    connection.out.remove(&id.counter);
                }
                self.refusals.push(error.code.to_string());
            }
            ServerFrame::Ping { reference } => self.send(&[ClientFrame::Pong { reference }])?,
            ServerFrame::Bye(_) => return Err(Gone),
            _ => {}
        }
        Ok(())
    }

    fn message(&mut self, message: &Entry) {
        assert_eq!(
            message.seq,
            self.log.len() as u64 + 1,
            "a gap, or once more"
        );
        self.log.push(message.id);
        if message.id.device == self.id(1).device {
            assert_eq!(message.text(), Some(&self.text(message.id.counter)));
            self.settle(message.id, Some(message.seq));
        }
    }

    fn settle(&mut self, id: MessageId, seq: Option<u64>) {
        assert_eq!(id.device, self.id(1).device);
        if let Some(connection) = &mut self.connection {
            connection.out.remove(&id.counter);
        }
        let was_pending = self.pending.remove(&id.counter);
        let promised = self.promised.entry(id.counter).or_insert(seq);
        assert!(was_pending || promised.is_none() || seq.is_none() || *promised == seq);
        *promised = promised.or(seq);
    }

    /// Checks the final log: it contains each acknowledged message once, under the acknowledged
    /// `seq`, and all in the order in which they were sent.
    pub(crate) fn check(&self, log: &[MessageId]) {
        let device = self.id(1).device;
        let mine: Vec<(u64, u64)> = (1..)
            .zip(log)
            .filter(|(_, id)| id.device == device)
            .map(|(seq, id)| (id.counter, seq))
            .collect();
        let counters: Vec<u64> = mine.iter().map(|(counter, _)| *counter).collect();
        let said: Vec<u64> = (1..self.next).collect();
        assert_eq!(
            counters, said,
            "{}: lost, doubled or out of order",
            self.name
        );
        for (counter, seq) in mine {
            let told = self.promised.get(&counter).copied().flatten();
            assert!(
                told.is_none_or(|told| told == seq),
                "{counter} was {told:?}"
            );
        }
    }

    /// Closes the connection.
    pub(crate) fn hang_up(&mut self) {
        self.connection = None;
    }

    /// The number of this connection's messages without an outcome.
    pub(crate) fn out(&self) -> usize {
        self.connection
            .as_ref()
            .map_or(0, |connection| connection.out.len())
    }
}
