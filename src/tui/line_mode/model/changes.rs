//! Edits and deletions: the lines that tell of them, and the commands that make them.

use jiff::{Timestamp, Zoned};

use super::Model;
use crate::{
    client::Command,
    protocol::{Content, Entry, EntryKind, Nickname, Role},
    text::Body,
    tui::{
        commands, entry_text,
        line_mode::seen::{SeenEntry, SeenState},
        user_text,
    },
};

impl Model {
    /// Takes a new entry that changes another one; `own`: this process has sent it. If the other is
    /// still to come by a page, the page shows what has become of it.
    pub(super) fn changes(&mut self, entry: &Entry, own: bool) {
        let Some(target) = self.fold.take(entry) else {
            return;
        };
        let seen = self.seen.find(target);
        let known = seen.is_some();
        let author = seen.as_ref().map(|seen| (seen.nickname.clone(), seen.time));
        if entry.erases() {
            let state = seen.map(|seen| std::mem::replace(&mut seen.state, SeenState::Deleted));
            if state != Some(SeenState::Deleted) && !own && (known || !self.history.is_due()) {
                self.print_deletion(author, entry.time);
            }
        } else if let EntryKind::Edit {
            body: Some(body), ..
        } = &entry.kind
        {
            let newer = match seen.map(|seen| &mut seen.state) {
                Some(SeenState::Text(edited)) if *edited < entry.seq => {
                    *edited = entry.seq;
                    true
                }
                Some(_) => false,
                None => !self.history.is_due(),
            };
            if newer && !own {
                self.print_edit(entry, entry.time, body);
            }
        }
    }

    /// Takes an entry as it stands now.
    pub(super) fn changed(&mut self, entry: &Entry) {
        let Some(seen) = self.seen.find(entry.id) else {
            return;
        };
        match (&entry.kind, seen.state) {
            (EntryKind::Tombstone(_), SeenState::Text(_) | SeenState::Unknown) => {
                seen.state = SeenState::Deleted;
                let author = (seen.nickname.clone(), seen.time);
                self.print_deletion(Some(author), entry.time);
            }
            (EntryKind::Text(text), SeenState::Text(edited)) if text.edited > Some(edited) => {
                seen.state = SeenState::Text(text.edited.unwrap_or(edited));
                self.print_edit(entry, entry.time, &text.body);
            }
            _ => {}
        }
    }

    fn print_edit(&mut self, entry: &Entry, time: Timestamp, body: &Body) {
        if self.output_closed {
            return;
        }
        let clock = self.clock(time);
        let text = body.as_str().replace('\n', "\n      ");
        let sender = self.members.get(&entry.author.user);
        let mark = user_text::badge_in_text(!entry.author.proven, sender);
        let name = entry.author.nickname.before_a_colon();
        let edited = entry_text::EDITED;
        self.output
            .push_back(format!("{clock} {mark}{name} {edited}: {text}\n"));
    }

    /// Tells of a deletion; of whose message, if that is known, and its time.
    fn print_deletion(&mut self, author: Option<(Nickname, Timestamp)>, now: Timestamp) {
        if self.output_closed {
            return;
        }
        self.output.push_back(match author {
            None => "-- a message was deleted --\n".to_owned(),
            Some((nickname, time)) => {
                let time = if self.options.stamps {
                    stamp(&time.to_zoned(self.zone.clone()))
                } else {
                    entry_text::moment(time, now, &self.zone)
                };
                format!("-- a message of {nickname} ({time}) was deleted --\n")
            }
        });
    }

    /// Edits this user's last message, or the one with the given number.
    pub(super) fn edit(&mut self, argument: &str) {
        let (number, text) = commands::numbered(argument);
        let body = match Body::visible(text) {
            Ok(body) => body,
            Err(_) if text.is_empty() => {
                return self.not_changed("Write the new text: /edit TEXT, or /edit #N TEXT");
            }
            Err(wrong) => return self.not_changed(&wrong.to_string()),
        };
        match self.target(number) {
            Ok(seen) if !self.is_own(&seen) => {
                self.not_changed("You can change only your own messages");
            }
            Ok(seen) if seen.state == SeenState::Unknown => {
                self.not_changed("Only texts can be changed");
            }
            Ok(SeenEntry { id: target, .. }) => self.submit(Content::Edit { target, body }),
            Err(why) => self.not_changed(&why),
        }
    }

    /// Deletes this user's last message, or the one with the given number.
    pub(super) fn delete(&mut self, argument: &str) {
        let (number, rest) = commands::numbered(argument);
        if !rest.is_empty() {
            let usage = "Write /delete, or /delete #N with the number of a message";
            return self.not_changed(usage);
        }
        let role = self.user.and_then(|user| self.members.get(&user));
        let moderates = role.is_some_and(|member| member.role >= Role::Moderator);
        match self.target(number) {
            Ok(seen) if !self.is_own(&seen) && !moderates => {
                self.not_changed("Only moderators can delete messages of others");
            }
            Ok(SeenEntry { id: target, .. }) => self.submit(Content::Redaction {
                target,
                reason: None,
            }),
            Err(why) => self.not_changed(&why),
        }
    }

    fn is_own(&self, seen: &SeenEntry) -> bool {
        Some(seen.user) == self.user
    }

    /// The message that a command means, if it can be changed.
    fn target(&self, number: Option<u64>) -> Result<SeenEntry, String> {
        if self.legacy {
            return Err("This server is older: it can't change or delete messages".to_owned());
        }
        let seen = match number {
            Some(number) => self.seen.numbered(number),
            None if self.waiting_for() > 0 => {
                let why = "Your last message is not delivered yet: try again in a moment";
                return Err(why.to_owned());
            }
            None => self.user.and_then(|user| self.seen.last_of(user)),
        };
        match (seen, number) {
            (Some(seen), _) if seen.state == SeenState::Deleted => {
                Err("That message is deleted already".to_owned())
            }
            (Some(seen), _) => Ok(seen.clone()),
            (None, Some(number)) => Err(format!("Message #{number} has not been seen here")),
            (None, None) => Err("None of your messages has been seen here".to_owned()),
        }
    }

    fn submit(&mut self, content: Content) {
        self.sent += 1;
        let room = self.room.clone();
        self.commands.push_back(Command::Send { room, content });
    }

    fn not_changed(&mut self, why: &str) {
        self.say(why);
        self.not_done();
    }
}

/// A time in full, as a line of a file begins.
pub(super) fn stamp(time: &Zoned) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}
