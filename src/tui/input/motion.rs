//! Places in a text, from a place between two grapheme clusters: the next to the left or right,
//! the ends of words and lines. Each answers the place it was given where there is none.

use unicode_properties::UnicodeEmoji;
use unicode_segmentation::UnicodeSegmentation;

/// Before the cluster on the left.
pub(super) fn left(text: &str, at: usize) -> usize {
    let last = text[..at].graphemes(true).next_back();
    at - last.map_or(0, str::len)
}

/// After the cluster on the right.
pub(super) fn right(text: &str, at: usize) -> usize {
    let first = text[at..].graphemes(true).next();
    at + first.map_or(0, str::len)
}

/// The start of the word that ends on the left, whatever lies between.
pub(super) fn word_left(text: &str, at: usize) -> usize {
    let mut words = text[..at].split_word_bound_indices().rev();
    words
        .find(|(_, word)| is_word(word))
        .map_or(0, |(start, _)| start)
}

/// The end of the word that begins on the right, whatever lies between.
pub(super) fn word_right(text: &str, at: usize) -> usize {
    let mut words = text[at..].split_word_bound_indices();
    words
        .find(|(_, word)| is_word(word))
        .map_or(text.len(), |(start, word)| at + start + word.len())
}

/// The start of what stands between white space on the left.
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

/// Letters, digits and, so that deleting a word stops at them, emoji.
fn is_word(segment: &str) -> bool {
    segment
        .chars()
        .any(|c| c.is_alphanumeric() || (!c.is_ascii() && c.is_emoji_char()))
}
