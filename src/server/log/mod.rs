//! The log: every room's messages, and the outcome of every message id.
//!
//! It owns the sequence numbers (`seq`), the times of entries, each device's counter, and the
//! encoded frames. It knows nothing of connections, nicknames in use or presence.
//!
//! A [`Store`] is a plain state machine: a batch in, results out. Its caller decides where it runs
//! (a thread of its own, see [`super::net`]; or a simulation). Everything that must be in order
//! goes through [`LogWriter::append`]: messages, withdrawals, refusals that use up a counter, and
//! the opening of a device at a join. So one place enforces the rule for counters:
//!
//! - the next counter: the operation is carried out;
//! - a lower one: it was settled earlier, and the answer is its outcome then;
//! - a higher one: [`OpResult::CounterGap`]; lower ones must come first. This is also how a
//!   temporary refusal holds back the messages behind it: it uses up no counter.
//!
//! A device belongs to the user who first proved a key with it, and is opened to no other user: no
//! other client, with or without a key, can take it over or settle its counters.
//!
//! The store also keeps the core's [`StateRecord`]s, without interpreting them. They change in the
//! same batches and commits as the log, so a ban or an admission that was confirmed survives a
//! power failure.

mod batch;
#[cfg(test)]
pub(in crate::server) mod conformance;
mod memory;
pub(in crate::server) mod plan;
pub mod segment;
pub mod semantics;
mod state;
mod traits;

pub use batch::{
    Batch, CORRECTION_MIN, Committed, Counted, DeviceOwner, ERASE_MAX, KEPT_BY_BYTES, Markers,
    MessageOutcome, OpResult, Operation, Retention, Rewritten, Run, SERVER_DEVICE, SERVER_USER,
    StoreError,
};
pub use memory::{MemoryLimits, MemoryStore};
pub use segment::{Segment, SegmentBuilder};
pub use state::{STATE_KEY_BYTES_MAX, STATE_KIND_BYTES_MAX, STATE_VALUE_BYTES_MAX, StateRecord};
pub use traits::{
    Changed, ChangedSince, Found, Inbox, KnownTimes, LogReader, LogWriter, Page, Readable, Reader,
    Revised, SearchIndex, Standing, StateStore, Store, Unread,
};
