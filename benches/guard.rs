//! Fails when a hot path takes more instructions than it did. (Time would depend on the machine and
//! its load; `hot` measures that.)
//!
//!     .ci/guard               # compares with benches/guard.txt
//!     .ci/guard --refresh     # writes benches/guard.txt
//!
//! It runs itself under Valgrind's callgrind, which counts instructions. Each path runs once
//! before, so that one-time work does not count. The counts are those of x86-64 and of the build
//! that `.ci/guard` makes; two runs differ by less than a thousandth (the seeds of hash maps, the
//! allocator's choice of room).

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench prints, and stops when it can't go on"
)]

mod paths;

use std::{
    collections::BTreeMap,
    env, fs,
    hint::black_box,
    path::{self, PathBuf},
    process::{Command, ExitCode},
};

use paths::{Path, each};

/// Percent above the table's count at which the guard fails.
const HEADROOM: u64 = 15;
/// Set for the run under callgrind.
const COUNTED: &str = "GUARD_COUNTED";
/// Part of the function's name by which callgrind finds it, however names are mangled.
const MARK: &str = "*mark_for_callgrind*";

/// Marks a boundary: callgrind writes its count and starts anew.
#[inline(never)]
fn mark_for_callgrind() {
    black_box(());
}

fn be_counted<P: Path>() {
    let mut path = P::new();
    path.prepare();
    path.run();
    path.prepare();
    mark_for_callgrind();
    path.run();
    mark_for_callgrind();
}

/// Returns the instructions of each path's run, in the order of the paths.
fn count(folder: &path::Path) -> Vec<u64> {
    let out = folder.join("out");
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "-q"])
        .arg(format!("--dump-after={MARK}"))
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(env::current_exe().unwrap())
        .env(COUNTED, "1")
        .status()
        .expect("valgrind has to be installed");
    assert!(status.success(), "a path fails");
    let dump = |number: u32| fs::read_to_string(folder.join(format!("out.{number}"))).ok();
    let total = |text: String| {
        let mut lines = text.lines().rev();
        let line = lines.find_map(|line| line.strip_prefix("totals: "));
        line.unwrap().trim().parse().unwrap()
    };
    // Every second count is of a run; the others are of its preparation.
    let runs = (2..).step_by(2);
    runs.map_while(dump).map(total).collect()
}

/// Returns the names of the counts: `name, a unit`.
fn names() -> Vec<(String, u64)> {
    fn tell<P: Path>(names: &mut Vec<(String, u64)>) {
        names.push((format!("{}, a {}", P::NAME, P::UNIT), P::UNITS));
    }
    let mut names = Vec::new();
    each!(tell, &mut names);
    names
}

fn main() -> ExitCode {
    if env::var_os(COUNTED).is_some() {
        each!(be_counted);
        return ExitCode::SUCCESS;
    }
    let table = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/guard.txt");
    let folder = tempfile::tempdir().unwrap();
    let counts = count(folder.path());
    let names = names();
    assert_eq!(
        counts.len(),
        names.len(),
        "callgrind counted each path once"
    );
    let counted = || {
        let each = names.iter().zip(&counts);
        each.map(|((name, units), count)| (name.as_str(), count / units))
    };
    if env::args().any(|argument| argument == "--refresh") {
        let lines = counted().map(|(name, count)| format!("{count:>9}  {name}\n"));
        fs::write(&table, lines.collect::<String>()).unwrap();
        println!("{} is written", table.display());
        return ExitCode::SUCCESS;
    }
    let table = fs::read_to_string(table).unwrap();
    let bounds: BTreeMap<&str, u64> = table
        .lines()
        .map(|line| line.trim().split_once("  ").unwrap())
        .map(|(count, name)| (name, count.parse().unwrap()))
        .collect();
    let mut outcome = ExitCode::SUCCESS;
    for (name, count) in counted() {
        let verdict = match bounds.get(name) {
            Some(was) if count * 100 > was * (100 + HEADROOM) => {
                outcome = ExitCode::FAILURE;
                format!("TOO MANY: they were {was}")
            }
            Some(was) if count * 100 < was * (100 - HEADROOM) => {
                format!("far fewer than the {was} before: .ci/guard --refresh keeps it so")
            }
            Some(was) => format!("of {was}"),
            None => {
                outcome = ExitCode::FAILURE;
                "NOT IN THE TABLE: .ci/guard --refresh".to_owned()
            }
        };
        println!("{count:>9}  {name}  ({verdict})");
    }
    outcome
}
