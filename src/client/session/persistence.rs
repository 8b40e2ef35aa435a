//! The session's dealings with the disk: saves, queries, and the lease on this device's outbox.

use std::time::Duration;

use super::{
    Event, Session,
    connection_state::{ConnectionState, Mode},
    persist_types::{
        CacheQuery, CacheQueryId, CacheResult, LeaseClaim, LeaseStatus, OutboxEntry, Save,
        SaveError,
    },
    user_text,
};
use crate::{
    client::event::{ConnectionStatus, Delivery, LocalId},
    text::Line,
    time::Now,
};

/// How often to ask the disk for the outcome of messages that another process has, and whether the
/// lease is free.
const ASK_LEASE_EVERY: Duration = Duration::from_millis(100);
/// The wait before the first such query after the server reported that we were replaced: by then, a
/// process with the same disk has recorded that there.
const REPLACED_WAIT: Duration = Duration::from_secs(1);

/// The state of the lease on the device's outbox, as far as this process knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeaseState {
    /// This process has it.
    Held,
    /// Another process has it: messages are submitted to that one until the user wants it back, or
    /// it is free.
    Lost,
    /// The user wants it back; the disk was not asked yet.
    Reclaiming,
    /// The disk was asked and has not answered yet.
    Requested,
}

/// Polls the disk while another process has the lease.
#[derive(Debug, Default)]
pub(super) struct LeaseWatch {
    /// When to ask next for the lease's status.
    pub(super) next: Option<Duration>,
    /// Whether a query is due.
    due: bool,
    /// Whether the disk was asked, and has not answered yet.
    asking: bool,
    /// Whether the server reported that we were replaced.
    replaced: bool,
}

impl Session {
    /// The next save, if any; none while a save is in progress.
    pub fn poll_save(&mut self, now: Now) -> Option<Save> {
        if self.write_buffer.is_busy() || self.is_waiting_for_disk() {
            return None;
        }
        // A message that was just typed must not wait.
        let urgent = self.outbox.is_urgent();
        if !urgent && self.write_buffer.retry_at().is_some_and(|at| now.mono < at) {
            return None;
        }
        let number = self.numbers();
        let outbox = match self.lease {
            LeaseState::Held if urgent || self.outbox.wants_saving(number) => {
                self.outbox.changes(number)
            }
            LeaseState::Lost if urgent => self.outbox.submissions(),
            _ => Vec::new(),
        };
        self.write_buffer
            .start(outbox, self.lease == LeaseState::Held)
    }

    /// Whether a query is outstanding whose answer changes the outbox.
    fn is_waiting_for_disk(&self) -> bool {
        self.lease == LeaseState::Requested || self.lease_watch.asking || self.outbox.is_adopting()
    }

    /// Whether messages get counters now: whether there is a server to send them to.
    fn numbers(&self) -> bool {
        self.lease == LeaseState::Held
            && matches!(&self.state, ConnectionState::Live(live) if live.mode != Mode::Joining
                && live.leaving.as_ref().is_none_or(|leaving| !leaving.said))
    }

    /// Whether something is still to be saved, or being saved. Failed saves are not waited for.
    pub(super) fn has_to_save(&self) -> bool {
        self.write_buffer.is_busy()
            || self.write_buffer.retry_at().is_none()
                && (self.write_buffer.is_waiting()
                    || self.lease == LeaseState::Held && self.outbox.wants_saving(false))
            || self.outbox.is_urgent()
    }

    /// Handles the result of the last [`Save`].
    pub fn handle_saved(&mut self, now: Now, saved: Result<(), SaveError>) {
        if self.is_over() {
            return;
        }
        match saved {
            Ok(()) => {
                self.write_buffer.saved();
                let pending = self.outbox.saved();
                self.tell_of(pending);
                self.watch_lease(now);
            }
            Err(SaveError::Failed(why)) => {
                let news = self.write_buffer.failed(now.mono);
                let not_kept = Line::inert(&format!("It could not be saved here: {why}"));
                let refused = self.outbox.not_saved(Some(&not_kept));
                if news && refused.is_empty() {
                    self.notice(&format!(
                        "New messages are not being saved on this machine: {why}"
                    ));
                }
                self.tell_of(refused);
            }
            Err(SaveError::Lost) => {
                self.write_buffer.saved();
                // Unsaved messages are submitted to the other process.
                let withdrawn = self.outbox.not_saved(None);
                self.tell_of(withdrawn);
                if self.lease == LeaseState::Held {
                    self.taken_over(now);
                } else {
                    self.tell_of_not_taken_back();
                }
            }
        }
        self.end_if_saved();
    }

    /// The next query for the disk, if any, and the id to report its result with. At most
    /// [`CACHE_QUERIES_MAX`](super::persist_types::CACHE_QUERIES_MAX) are without a result.
    pub fn poll_cache_query(&mut self) -> Option<(CacheQueryId, CacheQuery)> {
        let id = self.next_query;
        let query = self.next_cache_query(id)?;
        self.next_query = CacheQueryId(id.0 + 1);
        Some((id, query))
    }

    fn next_cache_query(&mut self, id: CacheQueryId) -> Option<CacheQuery> {
        // No event is sent after the end.
        if self.is_over() {
            return None;
        }
        if !self.write_buffer.is_busy() && !self.is_waiting_for_disk() {
            if self.lease == LeaseState::Reclaiming {
                self.lease = LeaseState::Requested;
                return Some(CacheQuery::Lease(LeaseClaim::Take));
            }
            if self.lease == LeaseState::Lost && std::mem::take(&mut self.lease_watch.due) {
                self.lease_watch.asking = true;
                let turn = self.config.yields && !self.is_leaving() && !self.is_ending();
                let claim = if turn {
                    LeaseClaim::IfFree
                } else {
                    LeaseClaim::No
                };
                return Some(CacheQuery::Lease(claim));
            }
            let takes = self.lease == LeaseState::Held && !self.is_leaving();
            if takes && self.news && self.outbox.can_adopt() {
                self.news = false;
                let key = self.outbox.begin_adopting();
                return Some(CacheQuery::Adopt { key });
            }
        }
        self.poll_request_query(id)
    }

    /// Handles the news that another process changed the device's outbox, or took it.
    pub fn handle_store_news(&mut self) {
        self.news = true;
    }

    /// Handles the time of the next query about the lease.
    pub(super) fn lease_time(&mut self, now: Now) {
        if self
            .lease_watch
            .next
            .take_if(|at| now.mono >= *at)
            .is_some()
        {
            self.lease_watch.due = true;
        }
    }

    /// Schedules the next query while another process has the lease: a session that yields asks
    /// whether it is free; any session asks for the outcomes of its own messages.
    fn watch_lease(&mut self, now: Now) {
        let watches = self.config.yields || self.outbox.is_watching();
        if self.lease == LeaseState::Lost
            && watches
            && !self.lease_watch.due
            && !self.lease_watch.asking
        {
            let at = now.mono + ASK_LEASE_EVERY;
            self.lease_watch.next.get_or_insert(at);
        }
    }

    /// When to retry a failed save.
    pub(super) fn save_deadline(&self) -> Option<Duration> {
        let waits = !self.write_buffer.is_busy()
            && (self.write_buffer.is_waiting()
                || self.lease == LeaseState::Held && self.outbox.wants_saving(self.numbers()));
        self.write_buffer.retry_at().filter(|_| waits)
    }

    /// Handles the answer to the [`CacheQuery`] with this id.
    pub fn handle_cache_result(&mut self, now: Now, id: CacheQueryId, looked: CacheResult) {
        if self.is_over() {
            return;
        }
        match looked {
            CacheResult::Lease(Err(_)) if std::mem::take(&mut self.lease_watch.asking) => {
                self.watch_lease(now);
            }
            CacheResult::Lease(Ok(leased))
                if self.lease_watch.asking || self.lease == LeaseState::Requested =>
            {
                self.lease_watch.asking = false;
                self.leased(now, leased);
            }
            CacheResult::Adopted(adopted) => self.adopted(now, adopted),
            CacheResult::Lease(Err(why)) if self.lease == LeaseState::Requested => {
                self.lease = LeaseState::Lost;
                self.events
                    .push_back(Event::Connection(ConnectionStatus::Stopped {
                        why,
                        brief: user_text::TAKEN_OVER_IN_BRIEF,
                        wants: None,
                    }));
            }
            CacheResult::Page(page) => self.cached_page(id, page),
            CacheResult::Found(found) => self.cached_search(id, found),
            CacheResult::Lease(_) => {}
        }
        self.end_if_saved();
    }

    fn leased(&mut self, now: Now, leased: LeaseStatus) {
        for (number, delivery) in leased.settled {
            self.settled_elsewhere(number, delivery);
        }
        if !leased.ours {
            return self.watch_lease(now);
        }
        self.lease = LeaseState::Held;
        self.lease_watch.next = None;
        self.lease_watch.due = false;
        match leased.outbox {
            Some(kept) => {
                let news = self.outbox.load(kept);
                self.tell_of(news);
                self.refuse_unsupported();
            }
            None => self.outbox.take_back_submissions(),
        }
        // We were replaced although no other process uses this disk: by a copy of it. Reconnecting
        // automatically would fight that copy.
        let fights = std::mem::take(&mut self.lease_watch.replaced) && leased.unbroken;
        if self.config.yields && fights {
            return self.stop(
                now,
                Line::inert(user_text::TAKEN_OVER),
                user_text::TAKEN_OVER_IN_BRIEF,
            );
        }
        if matches!(self.state, ConnectionState::Stopped { .. }) {
            self.connect(now);
        }
    }

    /// Handles the outcome of a message that another process settled.
    fn settled_elsewhere(&mut self, number: u64, delivery: Delivery) {
        let Some((news, counted)) = self.outbox.settled_elsewhere(LocalId(number), delivery) else {
            return;
        };
        let out = matches!(news.delivery, Delivery::Sent { .. } | Delivery::Unconfirmed);
        if out && !counted {
            self.count_sent(&news.content);
        }
        self.tell(news);
    }

    fn adopted(&mut self, now: Now, adopted: Result<Option<Vec<OutboxEntry>>, Line>) {
        if !self.outbox.is_adopting() {
            return;
        }
        match adopted {
            Ok(Some(entries)) => {
                // There may be more.
                self.news |= !entries.is_empty();
                let news = self.outbox.adopt(entries);
                let elsewhere = self.outbox.entries().any(|entry| self.awaits_join(entry));
                self.tell_of(news);
                self.refuse_unsupported();
                if elsewhere {
                    self.enter_anew(now);
                }
            }
            Ok(None) => {
                self.outbox.adopt(Vec::new());
                if self.lease == LeaseState::Held {
                    self.taken_over(now);
                }
            }
            // The messages stay submitted; the next query takes them over.
            Err(_) => {
                self.outbox.adopt(Vec::new());
                self.news = true;
            }
        }
    }

    /// Another process has taken over this device: reconnecting automatically would fight it.
    pub(super) fn taken_over(&mut self, now: Now) {
        self.lease = LeaseState::Lost;
        self.tell_of_not_taken_back();
        if matches!(
            self.state,
            ConnectionState::Ending { .. } | ConnectionState::Ended
        ) {
            return;
        }
        if self.config.yields {
            return self.stand_by(now);
        }
        self.stop(
            now,
            Line::inert(user_text::TAKEN_OVER),
            user_text::TAKEN_OVER_IN_BRIEF,
        );
        self.watch_lease(now);
    }

    /// The server reports that another connection has replaced ours.
    pub(super) fn replaced(&mut self, now: Now) {
        self.taken_over(now);
        self.lease_watch.replaced = true;
        let later = now.mono + REPLACED_WAIT;
        self.lease_watch.next = self.lease_watch.next.map(|at| at.max(later));
    }

    /// Yields this device to another process until that one has ended.
    pub(super) fn stand_by(&mut self, now: Now) {
        self.lease = LeaseState::Lost;
        self.stop_on_standby(now);
        self.watch_lease(now);
    }

    fn tell_of_not_taken_back(&mut self) {
        let pending = self.outbox.not_taken_back();
        if !pending.is_empty() {
            self.notice(user_text::NOT_TAKEN_BACK);
            self.tell_of(pending);
        }
    }

    /// Whether we have the lease; if not, it is requested.
    pub(super) fn holds_lease(&mut self) -> bool {
        if self.lease == LeaseState::Lost {
            self.lease = LeaseState::Reclaiming;
        }
        self.lease == LeaseState::Held
    }
}
