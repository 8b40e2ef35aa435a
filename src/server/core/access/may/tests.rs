//! Tests roles, ranks and mutes.

use super::*;
use crate::protocol::admin::{ADMIN_COMMANDS, ROLES};

fn id(byte: u8) -> UserId {
    UserId::from_bytes([byte; 12])
}

fn user(role: Role) -> User<'static> {
    User {
        id: id(1),
        role,
        ban: None,
        mute: None,
    }
}

fn mute() -> Mute {
    Mute {
        nickname: "bob".to_owned(),
        sites: Vec::new(),
        at: 1,
        until: None,
        rank: Role::Owner,
    }
}

fn roles() -> impl Iterator<Item = Role> {
    ROLES.iter().copied()
}

#[test]
fn every_command_takes_the_role_of_its_row() {
    for (spec, role) in ADMIN_COMMANDS
        .iter()
        .flat_map(|spec| roles().map(move |role| (spec, role)))
    {
        let allowed = may(&user(role), None, Action::Command(spec)).is_ok();
        assert_eq!(allowed, role >= spec.may, "{} {role}", spec.name);
        // A muted moderator does nothing that others read.
        let mute = mute();
        let muted = User {
            mute: Some(&mute),
            ..user(role)
        };
        let speaks = spec.may < Role::Moderator || role == Role::Owner;
        let allowed = may(&muted, None, Action::Command(spec)).is_ok();
        assert_eq!(allowed, role >= spec.may && speaks, "{} {role}", spec.name);
    }
}

#[test]
fn users_cannot_act_on_their_own_role_or_above() {
    let nickname = Nickname::parse("bob").unwrap();
    let ranks = [Rank::Any, Rank::Lower, Rank::LowerUnlessOwner];
    for (rank, role, target) in ranks.into_iter().flat_map(|rank| {
        roles().flat_map(move |role| roles().map(move |target| (rank, role, target)))
    }) {
        let other = |byte| TargetUser {
            id: id(byte),
            nickname: &nickname,
            role: target,
        };
        let free = match rank {
            Rank::Any => true,
            Rank::Lower => false,
            Rank::LowerUnlessOwner => role == Role::Owner,
        };
        let allowed = |byte| may_act_on(&user(role), other(byte), rank).is_ok();
        assert_eq!(
            allowed(2),
            free || target < role,
            "{rank:?} {role} {target}"
        );
        assert_eq!(allowed(1), free, "oneself: {rank:?} {role} {target}");
    }
}

fn room(rules: &RoomRules) -> RoomView<'_> {
    RoomView {
        kind: RoomKind::Public,
        rules,
        archived: false,
        is_lobby: false,
        standing: Standing::Member,
        visible: Visible::all(),
    }
}

#[test]
fn a_room_for_announcements_takes_messages_of_moderators_who_are_not_muted() {
    let (plain, mute) = (RoomRules::default(), mute());
    let announce = RoomRules {
        announce: true,
        ..RoomRules::default()
    };
    for role in roles() {
        let moderates = role >= Role::Moderator;
        let writes = |rules, user: User<'_>| may(&user, Some(&room(rules)), Action::Write).is_ok();
        assert!(writes(&plain, user(role)));
        assert_eq!(writes(&announce, user(role)), moderates);
        let muted = User {
            mute: Some(&mute),
            ..user(role)
        };
        assert!(!writes(&plain, muted) && !writes(&announce, muted));
        let of_room = RoomView {
            standing: Standing::Moderator,
            ..room(&announce)
        };
        let writes = may(&user(role), Some(&of_room), Action::Write).is_ok();
        assert_eq!(writes, role >= Role::Member);
        for by in roles() {
            let lifts = may(&user(role), None, Action::Lift(by)).is_ok();
            assert_eq!(lifts, role >= by);
        }
    }
}

#[test]
fn a_mute_stops_what_others_read_and_nothing_else() {
    let (rules, mute, nickname) = (
        RoomRules::default(),
        mute(),
        Nickname::parse("bob").unwrap(),
    );
    let other = TargetUser {
        id: id(2),
        nickname: &nickname,
        role: Role::Member,
    };
    let create = Action::CreateRoom {
        kind: RoomKind::Public,
        makers: RoomMakers::Members,
    };
    let read = Action::Read { from: 1, to: 9 };
    // What a muted room's moderator may still do; and a muted owner.
    for (action, member, owner) in [
        (Action::Join { own_nickname: true }, true, true),
        (
            Action::Join {
                own_nickname: false,
            },
            false,
            false,
        ),
        (Action::Rename, false, false),
        (create, false, false),
        (Action::Direct, false, false),
        (Action::Enter, true, true),
        (Action::Leave, true, true),
        (Action::Invite, false, false),
        (Action::RemoveMember(other), false, true),
        (Action::RenameRoom, false, true),
        (Action::Archive, false, true),
        (Action::Unarchive, false, true),
        (Action::SetTopic, false, true),
        (Action::SetAnnounce, false, true),
        (Action::SetSlow, false, true),
        (Action::AppointModerator, false, true),
        (read, true, true),
        (Action::Write, false, false),
        (Action::MentionEveryone, false, false),
        (Action::Erase, true, true),
        (Action::EraseOthers, false, true),
        (Action::SkipPause, true, true),
    ] {
        let room = RoomView {
            standing: Standing::Moderator,
            ..room(&rules)
        };
        for (role, expected) in [(Role::Member, member), (Role::Owner, owner)] {
            let muted = User {
                mute: Some(&mute),
                ..user(role)
            };
            let allowed = may(&muted, Some(&room), action).is_ok();
            assert_eq!(allowed, expected, "{action:?} {role}");
            if !matches!(action, Action::Join { .. }) {
                assert!(may(&user(role), Some(&room), action).is_ok(), "{action:?}");
            }
        }
    }
}

#[test]
fn those_of_the_server_are_removed_by_those_above_them_alone() {
    let (rules, nickname) = (RoomRules::default(), Nickname::parse("bob").unwrap());
    // Of the roles of the other: member, moderator, owner.
    for (kind, role, expected) in [
        (RoomKind::Public, Role::Member, [true, false, false]),
        (RoomKind::Public, Role::Moderator, [true, false, false]),
        (RoomKind::Public, Role::Owner, [true, true, false]),
        (RoomKind::Private, Role::Member, [true, true, false]),
        (RoomKind::Private, Role::Moderator, [true, true, false]),
        (RoomKind::Private, Role::Owner, [true, true, false]),
    ] {
        let room = RoomView {
            kind,
            standing: Standing::Moderator,
            ..room(&rules)
        };
        let others = [Role::Member, Role::Moderator, Role::Owner];
        let removes = |byte, role_of_other| {
            let other = TargetUser {
                id: id(byte),
                nickname: &nickname,
                role: role_of_other,
            };
            may(&user(role), Some(&room), Action::RemoveMember(other)).is_ok()
        };
        assert_eq!(
            others.map(|other| removes(2, other)),
            expected,
            "{kind:?} {role}"
        );
        assert!(!removes(1, role), "oneself");
    }
}
