//! Power cuts: of each file only the synced bytes are left, and in every second round some of the
//! unsynced ones.

use std::time::Duration;

use fastrand::Rng;

use crate::{disk::Disk, load::Load, process::Process, rounds};

fn cut_power_under_load(disk: &Disk, load: &mut Load, rng: &mut Rng, args: &[&str]) {
    let server = Process::start(&disk.data(), |server| {
        disk.under(server);
        server.args(args);
    });
    let moment = Duration::from_millis(rng.u64(5..120));
    load.talk(server.address, || {
        std::thread::sleep(moment);
        server.kill();
    });
    disk.cut_power(rng.bool().then_some(&mut *rng));
}

/// `POWER_ROUNDS=500 cargo test --test faults power -- --nocapture` for a longer run.
#[test]
fn a_power_cut_takes_nothing_that_was_promised() {
    let mut rng = Rng::with_seed(rounds("POWER_SEED", 1).into());
    let rounds = rounds("POWER_ROUNDS", 20);
    let disk = Disk::new();
    let mut load = Load::new(4);
    for _ in 0..rounds {
        cut_power_under_load(&disk, &mut load, &mut rng, &[]);
    }
    let server = Process::start(&disk.data(), |_| {});
    load.settle(server.address);
    server.stop();
    let promised = load.promised();
    println!("{rounds} power cuts, {promised} messages promised, none lost, none doubled");
    assert!(promised > rounds as usize, "the server had next to no load");
}

/// Checks that the disk's model bites: where the operator chose to acknowledge before the sync, a
/// power cut takes acknowledged messages, and the server announces a new epoch.
#[test]
fn with_relaxed_durability_a_power_cut_begins_a_new_epoch() {
    let disk = Disk::new();
    let relaxed = ["--durability", "relaxed"];
    let server = Process::start(&disk.data(), |server| {
        disk.under(server);
        server.args(relaxed);
    });
    let mut load = Load::new(1);
    load.talk(server.address, || {
        std::thread::sleep(Duration::from_millis(300));
        server.kill();
    });
    let promised = load.promised();
    disk.cut_power(None);
    let server = Process::start(&disk.data(), |server| {
        server.args(relaxed);
    });
    let client = &mut load.clients[0];
    let welcome = client.join(server.address).unwrap();
    assert_ne!(Some(welcome.epoch), client.epoch);
    assert!(
        welcome.rooms[0].extent.head < promised as u64,
        "{promised} were promised and {} are there: the model loses nothing",
        welcome.rooms[0].extent.head
    );
    client.hang_up();
    server.stop();
}
