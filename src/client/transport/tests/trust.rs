//! Tests encryption and trust against real sockets, with a TLS server that has a key of its own.

use std::path::Path;

use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ServerConfig, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};
use tokio::io::AsyncReadExt;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::*;
use crate::{
    client::{
        event::{Security, VerifiedBy},
        trust::forget,
    },
    protocol::Fingerprint,
};

/// A server that encrypts.
struct Safe {
    listener: TcpListener,
    tls: TlsAcceptor,
    key: Fingerprint,
}

/// A self-signed certificate, its key, and that key's fingerprint.
fn certificate() -> (CertificateDer<'static>, PrivateKeyDer<'static>, Fingerprint) {
    let pair = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&pair).unwrap();
    let key =
        Fingerprint::of_public_key_info(&rcgen::PublicKeyData::subject_public_key_info(&pair));
    let private = PrivateKeyDer::try_from(pair.serialize_der()).unwrap();
    (certificate.der().clone(), private, key)
}

fn acceptor(versions: &[&'static SupportedProtocolVersion]) -> (TlsAcceptor, Fingerprint) {
    let (certificate, private, key) = certificate();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], private)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), key)
}

impl Safe {
    async fn start() -> Self {
        Self::on(
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            &[&TLS13, &TLS12],
        )
    }

    fn on(listener: TcpListener, versions: &[&'static SupportedProtocolVersion]) -> Self {
        let (tls, key) = acceptor(versions);
        Self { listener, tls, key }
    }

    fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    async fn tls(&self) -> io::Result<TlsStream<tokio::net::TcpStream>> {
        let (stream, _) = self.listener.accept().await.unwrap();
        self.tls.accept(stream).await
    }

    async fn accept(&self) -> Far {
        Far::over(self.tls().await.expect("a handshake"))
    }
}

fn keeping(directory: &Path) -> Policy {
    Policy {
        directory: Some(directory.to_owned()),
        ..Policy::default()
    }
}

async fn security(session: &mut ClientHandle) -> Security {
    let told = session.until(|event| matches!(event, Event::Security(_)));
    let Event::Security(security) = told.await else {
        unreachable!()
    };
    security
}

async fn stopped(session: &mut ClientHandle) -> (String, Vec<String>) {
    let mut notices = Vec::new();
    loop {
        match session.events.recv().await.expect("the session goes on") {
            Event::Distrusted(told) => {
                let lines = told
                    .iter()
                    .map(crate::client::event::ExplanationPart::to_line);
                notices.extend(lines.map(|line| line.as_str().to_owned()));
            }
            Event::Connection(State::Stopped { why, .. }) => {
                return (why.as_str().to_owned(), notices);
            }
            Event::Security(security) => panic!("it connected: {security:?}"),
            _ => {}
        }
    }
}

/// Waits until a joined session has stored everything, and ended.
async fn ended(mut session: ClientHandle) {
    session
        .until(|event| matches!(event, Event::Connection(State::Online)))
        .await;
    session.commands.send(Command::Leave).await.unwrap();
    session
        .until(|event| matches!(event, Event::Ended(_)))
        .await;
    session.flush().wait().await;
}

fn start_keyed(host: &str, port: u16, trust: Policy) -> ClientHandle {
    let credentials = Credentials {
        identity: Some(crate::protocol::Identity::from_seed([6; 32])),
        ..Credentials::default()
    };
    start_as(host, port, trust, credentials)
}

async fn waiting(session: &mut ClientHandle) -> String {
    let told = session.until(|event| matches!(event, Event::Connection(State::Waiting { .. })));
    let Event::Connection(State::Waiting { why, .. }) = told.await else {
        unreachable!()
    };
    why.as_str().to_owned()
}

/// Both versions of TLS, and a conversation over each that is too long for any buffer.
#[tokio::test]
async fn a_conversation_is_encrypted() {
    for version in [&TLS13, &TLS12] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Safe::on(listener, &[version]);
        let mut session = start_with("127.0.0.1", server.port(), Policy::default());
        let mut far = server.accept().await;
        assert_eq!(
            security(&mut session).await,
            Security::Encrypted {
                verified_by: VerifiedBy::FirstUse,
                fingerprint: server.key,
            }
        );
        let join = far.let_in(0, 0).await;
        let long = "x".repeat(16_000);
        for seq in 1..=40 {
            session.send(&long).await;
            assert_eq!(far.echo(&join, seq).await, long);
            session.until(sent).await;
        }
        session.commands.send(Command::Leave).await.unwrap();
        assert_eq!(far.hear().await, Some(ClientFrame::Disconnect));
        drop(far);
        session
            .until(|event| matches!(event, Event::Ended(_)))
            .await;
    }
}

#[tokio::test]
async fn a_server_that_reads_slowly_gets_all_of_it_in_order() {
    let server = Safe::start().await;
    let mut session = start_with("127.0.0.1", server.port(), Policy::default());
    let mut far = server.accept().await;
    let join = far.let_in(0, 0).await;
    session
        .until(|event| matches!(event, Event::Connection(State::Online)))
        .await;
    // Megabytes that the server does not read yet.
    let text = |number: u64| format!("{number} {}", "x".repeat(15_000));
    for number in 1..=300 {
        session.send(&text(number)).await;
    }
    for seq in 1..=300 {
        assert_eq!(far.echo(&join, seq).await, text(seq));
        session.until(sent).await;
    }
}

#[tokio::test]
async fn a_key_is_known_from_the_first_time_on_and_another_stops_it() {
    let directory = tempfile::tempdir().unwrap();
    let server = Safe::start().await;
    let port = server.port();
    let by = async |server: &Safe| {
        let mut session = start_with("localhost", port, keeping(directory.path()));
        server.accept().await.let_in(0, 0).await;
        let security = security(&mut session).await;
        ended(session).await;
        security
    };
    let encrypted = |verified_by, key| Security::Encrypted {
        verified_by,
        fingerprint: key,
    };
    let first = encrypted(VerifiedBy::FirstUse, server.key);
    assert_eq!(by(&server).await, first);
    let again = encrypted(VerifiedBy::Pin, server.key);
    assert_eq!(by(&server).await, again);

    // An impostor with another key.
    let old = server.key;
    let other = Safe::on(server.listener, &[&TLS13, &TLS12]);
    let mut session = start_with("localhost", port, keeping(directory.path()));
    let refused = other.tls().await.map(drop);
    let (why, notices) = stopped(&mut session).await;
    assert!(refused.is_err(), "the handshake went through");
    assert!(why.contains("has another key than before"), "{why}");
    assert!(notices.iter().any(|line| line.contains(&old.to_string())));
    let command = format!("chat-tui --trust {} localhost {port} carol 3", other.key);
    assert_eq!(notices.last(), Some(&command));

    // The effect of that command; any other key is still refused.
    let accept = |key| Policy {
        accept: Some(key),
        ..keeping(directory.path())
    };
    let mut session = start_with("localhost", port, accept(Fingerprint::from_bytes([9; 32])));
    drop(other.tls().await);
    let (why, _) = stopped(&mut session).await;
    assert!(why.contains("the one given with --trust"), "{why}");
    let mut session = start_with("localhost", port, accept(other.key));
    drop(other.accept().await);
    let accepted = encrypted(VerifiedBy::Pin, other.key);
    assert_eq!(security(&mut session).await, accepted);
    assert_eq!(by(&other).await, accepted);
}

/// A man in the middle has a key of their own, and relays the server's answers.
#[tokio::test]
async fn a_man_in_the_middle_is_detected_and_not_stored() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("known_hosts");
    let between = Safe::start().await;
    let port = between.port();
    let mut session = start_keyed("localhost", port, keeping(directory.path()));
    let mut far = between.accept().await;
    assert!(matches!(far.hear().await, Some(ClientFrame::Join(_))));
    far.say(ServerFrame::Challenge {
        nonce: crate::protocol::Nonce::from_bytes([3; 32]),
        fingerprint: None,
    })
    .await;
    assert!(matches!(far.hear().await, Some(ClientFrame::Proof { .. })));
    assert!(!file.exists(), "it is kept before it has let us in");
    far.say(ServerFrame::Error(ErrorFrame {
        code: ErrorCode::BadProof,
        message: Line::inert("The proof of who you are does not hold for this connection"),
        id: None,
        reference: None,
        retry_after_ms: None,
    }))
    .await;
    security(&mut session).await;
    let (why, told) = stopped(&mut session).await;
    assert!(why.contains("may be intercepting the connection"), "{why}");
    let key = format!("The key offered now: {}", between.key);
    assert!(told.contains(&key), "{told:?}");
    assert!(told.iter().any(|line| line.contains("was not kept")));
    assert!(!file.exists(), "it is kept");
    // On an honest network the server itself counts as new.
    let server = Safe::on(between.listener, &[&TLS13]);
    session.commands.send(Command::RetryNow).await.unwrap();
    server.accept().await.let_in(0, 0).await;
    ended(session).await;
    let known = std::fs::read_to_string(&file).unwrap();
    assert!(known.contains(&server.key.to_string()), "{known}");
}

/// The session has not joined yet, and an impostor answers by now.
#[tokio::test]
async fn a_key_at_first_sight_is_the_only_one_for_the_run() {
    let directory = tempfile::tempdir().unwrap();
    let server = Safe::start().await;
    let port = server.port();
    let mut session = start_with("localhost", port, keeping(directory.path()));
    drop(server.accept().await);
    waiting(&mut session).await;
    assert!(!directory.path().join("known_hosts").exists());
    let other = Safe::on(server.listener, &[&TLS13]);
    session.commands.send(Command::RetryNow).await.unwrap();
    assert!(other.tls().await.is_err(), "the handshake went through");
    let (why, _) = stopped(&mut session).await;
    assert!(why.contains("has another key than before"), "{why}");
}

/// Another terminal accepts the key; then a retry is enough.
#[tokio::test]
async fn a_key_stored_by_another_process_is_known_at_the_next_attempt() {
    let directory = tempfile::tempdir().unwrap();
    let server = Safe::start().await;
    let port = server.port();
    let known = format!(
        "localhost:{port} {} 2026-11-22\n",
        Fingerprint::from_bytes([9; 32])
    );
    std::fs::write(directory.path().join("known_hosts"), known).unwrap();
    let mut session = start_with("localhost", port, keeping(directory.path()));
    drop(server.tls().await);
    stopped(&mut session).await;
    let host = Host::parse("localhost").unwrap();
    forget(directory.path(), &host, port).unwrap();
    session.commands.send(Command::RetryNow).await.unwrap();
    server.accept().await.let_in(0, 0).await;
    session
        .until(|event| matches!(event, Event::Connection(State::Online)))
        .await;
}

#[tokio::test]
async fn a_server_without_its_certificates_key_is_refused() {
    let (genuine, _, key) = certificate();
    let (_, private, _) = certificate();
    // A server that signs with another key than its certificate's.
    let provider = ring::default_provider();
    let signing = provider.key_provider.load_private_key(private).unwrap();
    let liar = CertifiedKey::new(vec![genuine], signing);
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(liar)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Safe {
        listener,
        tls: TlsAcceptor::from(Arc::new(config)),
        key,
    };
    let mut session = start_with("127.0.0.1", server.port(), Policy::default());
    assert!(server.tls().await.is_err());
    let why = waiting(&mut session).await;
    assert!(why.contains("can't be encrypted"), "{why}");
}

/// Any listener on this machine is then connected to without encryption.
#[tokio::test]
async fn an_older_server_of_this_machine_is_reached_all_the_same() {
    for answer in [Some("{\"type\": \"error\"}"), Some(""), None] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut session = start_with("127.0.0.1", port, Policy::default());
        let (mut hello, _) = listener.accept().await.unwrap();
        assert_eq!(hello.read_u8().await.unwrap(), 22, "a TLS hello");
        let hello = match answer {
            Some(answer) => {
                hello.write_all(answer.as_bytes()).await.unwrap();
                None
            }
            // It is silent, and keeps the connection.
            None => Some(hello),
        };
        let mut far = Far::accept(&listener).await;
        assert_eq!(security(&mut session).await, Security::Plain);
        far.let_in(0, 0).await;
        session
            .until(|event| matches!(event, Event::Connection(State::Online)))
            .await;
        // It reconnects without asking again.
        drop((far, hello));
        session.commands.send(Command::RetryNow).await.unwrap();
        Far::accept(&listener).await.let_in(0, 0).await;
    }
}

/// A stalled server looks like a legacy one; once it continues, it is asked again.
#[tokio::test]
async fn a_server_that_had_only_stood_still_is_asked_anew_whether_it_encrypts() {
    let server = Safe::start().await;
    let mut session = start_with("127.0.0.1", server.port(), Policy::default());
    let (_hello, _) = server.listener.accept().await.unwrap();
    let mut still = Far::reached(&server.listener).await;
    let question = still.hear().await;
    assert!(matches!(question, Some(ClientFrame::Join(join)) if join.token.is_none()));
    session
        .until(|event| matches!(event, Event::Connection(State::Unidentified)))
        .await;
    still.say(unsupported()).await;
    server.accept().await.let_in(0, 0).await;
    let encrypted = |event: &Event| matches!(event, Event::Security(Security::Encrypted { .. }));
    session.until(encrypted).await;
}

/// A legacy server of this machine was replaced by one that requires encryption.
#[tokio::test]
async fn a_server_that_refuses_a_join_is_probed_again_for_encryption() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut session = start_with("127.0.0.1", port, Policy::default());
    drop(listener.accept().await.unwrap());
    let mut far = Far::accept(&listener).await;
    far.let_in(0, 0).await;
    drop(far);
    // It closes the unencrypted connection.
    session.commands.send(Command::RetryNow).await.unwrap();
    drop(Far::accept(&listener).await);
    let server = Safe::on(listener, &[&TLS13]);
    server.accept().await.let_in(0, 0).await;
    let encrypted = |event: &Event| matches!(event, Event::Security(Security::Encrypted { .. }));
    session.until(encrypted).await;
}

#[tokio::test]
async fn a_server_that_encrypted_is_never_spoken_to_in_the_clear() {
    let server = Safe::start().await;
    let port = server.port();
    let mut session = start_with("127.0.0.1", port, Policy::default());
    server.accept().await.let_in(0, 0).await;
    let (mut other, _) = server.listener.accept().await.unwrap();
    other.write_all(b"{\"type\": \"error\"}").await.unwrap();
    let told = session.until(|event| matches!(event, Event::Connection(State::Stopped { .. })));
    let Event::Connection(State::Stopped { why, .. }) = told.await else {
        unreachable!()
    };
    assert!(
        why.as_str().contains("does not encrypt, although it must"),
        "{why}"
    );
    // A closed connection reveals nothing, and changes nothing.
    session.commands.send(Command::RetryNow).await.unwrap();
    drop(server.listener.accept().await.unwrap());
    let why = waiting(&mut session).await;
    assert!(why.contains("closed the connection"), "{why}");
}

#[tokio::test]
async fn a_known_server_is_not_spoken_to_in_the_clear_by_another_run() {
    let directory = tempfile::tempdir().unwrap();
    let server = Safe::start().await;
    let port = server.port();
    let session = start_with("127.0.0.1", port, keeping(directory.path()));
    server.accept().await.let_in(0, 0).await;
    ended(session).await;
    let mut session = start_with("127.0.0.1", port, keeping(directory.path()));
    let (mut other, _) = server.listener.accept().await.unwrap();
    other.write_all(b"garbage").await.unwrap();
    let (_, notices) = stopped(&mut session).await;
    let command = format!("chat-tui --forget 127.0.0.1 {port}");
    assert_eq!(notices.last(), Some(&command));
    // Not even if the user wants it.
    let plaintext = Policy {
        plaintext: true,
        ..keeping(directory.path())
    };
    let mut session = start_with("127.0.0.1", port, plaintext);
    let (why, _) = stopped(&mut session).await;
    assert!(why.contains("start without --plaintext"), "{why}");
}

#[tokio::test]
async fn a_damaged_file_of_known_servers_stops_it_and_is_named() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("known_hosts"), "nonsense\n").unwrap();
    let server = Safe::start().await;
    let mut session = start_with("127.0.0.1", server.port(), keeping(directory.path()));
    let (why, _) = stopped(&mut session).await;
    assert!(why.contains("Line 1 of"), "{why}");
}

/// An address of this machine that others can reach, if it has one.
fn own_address() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: the system only selects a route.
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

#[tokio::test]
async fn elsewhere_nothing_is_said_in_the_clear() {
    let Some(address) = own_address() else { return };
    let listener = TcpListener::bind((address, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let host = address.to_string();
    let mut session = start_with(&host, port, Policy::default());
    let (mut older, _) = listener.accept().await.unwrap();
    let mut hello = [0; 5];
    older.read_exact(&mut hello).await.unwrap();
    assert_eq!(hello[0], 22, "a TLS hello");
    older.write_all(b"{\"type\": \"error\"}").await.unwrap();
    let (why, notices) = stopped(&mut session).await;
    assert!(why.contains("does not encrypt"), "{why}");
    let command = format!("chat-tui --plaintext {host} {port} carol 3");
    assert_eq!(notices.last(), Some(&command));
    // Another server, which closes the connection, may only be busy: it is tried again, but in no
    // other way.
    session.commands.send(Command::RetryNow).await.unwrap();
    drop(listener.accept().await.unwrap());
    let why = waiting(&mut session).await;
    assert!(why.contains("--plaintext"), "{why}");
}
