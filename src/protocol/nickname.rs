//! Nicknames: which may be taken, which look alike, and what is shown of an invalid one.

mod alike;
#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr, sync::LazyLock};

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use unicode_segmentation::UnicodeSegmentation;

use super::limits::{NICKNAME_BYTES_MAX, NICKNAME_GRAPHEMES_MAX};
use crate::text::{self, Line};

/// A nickname: NFC, one line, nothing invisible, 1 to [`NICKNAME_GRAPHEMES_MAX`] grapheme clusters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Nickname(Box<str>);

/// Why a string is not a nickname. Displays as one plain sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NicknameError {
    /// Empty, or only spaces.
    Empty,
    /// Over [`NICKNAME_GRAPHEMES_MAX`] graphemes or [`NICKNAME_BYTES_MAX`] bytes.
    TooLong,
    /// Holds a character that is invisible, deceives, or controls a terminal; or a colon.
    Character(char),
    /// Mixes scripts that are not written together.
    MixedScripts,
}

impl fmt::Display for NicknameError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => out.write_str("A nickname can't be empty"),
            Self::TooLong => write!(
                out,
                "A nickname has at most {NICKNAME_GRAPHEMES_MAX} characters"
            ),
            Self::Character(c) if alike::is_colon(*c) => {
                write!(out, "A nickname can't hold the character '{c}'")
            }
            Self::Character(c) => {
                write!(
                    out,
                    "A nickname can't hold the character U+{:04X}",
                    u32::from(*c)
                )
            }
            Self::MixedScripts => out.write_str(
                "A nickname can't mix alphabets, such as Latin and Cyrillic letters: \
                 they look too much alike",
            ),
        }
    }
}

impl std::error::Error for NicknameError {}

impl Nickname {
    /// The nickname of the server's own messages to legacy clients; reserved.
    pub const SERVER: &'static str = "server";

    /// Parses a nickname that a user may take. Drops spaces at both ends; the rest is normalised to
    /// NFC and checked.
    ///
    /// Its letters must be of one script, or of those that Japanese, Korean and Chinese are written
    /// with, including Latin ("highly restrictive" in UTS #39). Private-use characters are refused
    /// because they look different on every terminal; colons, because a nickname could imitate
    /// another user's nickname and message.
    pub fn parse(text: &str) -> Result<Self, NicknameError> {
        let nickname = Self::known(text)?;
        let unfit =
            |c: &char| c.general_category() == GeneralCategory::PrivateUse || alike::is_colon(*c);
        if let Some(c) = nickname.0.chars().find(unfit) {
            return Err(NicknameError::Character(c));
        }
        if alike::mixes_scripts(&nickname.0) {
            return Err(NicknameError::MixedScripts);
        }
        Ok(nickname)
    }

    /// Parses a nickname that a user may have had, for searching: the rules were laxer once, and
    /// logs keep old nicknames.
    pub fn known(text: &str) -> Result<Self, NicknameError> {
        let text = text.trim_matches(' ');
        if text::is_blank(text) {
            return Err(NicknameError::Empty);
        }
        // Checked before normalising, which costs more; NFC never makes a text more than three
        // times as long.
        if text.len() > 3 * NICKNAME_BYTES_MAX {
            return Err(NicknameError::TooLong);
        }
        let text: String = text.nfc().collect();
        if text.len() > NICKNAME_BYTES_MAX || text.graphemes(true).count() > NICKNAME_GRAPHEMES_MAX
        {
            return Err(NicknameError::TooLong);
        }
        if let Some(c) = text::first_unfit_for_line(&text) {
            return Err(NicknameError::Character(c));
        }
        if let Some(c) = text.chars().find(|&c| c != ' ' && c.is_whitespace()) {
            return Err(NicknameError::Character(c));
        }
        // A mark without a letter would be drawn on the character before the nickname, or not at
        // all.
        let unseen = text
            .graphemes(true)
            .find(|cluster| text::width(cluster) == 0);
        if let Some(c) = unseen.and_then(|cluster| cluster.chars().next()) {
            return Err(NicknameError::Character(c));
        }
        Ok(Self(text.into()))
    }

    /// Makes any nickname from a log or a server safe to show. Never refuses; [`Nickname::known`]
    /// accepts the result. `?` stands for one that can't be shown at all.
    pub fn inert(text: &str) -> Self {
        if let Ok(nickname) = Self::known(text) {
            return nickname;
        }
        let line: String = Line::inert(text).as_str().nfc().collect();
        let mut shown = String::new();
        let clusters = line.graphemes(true).map(|cluster| {
            let blank = cluster.chars().all(char::is_whitespace);
            if blank { " " } else { cluster }
        });
        let seen = clusters.filter(|cluster| text::width(cluster) > 0);
        for cluster in seen.take(NICKNAME_GRAPHEMES_MAX) {
            if shown.len() + cluster.len() > NICKNAME_BYTES_MAX {
                break;
            }
            shown.push_str(cluster);
        }
        Self::known(&shown).unwrap_or_else(|_| Self("?".into()))
    }

    /// The nickname as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nickname for use before a colon and a message: look-alikes of a colon in it (allowed by
    /// older rules) are replaced.
    pub fn before_a_colon(&self) -> String {
        let shown = |c| if alike::is_colon(c) { '·' } else { c };
        self.0.chars().map(shown).collect()
    }

    /// The lower-case form, by which nicknames are sorted and compared.
    pub fn folded(&self) -> String {
        self.0.to_lowercase().nfc().collect()
    }

    /// The form by which a nickname is registered: the same for all nicknames that could be
    /// mistaken for one another, by case or by look-alike letters (`rn` and `m`, `0` and `O`, `l`,
    /// `I` and `1`, letters of other scripts). Not for people to read.
    pub fn canonical(&self) -> String {
        alike::canonical(&self.0)
    }

    /// Whether it could be mistaken for the server's own.
    pub fn is_reserved(&self) -> bool {
        static SERVER: LazyLock<String> = LazyLock::new(|| alike::canonical(Nickname::SERVER));
        self.canonical() == *SERVER
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
