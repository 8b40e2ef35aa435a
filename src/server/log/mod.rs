//! The log: every room's messages, and what became of every message id.
//!
//! Owns the numbers (`seq`), the times of entries, each device's counter, and the encoded frames.
//! Knows nothing of connections, nicknames in use or who is present.
//!
//! A [`Store`] is a plain state machine: a batch in, verdicts out. Whoever runs it decides where
//! (a thread of its own, see [`super::net`]; a simulation, at a moment of its choosing). All that
//! must be in order goes through [`LogWriter::append`], in one order: messages, withdrawals, refusals
//! that use up a counter, and the opening of a device at a join. So the rule for counters is kept
//! in one place, and whoever commits decides it:
//!
//! - the counter expected next: the operation is carried out;
//! - a lower one: it was settled before, and the answer is what became of it then;
//! - a higher one: [`OpResult::CounterGap`]; the one before must come first. That is also how a refusal
//!   for the time being holds back the messages behind it: it uses up no counter.
//!
//! A device belongs to the user who first proved a key with it, and is opened to nobody else: neither
//! somebody without a key nor somebody with another user's takes it over, or settles counters of it.
//!
//! Beside the log it keeps the core's [`StateRecord`]s, which mean nothing to it. They change in the same
//! batches and commits as all else, so whoever was told that he is banned, or let in, still is after
//! a power failure.

mod batch;
#[cfg(test)]
pub(in crate::server) mod conformance;
mod memory;
mod room;
pub mod segment;
pub mod semantics;
mod state;
mod traits;

pub use batch::{
    Batch, CORRECTION_MIN, Committed, DeviceOwner, KEPT_BY_BYTES, MessageOutcome, OpResult,
    Operation, Retention, Run, StoreError,
};
pub use memory::{MemoryLimits, MemoryStore};
pub use room::RoomIndex;
pub use segment::{Segment, SegmentBuilder};
pub use state::{STATE_KEY_BYTES_MAX, STATE_KIND_BYTES_MAX, STATE_VALUE_BYTES_MAX, StateRecord};
pub use traits::{
    Extent, Found, KnownTimes, LogReader, LogWriter, Page, Reader, Rooms, SearchIndex, StateStore,
    Store,
};
