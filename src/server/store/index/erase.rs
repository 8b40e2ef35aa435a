//! Leaving nothing behind of what is erased.
//!
//! FTS5 takes an entry's words out of its pages; what it leaves is the first letters of some word
//! wherever one page ended and the next began, as a signpost in its table `entries_idx`. Where that
//! word is now gone altogether, the signpost is moved: to a place between the same two pages that
//! says nothing of the word beyond what words that are still there say too, and one letter more.

use std::{collections::HashSet, ops::Range};

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    message,
    schema::{self, PREFIX_CHARS},
};
use crate::server::engine::tail::Segment;

/// What FTS5 writes before a word in its pages: which of its two tables the word is in.
const WHOLE: u8 = b'0';
const BEGINNING: u8 = b'1';

/// Takes entries out of the table, and notes the words that they had.
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
        let body = message.body.as_str();
        schema::entry(&message.nickname, body, &mut text, |word| {
            if !words.contains(word) {
                words.insert(word.into());
            }
        });
        delete.execute(params![schema::row(id, seq), text])?;
    }
    Ok(())
}

/// Removes what FTS5 still shows of those words that no entry has any more.
pub(super) fn words(connection: &Connection, words: &HashSet<Box<str>>) -> rusqlite::Result<()> {
    // What follows looks at FTS5's tables.
    connection
        .prepare_cached("INSERT INTO entries(entries) VALUES ('flush')")?
        .execute([])?;
    let segments = segments(connection)?;
    for word in words {
        if occurs(connection, word, false)? {
            continue;
        }
        for &segment in &segments {
            move_signpost(connection, segment, WHOLE, word)?;
            if let Some((end, c)) = word.char_indices().nth(PREFIX_CHARS - 1) {
                let beginning = &word[..end + c.len_utf8()];
                move_signpost(connection, segment, BEGINNING, beginning)?;
            }
        }
    }
    Ok(())
}

/// Whether there is this word, or one that begins so.
fn occurs(connection: &Connection, word: &str, beginning: bool) -> rusqlite::Result<bool> {
    let next = schema::next_word(connection, word)?;
    Ok(next.is_some_and(|next| next == word || beginning && next.starts_with(word)))
}

fn segments(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    let mut next =
        connection.prepare_cached("SELECT min(segid) FROM entries_idx WHERE segid > ?1")?;
    let mut found = Vec::new();
    while let Some(segment) = next.query_row([found.last().unwrap_or(&-1)], |row| {
        row.get::<_, Option<i64>>(0)
    })? {
        found.push(segment);
    }
    Ok(found)
}

/// If the signpost that leads to where a word was in a segment is made of that word, moves it.
fn move_signpost(
    connection: &Connection,
    segment: i64,
    table: u8,
    word: &str,
) -> rusqlite::Result<()> {
    let key = |word: &str| [&[table], word.as_bytes()].concat();
    let post: Option<Vec<u8>> = connection
        .prepare_cached(
            "SELECT term FROM entries_idx
             WHERE segid = ?1 AND term <= ?2 ORDER BY term DESC LIMIT 1",
        )?
        .query_row(params![segment, key(word)], |row| row.get(0))
        .optional()?;
    let Some(post) = post.filter(|post| post.len() > 1 && key(word).starts_with(post)) else {
        return Ok(());
    };
    // The shortest beginning that no word has any more: words before the post don't have it, words
    // behind it neither, so that the post may stand anywhere among those that would.
    let mut ends = word.char_indices().map(|(at, c)| at + c.len_utf8());
    let gone = loop {
        match ends.next() {
            None => return Ok(()),
            Some(end) if !occurs(connection, &word[..end], true)? => break &word[..end],
            Some(_) => {}
        }
    };
    let mut moved = key(gone);
    if post.len() < moved.len() {
        // It says no more than what other words say.
        return Ok(());
    }
    if let Some(last) = moved.last_mut() {
        // UTF-8 has no byte of 255.
        *last += 1;
    }
    let next: Option<Vec<u8>> = connection
        .prepare_cached("SELECT min(term) FROM entries_idx WHERE segid = ?1 AND term > ?2")?
        .query_row(params![segment, post], |row| row.get(0))?;
    if next.is_some_and(|next| next <= moved) {
        // There is nothing left between this post and the next.
        connection
            .prepare_cached("DELETE FROM entries_idx WHERE segid = ?1 AND term = ?2")?
            .execute(params![segment, post])?;
    } else {
        connection
            .prepare_cached("UPDATE entries_idx SET term = ?3 WHERE segid = ?1 AND term = ?2")?
            .execute(params![segment, post, moved])?;
    }
    Ok(())
}
