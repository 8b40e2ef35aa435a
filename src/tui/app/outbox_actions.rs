//! Actions on messages that are not sent: send again, take back, discard.

use super::{
    Effect, Model, edit_actions,
    pane::{Outgoing, OutgoingState},
};
use crate::client::event::Command;

/// Sends the first failed message again.
pub fn send_again(model: &mut Model, effects: &mut Vec<Effect>) {
    let pane = model.panes.focused_mut();
    let failed = pane
        .outbox
        .iter_mut()
        .find(|outgoing| matches!(outgoing.state, OutgoingState::Failed(_)));
    match failed {
        Some(outgoing) => {
            let local = outgoing.local;
            outgoing.state = if outgoing.kept {
                OutgoingState::Pending
            } else {
                OutgoingState::Saving
            };
            if let Some(target) = outgoing.content.target() {
                pane.changing.insert(local, target);
                pane.outbox.retain(|outgoing| outgoing.local != local);
            }
            effects.push(Effect::Command(Command::SendAgain(local)));
        }
        None => model.say("No message has failed"),
    }
}

/// Takes back the first failed message, else the last pending one.
pub fn take_back(model: &mut Model, effects: &mut Vec<Effect>) {
    if let Some(outgoing) = withdraw_failed(model, effects) {
        return edit_actions::resume(model, &outgoing.content);
    }
    let outbox = &mut model.panes.focused_mut().outbox;
    let saving = outbox
        .iter()
        .any(|outgoing| outgoing.state == OutgoingState::Saving);
    let pending = outbox
        .iter_mut()
        .rev()
        .find(|outgoing| outgoing.state == OutgoingState::Pending);
    match pending {
        Some(outgoing) => {
            outgoing.state = OutgoingState::TakingBack;
            effects.push(Effect::Command(Command::Withdraw(outgoing.local)));
        }
        None if saving => {
            model.say("The message is still being saved: try again in a moment");
        }
        None => model.say("Everything has been sent"),
    }
}

/// Discards the first failed message.
pub fn discard(model: &mut Model, effects: &mut Vec<Effect>) {
    if withdraw_failed(model, effects).is_none() {
        model.say("No message has failed");
    }
}

/// Removes the first failed message and withdraws it.
fn withdraw_failed(model: &mut Model, effects: &mut Vec<Effect>) -> Option<Outgoing> {
    let outbox = &mut model.panes.focused_mut().outbox;
    let failed = outbox
        .iter()
        .position(|outgoing| matches!(outgoing.state, OutgoingState::Failed(_)))?;
    let outgoing = outbox.remove(failed);
    effects.push(Effect::Command(Command::Withdraw(outgoing.local)));
    Some(outgoing)
}
