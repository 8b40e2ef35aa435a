//! Many clients at one time, and the messages that each receives.

use std::num::NonZeroUsize;

use chat_tui::{
    protocol::{RoomId, RoomName},
    server::{Config, core::rooms::RoomSettings},
};
use serde_json::json;

use crate::{Client, Server, join, message};

/// The hub's thread serves the first 256 connections; other workers serve later ones.
#[test]
fn clients_of_several_workers_hear_one_order() {
    // Both ends of each connection are in this process.
    rlimit::increase_nofile_limit(4_096).unwrap();
    let server = Server::with(Config {
        workers: NonZeroUsize::new(3).unwrap(),
        ..Config::default()
    });
    let mut crowd: Vec<_> = (0..300).map(|n| server.join(&format!("u{n}"))).collect();
    let (speakers, each) = ([0, 100, 290, 299], 25);
    for counter in 1..=each {
        for speaker in speakers {
            let name = format!("u{speaker}");
            crowd[speaker].send(&message(&name, counter, &format!("{name}: {counter}")));
        }
    }
    let hear = |client: &mut Client| -> Vec<String> {
        let heard = (0..speakers.len() as u64 * each).map(|number| {
            let frame = client.next("message");
            assert_eq!(frame["seq"], number + 1);
            frame["message"].as_str().unwrap().to_owned()
        });
        heard.collect()
    };
    let first = hear(&mut crowd[0]);
    for speaker in speakers {
        let own = first
            .iter()
            .filter(|text| text.starts_with(&format!("u{speaker}: ")));
        let expected = (1..=each).map(|counter| format!("u{speaker}: {counter}"));
        assert!(own.eq(expected.collect::<Vec<_>>().iter()), "{first:?}");
    }
    for client in &mut crowd[1..] {
        assert_eq!(hear(client), first);
    }
}

/// Each client is in one or both of two rooms: clients join and leave in a mixed order, and each
/// receives every message of its rooms once, and nothing else.
#[test]
fn joins_and_departures_leave_other_members_connected() {
    let rooms = ["lobby", "tea"];
    let settings = rooms.map(|name| RoomSettings {
        name: RoomName::parse(name).unwrap(),
        topic: None,
    });
    let server = Server::with(Config {
        rooms: settings.to_vec(),
        ..Config::default()
    });
    let enter = |number: usize| {
        let theirs = [&rooms[..1], &rooms[1..], &rooms[..]][number % 3];
        let mut client = server.connect();
        let mut wish = join(&format!("u{number}"));
        wish["enter"] = json!(theirs);
        client.send(&wish);
        assert_eq!(client.frame()["type"], "welcome");
        (client, theirs)
    };
    let (mut speaker, _) = enter(2);
    let mut present: Vec<_> = (3..63).map(enter).collect();
    let mut said = 0;
    for round in 0..20 {
        // Some disconnect, others just close.
        for step in 0..6 {
            let (mut client, _) = present.swap_remove((round * 31 + step * 17) % present.len());
            if step % 2 == 0 {
                client.send(&json!({"type": "disconnect"}));
                client.next("bye");
            }
        }
        present.extend((0..6).map(|step| enter(100 + round * 6 + step)));
        for room in rooms {
            said += 1;
            let mut words = message("u2", said, &format!("{room} {round}"));
            words["room"] = json!(room);
            speaker.send(&words);
            let id = RoomId::named(&RoomName::parse(room).unwrap(), 0);
            assert_eq!(speaker.next("message")["room"], id.to_string());
        }
        for (client, theirs) in &mut present {
            // Frames of different rooms have no order.
            let mut heard: Vec<_> = theirs.iter().map(|_| client.next("message")).collect();
            heard.sort_by_key(|frame| frame["message"].to_string());
            for (frame, room) in heard.iter().zip(*theirs) {
                assert_eq!(frame["message"], format!("{room} {round}"), "{theirs:?}");
            }
        }
    }
}

/// In a big room changes are announced at intervals, also while no message is sent.
#[test]
fn a_quiet_crowd_gets_joins_and_departures() {
    let server = Server::start();
    let mut crowd: Vec<_> = (0..120).map(|n| server.join(&format!("u{n}"))).collect();
    for round in 0..10 {
        let (one, another) = (format!("one{round}"), format!("another{round}"));
        let (mut first, second) = (server.join(&one), server.join(&another));
        first.send(&json!({"type": "disconnect"}));
        first.next("bye");
        drop(second);
        for client in &mut crowd {
            for (kind, name) in [("joined", &one), ("joined", &another)] {
                while client.next(kind)["nickname"] != **name {}
            }
            let gone = [client.next("left"), client.next("left")];
            let mut gone = gone.map(|left| left["nickname"].as_str().unwrap().to_owned());
            gone.sort();
            assert_eq!(gone, [another.clone(), one.clone()]);
        }
    }
}
