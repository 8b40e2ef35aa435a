//! Replays what the fuzzer has kept, and random changes of it, through the fuzzer's own checks: what
//! was once found stays found, on a machine that has no fuzzer.
//!
//! `FUZZ_CHANGES=100000 cargo test --test fuzz_corpus` changes each more often.

#![cfg(feature = "tui")]

use std::{fs, panic, path::Path};

#[allow(
    unreachable_pub,
    dead_code,
    reason = "it is a crate of its own for the fuzzer"
)]
#[path = "../fuzz/src/lib.rs"]
mod fuzz;

/// How often all files together are changed, for each target.
const CHANGES: usize = 2_000;

fn changes() -> usize {
    let set = std::env::var("FUZZ_CHANGES").ok();
    set.map_or(CHANGES, |set| set.parse().expect("a number"))
}

/// What the fuzzer has kept for a target.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name);
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
        .iter()
        .map(|file| fs::read(file).expect("a file"))
        .collect()
}

/// Another input like one that there is: bytes set, left out, put in, parts doubled, two crossed.
fn changed(rng: &mut fastrand::Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut data = corpus[rng.usize(..corpus.len())].clone();
    for _ in 0..rng.usize(1..6) {
        let at = rng.usize(..=data.len());
        let end = rng.usize(at..=data.len().min(at + 32));
        match rng.u8(..6) {
            0 if at < data.len() => data[at] = rng.u8(..),
            1 if at < data.len() => data[at] ^= 1 << rng.u8(..8),
            2 => drop(data.drain(at..end)),
            3 => data.insert(
                at,
                *rng.choice(b"{}[]\",:\\u0\x1b\x9b\xff\n\xe2".iter())
                    .expect("some"),
            ),
            4 => {
                let part = data[at..end].to_vec();
                data.splice(at..at, part);
            }
            _ => {
                let other = &corpus[rng.usize(..corpus.len())];
                data.truncate(at);
                data.extend(&other[rng.usize(..=other.len())..]);
            }
        }
    }
    data
}

#[test]
fn kept_inputs_and_their_mutations_break_no_promise() {
    let mut rng = fastrand::Rng::with_seed(0x5eed);
    for (name, target) in fuzz::TARGETS {
        let corpus = corpus(name);
        assert!(!corpus.is_empty(), "{name} has no corpus");
        let check = |data: &[u8]| {
            let checked = panic::catch_unwind(|| target(data));
            assert!(checked.is_ok(), "{name}: {}", data.escape_ascii());
        };
        for data in &corpus {
            check(data);
        }
        for _ in 0..changes() {
            check(&changed(&mut rng, &corpus));
        }
    }
}
