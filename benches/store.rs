//! The cost of durability: synced and acknowledged messages a second, a sender's delay; of entries
//! that change others; how fast the end of a long log is read; and what many rooms cost.
//!
//!     cargo bench --bench store
//!
//! | environment | default | |
//! |---|---|---|
//! | `STORE_DIR` | the system's temporary directory | where the logs are; must be a real disk |
//! | `STORE_SENDERS` | `1,100,1000` | connections that send |
//! | `STORE_WINDOW` | `1,8` | messages that each sends ahead of its acknowledgements |
//! | `STORE_SECONDS` | `5` | how long each run is measured |
//! | `STORE_MESSAGES` | `200000` | messages of the long log |
//! | `STORE_ROOMS` | `10000` | rooms of the log with many |
//!
//! The server runs in this process and is reached over loopback sockets. Every sender is a member
//! of the room and receives all messages, as in a real one, so a run with many senders measures the
//! fan-out too. A message is acknowledged when its sender has received its echo. Texts have 85
//! bytes.

#![allow(
    clippy::cast_precision_loss,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench prints, and stops when it can't go on"
)]

use std::{
    collections::VecDeque,
    env,
    fmt::Write,
    net::{Ipv4Addr, SocketAddr},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use chat_tui::{
    protocol::{
        ClientId, Content, DeviceId, Mentions, MessageId, Nickname, Role, RoomId, Token, UserId,
        frame::{Member, Part},
    },
    server::{
        Config, Storage, bind,
        event_log::EventLog,
        log::{Batch, ChangedSince, LogWriter, Operation, Store},
        store::{
            SqliteStore,
            sqlite::{Compact, Durability, Settings},
        },
        supervisor::Supervisor,
    },
    text::Body,
};
use jiff::Timestamp;
use memchr::memmem;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Barrier, oneshot},
};

const LOBBY: RoomId = RoomId::LOBBY;

fn setting<T: std::str::FromStr>(name: &str, default: &str) -> Vec<T> {
    let value = env::var(name).unwrap_or_else(|_| default.to_owned());
    value
        .split(',')
        .map(|part| part.trim().parse().ok().expect(name))
        .collect()
}

fn text() -> String {
    "a message of the usual length, as people write them when they talk about their work".to_owned()
}

fn directory() -> tempfile::TempDir {
    let parent = env::var_os("STORE_DIR").map_or_else(env::temp_dir, PathBuf::from);
    tempfile::tempdir_in(parent).unwrap()
}

fn share(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share"
    )]
    let at = ((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1));
    times
        .get(at)
        .map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

fn open(directory: &Path, durability: Durability, index: bool) -> SqliteStore {
    let settings = Settings {
        directory: directory.to_owned(),
        durability,
        index,
        compact: Compact::Never,
        recorder: EventLog::none(),
        supervisor: Supervisor::default(),
    };
    SqliteStore::open(&settings).unwrap()
}

fn message(sender: &Arc<Member>, counter: u64) -> Operation {
    Operation::Append {
        id: MessageId {
            device: DeviceId::from_bytes([1; 12]),
            counter,
        },
        settled: 0,
        room: LOBBY,
        sender: Arc::clone(sender),
        content: Content::Text(Body::inert(&text())),
        mentions: Mentions::NONE,
        moderates: false,
    }
}

fn sender() -> Arc<Member> {
    Arc::new(Member {
        user: UserId::from_bytes([1; 12]),
        nickname: Nickname::parse("alice").unwrap(),
        since: Timestamp::UNIX_EPOCH,
        role: Role::Member,
    })
}

/// Appends `count` messages in batches, and returns the time of each batch.
fn fill(store: &mut SqliteStore, from: u64, count: u64, batch: u64) -> Vec<Duration> {
    let sender = sender();
    let mut times = Vec::new();
    for first in (from..from + count).step_by(usize::try_from(batch).unwrap()) {
        let operations = (first..first + batch)
            .map(|counter| message(&sender, counter))
            .collect();
        let now = Timestamp::now();
        let start = Instant::now();
        store.append(Batch::new(now, operations)).unwrap();
        times.push(start.elapsed());
    }
    times
}

/// Measures the store alone.
fn appends() {
    println!("the store alone, synced with each batch");
    for batch in [1, 16, 256, 4096] {
        let directory = directory();
        let mut store = open(directory.path(), Durability::Full, false);
        let wal = directory.path().join("log.db-wal");
        fill(&mut store, 1, batch, batch);
        let (mut times, mut longest) = (Vec::new(), 0);
        let count = (batch * 2_000).min(400_000) / batch;
        let start = Instant::now();
        for number in 1..=count {
            times.extend(fill(&mut store, number * batch + 1, batch, batch));
            longest = longest.max(wal.metadata().unwrap().len());
        }
        let rate = (count * batch) as f64 / start.elapsed().as_secs_f64();
        println!(
            "  batches of {batch:>5}  {rate:>9.0} messages/s   p50 {:>7.3} ms   p99 {:>7.3} ms   \
             write-ahead log up to {:.1} MB",
            share(&mut times, 0.50),
            share(&mut times, 0.99),
            longest as f64 / 1e6,
        );
    }
}

/// An edit of, or without a text a redaction of, one of the messages of [`fill`].
fn revise(counter: u64, target: u64, text: Option<String>) -> Operation {
    let sender = Arc::new(Member {
        user: UserId::from_bytes([1; 12]),
        nickname: Nickname::parse("alice").unwrap(),
        since: Timestamp::UNIX_EPOCH,
        role: Role::Member,
    });
    let mut operation = message(&sender, counter);
    let target = MessageId {
        device: DeviceId::from_bytes([1; 12]),
        counter: target,
    };
    if let Operation::Append { content, .. } = &mut operation {
        *content = match text {
            Some(text) => Content::Edit {
                target,
                body: Body::inert(&text),
            },
            None => Content::Redaction {
                target,
                reason: None,
            },
        };
    }
    operation
}

/// Measures entries that change others.
fn revisions() {
    println!("entries that change others, without syncs");
    let directory = directory();
    let mut store = open(directory.path(), Durability::Relaxed, false);
    let messages = 10_000;
    fill(&mut store, 1, messages, 1_000);
    let mut counter = messages;
    let mut times = Vec::new();
    for number in 0..500 {
        counter += 1;
        let edit = revise(counter, 1, Some(format!("{} {number}", text())));
        let start = Instant::now();
        store
            .append(Batch::new(Timestamp::now(), vec![edit]))
            .unwrap();
        times.push(start.elapsed());
    }
    println!(
        "  a message edited 500 times   p50 {:>6.3} ms   p99 {:>6.3} ms",
        share(&mut times, 0.50),
        share(&mut times, 0.99)
    );
    for target in 2..=1_001 {
        counter += 1;
        let edit = revise(counter, target, Some(format!("{} again", text())));
        let batch = Batch::new(Timestamp::now(), vec![edit]);
        store.append(batch).unwrap();
    }
    let mut reader = store.reader().unwrap().unwrap();
    let (start, mut wanted, mut pages, mut entries) = (Instant::now(), 0, 0, 0);
    loop {
        let since = ChangedSince {
            since: wanted,
            to: messages,
            erased: false,
        };
        let page = reader.changed(LOBBY, since).unwrap();
        (pages, entries) = (pages + 1, entries + page.frames.len());
        wanted = page.through;
        if !page.more {
            break;
        }
    }
    println!(
        "  {entries} changed entries in {pages} pages   {:>6.3} ms",
        start.elapsed().as_secs_f64() * 1e3
    );
    let start = Instant::now();
    for first in (1..=messages).step_by(100) {
        let redact = |target| revise(counter + target, target, None);
        let operations = (first..first + 100).map(redact).collect();
        store
            .append(Batch::new(Timestamp::now(), operations))
            .unwrap();
    }
    println!(
        "  {messages} messages erased, 100 in a batch   {:>6.3} s",
        start.elapsed().as_secs_f64()
    );
}

struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    fn start(directory: &Path, index: bool) -> Self {
        let bound = bind(Config {
            bind: Some(Ipv4Addr::LOCALHOST.into()),
            port: 0,
            storage: Storage::Disk {
                directory: Some(directory.to_owned()),
                durability: Durability::Full,
                index,
                compact: Compact::Never,
            },
            ..Config::default()
        })
        .unwrap();
        let address = bound.local_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            bound
                .run(async {
                    let _ = stopped.await;
                })
                .unwrap();
        });
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One sender: returns the time from each of its messages to the echo.
async fn send(
    address: SocketAddr,
    number: u64,
    window: usize,
    all_in: Arc<Barrier>,
    time: Duration,
) -> Vec<Duration> {
    let mut secret = [0; 32];
    secret[..8].copy_from_slice(&number.to_be_bytes());
    let token = Token::from_bytes(secret);
    let device = token.device(&ClientId::parse("1").unwrap());
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let join = format!(
        "{{\"type\":\"join\",\"protocol\":2,\"nickname\":\"sender{number}\",\"clientID\":\"1\",\
         \"token\":\"{}\",\"last\":0}}\n",
        token.expose()
    );
    stream.write_all(join.as_bytes()).await.unwrap();
    let mut buffer = vec![0; 256 * 1024];
    let read = stream.read(&mut buffer).await.unwrap();
    assert!(memmem::find(&buffer[..read], b"\"welcome\"").is_some());
    let own = format!("\"id\":\"{device}-");
    let own = memmem::Finder::new(own.as_bytes());
    all_in.wait().await;

    let text = text();
    let (mut times, mut sent) = (Vec::new(), VecDeque::new());
    let (mut counter, mut kept) = (0_u64, 0);
    let end = Instant::now() + time;
    let mut lines = String::new();
    loop {
        lines.clear();
        while sent.len() < window && Instant::now() < end {
            counter += 1;
            let id = MessageId { device, counter };
            writeln!(
                lines,
                "{{\"type\":\"message\",\"id\":\"{id}\",\"message\":\"{text}\"}}"
            )
            .unwrap();
            sent.push_back(Instant::now());
        }
        stream.write_all(lines.as_bytes()).await.unwrap();
        if sent.is_empty() {
            return times;
        }
        let read = stream.read(&mut buffer[kept..]).await.unwrap();
        assert!(read > 0, "the server closed");
        let filled = kept + read;
        let mut looked = 0;
        for at in own.find_iter(&buffer[..filled]) {
            let digits = at + own.needle().len();
            let Some(length) = memchr::memchr(b'"', &buffer[digits..filled]) else {
                break;
            };
            looked = digits + length;
            let number = std::str::from_utf8(&buffer[digits..looked]).unwrap();
            // It may come twice: as an acknowledgement and as the echo.
            if number.parse::<u64>().unwrap() > counter - sent.len() as u64 {
                times.push(sent.pop_front().unwrap().elapsed());
            }
        }
        // A needle that may be cut off here is searched again with the bytes that follow.
        let from = looked.max(filled.saturating_sub(own.needle().len() + 20));
        buffer.copy_within(from..filled, 0);
        kept = filled - from;
    }
}

fn senders(count: u64, window: usize, index: bool, time: Duration) {
    let directory = directory();
    let server = Server::start(directory.path(), index);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let address = server.address;
    let (mut times, took) = runtime.block_on(async {
        let all_in = Arc::new(Barrier::new(usize::try_from(count).unwrap() + 1));
        let mut tasks = Vec::new();
        for number in 0..count {
            tasks.push(tokio::spawn(send(
                address,
                number,
                window,
                Arc::clone(&all_in),
                time,
            )));
        }
        all_in.wait().await;
        let start = Instant::now();
        let mut times = Vec::new();
        for task in tasks {
            times.extend(task.await.unwrap());
        }
        (times, start.elapsed())
    });
    let rate = times.len() as f64 / took.as_secs_f64();
    println!(
        "  {count:>5} senders, {window:>3} ahead, index {}  {rate:>8.0} messages/s   \
         p50 {:>8.2} ms   p99 {:>8.2} ms",
        if index { "on " } else { "off" },
        share(&mut times, 0.50),
        share(&mut times, 0.99),
    );
}

/// Measures reading the last hundred messages of a long log.
fn last_hundred(messages: u64) {
    let directory = directory();
    let mut store = open(directory.path(), Durability::Relaxed, false);
    let start = Instant::now();
    let batch = 4_000.min(messages);
    fill(&mut store, 1, messages / batch * batch, batch);
    let rate = messages as f64 / start.elapsed().as_secs_f64();
    let head = store.extents()[0].1.head;
    println!("a log of {head} messages (filled without syncs at {rate:.0} messages/s)");
    let mut reader = store.reader().unwrap().unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let mut times = Vec::new();
    let mut anywhere = Vec::new();
    for _ in 0..2_000 {
        let mut page = |to: u64, times: &mut Vec<Duration>| {
            let start = Instant::now();
            let part = Part::Backward {
                from: to.saturating_sub(99),
                to,
            };
            let page = reader.page(LOBBY, part).unwrap();
            times.push(start.elapsed());
            assert_eq!(page.frames.len(), 100);
        };
        page(head, &mut times);
        page(random.u64(100..=head), &mut anywhere);
    }
    for (what, mut times) in [("the last 100", times), ("100 anywhere", anywhere)] {
        println!(
            "  {what}   p50 {:>6.3} ms   p99 {:>6.3} ms",
            share(&mut times, 0.50),
            share(&mut times, 0.99)
        );
    }
    let start = Instant::now();
    drop(reader);
    drop(store);
    println!("  closed in {:.3} s", start.elapsed().as_secs_f64());
    let start = Instant::now();
    drop(open(directory.path(), Durability::Full, false));
    println!(
        "  opened and closed in {:.3} s",
        start.elapsed().as_secs_f64()
    );
}

/// Measures opening a log of many rooms, and counting what is unread in 500 of them.
fn many_rooms(count: u32) {
    const COUNTED: u32 = 500;
    let room = |number: u32| {
        let mut bytes = [1; 12];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        RoomId::from_bytes(bytes)
    };
    let sender = sender();
    let mut counter = 0;
    let mut write = |store: &mut SqliteStore, rooms: Range<u32>, each: usize| {
        let mut operations = Vec::new();
        for id in rooms.map(room) {
            for _ in 0..each {
                counter += 1;
                let mut operation = message(&sender, counter);
                if let Operation::Append { room, .. } = &mut operation {
                    *room = id;
                }
                operations.push(operation);
            }
        }
        let start = Instant::now();
        store
            .append(Batch::new(Timestamp::UNIX_EPOCH, operations))
            .unwrap();
        start.elapsed()
    };
    let directory = directory();
    let mut store = open(directory.path(), Durability::Relaxed, false);
    for first in (0..count).step_by(100) {
        write(&mut store, first..count.min(first + 100), 2);
    }
    for number in 0..count.min(COUNTED) {
        write(&mut store, number..number + 1, 120);
    }
    drop(store);
    let start = Instant::now();
    let mut store = open(directory.path(), Durability::Relaxed, false);
    println!(
        "a log of {count} rooms\n  opened in {:.3} s",
        start.elapsed().as_secs_f64()
    );
    let mut times: Vec<_> = (0..500).map(|_| write(&mut store, 0..1, 1)).collect();
    println!(
        "  a message appended without a sync in {:.3} ms",
        share(&mut times, 0.50)
    );
    let mut reader = store.reader().unwrap().unwrap();
    for (what, above) in [("a hundred", 2), ("none", u64::MAX)] {
        let start = Instant::now();
        for number in 0..count.min(COUNTED) {
            let user = UserId::from_bytes([2; 12]);
            reader.unread(user, &[], room(number), above).unwrap();
        }
        println!(
            "  unread entries of {COUNTED} rooms with {what} each counted in {:.1} ms",
            start.elapsed().as_secs_f64() * 1e3
        );
    }
}

fn main() {
    let time = Duration::from_secs(setting("STORE_SECONDS", "5")[0]);
    appends();
    revisions();
    println!("a server on loopback sockets, every sender a member");
    for count in setting("STORE_SENDERS", "1,100,1000") {
        for window in setting("STORE_WINDOW", "1,8") {
            for index in [false, true] {
                senders(count, window, index, time);
            }
        }
    }
    last_hundred(setting("STORE_MESSAGES", "200000")[0]);
    many_rooms(setting("STORE_ROOMS", "10000")[0]);
}
