//! The words of a query: how they are written, and which texts hold them.

use std::{fmt, ops::Range};

use super::{
    QUERY_BYTES_MAX, QueryError, TERMS_MAX,
    fold::{self, stands_alone},
};

/// Folded words of all terms together: the bits of one mask.
const FOLDED_MAX: usize = 64;

/// The words of a query: a text must hold all of them, in any order.
///
/// | written | found |
/// |---|---|
/// | `build` | the word, in any case and with any accents |
/// | `bui*` | every word that begins so |
/// | `"build is green"` | these words, one after the other |
/// | `"build is gre"*` | as above, where the last word may continue |
/// | `foo_bar`, `12:30`, `東京` | a phrase, because these are several words each |
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    terms: Vec<Term>,
    /// In [`Matching`], the bit of each term's first word.
    starts: u64,
    /// In [`Matching`], the bit of each term's last word.
    ends: u64,
}

/// One word, a prefix of one, or a phrase. Two are equal if they find the same, however they were
/// written.
#[derive(Clone, Debug)]
pub struct Term {
    /// The term as the user wrote it.
    written: String,
    /// At least one, as [`fold::words`] gives them.
    words: Vec<String>,
    /// Whether the last word may continue.
    prefix: bool,
}

impl PartialEq for Term {
    fn eq(&self, other: &Self) -> bool {
        (&self.words, self.prefix) == (&other.words, other.prefix)
    }
}

impl Eq for Term {}

impl Term {
    /// The words, one directly after the other; at least one.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Whether the last word may continue.
    pub fn is_prefix(&self) -> bool {
        self.prefix
    }
}

impl Words {
    /// Parses words as people write them. An empty text has no words; a text with only separators
    /// is an error.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        // Checked here and again below, because an unclosed quotation mark gets a closing one.
        if text.len() > QUERY_BYTES_MAX {
            return Err(QueryError::TooLong);
        }
        Self::from_chunks(&chunks(text, |_| false))
    }

    pub(super) fn from_chunks(chunks: &[Chunk<'_>]) -> Result<Self, QueryError> {
        let terms: Vec<Term> = chunks.iter().filter_map(Chunk::term).collect();
        if terms.is_empty() && !chunks.is_empty() {
            return Err(QueryError::NoWord);
        }
        let written = terms.iter().map(|term| term.written.len() + 1);
        let folded: usize = terms.iter().map(|term| term.words.len()).sum();
        if written.sum::<usize>() > QUERY_BYTES_MAX + 1
            || terms.len() > TERMS_MAX
            || folded > FOLDED_MAX
        {
            return Err(QueryError::TooLong);
        }
        let (mut starts, mut ends) = (0, 0);
        let mut bit = 0;
        for term in &terms {
            starts |= 1 << bit;
            bit += term.words.len();
            ends |= 1 << (bit - 1);
        }
        Ok(Self {
            terms,
            starts,
            ends,
        })
    }

    /// Whether there are no words.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The words and phrases, in the order in which they were written.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Whether a text holds all of them.
    pub fn are_in(&self, text: &str) -> bool {
        if self.is_empty() {
            return true;
        }
        let mut matching = Matching::new(self);
        let mut missing = self.ends;
        fold::words(text, |word, _| {
            if missing != 0 {
                missing &= !matching.take(word);
            }
        });
        missing == 0
    }

    /// Byte ranges where a text holds any of them, in order and without overlap.
    pub fn find(&self, text: &str) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        if self.is_empty() {
            return found;
        }
        let mut matching = Matching::new(self);
        let mut starts = Vec::new();
        fold::words(text, |word, at| {
            starts.push(at.start);
            let ended = matching.take(word);
            let longest = self.lengths(ended).max();
            let Some(&start) = longest.and_then(|length| starts.iter().nth_back(length - 1)) else {
                return;
            };
            let mut start = start;
            // A phrase may begin within an earlier match.
            while let Some(last) = found.pop_if(|last| last.end > start) {
                start = start.min(last.start);
            }
            found.push(start..at.end);
        });
        found
    }

    /// The lengths, in words, of the terms that end at one of these bits.
    fn lengths(&self, ended: u64) -> impl Iterator<Item = usize> {
        let lengths = self.terms.iter().map(|term| term.words.len());
        lengths
            .scan(0, |bit, length| {
                *bit += length;
                Some((length, *bit - 1))
            })
            .filter(move |(_, bit)| ended & (1 << bit) != 0)
            .map(|(length, _)| length)
    }
}

/// Writes the words in the form that [`Words::parse`] reads.
impl fmt::Display for Words {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.terms.iter().enumerate() {
            let space = if index > 0 { " " } else { "" };
            write!(out, "{space}{}", term.written)?;
        }
        Ok(())
    }
}

/// Matches all terms at once, in one pass over a text's words.
///
/// The words of all terms are laid end to end, one bit each. A bit is set while the text's last
/// words equal its term's words up to there.
struct Matching<'a> {
    words: &'a Words,
    state: u64,
}

impl<'a> Matching<'a> {
    fn new(words: &'a Words) -> Self {
        Self { words, state: 0 }
    }

    /// Takes the text's next word and returns the terms that end with it, as the bits of their last
    /// words.
    fn take(&mut self, word: &str) -> u64 {
        let expected = self.state << 1 | self.words.starts;
        let mut bit = 0;
        self.state = 0;
        for term in &self.words.terms {
            for (index, wanted) in term.words.iter().enumerate() {
                if expected & (1 << bit) != 0 {
                    let last = index + 1 == term.words.len();
                    let same = if term.prefix && last {
                        word.starts_with(wanted.as_str())
                    } else {
                        word == wanted
                    };
                    self.state |= u64::from(same) << bit;
                }
                bit += 1;
            }
        }
        self.state & self.words.ends
    }
}

/// A part of a query between spaces, or in quotation marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk<'a> {
    /// The part before the quotation mark (`from:`), or all if there is none.
    pub(super) bare: &'a str,
    /// The part within the quotation marks.
    pub(super) quoted: Option<&'a str>,
    /// Whether `*` follows the closing quotation mark.
    starred: bool,
}

impl Chunk<'_> {
    /// `None` if it holds no word.
    fn term(&self) -> Option<Term> {
        let (text, starred, written) = match self.quoted {
            Some(text) => {
                let star = if self.starred { "*" } else { "" };
                (text, self.starred, format!("\"{text}\"{star}"))
            }
            None => (self.bare, self.bare.ends_with('*'), self.bare.to_owned()),
        };
        let mut words = Vec::new();
        fold::words(text, |word, _| words.push(word.to_owned()));
        let goes_on = words.last()?.chars().all(|c| !stands_alone(c));
        Some(Term {
            written,
            words,
            prefix: starred && goes_on,
        })
    }
}

/// Splits a query at spaces. A quotation mark counts at the beginning of a part, and after a part
/// that `is_key`. An unclosed quotation runs to the end, so that a query can be searched for while
/// it is typed.
pub(super) fn chunks(text: &str, is_key: fn(&str) -> bool) -> Vec<Chunk<'_>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (chunk, after) = chunk(rest, is_key);
        found.push(chunk);
        rest = after.trim_start();
    }
    found
}

fn chunk(text: &str, is_key: fn(&str) -> bool) -> (Chunk<'_>, &str) {
    let (bare, after) = text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()));
    let key = bare.split_once('"').map(|(key, _)| key);
    let Some(bare) = key.filter(|key| key.is_empty() || is_key(key)) else {
        let chunk = Chunk {
            bare,
            quoted: None,
            starred: false,
        };
        return (chunk, after);
    };
    let inside = &text[bare.len() + 1..];
    let (quoted, after) = inside.split_once('"').unwrap_or((inside, ""));
    let behind_star = after.strip_prefix('*');
    let chunk = Chunk {
        bare,
        quoted: Some(quoted),
        starred: behind_star.is_some(),
    };
    (chunk, behind_star.unwrap_or(after))
}
