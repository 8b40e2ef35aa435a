//! What is loaded of a room's log, and when: what comes near to the view and is not held is asked
//! for, one page at a time; so is what the reader wants to be led to.
//!
//! A gap is filled from the side that the reader comes from: upwards from what is below it, or,
//! when they scroll down into it, downwards from what is above. Where filling it has failed, it is
//! left alone until it is looked at anew, is scrolled at, or the connection is back.

use jiff::civil::Date;

use super::{Pane, Scroll, timeline::Gap, timeline_item::TimelineItem};
use crate::{protocol::frame::Part, search::Query, tui::app::layout::Columns};

/// Screenfuls above and below the view within which nothing should be missing.
const AHEAD_SCREENS: i64 = 2;

/// What is asked of a room's log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paging {
    /// The page that is on its way.
    pub asked: Option<Part>,
    /// The gap whose filling has failed.
    pub failed: Option<PageFailure>,
    /// Where the reader wants to be led.
    pub goal: Option<Goal>,
    /// Whether the reader came from above.
    pub down: bool,
}

/// Why messages are not here that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageFailure {
    from: u64,
    to: u64,
    /// In one plain sentence.
    pub why: String,
}

/// Where a reader wants to be led.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// To a message, with what was said before it.
    Message(u64),
    /// To a message, with the lines that stand above it on top.
    Top(u64),
    /// To what was said on a day and later.
    Day(Date, Part),
}

/// The state of a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loading<'a> {
    /// It is left alone.
    Not,
    /// It is being loaded.
    Asked,
    /// It could not be loaded, in one plain sentence.
    Failed(&'a str),
}

impl PageFailure {
    fn is_about(&self, gap: &Gap) -> bool {
        gap.loadable && gap.from <= self.to && self.from <= gap.to
    }
}

impl Goal {
    /// The number of the message, where it is one.
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Message(seq) | Self::Top(seq) => Some(*seq),
            Self::Day(..) => None,
        }
    }
}

/// Both ends of a part that has them.
fn ends(part: Part) -> Option<(u64, u64)> {
    match part {
        Part::Forward { from, to } | Part::Backward { from, to } => Some((from, to)),
        Part::Since(_) => None,
    }
}

impl Pane {
    /// How the loading of a gap stands.
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

    /// The gaps in the view and so many screens around it: how far off, which, and whether they
    /// are to be filled downwards.
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

    /// What to ask for next, if anything.
    pub fn wanted(&mut self, columns: &Columns, height: u16) -> Option<Part> {
        if let Some(goal) = &self.paging.goal {
            return Some(self.part_of(goal));
        }
        if self.timeline.first() == 0 {
            return None;
        }
        // What was said while we were away is arriving from its first on.
        let arriving = self.scroll == Scroll::Follow && self.timeline.last() < self.head;
        if arriving {
            return None;
        }
        if self.timeline.holds_no_message() {
            let (from, to) = (self.timeline.first(), self.timeline.last());
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

    /// The part of the log to be asked for on the way to a goal.
    pub fn part_of(&self, goal: &Goal) -> Part {
        let from = match goal {
            Goal::Day(_, part) => return *part,
            Goal::Message(seq) | Goal::Top(seq) => *seq,
        };
        let below = self.timeline.index(self.timeline.key_of(from));
        let gap = self.timeline.gap(below).map(|gap| gap.to);
        let to = gap.unwrap_or(self.timeline.last()).max(from);
        Part::Forward { from, to }
    }

    /// Leads the reader to where they want to be, if that is held; in a message, to what was looked
    /// for.
    pub fn arrive(&mut self, looked_for: Option<&Query>, columns: &Columns, height: u16) {
        let Some(goal) = &self.paging.goal else {
            return;
        };
        let Some(seq) = goal.number() else {
            return;
        };
        if self.timeline.position(seq).is_none() {
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
            .and_then(|(query, text)| Some(query.find(text).first()?.start))
            .filter(|_| in_context);
        match part {
            Some(byte) => self.scroll_to_part(key, byte, columns, height),
            None => self.scroll_to_key(key, in_context, columns, height),
        }
        self.paging.goal = None;
    }
}

/// A part could not be had.
pub fn failed(part: Part, why: &str) -> Option<PageFailure> {
    let (from, to) = ends(part)?;
    let why = why.trim_end_matches('.').to_owned();
    Some(PageFailure { from, to, why })
}
