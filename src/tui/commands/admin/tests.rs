//! Tests what people type.

use super::*;
use crate::tui::commands::{ParsedInput, SlashAction};

const MEMBERS: &[&str] = &["bob", "bob the builder", "Zoë", "@home"];

fn typed(text: &str) -> Result<AdminInput, String> {
    let members: Vec<Nickname> = MEMBERS
        .iter()
        .map(|name| Nickname::known(name).unwrap())
        .collect();
    match crate::tui::commands::read(text) {
        ParsedInput::Command(slash, argument) => match slash.run {
            SlashAction::Admin(action) => {
                read(slash, action, argument, RoomId::LOBBY, members.iter())
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn sent(text: &str) -> AdminCommand {
    match typed(text) {
        Ok(AdminInput::Send(command)) => command,
        other => panic!("{text}: {other:?}"),
    }
}

fn nickname(name: &str) -> Nickname {
    Nickname::known(name).unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "as the commands have them")]
fn line(text: &str) -> Option<Line> {
    Some(Line::inert(text))
}

#[test]
fn the_longest_nickname_in_the_room_is_taken() {
    for (text, who, why) in [
        ("/kick bob", "bob", None),
        ("/kick BOB", "bob", None),
        ("/kick @bob too loud", "bob", line("too loud")),
        ("/kick bob  too  loud", "bob", line("too  loud")),
        ("/kick bob the builder", "bob the builder", None),
        (
            "/kick Bob The Builder of noise",
            "bob the builder",
            line("of noise"),
        ),
        ("/kick bob the", "bob", line("the")),
        ("/kick \"bob\" the builder", "bob", line("the builder")),
        ("/kick \"not here\" bye", "not here", line("bye")),
        ("/kick zoë", "Zoë", None),
        ("/kick zoe\u{308} hi", "Zoë", line("hi")),
        ("/kick @home go", "@home", line("go")),
        ("/kick gone away", "gone", line("away")),
    ] {
        let expected = AdminCommand::Kick {
            nickname: nickname(who),
            reason: why,
        };
        assert_eq!(sent(text), expected, "{text}");
    }
}

#[test]
fn times_are_parsed() {
    for (text, seconds, why) in [
        ("/ban bob", None, None),
        ("/ban bob 10m", Some(600), None),
        ("/ban bob 2h spam", Some(7_200), line("spam")),
        ("/ban bob 3d", Some(259_200), None),
        (
            "/ban bob the builder 1w noise",
            Some(604_800),
            line("noise"),
        ),
        ("/ban bob 1h30m", Some(5_400), None),
        ("/ban bob spam 2h", None, line("spam 2h")),
    ] {
        let who = if text.contains("builder") {
            "bob the builder"
        } else {
            "bob"
        };
        let expected = AdminCommand::Ban {
            nickname: nickname(who),
            seconds,
            reason: why,
        };
        assert_eq!(sent(text), expected, "{text}");
    }
    for wrong in [
        "10",
        "0m",
        "10x",
        "3mo",
        "5y",
        "1e9s",
        "2h-",
        "99999999999999999999d",
    ] {
        assert!(typed(&format!("/mute bob {wrong}")).is_err(), "{wrong}");
    }
}

/// Whoever forgets the name of a private room makes no public one.
#[test]
fn a_private_room_has_a_name() {
    for text in ["/create private", "/create Private ", "/create private #"] {
        assert_eq!(
            typed(text).map_err(|wrong| wrong.contains("Which room?")),
            Err(true),
            "{text}"
        );
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_command_says_what_it_is_for() {
    let room = RoomId::LOBBY;
    let name = |text| RoomName::parse(text).unwrap();
    let create = |private, text| AdminCommand::Create {
        private,
        name: name(text),
    };
    let direct = |names: &[&str]| AdminCommand::Direct {
        nicknames: names.iter().map(|name| nickname(name)).collect(),
    };
    let invite_to = |text| AdminCommand::InviteTo {
        room,
        nickname: nickname(text),
    };
    let moderator = |text, on| AdminCommand::AppointModerator {
        room,
        nickname: nickname(text),
        on,
    };
    let invite = |uses, seconds| AdminCommand::Invite { uses, seconds };
    for (text, expected) in [
        ("/create build", create(false, "build")),
        ("/create #Build", create(false, "build")),
        ("/create private build", create(true, "build")),
        ("/create Private  #build", create(true, "build")),
        ("/create #private", create(false, "private")),
        (
            "/join #build",
            AdminCommand::Enter {
                name: name("build"),
            },
        ),
        ("/leave", AdminCommand::Leave { room }),
        ("/part", AdminCommand::Leave { room }),
        ("/invite bob the builder", invite_to("bob the builder")),
        ("/invite @5", invite_to("5")),
        ("/invite 5x", invite_to("5x")),
        (
            "/remove bob the builder too loud",
            AdminCommand::Remove {
                room,
                nickname: nickname("bob the builder"),
                reason: line("too loud"),
            },
        ),
        (
            "/rename #ci",
            AdminCommand::RenameRoom {
                room,
                name: name("ci"),
            },
        ),
        ("/archive", AdminCommand::Archive { room }),
        ("/unarchive", AdminCommand::Unarchive { room }),
        (
            "/history All",
            AdminCommand::History {
                room,
                history: HistoryAccess::All,
            },
        ),
        (
            "/history joined",
            AdminCommand::History {
                room,
                history: HistoryAccess::Joined,
            },
        ),
        (
            "/moderator bob the builder on",
            moderator("bob the builder", true),
        ),
        ("/moderator bob off", moderator("bob", false)),
        ("/msg bob", direct(&["bob"])),
        ("/query @bob", direct(&["bob"])),
        (
            "/msg Bob The Builder carol \"not here\" zoë",
            direct(&["bob the builder", "carol", "not here", "Zoë"]),
        ),
        (
            "/msg a b c d e f g h",
            direct(&["a", "b", "c", "d", "e", "f", "g", "h"]),
        ),
        ("/invite", invite(1, None)),
        ("/invite 5", invite(5, None)),
        ("/invite 2d", invite(1, Some(172_800))),
        ("/invite any 1w", invite(0, Some(604_800))),
        ("/invite 1w 3", invite(3, Some(604_800))),
        ("/invites", AdminCommand::Invites),
        (
            "/revoke 0102030405060708",
            AdminCommand::Revoke {
                invite: InviteId::parse("0102030405060708").unwrap(),
            },
        ),
        (
            "/unban bob the builder",
            AdminCommand::Unban {
                nickname: nickname("bob the builder"),
            },
        ),
        (
            "/unmute \"bob\"",
            AdminCommand::Unmute {
                nickname: nickname("bob"),
            },
        ),
        ("/bans", AdminCommand::Bans),
        (
            "/topic release day",
            AdminCommand::Topic {
                room,
                topic: line("release day"),
            },
        ),
        ("/topic off", AdminCommand::Topic { room, topic: None }),
        ("/announce ON", AdminCommand::Announce { room, on: true }),
        ("/slow 30s", AdminCommand::Slow { room, seconds: 30 }),
        ("/slow 10", AdminCommand::Slow { room, seconds: 10 }),
        ("/slow off", AdminCommand::Slow { room, seconds: 0 }),
        (
            "/role bob the builder Moderator",
            AdminCommand::Role {
                nickname: nickname("bob the builder"),
                role: Role::Moderator,
            },
        ),
        (
            "/release carol",
            AdminCommand::Release {
                nickname: nickname("carol"),
            },
        ),
        ("/audit", AdminCommand::Audit { before: None }),
        ("/audit 40", AdminCommand::Audit { before: Some(40) }),
        ("/device", AdminCommand::Devices),
        ("/device list", AdminCommand::Devices),
        ("/device add", AdminCommand::AddDevice),
        (
            "/device revoke 0a1b2c3d",
            AdminCommand::RevokeDevice {
                key: KeyTag::parse("0a1b2c3d").unwrap(),
                block: false,
            },
        ),
        (
            "/device revoke 0a1b2c3d  Block ",
            AdminCommand::RevokeDevice {
                key: KeyTag::parse("0a1b2c3d").unwrap(),
                block: true,
            },
        ),
        (
            "/owner mfxg-k2lt-mfxg-k2lt",
            AdminCommand::Own {
                code: OwnerCode::parse("mfxgk2ltmfxgk2lt").unwrap(),
            },
        ),
    ] {
        assert_eq!(sent(text), expected, "{text}");
    }
    let code = DeviceCode::parse("mfrg-gzdf").unwrap();
    assert_eq!(typed("/device MFRG gzdf"), Ok(AdminInput::Code(code)));
}

#[test]
fn a_topic_is_shown_without_a_text() {
    assert_eq!(typed("/topic"), Ok(AdminInput::ShowTopic));
    assert_eq!(typed("/topic "), Ok(AdminInput::ShowTopic));
}

#[test]
fn errors_show_the_usage() {
    for (text, expected) in [
        ("/kick", "Which user? /kick NAME [REASON]"),
        ("/kick \"bob", "The quote has no end: /kick NAME [REASON]"),
        (
            "/ban bob 3 strikes",
            "3 is not a duration (10m, 2h, 3d and 1w are): /ban NAME [TIME] [REASON]",
        ),
        ("/slow", "How long? /slow TIME|off"),
        ("/create", "Which room? /create [private] ROOM"),
        (
            "/create my room",
            "A room's name has 1 to 64 lower-case letters, digits, '-', '_' or '.': /create [private] ROOM",
        ),
        ("/join #", "Which room? /join ROOM"),
        ("/msg", "Which user? /msg NAME…"),
        (
            "/msg a b c d e f g h i",
            "A conversation has at most nine people: /msg NAME…",
        ),
        (
            "/history some",
            "Which messages may new members read? /history all|joined",
        ),
        ("/moderator bob", "On or off? /moderator NAME on|off"),
        ("/announce", "On or off? /announce on|off"),
        (
            "/role bob king",
            "A role is owner, moderator or member: /role NAME ROLE",
        ),
        (
            "/role bob unverified",
            "A role is owner, moderator or member: /role NAME ROLE",
        ),
        (
            "/invite 0",
            "An invite is for 1 to 65,535 people, or any: /invite NAME, /invite [PEOPLE] [TIME]",
        ),
        (
            "/invite 2 3",
            "For how many, and for how long? /invite NAME, /invite [PEOPLE] [TIME]",
        ),
        (
            "/revoke x",
            "An invite's id has 16 hexadecimal digits: /revoke ID",
        ),
        (
            "/audit x",
            "That is not the number of an entry: /audit [NUMBER]",
        ),
        (
            "/owner",
            "A code has groups of four letters and digits: /owner CODE",
        ),
        (
            "/device revoke x",
            "A device has 8 hexadecimal digits: /device, /device add, /device revoke ID [block], /device CODE",
        ),
        (
            "/device revoke 0a1b2c3d now",
            "Only \"block\" may follow the key: /device, /device add, /device revoke ID [block], /device CODE",
        ),
    ] {
        assert_eq!(typed(text), Err(expected.to_owned()), "{text}");
    }
    let hostile = typed("/ban bob 1\u{1b}[2J\u{202e}").unwrap_err();
    assert!(!hostile.contains(['\u{1b}', '\u{202e}']), "{hostile}");
    assert!(typed(&format!("/kick {}", "a ".repeat(10_000))).is_ok());
}

#[test]
fn a_text_behind_names_reaches_only_those_who_were_meant() {
    let known = ["bob", "carol", "too loud", "a, b"].map(|name| Nickname::known(name).unwrap());
    let ParsedInput::Command(slash, _) = super::super::read("/msg bob") else {
        panic!("no /msg");
    };
    let read = |text: &str| {
        let read = people_and_text(slash, text, known.iter());
        read.map(|(people, text)| {
            let people: Vec<_> = people.iter().map(|name| name.as_str().to_owned()).collect();
            (people.join("+"), text)
        })
    };
    for (typed, people, text) in [
        ("bob", "bob", ""),
        ("bob hello there", "bob", "hello there"),
        ("bob hello, carol", "bob", "hello, carol"),
        ("bob carol", "bob+carol", ""),
        ("bob carol is late", "bob", "carol is late"),
        ("bob, carol hi", "bob+carol", "hi"),
        ("@bob,@carol,too loud hi", "bob+carol+too loud", "hi"),
        ("too loud be quiet", "too loud", "be quiet"),
        ("\"too new\", bob hi", "too new+bob", "hi"),
        ("dave,erin hi", "dave+erin", "hi"),
        ("dave hi", "dave", "hi"),
        ("Bob hi", "bob", "hi"),
    ] {
        assert_eq!(
            read(typed),
            Ok((people.to_owned(), text.to_owned())),
            "{typed}"
        );
    }
    for wrong in ["", "bob,", "\"bob", "a,b,c,d,e,f,g,h,i hi"] {
        assert!(read(wrong).unwrap_err().ends_with("/msg NAME…"), "{wrong}");
    }
}
