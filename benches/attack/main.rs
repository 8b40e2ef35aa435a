//! The latency of an honest pair's messages, from when they are due to when they are received,
//! without attackers and beside them, measured on the real server.
//!
//!     cargo bench --bench attack               # all attacks
//!     cargo bench --bench attack -- hellos     # attacks whose name contains this
//!     ATTACK_SECONDS=30 ATTACK_ROUNDS=5 cargo bench --bench attack
//!
//! Linux, loopback. The server has its default limits; only the number of connections is unlimited
//! on loopback. Its log is synced before a message is forwarded, so every figure includes the disk:
//! `TMPDIR=/dev/shm` excludes it.
//!
//! With `taskset`, server and pair share one core, so that the pair pays for the server's work for
//! others; the attackers, a process of their own, have another core. A round measures without and
//! beside each attack in turn; the table has the medians of the rounds.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a bench prints, and stops when it can't go on"
)]

mod attackers;
mod member;
mod pair;
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
#[path = "../../tests/attack/peer.rs"]
mod peer;
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
#[path = "../../tests/attack/process.rs"]
mod process;

use std::{
    env,
    fmt::Write as _,
    fs,
    process::{Command, Stdio},
    thread::available_parallelism,
    time::Duration,
};

use attackers::{ATTACKS, Attack, Attackers};
use pair::{Figures, Pair};
use process::Server;
use serde_json::json;

/// Messages in the log at the start: enough for full pages.
const MESSAGES: u64 = 20_000;
/// The goal: p99 beside an attack, divided by the p99 without.
const GOAL: f64 = 2.0;
/// The core of the server and the pair, and the attackers' core.
const CORES: [&str; 2] = ["0", "1"];

fn setting(name: &str, otherwise: u64) -> u64 {
    let said = env::var(name).ok();
    said.map_or(otherwise, |number| number.parse().unwrap())
}

/// Restricts this process, and those that it starts, to one core.
fn pin() -> bool {
    available_parallelism().is_ok_and(|cores| cores.get() >= CORES.len())
        && Command::new("taskset")
            .args(["-p", "-c", CORES[0], &std::process::id().to_string()])
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
}

/// Starts a server with a filled log.
fn server() -> Server {
    let data = tempfile::tempdir().unwrap();
    let mut log = String::new();
    for seq in 1..=MESSAGES {
        let text = format!("line {seq}: {}", "what was said long ago ".repeat(10));
        let line = json!({
            "type": "message", "room": "lobby", "id": format!("a3f1c09b7d2e4f5a6b7c8d9e-{seq}"),
            "user": "1b2c3d4e5f60718293a4b5c6", "nickname": "carol", "message": text, "timestamp": "2026-01-01T00:00:00Z", "seq": seq,
        });
        writeln!(log, "{line}").unwrap();
    }
    Server::command(data.path(), &["import", "--room", "lobby"], &log);
    Server::start_in(data, &["-qq"])
}

/// The measurements of one attack.
#[derive(Default)]
struct Row {
    without: Vec<Figures>,
    beside: Vec<Figures>,
    /// The attackers' counts per second.
    rates: Vec<u64>,
}

fn median<T: Copy + Ord>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values[values.len() / 2]
}

fn medians(rounds: &[Figures]) -> Figures {
    let of =
        |figure: fn(&Figures) -> Duration| median(rounds.iter().map(figure).collect::<Vec<_>>());
    Figures {
        p50: of(|figures| figures.p50),
        p99: of(|figures| figures.p99),
        worst: of(|figures| figures.worst),
    }
}

fn main() {
    if attackers::are_meant() {
        return attackers::attack();
    }
    let cores = available_parallelism().map_or(1, std::num::NonZero::get);
    let pinned = pin();
    let time = Duration::from_secs(setting("ATTACK_SECONDS", 10));
    let rounds = setting("ATTACK_ROUNDS", 3);
    let wanted: Vec<String> = env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let attacks: Vec<&Attack> = ATTACKS
        .iter()
        .filter(|attack| wanted.is_empty() || wanted.iter().any(|part| attack.name.contains(part)))
        .collect();
    println!(
        "{cores} cores: {}; {rounds} rounds of {time:?} each; load {}",
        if pinned {
            "server and pair on one, attackers on another"
        } else {
            "nothing is pinned (no taskset, or one core): the attackers take the server's time"
        },
        load(),
    );
    let mut rows: Vec<Row> = attacks.iter().map(|_| Row::default()).collect();
    let mut key = 1_000_000;
    for round in 1..=rounds {
        let server = server();
        for (attack, row) in attacks.iter().zip(&mut rows) {
            let mut pair = || {
                key += 2;
                Pair::enter(server.address, key)
            };
            row.without.push(pair().talk(time));
            // Members that joined before the attack are to stay.
            let pair = pair();
            let attackers = Attackers::start(attack, server.address, pinned.then_some(CORES[1]));
            row.beside.push(pair.talk(time));
            row.rates.push(attackers.end());
            eprintln!(
                "round {round}, {}: {} without, {} beside",
                attack.name,
                row.without.last().unwrap(),
                row.beside.last().unwrap()
            );
        }
    }
    report(&attacks, &rows);
    println!("load {}", load());
}

fn report(attacks: &[&Attack], rows: &[Row]) {
    println!();
    println!(
        "milliseconds, p50 / p99 / worst       without                beside                 p99"
    );
    for (attack, row) in attacks.iter().zip(rows) {
        let (without, beside) = (medians(&row.without), medians(&row.beside));
        let times = beside.p99.as_secs_f64() / without.p99.as_secs_f64();
        println!(
            "{:<37} {without} {beside} {times:>5.1} x{}  {:>7} {}/s",
            attack.words,
            if times > GOAL { " !" } else { "  " },
            median(row.rates.clone()),
            attack.unit,
        );
    }
}

/// The machine's load average over one minute: figures of a busy machine mean little.
fn load() -> String {
    let loads = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    loads.split(' ').next().unwrap_or_default().to_owned()
}
