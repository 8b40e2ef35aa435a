//! What stands in the scrollback: messages, and what happened between them.

use std::ops::Range;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::presence::PresenceChange;
use crate::{
    client::event::{LocalId, Said},
    tui::{commands::Slash, local_time, user_text::Tone},
};

/// A sender who goes on within so many seconds is not named again.
const RUN_SECONDS_MAX: i64 = 5 * 60;

/// One thing in the scrollback. Lines for days, for what is not loaded and for what is new are no
/// entries: they follow from what stands beside each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimelineItem {
    /// A message that is in the room's log (or that a basic server was handed).
    Message(TimelineMessage),
    /// People came, went, or changed their names, one after another.
    Presence {
        /// When the first of it happened.
        time: Timestamp,
        /// What happened, in order.
        changes: Vec<PresenceChange>,
        /// The same as a sentence.
        text: String,
    },
    /// A remark of the program or the server.
    Notice {
        /// When.
        time: Timestamp,
        /// The command that asked for it, where it is the first of an answer.
        asked: Option<&'static Slash>,
        /// How it is told.
        tone: Tone,
        /// What; may have several lines.
        text: String,
        /// The same as it was told, where that names a moment in UTC.
        utc: Option<String>,
    },
    /// What is below belongs to another log than what is above.
    Break {
        /// Why, in a few words.
        text: String,
    },
}

/// A message as the scrollback holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineMessage {
    /// The message itself.
    pub said: Said,
    /// The parts of the text that are not plain.
    pub spans: Vec<TextSpan>,
    /// What is known about it, where it is one of ours.
    pub own: Option<Own>,
    /// Whether the reader wants to see all of it, however long it is.
    pub unfolded: bool,
}

/// What is known about one of our own messages in the scrollback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// It is in the log.
    Sent,
    /// It was written to a server that never confirms; or that was only slow to say that it does.
    Unconfirmed(LocalId),
}

/// A part of a text that stands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextSpan {
    /// Which bytes of the text.
    pub range: Range<usize>,
    /// What it is.
    pub kind: TextSpanKind,
}

/// Why a part of a text stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextSpanKind {
    /// Our own nickname.
    Mention,
    /// An address on the web.
    Link,
}

impl TimelineItem {
    /// The text that is wrapped to the width.
    pub fn text(&self) -> &str {
        match self {
            Self::Message(message) => message.said.body().as_str(),
            Self::Presence { text, .. } | Self::Notice { text, .. } | Self::Break { text } => text,
        }
    }

    /// Tells the moments in a server's words in another zone.
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

    /// When it happened, where that is told.
    pub fn time(&self) -> Option<Timestamp> {
        match self {
            Self::Message(message) => Some(message.said.time()),
            Self::Presence { time, .. } | Self::Notice { time, .. } => Some(*time),
            Self::Break { .. } => None,
        }
    }

    /// By how much the server's clock was corrected before it, if it was.
    pub fn clock_corrected(&self) -> Option<SignedDuration> {
        match self {
            Self::Message(TimelineMessage { said, .. }) => {
                said.clock_was().map(|was| said.time().duration_since(was))
            }
            _ => None,
        }
    }

    /// Whether this message goes on with the sender of `before`, so that they need not be named
    /// again.
    pub fn continues(&self, before: Option<&Self>) -> bool {
        let (Self::Message(this), Some(Self::Message(before))) = (self, before) else {
            return false;
        };
        let (this, before) = (&this.said, &before.said);
        this.nickname() == before.nickname()
            && this.user() == before.user()
            && this.unproven() == before.unproven()
            && this.time().as_second() - before.time().as_second() <= RUN_SECONDS_MAX
    }

    /// Whether it stands on rows of its own, to be copied.
    pub fn is_verbatim(&self) -> bool {
        let tone = Tone::Verbatim;
        matches!(self, Self::Notice { tone: own, .. } if *own == tone)
    }

    /// Whether it is a message of somebody else's.
    pub fn is_of_others(&self) -> bool {
        matches!(self, Self::Message(message) if message.own.is_none())
    }
}
