//! Translates a query to FTS5's language, using tokenized words only.

use rusqlite::Connection;

use super::{
    blocks,
    schema::{PREFIX_CHARS, sender_word},
};
use crate::search::{Query, Term};

/// Words to which all prefixes of a query may expand in a block; each is looked up in every segment.
/// A prefix with more words is a common one, and candidates are filtered instead.
const WORDS_MAX: usize = 48;

/// A query for FTS5. Its results are candidates, which include all messages that the query matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    /// An expression to match.
    Match(String),
    /// No results: one of the words does not occur in the block.
    Nothing,
    /// All entries: the query has nothing to look up, in this block or any other.
    All,
}

/// Builds the expression for a block, looking up which words occur there.
pub(super) fn expression(
    connection: &Connection,
    block: i64,
    query: &Query,
) -> rusqlite::Result<Expression> {
    let mut parts = Vec::new();
    let mut words_left = WORDS_MAX;
    if let Some(sender) = &query.sender {
        parts.push(phrase(&[sender_word(sender)], ""));
    }
    for term in query.words.terms() {
        match part(connection, block, term, &mut words_left)? {
            Expression::Match(part) => parts.push(part),
            Expression::Nothing => return Ok(Expression::Nothing),
            // The other terms narrow it down.
            Expression::All => {}
        }
    }
    Ok(if parts.is_empty() {
        Expression::All
    } else {
        Expression::Match(parts.join(" AND "))
    })
}

/// Builds the expression for an overlay, which is small enough for FTS5 to merge the rows of all
/// words with a prefix.
pub(super) fn for_overlay(query: &Query) -> String {
    let sender = query.sender.iter();
    let sender = sender.map(|sender| phrase(&[sender_word(sender)], ""));
    let terms = query.words.terms().iter();
    let terms = terms
        .filter(|term| !term.words().is_empty())
        .map(|term| phrase(term.words(), if term.is_prefix() { "*" } else { "" }));
    sender.chain(terms).collect::<Vec<_>>().join(" AND ")
}

fn part(
    connection: &Connection,
    block: i64,
    term: &Term,
    words_left: &mut usize,
) -> rusqlite::Result<Expression> {
    let [words @ .., last] = term.words() else {
        return Ok(Expression::All);
    };
    if !term.is_prefix() {
        return Ok(Expression::Match(phrase(term.words(), "")));
    }
    if words.is_empty() && last.chars().nth(PREFIX_CHARS).is_some() {
        let mut found = words_from(connection, block, last, *words_left)?;
        if found.is_empty() {
            return Ok(Expression::Nothing);
        }
        let all = found.len() <= *words_left;
        // The lookup took its time, whether or not the words are used.
        *words_left = words_left.saturating_sub(found.len());
        if all {
            for word in &mut found {
                *word = format!("\"{word}\"");
            }
            return Ok(Expression::Match(format!("({})", found.join(" OR "))));
        }
    }
    let beginning: String = last.chars().take(PREFIX_CHARS).collect();
    Ok(if beginning.chars().nth(PREFIX_CHARS - 1).is_some() {
        let mut words = words.to_vec();
        words.push(beginning);
        Expression::Match(phrase(&words, "*"))
    } else if words.is_empty() {
        Expression::All
    } else {
        Expression::Match(phrase(words, ""))
    })
}

/// Quotes a phrase. Tokenized words hold no quotation mark or other syntax of FTS5.
fn phrase(words: &[String], star: &str) -> String {
    format!("\"{}\"{star}", words.join(" "))
}

/// The words of a block with this prefix: all of them, or one more than `most`.
fn words_from(
    connection: &Connection,
    block: i64,
    beginning: &str,
    most: usize,
) -> rusqlite::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut from = beginning.to_owned();
    while let Some(word) = blocks::next_word(connection, block, &from)? {
        if !word.starts_with(beginning) || found.len() > most {
            break;
        }
        from.clone_from(&word);
        // The next possible word after this one.
        from.push('\0');
        found.push(word);
    }
    Ok(found)
}
