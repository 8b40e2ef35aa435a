//! Admission through the real program: invites, passwords, and their effects.

#![cfg(all(unix, feature = "server"))]
#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

#[cfg(feature = "tui")]
mod both;
mod damaged;
mod entering;
#[path = "../families/mod.rs"]
mod families;
mod harness;
mod inviting;
mod passwords;
