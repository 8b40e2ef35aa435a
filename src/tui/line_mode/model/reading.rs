//! How far the user has read, and of what they are notified.

use jiff::SignedDuration;

use super::Model;
use crate::{
    client::Command,
    protocol::{Extent, NotifyLevel, Preferences},
    tui::{commands::admin, line_mode::history::HistoryReader, local_time, user_text},
};

const MARK: &str = "/mark read, /mark unread [#N], /mark all";
const NOTIFY: &str = "/notify all, /notify mentions, /notify none [TIME]";

impl Model {
    /// Marks the room read, or unread from a message on; or marks all rooms read.
    pub(super) fn mark(&mut self, argument: &str) {
        let (what, number) = argument.split_once(' ').unwrap_or((argument, ""));
        match what.to_ascii_lowercase().as_str() {
            "read" if number.is_empty() => {
                let (room, seq) = (self.room, self.here.last);
                self.commands.push_back(Command::MarkRead { room, seq });
            }
            "all" if number.is_empty() => {
                let rooms = self.rooms().map(|(room, known)| (room, known.last));
                let rooms: Vec<_> = rooms.collect();
                let marks = rooms
                    .into_iter()
                    .map(|(room, seq)| Command::MarkRead { room, seq });
                self.commands.extend(marks);
            }
            "unread" => {
                let digits = number.trim().trim_start_matches('#');
                let from = match digits.parse::<u64>() {
                    Ok(from) => from,
                    Err(_) if digits.is_empty() => self.here.last,
                    Err(_) => return self.refuse(&format!("Which message? {MARK}")),
                };
                let (room, seq) = (self.room, from.saturating_sub(1));
                self.commands.push_back(Command::SetMarker { room, seq });
            }
            _ => self.refuse(&format!("Write {MARK}")),
        }
    }

    /// Goes to the next room with something unread, prints that, and marks it read.
    pub(super) fn go_to_unread(&mut self) {
        let rooms = self.others.iter().filter(|(_, room)| room.has_news());
        let next = rooms.max_by_key(|(_, room)| (room.for_user(), room.read.unread));
        let Some((room, _)) = next.map(|(id, room)| (*id, room)) else {
            return self.say("Nothing new in other rooms");
        };
        self.go(room);
        let (read, last) = (self.here.read.marker.seq, self.here.last);
        self.here.history = HistoryReader::after(read);
        let extent = Extent::new(read + 1, last);
        if let Some(part) = self.here.history.opened(extent, false) {
            self.commands.push_back(Command::Page { room, part });
        }
        let seq = last;
        self.commands.push_back(Command::MarkRead { room, seq });
    }

    /// Says which room is written to, and what is unread in others, a room a line.
    pub(super) fn tell_where(&mut self) {
        let title = self.title(self.room);
        self.say(&format!("Your lines go to {title}"));
        if self.here.info.rules.topic.is_some() {
            self.say(&user_text::topic(&self.here.info.rules));
        }
        let rooms = self.others.iter().filter(|(_, room)| room.has_news());
        let rooms: Vec<_> = rooms
            .map(|(id, room)| {
                let unread = room.read.unread;
                let for_user = room.for_user();
                let meant = if for_user.is_zero() {
                    String::new()
                } else {
                    format!(", {for_user} for you")
                };
                format!("{}: {unread} new{meant}", self.title(*id))
            })
            .collect();
        if rooms.is_empty() {
            self.say("Nothing new in other rooms");
        }
        for room in rooms {
            self.say(&room);
        }
    }

    /// Sets of which messages in the room the user is notified; alone: says it.
    pub(super) fn notify(&mut self, argument: &str) {
        let (level, time) = argument.split_once(' ').unwrap_or((argument, ""));
        let before = self.here.read.preferences;
        let level = match level.to_ascii_lowercase().as_str() {
            "" => return self.tell_notify(&before),
            "all" => NotifyLevel::All,
            "mentions" => NotifyLevel::Mentions,
            "none" => NotifyLevel::Nothing,
            _ => return self.refuse(&format!("Write {NOTIFY}")),
        };
        let preferences = match time.trim() {
            "" => Preferences {
                notify: level,
                quiet_until: None,
                ..before
            },
            _ if level != NotifyLevel::Nothing => {
                return self.refuse(&format!("Only none has a time: {NOTIFY}"));
            }
            time => {
                let until = admin::seconds(time).and_then(|seconds| {
                    let span = i64::try_from(seconds).map(SignedDuration::from_secs);
                    let until = span.ok().and_then(|span| self.now.checked_add(span).ok());
                    until.ok_or_else(|| format!("{time} is too long"))
                });
                match until {
                    Ok(until) => Preferences {
                        quiet_until: Some(until),
                        ..before
                    },
                    Err(wrong) => return self.refuse(&format!("{wrong}: {NOTIFY}")),
                }
            }
        };
        // Another command may follow before the session has told of this one.
        self.here.read.preferences = preferences;
        let room = self.room;
        self.commands
            .push_back(Command::Prefer { room, preferences });
        self.tell_notify(&preferences);
    }

    fn tell_notify(&mut self, preferences: &Preferences) {
        let what = match preferences.notify {
            NotifyLevel::All => "every message",
            NotifyLevel::Mentions => "mentions",
            NotifyLevel::Nothing => "nothing",
        };
        let title = self.title(self.room);
        let until = preferences.quiet_until.filter(|until| *until > self.now);
        let until = until.map_or_else(String::new, |until| {
            let until = local_time::moment(until, &self.zone);
            format!(", but not before {until}")
        });
        self.say(&format!("{title} notifies you of {what}{until}"));
    }
}
