//! `history` and `search`: a look into a room's log. Whether it is allowed is decided here, each
//! time anew; the connection carries it out (see [`crate::server::core::look`]).

use crate::{
    protocol::{
        RoomName,
        frame::{ErrorCode, ErrorFrame, HistoryRequest, SearchRequest},
        limits::NUMBER_MAX,
    },
    server::core::{
        ConnectionId,
        event::Order,
        hub::{Hub, NO_SUCH_ROOM, error},
        look::{Look, LookFor},
    },
};

pub(super) fn history(hub: &mut Hub, connection: ConnectionId, request: HistoryRequest) {
    let what = LookFor::Page(request.part);
    look(hub, connection, request.room, what, request.reference);
}

pub(super) fn search(hub: &mut Hub, connection: ConnectionId, request: SearchRequest) {
    let what = LookFor::Messages {
        query: request.query,
        to: request.to.unwrap_or(NUMBER_MAX),
    };
    look(hub, connection, request.room, what, request.reference);
}

fn look(
    hub: &mut Hub,
    connection: ConnectionId,
    name: RoomName,
    what: LookFor,
    reference: Option<u64>,
) {
    let Some(session) = hub.sessions.get(&connection) else {
        return;
    };
    let (basic, who) = (session.basic, session.who());
    let look = match hub.room_of(connection, &name) {
        // Its objects have no place for an answer.
        _ if basic => Err(error(
            ErrorCode::UnknownType,
            "A basic client can't be given history",
        )),
        None => Err(error(ErrorCode::NoSuchRoom, NO_SUCH_ROOM)),
        Some(room) => hub.house.may_look(who, hub.now.mono).map(|()| Look {
            room,
            name,
            what,
            reference,
        }),
    };
    let order = match look {
        Ok(look) => Order::Look(Ok(Box::new(look))),
        Err(refusal) => Order::Look(Err(Box::new(ErrorFrame {
            reference,
            ..refusal
        }))),
    };
    hub.order(connection, order);
}
