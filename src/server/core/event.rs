//! What the hub is told, and what it wants done: plain values.

use std::{sync::Arc, time::Duration};

use super::{
    ConnectionId,
    client::{Abilities, Channel},
    log_event::LogEvent,
    log_query::LogQuery,
};
use crate::server::log::{RoomIndex, segment::Segment};
use crate::{
    protocol::{
        ClientFrame, DeviceId, PublicKey, RoomRules, ServerFrame, Token, UserId,
        admin::AdminRequest,
        frame::{Ack, Departure, ErrorFrame, Join, Member, Welcome},
        wire::Refusal,
    },
    server::log::{Batch, Committed, Run, StoreError},
};

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A connection asks for something; in the order of its sending.
    Requests {
        /// Which.
        connection: ConnectionId,
        /// What.
        requests: Vec<Request>,
    },
    /// A connection is gone, whoever ended it: the last thing told of it.
    Closed {
        /// Which.
        connection: ConnectionId,
        /// Why.
        reason: Departure,
    },
    /// The append under way has ended.
    Committed(Result<Committed, StoreError>),
    /// The server is to stop: what was accepted is delivered first.
    Stop,
}

/// One frame from a client, or what was wrong with it.
#[derive(Debug)]
pub enum Request {
    /// A wish to enter.
    Join(Box<JoinRequest>),
    /// An admin command, with random bytes for the secret that it makes.
    Admin(Box<AdminRequest>, Box<[u8; 32]>),
    /// Any other frame.
    Frame(ClientFrame),
    /// A frame that can't be taken.
    Refused(Refusal),
}

/// A wish to enter, with what the shell adds to it.
#[derive(Debug)]
pub struct JoinRequest {
    /// What the client sent.
    pub join: Box<Join>,
    /// The token in force: the client's own, or a fresh one from the shell.
    pub token: Token,
    /// The key that the client has proven to hold; `None`: he is unverified.
    pub key: Option<PublicKey>,
    /// Whether the password that came with the join is the server's: the shell has looked.
    pub password: bool,
    /// How the client came.
    pub channel: Channel,
    /// What the client can do.
    pub abilities: &'static Abilities,
    /// The device of this token and client ID is somebody else's: it has one of its key's own.
    pub own_device: bool,
}

impl JoinRequest {
    /// The device that comes in.
    pub fn device(&self) -> DeviceId {
        match self.key.filter(|_| self.own_device) {
            Some(key) => self.token.device_of_key(&self.join.client_id, &key),
            None => self.token.device(&self.join.client_id),
        }
    }
}

/// What is to be done.
#[derive(Debug)]
pub enum Effect {
    /// Something for one connection.
    Command {
        /// Which.
        connection: ConnectionId,
        /// What.
        command: ConnectionCommand,
    },
    /// Something for every replica of the rooms.
    Publish(Arc<Publication>),
    /// To be committed; the outcome comes back as [`Event::Committed`].
    Append(Batch),
    /// Something for the log of the server.
    Log(Box<LogEvent>),
    /// After [`Event::Stop`], or a store that failed: all was delivered and everybody told.
    Finished {
        /// Whether the store failed.
        failed: bool,
    },
}

/// What one connection is to do. All but `Close` answer one request.
#[derive(Debug)]
pub enum ConnectionCommand {
    /// It is let in.
    Admit(Box<Joined>),
    /// A request is answered; by nothing, where there is nothing to say.
    Answer(Option<Box<ServerFrame>>),
    /// Its request is to be made once more, after a while: the client can't do that itself.
    Retry {
        /// What it asked.
        frame: Box<ClientFrame>,
        /// After how long.
        wait: Duration,
    },
    /// Its message was stored just now. The echo tells it, unless its reader is far behind.
    Stored(Box<Ack>),
    /// It may look into a room's log, and answers its request itself with what it finds; or it
    /// may not.
    Query(Result<Box<LogQuery>, Box<ErrorFrame>>),
    /// It ends.
    Close {
        /// The last words.
        last: Option<Box<ServerFrame>>,
        /// Whether it is first to be sent what its rooms still hold for it.
        drain: bool,
    },
}

/// How a connection begins to read.
#[derive(Debug)]
pub struct Joined {
    /// The first words.
    pub welcome: Welcome,
    /// The rooms, and the number of the message that comes first in each.
    pub rooms: Vec<(RoomIndex, u64)>,
}

/// News for all who read a room.
#[derive(Debug, Default)]
pub struct Publication {
    /// New messages.
    pub runs: Vec<Run>,
    /// Where logs begin now that began earlier.
    pub firsts: Vec<(RoomIndex, u64)>,
    /// How rooms are run that nobody reads yet: at the start.
    pub rules: Vec<(RoomIndex, Arc<RoomRules>)>,
    /// Changes of member lists.
    pub presence: Vec<PresenceChanges>,
}

/// Changes of one member list.
#[derive(Debug)]
pub struct PresenceChanges {
    /// The room.
    pub room: RoomIndex,
    /// The frames that tell them, numbered by version.
    pub segment: Segment,
    /// The changes themselves, in the same order.
    pub changes: Vec<MemberChange>,
    /// When they happened, as [`Now::mono`](crate::time::Now::mono).
    pub at: Duration,
}

/// One change of a member list.
#[derive(Clone, Debug)]
pub enum MemberChange {
    /// Came in, or is called otherwise now.
    Put(Arc<Member>),
    /// Went.
    Remove(UserId),
    /// Nobody came or went: the room is run otherwise.
    Rules(Arc<RoomRules>),
}
