//! Those who begin to come in, and do no more.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use chat_tui::protocol::limits::JOIN_WITHIN;
use rustls::version::{TLS12, TLS13};

use crate::{
    bounds,
    pair::Pair,
    peer::{PATIENCE, Peer, client_hello, connect, join, somebody},
    process::Server,
};

/// Reads to the end, which must come.
fn is_ended(mut stream: TcpStream) {
    let mut sink = Vec::new();
    let read = stream.read_to_end(&mut sink);
    if let Err(error) = read {
        assert_eq!(
            error.kind(),
            std::io::ErrorKind::ConnectionReset,
            "it was left open"
        );
    }
}

#[test]
fn five_thousand_half_open_handshakes() {
    let mut server = Server::start(&[]);
    let pair = Pair::start(server.address);
    let hello = client_hello(&TLS13);
    let older = client_hello(&TLS12);
    let halves: [&[u8]; 5] = [b"", b"\x16", &hello[..hello.len() / 2], &hello, &older];
    let mut crowd = Vec::new();
    for half in halves.iter().cycle().take(5_000) {
        let mut stream = connect(server.address).unwrap();
        // Who came first may have had to go by now.
        let _ = stream.write_all(half);
        crowd.push(stream);
    }
    // They keep nobody out.
    let since = Instant::now();
    let mut honest = Peer::secure(server.address);
    let welcome = honest.enter(&join("carl"), &somebody(3));
    assert_eq!(welcome["type"], "welcome");
    assert!(since.elapsed() < JOIN_WITHIN, "{:?}", since.elapsed());
    // And none of them stays.
    for stream in crowd {
        is_ended(stream);
    }
    let all = since.elapsed();
    assert!(all < JOIN_WITHIN + Duration::from_secs(3), "{all:?}");
    assert!(all < PATIENCE);
    pair.ends_unharmed("half-open handshakes");
    server.has_borne_it("half-open handshakes", bounds::NEWCOMING);
}
