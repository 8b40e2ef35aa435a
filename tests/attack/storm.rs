//! A storm of connections: thousands a second.

use std::{
    io::Write,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustls::version::TLS13;

use crate::{
    bounds,
    pair::Pair,
    peer::{Peer, client_hello, connect, join, slam, somebody},
    process::Server,
};

/// How long each storm lasts.
const STORM: Duration = Duration::from_secs(3);

/// Connects, calls `deed` and disconnects, repeatedly. Returns how often.
fn storm(to: SocketAddr, deed: impl Fn(&std::net::TcpStream) + Sync) -> u64 {
    let count = AtomicU64::new(0);
    let since = Instant::now();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while since.elapsed() < STORM {
                    // The machine lacks descriptors or ports for it.
                    let Ok(stream) = connect(to) else { continue };
                    deed(&stream);
                    slam(&stream);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    count.into_inner()
}

#[test]
fn a_storm_of_connections() {
    let mut server = Server::start(&[]);
    let pair = Pair::start(server.address);
    let hello = client_hello(&TLS13);
    let to = server.address;
    let mut figures = Vec::new();
    figures.push(storm(to, |_| {}));
    figures.push(storm(to, |mut stream| {
        let _ = stream.write_all(&hello);
    }));
    figures.push(storm(to, |mut stream| {
        let _ = stream.write_all(join("ida").to_string().as_bytes());
    }));
    eprintln!("storms of {figures:?} connections, {STORM:?} each");
    assert!(figures.iter().all(|count| *count > 100), "{figures:?}");
    // After the storm.
    let mut honest = Peer::secure(server.address);
    let welcome = honest.enter(&join("carl"), &somebody(3));
    assert_eq!(welcome["type"], "welcome");
    pair.ends_unharmed("storms");
    server.has_borne_it("storms", bounds::NEWCOMING);
}
