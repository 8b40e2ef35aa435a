//! The server's listening addresses, and the clients that reach them.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener},
    process::{Command, Stdio},
};

use crate::{
    families::over_both,
    network::Network,
    programs::{CHAT_SERVER, CHAT_TUI, Server, says_hello},
};

#[test]
fn a_server_listens_on_ipv4_and_ipv6_or_on_the_only_one() {
    let Some(machine) = Network::alone() else {
        return;
    };
    let comes = |server: &Server, host: &str| {
        let client = machine.command(CHAT_TUI);
        let (came, said) = says_hello(client, &[host, &server.port, "bob", "1"]);
        assert!(came, "{host}: {said}");
        server.says("bob left");
    };
    let server = Server::start(machine.command(CHAT_SERVER), &[]);
    over_both(|address| comes(&server, &address.to_string()));
    machine.runs("sysctl", "-qw net.ipv6.conf.all.disable_ipv6=1");
    // The server that runs already, and one that is started then.
    comes(&server, "127.0.0.1");
    let server = Server::start(machine.command(CHAT_SERVER), &[]);
    comes(&server, "127.0.0.1");
}

#[test]
fn an_address_of_one_interface_is_named_with_it() {
    let Some([here, there]) = Network::two() else {
        return;
    };
    here.ip("addr add fe80::5/64 dev near nodad");
    there.ip("addr add fe80::6/64 dev far nodad");
    let server = Server::start(here.command(CHAT_SERVER), &["--bind", "fe80::5%near"]);
    for host in ["fe80::5%far", "[fe80::5%far]"] {
        let client = there.command(CHAT_TUI);
        let (came, said) = says_hello(client, &[host, &server.port, "bob", "1"]);
        assert!(came, "{host}: {said}");
        // The log names the interface of the client's address.
        let lines = server.says("bob joined");
        let joined = lines.last().unwrap();
        assert!(
            joined.contains("from [fe80::") && joined.contains('%'),
            "{joined}"
        );
        server.says("bob left");
    }
    // An interface may come up; an address without one never will.
    for (bind, code, words) in [
        ("fe80::5", 2, "--bind fe80::5%eth0"),
        ("fe80::5%nowhere", 1, "no address fe80::5"),
        ("fe80::5%", 2, "fe80::1%eth0"),
    ] {
        let mut command = here.command(CHAT_SERVER);
        let output = command
            .args(["--ephemeral", "0", "--bind", bind])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{bind}: {said}");
        assert!(said.contains(words), "{bind}: {said}");
    }
}

/// Another program has the port for one family: clients must not reach that by one name of this
/// machine, and the server by another.
#[test]
fn a_port_that_another_program_has_in_one_family_is_not_shared() {
    over_both(|address| {
        let other = TcpListener::bind((address, 0)).unwrap();
        let port = other.local_addr().unwrap().port().to_string();
        let refused = |program: &str, arguments: &[&str]| {
            let home = tempfile::tempdir().unwrap();
            let output = Command::new(program)
                .args(arguments)
                .env("HOME", home.path())
                .env("XDG_DATA_HOME", home.path())
                .env("XDG_STATE_HOME", home.path())
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            let words = format!("Port {port} is already in use");
            assert!(
                !output.status.success() && said.contains(&words),
                "{address}: {said}"
            );
        };
        refused(CHAT_SERVER, &["--ephemeral", &port]);
        // A user who hosts by the other address is told so, rather than joined to that by some of
        // its names.
        let free: IpAddr = match address {
            IpAddr::V4(_) => Ipv6Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv4Addr::LOCALHOST.into(),
        };
        if TcpListener::bind((free, 0)).is_ok() {
            let free = free.to_string();
            refused(
                CHAT_TUI,
                &[&free, &port, "carol", "3", "--serve", "--plain"],
            );
        }
    });
}
