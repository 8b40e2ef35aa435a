//! Clusters whose width terminals disagree about, in real tmux: whatever width it gives them,
//! nothing of an old screen may stay.

use serde_json::json;

use crate::{
    CHAT_TUI,
    host::{Guest, Host},
    tmux::{self, Pane},
};

/// One cluster a line.
const CLUSTERS: &str = include_str!("../fixtures/clusters.txt");

/// Clusters on each screen.
const AT_ONCE: usize = 12;

/// Starts a client in a pane, and the server that it talks to.
fn client(columns: u16, rows: u16) -> (Pane, Guest) {
    let host = Host::new();
    let port = host.port();
    let program = [CHAT_TUI, "localhost", &port, "carol", "3", "--no-state"];
    let mut pane = Pane::start(&program, columns, rows);
    let mut guest = host.join();
    guest.welcome("lab");
    guest.message("alice", "here");
    pane.wait_for("here");
    (pane, guest)
}

/// Compares a screen after many updates with the same screen drawn from nothing.
fn check(pane: &mut Pane, what: &str) {
    let drawn = without_joined(&pane.shows());
    pane.redraw();
    let anew = without_joined(&pane.shows());
    let differ = |(drawn, anew): &(&str, &str)| drawn != anew;
    let different: Vec<_> = drawn.lines().zip(anew.lines()).filter(differ).collect();
    assert!(
        different.is_empty(),
        "{what}: drawn, and drawn anew: {different:#?}"
    );
}

/// Removes characters that may join an emoji or select its form, and blanks: tmux 3.3 forgets a
/// joiner that is the last character of one read, and shows the next one in the next column, or not
/// at all. Where that happens is random.
fn without_joined(screen: &str) -> String {
    let joined: Vec<char> = CLUSTERS
        .chars()
        .zip(CLUSTERS.chars().skip(1))
        .filter(|(before, _)| *before == '\u{200d}')
        .map(|(_, joined)| joined)
        .collect();
    let may_be_lost = |c: char| {
        let selects = matches!(c, ' ' | '\u{200d}' | '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}');
        selects || joined.contains(&c)
    };
    screen.chars().filter(|c| !may_be_lost(*c)).collect()
}

/// Sends clusters in texts, a nickname and the topic, with plain lines between that scroll them.
fn scroll(pane: &mut Pane, guest: &mut Guest, clusters: &[&str], part: usize) {
    for (number, cluster) in clusters.iter().enumerate() {
        guest.message("alice", &format!("ab {cluster}"));
        guest.message("alice", "abcd f");
        guest.message(cluster, &format!("{cluster}{cluster} and x{cluster}y"));
        if number % 4 == 0 {
            guest.topic(&format!("about {cluster}, and {cluster}"));
        }
        // Enough in a row to reach the right edge.
        guest.message(
            "bob",
            &format!("{}{}", "0123456789".repeat(number % 3), cluster.repeat(40)),
        );
        let seen = format!("seen {part}.{number}.");
        guest.message("alice", &seen);
        pane.wait_for(&seen);
        check(pane, cluster);
    }
}

fn all(columns: u16, rows: u16, every: usize) {
    if !tmux::is_there() {
        return;
    }
    let (mut pane, mut guest) = client(columns, rows);
    let clusters: Vec<_> = CLUSTERS.lines().step_by(every).collect();
    for (part, clusters) in clusters.chunks(AT_ONCE).enumerate() {
        scroll(&mut pane, &mut guest, clusters, part);
    }
    guest.say(&json!({"type": "bye", "reason": "disconnect", "message": "bye"}));
}

#[test]
fn nothing_stays_in_a_small_pane() {
    all(70, 14, 1);
}

#[test]
fn nothing_stays_beside_the_member_list() {
    all(100, 30, 2);
}

#[test]
fn nothing_stays_in_a_narrow_pane() {
    all(40, 12, 2);
}

#[test]
fn nothing_stays_where_texts_reach_the_edge() {
    all(20, 6, 2);
}
