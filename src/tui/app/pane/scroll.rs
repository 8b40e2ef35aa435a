//! Moving through a room's scrollback by rows, and folding what is long in it. The place is kept as an item and the row on which
//! its text stands, so that it stays whatever arrives below, is loaded above, is dropped, or
//! becomes of the width.

use jiff::{SignedDuration, civil::Date};

use super::{
    Outgoing, OutgoingState, Pane, Scroll, ScrollItemKey,
    paging::Loading,
    rows::Folded,
    timeline::{Edge, TimelineKey},
    timeline_item::TimelineItem,
};
use crate::{
    text::wrap::{cut, wrap},
    tui::app::layout::Columns,
};

/// One thing in the scrollback.
#[derive(Clone, Copy, Debug)]
pub enum ScrollItem<'a> {
    /// An entry of the timeline.
    Timeline(&'a TimelineItem),
    /// A message of ours on its way.
    Outgoing(&'a Outgoing),
}

/// A row of the scrollback: the position of an item and a row of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowPosition {
    /// The item's position.
    pub index: usize,
    /// The row of it.
    pub row: u32,
}

/// A line that parts an item from what is above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineAbove {
    /// Older entries were dropped, for good.
    Dropped,
    /// What is below has not been read.
    Unread,
    /// Messages are not held, or there are no older ones.
    Edge(Edge),
    /// Another day begins.
    Day(Date),
    /// The server's clock was corrected by so much.
    Clock(SignedDuration),
}

/// The reason below a message that failed.
pub fn failure(why: &str) -> String {
    format!("not sent: {why}")
}

impl Pane {
    /// How many items there are.
    pub fn items(&self) -> usize {
        self.timeline.len() + self.outbox.len()
    }

    /// The item at a position.
    pub fn item(&self, index: usize) -> Option<ScrollItem<'_>> {
        match index.checked_sub(self.timeline.len()) {
            None => self.timeline.get(index).map(ScrollItem::Timeline),
            Some(at) => self.outbox.get(at).map(ScrollItem::Outgoing),
        }
    }

    fn item_key(&self, index: usize) -> ScrollItemKey {
        match self.item(index) {
            Some(ScrollItem::Outgoing(outgoing)) => ScrollItemKey::Outgoing(outgoing.local),
            _ => ScrollItemKey::Timeline(self.timeline.key(index)),
        }
    }

    fn item_index(&self, key: ScrollItemKey) -> usize {
        match key {
            ScrollItemKey::Timeline(key) => self.timeline.index(key),
            ScrollItemKey::Outgoing(local) => {
                self.timeline.len() + self.outbox.partition_point(|out| out.local < local)
            }
        }
    }

    /// Whether the line of the unread stands above the item.
    fn has_unread_line(&self, index: usize) -> bool {
        let Some(from) = self.unread_from() else {
            return false;
        };
        index < self.timeline.len()
            && self.timeline.key(index) >= from
            && (index == 0 || self.timeline.key(index - 1) < from)
    }

    /// Whether the item names its sender: not, if it goes on with the one before.
    pub fn has_head(&self, index: usize) -> bool {
        let before = index.checked_sub(1).and_then(|before| self.item(before));
        match (self.item(index), before) {
            (Some(ScrollItem::Timeline(entry)), Some(ScrollItem::Timeline(before))) => {
                self.has_line_above(index) || !entry.continues(Some(before))
            }
            (Some(ScrollItem::Outgoing(_)), Some(ScrollItem::Outgoing(_))) => false,
            (
                Some(ScrollItem::Outgoing(_)),
                Some(ScrollItem::Timeline(TimelineItem::Message(message))),
            ) => message.own.is_none(),
            _ => true,
        }
    }

    /// Whether a line parts the item from the one before.
    pub fn has_line_above(&self, index: usize) -> bool {
        !self.lines_above(index).is_empty()
    }

    fn line_count(&self, index: usize) -> u32 {
        u32::try_from(self.lines_above(index).len()).unwrap_or(0)
    }

    /// The lines above an item, from the top. Each is one row, whatever it says.
    pub fn lines_above(&self, index: usize) -> Vec<LineAbove> {
        let mut lines = Vec::new();
        if index == 0 && self.timeline.dropped() {
            lines.push(LineAbove::Dropped);
        }
        let edge = self.timeline.edge(index);
        let unread = self.unread_from().filter(|_| self.has_unread_line(index));
        // Where the first unread is not loaded, the line stands above what is not loaded.
        let unread_first =
            matches!((edge, unread), (Some(Edge::Gap(gap)), Some(from)) if from.number() <= gap.to);
        if unread_first {
            lines.push(LineAbove::Unread);
        }
        lines.extend(edge.map(LineAbove::Edge));
        if unread.is_some() && !unread_first {
            lines.push(LineAbove::Unread);
        }
        if let Some(ScrollItem::Timeline(entry)) = self.item(index) {
            lines.extend(entry.clock_corrected().map(LineAbove::Clock));
        }
        lines.extend(self.timeline.day_above(index).map(LineAbove::Day));
        lines
    }

    /// Rows above an item's text that belong to it.
    pub fn rows_above(&self, index: usize, columns: &Columns) -> u32 {
        let says_something = matches!(
            self.item(index),
            Some(ScrollItem::Outgoing(_) | ScrollItem::Timeline(TimelineItem::Message(_)))
        );
        self.line_count(index)
            + u32::from(columns.stacked() && says_something && self.has_head(index))
    }

    fn text_rows(&self, index: usize, columns: &Columns) -> u32 {
        let count = |text: &str| wrap(text, usize::from(columns.body_width)).len();
        match self.item(index) {
            Some(ScrollItem::Timeline(entry)) if entry.is_verbatim() => {
                let count = |text: &str| cut(text, usize::from(columns.alone)).len();
                self.timeline.text_rows(index, columns.alone, count)
            }
            Some(item) => {
                let rows = match self.folded(index, columns) {
                    Some(folded) => folded.rows(),
                    None => self.whole_rows(index, columns),
                };
                rows.saturating_add(match item {
                    ScrollItem::Outgoing(Outgoing {
                        state: OutgoingState::Failed(why),
                        ..
                    }) => u32::try_from(count(&failure(why.as_str()))).unwrap_or(u32::MAX),
                    _ => 0,
                })
            }
            None => 0,
        }
    }

    /// The rows of an item's text, whether they are shown or not.
    fn whole_rows(&self, index: usize, columns: &Columns) -> u32 {
        let width = columns.body_width;
        let count = |text: &str| wrap(text, usize::from(width)).len();
        match self.item(index) {
            Some(ScrollItem::Timeline(_)) => self.timeline.text_rows(index, width, count),
            Some(ScrollItem::Outgoing(outgoing)) => {
                outgoing.rows.at(width, || count(outgoing.body.as_str()))
            }
            None => 0,
        }
    }

    /// How the item's text is folded, if it is: messages are, where they are long and the reader
    /// does not want to see all of them.
    pub fn folded(&self, index: usize, columns: &Columns) -> Option<Folded> {
        let unfolded = match self.item(index)? {
            ScrollItem::Timeline(TimelineItem::Message(message)) => message.unfolded,
            ScrollItem::Outgoing(outgoing) => outgoing.unfolded,
            ScrollItem::Timeline(_) => true,
        };
        if unfolded {
            return None;
        }
        columns.folding.of(self.whole_rows(index, columns))
    }

    fn set_unfolded(&mut self, index: usize, unfolded: bool) {
        if let Some(at) = index.checked_sub(self.timeline.len()) {
            if let Some(outgoing) = self.outbox.get_mut(at) {
                outgoing.unfolded = unfolded;
            }
        } else if let Some(TimelineItem::Message(message)) = self.timeline.get_mut(index) {
            message.unfolded = unfolded;
        }
    }

    /// The items on the screen, and the row of it on which each begins.
    fn on_screen(&self, columns: &Columns, height: u16) -> Vec<(usize, i64)> {
        let (top, _) = self.top_place(columns, height);
        let mut row = i64::from(self.blank_rows(top, columns, height)) - i64::from(top.row);
        let mut items = Vec::new();
        for index in top.index..self.items() {
            if row >= i64::from(height) {
                break;
            }
            items.push((index, row));
            row += i64::from(self.item_rows(index, columns));
        }
        items
    }

    /// The rows that stay blank above the first item: what is short stands at the bottom.
    pub fn blank_rows(&self, top: RowPosition, columns: &Columns, height: u16) -> u16 {
        if top.index > 0 {
            return 0;
        }
        let mut rows: u32 = 0;
        for index in 0..self.items() {
            rows = rows.saturating_add(self.item_rows(index, columns));
            if rows >= u32::from(height) {
                return 0;
            }
        }
        height - u16::try_from(rows).unwrap_or(height)
    }

    /// Shows all of the folded message whose last row is lowest on the screen; where there is none,
    /// of the next one above. False where nothing is folded.
    pub fn unfold(&mut self, columns: &Columns, height: u16) -> bool {
        let shown = self.on_screen(columns, height);
        let folded = |(index, _): &&(usize, i64)| self.folded(*index, columns).is_some();
        if let Some(&(index, row)) = shown.iter().rev().find(folded) {
            self.unfold_shown(index, row, columns);
            return true;
        }
        let above = shown.first().map_or(0, |(index, _)| *index);
        let mut above = (0..above).rev();
        let Some(index) = above.find(|index| self.folded(*index, columns).is_some()) else {
            return false;
        };
        self.set_unfolded(index, true);
        self.scroll_to(RowPosition { index, row: 0 }, columns, height);
        true
    }

    /// Shows all of the folded message whose count of rows stands on this row of the screen, if one
    /// does.
    pub fn unfold_at(&mut self, row: u16, columns: &Columns, height: u16) {
        let clicked = i64::from(row);
        let shown = self.on_screen(columns, height);
        let count = |(index, row): &&(usize, i64)| {
            let folded = self.folded(*index, columns);
            folded.is_some_and(|folded| {
                let above = self.rows_above(*index, columns);
                row + i64::from(above) + i64::from(folded.shown) == clicked
            })
        };
        if let Some(&(index, row)) = shown.iter().find(count) {
            self.unfold_shown(index, row, columns);
        }
    }

    /// What is looked at stays: the text goes on below it.
    fn unfold_shown(&mut self, index: usize, row: i64, columns: &Columns) {
        self.set_unfolded(index, true);
        self.hold(index, row + i64::from(self.rows_above(index, columns)));
    }

    /// Folds all messages again. One that began above the screen begins on its first row then.
    pub fn fold(&mut self, columns: &Columns, height: u16) {
        let (top, follows) = self.top_place(columns, height);
        let before = self.item_rows(top.index, columns);
        for index in 0..self.items() {
            self.set_unfolded(index, false);
        }
        if !follows && self.item_rows(top.index, columns) != before {
            let row = self.rows_above(top.index, columns).min(top.row);
            let index = top.index;
            self.scroll_to(RowPosition { index, row }, columns, height);
        }
    }

    /// Goes to a part of a message's text, given by its first byte: it stands a third down, and is
    /// shown even if the message is folded.
    pub fn scroll_to_part(
        &mut self,
        key: TimelineKey,
        byte: usize,
        columns: &Columns,
        height: u16,
    ) {
        let index = self.timeline.index(key);
        let Some(entry) = self.timeline.get(index) else {
            return;
        };
        let rows = wrap(entry.text(), usize::from(columns.body_width));
        let row = rows.iter().take_while(|row| row.next <= byte).count();
        let row = u32::try_from(row).unwrap_or(u32::MAX);
        let folded = self.folded(index, columns);
        if folded.is_some_and(|folded| row >= folded.shown) {
            self.set_unfolded(index, true);
        }
        if row < u32::from(height / 2) {
            return self.scroll_to_key(key, true, columns, height);
        }
        let row = row.saturating_add(self.rows_above(index, columns));
        let place = self.step(RowPosition { index, row }, -i64::from(height / 3), columns);
        self.paging.down = false;
        self.scroll_to(place, columns, height);
    }

    /// All rows of an item.
    pub fn item_rows(&self, index: usize, columns: &Columns) -> u32 {
        self.text_rows(index, columns)
            .saturating_add(self.rows_above(index, columns))
    }

    /// The row that is on top when the end is at the bottom.
    pub fn end_place(&self, columns: &Columns, height: u16) -> RowPosition {
        let mut left = u32::from(height);
        let mut index = self.items();
        while index > 0 && left > 0 {
            index -= 1;
            let rows = self.item_rows(index, columns);
            if rows >= left {
                return RowPosition {
                    index,
                    row: rows - left,
                };
            }
            left -= rows;
        }
        RowPosition { index, row: 0 }
    }

    /// The row that is on top now, and whether that is because the end is at the bottom.
    pub fn top_place(&self, columns: &Columns, height: u16) -> (RowPosition, bool) {
        let end = self.end_place(columns, height);
        let Scroll::At { item, row, .. } = self.scroll else {
            return (end, true);
        };
        let index = self.item_index(item);
        let above = i64::from(self.rows_above(index, columns));
        let place = self.step(RowPosition { index, row: 0 }, above - row, columns);
        if place < end {
            (place, false)
        } else {
            (end, true)
        }
    }

    /// The row so many rows further down, or up: at most the first, or the one after the last.
    fn step(&self, from: RowPosition, rows: i64, columns: &Columns) -> RowPosition {
        let mut place = from;
        let mut left = rows.unsigned_abs();
        if rows < 0 {
            while left > 0 {
                let step = left.min(u64::from(place.row));
                place.row -= u32::try_from(step).unwrap_or(u32::MAX);
                left -= step;
                if left == 0 || place.index == 0 {
                    break;
                }
                place.index -= 1;
                place.row = self.item_rows(place.index, columns).saturating_sub(1);
                left -= 1;
            }
        } else {
            while left > 0 && place.index < self.items() {
                let below = self
                    .item_rows(place.index, columns)
                    .saturating_sub(place.row);
                if left < u64::from(below) {
                    place.row += u32::try_from(left).unwrap_or(0);
                    break;
                }
                left -= u64::from(below);
                place.index += 1;
                place.row = 0;
            }
        }
        place
    }

    /// Moves by rows; down is positive. At the end it follows again.
    pub fn scroll_by(&mut self, rows: i64, columns: &Columns, height: u16) {
        let (place, _) = self.top_place(columns, height);
        let place = if rows > 0 {
            let last = i64::from(height) - 1;
            let bottom = self.step(place, last, columns);
            let to = self.step(bottom, rows, columns);
            match self.gap_between(bottom, to) {
                Some(gap) => self.step(gap, -last, columns),
                None => self.step(place, rows, columns),
            }
        } else {
            let to = self.step(place, rows, columns);
            self.gap_between(to, place).unwrap_or(to)
        };
        self.paging.down = rows > 0;
        self.scroll_to(place, columns, height);
    }

    /// The line of a gap that is going to be loaded, where it stands between two places: nobody
    /// passes it unawares.
    fn gap_between(&self, above: RowPosition, below: RowPosition) -> Option<RowPosition> {
        (above.index..=below.index).find_map(|index| {
            let lines = self.lines_above(index);
            let line = lines.iter().position(|line| match line {
                LineAbove::Edge(Edge::Gap(gap)) if gap.loadable => {
                    !matches!(self.loading(gap), Loading::Failed(_))
                }
                _ => false,
            })?;
            let row = u32::try_from(line).ok()?;
            let place = RowPosition { index, row };
            (above <= place && place <= below).then_some(place)
        })
    }

    /// Goes to the first row that is held.
    pub fn scroll_to_start(&mut self, columns: &Columns, height: u16) {
        self.scroll_to(RowPosition { index: 0, row: 0 }, columns, height);
    }

    /// Goes to an entry: what stands above its text is on top, or it stands a third down where
    /// what was said before it is to be seen too.
    pub fn scroll_to_key(
        &mut self,
        key: TimelineKey,
        in_context: bool,
        columns: &Columns,
        height: u16,
    ) {
        let index = self.timeline.index(key);
        let mut place = RowPosition { index, row: 0 };
        if in_context {
            place = self.step(place, -i64::from(height / 3), columns);
        } else if let Some(LineAbove::Edge(Edge::Gap(_))) = self.lines_above(index).first() {
            // It goes once what is above is loaded.
            place.row = 1;
        }
        self.paging.down = false;
        self.scroll_to(place, columns, height);
    }

    /// Goes to the text of an entry: nothing of what stands above it is shown.
    pub fn scroll_to_text(&mut self, key: TimelineKey, columns: &Columns, height: u16) {
        let index = self.timeline.index(key);
        let row = self.rows_above(index, columns);
        self.paging.down = false;
        self.scroll_to(RowPosition { index, row }, columns, height);
    }

    /// Messages below the line of the unread, if that is above what is shown and has not been seen.
    pub fn unread_above(&self, columns: &Columns, height: u16) -> u64 {
        let Some(from) = self.unread_from().filter(|_| self.unread_line_waits()) else {
            return 0;
        };
        let index = self.timeline.index(from);
        let (top, _) = self.top_place(columns, height);
        if (RowPosition { index, row: 0 }) < top {
            self.unread()
        } else {
            0
        }
    }

    /// Remembers that the line of the unread has been seen, if it is among what is shown.
    pub fn look_for_unread_line(&mut self, columns: &Columns, height: u16) {
        let Some(from) = self.unread_from().filter(|_| self.unread_line_waits()) else {
            return;
        };
        let index = self.timeline.index(from);
        // What is still arriving may push the line out of sight before it is drawn.
        if index >= self.timeline.len() || self.timeline.last() < self.head {
            return;
        }
        let (top, _) = self.top_place(columns, height);
        // No item is without a row, so that those further down need not be counted.
        if (RowPosition { index, row: 0 }) < top || index - top.index > usize::from(height) {
            return;
        }
        if self.screen_row(index, top, columns) < i64::from(height) {
            self.saw_unread_line();
        }
    }

    /// The row of the screen on which an item at or below the top begins.
    fn screen_row(&self, index: usize, top: RowPosition, columns: &Columns) -> i64 {
        let above = |index| i64::from(self.item_rows(index, columns));
        (top.index..index).map(above).sum::<i64>() - i64::from(top.row)
    }

    fn scroll_to(&mut self, place: RowPosition, columns: &Columns, height: u16) {
        if place >= self.end_place(columns, height) {
            self.scroll = Scroll::Follow;
            return;
        }
        let above = i64::from(self.rows_above(place.index, columns));
        self.hold(place.index, above - i64::from(place.row));
        self.look_for_unread_line(columns, height);
    }

    /// From now on this item's text stands on this row.
    fn hold(&mut self, index: usize, row: i64) {
        let read_to = match self.scroll {
            Scroll::At { read_to, .. } => read_to,
            Scroll::Follow => self.timeline.key(self.timeline.len()),
        };
        self.scroll = Scroll::At {
            item: self.item_key(index),
            row,
            read_to,
        };
    }

    /// Before messages from `from` to `to` are inserted: decides what stays where it is. Where the
    /// gap that they belong to is on the screen, it is what the reader comes from: below the gap
    /// when they were loaded for somebody who goes up, above it for one who goes down.
    pub fn hold_around(&mut self, to: u64, down: bool, columns: &Columns, height: u16) {
        let (top, follows) = self.top_place(columns, height);
        let below = self.timeline.index(self.timeline.key_of(to + 1));
        if follows || below < top.index || below - top.index > usize::from(height) {
            return;
        }
        let row = self.screen_row(below, top, columns);
        let seen = row < i64::from(height) && row + i64::from(self.line_count(below)) > 0;
        if !seen || self.timeline.gap(below).is_none() {
            return;
        }
        match below.checked_sub(1).filter(|_| down) {
            Some(above) => self.hold(above, row - i64::from(self.text_rows(above, columns))),
            None => self.hold(below, row + i64::from(self.rows_above(below, columns))),
        }
    }

    /// The numbers of the first and the last message on the screen, where there are any.
    pub fn numbers_shown(&self, columns: &Columns, height: u16) -> Option<(u64, u64)> {
        let (top, _) = self.top_place(columns, height);
        let mut row = -i64::from(top.row);
        let mut shown: Option<(u64, u64)> = None;
        for index in top.index..self.timeline.len() {
            row += i64::from(self.item_rows(index, columns));
            // A message counts once it was there to its end.
            if row > i64::from(height) {
                break;
            }
            let key = self.timeline.key(index);
            if key.is_numbered() {
                let seq = key.number();
                shown = Some((shown.map_or(seq, |(first, _)| first), seq));
            }
        }
        shown
    }
}
