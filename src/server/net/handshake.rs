//! The handshake pools: threads that hold connections from the accepted socket to the first
//! request.
//!
//! Handshakes (a third of a millisecond of processor time, key proofs and passwords more) run here
//! at a lower priority, so that they don't delay the joined clients' threads. The first request (a
//! join, with its key proven and its password compared; or an error) goes with the connection to
//! the worker that will serve it.

use std::{cell::RefCell, collections::HashMap, io, io::IoSlice, rc::Rc};

use tokio::{
    net::TcpStream,
    sync::{Semaphore, mpsc},
    task::{AbortHandle, LocalSet, yield_now},
    time::timeout_at,
};

use super::{
    Clock,
    conn_limit::ConnectionLimiter,
    connection::Reading,
    listener,
    messages::{Accepted, Guards, HandshakeMsg, Negotiated, WorkerMsg},
    passwords::Passwords,
    sniff::{Detected, detect, is_passing},
    stream::{SCRATCH_BYTES, Stream},
    tls::Credentials,
    transport::Transport,
};
use crate::{
    protocol::{ServerFrame, limits::JOIN_WITHIN, wire::encode_server},
    server::{
        config::Plaintext,
        core::{
            ConnectionId,
            endpoint::CLOSE_WITHIN,
            event::Request,
            replica::{Replica, ReplicaLimits},
            subscriber::Turn,
        },
        front::Endpoint,
        priority,
        supervisor::Supervisor,
    },
};

/// Connections that may wait for a pool; beyond it accepting pauses.
pub(super) const ACCEPTED_MAX: usize = 256;
/// Handshakes that are computed before other connections have their turn.
const HANDSHAKES_AT_ONCE: usize = 4;

/// Arguments of a pool.
pub(super) struct Start {
    pub(super) clock: Clock,
    pub(super) credentials: Credentials,
    pub(super) plaintext: Plaintext,
    pub(super) limiter: ConnectionLimiter,
    pub(super) passwords: Option<Passwords>,
    pub(super) messages: mpsc::Receiver<HandshakeMsg>,
    /// The queues to the workers.
    pub(super) workers: Vec<mpsc::Sender<WorkerMsg>>,
    pub(super) supervisor: Supervisor,
}

/// State shared by all tasks of one pool.
pub(super) struct HandshakePool {
    pub(super) clock: Clock,
    pub(super) credentials: Credentials,
    pub(super) plaintext: Plaintext,
    pub(super) limiter: ConnectionLimiter,
    /// Set where a password admits clients.
    passwords: Option<Passwords>,
    pub(super) handshakes_at_once: Semaphore,
    /// Shared buffer for encrypted bytes; it holds nothing between two reads.
    scratch: RefCell<Box<[u8; SCRATCH_BYTES]>>,
    /// A replica of no room, since no connection here reads one.
    replica: RefCell<Replica>,
    handshaking: RefCell<HashMap<ConnectionId, AbortHandle>>,
    workers: Vec<mpsc::Sender<WorkerMsg>>,
}

/// Starts a pool's thread. It ends with the accept loop.
pub(super) fn start(number: usize, start: Start) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    let supervisor = start.supervisor.clone();
    let run = move || {
        priority::behind_talk();
        LocalSet::new().block_on(&runtime, run(start));
        Ok(())
    };
    supervisor.start(format!("handshake-{number}"), run)?;
    Ok(())
}

async fn run(start: Start) {
    let pool = Rc::new(HandshakePool {
        clock: start.clock,
        credentials: start.credentials,
        plaintext: start.plaintext,
        limiter: start.limiter,
        passwords: start.passwords,
        handshakes_at_once: Semaphore::new(HANDSHAKES_AT_ONCE),
        scratch: RefCell::new(Box::new([0; SCRATCH_BYTES])),
        replica: Replica::new([], ReplicaLimits::default()).into(),
        handshaking: RefCell::default(),
        workers: start.workers,
    });
    let mut messages = start.messages;
    while let Some(message) = messages.recv().await {
        match message {
            HandshakeMsg::Serve(accepted) => {
                let id = accepted.id;
                let receiving = tokio::task::spawn_local(Rc::clone(&pool).receive(accepted));
                let mut handshaking = pool.handshaking.borrow_mut();
                handshaking.insert(id, receiving.abort_handle());
            }
            HandshakeMsg::Evict(id) => pool.evict(id).await,
        }
    }
}

impl HandshakePool {
    /// Evicts an unjoined connection; if it is at its worker already, the worker is told.
    async fn evict(&self, id: ConnectionId) {
        let handshake = self.handshaking.borrow_mut().remove(&id);
        match handshake {
            Some(handshake) => handshake.abort(),
            None => self.send(id, WorkerMsg::Evict(id)).await,
        }
    }

    /// Sends a message to the worker of a connection.
    async fn send(&self, id: ConnectionId, message: WorkerMsg) {
        // A worker that is gone has no clients left.
        let _ = self.workers[id.worker()].send(message).await;
    }

    async fn receive(self: Rc<Self>, accepted: Box<Accepted>) {
        let Accepted { id, since, .. } = *accepted;
        let until = self.clock.instant(since.mono + JOIN_WITHIN);
        let guard = AbortOnDrop(&self, id);
        let negotiated = timeout_at(until, self.negotiate(accepted)).await;
        drop(guard);
        if let Ok(Some(negotiated)) = negotiated {
            self.send(id, WorkerMsg::Serve(negotiated)).await;
        }
    }

    /// Detects the dialect and waits for the first request; or sends the refusal.
    async fn negotiate(&self, accepted: Box<Accepted>) -> Option<Box<Negotiated>> {
        let Accepted {
            id,
            stream,
            address,
            since,
            verdict,
            place,
            unjoined_guard,
        } = *accepted;
        let socket = stream.exchange(TcpStream::from_std).ok()?;
        if let Transport::Tcp(tcp) = &socket {
            listener::prepare(tcp);
        }
        let detected = Box::pin(detect(self, socket, address, verdict)).await;
        let Detected {
            mut stream,
            channel,
            dialect,
            first,
            outcome,
        } = detected.ok()?;
        let permit = match outcome {
            Ok(permit) => permit,
            Err(refusal) => {
                let now = self.clock.now().mono;
                self.limiter.turned_away(channel.address, &refusal, now);
                let mut words = Vec::new();
                encode_server(&ServerFrame::Error(refusal.frame()), &mut words);
                // Best effort: an empty socket buffer takes so few bytes at once.
                let _ = stream.write(&[IoSlice::new(&words)]);
                Box::pin(stream.close(CLOSE_WITHIN)).await;
                return None;
            }
        };
        let mut endpoint = Endpoint::new(channel, dialect, since);
        if !first.is_empty() {
            endpoint.handle_bytes(since, &first);
        }
        let mut request = self.first_request(&mut stream, &mut endpoint).await?;
        if let Some(passwords) = &self.passwords {
            passwords.check_join(self.clock, &mut request).await;
        }
        Some(Box::new(Negotiated {
            id,
            stream: stream.into_std().ok()?,
            endpoint,
            request,
            guards: Guards {
                place,
                unjoined_guard,
                permit,
            },
        }))
    }

    /// Waits for the first request; `None` if there will be none. Challenges are sent meanwhile.
    async fn first_request(
        &self,
        stream: &mut Stream<TcpStream>,
        endpoint: &mut Endpoint,
    ) -> Option<Request> {
        loop {
            if let Some(request) = endpoint.poll_request(&self.replica.borrow(), super::random) {
                return Some(request);
            }
            if endpoint.is_answering() {
                if !self.flush(stream, endpoint).ok()? {
                    stream.writable().await.ok()?;
                }
                continue;
            }
            if endpoint.is_over() {
                return None;
            }
            if !stream.settle().ok()? {
                stream.writable().await.ok()?;
                continue;
            }
            if !stream.is_unread() {
                stream.readable().await.ok()?;
            }
            let clock = self.clock;
            let mut reading = Reading { endpoint, clock };
            let read = stream.read(&mut reading, &mut self.scratch.borrow_mut());
            match read {
                Ok(intake) => reading.note(intake),
                Err(error) if is_passing(&error) => {}
                Err(_) => return None,
            }
            // However much arrives, other connections have their turn and the time limit is
            // checked.
            yield_now().await;
        }
    }

    /// Writes pending output; false if the socket takes no more for now.
    fn flush(&self, stream: &mut Stream<TcpStream>, endpoint: &mut Endpoint) -> io::Result<bool> {
        let now = self.clock.now();
        let mut replica = self.replica.borrow_mut();
        while stream.settle()? {
            let Turn::Write(gather) = endpoint.poll_turn(now, &mut replica) else {
                return Ok(true);
            };
            match stream.write(gather.slices()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => endpoint.handle_written(now, &replica, count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

/// Removes a connection from `handshaking` when it leaves the pool.
struct AbortOnDrop<'a>(&'a HandshakePool, ConnectionId);

impl Drop for AbortOnDrop<'_> {
    fn drop(&mut self) {
        self.0.handshaking.borrow_mut().remove(&self.1);
    }
}
