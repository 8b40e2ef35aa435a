//! The kinds of arguments of admin commands. Each has a value, a field on the wire, and a form in
//! which people type it. A new kind takes a row here, one in `wire::admin`, and a reader in the
//! client's parser.

use crate::{
    protocol::{
        invite::InviteId,
        key::{KeyTag, OwnerCode},
        name::{Nickname, RoomId, RoomName},
        room::HistoryAccess,
    },
    text::Line,
};

/// An argument of a command, for lists and parsers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgumentSpec {
    /// Its field on the wire.
    pub field: &'static str,
    /// How the help writes it; in brackets if optional. Empty if it is not typed.
    pub usage: &'static str,
}

impl ArgumentSpec {
    /// Whether it is optional.
    pub fn is_optional(&self) -> bool {
        self.usage.starts_with('[')
    }
}

/// A kind of argument.
pub trait Kind {
    /// Its values.
    type Value;
    /// Its field and usage.
    const SPEC: ArgumentSpec;

    /// The nickname in a value, if this kind holds one.
    fn nickname(_: &Self::Value) -> Option<&Nickname> {
        None
    }

    /// The room in a value, if this kind holds one.
    fn room(_: &Self::Value) -> Option<RoomId> {
        None
    }
}

/// A source of arguments, which are read in the order of the command's row.
pub trait ArgumentSource {
    /// Why an argument can't be read.
    type Error;
}

/// Reads arguments of one kind.
pub trait ReadArgument<K: Kind>: ArgumentSource {
    /// Reads one argument.
    ///
    /// # Errors
    /// If it is missing or invalid.
    fn read(&mut self) -> Result<K::Value, Self::Error>;
}

/// Writes arguments of one kind.
pub trait WriteArgument<'a, K: Kind> {
    /// Writes one argument.
    fn write(&mut self, value: &'a K::Value);
}

macro_rules! argument_kinds {
    ($(
        $(#[$about:meta])*
        $kind:ident: $value:ty = $field:literal $usage:literal $({ $($method:item)* })?;
    )*) => {
        /// The kinds of arguments.
        pub mod kind {
            use super::*;
            use crate::protocol::admin::Role as AnyRole;

            $(
                $(#[$about])*
                #[derive(Debug)]
                pub struct $kind;

                impl Kind for $kind {
                    type Value = $value;
                    const SPEC: ArgumentSpec = ArgumentSpec { field: $field, usage: $usage };
                    $($($method)*)?
                }
            )*
        }

        /// Reads arguments of every kind.
        pub trait ReadArguments: ArgumentSource $(+ ReadArgument<kind::$kind>)* {}

        impl<S: ArgumentSource $(+ ReadArgument<kind::$kind>)*> ReadArguments for S {}

        /// Writes arguments of every kind.
        pub trait WriteArguments<'a>: Sized $(+ WriteArgument<'a, kind::$kind>)* {}

        impl<'a, S: Sized $(+ WriteArgument<'a, kind::$kind>)*> WriteArguments<'a> for S {}
    };
}

argument_kinds! {
    /// The nickname of a user.
    Name: Nickname = "nickname" "NAME" {
        fn nickname(value: &Nickname) -> Option<&Nickname> {
            Some(value)
        }
    };
    /// A role that can be given.
    Role: AnyRole = "role" "ROLE";
    /// The reason; `None` if none was given.
    Reason: Option<Line> = "reason" "[REASON]";
    /// A duration in seconds; `None` if none was given.
    Time: Option<u64> = "seconds" "[TIME]";
    /// The room; for a typed command, the one where it is typed.
    Room: RoomId = "room" "" {
        fn room(value: &RoomId) -> Option<RoomId> {
            Some(*value)
        }
    };
    /// The name of a room to make, or to enter, or that it gets.
    NewName: RoomName = "name" "ROOM";
    /// Whether a room is private.
    Private: bool = "private" "[private]";
    /// What new members of a room may read.
    History: HistoryAccess = "history" "all|joined";
    /// The nicknames of users: at most one less than a direct conversation has people.
    People: Vec<Nickname> = "nicknames" "NAME…";
    /// A room's topic; `None`: no topic.
    Topic: Option<Line> = "topic" "[TEXT|off]";
    /// On or off.
    Switch: bool = "on" "on|off";
    /// Seconds between two messages of a member; 0: none.
    Pause: u64 = "seconds" "TIME|off";
    /// How many users an invite admits; 0: any number.
    Uses: u16 = "uses" "[PEOPLE]";
    /// An invite.
    Invite: InviteId = "invite" "ID";
    /// The code that the server shows at its start while it has no owner.
    Code: OwnerCode = "code" "CODE";
    /// A device, by the first digits of its key's hash.
    Key: KeyTag = "key" "ID";
    /// Whether to block a device's key too, as a ban does.
    Block: bool = "block" "[block]";
    /// Only entries with lower numbers.
    Before: Option<u64> = "to" "[NUMBER]";
}
