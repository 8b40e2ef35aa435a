//! Text that people write: which characters it may hold, how wide it is, where it breaks.
//!
//! Pure, and shared by client and server: the sending client makes harmful characters visible, the
//! server refuses them before the commit, the receiving client draws them inert ("Text" in
//! `docs/PROTOCOL.md`).
//!
//! [`Body`] and [`Line`] are proofs that a text is safe to draw. `clean` decides which characters
//! they may hold; [`width()`] counts columns as the screen does; `wrap` (built with the `tui`
//! feature) finds the rows.

#![deny(clippy::disallowed_methods)]

mod clean;
pub mod limits;
pub mod mentions;
mod width;
#[cfg(feature = "tui")]
pub mod wrap;

use std::{borrow::Cow, fmt, time::Duration};

use unicode_segmentation::UnicodeSegmentation;

use self::clean::Kind;
use self::limits::{LINE_BYTES_MAX, TEXT_BYTES_MAX};
pub use self::width::{grapheme_width, width};

/// A message's text, safe to write to a terminal: it may hold newlines and tabs, but no other
/// control, no bidirectional control and no misplaced invisible character. A body from
/// [`Body::parse`] or [`Body::visible`] is not empty and has at most [`TEXT_BYTES_MAX`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Body(Box<str>);

/// Why a text is refused as a message. Displays as one plain sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// Nothing in it is visible.
    Empty,
    /// Over [`TEXT_BYTES_MAX`].
    TooLong,
    /// Holds a character that could harm or deceive a receiver.
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
    /// The server's check: refuses harmful text and changes nothing.
    pub fn parse(text: &str) -> Result<Self, BodyError> {
        check_length(text)?;
        match clean::first_unfit(text, Kind::Body) {
            Some((_, c)) => Err(BodyError::Character(c)),
            None => Ok(Self(text.into())),
        }
    }

    /// The sender's form: replaces harmful characters by visible ones, so that [`Body::parse`]
    /// accepts the result. Line ends of all kinds become `\n`. Refuses only a text that is empty,
    /// or too long before or after.
    pub fn visible(text: &str) -> Result<Self, BodyError> {
        check_length(text)?;
        let text = clean::clean(text, Kind::Body);
        check_length(&text)?;
        Ok(Self(text.into()))
    }

    /// The receiver's guard: makes any text from a log safe to draw. Never refuses or panics; the
    /// result may be empty or long.
    pub fn inert(text: &str) -> Self {
        Self(clean::clean(text, Kind::Body).into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check_length(text: &str) -> Result<(), BodyError> {
    if text.len() > TEXT_BYTES_MAX {
        Err(BodyError::TooLong)
    } else if clean::is_blank(text) {
        Err(BodyError::Empty)
    } else {
        Ok(())
    }
}

/// One line of text made inert: no newline, no tab, no character that [`Body`] can't hold; cut at
/// [`LINE_BYTES_MAX`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Line(Box<str>);

impl Line {
    /// Makes a text inert. Never refuses: replaces unfit characters (newlines and tabs by a space),
    /// and cuts a text that is too long between two grapheme clusters.
    pub fn inert(text: &str) -> Self {
        // Cleaning only shortens a text by dropping excess marks, so a text that is mostly marks
        // may be cut too early.
        let text = &text[..text.floor_char_boundary(4 * LINE_BYTES_MAX)];
        Self(cut(&clean::clean(text, Kind::Line)).into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The longest prefix of a clean line that has at most [`LINE_BYTES_MAX`] bytes.
fn cut(line: &str) -> &str {
    if line.len() <= LINE_BYTES_MAX {
        return line;
    }
    let end = line
        .grapheme_indices(true)
        .map(|(at, _)| at)
        .take_while(|&at| at <= LINE_BYTES_MAX)
        .last()
        // A line of one endless cluster is cut within it.
        .filter(|&at| at > 0)
        .unwrap_or_else(|| line.floor_char_boundary(LINE_BYTES_MAX));
    let line = &line[..end];
    // A joiner at the end may have lost the letter that made it fit.
    match clean::first_unfit(line, Kind::Line) {
        Some((unfit, _)) => &line[..unfit],
        None => line,
    }
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

/// The first character that a single line (a nickname, for example) can't hold.
pub fn first_unfit_for_line(text: &str) -> Option<char> {
    clean::first_unfit(text, Kind::Line).map(|(_, c)| c)
}

/// One line of text made inert as in [`Line`], without a limit on its length.
pub fn inert_line(text: &str) -> Cow<'_, str> {
    clean::clean(text, Kind::Line)
}

/// A line of JSON made safe to show: unfit characters are written as JSON escapes, so that it still
/// parses to the same value.
pub fn inert_json(line: &str) -> Cow<'_, str> {
    clean::escape(line)
}

/// Whether nothing of a text is visible: empty, white space, blank Braille cells.
pub fn is_blank(text: &str) -> bool {
    clean::is_blank(text)
}

/// Writes a duration for people: the two largest units, rounded to the second.
pub fn span(length: Duration) -> String {
    let seconds = length.saturating_add(Duration::from_millis(500)).as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let seconds = seconds % 60;
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {seconds} s"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        (0..730, _, _) => format!("{days} d {hours} h"),
        (_, _, _) => format!("{} years", days / 365),
    }
}

#[cfg(test)]
mod tests;
