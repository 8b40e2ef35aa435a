//! The real programs in networks of their own: gateways, interfaces, machines without IPv6, ports that
//! another program has.
//!
//! Each network is a network namespace, which only root can make: it holds no way out of this machine.

#![cfg(all(target_os = "linux", feature = "tui", feature = "server"))]
#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

#[path = "../families/mod.rs"]
mod families;
mod gateways;
mod listening;
mod network;
mod programs;
