//! Tests every action of every role in every kind of room, by every relation to it, against a table
//! that is written by hand.

use super::*;

/// For each action and kind of room: who may, by role, in the order unverified, member, moderator,
/// owner.
///
/// - `a`: anybody, in the room or not
/// - `i`: those who are in it
/// - `r`: its moderators
/// - `-`: nobody
///
/// `shelf` and `attic` are an archived public and an archived private room.
const TABLE: &str = "
    action            lobby public private direct shelf attic none
    create            -aaa  -aaa   -aaa    -aaa   -aaa  -aaa  -aaa
    create-moderators --aa  --aa   --aa    --aa   --aa  --aa  --aa
    create-owner      ---a  ---a   ---a    ---a   ---a  ---a  ---a
    create-direct     -aaa  -aaa   -aaa    -aaa   -aaa  -aaa  -aaa
    direct            -aaa  -aaa   -aaa    -aaa   -aaa  -aaa  -aaa
    enter             aaaa  aaaa   -iii    -iii   aaaa  -iii  ----
    leave             ----  iiii   -iii    ----   iiii  -iii  ----
    invite            ----  -iii   -iii    ----   ----  ----  ----
    remove            ----  -raa   -rri    ----   -raa  -rri  ----
    rename            ----  -raa   -rri    ----   ----  ----  ----
    archive           ----  -raa   -rri    ----   -raa  -rri  ----
    unarchive         ----  -raa   -rri    ----   -raa  -rri  ----
    moderator         ----  -raa   -rri    ----   -raa  -rri  ----
    topic             -raa  -raa   -rri    ----   ----  ----  ----
    announce          -raa  -raa   -rri    ----   ----  ----  ----
    slow              -raa  -raa   -rri    ----   ----  ----  ----
    history           ----  ----   -rri    ----   ----  ----  ----
    read              iiii  iiii   -iii    -iii   iiii  -iii  ----
    read-earlier      iiii  iiii   ----    -iii   iiii  ----  ----
    write             iiii  iiii   -iii    -iii   ----  ----  ----
    everyone          -rii  -rii   -rri    -iii   ----  ----  ----
    erase             iiii  iiii   -iii    -iii   iiii  -iii  ----
    erase-others      -rii  -rii   -rri    ----   -rii  -rri  ----
    skip-pause        -rii  -rii   -rri    ----   -rii  -rri  ----
";

const STANDINGS: [Standing; 4] = [
    Standing::Stranger,
    Standing::Former,
    Standing::Member,
    Standing::Moderator,
];

/// Members have been in private rooms since this entry.
const JOINED: u64 = 11;

fn action<'a>(name: &str, other: TargetUser<'a>) -> Action<'a> {
    let create = |kind, makers| Action::CreateRoom { kind, makers };
    match name {
        "create" => create(RoomKind::Private, RoomMakers::Members),
        "create-moderators" => create(RoomKind::Public, RoomMakers::Moderators),
        "create-owner" => create(RoomKind::Private, RoomMakers::Owner),
        "create-direct" => create(RoomKind::Direct, RoomMakers::Owner),
        "direct" => Action::Direct,
        "enter" => Action::Enter,
        "leave" => Action::Leave,
        "invite" => Action::Invite,
        "remove" => Action::RemoveMember(other),
        "rename" => Action::RenameRoom,
        "archive" => Action::Archive,
        "unarchive" => Action::Unarchive,
        "moderator" => Action::AppointModerator,
        "topic" => Action::SetTopic,
        "announce" => Action::SetAnnounce,
        "slow" => Action::SetSlow,
        "history" => Action::SetHistory,
        "read" => Action::Read {
            from: 1,
            to: JOINED,
        },
        "read-earlier" => Action::Read {
            from: 1,
            to: JOINED - 1,
        },
        "write" => Action::Write,
        "everyone" => Action::MentionEveryone,
        "erase" => Action::Erase,
        "erase-others" => Action::EraseOthers,
        "skip-pause" => Action::SkipPause,
        other => panic!("{other}"),
    }
}

fn room<'a>(name: &str, rules: &'a RoomRules, standing: Standing) -> Option<RoomView<'a>> {
    let (kind, archived) = match name {
        "lobby" | "public" => (RoomKind::Public, false),
        "private" => (RoomKind::Private, false),
        "direct" => (RoomKind::Direct, false),
        "shelf" => (RoomKind::Public, true),
        "attic" => (RoomKind::Private, true),
        "none" => return None,
        other => panic!("{other}"),
    };
    let visible = match (kind, standing.is_member()) {
        (RoomKind::Public, _) | (RoomKind::Direct, true) => Visible::all(),
        (RoomKind::Private, true) => {
            Visible::of([crate::server::core::rooms::span::Span::open(JOINED)])
        }
        (RoomKind::Private | RoomKind::Direct, false) => Visible::nothing(),
    };
    Some(RoomView {
        kind,
        rules,
        archived,
        is_lobby: name == "lobby",
        standing,
        visible,
    })
}

#[test]
fn every_action_is_for_those_of_the_table() {
    let (rules, nickname) = (RoomRules::default(), Nickname::parse("bob").unwrap());
    let other = TargetUser {
        id: UserId::from_bytes([2; 12]),
        nickname: &nickname,
        role: Role::Member,
    };
    let mut lines = TABLE.lines().map(str::trim).filter(|line| !line.is_empty());
    let rooms: Vec<_> = lines.next().unwrap().split_whitespace().skip(1).collect();
    let mut checked = 0;
    for line in lines {
        let (name, cells) = line.split_once(' ').unwrap();
        for (room_name, cell) in rooms.iter().zip(cells.split_whitespace()) {
            let everybody = [Role::Unverified, Role::Member, Role::Moderator, Role::Owner];
            for (role, who) in everybody.into_iter().zip(cell.chars()) {
                for standing in STANDINGS {
                    let user = User {
                        id: UserId::from_bytes([1; 12]),
                        role,
                        ban: None,
                        mute: None,
                    };
                    let expected = match who {
                        'a' => true,
                        'i' => standing.is_member(),
                        'r' => standing == Standing::Moderator,
                        '-' => false,
                        other => panic!("{other}"),
                    };
                    let room = room(room_name, &rules, standing);
                    let allowed = may(&user, room.as_ref(), action(name, other));
                    assert_eq!(
                        allowed.is_ok(),
                        expected,
                        "{name} in {room_name}: {role}, {standing:?}: {allowed:?}"
                    );
                    checked += 1;
                }
            }
        }
    }
    assert_eq!(checked, 24 * 7 * 4 * 4, "a cell is missing");
}

#[test]
fn outsiders_cannot_tell_a_private_room_from_none() {
    let (rules, nickname) = (RoomRules::default(), Nickname::parse("bob").unwrap());
    let other = TargetUser {
        id: UserId::from_bytes([2; 12]),
        nickname: &nickname,
        role: Role::Member,
    };
    let lines = TABLE.lines().map(str::trim).filter(|line| !line.is_empty());
    for name in lines.skip(1).filter_map(|line| line.split(' ').next()) {
        for role in [Role::Unverified, Role::Member, Role::Moderator, Role::Owner] {
            let answer = |room: &str, standing| {
                let user = User {
                    id: UserId::from_bytes([1; 12]),
                    role,
                    ban: None,
                    mute: None,
                };
                let room = self::room(room, &rules, standing);
                let denied = may(&user, room.as_ref(), action(name, other)).err();
                denied.map(ErrorFrame::from)
            };
            let none = answer("none", Standing::Stranger);
            for room in ["private", "direct", "attic"] {
                for standing in [Standing::Stranger, Standing::Former] {
                    assert_eq!(answer(room, standing), none, "{name} {room} {role}");
                }
            }
        }
    }
}
