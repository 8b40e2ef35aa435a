//! Who may enter, through the real program: invites.

#![cfg(all(unix, feature = "server"))]
#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use chat_tui::protocol::{Fingerprint, Invite, InviteKey};

fn program(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat-server"));
    // Whatever goes wrong, nothing is written where people keep theirs.
    command.env("HOME", data).env("XDG_DATA_HOME", data);
    command.args(arguments).arg("--data-dir").arg(data);
    command
}

fn run(data: &Path, arguments: &[&str]) -> Output {
    program(data, arguments).output().unwrap()
}

/// Runs a command that must be refused; with these words.
fn refused(data: &Path, arguments: &[&str], words: &str) {
    let output = run(data, arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{arguments:?}");
    assert!(said.contains(words), "{arguments:?}: {said}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

/// A server; killed with the value.
struct Server {
    child: Child,
    address: SocketAddr,
    fingerprint: Fingerprint,
}

impl Server {
    fn start(data: &Path, options: &[&str]) -> Self {
        let options = [&["0", "--bind", "127.0.0.1", "-q"], options].concat();
        let mut command = program(data, &options);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
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
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes an invite, and says what the operator is told besides.
fn invite(data: &Path, options: &[&str]) -> (Invite, String) {
    let output = run(data, &[&["invite"], options].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{options:?}: {said}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.lines().count(), 1, "{printed}");
    (Invite::parse(&printed).unwrap(), said)
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}

#[test]
fn an_invite_is_made_before_the_first_start_and_beside_a_server() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let before = now();
    let (first, said) = invite(&data, &[]);
    assert!(said.contains("for one person"), "{said}");
    assert!(said.contains("chat-tui INVITE"), "{said}");
    assert!(
        said.contains(&first.host) && said.contains("--host NAME"),
        "{said}"
    );
    let week = 7 * 24 * 3_600;
    let expires = first.token.expires();
    assert!(
        (before + week..=now() + week).contains(&expires),
        "{expires}"
    );
    assert_eq!((first.token.uses(), first.port), (1, 10_500));

    let server = Server::start(&data, &[]);
    assert_ne!(server.address.port(), 0);
    let options = [
        "--uses",
        "3",
        "--expires",
        "30m",
        "--host",
        "chat.example.org",
    ];
    let (second, said) = invite(&data, &[&options[..], &["--port", "7"]].concat());
    assert!(said.contains("for 3 people"), "{said}");
    assert!(!said.contains("--host"), "{said}");
    assert_eq!((second.host.as_str(), second.port), ("chat.example.org", 7));
    assert_eq!(second.token.uses(), 3);
    assert!(second.token.expires() <= now() + 1_800);
    assert_ne!(first.token.id(), second.token.id());

    let path = data.join("invite.key");
    let key: [u8; 32] = fs::read(&path).unwrap().try_into().unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for invite in [first, second] {
        assert!(invite.token.is_from(&InviteKey::from_bytes(key)));
        assert_eq!(invite.fingerprint, server.fingerprint);
    }
}

#[test]
fn an_invite_is_to_the_certificate_that_the_server_shows() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let own = rcgen::generate_simple_self_signed(["chat.example.org".to_owned()]).unwrap();
    let (certificate, key) = (home.path().join("cert.pem"), home.path().join("key.pem"));
    fs::write(&certificate, own.cert.pem()).unwrap();
    fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let server = Server::start(&data, &["--tls-cert", certificate, "--tls-key", key]);
    assert_eq!(invite(&data, &[]).0.fingerprint, server.fingerprint);
    let before = server.fingerprint;
    drop(server);
    let server = Server::start(&data, &[]);
    assert_ne!(server.fingerprint, before);
    assert_eq!(invite(&data, &[]).0.fingerprint, server.fingerprint);
}

#[test]
fn what_makes_no_invite_is_told_with_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    for (options, words) in [
        (["--host", "a b"], "--host NAME"),
        (["--host", "chat.example.org:10500"], "--host NAME"),
        (["--expires", "7"], "30m, 12h, 7d, 2w"),
        (["--expires", "2000d"], "366 days"),
        (["--uses", "70000"], "--uses"),
        (["--port", "0"], "--port"),
    ] {
        refused(&data, &[&["invite"], &options[..]].concat(), words);
    }
    invite(&data, &["--host", "[2001:db8::7]"]);
    fs::write(data.join("invite.key"), "cut off").unwrap();
    refused(&data, &["invite"], "is damaged");
    let mut server = program(&data, &["0"]);
    let output = server.stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
