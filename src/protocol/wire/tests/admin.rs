//! Tests admin commands, their results, and proofs of identity.

use super::*;
use crate::protocol::{HistoryAccess, RoomRules};

/// Checks that a command is read as it was written.
fn arrives(command: AdminCommand) {
    let request = ClientFrame::Command(AdminRequest {
        command,
        reference: Some(7),
    });
    assert_eq!(through_client(&request), request);
}

#[test]
fn every_command_about_rooms_arrives() {
    let nickname = || Nickname::parse("Zoë").unwrap();
    let reason = Some(Line::inert("too loud"));
    let room = RoomId::from_bytes([7; 12]);
    let name = || RoomName::parse("build").unwrap();
    for command in [
        AdminCommand::Create {
            private: false,
            name: name(),
        },
        AdminCommand::Create {
            private: true,
            name: name(),
        },
        AdminCommand::Enter { name: name() },
        AdminCommand::Leave { room },
        AdminCommand::InviteTo {
            room,
            nickname: nickname(),
        },
        AdminCommand::Remove {
            room,
            nickname: nickname(),
            reason,
        },
        AdminCommand::RenameRoom { room, name: name() },
        AdminCommand::Archive { room },
        AdminCommand::Unarchive { room },
        AdminCommand::History {
            room,
            history: HistoryAccess::All,
        },
        AdminCommand::History {
            room,
            history: HistoryAccess::Joined,
        },
        AdminCommand::AppointModerator {
            room,
            nickname: nickname(),
            on: false,
        },
        AdminCommand::Direct {
            nicknames: vec![nickname(); 8],
        },
        AdminCommand::Topic {
            room: RoomId::LOBBY,
            topic: Some(Line::inert("tea at 4")),
        },
        AdminCommand::Topic {
            room: RoomId::LOBBY,
            topic: None,
        },
        AdminCommand::Announce {
            room: RoomId::LOBBY,
            on: false,
        },
        AdminCommand::Slow {
            room: RoomId::LOBBY,
            seconds: 10,
        },
    ] {
        arrives(command);
    }
}

#[test]
fn every_other_command_arrives() {
    let nickname = || Nickname::parse("Zoë").unwrap();
    let reason = || Some(Line::inert("too loud"));
    for command in [
        AdminCommand::Own {
            code: OwnerCode::from_bytes([7; 10]),
        },
        AdminCommand::Role {
            nickname: nickname(),
            role: Role::Moderator,
        },
        AdminCommand::Kick {
            nickname: nickname(),
            reason: reason(),
        },
        AdminCommand::Ban {
            nickname: nickname(),
            seconds: Some(3600),
            reason: reason(),
        },
        AdminCommand::Ban {
            nickname: nickname(),
            seconds: None,
            reason: None,
        },
        AdminCommand::Unban {
            nickname: nickname(),
        },
        AdminCommand::Bans,
        AdminCommand::Mute {
            nickname: nickname(),
            seconds: Some(60),
            reason: None,
        },
        AdminCommand::Unmute {
            nickname: nickname(),
        },
        AdminCommand::Invite {
            uses: 0,
            seconds: Some(86_400),
        },
        AdminCommand::Invites,
        AdminCommand::Revoke {
            invite: InviteId::from_bytes([4; 8]),
        },
        AdminCommand::Release {
            nickname: nickname(),
        },
        AdminCommand::AddDevice,
        AdminCommand::Devices,
        AdminCommand::RevokeDevice {
            key: PublicKey::from_bytes([5; 32]).tag(),
            block: false,
        },
        AdminCommand::RevokeDevice {
            key: PublicKey::from_bytes([5; 32]).tag(),
            block: true,
        },
        AdminCommand::Audit { before: Some(12) },
    ] {
        arrives(command);
    }
}

#[test]
fn a_command_that_makes_no_sense_is_refused_by_its_ref_and_the_connection_goes_on() {
    let check = |fields: &str, code: ErrorCode| {
        let frame = format!(r#"{{"type":"command",{fields}"ref":7}}"#);
        let refusal = parse_client(frame.as_bytes()).unwrap_err();
        let found = (refusal.code, refusal.reference, refusal.fatal());
        assert_eq!(found, (code, Some(7), false), "{fields}");
    };
    check("", ErrorCode::UnknownType);
    check(r#""command":"dance","#, ErrorCode::UnknownType);
    check(r#""command":"kick","#, ErrorCode::BadNickname);
    check(r#""command":"own","code":"x","#, ErrorCode::BadField);
    check(
        r#""command":"role","nickname":"a","role":"god","#,
        ErrorCode::BadField,
    );
    check(r#""command":"invite","uses":65536,"#, ErrorCode::BadField);
    check(r#""command":"revoke","invite":"zz","#, ErrorCode::BadField);
    check(
        r#""command":"topic","room":"No Room","#,
        ErrorCode::NoSuchRoom,
    );
    for command in ["create", "enter", "rename"] {
        for name in [
            "",
            r#""name":"No Room","#,
            r#""name":"c3c3c3c3c3c3c3c3c3c3c3c3","#,
        ] {
            let fields = format!(r#""command":"{command}",{name}"#);
            check(&fields, ErrorCode::BadField);
        }
    }
    for history in ["", r#""history":"none","#] {
        check(
            &format!(r#""command":"history",{history}"#),
            ErrorCode::BadField,
        );
    }
    let direct = |count: usize| {
        let names = vec![r#""a""#; count].join(",");
        format!(r#""command":"direct","nicknames":[{names}],"#)
    };
    check(r#""command":"direct","#, ErrorCode::BadField);
    check(&direct(0), ErrorCode::BadField);
    check(&direct(DIRECT_PEOPLE_MAX), ErrorCode::BadField);
    let most = format!(
        r#"{{"type":"command",{}"ref":7}}"#,
        direct(DIRECT_PEOPLE_MAX - 1)
    );
    assert!(parse_client(most.as_bytes()).is_ok());
    check(
        r#""command":"direct","nicknames":["a\u001b"],"#,
        ErrorCode::BadNickname,
    );
}

#[test]
fn results_challenges_and_changes_arrive() {
    let presence = |role, change| {
        ServerFrame::Presence(Presence {
            room: RoomId::LOBBY,
            version: 3,
            user: UserId::from_bytes([9; 12]),
            nickname: Nickname::parse("Zoë").unwrap(),
            role,
            time: "2026-11-22T09:00:00.123Z".parse().unwrap(),
            change,
        })
    };
    let rules = RoomRules {
        topic: Some(Line::inert("tea at 4")),
        announce: true,
        slow_seconds: 10,
    };
    for frame in [
        ServerFrame::Challenge {
            nonce: Nonce::from_bytes([1; 32]),
            fingerprint: Some(Fingerprint::from_bytes([2; 32])),
        },
        ServerFrame::Challenge {
            nonce: Nonce::from_bytes([1; 32]),
            fingerprint: None,
        },
        ServerFrame::Result(AdminResult {
            message: Line::inert("done"),
            lines: vec![Line::inert("one"), Line::inert("two")],
            invite: Some(InviteToken::mint(
                &InviteKey::from_bytes([1; 32]),
                InviteId::from_bytes([2; 8]),
                1_800_000_000,
                1,
            )),
            code: Some(DeviceCode::from_bytes([3; 5])),
            room: Some(RoomId::from_bytes([4; 12])),
            reference: Some(4),
        }),
        presence(Role::Moderator, Change::Promoted),
        presence(Role::Unverified, Change::Joined),
        presence(Role::Owner, Change::Rules(rules.clone())),
        presence(Role::Member, Change::Rules(RoomRules::default())),
        presence(Role::Member, Change::Left(Departure::Kicked)),
        ServerFrame::Members(MembersPage {
            room: RoomId::LOBBY,
            version: 1,
            start: true,
            more: false,
            rules: Some(rules),
            members: vec![Member {
                user: UserId::from_bytes([9; 12]),
                nickname: Nickname::parse("Zoë").unwrap(),
                since: "2026-11-22T09:00:00.123Z".parse().unwrap(),
                role: Role::Owner,
            }],
        }),
    ] {
        assert_eq!(through_server(&frame), frame);
    }
}

#[test]
fn one_line_too_many_is_no_result() {
    let result = |count: usize| {
        let lines = vec![r#""x""#; count].join(",");
        parse_server(format!(r#"{{"type":"result","lines":[{lines}]}}"#).as_bytes())
    };
    assert!(result(RESULT_LINES_MAX).is_ok());
    assert!(result(RESULT_LINES_MAX + 1).is_err());
}
