//! Encrypts a connection: the TLS handshake, and detection of servers without TLS.

use std::{io, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, ClientConnection, Error,
    client::{Resumption, danger::ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::ServerName,
};
use tokio::{net::TcpStream, time::timeout};

use super::stream::{Socket, Tls};

/// Bytes that an encrypted connection buffers.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// Why a connection is not encrypted.
#[derive(Debug)]
pub(super) enum HandshakeFailure {
    /// The answer is not TLS.
    Other,
    /// The other side closed the connection without an answer.
    HungUp,
    /// There was no answer in time.
    Silent,
    /// The connection broke.
    Lost(io::Error),
    /// The handshake failed.
    Tls(Error),
}

/// Encrypts a connection. `answer_within`: how long the first byte of the answer may take.
pub(super) async fn handshake(
    tcp: TcpStream,
    name: ServerName<'static>,
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
    answer_within: Duration,
) -> Result<Tls, HandshakeFailure> {
    let mut session = session(name, provider, verifier).map_err(HandshakeFailure::Tls)?;
    let mut answered = false;
    loop {
        while session.wants_write() {
            match session.write_tls(&mut Socket(&tcp)) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tcp.writable().await.map_err(HandshakeFailure::Lost)?;
                }
                Err(_) if !answered => return Err(HandshakeFailure::HungUp),
                Err(error) => return Err(HandshakeFailure::Lost(error)),
            }
        }
        if !session.is_handshaking() {
            return Ok(Tls::new(tcp, session));
        }
        if !answered {
            speaks_tls(&tcp, answer_within).await?;
            answered = true;
        }
        tcp.readable().await.map_err(HandshakeFailure::Lost)?;
        match session.read_tls(&mut Socket(&tcp)) {
            Ok(0) => {
                return Err(HandshakeFailure::Lost(
                    io::ErrorKind::ConnectionReset.into(),
                ));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(HandshakeFailure::Lost(error)),
        }
        if let Err(error) = session.process_new_packets() {
            // Tells the server why, if possible.
            let _ = session.write_tls(&mut Socket(&tcp));
            return Err(HandshakeFailure::Tls(error));
        }
    }
}

/// Checks the first byte of the answer.
async fn speaks_tls(tcp: &TcpStream, within: Duration) -> Result<(), HandshakeFailure> {
    /// Types of TLS records: a handshake, or an alert.
    const RECORDS: [u8; 2] = [22, 21];
    let mut first = [0];
    match timeout(within, tcp.peek(&mut first)).await {
        Err(_) => Err(HandshakeFailure::Silent),
        // A server that can't parse the hello closes without reading it all, which is a reset.
        Ok(Ok(0) | Err(_)) => Err(HandshakeFailure::HungUp),
        Ok(Ok(_)) if RECORDS.contains(&first[0]) => Ok(()),
        Ok(Ok(_)) => Err(HandshakeFailure::Other),
    }
}

fn session(
    name: ServerName<'static>,
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
) -> Result<ClientConnection, Error> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    // A resumed TLS session shows no certificate.
    config.resumption = Resumption::disabled();
    // Without it, a signature for one connection over TLS 1.2 could be used on another.
    config.require_ems = true;
    let mut session = ClientConnection::new(Arc::new(config), name)?;
    session.set_buffer_limit(Some(OUTPUT_BYTES_MAX));
    Ok(session)
}
