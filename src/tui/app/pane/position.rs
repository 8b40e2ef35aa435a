//! The part of the scrollback that a pane shows.

use super::timeline::TimelineKey;
use crate::client::event::LocalId;

/// What part of the scrollback is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scroll {
    /// The end, whatever arrives.
    Follow,
    /// A place.
    At {
        /// The item that stays where it is, whatever comes above or below it.
        item: ScrollItemKey,
        /// The row of the screen on which its text begins; negative above the top.
        row: i64,
        /// Entries from this key on have come since the reader left the end.
        read_to: TimelineKey,
    },
}

/// A thing in the scrollback, whatever its position has become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScrollItemKey {
    /// An entry of the timeline.
    Timeline(TimelineKey),
    /// A message on its way.
    Outgoing(LocalId),
}
