//! A program in a pane of tmux, a terminal with its own rules for widths.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Instant,
};

use tempfile::TempDir;

use crate::terminal::PATIENCE;

/// tmux's end of a synchronized drawing.
const DRAWN: &str = r"\033[?2026l";
/// tmux's clearing of the screen at the start of a drawing.
const CLEARED: &str = r"\033[2J";

/// Whether tmux is installed; prints it if not, and fails where it has to be.
#[allow(clippy::print_stdout, reason = "what a test leaves out is told")]
pub(crate) fn is_there() -> bool {
    let asked = Command::new("tmux").arg("-V").output();
    let there = asked.is_ok_and(|answer| answer.status.success());
    if !there {
        assert!(std::env::var_os("CI").is_none(), "CI needs tmux");
        println!("skipped: tmux is not installed");
    }
    there
}

/// A tmux server of its own with one pane, killed on drop.
pub(crate) struct Pane {
    directory: TempDir,
    control: Child,
    output: Receiver<String>,
    /// The pane's output since the last wait.
    written: String,
}

impl Pane {
    /// Starts a program in a pane of so many columns and rows, and waits until it has drawn something.
    pub(crate) fn start(program: &[&str], columns: u16, rows: u16) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        let mut control = Self::tmux(&directory)
            // A client in control mode gets all output of the pane.
            .args([
                "-C",
                "new-session",
                "-x",
                &columns.to_string(),
                "-y",
                &rows.to_string(),
            ])
            .args(["env", "-u", "NO_COLOR", "TZ=UTC", "TERM=tmux-256color"])
            .arg(format!("XDG_STATE_HOME={}", state.display()))
            .args(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // A report may end within a character.
        let lines = BufReader::new(control.stdout.take().unwrap()).split(b'\n');
        let (sender, output) = mpsc::channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut pane = Self {
            directory,
            control,
            output,
            written: String::new(),
        };
        pane.wait("a first screen", |pane| pane.written.contains(DRAWN));
        pane
    }

    fn tmux(directory: &TempDir) -> Command {
        let mut tmux = Command::new("tmux");
        tmux.args(["-u", "-f", "/dev/null", "-S"])
            .arg(directory.path().join("socket"))
            .env_remove("TMUX");
        tmux
    }

    fn ask(&self, arguments: &[&str]) -> String {
        let answer = Self::tmux(&self.directory).args(arguments).output();
        String::from_utf8(answer.unwrap().stdout).unwrap()
    }

    /// Returns the text on the screen.
    pub(crate) fn shows(&self) -> String {
        self.ask(&["capture-pane", "-p"])
    }

    /// Waits until the output since the last wait is as expected.
    fn wait(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.output.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("{what}: not seen in\n{}", self.shows()));
            if let Some(output) = line.strip_prefix("%output ") {
                let (_pane, bytes) = output.split_once(' ').unwrap_or_default();
                self.written.push_str(bytes);
            }
        }
        self.written.clear();
    }

    /// Waits until a text is on the screen, and that screen is drawn to its end.
    pub(crate) fn wait_for(&mut self, text: &str) {
        self.wait(text, |pane| {
            pane.written.ends_with(DRAWN) && pane.shows().contains(text)
        });
    }

    /// Makes the client draw the screen from nothing.
    pub(crate) fn redraw(&mut self) {
        self.ask(&["send-keys", "C-l"]);
        self.wait("a redraw", |pane| {
            let cleared = pane.written.rfind(CLEARED);
            cleared.is_some_and(|at| pane.written[at..].contains(DRAWN))
        });
    }
}

impl Drop for Pane {
    fn drop(&mut self) {
        self.ask(&["kill-server"]);
        let _ = self.control.wait();
    }
}
