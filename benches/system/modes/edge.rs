//! Bad neighbours: a room whose readers don't read, and a crowd that joins at once.

use std::time::{Duration, Instant};

use crate::{
    Settings,
    figures::Times,
    load::Load,
    modes::{AT_ONCE, WARM_UP, way},
    server::{Log, Server},
};

/// Members that chat.
const MEMBERS: usize = 100;
const PUBLISHERS: usize = 4;
/// Clients that don't read.
const DEAF: usize = 100;

/// The rate for a crowd is divided by this.
const SLOWER: u64 = 10;

/// In room 1 a publisher sends as fast as its echoes come back, to clients that don't read; in room
/// 0 members chat.
pub(crate) fn deaf(settings: &Settings, log: Log) {
    let server = Server::start(log, 2);
    let mut load = Load::new(server.address, 2);
    load.join(MEMBERS, AT_ONCE, || way(false), |_| 0..1);
    load.set_publishers(0, (0..PUBLISHERS).collect());
    load.join(DEAF + 1, AT_ONCE, || way(false), |_| 1..2);
    load.set_publishers(1, vec![MEMBERS]);
    for client in MEMBERS + 1..=MEMBERS + DEAF {
        load.deafen(client);
    }
    load.beat(0..1, settings.rate, WARM_UP, |_| {});
    load.latencies = Some((MEMBERS, Vec::new()));
    load.beat(0..1, settings.rate, settings.time, |_| {});
    let before = Times::of(load.latencies.replace((MEMBERS, Vec::new())).unwrap().1);
    let rest = server.kib();
    let (begin, mut looked) = (Instant::now(), Instant::now());
    let quarter = settings.time / 2;
    let mut at = Vec::new();
    let window = settings.window;
    load.beat(0..1, settings.rate, settings.time * 2, |load| {
        load.refill_room(1, window);
        if looked.elapsed() > quarter {
            looked = Instant::now();
            at.push(server.kib());
        }
    });
    let time = begin.elapsed().as_secs_f64();
    let (_, times) = load.latencies.take().unwrap();
    println!(
        "  the others' messages  before: {before}   beside: {}",
        Times::of(times)
    );
    let mib: Vec<_> = at
        .iter()
        .map(|kib| format!("{:.0}", kib / 1024.0))
        .collect();
    println!(
        "  server: {:.0} MiB before, {} MiB meanwhile, {:.0} at the most; {:.0} messages/s to {DEAF} who don't read; faults of the others: {}",
        rest / 1024.0,
        mib.join(", "),
        server.kib_most() / 1024.0,
        load.rooms[1].sent[0] as f64 / time,
        load.faults(),
    );
}

/// Many clients join the room in which members chat.
pub(crate) fn storm(settings: &Settings, log: Log) {
    // Every client receives every message: a machine with two processors has no more to spare.
    let rate = settings.rate.div_ceil(SLOWER);
    let server = Server::start(log, 1);
    let mut load = Load::new(server.address, 1);
    load.join(MEMBERS, AT_ONCE, || way(false), |_| 0..1);
    load.set_publishers(0, (0..PUBLISHERS).collect());
    load.beat(0..1, rate, WARM_UP, |_| {});
    load.latencies = Some((MEMBERS, Vec::new()));
    load.beat(0..1, rate, settings.time, |_| {});
    let before = Times::of(load.latencies.replace((MEMBERS, Vec::new())).unwrap().1);
    let all = MEMBERS + settings.storm;
    let begin = Instant::now();
    let mut in_after = Duration::ZERO;
    let mut worst = Vec::new();
    load.beat(0..1, rate, settings.time, |load| {
        if load.clients.len() < all {
            for _ in 0..settings.storm {
                load.connect(&way(false), 0..1, true);
            }
        }
        if in_after.is_zero() && load.joined == all {
            in_after = begin.elapsed();
            worst = std::mem::take(&mut load.latencies.as_mut().unwrap().1);
        }
    });
    let after = Times::of(load.latencies.take().unwrap().1);
    println!(
        "  before: {before}   until all are in: {}   then: {after}",
        Times::of(worst)
    );
    println!(
        "  {} more were in after {:.2} s; faults: {}",
        load.joined - MEMBERS,
        in_after.as_secs_f64(),
        load.faults()
    );
}
