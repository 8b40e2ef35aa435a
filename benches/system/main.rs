//! The cost of the real server under load, over real sockets: processor time, memory, latency.
//!
//!     cargo bench --bench system                  # all modes: some ten minutes
//!     cargo bench --bench system -- fanout idle   # modes whose name contains one of these
//!     SYSTEM_SECONDS=20 SYSTEM_MEMBERS=100,1000,5000 cargo bench --bench system -- fanout-memory
//!
//! | variable | default | |
//! |---|---|---|
//! | `SYSTEM_SECONDS` | 5 | the measured time, after 1 s of warm-up |
//! | `SYSTEM_WINDOW` | 1,000 | how many messages the slowest member may be behind |
//! | `SYSTEM_MEMBERS` | 100,1000 | `fanout`: members, besides 4 publishers |
//! | `SYSTEM_POINTS` | 1,10,100,1000,10000 | `costs`: members, rooms |
//! | `SYSTEM_RATE` | 200 | `latency`, `edge`: messages in a second |
//! | `SYSTEM_CLIENTS` | 10,000 | `idle`, `resume`: clients |
//! | `SYSTEM_MANY` | 19,000 | `idle-many`: clients |
//! | `SYSTEM_STORM` | 1,000 | `storm`, `edge`: clients that join at once |
//! | `TMPDIR` | | where the server's data is: a disk, or `/dev/shm` to exclude the disk |
//!
//! Linux, loopback: both ends share the processors, and the receiving part of a send counts as the
//! sender's time. So the figures that mean most are the server's own processor time, by the
//! kernel's count in nanoseconds, for each delivery or client; the use by everything else is
//! printed beside it. A delivery is one message to one member, the sender's own echo counted.
//! "Encrypted" clients have TLS 1.3, a key each and messages with ids; plain ones have neither. The
//! generator is one thread over `epoll`; it scans the received bytes for messages, and checks that
//! each member receives all messages of each publisher, in order. A client that joins during the
//! traffic is checked from its first message on.
//!
//! The server keeps its limits, raised so far that they do not take effect; the flags are printed.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a bench prints, and stops when it can't go on"
)]

#[cfg(target_os = "linux")]
mod client;
#[cfg(target_os = "linux")]
mod figures;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod modes;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
mod span;
#[cfg(target_os = "linux")]
mod tls;

use std::{env, time::Duration};

/// Settings from the environment.
pub(crate) struct Settings {
    time: Duration,
    window: u64,
    members: Vec<usize>,
    points: Vec<usize>,
    rate: u64,
    clients: usize,
    many: usize,
    storm: usize,
}

fn setting(name: &str, otherwise: &str) -> Vec<usize> {
    let said = env::var(name).unwrap_or_else(|_| otherwise.to_owned());
    said.split(',')
        .map(|number| number.trim().parse().unwrap())
        .collect()
}

impl Settings {
    fn read() -> Self {
        let one = |name, otherwise| setting(name, otherwise)[0];
        Self {
            time: Duration::from_secs(one("SYSTEM_SECONDS", "5") as u64),
            window: one("SYSTEM_WINDOW", "1000") as u64,
            members: setting("SYSTEM_MEMBERS", "100,1000"),
            points: setting("SYSTEM_POINTS", "1,10,100,1000,10000"),
            rate: one("SYSTEM_RATE", "200") as u64,
            clients: one("SYSTEM_CLIENTS", "10000"),
            many: one("SYSTEM_MANY", "19000"),
            storm: one("SYSTEM_STORM", "1000"),
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("this reads the figures that Linux keeps");
}

#[cfg(target_os = "linux")]
fn main() {
    use modes::{costs, edge, fanout, idle, latency, resume, storm};
    use server::Log::{Disk, DiskWithoutIndex, Memory};

    type Mode = (&'static str, fn(&Settings));
    const MODES: [Mode; 22] = [
        ("fanout-memory", |settings| {
            fanout::run(settings, Memory, false);
        }),
        ("fanout-disk", |settings| fanout::run(settings, Disk, false)),
        ("fanout-no-index", |settings| {
            fanout::run(settings, DiskWithoutIndex, false);
        }),
        ("fanout-tls", |settings| fanout::run(settings, Memory, true)),
        ("costs-members-memory", |settings| {
            costs::members(settings, Memory);
        }),
        ("costs-members-disk", |settings| {
            costs::members(settings, Disk);
        }),
        ("costs-rooms-memory", |settings| {
            costs::rooms(settings, Memory);
        }),
        ("costs-rooms-disk", |settings| costs::rooms(settings, Disk)),
        ("latency-memory", |settings| {
            latency::run(settings, Memory, false);
        }),
        ("latency-disk", |settings| {
            latency::run(settings, Disk, false);
        }),
        ("latency-tls", |settings| {
            latency::run(settings, Memory, true);
        }),
        ("idle-plain", idle::plain),
        ("idle-tls", idle::encrypted),
        ("idle-many", idle::many),
        ("storm-plain", |settings| storm::run(settings, false)),
        ("storm-tls", |settings| storm::run(settings, true)),
        ("resume", resume::run),
        ("edge-deaf-memory", |settings| edge::deaf(settings, Memory)),
        ("edge-deaf-disk", |settings| edge::deaf(settings, Disk)),
        ("edge-storm-memory", |settings| {
            edge::storm(settings, Memory);
        }),
        ("edge-storm-disk", |settings| edge::storm(settings, Disk)),
        ("edge-storm-no-index", |settings| {
            edge::storm(settings, DiskWithoutIndex);
        }),
    ];

    let settings = Settings::read();
    let wanted: Vec<String> = env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    modes::most(0);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    println!(
        "{cores} cores, load {}; the server's flags: {}",
        figures::load(),
        server::LIMITS
    );
    for (name, run) in MODES {
        if wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str())) {
            println!("{name}");
            run(&settings);
        }
    }
    println!("load {}", figures::load());
}
