//! What a room's scrollback holds: a bounded list of entries, each with a key that never changes,
//! so that a place in it survives whatever arrives or is dropped.

use std::{cell::Cell, collections::VecDeque, ops::Range};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{
    client::event::LocalId,
    protocol::{Nickname, UserId},
    text::Body,
};

/// Entries that a room keeps in memory; the oldest go first.
pub const ENTRIES_MAX: usize = 10_000;
/// Bytes of text that a room keeps in memory, counted over its entries; the oldest go first.
pub const BYTES_MAX: usize = 16 << 20;
/// Changes of presence that one folded entry holds before another is begun.
const FOLDED_MAX: usize = 64;
/// A sender who goes on within so many seconds is not named again.
const RUN_SECONDS_MAX: i64 = 5 * 60;

/// One thing in the scrollback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A message that is in the room's log (or that a basic server was handed).
    Message(Message),
    /// The local day on which everything below it happened.
    Day(Date),
    /// People came, went, or changed their names, one after another.
    Presence {
        /// When the first of it happened.
        time: Timestamp,
        /// What happened, in order.
        changes: Vec<Change>,
        /// The same as a sentence.
        text: String,
    },
    /// A remark of the program or the server.
    Notice {
        /// When.
        time: Timestamp,
        /// One plain sentence.
        text: String,
    },
    /// Messages are missing here.
    Gap {
        /// How many.
        missing: u64,
        /// The same as a sentence.
        text: String,
    },
    /// What is below belongs to another log than what is above.
    Break {
        /// Why, in a few words.
        text: String,
    },
}

/// A message as the scrollback holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number in the room; `None` on a basic server.
    pub seq: Option<u64>,
    /// Who; `None` on a basic server.
    pub user: Option<UserId>,
    /// What the sender was called.
    pub nickname: Nickname,
    /// When.
    pub time: Timestamp,
    /// The text.
    pub body: Body,
    /// The parts of the text that are not plain.
    pub marks: Vec<Mark>,
    /// What is known about it, where it is one of ours.
    pub own: Option<Own>,
}

/// What is known about one of our own messages in the scrollback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// It is in the log.
    Sent,
    /// It was written to a server that never confirms; or that was only slow to say that it does.
    Unconfirmed(LocalId),
}

/// A part of a text that stands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which bytes of the text.
    pub range: Range<usize>,
    /// What it is.
    pub kind: MarkKind,
}

/// Why a part of a text stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// Our own nickname.
    Mention,
    /// An address on the web.
    Link,
}

/// One change of presence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Came in.
    Joined(Nickname),
    /// Went.
    Left(Nickname, &'static str),
    /// Took another nickname: before, now.
    Renamed(Nickname, Nickname),
    /// Went and came again, within what is folded.
    Returned(Nickname),
    /// Came and went again, within what is folded.
    Visited(Nickname),
}

impl Entry {
    /// The text that is wrapped to the width; nothing for a line of its own kind.
    pub fn text(&self) -> &str {
        match self {
            Self::Message(message) => message.body.as_str(),
            Self::Presence { text, .. }
            | Self::Notice { text, .. }
            | Self::Gap { text, .. }
            | Self::Break { text } => text,
            Self::Day(_) => "",
        }
    }

    /// When it happened, where that is told.
    pub fn time(&self) -> Option<Timestamp> {
        match self {
            Self::Message(message) => Some(message.time),
            Self::Presence { time, .. } | Self::Notice { time, .. } => Some(*time),
            Self::Day(_) | Self::Gap { .. } | Self::Break { .. } => None,
        }
    }

    /// Whether this message goes on with the sender of `before`, so that he need not be named
    /// again.
    pub fn continues(&self, before: Option<&Self>) -> bool {
        let (Self::Message(this), Some(Self::Message(before))) = (self, before) else {
            return false;
        };
        this.nickname == before.nickname
            && this.user == before.user
            && this.time.as_second() - before.time.as_second() <= RUN_SECONDS_MAX
    }
}

/// The scrollback of one room.
#[derive(Debug, Default)]
pub struct Timeline {
    slots: VecDeque<Slot>,
    /// The key of the first slot; keys are consecutive.
    first_key: u64,
    bytes: usize,
    dropped: bool,
}

#[derive(Debug)]
struct Slot {
    entry: Entry,
    /// Rows of the text at a width, so that scrolling does not wrap again what it passes.
    rows: Cell<(u16, u32)>,
}

impl Timeline {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether older entries were dropped to keep within the limits.
    pub fn dropped(&self) -> bool {
        self.dropped
    }

    /// The entry at a position.
    pub fn get(&self, index: usize) -> Option<&Entry> {
        self.slots.get(index).map(|slot| &slot.entry)
    }

    /// The last entry.
    pub fn last(&self) -> Option<&Entry> {
        self.slots.back().map(|slot| &slot.entry)
    }

    /// All entries, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.slots.iter().map(|slot| &slot.entry)
    }

    /// The key of the entry at a position, also of the one that comes next.
    pub fn key(&self, index: usize) -> u64 {
        self.first_key + index as u64
    }

    /// The position of a key; of the first entry that is left, if it was dropped.
    pub fn index(&self, key: u64) -> usize {
        usize::try_from(key.saturating_sub(self.first_key))
            .unwrap_or(usize::MAX)
            .min(self.slots.len())
    }

    /// The rows that an entry's text takes at a width, remembered for the last width asked.
    pub fn text_rows(&self, index: usize, width: u16, wrap: impl FnOnce(&str) -> usize) -> u32 {
        let Some(slot) = self.slots.get(index) else {
            return 0;
        };
        let (known_width, known) = slot.rows.get();
        if known_width == width && known > 0 {
            return known;
        }
        let rows = u32::try_from(wrap(slot.entry.text()))
            .unwrap_or(u32::MAX)
            .max(1);
        slot.rows.set((width, rows));
        rows
    }

    /// Whether a message of ours stands here that no server has confirmed.
    pub fn is_unconfirmed(&self, local: LocalId) -> bool {
        self.iter().any(|entry| unconfirmed(entry, local))
    }

    /// A message of ours that stands here unconfirmed is in the log; false if there is none.
    pub fn confirm(&mut self, local: LocalId) -> bool {
        let mut slots = self.slots.iter_mut().rev();
        let slot = slots.find(|slot| unconfirmed(&slot.entry, local));
        if let Some(Entry::Message(message)) = slot.map(|slot| &mut slot.entry) {
            message.own = Some(Own::Sent);
            return true;
        }
        false
    }

    /// Adds an entry at the end, after a line for its day if it is the first of one.
    pub fn push(&mut self, entry: Entry, zone: &TimeZone) {
        if let Some(time) = entry.time() {
            let day = time.to_zoned(zone.clone()).date();
            if self.last_day(zone) != Some(day) {
                self.append(Entry::Day(day));
            }
        }
        self.append(entry);
    }

    /// Adds a change of presence: to the last entry, if that is one too.
    pub fn push_change(&mut self, change: Change, time: Timestamp, zone: &TimeZone) {
        let same_day = self.last_day(zone) == Some(time.to_zoned(zone.clone()).date());
        if let Some(slot) = self.slots.back_mut()
            && let Entry::Presence { changes, text, .. } = &mut slot.entry
            && changes.len() < FOLDED_MAX
            && same_day
        {
            let before = text.len();
            fold(changes, change);
            *text = sentence(changes);
            self.bytes = self.bytes - before + text.len();
            slot.rows.set((0, 0));
            return;
        }
        let changes = vec![change];
        let text = sentence(&changes);
        self.push(
            Entry::Presence {
                time,
                changes,
                text,
            },
            zone,
        );
    }

    fn last_day(&self, zone: &TimeZone) -> Option<Date> {
        self.iter().rev().find_map(|entry| match entry {
            Entry::Day(day) => Some(*day),
            other => other.time().map(|time| time.to_zoned(zone.clone()).date()),
        })
    }

    fn append(&mut self, entry: Entry) {
        self.bytes += entry.text().len();
        self.slots.push_back(Slot {
            entry,
            rows: Cell::new((0, 0)),
        });
        while self.slots.len() > ENTRIES_MAX || (self.bytes > BYTES_MAX && self.slots.len() > 1) {
            if let Some(slot) = self.slots.pop_front() {
                self.bytes -= slot.entry.text().len();
                self.first_key += 1;
                self.dropped = true;
            }
        }
    }
}

/// Adds a change. Somebody who comes and goes, as on a bad line, is told of once; so is somebody
/// who tries one name after another.
fn fold(changes: &mut Vec<Change>, change: Change) {
    if let Change::Renamed(was, now) = &change
        && let Some(Change::Renamed(_, last)) = changes.last_mut()
        && last == was
    {
        last.clone_from(now);
        return;
    }
    let (Change::Joined(name) | Change::Left(name, _)) = &change else {
        return changes.push(change);
    };
    let last = changes.iter_mut().rev().find(|other| match other {
        Change::Renamed(was, now) => was == name || now == name,
        Change::Joined(other)
        | Change::Left(other, _)
        | Change::Returned(other)
        | Change::Visited(other) => other == name,
    });
    let Some(last) = last else {
        return changes.push(change);
    };
    *last = match (&*last, &change) {
        (Change::Joined(_), Change::Left(..)) => Change::Visited(name.clone()),
        (Change::Left(..), Change::Joined(_)) => Change::Returned(name.clone()),
        (Change::Visited(_), Change::Joined(_)) | (Change::Returned(_), Change::Left(..)) => change,
        _ => return changes.push(change),
    };
}

fn unconfirmed(entry: &Entry, local: LocalId) -> bool {
    matches!(entry, Entry::Message(message) if message.own == Some(Own::Unconfirmed(local)))
}

/// "alice and bob joined · carol left (connection lost)".
fn sentence(changes: &[Change]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut rest = changes;
    while let Some(first) = rest.first() {
        let run = rest
            .iter()
            .take_while(|change| verb(change) == verb(first))
            .count();
        let (same, after) = rest.split_at(run);
        parts.push(match first {
            Change::Renamed(was, now) => format!("{was} is now {now}"),
            _ => format!("{} {}", names(same), verb(first).unwrap_or_default()),
        });
        rest = if verb(first).is_some() {
            after
        } else {
            &rest[1..]
        };
    }
    parts.join(" · ")
}

/// What changes of a kind have in common; `None` for those that stand alone.
fn verb(change: &Change) -> Option<&'static str> {
    match change {
        Change::Joined(_) => Some("joined"),
        Change::Left(_, how) => Some(how),
        Change::Returned(_) => Some("left and came back"),
        Change::Visited(_) => Some("came and left"),
        Change::Renamed(..) => None,
    }
}

fn names(changes: &[Change]) -> String {
    const NAMED_MAX: usize = 6;
    let all: Vec<&str> = changes
        .iter()
        .map(|change| match change {
            Change::Joined(name)
            | Change::Left(name, _)
            | Change::Renamed(name, _)
            | Change::Returned(name)
            | Change::Visited(name) => name.as_str(),
        })
        .collect();
    match all.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] if all.len() <= NAMED_MAX => format!("{} and {last}", most.join(", ")),
        _ => format!(
            "{} and {} others",
            all[..NAMED_MAX - 1].join(", "),
            all.len() - (NAMED_MAX - 1)
        ),
    }
}
