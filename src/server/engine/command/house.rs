//! `command`: order in the house.

use crate::{
    protocol::{frame::ErrorCode, house::CommandRequest},
    server::engine::{
        ConnectionId,
        hub::{Hub, error},
    },
};

pub(in crate::server::engine) fn run(
    hub: &mut Hub,
    connection: ConnectionId,
    request: &CommandRequest,
    _random: &[u8; 32],
) {
    hub.refuse_request(
        connection,
        error(ErrorCode::NotAllowed, "That is not for you to do here"),
        request.reference,
    );
}
