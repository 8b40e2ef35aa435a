//! Servers, commands and clients.

use std::{
    io::{BufRead, BufReader, ErrorKind, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chat_tui::protocol::{Binding, Fingerprint, Identity, Invite, Nonce, Token};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

/// How long anything that must happen may take before the test fails.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) fn program(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat-server"));
    // Even if something fails, nothing is written to the user's own directories.
    command.env("HOME", data).env("XDG_DATA_HOME", data);
    command.args(arguments).arg("--data-dir").arg(data);
    command
}

pub(crate) fn run(data: &Path, arguments: &[&str]) -> Output {
    program(data, arguments).output().unwrap()
}

/// Runs a command that must be refused with these words.
pub(crate) fn refused(data: &Path, arguments: &[&str], words: &str) {
    let output = run(data, arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{arguments:?}");
    assert!(said.contains(words), "{arguments:?}: {said}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

/// A server, killed on drop.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) fingerprint: Fingerprint,
    log: Receiver<String>,
}

impl Server {
    pub(crate) fn start(data: &Path, options: &[&str]) -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST.into(), data, options)
    }

    pub(crate) fn start_at(address: IpAddr, data: &Path, options: &[&str]) -> Self {
        let address = address.to_string();
        let options = [&["0", "--bind", &address], options].concat();
        let mut command = program(data, &options);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (said, log) = channel();
        thread::spawn(move || stderr.lines().try_for_each(|line| said.send(line.unwrap())));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut next = |start: &str| {
            let line = lines.next().expect("the server says more").unwrap();
            line.strip_prefix(start).expect(start).to_owned()
        };
        let address = next("listening on ").parse().unwrap();
        let fingerprint = Fingerprint::parse(&next("fingerprint ")).unwrap();
        Self {
            child,
            address,
            fingerprint,
            log,
        }
    }
}

impl Server {
    /// Waits for a line of the server's log with this in it.
    pub(crate) fn says(&self, words: &str) -> String {
        loop {
            let line = self.log.recv_timeout(PATIENCE).expect(words);
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes an invite, and returns it with the command's other output.
pub(crate) fn invite(data: &Path, options: &[&str]) -> (Invite, String) {
    let output = run(data, &[&["invite"], options].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{options:?}: {said}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.lines().count(), 1, "{printed}");
    (Invite::parse(&printed).unwrap(), said)
}

pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}

/// A client with a key, on this machine and so without encryption; the key is proven all the same.
#[derive(Clone)]
pub(crate) struct Person {
    nickname: &'static str,
    key: Identity,
}

/// A credential for the join: its field and value.
pub(crate) type With<'a> = (&'a str, &'a str);

pub(crate) const NOTHING: With<'_> = ("agent", "test");

impl Person {
    pub(crate) fn new(nickname: &'static str) -> Self {
        let mut seed = [0; 32];
        seed[..nickname.len()].copy_from_slice(nickname.as_bytes());
        let key = Identity::from_seed(seed);
        Self { nickname, key }
    }

    /// Joins from the server's own address, and returns the answer: `welcome` or `error`.
    pub(crate) fn join(&self, server: &Server, with: With<'_>) -> (Client, Value) {
        self.join_from(server.address.ip(), server.address, with)
    }

    /// As [`join`](Self::join), from this address.
    pub(crate) fn join_from(
        &self,
        own: IpAddr,
        server: SocketAddr,
        with: With<'_>,
    ) -> (Client, Value) {
        self.try_join_from(own, server, with).expect("it closed")
    }

    /// The same; `None` if the connection closes without an answer: the server closes clients that
    /// take too long to join, and on a busy machine any may.
    pub(crate) fn try_join_from(
        &self,
        own: IpAddr,
        server: SocketAddr,
        (name, value): With<'_>,
    ) -> Option<(Client, Value)> {
        let mut client = Client::connect(own, server);
        let mut join = json!({
            "type": "join", "protocol": 2, "nickname": self.nickname, "clientID": "1",
            "token": Token::from_bytes([7; 32]).expose(), "key": self.key.public().to_string(),
        });
        join[name] = value.into();
        client.try_send(&join)?;
        let challenge = client.try_frame()?;
        assert_eq!(challenge["type"], "challenge", "{challenge}");
        let text = |name: &str| challenge[name].as_str().unwrap();
        let binding = Binding::Plain {
            server: Fingerprint::parse(text("fingerprint")).unwrap(),
            address: server,
        };
        let nonce = Nonce::parse(text("nonce")).unwrap();
        let proof = self.key.prove(&binding, &nonce).to_string();
        client.try_send(&json!({"type": "proof", "signature": proof}))?;
        let answer = client.try_frame()?;
        Some((client, answer))
    }

    /// Joins.
    pub(crate) fn enter(&self, server: &Server, with: With<'_>) -> Client {
        let (client, answer) = self.join(server, with);
        assert_eq!(answer["type"], "welcome", "{}: {answer}", self.nickname);
        client
    }

    /// Joins, and must be refused with this code.
    pub(crate) fn is_refused(&self, server: &Server, with: With<'_>, code: &str) -> Value {
        let (mut client, answer) = self.join(server, with);
        assert_eq!(answer["code"], code, "{}: {answer}", self.nickname);
        let mut rest = String::new();
        assert_eq!(client.input.read_line(&mut rest).unwrap(), 0, "{rest}");
        answer
    }
}

pub(crate) struct Client {
    stream: TcpStream,
    input: BufReader<TcpStream>,
}

impl Client {
    fn connect(own: IpAddr, server: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(own, 0).into()).unwrap();
        socket.connect(&server.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let input = BufReader::new(stream.try_clone().unwrap());
        Self { stream, input }
    }

    pub(crate) fn send(&mut self, frame: &Value) {
        self.try_send(frame).expect("it closed");
    }

    fn try_send(&mut self, frame: &Value) -> Option<()> {
        writeln!(self.stream, "{frame}").ok()
    }

    pub(crate) fn frame(&mut self) -> Value {
        self.try_frame().expect("it closed")
    }

    /// Returns the next frame; `None` once the connection is closed.
    fn try_frame(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.input.read_line(&mut line) {
            Ok(count) if count > 0 => Some(serde_json::from_str(&line).unwrap()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("nothing comes: {error}"),
            Ok(_) | Err(_) => None,
        }
    }

    /// The next frame of a kind.
    pub(crate) fn next(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.frame();
            if frame["type"] == kind {
                return frame;
            }
        }
    }
}
