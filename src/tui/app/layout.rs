//! The position of everything on a screen of a given size. Pure arithmetic, shared by the update
//! (which must know how far a page scrolls) and the view.
//!
//! A narrow screen drops the members first, then the times, then the column of nicknames; a low one
//! the hints, then the rule above the input, then the title. The last row left is the input's.

use ratatui::layout::Rect;

use super::pane::rows::Folding;

/// Columns of the member list, its rule included.
const MEMBERS: u16 = 20;
/// The most columns of the scrollback: longer rows are hard to read.
const MESSAGES_MAX: u16 = 140;
/// The width from which members are shown.
const MEMBERS_FROM: u16 = 72;
/// The width of the messages from which times are shown.
const TIME_FROM: u16 = 48;
/// The width of the messages from which nicknames have a column.
const NICKNAMES_FROM: u16 = 32;
/// The height from which there is a hint line.
const HINT_FROM: u16 = 8;
/// The most rows of the input on a high screen.
const INPUT_ROWS_MAX: u16 = 10;

/// The areas of a screen. An area that is not shown is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The title bar.
    pub title: Rect,
    /// The scrollback.
    pub messages: Rect,
    /// The member list.
    pub members: Rect,
    /// The status above the input: a question, or the state of the connection.
    pub status: Rect,
    /// The rule between conversation and input.
    pub rule: Rect,
    /// The input box, its prompt included.
    pub input: Rect,
    /// The line of hints.
    pub hint: Rect,
    /// The columns of the scrollback.
    pub columns: Columns,
}

/// The sizes that the parts of a screen ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayoutRequest {
    /// Rows of the input.
    pub input_rows: u16,
    /// Rows of the status.
    pub status_rows: u16,
    /// Whether there are members to show.
    pub members: bool,
}

/// The columns of the scrollback, counted from its left edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// Width of the time, 0 if it is not shown.
    pub time: u16,
    /// Width of the nicknames; 0 if they stand on a row of their own.
    pub nickname: u16,
    /// The column of the vertical rule, if there is one.
    pub rule: Option<u16>,
    /// The first column of texts.
    pub body: u16,
    /// Width of the texts.
    pub body_width: u16,
    /// The column for the state of our own messages.
    pub state: Option<u16>,
    /// Columns left and right of texts that have rows of their own.
    pub margin: u16,
    /// Width of texts that have rows of their own.
    pub alone: u16,
    /// The limits from which messages are folded.
    pub folding: Folding,
}

impl Columns {
    /// The columns for a scrollback of this width on a screen of this height.
    pub fn new(width: u16, height: u16) -> Self {
        let margin = u16::from(width >= NICKNAMES_FROM);
        let time = if width >= TIME_FROM { 5 } else { 0 };
        let nickname = match width {
            0..NICKNAMES_FROM => 0,
            NICKNAMES_FROM..TIME_FROM => 8,
            TIME_FROM..64 => 9,
            64..100 => 11,
            _ => 14,
        };
        let mut at = margin;
        if time > 0 {
            at += time + 1;
        }
        let mut rule = None;
        if nickname > 0 {
            at += nickname + 1;
            rule = Some(at);
            at += 2;
        } else if width >= 8 {
            // The text is indented below the nickname above it.
            at += 1;
        }
        // The state has a column of its own, so that texts never touch it.
        let state = (width >= 12).then(|| width - 1 - margin);
        let end = state.map_or(width, |state| state - u16::from(width >= NICKNAMES_FROM));
        Self {
            time,
            nickname,
            rule,
            body: at,
            body_width: end.saturating_sub(at).max(1),
            state,
            margin,
            alone: width.saturating_sub(2 * margin).max(1),
            folding: Folding::new(height),
        }
    }

    /// Whether the nickname stands on a row of its own above the first text of a run.
    pub fn stacked(&self) -> bool {
        self.nickname == 0
    }
}

/// Columns of the hint line on a screen of this size; 0 if there is none.
pub fn hint_columns(width: u16, height: u16) -> u16 {
    let margins = 2 * u16::from(width >= NICKNAMES_FROM);
    let shown = height >= HINT_FROM;
    if shown {
        width.saturating_sub(margins)
    } else {
        0
    }
}

/// The most rows that the input may take on a screen of this height.
pub fn input_rows_max(height: u16) -> u16 {
    (height / 3).clamp(1, INPUT_ROWS_MAX)
}

/// The most rows that the status may take on a screen of this height.
pub fn status_rows_max(height: u16) -> u16 {
    match height {
        0..2 => 0,
        2..6 => 1,
        6..12 => 2,
        _ => height / 4,
    }
}

/// Columns of the input's text on a screen of this width.
pub fn input_columns(width: u16) -> u16 {
    let (left, right) = input_margins(width);
    width.saturating_sub(left + right).max(1)
}

/// Columns left of the input's text (its sign) and right of it.
pub fn input_margins(width: u16) -> (u16, u16) {
    match width {
        0..4 => (0, 0),
        4..NICKNAMES_FROM => (2, 0),
        _ => (3, 1),
    }
}

impl Layout {
    /// Divides a screen.
    pub fn new(width: u16, height: u16, wishes: LayoutRequest) -> Self {
        let mut top = 0;
        let mut bottom = height;
        let mut from_bottom = |rows: u16| {
            let rows = rows.min(bottom);
            bottom -= rows;
            Rect::new(0, bottom, width, rows)
        };
        let hint = from_bottom(u16::from(height >= HINT_FROM));
        let input = from_bottom(wishes.input_rows.clamp(1, input_rows_max(height)));
        let rule = from_bottom(u16::from(height >= 10));
        let status = from_bottom(wishes.status_rows.min(status_rows_max(height)));
        let title = Rect::new(0, 0, width, u16::from(height >= 5).min(bottom));
        top += title.height;
        let rows = bottom - top;
        let members_width = if wishes.members && width >= MEMBERS_FROM {
            MEMBERS
        } else {
            0
        };
        let messages_width = (width - members_width).min(MESSAGES_MAX);
        let messages = Rect::new(0, top, messages_width, rows);
        let members_width = if members_width > 0 {
            width - messages_width
        } else {
            0
        };
        Self {
            title,
            messages,
            members: Rect::new(messages.width, top, members_width, rows),
            status,
            rule,
            input,
            hint,
            columns: Columns::new(messages.width, height),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_do_not_overlap_and_stay_on_the_screen() {
        for width in 0..=250 {
            for height in 0..=80 {
                for (input_rows, status_rows) in [(1, 0), (40, 2), (3, 9)] {
                    let wishes = LayoutRequest {
                        input_rows,
                        status_rows,
                        members: height % 2 == 0,
                    };
                    let layout = Layout::new(width, height, wishes);
                    let full = [
                        layout.title,
                        layout.status,
                        layout.rule,
                        layout.input,
                        layout.hint,
                    ];
                    let rows: u16 = full.iter().map(|area| area.height).sum();
                    assert_eq!(rows + layout.messages.height, height, "{width}x{height}");
                    assert!(layout.messages.width + layout.members.width <= width);
                    assert!(
                        width > MESSAGES_MAX
                            || layout.messages.width + layout.members.width == width
                    );
                    if height > 0 {
                        assert!(layout.input.height > 0);
                    }
                    let columns = layout.columns;
                    if layout.messages.width > 8 {
                        assert!(columns.body + columns.body_width <= layout.messages.width);
                    }
                }
            }
        }
    }
}
