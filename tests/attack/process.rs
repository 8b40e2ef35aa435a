//! The real `chat-server`, watched: its memory, its log, whether it still runs.

use std::{
    collections::VecDeque,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
};

use tempfile::TempDir;

use crate::peer::PATIENCE;

pub(crate) const MIB: u64 = 1024 * 1024;
/// Log lines that are kept: more than those of a minute of chat.
const LOG_LINES: usize = 10_000;
/// Log lines that a failed test prints.
const SHOWN_LINES: usize = 40;
/// Descriptors that an attack may need.
const DESCRIPTORS: u64 = 16_000;

/// A server for one attack, killed on drop.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    log: Arc<Kept>,
    /// Its memory at rest, in bytes.
    rest: u64,
    data: TempDir,
}

#[derive(Debug, Default)]
struct Kept {
    log: Mutex<Log>,
    /// Notified of each line.
    more: Condvar,
}

#[derive(Debug, Default)]
struct Log {
    last: VecDeque<String>,
    bytes: u64,
    panics: Vec<String>,
}

impl Server {
    /// Starts one on disk, with the default limits.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), arguments)
    }

    /// The same, in a prepared data directory.
    pub(crate) fn start_in(data: TempDir, arguments: &[&str]) -> Self {
        Self::run(program(), data, arguments)
    }

    /// Starts one with this descriptor limit.
    pub(crate) fn with_descriptors(count: u32, arguments: &[&str]) -> Self {
        let mut shell = Command::new("sh");
        let script = format!("ulimit -n {count}; exec \"$0\" \"$@\"");
        shell.args(["-c", &script]).arg(program().get_program());
        Self::run(shell, tempfile::tempdir().unwrap(), arguments)
    }

    fn run(mut command: Command, data: TempDir, arguments: &[&str]) -> Self {
        // The attackers' own.
        let _ = rlimit::increase_nofile_limit(DESCRIPTORS);
        let mut child = command
            .args(["0", "--bind", "127.0.0.1", "--data-dir"])
            .arg(data.path())
            .args(arguments)
            .env("HOME", data.path())
            .env("XDG_DATA_HOME", data.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::<Kept>::default();
        let stderr = child.stderr.take().unwrap();
        let kept = Arc::clone(&log);
        thread::spawn(move || keep(stderr, &kept));
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = said.next().expect("it says where it listens").unwrap();
        let address = address.strip_prefix("listening on ").unwrap().parse();
        let mut server = Self {
            child,
            address: address.unwrap(),
            log,
            rest: 0,
            data,
        };
        server.rest = server.memory("VmRSS");
        server
    }

    /// Runs one of the program's commands in this data directory, with this input; returns its
    /// output.
    pub(crate) fn command(data: &Path, arguments: &[&str], input: &str) -> String {
        let mut command = program();
        command.args(arguments).arg("--data-dir").arg(data);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut piped = child.stdin.take().unwrap();
        piped.write_all(input.as_bytes()).unwrap();
        drop(piped);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Kills the server, and starts it again on the same data.
    pub(crate) fn again(mut self, arguments: &[&str]) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let data = std::mem::replace(&mut self.data, tempfile::tempdir().unwrap());
        Self::start_in(data, arguments)
    }

    /// Its data directory.
    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// The number of its open descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.child.id());
        fs::read_dir(path).unwrap().count()
    }

    /// A memory figure of the kernel, in bytes.
    fn memory(&self, what: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(Path::new(&path)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(what));
        let figure = line.unwrap().trim_start_matches(':').trim();
        let kib: u64 = figure.trim_end_matches(" kB").parse().unwrap();
        kib * 1024
    }

    /// Its peak memory, beyond that at rest, in bytes.
    pub(crate) fn grown(&self) -> u64 {
        self.memory("VmHWM").saturating_sub(self.rest)
    }

    /// Waits for a log line with these words.
    #[track_caller]
    pub(crate) fn logs(&self, words: &str) {
        let log = self.log.log.lock().unwrap();
        let waited = self
            .log
            .more
            .wait_timeout_while(log, PATIENCE, |log| log.lines_with(words) == 0);
        assert!(
            !waited.unwrap().1.timed_out(),
            "the log never says {words:?}"
        );
    }

    /// Counts the log lines with these words.
    pub(crate) fn lines_with(&self, words: &str) -> usize {
        self.log.log.lock().unwrap().lines_with(words)
    }

    /// Checks that the server still runs: no panic, no more memory than `bound` beyond that at
    /// rest.
    pub(crate) fn has_borne_it(&mut self, what: &str, bound: u64) {
        let grown = self.grown();
        let ended = self.child.try_wait().unwrap();
        let log = self.log.log.lock().unwrap();
        assert_eq!(ended, None, "{what}: it ended: {:#?}", log.end());
        assert!(log.panics.is_empty(), "{what}: {:#?}", log.panics);
        eprintln!(
            "{what}: {} MiB at rest, at most {:.1} MiB more (bound {} MiB), {} KiB of log",
            self.rest / MIB,
            grown as f64 / MIB as f64,
            bound / MIB,
            log.bytes / 1024
        );
        assert!(
            grown <= bound,
            "{what}: {grown} bytes more than at rest; {bound} is the bound"
        );
    }
}

impl Log {
    fn lines_with(&self, words: &str) -> usize {
        self.last.iter().filter(|line| line.contains(words)).count()
    }

    fn end(&self) -> Vec<&String> {
        let before = self.last.len().saturating_sub(SHOWN_LINES);
        self.last.iter().skip(before).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!(
                "the end of its log: {:#?}",
                self.log.log.lock().unwrap().end()
            );
        }
    }
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_chat-server"))
}

fn keep(from: impl Read, kept: &Kept) {
    for line in BufReader::new(from).split(b'\n') {
        let Ok(line) = line else { return };
        let line = String::from_utf8_lossy(&line).into_owned();
        let mut log = kept.log.lock().unwrap();
        log.bytes += line.len() as u64 + 1;
        if line.contains("panicked") {
            log.panics.push(line.clone());
        }
        if log.last.len() == LOG_LINES {
            log.last.pop_front();
        }
        log.last.push_back(line);
        kept.more.notify_all();
    }
}
