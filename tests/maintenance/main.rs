//! The log on disk, through the real program: restarts, backup and restore, export and import,
//! erasing, and refused directories.

#![cfg(all(unix, feature = "server"))]
#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

use std::{
    fs::{self, Permissions},
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use chat_tui::protocol::{ClientId, MessageId, Token};
use jiff::Timestamp;
use serde_json::{Value, json};

mod erasing;
mod kinds;

/// How long anything that must happen may take before the test fails.
const PATIENCE: Duration = Duration::from_mins(1);

fn program(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat-server"));
    // Even if something fails, nothing is written to the user's own directories.
    command.env("HOME", data).env("XDG_DATA_HOME", data);
    command.args(arguments).arg("--data-dir").arg(data);
    command
}

fn run(data: &Path, arguments: &[&str]) -> Output {
    program(data, arguments).output().unwrap()
}

/// Runs a command that must succeed; returns its standard output.
fn done(data: &Path, arguments: &[&str]) -> String {
    let output = run(data, arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that must be refused with these words.
fn refused(data: &Path, arguments: &[&str], words: &str) {
    let output = run(data, arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{arguments:?}");
    assert!(said.contains(words), "{arguments:?}: {said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
}

/// A server, killed on drop.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    fn start_with(data: &Path, options: &[&str]) -> Self {
        let mut child = program(
            data,
            &[&["0", "--bind", "127.0.0.1", "-q"], options].concat(),
        )
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
        let mut line = String::new();
        let output = child.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ");
        let address = address.expect("the server listens").parse().unwrap();
        Self { child, address }
    }

    fn stop(mut self) {
        let kill = format!("kill -TERM {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status();
        assert!(status.unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }

    fn join(&self, name: &str) -> Client {
        Client::join(self.address, name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn token(name: &str) -> Token {
    let mut bytes = [0; 32];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    Token::from_bytes(bytes)
}

struct Client {
    name: String,
    stream: TcpStream,
    input: BufReader<TcpStream>,
    welcome: Value,
    counter: u64,
}

impl Client {
    fn join(address: SocketAddr, name: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let input = BufReader::new(stream.try_clone().unwrap());
        let mut client = Self {
            name: name.to_owned(),
            stream,
            input,
            welcome: Value::Null,
            counter: 0,
        };
        client.send(&json!({
            "type": "join", "protocol": 2, "nickname": name, "clientID": "1",
            "token": token(name).expose(), "last": 200,
        }));
        client.welcome = client.next("welcome");
        client.counter = client.welcome["counter"].as_u64().unwrap();
        client
    }

    fn send(&mut self, frame: &Value) {
        writeln!(self.stream, "{frame}").unwrap();
    }

    fn frame(&mut self) -> Value {
        let mut line = String::new();
        assert!(self.input.read_line(&mut line).unwrap() > 0, "it closed");
        serde_json::from_str(&line).unwrap()
    }

    fn next(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.frame();
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// Sends a message, and waits until it is stored.
    fn say(&mut self, text: &str) -> Value {
        self.counter += 1;
        self.say_again(self.counter, text);
        loop {
            let message = self.next("message");
            if message["message"] == text {
                return message;
            }
        }
    }

    fn say_again(&mut self, counter: u64, text: &str) {
        let device = token(&self.name).device(&ClientId::parse("1").unwrap());
        let id = MessageId { device, counter };
        self.send(&json!({"type": "message", "id": id.to_string(), "message": text}));
    }

    fn epoch(&self) -> Value {
        self.welcome["epoch"].clone()
    }
}

/// Returns a data directory with a few messages in it, and no server.
fn filled() -> tempfile::TempDir {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut alice = server.join("alice");
    let mut bob = server.join("bob");
    for text in ["one", "zwei \u{1f600}", "line\nbreak"] {
        alice.say(text);
        bob.say(&format!("{text}?"));
    }
    drop((alice, bob));
    server.stop();
    data
}

fn path(data: &tempfile::TempDir, name: &str) -> (PathBuf, String) {
    let path = data.path().join(name);
    (path.clone(), path.to_str().unwrap().to_owned())
}

fn seqs(lines: &str) -> Vec<u64> {
    lines
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["seq"]
                .as_u64()
                .unwrap()
        })
        .collect()
}

#[test]
fn a_killed_server_comes_back_with_everything() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut alice = server.join("alice");
    let epoch = alice.epoch();
    let first = alice.say("before");
    drop(server);

    let server = Server::start(data.path());
    let mut alice = server.join("alice");
    assert_eq!(alice.epoch(), epoch);
    assert_eq!(alice.counter, 1);
    assert_eq!(alice.next("message"), first);
    // Sent again, it gets the same answer, and is not stored twice.
    alice.say_again(1, "before");
    let ack = alice.next("ack");
    assert_eq!(
        (&ack["at"], &ack["timestamp"]),
        (&first["seq"], &first["timestamp"])
    );
    assert_eq!(alice.say("after")["seq"], 2);
    server.stop();
    assert_eq!(seqs(&done(data.path(), &["export"])), [1, 2]);
}

#[test]
fn a_second_server_is_kept_out() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let words = format!("in use by another server (process {})", server.child.id());
    refused(data.path(), &["0", "--bind", "127.0.0.1", "-q"], &words);
    for arguments in [&["restore", "file"][..], &["import", "file"]] {
        fs::write(data.path().join("file"), "").unwrap();
        let output = program(data.path(), arguments)
            .current_dir(data.path())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        // The text is no backup, whoever runs the command.
        let (code, words) = match arguments[0] {
            "restore" => (2, "can't be restored"),
            _ => (1, "in use by a server"),
        };
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    // The first server was not disturbed.
    server.join("alice").say("still here");
}

#[test]
fn without_data_dir_messages_are_in_the_users_data_directory() {
    let home = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_chat-server"))
        .args(["0", "--bind", "127.0.0.1"])
        .env("XDG_DATA_HOME", home.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let output = child.stderr.take().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    let directory = home.path().join("chat-server");
    let words = format!("messages are kept in {}", directory.display());
    assert!(line.contains(&words), "{line}");
    assert!(line.contains("a new log"), "{line}");
    assert!(directory.join("log.db").exists());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_backup_is_the_log_and_a_restore_is_another_one() {
    let data = filled();
    let (backup, backup_name) = path(&data, "backup.db");
    let server = Server::start(data.path());
    let mut alice = server.join("alice");
    let epoch = alice.epoch();
    // While the server runs.
    done(data.path(), &["backup", &backup_name]);
    alice.say("after the backup");
    server.stop();
    refused(
        data.path(),
        &["backup", &backup_name],
        "Choose another name",
    );
    let mode = fs::metadata(&backup).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = done(data.path(), &["export"]);
    assert_eq!(seqs(&before), [1, 2, 3, 4, 5, 6, 7]);

    done(data.path(), &["restore", &backup_name]);
    let after = done(data.path(), &["export"]);
    assert_eq!(seqs(&after), [1, 2, 3, 4, 5, 6]);
    assert!(before.starts_with(&after));
    let server = Server::start(data.path());
    let mut alice = server.join("alice");
    assert_ne!(alice.epoch(), epoch);
    assert_eq!(alice.counter, 3);
    assert_eq!(alice.say("again")["seq"], 7);
    server.stop();

    // The log before is kept, and can be restored too.
    let aside = fs::read_dir(data.path()).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let is = name.starts_with("log-") && path.extension().is_some_and(|end| end == "db");
        is.then_some(path)
    });
    done(data.path(), &["restore", aside.unwrap().to_str().unwrap()]);
    assert_eq!(done(data.path(), &["export"]), before);
}

#[test]
fn a_backup_can_be_restored_elsewhere() {
    let data = filled();
    let (_, backup) = path(&data, "backup.db");
    done(data.path(), &["backup", &backup]);
    let other = tempfile::tempdir().unwrap();
    let (_, new) = path(&other, "new");
    done(Path::new(&new), &["restore", &backup]);
    let exported = done(Path::new(&new), &["export"]);
    assert_eq!(exported, done(data.path(), &["export"]));
}

#[test]
fn an_unsound_backup_is_not_restored() {
    let data = filled();
    let before = done(data.path(), &["export"]);
    let (backup, name) = path(&data, "backup.db");
    refused(data.path(), &["restore", &name], "there is no such file");
    done(data.path(), &["backup", &name]);
    let sound = fs::read(&backup).unwrap();
    fs::write(&backup, "hello, this is no database at all ".repeat(9)).unwrap();
    refused(data.path(), &["restore", &name], "it is not a backup");
    let mut damaged = sound;
    let length = damaged.len();
    damaged[length - 8_000..].fill(0x33);
    fs::write(&backup, damaged).unwrap();
    refused(data.path(), &["restore", &name], "it is damaged");
    assert_eq!(done(data.path(), &["export"]), before);
}

#[test]
fn an_interrupted_restore_is_done_again() {
    let data = filled();
    let before = done(data.path(), &["export"]);
    let (_, backup) = path(&data, "backup.db");
    done(data.path(), &["backup", &backup]);
    // The state after a power failure that followed the move of the log.
    fs::write(data.path().join("restoring"), "log-moved.db").unwrap();
    fs::rename(data.path().join("log.db"), data.path().join("log-moved.db")).unwrap();
    refused(
        data.path(),
        &["0", "--bind", "127.0.0.1", "-q"],
        "Run it again",
    );
    refused(data.path(), &["export"], "Run it again");
    done(data.path(), &["restore", &backup]);
    assert_eq!(done(data.path(), &["export"]), before);
    assert!(data.path().join("log-moved.db").exists());
}

/// The log before a restore exists only once: wherever the restore was interrupted, and whatever is
/// run again, it is kept with the messages of its write-ahead log.
#[test]
fn a_restore_interrupted_at_any_step_keeps_the_log_before() {
    type Steps<'a> = &'a dyn Fn(&Path);
    const ASIDE: &str = "log-20261122T120000Z.db";
    let mark = |data: &Path| fs::write(data.join("restoring"), ASIDE).unwrap();
    let wal_linked = |data: &Path| {
        let aside = data.join(format!("{ASIDE}-wal"));
        fs::hard_link(data.join("log.db-wal"), aside).unwrap();
    };
    let wal_moved = |data: &Path| {
        wal_linked(data);
        fs::remove_file(data.join("log.db-wal")).unwrap();
    };
    let log_linked = |data: &Path| {
        wal_moved(data);
        fs::hard_link(data.join("log.db"), data.join(ASIDE)).unwrap();
    };
    let log_moved = |data: &Path| {
        log_linked(data);
        fs::remove_file(data.join("log.db")).unwrap();
    };
    let replaced_linked = |data: &Path| {
        log_moved(data);
        fs::copy(data.join("backup.db"), data.join("restored.db")).unwrap();
        fs::hard_link(data.join("restored.db"), data.join("log.db")).unwrap();
    };
    let replaced = |data: &Path| {
        replaced_linked(data);
        fs::remove_file(data.join("restored.db")).unwrap();
    };
    let steps: [(&str, Steps<'_>); 9] = [
        ("nothing was done", &|_| ()),
        ("the mark was being left", &|data| {
            fs::write(data.join("restoring"), "").unwrap();
        }),
        ("the mark was left", &mark),
        ("its write-ahead log had both names", &wal_linked),
        ("its write-ahead log was moved", &wal_moved),
        ("it had both names", &log_linked),
        ("it was moved", &log_moved),
        ("the backup had both names", &replaced_linked),
        ("the backup was in its place", &replaced),
    ];
    for (name, step) in steps {
        let data = filled();
        let (_, backup) = path(&data, "backup.db");
        done(data.path(), &["backup", &backup]);
        // Later messages are in the write-ahead log of a server that was killed.
        let server = Server::start(data.path());
        server.join("alice").say("after the backup");
        drop(server);
        let before = done(data.path(), &["export"]);
        if name != "nothing was done" {
            mark(data.path());
        }
        step(data.path());
        // Twice: the first time it fails for another reason.
        refused(data.path(), &["restore", "/nowhere/at/all"], "no such file");
        done(data.path(), &["restore", &backup]);
        assert_eq!(seqs(&done(data.path(), &["export"])), [1, 2, 3, 4, 5, 6]);
        let asides: Vec<_> = fs::read_dir(data.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                let name = path.file_name().unwrap().to_str().unwrap();
                let stem = name.strip_suffix(".db");
                stem.is_some_and(|stem| stem.starts_with("log-"))
            })
            .collect();
        assert_eq!(asides.len(), 1, "{name}: {asides:?}");
        let aside = asides[0].to_str().unwrap();
        done(data.path(), &["restore", aside]);
        assert_eq!(done(data.path(), &["export"]), before, "{name}");
    }
}

#[test]
fn a_room_goes_out_and_in_again_as_it_was() {
    let data = filled();
    let server = Server::start(data.path());
    // While the server runs.
    let exported = done(data.path(), &["export", "--room", "lobby"]);
    server.stop();
    assert_eq!(seqs(&exported), [1, 2, 3, 4, 5, 6]);
    let (file, name) = path(&data, "lobby.jsonl");
    done(data.path(), &["export", "--output", &name]);
    assert_eq!(fs::read_to_string(&file).unwrap(), exported);
    refused(data.path(), &["export", "-o", &name], "Choose another name");
    refused(data.path(), &["import", &name], "empty room only");

    let other = tempfile::tempdir().unwrap();
    // An editor may leave it like this.
    fs::write(&file, format!("{exported}\n")).unwrap();
    done(other.path(), &["import", "--room", "lobby", &name]);
    assert_eq!(done(other.path(), &["export"]), exported);
    let server = Server::start(other.path());
    let mut alice = server.join("alice");
    assert_eq!(alice.counter, 3);
    alice.say_again(1, "one");
    assert_eq!(alice.next("ack")["at"], 1);
    assert_eq!(alice.say("next")["seq"], 7);
}

#[test]
fn a_room_that_begins_later_is_taken_as_it_is() {
    let data = filled();
    let exported = done(data.path(), &["export"]);
    let part: String = exported.split_inclusive('\n').skip(2).collect();
    let other = tempfile::tempdir().unwrap();
    let mut child = program(other.path(), &["import"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(part.as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(done(other.path(), &["export"]), part);
    let server = Server::start(other.path());
    let room = &server.join("alice").welcome["rooms"][0];
    assert_eq!((&room["first"], &room["head"]), (&json!(3), &json!(6)));
}

fn nested(levels: usize) -> String {
    "[".repeat(levels) + &"]".repeat(levels)
}

#[test]
fn an_invalid_line_is_named_and_nothing_is_imported() {
    let data = filled();
    let exported = done(data.path(), &["export"]);
    let lines: Vec<_> = exported.lines().map(str::to_owned).collect();
    let change = |at: usize, from: &str, to: &str| {
        let mut lines = lines.clone();
        lines[at] = lines[at].replace(from, to);
        lines.join("\n")
    };
    let long = format!("{}{}", " ".repeat(100_000), lines[0]);
    for (input, words) in [
        ("hello".to_owned(), "Line 1: "),
        (change(1, "message", "massage"), "Line 2: "),
        (
            change(2, "\"seq\":3", "\"seq\":4"),
            "Line 3: its number is not 3",
        ),
        (
            change(3, "lobby", "tea"),
            "Line 4: it belongs to another room",
        ),
        (
            change(1, "\"timestamp\":\"2", "\"timestamp\":\"1"),
            "Line 2: it is older",
        ),
        (
            change(2, "-2\"", "-1\""),
            "Line 3: its id is in the log already",
        ),
        (
            change(0, "\"one\"", "\"\""),
            "Line 1: A message can't be empty",
        ),
        (
            [&lines[1][..], &lines[0]].join("\n"),
            "Line 2: its number is not 3",
        ),
        (long, "Line 1: it has more than"),
        // Ten levels fit into a page of history.
        (
            change(
                1,
                "\"type\":\"message\"",
                &format!("\"kind\":\"x\",\"deep\":{}", nested(10)),
            ),
            "Line 2: it nests more than 10 levels",
        ),
        // What changed it would come later.
        (
            change(1, "\"message\":", "\"edited\":2,\"message\":"),
            "Line 2: it says that entry 2 changed it",
        ),
        (
            change(1, "\"message\":", "\"edited\":7,\"message\":"),
            "Line 2: it says that entry 7 changed it",
        ),
        // Without a mark of a clock that was set back; or set forward.
        (
            change(0, "\"timestamp\":\"2", "\"timestamp\":\"3"),
            "Line 2: it is older than the entry before it",
        ),
        (
            change(
                1,
                "\"timestamp\":\"2",
                "\"clock_was\":\"0001-01-01T00:00:00Z\",\"timestamp\":\"1",
            ),
            "Line 2: it is older than the entry before it",
        ),
        (
            format!("{}\n\n{}", lines[0], lines[1]),
            "Line 2: it is empty",
        ),
    ] {
        let other = tempfile::tempdir().unwrap();
        let (file, name) = path(&other, "lines");
        fs::write(file, &input).unwrap();
        refused(other.path(), &["import", &name], words);
        assert!(!other.path().join("log.db").exists());
    }
}

#[test]
fn whether_a_key_was_proven_stays_over_restarts_and_export_and_import() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let said = server.join("alice").say("without a key");
    assert_eq!(said["proven"], json!(false));
    server.stop();
    // It was sent with a key; an earlier server's messages don't say either.
    let first = done(data.path(), &["export"]);
    let second = first
        .replace(",\"proven\":false", "")
        .replace("\"seq\":1", "\"seq\":2")
        .replace("-1\"", "-2\"");
    let both = format!("{first}{second}");
    let of = |lines: &str| -> Vec<Value> {
        let proven = |line: &str| serde_json::from_str::<Value>(line).unwrap()["proven"].clone();
        lines.lines().map(proven).collect()
    };
    assert_eq!(of(&both), [json!(false), Value::Null], "{both}");
    let other = tempfile::tempdir().unwrap();
    let (file, name) = path(&other, "lines");
    fs::write(&file, &both).unwrap();
    done(other.path(), &["import", &name]);
    assert_eq!(done(other.path(), &["export"]), both);
    let server = Server::start(other.path());
    let mut alice = server.join("alice");
    alice.send(&json!({"type": "history", "from": 1, "to": 2, "ref": 1}));
    let page = alice.next("history");
    let messages = page["entries"].as_array().unwrap();
    let proven: Vec<_> = messages.iter().map(|message| &message["proven"]).collect();
    assert_eq!(proven, [&json!(false), &Value::Null]);
    drop(alice);
    server.stop();
    for nonsense in ["\"no\"", "0", "{}", "false,\"proven\":true"] {
        let other = tempfile::tempdir().unwrap();
        let (file, name) = path(&other, "lines");
        let proven = format!("\"proven\":{nonsense}");
        fs::write(file, both.replace("\"proven\":false", &proven)).unwrap();
        refused(other.path(), &["import", &name], "Line 1: ");
    }
}

/// A room whose server's clock was two hours ahead for a message, and was corrected; and then was
/// years ahead for the last one.
fn with_corrections() -> (tempfile::TempDir, String) {
    let said = |seq: u64, time: &str, was: Option<&str>| {
        let mut frame = json!({
            "type": "message", "room": "lobby", "seq": seq,
            "id": format!("{}-{seq}", token("alice").device(&ClientId::parse("1").unwrap())),
            "user": token("alice").user().to_string(), "nickname": "alice",
            "message": format!("number {seq}"), "timestamp": time,
        });
        if let Some(was) = was {
            frame["clock_was"] = json!(was);
        }
        format!("{frame}\n")
    };
    let lines = [
        said(1, "2006-11-20T09:00:00Z", None),
        said(2, "2006-11-20T11:01:00Z", Some("2006-11-20T09:01:00Z")),
        said(3, "2006-11-20T09:02:00Z", Some("2006-11-20T11:02:00Z")),
        said(4, "2006-11-21T09:00:00Z", None),
        said(5, "2145-01-01T00:00:00Z", Some("2006-11-21T09:00:01Z")),
    ];
    let data = tempfile::tempdir().unwrap();
    let (file, name) = path(&data, "lines");
    fs::write(file, lines.concat()).unwrap();
    done(data.path(), &["import", &name]);
    let exported = done(data.path(), &["export"]);
    (data, exported)
}

#[test]
fn a_log_with_a_corrected_clock_goes_out_and_in_again_with_its_marks() {
    let (data, exported) = with_corrections();
    assert_eq!(exported.matches("clock_was").count(), 3);
    let (file, name) = path(&data, "lobby.jsonl");
    fs::write(file, &exported).unwrap();
    let other = tempfile::tempdir().unwrap();
    done(other.path(), &["import", &name]);
    assert_eq!(done(other.path(), &["export"]), exported);
}

#[test]
fn a_server_on_a_log_from_the_future_says_so_and_goes_on_from_the_right_time() {
    let (data, _) = with_corrections();
    let mut child = program(data.path(), &["0", "--bind", "127.0.0.1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let output = child.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").unwrap();
    let address = address.parse().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let server = Server { child, address };
    let warned = log.find(|line| line.as_ref().unwrap().contains("2145-01-01T00:00:00Z"));
    let warned = warned.unwrap().unwrap();
    assert!(warned.contains("one of them is wrong"), "{warned}");
    // The rest is discarded, so that the server never waits.
    std::thread::spawn(move || log.for_each(drop));

    let mut alice = server.join("alice");
    let first = alice.say("the clock is right");
    let second = alice.say("and goes on");
    assert_eq!(first["clock_was"], "2145-01-01T00:00:00Z");
    assert_eq!(second["clock_was"], Value::Null);
    let time = |frame: &Value| -> Timestamp {
        let text = frame["timestamp"].as_str().unwrap();
        text.parse().unwrap()
    };
    let future: Timestamp = "2145-01-01T00:00:00Z".parse().unwrap();
    assert!(time(&first) >= time(&alice.welcome), "{first}");
    assert!(time(&second) < future, "{second}");
    let mut since = |time: &str| {
        alice.send(&json!({"type": "history", "since": time, "ref": 1}));
        alice.next("history")["from"].as_u64()
    };
    for (time, from) in [
        ("2006-11-20T00:00:00Z", Some(1)),
        ("2006-11-20T09:01:30Z", Some(3)),
        ("2006-11-20T10:00:00Z", Some(2)),
        ("2006-11-21T00:00:00Z", Some(4)),
        ("2006-11-22T00:00:00Z", Some(6)),
        ("2144-01-01T00:00:00Z", Some(5)),
        ("2146-01-01T00:00:00Z", Some(8)),
    ] {
        assert_eq!(since(time), from, "{time}");
    }
    drop(alice);
    server.stop();
}

#[test]
fn maintenance_errors_say_what_to_do() {
    let data = filled();
    let (_, backup) = path(&data, "backup.db");
    done(data.path(), &["backup", &backup]);
    let (_, sub) = path(&data, "sub");
    fs::create_dir(&sub).unwrap();
    let nowhere = format!("{sub}/no/backup.db");
    for (arguments, words) in [
        (&["erase", "5", "2"][..], "Give the lower number first"),
        (&["erase", "30"], "holds the messages 1 to 6, and no 30"),
        (&["erase", "0"], "holds the messages 1 to 6, and no 0"),
        (&["erase", "5", "9"], "not all from 5 to 9"),
        (&["backup", &sub], "Give the name of a file in it"),
        (&["backup", &nowhere], "backup.db can't be read or written"),
        (&["backup", "/dev/null"], "Choose another name"),
        (&["export", "-o", &nowhere], "whether its directory exists"),
        (&["import", &nowhere], "whether its directory exists"),
    ] {
        refused(data.path(), arguments, words);
        assert_eq!(run(data.path(), arguments).status.code(), Some(2));
    }
    for (arguments, words) in [
        (&["--ephemeral", "backup", "b"][..], "--ephemeral"),
        (&["10500", "backup", "b"], "[PORT]"),
        (&["--retain-days", "1", "backup", "b"], "--retain-days"),
        (
            &["backupp", "b"],
            "the commands are: invite, password, backup",
        ),
        (&["backupp"], "the commands are: invite, password, backup"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_chat-server"))
            .args(arguments)
            .current_dir(data.path())
            .env("XDG_DATA_HOME", data.path())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    assert!(!data.path().join("b").exists());
}

/// Files that root makes in another user's data directory belong to that user.
#[test]
fn files_that_root_makes_belong_to_the_directory_s_owner() {
    use std::os::unix::fs::{MetadataExt, chown};
    const NOBODY: u32 = 65_534;
    let data = filled();
    let (_, backup) = path(&data, "backup.db");
    done(data.path(), &["backup", &backup]);
    let (_, lines) = path(&data, "lobby.jsonl");
    done(data.path(), &["export", "-o", &lines]);
    for (at, arguments) in [["import", &lines], ["restore", &backup]]
        .iter()
        .enumerate()
    {
        let theirs = data.path().join(format!("theirs{at}"));
        fs::create_dir(&theirs).unwrap();
        if chown(&theirs, Some(NOBODY), Some(NOBODY)).is_err() {
            // Only root can.
            return;
        }
        done(&theirs, &arguments[..]);
        done(&theirs, &["erase", "1"]);
        for entry in fs::read_dir(&theirs).unwrap() {
            let path = entry.unwrap().path();
            let found = path.metadata().unwrap();
            assert_eq!((found.uid(), found.gid()), (NOBODY, NOBODY), "{path:?}");
        }
    }
}

/// A running backup must not make an orderly end look like a crash.
#[test]
fn a_relaxed_server_ends_in_order_while_somebody_reads_the_log() {
    let data = tempfile::tempdir().unwrap();
    let relaxed = &["--durability", "relaxed"];
    let server = Server::start_with(data.path(), relaxed);
    let mut alice = server.join("alice");
    let epoch = alice.epoch();
    alice.say("one");
    let reader = rusqlite::Connection::open(data.path().join("log.db")).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let count = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    let count = reader.query_row("SELECT count(*) FROM entry", [], count);
    assert_eq!(count.unwrap(), 1);
    alice.say("two");
    drop(alice);
    server.stop();
    let server = Server::start_with(data.path(), relaxed);
    assert_eq!(server.join("alice").epoch(), epoch);
    drop(reader);
    server.stop();
}

#[test]
fn without_an_index_searches_find_messages_and_no_index_is_left() {
    let data = tempfile::tempdir().unwrap();
    let index = data.path().join("index.db");
    let server = Server::start(data.path());
    server.join("alice").say("the build is green");
    server.stop();
    assert!(index.exists());
    let server = Server::start_with(data.path(), &["--no-index"]);
    assert!(!index.exists());
    let mut bob = server.join("bob");
    bob.send(&json!({"type": "search", "query": "green", "ref": 1}));
    let found = bob.next("found");
    assert_eq!(found["entries"][0]["message"], "the build is green");
    assert_eq!((&found["from"], &found["indexed"]), (&json!(1), &json!(1)));
}

#[test]
fn relaxed_and_ephemeral_are_reported() {
    let data = tempfile::tempdir().unwrap();
    for (option, words) in [
        (
            &["--durability", "relaxed"][..],
            "a power failure may lose the last messages",
        ),
        (&["--ephemeral"], "lost when the server stops"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chat-server"));
        let mut child = command
            .args(["0", "--bind", "127.0.0.1", "-q"])
            .args(option)
            .env("XDG_DATA_HOME", data.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = child.stderr.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        assert!(line.contains(words), "{line}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// Whether tests can act as root towards another user. If not, they say so, and CI fails.
#[allow(
    clippy::print_stdout,
    reason = "that is how a test says that it was skipped"
)]
fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    let root = output.stdout == b"0\n";
    if !root {
        assert!(std::env::var_os("CI").is_none(), "CI runs as root");
        println!("skipped: only root can be led astray in another user's directory");
    }
    root
}

/// An unused user ID.
const STRANGER: u32 = 54_321;

/// Returns another user's data directory, with a log in it; and one above it that both can enter.
fn data_of_a_stranger() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    let data = home.path().join("data");
    let server = Server::start(&data);
    server.join("alice").say("hello");
    server.stop();
    let mut theirs = vec![data.clone()];
    while let Some(path) = theirs.pop() {
        chown(&path, Some(STRANGER), Some(STRANGER)).unwrap();
        if path.is_dir() {
            theirs.extend(
                fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
    (home, data)
}

#[test]
fn root_follows_no_links_in_another_users_directory() {
    if !is_root() {
        return;
    }
    let (home, data) = data_of_a_stranger();
    let backup = home.path().join("backup.db");
    done(&data, &["backup", backup.to_str().unwrap()]);
    let exported = home.path().join("exported.json");
    fs::write(&exported, done(&data, &["export"])).unwrap();
    let (backup, exported) = (backup.to_str().unwrap(), exported.to_str().unwrap());
    let secret = home.path().join("secret");
    for (name, arguments) in [
        ("lock", &["restore", backup][..]),
        ("lock", &["erase", "1"]),
        ("lock", &["import", "--room", "other", exported]),
        ("restored.db", &["restore", backup]),
        ("restored.db-journal", &["restore", backup]),
        ("restoring", &["restore", backup]),
        ("new.db", &["restore", backup]),
        ("log.db-wal", &["erase", "1"]),
        ("log.db-shm", &["erase", "1"]),
        ("log.db-shm", &["export"]),
        ("index.db", &["erase", "1"]),
        ("erasures.jsonl", &["erase", "1"]),
        ("erasures.jsonl", &["restore", backup]),
        ("invite.key", &["invite", "--host", "chat.example.org"]),
        ("fingerprint", &["invite", "--host", "chat.example.org"]),
        ("tls", &["invite", "--host", "chat.example.org"]),
        ("password", &["password", "--remove"]),
    ] {
        fs::write(&secret, "secret").unwrap();
        fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
        let name = data.join(name);
        if name.is_dir() {
            fs::rename(&name, home.path().join("was")).unwrap();
        } else {
            let _ = fs::remove_file(&name);
        }
        symlink(&secret, &name).unwrap();
        // It may be refused, or done without following the link.
        run(&data, arguments);
        let found = fs::metadata(&secret).unwrap();
        assert_eq!(
            (found.uid(), found.mode() & 0o777),
            (0, 0o600),
            "{arguments:?}"
        );
        assert_eq!(
            fs::read_to_string(&secret).unwrap(),
            "secret",
            "{arguments:?}"
        );
        let _ = fs::remove_file(&name);
        let was = home.path().join("was");
        if was.exists() {
            fs::rename(was, name).unwrap();
        }
    }
    // All new files belong to the directory's owner.
    done(&data, &["restore", backup]);
    for entry in fs::read_dir(&data).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().uid(), STRANGER, "{entry:?}");
    }
}

#[test]
fn root_does_not_host_in_another_users_directory() {
    if !is_root() {
        return;
    }
    let (_home, data) = data_of_a_stranger();
    refused(&data, &["0"], "belongs to another user (54321)");
    assert_eq!(run(&data, &["0", "--ephemeral"]).status.code(), Some(2));
}

#[test]
fn files_that_other_users_can_write_to_and_secrets_that_they_can_read_are_refused() {
    let data = tempfile::tempdir().unwrap();
    Server::start(data.path()).stop();
    let mode = |name: &str, mode| {
        fs::set_permissions(data.path().join(name), Permissions::from_mode(mode)).unwrap();
    };
    mode("", 0o777);
    for arguments in [&["0"][..], &["invite"], &["backup", "b"], &["erase", "1"]] {
        refused(data.path(), arguments, "chmod go-w");
        assert_eq!(run(data.path(), arguments).status.code(), Some(2));
    }
    mode("", 0o755);
    for (name, loose, arguments) in [
        ("tls/key.pem", 0o644, &["0", "-q"][..]),
        ("tls/key.pem", 0o604, &["invite"]),
        ("tls/key.pem", 0o666, &["0", "--ephemeral", "-qq"]),
        ("invite.key", 0o666, &["0", "-q"]),
        ("invite.key", 0o640, &["invite"]),
    ] {
        mode(name, loose);
        refused(data.path(), arguments, "chmod 600");
        assert_eq!(run(data.path(), arguments).status.code(), Some(2));
        mode(name, 0o600);
    }
    Server::start(data.path()).stop();
}

#[test]
fn a_database_with_a_foreign_schema_is_neither_restored_nor_served() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    server.join("alice").say("hello");
    server.stop();
    let good = data.path().join("good.db");
    done(data.path(), &["backup", good.to_str().unwrap()]);
    for statement in [
        "CREATE TRIGGER evil AFTER INSERT ON entry BEGIN DELETE FROM entry; END",
        "CREATE VIEW evil AS SELECT 1",
        "CREATE TABLE evil(x)",
        "CREATE INDEX evil ON entry(time)",
        "DROP INDEX entry_device_counter",
        "ALTER TABLE spent ADD COLUMN evil TEXT",
        "DROP TABLE record",
    ] {
        let bad = data.path().join("bad.db");
        fs::copy(&good, &bad).unwrap();
        let database = rusqlite::Connection::open(&bad).unwrap();
        database.execute_batch(statement).unwrap();
        drop(database);
        refused(
            data.path(),
            &["restore", bad.to_str().unwrap()],
            "contains something that chat-server did not create",
        );
        let other = tempfile::tempdir().unwrap();
        fs::copy(&bad, other.path().join("log.db")).unwrap();
        refused(
            other.path(),
            &["0"],
            "contains something that chat-server did not create",
        );
    }
    done(data.path(), &["restore", good.to_str().unwrap()]);
}
