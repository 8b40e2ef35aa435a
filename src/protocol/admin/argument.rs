//! What admin commands take: each kind of argument has a value, a field on the wire, and a form in which
//! people type it. A new kind takes a row here, one in `wire::admin`, and a reader in the client's parser.

use crate::{
    protocol::{
        invite::InviteId,
        key::{KeyTag, OwnerCode},
        name::{Nickname, RoomName},
    },
    text::Line,
};

/// An argument of a command, for lists and parsers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgumentSpec {
    /// Its field on the wire.
    pub field: &'static str,
    /// How the help writes it; in brackets if it may be left out. Empty if it is not typed.
    pub usage: &'static str,
}

impl ArgumentSpec {
    /// Whether it may be left out.
    pub fn is_optional(&self) -> bool {
        self.usage.starts_with('[')
    }
}

/// A kind of argument.
pub trait Kind {
    /// Its values.
    type Value;
    /// For lists and parsers.
    const SPEC: ArgumentSpec;

    /// The nickname that a value is.
    fn nickname(_: &Self::Value) -> Option<&Nickname> {
        None
    }

    /// The room that a value is.
    fn room(_: &Self::Value) -> Option<&RoomName> {
        None
    }
}

/// What arguments are read from, in the order in which the command's row names them.
pub trait ArgumentSource {
    /// Why an argument can't be read.
    type Error;
}

/// Reads arguments of one kind.
pub trait ReadArgument<K: Kind>: ArgumentSource {
    /// Reads one.
    ///
    /// # Errors
    /// If there is none that makes sense.
    fn read(&mut self) -> Result<K::Value, Self::Error>;
}

/// Writes arguments of one kind.
pub trait WriteArgument<'a, K: Kind> {
    /// Writes one.
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
    /// Why; `None`: nothing was said.
    Reason: Option<Line> = "reason" "[REASON]";
    /// For how many seconds; `None`: nothing was said.
    Time: Option<u64> = "seconds" "[TIME]";
    /// The room; when typed, the one where it is typed.
    Room: RoomName = "room" "" {
        fn room(value: &RoomName) -> Option<&RoomName> {
            Some(value)
        }
    };
    /// What a room is about; `None`: nothing.
    Topic: Option<Line> = "topic" "TEXT|off";
    /// On or off.
    Switch: bool = "on" "on|off";
    /// Seconds between two messages of a member; 0: none.
    Pause: u64 = "seconds" "TIME|off";
    /// For how many people; 0: any number.
    Uses: u16 = "uses" "[PEOPLE]";
    /// An invite.
    Invite: InviteId = "invite" "ID";
    /// The code that the server shows at its start while it has no owner.
    Code: OwnerCode = "code" "CODE";
    /// A device, by the beginning of its key.
    Key: KeyTag = "key" "ID";
    /// Whether a device's key is kept out, too, as by a ban.
    Block: bool = "block" "[block]";
    /// Only entries with lower numbers.
    Before: Option<u64> = "to" "[NUMBER]";
}
