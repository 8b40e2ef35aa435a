//! Detects the protocol of a new connection: a proxy's header, if one is due, the dialect by its
//! [first bytes](front::recognize), and the TLS handshake.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::Arc,
};

use rustls::{ServerConfig, ServerConnection};
use tokio::{net::TcpStream, task::yield_now};

use super::{
    conn_limit::{Permit, Refusal},
    handshake::HandshakePool,
    messages::Verdict,
    proxy,
    stream::{Outlet, Stream, take_in},
    transport::{Socket, Transport},
};
use crate::{
    protocol::{Binding, frame::ErrorCode},
    server::{
        config::Plaintext,
        core::client::Channel,
        front::{self, AnyDialect, Opening},
        network::ClientAddress,
    },
};

/// Bytes of one read before the protocol is known: most first frames are shorter.
const READ_BYTES: usize = 2 * 1024;
/// Bytes that a client may send in the TLS handshake. The longest hellos in use have about 2 KB;
/// TLS itself would allow 64.
const HANDSHAKE_BYTES_MAX: usize = 16 * 1024;

/// The exporter label of a channel binding (RFC 9266).
const BINDING_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// A connection whose protocol is known.
pub(super) struct Detected {
    pub(super) stream: Stream<TcpStream>,
    pub(super) channel: Channel,
    pub(super) dialect: AnyDialect,
    /// Bytes that were read already, if it is not encrypted.
    pub(super) first: Vec<u8>,
    pub(super) outcome: Result<Permit, Refusal>,
}

/// Detects the protocol. An error means that there is no client to answer.
pub(super) async fn detect(
    pool: &HandshakePool,
    socket: Transport<TcpStream>,
    address: SocketAddr,
    verdict: Verdict,
) -> io::Result<Detected> {
    let mut first = Vec::new();
    let (address, mut outcome) = match verdict {
        Verdict::Known(outcome) => (address.into(), outcome),
        Verdict::Proxied => {
            let Some(source) = Box::pin(introduced(&socket, &mut first)).await? else {
                let outcome = Err(Refusal::malformed());
                return plainly(pool, socket, address.into(), outcome);
            };
            let address = told_by(address, source);
            let now = pool.clock.now().mono;
            let outcome = pool.limiter.enter(address, now);
            if let Err(refusal) = &outcome
                && !pool.limiter.may_explain(now)
            {
                pool.limiter.turned_away(address, refusal, now);
                return Err(ErrorKind::ConnectionRefused.into());
            }
            (address, outcome)
        }
    };
    let opening = loop {
        match front::recognize(&first) {
            Some(opening) => break opening,
            None => read(&socket, &mut first).await?,
        }
    };
    let dialect = match opening {
        Opening::Tls => {
            let current = pool.credentials.current();
            let shaking = shake_hands(pool, &socket, current.config, &first);
            let connection = Box::pin(shaking).await?;
            let binding = connection.export_keying_material([0; 32], BINDING_LABEL, Some(&[]));
            return Ok(Detected {
                channel: Channel {
                    address,
                    encrypted: true,
                    binding: Binding::Exporter(binding.map_err(io::Error::other)?),
                },
                dialect: AnyDialect::json(),
                stream: Stream::encrypted(socket, connection),
                first: Vec::new(),
                outcome,
            });
        }
        Opening::Dialect(dialect) => {
            let is_seen = !socket.is_memory();
            if outcome.is_ok() && is_seen && !may_be_plain(pool.plaintext, address) {
                outcome = Err(Refusal::plaintext());
            }
            dialect
        }
        // A refusal follows, in our own dialect.
        Opening::Unknown => {
            outcome = outcome.and(Err(Refusal::malformed()));
            AnyDialect::json()
        }
    };
    let detected = plainly(pool, socket, address, outcome)?;
    Ok(Detected {
        dialect,
        first,
        ..detected
    })
}

/// A connection without encryption.
fn plainly(
    pool: &HandshakePool,
    socket: Transport<TcpStream>,
    address: ClientAddress,
    outcome: Result<Permit, Refusal>,
) -> io::Result<Detected> {
    let own = socket.local_addr()?;
    Ok(Detected {
        stream: Stream::plain(socket),
        channel: Channel::plain(address, pool.credentials.fingerprint(), own),
        dialect: AnyDialect::json(),
        first: Vec::new(),
        outcome,
    })
}

/// The client's address according to its proxy. If the proxy names none, it is unknown, and not the
/// proxy's. A loopback address belongs to the proxy's machine.
fn told_by(proxy: SocketAddr, source: Option<SocketAddr>) -> ClientAddress {
    match source.map(ClientAddress::from) {
        Some(address)
            if !address.is_this_machine() || ClientAddress::from(proxy).is_this_machine() =>
        {
            address
        }
        _ => ClientAddress::Hidden(proxy),
    }
}

fn may_be_plain(plaintext: Plaintext, address: ClientAddress) -> bool {
    match plaintext {
        Plaintext::Everybody => true,
        Plaintext::Loopback => address.is_this_machine(),
        Plaintext::Nobody => false,
    }
}

impl Refusal {
    fn malformed() -> Self {
        Self::new(
            ErrorCode::Malformed,
            "A connection must begin with TLS or a JSON object",
        )
    }

    fn plaintext() -> Self {
        Self::new(
            ErrorCode::PlaintextRefused,
            "This server requires encryption: connect with TLS",
        )
    }
}

/// Reads a proxy's header and leaves the bytes behind it in `first`; `None` if it is none.
async fn introduced(
    socket: &Transport<TcpStream>,
    first: &mut Vec<u8>,
) -> io::Result<Option<Option<SocketAddr>>> {
    loop {
        match proxy::parse(first) {
            Ok(Some(header)) => {
                first.drain(..header.bytes);
                return Ok(Some(header.source));
            }
            Ok(None) => read(socket, first).await?,
            Err(proxy::NoHeader) => return Ok(None),
        }
    }
}

/// Waits for bytes, and appends them. The end of input is an error.
async fn read(socket: &Transport<TcpStream>, bytes: &mut Vec<u8>) -> io::Result<()> {
    loop {
        socket.readable().await?;
        let mut some = [0; READ_BYTES];
        match socket.try_read(&mut some) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                bytes.extend_from_slice(&some[..count]);
                return Ok(());
            }
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Does the TLS handshake. The server's part takes a third of a millisecond for each client, so
/// only a few are computed at a time.
async fn shake_hands(
    pool: &HandshakePool,
    socket: &Transport<TcpStream>,
    config: Arc<ServerConfig>,
    first: &[u8],
) -> io::Result<ServerConnection> {
    let mut connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut received = first.to_vec();
    let mut total = 0;
    loop {
        total += received.len();
        if total > HANDSHAKE_BYTES_MAX {
            return Err(ErrorKind::InvalidData.into());
        }
        {
            let _turn = pool.handshakes_at_once.acquire().await;
            let mut encrypted = &received[..];
            while !encrypted.is_empty() {
                take_in(&mut connection, &mut encrypted, socket)?;
            }
            yield_now().await;
        }
        received.clear();
        while connection.wants_write() {
            match connection.write_tls(&mut Outlet(socket)) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if is_passing(&error) => socket.writable().await?,
                Err(error) => return Err(error),
            }
        }
        if !connection.is_handshaking() {
            return Ok(connection);
        }
        read(socket, &mut received).await?;
    }
}

/// Whether the socket only has nothing, or takes nothing, at the moment.
pub(super) fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_believed_about_its_clients_and_not_taken_for_one() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        for (proxy, source, expected) in [
            ("127.0.0.1:9", Some("203.0.113.9:1"), Some("203.0.113.9:1")),
            ("[::1]:9", Some("[2001:db8::9]:1"), Some("[2001:db8::9]:1")),
            ("127.0.0.1:9", Some("[::1]:1"), Some("[::1]:1")),
            ("10.0.0.5:9", Some("192.168.1.7:1"), Some("192.168.1.7:1")),
            // The loopback of another machine.
            ("10.0.0.5:9", Some("127.0.0.1:1"), None),
            ("10.0.0.5:9", Some("[::1]:1"), None),
            ("[::ffff:10.0.0.5]:9", Some("[::ffff:127.0.0.1]:1"), None),
            ("127.0.0.1:9", None, None),
            ("[::1]:9", None, None),
            ("10.0.0.5:9", None, None),
        ] {
            let proxy = address(proxy);
            let expected = expected.map_or(ClientAddress::Hidden(proxy), |known| {
                ClientAddress::Known(address(known))
            });
            let told = told_by(proxy, source.map(address));
            assert_eq!(told, expected, "{proxy} {source:?}");
        }
    }
}
