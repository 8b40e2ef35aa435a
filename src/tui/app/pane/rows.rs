//! The number of rows of a text, and how many of them are shown.

use std::cell::Cell;

/// The rows of a text at a width, cached for the last width asked, so that scrolling does not wrap
/// texts again.
#[derive(Clone, Debug, Default)]
pub struct Rows(Cell<(u16, u32)>);

impl Rows {
    /// The number of rows at a width; at least one.
    pub fn at(&self, width: u16, count: impl FnOnce() -> usize) -> u32 {
        let (known_width, known) = self.0.get();
        if known_width == width && known > 0 {
            return known;
        }
        let rows = u32::try_from(count()).unwrap_or(u32::MAX).max(1);
        self.0.set((width, rows));
        rows
    }

    /// Clears the cache: the text has changed.
    pub fn forget(&self) {
        self.0.set((0, 0));
    }
}

/// The cache is not part of a text's identity.
impl PartialEq for Rows {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Rows {}

/// The limits of folding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Folding {
    /// A text of more rows than this is folded.
    from: u32,
    /// The rows that a folded text shows.
    to: u32,
}

/// A text of which only the first rows are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Folded {
    /// The number of rows shown.
    pub shown: u32,
    /// The number of hidden rows; an extra row shows it.
    pub hidden: u32,
}

impl Folding {
    /// Folds a text that is longer than the screen to about half the screen, but never to a few
    /// rows, which could not be told from others. Depends on the screen's height, not on the height
    /// left for messages, which changes while the user types.
    pub fn new(height: u16) -> Self {
        let height = u32::from(height);
        Self {
            from: height.max(20),
            to: (height / 2).max(10),
        }
    }

    /// The folding of a text with this many rows, if it is folded.
    pub fn of(self, rows: u32) -> Option<Folded> {
        (rows > self.from).then(|| Folded {
            shown: self.to,
            hidden: rows - self.to,
        })
    }
}

/// Folds nothing.
impl Default for Folding {
    fn default() -> Self {
        Self {
            from: u32::MAX,
            to: u32::MAX,
        }
    }
}

impl Folded {
    /// The rows on the screen, with the extra one.
    pub fn rows(self) -> u32 {
        self.shown + 1
    }
}
