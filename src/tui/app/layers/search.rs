//! The search: the query, its results, and going to a hit and back.
//!
//! The list replaces the conversation, newest hit first, and the query replaces the message being
//! written. A hit is shown in the conversation; Esc goes back to the list, and from the list back
//! to where the reader was.

use std::ops::Range;

use jiff::tz::TimeZone;

use super::{
    behavior::{Hint, Input, KeyOutcome, LayerBehavior, Press, Rank, hint},
    search_results::{self, Hit, ListRow},
};
use crate::{
    client::event::SearchPage,
    protocol::{Entry, EntryKind, Extent, MessageId},
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

/// The most hits that are listed; a longer query finds fewer.
pub const HITS_MAX: usize = 500;
/// Steps that follow each other by themselves, while few hits are found.
const STEPS_MAX: usize = 8;
/// The number of hits after which a search pauses.
const HITS_WANTED: usize = 40;
/// An open search.
#[derive(Debug)]
pub struct Search {
    /// The query being written.
    pub writing: Composer,
    /// The running or finished search.
    pub asked: Option<RunningSearch>,
    /// The hits, newest first.
    pub hits: Vec<Hit>,
    /// The index of the chosen hit.
    pub selected: usize,
    /// The first row of the list on the screen.
    pub top: usize,
    /// Whether the list is on the screen; if not, a hit in the conversation is.
    pub listed: bool,
    /// The reason why the query can't be searched for, in one plain sentence.
    trouble: Option<String>,
    /// The reader's scroll position before.
    origin: Scroll,
}

/// A search that was started.
#[derive(Debug)]
pub struct RunningSearch {
    /// The query as it was typed.
    text: String,
    /// The parsed query.
    pub query: Query,
    /// The id of the search.
    id: u64,
    /// Its state.
    state: SearchState,
    /// The numbers of the log, as far as is known; `first` is 0 before the room is open.
    extent: Extent,
    /// The lowest number that was searched.
    from: u64,
    /// The number up to which the server's index reached, if not to the end.
    indexed: Option<u64>,
    /// Whether only messages on this computer were searched.
    offline: bool,
    /// Steps since the reader last asked for more.
    steps: usize,
}

/// The next step of a search, for the session.
#[derive(Debug)]
pub struct SearchStep {
    /// The query.
    pub query: Query,
    /// The highest number to search; `None`: the log's end.
    pub to: Option<u64>,
}

/// The state of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SearchState {
    /// An answer is awaited.
    Searching,
    /// More can be searched.
    Paused,
    /// All messages were searched.
    Complete,
    /// The list is full.
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
            placeholder: &["words to find"],
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
    /// A search without a query, for a reader at this scroll position.
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

    /// The reader's scroll position before the search.
    pub fn origin(&self) -> Scroll {
        self.origin
    }

    /// Starts a search for the typed query in a log with these numbers.
    pub fn begin(&mut self, zone: &TimeZone, extent: Extent) -> Option<SearchStep> {
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
                    extent,
                    from: extent.next(),
                    indexed: None,
                    offline: false,
                    steps: 0,
                });
                self.step(None)
            }
        }
    }

    /// Searches further, if there is more to search and the reader is near the end of the list.
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

    /// Stores the id of the running step.
    pub fn set_id(&mut self, id: u64) {
        if let Some(asked) = &mut self.asked {
            asked.id = id;
        }
    }

    /// Takes the hits of a step, or the reason why it failed; returns the next step.
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
        asked.extent.first = found.first;
        asked.extent = asked.extent.raised_to(found.to);
        asked.from = found.from.min(asked.from);
        asked.indexed = asked.indexed.or(found.indexed);
        asked.offline |= found.offline;
        let hits = found.entries.iter();
        let oldest = self.hits.last().map(|hit| hit.seq);
        self.hits.extend(
            hits.filter(|message| !message.words().is_empty())
                .map(|message| Hit::new(message, &asked.query))
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

    /// Applies a new entry to the hit that it refers to.
    pub fn fold_in(&mut self, by: &Entry) {
        let Some(target) = by.target() else {
            return;
        };
        if by.erases() {
            self.remove(target);
        } else if let EntryKind::Edit {
            body: Some(body), ..
        } = &by.kind
        {
            self.set_text(target, body.as_str(), by);
        }
    }

    /// Takes a hit's entry as it stands now.
    pub fn changed(&mut self, entry: &Entry) {
        if entry.is_erased() {
            self.remove(entry.id);
        } else if let (Some(text), Some(_)) = (entry.text(), entry.edited()) {
            self.set_text(entry.id, text.as_str(), entry);
        }
    }

    /// Gives a hit a later text of the same author.
    fn set_text(&mut self, id: MessageId, text: &str, by: &Entry) {
        let rev = if by.id == id { by.rev() } else { by.seq };
        let mut hits = self.hits.iter_mut();
        let hit = hits.find(|hit| hit.id == id && hit.user == by.author.user && hit.rev < rev);
        if let Some((hit, asked)) = hit.zip(self.asked.as_ref()) {
            hit.set_text(text, rev, &asked.query);
        }
    }

    /// Removes a hit. The chosen one stays chosen.
    fn remove(&mut self, id: MessageId) {
        if let Some(at) = self.hits.iter().position(|hit| hit.id == id) {
            self.hits.remove(at);
            let last = self.hits.len().saturating_sub(1);
            self.selected = self
                .selected
                .saturating_sub(usize::from(at < self.selected));
            self.selected = self.selected.min(last);
        }
    }

    /// The chosen hit, if the list belongs to the typed query.
    pub fn chosen(&self) -> Option<&Hit> {
        let hit = self.hits.get(self.selected);
        hit.filter(|_| self.answers())
    }

    /// Scrolls the list to keep the chosen hit on the screen.
    pub fn keep_in_view(&mut self, zone: &TimeZone, layout: &Layout) {
        let rows_max = layout.messages.height;
        let (rows, chosen) = self.rows(zone, &layout.columns, rows_max);
        let last = self.selected + 1 >= self.hits.len();
        // The notes below the hits are shown with the last hit.
        let end = if last { rows.len() } else { chosen.end };
        let lowest = end.saturating_sub(usize::from(rows_max));
        self.top = self.top.max(lowest).min(chosen.start);
    }

    /// Whether a hit is shown in the conversation.
    pub fn in_place(&self) -> bool {
        !self.listed
    }

    /// The query of the running or finished search.
    pub fn looked_for(&self) -> Option<&Query> {
        self.asked.as_ref().map(|asked| &asked.query)
    }

    /// Whether the list belongs to the typed query.
    pub fn answers(&self) -> bool {
        self.asked
            .as_ref()
            .is_some_and(|asked| asked.text == self.writing.text())
    }

    /// The number of hits in a few words.
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

    /// The notes below the hits, in plain sentences.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(trouble) = &self.trouble {
            notes.push(format!("{}.", trouble.trim_end_matches('.')));
        }
        let Some(asked) = &self.asked else {
            return notes;
        };
        let Extent { first, head } = asked.extent;
        let looked = in_groups((head + 1).saturating_sub(asked.from));
        let all = in_groups(Extent::new(first.max(1), head).len());
        notes.push(match asked.state {
            SearchState::Searching => "searching …".to_owned(),
            SearchState::Complete if asked.offline => {
                "Offline: only messages on this computer were searched.".to_owned()
            }
            SearchState::Complete if self.hits.is_empty() => {
                format!("Nothing found in {all} messages.")
            }
            SearchState::Complete => format!("No more matches in {all} messages."),
            SearchState::Paused => format!(
                "{looked} of {all} messages searched; {} searches further.",
                label(Action::Down)
            ),
            SearchState::Full => {
                format!("These are the newest {HITS_MAX}; more words find fewer.")
            }
        });
        if asked.indexed.is_some() && !asked.offline {
            notes.push("The server has not indexed the newest messages yet.".to_owned());
        }
        notes
    }

    /// The rows of the list for a size, and which of them belong to the chosen hit.
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

    /// Handles an action while the list is shown.
    pub fn act(&mut self, action: Action, layout: &Layout) -> KeyOutcome {
        let page = usize::from(layout.messages.height / 3).max(1);
        let last = self.hits.len().saturating_sub(1);
        let (to, further) = match action {
            Action::Send => return KeyOutcome::Enter,
            Action::Up | Action::RowUp | Action::PreviousRoom => {
                (self.selected.saturating_sub(1), false)
            }
            Action::PageUp => (self.selected.saturating_sub(page), false),
            Action::Start => (0, false),
            Action::Down | Action::RowDown | Action::NextRoom => (self.selected + 1, true),
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
