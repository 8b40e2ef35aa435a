//! Draws the help.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{
    paint::{Span, fit, put},
    palette::Palette,
};
use crate::tui::app::layers::help::{Column, Help, Row};

/// Draws the help from a row on.
pub fn draw(help: &Help, top: u16, palette: &Palette, area: Rect, buffer: &mut Buffer) {
    let first = usize::from(top.min(help.top_max(area.height)));
    for (at, column) in (0..).zip(&help.columns) {
        let left = help.margin + at * help.width;
        let width = help.width.saturating_sub(help.margin);
        for (y, row) in (0..area.height).zip(column.rows.iter().skip(first)) {
            let span = Span::of(area, y, left, width);
            self::row(row, column, palette, span, buffer);
        }
    }
}

fn row(row: &Row, column: &Column, palette: &Palette, span: Span, buffer: &mut Buffer) {
    match row {
        Row::Heading(words) => {
            put(buffer, span, words, palette.strong);
        }
        Row::Keys(keys, help) => {
            put(buffer, span, &fit(keys, span.width), Style::new());
            put(buffer, span.after(column.help_at), help, palette.quiet);
        }
        Row::Nothing => {}
    }
}
