//! Gives operations to the store in batches, and handles their results.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::{
    Hub, State,
    pending::{Committing, Pending, PendingKind, Refusals, Staged},
};
use crate::{
    protocol::{
        MessageId, ServerFrame,
        frame::{Ack, ErrorCode, ErrorFrame, Outcome},
    },
    server::{
        core::{
            ConnectionId, command,
            event::{ConnectionCommand, Effect, EraseError, EraseRequest, Publication},
            log_event::LogEvent,
        },
        log::{
            Batch, Committed, ERASE_MAX, MessageOutcome, OpResult, Operation, Retention, StoreError,
        },
    },
    time::Now,
};

/// Most operations of one batch.
const BATCH_OPERATIONS_MAX: usize = 4_096;
/// Most bytes of text of one batch, not counting its last message: a quarter of what a replica
/// holds of a room, so that a subscriber that keeps up finds a commit there and need not read the
/// store.
const BATCH_BYTES_MAX: usize = 256 * 1024;
/// Retry delay for a message that could not be stored.
const NOT_DURABLE_RETRY_MS: u64 = 1_000;
/// Retry delay for a message that has to wait for an earlier one.
const HELD_BACK_RETRY_MS: u64 = 250;
/// About the bytes of a redaction's frame.
const REDACTION_BYTES: u64 = 256;
/// Shortest time between two log lines about refused operations.
const REFUSED_SAID_EVERY: Duration = Duration::from_mins(1);

impl Hub {
    /// Puts an operation into the next batch.
    pub(in crate::server::core) fn stage(
        &mut self,
        connection: ConnectionId,
        operation: Operation,
        what: PendingKind,
    ) {
        if let Some(session) = self.sessions.get_mut(&connection) {
            session.pending += 1;
            if let Some(id) = what.id()
                && session.held == Some(id.counter)
            {
                session.retried = session.held.take();
            }
        }
        let bytes = match &what {
            PendingKind::Message { bytes, .. } => *bytes,
            PendingKind::Erase(request) => redactions_bytes(request),
            PendingKind::Open
            | PendingKind::Enter
            | PendingKind::PutState { .. }
            | PendingKind::Note { .. }
            | PendingKind::Withdraw { .. }
            | PendingKind::Refuse { .. } => 0,
        };
        self.staged_bytes += bytes;
        self.staged.push_back(Staged {
            operation,
            pending: Pending { connection, what },
            bytes,
        });
    }

    /// Gives the store the next batch, if it is idle, or a step of retention if one is due: each
    /// has a commit of its own, so that neither fails with the other, and they take turns. `clock`:
    /// the time as it was read.
    pub(super) fn append_staged(&mut self, clock: Now) {
        // After a failure the end of the log is unknown, so nothing is added to it.
        let over = matches!(self.state, State::Failed | State::Finished);
        if self.committing.is_some() || over {
            return;
        }
        let waits = !self.staged.is_empty();
        if !(waits && self.retained)
            && let Some(retention) = self.retention(clock)
        {
            self.retained = true;
            let operations = vec![Operation::Retain(retention)];
            return self.commit(
                clock.wall,
                operations,
                Committing {
                    retains: true,
                    ..Committing::default()
                },
            );
        }
        self.retained = false;
        if !waits {
            return;
        }
        let most = match std::mem::take(&mut self.reopening) {
            0 => BATCH_OPERATIONS_MAX,
            reopening => reopening,
        };
        let mut bytes = 0;
        let fits = |staged: &&Staged| {
            let fits = bytes < BATCH_BYTES_MAX;
            bytes += staged.bytes;
            fits
        };
        let count = self.staged.iter().take(most).take_while(fits).count();
        let mut operations = Vec::with_capacity(count);
        let mut pending = Vec::with_capacity(count);
        for staged in self.staged.drain(..count) {
            self.staged_bytes -= staged.bytes;
            operations.push(staged.operation);
            pending.push(staged.pending);
        }
        // The store writes it with an entry; a batch of joins alone need not be written.
        let messages = |operation: &_| {
            matches!(
                operation,
                Operation::Append { .. } | Operation::Note { .. } | Operation::Erase { .. }
            )
        };
        let correction = if operations.iter().any(messages) {
            self.correction
        } else {
            SignedDuration::ZERO
        };
        self.commit(
            self.now.wall,
            operations,
            Committing {
                pending,
                correction,
                ..Committing::default()
            },
        );
    }

    fn commit(&mut self, now: Timestamp, operations: Vec<Operation>, committing: Committing) {
        let correction = committing.correction;
        self.committing = Some(committing);
        self.effects.push(Effect::Append(Batch {
            now,
            correction,
            operations,
        }));
    }

    fn retention(&mut self, clock: Now) -> Option<Retention> {
        if self.state != State::Running {
            return None;
        }
        let rooms = self.rooms.values().map(|room| room.extent);
        let due = self.retainer.look(clock, rooms);
        if let Some(by) = due.doubt {
            self.record(LogEvent::ClockDoubted { by });
        }
        due.step
    }

    pub(super) fn committed(&mut self, outcome: Result<Committed, StoreError>) {
        let Committing {
            pending,
            retains,
            correction,
        } = self.committing.take().unwrap_or_default();
        match outcome {
            Ok(committed) => {
                self.correction = self.correction.saturating_sub(correction);
                self.take_up(pending, retains, committed);
            }
            Err(StoreError::Refused) => {
                if retains {
                    self.retainer.failed();
                }
                self.refused(pending, retains);
            }
            Err(StoreError::Fatal | StoreError::InDoubt | StoreError::Damaged) => {
                self.record(LogEvent::StoreFailed);
                if self.state != State::Finished {
                    self.state = State::Failed;
                }
            }
        }
        self.tell_refusals();
    }

    /// Handles a batch of which the store did nothing. Joins in a mixed batch are tried once more
    /// by themselves, since they need no write; joins behind changed records fail with the rest.
    fn refused(&mut self, pending: Vec<Pending>, retains: bool) {
        let mixed = !pending.iter().all(Pending::is_open);
        let (opens, others): (Vec<_>, Vec<_>) = pending
            .into_iter()
            .partition(|pending| mixed && pending.is_open());
        for pending in opens.into_iter().rev() {
            // The connection may have closed meanwhile.
            if let Some(operation) = command::join::opening(self, pending.connection) {
                self.reopening += 1;
                self.staged.push_front(Staged {
                    operation,
                    pending,
                    bytes: 0,
                });
            }
        }
        self.refusals.untold += others.len() + usize::from(retains);
        for pending in others {
            self.not_durable(pending);
        }
    }

    fn tell_refusals(&mut self) {
        let Refusals { untold, told } = self.refusals;
        let now = self.now.mono;
        if untold > 0 && told.is_none_or(|told| now >= told + REFUSED_SAID_EVERY) {
            self.refusals = Refusals {
                untold: 0,
                told: Some(now),
            };
            self.record(LogEvent::StoreRefused { operations: untold });
        }
    }

    fn take_up(&mut self, pending: Vec<Pending>, retains: bool, committed: Committed) {
        let operations = pending.len() + usize::from(retains);
        debug_assert_eq!(operations, committed.results.len());
        for run in &committed.runs {
            self.rooms[run.room].extent.head = run.segment.next() - 1;
        }
        for &(id, first) in &committed.firsts {
            let room = &mut self.rooms[id];
            let from = std::mem::replace(&mut room.extent.first, first);
            if retains {
                let (room, to) = (self.label(id), first - 1);
                self.record(LogEvent::Erased { room, from, to });
            }
        }
        if retains {
            let more = committed.results.last() == Some(&OpResult::Retained { more: true });
            self.retainer.done(more);
        }
        for &(room, revised) in &committed.revised {
            self.rooms[room].revised = revised;
        }
        if !committed.runs.is_empty() || !committed.firsts.is_empty() {
            self.effects.push(Effect::Publish(Arc::new(Publication {
                runs: committed.runs,
                rewritten: committed.rewritten,
                firsts: committed.firsts,
                ..Publication::default()
            })));
        }
        for (pending, verdict) in pending.into_iter().zip(committed.results) {
            self.conclude(pending, &verdict);
        }
    }

    fn conclude(&mut self, pending: Pending, verdict: &OpResult) {
        let Pending { connection, what } = pending;
        let id = match (&what, verdict) {
            (
                PendingKind::Open | PendingKind::Enter,
                OpResult::Opened {
                    counter,
                    ids,
                    unread,
                },
            ) => {
                let opened = command::join::Opened {
                    counter: *counter,
                    ids: ids.clone(),
                    unread: unread.clone(),
                };
                return command::join::opened(self, connection, &opened);
            }
            (PendingKind::Open | PendingKind::Enter, OpResult::Damaged) => {
                let message = "The server's record of this device is damaged: tell its operator, \
                               or join with another client ID";
                let error = ErrorFrame::new(ErrorCode::Unavailable, message);
                return command::join::failed(self, connection, error);
            }
            (PendingKind::Open | PendingKind::Enter, _) => {
                return command::join::not_opened(self, connection, verdict);
            }
            (PendingKind::PutState { .. }, _) => {
                if let PendingKind::PutState { promises, .. } = what {
                    self.records_stored(promises);
                }
                return;
            }
            (PendingKind::Note { room, invited }, verdict) => {
                return self.noted(*room, *invited, verdict);
            }
            (PendingKind::Erase(request), _) => return self.erase_committed(request, verdict),
            (
                PendingKind::Message { id, .. }
                | PendingKind::Withdraw { id }
                | PendingKind::Refuse { id, .. },
                _,
            ) => *id,
        };
        match verdict {
            OpResult::Damaged => return self.not_durable(Pending { connection, what }),
            OpResult::Done(settled) => {
                self.settled(connection, id);
                self.done(connection, what, *settled);
            }
            OpResult::Repeated(settled) => {
                self.settled(connection, id);
                let answer = Self::outcome(id, *settled);
                self.answer(connection, answer);
            }
            OpResult::StatePut | OpResult::Erased { .. } => {}
            OpResult::CounterGap { .. }
            | OpResult::Opened { .. }
            | OpResult::Foreign
            | OpResult::TooFarAhead
            | OpResult::Retained { .. } => {
                let answer = self.gap_answer(connection, id);
                self.answer(connection, answer);
            }
        }
        self.one_pending_less(connection);
    }

    /// Answers an operation that was carried out just now.
    fn done(&mut self, connection: ConnectionId, what: PendingKind, settled: MessageOutcome) {
        let (id, room, seq, time) = match (&what, settled) {
            (PendingKind::Message { id, .. }, MessageOutcome::Stored { room, seq, time }) => {
                (*id, room, seq, time)
            }
            (PendingKind::Refuse { error, .. }, _) => {
                return self.answer(connection, ServerFrame::Error(ErrorFrame::clone(error)));
            }
            (PendingKind::Message { id, .. } | PendingKind::Withdraw { id }, _) => {
                let answer = Self::outcome(*id, settled);
                return self.answer(connection, answer);
            }
            (
                PendingKind::Open
                | PendingKind::Enter
                | PendingKind::PutState { .. }
                | PendingKind::Note { .. }
                | PendingKind::Erase(_),
                _,
            ) => return,
        };
        let ack = Box::new(Ack {
            id,
            outcome: Outcome::Stored { room, seq, time },
        });
        self.command(connection, ConnectionCommand::Stored(ack));
        let PendingKind::Message {
            sender,
            bytes,
            text,
            is_new,
            ..
        } = what
        else {
            return;
        };
        if is_new {
            self.show_again(room);
        }
        let session = self.sessions.get(&connection);
        let is_left_out = session.is_some_and(|session| !session.abilities.hears_itself);
        self.record(LogEvent::Message {
            sender,
            address: session.map(|session| session.address),
            id,
            room: self.label(room),
            seq,
            bytes,
            time,
            receivers: self.rooms[room].readers - usize::from(is_left_out),
            text,
        });
    }

    /// The answer for an id that has an outcome.
    fn outcome(id: MessageId, settled: MessageOutcome) -> ServerFrame {
        let outcome = match settled {
            MessageOutcome::Stored { room, seq, time } => Outcome::Stored { room, seq, time },
            MessageOutcome::Withdrawn => Outcome::Withdrawn,
            MessageOutcome::Unchanged => Outcome::Unchanged,
            MessageOutcome::Forgotten => Outcome::Settled,
            MessageOutcome::Refused(code) => {
                return ServerFrame::Error(ErrorFrame {
                    id: Some(id),
                    ..ErrorFrame::new(code, "This message was refused before")
                });
            }
        };
        ServerFrame::Ack(Ack { id, outcome })
    }

    /// The answer for an id that leaves a gap: an earlier one has no outcome yet.
    pub(in crate::server::core) fn gap_answer(
        &self,
        connection: ConnectionId,
        id: MessageId,
    ) -> ServerFrame {
        let session = self.sessions.get(&connection);
        let held = session.is_some_and(|session| session.held.or(session.retried).is_some());
        let (code, message) = if held {
            let message = "An earlier message has to be stored first";
            (ErrorCode::HeldBack, message)
        } else {
            let message = "The message before this one is missing";
            (ErrorCode::BadId, message)
        };
        ServerFrame::Error(ErrorFrame {
            id: Some(id),
            retry_after_ms: Some(HELD_BACK_RETRY_MS),
            ..ErrorFrame::new(code, message)
        })
    }

    fn not_durable(&mut self, pending: Pending) {
        let Pending { connection, what } = pending;
        let mut refusal = ErrorFrame {
            retry_after_ms: Some(NOT_DURABLE_RETRY_MS),
            ..ErrorFrame::new(
                ErrorCode::NotDurable,
                "The server can't store messages at the moment",
            )
        };
        match what {
            PendingKind::Open | PendingKind::Enter => {
                command::join::failed(self, connection, refusal);
            }
            PendingKind::PutState { promises } => self.records_not_stored(promises),
            // It was about something that is stored anyway.
            PendingKind::Note { room, invited } => {
                let next = self.head_ahead(room) + 1;
                self.begins(room, invited, next);
            }
            PendingKind::Erase(request) => self.erase_done(&request, Err(EraseError::Unavailable)),
            PendingKind::Message { id, .. }
            | PendingKind::Withdraw { id }
            | PendingKind::Refuse { id, .. } => {
                refusal.id = Some(id);
                self.hold(connection, id);
                self.answer(connection, ServerFrame::Error(refusal));
                self.one_pending_less(connection);
            }
        }
    }

    /// Notes that an id was refused temporarily.
    pub(in crate::server::core) fn hold(&mut self, connection: ConnectionId, id: MessageId) {
        if let Some(session) = self.sessions.get_mut(&connection) {
            let held = session.held.get_or_insert(id.counter);
            *held = id.counter.min(*held);
            session.retried = session.retried.filter(|retried| *retried != id.counter);
        }
    }

    fn settled(&mut self, connection: ConnectionId, id: MessageId) {
        if let Some(session) = self.sessions.get_mut(&connection) {
            session.counter = session.counter.max(id.counter);
            session.held = session.held.filter(|held| *held > id.counter);
            session.retried = session.retried.filter(|retried| *retried > id.counter);
        }
    }

    pub(super) fn one_pending_less(&mut self, connection: ConnectionId) {
        let Some(session) = self.sessions.get_mut(&connection) else {
            return;
        };
        session.pending = session.pending.saturating_sub(1);
        if session.pending == 0
            && let Some(reason) = session.leaving
        {
            self.part(connection, reason);
        }
    }
}

/// About the bytes of the entries that an erasure makes.
fn redactions_bytes(request: &EraseRequest) -> usize {
    let count = request
        .to
        .saturating_add(1)
        .saturating_sub(request.from)
        .min(ERASE_MAX);
    usize::try_from(count * REDACTION_BYTES).unwrap_or(usize::MAX)
}
