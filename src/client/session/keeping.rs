//! What the disk is asked and what it answers: saves, and the lease on this device's outbox.

use std::time::Duration;

use super::{
    Event, Now, Session,
    kept::{Look, Looked, Save, SaveError},
    phase::{Mode, Phase},
    words,
};
use crate::{client::event::Link, text::Line};

/// How we stand with the lease on the device's outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lease {
    /// Ours, as far as is known.
    Held,
    /// Another process's: we only look on until the user wants it back.
    Lost,
    /// The user wants it back, and the disk has yet to be told.
    Wanted,
    /// The disk was told and has not answered yet.
    Asked,
}

impl Session {
    /// What is to be saved now, if anything; nothing while a save is under way.
    pub fn poll_save(&mut self, now: Now) -> Option<Save> {
        if self.saver.is_busy() || self.lease == Lease::Asked {
            return None;
        }
        // A message that was just typed must not wait to be told of.
        let urgent = self.outbox.is_urgent();
        if !urgent && self.saver.retry_at().is_some_and(|at| now.elapsed < at) {
            return None;
        }
        let number = self.numbers();
        let outbox = if urgent || self.lease == Lease::Held && self.outbox.wants_saving(number) {
            self.outbox.changes(number)
        } else {
            Vec::new()
        };
        self.saver.start(outbox)
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
            }
            Err(SaveError::Failed(why)) => {
                let news = self.saver.failed(now.elapsed);
                let not_kept = Line::inert(&format!("It could not be kept here: {why}"));
                let refused = self.outbox.not_saved(&not_kept);
                if news && refused.is_empty() {
                    self.notice(&format!("What happens is not kept on this machine: {why}"));
                }
                self.tell_of(refused);
            }
            Err(SaveError::Lost) => {
                self.saver.saved();
                let refused = self.outbox.not_saved(&Line::inert(words::TAKEN_OVER));
                self.tell_of(refused);
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
        if self.lease == Lease::Wanted && !self.saver.is_busy() {
            self.lease = Lease::Asked;
            return Some(Look::Lease);
        }
        self.ask_disk()
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
            Looked::Lease(Ok(kept)) if self.lease == Lease::Asked => {
                self.lease = Lease::Held;
                if let Some(kept) = kept {
                    let news = self.outbox.load(kept);
                    self.tell_of(news);
                }
                if matches!(self.phase, Phase::Stopped { .. }) {
                    self.connect(now);
                }
            }
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

    /// Another process has this device's place: to come back by ourselves would be to fight it.
    pub(super) fn taken_over(&mut self, now: Now) {
        self.lease = Lease::Lost;
        self.tell_of_not_taken_back();
        if matches!(self.phase, Phase::Ending { .. } | Phase::Ended) {
            return;
        }
        self.stop(
            now,
            Line::inert(words::TAKEN_OVER),
            words::TAKEN_OVER_IN_BRIEF,
        );
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
