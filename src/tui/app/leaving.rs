//! Leaves the chat, after asking about a hosted server that others use.

use std::collections::HashSet;

use super::{
    Effect, HostChoice, Model, autosave,
    layers::{Layer, Rank, host::HostQuestion},
};
use crate::{client::event::Command, protocol::RoomId};

/// Leaves, after asking about a hosted server that others use.
pub fn leave(model: &mut Model, effects: &mut Vec<Effect>) {
    if model.leaving_since.is_none()
        && let Some(others) = others_need_server(model)
    {
        model.layers.open(Layer::Host(HostQuestion { others }));
        return;
    }
    leave_unasked(model, effects);
}

/// Leaves without asking. A hosted server keeps running if others may need it.
pub fn leave_unasked(model: &mut Model, effects: &mut Vec<Effect>) {
    let first = model.leaving_since.is_none();
    if model.hosting && first && others_need_server(model).is_none() {
        effects.push(Effect::Host(HostChoice::Stop));
    }
    leave_now(model, effects);
}

/// The number of others who may need the server that we host, if there may be any.
fn others_need_server(model: &Model) -> Option<usize> {
    let own = model.server.user;
    let members = model.panes.iter().flat_map(|pane| &pane.members);
    let users = members.map(|member| member.user);
    let others: HashSet<_> = users.filter(|user| Some(*user) != own).collect();
    let others = others.len();
    // Outside of the lobby we do not see all users. If we never joined, nobody depends on us.
    let mut panes = model.panes.iter();
    let sees_all = panes.any(|pane| pane.key.room == RoomId::LOBBY);
    let elsewhere = !sees_all && model.server.entered.is_some();
    let needed = others > 0 || elsewhere;
    (model.hosting && needed).then_some(others)
}

/// Leaves without regard to a hosted server; the second time at once.
pub fn leave_now(model: &mut Model, effects: &mut Vec<Effect>) {
    model.layers.close(Rank::Dialog);
    if model.leaving_since.is_some() {
        effects.push(Effect::Quit);
        return;
    }
    autosave::flush(model, effects);
    model.leaving_since = Some(model.now.mono);
    effects.push(Effect::Command(Command::Leave));
}
