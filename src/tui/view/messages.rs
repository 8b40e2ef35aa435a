//! The scrollback: time, sender, text.

use std::ops::Range;

use jiff::{Timestamp, tz::TimeZone};
use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{
    lines::line_above,
    paint::{Span, columns, fit, put, put_name, put_right, put_row, ruled},
    palette::Palette,
};
use crate::{
    client::event::ConnectionStatus,
    protocol::{MessageId, UserId},
    text::wrap::{cut, wrap, wrap_first},
    tui::{
        app::{
            Model, edit_actions,
            layout::Columns,
            pane::rows::Folded,
            pane::scroll::ScrollItem,
            pane::timeline_item::{Own, TextSpan, TextSpanKind, TimelineItem, TimelineMessage},
            pane::{Outgoing, OutgoingState, Pane},
        },
        keymap::{Action, label},
        signs,
        user_text::{self, Tone, in_groups},
    },
};

/// The state shared by all rows.
struct MessagePainter<'a> {
    area: Rect,
    columns: Columns,
    palette: &'a Palette,
    model: &'a Model,
    pane: &'a Pane,
    /// Whether messages are shown with their numbers.
    numbered: bool,
    /// The message that is being edited.
    editing: Option<MessageId>,
}

/// A message's text and how it is drawn.
struct Text<'a> {
    words: &'a str,
    spans: &'a [TextSpan],
    /// The matches of the search in it.
    found: Vec<Range<usize>>,
    style: Style,
    /// The byte from which a mark follows the text.
    mark: usize,
    /// The rule beside it.
    rule: (&'a str, Style),
    /// Set if only its first rows are shown.
    folded: Option<Folded>,
}

impl<'a> Text<'a> {
    /// A text of one style, without matches.
    fn plain(words: &'a str, style: Style, rule: (&'a str, Style)) -> Self {
        Self {
            words,
            spans: &[],
            found: Vec::new(),
            style,
            mark: words.len(),
            rule,
            folded: None,
        }
    }
}

/// The state of an item.
#[derive(Clone, Copy)]
struct Shown {
    /// Whether the reader was led to it.
    found: bool,
    /// Set if only its first rows are shown.
    folded: Option<Folded>,
}

/// The sender of an item.
struct Name<'a> {
    /// The sign before the name.
    mark: &'static str,
    text: &'a str,
    style: Style,
}

/// The parts of an item's head.
#[derive(Clone, Copy)]
struct Head {
    /// The sender, on a row of its own.
    own_row: bool,
    /// The sender.
    name: bool,
    /// The time.
    time: bool,
}

/// Draws the scrollback.
pub fn draw(model: &Model, palette: &Palette, area: Rect, columns: Columns, buffer: &mut Buffer) {
    let pane = model.pane();
    if pane.items() == 0 && model.server.online() && area.height > 2 {
        return nothing_said(model, palette, area, buffer);
    }
    let painter = MessagePainter {
        area,
        columns,
        palette,
        model,
        pane,
        numbered: edit_actions::wants_number(model),
        editing: pane.composer.editing().map(|editing| editing.target),
    };
    let (top, _) = pane.top_place(&columns, area.height);
    let blank = pane.blank_rows(top, &columns, area.height);
    let mut y = i64::from(blank) - i64::from(top.row);
    for index in top.index..pane.items() {
        if y >= i64::from(area.height) {
            break;
        }
        y += painter.item(buffer, index, y, index == top.index);
    }
}

/// The text of an empty conversation while the server has not answered.
const GUESS: &str = "No answer yet: an older server, or none.";

/// Draws the text of an empty conversation.
fn nothing_said(model: &Model, palette: &Palette, area: Rect, buffer: &mut Buffer) {
    let timeline = &model.pane().timeline;
    let (from, to) = (timeline.first(), timeline.last());
    let loads = from > 0 && timeline.next_shown(from) <= to;
    let said = if loads {
        match &model.pane().paging.failed {
            None => "loading …".to_owned(),
            Some(failed) => format!(
                "not loaded: {} · {} tries again",
                failed.why,
                label(Action::Send)
            ),
        }
    } else {
        let said = match model.server.connection {
            ConnectionStatus::Unidentified => GUESS,
            _ => "No messages yet.",
        };
        said.to_owned()
    };
    let span = Span::row(area, (area.height - 1).div_ceil(2));
    let indent = span.width.saturating_sub(columns(&said)) / 2;
    put(buffer, span.after(indent), &said, palette.quiet);
}

impl MessagePainter<'_> {
    /// Draws an item whose first row would be at `y`; returns its rows. The first message on the
    /// screen has its time and sender, even if its run began above.
    fn item(&self, buffer: &mut Buffer, index: usize, y: i64, on_top: bool) -> i64 {
        let mut rows = 0;
        for line in self.pane.lines_above(index) {
            let (words, glyph, style) = line_above(self.model, self.palette, line);
            self.line(buffer, y + rows, &words, glyph, style);
            rows += 1;
        }
        let head = Head {
            own_row: self.columns.stacked() && self.pane.has_head(index),
            name: self.pane.has_head(index) || on_top,
            time: self.shows_time(index) || on_top,
        };
        let body = Shown {
            found: self.pane.found == Some(self.pane.timeline.key(index)),
            folded: self.pane.folded(index, &self.columns),
        };
        rows += match self.pane.item(index) {
            Some(ScrollItem::Timeline(entry)) => self.entry(buffer, entry, y + rows, head, body),
            Some(ScrollItem::Outgoing(outgoing)) => {
                self.outgoing(buffer, outgoing, y + rows, head, body.folded)
            }
            None => 0,
        };
        rows
    }

    fn entry(
        &self,
        buffer: &mut Buffer,
        entry: &TimelineItem,
        y: i64,
        head: Head,
        body: Shown,
    ) -> i64 {
        let palette = self.palette;
        if let Some(time) = entry.time()
            && head.time
        {
            self.time(buffer, y.max(0), time);
        }
        match entry {
            TimelineItem::Message(message) if message.is_remark() => {
                let words = message.text();
                let text = Text::plain(&words, palette.quiet, ("│", palette.line));
                self.text(buffer, y, &text)
            }
            TimelineItem::Message(message) => {
                let rows = self.message(buffer, message, y, head, body);
                if self.numbered && !message.is_deleted() {
                    self.number(buffer, y, message, head);
                }
                rows
            }
            TimelineItem::Notice {
                asked, tone, text, ..
            } => {
                if let Some(slash) = asked {
                    let name = Name {
                        mark: "",
                        text: &format!("/{}", slash.name),
                        style: palette.quiet,
                    };
                    self.name(buffer, y, &name);
                }
                self.notice(buffer, y, *tone, text)
            }
            TimelineItem::Presence { text, .. } => {
                let text = Text::plain(text, palette.quiet, ("│", palette.line));
                self.text(buffer, y, &text)
            }
            TimelineItem::Break { text } => {
                let text = Text::plain(text, palette.warn, ("┊", palette.warn));
                self.text(buffer, y, &text)
            }
        }
    }

    fn notice(&self, buffer: &mut Buffer, y: i64, tone: Tone, words: &str) -> i64 {
        let palette = self.palette;
        let style = match tone {
            Tone::Remark => palette.quiet,
            Tone::Answer => Style::new(),
            Tone::Strong | Tone::Verbatim => palette.accent,
        };
        if tone == Tone::Verbatim {
            return self.verbatim(buffer, y, words, style);
        }
        // An answer must not look like a part of the message above it.
        let rule = match tone {
            Tone::Remark => palette.line,
            _ => palette.accent,
        };
        self.text(buffer, y, &Text::plain(words, style, ("│", rule)))
    }

    /// Draws a text to be copied: from edge to edge, with nothing beside it.
    fn verbatim(&self, buffer: &mut Buffer, y: i64, words: &str, style: Style) -> i64 {
        let mut at = y;
        for row in &cut(words, usize::from(self.columns.alone)) {
            if let Some(span) = self.span(at, self.columns.margin, self.columns.alone) {
                put_row(buffer, span, words, row, |_| style);
            }
            at += 1;
        }
        at - y
    }

    fn message(
        &self,
        buffer: &mut Buffer,
        message: &TimelineMessage,
        y: i64,
        head: Head,
        Shown { found, folded }: Shown,
    ) -> i64 {
        let palette = self.palette;
        let name = self.sender(message);
        let above = self.head(buffer, y, &name, head);
        let mentioned = message
            .spans
            .iter()
            .any(|span| span.kind == TextSpanKind::Mention);
        let id = message.logged().map(|entry| entry.id);
        let marked = found || id.is_some() && id == self.editing;
        let rule = if marked {
            (signs::MARKED, palette.accent)
        } else if mentioned {
            (signs::MARKED, palette.warn)
        } else {
            ("│", palette.line)
        };
        let words = message.text();
        let mark = if message.is_edited() {
            message.said.words().len()
        } else {
            words.len()
        };
        let text = Text {
            words: &words,
            spans: &message.spans,
            found: self.found_in(message),
            style: if message.is_text() {
                Style::new()
            } else {
                palette.quiet
            },
            mark,
            rule,
            folded,
        };
        // If there is no rule, one is drawn beside the message that is marked.
        let text_rows = self.text(buffer, y + above, &text);
        if marked && self.columns.rule.is_none() && self.columns.body > 0 {
            for row in 0..text_rows {
                if let Some(span) = self.span(y + above + row, 0, 1) {
                    put(buffer, span, rule.0, rule.1);
                }
            }
        }
        let rows = above + text_rows;
        let changing = id.is_some_and(|id| self.pane.is_changing(id));
        match message.own {
            _ if changing => self.state(buffer, y + rows - 1, signs::PENDING, palette.quiet),
            _ if message.is_deleted() => {}
            Some(Own::Sent) => self.state(buffer, y + rows - 1, signs::SENT, palette.quiet),
            Some(Own::Unconfirmed(_)) => {
                self.state(buffer, y + rows - 1, signs::UNCONFIRMED, palette.quiet);
            }
            None => {}
        }
        rows
    }

    fn outgoing(
        &self,
        buffer: &mut Buffer,
        outgoing: &Outgoing,
        y: i64,
        head: Head,
        folded: Option<Folded>,
    ) -> i64 {
        let palette = self.palette;
        let nickname = &self.model.server.nickname;
        let name = Name {
            mark: self.badge(self.model.server.user, false),
            text: nickname.as_str(),
            style: palette.nickname(&nickname.folded()),
        };
        let above = self.head(buffer, y, &name, head);
        let waits = !matches!(outgoing.state, OutgoingState::Sent(_));
        let text = Text {
            words: outgoing.text(),
            spans: &outgoing.spans,
            found: Vec::new(),
            style: if waits { palette.quiet } else { Style::new() },
            mark: outgoing.text().len(),
            rule: ("│", palette.line),
            folded,
        };
        let mut rows = above + self.text(buffer, y + above, &text);
        let (glyph, style) = match &outgoing.state {
            OutgoingState::Saving => (signs::SAVING, palette.quiet),
            OutgoingState::Pending | OutgoingState::TakingBack | OutgoingState::Deleting => {
                (signs::PENDING, palette.quiet)
            }
            OutgoingState::Sent(_) => (signs::SENT, palette.quiet),
            OutgoingState::Failed(_) => (signs::FAILED, palette.bad),
        };
        self.state(buffer, y + rows - 1, glyph, style);
        if let Some(why) = outgoing.failure() {
            let text = Text::plain(&why, palette.bad, ("│", palette.line));
            rows += self.text(buffer, y + rows, &text);
        }
        rows
    }

    /// The sender of a message.
    fn sender<'a>(&self, message: &'a TimelineMessage) -> Name<'a> {
        let nickname = message.said.nickname();
        Name {
            mark: self.badge(message.said.user(), message.said.unproven()),
            text: nickname.as_str(),
            style: self.palette.nickname(&nickname.folded()),
        }
    }

    /// Draws the nickname; returns the rows that it takes for itself.
    fn head(&self, buffer: &mut Buffer, y: i64, name: &Name<'_>, head: Head) -> i64 {
        if head.own_row {
            if let Some(span) = self.span(y, 0, self.area.width) {
                let used = put(buffer, span, name.mark, self.palette.quiet);
                let span = span.after(used);
                put(buffer, span, &fit(name.text, span.width), name.style);
            }
        } else if head.name {
            self.name(buffer, y.max(0), name);
        }
        i64::from(head.own_row)
    }

    /// Draws a name in the column of nicknames, if there is one.
    fn name(&self, buffer: &mut Buffer, y: i64, name: &Name<'_>) {
        if !self.columns.stacked()
            && let Some(span) = self.span(y, self.name_column(), self.columns.nickname)
        {
            let mark = (name.mark, self.palette.quiet);
            put_name(buffer, span, mark, name.text, name.style);
        }
    }

    /// The sign before the name of a sender.
    fn badge(&self, user: Option<UserId>, unproven: bool) -> &'static str {
        let mut members = self.pane.members.iter();
        let member = user.and_then(|user| members.find(|member| member.user == user));
        user_text::badge_in_text(unproven, member)
    }

    fn name_column(&self) -> u16 {
        self.columns
            .rule
            .map_or(0, |rule| rule - 1 - self.columns.nickname)
    }

    /// Draws a wrapped text with the rule beside it; returns its rows.
    fn text(&self, buffer: &mut Buffer, y: i64, text: &Text<'_>) -> i64 {
        let width = usize::from(self.columns.body_width);
        let rows = match text.folded {
            Some(Folded { shown, .. }) => {
                let shown = usize::try_from(shown).unwrap_or(usize::MAX);
                wrap_first(text.words, width, shown)
            }
            None => wrap(text.words, width),
        };
        let mut at = y;
        for row in &rows {
            if let Some(span) = self.span(at, self.columns.body, self.columns.body_width) {
                put_row(buffer, span, text.words, row, |byte| {
                    self.style_at(text, byte)
                });
            }
            self.rule(buffer, at, text.rule);
            at += 1;
        }
        if let Some(Folded { hidden, .. }) = text.folded {
            if let Some(span) = self.span(at, self.columns.body, self.columns.body_width) {
                put(buffer, span, &self.fold_words(hidden), self.palette.accent);
            }
            self.rule(buffer, at, text.rule);
            at += 1;
        }
        at - y
    }

    fn rule(&self, buffer: &mut Buffer, y: i64, (glyph, style): (&str, Style)) {
        if let Some(rule) = self.columns.rule
            && let Some(span) = self.span(y, rule, 1)
        {
            put(buffer, span, glyph, style);
        }
    }

    /// The text that says how many rows of a folded message are hidden, and how to show them, as
    /// far as there is room.
    fn fold_words(&self, hidden: u32) -> String {
        let hidden = in_groups(u64::from(hidden));
        let click = if self.model.wheel { " or click" } else { "" };
        let words = [
            format!("… {hidden} more lines · /unfold{click}"),
            format!("… {hidden} more lines · /unfold"),
            format!("… {hidden} more · /unfold"),
        ];
        let fits = |words: &String| columns(words) <= self.columns.body_width;
        let fitting = words.into_iter().find(fits);
        fitting.unwrap_or_else(|| format!("… {hidden} more"))
    }

    /// The matches in a message, while a search is open.
    fn found_in(&self, message: &TimelineMessage) -> Vec<Range<usize>> {
        let asked = self.model.layers.search();
        let asked = asked.and_then(|search| search.asked.as_ref());
        asked.map_or_else(Vec::new, |asked| asked.query.find(message.said.words()))
    }

    fn style_at(&self, text: &Text<'_>, byte: usize) -> Style {
        if text.found.iter().any(|found| found.contains(&byte)) {
            return text.style.patch(self.palette.found);
        }
        if byte >= text.mark {
            return self.palette.quiet;
        }
        let next = text.spans.partition_point(|span| span.range.end <= byte);
        let span = text
            .spans
            .get(next)
            .filter(|span| span.range.contains(&byte));
        match span.map(|span| span.kind) {
            None => text.style,
            Some(TextSpanKind::Mention) => text.style.patch(self.palette.mention),
            Some(TextSpanKind::Link) => text.style.patch(self.palette.link),
        }
    }

    fn state(&self, buffer: &mut Buffer, y: i64, glyph: &str, style: Style) {
        if let Some(state) = self.columns.state
            && let Some(span) = self.span(y, state, 1)
        {
            put(buffer, span, glyph, style);
        }
    }

    fn line(&self, buffer: &mut Buffer, y: i64, words: &str, glyph: &str, style: Style) {
        let margin = self.name_column().min(1);
        let width = self.area.width.saturating_sub(2 * margin);
        if let Some(span) = self.span(y, margin, width) {
            let line = if style == self.palette.warn {
                style
            } else {
                self.palette.line
            };
            ruled(buffer, span, words, glyph, line, style);
        }
    }

    fn time(&self, buffer: &mut Buffer, y: i64, time: Timestamp) {
        if self.columns.time == 0 {
            return;
        }
        let margin = self.name_column() - self.columns.time - 1;
        if let Some(span) = self.span(y, margin, self.columns.time) {
            let text = clock_text(time, &self.model.zone);
            put(buffer, span, &text, self.palette.quiet);
        }
    }

    /// Draws a message's number in place of its time; at the end of the row of its sender, if that
    /// has a row of its own.
    fn number(&self, buffer: &mut Buffer, y: i64, message: &TimelineMessage, head: Head) {
        let Some(seq) = message.said.seq() else {
            return;
        };
        if self.columns.stacked() {
            let row = self.span(y, 0, self.area.width).filter(|_| head.own_row);
            if let Some(span) = row {
                put_right(buffer, span, &format!(" #{seq}"), self.palette.accent);
            }
            return;
        }
        let from = self.columns.margin;
        let width = self.name_column() + self.columns.nickname - from;
        if let Some(span) = self.span(y, from, width) {
            put(buffer, span, &" ".repeat(usize::from(width)), Style::new());
            let used = put(buffer, span, &format!("#{seq} "), self.palette.accent);
            if head.name {
                let name = self.sender(message);
                let rest = span.after(used.max(width - self.columns.nickname));
                let mark = (name.mark, self.palette.quiet);
                put_name(buffer, rest, mark, name.text, name.style);
            }
        }
    }

    /// Whether the minute has changed since the item before, or a line separates them.
    fn shows_time(&self, index: usize) -> bool {
        let time = |index: usize| match self.pane.item(index) {
            Some(ScrollItem::Timeline(entry)) => {
                entry.time().map(|time| clock(time, &self.model.zone))
            }
            _ => None,
        };
        let before = index.checked_sub(1).and_then(time);
        self.pane.has_line_above(index) || time(index) != before
    }

    /// A part of a row, if it is on the screen.
    fn span(&self, y: i64, from: u16, width: u16) -> Option<Span> {
        let row = u16::try_from(y).ok()?;
        (row < self.area.height).then(|| Span::of(self.area, row, from, width))
    }
}

/// The time of day before a message.
pub fn clock_text(time: Timestamp, zone: &TimeZone) -> String {
    let (hour, minute) = clock(time, zone);
    format!("{hour:02}:{minute:02}")
}

fn clock(time: Timestamp, zone: &TimeZone) -> (i8, i8) {
    let local = time.to_zoned(zone.clone());
    (local.hour(), local.minute())
}
