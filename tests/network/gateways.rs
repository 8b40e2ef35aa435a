//! Clients behind a gateway, which all come from one private address.

use crate::{
    network::Network,
    programs::{CHAT_SERVER, CHAT_TUI, Server, says_hello},
};

/// The warning about a gateway.
const WARNING: &str = "--access local admits everyone";

/// Returns the server's machine, and its gateway's.
fn behind_a_gateway() -> Option<[Network; 2]> {
    let two = Network::two()?;
    let [server, gateway] = &two;
    server.ip("addr add 172.17.0.2/16 dev near");
    server.ip("route add default via 172.17.0.1");
    server.ip("addr add fd00::2/64 dev near nodad");
    server.ip("-6 route add default via fd00::1");
    gateway.ip("addr add 172.17.0.1/16 dev far");
    gateway.ip("addr add fd00::1/64 dev far nodad");
    Some(two)
}

#[test]
fn a_client_from_the_gateway_joins_and_the_operator_is_warned_once() {
    let Some([inside, gateway]) = behind_a_gateway() else {
        return;
    };
    for (host, from) in [("172.17.0.2", "172.17.0.1"), ("fd00::2", "fd00::1")] {
        let server = Server::start(inside.command(CHAT_SERVER), &[]);
        let mut lines = Vec::new();
        for name in ["bob", "carol"] {
            let client = gateway.command(CHAT_TUI);
            let (came, said) = says_hello(client, &[host, &server.port, name, "1"]);
            assert!(came, "{host}: {said}");
            lines.extend(server.says(&format!("{name} left")));
        }
        let warnings: Vec<_> = lines.iter().filter(|line| line.contains(WARNING)).collect();
        assert_eq!(warnings.len(), 1, "{lines:#?}");
        let words = [
            &format!("from {from}, the gateway"),
            "--access invite",
            &format!("--proxy {from}"),
        ];
        for words in words {
            assert!(warnings[0].contains(words), "{words}: {}", warnings[0]);
        }
    }
}

#[test]
fn there_is_no_warning_about_neighbours_or_where_access_does_not_depend_on_it() {
    let Some([inside, gateway]) = behind_a_gateway() else {
        return;
    };
    // A client on the machine itself, by any address; and the gateway, where only invited users
    // join.
    let server = Server::start(inside.command(CHAT_SERVER), &[]);
    let mut lines = Vec::new();
    for host in ["127.0.0.1", "::1", "172.17.0.2", "fd00::2"] {
        let (came, said) = says_hello(inside.command(CHAT_TUI), &[host, &server.port, "bob", "1"]);
        assert!(came, "{host}: {said}");
        lines.extend(server.says("bob left"));
    }
    // A neighbour: the former gateway is none any more.
    inside.ip("route del default");
    inside.ip("-6 route del default");
    let server = Server::start(inside.command(CHAT_SERVER), &[]);
    for host in ["172.17.0.2", "fd00::2"] {
        let client = gateway.command(CHAT_TUI);
        let (came, said) = says_hello(client, &[host, &server.port, "bob", "1"]);
        assert!(came, "{host}: {said}");
        lines.extend(server.says("bob left"));
    }
    inside.ip("route add default via 172.17.0.1");
    let server = Server::start(inside.command(CHAT_SERVER), &["--access", "invite"]);
    let client = gateway.command(CHAT_TUI);
    let (came, said) = says_hello(client, &["172.17.0.2", &server.port, "bob", "1"]);
    assert!(
        !came && said.contains("admits only users with a key"),
        "{said}"
    );
    lines.extend(server.says("bob refused"));
    assert!(
        !lines.iter().any(|line| line.contains(WARNING)),
        "{lines:#?}"
    );
}
