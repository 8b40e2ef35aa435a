//! The rooms' contents that are returned on opening.

use crate::{
    client::{
        event::{Page, RestoredRoom},
        session::persist_types::PersistedRoom,
    },
    protocol::Extent,
};

/// Messages of each room that are returned on opening.
pub const RESTORED_MESSAGES_MAX: u64 = 200;

/// A room's stored position, and its contents to show before the server answers.
pub(super) type Restored = (PersistedRoom, RestoredRoom);

/// A page without messages.
pub(super) fn empty_page(extent: Extent) -> Page {
    Page {
        extent,
        from: extent.next(),
        to: extent.head,
        entries: Vec::new(),
        offline: true,
    }
}
