//! The modes: what is measured.

pub(crate) mod costs;
pub(crate) mod edge;
pub(crate) mod fanout;
pub(crate) mod idle;
pub(crate) mod latency;
pub(crate) mod resume;
pub(crate) mod storm;

use std::time::Duration;

use crate::{client::Way, tls};

/// Time before a measurement.
const WARM_UP: Duration = Duration::from_secs(1);
/// Clients that join at one time, unless the crowd is measured.
const AT_ONCE: usize = 256;
/// Descriptors for everything but clients.
const BESIDES: u64 = 200;

fn way(encrypted: bool) -> Way {
    if encrypted {
        Way::Secure(tls::config())
    } else {
        Way::Plain
    }
}

/// Returns the wanted number of clients, or as many as a process may have.
pub(crate) fn most(clients: usize) -> usize {
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let most = usize::try_from(limit.saturating_sub(BESIDES)).unwrap_or(usize::MAX);
    if clients > most {
        println!("  {limit} descriptors: {most} clients, not {clients}");
    }
    clients.min(most)
}
