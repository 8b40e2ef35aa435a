//! Both programs together, encrypted: a user joins by what the operator's command prints.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
};

use crate::{
    families::over_both,
    harness::{Server, run},
    passwords::set_password,
};

/// Runs the client, which sends a line and leaves.
fn client(state: &Path, arguments: &[&str]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_chat-tui"))
        .env("HOME", state)
        .args(["--plain", "--state-dir"])
        .arg(state)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let _ = input.write_all(b"hello\n");
    drop(input);
    child.wait_with_output().unwrap()
}

fn words(output: &Output) -> String {
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    said(&output.stdout) + &said(&output.stderr)
}

#[test]
fn the_operators_invite_admits_a_user_for_good() {
    over_both(|address| {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        let server = Server::start_at(address, &data, &["--access", "invite"]);
        let port = server.address.port().to_string();
        let here = address.to_string();
        let place = ["--host", &here, "--port", &port];
        let invite = run(&data, &[&["invite"], &place[..]].concat()).stdout;
        let invite = String::from_utf8(invite).unwrap();
        let (alice, bob) = (home.path().join("alice"), home.path().join("bob"));

        let output = client(&alice, &[invite.trim(), "alice", "1"]);
        assert!(output.status.success(), "{}", words(&output));
        server.says("alice joined");
        let output = client(&alice, &[&here, &port, "alice", "1"]);
        assert!(output.status.success(), "{}", words(&output));
        server.says("alice joined");

        let output = client(&bob, &[invite.trim(), "bob", "1"]);
        assert!(!output.status.success());
        assert!(
            words(&output).contains("was used already"),
            "{}",
            words(&output)
        );

        // No other server can imitate that of an invite.
        let other = Server::start_at(address, &home.path().join("other"), &["--access", "open"]);
        let elsewhere = format!(":{}/", other.address.port());
        let bent = invite.replace(&format!(":{port}/"), &elsewhere);
        let output = client(&bob, &[bent.trim(), "bob", "1"]);
        assert!(!output.status.success(), "{}", words(&output));
        let fingerprint = server.fingerprint.to_string();
        assert!(words(&output).contains(&fingerprint), "{}", words(&output));
    });
}

#[test]
fn the_operators_password_admits_a_user() {
    over_both(|address| {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        assert!(set_password(&data, "open sésame\n").status.success());
        let server = Server::start_at(address, &data, &["--access", "password"]);
        let port = server.address.port().to_string();
        let file = home.path().join("file");
        let here = address.to_string();
        let enter = |password: &str| {
            fs::write(&file, password).unwrap();
            // The client refuses a file that others can read.
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            let file = file.to_str().unwrap();
            let to = [&here, &port, "alice", "1", "--password-file", file];
            client(&home.path().join("alice"), &to)
        };
        let output = enter("open sesame\n");
        assert!(!output.status.success(), "{}", words(&output));
        // A separate combining accent, as some keyboards produce it.
        let output = enter("open se\u{301}same\n");
        assert!(output.status.success(), "{}", words(&output));
        server.says("alice joined");
    });
}
