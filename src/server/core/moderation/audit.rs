//! The audit trail: the actions of moderators and owners, for the owner to read.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    protocol::{Nickname, RoomName, UserId},
    server::{
        core::{
            format::{erased, moment, seconds},
            persist::{Persist, RecordMap, json_record},
        },
        log::{SERVER_USER, StateRecord},
    },
    text::Line,
};

/// Most entries of the audit trail; beyond, the oldest are removed.
pub const AUDIT_MAX: usize = 10_000;
/// Most bytes of one entry's text: a longer reason or topic is cut.
const DEED_BYTES_MAX: usize = 256;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct AuditEntry {
    /// Seconds since 1970, UTC.
    at: u64,
    /// The user who did it.
    user: UserId,
    /// Their nickname then.
    nickname: String,
    /// The action, as the end of a sentence that begins with their nickname.
    deed: String,
}

/// The trail: entries by their numbers, 1, 2, 3, …
#[derive(Debug)]
pub struct Audit(RecordMap<AuditEntry>);

impl Audit {
    /// The trail among the store's records.
    pub fn load(records: &[StateRecord]) -> Self {
        Self(RecordMap::load(records))
    }

    /// The records, for a commit.
    pub fn records(&mut self) -> &mut RecordMap<AuditEntry> {
        &mut self.0
    }

    /// The changed records, for a commit.
    pub fn take_changed(&mut self) -> Vec<StateRecord> {
        let mut changed = Vec::new();
        self.0.take(&mut changed);
        changed
    }

    /// Adds an entry.
    pub fn note(&mut self, at: u64, user: UserId, nickname: &Nickname, mut deed: String) {
        if deed.len() > DEED_BYTES_MAX {
            deed.truncate(deed.floor_char_boundary(DEED_BYTES_MAX));
            deed.push('…');
        }
        let number = self.0.last_key_value().map_or(1, |(last, _)| last + 1);
        let entry = AuditEntry {
            at,
            user,
            nickname: nickname.as_str().to_owned(),
            deed,
        };
        self.0.insert(number, entry);
        while self.0.len() > AUDIT_MAX
            && let Some((oldest, _)) = self.0.first_key_value()
        {
            let oldest = *oldest;
            self.0.remove(&oldest);
        }
    }

    /// Adds that the operator erased entries of a room.
    pub fn note_erased(
        &mut self,
        at: Timestamp,
        room: &RoomName,
        (from, to): (u64, u64),
        count: u64,
    ) {
        let deed = format!("erased {} of {room}", erased(from, to, count));
        self.note(
            seconds(at),
            SERVER_USER,
            &Nickname::inert(Nickname::SERVER),
            deed,
        );
    }

    /// The number of entries before a number.
    pub fn count(&self, before: Option<u64>) -> usize {
        self.0.range(..before.unwrap_or(u64::MAX)).count()
    }

    /// The entries before a number, newest first, one a line.
    pub fn lines(&self, before: Option<u64>) -> impl Iterator<Item = Line> {
        let newest_first = self.0.range(..before.unwrap_or(u64::MAX)).rev();
        newest_first.map(|(number, entry)| {
            let AuditEntry {
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

json_record!(AuditEntry, "audit", u64);
