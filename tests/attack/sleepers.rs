//! Clients that send many requests, and read none of the answers.

use std::{thread, time::Duration};

use chat_tui::protocol::limits::TEXT_BYTES_MAX;
use serde_json::json;
use socket2::SockRef;

use crate::{
    bounds,
    pair::Pair,
    peer::{Peer, join, somebody},
    process::Server,
};

const SLEEPERS: u64 = 200;
/// Messages of the longest text: many times more than a socket's buffers hold.
const MESSAGES: u64 = 400;

/// Requests (of 7 KB) of each client: more than a socket's buffers hold.
const MOST: usize = 5_000;

#[test]
fn clients_that_never_read_take_little_memory() {
    let mut server = Server::start(&[]);
    let pair = Pair::start(server.address);
    // They send the messages: each as many at once as it may.
    let text = "x".repeat(TEXT_BYTES_MAX);
    let speakers: Vec<_> = (0..4)
        .map(|number| {
            let (to, text) = (server.address, text.clone());
            thread::spawn(move || {
                let mut peer = Peer::secure(to);
                let name = format!("speaker{number}");
                let device = peer.enter(&join(&name), &somebody(10 + number))["device"].clone();
                let device = device.as_str().unwrap().to_owned();
                for counter in 1..=MESSAGES / 4 {
                    let id = format!("{device}-{counter}");
                    peer.send(&json!({"type": "message", "id": id, "message": text}));
                    while peer.next("message")["id"] != id {}
                }
                peer
            })
        })
        .collect();
    let sleepers: Vec<_> = (0..SLEEPERS)
        .map(|number| {
            let secure = number % 2 == 0;
            let mut peer = if secure {
                Peer::secure(server.address)
            } else {
                Peer::plain(server.address)
            };
            let _ = SockRef::from(&peer.socket).set_recv_buffer_size(4096);
            peer.send(&join(&format!("sleeper{number}")));
            peer.next("welcome");
            peer
        })
        .collect();
    let speakers: Vec<_> = speakers
        .into_iter()
        .map(|speaker| speaker.join().unwrap())
        .collect();
    // Now each requests all of them, again and again; and other answers.
    let asking: Vec<_> = sleepers
        .into_iter()
        .map(|mut peer| {
            peer.socket
                .set_write_timeout(Some(Duration::from_millis(500)))
                .unwrap();
            thread::spawn(move || {
                let kinds = [
                    json!({"type": "history", "from": 1}),
                    json!({"type": "search", "query": "x*"}),
                    json!({"type": "ping", "ref": 1}),
                    json!({"type": "frob", "ref": 2}),
                ];
                let words: String = kinds.iter().map(ToString::to_string).collect();
                let words = words.repeat(50);
                // Until the server stops reading: then the client has to wait.
                let mut count = 0;
                while count < MOST && peer.try_write(&words).is_ok() {
                    count += 1;
                }
                (peer, count)
            })
        })
        .collect();
    let asked: Vec<_> = asking
        .into_iter()
        .map(|asker| asker.join().unwrap())
        .collect();
    assert!(
        asked.iter().all(|(_, count)| *count < MOST),
        "all of it was taken"
    );
    pair.ends_unharmed("sleepers");
    server.has_borne_it("sleepers", bounds::sleeping(SLEEPERS));
    drop(speakers);
}
