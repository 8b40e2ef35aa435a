//! The room list: its rows in order, the part of them that fits into a column, and the hot list,
//! which is one row of the rooms with something new.

use std::{cmp::Reverse, collections::HashMap};

use jiff::Timestamp;

use super::{
    pane::{Counts, Pane, PaneKey},
    panes::Panes,
};
use crate::{protocol::UserId, text};

/// The counts above this are shown as this and a plus sign.
const COUNT_MAX: u64 = 99;

/// A row of the room list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct RoomRow {
    /// The index of its pane.
    pub at: usize,
    /// Whether it is a direct conversation.
    pub direct: bool,
    /// Its name, without a sign.
    pub name: String,
    /// What is new in it; shown in one way each.
    pub news: News,
    /// Whether a draft waits in it.
    pub draft: bool,
    /// Whether it is the room on the screen.
    pub current: bool,
    /// Whether it is a favourite.
    favourite: bool,
    /// The time of its last message.
    active: Option<Timestamp>,
}

/// What is new in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// This many unread messages mention the reader.
    Mentions(u64),
    /// This many messages are unread.
    Unread(u64),
    /// Nothing.
    Nothing,
    /// The reader does not want to know.
    Muted,
}

impl News {
    fn new(pane: &Pane) -> Self {
        match pane.counts() {
            Counts { mentions: 1.., .. } if pane.is_muted() && pane.is_direct() => Self::Muted,
            Counts {
                mentions: n @ 1.., ..
            } => Self::Mentions(n),
            _ if pane.is_muted() => Self::Muted,
            Counts {
                unread: n @ 1.., ..
            } => Self::Unread(n),
            Counts { .. } => Self::Nothing,
        }
    }

    /// Whether there is something to read.
    pub fn is_some(self) -> bool {
        matches!(self, Self::Mentions(_) | Self::Unread(_))
    }

    /// The text beside the room's name: `@1`, `4`.
    pub fn badge(self) -> String {
        match self {
            Self::Mentions(n) => format!("@{}", count(n)),
            Self::Unread(n) => count(n),
            Self::Nothing | Self::Muted => String::new(),
        }
    }
}

/// A count as the room list shows it.
pub fn count(n: u64) -> String {
    if n > COUNT_MAX {
        format!("{COUNT_MAX}+")
    } else {
        n.to_string()
    }
}

impl RoomRow {
    fn new(at: usize, pane: &Pane, own: Option<UserId>, current: bool) -> Self {
        let label = pane.label(own);
        let name = label.trim_start_matches(['#', '@']).to_owned();
        Self {
            at,
            direct: pane.is_direct(),
            name,
            news: News::new(pane),
            draft: !current && !pane.composer.draft().text.is_empty(),
            current,
            favourite: pane.read_state.preferences.favourite,
            active: pane.active(),
        }
    }

    /// The sign of its kind: a room or people.
    pub fn sigil(&self) -> &'static str {
        if self.direct { "@" } else { "#" }
    }

    /// Its name where no sign stands before it: `#build`, `bob`.
    pub fn label(&self) -> String {
        let sigil = if self.direct { "" } else { "#" };
        format!("{sigil}{}", self.name)
    }

    /// The order of the list: mentions, unread, favourites, the rest; in each the latest first.
    fn place(&self) -> (u8, Reverse<Option<Timestamp>>, &str) {
        let group = match self.news {
            News::Mentions(_) => 0,
            News::Unread(_) => 1,
            News::Nothing | News::Muted if self.favourite => 2,
            News::Nothing | News::Muted => 3,
        };
        (group, Reverse(self.active), &self.name)
    }
}

/// The rows of all panes. An order that is held stays, with later rooms below it.
pub fn rows(panes: &Panes, held: Option<&[PaneKey]>, own: Option<UserId>) -> Vec<RoomRow> {
    let all = panes.iter().enumerate();
    let row = |(at, pane)| RoomRow::new(at, pane, own, at == panes.focus());
    let mut rows: Vec<_> = all.map(row).collect();
    rows.sort_by(|a, b| a.place().cmp(&b.place()));
    if let Some(held) = held {
        let places: HashMap<_, _> = held
            .iter()
            .enumerate()
            .filter_map(|(place, key)| Some((panes.find(key)?, place)))
            .collect();
        rows.sort_by_key(|row| places.get(&row.at).copied().unwrap_or(usize::MAX));
    }
    rows
}

/// The room to go to for what is new: the first other room with mentions, else with unread
/// messages.
pub fn next_unread(rows: &[RoomRow]) -> Option<&RoomRow> {
    let mut others: Vec<_> = rows
        .iter()
        .filter(|row| !row.current && row.news.is_some())
        .collect();
    others.sort_by_key(|row| !matches!(row.news, News::Mentions(_)));
    others.first().copied()
}

/// What a line of the column shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A room.
    Room(&'a RoomRow),
    /// The number of rooms for which there is no line.
    More(usize),
}

/// The lines of a column of this height. The room on the screen always has one.
pub fn lines(rows: &[RoomRow], height: u16) -> Vec<Line<'_>> {
    let height = usize::from(height);
    if rows.len() <= height {
        return rows.iter().map(Line::Room).collect();
    }
    let mut shown: Vec<_> = rows.iter().take(height.saturating_sub(1)).collect();
    let current = rows.iter().find(|row| row.current);
    if let (Some(current), Some(last)) = (current, shown.last_mut())
        && !rows[..height - 1].contains(current)
    {
        *last = current;
    }
    let more = rows.len() - shown.len();
    let rooms = shown.into_iter().map(Line::Room);
    rooms
        .chain((height > 0).then_some(Line::More(more)))
        .collect()
}

/// A room in the hot list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HotRoom<'a> {
    /// The room.
    pub row: &'a RoomRow,
    /// The first column.
    pub from: u16,
    /// Its columns, with its count.
    pub width: u16,
}

/// The row of the rooms with something new, after the one on the screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HotList<'a> {
    /// The rooms that fit.
    pub rooms: Vec<HotRoom<'a>>,
    /// The number of those that do not fit, and the column of that number.
    pub more: Option<(usize, u16)>,
}

/// Between two rooms of the hot list.
pub const BETWEEN: &str = " · ";

impl<'a> HotList<'a> {
    /// The hot list for a row of this width.
    pub fn new(rows: &'a [RoomRow], width: u16) -> Self {
        let current = rows.iter().filter(|row| row.current);
        let mut hot: Vec<_> = rows
            .iter()
            .filter(|row| !row.current && row.news.is_some())
            .collect();
        hot.sort_by_key(|row| !matches!(row.news, News::Mentions(_)));
        let rooms: Vec<_> = current.chain(hot).collect();
        let mut list = Self::default();
        let mut from = 0;
        for (index, row) in rooms.iter().enumerate() {
            let badge = row.news.badge();
            let mut taken = columns(&row.label());
            if !badge.is_empty() {
                taken += 1 + columns(&badge);
            }
            let left = rooms.len() - index;
            // Room for the number of those that would not fit behind it.
            let reserved = if left > 1 {
                columns(BETWEEN) + columns(&format!("+{}", left - 1))
            } else {
                0
            };
            if from + taken + reserved > width {
                list.more = Some((left, from));
                break;
            }
            list.rooms.push(HotRoom {
                row,
                from,
                width: taken,
            });
            from += taken + columns(BETWEEN);
        }
        list
    }

    /// The room at a column.
    pub fn at(&self, column: u16) -> Option<&'a RoomRow> {
        let mut rooms = self.rooms.iter();
        let room = rooms.find(|room| (room.from..room.from + room.width).contains(&column))?;
        Some(room.row)
    }
}

fn columns(words: &str) -> u16 {
    u16::try_from(text::width(words)).unwrap_or(u16::MAX)
}
