//! Writes inert text into cells, one grapheme cluster at a time, never past an edge.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};
use unicode_segmentation::UnicodeSegmentation;

use crate::text::{grapheme_width, width, wrap::Row};

/// A part of a row to write into.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Its first column.
    pub x: u16,
    /// Its row.
    pub y: u16,
    /// Its columns.
    pub width: u16,
}

impl Span {
    /// A part of a row of an area: from a column of it, up to this many columns.
    pub fn of(area: Rect, row: u16, from: u16, width: u16) -> Self {
        let from = from.min(area.width);
        Self {
            x: area.x + from,
            y: area.y + row,
            width: if row < area.height {
                width.min(area.width - from)
            } else {
                0
            },
        }
    }

    /// A whole row of an area.
    pub fn row(area: Rect, row: u16) -> Self {
        Self::of(area, row, 0, area.width)
    }

    /// The span without its first columns.
    #[must_use]
    pub fn after(self, columns: u16) -> Self {
        let columns = columns.min(self.width);
        Self {
            x: self.x + columns,
            width: self.width - columns,
            ..self
        }
    }

    /// The span without its last columns.
    #[must_use]
    pub fn before(self, columns: u16) -> Self {
        Self {
            width: self.width.saturating_sub(columns),
            ..self
        }
    }
}

/// Writes a text of one line; returns its columns. Text that does not fit is cut.
pub fn put(buffer: &mut Buffer, span: Span, text: &str, style: Style) -> u16 {
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        let width = u16::try_from(grapheme_width(grapheme)).unwrap_or(0);
        if used + width > span.width {
            break;
        }
        used += put_cluster(buffer, span.after(used), grapheme, width, style);
    }
    used
}

/// Writes a text of one line, each cluster in the style for its byte.
pub fn put_styled(buffer: &mut Buffer, span: Span, text: &str, style: impl Fn(usize) -> Style) {
    let mut used = 0;
    for (at, grapheme) in text.grapheme_indices(true) {
        let width = u16::try_from(grapheme_width(grapheme)).unwrap_or(0);
        used += put_cluster(buffer, span.after(used), grapheme, width, style(at));
    }
}

/// Writes one cluster of a known width if it fits; returns its columns.
pub fn put_cluster(buffer: &mut Buffer, span: Span, text: &str, width: u16, style: Style) -> u16 {
    if width == 0 || width > span.width {
        return 0;
    }
    buffer.set_stringn(span.x, span.y, text, usize::from(width), style);
    width
}

/// Writes a row of a wrapped text, each cluster in the style for its byte.
pub fn put_row(
    buffer: &mut Buffer,
    span: Span,
    text: &str,
    row: &Row,
    style: impl Fn(usize) -> Style,
) {
    let mut used = 0;
    for drawn in row.drawn(text) {
        let width = u16::try_from(drawn.width).unwrap_or(0);
        used += put_cluster(
            buffer,
            span.after(used),
            drawn.text,
            width,
            style(drawn.start),
        );
    }
}

/// Writes a text at the right end; cuts it with `…` if it does not fit.
pub fn put_right(buffer: &mut Buffer, span: Span, text: &str, style: Style) {
    let text = fit(text, span.width);
    let indent = span.width.saturating_sub(columns(&text));
    put(buffer, span.after(indent), &text, style);
}

/// Writes a name at the right end, with its sign.
pub fn put_name(buffer: &mut Buffer, span: Span, mark: (&str, Style), name: &str, style: Style) {
    let name = fit(name, span.width.saturating_sub(columns(mark.0)));
    let free = span.width.saturating_sub(columns(mark.0) + columns(&name));
    put(buffer, span.after(free), mark.0, mark.1);
    put_right(buffer, span, &name, style);
}

/// The text, cut with `…` if it is wider than the columns.
pub fn fit(text: &str, width: u16) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut used = 1;
    for grapheme in text.graphemes(true) {
        used += columns(grapheme);
        if used > width {
            break;
        }
        cut.push_str(grapheme);
    }
    if width > 0 {
        cut.push('…');
    }
    cut
}

/// The width of a text in columns.
pub fn columns(text: &str) -> u16 {
    u16::try_from(width(text)).unwrap_or(u16::MAX)
}

/// Draws a line with a text in its middle.
pub fn ruled(buffer: &mut Buffer, span: Span, words: &str, glyph: &str, line: Style, style: Style) {
    let words = fit(words, span.width.saturating_sub(4));
    for x in 0..span.width {
        put(buffer, span.after(x), glyph, line);
    }
    if words.is_empty() {
        return;
    }
    let words = format!(" {words} ");
    let indent = (span.width.saturating_sub(columns(&words))) / 2;
    put(buffer, span.after(indent), &words, style);
}
