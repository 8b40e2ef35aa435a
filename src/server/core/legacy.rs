//! One legacy client: the older programs, which take whatever one `recv(1024)` gives for exactly
//! one object (see [`crate::protocol::legacy`]).
//!
//! It reads the lobby like everybody else, by a cursor: what the replica no longer holds comes from
//! the log, by small pages. But it reads slowly: one object at a time, each [spaced](Spacing) from the one
//! before, and none within [`LEGACY_QUIET`] after it came, its own messages left out. Who comes and goes
//! it is told by `server`, [summed up](crowd). Messages are left out, and one line says how many, only where
//! the log no longer holds them or more than [`BEHIND_MAX`] wait.

use std::{collections::VecDeque, time::Duration};

use jiff::{Timestamp, tz::TimeZone};

use super::{
    replica::{Replica, RoomReplica},
    subscriber::Turn,
};
use crate::protocol::{
    Nickname, ServerFrame, UserId,
    frame::Departure,
    legacy::{self, Spacing},
    limits::LEGACY_QUIET,
    wire::parse_server,
};
use crate::server::log::{
    RoomIndex,
    segment::{Gather, Segment},
};

mod presence_summary;

use crate::time::Now;
use presence_summary::PresenceSummary;

/// How many messages a legacy client may be behind: at a pause of 20 ms it reads for 200 s.
pub const BEHIND_MAX: u64 = 10_000;
/// How many of them it still gets when it was further behind.
pub const KEPT: u64 = 1_000;
/// Bytes of the log that are fetched for it at once, and held while they are told; or one message.
pub const PAGE_BYTES_MAX: usize = 4 * 1024;

/// See the module's docs.
#[derive(Debug)]
pub struct LegacySubscriber {
    user: UserId,
    zone: TimeZone,
    /// The lobby and the number of the next message; `None` when it was not let in.
    cursor: Option<(RoomIndex, u64)>,
    /// The version of the next member change.
    presence: u64,
    /// The changes before it that it was not told yet.
    crowd: PresenceSummary,
    /// A part of the log that the replica does not hold.
    page: Option<Segment>,
    /// What is being written, and how much of it is.
    current: Vec<u8>,
    written: usize,
    /// Answers to what it sent: they come next.
    answers: VecDeque<Vec<u8>>,
    /// The other objects of what is being told.
    objects: VecDeque<Vec<u8>>,
    spacing: Spacing,
    left_out: u64,
}

/// What comes next.
enum Step {
    /// It is among the objects now, if there is anything to tell of it.
    Taken,
    Fetch {
        room: RoomIndex,
        from: u64,
    },
    /// Nothing before this time.
    Wait(Duration),
    Nothing,
}

impl LegacySubscriber {
    /// Reads nothing yet. `zone` is the server's own, in which it tells times.
    pub fn new(user: UserId, zone: TimeZone) -> Self {
        Self {
            user,
            zone,
            cursor: None,
            presence: 0,
            crowd: PresenceSummary::default(),
            page: None,
            current: Vec::new(),
            written: 0,
            answers: VecDeque::new(),
            objects: VecDeque::new(),
            spacing: Spacing::default(),
            left_out: 0,
        }
    }

    /// Begins to read a room at a number, and its member changes from now on.
    pub fn attach(&mut self, now: Now, room: RoomIndex, message: u64, replica: &Replica) {
        self.cursor = Some((room, message));
        self.presence = replica.room(room).presence.next();
        self.spacing = Spacing::not_before(now.mono + LEGACY_QUIET);
    }

    /// Its connection is to close: it is told no changes any more, and no messages either unless it is
    /// to be sent what its room still holds (`drain`). What was begun is finished.
    pub fn close(&mut self, now: Now, drain: bool) {
        self.presence = u64::MAX;
        self.crowd = PresenceSummary::default();
        self.spacing.hasten(now.mono);
        if !drain {
            self.cursor = None;
            self.page = None;
        }
    }

    /// There is no time for what it was not told yet: one line says how much that is.
    pub fn give_up(&mut self, replica: &Replica) {
        let Some((room, message)) = &mut self.cursor else {
            return;
        };
        let next = replica.room(*room).messages.next();
        self.left_out += next.saturating_sub(*message);
        *message = next;
        self.objects.clear();
    }

    /// Adds an answer, if it is one that a legacy client has an object for.
    pub fn answer(&mut self, now: Now, frame: &ServerFrame) {
        match frame {
            // It shows no `error` but the one for which it asks for another nickname.
            ServerFrame::Error(error) if self.cursor.is_some() => {
                let objects = self.in_servers_name(error.message.as_str(), now.wall);
                self.answers.extend(objects);
            }
            ServerFrame::Error(error) => self
                .answers
                .push_back(legacy::error_to_client(error.message.as_str())),
            ServerFrame::Bye(bye) if bye.reason != Departure::Disconnect => {
                let objects = self.in_servers_name(bye.message.as_str(), now.wall);
                self.answers.extend(objects);
            }
            _ => {}
        }
    }

    /// Whether an answer is not written yet: then no more is to be asked for.
    pub fn is_answering(&self) -> bool {
        !self.answers.is_empty()
    }

    /// Bytes held for the other end alone.
    pub fn held_bytes(&self) -> usize {
        let waiting = self.answers.iter().chain(&self.objects);
        let page = self.page.as_ref().map_or(0, Segment::cost_bytes);
        self.current.len() + waiting.map(Vec::len).sum::<usize>() + page
    }

    /// What to do next.
    pub fn turn<'a>(&'a mut self, now: Now, replica: &Replica) -> Turn<'a> {
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

    /// So many bytes of the last turn's offer were written.
    pub fn wrote(&mut self, now: Now, replica: &Replica, count: usize) {
        self.written += count;
        if self.written == self.current.len() {
            self.current = Vec::new();
            self.written = 0;
            let others = replica.basic_readers.saturating_sub(1);
            self.spacing.left(now.mono, others);
        }
    }

    /// The page that [`Turn::Fetch`] asked for. False if it does not lead on.
    #[must_use]
    pub fn take_page(&mut self, page: Segment) -> bool {
        let Some((_, message)) = &mut self.cursor else {
            return true;
        };
        // The log no longer holds what comes between.
        let lost = page.first().saturating_sub(*message);
        self.left_out += lost;
        *message += lost;
        let leads_on = lost > 0 || page.next() > *message;
        self.page = Some(page);
        leads_on
    }

    /// Notes all changes of the member list: they are told later, and the replica keeps them for a
    /// while only.
    fn watch_members(&mut self, now: Duration, replica: &Replica) {
        let Some((room, _)) = self.cursor else {
            return;
        };
        let changes = &replica.room(room).presence;
        let missed = changes.first().saturating_sub(self.presence);
        if missed > 0 {
            self.presence += missed;
            self.crowd.miss(now, missed);
        }
        while let Some(frame) = changes.frame(self.presence) {
            self.presence += 1;
            if let Ok(ServerFrame::Presence(presence)) = parse_server(frame)
                && presence.user != self.user
            {
                self.crowd.note(now, &presence.nickname, &presence.change);
            }
        }
    }

    /// Whether something is to be told now.
    fn has_news(&self, now: Duration, replica: &Replica) -> bool {
        let behind =
            |(room, message): (RoomIndex, u64)| message < replica.room(room).messages.next();
        self.left_out > 0
            || self.crowd.due().is_some_and(|due| due <= now)
            || self.cursor.is_some_and(behind)
    }

    /// Takes the next thing there is to tell.
    fn tell_next(&mut self, now: Now, replica: &Replica) -> Step {
        let Some((room, message)) = self.cursor else {
            return Step::Nothing;
        };
        let view = replica.room(room);
        let behind = view.messages.next().saturating_sub(message);
        if behind > BEHIND_MAX {
            self.left_out += behind - KEPT;
            self.cursor = Some((room, message + behind - KEPT));
            self.page = None;
        }
        if self.left_out > 0 {
            let text = legacy::left_out(self.left_out);
            self.left_out = 0;
            self.objects = self.in_servers_name(&text, now.wall).into();
            return Step::Taken;
        }
        if self.crowd.due().is_some_and(|due| due <= now.mono) {
            if let Some(text) = self.crowd.take() {
                self.objects = self.in_servers_name(&text, now.wall).into();
            }
            return Step::Taken;
        }
        if behind > 0 {
            return self.tell_message(view, room, message);
        }
        self.page = None;
        self.crowd.due().map_or(Step::Nothing, Step::Wait)
    }

    fn tell_message(&mut self, view: &RoomReplica, room: RoomIndex, message: u64) -> Step {
        let page = self.page.take();
        let held = view.messages.frame(message);
        let Some(frame) = held.or_else(|| page.as_ref()?.frame(message)) else {
            return Step::Fetch {
                room,
                from: message,
            };
        };
        self.cursor = Some((room, message + 1));
        // Others are of its own, or nothing that it can be told.
        if let Ok(ServerFrame::Message(message)) = parse_server(frame)
            && message.user != self.user
        {
            let time = legacy::timestamp(message.time, &self.zone);
            let nickname = message.nickname.as_str();
            self.objects = legacy::to_client(nickname, message.body.as_str(), &time).into();
        }
        self.page = page.filter(|page| page.next() > message + 1);
        Step::Taken
    }

    fn in_servers_name(&self, text: &str, time: Timestamp) -> Vec<Vec<u8>> {
        let time = legacy::timestamp(time, &self.zone);
        legacy::to_client(Nickname::SERVER, text, &time)
    }
}

#[cfg(test)]
mod tests;
