//! A pane: one room of a server on the screen, with its timeline, members, outbox, composer, scroll
//! position and read position.
//!
//! - [`timeline_item`], [`presence`], [`timeline`]: the scrollback, in order, as far as it is
//!   loaded.
//! - `members`, `outbox`, `unread`, `counts`: the members, our messages that are not acknowledged,
//!   unread messages, and their counts for the room list.
//! - `changes`, [`hidden`]: edits and deletions of messages.
//! - [`rows`], [`spans`], [`scroll`]: the rows of a text, its highlighted parts, and scrolling.
//! - [`paging`]: which pages are loaded, and when.
//! - [`autosave`]: saves the draft and the read position for the next start.

pub mod autosave;
mod changes;
mod context;
mod counts;
pub mod hidden;
mod members;
mod outbox;
pub mod paging;
mod position;
pub mod presence;
pub mod rows;
pub mod scroll;
pub mod spans;
pub mod timeline;
pub mod timeline_item;
mod unread;

pub use self::{
    context::Context,
    counts::Counts,
    outbox::{ChangeUnderWay, Outgoing, OutgoingState},
    position::{Scroll, ScrollItemKey},
};

use std::collections::{BTreeMap, VecDeque};

use jiff::{Timestamp, tz::TimeZone};

use self::{
    autosave::Autosave,
    paging::Paging,
    timeline::{Timeline, TimelineKey},
    timeline_item::{Own, TextSpan, TextSpanKind, TimelineItem, TimelineMessage},
    unread::Unread,
};
use super::composer::Composer;
use crate::{
    client::event::{LocalId, Received, RestoredRoom, Said},
    protocol::{
        Entry, Mentions, NotifyLevel, ReadState, RoomId, RoomInfo, RoomKind, UserId,
        fold::Fold,
        frame::{Member, Reset, RoomStart},
    },
    text::Body,
    tui::user_text,
};

/// The key of a pane: server and room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaneKey {
    /// The server, as people write it: `localhost:10500`.
    pub server: String,
    /// The room.
    pub room: RoomId,
}

/// A room on the screen.
#[derive(Debug)]
pub struct Pane {
    /// The room.
    pub key: PaneKey,
    /// What the room is: its name, topic, who may write.
    pub info: RoomInfo,
    /// How far the user has read the room on all their devices, their settings of it, and what is
    /// unread, as the session said last.
    pub read_state: ReadState,
    /// All members, ourselves included, sorted by nickname.
    pub members: Vec<Member>,
    /// The scrollback.
    pub timeline: Timeline,
    /// Our messages that are not in the log yet, and refused edits and deletions, in order of typing;
    /// shown below everything else.
    pub outbox: Vec<Outgoing>,
    /// Our edits and deletions that are under way.
    pub(super) changing: BTreeMap<LocalId, ChangeUnderWay>,
    /// The text being written.
    pub composer: Composer,
    /// The saved draft and read position.
    pub(super) autosave: Autosave,
    /// The text that was last offered for copying.
    pub offered: Option<Offered>,
    /// The key of the first notice about a server that is not trusted, until the reader has been
    /// led to it.
    pub(super) distrusted: Option<TimelineKey>,
    /// The part of the scrollback on the screen.
    pub scroll: Scroll,
    /// The pages requested from the room's log.
    pub paging: Paging,
    /// The message that the reader was led to.
    pub found: Option<TimelineKey>,
    /// The number up to which the reader has read here.
    pub read: u64,
    /// Whether what is on the screen counts as not read until the reader goes elsewhere.
    pub(super) holds_marker: bool,
    /// Whether the server has opened the room.
    pub opened: bool,
    /// The highest number when we joined: lower numbers that are missing are on their way.
    pub head: u64,
    /// The changes that have come, for messages that are loaded later.
    fold: Fold,
    /// The texts of our messages that were erased, until they are gone everywhere.
    erased: Vec<Body>,
    /// The messages that came while the reader was away.
    unread: Option<Unread>,
    /// The key up to which the reader has seen everything.
    seen_to: TimelineKey,
    /// The number of our messages that were typed here.
    typed: u64,
}

/// A text that can be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// The text.
    pub text: String,
    /// The key of the next item: tells whether anything has come since.
    pub below: TimelineKey,
}

impl Pane {
    /// An empty pane.
    pub fn new(key: PaneKey, info: RoomInfo) -> Self {
        Self {
            key,
            info,
            read_state: ReadState::default(),
            members: Vec::new(),
            timeline: Timeline::default(),
            outbox: Vec::new(),
            changing: BTreeMap::new(),
            composer: Composer::default(),
            autosave: Autosave::default(),
            offered: None,
            distrusted: None,
            scroll: Scroll::Follow,
            paging: Paging::default(),
            found: None,
            read: 0,
            holds_marker: false,
            opened: false,
            head: 0,
            fold: Fold::default(),
            erased: Vec::new(),
            unread: None,
            seen_to: TimelineKey::default(),
            typed: 0,
        }
    }

    /// A pane as the last run saved it.
    pub fn restored(server: String, restored: RestoredRoom, context: Context<'_>) -> Self {
        let latest = restored.page;
        let key = PaneKey {
            server,
            room: restored.room,
        };
        let mut pane = Self {
            read: restored.read.marker.seq,
            read_state: restored.read,
            autosave: Autosave::new(&restored.draft, restored.read.marker.seq),
            ..Self::new(key, restored.info)
        };
        let _fits_as_it_was_written_here = pane.composer.set(&restored.draft);
        pane.timeline.begins_at(latest.extent.first);
        pane.timeline.passes(latest.to);
        pane.insert((latest.from, latest.to), latest.entries, context);
        if !pane.timeline.is_empty() {
            pane.draw_unread_line(latest.to);
        }
        pane
    }

    /// The room as people read it: `#build`, or the others in a direct conversation: `@bob, carol`.
    /// `own`: our user.
    pub fn label(&self, own: Option<UserId>) -> String {
        user_text::room_title(&self.info, own)
    }

    /// Whether it is a direct conversation between people.
    pub fn is_direct(&self) -> bool {
        self.info.kind == RoomKind::Direct
    }

    /// Whether the user wants to hear of nothing in it.
    pub fn is_muted(&self) -> bool {
        self.read_state.preferences.notify == NotifyLevel::Nothing
    }

    /// The last message that is loaded, of those that somebody said.
    pub fn latest(&self) -> Option<&TimelineMessage> {
        self.timeline.iter().rev().find_map(|item| match item {
            TimelineItem::Message(message) if !message.is_event() => Some(message),
            _ => None,
        })
    }

    /// The time of the last message that is loaded.
    pub fn active(&self) -> Option<Timestamp> {
        self.latest().map(|message| message.said.time())
    }

    /// Whether the reader is not at the end, or is being led elsewhere.
    pub fn is_scrolled_back(&self) -> bool {
        matches!(self.scroll, Scroll::At { .. }) || self.paging.goal.is_some()
    }

    /// Takes the opening of the room by the server; marks a break if its log is another.
    pub fn opened(&mut self, opened: &RoomStart, zone: &TimeZone) {
        self.info = opened.info.clone();
        // Notices from before we first joined belong to no log.
        let never_opened = self.timeline.first() == 0 && self.timeline.holds_no_message();
        let nothing_held = self.timeline.is_empty() || never_opened;
        if let Some(reset) = opened.reset {
            self.timeline.begin_log();
            self.fold = Fold::default();
            self.paging = Paging::default();
            self.echoed_to(u64::MAX);
            self.read = 0;
            self.read_state = ReadState::default();
            self.autosave.forget_read();
            if !nothing_held {
                let text = match reset {
                    Reset::Epoch => "the server's history was reset: it begins here",
                    Reset::Seq | Reset::Id => {
                        "the server's history was replaced: the new one begins here"
                    }
                };
                let text = text.to_owned();
                self.timeline.push(TimelineItem::Break { text }, zone);
            }
        }
        let held_to = self.timeline.last();
        let passed = opened.next.saturating_sub(1);
        self.timeline.opens(opened.extent, passed);
        self.head = opened.extent.head;
        self.echoed_to(passed);
        self.set_read_state(opened.read);
        self.opened = true;
        let came = nothing_held || opened.extent.head > held_to;
        if came && !opened.read.unread.is_zero() {
            self.draw_unread_line(opened.extent.head);
        }
    }

    /// Inserts the entries of a page, which begins and ends with the numbers of `range`. Returns
    /// whether any of its numbers was not known here.
    pub fn insert(&mut self, range: (u64, u64), entries: Vec<Entry>, context: Context<'_>) -> bool {
        let mut messages = Vec::new();
        for mut entry in entries.into_iter().filter(Entry::is_shown) {
            // A page may be older than changes that have come since.
            self.fold.apply(&mut entry);
            self.merge(&entry, context);
            messages.push(timeline_message(entry.into(), context));
        }
        let learned = self.timeline.insert(range, messages, context.zone);
        self.pass_own();
        learned
    }

    /// Takes a new entry.
    pub fn received(&mut self, mut received: Received, context: Context<'_>) {
        let unfolded = self.forget_outgoing(&received);
        if let Said::Logged(entry) = &mut received.said {
            self.fold_in(entry, context);
            let (seq, shown) = (entry.seq, entry.is_shown());
            if !shown {
                self.timeline.hide(seq);
                self.echoed_to(seq);
                return self.pass_own();
            }
        }
        let (seq, local) = (received.said.seq(), received.local);
        let news = seq.is_none_or(|seq| seq > self.read);
        if let Some(seq) = seq {
            self.timeline.passes(seq);
            self.echoed_to(seq);
        }
        let confirmed = local.is_some_and(|local| self.timeline.confirm(local, seq));
        if let Said::Logged(entry) = &received.said {
            self.merge(entry, context);
        }
        if confirmed {
            return self.pass_own();
        }
        let message = TimelineMessage {
            unfolded,
            ..timeline_message(received, context)
        };
        let message = TimelineItem::Message(message);
        let counts = message.counts();
        self.timeline.push(message, context.zone);
        let looking = context.looking && self.scroll == Scroll::Follow;
        let key = match seq {
            Some(seq) => self.timeline.key_of(seq),
            None => self.timeline.key(self.timeline.len() - 1),
        };
        // An unread line whose messages have all been seen moves to the first new one.
        let moves = self.unread.is_none_or(|unread| {
            unread.from < self.seen_to && unread.to.is_none_or(|to| to <= key)
        });
        if !counts {
            self.pass_own();
        }
        if !news || !counts || looking {
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

    /// Drops entries that exceed the memory limit.
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
}

/// The highlighted parts of a message; `own`: it is one of ours.
fn mention_spans(said: &Said, own: bool, context: Context<'_>) -> Vec<TextSpan> {
    let mentions = match said {
        Said::Logged(entry) => entry.mentions(),
        Said::Unlogged(_) => &Mentions::NONE,
    };
    // An older log does not say whom its messages mention.
    let by_name = mentions.is_empty();
    let by_id = context.user.is_some_and(|user| mentions.include(user));
    if own || !by_name && !by_id {
        return spans::find(said.words(), None);
    }
    let spans = spans::find(said.words(), Some(context.nickname));
    let is_mention = |span: &TextSpan| span.kind == TextSpanKind::Mention;
    if by_name || spans.iter().any(is_mention) {
        return spans;
    }
    // Our nickname was another one then, or all are mentioned.
    spans::find_names(said.words())
}

fn timeline_message(received: Received, context: Context<'_>) -> TimelineMessage {
    let Received { said, local } = received;
    let own = local.is_some() || (said.user().is_some() && said.user() == context.user);
    let user = said.user();
    let ignored = !own && user.is_some_and(|user| context.ignored.contains(&user));
    TimelineMessage {
        spans: if ignored {
            Vec::new()
        } else {
            mention_spans(&said, own, context)
        },
        ignored,
        said,
        own: own.then_some(Own::Sent),
        unfolded: false,
        before: VecDeque::new(),
    }
}
