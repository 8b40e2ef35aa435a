//! All keys and commands, from their tables.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{
    paint::{Span, columns, fit, put},
    palette::Palette,
};
use crate::tui::{commands, keymap};

/// From this width on there are two columns.
const TWO_FROM: u16 = 124;

/// A row of the help.
#[derive(Debug)]
enum Row {
    Heading(&'static str),
    Keys(String, &'static str),
    Nothing,
}

/// The help in parts that stay together: a heading and its rows.
fn parts() -> Vec<Vec<Row>> {
    let mut parts: Vec<Vec<Row>> = keymap::SECTIONS
        .iter()
        .map(|section| {
            let rows = section.bindings.iter().map(|binding| {
                let keys: Vec<String> = binding.keys.iter().map(ToString::to_string).collect();
                Row::Keys(keys.join("  "), binding.help)
            });
            std::iter::once(Row::Heading(section.title))
                .chain(rows)
                .collect()
        })
        .collect();
    let commands = commands::COMMANDS.iter().map(|command| {
        let usage = format!("/{} {}", command.name, command.argument);
        Row::Keys(usage.trim_end().to_owned(), command.help)
    });
    let quit = Row::Keys("q!".to_owned(), "disconnect, from anywhere");
    // Editing is what most know already: it comes last.
    parts.insert(
        parts.len().saturating_sub(1),
        std::iter::once(Row::Heading("Commands"))
            .chain(commands)
            .chain([quit])
            .collect(),
    );
    parts
}

/// The parts in so many columns of about the same height.
fn flow(parts: Vec<Vec<Row>>, columns: usize) -> Vec<Vec<Row>> {
    let all: usize = parts.iter().map(|part| part.len() + 1).sum();
    let mut flowed: Vec<Vec<Row>> = vec![Vec::new()];
    for part in parts {
        let done = flowed.last().map_or(0, Vec::len);
        let begin_another =
            flowed.len() < columns && done > 0 && done + part.len() / 2 > all / columns;
        if begin_another {
            flowed.push(Vec::new());
        }
        if let Some(column) = flowed.last_mut() {
            if !column.is_empty() {
                column.push(Row::Nothing);
            }
            column.extend(part);
        }
    }
    flowed
}

/// Draws the help from a row on, as far down as it goes.
pub fn draw(top: u16, palette: &Palette, area: Rect, buffer: &mut Buffer) {
    let margin = u16::from(area.width >= 32);
    let columns = if area.width >= TWO_FROM { 2 } else { 1 };
    let flowed = flow(parts(), usize::from(columns));
    let height = usize::from(area.height);
    let longest = flowed.iter().map(Vec::len).max().unwrap_or(0);
    let first = usize::from(top).min(longest.saturating_sub(height));
    let width = area.width.saturating_sub(margin) / columns;
    for (at, rows) in (0..columns).zip(&flowed) {
        let left = margin + at * width;
        for (y, row) in (0..area.height).zip(rows.iter().skip(first)) {
            let span = Span::of(area, y, left, width.saturating_sub(margin));
            self::row(row, keys_width(rows, span.width), palette, span, buffer);
        }
    }
}

/// Columns of the keys: as many as the longest need, within reason.
fn keys_width(rows: &[Row], width: u16) -> u16 {
    let keys = rows.iter().map(|row| match row {
        Row::Keys(keys, _) => columns(keys),
        Row::Heading(_) | Row::Nothing => 0,
    });
    keys.max().unwrap_or(0).min(width * 2 / 3)
}

fn row(row: &Row, keys_width: u16, palette: &Palette, span: Span, buffer: &mut Buffer) {
    match row {
        Row::Heading(words) => {
            put(buffer, span, words, palette.strong);
        }
        Row::Keys(keys, help) => {
            put(buffer, span, &fit(keys, keys_width), Style::new());
            let rest = span.after(keys_width + 2);
            put(buffer, rest, &fit(help, rest.width), palette.quiet);
        }
        Row::Nothing => {}
    }
}
