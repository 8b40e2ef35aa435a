//! The last line: what can be done now.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{
    paint::{Span, columns, put},
    palette::Palette,
};
use crate::tui::{
    app::{
        Model, Popup, admin,
        keys::{self, Escape},
        pane::OutgoingState,
        prompt::PromptKind,
    },
    input::Edit,
    keymap::{Action, label},
};

/// Draws the hints, as many as there is room for.
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

fn hints(model: &Model) -> Vec<(String, &'static str)> {
    let of = |action, words| (label(action), words);
    match &model.popup {
        Some(Popup::Help { .. }) => {
            return vec![of(Action::Escape, "close"), of(Action::PageDown, "more")];
        }
        Some(Popup::Paste { .. }) => {
            return vec![of(Action::Send, "insert it"), of(Action::Escape, "drop it")];
        }
        Some(Popup::Host { .. }) => {
            return vec![
                ("K".to_owned(), "keep it running"),
                ("E".to_owned(), "end it"),
                of(Action::Escape, "stay"),
            ];
        }
        None => {}
    }
    if let Some(prompt) = &model.prompt {
        let escape = match prompt.kind {
            PromptKind::Nickname => "disconnect",
            PromptKind::Password | PromptKind::Pass => "cancel",
        };
        return vec![
            of(Action::Send, "try it"),
            of(Action::Escape, escape),
            of(Action::Edit(Edit::KillToStart), "clear it"),
        ];
    }
    if let Some(search) = model.listing() {
        let enter = if search.answers() && !search.hits.is_empty() {
            "go there"
        } else {
            "search"
        };
        let mut hints = vec![of(Action::Send, enter), of(Action::Escape, "back")];
        if !search.hits.is_empty() {
            hints.push(of(Action::Down, "older"));
            hints.push(of(Action::Up, "newer"));
        }
        return hints;
    }
    let mut hints = Vec::new();
    let outbox = &model.pane().outbox;
    if outbox
        .iter()
        .any(|outgoing| matches!(outgoing.state, OutgoingState::Failed(_)))
    {
        hints.push(of(Action::SendAgain, "send again"));
        hints.push(of(Action::TakeBack, "take back"));
    }
    if !model.online() {
        hints.push(of(Action::RetryNow, "connect now"));
        if outbox
            .iter()
            .all(|outgoing| outgoing.state == OutgoingState::Pending)
            && !outbox.is_empty()
        {
            hints.push(of(Action::TakeBack, "take back"));
        }
    }
    if admin::offers(model) {
        hints.push(of(Action::Copy, "copy"));
    }
    hints.push(of(Action::Help, "help"));
    let escape = match keys::escape_means(model) {
        Escape::CloseCompletion | Escape::CloseSearch => "close",
        Escape::ToResults => "back to the results",
        Escape::ToEnd => "back to the end",
        Escape::PutAside => "put aside",
        Escape::Cancel => "cancel",
        Escape::Leave | Escape::Warn => "disconnect",
    };
    hints.push(of(Action::Escape, escape));
    hints.push(of(Action::Complete, "complete"));
    hints.push(of(Action::NewLine, "new line"));
    hints.push(of(Action::Search, "search"));
    hints.push(of(Action::PageUp, "scroll"));
    hints
}

fn options(
    options: &[String],
    chosen: usize,
    palette: &Palette,
    mut span: Span,
    buffer: &mut Buffer,
) {
    // The chosen one is always among those shown.
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
