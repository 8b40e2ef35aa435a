//! What a search asks for: words, who said it, when. The same on the server, which searches the
//! whole log, and in the client, which searches what it holds while it is offline.
//!
//! Pure. It must not know where the texts are kept.

#![deny(clippy::disallowed_methods)]

use std::{fmt, ops::Range};

use jiff::Timestamp;

use crate::protocol::Nickname;

/// Bytes of a query.
pub const QUERY_BYTES_MAX: usize = 256;
/// Words of a query.
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

/// The words of a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(Vec<Term>);

/// One word, or the beginning of one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    /// Folded.
    text: String,
    /// Whether the word may go on.
    prefix: bool,
}

/// Why a query can't be searched for. Its text is one plain sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryError {
    /// More than [`QUERY_BYTES_MAX`] or [`TERMS_MAX`].
    TooLong,
}

impl fmt::Display for QueryError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(
                out,
                "A search has at most {TERMS_MAX} words and {QUERY_BYTES_MAX} bytes"
            ),
        }
    }
}

impl std::error::Error for QueryError {}

impl Words {
    /// Reads the words as people write them: `build gre*`.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let terms: Vec<Term> = text
            .split_whitespace()
            .map(|word| {
                let stem = word.trim_end_matches('*');
                Term {
                    text: stem.to_lowercase(),
                    prefix: stem.len() < word.len(),
                }
            })
            .collect();
        if text.len() > QUERY_BYTES_MAX || terms.len() > TERMS_MAX {
            return Err(QueryError::TooLong);
        }
        Ok(Self(terms))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// As [`Words::parse`] reads them.
impl fmt::Display for Words {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.0.iter().enumerate() {
            let space = if index > 0 { " " } else { "" };
            let star = if term.prefix { "*" } else { "" };
            write!(out, "{space}{}{star}", term.text)?;
        }
        Ok(())
    }
}

impl Query {
    /// Whether a message is what is looked for.
    pub fn matches(&self, nickname: &Nickname, time: Timestamp, text: &str) -> bool {
        let folded = text.to_lowercase();
        let has = |term: &Term| {
            folded
                .split(|c: char| !c.is_alphanumeric())
                .any(|word| word == term.text || term.prefix && word.starts_with(&term.text))
        };
        self.words.0.iter().all(has)
            && self
                .sender
                .as_ref()
                .is_none_or(|sender| sender.folded() == nickname.folded())
            && self.after.is_none_or(|after| time >= after)
            && self.before.is_none_or(|before| time < before)
    }

    /// The parts of a text that were looked for, as ranges of bytes in order.
    pub fn find(&self, text: &str) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut start = 0;
        for word in text.split(|c: char| !c.is_alphanumeric()) {
            let at = start..start + word.len();
            start = text[at.end..]
                .chars()
                .next()
                .map_or(at.end, |c| at.end + c.len_utf8());
            let folded = word.to_lowercase();
            if self
                .words
                .0
                .iter()
                .any(|term| folded == term.text || term.prefix && folded.starts_with(&term.text))
            {
                found.push(at);
            }
        }
        found
    }
}
