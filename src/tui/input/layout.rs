//! The rows of the text, and the cursor on them.

use std::ops::Range;

use crate::text::wrap::{Row, Spaces, wrap_with};

/// The layout of the text for a number of columns. The last column is left to the cursor (if it
/// isn't the only one), so that it has room at the end of a full row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextLayout {
    /// The rows; [`Row::drawn`] gives the visible text of one.
    pub rows: Vec<Row>,
    /// The cursor's row, counted from 0.
    pub cursor_row: usize,
    /// The cursor's column, counted from 0; less than the area's columns.
    pub cursor_column: usize,
}

impl TextLayout {
    pub(super) fn new(text: &str, cursor: usize, columns: usize) -> Self {
        let columns = columns.max(1);
        let rows = wrap_with(text, columns.saturating_sub(1).max(1), Spaces::Keep);
        let cursor_row = rows
            .iter()
            .rposition(|row| row.start <= cursor)
            .unwrap_or(0);
        let before = rows[cursor_row]
            .drawn(text)
            .take_while(|drawn| drawn.start < cursor);
        let cursor_column = before.map(|drawn| drawn.width).sum::<usize>();
        Self {
            rows,
            cursor_row,
            cursor_column: cursor_column.min(columns - 1),
        }
    }

    /// The rows to show if there is room for a number of them: those around the cursor.
    pub fn window(&self, rows_max: usize) -> Range<usize> {
        let last = self.rows.len().saturating_sub(rows_max);
        let first = self.cursor_row.saturating_sub(rows_max / 2).min(last);
        first..(first + rows_max).min(self.rows.len())
    }

    /// The position on a row that is nearest to a column, as a byte of the text.
    pub(super) fn position(&self, text: &str, row: usize, column: usize) -> usize {
        let last_row = row + 1 == self.rows.len();
        let row = &self.rows[row];
        let mut right = 0;
        let mut last = row.start;
        for drawn in row.drawn(text) {
            right += drawn.width;
            last = drawn.start;
            if column < right {
                return last;
            }
        }
        // The end of a row without white space is the start of the next.
        if last_row || row.end < row.next {
            row.end
        } else {
            last
        }
    }
}
