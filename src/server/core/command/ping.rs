//! `ping` and `pong`: signs of life. They need no note here: the endpoint notes all received bytes.

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
