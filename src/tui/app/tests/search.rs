//! Tests of the search, going to hits and back.

use super::*;
use crate::{
    client::event::SearchPage,
    protocol::Entry,
    tui::testing::{Log, edit, joined, redaction},
};

const LOG: Log = Log {
    first: 1,
    head: 1_000,
    page: 50,
};
const CTRL_F: Key = Key::ctrl(Code::Char('f'));
const DOWN: Key = Key::plain(Code::Down);

/// The requested searches: the id, and the highest number to search.
fn searches(desk: &mut Desk) -> Vec<(u64, Option<u64>)> {
    desk.done()
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Command(Command::Search { search, to, .. }) => Some((search, to)),
            _ => None,
        })
        .collect()
}

fn finds(desk: &mut Desk, search: u64, from: u64, to: u64, found: &[u64]) {
    desk.heard(Event::Found {
        search,
        room: RoomId::LOBBY,
        found: Ok(SearchPage {
            first: LOG.first,
            from,
            to,
            entries: found.iter().map(|&seq| Log::message(seq)).collect(),
            indexed: None,
            offline: false,
        }),
    });
}

fn said(desk: &Desk) -> String {
    let search = desk.model.layers.search().unwrap();
    let layout = desk.model.layout();
    let (rows, _) = search.rows(&desk.model.zone, &layout.columns, layout.messages.height);
    let notes = rows.iter().filter_map(|row| match row {
        super::super::layers::search_results::ListRow::Note(text) => Some(text.as_str()),
        _ => None,
    });
    notes.collect::<Vec<_>>().join(" ")
}

fn hits(desk: &Desk) -> Vec<u64> {
    let search = desk.model.layers.search().unwrap();
    search.hits.iter().map(|hit| hit.seq).collect()
}

#[test]
fn a_hit_is_shown_in_its_place_and_escape_leads_all_the_way_back() {
    let mut desk = joined(&LOG, 60);
    desk.loads(&LOG).key(PAGE_UP).key(PAGE_UP);
    let before = (desk.on_top(), desk.model.pane().scroll);
    desk.key(CTRL_F).typed("message").key(ENTER);
    let asked = searches(&mut desk);
    assert_eq!(asked, [(1, None)]);
    finds(&mut desk, 1, 1, 1_000, &[990, 500, 20]);
    assert_eq!(hits(&desk), [990, 500, 20]);
    desk.key(DOWN).key(ENTER).loads(&LOG);
    let pane = desk.model.pane();
    assert_eq!(pane.found, Some(pane.timeline.key_of(500)));
    assert_eq!(desk.model.layers.search().unwrap().selected, 1);
    assert!(desk.model.listing().is_none());
    let layout = desk.model.layout();
    let (from, to) = pane
        .numbers_shown(&layout.columns, layout.messages.height)
        .unwrap();
    assert!(from <= 500 && 500 <= to, "{from} to {to}");

    desk.key(ESC);
    assert!(desk.model.listing().is_some(), "first to the results");
    assert_eq!(desk.text(), "message");
    desk.key(ESC);
    assert!(desk.model.layers.search().is_none());
    assert_eq!((desk.on_top(), desk.model.pane().scroll), before);
    assert_eq!(desk.did(), []);
}

#[test]
fn a_search_goes_on_by_itself_for_a_while_and_then_when_asked() {
    let mut desk = joined(&LOG, 60);
    desk.loads(&LOG).typed("/search rare").key(ENTER);
    let mut to = 1_000;
    let mut steps = 0;
    while let [(search, asked)] = searches(&mut desk)[..] {
        assert_eq!(asked.unwrap_or(1_000), to);
        steps += 1;
        finds(&mut desk, search, to - 49, to, &[]);
        to -= 50;
        assert!(steps < 20, "for ever");
    }
    assert_eq!((steps, to), (8, 600));
    assert_eq!(
        said(&desk),
        "400 of 1,000 messages searched; Down searches further."
    );
    desk.key(DOWN);
    let asked = searches(&mut desk);
    assert_eq!(asked, [(9, Some(600))]);
    finds(&mut desk, 8, 1, 600, &[3]);
    assert!(hits(&desk).is_empty(), "an answer to another search");
    finds(&mut desk, 9, 1, 600, &[400, 3]);
    assert_eq!(hits(&desk), [400, 3]);
    assert_eq!(said(&desk), "No more matches in 1,000 messages.");
    assert_eq!(searches(&mut desk), []);
}

#[test]
fn limits_of_a_search_are_explained() {
    let mut desk = joined(&LOG, 60);
    desk.loads(&LOG).key(CTRL_F).key(ENTER);
    assert!(said(&desk).contains("what to look for"), "{}", said(&desk));
    desk.typed("after:tomorrow").key(ENTER);
    assert_eq!(said(&desk), "Write the day like after:2026-11-20.");
    assert_eq!(searches(&mut desk), []);

    desk.key(Key::ctrl(Code::Char('u')))
        .typed("word")
        .key(ENTER);
    let [(search, _)] = searches(&mut desk)[..] else {
        panic!("no search");
    };
    desk.heard(Event::Found {
        search,
        room: RoomId::LOBBY,
        found: Ok(SearchPage {
            first: 1,
            from: 1,
            to: 1_000,
            entries: Vec::new(),
            indexed: Some(950),
            offline: true,
        }),
    });
    assert!(said(&desk).starts_with("Offline: only messages on this computer"));
    desk.key(ENTER);
    let [(search, _)] = searches(&mut desk)[..] else {
        panic!("no search");
    };
    desk.heard(Event::Found {
        search,
        room: RoomId::LOBBY,
        found: Err(Line::inert("The server is busy.")),
    });
    assert!(
        said(&desk).contains("The server is busy."),
        "{}",
        said(&desk)
    );

    let mut legacy = Desk::new();
    legacy
        .heard(Event::Connection(ConnectionStatus::Legacy))
        .key(CTRL_F);
    assert!(legacy.model.layers.search().is_none());
}

#[test]
fn sending_and_going_to_the_end_leave_the_search() {
    for leave in [Key::ctrl(Code::End), ENTER] {
        let mut desk = joined(&LOG, 60);
        desk.loads(&LOG).typed("/search message").key(ENTER);
        finds(&mut desk, 1, 1, 1_000, &[500]);
        desk.key(ENTER).loads(&LOG);
        assert!(!desk.follows());
        desk.typed("answer").key(leave);
        assert!(
            desk.follows() && desk.model.layers.search().is_none(),
            "{leave}"
        );
    }
}

#[test]
fn hits_that_change_are_shown_as_they_are_and_deleted_ones_go() {
    let mut desk = joined(&LOG, 60);
    desk.key(CTRL_F).typed("message").key(ENTER);
    finds(&mut desk, 1, 1, 1_000, &[990, 500, 20, 10]);
    desk.key(DOWN).key(DOWN);
    let texts = |desk: &Desk| {
        let search = desk.model.layers.search().unwrap();
        let columns = desk.model.layout().columns;
        let (rows, _) = search.rows(&desk.model.zone, &columns, 4);
        let texts = rows.into_iter().filter_map(|row| match row {
            super::super::layers::search_results::ListRow::Text { text, .. } => Some(text),
            _ => None,
        });
        texts.collect::<Vec<_>>()
    };
    let author = |seq: u64| Log::message(seq).author.nickname.as_str().to_owned();
    let at = Timestamp::UNIX_EPOCH;
    let mut came = |entry: Entry| {
        desk.heard(Event::Message(entry.into()));
    };
    came(edit(1_001, at, &author(990), 990, "another text"));
    came(edit(1_002, at, "nobody", 20, "of another author"));
    came(redaction(1_003, at, "carol", 500));
    assert_eq!(hits(&desk), [990, 20, 10]);
    assert_eq!(texts(&desk)[0], "another text");
    assert!(texts(&desk)[1].starts_with("message 20"));
    let chosen = desk.model.layers.search().unwrap().chosen();
    assert_eq!(
        chosen.map(|hit| hit.seq),
        Some(20),
        "the same one is chosen"
    );
    // Hits from before the deletion.
    desk.key(Key::ctrl(Code::Char('u')))
        .typed("message 5")
        .key(ENTER);
    finds(&mut desk, 2, 1, 1_000, &[500, 5]);
    assert_eq!(hits(&desk), [5]);
}
