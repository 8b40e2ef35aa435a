//! The state of the hub: rooms, users, sessions and pending operations.

use super::pending::Staged;
use super::retention::Retainer;
use super::{clock::Clock, pending};
use super::{pending::Promise, retention::Keep};
use crate::{
    protocol::{
        ClientId, DeviceId, Epoch, Extent, MessageId, PublicKey, Role, RoomId, UserId,
        frame::{Departure, Member},
        limits::NUMBER_MAX,
    },
    server::{
        core::{
            ConnectionId,
            access::{self, AccessControl, Visitor},
            client::Abilities,
            event::{Effect, JoinRequest, MemberChange},
            room_map::RoomMap,
            rooms::RoomSettings,
        },
        log::{Revised, Standing, segment::SegmentBuilder},
        network::ClientAddress,
    },
    text::Line,
    time::Now,
};
use jiff::SignedDuration;
use smallvec::SmallVec;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

/// The operator's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Most sessions at one time.
    pub clients_max: usize,
    /// The rooms that the operator wants. The first is the lobby, which a client enters that names
    /// no room.
    pub rooms: Vec<RoomSettings>,
    /// The server's program and version.
    pub server: Line,
    /// Whether the server's log has the texts of messages.
    pub record_texts: bool,
    /// How much of each room's log is kept.
    pub keep: Keep,
    /// Access and rate limits.
    pub access: access::Settings,
}

/// What the hub knows of a room besides its record.
pub(in crate::server::core) struct Room {
    pub(in crate::server::core) id: RoomId,
    pub(in crate::server::core) extent: Extent,
    pub(in crate::server::core) revised: Revised,
    /// Changes of the member list that are not published yet.
    pub(super) diffs: SegmentBuilder,
    pub(super) changes: Vec<MemberChange>,
    /// Sessions in the room.
    pub(super) readers: usize,
}

impl Room {
    pub(in crate::server::core) fn new(id: RoomId, standing: Standing) -> Self {
        Self {
            id,
            extent: standing.extent,
            revised: standing.revised,
            diffs: SegmentBuilder::new(1),
            changes: Vec::new(),
            readers: 0,
        }
    }
}

pub(in crate::server::core) struct User {
    pub(in crate::server::core) member: Arc<Member>,
    /// The connections of the user's sessions.
    pub(super) connections: SmallVec<[ConnectionId; 1]>,
    /// The user's rooms, each with the number of their sessions in it.
    pub(super) rooms: SmallVec<[(RoomId, u32); 1]>,
}

/// A session: one connection that has joined.
pub(in crate::server::core) struct Session {
    pub(in crate::server::core) user: UserId,
    pub(in crate::server::core) role: Role,
    /// The rooms that it has joined, each once.
    pub(super) rooms: SmallVec<[RoomId; 2]>,
    /// Whether it is sent all rooms of its user, and what happens to them.
    pub(in crate::server::core) sees_rooms: bool,
    /// The key that it joined with.
    pub(in crate::server::core) key: Option<PublicKey>,
    pub(in crate::server::core) device: DeviceId,
    pub(in crate::server::core) client_id: ClientId,
    pub(in crate::server::core) address: ClientAddress,
    pub(in crate::server::core) abilities: &'static Abilities,
    /// The highest counter of the device that is known to have an outcome; where the server numbers
    /// the messages, the highest that was given to one.
    pub(in crate::server::core) counter: u64,
    /// Whether client or server numbers the messages: set by a join that names the next counter,
    /// otherwise by the first message.
    pub(super) numbering: Option<Numbering>,
    /// The lowest counter that was refused temporarily and has not been sent again.
    pub(super) held: Option<u64>,
    /// A counter that was refused temporarily, has been sent again, and has no outcome yet.
    pub(super) retried: Option<u64>,
    /// Its operations that are staged or being committed, and its promises.
    pub(in crate::server::core) pending: u32,
    /// Its pending changes of nickname.
    pub(super) renaming: u32,
    /// Set when the session is to end. It ends once its pending operations are committed, so that
    /// its last messages precede its `left`.
    pub(super) leaving: Option<Departure>,
    /// Its connection is closed already.
    pub(super) gone: bool,
}

/// Which side gives messages their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server::core) enum Numbering {
    /// The client, which may send them again.
    Client,
    /// The server, for clients that can't or don't send again.
    Server,
}

impl Session {
    pub(in crate::server::core) fn new(
        entry: &JoinRequest,
        visitor: &Visitor,
        rooms: SmallVec<[RoomId; 2]>,
        counter: u64,
    ) -> Self {
        Self {
            numbering: match entry.join.next {
                _ if !entry.abilities.sends_again => Some(Numbering::Server),
                Some(_) => Some(Numbering::Client),
                None => None,
            },
            user: visitor.user,
            role: visitor.role,
            rooms,
            sees_rooms: entry.join.can.rooms,
            key: entry.key,
            device: entry.device(),
            client_id: entry.join.client_id.clone(),
            address: entry.channel.address,
            abilities: entry.abilities,
            counter,
            held: None,
            retried: None,
            pending: 0,
            renaming: 0,
            leaving: None,
            gone: false,
        }
    }

    /// Whether it has joined a room.
    pub(in crate::server::core) fn is_in(&self, room: RoomId) -> bool {
        self.rooms.contains(&room)
    }

    /// The rooms that it has joined.
    pub(in crate::server::core) fn rooms(&self) -> &[RoomId] {
        &self.rooms
    }

    /// Takes a room away. Returns whether it had joined it.
    pub(super) fn forget_room(&mut self, room: RoomId) -> bool {
        let at = self.rooms.iter().position(|other| *other == room);
        at.map(|at| self.rooms.swap_remove(at)).is_some()
    }

    /// Whether an id has to wait, because an earlier one was refused and has not been sent again.
    pub(in crate::server::core) fn holds_back(&self, id: MessageId) -> bool {
        id.device == self.device && self.held.is_some_and(|held| id.counter > held)
    }

    /// Fixes which side numbers this session's messages; false if it was the other one so far.
    pub(in crate::server::core) fn numbers(&mut self, by: Numbering) -> bool {
        *self.numbering.get_or_insert(by) == by
    }

    /// The next id for a message that the server numbers; `None`: the device has used all numbers.
    pub(in crate::server::core) fn next_id(&mut self) -> Option<MessageId> {
        let counter = (self.counter < NUMBER_MAX).then_some(self.counter + 1)?;
        self.counter = counter;
        Some(MessageId {
            device: self.device,
            counter,
        })
    }

    /// The counter up to which all of the device's messages have an outcome, as far as is known
    /// here.
    pub(in crate::server::core) fn settled(&self) -> u64 {
        let given = u64::from(self.numbering == Some(Numbering::Server));
        self.counter.saturating_sub(given)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Running,
    /// To end once nothing is staged.
    Stopping,
    /// The store failed: to end now.
    Failed,
    Finished,
}

/// The hub; [`super`] describes it, [`core`](crate::server::core) how to drive it.
pub struct Hub {
    pub(in crate::server::core) settings: Settings,
    pub(in crate::server::core) epoch: Epoch,
    /// The time of the turn, as it is sent to clients.
    pub(in crate::server::core) now: Now,
    pub(super) clock: Clock,
    /// Corrections of the clock that the store has not been told of.
    pub(super) correction: SignedDuration,
    pub(in crate::server::core) rooms: RoomMap<Room>,
    /// Rooms with changes of the member list that are not published yet.
    pub(super) changed: Vec<RoomId>,
    /// Accounts, moderation, invites and rate limits.
    pub(in crate::server::core) access: AccessControl,
    /// When to retry records that could not be stored.
    pub(super) records_wait: Option<Duration>,
    /// When records are stored of which all can wait.
    pub(super) lazy_due: Option<Duration>,
    /// Records are staged or being committed: later changes wait, so that nothing older is ever
    /// written after something newer.
    pub(super) remembering: bool,
    /// Promises to keep once records are committed that are not staged yet.
    pub(super) promised: Vec<Promise>,
    /// Promises whose records the store refused once.
    pub(super) overdue: Vec<Promise>,
    /// Connections whose joins wait for records that are not staged yet.
    pub(super) entering: Vec<ConnectionId>,
    pub(in crate::server::core) users: HashMap<UserId, User>,
    /// The user of each nickname in use, by its canonical form.
    pub(super) nicknames: HashMap<Box<str>, UserId>,
    pub(super) just_left: super::whowas::Whowas,
    pub(in crate::server::core) sessions: HashMap<ConnectionId, Box<Session>>,
    /// The session of each device.
    pub(in crate::server::core) devices: HashMap<DeviceId, ConnectionId>,
    /// Connections whose joins wait for the store.
    pub(in crate::server::core) joining: HashMap<ConnectionId, Box<JoinRequest>>,
    /// Connections told to close that are not closed yet: their requests are ignored.
    pub(super) closing: HashSet<ConnectionId>,
    pub(super) staged: VecDeque<Staged>,
    pub(super) staged_bytes: usize,
    /// The batch being committed.
    pub(super) committing: Option<pending::Committing>,
    /// How many of the first staged operations go to the store in a batch of their own.
    pub(super) reopening: usize,
    /// The last batch was a step of retention.
    pub(super) retained: bool,
    pub(super) refusals: pending::Refusals,
    pub(super) retainer: Retainer,
    pub(super) state: State,
    pub(in crate::server::core) effects: Vec<Effect>,
}
