//! Erasing for the operator, who asks beside the server and not as a member.
//!
//! The redactions are entries of the server's own; their batch is committed like any other, so
//! everyone who is connected gets them at once.

use super::{Hub, pending::PendingKind, promises::NOBODY};
use crate::server::{
    core::{
        event::{Effect, EraseError, EraseRequest},
        log_event::LogEvent,
    },
    log::{OpResult, Operation},
};

impl Hub {
    /// Stages an erasure.
    pub(super) fn erase(&mut self, request: EraseRequest) {
        if self.stopping() {
            return self.erase_done(&request, Err(EraseError::Unavailable));
        }
        let Some(room) = self.access.rooms.named_by_operator(&request.room) else {
            return self.erase_done(&request, Err(EraseError::NoRoom));
        };
        let EraseRequest { from, to, .. } = request;
        let operation = Operation::Erase { room, from, to };
        self.stage(NOBODY, operation, PendingKind::Erase(Box::new(request)));
    }

    /// Answers an erasure that was committed.
    pub(super) fn erase_committed(&mut self, request: &EraseRequest, verdict: &OpResult) {
        let OpResult::Erased { count } = *verdict else {
            return self.erase_done(request, Err(EraseError::Unavailable));
        };
        if count > 0 {
            let EraseRequest { room, from, to, .. } = request;
            let at = self.now.wall;
            let audit = &mut self.access.moderation.audit;
            audit.note_erased(at, room, (*from, *to), count);
            self.record(LogEvent::ErasedByOperator {
                room: room.clone(),
                from: *from,
                to: *to,
                count,
            });
        }
        self.erase_done(request, Ok(count));
    }

    /// Answers an erasure.
    pub(super) fn erase_done(&mut self, request: &EraseRequest, result: Result<u64, EraseError>) {
        let number = request.number;
        self.effects.push(Effect::Erased { number, result });
    }
}
