//! Made-up answers of a server to administration.

use chat_tui::{
    client::event::{
        ConnectionStatus, CredentialWanted, Event, ExplanationPart, Security, VerifiedBy,
    },
    protocol::{
        DeviceCode, Fingerprint, InviteId, InviteKey, InviteToken, RoomId, RoomRules,
        admin::{AdminCommand, AdminResult},
    },
    text::Line,
};

use crate::nickname;

/// The key of the imaginary server.
const KEY: Fingerprint = Fingerprint::from_bytes([
    0x5a, 0x17, 0xc3, 0x88, 0x01, 0xfe, 0x42, 0x9d, 0x60, 0x7b, 0x33, 0xe8, 0x12, 0x94, 0xad, 0x0f,
    0xd6, 0x71, 0x2c, 0xbb, 0x45, 0x9e, 0x08, 0x37, 0xf1, 0x6a, 0x5c, 0xe3, 0x20, 0x8d, 0x74, 0xb9,
]);

/// The connection's security, by scene.
pub(crate) fn security(scene: &str) -> Security {
    let verified_by = match scene {
        "plain" => return Security::Plain,
        "first" => VerifiedBy::FirstUse,
        _ => VerifiedBy::Pin,
    };
    Security::Encrypted {
        verified_by,
        fingerprint: KEY,
    }
}

/// The events before admission, by scene.
pub(crate) fn before_the_door(scene: &str) -> Option<Vec<Event>> {
    let stopped = |why: &str, wants| {
        let why = Line::inert(why);
        let brief = if scene == "changed" {
            "Another key!"
        } else {
            "Not let in!"
        };
        Event::Connection(ConnectionStatus::Stopped { why, brief, wants })
    };
    let words = |text: &str| ExplanationPart::Words(Line::inert(text));
    let key = |label: &str, key| ExplanationPart::Key {
        label: Line::inert(label),
        key,
    };
    Some(match scene {
        "password" => vec![stopped(
            "This server wants a password from whoever comes for the first time",
            Some(CredentialWanted::Password),
        )],
        "invite" => vec![stopped(
            "From where you are, only people who are invited come in",
            Some(CredentialWanted::Invite),
        )],
        "banned" => vec![stopped(
            "You are banned from this server until 2026-11-29 09:30 UTC: too loud",
            None,
        )],
        "changed" => vec![
            Event::Distrusted(vec![
                words(
                    "chat.lan:10500 has another key than before. Either it was set up anew, or \
                     somebody else answers in its place and would read all that is said.",
                ),
                key("Its key since 2026-11-02", KEY),
                key("The key offered now", Fingerprint::from_bytes([0x3c; 32])),
                words(
                    "Ask whoever runs it, by another way than this chat, which key it shows when \
                     it starts. If that is the one offered now, this command accepts it:",
                ),
                ExplanationPart::Command(Line::inert(&format!(
                    "chat-tui --trust {} chat.lan 10500 carol 3",
                    Fingerprint::from_bytes([0x3c; 32])
                ))),
            ]),
            stopped(
                "chat.lan:10500 has another key than before, so nothing was sent to it",
                None,
            ),
        ],
        _ => return None,
    })
}

/// The room's rules, by scene.
pub(crate) fn rules(scene: &str) -> Event {
    Event::Rules {
        room: RoomId::LOBBY,
        rules: RoomRules {
            topic: Some(Line::inert("release day: no merges until the tag is out")),
            announce: scene == "announce",
            slow_seconds: if scene == "slow" { 30 } else { 0 },
        },
        by: Some(nickname("alice")),
    }
}

/// The answer to a command.
pub(crate) fn answer(request: u64, command: &AdminCommand) -> Event {
    let result = |message: &str, lines: &[&str]| AdminResult {
        message: Line::inert(message),
        lines: lines.iter().map(|line| Line::inert(line)).collect(),
        invite: None,
        code: None,
        room: None,
        reference: None,
    };
    let key = InviteKey::from_bytes([9; 32]);
    let answer = match command {
        AdminCommand::Invite { .. } => Ok(AdminResult {
            invite: Some(InviteToken::mint(
                &key,
                InviteId::from_bytes([5; 8]),
                1_800_000_000,
                1,
            )),
            ..result(
                "One may come in by this invite, until 2027-01-15 08:00 UTC",
                &[],
            )
        }),
        AdminCommand::AddDevice => Ok(AdminResult {
            code: Some(DeviceCode::from_bytes([0x61, 0x62, 0x63, 0x64, 0x65])),
            ..result(
                "Another device of yours can come in, once, within 10 minutes",
                &[],
            )
        }),
        AdminCommand::Devices => Ok(result(
            "You have 2 devices",
            &[
                "5a17c388  added 2026-11-02 09:12 UTC, last seen about 2026-11-22 09:30 UTC",
                "e8129401  added 2026-11-20 18:40 UTC, last seen about 2026-11-21 07:05 UTC",
            ],
        )),
        AdminCommand::Bans => Ok(result(
            "2 are kept out",
            &[
                "robert until 2026-11-29 09:30 UTC, by bob: too loud",
                "eve until lifted, by alice",
            ],
        )),
        AdminCommand::Kick { nickname, .. } => {
            Ok(result(&format!("{nickname} was sent away"), &[]))
        }
        _ => Err(Line::inert("Only the owner can do that")),
    };
    Event::Admin { request, answer }
}
