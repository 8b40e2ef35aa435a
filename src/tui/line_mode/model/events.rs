//! The events of the session: what is printed, and what is to be done next.

use super::{ExitStatus, Model};
use crate::{
    client::{
        Command, Event,
        event::{
            ConnectionStatus, CredentialWanted, Delivery, Entered, LocalId, OutboxMessage, Page,
            Received, Said,
        },
    },
    protocol::{
        Content, EntryKind, Nickname, RoomId, UserId,
        entry::{RoomChange, RoomEvent},
    },
    text::Line,
    tui::{
        line_mode::{room::LineRoom, seen},
        local_time,
    },
};

impl Model {
    /// Takes an event of the session.
    pub(in crate::tui::line_mode) fn event(&mut self, event: Event) {
        let event = local_time::in_event(event, &self.zone);
        self.happened(event);
        self.go_on();
        self.leave_if_done();
    }

    #[deny(clippy::wildcard_enum_match_arm)]
    fn happened(&mut self, event: Event) {
        if self.options.json {
            self.put_event(&event);
        }
        match event {
            Event::Connection(status) => self.connection_changed(status),
            Event::Entered(entered) => self.entered(&entered),
            Event::Room(start) => self.opened(&start),
            Event::RoomInfo { room, info } => {
                if let Some(room) = self.known_room_mut(room) {
                    room.info = *info;
                }
            }
            Event::ReadState { room, read } => {
                if let Some(room) = self.known_room_mut(room) {
                    room.read = read;
                }
            }
            Event::RoomLeft { room, by } => self.left(room, by.as_ref()),
            Event::Message(received) => self.message(received),
            Event::Changed { room, entries } => {
                for entry in &entries {
                    let known = self.known_room_mut(room);
                    if let Some(change) = known.and_then(|room| room.changed(entry)) {
                        self.print_change(entry, change, entry.time);
                    }
                }
            }
            Event::Outbox(message) => match self.number(message.local) {
                Some(number) => {
                    self.put_delivery(&message, number);
                    self.delivery(&message, number);
                }
                None => self.delivery_of_others(message),
            },
            Event::Ignored(users) => self.ignored = users,
            Event::Members { room, members } => {
                // The list replaces earlier changes, our own nickname among them.
                let own = members.iter().find(|member| Some(member.user) == self.user);
                if let Some(own) = own {
                    self.nickname = own.nickname.clone();
                }
                if let Some(room) = self.known_room_mut(room) {
                    room.members_known = true;
                    let members = members.into_iter().map(|member| (member.user, member));
                    room.members = members.collect();
                }
            }
            Event::Joined { room, member } => {
                self.mention_in(room, &format!("{} joined", member.nickname));
                if let Some(room) = self.known_room_mut(room) {
                    room.members.insert(member.user, member);
                }
            }
            Event::Left {
                room,
                user,
                nickname,
                ..
            } => {
                self.mention_in(room, &format!("{nickname} left"));
                if let Some(room) = self.known_room_mut(room) {
                    room.members.remove(&user);
                }
            }
            Event::Renamed {
                room,
                user,
                was,
                nickname,
                ..
            } => self.renamed(room, user, &was, nickname),
            Event::Promoted { room, user, role } => self.promoted(room, user, role),
            Event::Rules { room, rules, by } => self.ruled(room, rules, by.as_ref()),
            Event::Security(security) => self.security(security),
            Event::NicknameRefused {
                nickname,
                why,
                waiting,
            } => {
                self.nickname_refused(&nickname, &why, waiting);
            }
            Event::Admin { .. } if self.options.json => {}
            Event::Admin { request, answer } => self.answered(request, answer),
            Event::Page { room, page, .. } => self.page(room, page),
            Event::RoomList { request, rooms } => self.rooms_page(request, rooms),
            Event::PeopleList { request, people } => self.people_page(request, people),
            Event::Inbox { request, inbox } => self.inbox_page(request, inbox),
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
        self.here.close();
        self.others.values_mut().for_each(LineRoom::close);
        self.here.open = self.legacy;
        self.standby = matches!(status, ConnectionStatus::Standby);
        match status {
            ConnectionStatus::Connecting => {}
            ConnectionStatus::Standby => self.mention(
                "Another process joined with the same client ID: this one waits until that one has \
                 ended; messages are sent by that one meanwhile",
            ),
            ConnectionStatus::Unidentified => {
                self.here.history.give_up();
                self.back(
                    "Connected, but no answer yet: an older server, which confirms nothing, or \
                     not a chat server",
                );
            }
            ConnectionStatus::Online => self.back("Connected"),
            ConnectionStatus::Legacy => {
                self.here.history.give_up();
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

    /// Takes a page of older messages.
    fn page(&mut self, id: RoomId, page: Result<Page, Line>) {
        let leaving = self.leaving;
        let Some(room) = self.known_room_mut(id).filter(|room| room.history.is_due()) else {
            return;
        };
        match page {
            // The connection is gone: the page is requested again on the next one.
            Ok(page) if page.offline => {}
            // We leave, or there is no connection either.
            Err(_) if leaving || !room.open => {}
            Ok(page) => {
                let (mut messages, next) = room.history.read(page, room.last);
                for entry in &mut messages {
                    room.fold.apply(entry);
                    room.seen.see(entry, seen::HERE_MAX);
                }
                self.settled += 1;
                for entry in messages {
                    self.print(&Said::Logged(entry));
                }
                if let Some(part) = next {
                    self.commands.push_back(Command::Page { room: id, part });
                }
            }
            Err(why) => {
                room.history.give_up();
                self.say(&format!("The history can't be read: {why}"));
                self.failure = Some(ExitStatus::Broken);
            }
        }
    }

    fn message(&mut self, mut received: Received) {
        self.heard = true;
        // Messages handed over by other processes are printed for a follower; a sender skips them.
        let ours = |local: LocalId| !local.is_of_others() || !self.is_chatty();
        let own = received.local.is_some_and(ours);
        let json = self.options.json;
        if let Said::Logged(entry) = &mut received.said {
            let most = if entry.room == self.room {
                seen::HERE_MAX
            } else {
                seen::ELSEWHERE_MAX
            };
            let Some(room) = self.known_room_mut(entry.room) else {
                return;
            };
            room.last = entry.seq;
            let raw = json.then(|| entry.clone());
            let change = room.change(entry, own);
            room.fold.apply(entry);
            let is_older = entry.seq <= room.older;
            let comes_by_page = entry.is_shown() && room.history.comes_by_page(entry.seq, own);
            if entry.is_shown() && (own || !comes_by_page) {
                room.seen.see(entry, most);
            }
            if let Some(raw) = raw {
                if !comes_by_page && !is_older {
                    self.put_said(&Said::Logged(raw));
                }
                return;
            }
            if let Some(change) = change {
                self.print_change(entry, change, entry.time);
            }
            if !entry.is_shown() || comes_by_page || is_older {
                return;
            }
            if let EntryKind::Event(event) = &entry.kind {
                return self.room_event(entry.room, event);
            }
        }
        let message = &received.said;
        // The sender has it on the screen, or in the script.
        let user = message.user();
        if own || user.is_some_and(|user| self.ignored.contains(&user)) {
            self.mark_clock(message);
        } else {
            self.print(message);
        }
    }

    /// Reports what happened to a room. The rules of a room whose members are known are told with
    /// them.
    fn room_event(&mut self, room: RoomId, event: &RoomEvent) {
        let told = self
            .known_room(room)
            .is_some_and(|room| room.members_known && matches!(event.change, RoomChange::Topic(_)));
        if !told {
            self.mention_in(room, event.alt.as_str());
        }
    }

    fn renamed(&mut self, room: RoomId, user: UserId, was: &Nickname, nickname: Nickname) {
        if Some(user) == self.user {
            self.nickname = nickname.clone();
            self.nickname_asked = None;
        }
        self.mention_in(room, &format!("{was} is now {nickname}"));
        if let Some(room) = self.known_room_mut(room)
            && let Some(member) = room.members.get_mut(&user)
        {
            member.nickname = nickname;
        }
    }

    /// The number of one of this run's own messages, from 1 on; `None` for others.
    fn number(&self, local: LocalId) -> Option<u64> {
        let number = local.0.checked_sub(self.earlier)?;
        (number > 0 && !local.is_of_others()).then_some(number)
    }

    fn delivery(&mut self, message: &OutboxMessage, number: u64) {
        let OutboxMessage {
            local,
            room,
            content,
            delivery,
        } = message;
        let (local, room) = (*local, *room);
        self.named = self.named.max(number);
        if *delivery == Delivery::Pending {
            self.unconfirmed.remove(&local);
            self.on_the_way.insert(local);
            return;
        }
        self.on_the_way.remove(&local);
        self.unconfirmed.remove(&local);
        self.settled += 1;
        match delivery {
            Delivery::Pending | Delivery::Unchanged => {}
            Delivery::Sent { seq } => {
                if let Some(room) = self.known_room_mut(room) {
                    room.acked = room.acked.max(seq.unwrap_or(0));
                }
            }
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
    fn delivery_of_others(&mut self, message: OutboxMessage) {
        let (local, room) = (message.local, message.room);
        match message.delivery {
            Delivery::Pending => {}
            Delivery::Failed { why } => {
                self.older.remove(&local);
                self.settled += 1;
                let which = if local.is_of_others() {
                    "another"
                } else {
                    "an earlier"
                };
                let room = self.title(room);
                let text = message.content.words().replace('\n', "\n  ");
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
