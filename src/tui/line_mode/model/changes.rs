//! The commands that edit and delete.

use super::Model;
use crate::{
    client::Command,
    protocol::{Content, Role, RoomId},
    text::Body,
    tui::{
        commands,
        line_mode::seen::{SeenEntry, SeenState},
    },
};

impl Model {
    /// Edits this user's last message, or the one with the given number.
    pub(super) fn edit(&mut self, argument: &str) {
        let (number, text) = commands::numbered(argument);
        let body = match Body::visible(text) {
            Ok(body) => body,
            Err(_) if text.is_empty() => {
                return self.refuse("Write the new text: /edit TEXT, or /edit #N TEXT");
            }
            Err(wrong) => return self.refuse(&wrong.to_string()),
        };
        match self.target(number) {
            Ok(seen) if !self.is_own(&seen) => {
                self.refuse("You can change only your own messages");
            }
            Ok(seen) if seen.state == SeenState::Other => {
                self.refuse("Only texts can be changed");
            }
            Ok(SeenEntry { id: target, .. }) => {
                self.submit(self.room, Content::Edit { target, body });
            }
            Err(why) => self.refuse(&why),
        }
    }

    /// Deletes this user's last message, or the one with the given number.
    pub(super) fn delete(&mut self, argument: &str) {
        let (number, rest) = commands::numbered(argument);
        if !rest.is_empty() {
            let usage = "Write /delete, or /delete #N with the number of a message";
            return self.refuse(usage);
        }
        let role = self.user.and_then(|user| self.here.members.get(&user));
        let moderates = role.is_some_and(|member| member.role >= Role::Moderator);
        match self.target(number) {
            Ok(seen) if !self.is_own(&seen) && !moderates => {
                self.refuse("Only moderators can delete messages of others");
            }
            Ok(SeenEntry { id: target, .. }) => self.submit(
                self.room,
                Content::Redaction {
                    target,
                    reason: None,
                },
            ),
            Err(why) => self.refuse(&why),
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
            Some(number) => self.here.seen.numbered(number),
            None if self.waiting_for() > 0 => {
                let why = "Your last message is not delivered yet: try again in a moment";
                return Err(why.to_owned());
            }
            None => self.user.and_then(|user| self.here.seen.last_of(user)),
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

    /// Sends an entry.
    pub(in crate::tui::line_mode) fn submit(&mut self, room: RoomId, content: Content) {
        self.sent += 1;
        self.commands.push_back(Command::Send { room, content });
    }
}
