//! What comes before the first frame: a proxy's header, if one is due, the choice of the protocol by its
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

/// Bytes that are read at once before it is known what they are: most greetings are shorter.
const READ_BYTES: usize = 2 * 1024;
/// Bytes that a client may send until both ends have the same keys. The longest hellos there are
/// have about 2 KB; TLS would let one have 64.
const HANDSHAKE_BYTES_MAX: usize = 16 * 1024;

/// What makes the exporter's value a channel binding (RFC 9266).
const BINDING_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// Who is there, and how to talk to him.
pub(super) struct Detected {
    pub(super) stream: Stream<TcpStream>,
    pub(super) channel: Channel,
    pub(super) dialect: AnyDialect,
    /// What was read already, where it is not encrypted.
    pub(super) first: Vec<u8>,
    pub(super) outcome: Result<Permit, Refusal>,
}

/// Finds out. An error: there is nobody to talk to.
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
        // It is told so in our own.
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

/// Somebody who does not encrypt.
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

/// Where a client is, by what its proxy says: without a word, nowhere that is known, and not where
/// the proxy is. A loopback address is of the proxy's machine.
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
            "A connection begins with TLS or a JSON object",
        )
    }

    fn plaintext() -> Self {
        Self::new(
            ErrorCode::PlaintextRefused,
            "This server wants encryption: connect with TLS",
        )
    }
}

/// Reads a proxy's header; what follows it stays in `first`. `None` if it is none.
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

/// Waits for bytes, and adds them. The end is an error: nobody has begun to talk.
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

/// Until both ends have the same keys. The server's sums take a third of a millisecond a client:
/// few are done between two looks at everybody else.
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

/// The socket has nothing, or takes nothing, at the moment.
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
