//! The real programs in network namespaces: gateways, interfaces, machines without IPv6, ports that
//! another program has.
//!
//! Only root can make a namespace. None has a route out of this machine.

#![cfg(all(target_os = "linux", feature = "tui", feature = "server"))]
#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

#[path = "../families/mod.rs"]
mod families;
mod gateways;
mod listening;
mod network;
mod programs;
