//! The fixed cost of a message, and the cost of each delivery; by the number of rooms.

use std::time::Duration;

use crate::{
    Settings,
    figures::fit,
    load::Load,
    modes::{AT_ONCE, WARM_UP, way},
    server::{Log, Server},
    span::{Span, Taken},
};

/// Publishers in one room.
const PUBLISHERS: usize = 4;
/// Members of each room, where there are many rooms.
const MEMBERS: usize = 4;
/// Clients of many rooms; if there are more rooms, each client joins several.
const CLIENTS_MAX: usize = 10_000;
/// The largest number of messages under way to all members of a room together: a machine's buffers
/// hold no more.
const UNDER_WAY_MAX: u64 = 10_000_000;
/// The window of each of many rooms is smaller by this factor, for any number of rooms, so that
/// each write has about the same size.
const LESS: u64 = 100;

/// Measures one room with more and more members.
pub(crate) fn members(settings: &Settings, log: Log) {
    let mut points = Vec::new();
    for &members in &settings.points {
        let publishers = PUBLISHERS.min(members);
        let window = settings.window.min(UNDER_WAY_MAX / members as u64).max(1);
        let shape = Shape {
            clients: members,
            group: members,
            rooms: 1,
            each: 1,
            publishers,
            window,
        };
        let taken = shape.measure(settings.time, log);
        points.push((members as f64, taken.per_message(members)));
        row(&format!("{members} members"), members, &taken);
    }
    let (message, delivery) = fit(&points);
    println!("  fit: {message:.2} µs per message and {delivery:.3} µs per delivery");
}

/// Measures more and more rooms, each with few members.
pub(crate) fn rooms(settings: &Settings, log: Log) {
    for &rooms in &settings.points {
        let each = (rooms * MEMBERS).div_ceil(CLIENTS_MAX);
        let groups = rooms.div_ceil(each);
        let shape = Shape {
            clients: groups * MEMBERS,
            group: MEMBERS,
            rooms: groups * each,
            each,
            publishers: 1,
            window: (settings.window / LESS).max(1),
        };
        let taken = shape.measure(settings.time, log);
        let (rooms, clients) = (groups * each, groups * MEMBERS);
        let name = format!("{rooms} rooms of {MEMBERS}, {clients} clients");
        row(&name, MEMBERS, &taken);
    }
}

/// Groups of clients, each of which has some rooms to itself.
struct Shape {
    clients: usize,
    /// Clients of a group, all members of its rooms.
    group: usize,
    rooms: usize,
    /// Rooms of a group.
    each: usize,
    /// Publishers of a room.
    publishers: usize,
    /// Window of a room.
    window: u64,
}

impl Shape {
    fn measure(&self, time: Duration, log: Log) -> Taken {
        let server = Server::start(log, self.rooms);
        let mut load = Load::new(server.address, self.rooms);
        load.join(
            self.clients,
            AT_ONCE,
            || way(false),
            |client| {
                let first = client / self.group * self.each;
                first..first + self.each
            },
        );
        for room in 0..self.rooms {
            let first = room / self.each * self.group;
            let speaks = |turn| first + (room + turn) % self.group;
            load.set_publishers(room, (0..self.publishers).map(speaks).collect());
        }
        load.touch_all();
        load.warm_up(self.window, WARM_UP);
        let span = Span::begin(&server, &load);
        load.talk(self.window, time);
        let taken = span.end(&server, &load);
        let faults = load.faults().to_string();
        if faults != "none" {
            println!("  faults: {faults}");
        }
        taken
    }
}

fn row(name: &str, members: usize, taken: &Taken) {
    println!(
        "{name:>36}  {:>10.2} µs/message  {:>7.3} µs/delivery  {:>8.0} messages/s  {}",
        taken.per_message(members),
        taken.per_delivery(),
        taken.messages_per_second(members),
        taken.cores()
    );
}
