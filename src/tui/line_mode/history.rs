//! Reads the older messages that were asked for. It counts them in pages from the log's end
//! backwards, because not every number is a message; then it reads the pages from the first message
//! on, so that only one page is in memory. New messages come by the pages, too, until the pages have
//! caught up.

use std::collections::BTreeSet;

use crate::{
    client::event::Page,
    protocol::{Entry, EntryKind, Extent, frame::Part, limits::HISTORY_PAGE_MAX},
};

/// The progress of the reading.
#[derive(Debug)]
pub(super) struct HistoryReader {
    state: HistoryState,
    /// Our own messages among those that come by a page: they are not printed.
    own: BTreeSet<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HistoryState {
    /// This many of the latest messages are wanted.
    Wanted(u64),
    /// They are being counted, from the end.
    Counting(Count),
    /// All messages from this number on are wanted.
    From(u64),
    /// Everything was read.
    Done,
}

/// The progress of the counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Count {
    /// How many messages are wanted.
    wanted: u64,
    /// How many of them are below all pages so far.
    left: u64,
    /// The highest number below these pages.
    to: u64,
    /// Whether no page has been counted yet.
    at_end: bool,
}

impl Count {
    /// The part to count next.
    fn part(self, extent: Extent) -> Part {
        let from = Extent::new(extent.first, self.to).latest(self.left);
        Part::Backward { from, to: self.to }
    }
}

/// Whether an entry is printed with the older messages: what happened to a room is not said.
fn is_message(entry: &Entry) -> bool {
    entry.is_shown() && !matches!(entry.kind, EntryKind::Event(_))
}

impl HistoryReader {
    /// Wants this many of the latest messages.
    pub(super) fn new(wanted: u64) -> Self {
        let state = match wanted {
            0 => HistoryState::Done,
            wanted => HistoryState::Wanted(wanted),
        };
        Self {
            state,
            own: BTreeSet::new(),
        }
    }

    /// Wants all messages above this number.
    pub(super) fn after(read: u64) -> Self {
        Self {
            state: HistoryState::From(read + 1),
            own: BTreeSet::new(),
        }
    }

    /// Whether there is more to read.
    pub(super) fn is_due(&self) -> bool {
        self.state != HistoryState::Done
    }

    /// Stops reading.
    pub(super) fn give_up(&mut self) {
        self.state = HistoryState::Done;
        self.own.clear();
    }

    /// Takes the opening of the room, with the numbers of `extent`; `anew`: of another log. Returns
    /// the request to send.
    pub(super) fn opened(&mut self, extent: Extent, anew: bool) -> Option<Part> {
        let from = match self.state {
            HistoryState::Wanted(wanted) | HistoryState::Counting(Count { wanted, .. }) => {
                return self.count(wanted, extent);
            }
            HistoryState::From(_) if anew => extent.first,
            HistoryState::From(next) => next.max(extent.first),
            HistoryState::Done => return None,
        };
        self.own.clear();
        self.go_on(from, extent.head)
    }

    /// Begins to count from the log's end.
    fn count(&mut self, wanted: u64, extent: Extent) -> Option<Part> {
        self.own.clear();
        if extent.is_empty() {
            self.give_up();
            return None;
        }
        let count = Count {
            wanted,
            left: wanted,
            to: extent.head,
            at_end: true,
        };
        self.state = HistoryState::Counting(count);
        Some(count.part(extent))
    }

    /// Takes a page; returns the messages to print and the next request. `last` is the latest
    /// number.
    pub(super) fn read(&mut self, page: Page, last: u64) -> (Vec<Entry>, Option<Part>) {
        match self.state {
            HistoryState::Counting(count) => self.counted(count, page, last),
            HistoryState::From(from) => self.printed(from, page, last),
            HistoryState::Wanted(_) | HistoryState::Done => (Vec::new(), None),
        }
    }

    /// Counts the messages of a page.
    fn counted(&mut self, count: Count, page: Page, last: u64) -> (Vec<Entry>, Option<Part>) {
        let shown = page.entries.iter().filter(|entry| is_message(entry));
        let numbers: Vec<u64> = shown.map(|entry| entry.seq).collect();
        let missing = count.left.saturating_sub(numbers.len() as u64);
        let more = missing > 0 && page.from > page.extent.first && page.from <= page.to;
        if more {
            let count = Count {
                left: missing,
                to: page.from - 1,
                at_end: false,
                ..count
            };
            self.state = HistoryState::Counting(count);
            return (Vec::new(), Some(count.part(page.extent)));
        }
        let skipped = numbers.len() as u64 - (count.left - missing);
        let first = usize::try_from(skipped).ok().and_then(|at| numbers.get(at));
        let from = first.copied().unwrap_or(count.to + 1);
        if count.at_end && first.is_some() {
            return self.printed(from, page, last);
        }
        (Vec::new(), self.go_on(from, last.max(page.extent.head)))
    }

    fn printed(&mut self, from: u64, page: Page, last: u64) -> (Vec<Entry>, Option<Part>) {
        let own = std::mem::take(&mut self.own);
        let wanted =
            |entry: &Entry| is_message(entry) && entry.seq >= from && !own.contains(&entry.seq);
        let messages = page.entries.into_iter().filter(wanted).collect();
        // Messages that are gone, and empty pages, must not be requested forever.
        let next = (page.to + 1).max(page.extent.first).max(from + 1);
        self.own = own.into_iter().filter(|seq| *seq >= next).collect();
        (messages, self.go_on(next, last.max(page.extent.head)))
    }

    fn go_on(&mut self, from: u64, last: u64) -> Option<Part> {
        if from > last {
            self.give_up();
            return None;
        }
        self.state = HistoryState::From(from);
        Some(Part::Forward {
            from,
            to: last.min(from + HISTORY_PAGE_MAX as u64 - 1),
        })
    }

    /// Takes a new message; returns whether it will come by a page. `own`: whether we have sent it.
    pub(super) fn comes_by_page(&mut self, seq: u64, own: bool) -> bool {
        if own && self.is_due() {
            self.own.insert(seq);
        }
        self.is_due()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::protocol::{Author, Mentions, entry::Text};
    use crate::{
        protocol::{DeviceId, MessageId, Nickname, RoomId, UserId},
        text::Body,
    };

    /// A page of a log with these numbers, of at most `most` numbers. Those that `hidden` names are
    /// no messages.
    fn page_of(part: Part, extent: Extent, most: u64, hidden: impl Fn(u64) -> bool) -> Page {
        let (from, to) = match part {
            Part::Forward { from, to } => {
                let (from, to) = extent.clamp(from, to);
                (from, to.min(from + most - 1))
            }
            Part::Backward { from, to } => {
                let (from, to) = extent.clamp(from, to);
                (from.max((to + 1).saturating_sub(most)), to)
            }
            Part::Since(_) => panic!("{part:?}"),
        };
        let message = |seq| Entry {
            room: RoomId::LOBBY,
            seq,
            id: MessageId {
                device: DeviceId::from_bytes([1; 12]),
                counter: seq,
            },
            author: Author {
                user: UserId::from_bytes([1; 12]),
                nickname: Nickname::parse("alice").unwrap(),
                proven: true,
            },
            time: Timestamp::UNIX_EPOCH,
            clock_was: None,
            kind: EntryKind::Text(Text {
                body: Body::inert("x"),
                mentions: Mentions::NONE,
                edited: None,
            }),
        };
        Page {
            extent,
            from,
            to,
            entries: (from..=to)
                .filter(|seq| !hidden(*seq))
                .map(message)
                .collect(),
            offline: false,
        }
    }

    /// A page of a log whose numbers are all messages.
    fn page(part: Part, extent: Extent, most: u64) -> Page {
        page_of(part, extent, most, |_| false)
    }

    fn numbers(messages: &[Entry]) -> Vec<u64> {
        messages.iter().map(|message| message.seq).collect()
    }

    /// Every third number is no message, nor are those from 30 to 60.
    fn some(seq: u64) -> bool {
        seq.is_multiple_of(3) || (30..=60).contains(&seq)
    }

    #[test]
    fn the_latest_messages_are_read_in_order_for_any_page_size() {
        for hidden in [|_| false, some, |_| true] {
            for (wanted, head, most) in [
                (1, 1, 1),
                (3000, 5000, 200),
                (3000, 2000, 200),
                (1000, 1000, 7),
                (10, 0, 1),
                (10, 61, 200),
                (10, 61, 4),
                (25, 100, 40),
                (2, 60, 5),
            ] {
                let extent = Extent::new(1, head);
                let mut history = HistoryReader::new(wanted);
                let mut read = Vec::new();
                let mut asked = history.opened(extent, false);
                while let Some(part) = asked {
                    let (messages, next) = history.read(page_of(part, extent, most, hidden), head);
                    assert!(messages.len() as u64 <= most);
                    read.extend(numbers(&messages));
                    asked = next;
                }
                let mut all: Vec<u64> = (1..=head).filter(|seq| !hidden(*seq)).collect();
                let more = all.len().saturating_sub(usize::try_from(wanted).unwrap());
                assert_eq!(read, all.split_off(more), "{wanted} of {head} by {most}");
                assert!(!history.is_due());
                assert!(!history.comes_by_page(head + 1, false));
            }
        }
    }

    #[test]
    fn a_page_at_the_end_that_has_all_is_read_once() {
        let mut history = HistoryReader::new(5);
        let part = history.opened(Extent::new(1, 100), false).unwrap();
        assert_eq!(part, Part::Backward { from: 96, to: 100 });
        let (messages, next) = history.read(page(part, Extent::new(1, 100), 200), 100);
        assert_eq!(numbers(&messages), (96..=100).collect::<Vec<_>>());
        assert_eq!(next, None);
    }

    #[test]
    fn counting_begins_anew_on_another_connection() {
        let mut history = HistoryReader::new(6);
        let extent = Extent::new(1, 61);
        let part = history.opened(extent, false).unwrap();
        let (messages, next) = history.read(page_of(part, extent, 4, some), 61);
        assert_eq!((messages.len(), next.is_some()), (0, true));
        let extent = Extent::new(1, 64);
        let mut asked = history.opened(extent, false);
        let mut read = Vec::new();
        while let Some(part) = asked {
            let (messages, next) = history.read(page_of(part, extent, 4, some), 64);
            read.extend(numbers(&messages));
            asked = next;
        }
        assert_eq!(read, [26, 28, 29, 61, 62, 64]);
    }

    #[test]
    fn new_messages_come_once_and_our_own_not_at_all() {
        let mut history = HistoryReader::new(5);
        let part = history.opened(Extent::new(1, 3), false).unwrap();
        assert!(history.comes_by_page(4, true));
        assert!(history.comes_by_page(5, false));
        let (messages, next) = history.read(page(part, Extent::new(1, 3), 200), 5);
        assert_eq!(numbers(&messages), [1, 2, 3]);
        let (messages, next) = history.read(page(next.unwrap(), Extent::new(1, 5), 200), 5);
        assert_eq!(numbers(&messages), [5]);
        assert_eq!(next, None);
        assert!(
            !history.comes_by_page(6, false),
            "that one is printed as it comes"
        );
    }

    #[test]
    fn reading_goes_on_after_a_break_and_skips_messages_that_are_gone() {
        let mut history = HistoryReader::new(100);
        let mut part = history.opened(Extent::new(1, 100), false).unwrap();
        while let Part::Backward { .. } = part {
            part = history
                .read(page(part, Extent::new(1, 100), 10), 100)
                .1
                .unwrap();
        }
        let (messages, _) = history.read(page(part, Extent::new(1, 100), 10), 100);
        assert_eq!(numbers(&messages), (1..=10).collect::<Vec<_>>());
        // Another connection; meanwhile the server has removed some messages.
        let part = history.opened(Extent::new(50, 120), false).unwrap();
        let (messages, next) = history.read(page(part, Extent::new(60, 120), 200), 120);
        assert_eq!(numbers(&messages), (60..=120).collect::<Vec<_>>());
        assert_eq!(next, None);
    }
}
