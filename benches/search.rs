//! The cost of searching: how fast the index follows the log, how long the first page of results
//! takes, and how fast a client scans its own messages.
//!
//!     cargo bench --bench search                            # 20,000 messages
//!     SEARCH_MESSAGES=10000000 cargo bench --bench search
//!
//! It uses the server's own store: messages are appended, then indexed from the beginning, then
//! searched through a reader like the server's. `SEARCH_DIR` names a folder for them, where they
//! stay for the next run; ten million take some 5 GB. On a busy machine compare the processor time,
//! which is a mean.
//!
//! The words have a natural distribution (the n-th most common one of a million occurs 1/n as often
//! as the first), messages 50 to 150 bytes and 500 senders, besides a few with few messages; one
//! message in twenty is in Chinese characters. Each figure is over many searches for different
//! words.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    missing_docs,
    reason = "a bench prints, stops when it can't go on, and rounds"
)]

use std::{
    fs,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use chat_tui::{
    protocol::{
        Content, DeviceId, Mentions, MessageId, Nickname, Role, RoomId, UserId, frame::Member,
    },
    search::Query,
    server::{
        event_log::EventLog,
        log::{Batch, LogWriter, OpResult, Operation, Reader, Retention, Store},
        store::{
            SqliteStore,
            sqlite::{Compact, Durability, Settings},
        },
        supervisor::Supervisor,
    },
    text::Body,
};
use fastrand::Rng;
use jiff::{Timestamp, tz::TimeZone};

const ROOM: RoomId = RoomId::LOBBY;
const WORDS: u64 = 1_000_000;
const CHARACTERS: u64 = 3_000;
const SENDERS: u64 = 500;
/// Rare senders, with one message in this many.
const RARE_SENDERS: u64 = 5;
const RARE_EVERY: u64 = 1_000_000;
const SECONDS_BETWEEN: u64 = 3;
const EPOCH_SECOND: u64 = 1_700_000_000;
const SEARCHES: usize = 300;
/// Messages that are appended together.
const BATCH: u64 = 512;

fn message(seq: u64) -> Operation {
    let mut random = Rng::with_seed(seq.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let nickname = Nickname::parse(&sender(&mut random)).unwrap();
    Operation::Append {
        id: MessageId {
            device: DeviceId::from_bytes([7; 12]),
            counter: seq,
        },
        settled: 0,
        room: ROOM,
        sender: Arc::new(Member {
            user: UserId::from_bytes([9; 12]),
            nickname,
            since: Timestamp::UNIX_EPOCH,
            role: Role::Member,
        }),
        content: Content::Text(Body::inert(&text(&mut random))),
        mentions: Mentions::NONE,
        moderates: false,
    }
}

fn time(seq: u64) -> Timestamp {
    Timestamp::from_second((EPOCH_SECOND + SECONDS_BETWEEN * seq).cast_signed()).unwrap()
}

fn open(folder: &Path, index: bool) -> SqliteStore {
    let settings = Settings {
        directory: folder.to_owned(),
        durability: Durability::Relaxed,
        index,
        compact: Compact::Never,
        recorder: EventLog::none(),
        supervisor: Supervisor::default(),
    };
    SqliteStore::open(&settings).unwrap()
}

/// Appends messages up to a number, without an index.
fn fill(folder: &Path, head: u64) {
    let mut store = open(folder, false);
    let mut seq = 1;
    while seq <= head {
        let end = head.min(seq + BATCH - 1);
        let operations = (seq..=end).map(message).collect();
        let now = time(seq);
        store.append(Batch::new(now, operations)).unwrap();
        seq = end + 1;
    }
}

/// Returns a rank: the n-th most common of `of` comes 1/n as often as the first.
fn rank(random: &mut Rng, of: u64) -> u64 {
    ((random.f64() * (of as f64).ln()).exp() as u64).clamp(1, of)
}

fn sender(random: &mut Rng) -> String {
    if random.u64(..RARE_EVERY) < RARE_SENDERS {
        return format!("rare{}", random.u64(..RARE_SENDERS));
    }
    format!("user{}", rank(random, SENDERS))
}

/// Returns a word by its rank: the commonest are short.
fn word(mut rank: u64) -> String {
    const SYLLABLES: u64 = 100;
    let mut word = String::new();
    while rank > 0 {
        let syllable = (rank * 37 + word.len() as u64 * 11) % SYLLABLES;
        word.push(char::from(b"bcdfghklmnprstvwyzjx"[(syllable / 5) as usize]));
        word.push(char::from(b"aeiou"[(syllable % 5) as usize]));
        rank /= SYLLABLES;
    }
    word
}

fn character(rank: u64) -> char {
    char::from_u32(0x4E00 + (rank * 7 % 20_000) as u32).unwrap()
}

fn text(random: &mut Rng) -> String {
    if random.u8(..20) == 0 {
        let length = random.usize(15..45);
        return (0..length)
            .map(|_| character(rank(random, CHARACTERS)))
            .collect();
    }
    let length = random.usize(50..150);
    let mut text = String::new();
    while text.len() < length {
        text.push_str(&word(rank(random, WORDS)));
        text.push(' ');
    }
    text.truncate(text.trim_end().len());
    text
}

struct Figures(Vec<Duration>);

impl Figures {
    fn at(&self, share: f64) -> f64 {
        let at = ((self.0.len() as f64 * share) as usize).min(self.0.len() - 1);
        self.0[at].as_secs_f64() * 1e3
    }
}

/// The processor time of this thread, or of all threads, if the system reports it.
fn cpu(of: &str) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{of}/schedstat")).ok()?;
    Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
}

fn cpu_of_all() -> Duration {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return Duration::ZERO;
    };
    let tasks = tasks.filter_map(|task| task.ok()?.file_name().into_string().ok());
    tasks
        .filter_map(|task| cpu(&format!("self/task/{task}")))
        .sum()
}

/// Measures the first page of one kind of search.
fn measure(reader: &mut dyn Reader, kind: &str, ask: &dyn Fn(&mut Rng) -> String) {
    let mut random = Rng::with_seed(11);
    let (mut hits, mut partly) = (0, 0);
    let before = cpu("thread-self");
    let mut times: Vec<Duration> = (0..SEARCHES)
        .map(|_| {
            let query = Query::parse(&ask(&mut random), &TimeZone::UTC).unwrap();
            let began = Instant::now();
            let found = reader.search(ROOM, &query, u64::MAX).unwrap();
            let time = began.elapsed();
            hits += found.frames.len();
            partly += usize::from(found.from > 1 && found.frames.len() < 50);
            time
        })
        .collect();
    let used = cpu("thread-self")
        .zip(before)
        .map(|(after, before)| after.saturating_sub(before));
    times.sort();
    let times = Figures(times);
    println!(
        "{kind:34} p50 {:7.2} ms   p99 {:7.2} ms   worst {:7.2} ms   processor {:6.2} ms   {:4.1} hits   {:3} % stop early",
        times.at(0.5),
        times.at(0.99),
        times.at(1.0),
        used.unwrap_or_default().as_secs_f64() * 1e3 / SEARCHES as f64,
        hits as f64 / SEARCHES as f64,
        partly * 100 / SEARCHES,
    );
}

fn measure_all(reader: &mut dyn Reader) {
    let common = |random: &mut Rng| word(random.u64(1..50));
    let middle = |random: &mut Rng| word(random.u64(500..5_000));
    let rare = |random: &mut Rng| word(random.u64(500_000..WORDS));
    let mut run = |kind: &str, ask: &dyn Fn(&mut Rng) -> String| measure(reader, kind, ask);
    run("a rare word", &rare);
    run("a common word", &common);
    run("two common words", &|r| {
        format!("{} {}", common(r), common(r))
    });
    run("two words of middling rank", &|r| {
        format!("{} {}", middle(r), middle(r))
    });
    run("a rare word and a common one", &|r| {
        format!("{} {}", rare(r), common(r))
    });
    run("two common words as a phrase", &|r| {
        format!("\"{} {}\"", common(r), common(r))
    });
    run("two middling words as a phrase", &|r| {
        format!("\"{} {}\"", middle(r), middle(r))
    });
    run("a rare sender, a common word", &|r| {
        format!("from:rare{} {}", r.u64(..RARE_SENDERS), common(r))
    });
    run("a sender, a common word", &|r| {
        format!("from:user{} {}", r.u64(1..SENDERS), common(r))
    });
    run("a rare sender", &|r| {
        format!("from:rare{}", r.u64(..RARE_SENDERS))
    });
    run("1 letter and *", &|r| format!("{}*", &common(r)[..1]));
    run("2 letters and *", &|r| format!("{}*", &middle(r)[..2]));
    run("3 letters and *", &|r| format!("{}*", &middle(r)[..3]));
    run("4 letters and *", &|r| format!("{}*", &middle(r)[..4]));
    run("5 letters of a rare word and *", &|r| {
        format!("{}*", &rare(r)[..5])
    });
    run("two Chinese characters", &|r| {
        let mut one = || character(rank(r, CHARACTERS));
        [one(), one()].iter().collect()
    });
    run("no such word", &|r| format!("q{}", middle(r)));
    run("a common word, half way back", &|r| {
        let day = time(head() / 2).strftime("%Y-%m-%d");
        format!("{} before:{day}", common(r))
    });
}

fn head() -> u64 {
    std::env::var("SEARCH_MESSAGES").map_or(20_000, |count| count.parse().unwrap())
}

fn folder_bytes(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).unwrap();
    files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum()
}

/// Measures how fast a client scans its own messages.
fn scan() {
    let nickname = Nickname::parse("somebody").unwrap();
    let texts: Vec<String> = (0..100_000)
        .map(|seq| text(&mut Rng::with_seed(seq)))
        .collect();
    for written in ["bagu", "bagu dage", "\"bagu dage\" ka*", "from:alice bagu"] {
        let query = Query::parse(written, &TimeZone::UTC).unwrap();
        let began = Instant::now();
        let found = texts
            .iter()
            .filter(|text| query.matches(&nickname, Timestamp::UNIX_EPOCH, text))
            .count();
        let rate = texts.len() as f64 / began.elapsed().as_secs_f64();
        println!(
            "looking through texts for {written:22} {:.2} million/s ({found} found)",
            rate / 1e6
        );
    }
}

fn main() {
    // `cargo test` runs benches too, to see that they work.
    let head = head();
    scan();
    let temporary = tempfile::tempdir().unwrap();
    let folder = match std::env::var("SEARCH_DIR") {
        Ok(folder) => Path::new(&folder).join(format!("search-{head}")),
        Err(_) => temporary.path().to_owned(),
    };
    let folder = folder.as_path();
    if !folder.exists() || folder == temporary.path() {
        let began = Instant::now();
        fill(folder, head);
        let took = began.elapsed().as_secs_f64();
        println!(
            "appending {head} messages: {took:.1} s, {:.0}/s; {:.0} MB",
            head as f64 / took,
            folder_bytes(folder) as f64 / 1e6
        );
    }
    let log_bytes = folder_bytes(folder);
    let (began, used) = (Instant::now(), cpu_of_all());
    let mut store = open(folder, true);
    let mut reader = store.reader().unwrap().unwrap();
    // Polled rarely: the polls would be measured too.
    let nothing = Query::parse("q", &TimeZone::UTC).unwrap();
    while reader.search(ROOM, &nothing, 1).unwrap().indexed < head {
        thread::sleep(Duration::from_millis(20));
    }
    let (took, used) = (
        began.elapsed().as_secs_f64(),
        cpu_of_all().saturating_sub(used),
    );
    println!(
        "indexing them: {took:.1} s, {:.0}/s, with {:.1} s of processor time; {:.0} MB",
        head as f64 / took,
        used.as_secs_f64(),
        (folder_bytes(folder) - log_bytes) as f64 / 1e6,
    );
    measure_all(&mut *reader);
    let began = Instant::now();
    let first = store.extents()[0].1.first;
    let kept = (head + 1 - first).saturating_sub(1_000);
    while store.extents()[0].1.first <= head - kept {
        let retention = Retention {
            keep_since: None,
            messages_max: Some(kept),
            bytes_max: None,
        };
        let operations = vec![Operation::Retain(retention)];
        let now = time(head);
        let committed = store.append(Batch::new(now, operations)).unwrap();
        assert!(matches!(committed.results[..], [OpResult::Retained { .. }]));
        thread::sleep(Duration::from_millis(20));
    }
    println!(
        "erasing 1,000 messages: {:.2} s",
        began.elapsed().as_secs_f64()
    );
}
