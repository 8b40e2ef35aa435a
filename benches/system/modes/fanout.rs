//! One room, full windows: the cost of a delivery, and whether all messages arrive.

use std::time::{Duration, Instant};

use crate::{
    Settings,
    figures::seconds,
    load::Load,
    modes::{AT_ONCE, WARM_UP, way},
    server::{Log, Server},
    span::Span,
};

const PUBLISHERS: usize = 4;
/// Silence of a thread's processor time after which it counts as idle.
const IDLE: Duration = Duration::from_millis(500);

pub(crate) fn run(settings: &Settings, log: Log, encrypted: bool) {
    for &members in &settings.members {
        let server = Server::start(log, 1);
        let mut load = Load::new(server.address, 1);
        let all = members + PUBLISHERS;
        load.join(all, AT_ONCE, || way(encrypted), |_| 0..1);
        load.set_publishers(0, (0..PUBLISHERS).collect());
        load.touch_all();
        load.warm_up(settings.window, WARM_UP);
        let span = Span::begin(&server, &load);
        load.talk(settings.window, settings.time);
        let taken = span.end(&server, &load);
        println!(
            "{members:>6} members  {:>7.3} µs/delivery  {:>10.0} deliveries/s  {:>8.0} messages/s  {}",
            taken.per_delivery(),
            taken.deliveries / taken.seconds,
            taken.messages_per_second(all),
            taken.cores(),
        );
        if log == Log::Disk {
            let (drained, cpu) = drain(&server, &mut load);
            let said: u64 = load.rooms[0].sent.iter().sum();
            println!(
                "{:>14}  the index: {:.2} µs/message, done {} after the end",
                "",
                cpu * 1e6 / said as f64,
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

/// Waits until the index is idle. Returns how long that took, and its whole processor time, in
/// seconds.
fn drain(server: &Server, load: &mut Load) -> (Duration, f64) {
    let begin = Instant::now();
    let mut last = (begin, 0.0);
    load.until("the index is drained", |_| {
        let cpu = server.cpu_of("index");
        if cpu > last.1 {
            last = (Instant::now(), cpu);
        }
        last.0.elapsed() > IDLE
    });
    (last.0 - begin, last.1)
}
