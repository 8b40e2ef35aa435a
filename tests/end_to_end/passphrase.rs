//! An encrypted key: the client asks for its passphrase before the screen opens, and never shows
//! it.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::{
    process::{CHAT_TUI, Server},
    terminal::Terminal,
};

/// Encrypted with the passphrase "sesame".
const ENCRYPTED: &str = include_str!("../fixtures/encrypted_key");

fn start(server: &Server, place: &tempfile::TempDir) -> Terminal {
    let key = place.path().join("key");
    fs::write(&key, ENCRYPTED).expect("a file");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("its owner's");
    let key = key.to_str().expect("a path");
    let port = server.port();
    let arguments = ["localhost", &port, "carol", "3", "--identity", key];
    let terminal = Terminal::start(CHAT_TUI, &arguments, 100, 30);
    terminal.wait_for("Passphrase of");
    terminal
}

#[test]
fn the_passphrase_opens_the_key_and_is_shown_nowhere() {
    let server = Server::start();
    let place = tempfile::tempdir().expect("a folder");
    let mut carol = start(&server, &place);
    carol.line("wrong");
    carol.wait("asked again", |screen| {
        screen.contents().matches("Passphrase of").count() == 2
    });
    carol.line("sesame");
    carol.wait_for("type a message");
    server.logs("carol joined");
    carol.line("q!");
    assert!(carol.ended().success());
    let shown = String::from_utf8_lossy(&carol.raw()).into_owned();
    assert!(
        !shown.contains("sesame") && !shown.contains("wrong"),
        "{shown}"
    );
}

#[test]
fn ctrl_c_instead_of_a_passphrase_leaves_the_terminal_as_it_was() {
    let server = Server::start();
    let place = tempfile::tempdir().expect("a folder");
    let mut carol = start(&server, &place);
    carol.keys("ses\u{3}");
    let status = carol.ended();
    assert!(!status.success());
    assert!(
        carol.text().contains("no passphrase was given"),
        "{}",
        carol.text()
    );
}
