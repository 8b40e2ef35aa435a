//! Opens and closes the search, requests its steps, and goes to hits.

use super::{
    Effect, Model,
    layers::{
        Layer, Rank,
        search::{Search, SearchStep},
    },
    page_requests,
    pane::paging::Goal,
};
use crate::{
    client::event::{Command, SearchPage},
    protocol::{Entry, Extent, RoomId},
    text::Line,
};

/// Opens the search, or the list that was left for a hit; starts at once if there is a query.
pub fn open(model: &mut Model, words: &str, effects: &mut Vec<Effect>) {
    if model.pane().timeline.first() == 0 && model.server.online() {
        return model.say("This server keeps no history that could be searched");
    }
    let origin = model.pane().scroll;
    if model.layers.search().is_none() {
        model.layers.open(Layer::Search(Search::new(origin)));
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

/// Starts the search for the typed query.
fn begin(model: &mut Model, effects: &mut Vec<Effect>) {
    let timeline = &model.pane().timeline;
    let extent = Extent::new(timeline.first(), timeline.last());
    if let Some(search) = model.layers.search_mut() {
        let step = search.begin(&model.zone, extent);
        ask(model, step, effects);
    }
}

/// Requests a step of the search, if there is one.
fn ask(model: &mut Model, step: Option<SearchStep>, effects: &mut Vec<Effect>) {
    let room = model.pane().key.room;
    if let Some((search, SearchStep { query, to })) = model.layers.search_mut().zip(step) {
        model.searches += 1;
        search.set_id(model.searches);
        effects.push(Effect::Command(Command::Search {
            search: model.searches,
            room,
            query,
            to,
        }));
    }
}

/// Searches further, if there is more to search and the reader is near the end of the list.
pub fn further(model: &mut Model, effects: &mut Vec<Effect>) {
    let step = model.layers.search_mut().and_then(Search::further);
    ask(model, step, effects);
}

/// Takes the hits of a step, or the reason why it failed.
pub fn handle_results(
    model: &mut Model,
    id: u64,
    room: RoomId,
    mut found: Result<SearchPage, Line>,
    effects: &mut Vec<Effect>,
) {
    let shown = model.pane().key.room == room;
    if let Ok(found) = &mut found {
        // They may be older than changes that have come since.
        for entry in &mut found.entries {
            model.pane().apply_changes(entry);
        }
    }
    if let Some(search) = model.layers.search_mut().filter(|_| shown) {
        let step = search.handle_results(id, found);
        ask(model, step, effects);
    }
}

/// Applies a new entry to the hit that it refers to.
pub fn fold_in(model: &mut Model, entry: &Entry) {
    let shown = model.pane().key.room == entry.room;
    if let Some(search) = model.layers.search_mut().filter(|_| shown) {
        search.fold_in(entry);
    }
}

/// Takes entries of a room as they stand now.
pub fn handle_changed(model: &mut Model, room: RoomId, entries: &[Entry]) {
    let shown = model.pane().key.room == room;
    if let Some(search) = model.layers.search_mut().filter(|_| shown) {
        for entry in entries {
            search.changed(entry);
        }
    }
}

/// Starts the search for the typed query, or goes to the chosen hit if that has been done.
pub fn enter(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(search) = model.layers.search_mut() else {
        return;
    };
    match search.chosen().map(|hit| hit.seq) {
        Some(seq) => {
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

/// Closes the search and goes back to the reader's position before it.
pub fn close(model: &mut Model) {
    if let Some(Layer::Search(search)) = model.layers.close(Rank::Search) {
        let pane = model.panes.focused_mut();
        pane.scroll = search.origin();
        pane.found = None;
        pane.paging.goal = None;
    }
}

/// Closes the search and leaves the reader at the hit.
pub fn end(model: &mut Model) {
    model.layers.close(Rank::Search);
}

/// Keeps the chosen hit on the screen. To be called after each message.
pub fn keep_in_view(model: &mut Model) {
    if model.listing().is_none() {
        return;
    }
    let layout = model.layout();
    if let Some(search) = model.layers.search_mut() {
        search.keep_in_view(&model.zone, &layout);
    }
}
