//! Administration: roles, rules of rooms, and the table of admin commands ([`ADMIN_COMMANDS`]).
//!
//! One row of the table is a command. The wire, the client's parser, completion and help, the server's
//! permission check and audit trail, and the lists in the docs are made from it; the server has a
//! function for each row that carries it out.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use self::argument::{
    ArgumentSpec, Kind, ReadArgument, ReadArguments, WriteArgument, WriteArguments, kind,
};
use super::{
    invite::{InviteId, InviteToken},
    key::{DeviceCode, KeyTag, OwnerCode},
    limits::PASSWORD_BYTES_MAX,
    name::{NameError, Nickname, RoomName},
};
use crate::text::Line;

pub mod argument;

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

/// One row of the table of admin commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdminSpec {
    /// The command.
    pub command: AdminName,
    /// Its name on the wire.
    pub name: &'static str,
    /// What is typed for it, without `/`: a word, or two where several commands share the first.
    pub typed: &'static str,
    /// What it takes, in the order in which it is read and typed.
    pub arguments: &'static [ArgumentSpec],
    /// The least role that may give it.
    pub may: Role,
    /// On what it acts.
    pub on: ActsOn,
    /// Whether it is noted in the audit trail.
    pub audited: bool,
    /// Where lists for people have it.
    pub section: Section,
    /// What it does, in a few words for people who use it.
    pub help: &'static str,
    /// What it does, for people who write clients.
    pub effect: &'static str,
}

/// On what a command acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActsOn {
    /// The server as a whole.
    Server,
    /// The account of the user who gives it.
    Oneself,
    /// A room.
    Room,
    /// Another user, by their nickname.
    User(Rank),
}

/// On which users a command may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// On everybody.
    Any,
    /// On those below the user who gives it.
    Lower,
    /// The same; an owner's acts on everybody, since nobody is above an owner who could give it for them.
    LowerUnlessOwner,
}

/// The parts of the lists of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// A user's own devices.
    Devices,
    /// What moderators do.
    Moderators,
    /// What the owner does.
    Owner,
}

/// Declares the table: of each row, a variant of [`AdminCommand`] and one of [`AdminName`], and an
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

        /// Which admin command.
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
            /// Which it is.
            pub fn name(&self) -> AdminName {
                match self {
                    $($(Self::$command { .. } => AdminName::$command,)*)*
                }
            }

            /// Reads the arguments of a command.
            ///
            /// # Errors
            /// If one of them makes no sense.
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

            /// The nickname that it names.
            pub fn nickname(&self) -> Option<&Nickname> {
                match self {
                    $($(
                        Self::$command $({ $($field),* })? => {
                            None $($(.or(<kind::$kind as Kind>::nickname($field)))*)?
                        }
                    )*)*
                }
            }

            /// The room that it names.
            pub fn room(&self) -> Option<&RoomName> {
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
    Devices:
    /// Lists the sender's devices.
    Devices => {
        name: "devices", typed: "device", help: "list them",
        may: Role::Member, on: ActsOn::Oneself, audited: false,
    }
    /// Gives a `code` for another device of the sender's: good once, for 10 minutes.
    AddDevice => {
        name: "add_device", typed: "device add", help: "a code for one more",
        may: Role::Member, on: ActsOn::Oneself, audited: false,
    }
    /// Lets a device of the sender's in no more, nor by a code; `key` is the 8 digits that `devices`
    /// lists. The key may come in as somebody new, unless `block` is `true`: then it is listed in
    /// `bans`, as `key-` and its digits, until the owner lifts that.
    RevokeDevice { key: KeyTag as Key, block: bool as Block } => {
        name: "revoke_device", typed: "device revoke", help: "shut one out, or block its key",
        may: Role::Member, on: ActsOn::Oneself, audited: true,
    };

    Moderators:
    /// Gives an invite's token, good for so many people; 0 uses: any number.
    Invite { uses: u16 as Uses, seconds: Option<u64> as Time } => {
        name: "invite", typed: "invite", help: "let somebody in: 1, 5 or any, for 2d",
        may: Role::Moderator, on: ActsOn::Server, audited: true,
    }
    /// Lists the invites that are known and not over.
    Invites => {
        name: "invites", typed: "invites", help: "those that are not over",
        may: Role::Moderator, on: ActsOn::Server, audited: false,
    }
    /// Lets nobody in by an invite any more; `invite` is its id.
    Revoke { invite: InviteId as Invite } => {
        name: "revoke", typed: "revoke", help: "end an invite",
        may: Role::Moderator, on: ActsOn::Server, audited: true,
    }
    /// Ends the user's connections with `bye`.
    Kick { nickname: Nickname as Name, reason: Option<Line> as Reason } => {
        name: "kick", typed: "kick", help: "send away, for now",
        may: Role::Moderator, on: ActsOn::User(Rank::Lower), audited: true,
    }
    /// Ends the user's connections, and lets neither their keys nor their address in again; without
    /// `seconds` until `unban`. Revokes the invites that they made.
    Ban {
        nickname: Nickname as Name,
        seconds: Option<u64> as Time,
        reason: Option<Line> as Reason,
    } => {
        name: "ban", typed: "ban", help: "send away, and keep out",
        may: Role::Moderator, on: ActsOn::User(Rank::Lower), audited: true,
    }
    /// Lifts a ban that nobody above the sender has set; `nickname` is the user's at the time of the ban.
    Unban { nickname: Nickname as Name } => {
        name: "unban", typed: "unban", help: "let in again",
        may: Role::Moderator, on: ActsOn::Server, audited: true,
    }
    /// Lists the bans and mutes in force.
    Bans => {
        name: "bans", typed: "bans", help: "who is kept out",
        may: Role::Moderator, on: ActsOn::Server, audited: false,
    }
    /// Refuses the user's messages, and those of people from their address who were not known before;
    /// also another nickname, and more than three joins at once or one a minute.
    Mute {
        nickname: Nickname as Name,
        seconds: Option<u64> as Time,
        reason: Option<Line> as Reason,
    } => {
        name: "mute", typed: "mute", help: "take no messages from",
        may: Role::Moderator, on: ActsOn::User(Rank::Lower), audited: true,
    }
    /// Lifts a mute that nobody above the sender has set.
    Unmute { nickname: Nickname as Name } => {
        name: "unmute", typed: "unmute", help: "take them again",
        may: Role::Moderator, on: ActsOn::User(Rank::LowerUnlessOwner), audited: true,
    }
    /// Says what a room is about; without `topic`: nothing.
    Topic { room: RoomName as Room, topic: Option<Line> as Topic } => {
        name: "topic", typed: "topic", help: "what the room is about",
        may: Role::Moderator, on: ActsOn::Room, audited: true,
    }
    /// Lets only moderators write in a room, or everybody again.
    Announce { room: RoomName as Room, on: bool as Switch } => {
        name: "announce", typed: "announce", help: "only moderators write, or all",
        may: Role::Moderator, on: ActsOn::Room, audited: true,
    }
    /// Has members wait so many seconds between two messages; 0: no more.
    Slow { room: RoomName as Room, seconds: u64 as Pause } => {
        name: "slow", typed: "slow", help: "a pause between one's messages",
        may: Role::Moderator, on: ActsOn::Room, audited: true,
    };

    Owner:
    /// Makes the sender the owner, by the code that the server showed at its start.
    Own { code: OwnerCode as Code } => {
        name: "own", typed: "owner", help: "be it, by the code shown at the start",
        may: Role::Member, on: ActsOn::Server, audited: true,
    }
    /// Gives a role: `member`, `moderator`, `owner`. A `member` loses the invites that they made.
    Role { nickname: Nickname as Name, role: Role as Role } => {
        name: "role", typed: "role", help: "make a member, moderator or owner",
        may: Role::Owner, on: ActsOn::User(Rank::Any), audited: true,
    }
    /// Lets anybody have a nickname whose owner lost their key.
    Release { nickname: Nickname as Name } => {
        name: "release", typed: "release", help: "free a nickname whose key is lost",
        may: Role::Owner, on: ActsOn::Server, audited: true,
    }
    /// Lists what was done, newest first; with `to` only what came before that number.
    Audit { before: Option<u64> as Before } => {
        name: "audit", typed: "audit", help: "what was done, newest first",
        may: Role::Owner, on: ActsOn::Server, audited: false,
    };
}

impl AdminName {
    /// Its row.
    pub fn spec(self) -> &'static AdminSpec {
        &ADMIN_COMMANDS[self as usize]
    }

    /// The command of a name on the wire.
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

/// The table as Markdown, for the protocol's description.
pub fn markdown() -> String {
    let row = |spec: &AdminSpec| {
        let fields = spec.arguments.iter();
        let fields: Vec<_> = fields
            .map(|argument| format!("`{}`", argument.field))
            .collect();
        let who = match spec.may {
            Role::Unverified => "anybody",
            Role::Member => "anybody with a key",
            Role::Moderator => "moderator",
            Role::Owner => "owner",
        };
        let on = match spec.on {
            ActsOn::Server => "the server",
            ActsOn::Oneself => "the sender",
            ActsOn::Room => "a room",
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
