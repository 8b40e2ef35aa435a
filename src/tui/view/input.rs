//! The input box, the rule above it, and the status above that.

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::Style,
};

use super::{
    paint::{Span, columns, put, put_row},
    palette::Palette,
};
use crate::{
    client::event::ConnectionStatus,
    protocol::Role,
    text::wrap::wrap,
    tui::{
        app::{Model, layers::Body, layout, layout::Layout, pane::Scroll},
        keymap::{Action, label},
        signs,
        user_text::{in_groups, seconds},
    },
};

/// Draws the status.
pub fn status(model: &Model, palette: &Palette, area: Rect, buffer: &mut Buffer) {
    let Some(words) = model.status() else {
        return;
    };
    let (left, right) = layout::input_margins(area.width);
    let (glyph, style) = match &model.server.connection {
        _ if model.leaving_since.is_some() => (signs::ABSENT, palette.quiet),
        _ if model.layers.dialog().is_none() && !model.remark_fits() => ("!", palette.warn),
        _ if model.active_prompt().is_some() => ("?", palette.warn),
        _ if model.layers.asks() => ("?", palette.warn),
        ConnectionStatus::Waiting { .. } | ConnectionStatus::Stopped { .. } => {
            (signs::FAILED, palette.bad)
        }
        _ => (signs::WAITING, palette.warn),
    };
    let rows = wrap(&words, usize::from(layout::input_columns(area.width)));
    for (row, found) in (0..area.height).zip(&rows) {
        let span = Span::row(area, row);
        if row == 0 && left > 0 {
            put(buffer, span.after(left - 2), glyph, style);
        }
        put_row(
            buffer,
            span.after(left).before(right),
            &words,
            found,
            |_| style,
        );
    }
}

/// Draws the rule above the input, and in it the number of messages out of sight.
pub fn rule(model: &Model, palette: &Palette, layout: &Layout, buffer: &mut Buffer) {
    let words = out_of_sight(model, layout);
    let area = if layout.rule.is_empty() {
        // Without a rule, the text is in the last row of the conversation.
        let row = layout.messages.height.saturating_sub(1);
        // A list of hits needs every row.
        if row == 0 || words.is_none() || model.listing().is_some() {
            return;
        }
        let area = Rect {
            y: layout.messages.y + row,
            height: 1,
            ..layout.messages
        };
        for x in 0..area.width {
            put(buffer, Span::of(area, 0, x, 1), "─", palette.line);
        }
        area
    } else {
        let shown = !matches!(model.layers.body(), Body::Help(_));
        let meets = shown && layout.messages.bottom() == layout.rule.y;
        for x in 0..layout.rule.width {
            let glyph = if meets && layout.rules().any(|rule| rule == x) {
                "┴"
            } else {
                "─"
            };
            put(buffer, Span::of(layout.rule, 0, x, 1), glyph, palette.line);
        }
        Rect {
            x: layout.messages.x,
            width: layout.messages.width,
            ..layout.rule
        }
    };
    if let Some(words) = words {
        let words = format!(" {words} ");
        let margin = layout::input_margins(area.width).1;
        let span = Span::row(area, 0).before(margin);
        let indent = span.width.saturating_sub(columns(&words));
        let style = if model.listing().is_some() {
            palette.quiet
        } else {
            palette.warn
        };
        put(buffer, span.after(indent), &words, style);
    }
}

/// The messages out of sight: new ones below the screen, or unread ones above it.
fn out_of_sight(model: &Model, layout: &Layout) -> Option<String> {
    let pane = model.pane();
    if matches!(model.layers.body(), Body::Help(_)) {
        return None;
    }
    if let Some(search) = model.listing() {
        return search.in_brief();
    }
    if pane.paging.goal.is_some() {
        return Some("loading …".to_owned());
    }
    if let Scroll::At { .. } = pane.scroll {
        // The key without a modifier, if it works now, as it does while nothing is typed.
        let key = if model.writing().is_empty() {
            label(Action::EndOfLine)
        } else {
            label(Action::End)
        };
        return Some(match pane.new_below() {
            0 => format!("more below · {key}"),
            n => format!("{} new below · {key}", in_groups(n)),
        });
    }
    match pane.unread_above(&layout.columns, layout.messages.height) {
        0 => None,
        n => Some(format!("{n} new above · {}", label(Action::Unread))),
    }
}

fn either(words: &[&str]) -> Vec<String> {
    words.iter().map(|words| (*words).to_owned()).collect()
}

/// The placeholder of a pane's empty input box, from long to short.
fn invitation(model: &Model) -> Vec<String> {
    if !model.server.online() {
        return either(&[
            "type a message; it is sent once connected",
            "type a message",
        ]);
    }
    let rules = &model.pane().info.rules;
    let held = model.server.role < Role::Moderator;
    if rules.announce && held {
        return either(&["only moderators can write here", "only moderators"]);
    }
    let mut words = either(&["type a message"]);
    if rules.slow_seconds > 0 && held {
        let every = seconds(rules.slow_seconds);
        words.insert(0, format!("type a message; one every {every}"));
        words.insert(1, format!("one every {every}"));
    }
    words
}

/// Draws the input box; returns the cursor's position.
pub fn draw(model: &Model, palette: &Palette, area: Rect, buffer: &mut Buffer) -> Option<Position> {
    if area.is_empty() {
        return None;
    }
    let (left, right) = layout::input_margins(area.width);
    let input = model.layers.input();
    if left > 0 {
        let span = Span::row(area, 0).after(left - 2);
        let sign = input.map_or("›", |input| input.sign);
        put(buffer, span, sign, palette.accent);
    }
    let writing = model.writing();
    let masked = input.filter(|input| input.masked);
    let masked = masked.map(|input| input.composer.masked());
    let editor = masked.as_ref().unwrap_or(&writing.editor);
    let layout = editor.layout(usize::from(layout::input_columns(area.width)));
    let text_area = |row: u16| Span::row(area, row).after(left).before(right);
    if writing.is_empty() {
        let words = match input {
            Some(input) => either(input.placeholder),
            None => invitation(model),
        };
        let span = text_area(0);
        let fits = |words: &&String| columns(words) <= span.width;
        let words = words.iter().find(fits).map_or("", String::as_str);
        put(buffer, span, words, palette.quiet);
    }
    let window = layout.window(usize::from(area.height));
    for (row, found) in (0..area.height).zip(&layout.rows[window.clone()]) {
        put_row(buffer, text_area(row), editor.text(), found, |_| {
            Style::new()
        });
    }
    let row = layout.cursor_row.saturating_sub(window.start);
    let row = u16::try_from(row).unwrap_or(0).min(area.height - 1);
    let column = u16::try_from(layout.cursor_column).unwrap_or(0);
    let column = (left + column).min(area.width - 1);
    model
        .layers
        .dialog()
        .is_none()
        .then(|| Position::new(area.x + column, area.y + row))
}
