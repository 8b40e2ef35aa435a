//! Answers a frame that can't be accepted, though the connection continues. If it carried a message
//! id, the id is used up.

use super::submit::refuse_for_good;
use crate::{
    protocol::{ServerFrame, wire::Refusal},
    server::core::{ConnectionId, hub::Hub},
};

pub(in crate::server::core) fn run(hub: &mut Hub, connection: ConnectionId, refusal: &Refusal) {
    match refusal.id {
        Some(id) => refuse_for_good(hub, connection, id, refusal.frame()),
        None => hub.answer(connection, ServerFrame::Error(refusal.frame())),
    }
}
