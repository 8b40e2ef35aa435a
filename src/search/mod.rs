//! What a search asks for: words, who said it, when. The same on the server, which searches the
//! whole log, and in the client, which searches what it holds while it is offline.
//!
//! Pure. It must not know where the texts are kept. [`fold`] says what a word is; [`Query::matches`]
//! is the judge of what a query finds, and an index only a faster way to the same answer.
//!
//! # How a query is written
//!
//! Words, `beginn*`, `"several words"` (see [`Words`]), and, each at most once:
//!
//! - `from:alice`, `from:"alice the 3rd"`: who said it, as he was called then, whatever the case;
//! - `after:2026-11-20`: from the beginning of that day on;
//! - `before:2026-11-20`: earlier than the beginning of that day.
//!
//! Days are the user's. All of it must hold. Other words with a colon (`http://…`, `12:30`) are
//! just words. On the wire a client sends the words as they were written and the rest as values,
//! so that a server needs no time zone of anybody's.

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

/// What is looked for: all of it must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The words; there may be none where somebody or a time is asked for.
    pub words: Words,
    /// Who said it, as he was called then, whatever the case.
    pub sender: Option<Nickname>,
    /// Said at this time or later.
    pub after: Option<Timestamp>,
    /// Said before this time.
    pub before: Option<Timestamp>,
}

/// Why a query can't be searched for. Its text is one plain sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryError {
    /// Nothing is asked for.
    Empty,
    /// There are only characters that no word is made of.
    NoWord,
    /// More than [`QUERY_BYTES_MAX`] or [`TERMS_MAX`].
    TooLong,
    /// The word after `from:` is no nickname.
    Sender(NicknameError),
    /// What stands after this key is no day.
    Day(&'static str),
    /// This key stands twice.
    Twice(&'static str),
    /// No time is both after the one and before the other.
    Backwards,
}

impl fmt::Display for QueryError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => {
                out.write_str("Type what to look for: words, from:alice, after:2026-11-20")
            }
            Self::NoWord => out.write_str("Only letters, digits and emoji can be looked for"),
            Self::TooLong => write!(
                out,
                "A search has at most {TERMS_MAX} words and {QUERY_BYTES_MAX} bytes"
            ),
            Self::Sender(NicknameError::Empty) => {
                out.write_str("Say whose messages are wanted, like from:alice")
            }
            Self::Sender(wrong) => write!(out, "{wrong}"),
            Self::Day(key) => write!(out, "Write the day like {key}2026-11-20"),
            Self::Twice(key) => write!(out, "A search can have {key} only once"),
            Self::Backwards => {
                out.write_str("No message is from after: on and earlier than before: here")
            }
        }
    }
}

impl std::error::Error for QueryError {}

const FROM: &str = "from:";
const AFTER: &str = "after:";
const BEFORE: &str = "before:";
const KEYS: [&str; 3] = [FROM, AFTER, BEFORE];

/// The key that a part of a query begins with, and what follows.
fn split_key(part: &str) -> Option<(&'static str, &str)> {
    KEYS.into_iter().find_map(|key| {
        let (head, value) = part.split_at_checked(key.len())?;
        head.eq_ignore_ascii_case(key).then_some((key, value))
    })
}

impl Query {
    /// Reads a query as people write it (see the module's docs), with days as they are in `zone`.
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

    /// Whether it asks for nothing, and so finds everything.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
            && self.sender.is_none()
            && self.after.is_none()
            && self.before.is_none()
    }

    /// Whether a message is what is looked for.
    pub fn matches(&self, nickname: &Nickname, time: Timestamp, text: &str) -> bool {
        self.after.is_none_or(|after| time >= after)
            && self.before.is_none_or(|before| time < before)
            && self
                .sender
                .as_ref()
                .is_none_or(|sender| is_called(nickname, sender))
            && self.words.are_in(text)
    }

    /// The parts of a text that were looked for, as ranges of bytes in order.
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

/// The beginning of a day written `2026-11-20`; no other form, so that nobody is surprised by what
/// was made of his.
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
        // One of few that are not ASCII may fold to one that is (the Kelvin sign).
        return nickname_text.eq_ignore_ascii_case(wanted_text)
            || !wanted_text.is_ascii() && nickname.folded() == wanted.folded();
    }
    nickname.folded() == wanted.folded()
}

#[cfg(test)]
mod tests;
