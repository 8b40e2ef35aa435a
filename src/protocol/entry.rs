//! Entries: what a room's log holds.
//!
//! Every entry has the same envelope (room, number, id, author, time) and a kind. A reader counts
//! an entry of a kind that it does not know like any other, keeps it whole, and obeys its generic
//! fields. So a log can get new kinds without locking older readers out.

use jiff::Timestamp;

use super::{
    name::{MessageId, Nickname, RoomId, RoomName, UserId},
    room::Person,
};
use crate::text::{Body, BodyError, Line};

/// One entry of a room's log, as it stands now: with what later entries have done to it, as far as
/// the sender of the frame knew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The room.
    pub room: RoomId,
    /// Its number: 1, 2, 3, … in each room, without gaps.
    pub seq: u64,
    /// Its id.
    pub id: MessageId,
    /// The user who made it.
    pub author: Author,
    /// When the server accepted it. Earlier than the previous entry's time only where the clock was
    /// set back.
    pub time: Timestamp,
    /// Set where the server's clock was corrected since the previous entry: the time that the
    /// uncorrected clock would show.
    pub clock_was: Option<Timestamp>,
    /// What it holds.
    pub kind: EntryKind,
}

/// The user who made an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The user.
    pub user: UserId,
    /// Their nickname at that time.
    pub nickname: Nickname,
    /// Whether they had proven a key; this never changes. Older servers did not record it, so true
    /// may mean unknown.
    pub proven: bool,
}

/// What an entry holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A message.
    Text(Text),
    /// A new text for a message.
    Edit {
        /// The message.
        target: MessageId,
        /// The text; `None` once a later edit has replaced it, or the message is redacted.
        body: Option<Body>,
        /// The users whom the text mentions.
        mentions: Mentions,
    },
    /// Erases an entry's content.
    Redaction {
        /// The entry.
        target: MessageId,
        /// The reason, if the author gave one.
        reason: Option<Line>,
    },
    /// What stays of an entry whose content was erased.
    Tombstone(Tombstone),
    /// Something that happened to the room or its membership.
    Event(Box<RoomEvent>),
    /// A kind that this build does not know.
    Unknown(Box<UnknownKind>),
}

/// A message's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The text. A receiver never refuses text from a log, but makes it inert.
    pub body: Body,
    /// The users whom the text mentions.
    pub mentions: Mentions,
    /// The number of the edit that this text comes from; `None` if it was not edited.
    pub edited: Option<u64>,
}

/// The users whom a text mentions, as the server has found them when it was sent: they stay the same
/// whatever nicknames these users take later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mentions {
    /// The users: at most [`MENTIONS_MAX`](super::limits::MENTIONS_MAX).
    pub users: Vec<UserId>,
    /// Whether it mentions all members of the room.
    pub everyone: bool,
}

impl Mentions {
    /// Nobody.
    pub const NONE: Self = Self {
        users: Vec::new(),
        everyone: false,
    };

    /// Whether nobody is mentioned.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && !self.everyone
    }

    /// Whether a user is mentioned.
    pub fn include(&self, user: UserId) -> bool {
        self.everyone || self.users.contains(&user)
    }
}

/// Something that happened to a room or its membership, as an entry of its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomEvent {
    /// What happened.
    pub change: RoomChange,
    /// The same in words, for every reader: `alice invited bob`. Never empty.
    pub alt: Line,
}

/// What happened to a room or its membership. The entry's author did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomChange {
    /// The author joined.
    Joined,
    /// The author left.
    Left,
    /// The author made somebody a member.
    Invited(Person),
    /// The author ended somebody's membership.
    Removed(Person),
    /// The room was made.
    Created,
    /// It got another name.
    Renamed(RoomName),
    /// It got another topic, or none.
    Topic(Option<Line>),
    /// It can only be read from now on.
    Archived,
    /// It can be written in again.
    Unarchived,
}

/// What stays of an entry whose content was erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// The number of the entry that erased it.
    pub redacted: u64,
    /// The nickname of the user who erased it; `None`: its own author did.
    pub by: Option<Nickname>,
    /// The name of its kind; `None`: it was a message.
    pub kind: Option<Line>,
}

/// An entry's content that this build does not know, with the fields that mean the same in all
/// kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKind {
    /// The kind's name.
    pub name: Line,
    /// The entry that it refers to.
    pub target: Option<MessageId>,
    /// Whether it erases its target's content.
    pub erases: bool,
    /// Whether it counts as unread.
    pub counts: bool,
    /// A line to show in its place.
    pub alt: Option<Line>,
    /// The whole frame: one JSON object on one line, without a newline at its end.
    pub raw: Box<str>,
}

impl Entry {
    /// The text, if it is a message that was not erased.
    pub fn text(&self) -> Option<&Body> {
        match &self.kind {
            EntryKind::Text(text) => Some(&text.body),
            EntryKind::Edit { .. }
            | EntryKind::Redaction { .. }
            | EntryKind::Tombstone(_)
            | EntryKind::Event(_)
            | EntryKind::Unknown(_) => None,
        }
    }

    /// The text that it brings: a message's, or an edit's.
    pub fn body(&self) -> Option<&Body> {
        match &self.kind {
            EntryKind::Text(text) => Some(&text.body),
            EntryKind::Edit { body, .. } => body.as_ref(),
            EntryKind::Redaction { .. }
            | EntryKind::Tombstone(_)
            | EntryKind::Event(_)
            | EntryKind::Unknown(_) => None,
        }
    }

    /// The users whom its text mentions.
    pub fn mentions(&self) -> &Mentions {
        static NOBODY: Mentions = Mentions::NONE;
        match &self.kind {
            EntryKind::Text(text) => &text.mentions,
            EntryKind::Edit { mentions, .. } => mentions,
            EntryKind::Redaction { .. }
            | EntryKind::Tombstone(_)
            | EntryKind::Event(_)
            | EntryKind::Unknown(_) => &NOBODY,
        }
    }

    /// Takes an edit's text away; `None` if it is no edit, or has none.
    pub fn take_edit(&mut self) -> Option<Body> {
        match &mut self.kind {
            EntryKind::Edit { body, mentions, .. } => {
                *mentions = Mentions::NONE;
                body.take()
            }
            EntryKind::Text(_)
            | EntryKind::Redaction { .. }
            | EntryKind::Tombstone(_)
            | EntryKind::Event(_)
            | EntryKind::Unknown(_) => None,
        }
    }

    /// The number of the edit that its text comes from.
    pub fn edited(&self) -> Option<u64> {
        match &self.kind {
            EntryKind::Text(text) => text.edited,
            EntryKind::Edit { .. }
            | EntryKind::Redaction { .. }
            | EntryKind::Tombstone(_)
            | EntryKind::Event(_)
            | EntryKind::Unknown(_) => None,
        }
    }

    /// Whether its content was erased.
    pub fn is_erased(&self) -> bool {
        matches!(self.kind, EntryKind::Tombstone(_))
    }

    /// Bytes of its content; of a kind without a text, about as many as its fields have.
    pub fn bytes(&self) -> usize {
        const FIELDS: usize = 64;
        match &self.kind {
            EntryKind::Text(text) => text.body.as_str().len(),
            EntryKind::Edit { body, .. } => FIELDS + body.as_ref().map_or(0, |b| b.as_str().len()),
            EntryKind::Redaction { reason, .. } => {
                FIELDS + reason.as_ref().map_or(0, |reason| reason.as_str().len())
            }
            EntryKind::Tombstone(_) => FIELDS,
            EntryKind::Event(event) => FIELDS + event.alt.as_str().len(),
            EntryKind::Unknown(unknown) => unknown.raw.len(),
        }
    }

    /// The words to show for it; empty if there are none.
    pub fn words(&self) -> &str {
        match &self.kind {
            EntryKind::Text(text) => text.body.as_str(),
            EntryKind::Event(event) => event.alt.as_str(),
            EntryKind::Unknown(unknown) => unknown.alt.as_ref().map_or("", Line::as_str),
            EntryKind::Edit { .. } | EntryKind::Redaction { .. } | EntryKind::Tombstone(_) => "",
        }
    }

    /// The entry that it refers to.
    pub fn target(&self) -> Option<MessageId> {
        match &self.kind {
            EntryKind::Edit { target, .. } | EntryKind::Redaction { target, .. } => Some(*target),
            EntryKind::Unknown(unknown) => unknown.target,
            EntryKind::Text(_) | EntryKind::Tombstone(_) | EntryKind::Event(_) => None,
        }
    }

    /// Whether it erases its target's content.
    pub fn erases(&self) -> bool {
        match &self.kind {
            EntryKind::Redaction { .. } => true,
            EntryKind::Unknown(unknown) => unknown.erases,
            EntryKind::Text(_)
            | EntryKind::Edit { .. }
            | EntryKind::Tombstone(_)
            | EntryKind::Event(_) => false,
        }
    }

    /// Whether it has a place of its own in the conversation. Entries that only change another one
    /// have none.
    pub fn is_shown(&self) -> bool {
        match &self.kind {
            EntryKind::Text(_) | EntryKind::Tombstone(_) | EntryKind::Event(_) => true,
            EntryKind::Edit { .. } | EntryKind::Redaction { .. } => false,
            EntryKind::Unknown(unknown) => unknown.target.is_none() || unknown.alt.is_some(),
        }
    }

    /// Whether its content can be erased. What refers to another entry stays: its effect would be
    /// lost for a reader who gets it only now. An edit loses its text with its target.
    pub fn is_erasable(&self) -> bool {
        match &self.kind {
            EntryKind::Text(_) | EntryKind::Tombstone(_) => true,
            EntryKind::Unknown(unknown) => unknown.target.is_none(),
            EntryKind::Edit { .. } | EntryKind::Redaction { .. } | EntryKind::Event(_) => false,
        }
    }

    /// Whether it counts as unread for others.
    pub fn counts(&self) -> bool {
        match &self.kind {
            EntryKind::Text(_) => true,
            EntryKind::Unknown(unknown) => unknown.counts,
            EntryKind::Edit { .. }
            | EntryKind::Redaction { .. }
            | EntryKind::Tombstone(_)
            | EntryKind::Event(_) => false,
        }
    }

    /// Its revision: the number of the last entry that changed it; 0 if none did.
    pub fn rev(&self) -> u64 {
        match &self.kind {
            EntryKind::Text(text) => text.edited.unwrap_or(0),
            EntryKind::Tombstone(tombstone) => tombstone.redacted,
            EntryKind::Edit { .. }
            | EntryKind::Redaction { .. }
            | EntryKind::Event(_)
            | EntryKind::Unknown(_) => 0,
        }
    }
}

/// The content of a new entry, as a client submits it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A message.
    Text(Body),
    /// A new text for one of the user's own messages.
    Edit {
        /// The message.
        target: MessageId,
        /// The text.
        body: Body,
    },
    /// Erases an entry's content: of one's own, or as a moderator of anybody's.
    Redaction {
        /// The entry.
        target: MessageId,
        /// The reason.
        reason: Option<Line>,
    },
}

impl Content {
    /// The text that it carries.
    pub fn body(&self) -> Option<&Body> {
        match self {
            Self::Text(body) | Self::Edit { body, .. } => Some(body),
            Self::Redaction { .. } => None,
        }
    }

    /// The entry that it refers to.
    pub fn target(&self) -> Option<MessageId> {
        match self {
            Self::Text(_) => None,
            Self::Edit { target, .. } | Self::Redaction { target, .. } => Some(*target),
        }
    }

    /// The words that it carries.
    pub fn words(&self) -> &str {
        match self {
            Self::Text(body) | Self::Edit { body, .. } => body.as_str(),
            Self::Redaction { reason, .. } => reason.as_ref().map_or("", Line::as_str),
        }
    }

    /// Bytes of its texts.
    pub fn bytes(&self) -> usize {
        self.words().len()
    }
}

/// Why a submitted content can't become an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContentError {
    /// A text that is not allowed.
    Text(BodyError),
    /// The target is missing, or is no id.
    Target,
    /// A kind, or a type, that this build does not know.
    Kind,
}
