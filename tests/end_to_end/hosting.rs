//! `--serve`: one command hosts and joins.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
#[cfg(target_os = "linux")]
use std::{os::fd::OwnedFd, time::Instant};

#[cfg(target_os = "linux")]
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

use crate::{
    conversation::signal,
    families::{over_both, skip::skip},
    process::{CHAT_SERVER, CHAT_TUI},
    terminal::{PATIENCE, Terminal},
};

/// A port that is free for IPv4 and IPv6, where the machine has both.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0))
        .or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)))
        .expect("a free port");
    listener.local_addr().expect("an address").port()
}

fn listens(port: u16) -> bool {
    TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_ok()
}

fn host(host: &str, port: u16, home: &std::path::Path) -> Terminal {
    let home = home.to_str().expect("a path");
    let arguments = [host, &port.to_string(), "carol", "3", "--serve"];
    Terminal::start_in(
        CHAT_TUI,
        &arguments,
        80,
        24,
        &[
            ("HOME", home),
            ("XDG_STATE_HOME", home),
            ("XDG_DATA_HOME", home),
        ],
    )
}

fn guest(host: &str, port: u16) -> Terminal {
    Terminal::start(CHAT_TUI, &[host, &port.to_string(), "bob", "4"], 80, 24)
}

#[test]
fn a_host_alone_stops_the_server_on_leaving() {
    over_both(|address| {
        let home = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let mut carol = host(&address.to_string(), port, home.path());
        carol.wait_for("● encrypted");
        assert!(listens(port));
        carol.line("q!");
        assert!(carol.ended().success());
        assert!(!listens(port), "the server goes on");
    });
}

#[test]
fn a_host_with_members_is_asked_whether_the_server_keeps_running() {
    over_both(|address| {
        let home = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let mut carol = host(&address.to_string(), port, home.path());
        carol.wait_for("● encrypted");
        let mut bob = guest(&address.to_string(), port);
        bob.wait_for("● encrypted");
        carol.wait_for("Members 2");
        carol.line("q!");
        carol.wait_for("Keep it running");
        carol.keys("k");
        assert!(carol.ended().success());
        let said = carol.text();
        let Some((_, after)) = said.split_once("kill ") else {
            panic!("how to stop it is not said:\n{said}");
        };
        let pid: String = after.chars().take_while(char::is_ascii_digit).collect();
        bob.wait_for("carol left");
        bob.line("still here");
        bob.wait_for("✓");
        signal(pid.parse().expect("a process ID"), "TERM");
        bob.wait_for("stopp");
    });
}

#[test]
fn a_host_is_told_who_can_join_and_how_to_own_the_server() {
    over_both(|address| {
        let home = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let mut carol = host(&address.to_string(), port, home.path());
        carol.wait_for("NICKNAME 1");
        carol.wait_for("● encrypted");
        let mut code = String::new();
        // All of it: a screen is not painted at once.
        carol.wait("a code", |screen| {
            let said = screen.contents();
            let told = said.split_once("/owner ");
            let told = told.and_then(|(_, rest)| rest.split_whitespace().next());
            code = told.unwrap_or_default().to_owned();
            code.len() == "aaaa-bbbb-cccc-dddd".len()
        });
        let said = carol.text();
        assert!(said.contains("Others on your"), "{said}");
        assert!(said.contains(&format!("THIS-MACHINE {port}")), "{said}");
        carol.line(&format!("/owner {code}"));
        carol.wait_for("◆");
    });
}

/// At any moment: before the server listens, once it does, and once the host has joined.
#[cfg(target_os = "linux")]
#[test]
fn a_host_in_a_hurry_leaves_no_server_behind() {
    let home = tempfile::tempdir().expect("a folder");
    for stage in 0..3 {
        let port = free_port();
        let mut carol = host("localhost", port, home.path());
        let server = server_on(port);
        match stage {
            0 => {}
            1 => carol.wait_for("carol"),
            _ => carol.wait_for("● encrypted"),
        }
        carol.keys("\x03\x03");
        let code = carol.ended().exit_code();
        assert!([0, 130].contains(&code), "{stage}: {code}");
        assert!(ends(&server), "{stage}: the server goes on");
    }
}

/// Returns the process that `--serve` starts, as soon as it exists. There is no event to wait for.
#[cfg(target_os = "linux")]
fn server_on(port: u16) -> OwnedFd {
    let line = format!("\0__server\0{port}\0");
    let begin = Instant::now();
    loop {
        let processes = std::fs::read_dir("/proc").expect("processes").flatten();
        for process in processes {
            // A process that has ended has no command line any more.
            let said = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&said).contains(&line) {
                let number = process
                    .file_name()
                    .to_str()
                    .and_then(|name| name.parse().ok());
                let number = Pid::from_raw(number.expect("a process ID")).expect("one");
                return pidfd_open(number, PidfdFlags::empty()).expect("a process");
            }
        }
        assert!(begin.elapsed() < PATIENCE, "no server is started");
        std::thread::yield_now();
    }
}

/// Waits until a process has ended, and returns whether it does in time.
#[cfg(target_os = "linux")]
fn ends(process: &OwnedFd) -> bool {
    let patience = Timespec::try_from(PATIENCE).expect("a time");
    let mut ended = [PollFd::new(process, PollFlags::IN)];
    poll(&mut ended, Some(&patience)).expect("it can be waited for") > 0
}

#[test]
fn nothing_is_hosted_by_accident() {
    let port = free_port();
    let carol = Terminal::start(
        CHAT_TUI,
        &["localhost", &port.to_string(), "carol", "3"],
        80,
        24,
    );
    carol.wait_for("Nothing is listening");
    assert!(!listens(port));
}

#[test]
fn hosting_on_another_machine_is_refused_in_words() {
    let arguments = ["192.0.2.1", "10500", "carol", "3", "--serve"];
    let output = std::process::Command::new(CHAT_TUI)
        .args(arguments)
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("localhost"), "{said}");
}

#[test]
fn a_server_on_a_terminal_says_once_where_it_listens() {
    let server = Terminal::start(
        CHAT_SERVER,
        &["--bind", "127.0.0.1", "--ephemeral", "0"],
        160,
        24,
    );
    server.wait_for("join with: chat-tui HOST");
    let text = server.text();
    let after = text.split("chat-tui HOST ").nth(1).expect("how to join");
    let port = after.split(' ').next().expect("a port");
    // Once a user has joined, all messages about the start have been shown.
    let bob = guest("localhost", port.parse().expect("a port"));
    bob.wait_for("● encrypted");
    server.wait_for("bob joined");
    let text = server.text();
    assert_eq!(text.matches("listening on").count(), 1, "{text}");
}

/// On many systems `localhost` is `::1` first. The README's "Try it".
#[cfg(target_os = "linux")]
#[test]
fn hosting_and_joining_work_where_localhost_is_ipv6_first() {
    let home = tempfile::tempdir().expect("a folder");
    let hosts = home.path().join("hosts");
    std::fs::write(&hosts, "::1 localhost\n127.0.0.1 localhost\n").expect("a file");
    let script = format!(
        "mount --bind '{}' /etc/hosts && exec \"$0\" \"$@\"",
        hosts.display()
    );
    let there = ["--mount", "sh", "-c", &script];
    let can = std::process::Command::new("unshare")
        .args(there)
        .arg("true")
        .stderr(std::process::Stdio::null())
        .status();
    if !can.is_ok_and(|status| status.success()) {
        return skip("where localhost is ::1 first: it takes root, unshare and mount");
    }
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return skip("where localhost is ::1 first: this machine has no IPv6");
    }
    let port = free_port().to_string();
    let start = |home: &std::path::Path, arguments: &[&str]| {
        let home = home.to_str().expect("a path");
        let all = [&there[..], &[CHAT_TUI, "localhost", &port], arguments].concat();
        let homes = ["HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"].map(|name| (name, home));
        Terminal::start_in("unshare", &all, 80, 24, &homes)
    };
    let mut carol = start(home.path(), &["carol", "3", "--serve"]);
    carol.wait_for("● encrypted");
    let others = tempfile::tempdir().expect("a folder");
    let mut bob = start(others.path(), &["bob", "4"]);
    bob.wait_for("● encrypted");
    carol.wait_for("Members 2");
    bob.line("good morning");
    carol.wait_for("good morning");
    // They came by IPv6, or the test shows nothing.
    let log = home.path().join(format!("chat-tui/server-{port}.log"));
    let log = std::fs::read_to_string(&log).expect("a log");
    for name in ["carol", "bob"] {
        let line = log
            .lines()
            .find(|line| line.contains(&format!("{name} joined")));
        assert!(
            line.is_some_and(|line| line.contains("from [::1]:")),
            "{log}"
        );
    }
    bob.line("q!");
    assert!(bob.ended().success());
    carol.line("q!");
    assert!(carol.ended().success());
}
