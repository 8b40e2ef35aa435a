//! The naive rule of what entries do to each other: in the order of the log, the last edit's text
//! is the message's, and a redaction erases for good. It knows nothing of the code under test.

use chat_tui::{
    protocol::{
        Author, Content, EntryKind, Epoch, Mentions, RoomId, UserId,
        entry::{Text, Tombstone},
        frame::ErrorCode,
    },
    server::log::Revised,
    text::Body,
};

use super::{Entry, Fault, Log, Room, Truth, What, protocol};

/// What becomes of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It becomes an entry.
    Stored,
    /// It would change nothing.
    Unchanged,
    Refused(ErrorCode),
}

impl Room {
    /// How an entry stood when the log ended at `head`.
    pub(super) fn kind(&self, seq: u64, head: u64) -> Option<EntryKind> {
        let entry = self.entry(seq)?;
        let (content, mentions) = match &entry.what {
            What::Sent(content, mentions) => (content, mentions),
            What::Noted(event) => return Some(EntryKind::Event(Box::new(event.clone()))),
        };
        Some(match content {
            Content::Text(body) => {
                let mut text = Text {
                    body: body.clone(),
                    mentions: mentions.clone(),
                    edited: None,
                };
                for (number, later) in self.references(entry, head) {
                    match &later.what {
                        What::Sent(Content::Edit { body, .. }, mentions) => {
                            text.body = body.clone();
                            text.mentions = mentions.clone();
                            text.edited = Some(number);
                        }
                        What::Sent(Content::Redaction { .. }, _) => {
                            let by = later.nickname.clone();
                            return Some(EntryKind::Tombstone(Tombstone {
                                redacted: number,
                                by: (later.user != entry.user).then_some(by),
                                kind: None,
                            }));
                        }
                        What::Sent(Content::Text(_), _) | What::Noted(_) => {}
                    }
                }
                EntryKind::Text(text)
            }
            Content::Edit { target, body } => {
                let outdated = self.outdated_by(seq, entry, head).is_some();
                EntryKind::Edit {
                    target: *target,
                    body: (!outdated).then(|| body.clone()),
                    mentions: if outdated {
                        Mentions::NONE
                    } else {
                        mentions.clone()
                    },
                }
            }
            Content::Redaction { target, reason } => EntryKind::Redaction {
                target: *target,
                reason: reason.clone(),
            },
        })
    }

    /// The entries that refer to this one, when the log ended at `head`.
    fn references(&self, entry: &Entry, head: u64) -> impl Iterator<Item = (u64, &Entry)> {
        let all = self.references.get(&entry.id).into_iter().flatten();
        let there = all.copied().take_while(move |number| *number <= head);
        there.filter_map(|number| Some((number, self.entry(number)?)))
    }

    /// The number of the entry, at most `head`, by which an edit lost its text.
    fn outdated_by(&self, seq: u64, edit: &Entry, head: u64) -> Option<u64> {
        let all = self.references.get(&edit.target()?)?;
        let later = all.iter().find(|number| **number > seq)?;
        (*later <= head).then_some(*later)
    }

    /// The number of the last entry, at most `head`, that changed this one, and whether its content
    /// was erased.
    pub(super) fn changed(&self, seq: u64, head: u64) -> Option<(u64, bool)> {
        let entry = self.entry(seq)?;
        let by = match entry.content()? {
            Content::Text(_) => self
                .references(entry, head)
                .last()
                .map(|(number, _)| number),
            Content::Edit { .. } => self.outdated_by(seq, entry, head),
            Content::Redaction { .. } => None,
        }?;
        let by_what = self.entry(by)?.content();
        let erased = matches!(by_what, Some(Content::Redaction { .. }));
        Some((by, erased))
    }

    /// How far entries were changed when the log ended at `head`.
    pub(super) fn revised(&self, head: u64) -> Revised {
        let mut revised = Revised::default();
        for (number, entry) in (1..=head).zip(&self.entries) {
            match entry.content() {
                None | Some(Content::Text(_)) => {}
                Some(Content::Edit { .. }) => revised.changed = number,
                Some(Content::Redaction { .. }) => {
                    revised.changed = number;
                    revised.redacted = number;
                }
            }
        }
        revised
    }

    /// How the log has an entry when it ends at `head` and begins at `first`: the texts of evicted
    /// messages are gone, those in later edits too.
    pub(super) fn frame(&self, seq: u64, head: u64, first: u64) -> Option<EntryKind> {
        let mut kind = self.kind(seq, head)?;
        if let EntryKind::Edit {
            target,
            body,
            mentions,
        } = &mut kind
            && self
                .numbers
                .get(target)
                .is_none_or(|number| *number < first)
        {
            *body = None;
            *mentions = Mentions::NONE;
        }
        Some(kind)
    }

    /// Whether an entry says what the rule says of it when the log ended at `head`, whether or not
    /// its target was evicted since.
    fn agrees(&self, seq: u64, kind: &EntryKind, head: u64) -> bool {
        let kind = Some(kind);
        let evicted = || self.frame(seq, head, self.first());
        kind == self.kind(seq, head).as_ref() || kind == evicted().as_ref()
    }
}

impl Log {
    /// What is to become of a content that a user submits now.
    pub(super) fn verdict(
        &self,
        room: RoomId,
        user: UserId,
        content: &Content,
        moderates: bool,
    ) -> Verdict {
        let Some(target) = content.target() else {
            return Verdict::Stored;
        };
        let gone = Verdict::Refused(ErrorCode::Gone);
        let Some((_, seq)) = self.ids.get(&target).filter(|(of, _)| *of == room) else {
            return gone;
        };
        let Some(room) = self.rooms.get(&room).filter(|room| *seq >= room.first()) else {
            return gone;
        };
        let own = room.entry(*seq).is_some_and(|entry| entry.user == user);
        let foreign = Verdict::Refused(ErrorCode::NotAllowed);
        match (content, room.kind(*seq, room.head())) {
            (Content::Edit { .. }, Some(EntryKind::Text(_))) if !own => foreign,
            (Content::Edit { body, .. }, Some(EntryKind::Text(text))) => {
                if text.body == *body {
                    Verdict::Unchanged
                } else {
                    Verdict::Stored
                }
            }
            (Content::Redaction { .. }, Some(EntryKind::Text(_) | EntryKind::Tombstone(_)))
                if !own && !moderates =>
            {
                foreign
            }
            (Content::Redaction { .. }, Some(EntryKind::Text(_))) => Verdict::Stored,
            (Content::Redaction { .. }, Some(EntryKind::Tombstone(_))) => Verdict::Unchanged,
            _ => gone,
        }
    }
}

impl Truth {
    /// Returns how an entry stood when the log ended at `head`.
    pub(crate) fn kind(
        &self,
        epoch: Epoch,
        room: RoomId,
        seq: u64,
        head: u64,
    ) -> Option<EntryKind> {
        self.room(epoch, room)?.kind(seq, head)
    }

    /// Returns how the log has an entry now.
    pub(crate) fn frame(&self, epoch: Epoch, room: RoomId, seq: u64) -> Option<EntryKind> {
        let room = self.room(epoch, room)?;
        room.frame(seq, room.head(), room.first())
    }

    /// Returns how far a room's entries were changed when the log ended at `head`.
    pub(crate) fn revised(&self, epoch: Epoch, room: RoomId, head: u64) -> Revised {
        let room = self.room(epoch, room);
        room.map_or(Revised::default(), |room| room.revised(head))
    }

    /// Returns the number of the last entry, at most `head`, that changed an entry, and whether its
    /// content was erased.
    pub(crate) fn changed(
        &self,
        epoch: Epoch,
        room: RoomId,
        seq: u64,
        head: u64,
    ) -> Option<(u64, bool)> {
        self.room(epoch, room)?.changed(seq, head)
    }

    /// Checks that an entry is as it stood when the log ended at `head`.
    pub(crate) fn check_as_of(
        &self,
        epoch: Epoch,
        shown: &protocol::Entry,
        head: u64,
    ) -> Result<(), Fault> {
        let room = self.check_envelope(epoch, shown)?;
        if room.agrees(shown.seq, &shown.kind, head) {
            return Ok(());
        }
        let (seq, kind) = (shown.seq, &shown.kind);
        let expected = room.kind(seq, head);
        Err(format!(
            "{seq} is {kind:?}, where it was {expected:?} at {head}"
        ))
    }

    /// Checks that an entry is as it stands.
    pub(crate) fn check_now(&self, epoch: Epoch, shown: &protocol::Entry) -> Result<(), Fault> {
        self.check_as_of(epoch, shown, self.head(epoch, shown.room))
    }

    /// Checks that an entry is as the log has it now.
    pub(crate) fn check_frame(&self, epoch: Epoch, frame: &protocol::Entry) -> Result<(), Fault> {
        let room = self.check_envelope(epoch, frame)?;
        let expected = room.frame(frame.seq, room.head(), room.first());
        if expected.as_ref() == Some(&frame.kind) {
            return Ok(());
        }
        let (seq, kind) = (frame.seq, &frame.kind);
        Err(format!("{seq} is {kind:?}, not {expected:?}"))
    }

    /// Checks that an entry is as it stood at some time.
    pub(crate) fn check_once(&self, epoch: Epoch, shown: &protocol::Entry) -> Result<(), Fault> {
        let room = self.check_envelope(epoch, shown)?;
        let seq = shown.seq;
        let changes = (seq..=room.head()).filter_map(|head| room.changed(seq, head));
        let mut heads: Vec<_> = changes.map(|(by, _)| by).collect();
        heads.dedup();
        heads.push(seq);
        if heads
            .iter()
            .any(|head| room.agrees(seq, &shown.kind, *head))
        {
            return Ok(());
        }
        let entry = room.entry(seq);
        Err(format!(
            "{shown:?} is {entry:?} in the log, and never was that"
        ))
    }

    /// Checks that an entry is as it stands, or was changed by one with a higher number than
    /// `folded`: then whoever asks for the changes since that gets it.
    pub(crate) fn check_folded(
        &self,
        epoch: Epoch,
        stored: &protocol::Entry,
        folded: u64,
    ) -> Result<(), Fault> {
        let head = self.head(epoch, stored.room);
        match self.changed(epoch, stored.room, stored.seq, head) {
            Some((by, _)) if by > folded => Ok(()),
            _ => self
                .check_now(epoch, stored)
                .map_err(|fault| format!("{fault}, on a disk that is folded to {folded}")),
        }
    }

    fn check_envelope(&self, epoch: Epoch, shown: &protocol::Entry) -> Result<&Room, Fault> {
        let seq = shown.seq;
        let room = self.room(epoch, shown.room);
        let (room, entry) = room
            .and_then(|room| Some((room, room.entry(seq)?)))
            .ok_or(format!("{seq} was shown before its commit"))?;
        let author = Author {
            user: entry.user,
            nickname: entry.nickname.clone(),
            proven: !entry.unproven,
        };
        let same = entry.id == shown.id
            && entry.time == shown.time
            && entry.clock_was == shown.clock_was
            && author == shown.author;
        if same {
            Ok(room)
        } else {
            Err(format!("{shown:?} is {entry:?} in the log"))
        }
    }

    /// The texts of messages whose content was erased: nothing may hold them.
    pub(crate) fn erased_texts(&self, epoch: Epoch) -> Vec<&str> {
        let Some(log) = self.logs.get(&epoch) else {
            return Vec::new();
        };
        let mut texts = Vec::new();
        for room in log.rooms.values() {
            for (seq, entry) in (1..).zip(&room.entries) {
                let kind = room.kind(seq, room.head());
                if !matches!(kind, Some(EntryKind::Tombstone(_))) {
                    continue;
                }
                let later = room.references(entry, room.head());
                let all = [entry].into_iter().chain(later.map(|(_, later)| later));
                let bodies = all.filter_map(|entry| entry.body());
                texts.extend(bodies.map(Body::as_str));
            }
        }
        texts
    }
}
