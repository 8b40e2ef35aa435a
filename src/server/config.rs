//! The settings of a server, as set by the program or another host.

use std::{num::NonZeroUsize, path::PathBuf, thread::available_parallelism};

use super::{
    core::{
        access::{Access, RoomMakers},
        hub::Keep,
        rate_limit::{Limits, Rate},
        replica::ReplicaLimits,
        rooms::RoomSettings,
    },
    event_log::EventLog,
    keys::Keys,
    log::MemoryLimits,
    network::{BindAddress, Network},
    secrets::Secrets,
    store::sqlite::{Compact, Durability},
    supervisor::Supervisor,
};
use crate::protocol::RoomName;

/// The default port.
pub const PORT_DEFAULT: u16 = 10_500;

/// Days for which accounts of people who wrote are kept, by default.
pub const KEEP_ACCOUNTS_DAYS_DEFAULT: u64 = 365;

/// Sessions at one time, by default.
pub const CLIENTS_MAX_DEFAULT: usize = 10_000;

/// The most worker threads, and handshake threads, by default.
pub(super) const THREADS_MAX: usize = 4;

/// Where the log is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Storage {
    /// In memory: lost when the server stops.
    #[default]
    Ephemeral,
    /// On disk.
    Disk {
        /// The data directory; `None`: `chat-server` in the XDG data directory.
        directory: Option<PathBuf>,
        /// When a message may be acknowledged.
        durability: Durability,
        /// Whether to keep an index for searches.
        index: bool,
        /// When the log may be compacted.
        compact: Compact,
    },
}

/// A server's settings. [`Config::default`] is for tests and tools: it keeps nothing on disk.
/// [`Args`](super::args::Args) makes one from a command line.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address; `None`: all of this machine's.
    pub bind: Option<BindAddress>,
    /// The port; 0: any free one.
    pub port: u16,
    /// Sessions at one time.
    pub clients_max: usize,
    /// The rooms; the first is the lobby.
    pub rooms: Vec<RoomSettings>,
    /// Whether to log the texts of messages.
    pub log_text: bool,
    /// Threads that serve joined clients, including the hub's; at most 256.
    pub workers: NonZeroUsize,
    /// Threads for handshakes.
    pub handshake_threads: NonZeroUsize,
    /// How much of each room a worker keeps for its readers.
    pub replica: ReplicaLimits,
    /// How much of each room's log is kept.
    pub keep: Keep,
    /// Who may join.
    pub access: Access,
    /// Whether to demote the current owners to members and show a code for a new one.
    pub new_owner: bool,
    /// Days for which accounts and nicknames of people who wrote are kept while they are away.
    pub keep_accounts_days: u64,
    /// Who may make rooms.
    pub room_makers: RoomMakers,
    /// Whether to delete damaged records of accounts, bans and the like.
    pub drop_damaged: bool,
    /// Rate limits.
    pub limits: Limits,
    /// Where the log is kept.
    pub storage: Storage,
    /// The source of the key by which clients recognize the server.
    pub keys: Keys,
    /// Who may connect without encryption.
    pub plaintext: Plaintext,
    /// Proxies that tell the client's address by the PROXY protocol.
    pub proxies: Vec<Network>,
    /// Limits on connections for each address.
    pub per_site: PerSiteLimits,
    /// The source of the invite key and the password.
    pub secrets: Secrets,
    /// Limits of a log in memory.
    pub memory: MemoryLimits,
    /// The server's event log.
    pub recorder: EventLog,
    /// Starts and watches the threads.
    pub supervisor: Supervisor,
}

/// This number of threads, within sensible limits.
pub(super) fn threads(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count.min(THREADS_MAX)).unwrap_or(NonZeroUsize::MIN)
}

impl Default for Config {
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            bind: None,
            port: PORT_DEFAULT,
            clients_max: CLIENTS_MAX_DEFAULT,
            rooms: vec![RoomSettings {
                name: RoomName::lobby(),
                topic: None,
            }],
            log_text: false,
            // One processor is left to commits, the index, handshakes and other programs. Measured
            // on two, with the reading end on them too (docs/PERFORMANCE.md): with a second worker
            // a delivery to a room of 10,000 took 0.08 µs of processor time instead of 0.05.
            workers: threads(processors - 1),
            handshake_threads: threads(processors),
            replica: ReplicaLimits::default(),
            keep: Keep::default(),
            access: Access::default(),
            new_owner: false,
            drop_damaged: false,
            keep_accounts_days: KEEP_ACCOUNTS_DAYS_DEFAULT,
            room_makers: RoomMakers::default(),
            limits: Limits::NONE,
            storage: Storage::default(),
            keys: Keys::default(),
            plaintext: Plaintext::default(),
            proxies: Vec::new(),
            per_site: PerSiteLimits::default(),
            secrets: Secrets::default(),
            memory: MemoryLimits::default(),
            recorder: EventLog::none(),
            supervisor: Supervisor::default(),
        }
    }
}

/// Who may connect without encryption. Others get an error that asks for TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plaintext {
    /// Nobody.
    Nobody,
    /// Programs on this machine, since no other machine can listen to them.
    #[default]
    Loopback,
    /// Everybody.
    Everybody,
}

/// Limits for one site. [`PerSiteLimits::default`]: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerSiteLimits {
    /// Connections at one time.
    pub connections: Option<usize>,
    /// The rate of new connections.
    pub rate: Option<Rate>,
}
