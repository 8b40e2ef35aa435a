use super::*;
use crate::{
    protocol::{
        ClientFrame, Nickname,
        frame::{ChangesRequest, HistoryRequest, SearchRequest},
        limits::{FRAME_BYTES_MAX, NUMBER_MAX, TEXT_BYTES_MAX},
        wire::encode_client,
    },
    search::Words,
    server::{
        core::{
            replica::ReplicaLimits,
            testing::{World, join, message},
        },
        log::MemoryLimits,
    },
};

fn history(part: Part) -> ClientFrame {
    history_of("lobby", part)
}

fn history_of(room: &str, part: Part) -> ClientFrame {
    ClientFrame::History(HistoryRequest {
        room: RoomId::parse(room).unwrap(),
        part,
        reference: Some(7),
    })
}

fn forward(from: u64, to: u64) -> ClientFrame {
    history(Part::Forward { from, to })
}

fn backward(from: u64, to: u64) -> ClientFrame {
    history(Part::Backward { from, to })
}

fn search(words: &str, to: Option<u64>) -> ClientFrame {
    ClientFrame::Search(SearchRequest {
        room: RoomId::LOBBY,
        query: Query {
            words: Words::parse(words).unwrap(),
            sender: None,
            after: None,
            before: None,
        },
        to,
        reference: Some(7),
    })
}

fn changes() -> ClientFrame {
    ClientFrame::Changes(ChangesRequest {
        room: RoomId::LOBBY,
        since: 0,
        to: NUMBER_MAX,
        erased: false,
        reference: None,
    })
}

/// A world in which alice has sent these messages.
fn after(texts: impl IntoIterator<Item = String>) -> World {
    let mut world = World::new();
    world.join("alice");
    for (counter, text) in (1..).zip(texts) {
        world.say("alice", &message("alice", counter, &text));
    }
    world.hears("alice");
    world
}

#[test]
fn a_page_is_what_of_the_part_is_held_and_fits() {
    let mut world = after((1..=9).map(|n| format!("number {n}")));
    let mut check = |frame: &ClientFrame, expected: &str| {
        assert_eq!(world.say("alice", frame), [expected], "{frame:?}");
    };
    check(&forward(1, 9), "history 1..=9 of 1..=9");
    check(&forward(3, 5), "history 3..=5 of 1..=9");
    check(&forward(8, NUMBER_MAX), "history 8..=9 of 1..=9");
    check(&backward(1, 5), "history 1..=5 of 1..=9");
    check(&backward(4, 5), "history 4..=5 of 1..=9");
    check(&backward(8, NUMBER_MAX), "history 8..=9 of 1..=9");
    // An empty page: `to` is one less than `from`.
    check(&backward(6, 5), "history 6..=5 of 1..=9");
    check(&forward(6, 5), "history 6..=5 of 1..=9");
    check(&backward(0, 0), "history 1..=0 of 1..=9");
    check(&forward(NUMBER_MAX, NUMBER_MAX), "history 10..=9 of 1..=9");
    check(&search("6", Some(0)), "found [] in 1..=0");
    // The first message was sent one second after the world's beginning.
    let since = |time: &str| history(Part::Since(time.parse().unwrap()));
    check(&since("2026-11-22T08:00:00Z"), "history 1..=9 of 1..=9");
    check(&since("2026-11-22T10:00:00Z"), "history 10..=9 of 1..=9");
    check(
        &search("number", None),
        "found [9, 8, 7, 6, 5, 4, 3, 2, 1] in 1..=9",
    );
    check(&search("6", None), "found [6] in 1..=9");
    check(&search("6", Some(5)), "found [] in 1..=5");
    check(&search("6", Some(NUMBER_MAX)), "found [6] in 1..=9");
}

#[test]
fn an_empty_room_has_an_empty_page() {
    let mut world = after([]);
    for frame in [forward(1, 9), backward(1, 9)] {
        assert_eq!(world.say("alice", &frame), ["history 1..=0 of 1..=0"]);
    }
    assert_eq!(
        world.say("alice", &search("x", None)),
        ["found [] in 1..=0"]
    );
}

#[test]
fn a_page_has_the_bytes_that_were_stored() {
    let mut world = after(["one".to_owned(), "two \"2\" \\ \n\t ✓".to_owned()]);
    let live: Vec<_> = world
        .client("alice")
        .raw
        .iter()
        .rev()
        .take(2)
        .cloned()
        .collect();
    for frame in [forward(1, 2), search("two", None)] {
        world.say("alice", &frame);
        let client = world.client("alice");
        let page = String::from_utf8(client.raw.last().unwrap().clone()).unwrap();
        let stored = String::from_utf8(live[0].clone()).unwrap();
        assert!(page.contains(&stored), "{page} holds {stored}");
        assert!(page.contains("\"ref\":7"), "{page}");
    }
}

#[test]
fn pages_of_long_texts_fit_into_a_frame_and_follow_on_each_other() {
    let text = "\"".repeat(TEXT_BYTES_MAX);
    let mut world = after((0..10).map(|_| text.clone()));
    let (mut to, mut pages) = (10, 0);
    while to > 0 {
        let heard = world.say("alice", &backward(1, to));
        let bytes = world.client("alice").raw.last().unwrap().len();
        assert!(bytes <= FRAME_BYTES_MAX, "{bytes}");
        let (from, end) = (to, format!("..={to} of 1..=10"));
        assert!(heard[0].ends_with(&end), "{heard:?}");
        to = heard[0]["history ".len()..]
            .split('.')
            .next()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            - 1;
        assert!(to < from);
        pages += 1;
    }
    assert!(pages > 5);
}

#[test]
fn a_query_that_is_not_allowed_is_refused_with_its_ref() {
    let mut world = after(["one".to_owned()]);
    let part = Part::Forward { from: 1, to: 9 };
    let elsewhere = history_of("cellar", part);
    assert_eq!(world.say("alice", &elsewhere), ["error no_such_room"]);
    assert_eq!(world.looks, 0);
    // A client that has not joined gets nothing.
    world.connect("mallory");
    let refused = ["error join_expected", "closed"];
    assert_eq!(world.say("mallory", &forward(1, 9)), refused);
    assert_eq!(world.looks, 0);
    world.unreadable = true;
    let refused = ["error unavailable, try again"];
    assert_eq!(world.say("alice", &forward(1, 9)), refused);
    assert_eq!(world.say("alice", &search("one", None)), refused);
    world.unreadable = false;
    assert_eq!(
        world.say("alice", &forward(1, 9)),
        ["history 1..=1 of 1..=1"]
    );
}

#[test]
fn a_legacy_client_is_given_no_history() {
    let mut world = World::new();
    world.join_as(
        "bob",
        crate::protocol::frame::Join {
            protocol: None,
            ..join("bob")
        },
    );
    world.say("bob", &forward(1, 9));
    world.advance(crate::protocol::limits::LEGACY_QUIET);
    assert_eq!(world.looks, 0);
    let raw = String::from_utf8(world.client("bob").raw.concat()).unwrap();
    assert!(raw.contains("History is not available"), "{raw}");
}

#[test]
fn answers_keep_the_order_of_the_requests() {
    let mut world = after(["one".to_owned()]);
    let mut bytes = Vec::new();
    let ping = |reference| ClientFrame::Ping {
        reference: Some(reference),
    };
    for frame in [
        ping(1),
        forward(1, 9),
        ping(2),
        history_of("cellar", Part::Since(world.now.wall)),
        search("one", None),
        ping(3),
    ] {
        encode_client(&frame, &mut bytes);
    }
    assert_eq!(
        world.send("alice", &bytes),
        [
            "pong Some(1)",
            "history 1..=1 of 1..=1",
            "pong Some(2)",
            "error no_such_room",
            "found [1] in 1..=1",
            "pong Some(3)",
        ]
    );
}

#[test]
fn one_query_is_under_way_and_nothing_behind_it_is_read() {
    for (query, answer) in [
        (forward(1, 9), "history 1..=2 of 1..=2"),
        (search("one", None), "found [1] in 1..=2"),
        (changes(), "changes [] through 2"),
    ] {
        let mut world = after(["one".to_owned()]);
        world.join("bob");
        world.hold_looks = true;
        world.hears("alice");
        let mut bytes = Vec::new();
        for frame in [query, message("alice", 2, "two")] {
            encode_client(&frame, &mut bytes);
        }
        assert!(world.send("alice", &bytes).is_empty());
        assert!(!world.client("alice").endpoint.may_read());
        // The messages of others still arrive.
        world.say("bob", &message("bob", 1, "meanwhile"));
        assert_eq!(world.hears("alice"), ["2 bob: meanwhile"]);
        world.hold_looks = false;
        world.run();
        assert_eq!(world.hears("alice"), [answer, "3 alice: two"]);
    }
}

#[test]
fn a_client_that_asks_for_a_thousand_pages_and_reads_none_holds_one() {
    let mut world = after((0..4).map(|_| "x".repeat(TEXT_BYTES_MAX / 2)));
    world.client("alice").window = 0;
    let mut bytes = Vec::new();
    encode_client(&forward(1, 9), &mut bytes);
    for _ in 0..1_000 {
        let client = world.client("alice");
        if !client.endpoint.may_read() {
            break;
        }
        world.post("alice", &bytes);
    }
    // One page was read from the log; the requests behind it were left in the socket.
    assert_eq!(world.looks, 1);
    assert!(!world.client("alice").endpoint.may_read());
    assert!(world.client("alice").endpoint.held_bytes() <= FRAME_BYTES_MAX);
    world.client("alice").window = usize::MAX;
    world.run();
    assert_eq!(world.hears("alice"), ["history 1..=4 of 1..=4"]);
    assert!(world.client("alice").endpoint.may_read());
}

#[test]
fn a_page_waits_until_what_was_begun_is_written() {
    let mut world = after(["one".to_owned()]);
    world.join("bob");
    world.hears("alice");
    // Half of a message is written when the page is asked for.
    world.client("alice").window = 20;
    world.say("bob", &message("bob", 1, "two"));
    world.post("alice", &{
        let mut bytes = Vec::new();
        encode_client(&forward(1, 9), &mut bytes);
        bytes
    });
    assert_eq!(world.looks, 0);
    world.client("alice").window = usize::MAX;
    world.run();
    assert_eq!(
        world.hears("alice"),
        ["2 bob: two", "history 1..=2 of 1..=2"]
    );
}

#[test]
fn a_connection_that_closes_meanwhile_drops_what_it_asked_for() {
    let mut world = after(["one".to_owned()]);
    world.hold_looks = true;
    world.say("alice", &forward(1, 9));
    let look = world.client("alice").endpoint.poll_query().unwrap();
    // Her second connection replaces the first.
    let first = world.clients.remove("alice").unwrap();
    world.clients.insert("ghost", first);
    world.join("alice");
    let looked = look.read(&mut world.store);
    let now = world.now;
    world
        .client("ghost")
        .endpoint
        .handle_query_result(now, &looked);
    world.run();
    assert_eq!(world.hears("ghost"), ["bye Replaced", "closed"]);
}

#[test]
fn history_begins_where_the_log_does() {
    let memory = MemoryLimits {
        room_bytes_max: 1_000,
        ..MemoryLimits::default()
    };
    let mut world = World::with(10, ReplicaLimits::default(), memory);
    world.join("alice");
    for counter in 1..=9 {
        world.say("alice", &message("alice", counter, "x"));
    }
    world.hears("alice");
    let first = world.store_first();
    assert!(first > 3);
    assert_eq!(
        world.say("alice", &forward(1, 9)),
        [format!("history {first}..=9 of {first}..=9")]
    );
    assert_eq!(
        world.say("alice", &backward(1, 2)),
        [format!("history {first}..={} of {first}..=9", first - 1)]
    );
    let nobody = Nickname::parse("nobody").unwrap();
    let frame = ClientFrame::Search(SearchRequest {
        room: RoomId::LOBBY,
        query: Query {
            words: Words::default(),
            sender: Some(nobody),
            after: None,
            before: None,
        },
        to: None,
        reference: None,
    });
    assert_eq!(
        world.say("alice", &frame),
        [format!("found [] in {first}..=9")]
    );
}

/// Where a page ends depends on what the user may read only: from the ends one could learn which of
/// the hidden messages have a word, and how long they are.
#[test]
fn the_ends_of_a_page_say_nothing_about_what_is_hidden() {
    // Of the hidden messages, 1 to 400 and 600 to 1,000, many or none have the word.
    let result = |hidden: &str, what: QueryKind| {
        let mut world = after((1..=1_000).map(|n| match n {
            400..600 => "plain words".to_owned(),
            _ => hidden.to_owned(),
        }));
        let query = LogQuery {
            room: RoomId::LOBBY,
            visible: Visible::of([Span { from: 400, to: 599 }]),
            what,
            reference: None,
        };
        let looked = query.read(&mut world.store);
        let mut out = Vec::new();
        query.answer(&looked, &mut out);
        String::from_utf8(out).unwrap()
    };
    let words = |words: &str| Query {
        words: Words::parse(words).unwrap(),
        sender: None,
        after: None,
        before: None,
    };
    let parts = [
        Part::Forward { from: 1, to: 1_000 },
        Part::Forward { from: 1, to: 300 },
        Part::Forward {
            from: 700,
            to: 1_000,
        },
        Part::Backward { from: 1, to: 1_000 },
        Part::Backward { from: 1, to: 399 },
        Part::Backward { from: 1, to: 450 },
        Part::Since(jiff::Timestamp::UNIX_EPOCH),
    ];
    let long = format!("needle {}", "long ".repeat(100));
    for part in parts {
        let page = |hidden: &str| result(hidden, QueryKind::Page(part));
        let plain = page("x");
        assert_eq!(plain, page(&long), "{part:?}");
        assert!(!plain.contains("needle"));
        let is_hidden = matches!(
            part,
            Part::Forward { to: 300, .. }
                | Part::Forward { from: 700, .. }
                | Part::Backward { to: 399, .. }
        );
        assert_eq!(plain.contains("plain words"), !is_hidden, "{part:?}");
    }
    for to in [1_000, 450, 399] {
        for word in ["needle", "plain"] {
            let page = |hidden: &str| {
                let query = words(word);
                result(hidden, QueryKind::Messages { query, to })
            };
            assert_eq!(page("x"), page("needle"), "{word} to {to}");
        }
    }
}
