//! Sockets, threads and time around the pure [`core`](super::core).
//!
//! ```text
//!            accept        one handshake               bounded queue of requests
//!  listener -------> pool ---------------> worker (1 of W) ----------------> hub
//!                          first request     |  its connections, in a table  |     ^
//!                                            |  its own replica of the rooms |     |
//!                                            ^                        append |     | committed
//!                                            |  one message a turn:          v     |
//!                                            |  events, commands            store thread
//!                                            +------------------------- hub   |
//!                                            +---- pages for slow readers ----+
//! ```
//!
//! - **One thread decides** (the hub). It also runs the first worker, which serves all connections
//!   while they are a few hundred. Each further worker has a thread and owns its share of the
//!   connections, so nothing is locked and only bytes are shared. **One thread stores**; without a
//!   disk store, the hub's.
//! - **Handshakes are apart**: one thread accepts, and the handshake pools have some others. All of
//!   these have a lower priority than the hub and the workers.
//! - The hub sends each worker one message a turn over a bounded queue. The worker then goes
//!   through the connections concerned and writes to each at once, from its cursor. A socket that
//!   takes no more costs nothing until it is writable again. In a big room joins and leaves are
//!   sent at intervals: see `presence_throttle`.
//! - Back-pressure runs against the stream: a busy worker makes the hub wait; a hub whose batch is
//!   full takes no requests; a full queue of requests makes the workers stop reading; then TCP
//!   makes the senders wait. A slow *reader* is never waited for: it only falls behind.
//! - Heartbeats need no timer each: every worker checks all its connections once a second.
//! - A thread that panics ends the server with an error; a service manager restarts it, and clients
//!   resume ([`supervisor`](super::supervisor)). A connection that panics ends alone, and a page or
//!   a search that does is answered with an error.
//! - A connection's bytes go over TCP, or over a pipe within this process (`transport`) for a
//!   session that the server itself runs. Both go through the same accept loop, so that all limits
//!   hold.
//! - For Unix: sockets are watched by their descriptors. (The client runs without.)

mod accept;
mod clock;
mod conn_limit;
mod connection;
pub(in crate::server) mod control;
mod damage;
mod error;
mod gateway;
mod handshake;
mod hub;
mod hub_sender;
mod listener;
mod messages;
mod passwords;
mod presence_throttle;
mod proxy;
mod readers;
mod reload;
mod service;
mod sniff;
mod sockets;
mod store_threads;
mod stream;
mod tls;
mod transport;
mod unjoined;
mod worker;

use self::clock::{Clock, random, until};
pub(in crate::server) use accept::SPARE_CONNECTIONS;
pub use error::{RunError, StartError};
pub use hub::{Bound, bind};
pub use listener::BindError;
pub use reload::Reload;
pub use tls::Credentials;
