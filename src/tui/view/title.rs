//! The title bar: the room, the state of the connection, in words and a glyph, and the encryption.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{
    paint::{Span, columns, fit, put},
    palette::Palette,
    rooms,
};
use crate::{
    client::event::{ConnectionStatus, Security},
    tui::{app::Model, signs},
};

/// Draws the title bar. On a narrow screen the least important parts are dropped first: the topic,
/// the number of members, the host; never the warning that nothing is encrypted.
pub fn draw(model: &Model, palette: &Palette, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let margin = u16::from(area.width >= 32);
    let span = Span::row(area, 0).after(margin).before(margin);
    let room = model.room_title();
    let counts = counts(model, palette);
    let beside: u16 = counts.iter().map(|(text, _)| columns(text) + 1).sum();
    let parts = parts(model, palette, span.width, columns(&room), beside);
    let taken = width(&parts);
    let gap = u16::from(taken + 2 <= span.width);
    let room = fit(&room, span.width.saturating_sub(taken + gap + beside));
    let mut left = put(buffer, span, &room, palette.strong);
    for (text, style) in &counts {
        left += 1 + put(buffer, span.after(left + 1), text, *style);
    }
    let free = span.after(left + 2);
    let mut right = span.after(span.width.saturating_sub(taken));
    for part in &parts {
        for (text, style) in part {
            right = right.after(put(buffer, right, text, *style));
        }
        right = right.after(2);
    }
    if let Some(topic) = &model.pane().info.rules.topic {
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

/// The counts of other rooms, on a screen that has no list of them.
fn counts(model: &Model, palette: &Palette) -> Vec<(String, Style)> {
    let layout = model.layout();
    let listed = !layout.rooms.is_empty() || !layout.hot.is_empty();
    if model.panes.several() && !listed {
        rooms::brief(model, palette)
    } else {
        Vec::new()
    }
}

/// Texts that belong together, each with its style.
type Part = Vec<(String, Style)>;

/// The parts on the right, as many as there is room for beside the room's name and the counts of
/// other rooms.
fn parts(model: &Model, palette: &Palette, width_max: u16, room: u16, counts: u16) -> Vec<Part> {
    let quiet = |text: &str| vec![(text.to_owned(), palette.quiet)];
    let StatusLabel {
        glyph,
        words,
        style,
        silent,
    } = state(model, palette);
    let with_glyph = |words: &str, words_style| {
        vec![
            (format!("{glyph} "), style),
            (words.to_owned(), words_style),
        ]
    };
    // The state, from long to short.
    let each = |beside: &[Part]| -> Vec<Vec<Part>> {
        let with = |words: &String| {
            let beside = beside.iter().cloned();
            [with_glyph(words, style)]
                .into_iter()
                .chain(beside)
                .collect()
        };
        words.iter().map(with).collect()
    };
    let states: Vec<Vec<Part>> = match security(model) {
        None => each(&[]),
        Some(Security::Encrypted { .. }) => {
            let mut states = each(&[quiet("encrypted")]);
            // While the server does not answer, encryption matters less.
            states.extend(if silent {
                each(&[])
            } else {
                vec![vec![with_glyph("encrypted", palette.quiet)]]
            });
            states
        }
        Some(Security::Plain) => {
            let warned = |words: &str| vec![(words.to_owned(), palette.warn)];
            let mut states = each(&[warned("not encrypted")]);
            if silent {
                states.extend(each(&[warned("unencrypted")]));
            }
            states.push(vec![with_glyph("not encrypted", palette.warn)]);
            states.push(vec![with_glyph("unencrypted", palette.warn)]);
            states
        }
    };
    let host = quiet(&model.pane().key.server);
    // If the member list is not shown, at least its length is.
    let count = model.pane().members.len();
    let listed = count == 0 || !model.layout().members.is_empty();
    let length = (!listed).then(|| quiet(&format!("{count} here")));
    let full = states.first().cloned().unwrap_or_default();
    let with = |before: &[&Part]| {
        let before = before.iter().map(|part| (*part).clone());
        before.chain(full.clone()).collect::<Vec<Part>>()
    };
    let mut choices = Vec::new();
    choices.extend(length.as_ref().map(|length| with(&[length, &host])));
    choices.push(with(&[&host]));
    choices.extend(length.as_ref().map(|length| with(&[length])));
    choices.extend(states.iter().cloned());
    let gap = if width_max < 30 { 1 } else { 2 };
    let glyph_alone = vec![vec![(glyph.to_owned(), style)]];
    if counts > 0 && security(model) != Some(Security::Plain) {
        choices.push(glyph_alone.clone());
    }
    let fits = |parts: &Vec<Part>| width(parts) + gap + room + counts <= width_max;
    let brief = states.last().cloned().unwrap_or_default();
    let whole = width(&brief) <= width_max;
    let least = if whole { brief } else { glyph_alone };
    choices.into_iter().find(fits).unwrap_or(least)
}

fn width(parts: &[Part]) -> u16 {
    let texts = parts.iter().flatten().map(|(text, _)| columns(text));
    let gaps = 2 * u16::try_from(parts.len().saturating_sub(1)).unwrap_or(0);
    texts.sum::<u16>() + gaps
}

/// The encryption of the present connection; while the user is asked for a secret, the warning if
/// the answer would be sent unencrypted.
fn security(model: &Model) -> Option<Security> {
    let asks = model.layers.prompt().is_some();
    let told = |security: &Security| match security {
        Security::Plain => model.server.online() || asks,
        Security::Encrypted { .. } => model.server.online() && !asks,
    };
    model
        .server
        .security
        .filter(told)
        .filter(|_| model.leaving_since.is_none())
}

/// The state of the connection: a glyph, words and a style, each sufficient alone.
struct StatusLabel {
    glyph: &'static str,
    /// From long to short; none if the encryption says enough.
    words: Vec<String>,
    style: Style,
    /// Whether the server has not answered.
    silent: bool,
}

impl StatusLabel {
    fn new(glyph: &'static str, words: &[&str], style: Style) -> Self {
        Self {
            glyph,
            words: words.iter().map(|words| (*words).to_owned()).collect(),
            style,
            silent: false,
        }
    }

    fn silent(words: &[&str], style: Style) -> Self {
        Self {
            silent: true,
            ..Self::new(signs::WAITING, words, style)
        }
    }
}

fn state(model: &Model, palette: &Palette) -> StatusLabel {
    if model.leaving_since.is_some() {
        return StatusLabel::new(signs::ABSENT, &["leaving"], palette.quiet);
    }
    if model.active_prompt().is_some() {
        return StatusLabel::new(signs::ABSENT, &["not joined"], palette.warn);
    }
    if let Some(waited) = model
        .server
        .unanswered_for(model.now.mono)
        .filter(|_| model.server.online())
    {
        let full = format!("no answer for {} s", waited.as_secs());
        return StatusLabel::silent(&[&full, "no answer"], palette.warn);
    }
    match &model.server.connection {
        ConnectionStatus::Online if model.server.security.is_some() => {
            StatusLabel::new(signs::PRESENT, &[], palette.good)
        }
        ConnectionStatus::Online => StatusLabel::new(signs::PRESENT, &["connected"], palette.good),
        ConnectionStatus::Legacy => {
            StatusLabel::new(signs::PRESENT, &["older server"], palette.warn)
        }
        ConnectionStatus::Unidentified => StatusLabel::silent(
            &[
                "no answer yet: an older server, or none",
                "no answer yet: older server, or none",
                "no answer yet",
                "no answer",
            ],
            palette.warn,
        ),
        ConnectionStatus::Connecting => {
            StatusLabel::new(signs::WAITING, &["connecting"], palette.warn)
        }
        ConnectionStatus::Waiting { .. }
        | ConnectionStatus::Standby
        | ConnectionStatus::Stopped { .. } => {
            StatusLabel::new(signs::ABSENT, &["offline"], palette.bad)
        }
    }
}
