//! Erased entries leave nothing behind.

use super::{searching::word, *};

#[test]
fn erased_words_are_in_no_file() {
    let mut world = World::new();
    let secret = |number: u64| {
        let mut random = fastrand::Rng::with_seed(number);
        format!("{}{}", word(&mut random), random.u64(1_000_000..))
    };
    // A prefix may remain if other words have it.
    let telling = |number| {
        let secret = secret(number);
        let folded = query(&secret).words.terms()[0]
            .words()
            .last()
            .unwrap()
            .clone();
        folded[..folded.len() - 8].to_owned()
    };
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
    let bytes = world.bytes();
    assert!((0..600).any(|number| contains(&bytes, &telling(number))));
    let index = world.index.as_ref().unwrap();
    for end in [1, 2, 51, 201, 551] {
        index.erase(ROOM, end);
        assert!(index.wait(ROOM, 0, end, PATIENCE));
        assert_eq!((index.erased(ROOM), index.erased(OTHER)), (end, 1));
        let bytes = world.bytes();
        for number in 0..end - 1 {
            assert!(!contains(&bytes, &telling(number)), "{}", secret(number));
        }
        world.log.drop_below(ROOM, end);
        check_signposts(&world.path());
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
    // Not even among FTS5's signposts.
    let bytes = world.bytes();
    assert!(!contains(&bytes, "secre") && contains(&bytes, "other"));
}

/// Checks that signposts consist of letters of words that occur.
fn check_signposts(path: &Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    let all = |sql: &str| -> Vec<Vec<u8>> {
        let mut rows = connection.prepare(sql).unwrap();
        let rows = rows.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let words = all("SELECT DISTINCT CAST(term AS BLOB) FROM occurrences");
    let posts = all("SELECT term FROM entries_idx");
    assert!(posts.len() > 2, "there are several pages");
    for post in posts.iter().filter(|post| post.len() > 1) {
        let told = words.iter().any(|word| word.starts_with(&post[1..]));
        assert!(told, "{}", String::from_utf8_lossy(post));
    }
}

#[test]
fn an_index_that_loses_much_of_itself_is_made_anew() {
    let mut world = World::new();
    for number in 0..12_000 {
        world.log.say(ROOM, "alice", &format!("one {number}"));
    }
    world.start(1);
    world.drain();
    let index = world.index.as_ref().unwrap();
    index.erase(ROOM, 11_901);
    assert!(index.wait(ROOM, 12_000, 11_901, PATIENCE));
    assert!(!contains(&world.bytes(), "11234"));
    world.log.drop_below(ROOM, 11_901);
    world.check(ROOM, "one");
    world.check(ROOM, "119*");
}
