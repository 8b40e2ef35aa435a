//! Messages of ours that are not in the scrollback yet: typed, saved, sent, refused.

use jiff::Timestamp;

use super::{
    Context, Pane, Scroll, ScrollItemKey,
    rows::Rows,
    spans,
    timeline_item::{Own, TextSpan, TimelineItem, TimelineMessage},
};
use crate::{
    client::event::{Delivery, LocalId, OutboxMessage, Received, Said, Unlogged},
    text::{Body, Line},
};

/// The ids of messages that the session has not named yet start here: they stand below all that it
/// has, in order of typing, and are never told to it.
const UNNAMED_FROM: u64 = 1 << 63;

/// A message of ours that is not in the scrollback yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Which; one of this screen's own making until the session has named it.
    pub local: LocalId,
    /// The text.
    pub body: Body,
    /// What stands out in it.
    pub spans: Vec<TextSpan>,
    /// How it stands.
    pub state: OutgoingState,
    /// Whether the client's own store is known to have it: then the next start has it too.
    pub kept: bool,
    /// Whether the reader wants to see all of it, however long it is.
    pub unfolded: bool,
    /// The rows of its text.
    pub rows: Rows,
}

impl Outgoing {
    /// Whether the session has yet to name it.
    fn is_unnamed(&self) -> bool {
        self.local.0 >= UNNAMED_FROM
    }

    /// Whether it is on its way, and the next start goes on with it if it has to.
    pub fn is_pending(&self) -> bool {
        let waits = matches!(
            self.state,
            OutgoingState::Pending | OutgoingState::TakingBack
        );
        self.kept && waits
    }
}

/// How a message of ours stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutgoingState {
    /// Typed, and not kept on this machine yet: it is gone should we end now.
    Saving,
    /// Not sent, or not answered.
    Pending,
    /// In the log under this number; its echo has not come by yet.
    Sent(u64),
    /// Refused for good, with the reason.
    Failed(Line),
    /// The user has asked to take it back.
    TakingBack,
}

impl Pane {
    /// The echoes up to a number have come, or never will.
    pub(super) fn echoed_to(&mut self, seq: u64) {
        self.outbox
            .retain(|outgoing| !matches!(outgoing.state, OutgoingState::Sent(at) if at <= seq));
    }

    /// Lets go of the message of ours that has come; whether it was unfolded.
    pub(super) fn forget_outgoing(&mut self, received: &Received) -> bool {
        let Some(local) = received.local else {
            return false;
        };
        let unfolded = self.find(local).is_some_and(|outgoing| outgoing.unfolded);
        self.outbox.retain(|outgoing| outgoing.local != local);
        unfolded
    }

    /// A message of ours was typed: it stands here at once, whatever the disk is doing.
    pub fn typed(&mut self, body: Body) {
        let local = LocalId(UNNAMED_FROM + self.typed);
        self.typed += 1;
        let spans = spans::find(body.as_str(), None);
        self.outbox.push(Outgoing {
            local,
            body,
            spans,
            state: OutgoingState::Saving,
            kept: false,
            unfolded: false,
            rows: Rows::default(),
        });
    }

    /// The session names a message for the first time. It goes by the text: the first that was
    /// typed is the first that is named, and which of two that read the same it is makes no
    /// difference.
    fn name_typed(&mut self, local: LocalId, body: &Body) {
        if self.find(local).is_some() {
            return;
        }
        let typed = |outgoing: &Outgoing| outgoing.is_unnamed() && outgoing.body == *body;
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

    /// Messages stand in the order of their ids.
    fn place(&mut self, outgoing: Outgoing) {
        let before = |other: &Outgoing| other.local < outgoing.local;
        let at = self.outbox.partition_point(before);
        self.outbox.insert(at, outgoing);
    }

    /// A message of ours changed its state.
    pub fn outgoing(&mut self, message: OutboxMessage, now: Timestamp, context: Context<'_>) {
        let OutboxMessage {
            local,
            body,
            delivery,
            ..
        } = message;
        if matches!(delivery, Delivery::Pending | Delivery::Failed { .. }) {
            self.name_typed(local, &body);
        }
        let state = match delivery {
            // Written to a server that was taken for a basic one and now turns out to confirm: it
            // stands in its place already.
            Delivery::Pending if self.timeline.is_unconfirmed(local) => return,
            Delivery::Sent { seq: Some(seq) }
                if seq <= self.timeline.last() && self.timeline.confirm(local, Some(seq)) =>
            {
                return;
            }
            Delivery::Pending => OutgoingState::Pending,
            Delivery::Failed { why } => OutgoingState::Failed(why),
            Delivery::Withdrawn | Delivery::SettledElsewhere => {
                self.outbox.retain(|outgoing| outgoing.local != local);
                return;
            }
            Delivery::Sent { seq: Some(seq) } if seq > self.timeline.last() => {
                // Its echo is still to come and brings it to its place. If the echo has been
                // here already, there is nothing to change.
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
        // What was not typed in this run the session has from the disk, and what is pending it has
        // saved.
        if let Some(outgoing) = self.find(local) {
            outgoing.kept |= state == OutgoingState::Pending;
            outgoing.state = state;
        } else {
            let spans = spans::find(body.as_str(), None);
            self.place(Outgoing {
                local,
                body,
                spans,
                state,
                kept: true,
                unfolded: false,
                rows: Rows::default(),
            });
        }
    }

    fn find(&mut self, local: LocalId) -> Option<&mut Outgoing> {
        self.outbox
            .iter_mut()
            .find(|outgoing| outgoing.local == local)
    }

    /// Moves a message of which no echo will come from the outbox to the scrollback.
    fn settle(&mut self, local: LocalId, own: Own, now: Timestamp, context: Context<'_>) {
        let Some(at) = self
            .outbox
            .iter()
            .position(|outgoing| outgoing.local == local)
        else {
            return;
        };
        let outgoing = self.outbox.remove(at);
        self.timeline.push(
            TimelineItem::Message(TimelineMessage {
                said: Said::Unlogged(Unlogged {
                    room: self.key.room.clone(),
                    user: context.user,
                    nickname: context.nickname.clone(),
                    time: now,
                    body: outgoing.body,
                }),
                spans: outgoing.spans,
                own: Some(own),
                unfolded: outgoing.unfolded,
            }),
            context.zone,
        );
    }
}
