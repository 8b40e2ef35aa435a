//! Looking for messages: what is asked for, what was found, and going there and back.
//!
//! The list stands in the place of the conversation, newest first, and the query in that of the
//! message being written. A hit is shown in its place in the conversation; Esc leads from there
//! back to the list, and from the list back to where the reader was.

use std::ops::Range;

use jiff::tz::TimeZone;

use super::{
    behavior::{Hint, Input, KeyOutcome, LayerBehavior, Press, Rank, hint},
    search_results::{self, Hit, ListRow},
};
use crate::{
    client::event::SearchPage,
    search::Query,
    text::{Line, wrap::wrap},
    tui::{
        app::{
            composer::Composer,
            escape::Escape,
            layout::{Columns, Layout},
            pane::{Pane, Scroll},
        },
        keymap::{Action, label},
        user_text::in_groups,
    },
};

/// Hits that are listed at most; with more words fewer are found.
pub const HITS_MAX: usize = 500;
/// Steps of a search that follow each other without being asked for, as long as little is found.
const STEPS_MAX: usize = 8;
/// Hits that are wanted before a search pauses.
const HITS_WANTED: usize = 40;
/// A search that is open.
#[derive(Debug)]
pub struct Search {
    /// The query being written.
    pub writing: Composer,
    /// What was searched for.
    pub asked: Option<RunningSearch>,
    /// What was found, newest first.
    pub hits: Vec<Hit>,
    /// The hit that is chosen.
    pub selected: usize,
    /// The first row of the list that is shown.
    pub top: usize,
    /// Whether the list is shown; if not, a hit is, in its place.
    pub listed: bool,
    /// Why nothing can be searched for, in one plain sentence.
    trouble: Option<String>,
    /// Where the reader was before.
    origin: Scroll,
}

/// A search that was begun.
#[derive(Debug)]
pub struct RunningSearch {
    /// The query, as it was written and as it was understood.
    text: String,
    /// The same, understood.
    pub query: Query,
    /// Which search.
    id: u64,
    /// How it stands.
    state: SearchState,
    /// The log's numbers when it was begun.
    first: u64,
    head: u64,
    /// The lowest number that was looked at.
    from: u64,
    /// How far the server's index reached, where that was not to the end.
    indexed: Option<u64>,
    /// Whether only what this computer holds was searched.
    offline: bool,
    /// Steps since the reader asked for more.
    steps: usize,
}

/// The next step of a search, to be asked of the session.
#[derive(Debug)]
pub struct SearchStep {
    /// The query.
    pub query: Query,
    /// The highest number to be looked at; `None`: the log's end.
    pub to: Option<u64>,
}

/// How a search stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SearchState {
    /// An answer is awaited.
    Searching,
    /// There is more to be looked at.
    Paused,
    /// All was looked at.
    Complete,
    /// As many were found as are listed.
    Full,
}

impl LayerBehavior for Search {
    fn rank(&self) -> Rank {
        Rank::Search
    }

    fn handle_key(&mut self, press: Press, layout: &Layout) -> KeyOutcome {
        match press.action {
            Some(action) if self.listed => self.act(action, layout),
            _ => KeyOutcome::Passed,
        }
    }

    fn escape(&self, pane: &Pane) -> Option<Escape> {
        if self.listed {
            return Some(Escape::CloseSearch);
        }
        let completes = pane.composer.completion.is_some();
        (!completes).then_some(Escape::ToResults)
    }

    fn input(&self) -> Option<Input<'_>> {
        self.listed.then_some(Input {
            composer: &self.writing,
            sign: "/",
            placeholder: &["what to look for"],
            masked: false,
        })
    }

    fn composer_mut(&mut self) -> Option<&mut Composer> {
        self.listed.then_some(&mut self.writing)
    }

    fn hints(&self) -> Option<Vec<Hint>> {
        if !self.listed {
            return None;
        }
        let enter = if self.answers() && !self.hits.is_empty() {
            "go there"
        } else {
            "search"
        };
        let mut hints = vec![hint(Action::Send, enter), hint(Action::Escape, "back")];
        if !self.hits.is_empty() {
            hints.push(hint(Action::Down, "older"));
            hints.push(hint(Action::Up, "newer"));
        }
        Some(hints)
    }
}

impl Search {
    /// A search before anything is written, for a reader who looks at this part of the scrollback.
    pub fn new(origin: Scroll) -> Self {
        Self {
            writing: Composer::default(),
            asked: None,
            hits: Vec::new(),
            selected: 0,
            top: 0,
            listed: true,
            trouble: None,
            origin,
        }
    }

    /// What the reader looked at before.
    pub fn origin(&self) -> Scroll {
        self.origin
    }

    /// Begins to search a log with these numbers for what is written.
    pub fn begin(&mut self, zone: &TimeZone, first: u64, head: u64) -> Option<SearchStep> {
        self.hits.clear();
        (self.selected, self.top) = (0, 0);
        self.asked = None;
        self.trouble = None;
        let text = self.writing.text().to_owned();
        match Query::parse(&text, zone) {
            Err(error) => {
                self.trouble = Some(error.to_string());
                None
            }
            Ok(query) => {
                self.writing.editor.remember(&text);
                self.asked = Some(RunningSearch {
                    text,
                    query,
                    id: 0,
                    state: SearchState::Paused,
                    first,
                    head,
                    from: head + 1,
                    indexed: None,
                    offline: false,
                    steps: 0,
                });
                self.step(None)
            }
        }
    }

    /// Searches further, if there is further to go and the reader has come near to the end.
    pub fn further(&mut self) -> Option<SearchStep> {
        let at_end = self.at_end();
        let asked = self.asked.as_mut()?;
        if asked.state != SearchState::Paused || !at_end {
            return None;
        }
        asked.steps = 0;
        let to = asked.from.saturating_sub(1);
        self.step(Some(to))
    }

    fn step(&mut self, to: Option<u64>) -> Option<SearchStep> {
        let asked = self.asked.as_mut()?;
        asked.state = SearchState::Searching;
        asked.steps += 1;
        let query = asked.query.clone();
        Some(SearchStep { query, to })
    }

    /// The step under way is asked for under this id.
    pub fn set_id(&mut self, id: u64) {
        if let Some(asked) = &mut self.asked {
            asked.id = id;
        }
    }

    /// Takes what was found, or the reason why nothing could be looked for; answers the next step.
    pub fn handle_results(
        &mut self,
        id: u64,
        found: Result<SearchPage, Line>,
    ) -> Option<SearchStep> {
        let asked = self.asked.as_mut().filter(|asked| asked.id == id)?;
        let found = match found {
            Ok(found) => found,
            Err(why) => {
                asked.state = SearchState::Paused;
                self.trouble = Some(why.as_str().to_owned());
                return None;
            }
        };
        self.trouble = None;
        asked.first = found.first;
        asked.head = asked.head.max(found.to);
        asked.from = found.from.min(asked.from);
        asked.indexed = asked.indexed.or(found.indexed);
        asked.offline |= found.offline;
        let hits = found.messages.iter();
        let oldest = self.hits.last().map(|hit| hit.seq);
        self.hits.extend(
            hits.map(|message| Hit::new(message, &asked.query))
                .filter(|hit| oldest.is_none_or(|oldest| hit.seq < oldest))
                .take(HITS_MAX.saturating_sub(self.hits.len())),
        );
        asked.state = if found.from <= found.first {
            SearchState::Complete
        } else if self.hits.len() >= HITS_MAX {
            SearchState::Full
        } else {
            SearchState::Paused
        };
        let wanted = self.hits.len() < self.selected + HITS_WANTED;
        if asked.state != SearchState::Paused || !wanted || asked.steps >= STEPS_MAX {
            return None;
        }
        let to = asked.from - 1;
        self.step(Some(to))
    }

    /// The chosen hit, if what is written is what was searched for.
    pub fn chosen(&self) -> Option<&Hit> {
        let hit = self.hits.get(self.selected);
        hit.filter(|_| self.answers())
    }

    /// Keeps the chosen hit among what is shown.
    pub fn keep_in_view(&mut self, zone: &TimeZone, layout: &Layout) {
        let rows_max = layout.messages.height;
        let (rows, chosen) = self.rows(zone, &layout.columns, rows_max);
        let last = self.selected + 1 >= self.hits.len();
        // What is said below the hits is seen with the last of them.
        let end = if last { rows.len() } else { chosen.end };
        let lowest = end.saturating_sub(usize::from(rows_max));
        self.top = self.top.max(lowest).min(chosen.start);
    }

    /// Whether a hit is shown in its place.
    pub fn in_place(&self) -> bool {
        !self.listed
    }

    /// What was searched for.
    pub fn looked_for(&self) -> Option<&Query> {
        self.asked.as_ref().map(|asked| &asked.query)
    }

    /// What was searched for, if that is what is written now too.
    pub fn answers(&self) -> bool {
        self.asked
            .as_ref()
            .is_some_and(|asked| asked.text == self.writing.text())
    }

    /// In a few words how much was found.
    pub fn in_brief(&self) -> Option<String> {
        let asked = self.asked.as_ref()?;
        let count = match self.hits.len() {
            0 if asked.state == SearchState::Searching => return Some("searching …".to_owned()),
            0 if asked.state == SearchState::Paused => "nothing yet".to_owned(),
            0 => "nothing found".to_owned(),
            count if asked.state == SearchState::Complete => {
                format!("{} found", in_groups(count as u64))
            }
            count => format!("{} found so far", in_groups(count as u64)),
        };
        let offline = if asked.offline { "offline: " } else { "" };
        Some(format!("{offline}{count}"))
    }

    /// What there is to say below the hits, in plain sentences.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(trouble) = &self.trouble {
            notes.push(format!("{}.", trouble.trim_end_matches('.')));
        }
        let Some(asked) = &self.asked else {
            return notes;
        };
        let looked = in_groups((asked.head + 1).saturating_sub(asked.from));
        let all = in_groups((asked.head + 1).saturating_sub(asked.first.max(1)));
        notes.push(match asked.state {
            SearchState::Searching => "searching …".to_owned(),
            SearchState::Complete if asked.offline => {
                "Offline: only what this computer holds was searched.".to_owned()
            }
            SearchState::Complete if self.hits.is_empty() => {
                format!("Nothing found in {all} messages.")
            }
            SearchState::Complete => format!("That is all there is in {all} messages."),
            SearchState::Paused => format!(
                "{looked} of {all} messages searched; {} searches further.",
                label(Action::Down)
            ),
            SearchState::Full => {
                format!("These are the newest {HITS_MAX}; more words find fewer.")
            }
        });
        if asked.indexed.is_some() && !asked.offline {
            notes.push("The server has not indexed all that is new yet.".to_owned());
        }
        notes
    }

    /// The rows of the list at a size, from the top, and which of them belong to the chosen hit.
    pub fn rows(
        &self,
        zone: &TimeZone,
        columns: &Columns,
        height: u16,
    ) -> (Vec<ListRow>, Range<usize>) {
        let (mut rows, chosen) =
            search_results::list(&self.hits, self.selected, zone, columns, height);
        let width = usize::from((columns.body + columns.body_width).saturating_sub(2).max(1));
        for note in self.notes() {
            let wrapped = wrap(&note, width);
            rows.extend(wrapped.iter().map(|row| ListRow::Note(row.to_text(&note))));
        }
        (rows, chosen)
    }

    /// Takes an action while the list is shown.
    pub fn act(&mut self, action: Action, layout: &Layout) -> KeyOutcome {
        let page = usize::from(layout.messages.height / 3).max(1);
        let last = self.hits.len().saturating_sub(1);
        let (to, further) = match action {
            Action::Send => return KeyOutcome::Enter,
            Action::Up | Action::RowUp => (self.selected.saturating_sub(1), false),
            Action::PageUp => (self.selected.saturating_sub(page), false),
            Action::Start => (0, false),
            Action::Down | Action::RowDown => (self.selected + 1, true),
            Action::PageDown => (self.selected + page, true),
            Action::End => (last, true),
            Action::Home if self.writing.is_empty() => (0, false),
            Action::EndOfLine if self.writing.is_empty() => (last, false),
            Action::NewLine
            | Action::Complete
            | Action::CompleteBack
            | Action::Unread
            | Action::SendAgain
            | Action::TakeBack
            | Action::Search => return KeyOutcome::Taken,
            _ => return KeyOutcome::Passed,
        };
        self.selected = to.min(last);
        if further {
            KeyOutcome::Further
        } else {
            KeyOutcome::Taken
        }
    }

    /// Whether the chosen hit is the last, or near it.
    fn at_end(&self) -> bool {
        self.selected + HITS_WANTED / 2 >= self.hits.len()
    }
}
