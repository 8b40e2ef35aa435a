//! The member list.

use ratatui::buffer::Buffer;

use super::{
    paint::{Span, columns, fit, put},
    palette::Palette,
};
use crate::tui::{
    app::{Model, layout::Layout},
    signs,
    user_text::badge,
};

/// Draws the member list and the rule beside it, towards the conversation.
pub fn draw(model: &Model, palette: &Palette, layout: &Layout, buffer: &mut Buffer) {
    let area = layout.members;
    if area.is_empty() {
        return;
    }
    let below = layout.members_below();
    let rule = if below { area.width - 1 } else { 0 };
    for row in 0..area.height {
        put(buffer, Span::of(area, row, rule, 1), "│", palette.line);
    }
    let members = &model.pane().members;
    let (left, right) = if below { (1, 2) } else { (2, 1) };
    let row = |row: u16| Span::row(area, row).after(left).before(right);
    let heading = format!("Members {}", members.len());
    put(buffer, row(0), &heading, palette.quiet);
    let rows = usize::from(area.height.saturating_sub(1));
    let all = members.len() <= rows;
    let shown = if all {
        members.len()
    } else {
        rows.saturating_sub(1)
    };
    for (at, member) in members.iter().take(shown).enumerate() {
        let Ok(at) = u16::try_from(at + 1) else { break };
        let span = row(at);
        let current = model.server.is_current();
        let (glyph, style) = if current {
            (signs::PRESENT, palette.good)
        } else {
            // Presence is only known as of the server's last answer.
            (signs::ABSENT, palette.quiet)
        };
        put(buffer, span, glyph, style);
        let ours = Some(member.user) == model.server.user;
        let note = if ours { " you" } else { "" };
        let mut names = span.after(2);
        if let Some(mark) = badge(member.role) {
            // Badges have a column of their own, so that names and badges are each aligned.
            let edge = names.width.saturating_sub(1);
            put(buffer, names.after(edge), mark, palette.quiet);
            names = names.before(2);
        }
        let name = fit(
            member.nickname.as_str(),
            names.width.saturating_sub(columns(note)),
        );
        let style = if current {
            palette.nickname(&member.nickname.folded())
        } else {
            palette.quiet
        };
        let used = put(buffer, names, &name, style);
        put(buffer, names.after(used), note, palette.quiet);
    }
    if !all && rows > 0 {
        let more = format!("… {} more", members.len() - shown);
        put(buffer, row(area.height - 1), &more, palette.quiet);
    }
}
