//! `join`: admits a client. First the store is asked for the state of its device and positions;
//! everything else is decided in one step when the answer is there, so that two clients that want
//! the same nickname get different answers.
//!
//! A client that gets new records (an account, a key, a nickname) is admitted only once they are
//! committed: the store is asked again behind those records, and its answer admits the client.

use std::collections::HashMap;

use smallvec::SmallVec;

use crate::{
    protocol::{
        MessageId, Nickname,
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
        log::{OpResult, Operation, RoomIndex},
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
    Operation::OpenDevice {
        owner: hub.access.device_owner(entry, hub.now),
        device: entry.device(),
        next: entry.join.next,
        look: positions(hub, &entry.join)
            .map(|(room, position)| (room, position.seq))
            .collect(),
    }
}

/// The operation that asks the store about a connection that waits to join.
pub(in crate::server::core) fn opening(hub: &Hub, connection: ConnectionId) -> Option<Operation> {
    hub.joining.get(&connection).map(|entry| open(hub, entry))
}

/// The rooms with a position, in the order of the join.
fn positions<'a>(hub: &Hub, join: &'a Join) -> impl Iterator<Item = (RoomIndex, &'a Position)> {
    let known = |position: &'a Position| Some((hub.room_index(&position.room)?, position));
    join.rooms.iter().filter_map(known)
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

/// Admits or refuses a client, given the state of its device.
pub(in crate::server::core) fn opened(
    hub: &mut Hub,
    connection: ConnectionId,
    counter: u64,
    ids: &[Option<MessageId>],
) {
    // The connection may have closed meanwhile.
    let Some(mut entry) = hub.end_joining(connection) else {
        return;
    };
    let admitted = may_enter(hub, &mut entry)
        .and_then(|visitor| rooms(hub, &entry.join).map(|rooms| (visitor, rooms)));
    match admitted {
        Ok((visitor, rooms)) => {
            hub.access.admit(&visitor, &entry, hub.now);
            if hub.access.accounts.owes(visitor.user, &entry.join.nickname) {
                return hub.enter_when_stored(connection, entry);
            }
            admit(hub, connection, &entry, &visitor, rooms, (counter, ids));
        }
        Err(error) => refuse(hub, connection, &entry, error),
    }
}

/// The rooms that a client joins, each once. Unknown rooms are skipped, since a client may name
/// them for a message that it could not send yet; but at least one has to exist.
fn rooms(hub: &Hub, join: &Join) -> Result<SmallVec<[RoomIndex; 2]>, ErrorFrame> {
    if join.enter.is_empty() {
        return Ok([RoomIndex::LOBBY].into_iter().collect());
    }
    let mut rooms = SmallVec::with_capacity(join.enter.len());
    for room in join.enter.iter().filter_map(|name| hub.room_index(name)) {
        if !rooms.contains(&room) {
            rooms.push(room);
        }
    }
    match join.enter.first().filter(|_| rooms.is_empty()) {
        Some(name) => {
            let message = format!("There is no room {name} here");
            Err(ErrorFrame::new(ErrorCode::NoSuchRoom, &message))
        }
        None => Ok(rooms),
    }
}

fn may_enter(hub: &Hub, entry: &mut JoinRequest) -> Result<Visitor, ErrorFrame> {
    // Checked again: the user may have been banned, or the nickname taken, meanwhile.
    let visitor = hub.access.check(entry, hub.now)?;
    if entry.join.keep_nickname
        && let Some(nickname) = hub.known_as(visitor.user)
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
    visitor: &Visitor,
    rooms: SmallVec<[RoomIndex; 2]>,
    (counter, ids): (u64, &[Option<MessageId>]),
) {
    let JoinRequest {
        join,
        token,
        channel,
        ..
    } = entry;
    let starts = starts(hub, join, &rooms, ids);
    let cursors = rooms.iter().zip(&starts);
    let cursors = cursors.map(|(room, start)| (*room, start.next)).collect();
    let session = Session::new(entry, visitor, rooms, counter);
    let (user, device) = (session.user, session.device);
    let protocol = join.protocol.unwrap_or(limits::PROTOCOL_VERSION);
    let joined = Joined {
        rooms: cursors,
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
    hub.begin_session(connection, session, &join.nickname);
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

/// The first message to read in each room.
fn starts(
    hub: &Hub,
    join: &Join,
    rooms: &[RoomIndex],
    ids: &[Option<MessageId>],
) -> Vec<RoomStart> {
    let last = join.last.unwrap_or(LAST_MESSAGES_DEFAULT);
    let last = last.min(limits::LAST_MESSAGES_MAX);
    // If a room is named twice, its last position counts.
    let positions: HashMap<_, _> = positions(hub, join)
        .zip(ids)
        .map(|((room, position), id)| (room, (position, *id)))
        .collect();
    let same_log = join.epoch == Some(hub.epoch);
    rooms
        .iter()
        .map(|index| {
            let room = &hub.rooms[index.at()];
            let (position, id) = positions.get(index).copied().unzip();
            let (next, reset) = resume::start(
                room.extent,
                same_log,
                position,
                id.flatten(),
                last,
                join.most,
            );
            RoomStart {
                room: room.name.clone(),
                topic: room.rules.topic.clone(),
                extent: room.extent,
                next,
                changed: room.revised.changed,
                redacted: room.revised.redacted,
                reset,
            }
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
