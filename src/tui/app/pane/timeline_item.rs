//! The entries of the scrollback: messages, and events between them.

use std::{borrow::Cow, collections::VecDeque, ops::Range};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::presence::PresenceChange;
use crate::{
    client::event::{LocalId, Said},
    protocol::{Entry, EntryKind},
    text::Body,
    tui::{commands::Slash, entry_text, local_time, user_text::Tone},
};

/// A sender who continues within this many seconds is not named again.
const RUN_SECONDS_MAX: i64 = 5 * 60;

/// An entry of the scrollback. Lines for days, gaps and unread messages are not entries: they
/// follow from their neighbours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimelineItem {
    /// A message in the room's log (or one sent to a legacy server).
    Message(TimelineMessage),
    /// Members joined, left, or changed their nicknames, one after another.
    Presence {
        /// The time of the first change.
        time: Timestamp,
        /// The changes, in order.
        changes: Vec<PresenceChange>,
        /// The changes as a sentence.
        text: String,
    },
    /// A notice of the program or the server.
    Notice {
        /// The time.
        time: Timestamp,
        /// The command that it answers, if it is the first part of the answer.
        asked: Option<&'static Slash>,
        /// The weight of the text.
        tone: Tone,
        /// The text; may have several lines.
        text: String,
        /// The original text, if it contains a time in UTC.
        utc: Option<String>,
    },
    /// The entries below belong to another log than those above.
    Break {
        /// The reason, in a few words.
        text: String,
    },
}

/// A message as the scrollback holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineMessage {
    /// The message itself.
    pub said: Said,
    /// The highlighted parts of the text.
    pub spans: Vec<TextSpan>,
    /// The state, if it is one of ours.
    pub own: Option<Own>,
    /// Whether the reader has unfolded it.
    pub unfolded: bool,
    /// Whether its sender is ignored: then its text is not shown.
    pub ignored: bool,
    /// The latest texts that it had before, if it is one of ours.
    pub before: VecDeque<Body>,
}

/// The state of one of our messages in the scrollback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// It is in the log.
    Sent,
    /// It was sent to a server that never confirms, or that was slow to say that it does.
    Unconfirmed(LocalId),
}

/// A highlighted part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextSpan {
    /// The range in bytes.
    pub range: Range<usize>,
    /// The reason.
    pub kind: TextSpanKind,
}

/// The reason why a part of a text is highlighted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextSpanKind {
    /// Our own nickname.
    Mention,
    /// A web address.
    Link,
}

impl TimelineItem {
    /// The text that is wrapped to the width.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Message(message) => message.text(),
            Self::Presence { text, .. } | Self::Notice { text, .. } | Self::Break { text } => {
                Cow::Borrowed(text)
            }
        }
    }

    /// The bytes of text that it holds.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Message(message) => message.said.words().len(),
            Self::Presence { text, .. } | Self::Notice { text, .. } | Self::Break { text } => {
                text.len()
            }
        }
    }

    /// The entry of the log, if it is one.
    pub fn logged(&self) -> Option<&Entry> {
        match self {
            Self::Message(message) => message.logged(),
            Self::Presence { .. } | Self::Notice { .. } | Self::Break { .. } => None,
        }
    }

    /// Converts the times in a server's text to another zone.
    pub fn set_zone(&mut self, zone: &TimeZone) {
        if let Self::Notice {
            text,
            utc: Some(utc),
            ..
        } = self
        {
            *text = local_time::in_text(utc, zone);
        }
    }

    /// The time, if it is shown.
    pub fn time(&self) -> Option<Timestamp> {
        match self {
            Self::Message(message) => Some(message.said.time()),
            Self::Presence { time, .. } | Self::Notice { time, .. } => Some(*time),
            Self::Break { .. } => None,
        }
    }

    /// The correction of the server's clock before this message, if there was one.
    pub fn clock_corrected(&self) -> Option<SignedDuration> {
        match self {
            Self::Message(TimelineMessage { said, .. }) => {
                said.clock_was().map(|was| said.time().duration_since(was))
            }
            _ => None,
        }
    }

    /// Whether this message continues the sender of `before`, so that the sender is not named
    /// again.
    pub fn continues(&self, before: Option<&Self>) -> bool {
        let (Self::Message(this), Some(Self::Message(before))) = (self, before) else {
            return false;
        };
        if this.is_remark() || before.is_remark() {
            return false;
        }
        let (this, before) = (&this.said, &before.said);
        this.nickname() == before.nickname()
            && this.user() == before.user()
            && this.unproven() == before.unproven()
            && this.time().as_second() - before.time().as_second() <= RUN_SECONDS_MAX
    }

    /// Whether somebody said it, so that their name stands before it.
    pub fn is_said(&self) -> bool {
        matches!(self, Self::Message(message) if !message.is_remark())
    }

    /// Whether it has rows of its own, to be copied.
    pub fn is_verbatim(&self) -> bool {
        let tone = Tone::Verbatim;
        matches!(self, Self::Notice { tone: own, .. } if *own == tone)
    }

    /// Whether it counts as unread: a message of another user that was not deleted.
    pub fn counts(&self) -> bool {
        matches!(self, Self::Message(message) if message.own.is_none() && message.counts())
    }
}

impl TimelineMessage {
    /// The entry of the log; `None` for a message that has none.
    pub fn logged(&self) -> Option<&Entry> {
        match &self.said {
            Said::Logged(entry) => Some(entry),
            Said::Unlogged(_) => None,
        }
    }

    /// The text on the screen: with the mark of an edited message, and words for an entry that has
    /// no text.
    pub fn text(&self) -> Cow<'_, str> {
        match &self.said {
            _ if self.ignored => Cow::Owned(format!(
                "{} wrote something: you ignore them",
                self.said.nickname()
            )),
            Said::Logged(_) if self.is_edited() => {
                Cow::Owned(format!("{} {}", self.said.words(), entry_text::EDITED))
            }
            Said::Logged(entry) => entry_text::words(entry),
            Said::Unlogged(_) => Cow::Borrowed(self.said.words()),
        }
    }

    /// Whether its text comes from an edit.
    pub fn is_edited(&self) -> bool {
        let kind = self.logged().map(|entry| &entry.kind);
        matches!(kind, Some(EntryKind::Text(text)) if text.edited.is_some())
    }

    /// Whether it is a message with its text: neither deleted nor of an unknown kind.
    pub fn is_text(&self) -> bool {
        self.logged().is_none_or(|entry| entry.text().is_some())
    }

    /// Whether it is something that happened to the room, which nobody said.
    pub fn is_event(&self) -> bool {
        let kind = self.logged().map(|entry| &entry.kind);
        matches!(kind, Some(EntryKind::Event(_)))
    }

    /// Whether it is one quiet row, without a name before it.
    pub fn is_remark(&self) -> bool {
        self.ignored || self.is_event()
    }

    /// Whether it was deleted.
    pub fn is_deleted(&self) -> bool {
        let kind = self.logged().map(|entry| &entry.kind);
        matches!(kind, Some(EntryKind::Tombstone(_)))
    }

    /// Whether it counts as unread for others.
    fn counts(&self) -> bool {
        !self.ignored && self.logged().is_none_or(Entry::counts)
    }
}
