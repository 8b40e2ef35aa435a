//! What the disk is asked and what it answers: saves, and the lease on this device's outbox.

use std::time::Duration;

use super::{
    Event, Now, Session,
    kept::{Claim, KeptEntry, Leased, Look, Looked, Save, SaveError},
    phase::{Mode, Phase},
    words,
};
use crate::{
    client::event::{Delivery, Link, LocalId, RestoredMessage},
    text::Line,
};

/// How often the disk is asked what became of messages that another process has, and whether it is
/// our turn.
const ASK_LEASE_EVERY: Duration = Duration::from_millis(100);
/// The wait before the first such question where the server says that we were replaced: whoever
/// replaced us is heard of on the disk by then, if it works with the same one.
const REPLACED_WAIT: Duration = Duration::from_secs(1);

/// How we stand with the lease on the device's outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lease {
    /// Ours, as far as is known.
    Held,
    /// Another process's: we hand it our messages until the user wants it back, or it is free.
    Lost,
    /// The user wants it back, and the disk has yet to be told.
    Wanted,
    /// The disk was told and has not answered yet.
    Asked,
}

/// How the disk is watched while another process has the lease.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// When to ask next how the lease stands.
    pub(super) next: Option<Duration>,
    /// Whether that is due.
    due: bool,
    /// Whether the disk was asked, and has not answered yet.
    asking: bool,
    /// Whether it was the server that said that we were replaced.
    replaced: bool,
}

impl Session {
    /// What is to be saved now, if anything; nothing while a save is under way.
    pub fn poll_save(&mut self, now: Now) -> Option<Save> {
        if self.saver.is_busy() || self.is_waiting_for_disk() {
            return None;
        }
        // A message that was just typed must not wait to be told of.
        let urgent = self.outbox.is_urgent();
        if !urgent && self.saver.retry_at().is_some_and(|at| now.elapsed < at) {
            return None;
        }
        let number = self.numbers();
        let outbox = match self.lease {
            Lease::Held if urgent || self.outbox.wants_saving(number) => {
                self.outbox.changes(number)
            }
            Lease::Lost if urgent => self.outbox.submissions(),
            _ => Vec::new(),
        };
        self.saver.start(outbox)
    }

    /// Whether the disk was asked something whose answer changes the outbox.
    fn is_waiting_for_disk(&self) -> bool {
        self.lease == Lease::Asked || self.watch.asking || self.outbox.is_adopting()
    }

    /// Whether messages get counters now: whether there is a server to send them to.
    fn numbers(&self) -> bool {
        self.lease == Lease::Held
            && matches!(&self.phase, Phase::Live(live) if live.mode != Mode::Joining
                && live.leaving.as_ref().is_none_or(|leaving| !leaving.said))
    }

    /// Whether something has yet to be saved, or is being saved. What failed is not waited for.
    pub(super) fn has_to_save(&self) -> bool {
        self.saver.is_busy()
            || self.saver.retry_at().is_none()
                && (self.saver.is_waiting()
                    || self.lease == Lease::Held && self.outbox.wants_saving(false))
            || self.outbox.is_urgent()
    }

    /// What became of the last [`Save`].
    pub fn handle_saved(&mut self, now: Now, saved: Result<(), SaveError>) {
        if self.is_over() {
            return;
        }
        match saved {
            Ok(()) => {
                self.saver.saved();
                let pending = self.outbox.saved();
                self.tell_of(pending);
                self.watch_lease(now);
            }
            Err(SaveError::Failed(why)) => {
                let news = self.saver.failed(now.elapsed);
                let not_kept = Line::inert(&format!("It could not be kept here: {why}"));
                let refused = self.outbox.not_saved(Some(&not_kept));
                if news && refused.is_empty() {
                    self.notice(&format!("What happens is not kept on this machine: {why}"));
                }
                self.tell_of(refused);
            }
            Err(SaveError::Lost) => {
                self.saver.saved();
                // What was not kept is handed to the other process.
                let withdrawn = self.outbox.not_saved(None);
                self.tell_of(withdrawn);
                if self.lease == Lease::Held {
                    self.taken_over(now);
                } else {
                    self.tell_of_not_taken_back();
                }
            }
        }
        self.end_if_saved();
    }

    /// What is to be looked up now, if anything.
    pub fn poll_look(&mut self) -> Option<Look> {
        // Nobody is told anything after the end.
        if self.is_over() {
            return None;
        }
        if !self.saver.is_busy() && !self.is_waiting_for_disk() {
            if self.lease == Lease::Wanted {
                self.lease = Lease::Asked;
                return Some(Look::Lease(Claim::Take));
            }
            if self.lease == Lease::Lost && std::mem::take(&mut self.watch.due) {
                self.watch.asking = true;
                let turn = self.config.yields && !self.is_leaving() && !self.is_ending();
                let claim = if turn { Claim::IfFree } else { Claim::No };
                return Some(Look::Lease(claim));
            }
            let takes = self.lease == Lease::Held && !self.is_leaving();
            if takes && self.news && self.outbox.can_adopt() {
                self.news = false;
                let key = self.outbox.begin_adopting();
                return Some(Look::Adopt { key });
            }
        }
        self.ask_disk()
    }

    /// Another process did something to the device's outbox, or took it.
    pub fn handle_news(&mut self) {
        self.news = true;
    }

    /// The time to ask about the lease may have come.
    pub(super) fn lease_time(&mut self, now: Now) {
        if self.watch.next.take_if(|at| now.elapsed >= *at).is_some() {
            self.watch.due = true;
        }
    }

    /// While another process has the lease, the disk is asked time and again: whether it is free,
    /// for one that yields; and what became of messages of ours, as long as there are any.
    fn watch_lease(&mut self, now: Now) {
        let watches = self.config.yields || self.outbox.is_watching();
        if self.lease == Lease::Lost && watches && !self.watch.due && !self.watch.asking {
            let at = now.elapsed + ASK_LEASE_EVERY;
            self.watch.next.get_or_insert(at);
        }
    }

    /// When to try again to save what could not be saved.
    pub(super) fn save_deadline(&self) -> Option<Duration> {
        let waits = !self.saver.is_busy()
            && (self.saver.is_waiting()
                || self.lease == Lease::Held && self.outbox.wants_saving(self.numbers()));
        self.saver.retry_at().filter(|_| waits)
    }

    /// What the last [`Look`] brought.
    pub fn handle_looked(&mut self, now: Now, looked: Looked) {
        if self.is_over() {
            return;
        }
        match looked {
            Looked::Lease(Err(_)) if std::mem::take(&mut self.watch.asking) => {
                self.watch_lease(now);
            }
            Looked::Lease(Ok(leased)) if self.watch.asking || self.lease == Lease::Asked => {
                self.watch.asking = false;
                self.leased(now, leased);
            }
            Looked::Adopted(adopted) => self.adopted(now, adopted),
            Looked::Lease(Err(why)) if self.lease == Lease::Asked => {
                self.lease = Lease::Lost;
                self.events.push_back(Event::Link(Link::Stopped {
                    why,
                    brief: words::TAKEN_OVER_IN_BRIEF,
                    wants: None,
                }));
            }
            Looked::Page(page) => self.looked_page(page),
            Looked::Found(found) => self.looked_search(found),
            Looked::Lease(_) => {}
        }
        self.end_if_saved();
    }

    fn leased(&mut self, now: Now, leased: Leased) {
        for (number, delivery) in leased.settled {
            self.settled_elsewhere(number, delivery);
        }
        if !leased.ours {
            return self.watch_lease(now);
        }
        self.lease = Lease::Held;
        self.watch.next = None;
        self.watch.due = false;
        match leased.outbox {
            Some(kept) => {
                let news = self.outbox.load(kept);
                self.tell_of(news);
            }
            None => self.outbox.take_back_submissions(),
        }
        // By whom, if nobody else works with this disk? By one that has a copy of it; to come back by
        // ourselves would be to fight it.
        let fights = std::mem::take(&mut self.watch.replaced) && leased.unbroken;
        if self.config.yields && fights {
            return self.stop(
                now,
                Line::inert(words::TAKEN_OVER),
                words::TAKEN_OVER_IN_BRIEF,
            );
        }
        if matches!(self.phase, Phase::Stopped { .. }) {
            self.connect(now);
        }
    }

    /// Another process says what became of a message of ours.
    fn settled_elsewhere(&mut self, number: u64, delivery: Delivery) {
        let Some((news, counted)) = self.outbox.settled_elsewhere(LocalId(number), delivery) else {
            return;
        };
        let out = matches!(news.delivery, Delivery::Sent { .. } | Delivery::Unconfirmed);
        if out && !counted {
            self.tally.sent(&news.body);
        }
        self.tell_of([news]);
    }

    fn adopted(&mut self, now: Now, adopted: Result<Option<Vec<KeptEntry>>, Line>) {
        if !self.outbox.is_adopting() {
            return;
        }
        match adopted {
            Ok(Some(entries)) => {
                // There may be more.
                self.news |= !entries.is_empty();
                let news = self.outbox.adopt(entries);
                let elsewhere = |news: &RestoredMessage| !self.asked_for(&news.room);
                let elsewhere = news.iter().any(elsewhere);
                self.tell_of(news);
                if elsewhere {
                    self.enter_anew(now);
                }
            }
            Ok(None) => {
                self.outbox.adopt(Vec::new());
                if self.lease == Lease::Held {
                    self.taken_over(now);
                }
            }
            // They wait there: whoever submitted them asks the holder again by waiting.
            Err(_) => {
                self.outbox.adopt(Vec::new());
                self.news = true;
            }
        }
    }

    /// Another process has this device's place: to come back by ourselves would be to fight it.
    pub(super) fn taken_over(&mut self, now: Now) {
        self.lease = Lease::Lost;
        self.tell_of_not_taken_back();
        if matches!(self.phase, Phase::Ending { .. } | Phase::Ended) {
            return;
        }
        if self.config.yields {
            return self.stand_aside(now);
        }
        self.stop(
            now,
            Line::inert(words::TAKEN_OVER),
            words::TAKEN_OVER_IN_BRIEF,
        );
        self.watch_lease(now);
    }

    /// The server says that another connection has taken our place.
    pub(super) fn replaced(&mut self, now: Now) {
        self.taken_over(now);
        self.watch.replaced = true;
        let later = now.elapsed + REPLACED_WAIT;
        self.watch.next = self.watch.next.map(|at| at.max(later));
    }

    /// Leaves this device's place to another process, until that one has ended.
    pub(super) fn stand_aside(&mut self, now: Now) {
        self.lease = Lease::Lost;
        self.stop_aside(now);
        self.watch_lease(now);
    }

    fn tell_of_not_taken_back(&mut self) {
        let pending = self.outbox.not_taken_back();
        if !pending.is_empty() {
            self.notice(words::NOT_TAKEN_BACK);
            self.tell_of(pending);
        }
    }

    /// Whether the lease is ours; if not, it is asked for.
    pub(super) fn holds_lease(&mut self) -> bool {
        if self.lease == Lease::Lost {
            self.lease = Lease::Wanted;
        }
        self.lease == Lease::Held
    }
}
