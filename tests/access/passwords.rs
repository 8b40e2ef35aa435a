//! `chat-server password`.

use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Output, Stdio},
};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use crate::harness::{program, refused};

/// Runs the command with this text piped in.
pub(crate) fn set_password(data: &Path, piped: &str) -> Output {
    let mut command = program(data, &["password"]);
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // It may stop reading before everything is written.
    let _ = input.write_all(piped.as_bytes());
    drop(input);
    child.wait_with_output().unwrap()
}

#[test]
fn a_password_is_piped_in_and_kept_for_the_server_alone() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let path = data.join("password");
    for (piped, taken) in [
        ("", false),
        ("\n", false),
        ("two\nlines\n", false),
        ("a\tb\n", false),
        (&*"x".repeat(257), false),
        (&*format!("{}\r\n", "x".repeat(256)), true),
        ("open sesame\n", true),
        ("open sesame", true),
        ("wrong\nwrong\n", false),
    ] {
        let before = fs::read(&path).ok();
        let output = set_password(&data, piped);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.success(), taken, "{piped:?}: {said}");
        assert!(output.stdout.is_empty());
        assert!(
            !said.contains("sesame") && !said.contains("wrong"),
            "{said}"
        );
        assert_eq!(fs::read(&path).ok() != before, taken, "{piped:?}");
    }
    let kept = fs::read_to_string(&path).unwrap();
    assert!(
        kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{kept}"
    );
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let removed = program(&data, &["password", "--remove"]).status();
    assert!(removed.unwrap().success() && !path.exists());
}

#[test]
fn a_server_does_not_start_without_the_password_that_it_is_to_ask_for() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let arguments = ["0", "--access", "password"];
    refused(&data, &arguments, "chat-server password");
    let path = data.join("password");
    fs::write(&path, "open sesame\n").unwrap();
    refused(&data, &arguments, "chmod 600");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    refused(&data, &arguments, "chat-server password");
}

/// Types into `chat-server password`, each line at its prompt; returns the terminal's output, and
/// whether the command succeeded.
fn typed(data: &Path, lines: &[&str]) -> (String, bool) {
    let pair = native_pty_system().openpty(PtySize::default()).unwrap();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_chat-server"));
    command.args(["password", "--data-dir"]);
    command.arg(data);
    let mut child = pair.slave.spawn_command(command).unwrap();
    drop(pair.slave);
    let mut reader = pair.master.try_clone_reader().unwrap();
    let mut keys = pair.master.take_writer().unwrap();
    let mut shown = Vec::new();
    let mut lines = lines.iter();
    let mut byte = [0];
    // Some systems report the end of a terminal as an error.
    while let Ok(1) = reader.read(&mut byte) {
        shown.push(byte[0]);
        if shown.ends_with(b": ")
            && !shown.contains(&b'/')
            && let Some(line) = lines.next()
        {
            write!(keys, "{line}").unwrap();
        }
    }
    let went_well = child.wait().unwrap().success();
    (String::from_utf8(shown).unwrap(), went_well)
}

#[test]
fn a_typed_password_is_asked_for_twice_and_never_shown() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let path = data.join("password");
    let (shown, went_well) = typed(&data, &["open sesame\r", "open sesam\r"]);
    assert!(!went_well && !path.exists(), "{shown}");
    assert!(shown.contains("The two passwords differ"), "{shown}");
    let (shown, went_well) = typed(&data, &["half\u{3}"]);
    assert!(!went_well && !path.exists(), "{shown}");
    let (shown, went_well) = typed(&data, &["open sesame\r", "opxx\u{7f}\u{7f}en sesame\r"]);
    assert!(went_well && path.exists(), "{shown}");
    assert!(
        shown.contains("Repeat it") && !shown.contains("sesam"),
        "{shown}"
    );
}
