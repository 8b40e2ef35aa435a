//! Proxy headers from addresses that are no proxies; and malformed ones from a proxy.

use std::io::Write;

use crate::{
    bounds,
    pair::Pair,
    peer::{PROXIED, PROXY, Peer, connect, connect_from, header, join},
    process::Server,
};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Version 2 of the header, with these bytes after its signature.
fn binary(rest: &[u8]) -> Vec<u8> {
    [SIGNATURE, rest].concat()
}

#[test]
fn a_proxy_header_from_an_unnamed_address_is_refused() {
    let mut server = Server::start(&PROXIED);
    let pair = Pair::start(server.address);
    let address = [203, 0, 113, 9, 192, 0, 2, 1, 0x30, 0x39, 0x29, 4];
    let good = [
        header("127.0.0.1"),
        header("203.0.113.9"),
        header("2001:db8::9"),
        binary(&[&[0x21, 0x11, 0, 12][..], &address].concat()),
        binary(&[0x20, 0, 0, 0]),
    ];
    for (number, first) in good.iter().cycle().take(500).enumerate() {
        let mut peer = Peer::over(connect(server.address).unwrap());
        let _ = peer.try_write([&first[..], join("eve").to_string().as_bytes()].concat());
        let codes = peer.last_words();
        assert_eq!(codes, ["malformed"], "{number}: {first:?}");
    }
    // The operator can see it, in few log lines.
    server.logs("refused 127.0.0.1:");
    server.logs("A connection must begin with TLS or a JSON object");
    pair.ends_unharmed("no proxies");
    server.has_borne_it("no proxies", bounds::FEW);
}

#[test]
fn a_malformed_proxy_header_is_refused() {
    let mut server = Server::start(&PROXIED);
    let pair = Pair::start(server.address);
    let long = format!("PROXY TCP4 {}\r\n", "1".repeat(600));
    let padded = format!("PROXY UNKNOWN {}\r\n", "x".repeat(107));
    let nonsense: &[&[u8]] = &[
        b"{\"type\":\"join\"}",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"PROXY\r\n",
        b"PROXY \r\n",
        b"proxy TCP4 203.0.113.9 192.0.2.1 1 2\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 1\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 1 2 3\r\n",
        b"PROXY TCP4 203.0.113.999 192.0.2.1 1 2\r\n",
        b"PROXY TCP4 2001:db8::1 192.0.2.1 1 2\r\n",
        b"PROXY TCP6 203.0.113.9 192.0.2.1 1 2\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 65536 2\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 -1 2\r\n",
        b"PROXY TCP4  203.0.113.9 192.0.2.1 1 2\r\n",
        b"PROXY TCP4 203.0.113.9\t192.0.2.1 1 2\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 1 2\n{\"type\":\"join\"}\r\n",
        b"PROXY UDP4 203.0.113.9 192.0.2.1 1 2\r\n",
        b"PROXY TCP4 \xff\xfe 192.0.2.1 1 2\r\n",
        long.as_bytes(),
        padded.as_bytes(),
        &[0; 64],
    ];
    let binaries: Vec<_> = [
        &[0x11, 0x11, 0, 12][..],
        &[0x22, 0x11, 0, 12],
        &[0x2f, 0x11, 0, 12],
        &[0x21, 0x11, 0, 11],
        &[0x21, 0x21, 0, 35],
        &[0x21, 0x11, 0xff, 0xff],
        &[0x21, 0x11, 2, 9],
    ]
    .iter()
    .map(|rest| binary(&[rest, &[7; 600][..]].concat()))
    .collect();
    let all = nonsense
        .iter()
        .copied()
        .chain(binaries.iter().map(Vec::as_slice));
    for words in all {
        let mut stream = connect_from(PROXY, server.address).unwrap();
        let _ = stream.write_all(words);
        let mut peer = Peer::over(stream);
        peer.is_refused("malformed", String::from_utf8_lossy(words));
    }
    // One header, and not a second one.
    let mut stream = connect_from(PROXY, server.address).unwrap();
    stream.write_all(&header("203.0.113.9").repeat(2)).unwrap();
    Peer::over(stream).is_refused("malformed", "two headers");
    pair.ends_unharmed("a mad proxy");
    server.has_borne_it("a mad proxy", bounds::FEW);
}
