use super::*;
use crate::{
    client::{
        event::{Page, SearchPage},
        session::{
            persist_types::{CacheQuery, CacheResult},
            requests::{IN_FLIGHT_MAX, REQUESTS_MAX},
        },
    },
    protocol::frame::{FoundPage, HistoryPage, PageHead, Part},
    search::{Query, Words},
};

const OLD: Part = Part::Backward { from: 1, to: 3 };

fn words(text: &str) -> Query {
    Query {
        words: Words::parse(text).unwrap(),
        sender: None,
        after: None,
        before: None,
    }
}

fn head(from: u64, to: u64, reference: u64) -> PageHead {
    PageHead {
        room: RoomId::LOBBY,
        extent: Extent::new(1, 9),
        from,
        to,
        reference: Some(reference),
    }
}

fn plain(seq: u64, text: &str) -> Entry {
    match message(seq, text) {
        ServerFrame::Entry(message) => message,
        _ => unreachable!(),
    }
}

fn history(from: u64, to: u64, reference: u64) -> ServerFrame {
    ServerFrame::History(HistoryPage {
        head: head(from, to, reference),
        entries: (from..=to).map(|seq| plain(seq, "old")).collect(),
    })
}

/// Page 1 to 3 of a room.
fn history_of(room: &str, reference: u64) -> ServerFrame {
    let room = RoomId::parse(room).unwrap();
    let messages = (1..=3).map(|seq| Entry {
        room,
        ..plain(seq, "old")
    });
    ServerFrame::History(HistoryPage {
        entries: messages.collect(),
        head: PageHead {
            room,
            ..head(1, 3, reference)
        },
    })
}

fn found(reference: u64) -> ServerFrame {
    ServerFrame::Found(FoundPage {
        head: head(2, 9, reference),
        indexed: 8,
        entries: vec![plain(5, "green")],
    })
}

fn refusal(reference: u64, retry_after_ms: Option<u64>) -> ServerFrame {
    ServerFrame::Error(ErrorFrame {
        reference: Some(reference),
        retry_after_ms,
        ..error(ErrorCode::RateLimited, "Not so fast")
    })
}

fn kept_page(from: u64, to: u64) -> Page {
    Page {
        extent: Extent::new(1, 9),
        from,
        to,
        entries: Vec::new(),
        offline: true,
    }
}

impl TestSession {
    fn page(&mut self, part: Part) {
        let room = RoomId::LOBBY;
        self.command(Command::Page { room, part });
    }

    fn page_of(&mut self, room: &str) {
        let room = RoomId::parse(room).unwrap();
        self.command(Command::Page { room, part: OLD });
    }

    fn search(&mut self, search: u64) {
        self.command(Command::Search {
            search,
            room: RoomId::LOBBY,
            query: words("green"),
            to: None,
        });
    }

    /// The only event since the last call.
    fn only(&mut self) -> Event {
        let [event] = std::mem::take(&mut self.events).try_into().unwrap();
        event
    }
}

#[test]
fn a_page_on_disk_is_not_requested_from_the_server() {
    let mut run = TestSession::online();
    run.disk.page = Some(kept_page(1, 3));
    run.page(OLD);
    run.wrote(&[]);
    let Event::Page { part, page, .. } = run.only() else {
        panic!("no page");
    };
    assert_eq!(part, OLD);
    assert!(!page.unwrap().offline, "it is as good as the server's");
}

#[test]
fn a_page_that_the_disk_lacks_comes_from_the_server_and_is_stored() {
    let mut run = TestSession::online();
    run.page(OLD);
    run.wrote(&["history Backward { from: 1, to: 3 }"]);
    run.disk.saves.clear();
    run.say(history(1, 3, 1));
    run.told(&["page 1..=3"]);
    assert_eq!(run.disk.kept_numbers(), [1, 2, 3]);
}

#[test]
fn a_search_and_a_page_are_on_the_way_together_and_pages_of_a_room_in_order() {
    let mut run = TestSession::online();
    run.page(OLD);
    run.search(7);
    run.page(Part::Since(Timestamp::UNIX_EPOCH));
    run.wrote(&["history Backward { from: 1, to: 3 }", "search green"]);
    run.say(history(2, 3, 1));
    run.wrote(&["history Since(1970-01-01T00:00:00Z)"]);
    run.say(history(1, 3, 3));
    run.say(found(2));
    run.told(&["page 2..=3", "page 1..=3", "found 1 in 2..=9"]);
}

#[test]
fn a_page_of_one_room_does_not_wait_for_another_room() {
    let mut run = TestSession::online();
    run.page_of("a");
    run.page_of("b");
    run.page_of("b");
    run.wrote(&["history Backward { from: 1, to: 3 }"; 2]);
    run.say(history_of("b", 2));
    run.wrote(&["history Backward { from: 1, to: 3 }"]);
    run.say(history_of("a", 1));
    run.say(history_of("b", 3));
    run.told(&["page 1..=3"; 3]);
}

#[test]
fn so_many_are_on_the_way_at_once_and_the_others_follow_their_answers() {
    let mut run = TestSession::online();
    for room in 0..=IN_FLIGHT_MAX {
        run.page_of(&format!("r{room}"));
    }
    assert_eq!(run.frames().len(), IN_FLIGHT_MAX);
    run.say(history_of("r3", 4));
    run.wrote(&["history Backward { from: 1, to: 3 }"]);
}

#[test]
fn the_disk_may_answer_in_any_order() {
    let mut run = TestSession::online();
    run.disk.queries = Some(Vec::new());
    for room in ["a", "b", "c"] {
        run.page_of(room);
    }
    let mut queries = run.disk.queries.take().unwrap();
    queries.reverse();
    for ((id, query), to) in queries.into_iter().zip(1..) {
        let now = run.now();
        let page = CacheResult::Page(Ok(Some(kept_page(1, to))));
        run.session.handle_cache_result(now, id, page);
        run.settle();
        let CacheQuery::Page { room: asked, .. } = query else {
            panic!("no page: {query:?}");
        };
        let Event::Page { room, page, .. } = run.only() else {
            panic!("no page");
        };
        assert_eq!((room, page.unwrap().to), (asked, to));
    }
}

#[test]
fn a_newer_search_replaces_one_that_waits() {
    let mut run = TestSession::online();
    for search in 1..=3 {
        run.search(search);
    }
    run.told(&["not searched: A newer search has replaced it"]);
    run.wrote(&["search green"]);
    run.say(found(1));
    run.say(found(2));
    let searches = run.events.drain(..).map(|event| match event {
        Event::Found { search, found, .. } => (search, found.is_ok()),
        other => panic!("{other:?}"),
    });
    assert_eq!(searches.collect::<Vec<_>>(), [(1, true), (3, true)]);
}

#[test]
fn a_newer_search_waits_as_long_as_the_server_has_asked_for() {
    let mut run = TestSession::online();
    run.search(1);
    run.say(refusal(1, Some(1000)));
    run.frames();
    run.search(2);
    run.told(&["not searched: A newer search has replaced it"]);
    run.wrote(&[]);
    run.pass(Duration::from_secs(1));
    run.wrote(&["search green"]);
}

#[test]
fn a_server_that_answers_one_after_the_other_has_the_time_for_each() {
    let mut run = TestSession::online();
    run.page_of("a");
    run.page_of("b");
    run.pass(Duration::from_secs(14));
    run.say(history_of("a", 1));
    run.events.clear();
    run.pass(Duration::from_secs(14));
    run.say(history_of("b", 2));
    assert!(
        run.events
            .iter()
            .any(|event| matches!(event, Event::Page { page: Ok(page), .. } if !page.offline))
    );
}

#[test]
fn after_a_refusal_one_is_sent_at_a_time() {
    let mut run = TestSession::online();
    for room in ["a", "b", "c"] {
        run.page_of(room);
    }
    run.frames();
    for reference in 1..=3 {
        run.say(refusal(reference, Some(1000)));
    }
    run.told(&[]);
    run.pass(Duration::from_secs(1));
    for (room, reference) in ["a", "b", "c"].into_iter().zip(4..) {
        run.wrote(&["history Backward { from: 1, to: 3 }"]);
        run.say(history_of(room, reference));
    }
    run.told(&["page 1..=3"; 3]);
    // The server no longer minds.
    run.page_of("a");
    run.page_of("b");
    run.wrote(&["history Backward { from: 1, to: 3 }"; 2]);
}

#[test]
fn what_is_unanswered_at_the_end_is_refused_before_it() {
    let mut run = TestSession::online();
    run.disk.queries = Some(Vec::new());
    run.page(OLD);
    run.search(1);
    run.command(Command::Leave);
    run.command(Command::Leave);
    run.told(&[
        "no page: The session has ended",
        "not searched: The session has ended",
        "ended: sent 0/0, received 0/0, unsent 0",
    ]);
}

#[test]
fn offline_the_disk_has_to_do() {
    let mut run = TestSession::online();
    run.lose();
    run.disk.page = Some(kept_page(2, 3));
    run.page(OLD);
    let Event::Page { page, .. } = run.only() else {
        panic!("no page");
    };
    assert!(page.unwrap().offline);
    run.disk.page = None;
    run.page(OLD);
    run.told(&["page 4..=3"]);
    run.disk.found = Some(SearchPage {
        first: 1,
        from: 1,
        to: 9,
        entries: Vec::new(),
        indexed: None,
        offline: true,
    });
    run.search(1);
    run.told(&["found 0 in 1..=9"]);
}

#[test]
fn a_room_that_nobody_heard_of_has_no_page() {
    let mut run = TestSession::new();
    run.events.clear();
    run.page(OLD);
    run.told(&["no page: Nothing of this room is stored here: try again once you are connected"]);
}

#[test]
fn a_connection_that_breaks_leaves_no_question_open() {
    let mut run = TestSession::online();
    run.page(OLD);
    run.search(1);
    run.disk.page = Some(kept_page(2, 3));
    run.close(&Closed::Lost);
    let answered = |event: &&Event| matches!(event, Event::Page { .. } | Event::Found { .. });
    assert_eq!(run.events.iter().filter(answered).count(), 2);
}

#[test]
fn a_server_that_does_not_answer_is_not_waited_for_for_ever() {
    let mut run = TestSession::online();
    run.page(OLD);
    run.pass(Duration::from_secs(14));
    run.told(&["unanswered for 3 s"]);
    run.pass(Duration::from_secs(1));
    run.told(&["page 4..=3"]);
    // A late answer belongs to no request.
    run.say(history(1, 3, 1));
    run.told(&["answers"]);
    assert!(run.connected);
}

#[test]
fn a_refusal_is_told_and_one_that_may_pass_is_waited_out() {
    let mut run = TestSession::online();
    run.page(OLD);
    run.frames();
    run.say(refusal(1, Some(1000)));
    run.told(&[]);
    run.pass(Duration::from_secs(1));
    run.wrote(&["history Backward { from: 1, to: 3 }"]);
    run.say(refusal(2, None));
    run.told(&["no page: Not so fast"]);
    run.page(OLD);
    run.say(refusal(3, Some(600_000)));
    run.told(&["no page: Not so fast"]);
}

#[test]
fn requests_after_a_refusal_wait_for_their_time() {
    let mut run = TestSession::online();
    for _ in 0..3 {
        run.page(OLD);
    }
    run.frames();
    // Other requests would be refused as well, and are not sent.
    run.say(refusal(1, Some(30_000)));
    let refused = run.elapsed;
    run.time();
    run.time();
    assert_eq!(run.elapsed, refused);
    run.wrote(&[]);
    run.told(&["no page: Not so fast"; 3]);
    run.pass(Duration::from_secs(25));
    run.written.clear();
    run.page(OLD);
    run.wrote(&[]);
    run.pass(Duration::from_secs(5));
    run.wrote(&["history Backward { from: 1, to: 3 }"]);
    // A ping during the half minute was not answered either.
    run.say(history(1, 3, 2));
    run.told(&["unanswered for 3 s", "page 1..=3", "answers"]);
}

#[test]
fn a_server_that_knows_no_history_says_so_once_for_each() {
    let mut run = TestSession::online();
    run.page(OLD);
    run.say(ServerFrame::Error(error(ErrorCode::UnknownType, "What?")));
    run.told(&["no page: What?"]);
}

#[test]
fn a_basic_server_has_no_history() {
    let mut run = TestSession::new();
    run.reach();
    run.time();
    run.say_bytes(br#"{"type":"error","message":"Hm"}"#);
    run.events.clear();
    run.page(OLD);
    run.search(1);
    run.told(&[
        "no page: This older server keeps no history",
        "not searched: This older server keeps no history",
    ]);
}

#[test]
fn an_unidentified_server_may_turn_out_to_have_history() {
    let mut run = TestSession::new();
    run.disk.page = Some(kept_page(1, 3));
    run.reach();
    run.time();
    run.events.clear();
    run.page(OLD);
    run.told(&["page 1..=3"]);
}

#[test]
fn only_so_much_can_be_asked_for_at_once() {
    let mut run = TestSession::online();
    for _ in 0..=REQUESTS_MAX {
        run.page(OLD);
    }
    run.told(&["no page: Too many requests at once: try again in a moment"]);
    run.say(history(1, 3, 1));
    run.told(&["page 1..=3"]);
}

#[test]
fn a_page_leaves_out_what_is_not_shown() {
    let mut run = TestSession::online();
    run.page(OLD);
    run.say(ServerFrame::History(HistoryPage {
        head: head(1, 3, 1),
        entries: vec![plain(1, "a"), plain(3, "c")],
    }));
    run.told(&["page 1..=3"]);
}

#[test]
fn a_page_out_of_order_ends_the_connection() {
    for numbers in [[3, 1], [2, 2], [3, 4]] {
        let mut run = TestSession::online();
        run.page(OLD);
        run.say(ServerFrame::History(HistoryPage {
            head: head(1, 3, 1),
            entries: numbers.map(|seq| plain(seq, "a")).to_vec(),
        }));
        assert!(!run.connected, "{numbers:?}");
    }
}
