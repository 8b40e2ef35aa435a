//! Trust and identity: the real programs, over real sockets, through the line mode.

#![cfg(all(unix, feature = "tui", feature = "server"))]
#![allow(
    clippy::unwrap_used,
    reason = "a test that can't go on has failed, and says where"
)]

mod access;
mod certificates;
mod identity;
mod invites;
mod keys;
mod programs;
