//! The programs under test, on ports of their own.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Read},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
};

use crate::terminal::{PATIENCE, Terminal};

/// The client's program.
pub(crate) const CHAT_TUI: &str = env!("CARGO_BIN_EXE_chat-tui");

/// The server's program.
pub(crate) const CHAT_SERVER: &str = env!("CARGO_BIN_EXE_chat-server");

/// A `chat-server` process, killed on drop.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    /// Its host, for clients.
    host: String,
    log: Receiver<String>,
}

impl Server {
    /// Starts on a free port.
    pub(crate) fn start() -> Self {
        Self::start_on(0)
    }

    /// Starts on this port; 0 for a free one.
    pub(crate) fn start_on(port: u16) -> Self {
        Self::start_with(port, &["--ephemeral".as_ref()])
    }

    /// Starts on this port, with its messages in a directory.
    pub(crate) fn start_keeping(port: u16, directory: &Path) -> Self {
        Self::start_with(port, &["--data-dir".as_ref(), directory.as_os_str()])
    }

    /// Starts on this port, with more arguments.
    pub(crate) fn start_with(port: u16, arguments: &[&OsStr]) -> Self {
        let mut server = Self::start_at(Ipv4Addr::LOCALHOST.into(), port, arguments);
        "localhost".clone_into(&mut server.host);
        server
    }

    /// Starts at this address and port, with more arguments; its clients use the address.
    pub(crate) fn start_at(address: IpAddr, port: u16, arguments: &[&OsStr]) -> Self {
        let mut child = Command::new(CHAT_SERVER)
            .args([&port.to_string(), "--bind", &address.to_string()])
            // Some of the tests write faster than people do.
            .args(["--messages-per-minute", "0"])
            .args(arguments)
            .env("XDG_DATA_HOME", env!("CARGO_TARGET_TMPDIR"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let said = lines(child.stdout.take().expect("its output"));
        let log = lines(child.stderr.take().expect("its log"));
        let line = said
            .recv_timeout(PATIENCE)
            .expect("it says where it listens");
        let listens = line.strip_prefix("listening on ").expect("an address");
        Self {
            child,
            address: listens.parse().expect("an address"),
            host: address.to_string(),
            log,
        }
    }

    /// Its host, as a client's argument.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The port as an argument.
    pub(crate) fn port(&self) -> String {
        self.address.port().to_string()
    }

    /// Its process ID.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for a line of its log.
    pub(crate) fn logs(&self, part: &str) -> String {
        loop {
            let line = self.log.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("the log never says {part:?}"));
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Kills it with SIGKILL, and returns its port, which is free now.
    pub(crate) fn kill(mut self) -> u16 {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ran");
        self.address.port()
    }

    /// Opens a client's screen.
    pub(crate) fn client(
        &self,
        nickname: &str,
        client_id: &str,
        columns: u16,
        rows: u16,
    ) -> Terminal {
        let arguments = [&self.host, &self.port(), nickname, client_id];
        Terminal::start(CHAT_TUI, &arguments, columns, rows)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines() {
            let Ok(line) = line else { break };
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}
