//! What follows the name of an administrative command: who, for how long, why.

use jiff::{Span, SpanRelativeTo, Unit};

use super::{Slash, usages};
use crate::{
    protocol::{
        DeviceCode, InviteId, KeyTag, Nickname, OwnerCode, Role, RoomName, admin::AdminCommand,
        limits::NICKNAME_BYTES_MAX,
    },
    text::Line,
};

/// Which administrative command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the table of commands says what each does")]
pub enum AdminAction {
    Invite,
    Invites,
    Revoke,
    Kick,
    Ban,
    Unban,
    Bans,
    Mute,
    Unmute,
    Topic,
    Announce,
    Slow,
    Own,
    Role,
    Release,
    Audit,
    Device,
}

/// What was typed, once it is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminInput {
    /// To be sent.
    Send(AdminCommand),
    /// The code of another device, by which this one comes in.
    Code(DeviceCode),
}

/// Why a command can't be understood: a sentence or a question, behind which the usage belongs.
type UsageError = String;

/// Reads what follows a command's name. A nickname may hold spaces: the longest that somebody in
/// the room has is taken, else one in quotes, else one word. The error is one plain sentence with
/// the usage.
pub fn read<'a>(
    slash: &Slash,
    action: AdminAction,
    argument: &str,
    room: &RoomName,
    members: impl Iterator<Item = &'a Nickname>,
) -> Result<AdminInput, String> {
    let room = room.clone();
    let command = || -> Result<AdminCommand, UsageError> {
        Ok(match action {
            AdminAction::Invite => invite(argument)?,
            AdminAction::Invites => AdminCommand::Invites,
            AdminAction::Revoke => AdminCommand::Revoke {
                invite: InviteId::parse(argument).map_err(|wrong| wrong.to_string())?,
            },
            AdminAction::Kick => {
                let (nickname, rest) = name_and_rest(argument, members)?;
                let reason = reason(rest);
                AdminCommand::Kick { nickname, reason }
            }
            AdminAction::Ban => {
                let (nickname, seconds, reason) = sanction(argument, members)?;
                AdminCommand::Ban {
                    nickname,
                    seconds,
                    reason,
                }
            }
            AdminAction::Unban => AdminCommand::Unban {
                nickname: name(argument)?,
            },
            AdminAction::Bans => AdminCommand::Bans,
            AdminAction::Mute => {
                let (nickname, seconds, reason) = sanction(argument, members)?;
                AdminCommand::Mute {
                    nickname,
                    seconds,
                    reason,
                }
            }
            AdminAction::Unmute => AdminCommand::Unmute {
                nickname: name(argument)?,
            },
            AdminAction::Topic => AdminCommand::Topic {
                room,
                topic: topic(argument)?,
            },
            AdminAction::Announce => AdminCommand::Announce {
                room,
                on: switch(argument).ok_or("On or off?")?,
            },
            AdminAction::Slow => AdminCommand::Slow {
                room,
                seconds: pause(argument)?,
            },
            AdminAction::Own => AdminCommand::Own {
                code: OwnerCode::parse(argument).map_err(|wrong| wrong.to_string())?,
            },
            AdminAction::Role => role(argument)?,
            AdminAction::Release => AdminCommand::Release {
                nickname: name(argument)?,
            },
            AdminAction::Audit => AdminCommand::Audit {
                before: before(argument)?,
            },
            AdminAction::Device => device(argument)?,
        })
    };
    if let Some(code) = code(action, argument) {
        return Ok(AdminInput::Code(code));
    }
    command().map(AdminInput::Send).map_err(|wrong| {
        let colon = if wrong.ends_with('?') { "" } else { ":" };
        format!("{wrong}{colon} {}", usages(slash))
    })
}

/// Whether it is the code by which one comes in, and nothing for a server that one is in on.
pub fn is_code(action: AdminAction, argument: &str) -> bool {
    code(action, argument).is_some()
}

fn code(action: AdminAction, argument: &str) -> Option<DeviceCode> {
    (action == AdminAction::Device).then(|| DeviceCode::parse(argument).ok())?
}

/// A nickname, and what follows it.
fn name_and_rest<'t, 'm>(
    text: &'t str,
    members: impl Iterator<Item = &'m Nickname>,
) -> Result<(Nickname, &'t str), UsageError> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (name, rest) = quoted.split_once('"').ok_or("The quote has no end")?;
        return Ok((parse(name)?, rest.trim_start()));
    }
    let members: Vec<_> = members.map(|member| (member.folded(), member)).collect();
    let without_at = text.strip_prefix('@');
    for text in [Some(text), without_at].into_iter().flatten() {
        for end in ends(text) {
            let (name, rest) = text.split_at(end);
            let folded = Nickname::known(name).map(|name| name.folded());
            let known = members
                .iter()
                .find(|(known, _)| folded.as_ref() == Ok(known));
            if let Some((_, member)) = known {
                return Ok(((*member).clone(), rest.trim_start()));
            }
        }
    }
    let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    Ok((parse(name)?, rest.trim_start()))
}

/// Where a nickname at the start of a text may end, the farthest first.
fn ends(text: &str) -> impl Iterator<Item = usize> {
    let within = text.floor_char_boundary(NICKNAME_BYTES_MAX + 1);
    let spaces = text[..within].char_indices().rev();
    let spaces = spaces.filter(|(_, c)| c.is_whitespace()).map(|(at, _)| at);
    [text.len()].into_iter().chain(spaces)
}

/// A nickname that is all there is.
fn name(text: &str) -> Result<Nickname, UsageError> {
    let quoted = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    parse(quoted.unwrap_or(text))
}

fn parse(name: &str) -> Result<Nickname, UsageError> {
    if name.is_empty() {
        return Err("Whom?".to_owned());
    }
    let name = name.strip_prefix('@').unwrap_or(name);
    Nickname::known(name).map_err(|wrong| wrong.to_string())
}

fn reason(text: &str) -> Option<Line> {
    Some(Line::inert(text)).filter(|reason| !reason.as_str().is_empty())
}

/// Who, for how long, why.
fn sanction<'a>(
    text: &str,
    members: impl Iterator<Item = &'a Nickname>,
) -> Result<(Nickname, Option<u64>, Option<Line>), UsageError> {
    let (nickname, rest) = name_and_rest(text, members)?;
    let (first, why) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    // A reason that begins with a figure is rarer than a time that is mistyped, and a ban that
    // never ends is not what to make of that.
    if first.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok((nickname, Some(seconds(first)?), reason(why.trim_start())));
    }
    Ok((nickname, None, reason(rest)))
}

/// A time as people write it: `10m`, `2h`, `3d`, `1w`, `1h30m`. At least a second.
fn seconds(text: &str) -> Result<u64, UsageError> {
    let wrong = || {
        let text = Line::inert(text);
        format!("{text} is no time (10m, 2h, 3d and 1w are)")
    };
    let span: Span = text.parse().map_err(|_| wrong())?;
    let total = span
        .total((Unit::Second, SpanRelativeTo::days_are_24_hours()))
        .map_err(|_| wrong())?;
    // Longer than any clock will go on is no time either.
    if !(1.0..=1e12).contains(&total) {
        return Err(wrong());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked just above"
    )]
    let seconds = total as u64;
    Ok(seconds)
}

/// How long members wait between two messages.
fn pause(text: &str) -> Result<u64, UsageError> {
    match (switch(text), text.parse()) {
        (Some(false), _) => Ok(0),
        (_, Ok(plain)) => Ok(plain),
        _ if text.is_empty() => Err("How long?".to_owned()),
        _ => seconds(text),
    }
}

fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

fn topic(text: &str) -> Result<Option<Line>, UsageError> {
    match reason(text) {
        None => Err("What is it about?".to_owned()),
        Some(_) if switch(text) == Some(false) => Ok(None),
        topic => Ok(topic),
    }
}

fn invite(text: &str) -> Result<AdminCommand, UsageError> {
    let (mut uses, mut lasts) = (None, None);
    for word in text.split_whitespace() {
        let twice = if word.eq_ignore_ascii_case("any") {
            uses.replace(0).is_some()
        } else if let Ok(number) = word.parse::<u64>() {
            let number = u16::try_from(number).ok().filter(|number| *number > 0);
            let number = number.ok_or("An invite is for 1 to 65,535 people, or any")?;
            uses.replace(number).is_some()
        } else {
            lasts.replace(seconds(word)?).is_some()
        };
        if twice {
            return Err("For how many, and for how long?".to_owned());
        }
    }
    Ok(AdminCommand::Invite {
        uses: uses.unwrap_or(1),
        seconds: lasts,
    })
}

fn role(text: &str) -> Result<AdminCommand, UsageError> {
    let (who, role) = text.rsplit_once(char::is_whitespace).unwrap_or((text, ""));
    let nickname = name(who.trim_end())?;
    let role = Role::parse(&role.to_ascii_lowercase())
        .ok()
        .filter(|role| *role != Role::Unverified)
        .ok_or("A role is owner, moderator or member")?;
    Ok(AdminCommand::Role { nickname, role })
}

fn before(text: &str) -> Result<Option<u64>, UsageError> {
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.trim_start_matches('#').parse();
    number
        .map(Some)
        .map_err(|_| "That goes by the numbers of its entries".to_owned())
}

fn device(text: &str) -> Result<AdminCommand, UsageError> {
    let (what, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    match (what.to_ascii_lowercase().as_str(), rest.trim_start()) {
        ("" | "list", "") => Ok(AdminCommand::Devices),
        ("add", "") => Ok(AdminCommand::AddDevice),
        ("revoke", rest) => {
            let (key, how) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let block = match how.trim().to_ascii_lowercase().as_str() {
                "" => false,
                "block" => true,
                _ => return Err("A device is revoked, or revoked and blocked".to_owned()),
            };
            Ok(AdminCommand::RevokeDevice {
                key: KeyTag::parse(key).map_err(|wrong| wrong.to_string())?,
                block,
            })
        }
        _ => Err("That is no code, and nothing to do with devices".to_owned()),
    }
}

#[cfg(test)]
mod tests {
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
                    read(slash, action, argument, &RoomName::lobby(), members.iter())
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
    fn the_longest_nickname_in_the_room_is_meant() {
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
    fn times_are_read_as_people_write_them() {
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

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn every_command_says_what_it_is_for() {
        let room = RoomName::lobby;
        let invite = |uses, seconds| AdminCommand::Invite { uses, seconds };
        for (text, expected) in [
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
                    room: room(),
                    topic: line("release day"),
                },
            ),
            (
                "/topic off",
                AdminCommand::Topic {
                    room: room(),
                    topic: None,
                },
            ),
            (
                "/announce ON",
                AdminCommand::Announce {
                    room: room(),
                    on: true,
                },
            ),
            (
                "/slow 30s",
                AdminCommand::Slow {
                    room: room(),
                    seconds: 30,
                },
            ),
            (
                "/slow 10",
                AdminCommand::Slow {
                    room: room(),
                    seconds: 10,
                },
            ),
            (
                "/slow off",
                AdminCommand::Slow {
                    room: room(),
                    seconds: 0,
                },
            ),
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
    fn what_is_wrong_is_told_with_the_usage() {
        for (text, expected) in [
            ("/kick", "Whom? /kick NAME [REASON]"),
            ("/kick \"bob", "The quote has no end: /kick NAME [REASON]"),
            (
                "/ban bob 3 strikes",
                "3 is no time (10m, 2h, 3d and 1w are): /ban NAME [TIME] [REASON]",
            ),
            ("/slow", "How long? /slow TIME|off"),
            ("/topic", "What is it about? /topic TEXT|off"),
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
                "An invite is for 1 to 65,535 people, or any: /invite [PEOPLE] [TIME]",
            ),
            (
                "/invite 2 3",
                "For how many, and for how long? /invite [PEOPLE] [TIME]",
            ),
            (
                "/revoke x",
                "An invite's id has 16 hexadecimal digits: /revoke ID",
            ),
            (
                "/audit x",
                "That goes by the numbers of its entries: /audit [NUMBER]",
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
                "A device is revoked, or revoked and blocked: /device, /device add, /device revoke ID [block], /device CODE",
            ),
        ] {
            assert_eq!(typed(text), Err(expected.to_owned()), "{text}");
        }
        let hostile = typed("/ban bob 1\u{1b}[2J\u{202e}").unwrap_err();
        assert!(!hostile.contains(['\u{1b}', '\u{202e}']), "{hostile}");
        assert!(typed(&format!("/kick {}", "a ".repeat(10_000))).is_ok());
    }
}
