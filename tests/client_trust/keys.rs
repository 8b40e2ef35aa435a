//! Servers that are known by their key.

use crate::programs::{Home, Server, older_program, own_address, run, run_with};

#[test]
fn a_first_connection_over_a_network_is_reported_and_the_second_is_not() {
    let Some(address) = own_address() else { return };
    let host = address.to_string();
    let (home, server) = (Home::new(), Server::with(0, &["--access", "open"]));
    let key = server.key.to_string();
    home.send(&host, server.port, &[])
        .is_good(&["First connection to", &key]);
    home.send(&host, server.port, &[]).is_good(&[]);
    let known = home.known_hosts();
    assert!(
        known.contains(&format!("{host}:{} {key} ", server.port)),
        "{known}"
    );
    // Without a place to store it, every time is the first.
    let stranger = Home::new();
    let port = server.port.to_string();
    let arguments = [&host, &port, "stranger", "1", "--no-state"];
    for _ in 0..2 {
        run(&mut stranger.client(&arguments)).is_good(&["First connection to", &key]);
    }
}

#[test]
fn another_key_stops_the_client_and_the_suggested_command_accepts_it() {
    let (home, server) = (Home::new(), Server::start());
    let old = server.key.to_string();
    home.send("localhost", server.port, &[]).is_good(&[]);

    let server = Server::on(server.end());
    let (port, new) = (server.port, server.key.to_string());
    let out = home.send("localhost", port, &[]);
    out.is_out(&[
        "has another key than before",
        "nothing was sent",
        &old,
        &new,
    ]);
    let command = out.command();
    assert_eq!(
        command,
        format!("chat-tui --trust {new} localhost {port} bot 1")
    );
    // The refusal repeats.
    home.send("localhost", port, &[]).is_out(&["another key"]);

    // The unsent line is sent with it.
    home.type_command(&command).is_in();
    home.send("localhost", port, &[]).is_good(&[]);
    let known = home.known_hosts();
    assert!(known.contains(&new) && !known.contains(&old), "{known}");
}

#[test]
fn only_the_key_that_is_given_is_accepted() {
    let (home, server) = (Home::new(), Server::start());
    home.send("localhost", server.port, &[]).is_good(&[]);
    let before = home.known_hosts();
    let other = Server::start();
    let (mine, theirs) = (server.key.to_string(), other.key.to_string());
    home.send("localhost", server.port, &["--trust", &theirs])
        .is_out(&["another key than the one given with --trust", &mine]);
    assert_eq!(home.known_hosts(), before, "what was known stays");
    // For an unknown server, it becomes the known key.
    home.send("localhost", other.port, &["--trust", &mine])
        .is_out(&["another key"]);
    home.send("localhost", other.port, &["--trust", &theirs])
        .is_in();
}

#[test]
fn the_suggested_command_keeps_the_clients_arguments() {
    let (home, server) = (Home::new(), Server::start());
    let place = home.state().join("it's mine");
    let port = server.port.to_string();
    let place = place.to_str().unwrap();
    let arguments = [
        "--state-dir",
        place,
        "localhost",
        &port,
        "Carol O'Hara",
        "1",
    ];
    let run = || run(&mut home.client(&arguments));
    run().is_good(&[]);
    let server = Server::on(server.end());
    let out = run();
    out.is_out(&["another key"]);
    home.type_command(&out.command()).is_in();
    run().is_good(&[]);
    drop(server);
}

#[test]
fn a_known_server_is_not_contacted_unencrypted_until_it_is_forgotten() {
    let (home, server) = (Home::new(), Server::start());
    let port = server.port;
    home.send("localhost", port, &[]).is_good(&[]);
    home.send("localhost", port, &["--plaintext"])
        .is_out(&["start without --plaintext"]);

    drop(server);
    older_program(port);
    let out = home.send("localhost", port, &[]);
    out.is_out(&["does not encrypt, although it must"]);
    assert_eq!(out.command(), format!("chat-tui --forget localhost {port}"));
    let forgotten = home.type_command(&out.command());
    assert_eq!(forgotten.status, 0);
    assert!(forgotten.output.contains("is forgotten"), "{forgotten:?}");
    assert!(!home.known_hosts().contains("localhost"));
    let again = home.type_command(&out.command());
    assert!(again.output.contains("No key was stored"), "{again:?}");
}

#[test]
fn plaintext_connects_without_encryption() {
    let (home, server) = (Home::new(), Server::start());
    home.send("localhost", server.port, &["--plaintext"])
        .is_good(&[]);
    assert_eq!(home.known_hosts(), "", "nothing was learnt");
}

#[test]
fn nothing_is_sent_unencrypted_to_another_machine_without_plaintext() {
    let Some(address) = own_address() else { return };
    let host = address.to_string();
    let home = Home::new();
    let port = Server::start().end();
    older_program(port);
    let out = home.send(&host, port, &[]);
    out.is_out(&["does not encrypt, so nothing was sent"]);
    assert_eq!(
        out.command(),
        format!("chat-tui --plaintext {host} {port} bot 1")
    );
}

#[test]
fn a_damaged_line_of_known_servers_is_named() {
    let (home, server) = (Home::new(), Server::start());
    home.send("localhost", server.port, &[]).is_good(&[]);
    let file = home.state().join("known_hosts");
    let good = home.known_hosts();
    std::fs::write(&file, good.replace(" 2", " x2")).unwrap();
    home.send("localhost", server.port, &[]).is_out(&[
        "Line 1 of",
        file.to_str().unwrap(),
        "repair or delete that line",
    ]);
}

/// Servers are not distinguished by the spelling of their name: they share one key and one outbox.
#[test]
fn one_server_in_several_spellings_has_one_key_and_one_outbox() {
    let (home, server) = (Home::new(), Server::start());
    home.send("localhost", server.port, &[]).is_good(&[]);
    let port = server.end();
    // No server listens: the line waits on the disk.
    for spelling in ["LOCALHOST", "localhost."] {
        home.send(spelling, port, &["--timeout", "1"]).is_out(&[]);
    }
    let server = Server::on(port);
    for spelling in ["LocalHost", "localhost."] {
        let refused = home.send(spelling, port, &["--timeout", "1"]);
        refused.is_out(&["localhost:", "has another key than before"]);
    }
    let word = port.to_string();
    run(&mut home.client(&["--forget", "LOCALHOST.", &word])).is_good(&[]);
    home.send("localhost", port, &[]).is_in();
    let known = home.known_hosts();
    let lines: Vec<_> = known.lines().filter(|line| !line.is_empty()).collect();
    let [line] = lines[..] else {
        panic!("{known}");
    };
    assert!(line.starts_with(&format!("localhost:{port} {}", server.key)));
    let read = ["LOCALHOST", &word, "reader", "1", "--history", "9"];
    let read = run_with(&mut home.client(&read), "");
    let said = read.output.lines().filter(|line| line.ends_with("hello"));
    // Four lines that had to wait, and the last one.
    assert_eq!(said.count(), 5, "{read:?}");
    drop(server);
}
