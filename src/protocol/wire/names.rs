//! The names of codes and reasons on the wire.

use crate::protocol::frame::{Departure, ErrorCode};
use std::fmt;

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
