//! The lines between messages: days, gaps, unread messages.

use ratatui::style::Style;

use super::palette::Palette;
use crate::tui::{
    app::{
        Model,
        pane::{
            Pane,
            paging::Loading,
            scroll::LineAbove,
            timeline::{Edge, Gap},
        },
    },
    keymap::{Action, label},
    signs,
    user_text::{self, in_groups},
};

/// The text in a line, the glyph that it is drawn with, and its style.
pub fn line_above(
    model: &Model,
    palette: &Palette,
    line: LineAbove,
) -> (String, &'static str, Style) {
    let pane = model.pane();
    match line {
        LineAbove::Dropped => {
            let words = "older messages are no longer loaded".to_owned();
            (words, "─", palette.quiet)
        }
        LineAbove::Unread => (new_messages(pane.unread()), "─", palette.warn),
        LineAbove::Clock(by) => (user_text::clock_corrected(by), "─", palette.quiet),
        LineAbove::Day(day) => (model.day_in_words(day), "─", palette.quiet),
        LineAbove::Edge(edge) => {
            let (words, style) = self::edge(pane, palette, &edge);
            (words, signs::MISSING, style)
        }
    }
}

/// The text for a gap in the log, or its beginning.
fn edge(pane: &Pane, palette: &Palette, edge: &Edge) -> (String, Style) {
    let quiet = palette.quiet;
    let gap = match edge {
        Edge::Begins { removed: false } => return ("history begins here".to_owned(), quiet),
        Edge::Begins { removed: true } => {
            return ("older messages are no longer kept".to_owned(), quiet);
        }
        Edge::Gap(gap) => gap,
    };
    let count = gap.to - gap.from + 1;
    let messages = if count == 1 { "message" } else { "messages" };
    let count = in_groups(count);
    match (gap, pane.loading(gap)) {
        (
            Gap {
                loadable: false, ..
            },
            _,
        ) => {
            let words = format!("{count} {messages} no longer kept");
            (words, palette.warn)
        }
        (Gap { leading: true, .. }, Loading::Asked) => {
            ("loading older messages …".to_owned(), quiet)
        }
        (_, Loading::Asked) => (format!("loading {count} {messages} …"), quiet),
        (_, Loading::Failed(why)) => {
            let key = label(Action::Send);
            let words = format!("not loaded, {key} tries again: {why}");
            (words, palette.warn)
        }
        (Gap { leading: true, .. }, Loading::Not) => (format!("{count} older {messages}"), quiet),
        (_, Loading::Not) => (format!("{count} {messages} not loaded"), quiet),
    }
}

fn new_messages(count: u64) -> String {
    match count {
        0 => "new".to_owned(),
        1 => "1 new message".to_owned(),
        _ => format!("{} new messages", in_groups(count)),
    }
}
