//! Erased entries leave nothing behind.

use std::collections::HashSet;

use super::{searching::word, *};

/// A word that nobody else says, with a number at its end.
fn secret(number: u64) -> String {
    let mut random = fastrand::Rng::with_seed(number);
    format!("{}{}", word(&mut random), random.u64(10_u64.pow(18)..))
}

/// The length of parts of secrets that tell them from all others.
const PART: usize = 12;

/// The secrets below a number of which any such part is in some bytes.
fn told(bytes: &[u8], below: u64) -> Vec<u64> {
    let digits = bytes.split(|byte| !byte.is_ascii_digit());
    let parts: HashSet<&[u8]> = digits.flat_map(|digits| digits.windows(PART)).collect();
    let is_told = |number: &u64| {
        let secret = secret(*number);
        let digits = secret.bytes().filter(u8::is_ascii_digit);
        let digits: Vec<u8> = digits.collect();
        digits.windows(PART).any(|part| parts.contains(part))
    };
    (0..below).filter(is_told).collect()
}

#[test]
fn erased_words_are_in_no_file() {
    let mut world = World::new();
    for number in 0..600 {
        world.log.say(
            ROOM,
            "alice",
            &format!("one {} secret{number}", secret(number)),
        );
        world.log.say(OTHER, "bob", &format!("one other{number}z"));
    }
    world.start(1);
    world.drain();
    assert_eq!(told(&world.bytes(), 600), (0..600).collect::<Vec<_>>());
    let index = world.index.as_ref().unwrap();
    for end in [1, 2, 51, 201, 551] {
        index.erase(ROOM, end);
        assert!(index.wait(ROOM, 0, end, PATIENCE));
        assert_eq!((index.erased(ROOM), index.erased(OTHER)), (end, 1));
        let kept: Vec<u64> = (end - 1..600).collect();
        assert_eq!(told(&world.bytes(), 600), kept);
        world.log.drop_below(ROOM, end);
        for written in ["one", "o*", "secret*", "from:alice", "other19*"] {
            world.check(ROOM, written);
            world.check(OTHER, written);
        }
    }
    // Erased before it was indexed: it is never added.
    world.log.say(ROOM, "alice", "unseensecret");
    index.erase(ROOM, 602);
    assert!(index.wait(ROOM, 601, 602, PATIENCE));
    world.log.drop_below(ROOM, 602);
    world.log.say(ROOM, "alice", "one at last");
    world.drain();
    world.check(ROOM, "one");
    world.stop();
    world.check_integrity();
    let bytes = world.bytes();
    assert!(!contains(&bytes, "secre") && contains(&bytes, "other"));
}

#[test]
fn blocks_that_hold_nothing_else_are_dropped_and_the_others_rebuilt() {
    let mut world = World::with_blocks(100);
    for number in 0..2_000 {
        let text = format!("one {}", secret(number));
        world.log.say(ROOM, "alice", &text);
    }
    world.start(1);
    world.drain();
    assert_eq!(world.blocks(), 20);
    let index = world.index.as_ref().unwrap();
    for end in [1_201, 1_330, 1_951] {
        world.log.rooms.lock().unwrap()[0].lowest_read = None;
        index.erase(ROOM, end);
        assert!(index.wait(ROOM, 2_000, end, PATIENCE));
        let kept: Vec<u64> = (end - 1..2_000).collect();
        assert_eq!(told(&world.bytes(), 2_000), kept);
        // Only what is kept was read.
        let lowest = world.log.rooms.lock().unwrap()[0].lowest_read;
        assert!(lowest.is_none_or(|lowest| lowest >= end), "{lowest:?}");
        world.log.drop_below(ROOM, end);
        world.check(ROOM, "one");
        world.check(ROOM, "from:alice");
    }
    assert_eq!(world.blocks(), 1);
    index.erase(ROOM, 2_001);
    assert!(index.wait(ROOM, 2_000, 2_001, PATIENCE));
    assert_eq!(world.blocks(), 0);
    world.log.drop_below(ROOM, 2_001);
    world.log.say(ROOM, "alice", "one at last");
    world.drain();
    world.check(ROOM, "one");
}

#[test]
fn small_remains_share_a_block() {
    let mut world = World::with_blocks(100);
    // A few entries of the other room in each block.
    world.start(1);
    for number in 0..1_000 {
        world.log.say(ROOM, "alice", &format!("one fast{number}"));
        if number % 20 == 0 {
            world.log.say(OTHER, "bob", &format!("one slow{number}"));
            world.drain();
        }
    }
    world.drain();
    assert!(world.blocks() >= 10);
    let index = world.index.as_ref().unwrap();
    index.erase(ROOM, 991);
    assert!(index.wait(ROOM, 1_000, 991, PATIENCE));
    world.log.drop_below(ROOM, 991);
    assert!(world.blocks() <= 2, "{}", world.blocks());
    for written in ["one", "slow*", "fast*", "slow540"] {
        world.check(ROOM, written);
        world.check(OTHER, written);
    }
    world.stop();
    world.check_integrity();
    assert!(!contains(&world.bytes(), "fast98"));
}

#[test]
fn entries_without_a_text_or_that_cannot_be_read_are_passed_over() {
    let mut world = World::with_blocks(16);
    for number in 0..40 {
        world.log.say(ROOM, "alice", &format!("one {number}"));
        world.log.append(ROOM, "bob", None);
    }
    for seq in [1, 2, 33, 79] {
        world.log.with_entry(ROOM, seq, |entry| {
            entry.damaged = true;
            entry.text = None;
        });
    }
    world.start(1);
    world.drain();
    let index = world.index.as_ref().unwrap();
    index.erase(ROOM, 20);
    assert!(index.wait(ROOM, 80, 20, PATIENCE));
    world.log.drop_below(ROOM, 20);
    world.check(ROOM, "one");
}
