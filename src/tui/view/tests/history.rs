//! Screens of history and search, as text.

use super::*;
use crate::{
    client::event::{Page, Restored, RestoredRoom, SearchPage},
    protocol::{
        Entry, EntryKind, Mentions, ReadMarker, ReadState, RoomInfo, RoomName, entry::Text,
        frame::Part,
    },
    tui::testing::Log,
};

const LOG: Log = Log {
    first: 1,
    head: 1_000,
    page: 50,
};
const ENTER: Key = Key::plain(Code::Enter);

impl Screen {
    /// A screen that has joined, with the latest messages of a log.
    fn joined(width: u16, height: u16, log: &Log, from: u64) -> Self {
        let mut screen = Self::new(width, height);
        screen.desk.enters().opens(log.first, log.head, from);
        for seq in from..=log.head {
            screen.heard(Event::Message(short(seq).into()));
        }
        screen
    }

    /// Answers requests for pages, with short texts.
    fn loads(&mut self, log: &Log) -> &mut Self {
        while let Some(part) = self.desk.asked() {
            self.desk.paged(part, page(log, part));
        }
        self
    }

    fn fails(&mut self, why: &str) -> &mut Self {
        let part = self.desk.asked().unwrap();
        self.heard(Event::Page {
            room: RoomId::LOBBY,
            part,
            page: Err(Line::inert(why)),
        })
    }

    /// Searches for a word, which is found in these messages.
    fn searched(&mut self, word: &str, from: u64, offline: bool, found: &[u64]) -> &mut Self {
        self.key(Key::ctrl(Code::Char('f'))).typed(word).key(ENTER);
        self.heard(Event::Found {
            search: 1,
            room: RoomId::LOBBY,
            found: Ok(SearchPage {
                first: 1,
                from,
                to: LOG.head,
                entries: found.iter().map(|&seq| short(seq)).collect(),
                indexed: None,
                offline,
            }),
        })
    }
}

/// A message of the log without the long texts.
fn short(seq: u64) -> Entry {
    Entry {
        kind: EntryKind::Text(Text {
            body: Body::inert(&format!("this is number {seq}")),
            mentions: Mentions::NONE,
            edited: None,
        }),
        ..Log::message(seq)
    }
}

fn page(log: &Log, part: Part) -> Page {
    let page = log.page(part);
    Page {
        entries: (page.from..=page.to).map(short).collect(),
        ..page
    }
}

#[test]
fn a_page_that_is_loading_or_failed_is_a_quiet_row() {
    let mut screen = Screen::joined(60, 10, &LOG, 997);
    screen.check(
        r"
 #lobby                        localhost:10500  ● encrypted
 ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ loading older messages … ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄
 ─────────────── Wednesday 14 January 1970 ────────────────
 20:20      dave │ this is number 997
 20:40      dave │ this is number 998
 21:00     alice │ this is number 999
 21:20     alice │ this is number 1000
────────────────────────────────────────────────────────────
 › type a message
 F1 help   Esc disconnect   Tab complete
",
    );
    screen.fails("The server is busy.");
    screen.check(
        r"
 #lobby                        localhost:10500  ● encrypted
 ┄┄┄ not loaded, Enter tries again: The server is busy ┄┄┄┄
 ─────────────── Wednesday 14 January 1970 ────────────────
 20:20      dave │ this is number 997
 20:40      dave │ this is number 998
 21:00     alice │ this is number 999
 21:20     alice │ this is number 1000
────────────────────────────────────────────────────────────
 › type a message
 F1 help   Esc disconnect   Tab complete
",
    );
}

#[test]
fn where_history_begins_is_said() {
    let log = Log {
        first: 1,
        head: 4,
        page: 50,
    };
    Screen::joined(60, 10, &log, 1).check(
        r"
 #lobby                        localhost:10500  ● encrypted
 ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ history begins here ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄
 ──────────────── Thursday 1 January 1970 ─────────────────
 00:20     alice │ this is number 1
 00:40     alice │ this is number 2
 01:00       bob │ this is number 3
 01:20       bob │ this is number 4
────────────────────────────────────────────────────────────
 › type a message
 F1 help   Esc disconnect   Tab complete
",
    );
    let log = Log { first: 998, ..LOG };
    Screen::joined(60, 10, &log, 998).check(
        r"
 #lobby                        localhost:10500  ● encrypted

 ┄┄┄┄┄┄┄┄┄┄┄ older messages are no longer kept ┄┄┄┄┄┄┄┄┄┄┄┄
 ─────────────── Wednesday 14 January 1970 ────────────────
 20:40      dave │ this is number 998
 21:00     alice │ this is number 999
 21:20     alice │ this is number 1000
────────────────────────────────────────────────────────────
 › type a message
 F1 help   Esc disconnect   Tab complete
",
    );
}

/// The store of an earlier run: read up to number 450.
fn absent(width: u16, height: u16) -> Screen {
    let part = Part::Forward { from: 401, to: 450 };
    let restored = Restored {
        user: Some(user("carol")),
        rooms: vec![RestoredRoom {
            room: RoomId::LOBBY,
            info: RoomInfo::public(RoomName::lobby()),
            page: page(&LOG, part),
            read: ReadState {
                marker: ReadMarker {
                    seq: 450,
                    generation: 0,
                },
                ..ReadState::default()
            },
            draft: "half a thought".to_owned(),
        }],
        ..Restored::default()
    };
    let start = crate::tui::app::Start {
        restored,
        ..start(width, height, time("22T09:45:00"))
    };
    Screen {
        desk: Desk::start(start),
    }
}

#[test]
fn stored_messages_are_drawn_before_the_network_answers() {
    absent(60, 10).check(
        r"
 #lobby                       localhost:10500  ◌ connecting
 04:40       bob │ this is number 446
 05:00      dave │ this is number 447
 05:20      dave │ this is number 448
 05:40      dave │ this is number 449
 06:00     alice │ this is number 450
 ◌ Connecting to localhost:10500 …
────────────────────────────────────────────────────────────
 › half a thought
 Ctrl-R connect now   F1 help   Esc put aside
",
    );
}

#[test]
fn a_long_absence_is_told_above_and_marked() {
    let mut screen = absent(60, 10);
    screen.desk.enters().opens(1, 1_000, 901);
    for seq in 901..=1_000 {
        screen.heard(Event::Message(short(seq).into()));
    }
    screen.check(
        r"
 #lobby                        localhost:10500  ● encrypted
 19:40       bob │ this is number 995
 20:00      dave │ this is number 996
 20:20      dave │ this is number 997
 20:40      dave │ this is number 998
 21:00     alice │ this is number 999
 21:20     alice │ this is number 1000
──────────────────────────────────── 550 new above · Alt-U ─
 › half a thought
 F1 help   Esc put aside   Tab complete
",
    );
    screen.key(Key::alt(Code::Char('u'))).loads(&LOG);
    screen.check(
        r"
 #lobby                        localhost:10500  ● encrypted
 ──────────────────── 550 new messages ────────────────────
 06:20     alice │ this is number 451
 06:40     alice │ this is number 452
 07:00       bob │ this is number 453
 07:20       bob │ this is number 454
 07:40       bob │ this is number 455
──────────────────────────────────── more below · Ctrl-End ─
 › half a thought
 F1 help   Esc back to the end   Tab complete
",
    );
}

#[test]
fn where_two_ranges_do_not_touch_is_a_gap() {
    let mut screen = absent(60, 12);
    screen.desk.enters().opens(1, 1_000, 998);
    for seq in 998..=1_000 {
        screen.heard(Event::Message(short(seq).into()));
    }
    screen.check(
        r"
 #lobby                        localhost:10500  ● encrypted
 05:40      dave │ this is number 449
 06:00     alice │ this is number 450
 ──────────────────── 550 new messages ────────────────────
 ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ loading 547 messages … ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄
 ─────────────── Wednesday 14 January 1970 ────────────────
 20:40      dave │ this is number 998
 21:00     alice │ this is number 999
 21:20     alice │ this is number 1000
────────────────────────────────────────────────────────────
 › half a thought
 F1 help   Esc put aside   Tab complete
",
    );
    screen.fails("not on this computer").check(
        r"
 #lobby                        localhost:10500  ● encrypted
 05:40      dave │ this is number 449
 06:00     alice │ this is number 450
 ──────────────────── 550 new messages ────────────────────
 ┄┄ not loaded, Enter tries again: not on this computer ┄┄┄
 ─────────────── Wednesday 14 January 1970 ────────────────
 20:40      dave │ this is number 998
 21:00     alice │ this is number 999
 21:20     alice │ this is number 1000
────────────────────────────────────────────────────────────
 › half a thought
 F1 help   Esc put aside   Tab complete
",
    );
}

#[test]
fn how_to_search_is_shown_first() {
    for (width, height, expected) in [
        (
            60,
            12,
            r#"
 #lobby                        localhost:10500  ● encrypted
 Search #lobby
 two words          both, in any order
 gre*               a word that begins like this
 "no failures"      these words in a row
 from:alice         messages by alice
 after:2026-11-20   of that day or later
 before:2026-11-20  before that day

────────────────────────────────────────────────────────────
 / words to find
 Enter search   Esc back
"#,
        ),
        (
            20,
            5,
            r#"
#lobby   ● encrypted
two words
gre*
"no failures"
/ words to find
"#,
        ),
    ] {
        let mut screen = Screen::joined(width, height, &LOG, 901);
        screen.loads(&LOG).key(Key::ctrl(Code::Char('f')));
        screen.check(expected);
    }
}

#[test]
fn hits_are_listed_newest_first() {
    for (width, height, expected) in [
        (
            80,
            14,
            r"
 #lobby                                            localhost:10500  ● encrypted
 ───────────────────────── Wednesday 14 January 1970 ──────────────────────────
 18:00       alice │ this is number 990
 17:40        dave ┃ this is number 989
 ────────────────────────── Wednesday 7 January 1970 ──────────────────────────
 22:40         bob │ this is number 500
 ────────────────────────── Thursday 1 January 1970 ───────────────────────────
 06:40       alice │ this is number 20
 No more matches in 1,000 messages.


────────────────────────────────────────────────────────────────────── 4 found ─
 / number
 Enter go there   Esc back   Down older   Up newer
",
        ),
        (
            40,
            12,
            r"
 #lobby    localhost:10500  ● encrypted
 ───── Wednesday 14 January 1970 ──────
    alice │ this is number 990
     dave ┃ this is number 989
 ────── Wednesday 7 January 1970 ──────
      bob │ this is number 500
 ────── Thursday 1 January 1970 ───────
    alice │ this is number 20
 No more matches in 1,000 messages.
────────────────────────────── 4 found ─
 / number
 Enter go there   Esc back   Down older
",
        ),
        (
            20,
            5,
            r"
#lobby   ● encrypted
 this is number 990
› 17:40 dave
 this is number 989
/ number
",
        ),
    ] {
        let mut screen = Screen::joined(width, height, &LOG, 901);
        screen
            .loads(&LOG)
            .searched("number", 1, false, &[990, 989, 500, 20])
            .key(Key::plain(Code::Down));
        screen.check(expected);
    }
}

#[test]
fn a_search_says_when_it_found_nothing_or_only_looked_here() {
    let mut screen = Screen::joined(60, 10, &LOG, 901);
    screen.loads(&LOG).searched("nowhere", 1, false, &[]);
    screen.check(
        r"
 #lobby                        localhost:10500  ● encrypted
 Nothing found in 1,000 messages.





──────────────────────────────────────────── nothing found ─
 / nowhere
 Enter search   Esc back
",
    );
    let mut screen = Screen::joined(60, 10, &LOG, 901);
    screen.loads(&LOG).searched("number", 1, true, &[990]);
    screen.check(
        r"
 #lobby                        localhost:10500  ● encrypted
 ─────────────── Wednesday 14 January 1970 ────────────────
 18:00     alice ┃ this is number 990
 Offline: only messages on this computer were searched.



───────────────────────────────────────── offline: 1 found ─
 / number
 Enter go there   Esc back   Down older   Up newer
",
    );
}

#[test]
fn a_hit_in_its_place_stands_out_without_colours_too() {
    let mut screen = Screen::joined(60, 12, &LOG, 901);
    screen.loads(&LOG).searched("number", 1, false, &[500]);
    screen.key(ENTER).loads(&LOG);
    screen.check(
        r"
 #lobby                        localhost:10500  ● encrypted
 22:00       bob │ this is number 498
 22:20       bob │ this is number 499
 22:40       bob ┃ this is number 500
 23:00      dave │ this is number 501
 23:20      dave │ this is number 502
 23:40      dave │ this is number 503
 ──────────────── Thursday 8 January 1970 ─────────────────
 00:00     alice │ this is number 504
───────────────────────────────────────── more below · End ─
 › type a message
 F1 help   Esc back to the results   Tab complete
",
    );
    let mut buffer = Buffer::empty(Rect::new(0, 0, 60, 12));
    let palette = Palette::new(Depth::Mono, Ground::Unknown);
    draw(&screen.desk.model, &palette, &mut buffer);
    let row = (0..12)
        .find(|&y| (0..60).any(|x| buffer[(x, y)].symbol() == "┃"))
        .unwrap();
    let marked: String = (0..60)
        .filter(|&x| {
            let modifier = buffer[(x, row)].modifier;
            modifier.contains(ratatui::style::Modifier::UNDERLINED)
        })
        .map(|x| buffer[(x, row)].symbol())
        .collect();
    assert_eq!(marked, "number");
}

#[test]
fn a_clock_that_was_corrected_is_a_quiet_row_above_the_first_message_after() {
    let log = Log {
        first: 1,
        head: 4,
        page: 50,
    };
    let years = jiff::SignedDuration::from_hours(24 * 365 * 19);
    let hours = jiff::SignedDuration::from_hours(2);
    let marked = |seq: u64, ahead, was| Entry {
        time: short(seq).time + ahead,
        clock_was: Some(short(seq).time + was),
        ..short(seq)
    };
    let mut screen = Screen::new(60, 14);
    screen.desk.enters().opens(log.first, log.head, 1);
    for message in [
        short(1),
        marked(2, hours, jiff::SignedDuration::ZERO),
        marked(3, jiff::SignedDuration::ZERO, hours),
        marked(4, jiff::SignedDuration::ZERO, years),
    ] {
        screen.heard(Event::Message(message.into()));
    }
    screen.check(
        r"
 #lobby                        localhost:10500  ● encrypted

 ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ history begins here ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄
 ──────────────── Thursday 1 January 1970 ─────────────────
 00:20     alice │ this is number 1
 ─────────── server clock moved 2 h 0 min ahead ───────────
 02:40     alice │ this is number 2
 ─────────── server clock moved 2 h 0 min back ────────────
 01:00       bob │ this is number 3
 ──────────── server clock moved 19 years back ────────────
 01:20       bob │ this is number 4
────────────────────────────────────────────────────────────
 › type a message
 F1 help   Esc disconnect   Tab complete
",
    );
    // Nothing of it is cut on a narrow screen.
    let longest = jiff::SignedDuration::from_hours(24 * 729 + 23);
    let mut screen = Screen::new(40, 12);
    screen.desk.enters().opens(1, 1, 1);
    screen.heard(Event::Message(marked(1, longest, longest + longest).into()));
    assert!(screen.text().contains("moved 729 d 23 h back"));
}
