//! A steady rate: the latency of messages, and the cost of a delivery that is not batched.

use crate::{
    Settings,
    figures::Times,
    load::Load,
    modes::{AT_ONCE, WARM_UP, way},
    server::{Log, Server},
    span::Span,
};

const MEMBERS: usize = 100;
const PUBLISHERS: usize = 4;

pub(crate) fn run(settings: &Settings, log: Log, encrypted: bool) {
    let server = Server::start(log, 1);
    let mut load = Load::new(server.address, 1);
    load.join(MEMBERS + PUBLISHERS, AT_ONCE, || way(encrypted), |_| 0..1);
    load.set_publishers(0, (0..PUBLISHERS).collect());
    load.beat(0..1, settings.rate, WARM_UP, |_| {});
    load.latencies = Some((usize::MAX, Vec::new()));
    let span = Span::begin(&server, &load);
    let late = load.beat(0..1, settings.rate, settings.time, |_| {});
    let taken = span.end(&server, &load);
    let faults = load.faults();
    let (_, times) = load.latencies.take().unwrap();
    println!(
        "  {}  {:>6.2} µs/delivery  {}",
        Times::of(times),
        taken.per_delivery(),
        taken.cores()
    );
    println!(
        "  {:.0} messages/s to {MEMBERS} members, generator late by {:.2} ms at most, faults: {faults}",
        taken.messages_per_second(MEMBERS + PUBLISHERS),
        late.as_secs_f64() * 1e3,
    );
}
