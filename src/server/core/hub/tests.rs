use std::time::Duration;

use super::*;
use crate::{
    protocol::{
        ClientFrame, ClientId, Content, Identity, MessageId, Nickname,
        frame::{Join, Position, Submission},
        limits::{self, NUMBER_MAX},
    },
    server::{
        core::{
            replica::ReplicaLimits,
            testing::{World, id, join, message, token},
        },
        log::{Batch, LogWriter, MemoryLimits, Operation, StoreError},
    },
    text::{Body, BodyError},
};

mod correcting;
mod ending;
mod erasing;
mod keeping;
mod people;
mod reading;
mod rooms;
mod rooms_made;

/// A join under this nickname.
fn join_frame(name: &str) -> ClientFrame {
    ClientFrame::Join(Box::new(join(name)))
}

fn nickname(name: &str) -> Nickname {
    Nickname::parse(name).unwrap()
}

#[test]
fn two_people_talk() {
    let mut world = World::new();
    assert_eq!(
        world.join("alice"),
        ["welcome alice, counter 0, 1..=0, next 1", "members alice"]
    );
    world.join("bob");
    assert_eq!(world.hears("alice"), ["bob joined"]);
    assert_eq!(world.say("bob", &message("bob", 1, "hi")), ["1 bob: hi"]);
    assert_eq!(world.hears("alice"), ["1 bob: hi"]);
    assert_eq!(
        world.say("bob", &ClientFrame::Disconnect),
        ["bye Disconnect", "closed"]
    );
    assert_eq!(world.hears("alice"), ["bob left Disconnect"]);
}

#[test]
fn the_first_frame_is_a_join_and_no_other() {
    let mut world = World::new();
    let check = |world: &mut World, bytes: &[u8], expected: &str| {
        world.connect("x");
        assert_eq!(world.send("x", bytes), [expected, "closed"]);
    };
    check(&mut world, b"{\"type\":\"ping\"}", "error join_expected");
    check(&mut world, b"{\"type\":\"frob\"}", "error unknown_type");
    check(&mut world, b"hello", "error malformed");
    check(
        &mut world,
        b"{\"type\":\"join\",\"protocol\":0,\"nickname\":\"x\",\"clientID\":\"1\"}",
        "error unsupported_protocol",
    );
    world.join("alice");
    let again = ClientFrame::Join(Box::new(join("alice")));
    assert_eq!(
        world.say("alice", &again),
        ["error join_expected", "closed"]
    );
    assert_eq!(world.hub.present(), 0);
}

#[test]
fn a_client_that_speaks_a_later_version_is_spoken_to_in_ours() {
    let mut world = World::new();
    let later = Join {
        protocol: Some(99),
        ..join("alice")
    };
    world.connect("alice");
    world.say("alice", &ClientFrame::Join(Box::new(later)));
    world.join("bob");
    assert_eq!(world.hears("alice"), ["bob joined"]);
}

#[test]
fn a_nickname_belongs_to_one_user_at_a_time() {
    let mut world = World::new();
    world.join("alice");
    let check = |world: &mut World, wanted: &str, expected: &[&str]| {
        let join = Join {
            nickname: nickname(wanted),
            ..join("mallory")
        };
        assert_eq!(world.join_as("mallory", join), expected, "{wanted}");
    };
    let refused = ["error nickname_in_use", "closed"];
    check(&mut world, "alice", &refused);
    check(&mut world, "ALICE", &refused);
    check(&mut world, "Server", &refused);
    // Different letters that look the same.
    check(&mut world, "a1ice", &refused);
    check(&mut world, "аӏісе", &refused);
    check(&mut world, "ｓｅｒｖｅｒ", &refused);
    world.cut("alice");
    check(
        &mut world,
        "Alice",
        &["welcome Alice, counter 0, 1..=0, next 1", "members Alice"],
    );
}

#[test]
fn two_clients_that_want_a_nickname_at_once_get_different_answers() {
    let mut world = World::new();
    world.hold_commits = true;
    world.join("bob");
    let second = Join {
        nickname: nickname("bob"),
        ..join("carol")
    };
    world.join_as("carol", second);
    world.commit();
    world.commit();
    assert_eq!(
        world.hears("bob")[0],
        "welcome bob, counter 0, 1..=0, next 1"
    );
    assert_eq!(world.hears("carol"), ["error nickname_in_use", "closed"]);
}

#[test]
fn nick_renames_for_all_and_frees_the_old_name() {
    let mut world = World::new();
    world.join("alice");
    world.join("bob");
    world.hears("alice");
    let nick = |name| ClientFrame::Nick {
        nickname: nickname(name),
        reference: Some(1),
    };
    assert_eq!(world.say("bob", &nick("Alice")), ["error nickname_in_use"]);
    assert_eq!(world.say("bob", &nick("server")), ["error nickname_in_use"]);
    assert_eq!(world.say("bob", &nick("AL1CE")), ["error nickname_in_use"]);
    assert_eq!(world.say("bob", &nick("Bob")), ["nick Bob", "bob is Bob"]);
    assert_eq!(world.say("bob", &nick("rob")), ["nick rob", "Bob is rob"]);
    assert_eq!(world.hears("alice"), ["bob is Bob", "Bob is rob"]);
    assert_eq!(
        world.say("alice", &nick("bob")),
        ["nick bob", "alice is bob"]
    );
    assert_eq!(world.say("bob", &message("bob", 1, "x"))[1], "1 rob: x");
}

#[test]
fn a_device_that_joins_again_replaces_its_session_unseen() {
    let mut world = World::new();
    world.join("alice");
    world.join("bob");
    world.hears("alice");
    let ghost = world.clients.remove("bob").unwrap();
    world.clients.insert("ghost", ghost);
    assert_eq!(
        world.join("bob"),
        ["welcome bob, counter 0, 1..=0, next 1", "members alice bob"]
    );
    assert_eq!(world.hears("ghost"), ["bye Replaced", "closed"]);
    assert_eq!(world.hears("alice"), [""; 0]);
    assert_eq!(world.hub.present(), 2);
}

#[test]
fn a_second_session_is_the_same_member() {
    let mut world = World::new();
    world.join("alice");
    world.join("bob");
    world.hears("alice");
    let phone = Join {
        client_id: ClientId::parse("phone").unwrap(),
        ..join("bob")
    };
    assert_eq!(world.join_as("phone", phone)[1], "members alice bob");
    world.say("bob", &message("bob", 1, "x"));
    assert_eq!(world.hears("phone"), ["1 bob: x"]);
    world.cut("bob");
    assert_eq!(world.hears("alice"), ["1 bob: x"]);
    world.cut("phone");
    assert_eq!(world.hears("alice"), ["bob left Lost"]);
}

/// Also after the server has restarted, and however often it changed: of a user with a key the last
/// nickname is stored.
#[test]
fn a_rename_stands_after_a_restart() {
    let key = Identity::from_seed([5; 32]);
    let mut world = World::new();
    let epoch = world.store.epoch();
    let phone = |keep_nickname, nickname: &str| Join {
        client_id: ClientId::parse("phone").unwrap(),
        nickname: Nickname::parse(nickname).unwrap(),
        keep_nickname,
        epoch: Some(epoch),
        ..join("bob")
    };
    let mut before = "bob";
    world.enter("bob", &key, "192.0.2.1", join("bob"));
    for name in ["robert", "bob", "rob", "robert"] {
        let nickname = nickname(name);
        let reference = None;
        world.say(
            "bob",
            &ClientFrame::Nick {
                nickname,
                reference,
            },
        );
        world.restart();
        let heard = world.enter("phone", &key, "192.0.2.1", phone(true, before));
        assert!(
            heard[0].starts_with(&format!("welcome {name},")),
            "{heard:?}"
        );
        world.cut("phone");
        before = name;
        world.enter("bob", &key, "192.0.2.1", phone(true, name));
    }
}

/// A device that joins again asks for no nickname: a rename by another device of the user stands,
/// whether that one is still there or has just left.
#[test]
fn a_device_that_comes_back_undoes_no_rename() {
    let phone = |keep_nickname, nickname: &str| Join {
        client_id: ClientId::parse("phone").unwrap(),
        nickname: Nickname::parse(nickname).unwrap(),
        keep_nickname,
        ..join("bob")
    };
    let nick = ClientFrame::Nick {
        nickname: nickname("robert"),
        reference: None,
    };
    for gone in [false, true] {
        let mut world = World::new();
        world.join("bob");
        world.join_as("phone", phone(false, "bob"));
        world.cut("phone");
        world.say("bob", &nick);
        if gone {
            world.cut("bob");
        }
        let heard = world.join_as("phone", phone(true, "bob"));
        assert!(heard[0].starts_with("welcome robert,"), "{heard:?}");
        // The device's old nickname may be another user's by now.
        world.cut("phone");
        let other = Join {
            nickname: nickname("bob"),
            ..join("eve")
        };
        world.join_as("eve", other);
        let heard = world.join_as("phone", phone(true, "bob"));
        assert!(heard[0].starts_with("welcome robert,"), "{heard:?}");
        // A nickname that is asked for is used.
        world.cut("phone");
        let heard = world.join_as("phone", phone(false, "rob"));
        assert!(heard[0].starts_with("welcome rob,"), "{heard:?}");
        world.cut("phone");
        if !gone {
            world.cut("bob");
        }
        // A nickname that another user took in the meantime stays theirs.
        let other = Join {
            nickname: nickname("rob"),
            ..join("mallory")
        };
        world.join_as("mallory", other);
        let heard = world.join_as("phone", phone(true, "rob"));
        assert_eq!(heard, ["error nickname_in_use", "closed"]);
    }
}

#[test]
fn one_client_over_the_limit_is_refused_unless_it_replaces_its_own_session() {
    let mut world = World::with(2, ReplicaLimits::default(), MemoryLimits::default());
    world.join("alice");
    world.join("bob");
    assert_eq!(world.join("carol"), ["error server_full", "closed"]);
    assert_eq!(world.join("bob").len(), 2);
    world.cut("bob");
    assert_eq!(world.join("carol").len(), 2);
}

#[test]
fn the_same_id_again_gets_the_same_answer() {
    let mut world = World::new();
    world.join("bob");
    let check = |world: &mut World, frame: &ClientFrame, expected: &[&str]| {
        assert_eq!(world.say("bob", frame), expected);
    };
    let bad = |counter| {
        ClientFrame::Submit(Submission {
            room: RoomId::parse("elsewhere").unwrap(),
            id: Some(id("bob", counter)),
            content: Ok(Content::Text(Body::inert("x"))),
        })
    };
    let withdraw = |counter| ClientFrame::Withdraw {
        id: id("bob", counter),
    };
    check(&mut world, &message("bob", 1, "x"), &["1 bob: x"]);
    check(&mut world, &message("bob", 1, "x"), &["ack 1 stored 1"]);
    check(&mut world, &withdraw(1), &["ack 1 stored 1"]);
    check(&mut world, &bad(2), &["error no_such_room 2"]);
    check(&mut world, &bad(2), &["error no_such_room 2"]);
    check(
        &mut world,
        &message("bob", 2, "x"),
        &["error no_such_room 2"],
    );
    check(&mut world, &withdraw(3), &["ack 3 Withdrawn"]);
    check(&mut world, &message("bob", 3, "x"), &["ack 3 Withdrawn"]);
    check(
        &mut world,
        &message("bob", 5, "x"),
        &["error bad_id 5, try again"],
    );
    check(&mut world, &message("bob", 4, "y"), &["2 bob: y"]);
    check(&mut world, &message("eve", 1, "x"), &["error bad_id 1"]);
    check(&mut world, &message("bob", 5, "z"), &["3 bob: z"]);
    // Also after a reconnect.
    world.cut("bob");
    assert_eq!(
        world.join("bob")[0],
        "welcome bob, counter 5, 1..=3, next 1"
    );
    world.hears("bob");
    check(&mut world, &message("bob", 5, "z"), &["ack 5 stored 3"]);
}

#[test]
fn messages_without_ids_are_numbered_by_the_server() {
    let mut world = World::new();
    world.join("bob");
    let plain = |text: &str| {
        ClientFrame::Submit(Submission {
            room: RoomId::LOBBY,
            id: None,
            content: Ok(Content::Text(Body::inert(text))),
        })
    };
    assert_eq!(world.say("bob", &plain("x")), ["1 bob: x"]);
    assert_eq!(world.say("bob", &plain("x")), ["2 bob: x"]);
    // No message was lost: the refusal is reported, and the next message is stored.
    world.fail = Some(StoreError::Refused);
    assert_eq!(
        world.say("bob", &plain("y")),
        ["error not_durable 3, try again"]
    );
    assert_eq!(world.say("bob", &plain("z")), ["3 bob: z"]);
    // A mixture would confuse the counters.
    assert_eq!(
        world.say("bob", &message("bob", 5, "w")),
        ["error bad_id 5"]
    );
    let withdraw = ClientFrame::Withdraw { id: id("bob", 5) };
    assert_eq!(world.say("bob", &withdraw), ["error bad_id 5"]);
    world.join("carol");
    world.hears("bob");
    assert_eq!(
        world.say("carol", &message("carol", 1, "v")),
        ["4 carol: v"]
    );
    assert_eq!(world.say("carol", &plain("u")), ["error bad_id"]);
    // A client that names its next counter at the join will send ids: a message without one is a
    // mistake, or part of a text that will come whole.
    let counting = Join {
        next: Some(1),
        ..join("dave")
    };
    world.join_as("dave", counting);
    assert_eq!(world.say("dave", &plain("t")), ["error bad_id"]);
}

#[test]
fn a_text_that_cannot_be_taken_uses_up_its_counter() {
    let mut world = World::new();
    world.join("bob");
    let line = format!(
        "{{\"type\":\"message\",\"id\":\"{}\",\"message\":\"a\\u001bb\"}}",
        id("bob", 1)
    );
    assert!(matches!(
        Body::parse("a\u{1b}b"),
        Err(BodyError::Character(_))
    ));
    assert_eq!(world.send("bob", line.as_bytes()), ["error bad_text 1"]);
    assert_eq!(world.say("bob", &message("bob", 2, "x")), ["1 bob: x"]);
}

#[test]
fn outcomes_are_remembered_as_long_as_they_may_be_unknown() {
    let mut world = World::new();
    world.join("bob");
    let count = limits::UNANSWERED_MESSAGES_MAX as u64 + 1;
    for counter in 1..=count {
        world.say("bob", &message("bob", counter, "x"));
    }
    let first = world.say("bob", &message("bob", 1, "x"));
    assert_eq!(first, ["ack 1 Settled"]);
    let second = world.say("bob", &message("bob", 2, "x"));
    assert_eq!(second, ["ack 2 stored 2"]);
}

#[test]
fn nothing_is_told_before_its_commit_and_what_comes_meanwhile_goes_together() {
    let mut world = World::new();
    world.join("alice");
    world.join("bob");
    world.hears("alice");
    world.hold_commits = true;
    for counter in 1..=3 {
        let text = counter.to_string();
        assert_eq!(world.say("bob", &message("bob", counter, &text)), [""; 0]);
    }
    world.commit();
    assert_eq!(world.hears("alice"), ["1 bob: 1"]);
    world.commit();
    assert_eq!(world.hears("alice"), ["2 bob: 2", "3 bob: 3"]);
    assert_eq!(world.hears("bob"), ["1 bob: 1", "2 bob: 2", "3 bob: 3"]);
}

#[test]
fn a_message_that_could_not_be_stored_holds_back_later_ones() {
    let mut world = World::new();
    world.join("bob");
    world.hold_commits = true;
    world.say("bob", &message("bob", 1, "a"));
    world.say("bob", &message("bob", 2, "b"));
    world.fail = Some(StoreError::Refused);
    world.commit();
    assert_eq!(world.hears("bob"), ["error not_durable 1, try again"]);
    world.commit();
    assert_eq!(world.hears("bob"), ["error held_back 2, try again"]);
    world.hold_commits = false;
    assert_eq!(
        world.say("bob", &message("bob", 2, "b")),
        ["error held_back 2, try again"]
    );
    assert_eq!(world.say("bob", &message("bob", 1, "a")), ["1 bob: a"]);
    assert_eq!(world.say("bob", &message("bob", 2, "b")), ["2 bob: b"]);
}

#[test]
fn a_join_that_the_store_cannot_answer_is_to_be_tried_again() {
    let mut world = World::new();
    world.fail = Some(StoreError::Refused);
    assert_eq!(
        world.join("bob"),
        ["error not_durable, try again", "closed"]
    );
    assert_eq!(world.join("bob").len(), 2);
}

#[test]
fn a_join_does_not_fail_with_the_messages_of_others() {
    let mut world = World::new();
    world.join("bob");
    world.hold_commits = true;
    world.say("bob", &message("bob", 1, "under way"));
    world.say("bob", &message("bob", 2, "a"));
    world.join("carol");
    world.join("dave");
    world.cut("dave");
    world.commit();
    world.hears("bob");
    world.fail = Some(StoreError::Refused);
    world.say("bob", &message("bob", 3, "b"));
    world.commit();
    assert_eq!(world.hears("bob"), ["error not_durable 2, try again"]);
    assert_eq!(world.hears("carol"), [""; 0]);
    // The joins are tried again by themselves.
    world.commit();
    assert_eq!(
        world.hears("carol")[..2],
        [
            "welcome carol, counter 0, 1..=1, next 1",
            "members bob carol"
        ]
    );
    world.commit();
    assert_eq!(
        world.hears("bob"),
        ["carol joined", "error held_back 3, try again"]
    );
}

#[test]
fn a_store_that_fails_while_nothing_is_asked_of_it_ends_the_server_too() {
    let mut world = World::new();
    world.join("bob");
    let unknown = Event::Committed(Err(StoreError::InDoubt));
    world.hub.handle_event(world.now, unknown);
    world.run();
    assert_eq!(world.finished, Some(true));
    assert_eq!(world.hears("bob"), ["bye Shutdown", "closed"]);
}

#[test]
fn many_refusals_are_told_in_one_line_a_minute() {
    let mut world = World::new();
    world.join("bob");
    for (seconds, told) in [(0, vec![1]), (20, vec![1]), (20, vec![1]), (20, vec![1, 3])] {
        world.advance(Duration::from_secs(seconds));
        world.say("bob", &ClientFrame::Pong { reference: None });
        world.fail = Some(StoreError::Refused);
        world.say("bob", &message("bob", 1, "a"));
        let refused = |record: &LogEvent| match record {
            LogEvent::StoreRefused { operations } => Some(*operations),
            _ => None,
        };
        let records: Vec<_> = world.records.iter().filter_map(refused).collect();
        assert_eq!(records, told);
    }
}

#[test]
fn a_client_may_ask_before_it_is_welcome() {
    let mut world = World::new();
    world.hold_commits = true;
    world.join("bob");
    world.say("bob", &message("bob", 1, "early"));
    world.say("bob", &ClientFrame::Disconnect);
    world.commit();
    world.commit();
    assert_eq!(
        world.hears("bob")[2..],
        ["1 bob: early", "bye Disconnect", "closed"]
    );
}

#[test]
fn last_messages_precede_the_departure_of_a_broken_connection() {
    let mut world = World::new();
    world.join("alice");
    world.join("bob");
    world.hears("alice");
    world.hold_commits = true;
    world.say("bob", &message("bob", 1, "last words"));
    world.cut("bob");
    world.commit();
    assert_eq!(world.hears("alice"), ["1 bob: last words", "bob left Lost"]);
}

#[test]
fn a_server_that_forgot_goes_on_where_the_client_stands() {
    let mut world = World::new();
    let wish = Join {
        next: Some(8),
        ..join("bob")
    };
    assert_eq!(
        world.join_as("bob", wish)[0],
        "welcome bob, counter 7, 1..=0, next 1"
    );
    assert_eq!(world.say("bob", &message("bob", 7, "x")), ["ack 7 Settled"]);
    assert_eq!(world.say("bob", &message("bob", 8, "x")), ["1 bob: x"]);
}

#[test]
fn a_device_that_the_store_forgot_while_it_was_in_goes_on() {
    let memory = MemoryLimits {
        devices_max: 1,
        ..MemoryLimits::default()
    };
    let mut world = World::with(10, ReplicaLimits::default(), memory);
    world.join("alice");
    world.join("bob");
    world.say("bob", &message("bob", 1, "x"));
    world.say("alice", &message("alice", 1, "y"));
    assert_eq!(
        world.say("bob", &message("bob", 2, "z")),
        ["2 alice: y", "3 bob: z"]
    );
}

#[test]
fn a_resume_gives_what_follows_and_says_when_it_cannot() {
    let mut world = World::new();
    world.join("alice");
    for counter in 1..=4 {
        world.say("alice", &message("alice", counter, "x"));
    }
    let epoch = world.hub.epoch;
    let check = |world: &mut World, epoch, seq, id: Option<MessageId>, welcome: &str, first| {
        let join = Join {
            epoch: Some(epoch),
            rooms: vec![Position {
                room: RoomId::LOBBY,
                seq,
                id,
            }],
            last: Some(1),
            ..join("bob")
        };
        let heard = world.join_as("bob", join);
        assert_eq!(
            heard[0],
            format!("welcome bob, counter 0, 1..=4, {welcome}")
        );
        assert_eq!(heard.get(2).map(String::as_str), first);
        world.cut("bob");
    };
    let same = |seq| Some(id("alice", seq));
    let other = Epoch::from_bytes([9; 8]);
    let world = &mut world;
    check(world, epoch, 2, same(2), "next 3", Some("3 alice: x"));
    check(world, epoch, 4, same(4), "next 5", None);
    check(world, epoch, 0, None, "next 1", Some("1 alice: x"));
    check(
        world,
        other,
        2,
        same(2),
        "next 4 reset Epoch",
        Some("4 alice: x"),
    );
    check(
        world,
        epoch,
        5,
        same(5),
        "next 4 reset Seq",
        Some("4 alice: x"),
    );
    check(
        world,
        epoch,
        2,
        same(3),
        "next 4 reset Id",
        Some("4 alice: x"),
    );
}

#[test]
fn silence_is_answered_by_a_ping_and_then_taken_for_death() {
    let mut world = World::new();
    world.join("alice");
    world.join("bob");
    world.hears("alice");
    world.advance(limits::PING_AFTER);
    assert_eq!(world.hears("alice"), ["ping"]);
    world.say("alice", &ClientFrame::Pong { reference: None });
    world.advance(limits::GONE_AFTER.saturating_sub(limits::PING_AFTER));
    assert_eq!(world.hears("bob").last().unwrap(), "closed");
    assert_eq!(world.hears("alice"), ["ping", "bob left Timeout"]);
    assert_eq!(
        world.say("alice", &ClientFrame::Ping { reference: Some(3) }),
        ["pong Some(3)"]
    );
}

#[test]
fn a_client_that_does_not_join_in_time_is_closed_even_if_it_sends_bytes() {
    let mut world = World::new();
    world.connect("x");
    world.advance(
        limits::JOIN_WITHIN
            .checked_sub(Duration::from_secs(1))
            .unwrap(),
    );
    world.send("x", b"{");
    assert!(!world.client("x").closed);
    world.advance(Duration::from_secs(1));
    assert!(world.client("x").closed);
}

#[test]
fn stopping_delivers_what_was_accepted_and_tells_everyone() {
    let mut world = World::new();
    world.join("alice");
    world.join("bob");
    world.hears("alice");
    world.hold_commits = true;
    world.say("bob", &message("bob", 1, "in time"));
    world.stop();
    let late = world.say("bob", &message("bob", 2, "late"));
    assert_eq!(late, ["error shutting_down 2, try again"]);
    assert_eq!(world.finished, None);
    world.commit();
    assert_eq!(world.finished, Some(false));
    let end = ["1 bob: in time", "bye Shutdown", "closed"];
    assert_eq!(world.hears("alice"), end);
    assert_eq!(world.hears("bob"), end);
}

#[test]
fn after_a_failure_of_the_store_nothing_is_acknowledged() {
    let mut world = World::new();
    world.join("bob");
    world.hold_commits = true;
    world.say("bob", &message("bob", 1, "?"));
    world.fail = Some(StoreError::InDoubt);
    world.commit();
    assert_eq!(world.finished, Some(true));
    assert_eq!(world.hears("bob"), ["bye Shutdown", "closed"]);
}

#[test]
fn after_a_failure_of_the_store_nothing_more_is_given_to_it() {
    let mut world = World::new();
    world.join("bob");
    world.hold_commits = true;
    world.say("bob", &message("bob", 1, "in doubt"));
    world.say("bob", &message("bob", 2, "waits"));
    world.fail = Some(StoreError::InDoubt);
    world.commit();
    assert!(!world.commits(), "what waits for the next batch stays out");
    assert_eq!(world.hears("bob"), ["bye Shutdown", "closed"]);
}

#[test]
fn a_legacy_client_that_has_not_joined_is_told_of_the_end_in_its_format() {
    let mut world = World::new();
    world.hold_commits = true;
    let legacy = Join {
        protocol: None,
        ..join("bob")
    };
    world.join_as("bob", legacy);
    world.fail = Some(StoreError::InDoubt);
    world.commit();
    let raw = String::from_utf8(world.client("bob").raw.concat()).unwrap();
    assert!(raw.contains(r#""nickname":"server""#), "{raw}");
    assert!(!raw.contains("bye"), "{raw}");
}

#[test]
fn requests_wait_while_too_much_is_staged() {
    let mut world = World::new();
    world.join("bob");
    world.hold_commits = true;
    let text = "x".repeat(limits::TEXT_BYTES_MAX);
    let requests = STAGED_BYTES_MAX / limits::TEXT_BYTES_MAX;
    let connection = ConnectionId::new(0, 1);
    let ask = |world: &mut World, counter| {
        let requests = vec![Request::Frame(message("bob", counter, &text))];
        world.hub.handle_event(
            world.now,
            Event::Requests {
                connection,
                requests,
            },
        );
    };
    for counter in 1..requests as u64 {
        ask(&mut world, counter);
    }
    assert!(world.hub.has_room());
    ask(&mut world, requests as u64);
    assert!(!world.hub.has_room());
    world.run();
    assert!(world.hub.has_room(), "part of it is being committed");
    world.hold_commits = false;
    world.commit();
    assert_eq!(world.store_head(), requests as u64);
}

#[test]
fn records_say_who_did_what() {
    let mut world = World::new();
    world.join("alice");
    world.join("bob");
    world.say("bob", &message("bob", 1, "four"));
    world.cut("bob");
    let LogEvent::Message {
        bytes,
        receivers,
        text,
        seq,
        ..
    } = &world.records[2]
    else {
        panic!("{:?}", world.records[2]);
    };
    assert_eq!((*bytes, *receivers, *seq), (4, 2, 1));
    assert_eq!(*text, None, "texts are not recorded unless asked for");
    assert!(matches!(
        &world.records[3],
        LogEvent::Left { user, reason: Departure::Lost, present: 1, .. } if *user == token("bob").user()
    ));
}

#[test]
fn a_client_that_has_used_all_numbers_is_told_so() {
    let mut world = World::new();
    let last = Operation::Settle {
        id: id("bob", NUMBER_MAX),
        settled: NUMBER_MAX - 1,
        refused: None,
    };
    let batch = Batch {
        correction: SignedDuration::ZERO,
        now: world.now.wall,
        operations: vec![last],
    };
    world.store.append(batch).unwrap();
    world.join("bob");
    let more = ClientFrame::Submit(Submission {
        room: RoomId::LOBBY,
        id: None,
        content: Ok(Content::Text(Body::inert("one more"))),
    });
    world.hears("bob");
    assert_eq!(world.say("bob", &more), ["error bad_id", "closed"]);
    assert_eq!(world.store_head(), 0);
}
