//! Tests of history: pages loaded in any order, and what the reader sees of them.

use proptest::prelude::*;

use super::*;
use crate::{
    client::event::{OutboxMessage, Page, Restored, RestoredRoom},
    protocol::{
        Author, Content, Entry, Extent, ReadMarker, ReadState, RoomInfo, RoomName, RoomRules,
        frame::Part,
    },
    tui::{
        app::pane::timeline::{BYTES_MAX, Edge, LATEST_KEPT, Timeline},
        testing::{Log, joined},
    },
};

const LOG: Log = Log {
    first: 1,
    head: 1_000,
    page: 50,
};

/// The texts on the screen, from the top.
fn shown(desk: &Desk) -> Vec<String> {
    let layout = desk.model.layout();
    let (columns, height) = (layout.columns, layout.messages.height);
    let pane = desk.model.pane();
    let (top, _) = pane.top_place(&columns, height);
    let mut rows = Vec::new();
    let mut index = top.index;
    while rows.len() < usize::from(height) + 20 && index < pane.items() {
        let text = pane.timeline.get(index).unwrap().text();
        let above = pane.rows_above(index, &columns);
        let all = pane.item_rows(index, &columns);
        rows.extend((0..above).map(|_| "line".to_owned()));
        rows.extend((above..all).map(|row| format!("{text} {}", row - above)));
        index += 1;
    }
    let from = usize::try_from(top.row).unwrap();
    let end = rows.len().min(from + usize::from(height));
    rows[from..end].to_vec()
}

/// The row of each text on the screen.
fn places(desk: &Desk) -> Vec<(usize, String)> {
    let rows = shown(desk).into_iter().enumerate();
    rows.filter(|(_, row)| row != "line").collect()
}

fn numbers(desk: &Desk) -> Vec<u64> {
    let entries = desk.model.pane().timeline.iter();
    entries
        .filter_map(|entry| match entry {
            TimelineItem::Message(message) => message.said.seq(),
            _ => None,
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pages_in_any_order_end_as_the_whole_log(
        mut parts in prop::collection::vec((1..=200_u64, 1..60_u64, any::<bool>()), 0..40),
        seed in 0..1000_usize,
    ) {
        let log = Log { first: 1, head: 200, page: 200 };
        let mut desk = joined(&log, 10);
        parts.extend((0..20).map(|n| (n * 10 + 1, 10, true)));
        let count = parts.len();
        parts.rotate_left(seed % count);
        for (from, length, twice) in parts {
            let part = Part::Forward { from, to: (from + length).min(200) };
            for _ in 0..=usize::from(twice) {
                desk.paged(part, log.page(part));
            }
            let held = numbers(&desk);
            prop_assert!(held.is_sorted_by(|a, b| a < b), "in order, each once: {held:?}");
        }
        prop_assert_eq!(numbers(&desk), (1..=200).collect::<Vec<_>>());
        let timeline = &desk.model.pane().timeline;
        let gaps = (0..timeline.len()).filter_map(|index| timeline.gap(index)).count();
        prop_assert_eq!(gaps, 0);
    }

    /// A reader in the middle of the log, and pages loaded elsewhere: no row moves.
    #[test]
    fn the_view_stays_when_pages_are_loaded_elsewhere(
        width in prop::sample::select(vec![20_u16, 30, 40, 60, 80, 100]),
        height in 5..30_u16,
        back in 0..400_i64,
        pages in prop::collection::vec((1..1000_u64, 1..40_u64), 1..12),
    ) {
        let mut desk = joined(&LOG, 100);
        desk.msg(Msg::Resized { width, height }).loads(&LOG);
        desk.msg(Msg::Wheel(i16::try_from(-back / 3 - 1).unwrap())).loads(&LOG);
        for (from, length) in pages {
            let part = Part::Forward { from, to: (from + length).min(LOG.head) };
            let before = places(&desk);
            desk.paged(part, LOG.page(part));
            let after = places(&desk);
            for place in &before {
                prop_assert!(after.contains(place), "{place:?} moved in {part:?}\n{before:#?}\n{after:#?}");
            }
        }
    }
}

#[test]
fn scrolling_up_through_all_of_it_shows_every_message_in_its_place() {
    for (width, height) in [(20, 5), (40, 12), (80, 24), (100, 30)] {
        let mut desk = joined(&LOG, 60);
        desk.msg(Msg::Resized { width, height }).loads(&LOG);
        let mut seen = std::collections::BTreeSet::new();
        let mut requests = 0;
        for _ in 0..20_000 {
            for (_, row) in places(&desk) {
                let number = row.split(' ').nth(1).unwrap().parse::<u64>().unwrap();
                seen.insert(number);
            }
            let before = shown(&desk);
            desk.key(PAGE_UP);
            // A late page does not move the rows on the screen.
            let shown_first = places(&desk);
            while let Some(part) = desk.asked() {
                requests += 1;
                desk.paged(part, LOG.page(part));
                let now = places(&desk);
                assert!(shown_first.iter().all(|place| now.contains(place)));
            }
            if shown(&desk) == before {
                break;
            }
        }
        assert_eq!(seen.len(), 1000, "{width}x{height}");
        assert!(requests <= 1000 / 50 + 1, "{requests} requests");
        assert_eq!(desk.on_top(), "message 1 and so on");
    }
}

#[test]
fn a_gap_is_filled_from_the_side_that_the_reader_comes_from() {
    // The reader went far back; nothing between there and the end is loaded.
    let mut desk = joined(&LOG, 60);
    let day = "1970-01-05";
    desk.loads(&LOG).typed(&format!("/date {day}")).key(ENTER);
    let part = desk.asked().unwrap();
    assert!(matches!(part, Part::Since(_)), "{part:?}");
    desk.paged(part, LOG.page(part));
    assert_eq!(desk.on_top(), Log::message(288).words());
    let part = desk.asked().unwrap();
    assert_eq!(part, Part::Backward { from: 1, to: 287 });
    desk.paged(part, LOG.page(part));
    let mut last = 287;
    let mut parts = Vec::new();
    let mut waiting = None;
    for turn in 0..2000 {
        // Every third page is late: the reader is stopped at the gap.
        if turn > 0 {
            desk.key(Key::plain(Code::PageDown));
        }
        waiting = waiting.or_else(|| desk.asked());
        if turn % 3 == 0
            && let Some(part) = waiting.take()
        {
            parts.push(part);
            desk.paged(part, LOG.page(part));
        }
        for (_, row) in places(&desk) {
            let number = row.split(' ').nth(1).unwrap().parse::<u64>().unwrap();
            assert!(
                number <= last + 1,
                "{number} after {last}: nothing is skipped"
            );
            last = last.max(number);
        }
        if desk.follows() {
            break;
        }
    }
    assert_eq!(last, 1000);
    let forward = |part: &Part| matches!(part, Part::Forward { .. });
    assert!(parts.iter().skip(1).all(forward), "{parts:?}");
}

#[test]
fn entries_farthest_from_the_reader_are_dropped_and_loaded_again() {
    let log = Log {
        first: 1,
        head: 2 * ENTRIES_MAX as u64,
        page: 200,
    };
    let mut desk = joined(&log, 100);
    desk.loads(&log);
    desk.key(Key::ctrl(Code::Home)).loads(&log);
    assert_eq!(desk.on_top(), "message 1 and so on");
    for _ in 0..700 {
        desk.msg(Msg::Wheel(30)).loads(&log);
        let pane = desk.model.pane();
        assert!(pane.timeline.len() <= ENTRIES_MAX);
        assert!(pane.timeline.position(log.head).is_some(), "the end stays");
    }
    let top = desk.on_top();
    let number: u64 = top.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(number > 11_000, "{top}");
    let pane = desk.model.pane();
    assert!(pane.timeline.position(1).is_none(), "too far away");
    assert!(pane.timeline.position(number - 300).is_some(), "near");
    let latest = log.head + 1 - LATEST_KEPT as u64;
    assert!(pane.timeline.position(latest).is_some() || number > log.head - 10_000);
    desk.key(Key::ctrl(Code::Home)).loads(&log);
    assert_eq!(desk.on_top(), "message 1 and so on", "it can be had again");
}

#[test]
fn long_texts_are_bounded_by_their_bytes() {
    let mut timeline = Timeline::default();
    let text = "x".repeat(16_000);
    timeline.begins_at(1);
    for _ in 1..=1_200 {
        let text = text.clone();
        let time = Timestamp::UNIX_EPOCH;
        timeline.push(
            TimelineItem::Notice {
                time,
                asked: None,
                tone: crate::tui::user_text::Tone::Remark,
                text,
                utc: None,
            },
            &jiff::tz::TimeZone::UTC,
        );
        timeline.limit(timeline.key(timeline.len()));
    }
    let held = timeline.len() * text.len();
    assert!(held <= BYTES_MAX && held > BYTES_MAX / 2, "{held}");
}

#[test]
fn one_page_at_a_time_is_asked_for_and_a_failure_only_again_when_looked_at_anew() {
    let mut desk = joined(&LOG, 10);
    let part = desk.asked().unwrap();
    assert_eq!(part, Part::Backward { from: 1, to: 990 });
    desk.key(PAGE_UP).key(PAGE_UP).message(1_001, "bob", "live");
    assert_eq!(desk.asked(), None, "one at a time");
    let fails = |desk: &mut Desk| {
        desk.heard(Event::Page {
            room: RoomId::LOBBY,
            part,
            page: Err(Line::inert("The server is busy.")),
        });
    };
    fails(&mut desk);
    desk.message(1_002, "bob", "live");
    assert_eq!(desk.asked(), None, "not by itself");
    desk.key(PAGE_UP);
    assert_eq!(desk.asked(), Some(part), "scrolled at");
    fails(&mut desk);
    desk.key(ENTER);
    assert_eq!(desk.asked(), Some(part), "Enter");
    fails(&mut desk);
    desk.heard(Event::Connection(ConnectionStatus::Connecting))
        .enters();
    assert_eq!(desk.asked(), Some(part), "the link is back");
    fails(&mut desk);
    for seq in 1_003..1_100 {
        desk.message(seq, "bob", "live");
    }
    desk.key(Key::plain(Code::End));
    assert_eq!(desk.asked(), None);
    desk.msg(Msg::Wheel(-30));
    assert_eq!(desk.asked(), Some(part), "looked at anew");
}

#[test]
fn messages_that_the_server_does_not_have_are_not_requested_forever() {
    let mut desk = joined(&LOG, 10);
    let part = desk.asked().unwrap();
    let nothing = Page {
        from: 1,
        to: 0,
        entries: Vec::new(),
        ..LOG.page(part)
    };
    desk.paged(part, nothing);
    assert_eq!(desk.asked(), None);
}

#[test]
fn a_backlog_that_is_arriving_is_not_asked_for() {
    let mut desk = Desk::new();
    desk.enters().opens(1, 1000, 901);
    assert_eq!(desk.asked(), None);
    for seq in 901..=999 {
        desk.heard(Event::Message(Log::message(seq).into()));
        assert_eq!(desk.asked(), None, "{seq}");
    }
}

/// The client's store: messages up to `to`, read up to `read`.
fn restored(from: u64, to: u64, read: u64) -> Restored {
    Restored {
        user: Some(user("carol")),
        rooms: vec![RestoredRoom {
            room: RoomId::LOBBY,
            info: RoomInfo {
                rules: RoomRules {
                    topic: Some(Line::inert("the lab")),
                    ..RoomRules::default()
                },
                ..RoomInfo::public(RoomName::lobby())
            },
            page: Page {
                extent: Extent::new(1, to),
                ..Log { page: 1_000, ..LOG }.page(Part::Forward { from, to })
            },
            read: ReadState {
                marker: ReadMarker {
                    seq: read,
                    generation: 0,
                },
                ..ReadState::default()
            },
            draft: String::new(),
        }],
        ..Restored::default()
    }
}

fn with(restored: Restored) -> Desk {
    Desk::start(super::super::Start {
        restored,
        ..start(60, 20, Timestamp::UNIX_EPOCH)
    })
}

#[test]
fn a_long_absence_is_a_count_a_mark_and_a_gap() {
    let mut desk = with(restored(400, 500, 500));
    desk.enters().opens(1, 1_000, 901);
    for seq in 901..=1_000 {
        desk.heard(Event::Message(Log::message(seq).into()));
    }
    let pane = desk.model.pane();
    assert_eq!(pane.unread(), 500);
    let layout = desk.model.layout();
    let above = pane.unread_above(&layout.columns, layout.messages.height);
    assert_eq!(above, 500, "and nobody has seen the line");
    assert_eq!(pane.read, 500, "what nobody was led to is not read");
    assert_eq!(
        desk.done().len(),
        0,
        "nothing is loaded that nobody looks at"
    );
    desk.key(Key::alt(Code::Char('u')));
    let part = desk.asked().unwrap();
    assert_eq!(part, Part::Forward { from: 501, to: 900 });
    desk.paged(part, LOG.page(part));
    assert_eq!(desk.on_top(), Log::message(501).words());
    assert_eq!(desk.model.pane().unread(), 500);
}

#[test]
fn going_to_a_day_says_where_one_is() {
    let log = Log { first: 101, ..LOG };
    let go = |day: &str| {
        let mut desk = joined(&log, 60);
        desk.loads(&log);
        desk.typed(&format!("/date {day}")).key(ENTER).loads(&log);
        let said = desk.model.flash.clone().map(|(words, _)| words);
        (desk.follows(), desk.on_top(), said.unwrap_or_default())
    };
    let top = |seq| Log::message(seq).words().to_owned();
    assert_eq!(go("1970-01-05"), (false, top(288), String::new()));
    let (_, on_top, said) = go("1969-01-05");
    assert_eq!(on_top, top(101));
    assert_eq!(said, "History begins on Friday 2 January");
    let (follows, _, said) = go("1975-01-01");
    assert!(follows);
    assert_eq!(said, "No message since then: this is the end");
    let (follows, _, said) = go("20.11.");
    assert!(follows);
    assert_eq!(said, "Write the day like 2026-11-20, yesterday or monday");
}

#[test]
fn stored_messages_are_shown_before_the_network_answers() {
    let mut kept = restored(400, 500, 490);
    kept.rooms[0].draft = "half a thought".to_owned();
    kept.typed = vec!["earlier".to_owned(), "later".to_owned()];
    for (local, delivery) in [
        (1, Delivery::Pending),
        (
            2,
            Delivery::Failed {
                why: Line::inert("too long"),
            },
        ),
    ] {
        kept.outbox.push(OutboxMessage {
            local: LocalId(local),
            room: RoomId::LOBBY,
            content: Content::Text(Body::inert("ours")),
            delivery,
        });
    }
    let mut desk = with(kept);
    assert_eq!(desk.text(), "half a thought");
    let entries = desk.entries();
    assert_eq!(entries.len(), 103);
    assert_eq!(entries[100], Log::message(500).words());
    assert_eq!(entries[101..], ["ours Pending", "ours Failed(too long)"]);
    assert_eq!(desk.model.pane().unread(), 10);
    assert_eq!(
        desk.model.pane().info.rules.topic,
        Some(Line::inert("the lab"))
    );
    desk.key(Key::ctrl(Code::Char('u')));
    desk.key(Key::plain(Code::Up));
    assert_eq!(desk.text(), "later");
    desk.key(Key::plain(Code::Up));
    assert_eq!(desk.text(), "earlier");
}

#[test]
fn read_position_and_draft_are_saved_a_moment_later() {
    let draft = |text: &str| {
        let room = RoomId::LOBBY;
        let text = text.to_owned();
        Effect::Command(Command::Draft { room, text })
    };
    let read = |seq| {
        let room = RoomId::LOBBY;
        Effect::Command(Command::MarkRead { room, seq })
    };
    let mut desk = with(restored(400, 500, 500));
    desk.enters().opens(1, 500, 501);
    desk.done();
    let millis = Duration::from_millis;
    desk.typed("hel");
    assert_eq!(desk.model.wakes_in(), Some(millis(1000)));
    desk.passes(millis(900)).typed("lo");
    assert_eq!(desk.done(), []);
    desk.passes(millis(1000));
    assert_eq!(desk.done(), [draft("hello")]);
    assert_eq!(desk.model.wakes_in(), None);
    desk.message(501, "bob", "new").passes(millis(3000));
    assert_eq!(desk.done(), [read(501)]);
    desk.message(502, "bob", "newer").msg(Msg::Focus(false));
    assert_eq!(desk.done(), [read(502)], "at once, when one looks away");
    desk.message(503, "bob", "not seen").passes(millis(9000));
    assert_eq!(desk.done(), []);
    desk.msg(Msg::Focus(true)).key(CTRL_C).key(CTRL_C);
    assert_eq!(
        desk.done(),
        [
            vec![Effect::Command(Command::Probe), read(503), draft("")],
            leaves()
        ]
        .concat(),
        "and when one leaves"
    );

    let mut desk = with(restored(400, 500, 500));
    desk.typed("a thought").key(ESC).passes(millis(2000));
    assert_eq!(desk.text(), "");
    let typed = Effect::Command(Command::Typed("a thought".to_owned()));
    assert_eq!(
        desk.done(),
        [typed, draft("a thought")],
        "put aside is kept"
    );
    desk.typed("x")
        .key(ENTER)
        .passes(millis(4000))
        .passes(millis(6000));
    assert!(desk.done().contains(&draft("")), "done with");
}

#[test]
fn reading_on_from_the_old_position_marks_as_read_up_to_there() {
    let mut desk = joined(&LOG, 60);
    desk.loads(&LOG).key(PAGE_UP);
    assert_eq!(desk.model.pane().read, 1_000);
    for seq in 1_001..1_100 {
        desk.heard(Event::Message(Log::message(seq).into()));
    }
    assert_eq!(desk.model.pane().read, 1_000);
    for _ in 0..4 {
        desk.key(Key::plain(Code::PageDown));
    }
    let read = desk.model.pane().read;
    assert!((1_010..1_060).contains(&read), "{read}");
    desk.key(PAGE_UP).key(PAGE_UP);
    assert_eq!(desk.model.pane().read, read);
}

#[test]
fn a_gap_on_the_screen_opens_on_the_side_that_the_reader_does_not_come_from() {
    for (width, height) in [(20, 9), (40, 12), (60, 20), (100, 30)] {
        for down in [false, true] {
            let mut desk = with(restored(400, 500, 500));
            desk.msg(Msg::Resized { width, height });
            desk.enters().opens(1, 1_000, 990);
            for seq in 990..=1_000 {
                desk.heard(Event::Message(Log::message(seq).into()));
            }
            let asked = desk.asked();
            // Up, and for the other direction down again, until the gap is in the middle.
            let gap_row = |desk: &Desk| {
                let rows = shown(desk);
                let below = rows
                    .iter()
                    .position(|row| row == &format!("{} 0", Log::message(990).words()));
                below.map(|below| (below, rows.len()))
            };
            let page = Part::Forward { from: 1, to: 399 };
            desk.paged(page, Log { page: 999, ..LOG }.page(page));
            for _ in 0..400 {
                if gap_row(&desk).is_some_and(|(below, rows)| below > rows / 2) {
                    break;
                }
                desk.key(Key::ctrl(Code::Up));
            }
            if down {
                desk.key(Key::ctrl(Code::Up)).key(Key::ctrl(Code::Down));
            }
            let _asked_on_the_way = desk.asked().or(asked);
            let part = if down {
                Part::Forward { from: 501, to: 989 }
            } else {
                Part::Backward { from: 501, to: 989 }
            };
            let (below, _) = gap_row(&desk).unwrap();
            let before = places(&desk);
            desk.paged(part, LOG.page(part));
            let after = places(&desk);
            let stays = before.iter().filter(|(row, _)| (*row < below) == down);
            for place in stays {
                assert!(
                    after.contains(place),
                    "{width}x{height}, down: {down}: {place:?} moved\n{before:#?}\n{after:#?}"
                );
            }
        }
    }
}

#[test]
fn a_page_of_a_log_that_was_replaced_is_left_out() {
    let mut desk = joined(&LOG, 10);
    let part = desk.asked().unwrap();
    desk.heard(opened(1, 0, 1, Some(Reset::Epoch)));
    desk.heard(Event::Page {
        room: RoomId::LOBBY,
        part,
        page: Ok(LOG.page(part)),
    });
    assert_eq!(numbers(&desk).len(), 10);
}

#[test]
fn messages_that_the_server_erased_are_erased_and_history_begins_below() {
    let mut desk = with(restored(400, 500, 490));
    desk.heard(Event::Notice(Line::inert("said while offline")));
    desk.enters().opens(495, 505, 501);
    for seq in 501..=505 {
        desk.heard(Event::Message(Log::message(seq).into()));
    }
    assert_eq!(numbers(&desk), (495..=505).collect::<Vec<_>>());
    let pane = desk.model.pane();
    let begins = Some(Edge::Begins { removed: true });
    assert_eq!(pane.timeline.edge(0), begins);
    assert_eq!(pane.unread(), 11, "what is erased is not new either");

    // All loaded messages.
    let mut desk = with(restored(400, 500, 500));
    desk.enters().opens(701, 705, 701);
    for seq in 701..=705 {
        desk.heard(Event::Message(Log::message(seq).into()));
    }
    assert_eq!(numbers(&desk), (701..=705).collect::<Vec<_>>());
    let pane = desk.model.pane();
    assert_eq!(pane.timeline.edge(0), begins);
    assert_eq!(pane.unread(), 5);

    // The store may still have it.
    let part = Part::Backward { from: 1, to: 702 };
    desk.paged(part, LOG.page(part));
    assert_eq!(numbers(&desk), (701..=705).collect::<Vec<_>>());
}

#[test]
fn of_another_log_everything_is_new() {
    let mut desk = with(restored(400, 500, 500));
    desk.enters();
    desk.heard(opened(1, 90, 1, Some(Reset::Epoch)));
    assert_eq!(desk.model.pane().unread(), 90);
    for seq in 1..=90 {
        desk.heard(Event::Message(Log::message(seq).into()));
    }
    let pane = desk.model.pane();
    assert_eq!(pane.unread(), 90);
    let layout = desk.model.layout();
    assert!(pane.unread_above(&layout.columns, layout.messages.height) > 0);
    assert_eq!(pane.read, 0, "nobody was led there");
    desk.key(Key::alt(Code::Char('u')));
    let above = desk.on_top();
    assert!(
        above.contains("its history begins here") || above.contains("message 1 "),
        "{above}"
    );

    // The unread messages above the break stay unread.
    let mut desk = with(restored(400, 500, 450));
    desk.enters();
    desk.heard(opened(11, 20, 11, Some(Reset::Id)));
    assert_eq!(desk.model.pane().unread(), 50 + 10);
}

#[test]
fn our_own_messages_are_not_unread() {
    let own = |seq| Entry {
        author: Author {
            user: user("carol"),
            ..Log::message(seq).author
        },
        ..Log::message(seq)
    };
    let unread = |desk: &Desk| desk.model.pane().unread();
    let kept = |user| {
        let mut kept = restored(400, 500, 450);
        kept.user = user;
        let page = &mut kept.rooms[0].page;
        page.entries = (400..=500).map(own).collect();
        kept
    };
    // Stored, of an earlier run.
    let desk = with(kept(Some(user("carol"))));
    assert_eq!(unread(&desk), 0);
    assert!(!desk.model.pane().unread_line_waits());

    // Known to be ours only after joining.
    let mut desk = with(kept(None));
    assert_eq!(unread(&desk), 50);
    desk.enters();
    assert_eq!(unread(&desk), 0);

    // Delivered before the connection was lost; then messages of others.
    let mut desk = joined(&Log { head: 10, ..LOG }, 10);
    desk.opens(1, 13, 11);
    desk.heard(Event::Message(own(11).into()))
        .heard(Event::Message(own(12).into()));
    assert_eq!(unread(&desk), 1);
    desk.heard(Event::Message(Log::message(13).into()));
    assert_eq!(unread(&desk), 1);
    let pane = desk.model.pane();
    assert_eq!(pane.unread_from(), Some(pane.timeline.key_of(13)));

    // Only our own messages; also as history.
    let mut desk = joined(&Log { head: 10, ..LOG }, 10);
    desk.opens(1, 20, 18);
    for seq in 18..=20 {
        desk.heard(Event::Message(own(seq).into()));
    }
    assert_eq!(unread(&desk), 7);
    let part = Part::Forward { from: 11, to: 17 };
    let mut ours = LOG.page(part);
    ours.entries = (11..=17).map(own).collect();
    desk.paged(part, ours);
    assert_eq!(unread(&desk), 0);
    assert_eq!(desk.model.pane().unread_from(), None);
}
