//! The lines of the input: texts to send, and commands.

use super::{ExitStatus, Model};
use crate::{
    client::Command,
    protocol::{
        Content, Nickname,
        limits::{FRAME_BYTES_MAX, TEXT_BYTES_MAX},
    },
    text::{Body, BodyError, Line},
    tui::{
        commands::{self, ParsedInput, Slash, SlashAction, admin},
        line_mode::line_splitter::InputLine,
    },
};

impl Model {
    /// Takes a line of the input. In a script it waits until the lines before it are done and it
    /// can be carried out.
    pub(in crate::tui::line_mode) fn line(&mut self, line: InputLine) {
        if self.input_ended || self.leaving {
            return;
        }
        self.waiting.push_back(line);
        self.go_on();
    }

    /// Takes the lines that can be carried out now.
    pub(super) fn go_on(&mut self) {
        while !self.leaving
            && self.waiting.front().is_some_and(|line| self.is_ready(line))
            && let Some(line) = self.waiting.pop_front()
        {
            self.take(line);
        }
    }

    fn is_ready(&self, line: &InputLine) -> bool {
        if self.options.json {
            return match line {
                InputLine::Text { text, .. } => self.takes_object(text),
                InputLine::TooLong => true,
            };
        }
        if self.options.interactive || !self.options.commands {
            return true;
        }
        if !self.asked.is_empty() || self.nickname_asked.is_some() || self.going.is_some() {
            return false;
        }
        let InputLine::Text { text, .. } = line else {
            return true;
        };
        let ParsedInput::Command(slash, argument) = commands::read(text) else {
            return true;
        };
        let needs_place = match slash.run {
            // They mean the last message, whose echo may come after its acknowledgement.
            SlashAction::Edit | SlashAction::Delete if self.here.last < self.here.acked => {
                return false;
            }
            // The older messages that were asked for are those of the room before.
            SlashAction::Go | SlashAction::Next if self.here.history.is_due() => return false,
            SlashAction::Edit
            | SlashAction::Delete
            | SlashAction::Go
            | SlashAction::Next
            | SlashAction::Where
            | SlashAction::SayAgain
            | SlashAction::Nick
            | SlashAction::Security
            | SlashAction::Who
            | SlashAction::Rooms
            | SlashAction::Members
            | SlashAction::Inbox
            | SlashAction::Mark
            | SlashAction::Notify => true,
            // A device's code is what admits us, so it can't wait for that.
            SlashAction::Admin(which) => !admin::is_code(which, argument),
            SlashAction::Quit
            | SlashAction::Help
            | SlashAction::Mouse
            | SlashAction::Date
            | SlashAction::Search
            | SlashAction::Peek
            | SlashAction::Favourite
            | SlashAction::Unfold
            | SlashAction::Fold
            | SlashAction::Discard => false,
        };
        let in_place = self.here.open && (self.here.members_known || self.legacy);
        !needs_place || in_place && self.waiting_for() == 0
    }

    fn take(&mut self, line: InputLine) {
        self.lines_read += 1;
        let (text, damaged) = match line {
            InputLine::Text { text, damaged } => (text, damaged),
            InputLine::TooLong => return self.too_long(),
        };
        if damaged && !std::mem::replace(&mut self.told_of_damage, true) {
            let line = self.lines_read;
            self.say(&format!(
                "Line {line} is not UTF-8: bytes that can't be read are replaced"
            ));
        }
        if self.options.json {
            return self.object(&text);
        }
        if !self.options.commands {
            return self.send(&text);
        }
        match commands::read(&text) {
            ParsedInput::Text(text) => self.send(text),
            ParsedInput::Nothing => {}
            ParsedInput::Quit => self.quit(),
            ParsedInput::Command(slash, argument) => self.run(slash, argument),
            ParsedInput::Unknown(name) => {
                let name = Line::inert(name);
                self.say(&format!(
                    "There is no command /{name}: /help lists them, // begins a text with a slash"
                ));
                // A script's line that was not carried out counts as not delivered.
                self.undelivered += u64::from(!self.options.interactive);
            }
        }
    }

    fn run(&mut self, slash: &Slash, argument: &str) {
        match slash.run {
            SlashAction::Quit => self.quit(),
            SlashAction::Help => self.help(),
            SlashAction::Nick => self.nick(argument),
            SlashAction::Edit => self.edit(argument),
            SlashAction::Delete => self.delete(argument),
            SlashAction::Security => self.tell_security(),
            SlashAction::Who => self.tell_who(),
            SlashAction::Go => self.go_to(argument),
            SlashAction::Next => self.go_to_unread(),
            SlashAction::Where => self.tell_where(),
            SlashAction::SayAgain => self.say_again(),
            SlashAction::Rooms => self.list_rooms(argument),
            SlashAction::Members => self.list_members(argument),
            SlashAction::Inbox => self.list_inbox(),
            SlashAction::Mark => self.mark(argument),
            SlashAction::Notify => self.notify(argument),
            SlashAction::Admin(which) => self.admin_command(slash, which, argument),
            SlashAction::Mouse
            | SlashAction::Date
            | SlashAction::Search
            | SlashAction::Peek
            | SlashAction::Favourite
            | SlashAction::Unfold
            | SlashAction::Fold
            | SlashAction::Discard => {
                self.refuse(&format!("/{} works in the full screen only", slash.name));
            }
        }
    }

    /// Takes the end of the input, or the error that ended it.
    pub(in crate::tui::line_mode) fn input_ended(&mut self, error: Option<&str>) {
        self.input_ended = true;
        if self.options.interactive {
            // Nothing more is written there.
            self.going = None;
        }
        if let Some(error) = error {
            self.say(&format!("The input can't be read: {error}"));
            self.failure = Some(ExitStatus::Broken);
        }
        self.leave_if_done();
    }

    /// Gives up waiting for what the first line needs, and goes on without it.
    pub(super) fn skip_command(&mut self) {
        self.settled += 1;
        let unanswered = self.asked.len() + usize::from(self.nickname_asked.is_some());
        self.asked.clear();
        self.nickname_asked = None;
        if self.going.take().is_some() {
            self.not_gone("Gave up waiting for the room");
        } else if unanswered > 0 {
            self.say("Gave up waiting for the result of a command: it may have been carried out");
            self.undelivered += unanswered as u64;
        } else if self.waiting.pop_front().is_some() {
            self.lines_read += 1;
            let line = self.lines_read;
            self.say(&format!(
                "Line {line} was not carried out: the connection did not come back in time"
            ));
            self.undelivered += 1;
        }
        self.go_on();
        self.leave_if_done();
    }

    fn too_long(&mut self) {
        if self.options.json {
            let limit = FRAME_BYTES_MAX / 1024;
            return self.refuse_object(None, &format!("An object has at most {limit} KiB"));
        }
        let line = self.lines_read;
        let limit = TEXT_BYTES_MAX / 1024;
        self.undelivered += 1;
        self.say(&format!(
            "Line {line} was not sent: a message has at most {limit} KiB"
        ));
    }

    fn send(&mut self, text: &str) {
        match Body::visible(text) {
            Ok(_) if self.nowhere => {
                let line = self.lines_read;
                self.undelivered += 1;
                self.say(&format!(
                    "Line {line} was not sent: the room that it is for could not be entered, or \
                     was left"
                ));
            }
            Ok(body) => self.submit(self.room, Content::Text(body)),
            Err(BodyError::TooLong) => self.too_long(),
            // An empty line is skipped.
            Err(BodyError::Empty) => {}
            Err(wrong @ BodyError::Character(_)) => {
                let line = self.lines_read;
                self.undelivered += 1;
                self.say(&format!("Line {line} was not sent: {wrong}"));
            }
        }
    }

    fn nick(&mut self, name: &str) {
        match Nickname::parse(name) {
            Ok(nickname) => {
                // The same nickname gets no answer, and an older server never answers.
                let answered = !self.legacy && nickname != self.nickname;
                if answered && !self.options.interactive {
                    self.nickname_asked = Some(nickname.clone());
                }
                self.commands.push_back(Command::Nick(nickname));
            }
            Err(wrong) => {
                self.refuse(&format!("{wrong}: /nick NAME"));
            }
        }
    }

    /// A user leaves at once; a script first delivers the lines before it.
    pub(super) fn quit(&mut self) {
        self.input_ended = true;
        self.waiting.clear();
        self.options.follow = false;
        if self.options.interactive {
            self.leave();
        } else {
            self.leave_if_done();
        }
    }

    fn help(&mut self) {
        for command in commands::all() {
            self.help_line(&command.usage(), command.help);
        }
        self.help_line("q!", "disconnect");
    }

    fn help_line(&mut self, usage: &str, help: &str) {
        self.say(&if self.options.reader {
            format!("{usage}: {help}")
        } else {
            format!("{usage:<28} {help}")
        });
    }
}
