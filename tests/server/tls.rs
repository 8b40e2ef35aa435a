//! Encrypted connections, and clients that may do without; proxies; more connections than allowed.

use std::{
    fs,
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::Instant,
};

use chat_tui::{
    protocol::{Binding, Fingerprint, Identity, Nonce, limits},
    server::{
        Config,
        config::{PerSiteLimits, Plaintext},
        core::{access::Access, rate_limit::Rate, replica::ReplicaLimits},
    },
};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned,
    SupportedProtocolVersion,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
    version::{TLS12, TLS13},
};
use serde_json::{Value, json};

use super::{Client, PATIENCE, Running, Server, families::over_both, join, message, program};

/// Takes any certificate whose key is at the other end, and tells its fingerprint.
#[derive(Debug)]
struct AnyKey(CryptoProvider);

impl ServerCertVerifier for AnyKey {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn client_config(version: &'static SupportedProtocolVersion) -> ClientConfig {
    let provider = ring::default_provider();
    ClientConfig::builder_with_provider(Arc::new(provider.clone()))
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyKey(provider)))
        .with_no_client_auth()
}

/// A client that encrypts.
struct Secure(BufReader<StreamOwned<ClientConnection, TcpStream>>);

impl Secure {
    fn connect(address: SocketAddr) -> Self {
        Self::begin(address, b"", &client_config(&TLS13))
    }

    /// Writes these bytes first, then begins with TLS.
    fn begin(address: SocketAddr, first: &[u8], config: &ClientConfig) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(first).unwrap();
        let name = ServerName::try_from("chat-server").unwrap();
        let connection = ClientConnection::new(Arc::new(config.clone()), name).unwrap();
        Self(BufReader::new(StreamOwned::new(connection, stream)))
    }

    fn join(address: SocketAddr, name: &str) -> Self {
        let mut client = Self::connect(address);
        client.send(&join(name));
        assert_eq!(client.frame()["type"], "welcome");
        assert_eq!(client.frame()["type"], "members");
        client
    }

    fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    fn send(&mut self, frame: &Value) {
        self.write(format!("{frame}\n"));
    }

    fn frame(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the connection ended: {line:?}");
        serde_json::from_str(&line).unwrap()
    }

    fn next(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.frame();
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// Whether it was closed with `close_notify`, so that nothing was cut off.
    fn is_closed(&mut self) -> bool {
        self.0.read(&mut [0; 1]).unwrap() == 0
    }

    fn is_refused(&mut self, code: &str) {
        let frame = self.next("error");
        assert_eq!(frame["code"], code, "{frame}");
        assert!(self.is_closed());
    }

    /// Returns the server's fingerprint.
    fn fingerprint(&mut self) -> Fingerprint {
        let stream = self.0.get_mut();
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).unwrap();
        }
        let certificate = &stream.conn.peer_certificates().unwrap()[0];
        let certificate = ParsedCertificate::try_from(certificate).unwrap();
        Fingerprint::of_public_key_info(&certificate.subject_public_key_info())
    }

    fn binding(&self) -> Binding {
        let connection = &self.0.get_ref().conn;
        let value =
            connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(&[]));
        Binding::Exporter(value.unwrap())
    }

    /// Whether the other end closed, in whatever way.
    fn is_gone(&mut self) -> bool {
        match self.0.read(&mut [0; 1]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }
}

fn challenged(client: &mut Secure, identity: &Identity) -> Nonce {
    let mut wish = join("carol");
    wish["key"] = identity.public().to_string().into();
    client.send(&wish);
    let challenge = client.frame();
    assert_eq!(challenge["type"], "challenge");
    assert_eq!(challenge.get("fingerprint"), None);
    Nonce::parse(challenge["nonce"].as_str().unwrap()).unwrap()
}

#[test]
fn encrypted_and_plain_clients_talk_in_both_tls_versions() {
    let server = Server::start();
    let mut alice = server.join("alice");
    for version in [&TLS13, &TLS12] {
        let mut bob = Secure::begin(server.address, b"", &client_config(version));
        bob.send(&join("bob"));
        assert_eq!(bob.frame()["type"], "welcome");
        let used = bob.0.get_ref().conn.protocol_version();
        assert_eq!(used, Some(version.version));
        alice.next("joined");
        let heard = |frame: Value| frame["message"].as_str().unwrap().to_owned();
        let counter = if *version == TLS13 { 1 } else { 2 };
        bob.send(&message("bob", counter, "hello"));
        assert_eq!(heard(alice.next("message")), "hello");
        assert_eq!(heard(bob.next("message")), "hello");
        alice.send(&message("alice", counter, "hi"));
        assert_eq!(heard(bob.next("message")), "hi");
        alice.next("message");
        bob.send(&json!({"type": "disconnect"}));
        assert_eq!(bob.next("bye")["reason"], "disconnect");
        assert!(bob.is_closed());
        assert_eq!(alice.next("left")["reason"], "disconnect");
    }
}

#[test]
fn a_proof_is_good_on_its_own_connection_only() {
    let server = Server::start();
    let carol = Identity::from_seed([7; 32]);
    for version in [&TLS13, &TLS12] {
        let mut client = Secure::begin(server.address, b"", &client_config(version));
        let nonce = challenged(&mut client, &carol);
        let signature = carol.prove(&client.binding(), &nonce);
        client.send(&json!({"type": "proof", "signature": signature.to_string()}));
        assert_eq!(client.frame()["type"], "welcome");
        drop(client);
        // An attacker between the two ends relays the signature of their own connection.
        let mut client = Secure::begin(server.address, b"", &client_config(version));
        let nonce = challenged(&mut client, &carol);
        let signature = carol.prove(&Secure::join(server.address, "eve").binding(), &nonce);
        client.send(&json!({"type": "proof", "signature": signature.to_string()}));
        client.is_refused("bad_proof");
    }
}

#[test]
fn a_resumed_tls_session_has_a_binding_of_its_own() {
    let server = Server::start();
    for version in [&TLS13, &TLS12] {
        let config = client_config(version);
        let mut bindings = Vec::new();
        for time in 0..2 {
            let mut bob = Secure::begin(server.address, b"", &config);
            bob.send(&join("bob"));
            bob.next("welcome");
            bob.send(&json!({"type": "disconnect"}));
            bob.next("bye");
            let kind = bob.0.get_ref().conn.handshake_kind();
            let resumed = kind == Some(rustls::HandshakeKind::Resumed);
            assert_eq!(resumed, time == 1, "{kind:?}");
            bindings.push(bob.binding());
        }
        assert_ne!(bindings[0], bindings[1]);
    }
}

#[test]
fn frames_may_be_cut_into_records_anywhere() {
    let server = Server::start();
    let mut alice = server.join("alice");
    let mut bob = Secure::connect(server.address);
    for byte in format!("{}{}", join("bob"), message("bob", 1, "one {\"}")).bytes() {
        bob.write([byte]);
        bob.0.get_mut().flush().unwrap();
    }
    assert_eq!(alice.next("message")["message"], "one {\"}");
    assert_eq!(bob.next("message")["message"], "one {\"}");
    // Many frames in one record, and more than may be pending.
    let count = 1_000;
    let words: String = (2..=count)
        .map(|counter| message("bob", counter, &format!("number {counter}")).to_string())
        .collect();
    let mut client = bob;
    // Reads and writes in turn: TLS needs both.
    for (index, part) in words.as_bytes().chunks(20_000).enumerate() {
        client.write(part);
        if index == 0 {
            assert_eq!(client.next("message")["seq"], 2);
        }
    }
    for counter in 3..=count {
        let frame = client.next("message");
        assert_eq!(frame["seq"], counter);
        assert_eq!(frame["message"], format!("number {counter}"));
    }
}

#[test]
fn an_encrypted_client_that_never_reads_misses_nothing() {
    let little = ReplicaLimits {
        messages_bytes_max: 64 * 1024,
        presence_bytes_max: 16 * 1024,
        total_bytes_max: 80 * 1024,
    };
    let server = Server::with(Config {
        replica: little,
        ..Config::default()
    });
    let mut sleeper = Secure::join(server.address, "sleeper");
    let mut alice = Secure::join(server.address, "alice");
    // More than any socket buffer holds; each longer than one record.
    let (count, text) = (1_000_u64, "x".repeat(limits::TEXT_BYTES_MAX));
    for counter in 1..=count {
        alice.send(&message("alice", counter, &text));
        assert_eq!(alice.next("message")["seq"], counter);
    }
    for counter in 1..=count {
        let frame = sleeper.next("message");
        assert_eq!(frame["seq"], counter);
        assert_eq!(frame["message"].as_str().map(str::len), Some(text.len()));
    }
}

#[test]
fn an_encrypted_replaced_client_that_never_reads_is_closed() {
    let server = Server::start();
    let mut ghost = Secure::join(server.address, "ghost");
    let mut alice = server.join("alice");
    let text = "x".repeat(limits::TEXT_BYTES_MAX);
    for counter in 1..=600 {
        alice.send(&message("alice", counter, &text));
        alice.next("message");
    }
    let _back = server.join("ghost");
    let error = ghost.0.get_mut().sock.write_all(&vec![b' '; 64 << 20]);
    let gone = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    assert!(gone.contains(&error.unwrap_err().kind()));
}

#[test]
fn a_client_that_closes_without_close_notify_is_gone() {
    let server = Server::start();
    let mut alice = server.join("alice");
    let bob = Secure::join(server.address, "bob");
    alice.next("joined");
    // No close_notify: as if the line had been cut.
    bob.0.get_ref().sock.shutdown(Shutdown::Both).unwrap();
    assert_eq!(alice.next("left")["reason"], "lost");
}

#[test]
fn a_client_that_sends_close_notify_still_gets_its_answers() {
    let server = Server::start();
    let mut bob = Secure::connect(server.address);
    bob.write(format!(
        "{}{}{}",
        join("bob"),
        message("bob", 1, "over"),
        json!({"type": "disconnect"})
    ));
    let stream = bob.0.get_mut();
    stream.conn.send_close_notify();
    stream.conn.complete_io(&mut stream.sock).unwrap();
    stream.sock.shutdown(Shutdown::Write).unwrap();
    assert_eq!(bob.next("message")["message"], "over");
    assert_eq!(bob.next("bye")["reason"], "disconnect");
    assert!(bob.is_closed());
}

#[test]
fn a_handshake_that_does_not_end_is_ended() {
    let server = Server::start();
    let mut stream = TcpStream::connect(server.address).unwrap();
    // A hello of 60 KB, in valid records.
    let head = [1, 0, 0xea, 0x60];
    let record = |bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        [&[0x16, 3, 1][..], &length, bytes].concat()
    };
    stream.write_all(&record(&head)).unwrap();
    let since = Instant::now();
    for _ in 0..20 {
        // It may be closed already.
        let _ = stream.write_all(&record(&[0; 1_000]));
    }
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)));
    assert!(since.elapsed() < limits::JOIN_WITHIN / 2);
}

#[test]
fn stopping_tells_encrypted_clients_too() {
    let mut server = Server::start();
    let mut bob = Secure::join(server.address, "bob");
    server.stop();
    assert_eq!(bob.next("bye")["reason"], "shutdown");
    assert!(bob.is_closed());
    server.stopped().unwrap();
}

#[test]
fn a_stream_that_is_neither_tls_nor_a_frame_is_refused() {
    let server = Server::start();
    for first in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"\x00",
        b"\xff\xfe\xfd",
        b"\x17\x03\x03\x00\x10",
        // The server knows no proxy.
        b"PROXY TCP4 203.0.113.9 192.0.2.1 12345 10500\r\n",
        b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x11\x00\x0c",
    ] {
        let mut client = server.connect();
        client.write(first);
        if first.starts_with(b"\r") {
            // White space may come before an object; what follows may not.
            assert_eq!(client.frame()["code"], "malformed");
        } else {
            client.is_refused("malformed");
        }
    }
    // Bytes that only look like TLS are answered by a TLS alert.
    let mut client = server.connect();
    client.write(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00");
    let mut answer = Vec::new();
    let _ = client.input.read_to_end(&mut answer);
    assert_eq!(answer.first(), Some(&0x15), "{answer:x?}");
    // So are later bytes.
    let mut bob = Secure::join(server.address, "bob");
    bob.0.get_mut().sock.write_all(&[b'x'; 100]).unwrap();
    assert!(bob.is_gone());
}

#[test]
fn clients_that_do_not_join_in_time_are_closed() {
    let server = Server::start();
    let mut started = Vec::new();
    for first in [&b""[..], b" ", b"{\"type\":", b"\x16\x03\x01\x02\x00\x01"] {
        let mut client = server.connect();
        client.write(first);
        started.push((client, Instant::now()));
    }
    let mut shaken = Secure::connect(server.address);
    shaken.fingerprint();
    let since = Instant::now();
    for (mut client, since) in started {
        assert!(client.is_closed());
        assert!(since.elapsed() >= limits::JOIN_WITHIN.mul_f32(0.9));
    }
    assert!(shaken.is_gone());
    // Ten seconds, and the delay of a busy machine.
    assert!(since.elapsed() < PATIENCE);
}

#[test]
fn half_open_connections_keep_nobody_out() {
    let server = Server::start();
    let mut alice = server.join("alice");
    let half = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let mut silent = Vec::new();
    // More than the limit of unjoined connections.
    for number in 0..2_000 {
        let mut stream = TcpStream::connect(server.address).unwrap();
        if number % 2 == 0 {
            stream.write_all(half).unwrap();
        }
        silent.push(stream);
    }
    let since = Instant::now();
    let mut bob = Secure::join(server.address, "bob");
    bob.send(&message("bob", 1, "still here"));
    assert_eq!(alice.next("message")["message"], "still here");
    assert!(since.elapsed() < limits::JOIN_WITHIN);
    // The oldest was evicted first.
    let first = &mut silent[0];
    first.set_read_timeout(Some(PATIENCE)).unwrap();
    let read = first.read(&mut [0; 1]);
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}

// Clients that may do without encryption.

/// Starts a server that accepts this machine as its proxy.
fn behind_proxy(config: Config) -> Server {
    Server::with(Config {
        proxies: vec!["127.0.0.0/8".parse().unwrap()],
        access: Access::Open,
        ..config
    })
}

fn header(source: &str) -> Vec<u8> {
    let family = if source.contains(':') { "TCP6" } else { "TCP4" };
    format!("PROXY {family} {source} {source} 12345 10500\r\n").into_bytes()
}

fn proxied(server: &Server, source: &str) -> Client {
    let mut client = server.connect();
    client.write(header(source));
    client
}

fn proxied_secure(server: &Server, source: &str) -> Secure {
    Secure::begin(server.address, &header(source), &client_config(&TLS13))
}

#[test]
fn from_elsewhere_plain_text_is_refused_unless_it_is_allowed() {
    let everybody = Config {
        plaintext: Plaintext::Everybody,
        ..Config::default()
    };
    for (config, allowed) in [(Config::default(), false), (everybody, true)] {
        let server = behind_proxy(config);
        for source in ["203.0.113.9", "192.168.1.7", "2001:db8::9"] {
            let mut client = proxied(&server, source);
            client.send(&join("bob"));
            if allowed {
                assert_eq!(client.frame()["type"], "welcome");
                continue;
            }
            let refusal = client.frame();
            assert_eq!(refusal["code"], "plaintext_refused");
            let words = refusal["message"].as_str().unwrap();
            assert!(words.contains("encryption"), "{words}");
            assert!(client.is_closed());
            let mut client = proxied_secure(&server, source);
            client.send(&join("bob"));
            assert_eq!(client.frame()["type"], "welcome");
        }
        let mut local = proxied(&server, "127.0.0.1");
        local.send(&join("carol"));
        assert_eq!(local.frame()["type"], "welcome");
    }
}

#[test]
fn no_plaintext_holds_for_this_machine_too() {
    let server = Server::with(Config {
        plaintext: Plaintext::Nobody,
        ..Config::default()
    });
    let mut plain = server.connect();
    plain.send(&join("bob"));
    plain.is_refused("plaintext_refused");
    Secure::join(server.address, "bob");
}

#[test]
fn a_proxy_must_name_the_clients_address() {
    let server = behind_proxy(Config::default());
    for first in [
        "{\"type\":\"join\"}",
        "\x16\x03\x01",
        "hello",
        "PROXY what\r\n",
    ] {
        let mut client = server.connect();
        client.write(first);
        client.is_refused("malformed");
    }
    // Both versions, cut anywhere, before TLS and before plain frames.
    let address = [203, 0, 113, 9, 192, 0, 2, 1, 0x30, 0x39, 0x29, 4];
    let binary = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &address].concat();
    for (number, header) in [header("127.0.0.1"), binary].iter().enumerate() {
        let (first, last) = header.split_at(header.len() / 2);
        let mut stream = server.connect();
        for byte in first {
            stream.write([*byte]);
        }
        let mut bob = if number == 0 {
            stream.write(last);
            stream.send(&join("bob"));
            assert_eq!(stream.frame()["type"], "welcome");
            continue;
        } else {
            Secure::begin(server.address, header, &client_config(&TLS13))
        };
        bob.send(&join("carol"));
        assert_eq!(bob.frame()["type"], "welcome");
    }
}

/// Headers that name no client: the proxy can't tell, or checks the server's health itself. Their
/// addresses must be ignored.
fn of_nobody() -> Vec<Vec<u8>> {
    let binary = |kind: [u8; 2], addresses: &[u8]| {
        let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [&b"\r\n\r\n\0\r\nQUIT\n"[..], &kind, &length, addresses].concat()
    };
    let here = [127, 0, 0, 1, 127, 0, 0, 1, 0x30, 0x39, 0x29, 4];
    let here_v6 = [&[0; 15][..], &[1], &[0; 15], &[1], &here[8..]].concat();
    vec![
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN 127.0.0.1 127.0.0.1 12345 10500\r\n".to_vec(),
        b"PROXY UNKNOWN ::1 ::1 12345 10500\r\n".to_vec(),
        binary([0x20, 0x00], &[]),
        binary([0x20, 0x11], &here),
        binary([0x20, 0x21], &here_v6),
        binary([0x21, 0x00], &here),
        binary([0x21, 0x12], &here),
        binary([0x21, 0x22], &here_v6),
        binary([0x21, 0x31], &[b'/'; 216]),
    ]
}

#[test]
fn clients_that_a_proxy_does_not_name_are_not_trusted_as_local() {
    over_both(|address| {
        let server = |access| {
            Server::at(
                address,
                Config {
                    proxies: vec![address.to_string().parse().unwrap()],
                    access,
                    ..Config::default()
                },
            )
        };
        let (local, open) = (server(Access::Local), server(Access::Open));
        for header in of_nobody() {
            let shown = header.escape_ascii();
            let mut plain = local.connect();
            plain.write(&header);
            plain.send(&join("bob"));
            plain.is_refused("plaintext_refused");
            let secure = |server: &Server| {
                let mut client = Secure::begin(server.address, &header, &client_config(&TLS13));
                client.send(&join("bob"));
                client.frame()
            };
            assert_eq!(secure(&local)["code"], "access_denied", "{shown}");
            assert_eq!(secure(&open)["type"], "welcome", "{shown}");
        }
        // A named client is at its named address.
        let mut named = proxied(&local, &address.to_string());
        named.send(&join("carol"));
        assert_eq!(named.frame()["type"], "welcome");
    });
}

#[test]
fn connections_of_one_address_are_limited_and_refused_in_its_dialect() {
    let server = behind_proxy(Config {
        plaintext: Plaintext::Everybody,
        per_site: PerSiteLimits {
            connections: Some(2),
            rate: Some(Rate::new(1, 4)),
        },
        ..Config::default()
    });
    let enter = |source, name| {
        let mut client = proxied_secure(&server, source);
        client.send(&join(name));
        assert_eq!(client.frame()["type"], "welcome");
        client
    };
    let here = [enter("2001:db8::1", "alice"), enter("2001:db8::2", "bob")];
    proxied_secure(&server, "2001:db8::3").is_refused("server_full");
    let mut plain = proxied(&server, "2001:db8::4");
    plain.send(&join("carol"));
    plain.is_refused("server_full");
    let _elsewhere = enter("2001:db8:0:1::1", "dave");
    drop(here);
    // Its places are free as soon as the server has noticed; then the limit on its rate applies.
    let since = Instant::now();
    let mut came = 0;
    while came < 2 {
        let mut client = proxied_secure(&server, "2001:db8::5");
        client.send(&join("carol"));
        match client.frame()["type"].as_str() {
            Some("welcome") => came += 1,
            _ => assert!(since.elapsed() < PATIENCE),
        }
    }
    let refusal = loop {
        let refusal = proxied_secure(&server, "2001:db8::6").next("error");
        if refusal["code"] != "server_full" {
            break refusal;
        }
        assert!(since.elapsed() < PATIENCE);
    };
    assert_eq!(refusal["code"], "rate_limited");
    let wait = refusal["retry_after_ms"].as_u64().unwrap();
    assert!((1..=60_000).contains(&wait), "{refusal}");
}

// The program itself.

/// Starts a server, and returns its fingerprint.
fn started(arguments: &[&str], data: &Path) -> (Running, Fingerprint) {
    let mut command = program(&[&["--bind", "127.0.0.1", "0"], arguments].concat());
    command.env("XDG_DATA_HOME", data);
    let server = Running::spawn(&mut command);
    let fingerprint = Secure::connect(server.1).fingerprint();
    (server, fingerprint)
}

#[test]
fn a_restarted_server_keeps_and_prints_its_fingerprint() {
    let data = tempfile::tempdir().unwrap();
    let mut command = program(&["--bind", "127.0.0.1", "0"]);
    let mut child = command.env("XDG_DATA_HOME", data.path()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines.next().unwrap().unwrap();
    let said = lines.next().unwrap().unwrap();
    let said = Fingerprint::parse(said.strip_prefix("fingerprint ").unwrap()).unwrap();
    let address = address.strip_prefix("listening on ").unwrap();
    let shown = Secure::connect(address.parse().unwrap()).fingerprint();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(said, shown);
    let (again, fingerprint) = started(&[], data.path());
    assert_eq!(fingerprint, shown);
    drop(again);
    let (_other, fingerprint) = started(&[], tempfile::tempdir().unwrap().path());
    assert_ne!(fingerprint, shown);
}

#[cfg(unix)]
#[test]
fn a_certificate_is_read_again_at_sighup_and_a_broken_one_is_ignored() {
    // Two servers make two pairs of key and certificate.
    let homes = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let files = homes.each_ref().map(|home| {
        let (_, fingerprint) = started(&[], home.path());
        (home.path().join("chat-server/tls"), fingerprint)
    });
    let own = tempfile::tempdir().unwrap();
    let (cert, key) = (own.path().join("cert.pem"), own.path().join("key.pem"));
    let copy = |from: &Path| {
        fs::copy(from.join("cert.pem"), &cert).unwrap();
        fs::copy(from.join("key.pem"), &key).unwrap();
    };
    copy(&files[0].0);
    let arguments = [
        "--tls-cert",
        cert.to_str().unwrap(),
        "--tls-key",
        key.to_str().unwrap(),
    ];
    let (mut server, fingerprint) = started(&arguments, own.path());
    assert_eq!(fingerprint, files[0].1);
    let mut log = BufReader::new(server.0.stderr.take().unwrap()).lines();
    let mut logs = |words: &str| {
        let line = log.find(|line| line.as_ref().unwrap().contains(words));
        line.unwrap().unwrap()
    };
    let mut bob = Secure::join(server.1, "bob");

    fs::write(&key, "broken").unwrap();
    server.signal("-HUP");
    logs("the certificate stays the one that was read before");
    assert_eq!(Secure::connect(server.1).fingerprint(), files[0].1);

    copy(&files[1].0);
    server.signal("-HUP");
    let line = logs("read the certificate again");
    assert!(line.contains(&files[1].1.to_string()), "{line}");
    assert_eq!(Secure::connect(server.1).fingerprint(), files[1].1);
    // A member stays connected.
    bob.send(&message("bob", 1, "hi"));
    assert_eq!(bob.next("message")["message"], "hi");
}

#[test]
fn keys_that_cannot_be_used_are_refused_in_one_sentence() {
    let data = tempfile::tempdir().unwrap();
    let nowhere = data.path().join("nowhere.pem");
    let nowhere = nowhere.to_str().unwrap();
    let check = |arguments: &[&str], expected: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chat-server"));
        command.args(["0", "--bind", "127.0.0.1"]).args(arguments);
        command
            .env("XDG_DATA_HOME", data.path())
            .stdin(Stdio::null());
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    };
    check(
        &["--tls-cert", nowhere, "--tls-key", nowhere],
        "nowhere.pem",
    );
    check(&["--tls-cert", nowhere], "--tls-key");
    check(&["--allow-plaintext", "--no-plaintext"], "--no-plaintext");
    check(&["--proxy", "10.0.0.0/99"], "number of bits");
    let tls = data.path().join("chat-server/tls");
    fs::create_dir_all(&tls).unwrap();
    fs::write(tls.join("key.pem"), "damaged").unwrap();
    check(&[], "chmod 600");
    fs::set_permissions(tls.join("key.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    check(&[], "holds no private key");
}

#[cfg(unix)]
#[test]
fn without_descriptors_no_client_is_left_waiting() {
    let mut command = Command::new("sh");
    let server = env!("CARGO_BIN_EXE_chat-server");
    let script = format!("ulimit -n 64; exec '{server}' 0 --bind 127.0.0.1 --ephemeral");
    command
        .args(["-c", &script])
        .env("XDG_DATA_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let server = Running::spawn(&mut command);
    let mut alice = Client::connect(server.1);
    alice.send(&join("alice"));
    alice.next("members");
    let mut crowd: Vec<_> = (0..200).map(|_| Client::connect(server.1)).collect();
    // Clients without a descriptor are not left waiting. (There may have been one for the last:
    // silent clients are evicted.)
    let since = Instant::now();
    let last = crowd.last_mut().unwrap();
    let _ = last.stream.write_all(join("last").to_string().as_bytes());
    let mut line = String::new();
    let answered = last.input.read_line(&mut line).is_ok_and(|count| count > 0);
    assert!(!answered || line.contains("welcome"), "{line}");
    assert!(since.elapsed() < limits::JOIN_WITHIN, "it was left to wait");
    alice.send(&message("alice", 1, "still here"));
    assert_eq!(alice.next("message")["message"], "still here");
    drop(crowd);
    let since = Instant::now();
    loop {
        let mut bob = Client::connect(server.1);
        let _ = bob.stream.write_all(join("bob").to_string().as_bytes());
        let mut line = String::new();
        if bob
            .input
            .read_line(&mut line)
            .is_ok_and(|_| line.contains("welcome"))
        {
            break;
        }
        assert!(since.elapsed() < PATIENCE);
        thread::yield_now();
    }
}
