//! Sockets, threads and time around the pure [`core`](super::core).
//!
//! ```text
//!            accept          a stranger's              bounded queue of requests
//!  listener -------> pool ------------> worker (1 of W) -----------------> hub
//!                            first request |  its connections, in a table    |     ^
//!                                          |  its own replica of the rooms     |     |
//!                                          ^                          append |     | committed
//!                                          |  one message a turn:            v     |
//!                                          |  news, orders                  store thread
//!                                          +--------------------------- hub
//!                                          +---- pages for slow readers ------+
//! ```
//!
//! - **One thread decides** (the hub), and serves connections too, all of them while they are a few
//!   hundred: the first worker is on it. Each further worker has a thread. Each owns its share of the connections, so
//!   nothing is locked and nothing is shared but bytes. **One thread stores**; where nothing is kept
//!   on disk, the hub's.
//! - **Strangers are apart**: one thread accepts, and on some others, the pools, they say how they talk
//!   and what they want. All of these come behind the hub and the workers
//!   when processors are short.
//! - The hub tells each worker what a turn brought by one message over a bounded queue. The worker
//!   then goes through those whom it concerns and writes to each, from its cursor, at once. A socket that
//!   takes no more says so when it does again; until then it costs nothing. Who comes and goes in a big
//!   room is told at intervals: see `throttle`.
//! - Back-pressure runs against the stream: a worker that is busy makes the hub wait; a hub whose
//!   batch is full takes no requests; a full queue of requests makes the workers stop reading;
//!   then TCP makes the senders wait. A slow *reader* is never waited for: it only falls behind.
//! - Heartbeats need no timer each: every worker looks at all its connections once a second.
//! - A thread that breaks down ends the server, which says so: whoever runs it starts it again, and
//!   clients resume ([`supervisor`](super::supervisor)). A connection that breaks down ends alone, and
//!   a page or a search that does is answered with an error.
//! - A connection's bytes go over TCP, or over a pipe within this process (`transport`), as which a
//!   session that the server itself runs comes in: by the same accept loop, so that all limits hold.
//! - For Unix: sockets are watched by their descriptors. (The client does without.)

mod accept;
mod clock;
mod conn_limit;
mod connection;
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
mod sniff;
mod sockets;
mod storage;
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
