//! A server's settings, as the program or another host of the server fills them in.

use std::{num::NonZeroUsize, path::PathBuf, thread::available_parallelism};

use super::{
    core::{
        access::Access,
        hub::{Keep, RoomSettings},
        rate_limit::{Limits, Rate},
        replica::ReplicaLimits,
    },
    event_log::EventLog,
    keys::Keys,
    log::MemoryLimits,
    network::{BindAddress, Network},
    secrets::Secrets,
    store::sqlite::Durability,
    supervisor::Supervisor,
};
use crate::protocol::RoomName;

/// The port of a server that names none.
pub const PORT_DEFAULT: u16 = 10_500;

/// For how many days accounts are kept of people who wrote, unless told otherwise.
pub const KEEP_ACCOUNTS_DAYS_DEFAULT: u64 = 365;

/// Sessions at one time, unless told otherwise.
pub const CLIENTS_MAX_DEFAULT: usize = 10_000;

/// Worker threads, and handshake threads, that there are at the most unless more are asked for.
pub(super) const THREADS_MAX: usize = 4;

/// Where the log is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Storage {
    /// In memory: gone with the server.
    #[default]
    Ephemeral,
    /// On disk.
    Disk {
        /// The data directory; `None`: `chat-server` in the XDG data directory.
        directory: Option<PathBuf>,
        /// When a message may be acknowledged.
        durability: Durability,
        /// Whether an index is kept for searches.
        index: bool,
    },
}

/// A server's settings. [`Config::default`] serves tests and tools: it keeps nothing on disk.
/// [`Args`](super::args::Args) makes one from a command line.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address; `None`: all of this machine.
    pub bind: Option<BindAddress>,
    /// The port; 0: any that is free.
    pub port: u16,
    /// Sessions at one time.
    pub clients_max: usize,
    /// The rooms; the first is the lobby.
    pub rooms: Vec<RoomSettings>,
    /// Whether texts of messages are logged.
    pub log_text: bool,
    /// Threads that serve those who are in, the hub's among them; at most 256.
    pub workers: NonZeroUsize,
    /// Threads that meet those who come.
    pub handshake_threads: NonZeroUsize,
    /// What each worker keeps of the rooms for its readers.
    pub replica: ReplicaLimits,
    /// How much of each room's log is kept.
    pub keep: Keep,
    /// Who may come in.
    pub access: Access,
    /// Whether the owners so far become members.
    pub new_owner: bool,
    /// For how many days accounts and nicknames are kept of people who wrote and are not seen any more.
    pub keep_accounts_days: u64,
    /// Whether records of accounts, bans and the like that can't be read are deleted.
    pub drop_damaged: bool,
    /// How often things may be done.
    pub limits: Limits,
    /// Where the log is kept.
    pub storage: Storage,
    /// Where the key comes from that clients know the server by.
    pub keys: Keys,
    /// Who may talk without encryption.
    pub plaintext: Plaintext,
    /// Those who say whose connection it is that they pass on, by the PROXY protocol.
    pub proxies: Vec<Network>,
    /// How many connections one address may have.
    pub per_site: PerSiteLimits,
    /// Where what lets people in comes from.
    pub secrets: Secrets,
    /// What the log holds if it is in memory.
    pub memory: MemoryLimits,
    /// Where records go.
    pub recorder: EventLog,
    /// What starts the threads.
    pub supervisor: Supervisor,
}

/// So many threads, within what is sensible.
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
            // One is left to the commits, the index, those who come, and whoever else is on the machine.
            // Measured on two, with the reading end on them too (docs/PERFORMANCE.md): with a second
            // worker a delivery to a room of 10,000 took 0.08 µs of processor time in place of 0.05.
            workers: threads(processors - 1),
            handshake_threads: threads(processors),
            replica: ReplicaLimits::default(),
            keep: Keep::default(),
            access: Access::default(),
            new_owner: false,
            drop_damaged: false,
            keep_accounts_days: KEEP_ACCOUNTS_DAYS_DEFAULT,
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

/// Who may talk to the server without encryption. The others are told that it wants some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plaintext {
    /// Nobody.
    Nobody,
    /// Programs on this machine: nobody else can listen to them.
    #[default]
    Loopback,
    /// Everybody.
    Everybody,
}

/// What one site may. [`PerSiteLimits::default`]: as much as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerSiteLimits {
    /// Connections at one time.
    pub connections: Option<usize>,
    /// How often it may make one.
    pub rate: Option<Rate>,
}
