//! Reads and writes `command` and `result`.

use super::{
    client::room,
    flat::{Flat, List, Number, Str, number, room_id, shown},
    names::{HISTORY_ACCESS, name_of},
    refusal::{Refusal, about, bad_nickname},
};
use crate::{
    protocol::{
        HistoryAccess,
        admin::{
            AdminCommand, AdminName, AdminRequest, AdminResult, Role,
            argument::{ArgumentSource, Kind, ReadArgument, WriteArgument, kind},
        },
        frame::ErrorCode,
        invite::{InviteId, InviteToken},
        key::{DeviceCode, KeyTag, OwnerCode},
        limits::DIRECT_PEOPLE_MAX,
        name::{NameError, Nickname, RoomId, RoomName},
    },
    text::Line,
};

/// Reads a `command`.
pub(super) fn parse(flat: &Flat<'_>, reference: Option<u64>) -> Result<AdminRequest, Refusal> {
    about(reference, || {
        let name = flat.command.as_ref().map_or("", Str::as_str);
        let Some(name) = AdminName::from_wire(name) else {
            let mut refusal = Refusal::field("command", "the server does not know this one", false);
            refusal.code = ErrorCode::UnknownType;
            return Err(refusal);
        };
        Ok(AdminRequest {
            command: AdminCommand::read(name, &mut Fields(flat))?,
            reference,
        })
    })
}

/// Writes a `command`.
pub(super) fn command_flat(request: &AdminRequest) -> Flat<'_> {
    let mut flat = Flat {
        command: Some(request.command.spec().name.into()),
        reference: request.reference.map(Number),
        ..Flat::of("command")
    };
    request.command.write(&mut flat);
    flat
}

/// Reads arguments from a frame.
struct Fields<'f, 'a>(&'f Flat<'a>);

impl ArgumentSource for Fields<'_, '_> {
    type Error = Refusal;
}

/// For each kind of argument: how it is read from a frame, and which field is written.
macro_rules! on_the_wire {
    ($($kind:ident: |$flat:ident| $read:expr, $field:ident = |$value:ident| $write:expr;)*) => {$(
        impl ReadArgument<kind::$kind> for Fields<'_, '_> {
            fn read(&mut self) -> Result<<kind::$kind as Kind>::Value, Refusal> {
                let $flat = self.0;
                $read
            }
        }

        impl<'a> WriteArgument<'a, kind::$kind> for Flat<'a> {
            fn write(&mut self, $value: &'a <kind::$kind as Kind>::Value) {
                self.$field = $write;
            }
        }
    )*};
}

on_the_wire! {
    Name: |flat| nickname(flat), nickname = |name| Some(name.as_str().into());
    Role: |flat| needed("role", flat.role.as_ref(), Role::parse), role = |role| Some(role.name().into());
    Reason: |flat| Ok(line(flat.reason.as_ref())), reason = |reason| text(reason.as_ref());
    Time: |flat| Ok(flat.seconds.map(|Number(seconds)| seconds)), seconds = |time| time.map(Number);
    Room: |flat| room(flat), room = |room| Some(room_id(*room));
    NewName: |flat| needed("name", flat.name.as_ref(), RoomName::parse), name = |name| Some(name.as_str().into());
    Private: |flat| Ok(flat.private.unwrap_or(false)), private = |private| private.then_some(true);
    History: |flat| needed("history", flat.history.as_ref(), history), history = |history| Some(name_of(HISTORY_ACCESS, history).into());
    People: |flat| nicknames(flat), nicknames = |people| Some(List(people.iter().map(|name| name.as_str().into()).collect()));
    Topic: |flat| Ok(line(flat.topic.as_ref())), topic = |topic| text(topic.as_ref());
    Switch: |flat| Ok(flat.on.unwrap_or(true)), on = |on| Some(*on);
    Pause: |flat| Ok(flat.seconds.map_or(0, |Number(s)| s)), seconds = |pause| number(*pause);
    Uses: |flat| uses(flat), uses = |uses| number(u64::from(*uses));
    Invite: |flat| needed("invite", flat.invite.as_ref(), InviteId::parse), invite = |id| shown(id);
    Code: |flat| needed("code", flat.code.as_ref(), OwnerCode::parse), code = |code| shown(code);
    Key: |flat| needed("key", flat.key.as_ref(), KeyTag::parse), key = |key| shown(key);
    Block: |flat| Ok(flat.block.unwrap_or(false)), block = |block| block.then_some(true);
    Before: |flat| Ok(flat.to.map(|Number(before)| before)), to = |before| before.map(Number);
}

fn nickname(flat: &Flat<'_>) -> Result<Nickname, Refusal> {
    let nickname = flat.nickname.as_ref().map_or("", Str::as_str);
    Nickname::parse(nickname).map_err(|wrong| bad_nickname(wrong, false))
}

fn nicknames(flat: &Flat<'_>) -> Result<Vec<Nickname>, Refusal> {
    let names = flat.nicknames.as_ref().map_or(&[][..], |names| &names.0);
    if names.is_empty() || names.len() >= DIRECT_PEOPLE_MAX {
        return Err(Refusal::field(
            "nicknames",
            "there are 1 to 8 of them",
            false,
        ));
    }
    let nickname = |name: &Str<'_>| Nickname::parse(name.as_str());
    let nicknames = names.iter().map(nickname).collect::<Result<_, _>>();
    nicknames.map_err(|wrong| bad_nickname(wrong, false))
}

fn history(name: &str) -> Result<HistoryAccess, NameError> {
    let known = HISTORY_ACCESS.iter().find(|(_, known)| *known == name);
    let wrong = NameError("it is all or joined");
    known.map(|(history, _)| *history).ok_or(wrong)
}

fn uses(flat: &Flat<'_>) -> Result<u16, Refusal> {
    let uses = flat.uses.map_or(1, |Number(uses)| uses);
    u16::try_from(uses)
        .map_err(|_| Refusal::field("uses", "an invite is for at most 65,535 people", false))
}

fn line(text: Option<&Str<'_>>) -> Option<Line> {
    text.map(|text| Line::inert(text.as_str()))
        .filter(|line| !line.as_str().is_empty())
}

fn needed<T>(
    name: &str,
    text: Option<&Str<'_>>,
    parse: impl FnOnce(&str) -> Result<T, NameError>,
) -> Result<T, Refusal> {
    parse(text.map_or("", Str::as_str)).map_err(|wrong| Refusal::field(name, wrong, false))
}

fn text(line: Option<&Line>) -> Option<Str<'_>> {
    line.map(|line| line.as_str().into())
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
        room: flat
            .room
            .as_ref()
            .map(|room| RoomId::parse(room.as_str()))
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
        room: result.room.map(room_id),
        reference: result.reference.map(Number),
        ..Flat::of("result")
    }
}
