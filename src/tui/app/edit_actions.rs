//! Edits and deletes messages: finds the one that is meant, takes its text into the input, and sends
//! the change.

use super::{
    Effect, Model, autosave,
    pane::{OutgoingState, Pane, timeline_item::TimelineItem, timeline_item::TimelineMessage},
};
use crate::{
    client::event::{Command, ConnectionStatus, LocalId},
    protocol::{Content, Entry, Role},
    text::Body,
    tui::{
        commands::{self, ParsedInput, SlashAction},
        entry_text,
        keymap::{Action, label},
    },
};

/// The message that a command means.
enum Target {
    /// An entry of the log, and whether it is our own.
    Entry(Box<Entry>, bool),
    /// One of our messages that is not sent, and whether it was refused.
    Outgoing(LocalId, bool),
}

/// The change that a command makes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Edit,
    Delete,
}

/// Edits our last message, or the one with the given number: at once, if a text is given, else in
/// the input. One that is not sent yet is taken back.
pub fn edit(model: &mut Model, argument: &str, effects: &mut Vec<Effect>) {
    let (number, text) = commands::numbered(argument);
    let target = match find(model, number, Change::Edit) {
        Ok(target) => target,
        Err(why) => return model.say(why),
    };
    let body = match Body::visible(text) {
        Ok(body) => Some(body),
        Err(_) if text.is_empty() => None,
        Err(error) => return model.say(error.to_string()),
    };
    match (target, body) {
        (Target::Entry(entry, _), Some(body)) => {
            // The text is in the input's history, without the command.
            let _fits_as_a_part_of_it = model.panes.focused_mut().composer.set(text);
            autosave::typed(model, effects);
            send_edit(model, &entry, body, effects);
        }
        (Target::Entry(entry, _), None) => {
            autosave::typed(model, effects);
            let text = entry.words();
            let composer = &mut model.panes.focused_mut().composer;
            composer.begin_editing(entry.id, entry.time, text, text);
        }
        (Target::Outgoing(local, failed), _) => {
            autosave::typed(model, effects);
            take_back(model, local, failed, OutgoingState::TakingBack, effects);
            model.say("It was not sent yet and is taken back: change it, and send it");
        }
    }
}

/// Deletes our last message, or the one with the given number. One that is not sent yet is
/// withdrawn.
pub fn delete(model: &mut Model, argument: &str, effects: &mut Vec<Effect>) {
    let (number, rest) = commands::numbered(argument);
    if !rest.is_empty() {
        return model.say("Write /delete, or /delete #N with the number of a message");
    }
    let target = match find(model, number, Change::Delete) {
        Ok(target) => target,
        Err(why) => return model.say(why),
    };
    autosave::typed(model, effects);
    match target {
        Target::Entry(entry, own) => {
            let author = (!own).then_some(&entry.author.nickname);
            let named = entry_text::named(author, entry.time, model.now.wall, &model.zone);
            let content = Content::Redaction {
                target: entry.id,
                reason: None,
            };
            submit(model, content, effects);
            model.say(format!("Deleting {named}"));
        }
        Target::Outgoing(local, failed) => {
            take_back(model, local, failed, OutgoingState::Deleting, effects);
            model.say("Deleted: it was not sent yet");
        }
    }
}

/// Takes back or deletes one of our messages that is not sent.
fn take_back(
    model: &mut Model,
    local: LocalId,
    failed: bool,
    state: OutgoingState,
    effects: &mut Vec<Effect>,
) {
    let Pane {
        outbox, composer, ..
    } = model.panes.focused_mut();
    let Some(at) = outbox.iter().position(|outgoing| outgoing.local == local) else {
        return;
    };
    effects.push(Effect::Command(Command::Withdraw(local)));
    if !failed {
        outbox[at].state = state;
        return;
    }
    let outgoing = outbox.remove(at);
    if state == OutgoingState::TakingBack {
        composer.take_back(outgoing.text());
    }
}

/// Finds the message that is meant, and checks that it can be changed.
fn find(model: &Model, number: Option<u64>, change: Change) -> Result<Target, String> {
    let older = matches!(
        model.server.connection,
        ConnectionStatus::Legacy | ConnectionStatus::Unidentified
    );
    if older {
        return Err("This server is older: it can't change or delete messages".to_owned());
    }
    let pane = model.pane();
    let Some(number) = number else {
        return last_own(pane).map_err(str::to_owned);
    };
    let timeline = &pane.timeline;
    let index = timeline.position(number);
    let Some(index) = index else {
        let known = (timeline.first()..=timeline.last()).contains(&number);
        let missing = known && timeline.next_shown(number) == number;
        return Err(if missing {
            format!("Message #{number} is not loaded: scroll to it first")
        } else {
            format!("There is no message #{number} here")
        });
    };
    match timeline.get(index) {
        Some(TimelineItem::Message(message)) => {
            entry_of(message, change, model.server.role).map_err(str::to_owned)
        }
        _ => Err(format!("There is no message #{number} here")),
    }
}

/// The entry of a message, if the user may change it.
fn entry_of(message: &TimelineMessage, change: Change, role: Role) -> Result<Target, &'static str> {
    let own = message.own.is_some();
    let Some(entry) = message.logged() else {
        return Err("The server keeps no copy of that message");
    };
    match change {
        _ if message.is_deleted() => Err("That message is deleted already"),
        _ if message.is_event() => Err("Only messages can be changed or deleted"),
        Change::Edit if !own => Err("You can change only your own messages"),
        Change::Edit if !message.is_text() => Err("Only texts can be changed"),
        Change::Delete if !own && role < Role::Moderator => {
            Err("Only moderators can delete messages of others")
        }
        Change::Edit | Change::Delete => Ok(Target::Entry(Box::new(entry.clone()), own)),
    }
}

/// Our last message in a room.
fn last_own(pane: &Pane) -> Result<Target, &'static str> {
    let mut outbox = pane.outbox.iter().rev();
    if let Some(last) = outbox.find(|outgoing| matches!(outgoing.content, Content::Text(_))) {
        return match &last.state {
            OutgoingState::Pending => Ok(Target::Outgoing(last.local, false)),
            OutgoingState::Failed(_) => Ok(Target::Outgoing(last.local, true)),
            OutgoingState::Saving => Err("The message is still being saved: try again in a moment"),
            OutgoingState::Sent(_) => Err("The message was just sent: try again in a moment"),
            OutgoingState::TakingBack | OutgoingState::Deleting => {
                Err("Your last message is being taken back already")
            }
        };
    }
    let mut items = pane.timeline.iter().rev();
    let last = items.find_map(|item| match item {
        TimelineItem::Message(message) => {
            (message.own.is_some() && message.is_text()).then_some(message)
        }
        TimelineItem::Presence { .. }
        | TimelineItem::Notice { .. }
        | TimelineItem::Break { .. } => None,
    });
    let entry = last.and_then(TimelineMessage::logged);
    match (entry, last) {
        (Some(entry), _) => Ok(Target::Entry(Box::new(entry.clone()), true)),
        (None, Some(_)) => Err("The server keeps no copy of your last message"),
        (None, None) => Err("None of your messages is loaded here"),
    }
}

/// Sends the text in the input as the new text of the message that is being edited; the same text
/// only ends the editing.
pub fn save(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(editing) = model.pane().composer.editing().cloned() else {
        return;
    };
    let written = model.pane().composer.text().trim_end();
    if written == editing.text.trim_end() {
        return end(model);
    }
    if written.trim_start().is_empty() {
        let escape = label(Action::Escape);
        return model.say(format!("A message can't be empty: {escape}, then /delete"));
    }
    match Body::visible(written) {
        Ok(body) => {
            autosave::typed(model, effects);
            end(model);
            let target = editing.target;
            submit(model, Content::Edit { target, body }, effects);
        }
        Err(error) => model.say(error.to_string()),
    }
}

/// Ends the editing without a change.
pub fn end(model: &mut Model) {
    model.panes.focused_mut().composer.end_editing();
}

/// What is being edited, for the hint line, from long to short.
pub fn hint(model: &Model) -> Option<Vec<String>> {
    let editing = model.pane().composer.editing()?;
    let time = entry_text::moment(editing.time, model.now.wall, &model.zone);
    let (send, escape) = (label(Action::Send), label(Action::Escape));
    Some(vec![
        format!("Editing your message of {time} · {send} saves · {escape} cancels"),
        format!("Editing {time} · {send} saves · {escape} cancels"),
        format!("Editing · {send} saves · {escape} cancels"),
        format!("Editing · {escape} cancels"),
        "Editing".to_owned(),
    ])
}

/// Whether a command is being typed that names a message by its number.
pub fn wants_number(model: &Model) -> bool {
    let pane = model.pane();
    let typed = || commands::read(pane.composer.text());
    model.layers.input().is_none()
        && pane.composer.editing().is_none()
        && matches!(
            typed(),
            ParsedInput::Command(slash, _)
                if matches!(slash.run, SlashAction::Edit | SlashAction::Delete)
        )
}

/// Puts an edit that was not made into the input again, if its message is still there; else its text.
pub fn resume(pane: &mut Pane, content: &Content) {
    let target = content.target().and_then(|target| {
        let entry = pane.timeline.get(pane.timeline.find(target)?)?.logged()?;
        Some((target, entry.time, entry.text()?.as_str().to_owned()))
    });
    match (content, target) {
        (Content::Edit { body, .. }, Some((target, time, text))) => {
            let composer = &mut pane.composer;
            composer.begin_editing(target, time, &text, body.as_str());
        }
        (Content::Text(body) | Content::Edit { body, .. }, _) => {
            pane.composer.take_back(body.as_str());
        }
        (Content::Redaction { .. }, _) => {}
    }
}

/// Removes texts that were erased everywhere from what the user has typed. To be called after each
/// event.
pub fn forget_erased(model: &mut Model) {
    let erased: Vec<Body> = model.panes.iter_mut().flat_map(Pane::take_erased).collect();
    if erased.is_empty() {
        return;
    }
    let is_erased = |typed: &str| match commands::read(typed) {
        ParsedInput::Text(text) => {
            let body = Body::visible(text);
            body.is_ok_and(|body| erased.contains(&body))
        }
        _ => false,
    };
    for pane in model.panes.iter_mut() {
        pane.composer.forget(is_erased);
        pane.autosave.forget(is_erased);
    }
    let pane = model.panes.focused_mut();
    let target = pane.composer.editing().map(|editing| editing.target);
    let index = target.and_then(|target| pane.timeline.find(target));
    let entry = index.and_then(|index| pane.timeline.get(index)?.logged());
    if entry.is_some_and(|entry| entry.text().is_none()) {
        end(model);
        model.say("The message that you were editing was deleted");
    }
}

fn send_edit(model: &mut Model, entry: &Entry, body: Body, effects: &mut Vec<Effect>) {
    if entry.text() != Some(&body) {
        let target = entry.id;
        submit(model, Content::Edit { target, body }, effects);
    }
}

fn submit(model: &Model, content: Content, effects: &mut Vec<Effect>) {
    let room = model.pane().key.room;
    effects.push(Effect::Command(Command::Send { room, content }));
}
