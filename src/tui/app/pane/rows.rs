//! How many rows a text takes, and how many of them are shown.

use std::cell::Cell;

/// Rows of a text at a width, remembered for the last width asked, so that scrolling does not wrap
/// again what it passes.
#[derive(Clone, Debug, Default)]
pub struct Rows(Cell<(u16, u32)>);

impl Rows {
    /// The rows at a width; at least one.
    pub fn at(&self, width: u16, count: impl FnOnce() -> usize) -> u32 {
        let (known_width, known) = self.0.get();
        if known_width == width && known > 0 {
            return known;
        }
        let rows = u32::try_from(count()).unwrap_or(u32::MAX).max(1);
        self.0.set((width, rows));
        rows
    }

    /// The text is another.
    pub fn forget(&self) {
        self.0.set((0, 0));
    }
}

/// What is remembered of a text is no part of it.
impl PartialEq for Rows {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Rows {}

/// From which length on a message is folded, and to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Folding {
    /// A text of more rows is folded.
    from: u32,
    /// The rows of it that are shown then.
    to: u32,
}

/// A text of which only the first rows are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Folded {
    /// The rows that are shown.
    pub shown: u32,
    /// The rows that are not; a row below the others tells how many.
    pub hidden: u32,
}

impl Folding {
    /// A text that is longer than the screen is cut to about half of it, but never to a few rows:
    /// it could not be told from others then. It goes by the screen's height and not by what is
    /// left for the messages, which changes while one writes.
    pub fn new(height: u16) -> Self {
        let height = u32::from(height);
        Self {
            from: height.max(20),
            to: (height / 2).max(10),
        }
    }

    /// How a text of so many rows is folded, if it is.
    pub fn of(self, rows: u32) -> Option<Folded> {
        (rows > self.from).then(|| Folded {
            shown: self.to,
            hidden: rows - self.to,
        })
    }
}

/// Nothing is folded.
impl Default for Folding {
    fn default() -> Self {
        Self {
            from: u32::MAX,
            to: u32::MAX,
        }
    }
}

impl Folded {
    /// The rows that it takes.
    pub fn rows(self) -> u32 {
        self.shown + 1
    }
}
