//! Administration: roles, rules of rooms, and the table of admin commands ([`ADMIN_COMMANDS`]).
//!
//! Each command is one row of the table. The wire, the client's parser, completion and help, the
//! server's permission check and audit trail, and the lists in the docs are made from it. The
//! server has a function for each row that carries it out.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use self::argument::{
    ArgumentSpec, Kind, ReadArgument, ReadArguments, WriteArgument, WriteArguments, kind,
};
use super::{
    invite::{InviteId, InviteToken},
    key::{DeviceCode, KeyTag, OwnerCode},
    limits::PASSWORD_BYTES_MAX,
    name::{NameError, Nickname, RoomId, RoomName},
    room::HistoryAccess,
};
use crate::text::Line;

pub mod argument;

/// A user's role, from least to most privileged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Sent no key: could be anybody.
    Unverified,
    /// Identified by a key.
    #[default]
    Member,
    /// Moderates the server and its public rooms: kicks, bans, mutes, sets topics.
    Moderator,
    /// Appoints moderators and owners.
    Owner,
}

/// Every role.
pub const ROLES: &[Role] = &[Role::Unverified, Role::Member, Role::Moderator, Role::Owner];

impl Role {
    /// Its name on the wire, and for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Member => "member",
            Self::Moderator => "moderator",
            Self::Owner => "owner",
        }
    }

    /// Parses a role's name.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        let mut roles = ROLES.iter().copied();
        roles
            .find(|role| role.name() == name)
            .ok_or(NameError("A role is owner, moderator or member"))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// The password that admits users whose key the server does not know yet. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<str>);

impl Password {
    /// Parses 1 to [`PASSWORD_BYTES_MAX`] bytes, none a control character; normalises to NFC, so
    /// that it is the same from every keyboard.
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

    /// The password. Only for the wire and the code that checks it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Password(secret)")
    }
}

/// A command from a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminRequest {
    /// The command.
    pub command: AdminCommand,
    /// Echoed in the answer.
    pub reference: Option<u64>,
}

/// The result of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminResult {
    /// One plain sentence.
    pub message: Line,
    /// The requested items, one per line: at most
    /// [`RESULT_LINES_MAX`](super::limits::RESULT_LINES_MAX).
    pub lines: Vec<Line>,
    /// The invite that was made.
    pub invite: Option<InviteToken>,
    /// The code that was made.
    pub code: Option<DeviceCode>,
    /// The room that was made, entered or found.
    pub room: Option<RoomId>,
    /// The request's reference.
    pub reference: Option<u64>,
}

/// One row of the table of admin commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdminSpec {
    /// The command.
    pub command: AdminName,
    /// Its name on the wire.
    pub name: &'static str,
    /// The words that a user types for it, without `/`: one, or two where several commands share
    /// the first.
    pub typed: &'static str,
    /// Its arguments, in the order in which they are read and typed.
    pub arguments: &'static [ArgumentSpec],
    /// The least role that may use it.
    pub may: Role,
    /// The target that it acts on.
    pub on: ActsOn,
    /// Whether it is recorded in the audit trail.
    pub audited: bool,
    /// Its section in lists for people.
    pub section: Section,
    /// Its effect, in a few words for users.
    pub help: &'static str,
    /// Its effect, for authors of clients.
    pub effect: &'static str,
}

/// The target of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActsOn {
    /// The server as a whole.
    Server,
    /// The account of the user who gives it.
    Oneself,
    /// A room, or users in it, as far as the user may in that room.
    Room(RoomRank),
    /// Another user, by their nickname.
    User(Rank),
}

/// The users who may give a command about a room: that depends on the room too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomRank {
    /// Every user who can find it.
    Anybody,
    /// Its members.
    Member,
    /// Its moderators: in public rooms the server's too, in private ones also an owner who is a
    /// member. Nobody moderates a direct conversation.
    Moderator,
}

/// The users that a command may act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// Every user.
    Any,
    /// Users with a lower role than the sender's.
    Lower,
    /// Users with a lower role; for an owner every user, since no role is higher than an owner's.
    LowerUnlessOwner,
}

/// The sections of the lists of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Rooms and conversations.
    Rooms,
    /// A user's own devices.
    Devices,
    /// Commands of moderators.
    Moderators,
    /// Commands of the owner.
    Owner,
}

/// Declares the table: for each row a variant of [`AdminCommand`], one of [`AdminName`], and an
/// [`AdminSpec`]. The doc comment of a row is its `effect`.
macro_rules! admin_commands {
    ($(
        $section:ident: $(
            $(#[doc = $effect:literal])+
            $command:ident $({ $($field:ident: $value:ty as $kind:ident),* $(,)? })? => {
                $($column:tt)*
            }
        )*
    );* $(;)?) => {
        /// An admin command with its arguments. Each is answered by a [`AdminResult`] or an error.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the kind of an argument says what it is")]
        pub enum AdminCommand {
            $($(
                $(#[doc = $effect])+
                $command $({ $($field: $value),* })?,
            )*)*
        }

        /// The name of an admin command.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum AdminName {
            $($(
                $(#[doc = $effect])+
                $command,
            )*)*
        }

        /// Every admin command, in the order of [`AdminName`].
        pub const ADMIN_COMMANDS: &[AdminSpec] = &[$($(
            AdminSpec {
                command: AdminName::$command,
                arguments: &[$($(<kind::$kind as Kind>::SPEC),*)?],
                section: Section::$section,
                effect: concat!($($effect),+),
                $($column)*
            },
        )*)*];

        impl AdminCommand {
            /// Its name.
            pub fn name(&self) -> AdminName {
                match self {
                    $($(Self::$command { .. } => AdminName::$command,)*)*
                }
            }

            /// Reads the arguments of a command.
            ///
            /// # Errors
            /// If one of them is missing or invalid.
            pub fn read<S: ReadArguments>(
                name: AdminName,
                source: &mut S,
            ) -> Result<Self, S::Error> {
                Ok(match name {
                    $($(
                        AdminName::$command => Self::$command $({
                            $($field: ReadArgument::<kind::$kind>::read(source)?),*
                        })?,
                    )*)*
                })
            }

            /// Writes its arguments.
            pub fn write<'a>(&'a self, sink: &mut impl WriteArguments<'a>) {
                match self {
                    $($(
                        Self::$command $({ $($field),* })? => {
                            $($(WriteArgument::<kind::$kind>::write(sink, $field);)*)?
                        }
                    )*)*
                }
            }

            /// The nickname among its arguments.
            pub fn nickname(&self) -> Option<&Nickname> {
                match self {
                    $($(
                        Self::$command $({ $($field),* })? => {
                            None $($(.or(<kind::$kind as Kind>::nickname($field)))*)?
                        }
                    )*)*
                }
            }

            /// The room among its arguments.
            pub fn room(&self) -> Option<RoomId> {
                match self {
                    $($(
                        Self::$command $({ $($field),* })? => {
                            None $($(.or(<kind::$kind as Kind>::room($field)))*)?
                        }
                    )*)*
                }
            }
        }
    };
}

admin_commands! {
    Rooms:
    /// Makes a room, of which the sender is the moderator: a public one, or a private one if
    /// `private` is `true`. Names of public rooms are unique. The operator decides who may; by
    /// default everybody with a key.
    Create { private: bool as Private, name: RoomName as NewName } => {
        name: "create", typed: "create", help: "make a room",
        may: Role::Member, on: ActsOn::Server, audited: true,
    }
    /// Makes the sender a member of the public room of that name; without a key for the length of
    /// the session.
    Enter { name: RoomName as NewName } => {
        name: "enter", typed: "join", help: "enter a room",
        may: Role::Unverified, on: ActsOn::Room(RoomRank::Anybody), audited: false,
    }
    /// Ends the sender's membership. The lobby and direct conversations are not left.
    Leave { room: RoomId as Room } => {
        name: "leave", typed: "leave", help: "leave the room",
        may: Role::Unverified, on: ActsOn::Room(RoomRank::Member), audited: false,
    }
    /// Makes a user with a key a member.
    InviteTo { room: RoomId as Room, nickname: Nickname as Name } => {
        name: "invite_to", typed: "invite", help: "make somebody a member of the room",
        may: Role::Member, on: ActsOn::Room(RoomRank::Member), audited: false,
    }
    /// Ends a user's membership.
    Remove { room: RoomId as Room, nickname: Nickname as Name, reason: Option<Line> as Reason } => {
        name: "remove", typed: "remove", help: "remove somebody from the room",
        may: Role::Member, on: ActsOn::Room(RoomRank::Moderator), audited: true,
    }
    /// Gives a room another name; its id stays.
    RenameRoom { room: RoomId as Room, name: RoomName as NewName } => {
        name: "rename", typed: "rename", help: "give the room another name",
        may: Role::Member, on: ActsOn::Room(RoomRank::Moderator), audited: true,
    }
    /// Archives a room: it can be read and searched, and nobody writes in it.
    Archive { room: RoomId as Room } => {
        name: "archive", typed: "archive", help: "make the room read-only",
        may: Role::Member, on: ActsOn::Room(RoomRank::Moderator), audited: true,
    }
    /// Takes a room out of the archive.
    Unarchive { room: RoomId as Room } => {
        name: "unarchive", typed: "unarchive", help: "let people write in it again",
        may: Role::Member, on: ActsOn::Room(RoomRank::Moderator), audited: true,
    }
    /// Decides what new members of a private room may read of what is written from now on: `all`, or
    /// what follows after they have `joined`.
    History { room: RoomId as Room, history: HistoryAccess as History } => {
        name: "history", typed: "history", help: "what new members may read",
        may: Role::Member, on: ActsOn::Room(RoomRank::Moderator), audited: true,
    }
    /// Makes a member the room's moderator, or no longer.
    AppointModerator { room: RoomId as Room, nickname: Nickname as Name, on: bool as Switch } => {
        name: "moderator", typed: "moderator", help: "make a member the room's moderator",
        may: Role::Member, on: ActsOn::Room(RoomRank::Moderator), audited: true,
    }
    /// Finds the direct conversation of the sender and up to 8 users with a key, or makes it. With
    /// the sender alone it holds notes to oneself.
    Direct { nicknames: Vec<Nickname> as People } => {
        name: "direct", typed: "msg", help: "open a direct conversation",
        may: Role::Member, on: ActsOn::Server, audited: false,
    }
    /// Ignores a user with a key: what they write does not count for the sender, and is not in their
    /// inbox. The other one is not told.
    Ignore { nickname: Nickname as Name } => {
        name: "ignore", typed: "ignore", help: "hide the messages of a user",
        may: Role::Member, on: ActsOn::Oneself, audited: false,
    }
    /// Ignores a user no longer.
    Unignore { nickname: Nickname as Name } => {
        name: "unignore", typed: "unignore", help: "stop ignoring a user",
        may: Role::Member, on: ActsOn::Oneself, audited: false,
    }
    /// Sets a room's topic; without `topic`, removes it.
    Topic { room: RoomId as Room, topic: Option<Line> as Topic } => {
        name: "topic", typed: "topic", help: "set the room's topic, or show it",
        may: Role::Member, on: ActsOn::Room(RoomRank::Moderator), audited: true,
    }
    /// Lets only moderators write in a room, or everybody again.
    Announce { room: RoomId as Room, on: bool as Switch } => {
        name: "announce", typed: "announce", help: "let only moderators write",
        may: Role::Member, on: ActsOn::Room(RoomRank::Moderator), audited: true,
    }
    /// Makes members wait so many seconds between two messages; 0: no wait.
    Slow { room: RoomId as Room, seconds: u64 as Pause } => {
        name: "slow", typed: "slow", help: "set a pause between messages",
        may: Role::Member, on: ActsOn::Room(RoomRank::Moderator), audited: true,
    };

    Devices:
    /// Lists the sender's devices.
    Devices => {
        name: "devices", typed: "device", help: "list your devices",
        may: Role::Member, on: ActsOn::Oneself, audited: false,
    }
    /// Makes a `code` that adds a device to the sender's account: valid once, for 10 minutes.
    AddDevice => {
        name: "add_device", typed: "device add", help: "get a code that adds one",
        may: Role::Member, on: ActsOn::Oneself, audited: false,
    }
    /// Revokes a device of the sender: it can't join again, nor be added by a code; `key` is the 8
    /// digits that `devices` lists. The key may join as a new user, unless `block` is `true`: then
    /// `bans` lists it as `key-` and its digits, until the owner lifts that.
    RevokeDevice { key: KeyTag as Key, block: bool as Block } => {
        name: "revoke_device", typed: "device revoke", help: "revoke one, or block its key",
        may: Role::Member, on: ActsOn::Oneself, audited: true,
    };

    Moderators:
    /// Makes an invite's token for `uses` people; 0: any number.
    Invite { uses: u16 as Uses, seconds: Option<u64> as Time } => {
        name: "invite", typed: "invite", help: "make one for 1, 5 or any, for 2d",
        may: Role::Moderator, on: ActsOn::Server, audited: true,
    }
    /// Lists the invites that are known and still valid.
    Invites => {
        name: "invites", typed: "invites", help: "list the valid ones",
        may: Role::Moderator, on: ActsOn::Server, audited: false,
    }
    /// Revokes an invite; `invite` is its id.
    Revoke { invite: InviteId as Invite } => {
        name: "revoke", typed: "revoke", help: "revoke an invite",
        may: Role::Moderator, on: ActsOn::Server, audited: true,
    }
    /// Ends the user's connections with `bye`.
    Kick { nickname: Nickname as Name, reason: Option<Line> as Reason } => {
        name: "kick", typed: "kick", help: "disconnect a user, for now",
        may: Role::Moderator, on: ActsOn::User(Rank::Lower), audited: true,
    }
    /// Ends the user's connections, and refuses their keys and their address; without `seconds`
    /// until `unban`. Revokes the invites that they made.
    Ban {
        nickname: Nickname as Name,
        seconds: Option<u64> as Time,
        reason: Option<Line> as Reason,
    } => {
        name: "ban", typed: "ban", help: "ban from the server",
        may: Role::Moderator, on: ActsOn::User(Rank::Lower), audited: true,
    }
    /// Lifts a ban, unless a user above the sender set it; `nickname` is the user's at the time of
    /// the ban.
    Unban { nickname: Nickname as Name } => {
        name: "unban", typed: "unban", help: "lift a ban",
        may: Role::Moderator, on: ActsOn::Server, audited: true,
    }
    /// Lists the bans and mutes in force.
    Bans => {
        name: "bans", typed: "bans", help: "list bans and mutes",
        may: Role::Moderator, on: ActsOn::Server, audited: false,
    }
    /// Refuses the user's messages, and those of people from their address who were not known
    /// before; also a new nickname, and joins beyond three at once or one a minute.
    Mute {
        nickname: Nickname as Name,
        seconds: Option<u64> as Time,
        reason: Option<Line> as Reason,
    } => {
        name: "mute", typed: "mute", help: "refuse a user's messages",
        may: Role::Moderator, on: ActsOn::User(Rank::Lower), audited: true,
    }
    /// Lifts a mute, unless a user above the sender set it.
    Unmute { nickname: Nickname as Name } => {
        name: "unmute", typed: "unmute", help: "lift a mute",
        may: Role::Moderator, on: ActsOn::User(Rank::LowerUnlessOwner), audited: true,
    };

    Owner:
    /// Makes the sender the owner, by the code that the server showed at its start.
    Own { code: OwnerCode as Code } => {
        name: "own", typed: "owner", help: "become owner, by the server's code",
        may: Role::Member, on: ActsOn::Server, audited: true,
    }
    /// Gives a role: `member`, `moderator`, `owner`. A `member` loses the invites that they made.
    Role { nickname: Nickname as Name, role: Role as Role } => {
        name: "role", typed: "role", help: "make a member, moderator or owner",
        may: Role::Owner, on: ActsOn::User(Rank::Any), audited: true,
    }
    /// Frees a nickname, for example one whose owner lost their key.
    Release { nickname: Nickname as Name } => {
        name: "release", typed: "release", help: "free a nickname whose key is lost",
        may: Role::Owner, on: ActsOn::Server, audited: true,
    }
    /// Lists admin actions, newest first; with `to` only those with lower numbers.
    Audit { before: Option<u64> as Before } => {
        name: "audit", typed: "audit", help: "list admin actions, newest first",
        may: Role::Owner, on: ActsOn::Server, audited: false,
    };
}

impl AdminName {
    /// Its row.
    pub fn spec(self) -> &'static AdminSpec {
        &ADMIN_COMMANDS[self as usize]
    }

    /// The command with this name on the wire.
    pub fn from_wire(name: &str) -> Option<Self> {
        let spec = ADMIN_COMMANDS.iter().find(|spec| spec.name == name);
        spec.map(|spec| spec.command)
    }
}

impl AdminCommand {
    /// Its row.
    pub fn spec(&self) -> &'static AdminSpec {
        self.name().spec()
    }
}

/// The table as Markdown, for `docs/PROTOCOL.md`.
pub fn markdown() -> String {
    let row = |spec: &AdminSpec| {
        let fields = spec.arguments.iter();
        let fields: Vec<_> = fields
            .map(|argument| format!("`{}`", argument.field))
            .collect();
        let who = match (spec.on, spec.may) {
            (ActsOn::Room(RoomRank::Moderator), _) => "a moderator of the room",
            (ActsOn::Room(RoomRank::Member), Role::Unverified) => "a member",
            (ActsOn::Room(RoomRank::Member), _) => "a member with a key",
            (ActsOn::Room(RoomRank::Anybody), _) | (_, Role::Unverified) => "anybody",
            (_, Role::Member) => "anybody with a key",
            (_, Role::Moderator) => "moderator",
            (_, Role::Owner) => "owner",
        };
        let on = match spec.on {
            ActsOn::Server => "the server",
            ActsOn::Oneself => "the sender",
            ActsOn::Room(_) => "a room",
            ActsOn::User(Rank::Any) => "any user",
            ActsOn::User(Rank::Lower) => "a user below the sender",
            ActsOn::User(Rank::LowerUnlessOwner) => "a user below the sender; an owner's, any user",
        };
        let (name, fields, effect) = (spec.name, fields.join(", "), spec.effect.trim());
        format!("| `{name}` | {fields} | {who} | {on} | {effect} |\n")
    };
    let rows: String = ADMIN_COMMANDS.iter().map(row).collect();
    format!("| `command` | fields | who may | acts on | |\n|---|---|---|---|---|\n{rows}")
}
