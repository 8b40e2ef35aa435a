//! `ping` and `pong`: signs of life. That bytes came at all is noted where they are read.

use crate::{
    protocol::ServerFrame,
    server::core::{ConnectionId, event::ConnectionCommand, hub::Hub},
};

pub(super) fn run(hub: &mut Hub, connection: ConnectionId, reference: Option<u64>) {
    hub.answer(connection, ServerFrame::Pong { reference });
}

pub(super) fn answered(hub: &mut Hub, connection: ConnectionId) {
    hub.command(connection, ConnectionCommand::Answer(None));
}
