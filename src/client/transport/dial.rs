//! Opens a TCP connection to a name: tries all its addresses, starting the next one as soon as the
//! one before fails or is slow.

use std::{io, net::SocketAddr, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpStream, lookup_host},
    task::JoinSet,
    time::timeout,
};

use crate::{
    client::{Host, session::Closed},
    protocol::limits::GONE_AFTER,
};

/// How long a look-up may take.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(10);
/// How long connecting to one address may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(8);
/// How long to wait for one address before the next one is tried as well.
const HEAD_START: Duration = Duration::from_millis(250);
/// Addresses tried for one name.
const ADDRESSES_MAX: usize = 16;
/// TCP keep-alive: idle time, interval and count. For legacy servers, which answer no `ping`.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(20), Duration::from_secs(8), 3);

/// Opens a connection to the first address of a name that accepts one.
pub(super) async fn reach(host: &Host, port: u16) -> Result<TcpStream, Closed> {
    let found = match timeout(LOOK_UP_WITHIN, lookup_host((host.as_str(), port))).await {
        Ok(Ok(found)) => found.collect::<Vec<_>>(),
        Ok(Err(error)) => return Err(not_found(&error)),
        Err(_) => return Err(Closed::NoLookUp),
    };
    if found.is_empty() {
        return Err(Closed::UnknownHost);
    }
    let mut addresses = in_turn(found).into_iter().take(ADDRESSES_MAX);
    let mut attempts = JoinSet::new();
    let mut failure = None;
    loop {
        let next = addresses.next();
        let more = next.is_some();
        if let Some(address) = next {
            attempts.spawn(connect(address));
        }
        let wait = if more { HEAD_START } else { CONNECT_WITHIN };
        match timeout(wait, attempts.join_next()).await {
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            Ok(Some(Ok(Err(why)))) => failure = Some(likelier(failure, why)),
            Ok(None) if !more => return Err(failure.unwrap_or(Closed::TimedOut)),
            // An attempt's task can't fail; a slow one is left to run.
            Ok(_) | Err(_) => {}
        }
    }
}

/// Alternates the two address families, the system's preferred one first, each in the system's
/// order.
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    std::iter::from_fn(|| {
        std::mem::swap(&mut first, &mut second);
        second.next().or_else(|| first.next())
    })
    .collect()
}

/// Opens a connection to one address.
pub(super) async fn connect(address: SocketAddr) -> Result<TcpStream, Closed> {
    let stream = match timeout(CONNECT_WITHIN, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(not_opened(&error)),
        Err(_) => return Err(Closed::TimedOut),
    };
    // If nothing listens on a port of the ephemeral range, a connection to it can reach itself.
    if stream.local_addr().ok() == stream.peer_addr().ok() {
        return Err(Closed::Refused);
    }
    prepare(&stream);
    Ok(stream)
}

/// Sets socket options; failing to set one is harmless.
fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let socket = SockRef::from(stream);
    let (idle, every, times) = KEEPALIVE;
    let keepalive = TcpKeepalive::new()
        .with_time(idle)
        .with_interval(every)
        .with_retries(times);
    let _ = socket.set_tcp_keepalive(&keepalive);
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(GONE_AFTER));
}

/// Why a name has no address. The standard library passes on the resolver's error number only on
/// Windows; elsewhere its message, which is English, since it follows `setlocale`, which no Rust
/// program calls by itself. Any other message counts as a failed look-up.
fn not_found(error: &io::Error) -> Closed {
    /// Messages of the systems' resolvers for a name that does not exist, or has no address
    /// (`EAI_NONAME`, `EAI_NODATA`).
    const ANSWERS: [&str; 6] = [
        // glibc
        "Name or service not known",
        "No address associated with hostname",
        // musl
        "Name does not resolve",
        "Name has no usable address",
        // BSD and macOS
        "nodename nor servname provided",
        "Name could not be resolved",
    ];
    /// `WSAHOST_NOT_FOUND`, `WSANO_DATA`.
    const WINDOWS_ANSWERS: [i32; 2] = [11_001, 11_004];
    let text = error.to_string();
    let known = ANSWERS.iter().any(|answer| text.contains(answer));
    let number = error.raw_os_error();
    if known || number.is_some_and(|number| WINDOWS_ANSWERS.contains(&number)) {
        Closed::UnknownHost
    } else {
        Closed::NoLookUp
    }
}

fn not_opened(error: &io::Error) -> Closed {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Closed::Refused,
        io::ErrorKind::TimedOut => Closed::TimedOut,
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::AddrNotAvailable => Closed::Unreachable,
        _ => Closed::Other(words(error)),
    }
}

/// Why an open connection has ended.
pub(super) fn lost(error: &io::Error) -> Closed {
    match error.kind() {
        io::ErrorKind::TimedOut => Closed::TimedOut,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => Closed::Lost,
        _ => Closed::Other(words(error)),
    }
}

/// The system's message without its error number.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// The failure that tells more about the server.
fn likelier(before: Option<Closed>, now: Closed) -> Closed {
    let weight = |closed: &Closed| match closed {
        Closed::Refused => 3,
        Closed::TimedOut => 2,
        Closed::Other(_) => 1,
        _ => 0,
    };
    match before {
        Some(before) if weight(&before) >= weight(&now) => before,
        _ => now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_are_tried_by_turns() {
        let check = |given: &[&str], tried: &[&str]| {
            let parse = |list: &[&str]| -> Vec<SocketAddr> {
                list.iter().map(|a| a.parse().unwrap()).collect()
            };
            assert_eq!(in_turn(parse(given)), parse(tried));
        };
        check(&["[::1]:1", "127.0.0.1:1"], &["[::1]:1", "127.0.0.1:1"]);
        check(
            &["1.1.1.1:1", "1.1.1.2:1", "1.1.1.3:1", "[::1]:1"],
            &["1.1.1.1:1", "[::1]:1", "1.1.1.2:1", "1.1.1.3:1"],
        );
    }

    #[test]
    fn the_failure_that_says_more_is_told() {
        assert_eq!(
            likelier(Some(Closed::Unreachable), Closed::Refused),
            Closed::Refused
        );
        assert_eq!(
            likelier(Some(Closed::Refused), Closed::TimedOut),
            Closed::Refused
        );
    }

    #[test]
    fn a_failed_look_up_is_told_apart_from_a_missing_name() {
        let looked_up = |what: &str| {
            let text = format!("failed to lookup address information: {what}");
            not_found(&io::Error::other(text))
        };
        for answer in [
            "Name or service not known",
            "No address associated with hostname",
            "Name does not resolve",
            "Name has no usable address",
            "nodename nor servname provided, or not known",
        ] {
            assert_eq!(looked_up(answer), Closed::UnknownHost, "{answer}");
        }
        for none in [
            "Temporary failure in name resolution",
            "Non-recoverable failure in name resolution",
            "Try again",
            "Unrecoverable error",
            "System error",
        ] {
            assert_eq!(looked_up(none), Closed::NoLookUp, "{none}");
        }
        for (number, closed) in [
            (11_001, Closed::UnknownHost),
            (11_002, Closed::NoLookUp),
            (11_004, Closed::UnknownHost),
        ] {
            let error = io::Error::from_raw_os_error(number);
            assert_eq!(not_found(&error), closed, "{number}");
        }
        // Without a route to a name server.
        let error = io::Error::from(io::ErrorKind::NetworkUnreachable);
        assert_eq!(not_found(&error), Closed::NoLookUp);
    }

    #[test]
    fn a_systems_sentence_is_shown_without_its_number() {
        assert_eq!(
            words(&io::Error::from_raw_os_error(13)),
            "Permission denied"
        );
    }
}
