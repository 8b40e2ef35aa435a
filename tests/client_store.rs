//! The client's state on its disk, with the real programs: killed at any moment, two at once, and
//! while the server is away.

#![cfg(all(unix, feature = "tui", feature = "server"))]
#![allow(
    clippy::unwrap_used,
    reason = "a test that can't go on has failed, and says where"
)]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, ChildStdin, Command, Output, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use chat_tui::{
    client::{
        session::persist_types::PersistedState,
        store::{self, Profile},
    },
    protocol::{ClientId, Nickname},
};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often a client is killed.
const ROUNDS: usize = 25;
/// Lines of each round at least, before the kill.
const LINES_A_ROUND: usize = 40;

/// A server on a port of its own, without persistence; killed on drop.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(port: u16, state: &Path) -> Self {
        Self::start_with(port, &[], state)
    }

    fn start_with(port: u16, options: &[String], state: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_chat-server"))
            .arg(port.to_string())
            .args(options)
            // The tests write and join faster than people do.
            .args(["--messages-per-minute", "0", "--joins-per-minute", "0"])
            .env("XDG_DATA_HOME", state)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let line = lines(child.stdout.take().unwrap());
        let line = line.recv_timeout(PATIENCE).expect("the server listens");
        let port = line.rsplit(':').next().unwrap().parse().unwrap();
        Self { child, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a stream, as they come.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            if line.is_err() || sender.send(line.unwrap()).is_err() {
                return;
            }
        }
    });
    receiver
}

fn command(port: u16, nickname: &str, options: &[&str], state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat-tui"));
    command
        .args(["localhost", &port.to_string(), nickname, "1"])
        .args(options)
        .env("TZ", "UTC")
        .env("XDG_STATE_HOME", state)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a client with this input, to its end.
fn feed(port: u16, nickname: &str, options: &[&str], input: &str, state: &Path) -> Output {
    let mut child = command(port, nickname, options, state).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = thread::spawn(move || {
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Returns the texts in the room, without times and nicknames.
fn said(port: u16, state: &Path) -> Vec<String> {
    let options = ["--history", "100000", "--no-state"];
    let mut command = command(port, "reader", &options, state);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", errors(&output));
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.split_once(": ").map(|(_, text)| text.to_owned()))
        .collect()
}

fn profile(port: u16, nickname: &str, state: &Path) -> Profile {
    Profile {
        directory: state.join("chat-tui"),
        server: format!("localhost:{port}"),
        nickname: Nickname::parse(nickname).unwrap(),
        client_id: ClientId::parse("1").unwrap(),
    }
}

/// Returns the state that a client has left on disk.
fn kept(port: u16, nickname: &str, state: &Path) -> PersistedState {
    store::open(&profile(port, nickname, state)).unwrap().kept
}

/// A running client, killed on drop.
struct Client {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<String>,
    status: Receiver<String>,
}

impl Client {
    fn start(port: u16, nickname: &str, options: &[&str], state: &Path) -> Self {
        let mut child = command(port, nickname, options, state).spawn().unwrap();
        Self {
            input: child.stdin.take(),
            output: lines(child.stdout.take().unwrap()),
            status: lines(child.stderr.take().unwrap()),
            child,
        }
    }

    fn type_line(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
    }

    fn line_with(&self, part: &str) -> String {
        wait_for(&self.output, part)
    }

    fn status_with(&self, part: &str) -> String {
        wait_for(&self.status, part)
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn wait_for(lines: &Receiver<String>, part: &str) -> String {
    loop {
        let line = lines.recv_timeout(PATIENCE);
        let line = line.unwrap_or_else(|_| panic!("never said: {part}"));
        if line.contains(part) {
            return line;
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The number at the end of a line.
fn number(text: &str) -> usize {
    text.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_client_that_is_killed_while_it_sends_has_sent_each_line_once_and_in_order() {
    let state = tempfile::tempdir().unwrap();
    let server = Server::start(0, state.path());
    let reader = Client::start(
        server.port,
        "alice",
        &["--follow", "--no-state"],
        state.path(),
    );
    reader.status_with("Connected");
    let mut random = fastrand::Rng::with_seed(20_261_122);
    let mut next = 1;
    let mut read = Vec::new();
    let mut caught_sending = 0;
    for round in 0..ROUNDS {
        let mut client = Client::start(server.port, "bot", &[], state.path());
        // After so many lines were seen, and a little more, comes the kill.
        let meet = next + random.usize(0..LINES_A_ROUND);
        let (from, end) = (next, next + 10 * LINES_A_ROUND);
        let mut input = client.input.take().unwrap();
        let writer = thread::spawn(move || {
            for line in from..end {
                if writeln!(input, "line {line}").is_err() {
                    return;
                }
            }
            // Held open: the end of the input would end the client.
            let _ = input.flush();
            thread::park_timeout(PATIENCE);
        });
        while read.last().is_none_or(|last| *last < meet) {
            let line = reader.line_with("line ");
            read.push(number(&line));
        }
        for _ in 0..random.u32(0..200_000) {
            std::hint::spin_loop();
        }
        client.kill();
        writer.thread().unpark();
        writer.join().unwrap();
        // Lines that it kept are sent by themselves; those that it had not read yet, we feed again.
        let kept = kept(server.port, "bot", state.path());
        let pending = kept.outbox.entries.last();
        caught_sending += usize::from(pending.is_some());
        let there = || {
            said(server.port, state.path())
                .last()
                .map_or(0, |l| number(l))
        };
        let taken = pending.map_or_else(there, |entry| number(entry.content.words()));
        assert!(taken >= meet, "round {round}: {taken} taken, {meet} seen");
        next = taken + 1;
    }
    assert!(caught_sending > ROUNDS / 4, "{caught_sending} of {ROUNDS}");
    println!("{caught_sending} of {ROUNDS} were killed with messages pending");
    let last = feed(
        server.port,
        "bot",
        &[],
        &format!("line {next}\n"),
        state.path(),
    );
    assert!(last.status.success(), "{}", errors(&last));
    while read.last().is_none_or(|last| *last < next) {
        read.push(number(&reader.line_with("line ")));
    }
    assert_eq!(read, (1..=next).collect::<Vec<_>>());
}

#[test]
fn lines_typed_while_the_server_is_away_are_sent_by_the_next_start() {
    let state = tempfile::tempdir().unwrap();
    let port = free_port();
    let away = feed(port, "bot", &["--timeout", "1"], "one\ntwo\n", state.path());
    assert_eq!(away.status.code(), Some(5));
    let words = "2 messages were not delivered yet: the next start sends them.";
    assert!(errors(&away).contains(words), "{}", errors(&away));

    let server = Server::start(port, state.path());
    let back = feed(port, "bot", &[], "three\n", state.path());
    assert!(back.status.success(), "{}", errors(&back));
    assert_eq!(errors(&back), "Sending 2 messages of an earlier run\n");
    assert_eq!(back.stdout, b"", "one's own messages are not repeated");
    assert_eq!(said(port, state.path()), ["one", "two", "three"]);

    let quiet = feed(port, "bot", &[], "four\n", state.path());
    assert_eq!(
        (errors(&quiet).as_str(), quiet.status.code()),
        ("", Some(0))
    );
    assert_eq!(said(port, state.path()).len(), 4);
    drop(server);
}

#[test]
fn with_no_state_nothing_is_kept() {
    let state = tempfile::tempdir().unwrap();
    let port = free_port();
    let options = ["--timeout", "1", "--no-state"];
    let away = feed(port, "bot", &options, "one\n", state.path());
    assert!(errors(&away).contains("1 message was not delivered.\n"));
    assert!(!state.path().join("chat-tui").exists());
    let server = Server::start(port, state.path());
    let back = feed(port, "bot", &[], "two\n", state.path());
    assert_eq!(errors(&back), "");
    assert_eq!(said(port, state.path()), ["two"]);
    drop(server);
}

#[test]
fn of_two_clients_with_one_id_the_later_sends_for_both() {
    let state = tempfile::tempdir().unwrap();
    let server = Server::start(0, state.path());
    let reader = Client::start(server.port, "alice", &["--follow"], state.path());
    reader.status_with("Connected");
    let mut first = Client::start(server.port, "bot", &["--follow"], state.path());
    first.status_with("Connected");
    first.type_line("from the first");
    // Only then has the client certainly read it.
    reader.line_with("from the first");
    let mut second = Client::start(server.port, "bot", &["--follow"], state.path());
    second.status_with("Connected");
    first.status_with("same client ID");
    second.type_line("from the second");
    reader.line_with("from the second");
    first.type_line("what the first has left to say");
    reader.line_with("what the first has left to say");
    second.type_line("the end");
    reader.line_with("the end");
    let said = said(server.port, state.path());
    let all = [
        "from the first",
        "from the second",
        "what the first has left to say",
        "the end",
    ];
    assert_eq!(said, all);
}

#[test]
fn two_devices_of_one_member_share_what_is_kept() {
    let state = tempfile::tempdir().unwrap();
    let server = Server::start(0, state.path());
    let one = Client::start(server.port, "carol", &["--follow"], state.path());
    one.status_with("Connected");
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat-tui"));
    let mut other = command
        .args(["localhost", &server.port.to_string(), "carol", "2"])
        .env("XDG_STATE_HOME", state.path())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(other.stdin.take().unwrap(), "as the same member").unwrap();
    assert!(other.wait().unwrap().success(), "not refused as a stranger");
    one.line_with("carol: as the same member");
}

#[test]
fn a_file_that_is_no_database_is_set_aside_and_reported_once() {
    let state = tempfile::tempdir().unwrap();
    let port = free_port();
    feed(port, "bot", &["--timeout", "1"], "one\n", state.path());
    // Only the messages' part: the more important parts can still be read.
    let file = fs::read_dir(state.path().join("chat-tui")).unwrap();
    let file = file
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "db"))
        .unwrap();
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for end in ["-wal", "-shm"] {
        // They hold the same contents as the file.
        let _ = fs::remove_file(format!("{}{end}", file.display()));
    }
    fs::write(
        &file,
        b"this is no database, but it is long enough to look at\n",
    )
    .unwrap();
    let server = Server::start(port, state.path());
    let back = feed(port, "bot", &[], "two\n", state.path());
    assert!(back.status.success(), "{}", errors(&back));
    assert!(errors(&back).contains("set aside as"), "{}", errors(&back));
    assert_eq!(said(port, state.path()).last().unwrap(), "two");
    let again = feed(port, "bot", &[], "three\n", state.path());
    assert_eq!(errors(&again), "", "said once");
    drop(server);
}

/// Every line is either refused, and reported, or delivered once: a full disk loses nothing
/// silently.
#[test]
fn a_full_disk_is_reported_and_nothing_is_sent_twice() {
    const LINES: usize = 3000;
    let state = tempfile::tempdir().unwrap();
    let server = Server::start(0, state.path());
    let port = server.port.to_string();
    let reader = Client::start(
        server.port,
        "alice",
        &["--follow", "--no-state"],
        state.path(),
    );
    reader.status_with("Connected");
    // The limit is on file sizes; pipes have none. Exceeding it becomes an error.
    let limited = "trap '' XFSZ; ulimit -f 3000; exec \"$0\" \"$@\"";
    let mut child = Command::new("sh")
        .args(["-c", limited, env!("CARGO_BIN_EXE_chat-tui")])
        .args(["localhost", &port, "bot", "1"])
        .env("XDG_STATE_HOME", state.path())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let long = "x".repeat(2_000);
    // Lines that fill the disk before the server is there get no ids, and wait for room.
    writeln!(stdin, "{long} line 1").unwrap();
    assert_eq!(number(&reader.line_with("line ")), 1);
    let writer = thread::spawn(move || {
        for line in 2..=LINES {
            writeln!(stdin, "{long} line {line}").unwrap();
        }
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", errors(&output));
    let refused: Vec<_> = errors(&output)
        .lines()
        .filter_map(|line| line.strip_prefix("Message "))
        .map(|line| line.split(' ').next().unwrap().parse().unwrap())
        .collect();
    let taken = |line: &usize| !refused.contains(line);
    let taken: Vec<_> = (1..=LINES).filter(taken).collect();
    assert!(refused.len() > 20 && taken.len() > 20, "{refused:?}");
    // Kept lines that could not get ids any more are sent by the next start.
    let rest = feed(server.port, "bot", &[], "", state.path());
    assert!(rest.status.success(), "{}", errors(&rest));
    let delivered = taken[1..]
        .iter()
        .map(|_| number(&reader.line_with("line ")));
    assert_eq!(delivered.collect::<Vec<_>>(), taken[1..]);
    let end = feed(server.port, "eve", &["--no-state"], "line 0", state.path());
    assert!(end.status.success());
    assert_eq!(number(&reader.line_with("line ")), 0, "and nothing else");
}

#[test]
fn without_a_usable_state_directory_the_client_still_chats() {
    let state = tempfile::tempdir().unwrap();
    // A file where the directory should be.
    fs::write(state.path().join("chat-tui"), b"").unwrap();
    let server = Server::start(0, state.path());
    let bot = feed(server.port, "bot", &[], "one\n", state.path());
    assert!(bot.status.success(), "{}", errors(&bot));
    assert!(
        errors(&bot)
            .contains("Nothing is saved on this machine in this run, and you join as a new member"),
        "{}",
        errors(&bot)
    );
    assert_eq!(said(server.port, state.path()), ["one"]);
}

/// More rooms than one join may name.
#[test]
fn a_profile_with_many_rooms_enters_one_more_and_returns_to_the_first() {
    const ROOMS: usize = 66;
    let state = tempfile::tempdir().unwrap();
    let rooms = (1..ROOMS).map(|room| format!("--room=room-{room}"));
    let server = Server::start_with(0, &rooms.collect::<Vec<_>>(), state.path());
    for room in (0..ROOMS).chain([0, 1, ROOMS - 1]) {
        let name = match room {
            0 => "lobby".to_owned(),
            room => format!("room-{room}"),
        };
        let options = ["--room", &name, "--timeout", "30"];
        let bot = feed(server.port, "bot", &options, "hello\n", state.path());
        assert_eq!(bot.status.code(), Some(0), "{name}: {}", errors(&bot));
    }
}

/// A file system of the client's own, of some megabytes, in a room with many more messages: the
/// cache makes room for the user's own messages.
#[cfg(target_os = "linux")]
#[test]
fn cached_messages_fill_no_disk_and_never_block_the_users_own() {
    // Twenty megabytes, for a disk of eight.
    const LINES: usize = 1_500;
    let allowed = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "true"])
        .status();
    if !allowed.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("CI").is_none(), "no file system to be had");
        println!("skipped: this system gives no mount of one's own");
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let server = Server::start(0, state.path());
    let home = tempfile::tempdir().unwrap();
    let mut child = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .arg(r#"mount -t tmpfs -o size=8m,mode=700 tmpfs "$0" && exec "$@""#)
        .arg(home.path())
        .arg(env!("CARGO_BIN_EXE_chat-tui"))
        .args([
            "localhost",
            &server.port.to_string(),
            "carol",
            "1",
            "--follow",
        ])
        .env("XDG_STATE_HOME", home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let process = child.id();
    let mut carol = Client {
        input: child.stdin.take(),
        output: lines(child.stdout.take().unwrap()),
        status: lines(child.stderr.take().unwrap()),
        child,
    };
    carol.status_with("Connected");
    let long = "x".repeat(14_000);
    let flood = (1..=LINES).map(|line| format!("{long} line {line}\n"));
    let flood = feed(
        server.port,
        "alice",
        &["--no-state", "--timeout", "60"],
        &flood.collect::<String>(),
        state.path(),
    );
    assert!(flood.status.success(), "{}", errors(&flood));
    let reader = Client::start(
        server.port,
        "bob",
        &["--follow", "--no-state", "--history", "0"],
        state.path(),
    );
    reader.status_with("Connected");
    carol.line_with(&format!("line {LINES}"));
    // Each line is refused if there is no room for it: the kept state is there first, and then the
    // cache fills the disk.
    let mut say = |lines: std::ops::RangeInclusive<u32>| {
        for line in lines {
            let mine = format!("mine {line}");
            carol.type_line(&format!("{long} {mine}"));
            let heard = || reader.output.recv_timeout(PATIENCE);
            let refused = || panic!("{mine}: {:?}", carol.status.try_iter().collect::<Vec<_>>());
            while !heard().unwrap_or_else(|_| refused()).contains(&mine) {}
        }
    };
    say(1..=20);
    let inside = home.path().strip_prefix("/").unwrap().join("filler");
    let inside = Path::new(&format!("/proc/{process}/root")).join(inside);
    let mut filler = fs::File::create(inside).unwrap();
    while filler.write_all(&[0; 4096]).is_ok() {}
    say(21..=60);
    carol.kill();
    let told: Vec<_> = carol.status.iter().collect();
    let unkept = |line: &String| line.contains("not kept") || line.contains("not delivered");
    assert!(!told.iter().any(unkept), "{told:?}");
}
