//! Actions on messages that are not sent: send again, take back, discard.

use super::{
    Effect, Model, edit_actions,
    pane::{ChangeUnderWay, Outgoing, OutgoingState, Pane},
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
                let change = ChangeUnderWay {
                    target,
                    taken_back: false,
                };
                pane.changing.insert(local, change);
                pane.outbox.retain(|outgoing| outgoing.local != local);
            }
            effects.push(Effect::Command(Command::SendAgain(local)));
        }
        None => model.say("No message has failed"),
    }
}

/// Takes back the first failed message, edit or deletion, else the last pending one.
pub fn take_back(model: &mut Model, effects: &mut Vec<Effect>) {
    if let Some(outgoing) = withdraw_failed(model, effects) {
        let pane = model.panes.focused_mut();
        return edit_actions::resume(pane, &outgoing.content);
    }
    let Pane {
        outbox, changing, ..
    } = model.panes.focused_mut();
    let saving = outbox
        .iter()
        .any(|outgoing| outgoing.state == OutgoingState::Saving);
    let pending = outbox
        .iter_mut()
        .rev()
        .find(|outgoing| outgoing.state == OutgoingState::Pending);
    let mut changes = changing.iter_mut().rev();
    let change = changes.find(|(_, change)| !change.taken_back);
    let local = match (pending, change) {
        (Some(outgoing), change) if change.as_ref().is_none_or(|(at, _)| **at < outgoing.local) => {
            outgoing.state = OutgoingState::TakingBack;
            outgoing.local
        }
        (_, Some((local, change))) => {
            change.taken_back = true;
            *local
        }
        (_, None) if saving => {
            return model.say("The message is still being saved: try again in a moment");
        }
        (_, None) => return model.say("Everything has been sent"),
    };
    effects.push(Effect::Command(Command::Withdraw(local)));
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
