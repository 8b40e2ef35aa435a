use std::{collections::BTreeSet, mem};

use crate::{
    protocol::{
        ClientFrame, RoomId, ServerFrame, Token, UserId, frame::Change, limits, wire::encode_client,
    },
    server::{
        core::{
            event::{ConnectionCommand, Publication},
            replica::{Replica, ReplicaLimits},
            subscriber::{CURSORS_KEPT, Subscriber, Turn},
            testing::{World, join, message, start, token},
        },
        log::{MemoryLimits, Run, segment::SegmentBuilder},
    },
};

/// Limits of a replica that keeps nothing: every subscriber that does not accept all at once reads
/// the store.
const NOTHING: ReplicaLimits = ReplicaLimits {
    messages_bytes_max: 0,
    presence_bytes_max: 0,
    total_bytes_max: 0,
};
/// Limits of a replica that keeps two or three messages.
const LITTLE: ReplicaLimits = ReplicaLimits {
    messages_bytes_max: 1_000,
    presence_bytes_max: 1_000,
    total_bytes_max: 1_500,
};

fn world(replica: ReplicaLimits) -> World {
    World::with(1_000, replica, MemoryLimits::default())
}

/// The message numbers that a client got, in order.
fn numbers(world: &mut World, name: &str) -> Vec<u64> {
    let heard = mem::take(&mut world.client(name).heard);
    heard
        .iter()
        .filter_map(|frame| match frame {
            ServerFrame::Entry(message) => Some(message.seq),
            _ => None,
        })
        .collect()
}

fn say_many(world: &mut World, counters: std::ops::RangeInclusive<u64>) {
    for counter in counters {
        let text = "x".repeat(usize::try_from(counter * 7 % 90).unwrap() + 1);
        world.say("alice", &message("alice", counter, &text));
    }
}

#[test]
fn a_reader_gets_every_message_once_however_slowly_it_reads_and_little_is_kept() {
    for replica in [ReplicaLimits::default(), LITTLE, NOTHING] {
        for step in [1, 13, 150, 1_000] {
            let mut world = world(replica);
            world.join("alice");
            world.join("bob");
            let mut got = Vec::new();
            for counter in 1..=40 {
                world.client("bob").window = step;
                say_many(&mut world, counter..=counter);
                got.extend(numbers(&mut world, "bob"));
            }
            world.client("bob").window = usize::MAX;
            world.run();
            got.extend(numbers(&mut world, "bob"));
            let all: Vec<u64> = (1..=40).collect();
            assert_eq!(got, all, "{replica:?}, {step} bytes at a time");
        }
    }
}

#[test]
fn a_caught_up_reader_gets_a_whole_commit_in_one_slice() {
    let mut world = World::new();
    world.join("alice");
    world.join("bob");
    world.client("bob").window = 0;
    world.hold_commits = true;
    say_many(&mut world, 1..=5);
    world.commit();
    let client = world.clients.get_mut("bob").unwrap();
    let one = |client: &mut crate::server::core::testing::Client, now, replica: &mut _| match client
        .endpoint
        .poll_turn(now, replica)
    {
        Turn::Write(gather) => gather.slices().len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(one(client, world.now, &mut world.replica), 1, "the first");
    world.client("bob").window = usize::MAX;
    world.run();
    world.client("bob").window = 0;
    world.commit();
    let client = world.clients.get_mut("bob").unwrap();
    assert_eq!(
        one(client, world.now, &mut world.replica),
        1,
        "the other four"
    );
}

#[test]
fn a_written_page_is_discarded() {
    let mut replica = Replica::new([(RoomId::LOBBY, 2)], ReplicaLimits::default());
    let mut page = SegmentBuilder::new(1);
    for text in ["one", "two"] {
        page.push(|out| out.extend_from_slice(text.as_bytes()));
    }
    let page = page.finish();
    let mut subscriber = Subscriber::new();
    subscriber.attach(&mut replica, &[(RoomId::LOBBY, 1)], &[RoomId::LOBBY]);
    let mut pages = 0;
    loop {
        let count = match subscriber.poll_turn(&mut replica) {
            Turn::Write(gather) => gather.slices().iter().map(|slice| slice.len()).sum(),
            Turn::Fetch { room, from } => {
                assert_eq!(from, 1);
                assert!(subscriber.handle_page(&replica, room, page.clone()));
                pages += 1;
                continue;
            }
            Turn::Idle => break,
            other => panic!("{other:?}"),
        };
        subscriber.handle_written(&replica, count);
    }
    assert_eq!(pages, 1);
    assert!(!subscriber.has_page());
}

/// Rooms, a reader of them, and what it wrote.
struct Reading {
    replica: Replica,
    subscriber: Subscriber,
    heads: Vec<u64>,
    wrote: Vec<u8>,
}

impl Reading {
    fn rooms(count: u8) -> Self {
        let heads = vec![0; usize::from(count)];
        let rooms: Vec<_> = (0..count).map(|index| (Self::id(index), 1)).collect();
        let mut replica = Replica::new([], ReplicaLimits::default());
        let mut subscriber = Subscriber::new();
        subscriber.attach(&mut replica, &rooms, &[]);
        Self {
            replica,
            subscriber,
            heads,
            wrote: Vec::new(),
        }
    }

    fn id(index: u8) -> RoomId {
        RoomId::from_bytes([index + 1; 12])
    }

    /// A message comes, which is the room's letter.
    fn say(&mut self, index: u8) {
        let head = &mut self.heads[usize::from(index)];
        *head += 1;
        let mut run = SegmentBuilder::new(*head);
        run.push(|out| out.push(b'a' + index));
        let (room, segment) = (Self::id(index), run.finish());
        self.replica.publish(&Publication {
            runs: vec![Run { room, segment }],
            ..Publication::default()
        });
        let room = self.replica.slot(room);
        if self.subscriber.rooms().contains(&room) {
            self.subscriber.wake(room, *head);
        }
    }

    /// Writes this many bytes, one at a time; false if there are no more.
    fn write(&mut self, count: usize) -> bool {
        (0..count).all(|_| {
            let Turn::Write(gather) = self.subscriber.poll_turn(&mut self.replica) else {
                return false;
            };
            self.wrote.push(gather.slices()[0][0]);
            self.subscriber.handle_written(&self.replica, 1);
            true
        })
    }

    fn wrote(&mut self) -> String {
        while self.write(1) {}
        String::from_utf8(mem::take(&mut self.wrote)).unwrap()
    }
}

#[test]
fn a_room_in_which_everything_is_written_takes_four_bytes() {
    let mut reading = Reading::rooms(200);
    for _ in 0..3 {
        for index in 0..200 {
            // The letters of few rooms only are written.
            reading.say(index % 20);
        }
        assert_eq!(reading.wrote().len(), 200);
        assert!(reading.subscriber.cursors.capacity() <= 4 * CURSORS_KEPT);
        assert_eq!(size_of_val(reading.subscriber.rooms()), 800);
    }
}

#[test]
fn rooms_take_turns_also_where_some_are_done_before_others() {
    let mut reading = Reading::rooms(4);
    for index in [0, 0, 0, 1, 2, 2, 3, 3, 3] {
        reading.say(index);
    }
    assert!(reading.write(5));
    reading.say(1);
    assert_eq!(reading.wrote(), "abcdabcdad");
    reading.say(2);
    assert_eq!(reading.wrote(), "c");
}

#[test]
fn a_room_is_read_from_where_one_enters_it_until_one_leaves() {
    let mut reading = Reading::rooms(2);
    let (first, second) = (Reading::id(0), Reading::id(1));
    for index in [0, 1, 1] {
        reading.say(index);
    }
    assert_eq!(reading.wrote(), "abb");
    let slot = reading.replica.slot(second);
    reading.say(1);
    reading.subscriber.leave(slot);
    assert_eq!(reading.subscriber.next_in(&reading.replica, second), None);
    reading.say(1);
    reading.say(0);
    assert_eq!(reading.wrote(), "a");
    // From the last but one of four, and once more from the last.
    for (from, wrote) in [(3, "bb"), (4, "b"), (5, "")] {
        let again = [(second, from)];
        reading.subscriber.enter(&mut reading.replica, &again);
        assert_eq!(reading.subscriber.rooms().len(), 2);
        assert_eq!(reading.wrote(), wrote, "from {from}");
        let next = reading.subscriber.next_in(&reading.replica, second);
        assert_eq!(next, Some(5));
    }
    reading.subscriber.detach();
    reading.say(0);
    assert_eq!(reading.wrote(), "");
    assert_eq!(reading.subscriber.rooms().len(), 2);
    let next = reading.subscriber.next_in(&reading.replica, first);
    assert_eq!(next, Some(4));
}

#[test]
fn messages_erased_under_a_reader_end_its_connection() {
    let memory = MemoryLimits {
        room_bytes_max: 3_000,
        ..MemoryLimits::default()
    };
    let mut world = World::with(10, NOTHING, memory);
    world.join("alice");
    world.join("bob");
    say_many(&mut world, 1..=2);
    // Half a frame is written when everything is erased.
    world.client("bob").window = 100;
    say_many(&mut world, 3..=60);
    world.client("bob").window = usize::MAX;
    world.run();
    let got = numbers(&mut world, "bob");
    assert_eq!(
        got,
        [1, 2, 3],
        "what was begun is finished, and no gap follows"
    );
    assert!(world.client("bob").closed, "it has to resume");
    // A client that joins now is told where the log begins.
    let welcome = world.join("carol").swap_remove(0);
    assert!(!welcome.contains(" 1..=60"), "{welcome}");
}

#[test]
fn a_sender_far_behind_is_answered_at_once() {
    let mut world = world(NOTHING);
    world.join("alice");
    world.join("bob");
    world.client("bob").window = 0;
    say_many(&mut world, 1..=3);
    world.say("bob", &message("bob", 1, "mine"));
    assert_eq!(world.hears("bob"), [""; 0]);
    world.client("bob").window = usize::MAX;
    world.run();
    let heard = world.hears("bob");
    assert_eq!(heard[0], "ack 1 stored 4");
    assert_eq!(heard.last().unwrap(), "4 bob: mine");
}

#[test]
fn while_an_answer_is_unwritten_nothing_more_is_read() {
    let mut world = World::new();
    world.join("bob");
    let ping = ClientFrame::Ping { reference: Some(1) };
    world.client("bob").window = 0;
    world.say("bob", &ping);
    assert!(!world.client("bob").endpoint.may_read());
    world.client("bob").window = usize::MAX;
    world.run();
    assert_eq!(world.hears("bob"), ["pong Some(1)"]);
    assert!(world.client("bob").endpoint.may_read());
}

#[test]
fn so_many_requests_are_under_way_and_no_more() {
    let mut world = World::new();
    world.join("bob");
    world.hold_commits = true;
    let most = u64::from(crate::server::core::endpoint::REQUESTS_MAX);
    for counter in 1..most {
        world.say("bob", &message("bob", counter, "x"));
    }
    assert!(world.client("bob").endpoint.may_read());
    world.say("bob", &message("bob", most, "x"));
    assert!(!world.client("bob").endpoint.may_read());
    world.hold_commits = false;
    world.commit();
    assert!(world.client("bob").endpoint.may_read());
    assert_eq!(world.store_head(), most);
}

#[test]
fn received_requests_come_before_more_is_read_and_after_the_input_ended() {
    let mut world = World::new();
    world.join("bob");
    world.hold_commits = true;
    let most = u64::from(crate::server::core::endpoint::REQUESTS_MAX);
    let mut bytes = Vec::new();
    for counter in 1..=most + 2 {
        encode_client(&message("bob", counter, "x"), &mut bytes);
    }
    world.post("bob", &bytes);
    world.run();
    let endpoint = &mut world.client("bob").endpoint;
    endpoint.handle_end_of_input();
    let now = start();
    let replica = &mut Replica::new([(RoomId::LOBBY, 0)], ReplicaLimits::default());
    // Two are answered: the other two may be requested now, but no more read.
    for _ in 0..2 {
        endpoint.handle_command(now, replica, ConnectionCommand::Answer(None));
    }
    assert!(!endpoint.may_read() && endpoint.may_request() && !endpoint.is_over());
    for _ in 0..2 {
        assert!(
            endpoint
                .poll_request(replica, || unreachable!("no join"))
                .is_some()
        );
    }
    for _ in 0..most {
        endpoint.handle_command(now, replica, ConnectionCommand::Answer(None));
    }
    assert!(
        endpoint
            .poll_request(replica, || unreachable!("no join"))
            .is_none()
    );
    assert!(endpoint.is_over());
}

#[test]
fn nothing_is_asked_behind_a_join_that_is_not_answered() {
    let mut world = World::new();
    world.connect("bob");
    world.hold_commits = true;
    let mut bytes = Vec::new();
    encode_client(&ClientFrame::Join(Box::new(join("bob"))), &mut bytes);
    encode_client(&message("bob", 1, "at once"), &mut bytes);
    world.post("bob", &bytes);
    world.run();
    let endpoint = &world.client("bob").endpoint;
    assert!(!endpoint.may_read() && !endpoint.may_request());
    world.hold_commits = false;
    world.commit();
    assert_eq!(world.hears("bob").last().unwrap(), "1 bob: at once");
}

/// The state that a client derives from the frames, following the protocol.
#[derive(Default)]
struct List {
    members: BTreeSet<UserId>,
    whole: bool,
}

impl List {
    fn follow(&mut self, frames: &[ServerFrame]) {
        for frame in frames {
            match frame {
                ServerFrame::Members(page) => {
                    if page.start {
                        self.members.clear();
                    }
                    assert!(page.members.len() <= limits::MEMBERS_PAGE_MAX);
                    self.members.extend(page.members.iter().map(|m| m.user));
                    self.whole = !page.more;
                }
                ServerFrame::Presence(presence) => {
                    if matches!(presence.change, Change::Left(_)) {
                        self.members.remove(&presence.user);
                    } else {
                        self.members.insert(presence.user);
                    }
                }
                _ => {}
            }
        }
    }
}

fn numbered(number: u64) -> Token {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Token::from_bytes(bytes)
}

#[test]
fn the_member_list_is_right_in_the_end_however_it_changes_meanwhile() {
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    for (replica, step) in [
        (ReplicaLimits::default(), 1_000),
        (ReplicaLimits::default(), 20_000),
        (LITTLE, 3_000),
        (NOTHING, 20_000),
    ] {
        let mut world = world(replica);
        let mut present = BTreeSet::new();
        for number in 0..450_u64 {
            let join = crate::protocol::frame::Join {
                token: Some(numbered(number)),
                nickname: format!("n{number}").parse().unwrap(),
                ..join("x")
            };
            present.insert(numbered(number).user());
            // They do not read, so nothing is encoded for them.
            let name = NAMES[usize::try_from(number % 4).unwrap()];
            world.connect(name).window = 0;
            world.say(name, &ClientFrame::Join(Box::new(join)));
        }
        // All but four lose their name in the test; their sessions stay.
        world.connect("bob").window = step;
        let mut wish = Vec::new();
        encode_client(&ClientFrame::Join(Box::new(join("bob"))), &mut wish);
        world.post("bob", &wish);
        present.insert(token("bob").user());
        let mut list = List::default();
        // The last clients with these names leave, and others join.
        for (leaver, newcomer) in NAMES.into_iter().zip(["e", "f", "g", "h"]) {
            let number = (446..450)
                .find(|number| NAMES[number % 4] == leaver)
                .unwrap();
            world.cut(leaver);
            present.remove(&numbered(number as u64).user());
            world.join(newcomer);
            present.insert(token(newcomer).user());
            world.client("bob").window = step;
            // Rooms at rest free memory while members read the list.
            world.replica.rest();
            world.run();
            list.follow(&mem::take(&mut world.client("bob").heard));
        }
        world.client("bob").window = usize::MAX;
        world.run();
        list.follow(&mem::take(&mut world.client("bob").heard));
        assert!(list.whole);
        let wrong: Vec<_> = list.members.symmetric_difference(&present).collect();
        assert!(
            wrong.is_empty(),
            "{} wrong with {replica:?}, {step} bytes at a time",
            wrong.len()
        );
    }
}

#[test]
fn a_room_that_rests_gives_back_what_a_crowd_needed() {
    let mut world = world(ReplicaLimits::default());
    for number in 0..100_u64 {
        let join = crate::protocol::frame::Join {
            token: Some(numbered(number)),
            nickname: format!("n{number}").parse().unwrap(),
            ..join("x")
        };
        world.connect("x");
        world.say("x", &ClientFrame::Join(Box::new(join)));
    }
    let held = |world: &World| world.replica.room(RoomId::LOBBY).presence.cost_bytes();
    let crowded = held(&world);
    assert!(crowded > 16 * 1024, "{crowded}");
    world.replica.rest();
    assert_eq!(held(&world), crowded, "something happened only just now");
    world.replica.rest();
    assert!(held(&world) <= 4 * 1024, "{}", held(&world));
    // A client that joins now gets the whole list.
    let wish = ClientFrame::Join(Box::new(join("late")));
    let mut bytes = Vec::new();
    encode_client(&wish, &mut bytes);
    world.connect("late");
    world.post("late", &bytes);
    let mut list = List::default();
    list.follow(&mem::take(&mut world.client("late").heard));
    assert!(list.whole);
    assert_eq!(list.members.len(), 101);
}

/// A world with alice and bob, in which alice does not read.
fn with_a_reader_who_waits() -> World {
    let mut world = World::new();
    world.join("alice");
    world.join("bob");
    world.hears("alice");
    world.client("alice").window = 0;
    world
}

#[test]
fn a_departure_comes_after_the_messages_before_it() {
    let mut world = with_a_reader_who_waits();
    world.say("bob", &message("bob", 1, "one"));
    world.say("bob", &message("bob", 2, "two"));
    world.say("bob", &ClientFrame::Disconnect);
    world.client("alice").window = usize::MAX;
    world.run();
    assert_eq!(
        world.hears("alice"),
        ["1 bob: one", "2 bob: two", "bob left Disconnect"]
    );
}

/// Whatever the size of one write.
#[test]
fn changes_that_were_not_told_yet_keep_their_place_among_messages() {
    let mut world = with_a_reader_who_waits();
    world.join("dave");
    world.say("bob", &message("bob", 1, "one"));
    world.join("erin");
    world.say("erin", &message("erin", 1, "two"));
    world.say("bob", &message("bob", 2, "three"));
    world.say("bob", &ClientFrame::Disconnect);
    world.client("alice").window = usize::MAX;
    world.run();
    assert_eq!(
        world.hears("alice"),
        [
            "dave joined",
            "1 bob: one",
            "erin joined",
            "2 erin: two",
            "3 bob: three",
            "bob left Disconnect"
        ]
    );
}

#[test]
fn a_reader_that_was_blocked_and_reads_again_counts_as_alive() {
    let mut world = World::new();
    world.join("alice");
    world.join("bob");
    world.client("bob").window = 0;
    world.advance(
        limits::GONE_AFTER
            .checked_sub(std::time::Duration::from_secs(5))
            .unwrap(),
    );
    let now = world.now;
    world.client("bob").endpoint.handle_alive(now);
    world.advance(std::time::Duration::from_secs(10));
    assert!(!world.client("bob").closed);
    assert!(world.client("alice").closed, "alice gave no sign");
}
