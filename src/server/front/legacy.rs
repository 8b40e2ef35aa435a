//! The legacy dialect: a client of the older programs, which take the result of one `recv(1024)`
//! for exactly one object (see [`crate::protocol::legacy`]).
//!
//! It reads the lobby by a cursor, like a [subscriber](crate::server::core::subscriber): messages
//! that the replica no longer holds come from the log, by small pages. But it reads slowly: one
//! object at a time, each [spaced](Spacing) from the one before, and none within [`LEGACY_QUIET`]
//! after it joined; its own messages are omitted. Joins and departures come as messages of
//! `server`, [summed up](presence_summary). Messages are omitted, with one line that counts them,
//! only where the log no longer holds them or more than [`BEHIND_MAX`] wait.
use std::{borrow::Cow, collections::VecDeque, time::Duration};

use jiff::{Timestamp, tz::TimeZone};

use self::presence_summary::PresenceSummary;
use super::objects::Objects;
use crate::{
    protocol::{
        ClientFrame, Entry, EntryKind, Nickname, RoomId, ServerFrame, UserId,
        frame::{Ack, Departure, ErrorCode, Join, Submission},
        legacy::{self, Spacing},
        limits::LEGACY_QUIET,
        wire::{Refusal, parse_entry, parse_server},
    },
    server::{
        core::{
            client::Abilities,
            dialect::Dialect,
            event::Joined,
            log_query::{LogQuery, QueryResult},
            replica::{Replica, RoomReplica, RoomSlot},
            subscriber::Turn,
        },
        log::{
            StoreError,
            segment::{Gather, Segment},
        },
    },
    time::Now,
};

mod presence_summary;

/// Most messages that a legacy client may be behind: at a pause of 20 ms it reads for 200 s.
const BEHIND_MAX: u64 = 10_000;
/// Messages that it still gets when it was further behind.
const KEPT: u64 = 1_000;

/// A connection in this dialect; see the module's docs.
#[derive(Debug, Default)]
pub struct Legacy {
    requests: Objects,
    /// The user, once the client has joined.
    user: Option<UserId>,
    /// The lobby and the number of the next message; `None` before the client has joined.
    cursor: Option<(RoomSlot, u64)>,
    /// The room, also while it closes.
    room: Option<RoomSlot>,
    /// The version of the next member change.
    presence: u64,
    /// Earlier changes that it was not told yet.
    crowd: PresenceSummary,
    /// A page of the log, for messages that the replica does not hold.
    page: Option<Segment>,
    /// The object being written, and how much of it is written.
    current: Vec<u8>,
    written: usize,
    /// Answers to its requests: they come next.
    answers: VecDeque<Vec<u8>>,
    /// The remaining objects of the current message.
    objects: VecDeque<Vec<u8>>,
    spacing: Spacing,
    left_out: u64,
}

/// The result of looking for the next thing to tell.
enum Step {
    /// Something was taken; its objects, if any, are queued.
    Taken,
    Fetch {
        room: RoomId,
        from: u64,
    },
    /// Nothing before this time.
    Wait(Duration),
    Nothing,
}

impl Legacy {
    /// The capabilities of the legacy programs.
    const ABILITIES: Abilities = Abilities {
        called: Some("a legacy client"),
        sends_again: false,
        hears_itself: false,
        answers_ping: false,
        is_spaced: true,
        // A page is held while it is written, slowly.
        page_bytes_max: 4 * 1024,
    };

    /// A client whose join was in these requests.
    pub(super) fn new(requests: Objects) -> Self {
        Self {
            requests,
            ..Self::default()
        }
    }

    /// Notes all changes of the member list: they are told later, and the replica holds them only
    /// for a while.
    fn watch_members(&mut self, now: Duration, replica: &Replica) {
        let Some((room, _)) = self.cursor else {
            return;
        };
        let changes = &replica.at(room).presence;
        let missed = changes.first().saturating_sub(self.presence);
        if missed > 0 {
            self.presence += missed;
            self.crowd.miss(now, missed);
        }
        while let Some(frame) = changes.frame(self.presence) {
            self.presence += 1;
            if let Ok(ServerFrame::Presence(presence)) = parse_server(frame)
                && Some(presence.user) != self.user
            {
                self.crowd.note(now, &presence.nickname, &presence.change);
            }
        }
    }

    /// Whether there is something to tell now.
    fn has_news(&self, now: Duration, replica: &Replica) -> bool {
        let behind = |(room, message): (RoomSlot, u64)| message < replica.at(room).messages.next();
        self.left_out > 0
            || self.crowd.due().is_some_and(|due| due <= now)
            || self.cursor.is_some_and(behind)
    }

    /// Takes the next thing to tell.
    fn tell_next(&mut self, now: Now, replica: &Replica) -> Step {
        let Some((room, message)) = self.cursor else {
            return Step::Nothing;
        };
        let view = replica.at(room);
        let behind = view.messages.next().saturating_sub(message);
        if behind > BEHIND_MAX {
            self.left_out += behind - KEPT;
            self.cursor = Some((room, message + behind - KEPT));
            self.page = None;
        }
        if self.left_out > 0 {
            let text = legacy::left_out(self.left_out);
            self.left_out = 0;
            self.objects = in_servers_name(replica, &text, now.wall).into();
            return Step::Taken;
        }
        if self.crowd.due().is_some_and(|due| due <= now.mono) {
            if let Some(text) = self.crowd.take() {
                self.objects = in_servers_name(replica, &text, now.wall).into();
            }
            return Step::Taken;
        }
        if behind > 0 {
            return self.tell_message(view, &replica.zone, (room, message));
        }
        self.page = None;
        self.crowd.due().map_or(Step::Nothing, Step::Wait)
    }

    fn tell_message(
        &mut self,
        view: &RoomReplica,
        zone: &TimeZone,
        (room, message): (RoomSlot, u64),
    ) -> Step {
        let page = self.page.take();
        let held = view.messages.frame(message);
        let Some(frame) = held.or_else(|| page.as_ref()?.frame(message)) else {
            return Step::Fetch {
                room: view.id(),
                from: message,
            };
        };
        self.cursor = Some((room, message + 1));
        // It is not told its own messages, or other frames.
        if let Ok(entry) = parse_entry(frame)
            && Some(entry.author.user) != self.user
            && let Some(text) = text(&entry)
        {
            let time = legacy::timestamp(entry.time, zone);
            let nickname = entry.author.nickname.as_str();
            self.objects = legacy::to_client(nickname, &text, &time).into();
        }
        self.page = page.filter(|page| page.next() > message + 1);
        Step::Taken
    }
}

/// What an older program shows of an entry, if anything.
fn text(entry: &Entry) -> Option<Cow<'_, str>> {
    match &entry.kind {
        EntryKind::Text(text) => Some(text.body.as_str().into()),
        EntryKind::Edit { body, .. } => {
            let body = body.as_ref()?;
            Some(format!("(edited) {}", body.as_str()).into())
        }
        EntryKind::Event(event) => Some(event.alt.as_str().into()),
        EntryKind::Unknown(unknown) => unknown.alt.as_ref().map(|alt| alt.as_str().into()),
        EntryKind::Redaction { .. } | EntryKind::Tombstone(_) => None,
    }
}

impl Dialect for Legacy {
    fn abilities(&self) -> &'static Abilities {
        &Self::ABILITIES
    }

    fn space(&mut self) -> &mut [u8] {
        self.requests.space()
    }

    fn handle_filled(&mut self, count: usize) {
        self.requests.filled(count);
    }

    fn handle_bytes(&mut self, bytes: &[u8]) -> usize {
        self.requests.feed(bytes)
    }

    fn is_drained(&self) -> bool {
        self.requests.is_drained()
    }

    fn poll_frame(&mut self) -> Result<Option<ClientFrame>, Refusal> {
        match self.requests.next_frame()? {
            // It ignores answers that name an id.
            Some(ClientFrame::Submit(submission)) => {
                let submission = Submission {
                    id: None,
                    ..submission
                };
                Ok(Some(ClientFrame::Submit(submission)))
            }
            // Its protocol has no object for the answer.
            Some(
                ClientFrame::History(_)
                | ClientFrame::Search(_)
                | ClientFrame::Changes(_)
                | ClientFrame::ListRooms(_)
                | ClientFrame::ListPeople { .. }
                | ClientFrame::Inbox { .. },
            ) => Err(Refusal::passing(
                ErrorCode::UnknownType,
                "History is not available to this client",
            )),
            other => Ok(other),
        }
    }

    /// It joins the lobby, and gets messages from now on.
    fn handle_join(&mut self, join: &mut Join) {
        join.enter.clear();
        join.last = Some(0);
        join.next = None;
        join.key = None;
    }

    /// It has no key.
    fn challenge(&mut self, _: &ServerFrame) {}

    fn ping(&mut self) {}

    fn answer(&mut self, now: Now, replica: &Replica, frame: &ServerFrame) {
        let text = match frame {
            // It shows an `error` only before it has joined, and then asks for another nickname.
            ServerFrame::Error(error) if self.cursor.is_none() => {
                let object = legacy::error_to_client(error.message.as_str());
                return self.answers.push_back(object);
            }
            ServerFrame::Error(error) => &error.message,
            ServerFrame::Bye(bye) if bye.reason != Departure::Disconnect => &bye.message,
            // Its protocol has no object for these.
            ServerFrame::Bye(_)
            | ServerFrame::Welcome(_)
            | ServerFrame::Challenge { .. }
            | ServerFrame::Members(_)
            | ServerFrame::Presence(_)
            | ServerFrame::Entry(_)
            | ServerFrame::History(_)
            | ServerFrame::Found(_)
            | ServerFrame::Changes(_)
            | ServerFrame::Rooms(_)
            | ServerFrame::Room { .. }
            | ServerFrame::RoomLeft { .. }
            | ServerFrame::Read { .. }
            | ServerFrame::RoomList(_)
            | ServerFrame::PeopleList(_)
            | ServerFrame::Inbox(_)
            | ServerFrame::Ignored { .. }
            | ServerFrame::Ack(_)
            | ServerFrame::Result(_)
            | ServerFrame::Nick { .. }
            | ServerFrame::Ping { .. }
            | ServerFrame::Pong { .. }
            | ServerFrame::Unknown => return,
        };
        let objects = in_servers_name(replica, text.as_str(), now.wall);
        self.answers.extend(objects);
    }

    /// It makes no queries.
    fn answer_query(&mut self, _: &LogQuery, _: &Result<QueryResult, StoreError>) {}

    /// Its protocol has no acknowledgement.
    fn stored(&mut self, _: &Replica, _: Ack) {}

    fn is_answering(&self) -> bool {
        !self.answers.is_empty()
    }

    fn is_quiet(&self) -> bool {
        self.current.is_empty() && self.answers.is_empty() && self.objects.is_empty()
    }

    /// Starts reading one room, and its member changes from now on.
    fn attach(&mut self, now: Now, joined: Joined, replica: &mut Replica) {
        self.user = Some(joined.welcome.user);
        if let Some(&(room, message)) = joined.rooms.first() {
            let slot = replica.slot(room);
            self.room = Some(slot);
            self.cursor = Some((slot, message));
            self.presence = replica.at(slot).presence.next();
            self.spacing = Spacing::not_before(now.mono + LEGACY_QUIET);
        }
    }

    /// Its protocol has no object for what it has not asked for.
    fn tell(&mut self, _: &ServerFrame) {}

    /// It is in the lobby only.
    fn enter(&mut self, _: &mut Replica, _: &[(RoomId, u64)]) {}

    fn leave(&mut self, _: &Replica, _: RoomId) {}

    /// It is told of members by messages.
    fn watch(&mut self, _: &Replica, _: &[RoomId]) {}

    fn rooms(&self) -> &[RoomSlot] {
        self.room.as_slice()
    }

    /// It looks at its room whenever it is polled.
    fn wake(&mut self, _: RoomSlot, _: u64) {}

    fn close(&mut self, now: Now, drain: bool) {
        self.presence = u64::MAX;
        self.crowd = PresenceSummary::default();
        self.spacing.hasten(now.mono);
        if !drain {
            self.cursor = None;
            self.page = None;
        }
    }

    /// Queues one line that counts the omitted messages.
    fn give_up(&mut self, replica: &Replica) {
        let Some((room, message)) = &mut self.cursor else {
            return;
        };
        let next = replica.at(*room).messages.next();
        self.left_out += next.saturating_sub(*message);
        *message = next;
        self.objects.clear();
    }

    fn poll_turn<'a>(&'a mut self, now: Now, replica: &'a mut Replica) -> Turn<'a> {
        self.watch_members(now.mono, replica);
        while self.current.is_empty() {
            let has_more = !self.answers.is_empty() || !self.objects.is_empty();
            if (has_more || self.has_news(now.mono, replica)) && !self.spacing.may_leave(now.mono) {
                return Turn::Wait(self.spacing.due());
            }
            let next = self.answers.pop_front();
            if let Some(object) = next.or_else(|| self.objects.pop_front()) {
                self.current = object;
                break;
            }
            match self.tell_next(now, replica) {
                Step::Taken => {}
                Step::Fetch { room, from } => return Turn::Fetch { room, from },
                Step::Wait(until) => return Turn::Wait(until),
                Step::Nothing => return Turn::Idle,
            }
        }
        Turn::Write(Gather::one(&self.current[self.written..]))
    }

    fn handle_written(&mut self, now: Now, replica: &Replica, count: usize) {
        self.written += count;
        if self.written == self.current.len() {
            self.current = Vec::new();
            self.written = 0;
            let others = replica.spaced_readers.saturating_sub(1);
            self.spacing.left(now.mono, others);
        }
    }

    fn handle_page(&mut self, _: &Replica, _: RoomId, page: Segment) -> bool {
        let Some((_, message)) = &mut self.cursor else {
            return true;
        };
        // The log no longer holds the messages between.
        let lost = page.first().saturating_sub(*message);
        self.left_out += lost;
        *message += lost;
        let leads_on = lost > 0 || page.next() > *message;
        self.page = Some(page);
        leads_on
    }

    /// A page is small, and kept while the client waits for its turn.
    fn drop_page(&mut self) {}

    fn has_page(&self) -> bool {
        false
    }

    fn held_bytes(&self) -> usize {
        let waiting = self.answers.iter().chain(&self.objects);
        let page = self.page.as_ref().map_or(0, Segment::cost_bytes);
        self.current.len() + waiting.map(Vec::len).sum::<usize>() + page
    }
}

/// A text of the server, in as many objects as it takes.
fn in_servers_name(replica: &Replica, text: &str, time: Timestamp) -> Vec<Vec<u8>> {
    let time = legacy::timestamp(time, &replica.zone);
    legacy::to_client(Nickname::SERVER, text, &time)
}

#[cfg(test)]
mod tests;
