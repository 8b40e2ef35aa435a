//! How much memory the server may take for those who attack it, and why: what its limits allow,
//! multiplied out. The figures for one connection are those of the code, rounded up to what an
//! allocator makes of them.

use crate::process::MIB;

const KIB: u64 = 1024;

/// What the process takes for working at all once there is something to do: the threads' stacks
/// and arenas, the pages of the program and of the database that are touched for the first time.
const WORKING: u64 = 24 * MIB;

/// Connections that have not joined, at one time: 1,024, and 512 that are being told goodbye.
const NEWCOMERS: u64 = 1_536;
/// Of one in the middle of its handshake: rustls' state, the flight that it has not taken yet
/// (certificate and all, 2 KiB), 2 KiB being read, what is kept of a record that has come in part
/// (at most 18 KiB of a hello; an attacker who sends so much has not many of them), its task.
const HANDSHAKE: u64 = 24 * KIB;

/// However many begin to come in and do not: 36 MiB.
pub(crate) const NEWCOMING: u64 = WORKING + NEWCOMERS * HANDSHAKE;

/// A few dozen connections, whatever they say.
pub(crate) const FEW: u64 = WORKING + 8 * MIB;

/// What each of the workers keeps of the rooms for its readers: 1.5 MiB of the one room.
const VIEWS: u64 = 4 * 3 * MIB / 2;
/// The answers of eight pages (64 KiB) and four looks at one time of each worker, twice while they
/// are being made.
const PAGES: u64 = 4 * 12 * 2 * 64 * KIB;
/// Of somebody who does not read: the answer that is not written (one, of 64 KiB), what has come in
/// and waits (80 KiB), one record not sent, and one come in part (16 KiB each).
const SLEEPER: u64 = (64 + 80 + 16 + 16) * KIB;

/// So many who do not read.
pub(crate) const fn sleeping(count: u64) -> u64 {
    WORKING + VIEWS + PAGES + count * SLEEPER
}

/// Two comparisons of passwords at one time, 19 MiB each.
pub(crate) const PASSWORDS: u64 = FEW + 2 * 19 * MIB;

/// Of one who is known by a key: his account, key, nickname and measures in memory, and what is
/// noted of each in the database's cache.
const KNOWN: u64 = 6 * KIB;

/// So many who have come in once.
pub(crate) const fn known(count: u64) -> u64 {
    WORKING + VIEWS + count * KNOWN
}

/// Talk that is read.
pub(crate) const TALK: u64 = FEW + VIEWS + PAGES;
