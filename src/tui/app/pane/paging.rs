//! Loads pages of a room's log: missing messages near the view are requested, one page at a time;
//! so are those on the way to the reader's goal.
//!
//! A gap is filled from the side that the reader comes from: upwards from below it, or, when they
//! scroll down into it, downwards from above. A gap that could not be filled is not tried again
//! until it comes into view again, is scrolled at, or the connection is back.

use jiff::civil::Date;

use super::{Pane, Scroll, timeline::Gap, timeline_item::TimelineItem};
use crate::{protocol::frame::Part, search::Query, tui::app::layout::Columns};

/// Screenfuls above and below the view that are loaded ahead.
const AHEAD_SCREENS: i64 = 2;

/// The pages requested from a room's log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paging {
    /// The page that was requested.
    pub asked: Option<Part>,
    /// The gap that could not be filled.
    pub failed: Option<PageFailure>,
    /// The reader's goal.
    pub goal: Option<Goal>,
    /// Whether the reader came from above.
    pub down: bool,
}

/// The reason why a gap could not be filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageFailure {
    from: u64,
    to: u64,
    /// The reason, in one plain sentence.
    pub why: String,
}

/// The place that a reader is to be led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// A message, with those before it in view.
    Message(u64),
    /// A message, with the lines above it on top.
    Top(u64),
    /// The first message of a day or later.
    Day(Date, Part),
}

/// The state of a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loading<'a> {
    /// It is not being loaded.
    Not,
    /// It is being loaded.
    Asked,
    /// It could not be loaded; the reason in one plain sentence.
    Failed(&'a str),
}

impl PageFailure {
    fn is_about(&self, gap: &Gap) -> bool {
        gap.loadable && gap.from <= self.to && self.from <= gap.to
    }
}

impl Goal {
    /// The number of the message, if the goal is one.
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Message(seq) | Self::Top(seq) => Some(*seq),
            Self::Day(..) => None,
        }
    }
}

/// Both ends of a part, if it has them.
fn ends(part: Part) -> Option<(u64, u64)> {
    match part {
        Part::Forward { from, to } | Part::Backward { from, to } => Some((from, to)),
        Part::Since(_) => None,
    }
}

impl Pane {
    /// The state of a gap.
    pub fn loading(&self, gap: &Gap) -> Loading<'_> {
        let asked = self.paging.asked.and_then(ends);
        if asked.is_some_and(|(from, to)| gap.from <= to && from <= gap.to) && gap.loadable {
            return Loading::Asked;
        }
        match &self.paging.failed {
            Some(failed) if failed.is_about(gap) => Loading::Failed(&failed.why),
            _ => Loading::Not,
        }
    }

    /// Whether a gap that could not be loaded is on the screen.
    pub fn shows_failure(&self, columns: &Columns, height: u16) -> bool {
        let gaps = self.gaps(columns, height, 0);
        let failed = self.paging.failed.as_ref();
        failed.is_some_and(|failed| gaps.iter().any(|(_, gap, _)| failed.is_about(gap)))
    }

    /// The gaps in the view and this many screens around it: the distance, the gap, and whether it
    /// is filled downwards.
    fn gaps(&self, columns: &Columns, height: u16, screens: i64) -> Vec<(i64, Gap, bool)> {
        let height_rows = i64::from(height.max(1));
        let reach = screens * height_rows;
        let (top, _) = self.top_place(columns, height);
        let mut found = Vec::new();
        let mut row = -i64::from(top.row);
        for index in top.index..self.timeline.len() {
            if row >= height_rows + reach {
                break;
            }
            if let Some(gap) = self.timeline.gap(index).filter(|gap| gap.loadable) {
                let off = (-row).max(row - height_rows + 1).max(0);
                let down = !gap.leading && row >= 0 && (row >= height_rows || self.paging.down);
                found.push((off, gap, down));
            }
            row += i64::from(self.item_rows(index, columns));
        }
        let mut row = -i64::from(top.row);
        for index in (0..top.index.min(self.timeline.len())).rev() {
            row -= i64::from(self.item_rows(index, columns));
            if row < -reach {
                break;
            }
            if let Some(gap) = self.timeline.gap(index).filter(|gap| gap.loadable) {
                found.push((-row, gap, false));
            }
        }
        found.sort_by_key(|(off, ..)| *off);
        found
    }

    /// The next part to request, if any.
    pub fn wanted(&mut self, columns: &Columns, height: u16) -> Option<Part> {
        if let Some(goal) = &self.paging.goal {
            return Some(self.part_of(goal));
        }
        if self.timeline.first() == 0 {
            return None;
        }
        // The messages that we missed are arriving from the first on.
        let arriving = self.scroll == Scroll::Follow && self.timeline.last() < self.head;
        if arriving {
            return None;
        }
        if self.timeline.holds_no_message() {
            let from = self.timeline.next_shown(self.timeline.first());
            let to = self.timeline.previous_shown(self.timeline.last());
            let tried = self.paging.failed.is_some();
            return (from <= to && !tried).then_some(Part::Backward { from, to });
        }
        let gaps = self.gaps(columns, height, AHEAD_SCREENS);
        let is_near = |failed: &PageFailure| gaps.iter().any(|(_, gap, _)| failed.is_about(gap));
        self.paging.failed.take_if(|failed| !is_near(failed));
        let failed = &self.paging.failed;
        let mut gaps = gaps
            .iter()
            .filter(|(_, gap, _)| failed.as_ref().is_none_or(|failed| !failed.is_about(gap)));
        gaps.next().map(|&(_, Gap { from, to, .. }, down)| {
            if down {
                Part::Forward { from, to }
            } else {
                Part::Backward { from, to }
            }
        })
    }

    /// The part of the log to request for a goal.
    pub fn part_of(&self, goal: &Goal) -> Part {
        let from = match goal {
            Goal::Day(_, part) => return *part,
            Goal::Message(seq) | Goal::Top(seq) => self.timeline.next_shown(*seq),
        };
        let below = self.timeline.index(self.timeline.key_of(from));
        let gap = self.timeline.gap(below).map(|gap| gap.to);
        let to = gap.unwrap_or(self.timeline.last()).max(from);
        Part::Forward { from, to }
    }

    /// Moves the reader to the goal, if it is loaded; within a message, to the match of the query. A
    /// number that has no place here stands for the next one that has.
    pub fn arrive(&mut self, looked_for: Option<&Query>, columns: &Columns, height: u16) {
        let Some(goal) = &self.paging.goal else {
            return;
        };
        let Some(number) = goal.number() else {
            return;
        };
        let seq = self.timeline.next_shown(number);
        if self.timeline.position(seq).is_none() {
            if seq > number && seq > self.timeline.last() {
                self.paging.goal = None;
                self.scroll = Scroll::Follow;
            }
            return;
        }
        let key = self.timeline.key_of(seq);
        let in_context = matches!(goal, Goal::Message(_));
        if in_context {
            self.found = Some(key);
        }
        let text = self
            .timeline
            .get(self.timeline.index(key))
            .map(TimelineItem::text);
        let part = looked_for
            .zip(text)
            .and_then(|(query, text)| Some(query.find(&text).first()?.start))
            .filter(|_| in_context);
        match part {
            Some(byte) => self.scroll_to_part(key, byte, columns, height),
            None => self.scroll_to_key(key, in_context, columns, height),
        }
        self.paging.goal = None;
    }
}

/// The failure of a request, if it was for a gap.
pub fn failed(part: Part, why: &str) -> Option<PageFailure> {
    let (from, to) = ends(part)?;
    let why = why.trim_end_matches('.').to_owned();
    Some(PageFailure { from, to, why })
}
