//! Replays the fuzzer's corpus, and random mutations of it, through the fuzzer's own checks: faults
//! once found stay found, on a machine without the fuzzer.
//!
//! `FUZZ_CHANGES=100000 cargo test --test fuzz_corpus` mutates each more often.

#![cfg(feature = "tui")]

use std::{fs, panic, path::Path};

#[allow(
    unreachable_pub,
    dead_code,
    reason = "it is a crate of its own for the fuzzer"
)]
#[path = "../fuzz/src/lib.rs"]
mod fuzz;

/// Mutations for each target.
const CHANGES: usize = 2_000;

fn changes() -> usize {
    let set = std::env::var("FUZZ_CHANGES").ok();
    set.map_or(CHANGES, |set| set.parse().expect("a number"))
}

/// Returns the corpus of a target.
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

/// Returns a mutation of the corpus: bytes set, left out, inserted, parts doubled, two inputs
/// crossed.
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
