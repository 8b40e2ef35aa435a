//! `join`: admits a client. First the store is asked for the state of its device and positions;
//! everything else is decided in one step when the answer is there, so that two clients that want
//! the same nickname get different answers.
//!
//! A client that gets new records (an account, a key, a nickname) is admitted only once they are
//! committed: the store is asked again behind those records, and its answer admits the client.

use std::collections::{HashMap, HashSet};

use crate::{
    protocol::{
        MessageId, Nickname, Role, RoomId, RoomKind, ServerFrame, UserId,
        frame::{
            Capabilities, Departure, ErrorCode, ErrorFrame, Join, Limits, Position, RoomStart,
            Welcome,
        },
        legacy::NICKNAME_IN_USE,
        limits,
    },
    server::{
        core::{
            ConnectionId,
            access::Visitor,
            event::{ConnectionCommand, JoinRequest, Joined},
            hub::{Hub, Session, pending::PendingKind},
            log_event::LogEvent,
            rate_limit::Rate,
            resume,
        },
        log::{Counted, Markers, OpResult, Operation},
    },
};

/// The number of latest messages for a client that asks for no number.
const LAST_MESSAGES_DEFAULT: u64 = 200;

pub(in crate::server::core) fn run(
    hub: &mut Hub,
    connection: ConnectionId,
    entry: Box<JoinRequest>,
) {
    if hub.stopping() {
        let error = ErrorFrame::new(ErrorCode::ShuttingDown, "The server is stopping");
        return refuse(hub, connection, &entry, error);
    }
    if entry.join.protocol == Some(limits::NO_PROTOCOL) {
        // Version 0 is a probe for what listens here, and this is its answer: no refusal to log.
        let error = ErrorFrame::new(ErrorCode::UnsupportedProtocol, "There is no protocol 0");
        return hub.break_off(connection, error, Departure::Protocol);
    }
    if let Some(1..limits::PROTOCOL_VERSION) = entry.join.protocol {
        let message = "Your program is too old for this server: update it";
        let error = ErrorFrame::new(ErrorCode::UnsupportedProtocol, message);
        return refuse(hub, connection, &entry, error);
    }
    if let Err(error) = hub.access.may_try(&entry, hub.now) {
        return refuse(hub, connection, &entry, error);
    }
    let operation = open(hub, &entry);
    hub.begin_joining(connection, entry);
    hub.stage(connection, operation, PendingKind::Open);
}

fn open(hub: &Hub, entry: &JoinRequest) -> Operation {
    let owner = hub.access.device_owner(entry, hub.now);
    let told = owner.filter(|_| entry.join.can.rooms);
    Operation::OpenDevice {
        owner,
        device: entry.device(),
        next: entry.join.next,
        look: positions(hub, &entry.join)
            .map(|(room, position)| (room, position.seq))
            .collect(),
        unread: told.map(|owner| Markers {
            user: owner.user,
            ignored: hub.access.ignores.of(owner.user),
            rooms: hub.access.rooms.markers_of(owner.user).collect(),
        }),
    }
}

/// The operation that asks the store about a connection that waits to join.
pub(in crate::server::core) fn opening(hub: &Hub, connection: ConnectionId) -> Option<Operation> {
    hub.joining.get(&connection).map(|entry| open(hub, entry))
}

/// The rooms with a position, in the order of the join.
fn positions<'a>(hub: &Hub, join: &'a Join) -> impl Iterator<Item = (RoomId, &'a Position)> {
    let known = |position: &&Position| hub.rooms.contains_key(&position.room);
    let positions = join.rooms.iter().filter(known);
    positions.map(|position| (position.room, position))
}

/// Refuses a join for which the store could not read the device's state.
pub(in crate::server::core) fn failed(hub: &mut Hub, connection: ConnectionId, error: ErrorFrame) {
    if let Some(entry) = hub.end_joining(connection) {
        refuse(hub, connection, &entry, error);
    }
}

/// Handles a device that the store did not open: its numbers are impossible, or another user owns
/// it. A client with a key then gets a device of its own, so that a stolen token can't lock its
/// owner out.
pub(in crate::server::core) fn not_opened(
    hub: &mut Hub,
    connection: ConnectionId,
    verdict: &OpResult,
) {
    if *verdict == OpResult::Foreign
        && let Some(mut entry) = hub.end_joining(connection)
    {
        if entry.key.is_some() && !entry.own_device {
            entry.own_device = true;
            let operation = open(hub, &entry);
            hub.begin_joining(connection, entry);
            return hub.stage(connection, operation, PendingKind::Open);
        }
        hub.begin_joining(connection, entry);
    }
    let error = match verdict {
        OpResult::TooFarAhead => ErrorFrame::new(
            ErrorCode::BadId,
            "The number of this client's next message is too high: use another client ID",
        ),
        _ => ErrorFrame::new(
            ErrorCode::BadId,
            "This client ID belongs to a user with a key, and your client sent none: use another client ID",
        ),
    };
    failed(hub, connection, error);
}

/// What the store knows of a device.
pub(in crate::server::core) struct Opened {
    /// The highest counter settled for it.
    pub(in crate::server::core) counter: u64,
    /// The ids of the entries at the positions of its join.
    pub(in crate::server::core) ids: Vec<Option<MessageId>>,
    /// What its user has not read.
    pub(in crate::server::core) unread: Vec<Counted>,
}

/// Admits or refuses a client, given the state of its device.
pub(in crate::server::core) fn opened(hub: &mut Hub, connection: ConnectionId, opened: &Opened) {
    // The connection may have closed meanwhile.
    let Some(mut entry) = hub.end_joining(connection) else {
        return;
    };
    let admitted = may_enter(hub, &mut entry)
        .and_then(|visitor| named_rooms(hub, &entry, &visitor).map(|rooms| (visitor, rooms)));
    match admitted {
        Ok((visitor, _)) if !is_counted(hub, &entry, &visitor, &opened.unread) => {
            // Another device has moved a marker meanwhile.
            let operation = open(hub, &entry);
            hub.begin_joining(connection, entry);
            hub.stage(connection, operation, PendingKind::Open);
        }
        Ok((visitor, rooms)) => {
            hub.access.admit(&visitor, &entry, hub.now);
            if hub.access.accounts.owes(visitor.user, &entry.join.nickname) {
                return hub.enter_when_stored(connection, entry);
            }
            admit(hub, connection, &entry, (&visitor, rooms), opened);
        }
        Err(error) => refuse(hub, connection, &entry, error),
    }
}

/// Whether what is unread was counted in all rooms that have it, above the present markers.
fn is_counted(hub: &Hub, entry: &JoinRequest, visitor: &Visitor, unread: &[Counted]) -> bool {
    if !entry.join.can.rooms || visitor.role == Role::Unverified || hub.stopping() {
        return true;
    }
    let counted = unread.iter().filter(|counted| counted.user == visitor.user);
    let counted: HashSet<_> = counted.map(|it| (it.room, it.above)).collect();
    let mut markers = hub.access.rooms.markers_of(visitor.user);
    markers.all(|(room, above)| {
        let head = hub.rooms.get(&room).map_or(0, |here| here.extent.head);
        head <= above || counted.contains(&(room, above))
    })
}

/// The rooms that a client names, each once; the lobby, if it names none. Rooms that it can't enter
/// are skipped, since a client may name them for a message that it could not send yet; but at least
/// one has to be left.
fn named_rooms(
    hub: &Hub,
    entry: &JoinRequest,
    visitor: &Visitor,
) -> Result<Vec<RoomId>, ErrorFrame> {
    let join = &entry.join;
    if join.enter.is_empty() {
        return Ok(vec![RoomId::LOBBY]);
    }
    let rooms = &hub.access.rooms;
    let mut named = Vec::with_capacity(join.enter.len());
    for name in &join.enter {
        let Some(room) = rooms.named_for(visitor.user, name) else {
            continue;
        };
        let is_public = rooms
            .get(room)
            .is_some_and(|record| record.kind == RoomKind::Public);
        if !named.contains(&room) && (is_public || rooms.is_member(visitor.user, room)) {
            named.push(room);
        }
    }
    match join.enter.first().filter(|_| named.is_empty()) {
        Some(name) => {
            let message = format!("There is no room {name} here");
            Err(ErrorFrame::new(ErrorCode::NoSuchRoom, &message))
        }
        None => Ok(named),
    }
}

/// All rooms that a session is in: those that it names, of which its user becomes a member, and, if it
/// sees rooms, all others of the user. Besides, those that the user was not in before.
fn all_rooms(
    hub: &mut Hub,
    entry: &JoinRequest,
    visitor: &Visitor,
    named: Vec<RoomId>,
) -> (Vec<RoomId>, Vec<RoomId>) {
    let mut entered = Vec::new();
    if visitor.role == Role::Unverified {
        return (named, entered);
    }
    let user = visitor.user;
    // What was said in the lobby before a user was first here is not new to them.
    let head = hub.rooms[RoomId::LOBBY].extent.head;
    // It can't fail: there is a lobby, and it does not count among the user's rooms.
    let _ = hub.access.rooms.enter(user, RoomId::LOBBY, head);
    let mut all = Vec::with_capacity(named.len());
    for room in named {
        let head = hub.rooms[room].extent.head;
        // A user who is in too many rooms already is not in this one.
        if let Ok(is_new) = hub.access.rooms.enter(user, room, head) {
            all.push(room);
            entered.extend(is_new.then_some(room));
        }
    }
    if entry.join.can.rooms {
        let others = hub.access.rooms.rooms_of(user);
        let others: Vec<_> = others.filter(|room| !all.contains(room)).collect();
        all.extend(others);
    }
    (all, entered)
}

fn may_enter(hub: &Hub, entry: &mut JoinRequest) -> Result<Visitor, ErrorFrame> {
    // Checked again: the user may have been banned, or the nickname taken, meanwhile.
    let visitor = hub.access.check(entry, hub.now)?;
    if entry.join.keep_nickname
        && let Some(nickname) = hub.known_as(visitor.user, entry.join.epoch)
    {
        entry.join.nickname = nickname;
    }
    let takes_over = hub.devices.contains_key(&entry.device());
    if hub.sessions.len() >= hub.settings.clients_max && !takes_over {
        let message = "The server is full. Try again later";
        return Err(ErrorFrame::new(ErrorCode::ServerFull, message));
    }
    if !hub.nickname_is_free(&entry.join.nickname, visitor.user) {
        return Err(ErrorFrame::new(ErrorCode::NicknameInUse, NICKNAME_IN_USE));
    }
    Ok(visitor)
}

fn refuse(hub: &mut Hub, connection: ConnectionId, entry: &JoinRequest, error: ErrorFrame) {
    hub.record(LogEvent::Refused {
        nickname: Nickname::clone(&entry.join.nickname),
        address: entry.channel.address,
        message: error.message.clone(),
    });
    hub.break_off(connection, error, Departure::Protocol);
}

fn admit(
    hub: &mut Hub,
    connection: ConnectionId,
    entry: &JoinRequest,
    (visitor, named): (&Visitor, Vec<RoomId>),
    opened: &Opened,
) {
    let JoinRequest {
        join,
        token,
        channel,
        ..
    } = entry;
    let user = visitor.user;
    let watched = named.clone();
    let counter = opened.counter;
    let (rooms, entered) = all_rooms(hub, entry, visitor, named);
    let starts = starts(hub, join, user, &rooms, &watched, opened);
    let left = left_rooms(hub, entry, &rooms);
    let cursors = starts.iter().map(|start| (start.room, start.next));
    let session = Session::new(entry, visitor, rooms.into(), counter);
    let device = session.device;
    let protocol = join.protocol.unwrap_or(limits::PROTOCOL_VERSION);
    let joined = Joined {
        rooms: cursors.collect(),
        watched,
        welcome: Welcome {
            protocol: protocol.min(limits::PROTOCOL_VERSION),
            server: hub.settings.server.clone(),
            user,
            device,
            token: *token,
            nickname: join.nickname.clone(),
            role: session.role,
            counter,
            epoch: hub.epoch,
            time: hub.now.wall,
            rooms: starts,
            can: Capabilities::ALL,
            limits: told_limits(hub.access.message_rate()),
        },
    };
    hub.command(connection, ConnectionCommand::Admit(Box::new(joined)));
    for room in left {
        let frame = ServerFrame::RoomLeft { room, by: None };
        hub.command(connection, ConnectionCommand::Tell(Box::new(frame)));
    }
    if join.can.rooms && !hub.access.ignores.of(user).is_empty() {
        let ignored = Box::new(hub.ignored_frame(user));
        hub.command(connection, ConnectionCommand::Tell(ignored));
    }
    hub.begin_session(connection, session, &join.nickname);
    for room in entered {
        hub.note_joined(user, room);
    }
    hub.record(LogEvent::Joined {
        nickname: join.nickname.clone(),
        user,
        client_id: join.client_id.clone(),
        address: channel.address,
        key: entry.key.map(|key| key.tag()),
        encrypted: channel.encrypted,
        agent: join.agent.clone(),
        called: entry.abilities.called,
        present: hub.sessions.len(),
    });
}

/// The rooms that a client holds something of, and that its user is no longer in: it is to drop that.
fn left_rooms(hub: &Hub, entry: &JoinRequest, rooms: &[RoomId]) -> Vec<RoomId> {
    let join = &entry.join;
    // Without a key nothing was kept about the user, so that they may enter again.
    if entry.key.is_none() || !join.can.rooms || join.epoch != Some(hub.epoch) {
        return Vec::new();
    }
    let held = join.rooms.iter().map(|position| position.room);
    held.filter(|room| !rooms.contains(room)).collect()
}

/// Where delivery of each room starts.
fn starts(
    hub: &Hub,
    join: &Join,
    user: UserId,
    rooms: &[RoomId],
    named: &[RoomId],
    Opened { ids, unread, .. }: &Opened,
) -> Vec<RoomStart> {
    let last = join.last.unwrap_or(LAST_MESSAGES_DEFAULT);
    let last = last.min(limits::LAST_MESSAGES_MAX);
    // If a room is named twice, its last position counts.
    let positions: HashMap<_, _> = positions(hub, join)
        .zip(ids)
        .map(|((room, position), id)| (room, (position, *id)))
        .collect();
    let unread = unread.iter().filter(|counted| counted.user == user);
    let unread: HashMap<_, _> = unread.map(|it| (it.room, it.unread)).collect();
    let same_log = join.epoch == Some(hub.epoch);
    rooms
        .iter()
        .map(|id| {
            let room = &hub.rooms[*id];
            let (position, found) = positions.get(id).copied().unzip();
            // Nobody looks at the others yet.
            let last = if named.contains(id) { last } else { 0 };
            let (next, reset) = resume::start(
                room.extent,
                same_log,
                position,
                found.flatten(),
                last,
                join.most,
            );
            let next = next.max(hub.visible_from(user, *id));
            let unread = unread.get(id).copied().unwrap_or_default();
            hub.room_start(user, *id, (next, reset), unread)
        })
        .collect()
}

fn told_limits(messages: Option<Rate>) -> Limits {
    let ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Limits {
        frame_bytes: limits::FRAME_BYTES_MAX as u64,
        text_bytes: limits::TEXT_BYTES_MAX as u64,
        nickname_graphemes: limits::NICKNAME_GRAPHEMES_MAX as u64,
        unanswered_messages: limits::UNANSWERED_MESSAGES_MAX as u64,
        ping_after_ms: ms(limits::PING_AFTER),
        gone_after_ms: ms(limits::GONE_AFTER),
        messages_per_minute: messages.map(|rate| u64::from(rate.per_minute)),
        messages_burst: messages.map(|rate| u64::from(rate.burst)),
    }
}
