//! The server and the client, in any namespace.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use tempfile::TempDir;

/// How long anything that must happen may take before the test fails.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) const CHAT_SERVER: &str = env!("CARGO_BIN_EXE_chat-server");
pub(crate) const CHAT_TUI: &str = env!("CARGO_BIN_EXE_chat-tui");

/// A server, killed on drop.
pub(crate) struct Server {
    child: Child,
    log: Receiver<String>,
    pub(crate) port: String,
    _data: TempDir,
}

impl Server {
    /// Starts a command that ends with the server's program.
    pub(crate) fn start(mut command: Command, options: &[&str]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut child = homeless(&mut command, data.path())
            .args(options)
            .args(["0", "--ephemeral"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (said, log) = channel();
        thread::spawn(move || stderr.lines().try_for_each(|line| said.send(line.unwrap())));
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let port = line.trim().rsplit(':').next().unwrap().to_owned();
        Self {
            child,
            log,
            port,
            _data: data,
        }
    }

    /// Waits for a log line with this; returns all lines up to it.
    pub(crate) fn says(&self, words: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.log.recv_timeout(PATIENCE);
            lines.push(line.unwrap_or_else(|_| panic!("{words:?} is not said: {lines:#?}")));
            if lines.last().is_some_and(|line| line.contains(words)) {
                return lines;
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a line and leaves; returns whether it was delivered, and the messages. The command ends
/// with the client's program.
pub(crate) fn says_hello(mut command: Command, arguments: &[&str]) -> (bool, String) {
    let home = tempfile::tempdir().unwrap();
    let mut child = homeless(&mut command, home.path())
        .args(arguments)
        .args(["--plain", "--no-state", "--timeout", "20"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end before it reads.
    let _ = child.stdin.take().unwrap().write_all(b"hello\n");
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.success(), said)
}

/// Keeps a command from writing to the user's own directories.
fn homeless<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    command
        .env("HOME", home)
        .env("XDG_DATA_HOME", home)
        .env("XDG_STATE_HOME", home)
}
