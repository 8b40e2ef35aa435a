//! Many who are in and say nothing: what each takes of the memory, and how long it takes to let them
//! in.

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
/// Descriptors that the server may have more of than at its start, without any connection.
const SPARE: usize = 32;

/// In the clear.
pub(crate) fn plain(settings: &Settings) {
    enter(settings.clients, false);
}

/// As many as a process may have descriptors for.
pub(crate) fn many(settings: &Settings) {
    enter(settings.many, false);
}

/// Encrypted, with keys, and then the same again with what was kept of the first time.
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
    // Each keeps its own tickets, as separate programs do.
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
