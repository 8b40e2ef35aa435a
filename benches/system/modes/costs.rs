//! What a message costs whatever the members, and what each delivery adds; with how many rooms.

use std::time::Duration;

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
/// Messages under way to all members of a room together, at the most: what a machine's buffers hold.
const UNDER_WAY_MAX: u64 = 10_000_000;
/// In each of many rooms so much less is under way: alike for any number of rooms, so that each
/// write has about as much in it.
const LESS: u64 = 100;

/// One room, more and more members.
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

/// More and more rooms, each with few members.
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
    /// Clients of a group, all of them members of its rooms.
    group: usize,
    rooms: usize,
    /// Rooms of a group.
    each: usize,
    /// Of a room.
    publishers: usize,
    /// Of a room, too.
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
