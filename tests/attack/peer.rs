//! A raw client of the server, honest or not: plain or encrypted.

use std::{
    fmt::Debug,
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use chat_tui::protocol::{Binding, Identity, Nonce, Token};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned,
    SupportedProtocolVersion,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    version::{TLS12, TLS13},
};
use serde_json::{Value, json};
use socket2::{Domain, SockRef, Socket, Type};

/// How long anything that must happen may take before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The address of the proxy that the server is told of.
pub(crate) const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 7));
/// The server's arguments for it.
pub(crate) const PROXIED: [&str; 2] = ["--proxy", "127.0.0.7"];

/// Accepts any certificate whose key is at the other end.
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

fn client_config(version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    let provider = ring::default_provider();
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider.clone()))
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyKey(provider)))
        .with_no_client_auth();
    // An attacker makes the server compute a full handshake each time.
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

/// Returns a client configuration for this version of TLS.
pub(crate) fn tls(version: &'static SupportedProtocolVersion) -> ClientConnection {
    static CONFIGS: LazyLock<[Arc<ClientConfig>; 2]> =
        LazyLock::new(|| [client_config(&TLS13), client_config(&TLS12)]);
    let config = &CONFIGS[usize::from(*version == TLS12)];
    let name = ServerName::try_from("chat-server").unwrap();
    ClientConnection::new(Arc::clone(config), name).unwrap()
}

/// Returns a client hello.
pub(crate) fn client_hello(version: &'static SupportedProtocolVersion) -> Vec<u8> {
    let mut hello = Vec::new();
    tls(version).write_tls(&mut hello).unwrap();
    hello
}

/// Connects from one of this machine's addresses.
pub(crate) fn connect_from(from: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(from, 0).into())?;
    socket.connect(&to.into())?;
    patient(socket.into())
}

/// Connects.
pub(crate) fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    patient(TcpStream::connect(to)?)
}

fn patient(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Resets the connection, so that no port of this machine stays in use.
pub(crate) fn slam(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

pub(crate) trait Wire: Read + Write + Send {}

impl<T: Read + Write + Send> Wire for T {}

/// See the module's docs.
pub(crate) struct Peer {
    /// The decrypted stream.
    pub(crate) wire: BufReader<Box<dyn Wire>>,
    /// The socket below TLS.
    pub(crate) socket: TcpStream,
    /// The binding of the TLS session.
    pub(crate) binding: Option<Binding>,
}

impl Peer {
    /// Connects without encryption.
    pub(crate) fn plain(to: SocketAddr) -> Self {
        Self::over(connect(to).unwrap())
    }

    /// Uses this connection without encryption.
    pub(crate) fn over(stream: TcpStream) -> Self {
        let socket = stream.try_clone().unwrap();
        Self {
            wire: BufReader::new(Box::new(stream)),
            socket,
            binding: None,
        }
    }

    /// Connects with encryption.
    pub(crate) fn secure(to: SocketAddr) -> Self {
        Self::secured(connect(to).unwrap(), &TLS13).unwrap()
    }

    /// Connects with encryption, and tries again while the server closes the connection.
    #[track_caller]
    pub(crate) fn retrying(to: SocketAddr) -> Self {
        let since = Instant::now();
        loop {
            match connect(to).and_then(|stream| Self::secured(stream, &TLS13)) {
                Ok(peer) => return peer,
                Err(error) => assert!(since.elapsed() < PATIENCE, "nobody is let in: {error}"),
            }
        }
    }

    /// Encrypts an open connection.
    pub(crate) fn secured(
        mut stream: TcpStream,
        version: &'static SupportedProtocolVersion,
    ) -> io::Result<Self> {
        let mut connection = tls(version);
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        let value =
            connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(&[]));
        let socket = stream.try_clone()?;
        Ok(Self {
            wire: BufReader::new(Box::new(StreamOwned::new(connection, stream))),
            socket,
            binding: Some(Binding::Exporter(value.map_err(io::Error::other)?)),
        })
    }

    /// Connects with encryption, from a source address in a proxy's header.
    pub(crate) fn proxied(to: SocketAddr, source: &str) -> Self {
        let mut stream = connect_from(PROXY, to).unwrap();
        stream.write_all(&header(source)).unwrap();
        Self::secured(stream, &TLS13).unwrap()
    }

    /// Writes these bytes; the server may not read them all.
    pub(crate) fn try_write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let wire = self.wire.get_mut();
        wire.write_all(bytes.as_ref())?;
        wire.flush()
    }

    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_write(bytes).unwrap();
    }

    pub(crate) fn send(&mut self, frame: &Value) {
        self.write(format!("{frame}\n"));
    }

    /// Returns the next frame, or `None` at the end of the connection.
    pub(crate) fn try_frame(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.wire.read_line(&mut line) {
            Ok(_) if line.ends_with('\n') => Some(serde_json::from_str(&line).unwrap()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("nothing comes: {error}"),
            Ok(_) | Err(_) => None,
        }
    }

    #[track_caller]
    pub(crate) fn frame(&mut self) -> Value {
        self.try_frame().expect("the connection ended")
    }

    /// Returns the next frame of this type.
    #[track_caller]
    pub(crate) fn next(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.frame();
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// Reads to the end: returns the codes of the errors, the last one's last.
    pub(crate) fn last_words(&mut self) -> Vec<String> {
        let mut codes = Vec::new();
        while let Some(frame) = self.try_frame() {
            if frame["type"] == "error" {
                codes.push(frame["code"].as_str().unwrap().to_owned());
            }
        }
        codes
    }

    /// Checks that the server sent this error and nothing more, and closed the connection.
    #[track_caller]
    pub(crate) fn is_refused(&mut self, code: &str, why: impl Debug) {
        let codes = self.last_words();
        assert_eq!(codes, [code], "{why:?}");
    }

    /// Checks that the connection is closed without a frame.
    #[track_caller]
    pub(crate) fn is_hung_up_on(&mut self, why: impl Debug) {
        let codes = self.last_words();
        assert!(codes.is_empty(), "{why:?}: {codes:?}");
    }

    /// Joins and proves a key; returns the answer.
    pub(crate) fn enter(&mut self, wish: &Value, identity: &Identity) -> Value {
        let nonce = self.challenged(wish, identity);
        let signature = identity.prove(&self.binding.unwrap(), &nonce);
        self.send(&proof(&signature.to_string()));
        self.frame()
    }

    /// The same; `None` if the connection closes without an answer: the server closes clients that
    /// take too long to join, and on a busy machine any may.
    pub(crate) fn try_enter(&mut self, wish: &Value, identity: &Identity) -> Option<Value> {
        let mut wish = wish.clone();
        wish["key"] = identity.public().to_string().into();
        self.try_write(format!("{wish}\n")).ok()?;
        let challenge = self.try_frame()?;
        assert_eq!(challenge["type"], "challenge", "{challenge}");
        let nonce = Nonce::parse(challenge["nonce"].as_str().unwrap()).unwrap();
        let signature = identity.prove(&self.binding.unwrap(), &nonce);
        let proof = proof(&signature.to_string());
        self.try_write(format!("{proof}\n")).ok()?;
        self.try_frame()
    }

    /// Joins with a key, and returns the nonce to prove it by.
    pub(crate) fn challenged(&mut self, wish: &Value, identity: &Identity) -> Nonce {
        let mut wish = wish.clone();
        wish["key"] = identity.public().to_string().into();
        self.send(&wish);
        let challenge = self.frame();
        assert_eq!(challenge["type"], "challenge", "{challenge}");
        Nonce::parse(challenge["nonce"].as_str().unwrap()).unwrap()
    }
}

/// Returns a proxy's header.
pub(crate) fn header(source: &str) -> Vec<u8> {
    let family = if source.contains(':') { "TCP6" } else { "TCP4" };
    format!("PROXY {family} {source} {source} 12345 10500\r\n").into_bytes()
}

/// Returns the frame that proves a key.
pub(crate) fn proof(signature: &str) -> Value {
    json!({"type": "proof", "signature": signature})
}

/// Returns a join under this nickname.
pub(crate) fn join(nickname: &str) -> Value {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).unwrap();
    json!({
        "type": "join", "protocol": 2, "nickname": nickname, "clientID": "1", "last": 0,
        "token": Token::from_bytes(bytes).expose(),
    })
}

/// Returns a key, always the same for the same number.
pub(crate) fn somebody(number: u64) -> Identity {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    Identity::from_seed(seed)
}
