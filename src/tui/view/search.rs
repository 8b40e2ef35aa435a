//! The results of a search; or, before it is started, the syntax of queries.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{
    messages::clock_text,
    paint::{Span, columns, fit, put, put_name, ruled},
    palette::Palette,
};
use crate::tui::{
    app::{
        Model,
        layers::{
            search::Search,
            search_results::{Hit, ListRow},
        },
        layout::{Columns, Layout},
    },
    signs, user_text,
};

/// The syntax of queries.
const SYNTAX: &[(&str, &str)] = &[
    ("two words", "both, in any order"),
    ("gre*", "a word that begins like this"),
    ("\"no failures\"", "these words in a row"),
    ("from:alice", "messages by alice"),
    ("after:2026-11-20", "of that day or later"),
    ("before:2026-11-20", "before that day"),
];

/// Draws the list of a search.
pub fn draw(
    model: &Model,
    search: &Search,
    palette: &Palette,
    layout: &Layout,
    buffer: &mut Buffer,
) {
    let area = layout.messages;
    let (rows, chosen) = search.rows(&model.zone, &layout.columns, area.height);
    if rows.is_empty() {
        return syntax(model, palette, area, buffer);
    }
    let painter = SearchPainter {
        area,
        columns: layout.columns,
        palette,
        model,
        search,
    };
    for (y, (at, row)) in (0..area.height).zip(rows.iter().enumerate().skip(search.top)) {
        painter.row(buffer, y, row, chosen.contains(&at));
    }
}

fn syntax(model: &Model, palette: &Palette, area: Rect, buffer: &mut Buffer) {
    let margin = u16::from(area.width >= 32);
    let row = |y: u16| Span::row(area, y).after(margin).before(margin);
    let title = format!("Search {}", model.room_title());
    let mut y = 0;
    if area.height > 3 {
        put(buffer, row(0), &fit(&title, area.width), palette.strong);
        y = 1;
    }
    let widest = SYNTAX.iter().map(|(words, _)| columns(words)).max();
    let beside = widest.unwrap_or(0) + 2;
    for (words, meaning) in SYNTAX {
        if y >= area.height {
            break;
        }
        put(buffer, row(y), &fit(words, row(y).width), Style::new());
        let span = row(y).after(beside);
        if columns(meaning) <= span.width {
            put(buffer, span, meaning, palette.quiet);
        }
        y += 1;
    }
}

struct SearchPainter<'a> {
    area: Rect,
    columns: Columns,
    palette: &'a Palette,
    model: &'a Model,
    search: &'a Search,
}

impl SearchPainter<'_> {
    fn row(&self, buffer: &mut Buffer, y: u16, row: &ListRow, chosen: bool) {
        let palette = self.palette;
        let margin = u16::from(self.columns.nickname > 0);
        let whole = Span::row(self.area, y).after(margin).before(margin);
        match row {
            ListRow::Day(day) => {
                let words = self.model.day_in_words(*day);
                ruled(buffer, whole, &words, "─", palette.line, palette.quiet);
            }
            ListRow::Note(words) => {
                put(buffer, whole, words, palette.quiet);
            }
            ListRow::Head(hit) => {
                let Some(hit) = self.search.hits.get(*hit) else {
                    return;
                };
                if chosen {
                    put(buffer, whole, "›", palette.accent);
                }
                let mut span = whole.after(2);
                let time = clock_text(hit.time, &self.model.zone);
                span = span.after(put(buffer, span, &time, palette.quiet) + 1);
                let mark = user_text::badge_in_text(hit.unproven, None);
                span = span.after(put(buffer, span, mark, palette.quiet));
                let style = palette.nickname(&hit.nickname.folded());
                let name = fit(hit.nickname.as_str(), span.width);
                put(buffer, span, &name, style);
            }
            ListRow::Text {
                hit,
                text,
                matches,
                first,
                more,
            } => {
                if let Some(hit) = self.search.hits.get(*hit).filter(|_| *first) {
                    self.who(buffer, y, hit, chosen);
                }
                if let Some(rule) = self.columns.rule {
                    let (glyph, style) = if chosen {
                        (signs::MARKED, palette.accent)
                    } else {
                        ("│", palette.line)
                    };
                    put(buffer, Span::of(self.area, y, rule, 1), glyph, style);
                }
                let style = |at: usize| {
                    if matches.iter().any(|found| found.contains(&at)) {
                        palette.found
                    } else {
                        Style::new()
                    }
                };
                let span = Span::of(self.area, y, self.columns.body, self.columns.body_width);
                super::paint::put_styled(buffer, span, text, style);
                if let Some(state) = self.columns.state.filter(|_| *more) {
                    put(buffer, Span::of(self.area, y, state, 1), "…", palette.quiet);
                }
            }
        }
    }

    /// Draws time and sender beside the first row of the text.
    fn who(&self, buffer: &mut Buffer, y: u16, hit: &Hit, chosen: bool) {
        let Some(rule) = self.columns.rule else {
            return;
        };
        let names = rule - 1 - self.columns.nickname;
        if self.columns.time > 0 {
            let span = Span::of(
                self.area,
                y,
                names - self.columns.time - 1,
                self.columns.time,
            );
            let time = clock_text(hit.time, &self.model.zone);
            let style = if chosen {
                self.palette.accent
            } else {
                self.palette.quiet
            };
            put(buffer, span, &time, style);
        }
        let span = Span::of(self.area, y, names, self.columns.nickname);
        let style = self.palette.nickname(&hit.nickname.folded());
        let mark = user_text::badge_in_text(hit.unproven, None);
        let mark = (mark, self.palette.quiet);
        put_name(buffer, span, mark, hit.nickname.as_str(), style);
    }
}
