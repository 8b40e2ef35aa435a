//! From a connection to an encrypted one: the TLS handshake, and whether what answers speaks TLS at
//! all.

use std::{io, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, ClientConnection, Error,
    client::{Resumption, danger::ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::ServerName,
};
use tokio::{net::TcpStream, time::timeout};

use super::stream::{Socket, Tls};

/// Bytes that an encrypted connection takes at once.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// Why a connection is not encrypted.
#[derive(Debug)]
pub(super) enum HandshakeFailure {
    /// What answers is something else.
    Other,
    /// It hung up without an answer.
    HungUp,
    /// It did not answer in time.
    Silent,
    /// It broke off.
    Lost(io::Error),
    /// It could not be agreed on.
    Tls(Error),
}

/// Encrypts a connection. `answer_within`: how long the other side may take over its first word.
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
            // It is told why, if it can be.
            let _ = session.write_tls(&mut Socket(&tcp));
            return Err(HandshakeFailure::Tls(error));
        }
    }
}

/// Looks at the first byte of the answer.
async fn speaks_tls(tcp: &TcpStream, within: Duration) -> Result<(), HandshakeFailure> {
    /// The types of TLS records: a handshake, or an alert.
    const RECORDS: [u8; 2] = [22, 21];
    let mut first = [0];
    match timeout(within, tcp.peek(&mut first)).await {
        Err(_) => Err(HandshakeFailure::Silent),
        // One that could not parse the hello closes with it unread, which is a reset.
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
    // Who goes on with an earlier session shows no certificate again.
    config.resumption = Resumption::disabled();
    // Without it, what is signed for one connection over TLS 1.2 could be used on another.
    config.require_ems = true;
    let mut session = ClientConnection::new(Arc::new(config), name)?;
    session.set_buffer_limit(Some(OUTPUT_BYTES_MAX));
    Ok(session)
}
