//! A query in FTS5's language, made of folded words only.

use rusqlite::Connection;

use super::schema::{self, PREFIX_CHARS, sender_word};
use crate::search::{Query, Term};

/// Words that all the beginnings of a query may stand for; each is looked up in every segment.
/// Where there are more, the beginning is a common one, and candidates are judged instead.
const WORDS_MAX: usize = 48;

/// What FTS5 is asked for. Whatever it finds is a candidate: all messages that the query matches
/// are among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    /// This.
    Match(String),
    /// Nothing: there is no such word.
    Nothing,
    /// All entries: the query names nothing that could be looked up.
    All,
}

/// Finds it, with a look at the words that occur.
pub(super) fn expression(connection: &Connection, query: &Query) -> rusqlite::Result<Expression> {
    let mut parts = Vec::new();
    let mut words_left = WORDS_MAX;
    if let Some(sender) = &query.sender {
        parts.push(phrase(&[sender_word(sender)], ""));
    }
    for term in query.words.terms() {
        match part(connection, term, &mut words_left)? {
            Expression::Match(part) => parts.push(part),
            Expression::Nothing => return Ok(Expression::Nothing),
            // The others narrow it down.
            Expression::All => {}
        }
    }
    Ok(if parts.is_empty() {
        Expression::All
    } else {
        Expression::Match(parts.join(" AND "))
    })
}

fn part(
    connection: &Connection,
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
        let mut found = words_from(connection, last, *words_left)?;
        if found.is_empty() {
            return Ok(Expression::Nothing);
        }
        let all = found.len() <= *words_left;
        // Looking for them took its time, whether or not they are of use.
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

/// Folded words hold no quotation mark, nor anything else that FTS5 would take for its language.
fn phrase(words: &[String], star: &str) -> String {
    format!("\"{}\"{star}", words.join(" "))
}

/// The words that begin so: all, or one more than `most`.
fn words_from(
    connection: &Connection,
    beginning: &str,
    most: usize,
) -> rusqlite::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut from = beginning.to_owned();
    while let Some(word) = schema::next_word(connection, &from)? {
        if !word.starts_with(beginning) || found.len() > most {
            break;
        }
        from.clone_from(&word);
        // No word lies between one and the same with the lowest of characters.
        from.push('\0');
        found.push(word);
    }
    Ok(found)
}
