//! The hits of a search, and their rows in a list.

use std::ops::Range;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use unicode_segmentation::UnicodeSegmentation;

use crate::{
    protocol::{Entry, MessageId, Nickname, UserId},
    search::Query,
    text::{self, wrap::wrap},
    tui::app::layout::Columns,
};

/// Bytes of a message that are kept around its first match.
const EXCERPT_BYTES_MAX: usize = 600;
/// Rows of a hit's text; one on a low screen.
const HIT_ROWS_MAX: usize = 2;
/// The height of the list from which a hit has all its rows.
const HIT_ROWS_FROM: u16 = 8;

/// A message that matches the query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its number.
    pub seq: u64,
    /// Its id.
    pub id: MessageId,
    /// The sender's id.
    pub user: UserId,
    /// Its revision: the number of the edit that the text comes from; 0 if it was not edited.
    pub rev: u64,
    /// The sender.
    pub nickname: Nickname,
    /// Whether they are known to have been unverified when they sent it.
    pub unproven: bool,
    /// The time.
    pub time: Timestamp,
    /// Its text around the first match, as one line.
    text: String,
    /// The matches in it.
    matches: Vec<Range<usize>>,
    /// Whether text before, and after, it was cut off.
    cut: (bool, bool),
}

/// A row of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListRow {
    /// The day of the hits below.
    Day(Date),
    /// Sender and time, if they have a row of their own.
    Head(usize),
    /// A row of a hit's text.
    Text {
        /// The index of the hit.
        hit: usize,
        /// The text of the row.
        text: String,
        /// The matches in it.
        matches: Vec<Range<usize>>,
        /// Whether it is the first row of the hit.
        first: bool,
        /// Whether more text follows it.
        more: bool,
    },
    /// A note about the search.
    Note(String),
}

impl Hit {
    /// Makes a hit of a message.
    pub fn new(message: &Entry, query: &Query) -> Self {
        let mut hit = Self {
            seq: message.seq,
            id: message.id,
            user: message.author.user,
            rev: 0,
            nickname: message.author.nickname.clone(),
            unproven: !message.author.proven,
            time: message.time,
            text: String::new(),
            matches: Vec::new(),
            cut: (false, false),
        };
        hit.set_text(message.words(), message.rev(), query);
        hit
    }

    /// Takes the text of a revision, which need not match the query any more.
    pub fn set_text(&mut self, whole: &str, rev: u64, query: &Query) {
        let matches = query.find(whole);
        let first = matches.first().map_or(0, |found| found.start);
        let from = boundary(whole, first.saturating_sub(EXCERPT_BYTES_MAX / 3));
        let to = boundary(whole, from + EXCERPT_BYTES_MAX);
        let inside = |found: &Range<usize>| found.start >= from && found.end <= to;
        self.rev = rev;
        self.text = whole[from..to].replace(['\n', '\t'], " ");
        self.matches = matches
            .iter()
            .filter(|found| inside(found))
            .map(|found| found.start - from..found.end - from)
            .collect();
        self.cut = (from > 0, to < whole.len());
    }

    /// The text for a number of rows: from its beginning if the first match is within them, else
    /// from shortly before the match.
    fn excerpt(&self, columns: usize, rows: usize) -> (String, Vec<Range<usize>>) {
        let first = self.matches.first().map_or(0, |found| found.start);
        let shown = wrap(&self.text, columns);
        let seen = shown
            .iter()
            .take(rows)
            .any(|row| row.range().contains(&first));
        let from = if seen || self.text.is_empty() {
            0
        } else {
            self.lead_in(first, columns)
        };
        let before = if from > 0 || self.cut.0 { "…" } else { "" };
        let after = if self.cut.1 { "…" } else { "" };
        let text = format!("{before}{}{after}", &self.text[from..]);
        let move_to = |at: usize| at - from + before.len();
        let matches = self
            .matches
            .iter()
            .map(|found| move_to(found.start)..move_to(found.end));
        (text, matches.collect())
    }

    /// The start of an excerpt with a third of a row before a byte.
    fn lead_in(&self, byte: usize, columns: usize) -> usize {
        let mut from = byte;
        let mut wide = 0;
        for (at, grapheme) in self.text[..byte].grapheme_indices(true).rev() {
            wide += text::width(grapheme);
            if wide > columns / 3 {
                // Starts at a word if one begins near.
                let blank = self.text[from..byte].find(' ');
                return from + blank.map_or(0, |blank| blank + 1);
            }
            from = at;
        }
        from
    }
}

/// The grapheme boundary at a byte of a text, or the first one after it.
fn boundary(text: &str, at: usize) -> usize {
    let mut boundaries = text.grapheme_indices(true).map(|(at, _)| at);
    boundaries.find(|&found| found >= at).unwrap_or(text.len())
}

/// The rows of hits for a size, and which of them belong to the chosen one.
pub fn list(
    hits: &[Hit],
    selected: usize,
    zone: &TimeZone,
    columns: &Columns,
    height: u16,
) -> (Vec<ListRow>, Range<usize>) {
    let rows_max = if height < HIT_ROWS_FROM {
        1
    } else {
        HIT_ROWS_MAX
    };
    let width = usize::from(columns.body_width);
    let mut rows = Vec::new();
    let mut chosen = 0..0;
    let mut last_day = None;
    for (at, hit) in hits.iter().enumerate() {
        let day = hit.time.to_zoned(zone.clone()).date();
        let from = rows.len();
        if last_day.replace(day) != Some(day) {
            rows.push(ListRow::Day(day));
        }
        if columns.stacked() {
            rows.push(ListRow::Head(at));
        }
        let (text, matches) = hit.excerpt(width, rows_max);
        let wrapped = wrap(&text, width);
        for (row, found) in wrapped.iter().take(rows_max).enumerate() {
            let range = found.range();
            let matches = matches
                .iter()
                .filter(|found| found.start < range.end && found.end > range.start)
                .map(|found| {
                    let start = found.start.max(range.start) - range.start;
                    start..found.end.min(range.end) - range.start
                });
            rows.push(ListRow::Text {
                hit: at,
                matches: matches.collect(),
                text: text[range].to_owned(),
                first: row == 0,
                more: row + 1 == rows_max && wrapped.len() > rows_max,
            });
        }
        if at == selected {
            chosen = from..rows.len();
        }
    }
    (rows, chosen)
}
