//! Tests of edits and redactions through the whole core: who may, and what others get.

use super::*;
use crate::protocol::{
    Content, Entry, EntryKind, MessageId,
    frame::{ChangesRequest, RoomStart, Submission},
    limits::NUMBER_MAX,
};
use crate::server::core::testing::id;
use crate::text::Body;

fn submit(name: &str, counter: u64, content: Content) -> ClientFrame {
    ClientFrame::Submit(Submission {
        room: RoomId::LOBBY,
        id: Some(id(name, counter)),
        content: Ok(content),
    })
}

fn edit(name: &str, counter: u64, target: MessageId, text: &str) -> ClientFrame {
    let body = Body::parse(text).unwrap();
    submit(name, counter, Content::Edit { target, body })
}

fn erase(name: &str, counter: u64, target: MessageId) -> ClientFrame {
    let reason = None;
    submit(name, counter, Content::Redaction { target, reason })
}

/// Everything of the room's history, as a client gets it.
fn history(world: &mut World, name: &str) -> Vec<Entry> {
    let request = ClientFrame::History(HistoryRequest {
        room: RoomId::LOBBY,
        part: Part::Forward { from: 1, to: 99 },
        reference: None,
    });
    world.hears(name);
    world.post_frame(name, &request);
    let heard = std::mem::take(&mut world.client(name).heard);
    let page = heard.into_iter().find_map(|frame| match frame {
        ServerFrame::History(page) => Some(page.entries),
        _ => None,
    });
    page.expect("a page")
}

impl World {
    /// All that a client hears that joins now.
    fn late(&mut self, name: &'static str) -> String {
        let heard = self.enter(name, &key(name), FAR, join(name));
        heard.join("\n") + "\n"
    }

    /// What a client that joins is told of the lobby.
    fn welcome(&mut self, name: &'static str) -> RoomStart {
        self.connect(name);
        let mut bytes = Vec::new();
        let wish = ClientFrame::Join(Box::new(join(name)));
        crate::protocol::wire::encode_client(&wish, &mut bytes);
        self.post(name, &bytes);
        let heard = std::mem::take(&mut self.client(name).heard);
        let welcome = heard.into_iter().find_map(|frame| match frame {
            ServerFrame::Welcome(welcome) => Some(welcome),
            _ => None,
        });
        welcome.expect("a welcome").rooms.remove(0)
    }
}

/// Alice is the owner, bob a member, and mod a moderator. Bob has written two messages.
fn world() -> World {
    let mut world = World::with_owner();
    for name in ["bob", "carol", "mod"] {
        world.comes(name, FAR);
    }
    let (nickname, role) = (nick("mod"), Role::Moderator);
    world.orders("alice", AdminCommand::Role { nickname, role });
    world.say("bob", &message("bob", 1, "one"));
    world.say("bob", &message("bob", 2, "two"));
    for name in ["alice", "bob", "carol", "mod"] {
        world.hears(name);
    }
    world
}

#[test]
fn an_edit_reaches_everybody_and_who_comes_later_gets_the_new_text_alone() {
    let mut world = world();
    let heard = world.say("bob", &edit("bob", 3, id("bob", 1), "won"));
    assert_eq!(heard, ["3 bob edits bob-1: won"]);
    assert_eq!(world.hears("carol"), heard);
    let page = history(&mut world, "carol");
    let texts: Vec<_> = page
        .iter()
        .map(|entry| (entry.seq, entry.words()))
        .collect();
    assert_eq!(
        texts,
        [(1, "won"), (2, "two")],
        "an edit has no place of its own"
    );
    assert_eq!(page[0].rev(), 3);
    // Delivered from memory, too: the old text is nowhere any more.
    let late = world.late("dave");
    assert!(late.contains("1 bob: won (edited 3)"), "{late}");
    assert!(late.contains("3 bob edits bob-1: won"), "{late}");
    // The second one takes the first one's text away.
    world.say("bob", &edit("bob", 4, id("bob", 1), "five"));
    let late = world.late("eve");
    assert!(late.contains("1 bob: five (edited 4)"), "{late}");
    assert!(late.contains("3 bob edits bob-1\n"), "{late}");
    assert!(!late.contains("won"), "{late}");
}

#[test]
fn who_may_not_is_refused_for_good_and_the_next_message_goes_on() {
    let mut world = world();
    let others = edit("carol", 1, id("bob", 1), "mine");
    assert_eq!(world.say("carol", &others), ["error not_allowed 1"]);
    let others = erase("carol", 2, id("bob", 1));
    assert_eq!(world.say("carol", &others), ["error not_allowed 2"]);
    let nothing = erase("carol", 3, id("bob", 77));
    assert_eq!(world.say("carol", &nothing), ["error gone 3"]);
    // A moderator may erase what others wrote, but not put words into their mouths.
    let words = edit("mod", 1, id("bob", 1), "I agree");
    assert_eq!(world.say("mod", &words), ["error not_allowed 1"]);
    let heard = world.say("carol", &message("carol", 4, "sorry"));
    assert_eq!(heard, ["3 carol: sorry"]);
    let same = edit("bob", 3, id("bob", 1), "one");
    assert_eq!(
        world.say("bob", &same),
        ["3 carol: sorry", "ack 3 Unchanged"]
    );
}

#[test]
fn a_moderator_erases_and_nothing_of_it_is_left() {
    let mut world = world();
    world.say("bob", &edit("bob", 3, id("bob", 1), "won"));
    world.hears("carol");
    let heard = world.say("mod", &erase("mod", 1, id("bob", 1)));
    assert_eq!(heard.last().unwrap(), "4 mod erases bob-1");
    assert_eq!(world.hears("carol"), ["4 mod erases bob-1"]);
    let page = history(&mut world, "carol");
    assert!(matches!(&page[0].kind, EntryKind::Tombstone(tombstone)
        if tombstone.redacted == 4 && tombstone.by == Some(nick("mod"))));
    let again = erase("bob", 4, id("bob", 1));
    assert_eq!(
        world.say("bob", &again),
        ["4 mod erases bob-1", "ack 4 Unchanged"]
    );
    let late = edit("bob", 5, id("bob", 1), "but…");
    assert_eq!(world.say("bob", &late), ["error gone 5"]);
    let late = world.late("dave");
    assert!(late.contains("1 bob erased by 4"), "{late}");
    assert!(!late.contains("one") && !late.contains("won"), "{late}");
}

#[test]
fn the_muted_may_erase_their_own_and_edit_nothing() {
    let mut world = world();
    world.orders(
        "alice",
        AdminCommand::Mute {
            nickname: nick("bob"),
            seconds: None,
            reason: None,
        },
    );
    world.hears("bob");
    let louder = edit("bob", 3, id("bob", 1), "ONE");
    assert_eq!(world.say("bob", &louder), ["error not_allowed 3"]);
    let own = erase("bob", 4, id("bob", 1));
    assert_eq!(world.say("bob", &own), ["3 bob erases bob-1"]);
}

#[test]
fn what_was_changed_is_told_at_the_join_and_page_by_page() {
    let mut world = world();
    world.say("bob", &edit("bob", 3, id("bob", 1), "won"));
    world.say("bob", &erase("bob", 4, id("bob", 2)));
    world.post_frame("carol", &message("carol", 1, "x"));
    world.hears("carol");
    let changes = |since, erased| {
        ClientFrame::Changes(ChangesRequest {
            room: RoomId::LOBBY,
            since,
            to: NUMBER_MAX,
            erased,
            reference: None,
        })
    };
    let mut ask = |since, erased| world.say("carol", &changes(since, erased));
    assert_eq!(ask(0, false), ["changes [1, 2] through 5"]);
    assert_eq!(ask(0, true), ["changes [2] through 5"]);
    assert_eq!(ask(3, false), ["changes [2] through 5"]);
    assert_eq!(ask(4, false), ["changes [] through 5"]);
    let welcome = world.welcome("dave");
    assert_eq!((welcome.changed, welcome.redacted), (4, 4));
}
