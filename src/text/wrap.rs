//! Wraps a text to a number of columns and says what is drawn on each row.
//!
//! Rows are filled greedily with grapheme clusters. They break where Unicode allows it (UAX #14),
//! except that a link moves to the next row rather than break at a slash. A run without a break is
//! broken between clusters.
//!
//! Reading and editing share the code; they differ in the spaces at a break ([`Spaces`]).
//!
//! Rows are offsets into the text; nothing is copied. [`Row::next`] of one row is [`Row::start`] of
//! the following, so the rows cover the text without a gap even where something is not drawn. The
//! text need not be a [`super::Body`]: harmful characters are drawn inert.

use std::ops::Range;

use unicode_linebreak::linebreaks;
use unicode_segmentation::UnicodeSegmentation;

use super::{
    clean::{self, Kind},
    width::grapheme_width,
};

/// Distance of the tab stops, in columns from the row's start.
pub const TAB_COLUMNS: usize = 4;

/// The longest scheme (`https`) that a link is known by.
const SCHEME_BYTES_MAX: usize = 12;

/// How spaces and tabs at the end of a row are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spaces {
    /// For reading: they hang over the row's end, however many, and are not drawn.
    Hang,
    /// For editing: each takes a column and may begin a row, so that the cursor moves with every
    /// key. Only a space that follows a full row is not drawn; the next row follows it, even if
    /// empty.
    Keep,
}

/// One row of a wrapped text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Byte of the text where the row begins.
    pub start: usize,
    /// Byte where the drawn part ends.
    pub end: usize,
    /// Byte where the next row begins. The bytes from `end` to here are not drawn: hanging spaces
    /// and the newline.
    pub next: usize,
    /// Columns that are drawn.
    pub width: usize,
    columns: usize,
}

/// A grapheme cluster as it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawn<'a> {
    /// Byte of the text where the cluster begins.
    pub start: usize,
    /// The text to draw. Not always the cluster: spaces for a tab; a picture (`␛`) for a control;
    /// U+FFFD for a cluster that has no width, is wider than the area, or could harm.
    pub text: &'a str,
    /// Columns of `text`, at least one.
    pub width: usize,
}

/// Wraps for reading. Returns at least one row; a newline at the end begins another. No row is
/// wider than the area; zero columns count as one.
pub fn wrap(text: &str, columns: usize) -> Vec<Row> {
    wrap_with(text, columns, Spaces::Hang)
}

/// The first rows of [`wrap`], at most `rows_max`. Does not read the lines behind them.
pub fn wrap_first(text: &str, columns: usize, rows_max: usize) -> Vec<Row> {
    let mut lines = text.match_indices('\n').map(|(at, _)| at + 1);
    // Every line has at least one row.
    let end = rows_max.checked_sub(1).and_then(|at| lines.nth(at));
    let mut rows = wrap(&text[..end.unwrap_or(text.len())], columns);
    rows.truncate(rows_max);
    rows
}

/// [`wrap`] with a choice of [`Spaces`].
pub fn wrap_with(text: &str, columns: usize, spaces: Spaces) -> Vec<Row> {
    rows(text, columns, spaces, by_words)
}

/// Breaks a row only where it is full, within words too. For text that is copied from the screen:
/// all rows but the last are full.
pub fn cut(text: &str, columns: usize) -> Vec<Row> {
    rows(text, columns, Spaces::Keep, |_| Vec::new())
}

/// Finds the offsets where a line may break.
type Breaks = fn(&str) -> Vec<usize>;

fn by_words(line: &str) -> Vec<usize> {
    linebreaks(line).map(|(at, _)| at).collect()
}

fn rows(text: &str, columns: usize, spaces: Spaces, breaks: Breaks) -> Vec<Row> {
    let columns = columns.max(1);
    let mut rows = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let next = start + line.len();
        let end = next - usize::from(line.ends_with('\n'));
        wrap_line(text, start..end, columns, (spaces, breaks), &mut rows);
        if let Some(last) = rows.last_mut() {
            last.next = next;
        }
        start = next;
    }
    if text.is_empty() || text.ends_with('\n') {
        rows.push(Row {
            start,
            end: start,
            next: start,
            width: 0,
            columns,
        });
    }
    rows
}

fn wrap_line(
    text: &str,
    line: Range<usize>,
    columns: usize,
    (spaces, breaks): (Spaces, Breaks),
    rows: &mut Vec<Row>,
) {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~');
    let bytes = &text.as_bytes()[line.clone()];
    if bytes.len() <= columns && bytes.iter().all(plain) && !bytes.ends_with(b" ") {
        rows.push(Row {
            start: line.start,
            end: line.end,
            next: line.end,
            width: line.len(),
            columns,
        });
        return;
    }
    let mut filler = Filler {
        line: &text[line.clone()],
        base: line.start,
        columns,
        spaces,
        breaks: breaks(&text[line.clone()]),
        breaks_done: 0,
    };
    let mut start = 0;
    loop {
        let row = filler.row(start);
        rows.push(row);
        start = row.next - line.start;
        let place_for_cursor = spaces == Spaces::Keep && row.end < row.next;
        if row.next == line.end && !place_for_cursor {
            return;
        }
    }
}

/// Fills the rows of one line, which holds no newline. Offsets are relative to the line.
struct Filler<'a> {
    line: &'a str,
    /// Where the line begins in the text.
    base: usize,
    columns: usize,
    spaces: Spaces,
    /// Offsets where UAX #14 allows a break. Found once, so that wrapping takes linear time even
    /// where a line has no breaks.
    breaks: Vec<usize>,
    /// Number of breaks that lie before the row.
    breaks_done: usize,
}

/// A point where the row may end.
#[derive(Clone, Copy)]
struct Fold {
    /// End of what is drawn.
    edge: Edge,
    /// Start of the next row.
    next: usize,
}

/// An offset, and the columns from the row's start to it.
#[derive(Clone, Copy)]
struct Edge {
    at: usize,
    column: usize,
}

impl Filler<'_> {
    /// Returns the row that begins at `start`. Reads no further than the first cluster that does
    /// not fit (and the spaces that hang).
    fn row(&mut self, start: usize) -> Row {
        let before = |at: &&usize| **at <= start;
        self.breaks_done += self.breaks[self.breaks_done..]
            .iter()
            .take_while(before)
            .count();
        let mut breaks = self.breaks[self.breaks_done..].iter().copied().peekable();
        let mut column = 0;
        // The row's edge if it ended here.
        let mut edge = Edge { at: start, column };
        let (mut fold, mut fold_in_link) = (None, None);
        let mut link_end = start;
        for (offset, grapheme) in self.line[start..].grapheme_indices(true) {
            let at = start + offset;
            while breaks.next_if(|&next| next < at).is_some() {}
            // A row of nothing but hanging spaces would look empty.
            if breaks.next_if_eq(&at).is_some() && edge.column > 0 {
                let here = Some(Fold { edge, next: at });
                if at < link_end {
                    fold_in_link = here;
                } else {
                    fold = here;
                }
            }
            if at >= link_end {
                link_end = at + link(self.line, at, self.columns);
            }
            let hangs = matches!(grapheme, " " | "\t").then_some(self.spaces);
            let (_, width) = draw(grapheme, column, self.columns);
            let after = at + grapheme.len();
            if column + width <= self.columns {
                column += width;
                if hangs != Some(Spaces::Hang) {
                    edge = Edge { at: after, column };
                }
                continue;
            }
            let forced = |next| Fold { edge, next };
            return match hangs {
                Some(Spaces::Hang) => continue,
                Some(Spaces::Keep) => self.end(start, forced(after)),
                None => self.end(start, fold.or(fold_in_link).unwrap_or(forced(at))),
            };
        }
        let next = self.line.len();
        self.end(start, Fold { edge, next })
    }

    fn end(&self, start: usize, Fold { edge, next }: Fold) -> Row {
        Row {
            start: self.base + start,
            end: self.base + edge.at,
            next: self.base + next,
            width: edge.column,
            columns: self.columns,
        }
    }
}

/// Length in bytes of the link that begins at `offset`, at most one byte more than a row of
/// `columns` holds; 0 if no link begins there.
fn link(line: &str, offset: usize, columns: usize) -> usize {
    let bytes = line.as_bytes();
    let begins_word = bytes[offset].is_ascii_alphabetic()
        && (offset == 0 || !bytes[offset - 1].is_ascii_alphanumeric());
    if !begins_word {
        return 0;
    }
    let rest = &bytes[offset..];
    let scheme = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric());
    let scheme = scheme.take(SCHEME_BYTES_MAX).count();
    if !rest[scheme..].starts_with(b"://") {
        return 0;
    }
    let ends = |byte: &u8| !byte.is_ascii_graphic() || matches!(byte, b'<' | b'>' | b'"');
    let within = &rest[..rest.len().min(columns.saturating_add(1))];
    within.iter().position(ends).unwrap_or(within.len())
}

/// How a cluster is drawn at a column, and its width.
fn draw(grapheme: &str, column: usize, columns: usize) -> (&str, usize) {
    match grapheme.as_bytes() {
        b"\t" => {
            let room = columns.saturating_sub(column).max(1);
            let width = (TAB_COLUMNS - column % TAB_COLUMNS).min(room);
            (&"    "[..width], width)
        }
        [b' '..=b'~'] => (grapheme, 1),
        [control] => (PICTURES[usize::from(*control).min(32)], 1),
        _ => {
            let width = grapheme_width(grapheme);
            if (1..=columns).contains(&width) && is_inert(grapheme) {
                (grapheme, width)
            } else {
                ("\u{FFFD}", 1)
            }
        }
    }
}

/// Whether a cluster can be drawn as it is. A joiner at its end belongs to the cluster after it and
/// is harmless.
fn is_inert(grapheme: &str) -> bool {
    clean::first_unfit(grapheme, Kind::Line).is_none_or(|(at, c)| {
        matches!(c, '\u{200C}' | '\u{200D}') && at + c.len_utf8() == grapheme.len()
    })
}

/// The pictures of the C0 controls, then of DEL.
const PICTURES: [&str; 33] = [
    "␀", "␁", "␂", "␃", "␄", "␅", "␆", "␇", "␈", "␉", "␊", "␋", "␌", "␍", "␎", "␏", "␐", "␑", "␒",
    "␓", "␔", "␕", "␖", "␗", "␘", "␙", "␚", "␛", "␜", "␝", "␞", "␟", "␡",
];

impl Row {
    /// The bytes of the text that are drawn.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// The clusters of the row as drawn, from the left. `text` is the text that was wrapped.
    pub fn drawn<'a>(&self, text: &'a str) -> impl Iterator<Item = Drawn<'a>> {
        let columns = self.columns;
        let start = self.start;
        text[self.range()]
            .grapheme_indices(true)
            .scan(0, move |column, (offset, grapheme)| {
                let (text, width) = draw(grapheme, *column, columns);
                *column += width;
                Some(Drawn {
                    start: start + offset,
                    text,
                    width,
                })
            })
    }

    /// The row as drawn, in one string.
    pub fn to_text(&self, text: &str) -> String {
        self.drawn(text).map(|drawn| drawn.text).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::width;

    fn rows(text: &str, columns: usize, spaces: Spaces) -> Vec<String> {
        let wrapped = wrap_with(text, columns, spaces);
        wrapped.iter().map(|row| row.to_text(text)).collect()
    }

    #[test]
    fn cut_fills_every_row() {
        for (text, columns, expected) in [
            ("chat-tui://a.b/cd", 6, &["chat-t", "ui://a", ".b/cd"][..]),
            ("one two", 4, &["one ", "two"]),
            ("short", 9, &["short"]),
            ("日本語", 5, &["日本", "語"]),
        ] {
            let cut = cut(text, columns);
            let rows: Vec<_> = cut.iter().map(|row| row.to_text(text)).collect();
            assert_eq!(rows, expected, "{text}");
        }
    }

    #[test]
    fn words_go_to_the_next_row_and_spaces_hang() {
        for (text, columns, expected) in [
            ("", 5, &[""][..]),
            ("hello", 5, &["hello"]),
            ("hello world", 5, &["hello", "world"]),
            ("hello world", 6, &["hello", "world"]),
            ("hello world", 11, &["hello world"]),
            ("see x://y now", usize::MAX, &["see x://y now"]),
            ("hello      world   ", 5, &["hello", "world"]),
            ("hello   ", 5, &["hello"]),
            ("one two three", 7, &["one two", "three"]),
            ("a\n\nb\n", 5, &["a", "", "b", ""]),
            ("\n", 5, &["", ""]),
            ("abcdefgh", 3, &["abc", "def", "gh"]),
            ("an abcdefgh", 4, &["an", "abcd", "efgh"]),
            // UAX #14 would break between a space and a combining mark on it.
            ("a \u{301}b cd ef", 8, &["a \u{301}b cd", "ef"]),
            ("well-known words", 5, &["well-", "known", "words"]),
            ("  indented", 6, &["  inde", "nted"]),
            ("a ( b ) !", 3, &["a", "( b", ") !"]),
            ("日本語テキスト", 5, &["日本", "語テ", "キス", "ト"]),
            ("日本。語", 4, &["日", "本。", "語"]),
            ("a👨‍👩‍👧‍👦b", 3, &["a👨‍👩‍👧‍👦", "b"]),
            (
                "e\u{301}e\u{301}e\u{301}",
                2,
                &["e\u{301}e\u{301}", "e\u{301}"],
            ),
            ("می‌خواهم کتاب", 8, &["می‌خواهم", "کتاب"]),
        ] {
            assert_eq!(rows(text, columns, Spaces::Hang), expected, "{text:?}");
        }
    }

    #[test]
    fn tabs_reach_to_the_next_multiple_of_four() {
        for (text, columns, expected) in [
            ("\tx", 8, &["    x"][..]),
            ("ab\tx\ty", 12, &["ab  x   y"]),
            ("日本語\tx", 12, &["日本語  x"]),
            ("abc\tdef", 5, &["abc", "def"]),
            ("\tabc", 5, &["    a", "bc"]),
            ("\tx", 2, &["", "x"]),
        ] {
            assert_eq!(rows(text, columns, Spaces::Hang), expected, "{text:?}");
        }
    }

    #[test]
    fn a_link_is_kept_whole_where_a_row_can_hold_it() {
        for (text, columns, expected) in [
            (
                "see https://a.b/c-d now",
                15,
                &["see", "https://a.b/c-d", "now"][..],
            ),
            ("(see https://a.b/c-d)", 16, &["(see", "https://a.b/c-d)"]),
            ("https://a.b/c-d now", 12, &["https://a.b/", "c-d now"]),
            ("and/or x://y", 8, &["and/or", "x://y"]),
            ("this/that: yes", 8, &["this/", "that:", "yes"]),
        ] {
            assert_eq!(rows(text, columns, Spaces::Hang), expected, "{text:?}");
        }
    }

    #[test]
    fn while_editing_every_space_has_its_place() {
        for (text, columns, expected) in [
            ("", 5, &[""][..]),
            ("hello", 5, &["hello"]),
            ("hello ", 5, &["hello", ""]),
            ("hello  ", 5, &["hello", " "]),
            ("hell  ", 5, &["hell ", ""]),
            ("hello world", 5, &["hello", "world"]),
            ("hello   world", 5, &["hello", "  ", "world"]),
            ("hello world", 7, &["hello ", "world"]),
            ("hello \nworld", 5, &["hello", "", "world"]),
            ("hello\n", 5, &["hello", ""]),
            ("hello\tx", 5, &["hello", "x"]),
        ] {
            assert_eq!(rows(text, columns, Spaces::Keep), expected, "{text:?}");
        }
    }

    #[test]
    fn an_undrawable_cluster_is_replaced_by_one_column() {
        for (text, columns, expected) in [
            ("日本", 1, &["\u{FFFD}", "\u{FFFD}"][..]),
            ("日", 0, &["\u{FFFD}"]),
            ("a b", 0, &["a", "b"]),
            ("\u{1b}[m\u{7f}\r", 9, &["␛[m␡␍"]),
            ("a\u{202e}b", 9, &["a\u{FFFD}b"]),
            ("\u{9b}m", 9, &["\u{FFFD}m"]),
            ("\u{301}a", 9, &["\u{FFFD}a"]),
            ("xa\u{fe0f}b\u{e0067}", 9, &["x\u{FFFD}\u{FFFD}"]),
            (
                "a\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}",
                9,
                &["\u{FFFD}"],
            ),
            ("\u{1100}\u{1100}\u{1100}", 5, &["\u{FFFD}"]),
            ("\u{1100}\u{1100}\u{1100}", 6, &["\u{1100}\u{1100}\u{1100}"]),
        ] {
            assert_eq!(rows(text, columns, Spaces::Hang), expected, "{text:?}");
        }
    }

    #[test]
    fn a_row_says_where_each_cluster_came_from() {
        let text = "日\tb c";
        let wrapped = wrap(text, 5);
        let drawn: Vec<_> = wrapped[0].drawn(text).collect();
        let at = |start, text, width| Drawn { start, text, width };
        assert_eq!(drawn, [at(0, "日", 2), at(3, "  ", 2), at(4, "b", 1)]);
        assert_eq!((wrapped[0].range(), wrapped[0].next), (0..5, 6));
        assert_eq!((wrapped[1].range(), wrapped[1].next), (6..7, 7));
    }

    fn any_text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => prop::sample::select(vec![
                " ", "  ", "\n", "\t", "-", "/", "(", ")", "!", "\"", "a", "bc", "word", "日",
                "本語", "。", "👨‍👩‍👧‍👦", "🇳🇴", "🇳", "e\u{301}", "\u{301}", "क्ष", "\u{200c}", "\u{1b}",
                "\r", "https://", "\u{1100}", "\u{1161}", "\u{a0}", "\u{3000}", "ｶﾞ",
            ]).prop_map(str::to_owned),
            1 => any::<char>().prop_map(String::from),
        ];
        prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_row_is_wider_than_its_area(
            text in any_text(), columns in 0..20_usize, keep in any::<bool>()
        ) {
            let spaces = if keep { Spaces::Keep } else { Spaces::Hang };
            for row in wrap_with(&text, columns, spaces) {
                prop_assert!(row.width <= columns.max(1));
                prop_assert_eq!(width(&row.to_text(&text)), row.width);
                prop_assert!(row.drawn(&text).all(|drawn| drawn.width > 0));
            }
        }

        #[test]
        fn text_in_is_text_out(text in any_text(), columns in 0..20_usize, keep in any::<bool>()) {
            let spaces = if keep { Spaces::Keep } else { Spaces::Hang };
            let mut next = 0;
            for row in wrap_with(&text, columns, spaces) {
                prop_assert_eq!(row.start, next);
                let dropped = &text[row.end..row.next];
                prop_assert!(dropped.trim_matches([' ', '\t', '\n']).is_empty(), "{:?}", dropped);
                prop_assert!(row.range().is_empty() || !text[row.range()].contains('\n'));
                next = row.next;
            }
            prop_assert_eq!(next, text.len());
        }

        #[test]
        fn a_row_is_never_filled_less_than_it_could_be(text in "[ab ]{0,60}", columns in 1..12_usize) {
            let rows = wrap(&text, columns);
            for pair in rows.windows(2) {
                let word = text[pair[1].start..].split(' ').next().unwrap_or("");
                let dropped = pair[0].next - pair[0].end;
                prop_assert!(pair[0].width + dropped + word.len() > columns || pair[0].width == 0);
            }
        }

        #[test]
        fn good_text_is_drawn_as_it_is(text in "[a-zéßñ日本語한คमالف👍 ]{0,60}", columns in 2..20_usize) {
            for row in wrap(&text, columns) {
                prop_assert_eq!(row.to_text(&text), &text[row.range()]);
            }
        }
    }
}
