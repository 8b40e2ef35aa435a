//! Crowds of unknown clients, and endless messages.

use std::{
    env,
    io::Write,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    bounds,
    pair::Pair,
    peer::{PROXIED, Peer, join, somebody},
    process::Server,
};

/// The size of a crowd; `ATTACK_CROWD` for a larger one.
fn crowd() -> u64 {
    let said = env::var("ATTACK_CROWD").ok();
    said.map_or(300, |count| count.parse().unwrap())
}

/// A customer may have many IPv6 networks: together they get few more joins than one network.
#[test]
fn new_keys_from_one_customers_networks() {
    let options = [
        &PROXIED[..],
        &["--access", "open", "--newcomers-per-minute", "3"],
    ]
    .concat();
    let mut server = Server::start(&options);
    let pair = Pair::start(server.address);
    let mut came = 0;
    for number in 0..200 {
        let source = format!("2001:db8:7:{:x}::1", number * 256);
        let mut peer = Peer::proxied(server.address, &source);
        let answer = peer.enter(&join(&format!("guest{number}")), &somebody(1_000 + number));
        if answer["type"] == "welcome" {
            came += 1;
        } else {
            assert_eq!(answer["code"], "rate_limited", "{answer}");
        }
    }
    // Four times twenty, and a few more during the test.
    assert!((80..110).contains(&came), "{came}");
    let mut peer = Peer::proxied(server.address, "2001:db8:8::1");
    assert_eq!(
        peer.enter(&join("neighbour"), &somebody(500))["type"],
        "welcome"
    );
    pair.ends_unharmed("new keys of one customer");
    server.has_borne_it("new keys of one customer", bounds::FEW);
}

/// New keys are free: one address gets a number of joins, and then few.
#[test]
fn new_keys_from_one_place() {
    let mut server = Server::start(&PROXIED);
    let pair = Pair::start(server.address);
    let enter = |source: &str, number: u64| {
        let mut peer = Peer::proxied(server.address, source);
        peer.enter(&join(&format!("guest{number}")), &somebody(1_000 + number))
    };
    // Newcomers from one address share a limit, with and without a key.
    for (source, with_keys) in [("10.9.9.9", true), ("10.9.9.11", false)] {
        let (mut came, mut refused) = (0, 0);
        for number in 0..150 {
            let answer = if with_keys {
                enter(source, number)
            } else {
                let mut peer = Peer::proxied(server.address, source);
                peer.send(&join(&format!("nobody{number}")));
                peer.frame()
            };
            if answer["type"] == "welcome" {
                came += 1;
            } else {
                assert_eq!(answer["code"], "rate_limited", "{answer}");
                assert!(answer["retry_after_ms"].as_u64().unwrap() > 0);
                refused += 1;
            }
        }
        assert!((60..120).contains(&came) && refused > 0, "{came} {refused}");
    }
    // A known user may join again from there, and others may join from elsewhere.
    assert_eq!(enter("10.9.9.9", 1)["type"], "welcome");
    assert_eq!(enter("10.9.9.10", 500)["type"], "welcome");
    pair.ends_unharmed("new keys");
    server.has_borne_it("new keys", bounds::FEW);
}

/// Each from another address, so that no limit of an address applies: they are remembered, and cost
/// no more than that.
#[test]
fn new_keys_from_everywhere() {
    let mut server = Server::start(&PROXIED);
    let pair = Pair::start(server.address);
    let since = Instant::now();
    let people = crowd();
    let halves = [0..people / 2, people / 2..people].map(|half| {
        let to = server.address;
        thread::spawn(move || {
            let mut times = Vec::new();
            for number in half {
                let [_, a, b, c] = u32::try_from(number).unwrap().to_be_bytes();
                let begun = Instant::now();
                let mut peer = Peer::proxied(to, &format!("10.{a}.{b}.{c}"));
                let wish = join(&format!("guest{number}"));
                let answer = peer.enter(&wish, &somebody(1_000 + number));
                assert_eq!(answer["type"], "welcome", "{answer}");
                times.push(begun.elapsed());
            }
            times
        })
    });
    for half in halves {
        let times = half.join().unwrap();
        let of =
            |part: &[Duration]| part.iter().sum::<Duration>() / u32::try_from(part.len()).unwrap();
        let tenth = times.len() / 10;
        eprintln!(
            "to come in: {:?} at first, {:?} at last",
            of(&times[..tenth]),
            of(&times[times.len() - tenth..])
        );
    }
    eprintln!("{people} people in {:?}", since.elapsed());
    pair.ends_unharmed("crowds");
    server.has_borne_it("crowds", bounds::known(people));
}

/// Messages as fast as they are read: each gets an answer, and those above the limit are not
/// stored.
#[test]
fn messages_without_end() {
    const SPEAKERS: u64 = 8;
    const MESSAGES: u64 = 5_000;
    let mut server = Server::start(&[]);
    let pair = Pair::start(server.address);
    let since = Instant::now();
    let speakers: Vec<_> = (0..SPEAKERS)
        .map(|number| {
            let mut peer = Peer::plain(server.address);
            thread::spawn(move || {
                peer.send(&join(&format!("speaker{number}")));
                let device = peer.next("welcome")["device"].as_str().unwrap().to_owned();
                let mut into = peer.socket.try_clone().unwrap();
                let own = device.clone();
                let writing = thread::spawn(move || {
                    for counter in 1..=MESSAGES {
                        let id = format!("{own}-{counter}");
                        let frame = json!({"type": "message", "id": id, "message": "spam"});
                        into.write_all(frame.to_string().as_bytes()).unwrap();
                    }
                });
                let (mut stored, mut refused) = (0, 0);
                while stored + refused < MESSAGES {
                    let frame = peer.frame();
                    let own = frame["id"]
                        .as_str()
                        .is_some_and(|id| id.starts_with(&device));
                    match frame["type"].as_str().unwrap() {
                        "message" | "ack" if own => stored += 1,
                        "error" => {
                            let code = frame["code"].as_str().unwrap();
                            assert!(["rate_limited", "held_back"].contains(&code), "{frame}");
                            assert!(frame["retry_after_ms"].as_u64().unwrap() > 0, "{frame}");
                            refused += 1;
                        }
                        _ => {}
                    }
                }
                writing.join().unwrap();
                stored
            })
        })
        .collect();
    let stored: Vec<u64> = speakers
        .into_iter()
        .map(|speaker| speaker.join().unwrap())
        .collect();
    let most = 200 + 10 * since.elapsed().as_secs() + 20;
    assert!(
        stored.iter().all(|count| (200..=most).contains(count)),
        "{stored:?}"
    );
    pair.ends_unharmed("a flood of messages");
    server.has_borne_it("a flood of messages", bounds::TALK);
}
