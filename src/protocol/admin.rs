//! Order in the house: who may do what, and the commands by which it is kept.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use super::{
    invite::{InviteId, InviteToken},
    key::{DeviceCode, KeyTag, OwnerCode},
    limits::PASSWORD_BYTES_MAX,
    name::{NameError, Nickname, RoomName},
};
use crate::text::Line;

/// What somebody may do, from least to most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Brought no key: may be anybody.
    Unverified,
    /// Known by his key.
    #[default]
    Member,
    /// Keeps order: kicks, bans, mutes, sets topics.
    Moderator,
    /// Decides who does.
    Owner,
}

/// Every role and its name on the wire.
pub const ROLES: &[(Role, &str)] = &[
    (Role::Unverified, "unverified"),
    (Role::Member, "member"),
    (Role::Moderator, "moderator"),
    (Role::Owner, "owner"),
];

impl Role {
    /// Its name on the wire, and for people.
    pub fn name(self) -> &'static str {
        super::wire::name_of(ROLES, &self)
    }

    /// Takes a name.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        ROLES
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(role, _)| *role)
            .ok_or(NameError("A role is owner, moderator or member"))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// How a room is run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomRules {
    /// What the room is about, if anything was said.
    pub topic: Option<Line>,
    /// Whether only moderators may write.
    pub announce: bool,
    /// Seconds that a member waits between two messages; 0: none. Moderators need not wait.
    pub slow_seconds: u64,
}

/// What a server lets people in by who have no key of theirs there yet. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<str>);

impl Password {
    /// 1 to [`PASSWORD_BYTES_MAX`] bytes, none a control character; normalised to NFC, so that it
    /// is the same from every keyboard.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        const WRONG: NameError =
            NameError("A password has 1 to 256 bytes, and no control characters");
        if text.is_empty() || text.len() > PASSWORD_BYTES_MAX || text.chars().any(char::is_control)
        {
            return Err(WRONG);
        }
        let text: String = text.nfc().collect();
        if text.len() > PASSWORD_BYTES_MAX {
            return Err(WRONG);
        }
        Ok(Self(text.into()))
    }

    /// The password. Only the wire, and whoever checks it, may see it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Password(secret)")
    }
}

/// A command, as a client sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminRequest {
    /// What is to be done.
    pub command: AdminCommand,
    /// Echoed in the answer.
    pub reference: Option<u64>,
}

/// What can be done about the house. Each is answered by a [`AdminResult`] or an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminCommand {
    /// Become the owner.
    Own {
        /// The code that the server showed at its start.
        code: OwnerCode,
    },
    /// Give somebody a role.
    Role {
        /// Who.
        nickname: Nickname,
        /// Which.
        role: Role,
    },
    /// Send somebody away, for now.
    Kick {
        /// Who.
        nickname: Nickname,
        /// Why.
        reason: Option<Line>,
    },
    /// Send somebody away, and let neither his keys nor his address in again.
    Ban {
        /// Who.
        nickname: Nickname,
        /// For how long; `None`: until it is lifted.
        seconds: Option<u64>,
        /// Why.
        reason: Option<Line>,
    },
    /// Lift a ban.
    Unban {
        /// Who, as he was called when he was banned.
        nickname: Nickname,
    },
    /// The bans in force.
    Bans,
    /// Refuse somebody's messages.
    Mute {
        /// Who.
        nickname: Nickname,
        /// For how long; `None`: until it is lifted.
        seconds: Option<u64>,
        /// Why.
        reason: Option<Line>,
    },
    /// Take somebody's messages again.
    Unmute {
        /// Who.
        nickname: Nickname,
    },
    /// Say what a room is about.
    Topic {
        /// The room.
        room: RoomName,
        /// What; `None`: nothing.
        topic: Option<Line>,
    },
    /// Let only moderators write in a room, or everybody again.
    Announce {
        /// The room.
        room: RoomName,
        /// Whether only moderators.
        on: bool,
    },
    /// Slow a room down.
    Slow {
        /// The room.
        room: RoomName,
        /// Seconds between two messages of a member; 0: as they like.
        seconds: u64,
    },
    /// Make an invite.
    Invite {
        /// For how many people; 0: any number.
        uses: u16,
        /// For how long; `None`: as long as the server finds sensible.
        seconds: Option<u64>,
    },
    /// The invites that were made here or used.
    Invites,
    /// Let nobody in by an invite any more.
    Revoke {
        /// Which.
        invite: InviteId,
    },
    /// Let a nickname be anybody's again whose owner lost his key.
    Release {
        /// Which.
        nickname: Nickname,
    },
    /// Ask for a code by which another device of one's own comes in.
    AddDevice,
    /// One's own devices.
    Devices,
    /// Let a device of one's own in no more.
    RevokeDevice {
        /// Which key.
        key: KeyTag,
        /// Whether the key is kept out from now on, as by a ban; otherwise it may come in as somebody
        /// new.
        block: bool,
    },
    /// What was done in the house, newest first.
    Audit {
        /// Only entries with lower numbers.
        before: Option<u64>,
    },
}

/// What a command came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminResult {
    /// One plain sentence.
    pub message: Line,
    /// What was asked for, a line for each item: at most
    /// [`RESULT_LINES_MAX`](super::limits::RESULT_LINES_MAX).
    pub lines: Vec<Line>,
    /// The invite that was made.
    pub invite: Option<InviteToken>,
    /// The code that was asked for.
    pub code: Option<DeviceCode>,
    /// What the request carried.
    pub reference: Option<u64>,
}
