//! The server's half of the cluster: the hub, one replica, the endpoints of its connections, and a
//! disk that outlives the process.

mod frames;
pub(crate) mod members;
mod queries;
mod sent;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroU64,
    time::Duration,
};

use chat_tui::{
    protocol::{
        ClientFrame, Epoch, Fingerprint, InviteKey, OwnerCode, ReadMarker, ServerFrame,
        frame::{Departure, ErrorCode},
    },
    server::{
        core::{
            ConnectionId, access,
            client::Channel,
            endpoint::Pulse,
            event::{ConnectionCommand, Effect, Event, Request},
            hub::{Hub, Keep, Settings},
            log_query::LogQuery,
            rate_limit::{Limits, Rate},
            replica::{Replica, ReplicaLimits},
            rooms::{ROOMS_MAX_DEFAULT, RoomSettings},
            subscriber::Turn,
        },
        front::{AnyDialect, Endpoint},
        log::{
            Batch, Committed, LogReader, LogWriter, MemoryLimits, Operation, StateRecord,
            StateStore, StoreError,
        },
    },
    text::Line,
    time::Now,
};
use fastrand::Rng;
use jiff::Timestamp;

pub(crate) use self::members::Members;
use self::sent::Sent;
use crate::{
    disk::{Disk, Durability},
    mutant::{self, Forgetting, Messages, Mutant},
    net::Pipe,
    truth::{Fault, Truth, room_names},
};

/// Its listening address.
pub(crate) const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 10500);
/// The code that makes a user the owner.
pub(crate) const OWNER_CODE: OwnerCode = OwnerCode::from_bytes([0x0c; 10]);
/// Bytes fetched from the store at once: few, so that there are many pages.
const PAGE_BYTES: usize = 1500;

/// The settings of one server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    /// The limits at which its log loses its oldest entries.
    pub(crate) limits: MemoryLimits,
    /// When a commit counts as done.
    pub(crate) durability: Durability,
    /// How many messages of a room are kept; `None`: all.
    pub(crate) keep: Option<u64>,
    /// The rate limit of messages; `None`: no limit.
    pub(crate) messages: Option<Rate>,
    /// A commit that fails, counted from 0, and how.
    pub(crate) fails: Option<(u32, StoreError)>,
}

/// A server process, and the disk that it leaves behind.
pub(crate) struct Server {
    setup: Setup,
    pub(crate) disk: Disk,
    running: Option<Running>,
    /// Tokens made for clients that brought none.
    tokens: u64,
    mutant: Option<Mutant>,
    forgetting: Forgetting,
    messages: Messages,
    /// For [`Mutant::TimesStandStill`]: the latest time so far.
    latest: Timestamp,
    /// Records that [`Mutant::OwnershipEarly`] has announced, and not stored yet.
    unstored: Vec<StateRecord>,
    /// The commit that [`Mutant::AcknowledgesEarly`] has announced, and the disk does not have yet.
    early: Option<(Duration, Batch, Committed)>,
    /// Commits that fail from now on.
    pub(crate) failing: u32,
    /// Commits so far.
    pub(crate) commits: u32,
    /// Connections so far.
    pub(crate) connections: u64,
    /// The rooms and memberships in force.
    pub(crate) members: Members,
    sent: Sent,
    /// What the server did wrong, until it is told.
    fault: Option<Fault>,
    /// For [`Mutant::LeavesLate`]: commands that are carried out later.
    late: Vec<(Duration, ConnectionId, ConnectionCommand)>,
    /// Outcomes told so far.
    pub(crate) outcomes: u64,
    /// Messages refused so far for haste, their own or that of one before them.
    pub(crate) too_early: u64,
}

struct Running {
    hub: Hub,
    replica: Replica,
    endpoints: BTreeMap<ConnectionId, Endpoint>,
    committing: Option<(Duration, Batch)>,
    /// The clock's time when that began.
    began: Timestamp,
    /// Pending log queries, and when they end.
    looking: BTreeMap<ConnectionId, (Duration, LogQuery)>,
    /// It has said goodbye: for lack of a store, or because it was told to stop.
    finished: bool,
    /// Whether the store did not fail.
    in_order: bool,
}

/// The state of a connection after the server worked on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    /// As before, with output at that time.
    Waits(Duration),
    /// The server closed it: bytes in the pipe still arrive, then the end.
    Closed,
}

impl Server {
    /// Returns one that does not run yet.
    pub(crate) fn new(mut setup: Setup, mutant: Option<Mutant>) -> Self {
        if mutant == Some(Mutant::SyncsLater) {
            setup.durability = Durability::Pretended;
        }
        Self {
            setup,
            disk: Disk::new(setup.limits, setup.durability),
            running: None,
            tokens: 0,
            mutant,
            forgetting: Forgetting::default(),
            messages: Messages::default(),
            latest: Timestamp::MIN,
            unstored: Vec::new(),
            early: None,
            failing: 0,
            commits: 0,
            connections: 0,
            members: Members::default(),
            sent: Sent::default(),
            fault: None,
            late: Vec::new(),
            outcomes: 0,
            too_early: 0,
        }
    }

    /// Starts the process.
    pub(crate) fn start(&mut self, now: Now, truth: &mut Truth) -> Result<(), Fault> {
        self.disk.open(truth)?;
        let settings = Settings {
            clients_max: 100,
            rooms: room_names()
                .map(|name| RoomSettings { name, topic: None })
                .into(),
            server: Line::inert("simulated"),
            record_texts: false,
            keep: Keep {
                days: None,
                messages: self.setup.keep.and_then(NonZeroU64::new),
                bytes: None,
            },
            access: access::Settings {
                access: access::Access::Local,
                limits: Limits {
                    messages: self.setup.messages,
                    ..Limits::NONE
                },
                invite_key: InviteKey::from_bytes([0x1e; 32]),
                owner_code: OWNER_CODE,
                new_owner: false,
                keep_accounts_days: 365,
                room_makers: access::RoomMakers::default(),
                rooms_max: ROOMS_MAX_DEFAULT,
            },
        };
        let facts = self
            .disk
            .log
            .state()
            .map_err(|_| "the store's facts can't be read".to_owned())?;
        self.unstored.clear();
        self.members = Members::load(&facts);
        self.sent = Sent::default();
        self.late.clear();
        truth.check_nicknames(self.disk.epoch(), &facts)?;
        let standings = self.disk.log.standings();
        let known = self.disk.log.known_times();
        let heads = standings
            .iter()
            .map(|(room, standing)| (*room, standing.extent.head));
        // Small enough that slow readers fall out of both replicas' segments.
        let limits = ReplicaLimits {
            messages_bytes_max: 4000,
            presence_bytes_max: 1200,
            total_bytes_max: 5000,
        };
        self.running = Some(Running {
            replica: Replica::new(heads, limits),
            hub: Hub::new(settings, self.disk.epoch(), &standings, known, &facts, now),
            endpoints: BTreeMap::new(),
            committing: None,
            began: now.wall,
            looking: BTreeMap::new(),
            finished: false,
            in_order: true,
        });
        Ok(())
    }

    /// Kills the process. A commit under way may or may not have been written.
    pub(crate) fn kill(&mut self, rng: &mut Rng) {
        self.check_sent();
        self.early = None;
        if let Some(running) = self.running.take()
            && let Some((_, batch)) = running.committing
            && rng.bool()
        {
            let spoiled = self.spoiled(batch.clone());
            self.disk.write_untold(batch, spoiled);
        }
    }

    /// Ends a process that has said goodbye.
    pub(crate) fn end(&mut self) {
        self.check_sent();
        if self.running.take().is_some_and(|running| running.in_order) {
            self.disk.close();
        }
        self.early = None;
    }

    /// Tells the process to end.
    pub(crate) fn stop(&mut self, now: Now) {
        if let Some(running) = &mut self.running {
            running.hub.handle_event(now, Event::Stop);
        }
    }

    /// Whether the process is about to end by itself.
    pub(crate) fn is_finished(&self) -> bool {
        self.running
            .as_ref()
            .is_some_and(|running| running.finished)
    }

    /// Whether the process runs.
    pub(crate) fn is_up(&self) -> bool {
        self.running.is_some()
    }

    /// The epoch of its log.
    pub(crate) fn epoch(&self) -> Epoch {
        self.disk.epoch()
    }

    fn check_sent(&mut self) {
        if let Err(fault) = self.sent.check(&self.members) {
            self.fault.get_or_insert(fault);
        }
    }

    /// Checks that the server has done nothing wrong with rooms so far.
    pub(crate) fn check_rooms(&mut self) -> Result<(), Fault> {
        self.check_sent();
        self.fault.clone().map_or(Ok(()), Err)
    }

    /// Accepts a connection.
    pub(crate) fn accept(&mut self, now: Now, id: ConnectionId) {
        self.connections += 1;
        if let Some(running) = &mut self.running {
            let client = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
            let channel = Channel::plain(client, Fingerprint::from_bytes([7; 32]), ADDRESS);
            running
                .endpoints
                .insert(id, Endpoint::new(channel, AnyDialect::json(), now));
        }
    }

    /// Handles a connection that broke or was closed at the other end.
    pub(crate) fn lost(&mut self, now: Now, id: ConnectionId) {
        if let Some(running) = &mut self.running
            && running.endpoints.remove(&id).is_some()
        {
            running.hub.handle_event(
                now,
                Event::Closed {
                    connection: id,
                    reason: Departure::Lost,
                },
            );
        }
    }

    /// Handles the tick of each second.
    pub(crate) fn tick(&mut self, now: Now) -> Vec<ConnectionId> {
        let Some(running) = &mut self.running else {
            return Vec::new();
        };
        let mut gone = Vec::new();
        for (id, endpoint) in &mut running.endpoints {
            let late = endpoint
                .deadline(false)
                .is_some_and(|deadline| deadline <= now.mono);
            if endpoint.handle_tick(now) == Pulse::Gone {
                let closed = Event::Closed {
                    connection: *id,
                    reason: Departure::Timeout,
                };
                running.hub.handle_event(now, closed);
                gone.push(*id);
            } else if late {
                gone.push(*id);
            }
        }
        for id in &gone {
            running.endpoints.remove(id);
        }
        gone
    }

    /// Returns when the commit under way ends.
    pub(crate) fn commit_due(&self) -> Option<Duration> {
        let running = self.running.as_ref()?;
        let under_way = running.committing.as_ref().map(|(due, _)| *due);
        under_way.or(self.early.as_ref().map(|(due, ..)| *due))
    }

    /// Returns when the process has to act by itself.
    pub(crate) fn wakes_at(&self) -> Option<Duration> {
        let running = self.running.as_ref()?;
        let looks = running.looking.values().map(|(due, _)| *due).min();
        looks
            .into_iter()
            .chain(self.commit_due())
            .chain(running.hub.wakes_at())
            .min()
    }

    /// Ends the commit under way if it is due.
    pub(crate) fn commit(
        &mut self,
        now: Now,
        truth: &mut Truth,
        rng: &mut Rng,
    ) -> Result<(), Fault> {
        if let Some((_, asked, committed)) = self.early.take_if(|(due, ..)| *due <= now.mono) {
            return truth.commit(self.disk.epoch(), &asked, &committed);
        }
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        let Some((_, batch)) = running.committing.take_if(|(due, _)| *due <= now.mono) else {
            return Ok(());
        };
        let began = running.began;
        let number = self.commits;
        self.commits += 1;
        let fails = self.setup.fails.filter(|(at, _)| *at == number);
        let asked = batch.clone();
        let outcome = match fails.map(|(_, error)| error) {
            Some(StoreError::InDoubt | StoreError::Damaged) => {
                if rng.bool() {
                    let spoiled = self.spoiled(batch);
                    self.disk.write_untold(asked.clone(), spoiled);
                }
                Err(StoreError::InDoubt)
            }
            Some(error @ (StoreError::Refused | StoreError::Fatal)) => Err(error),
            None if self.failing > 0 => {
                self.failing -= 1;
                Err(StoreError::Refused)
            }
            None => self.append(batch, rng),
        };
        if let Ok(committed) = &outcome {
            truth.commit(self.disk.epoch(), &asked, committed)?;
            Truth::check_times(committed, began)?;
        }
        if let Some(running) = &mut self.running {
            running.hub.handle_event(now, Event::Committed(outcome));
        }
        Ok(())
    }

    fn append(&mut self, batch: Batch, rng: &mut Rng) -> Result<Committed, StoreError> {
        let batch = self.spoiled(batch);
        self.disk.append(batch, rng)
    }

    fn spoiled(&mut self, mut batch: Batch) -> Batch {
        match self.mutant {
            Some(Mutant::NoDeduplication) => self.forgetting.spoil(&mut batch),
            Some(Mutant::OwnershipEarly) => {
                mutant::facts_of_before(&mut batch, &mut self.unstored);
            }
            Some(Mutant::DeviceOfAnybody) => mutant::forget_owners(&mut batch),
            Some(Mutant::HoldsNothingBack) => mutant::fill_holes(&mut batch),
            Some(Mutant::EditsOfOthers) => self.messages.sign_for_others(&mut batch),
            Some(Mutant::StoresUnchanged) => self.messages.change_unchanged(&mut batch),
            Some(Mutant::TimesStandStill) => {
                self.latest = self.latest.max(batch.now);
                batch.now = self.latest;
            }
            _ => {}
        }
        batch
    }

    /// Reads arrived bytes of a connection, as far as the server wants to.
    pub(crate) fn read(&mut self, now: Now, id: ConnectionId, up: &mut Pipe) {
        let Some(running) = &mut self.running else {
            return;
        };
        let Some(endpoint) = running.endpoints.get_mut(&id) else {
            return;
        };
        endpoint.handle_time(now);
        let mut requests = Vec::new();
        loop {
            let mut fresh = || {
                self.tokens += 1;
                let mut bytes = [0xaa; 32];
                bytes[..8].copy_from_slice(&self.tokens.to_le_bytes());
                bytes
            };
            while running.hub.has_room()
                && let Some(request) = endpoint.poll_request(&running.replica, &mut fresh)
            {
                self.sent.asked(id, &request, &self.members);
                let Some((user, room, marker)) = self.sent.marker(id, &request) else {
                    requests.push(request);
                    continue;
                };
                let extents = self.disk.log.extents();
                let extent = extents.iter().find(|(of, _)| *of == room);
                let head = extent.map_or(0, |(_, extent)| extent.head);
                self.members.marked(user, room, marker, head);
                requests.push(request);
                // What another device sent before it learned of a marker set by hand comes late.
                if let Some(generation) = marker.generation.checked_sub(1) {
                    let marker = ReadMarker {
                        seq: head,
                        generation,
                    };
                    let mut late = Request::Frame(ClientFrame::Read { room, marker });
                    self.members.marked(user, room, marker, head);
                    if self.mutant == Some(Mutant::OldAdvance) {
                        mutant::renew_advance(&mut late, generation + 1);
                    }
                    requests.push(late);
                }
            }
            if !endpoint.may_read() || !running.hub.has_room() {
                break;
            }
            let Some(bytes) = up.read(now.mono) else {
                break;
            };
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let space = endpoint.space();
                let count = space.len().min(rest.len());
                space[..count].copy_from_slice(&rest[..count]);
                endpoint.handle_received(now, count);
                rest = &rest[count..];
            }
        }
        if !requests.is_empty() {
            running.hub.handle_event(
                now,
                Event::Requests {
                    connection: id,
                    requests,
                },
            );
        }
    }

    /// Ends the hub's turn and carries out its effects.
    pub(crate) fn finish_turn(&mut self, now: Now, rng: &mut Rng) {
        let Some(running) = &mut self.running else {
            return;
        };
        let mut acknowledge = false;
        let mut effects = Vec::new();
        for (_, connection, command) in self.late.extract_if(.., |(due, ..)| *due <= now.mono) {
            if let Some(endpoint) = running.endpoints.get_mut(&connection) {
                endpoint.handle_command(now, &mut running.replica, command);
            }
        }
        running.hub.poll_effects(now, &mut effects);
        for effect in effects {
            match effect {
                Effect::Append(batch) => {
                    for operation in &batch.operations {
                        if let Operation::PutState(records) = operation
                            && let Err(fault) = self.members.take(records)
                        {
                            self.fault.get_or_insert(fault);
                        }
                    }
                    let latency = match rng.u8(..10) {
                        0 => rng.u64(0..2000),
                        _ => rng.u64(0..20),
                    };
                    let due = now.mono + Duration::from_millis(latency);
                    assert!(running.committing.is_none(), "one append at a time");
                    running.committing = Some((due, batch));
                    running.began = now.wall;
                    acknowledge |= self.mutant == Some(Mutant::AcknowledgesEarly);
                }
                Effect::Publish(publication) => {
                    let spoiled = match self.mutant {
                        Some(Mutant::OutOfOrder) => Some(mutant::out_of_order(&publication)),
                        Some(Mutant::MemoryNotTold) => Some(mutant::not_rewritten(&publication)),
                        _ => None,
                    };
                    let publication = spoiled.as_ref().unwrap_or(&publication);
                    running.replica.publish(publication);
                    for endpoint in running.endpoints.values_mut() {
                        endpoint.handle_publication(&running.replica, publication);
                    }
                }
                Effect::Command {
                    connection,
                    mut command,
                } => {
                    match &command {
                        ConnectionCommand::Stored(_) => self.outcomes += 1,
                        ConnectionCommand::Answer(Some(answer)) => match &**answer {
                            ServerFrame::Ack(_) => self.outcomes += 1,
                            ServerFrame::Error(error) => {
                                let early = [ErrorCode::RateLimited, ErrorCode::HeldBack];
                                self.too_early += u64::from(early.contains(&error.code));
                            }
                            _ => {}
                        },
                        _ => {}
                    }
                    if self.mutant == Some(Mutant::LeavesLate) && mutant::ends_room(&command) {
                        let due = now.mono + Duration::from_millis(500);
                        self.late.push((due, connection, command));
                        continue;
                    }
                    if self.mutant == Some(Mutant::NameTold) {
                        mutant::tell_name(&mut command, |reference| {
                            let name = self.sent.name_of(connection, reference);
                            name.is_some_and(|name| self.members.is_private_name(name.as_str()))
                        });
                    }
                    if let ConnectionCommand::Admit(admission) = &mut command
                        && self.mutant == Some(Mutant::CursorOffByOne)
                    {
                        mutant::off_by_one(admission);
                    }
                    if let Some(endpoint) = running.endpoints.get_mut(&connection) {
                        endpoint.handle_command(now, &mut running.replica, command);
                    }
                }
                Effect::Finished { failed } => {
                    running.finished = true;
                    running.in_order = !failed;
                }
                // No operator asks for it here.
                Effect::Log(_) | Effect::Erased { .. } => {}
            }
        }
        if acknowledge && self.early.is_none() {
            self.acknowledge_early(now, rng);
        }
    }

    fn acknowledge_early(&mut self, now: Now, rng: &mut Rng) {
        let Some((due, batch)) = self.running.as_mut().and_then(|r| r.committing.take()) else {
            return;
        };
        let asked = batch.clone();
        let outcome = self.append(batch, rng);
        let committed = outcome.clone().ok();
        self.early = committed.map(|committed| (due, asked, committed));
        if let Some(running) = &mut self.running {
            running.hub.handle_event(now, Event::Committed(outcome));
        }
    }

    /// Writes a connection's output, as far as the pipe takes it.
    pub(crate) fn write(
        &mut self,
        now: Now,
        id: ConnectionId,
        down: &mut Pipe,
        rng: &mut Rng,
    ) -> State {
        let Some(running) = &mut self.running else {
            return State::Closed;
        };
        let Some(endpoint) = running.endpoints.get_mut(&id) else {
            return State::Closed;
        };
        loop {
            let offer = match endpoint.poll_turn(now, &mut running.replica) {
                Turn::Write(gather) => {
                    let slices: Vec<&[u8]> = gather.slices().iter().map(|s| &s[..]).collect();
                    slices.concat()
                }
                Turn::Fetch { room, from } => {
                    let page = self
                        .disk
                        .log
                        .read(room, from, PAGE_BYTES)
                        .expect("it can be read");
                    if !endpoint.handle_page(&running.replica, room, page) {
                        self.lost(now, id);
                        return State::Closed;
                    }
                    continue;
                }
                Turn::Wait(until) => return State::Waits(until),
                Turn::Idle => return State::Open,
                Turn::Done => {
                    running.endpoints.remove(&id);
                    return State::Closed;
                }
            };
            let count = down.write(now.mono, &offer, rng);
            if let Err(fault) = self.sent.see(id, &offer[..count], &self.members) {
                self.fault.get_or_insert(fault);
            }
            endpoint.handle_written(now, &running.replica, count);
            if count < offer.len() {
                if endpoint.has_page() && rng.bool() {
                    endpoint.drop_page();
                }
                return State::Open;
            }
        }
    }
}
