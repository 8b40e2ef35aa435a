//! Tests of edits, deletions and unknown kinds in the timeline.

use proptest::prelude::*;

use super::*;
use crate::{
    client::event::{OutboxMessage, Page},
    protocol::{
        Content, Entry, EntryKind, Extent, Mentions, Role,
        entry::{Text, Tombstone},
        fold,
        frame::Part,
    },
    tui::{
        app::{edit_actions, pane::timeline::Edge},
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
            room: RoomId::LOBBY,
            entries: entries.to_vec(),
        })
    }
}

/// An entry as it stands after an edit.
fn edited(seq: u64, who: &str, text: &str, by: u64) -> Entry {
    Entry {
        kind: EntryKind::Text(Text {
            body: Body::inert(text),
            mentions: Mentions::NONE,
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

impl Desk {
    /// Our messages 1 and 3, one of bob's, and the commands so far taken.
    fn with_own() -> Self {
        let mut desk = Self::online();
        desk.message(1, "carol", "first")
            .message(2, "bob", "bob's")
            .message(3, "carol", "teh last");
        desk.done();
        desk
    }

    fn says(&self) -> &str {
        self.model.flash.as_ref().map_or("", |(words, _)| words)
    }

    fn hint(&self) -> Option<String> {
        Some(edit_actions::hint(&self.model)?[0].clone())
    }

    /// The contents that were sent since this was last called.
    fn submitted(&mut self) -> Vec<Content> {
        let effects = self.done().into_iter();
        effects
            .filter_map(|effect| match effect {
                Effect::Command(Command::Send { content, .. }) => Some(content),
                _ => None,
            })
            .collect()
    }

    fn change(&mut self, local: u64, content: &Content, delivery: Delivery) -> &mut Self {
        self.heard(Event::Outbox(OutboxMessage {
            local: LocalId(local),
            room: RoomId::LOBBY,
            content: content.clone(),
            delivery,
        }))
    }

    fn moderates(&mut self) -> &mut Self {
        self.model.server.role = Role::Moderator;
        self
    }
}

fn edit_of(target: u64, text: &str) -> Content {
    Content::Edit {
        target: id(target),
        body: Body::inert(text),
    }
}

fn redaction_of(target: u64) -> Content {
    Content::Redaction {
        target: id(target),
        reason: None,
    }
}

#[test]
fn the_last_message_is_edited_in_the_input() {
    let mut desk = Desk::with_own();
    desk.pasted("/edit").key(ENTER);
    assert_eq!(desk.text(), "teh last");
    assert_eq!(
        desk.hint().unwrap(),
        "Editing your message of 00:00 · Enter saves · Esc cancels"
    );
    desk.typed("!").key(ENTER);
    assert_eq!(desk.submitted(), [edit_of(3, "teh last!")]);
    assert_eq!((desk.text(), desk.hint()), ("", None));
    // The next message is a new one.
    desk.typed("next").key(ENTER);
    assert_eq!(desk.submitted(), [Content::Text(Body::inert("next"))]);
}

#[test]
fn an_edit_without_a_change_or_with_esc_is_none() {
    let mut desk = Desk::with_own();
    desk.pasted("/edit #1").key(ENTER).key(ENTER);
    assert_eq!(
        (desk.submitted(), desk.text(), desk.hint()),
        (vec![], "", None)
    );
    desk.pasted("/edit #1").key(ENTER).typed(" more");
    assert_eq!(desk.text(), "first more");
    desk.key(ESC);
    assert_eq!(
        (desk.submitted(), desk.text(), desk.hint()),
        (vec![], "", None)
    );
    assert!(desk.model.leaving_since.is_none());
    desk.pasted("/edit #1").key(ENTER).key(CTRL_C);
    assert_eq!((desk.text(), desk.hint()), ("", None));
    // An empty text is not sent: that would be a deletion.
    desk.pasted("/edit")
        .key(ENTER)
        .key(Key::ctrl(Code::Char('u')))
        .key(ENTER);
    assert_eq!(desk.says(), "A message can't be empty: Esc, then /delete");
    assert!(desk.hint().is_some());
}

#[test]
fn a_text_that_looks_like_a_command_can_be_edited() {
    let mut desk = Desk::online();
    desk.message(1, "carol", "/etc/host");
    desk.pasted("/edit").key(ENTER).typed("s").key(ENTER);
    assert_eq!(desk.submitted(), [edit_of(1, "/etc/hosts")]);
}

#[test]
fn a_draft_that_waits_for_an_edit_comes_back_and_is_saved() {
    let mut desk = Desk::with_own();
    let content = edit_of(3, "the last");
    let why = Line::inert("Slow down");
    desk.change(7, &content, Delivery::Failed { why })
        .typed("a draft");
    desk.key(Key::alt(Code::Char('x')));
    assert_eq!(desk.text(), "the last", "a refused edit is edited again");
    desk.passes(Duration::from_secs(1))
        .passes(Duration::from_secs(3));
    let mut drafts = desk.done().into_iter().filter_map(|effect| match effect {
        Effect::Command(Command::Draft { text, .. }) => Some(text),
        _ => None,
    });
    assert_eq!(drafts.next_back().as_deref(), Some("a draft"));
    desk.typed(".").key(ENTER);
    assert_eq!(desk.submitted(), [edit_of(3, "the last.")]);
    assert_eq!(desk.text(), "a draft");
}

#[test]
fn commands_with_a_text_or_a_number_act_at_once() {
    let mut desk = Desk::with_own();
    desk.pasted("/edit the last").key(ENTER);
    desk.pasted("/edit #1 First").key(ENTER);
    desk.pasted("/edit #3 teh last").key(ENTER);
    assert_eq!(
        desk.submitted(),
        [edit_of(3, "the last"), edit_of(1, "First")]
    );
    desk.pasted("/delete").key(ENTER);
    assert_eq!(desk.says(), "Deleting your message of 00:00");
    desk.pasted("/delete #1").key(ENTER);
    assert_eq!(desk.submitted(), [redaction_of(3), redaction_of(1)]);
    assert_eq!(desk.text(), "");
    // The history has the text alone, so that it goes when the message does.
    desk.key(Key::plain(Code::Up))
        .key(Key::plain(Code::Up))
        .key(Key::plain(Code::Up));
    assert_eq!(desk.text(), "teh last");
}

#[test]
fn what_can_not_be_changed_is_said_in_a_sentence() {
    let mut desk = Desk::with_own();
    desk.entry(redaction(4, AT, "carol", 1))
        .entry(poll(5, AT, "carol", Some("lunch?")));
    for (typed, says) in [
        ("/edit #2 x", "You can change only your own messages"),
        (
            "/delete #2",
            "Only moderators can delete messages of others",
        ),
        ("/edit #1", "That message is deleted already"),
        ("/delete #1", "That message is deleted already"),
        ("/edit #4", "There is no message #4 here"),
        ("/delete #77", "There is no message #77 here"),
        ("/edit #5", "Only texts can be changed"),
        (
            "/delete it",
            "Write /delete, or /delete #N with the number of a message",
        ),
    ] {
        desk.pasted(typed).key(ENTER);
        assert_eq!((desk.says(), desk.text()), (says, typed));
        desk.key(Key::ctrl(Code::Char('u')));
    }
    assert_eq!(desk.submitted(), []);
    desk.moderates().pasted("/delete #2").key(ENTER);
    assert_eq!(desk.says(), "Deleting bob's message of 00:00");
    desk.pasted("/delete #5").key(ENTER);
    assert_eq!(desk.submitted(), [redaction_of(2), redaction_of(5)]);
    let mut desk = Desk::online();
    desk.pasted("/delete").key(ENTER);
    assert_eq!(desk.says(), "None of your messages is loaded here");
    let mut desk = Desk::new();
    desk.heard(Event::Connection(ConnectionStatus::Legacy));
    desk.pasted("/edit x").key(ENTER);
    assert_eq!(
        desk.says(),
        "This server is older: it can't change or delete messages"
    );
}

#[test]
fn a_message_that_is_not_sent_is_taken_back_or_withdrawn() {
    let withdraw = vec![Effect::Command(Command::Withdraw(LocalId(4)))];
    let mut desk = Desk::with_own();
    desk.outbox(4, "unsent", Delivery::Pending);
    desk.pasted("/edit").key(ENTER);
    assert_eq!(desk.did(), withdraw);
    desk.outbox(4, "unsent", Delivery::Withdrawn);
    assert_eq!(
        (desk.text(), desk.hint()),
        ("unsent", None),
        "a new message"
    );

    let mut desk = Desk::with_own();
    desk.outbox(4, "unsent", Delivery::Pending);
    desk.pasted("/delete").key(ENTER);
    assert_eq!(
        (desk.did(), desk.says()),
        (withdraw.clone(), "Deleted: it was not sent yet")
    );
    desk.outbox(4, "unsent", Delivery::Withdrawn);
    assert_eq!((desk.text(), desk.entries().len()), ("", 3));
    // Too late.
    desk.outbox(4, "unsent", Delivery::Pending);
    desk.pasted("/delete").key(ENTER);
    desk.outbox(4, "unsent", Delivery::Sent { seq: Some(4) });
    assert_eq!(
        desk.says(),
        "It had been sent already: /delete deletes it there"
    );

    let mut desk = Desk::with_own();
    let why = Line::inert("No");
    desk.outbox(4, "refused", Delivery::Failed { why });
    desk.pasted("/delete").key(ENTER);
    assert_eq!((desk.did(), desk.entries().len()), (withdraw, 3));
}

#[test]
fn changes_under_way_are_a_mark_and_refused_ones_are_shown() {
    let mut desk = Desk::with_own();
    let (edit, redaction) = (edit_of(3, "the last"), redaction_of(2));
    let before = desk.entries();
    desk.change(7, &edit, Delivery::Pending)
        .change(8, &redaction, Delivery::Pending);
    assert_eq!(desk.entries(), before);
    let changing = |desk: &Desk| [2, 3].map(|seq| desk.model.pane().is_changing(id(seq)));
    assert_eq!(changing(&desk), [true, true]);
    assert_eq!(desk.model.exit_summary().unsent, 2);
    desk.change(7, &edit, Delivery::Unchanged);
    assert_eq!(
        (changing(&desk), desk.entries()),
        ([true, false], before.clone())
    );
    let why = Line::inert("Not allowed");
    desk.change(8, &redaction, Delivery::Failed { why });
    assert_eq!(changing(&desk), [false, false]);
    assert_eq!(
        desk.entries()[3],
        "delete bob's message of 00:00 Failed(Not allowed)"
    );
    desk.key(Key::alt(Code::Char('s')));
    assert_eq!(
        (changing(&desk), desk.entries()),
        ([true, false], before.clone())
    );
    let again = vec![Effect::Command(Command::SendAgain(LocalId(8)))];
    assert_eq!(desk.did(), again);
    let why = Line::inert("Not allowed");
    desk.change(8, &redaction, Delivery::Failed { why });
    desk.key(Key::alt(Code::Char('x')));
    assert_eq!((desk.entries(), desk.text()), (before, ""));
}

#[test]
fn a_change_that_is_not_sent_can_be_taken_back() {
    let mut desk = Desk::with_own();
    let (edit, redaction) = (edit_of(3, "the last"), redaction_of(1));
    desk.change(7, &edit, Delivery::Pending)
        .outbox(8, "unsent", Delivery::Pending)
        .change(9, &redaction, Delivery::Pending);
    let alt_x = Key::alt(Code::Char('x'));
    desk.key(alt_x).key(alt_x).key(alt_x).key(alt_x);
    let withdrawn = [9, 8, 7].map(|local| Effect::Command(Command::Withdraw(LocalId(local))));
    assert_eq!(desk.did(), withdrawn);
    assert_eq!(desk.says(), "Everything has been sent");
    desk.change(9, &redaction, Delivery::Withdrawn)
        .outbox(8, "unsent", Delivery::Withdrawn)
        .change(7, &edit, Delivery::Withdrawn);
    assert_eq!(desk.text(), "the last");
    desk.key(ESC);
    assert_eq!(desk.text(), "unsent", "the draft behind it");
    assert!(desk.model.pane().changing.is_empty());
}

#[test]
fn an_erased_text_goes_from_what_was_typed() {
    let mut desk = Desk::online();
    for text in ["secret", "other", "//home"] {
        desk.pasted(text).key(ENTER);
    }
    desk.outbox(1, "secret", Delivery::Pending)
        .outbox(2, "other", Delivery::Pending)
        .outbox(3, "/home", Delivery::Pending)
        .echo(1, "carol", "secret", Some(1))
        .echo(2, "carol", "other", Some(2))
        .echo(3, "carol", "/home", Some(3));
    let up = Key::plain(Code::Up);
    let older = |desk: &mut Desk| {
        let mut texts = Vec::new();
        for _ in 0..4 {
            desk.key(up);
            texts.push(desk.text().to_owned());
        }
        texts.dedup();
        desk.key(Key::ctrl(Code::Char('c')));
        texts
    };
    desk.pasted("secret").key(ESC);
    desk.entry(redaction(4, AT, "carol", 1));
    assert_eq!(older(&mut desk), ["//home", "other"]);
    desk.passes(Duration::from_secs(9))
        .passes(Duration::from_secs(19));
    let draft = desk
        .done()
        .into_iter()
        .rev()
        .find_map(|effect| match effect {
            Effect::Command(Command::Draft { text, .. }) => Some(text),
            _ => None,
        });
    assert_eq!(draft.unwrap_or_default(), "");
    // The text that was typed first goes, too.
    desk.entry(edit(5, AT, "carol", 3, "/home/carol"));
    desk.changed(&[deleted(3, "carol", 5, Some("bob"))]);
    assert_eq!(older(&mut desk), ["other"]);
    // While it is shown.
    desk.typed("draft").key(up);
    assert_eq!(desk.text(), "other");
    desk.entry(redaction(6, AT, "carol", 2));
    assert_eq!(desk.text(), "draft");
    // While it is edited.
    desk.key(Key::ctrl(Code::Char('u')));
    desk.message(7, "carol", "mine").pasted("/edit").key(ENTER);
    desk.entry(redaction(8, AT, "bob", 7));
    assert_eq!((desk.text(), desk.hint()), ("", None));
    assert_eq!(desk.says(), "The message that you were editing was deleted");
}
