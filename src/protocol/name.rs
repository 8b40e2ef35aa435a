//! The small types that untrusted strings become. Each can only be made by a check, so that
//! whoever holds one need not check again.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

use super::{
    hex::{hex_id, shown_hex_id, write_hex},
    limits,
};
use crate::text;

/// What somebody is called: NFC, one line, nothing invisible, 1 to
/// [`limits::NICKNAME_GRAPHEMES_MAX`] grapheme clusters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Nickname(Box<str>);

/// Why a string is not a nickname. Its text is one plain sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NicknameError {
    /// Nothing, or only spaces.
    Empty,
    /// Over [`limits::NICKNAME_GRAPHEMES_MAX`] graphemes or [`limits::NICKNAME_BYTES_MAX`] bytes.
    TooLong,
    /// Holds a character that is invisible, deceives, or steers a terminal.
    Character(char),
}

impl fmt::Display for NicknameError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => out.write_str("A nickname can't be empty"),
            Self::TooLong => write!(
                out,
                "A nickname has at most {} characters",
                limits::NICKNAME_GRAPHEMES_MAX
            ),
            Self::Character(c) => {
                write!(
                    out,
                    "A nickname can't hold the character U+{:04X}",
                    u32::from(*c)
                )
            }
        }
    }
}

impl std::error::Error for NicknameError {}

impl Nickname {
    /// The nickname that the server speaks under to basic clients; nobody can take it.
    pub const SERVER: &'static str = "server";

    /// Spaces at both ends are dropped; the rest is normalised to NFC and checked.
    pub fn parse(text: &str) -> Result<Self, NicknameError> {
        let text = text.trim_matches(' ');
        if text::is_blank(text) {
            return Err(NicknameError::Empty);
        }
        // Checked before normalising, which is the dearer step; NFC never makes a text more than
        // three times as long.
        if text.len() > 3 * limits::NICKNAME_BYTES_MAX {
            return Err(NicknameError::TooLong);
        }
        let text: String = text.nfc().collect();
        if text.len() > limits::NICKNAME_BYTES_MAX
            || text.graphemes(true).count() > limits::NICKNAME_GRAPHEMES_MAX
        {
            return Err(NicknameError::TooLong);
        }
        if let Some(c) = text::first_unfit_for_line(&text) {
            return Err(NicknameError::Character(c));
        }
        if let Some(c) = text.chars().find(|&c| c != ' ' && c.is_whitespace()) {
            return Err(NicknameError::Character(c));
        }
        // A mark without a letter would be drawn on what stands before the nickname, or not at all.
        let unseen = text
            .graphemes(true)
            .find(|cluster| text::width(cluster) == 0);
        if let Some(c) = unseen.and_then(|cluster| cluster.chars().next()) {
            return Err(NicknameError::Character(c));
        }
        Ok(Self(text.into()))
    }

    /// The nickname as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form that is unique among those present: two nicknames that differ only in case have
    /// the same.
    pub fn folded(&self) -> String {
        self.0.to_lowercase().nfc().collect()
    }

    /// Whether this is the server's own.
    pub fn is_reserved(&self) -> bool {
        self.folded() == Self::SERVER
    }
}

impl fmt::Display for Nickname {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

impl FromStr for Nickname {
    type Err = NicknameError;

    fn from_str(text: &str) -> Result<Self, NicknameError> {
        Self::parse(text)
    }
}

/// A string is not what it should be; the text says what that is.
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
    /// The room that everybody enters.
    pub const LOBBY: &'static str = "lobby";

    /// Takes 1 to [`limits::ROOM_BYTES_MAX`] bytes of the characters named above.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if is_word(text, limits::ROOM_BYTES_MAX) && !text.bytes().any(|b| b.is_ascii_uppercase()) {
            Ok(Self(text.into()))
        } else {
            Err(NameError(
                "A room's name has 1 to 64 lower-case letters, digits, '-', '_' or '.'",
            ))
        }
    }

    /// The room that everybody enters.
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
    /// Takes 1 to [`limits::CLIENT_ID_BYTES_MAX`] ASCII letters, digits, `-`, `_` or `.`.
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
    /// Who somebody is, whatever he is called: 24 hexadecimal digits.
    UserId, 12, "A user id has 24 hexadecimal digits"
);
shown_hex_id!(UserId);

hex_id!(
    /// One of a user's devices: 24 hexadecimal digits.
    DeviceId, 12, "A device id has 24 hexadecimal digits"
);
shown_hex_id!(DeviceId);

hex_id!(
    /// Which log a number belongs to: new whenever numbers could come to mean something else.
    Epoch, 8, "An epoch has 16 hexadecimal digits"
);
shown_hex_id!(Epoch);

hex_id!(
    /// The secret by which a user is known again: 64 hexadecimal digits, never logged.
    Token, 32, "A token has 64 hexadecimal digits"
);

impl Token {
    /// The 64 digits. Only the wire and the client's own files may see them.
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
    /// over servers and restarts; one-way, so that ids can be shown to all.
    pub fn user(&self) -> UserId {
        UserId(self.derive("chat-tui user", ""))
    }

    /// The device that this token and a client ID name.
    pub fn device(&self, client_id: &ClientId) -> DeviceId {
        DeviceId(self.derive("chat-tui device", client_id.as_str()))
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

/// What makes sending a message again safe: the device, and the device's own count of its
/// messages, consecutive from 1. Written `DEVICE-COUNTER`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId {
    /// The sending device.
    pub device: DeviceId,
    /// Its count of messages, this one included.
    pub counter: u64,
}

impl MessageId {
    /// Takes what [`fmt::Display`] writes; the counter from 1 to [`limits::NUMBER_MAX`].
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
    use super::*;

    fn nickname(text: &str) -> Result<String, NicknameError> {
        Nickname::parse(text).map(|nickname| nickname.as_str().to_owned())
    }

    #[test]
    fn a_nickname_is_one_line_that_is_seen() {
        for (text, expected) in [
            ("carol", Ok("carol")),
            (" carol the 3rd ", Ok("carol the 3rd")),
            ("Zoe\u{308}", Ok("Zoë")),
            ("نگار\u{200C}ها", Ok("نگار\u{200C}ها")),
            ("👩\u{200D}🚀", Ok("👩\u{200D}🚀")),
            ("", Err(NicknameError::Empty)),
            ("  ", Err(NicknameError::Empty)),
            ("\u{2800}\u{3000}", Err(NicknameError::Empty)),
            ("a\tb", Err(NicknameError::Character('\t'))),
            ("a\nb", Err(NicknameError::Character('\n'))),
            ("\u{1b}[31m", Err(NicknameError::Character('\u{1b}'))),
            ("a\u{a0}b", Err(NicknameError::Character('\u{a0}'))),
            ("ca\u{200B}rol", Err(NicknameError::Character('\u{200B}'))),
            ("ca\u{200C}rol", Err(NicknameError::Character('\u{200C}'))),
            ("\u{202E}lorac", Err(NicknameError::Character('\u{202E}'))),
            ("\u{301}", Err(NicknameError::Character('\u{301}'))),
        ] {
            assert_eq!(nickname(text), expected.map(str::to_owned), "{text:?}");
        }
    }

    #[test]
    fn a_nickname_has_at_most_32_characters_and_128_bytes() {
        let family = "👨\u{200D}👩\u{200D}👧";
        for (text, fits) in [
            ("é".repeat(32), true),
            ("é".repeat(33), false),
            ("👍".repeat(32), true),
            (family.repeat(7), true),
            (family.repeat(8), false),
            ("e\u{301}".repeat(32), true),
            ("x".repeat(100_000), false),
        ] {
            let expected = if fits {
                Ok(())
            } else {
                Err(NicknameError::TooLong)
            };
            assert_eq!(nickname(&text).map(drop), expected, "{text:?}");
        }
    }

    #[test]
    fn case_does_not_tell_nicknames_apart() {
        for (one, other) in [("Carol", "cAROL"), ("ÉMILE", "e\u{301}mile")] {
            let folded = |text| Nickname::parse(text).map(|nickname| nickname.folded());
            assert_eq!(folded(one), folded(other));
        }
        assert!(Nickname::parse("Server").is_ok_and(|nickname| nickname.is_reserved()));
        assert!(Nickname::parse("servers").is_ok_and(|nickname| !nickname.is_reserved()));
    }
}
