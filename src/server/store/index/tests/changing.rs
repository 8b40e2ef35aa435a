//! Entries that later entries change: found by their present words only, and the former ones leave
//! the file.

use super::*;

/// Fills both rooms, so that there are several blocks.
fn filled() -> World {
    let world = World::with_blocks(16);
    for number in 1..=40 {
        let text = format!("one former{number}x");
        world.log.say(ROOM, "alice", &text);
        if number % 3 == 0 {
            world.log.say(OTHER, "bob", &text);
        }
    }
    world
}

/// Whether a search finds this, in the index alone.
fn finds(world: &World, room: RoomId, written: &str) -> Vec<u64> {
    let bounds = Bounds {
        tail_max: 0,
        ..Bounds::default()
    };
    world.find(room, &query(written), bounds)
}

#[test]
fn a_changed_entry_is_found_by_its_present_words_at_once() {
    let mut world = filled();
    // Nothing is rebuilt a second time.
    world.limits.rest_times = u32::MAX;
    world.start(1);
    world.drain();
    let change = |seq, text| {
        world.log.change(ROOM, seq, text);
        world.drain();
    };
    change(5, Some("one second5x"));
    // Its block was rebuilt; from now on its overlay is searched.
    world.clean();
    assert_eq!(finds(&world, ROOM, "second5x"), [5]);
    for (text, word) in [
        (Some("one third5x"), "third5x"),
        (Some("one fourth5x"), "fourth5x"),
    ] {
        change(5, text);
        for written in [word, &word[..5], "fo*", "thi*", "\"one t\"*"] {
            world.check(ROOM, written);
        }
        assert_eq!(finds(&world, ROOM, word), [5]);
        assert_eq!(finds(&world, ROOM, "second5x"), [0; 0]);
    }
    assert_eq!(finds(&world, ROOM, "third5x"), [0; 0]);
    assert_eq!(world.ask("SELECT count(*) FROM blocks WHERE stale = 1"), 1);
    world.check(ROOM, "one");
    world.check(ROOM, "from:alice");
    world.check(OTHER, "one");
    // It loses its text, and gets one again.
    change(5, None);
    for written in ["fourth5x", "from:alice", "one"] {
        world.check(ROOM, written);
    }
    change(5, Some("fifth5x"));
    assert_eq!(finds(&world, ROOM, "fifth5x"), [5]);
    world.check(ROOM, "from:alice");
    // A new run has no rests.
    world.stop();
    world.start(1);
    world.clean();
    assert_eq!(finds(&world, ROOM, "fifth5x"), [5]);
    world.check(ROOM, "from:alice");
    let bytes = world.bytes();
    for former in ["former5x", "econd5", "third5", "fourth5"] {
        assert!(!contains(&bytes, former), "{former}");
    }
    assert!(contains(&bytes, "fifth5"));
    world.stop();
    world.check_integrity();
}

#[test]
fn entries_changed_while_nobody_looked_are_found_by_their_present_words() {
    let mut world = filled();
    world.start(1);
    world.drain();
    world.stop();
    for seq in [2, 17] {
        world.log.change(ROOM, seq, Some("one latter"));
    }
    world.log.change(ROOM, 30, None);
    // The last indexed entries too, by which the log is recognized.
    world.log.change(ROOM, 40, None);
    world.log.change(OTHER, 13, Some("one latter"));
    // One that is not indexed yet.
    world.log.say(ROOM, "alice", "one formerly");
    world.log.change(ROOM, 45, Some("one latter"));
    world.log.rooms.lock().unwrap()[0].lowest_read = None;
    world.start(1);
    world.drain();
    let lowest = world.log.rooms.lock().unwrap()[0].lowest_read;
    assert_ne!(lowest, Some(1), "it was not made anew");
    assert_eq!(finds(&world, ROOM, "latter"), [45, 17, 2]);
    assert_eq!(finds(&world, OTHER, "latter"), [13]);
    world.clean();
    assert_eq!(finds(&world, ROOM, "latter"), [45, 17, 2]);
    for written in ["one", "former*", "from:alice", "formerly"] {
        world.check(ROOM, written);
        world.check(OTHER, written);
    }
    let bytes = world.bytes();
    for former in [
        "former2x",
        "former17x",
        "former30x",
        "former40x",
        "formerly",
    ] {
        assert!(!contains(&bytes, former), "{former}");
    }
}

#[test]
fn many_changes_by_few_entries_are_all_seen() {
    let mut world = World::new();
    for number in 0..2_500 {
        world.log.say(ROOM, "alice", &format!("former{number}x"));
    }
    world.start(1);
    world.drain();
    let rev = world.log.append(ROOM, "alice", None);
    for seq in 1..=2_500 {
        world.log.with_entry(ROOM, seq, |entry| {
            *entry = TestEntry {
                rev: Some(rev),
                ..TestEntry::new(seq, &entry.nickname, entry.time, Some("latter"))
            };
        });
    }
    world.drain();
    assert_eq!(finds(&world, ROOM, "latter").len(), 2_500);
    world.clean();
    assert!(!contains(&world.bytes(), "former"));
    assert_eq!(finds(&world, ROOM, "latter").len(), 2_500);
}

#[test]
fn changes_share_a_rebuild() {
    let mut world = filled();
    world.limits.rest_times = u32::MAX;
    world.start(1);
    world.drain();
    world.log.change(ROOM, 5, Some("once"));
    world.drain();
    world.clean();
    let latest = world.ask("SELECT max(id) FROM blocks");
    for number in 0..20 {
        world.log.change(ROOM, 5, Some(&format!("again{number}")));
        world.drain();
    }
    let index = world.index.as_ref().unwrap();
    index.erase(ROOM, 3);
    index.erase(ROOM, 4);
    assert_eq!(world.ask("SELECT count(*) FROM blocks WHERE stale = 1"), 1);
    assert!(index.erased(ROOM) < 3);
    world.stop();
    world.start(1);
    let index = world.index.as_ref().unwrap();
    index.erase(ROOM, 4);
    assert!(index.wait(ROOM, 0, 4, PATIENCE));
    world.clean();
    let now = world.ask("SELECT max(id) FROM blocks");
    assert!(now <= latest + 3, "{latest} {now}");
}

#[test]
fn an_entry_that_changes_while_its_block_is_rebuilt_is_as_it_is_last() {
    let mut calls = 0;
    loop {
        let mut world = filled();
        let gate = Arc::new(Gate::closed());
        world.log.gate = Some(Arc::clone(&gate));
        world.start(1);
        world.log.gate = None;
        gate.let_through(None);
        world.drain();
        gate.let_through(Some(0));
        for seq in [2, 14] {
            world.log.change(ROOM, seq, Some("one second"));
        }
        world.index.as_ref().unwrap().poke([ROOM, OTHER]);
        gate.let_through(Some(calls));
        let index = world.index.as_ref().unwrap();
        let is_done = || index.indexed(ROOM) == world.log.head(ROOM) && world.is_clean();
        until(|| gate.holds() || is_done());
        let is_late = !gate.holds();
        for seq in [2, 14] {
            world.log.change(ROOM, seq, Some("one third"));
        }
        gate.let_through(None);
        world.drain();
        assert_eq!(finds(&world, ROOM, "third"), [14, 2], "after {calls}");
        world.clean();
        assert_eq!(finds(&world, ROOM, "third"), [14, 2], "after {calls}");
        for written in ["one", "second", "former*", "from:alice"] {
            world.check(ROOM, written);
        }
        let bytes = world.bytes();
        for former in ["second", "former2x", "former14x"] {
            assert!(!contains(&bytes, former), "{former} after {calls}");
        }
        if is_late {
            break;
        }
        calls += 1;
    }
    assert!(calls > 10, "{calls}");
}

#[test]
fn a_kill_at_any_step_loses_nothing_and_leaves_nothing() {
    let secrets = ["former5x", "former7x", "former33x", "hidden", "former1x"];
    let mut kills = 0;
    loop {
        let mut world = filled();
        world.start(1);
        world.drain();
        world.stop();
        world.log.change(ROOM, 5, Some("one hidden"));
        world.log.change(ROOM, 5, Some("one latter"));
        world.log.change(ROOM, 7, None);
        world.log.change(OTHER, 11, Some("one latter"));
        world.log.say(ROOM, "alice", "one more");
        let gate = Arc::new(Gate::closed());
        world.log.gate = Some(Arc::clone(&gate));
        let index = world.start(1);
        gate.wait();
        index.erase(ROOM, 4);
        world.log.gate = None;
        gate.let_through(Some(kills));
        let is_done = || world.index.as_ref().unwrap().erased(ROOM) == 4 && world.is_clean();
        until(|| gate.holds() || is_done());
        let finished = !gate.holds();
        // The files as they are at this moment.
        let mut after = World::with_blocks(16);
        if !finished {
            after.copy_from(&world);
        }
        gate.let_through(None);
        world.stop();
        if finished {
            break;
        }
        after.log = world.log.clone();
        after.log.drop_below(ROOM, 4);
        after.start(1);
        after.drain();
        assert_eq!(finds(&after, ROOM, "latter"), [5], "after {kills}");
        for written in ["one", "former*", "hidden", "from:alice"] {
            after.check(ROOM, written);
            after.check(OTHER, written);
        }
        let index = after.index.as_ref().unwrap();
        assert!(index.wait(ROOM, 0, 4, PATIENCE));
        after.clean();
        let bytes = after.bytes();
        for secret in secrets {
            assert!(!contains(&bytes, secret), "{secret} after {kills}");
        }
        for written in ["one", "former*", "latter", "from:alice"] {
            after.check(ROOM, written);
            after.check(OTHER, written);
        }
        after.stop();
        after.check_integrity();
        kills += 1;
    }
    assert!(kills > 20, "{kills}");
}

#[test]
fn a_killed_rebuild_leaves_nothing_even_if_it_is_not_needed_any_more() {
    let mut world = filled();
    world.start(1);
    world.drain();
    world.stop();
    world.log.change(ROOM, 5, None);
    let gate = Arc::new(Gate::closed());
    world.log.gate = Some(Arc::clone(&gate));
    world.start(1);
    world.log.gate = None;
    // Until the rebuild has copied something.
    let copied = "SELECT count(*) FROM blocks WHERE stage = 'unfinished'";
    let mut calls = 0;
    while world.ask(copied) == 0 || calls < 2 {
        calls += u32::from(world.ask(copied) > 0);
        gate.let_through(Some(1));
        gate.wait();
    }
    let mut after = World::with_blocks(16);
    after.copy_from(&world);
    gate.let_through(None);
    world.stop();
    after.log = world.log.clone();
    // All that was indexed.
    after.log.drop_below(ROOM, 41);
    after.log.drop_below(OTHER, 14);
    let index = after.start(1);
    assert!(index.wait(ROOM, 41, 41, PATIENCE) && index.wait(OTHER, 13, 14, PATIENCE));
    assert!(!contains(&after.bytes(), "former"));
    assert_eq!(after.ask(copied), 0);
    assert_eq!(after.blocks(), 1);
}
