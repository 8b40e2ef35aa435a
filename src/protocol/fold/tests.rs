//! Any split into pages and live entries, in any order, gives the same messages.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::{
    protocol::{
        RoomId,
        entry::{Author, RoomChange, RoomEvent, Text, UnknownKind},
    },
    text::Line,
};

const USERS: u8 = 3;

fn id(seq: u64) -> MessageId {
    MessageId::parse(&format!("{:024x}-{seq}", 7)).unwrap()
}

fn user(number: u8) -> UserId {
    UserId::from_bytes([number; 12])
}

fn entry(seq: u64, user: u8, kind: EntryKind) -> Entry {
    Entry {
        room: RoomId::LOBBY,
        seq,
        id: id(seq),
        author: Author {
            user: self::user(user),
            nickname: Nickname::inert(&format!("user{user}")),
            proven: true,
        },
        time: Timestamp::UNIX_EPOCH,
        clock_was: None,
        kind,
    }
}

/// Whom the text with a number mentions: others than the texts beside it do.
fn mentions(seq: u64) -> Mentions {
    let users = (0..USERS).filter(|user| seq >> user & 1 == 1);
    Mentions {
        users: users.map(user).collect(),
        everyone: seq.is_multiple_of(5),
    }
}

fn text(seq: u64, user: u8) -> Entry {
    let text = Text {
        body: Body::inert(&format!("text {seq}")),
        mentions: mentions(seq),
        edited: None,
    };
    entry(seq, user, EntryKind::Text(text))
}

fn edit(seq: u64, user: u8, target: u64) -> Entry {
    let kind = EntryKind::Edit {
        target: id(target),
        body: Some(Body::inert(&format!("edit {seq}"))),
        mentions: mentions(seq),
    };
    entry(seq, user, kind)
}

/// Somebody joined: an entry that nothing changes.
fn event(seq: u64, user: u8) -> Entry {
    let event = RoomEvent {
        change: RoomChange::Joined,
        alt: Line::inert("somebody joined"),
    };
    entry(seq, user, EntryKind::Event(Box::new(event)))
}

fn redaction(seq: u64, user: u8, target: u64) -> Entry {
    let (target, reason) = (id(target), None);
    entry(seq, user, EntryKind::Redaction { target, reason })
}

/// An erasure of an unknown kind.
fn unknown(seq: u64, user: u8, target: u64) -> Entry {
    let kind = UnknownKind {
        name: Line::inert("vanish"),
        target: Some(id(target)),
        erases: true,
        counts: false,
        alt: None,
        raw: "{}".into(),
    };
    entry(seq, user, EntryKind::Unknown(Box::new(kind)))
}

/// A log as a server keeps it: every entry as it stands.
#[derive(Clone, Debug, Default)]
struct Log(Vec<Entry>);

impl Log {
    /// Appends an entry, and applies it to those before it.
    fn push(&mut self, entry: Entry) {
        for earlier in &mut self.0 {
            if entry.target() == Some(earlier.id) {
                apply(earlier, &entry);
            }
            if entry.target().is_some() && entry.target() == earlier.target() {
                scrub(earlier, &entry);
            }
        }
        self.0.push(entry);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Text(u8),
    Edit(u8, prop::sample::Index),
    Redact(u8, prop::sample::Index),
    Unknown(u8, prop::sample::Index),
    Event(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        3 => (0..USERS).prop_map(Step::Text),
        4 => (0..USERS, at()).prop_map(|(user, at)| Step::Edit(user, at)),
        1 => (0..USERS, at()).prop_map(|(user, at)| Step::Redact(user, at)),
        1 => (0..USERS, at()).prop_map(|(user, at)| Step::Unknown(user, at)),
        1 => (0..USERS).prop_map(Step::Event),
    ]
}

/// The log at each of its lengths: `logs[n]` holds the entries 1 to n.
fn logs(steps: &[Step]) -> Vec<Log> {
    let users: BTreeMap<_, _> = (0..USERS).map(|n| (user(n).to_string(), n)).collect();
    let mut log = Log::default();
    let mut logs = vec![log.clone()];
    for (seq, step) in (1..).zip(steps) {
        let target = |at: &prop::sample::Index| at.index(log.0.len().max(1)) as u64 + 1;
        let entry = match step {
            Step::Edit(_, at) if !log.0.is_empty() => {
                let target = target(at);
                // The server lets only authors edit, and only messages that stand.
                let earlier = &log.0[usize::try_from(target).unwrap() - 1];
                let author = users[earlier.author.user.to_string().as_str()];
                if earlier.text().is_some() {
                    edit(seq, author, target)
                } else {
                    text(seq, author)
                }
            }
            Step::Redact(user, at) if !log.0.is_empty() => redaction(seq, *user, target(at)),
            Step::Unknown(user, at) if !log.0.is_empty() => unknown(seq, *user, target(at)),
            Step::Event(user) => event(seq, *user),
            Step::Text(user)
            | Step::Edit(user, _)
            | Step::Redact(user, _)
            | Step::Unknown(user, _) => text(seq, *user),
        };
        log.push(entry);
        logs.push(log.clone());
    }
    logs
}

/// What a reader holds, as the client's cache and the screen do.
#[derive(Debug, Default)]
struct Reader {
    fold: Fold,
    held: BTreeMap<u64, Entry>,
}

impl Reader {
    fn take(&mut self, entry: &Entry) {
        if let Some(target) = self.fold.take(entry) {
            for held in self.held.values_mut() {
                if held.id == target || held.target() == Some(target) {
                    self.fold.apply(held);
                }
            }
        }
        let held = self.held.entry(entry.seq).or_insert_with(|| entry.clone());
        merge(held, entry);
        self.fold.apply(held);
    }
}

proptest! {
    #[test]
    fn parts_in_any_order_give_the_same_messages(
        steps in prop::collection::vec(step(), 1..24),
        live_from in any::<prop::sample::Index>(),
        // For each entry: the length of the log when its copy was made, and its place in the order.
        copies in prop::collection::vec((any::<prop::sample::Index>(), any::<u16>()), 24 * 2),
    ) {
        let logs = logs(&steps);
        let end = steps.len();
        // The reader follows the log from here on; older entries come in pages made later.
        let live_from = live_from.index(end + 1);
        let mut parts = Vec::new();
        for (seq, (at, place)) in (1..=end).zip(&copies) {
            // A live frame is a copy of any time since; so is an entry of a page.
            let since = seq.max(live_from);
            let at = since + at.index(end + 1 - since);
            let copy = logs[at].0[seq - 1].clone();
            if seq > live_from || copy.is_shown() {
                parts.push((*place, copy));
            }
        }
        // Some come twice.
        for (seq, (at, place)) in (1..=end).zip(&copies[24..]) {
            if place % 3 == 0 {
                let since = seq.max(live_from);
                let at = since + at.index(end + 1 - since);
                parts.push((*place, logs[at].0[seq - 1].clone()));
            }
        }
        parts.sort_by_key(|(place, _)| *place);
        let mut reader = Reader::default();
        for (_, part) in &parts {
            reader.take(part);
        }
        for held in reader.held.values() {
            let stands = &logs[end].0[usize::try_from(held.seq).unwrap() - 1];
            prop_assert_eq!(held, stands);
            let mentioned = match &held.kind {
                EntryKind::Text(text) => mentions(text.edited.unwrap_or(held.seq)),
                EntryKind::Edit { body: Some(_), .. } => mentions(held.seq),
                EntryKind::Edit { body: None, .. }
                | EntryKind::Redaction { .. }
                | EntryKind::Tombstone(_)
                | EntryKind::Event(_)
                | EntryKind::Unknown(_) => Mentions::NONE,
            };
            prop_assert_eq!(held.mentions(), &mentioned);
        }
    }
}

#[test]
fn a_text_is_the_latest_edits() {
    let mut message = text(1, 1);
    assert!(apply(&mut message, &edit(5, 1, 1)));
    assert!(!apply(&mut message, &edit(3, 1, 1)), "an earlier edit");
    assert_eq!(message.text().map(Body::as_str), Some("edit 5"));
    assert_eq!(message.rev(), 5);
    assert!(!apply(&mut message, &edit(7, 2, 1)), "another user's");
}

#[test]
fn a_text_mentions_whom_its_latest_edit_does() {
    let mut message = text(1, 1);
    let (second, third) = (edit(2, 1, 1), edit(3, 1, 1));
    assert_eq!(message.mentions(), &mentions(1));
    apply(&mut message, &third);
    apply(&mut message, &second);
    assert_eq!(message.mentions(), &mentions(3));
    assert_ne!(mentions(3), mentions(1), "the test distinguishes them");
    // An edit that is obsolete mentions nobody, and neither does an erased text.
    let mut second = second;
    scrub(&mut second, &third);
    assert!(second.mentions().is_empty());
    apply(&mut message, &redaction(4, 1, 1));
    assert!(message.mentions().is_empty());
}

#[test]
fn an_event_is_neither_edited_nor_erased() {
    let joined = event(1, 1);
    let mut held = joined.clone();
    assert!(!apply(&mut held, &edit(2, 1, 1)));
    assert!(!apply(&mut held, &redaction(3, 1, 1)));
    assert!(!apply(&mut held, &unknown(4, 1, 1)));
    assert_eq!(held, joined);
}

#[test]
fn an_erased_entry_stays_erased() {
    let mut message = text(1, 1);
    assert!(apply(&mut message, &redaction(4, 2, 1)));
    assert!(!apply(&mut message, &edit(9, 1, 1)));
    assert!(!merge(&mut message, &text(1, 1)));
    assert_eq!(message.text(), None);
    assert_eq!(message.rev(), 4);
    let EntryKind::Tombstone(tombstone) = &message.kind else {
        panic!("{message:?}");
    };
    assert_eq!(tombstone.by.as_ref().map(Nickname::as_str), Some("user2"));
}

#[test]
fn an_edit_loses_its_text_to_a_later_one_and_to_an_erasure() {
    let mut first = edit(2, 1, 1);
    assert!(!scrub(&mut first, &edit(2, 1, 1)), "itself");
    assert!(scrub(&mut first, &edit(3, 1, 1)));
    assert!(matches!(first.kind, EntryKind::Edit { body: None, .. }));
    assert!(scrub(&mut edit(2, 1, 1), &redaction(3, 1, 1)));
    assert!(
        !scrub(&mut edit(4, 1, 1), &edit(3, 1, 1)),
        "it is the latest"
    );
}

#[test]
fn an_older_copy_that_comes_later_is_brought_up_to_date() {
    let mut fold = Fold::default();
    let (mut edited, mut erased) = (text(1, 1), text(2, 1));
    apply(&mut edited, &edit(5, 1, 1));
    apply(&mut erased, &redaction(6, 2, 2));
    fold.learn(&edited);
    fold.learn(&erased);
    let (mut first, mut second) = (text(1, 1), text(2, 1));
    assert!(fold.apply(&mut first) && fold.apply(&mut second));
    assert_eq!((first, second), (edited, erased));
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut fold = Fold::default();
    for seq in 1..=TARGETS_MAX as u64 + 1 {
        fold.take(&edit(10_000 + seq, 1, seq));
    }
    assert_eq!(fold.changes.len(), TARGETS_MAX);
    assert!(!fold.apply(&mut text(1, 1)), "the oldest is forgotten");
    assert!(fold.apply(&mut text(2, 1)));
}
