//! Brings entries up to date that were changed while this client was away: asks the server which of
//! those that it may hold were changed, erased ones first, page by page.

use super::{
    Event, Session,
    persist_types::ChangedEntries,
    requests::{ANSWER_WITHIN, RequestKind},
    user_text::ProtocolFault,
};
use crate::{
    protocol::frame::{ChangesPage, RoomStart},
    time::Now,
};

impl Session {
    /// Asks for the changes that a welcome told of, and that no entry to come will tell.
    pub(super) fn catch_up(&mut self, opened: &[RoomStart]) {
        for start in opened {
            if let Some(wanted) = self.rooms.wanted_changes(start) {
                self.requests.push_changes(start.room, wanted);
            }
        }
        self.start_requests();
    }

    pub(super) fn changes(&mut self, now: Now, page: ChangesPage) -> Result<(), ProtocolFault> {
        let ChangesPage {
            head,
            through,
            more,
            entries,
        } = page;
        let Some((at, request)) = self.requests.sent(head.reference) else {
            // The answer to an abandoned request.
            return Ok(());
        };
        let RequestKind::Changes { room, wanted } = request.kind else {
            return Err(ProtocolFault::new("changes that were not asked for"));
        };
        let log_head = head.extent.head;
        let is_right = room == head.room
            && entries.iter().all(|entry| entry.seq <= wanted.to)
            && log_head >= wanted.to
            && through <= log_head
            && (!more || through > wanted.since);
        if !is_right {
            return Err(ProtocolFault::new(
                "changes that were not asked for, or of another room",
            ));
        }
        let (folded, next) = match (more, wanted.erased) {
            // Only all changes together bring the entries up to date.
            (true, true) => (wanted.folded, Some(wanted.after(through))),
            (false, true) => (wanted.folded, Some(wanted.of_all())),
            (true, false) => (through, Some(wanted.after(through))),
            (false, false) => (log_head, None),
        };
        self.rooms.extent(&head);
        self.reads.first(head.room, head.extent.first);
        self.rooms.folded(head.room, folded, next.is_none());
        self.requests.extend(now.mono + ANSWER_WITHIN);
        if let Some(epoch) = self.rooms.epoch() {
            self.write_buffer.changed(ChangedEntries {
                room: head.room,
                epoch,
                entries: entries.clone(),
                since: if wanted.erased {
                    wanted.folded
                } else {
                    wanted.since
                },
                folded,
            });
        }
        if !entries.is_empty() {
            self.reads.changed(head.room, &entries);
            self.events.push_back(Event::Changed {
                room: head.room,
                entries,
            });
        }
        match next {
            Some(next) => self.requests.ask_again(at, next),
            None => drop(self.requests.take(at)),
        }
        self.start_requests();
        Ok(())
    }
}
