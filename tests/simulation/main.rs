//! The seeded simulation: see `docs/TESTING.md`.

#![allow(clippy::print_stdout, reason = "a replay tells its steps")]

mod client_cache;
mod client_disk;
mod cluster;
mod disk;
mod historian;
mod mutant;
mod net;
mod older;
mod screen;
mod server;
mod thief;
mod truth;
mod wishes;
mod witness;

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use chat_tui::server::log::StoreError;
use cluster::Plan;
use mutant::Mutant;

/// Seeds of the normal run.
const SEEDS: u64 = 1_000;
/// Seeds that a mutant may survive before it counts as not caught.
const MUTANT_SEEDS: u64 = 1_000;
/// Seeds in which each commit fails once.
const SWEPT_SEEDS: u64 = 4;
/// How long users chat in those.
const SWEPT: Duration = Duration::from_secs(6);

fn number(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
    )
}

/// Returns the first seed below `count` that finds a fault, and the fault.
fn search(count: u64, mutant: Option<Mutant>) -> Option<(u64, String)> {
    let next = AtomicU64::new(0);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= count {
                    return None;
                }
                let plan = Plan {
                    mutant,
                    ..Plan::of(seed)
                };
                if let Err(fault) = cluster::run(plan) {
                    next.store(count, Ordering::Relaxed);
                    return Some((seed, fault));
                }
            }
        };
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .filter_map(|worker| worker.join().expect("no panic"))
            .min()
    })
}

#[test]
fn nothing_is_lost_doubled_or_out_of_order() {
    let count = number("SIMULATION_SEEDS").unwrap_or(SEEDS);
    if let Some((seed, fault)) = search(count, None) {
        panic!(
            "seed {seed}: {fault}\nTo replay it:\n    \
             SIMULATION_SEED={seed} cargo test --test simulation replay -- --nocapture"
        );
    }
}

/// Replays the seed named in `SIMULATION_SEED`, printing each step; seed 0 when none is named.
#[test]
fn replay() {
    let seed = number("SIMULATION_SEED");
    let plan = Plan {
        loud: seed.is_some(),
        ..Plan::of(seed.unwrap_or(0))
    };
    if let Err(fault) = cluster::run(plan) {
        panic!("seed {}: {fault}", seed.unwrap_or(0));
    }
}

fn is_caught(mutant: Mutant) {
    let found = search(MUTANT_SEEDS, Some(mutant));
    let (seed, fault) = found.unwrap_or_else(|| panic!("{mutant:?} was not noticed"));
    println!("{mutant:?} is noticed with seed {seed}: {fault}");
}

#[test]
fn a_server_without_deduplication_is_caught() {
    is_caught(Mutant::NoDeduplication);
}

#[test]
fn a_cursor_off_by_one_is_caught() {
    is_caught(Mutant::CursorOffByOne);
}

#[test]
fn forwarding_out_of_order_is_caught() {
    is_caught(Mutant::OutOfOrder);
}

#[test]
fn acknowledging_before_the_commit_is_caught() {
    is_caught(Mutant::AcknowledgesEarly);
}

#[test]
fn holding_nothing_back_is_caught() {
    is_caught(Mutant::HoldsNothingBack);
}

#[test]
fn acknowledging_before_the_sync_is_caught() {
    is_caught(Mutant::SyncsLater);
}

#[test]
fn announcing_a_nicknames_owner_before_it_is_stored_is_caught() {
    is_caught(Mutant::OwnershipEarly);
}

#[test]
fn opening_a_device_to_anybody_with_its_token_is_caught() {
    is_caught(Mutant::DeviceOfAnybody);
}

#[test]
fn a_page_with_a_gap_is_caught() {
    is_caught(Mutant::PageWithAHole);
}

#[test]
fn times_that_stand_still_are_caught() {
    is_caught(Mutant::TimesStandStill);
}

#[test]
fn a_cursor_kept_before_its_messages_is_caught() {
    is_caught(Mutant::CursorFirst);
}

#[test]
fn a_device_that_misses_a_rename_is_caught() {
    is_caught(Mutant::MissesRenames);
}

#[test]
fn a_device_that_asks_for_its_nickname_again_is_caught() {
    is_caught(Mutant::AsksAgain);
}

#[test]
fn a_handover_that_loses_a_message_is_caught() {
    is_caught(Mutant::HandoverLoses);
}

#[test]
fn a_handover_that_happens_twice_is_caught() {
    is_caught(Mutant::HandoverDoubles);
}

#[test]
fn folding_in_the_order_of_arrival_is_caught() {
    is_caught(Mutant::FoldsAsItComes);
}

#[test]
fn a_cache_that_is_not_told_of_changes_is_caught() {
    is_caught(Mutant::CacheNotTold);
}

#[test]
fn a_servers_memory_that_is_not_told_of_changes_is_caught() {
    is_caught(Mutant::MemoryNotTold);
}

#[test]
fn storing_an_edit_that_changes_nothing_is_caught() {
    is_caught(Mutant::StoresUnchanged);
}

#[test]
fn editing_what_others_wrote_is_caught() {
    is_caught(Mutant::EditsOfOthers);
}

#[test]
fn leaving_a_change_out_is_caught() {
    is_caught(Mutant::ChangesWithAHole);
}

#[test]
fn a_search_of_what_is_withheld_is_caught() {
    is_caught(Mutant::SearchSeesAll);
}

#[test]
fn delivery_that_goes_on_after_leaving_is_caught() {
    is_caught(Mutant::LeavesLate);
}

#[test]
fn a_marker_moved_by_sending_is_caught() {
    is_caught(Mutant::ReadsBySending);
}

#[test]
fn telling_a_stranger_a_private_rooms_name_is_caught() {
    is_caught(Mutant::NameTold);
}

#[test]
fn an_advance_from_before_a_marker_was_set_by_hand_is_caught() {
    is_caught(Mutant::OldAdvance);
}

/// The first commit of a run fails, then, in another run, the second one, and so on, until a run
/// has none left to fail.
fn every_commit_fails_once(error: StoreError) {
    for seed in 0..SWEPT_SEEDS {
        for number in 0.. {
            let plan = Plan {
                chatter: SWEPT,
                fails: Some((number, error)),
                ..Plan::of(seed)
            };
            let commits = cluster::run(plan)
                .unwrap_or_else(|fault| panic!("seed {seed}, commit {number} {error:?}: {fault}"));
            if commits <= number {
                assert!(number > 5, "seed {seed} has few commits");
                break;
            }
        }
    }
}

#[test]
fn whichever_commit_is_refused_nothing_is_lost() {
    every_commit_fails_once(StoreError::Refused);
}

#[test]
fn whichever_commit_ends_in_doubt_nothing_is_lost() {
    every_commit_fails_once(StoreError::InDoubt);
}
