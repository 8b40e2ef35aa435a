//! TLS that breaks off, is reordered or malformed: the server closes the connection at once.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    thread,
    time::{Duration, Instant},
};

use rustls::{ClientConnection, version::TLS12, version::TLS13};
use serde_json::json;

use crate::{
    bounds,
    pair::Pair,
    peer::{Peer, client_hello, connect, join, tls},
    process::Server,
};

/// A close at once comes before any timeout.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Reads the rest: nothing but TLS alerts, and the end.
fn is_hung_up_on(mut stream: &TcpStream, why: &str) {
    let since = Instant::now();
    let mut rest = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut rest);
    assert!(since.elapsed() < AT_ONCE, "{why}: {:?}", since.elapsed());
}

/// Returns a record of this kind.
fn record(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[kind, 3, 3][..], &length, bytes].concat()
}

/// Invalid bytes for any moment of the connection.
fn nonsense() -> Vec<(&'static str, Vec<u8>)> {
    const CHANGE: u8 = 20;
    const ALERT: u8 = 21;
    const HANDSHAKE: u8 = 22;
    const DATA: u8 = 23;
    let hello_request = record(HANDSHAKE, &[0, 0, 0, 0]);
    let long = [&[DATA, 3, 3, 0x48, 0x01][..], &[7; 100]].concat();
    vec![
        ("a hello in the clear", client_hello(&TLS13)),
        ("an older hello in the clear", client_hello(&TLS12)),
        ("a request to begin anew", hello_request),
        ("data in the clear", record(DATA, b"{\"type\":\"ping\"}")),
        ("a record of no kind", record(99, b"what")),
        ("a record that is too long", long),
        ("an alert that is none", record(ALERT, &[9, 9, 9])),
        ("a fatal alert", record(ALERT, &[2, 40])),
        ("changes without end", record(CHANGE, &[1]).repeat(10_000)),
        (
            "warnings without end",
            record(ALERT, &[1, 90]).repeat(10_000),
        ),
        (
            "empty records without end",
            record(HANDSHAKE, &[]).repeat(10_000),
        ),
        ("empty data without end", record(DATA, &[]).repeat(10_000)),
        ("SSL 2", vec![0x80, 0x2e, 0x01, 0x00, 0x02, 0x00, 0x15]),
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
    ]
}

/// Returns a connection after the server's first flight.
fn half_way(server: &Server, version: &'static rustls::SupportedProtocolVersion) -> TcpStream {
    let mut stream = connect(server.address).unwrap();
    let mut connection: ClientConnection = tls(version);
    connection.write_tls(&mut stream).unwrap();
    // The part of it that has arrived.
    let count = stream.read(&mut [0; 4096]).unwrap();
    assert!(count > 0);
    stream
}

#[test]
fn invalid_tls_records_close_the_connection() {
    let mut server = Server::start(&[]);
    let pair = Pair::start(server.address);
    for version in [&TLS13, &TLS12] {
        for (what, bytes) in nonsense() {
            // After the server's hello, and from a member.
            let stream = half_way(&server, version);
            let joined = connect(server.address).unwrap();
            let mut joined = Peer::secured(joined, version).unwrap();
            joined.send(&join("mallory"));
            joined.next("members");
            for stream in [&stream, &joined.socket] {
                let mut into = stream.try_clone().unwrap();
                let (bytes, half) = (bytes.clone(), stream.try_clone().unwrap());
                let pouring = thread::spawn(move || {
                    let _ = into.write_all(&bytes);
                    // Input that is not refused at once never completes.
                    let _ = half.shutdown(Shutdown::Write);
                });
                is_hung_up_on(stream, what);
                pouring.join().unwrap();
            }
        }
        // Cut in the middle: of the hello, of the second flight, of a record.
        let hello = client_hello(version);
        for cut in [1, 5, 6, 50, hello.len() - 1] {
            let mut stream = connect(server.address).unwrap();
            stream.write_all(&hello[..cut]).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            is_hung_up_on(&stream, "half a hello");
        }
        let stream = half_way(&server, version);
        stream.shutdown(Shutdown::Write).unwrap();
        is_hung_up_on(&stream, "no answer");
        let mut peer = Peer::secured(connect(server.address).unwrap(), version).unwrap();
        peer.send(&join("mallory"));
        peer.next("members");
        peer.socket.write_all(b"\x17\x03\x03\x00\x40half").unwrap();
        peer.socket.shutdown(Shutdown::Write).unwrap();
        peer.is_hung_up_on("half a record");
    }
    pair.ends_unharmed("bad TLS");
    server.has_borne_it("bad TLS", bounds::FEW);
}

/// Each record asks for an answer: a client that reads none of them gains nothing.
#[test]
fn new_keys_without_end() {
    let mut server = Server::start(&[]);
    let pair = Pair::start(server.address);
    let mut stream = connect(server.address).unwrap();
    let mut connection = tls(&TLS13);
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).unwrap();
    }
    connection
        .writer()
        .write_all(join("mallory").to_string().as_bytes())
        .unwrap();
    let mut refused = false;
    for _ in 0..20_000 {
        connection.refresh_traffic_keys().unwrap();
        while connection.wants_write() && !refused {
            refused = connection.write_tls(&mut stream).is_err();
        }
        if refused {
            break;
        }
    }
    if !refused {
        let ping = json!({"type": "ping"}).to_string();
        connection.writer().write_all(ping.as_bytes()).unwrap();
        let _ = connection.write_tls(&mut stream);
    }
    pair.ends_unharmed("new keys");
    server.has_borne_it("new keys", bounds::FEW);
}
