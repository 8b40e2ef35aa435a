//! What people are called: which names may be taken, which names are the same to the eye, and what
//! is shown of a name that nobody could take.

mod alike;
#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr, sync::LazyLock};

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use unicode_segmentation::UnicodeSegmentation;

use super::limits::{NICKNAME_BYTES_MAX, NICKNAME_GRAPHEMES_MAX};
use crate::text::{self, Line};

/// What somebody is called: NFC, one line, nothing invisible, 1 to [`NICKNAME_GRAPHEMES_MAX`]
/// grapheme clusters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Nickname(Box<str>);

/// Why a string is not a nickname. Its text is one plain sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NicknameError {
    /// Nothing, or only spaces.
    Empty,
    /// Over [`NICKNAME_GRAPHEMES_MAX`] graphemes or [`NICKNAME_BYTES_MAX`] bytes.
    TooLong,
    /// Holds a character that is invisible, deceives, or steers a terminal; or a colon.
    Character(char),
    /// Its letters are of scripts that nobody writes together.
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
    /// The nickname that the server speaks under to legacy clients; nobody can take it.
    pub const SERVER: &'static str = "server";

    /// A nickname that somebody may take. Spaces at both ends are dropped; the rest is normalised
    /// to NFC and checked.
    ///
    /// Its letters are of one script, or of those that Japanese, Korean and Chinese are written
    /// with, Latin ones among them ("highly restrictive" in UTS #39). Private characters look
    /// different on every terminal, and are refused; and so are colons, with which a nickname could
    /// hold another's and what he is to have said.
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

    /// A nickname that somebody may have had, to look for it: the rules were laxer once, and a log
    /// keeps what it holds.
    pub fn known(text: &str) -> Result<Self, NicknameError> {
        let text = text.trim_matches(' ');
        if text::is_blank(text) {
            return Err(NicknameError::Empty);
        }
        // Checked before normalising, which is the dearer step; NFC never makes a text more than
        // three times as long.
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
        // A mark without a letter would be drawn on what stands before the nickname, or not at all.
        let unseen = text
            .graphemes(true)
            .find(|cluster| text::width(cluster) == 0);
        if let Some(c) = unseen.and_then(|cluster| cluster.chars().next()) {
            return Err(NicknameError::Character(c));
        }
        Ok(Self(text.into()))
    }

    /// The receiver's guard: what is shown of whatever a log or a peer calls somebody. Never
    /// refuses; [`Nickname::known`] takes the result. `?` stands for what can't be shown at all.
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

    /// The nickname where a colon follows it, and what was said: nothing in it can be taken for that
    /// colon, whatever the rules were when it was taken.
    pub fn before_a_colon(&self) -> String {
        let shown = |c| if alike::is_colon(c) { '·' } else { c };
        self.0.chars().map(shown).collect()
    }

    /// The same however it is capitalised: what names are sorted and looked for by.
    pub fn folded(&self) -> String {
        self.0.to_lowercase().nfc().collect()
    }

    /// The form by which a nickname belongs to somebody: the same for all that could be taken for
    /// one another, by their capitals or by the looks of their letters (`rn` and `m`, `0` and `O`,
    /// `l`, `I` and `1`, letters of other scripts). Not for people to read.
    pub fn canonical(&self) -> String {
        alike::canonical(&self.0)
    }

    /// Whether this could be taken for the server's own.
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
