//! The screen's state and how it changes: [`update`] takes a message and returns effects. Pure: no
//! I/O, no clock, no randomness; the time comes as [`Msg::Now`].
//!
//! In reading order; each uses only those above it:
//!
//! - [`message`]: messages and effects.
//! - [`composer`], [`layout`], [`escape`], [`date`]: a text being written; the position of
//!   everything on a screen; the meaning of Esc; dates as people write them.
//! - [`server`]: the server, the connection to it, and our account there.
//! - [`pane`]: one room with its timeline, composer, draft, scroll and read position; [`panes`]:
//!   all of them, one of which has the focus; [`room_list`]: their order, and what is new in them.
//! - [`layers`]: what is open over the pane: search, prompt, help and other dialogs. The top one
//!   gets the keys.
//! - [`model`]: all of that; `room_panes`: the panes of the rooms that the user is in; [`status`]:
//!   the status line above the input.
//! - [`autosave`], [`page_requests`], [`search_actions`], [`room_actions`], [`switcher`], [`admin`],
//!   [`edit_actions`], [`outbox_actions`], [`prompt_actions`], [`read_actions`], [`list_actions`],
//!   [`preference_actions`], [`leaving`]: actions on the model, a subject each.
//! - [`keys`], [`choice_actions`]: handle the user's input, and what was chosen from a list;
//!   [`session`]: handles the session's events.
//!
//! It must not know sockets, terminals or palettes.
//!
//! A further room is a further pane: [`panes`] adds it when the session opens the room. [`layers`]
//! says how a layer is added. An event without an arm in [`session`] does not compile.

#![deny(clippy::disallowed_methods)]

pub mod admin;
pub mod autosave;
pub mod choice_actions;
pub mod composer;
pub mod date;
pub mod edit_actions;
pub mod escape;
pub mod keys;
pub mod layers;
pub mod layout;
pub mod leaving;
pub mod list_actions;
pub mod message;
pub mod model;
pub mod outbox_actions;
pub mod page_requests;
pub mod pane;
pub mod panes;
pub mod preference_actions;
pub mod prompt_actions;
pub mod read_actions;
pub mod room_actions;
pub mod room_list;
mod room_panes;
pub mod search_actions;
pub mod server;
pub mod session;
pub mod status;
pub mod switcher;

#[cfg(test)]
mod tests;

pub use self::{
    message::{Effect, HostChoice, Msg},
    model::{LEAVE_WITHIN, Model, Start},
};

use std::time::Duration;

use self::pane::Scroll;
use super::local_time;
use crate::{
    client::event::{Command, ConnectionStatus, Event},
    time::Now,
};

/// The shortest interval at which the session is told that the user is typing.
const PROBE_EVERY: Duration = Duration::from_secs(2);

/// Changes the model by a message; returns the effects to carry out.
pub fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    let mut effects = Vec::new();
    let moves_list = !matches!(msg, Msg::Now(_) | Msg::Focus(_))
        && !matches!(&msg, Msg::Session(event) if !matches!(event, Event::Found { .. }));
    if matches!(msg, Msg::Key(_) | Msg::Pasted(_) | Msg::Focus(true)) {
        probe_connection(model, &mut effects);
    }
    match msg {
        Msg::Now(now) => passed(model, now, &mut effects),
        Msg::Zone(zone) => {
            for pane in model.panes.iter_mut() {
                pane.timeline.set_zone(&zone);
            }
            model.zone = zone;
        }
        Msg::Resized { width, height } => {
            model.width = width;
            model.height = height;
            model.tell_columns();
        }
        Msg::Key(key) => keys::handle_key(model, key, &mut effects),
        Msg::Pasted(text) => keys::handle_paste(model, &text),
        Msg::CameAtOnce(text) => keys::handle_burst(model, &text),
        Msg::Focus(focused) => focus(model, focused, &mut effects),
        Msg::Wheel(notches) => keys::scroll(model, 3 * i64::from(notches), &mut effects),
        Msg::Clicked { column, row } => keys::handle_click(model, column, row, &mut effects),
        Msg::Session(event) => {
            let event = match event {
                // These keep their text in UTC, to be converted again when the zone changes.
                Event::Admin { .. } | Event::Notice(_) => event,
                event => local_time::in_event(event, &model.zone),
            };
            session::handle_event(model, event, &mut effects);
            switcher::refresh(model);
        }
        Msg::CannotSuspend => model.say("There is no shell here to go back to"),
        Msg::Terminate => leaving::leave_unasked(model, &mut effects),
    }
    if model.focused && model.pane().scroll == Scroll::Follow {
        model.panes.focused_mut().saw_end();
        if model.pane().unread_line_waits() {
            let layout = model.layout();
            let pane = model.panes.focused_mut();
            pane.look_for_unread_line(&layout.columns, layout.messages.height);
        }
    }
    room_actions::poll_watch(model, &mut effects);
    page_requests::poll_page_request(model, &mut effects);
    list_actions::poll(model, &mut effects);
    if moves_list {
        search_actions::keep_in_view(model);
    }
    if model.leaving_since.is_none() {
        autosave::poll(model, &mut effects);
    }
    effects
}

/// Has the session probe the connection: a user who types should know whether the server answers.
fn probe_connection(model: &mut Model, effects: &mut Vec<Effect>) {
    let now = model.now.mono;
    if model.server.connection == ConnectionStatus::Online
        && now >= model.server.probed + PROBE_EVERY
    {
        model.server.probed = now;
        effects.push(Effect::Command(Command::Probe));
    }
}

fn passed(model: &mut Model, now: Now, effects: &mut Vec<Effect>) {
    model.now = now;
    if matches!(&model.flash, Some((_, until)) if *until <= now.mono) {
        model.flash = None;
    }
    if matches!(model.leaving_since, Some(since) if since + LEAVE_WITHIN <= now.mono) {
        effects.push(Effect::Quit);
    }
}

fn focus(model: &mut Model, focused: bool, effects: &mut Vec<Effect>) {
    if !focused {
        autosave::flush(model, effects);
    }
    if !focused {
        model.panes.focused_mut().look_away();
    }
    model.focused = focused;
}
