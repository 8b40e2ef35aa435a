//! `read`, `prefer`, `list_rooms`, `list_people`: what a user keeps about rooms, and what
//! they can find.

use crate::{
    protocol::{
        Person, Preferences, ReadMarker, RoomId, ServerFrame, UserId,
        frame::{ErrorCode, ErrorFrame, ListPage, ListRequest},
        limits::LIST_PAGE_MAX,
        room::ListedPerson,
    },
    server::core::{ConnectionId, access::may::NO_SUCH_ROOM, event::ConnectionCommand, hub::Hub},
};

/// Takes a marker. The device that sent it is told the marker in force; the user's others, if it has
/// changed.
pub(super) fn read(hub: &mut Hub, connection: ConnectionId, room: RoomId, marker: ReadMarker) {
    let Some(here) = hub.room_of(connection, room) else {
        return no_such_room(hub, connection, None);
    };
    let head = here.extent.head;
    // Nothing is kept about a user without a key.
    let Some(user) = hub.is_kept(connection) else {
        return hub.command(connection, ConnectionCommand::Answer(None));
    };
    let taken = hub.access.rooms.read(user, room, marker, head);
    tell_read(
        hub,
        connection,
        (user, room),
        taken.is_some_and(|(_, changed)| changed),
    );
}

/// Takes a user's settings of a room.
pub(super) fn prefer(
    hub: &mut Hub,
    connection: ConnectionId,
    room: RoomId,
    preferences: Preferences,
) {
    if hub.room_of(connection, room).is_none() {
        return no_such_room(hub, connection, None);
    }
    let Some(user) = hub.is_kept(connection) else {
        return hub.command(connection, ConnectionCommand::Answer(None));
    };
    let changed = hub.access.rooms.prefer(user, room, preferences);
    tell_read(hub, connection, (user, room), changed == Some(true));
}

fn tell_read(
    hub: &mut Hub,
    connection: ConnectionId,
    (user, room): (UserId, RoomId),
    changed: bool,
) {
    hub.command(connection, ConnectionCommand::Answer(None));
    if changed {
        hub.tell_read(user, room);
    } else {
        let frame = hub.read_frame(user, room);
        hub.command(connection, ConnectionCommand::Tell(Box::new(frame)));
    }
}

/// Lists rooms that the user can find.
pub(super) fn list_rooms(hub: &mut Hub, connection: ConnectionId, list: &ListRequest<RoomId>) {
    let Some(user) = allowed(hub, connection, list.reference) else {
        return;
    };
    let page = hub
        .access
        .rooms
        .find_listed(user, list.query.as_str(), list.after);
    let page = ListPage {
        reference: list.reference,
        ..page
    };
    hub.list_when_stored(connection, ServerFrame::RoomList(page), list.reference);
}

/// Lists a room's members, or all whom the user may see.
pub(super) fn list_people(
    hub: &mut Hub,
    connection: ConnectionId,
    room: Option<RoomId>,
    list: &ListRequest<UserId>,
) {
    if room.is_some_and(|room| hub.room_of(connection, room).is_none()) {
        return no_such_room(hub, connection, list.reference);
    }
    if allowed(hub, connection, list.reference).is_none() {
        return;
    }
    let room = room.filter(|room| *room != RoomId::LOBBY);
    let query = list
        .query
        .as_str()
        .trim()
        .trim_start_matches('@')
        .to_lowercase();
    let mut page = ListPage {
        list: Vec::new(),
        more: false,
        reference: list.reference,
    };
    for user in hub.people(room, list.after) {
        let Some(nickname) = hub.nickname_of(user) else {
            continue;
        };
        if !nickname.as_str().to_lowercase().contains(&query) {
            continue;
        }
        if page.list.len() == LIST_PAGE_MAX {
            page.more = true;
            break;
        }
        page.list.push(ListedPerson {
            person: Person { user, nickname },
            online: hub.users.contains_key(&user),
            last_seen: hub.access.accounts.last_seen(user),
            moderator: room
                .and_then(|room| hub.access.rooms.membership(user, room))
                .is_some_and(|kept| kept.moderator),
        });
    }
    hub.list_when_stored(connection, ServerFrame::PeopleList(page), list.reference);
}

/// The user of a connection, if they may ask for one more list now; else it is refused.
fn allowed(hub: &mut Hub, connection: ConnectionId, reference: Option<u64>) -> Option<UserId> {
    let session = hub.sessions.get(&connection)?;
    let (user, requester) = (session.user, session.requester());
    match hub.access.may_list(requester, hub.now) {
        Ok(()) => Some(user),
        Err(error) => {
            hub.refuse_request(connection, error, reference);
            None
        }
    }
}

fn no_such_room(hub: &mut Hub, connection: ConnectionId, reference: Option<u64>) {
    let error = ErrorFrame::new(ErrorCode::NoSuchRoom, NO_SUCH_ROOM);
    hub.refuse_request(connection, error, reference);
}
