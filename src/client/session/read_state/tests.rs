use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use jiff::Timestamp;
use proptest::prelude::*;

use super::{ReadStates, SEND_EVERY, counts::Counts};
use crate::{
    client::session::persist_types::PersistedRoom,
    protocol::{
        Author, ClientFrame, Count, DeviceId, Entry, EntryKind, Epoch, Extent, Mentions, MessageId,
        Nickname, Preferences, ReadMarker, ReadState, RoomId, RoomInfo, RoomName, UserId,
        entry::Text,
        frame::{Position, Reset, RoomStart},
        limits::UNREAD_COUNT_MAX,
    },
    text::Body,
};

const ROOM: RoomId = RoomId::LOBBY;

fn user(number: u8) -> UserId {
    UserId::from_bytes([number; 12])
}

/// This user.
fn me() -> UserId {
    user(1)
}

fn id(seq: u64) -> MessageId {
    MessageId {
        device: DeviceId::from_bytes([9; 12]),
        counter: seq,
    }
}

fn mentions(is_mention: bool) -> Mentions {
    Mentions {
        users: is_mention.then(me).into_iter().collect(),
        everyone: false,
    }
}

fn entry(seq: u64, author: UserId, kind: EntryKind) -> Entry {
    Entry {
        room: ROOM,
        seq,
        id: id(seq),
        author: Author {
            user: author,
            nickname: Nickname::parse("x").unwrap(),
            proven: true,
        },
        time: Timestamp::UNIX_EPOCH,
        clock_was: None,
        kind,
    }
}

fn text_of(author: UserId, seq: u64, is_mention: bool) -> Entry {
    let text = Text {
        body: Body::inert("hi"),
        mentions: mentions(is_mention),
        edited: None,
    };
    entry(seq, author, EntryKind::Text(text))
}

fn text(seq: u64) -> Entry {
    text_of(user(2), seq, false)
}

fn edit(seq: u64, target: u64, is_mention: bool) -> Entry {
    let kind = EntryKind::Edit {
        target: id(target),
        body: Some(Body::inert("ho")),
        mentions: mentions(is_mention),
    };
    entry(seq, user(2), kind)
}

fn redaction(seq: u64, target: u64) -> Entry {
    let kind = EntryKind::Redaction {
        target: id(target),
        reason: None,
    };
    entry(seq, user(2), kind)
}

fn marker(generation: u64, seq: u64) -> ReadMarker {
    ReadMarker { seq, generation }
}

fn read(marker: ReadMarker, unread: u64, mentions: u64) -> ReadState {
    ReadState {
        marker,
        preferences: Preferences::default(),
        unread: Count::new(unread),
        mentions: Count::new(mentions),
    }
}

/// The counts of a room that goes from 1 to `head`, and of which the server has said this.
fn counts(head: u64, server: &ReadState) -> Counts {
    let mut counts = Counts::default();
    counts.extent(1, head);
    counts.server(server);
    counts
}

fn above(counts: &Counts, marker: u64) -> (u64, u64) {
    let (unread, mentions) = counts.above(marker, &BTreeSet::new());
    (unread.get(), mentions.get())
}

#[test]
fn what_ignored_users_write_does_not_count() {
    let mut counts = counts(0, &read(marker(0, 0), 0, 0));
    counts.entry(&text_of(user(2), 1, true), me());
    counts.entry(&text_of(user(3), 2, true), me());
    assert_eq!(above(&counts, 0), (2, 2));
    let ignored = BTreeSet::from([user(2)]);
    assert_eq!(counts.above(0, &ignored), (Count::new(1), Count::new(1)));
}

#[test]
fn the_servers_counts_hold_until_entries_are_seen() {
    let mut counts = counts(20, &read(marker(0, 10), 7, 2));
    assert_eq!(above(&counts, 10), (7, 2));
    counts.entry(&text(21), me());
    counts.entry(&text_of(user(2), 22, true), me());
    counts.entry(&text_of(me(), 23, false), me());
    assert_eq!(above(&counts, 10), (9, 3));
    // All of them are read but the last ones.
    assert_eq!(above(&counts, 20), (2, 1));
    assert_eq!(above(&counts, 23), (0, 0));
    // Of 11 to 18 nothing is known but that seven of 11 to 20 count.
    assert_eq!(above(&counts, 18), (4, 3));
    // Of 5 to 10 nothing is known at all.
    assert_eq!(above(&counts, 4), (15, 3));
}

#[test]
fn a_page_replaces_the_servers_count_where_it_goes() {
    let mut counts = counts(20, &read(marker(0, 10), 4, 1));
    let mut page: Vec<_> = (11..=14).map(|seq| text_of(me(), seq, false)).collect();
    page.push(text_of(user(2), 15, true));
    counts.range(11, 15, &page, me());
    assert_eq!(above(&counts, 10), (4, 1));
    assert_eq!(above(&counts, 15), (3, 0));
    // The rest are no texts: the server counts what is not there any more.
    counts.range(16, 20, &[text(20)], me());
    assert_eq!(above(&counts, 10), (2, 1));
    assert_eq!(above(&counts, 15), (1, 0));
}

#[test]
fn a_count_beyond_the_limit_is_at_most_what_is_left() {
    let counts = counts(500, &read(marker(0, 10), UNREAD_COUNT_MAX, 0));
    assert_eq!(above(&counts, 10).0, UNREAD_COUNT_MAX);
    assert_eq!(above(&counts, 460).0, 40);
    assert_eq!(above(&counts, 500).0, 0);
}

#[test]
fn what_the_server_no_longer_has_is_not_unread() {
    let mut counts = Counts::default();
    counts.extent(8, 10);
    assert_eq!(above(&counts, 0), (3, 0));
    counts.extent(9, 10);
    assert_eq!(above(&counts, 0), (2, 0));
}

#[test]
fn redactions_and_edits_change_the_counts() {
    let mut counts = counts(0, &read(marker(0, 0), 0, 0));
    counts.entry(&text_of(user(2), 1, true), me());
    counts.entry(&text(2), me());
    counts.entry(&edit(3, 2, false), me());
    assert_eq!(above(&counts, 0), (2, 1));
    // An edit that mentions stands at its own number.
    counts.entry(&edit(4, 2, true), me());
    counts.entry(&edit(5, 2, true), me());
    assert_eq!(above(&counts, 0), (2, 2));
    assert_eq!(above(&counts, 3), (0, 1));
    counts.entry(&redaction(6, 2), me());
    assert_eq!(above(&counts, 0), (1, 1));
    // What is told later of an entry counts too.
    let mut gone = text(1);
    gone.kind = redaction(9, 1).kind;
    counts.changed(&[gone]);
    assert_eq!(above(&counts, 0), (0, 0));
}

/// The page was made before the redaction, and came behind it.
#[test]
fn a_page_of_before_does_not_make_an_erased_message_count_again() {
    let mut counts = counts(3, &read(marker(0, 0), 3, 0));
    counts.entry(&text(4), me());
    counts.entry(&redaction(5, 4), me());
    counts.entry(&redaction(6, 2), me());
    let page = [text(1), text(2), text(3), text(4)];
    counts.range(1, 4, &page, me());
    assert_eq!(above(&counts, 0), (2, 0));
}

#[test]
fn a_long_conversation_takes_no_more_memory_and_is_not_taken_for_read() {
    let mut counts = counts(0, &read(marker(0, 0), 0, 0));
    for seq in 1..=5_000 {
        counts.entry(&text(seq), me());
    }
    assert_eq!(above(&counts, 0).0, UNREAD_COUNT_MAX);
    assert_eq!(above(&counts, 4_950).0, 50);
}

proptest! {
    /// Whatever pages come in whatever order: nothing unread is taken for read, and where all was
    /// seen the counts are exact.
    #[test]
    fn counts_are_exact_where_all_was_seen_and_never_too_low(
        kinds in prop::collection::vec(0..4_u8, 1..60),
        at in 0..60_usize,
        pages in prop::collection::vec((0..60_u64, 1..20_u64), 0..8),
        markers in prop::collection::vec(0..60_u64, 1..5),
    ) {
        let log: Vec<Entry> = kinds
            .iter()
            .zip(1..)
            .map(|(kind, seq)| match kind {
                0 => text_of(me(), seq, false),
                1 => text_of(user(2), seq, true),
                2 => entry(seq, user(2), EntryKind::Edit {
                    target: id(10_000 + seq),
                    body: None,
                    mentions: Mentions::NONE,
                }),
                _ => text(seq),
            })
            .collect();
        let head = log.len() as u64;
        let truth = |above: u64| {
            let unread = log.iter().filter(|entry| {
                entry.seq > above && entry.counts() && entry.author.user != me()
            });
            let mentioning = unread.clone().filter(|entry| entry.mentions().include(me()));
            (unread.count() as u64, mentioning.count() as u64)
        };
        let at = (at as u64).min(head);
        let (unread, mentioning) = truth(at);
        let mut counts = counts(head, &read(marker(0, at), unread, mentioning));
        let mut seen = vec![false; log.len()];
        for (from, length) in pages {
            let from = from.min(head - 1) + 1;
            let to = (from + length - 1).min(head);
            let part = &log[usize::try_from(from - 1).unwrap()..usize::try_from(to).unwrap()];
            let shown: Vec<_> = part.iter().filter(|entry| entry.is_shown()).cloned().collect();
            counts.range(from, to, &shown, me());
            for seq in from..=to {
                seen[usize::try_from(seq - 1).unwrap()] = true;
            }
        }
        prop_assert_eq!(above(&counts, at), truth(at));
        for marker in markers {
            let marker = marker.min(head);
            let (unread, mentioning) = above(&counts, marker);
            let true_counts = truth(marker);
            prop_assert!(unread >= true_counts.0, "{} above {}", unread, marker);
            let all_seen = seen.iter().skip(usize::try_from(marker).unwrap()).all(|seen| *seen);
            if all_seen {
                prop_assert_eq!((unread, mentioning), true_counts);
            }
        }
    }
}

fn start(read: ReadState, head: u64) -> RoomStart {
    RoomStart {
        room: ROOM,
        info: RoomInfo::public(RoomName::lobby()),
        read,
        extent: Extent::new(1, head),
        next: head + 1,
        changed: 0,
        redacted: 0,
        reset: None,
    }
}

fn opened(read: ReadState, head: u64) -> ReadStates {
    let mut reads = ReadStates::default();
    reads.open(&start(read, head), true);
    reads
}

fn sent(frame: Option<ClientFrame>) -> Option<ReadMarker> {
    match frame {
        Some(ClientFrame::Read { marker, .. }) => Some(marker),
        None => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_latest_marker_is_sent_at_most_every_two_seconds() {
    let now = Duration::from_secs(10);
    let mut reads = opened(read(marker(3, 5), 0, 0), 100);
    assert_eq!(reads.poll_frame(now), None);
    reads.advance(ROOM, 6);
    assert_eq!(sent(reads.poll_frame(now)), Some(marker(3, 6)));
    for seq in 7..20 {
        reads.advance(ROOM, seq);
        assert_eq!(reads.poll_frame(now), None);
    }
    assert_eq!(reads.deadline(now), Some(now + SEND_EVERY));
    assert_eq!(
        sent(reads.poll_frame(now + SEND_EVERY)),
        Some(marker(3, 19))
    );
    assert_eq!(reads.deadline(now), None);
    // It is not repeated on this connection, but on the next one, until the server has it.
    let later = now + 10 * SEND_EVERY;
    assert_eq!(reads.poll_frame(later), None);
    reads.close();
    assert_eq!(reads.poll_frame(later), None);
    reads.open(&start(read(marker(3, 6), 9, 9), 100), true);
    assert_eq!(sent(reads.poll_frame(later)), Some(marker(3, 19)));
    reads.told(ROOM, marker(3, 19), Preferences::default());
    reads.close();
    reads.open(&start(read(marker(3, 19), 0, 0), 100), true);
    assert_eq!(reads.poll_frame(later), None);
}

#[test]
fn a_marker_of_an_older_generation_gives_way() {
    let mut reads = opened(read(marker(0, 5), 0, 0), 100);
    reads.advance(ROOM, 50);
    reads.told(ROOM, marker(1, 2), Preferences::default());
    assert_eq!(reads.get(ROOM).unwrap().marker, marker(1, 2));
    assert_eq!(reads.poll_frame(Duration::ZERO), None);
}

#[test]
fn a_server_without_markers_is_sent_none() {
    let mut reads = ReadStates::default();
    let state = reads.open(&start(ReadState::default(), 3), false);
    assert_eq!(state.unread.get(), 0, "what was there before is not news");
    reads.open(&start(ReadState::default(), 10), false);
    assert!(reads.advance(ROOM, 4));
    let preferences = Preferences {
        favourite: true,
        ..Preferences::default()
    };
    reads.prefer(ROOM, preferences);
    assert_eq!(reads.poll_frame(Duration::ZERO), None);
    assert_eq!(reads.deadline(Duration::ZERO), None);
    let state = reads.get(ROOM).unwrap();
    assert_eq!((state.marker.seq, state.unread.get()), (4, 6));
}

#[test]
fn another_log_is_unread_from_its_start() {
    let mut reads = opened(read(marker(2, 90), 0, 0), 100);
    reads.close();
    let another = RoomStart {
        reset: Some(Reset::Epoch),
        ..start(read(marker(0, 0), 3, 0), 3)
    };
    let state = reads.open(&another, true);
    assert_eq!((state.marker, state.unread.get()), (marker(0, 0), 3));
}

#[test]
fn a_marker_of_another_log_does_not_count_where_nothing_is_held() {
    let stored = PersistedRoom {
        position: Position {
            room: ROOM,
            seq: 0,
            id: None,
        },
        epoch: Epoch::from_bytes([1; 8]),
        extent: Extent::new(1, 6),
        folded: 6,
        marker: marker(0, 6),
        preferences: Preferences::default(),
        held: None,
        active: None,
    };
    for (epoch, expected) in [(1, marker(0, 6)), (2, marker(0, 0))] {
        let mut reads = ReadStates::default();
        reads.restore(&stored, me());
        reads.enter(Epoch::from_bytes([epoch; 8]));
        // It opens without a reset: of the room's entries, the client holds none.
        let state = reads.open(&start(read(marker(0, 0), 1, 0), 1), true);
        assert_eq!(state.marker, expected);
    }
}

#[test]
fn settings_are_sent_again_until_the_server_has_them() {
    let quiet = Preferences {
        hidden: true,
        ..Preferences::default()
    };
    let mut reads = opened(ReadState::default(), 5);
    reads.prefer(ROOM, quiet);
    let wish = ClientFrame::Prefer {
        room: ROOM,
        preferences: quiet,
    };
    assert_eq!(reads.poll_frame(Duration::ZERO), Some(wish.clone()));
    assert_eq!(reads.poll_frame(Duration::ZERO), None);
    reads.close();
    let state = reads.open(&start(ReadState::default(), 5), true);
    assert_eq!(state.preferences, quiet, "the server has not heard of it");
    assert_eq!(reads.poll_frame(Duration::ZERO), Some(wish));
    // Another device was quicker, and then slower.
    reads.told(ROOM, marker(0, 0), Preferences::default());
    assert_eq!(reads.get(ROOM).unwrap().preferences, quiet);
    reads.told(ROOM, marker(0, 0), quiet);
    reads.told(ROOM, marker(0, 0), Preferences::default());
    assert_eq!(reads.get(ROOM).unwrap().preferences, Preferences::default());
}

#[test]
fn the_user_is_told_of_each_change_once() {
    let mut reads = opened(read(marker(0, 5), 0, 0), 5);
    assert_eq!(reads.poll_changed(), None);
    reads.entry(&text(6), me());
    reads.entry(&text(7), me());
    let (_, state) = reads.poll_changed().unwrap();
    assert_eq!(state.unread.get(), 2);
    assert_eq!(reads.poll_changed(), None);
    reads.entry(&text_of(me(), 8, false), me());
    assert_eq!(reads.poll_changed(), None, "one's own change nothing");
    reads.advance(ROOM, 8);
    let (_, state) = reads.poll_changed().unwrap();
    assert_eq!((state.marker.seq, state.unread.get()), (8, 0));
}

/// One device of a user, and what is on its way to and from it.
struct Device {
    reads: ReadStates,
    up: VecDeque<ReadMarker>,
    down: VecDeque<ReadMarker>,
}

impl Device {
    fn new() -> Self {
        Self {
            reads: opened(ReadState::default(), 1_000),
            up: VecDeque::new(),
            down: VecDeque::new(),
        }
    }

    fn write(&mut self, now: Duration) {
        while let Some(marker) = sent(self.reads.poll_frame(now)) {
            self.up.push_back(marker);
        }
    }

    fn reconnect(&mut self, server: ReadMarker) {
        self.up.clear();
        self.down.clear();
        self.reads.close();
        self.reads.open(&start(read(server, 0, 0), 1_000), true);
    }

    fn marker(&self) -> ReadMarker {
        self.reads.get(ROOM).unwrap().marker
    }
}

/// The server: it takes an advance of its generation, and a marker set by hand of the next one.
fn serve(truth: &mut ReadMarker, asked: ReadMarker) {
    let advances = asked.generation == truth.generation && asked.seq > truth.seq;
    if advances || asked.generation == truth.generation + 1 {
        *truth = asked;
    }
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Advance(usize, u64),
    Set(usize, u64),
    Write(usize),
    Serve(usize),
    Hear(usize),
    Reconnect(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let device = 0..2_usize;
    prop::collection::vec(
        prop_oneof![
            (device.clone(), 1..1_000_u64).prop_map(|(device, seq)| Act::Advance(device, seq)),
            (device.clone(), 0..1_000_u64).prop_map(|(device, seq)| Act::Set(device, seq)),
            device.clone().prop_map(Act::Write),
            device.clone().prop_map(Act::Serve),
            device.clone().prop_map(Act::Hear),
            device.prop_map(Act::Reconnect),
        ],
        0..60,
    )
}

proptest! {
    /// However two devices, the server and the network are interleaved: in the end all agree, and
    /// what the user did last, with all news at hand, stands.
    #[test]
    fn two_devices_and_the_server_agree_in_the_end(acts in acts(), last in any::<bool>(), seq in 0..1_000_u64) {
        let mut truth = ReadMarker::default();
        let mut devices = [Device::new(), Device::new()];
        let mut now = Duration::ZERO;
        for act in acts {
            now += Duration::from_millis(700);
            match act {
                Act::Advance(at, seq) => drop(devices[at].reads.advance(ROOM, seq)),
                Act::Set(at, seq) => drop(devices[at].reads.set(ROOM, seq)),
                Act::Write(at) => devices[at].write(now),
                Act::Serve(at) => {
                    if let Some(asked) = devices[at].up.pop_front() {
                        serve(&mut truth, asked);
                        for device in &mut devices {
                            device.down.push_back(truth);
                        }
                    }
                }
                Act::Hear(at) => {
                    if let Some(told) = devices[at].down.pop_front() {
                        devices[at].reads.told(ROOM, told, Preferences::default());
                    }
                }
                Act::Reconnect(at) => devices[at].reconnect(truth),
            }
        }
        let mut settle = |devices: &mut [Device; 2]| {
            for _ in 0..10 {
                now += SEND_EVERY;
                for at in 0..2 {
                    devices[at].write(now);
                    while let Some(asked) = devices[at].up.pop_front() {
                        serve(&mut truth, asked);
                        for device in devices.iter_mut() {
                            device.down.push_back(truth);
                        }
                    }
                }
                for device in devices.iter_mut() {
                    while let Some(told) = device.down.pop_front() {
                        device.reads.told(ROOM, told, Preferences::default());
                    }
                }
            }
            truth
        };
        let truth = settle(&mut devices);
        prop_assert_eq!(devices[0].marker(), truth);
        prop_assert_eq!(devices[1].marker(), truth);
        devices[usize::from(last)].reads.set(ROOM, seq);
        let truth = settle(&mut devices);
        prop_assert_eq!(truth.seq, seq);
        prop_assert_eq!(devices[0].marker(), truth);
        prop_assert_eq!(devices[1].marker(), truth);
    }
}
