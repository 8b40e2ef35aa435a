//! The names of codes and reasons on the wire.

use std::fmt;

use super::flat::Str;
use crate::protocol::{
    HistoryAccess, NotifyLevel, RoomKind,
    frame::{Departure, ErrorCode},
};

/// Every error code and its name on the wire.
pub const ERROR_CODES: &[(ErrorCode, &str)] = &[
    (ErrorCode::Malformed, "malformed"),
    (ErrorCode::UnknownType, "unknown_type"),
    (ErrorCode::UnsupportedProtocol, "unsupported_protocol"),
    (ErrorCode::PlaintextRefused, "plaintext_refused"),
    (ErrorCode::JoinExpected, "join_expected"),
    (ErrorCode::BadProof, "bad_proof"),
    (ErrorCode::AccessDenied, "access_denied"),
    (ErrorCode::PasswordRequired, "password_required"),
    (ErrorCode::BadInvite, "bad_invite"),
    (ErrorCode::BadCode, "bad_code"),
    (ErrorCode::Banned, "banned"),
    (ErrorCode::NotAllowed, "not_allowed"),
    (ErrorCode::NotFound, "not_found"),
    (ErrorCode::NicknameInUse, "nickname_in_use"),
    (ErrorCode::BadNickname, "bad_nickname"),
    (ErrorCode::BadField, "bad_field"),
    (ErrorCode::BadText, "bad_text"),
    (ErrorCode::Gone, "gone"),
    (ErrorCode::NoSuchRoom, "no_such_room"),
    (ErrorCode::BadId, "bad_id"),
    (ErrorCode::ServerFull, "server_full"),
    (ErrorCode::RateLimited, "rate_limited"),
    (ErrorCode::HeldBack, "held_back"),
    (ErrorCode::NotDurable, "not_durable"),
    (ErrorCode::Unavailable, "unavailable"),
    (ErrorCode::ShuttingDown, "shutting_down"),
    (ErrorCode::Other, "other"),
];

/// Every reason for a departure and its name on the wire.
pub const DEPARTURES: &[(Departure, &str)] = &[
    (Departure::Disconnect, "disconnect"),
    (Departure::Lost, "lost"),
    (Departure::Timeout, "timeout"),
    (Departure::Replaced, "replaced"),
    (Departure::Protocol, "protocol"),
    (Departure::Kicked, "kicked"),
    (Departure::Banned, "banned"),
    (Departure::Shutdown, "shutdown"),
];

/// Every kind of room and its name on the wire.
pub(super) const ROOM_KINDS: &[(RoomKind, &str)] = &[
    (RoomKind::Public, "public"),
    (RoomKind::Private, "private"),
    (RoomKind::Direct, "direct"),
];

/// Which older entries members may read, and its name on the wire.
pub(super) const HISTORY_ACCESS: &[(HistoryAccess, &str)] = &[
    (HistoryAccess::All, "all"),
    (HistoryAccess::Joined, "joined"),
];

/// Every level of notification and its name on the wire.
pub(super) const NOTIFY_LEVELS: &[(NotifyLevel, &str)] = &[
    (NotifyLevel::All, "all"),
    (NotifyLevel::Mentions, "mentions"),
    (NotifyLevel::Nothing, "none"),
];

/// Finds a value by its name on the wire.
pub(super) fn find<T: Copy>(table: &[(T, &str)], name: &Str<'_>) -> Option<T> {
    let found = table.iter().find(|(_, known)| *known == name.as_str());
    found.map(|(value, _)| *value)
}

/// Finds a value by its name on the wire; the default for none, or an unknown one.
pub(super) fn known<T: Copy + Default>(table: &[(T, &str)], name: Option<&Str<'_>>) -> T {
    name.and_then(|name| find(table, name)).unwrap_or_default()
}

pub(super) fn error_code(name: &str) -> ErrorCode {
    let known = ERROR_CODES.iter().find(|(_, known)| *known == name);
    known.map_or(ErrorCode::Other, |(code, _)| *code)
}

/// An unknown reason counts as a lost connection.
pub(super) fn departure(name: &str) -> Departure {
    let known = DEPARTURES.iter().find(|(_, known)| *known == name);
    known.map_or(Departure::Lost, |(reason, _)| *reason)
}

pub(in crate::protocol) fn name_of<T: PartialEq>(
    table: &'static [(T, &'static str)],
    value: &T,
) -> &'static str {
    table
        .iter()
        .find(|(known, _)| known == value)
        .map_or("other", |(_, name)| name)
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(name_of(ERROR_CODES, self))
    }
}

impl fmt::Display for Departure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(name_of(DEPARTURES, self))
    }
}
