//! A room of the user, as line mode follows it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    history::HistoryReader,
    seen::{SeenEntries, SeenState},
};
use crate::{
    client::event::RestoredRoom,
    protocol::{
        Count, Entry, EntryKind, Nickname, NotifyLevel, ReadState, RoomInfo, RoomKind, UserId,
        fold::Fold,
        frame::{Member, RoomStart},
    },
};

/// The state of a room.
#[derive(Debug)]
pub(super) struct LineRoom {
    pub(super) info: RoomInfo,
    /// How far the user has read it, and what is unread.
    pub(super) read: ReadState,
    /// Whether it is open now, so that its head is known.
    pub(super) open: bool,
    /// The members, and whether the server has listed them on this connection.
    pub(super) members: BTreeMap<UserId, Member>,
    pub(super) members_known: bool,
    /// The number of the latest message when it was opened, and the last number read.
    pub(super) head: u64,
    pub(super) last: u64,
    /// Up to this number, messages are older than the user's entering, and are not printed.
    pub(super) older: u64,
    /// The older messages that are still to be read.
    pub(super) history: HistoryReader,
    /// The entries that the user knows, and the changes that have come, for pages that come later.
    pub(super) seen: SeenEntries,
    pub(super) fold: Fold,
    /// The highest number of our entries that the server has acknowledged.
    pub(super) acked: u64,
}

/// What a change of an entry has changed for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SeenChange {
    /// Its text.
    Edited,
    /// It was deleted. Its author and time, if they are known.
    Deleted(Option<(Nickname, Timestamp)>),
}

impl LineRoom {
    /// A room that is not open yet. `history`: how many of its latest messages are wanted.
    pub(super) fn new(info: RoomInfo, history: u64) -> Self {
        Self {
            info,
            read: ReadState::default(),
            open: false,
            members: BTreeMap::new(),
            members_known: false,
            head: 0,
            last: 0,
            older: 0,
            history: HistoryReader::new(history),
            seen: SeenEntries::default(),
            fold: Fold::default(),
            acked: 0,
        }
    }

    /// A room of an earlier run.
    pub(super) fn restored(restored: &RestoredRoom) -> Self {
        Self {
            read: restored.read,
            ..Self::new(restored.info.clone(), 0)
        }
    }

    /// How many unread messages are for the user: in a direct conversation, all are.
    pub(super) fn for_user(&self) -> Count {
        match self.info.kind {
            RoomKind::Direct => self.read.unread,
            RoomKind::Public | RoomKind::Private => self.read.mentions,
        }
    }

    /// Whether something is unread that the user has not muted.
    pub(super) fn has_news(&self) -> bool {
        let muted = self.read.preferences.notify == NotifyLevel::Nothing;
        !self.for_user().is_zero() || !self.read.unread.is_zero() && !muted
    }

    /// The connection has closed.
    pub(super) fn close(&mut self) {
        self.open = false;
        self.members_known = false;
    }

    /// Takes the opening of the room. Returns the number of messages that are missing between those
    /// read and those that follow.
    pub(super) fn opened(&mut self, start: &RoomStart) -> u64 {
        let mut missing = 0;
        if start.reset.is_some() {
            self.seen.clear();
            self.fold = Fold::default();
            self.acked = 0;
        } else if self.last > 0 {
            missing = start.next.saturating_sub(self.last + 1);
        }
        self.info = start.info.clone();
        self.read = start.read;
        self.last = start.next.saturating_sub(1);
        self.head = start.extent.head;
        self.open = true;
        missing
    }

    /// Takes a new entry that changes another one; `own`: this process has sent it. If the other is
    /// still to come by a page, the page shows what has become of it.
    pub(super) fn change(&mut self, entry: &Entry, own: bool) -> Option<SeenChange> {
        let target = self.fold.take(entry)?;
        let seen = self.seen.find(target);
        let known = seen.is_some();
        let author = seen.as_ref().map(|seen| (seen.nickname.clone(), seen.time));
        if entry.erases() {
            let state = seen.map(|seen| std::mem::replace(&mut seen.state, SeenState::Deleted));
            let told = state != Some(SeenState::Deleted) && (known || !self.history.is_due());
            (told && !own).then_some(SeenChange::Deleted(author))
        } else if let EntryKind::Edit { body: Some(_), .. } = &entry.kind {
            let newer = match seen.map(|seen| &mut seen.state) {
                Some(SeenState::Text(edited)) if *edited < entry.seq => {
                    *edited = entry.seq;
                    true
                }
                Some(_) => false,
                None => !self.history.is_due(),
            };
            (newer && !own).then_some(SeenChange::Edited)
        } else {
            None
        }
    }

    /// Takes an entry as it stands now.
    pub(super) fn changed(&mut self, entry: &Entry) -> Option<SeenChange> {
        let seen = self.seen.find(entry.id)?;
        match (&entry.kind, seen.state) {
            (EntryKind::Tombstone(_), SeenState::Text(_) | SeenState::Other) => {
                seen.state = SeenState::Deleted;
                let author = (seen.nickname.clone(), seen.time);
                Some(SeenChange::Deleted(Some(author)))
            }
            (EntryKind::Text(text), SeenState::Text(edited)) if text.edited > Some(edited) => {
                seen.state = SeenState::Text(text.edited.unwrap_or(edited));
                Some(SeenChange::Edited)
            }
            _ => None,
        }
    }
}
