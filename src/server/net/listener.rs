//! The listening socket, and the options of accepted connections.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    time::Duration,
};

use crate::server::network::BindAddress;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

/// Connections that the system keeps ready until they are accepted.
const BACKLOG: i32 = 4096;
/// How long a connection may be silent before TCP probes it.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(20);
/// How long TCP waits for each answer.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(8);
/// The number of probes. With the times above, a dead connection is detected within 44 s.
const KEEPALIVE_TIMES: u32 = 3;
/// How long sent data may stay unacknowledged by the other end's TCP.
#[cfg(any(target_os = "linux", target_os = "android"))]
const USER_TIMEOUT: Duration = Duration::from_secs(45);

/// The server can't listen; the text says what to do, in one or two plain sentences.
#[derive(Debug)]
pub struct BindError {
    address: SocketAddr,
    error: io::Error,
}

impl BindError {
    /// Whether a later attempt may succeed without a change by the operator: the port becomes free,
    /// the network comes up, a process closes its files.
    pub fn may_pass(&self) -> bool {
        !matches!(
            self.error.kind(),
            io::ErrorKind::PermissionDenied
                | io::ErrorKind::InvalidInput
                | io::ErrorKind::Unsupported
        )
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, port) = (self.address.ip(), self.address.port());
        match self.error.kind() {
            io::ErrorKind::AddrInUse => write!(
                out,
                "Port {port} is already in use on this machine. Stop the program that uses it, or \
                 choose another port: chat-server {}",
                if port == u16::MAX { port - 1 } else { port + 1 }
            ),
            io::ErrorKind::AddrNotAvailable => write!(
                out,
                "This machine has no address {address}. Give --bind one of its own, or leave it \
                 out to listen on all"
            ),
            io::ErrorKind::PermissionDenied => write!(
                out,
                "This program is not permitted to listen on port {port}. Choose one from 1024 up: \
                 chat-server 10500"
            ),
            _ if lacks_interface(self.address) => write!(
                out,
                "{address} belongs to one network interface: name it, as in --bind {address}%eth0"
            ),
            _ => write!(out, "Can't listen on {}: {}", self.address, self.error),
        }
    }
}

/// Whether an address is link-local and names no interface.
fn lacks_interface(address: SocketAddr) -> bool {
    matches!(address, SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() && v6.scope_id() == 0)
}

impl std::error::Error for BindError {}

/// Listens on an address, or on all of this machine's, IPv6 and IPv4. Returns the address.
pub(super) fn listen(
    address: Option<&BindAddress>,
    port: u16,
) -> Result<(TcpListener, SocketAddr), BindError> {
    let all_v6 = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let all_v4 = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let attempt = |ip| {
        let address = SocketAddr::new(ip, port);
        open(address).map_err(|error| BindError { address, error })
    };
    match address {
        Some(bind) => {
            let failed = |error| BindError {
                address: SocketAddr::new(bind.ip(), port),
                error,
            };
            let address = bind.at(port).map_err(failed)?;
            open(address).map_err(|error| BindError { address, error })
        }
        None => attempt(all_v6).or_else(|failed| match failed.error.kind() {
            io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(failed),
            // This machine has no IPv6.
            _ => attempt(all_v4),
        }),
    }
}

fn open(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A restarted server must not wait for its old connections to time out. (Except on Unix, the
    // option would let two servers share a port.)
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from(socket);
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Sets the options of an accepted connection. Errors are ignored: none of the options is
/// essential.
pub(super) fn prepare(stream: &tokio::net::TcpStream) {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER);
    #[cfg(not(windows))]
    let keepalive = keepalive
        .with_interval(KEEPALIVE_EVERY)
        .with_retries(KEEPALIVE_TIMES);
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_keepalive(&keepalive);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = socket.set_tcp_user_timeout(Some(USER_TIMEOUT));
}
