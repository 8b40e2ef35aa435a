//! The title bar: which room, and how the link stands, in words and a glyph.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{
    paint::{Span, columns, fit, put},
    palette::Palette,
};
use crate::{client::event::Link, tui::app::Model};

/// Draws the title bar. What matters least goes first where it is narrow: the topic, whether it
/// is encrypted, the host.
pub fn draw(model: &Model, palette: &Palette, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let margin = u16::from(area.width >= 32);
    let span = Span::row(area, 0).after(margin).before(margin);
    let room = fit(&format!("#{}", model.room().name), span.width);
    let left = put(buffer, span, &room, palette.strong);
    let mut free = span.after(left + 2);

    let (glyph, words, style) = state(model, palette);
    let security = "not encrypted";
    let state = format!("{glyph} {words}");
    // Where the list has no place, at least its length.
    let members = match model.room().members.len() {
        0 => String::new(),
        _ if !model.layout().members.is_empty() => String::new(),
        n => format!("{n} in"),
    };
    let mut parts: Vec<(&str, Style)> = vec![
        (&model.host, palette.quiet),
        (&state, style),
        (security, palette.quiet),
    ];
    let width = |parts: &[(&str, Style)]| -> u16 {
        let gaps = 2 * u16::try_from(parts.len().saturating_sub(1)).unwrap_or(0);
        parts.iter().map(|(text, _)| columns(text)).sum::<u16>() + gaps
    };
    for drop in [2, 0] {
        if width(&parts) > free.width {
            parts.remove(drop);
        }
    }
    if width(&parts) > free.width {
        parts = vec![(glyph, style)];
    }
    let taken = width(&parts);
    let words_fit = parts.len() > 1 || taken > columns(glyph);
    if words_fit && !members.is_empty() && columns(&members) + 2 + taken <= free.width {
        let used = put(buffer, free, &members, palette.quiet);
        free = free.after(used + 2);
    }
    let mut right = free.after(free.width.saturating_sub(taken));
    for (text, style) in &parts {
        let used = put(buffer, right, text, *style);
        right = right.after(used + 2);
    }
    if let Some(topic) = &model.room().topic {
        let topic_span = free.before(taken + 2);
        if topic_span.width >= 8 {
            put(
                buffer,
                topic_span,
                &fit(topic.as_str(), topic_span.width),
                palette.quiet,
            );
        }
    }
}

/// The link's state: a glyph, words and a style, each telling it without the others.
fn state(model: &Model, palette: &Palette) -> (&'static str, &'static str, Style) {
    if model.leaving_since.is_some() {
        return ("○", "leaving", palette.quiet);
    }
    if model.nickname_question.is_some() {
        return ("○", "not in", palette.warn);
    }
    match &model.link {
        Link::Online => ("●", "connected", palette.good),
        Link::Basic => ("●", "basic server", palette.warn),
        Link::Connecting => ("◌", "connecting", palette.warn),
        Link::Waiting { .. } | Link::Stopped { .. } => ("○", "offline", palette.bad),
    }
}
