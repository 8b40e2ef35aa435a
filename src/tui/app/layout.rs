//! The position of everything on a screen of a given size. Pure arithmetic, shared by the update
//! (which must know how far a page scrolls) and the view.
//!
//! A narrow screen drops the members first, then the times, then the column of nicknames; a low one
//! the hints, then the rule above the input, then the title. The last row left is the input's.
//!
//! With several rooms there is a side column of rooms, above the members or, on a wide screen, in a
//! column of its own; or else the hot list, a row below the title.

use ratatui::layout::Rect;

use super::pane::rows::Folding;

/// Columns of the member list on the right, its rule included.
const MEMBERS: u16 = 20;
/// Columns of the room list on the left, its rule included.
const ROOMS: u16 = 17;
/// The most columns of the scrollback: longer rows are hard to read.
const MESSAGES_MAX: u16 = 140;
/// The width from which members are shown.
const MEMBERS_FROM: u16 = 72;
/// The width from which rooms are shown in a column.
const ROOMS_FROM: u16 = 100;
/// The width from which rooms and members have a column each.
const BOTH_FROM: u16 = 130;
/// The width from which a column is shown if the user asks for it, and from which there is a hot
/// list.
const SIDE_FROM: u16 = 60;
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
    /// The whole screen.
    pub screen: Rect,
    /// The title bar.
    pub title: Rect,
    /// The row of rooms with something new.
    pub hot: Rect,
    /// The room list, left of the scrollback.
    pub rooms: Rect,
    /// The scrollback.
    pub messages: Rect,
    /// The member list, right of the scrollback or below the room list.
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
    /// The number of rooms.
    pub rooms: usize,
    /// The number of members to show.
    pub members: usize,
    /// Whether the user wants a side column; `None`: by the width.
    pub side: Option<bool>,
}

impl LayoutRequest {
    /// Whether there is a side column on a screen of this width.
    fn has_side(self, width: u16) -> bool {
        let from = match (self.side, self.rooms) {
            (Some(true), _) => SIDE_FROM,
            (Some(false), _) => return false,
            (None, 0..=1) => MEMBERS_FROM,
            (None, _) => ROOMS_FROM,
        };
        width >= from
    }
}

/// Whether a screen of this width has room for a side column.
pub fn fits_side(width: u16) -> bool {
    width >= SIDE_FROM
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
    /// The columns for a scrollback of this width on a screen of this height. Beside the rooms,
    /// texts keep at least 60 columns from 80 on, and nicknames get less.
    pub fn new(width: u16, height: u16, several_rooms: bool) -> Self {
        let margin = u16::from(width >= NICKNAMES_FROM);
        let time = if width >= TIME_FROM { 5 } else { 0 };
        let nickname = match width {
            0..NICKNAMES_FROM => 0,
            NICKNAMES_FROM..TIME_FROM => 8,
            TIME_FROM..64 => 9,
            64..100 if several_rooms => width.saturating_sub(75).clamp(7, 14),
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
        let several = wishes.rooms > 1;
        let side = wishes.has_side(width);
        let hot = several && !side && width >= SIDE_FROM && bottom - top > 1;
        let hot = Rect::new(0, top, width, u16::from(hot));
        top += hot.height;
        let rows = bottom - top;
        let on_left = if side && several { ROOMS } else { 0 };
        let beside = side && wishes.members > 0 && (!several || width >= BOTH_FROM);
        let on_right = if beside { MEMBERS } else { 0 };
        let messages_width = (width - on_left - on_right).min(MESSAGES_MAX);
        let messages = Rect::new(on_left, top, messages_width, rows);
        let mut rooms = Rect::new(0, top, on_left, rows);
        let members = if beside {
            let from = messages.right();
            Rect::new(from, top, width - from, rows)
        } else {
            let rows = members_rows(wishes, rows);
            rooms.height -= rows;
            Rect::new(0, rooms.bottom(), on_left, rows)
        };
        Self {
            screen: Rect::new(0, 0, width, height),
            title,
            hot,
            rooms,
            messages,
            members,
            status,
            rule,
            input,
            hint,
            columns: Columns::new(messages.width, height, several),
        }
    }

    /// Everything between the title, or the hot list, and the input.
    pub fn body(&self) -> Rect {
        self.rooms.union(self.messages).union(self.members)
    }

    /// Whether the members stand below the rooms.
    pub fn members_below(&self) -> bool {
        self.members.height > 0 && self.members.x < self.messages.x
    }

    /// The columns of the rules beside the scrollback.
    pub fn rules(&self) -> impl Iterator<Item = u16> {
        let left = (self.messages.x > 0).then(|| self.messages.x - 1);
        let right = (self.members.x > self.messages.x).then_some(self.members.x);
        left.into_iter().chain(right)
    }
}

/// The rows that the members get below the rooms.
fn members_rows(wishes: LayoutRequest, rows: u16) -> u16 {
    let count = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
    if wishes.members == 0 {
        return 0;
    }
    let rooms = count(wishes.rooms);
    let members = count(wishes.members).saturating_add(1);
    let left = rows.saturating_sub(rooms);
    if members < left {
        // There is an empty row between the two; rows that the members do not need are below them.
        left - 1
    } else {
        left.max(rows / 3).min(members)
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
                        rooms: usize::from(height % 3) * 4,
                        members: usize::from(height % 2) * 6,
                        side: [None, Some(true), Some(false)][usize::from(height / 6 % 3)],
                    };
                    let layout = Layout::new(width, height, wishes);
                    let full = [
                        layout.title,
                        layout.hot,
                        layout.status,
                        layout.rule,
                        layout.input,
                        layout.hint,
                    ];
                    let rows: u16 = full.iter().map(|area| area.height).sum();
                    assert_eq!(rows + layout.messages.height, height, "{width}x{height}");
                    let body = layout.body();
                    assert!(
                        body.width == width || width > MESSAGES_MAX,
                        "{width}x{height}"
                    );
                    assert!(layout.members.right() <= width);
                    let parts = [layout.rooms, layout.messages, layout.members];
                    for (at, part) in parts.iter().enumerate() {
                        let others = parts[at + 1..].iter();
                        let meets = |other: &&Rect| part.intersects(**other);
                        assert_eq!(others.filter(meets).count(), 0, "{width}x{height}");
                    }
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

    #[test]
    fn texts_keep_their_width_beside_rooms() {
        let wishes = |rooms, side| LayoutRequest {
            input_rows: 1,
            status_rows: 0,
            rooms,
            members: 5,
            side,
        };
        let body = |width, rooms, side| {
            let layout = Layout::new(width, 30, wishes(rooms, side));
            layout.columns.body_width
        };
        for width in 80..=250 {
            assert!(body(width, 2, Some(false)) >= 60, "{width}");
        }
        for width in 100..=250 {
            assert!(body(width, 2, None) >= 62, "{width}");
        }
        for (width, rooms, side, has_rooms, has_members, hot) in [
            (71, 1, None, false, false, false),
            (72, 1, None, false, true, false),
            (71, 1, Some(true), false, true, false),
            (100, 1, Some(false), false, false, false),
            (59, 2, Some(true), false, false, false),
            (60, 2, None, false, false, true),
            (99, 2, None, false, false, true),
            (60, 2, Some(true), true, true, false),
            (100, 2, None, true, true, false),
            (100, 2, Some(false), false, false, true),
        ] {
            let layout = Layout::new(width, 30, wishes(rooms, side));
            let found = [layout.rooms, layout.members, layout.hot].map(|area| !area.is_empty());
            assert_eq!(
                found,
                [has_rooms, has_members, hot],
                "{width} {rooms} {side:?}"
            );
            assert_eq!(
                layout.members_below(),
                has_rooms,
                "{width} {rooms} {side:?}"
            );
        }
        let wide = Layout::new(130, 30, wishes(2, None));
        assert!(!wide.members_below() && !wide.rooms.is_empty() && !wide.members.is_empty());
    }
}
