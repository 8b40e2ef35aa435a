//! No message is lost: the real server on a real disk, killed, out of space, with a failing
//! `fsync`, and after a power cut. See `docs/TESTING.md` for the longer runs.

#![cfg(all(feature = "server", unix))]
#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod client;
mod disk;
mod kill;
mod load;
mod process;
mod rows;

#[cfg(target_os = "linux")]
mod errors;
#[cfg(target_os = "linux")]
mod power;

use std::time::Duration;

/// How long anything that must happen may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A number from the environment, for longer runs.
fn rounds(name: &str, default: u32) -> u32 {
    match std::env::var(name) {
        Ok(rounds) => rounds.parse().expect(name),
        Err(_) => default,
    }
}
