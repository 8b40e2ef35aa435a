//! Our own client and a server with its default limits: the refusals when many messages are sent at
//! once.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use chat_tui::{
    client::{
        Host,
        event::{Command, Delivery, Event, OutboxMessage},
        session::{CommandLine, Credentials},
        transport::{Backlog, ClientConfig, Reach, StoreChoice, spawn},
        trust::Policy,
    },
    protocol::{ClientId, Content, Nickname, RoomId, codec::Decoder},
    server::{Config, core::rate_limit::Limits},
    text::Body,
};
use serde_json::Value;

use crate::Server;

/// A limit for everything; a hundred messages are above the burst, at ten a second.
const WITHIN: Duration = Duration::from_mins(2);

/// A relay between them, which counts refusals for haste.
struct Relay {
    address: SocketAddr,
    refused: Arc<AtomicUsize>,
}

impl Relay {
    fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let refused = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&refused);
        thread::spawn(move || {
            while let Ok((near, _)) = listener.accept() {
                let far = TcpStream::connect(server).unwrap();
                let (up, down) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                let count = Arc::clone(&count);
                thread::spawn(move || pass(up, far, |_| {}));
                thread::spawn(move || pass(down, near, |frame| note(&count, frame)));
            }
        });
        Self { address, refused }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, note: impl Fn(&[u8])) {
    let mut decoder = Decoder::new();
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
        let mut rest = &bytes[..count];
        while !rest.is_empty() {
            let fed = decoder.feed(rest);
            rest = &rest[fed..];
            while let Ok(Some(frame)) = decoder.next_frame() {
                note(frame);
            }
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

fn note(count: &AtomicUsize, frame: &[u8]) {
    let frame: Value = serde_json::from_slice(frame).unwrap();
    if frame["code"] == "rate_limited" || frame["code"] == "held_back" {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn three_hundred_messages_at_once_arrive_in_order_and_hardly_one_is_refused() {
    let server = Server::with(Config {
        limits: Limits::default(),
        ..Config::default()
    });
    let relay = Relay::before(server.address);
    let config = ClientConfig {
        host: Host::parse("127.0.0.1").unwrap(),
        port: relay.address.port(),
        nickname: Nickname::parse("carol").unwrap(),
        client_id: ClientId::parse("3").unwrap(),
        enter: Vec::new(),
        backlog: Backlog::Resume,
        credentials: Credentials::default(),
        reach: Reach::Network(Policy {
            plaintext: true,
            ..Policy::default()
        }),
        command_line: CommandLine::default(),
        yields: false,
        notices: Vec::new(),
    };
    let mut witness = server.join("witness");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let count = 300;
    let since = Instant::now();
    let talk = async {
        let mut carol = spawn(config, StoreChoice::Off).unwrap();
        for number in 0..count {
            let command = Command::Send {
                room: RoomId::LOBBY,
                content: Content::Text(Body::parse(&format!("number {number}")).unwrap()),
            };
            // Events are read meanwhile: the client takes no commands while its events are not
            // read.
            let mut sending = Box::pin(carol.commands.send(command));
            loop {
                tokio::select! {
                    done = &mut sending => break done.unwrap(),
                    event = carol.events.recv() => assert!(event.is_some()),
                }
            }
        }
        let mut sent = 0;
        while sent < count {
            let Some(event) = carol.events.recv().await else {
                panic!("the session ended");
            };
            if let Event::Outbox(OutboxMessage { delivery, .. }) = &event {
                assert!(!matches!(delivery, Delivery::Failed { .. }), "{event:?}");
                sent = count.min(sent + u64::from(matches!(delivery, Delivery::Sent { .. })));
            }
            if let Event::Message(message) = &event
                && message.said.words() == format!("number {}", count - 1)
            {
                break;
            }
        }
    };
    let in_time = async { tokio::time::timeout(WITHIN, talk).await };
    runtime.block_on(in_time).expect("all is sent in time");
    assert!(
        since.elapsed() > Duration::from_secs(8),
        "there was a limit"
    );
    for number in 0..count {
        assert_eq!(
            witness.next("message")["message"],
            format!("number {number}")
        );
    }
    let refused = relay.refused.load(Ordering::Relaxed);
    assert!(refused <= 5, "{refused} were refused");
}
