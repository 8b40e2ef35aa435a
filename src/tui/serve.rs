//! `--serve`: a server that the client starts if none listens.
//!
//! The server is a process of its own, outside the terminal's process group, so that Ctrl-C does
//! not reach it and it can outlive the client. It prints a line to standard output once it listens;
//! its log goes to `server-PORT.log` in the state directory, if there is one.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    net::IpAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::{TcpStream, lookup_host},
    process::{Child, ChildStdout, Command},
    time::{sleep, timeout},
};

use crate::{client::store, protocol::RoomName, text::Line, tui::user_text};

/// The first argument that makes this program the server. Only [`start`] gives it.
pub const SERVER_ARGUMENT: &str = "__server";

/// How long a listening server may take to accept a connection.
const PROBE_WITHIN: Duration = Duration::from_secs(2);
/// How long the server may take to listen.
const START_WITHIN: Duration = Duration::from_secs(15);
/// How long the server may take to end: it gives its clients five seconds.
const STOP_WITHIN: Duration = Duration::from_secs(7);
/// How long the server may take to write its log of the start.
const LOG_WITHIN: Duration = Duration::from_secs(1);
/// How often the log is read meanwhile.
const LOG_EVERY: Duration = Duration::from_millis(20);
/// The most bytes that are read of its first line, and of its log's beginning or end.
const LINE_BYTES: u64 = 4096;
/// A log longer than this is replaced at the next start.
const LOG_BYTES_MAX: u64 = 4 << 20;

/// The server that this run started. Dropping it lets the server run on.
#[derive(Debug)]
pub struct HostControl {
    child: Child,
    pid: u32,
    told: Vec<Line>,
}

impl HostControl {
    /// The server's process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The command that stops a server which keeps running: `kill 4711`.
    pub fn stop_command(&self) -> String {
        if cfg!(windows) {
            format!("taskkill /PID {}", self.pid)
        } else {
            format!("kill {}", self.pid)
        }
    }

    /// Notices for the host: how others join, and how to become the owner.
    pub fn told(&self) -> &[Line] {
        &self.told
    }

    /// Lets the server run on after this program.
    pub fn go_on(self) {
        drop(self);
    }

    /// Ends the server, which says goodbye to its clients. Returns when it has ended; it is killed
    /// after seven seconds.
    pub async fn stop(mut self) {
        if self.ask_to_end().is_err() || timeout(STOP_WITHIN, self.child.wait()).await.is_err() {
            // An error means that it has ended already.
            let _ = self.child.kill().await;
        }
    }

    #[cfg(unix)]
    fn ask_to_end(&mut self) -> io::Result<()> {
        use rustix::process::{Pid, Signal, kill_process};
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        // The process was not waited for yet, so the id is still its own.
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or(io::ErrorKind::NotFound)?;
        Ok(kill_process(pid, Signal::TERM)?)
    }

    #[cfg(not(unix))]
    fn ask_to_end(&mut self) -> io::Result<()> {
        self.child.start_kill()
    }
}

/// A server that is being started: it ends when this is dropped.
struct Starting(Option<HostControl>);

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(server) = &mut self.0 {
            // An error means that it has ended already.
            let _ = server.ask_to_end();
        }
    }
}

/// Starts a server for `host` and `port`, or returns `None` if one listens there already. `rooms`:
/// rooms that it is to have; `directory`: where its log is stored, if anywhere.
///
/// Dropping the future ends the server.
///
/// # Errors
/// If `host` is not this machine, or the server could not be started; one plain sentence.
pub async fn start(
    host: &str,
    port: u16,
    rooms: &[RoomName],
    directory: Option<&Path>,
) -> anyhow::Result<Option<HostControl>> {
    if !is_this_machine(host, port).await {
        bail!("--serve hosts on this machine, so HOST must be localhost, not {host}");
    }
    if is_listening(host, port).await {
        return Ok(None);
    }
    let log = directory.and_then(|directory| open_log(directory, port));
    let began = log.as_ref().map_or(0, |(_, file)| length(file));
    let mut child = command(port, rooms, log.as_ref().map(|(_, file)| file))?
        .spawn()
        .context("The server could not be started")?;
    let (Some(pid), Some(output)) = (child.id(), child.stdout.take()) else {
        bail!("The server could not be started");
    };
    let told = Vec::new();
    let mut starting = Starting(Some(HostControl { child, pid, told }));
    let listens = timeout(START_WITHIN, first_line(output)).await;
    if matches!(listens, Ok(Ok(true)))
        && let Some(server) = &mut starting.0
    {
        let room = rooms
            .first()
            .map_or_else(String::new, user_text::room_option);
        server.told.push(Line::inert(&format!(
            "You host this chat. Others on your network can join it with: chat-tui \
             THIS-MACHINE {port} NICKNAME 1{room}"
        )));
        if let Some((path, mut file)) = log {
            server
                .told
                .extend(how_to_own(&path, &mut file, began).await);
        }
        return Ok(starting.0.take());
    }
    if listens.is_err() {
        bail!("The server did not start to listen in time");
    }
    if let Some(server) = &mut starting.0 {
        // It has closed its output, and so is about to end; otherwise dropping `starting` ends it.
        let _ = timeout(STOP_WITHIN, server.child.wait()).await;
    }
    // Another process may have started a server meanwhile.
    if is_listening(host, port).await {
        return Ok(None);
    }
    let said = log.and_then(|(_, mut file)| last_line(&mut file, began));
    bail!(said.unwrap_or_else(|| "The server ended as soon as it was started".to_owned()))
}

/// Whether a name or address can only be this machine.
async fn is_this_machine(host: &str, port: u16) -> bool {
    if let Ok(address) = host.parse::<IpAddr>() {
        return address.to_canonical().is_loopback();
    }
    let Ok(Ok(addresses)) = timeout(PROBE_WITHIN, lookup_host((host, port))).await else {
        return false;
    };
    let mut some = false;
    for address in addresses {
        some = true;
        if !address.ip().to_canonical().is_loopback() {
            return false;
        }
    }
    some
}

async fn is_listening(host: &str, port: u16) -> bool {
    let connected = timeout(PROBE_WITHIN, TcpStream::connect((host, port))).await;
    // A free port in the range of clients' ports may be connected to itself.
    matches!(connected, Ok(Ok(stream)) if stream.local_addr().ok() != stream.peer_addr().ok())
}

/// The server's command: this program if it contains the server, otherwise `chat-server` in the
/// same directory.
fn command(port: u16, rooms: &[RoomName], log: Option<&File>) -> anyhow::Result<Command> {
    let own = std::env::current_exe().context("The path of this program can't be found")?;
    let mut command = if cfg!(feature = "server") {
        let mut command = Command::new(own);
        command.arg(SERVER_ARGUMENT);
        command
    } else {
        let beside = own.with_file_name(format!("chat-server{}", std::env::consts::EXE_SUFFIX));
        if !beside.is_file() {
            bail!(
                "--serve needs the program chat-server: there is no {}",
                beside.display()
            );
        }
        Command::new(beside)
    };
    command.arg(port.to_string());
    for room in rooms.iter().filter(|room| **room != RoomName::lobby()) {
        command.args(["--room", room.as_str()]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(match log {
        Some(file) => Stdio::from(file.try_clone()?),
        None => Stdio::null(),
    });
    // A process group of its own: Ctrl-C and hang-up of the terminal are for the client.
    #[cfg(unix)]
    command.process_group(0);
    Ok(command)
}

/// Waits for the server's first line; `false` if it ended without one.
async fn first_line(output: ChildStdout) -> io::Result<bool> {
    let mut line = Vec::new();
    BufReader::new(output.take(LINE_BYTES))
        .read_until(b'\n', &mut line)
        .await?;
    Ok(line.ends_with(b"\n"))
}

/// Opens the log for appending; `None` if that fails: the chat works without a log.
fn open_log(directory: &Path, port: u16) -> Option<(PathBuf, File)> {
    store::create_private(directory).ok()?;
    let path = directory.join(format!("server-{port}.log"));
    let too_long = fs::metadata(&path).is_ok_and(|log| log.len() > LOG_BYTES_MAX);
    if too_long {
        fs::remove_file(&path).ok()?;
    }
    let mut options = File::options();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&path).ok()?;
    Some((path, file))
}

fn length(file: &File) -> u64 {
    file.metadata().map_or(0, |file| file.len())
}

/// The notice how to become the server's owner, if it has none. The log contains it before the line
/// that says that the server listens.
async fn how_to_own(path: &Path, log: &mut File, began: u64) -> Option<Line> {
    let read = async {
        loop {
            let said = read_log(log, began)?;
            if said.contains("listening on ") {
                return Some(said);
            }
            sleep(LOG_EVERY).await;
        }
    };
    let how = if let Ok(said) = timeout(LOG_WITHIN, read).await {
        let said = said?;
        let (_, code) = said.split_once("/owner ")?;
        let code = code.split_whitespace().next()?;
        format!("It has no owner yet. To own it, type: /owner {code}")
    } else {
        let path = path.display();
        format!("The code to become its owner is in {path}")
    };
    Some(Line::inert(&how))
}

/// The log from `from` on, up to a limit.
fn read_log(log: &mut File, from: u64) -> Option<String> {
    log.seek(SeekFrom::Start(from)).ok()?;
    let mut said = Vec::new();
    log.take(LINE_BYTES).read_to_end(&mut said).ok()?;
    Some(String::from_utf8_lossy(&said).into_owned())
}

/// The last line that the server logged since `began`: the reason why it ended.
fn last_line(log: &mut File, began: u64) -> Option<String> {
    let near_the_end = length(log).saturating_sub(LINE_BYTES);
    let said = read_log(log, began.max(near_the_end))?;
    let line = said.lines().rev().find(|line| !line.trim().is_empty())?;
    let line = line.trim();
    Some(
        line.strip_prefix("chat-server: ")
            .unwrap_or(line)
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_this_machine_can_host() {
        for (host, ours) in [
            ("127.0.0.1", true),
            ("127.8.8.8", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("::2", false),
            ("localhost", true),
            ("0.0.0.0", false),
            ("192.168.1.20", false),
            ("::", false),
        ] {
            assert_eq!(is_this_machine(host, 10500).await, ours, "{host}");
        }
    }

    #[tokio::test]
    async fn another_machine_is_refused_in_words() {
        let error = start("192.168.1.20", 10500, &[], None).await.unwrap_err();
        assert!(
            error.to_string().contains("HOST must be localhost"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn where_somebody_listens_nothing_is_started() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(start("127.0.0.1", port, &[], None).await.unwrap().is_none());
    }

    #[test]
    fn why_it_ended_is_the_end_of_what_it_logged() {
        let place = tempfile::tempdir().unwrap();
        let (path, mut log) = open_log(place.path(), 10500).unwrap();
        fs::write(&path, "chat-server: of a run before\n").unwrap();
        let began = length(&log);
        assert_eq!(last_line(&mut log, began), None);
        let noise = "something happened\n".repeat(1000);
        let said = format!("chat-server: of a run before\n{noise}chat-server: no more room\n\n");
        fs::write(&path, said).unwrap();
        let last = last_line(&mut log, began);
        assert_eq!(last.as_deref(), Some("no more room"));
    }
}
