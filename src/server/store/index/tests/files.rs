//! The index, whatever happens to its file.

use super::*;

#[test]
fn the_index_goes_on_where_it_was() {
    let mut world = World::new();
    for number in 0..100 {
        world.log.say(ROOM, "alice", &format!("one {number}"));
    }
    world.start(1);
    world.drain();
    world.stop();
    world.log.say(ROOM, "alice", "one more");
    world.log.rooms.lock().unwrap()[0].lowest_read = None;
    world.start(1);
    world.drain();
    // Only the last indexed entry is compared.
    let lowest = world.log.rooms.lock().unwrap()[0].lowest_read;
    assert_eq!(lowest, Some(100));
    world.check(ROOM, "one");
}

#[test]
fn a_file_that_is_of_no_use_is_made_anew() {
    let damage = |path: &Path, change: fn(&mut Vec<u8>)| {
        let mut bytes = fs::read(path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    };
    for (what, change) in [
        ("missing", None),
        ("empty", Some((|bytes| bytes.clear()) as fn(&mut Vec<u8>))),
        ("not SQLite's", Some(|bytes| bytes[..100].fill(b'x'))),
        ("cut", Some(|bytes| bytes.truncate(bytes.len() / 2))),
        ("overwritten", Some(|bytes| bytes[4096..].fill(0x55))),
        ("newer", Some(|bytes| bytes[60..64].fill(7))),
    ] {
        let mut world = World::new();
        for number in 0..500 {
            world.log.say(ROOM, "alice", &format!("one {number}"));
        }
        world.start(1);
        world.drain();
        world.stop();
        match change {
            None => fs::remove_file(world.path()).unwrap(),
            Some(change) => damage(&world.path(), change),
        }
        world.log.say(ROOM, "alice", "one more");
        world.start(1);
        world.drain();
        world.check(ROOM, "one");
        world.check(ROOM, "43*");
        world.stop();
        world.check_integrity();
        eprintln!("{what}: made anew");
    }
}

#[test]
fn damage_that_a_search_comes_upon_mends_itself() {
    let mut world = World::new();
    for number in 0..2_000 {
        world.log.say(ROOM, "alice", &format!("one {number}"));
    }
    world.start(1);
    world.drain();
    world.stop();
    world.start(1);
    world.drain();
    // Damages all pages but the first few, while the server runs.
    let mut bytes = fs::read(world.path()).unwrap();
    bytes[8 * 4096..].fill(0x55);
    fs::write(world.path(), bytes).unwrap();
    let query = query("one");
    let expected = world.log.matches(ROOM, &query);
    // The results are right in any case, now and later.
    assert_eq!(world.find(ROOM, &query, Bounds::default()), expected);
    world.drain();
    assert_eq!(world.find(ROOM, &query, Bounds::default()), expected);
}

#[test]
fn another_log_has_another_index() {
    let mut world = World::new();
    world.log.say(ROOM, "alice", "former secret");
    world.start(1);
    world.drain();
    world.stop();
    world.log = TestLog::new();
    world.log.say(ROOM, "bob", "latter secret");
    world.start(2);
    world.drain();
    world.check(ROOM, "secret");
    world.stop();
    assert!(!contains(&world.bytes(), "former"));
}

#[test]
fn entries_that_the_log_lost_without_a_word_are_erased_at_the_next_start() {
    let mut world = World::new();
    for number in 0..100 {
        world.log.say(ROOM, "alice", &format!("one secret{number}"));
    }
    world.start(1);
    world.drain();
    world.stop();
    world.log.drop_below(ROOM, 51);
    let index = world.start(1);
    assert!(index.wait(ROOM, 100, 51, PATIENCE));
    world.check(ROOM, "one");
    world.stop();
    assert!(!contains(&world.bytes(), "secret49"));
}

#[test]
fn an_older_copy_of_the_log_gets_a_new_index_however_far_it_went_on() {
    // Further than the index, as far, and less far.
    for head in [120, 100, 60] {
        let mut world = World::new();
        let older = TestLog::new();
        for number in 0..100 {
            world.log.say(ROOM, "alice", &format!("one {number}"));
        }
        for number in 0..50 {
            older.say(ROOM, "alice", &format!("one {number}"));
        }
        world.start(1);
        world.drain();
        world.stop();
        older.set_clock(ROOM, 1);
        for number in 50..head {
            older.say(ROOM, "bob", &format!("two {number}"));
        }
        world.log = older;
        world.start(1);
        world.drain();
        let expected = world.log.matches(ROOM, &query("two"));
        let bounds = Bounds {
            tail_max: 1,
            ..Bounds::default()
        };
        assert_eq!(
            world.find(ROOM, &query("two"), bounds),
            expected,
            "with {head}"
        );
        world.check(ROOM, "one");
    }
}

#[test]
fn a_search_works_while_there_is_no_index() {
    let mut world = World::new();
    for number in 0..3_000 {
        world.log.say(ROOM, "alice", &format!("one {number}"));
    }
    // A folder in place of the file: it can't be opened.
    fs::create_dir(world.path()).unwrap();
    world.start(1);
    world.check(ROOM, "29*");
    world.check(ROOM, "one after:1970-01-02");
}

#[test]
fn long_messages_are_looked_through_without_an_index_too() {
    let mut world = World::new();
    for number in 0..400 {
        world.log.say(ROOM, "alice", &format!("one {number}"));
        let long = "long ".repeat(3_000);
        world
            .log
            .say(ROOM, "alice", &format!("two {number} {long}"));
    }
    fs::create_dir(world.path()).unwrap();
    world.start(1);
    world.check(ROOM, "one");
    world.check(ROOM, "39*");
}
