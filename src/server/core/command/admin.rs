//! `command`: order in the house.

use crate::{
    protocol::{admin::AdminRequest, frame::ErrorFrame},
    server::core::{ConnectionId, hub::Hub},
};

pub(in crate::server::core) fn run(
    hub: &mut Hub,
    connection: ConnectionId,
    request: &AdminRequest,
    random: &[u8; 32],
) {
    if let Err(error) = carry_out(hub, connection, request, random) {
        hub.refuse_request(connection, error, request.reference);
    }
}

fn carry_out(
    hub: &mut Hub,
    connection: ConnectionId,
    request: &AdminRequest,
    random: &[u8; 32],
) -> Result<(), ErrorFrame> {
    let Some((actor, who)) = hub.actor(connection) else {
        return Ok(());
    };
    hub.house.may_command(who, hub.now.mono)?;
    hub.has_room_for_promises()?;
    let target = hub.target(&request.command);
    let rules = hub.rules_named(&request.command).cloned();
    let command = &request.command;
    let now = hub.now;
    let mut outcome = hub
        .house
        .carry_out(&actor, command, target, rules.as_ref(), random, now)?;
    outcome.result.reference = request.reference;
    hub.promise(connection, outcome);
    Ok(())
}
