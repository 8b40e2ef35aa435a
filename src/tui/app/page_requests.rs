//! Requests pages of the focused room's log, and takes them.

use jiff::civil::Date;

use super::{
    Effect, Model,
    layers::search::Search,
    pane::{
        Scroll,
        paging::{Goal, failed},
        timeline_item::TimelineItem,
    },
};
use crate::{
    client::event::{Command, Page},
    protocol::frame::Part,
    text::Line,
};

/// Moves the reader to their goal, and requests missing pages near the view. To be called after
/// each message.
pub fn poll_page_request(model: &mut Model, effects: &mut Vec<Effect>) {
    let layout = model.layout();
    let (columns, height) = (layout.columns, layout.messages.height);
    let looked_for = model.layers.search().and_then(Search::looked_for);
    let pane = model.panes.focused_mut();
    pane.arrive(looked_for, &columns, height);
    if pane.paging.asked.is_some() || height == 0 {
        return;
    }
    if let Some(part) = pane.wanted(&columns, height) {
        pane.paging.asked = Some(part);
        let room = pane.key.room;
        effects.push(Effect::Command(Command::Page { room, part }));
    }
}

/// Sets the reader's goal; it replaces an earlier one.
pub fn lead(model: &mut Model, goal: Goal) {
    let paging = &mut model.panes.focused_mut().paging;
    paging.goal = Some(goal);
    paging.failed = None;
}

/// Takes a page, or the reason why there is none. A page that was not requested, or belongs to an
/// earlier log, is discarded.
pub fn handle_page(model: &mut Model, at: usize, part: Part, answer: Result<Page, Line>) {
    let layout = model.layout();
    let (columns, height) = (layout.columns, layout.messages.height);
    let is_shown = at == model.panes.focus();
    let pane = &mut model.panes[at];
    if pane.paging.asked.take_if(|asked| *asked == part).is_none() {
        return;
    }
    let goal = pane.paging.goal.clone();
    let goal = goal.filter(|goal| pane.part_of(goal) == part);
    let loaded = match answer {
        Ok(loaded) => loaded,
        Err(why) if goal.is_some() => {
            pane.paging.goal = None;
            return model.say(why.as_str());
        }
        Err(why) => {
            pane.paging.failed = failed(part, why.as_str());
            return;
        }
    };
    let offline = loaded.offline;
    let first = loaded.entries.first().map(|message| message.seq);
    pane.timeline.begins_at(loaded.extent.first);
    let down = matches!(part, Part::Forward { .. }) && goal.is_none();
    let range = (loaded.from, loaded.to);
    if is_shown {
        pane.hold_around(loaded.to, down, &columns, height);
    }
    let begins = loaded.extent.first;
    let learned = model.with_pane(at, |pane, context| {
        pane.insert(range, loaded.entries, context)
    });
    match goal {
        // Nothing in the page has a place in the timeline: what follows it may have.
        Some(Goal::Day(..)) if first.is_none() && range.0 <= range.1 => {
            model.panes[at].paging.goal = Some(Goal::Top(range.0));
        }
        Some(Goal::Day(day, _)) => reached(model, at, day, first, begins),
        Some(goal) => {
            let pane = &mut model.panes[at];
            let missing = goal
                .number()
                .filter(|&seq| pane.timeline.next_shown(seq) == seq)
                .filter(|&seq| pane.timeline.position(seq).is_none());
            if missing.is_some() {
                pane.paging.goal = None;
                model.say(if offline {
                    "That message is not on this computer: connect to see it"
                } else {
                    "That message is no longer kept"
                });
            }
        }
        None if !learned => {
            let why = if offline { OFFLINE } else { NOT_KEPT };
            model.panes[at].paging.failed = failed(part, why);
        }
        None => {}
    }
    // Must happen before entries far from the reader are dropped.
    let looked_for = model.layers.search().and_then(Search::looked_for);
    model.panes[at].arrive(looked_for, &columns, height);
}

/// The reason why a gap can't be filled offline.
const OFFLINE: &str = "not on this computer";

/// The reason why a gap can't be filled if the server has no messages for it.
const NOT_KEPT: &str = "the server does not have them";

/// Takes the messages since a day; `first` is the number of the first of them.
fn reached(model: &mut Model, at: usize, day: Date, first: Option<u64>, begins: u64) {
    let Some(first) = first else {
        let pane = &mut model.panes[at];
        pane.paging.goal = None;
        pane.scroll = Scroll::Follow;
        return model.say("No message since then: this is the end");
    };
    let pane = &mut model.panes[at];
    pane.paging.goal = Some(Goal::Top(first));
    let Some(index) = pane.timeline.position(first) else {
        return;
    };
    let key = pane.timeline.key_of(first);
    pane.found = Some(key);
    let said = match pane.timeline.get(index) {
        Some(TimelineItem::Message(message)) => {
            message.said.time().to_zoned(model.zone.clone()).date()
        }
        _ => return,
    };
    if said > day {
        let said = model.day_in_words(said);
        model.say(if first == begins {
            format!("History begins on {said}")
        } else {
            format!("No message on that day; this is {said}")
        });
    }
}

/// Allows failed pages to be requested again: the connection is back, or the reader asks for it.
pub fn try_again(model: &mut Model) {
    model.panes.focused_mut().paging.failed = None;
}

/// Forgets requests of the old connection: they may be repeated on the new one, and failed ones may
/// succeed.
pub fn forget_asked(model: &mut Model) {
    for pane in model.panes.iter_mut() {
        pane.paging.asked = None;
        pane.paging.failed = None;
    }
}
