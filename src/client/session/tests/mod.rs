//! Tests the session against a scripted server, in virtual time.

mod changes;
mod credentials;
mod disk;
mod entering;
mod handover;
mod hostile;
mod leaving;
mod legacy;
mod members;
mod outbox;
mod rate_limiter;
mod reading;
mod request_answers;
mod requests;
mod resume;
mod rooms;
mod saving;
mod staying;
mod trust;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use jiff::{Timestamp, tz::TimeZone};

use self::disk::Disk;
use super::*;
use crate::protocol::{
    ClientFrame, DeviceId, Entry, Epoch, Extent, Mentions, MessageId, ReadState, Role, RoomInfo,
    RoomName, ServerFrame, UserId,
    codec::Decoder,
    frame::{
        Ack, Bye, Capabilities, Departure, ErrorCode, ErrorFrame, Join, Limits, Outcome, RoomStart,
        Welcome,
    },
    limits::NO_PROTOCOL,
    wire::{encode_server, parse_client},
};
use crate::{
    client::{
        Host,
        event::{ConnectionStatus, ExplanationPart, OutboxMessage, Security},
    },
    protocol::{Author, ClientId, Content, EntryKind, Token, entry::Text},
    text::Body,
};

/// A session, its clock, and the far end of its connection.
struct TestSession {
    session: Session,
    elapsed: Duration,
    connected: bool,
    /// Bytes that were written and not read by the test yet.
    written: Vec<u8>,
    events: Vec<Event>,
    /// The read states that were told, in short form.
    reads: Vec<String>,
    disk: Disk,
}

/// An unencrypted connection on this machine.
const PLAIN: Channel = Channel::Plain {
    server: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 10500),
};

fn token() -> Token {
    Token::from_bytes([7; 32])
}

fn us() -> UserId {
    token().user()
}

fn device() -> DeviceId {
    token().device(&ClientId::parse("3").unwrap())
}

fn id(counter: u64) -> MessageId {
    MessageId {
        device: device(),
        counter,
    }
}

fn name(text: &str) -> Nickname {
    Nickname::parse(text).unwrap()
}

fn alice() -> UserId {
    UserId::from_bytes([1; 12])
}

fn message(seq: u64, text: &str) -> ServerFrame {
    ServerFrame::Entry(Entry {
        room: RoomId::LOBBY,
        seq,
        id: MessageId {
            device: DeviceId::from_bytes([1; 12]),
            counter: seq,
        },
        author: Author {
            user: alice(),
            nickname: name("alice"),
            proven: true,
        },
        time: Timestamp::UNIX_EPOCH,
        clock_was: None,
        kind: EntryKind::Text(Text {
            body: Body::inert(text),
            mentions: Mentions::NONE,
            edited: None,
        }),
    })
}

fn echo(seq: u64, counter: u64, text: &str) -> ServerFrame {
    ServerFrame::Entry(Entry {
        room: RoomId::LOBBY,
        seq,
        id: id(counter),
        author: Author {
            user: us(),
            nickname: name("carol"),
            proven: true,
        },
        time: Timestamp::UNIX_EPOCH,
        clock_was: None,
        kind: EntryKind::Text(Text {
            body: Body::inert(text),
            mentions: Mentions::NONE,
            edited: None,
        }),
    })
}

fn stored(counter: u64, seq: u64) -> ServerFrame {
    ServerFrame::Ack(Ack {
        id: id(counter),
        outcome: Outcome::Stored {
            room: RoomId::LOBBY,
            seq,
            time: Timestamp::UNIX_EPOCH,
        },
    })
}

fn ack(counter: u64, outcome: Outcome) -> ServerFrame {
    ServerFrame::Ack(Ack {
        id: id(counter),
        outcome,
    })
}

fn error(code: ErrorCode, message: &str) -> ErrorFrame {
    ErrorFrame {
        code,
        message: Line::inert(message),
        id: None,
        reference: None,
        retry_after_ms: None,
    }
}

fn refusal(counter: u64, code: ErrorCode, retry_after_ms: Option<u64>) -> ServerFrame {
    ServerFrame::Error(ErrorFrame {
        id: Some(id(counter)),
        retry_after_ms,
        ..error(code, "No")
    })
}

/// A modern server's answer to a probe.
fn unsupported() -> ServerFrame {
    ServerFrame::Error(error(
        ErrorCode::UnsupportedProtocol,
        "There is no protocol 0",
    ))
}

fn bye(reason: Departure, retry_after_ms: Option<u64>) -> ServerFrame {
    ServerFrame::Bye(Bye {
        reason,
        message: Line::inert("Bye"),
        retry_after_ms,
    })
}

fn lobby(first: u64, head: u64, next: u64) -> RoomStart {
    RoomStart {
        changed: 0,
        redacted: 0,
        room: RoomId::LOBBY,
        info: RoomInfo::public(RoomName::lobby()),
        read: ReadState::default(),
        extent: Extent::new(first, head),
        next,
        reset: None,
    }
}

fn welcome() -> Welcome {
    Welcome {
        can: Capabilities::ALL,
        protocol: 2,
        server: Line::inert("chat-server test"),
        user: us(),
        device: device(),
        token: token(),
        nickname: name("carol"),
        role: Role::Member,
        counter: 0,
        epoch: Epoch::from_bytes([5; 8]),
        time: Timestamp::UNIX_EPOCH,
        rooms: vec![lobby(1, 0, 1)],
        limits: Limits {
            frame_bytes: 65_536,
            text_bytes: 16_384,
            nickname_graphemes: 32,
            unanswered_messages: 4,
            ping_after_ms: 20_000,
            gone_after_ms: 45_000,
            messages_per_minute: None,
            messages_burst: None,
        },
    }
}

impl TestSession {
    /// A session that was just started.
    fn new() -> Self {
        Self::with(Disk::default()).0
    }

    /// A session that was just started on this disk, and the messages that it restored.
    fn with(disk: Disk) -> (Self, Vec<OutboxMessage>) {
        Self::with_credentials(disk, Credentials::default())
    }

    /// The same, with a key and other credentials.
    fn with_credentials(disk: Disk, credentials: Credentials) -> (Self, Vec<OutboxMessage>) {
        Self::with_rooms(disk, credentials, Vec::new())
    }

    /// A session that wants to join this room.
    fn wanting(disk: Disk, room: RoomName) -> Self {
        Self::with_rooms(disk, Credentials::default(), vec![room]).0
    }

    fn with_rooms(
        disk: Disk,
        credentials: Credentials,
        enter: Vec<RoomName>,
    ) -> (Self, Vec<OutboxMessage>) {
        let config = Config {
            host: Host::parse("chat.lan").unwrap(),
            port: 10500,
            nickname: name("carol"),
            client_id: ClientId::parse("3").unwrap(),
            token: token(),
            enter,
            last: None,
            most: None,
            credentials,
            command_line: CommandLine::default(),
            yields: disk.yields,
            zone: TimeZone::UTC,
            seed: 1,
        };
        let now = Now {
            mono: Duration::ZERO,
            wall: Timestamp::UNIX_EPOCH,
        };
        let (session, outbox) = Session::resume(config, disk.kept(), now);
        let mut run = Self {
            session,
            elapsed: Duration::ZERO,
            connected: false,
            written: Vec::new(),
            events: Vec::new(),
            reads: Vec::new(),
            disk,
        };
        run.settle();
        (run, outbox)
    }

    /// A session that has joined an empty lobby, with all output consumed.
    fn online() -> Self {
        let mut run = Self::new();
        run.open();
        run.say(ServerFrame::Welcome(welcome()));
        run.frames();
        run.events.clear();
        run
    }

    fn now(&self) -> Now {
        let wall = Timestamp::from_second(1_800_000_000).unwrap() + self.elapsed;
        Now {
            mono: self.elapsed,
            wall,
        }
    }

    fn since(&self, before: Duration) -> Duration {
        self.elapsed.saturating_sub(before)
    }

    /// Does what a driver does after every call.
    fn settle(&mut self) {
        self.save();
        while let Some(action) = self.session.poll_action() {
            self.connected = action == SocketAction::Connect;
        }
        loop {
            let before = self.written.len();
            let now = self.now();
            self.session.poll_write(now, &mut self.written);
            if self.written.len() == before {
                break;
            }
        }
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::ReadState { .. } => self.reads.push(event_in_short(&event)),
                event => self.events.push(event),
            }
        }
    }

    /// Carries out the session's saves and queries.
    fn save(&mut self) {
        let now = self.now();
        while let Some(save) = self.session.poll_save(now) {
            if let Some(saved) = self.disk.save(save) {
                self.session.handle_saved(now, saved);
            }
        }
        while let Some((id, look)) = self.session.poll_cache_query() {
            if let Some(waiting) = &mut self.disk.queries {
                waiting.push((id, look));
                continue;
            }
            let looked = self.disk.look(&look);
            self.session.handle_cache_result(now, id, looked);
            self.save();
        }
    }

    /// Opens an unencrypted connection to a modern server: the `join` is written.
    fn open(&mut self) {
        self.open_over(PLAIN);
        self.forget_security();
    }

    /// Opens an unencrypted connection; the listener is unknown.
    fn reach(&mut self) {
        self.reach_over(PLAIN);
        self.forget_security();
    }

    /// Removes `Security` events, which most tests ignore.
    fn forget_security(&mut self) {
        self.events
            .retain(|event| !matches!(event, Event::Security(_)));
    }

    /// Whether only a probe was written.
    fn asks_what_listens(&self) -> bool {
        let question = |bytes: &[u8]| match parse_client(bytes) {
            Ok(ClientFrame::Join(join)) => join.protocol == Some(NO_PROTOCOL),
            _ => false,
        };
        question(self.written.trim_ascii_end())
    }

    /// Opens a connection to a modern server, which has answered the probe.
    fn open_over(&mut self, channel: Channel) {
        self.reach_over(channel);
        if self.asks_what_listens() {
            self.written.clear();
            self.say(unsupported());
            self.reach_over(channel);
        }
    }

    fn reach_over(&mut self, channel: Channel) {
        assert!(self.connected, "the session asked for no connection");
        let now = self.now();
        self.session.handle_opened(now, channel);
        self.settle();
    }

    /// Opens a connection and makes the server send its welcome.
    fn enter(&mut self, welcome: Welcome) -> Join {
        self.open();
        let join = self.join();
        self.say(ServerFrame::Welcome(welcome));
        join
    }

    fn close(&mut self, why: &Closed) {
        let now = self.now();
        self.session.handle_closed(now, why);
        self.settle();
    }

    /// Loses the connection and waits until the session asks for another one.
    fn lose(&mut self) {
        self.close(&Closed::Lost);
        self.written.clear();
        self.wait_for_connect();
        self.events.clear();
    }

    fn wait_for_connect(&mut self) {
        assert!(!self.connected);
        self.time();
        assert!(self.connected, "no attempt when the deadline came");
    }

    /// Advances time to the deadline.
    fn time(&mut self) {
        let deadline = self.session.deadline().expect("a deadline");
        assert!(deadline >= self.elapsed, "a deadline in the past");
        self.elapsed = deadline;
        let now = self.now();
        self.session.handle_time(now);
        self.settle();
    }

    /// Lets time pass, deadline by deadline.
    fn pass(&mut self, time: Duration) {
        let end = self.elapsed + time;
        while self.session.deadline().is_some_and(|at| at <= end) {
            self.time();
        }
        self.elapsed = end;
    }

    #[allow(
        clippy::needless_pass_by_value,
        reason = "frames are made where they are said"
    )]
    fn say(&mut self, frame: ServerFrame) {
        let mut bytes = Vec::new();
        encode_server(&frame, &mut bytes);
        self.say_bytes(&bytes);
    }

    fn say_bytes(&mut self, bytes: &[u8]) {
        let now = self.now();
        self.session.handle_bytes(now, bytes);
        self.settle();
    }

    fn command(&mut self, command: Command) {
        let now = self.now();
        self.session.handle_command(now, command);
        self.settle();
    }

    fn send(&mut self, text: &str) {
        self.command(Command::Send {
            room: RoomId::LOBBY,
            content: Content::Text(Body::parse(text).unwrap()),
        });
    }

    /// The frames written since the last call.
    fn frames(&mut self) -> Vec<ClientFrame> {
        let mut decoder = Decoder::new();
        let bytes = std::mem::take(&mut self.written);
        let mut frames = Vec::new();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            rest = &rest[decoder.feed(rest)..];
            while let Some(frame) = decoder.next_frame().unwrap() {
                frames.push(parse_client(frame).unwrap());
            }
        }
        frames
    }

    fn join(&mut self) -> Join {
        let frames = self.frames();
        match frames.as_slice() {
            [ClientFrame::Join(join)] => Join::clone(join),
            other => panic!("not a join: {other:?}"),
        }
    }

    /// Checks the frames written since the last call, in short form.
    #[track_caller]
    fn wrote(&mut self, expected: &[&str]) {
        let frames: Vec<_> = self.frames().iter().map(frame_in_short).collect();
        assert_eq!(frames, expected);
    }

    /// Checks the events since the last call, in short form.
    #[track_caller]
    fn told(&mut self, expected: &[&str]) {
        let events: Vec<_> = self.events.drain(..).map(|e| event_in_short(&e)).collect();
        assert_eq!(events, expected);
    }
}

fn frame_in_short(frame: &ClientFrame) -> String {
    match frame {
        ClientFrame::Join(join) => format!("join {}", join.nickname),
        ClientFrame::Submit(submission) => match (&submission.id, &submission.content) {
            (Some(id), Ok(content)) => format!("{} {}", id.counter, content.words()),
            other => panic!("{other:?}"),
        },
        ClientFrame::Proof { .. } => "proof".to_owned(),
        ClientFrame::Command(request) => format!("command {:?}", request.command),
        ClientFrame::Withdraw { id } => format!("withdraw {}", id.counter),
        ClientFrame::History(request) => format!("history {:?}", request.part),
        ClientFrame::Search(request) => format!("search {}", request.query.words),
        ClientFrame::Changes(request) => {
            let kind = if request.erased { "erased" } else { "changes" };
            format!("{kind} since {} to {}", request.since, request.to)
        }
        ClientFrame::Read { marker, .. } => format!("read {}.{}", marker.generation, marker.seq),
        ClientFrame::Prefer { preferences, .. } => format!("prefer {preferences:?}"),
        ClientFrame::Watch { rooms } => format!("watch {rooms:?}"),
        ClientFrame::ListRooms(_) => "rooms".to_owned(),
        ClientFrame::ListPeople { .. } => "people".to_owned(),
        ClientFrame::Inbox { before, .. } => format!("inbox before {before:?}"),
        ClientFrame::Nick { nickname, .. } => format!("nick {nickname}"),
        ClientFrame::Ping { .. } => "ping".to_owned(),
        ClientFrame::Pong { reference } => format!("pong {}", reference.unwrap_or(0)),
        ClientFrame::Disconnect => "disconnect".to_owned(),
    }
}

fn local_in_short(local: LocalId) -> String {
    match local.0.checked_sub(LocalId::OF_OTHERS) {
        Some(number) => format!("of others {number}"),
        None => local.0.to_string(),
    }
}

fn status_in_short(status: &ConnectionStatus) -> String {
    match status {
        ConnectionStatus::Connecting => "connecting".to_owned(),
        ConnectionStatus::Online => "online".to_owned(),
        ConnectionStatus::Legacy => "legacy".to_owned(),
        ConnectionStatus::Unidentified => "unidentified".to_owned(),
        ConnectionStatus::Standby => "standby".to_owned(),
        ConnectionStatus::Waiting { why, .. } => format!("waiting: {why}"),
        ConnectionStatus::Stopped {
            why, wants: None, ..
        } => format!("stopped: {why}"),
        ConnectionStatus::Stopped {
            why,
            wants: Some(wants),
            ..
        } => format!("stopped: {why}, wants: {wants:?}"),
    }
}

fn title(start: &RoomStart) -> String {
    let name = start.info.name.as_ref();
    name.map_or_else(|| start.room.to_string(), |name| format!("#{name}"))
}

fn list_in_short(event: &Event) -> String {
    match event {
        Event::RoomList { request, rooms } => match rooms {
            Ok(page) => format!("{request}: {} rooms", page.list.len()),
            Err(why) => format!("{request}: no rooms: {why}"),
        },
        Event::PeopleList { request, people } => match people {
            Ok(page) => format!("{request}: {} people", page.list.len()),
            Err(why) => format!("{request}: no people: {why}"),
        },
        Event::Inbox { request, inbox } => match inbox {
            Ok(page) => format!("{request}: {} mentions", page.entries.len()),
            Err(why) => format!("{request}: no inbox: {why}"),
        },
        other => panic!("{other:?}"),
    }
}

fn delivery_in_short(message: &OutboxMessage) -> String {
    let OutboxMessage {
        local, delivery, ..
    } = message;
    match delivery {
        Delivery::Pending => format!("local {} pending", local_in_short(*local)),
        Delivery::Sent { seq: Some(seq) } => {
            format!("local {} is {seq}", local_in_short(*local))
        }
        Delivery::Sent { seq: None } => format!("local {} sent", local_in_short(*local)),
        Delivery::Unconfirmed => format!("local {} unconfirmed", local_in_short(*local)),
        Delivery::Failed { why } => format!("local {} failed: {why}", local_in_short(*local)),
        Delivery::Unchanged => format!("local {} unchanged", local_in_short(*local)),
        Delivery::Withdrawn => format!("local {} withdrawn", local_in_short(*local)),
        Delivery::SettledElsewhere => {
            format!("local {} settled elsewhere", local_in_short(*local))
        }
    }
}

fn event_in_short(event: &Event) -> String {
    match event {
        Event::Connection(status) => status_in_short(status),
        Event::Unanswered(None) => "answers".to_owned(),
        Event::Unanswered(Some(waited)) => format!("unanswered for {} s", waited.as_secs()),
        Event::Security(Security::Plain) => "plain".to_owned(),
        Event::Security(Security::Encrypted { verified_by, .. }) => {
            format!("encrypted ({verified_by:?})")
        }
        Event::Entered(entered) => format!("entered as {}", entered.nickname),
        Event::Room(room) => match room.reset {
            None => format!("{} from {}", title(room), room.next),
            Some(reset) => format!("{} anew from {} ({reset:?})", title(room), room.next),
        },
        Event::RoomInfo { info, .. } => {
            let name = info.name.as_ref().map_or("none", RoomName::as_str);
            format!("is #{name}")
        }
        Event::ReadState { read, .. } => format!(
            "read {}.{}, {} unread, {} mentions",
            read.marker.generation, read.marker.seq, read.unread, read.mentions
        ),
        Event::RoomList { .. } | Event::PeopleList { .. } | Event::Inbox { .. } => {
            list_in_short(event)
        }
        Event::RoomLeft { room, by } => {
            let by = by.as_ref().map_or("nobody", Nickname::as_str);
            format!("left {room} by {by}")
        }
        Event::Message(message) => {
            let seq = message
                .said
                .seq()
                .map_or("-".to_owned(), |seq| seq.to_string());
            let local = message
                .local
                .map_or(String::new(), |l| format!(" =local {}", local_in_short(l)));
            let text = message.said.words();
            format!("{seq} {}: {text}{local}", message.said.nickname())
        }
        Event::Changed { entries, .. } => {
            let numbers: Vec<_> = entries.iter().map(|entry| entry.seq).collect();
            format!("changed {numbers:?}")
        }
        Event::Outbox(message) => delivery_in_short(message),
        Event::Members { members, .. } => {
            let mut names: Vec<_> = members.iter().map(|m| m.nickname.to_string()).collect();
            names.sort();
            format!("members {}", names.join(" "))
        }
        Event::Joined { member, .. } => format!("{} joined", member.nickname),
        Event::Left {
            nickname, reason, ..
        } => format!("{nickname} left ({reason:?})"),
        Event::Renamed { was, nickname, .. } => format!("{was} is {nickname}"),
        Event::Promoted { role, .. } => format!("promoted to {role}"),
        Event::Rules { rules, by, .. } => {
            let topic = rules.topic.as_ref().map_or("none", Line::as_str);
            let by = by.as_ref().map_or("nobody", Nickname::as_str);
            format!("topic {topic} by {by}")
        }
        Event::Admin { request, answer } => match answer {
            Ok(result) => format!("{request}: {}", result.message),
            Err(why) => format!("{request} refused: {why}"),
        },
        Event::NicknameRefused {
            nickname,
            why,
            waiting,
        } => format!("{nickname} refused ({why}), waiting: {waiting}"),
        Event::Page { page, .. } => match page {
            Ok(page) => format!("page {}..={}", page.from, page.to),
            Err(why) => format!("no page: {why}"),
        },
        Event::Found { found, .. } => match found {
            Ok(found) => format!(
                "found {} in {}..={}",
                found.entries.len(),
                found.from,
                found.to
            ),
            Err(why) => format!("not searched: {why}"),
        },
        Event::Notice(line) => format!("notice: {line}"),
        Event::Ignored(users) => format!("ignores {}", users.len()),
        Event::Distrusted(told) => {
            let lines: Vec<_> = told.iter().map(ExplanationPart::to_line).collect();
            format!("distrusted: {lines:?}")
        }
        Event::Ended(summary) => format!(
            "ended: sent {}/{}, received {}/{}, unsent {}",
            summary.messages_sent,
            summary.characters_sent,
            summary.messages_received,
            summary.characters_received,
            summary.unsent
        ),
    }
}
