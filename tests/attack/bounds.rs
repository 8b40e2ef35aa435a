//! The memory that the server may use for attackers, and why: its limits, multiplied out. The
//! figures for one connection are those of the code, rounded up to the allocator's sizes.

use crate::process::MIB;

const KIB: u64 = 1024;

/// Memory for any work at all: the threads' stacks and arenas, and the pages of the program and of
/// the database that are touched for the first time.
const WORKING: u64 = 24 * MIB;

/// Unjoined connections at one time: 1,024, and 512 that are being told goodbye.
const NEWCOMERS: u64 = 1_536;
/// One connection in the middle of its handshake: rustls' state, the unsent flight (with the
/// certificate, 2 KiB), 2 KiB being read, a partial record (at most 18 KiB of a hello; an attacker
/// who sends that much can't have many), its task.
const HANDSHAKE: u64 = 24 * KIB;

/// Any number of connections that never join: 36 MiB.
pub(crate) const NEWCOMING: u64 = WORKING + NEWCOMERS * HANDSHAKE;

/// A few dozen connections, whatever they send.
pub(crate) const FEW: u64 = WORKING + 8 * MIB;

/// The workers' replicas of the one room: 1.5 MiB each.
const VIEWS: u64 = 4 * 3 * MIB / 2;
/// The answers of eight pages (64 KiB) and four log queries at one time of each worker, twice while
/// they are being made.
const PAGES: u64 = 4 * 12 * 2 * 64 * KIB;
/// A client that does not read: its unwritten answer (one, of 64 KiB), its received and unhandled
/// bytes (80 KiB), one unsent record, and one partial one (16 KiB each).
const SLEEPER: u64 = (64 + 80 + 16 + 16) * KIB;

/// This many clients that do not read.
pub(crate) const fn sleeping(count: u64) -> u64 {
    WORKING + VIEWS + PAGES + count * SLEEPER
}

/// Two comparisons of passwords at one time, 19 MiB each.
pub(crate) const PASSWORDS: u64 = FEW + 2 * 19 * MIB;

/// One user with a key: account, key, nickname and rate limits in memory, and their records in the
/// database's cache.
const KNOWN: u64 = 6 * KIB;

/// This many users who have joined once.
pub(crate) const fn known(count: u64) -> u64 {
    WORKING + VIEWS + count * KNOWN
}

/// Messages that are read.
pub(crate) const TALK: u64 = FEW + VIEWS + PAGES;
