//! A client that requests pages of history, searches, and asks what was changed at random, many at
//! a time, and compares the answers with the truth. It resumes with a limit on missed messages.

mod answers;

use std::collections::{HashMap, VecDeque};

use chat_tui::{
    protocol::{
        ClientFrame, ClientId, Entry, Epoch, MessageId, Nickname, RoomId, ServerFrame, Token,
        UserId,
        codec::Decoder,
        frame::{
            ChangesRequest, ErrorCode, ErrorFrame, HistoryRequest, Join, PageHead, Part, Position,
            SearchRequest, Welcome,
        },
        limits::NUMBER_MAX,
        wire::{encode_client, parse_server},
    },
    search::{Query, Words},
    server::core::ConnectionId,
};
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};

use self::answers::{check_changes, check_found, check_page};
use crate::truth::{Fault, Truth, room_names, rooms};

/// Pending requests; with so many it makes no more.
const ASKED_MAX: usize = 20;

/// See the module's docs.
#[derive(Debug)]
pub(crate) struct Historian {
    pub(crate) connection: Option<ConnectionId>,
    decoder: Decoder,
    epoch: Epoch,
    most: u64,
    /// Its pending requests, in order.
    asked: VecDeque<(u64, Asked)>,
    references: u64,
    rooms: HashMap<RoomId, Room>,
}

#[derive(Debug, Default)]
struct Room {
    /// The last message of its copy, and the log's epoch.
    held: Option<(Epoch, u64, Option<MessageId>)>,
    /// The number that must come next on this connection.
    due: Option<u64>,
    /// The lowest number in the log that it was last told.
    first: u64,
}

#[derive(Clone, Debug)]
enum Asked {
    Page(RoomId, Part),
    Search(RoomId, Query, u64),
    Changes(ChangesRequest),
    /// An invalid request.
    Nonsense,
}

impl Historian {
    /// Returns one that is not connected.
    pub(crate) fn new() -> Self {
        Self {
            connection: None,
            decoder: Decoder::new(),
            epoch: Epoch::from_bytes([0xff; 8]),
            most: 0,
            asked: VecDeque::new(),
            references: 0,
            rooms: HashMap::new(),
        }
    }

    fn token() -> Token {
        Token::from_bytes([0x0d; 32])
    }

    /// Returns its user.
    pub(crate) fn user() -> UserId {
        Self::token().user()
    }

    /// Returns the first frame of a new connection.
    pub(crate) fn joins(&mut self, id: ConnectionId, epoch: Epoch, rng: &mut Rng) -> Vec<u8> {
        self.connection = Some(id);
        self.decoder = Decoder::new();
        self.asked.clear();
        self.most = rng.u64(0..30);
        self.epoch = epoch;
        // A connection may have ended before its `welcome`.
        let before = self.rooms.values().find_map(|room| room.held);
        let before = before.map_or(epoch, |(of, ..)| of);
        let position = |(id, room): (&RoomId, &Room)| {
            let (of, seq, message) = room.held?;
            (of == before).then_some(Position {
                room: *id,
                seq,
                id: message,
            })
        };
        let positions = self.rooms.iter().filter_map(position).collect();
        for room in self.rooms.values_mut() {
            room.due = None;
            room.first = 0;
        }
        written(&ClientFrame::Join(Box::new(Join {
            can: chat_tui::protocol::frame::Capabilities::ALL,
            protocol: Some(2),
            nickname: Nickname::parse("historian").expect("a nickname"),
            keep_nickname: false,
            client_id: ClientId::parse("1").expect("an ID"),
            token: Some(Self::token()),
            key: None,
            invite: None,
            password: None,
            code: None,
            next: None,
            epoch: Some(before),
            enter: room_names().into(),
            rooms: positions,
            last: Some(rng.u64(0..50)),
            most: Some(self.most),
            agent: None,
        })))
    }

    /// Handles the end of its connection.
    pub(crate) fn closed(&mut self, id: ConnectionId) {
        if self.connection == Some(id) {
            self.connection = None;
            self.asked.clear();
        }
    }

    /// Returns its next requests.
    pub(crate) fn asks(&mut self, truth: &Truth, now: Timestamp, rng: &mut Rng) -> Option<Vec<u8>> {
        // It has not been admitted yet.
        self.rooms.values().find(|room| room.due.is_some())?;
        let mut out = Vec::new();
        for _ in 0..rng.usize(1..=5).min(ASKED_MAX - self.asked.len()) {
            self.references += 1;
            let reference = Some(self.references);
            let (frame, asked) = self.anything(truth, now, reference, rng);
            self.asked.push_back((self.references, asked));
            out.extend(written(&frame));
        }
        Some(out)
    }

    fn anything(
        &self,
        truth: &Truth,
        now: Timestamp,
        reference: Option<u64>,
        rng: &mut Rng,
    ) -> (ClientFrame, Asked) {
        let [lobby, build] = rooms();
        let room = if rng.u8(..3) == 0 { build } else { lobby };
        let head = truth.head(self.epoch, room);
        let mut number = || match rng.u8(..12) {
            0 => 0,
            1 => NUMBER_MAX,
            _ => rng.u64(0..=head + 3),
        };
        let (from, to) = (number(), number());
        let back = SignedDuration::from_secs(rng.i64(-5..120));
        let part = match rng.u8(..8) {
            0 => Some(Part::Since(now.saturating_sub(back).unwrap_or(now))),
            1..=2 => Some(Part::Forward { from, to }),
            3..=5 => Some(Part::Backward { from, to }),
            _ => None,
        };
        if rng.u8(..20) == 0 {
            let room = nowhere();
            let part = Part::Forward { from, to };
            let request = HistoryRequest {
                room,
                part,
                reference,
            };
            return (ClientFrame::History(request), Asked::Nonsense);
        }
        if let Some(part) = part {
            let asked = Asked::Page(room, part);
            let request = HistoryRequest {
                room,
                part,
                reference,
            };
            return (ClientFrame::History(request), asked);
        }
        if rng.u8(..3) == 0 {
            let request = ChangesRequest {
                room,
                since: from,
                to,
                erased: rng.bool(),
                reference,
            };
            let asked = Asked::Changes(request.clone());
            return (ClientFrame::Changes(request), asked);
        }
        let words = ["long", "two", "1", "lo*", "lines two", "0 lon*", "nothing"];
        let words = rng.choice(words).unwrap_or_default();
        let sender = ["c0g0", "both", "twin"];
        let query = Query {
            words: Words::parse(words).expect("words"),
            sender: (rng.u8(..4) == 0)
                .then(|| Nickname::parse(sender[rng.usize(..3)]).expect("a nickname")),
            after: (rng.u8(..6) == 0).then(|| now.saturating_sub(back).unwrap_or(now)),
            before: None,
        };
        let asked = Asked::Search(room, query.clone(), to);
        let to = Some(to);
        let request = SearchRequest {
            room,
            query,
            to,
            reference,
        };
        (ClientFrame::Search(request), asked)
    }

    /// Handles the server's bytes; returns its replies.
    pub(crate) fn hears(&mut self, truth: &Truth, bytes: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut out = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = self.decoder.feed(rest);
            rest = &rest[count..];
            let mut frames = Vec::new();
            while let Some(frame) = self.decoder.next_frame().map_err(|e| e.to_string())? {
                frames.push(parse_server(frame).map_err(|e| e.to_string())?);
            }
            for frame in frames {
                self.hear(truth, frame, &mut out)
                    .map_err(|fault| format!("historian: {fault}"))?;
            }
        }
        Ok(out)
    }

    fn hear(&mut self, truth: &Truth, frame: ServerFrame, out: &mut Vec<u8>) -> Result<(), Fault> {
        match frame {
            ServerFrame::Welcome(welcome) => self.welcome(truth, &welcome),
            ServerFrame::Entry(message) => self.live(truth, &message),
            ServerFrame::History(page) => {
                let (_, asked) = self.answered(page.head.reference)?;
                self.head(truth, &page.head, &page.entries)?;
                match asked {
                    Asked::Page(room, part) if room == page.head.room => {
                        check_page(truth, self.epoch, part, &page.head, &page.entries)
                    }
                    other => Err(format!("{other:?} is answered by a page")),
                }
                .map_err(|fault| format!("{fault} in {:?}", page.head))
            }
            ServerFrame::Found(page) => {
                let (_, asked) = self.answered(page.head.reference)?;
                self.head(truth, &page.head, &page.entries)?;
                match asked {
                    Asked::Search(room, query, to) if room == page.head.room => {
                        check_found(truth, self.epoch, &query, to, &page.head, &page.entries)
                    }
                    other => Err(format!("{other:?} is answered by what was found")),
                }
                .map_err(|fault| format!("{fault} in {:?}", page.head))
            }
            ServerFrame::Changes(page) => {
                let (_, asked) = self.answered(page.head.reference)?;
                self.head(truth, &page.head, &page.entries)?;
                match asked {
                    Asked::Changes(request) if request.room == page.head.room => {
                        check_changes(truth, self.epoch, &request, &page)
                    }
                    other => Err(format!("{other:?} is answered by changes")),
                }
                .map_err(|fault| format!("{fault} in {:?}", page.head))
            }
            ServerFrame::Error(ErrorFrame {
                code,
                reference: Some(reference),
                ..
            }) => {
                let (_, asked) = self.answered(Some(reference))?;
                let nonsense = matches!(asked, Asked::Nonsense);
                match code {
                    ErrorCode::Unavailable if !nonsense => Ok(()),
                    ErrorCode::NoSuchRoom if nonsense => Ok(()),
                    _ => Err(format!("{asked:?} is refused as {code}")),
                }
            }
            ServerFrame::Ping { reference } => {
                out.extend(written(&ClientFrame::Pong { reference }));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Checks that answers come in the order of the requests.
    fn answered(&mut self, reference: Option<u64>) -> Result<(u64, Asked), Fault> {
        let asked = self.asked.pop_front().ok_or("an answer to nothing")?;
        if reference == Some(asked.0) {
            Ok(asked)
        } else {
            Err(format!("{reference:?} was answered before {}", asked.0))
        }
    }

    fn welcome(&mut self, truth: &Truth, welcome: &Welcome) -> Result<(), Fault> {
        for start in &welcome.rooms {
            let room = self.rooms.entry(start.room).or_default();
            if start.extent.first > truth.first(self.epoch, start.room) {
                return Err(format!("history of #{} begins too late", start.room));
            }
            let revised = truth.revised(self.epoch, start.room, start.extent.head);
            if (start.changed, start.redacted) != (revised.changed, revised.redacted) {
                return Err(format!("{start:?} says so of {revised:?}"));
            }
            if let Some((of, seq, _)) = room.held
                && of == self.epoch
            {
                let latest = (start.extent.head + 1).saturating_sub(self.most);
                let due = (seq + 1).max(latest).max(start.extent.first);
                if start.next != due || start.reset.is_some() {
                    let next = start.next;
                    return Err(format!(
                        "goes on with {next} after {seq}, where {due} is due"
                    ));
                }
            } else if room.held.is_some() && start.reset.is_none() {
                return Err("the log is another one, and nobody said so".into());
            }
            room.due = Some(start.next);
            room.first = start.extent.first;
            if start.next > 1 {
                let before = start.next - 1;
                let entry = truth.entry(self.epoch, start.room, before);
                room.held = Some((self.epoch, before, entry.map(|entry| entry.id)));
            } else {
                room.held = Some((self.epoch, 0, None));
            }
        }
        Ok(())
    }

    fn live(&mut self, truth: &Truth, message: &Entry) -> Result<(), Fault> {
        truth.check_once(self.epoch, message)?;
        let room = self.rooms.entry(message.room).or_default();
        if room.due != Some(message.seq) {
            return Err(format!("{} came where {:?} was due", message.seq, room.due));
        }
        room.due = Some(message.seq + 1);
        room.held = Some((self.epoch, message.seq, Some(message.id)));
        Ok(())
    }

    /// Checks the properties of every page.
    fn head(&mut self, truth: &Truth, head: &PageHead, page: &[Entry]) -> Result<(), Fault> {
        let room = self.rooms.entry(head.room).or_default();
        if head.extent.first < room.first || head.extent.first > truth.first(self.epoch, head.room)
        {
            return Err(format!("history is said to begin at {}", head.extent.first));
        }
        room.first = head.extent.first;
        if head.extent.head > truth.head(self.epoch, head.room) {
            return Err(format!("{} was told before its commit", head.extent.head));
        }
        if head.from > head.to + 1 {
            return Err("its ends are the wrong way round".into());
        }
        if page.iter().any(|message| message.room != head.room) {
            return Err("a message of another room".into());
        }
        page.iter()
            .try_for_each(|message| truth.check_as_of(self.epoch, message, head.extent.head))
    }

    /// Checks what must hold once all is quiet.
    pub(crate) fn settled(&self, truth: &Truth, epoch: Epoch) -> Result<(), Fault> {
        if self.connection.is_none() || self.epoch != epoch {
            return Err("the historian is not in".into());
        }
        if let Some((reference, asked)) = self.asked.front() {
            return Err(format!(
                "{reference} ({asked:?}) of the historian is not answered"
            ));
        }
        for name in rooms() {
            let due = self.rooms.get(&name).and_then(|room| room.due);
            let head = truth.head(epoch, name);
            if due != Some(head + 1) {
                return Err(format!(
                    "the historian waits for {due:?} of #{name}, not {head}"
                ));
            }
        }
        Ok(())
    }
}

/// A room that does not exist.
fn nowhere() -> RoomId {
    RoomId::from_bytes([0xee; 12])
}

fn written(frame: &ClientFrame) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_client(frame, &mut bytes);
    bytes
}
