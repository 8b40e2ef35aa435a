//! One basic client: the older programs, which take whatever one `recv(1024)` gives for exactly
//! one object (see [`crate::protocol::basic`]).
//!
//! It reads the lobby like everybody else, by a cursor, but slowly: one object at a time, at least
//! [`BASIC_PAUSE`] after the one before, its own messages left out, and comings and goings told
//! as messages from `server`. When it is more than [`BEHIND_MAX`] behind, it is taken to the last
//! [`KEPT`], and one line says how many were left out (its own among them are counted too).

use std::{collections::VecDeque, time::Duration};

use jiff::{Timestamp, tz::TimeZone};

use super::{
    Moment, RoomIndex,
    peer::Turn,
    tail::{Gather, Tail},
    view::Views,
};
use crate::protocol::{
    Nickname, RoomRules, ServerFrame, UserId, basic,
    frame::{Change, Departure},
    limits::BASIC_PAUSE,
    wire::parse_server,
};
use crate::text::Line;

/// How many messages, or member changes, a basic client may be behind.
pub const BEHIND_MAX: u64 = 200;
/// How many of them it still gets when it was further behind.
pub const KEPT: u64 = 20;

/// See the module's docs.
#[derive(Debug)]
pub struct BasicPeer {
    user: UserId,
    zone: TimeZone,
    /// The lobby and the number of the next message; `None` when it was not let in.
    cursor: Option<(RoomIndex, u64)>,
    /// The version of the next member change.
    presence: u64,
    /// What is being written, and how much of it is.
    current: Vec<u8>,
    written: usize,
    /// Answers to what it sent: they come next.
    answers: VecDeque<Vec<u8>>,
    /// The other objects of what is being told.
    objects: VecDeque<Vec<u8>>,
    /// Not before this time the next object is begun.
    due: Duration,
    left_out: u64,
}

impl BasicPeer {
    /// Reads nothing yet. `zone` is the server's own, in which it tells times.
    pub fn new(user: UserId, zone: TimeZone) -> Self {
        Self {
            user,
            zone,
            cursor: None,
            presence: 0,
            current: Vec::new(),
            written: 0,
            answers: VecDeque::new(),
            objects: VecDeque::new(),
            due: Duration::ZERO,
            left_out: 0,
        }
    }

    /// Begins to read a room at a number, and its member changes from now on.
    pub fn attach(&mut self, room: RoomIndex, message: u64, views: &Views) {
        self.cursor = Some((room, message));
        self.presence = views.room(room).presence.next();
    }

    /// Reads no room any more; what was begun is finished.
    pub fn detach(&mut self) {
        self.cursor = None;
    }

    /// Adds an answer, if it is one that a basic client has an object for.
    pub fn answer(&mut self, now: Moment, frame: &ServerFrame) {
        match frame {
            ServerFrame::Error(error) => self
                .answers
                .push_back(basic::error_to_client(error.message.as_str())),
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
        self.current.len() + waiting.map(Vec::len).sum::<usize>()
    }

    /// What to do next.
    pub fn turn<'a>(&'a mut self, now: Moment, views: &Views) -> Turn<'a> {
        while self.current.is_empty() {
            match self
                .answers
                .pop_front()
                .or_else(|| self.objects.pop_front())
            {
                Some(object) => self.current = object,
                None if self.tell_next(now, views) => {}
                None => return Turn::Idle,
            }
        }
        if self.written == 0 && now.mono < self.due {
            return Turn::Wait(self.due);
        }
        Turn::Write(Gather::one(&self.current[self.written..]))
    }

    /// So many bytes of the last turn's offer were written.
    pub fn wrote(&mut self, now: Moment, count: usize) {
        self.written += count;
        if self.written == self.current.len() {
            self.current = Vec::new();
            self.written = 0;
            self.due = now.mono + BASIC_PAUSE;
        }
    }

    /// Takes the next thing there is to tell, which may be none; false when it has caught up.
    fn tell_next(&mut self, now: Moment, views: &Views) -> bool {
        let Some((room, message)) = self.cursor else {
            return false;
        };
        let view = views.room(room);
        let (message, messages_left_out) = skip(&view.messages, message);
        let (version, changes_left_out) = skip(&view.presence, self.presence);
        self.left_out += messages_left_out + changes_left_out;
        self.cursor = Some((room, message));
        self.presence = version;
        if self.left_out > 0 {
            let text = basic::left_out(self.left_out);
            self.left_out = 0;
            self.objects = self.in_servers_name(&text, now.wall).into();
        } else if let Some(frame) = view.presence.frame(version) {
            self.presence = version + 1;
            self.tell(frame);
        } else if let Some(frame) = view.messages.frame(message) {
            self.cursor = Some((room, message + 1));
            self.tell(frame);
        } else {
            return false;
        }
        true
    }

    fn tell(&mut self, frame: &[u8]) {
        match parse_server(frame) {
            Ok(ServerFrame::Message(message)) if message.user != self.user => {
                let time = basic::timestamp(message.time, &self.zone);
                let nickname = message.nickname.as_str();
                self.objects = basic::to_client(nickname, message.body.as_str(), &time).into();
            }
            Ok(ServerFrame::Presence(presence)) if presence.user != self.user => {
                if let Some(text) = in_words(&presence.nickname, &presence.change) {
                    self.objects = self.in_servers_name(&text, presence.time).into();
                }
            }
            // Its own, or nothing that it can be told.
            _ => {}
        }
    }

    fn in_servers_name(&self, text: &str, time: Timestamp) -> Vec<Vec<u8>> {
        let time = basic::timestamp(time, &self.zone);
        basic::to_client(Nickname::SERVER, text, &time)
    }
}

/// Where to go on, and how many are left out.
fn skip(tail: &Tail, number: u64) -> (u64, u64) {
    let behind = tail.next() - number;
    if behind <= BEHIND_MAX && number >= tail.first() {
        return (number, 0);
    }
    let kept = (tail.next() - KEPT.min(behind)).max(tail.first());
    (kept, kept - number)
}

/// What there is to say about a change.
fn in_words(nickname: &Nickname, change: &Change) -> Option<String> {
    Some(match change {
        Change::Joined => format!("{nickname} joined"),
        Change::Left(Departure::Timeout) => format!("{nickname} left: no sign of life"),
        Change::Left(Departure::Lost) => format!("{nickname} left: connection lost"),
        Change::Left(Departure::Kicked) => format!("{nickname} was sent away"),
        Change::Left(Departure::Banned) => format!("{nickname} was banned"),
        Change::Left(_) => format!("{nickname} left"),
        Change::Renamed { was } => format!("{was} is now {nickname}"),
        Change::Rules(rules) => format!("{nickname} changed the room: {}", rules_in_words(rules)),
        Change::Promoted => return None,
    })
}

/// How a room is run.
fn rules_in_words(rules: &RoomRules) -> String {
    let topic = rules.topic.as_ref().map_or("none", Line::as_str);
    let announce = if rules.announce {
        "; only moderators write"
    } else {
        ""
    };
    let slow = match rules.slow_seconds {
        0 => String::new(),
        seconds => format!("; {seconds} s between two messages"),
    };
    format!("topic {topic}{announce}{slow}")
}

#[cfg(test)]
mod tests;
