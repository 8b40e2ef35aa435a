//! What was done in the house, and by whom: for the owner to read.

use super::{AUDIT_MAX, House, moment, persist};
use crate::{
    protocol::{Nickname, UserId},
    text::Line,
};

/// Bytes of what was done: a reason or a topic can be longer, and is cut here.
const DEED_BYTES_MAX: usize = 256;

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
    pub(super) fn note(&mut self, at: u64, user: UserId, nickname: &Nickname, mut deed: String) {
        if deed.len() > DEED_BYTES_MAX {
            deed.truncate(deed.floor_char_boundary(DEED_BYTES_MAX));
            deed.push('…');
        }
        let number = self.audit.back().map_or(1, |last| last.number + 1);
        let entry = Entry {
            number,
            at,
            user,
            nickname: nickname.as_str().to_owned(),
            deed,
        };
        self.dirty.push(persist::of_audit(&entry));
        self.audit.push_back(entry);
        while self.audit.len() > AUDIT_MAX {
            let oldest = self.audit.pop_front();
            let gone = oldest.map(|oldest| persist::no_audit(oldest.number));
            self.dirty.extend(gone);
        }
    }

    /// How many entries there are before a number.
    pub(super) fn audit_count(&self, before: Option<u64>) -> usize {
        self.audit_before(before).count()
    }

    /// The entries before a number, newest first.
    fn audit_before(&self, before: Option<u64>) -> impl Iterator<Item = &Entry> {
        let before = before.unwrap_or(u64::MAX);
        let newest_first = self.audit.iter().rev();
        newest_first.filter(move |entry| entry.number < before)
    }

    /// The same, one a line.
    pub(super) fn audit_lines(&self, before: Option<u64>) -> impl Iterator<Item = Line> {
        self.audit_before(before).map(|entry| {
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
    }
}
