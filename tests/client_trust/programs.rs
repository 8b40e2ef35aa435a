//! The programs under test, each with a home directory of its own.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use chat_tui::protocol::Fingerprint;
use tempfile::TempDir;

pub(crate) const CHAT_TUI: &str = env!("CARGO_BIN_EXE_chat-tui");
pub(crate) const CHAT_SERVER: &str = env!("CARGO_BIN_EXE_chat-server");

/// A server with a key of its own, killed on drop.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    pub(crate) key: Fingerprint,
    data: TempDir,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::on(0)
    }

    /// Starts one on this port, on all addresses.
    pub(crate) fn on(port: u16) -> Self {
        Self::with(port, &[])
    }

    pub(crate) fn with(port: u16, options: &[&str]) -> Self {
        Self::of(tempfile::tempdir().unwrap(), port, options)
    }

    /// Starts one with this data directory.
    pub(crate) fn of(data: TempDir, port: u16, options: &[&str]) -> Self {
        let mut child = Command::new(CHAT_SERVER)
            .arg(port.to_string())
            .arg("--data-dir")
            .arg(data.path())
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut after = |word: &str| {
            let line = said.next().expect("a line of it").unwrap();
            assert!(line.starts_with(word), "{line}");
            line
        };
        let listens = after("listening on ");
        let port = listens.rsplit(':').next().unwrap().parse().unwrap();
        let key = after("fingerprint ");
        let key = Fingerprint::parse(key.trim_start_matches("fingerprint ")).unwrap();
        Self {
            child,
            port,
            key,
            data,
        }
    }

    /// Its data directory.
    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// Stops it, and returns its port, which is free now.
    pub(crate) fn end(self) -> u16 {
        self.port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A user's machine: the home directory of their programs.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The client's state directory.
    pub(crate) fn state(&self) -> PathBuf {
        self.0.path().join("chat-tui")
    }

    pub(crate) fn known_hosts(&self) -> String {
        fs::read_to_string(self.state().join("known_hosts")).unwrap_or_default()
    }

    /// Returns a program's command with these arguments.
    pub(crate) fn program(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("XDG_STATE_HOME", self.0.path())
            .env("USER", "carol")
            .env_remove("SSL_CERT_FILE")
            .env_remove("SSL_CERT_DIR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Returns the client's command with these arguments.
    pub(crate) fn client(&self, arguments: &[&str]) -> Command {
        self.program(CHAT_TUI, arguments)
    }

    /// Sends a line to a server, as `bot`.
    pub(crate) fn send(&self, host: &str, port: u16, options: &[&str]) -> Ended {
        let port = port.to_string();
        let arguments = [&[host, &port, "bot", "1"], options].concat();
        run(&mut self.client(&arguments))
    }

    /// Types a command as a message suggested it, beginning with the program's name.
    pub(crate) fn type_command(&self, command: &str) -> Ended {
        let program = Path::new(CHAT_TUI).parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", program.display());
        run(self.program("sh", &["-c", command]).env("PATH", path))
    }
}

/// Runs a program with one line of input, to its end.
pub(crate) fn run(command: &mut Command) -> Ended {
    run_with(command, "hello\n")
}

/// Runs a program with this input, to its end.
pub(crate) fn run_with(command: &mut Command, input: &str) -> Ended {
    let mut child = command.spawn().unwrap();
    // A client that gives up reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Ended::from(child.wait_with_output().unwrap())
}

/// A client's exit status and its messages.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().expect("an exit status"),
            output: String::from_utf8(output.stdout).unwrap(),
            errors: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ended {
    /// Checks that it delivered its line, and wrote this.
    #[track_caller]
    pub(crate) fn is_good(&self, says: &[&str]) {
        self.ended(0, says);
    }

    /// Checks that it delivered its line, and perhaps reported that of an earlier run.
    #[track_caller]
    pub(crate) fn is_in(&self) {
        assert_eq!(self.status, 0, "{}", self.errors);
    }

    /// Checks that no server admitted it, and that it wrote this.
    #[track_caller]
    pub(crate) fn is_out(&self, says: &[&str]) {
        self.ended(5, says);
    }

    /// Checks that its nickname belongs to another user.
    #[track_caller]
    pub(crate) fn is_refused(&self, says: &str) {
        self.ended(4, &[says]);
    }

    /// Checks that it refused its arguments, and wrote this.
    #[track_caller]
    pub(crate) fn is_not_begun(&self, says: &str) {
        self.ended(1, &[says]);
    }

    #[track_caller]
    fn ended(&self, status: i32, says: &[&str]) {
        assert_eq!(self.status, status, "{}", self.errors);
        for part in says {
            assert!(self.errors.contains(part), "{part:?}: {}", self.errors);
        }
        if status == 0 && says.is_empty() {
            assert_eq!(self.errors, "", "nothing to say");
        }
    }

    /// Returns the command that it suggested.
    #[track_caller]
    pub(crate) fn command(&self) -> String {
        let line = self
            .errors
            .lines()
            .find(|line| line.starts_with("chat-tui "));
        line.unwrap_or_else(|| panic!("no command: {}", self.errors))
            .to_owned()
    }
}

/// Returns an address of this machine other than the loopback's, if it has one.
pub(crate) fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // Nothing is sent: the system only chooses the route.
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

/// Listens on a port without TLS, and answers the first bytes with a line.
pub(crate) fn older_program(port: u16) {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream
                .write_all(b"{\"type\":\"error\",\"code\":\"malformed\",\"message\":\"?\"}\n");
        }
    });
}
