//! The hub: users, sessions, nicknames and rooms, and the decisions on what clients ask.
//!
//! The hub decides; it delivers nothing itself. A request is either answered at once or staged for
//! the store; while one batch is being committed the next one fills (group commit). Only what was
//! committed is published or acknowledged.
//!
//! `command/` has one file for each request; `commit` gives operations to the store and takes their
//! results, `admin` carries out admin commands, `operator` erases what the operator wants gone,
//! `promises` holds what waits for records to be committed, `presence` starts and ends sessions,
//! `retention` decides when old messages are erased.
use std::{
    collections::{HashMap, HashSet, VecDeque},
    mem,
    sync::Arc,
    time::Duration,
};

use jiff::SignedDuration;

use super::{
    ConnectionId,
    access::AccessControl,
    command,
    event::{ConnectionCommand, Effect, Event, JoinRequest, Publication, Request},
    log_event::LogEvent,
    room_map::RoomMap,
};
use crate::{
    protocol::{
        Epoch, RoomId, RoomRules, ServerFrame,
        frame::{Bye, Departure, ErrorCode, ErrorFrame},
    },
    server::log::{CORRECTION_MIN, KnownTimes, Standing, StateRecord},
    text::Line,
    time::Now,
};

mod admin;
mod clock;
mod commit;
mod mentions;
mod operator;
pub(super) mod pending;
mod presence;
mod promises;
mod retention;
mod rooms;
mod state;
mod whowas;

pub use self::state::Hub;
pub use self::state::Settings;
use self::state::State;
pub(in crate::server::core) use self::state::{Numbering, Room, Session, User};
use clock::Clock;

pub use retention::Keep;
use retention::Retainer;

/// Most operations that wait for the next batch; beyond, no requests are taken.
const STAGED_OPERATIONS_MAX: usize = 16_384;
/// Most bytes of text that wait for the next batch; beyond, no requests are taken.
const STAGED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Retry delay for clients when the server stops.
const SHUTDOWN_RETRY_MS: u64 = 1_000;

impl Hub {
    /// A hub without users. `standings` says where the log of each room stands, `known` is the result
    /// of [`LogWriter::known_times`](crate::server::log::LogWriter::known_times), `records` that of
    /// [`StateStore::state`](crate::server::log::StateStore::state).
    ///
    /// # Panics
    /// If there is no room.
    pub fn new(
        settings: Settings,
        epoch: Epoch,
        standings: &[(RoomId, Standing)],
        known: KnownTimes,
        records: &[StateRecord],
        now: Now,
    ) -> Self {
        assert!(!settings.rooms.is_empty(), "there is a lobby");
        let mut access = AccessControl::new(settings.access.clone(), &settings.rooms, records);
        for (room, _) in standings {
            access.rooms.adopt(*room);
        }
        let standings: HashMap<_, _> = standings.iter().copied().collect();
        let standing = |room| standings.get(&room).copied().unwrap_or_default();
        let rooms = access.rooms.iter();
        let rooms: RoomMap<_> = rooms
            .map(|(room, _)| (room, Room::new(room, standing(room))))
            .collect();
        let rules = access.rooms.iter();
        let rules = rules.filter(|(_, record)| record.rules != RoomRules::default());
        let start = Publication {
            rules: rules
                .map(|(room, record)| (room, Arc::new(record.rules.clone())))
                .collect(),
            ..Publication::default()
        };
        let mut effects = vec![Effect::Publish(Arc::new(start))];
        let ahead = known.last.filter(|last| {
            let by = last.duration_since(now.wall);
            by.is_positive() && by.unsigned_abs() > CORRECTION_MIN
        });
        effects.extend(ahead.map(|last| {
            Effect::Log(Box::new(LogEvent::ClockBehindLog {
                last,
                now: now.wall,
            }))
        }));
        Self {
            epoch,
            now,
            clock: Clock::new(now),
            correction: SignedDuration::ZERO,
            rooms,
            changed: Vec::new(),
            access,
            records_wait: None,
            lazy_due: None,
            remembering: false,
            promised: Vec::new(),
            overdue: Vec::new(),
            entering: Vec::new(),
            users: HashMap::new(),
            nicknames: HashMap::new(),
            just_left: whowas::Whowas::default(),
            sessions: HashMap::new(),
            devices: HashMap::new(),
            joining: HashMap::new(),
            closing: HashSet::new(),
            staged: VecDeque::new(),
            staged_bytes: 0,
            committing: None,
            reopening: 0,
            retained: false,
            refusals: pending::Refusals::default(),
            retainer: Retainer::new(settings.keep, known.believed.or(known.last), now),
            state: State::Running,
            effects,
            settings,
        }
    }

    /// Handles an event.
    pub fn handle_event(&mut self, now: Now, event: Event) {
        self.set_time(now);
        match event {
            Event::Requests {
                connection,
                requests,
            } => {
                for request in requests {
                    self.request(connection, request);
                }
            }
            Event::Closed { connection, reason } => {
                self.closing.remove(&connection);
                self.joining.remove(&connection);
                if let Some(session) = self.sessions.get_mut(&connection) {
                    session.gone = true;
                }
                self.leave(connection, reason);
            }
            Event::Erase(request) => self.erase(request),
            Event::Committed(outcome) => self.committed(outcome),
            Event::Stop => {
                if self.state == State::Running {
                    self.state = State::Stopping;
                    // Records that wait for a retry are retried now: there is no later.
                    self.records_wait = None;
                }
            }
        }
    }

    /// Ends a turn: publishes its changes together, and gives the store a batch if it is idle.
    /// Appends all effects since the last call.
    pub fn poll_effects(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.set_time(now);
        self.publish_presence();
        self.sweep(now);
        self.stage_records();
        self.append_staged(now);
        let idle = self.staged.is_empty() && self.committing.is_none();
        if self.state == State::Failed || self.state == State::Stopping && idle {
            self.finish();
        }
        effects.append(&mut self.effects);
    }

    /// When to end a turn even without an event; a time in the past means at once. `None`: not
    /// before the next event.
    pub fn wakes_at(&self) -> Option<Duration> {
        let idle = self.committing.is_none() && self.state == State::Running;
        let records = self.records_wait;
        let clock = Some(self.clock.due());
        let sweep = self.access.sweeps_at();
        let all = [
            self.retainer.wakes_at(),
            records,
            self.lazy_due,
            clock,
            sweep,
        ];
        all.into_iter().flatten().min().filter(|_| idle)
    }

    /// Whether it accepts requests now. If not, a commit in progress will change that.
    pub fn has_room(&self) -> bool {
        self.staged.len() < STAGED_OPERATIONS_MAX && self.staged_bytes < STAGED_BYTES_MAX
    }

    /// Whether the server has an owner.
    pub fn has_owner(&self) -> bool {
        self.access.has_owner()
    }

    /// The number of sessions.
    pub fn present(&self) -> usize {
        self.sessions.len()
    }

    /// Removes accounts that were not used for long. `clock`: the time as it was read.
    fn sweep(&mut self, clock: Now) {
        if self.state != State::Running {
            return;
        }
        let users = &self.users;
        let left = self.access.sweep(clock, |user| users.contains_key(&user));
        for room in left {
            self.room_changed(room);
        }
        if let Some(known) = self.access.accounts.fuller() {
            self.record(LogEvent::ManyAccounts { known });
        }
    }

    fn set_time(&mut self, now: Now) {
        let corrected = self.clock.read(now);
        let before = mem::replace(&mut self.now, self.clock.now());
        let Some(by) = corrected else { return };
        self.correction = self.correction.saturating_add(by);
        let stops_erasing = self.retainer.clock_corrected(now.mono);
        self.record(LogEvent::ClockCorrected {
            by,
            was: before.wall,
            now: now.wall,
            stops_erasing,
        });
    }

    fn request(&mut self, connection: ConnectionId, request: Request) {
        debug_assert!(
            !self.joining.contains_key(&connection),
            "a join is answered before anything else is asked"
        );
        let joined = self.sessions.get(&connection);
        let leaving = joined.is_some_and(|session| session.leaving.is_some());
        if leaving || self.closing.contains(&connection) {
            return;
        }
        match (request, joined.is_some()) {
            (Request::Join(entry), false) => command::join::run(self, connection, entry),
            (Request::Admin(request, random), true) => {
                command::admin::run(self, connection, &request, &random);
            }
            (Request::Frame(frame), true) => command::run(self, connection, frame),
            (Request::Refused(refusal), true) if !refusal.fatal() => {
                command::refused::run(self, connection, &refusal);
            }
            (Request::Refused(refusal), _) => {
                self.break_off(connection, refusal.frame(), Departure::Protocol);
            }
            (Request::Join(_) | Request::Admin(..) | Request::Frame(_), _) => {
                self.join_expected(connection);
            }
        }
    }

    pub(super) fn join_expected(&mut self, connection: ConnectionId) {
        let message = "The first frame, and only the first, must be a join";
        let error = ErrorFrame::new(ErrorCode::JoinExpected, message);
        self.break_off(connection, error, Departure::Protocol);
    }

    /// A room, if this connection is in it.
    pub(super) fn room_of(&self, connection: ConnectionId, room: RoomId) -> Option<&Room> {
        let session = self.sessions.get(&connection)?;
        self.rooms.get(&room).filter(|_| session.is_in(room))
    }

    pub(super) fn stopping(&self) -> bool {
        self.state != State::Running
    }

    pub(super) fn begin_joining(&mut self, connection: ConnectionId, entry: Box<JoinRequest>) {
        self.joining.insert(connection, entry);
    }

    pub(super) fn end_joining(&mut self, connection: ConnectionId) -> Option<Box<JoinRequest>> {
        self.joining.remove(&connection)
    }

    // Effects.

    pub(super) fn command(&mut self, connection: ConnectionId, command: ConnectionCommand) {
        self.effects.push(Effect::Command {
            connection,
            command,
        });
    }

    pub(super) fn answer(&mut self, connection: ConnectionId, frame: ServerFrame) {
        self.command(connection, ConnectionCommand::Answer(Some(Box::new(frame))));
    }

    /// Refuses a request that carries a reference.
    pub(super) fn refuse_request(
        &mut self,
        connection: ConnectionId,
        error: ErrorFrame,
        reference: Option<u64>,
    ) {
        let frame = ServerFrame::Error(ErrorFrame { reference, ..error });
        self.answer(connection, frame);
    }

    pub(super) fn record(&mut self, record: LogEvent) {
        self.effects.push(Effect::Log(Box::new(record)));
    }

    /// Sends a connection an error and closes it.
    pub(super) fn break_off(
        &mut self,
        connection: ConnectionId,
        error: ErrorFrame,
        reason: Departure,
    ) {
        self.close(connection, ServerFrame::Error(error), false);
        self.end_session(connection, reason);
    }

    fn close(&mut self, connection: ConnectionId, last: ServerFrame, drain: bool) {
        if self
            .sessions
            .get(&connection)
            .is_some_and(|session| session.gone)
        {
            return;
        }
        self.closing.insert(connection);
        let last = Some(Box::new(last));
        self.command(connection, ConnectionCommand::Close { last, drain });
    }

    fn finish(&mut self) {
        let failed = self.state == State::Failed;
        self.state = State::Finished;
        let message = if failed {
            "The server can't store messages any more and stops"
        } else {
            "The server is stopping"
        };
        for connection in mem::take(&mut self.sessions).into_keys() {
            self.close(connection, bye(Departure::Shutdown, message), true);
        }
        for connection in mem::take(&mut self.joining).into_keys() {
            self.close(connection, bye(Departure::Shutdown, message), true);
        }
        self.effects.push(Effect::Finished { failed });
    }
}

fn bye(reason: Departure, message: &str) -> ServerFrame {
    ServerFrame::Bye(Bye {
        reason,
        message: Line::inert(message),
        retry_after_ms: (reason == Departure::Shutdown).then_some(SHUTDOWN_RETRY_MS),
    })
}

#[cfg(test)]
mod tests;
