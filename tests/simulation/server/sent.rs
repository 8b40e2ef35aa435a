//! What the server has sent to each user: nobody is ever sent an entry, or a name, of a room that
//! is not for them.

use std::collections::{BTreeMap, BTreeSet};

use chat_tui::{
    protocol::{
        ClientFrame, Entry, ReadMarker, RoomId, RoomKind, RoomName, ServerFrame, UserId,
        admin::AdminCommand,
        codec::Decoder,
        frame::{ErrorCode, RoomStart},
        wire::parse_server,
    },
    server::core::{ConnectionId, event::Request},
};

use super::members::{Members, Room};
use crate::truth::{Fault, room_names};

/// See the module's docs.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    connections: BTreeMap<ConnectionId, Stream>,
    entries: BTreeSet<(UserId, RoomId, u64)>,
    /// The rooms that users were told they are in, and that not everybody can find.
    starts: BTreeSet<(UserId, RoomId)>,
    /// The names that somebody wanted for a room that everybody can find.
    names: BTreeSet<RoomName>,
    /// The names that were wanted on each connection, by the request's number, and whether somebody
    /// had wanted it before.
    asked: BTreeMap<(ConnectionId, Option<u64>), (RoomName, bool)>,
}

/// The frames sent over one connection.
#[derive(Debug, Default)]
struct Stream {
    decoder: Decoder,
    user: Option<UserId>,
}

impl Sent {
    /// A connection has made a request.
    pub(crate) fn asked(&mut self, id: ConnectionId, request: &Request, members: &Members) {
        let Request::Admin(request, _) = request else {
            return;
        };
        let (name, is_public) = match &request.command {
            AdminCommand::Create { private, name } => (name, !private),
            AdminCommand::RenameRoom { room, name } => {
                let room = members.room(*room);
                (name, room.is_none_or(Room::is_public))
            }
            _ => return,
        };
        let known = self.names.contains(name)
            || room_names().contains(name)
            || members.is_public_name(name.as_str());
        let asked = (name.clone(), known);
        self.asked.insert((id, request.reference), asked);
        if is_public {
            self.names.insert(name.clone());
        }
    }

    /// The marker that a connection has sent, and its user.
    pub(crate) fn marker(
        &self,
        id: ConnectionId,
        request: &Request,
    ) -> Option<(UserId, RoomId, ReadMarker)> {
        let Request::Frame(ClientFrame::Read { room, marker }) = request else {
            return None;
        };
        let user = self.connections.get(&id)?.user?;
        Some((user, *room, *marker))
    }

    /// The user of a connection.
    pub(crate) fn user(&self, id: ConnectionId) -> Option<UserId> {
        self.connections.get(&id)?.user
    }

    /// The name that a request wanted.
    pub(crate) fn name_of(&self, id: ConnectionId, reference: Option<u64>) -> Option<&RoomName> {
        self.asked.get(&(id, reference)).map(|(name, _)| name)
    }

    /// Bytes were written to a connection.
    pub(crate) fn see(
        &mut self,
        id: ConnectionId,
        mut bytes: &[u8],
        members: &Members,
    ) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let stream = self.connections.entry(id).or_default();
            let count = stream.decoder.feed(bytes);
            bytes = &bytes[count..];
            let mut frames = Vec::new();
            // What legacy clients are sent is no frame.
            while let Ok(Some(frame)) = stream.decoder.next_frame() {
                frames.extend(parse_server(frame).ok());
            }
            for frame in frames {
                self.frame(id, frame, members)?;
            }
        }
        Ok(())
    }

    fn frame(
        &mut self,
        id: ConnectionId,
        frame: ServerFrame,
        members: &Members,
    ) -> Result<(), Fault> {
        if let ServerFrame::Welcome(welcome) = &frame {
            self.connections.entry(id).or_default().user = Some(welcome.user);
        }
        let Some(user) = self.user(id) else {
            return Ok(());
        };
        match frame {
            ServerFrame::Welcome(welcome) => {
                self.start(user, &welcome.rooms);
                Ok(())
            }
            ServerFrame::Rooms(starts) => {
                self.start(user, &starts);
                Ok(())
            }
            ServerFrame::Entry(entry) => {
                self.note(user, &[entry]);
                Ok(())
            }
            ServerFrame::History(page) => {
                self.note(user, &page.entries);
                Ok(())
            }
            ServerFrame::Found(page) => {
                self.note(user, &page.entries);
                Ok(())
            }
            ServerFrame::Changes(page) => {
                self.note(user, &page.entries);
                Ok(())
            }
            ServerFrame::Inbox(page) => {
                self.note(user, &page.entries);
                Ok(())
            }
            ServerFrame::RoomList(page) => {
                let private = page.list.iter().filter(|room| room.private);
                let (own, others): (Vec<_>, Vec<_>) = private.partition(|room| room.joined);
                self.starts.extend(own.iter().map(|room| (user, room.room)));
                let is_private = |id| members.room(id).is_some_and(|room| !room.is_public());
                let mut listed = page.list.iter().filter(|room| !room.joined);
                match listed
                    .find(|room| is_private(room.room))
                    .or(others.first().copied())
                {
                    Some(room) => Err(format!("{user}, a stranger to it, is listed {room:?}")),
                    None => Ok(()),
                }
            }
            ServerFrame::Error(error) if error.code == ErrorCode::NotAllowed => {
                let is_taken = error.message.as_str().contains("of that name already");
                match self.asked.get(&(id, error.reference)) {
                    Some((name, false)) if is_taken => Err(format!(
                        "{user} is told that #{name} exists, which is no public room"
                    )),
                    _ => Ok(()),
                }
            }
            ServerFrame::Challenge { .. }
            | ServerFrame::Members(_)
            | ServerFrame::Presence(_)
            | ServerFrame::Room { .. }
            | ServerFrame::RoomLeft { .. }
            | ServerFrame::Ignored { .. }
            | ServerFrame::Read { .. }
            | ServerFrame::PeopleList(_)
            | ServerFrame::Result(_)
            | ServerFrame::Ack(_)
            | ServerFrame::Nick { .. }
            | ServerFrame::Ping { .. }
            | ServerFrame::Pong { .. }
            | ServerFrame::Error(_)
            | ServerFrame::Bye(_)
            | ServerFrame::Unknown => Ok(()),
        }
    }

    /// A device that joins may be told before the membership is stored.
    fn start(&mut self, user: UserId, starts: &[RoomStart]) {
        let closed = starts
            .iter()
            .filter(|start| start.info.kind != RoomKind::Public);
        self.starts.extend(closed.map(|start| (user, start.room)));
    }

    fn note(&mut self, user: UserId, entries: &[Entry]) {
        let sent = entries.iter().map(|entry| (user, entry.room, entry.seq));
        self.entries.extend(sent);
    }

    /// Checks that nobody was sent what is not for them.
    pub(crate) fn check(&self, members: &Members) -> Result<(), Fault> {
        let foreign = |(user, room): &&(UserId, RoomId)| members.membership(*user, *room).is_none();
        if let Some((user, room)) = self.starts.iter().find(foreign) {
            return Err(format!("{user}, who was never in {room}, is told of it"));
        }
        let withheld =
            |(user, room, seq): &&(UserId, RoomId, u64)| !members.may_have(*user, *room, *seq);
        match self.entries.iter().find(withheld) {
            Some((user, room, seq)) => {
                let room_is = members.room(*room);
                let membership = members.membership(*user, *room);
                Err(format!(
                    "{user} was sent {seq} of {room}, {room_is:?}, as {membership:?}"
                ))
            }
            None => Ok(()),
        }
    }
}
