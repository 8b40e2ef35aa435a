//! History and search, over real sockets.

use std::thread;

use chat_tui::protocol::limits::{HISTORY_PAGE_MAX, NUMBER_MAX};
use serde_json::{Value, json};

use super::{Client, Server, join, message};

/// Sends so many messages and waits until all are stored.
fn say(client: &mut Client, name: &str, texts: impl IntoIterator<Item = String>) {
    let mut words = String::new();
    let mut count = 0;
    for (counter, text) in (1..).zip(texts) {
        words += &message(name, counter, &text).to_string();
        count = counter;
    }
    let mut writer = client.stream.try_clone().unwrap();
    let writing = thread::spawn(move || {
        std::io::Write::write_all(&mut writer, words.as_bytes()).unwrap();
    });
    for seq in 1..=count {
        assert_eq!(client.next("message")["seq"], seq);
    }
    writing.join().unwrap();
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

/// Returns the numbers of a page's messages, after checking them against its ends and its texts.
fn numbers(page: &Value) -> Vec<u64> {
    let messages = page["entries"].as_array().unwrap();
    let numbers: Vec<_> = messages.iter().map(|m| number(&m["seq"])).collect();
    for message in messages {
        assert_eq!(message["message"], format!("number {}", message["seq"]));
    }
    assert!(numbers.len() <= HISTORY_PAGE_MAX);
    numbers
}

#[test]
fn a_thousand_messages_are_paged_back_without_a_gap() {
    let server = Server::start();
    let mut alice = server.join("alice");
    say(
        &mut alice,
        "alice",
        (1..=1_000).map(|n| format!("number {n}")),
    );
    let mut bob = server.connect();
    let mut wish = join("bob");
    wish["last"] = 5.into();
    bob.send(&wish);
    let next = number(&bob.frame()["rooms"][0]["next"]);
    assert_eq!(next, 996);
    let (mut to, mut pages, mut seen) = (next - 1, 0, Vec::new());
    loop {
        bob.send(&json!({"type": "history", "to": to, "back": true, "ref": to}));
        let page = bob.next("history");
        assert_eq!((number(&page["ref"]), number(&page["head"])), (to, 1_000));
        let of_page = numbers(&page);
        assert_eq!(of_page, (number(&page["from"])..=to).collect::<Vec<_>>());
        seen.splice(0..0, of_page);
        pages += 1;
        if page["from"] == page["first"] {
            break;
        }
        to = number(&page["from"]) - 1;
    }
    assert_eq!(seen, (1..next).collect::<Vec<_>>());
    assert_eq!(pages, 5, "a page holds 200 short messages");
    // Forward again, from the middle.
    bob.send(&json!({"type": "history", "from": 400, "to": 450}));
    assert_eq!(
        numbers(&bob.next("history")),
        (400..=450).collect::<Vec<_>>()
    );
    // From a time: before all messages, and after all.
    bob.send(&json!({"type": "history", "since": "2001-01-01T00:00:00Z"}));
    assert_eq!(numbers(&bob.next("history")), (1..=200).collect::<Vec<_>>());
    bob.send(&json!({"type": "history", "since": "3001-01-01T00:00:00+01:00"}));
    let page = bob.next("history");
    assert_eq!((&page["from"], &page["to"]), (&json!(1_001), &json!(1_000)));
}

#[test]
fn pages_come_among_live_messages_and_neither_has_a_gap() {
    let server = Server::start();
    let mut alice = server.join("alice");
    let mut bob = server.join("bob");
    let count = 3_000;
    let talking = thread::spawn(move || {
        say(
            &mut alice,
            "alice",
            (1..=count).map(|n| format!("number {n}")),
        );
        alice
    });
    let (mut live, mut pages) = (0, 0);
    bob.send(&json!({"type": "history", "back": true}));
    while live < count {
        let frame = bob.frame();
        if frame["type"] == "history" {
            let (from, to) = (number(&frame["from"]), number(&frame["to"]));
            assert_eq!(numbers(&frame), (from..=to).collect::<Vec<_>>());
            assert_eq!(frame["to"], frame["head"]);
            pages += 1;
            bob.send(&json!({"type": "history", "back": true}));
        } else if frame["type"] == "message" {
            live += 1;
            assert_eq!(frame["seq"], live, "live messages keep their order");
        }
    }
    talking.join().unwrap();
    assert!(pages > 0);
}

#[test]
fn a_client_that_requests_a_thousand_pages_unread_delays_nobody_and_gets_them_all() {
    let server = Server::start();
    let mut alice = server.join("alice");
    let text = "x".repeat(1_000);
    say(&mut alice, "alice", std::iter::repeat_n(text, 50));
    let mut hoarder = server.join("hoarder");
    let asks = 1_000;
    let mut writer = hoarder.stream.try_clone().unwrap();
    // More than the sockets' buffers hold, in both directions.
    let padding = " ".repeat(16 * 1024);
    let asking = thread::spawn(move || {
        for reference in 1..=asks {
            let ask = json!({"type": "history", "ref": reference});
            let words = format!("{ask}{padding}");
            std::io::Write::write_all(&mut writer, words.as_bytes()).unwrap();
        }
    });
    let mut bob = server.join("bob");
    for counter in 1..=100 {
        bob.send(&message("bob", counter, "meanwhile"));
        assert_eq!(bob.next("message")["message"], "meanwhile");
        bob.send(&json!({"type": "history", "to": 1, "ref": counter}));
        assert_eq!(bob.next("history")["ref"], counter);
    }
    for reference in 1..=asks {
        let page = hoarder.next("history");
        assert_eq!(page["ref"], reference);
        assert!(page["entries"].as_array().unwrap().len() >= 50);
    }
    asking.join().unwrap();
}

#[test]
fn a_continued_search_finds_the_same_as_reading_every_message() {
    let server = Server::start();
    let mut alice = server.join("alice");
    let text = |n: u64| {
        format!(
            "number {n}{}",
            if n.is_multiple_of(3) { " green" } else { "" }
        )
    };
    say(&mut alice, "alice", (1..=900).map(text));
    let mut search = |wish: Value| {
        let (mut found, mut to) = (Vec::new(), None);
        loop {
            let mut wish = wish.clone();
            wish["type"] = "search".into();
            if let Some(to) = to {
                wish["to"] = json!(to);
            }
            alice.send(&wish);
            let page = alice.next("found");
            assert_eq!(page["indexed"], 900);
            found.extend(
                page["entries"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|m| number(&m["seq"])),
            );
            if number(&page["from"]) <= number(&page["first"]) {
                return found;
            }
            to = Some(number(&page["from"]) - 1);
        }
    };
    let every = |step: usize| {
        (1..=900)
            .rev()
            .filter(move |n| n % step as u64 == 0)
            .collect::<Vec<u64>>()
    };
    assert_eq!(search(json!({"query": "green"})), every(3));
    assert_eq!(search(json!({"query": "GRE*"})), every(3));
    assert_eq!(
        search(json!({"query": "number", "sender": "Alice"})),
        every(1)
    );
    assert_eq!(search(json!({"query": "number", "sender": "bob"})), [0; 0]);
    assert_eq!(search(json!({"query": "42"})), [42]);
    assert_eq!(
        search(json!({"query": "green", "before": "2001-01-01T00:00:00Z"})),
        [0; 0]
    );
}

#[test]
fn invalid_log_queries_are_refused_by_ref_and_the_connection_stays_open() {
    let server = Server::start();
    let mut early = server.connect();
    early.send(&json!({"type": "history"}));
    early.is_refused("join_expected");
    let mut bob = server.join("bob");
    let mut check = |frame: Value, code: &str| {
        let mut frame = frame;
        frame["ref"] = 5.into();
        bob.send(&frame);
        let error = bob.frame();
        assert_eq!(
            (&error["code"], &error["ref"]),
            (&json!(code), &json!(5)),
            "{frame}"
        );
    };
    check(json!({"type": "history", "room": "cellar"}), "no_such_room");
    check(
        json!({"type": "search", "query": "x", "room": "cellar"}),
        "no_such_room",
    );
    check(
        json!({"type": "history", "room": "No Room"}),
        "no_such_room",
    );
    check(
        json!({"type": "history", "since": "yesterday"}),
        "bad_field",
    );
    check(
        json!({"type": "search", "query": "x", "after": "soon"}),
        "bad_field",
    );
    check(
        json!({"type": "search", "query": "a b c d e f g h i"}),
        "bad_field",
    );
    check(
        json!({"type": "search", "query": "x", "sender": "\u{1b}"}),
        "bad_nickname",
    );
    // An empty room has an empty page, for any range.
    for (from, to) in [(1, 9), (9, 1), (0, 0), (NUMBER_MAX, NUMBER_MAX)] {
        for back in [true, false] {
            bob.send(&json!({"type": "history", "from": from, "to": to, "back": back}));
            let page = bob.frame();
            assert_eq!(page["entries"], json!([]), "{from} to {to}, {back}");
            assert_eq!(number(&page["from"]), number(&page["to"]) + 1);
        }
    }
}

#[test]
fn after_a_long_absence_only_the_latest_come_and_the_rest_is_a_page_away() {
    let server = Server::start();
    let mut alice = server.join("alice");
    let mut bob = server.connect();
    bob.send(&join("bob"));
    let epoch = bob.frame()["epoch"].clone();
    drop(bob);
    say(
        &mut alice,
        "alice",
        (1..=300).map(|n| format!("number {n}")),
    );
    let mut wish = join("bob");
    wish["epoch"] = epoch;
    wish["rooms"] = json!([{"room": "lobby", "seq": 0}]);
    wish["most"] = 10.into();
    let mut bob = server.connect();
    bob.send(&wish);
    let room = bob.next("welcome")["rooms"][0].clone();
    assert_eq!((&room["next"], room.get("reset")), (&json!(291), None));
    for seq in 291..=300 {
        assert_eq!(bob.next("message")["seq"], seq);
    }
    bob.send(&json!({"type": "history", "from": 1, "to": 290, "back": true}));
    assert_eq!(
        numbers(&bob.next("history")),
        (91..=290).collect::<Vec<_>>()
    );
}

#[test]
fn another_log_is_another_epoch_and_its_history_its_own() {
    let (first, second) = (Server::start(), Server::start());
    let mut alice = first.join("alice");
    say(&mut alice, "alice", ["elsewhere".to_owned()]);
    let mut bob = first.connect();
    bob.send(&join("bob"));
    let epoch = bob.frame()["epoch"].clone();
    let mut alice = second.join("alice");
    say(&mut alice, "alice", (1..=3).map(|n| format!("number {n}")));
    let mut wish = join("bob");
    wish["epoch"] = epoch;
    wish["rooms"] = json!([{"room": "lobby", "seq": 1}]);
    let mut bob = second.connect();
    bob.send(&wish);
    assert_eq!(bob.frame()["rooms"][0]["reset"], "epoch");
    bob.send(&json!({"type": "history"}));
    assert_eq!(numbers(&bob.next("history")), [1, 2, 3]);
}
