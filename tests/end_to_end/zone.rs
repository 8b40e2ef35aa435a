//! A user travels while they chat.

use std::{fs, path::Path};

use crate::{
    conversation::signal,
    process::{CHAT_TUI, Server},
    terminal::Terminal,
};

/// The row of a text on a screen.
fn row(screen: &vt100::Screen, text: &str) -> Option<String> {
    screen.rows(0, 100).find(|row| row.contains(text))
}

#[test]
#[allow(clippy::print_stdout, reason = "what a test leaves out is told")]
fn times_follow_the_systems_zone() {
    let zones = Path::new("/usr/share/zoneinfo");
    let (from, to) = (zones.join("Pacific/Auckland"), zones.join("Asia/Kolkata"));
    if !from.exists() || !to.exists() {
        assert!(std::env::var_os("CI").is_none(), "CI needs time zones");
        println!("skipped: no time zones are installed");
        return;
    }
    let place = tempfile::tempdir().expect("a folder");
    let zone = place.path().join("localtime");
    fs::copy(&from, &zone).expect("a zone");
    let server = Server::start();
    let port = server.port();
    let variable = format!(":{}", zone.display());
    let mut carol = Terminal::start_in(
        CHAT_TUI,
        &["localhost", &port, "carol", "3"],
        100,
        30,
        &[("TZ", &variable)],
    );
    carol.wait_for("● encrypted");
    carol.line("what time is it");
    carol.wait("the time", |screen| {
        row(screen, "what time is it").is_some_and(|row| row.contains("carol"))
    });
    let mut before = None;
    carol.wait("a row", |screen| {
        before = row(screen, "what time is it");
        before.is_some()
    });
    // It replaces the old one, as a symbolic link is usually replaced.
    let new = place.path().join("new");
    fs::copy(&to, &new).expect("a zone");
    fs::rename(&new, &zone).expect("the zone");
    // The client checks it once a minute, and whenever it continues after a stop.
    signal(carol.pid(), "CONT");
    carol.wait("the time there", |screen| {
        let now = row(screen, "what time is it");
        now.is_some_and(|now| now[..6] != before.as_ref().expect("a row")[..6])
    });
}
