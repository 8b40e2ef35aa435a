//! The server is killed and restarted: the time until every client is live again, without a lost
//! message.

use crate::{
    Settings,
    figures::seconds,
    load::Load,
    modes::{AT_ONCE, most, way},
    server::{Log, Server},
    span::Span,
};

const ROOM: usize = 100;
/// Messages in each room that all clients have received, and messages sent while most are away.
const BEFORE: usize = 10;
const MEANWHILE: usize = 10;

pub(crate) fn run(settings: &Settings) {
    let clients = most(settings.clients);
    let rooms = clients.div_ceil(ROOM);
    let mut server = Server::start(Log::Disk, rooms);
    let mut load = Load::new(server.address, rooms);
    load.keeps_positions = true;
    load.join(
        clients,
        AT_ONCE,
        || way(false),
        |client| client / ROOM..client / ROOM + 1,
    );
    for room in 0..rooms {
        load.set_publishers(room, vec![room * ROOM]);
    }
    say(&mut load, BEFORE);
    load.until("all have heard all", |load| load.missing() == 0);
    let (begin, listening) = server.kill_and_start();
    load.until("all have noticed", |load| load.joined == 0);
    load.counts.dropped = 0;
    let span = Span::begin(&server, &load);
    let first: Vec<usize> = (0..rooms).map(|room| room * ROOM).collect();
    load.rejoin(&first, AT_ONCE);
    say(&mut load, MEANWHILE);
    let others: Vec<usize> = (0..clients).filter(|client| client % ROOM > 0).collect();
    load.rejoin(&others, AT_ONCE);
    let all_in = begin.elapsed();
    say(&mut load, 1);
    load.until("all have heard all", |load| load.missing() == 0);
    let live = begin.elapsed();
    let taken = span.end(&server, &load);
    println!(
        "  {clients} clients in rooms of {ROOM}: listening {} after its start, all in after {}, all live and have heard the {MEANWHILE} missed ones and a new one after {}; {:.0} µs of the server each, {}; faults: {}",
        seconds(listening),
        seconds(all_in),
        seconds(live),
        taken.cpu * 1e6 / clients as f64,
        taken.cores(),
        load.faults(),
    );
}

/// Sends messages to each room.
fn say(load: &mut Load, count: usize) {
    for room in 0..load.rooms.len() {
        for _ in 0..count {
            load.say_now(room);
        }
    }
}
