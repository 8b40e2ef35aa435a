//! The client without a screen: how one gets in, stays in, and loses nothing.
//!
//! - [`event`]: what a user of this module hears and says.
//! - [`session`] (pure): join, resume, outbox, backoff, basic servers.
//! - [`host`] (pure): the one spelling of a server's name.
//! - [`store`]: what is kept on this machine, and the only SQL.
//! - [`identity`]: the user's keys, in files.
//! - [`trust`]: whether the server is the one that is meant.
//! - [`transport`] (async, thin): connections, names, encryption, clocks, chance.

pub mod event;
pub mod host;
pub mod identity;
pub mod session;
pub mod store;
pub mod transport;
pub mod trust;

pub use event::{Command, Event};
pub use host::Host;
