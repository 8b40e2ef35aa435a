//! Removes the remains of erased entries from the index.
//!
//! FTS5 removes an entry's words from its pages. In its table `entries_idx` it leaves signposts:
//! the first letters of the words at which pages begin. If such a word no longer occurs at all, its
//! signpost is replaced by one for the next word that still occurs.

use std::{collections::HashSet, ops::Range};

use rusqlite::{Connection, params};

use super::{
    message,
    schema::{self, PREFIX_CHARS},
};
use crate::{server::log::segment::Segment, text::Body};

/// The prefixes by which FTS5 marks in its pages which of its two tables a word belongs to.
const WHOLE: u8 = b'0';
const BEGINNING: u8 = b'1';

/// Removes entries from the table, and collects their words.
pub(super) fn entries(
    connection: &Connection,
    id: i64,
    segment: &Segment,
    numbers: Range<u64>,
    words: &mut HashSet<Box<str>>,
) -> rusqlite::Result<()> {
    let mut delete = connection
        .prepare_cached("INSERT INTO entries(entries, rowid, words) VALUES ('delete', ?1, ?2)")?;
    let mut text = String::new();
    for seq in numbers {
        let Some(message) = segment.frame(seq).and_then(message) else {
            continue;
        };
        let body = message.text().map_or("", Body::as_str);
        schema::entry(&message.author.nickname, body, &mut text, |word| {
            if !words.contains(word) {
                words.insert(word.into());
            }
        });
        delete.execute(params![schema::row(id, seq), text])?;
    }
    Ok(())
}

/// Removes the signposts of those words that no longer occur in any entry.
pub(super) fn words(connection: &Connection, words: &HashSet<Box<str>>) -> rusqlite::Result<()> {
    // The next steps read FTS5's tables directly.
    connection
        .prepare_cached("INSERT INTO entries(entries) VALUES ('flush')")?
        .execute([])?;
    let segments = segments(connection)?;
    let mut occurs =
        connection.prepare_cached("SELECT 1 FROM entries WHERE entries MATCH ?1 LIMIT 1")?;
    for word in words {
        // Tokenized words hold no quotation mark.
        if occurs.exists([format!("\"{word}\"")])? {
            continue;
        }
        move_signposts(connection, &segments, WHOLE, word)?;
        if let Some((end, c)) = word.char_indices().nth(PREFIX_CHARS - 1) {
            let beginning = &word[..end + c.len_utf8()];
            move_signposts(connection, &segments, BEGINNING, beginning)?;
        }
    }
    Ok(())
}

/// FTS5's segments, as a JSON list.
fn segments(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row(
        "WITH RECURSIVE segment(id) AS (
             SELECT min(segid) FROM entries_idx
             UNION ALL
             SELECT (SELECT min(segid) FROM entries_idx WHERE segid > id) FROM segment
             WHERE id IS NOT NULL)
         SELECT json_group_array(id) FROM segment WHERE id IS NOT NULL",
        [],
        |row| row.get(0),
    )
}

/// Moves the signposts made of a word that no longer occurs. In each segment only the last one
/// before the word's position can be.
fn move_signposts(
    connection: &Connection,
    segments: &str,
    table: u8,
    word: &str,
) -> rusqlite::Result<()> {
    let mut posts = connection.prepare_cached(
        "SELECT segid, term FROM (
             SELECT value AS segid, (
                 SELECT term FROM entries_idx
                 WHERE segid = value AND term <= ?1 ORDER BY term DESC LIMIT 1) AS term
             FROM json_each(?2))
         WHERE length(term) > 1 AND substr(?1, 1, length(term)) = term",
    )?;
    let posts: Vec<(i64, Vec<u8>)> = posts
        .query_map(params![key(table, word), segments], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    for (segment, post) in posts {
        move_signpost(connection, segment, &post, table, word)?;
    }
    Ok(())
}

fn key(table: u8, word: &str) -> Vec<u8> {
    [&[table], word.as_bytes()].concat()
}

fn move_signpost(
    connection: &Connection,
    segment: i64,
    post: &[u8],
    table: u8,
    word: &str,
) -> rusqlite::Result<()> {
    // The shortest prefix that no word has any more.
    let mut ends = word.char_indices().map(|(at, c)| at + c.len_utf8());
    let (gone, after) = loop {
        let Some(end) = ends.next() else {
            return Ok(());
        };
        let next = schema::next_word(connection, &word[..end])?;
        if !next
            .as_ref()
            .is_some_and(|next| next.starts_with(&word[..end]))
        {
            break (&word[..end], next);
        }
    };
    if post.len() <= gone.len() {
        // It contains no more than other words do.
        return Ok(());
    }
    // All words before the signpost sort below this prefix, those behind it above. So it can be
    // replaced by the next word that occurs, by as much of it as sorts above the prefix.
    let moved = after.map(|after| {
        let same = after.bytes().zip(gone.bytes()).take_while(|(a, b)| a == b);
        [&[table], &after.as_bytes()[..=same.count()]].concat()
    });
    let next: Option<Vec<u8>> = connection
        .prepare_cached("SELECT min(term) FROM entries_idx WHERE segid = ?1 AND term > ?2")?
        .query_row(params![segment, post], |row| row.get(0))?;
    match moved {
        Some(moved) if next.is_none_or(|next| next > moved) => connection
            .prepare_cached("UPDATE entries_idx SET term = ?3 WHERE segid = ?1 AND term = ?2")?
            .execute(params![segment, post, moved])?,
        // There is nothing left between this signpost and the next.
        _ => connection
            .prepare_cached("DELETE FROM entries_idx WHERE segid = ?1 AND term = ?2")?
            .execute(params![segment, post])?,
    };
    Ok(())
}
