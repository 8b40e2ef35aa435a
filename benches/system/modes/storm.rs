//! Many clients join one room at once: the time until each knows all members.

use std::time::Duration;

use crate::{
    Settings,
    figures::seconds,
    load::Load,
    modes::way,
    server::{Log, Server},
    span::Span,
};

pub(crate) fn run(settings: &Settings, encrypted: bool) {
    let clients = settings.storm;
    let server = Server::start(Log::Memory, 1);
    let mut load = Load::new(server.address, 1);
    load.notes = clients;
    let span = Span::begin(&server, &load);
    for _ in 0..clients {
        load.connect(&way(encrypted), 0..1, false);
    }
    let mut all_in = None;
    load.until("everybody knows of everybody", |load| {
        if load.joined == clients && all_in.is_none() {
            all_in = Some(span.end(&server, load).seconds);
        }
        load.complete == clients
    });
    let taken = span.end(&server, &load);
    let each = |what: fn(&crate::client::Client) -> u64| {
        let counts = load.clients.iter().map(what);
        (
            counts.clone().sum::<u64>() as f64 / clients as f64,
            counts.max().unwrap_or(0),
        )
    };
    let (pages, changes) = (each(|client| client.pages), each(|client| client.changes));
    let time = |time: f64| seconds(Duration::from_secs_f64(time));
    println!(
        "  {clients} clients: all in after {}, all told of all after {}, {:.2} s of the server ({})",
        time(all_in.unwrap_or(taken.seconds)),
        time(taken.seconds),
        taken.cpu,
        taken.cores(),
    );
    println!(
        "  frames to each: {:.1} pages of members (at most {}), {:.1} changes (at most {}); {:.0} KiB each; dropped: {}",
        pages.0,
        pages.1,
        changes.0,
        changes.1,
        load.counts.bytes as f64 / 1024.0 / clients as f64,
        load.counts.dropped,
    );
}
