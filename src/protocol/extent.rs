//! The range of numbers that a room's log holds.

use std::ops::Range;

/// The range of numbers that a room's log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The lowest number still held; `head` + 1 if none is.
    pub first: u64,
    /// The highest number ever given; 0 in a room that never had a message.
    pub head: u64,
}

impl Default for Extent {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Extent {
    /// The extent of a room that never had a message.
    pub const EMPTY: Self = Self::new(1, 0);

    /// The numbers from `first` to `head`, both included.
    pub const fn new(first: u64, head: u64) -> Self {
        Self { first, head }
    }

    /// The number that the next message gets.
    pub const fn next(self) -> u64 {
        self.head + 1
    }

    /// The numbers still held.
    pub const fn numbers(self) -> Range<u64> {
        self.first..self.next()
    }

    /// Whether no message is held.
    pub const fn is_empty(self) -> bool {
        self.first > self.head
    }

    /// How many messages are held.
    pub const fn len(self) -> u64 {
        self.next().saturating_sub(self.first)
    }

    /// The lowest number of the latest `count` messages, as far as they are held; `head` + 1 if
    /// none is.
    pub fn latest(self, count: u64) -> u64 {
        self.next().saturating_sub(count).max(self.first)
    }

    /// The same range, with a head of at least `seq`.
    #[must_use]
    pub fn raised_to(self, seq: u64) -> Self {
        Self::new(self.first, self.head.max(seq))
    }

    /// The lowest and highest number held among those `from` to `to`.
    pub fn clamp(self, from: u64, to: u64) -> (u64, u64) {
        (from.max(self.first), to.min(self.head))
    }
}
