use super::*;
use crate::protocol::frame::{Change, Member, MembersPage, Presence};
use crate::protocol::{Identity, Role};

fn member(byte: u8, nickname: &str) -> Member {
    Member {
        user: UserId::from_bytes([byte; 12]),
        nickname: name(nickname),
        since: Timestamp::UNIX_EPOCH,
        role: Role::Member,
    }
}

fn page(version: u64, start: bool, more: bool, members: Vec<Member>) -> ServerFrame {
    ServerFrame::Members(MembersPage {
        room: RoomId::LOBBY,
        version,
        start,
        more,
        members,
        rules: None,
    })
}

fn change(version: u64, byte: u8, nickname: &str, change: Change) -> ServerFrame {
    ServerFrame::Presence(Presence {
        room: RoomId::LOBBY,
        version,
        user: UserId::from_bytes([byte; 12]),
        nickname: name(nickname),
        role: Role::Member,
        time: Timestamp::UNIX_EPOCH,
        change,
    })
}

#[test]
fn pages_become_one_list() {
    let mut run = TestSession::online();
    run.say(page(4, true, true, vec![member(1, "alice")]));
    run.told(&[]);
    run.say(page(5, false, false, vec![member(2, "bob")]));
    run.told(&["members alice bob"]);
}

#[test]
fn changes_are_told() {
    let mut run = TestSession::online();
    run.say(page(4, true, false, vec![member(1, "alice")]));
    run.events.clear();
    run.say(change(5, 2, "bob", Change::Joined));
    let was = name("alice");
    run.say(change(6, 1, "alicia", Change::Renamed { was }));
    run.say(change(7, 1, "alicia", Change::Left(Departure::Timeout)));
    run.told(&["bob joined", "alice is alicia", "alicia left (Timeout)"]);
}

#[test]
fn a_change_known_from_a_page_is_no_news() {
    let mut run = TestSession::online();
    let both = vec![member(1, "alice"), member(2, "bob")];
    run.say(page(4, true, false, both));
    run.events.clear();
    run.say(change(3, 2, "bob", Change::Joined));
    run.say(change(4, 9, "zoe", Change::Left(Departure::Lost)));
    run.told(&[]);
}

#[test]
fn a_list_begun_anew_replaces_the_old_one() {
    let mut run = TestSession::online();
    run.say(page(4, true, false, vec![member(1, "alice")]));
    run.say(page(9, true, false, vec![member(2, "bob")]));
    run.told(&["members alice", "members bob"]);
}

#[test]
fn a_change_that_is_missing_is_a_fault() {
    let mut run = TestSession::online();
    run.say(page(4, true, false, vec![]));
    run.say(change(5, 2, "bob", Change::Joined));
    run.say(change(7, 3, "dave", Change::Joined));
    assert!(!run.connected);
}

#[test]
fn our_own_new_name_is_kept_for_the_next_join() {
    let mut run = TestSession::online();
    let own = Member {
        user: us(),
        ..member(0, "carol")
    };
    run.say(page(4, true, false, vec![own]));
    run.events.clear();
    run.say(ServerFrame::Presence(Presence {
        room: RoomId::LOBBY,
        version: 5,
        user: us(),
        nickname: name("caro"),
        role: Role::Member,
        time: Timestamp::UNIX_EPOCH,
        change: Change::Renamed { was: name("carol") },
    }));
    run.told(&["carol is caro"]);
    run.lose();
    run.open();
    assert_eq!(run.join().nickname.as_str(), "caro");
}

/// A session whose user is that of a key, not of the token.
fn with_key() -> (TestSession, UserId) {
    let identity = Identity::from_seed([6; 32]);
    let user = identity.public().user();
    let credentials = Credentials {
        identity: Some(identity),
        ..Credentials::default()
    };
    let (mut run, _) = TestSession::with_credentials(Disk::default(), credentials);
    run.enter(Welcome { user, ..welcome() });
    run.events.clear();
    (run, user)
}

fn renamed(version: u64, user: UserId, was: &str, nickname: &str) -> ServerFrame {
    ServerFrame::Presence(Presence {
        room: RoomId::LOBBY,
        version,
        user,
        nickname: name(nickname),
        role: Role::Member,
        time: Timestamp::UNIX_EPOCH,
        change: Change::Renamed { was: name(was) },
    })
}

fn own(user: UserId, nickname: &str) -> Member {
    Member {
        user,
        ..member(0, nickname)
    }
}

/// Another device of the user changes the nickname. This one learns it by a change, by a change
/// before the list is complete, or, if it reads slowly, by the list that replaces the change.
#[test]
fn a_nickname_that_another_device_of_ours_took_is_kept_for_the_next_join() {
    type Hears = fn(&mut TestSession, UserId);
    let ways: [(&str, Hears); 3] = [
        ("a change", |run, user| {
            run.say(page(4, true, false, vec![own(user, "carol")]));
            run.say(renamed(5, user, "carol", "caro"));
        }),
        ("a change before the list", |run, user| {
            run.say(renamed(5, user, "carol", "caro"));
        }),
        ("a list", |run, user| {
            run.say(page(4, true, false, vec![own(user, "carol")]));
            run.say(page(9, true, false, vec![own(user, "caro")]));
        }),
    ];
    for (way, hears) in ways {
        let (mut run, user) = with_key();
        hears(&mut run, user);
        run.lose();
        run.open();
        let join = run.join();
        assert_eq!(join.nickname.as_str(), "caro", "{way}");
        assert!(join.keep_nickname, "{way}: it is no wish of this device");

        let (mut run, _) = with_key();
        hears(&mut run, alice());
        run.lose();
        run.open();
        assert_eq!(run.join().nickname.as_str(), "carol", "{way}: of others");
    }
}

#[test]
fn only_what_the_user_wished_for_is_asked_for() {
    let mut run = TestSession::new();
    run.open();
    assert!(!run.join().keep_nickname, "the first time");
    run.lose();
    run.open();
    assert!(!run.join().keep_nickname, "nobody has told us anything yet");
    run.say(ServerFrame::Welcome(welcome()));
    run.lose();
    run.command(Command::Nick(name("caro")));
    run.open();
    let join = run.join();
    assert_eq!(
        (join.nickname.as_str(), join.keep_nickname),
        ("caro", false)
    );
    run.say(ServerFrame::Welcome(welcome()));
    run.command(Command::Nick(name("cora")));
    run.lose();
    run.open();
    let join = run.join();
    assert_eq!(
        (join.nickname.as_str(), join.keep_nickname),
        ("cora", false),
        "whose answer was lost"
    );
}
