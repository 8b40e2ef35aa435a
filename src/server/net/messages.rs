//! Messages between the accept loop, the handshake pools and the workers.

use crate::{
    server::{
        core::{ConnectionId, event::Request},
        front::Endpoint,
        net::{
            conn_limit::{Permit, Refusal},
            stream::Stream,
            transport::Transport,
            unjoined::UnjoinedGuard,
        },
    },
    time::Now,
};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A message to a handshake pool.
#[derive(Debug)]
pub(super) enum HandshakeMsg {
    /// Take this connection.
    Serve(Box<Accepted>),
    /// Evict this one if it has not joined.
    Evict(ConnectionId),
}

/// An accepted connection, on its way to a pool.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) id: ConnectionId,
    pub(super) stream: Transport<std::net::TcpStream>,
    /// The address of the other end: a proxy's or the client's.
    pub(super) address: SocketAddr,
    pub(super) since: Now,
    pub(super) verdict: Verdict,
    pub(super) place: LoadGuard,
    pub(super) unjoined_guard: UnjoinedGuard,
}

/// Whether a connection is admitted.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The decision by its address.
    Known(Result<Permit, Refusal>),
    /// Not decided yet: it comes through a proxy, which has to name the client's address.
    Proxied,
}

/// Counts one connection of a worker for as long as it lives.
#[derive(Debug)]
pub(super) struct LoadGuard(pub(super) LoadCounter);

/// Shared counter of a worker's connections, including those still in the handshake that were
/// assigned to it.
#[derive(Clone, Debug, Default)]
pub(super) struct LoadCounter(pub(super) Arc<AtomicUsize>);

impl LoadCounter {
    pub(super) fn enter(&self) -> LoadGuard {
        self.0.fetch_add(1, Ordering::Relaxed);
        LoadGuard(self.clone())
    }

    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for LoadGuard {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A message to a worker.
pub(super) enum WorkerMsg {
    /// Serve this connection.
    Serve(Box<Negotiated>),
    /// Evict this one if it has not joined.
    Evict(ConnectionId),
}

/// A connection with its first request, on its way to a worker.
pub(super) struct Negotiated {
    pub(super) id: ConnectionId,
    pub(super) stream: Stream<std::net::TcpStream>,
    pub(super) endpoint: Endpoint,
    pub(super) request: Request,
    pub(super) guards: Guards,
}

/// Guards that count a connection in each limit.
pub(super) struct Guards {
    pub(super) place: LoadGuard,
    pub(super) unjoined_guard: UnjoinedGuard,
    pub(super) permit: Permit,
}
