//! All keys and commands, from their tables.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{
    paint::{Span, columns, fit, put},
    palette::Palette,
};
use crate::tui::{commands, keymap};

/// Columns of the keys.
const KEYS: u16 = 34;

/// A row of the help.
enum Row {
    Heading(&'static str),
    Keys(String, &'static str),
    Nothing,
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for section in keymap::SECTIONS {
        rows.push(Row::Heading(section.title));
        rows.extend(section.bindings.iter().map(|binding| {
            let keys: Vec<String> = binding.keys.iter().map(ToString::to_string).collect();
            Row::Keys(keys.join("  "), binding.help)
        }));
        rows.push(Row::Nothing);
    }
    rows.push(Row::Heading("Commands"));
    rows.extend(commands::COMMANDS.iter().map(|command| {
        let usage = format!("/{} {}", command.name, command.argument);
        Row::Keys(usage.trim_end().to_owned(), command.help)
    }));
    rows.push(Row::Keys("q!".to_owned(), "disconnect, from anywhere"));
    rows
}

/// Draws the help from a row on, as far down as it goes.
pub fn draw(top: u16, palette: &Palette, area: Rect, buffer: &mut Buffer) {
    let rows = rows();
    let height = usize::from(area.height);
    let first = usize::from(top).min(rows.len().saturating_sub(height));
    let margin = u16::from(area.width >= 32);
    let longest = rows
        .iter()
        .map(|row| match row {
            Row::Keys(keys, _) => columns(keys),
            _ => 0,
        })
        .max()
        .unwrap_or(0);
    let keys_width = longest.min(KEYS).min(area.width / 2);
    for (at, row) in (0..area.height).zip(rows.iter().skip(first)) {
        let span = Span::row(area, at).after(margin).before(margin);
        match row {
            Row::Heading(words) => {
                put(buffer, span, words, palette.strong);
            }
            Row::Keys(keys, help) => {
                put(buffer, span, &fit(keys, keys_width), palette.accent);
                let rest = span.after(keys_width + 2);
                put(buffer, rest, &fit(help, rest.width), Style::new());
            }
            Row::Nothing => {}
        }
    }
}
