//! `history`, `search`, `changes` and `inbox`: queries of the log. Each is checked anew here; the connection
//! runs it (see [`crate::server::core::log_query`]).

use crate::{
    protocol::{
        Role, RoomId,
        frame::{ChangesRequest, ErrorFrame, HistoryRequest, SearchRequest},
        limits::NUMBER_MAX,
    },
    server::{
        core::{
            ConnectionId,
            event::ConnectionCommand,
            hub::Hub,
            log_query::{LogQuery, QueryKind},
            rooms::span::Visible,
        },
        log::{ChangedSince, Readable},
    },
};

pub(super) fn history(hub: &mut Hub, connection: ConnectionId, request: &HistoryRequest) {
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

pub(super) fn changes(hub: &mut Hub, connection: ConnectionId, request: &ChangesRequest) {
    let what = QueryKind::Changed(ChangedSince {
        since: request.since,
        to: request.to,
        erased: request.erased,
    });
    look(hub, connection, request.room, what, request.reference);
}

/// Reads the messages that mention the user.
pub(super) fn inbox(
    hub: &mut Hub,
    connection: ConnectionId,
    before: Option<u64>,
    reference: Option<u64>,
) {
    let Some(session) = hub.sessions.get(&connection) else {
        return;
    };
    let requester = session.requester();
    let in_session = session.rooms().to_vec();
    let may = hub.access.may_list(requester, hub.now);
    let rooms = &hub.access.rooms;
    // Without a key one is in the session's rooms alone.
    let own: Vec<_> = match requester.role {
        Role::Unverified => in_session,
        Role::Member | Role::Moderator | Role::Owner => rooms.rooms_of(requester.user).collect(),
    };
    let readable = |room: RoomId| {
        let visible = rooms.visible(requester.user, room);
        let ranges = visible.ranges().iter().map(|span| span.from..=span.to);
        Readable {
            room,
            ranges: ranges.collect(),
        }
    };
    let what = QueryKind::Inbox {
        user: requester.user,
        ignored: hub.access.ignores.of(requester.user),
        readable: own.into_iter().map(readable).collect(),
        before,
    };
    let query = LogQuery {
        room: RoomId::LOBBY,
        visible: Visible::all(),
        what,
        reference,
    };
    answer(hub, connection, may.map(|()| query), reference);
}

fn look(
    hub: &mut Hub,
    connection: ConnectionId,
    room: RoomId,
    what: QueryKind,
    reference: Option<u64>,
) {
    let Some(session) = hub.sessions.get(&connection) else {
        return;
    };
    let (requester, in_session) = (session.requester(), session.is_in(room));
    let may = hub
        .access
        .may_read(requester, room, in_session, (1, NUMBER_MAX), hub.now);
    let visible = hub.access.rooms.visible(requester.user, room);
    let look = may.map(|()| LogQuery {
        room,
        visible,
        what,
        reference,
    });
    answer(hub, connection, look, reference);
}

/// Has the connection run a query, or refuses it.
fn answer(
    hub: &mut Hub,
    connection: ConnectionId,
    look: Result<LogQuery, ErrorFrame>,
    reference: Option<u64>,
) {
    let command = match look {
        Ok(look) => ConnectionCommand::Query(Ok(Box::new(look))),
        Err(refusal) => ConnectionCommand::Query(Err(Box::new(ErrorFrame {
            reference,
            ..refusal
        }))),
    };
    hub.command(connection, command);
}
