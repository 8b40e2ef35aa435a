//! A server that stops, and clients that don't close.

use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

use chat_tui::server::Config;
use serde_json::json;

use crate::{Basic, Client, PATIENCE, Server, join, message};

/// The documented limit where clients take no more bytes: half a second for those, a quarter for
/// the others to close. The rest is for busy machines.
const BOUND: Duration = Duration::from_millis(500 + 250 + 750);

/// Stops it, and returns how long that took.
fn stop(server: Server) -> Duration {
    let since = Instant::now();
    server.stopped().unwrap();
    since.elapsed()
}

#[test]
fn a_stop_does_not_wait_for_clients_that_do_not_close_after_bye() {
    let server = Server::start();
    let mut crowd: Vec<_> = (0..20).map(|n| server.join(&format!("u{n}"))).collect();
    let mut carol = Basic::connect(&server);
    carol.join("carol");
    crowd[0].next("joined");
    while crowd[0].next("joined")["nickname"] != "carol" {}
    crowd[1].send(&message("u1", 1, "the last"));
    crowd[1].next("message");
    let took = stop(server);
    assert!(took < BOUND, "{took:?}");
    // Written messages arrive, though the server is gone; and then the end.
    for client in &mut crowd {
        assert_eq!(client.next("bye")["reason"], "shutdown");
        assert!(client.is_closed());
    }
    let mut heard = String::new();
    carol.0.read_to_string(&mut heard).unwrap();
    assert!(heard.contains("the last"), "{heard}");
    assert!(heard.contains("The server is stopping"), "{heard}");
}

#[test]
fn a_stop_does_not_wait_for_clients_that_close_at_once() {
    let server = Server::start();
    let crowd: Vec<_> = (0..20).map(|n| server.join(&format!("u{n}"))).collect();
    let leaving = crowd.into_iter().map(|mut client| {
        std::thread::spawn(move || {
            client.next("bye");
        })
    });
    let leaving: Vec<_> = leaving.collect();
    let took = stop(server);
    assert!(took < BOUND, "{took:?}");
    for one in leaving {
        one.join().unwrap();
    }
}

#[test]
fn a_stop_does_not_wait_for_clients_that_never_read() {
    let server = Server::start();
    let mut bob = server.join("bob");
    // More than any socket's buffers hold.
    let sleepers: Vec<_> = (0..3).map(|n| server.join(&format!("u{n}"))).collect();
    let text = "x".repeat(16_000);
    for counter in 1..=800 {
        bob.send(&message("bob", counter, &text));
        bob.next("message");
    }
    let took = stop(server);
    assert!(took < BOUND, "{took:?}");
    drop(sleepers);
}

#[test]
fn a_stop_does_not_wait_for_clients_that_keep_sending() {
    let server = Server::start();
    let mut bob = server.join("bob");
    let mut talking = bob.stream.try_clone().unwrap();
    let talk = std::thread::spawn(move || {
        let ping = format!("{}\n", json!({"type": "ping"}));
        while talking.write_all(ping.as_bytes()).is_ok() {}
    });
    bob.next("pong");
    let took = stop(server);
    assert!(took < BOUND, "{took:?}");
    drop(bob);
    talk.join().unwrap();
}

#[test]
fn a_stop_tells_a_thousand_clients_in_the_same_time() {
    rlimit::increase_nofile_limit(4_096).unwrap();
    let server = Server::with(Config::default());
    let mut crowd: Vec<_> = (0..1_000)
        .map(|number| {
            let mut client = Client::connect(server.address);
            client.send(&join(&format!("u{number}")));
            client
        })
        .collect();
    for client in &mut crowd {
        client.next("welcome");
    }
    let took = stop(server);
    // Each is written to, which takes time on a busy machine.
    assert!(took < BOUND + Duration::from_secs(1), "{took:?}");
    for client in &mut crowd {
        assert_eq!(client.next("bye")["reason"], "shutdown");
    }
    assert!(PATIENCE > took);
}
