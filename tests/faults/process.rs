//! A `chat-server` process over a data directory.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread::{self, JoinHandle},
};

use crate::PATIENCE;

pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    log: Option<JoinHandle<String>>,
    lines: mpsc::Receiver<String>,
}

impl Process {
    /// Starts on a free port over `data`; `change` may add to it.
    pub(crate) fn start(data: &Path, change: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chat-server"));
        command
            .args(["0", "--bind", "127.0.0.1", "--data-dir"])
            .arg(data)
            // The tests write and join faster than people do.
            .args(["--messages-per-minute", "0", "--joins-per-minute", "0"])
            .env("HOME", data)
            .env_remove("XDG_DATA_HOME");
        change(&mut command);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        let (tell, lines) = mpsc::channel();
        let log = thread::spawn(move || {
            let mut log = String::new();
            for line in errors.lines().map_while(Result::ok) {
                log.push_str(&line);
                log.push('\n');
                // Few tests wait for the line.
                let _ = tell.send(line);
            }
            log
        });
        let mut said = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut said).unwrap();
        let Some(address) = said.trim().strip_prefix("listening on ") else {
            let _ = child.kill();
            panic!("the server said {said:?} and {}", log.join().unwrap());
        };
        Self {
            address: address.parse().unwrap(),
            child,
            log: Some(log),
            lines,
        }
    }

    /// Waits for an output line that contains this.
    pub(crate) fn says(&self, part: &str) {
        let next = || self.lines.recv_timeout(PATIENCE);
        while !next()
            .unwrap_or_else(|_| panic!("never said: {part}"))
            .contains(part)
        {}
    }

    /// Its process ID.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it with SIGKILL, as a power failure would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(self) {
        drop(self.stopped());
    }

    /// The same, and returns its output.
    pub(crate) fn stopped(self) -> String {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let (status, log) = self.ended();
        assert!(status.success(), "{status}: {log}");
        log
    }

    /// Waits until it has ended, and returns how, and its output. One that does not end is killed.
    pub(crate) fn ended(mut self) -> (ExitStatus, String) {
        let (over, waits) = mpsc::channel::<()>();
        let pid = rustix::process::Pid::from_child(&self.child);
        let impatient = thread::spawn(move || {
            if waits.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        });
        let status = self.child.wait().unwrap();
        drop(over);
        impatient.join().unwrap();
        (status, self.log.take().unwrap().join().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
