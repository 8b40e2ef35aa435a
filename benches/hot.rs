//! Time of each hot path, from one end's bytes to the other's screen: codec, log in memory, hub,
//! readers, screen; no socket, no disk.
//!
//!     cargo bench --bench hot                 # all
//!     cargo bench --bench hot -- encode       # paths whose name contains this
//!
//! Each line gives the time of one unit (a frame, a message, a join, a screen), with its confidence
//! interval. `guard` counts the instructions of the same paths.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench stops when it can't go on"
)]

mod paths;

use std::time::{Duration, Instant};

use criterion::Criterion;
use paths::{Path, each};

/// Times a path: the measured part of each run, divided by its units.
fn time<P: Path>(criterion: &mut Criterion) {
    let name = format!("{}, a {}", P::NAME, P::UNIT);
    let mut path = None;
    criterion.bench_function(&name, |bencher| {
        let path = path.get_or_insert_with(P::new);
        bencher.iter_custom(|runs| {
            let mut took = Duration::ZERO;
            for _ in 0..runs {
                path.prepare();
                let start = Instant::now();
                path.run();
                took += start.elapsed();
            }
            took / u32::try_from(P::UNITS).unwrap()
        });
    });
}

fn main() {
    let mut criterion = Criterion::default()
        .without_plots()
        .sample_size(50)
        .configure_from_args();
    each!(time, &mut criterion);
    criterion.final_summary();
}
