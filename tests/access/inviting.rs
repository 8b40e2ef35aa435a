//! `chat-server invite`.

use std::{fs, io::Write, os::unix::fs::PermissionsExt, process::Stdio};

use chat_tui::protocol::InviteKey;

use crate::harness::{Server, invite, now, program, refused};

#[test]
fn an_invite_is_made_beside_a_server_and_without_it() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    drop(Server::start(&data, &[]));
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
fn an_invite_needs_a_directory_in_which_a_server_was_started() {
    let home = tempfile::tempdir().unwrap();
    let slip = home.path().join("slip");
    refused(&slip, &["invite"], "No server was ever started with");
    assert!(!slip.exists());
    fs::create_dir(&slip).unwrap();
    refused(&slip, &["invite"], "--data-dir DIR");
    assert_eq!(fs::read_dir(&slip).unwrap().count(), 0);
    // A password may be set before the first start, but the command says so.
    let mut command = program(&slip, &["password"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"open sesame\n").unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && said.contains("no server was started"),
        "{said}"
    );
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
fn invite_errors_say_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    drop(Server::start(&data, &[]));
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
