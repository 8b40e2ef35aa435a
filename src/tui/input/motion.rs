//! Motions in a text, from a position between two grapheme clusters: to the next on the left or
//! right, to the ends of words and lines. Each returns its argument if there is no such position.

use unicode_properties::UnicodeEmoji;
use unicode_segmentation::UnicodeSegmentation;

/// Before the grapheme cluster on the left.
pub(super) fn left(text: &str, at: usize) -> usize {
    let last = text[..at].graphemes(true).next_back();
    at - last.map_or(0, str::len)
}

/// After the grapheme cluster on the right.
pub(super) fn right(text: &str, at: usize) -> usize {
    let first = text[at..].graphemes(true).next();
    at + first.map_or(0, str::len)
}

/// The start of the word at or before the position.
pub(super) fn word_left(text: &str, at: usize) -> usize {
    let mut words = text[..at].split_word_bound_indices().rev();
    words
        .find(|(_, word)| is_word(word))
        .map_or(0, |(start, _)| start)
}

/// The end of the word at or after the position.
pub(super) fn word_right(text: &str, at: usize) -> usize {
    let mut words = text[at..].split_word_bound_indices();
    words
        .find(|(_, word)| is_word(word))
        .map_or(text.len(), |(start, word)| at + start + word.len())
}

/// The start of the text after the white space on the left, as Ctrl-W sees it.
pub(super) fn blank_left(text: &str, at: usize) -> usize {
    let is_blank = |cluster: &&str| cluster.starts_with(char::is_whitespace);
    let before = text[..at].graphemes(true).rev();
    let bytes: usize = before
        .clone()
        .take_while(is_blank)
        .chain(
            before
                .skip_while(is_blank)
                .take_while(|cluster| !is_blank(cluster)),
        )
        .map(str::len)
        .sum();
    at - bytes
}

/// The start of the line.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// The end of the line, before its newline.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    text[at..]
        .find('\n')
        .map_or(text.len(), |newline| at + newline)
}

/// Whether a segment is a word: letters, digits, and emoji, so that deleting a word stops at them.
fn is_word(segment: &str) -> bool {
    segment
        .chars()
        .any(|c| c.is_alphanumeric() || (!c.is_ascii() && c.is_emoji_char()))
}
