//! Finds the highlighted parts of a text: our own nickname, and web addresses.

use std::ops::Range;

use super::timeline_item::{TextSpan, TextSpanKind};
use crate::protocol::Nickname;

/// The highlighted parts of a text, in order and not overlapping.
pub fn find(text: &str, own: Option<&Nickname>) -> Vec<TextSpan> {
    let names = own.map_or_else(Vec::new, |own| mentions(text, own.as_str()));
    with_links(text, names)
}

/// As [`find`], with all names that have an `@` before them instead of our own.
pub fn find_names(text: &str) -> Vec<TextSpan> {
    let mut names = Vec::new();
    let mut before = None;
    for (at, c) in text.char_indices() {
        if c == '@' && !before.is_some_and(joins) {
            let rest = &text[at + 1..];
            let is_end = |c: char| !c.is_alphanumeric() && !matches!(c, '-' | '_' | '.');
            let length = rest.find(is_end).unwrap_or(rest.len());
            if length > 0 {
                names.push(at..at + 1 + length);
            }
        }
        before = Some(c);
    }
    with_links(text, names)
}

/// The links in a text, and those names that are in none of them.
fn with_links(text: &str, names: Vec<Range<usize>>) -> Vec<TextSpan> {
    let mut spans = links(text);
    let inside = |at: usize, spans: &[TextSpan]| spans.iter().any(|span| span.range.contains(&at));
    for range in names {
        if !inside(range.start, &spans) {
            spans.push(TextSpan {
                range,
                kind: TextSpanKind::Mention,
            });
        }
    }
    spans.sort_by_key(|span| span.range.start);
    spans
}

fn links(text: &str) -> Vec<TextSpan> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = ["https://", "http://"]
        .iter()
        .filter_map(|scheme| text[from..].find(scheme))
        .min()
    {
        let start = from + at;
        let rest = &text[start..];
        let end = rest
            .find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '`'))
            .unwrap_or(rest.len());
        let address = rest[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', '\'']);
        // A bracket that was opened before the address does not belong to it.
        let address = match address.strip_suffix([')', ']']) {
            Some(shorter) if !address.contains(['(', '[']) => shorter,
            _ => address,
        };
        if address.len() > "https://".len() {
            found.push(TextSpan {
                range: start..start + address.len(),
                kind: TextSpanKind::Link,
            });
        }
        from = start + end;
    }
    found
}

/// The positions of the nickname as a word of its own, in any case, with or without `@`.
fn mentions(text: &str, own: &str) -> Vec<Range<usize>> {
    let wanted: Vec<char> = own.chars().flat_map(char::to_lowercase).collect();
    let mut found = Vec::new();
    let mut before = None;
    let mut skip_to = 0;
    for (at, c) in text.char_indices() {
        if at >= skip_to
            && !before.is_some_and(joins)
            && let Some(end) = matches_at(&text[at..], &wanted)
            && !text[at + end..].chars().next().is_some_and(joins)
        {
            let start = if before == Some('@') { at - 1 } else { at };
            found.push(start..at + end);
            skip_to = at + end;
        }
        before = Some(c);
    }
    found
}

/// Whether a character beside a nickname belongs to the same word. In scripts without spaces it
/// does not, so that nicknames are found there too.
fn joins(c: char) -> bool {
    c.is_alphanumeric() && c < '\u{2E80}'
}

/// The length in bytes of a prefix that equals the wanted characters in any case.
fn matches_at(text: &str, wanted: &[char]) -> Option<usize> {
    let mut left = wanted;
    for (at, c) in text.char_indices() {
        if left.is_empty() {
            return Some(at);
        }
        for lower in c.to_lowercase() {
            let (first, rest) = left.split_first()?;
            if *first != lower {
                return None;
            }
            left = rest;
        }
    }
    left.is_empty().then_some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mentions_and_addresses_are_found() {
        for (text, expected) in [
            ("nothing here", vec![]),
            ("Carol: ping", vec!["Carol"]),
            ("ask @carol, please", vec!["@carol"]),
            ("carolina and @carols are others", vec![]),
            ("see https://ci.lan/run/88.", vec!["https://ci.lan/run/88"]),
            ("(http://a.b/c) carol", vec!["http://a.b/c", "carol"]),
            ("http://a.b/(x) https://", vec!["http://a.b/(x)"]),
            ("http://carol.lan/", vec!["http://carol.lan/"]),
            ("日本carolさん", vec!["carol"]),
        ] {
            let own = Nickname::parse("carol").unwrap();
            let found: Vec<&str> = find(text, Some(&own))
                .into_iter()
                .map(|span| &text[span.range])
                .collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
