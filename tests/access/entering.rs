//! Admission: by invite, password, or none.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use chat_tui::protocol::{InviteId, InviteKey, InviteToken};
use serde_json::json;

use crate::{
    families::over_both,
    harness::{NOTHING, Person, Server, invite, now, program},
    passwords::set_password,
};

const INVITE: [&str; 2] = ["--access", "invite"];
const PASSWORD: [&str; 2] = ["--access", "password"];

fn token(data: &Path, options: &[&str]) -> String {
    invite(data, options).0.token.expose()
}

#[test]
fn an_invite_admits_one_key_and_that_key_stays_admitted() {
    over_both(|address| {
        let data = tempfile::tempdir().unwrap();
        let data = data.path();
        let (alice, bob) = (Person::new("alice"), Person::new("bob"));
        let server = Server::start_at(address, data, &INVITE);
        server.says("only people with an invite may join");
        let token = token(data, &[]);
        let with = ("invite", token.as_str());
        alice.is_refused(&server, NOTHING, "access_denied");
        drop(alice.enter(&server, with));
        bob.is_refused(&server, with, "bad_invite");
        bob.is_refused(&server, NOTHING, "access_denied");
        // Presenting the used invite again does no harm.
        drop(alice.enter(&server, with));
        drop(alice.enter(&server, NOTHING));
        // Killed, as if the power had failed.
        drop(server);
        let server = Server::start_at(address, data, &INVITE);
        drop(alice.enter(&server, NOTHING));
        bob.is_refused(&server, with, "bad_invite");
        drop(server);
        assert!(set_password(data, "open sesame").status.success());
        let server = Server::start_at(address, data, &PASSWORD);
        drop(alice.enter(&server, NOTHING));
    });
}

#[test]
fn an_invite_for_two_admits_two() {
    over_both(|address| {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start_at(address, data.path(), &INVITE);
        let token = token(data.path(), &["--uses", "2"]);
        let with = ("invite", token.as_str());
        drop(Person::new("alice").enter(&server, with));
        drop(Person::new("bob").enter(&server, with));
        Person::new("carol").is_refused(&server, with, "bad_invite");
    });
}

#[test]
fn an_expired_forged_or_revoked_invite_admits_nobody() {
    over_both(|address| {
        let data = tempfile::tempdir().unwrap();
        let data = data.path();
        let server = Server::start_at(address, data, &INVITE);
        let code = server.says("/owner ");
        let code = code.split("/owner ").nth(1).unwrap().trim();
        let good = token(data, &["--uses", "0"]);
        let mut owner = Person::new("alice").enter(&server, ("invite", &good));
        owner.send(&json!({"type": "command", "command": "own", "code": code, "ref": 1}));
        owner.next("result");

        let key: [u8; 32] = fs::read(data.join("invite.key"))
            .unwrap()
            .try_into()
            .unwrap();
        let mint = |key: [u8; 32], id: u8, expires: u64| {
            let id = InviteId::from_bytes([id; 8]);
            InviteToken::mint(&InviteKey::from_bytes(key), id, expires, 1)
        };
        let (over, forged) = (mint(key, 1, now() - 1), mint([0; 32], 2, now() + 60));
        let revoked = mint(key, 3, now() + 60);
        owner.send(&json!({
            "type": "command", "command": "revoke", "invite": revoked.id().to_string(), "ref": 2,
        }));
        owner.next("result");
        let bob = Person::new("bob");
        for token in [over, forged, revoked] {
            bob.is_refused(&server, ("invite", &token.expose()), "bad_invite");
        }
        drop(bob.enter(&server, ("invite", &mint(key, 4, now() + 60).expose())));
    });
}

#[test]
fn the_password_admits_a_key_and_is_asked_for_once() {
    over_both(|address| {
        let data = tempfile::tempdir().unwrap();
        let data = data.path();
        assert!(set_password(data, "open sesame\n").status.success());
        let (alice, bob) = (Person::new("alice"), Person::new("bob"));
        let server = Server::start_at(address, data, &PASSWORD);
        server.says("people who know the password");
        alice.is_refused(&server, NOTHING, "password_required");
        let wrong = alice.is_refused(&server, ("password", "open barley"), "password_required");
        assert!(
            wrong["message"]
                .as_str()
                .unwrap()
                .contains("not this server's password")
        );
        drop(alice.enter(&server, ("password", "open sesame")));
        drop(alice.enter(&server, NOTHING));
        // A known key needs no right password.
        drop(alice.enter(&server, ("password", "open barley")));

        assert!(set_password(data, "new").status.success());
        server.signal("HUP");
        server.says("read the password again");
        bob.is_refused(&server, ("password", "open sesame"), "password_required");
        // With a missing or broken password the former one stays in force.
        let removed = program(data, &["password", "--remove"]).output().unwrap();
        assert!(removed.status.success());
        server.signal("HUP");
        server.says("the password stays what it was");
        drop(bob.enter(&server, ("password", "new")));
        let token = token(data, &[]);
        drop(Person::new("carol").enter(&server, ("invite", &token)));
    });
}

#[test]
fn guessing_delays_the_guesser_and_nobody_else() {
    over_both(|address| {
        let data = tempfile::tempdir().unwrap();
        let data = data.path();
        assert!(set_password(data, "open sesame").status.success());
        let server = Server::start_at(address, data, &PASSWORD);
        let mut alice = Person::new("alice").enter(&server, ("password", "open sesame"));
        let began = Instant::now();
        let answers = thread::scope(|scope| {
            let names: [&str; 4] = ["bob", "carol", "dave", "eve"];
            let to = server.address;
            let guess = |number: usize| {
                move || {
                    let person = Person::new(names[number % 4]);
                    let guess = format!("guess {number}");
                    let answer = person.try_join_from(address, to, ("password", &guess));
                    answer.map(|(_, answer)| answer)
                }
            };
            let guessing: Vec<_> = (0..60).map(|number| scope.spawn(guess(number))).collect();
            // Meanwhile members chat, and users join from other addresses.
            for number in 1..=20 {
                alice.send(&json!({"type": "ping", "ref": number}));
                assert_eq!(alice.next("pong")["ref"], number);
            }
            let join = || guessing.into_iter().map(|guess| guess.join().unwrap());
            join().collect::<Vec<_>>()
        });
        let of = |code: &str| {
            answers
                .iter()
                .flatten()
                .filter(|answer| answer["code"] == code)
                .count()
        };
        let (compared, refused) = (of("password_required"), of("rate_limited"));
        let late = answers.iter().filter(|answer| answer.is_none()).count();
        assert_eq!(compared + refused + late, 60);
        // One more than five may have been pending beside the fifth.
        let earned = began.elapsed().as_secs() / 12;
        let most = 6 + usize::try_from(earned).unwrap();
        assert!((1..=most).contains(&compared), "{compared}");
        let right = ("password", "open sesame");
        // Every twelve seconds another guess is allowed, and a busy machine may take as long
        // between the last guess and this one: then it uses that up, and the next user tries.
        let (frank, refusal) = ["frank", "grace", "heidi", "ivan", "judy"]
            .into_iter()
            .find_map(|name| {
                let person = Person::new(name);
                let (_, answer) = person.join(&server, right);
                if answer["code"] == "rate_limited" {
                    return Some((person, answer));
                }
                assert_eq!(answer["type"], "welcome", "{answer}");
                Person::new("mallory").join(&server, ("password", "a guess"));
                None
            })
            .expect("somebody has to wait");
        let wait = Duration::from_millis(refusal["retry_after_ms"].as_u64().unwrap());
        assert!(wait <= Duration::from_mins(1), "{wait:?}");
        // A machine has one IPv6 loopback address; except on Linux, one of IPv4 too.
        if cfg!(target_os = "linux") && address.is_ipv4() {
            let (_, answer) = frank.join_from([127, 0, 0, 2].into(), server.address, right);
            assert_eq!(answer["type"], "welcome", "{answer}");
        }
    });
}
