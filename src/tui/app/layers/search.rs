//! Looking for messages: what is asked for, what was found, and going there and back.
//!
//! The list stands in the place of the conversation, newest first, and the query in that of the
//! message being written. A hit is shown in its place in the conversation; Esc leads from there
//! back to the list, and from the list back to where the reader was.

use std::ops::Range;

use super::{
    Body, Hint, Input, KeyHandler, KeyOutcome, Layer, LayerBehavior, Press, Rank, hint,
    search_results::{self, Hit, ListRow},
};
use crate::{
    client::event::{Command, SearchPage},
    protocol::RoomName,
    search::Query,
    text::{Line, wrap::wrap},
    tui::{
        app::{
            Effect, Model,
            composer::Composer,
            in_groups,
            keys::Escape,
            layout::Columns,
            pane::{
                Pane, Scroll,
                paging::{self, Goal},
            },
        },
        keymap::{Action, label},
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

    fn key_handler(&self) -> KeyHandler {
        handle_key
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

    fn body(&self) -> Option<Body<'_>> {
        self.listed.then_some(Body::Results(self))
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

fn handle_key(model: &mut Model, press: Press, effects: &mut Vec<Effect>) -> KeyOutcome {
    let listed = model.layers.search().is_some_and(|search| search.listed);
    match press.action {
        Some(action) if listed && act(model, action, effects) => KeyOutcome::Taken,
        _ => KeyOutcome::Passed,
    }
}

impl Search {
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
        model: &Model,
        columns: &Columns,
        height: u16,
    ) -> (Vec<ListRow>, Range<usize>) {
        let (mut rows, chosen) =
            search_results::list(&self.hits, self.selected, &model.zone, columns, height);
        let width = usize::from((columns.body + columns.body_width).saturating_sub(2).max(1));
        for note in self.notes() {
            let wrapped = wrap(&note, width);
            rows.extend(wrapped.iter().map(|row| ListRow::Note(row.to_text(&note))));
        }
        (rows, chosen)
    }

    /// Whether the chosen hit is the last, or near it.
    fn at_end(&self) -> bool {
        self.selected + HITS_WANTED / 2 >= self.hits.len()
    }
}

/// Opens the search, or the list that was left for a hit; searches at once where words are given.
pub fn open(model: &mut Model, words: &str, effects: &mut Vec<Effect>) {
    if model.pane().timeline.first() == 0 && model.server.online() {
        return model.say("This server keeps no history that could be searched");
    }
    let origin = model.pane().scroll;
    if model.layers.search().is_none() {
        model.layers.open(Layer::Search(Search {
            writing: Composer::default(),
            asked: None,
            hits: Vec::new(),
            selected: 0,
            top: 0,
            listed: true,
            trouble: None,
            origin,
        }));
    }
    let Some(search) = model.layers.search_mut() else {
        return;
    };
    search.listed = true;
    if !words.is_empty() {
        let _fits_as_it_was_typed_here = search.writing.set(words);
        begin(model, effects);
    }
    model.tell_columns();
}

/// Searches for what is written.
fn begin(model: &mut Model, effects: &mut Vec<Effect>) {
    let (first, head) = (model.pane().timeline.first(), model.pane().timeline.last());
    let Some(search) = model.layers.search_mut() else {
        return;
    };
    search.hits.clear();
    (search.selected, search.top) = (0, 0);
    search.asked = None;
    search.trouble = None;
    let text = search.writing.text().to_owned();
    match Query::parse(&text, &model.zone) {
        Err(error) => search.trouble = Some(error.to_string()),
        Ok(query) => {
            search.writing.editor.remember(&text);
            search.asked = Some(RunningSearch {
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
            ask(model, None, effects);
        }
    }
}

/// Asks for the next step.
fn ask(model: &mut Model, to: Option<u64>, effects: &mut Vec<Effect>) {
    let room = model.pane().key.room.clone();
    let Some(asked) = model
        .layers
        .search_mut()
        .and_then(|search| search.asked.as_mut())
    else {
        return;
    };
    model.searches += 1;
    asked.id = model.searches;
    asked.state = SearchState::Searching;
    asked.steps += 1;
    effects.push(Effect::Command(Command::Search {
        search: asked.id,
        room,
        query: asked.query.clone(),
        to,
    }));
}

/// Searches further, if there is further to go and the reader has come near to the end.
fn further(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(search) = model.layers.search_mut() else {
        return;
    };
    let at_end = search.at_end();
    if let Some(asked) = &mut search.asked
        && asked.state == SearchState::Paused
        && at_end
    {
        asked.steps = 0;
        let to = asked.from.saturating_sub(1);
        ask(model, Some(to), effects);
    }
}

/// Something was found, or the reason why nothing could be looked for.
pub fn handle_results(
    model: &mut Model,
    id: u64,
    room: &RoomName,
    found: Result<SearchPage, Line>,
    effects: &mut Vec<Effect>,
) {
    let shown = model.pane().key.room == *room;
    let Some(search) = model.layers.search_mut().filter(|_| shown) else {
        return;
    };
    let Some(asked) = search.asked.as_mut().filter(|asked| asked.id == id) else {
        return;
    };
    let found = match found {
        Ok(found) => found,
        Err(why) => {
            asked.state = SearchState::Paused;
            search.trouble = Some(why.as_str().to_owned());
            return;
        }
    };
    search.trouble = None;
    asked.first = found.first;
    asked.head = asked.head.max(found.to);
    asked.from = found.from.min(asked.from);
    asked.indexed = asked.indexed.or(found.indexed);
    asked.offline |= found.offline;
    let hits = found.messages.iter();
    let oldest = search.hits.last().map(|hit| hit.seq);
    search.hits.extend(
        hits.filter_map(|message| Hit::new(message, &asked.query))
            .filter(|hit| oldest.is_none_or(|oldest| hit.seq < oldest))
            .take(HITS_MAX.saturating_sub(search.hits.len())),
    );
    asked.state = if found.from <= found.first {
        SearchState::Complete
    } else if search.hits.len() >= HITS_MAX {
        SearchState::Full
    } else {
        SearchState::Paused
    };
    let wanted = search.hits.len() < search.selected + HITS_WANTED;
    if asked.state == SearchState::Paused && wanted && asked.steps < STEPS_MAX {
        let to = asked.from - 1;
        ask(model, Some(to), effects);
    }
}

/// Takes a key while the list is shown; answers whether it meant something there.
pub fn act(model: &mut Model, action: Action, effects: &mut Vec<Effect>) -> bool {
    let layout = model.layout();
    let page = usize::from(layout.messages.height / 3).max(1);
    let Some(search) = model.layers.search_mut() else {
        return false;
    };
    let last = search.hits.len().saturating_sub(1);
    let go = |search: &mut Search, to: usize| search.selected = to.min(last);
    match action {
        Action::Send => enter(model, effects),
        Action::Up | Action::RowUp => go(search, search.selected.saturating_sub(1)),
        Action::PageUp => go(search, search.selected.saturating_sub(page)),
        Action::Start => go(search, 0),
        Action::Down | Action::RowDown => {
            go(search, search.selected + 1);
            further(model, effects);
        }
        Action::PageDown => {
            go(search, search.selected + page);
            further(model, effects);
        }
        Action::End => {
            go(search, last);
            further(model, effects);
        }
        Action::Home if search.writing.is_empty() => go(search, 0),
        Action::EndOfLine if search.writing.is_empty() => go(search, last),
        Action::NewLine
        | Action::Complete
        | Action::CompleteBack
        | Action::Unread
        | Action::SendAgain
        | Action::TakeBack
        | Action::Search => {}
        _ => return false,
    }
    true
}

/// Searches for what is written, or goes to the chosen hit if that has been done.
fn enter(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(search) = model.layers.search_mut() else {
        return;
    };
    match search
        .hits
        .get(search.selected)
        .filter(|_| search.answers())
    {
        Some(hit) => {
            let seq = hit.seq;
            search.listed = false;
            paging::lead(model, Goal::Message(seq));
            model.tell_columns();
        }
        None => begin(model, effects),
    }
}

/// Goes back from a hit to the list.
pub fn back(model: &mut Model) {
    model.panes.focused_mut().paging.goal = None;
    if let Some(search) = model.layers.search_mut() {
        search.listed = true;
    }
    model.tell_columns();
}

/// Closes the search and leads the reader back to where they were before.
pub fn close(model: &mut Model) {
    if let Some(Layer::Search(search)) = model.layers.close(Rank::Search) {
        let pane = model.panes.focused_mut();
        pane.scroll = search.origin;
        pane.found = None;
        pane.paging.goal = None;
    }
}

/// Ends the search and leaves the reader where they are.
pub fn end(model: &mut Model) {
    model.layers.close(Rank::Search);
}

/// Keeps the chosen hit among what is shown. To be called whenever something has changed.
pub fn keep_in_view(model: &mut Model) {
    let Some(search) = model.listing() else {
        return;
    };
    let layout = model.layout();
    let height = usize::from(layout.messages.height);
    let (rows, chosen) = search.rows(model, &layout.columns, layout.messages.height);
    let last = search.selected + 1 >= search.hits.len();
    // What is said below the hits is seen with the last of them.
    let end = if last { rows.len() } else { chosen.end };
    let top = search.top.max(end.saturating_sub(height)).min(chosen.start);
    if let Some(search) = model.layers.search_mut() {
        search.top = top;
    }
}
