//! The control socket: commands that the operator gives beside a running server.
//!
//! `control.sock` in the data directory is a Unix socket that only the server's user (and root) can
//! use. A connection carries one request and one answer, each a line of JSON. The server's end is a
//! thread of its own, which serves one connection at a time and passes requests to the hub; the
//! other end is [`ask`], in the process of a command.
//!
//! The file is made while the server holds the data directory's lock, so an existing one is a dead
//! server's, and is replaced.

use std::{
    fmt,
    fs::{self, Permissions},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::{UnixListener as StdListener, UnixStream as StdStream},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    sync::mpsc,
    time::timeout,
};

use super::service::Service;
use crate::{
    protocol::RoomName,
    server::{
        core::event::{EraseError, EraseRequest, Event},
        event_log::EventLog,
        log::ERASE_MAX,
        supervisor::Supervisor,
    },
};

/// The socket, in the data directory.
const NAME: &str = "control.sock";
/// Bytes of a request or an answer, with its newline.
const LINE_BYTES_MAX: u64 = 1_024;
/// How long a connection may take, with the request's commit.
const WITHIN: Duration = Duration::from_secs(10);
/// How long the other end waits: the server has then given up already.
const ANSWERED_WITHIN: Duration = Duration::from_secs(12);
/// Answers of the hub that may wait to be passed on: the one that is waited for, and late ones.
const ANSWERS_MAX: usize = 8;
/// The pause after a connection could not be accepted.
const RETRY: Duration = Duration::from_secs(1);

/// A request, as it stands in its line.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Erase { room: String, from: u64, to: u64 },
}

/// An answer, as it stands in its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
enum Answer {
    /// So many entries were erased.
    Erased { count: u64 },
    /// The server does not serve this room.
    NoRoom,
    /// The server can't store anything at the moment.
    Unavailable,
    /// The request is none that this server knows.
    Unknown,
}

/// Why a running server did not do what it was asked for.
#[derive(Debug)]
pub(in crate::server) enum ControlError {
    /// Nobody listens at the socket: what holds the directory is no server, or one that could not
    /// make its socket.
    NoServer,
    /// The server does not serve this room.
    NoRoom,
    /// The server can't store anything at the moment, or is stopping.
    Unavailable,
    /// The server speaks another version of this protocol.
    Unknown,
    /// The connection failed, or took too long.
    Connection(io::Error),
}

impl ControlError {
    /// Whether a later attempt may succeed without a change by the operator.
    pub(in crate::server) fn may_pass(&self) -> bool {
        match self {
            Self::Unavailable | Self::NoServer | Self::Connection(_) => true,
            Self::NoRoom | Self::Unknown => false,
        }
    }
}

impl fmt::Display for ControlError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoServer => out.write_str("There is no server to ask. Try again"),
            Self::NoRoom => out.write_str(
                "The running server does not have this room. Start it with --room NAME, or stop it \
                 first",
            ),
            Self::Unavailable => {
                out.write_str("The server can't store anything at the moment. Try again later")
            }
            Self::Unknown => out.write_str(
                "The running server is of another version. Use its own program, or stop it first",
            ),
            Self::Connection(error) => write!(
                out,
                "The running server did not answer: {error}. Run this again: what is erased already \
                 stays so"
            ),
        }
    }
}

/// Has a running server erase the entries `from..=to` of a room, at most [`ERASE_MAX`]; returns how
/// many it erased.
pub(in crate::server) fn ask(
    directory: &Path,
    room: &RoomName,
    (from, to): (u64, u64),
) -> Result<u64, ControlError> {
    let line = Line::Erase {
        room: room.as_str().to_owned(),
        from,
        to,
    };
    let stream = StdStream::connect(directory.join(NAME)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ControlError::NoServer,
        _ => ControlError::Connection(error),
    })?;
    match exchange(stream, &line).map_err(ControlError::Connection)? {
        Answer::Erased { count } => Ok(count),
        Answer::NoRoom => Err(ControlError::NoRoom),
        Answer::Unavailable => Err(ControlError::Unavailable),
        Answer::Unknown => Err(ControlError::Unknown),
    }
}

fn exchange(mut stream: StdStream, line: &Line) -> io::Result<Answer> {
    stream.set_write_timeout(Some(WITHIN))?;
    stream.set_read_timeout(Some(ANSWERED_WITHIN))?;
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    stream.write_all(&bytes)?;
    let mut answer = String::new();
    BufReader::new(stream.take(LINE_BYTES_MAX)).read_line(&mut answer)?;
    if answer.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_str(&answer)?)
}

/// An answer of the hub: the request's number, and the number of erased entries.
pub(super) type HubAnswer = (u64, Result<u64, EraseError>);

/// A running control socket.
pub(super) struct Control {
    answers: mpsc::Sender<HubAnswer>,
    service: Service,
}

impl Control {
    /// The queue for the hub's answers.
    pub(super) fn answers(&self) -> mpsc::Sender<HubAnswer> {
        self.answers.clone()
    }

    /// Closes the socket, and removes it.
    pub(super) async fn end(self) {
        self.service.end().await;
    }
}

/// Starts the thread for a data directory whose lock this process holds. Without a socket the server
/// goes on, and says so: its operator has to stop it for some commands.
pub(super) fn start(
    directory: &Path,
    events: mpsc::Sender<Event>,
    recorder: &EventLog,
    supervisor: &Supervisor,
) -> io::Result<Option<Control>> {
    let path = directory.join(NAME);
    let listener = match listen(&path) {
        Ok(listener) => listener,
        Err(error) => {
            recorder.warn(format!(
                "there is no control socket, {}: {error}; to erase messages, stop the server first",
                path.display()
            ));
            return Ok(None);
        }
    };
    let (answer, answers) = mpsc::channel(ANSWERS_MAX);
    let removed = Removed(path);
    let listen = || UnixListener::from_std(listener);
    let service = Service::start("control", supervisor, listen, |listener| {
        let server = Server {
            listener,
            events,
            answers,
            number: 0,
            _removed: removed,
        };
        server.run()
    })?;
    Ok(Some(Control {
        answers: answer,
        service,
    }))
}

/// Makes the socket, in place of a dead server's.
fn listen(path: &Path) -> io::Result<StdListener> {
    match path.symlink_metadata() {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path)?,
        Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = StdListener::bind(path)?;
    // Until then others may connect; but they are not served.
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Removes the socket when it is dropped.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        // If it stays, the next server replaces it.
        let _ = fs::remove_file(&self.0);
    }
}

/// The server's end.
struct Server {
    listener: UnixListener,
    events: mpsc::Sender<Event>,
    answers: mpsc::Receiver<HubAnswer>,
    /// The number of the last request.
    number: u64,
    _removed: Removed,
}

impl Server {
    async fn run(mut self) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) if may_command(&stream) => {
                    // The other end notices that it is closed.
                    let _ = timeout(WITHIN, self.serve(stream)).await;
                }
                Ok(_) => {}
                // For lack of descriptors: others will be closed.
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    }

    async fn serve(&mut self, mut stream: UnixStream) -> io::Result<()> {
        let mut line = Vec::new();
        let (reader, mut writer) = stream.split();
        let mut reader = tokio::io::BufReader::new(reader.take(LINE_BYTES_MAX));
        reader.read_until(b'\n', &mut line).await?;
        let answer = match request(&line) {
            Some(request) => self.pass_on(request).await,
            None => Answer::Unknown,
        };
        let mut bytes = serde_json::to_vec(&answer)?;
        bytes.push(b'\n');
        writer.write_all(&bytes).await
    }

    /// Passes a request to the hub, and waits for its answer.
    async fn pass_on(&mut self, (room, from, to): (RoomName, u64, u64)) -> Answer {
        self.number += 1;
        let number = self.number;
        let request = EraseRequest {
            number,
            room,
            from,
            to,
        };
        if self.events.send(Event::Erase(request)).await.is_err() {
            return Answer::Unavailable;
        }
        loop {
            match self.answers.recv().await {
                // To an earlier request, which was given up.
                Some((answered, _)) if answered != number => {}
                Some((_, Ok(count))) => return Answer::Erased { count },
                Some((_, Err(EraseError::NoRoom))) => return Answer::NoRoom,
                Some((_, Err(EraseError::Unavailable))) | None => return Answer::Unavailable,
            }
        }
    }
}

/// Reads a request: a room and a range of numbers.
fn request(line: &[u8]) -> Option<(RoomName, u64, u64)> {
    let line = line.strip_suffix(b"\n")?;
    let Line::Erase { room, from, to } = serde_json::from_slice(line).ok()?;
    let room = RoomName::parse(&room).ok()?;
    let fits = to >= from && to - from < ERASE_MAX;
    fits.then_some((room, from, to))
}

/// Whether the process at the other end runs as this one's user, or as root.
fn may_command(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    let user = stream.peer_cred().map(|peer| peer.uid());
    user.is_ok_and(|user| user == own || user == 0)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_request_is_a_whole_line_with_a_room_and_a_range_of_bounded_length() {
        let erase = |room: &str, from: u64, to: u64| {
            let line = Line::Erase {
                room: room.to_owned(),
                from,
                to,
            };
            serde_json::to_string(&line).unwrap() + "\n"
        };
        let lobby = RoomName::lobby();
        for (line, expected) in [
            (erase("lobby", 3, 5), Some((lobby.clone(), 3, 5))),
            (erase("lobby", 1, ERASE_MAX), Some((lobby, 1, ERASE_MAX))),
            (erase("lobby", 1, ERASE_MAX + 1), None),
            (erase("lobby", 0, u64::MAX), None),
            (erase("lobby", 5, 3), None),
            (erase("No Room", 3, 5), None),
            (erase("lobby", 3, 5).trim_end().to_owned(), None),
            (r#"{"command":"stop"}"#.to_owned() + "\n", None),
            (
                r#"{"command":"erase","room":"lobby"}"#.to_owned() + "\n",
                None,
            ),
            ("\n".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(request(line.as_bytes()), expected, "{line}");
        }
    }

    /// A server whose hub answers as `hub` says.
    fn serve(
        directory: &Path,
        hub: impl Fn(EraseRequest) -> Vec<HubAnswer> + Send + 'static,
    ) -> Control {
        let (events, mut requests) = mpsc::channel(1);
        let (recorder, supervisor) = (EventLog::none(), Supervisor::default());
        let control = start(directory, events, &recorder, &supervisor);
        let control = control.unwrap().unwrap();
        let answers = control.answers();
        thread::spawn(move || {
            while let Some(Event::Erase(request)) = requests.blocking_recv() {
                for answer in hub(request) {
                    answers.blocking_send(answer).unwrap();
                }
            }
        });
        control
    }

    #[test]
    fn requests_are_passed_on_and_answered_one_after_the_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        let lobby = RoomName::lobby();
        let unanswered = ask(directory.path(), &lobby, (1, 2)).unwrap_err();
        assert!(matches!(unanswered, ControlError::NoServer));
        // Of a server that was killed.
        drop(StdListener::bind(&path).unwrap());
        let unanswered = ask(directory.path(), &lobby, (1, 2)).unwrap_err();
        assert!(matches!(unanswered, ControlError::NoServer));

        let control = serve(directory.path(), |request| {
            let late = (request.number - 1, Ok(7));
            let answer = match request.from {
                1 => Ok(request.to),
                2 => Err(EraseError::NoRoom),
                _ => Err(EraseError::Unavailable),
            };
            vec![late, (request.number, answer)]
        });
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(ask(directory.path(), &lobby, (1, 5)).unwrap(), 5);
        let error = |from| ask(directory.path(), &lobby, (from, 5)).unwrap_err();
        assert!(matches!(error(2), ControlError::NoRoom));
        assert!(matches!(error(3), ControlError::Unavailable));
        let long = "x".repeat(5_000);
        let mut stream = StdStream::connect(&path).unwrap();
        stream.write_all(long.as_bytes()).unwrap();
        let mut said = String::new();
        // Whether it was answered or only closed, nothing else happened.
        let _ = stream.read_to_string(&mut said);
        assert!(said.is_empty() || said.contains("unknown"), "{said}");
        assert_eq!(ask(directory.path(), &lobby, (1, 9)).unwrap(), 9);

        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.build().unwrap().block_on(control.end());
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        fs::write(&path, "mine").unwrap();
        let (events, _requests) = mpsc::channel(1);
        let control = start(
            directory.path(),
            events,
            &EventLog::none(),
            &Supervisor::default(),
        );
        assert!(control.unwrap().is_none());
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }
}
