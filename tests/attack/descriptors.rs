//! More connections than the system gives the server descriptors for.

use std::time::Instant;

use chat_tui::protocol::limits::JOIN_WITHIN;
use serde_json::json;

use crate::{
    bounds,
    pair::Pair,
    peer::{Peer, connect, join, slam, somebody},
    process::Server,
};

/// What the system allows the server.
const DESCRIPTORS: u32 = 128;

#[test]
fn without_descriptors_members_keep_chatting() {
    let mut server = Server::with_descriptors(DESCRIPTORS, &[]);
    let pair = Pair::start(server.address);
    let mut reader = Peer::secure(server.address);
    let welcome = reader.enter(&join("carl"), &somebody(3));
    assert_eq!(welcome["type"], "welcome");
    let crowd: Vec<_> = (0..1_000)
        .filter_map(|_| connect(server.address).ok())
        .collect();
    assert_eq!(crowd.len(), 1_000);
    // Some are left for the log, however many come.
    let words = "can't take new connections for now";
    server.logs(words);
    let open = server.descriptors();
    assert!(open + 8 < DESCRIPTORS as usize, "{open} are open");
    // What is on disk can be read all the same.
    for number in 0..50 {
        reader.send(&json!({"type": "history", "ref": number}));
        let page = reader.next("history");
        assert_eq!(page["ref"], number);
        reader.send(&json!({"type": "search", "query": "line", "ref": number}));
        assert_eq!(reader.next("found")["ref"], number);
    }
    // Whoever is not let in sees it, rather than wait until time is up. (The last may have come when a
    // place was free again: those who say nothing lose theirs to others.)
    let since = Instant::now();
    let mut last = Peer::over(crowd.last().unwrap().try_clone().unwrap());
    if last.try_write(join("last").to_string()).is_ok()
        && let Some(frame) = last.try_frame()
    {
        assert_eq!(frame["type"], "welcome", "{frame}");
    }
    assert!(since.elapsed() < JOIN_WITHIN, "it was left to wait");
    // It is said, and not a thousand times.
    assert!(server.lines_with(words) < 3);
    crowd.iter().for_each(slam);
    drop(crowd);
    // While the crowd is still being taken away, who comes may be turned away once more: as any
    // client does, he tries again.
    let mut honest = Peer::retrying(server.address);
    let welcome = honest.enter(&join("dora"), &somebody(4));
    assert_eq!(welcome["type"], "welcome");
    pair.ends_unharmed("no descriptors");
    server.has_borne_it("no descriptors", bounds::FEW);
}
