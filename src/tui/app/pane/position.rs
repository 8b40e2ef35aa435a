//! The scroll position of a pane.

use super::timeline::TimelineKey;
use crate::client::event::LocalId;

/// The part of the scrollback on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scroll {
    /// The end; follows new messages.
    Follow,
    /// A fixed position.
    At {
        /// The item that keeps its row when others come above or below it.
        item: ScrollItemKey,
        /// The screen row on which its text begins; negative above the top.
        row: i64,
        /// Entries from this key on came after the reader left the end.
        read_to: TimelineKey,
    },
}

/// The identity of an item in the scrollback, independent of its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScrollItemKey {
    /// An entry of the timeline.
    Timeline(TimelineKey),
    /// One of our messages that is not acknowledged.
    Outgoing(LocalId),
}
