//! SIGKILL of the server under load.

use std::time::Duration;

use fastrand::Rng;

use crate::{load::Load, process::Process, rounds};

/// `KILL_ROUNDS=1000 cargo test --test faults kill -- --nocapture` for a longer run; `KILL_SEED`
/// chooses other moments.
#[test]
fn a_server_that_is_killed_keeps_what_it_promised() {
    let data = tempfile::tempdir().unwrap();
    let rounds = rounds("KILL_ROUNDS", 50);
    let mut rng = Rng::with_seed(crate::rounds("KILL_SEED", 1).into());
    let mut load = Load::new(4);
    for round in 1..=rounds {
        let server = Process::start(data.path(), |_| {});
        let address = server.address;
        let moment = Duration::from_millis(rng.u64(1..80));
        // The moment of a kill is random; there is no event to wait for.
        load.talk(address, || {
            std::thread::sleep(moment);
            server.kill();
        });
        if round % 10 == 0 {
            let server = Process::start(data.path(), |_| {});
            load.settle(server.address);
            server.stop();
        }
    }
    let server = Process::start(data.path(), |_| {});
    load.settle(server.address);
    server.stop();
    let promised = load.promised();
    println!("{rounds} kills, {promised} messages promised, none lost, none doubled");
    assert!(promised > rounds as usize, "the server had next to no load");
}
