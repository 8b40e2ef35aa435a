//! `--serve`: a server for this chat, started by the client that wants one and finds none.
//!
//! The server is a process of its own, out of reach of the terminal's Ctrl-C, so that it can go on
//! when its host leaves. It tells that it listens by a line on its standard output; what it logs
//! goes to `server-PORT.log` in the state directory, if anything is kept there.

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

/// The first argument by which this program knows that it is to be the server. Only
/// [`start`] gives it.
pub const SERVER_ARGUMENT: &str = "__server";

/// How long somebody who listens may take to accept a connection.
const PROBE_WITHIN: Duration = Duration::from_secs(2);
/// How long the server may take until it listens.
const START_WITHIN: Duration = Duration::from_secs(15);
/// How long the server may take to end: it gives its clients five seconds.
const STOP_WITHIN: Duration = Duration::from_secs(7);
/// How long its log may take to tell all of the start.
const LOG_WITHIN: Duration = Duration::from_secs(1);
/// How often the log is looked at meanwhile.
const LOG_EVERY: Duration = Duration::from_millis(20);
/// Bytes of its first line, and of its log's beginning or end, that are read.
const LINE_BYTES: u64 = 4096;
/// A log over this size is begun anew at the next start.
const LOG_BYTES_MAX: u64 = 4 << 20;

/// The server that this run started. To drop it is to let the server go on.
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

    /// How to stop a server that goes on, as a command to type: `kill 4711`.
    pub fn stop_command(&self) -> String {
        if cfg!(windows) {
            format!("taskkill /PID {}", self.pid)
        } else {
            format!("kill {}", self.pid)
        }
    }

    /// What a host has to know: who can come in and how, and how the server comes to have an owner.
    pub fn told(&self) -> &[Line] {
        &self.told
    }

    /// Leaves the server to itself: it goes on after this program.
    pub fn go_on(self) {
        drop(self);
    }

    /// Ends the server: it says goodbye to whoever is in. Returns when it is gone, after seven
    /// seconds at the most; it is then killed.
    pub async fn stop(mut self) {
        if self.ask_to_end().is_err() || timeout(STOP_WITHIN, self.child.wait()).await.is_err() {
            // An error here means that it is gone already.
            let _ = self.child.kill().await;
        }
    }

    #[cfg(unix)]
    fn ask_to_end(&mut self) -> io::Result<()> {
        use rustix::process::{Pid, Signal, kill_process};
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        // Not waited for yet, so the number is still its own.
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or(io::ErrorKind::NotFound)?;
        Ok(kill_process(pid, Signal::TERM)?)
    }

    #[cfg(not(unix))]
    fn ask_to_end(&mut self) -> io::Result<()> {
        self.child.start_kill()
    }
}

/// A server that is being started: it ends if that is given up.
struct Starting(Option<HostControl>);

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(server) = &mut self.0 {
            // An error here means that it is gone already.
            let _ = server.ask_to_end();
        }
    }
}

/// Starts a server for `host` and `port`, unless one listens there: then `None`, and there is
/// nothing to do but join. `room`: one that it is to have besides the lobby; `directory`: where to
/// keep its log, if it is to be kept.
///
/// To give up waiting for it is to give up the server too.
///
/// # Errors
/// If `host` is not this machine, or the server could not be started; in one plain sentence.
pub async fn start(
    host: &str,
    port: u16,
    room: Option<&RoomName>,
    directory: Option<&Path>,
) -> anyhow::Result<Option<HostControl>> {
    if !is_this_machine(host, port).await {
        bail!("--serve hosts on this machine, so HOST must be localhost, not {host}");
    }
    if somebody_listens(host, port).await {
        return Ok(None);
    }
    let log = directory.and_then(|directory| open_log(directory, port));
    let began = log.as_ref().map_or(0, |(_, file)| length(file));
    let mut child = command(port, room, log.as_ref().map(|(_, file)| file))?
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
        let room = room.map_or_else(String::new, user_text::room_option);
        server.told.push(Line::inert(&format!(
            "You host this chat: whoever is on your network can come in, with: chat-tui \
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
        bail!("The server did not begin to listen in time");
    }
    if let Some(server) = &mut starting.0 {
        // It has closed its output, and so is about to end; if it does not, it is made to.
        let _ = timeout(STOP_WITHIN, server.child.wait()).await;
    }
    // Somebody else may have been quicker.
    if somebody_listens(host, port).await {
        return Ok(None);
    }
    let said = log.and_then(|(_, mut file)| last_line(&mut file, began));
    bail!(said.unwrap_or_else(|| "The server ended as soon as it was started".to_owned()))
}

/// Whether a name or address can only mean this machine.
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

async fn somebody_listens(host: &str, port: u16) -> bool {
    let connected = timeout(PROBE_WITHIN, TcpStream::connect((host, port))).await;
    // A free port among those that the system gives to clients can be connected to itself.
    matches!(connected, Ok(Ok(stream)) if stream.local_addr().ok() != stream.peer_addr().ok())
}

/// The server as a process: this very program where it has the server in it, otherwise the
/// `chat-server` that lies beside it.
fn command(port: u16, room: Option<&RoomName>, log: Option<&File>) -> anyhow::Result<Command> {
    let own = std::env::current_exe().context("This program can't find itself")?;
    let mut command = if cfg!(feature = "server") {
        let mut command = Command::new(own);
        command.arg(SERVER_ARGUMENT);
        command
    } else {
        let beside = own.with_file_name(format!("chat-server{}", std::env::consts::EXE_SUFFIX));
        if !beside.is_file() {
            bail!("--serve needs the server: there is no {}", beside.display());
        }
        Command::new(beside)
    };
    command.arg(port.to_string());
    if let Some(room) = room {
        command.args(["--room", room.as_str()]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(match log {
        Some(file) => Stdio::from(file.try_clone()?),
        None => Stdio::null(),
    });
    // A group of its own: the terminal's Ctrl-C and hang-up are for the client.
    #[cfg(unix)]
    command.process_group(0);
    Ok(command)
}

/// Whether the server said a line; `false` if it ended without one.
async fn first_line(output: ChildStdout) -> io::Result<bool> {
    let mut line = Vec::new();
    BufReader::new(output.take(LINE_BYTES))
        .read_until(b'\n', &mut line)
        .await?;
    Ok(line.ends_with(b"\n"))
}

/// Opens the log to append to it; `None` where it can't be had, which is no reason not to chat.
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

/// How somebody comes to own the server, if nobody does. The log tells it at the start, before it
/// says that the server listens.
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
        format!("Nobody owns it yet. To be its owner, type: /owner {code}")
    } else {
        let path = path.display();
        format!("The code by which one comes to own it is in {path}")
    };
    Some(Line::inert(&how))
}

/// What the log holds from `from` on, as far as it is read.
fn read_log(log: &mut File, from: u64) -> Option<String> {
    log.seek(SeekFrom::Start(from)).ok()?;
    let mut said = Vec::new();
    log.take(LINE_BYTES).read_to_end(&mut said).ok()?;
    Some(String::from_utf8_lossy(&said).into_owned())
}

/// The last thing that the server logged since `began`: why it ended.
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
        let error = start("192.168.1.20", 10500, None, None).await.unwrap_err();
        assert!(
            error.to_string().contains("HOST must be localhost"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn where_somebody_listens_nothing_is_started() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(
            start("127.0.0.1", port, None, None)
                .await
                .unwrap()
                .is_none()
        );
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
