//! The small types that untrusted strings become. Each can only be made by a check, so that code
//! that holds one need not check again.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

pub use super::nickname::{Nickname, NicknameError};
use super::{
    hex::{hex_id, shown_hex_id, write_hex},
    key::PublicKey,
    limits,
};

/// Why a string was refused; the text says what is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameError(pub(super) &'static str);

impl fmt::Display for NameError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

impl std::error::Error for NameError {}

fn is_word(text: &str, bytes_max: usize) -> bool {
    !text.is_empty()
        && text.len() <= bytes_max
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// A room's name: lower-case ASCII letters, digits, `-`, `_` and `.`; shown with a `#` before it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomName(Box<str>);

impl RoomName {
    /// The room that every user joins.
    pub const LOBBY: &'static str = "lobby";

    /// Parses 1 to [`limits::ROOM_BYTES_MAX`] bytes of the characters named above.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if is_word(text, limits::ROOM_BYTES_MAX) && !text.bytes().any(|b| b.is_ascii_uppercase()) {
            Ok(Self(text.into()))
        } else {
            Err(NameError(
                "A room's name has 1 to 64 lower-case letters, digits, '-', '_' or '.'",
            ))
        }
    }

    /// The room that every user joins.
    pub fn lobby() -> Self {
        Self(Self::LOBBY.into())
    }

    /// The name, without `#`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

/// The client ID of the command line: which of a user's devices or sessions this is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(Box<str>);

impl ClientId {
    /// Parses 1 to [`limits::CLIENT_ID_BYTES_MAX`] ASCII letters, digits, `-`, `_` or `.`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if is_word(text, limits::CLIENT_ID_BYTES_MAX) {
            Ok(Self(text.into()))
        } else {
            Err(NameError(
                "A client ID has 1 to 32 letters, digits, '-', '_' or '.'",
            ))
        }
    }

    /// The ID as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

impl FromStr for ClientId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

hex_id!(
    /// A user's permanent id, independent of their nickname: 24 hexadecimal digits.
    UserId, 12, "A user id has 24 hexadecimal digits"
);
shown_hex_id!(UserId);

hex_id!(
    /// One of a user's devices: 24 hexadecimal digits.
    DeviceId, 12, "A device id has 24 hexadecimal digits"
);
shown_hex_id!(DeviceId);

hex_id!(
    /// The log that a number belongs to: new whenever numbers could come to mean something else.
    Epoch, 8, "An epoch has 16 hexadecimal digits"
);
shown_hex_id!(Epoch);

hex_id!(
    /// The secret that identifies a user across connections: 64 hexadecimal digits, never logged.
    Token, 32, "A token has 64 hexadecimal digits"
);

impl Token {
    /// The 64 digits. Only for the wire and the client's own files.
    pub fn expose(&self) -> String {
        struct Digits<'a>(&'a [u8]);
        impl fmt::Display for Digits<'_> {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(self.0, out)
            }
        }
        Digits(&self.0).to_string()
    }

    /// The user whose token this is. A function of the token alone, so that a user stays the same
    /// over servers and restarts; one-way, so that ids can be public.
    pub fn user(&self) -> UserId {
        UserId(self.derive("chat-tui user", ""))
    }

    /// The device that this token and a client ID name.
    pub fn device(&self, client_id: &ClientId) -> DeviceId {
        DeviceId(self.derive("chat-tui device", client_id.as_str()))
    }

    /// The device that they name together with a key, for when [`device`](Self::device) belongs to
    /// another user.
    pub fn device_of_key(&self, client_id: &ClientId, key: &PublicKey) -> DeviceId {
        let what = format!("{key} {client_id}");
        DeviceId(self.derive("chat-tui device of a key", &what))
    }

    fn derive(&self, domain: &str, what: &str) -> [u8; 12] {
        let mut hash = Sha256::new();
        hash.update(domain.as_bytes());
        hash.update([0]);
        hash.update(self.0);
        hash.update(what.as_bytes());
        let digest = hash.finalize();
        std::array::from_fn(|i| digest[i])
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Token(secret)")
    }
}

/// Identifies a message so that sending it again is safe: the device, and the device's own count of
/// its messages, consecutive from 1. Written `DEVICE-COUNTER`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId {
    /// The sending device.
    pub device: DeviceId,
    /// Its count of messages, including this one.
    pub counter: u64,
}

impl MessageId {
    /// Parses the form that [`fmt::Display`] writes; the counter from 1 to [`limits::NUMBER_MAX`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        const WRONG: NameError = NameError("A message id is a device id, '-' and a number from 1");
        let (device, counter) = text.split_once('-').ok_or(WRONG)?;
        let device = DeviceId::parse(device).map_err(|_| WRONG)?;
        let plain = !counter.starts_with(['0', '+']);
        match counter.parse() {
            Ok(counter @ 1..=limits::NUMBER_MAX) if plain => Ok(Self { device, counter }),
            _ => Err(WRONG),
        }
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.device, self.counter)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}
