//! What a message costs whatever the members, and what each delivery adds; with how many rooms.

use crate::{
    Settings,
    figures::fit,
    load::Load,
    modes::{AT_ONCE, WARM_UP, way},
    server::{Log, Server},
    span::{Span, Taken},
};

/// Speak in one room.
const PUBLISHERS: usize = 4;
/// Are in one room, where there are many.
const MEMBERS: usize = 4;
/// Clients of many rooms; if there are more rooms, each is in several.
const CLIENTS_MAX: usize = 10_000;
/// Messages under way to all members together, at the most: what a machine's buffers hold.
const UNDER_WAY_MAX: u64 = 1_000_000;

/// One room, more and more members.
pub(crate) fn members(settings: &Settings, log: Log) {
    let mut points = Vec::new();
    for &members in &settings.points {
        let publishers = PUBLISHERS.min(members);
        let taken = measure(settings, log, members, members, 1, 1, publishers);
        points.push((members as f64, taken.per_message()));
        row(&format!("{members} members"), &taken);
    }
    let (message, delivery) = fit(&points);
    println!("  fit: {message:.2} µs per message and {delivery:.3} µs per delivery");
}

/// More and more rooms, each with few members.
pub(crate) fn rooms(settings: &Settings, log: Log) {
    for &rooms in &settings.points {
        let each = (rooms * MEMBERS).div_ceil(CLIENTS_MAX);
        let groups = rooms.div_ceil(each);
        let taken = measure(
            settings,
            log,
            groups * MEMBERS,
            MEMBERS,
            groups * each,
            each,
            1,
        );
        let name = format!("{} rooms of {MEMBERS}", groups * each);
        row(&format!("{name}, {} clients", groups * MEMBERS), &taken);
    }
}

/// Groups of clients, each of which has some rooms to itself.
fn measure(
    settings: &Settings,
    log: Log,
    clients: usize,
    group: usize,
    rooms: usize,
    each: usize,
    publishers: usize,
) -> Taken {
    let server = Server::start(log, rooms);
    let mut load = Load::new(server.address, rooms);
    load.join(
        clients,
        AT_ONCE,
        || way(false),
        |client| {
            let first = client / group * each;
            first..first + each
        },
    );
    for room in 0..rooms {
        let first = room / each * group;
        let speaks = |turn| first + (room + turn) % group;
        load.set_publishers(room, (0..publishers).map(speaks).collect());
    }
    let window = (UNDER_WAY_MAX / group as u64).min(settings.window) / rooms as u64;
    let window = window.max(1);
    load.touch_all();
    load.talk(window, WARM_UP);
    let span = Span::begin(&server, &load);
    load.talk(window, settings.time);
    let taken = span.end(&server, &load);
    let faults = load.faults().to_string();
    if faults != "none" {
        println!("  faults: {faults}");
    }
    taken
}

fn row(name: &str, taken: &Taken) {
    println!(
        "{name:>36}  {:>10.2} µs/message  {:>7.3} µs/delivery  {:>8.0} messages/s  {}",
        taken.per_message(),
        taken.per_delivery(),
        taken.messages / taken.seconds,
        taken.cores()
    );
}
