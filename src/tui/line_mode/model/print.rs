//! The lines of the output. A line of another room than the one that is written to says which.

use jiff::{Timestamp, Zoned};

use super::Model;
use crate::{
    client::event::Said,
    protocol::{Entry, Nickname, RoomId, RoomKind, UserId},
    text::Body,
    tui::{entry_text, line_mode::room::SeenChange, user_text},
};

impl Model {
    /// Reports a correction of the server's clock.
    pub(super) fn mark_clock(&mut self, message: &Said) {
        if let Some(was) = message.clock_was() {
            let corrected = user_text::clock_corrected(message.time().duration_since(was));
            self.remark(message.room(), &corrected);
        }
    }

    /// Prints a message.
    pub(super) fn print(&mut self, message: &Said) {
        if self.options.json {
            return self.put_said(message);
        }
        self.mark_clock(message);
        if self.output_closed {
            return;
        }
        if let Said::Logged(entry) = message
            && entry.text().is_none()
        {
            return self.remark(message.room(), &entry_text::words(entry));
        }
        let clock = self.clock(message.time());
        let text = message.words().replace('\n', "\n      ");
        let sender = self.sender(
            message.room(),
            message.user(),
            message.nickname(),
            message.unproven(),
        );
        let line = format!("{clock} {sender}: {text}\n");
        self.printed = Some(line.clone());
        self.output.push_back(line);
    }

    /// Prints the last message again.
    pub(super) fn say_again(&mut self) {
        match self.printed.clone() {
            Some(line) if !self.output_closed => self.output.push_back(line),
            _ => self.refuse("No message was printed yet"),
        }
    }

    /// Prints what a change of an entry has changed. `now` is its time.
    pub(super) fn print_change(&mut self, entry: &Entry, change: SeenChange, now: Timestamp) {
        if self.output_closed || self.options.json {
            return;
        }
        match change {
            SeenChange::Edited => {
                let clock = self.clock(now);
                let text = entry.body().map_or("", Body::as_str);
                let text = text.replace('\n', "\n      ");
                let author = &entry.author;
                let sender = self.sender(
                    entry.room,
                    Some(author.user),
                    &author.nickname,
                    !author.proven,
                );
                let edited = entry_text::EDITED;
                self.output
                    .push_back(format!("{clock} {sender} {edited}: {text}\n"));
            }
            SeenChange::Deleted(None) => self.remark(entry.room, "a message was deleted"),
            SeenChange::Deleted(Some((nickname, time))) => {
                let time = if self.options.stamps {
                    stamp(&time.to_zoned(self.zone.clone()))
                } else {
                    entry_text::moment(time, now, &self.zone)
                };
                let words = format!("a message of {nickname} ({time}) was deleted");
                self.remark(entry.room, &words);
            }
        }
    }

    /// Prints what is no message.
    fn remark(&mut self, room: RoomId, words: &str) {
        if self.output_closed || self.options.json {
            return;
        }
        let words = self.in_room(room, words);
        self.output.push_back(if self.options.reader {
            format!("{words}\n")
        } else {
            format!("-- {words} --\n")
        });
    }

    /// A sentence about a room, which begins with the room if it is another than the one that is
    /// written to.
    pub(super) fn in_room(&self, room: RoomId, sentence: &str) -> String {
        if room == self.room {
            sentence.to_owned()
        } else {
            format!("{}: {sentence}", self.title(room))
        }
    }

    /// The sender of a message, before a colon, with the room if it is another than the one that is
    /// written to.
    fn sender(
        &self,
        room: RoomId,
        user: Option<UserId>,
        nickname: &Nickname,
        unproven: bool,
    ) -> String {
        let members = self.known_room(room).map(|room| &room.members);
        let member = user.and_then(|user| members?.get(&user));
        let mark = user_text::badge_in_text(unproven, member);
        let name = nickname.before_a_colon();
        if self.options.reader {
            return self.sender_in_words(room, user, &name, mark);
        }
        // A nickname must not pass for a room.
        let imitates = name.starts_with(['#', '@']) && !self.others.is_empty();
        if room == self.room && !imitates {
            return format!("{mark}{name}");
        }
        let title = self.title(room);
        if title.strip_prefix('@') == Some(&name) {
            return format!("{mark}{title}");
        }
        format!("{title} {mark}{name}")
    }

    /// As [`Model::sender`], to be read aloud: `bob in build`, `bob to you`.
    fn sender_in_words(
        &self,
        room: RoomId,
        user: Option<UserId>,
        name: &str,
        mark: &str,
    ) -> String {
        let key = if mark.is_empty() {
            ""
        } else {
            " without a key"
        };
        let place = match self.known_room(room) {
            _ if room == self.room => String::new(),
            Some(known) if known.info.kind == RoomKind::Direct && user != self.user => {
                let people = known.info.people.iter();
                let others = people
                    .filter(|person| ![self.user, user].contains(&Some(person.user)))
                    .map(|person| person.nickname.as_str());
                let others: Vec<_> = others.collect();
                if others.is_empty() {
                    " to you".to_owned()
                } else {
                    format!(" to {} and you", others.join(", "))
                }
            }
            _ => format!(" in {}", self.title(room).trim_start_matches(['#', '@'])),
        };
        format!("{name}{key}{place}")
    }

    /// The time before a message. On a terminal, a line says where the day changes.
    fn clock(&mut self, time: Timestamp) -> String {
        let time = time.to_zoned(self.zone.clone());
        if self.options.stamps {
            return stamp(&time);
        }
        let day = time.date();
        if self.day.replace(day).is_some_and(|before| before != day) {
            self.output.push_back(if self.options.reader {
                format!("{day}\n")
            } else {
                format!("-- {day} --\n")
            });
        }
        time.strftime("%H:%M").to_string()
    }
}

/// A time in full, as a line of a file begins.
fn stamp(time: &Zoned) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}
