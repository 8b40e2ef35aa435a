//! A frame that can't be taken, though the connection goes on: answered, and if it carried an id
//! of the client's own, that is used up (it will never be stored).

use super::message::refuse_for_good;
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
