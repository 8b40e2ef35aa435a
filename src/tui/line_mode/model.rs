//! The model of line mode. Pure: events and lines in; lines and commands out.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use jiff::{civil::Date, tz::TimeZone};

use super::{history::HistoryReader, line_splitter::InputLine};
use crate::{
    client::{
        Command, Event,
        event::{
            ConnectionStatus, CredentialWanted, Delivery, Entered, LocalId, OutboxMessage, Page,
            Received, Restored, Said, Security, Summary,
        },
    },
    protocol::{
        Content, KeyTag, Nickname, RoomName, RoomRules, UserId,
        frame::{Member, Part, RoomStart},
        limits::TEXT_BYTES_MAX,
    },
    text::{Body, BodyError, Line},
    tui::{
        commands::{self, ParsedInput, Slash, SlashAction, admin},
        exit_summary, local_time, user_text,
    },
};

/// The most messages without an outcome; at this number no more input is read.
const ON_THE_WAY_MAX: usize = 256;
/// How long the input may take to end once no server accepts messages: `tail -f` never ends.
const LAST_INPUT_WITHIN: Duration = Duration::from_secs(1);

/// The words for a server that confirms nothing.
const CONFIRMS_NOTHING: &str = "an older server, or none, received";

/// The options of line mode.
#[derive(Clone, Copy, Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a choice of its own, whatever the others are"
)]
pub(super) struct LineModeOptions {
    /// Whether a user types: they get more texts, are asked for another nickname, and are waited
    /// for.
    pub(super) interactive: bool,
    /// Whether `/` and `q!` are commands.
    pub(super) commands: bool,
    /// Whether to stay when the input ends.
    pub(super) follow: bool,
    /// Whether each line has a full date and time: the output is not a terminal.
    pub(super) stamps: bool,
    /// How many of the latest messages to print after joining.
    pub(super) history: u64,
}

/// The user, and the server and room they join.
#[derive(Clone, Debug)]
pub(super) struct LocalUser {
    /// Host and port, for people.
    pub(super) server: String,
    /// Our nickname.
    pub(super) nickname: Nickname,
    /// The room to read and write.
    pub(super) room: RoomName,
    /// Whether the user asked for no encryption.
    pub(super) plaintext: bool,
    /// Our own key, if we have one.
    pub(super) key: Option<KeyTag>,
}

/// The outcome of a run; its number is the process's exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExitStatus {
    /// Everything was delivered.
    Good = 0,
    /// The input could not be read, or the output not be written.
    Broken = 1,
    /// A message or line was not delivered.
    NotDelivered = 3,
    /// The nickname was refused.
    NicknameRefused = 4,
    /// No server was reached, or none admitted us.
    NoServer = 5,
    /// Everything was sent, to a server that confirms nothing.
    Unconfirmed = 6,
}

/// The model of line mode; the parent module has its rules.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, true or not whatever the others are"
)]
pub(super) struct Model {
    pub(super) options: LineModeOptions,
    pub(super) zone: TimeZone,
    /// Host and port, for people.
    pub(super) server: String,
    /// Our nickname, and our own key.
    pub(super) nickname: Nickname,
    pub(super) key: Option<KeyTag>,
    /// The room to read and write.
    pub(super) room: RoomName,
    /// Whether the user asked for no encryption.
    pub(super) plaintext: bool,
    /// The encryption of the connection.
    pub(super) security: Option<Security>,
    pub(super) user: Option<UserId>,
    /// The members, and whether the server has listed them on this connection.
    pub(super) members: BTreeMap<UserId, Member>,
    members_known: bool,
    /// The room's rules.
    pub(super) rules: RoomRules,
    /// The number of commands so far, and those of them that are not answered.
    pub(super) requests: u64,
    pub(super) asked: BTreeSet<u64>,
    /// Unanswered commands that the server announces to the room, and whether we have reported the
    /// announcement.
    pub(super) news_awaited: BTreeMap<u64, bool>,
    /// The nickname that a script has asked for, until the server answers.
    nickname_asked: Option<Nickname>,
    /// Whether we have ever joined.
    entered: bool,
    /// Whether the server confirms nothing, and whether it has said anything at all.
    legacy: bool,
    heard: bool,
    /// Whether another process holds the lease and sends our messages.
    standby: bool,
    /// Whether a room is open now, so that its head is known.
    open: bool,
    /// Whether the last status of the connection was a problem.
    troubled: bool,
    /// The number of the latest message when we joined, and the last number read.
    head: u64,
    last: u64,
    /// The older messages that are still to be read.
    history: HistoryReader,
    /// The number of messages sent, and of those that the session has named.
    sent: u64,
    named: u64,
    /// The number of messages of earlier runs; ours are numbered after them.
    earlier: u64,
    /// Our messages without an outcome; and those that will never be confirmed.
    on_the_way: BTreeSet<LocalId>,
    unconfirmed: BTreeSet<LocalId>,
    /// Messages of earlier runs without an outcome.
    older: BTreeSet<LocalId>,
    /// Counts outcomes, as a measure of progress.
    pub(super) settled: u64,
    /// Lines and messages that will never be delivered.
    pub(super) undelivered: u64,
    lines_read: u64,
    /// Lines that wait until the first of them can be carried out.
    waiting: VecDeque<InputLine>,
    input_ended: bool,
    output_closed: bool,
    output_broken: bool,
    told_of_damage: bool,
    asked_for_nickname: bool,
    day: Option<Date>,
    leaving: bool,
    /// No server accepts our messages: the rest of the input goes to the outbox, then we leave.
    refused: bool,
    failure: Option<ExitStatus>,
    /// Lines for standard output.
    pub(super) output: VecDeque<String>,
    /// Lines for standard error.
    pub(super) status: VecDeque<String>,
    /// Commands for the session.
    pub(super) commands: VecDeque<Command>,
    /// Set when the session has ended.
    pub(super) ended: Option<Summary>,
}

impl Model {
    pub(super) fn new(options: LineModeOptions, local_user: LocalUser, zone: TimeZone) -> Self {
        Self {
            options,
            zone,
            server: local_user.server,
            nickname: local_user.nickname,
            key: local_user.key,
            room: local_user.room,
            plaintext: local_user.plaintext,
            security: None,
            user: None,
            members: BTreeMap::new(),
            members_known: false,
            rules: RoomRules::default(),
            requests: 0,
            asked: BTreeSet::new(),
            news_awaited: BTreeMap::new(),
            nickname_asked: None,
            entered: false,
            legacy: false,
            heard: false,
            standby: false,
            open: false,
            troubled: false,
            head: 0,
            last: 0,
            history: HistoryReader::new(options.history),
            sent: 0,
            named: 0,
            earlier: 0,
            on_the_way: BTreeSet::new(),
            unconfirmed: BTreeSet::new(),
            older: BTreeSet::new(),
            settled: 0,
            undelivered: 0,
            lines_read: 0,
            waiting: VecDeque::new(),
            input_ended: false,
            output_closed: false,
            output_broken: false,
            told_of_damage: false,
            asked_for_nickname: false,
            day: None,
            leaving: false,
            refused: false,
            failure: None,
            output: VecDeque::new(),
            status: VecDeque::new(),
            commands: VecDeque::new(),
            ended: None,
        }
    }

    /// Whether more input may be read.
    pub(super) fn takes_input(&self) -> bool {
        !self.input_ended
            && !self.leaving
            && self.waiting.is_empty()
            && self.waiting_for() < ON_THE_WAY_MAX
    }

    /// The progress that restarts the time limit; `None` while no limit applies.
    pub(super) fn progress(&self) -> Option<(bool, bool, bool, u64)> {
        let arriving = self.input_ended && (self.waiting_for() > 0 || self.is_reading());
        // While a line waits, no more input is read: there may be more.
        let arriving = arriving || !self.waiting.is_empty();
        let entering = !self.entered && !self.standby || self.standby && self.needs_place();
        let due = !self.options.interactive && (entering || arriving) || self.refused;
        let progress = (self.refused, self.entered, self.standby, self.settled);
        (due && !self.leaving).then_some(progress)
    }

    /// How long to wait for progress; `limit` is the user's limit.
    pub(super) fn patience(&self, limit: Duration) -> Duration {
        if self.refused {
            limit.min(LAST_INPUT_WITHIN)
        } else {
            limit
        }
    }

    /// Whether older or missed messages are still to be read.
    fn is_reading(&self) -> bool {
        !self.standby && self.last < self.head || self.history.is_due()
    }

    /// Whether the next step is possible only after we have joined.
    fn needs_place(&self) -> bool {
        !self.waiting.is_empty() || self.history.is_due()
    }

    /// Whether others may need a server that we host: they are in our room, or, once we have
    /// joined, could be in the lobby if ours is another room.
    pub(super) fn may_be_needed(&self) -> bool {
        let ours = |user: &UserId| Some(*user) == self.user;
        let elsewhere = self.room != RoomName::lobby() && self.entered;
        elsewhere || !self.members.keys().all(ours)
    }

    /// The outcome of the run.
    pub(super) fn exit_status(&self) -> ExitStatus {
        let confirmed = self.unconfirmed.is_empty() && (self.heard || !self.legacy);
        match self.failure {
            Some(ExitStatus::NicknameRefused) => ExitStatus::NicknameRefused,
            Some(failure) if !self.entered => failure,
            _ if self.unsent() + self.undelivered() > 0 => ExitStatus::NotDelivered,
            Some(failure) => failure,
            None if self.output_broken => ExitStatus::Broken,
            None if !confirmed => ExitStatus::Unconfirmed,
            None => ExitStatus::Good,
        }
    }

    /// The number of lines that will never be delivered or carried out.
    pub(super) fn undelivered(&self) -> u64 {
        self.undelivered + self.waiting.len() as u64
    }

    /// The number of this run's messages that were not delivered when the session ended.
    pub(super) fn unsent(&self) -> u64 {
        self.sent - self.named + self.on_the_way.len() as u64
    }

    /// The texts at the end, besides the figures, as complete lines.
    pub(super) fn last_words(&self, kept: bool) -> Vec<String> {
        let mut words = Vec::new();
        if self.undelivered() > 0 {
            words.push(exit_summary::undelivered(self.undelivered()));
        }
        if self.unsent() > 0 {
            words.push(exit_summary::unsent(self.unsent(), kept));
        }
        if !self.older.is_empty() && kept {
            words.push(exit_summary::unsent_of_earlier_runs(self.older.len() as u64));
        }
        match self.unconfirmed.len() as u64 {
            0 if self.exit_status() == ExitStatus::Unconfirmed => {
                let server = &self.server;
                words.push(format!(
                    "No answer from {server}: it is an older server, or not a chat server\n"
                ));
            }
            0 => {}
            1 => words.push(format!(
                "1 message was sent, but not confirmed: {CONFIRMS_NOTHING} it.\n"
            )),
            count => words.push(format!(
                "{count} messages were sent, but not confirmed: {CONFIRMS_NOTHING} them.\n"
            )),
        }
        words
    }

    /// Takes over what the client's own store holds.
    pub(super) fn restored(&mut self, restored: &Restored) {
        let pending = |message: &&OutboxMessage| message.delivery == Delivery::Pending;
        let pending = restored.outbox.iter().filter(pending);
        self.older.extend(pending.map(|message| message.local));
        self.earlier = restored.outbox.len() as u64;
        let count = self.older.len();
        if count > 0 {
            let messages = if count == 1 { "message" } else { "messages" };
            self.say(&format!("Sending {count} {messages} of an earlier run"));
        }
    }

    /// Whether the user wants status texts.
    pub(super) fn is_chatty(&self) -> bool {
        self.options.interactive || self.options.follow
    }

    /// Whether we have ever joined.
    pub(super) fn has_entered(&self) -> bool {
        self.entered
    }

    /// Takes a line of the input. In a script it waits until the lines before it are done and it
    /// can be carried out.
    pub(super) fn line(&mut self, line: InputLine) {
        if self.input_ended || self.leaving {
            return;
        }
        self.waiting.push_back(line);
        self.go_on();
    }

    /// Takes the lines that can be carried out now.
    fn go_on(&mut self) {
        while !self.leaving
            && self.waiting.front().is_some_and(|line| self.is_ready(line))
            && let Some(line) = self.waiting.pop_front()
        {
            self.take(line);
        }
    }

    fn is_ready(&self, line: &InputLine) -> bool {
        if self.options.interactive || !self.options.commands {
            return true;
        }
        if !self.asked.is_empty() || self.nickname_asked.is_some() {
            return false;
        }
        let InputLine::Text { text, .. } = line else {
            return true;
        };
        let ParsedInput::Command(slash, argument) = commands::read(text) else {
            return true;
        };
        let needs_place = match slash.run {
            SlashAction::Nick | SlashAction::Security | SlashAction::Who => true,
            // A device's code is what admits us, so it can't wait for that.
            SlashAction::Admin(which) => !admin::is_code(which, argument),
            SlashAction::Quit
            | SlashAction::Help
            | SlashAction::Mouse
            | SlashAction::Date
            | SlashAction::Search
            | SlashAction::Unfold
            | SlashAction::Fold
            | SlashAction::Discard => false,
        };
        let in_place = self.open && (self.members_known || self.legacy);
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
            SlashAction::Security => self.tell_security(),
            SlashAction::Who => self.tell_who(),
            SlashAction::Admin(which) => self.admin_command(slash, which, argument),
            SlashAction::Mouse
            | SlashAction::Date
            | SlashAction::Search
            | SlashAction::Unfold
            | SlashAction::Fold
            | SlashAction::Discard => {
                self.say(&format!("/{} works in the full screen only", slash.name));
                self.not_done();
            }
        }
    }

    /// Takes the end of the input, or the error that ended it.
    pub(super) fn input_ended(&mut self, error: Option<&str>) {
        self.input_ended = true;
        if let Some(error) = error {
            self.say(&format!("The input can't be read: {error}"));
            self.failure = Some(ExitStatus::Broken);
        }
        self.leave_if_done();
    }

    /// Takes an error of the output: as if it was closed, and the run has failed.
    pub(super) fn output_broken(&mut self, error: &str) {
        self.say(&format!("The output can't be written: {error}"));
        self.output_broken = true;
        self.output_closed();
    }

    /// Takes the closing of the output. A follower finishes what it has begun, and leaves; a sender
    /// goes on.
    pub(super) fn output_closed(&mut self) {
        self.output_closed = true;
        self.output.clear();
        self.history.give_up();
        self.input_ended |= self.is_chatty();
        self.leave_if_done();
    }

    /// Whether the output is closed.
    pub(super) fn is_output_closed(&self) -> bool {
        self.output_closed
    }

    /// Takes the end of the time limit without progress.
    pub(super) fn out_of_time(&mut self) {
        if self.refused {
            return self.leave();
        }
        if self.entered && !self.standby && !self.input_ended {
            return self.skip_command();
        }
        if self.standby {
            self.say(
                "Gave up waiting: another process uses this client ID and is not done; give this \
                 one another client ID",
            );
            if self.needs_place() {
                self.failure = Some(ExitStatus::NoServer);
            }
        } else if self.entered {
            self.say("Gave up waiting for messages to be delivered");
        } else {
            self.failure = Some(ExitStatus::NoServer);
            self.say("Gave up: the server could not be joined");
        }
        self.leave();
    }

    /// Gives up waiting for what the first line needs, and goes on without it.
    fn skip_command(&mut self) {
        self.settled += 1;
        let unanswered = self.asked.len() + usize::from(self.nickname_asked.is_some());
        self.asked.clear();
        self.nickname_asked = None;
        if unanswered > 0 {
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

    /// Leaves because no server accepts our messages. A script's input is read to the end first;
    /// the next start sends it.
    fn refused(&mut self, status: ExitStatus) {
        self.failure = Some(status);
        if self.options.interactive {
            self.leave();
        } else {
            self.refused = true;
            self.leave_if_done();
        }
    }

    pub(super) fn leave(&mut self) {
        self.leaving = true;
        self.commands.push_back(Command::Leave);
    }

    /// Takes an event of the session.
    pub(super) fn event(&mut self, event: Event) {
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
            Event::Message(received) => self.message(&received),
            Event::Changed { .. } => {}
            Event::Outbox(OutboxMessage {
                local,
                room,
                content,
                delivery,
            }) => match self.number(local) {
                Some(number) => self.delivery(local, number, delivery),
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
            Err(_) if !self.open => {}
            Ok(page) => {
                self.settled += 1;
                let (messages, next) = self.history.read(page, self.last);
                for message in messages {
                    self.print(&Said::Logged(message));
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

    fn message(&mut self, received: &Received) {
        self.heard = true;
        // Messages handed over by other processes are printed for a follower; a sender skips them.
        let ours = |local: LocalId| !local.is_of_others() || !self.is_chatty();
        let own = received.local.is_some_and(ours);
        let message = &received.said;
        if let Some(seq) = message.seq() {
            self.last = seq;
            if self.history.comes_by_page(seq, own) {
                return;
            }
        }
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
        let time = message.time().to_zoned(self.zone.clone());
        let day = time.date();
        let clock = if self.options.stamps {
            time.strftime("%Y-%m-%dT%H:%M:%S%:z")
        } else {
            if self.day.replace(day).is_some_and(|before| before != day) {
                self.output.push_back(format!("-- {day} --\n"));
            }
            time.strftime("%H:%M")
        };
        let text = message.words().replace('\n', "\n      ");
        let sender = message.user().and_then(|user| self.members.get(&user));
        let mark = user_text::badge_in_text(message.unproven(), sender);
        let name = message.nickname().before_a_colon();
        self.output
            .push_back(format!("{clock} {mark}{name}: {text}\n"));
    }

    /// The number of one of this run's own messages, from 1 on; `None` for others.
    fn number(&self, local: LocalId) -> Option<u64> {
        let number = local.0.checked_sub(self.earlier)?;
        (number > 0 && !local.is_of_others()).then_some(number)
    }

    fn delivery(&mut self, local: LocalId, number: u64, delivery: Delivery) {
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
            Delivery::Pending | Delivery::Sent { .. } | Delivery::Unchanged => {}
            Delivery::Unconfirmed => drop(self.unconfirmed.insert(local)),
            Delivery::Failed { why } => {
                self.undelivered += 1;
                self.say(&format!("Message {number} was not delivered: {why}"));
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

    fn too_long(&mut self) {
        let line = self.lines_read;
        let limit = TEXT_BYTES_MAX / 1024;
        self.undelivered += 1;
        self.say(&format!(
            "Line {line} was not sent: a message has at most {limit} KiB"
        ));
    }

    fn send(&mut self, text: &str) {
        match Body::visible(text) {
            Ok(body) => {
                self.sent += 1;
                self.commands.push_back(Command::Send {
                    room: self.room.clone(),
                    content: Content::Text(body),
                });
            }
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
                self.say(&format!("{wrong}: /nick NAME"));
                self.not_done();
            }
        }
    }

    /// A user leaves at once; a script first delivers the lines before it.
    fn quit(&mut self) {
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
            let usage = command.usage();
            self.say(&format!("{usage:<28} {}", command.help));
        }
        self.say(&format!("{:<28} disconnect", "q!"));
    }

    fn waiting_for(&self) -> usize {
        let unnamed = usize::try_from(self.sent - self.named).unwrap_or(usize::MAX);
        let asked = self.asked.len() + usize::from(self.nickname_asked.is_some());
        unnamed + self.on_the_way.len() + self.older.len() + asked
    }

    fn leave_if_done(&mut self) {
        if self.refused && self.input_ended && !self.leaving {
            return self.leave();
        }
        let read = self.standby || self.open && self.last >= self.head;
        let stays = self.options.follow && !self.output_closed;
        if self.input_ended
            && !stays
            && !self.leaving
            && self.waiting_for() == 0
            && !self.needs_place()
            && (read || self.output_closed)
        {
            self.leave();
        }
    }

    /// Reports to users who want status texts.
    pub(super) fn mention(&mut self, sentence: &str) {
        if self.is_chatty() {
            self.say(sentence);
        }
    }

    pub(super) fn say(&mut self, sentence: &str) {
        self.status.push_back(format!("{sentence}\n"));
    }
}
