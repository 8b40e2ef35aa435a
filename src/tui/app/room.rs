//! One room as the screen holds it: what was said, who is in, what we have on the way there, and
//! where the reader stands.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::{
    paging::Paging,
    presence::PresenceChange,
    rows::Rows,
    spans,
    timeline::{Timeline, TimelineKey},
    timeline_item::{Message, Own, TextSpan, TimelineItem},
};
use crate::{
    client::event::{Delivery, LocalId, Received, RestoredMessage, RestoredRoom, RoomOpened},
    protocol::{
        Nickname, Role, RoomName, RoomRules, UserId,
        frame::{Departure, Member, Reset},
    },
    text::{Body, Line},
    tui::user_text,
};

/// A member list is no older than this when it is given.
const LIST_AGE_MAX: SignedDuration = SignedDuration::from_mins(1);

/// A room.
#[derive(Debug)]
pub struct Room {
    /// Its name.
    pub name: RoomName,
    /// How it is run: what it is about, who may write.
    pub rules: RoomRules,
    /// Everybody in it, ourselves included, sorted by nickname.
    pub members: Vec<Member>,
    /// What was said.
    pub timeline: Timeline,
    /// What we have on the way, in order of typing; shown below all else.
    pub outbox: Vec<Outgoing>,
    /// What the reader looks at.
    pub scroll: Scroll,
    /// What is asked of the room's log.
    pub paging: Paging,
    /// A message that the reader was led to.
    pub found: Option<TimelineKey>,
    /// The number up to which the reader has read.
    pub read: u64,
    /// The highest number when we entered: what is below it and has not come yet is on its way.
    pub head: u64,
    /// What came while the reader was away.
    unread: Option<Unread>,
    /// The key up to which the reader has seen everything.
    seen_to: TimelineKey,
    /// The number up to which all was said before we first came: not news.
    history_to: u64,
    /// Messages of ours that were typed here.
    typed: u64,
}

/// What came while the reader was away: a line stands above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unread {
    /// The key of the first of it, which need not be held.
    from: TimelineKey,
    /// The key after the last of it, once the reader is back: what comes then is read as it comes.
    to: Option<TimelineKey>,
    /// Whether the reader has seen the line: then nobody need be led to it.
    line_seen: bool,
}

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

/// What part of the scrollback is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scroll {
    /// The end, whatever arrives.
    Follow,
    /// A place.
    At {
        /// The item that stays where it is, whatever comes above or below it.
        item: ScrollItemKey,
        /// The row of the screen on which its text begins; negative above the top.
        row: i64,
        /// Entries from this key on have come since the reader left the end.
        read_to: TimelineKey,
    },
}

/// A thing in the scrollback, whatever its position has become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScrollItemKey {
    /// An entry of the timeline.
    Timeline(TimelineKey),
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
            rules: RoomRules::default(),
            members: Vec::new(),
            timeline: Timeline::default(),
            outbox: Vec::new(),
            scroll: Scroll::Follow,
            paging: Paging::default(),
            found: None,
            read: 0,
            head: 0,
            unread: None,
            seen_to: TimelineKey::default(),
            history_to: 0,
            typed: 0,
        }
    }

    /// A room as it was when the client last ran.
    pub fn restored(restored: RestoredRoom, context: Context<'_>) -> Self {
        let page = restored.page;
        let mut room = Self {
            rules: RoomRules {
                topic: restored.topic,
                ..RoomRules::default()
            },
            read: restored.read,
            ..Self::new(restored.room)
        };
        room.timeline.begins_at(page.first);
        room.timeline.passes(page.to);
        room.insert(page.messages, context);
        if room.read < page.to && !room.timeline.is_empty() {
            room.unread = Some(Unread {
                from: room.timeline.key_of(room.read + 1),
                to: Some(room.timeline.key_of(page.to + 1)),
                line_seen: false,
            });
            room.pass_own();
        }
        room
    }

    /// Messages of others that have come since the reader left the end.
    pub fn new_below(&self) -> u64 {
        let Scroll::At { read_to, .. } = self.scroll else {
            return 0;
        };
        self.messages_between(read_to, self.end())
    }

    /// The key of what comes next.
    fn end(&self) -> TimelineKey {
        self.timeline.key(self.timeline.len())
    }

    /// Messages of others, whether they are held or not. What the server no longer keeps does not
    /// count, and of a log that was replaced only what is held does.
    fn messages_between(&self, from: TimelineKey, to: TimelineKey) -> u64 {
        let begin = self.timeline.key_of(self.timeline.first());
        if self.timeline.first() == 0 || !to.same_log(begin) {
            return self.held_between(from, to, TimelineItem::is_of_others);
        }
        if !from.same_log(to) {
            let before = self.held_between(from, begin, TimelineItem::is_of_others);
            return before + self.messages_between(begin, to);
        }
        let numbered = |entry: &TimelineItem| matches!(entry, TimelineItem::Message(message) if message.seq.is_some());
        let others = |entry: &TimelineItem| entry.is_of_others() && !numbered(entry);
        let ours = |entry: &TimelineItem| numbered(entry) && !entry.is_of_others();
        let numbers = to
            .number()
            .saturating_sub(from.number().max(begin.number()));
        (numbers + self.held_between(from, to, others))
            .saturating_sub(self.held_between(from, to, ours))
    }

    fn held_between(
        &self,
        from: TimelineKey,
        to: TimelineKey,
        counts: impl Fn(&TimelineItem) -> bool,
    ) -> u64 {
        let range = self.timeline.index(from)..self.timeline.index(to);
        let held = range.filter_map(|index| self.timeline.get(index));
        held.filter(|entry| counts(entry)).count() as u64
    }

    /// The server opened the room; a break since what is held is marked.
    pub fn opened(&mut self, opened: &RoomOpened, zone: &TimeZone) {
        self.rules.topic.clone_from(&opened.topic);
        // What we were told before we were let in for the first time is no part of any log.
        let never_opened = self.timeline.first() == 0 && self.timeline.holds_no_message();
        let nothing_held = self.timeline.is_empty() || never_opened;
        if nothing_held {
            self.history_to = opened.head;
        }
        if let Some(reset) = opened.reset {
            self.timeline.begin_log();
            self.paging = Paging::default();
            self.echoed_to(u64::MAX);
            self.read = 0;
            self.history_to = 0;
            if !nothing_held {
                let text = match reset {
                    Reset::Epoch => "the server has started anew: its history begins here",
                    Reset::Seq | Reset::Id => {
                        "the server's history was replaced: what it holds now begins here"
                    }
                };
                let text = text.to_owned();
                self.timeline.push(TimelineItem::Break { text }, zone);
            }
        }
        let held_to = self.timeline.last();
        let passed = opened.next.saturating_sub(1);
        self.timeline.opens(opened.first, passed, opened.head);
        self.head = opened.head;
        // Of another log all is new: how much of it was read of the one before nobody can tell.
        if !nothing_held && opened.head > held_to {
            self.missed(held_to, opened.head);
        }
        self.echoed_to(passed);
    }

    /// Messages of this user are ours: they may have come before that was known.
    pub(super) fn is_ours(&mut self, user: UserId) {
        self.timeline.is_ours(user);
        self.pass_own();
    }

    /// What we wrote ourselves is not new to us: the line of the unread moves below it.
    fn pass_own(&mut self) {
        let Some(mut unread) = self.unread else {
            return;
        };
        let Some(first) = self.timeline.first_number_from(unread.from) else {
            return;
        };
        let mut next = self.timeline.key_of(first);
        let mut index = self.timeline.index(next);
        let own = |entry: &TimelineItem| matches!(entry, TimelineItem::Message(message) if message.own.is_some());
        let start = next;
        while index < self.timeline.len()
            && self.timeline.key(index) == next
            && self.timeline.get(index).is_some_and(own)
        {
            next = self.timeline.key_of(next.number() + 1);
            index = self.timeline.index(next);
        }
        if next == start {
            return;
        }
        unread.from = next;
        let nothing_left = unread.to.is_some_and(|to| to <= next);
        self.unread = (!nothing_left).then_some(unread);
    }

    /// Messages were said while we were away, up to `head`.
    fn missed(&mut self, held_to: u64, head: u64) {
        let from = match self.unread {
            Some(unread) if !unread.line_seen => unread.from,
            _ => self.timeline.key_of(held_to + 1),
        };
        self.unread = Some(Unread {
            from,
            to: Some(self.timeline.key_of(head + 1)),
            line_seen: false,
        });
    }

    /// The echoes up to a number have come, or never will.
    fn echoed_to(&mut self, seq: u64) {
        self.outbox
            .retain(|outgoing| !matches!(outgoing.state, OutgoingState::Sent(at) if at <= seq));
    }

    /// Messages that were loaded. Answers how many of them were not held.
    pub fn insert(&mut self, messages: Vec<Received>, context: Context<'_>) -> usize {
        let messages = messages
            .into_iter()
            .map(|received| {
                self.forget_outgoing(&received);
                message(received, context)
            })
            .collect();
        let added = self.timeline.insert(messages, context.zone);
        self.pass_own();
        added
    }

    /// Lets go of the message of ours that has come; whether it was unfolded.
    fn forget_outgoing(&mut self, received: &Received) -> bool {
        let Some(local) = received.local else {
            return false;
        };
        let unfolded = self.find(local).is_some_and(|outgoing| outgoing.unfolded);
        self.outbox.retain(|outgoing| outgoing.local != local);
        unfolded
    }

    /// A message came.
    pub fn received(&mut self, received: Received, context: Context<'_>) {
        let unfolded = self.forget_outgoing(&received);
        let (seq, local) = (received.seq, received.local);
        let news = seq.is_none_or(|seq| seq > self.history_to.max(self.read));
        if let Some(seq) = seq {
            self.timeline.passes(seq);
            self.echoed_to(seq);
        }
        if local.is_some_and(|local| self.timeline.confirm(local, seq)) {
            self.pass_own();
            return;
        }
        let message = Message {
            unfolded,
            ..message(received, context)
        };
        let own = message.own.is_some();
        self.timeline
            .push(TimelineItem::Message(message), context.zone);
        let looking = context.looking && self.scroll == Scroll::Follow;
        let key = match seq {
            Some(seq) => self.timeline.key_of(seq),
            None => self.timeline.key(self.timeline.len() - 1),
        };
        // A line whose messages have been seen moves on to the first that has not.
        let moves = self.unread.is_none_or(|unread| {
            unread.from < self.seen_to && unread.to.is_none_or(|to| to <= key)
        });
        if own {
            self.pass_own();
        }
        if !news || own || looking {
            return;
        }
        if moves {
            self.unread = Some(Unread {
                from: key,
                to: None,
                line_seen: false,
            });
        } else if let Some(unread) = &mut self.unread
            && unread.from >= self.seen_to
        {
            unread.to = None;
        }
    }

    /// Drops what is too much for the memory.
    pub fn limit(&mut self) {
        let near = match self.scroll {
            Scroll::At {
                item: ScrollItemKey::Timeline(key),
                ..
            } => key,
            _ => self.end(),
        };
        self.timeline.limit(near);
    }

    /// The reader sees the end of the room.
    pub fn saw_end(&mut self) {
        self.seen_to = self.end();
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
    pub(super) fn unread_from(&self) -> Option<TimelineKey> {
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
    pub fn unread(&self) -> u64 {
        self.unread.map_or(0, |unread| {
            self.messages_between(unread.from, unread.to.unwrap_or(self.end()))
        })
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

    /// A message of ours from an earlier run.
    pub fn restored_outgoing(
        &mut self,
        message: RestoredMessage,
        now: Timestamp,
        context: Context<'_>,
    ) {
        self.outgoing(message.local, message.body, message.delivery, now, context);
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
            TimelineItem::Message(Message {
                seq: None,
                user: context.user,
                nickname: context.nickname.clone(),
                time: now,
                clock_was: None,
                unproven: false,
                spans: outgoing.spans,
                body: outgoing.body,
                own: Some(own),
                unfolded: outgoing.unfolded,
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
        // The list that we were given on coming in may be a moment old: who came just before us is no
        // news, though he comes to be known after. By the server's clock, which may be set back.
        let own = self
            .members
            .iter()
            .find(|other| Some(other.user) == context.user);
        let before_us = own.is_none_or(|own| {
            let earlier = own.since.duration_since(member.since);
            earlier.is_positive() && earlier < LIST_AGE_MAX
        });
        self.upsert(member);
        if !known && !ourselves && !before_us {
            self.timeline
                .push_change(PresenceChange::Joined(nickname), time, context.zone);
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
            Departure::Kicked => "was sent away by a moderator",
            Departure::Banned => "was banned by a moderator",
        };
        self.timeline
            .push_change(PresenceChange::Left(nickname, how), time, context.zone);
    }

    /// Somebody may do more or less.
    pub fn promoted(&mut self, user: UserId, role: Role, time: Timestamp, context: Context<'_>) {
        let Some(member) = self.members.iter_mut().find(|member| member.user == user) else {
            return;
        };
        let before = std::mem::replace(&mut member.role, role);
        if let Some(what) = user_text::promotion(before, role) {
            let change = PresenceChange::Did(member.nickname.clone(), what);
            self.timeline.push_change(change, time, context.zone);
        }
    }

    /// The room is run otherwise; told of where somebody did that just now.
    pub fn ruled(
        &mut self,
        rules: RoomRules,
        by: Option<Nickname>,
        time: Timestamp,
        context: Context<'_>,
    ) {
        let before = std::mem::replace(&mut self.rules, rules);
        let Some(by) = by else { return };
        for what in user_text::changes(&before, &self.rules) {
            let change = PresenceChange::Did(by.clone(), what);
            self.timeline.push_change(change, time, context.zone);
        }
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
            .push_change(PresenceChange::Renamed(was, nickname), time, context.zone);
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

fn message(received: Received, context: Context<'_>) -> Message {
    let own =
        received.local.is_some() || (received.user.is_some() && received.user == context.user);
    let mention = (!own).then_some(context.nickname);
    Message {
        seq: received.seq,
        user: received.user,
        spans: spans::find(received.body.as_str(), mention),
        nickname: received.nickname,
        time: received.time,
        clock_was: received.clock_was,
        unproven: received.unproven,
        body: received.body,
        own: own.then_some(Own::Sent),
        unfolded: false,
    }
}
