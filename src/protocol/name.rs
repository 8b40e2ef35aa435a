//! The small types that untrusted strings become. Each can only be made by a check, so that code
//! that holds one need not check again.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

pub use super::nickname::{Nickname, NicknameError};
use super::{
    hex::{hex_id, read_hex, shown_hex_id, write_hex},
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

/// A room's name, which can change: lower-case ASCII letters, digits, `-`, `_` and `.`; shown with a
/// `#` before it. It never has the form of a [`RoomId`], so that a text is one or the other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomName(Box<str>);

impl RoomName {
    /// The room that every user joins.
    pub const LOBBY: &'static str = "lobby";

    /// Parses 1 to [`limits::ROOM_BYTES_MAX`] bytes of the characters named above.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if !is_word(text, limits::ROOM_BYTES_MAX) || text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(NameError(
                "A room's name has 1 to 64 lower-case letters, digits, '-', '_' or '.'",
            ));
        }
        if read_hex::<{ RoomId::BYTES }>(text).is_some() {
            return Err(NameError(
                "A room's name can't have the form of an id, 24 hexadecimal digits",
            ));
        }
        Ok(Self(text.into()))
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

/// A room's permanent id, never used for another room. Written as 24 hexadecimal digits; the lobby's is
/// written `lobby`.
///
/// Ids of private rooms are random. All others can be computed: of a [named](Self::named) room from its
/// first name, of a [direct](Self::direct) conversation from its people, so that a client can address
/// either before the server has told it of the room.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId([u8; Self::BYTES]);

impl RoomId {
    const BYTES: usize = 12;

    /// The room that every user is in.
    pub const LOBBY: Self = Self([0; Self::BYTES]);

    /// Parses what [`fmt::Display`] writes. Older logs have a room's name in its place: that stands for
    /// the id of the first room of that [name](Self::named).
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if let Some(bytes) = read_hex(text) {
            return Ok(Self(bytes));
        }
        let name = RoomName::parse(text)
            .map_err(|_| NameError("A room's id has 24 hexadecimal digits"))?;
        Ok(Self::named(&name, 0))
    }

    /// The id of a public room that is made with this name. `earlier`: how many public rooms were made
    /// with it before.
    pub fn named(name: &RoomName, earlier: u32) -> Self {
        if name.as_str() == RoomName::LOBBY {
            return Self::LOBBY;
        }
        let mut hash = Sha256::new();
        hash.update("chat-tui room\0");
        hash.update(name.as_str());
        hash.update([0]);
        hash.update(earlier.to_be_bytes());
        Self::of(hash)
    }

    /// The id of the direct conversation of these people, in any order.
    pub fn direct(people: &[UserId]) -> Self {
        let mut people = people.to_vec();
        people.sort_unstable();
        people.dedup();
        let mut hash = Sha256::new();
        hash.update("chat-tui direct\0");
        for user in people {
            hash.update(user.to_bytes());
        }
        Self::of(hash)
    }

    fn of(hash: Sha256) -> Self {
        let digest = hash.finalize();
        Self(std::array::from_fn(|i| digest[i]))
    }

    /// From its bytes.
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn to_bytes(self) -> [u8; Self::BYTES] {
        self.0
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::LOBBY {
            out.write_str(RoomName::LOBBY)
        } else {
            write_hex(&self.0, out)
        }
    }
}

impl fmt::Debug for RoomId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "c3d4e5f60718293a4b5c6d7e";

    fn name(text: &str) -> RoomName {
        RoomName::parse(text).expect(text)
    }

    #[test]
    fn a_rooms_name_never_looks_like_an_id() {
        let other = |text: &str| RoomName::parse(text).is_ok();
        assert!(!other(HEX));
        assert!(!other(&"0".repeat(24)));
        // One digit more or less, or another letter, is a name.
        assert!(other(&HEX[1..]) && other(&format!("{HEX}0")));
        assert!(other(&HEX.replace('c', "g")));
        assert!(other("build") && other(RoomName::LOBBY) && other("a.b-c_9"));
        assert!(other(&"x".repeat(limits::ROOM_BYTES_MAX)));
        assert!(!other(&"x".repeat(limits::ROOM_BYTES_MAX + 1)));
        for text in ["", "Build", "a b", "#build", "lö", "a\u{1b}b"] {
            assert!(!other(text), "{text:?}");
        }
    }

    #[test]
    fn the_lobby_has_one_id() {
        assert_eq!(RoomId::parse("lobby"), Ok(RoomId::LOBBY));
        assert_eq!(RoomId::parse(&"0".repeat(24)), Ok(RoomId::LOBBY));
        assert_eq!(RoomId::named(&RoomName::lobby(), 0), RoomId::LOBBY);
        assert_eq!(RoomId::named(&RoomName::lobby(), 7), RoomId::LOBBY);
        assert_eq!(RoomId::LOBBY.to_string(), "lobby");
    }

    #[test]
    fn a_name_of_an_older_log_stands_for_the_first_room_of_that_name() {
        assert_eq!(RoomId::parse("build"), Ok(RoomId::named(&name("build"), 0)));
        assert_eq!(RoomId::parse(HEX).expect("an id").to_string(), HEX);
        for text in ["", "Build", &HEX.to_uppercase(), &format!("{HEX} ")] {
            assert!(RoomId::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn rooms_of_one_name_and_of_others_have_different_ids() {
        let ids = [
            RoomId::LOBBY,
            RoomId::named(&name("build"), 0),
            RoomId::named(&name("build"), 1),
            RoomId::named(&name("build"), 256),
            RoomId::named(&name("buildx"), 0),
            RoomId::direct(&[]),
            RoomId::direct(&[UserId::from_bytes([0; 12])]),
            RoomId::direct(&[UserId::from_bytes([1; 12])]),
            RoomId::direct(&[UserId::from_bytes([0; 12]), UserId::from_bytes([1; 12])]),
        ];
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
    }

    proptest! {
        #[test]
        fn an_id_is_read_as_it_is_written(bytes in any::<[u8; 12]>()) {
            let id = RoomId::from_bytes(bytes);
            prop_assert_eq!(id.to_bytes(), bytes);
            prop_assert_eq!(RoomId::parse(&id.to_string()), Ok(id));
        }

        #[test]
        fn a_conversations_id_does_not_depend_on_who_asks(
            people in prop::collection::vec(any::<[u8; 12]>(), 1..9),
            turned in any::<prop::sample::Index>(),
        ) {
            let people: Vec<_> = people.into_iter().map(UserId::from_bytes).collect();
            let mut other = people.clone();
            other.rotate_left(turned.index(people.len()));
            other.reverse();
            other.push(people[0]);
            prop_assert_eq!(RoomId::direct(&other), RoomId::direct(&people));
        }
    }
}
