//! Opens a connection to a name: reaches the machine, encrypts, and verifies the server.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};
use rustls::{
    client::danger::ServerCertVerifier,
    crypto::{CryptoProvider, ring},
    pki_types::ServerName,
};
use tokio::{net::TcpStream, task::spawn_blocking, time::timeout};

use super::{
    dial::{self, connect, reach},
    secure::{self, HandshakeFailure},
    stream::{Tls, Transport},
};
use crate::{
    client::{
        Host,
        session::{Channel, Closed, Distrust, KeySource},
        trust::{self, Expected, Trust, Verdict, Verifier},
    },
    pipe,
    text::Line,
};

/// How long a TLS handshake may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// How long a program on this machine that may not speak TLS may be silent before the client tries
/// without encryption.
const SILENCE_MAX: Duration = Duration::from_secs(1);

/// An open connection.
#[derive(Debug)]
pub(super) struct OpenConnection {
    pub(super) transport: Box<dyn Transport>,
    pub(super) channel: Channel,
    /// A notice to the user.
    pub(super) notice: Option<Line>,
}

impl OpenConnection {
    fn plain(tcp: TcpStream, server: SocketAddr) -> Self {
        Self {
            transport: Box::new(tcp),
            channel: Channel::Plain { server },
            notice: None,
        }
    }
}

/// The expected certificate, and the verifier for it.
struct TlsRequirement {
    expected: Expected,
    provider: Arc<CryptoProvider>,
    roots: Option<Arc<dyn ServerCertVerifier>>,
}

/// Opens a connection over the network.
pub(super) async fn open(
    host: Host,
    port: u16,
    trust: Arc<Trust>,
) -> Result<OpenConnection, Closed> {
    let demanding = demand(Arc::clone(&trust));
    let (reached, demand) = tokio::join!(reach(&host, port), demanding);
    // Distrust is reported first: it may explain why nothing listens.
    let demand = demand?;
    let tcp = reached?;
    let address = tcp.peer_addr().map_err(|error| dial::lost(&error))?;
    if trust.is_plaintext() {
        return Ok(OpenConnection::plain(tcp, address));
    }
    let may_be_plain = trust.may_be_plain(demand.expected, address);
    if may_be_plain && trust.was_plain(address) {
        return Ok(OpenConnection::plain(tcp, address));
    }
    let answer_within = if may_be_plain {
        SILENCE_MAX
    } else {
        HANDSHAKE_WITHIN
    };
    let TlsRequirement {
        expected,
        provider,
        roots,
    } = demand;
    let verifier = Arc::new(Verifier::new(Arc::clone(&provider), expected, roots));
    let encrypting = secure::handshake(
        tcp,
        server_name(&host, address),
        provider,
        Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>,
        answer_within,
    );
    let why = match timeout(HANDSHAKE_WITHIN, encrypting).await {
        Ok(Ok(tls)) => return accept(trust, expected, &verifier, tls).await,
        Ok(Err(why)) => why,
        Err(_) => return Err(Closed::TimedOut),
    };
    if let Some(Verdict::Refused(distrust)) = verifier.verdict() {
        return Err(Closed::Distrusted(distrust));
    }
    if may_be_plain
        && matches!(
            why,
            HandshakeFailure::Other | HandshakeFailure::HungUp | HandshakeFailure::Silent
        )
    {
        let tcp = connect(address).await?;
        trust.is_plain(address);
        return Ok(OpenConnection::plain(tcp, address));
    }
    Err(not_encrypted(
        why,
        expected.source(),
        trust.must_encrypt(expected),
    ))
}

/// Opens a connection to a server in this process: it can't be read or impersonated by others.
pub(super) async fn open_pipe(connector: pipe::Connector) -> Result<OpenConnection, Closed> {
    let end = connector.connect().await.map_err(|_| Closed::Refused)?;
    Ok(OpenConnection {
        transport: Box::new(end),
        channel: Channel::Plain {
            server: pipe::ADDRESS,
        },
        notice: None,
    })
}

/// Finds out what certificate to expect: from a file, and perhaps with the system's roots. Runs on
/// a blocking thread.
async fn demand(trust: Arc<Trust>) -> Result<TlsRequirement, Closed> {
    let finding = spawn_blocking(move || {
        let expected = trust.expected()?;
        let provider = Arc::new(ring::default_provider());
        let roots = if trust.is_plaintext() {
            None
        } else {
            trust::roots(&provider, expected)
        };
        Ok(TlsRequirement {
            expected,
            provider,
            roots,
        })
    });
    match finding.await {
        Ok(Ok(demand)) => Ok(demand),
        Ok(Err(distrust)) => Err(Closed::Distrusted(distrust)),
        Err(_) => Err(Closed::Other("its key can't be looked up".to_owned())),
    }
}

/// The name that the server's certificate must have.
fn server_name(host: &Host, address: SocketAddr) -> ServerName<'static> {
    let name = host.as_str();
    // An address's zone has a meaning only on this machine.
    let bare = name.split_once('%').map_or(name, |(bare, _)| bare);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return address.into();
    }
    ServerName::try_from(name.to_owned()).unwrap_or_else(|_| address.ip().into())
}

/// Accepts a server that showed the expected certificate.
async fn accept(
    trust: Arc<Trust>,
    expected: Expected,
    verifier: &Verifier,
    tls: Tls,
) -> Result<OpenConnection, Closed> {
    let Some(Verdict::Accepted(verified_by, fingerprint)) = verifier.verdict() else {
        return Err(Closed::Tls("it showed no certificate".to_owned()));
    };
    let exporter = tls
        .exporter()
        .map_err(|error| Closed::Tls(error.to_string()))?;
    let today = Timestamp::now().to_zoned(TimeZone::system()).date();
    let keeping = spawn_blocking(move || trust.accepted(today, expected, verified_by, fingerprint));
    let notice = match keeping.await {
        Ok(Ok(notice)) => notice,
        Ok(Err(distrust)) => return Err(Closed::Distrusted(distrust)),
        Err(_) => None,
    };
    Ok(OpenConnection {
        transport: Box::new(tls),
        channel: Channel::Encrypted {
            verified_by,
            fingerprint,
            exporter,
        },
        notice,
    })
}

/// The reason for a connection without TLS. `source`: the source of the expectation that the server
/// encrypts, if any. `must`: it has spoken TLS in this run, or is expected to.
fn not_encrypted(why: HandshakeFailure, source: Option<KeySource>, must: bool) -> Closed {
    match why {
        HandshakeFailure::Other => Closed::Distrusted(Distrust::NotEncrypted { source }),
        HandshakeFailure::HungUp if must => Closed::Eof,
        HandshakeFailure::Silent if must => Closed::TimedOut,
        HandshakeFailure::HungUp => Closed::NoTls { hung_up: true },
        HandshakeFailure::Silent => Closed::NoTls { hung_up: false },
        HandshakeFailure::Lost(error) => dial::lost(&error),
        HandshakeFailure::Tls(error) => Closed::Tls(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_asked_for_the_name_that_is_meant() {
        let address = SocketAddr::from(([192, 0, 2, 1], 10500));
        for (host, name) in [
            ("chat.example.org", "chat.example.org"),
            ("Chat.Example.org.", "chat.example.org"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("192.168.1.20", "192.168.1.20"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("fe80::1%eth0", "fe80::1"),
            // A certificate can't hold this name.
            ("-", "192.0.2.1"),
        ] {
            let host = Host::parse(host).unwrap();
            assert_eq!(server_name(&host, address).to_str(), name, "{host}");
        }
    }

    #[test]
    fn reasons_for_a_missing_encryption_are_told_apart() {
        let distrusted = |source| Closed::Distrusted(Distrust::NotEncrypted { source });
        let given = Some(KeySource::Given);
        for (why, must, closed) in [
            (HandshakeFailure::Other, false, distrusted(None)),
            (HandshakeFailure::Other, true, distrusted(given)),
            (
                HandshakeFailure::HungUp,
                false,
                Closed::NoTls { hung_up: true },
            ),
            (HandshakeFailure::HungUp, true, Closed::Eof),
            (
                HandshakeFailure::Silent,
                false,
                Closed::NoTls { hung_up: false },
            ),
            (HandshakeFailure::Silent, true, Closed::TimedOut),
        ] {
            let source = given.filter(|_| must);
            assert_eq!(not_encrypted(why, source, must), closed);
        }
    }
}
