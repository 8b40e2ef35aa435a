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

/// The server's descriptor limit.
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
    // Some remain for the log, however many connections come.
    let words = "can't accept new connections for now";
    server.logs(words);
    let open = server.descriptors();
    assert!(open + 8 < DESCRIPTORS as usize, "{open} are open");
    // Messages on disk can still be read.
    for number in 0..50 {
        reader.send(&json!({"type": "history", "ref": number}));
        let page = reader.next("history");
        assert_eq!(page["ref"], number);
        reader.send(&json!({"type": "search", "query": "line", "ref": number}));
        assert_eq!(reader.next("found")["ref"], number);
    }
    // A refused client sees it at once, rather than wait for a timeout. (The last may have come
    // when a place was free again: silent clients are evicted.)
    let since = Instant::now();
    let mut last = Peer::over(crowd.last().unwrap().try_clone().unwrap());
    if last.try_write(join("last").to_string()).is_ok()
        && let Some(frame) = last.try_frame()
    {
        assert_eq!(frame["type"], "welcome", "{frame}");
    }
    assert!(since.elapsed() < JOIN_WITHIN, "it was left to wait");
    // It is logged, but not for each connection.
    assert!(server.lines_with(words) < 3);
    crowd.iter().for_each(slam);
    drop(crowd);
    // While the crowd is still being closed, a client may be refused once more; it tries again, as
    // any client does.
    let mut honest = Peer::retrying(server.address);
    let welcome = honest.enter(&join("dora"), &somebody(4));
    assert_eq!(welcome["type"], "welcome");
    pair.ends_unharmed("no descriptors");
    server.has_borne_it("no descriptors", bounds::FEW);
}
