//! Joining by an invite.

use std::{fs, process::Command};

use chat_tui::protocol::{Fingerprint, Invite, InviteId, InviteKey, InviteToken};

use crate::programs::{CHAT_SERVER, Home, Server, run, run_with};

/// Makes an invite by the operator's command.
pub(crate) fn invite(server: &Server) -> String {
    let output = Command::new(CHAT_SERVER)
        .args(["invite", "--host", "localhost", "--port"])
        .arg(server.port.to_string())
        .arg("--data-dir")
        .arg(server.data())
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn an_invite_names_the_server_and_its_key() {
    let (home, server) = (Home::new(), Server::start());
    let invite = invite(&server);
    run(&mut home.client(&[&invite])).is_good(&[]);
    let known = home.known_hosts();
    assert!(known.contains(&server.key.to_string()), "{known}");
    // As the user of the machine, with the client ID 1.
    assert!(home.state().join("keys").join("carol").exists());
    run(&mut home.client(&[&invite, "bot", "7"])).is_good(&[]);
}

/// Every process of the machine can see the arguments of another.
#[test]
fn an_invite_can_come_from_a_file_or_from_the_first_line_of_the_input() {
    let (home, server) = (Home::new(), Server::start());
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("invite");
    fs::write(&file, format!("{}\n", invite(&server))).unwrap();
    let path = file.to_str().unwrap();
    let by_file = || run(&mut home.client(&["--invite-file", path, "bot"]));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        by_file().is_not_begun("chmod 600");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    by_file().is_good(&[]);
    let arguments = ["--invite-file", "-", "alice", "7"];
    let input = format!("{}\nfirst\nsecond\n", invite(&server));
    run_with(&mut home.client(&arguments), &input).is_good(&[]);
    let port = server.port.to_string();
    let reader = ["localhost", &port, "reader", "1", "--history", "9"];
    let read = run_with(&mut home.client(&reader), "");
    for said in ["first", "second"] {
        assert!(read.output.contains(said), "{said}: {read:?}");
    }
    assert!(!read.output.contains("chat-tui://"), "{read:?}");
}

#[test]
fn an_invite_to_another_server_is_refused_before_anything_is_sent() {
    let (home, server) = (Home::new(), Server::start());
    let invite = invite(&server);
    let server = Server::on(server.end());
    run(&mut home.client(&[&invite])).is_out(&[
        "another key than the one in the invite",
        &server.key.to_string(),
    ]);
    assert_eq!(home.known_hosts(), "");
}

#[test]
fn an_invite_does_not_change_a_known_key() {
    let (home, server) = (Home::new(), Server::start());
    home.send("localhost", server.port, &[]).is_good(&[]);
    let forged = Invite {
        host: "localhost".to_owned(),
        port: server.port,
        fingerprint: Fingerprint::from_bytes([7; 32]),
        token: InviteToken::mint(
            &InviteKey::from_bytes([1; 32]),
            InviteId::from_bytes([1; 8]),
            u64::from(u32::MAX),
            1,
        ),
    };
    run(&mut home.client(&[&forged.expose()])).is_out(&[
        "The invite names another key",
        &forged.fingerprint.to_string(),
        &server.key.to_string(),
    ]);
}

#[test]
fn an_expired_invite_is_reported_unless_the_user_is_admitted_anyway() {
    let (home, server) = (Home::new(), Server::start());
    let expired = Invite {
        host: "localhost".to_owned(),
        port: server.port,
        fingerprint: server.key,
        token: InviteToken::mint(
            &InviteKey::from_bytes([1; 32]),
            InviteId::from_bytes([1; 8]),
            1_700_000_000,
            1,
        ),
    };
    run(&mut home.client(&[&expired.expose()])).is_good(&["The invite expired on 2023-11-1"]);
}
