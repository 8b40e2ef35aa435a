//! What a search has found, and the rows that it takes in a list.

use std::ops::Range;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use unicode_segmentation::UnicodeSegmentation;

use crate::{
    protocol::{Nickname, frame::Message},
    search::Query,
    text::{self, wrap::wrap},
    tui::app::layout::Columns,
};

/// Bytes of a message that are kept around the first thing found in it.
const EXCERPT_BYTES_MAX: usize = 600;
/// Rows of a hit's text; one on a low screen.
const HIT_ROWS_MAX: usize = 2;
/// From this height of the list on a hit has all its rows.
const HIT_ROWS_FROM: u16 = 8;

/// A message that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its number.
    pub seq: u64,
    /// Who.
    pub nickname: Nickname,
    /// Whether they are known to have been unverified when they sent it.
    pub unproven: bool,
    /// When.
    pub time: Timestamp,
    /// Its text around the first thing found, as one line.
    text: String,
    /// What was found in it.
    matches: Vec<Range<usize>>,
    /// Whether there is more of it before, and after.
    cut: (bool, bool),
}

/// A row of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListRow {
    /// The day of the hits below.
    Day(Date),
    /// Who said it and when, where that has a row of its own.
    Head(usize),
    /// A row of a hit's text.
    Text {
        /// Which hit.
        hit: usize,
        /// The text, and what was found in it.
        text: String,
        /// What was found.
        matches: Vec<Range<usize>>,
        /// Whether it is the first row of the hit.
        first: bool,
        /// Whether there is more after it.
        more: bool,
    },
    /// How the search stands.
    Note(String),
}

impl Hit {
    /// What was found in a message.
    pub fn new(message: &Message, query: &Query) -> Self {
        let whole = message.body.as_str();
        let matches = query.find(whole);
        let first = matches.first().map_or(0, |found| found.start);
        let from = boundary(whole, first.saturating_sub(EXCERPT_BYTES_MAX / 3));
        let to = boundary(whole, from + EXCERPT_BYTES_MAX);
        let inside = |found: &Range<usize>| found.start >= from && found.end <= to;
        Self {
            seq: message.seq,
            nickname: message.nickname.clone(),
            unproven: message.unproven,
            time: message.time,
            text: whole[from..to].replace(['\n', '\t'], " "),
            matches: matches
                .iter()
                .filter(|found| inside(found))
                .map(|found| found.start - from..found.end - from)
                .collect(),
            cut: (from > 0, to < whole.len()),
        }
    }

    /// The text for so many rows of a width: from its beginning, where the first thing found
    /// stands in them; else from a little before that.
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

    /// Where a text is to begin, so that a third of a row stands before a byte of it.
    fn lead_in(&self, byte: usize, columns: usize) -> usize {
        let mut from = byte;
        let mut wide = 0;
        for (at, grapheme) in self.text[..byte].grapheme_indices(true).rev() {
            wide += text::width(grapheme);
            if wide > columns / 3 {
                // No word is cut where one begins near.
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

/// The rows of hits at a size, from the top, and which of them belong to the chosen one.
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
