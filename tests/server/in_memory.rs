//! Our own client and the server in one process: over a pipe, without a socket between them.

use chat_tui::{
    client::{
        Host,
        event::{Command, ConnectionStatus, Event},
        session::{CommandLine, Credentials},
        transport::{Backlog, ClientConfig, ClientHandle, Reach, StoreChoice, spawn},
    },
    pipe::{self, Connector},
    protocol::{ClientId, Content, Identity, Nickname, Role, RoomId, frame::Part},
    server::{Config, config::Plaintext},
    text::Body,
};

use crate::{PATIENCE, Server};

/// Messages, and bytes of each: several times what a pipe holds.
const COUNT: u64 = 200;
const TEXT_BYTES: usize = 2_000;

fn come_in(connector: &Connector, nickname: &str, seed: u8) -> ClientHandle {
    let config = ClientConfig {
        host: Host::parse("localhost").unwrap(),
        port: 0,
        nickname: Nickname::parse(nickname).unwrap(),
        client_id: ClientId::parse("3").unwrap(),
        enter: Vec::new(),
        backlog: Backlog::Resume,
        credentials: Credentials {
            identity: Some(Identity::from_seed([seed; 32])),
            ..Credentials::default()
        },
        reach: Reach::Memory(connector.clone()),
        command_line: CommandLine::default(),
        yields: false,
        notices: Vec::new(),
    };
    spawn(config, StoreChoice::Off).unwrap()
}

async fn until<T>(session: &mut ClientHandle, meant: impl Fn(&Event) -> Option<T>) -> T {
    loop {
        let event = session.events.recv().await.expect("the session goes on");
        if let Some(found) = meant(&event) {
            return found;
        }
    }
}

async fn say(session: &ClientHandle, text: String) {
    let command = Command::Send {
        room: RoomId::LOBBY,
        content: Content::Text(Body::parse(&text).unwrap()),
    };
    session.commands.send(command).await.unwrap();
}

#[test]
fn the_client_and_the_server_meet_in_memory() {
    let sent = usize::try_from(COUNT).unwrap() * TEXT_BYTES;
    assert!(sent > 5 * pipe::CAPACITY_BYTES);
    // Rules for sockets don't apply to a pipe, which nobody can read along.
    let mut server = Server::with(Config {
        plaintext: Plaintext::Nobody,
        proxies: vec!["127.0.0.0/8".parse().unwrap()],
        ..Config::default()
    });
    let connector = server.connector.clone();
    let talk = async {
        let mut alice = come_in(&connector, "alice", 1);
        let mut bob = come_in(&connector, "bob", 2);
        for session in [&mut alice, &mut bob] {
            let role = until(session, |event| match event {
                Event::Entered(entered) => Some(entered.role),
                _ => None,
            });
            assert_ne!(role.await, Role::Unverified, "the key was proven");
        }
        for number in 1..=COUNT {
            say(&alice, format!("{number:>TEXT_BYTES$}")).await;
        }
        for number in 1..=COUNT {
            let heard = until(&mut bob, |event| match event {
                Event::Message(message) => {
                    Some((message.said.seq(), message.said.words().to_owned()))
                }
                _ => None,
            });
            let (seq, body) = heard.await;
            assert_eq!(seq, Some(number));
            assert_eq!(body.trim_start(), number.to_string());
        }
        let part = Part::Backward { from: 1, to: 10 };
        let room = RoomId::LOBBY;
        let command = Command::Page { room, part };
        bob.commands.send(command).await.unwrap();
        let page = until(&mut bob, |event| match event {
            Event::Page { page, .. } => Some(page.clone()),
            _ => None,
        });
        assert_eq!(page.await.unwrap().entries.len(), 10);
        drop(alice);
        until(&mut bob, |event| {
            matches!(event, Event::Left { .. }).then_some(())
        })
        .await;
        server.stop();
        until(&mut bob, |event| {
            matches!(event, Event::Connection(ConnectionStatus::Waiting { .. })).then_some(())
        })
        .await;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let in_time = async { tokio::time::timeout(PATIENCE, talk).await };
    runtime.block_on(in_time).expect("all is heard in time");
}
