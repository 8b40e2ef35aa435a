//! The hub's inputs (events) and outputs (effects), as plain values.

use std::{sync::Arc, time::Duration};

use super::{
    ConnectionId,
    client::{Abilities, Channel},
    log_event::LogEvent,
    log_query::LogQuery,
};
use crate::{protocol::RoomId, server::log::segment::Segment};
use crate::{
    protocol::{
        ClientFrame, DeviceId, PublicKey, RoomName, RoomRules, ServerFrame, Token, UserId,
        admin::AdminRequest,
        frame::{Ack, Departure, ErrorFrame, Join, Member, Welcome},
        wire::Refusal,
    },
    server::log::{Batch, Committed, Rewritten, Run, StoreError},
};

/// An input of the hub.
#[derive(Debug)]
pub enum Event {
    /// Requests of a connection, in the order in which it sent them.
    Requests {
        /// The connection.
        connection: ConnectionId,
        /// The requests.
        requests: Vec<Request>,
    },
    /// A connection is closed, by either end: its last event.
    Closed {
        /// The connection.
        connection: ConnectionId,
        /// The reason.
        reason: Departure,
    },
    /// The operator wants entries to be erased.
    Erase(EraseRequest),
    /// The append in progress has ended.
    Committed(Result<Committed, StoreError>),
    /// The server is to stop, once everything accepted is delivered.
    Stop,
}

/// Entries that the operator wants to be erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EraseRequest {
    /// The request's number, which its answer bears.
    pub number: u64,
    /// The room.
    pub room: RoomName,
    /// The lowest number to erase.
    pub from: u64,
    /// The highest number to erase: at most [`ERASE_MAX`](crate::server::log::ERASE_MAX) in all.
    pub to: u64,
}

/// Why the operator's entries were not erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EraseError {
    /// The server does not serve this room.
    NoRoom,
    /// Nothing can be stored at the moment.
    Unavailable,
}

/// One frame from a client, or the reason why it can't be accepted.
#[derive(Debug)]
pub enum Request {
    /// A join.
    Join(Box<JoinRequest>),
    /// An admin command, with random bytes for the secret that it makes.
    Admin(Box<AdminRequest>, Box<[u8; 32]>),
    /// Any other frame.
    Frame(ClientFrame),
    /// A frame that can't be accepted.
    Refused(Refusal),
}

/// A join, with what the shell adds to it.
#[derive(Debug)]
pub struct JoinRequest {
    /// The client's frame.
    pub join: Box<Join>,
    /// The token to use: the client's own, or a fresh one from the shell.
    pub token: Token,
    /// The key that the client has proven to hold; `None`: unverified.
    pub key: Option<PublicKey>,
    /// Whether the client sent the server's password; the shell has checked it.
    pub password: bool,
    /// The connection's channel.
    pub channel: Channel,
    /// The client's capabilities.
    pub abilities: &'static Abilities,
    /// The device of this token and client ID belongs to another user: derive a device from the key
    /// as well.
    pub own_device: bool,
}

impl JoinRequest {
    /// The device that joins.
    pub fn device(&self) -> DeviceId {
        match self.key.filter(|_| self.own_device) {
            Some(key) => self.token.device_of_key(&self.join.client_id, &key),
            None => self.token.device(&self.join.client_id),
        }
    }
}

/// An output of the hub.
#[derive(Debug)]
pub enum Effect {
    /// A command for one connection.
    Command {
        /// The connection.
        connection: ConnectionId,
        /// The command.
        command: ConnectionCommand,
    },
    /// A publication for every replica.
    Publish(Arc<Publication>),
    /// A batch to commit; its outcome returns as [`Event::Committed`].
    Append(Batch),
    /// The answer to an [`EraseRequest`].
    Erased {
        /// The request's number.
        number: u64,
        /// The number of entries that were erased.
        result: Result<u64, EraseError>,
    },
    /// An entry for the server's log.
    Log(Box<LogEvent>),
    /// The server has ended, after [`Event::Stop`] or a failure of the store; all clients have been
    /// told.
    Finished {
        /// Whether the store failed.
        failed: bool,
    },
}

/// A command for one connection. Each answers one request, except `Tell`, `Enter`, `Leave`, `Close`
/// and an allowed `Query`.
#[derive(Debug)]
pub enum ConnectionCommand {
    /// Admit the client.
    Admit(Box<Joined>),
    /// Answer a request; `None`: without a frame.
    Answer(Option<Box<ServerFrame>>),
    /// Make the request again after a while, since the client can't.
    Retry {
        /// The request.
        frame: Box<ClientFrame>,
        /// The time to wait.
        wait: Duration,
    },
    /// A message of the client was stored. The echo tells it, unless its subscriber is far behind.
    Stored(Box<Ack>),
    /// Run this history or search query and answer the request with its result, or refuse it.
    Query(Result<Box<LogQuery>, Box<ErrorFrame>>),
    /// Tell the client something that it has not asked for.
    Tell(Box<ServerFrame>),
    /// Deliver more rooms, each from a number on, behind a frame that says so.
    Enter {
        /// The rooms.
        rooms: Vec<(RoomId, u64)>,
        /// The frame.
        frame: Box<ServerFrame>,
    },
    /// Deliver nothing more of a room.
    Leave(RoomId),
    /// Close the connection.
    Close {
        /// The last frame.
        last: Option<Box<ServerFrame>>,
        /// Whether to send the backlog of its rooms first.
        drain: bool,
    },
}

/// The start of a session.
#[derive(Debug)]
pub struct Joined {
    /// The first frame.
    pub welcome: Welcome,
    /// The rooms, each with the number of the first message to send.
    pub rooms: Vec<(RoomId, u64)>,
    /// The rooms whose members are told.
    pub watched: Vec<RoomId>,
}

/// Changes for the subscribers of the rooms.
#[derive(Debug, Default)]
pub struct Publication {
    /// New entries.
    pub runs: Vec<Run>,
    /// Older entries whose frames have changed. They come with `runs`, which hold why.
    pub rewritten: Vec<Rewritten>,
    /// The new first numbers of logs whose oldest messages were erased.
    pub firsts: Vec<(RoomId, u64)>,
    /// The rules of rooms at the start, when they have no subscribers.
    pub rules: Vec<(RoomId, Arc<RoomRules>)>,
    /// Changes of member lists.
    pub presence: Vec<PresenceChanges>,
}

/// Changes of one member list.
#[derive(Debug)]
pub struct PresenceChanges {
    /// The room.
    pub room: RoomId,
    /// The frames that announce them, numbered by version.
    pub segment: Segment,
    /// The changes themselves, in the same order.
    pub changes: Vec<MemberChange>,
    /// The time of the changes, as [`Now::mono`](crate::time::Now::mono).
    pub at: Duration,
}

/// One change of a member list.
#[derive(Clone, Debug)]
pub enum MemberChange {
    /// A member joined, or changed their nickname or role.
    Put(Arc<Member>),
    /// A member left.
    Remove(UserId),
    /// The room's rules changed.
    Rules(Arc<RoomRules>),
}
