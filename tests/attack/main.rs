//! The server under attack: the real program, attacked over real sockets by many clients, while two
//! honest members chat.
//!
//! Each attack asserts the documented behaviour: the error, or that the connection is closed in
//! time; no panic; the pair unharmed ([`pair`]); and a limit on the server's memory, beyond its use
//! at rest, by the kernel's count of its peak ([`bounds`]).

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
