//! The highest message numbers, sent by a client that wants to use them up.

use serde_json::json;

use crate::{
    bounds,
    pair::Pair,
    peer::{Peer, join},
    process::Server,
};

/// The highest number of the protocol.
const LAST: u64 = (1 << 53) - 1;

#[test]
fn no_message_number_ends_the_server() {
    let mut server = Server::start(&[]);
    let pair = Pair::start(server.address);
    let mut reader = Peer::plain(server.address);
    reader.send(&join("reader"));
    reader.next("welcome");

    // A legacy client can't choose its numbers.
    let mut basic = Peer::plain(server.address);
    basic.send(&json!({
        "type": "join", "nickname": "eve", "clientID": "4", "timestamp": "x", "next": LAST,
    }));
    let said = json!({"type": "message", "nickname": "eve", "message": "basic", "timestamp": "x"});
    for _ in 0..3 {
        basic.send(&said);
        let heard = heard(&mut reader, "basic");
        let (_, number) = heard.rsplit_once('-').unwrap();
        assert!(number.parse::<u64>().unwrap() <= LAST, "{heard}");
    }

    // A client that claims that its numbers are used up is refused, and loses none.
    let wish = join("mallory");
    let mut first = wish.clone();
    first["next"] = json!(LAST);
    let mut client = Peer::plain(server.address);
    client.send(&first);
    assert_eq!(client.last_words().last().unwrap(), "bad_id");
    let mut client = Peer::plain(server.address);
    client.send(&wish);
    client.next("welcome");
    client.send(&json!({"type": "message", "message": "numbered"}));
    assert!(heard(&mut reader, "numbered").ends_with("-1"));

    pair.ends_unharmed("numbers");
    server.has_borne_it("numbers", bounds::FEW);

    // The log can still be read, by this server and by clients.
    let server = server.again(&[]);
    let mut reader = Peer::plain(server.address);
    let mut all = join("later");
    all["last"] = json!(100);
    reader.send(&all);
    reader.next("welcome");
    heard(&mut reader, "basic");
    heard(&mut reader, "numbered");
}

/// Returns the id of the next message with this text.
fn heard(reader: &mut Peer, text: &str) -> String {
    loop {
        let message = reader.next("message");
        if message["message"] == text {
            return message["id"].as_str().unwrap().to_owned();
        }
    }
}
