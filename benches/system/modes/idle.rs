//! Idle clients: the memory of each, and the time to join them.

use std::time::Duration;

use crate::{
    Settings,
    figures::seconds,
    load::Load,
    modes::{AT_ONCE, most, way},
    server::{Log, Server},
    span::{Span, Taken},
};

const ROOM: usize = 100;
/// Descriptors that the server may hold beyond those at its start, without any connection.
const SPARE: usize = 32;

/// Measures plain clients.
pub(crate) fn plain(settings: &Settings) {
    enter(settings.clients, false);
}

/// Measures as many clients as a process may have descriptors for.
pub(crate) fn many(settings: &Settings) {
    enter(settings.many, false);
}

/// Measures encrypted clients with keys, and their return with resumed TLS sessions.
pub(crate) fn encrypted(settings: &Settings) {
    enter(settings.clients, true);
}

fn enter(clients: usize, encrypted: bool) {
    let clients = most(clients);
    let rooms = clients.div_ceil(ROOM);
    let server = Server::start(Log::Memory, rooms);
    let mut load = Load::new(server.address, rooms);
    let rest = server.kib();
    let descriptors = server.descriptors();
    let span = Span::begin(&server, &load);
    // Each keeps its own tickets, as a separate program does.
    load.join(
        clients,
        AT_ONCE,
        || way(encrypted),
        |client| client / ROOM..client / ROOM + 1,
    );
    let taken = span.end(&server, &load);
    let kib = (server.kib() - rest) / clients as f64;
    row("first", clients, &taken, kib);
    if encrypted {
        for client in 0..clients {
            load.leave(client);
        }
        load.until("the server has let them go", |_| {
            server.descriptors() <= descriptors + SPARE
        });
        let span = Span::begin(&server, &load);
        let all: Vec<usize> = (0..clients).collect();
        load.rejoin(&all, AT_ONCE);
        let taken = span.end(&server, &load);
        let kib = (server.kib() - rest) / clients as f64;
        let resumed = load
            .clients
            .iter()
            .filter(|client| client.is_resumed())
            .count();
        row(
            &format!("again, {resumed} handshakes resumed"),
            clients,
            &taken,
            kib,
        );
    }
    println!("  dropped: {}", load.counts.dropped);
}

fn row(name: &str, clients: usize, taken: &Taken, kib: f64) {
    println!(
        "  {name}: {clients} clients in rooms of {ROOM}: {kib:.2} KiB each, all in after {}, {:.0} µs of the server each, {}",
        seconds(Duration::from_secs_f64(taken.seconds)),
        taken.cpu * 1e6 / clients as f64,
        taken.cores(),
    );
}
