//! A terminal for a program under test: a real PTY, and an emulator that draws its output.

use std::{
    io::{Read, Write},
    path::PathBuf,
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};

/// How long anything that must happen may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

thread_local! {
    /// The state directory of all clients of one test.
    static STATE: tempfile::TempDir = tempfile::tempdir().expect("a folder");
}

struct Output {
    parser: vt100::Parser,
    raw: Vec<u8>,
    ended: bool,
}

/// The state directory of this test's clients.
pub(crate) fn state() -> PathBuf {
    STATE.with(|state| state.path().to_owned())
}

/// A program in a terminal of its own.
pub(crate) struct Terminal {
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    output: Arc<(Mutex<Output>, Condvar)>,
}

impl Terminal {
    /// Starts `program` with `arguments` in a terminal of so many columns and rows.
    pub(crate) fn start(program: &str, arguments: &[&str], columns: u16, rows: u16) -> Self {
        Self::start_in(program, arguments, columns, rows, &[])
    }

    /// As [`start`](Self::start), with more in the environment.
    pub(crate) fn start_in(
        program: &str,
        arguments: &[&str],
        columns: u16,
        rows: u16,
        environment: &[(&str, &str)],
    ) -> Self {
        let pair = native_pty_system()
            .openpty(size(columns, rows))
            .expect("a PTY");
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.env("TERM", "xterm-256color");
        command.env("TZ", "UTC");
        command.env("XDG_STATE_HOME", state());
        command.env("XDG_DATA_HOME", env!("CARGO_TARGET_TMPDIR"));
        for name in ["NO_COLOR", "COLORFGBG", "COLORTERM"] {
            command.env_remove(name);
        }
        for (name, value) in environment {
            command.env(name, value);
        }
        let child = pair
            .slave
            .spawn_command(command)
            .expect("the program starts");
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let keys = pair.master.take_writer().expect("a writer");
        let output = Arc::new((
            Mutex::new(Output {
                parser: vt100::Parser::new(
                    rows.try_into().expect("rows"),
                    columns.try_into().expect("columns"),
                    0,
                ),
                raw: Vec::new(),
                ended: false,
            }),
            Condvar::new(),
        ));
        let shared = Arc::clone(&output);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            loop {
                let count = reader.read(&mut bytes).unwrap_or(0);
                // A test that failed needs no more output.
                let Ok(mut output) = shared.0.lock() else {
                    break;
                };
                output.parser.process(&bytes[..count]);
                output.raw.extend_from_slice(&bytes[..count]);
                output.ended |= count == 0;
                shared.1.notify_all();
                if count == 0 {
                    break;
                }
            }
        });
        Self {
            master: pair.master,
            keys,
            child,
            output,
        }
    }

    /// The text on the screen now.
    pub(crate) fn text(&self) -> String {
        self.output
            .0
            .lock()
            .expect("no panic")
            .parser
            .screen()
            .contents()
    }

    /// All bytes that were ever written to the terminal.
    pub(crate) fn raw(&self) -> Vec<u8> {
        self.output.0.lock().expect("no panic").raw.clone()
    }

    /// Waits until the screen is as expected; fails, showing it, if it never is.
    pub(crate) fn wait(&self, what: &str, mut is_so: impl FnMut(&vt100::Screen) -> bool) {
        self.wait_until(what, |output| is_so(output.parser.screen()));
    }

    /// Waits until all output so far is as expected.
    pub(crate) fn wait_raw(&self, what: &str, mut is_so: impl FnMut(&[u8]) -> bool) {
        self.wait_until(what, |output| is_so(&output.raw));
    }

    /// Waits for a condition; fails once the program has ended without it.
    fn wait_until(&self, what: &str, mut is_so: impl FnMut(&Output) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let (output, changed) = &*self.output;
        let mut output = output.lock().expect("no panic");
        while !is_so(&output) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero() && !output.ended,
                "{what}: not seen. The screen:\n{}",
                output.parser.screen().contents()
            );
            output = changed.wait_timeout(output, left).expect("no panic").0;
        }
    }

    /// Waits until `text` is on the screen.
    pub(crate) fn wait_for(&self, text: &str) {
        self.wait(text, |screen| screen.contents().contains(text));
    }

    /// Waits until `text` is no longer on the screen.
    pub(crate) fn wait_gone(&self, text: &str) {
        self.wait(&format!("{text} gone"), |screen| {
            !screen.contents().contains(text)
        });
    }

    /// Types keys.
    pub(crate) fn keys(&mut self, keys: &str) {
        self.keys
            .write_all(keys.as_bytes())
            .expect("the terminal takes keys");
        self.keys.flush().expect("the terminal takes keys");
    }

    /// Types a line and Enter.
    pub(crate) fn line(&mut self, text: &str) {
        self.keys(text);
        self.keys("\r");
    }

    /// Gives the terminal another size.
    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        let mut output = self.output.0.lock().expect("no panic");
        output.parser.screen_mut().set_size(
            rows.try_into().expect("rows"),
            columns.try_into().expect("columns"),
        );
        drop(output);
        self.master
            .resize(size(columns, rows))
            .expect("a PTY can be resized");
    }

    /// The program's process ID.
    pub(crate) fn pid(&self) -> u32 {
        self.child.process_id().expect("it runs")
    }

    /// Waits until the program has ended and all its output was read.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        self.wait_until("the end of the program", |output| output.ended);
        self.child.wait().expect("a child")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize {
        rows,
        cols: columns,
        pixel_width: 0,
        pixel_height: 0,
    }
}
