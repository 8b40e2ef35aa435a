//! Compares the index with a linear scan of the log.

use super::*;

const NAMES: [&str; 4] = ["alice", "Zoë", "bob the 2nd", "東"];
const SCRIPTS: [&str; 10] = [
    "abcde",
    "abcdeé",
    "АБгде",
    "東京都大阪",
    "ひらがかカ",
    "한국어ㅋ",
    "กขาิ่",
    "कखािंु",
    "אבגּד",
    "12👍❤-",
];

pub(super) fn word(random: &mut fastrand::Rng) -> String {
    let letters: Vec<char> = random.choice(SCRIPTS).unwrap().chars().collect();
    (0..random.usize(1..7))
        .map(|_| random.choice(&letters).unwrap())
        .collect()
}

fn text(random: &mut fastrand::Rng) -> String {
    let words: Vec<String> = (0..random.usize(1..6)).map(|_| word(random)).collect();
    words.join(random.choice([" ", " ", " ", "", ", ", "-"]).unwrap())
}

/// A query that may find something in such texts.
fn question(random: &mut fastrand::Rng, said: &[String]) -> String {
    let mut parts = Vec::new();
    for _ in 0..random.usize(1..3) {
        let text = random.choice(said).unwrap();
        let chars: Vec<char> = text.chars().collect();
        let start = random.usize(..chars.len());
        let end = random.usize(start..chars.len()) + 1;
        let piece: String = chars[start..end.min(start + 20)].iter().collect();
        let star = if random.bool() { "*" } else { "" };
        parts.push(match random.u8(..6) {
            0 | 1 => format!("\"{piece}\"{star}"),
            2 => format!("from:\"{}\"", random.choice(NAMES).unwrap()),
            _ => format!("{}{star}", piece.split(' ').next_back().unwrap_or("a")),
        });
    }
    parts.join(" ")
}

#[test]
fn a_search_finds_what_a_look_through_the_log_finds() {
    for seed in 0..6 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = match seed % 3 {
            0 => World::new(),
            1 => World::with_blocks(30),
            _ => World::with_blocks(150),
        };
        let mut said = Vec::new();
        for _ in 0..400 {
            let text = text(&mut random);
            let room = if random.u8(..4) == 0 { OTHER } else { ROOM };
            world.log.say(room, random.choice(NAMES).unwrap(), &text);
            said.push(text);
        }
        world.start(1);
        world.drain();
        for _ in 0..random.u8(..30) {
            let seq = random.u64(1..world.log.head(ROOM));
            let text = text(&mut random);
            world.log.change(ROOM, seq, Some(&text));
            said.push(text);
        }
        world.drain();
        let mut asked = 0;
        while asked < 100 {
            let written = question(&mut random, &said);
            let Ok(query) = Query::parse(&written, &TimeZone::UTC) else {
                continue;
            };
            asked += 1;
            let room = if random.u8(..4) == 0 { OTHER } else { ROOM };
            let expected = world.log.matches(room, &query);
            let bounds = if random.bool() {
                small()
            } else {
                Bounds::default()
            };
            let found = world.find(room, &query, bounds);
            assert_eq!(found, expected, "seed {seed}: {written}");
        }
        // Unindexed entries are found too, if they are few.
        for _ in 0..9 {
            world.log.say(ROOM, "alice", &text(&mut random));
        }
        world.check(ROOM, "from:alice");
        world.stop();
        world.check_integrity();
    }
}

#[test]
fn full_blocks_have_one_segment() {
    let mut world = World::with_blocks(1_000);
    for number in 0..3_500 {
        let text = format!("one {number} {}", "long ".repeat(number % 50));
        world.log.say(ROOM, "alice", &text);
    }
    world.start(1);
    world.drain();
    until(|| world.ask("SELECT count(*) FROM blocks WHERE stage = 'closed'") == 3);
    for block in 1..=3 {
        let segments = format!("SELECT count(DISTINCT segid) FROM block_{block}_idx");
        assert_eq!(world.ask(&segments), 1);
    }
    world.check(ROOM, "one");
    world.check(ROOM, "12*");
    world.stop();
    world.check_integrity();
}

#[test]
fn beginnings_of_any_length_are_found() {
    let mut world = World::new();
    for number in 0..300_u32 {
        world.log.say(
            ROOM,
            "alice",
            &format!("common{number} konto{}", number % 7),
        );
        world
            .log
            .say(ROOM, "bob", &format!("über{number} the same"));
    }
    world.start(1);
    world.drain();
    for written in [
        "c*",
        "co*",
        "com*",
        "comm*",
        "common*",
        "common2*",
        "common29*",
        "common299*",
        "konto3*",
        "konto9*",
        "üb*",
        "übe*",
        "über1*",
        "\"common7 ko\"*",
        "\"common7 konto\"*",
        "from:bob t*",
        "k* common29*",
        "comm* konto*",
        "common1* konto3* konto*",
        "\"the s\"*",
    ] {
        world.check(ROOM, written);
    }
}

#[test]
fn times_bound_a_search() {
    let mut world = World::new();
    for number in 0..5_000 {
        world
            .log
            .say(ROOM, "alice", &format!("entry {}", number % 50));
    }
    world.start(1);
    world.drain();
    for written in [
        "entry after:1970-01-02 before:1970-01-03",
        "after:1970-01-04 3",
        "before:1970-01-02 entry",
        "after:1970-01-02 before:1970-01-03",
        "after:1971-01-01 entry",
        "before:1960-01-01 entry",
    ] {
        world.check(ROOM, written);
    }
}

#[test]
fn times_bound_a_search_where_the_clock_was_corrected() {
    let mut world = World::new();
    let day = 24 * 60;
    for number in 0..5_000 {
        match number {
            // Years ahead for a while, behind for a while.
            1_500 => world.log.set_clock(ROOM, 1_000 * day),
            3_000 => world.log.set_clock(ROOM, -4 * day),
            1_600 | 3_500 => world.log.set_clock(ROOM, 0),
            _ => {}
        }
        let text = format!("entry {}", number % 50);
        world.log.say(ROOM, "alice", &text);
    }
    world.start(1);
    world.drain();
    for written in [
        "entry after:1970-01-02 before:1970-01-03",
        "after:1970-01-04 3",
        "after:1970-01-04",
        "before:1970-01-02 entry",
        "before:1970-01-01",
        "after:1971-01-01 entry",
        "before:1971-01-01 3",
        "before:1960-01-01 entry",
    ] {
        world.check(ROOM, written);
    }
}

#[test]
fn a_search_that_takes_too_long_goes_on_from_where_it_came() {
    let mut world = World::new();
    for number in 0..600 {
        let text = format!(
            "one {number} {}",
            if number % 250 == 0 { "rare" } else { "two" }
        );
        world.log.say(ROOM, "alice", &text);
    }
    world.start(1);
    world.drain();
    // Without any time, FTS5 is interrupted at its first check.
    let bounds = Bounds {
        time_max: Duration::ZERO,
        ..Bounds::default()
    };
    for written in ["rare", "one two", "one 29*", "two one -29"] {
        let query = query(written);
        let expected = world.log.matches(ROOM, &query);
        assert_eq!(world.find(ROOM, &query, bounds), expected, "{written}");
    }
}
