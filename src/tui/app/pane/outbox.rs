//! Our messages that are not in the scrollback yet: typed, saved, sent, refused. And our edits and
//! deletions: those under way are a mark beside their message; refused ones are shown here.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::{
    Context, Pane, Scroll, ScrollItemKey,
    rows::Rows,
    spans,
    timeline_item::{Own, TextSpan, TimelineItem, TimelineMessage},
};
use crate::{
    client::event::{Delivery, LocalId, OutboxMessage, Received, Said, Unlogged},
    protocol::{Content, MessageId},
    text::{Body, Line},
    tui::entry_text,
};

/// The first id for messages that the session has not named yet: they sort below all that it has
/// named, in order of typing, and these ids are never sent to it.
const UNNAMED_FROM: u64 = 1 << 63;

/// One of our messages that is not in the scrollback yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Its id; a temporary one until the session has named it.
    pub local: LocalId,
    /// The content.
    pub content: Content,
    /// The message that it edits or deletes, in words; empty for a new message.
    pub about: String,
    /// The highlighted parts of the text.
    pub spans: Vec<TextSpan>,
    /// Its state.
    pub state: OutgoingState,
    /// Whether the client's own store is known to have it, so that the next start has it too.
    pub kept: bool,
    /// Whether the reader has unfolded it.
    pub unfolded: bool,
    /// The rows of its text.
    pub rows: Rows,
}

impl Outgoing {
    /// The text on the screen.
    pub fn text(&self) -> &str {
        match &self.content {
            Content::Text(body) | Content::Edit { body, .. } => body.as_str(),
            Content::Redaction { .. } => &self.about,
        }
    }

    /// The text below it, if it was refused.
    pub fn failure(&self) -> Option<String> {
        let OutgoingState::Failed(why) = &self.state else {
            return None;
        };
        Some(match &self.content {
            Content::Text(_) => format!("not sent: {why}"),
            Content::Edit { .. } => format!("{} was not changed: {why}", self.about),
            Content::Redaction { .. } => format!("not deleted: {why}"),
        })
    }

    /// Whether the session has not named it yet.
    fn is_unnamed(&self) -> bool {
        self.local.0 >= UNNAMED_FROM
    }

    /// Whether it is pending, and the next start would send it.
    pub fn is_pending(&self) -> bool {
        let waits = matches!(
            self.state,
            OutgoingState::Pending | OutgoingState::TakingBack | OutgoingState::Deleting
        );
        self.kept && waits
    }
}

/// An edit or deletion that is not in the log yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeUnderWay {
    /// The entry that it changes.
    pub target: MessageId,
    /// Whether the user has asked to take it back.
    pub taken_back: bool,
}

/// The state of one of our messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutgoingState {
    /// Typed, and not saved on this machine yet: lost if we end now.
    Saving,
    /// Not sent, or not acknowledged.
    Pending,
    /// In the log under this number; its echo has not arrived yet.
    Sent(u64),
    /// Refused for good, with the reason.
    Failed(Line),
    /// The user has asked to take it back.
    TakingBack,
    /// The user has deleted it.
    Deleting,
}

impl Pane {
    /// Forgets messages whose echo has come, or never will, up to a number.
    pub(super) fn echoed_to(&mut self, seq: u64) {
        self.outbox
            .retain(|outgoing| !matches!(outgoing.state, OutgoingState::Sent(at) if at <= seq));
    }

    /// Removes our message that has arrived in the log; returns whether it was unfolded.
    pub(super) fn forget_outgoing(&mut self, received: &Received) -> bool {
        let Some(local) = received.local else {
            return false;
        };
        self.changing.remove(&local);
        let unfolded = self.find(local).is_some_and(|outgoing| outgoing.unfolded);
        self.outbox.retain(|outgoing| outgoing.local != local);
        unfolded
    }

    /// Adds a message that was typed: it is shown at once, even before it is saved.
    pub fn typed(&mut self, body: Body) {
        let local = LocalId(UNNAMED_FROM + self.typed);
        self.typed += 1;
        let spans = spans::find(body.as_str(), None);
        self.outbox.push(Outgoing {
            local,
            content: Content::Text(body),
            about: String::new(),
            spans,
            state: OutgoingState::Saving,
            kept: false,
            unfolded: false,
            rows: Rows::default(),
        });
    }

    /// Gives a typed message the id that the session chose. They are matched by text: the session
    /// names them in order of typing, and two with the same text are interchangeable.
    fn name_typed(&mut self, local: LocalId, body: &Body) {
        if self.find(local).is_some() {
            return;
        }
        let typed =
            |outgoing: &Outgoing| outgoing.is_unnamed() && outgoing.content.body() == Some(body);
        let Some(at) = self.outbox.iter().position(typed) else {
            return;
        };
        let mut outgoing = self.outbox.remove(at);
        if let Scroll::At { item, .. } = &mut self.scroll
            && *item == ScrollItemKey::Outgoing(outgoing.local)
        {
            *item = ScrollItemKey::Outgoing(local);
        }
        outgoing.local = local;
        self.place(outgoing);
    }

    /// Inserts a message in the order of ids.
    fn place(&mut self, outgoing: Outgoing) {
        let before = |other: &Outgoing| other.local < outgoing.local;
        let at = self.outbox.partition_point(before);
        self.outbox.insert(at, outgoing);
    }

    /// Takes a new state of one of our messages.
    pub fn outgoing(&mut self, message: OutboxMessage, now: Timestamp, context: Context<'_>) {
        if let Some(target) = message.content.target() {
            return self.change(message, target, now, context);
        }
        let OutboxMessage {
            local,
            content: Content::Text(body),
            delivery,
            ..
        } = message
        else {
            return;
        };
        if matches!(delivery, Delivery::Pending | Delivery::Failed { .. }) {
            self.name_typed(local, &body);
        }
        let state = match delivery {
            // It was sent to a server that was taken for a legacy one and now turns out to confirm:
            // it is in the scrollback already.
            Delivery::Pending if self.timeline.is_unconfirmed(local) => return,
            Delivery::Sent { seq: Some(seq) }
                if seq <= self.timeline.last() && self.timeline.confirm(local, Some(seq)) =>
            {
                return;
            }
            Delivery::Pending => OutgoingState::Pending,
            Delivery::Failed { why } => OutgoingState::Failed(why),
            Delivery::Withdrawn | Delivery::Unchanged | Delivery::SettledElsewhere => {
                self.outbox.retain(|outgoing| outgoing.local != local);
                return;
            }
            Delivery::Sent { seq: Some(seq) } if seq > self.timeline.last() => {
                // Its echo moves it into the scrollback. If the echo has come already, nothing
                // changes.
                if let Some(outgoing) = self.find(local) {
                    outgoing.state = OutgoingState::Sent(seq);
                }
                return;
            }
            Delivery::Sent { seq: Some(_) } => {
                self.outbox.retain(|outgoing| outgoing.local != local);
                return;
            }
            Delivery::Sent { seq: None } => {
                return self.settle(local, Own::Sent, now, context);
            }
            Delivery::Unconfirmed => {
                return self.settle(local, Own::Unconfirmed(local), now, context);
            }
        };
        // A message that was not typed in this run comes from the disk, and a pending one has been
        // saved.
        if let Some(outgoing) = self.find(local) {
            outgoing.kept |= state == OutgoingState::Pending;
            outgoing.state = state;
        } else {
            let spans = spans::find(body.as_str(), None);
            self.place(Outgoing {
                local,
                content: Content::Text(body),
                about: String::new(),
                spans,
                state,
                kept: true,
                unfolded: false,
                rows: Rows::default(),
            });
        }
    }

    /// Takes a new state of one of our edits or deletions.
    fn change(
        &mut self,
        message: OutboxMessage,
        target: MessageId,
        now: Timestamp,
        context: Context<'_>,
    ) {
        let local = message.local;
        let known = self.changing.remove(&local);
        self.outbox.retain(|outgoing| outgoing.local != local);
        match message.delivery {
            Delivery::Pending => {
                let taken_back = known.is_some_and(|change| change.taken_back);
                let change = ChangeUnderWay { target, taken_back };
                self.changing.insert(local, change);
            }
            Delivery::Failed { why } => {
                let mut about = self.message_named(target, now, context);
                if let Content::Redaction { .. } = &message.content {
                    about = format!("delete {about}");
                }
                self.place(Outgoing {
                    local,
                    spans: spans::find(message.content.body().map_or("", Body::as_str), None),
                    content: message.content,
                    about,
                    state: OutgoingState::Failed(why),
                    kept: true,
                    unfolded: false,
                    rows: Rows::default(),
                });
            }
            Delivery::Sent { .. }
            | Delivery::Unconfirmed
            | Delivery::Withdrawn
            | Delivery::Unchanged
            | Delivery::SettledElsewhere => {}
        }
    }

    /// An entry in words, if it is loaded: whose it is, and of when.
    fn message_named(&self, id: MessageId, now: Timestamp, context: Context<'_>) -> String {
        let item = self.timeline.find(id).and_then(|at| self.timeline.get(at));
        match item {
            Some(TimelineItem::Message(message)) => {
                let author = message.own.is_none().then(|| message.said.nickname());
                entry_text::named(author, message.said.time(), now, context.zone)
            }
            _ => "a message".to_owned(),
        }
    }

    /// Whether an edit or deletion of an entry is under way.
    pub fn is_changing(&self, id: MessageId) -> bool {
        self.changing.values().any(|change| change.target == id)
    }

    fn find(&mut self, local: LocalId) -> Option<&mut Outgoing> {
        self.outbox
            .iter_mut()
            .find(|outgoing| outgoing.local == local)
    }

    /// Moves a message that will have no echo from the outbox to the scrollback.
    fn settle(&mut self, local: LocalId, own: Own, now: Timestamp, context: Context<'_>) {
        let Some(at) = self
            .outbox
            .iter()
            .position(|outgoing| outgoing.local == local)
        else {
            return;
        };
        let outgoing = self.outbox.remove(at);
        let Content::Text(body) = outgoing.content else {
            return;
        };
        self.timeline.push(
            TimelineItem::Message(TimelineMessage {
                said: Said::Unlogged(Unlogged {
                    room: self.key.room,
                    user: context.user,
                    nickname: context.nickname.clone(),
                    time: now,
                    body,
                }),
                spans: outgoing.spans,
                own: Some(own),
                unfolded: outgoing.unfolded,
                ignored: false,
                before: VecDeque::new(),
            }),
            context.zone,
        );
    }
}
