//! Stolen proofs, replayed proofs, and an attacker in the middle.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread,
};

use chat_tui::protocol::{Binding, Fingerprint, Identity, Nonce};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    version::{TLS12, TLS13},
};
use serde_json::Value;

use crate::{
    bounds,
    pair::Pair,
    peer::{Peer, connect, join, proof, somebody, tls},
    process::Server,
};

/// The binding that a client signs over plain TCP to this address.
fn plain_binding(challenge: &Value, address: SocketAddr) -> Binding {
    let shown = challenge["fingerprint"].as_str().unwrap();
    Binding::Plain {
        server: Fingerprint::parse(shown).unwrap(),
        address,
    }
}

/// The proof of such a client.
fn sign(identity: &Identity, challenge: &Value, address: SocketAddr) -> Value {
    let nonce = Nonce::parse(challenge["nonce"].as_str().unwrap()).unwrap();
    let signature = identity.prove(&plain_binding(challenge, address), &nonce);
    proof(&signature.to_string())
}

#[test]
fn a_proof_works_only_once() {
    let mut server = Server::start(&[]);
    let pair = Pair::start(server.address);
    let carl = somebody(3);
    for version in [&TLS13, &TLS12] {
        let secure = || Peer::secured(connect(server.address).unwrap(), version).unwrap();
        let mut first = secure();
        let nonce = first.challenged(&join("carl"), &carl);
        let good = proof(&carl.prove(&first.binding.unwrap(), &nonce).to_string());
        first.send(&good);
        assert_eq!(first.frame()["type"], "welcome");
        // Once more on the same connection.
        first.send(&good);
        first.is_refused("join_expected", "said twice");
        for number in 0..200 {
            // On another connection, which has another nonce and another binding.
            let mut other = secure();
            other.challenged(&join("carl"), &carl);
            other.send(&good);
            other.is_refused("bad_proof", number);
        }
        // A signature for another connection with this one's nonce; and the reverse.
        for mixed in [true, false] {
            let (mut one, mut two) = (secure(), secure());
            let nonces = [&mut one, &mut two].map(|peer| peer.challenged(&join("carl"), &carl));
            let binding = if mixed { &two } else { &one }.binding.unwrap();
            let nonce = &nonces[usize::from(!mixed)];
            one.send(&proof(&carl.prove(&binding, nonce).to_string()));
            one.is_refused("bad_proof", mixed);
        }
        // There is no second try.
        let mut hasty = secure();
        let nonce = hasty.challenged(&join("carl"), &carl);
        let right = carl.prove(&hasty.binding.unwrap(), &nonce);
        hasty.send(&proof(&"00".repeat(64)));
        let _ = hasty.try_write(proof(&right.to_string()).to_string());
        hasty.is_refused("bad_proof", "a second try");
        // A second join does not change whose proof it is.
        let mut turncoat = secure();
        let nonce = turncoat.challenged(&join("carl"), &carl);
        turncoat.send(&join("anna"));
        let _ = turncoat.try_write(
            proof(&carl.prove(&turncoat.binding.unwrap(), &nonce).to_string()).to_string(),
        );
        turncoat.is_refused("join_expected", "two joins");
    }
    pair.ends_unharmed("replays");
    server.has_borne_it("replays", bounds::FEW);
}

#[test]
fn no_signature_is_good_for_every_message() {
    let server = Server::start(&[]);
    // Points of small order, and non-canonical encodings, make lax verifiers accept any signature.
    let zero = "00".repeat(32);
    let identity = format!("01{}", "00".repeat(31));
    let negative = format!("01{}80", "00".repeat(30));
    let larger = format!("ed{}7f", "ff".repeat(30));
    let order_8 = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a";
    for key in [&zero, &identity, &negative, &larger, order_8] {
        for point in [&zero, &identity, &negative, &larger, order_8] {
            let mut peer = Peer::secure(server.address);
            let mut wish = join("mallory");
            wish["key"] = key.into();
            peer.send(&wish);
            match peer.frame()["type"].as_str().unwrap() {
                "challenge" => {
                    peer.send(&proof(&format!("{point}{zero}")));
                    peer.is_refused("bad_proof", (key, point));
                }
                _ => assert!(peer.last_words().is_empty()),
            }
        }
    }
}

#[test]
fn over_plain_tcp_a_proof_is_good_once_too() {
    let server = Server::start(&[]);
    let carl = somebody(3);
    let mut wish = join("carl");
    wish["key"] = carl.public().to_string().into();
    let challenged = || {
        let mut peer = Peer::plain(server.address);
        peer.send(&wish);
        let challenge = peer.frame();
        (peer, challenge)
    };
    let (mut first, challenge) = challenged();
    first.send(&sign(&carl, &challenge, server.address));
    assert_eq!(first.frame()["type"], "welcome");
    let (mut second, _) = challenged();
    second.send(&sign(&carl, &challenge, server.address));
    second.is_refused("bad_proof", "another nonce");
}

/// An attacker who listens on another port of this machine can relay what they receive, but the
/// signature does not cover their address.
#[test]
fn over_plain_tcp_a_proof_is_good_at_the_servers_own_address_only() {
    let server = Server::start(&[]);
    let carl = somebody(3);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay_address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (victim, _) = listener.accept().unwrap();
        relay(victim, connect(server.address).unwrap());
    });
    let mut wish = join("carl");
    wish["key"] = carl.public().to_string().into();
    let enter = |to: SocketAddr| {
        let mut peer = Peer::plain(to);
        peer.send(&wish);
        let challenge = peer.frame();
        peer.send(&sign(&carl, &challenge, to));
        peer.frame()
    };
    let answer = enter(relay_address);
    assert_eq!(answer["code"], "bad_proof", "{answer}");
    let answer = enter(server.address);
    assert_eq!(answer["type"], "welcome", "{answer}");
}

/// An attacker in the middle with their own certificate, who relays both ways and reads everything.
/// A client that connects to them is connected to `to`, encrypted or not.
fn middle(to: SocketAddr, encrypts: bool) -> SocketAddr {
    let own = rcgen::generate_simple_self_signed(["chat-server".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for victim in listener.incoming() {
            let victim = victim.unwrap();
            let near = ServerConnection::new(Arc::clone(&config)).unwrap();
            let near = StreamOwned::new(near, victim);
            let server = connect(to).unwrap();
            thread::spawn(move || {
                if encrypts {
                    relay(near, StreamOwned::new(tls(&TLS13), server));
                } else {
                    relay(near, server);
                }
            });
        }
    });
    address
}

/// Relays one frame of the victim, one of the server, and so on, as in a join.
fn relay(mut victim: impl Read + Write, mut server: impl Read + Write) {
    let mut bytes = [0; 4096];
    let pass = |from: &mut dyn Read, to: &mut dyn Write, bytes: &mut [u8]| {
        let count = from.read(bytes).unwrap_or(0);
        to.write_all(&bytes[..count]).is_ok() && to.flush().is_ok() && count > 0
    };
    while pass(&mut victim, &mut server, &mut bytes) && pass(&mut server, &mut victim, &mut bytes) {
    }
}

#[test]
fn a_relayed_proof_is_refused() {
    let server = Server::start(&[]);
    let carl: Identity = somebody(3);
    for encrypts in [true, false] {
        let middle = middle(server.address, encrypts);
        // Carl has no known key: he accepts the attacker's certificate.
        let mut victim = Peer::secure(middle);
        let answer = victim.enter(&join("carl"), &carl);
        assert_eq!(answer["code"], "bad_proof", "{answer}");
    }
    // Nobody has joined with his key: his nickname is still free.
    let mut peer = Peer::secure(server.address);
    let welcome = peer.enter(&join("carl"), &somebody(4));
    assert_eq!(welcome["type"], "welcome", "{welcome}");
}

/// A proof for a plain connection is no way around it either.
#[test]
fn a_proof_for_plain_tcp_is_none_for_tls() {
    let server = Server::start(&[]);
    let carl = somebody(3);
    let mut plain = Peer::plain(server.address);
    let mut wish = join("carl");
    wish["key"] = carl.public().to_string().into();
    plain.send(&wish);
    let binding = plain_binding(&plain.frame(), server.address);
    let mut secure = Peer::secure(server.address);
    let nonce = secure.challenged(&wish, &carl);
    secure.send(&proof(&carl.prove(&binding, &nonce).to_string()));
    secure.is_refused("bad_proof", "signed for plain TCP");
}
