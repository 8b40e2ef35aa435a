//! `history`, `search` and `changes`: queries of a room's log. Each is checked anew here; the connection runs
//! it (see [`crate::server::core::log_query`]).

use crate::{
    protocol::{
        RoomName,
        frame::{ChangesRequest, ErrorFrame, HistoryRequest, SearchRequest},
        limits::NUMBER_MAX,
    },
    server::{
        core::{
            ConnectionId,
            access::may::Denied,
            event::ConnectionCommand,
            hub::Hub,
            log_query::{LogQuery, QueryKind},
        },
        log::ChangedSince,
    },
};

pub(super) fn history(hub: &mut Hub, connection: ConnectionId, request: HistoryRequest) {
    let what = QueryKind::Page(request.part);
    look(hub, connection, request.room, what, request.reference);
}

pub(super) fn search(hub: &mut Hub, connection: ConnectionId, request: SearchRequest) {
    let what = QueryKind::Messages {
        query: request.query,
        to: request.to.unwrap_or(NUMBER_MAX),
    };
    look(hub, connection, request.room, what, request.reference);
}

pub(super) fn changes(hub: &mut Hub, connection: ConnectionId, request: ChangesRequest) {
    let what = QueryKind::Changed(ChangedSince {
        since: request.since,
        to: request.to,
        erased: request.erased,
    });
    look(hub, connection, request.room, what, request.reference);
}

fn look(
    hub: &mut Hub,
    connection: ConnectionId,
    name: RoomName,
    what: QueryKind,
    reference: Option<u64>,
) {
    let Some(session) = hub.sessions.get(&connection) else {
        return;
    };
    let requester = session.requester();
    let look = match hub.room_of(connection, &name) {
        None => Err(Denied::NoSuchRoom.into()),
        Some(room) => {
            let rules = Some(&hub.rooms[room.at()].rules);
            let may = hub.access.may_read(requester, rules, hub.now);
            may.map(|()| LogQuery {
                room,
                name,
                what,
                reference,
            })
        }
    };
    let command = match look {
        Ok(look) => ConnectionCommand::Query(Ok(Box::new(look))),
        Err(refusal) => ConnectionCommand::Query(Err(Box::new(ErrorFrame {
            reference,
            ..refusal
        }))),
    };
    hub.command(connection, command);
}
