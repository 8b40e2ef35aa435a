//! Tests of edits, deletions and unknown kinds in the timeline.

use proptest::prelude::*;

use super::*;
use crate::{
    client::event::Page,
    protocol::{
        Entry, EntryKind, Extent,
        entry::{Text, Tombstone},
        fold,
        frame::Part,
    },
    tui::{
        app::pane::timeline::Edge,
        testing::{edit, id, poll, redaction},
    },
};

const AT: Timestamp = Timestamp::UNIX_EPOCH;

impl Desk {
    fn entry(&mut self, entry: Entry) -> &mut Self {
        self.heard(Event::Message(entry.into()))
    }

    fn gaps(&self) -> usize {
        let timeline = &self.model.pane().timeline;
        let indexes = 0..timeline.len();
        indexes.filter_map(|index| timeline.gap(index)).count()
    }

    fn changed(&mut self, entries: &[Entry]) -> &mut Self {
        self.heard(Event::Changed {
            room: RoomName::lobby(),
            entries: entries.to_vec(),
        })
    }
}

/// An entry as it stands after an edit.
fn edited(seq: u64, who: &str, text: &str, by: u64) -> Entry {
    Entry {
        kind: EntryKind::Text(Text {
            body: Body::inert(text),
            edited: Some(by),
        }),
        ..logged(seq, AT, who, "")
    }
}

/// An entry as it stands after its deletion.
fn deleted(seq: u64, who: &str, redacted: u64, by: Option<&str>) -> Entry {
    Entry {
        kind: EntryKind::Tombstone(Tombstone {
            redacted,
            by: by.map(nickname),
            kind: None,
        }),
        ..logged(seq, AT, who, "")
    }
}

#[test]
fn edits_and_deletions_change_the_message_and_add_no_row() {
    let mut desk = Desk::online();
    desk.message(1, "bob", "teh build")
        .message(2, "bert", "oops")
        .message(3, "carol", "mine")
        .entry(edit(4, AT, "bob", 1, "the build"))
        .entry(redaction(5, AT, "bert", 2))
        .entry(redaction(6, AT, "alice", 3))
        .entry(poll(7, AT, "bob", Some("lunch?")))
        .entry(poll(8, AT, "bob", None))
        .message(9, "bob", "later");
    assert_eq!(
        desk.entries(),
        [
            "the build (edited)",
            "message deleted",
            "message deleted by alice Sent",
            "lunch?",
            "an entry of a kind that this version does not know (poll)",
            "later",
        ]
    );
    assert_eq!(desk.gaps(), 0, "the numbers of edits are not missing");
    // Only the author's edits count, and nothing brings back what was deleted.
    desk.entry(edit(10, AT, "bert", 1, "not mine"))
        .entry(edit(11, AT, "bert", 2, "again"));
    assert_eq!(
        desk.entries()[..2],
        ["the build (edited)", "message deleted"]
    );
}

#[test]
fn what_a_page_brings_late_is_changed_too() {
    let mut desk = Desk::online();
    desk.opens(1, 12, 11)
        .entry(edit(11, AT, "bob", 3, "new three"))
        .entry(redaction(12, AT, "bob", 4))
        .message(13, "bob", "live");
    let part = Part::Forward { from: 1, to: 10 };
    let texts = (1..=10).filter(|seq| *seq != 7);
    let page = Page {
        extent: Extent::new(1, 13),
        from: 1,
        to: 10,
        entries: texts
            .map(|seq| logged(seq, AT, "bob", &seq.to_string()))
            .collect(),
        offline: false,
    };
    desk.paged(part, page);
    assert_eq!(
        desk.entries(),
        [
            "1",
            "2",
            "new three (edited)",
            "message deleted",
            "5",
            "6",
            "8",
            "9",
            "10",
            "live"
        ]
    );
    assert_eq!(desk.gaps(), 0, "7 is a number of a page, but of no message");
    // The changes that the client learned by asking, and a page from before them.
    desk.changed(&[
        edited(5, "bob", "five", 20),
        deleted(6, "bob", 21, Some("alice")),
    ]);
    let stale = Page {
        extent: Extent::new(1, 13),
        from: 5,
        to: 6,
        entries: vec![logged(5, AT, "bob", "5"), logged(6, AT, "bob", "6")],
        offline: false,
    };
    desk.paged(Part::Forward { from: 5, to: 6 }, stale);
    assert_eq!(
        desk.entries()[4..6],
        ["five (edited)", "message deleted by alice"]
    );
    desk.paged(
        Part::Forward { from: 8, to: 8 },
        Page {
            extent: Extent::new(1, 13),
            from: 8,
            to: 8,
            entries: vec![edited(8, "bob", "eight", 22)],
            offline: false,
        },
    );
    assert_eq!(desk.entries()[6], "eight (edited)");
}

#[test]
fn only_messages_that_count_are_unread() {
    let mut desk = Desk::online();
    desk.message(1, "bob", "one").msg(Msg::Focus(false));
    desk.entry(edit(2, AT, "bob", 1, "One"));
    assert_eq!(desk.model.pane().unread(), 0);
    assert_eq!(desk.model.pane().unread_from(), None, "no line for an edit");
    desk.message(3, "bob", "three")
        .entry(edit(4, AT, "bob", 1, "one!"))
        .message(5, "bob", "five");
    assert_eq!(desk.model.pane().unread(), 2);
    desk.entry(redaction(6, AT, "bob", 3));
    assert_eq!(desk.model.pane().unread(), 1);
    let pane = desk.model.pane();
    let below = pane.timeline.index(pane.unread_from().unwrap());
    assert_eq!(pane.timeline.get(below).unwrap().text(), "five");
    desk.entry(redaction(7, AT, "bob", 5));
    assert_eq!(desk.model.pane().unread_from(), None, "nothing new is left");
    desk.message(8, "bob", "eight");
    assert_eq!(desk.model.pane().unread(), 1);
}

#[test]
fn the_read_position_passes_numbers_without_a_place() {
    let mut desk = Desk::online();
    desk.message(1, "bob", "one")
        .entry(edit(2, AT, "bob", 1, "One"));
    assert_eq!(desk.model.pane().read, 2);
    // From the first message on, by the wheel; 4 to 23 have no place.
    let mut desk = Desk::online();
    desk.opens(1, 60, 1).msg(Msg::Focus(false));
    for seq in 1..=60 {
        match seq {
            4..24 => desk.entry(edit(seq, AT, "bob", 1, &seq.to_string())),
            _ => desk.message(seq, "bob", "text"),
        };
    }
    desk.msg(Msg::Focus(true)).key(Key::alt(Code::Char('u')));
    let read = desk.model.pane().read;
    assert!(read > 24, "{read}");
}

#[test]
fn goals_at_numbers_without_a_place_lead_to_the_next_message() {
    let mut desk = Desk::online();
    desk.opens(3, 80, 41);
    for seq in 41..=80 {
        desk.message(seq, "bob", &format!("message {seq}"));
    }
    desk.key(Key::ctrl(Code::Home));
    // The log begins with deletions of messages that are no longer kept.
    let mut pages = 0;
    while let Some(part) = desk.asked() {
        let (from, to) = match part {
            Part::Forward { from, to } => (from, to.min(from + 9)),
            Part::Backward { from, to } => (from.max(to - 9), to),
            Part::Since(_) => panic!("{part:?}"),
        };
        let shown = (from..=to).filter(|seq| *seq > 15 && seq % 2 == 0);
        let entries = shown.map(|seq| logged(seq, AT, "bob", &format!("message {seq}")));
        let page = Page {
            extent: Extent::new(3, 80),
            from,
            to,
            entries: entries.collect(),
            offline: false,
        };
        desk.paged(part, page);
        pages += 1;
        assert!(pages < 20, "{part:?}");
        if desk.model.pane().paging.goal.is_none() {
            break;
        }
    }
    assert_eq!(desk.on_top(), "message 16");
    let timeline = &desk.model.pane().timeline;
    assert!(
        matches!(timeline.edge(0), Some(Edge::Begins { removed: true })),
        "{:?}",
        timeline.edge(0)
    );
}

#[test]
fn a_log_of_changes_alone_is_an_empty_conversation() {
    let mut desk = Desk::online();
    desk.opens(1, 5, 6);
    while let Some(part) = desk.asked() {
        let page = Page {
            extent: Extent::new(1, 5),
            from: 1,
            to: 5,
            entries: Vec::new(),
            offline: false,
        };
        desk.paged(part, page);
    }
    assert_eq!(desk.entries(), Vec::<String>::new());
    assert_eq!(desk.model.pane().timeline.next_shown(1), 6);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Live entries and pages in any order end as the log folded from its beginning.
    #[test]
    fn all_orders_give_the_same_messages(
        kinds in prop::collection::vec((0..6_u8, 1..40_u64), 1..40),
        live_from in 1..40_u64,
        parts in prop::collection::vec((1..40_u64, 0..20_u64), 0..12),
    ) {
        let log: Vec<Entry> = kinds.iter().zip(1..).map(|((kind, target), seq)| match kind {
            0 if *target < seq => edit(seq, AT, "bob", *target, &format!("edit {seq}")),
            1 if *target < seq => redaction(seq, AT, "bob", *target),
            2 => poll(seq, AT, "bob", None),
            _ => logged(seq, AT, "bob", &format!("text {seq}")),
        }).collect();
        // As a server stores it, and serves pages.
        let mut stored = log.clone();
        for by in &log {
            if let Some(target) = by.target() {
                let target = stored.iter_mut().find(|entry| entry.id == target).unwrap();
                fold::apply(target, by);
            }
        }
        let head = log.len() as u64;
        let live_from = live_from.min(head + 1);
        let mut desk = Desk::online();
        desk.opens(1, head, live_from);
        let page = |from: u64, to: u64| Page {
            extent: Extent::new(1, head),
            from,
            to,
            entries: stored
                .iter()
                .filter(|entry| entry.is_shown() && (from..=to).contains(&entry.seq))
                .cloned()
                .collect(),
            offline: false,
        };
        let mut pages = parts.iter().map(|(from, more)| (*from.min(&head), (from + more).min(head)));
        for entry in log.iter().filter(|entry| entry.seq >= live_from) {
            desk.entry(entry.clone());
            if let Some((from, to)) = pages.next() {
                desk.paged(Part::Forward { from, to }, page(from, to));
            }
        }
        desk.paged(Part::Forward { from: 1, to: head }, page(1, head));
        let shown = stored.iter().filter(|entry| entry.is_shown());
        let timeline = &desk.model.pane().timeline;
        let held: Vec<&Entry> = timeline.iter().filter_map(TimelineItem::logged).collect();
        prop_assert_eq!(held, shown.collect::<Vec<_>>());
        prop_assert_eq!(desk.gaps(), 0);
    }
}

/// The rows of the screen that show a text, with the text.
fn places(desk: &Desk) -> Vec<(i64, String)> {
    let layout = desk.model.layout();
    let (columns, height) = (layout.columns, layout.messages.height);
    let pane = desk.model.pane();
    let (top, _) = pane.top_place(&columns, height);
    let mut row = -i64::from(top.row);
    let mut places = Vec::new();
    for index in top.index..pane.items() {
        let above = i64::from(pane.rows_above(index, &columns));
        let text = pane.timeline.get(index).unwrap().text();
        let rows = i64::from(pane.item_rows(index, &columns));
        if row + rows > 0 && row < i64::from(height) {
            places.push((row + above, text.into_owned()));
        }
        row += rows;
    }
    places
}

#[test]
fn the_readers_place_stays_when_a_message_changes() {
    let long = "word ".repeat(120);
    for (changed, scrolled) in (1..=40).flat_map(|seq| [(seq, -70), (seq, -100), (seq, -250)]) {
        let mut desk = Desk::online();
        for seq in 1..=70 {
            let text = if seq % 5 == 0 {
                long.trim_end()
            } else {
                "short"
            };
            desk.message(seq, "bob", &format!("{seq} {text}"));
        }
        desk.msg(Msg::Wheel(scrolled / 3));
        let before = places(&desk);
        let found = before
            .iter()
            .position(|(_, text)| text.starts_with(&format!("{changed} ")));
        desk.entry(match changed % 2 {
            0 => redaction(71, AT, "bob", changed),
            _ => edit(71, AT, "bob", changed, long.trim_end()),
        });
        let after = places(&desk);
        // What is above the message stays; if it begins above the screen, what is below it.
        let stays = match found {
            None => &before[..],
            Some(0) if before[0].0 <= 0 => &before[1..],
            Some(at) => &before[..at],
        };
        for place in stays {
            assert!(
                after.contains(place),
                "{changed} {scrolled}: {place:?}\n{before:?}\n{after:?}"
            );
        }
    }
}

#[test]
fn a_message_that_covers_the_screen_shrinks_in_place() {
    let mut desk = Desk::online();
    desk.msg(Msg::Resized {
        width: 60,
        height: 24,
    });
    let long = "word ".repeat(300);
    desk.message(1, "bob", long.trim_end());
    for seq in 2..=60 {
        desk.message(seq, "bob", "short");
    }
    desk.key(Key::ctrl(Code::Home));
    desk.pasted("/unfold").key(ENTER);
    desk.msg(Msg::Wheel(3));
    assert_eq!(places(&desk).len(), 1);
    desk.entry(redaction(61, AT, "bob", 1));
    assert_eq!(places(&desk)[0], (0, "message deleted".to_owned()));
    assert_eq!(desk.model.pane().timeline.find(id(1)), Some(0));
}
