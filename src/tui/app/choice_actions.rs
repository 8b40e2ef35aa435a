//! Carries out what was chosen from a list, and goes to rooms and people by their names.

use super::{
    Effect, Model, autosave, composer::Composer, edit_actions, keys, layers::picker::Choice,
    page_requests, pane::paging::Goal, room_actions, switcher,
};
use crate::protocol::Nickname;

/// Carries out what was chosen from the list of rooms, people and commands.
pub fn choose(model: &mut Model, choice: Choice, effects: &mut Vec<Effect>) {
    match choice {
        Choice::Room(key) => {
            if let Some(at) = model.panes.find(&key) {
                room_actions::go(model, at, effects);
            }
        }
        Choice::Person(_, nickname) => write_to(model, &nickname, effects),
        Choice::Listed(room, name) => match model.find_pane(room) {
            Some(at) => room_actions::go(model, at, effects),
            None => run_typed(model, &format!("/join {name}"), effects),
        },
        Choice::Message(room, seq) => {
            if let Some(at) = model.find_pane(room) {
                room_actions::go(model, at, effects);
                page_requests::lead(model, Goal::Message(seq));
            }
        }
        Choice::Command(slash) if slash.has_argument() => {
            if model.pane().composer.editing().is_some() {
                edit_actions::end(model);
            }
            if !model.pane().composer.is_empty() {
                keys::put_aside(model, effects);
            }
            keys::insert(model, &format!("{} ", slash.typed()));
        }
        Choice::Command(slash) => run_typed(model, &slash.typed(), effects),
    }
}

/// Opens the conversation with a person.
fn write_to(model: &mut Model, nickname: &Nickname, effects: &mut Vec<Effect>) {
    let quote = if nickname.as_str().contains(char::is_whitespace) {
        "\""
    } else {
        ""
    };
    run_typed(model, &format!("/msg {quote}{nickname}{quote}"), effects);
}

/// Goes to a room, or to the conversation with a person, by its name; says why if there is none.
pub fn go_by_name(model: &mut Model, name: &str, peek: bool, effects: &mut Vec<Effect>) {
    if let Some(at) = room_actions::find(model, name) {
        autosave::typed(model, effects);
        room_actions::go(model, at, effects);
        if peek {
            model.panes.focused_mut().holds_marker = true;
            model.say("This room stays unread until you leave it and come back");
        }
        return;
    }
    let person = switcher::known_person(model, name.trim_start_matches('@'));
    match person.filter(|_| !peek) {
        Some(nickname) => {
            autosave::typed(model, effects);
            write_to(model, &nickname, effects);
        }
        None => model
            .say("You are not in a room with that name: /rooms lists the rooms that you can join"),
    }
}

/// Runs a command as if it had been typed; the draft stays.
fn run_typed(model: &mut Model, typed: &str, effects: &mut Vec<Effect>) {
    let at = model.panes.focus();
    let mut composer = Composer::default();
    let _fits = composer.set(typed);
    let own = std::mem::replace(&mut model.panes[at].composer, composer);
    let draft = own.draft().text;
    if !draft.is_empty() {
        // The command may end the program, which saves the draft.
        model.panes[at].autosave.put_aside(draft);
    }
    keys::send(model, effects);
    model.panes[at].composer = own;
    model.panes[at].composer.editor.remember(typed);
}
