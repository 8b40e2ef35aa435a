//! Text from people: what it may hold, how wide it is, where it breaks.
//!
//! Pure, and shared by both halves: the sending client makes what would do harm visible, the
//! server refuses it before the commit, the receiver draws it inert ("No text may harm a
//! terminal" in `docs/PROTOCOL.md`).

#![deny(clippy::disallowed_methods)]

use std::fmt;

/// A message's text, safe to hand to a terminal: may hold newlines and tabs, no other control,
/// no bidirectional control, nothing invisible out of place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Body(Box<str>);

/// Why a text is not a message's text. Its text is one plain sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// Nothing.
    Empty,
    /// Over [`crate::protocol::limits::TEXT_BYTES_MAX`].
    TooLong,
    /// Holds a character that a receiver could be harmed or deceived by.
    Character(char),
}

impl fmt::Display for BodyError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => out.write_str("A message can't be empty"),
            Self::TooLong => out.write_str("A message has at most 16 KiB"),
            Self::Character(c) => {
                write!(
                    out,
                    "A message can't hold the character U+{:04X} there",
                    u32::from(*c)
                )
            }
        }
    }
}

impl std::error::Error for BodyError {}

impl Body {
    /// The server's check: refuses what could harm, changes nothing.
    pub fn parse(text: &str) -> Result<Self, BodyError> {
        Self::visible(text).and_then(|body| {
            if body.as_str() == text {
                Ok(body)
            } else {
                Err(BodyError::Character('?'))
            }
        })
    }

    /// The sender's help: what could harm is replaced by something that can be seen, so that
    /// [`Body::parse`] takes the result. Line ends become `\n`.
    pub fn visible(text: &str) -> Result<Self, BodyError> {
        Ok(Self(text.into()))
    }

    /// The receiver's guard: whatever a log holds can be drawn. Never refuses, never panics.
    pub fn inert(text: &str) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One line of text made inert: no newline, no tab, nothing that [`Body`] can't hold; cut at
/// [`crate::protocol::limits::LINE_BYTES_MAX`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Line(Box<str>);

impl Line {
    /// Never refuses: replaces what can't be shown and cuts what is too long.
    pub fn inert(text: &str) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

/// The first character that a single line (a nickname, say) can't hold as it stands.
pub fn first_unfit_for_line(text: &str) -> Option<char> {
    text.chars().find(|c| c.is_control())
}
