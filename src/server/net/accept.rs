//! Accepts connections. Each is assigned a worker that will serve it, and a handshake pool where it
//! stays until it has sent its first request.
//!
//! It runs on a thread of its own: accepting takes some microseconds for each connection, and
//! during a burst of them the hub's thread would be delayed.

use std::{
    fs::{self, File},
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

use super::{
    Clock,
    conn_limit::ConnectionLimiter,
    gateway::GatewayWatch,
    messages::{Accepted, HandshakeMsg, LoadCounter, Verdict},
    service::Service,
    transport::Transport,
    unjoined::{UNJOINED_MAX, Unjoined},
};
use crate::server::{
    core::ConnectionId,
    event_log::EventLog,
    network::{ClientAddress, Network},
    supervisor::Supervisor,
};
use crate::{pipe, time::Now};

/// Connections beyond `clients_max`: those that have not joined yet, and those that are being
/// refused or closed.
pub(in crate::server) const SPARE_CONNECTIONS: usize = UNJOINED_MAX + 512;
/// Connections that the first worker has before others get any. It shares the hub's thread: while
/// it has them all, a message goes from one socket to the others without a thread switch (two
/// switches take as long as five writes), and the other processors stay free.
const FIRST_WORKER_CONNECTIONS: usize = 256;
/// How long to wait after `accept` failed for lack of resources.
const PAUSE: Duration = Duration::from_millis(200);
/// Descriptors reserved for the rest of the server, besides those open at its start: for files
/// opened later (the log, the index, keys that are reloaded) and connections about to be closed.
/// Without them a crowd could keep the log from being read.
const DESCRIPTORS_LEFT: usize = 24;
/// Connections that are accepted however few descriptors there are.
const CONNECTIONS_MIN: usize = 8;
/// How often a lack of connections is logged.
const WARN_EVERY: Duration = Duration::from_mins(1);

/// Arguments of the accept loop.
pub(super) struct Start {
    pub(super) pools: Vec<mpsc::Sender<HandshakeMsg>>,
    /// The load of each worker.
    pub(super) open: Vec<LoadCounter>,
    pub(super) clock: Clock,
    pub(super) clients_max: usize,
    pub(super) proxies: Vec<Network>,
    /// The listener for connections from within this process.
    pub(super) pipes: pipe::Listener,
    pub(super) limiter: ConnectionLimiter,
    /// Set where access depends on the client's address.
    pub(super) gateways: Option<GatewayWatch>,
    pub(super) recorder: EventLog,
    pub(super) supervisor: Supervisor,
}

/// Starts the accept loop. Once it has ended, the port is free.
pub(super) fn start(listener: std::net::TcpListener, start: Start) -> io::Result<Service> {
    let supervisor = start.supervisor.clone();
    let listen = || TcpListener::from_std(listener);
    Service::start("accept", &supervisor, listen, |listener| {
        run(start, listener)
    })
}

async fn run(start: Start, listener: TcpListener) {
    let mut acceptor = Acceptor {
        listener,
        pools: start.pools,
        open: start.open,
        clock: start.clock,
        most: Most::of(start.clients_max, descriptors()),
        proxies: start.proxies,
        pipes: start.pipes,
        limiter: start.limiter,
        gateways: start.gateways,
        unjoined: Unjoined::default(),
        number: 0,
        reserve: open_reserve(),
        warned_at: None,
        recorder: start.recorder,
    };
    // The loop ends when a pool is gone, which ends the server.
    while acceptor.accept_one().await.is_some() {}
}

struct Acceptor {
    listener: TcpListener,
    pools: Vec<mpsc::Sender<HandshakeMsg>>,
    /// The load of each worker.
    open: Vec<LoadCounter>,
    clock: Clock,
    most: Most,
    proxies: Vec<Network>,
    pipes: pipe::Listener,
    limiter: ConnectionLimiter,
    /// Set until a warning was given.
    gateways: Option<GatewayWatch>,
    unjoined: Unjoined,
    /// The number of the latest connection.
    number: u64,
    /// A reserve descriptor, given up when there is no other.
    reserve: Option<File>,
    /// When a lack of connections was last logged.
    warned_at: Option<Duration>,
    recorder: EventLog,
}

impl Acceptor {
    /// Accepts one connection and hands it to a pool; `None` if a pool is gone.
    async fn accept_one(&mut self) -> Option<()> {
        // Before accepting: in the backlog a connection costs nothing.
        self.make_room().await?;
        let accepted = tokio::select! {
            accepted = self.listener.accept() => {
                accepted.map(|(tcp, address)| (Transport::Tcp(tcp), address))
            }
            Some(end) = self.pipes.accept() => Ok((Transport::Memory(end), pipe::ADDRESS)),
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_the_connection(&error) => return Some(()),
            Err(error) => return self.backoff(&error).await,
        };
        let since = self.clock.now();
        let is_proxied = !stream.is_memory() && self.is_proxy(address.ip());
        let Some(verdict) = self.judge(address, is_proxied, since) else {
            return Some(());
        };
        if matches!(verdict, Verdict::Known(Ok(_))) {
            self.check_gateway(address.into(), &stream, since);
        }
        let open: Vec<_> = self.open.iter().map(LoadCounter::count).collect();
        if open.iter().sum::<usize>() >= self.most.connections {
            // It is closed rather than left waiting. Evicting the slowest makes room for the next
            // one.
            drop(stream);
            self.warn(self.most.why);
            return self.evict().await.map(|_| ());
        }
        // The stream moves to the pool's own runtime.
        let Ok(stream) = stream.exchange(TcpStream::into_std) else {
            return Some(());
        };
        let worker = worker_for(&open);
        self.number += 1;
        let id = ConnectionId::new(u8::try_from(worker).unwrap_or(0), self.number);
        let accepted = Accepted {
            id,
            stream,
            address,
            since,
            verdict,
            place: self.open[worker].enter(),
            unjoined_guard: self.unjoined.enter(id, since.mono),
        };
        let message = HandshakeMsg::Serve(Box::new(accepted));
        self.pool(id).send(message).await.ok()
    }

    fn is_proxy(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|net| net.contains(address))
    }

    /// Decides whether the connection is admitted; `None` if it is closed without an answer.
    fn judge(&self, address: SocketAddr, is_proxied: bool, now: Now) -> Option<Verdict> {
        if is_proxied {
            return Some(Verdict::Proxied);
        }
        let address = ClientAddress::from(address);
        let outcome = self.limiter.enter(address, now.mono);
        if let Err(refusal) = &outcome
            && !self.limiter.may_explain(now.mono)
        {
            self.limiter.turned_away(address, refusal, now.mono);
            return None;
        }
        Some(Verdict::Known(outcome))
    }

    /// Checks an admitted client's address for a gateway in between.
    fn check_gateway(&mut self, client: ClientAddress, stream: &Transport<TcpStream>, now: Now) {
        if let Some(watch) = &mut self.gateways
            && let Ok(own) = stream.local_addr()
            && watch.sees(client, own.ip(), now.mono)
        {
            self.gateways = None;
        }
    }

    /// Waits until there is room for one more unjoined connection.
    async fn make_room(&self) -> Option<()> {
        while self.unjoined.are_many() && !self.evict().await? {
            let now = self.clock.now().mono;
            let due = self.unjoined.due().unwrap_or(now);
            let _ = timeout(due.saturating_sub(now), self.unjoined.gone()).await;
        }
        Some(())
    }

    /// Evicts the connection that has been unjoined longest; false if none has had its time yet.
    async fn evict(&self) -> Option<bool> {
        let Some(id) = self.unjoined.evict(self.clock.now().mono) else {
            return Some(false);
        };
        let sent = self.pool(id).send(HandshakeMsg::Evict(id)).await;
        sent.ok().map(|()| true)
    }

    /// Logs why connections can't be accepted, at most once in [`WARN_EVERY`].
    fn warn(&mut self, why: &str) {
        let now = self.clock.now().mono;
        if self
            .warned_at
            .is_none_or(|warned_at| warned_at + WARN_EVERY <= now)
        {
            self.warned_at = Some(now);
            let words = format!("can't accept new connections for now: {why}");
            self.recorder.warn(words);
        }
    }

    /// The pool of a connection; connections are spread over the pools in turn.
    fn pool(&self, id: ConnectionId) -> &mpsc::Sender<HandshakeMsg> {
        let pools = self.pools.len() as u64;
        &self.pools[usize::try_from(id.number() % pools).unwrap_or(0)]
    }

    /// `accept` failed for lack of resources (usually file descriptors). Evict one unjoined
    /// connection, then use the reserve descriptor to accept and close one, so that clients get a
    /// reset instead of hanging.
    async fn backoff(&mut self, error: &io::Error) -> Option<()> {
        self.warn(&error.to_string());
        self.evict().await?;
        let spare = self.reserve.take();
        let had_spare = spare.is_some();
        drop(spare);
        let turned_away = had_spare
            && timeout(PAUSE, self.listener.accept())
                .await
                .is_ok_and(|accepted| accepted.is_ok());
        if !turned_away {
            tokio::time::sleep(PAUSE).await;
        }
        self.reserve = open_reserve();
        Some(())
    }
}

/// The limit of connections at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Most {
    connections: usize,
    /// The reason for the limit, for the log.
    why: &'static str,
}

impl Most {
    /// The limit by the number of clients, or by the descriptors (those allowed and those open
    /// already) if that is lower.
    fn of(clients_max: usize, descriptors: Option<(usize, usize)>) -> Self {
        let wanted = Self {
            connections: clients_max.saturating_add(SPARE_CONNECTIONS),
            why: "there are as many as --max-clients allows",
        };
        let Some((allowed, open)) = descriptors else {
            return wanted;
        };
        let left = allowed.saturating_sub(open.saturating_add(DESCRIPTORS_LEFT));
        let possible = Self {
            connections: left.max(CONNECTIONS_MIN),
            why: "the system allows this program no more open files (ulimit -n)",
        };
        if possible.connections < wanted.connections {
            possible
        } else {
            wanted
        }
    }
}

/// The number of descriptors that this process may have, and that it has.
fn descriptors() -> Option<(usize, usize)> {
    let (allowed, _) = rlimit::getrlimit(rlimit::Resource::NOFILE).ok()?;
    let open = fs::read_dir("/dev/fd").ok()?.count();
    Some((usize::try_from(allowed).unwrap_or(usize::MAX), open))
}

/// The worker that gets the next connection, by the load of each.
fn worker_for(open: &[usize]) -> usize {
    if open[0] < FIRST_WORKER_CONNECTIONS {
        return 0;
    }
    let fewest = (0..open.len()).min_by_key(|&worker| open[worker]);
    fewest.unwrap_or(0)
}

fn open_reserve() -> Option<File> {
    File::open("/dev/null").ok()
}

/// Whether only this connection failed. Otherwise the system lacks resources (descriptors, memory),
/// and an immediate retry would only burn time.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_to_the_log() {
        let wanted = 100 + SPARE_CONNECTIONS;
        for (descriptors, expected) in [
            (None, wanted),
            (Some((usize::MAX, 40)), wanted),
            (Some((65_536, 40)), wanted),
            (Some((wanted + 40 + DESCRIPTORS_LEFT, 40)), wanted),
            (Some((wanted + 39 + DESCRIPTORS_LEFT, 40)), wanted - 1),
            (Some((128, 40)), 128 - 40 - DESCRIPTORS_LEFT),
            (Some((40, 60)), CONNECTIONS_MIN),
        ] {
            let most = Most::of(100, descriptors);
            assert_eq!(most.connections, expected, "{descriptors:?}");
            assert_eq!(most.why.contains("ulimit"), expected < wanted);
        }
        assert!(descriptors().is_some_and(|(allowed, open)| 3 < open && open < allowed));
    }

    #[test]
    fn few_have_one_worker_and_many_all_of_them() {
        let mut open = [0; 3];
        for _ in 0..FIRST_WORKER_CONNECTIONS {
            open[worker_for(&open)] += 1;
        }
        assert_eq!(open, [FIRST_WORKER_CONNECTIONS, 0, 0]);
        for _ in 0..3 * FIRST_WORKER_CONNECTIONS {
            open[worker_for(&open)] += 1;
        }
        assert!(
            open.iter().all(|&n| n > FIRST_WORKER_CONNECTIONS),
            "{open:?}"
        );
    }
}
