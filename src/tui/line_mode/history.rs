//! Reads the older messages that were asked for, page by page from the first, so that only one page
//! is in memory. New messages come by the pages, too, until the pages have caught up.

use std::collections::BTreeSet;

use crate::{
    client::event::Page,
    protocol::{Entry, Extent, frame::Part, limits::HISTORY_PAGE_MAX},
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
    /// All messages from this number on are wanted.
    From(u64),
    /// Everything was read.
    Done,
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

    /// Whether there is more to read.
    pub(super) fn is_due(&self) -> bool {
        self.state != HistoryState::Done
    }

    /// Stops reading.
    pub(super) fn give_up(&mut self) {
        self.state = HistoryState::Done;
        self.own.clear();
    }

    /// Takes the opening of the room, with the messages of `extent`; `anew`: of another log.
    /// Returns the request to send.
    pub(super) fn opened(&mut self, extent: Extent, anew: bool) -> Option<Part> {
        let from = match self.state {
            HistoryState::Wanted(wanted) => extent.latest(wanted),
            HistoryState::From(_) if anew => extent.first,
            HistoryState::From(next) => next.max(extent.first),
            HistoryState::Done => return None,
        };
        self.own.clear();
        self.go_on(from, extent.head)
    }

    /// Takes a page; returns the messages to print and the next request. `last` is the number of
    /// the latest message.
    pub(super) fn read(&mut self, page: Page, last: u64) -> (Vec<Entry>, Option<Part>) {
        let HistoryState::From(from) = self.state else {
            return (Vec::new(), None);
        };
        let own = std::mem::take(&mut self.own);
        let wanted = |message: &Entry| message.seq >= from && !own.contains(&message.seq);
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
    use crate::protocol::{Author, EntryKind, entry::Text};
    use crate::{
        protocol::{DeviceId, MessageId, Nickname, RoomName, UserId},
        text::Body,
    };

    /// A page of a log with these numbers, of at most `most` messages.
    fn page(part: Part, extent: Extent, most: u64) -> Page {
        let Part::Forward { from, to } = part else {
            panic!("{part:?}");
        };
        let (from, to) = extent.clamp(from, to);
        let to = to.min(from + most - 1);
        let message = |seq| Entry {
            room: RoomName::lobby(),
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
                edited: None,
            }),
        };
        Page {
            extent,
            from,
            to,
            entries: (from..=to).map(message).collect(),
            offline: false,
        }
    }

    fn numbers(messages: &[Entry]) -> Vec<u64> {
        messages.iter().map(|message| message.seq).collect()
    }

    #[test]
    fn the_latest_messages_are_read_in_order_for_any_page_size() {
        for (wanted, head, most) in [
            (1, 1, 1),
            (3000, 5000, 200),
            (3000, 2000, 200),
            (1000, 1000, 7),
            (10, 0, 1),
        ] {
            let mut history = HistoryReader::new(wanted);
            let mut read = Vec::new();
            let mut asked = history.opened(Extent::new(1, head), false);
            while let Some(part) = asked {
                let (messages, next) = history.read(page(part, Extent::new(1, head), most), head);
                assert!(messages.len() as u64 <= most);
                read.extend(numbers(&messages));
                asked = next;
            }
            let from = (head + 1).saturating_sub(wanted).max(1);
            assert_eq!(read, (from..=head).collect::<Vec<_>>());
            assert!(!history.is_due());
            assert!(!history.comes_by_page(head + 1, false));
        }
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
        let part = history.opened(Extent::new(1, 100), false).unwrap();
        let (messages, _) = history.read(page(part, Extent::new(1, 100), 10), 100);
        assert_eq!(numbers(&messages), (1..=10).collect::<Vec<_>>());
        // Another connection; meanwhile the server has removed some messages.
        let part = history.opened(Extent::new(50, 120), false).unwrap();
        let (messages, next) = history.read(page(part, Extent::new(60, 120), 200), 120);
        assert_eq!(numbers(&messages), (60..=120).collect::<Vec<_>>());
        assert_eq!(next, None);
    }
}
