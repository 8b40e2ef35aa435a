//! Lets connections in and gives each to the worker that has fewest.

use std::{
    io,
    mem::replace,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use crate::{
    protocol::{
        ServerFrame,
        frame::{ErrorCode, ErrorFrame},
        wire::encode_server,
    },
    server::{engine::ConnectionId, log::Recorder},
    text::Line,
};

/// How many connections there may be besides those of clients that are in: of such as have not
/// joined yet, are being refused, or are saying goodbye.
const SPARE_CONNECTIONS: usize = 512;
/// How long to wait when the system gives no connection for want of something.
const PAUSE: Duration = Duration::from_millis(200);

/// A connection for a worker.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) id: ConnectionId,
    pub(super) stream: std::net::TcpStream,
    pub(super) address: SocketAddr,
    pub(super) place: Place,
}

/// Counts one connection of a worker for as long as it lives.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

impl Place {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs until its task is dropped.
pub(super) async fn run(
    listener: TcpListener,
    workers: Vec<mpsc::Sender<Accepted>>,
    clients_max: usize,
    recorder: Recorder,
) {
    let open: Vec<_> = workers
        .iter()
        .map(|_| Arc::new(AtomicUsize::new(0)))
        .collect();
    let count = |open: &Arc<AtomicUsize>| open.load(Ordering::Relaxed);
    let mut number = 0;
    let mut failing = false;
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) if is_of_the_connection(&error) => continue,
            Err(error) => {
                // Said once, not five times a second.
                if !replace(&mut failing, true) {
                    recorder.warn(format!("can't take new connections for now: {error}"));
                }
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        failing = false;
        if open.iter().map(count).sum::<usize>() >= clients_max.saturating_add(SPARE_CONNECTIONS) {
            turn_away(&stream);
            continue;
        }
        let fewest = (0..workers.len()).min_by_key(|&worker| count(&open[worker]));
        let worker = fewest.unwrap_or(0);
        // It moves to the worker's own runtime.
        let Ok(stream) = stream.into_std() else {
            continue;
        };
        number += 1;
        let accepted = Accepted {
            id: ConnectionId::new(u8::try_from(worker).unwrap_or(0), number),
            stream,
            address: unmapped(address),
            place: Place::new(&open[worker]),
        };
        if workers[worker].send(accepted).await.is_err() {
            return;
        }
    }
}

/// An IPv4 client that came in by an IPv6 socket has an IPv4 address.
fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Whether only this one connection failed. Otherwise the system is out of something (descriptors,
/// memory), and trying again at once would only burn time.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// So many connections are open that this one is not even asked what it wants.
fn turn_away(stream: &TcpStream) {
    let mut words = Vec::new();
    encode_server(
        &ServerFrame::Error(ErrorFrame {
            code: ErrorCode::ServerFull,
            message: Line::inert("The server is full: as many are in as it takes. Try again later"),
            id: None,
            reference: None,
            retry_after_ms: None,
        }),
        &mut words,
    );
    // Best effort: an empty socket buffer takes so little at once.
    let _ = stream.try_write(&words);
}
