//! The model of line mode. Pure: events and lines in; lines and commands out.

mod changes;
mod events;
mod input;
mod objects;
mod print;
mod reading;
mod rooms;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::{history::HistoryReader, line_splitter::InputLine, room::LineRoom};
use crate::{
    client::{
        Command,
        event::{Delivery, LocalId, OutboxMessage, Restored, Security, Summary},
    },
    protocol::{
        KeyTag, Nickname, RoomId, RoomInfo, RoomName, UserId,
        limits::{FRAME_BYTES_MAX, TEXT_BYTES_MAX},
    },
    text::{Body, Line},
    tui::exit_summary,
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
    /// Whether the output is read aloud: words in place of signs, and no columns.
    pub(super) reader: bool,
    /// Whether input and output are objects, one on a line.
    pub(super) json: bool,
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
    /// The room to write to.
    pub(super) room: RoomName,
    /// The room to go to in its place, if the user is in it.
    pub(super) place: Option<RoomId>,
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

/// What a command is to bring, besides its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nothing.
    Result,
    /// The room to write to.
    Place,
    /// The conversation that this text is for.
    Conversation(Body),
    /// The end of the membership in this room.
    Leaving(RoomId),
    /// Rooms whose names contain this.
    Rooms(Line),
    /// Members of this room, whose nicknames contain this.
    Members(RoomId, Line),
    /// Messages that mention the user. `any`: there were some already.
    Inbox { any: bool },
    /// What an object of the input asks for, with its `ref`.
    Object(Option<u64>),
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
    /// The room that is written to.
    pub(super) room: RoomId,
    pub(super) here: LineRoom,
    /// The other rooms that the user is in, as far as they are known.
    pub(super) others: BTreeMap<RoomId, LineRoom>,
    /// Whether the user asked for no encryption.
    pub(super) plaintext: bool,
    /// The encryption of the connection.
    pub(super) security: Option<Security>,
    pub(super) user: Option<UserId>,
    /// Whom the user ignores.
    ignored: BTreeSet<UserId>,
    /// The time when the last input was read.
    pub(super) now: Timestamp,
    /// The number of commands so far, and those of them that are not answered.
    pub(super) requests: u64,
    pub(super) asked: BTreeMap<u64, Asked>,
    /// The room to write to as soon as it is open.
    pub(super) going: Option<RoomId>,
    /// Whether a script could not go to a room, or has left it, so that its lines are for no room.
    pub(super) nowhere: bool,
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
    /// Whether the last status of the connection was a problem.
    troubled: bool,
    /// The `ref`s of our messages, by their numbers, until their outcome is written; and pages that
    /// were asked for by objects.
    references: BTreeMap<u64, u64>,
    asked_pages: VecDeque<objects::AskedPage>,
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
    /// The message that was printed last.
    pub(super) printed: Option<String>,
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
            room: RoomId::named(&local_user.room, 0),
            here: LineRoom::new(RoomInfo::public(local_user.room), options.history),
            others: BTreeMap::new(),
            plaintext: local_user.plaintext,
            security: None,
            user: None,
            ignored: BTreeSet::new(),
            requests: 0,
            now: Timestamp::UNIX_EPOCH,
            asked: BTreeMap::new(),
            going: local_user.place,
            nowhere: false,
            news_awaited: BTreeMap::new(),
            nickname_asked: None,
            entered: false,
            legacy: false,
            heard: false,
            standby: false,
            troubled: false,
            references: BTreeMap::new(),
            asked_pages: VecDeque::new(),
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
            printed: None,
            leaving: false,
            refused: false,
            failure: None,
            output: VecDeque::new(),
            status: VecDeque::new(),
            commands: VecDeque::new(),
            ended: None,
        }
    }

    /// The most bytes of a line of the input.
    pub(super) fn line_bytes_max(&self) -> usize {
        if self.options.json {
            FRAME_BYTES_MAX
        } else {
            TEXT_BYTES_MAX
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
        !self.standby && self.here.last < self.here.head || self.here.history.is_due()
    }

    /// Whether the next step is possible only after we have joined.
    fn needs_place(&self) -> bool {
        !self.waiting.is_empty() || self.here.history.is_due()
    }

    /// Whether others may need a server that we host: they are in our room, or, once we have
    /// joined, could be in the lobby if ours is another room.
    pub(super) fn may_be_needed(&self) -> bool {
        let ours = |user: &UserId| Some(*user) == self.user;
        let elsewhere = self.room != RoomId::LOBBY && self.entered;
        elsewhere || !self.here.members.keys().all(ours)
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
        for room in &restored.rooms {
            if room.room == self.room {
                self.here.info = room.info.clone();
            } else {
                self.others.insert(room.room, LineRoom::restored(room));
            }
        }
        if let Some(place) = self.going
            && self.others.contains_key(&place)
        {
            self.go(place);
            self.here.history = HistoryReader::new(self.options.history);
            self.others
                .values_mut()
                .for_each(|room| room.history.give_up());
        }
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
        self.here.history.give_up();
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

    fn waiting_for(&self) -> usize {
        let unnamed = usize::try_from(self.sent - self.named).unwrap_or(usize::MAX);
        let asked = self.asked.len() + usize::from(self.nickname_asked.is_some());
        let asked = asked + self.asked_pages.len();
        let asked = asked + usize::from(self.going.is_some());
        unnamed + self.on_the_way.len() + self.older.len() + asked
    }

    fn leave_if_done(&mut self) {
        if self.refused && self.input_ended && !self.leaving {
            return self.leave();
        }
        let read = self.standby || self.here.open && self.here.last >= self.here.head;
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

    /// Reports what happened in a room to users who want status texts.
    pub(in crate::tui::line_mode) fn mention_in(&mut self, room: RoomId, sentence: &str) {
        let sentence = self.in_room(room, sentence);
        self.mention(&sentence);
    }

    pub(super) fn say(&mut self, sentence: &str) {
        self.status.push_back(format!("{sentence}\n"));
    }
}
