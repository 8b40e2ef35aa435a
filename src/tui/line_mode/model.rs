//! What line mode knows and decides. Pure: events and lines in; lines and commands out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{civil::Date, tz::TimeZone};

use super::cutter::InputLine;
use crate::{
    client::{
        Command, Event,
        event::{
            Delivery, Entered, Link, LocalId, Received, Restored, RestoredMessage, RoomOpened,
            Security, Summary, Wanted,
        },
    },
    protocol::{
        KeyTag, Nickname, RoomName, RoomRules, UserId, frame::Member, limits::TEXT_BYTES_MAX,
    },
    text::{Body, BodyError, Line},
    tui::{
        commands::{self, Run, Slash, Typed},
        local_time, words,
    },
};

/// Messages on their way at once: no more input is read while there are so many.
const ON_THE_WAY_MAX: usize = 256;

/// How line mode is to behave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Whether somebody types: he is told more, asked for another nickname, and waited for.
    pub(super) interactive: bool,
    /// Whether `/` and `q!` mean something.
    pub(super) commands: bool,
    /// Whether to stay when the input ends.
    pub(super) follow: bool,
}

/// Who comes in, and where.
#[derive(Clone, Debug)]
pub(super) struct Ourselves {
    /// Host and port, for people.
    pub(super) server: String,
    /// What we are called.
    pub(super) nickname: Nickname,
    /// The room that is read and written to.
    pub(super) room: RoomName,
    /// Whether he said that nothing is to be encrypted.
    pub(super) plaintext: bool,
    /// Our own key, if we have one.
    pub(super) key: Option<KeyTag>,
}

/// How a run ended; its number is the process's exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Everything that was to be sent was.
    Good = 0,
    /// The input could not be read.
    Broken = 1,
    /// Something was not delivered.
    NotDelivered = 3,
    /// The nickname can't be had.
    NicknameRefused = 4,
    /// No server, or none that lets us in.
    NoServer = 5,
}

/// See the module's page.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, true or not whatever the others are"
)]
pub(super) struct Model {
    pub(super) manner: Manner,
    zone: TimeZone,
    /// Host and port, for people.
    pub(super) server: String,
    /// What we are called, and our own key.
    pub(super) nickname: Nickname,
    pub(super) key: Option<KeyTag>,
    /// The room that is read and written to.
    pub(super) room: RoomName,
    /// Whether the user said that nothing is to be encrypted.
    pub(super) plaintext: bool,
    /// Who can read along.
    pub(super) security: Option<Security>,
    pub(super) user: Option<UserId>,
    /// Who is in.
    pub(super) members: BTreeMap<UserId, Member>,
    /// How the room is run.
    pub(super) rules: RoomRules,
    /// Commands that were sent, and those of them that are not answered.
    pub(super) requests: u64,
    pub(super) asked: BTreeSet<u64>,
    /// Of those, the ones that are news to all, and whether we have told it.
    pub(super) news_awaited: BTreeMap<u64, bool>,
    /// Whether we were ever let in.
    entered: bool,
    /// Whether a room is open now: from then on its head says what is to be read.
    open: bool,
    /// Whether the last word on the link was a complaint.
    troubled: bool,
    /// The number up to which there was something to read when we came in, and the last read.
    head: u64,
    last: u64,
    /// Sent, but the session has not named them yet.
    unnamed: usize,
    /// Messages that earlier runs have left; ours are numbered behind them.
    earlier: u64,
    /// Sent, outcome open.
    on_the_way: BTreeSet<LocalId>,
    /// Counts what was settled: progress.
    pub(super) settled: u64,
    /// Lines and messages that will never arrive.
    pub(super) undelivered: u64,
    lines_read: u64,
    input_ended: bool,
    output_closed: bool,
    told_of_damage: bool,
    asked_for_nickname: bool,
    day: Option<Date>,
    leaving: bool,
    failure: Option<Outcome>,
    /// For standard output.
    pub(super) output: VecDeque<String>,
    /// For standard error.
    pub(super) status: VecDeque<String>,
    /// For the session.
    pub(super) commands: VecDeque<Command>,
    /// Set when the session is over.
    pub(super) ended: Option<Summary>,
}

impl Model {
    pub(super) fn new(manner: Manner, ourselves: Ourselves, zone: TimeZone) -> Self {
        Self {
            manner,
            zone,
            server: ourselves.server,
            nickname: ourselves.nickname,
            key: ourselves.key,
            room: ourselves.room,
            plaintext: ourselves.plaintext,
            security: None,
            user: None,
            members: BTreeMap::new(),
            rules: RoomRules::default(),
            requests: 0,
            asked: BTreeSet::new(),
            news_awaited: BTreeMap::new(),
            entered: false,
            open: false,
            troubled: false,
            head: 0,
            last: 0,
            unnamed: 0,
            earlier: 0,
            on_the_way: BTreeSet::new(),
            settled: 0,
            undelivered: 0,
            lines_read: 0,
            input_ended: false,
            output_closed: false,
            told_of_damage: false,
            asked_for_nickname: false,
            day: None,
            leaving: false,
            failure: None,
            output: VecDeque::new(),
            status: VecDeque::new(),
            commands: VecDeque::new(),
            ended: None,
        }
    }

    /// Whether more input can be taken.
    pub(super) fn takes_input(&self) -> bool {
        !self.input_ended && !self.leaving && self.waiting_for() < ON_THE_WAY_MAX
    }

    /// What must change for the time limit to begin anew; `None` while nothing has to happen.
    pub(super) fn progress(&self) -> Option<(bool, u64)> {
        let arriving = self.input_ended && (self.waiting_for() > 0 || self.last < self.head);
        let due = !self.manner.interactive && (!self.entered || arriving);
        (due && !self.leaving).then_some((self.entered, self.settled))
    }

    /// Whether a server that we host may be needed by others: they are in our room, or could be in
    /// the lobby where that is another, once we have been in.
    pub(super) fn may_be_needed(&self) -> bool {
        let ours = |user: &UserId| Some(*user) == self.user;
        let elsewhere = self.room != RoomName::lobby() && self.entered;
        elsewhere || !self.members.keys().all(ours)
    }

    /// How it ended.
    pub(super) fn outcome(&self) -> Outcome {
        let unsent = self.ended.map_or(0, |summary| summary.unsent);
        match self.failure {
            Some(Outcome::NicknameRefused) => Outcome::NicknameRefused,
            Some(failure) if !self.entered => failure,
            _ if unsent + self.undelivered > 0 => Outcome::NotDelivered,
            Some(failure) => failure,
            None => Outcome::Good,
        }
    }

    /// What will never be delivered.
    pub(super) fn undelivered(&self) -> u64 {
        self.undelivered
    }

    /// What was not delivered yet when the session ended.
    pub(super) fn unsent(&self) -> u64 {
        self.ended.map_or(0, |summary| summary.unsent)
    }

    /// What earlier runs have left.
    pub(super) fn restored(&mut self, restored: &Restored) {
        let pending = |message: &&RestoredMessage| message.delivery == Delivery::Pending;
        let pending = restored.outbox.iter().filter(pending);
        self.on_the_way.extend(pending.map(|message| message.local));
        self.earlier = restored.outbox.len() as u64;
        let count = self.on_the_way.len();
        if count > 0 {
            let messages = if count == 1 { "message" } else { "messages" };
            self.say(&format!("Sending {count} {messages} of an earlier run"));
        }
    }

    /// Whether somebody wants to hear how things stand.
    pub(super) fn is_chatty(&self) -> bool {
        self.manner.interactive || self.manner.follow
    }

    /// Whether we were ever let in.
    pub(super) fn has_entered(&self) -> bool {
        self.entered
    }

    /// A line of the input.
    pub(super) fn line(&mut self, line: InputLine) {
        if self.input_ended || self.leaving {
            return;
        }
        self.lines_read += 1;
        let (text, damaged) = match line {
            InputLine::Text { text, damaged } => (text, damaged),
            InputLine::TooLong => return self.too_long(),
        };
        if damaged && !std::mem::replace(&mut self.told_of_damage, true) {
            let line = self.lines_read;
            self.say(&format!(
                "Line {line} is not UTF-8: what can't be read is replaced"
            ));
        }
        if !self.manner.commands {
            return self.send(&text);
        }
        match commands::read(&text) {
            Typed::Text(text) => self.send(text),
            Typed::Nothing => {}
            Typed::Quit => self.quit(),
            Typed::Command(slash, argument) => self.run(slash, argument),
            Typed::Unknown(name) => {
                let name = Line::inert(name);
                self.say(&format!(
                    "There is no command /{name}: /help lists them, // begins a text with a slash"
                ));
                // A script's line that did nothing is a line that did not arrive.
                self.undelivered += u64::from(!self.manner.interactive);
            }
        }
    }

    fn run(&mut self, slash: &Slash, argument: &str) {
        match slash.run {
            Run::Quit => self.quit(),
            Run::Help => self.help(),
            Run::Nick => self.nick(argument),
            Run::Security => self.tell_security(),
            Run::Who => self.tell_who(),
            Run::House(which) => self.house(slash, which, argument),
            Run::Mouse | Run::Date | Run::Search | Run::Unfold | Run::Fold | Run::Discard => {
                self.say("That is for the full screen");
            }
        }
    }

    /// The input ended, in order or not.
    pub(super) fn input_ended(&mut self, error: Option<&str>) {
        self.input_ended = true;
        if let Some(error) = error {
            self.say(&format!("The input can't be read: {error}"));
            self.failure = Some(Outcome::Broken);
        }
        self.leave_if_done();
    }

    /// Nobody reads the output any more. Who came to read finishes what was begun, and goes; who
    /// came to send goes on.
    pub(super) fn output_closed(&mut self) {
        self.output_closed = true;
        self.output.clear();
        self.input_ended |= self.is_chatty();
        self.leave_if_done();
    }

    /// Whether nobody reads the output any more.
    pub(super) fn is_output_closed(&self) -> bool {
        self.output_closed
    }

    /// The time limit passed without progress.
    pub(super) fn out_of_time(&mut self) {
        if self.entered {
            self.say("Gave up waiting for what was sent to arrive");
        } else {
            self.failure = Some(Outcome::NoServer);
            self.say("Gave up: no server let us in");
        }
        self.leave();
    }

    /// Says goodbye.
    pub(super) fn leave(&mut self) {
        self.leaving = true;
        self.commands.push_back(Command::Leave);
    }

    /// What the session tells.
    pub(super) fn event(&mut self, event: Event) {
        let event = local_time::in_event(event, &self.zone);
        // The session may be in others for the sake of messages that wait for them.
        let elsewhere = event.room().is_some_and(|room| *room != self.room);
        if !elsewhere {
            self.happened(event);
        }
        self.leave_if_done();
    }

    fn happened(&mut self, event: Event) {
        match event {
            Event::Link(link) => self.link(link),
            Event::Entered(entered) => self.entered(&entered),
            Event::Room(room) => self.room(&room),
            Event::Message(message) => self.message(&message),
            Event::Outbox {
                local, delivery, ..
            } => self.delivery(local, delivery),
            Event::Members { members, .. } => {
                let members = members.into_iter().map(|member| (member.user, member));
                self.members = members.collect();
                // A list stands for the changes before it, ours among them.
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
            Event::House { request, answer } => self.answered(request, answer),
            // Those are for the full screen only.
            Event::Page { .. } | Event::Found { .. } | Event::Unanswered(_) => {}
            Event::Notice(line) => self.say(line.as_str()),
            Event::Distrusted(told) => {
                for passage in &told {
                    self.say(passage.to_line().as_str());
                }
            }
            Event::Ended(summary) => self.ended = Some(summary),
        }
    }

    fn link(&mut self, link: Link) {
        // A basic server has nothing to be read before what comes.
        self.open = matches!(link, Link::Basic | Link::Guess);
        match link {
            Link::Connecting => {}
            Link::Online => self.back("Connected"),
            Link::Basic => self.back(
                "Connected to an older server: it keeps no history, has no member list, and \
                 confirms nothing",
            ),
            Link::Guess => self.back(
                "Connected, but nothing has answered yet: an older server, which confirms \
                 nothing, or none",
            ),
            Link::Waiting { why, .. } => {
                // Said once, however many attempts fail.
                if !std::mem::replace(&mut self.troubled, true) {
                    self.say(&format!("{why}; trying again"));
                }
            }
            Link::Stopped { .. } if self.asked_for_nickname => {}
            Link::Stopped { why, wants, .. } => {
                self.say(why.as_str());
                if wants == Some(Wanted::Password) {
                    self.say("Give it with --password-file FILE");
                }
                self.failure = Some(Outcome::NoServer);
                self.leave();
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
        self.user = entered.user;
        self.nickname = entered.nickname.clone();
    }

    fn room(&mut self, room: &RoomOpened) {
        if room.reset.is_some() {
            self.say("The server's log is another one: what was said before is not in it");
        } else if self.last > 0 && room.next > self.last + 1 {
            let count = room.next - self.last - 1;
            self.say(&format!(
                "{count} messages are missing here: the server holds them no more"
            ));
        }
        self.last = room.next.saturating_sub(1);
        self.head = room.head;
        self.open = true;
    }

    fn message(&mut self, message: &Received) {
        if let Some(seq) = message.seq {
            self.last = seq;
        }
        if self.output_closed {
            return;
        }
        if let Some(was) = message.clock_was {
            let corrected = words::clock_corrected(message.time.duration_since(was));
            self.output.push_back(format!("-- {corrected} --\n"));
        }
        // Who sent it has it on his screen, or in his script.
        if message.local.is_some() {
            return;
        }
        let time = message.time.to_zoned(self.zone.clone());
        let day = time.date();
        if self.day.replace(day).is_some_and(|before| before != day) {
            self.output.push_back(format!("-- {day} --\n"));
        }
        let clock = time.strftime("%H:%M");
        let text = message.body.as_str().replace('\n', "\n      ");
        let sender = message.user.and_then(|user| self.members.get(&user));
        let mark = sender.map_or("", |sender| words::mark_in_text(sender.role));
        let name = message.nickname.before_a_colon();
        self.output
            .push_back(format!("{clock} {mark}{name}: {text}\n"));
    }

    fn delivery(&mut self, local: LocalId, delivery: Delivery) {
        match delivery {
            Delivery::Pending => {
                self.unnamed = self.unnamed.saturating_sub(1);
                self.on_the_way.insert(local);
            }
            Delivery::Failed { why } => {
                if !self.on_the_way.remove(&local) {
                    self.unnamed = self.unnamed.saturating_sub(1);
                }
                self.settled += 1;
                self.undelivered += 1;
                let which = match local.0.checked_sub(self.earlier) {
                    None | Some(0) => "A message of an earlier run".to_owned(),
                    Some(number) => format!("Message {number}"),
                };
                self.say(&format!("{which} was not delivered: {why}"));
                // Nobody is there to change it.
                self.commands.push_back(Command::Withdraw(local));
            }
            Delivery::Sent { .. }
            | Delivery::Unconfirmed
            | Delivery::Withdrawn
            | Delivery::SettledElsewhere => {
                self.on_the_way.remove(&local);
                self.settled += 1;
            }
        }
    }

    fn nickname_refused(&mut self, nickname: &Nickname, why: &Line, waiting: bool) {
        self.asked_for_nickname |= waiting;
        if !waiting || self.manner.interactive {
            let hint = if waiting {
                ". Type /nick and another one"
            } else {
                ""
            };
            self.say(&format!("{nickname}: {why}{hint}"));
        } else {
            self.say(&format!("{nickname}: {why}"));
            self.failure = Some(Outcome::NicknameRefused);
            self.leave();
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
                self.unnamed += 1;
                self.commands.push_back(Command::Send {
                    room: self.room.clone(),
                    body,
                });
            }
            Err(BodyError::TooLong) => self.too_long(),
            // A line with nothing to see on it.
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
            Ok(nickname) => self.commands.push_back(Command::Nick(nickname)),
            Err(wrong) => self.say(&format!("{wrong}: /nick NAME")),
        }
    }

    /// A person goes at once; in a script, what was written before is delivered first.
    fn quit(&mut self) {
        self.input_ended = true;
        self.manner.follow = false;
        if self.manner.interactive {
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
        self.unnamed + self.on_the_way.len() + self.asked.len()
    }

    fn leave_if_done(&mut self) {
        let read = self.open && self.last >= self.head;
        let stays = self.manner.follow && !self.output_closed;
        if self.input_ended
            && !stays
            && !self.leaving
            && self.waiting_for() == 0
            && (read || self.output_closed)
        {
            self.leave();
        }
    }

    /// For those who want to hear it only.
    pub(super) fn mention(&mut self, sentence: &str) {
        if self.is_chatty() {
            self.say(sentence);
        }
    }

    pub(super) fn say(&mut self, sentence: &str) {
        self.status.push_back(format!("{sentence}\n"));
    }
}
