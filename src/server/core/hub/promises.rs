//! Promises: what waits until changed records are committed. These are the answers to admin commands and
//! their effects, nicknames that a user comes to own, and clients that join as a new user.
//!
//! A power failure may undo what is not committed, so nobody is told of it before. Access control itself
//! goes by it at once: a banned user is not let in from the moment of the command, and a nickname is
//! taken. If the store refuses the records, the clients are told so; what they asked for stays in force,
//! is tried again, and its effects follow once it is stored.

use std::{mem, sync::Arc, time::Duration};

use super::{
    Hub,
    pending::{Promise, What},
};
use crate::{
    protocol::{
        Nickname, ServerFrame,
        frame::{ErrorCode, ErrorFrame},
    },
    server::{
        core::{ConnectionId, admin::AdminReply, command, event::JoinRequest},
        log::Operation,
    },
};

/// After how long records are tried again that could not be stored.
const RECORDS_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// When a client is to try again what was not stored.
const NOT_STORED_RETRY_MS: u64 = 1_000;
/// Commands that may wait for their effects because the store refused their records; then no more are
/// taken.
const OVERDUE_MAX: usize = 1_000;
/// No connection has this number.
const NOBODY: ConnectionId = ConnectionId(0);

impl Hub {
    /// Answers a command, and does what follows from it, once what it changed is committed.
    pub(in crate::server::core) fn promise(&mut self, connection: ConnectionId, reply: AdminReply) {
        let Some(session) = self.sessions.get_mut(&connection) else {
            return;
        };
        let Some(user) = self.users.get(&session.user) else {
            return;
        };
        session.pending += 1;
        self.promised.push(Promise::Command {
            answer: Some((connection, reply.result)),
            by: Arc::clone(&user.member),
            effects: reply.effects,
        });
    }

    /// Whether another command may be given; the store may have refused the records of too many.
    pub(in crate::server::core) fn has_room_for_promises(&self) -> Result<(), ErrorFrame> {
        if self.overdue.len() < OVERDUE_MAX {
            return Ok(());
        }
        Err(not_stored("The server can't store what was done before"))
    }

    /// Whether a session waits for another nickname.
    pub(in crate::server::core) fn renames_later(&self, connection: ConnectionId) -> bool {
        let session = self.sessions.get(&connection);
        session.is_some_and(|session| session.renaming > 0)
    }

    /// Renames a session's user once it is committed that the nickname is theirs.
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

    /// Lets a client in once it is committed what it comes to own.
    pub(in crate::server::core) fn enter_when_stored(
        &mut self,
        connection: ConnectionId,
        entry: Box<JoinRequest>,
    ) {
        self.begin_joining(connection, entry);
        self.entering.push(connection);
    }

    /// Stages the records that changed, if it is time, and behind them the clients that wait to join.
    pub(super) fn stage_records(&mut self) {
        let waits = self.records_wait.is_some_and(|at| self.now.mono < at);
        let is_wanted = !self.promised.is_empty() || !self.entering.is_empty();
        if self.remembering || waits && !is_wanted {
            return;
        }
        self.records_wait = None;
        let records = self.access.take_changed();
        let mut promises = mem::take(&mut self.overdue);
        promises.append(&mut self.promised);
        if records.is_empty() {
            self.records_stored(promises);
        } else {
            self.remembering = true;
            let operation = Operation::PutState(records);
            self.stage(NOBODY, operation, What::PutState { promises });
        }
        for connection in mem::take(&mut self.entering) {
            // It may have closed meanwhile.
            if let Some(operation) = command::join::opening(self, connection) {
                self.stage(connection, operation, What::Enter);
            }
        }
    }

    /// The records that were staged are committed.
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
            }
        }
    }

    /// The records that were staged could not be committed: they are in force, and tried again.
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
                        let message = "The server can't store this at the moment. It keeps trying, \
                                       and it takes full effect then, unless the server ends \
                                       before";
                        // Not to be given again: it was taken.
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
                    let error = not_stored("The server can't store your nickname at the moment");
                    self.refuse_request(connection, error, reference);
                    self.one_rename_less(connection);
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
