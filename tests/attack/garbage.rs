//! A million bytes of garbage, at every point where input is parsed.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    thread,
};

use crate::{
    bounds,
    pair::Pair,
    peer::{Peer, connect, join},
    process::Server,
};

const GARBAGE: usize = 1_000_000;
/// Rounds of each kind.
const EACH: u64 = 8;

/// Returns the same bytes for the same seed.
fn garbage(seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; GARBAGE];
    random.fill(&mut bytes);
    bytes
}

/// Writes all bytes while it reads: unread answers could reset the connection of a client that only
/// writes.
fn pour(into: &TcpStream, bytes: Vec<u8>) -> thread::JoinHandle<()> {
    let mut into = into.try_clone().unwrap();
    thread::spawn(move || {
        // As far as the server reads.
        let _ = into.write_all(&bytes);
        let _ = into.shutdown(Shutdown::Write);
    })
}

fn joined(mut peer: Peer, name: &str) -> Peer {
    peer.send(&join(name));
    peer.next("members");
    peer
}

#[test]
fn a_million_bytes_of_garbage() {
    let mut server = Server::start(&[]);
    let pair = Pair::start(server.address);
    for seed in 0..EACH {
        let to = server.address;
        // Neither TLS nor JSON.
        let mut bytes = garbage(seed);
        bytes[0] |= 0x80;
        let mut peer = Peer::plain(to);
        let pouring = pour(&peer.socket, bytes);
        peer.is_refused("malformed", seed);
        pouring.join().unwrap();
        // It looks like JSON, with blanks before it or not.
        for blanks in [0, 1, 100_000] {
            let mut bytes = garbage(seed);
            bytes[..blanks].fill(b" \t\r\n"[usize::try_from(seed % 4).unwrap()]);
            bytes[blanks] = b'{';
            let mut peer = Peer::plain(to);
            let pouring = pour(&peer.socket, bytes);
            peer.is_refused("malformed", (seed, blanks));
            pouring.join().unwrap();
        }
        // It looks like TLS: an alert, or nothing, and no frame.
        for start in [
            &b"\x16"[..],
            b"\x16\x03\x01",
            b"\x16\x03\x03\x00\x40\x01\x00\x00\x3c\x03\x03",
        ] {
            let mut bytes = garbage(seed);
            bytes[..start.len()].copy_from_slice(start);
            let mut stream = connect(to).unwrap();
            let pouring = pour(&stream, bytes);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            assert!(matches!(answer.first(), None | Some(0x15)), "{answer:x?}");
            pouring.join().unwrap();
        }
        // From a member.
        let mut bytes = garbage(seed);
        bytes[0] = b'g';
        let mut peer = joined(Peer::plain(to), "greta");
        let pouring = pour(&peer.socket, bytes.clone());
        peer.is_refused("malformed", seed);
        pouring.join().unwrap();
        // The same, encrypted; then below the encryption.
        let mut peer = joined(Peer::secure(to), "hanna");
        let _ = peer.try_write(&bytes);
        peer.is_refused("malformed", seed);
        let mut peer = joined(Peer::secure(to), "iris");
        let pouring = pour(&peer.socket, bytes);
        peer.is_hung_up_on(seed);
        pouring.join().unwrap();
    }
    pair.ends_unharmed("garbage");
    server.has_borne_it("garbage", bounds::FEW);
}
