//! The list to choose from: a box over the conversation, which is dimmed, or a view of its own.

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::{Modifier, Style},
};
use unicode_segmentation::UnicodeSegmentation;

use super::{
    paint::{Span, columns, fit, put, put_right},
    palette::Palette,
    rooms,
};
use crate::tui::{
    app::{
        layers::picker::{COMMAND, Picker, PickerAreas, PickerEntry},
        layout::Layout,
        room_list::{News, count},
    },
    signs,
};

/// The width of the list from which counts are written out, and times are shown.
const WORDS_FROM: u16 = 56;
/// The most columns of a character, less one.
const CLUSTER_MAX: u16 = 3;
/// The least columns of a remark about an entry.
const NOTE_MIN: u16 = 8;
/// The most columns of names.
const NAMES_MAX: u16 = 16;
/// The most columns of commands with their arguments.
const COMMANDS_MAX: u16 = 28;

/// Draws the list; returns the cursor's position.
pub fn draw(
    picker: &Picker,
    palette: &Palette,
    layout: &Layout,
    buffer: &mut Buffer,
) -> Option<Position> {
    let areas = picker.areas(layout);
    let behind = Rect {
        height: layout.screen.height - layout.hint.height,
        ..layout.screen
    };
    dim(behind, palette, buffer);
    clear(areas.whole, buffer);
    if areas.framed {
        frame(&areas, picker.kind.title(), palette, buffer);
    } else {
        put(
            buffer,
            Span::row(areas.title, 0).after(1),
            picker.kind.title(),
            palette.strong,
        );
    }
    let rows = picker.rows(areas.list.height);
    let table = Table::new(areas.list.width, &rows.clone().map(|(entry, _)| entry));
    for (y, (entry, chosen)) in (0..areas.list.height).zip(rows.clone()) {
        table.row(buffer, Span::row(areas.list, y), entry, chosen, palette);
    }
    if rows.count() == 0 {
        let span = Span::row(areas.list, 0).after(1);
        put(
            buffer,
            span,
            &fit(picker.nothing(), span.width),
            palette.quiet,
        );
    }
    if !areas.kinds.is_empty() {
        let signs = Span::row(areas.kinds, 0).after(1);
        kinds(picker, signs, palette, buffer);
    }
    writing(picker, areas.writing, palette, buffer)
}

/// Makes what is behind the list quiet.
fn dim(area: Rect, palette: &Palette, buffer: &mut Buffer) {
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            let cell = &mut buffer[(x, y)];
            // Lines are more quiet than that.
            if palette.line.fg == Some(cell.fg) {
                continue;
            }
            cell.modifier
                .remove(Modifier::BOLD | Modifier::REVERSED | Modifier::UNDERLINED);
            cell.set_style(palette.quiet);
        }
    }
}

/// Empties an area, and what reaches into it from the left.
fn clear(area: Rect, buffer: &mut Buffer) {
    for y in area.top()..area.bottom() {
        for before in 1..=area.left().min(CLUSTER_MAX) {
            let cell = &mut buffer[(area.left() - before, y)];
            if columns(cell.symbol()) > before {
                cell.set_symbol(" ");
            }
        }
        for x in area.left()..area.right() {
            buffer[(x, y)].reset();
        }
    }
}

/// Draws the frame with the heading in it, and the rules below and above the entries.
fn frame(areas: &PickerAreas, title: &str, palette: &Palette, buffer: &mut Buffer) {
    let area = areas.whole;
    let last = area.height - 1;
    let signs = !areas.kinds.is_empty();
    for y in 0..area.height {
        let (left, between, right) = match y {
            0 => ("┌", "─", "┐"),
            y if y == last => ("└", "─", "┘"),
            y if y == 2 || (signs && y + 3 == area.height) => ("├", "─", "┤"),
            _ => ("│", "", "│"),
        };
        let span = Span::row(area, y);
        for x in 1..area.width - 1 {
            put(buffer, span.after(x), between, palette.line);
        }
        put(buffer, span, left, palette.line);
        put(buffer, span.after(area.width - 1), right, palette.line);
    }
    let title = format!(" {title} ");
    let span = Span::row(area, 0).after(1).before(1);
    for x in 0..columns(&title).min(span.width) {
        buffer[(span.x + x, span.y)].reset();
    }
    put(buffer, span, &title, palette.strong);
}

/// Draws what is typed; returns the cursor's position.
fn writing(
    picker: &Picker,
    area: Rect,
    palette: &Palette,
    buffer: &mut Buffer,
) -> Option<Position> {
    let span = Span::row(area, 0);
    put(buffer, span.after(1), "›", palette.accent);
    let span = span.after(3).before(1);
    let text = picker.writing.text();
    let cursor = picker.writing.editor.cursor();
    // If it is too long, the part before the cursor is shown.
    let mut from = cursor;
    let mut before = 0;
    for (at, grapheme) in text[..cursor].grapheme_indices(true).rev() {
        let wide = columns(grapheme);
        if before + wide >= span.width {
            break;
        }
        (from, before) = (at, before + wide);
    }
    put(buffer, span, &text[from..], Style::new());
    if text.is_empty() {
        let words = picker.kind.placeholder();
        put(buffer, span, &fit(words, span.width), palette.quiet);
    }
    let column = (span.x + before).min(area.right().saturating_sub(1));
    (!area.is_empty()).then(|| Position::new(column, span.y))
}

/// Draws what can be typed first.
fn kinds(picker: &Picker, mut span: Span, palette: &Palette, buffer: &mut Buffer) {
    for (sigil, words) in picker.kind.signs() {
        let wide = columns(sigil) + 1 + columns(words);
        if wide > span.width {
            break;
        }
        put(buffer, span, sigil, Style::new());
        put(buffer, span.after(2), words, palette.quiet);
        span = span.after(wide + 2);
    }
}

/// The columns of the list.
struct Table {
    /// Columns of the names.
    names: u16,
    /// Columns of the counts; 0 if nothing is new.
    news: u16,
    /// Columns of the times.
    when: u16,
    /// Whether counts are written out.
    words: bool,
}

impl Table {
    fn new<'a>(width: u16, entries: &(impl Iterator<Item = &'a PickerEntry> + Clone)) -> Self {
        let words = width >= WORDS_FROM;
        let widest = |each: &dyn Fn(&PickerEntry) -> u16| entries.clone().map(each).max();
        let names = widest(&|entry| columns(&entry.name)).unwrap_or(0);
        let counts = widest(&|entry| columns(&news(entry.news, words))).unwrap_or(0);
        let when = widest(&|entry| columns(&entry.when)).unwrap_or(0);
        let commands = entries.clone().any(|entry| entry.sigil == COMMAND);
        let names_max = if commands { COMMANDS_MAX } else { NAMES_MAX };
        Self {
            names: names.min(names_max).min(width / 2),
            news: counts,
            when: if words { when } else { 0 },
            words,
        }
    }

    fn row(
        &self,
        buffer: &mut Buffer,
        span: Span,
        entry: &PickerEntry,
        chosen: bool,
        palette: &Palette,
    ) {
        if chosen {
            put(buffer, span, signs::CURRENT, palette.accent);
        }
        let (style, _, news_style) = rooms::styles(entry.news, palette);
        put(buffer, span.after(1), entry.sigil, palette.quiet);
        let span = span.after(3).before(1);
        put(buffer, span, &fit(&entry.name, self.names), style);
        let mut span = span.after(self.names + 2);
        if self.news > 0 {
            let news = news(entry.news, self.words);
            put(buffer, span, &news, news_style);
            span = span.after(self.news + 2);
        }
        if self.when > 0 {
            put_right(buffer, span, &entry.when, palette.quiet);
            span = span.before(self.when + 2);
        }
        if span.width >= NOTE_MIN {
            put(buffer, span, &fit(&entry.note, span.width), palette.quiet);
        }
    }
}

/// What is new in a room, in words if there is room for them.
fn news(news: News, words: bool) -> String {
    match news {
        News::Mentions(n) if words => format!("{} for you", count(n)),
        News::Unread(n) if words => format!("{} new", count(n)),
        News::Muted => signs::MUTED.to_owned(),
        News::Mentions(_) | News::Unread(_) | News::Nothing => news.badge(),
    }
}
