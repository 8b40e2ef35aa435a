//! `command`: an admin command.

use crate::{
    protocol::{admin::AdminRequest, frame::ErrorFrame},
    server::core::{
        ConnectionId,
        admin::{self, Context},
        hub::Hub,
    },
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
    let Some(session) = hub.sessions.get(&connection) else {
        return Ok(());
    };
    let user = session.user;
    let key = session.requester().rate_key();
    hub.access.limits.command(key, hub.now.mono)?;
    hub.has_room_for_promises()?;
    let command = &request.command;
    let Some(actor) = hub.actor(connection) else {
        return Ok(());
    };
    let room = admin::room_of(&hub.access, user, command);
    let context = Context {
        target: hub.target(command),
        in_session: room.is_some_and(|room| hub.room_of(connection, room).is_some()),
        head: room.map_or(0, |room| hub.head(room)),
        ahead: room.map_or(0, |room| hub.head_ahead(room)),
        access: &mut hub.access,
        actor: &actor,
        random,
        now: hub.now,
    };
    let mut reply = admin::run(context, command)?;
    reply.result.reference = request.reference;
    hub.promise(connection, reply);
    Ok(())
}
