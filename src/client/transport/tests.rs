//! Tests the driver against real sockets and a scripted server.

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, Lines, split},
    net::TcpListener,
};

mod trust;

use super::*;
use crate::{
    client::event::{ConnectionStatus as State, Delivery, OutboxMessage},
    protocol::{
        Author, ClientFrame, Content, Entry, EntryKind, Epoch, Extent, Mentions, ReadState, Role,
        RoomId, RoomInfo, ServerFrame,
        entry::Text,
        frame::{ErrorCode, ErrorFrame, Join, Limits, RoomStart, Welcome},
        limits::NO_PROTOCOL,
        wire::{encode_server, parse_client},
    },
    text::{Body, Line},
};

/// A modern server's answer to a probe.
fn unsupported() -> ServerFrame {
    ServerFrame::Error(ErrorFrame {
        code: ErrorCode::UnsupportedProtocol,
        message: Line::inert("There is no protocol 0"),
        id: None,
        reference: None,
        retry_after_ms: None,
    })
}

/// The far end of one connection.
struct Far {
    lines: Lines<BufReader<Box<dyn AsyncRead + Send + Unpin>>>,
    out: Box<dyn AsyncWrite + Send + Unpin>,
}

impl Far {
    /// Accepts an unencrypted connection, after answering the probe on the one before.
    async fn accept(listener: &TcpListener) -> Self {
        let mut asked = Self::reached(listener).await;
        let question = asked.hear().await;
        let Some(ClientFrame::Join(join)) = &question else {
            panic!("{question:?}");
        };
        assert_eq!((join.protocol, join.token), (Some(NO_PROTOCOL), None));
        asked.say(unsupported()).await;
        Self::reached(listener).await
    }

    async fn reached(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().await.unwrap();
        Self::over(stream)
    }

    fn over(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let (read, out) = split(stream);
        let read: Box<dyn AsyncRead + Send + Unpin> = Box::new(read);
        Self {
            lines: BufReader::new(read).lines(),
            out: Box::new(out),
        }
    }

    async fn hear(&mut self) -> Option<ClientFrame> {
        let line = self.lines.next_line().await.unwrap()?;
        Some(parse_client(line.as_bytes()).unwrap())
    }

    async fn say(&mut self, frame: ServerFrame) {
        let mut bytes = Vec::new();
        encode_server(&frame, &mut bytes);
        self.out.write_all(&bytes).await.unwrap();
        self.out.flush().await.unwrap();
    }

    /// Reads the join and sends a welcome.
    async fn let_in(&mut self, counter: u64, head: u64) -> Join {
        let Some(ClientFrame::Join(join)) = self.hear().await else {
            panic!("not a join");
        };
        let token = join.token.unwrap();
        let last = join.rooms.first().map_or(0, |position| position.seq);
        let welcome = Welcome {
            can: crate::protocol::frame::Capabilities::ALL,
            protocol: 2,
            server: Line::inert("test"),
            user: token.user(),
            device: token.device(&join.client_id),
            token,
            nickname: join.nickname.clone(),
            role: Role::Member,
            counter,
            epoch: Epoch::from_bytes([1; 8]),
            time: Timestamp::UNIX_EPOCH,
            rooms: vec![RoomStart {
                changed: 0,
                redacted: 0,
                room: RoomId::LOBBY,
                info: RoomInfo::public(RoomName::lobby()),
                read: ReadState::default(),
                extent: Extent::new(1, head),
                next: last + 1,
                reset: None,
            }],
            limits: Limits {
                frame_bytes: 65_536,
                text_bytes: 16_384,
                nickname_graphemes: 32,
                unanswered_messages: 1000,
                ping_after_ms: 20_000,
                gone_after_ms: 45_000,
                messages_per_minute: None,
                messages_burst: None,
            },
        };
        self.say(ServerFrame::Welcome(welcome)).await;
        *join
    }

    /// Reads a message and echoes it as number `seq`.
    async fn echo(&mut self, join: &Join, seq: u64) -> String {
        let Some(ClientFrame::Submit(submission)) = self.hear().await else {
            panic!("not a message");
        };
        let Content::Text(body) = submission.content.unwrap() else {
            panic!("not a message");
        };
        let text = body.as_str().to_owned();
        self.say(ServerFrame::Entry(Entry {
            room: submission.room,
            seq,
            id: submission.id.unwrap(),
            author: Author {
                user: join.token.unwrap().user(),
                nickname: join.nickname.clone(),
                proven: true,
            },
            time: Timestamp::UNIX_EPOCH,
            clock_was: None,
            kind: EntryKind::Text(Text {
                body,
                mentions: Mentions::NONE,
                edited: None,
            }),
        }))
        .await;
        text
    }
}

fn start(host: &str, port: u16) -> ClientHandle {
    start_with(
        host,
        port,
        Policy {
            plaintext: true,
            ..Policy::default()
        },
    )
}

fn start_with(host: &str, port: u16, trust: Policy) -> ClientHandle {
    start_as(host, port, trust, Credentials::default())
}

fn start_as(host: &str, port: u16, trust: Policy, credentials: Credentials) -> ClientHandle {
    let config = ClientConfig {
        enter: Vec::new(),
        host: Host::parse(host).unwrap(),
        port,
        nickname: Nickname::parse("carol").unwrap(),
        client_id: ClientId::parse("3").unwrap(),
        backlog: Backlog::Resume,
        credentials,
        notices: Vec::new(),
        reach: Reach::Network(trust),
        yields: false,
        command_line: CommandLine {
            again: format!("{host} {port} carol 3"),
            server: format!("{host} {port}"),
        },
    };
    spawn(config, StoreChoice::Off).unwrap()
}

impl ClientHandle {
    /// Waits for an event that fits.
    async fn until(&mut self, meant: impl Fn(&Event) -> bool) -> Event {
        loop {
            let event = self.events.recv().await.expect("the session goes on");
            if meant(&event) {
                return event;
            }
        }
    }

    async fn send(&self, text: &str) {
        let command = Command::Send {
            room: RoomId::LOBBY,
            content: Content::Text(Body::parse(text).unwrap()),
        };
        self.commands.send(command).await.unwrap();
    }
}

fn sent(event: &Event) -> bool {
    matches!(
        event,
        Event::Outbox(OutboxMessage {
            delivery: Delivery::Sent { .. },
            ..
        })
    )
}

#[tokio::test]
async fn a_conversation_survives_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut session = start("127.0.0.1", port);

    let mut far = Far::accept(&listener).await;
    let join = far.let_in(0, 0).await;
    session.send("one").await;
    assert_eq!(far.echo(&join, 1).await, "one");
    session.until(sent).await;

    session.send("two").await;
    assert!(matches!(far.hear().await, Some(ClientFrame::Submit(_))));
    drop(far);
    let waiting = |event: &Event| matches!(event, Event::Connection(State::Waiting { .. }));
    session.until(waiting).await;
    session.commands.send(Command::RetryNow).await.unwrap();

    let mut far = Far::accept(&listener).await;
    let again = far.let_in(1, 1).await;
    assert_eq!(again.token, join.token);
    assert_eq!(again.next, Some(2));
    assert_eq!(again.rooms[0].seq, 1);
    assert_eq!(far.echo(&again, 2).await, "two");
    session.until(sent).await;

    session.commands.send(Command::Leave).await.unwrap();
    assert_eq!(far.hear().await, Some(ClientFrame::Disconnect));
    drop(far);
    let Event::Ended(summary) = session.until(|e| matches!(e, Event::Ended(_))).await else {
        unreachable!()
    };
    assert_eq!((summary.messages_sent, summary.unsent), (2, 0));
    assert!(session.events.recv().await.is_none(), "nothing follows");
}

#[tokio::test]
async fn a_name_with_two_addresses_reaches_whoever_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut session = start("localhost", port);
    let mut far = Far::accept(&listener).await;
    far.let_in(0, 0).await;
    session
        .until(|event| matches!(event, Event::Connection(State::Online)))
        .await;
}

#[tokio::test]
async fn a_port_without_a_listener_is_explained() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut session = start("127.0.0.1", port);
    let event = session
        .until(|event| matches!(event, Event::Connection(State::Waiting { .. })))
        .await;
    let Event::Connection(State::Waiting { why, .. }) = event else {
        unreachable!()
    };
    assert_eq!(
        why.as_str(),
        format!("Nothing is listening on 127.0.0.1:{port}")
    );
}

#[tokio::test]
async fn messages_that_nobody_takes_wait_in_the_socket_and_the_user_can_still_leave() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut session = start("127.0.0.1", port);
    let mut far = Far::accept(&listener).await;
    let join = far.let_in(0, 0).await;
    let token = Token::from_bytes([9; 32]);
    let count = 20 * EVENTS_MAX as u64;
    let talker = tokio::spawn(async move {
        let mut bytes = Vec::new();
        for seq in 1..=count {
            let message = ServerFrame::Entry(Entry {
                room: RoomId::LOBBY,
                seq,
                id: crate::protocol::MessageId {
                    device: token.device(&join.client_id),
                    counter: seq,
                },
                author: Author {
                    user: token.user(),
                    nickname: Nickname::parse("alice").unwrap(),
                    proven: true,
                },
                time: Timestamp::UNIX_EPOCH,
                clock_was: None,
                kind: EntryKind::Text(Text {
                    body: Body::inert("x"),
                    mentions: Mentions::NONE,
                    edited: None,
                }),
            });
            encode_server(&message, &mut bytes);
        }
        far.out.write_all(&bytes).await.unwrap();
        far
    });
    // All of them arrive in order, even when the channel is far behind.
    for due in 1..=count {
        let event = session.until(|e| matches!(e, Event::Message(_))).await;
        let Event::Message(message) = event else {
            unreachable!()
        };
        assert_eq!(message.said.seq(), Some(due));
    }
    let far = talker.await.unwrap();
    drop(session.commands);
    while let Some(event) = session.events.recv().await {
        if let Event::Ended(summary) = event {
            assert_eq!(summary.messages_received, count);
            drop(far);
            return;
        }
    }
    panic!("no farewell");
}

#[test]
fn a_sleep_is_seen_by_the_clock_on_the_wall() {
    let mut clocks = Clocks::new();
    assert!(!clocks.slept());
    clocks.compared.1 -= jiff::SignedDuration::from_secs(60);
    assert!(clocks.slept());
    assert!(!clocks.slept(), "told once");
}
