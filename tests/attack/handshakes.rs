//! Half-open handshakes.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Instant,
};

use chat_tui::protocol::limits::JOIN_WITHIN;
use rustls::version::{TLS12, TLS13};

use crate::{
    bounds,
    pair::Pair,
    peer::{PATIENCE, Peer, client_hello, connect, join, somebody},
    process::Server,
};

/// Reads to the end of the connection, which must come.
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
        // The oldest may have been evicted by now.
        let _ = stream.write_all(half);
        crowd.push(stream);
    }
    // They keep nobody out.
    let since = Instant::now();
    let mut honest = Peer::secure(server.address);
    let welcome = honest.enter(&join("carl"), &somebody(3));
    assert_eq!(welcome["type"], "welcome");
    assert!(since.elapsed() < JOIN_WITHIN, "{:?}", since.elapsed());
    // None of them stays.
    for stream in crowd {
        is_ended(stream);
    }
    let all = since.elapsed();
    assert!(all < PATIENCE, "{all:?}");
    pair.ends_unharmed("half-open handshakes");
    server.has_borne_it("half-open handshakes", bounds::NEWCOMING);
}

/// A hello has a few hundred bytes, a long one two thousand. TLS allows 65,535, which the server
/// would have to keep until the last has come.
#[test]
fn hellos_that_are_longer_than_any() {
    let mut server = Server::start(&[]);
    let pair = Pair::start(server.address);
    let since = Instant::now();
    let part = |first: &[u8]| {
        let mut record = b"\x16\x03\x01\x40\x00".to_vec();
        record.extend_from_slice(first);
        record.resize(5 + 0x4000, 7);
        record
    };
    let hello = [
        part(b"\x01\x00\xff\xff\x03\x03"),
        part(b""),
        part(b""),
        part(b""),
    ]
    .concat();
    let mut crowd = Vec::new();
    for _ in 0..1_000 {
        let mut stream = connect(server.address).unwrap();
        let _ = stream.write_all(&hello[..hello.len() - 100]);
        crowd.push(stream);
    }
    for stream in crowd {
        is_ended(stream);
    }
    // Not by the timeout.
    assert!(since.elapsed() < JOIN_WITHIN, "{:?}", since.elapsed());
    pair.ends_unharmed("long hellos");
    server.has_borne_it("long hellos", bounds::NEWCOMING);
}
