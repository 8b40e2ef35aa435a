//! One room, full windows: what a delivery costs, and whether all arrive.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    Settings,
    figures::seconds,
    load::Load,
    modes::{AT_ONCE, WARM_UP, way},
    server::{Log, Server},
    span::Span,
};

const PUBLISHERS: usize = 4;

pub(crate) fn run(settings: &Settings, log: Log, encrypted: bool) {
    for &members in &settings.members {
        let server = Server::start(log, 1);
        let mut load = Load::new(server.address, 1);
        let all = members + PUBLISHERS;
        load.join(all, AT_ONCE, || way(encrypted), |_| 0..1);
        load.set_publishers(0, (0..PUBLISHERS).collect());
        load.touch_all();
        load.talk(settings.window, WARM_UP);
        let span = Span::begin(&server, &load);
        load.talk(settings.window, settings.time);
        let taken = span.end(&server, &load);
        println!(
            "{members:>6} members  {:>7.3} µs/delivery  {:>10.0} deliveries/s  {:>8.0} messages/s  {}",
            taken.per_delivery(),
            taken.deliveries / taken.seconds,
            taken.messages / taken.seconds,
            taken.cores(),
        );
        if log == Log::Disk {
            let index = taken.index * 1e6 / taken.messages;
            let drained = drain(&mut load);
            println!(
                "{:>14}  index: {index:.2} µs/message in that, drained {} after the end",
                "",
                seconds(drained)
            );
        }
        println!(
            "{:>14}  {:.0} MiB, faults: {}",
            "",
            server.kib() / 1024.0,
            load.faults()
        );
    }
}

/// Until a search finds everything that was said.
fn drain(load: &mut Load) -> Duration {
    let begin = Instant::now();
    let mut asked = false;
    load.until("the index is drained", |load| {
        let reaches = load.found.take();
        if let Some((indexed, head)) = reaches {
            if indexed == head && head >= load.rooms[0].sent.iter().sum() {
                return true;
            }
            asked = false;
        }
        if !asked {
            asked = true;
            load.clients[PUBLISHERS]
                .say(&json!({"type": "search", "room": "r0", "query": "nothing", "ref": 1}));
            load.flush(PUBLISHERS);
        }
        false
    });
    begin.elapsed()
}
