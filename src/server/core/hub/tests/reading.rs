//! Tests of read state: markers on several devices, counts, mentions and the inbox.

use super::{people::*, *};
use crate::protocol::{ReadMarker, RoomId, ServerFrame, admin::AdminCommand, frame::RoomStart};

const LOBBY: RoomId = RoomId::LOBBY;

fn marks(seq: u64, generation: u64) -> ClientFrame {
    ClientFrame::Read {
        room: LOBBY,
        marker: ReadMarker { seq, generation },
    }
}

fn inbox(before: Option<u64>) -> ClientFrame {
    ClientFrame::Inbox {
        before,
        reference: Some(3),
    }
}

/// What is unread in the lobby, and how many mentions are.
fn unread(starts: &[RoomStart]) -> (u64, u64) {
    let lobby = starts.iter().find(|it| it.room == LOBBY).unwrap();
    (lobby.read.unread.get(), lobby.read.mentions.get())
}

fn second(join: Join) -> Join {
    Join {
        client_id: ClientId::parse("phone").unwrap(),
        ..join
    }
}

#[test]
fn a_marker_is_told_to_all_devices_and_the_later_one_stands() {
    let mut world = with(&["alice", "bob"]);
    world.comes_as("phone", "bob", second);
    for counter in 1..=5 {
        world.say("alice", &message("alice", counter, "hi"));
    }
    world.hears("bob");
    world.hears("phone");
    assert_eq!(world.say("bob", &marks(3, 0)), ["read 0.3"]);
    assert_eq!(world.hears("phone"), ["read 0.3"]);
    // An older one is answered by what is in force, and told to nobody else.
    assert_eq!(world.say("phone", &marks(2, 0)), ["read 0.3"]);
    assert_eq!(world.hears("bob"), [""; 0]);
    // By hand it goes back, and an advance of before does not undo that.
    assert_eq!(world.say("phone", &marks(1, 1)), ["read 1.1"]);
    assert_eq!(world.hears("bob"), ["read 1.1"]);
    assert_eq!(world.say("bob", &marks(5, 0)), ["read 1.1"]);
    // Nobody has read what was not said.
    assert_eq!(world.say("bob", &marks(99, 1)), ["read 1.5"]);
    let other = ClientFrame::Read {
        room: RoomId::from_bytes([9; 12]),
        marker: ReadMarker::default(),
    };
    assert_eq!(world.say("bob", &other), ["error no_such_room"]);
}

#[test]
fn markers_are_stored_together_after_a_second_and_before_a_stop() {
    let mut world = with(&["alice", "bob"]);
    for counter in 1..=5 {
        world.say("alice", &message("alice", counter, "hi"));
    }
    world.hold_commits = true;
    for seq in 1..=3 {
        assert_eq!(
            world.say("bob", &marks(seq, 0)).last().unwrap(),
            &format!("read 0.{seq}")
        );
    }
    assert!(!world.commits(), "a marker alone makes no commit");
    let due = world.hub.wakes_at().unwrap();
    assert_eq!(due, world.now.mono + Duration::from_secs(1));
    world.advance(Duration::from_millis(900));
    assert!(!world.commits());
    world.advance(Duration::from_millis(100));
    assert!(world.commits());
    world.commit();
    world.say("bob", &marks(4, 0));
    assert!(!world.commits());
    // It goes with others that do not wait.
    world.post_frame("alice", &message("alice", 6, "hi"));
    world.commit();
    assert!(!world.commits(), "messages take no marker along");
    world.stop();
    world.commit();
    assert_eq!(world.finished, Some(false));
    world.hold_commits = false;
    world.restart();
    assert_eq!(unread(&world.joins("bob")), (2, 0));
}

#[test]
fn who_joins_is_told_what_they_have_not_read() {
    let mut world = with(&["alice"]);
    for counter in 1..=4 {
        world.say("alice", &message("alice", counter, "hi"));
    }
    // What was said before they were here is not new to them.
    assert_eq!(unread(&world.joins("bob")), (0, 0));
    world.cut("bob");
    world.say("alice", &message("alice", 5, "@bob is it green?"));
    world.say("alice", &message("alice", 6, "hello?"));
    assert_eq!(unread(&world.joins("bob")), (2, 1));
    world.say("bob", &marks(5, 0));
    world.cut("bob");
    assert_eq!(unread(&world.joins("bob")), (1, 0));
    world.cut("bob");
    // Also of what is stored with the join, behind it.
    world.hold_commits = true;
    world.post_frame("alice", &message("alice", 7, "first"));
    let starts = {
        world.hears("alice");
        world.comes_later_as("bob", "bob", |join| join);
        world.post_frame("alice", &message("alice", 8, "behind"));
        world.commit();
        world.commit();
        world.started("bob")
    };
    assert_eq!(unread(&starts), (3, 0));
    let lobby = starts.iter().find(|it| it.room == LOBBY).unwrap();
    assert_eq!(lobby.extent.head, 8);
}

#[test]
fn a_marker_that_moves_while_its_user_joins_counts() {
    let mut world = with(&["alice", "bob"]);
    world.say("alice", &message("alice", 1, "one"));
    world.say("alice", &message("alice", 2, "two"));
    world.hold_commits = true;
    world.comes_later_as("phone", "bob", second);
    world.say("bob", &marks(1, 0));
    while world.commits() {
        world.commit();
    }
    assert_eq!(unread(&world.started("phone")), (1, 0));
}

#[test]
fn an_inbox_has_the_mentions_of_a_user_in_what_they_may_read() {
    let mut world = with(&["alice", "bob", "carol"]);
    let room = world.makes("alice", "surprise", true);
    let invite = |name: &str| AdminCommand::InviteTo {
        room,
        nickname: nickname(name),
    };
    world.say("alice", &says("alice", 1, room, "@bob before"));
    world.commands("alice", invite("bob"));
    world.say("alice", &says("alice", 2, room, "@bob behind"));
    world.say("alice", &says("alice", 3, room, "@carol is not here"));
    world.cut("bob");
    world.say("carol", &message("carol", 1, "@bob and @room"));
    world.arrives("bob");
    world.hears("carol");
    assert_eq!(
        world.say("bob", &inbox(None)),
        ["inbox 1 carol: @bob and @room, 4 alice: @bob behind"]
    );
    assert_eq!(world.say("carol", &inbox(None)), ["inbox "]);
    // Who is not in the room is not mentioned, and a member may not call everybody.
    let everyone = world.mentioned("alice", &message("alice", 4, "@room"));
    assert_eq!(everyone, (0, false));
    assert_eq!(
        world.mentioned("alice", &says("alice", 5, room, "@room @carol")),
        (0, true)
    );
    assert_eq!(
        world.mentioned("bob", &says("bob", 1, room, "@room")),
        (0, false)
    );
    assert_eq!(
        world.mentioned("bob", &says("bob", 2, room, "@alice")),
        (1, false)
    );
}

/// Looking for them takes time from everybody.
#[test]
fn of_a_text_of_nothing_but_names_the_first_are_looked_for() {
    let mut world = with(&["alice", "bob"]);
    for (counter, names, found) in [(1, 10, 1), (2, 300, 0)] {
        let text = format!("{}@bob", "@x\n".repeat(names));
        let said = message("alice", counter, &text);
        assert_eq!(world.mentioned("alice", &said), (found, false), "{names}");
    }
}

#[test]
fn an_inbox_is_asked_for_as_often_as_a_page() {
    use crate::server::core::rate_limit::{Limits, Rate};
    let mut settings = crate::server::core::testing::access_settings();
    settings.limits = Limits {
        looks: Some(Rate::new(60, 2)),
        ..Limits::NONE
    };
    let mut world = World::with_access(settings, &[]);
    world.join("alice");
    for _ in 0..2 {
        assert_eq!(world.say("alice", &inbox(None)), ["inbox "]);
    }
    assert_eq!(
        world.say("alice", &inbox(None)),
        ["error rate_limited, try again"]
    );
}

impl World {
    /// Sends a message; returns how many users it mentions, and whether everyone.
    fn mentioned(&mut self, name: &str, frame: &ClientFrame) -> (usize, bool) {
        self.hears(name);
        self.post_frame(name, frame);
        let heard = mem::take(&mut self.client(name).heard);
        let entry = heard.into_iter().find_map(|frame| match frame {
            ServerFrame::Entry(entry) => Some(entry),
            _ => None,
        });
        let entry = entry.expect("an entry");
        let mentions = entry.mentions();
        (mentions.users.len(), mentions.everyone)
    }
}

#[test]
fn what_an_ignored_user_writes_does_not_count_and_still_comes() {
    let mut world = with(&["alice", "bob", "carol"]);
    world.comes_later_as("phone", "bob", second);
    world.hears("phone");
    let ignore = |name: &str| AdminCommand::Ignore {
        nickname: nickname(name),
    };
    assert_eq!(world.commands("bob", ignore("bob")), ["error not_allowed"]);
    assert_eq!(world.commands("bob", ignore("nobody")), ["error not_found"]);
    let heard = world.commands("bob", ignore("alice"));
    assert_eq!(heard, ["ignores 1", "result You ignore alice"]);
    assert_eq!(world.hears("phone"), ["ignores 1"]);
    assert_eq!(world.hears("alice"), [""; 0], "she is not told");
    let own = world.say("alice", &message("alice", 1, "@bob hello?"));
    assert_eq!(own, ["1 alice: @bob hello?"]);
    assert_eq!(world.hears("bob"), own, "the client hides it");
    world.say("carol", &message("carol", 1, "@bob hi"));
    world.cut("bob");
    world.hears("phone");
    assert_eq!(world.say("phone", &inbox(None)), ["inbox 2 carol: @bob hi"]);
    world.restart();
    world.comes_later_as("bob", "bob", |join| join);
    let heard = mem::take(&mut world.client("bob").heard);
    let ignored = heard.iter().find_map(|frame| match frame {
        ServerFrame::Ignored { users } => Some(users.clone()),
        _ => None,
    });
    assert_eq!(ignored, Some(vec![key("alice").public().user()]));
    world.client("bob").heard = heard;
    assert_eq!(unread(&world.started("bob")), (1, 1));
    let unignore = AdminCommand::Unignore {
        nickname: nickname("alice"),
    };
    let heard = world.commands("bob", unignore.clone());
    assert_eq!(
        heard,
        ["ignores 0", "result You don't ignore alice any more"]
    );
    assert_eq!(world.commands("bob", unignore), ["error not_found"]);
    world.cut("bob");
    assert_eq!(unread(&world.joins("bob")), (2, 2));
}
