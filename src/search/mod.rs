//! Search queries: words, sender and time. The server uses them on the whole log, the client on its
//! cache while it is offline.
//!
//! Pure. Independent of where texts are stored. [`fold`] defines a word; [`Query::matches`] decides
//! whether a message matches, and an index is only a faster way to the same result.
//!
//! # How a query is written
//!
//! Words, `beginn*`, `"several words"` (see [`Words`]), and each of these at most once:
//!
//! - `from:alice`, `from:"alice the 3rd"`: the sender's nickname at that time, in any case;
//! - `after:2026-11-20`: from the beginning of that day on;
//! - `before:2026-11-20`: earlier than the beginning of that day.
//!
//! Days are in the user's time zone. All conditions must hold. Other words with a colon
//! (`http://…`, `12:30`) are ordinary words. On the wire a client sends the words as they were
//! written and the rest as values, so that a server needs no time zones.

#![deny(clippy::disallowed_methods)]

pub mod fold;
pub mod times;
mod words;

use std::{fmt, ops::Range};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

pub use self::words::{Term, Words};
use crate::protocol::{Nickname, name::NicknameError};

/// Bytes of a query.
pub const QUERY_BYTES_MAX: usize = 256;
/// Words and phrases of a query.
pub const TERMS_MAX: usize = 8;

/// A query: all its conditions must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The words; may be empty if a sender or a time is given.
    pub words: Words,
    /// The sender's nickname when they sent the message, in any case.
    pub sender: Option<Nickname>,
    /// Sent at this time or later.
    pub after: Option<Timestamp>,
    /// Sent before this time.
    pub before: Option<Timestamp>,
}

/// Why a query is refused. Displays as one plain sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryError {
    /// It has no condition.
    Empty,
    /// It holds only characters that are no part of a word.
    NoWord,
    /// More than [`QUERY_BYTES_MAX`] or [`TERMS_MAX`].
    TooLong,
    /// The value of `from:` is no nickname.
    Sender(NicknameError),
    /// The value of this key is no day.
    Day(&'static str),
    /// This key occurs twice.
    Twice(&'static str),
    /// `after:` is not earlier than `before:`, so nothing can match.
    Backwards,
}

impl fmt::Display for QueryError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => {
                out.write_str("Type what to look for: words, from:alice, after:2026-11-20")
            }
            Self::NoWord => out.write_str("A search needs letters, digits or emoji"),
            Self::TooLong => write!(
                out,
                "A search has at most {TERMS_MAX} words and {QUERY_BYTES_MAX} bytes"
            ),
            Self::Sender(NicknameError::Empty) => {
                out.write_str("Write a nickname, like from:alice")
            }
            Self::Sender(wrong) => write!(out, "{wrong}"),
            Self::Day(key) => write!(out, "Write the day like {key}2026-11-20"),
            Self::Twice(key) => write!(out, "A search can have {key} only once"),
            Self::Backwards => {
                out.write_str("The day of after: has to be earlier than the day of before:")
            }
        }
    }
}

impl std::error::Error for QueryError {}

const FROM: &str = "from:";
const AFTER: &str = "after:";
const BEFORE: &str = "before:";
const KEYS: [&str; 3] = [FROM, AFTER, BEFORE];

/// The key at the start of a part of a query, and its value.
fn split_key(part: &str) -> Option<(&'static str, &str)> {
    KEYS.into_iter().find_map(|key| {
        let (head, value) = part.split_at_checked(key.len())?;
        head.eq_ignore_ascii_case(key).then_some((key, value))
    })
}

impl Query {
    /// Parses a query as people write it (see the module's docs), with days in `zone`.
    pub fn parse(text: &str, zone: &TimeZone) -> Result<Self, QueryError> {
        if text.len() > QUERY_BYTES_MAX {
            return Err(QueryError::TooLong);
        }
        let mut query = Self {
            words: Words::default(),
            sender: None,
            after: None,
            before: None,
        };
        let is_key = |part: &str| matches!(split_key(part), Some((_, "")));
        let mut words = Vec::new();
        for chunk in words::chunks(text, is_key) {
            match split_key(chunk.bare) {
                Some((key, value)) => query.set(key, chunk.quoted.unwrap_or(value), zone)?,
                None => words.push(chunk),
            }
        }
        query.words = Words::from_chunks(&words)?;
        if query.is_empty() {
            return Err(QueryError::Empty);
        }
        match (query.after, query.before) {
            (Some(after), Some(before)) if after >= before => Err(QueryError::Backwards),
            _ => Ok(query),
        }
    }

    fn set(&mut self, key: &'static str, value: &str, zone: &TimeZone) -> Result<(), QueryError> {
        if key == FROM {
            let sender = Nickname::known(value).map_err(QueryError::Sender)?;
            return once(key, &mut self.sender, sender);
        }
        let day = day(value, zone).ok_or(QueryError::Day(key))?;
        let bound = if key == AFTER {
            &mut self.after
        } else {
            &mut self.before
        };
        once(key, bound, day)
    }

    /// Whether it has no condition, and so matches everything.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
            && self.sender.is_none()
            && self.after.is_none()
            && self.before.is_none()
    }

    /// Whether a message matches.
    pub fn matches(&self, nickname: &Nickname, time: Timestamp, text: &str) -> bool {
        self.after.is_none_or(|after| time >= after)
            && self.before.is_none_or(|before| time < before)
            && self
                .sender
                .as_ref()
                .is_none_or(|sender| is_called(nickname, sender))
            && self.words.are_in(text)
    }

    /// The matching parts of a text, as byte ranges in order.
    pub fn find(&self, text: &str) -> Vec<Range<usize>> {
        self.words.find(text)
    }
}

fn once<T>(key: &'static str, place: &mut Option<T>, value: T) -> Result<(), QueryError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(QueryError::Twice(key)),
    }
}

/// The beginning of a day written `2026-11-20`. No other form is accepted, because it could be
/// misread.
fn day(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let [year, month, day] = text.split('-').collect::<Vec<_>>().try_into().ok()?;
    let number = |text: &str, digits: usize| {
        let plain = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.parse().ok()).flatten()
    };
    let month = i8::try_from(number(month, 2)?).ok()?;
    let day = i8::try_from(number(day, 2)?).ok()?;
    let date = Date::new(number(year, 4)?, month, day).ok()?;
    // Where the clock skips midnight, the day begins later.
    let start = date.to_zoned(zone.clone()).ok()?.start_of_day().ok()?;
    Some(start.timestamp())
}

fn is_called(nickname: &Nickname, wanted: &Nickname) -> bool {
    let (nickname_text, wanted_text) = (nickname.as_str(), wanted.as_str());
    if nickname_text.is_ascii() {
        // A nickname that is not ASCII may fold to one that is (the Kelvin sign).
        return nickname_text.eq_ignore_ascii_case(wanted_text)
            || !wanted_text.is_ascii() && nickname.folded() == wanted.folded();
    }
    nickname.folded() == wanted.folded()
}

#[cfg(test)]
mod tests;
