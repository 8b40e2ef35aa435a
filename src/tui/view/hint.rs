//! The hint line: the keys that are useful now.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{
    paint::{Span, columns, put},
    palette::Palette,
};
use crate::tui::{
    app::{
        Model, admin, edit_actions,
        escape::Escape,
        keys,
        layers::{Hint, hint},
        pane::OutgoingState,
    },
    keymap::Action,
};

/// Draws as many hints as fit.
pub fn draw(model: &Model, palette: &Palette, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let margin = u16::from(area.width >= 32);
    let span = Span::row(area, 0).after(margin).before(margin);
    if let Some(words) = model.remark().filter(|_| model.remark_fits()) {
        put(buffer, span, words, palette.warn);
        return;
    }
    if let Some(completion) = &model.writing().completion {
        return options(
            &completion.options,
            completion.chosen,
            palette,
            span,
            buffer,
        );
    }
    let editing = model.layers.hints().is_none();
    if let Some(words) = edit_actions::hint(model).filter(|_| editing) {
        let fits = |words: &&String| columns(words) <= span.width;
        let words = words.iter().find(fits).map_or("", String::as_str);
        put(buffer, span, words, palette.accent);
        return;
    }
    let mut span = span;
    for (key, words) in hints(model) {
        let wide = columns(&key) + 1 + columns(words);
        if wide > span.width {
            break;
        }
        let used = put(buffer, span, &key, Style::new());
        put(buffer, span.after(used + 1), words, palette.quiet);
        span = span.after(wide + 3);
    }
}

fn hints(model: &Model) -> Vec<Hint> {
    if let Some(hints) = model.layers.hints() {
        return hints;
    }
    let mut hints = Vec::new();
    let outbox = &model.pane().outbox;
    if outbox
        .iter()
        .any(|outgoing| matches!(outgoing.state, OutgoingState::Failed(_)))
    {
        hints.push(hint(Action::SendAgain, "send again"));
        hints.push(hint(Action::TakeBack, "take back"));
    }
    if !model.server.online() {
        hints.push(hint(Action::RetryNow, "connect now"));
        if outbox
            .iter()
            .all(|outgoing| outgoing.state == OutgoingState::Pending)
            && !outbox.is_empty()
        {
            hints.push(hint(Action::TakeBack, "take back"));
        }
    }
    if admin::offers(model) {
        hints.push(hint(Action::Copy, "copy"));
    }
    if model.panes.several() {
        hints.push(hint(Action::GoTo, "go to"));
    }
    hints.push(hint(Action::Help, "help"));
    let escape = match keys::escape_means(model) {
        Escape::CloseDialog | Escape::CloseCompletion | Escape::CloseSearch => "close",
        Escape::ToResults => "back to the results",
        Escape::ToEnd => "back to the end",
        Escape::PutAside => "put aside",
        Escape::Cancel | Escape::CancelEdit => "cancel",
        Escape::Leave | Escape::Warn => "disconnect",
    };
    hints.push(hint(Action::Escape, escape));
    hints.push(hint(Action::Complete, "complete"));
    hints.push(hint(Action::NewLine, "new line"));
    hints.push(hint(Action::Search, "search"));
    hints.push(hint(Action::PageUp, "scroll"));
    hints
}

fn options(
    options: &[String],
    chosen: usize,
    palette: &Palette,
    mut span: Span,
    buffer: &mut Buffer,
) {
    // The chosen completion is always among those shown.
    let from = chosen.saturating_sub(2);
    for (at, option) in options.iter().enumerate().skip(from) {
        let word = option.trim_end_matches([' ', ':']);
        let style = if at == chosen {
            palette.accent
        } else {
            palette.quiet
        };
        let used = put(buffer, span, word, style);
        span = span.after(used + 2);
    }
}
