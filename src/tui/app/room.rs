//! One room as the screen holds it: what was said, who is in, what we have on the way there, and
//! where the reader stands.

use jiff::{Timestamp, tz::TimeZone};

use super::{
    marks,
    timeline::{Change, Entry, Mark, Message, Own, Timeline},
};
use crate::{
    client::event::{Delivery, LocalId, Received, RoomOpened},
    protocol::{
        Nickname, RoomName, UserId,
        frame::{Departure, Member, Reset},
    },
    text::{Body, Line},
};

/// A room.
#[derive(Debug)]
pub struct Room {
    /// Its name.
    pub name: RoomName,
    /// What it is about.
    pub topic: Option<Line>,
    /// Everybody in it, ourselves included, sorted by nickname.
    pub members: Vec<Member>,
    /// What was said.
    pub timeline: Timeline,
    /// What we have on the way, in order of typing; shown below all else.
    pub outbox: Vec<Outgoing>,
    /// What the reader looks at.
    pub scroll: Scroll,
    /// What came while the reader was away.
    unread: Option<Unread>,
    /// The key up to which the reader has seen everything.
    seen_to: u64,
    /// The number up to which all was said before we first came: not news.
    history_to: u64,
    /// The number of the last message held.
    last_seq: Option<u64>,
}

/// What came while the reader was away: a line stands above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unread {
    /// The key of the first of it.
    from: u64,
    /// The key after the last of it, once the reader is back: what comes then is read as it comes.
    to: Option<u64>,
    /// Whether the reader has seen the line: then nobody need be led to it.
    line_seen: bool,
}

/// A message of ours that is not in the scrollback yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Which.
    pub local: LocalId,
    /// The text.
    pub body: Body,
    /// What stands out in it.
    pub marks: Vec<Mark>,
    /// How it stands.
    pub state: OutgoingState,
}

/// How a message of ours stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutgoingState {
    /// Not sent, or not answered.
    Pending,
    /// In the log; its echo has not come by yet.
    Sent,
    /// Refused for good, with the reason.
    Failed(Line),
    /// The user has asked to take it back.
    TakingBack,
}

/// What part of the scrollback is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scroll {
    /// The end, whatever arrives.
    Follow,
    /// A place: the item in the top row, the row of it that is there, and how many entries there
    /// had been when the reader left the end.
    At {
        /// The item in the top row.
        top: ItemKey,
        /// The first of its rows that is shown.
        row: u32,
        /// Entries from this key on have come since.
        read_to: u64,
    },
}

/// A thing in the scrollback, whatever its position has become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemKey {
    /// An entry of the timeline.
    Entry(u64),
    /// A message on its way.
    Outgoing(LocalId),
}

/// What a new message means to the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context<'a> {
    /// Our own id on the server.
    pub user: Option<UserId>,
    /// Our own nickname.
    pub nickname: &'a Nickname,
    /// Whether the room is shown and the terminal looked at.
    pub looking: bool,
    /// The reader's time zone.
    pub zone: &'a TimeZone,
}

impl Room {
    /// An empty room.
    pub fn new(name: RoomName) -> Self {
        Self {
            name,
            topic: None,
            members: Vec::new(),
            timeline: Timeline::default(),
            outbox: Vec::new(),
            scroll: Scroll::Follow,
            unread: None,
            seen_to: 0,
            history_to: 0,
            last_seq: None,
        }
    }

    /// Messages of others that have come since the reader left the end.
    pub fn new_below(&self) -> usize {
        let Scroll::At { read_to, .. } = self.scroll else {
            return 0;
        };
        self.messages_between(read_to, self.timeline.key(self.timeline.len()))
    }

    fn messages_between(&self, from: u64, to: u64) -> usize {
        let (from, to) = (self.timeline.index(from), self.timeline.index(to));
        (from..to)
            .filter_map(|index| self.timeline.get(index))
            .filter(|entry| matches!(entry, Entry::Message(message) if message.own.is_none()))
            .count()
    }

    /// The server opened the room; a gap or a break since what is held is marked.
    pub fn opened(&mut self, opened: RoomOpened, zone: &TimeZone) {
        self.topic = opened.topic;
        if self.timeline.is_empty() {
            self.history_to = opened.head;
        }
        if let Some(reset) = opened.reset {
            if !self.timeline.is_empty() {
                let text = match reset {
                    Reset::Epoch => "the server has started anew: its history begins here",
                    Reset::Seq | Reset::Id => {
                        "the server's history was replaced: what it holds now begins here"
                    }
                };
                self.timeline.push(
                    Entry::Break {
                        text: text.to_owned(),
                    },
                    zone,
                );
            }
            self.last_seq = None;
            self.history_to = 0;
        }
        self.mark_gap(opened.next, zone);
        if opened.next > 0 {
            self.last_seq = Some(self.last_seq.unwrap_or(0).max(opened.next - 1));
        }
    }

    fn mark_gap(&mut self, next: u64, zone: &TimeZone) {
        let Some(missing) = self
            .last_seq
            .and_then(|last| next.checked_sub(last + 1))
            .filter(|&missing| missing > 0)
        else {
            return;
        };
        let text = match missing {
            1 => "1 message is missing here".to_owned(),
            n => format!("{n} messages are missing here"),
        };
        self.timeline.push(Entry::Gap { missing, text }, zone);
    }

    /// A message came.
    pub fn received(&mut self, received: Received, context: Context<'_>) {
        let own =
            received.local.is_some() || (received.user.is_some() && received.user == context.user);
        if let Some(local) = received.local {
            self.outbox.retain(|outgoing| outgoing.local != local);
        }
        let news = received.seq.is_none_or(|seq| seq > self.history_to);
        if let Some(seq) = received.seq {
            self.mark_gap(seq, context.zone);
            self.last_seq = Some(seq);
        }
        if received
            .local
            .is_some_and(|local| self.timeline.confirm(local))
        {
            return;
        }
        let mention = (!own).then_some(context.nickname);
        let marks = marks::find(received.body.as_str(), mention);
        self.timeline.push(
            Entry::Message(Message {
                seq: received.seq,
                user: received.user,
                nickname: received.nickname,
                time: received.time,
                marks,
                body: received.body,
                own: own.then_some(Own::Sent),
            }),
            context.zone,
        );
        let looking = context.looking && self.scroll == Scroll::Follow;
        let key = self.timeline.key(self.timeline.len() - 1);
        // A line whose messages have been seen moves on to the first that has not.
        let moves = self.unread.is_none_or(|unread| unread.from < self.seen_to);
        if news && !own && !looking && moves {
            self.unread = Some(Unread {
                from: key,
                to: None,
                line_seen: false,
            });
        }
    }

    /// The reader sees the end of the room.
    pub fn saw_end(&mut self) {
        self.seen_to = self.timeline.key(self.timeline.len());
        if let Some(unread) = &mut self.unread {
            unread.to.get_or_insert(self.seen_to);
        }
    }

    /// The reader has seen the line of the unread.
    pub(super) fn saw_unread_line(&mut self) {
        if let Some(unread) = &mut self.unread {
            unread.line_seen = true;
        }
    }

    /// The key below the line of the unread, if there is one.
    pub(super) fn unread_from(&self) -> Option<u64> {
        self.unread.map(|unread| unread.from)
    }

    /// Whether there are unread messages below a line that the reader has not seen yet.
    pub(super) fn unread_line_waits(&self) -> bool {
        self.unread.is_some_and(|unread| !unread.line_seen)
    }

    /// All that came has been read.
    pub(super) fn read_all(&mut self) {
        self.unread = None;
    }

    /// Messages of others that came while the reader was away.
    pub fn unread(&self) -> usize {
        let end = self.timeline.key(self.timeline.len());
        self.unread.map_or(0, |unread| {
            self.messages_between(unread.from, unread.to.unwrap_or(end))
        })
    }

    /// A message of ours changed its state.
    pub fn outgoing(
        &mut self,
        local: LocalId,
        body: Body,
        delivery: Delivery,
        now: Timestamp,
        context: Context<'_>,
    ) {
        let state = match delivery {
            // Written to a server that was taken for a basic one and now turns out to confirm: it
            // stands in its place already.
            Delivery::Pending if self.timeline.is_unconfirmed(local) => return,
            Delivery::Sent { seq: Some(seq) }
                if self.last_seq.is_some_and(|last| seq <= last)
                    && self.timeline.confirm(local) =>
            {
                return;
            }
            Delivery::Pending => OutgoingState::Pending,
            Delivery::Failed { why } => OutgoingState::Failed(why),
            Delivery::Withdrawn => {
                self.outbox.retain(|outgoing| outgoing.local != local);
                return;
            }
            Delivery::Sent { seq: Some(seq) } if self.last_seq.is_none_or(|last| last < seq) => {
                // Its echo is still to come and brings it to its place. If the echo has been
                // here already, there is nothing to change.
                if let Some(outgoing) = self.find(local) {
                    outgoing.state = OutgoingState::Sent;
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
        if let Some(outgoing) = self.find(local) {
            outgoing.state = state;
        } else {
            let marks = marks::find(body.as_str(), None);
            self.outbox.push(Outgoing {
                local,
                body,
                marks,
                state,
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
            Entry::Message(Message {
                seq: None,
                user: context.user,
                nickname: context.nickname.clone(),
                time: now,
                marks: outgoing.marks,
                body: outgoing.body,
                own: Some(own),
            }),
            context.zone,
        );
    }

    /// The whole member list.
    pub fn set_members(&mut self, mut members: Vec<Member>) {
        members.sort_by_cached_key(|member| member.nickname.folded());
        self.members = members;
    }

    /// Somebody came in.
    pub fn joined(&mut self, member: Member, context: Context<'_>) {
        let (nickname, time) = (member.nickname.clone(), member.since);
        let known = self.members.iter().any(|other| other.user == member.user);
        let ourselves = Some(member.user) == context.user;
        // The list that we were given on coming in may be a moment old: who came before us is no
        // news, though he comes to be known after.
        let own = self
            .members
            .iter()
            .find(|other| Some(other.user) == context.user);
        let before_us = own.is_none_or(|own| member.since < own.since);
        self.upsert(member);
        if !known && !ourselves && !before_us {
            self.timeline
                .push_change(Change::Joined(nickname), time, context.zone);
        }
    }

    /// Somebody went.
    pub fn left(
        &mut self,
        user: UserId,
        nickname: Nickname,
        time: Timestamp,
        reason: Departure,
        context: Context<'_>,
    ) {
        self.members.retain(|member| member.user != user);
        let how = match reason {
            Departure::Disconnect | Departure::Shutdown => "left",
            Departure::Lost => "left (connection lost)",
            Departure::Timeout => "left (not heard from any more)",
            Departure::Replaced => "left (moved to another terminal)",
            Departure::Protocol => "left (broke the protocol)",
        };
        self.timeline
            .push_change(Change::Left(nickname, how), time, context.zone);
    }

    /// Somebody took another nickname.
    pub fn renamed(
        &mut self,
        user: UserId,
        was: Nickname,
        nickname: Nickname,
        time: Timestamp,
        context: Context<'_>,
    ) {
        if let Some(at) = self.members.iter().position(|member| member.user == user) {
            let mut member = self.members.remove(at);
            member.nickname = nickname.clone();
            self.upsert(member);
        }
        self.timeline
            .push_change(Change::Renamed(was, nickname), time, context.zone);
    }

    fn upsert(&mut self, member: Member) {
        self.members.retain(|other| other.user != member.user);
        let folded = member.nickname.folded();
        let at = self
            .members
            .partition_point(|other| other.nickname.folded() < folded);
        self.members.insert(at, member);
    }
}
