//! Credentials that admit a new key: invites, passwords, codes.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use crate::{
    invites::invite,
    programs::{CHAT_SERVER, Home, Server, run, run_with},
};

#[test]
fn an_invite_admits_one_key_for_good() {
    let (carol, eve) = (Home::new(), Home::new());
    let server = Server::with(0, &["--access", "invite"]);
    let invite = invite(&server);
    carol
        .send("localhost", server.port, &[])
        .is_out(&["invite"]);
    run(&mut carol.client(&[&invite, "bot"])).is_in();
    carol.send("localhost", server.port, &[]).is_good(&[]);
    // It is used up for others, but still works for the user whom it admitted.
    run(&mut carol.client(&[&invite, "bot"])).is_good(&[]);
    run(&mut eve.client(&[&invite, "eve"])).is_out(&["invite"]);
}

#[test]
fn an_invite_admits_a_client_without_state_for_one_run() {
    let home = Home::new();
    let server = Server::with(0, &["--access", "invite"]);
    let invite = invite(&server);
    run(&mut home.client(&[&invite, "bot", "--no-state"])).is_in();
    assert!(!home.state().exists());
    // Its key is gone, and the invite is used up.
    run(&mut home.client(&[&invite, "bot", "--no-state"])).is_out(&["invite"]);
}

#[test]
fn a_password_admits_a_key_and_is_not_needed_again() {
    let home = Home::new();
    let data = tempfile::tempdir().unwrap();
    let mut setting = Command::new(CHAT_SERVER)
        .args(["password", "--data-dir"])
        .arg(data.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = setting.stdin.take().unwrap();
    input.write_all(b"open sesame\n").unwrap();
    drop(input);
    assert!(setting.wait().unwrap().success());
    let server = Server::of(data, 0, &["--access", "password"]);

    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("password");
    let with = |password: &str| {
        fs::write(&file, format!("{password}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let file = file.to_str().unwrap();
        home.send("localhost", server.port, &["--password-file", file])
    };
    home.send("localhost", server.port, &[])
        .is_out(&["--password-file FILE"]);
    with("open barley").is_out(&["password"]);
    with("open sesame").is_in();
    home.send("localhost", server.port, &[]).is_good(&[]);
}

#[test]
fn a_code_makes_two_machines_one_member() {
    let (desk, sofa) = (Home::new(), Home::new());
    let server = Server::with(0, &["--access", "local"]);
    let port = server.port.to_string();
    let mut first = desk
        .client(&["localhost", &port, "carol", "1", "--follow", "--commands"])
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(first.stderr.take().unwrap()).lines();
    let mut input = first.stdin.take().unwrap();
    let connected = |line: std::io::Result<String>| line.unwrap().contains("Connected");
    assert!(lines.any(connected));
    // The nickname belongs to the other key.
    run(&mut sofa.client(&["localhost", &port, "carol", "2"])).is_refused("already in use");
    writeln!(input, "/device add").unwrap();
    let is_code = |word: &str| {
        let groups: Vec<_> = word.split('-').collect();
        let base32 = |c: char| c.is_ascii_lowercase() || ('2'..='7').contains(&c);
        groups.len() == 2 && groups.iter().all(|g| g.len() == 4 && g.chars().all(base32))
    };
    let code = loop {
        let line = lines.next().expect("a code").unwrap();
        if let Some(code) = line.split_whitespace().find(|word| is_code(word)) {
            break code.to_owned();
        }
    };
    let with = |code: &str| {
        run(&mut sofa.client(&["localhost", &port, "carol", "2", "--device-code", code]))
    };
    with("aaaa-aaaa").is_out(&["--device-code-file FILE"]);
    // From standard input, where no other process sees it.
    let from_input = ["localhost", &port, "carol", "2", "--device-code-file", "-"];
    let input = format!("{code}\nhello\n");
    run_with(&mut sofa.client(&from_input), &input).is_in();
    run(&mut sofa.client(&["localhost", &port, "carol", "2"])).is_good(&[]);
    drop(input);
    first.kill().unwrap();
    first.wait().unwrap();
}
