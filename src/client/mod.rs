//! The client without a user interface: connects, reconnects, and loses no message.
//!
//! - [`event`]: the events and commands of a session.
//! - [`session`] (pure): join, resume, outbox, backoff, legacy servers.
//! - [`host`] (pure): canonical spelling of a server's name.
//! - [`store`]: the state stored on this machine, and the only SQL.
//! - [`identity`]: the user's keys, in files.
//! - [`trust`]: verifies that the server is the right one.
//! - [`transport`] (async, thin): connections, names, encryption, clocks, randomness.

pub mod event;
pub mod host;
pub mod identity;
pub mod session;
pub mod store;
pub mod transport;
pub mod trust;

pub use event::{Command, Event};
pub use host::Host;
