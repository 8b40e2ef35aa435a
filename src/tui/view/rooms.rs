//! The room list, and the hot list.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
};

use super::{
    paint::{Span, columns, fit, put, put_right},
    palette::Palette,
};
use crate::tui::{
    app::{
        Model, room_actions,
        room_list::{self, BETWEEN, HotList, Line, News, RoomRow},
    },
    keymap::{Action, label},
    signs,
};

/// Draws the room list and the rule on its right.
pub fn draw(model: &Model, palette: &Palette, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    for row in 0..area.height {
        put(
            buffer,
            Span::of(area, row, area.width - 1, 1),
            "│",
            palette.line,
        );
    }
    let rows = model.rooms();
    for (y, line) in (0..area.height).zip(room_list::lines(&rows, area.height)) {
        let span = Span::row(area, y).before(2);
        match line {
            Line::Room(row) => room(row, palette, span, buffer),
            Line::More(more) => {
                let words = format!("… {more} more");
                put(buffer, span.after(1), &words, palette.quiet);
            }
        }
    }
}

/// Draws a row of the room list.
fn room(row: &RoomRow, palette: &Palette, span: Span, buffer: &mut Buffer) {
    if row.current {
        put(buffer, span, signs::CURRENT, palette.accent);
    }
    let (name_style, badge, badge_style) = styles(row.news, palette);
    put(buffer, span.after(1), row.sigil(), palette.quiet);
    let mut names = span.after(3);
    for (words, style) in [
        (badge.as_str(), badge_style),
        (if row.draft { signs::DRAFT } else { "" }, palette.quiet),
    ] {
        let taken = columns(words);
        if taken > 0 {
            let at = names.width.saturating_sub(taken);
            put(buffer, names.after(at), words, style);
            names = names.before(taken + 1);
        }
    }
    put(buffer, names, &fit(&row.name, names.width), name_style);
}

/// The style of a room's name, its badge, and the badge's style: one for each meaning.
pub fn styles(news: News, palette: &Palette) -> (Style, String, Style) {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    match news {
        News::Mentions(_) => (bold, news.badge(), palette.mention),
        News::Unread(_) => (bold, news.badge(), bold),
        News::Nothing => (Style::new(), String::new(), Style::new()),
        News::Muted => (palette.quiet, signs::MUTED.to_owned(), palette.quiet),
    }
}

/// What is new in all other rooms, for a screen that has no list of them: the numbers of mentions
/// and of unread messages.
pub fn brief(model: &Model, palette: &Palette) -> Vec<(String, Style)> {
    let rows = model.rooms();
    let news = rows.iter().filter(|row| !row.current).map(|row| row.news);
    let (mut mentions, mut unread) = (0, 0);
    for news in news {
        match news {
            News::Mentions(n) => mentions += n,
            News::Unread(n) => unread += n,
            News::Nothing | News::Muted => {}
        }
    }
    [News::Mentions(mentions), News::Unread(unread)]
        .into_iter()
        .filter(|news| *news != News::Mentions(0) && *news != News::Unread(0))
        .map(|news| {
            let (_, badge, style) = styles(news, palette);
            (badge, style)
        })
        .collect()
}

/// Draws the hot list: the room on the screen, and those with something new.
pub fn draw_hot(model: &Model, palette: &Palette, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    put_right(
        buffer,
        Span::row(area, 0).before(1),
        &label(Action::GoTo),
        palette.quiet,
    );
    let span = Span::row(room_actions::hot_area(area), 0);
    let rows = model.rooms();
    let hot = HotList::new(&rows, span.width);
    for (index, room) in hot.rooms.iter().enumerate() {
        let (name, badge, badge_style) = styles(room.row.news, palette);
        let name = if room.row.current {
            palette.accent
        } else {
            name
        };
        if index > 0 {
            let between = span.after(room.from - columns(BETWEEN));
            put(buffer, between, BETWEEN, palette.quiet);
        }
        let at = span.after(room.from);
        let used = put(buffer, at, &room.row.label(), name);
        if room.row.news.is_some() {
            put(buffer, at.after(used + 1), &badge, badge_style);
        }
    }
    if let Some((more, from)) = hot.more {
        let before = from.saturating_sub(columns(BETWEEN));
        put(buffer, span.after(before), BETWEEN, palette.quiet);
        put(buffer, span.after(from), &format!("+{more}"), palette.quiet);
    }
}
