//! Tests that a terminal which counts columns differently shows after an update the same as if the
//! screen had been drawn from nothing.

use std::iter;

use proptest::prelude::*;
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::tui::{
    shell::backend::{CUT_AT_EDGE, Careful},
    view::paint::{Span, put},
};

/// Clusters with disputed widths, one a line.
const CLUSTERS: &str = include_str!("../../../../tests/fixtures/clusters.txt");

const COLUMNS: usize = 26;
const ROWS: usize = 3;
/// The column where texts end and the member list begins.
const RULE: u16 = 14;

/// How a terminal splits its input into parts, and how many columns it gives each; with none, the
/// part is put on the cell before.
#[derive(Clone, Copy, Debug)]
enum Counts {
    /// Each character by itself, as `wcwidth` does.
    Characters,
    /// The same, with two columns for ambiguous characters.
    EastAsian,
    /// The same, with one column for characters of no width.
    Spacing,
    /// Two columns for everything but ASCII.
    AllWide,
    /// A fixed number of columns for a disputed cluster.
    Clusters(usize),
    /// The sum of the widths of a cluster's characters.
    Sum,
}

const ALL: [Counts; 9] = [
    Counts::Characters,
    Counts::EastAsian,
    Counts::Spacing,
    Counts::AllWide,
    Counts::Clusters(0),
    Counts::Clusters(1),
    Counts::Clusters(2),
    Counts::Clusters(4),
    Counts::Sum,
];

impl Counts {
    fn parts(self, text: &str) -> Vec<(String, usize)> {
        let by_character = |width: fn(char) -> usize| {
            let parts = text.chars().map(|c| (c.to_string(), width(c)));
            parts.collect()
        };
        let by_cluster = |width: &dyn Fn(&str) -> usize| {
            let parts = text.graphemes(true).map(|c| (c.to_owned(), width(c)));
            parts.collect()
        };
        match self {
            Self::Characters => by_character(|c| c.width().unwrap_or(0)),
            Self::EastAsian => by_character(|c| c.width_cjk().unwrap_or(0)),
            Self::Spacing => by_character(|c| c.width().unwrap_or(0).max(1)),
            Self::AllWide => by_character(|c| if c.is_ascii() { 1 } else { 2 }),
            Self::Clusters(columns) => by_cluster(&|cluster| match super::width_of(cluster) {
                super::Width::Disputed => columns,
                _ => cluster.width(),
            }),
            Self::Sum => by_cluster(&|cluster| {
                let widths = cluster.chars().map(|c| c.width().unwrap_or(0));
                widths.sum()
            }),
        }
    }
}

/// A terminal that takes writes.
struct Terminal {
    counts: Counts,
    /// The text of each column, and its width; `None`: covered by the one before.
    cells: Vec<Vec<Option<(String, usize)>>>,
    column: usize,
    row: usize,
    wraps: bool,
    /// Whether the last column was written, so that the next character wraps.
    full: bool,
}

impl Terminal {
    fn new(counts: Counts) -> Self {
        Self {
            counts,
            cells: vec![vec![Some((" ".to_owned(), 1)); COLUMNS]; ROWS],
            column: 0,
            row: 0,
            wraps: true,
            full: false,
        }
    }

    fn take(&mut self, written: &str) {
        let mut rest = written;
        while !rest.is_empty() {
            if let Some(sequence) = rest.strip_prefix("\x1b[") {
                let end = sequence.find(|c: char| c.is_ascii_alphabetic()).unwrap();
                self.obey(&sequence[..end], &sequence[end..=end]);
                rest = &sequence[end + 1..];
            } else {
                let end = rest.find('\x1b').unwrap_or(rest.len());
                for (part, width) in self.counts.parts(&rest[..end]) {
                    self.write(&part, width);
                }
                rest = &rest[end..];
            }
        }
    }

    fn obey(&mut self, arguments: &str, what: &str) {
        match (arguments, what) {
            (place, "H") => {
                let (row, column) = place.split_once(';').unwrap();
                self.row = row.parse::<usize>().unwrap() - 1;
                self.column = column.parse::<usize>().unwrap() - 1;
                self.full = false;
            }
            ("?7", _) => self.wraps = what == "h",
            (_, "m") | ("?25", _) => {}
            _ => panic!("{arguments}{what} is new"),
        }
    }

    fn write(&mut self, part: &str, width: usize) {
        if width == 0 {
            let before = if self.full { COLUMNS } else { self.column };
            let cells = &mut self.cells[self.row][..before];
            if let Some((cell, _)) = cells.iter_mut().rev().find_map(Option::as_mut) {
                cell.push_str(part);
            }
            return;
        }
        if self.full || self.column + width > COLUMNS {
            if self.wraps {
                assert!(self.row + 1 < ROWS, "the screen has moved");
                (self.row, self.column, self.full) = (self.row + 1, 0, false);
            } else {
                (self.column, self.full) = (COLUMNS - 1, false);
            }
        }
        let end = (self.column + width).min(COLUMNS);
        for column in self.column..end {
            self.erase(column);
        }
        self.cells[self.row][self.column] = Some((part.to_owned(), end - self.column));
        self.cells[self.row][self.column + 1..end].fill(None);
        self.full = end == COLUMNS && self.wraps;
        self.column = end.min(COLUMNS - 1);
    }

    /// Erases a column, with the whole of the character that covers it.
    fn erase(&mut self, column: usize) {
        let cells = &mut self.cells[self.row];
        let start = cells[..=column].iter().rposition(Option::is_some).unwrap();
        let width = cells[start].as_ref().unwrap().1;
        cells[start..start + width].fill(Some((" ".to_owned(), 1)));
    }

    fn shows(&self) -> Vec<String> {
        let row = |cells: &Vec<Option<(String, usize)>>| {
            let cells = cells.iter().flatten().map(|(text, _)| text.as_str());
            cells.collect::<Vec<_>>().join("|")
        };
        self.cells.iter().map(row).collect()
    }
}

fn bytes(old: &Buffer, new: &Buffer) -> String {
    let mut written = Vec::new();
    Careful::new(&mut written).draw(old, new, None).unwrap();
    String::from_utf8(written).unwrap()
}

fn empty() -> Buffer {
    let [columns, rows] = [COLUMNS, ROWS].map(|count| u16::try_from(count).unwrap());
    Buffer::empty(Rect::new(0, 0, columns, rows))
}

/// A screen with a text left of the rule and a name right of it, in each row.
fn screen(rows: &[(String, String, bool)]) -> Buffer {
    let mut buffer = empty();
    for (y, (text, name, marked)) in (0..).zip(rows) {
        let style = match marked {
            true => Style::new().add_modifier(Modifier::REVERSED),
            false => Style::new(),
        };
        let row = Span::row(buffer.area, y);
        let left = row.before(row.width - RULE);
        put(&mut buffer, left, text, style);
        put(&mut buffer, row.after(RULE), "│", Style::new());
        put(&mut buffer, row.after(RULE + 1), name, style);
    }
    buffer
}

fn check(frames: &[Buffer]) {
    for counts in ALL {
        let mut terminal = Terminal::new(counts);
        terminal.take(CUT_AT_EDGE);
        let mut before = empty();
        for frame in frames {
            terminal.take(&bytes(&before, frame));
            let mut fresh = Terminal::new(counts);
            fresh.take(CUT_AT_EDGE);
            fresh.take(&bytes(&empty(), frame));
            assert_eq!(terminal.shows(), fresh.shows(), "{counts:?}");
            before = frame.clone();
        }
    }
}

fn row(text: &str, name: &str) -> (String, String, bool) {
    (text.to_owned(), name.to_owned(), false)
}

#[test]
fn nothing_of_any_cluster_is_left() {
    for cluster in CLUSTERS.lines() {
        let plain = row("abcd f", "alice");
        let frames = [
            screen(&[row(&format!("ab {cluster}"), "bob"), plain.clone()]),
            screen(&[plain.clone(), row(&format!("{cluster}{cluster}"), cluster)]),
            screen(&[row(&format!("x{cluster}y"), cluster), plain.clone()]),
            // At the rule, and in the last column.
            screen(&[row(&format!("0123456789ab{cluster}"), "bob"), plain.clone()]),
            screen(&[row("abc", &format!("012345678{cluster}")), plain.clone()]),
            screen(&[row("abc", &format!("0123456789{cluster}")), plain.clone()]),
            screen(&[
                plain.clone(),
                plain.clone(),
                row(cluster, &format!("0123456789{cluster}")),
            ]),
            screen(&[plain.clone(), plain]),
        ];
        check(&frames);
    }
}

#[test]
fn plain_text_costs_only_its_changes() {
    let before = screen(&[row("hello there", "alice")]);
    let after = screen(&[row("hello thexe", "alice")]);
    let written = bytes(&before, &after);
    assert!(written.contains("\x1b[1;10Hx"), "{written:?}");
    assert!(!written.contains("hello"), "{written:?}");
    assert_eq!(bytes(&before, &before), "\x1b[?25l");
}

#[test]
fn a_long_run_of_letters_is_written_at_once() {
    let written = bytes(&empty(), &screen(&[row("Приветмир", "")]));
    assert!(written.contains("Приветмир"), "{written:?}");
}

fn any_row() -> impl Strategy<Value = (String, String, bool)> {
    let clusters: Vec<_> = CLUSTERS.lines().chain(["a", " ", "b"]).collect();
    let text = |most| {
        let picked = proptest::collection::vec(proptest::sample::select(clusters.clone()), 0..most);
        picked.prop_map(|parts| parts.concat())
    };
    (text(10), text(6), any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_screen_that_is_updated_equals_one_that_is_drawn_from_nothing(
        rows in proptest::collection::vec(any_row(), 3 * ROWS)
    ) {
        let frames: Vec<_> = rows.chunks(ROWS).map(screen).collect();
        // Scrolled: each row replaces another one.
        let scrolled = rows.windows(ROWS).map(screen);
        check(&frames);
        check(&iter::once(frames[0].clone()).chain(scrolled).collect::<Vec<_>>());
    }
}
