//! The user's own keys.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::programs::{CHAT_TUI, Home, Server, run};

/// An Ed25519 key that `ssh-keygen` encrypted.
const ENCRYPTED: &str = include_str!("../fixtures/encrypted_key");

fn file(place: &Path, text: &str, mode: u32) -> PathBuf {
    let path = place.join("key");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

#[test]
fn every_nickname_is_given_a_key_at_its_first_start() {
    let (home, server) = (Home::new(), Server::start());
    home.send("localhost", server.port, &[]).is_good(&[]);
    let path = home.state().join("keys").join("bot");
    let key = fs::read_to_string(&path).unwrap();
    assert!(
        key.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----"),
        "{key}"
    );
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    home.send("localhost", server.port, &[]).is_good(&[]);
    assert_eq!(fs::read_to_string(&path).unwrap(), key);
    // Nothing is stored, not even a key.
    let (home, port) = (Home::new(), server.port.to_string());
    let arguments = ["localhost", &port, "stranger", "1", "--no-state"];
    run(&mut home.client(&arguments)).is_good(&[]);
    assert!(!home.state().exists());
}

#[test]
fn a_key_that_others_can_read_is_refused_with_what_to_type() {
    let (home, server) = (Home::new(), Server::start());
    home.send("localhost", server.port, &[]).is_good(&[]);
    let path = home.state().join("keys").join("bot");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = home.send("localhost", server.port, &[]);
    assert_eq!(refused.status, 1);
    let (_, command) = refused.errors.trim().rsplit_once("Type: ").unwrap();
    home.type_command(command);
    home.send("localhost", server.port, &[]).is_good(&[]);
}

#[cfg(target_os = "linux")]
#[test]
fn without_a_terminal_no_passphrase_is_asked_for() {
    let (home, server) = (Home::new(), Server::start());
    let place = tempfile::tempdir().unwrap();
    let key = file(place.path(), ENCRYPTED, 0o600);
    let port = server.port.to_string();
    let arguments = [
        CHAT_TUI,
        "localhost",
        &port,
        "bot",
        "1",
        "--identity",
        key.to_str().unwrap(),
    ];
    // The test may run on a terminal; a session of its own has none.
    let ended = run(&mut home.program("setsid", &arguments));
    assert_eq!(ended.status, 1, "{}", ended.errors);
    assert!(ended.errors.contains("is encrypted"), "{}", ended.errors);
}
