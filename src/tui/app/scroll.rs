//! Moving through a room's scrollback by rows. The place is kept as an item and a row of it, so
//! that it stays whatever arrives below, is dropped above, or becomes of the width.

use super::{
    layout::Columns,
    room::{ItemKey, Outgoing, OutgoingState, Room, Scroll},
    timeline::Entry,
};
use crate::text::wrap::wrap;

/// One thing in the scrollback.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// An entry of the timeline.
    Entry(&'a Entry),
    /// A message of ours on its way.
    Outgoing(&'a Outgoing),
}

/// A row of the scrollback: the position of an item and a row of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The item's position.
    pub index: usize,
    /// The row of it.
    pub row: u32,
}

/// The reason below a message that failed.
pub fn failure(why: &str) -> String {
    format!("not sent: {why}")
}

impl Room {
    /// How many items there are.
    pub fn items(&self) -> usize {
        self.timeline.len() + self.outbox.len()
    }

    /// The item at a position.
    pub fn item(&self, index: usize) -> Option<Item<'_>> {
        match index.checked_sub(self.timeline.len()) {
            None => self.timeline.get(index).map(Item::Entry),
            Some(at) => self.outbox.get(at).map(Item::Outgoing),
        }
    }

    fn item_key(&self, index: usize) -> ItemKey {
        match self.item(index) {
            Some(Item::Outgoing(outgoing)) => ItemKey::Outgoing(outgoing.local),
            _ => ItemKey::Entry(self.timeline.key(index)),
        }
    }

    fn item_index(&self, key: ItemKey) -> usize {
        match key {
            ItemKey::Entry(key) => self.timeline.index(key),
            ItemKey::Outgoing(local) => {
                self.timeline.len() + self.outbox.partition_point(|out| out.local < local)
            }
        }
    }

    /// Whether the line of the unread stands above the item.
    pub fn has_unread_line(&self, index: usize) -> bool {
        index < self.timeline.len() && self.unread_from() == Some(self.timeline.key(index))
    }

    /// Whether a remark stands above the item that older ones were dropped.
    pub fn has_dropped_line(&self, index: usize) -> bool {
        index == 0 && self.timeline.dropped()
    }

    /// Whether the item names its sender: not, if it goes on with the one before.
    pub fn has_head(&self, index: usize) -> bool {
        let before = index.checked_sub(1).and_then(|before| self.item(before));
        match (self.item(index), before) {
            (Some(Item::Entry(entry)), Some(Item::Entry(before))) => {
                self.has_unread_line(index) || !entry.continues(Some(before))
            }
            (Some(Item::Outgoing(_)), Some(Item::Outgoing(_))) => false,
            (Some(Item::Outgoing(_)), Some(Item::Entry(Entry::Message(message)))) => {
                message.own.is_none()
            }
            _ => true,
        }
    }

    /// Rows above an item's text that belong to it.
    pub fn rows_above(&self, index: usize, columns: &Columns) -> u32 {
        let says_something = matches!(
            self.item(index),
            Some(Item::Outgoing(_) | Item::Entry(Entry::Message(_)))
        );
        u32::from(self.has_dropped_line(index))
            + u32::from(self.has_unread_line(index))
            + u32::from(columns.stacked() && says_something && self.has_head(index))
    }

    /// All rows of an item.
    pub fn item_rows(&self, index: usize, columns: &Columns) -> u32 {
        let count = |text: &str| wrap(text, usize::from(columns.body_width)).len();
        let text = match self.item(index) {
            Some(Item::Entry(_)) => self.timeline.text_rows(index, columns.body_width, count),
            Some(Item::Outgoing(outgoing)) => {
                let mut rows = count(outgoing.body.as_str());
                if let OutgoingState::Failed(why) = &outgoing.state {
                    rows += count(&failure(why.as_str()));
                }
                u32::try_from(rows).unwrap_or(u32::MAX)
            }
            None => 0,
        };
        text.saturating_add(self.rows_above(index, columns))
    }

    /// The row that is on top when the end is at the bottom.
    pub fn end_place(&self, columns: &Columns, height: u16) -> Place {
        let mut left = u32::from(height);
        let mut index = self.items();
        while index > 0 && left > 0 {
            index -= 1;
            let rows = self.item_rows(index, columns);
            if rows >= left {
                return Place {
                    index,
                    row: rows - left,
                };
            }
            left -= rows;
        }
        Place { index, row: 0 }
    }

    /// The row that is on top now, and whether that is because the end is at the bottom.
    pub fn top_place(&self, columns: &Columns, height: u16) -> (Place, bool) {
        let end = self.end_place(columns, height);
        let Scroll::At { top, row, .. } = self.scroll else {
            return (end, true);
        };
        let index = self.item_index(top);
        let row = row.min(self.item_rows(index, columns).saturating_sub(1));
        let place = Place { index, row };
        if place < end {
            (place, false)
        } else {
            (end, true)
        }
    }

    /// Moves by rows; down is positive. At the end it follows again.
    pub fn scroll_by(&mut self, rows: i64, columns: &Columns, height: u16) {
        let (mut place, _) = self.top_place(columns, height);
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
        self.scroll_to(place, columns, height);
    }

    /// Goes to the first row that is held.
    pub fn scroll_to_start(&mut self, columns: &Columns, height: u16) {
        self.scroll_to(Place { index: 0, row: 0 }, columns, height);
    }

    /// Goes to the line of the unread, if there is one.
    pub fn scroll_to_unread(&mut self, columns: &Columns, height: u16) {
        if let Some(from) = self.unread_from() {
            let index = self.timeline.index(from);
            self.scroll_to(Place { index, row: 0 }, columns, height);
        }
    }

    /// Messages below the line of the unread, if that is above what is shown and has not been seen.
    pub fn unread_above(&self, columns: &Columns, height: u16) -> usize {
        let Some(from) = self.unread_from().filter(|_| self.unread_line_waits()) else {
            return 0;
        };
        let index = self.timeline.index(from);
        let (top, _) = self.top_place(columns, height);
        if (Place { index, row: 0 }) < top {
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
        let (top, _) = self.top_place(columns, height);
        // No item is without a row, so that those further down need not be counted.
        if (Place { index, row: 0 }) < top || index - top.index > usize::from(height) {
            return;
        }
        let above: u64 = (top.index..index)
            .map(|index| u64::from(self.item_rows(index, columns)))
            .sum();
        if above < u64::from(top.row) + u64::from(height) {
            self.saw_unread_line();
        }
    }

    fn scroll_to(&mut self, place: Place, columns: &Columns, height: u16) {
        if place >= self.end_place(columns, height) {
            self.scroll = Scroll::Follow;
            return;
        }
        let read_to = match self.scroll {
            Scroll::At { read_to, .. } => read_to,
            Scroll::Follow => self.timeline.key(self.timeline.len()),
        };
        self.scroll = Scroll::At {
            top: self.item_key(place.index),
            row: place.row,
            read_to,
        };
        self.look_for_unread_line(columns, height);
    }
}
