//! The state of the hub: rooms, users, sessions, and what is under way.

use super::pending::Staged;
use super::retention::Retainer;
use super::{clock::Clock, pending};
use super::{pending::Promise, retention::Keep};
use crate::{
    protocol::{
        ClientId, DeviceId, Epoch, MessageId, PublicKey, Role, RoomName, RoomRules, UserId,
        frame::{Departure, Member},
        limits::NUMBER_MAX,
    },
    server::{
        core::{
            ConnectionId,
            access::{self, AccessControl, Visitor},
            client::Abilities,
            event::{Effect, JoinRequest, MemberChange},
        },
        log::{Extent, RoomIndex, segment::SegmentBuilder},
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

/// What the operator decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Sessions at one time.
    pub clients_max: usize,
    /// The rooms, in the order of their [`RoomIndex`]. The first is the lobby, where everybody is
    /// who names no other.
    pub rooms: Vec<RoomSettings>,
    /// Our own program and version.
    pub server: Line,
    /// Whether records of messages carry their texts.
    pub record_texts: bool,
    /// How much of each room's log is kept.
    pub keep: Keep,
    /// Who may enter, and how often things may be done.
    pub access: access::Settings,
}

/// What the operator says of one room.
#[derive(Clone, Debug)]
pub struct RoomSettings {
    /// Its name.
    pub name: RoomName,
    /// What it is about.
    pub topic: Option<Line>,
}

pub(in crate::server::core) struct Room {
    pub(in crate::server::core) name: RoomName,
    pub(in crate::server::core) rules: RoomRules,
    pub(in crate::server::core) extent: Extent,
    /// Changes of the member list that are not published yet.
    pub(super) diffs: SegmentBuilder,
    pub(super) changes: Vec<MemberChange>,
    /// Sessions that are in it.
    pub(super) readers: usize,
}

pub(in crate::server::core) struct User {
    pub(in crate::server::core) member: Arc<Member>,
    /// Sessions of his that are in.
    pub(super) sessions: u32,
    /// The rooms that he is in, each with how many of his sessions are.
    pub(super) rooms: SmallVec<[(RoomIndex, u32); 1]>,
}

/// One connection that was let in.
pub(in crate::server::core) struct Session {
    pub(in crate::server::core) user: UserId,
    pub(in crate::server::core) role: Role,
    /// The rooms that it is in, each once.
    pub(super) rooms: SmallVec<[RoomIndex; 2]>,
    /// The key that it came in by.
    pub(in crate::server::core) key: Option<PublicKey>,
    pub(in crate::server::core) device: DeviceId,
    pub(in crate::server::core) client_id: ClientId,
    pub(in crate::server::core) address: ClientAddress,
    pub(in crate::server::core) abilities: &'static Abilities,
    /// The highest counter of the device that is known to be settled; where the server numbers
    /// the messages, the highest that was given to one.
    pub(in crate::server::core) counter: u64,
    /// Who gives this session's messages their ids: told by the join, where it names the counter
    /// that comes next, and otherwise by the first message.
    pub(super) numbering: Option<Numbering>,
    /// The lowest counter that was refused for the time being and has not come again.
    pub(super) held: Option<u64>,
    /// One that was, has come again, and is not settled.
    pub(super) retried: Option<u64>,
    /// Operations of its that are staged or being committed, and promises to it.
    pub(in crate::server::core) pending: u32,
    /// Nicknames that it was promised.
    pub(super) renaming: u32,
    /// It is going, as soon as nothing of it is pending: what somebody said comes before the
    /// news that he left.
    pub(super) leaving: Option<Departure>,
    /// Its connection is gone already: there is nothing to close any more.
    pub(super) gone: bool,
}

/// Who gives messages their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server::core) enum Numbering {
    /// The client: it may send them again.
    Client,
    /// The server: for clients that can't send again, and for those that do without it.
    Server,
}

impl Session {
    pub(in crate::server::core) fn new(
        entry: &JoinRequest,
        visitor: &Visitor,
        rooms: SmallVec<[RoomIndex; 2]>,
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

    /// Whether it is in a room.
    pub(in crate::server::core) fn is_in(&self, room: RoomIndex) -> bool {
        self.rooms.contains(&room)
    }

    /// Whether an id can't be settled yet, because one before it was refused and has not come again.
    pub(in crate::server::core) fn holds_back(&self, id: MessageId) -> bool {
        id.device == self.device && self.held.is_some_and(|held| id.counter > held)
    }

    /// Settles who numbers this session's messages; false if it was the other one so far.
    pub(in crate::server::core) fn numbers(&mut self, by: Numbering) -> bool {
        *self.numbering.get_or_insert(by) == by
    }

    /// The next id that the server gives; `None`: the device has used up all numbers.
    pub(in crate::server::core) fn next_id(&mut self) -> Option<MessageId> {
        let counter = (self.counter < NUMBER_MAX).then_some(self.counter + 1)?;
        self.counter = counter;
        Some(MessageId {
            device: self.device,
            counter,
        })
    }

    /// Up to which counter the device is settled, as far as is known here.
    pub(in crate::server::core) fn settled(&self) -> u64 {
        let given = u64::from(self.numbering == Some(Numbering::Server));
        self.counter.saturating_sub(given)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Running,
    /// To end as soon as nothing is staged.
    Stopping,
    /// The store failed: to end now.
    Failed,
    Finished,
}

/// See the module's docs; [`super`] says how to drive it.
pub struct Hub {
    pub(in crate::server::core) settings: Settings,
    pub(in crate::server::core) epoch: Epoch,
    /// The time of the turn, as it is told.
    pub(in crate::server::core) now: Now,
    pub(super) clock: Clock,
    /// By how much the clock was corrected, as far as the store has not been told.
    pub(super) correction: SignedDuration,
    pub(in crate::server::core) rooms: Vec<Room>,
    pub(super) room_by_name: HashMap<RoomName, RoomIndex>,
    /// Those among them with changes of the member list that are not published yet.
    pub(super) changed: Vec<RoomIndex>,
    /// Accounts, moderation, invites and rate limits.
    pub(in crate::server::core) access: AccessControl,
    /// When records that could not be stored are tried again.
    pub(super) records_wait: Option<Duration>,
    /// Records are staged or being committed: what changes meanwhile waits, so that
    /// nothing older is ever written after something newer.
    pub(super) remembering: bool,
    /// What is told and done once records are committed that are not staged yet.
    pub(super) promised: Vec<Promise>,
    /// The same, where the store refused the records once.
    pub(super) overdue: Vec<Promise>,
    /// The connections whose joins wait for records that are not staged yet.
    pub(super) entering: Vec<ConnectionId>,
    pub(in crate::server::core) users: HashMap<UserId, User>,
    /// Whose each nickname is, by its folded form.
    pub(super) nicknames: HashMap<Box<str>, UserId>,
    pub(super) just_left: super::whowas::Whowas,
    pub(in crate::server::core) sessions: HashMap<ConnectionId, Box<Session>>,
    /// The session of each device.
    pub(in crate::server::core) devices: HashMap<DeviceId, ConnectionId>,
    /// The connections whose joins wait for the store.
    pub(in crate::server::core) joining: HashMap<ConnectionId, Box<JoinRequest>>,
    /// Those told to close that are not gone yet: nothing more is taken from them.
    pub(super) closing: HashSet<ConnectionId>,
    pub(super) staged: VecDeque<Staged>,
    pub(super) staged_bytes: usize,
    /// What is being committed.
    pub(super) committing: Option<pending::Committing>,
    /// So many of what is staged first go to the store by themselves.
    pub(super) reopening: usize,
    /// What was committed last was a step of retention.
    pub(super) retained: bool,
    pub(super) refusals: pending::Refusals,
    pub(super) retainer: Retainer,
    pub(super) state: State,
    pub(in crate::server::core) effects: Vec<Effect>,
}
