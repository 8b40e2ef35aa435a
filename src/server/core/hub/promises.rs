//! Promises: answers that wait until changed records are committed. They answer admin commands
//! (with their effects), changes of nickname, joins of new users, and lists of rooms and people.
//!
//! A power failure may undo what is not committed, so no client is told of it before. Access
//! control itself applies a change at once: a banned user can't join from the moment of the
//! command, and a nickname is taken. If the store refuses the records, the clients are told so; the
//! change stays in force, is retried, and its effects follow once it is stored.

use std::{mem, sync::Arc, time::Duration};

use super::{
    Hub, State,
    pending::{PendingKind, Promise},
};
use crate::{
    protocol::{
        Nickname, ServerFrame,
        frame::{ErrorCode, ErrorFrame},
    },
    server::{
        core::{ConnectionId, admin::AdminReply, command, event::JoinRequest, persist::Changes},
        log::Operation,
    },
};

/// How long after a failure the records are retried.
const RECORDS_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long records wait for others if all of them can: markers, which move all the time.
const LAZY_AFTER: Duration = Duration::from_secs(1);
/// Retry delay for clients whose request was not stored.
const NOT_STORED_RETRY_MS: u64 = 1_000;
/// Most commands that wait for their effects because the store refused their records; beyond, no
/// more are accepted.
const OVERDUE_MAX: usize = 1_000;
/// A number that no connection has.
pub(super) const NOBODY: ConnectionId = ConnectionId(0);

impl Hub {
    /// Answers a command and carries out its effects, once its changes are committed.
    pub(in crate::server::core) fn promise(&mut self, connection: ConnectionId, reply: AdminReply) {
        let Some(session) = self.sessions.get_mut(&connection) else {
            return;
        };
        let Some(user) = self.users.get(&session.user) else {
            return;
        };
        session.pending += 1;
        let by = Arc::clone(&user.member);
        let effects = self.anticipate(&by, reply.effects);
        self.promised.push(Promise::Command {
            answer: Some((connection, reply.result)),
            by,
            effects,
        });
    }

    /// Answers with a list that may tell of changes: once they are committed.
    pub(in crate::server::core) fn list_when_stored(
        &mut self,
        connection: ConnectionId,
        list: ServerFrame,
        reference: Option<u64>,
    ) {
        let is_stored = !self.remembering && self.access.changes() < Changes::Due;
        if is_stored && self.promised.is_empty() {
            return self.answer(connection, list);
        }
        if let Some(session) = self.sessions.get_mut(&connection) {
            session.pending += 1;
        }
        self.promised.push(Promise::List {
            connection,
            list: Box::new(list),
            reference,
        });
    }

    /// Whether another command is accepted: not while too many wait because the store refused their
    /// records.
    pub(in crate::server::core) fn has_room_for_promises(&self) -> Result<(), ErrorFrame> {
        if self.overdue.len() < OVERDUE_MAX {
            return Ok(());
        }
        Err(not_stored(
            "The server can't store earlier commands at the moment",
        ))
    }

    /// Whether a session waits for a change of its nickname.
    pub(in crate::server::core) fn renames_later(&self, connection: ConnectionId) -> bool {
        let session = self.sessions.get(&connection);
        session.is_some_and(|session| session.renaming > 0)
    }

    /// Changes the nickname of a session's user once their ownership of it is committed.
    pub(in crate::server::core) fn rename_when_stored(
        &mut self,
        connection: ConnectionId,
        nickname: Nickname,
        reference: Option<u64>,
    ) {
        if let Some(session) = self.sessions.get_mut(&connection) {
            session.pending += 1;
            session.renaming += 1;
        }
        self.promised.push(Promise::Nick {
            connection,
            nickname,
            reference,
        });
    }

    /// Admits a client once its new records are committed.
    pub(in crate::server::core) fn enter_when_stored(
        &mut self,
        connection: ConnectionId,
        entry: Box<JoinRequest>,
    ) {
        self.begin_joining(connection, entry);
        self.entering.push(connection);
    }

    /// Stages the changed records, if it is time, and behind them the joins that wait for them.
    pub(super) fn stage_records(&mut self) {
        let waits = self.records_wait.is_some_and(|at| self.now.mono < at);
        let is_wanted = !self.promised.is_empty() || !self.entering.is_empty();
        if self.remembering || waits && !is_wanted {
            return;
        }
        // Before a stop nothing waits.
        let is_running = self.state == State::Running;
        if is_running && !is_wanted && self.access.changes() == Changes::Lazy {
            let due = self.lazy_due.get_or_insert(self.now.mono + LAZY_AFTER);
            if self.now.mono < *due {
                return;
            }
        }
        self.records_wait = None;
        self.lazy_due = None;
        let records = self.access.take_changed();
        let mut promises = mem::take(&mut self.overdue);
        promises.append(&mut self.promised);
        if records.is_empty() {
            self.records_stored(promises);
        } else {
            self.remembering = true;
            let operation = Operation::PutState(records);
            self.stage(NOBODY, operation, PendingKind::PutState { promises });
        }
        for connection in mem::take(&mut self.entering) {
            // The connection may have closed meanwhile.
            if let Some(operation) = command::join::opening(self, connection) {
                self.stage(connection, operation, PendingKind::Enter);
            }
        }
    }

    /// Keeps the promises for records that are committed.
    pub(super) fn records_stored(&mut self, promises: Vec<Promise>) {
        self.remembering = false;
        self.access.stored();
        for promise in promises {
            match promise {
                Promise::Command {
                    answer,
                    by,
                    effects,
                } => {
                    self.carry_out(&by, effects);
                    if let Some((connection, result)) = answer {
                        self.answer(connection, ServerFrame::Result(result));
                        self.one_pending_less(connection);
                    }
                }
                Promise::Nick {
                    connection,
                    nickname,
                    reference,
                } => {
                    command::nick::renamed(self, connection, &nickname, reference);
                    self.one_rename_less(connection);
                }
                Promise::List {
                    connection, list, ..
                } => {
                    self.answer(connection, *list);
                    self.one_pending_less(connection);
                }
            }
        }
    }

    /// Notes that a user is called as they are now: what was noted of a nickname that they wanted
    /// does not count, also after a restart.
    pub(in crate::server::core) fn keep_nickname(&mut self, connection: ConnectionId) {
        let session = self.sessions.get(&connection);
        if let Some(present) = session.and_then(|session| self.users.get(&session.user)) {
            let (user, nickname) = (present.member.user, present.member.nickname.clone());
            self.access.accounts.claim(user, &nickname, self.now);
        }
    }

    /// Handles records that could not be committed: they are in force, and retried.
    pub(super) fn records_not_stored(&mut self, promises: Vec<Promise>) {
        self.remembering = false;
        self.access.not_stored();
        self.records_wait = Some(self.now.mono + RECORDS_AGAIN_AFTER);
        for promise in promises {
            match promise {
                Promise::Command {
                    answer,
                    by,
                    effects,
                } => {
                    if let Some((connection, result)) = answer {
                        let message = "The server can't store this at the moment and keeps trying. It \
                                       takes full effect once it is stored, unless the server stops \
                                       before";
                        // No retry delay: the command is in force and must not be repeated.
                        let error = ErrorFrame::new(ErrorCode::NotDurable, message);
                        self.refuse_request(connection, error, result.reference);
                        self.one_pending_less(connection);
                    }
                    if !effects.is_empty() {
                        self.overdue.push(Promise::Command {
                            answer: None,
                            by,
                            effects,
                        });
                    }
                }
                Promise::Nick {
                    connection,
                    reference,
                    ..
                } => {
                    self.keep_nickname(connection);
                    let error = not_stored("The server can't store your nickname at the moment");
                    self.refuse_request(connection, error, reference);
                    self.one_rename_less(connection);
                }
                Promise::List {
                    connection,
                    reference,
                    ..
                } => {
                    let error =
                        not_stored("The server can't store changes of this list at the moment");
                    self.refuse_request(connection, error, reference);
                    self.one_pending_less(connection);
                }
            }
        }
    }

    fn one_rename_less(&mut self, connection: ConnectionId) {
        if let Some(session) = self.sessions.get_mut(&connection) {
            session.renaming = session.renaming.saturating_sub(1);
        }
        self.one_pending_less(connection);
    }
}

fn not_stored(what: &str) -> ErrorFrame {
    ErrorFrame {
        retry_after_ms: Some(NOT_STORED_RETRY_MS),
        ..ErrorFrame::new(ErrorCode::NotDurable, &format!("{what}: try again"))
    }
}
