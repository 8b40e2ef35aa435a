//! What waits until facts of the house are committed: the answers to commands and what follows from
//! them, nicknames that somebody comes to own, and clients that come in as somebody new.
//!
//! A power failure may undo what is not committed, so nobody is told of it before. The house itself
//! goes by it at once: a banned user is not let in from the moment of the command, and a nickname is
//! taken. If the store refuses the facts, the clients are told so; what they asked of the house stays
//! in force, is tried again, and its effects follow once it is stored.

use std::{mem, sync::Arc, time::Duration};

use super::{Hub, What, error};
use crate::{
    protocol::{
        Nickname, ServerFrame,
        admin::AdminResult,
        frame::{ErrorCode, ErrorFrame, Member},
    },
    server::{
        core::{
            ConnectionId, command,
            event::JoinRequest,
            house::{Act, Outcome},
        },
        log::{Operation, StateRecord},
    },
};

/// After how long facts are tried again that could not be committed.
const FACTS_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// When a client is to try again what was not stored.
const NOT_STORED_RETRY_MS: u64 = 1_000;
/// Commands that may wait for their effects because the store refused their facts; then no more are
/// taken.
const OVERDUE_MAX: usize = 1_000;
/// No connection has this number.
const NOBODY: ConnectionId = ConnectionId(0);

/// Something that is told and done once facts are committed.
pub(in crate::server::core) enum Promise {
    /// A command was carried out.
    Command {
        /// Who waits for the answer, and what it is; `None`: they were told that it takes longer.
        answer: Option<(ConnectionId, AdminResult)>,
        /// Who gave the command.
        by: Arc<Member>,
        /// What follows from it.
        acts: Vec<Act>,
    },
    /// A session's user comes to own another nickname.
    Nick {
        connection: ConnectionId,
        nickname: Nickname,
        reference: Option<u64>,
    },
}

impl Hub {
    /// Answers a command, and does what follows from it, once what it changed is committed.
    pub(in crate::server::core) fn promise(&mut self, connection: ConnectionId, outcome: Outcome) {
        let Some(session) = self.sessions.get_mut(&connection) else {
            return;
        };
        let Some(user) = self.users.get(&session.user) else {
            return;
        };
        session.pending += 1;
        self.promised.push(Promise::Command {
            answer: Some((connection, outcome.result)),
            by: Arc::clone(&user.member),
            acts: outcome.acts,
        });
    }

    /// Whether another command may be given; the store may have refused the facts of too many.
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

    /// Stages what changed in the house, if it is time, and behind it those who wait to come in.
    pub(super) fn remember(&mut self) {
        let waits = self.facts_wait.is_some_and(|at| self.now.mono < at);
        let is_wanted = !self.promised.is_empty() || !self.entering.is_empty();
        if self.remembering || waits && !is_wanted {
            return;
        }
        self.facts_wait = None;
        let facts = self.house.take_facts();
        let mut promises = mem::take(&mut self.overdue);
        promises.append(&mut self.promised);
        if facts.is_empty() {
            self.remembered(promises);
        } else {
            let what = What::PutState {
                facts: facts.clone(),
                promises,
            };
            self.remembering = true;
            self.stage(NOBODY, Operation::PutState(facts), what);
        }
        for connection in mem::take(&mut self.entering) {
            // It may have closed meanwhile.
            if let Some(operation) = command::join::opening(self, connection) {
                self.stage(connection, operation, What::Enter);
            }
        }
    }

    /// What was staged is committed.
    pub(super) fn remembered(&mut self, promises: Vec<Promise>) {
        self.remembering = false;
        self.house.stored_facts();
        for promise in promises {
            match promise {
                Promise::Command { answer, by, acts } => {
                    self.act(&by, acts);
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

    /// What was staged could not be committed: it is in force, and tried again.
    pub(super) fn not_remembered(&mut self, facts: Vec<StateRecord>, promises: Vec<Promise>) {
        self.remembering = false;
        self.house.put_back(facts);
        self.facts_wait = Some(self.now.mono + FACTS_AGAIN_AFTER);
        for promise in promises {
            match promise {
                Promise::Command { answer, by, acts } => {
                    if let Some((connection, result)) = answer {
                        let message = "The server can't store this at the moment. It keeps trying, \
                                       and it takes full effect then, unless the server ends \
                                       before";
                        // Not to be given again: it was taken.
                        let error = error(ErrorCode::NotDurable, message);
                        self.refuse_request(connection, error, result.reference);
                        self.one_pending_less(connection);
                    }
                    if !acts.is_empty() {
                        self.overdue.push(Promise::Command {
                            answer: None,
                            by,
                            acts,
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
        ..error(ErrorCode::NotDurable, &format!("{what}: try again"))
    }
}
