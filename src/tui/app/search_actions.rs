//! Opens and closes the search, asks for what is looked for, and leads to what was found.

use super::{
    Effect, Model,
    composer::Composer,
    layers::{
        Layer, Rank,
        search::{HITS_MAX, HITS_WANTED, RunningSearch, Search, SearchState},
        search_results::Hit,
    },
    page_requests,
    pane::paging::Goal,
};
use crate::{
    client::event::{Command, SearchPage},
    protocol::RoomName,
    search::Query,
    text::Line,
};

/// Steps of a search that follow each other without being asked for, as long as little is found.
const STEPS_MAX: usize = 8;

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
pub fn further(model: &mut Model, effects: &mut Vec<Effect>) {
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

/// Searches for what is written, or goes to the chosen hit if that has been done.
pub fn enter(model: &mut Model, effects: &mut Vec<Effect>) {
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
            page_requests::lead(model, Goal::Message(seq));
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
    let (rows, chosen) = search.rows(&model.zone, &layout.columns, layout.messages.height);
    let last = search.selected + 1 >= search.hits.len();
    // What is said below the hits is seen with the last of them.
    let end = if last { rows.len() } else { chosen.end };
    let top = search.top.max(end.saturating_sub(height)).min(chosen.start);
    if let Some(search) = model.layers.search_mut() {
        search.top = top;
    }
}
