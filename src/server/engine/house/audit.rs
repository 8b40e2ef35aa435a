//! What was done in the house, and by whom: for the owner to read.

use super::{AUDIT_MAX, House, facts, moment};
use crate::{
    protocol::{Nickname, UserId, limits::RESULT_LINES_MAX},
    text::Line,
};

/// One thing that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// 1, 2, 3, …
    pub(super) number: u64,
    /// Seconds since 1970, UTC.
    pub(super) at: u64,
    /// Who did it.
    pub(super) user: UserId,
    /// What he was called.
    pub(super) nickname: String,
    /// What he did, as the end of a sentence that begins with his nickname.
    pub(super) deed: String,
}

impl House {
    /// Notes what was done.
    pub(super) fn note(&mut self, at: u64, user: UserId, nickname: &Nickname, deed: String) {
        let number = self.audit.back().map_or(1, |last| last.number + 1);
        let entry = Entry {
            number,
            at,
            user,
            nickname: nickname.as_str().to_owned(),
            deed,
        };
        self.changed.push(facts::of_audit(&entry));
        self.audit.push_back(entry);
        while self.audit.len() > AUDIT_MAX {
            let oldest = self.audit.pop_front();
            let gone = oldest.map(|oldest| facts::no_audit(oldest.number));
            self.changed.extend(gone);
        }
    }

    /// The entries before a number, newest first, as many as one result holds.
    pub(super) fn audit_lines(&self, before: Option<u64>) -> Vec<Line> {
        let before = before.unwrap_or(u64::MAX);
        self.audit
            .iter()
            .rev()
            .filter(|entry| entry.number < before)
            .take(RESULT_LINES_MAX)
            .map(|entry| {
                let Entry {
                    number,
                    at,
                    user,
                    nickname,
                    deed,
                } = entry;
                let text = format!("{number}  {}  {nickname} {deed}  ({user})", moment(*at));
                Line::inert(&text)
            })
            .collect()
    }
}
