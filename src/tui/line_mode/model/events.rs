//! The events of the session: what is printed, and what is to be done next.

use jiff::Timestamp;

use super::{ExitStatus, Model, changes::stamp};
use crate::{
    client::{
        Command, Event,
        event::{
            ConnectionStatus, CredentialWanted, Delivery, Entered, LocalId, OutboxMessage, Page,
            Received, Said,
        },
    },
    protocol::{
        Content, Nickname, RoomName,
        fold::Fold,
        frame::{Part, RoomStart},
    },
    text::Line,
    tui::{entry_text, local_time, user_text},
};

impl Model {
    /// Takes an event of the session.
    pub(in crate::tui::line_mode) fn event(&mut self, event: Event) {
        let event = local_time::in_event(event, &self.zone);
        // The session may be in other rooms to send older messages there.
        let elsewhere = event.room().is_some_and(|room| *room != self.room);
        if !elsewhere {
            self.happened(event);
        }
        self.go_on();
        self.leave_if_done();
    }

    #[deny(clippy::wildcard_enum_match_arm)]
    fn happened(&mut self, event: Event) {
        match event {
            Event::Connection(status) => self.connection_changed(status),
            Event::Entered(entered) => self.entered(&entered),
            Event::Room(room) => self.room(&room),
            Event::Message(received) => self.message(received),
            Event::Changed { entries, .. } => {
                for entry in &entries {
                    self.changed(entry);
                }
            }
            Event::Outbox(OutboxMessage {
                local,
                room,
                content,
                delivery,
            }) => match self.number(local) {
                Some(number) => self.delivery(local, number, &content, delivery),
                None => self.delivery_of_others(local, &room, content.words(), delivery),
            },
            Event::Members { members, .. } => {
                self.members_known = true;
                let members = members.into_iter().map(|member| (member.user, member));
                self.members = members.collect();
                // The list replaces earlier changes, our own role among them.
                let own = self.user.and_then(|user| self.members.get(&user));
                if let Some(own) = own {
                    self.nickname = own.nickname.clone();
                }
            }
            Event::Joined { member, .. } => {
                self.mention(&format!("{} joined", member.nickname));
                self.members.insert(member.user, member);
            }
            Event::Left { user, nickname, .. } => {
                self.mention(&format!("{nickname} left"));
                self.members.remove(&user);
            }
            Event::Renamed {
                user,
                was,
                nickname,
                ..
            } => {
                self.mention(&format!("{was} is now {nickname}"));
                if Some(user) == self.user {
                    self.nickname = nickname.clone();
                    self.nickname_asked = None;
                }
                if let Some(member) = self.members.get_mut(&user) {
                    member.nickname = nickname;
                }
            }
            Event::Promoted { user, role, .. } => self.promoted(user, role),
            Event::Rules { rules, by, .. } => self.ruled(rules, by.as_ref()),
            Event::Security(security) => self.security(security),
            Event::NicknameRefused {
                nickname,
                why,
                waiting,
            } => {
                self.nickname_refused(&nickname, &why, waiting);
            }
            Event::Admin { request, answer } => self.answered(request, answer),
            Event::Page { page, .. } => self.page(page),
            // These are for the full screen only.
            Event::Found { .. } | Event::Unanswered(_) => {}
            Event::Notice(line) => self.say(line.as_str()),
            Event::Distrusted(told) => {
                for passage in &told {
                    self.say(passage.to_line().as_str());
                }
            }
            Event::Ended(summary) => self.ended = Some(summary),
        }
    }

    fn connection_changed(&mut self, status: ConnectionStatus) {
        // On a legacy server there are no older messages.
        self.legacy = matches!(
            status,
            ConnectionStatus::Legacy | ConnectionStatus::Unidentified
        );
        self.open = self.legacy;
        self.members_known = false;
        self.standby = matches!(status, ConnectionStatus::Standby);
        match status {
            ConnectionStatus::Connecting => {}
            ConnectionStatus::Standby => self.mention(
                "Another process joined with the same client ID: this one waits until that one has \
                 ended; messages are sent by that one meanwhile",
            ),
            ConnectionStatus::Unidentified => {
                self.history.give_up();
                self.back(
                    "Connected, but no answer yet: an older server, which confirms nothing, or \
                     not a chat server",
                );
            }
            ConnectionStatus::Online => self.back("Connected"),
            ConnectionStatus::Legacy => {
                self.history.give_up();
                self.back(
                    "Connected to an older server: it keeps no history, has no member list, and \
                     confirms nothing",
                );
            }
            ConnectionStatus::Waiting { why, .. } => {
                // Reported once, however many attempts fail.
                if !std::mem::replace(&mut self.troubled, true) {
                    self.say(&format!("{why}; trying again"));
                }
            }
            ConnectionStatus::Stopped { .. } if self.asked_for_nickname => {}
            ConnectionStatus::Stopped { why, wants, .. } => {
                self.say(why.as_str());
                match wants {
                    Some(CredentialWanted::Password) => {
                        self.say("Give it with --password-file FILE");
                    }
                    Some(CredentialWanted::Invite) => self.say("Give one with --invite-file FILE"),
                    Some(CredentialWanted::Code) => {
                        self.say("Give one with --device-code-file FILE");
                    }
                    None => {}
                }
                self.refused(ExitStatus::NoServer);
            }
        }
    }

    fn back(&mut self, sentence: &str) {
        if std::mem::take(&mut self.troubled) || self.is_chatty() {
            self.say(sentence);
        }
    }

    fn entered(&mut self, entered: &Entered) {
        self.entered = true;
        self.asked_for_nickname = false;
        self.nickname_asked = None;
        self.user = entered.user;
        self.nickname = entered.nickname.clone();
    }

    fn room(&mut self, room: &RoomStart) {
        if room.reset.is_some() {
            self.seen.clear();
            self.fold = Fold::default();
            self.acked = 0;
            self.say("The server's history was replaced: earlier messages are not in it");
        } else if self.last > 0 && room.next > self.last + 1 {
            let count = room.next - self.last - 1;
            self.say(&format!(
                "{count} messages are missing here: the server no longer has them"
            ));
        }
        self.last = room.next.saturating_sub(1);
        self.head = room.extent.head;
        self.open = true;
        if let Some(part) = self.history.opened(room.extent, room.reset.is_some()) {
            self.ask_page(part);
        }
    }

    fn ask_page(&mut self, part: Part) {
        let room = self.room.clone();
        self.commands.push_back(Command::Page { room, part });
    }

    /// Takes a page of older messages.
    fn page(&mut self, page: Result<Page, Line>) {
        if !self.history.is_due() {
            return;
        }
        match page {
            // The connection is gone: the page is requested again on the next one.
            Ok(page) if page.offline => {}
            // We leave, or there is no connection either.
            Err(_) if self.leaving || !self.open => {}
            Ok(page) => {
                self.settled += 1;
                let (messages, next) = self.history.read(page, self.last);
                for mut entry in messages {
                    self.fold.apply(&mut entry);
                    self.seen.see(&entry);
                    self.print(&Said::Logged(entry));
                }
                if let Some(part) = next {
                    self.ask_page(part);
                }
            }
            Err(why) => {
                self.say(&format!("The history can't be read: {why}"));
                self.failure = Some(ExitStatus::Broken);
                self.history.give_up();
            }
        }
    }

    fn message(&mut self, mut received: Received) {
        self.heard = true;
        // Messages handed over by other processes are printed for a follower; a sender skips them.
        let ours = |local: LocalId| !local.is_of_others() || !self.is_chatty();
        let own = received.local.is_some_and(ours);
        if let Said::Logged(entry) = &mut received.said {
            self.last = entry.seq;
            self.changes(entry, own);
            self.fold.apply(entry);
            if !entry.is_shown() {
                return;
            }
            let comes_by_page = self.history.comes_by_page(entry.seq, own);
            if own || !comes_by_page {
                self.seen.see(entry);
            }
            if comes_by_page {
                return;
            }
        }
        let message = &received.said;
        // The sender has it on the screen, or in the script.
        if own {
            self.mark_clock(message);
        } else {
            self.print(message);
        }
    }

    /// Reports a correction of the server's clock.
    fn mark_clock(&mut self, message: &Said) {
        if let Some(was) = message.clock_was().filter(|_| !self.output_closed) {
            let corrected = user_text::clock_corrected(message.time().duration_since(was));
            self.output.push_back(format!("-- {corrected} --\n"));
        }
    }

    fn print(&mut self, message: &Said) {
        self.mark_clock(message);
        if self.output_closed {
            return;
        }
        if let Said::Logged(entry) = message
            && entry.text().is_none()
        {
            let words = entry_text::words(entry);
            return self.output.push_back(format!("-- {words} --\n"));
        }
        let clock = self.clock(message.time());
        let text = message.words().replace('\n', "\n      ");
        let sender = message.user().and_then(|user| self.members.get(&user));
        let mark = user_text::badge_in_text(message.unproven(), sender);
        let name = message.nickname().before_a_colon();
        self.output
            .push_back(format!("{clock} {mark}{name}: {text}\n"));
    }

    /// The time before a message. On a terminal, a line says where the day changes.
    pub(super) fn clock(&mut self, time: Timestamp) -> String {
        let time = time.to_zoned(self.zone.clone());
        if self.options.stamps {
            return stamp(&time);
        }
        let day = time.date();
        if self.day.replace(day).is_some_and(|before| before != day) {
            self.output.push_back(format!("-- {day} --\n"));
        }
        time.strftime("%H:%M").to_string()
    }

    /// The number of one of this run's own messages, from 1 on; `None` for others.
    fn number(&self, local: LocalId) -> Option<u64> {
        let number = local.0.checked_sub(self.earlier)?;
        (number > 0 && !local.is_of_others()).then_some(number)
    }

    fn delivery(&mut self, local: LocalId, number: u64, content: &Content, delivery: Delivery) {
        self.named = self.named.max(number);
        if delivery == Delivery::Pending {
            self.unconfirmed.remove(&local);
            self.on_the_way.insert(local);
            return;
        }
        self.on_the_way.remove(&local);
        self.unconfirmed.remove(&local);
        self.settled += 1;
        match delivery {
            Delivery::Pending | Delivery::Unchanged => {}
            Delivery::Sent { seq } => self.acked = self.acked.max(seq.unwrap_or(0)),
            Delivery::Unconfirmed => drop(self.unconfirmed.insert(local)),
            Delivery::Failed { why } => {
                self.undelivered += 1;
                let what = match content {
                    Content::Text(_) => format!("Message {number}"),
                    Content::Edit { .. } => format!("Message {number}, an edit,"),
                    Content::Redaction { .. } => format!("Message {number}, a deletion,"),
                };
                self.say(&format!("{what} was not delivered: {why}"));
                // Nobody is there to change it.
                self.commands.push_back(Command::Withdraw(local));
            }
            Delivery::Withdrawn => {
                self.undelivered += 1;
                self.say(&format!(
                    "Message {number} was not delivered: another process took it back"
                ));
            }
            Delivery::SettledElsewhere => {
                self.undelivered += 1;
                self.say(&format!(
                    "It is not known whether message {number} was delivered: another process was \
                     sending it"
                ));
            }
        }
    }

    /// Takes the outcome of a message that another run left or handed over, which does not affect
    /// this run's outcome.
    fn delivery_of_others(
        &mut self,
        local: LocalId,
        room: &RoomName,
        words: &str,
        delivery: Delivery,
    ) {
        match delivery {
            Delivery::Pending => {}
            Delivery::Failed { why } => {
                self.older.remove(&local);
                self.settled += 1;
                let which = if local.is_of_others() {
                    "another"
                } else {
                    "an earlier"
                };
                let text = words.replace('\n', "\n  ");
                self.say(&format!(
                    "A message of {which} run, for {room}, was not delivered and is not kept: \
                     {why}. If it is still wanted, send it again:\n  {text}"
                ));
                self.commands.push_back(Command::Withdraw(local));
            }
            Delivery::Sent { .. }
            | Delivery::Unconfirmed
            | Delivery::Withdrawn
            | Delivery::Unchanged
            | Delivery::SettledElsewhere => {
                self.older.remove(&local);
                self.settled += 1;
            }
        }
    }

    fn nickname_refused(&mut self, nickname: &Nickname, why: &Line, waiting: bool) {
        self.asked_for_nickname |= waiting;
        if !waiting || self.options.interactive {
            let hint = if waiting {
                ". Type /nick NAME to choose another"
            } else {
                ""
            };
            self.say(&format!("{nickname}: {why}{hint}"));
            if self.nickname_asked.take().is_some() {
                self.not_done();
            }
        } else {
            self.say(&format!("{nickname}: {why}"));
            self.refused(ExitStatus::NicknameRefused);
        }
    }
}
