//! Tests the registry of rooms and memberships.

use super::{
    membership::{Membership, MembershipKey},
    span::Span,
    *,
};
use crate::{
    protocol::{
        HistoryAccess, Nickname, NotifyLevel, Preferences, ReadMarker, RoomRules,
        limits::{LIST_PAGE_MAX, USER_ROOMS_MAX},
    },
    server::core::persist::Record,
};

fn id(byte: u8) -> UserId {
    UserId::from_bytes([byte; 12])
}

const ALICE: UserId = UserId::from_bytes([1; 12]);
const BOB: UserId = UserId::from_bytes([2; 12]);
const CAROL: UserId = UserId::from_bytes([3; 12]);

fn name(text: &str) -> RoomName {
    RoomName::parse(text).unwrap()
}

fn operators(names: &[&str]) -> Vec<RoomSettings> {
    let room = |text: &&str| RoomSettings {
        name: name(text),
        topic: (*text == "lobby").then(|| Line::inert("tea at 4")),
    };
    names.iter().map(room).collect()
}

fn rooms() -> Rooms {
    Rooms::load(&operators(&["lobby"]), ROOMS_MAX_DEFAULT, &[])
}

fn new_room(text: &str, by: UserId, private: bool) -> NewRoom {
    let mut random = [0; 12];
    let number = text
        .bytes()
        .fold(7_u64, |sum, byte| sum * 31 + u64::from(byte));
    random[..8].copy_from_slice(&number.to_be_bytes());
    random[8] = by.to_bytes()[0];
    NewRoom {
        private,
        name: name(text),
        by,
        at: 1_000,
        random,
    }
}

fn public(rooms: &mut Rooms, text: &str, by: UserId) -> RoomId {
    rooms.create(new_room(text, by, false)).unwrap()
}

fn private(rooms: &mut Rooms, text: &str, by: UserId) -> RoomId {
    rooms.create(new_room(text, by, true)).unwrap()
}

/// All records, as the store has them.
#[derive(Default)]
struct Store(BTreeMap<(Box<str>, String), String>);

impl Store {
    fn save(&mut self, rooms: &mut Rooms) {
        let mut changed = Vec::new();
        for records in rooms.records() {
            records.take(&mut changed);
            records.stored();
        }
        for record in changed {
            let key = (record.kind, record.key);
            match record.value {
                Some(value) => self.0.insert(key, value),
                None => self.0.remove(&key),
            };
        }
    }

    fn records(&self) -> Vec<StateRecord> {
        let record = |((kind, key), value): (&(Box<str>, String), &String)| StateRecord {
            kind: kind.clone(),
            key: key.clone(),
            value: Some(value.clone()),
        };
        self.0.iter().map(record).collect()
    }

    fn put(&mut self, key: &str, value: &str) {
        let key = (RoomRecord::KIND.into(), key.to_owned());
        self.0.insert(key, value.to_owned());
    }

    fn load(&self, names: &[&str]) -> Rooms {
        Rooms::load(&operators(names), ROOMS_MAX_DEFAULT, &self.records())
    }
}

/// The registry as it is after a restart.
fn again(rooms: &mut Rooms) -> Rooms {
    let mut store = Store::default();
    // Everything was changed since the start.
    store.save(rooms);
    store.load(&["lobby"])
}

fn members(rooms: &Rooms, room: RoomId) -> Vec<UserId> {
    rooms.members_of(room).collect()
}

#[test]
fn everybody_is_in_the_lobby_without_a_record() {
    let mut rooms = rooms();
    assert_eq!(rooms.rooms_of(BOB).collect::<Vec<_>>(), [RoomId::LOBBY]);
    assert!(rooms.is_member(BOB, RoomId::LOBBY));
    assert_eq!(rooms.members_count(RoomId::LOBBY), 0);
    assert!(rooms.visible(BOB, RoomId::LOBBY).is_all());
    let topic = rooms.get(RoomId::LOBBY).unwrap().rules.topic.clone();
    assert_eq!(topic, Some(Line::inert("tea at 4")));
    let mut changed = Vec::new();
    for records in rooms.records() {
        records.take(&mut changed);
    }
    assert_eq!(changed, []);
    // What they keep about it makes one; it is begun at the log's end.
    assert_eq!(rooms.enter(BOB, RoomId::LOBBY, 40), Ok(false));
    assert_eq!(rooms.enter(BOB, RoomId::LOBBY, 50), Ok(false));
    let marker = rooms.membership(BOB, RoomId::LOBBY).unwrap().marker;
    assert_eq!(marker.seq, 40);
    assert!(!rooms.leave(BOB, RoomId::LOBBY, 50));
    assert_eq!(
        rooms.rename(RoomId::LOBBY, name("hall")),
        Err(RoomError::Fixed)
    );
    assert_eq!(
        rooms.set_archived(RoomId::LOBBY, true),
        Err(RoomError::Fixed)
    );
    for private in [true, false] {
        let lobby = new_room("lobby", BOB, private);
        assert_eq!(rooms.create(lobby), Err(RoomError::NameTaken));
    }
}

#[test]
fn memberships_outlast_a_restart() {
    let mut rooms = rooms();
    let build = public(&mut rooms, "build", ALICE);
    let secret = private(&mut rooms, "secret", ALICE);
    let direct = rooms.direct(&[ALICE, BOB], ALICE, 5).unwrap().room;
    rooms.enter(BOB, build, 3).unwrap();
    rooms.enter(CAROL, build, 3).unwrap();
    rooms.leave(CAROL, build, 4);
    rooms.enter(CAROL, secret, 3).unwrap();
    rooms.leave(CAROL, secret, 4);
    rooms.set_moderator(BOB, build, true);
    let rooms = again(&mut rooms);
    for (room, expected) in [
        (build, vec![ALICE, BOB]),
        (secret, vec![ALICE]),
        (direct, vec![ALICE, BOB]),
    ] {
        assert_eq!(members(&rooms, room), expected);
        assert_eq!(rooms.members_count(room), expected.len());
    }
    for (user, room, expected) in [
        (ALICE, build, Standing::Moderator),
        (BOB, build, Standing::Moderator),
        (CAROL, build, Standing::Stranger),
        (CAROL, secret, Standing::Former),
        (BOB, secret, Standing::Stranger),
        (BOB, direct, Standing::Member),
        (BOB, RoomId::LOBBY, Standing::Member),
        (BOB, RoomId::from_bytes([8; 12]), Standing::Stranger),
    ] {
        assert_eq!(rooms.standing(user, room), expected, "{user} {room}");
    }
    let mut expected = vec![build, direct];
    expected.sort_unstable();
    expected.insert(0, RoomId::LOBBY);
    assert_eq!(rooms.rooms_of(BOB).collect::<Vec<_>>(), expected);
    assert_eq!(rooms.named(&name("build")), Some(build));
    assert_eq!(rooms.named(&name("secret")), None);
    assert_eq!(rooms.named_for(ALICE, &name("secret")), Some(secret));
    assert_eq!(rooms.named_for(CAROL, &name("secret")), None);
}

#[test]
fn names_are_unique_among_public_rooms_alone() {
    let mut rooms = rooms();
    let build = public(&mut rooms, "build", ALICE);
    let again = new_room("build", BOB, false);
    assert_eq!(rooms.create(again.clone()), Err(RoomError::NameTaken));
    private(&mut rooms, "build", ALICE);
    private(&mut rooms, "build", BOB);
    let test = public(&mut rooms, "test", BOB);
    assert_eq!(rooms.rename(test, name("build")), Err(RoomError::NameTaken));
    assert_eq!(rooms.rename(test, name("lobby")), Err(RoomError::NameTaken));
    assert_eq!(rooms.rename(test, name("test")), Ok(None));
    assert_eq!(rooms.rename(build, name("ci")), Ok(Some(name("build"))));
    assert_eq!(rooms.named(&name("ci")), Some(build));
    assert_eq!(rooms.named(&name("build")), None);
    // The name is free, the id is not.
    let second = rooms.create(again).unwrap();
    assert_ne!(second, build);
    assert_eq!(second, RoomId::named(&name("build"), 1));
    assert_eq!(rooms.get(second).unwrap().earlier, 1);
    // An archived room keeps its name.
    assert_eq!(rooms.set_archived(second, true), Ok(true));
    assert_eq!(rooms.set_archived(second, true), Ok(false));
    assert_eq!(
        rooms.rename(build, name("build")),
        Err(RoomError::NameTaken)
    );
    assert_eq!(rooms.set_archived(second, false), Ok(true));
}

#[test]
fn an_operators_room_is_made_once() {
    let mut store = Store::default();
    let mut rooms = store.load(&["lobby", "build", "test"]);
    store.save(&mut rooms);
    let build = rooms.named(&name("build")).unwrap();
    assert_eq!(build, RoomId::named(&name("build"), 0));
    // Renamed, it is the same room still.
    rooms.rename(build, name("ci")).unwrap();
    // Another room has that name.
    let test = rooms.named(&name("test")).unwrap();
    rooms.rename(test, name("old")).unwrap();
    let second = public(&mut rooms, "test", BOB);
    store.save(&mut rooms);
    let rooms = store.load(&["lobby", "build", "test"]);
    assert_eq!(rooms.count(), 4);
    for (text, room) in [
        ("ci", Some(build)),
        ("old", Some(test)),
        ("test", Some(second)),
        ("build", None),
    ] {
        assert_eq!(rooms.named(&name(text)), room, "{text}");
    }
    // It stays without being named.
    assert_eq!(store.load(&["lobby"]).named(&name("ci")), Some(build));
}

#[test]
fn records_of_an_older_server_become_rooms() {
    let mut store = Store::default();
    store.put(
        "lobby",
        r#"{"topic":"release","announce":true,"slow_seconds":0}"#,
    );
    store.put(
        "build",
        r#"{"topic":null,"announce":false,"slow_seconds":5}"#,
    );
    let mut rooms = store.load(&["lobby", "build"]);
    let build = rooms.named(&name("build")).unwrap();
    let check = |rooms: &Rooms| {
        let rules = |room| &rooms.get(room).unwrap().rules;
        assert_eq!(rules(RoomId::LOBBY).topic, Some(Line::inert("release")));
        assert!(rules(RoomId::LOBBY).announce);
        assert_eq!(rules(build).slow_seconds, 5);
        assert_eq!(rooms.count(), 2);
    };
    check(&rooms);
    store.save(&mut rooms);
    let keys: Vec<_> = store.0.keys().map(|(_, key)| key.clone()).collect();
    assert_eq!(keys, [build.to_string(), "lobby".to_owned()]);
    check(&store.load(&["lobby"]));
}

#[test]
fn a_private_room_shows_what_was_said_while_its_reader_was_a_member() {
    let span = |from, to| Span { from, to };
    let mut rooms = rooms();
    let room = private(&mut rooms, "secret", ALICE);
    let seen = |rooms: &Rooms, user| rooms.visible(user, room).ranges().to_vec();
    assert_eq!(seen(&rooms, ALICE), [Span::ALL]);
    assert_eq!(seen(&rooms, BOB), []);
    assert_eq!(rooms.enter(BOB, room, 10), Ok(true));
    assert_eq!(rooms.enter(BOB, room, 12), Ok(false));
    assert_eq!(seen(&rooms, BOB), [Span::open(11)]);
    assert!(rooms.leave(BOB, room, 20));
    assert!(!rooms.leave(BOB, room, 22));
    assert_eq!(seen(&rooms, BOB), []);
    rooms.enter(BOB, room, 30).unwrap();
    assert_eq!(seen(&rooms, BOB), [span(11, 20), Span::open(31)]);
    // Entries 26 to 28, and those after 40, are for all who are members later.
    let mut rooms_then = again(&mut rooms);
    assert_eq!(seen(&rooms_then, BOB), seen(&rooms, BOB));
    rooms_then
        .set_history(room, HistoryAccess::All, 40)
        .unwrap();
    rooms_then.enter(CAROL, room, 50).unwrap();
    assert_eq!(seen(&rooms_then, CAROL), [Span::open(41)]);
    rooms_then
        .set_history(room, HistoryAccess::Joined, 45)
        .unwrap();
    assert_eq!(seen(&rooms_then, CAROL), [span(41, 45), Span::open(51)]);
    rooms_then.leave(CAROL, room, 60);
    assert_eq!(seen(&rooms_then, CAROL), []);
}

#[test]
fn all_of_a_public_room_is_visible() {
    let mut rooms = rooms();
    let room = public(&mut rooms, "build", ALICE);
    rooms.enter(BOB, room, 10).unwrap();
    assert!(rooms.visible(BOB, room).is_all() && rooms.visible(CAROL, room).is_all());
    assert_eq!(
        rooms.set_history(room, HistoryAccess::Joined, 3),
        Err(RoomError::Fixed)
    );
    // Nothing of a membership that ended is kept.
    rooms.leave(BOB, room, 12);
    assert_eq!(rooms.membership(BOB, room), None);
    let nowhere = RoomId::from_bytes([8; 12]);
    assert_eq!(rooms.visible(BOB, nowhere), Visible::nothing());
    assert_eq!(rooms.enter(BOB, nowhere, 1), Err(RoomError::NoSuchRoom));
}

/// A conversation that existed, and all are in.
fn known(room: RoomId) -> Direct {
    Direct {
        room,
        is_new: false,
        added: Vec::new(),
    }
}

#[test]
fn a_conversation_is_the_set_of_its_people() {
    let mut rooms = rooms();
    let made = rooms.direct(&[BOB, ALICE, BOB], ALICE, 5).unwrap();
    let room = made.room;
    assert!(made.is_new);
    assert_eq!(made.added, [ALICE, BOB]);
    assert_eq!(room, RoomId::direct(&[ALICE, BOB]));
    assert_eq!(rooms.direct(&[ALICE, BOB], BOB, 9), Ok(known(room)));
    assert_eq!(rooms.get(room).unwrap().people, [ALICE, BOB]);
    assert_eq!(members(&rooms, room), [ALICE, BOB]);
    // All of it is new to both.
    assert_eq!(rooms.membership(BOB, room).unwrap().marker.seq, 0);
    assert!(rooms.visible(BOB, room).is_all());
    assert_eq!(rooms.visible(CAROL, room), Visible::nothing());
    assert_eq!(rooms.enter(CAROL, room, 1), Err(RoomError::NoSuchRoom));
    assert_eq!(rooms.enter(BOB, room, 1), Ok(false));
    assert!(!rooms.leave(BOB, room, 1));
    assert_eq!(rooms.rename(room, name("us")), Err(RoomError::Fixed));
    assert_eq!(rooms.set_archived(room, true), Err(RoomError::Fixed));
    let notes = rooms.direct(&[ALICE], ALICE, 5).unwrap().room;
    assert_eq!(members(&rooms, notes), [ALICE]);
    let people: Vec<_> = (1..=10).map(id).collect();
    assert!(rooms.direct(&people[..9], ALICE, 5).is_ok());
    assert_eq!(rooms.direct(&people, ALICE, 5), Err(RoomError::People));
    assert_eq!(rooms.direct(&[], ALICE, 5), Err(RoomError::People));
    assert_eq!(rooms.count(), 4);
}

#[test]
fn a_marker_advances_and_is_set_back_by_hand() {
    let mark = |seq, generation| ReadMarker { seq, generation };
    let mut rooms = rooms();
    let room = public(&mut rooms, "build", ALICE);
    rooms.enter(BOB, room, 10).unwrap();
    // Known: (10, 0). The log's end is 20.
    for (asked, in_force, changes) in [
        (mark(12, 0), mark(12, 0), true),
        (mark(12, 0), mark(12, 0), false),
        (mark(11, 0), mark(12, 0), false),
        (mark(99, 0), mark(20, 0), true),
        (mark(3, 1), mark(3, 1), true),
        // Another device advanced before it knew.
        (mark(20, 0), mark(3, 1), false),
        (mark(7, 1), mark(7, 1), true),
        (mark(2, 3), mark(7, 1), false),
        (mark(99, 2), mark(20, 2), true),
        (mark(1, u64::MAX), mark(20, 2), false),
    ] {
        let expected = Some((in_force, changes));
        assert_eq!(rooms.read(BOB, room, asked, 20), expected, "{asked:?}");
    }
    assert_eq!(rooms.read(CAROL, room, mark(1, 0), 20), None);
    assert_eq!(
        rooms.read(CAROL, RoomId::LOBBY, mark(5, 0), 20),
        Some((mark(5, 0), true))
    );
    let rooms = again(&mut rooms);
    assert_eq!(rooms.membership(BOB, room).unwrap().marker, mark(20, 2));
    let lobby = rooms.membership(CAROL, RoomId::LOBBY).unwrap();
    assert_eq!(lobby.marker, mark(5, 0));
}

#[test]
fn settings_of_a_room_are_each_users_own() {
    let mut rooms = rooms();
    let room = public(&mut rooms, "build", ALICE);
    rooms.enter(BOB, room, 10).unwrap();
    let loud = Preferences {
        notify: NotifyLevel::All,
        favourite: true,
        ..Preferences::default()
    };
    assert_eq!(rooms.prefer(BOB, room, loud), Some(true));
    assert_eq!(rooms.prefer(BOB, room, loud), Some(false));
    assert_eq!(rooms.prefer(CAROL, room, loud), None);
    assert_eq!(rooms.prefer(CAROL, RoomId::LOBBY, loud), Some(true));
    let mut rooms = again(&mut rooms);
    let preferences =
        |rooms: &Rooms, user, room| rooms.membership(user, room).map(Membership::preferences);
    assert_eq!(preferences(&rooms, BOB, room), Some(loud));
    assert_eq!(preferences(&rooms, CAROL, RoomId::LOBBY), Some(loud));
    assert_eq!(
        preferences(&rooms, ALICE, room),
        Some(Preferences::default())
    );
    assert_eq!(rooms.prefer(BOB, room, Preferences::default()), Some(true));
    assert_eq!(preferences(&rooms, BOB, room), Some(Preferences::default()));
}

#[test]
fn rules_and_moderators_are_changed() {
    let mut rooms = rooms();
    let room = public(&mut rooms, "build", ALICE);
    let rules = RoomRules {
        topic: Some(Line::inert("tea")),
        announce: true,
        slow_seconds: 9,
    };
    assert_eq!(rooms.set_rules(room, rules.clone()), Ok(true));
    assert_eq!(rooms.set_rules(room, rules.clone()), Ok(false));
    assert_eq!(rooms.set_rules(RoomId::LOBBY, rules.clone()), Ok(true));
    assert_eq!(rooms.set_moderator(BOB, room, true), None);
    rooms.enter(BOB, room, 0).unwrap();
    assert_eq!(rooms.set_moderator(BOB, room, true), Some(true));
    assert_eq!(rooms.set_moderator(BOB, room, true), Some(false));
    assert_eq!(rooms.set_moderator(ALICE, room, false), Some(true));
    let rooms = again(&mut rooms);
    let nickname = |user: UserId| (user == BOB).then(|| Nickname::inert("bob"));
    let info = |user| rooms.info(room, user, nickname).unwrap();
    assert_eq!((info(BOB).rules, info(BOB).members), (rules.clone(), 2));
    assert!(info(BOB).moderator && !info(ALICE).moderator && !info(CAROL).moderator);
    assert_eq!(
        rooms.info(RoomId::LOBBY, BOB, nickname).unwrap().rules,
        rules
    );
}

#[test]
fn a_member_is_told_what_a_room_is() {
    let mut rooms = rooms();
    let secret = private(&mut rooms, "secret", ALICE);
    let direct = rooms.direct(&[BOB, ALICE], ALICE, 5).unwrap().room;
    let nickname = |user: UserId| (user == BOB).then(|| Nickname::inert("bob"));
    let info = rooms.info(secret, ALICE, nickname).unwrap();
    assert_eq!(
        (info.kind, info.name),
        (RoomKind::Private, Some(name("secret")))
    );
    assert_eq!((info.history, info.members), (HistoryAccess::Joined, 1));
    rooms.set_history(secret, HistoryAccess::All, 4).unwrap();
    let info = rooms.info(secret, ALICE, nickname).unwrap();
    assert_eq!(info.history, HistoryAccess::All);
    let info = rooms.info(direct, ALICE, nickname).unwrap();
    assert_eq!(
        (info.kind, info.name, info.members),
        (RoomKind::Direct, None, 2)
    );
    let people = info.people.iter();
    let people: Vec<_> = people.map(|person| person.nickname.as_str()).collect();
    assert_eq!(people, [ALICE.to_string().as_str(), "bob"]);
    let lobby = rooms.info(RoomId::LOBBY, BOB, nickname).unwrap();
    assert_eq!((lobby.history, lobby.members), (HistoryAccess::All, 0));
    assert_eq!(rooms.info(RoomId::from_bytes([8; 12]), BOB, nickname), None);
}

#[test]
fn a_list_has_what_its_reader_can_find_and_no_more() {
    let mut rooms = rooms();
    public(&mut rooms, "build", ALICE);
    let test = public(&mut rooms, "test", ALICE);
    let secret = private(&mut rooms, "build-secret", ALICE);
    private(&mut rooms, "build", BOB);
    rooms.direct(&[ALICE, BOB], ALICE, 5).unwrap();
    rooms.set_archived(test, true).unwrap();
    let list = |user, query, after| {
        let page = rooms.find_listed(user, query, after);
        assert!(!page.more);
        let shown = |listed: &crate::protocol::room::ListedRoom| {
            let flag = |set, text| if set { text } else { "" };
            [
                listed.name.as_str(),
                flag(listed.private, " private"),
                flag(listed.joined, " joined"),
                flag(listed.archived, " archived"),
            ]
            .concat()
        };
        page.list.iter().map(shown).collect::<Vec<_>>().join(", ")
    };
    for (user, query, expected) in [
        (
            ALICE,
            "",
            "build joined, build-secret private joined, lobby joined, test joined archived",
        ),
        (CAROL, "", "build, lobby joined, test archived"),
        (CAROL, " #Build ", "build"),
        (CAROL, "secret", ""),
        (ALICE, "secret", "build-secret private joined"),
    ] {
        assert_eq!(list(user, query, None), expected, "{user} {query}");
    }
    // Both rooms of one name, in the order of their ids.
    let both = list(BOB, "build", None);
    assert!(
        both.contains("build private joined") && both.contains("build,") | both.ends_with("build")
    );
    assert_eq!(
        list(ALICE, "", Some(secret)),
        "lobby joined, test joined archived"
    );
    assert_eq!(list(CAROL, "", Some(test)), "");
    assert_eq!(list(CAROL, "", Some(secret)), "", "not even its place");
}

#[test]
fn a_long_list_comes_in_pages() {
    let mut rooms = rooms();
    let topic = Some(Line::inert(&"\"".repeat(1_024)));
    for number in 0..250 {
        let room = public(&mut rooms, &format!("room-{number:03}"), id(9));
        if number >= 200 {
            let rules = RoomRules {
                topic: topic.clone(),
                ..RoomRules::default()
            };
            rooms.set_rules(room, rules).unwrap();
        }
    }
    for text in ["room-007", "zoo"] {
        private(&mut rooms, text, BOB);
    }
    let (mut found, mut after, mut pages) = (Vec::new(), None, Vec::new());
    loop {
        let page = rooms.find_listed(BOB, "o", after);
        after = page.list.last().map(|listed| listed.room);
        pages.push(page.list.len());
        found.extend(page.list);
        if !page.more {
            break;
        }
    }
    // The lobby, and all of the others.
    assert_eq!(found.len(), 253);
    assert!(found.is_sorted_by_key(|listed| (listed.name.clone(), listed.room)));
    assert_eq!(pages[0], LIST_PAGE_MAX);
    // Topics take more than a frame.
    assert!(
        pages.len() > 3 && pages.iter().all(|count| *count > 0),
        "{pages:?}"
    );
    let page = rooms.find_listed(BOB, "room-20", None);
    let frame = crate::protocol::ServerFrame::RoomList(page);
    let mut bytes = Vec::new();
    crate::protocol::wire::encode_server(&frame, &mut bytes);
    assert!(bytes.len() <= crate::protocol::limits::FRAME_BYTES_MAX);
}

#[test]
fn there_are_limits_and_the_operators_rooms_are_beyond_them() {
    let mut few = Rooms::load(&operators(&["lobby", "a", "b"]), 4, &[]);
    public(&mut few, "c", ALICE);
    let error = |rooms: &mut Rooms, text, by| rooms.create(new_room(text, by, false));
    assert_eq!(error(&mut few, "d", ALICE), Err(RoomError::TooManyRooms));
    assert_eq!(
        few.direct(&[ALICE, BOB], ALICE, 1),
        Err(RoomError::TooManyRooms)
    );

    let mut rooms = rooms();
    for number in 0..ROOMS_MADE_MAX {
        public(&mut rooms, &format!("{number}"), ALICE);
    }
    assert_eq!(error(&mut rooms, "x", ALICE), Err(RoomError::MadeTooMany));
    let mut rooms = again(&mut rooms);
    assert_eq!(error(&mut rooms, "x", ALICE), Err(RoomError::MadeTooMany));
    for number in 0..ROOMS_MADE_MAX {
        let room = public(&mut rooms, &format!("b{number}"), BOB);
        rooms.enter(ALICE, room, 0).unwrap();
    }
    assert_eq!(rooms.rooms_of(ALICE).count(), 1 + USER_ROOMS_MAX);
    let one_more = public(&mut rooms, "x", CAROL);
    let full = Err(RoomError::InTooMany(ALICE));
    assert_eq!(rooms.enter(ALICE, one_more, 0), full);
    assert_eq!(
        rooms.direct(&[ALICE, CAROL], CAROL, 1),
        Err(RoomError::InTooMany(ALICE))
    );
    let room = rooms.named(&name("0")).unwrap();
    assert!(rooms.leave(ALICE, room, 0));
    assert_eq!(rooms.enter(ALICE, one_more, 0), Ok(true));
}

#[test]
fn the_history_setting_can_be_changed_many_times() {
    let mut rooms = rooms();
    let room = private(&mut rooms, "secret", ALICE);
    let settings = [HistoryAccess::All, HistoryAccess::Joined];
    let mut results = (0..).map(|at| rooms.set_history(room, settings[at % 2], at as u64));
    assert!(
        results
            .by_ref()
            .take(record::HISTORY_CHANGES_MAX)
            .all(|result| result == Ok(true))
    );
    assert_eq!(results.next(), Some(Err(RoomError::ChangedTooOften)));
}

#[test]
fn nothing_is_kept_of_a_user_who_is_forgotten() {
    let mut rooms = rooms();
    let build = public(&mut rooms, "build", ALICE);
    let secret = private(&mut rooms, "secret", ALICE);
    let direct = rooms.direct(&[ALICE, BOB], ALICE, 5).unwrap().room;
    rooms.enter(BOB, build, 1).unwrap();
    rooms.enter(BOB, secret, 1).unwrap();
    rooms.leave(BOB, secret, 2);
    rooms.enter(BOB, RoomId::LOBBY, 1).unwrap();
    let mut expected = vec![build, direct];
    expected.sort_unstable();
    assert_eq!(rooms.forget(BOB), expected);
    let mut rooms = again(&mut rooms);
    for room in [build, secret, direct, RoomId::LOBBY] {
        assert_eq!(rooms.membership(BOB, room), None);
        assert!(!members(&rooms, room).contains(&BOB));
    }
    assert_eq!(members(&rooms, direct), [ALICE]);
    // They came back, with the same key.
    let again = Direct {
        added: vec![BOB],
        ..known(direct)
    };
    assert_eq!(rooms.direct(&[ALICE, BOB], BOB, 9), Ok(again));
    assert_eq!(members(&rooms, direct), [ALICE, BOB]);
}

#[test]
fn whoever_was_in_a_private_room_longest_follows_its_last_moderator() {
    let mut rooms = rooms();
    let room = private(&mut rooms, "surprise", ALICE);
    // Bob was there first, but not all the time.
    rooms.enter(BOB, room, 3).unwrap();
    rooms.enter(CAROL, room, 5).unwrap();
    rooms.leave(BOB, room, 7);
    rooms.enter(BOB, room, 9).unwrap();
    let moderates = |rooms: &Rooms, user| rooms.standing(user, room) == Standing::Moderator;
    rooms.set_moderator(BOB, room, true);
    assert!(rooms.leave(ALICE, room, 11));
    assert!(moderates(&rooms, BOB) && !moderates(&rooms, CAROL));
    rooms.set_moderator(BOB, room, false);
    rooms.set_moderator(CAROL, room, true);
    rooms.enter(ALICE, room, 12).unwrap();
    rooms.forget(CAROL);
    assert!(moderates(&rooms, BOB) && !moderates(&rooms, ALICE));
    assert!(moderates(&again(&mut rooms), BOB));
    // In a public room those of the server are moderators anyway.
    let build = public(&mut rooms, "build", ALICE);
    rooms.enter(BOB, build, 1).unwrap();
    rooms.leave(ALICE, build, 2);
    assert_eq!(rooms.standing(BOB, build), Standing::Member);
}

#[test]
fn memberships_of_rooms_that_are_gone_are_of_no_effect() {
    let mut store = Store::default();
    let room = RoomId::from_bytes([8; 12]);
    let key = Membership::key(&MembershipKey { user: BOB, room });
    let membership = Membership::new(1, 0).encode();
    store.0.insert((Membership::KIND.into(), key), membership);
    let mut rooms = store.load(&["lobby"]);
    assert!(!rooms.is_member(BOB, room));
    assert_eq!(rooms.rooms_of(BOB).collect::<Vec<_>>(), [RoomId::LOBBY]);
    assert_eq!(rooms.visible(BOB, room), Visible::nothing());
    assert_eq!(rooms.read(BOB, room, ReadMarker::default(), 9), None);
    assert!(!rooms.leave(BOB, room, 1));
}
