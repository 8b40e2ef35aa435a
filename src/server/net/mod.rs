//! Sockets, threads and time around the pure [`engine`](super::engine).
//!
//! ```text
//!             accept                          bounded queue of requests
//!  listener ---------> worker (1 of W) ------------------------------------> hub task
//!                        |  one small task a connection: reads, parses        |     ^
//!                        |  its own replica of the views                      |     |
//!                        ^                                             append |     | committed
//!                        |   one message a turn: news, orders                 v     |
//!                        +---------------------------------------------- hub  store thread
//!                        +---------- pages for slow readers ------------------+
//! ```
//!
//! - **One thread decides** (hub, and the accept loop beside it), **one thread stores**, and W
//!   threads serve connections: each worker is a single-threaded runtime that owns its share of
//!   the connections, so nothing is locked and nothing is shared but bytes.
//! - The hub tells each worker what a turn brought by one message over a bounded queue. The worker
//!   then goes through its connections and writes to each, from its cursor, at once. A socket that
//!   takes no more is left to its connection's own task, which waits until it does.
//! - Back-pressure runs against the stream: a worker that is busy makes the hub wait; a hub whose
//!   batch is full takes no requests; a full queue of requests makes the connections stop reading;
//!   then TCP makes the senders wait. A slow *reader* is never waited for: it only falls behind.
//! - Heartbeats need no timer each: every worker looks at all its connections once a second.

use std::time::Instant;

use jiff::Timestamp;

use super::engine::Moment;

mod accept;
mod connection;
mod gate;
mod greeting;
mod hub;
mod listener;
mod newcomers;
mod passwords;
mod proxy;
mod readers;
mod reload;
mod storage;
mod stream;
mod tls;
mod worker;

pub(in crate::server) use accept::SPARE_CONNECTIONS;
pub use gate::Caps;
pub use hub::{Bound, RunError, StartError, bind};
pub use listener::BindError;
pub use reload::Reload;
pub use tls::Credentials;

/// Reads the time for the engine.
#[derive(Clone, Copy, Debug)]
struct Clock {
    start: Instant,
}

impl Clock {
    fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    fn now(self) -> Moment {
        // What is on the wire and in the log has milliseconds: enough for people, and shorter.
        let wall = Timestamp::now();
        let wall = Timestamp::from_millisecond(wall.as_millisecond()).unwrap_or(wall);
        Moment {
            wall,
            mono: self.start.elapsed(),
        }
    }

    /// When it will be this time, for the runtime's timers.
    fn instant(self, mono: std::time::Duration) -> tokio::time::Instant {
        (self.start + mono).into()
    }
}
