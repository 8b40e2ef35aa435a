//! The server under attack: the real program, spoken to over real sockets by many who mean no good,
//! while two who do chat on.
//!
//! Each attack asserts what is promised: the error of the documents, or that the connection is
//! closed in time; no panic; the pair unharmed ([`pair`]); and a bound on the server's memory,
//! beyond what it takes at rest, by the kernel's count of its peak ([`bounds`]).

#![cfg(all(target_os = "linux", feature = "server"))]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "that is how a test fails, and tells its figures"
)]

mod bounds;
mod crowds;
mod dawdling;
mod descriptors;
mod frames;
mod garbage;
mod guesses;
mod handshakes;
mod names;
mod numbers;
mod oversize;
mod pair;
mod peer;
mod process;
mod proofs;
mod proxies;
mod records;
mod sleepers;
mod storm;
mod texts;
