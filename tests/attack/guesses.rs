//! Guessed codes, invites and passwords: few guesses from one address are checked, and the right
//! one of others is not delayed.

use std::{
    collections::HashMap,
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    bounds,
    pair::{Pair, Person},
    peer::{PROXIED, Peer, join, somebody},
    process::Server,
};

/// Guesses of each kind from one address: fewer than its connections at once.
const TRIES: u64 = 200;
/// Wrong guesses at once before an address has to wait; then one more in each `ONE_MORE_EVERY`.
const WRONG: usize = 5;
const ONE_MORE_EVERY: Duration = Duration::from_secs(12);

/// The possible number of checked guesses since `began`, however long the machine took.
fn wrong_since(began: Instant) -> RangeInclusive<usize> {
    let earned = began.elapsed().as_secs() / ONE_MORE_EVERY.as_secs();
    WRONG..=WRONG + 1 + usize::try_from(earned).unwrap()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

fn base64() -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digit = |byte: u8| char::from(DIGITS[usize::from(byte % 64)]);
    // Of the last digit only the first bits count.
    random::<39>().map(digit).iter().collect::<String>()
}

fn base32(count: usize) -> String {
    const DIGITS: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";
    let bytes = random::<64>();
    let digit = |byte: &u8| char::from(DIGITS[usize::from(byte % 32)]);
    bytes[..count].iter().map(digit).collect()
}

/// Counts the answers of each kind.
fn told(answers: impl Iterator<Item = Value>) -> HashMap<String, usize> {
    let mut told = HashMap::new();
    for answer in answers {
        let code = answer["code"].as_str().unwrap_or("let in").to_owned();
        if code == "rate_limited" {
            assert!(answer["retry_after_ms"].as_u64().unwrap() > 0, "{answer}");
        }
        *told.entry(code).or_default() += 1;
    }
    told
}

/// Makes `guesses` one after the other, and checks that they are slowed down.
fn assert_slowed(guesses: impl Iterator<Item = Value>, code: &str) {
    let began = Instant::now();
    let told = told(guesses);
    let wrong = told.get(code).copied().unwrap_or(0);
    let limited = told.get("rate_limited").copied().unwrap_or(0);
    assert!(wrong_since(began).contains(&wrong), "{told:?}");
    assert_eq!(wrong + limited, usize::try_from(TRIES).unwrap(), "{told:?}");
}

/// Joins with one more field, from an address.
fn enter(server: &Server, source: &str, key: u64, field: &str, value: &str) -> Value {
    let mut wish = join(&format!("guest{key}"));
    wish[field] = value.into();
    Peer::proxied(server.address, source).enter(&wish, &somebody(key))
}

#[test]
fn codes_of_devices_and_of_the_owner() {
    // How often an address connects is limited too, and on a slow machine that limit came first.
    let args = [&PROXIED[..], &["--connects-per-minute", "0"]].concat();
    let mut server = Server::start(&args);
    let pair = Pair::start(server.address);
    let mut owner = Peer::proxied(server.address, "10.1.1.1");
    owner.enter(&join("olga"), &somebody(3));
    owner.send(&json!({"type": "command", "command": "add_device", "ref": 1}));
    let result = owner.next("result");
    let code = result["code"].as_str().unwrap();

    let guesses = (0..TRIES).map(|number| {
        let guess = base32(code.replace('-', "").len());
        enter(&server, "10.9.9.9", 1_000 + number, "code", &guess)
    });
    assert_slowed(guesses, "bad_code");
    // Even the right one is refused after too many guesses; from elsewhere it works. (Tried where
    // the next guess is not allowed for a while: a busy machine takes its time.)
    let far = |answer: &Value| answer["retry_after_ms"].as_u64() > Some(6_000);
    let waits = (0..TRIES).any(|number| {
        let guess = base32(code.replace('-', "").len());
        far(&enter(&server, "10.9.9.9", 5_000 + number, "code", &guess))
    });
    assert!(waits);
    let answer = enter(&server, "10.9.9.9", 5, "code", code);
    assert_eq!(answer["code"], "rate_limited", "{answer}");
    let mut eve = Peer::proxied(server.address, "10.9.9.8");
    eve.enter(&join("eve"), &somebody(4));
    let began = Instant::now();
    let guesses = (0..TRIES).map(|number| {
        eve.send(&json!({"type": "command", "command": "own", "code": base32(16), "ref": number}));
        eve.next("error")
    });
    let told = told(guesses);
    assert!(told["bad_code"] <= *wrong_since(began).end(), "{told:?}");
    assert_eq!(told.values().sum::<usize>() as u64, TRIES, "{told:?}");

    let answer = enter(&server, "10.1.1.1", 5, "code", code);
    assert_eq!(answer["type"], "welcome", "{answer}");
    let answer = enter(&server, "10.1.1.2", 6, "code", code);
    assert_eq!(answer["code"], "bad_code", "it was used: {answer}");
    pair.ends_unharmed("guessed codes");
    server.has_borne_it("guessed codes", bounds::FEW);
}

/// Two known users, who need no credentials.
fn known_pair(server: &Server, field: &str, value: &str) -> Pair {
    Pair::of([("anna", 1), ("bert", 2)].map(|(name, key)| {
        let mut peer = Peer::secure(server.address);
        let mut wish = join(name);
        wish[field] = value.into();
        peer.enter(&wish, &somebody(key));
        drop(peer);
        Person::enter(Peer::secure(server.address), name, key)
    }))
}

#[test]
fn invites() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start_in(data, &[&PROXIED[..], &["--access", "invite"]].concat());
    let invite = || {
        let invite = Server::command(
            server.data(),
            &["invite", "--uses", "3", "--host", "chat.example.org"],
            "",
        );
        chat_tui::protocol::Invite::parse(&invite).unwrap().token
    };
    let token = invite().expose();
    let pair = known_pair(&server, "invite", &token);
    // Random ones; and the right one with one digit changed.
    let guesses = (0..TRIES).map(|number| {
        let mut guess = format!("{}{}", base64(), &token[39..]);
        if number % 2 == 0 {
            let at = usize::try_from(number).unwrap() % 30;
            let other = if token.as_bytes()[at] == b'A' {
                "B"
            } else {
                "A"
            };
            guess.clone_from(&token);
            guess.replace_range(at..=at, other);
        }
        enter(&server, "203.0.113.9", 1_000 + number, "invite", &guess)
    });
    assert_slowed(guesses, "bad_invite");
    let answer = enter(&server, "203.0.113.10", 7, "invite", &token);
    assert_eq!(answer["type"], "welcome", "{answer}");
    let answer = enter(&server, "203.0.113.11", 8, "invite", &token);
    assert_eq!(answer["code"], "bad_invite", "used up: {answer}");
    pair.ends_unharmed("guessed invites");
    server.has_borne_it("guessed invites", bounds::FEW);
}

#[test]
fn passwords() {
    let data = tempfile::tempdir().unwrap();
    Server::command(data.path(), &["password"], "open sesame\n");
    let mut server = Server::start_in(data, &[&PROXIED[..], &["--access", "password"]].concat());
    let pair = known_pair(&server, "password", "open sesame");
    let guesses = (0..TRIES).map(|number| {
        enter(
            &server,
            "203.0.113.9",
            1_000 + number,
            "password",
            &base32(12),
        )
    });
    assert_slowed(guesses, "password_required");
    // From many addresses at a time, one more limit applies: the number of waiting comparisons.
    let guesses: Vec<_> = std::thread::scope(|scope| {
        let server = &server;
        let threads: Vec<_> = (0..60)
            .map(|number| {
                scope.spawn(move || {
                    let source = format!("198.51.100.{number}");
                    let key = 2_000 + number;
                    let mut wish = join(&format!("guest{key}"));
                    wish["password"] = base32(12).into();
                    Peer::proxied(server.address, &source).try_enter(&wish, &somebody(key))
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let told = told(guesses.into_iter().flatten());
    assert!(!told.contains_key("let in"), "{told:?}");
    let answer = enter(&server, "203.0.113.10", 7, "password", "open sesame");
    assert_eq!(answer["type"], "welcome", "{answer}");
    pair.ends_unharmed("guessed passwords");
    server.has_borne_it("guessed passwords", bounds::PASSWORDS);
}
