//! The real `chat-server`, and its use of the machine.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::client::room_name;

/// Its limits, raised so far that this generator does not reach them.
pub(crate) const LIMITS: &str = "--access open --messages-per-minute 0 --lookups-per-minute 0 \
     --joins-per-minute 0 --newcomers-per-minute 0 --max-per-address 0 --connects-per-minute 0 \
     --max-clients 20000 -q";

/// Where the server's log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Log {
    Memory,
    Disk,
    DiskWithoutIndex,
}

impl Log {
    const fn argument(self) -> Option<&'static str> {
        match self {
            Self::Memory => Some("--ephemeral"),
            Self::Disk => None,
            Self::DiskWithoutIndex => Some("--no-index"),
        }
    }
}

/// The server's process, killed on drop.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    log: Log,
    rooms: usize,
    data: TempDir,
}

impl Server {
    /// Starts a server with this many rooms besides the lobby.
    pub(crate) fn start(log: Log, rooms: usize) -> Self {
        let data = tempfile::tempdir().unwrap();
        let (child, address) = run(&data, log, rooms, 0);
        Self {
            child,
            address,
            log,
            rooms,
            data,
        }
    }

    /// Kills it, and starts it again with the same data on the same port. Returns when the start
    /// began, and the time until it listened.
    pub(crate) fn kill_and_start(&mut self) -> (Instant, Duration) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let begin = Instant::now();
        (self.child, self.address) = run(&self.data, self.log, self.rooms, self.address.port());
        (begin, begin.elapsed())
    }

    fn proc(&self, what: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{what}", self.child.id()))
    }

    /// Processor time of all of its threads, in seconds.
    pub(crate) fn cpu(&self) -> f64 {
        self.cpu_of("")
    }

    /// Processor time of the threads whose names begin with `name`.
    pub(crate) fn cpu_of(&self, name: &str) -> f64 {
        let tasks = fs::read_dir(self.proc("task")).unwrap();
        let of = |task: PathBuf| {
            let said = fs::read_to_string(task.join("comm")).ok()?;
            let said = said
                .starts_with(name)
                .then(|| fs::read_to_string(task.join("schedstat")))?;
            said.ok()?.split(' ').next()?.parse::<f64>().ok()
        };
        tasks.filter_map(|task| of(task.ok()?.path())).sum::<f64>() / 1e9
    }

    fn memory(&self, what: &str) -> f64 {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(what))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Its memory in use, in KiB.
    pub(crate) fn kib(&self) -> f64 {
        self.memory("VmRSS")
    }

    /// Its peak memory.
    pub(crate) fn kib_most(&self) -> f64 {
        self.memory("VmHWM")
    }

    /// The number of its descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(self.proc("fd")).unwrap().count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(data: &TempDir, log: Log, rooms: usize, port: u16) -> (Child, SocketAddr) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat-server"));
    command
        .args([&port.to_string(), "--bind", "127.0.0.1", "--data-dir"])
        .arg(data.path())
        .args(LIMITS.split_whitespace())
        .args(log.argument())
        .env("HOME", data.path())
        .env("XDG_DATA_HOME", data.path())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .stdout(Stdio::piped());
    for room in 0..rooms {
        command.args(["--room", &room_name(room)]);
    }
    let mut child = command.spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut said)
        .unwrap();
    let address = said
        .trim()
        .strip_prefix("listening on ")
        .expect("it says where it listens");
    (child, address.parse().unwrap())
}
