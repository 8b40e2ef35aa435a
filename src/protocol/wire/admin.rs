//! `command` and `result`.

use super::{
    client::room,
    flat::{Flat, List, Number, Str, number, shown},
    refusal::{Refusal, about, bad_nickname},
};
use crate::{
    protocol::{
        admin::{AdminCommand, AdminRequest, AdminResult, Role},
        frame::ErrorCode,
        invite::{InviteId, InviteToken},
        key::{DeviceCode, KeyTag, OwnerCode},
        name::{NameError, Nickname},
    },
    text::Line,
};

/// Reads a `command`.
pub(super) fn parse(flat: &Flat<'_>, reference: Option<u64>) -> Result<AdminRequest, Refusal> {
    about(reference, || {
        Ok(AdminRequest {
            command: command(flat)?,
            reference,
        })
    })
}

fn command(flat: &Flat<'_>) -> Result<AdminCommand, Refusal> {
    let nickname = || {
        Nickname::parse(flat.nickname.as_ref().map_or("", Str::as_str))
            .map_err(|wrong| bad_nickname(wrong, false))
    };
    let line = |text: Option<&Str<'_>>| {
        text.map(|text| Line::inert(text.as_str()))
            .filter(|line| !line.as_str().is_empty())
    };
    let reason = || line(flat.reason.as_ref());
    let seconds = flat.seconds.map(|Number(seconds)| seconds);
    Ok(match flat.command.as_ref().map_or("", Str::as_str) {
        "own" => AdminCommand::Own {
            code: needed("code", flat.code.as_ref(), OwnerCode::parse)?,
        },
        "role" => AdminCommand::Role {
            nickname: nickname()?,
            role: needed("role", flat.role.as_ref(), Role::parse)?,
        },
        "kick" => AdminCommand::Kick {
            nickname: nickname()?,
            reason: reason(),
        },
        "ban" => AdminCommand::Ban {
            nickname: nickname()?,
            seconds,
            reason: reason(),
        },
        "unban" => AdminCommand::Unban {
            nickname: nickname()?,
        },
        "bans" => AdminCommand::Bans,
        "mute" => AdminCommand::Mute {
            nickname: nickname()?,
            seconds,
            reason: reason(),
        },
        "unmute" => AdminCommand::Unmute {
            nickname: nickname()?,
        },
        "topic" => AdminCommand::Topic {
            room: room(flat)?,
            topic: line(flat.topic.as_ref()),
        },
        "announce" => AdminCommand::Announce {
            room: room(flat)?,
            on: flat.on.unwrap_or(true),
        },
        "slow" => AdminCommand::Slow {
            room: room(flat)?,
            seconds: seconds.unwrap_or(0),
        },
        "invite" => AdminCommand::Invite {
            uses: u16::try_from(flat.uses.map_or(1, |Number(uses)| uses)).map_err(|_| {
                Refusal::field("uses", "an invite is for at most 65,535 people", false)
            })?,
            seconds,
        },
        "invites" => AdminCommand::Invites,
        "revoke" => AdminCommand::Revoke {
            invite: needed("invite", flat.invite.as_ref(), InviteId::parse)?,
        },
        "release" => AdminCommand::Release {
            nickname: nickname()?,
        },
        "add_device" => AdminCommand::AddDevice,
        "devices" => AdminCommand::Devices,
        "revoke_device" => AdminCommand::RevokeDevice {
            key: needed("key", flat.key.as_ref(), KeyTag::parse)?,
            block: flat.block.unwrap_or(false),
        },
        "audit" => AdminCommand::Audit {
            before: flat.to.map(|Number(before)| before),
        },
        _ => {
            let mut refusal = Refusal::field("command", "the server does not know this one", false);
            refusal.code = ErrorCode::UnknownType;
            return Err(refusal);
        }
    })
}

fn needed<T>(
    name: &str,
    text: Option<&Str<'_>>,
    parse: impl FnOnce(&str) -> Result<T, NameError>,
) -> Result<T, Refusal> {
    parse(text.map_or("", Str::as_str)).map_err(|wrong| Refusal::field(name, wrong, false))
}

/// Writes a `command`.
pub(super) fn command_flat(request: &AdminRequest) -> Flat<'_> {
    let of = |name: &'static str| Flat {
        command: Some(name.into()),
        reference: request.reference.map(Number),
        ..Flat::of("command")
    };
    match &request.command {
        AdminCommand::Own { code } => Flat {
            code: shown(code),
            ..of("own")
        },
        AdminCommand::Role { nickname, role } => Flat {
            role: Some(role.name().into()),
            ..named(nickname, of("role"))
        },
        AdminCommand::Kick { nickname, reason } => Flat {
            reason: text(reason.as_ref()),
            ..named(nickname, of("kick"))
        },
        AdminCommand::Ban {
            nickname,
            seconds,
            reason,
        } => Flat {
            seconds: seconds.map(Number),
            reason: text(reason.as_ref()),
            ..named(nickname, of("ban"))
        },
        AdminCommand::Unban { nickname } => named(nickname, of("unban")),
        AdminCommand::Bans => of("bans"),
        AdminCommand::Mute {
            nickname,
            seconds,
            reason,
        } => Flat {
            seconds: seconds.map(Number),
            reason: text(reason.as_ref()),
            ..named(nickname, of("mute"))
        },
        AdminCommand::Unmute { nickname } => named(nickname, of("unmute")),
        AdminCommand::Topic { room, topic } => Flat {
            room: Some(room.as_str().into()),
            topic: text(topic.as_ref()),
            ..of("topic")
        },
        AdminCommand::Announce { room, on } => Flat {
            room: Some(room.as_str().into()),
            on: Some(*on),
            ..of("announce")
        },
        AdminCommand::Slow { room, seconds } => Flat {
            room: Some(room.as_str().into()),
            seconds: number(*seconds),
            ..of("slow")
        },
        AdminCommand::Invite { uses, seconds } => Flat {
            uses: number(u64::from(*uses)),
            seconds: seconds.map(Number),
            ..of("invite")
        },
        AdminCommand::Invites => of("invites"),
        AdminCommand::Revoke { invite } => Flat {
            invite: shown(invite),
            ..of("revoke")
        },
        AdminCommand::Release { nickname } => named(nickname, of("release")),
        AdminCommand::AddDevice => of("add_device"),
        AdminCommand::Devices => of("devices"),
        AdminCommand::RevokeDevice { key, block } => Flat {
            key: shown(key),
            block: block.then_some(true),
            ..of("revoke_device")
        },
        AdminCommand::Audit { before } => Flat {
            to: before.map(Number),
            ..of("audit")
        },
    }
}

fn text(line: Option<&Line>) -> Option<Str<'_>> {
    line.map(|line| line.as_str().into())
}

fn named<'a>(nickname: &'a Nickname, flat: Flat<'a>) -> Flat<'a> {
    Flat {
        nickname: Some(nickname.as_str().into()),
        ..flat
    }
}

/// Reads a `result`.
pub(super) fn result(flat: &Flat<'_>) -> Result<AdminResult, NameError> {
    let line = |text: &Str<'_>| Line::inert(text.as_str());
    Ok(AdminResult {
        message: flat.message.as_ref().map_or_else(|| Line::inert(""), line),
        lines: flat
            .lines
            .as_ref()
            .map(|List(lines)| lines.iter().map(line).collect())
            .unwrap_or_default(),
        invite: flat
            .invite
            .as_ref()
            .map(|token| InviteToken::parse(token.as_str()))
            .transpose()?,
        code: flat
            .code
            .as_ref()
            .map(|code| DeviceCode::parse(code.as_str()))
            .transpose()?,
        reference: flat.reference.map(|Number(number)| number),
    })
}

/// Writes a `result`.
pub(super) fn result_flat(result: &AdminResult) -> Flat<'_> {
    let lines = || result.lines.iter().map(|line| line.as_str().into());
    Flat {
        message: Some(result.message.as_str().into()),
        lines: (!result.lines.is_empty()).then(|| List(lines().collect())),
        invite: result.invite.map(|token| token.expose().into()),
        code: result.code.and_then(shown),
        reference: result.reference.map(Number),
        ..Flat::of("result")
    }
}
