//! What the accept loop, the handshake pools and the workers send each other.

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

/// Something for a pool to do.
#[derive(Debug)]
pub(super) enum HandshakeMsg {
    /// To serve a connection.
    Come(Box<Accepted>),
    /// To end one that has not joined.
    Go(ConnectionId),
}

/// A connection for a pool.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) id: ConnectionId,
    pub(super) stream: Transport<std::net::TcpStream>,
    /// The other end's: a proxy's or the client's.
    pub(super) address: SocketAddr,
    pub(super) since: Now,
    pub(super) verdict: Verdict,
    pub(super) place: LoadGuard,
    pub(super) unjoined_guard: UnjoinedGuard,
}

/// Whether a connection may be had.
#[derive(Debug)]
pub(super) enum Verdict {
    /// As far as its address goes.
    Known(Result<Permit, Refusal>),
    /// It comes through a proxy, which has to say whose it is.
    Proxied,
}

/// Counts one connection of a worker for as long as it lives.
#[derive(Debug)]
pub(super) struct LoadGuard(pub(super) LoadCounter);

/// How many connections a worker has, including those in the handshake that were assigned to it. Cheap to
/// clone; all clones are one.
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

/// Something for a worker to do.
pub(super) enum WorkerMsg {
    /// To serve a connection.
    Come(Box<Negotiated>),
    /// To end one, if it has not joined.
    Go(ConnectionId),
}

/// A connection that has asked to come in.
pub(super) struct Negotiated {
    pub(super) id: ConnectionId,
    pub(super) stream: Stream<std::net::TcpStream>,
    pub(super) endpoint: Endpoint,
    pub(super) request: Request,
    pub(super) guards: Guards,
}

/// What a connection is counted by.
pub(super) struct Guards {
    pub(super) place: LoadGuard,
    pub(super) unjoined_guard: UnjoinedGuard,
    pub(super) permit: Permit,
}
