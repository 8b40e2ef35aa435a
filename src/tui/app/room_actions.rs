//! Goes from room to room, and shows or hides the column beside the conversation.

use ratatui::layout::{Position, Rect};

use super::{
    Effect, Model, autosave,
    layout::fits_side,
    room_list::{self, HotList, Line, News, RoomRow},
    search_actions,
};
use crate::{
    client::event::Command,
    protocol::RoomId,
    tui::keymap::{Action, label},
};

/// Whether an action goes to a place in the room list, so that the list must not change before the
/// next one.
pub fn steps(action: Action) -> bool {
    matches!(
        action,
        Action::NextRoom
            | Action::PreviousRoom
            | Action::NextMention
            | Action::PreviousMention
            | Action::Room(_)
    )
}

/// Holds the order of the room list, if it is not held.
pub fn hold_order(model: &mut Model) {
    if model.held_order.is_none() {
        let rows = model.rooms();
        let keys = rows.iter().map(|row| model.panes[row.at].key.clone());
        model.held_order = Some(keys.collect());
    }
}

/// Lets the room list change its order again.
pub fn release_order(model: &mut Model) {
    model.held_order = None;
}

/// Goes to the pane at an index: leaves the present one as if the terminal had lost the focus.
pub fn go(model: &mut Model, at: usize, effects: &mut Vec<Effect>) {
    if at == model.panes.focus() {
        return;
    }
    search_actions::close(model);
    autosave::flush(model, effects);
    model.moved = false;
    let left = model.panes.focused_mut();
    left.composer.completion = None;
    left.found = None;
    if model.focused {
        left.look_away();
    }
    left.release_marker();
    model.panes.set_focus(at);
    model.panes.focused_mut().release_marker();
    model.tell_columns();
}

/// Asks for the members of the room on the screen, if it is another than before. Whoever hosts the
/// server is also told who is in the lobby: all of its users. To be called after each message.
pub fn poll_watch(model: &mut Model, effects: &mut Vec<Effect>) {
    let pane = model.pane();
    let room = pane.key.room;
    if !pane.opened || room == model.watched {
        return;
    }
    model.watched = room;
    let lobby = (model.hosting && room != RoomId::LOBBY).then_some(RoomId::LOBBY);
    let rooms = [room].into_iter().chain(lobby).collect();
    effects.push(Effect::Command(Command::Watch(rooms)));
}

/// Goes to the next room of the list, or to the one before; from the last to the first.
pub fn step(model: &mut Model, forward: bool, effects: &mut Vec<Effect>) {
    hold_order(model);
    let rows = model.rooms();
    let count = rows.len();
    let here = rows.iter().position(|row| row.current).unwrap_or(0);
    let to = (here + if forward { 1 } else { count - 1 }) % count;
    if count == 1 {
        return model.say("This is the only room");
    }
    go(model, rows[to].at, effects);
}

/// Goes to the room at a place in the list.
pub fn to_place(model: &mut Model, place: u8, effects: &mut Vec<Effect>) {
    hold_order(model);
    let rows = model.rooms();
    match rows.get(usize::from(place)) {
        Some(row) => go(model, row.at, effects),
        None => model.say(match rows.len() {
            1 => "This is the only room".to_owned(),
            count => format!("There are {count} rooms"),
        }),
    }
}

/// Goes to the room that was on the screen before.
pub fn to_last(model: &mut Model, effects: &mut Vec<Effect>) {
    match model.panes.before() {
        Some(at) => go(model, at, effects),
        None => model.say("No other room was open before"),
    }
}

/// Goes to the next room with something new: mentions first.
pub fn to_unread(model: &mut Model, effects: &mut Vec<Effect>) {
    let rows = model.rooms();
    match room_list::next_unread(&rows) {
        Some(row) => go(model, row.at, effects),
        None => model.say("Nothing new in other rooms"),
    }
}

/// The pane of the room with a name, or of the conversation with a person: `build`, `#build`, `@bob`.
pub fn find(model: &Model, name: &str) -> Option<usize> {
    let folded = name.to_lowercase();
    let rows = model.rooms();
    let names = |row: &RoomRow| {
        let plain = row.name.to_lowercase();
        [format!("{}{plain}", row.sigil()), plain]
    };
    let row = rows.iter().find(|row| names(row).contains(&folded))?;
    Some(row.at)
}

/// Goes to the next room of the list, or the one before, in which the reader is mentioned.
pub fn to_mention(model: &mut Model, forward: bool, effects: &mut Vec<Effect>) {
    hold_order(model);
    let mut rows = model.rooms();
    if !forward {
        rows.reverse();
    }
    let here = rows.iter().position(|row| row.current).unwrap_or(0);
    rows.rotate_left(here);
    let mut others = rows.iter().skip(1);
    match others.find(|row| matches!(row.news, News::Mentions(_))) {
        Some(row) => go(model, row.at, effects),
        None => model.say("No unread message in other rooms mentions you"),
    }
}

/// Shows the column beside the conversation, or hides it.
pub fn toggle_side(model: &mut Model) {
    if !fits_side(model.width) {
        return model.say("The screen is too narrow for a column");
    }
    let layout = model.layout();
    let shown = !layout.rooms.is_empty() || !layout.members.is_empty();
    model.side = Some(!shown);
}

/// What is at a place on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clicked {
    /// The pane at an index, in the room list or the hot list.
    Room(usize),
    /// Rooms for which there is no place, or the key that lists them all.
    More,
    /// A part of the room list or the hot list where there is nothing.
    Nothing,
    /// Something else.
    Elsewhere,
}

/// What is at a place on the screen, as far as rooms go.
pub fn clicked(model: &Model, at: Position) -> Clicked {
    let layout = model.layout();
    let rows = model.rooms();
    if layout.rooms.contains(at) {
        let lines = room_list::lines(&rows, layout.rooms.height);
        match lines.get(usize::from(at.y - layout.rooms.y)) {
            Some(Line::Room(row)) => Clicked::Room(row.at),
            Some(Line::More(_)) => Clicked::More,
            None => Clicked::Nothing,
        }
    } else if layout.hot.contains(at) {
        let span = hot_area(layout.hot);
        let hot = HotList::new(&rows, span.width);
        let column = at.x.saturating_sub(span.x);
        let more = hot.more.map_or(span.width, |(_, from)| from);
        match hot.at(column) {
            Some(row) => Clicked::Room(row.at),
            None if column >= more => Clicked::More,
            None => Clicked::Nothing,
        }
    } else {
        Clicked::Elsewhere
    }
}

/// The part of the hot list's row that has rooms: the key stands right of it.
pub fn hot_area(row: Rect) -> Rect {
    let key = u16::try_from(label(Action::GoTo).len()).unwrap_or(0);
    Rect {
        x: row.x + 1,
        width: row.width.saturating_sub(2 + key + 2),
        ..row
    }
}
