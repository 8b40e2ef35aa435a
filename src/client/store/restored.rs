//! What is given of the rooms on opening.

use crate::client::{
    event::{Page, RestoredRoom},
    session::persist_types::PersistedRoom,
};

/// Messages of each room that are given on opening.
pub const RESTORED_MESSAGES_MAX: u64 = 200;

/// A room as it is kept, and as it is shown before the network answers.
pub(super) type Restored = (PersistedRoom, RestoredRoom);

/// A page without a message.
pub(super) fn empty_page(first: u64, head: u64) -> Page {
    Page {
        first,
        head,
        from: head + 1,
        to: head,
        messages: Vec::new(),
        offline: true,
    }
}
