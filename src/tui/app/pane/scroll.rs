//! Scrolling through a room's scrollback by rows, and folding long messages. The position is stored
//! as an item and the screen row of its text, so that it stays when messages arrive below, are
//! loaded above or dropped, or the width changes.

use jiff::{SignedDuration, civil::Date};

use super::{
    Outgoing, Pane, Scroll, ScrollItemKey,
    paging::Loading,
    rows::Folded,
    timeline::{Edge, TimelineKey},
    timeline_item::TimelineItem,
};
use crate::{
    text::wrap::{cut, wrap},
    tui::app::layout::Columns,
};

/// An item of the scrollback.
#[derive(Clone, Copy, Debug)]
pub enum ScrollItem<'a> {
    /// An entry of the timeline.
    Timeline(&'a TimelineItem),
    /// One of our messages that is not acknowledged.
    Outgoing(&'a Outgoing),
}

/// A row of the scrollback: the index of an item and a row of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowPosition {
    /// The item's index.
    pub index: usize,
    /// The row of it.
    pub row: u32,
}

/// A line that separates an item from the one above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineAbove {
    /// Older entries were dropped and can't be loaded again.
    Dropped,
    /// The messages below are unread.
    Unread,
    /// Messages are not loaded, or there are no older ones.
    Edge(Edge),
    /// Another day begins.
    Day(Date),
    /// The server's clock was corrected by this much.
    Clock(SignedDuration),
}

impl Pane {
    /// The number of items.
    pub fn items(&self) -> usize {
        self.timeline.len() + self.outbox.len()
    }

    /// The item at an index.
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

    /// Whether the unread line is above the item.
    fn has_unread_line(&self, index: usize) -> bool {
        let Some(from) = self.unread_from() else {
            return false;
        };
        index < self.timeline.len()
            && self.timeline.key(index) >= from
            && (index == 0 || self.timeline.key(index - 1) < from)
    }

    /// Whether the item shows its sender: not if it continues the one before.
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
            ) => message.own.is_none() || message.is_event(),
            _ => true,
        }
    }

    /// Whether a line separates the item from the one before.
    pub fn has_line_above(&self, index: usize) -> bool {
        !self.lines_above(index).is_empty()
    }

    fn line_count(&self, index: usize) -> u32 {
        u32::try_from(self.lines_above(index).len()).unwrap_or(0)
    }

    /// The lines above an item, from the top, one row each.
    pub fn lines_above(&self, index: usize) -> Vec<LineAbove> {
        let mut lines = Vec::new();
        if index == 0 && self.timeline.dropped() {
            lines.push(LineAbove::Dropped);
        }
        let edge = self.timeline.edge(index);
        let unread = self.unread_from().filter(|_| self.has_unread_line(index));
        // If the first unread message is not loaded, the unread line is above the gap.
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

    /// The rows above an item's text that belong to the item.
    pub fn rows_above(&self, index: usize, columns: &Columns) -> u32 {
        let says_something = match self.item(index) {
            Some(ScrollItem::Outgoing(_)) => true,
            Some(ScrollItem::Timeline(item)) => item.is_said(),
            None => false,
        };
        self.line_count(index)
            + u32::from(columns.stacked() && says_something && self.has_head(index))
    }

    pub(super) fn text_rows(&self, index: usize, columns: &Columns) -> u32 {
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
                    ScrollItem::Outgoing(outgoing) => {
                        let failure = outgoing.failure();
                        let rows = failure.map_or(0, |failure| count(&failure));
                        u32::try_from(rows).unwrap_or(u32::MAX)
                    }
                    ScrollItem::Timeline(_) => 0,
                })
            }
            None => 0,
        }
    }

    /// The rows of an item's text without folding.
    fn whole_rows(&self, index: usize, columns: &Columns) -> u32 {
        let width = columns.body_width;
        let count = |text: &str| wrap(text, usize::from(width)).len();
        match self.item(index) {
            Some(ScrollItem::Timeline(_)) => self.timeline.text_rows(index, width, count),
            Some(ScrollItem::Outgoing(outgoing)) => {
                outgoing.rows.at(width, || count(outgoing.text()))
            }
            None => 0,
        }
    }

    /// The folding of an item's text, if it is folded: messages are, if they are long and the
    /// reader has not unfolded them.
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

    /// The items on the screen, and the screen row on which each begins.
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

    /// The blank rows above the first item: few messages are shown at the bottom.
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

    /// Unfolds the lowest folded message on the screen, else the next one above. Returns false if
    /// nothing is folded.
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

    /// Unfolds the message whose count of hidden rows is on this screen row, if there is one.
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

    /// Unfolds an item and keeps its position: the text continues below.
    fn unfold_shown(&mut self, index: usize, row: i64, columns: &Columns) {
        self.set_unfolded(index, true);
        self.hold(index, row + i64::from(self.rows_above(index, columns)));
    }

    /// Folds all messages again. One that began above the screen then begins on its first row.
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

    /// Goes to a part of a message's text, given by its first byte: it appears a third down the
    /// screen, and the message is unfolded if it must be.
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
        let rows = wrap(&entry.text(), usize::from(columns.body_width));
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

    /// The top row when the end is at the bottom.
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

    /// The top row now, and whether the end is at the bottom.
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

    /// The row this many rows further down, or up: at least the first, at most the one after the
    /// last.
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

    /// Moves by rows; down is positive. At the end it follows new messages again.
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

    /// The line of a loadable gap between two positions, if any: scrolling stops there, so that
    /// nobody skips a gap without noticing.
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

    /// Goes to the first loaded row.
    pub fn scroll_to_start(&mut self, columns: &Columns, height: u16) {
        self.scroll_to(RowPosition { index: 0, row: 0 }, columns, height);
    }

    /// Goes to an entry: the lines above its text are on top; or, `in_context`, it is a third down
    /// the screen with earlier messages above.
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
            // The gap's line disappears once the messages above are loaded.
            place.row = 1;
        }
        self.paging.down = false;
        self.scroll_to(place, columns, height);
    }

    /// Goes to the text of an entry, without the lines above it.
    pub fn scroll_to_text(&mut self, key: TimelineKey, columns: &Columns, height: u16) {
        let index = self.timeline.index(key);
        let row = self.rows_above(index, columns);
        self.paging.down = false;
        self.scroll_to(RowPosition { index, row }, columns, height);
    }

    /// The messages below the unread line, if that is above the screen and the reader has not seen
    /// it.
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

    /// Remembers that the reader has seen the unread line, if it is on the screen.
    pub fn look_for_unread_line(&mut self, columns: &Columns, height: u16) {
        let Some(from) = self.unread_from().filter(|_| self.unread_line_waits()) else {
            return;
        };
        let index = self.timeline.index(from);
        // Messages that are still arriving may push the line off the screen before it is drawn.
        if index >= self.timeline.len() || self.timeline.last() < self.head {
            return;
        }
        let (top, _) = self.top_place(columns, height);
        // Every item has a row, so those further down need not be counted.
        if (RowPosition { index, row: 0 }) < top || index - top.index > usize::from(height) {
            return;
        }
        if self.screen_row(index, top, columns) < i64::from(height) {
            self.saw_unread_line();
        }
    }

    /// The screen row on which an item at or below the top begins.
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

    /// Fixes an item's text to a screen row.
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

    /// Called before the text of a timeline item changes: chooses the item that keeps its position.
    /// It is the topmost on the screen; if that is the one that changes and begins above the screen,
    /// the one below it.
    pub(super) fn hold_still(&mut self, index: usize, columns: &Columns, height: u16) {
        let (top, follows) = self.top_place(columns, height);
        if follows {
            return;
        }
        let below = top.index + 1;
        let row = self.screen_row(below, top, columns);
        if index == top.index && top.row > 0 && row < i64::from(height) && below < self.items() {
            self.hold(below, row + i64::from(self.rows_above(below, columns)));
        } else {
            let above = i64::from(self.rows_above(top.index, columns));
            self.hold(top.index, above - i64::from(top.row));
        }
    }

    /// Called before messages `from` to `to` are inserted: chooses the item that keeps its
    /// position. If their gap is on the screen, it is the item on the reader's side: below the gap
    /// for a reader who goes up, above it for one who goes down.
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

    /// The numbers of the first and the last message on the screen, if any.
    pub fn numbers_shown(&self, columns: &Columns, height: u16) -> Option<(u64, u64)> {
        let (top, _) = self.top_place(columns, height);
        let mut row = -i64::from(top.row);
        let mut shown: Option<(u64, u64)> = None;
        for index in top.index..self.timeline.len() {
            row += i64::from(self.item_rows(index, columns));
            // A message counts if its end is on the screen.
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
